/* 14_interest.c - who sees what

   Lanterns stand along a road, a watchman of the red team hides among them, and two players walk.
   The server shows a player the lanterns near it, and the watchman to its team alone; what a player
   has passed stays as it was seen last. Who sees a lantern is told when it goes out.

   Build    cc -I.. 14_interest.c -o interest              (Windows: add -lws2_32)
   Run      ./interest                                     exits 0 when each saw what it should
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdio.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { ENDS = 3, LANTERNS = 9, APART = 10, TICK_RATE = 30 };

typedef struct thing { wisp_vec3 place; char name[12]; } thing;

static const wisp_field thing_fields[] = {
    WISP_FIELD(thing, place, WISP_T_VEC3_CLAMPED(-500, 500, 0.01)),
    WISP_FIELD(thing, name, WISP_T_STRING(11)),
};
static const wisp_schema thing_schema = WISP_SCHEMA(thing, 1, thing_fields);

/* The server or a player. */
typedef struct end {
    const char *name;
    udp_socket  socket;
    wisp       *w;
    wisp_class  things;
    int         told;                  /* messages about lanterns it sees */
} end;

static void on_out(wisp_event *event) {
    end *player = event->user;
    player->told++;
    printf("%s: lantern %d goes out\n", player->name, (int)wisp_arg_int(event, 0));
}

static wisp_peer players[ENDS];                              /* Ada is the first, then Bob */
static int player_count;
static wisp_group red;

/* Who gets a focus or a group here is sent nothing else before. */
static void on_joined(wisp_event *event) {
    players[player_count++] = event->peer;
    if (player_count == 2) wisp_group_add(event->w, red, event->peer);
}

static bool open_end(end *e, double tick_rate) {
    wisp_desc desc = { .link = udp_link(&e->socket), .app = "road", .tick_rate = tick_rate };
    wisp_class_desc of = {
        .schema = &thing_schema,
        .position = WISP_POSITION(thing, place),             /* a thing is where its struct says */
        .on_leave = WISP_FREEZE,                             /* and stays on the map when left */
    };
    e->w = udp_open(&e->socket, "127.0.0.1", 0) ? wisp_create(&desc, NULL) : NULL;
    e->things = wisp_define(e->w, "thing", &of);
    wisp_on(e->w, "out", on_out, e);
    return e->things.id != 0;
}

static wisp_object spawn(end *server, float x, const char *name) {
    thing it = { { x, 0, 0 }, "" };
    wisp_player nobody = { 0 };
    snprintf(it.name, sizeof it.name, "%s", name);
    return wisp_spawn(server->w, server->things, nobody, &it);
}

/* Updates until a player sees `fresh` things and still has `old` ones, frozen. */
static bool sees(end *ends, int player, int fresh, int old) {
    for (double last = udp_seconds() + 10; udp_seconds() < last;) {
        wisp *w = ends[player].w;
        int now = 0, frozen = 0;
        for (int i = 0; i < ENDS; i++) wisp_update(ends[i].w, udp_clock(NULL));
        for (wisp_object o = wisp_first(w, ends[player].things); o.id; o = wisp_next(w, o)) {
            frozen += wisp_is_frozen(w, o);
            now += !wisp_is_frozen(w, o);
        }
        if (now != fresh || frozen != old) continue;
        printf("%s sees %d things, and remembers %d\n", ends[player].name, now, frozen);
        return true;
    }
    printf("%s does not see %d things and remember %d\n", ends[player].name, fresh, old);
    return false;
}

int main(void) {
    static end ends[ENDS] = { { .name = "server" }, { .name = "Ada" }, { .name = "Bob" } };
    wisp_object lanterns[LANTERNS], watchman;
    wisp_addr address;
    wisp *server;
    bool good = open_end(&ends[0], TICK_RATE) && open_end(&ends[1], 0) && open_end(&ends[2], 0);
    if (!good || !udp_resolve("127.0.0.1", udp_port(&ends[0].socket), &address)) return 1;
    server = ends[0].w;
    for (int i = 0; i < LANTERNS; i++) lanterns[i] = spawn(&ends[0], (float)(i * APART), "lantern");
    watchman = spawn(&ends[0], 400, "watchman");
    red = wisp_group_named(server, "red");
    wisp_tag(server, watchman, "red team");
    wisp_show_tag(server, "red team", wisp_to_group(red));
    wisp_on(server, WISP_JOINED, on_joined, NULL);

    wisp_join(ends[1].w, &address, NULL, 0);
    good = sees(ends, 1, LANTERNS + 1, 0);                   /* no focus, no group: everything */
    wisp_focus(server, players[0], (wisp_vec3){ 0, 0, 0 }, 2.5 * APART, 0);
    good = good && sees(ends, 1, 3, LANTERNS - 2);           /* 0, 10 and 20 metres away */
    wisp_focus(server, players[0], (wisp_vec3){ 30, 0, 0 }, 2.5 * APART, 0);
    good = good && sees(ends, 1, 5, LANTERNS - 4);           /* it has walked 30 metres */

    wisp_join(ends[2].w, &address, NULL, 0);
    good = good && sees(ends, 2, 1, 0);                      /* a group, no focus: its watchman */

    wisp_fire_target(server, wisp_by_name("out"), wisp_to_viewers(lanterns[4]),
                     &(wisp_value){ .kind = WISP_INT, .as.integer = 4 }, 1);
    wisp_hide(server, lanterns[3], wisp_to_all());
    wisp_despawn(server, lanterns[4]);                       /* also where it was frozen */
    good = good && sees(ends, 1, 3, LANTERNS - 3) && ends[1].told == 1 && ends[2].told == 0;
    for (int i = ENDS - 1; i >= 0; i--) wisp_destroy(ends[i].w);
    return good ? 0 : 1;
}
