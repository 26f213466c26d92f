/* 12_objects.c - things that walk on a server, and players who see them

   The server spawns sheep, and a dog for each player. It alone moves them, once a tick; a player
   asks it with an event. Sheep at the gate and dogs of players who have left are despawned.

   Build    cc -I.. 12_objects.c -o objects              (Windows: add -lws2_32)
   Run      ./objects                                    exits 0 when all saw what was there
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdio.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { ENDS = 3, TICK_RATE = 30, PACE = 12, GATE = 6 };

typedef struct walker {
    float x;                                                 /* metres along the road */
    char  name[12];
    float goal;                                              /* no field: stays at the server */
} walker;

static const wisp_field walker_fields[] = {
    WISP_FIELD(walker, x, WISP_T_CLAMPED(-GATE, GATE, 0.01)),
    WISP_FIELD(walker, name, WISP_T_STRING(11)),
};
static const wisp_schema walker_schema = WISP_SCHEMA(walker, 1, walker_fields);

/* The server or a player: the user pointer of its handlers. */
typedef struct end { const char *name; udp_socket socket; wisp *w; wisp_class walkers; } end;

/* ---- server -------------------------------------------------------------- */

static wisp_object spawn(end *server, wisp_player owner, float goal, const char *name) {
    walker it = { 0, "", goal };
    snprintf(it.name, sizeof it.name, "%s", name);
    return wisp_spawn(server->w, server->walkers, owner, &it);
}

static void on_tick(wisp_event *event) {
    end *server = event->user;
    float step = (float)(PACE * event->step);                    /* metres in a tick */
    for (wisp_object o = wisp_first(event->w, server->walkers); o.id; o = wisp_next(event->w, o)) {
        walker *it = wisp_object_edit(event->w, o);
        float way = it->goal - it->x;
        it->x += way > step ? step : way < -step ? -step : way;
        if (it->x >= GATE && !wisp_owner_of(event->w, o).id) wisp_despawn(event->w, o);
    }
}

static void on_joined(wisp_event *event) {
    spawn(event->user, wisp_player_of(event->w, event->peer), 1, "Rex");
}

static wisp_object dog_of(wisp_event *event) {
    wisp_object o = wisp_first(event->w, ((end *)event->user)->walkers);
    wisp_player player = wisp_player_of(event->w, event->peer);
    while (o.id && wisp_owner_of(event->w, o).id != player.id) o = wisp_next(event->w, o);
    return o;
}

static void on_go(wisp_event *event) {
    walker *dog = wisp_object_edit(event->w, dog_of(event));     /* NULL: it is gone */
    double x = wisp_arg_number(event, 0);
    if (dog && x > -GATE && x < GATE) dog->goal = (float)x;
}

static void on_left(wisp_event *event) { wisp_despawn(event->w, dog_of(event)); }

/* ---- players ------------------------------------------------------------- */

static void tell(const char *text, wisp_event *event) {
    printf("%s %s %s\n", ((end *)event->user)->name, text, ((const walker *)event->state)->name);
}

static wisp_result on_spawned(wisp_event *event) { return tell("sees", event), WISP_OK; }
static void on_despawned(wisp_event *event) { tell("no longer sees", event); }

/* ---- both ---------------------------------------------------------------- */

static bool open_end(end *e, double tick_rate) {
    wisp_desc desc = { .link = udp_link(&e->socket), .app = "walk", .tick_rate = tick_rate };
    wisp_class_desc of = { .schema = &walker_schema, .user = e };
    of.spawned = on_spawned, of.despawned = on_despawned;        /* not run for its own objects */
    e->w = udp_open(&e->socket, "127.0.0.1", 0) ? wisp_create(&desc, NULL) : NULL;
    e->walkers = wisp_define(e->w, "walker", &of);               /* by one name on all ends */
    return e->walkers.id != 0;
}

/* Updates until each of the first `count` ends sees the same walkers, at these places. */
static bool see(end *ends, int count, const char *expected) {
    int good = 0;
    for (double last = udp_seconds() + 10; good < count && udp_seconds() < last;) {
        for (int i = 0; i < count; i++) wisp_update(ends[i].w, udp_clock(NULL));
        for (good = 0; good < count; good++) {
            char text[200] = "";
            wisp *w = ends[good].w;
            wisp_object o = wisp_first(w, ends[good].walkers);
            for (walker it; wisp_view(w, o, WISP_CONFIRMED, &it); o = wisp_next(w, o))
                snprintf(text + strlen(text), 60, "%s %.1f  ", it.name, (double)it.x);
            if (strcmp(text, expected) != 0) break;
        }
    }
    printf("%d of %d ends: %s\n", good, count, expected);
    return good == count;
}

int main(void) {
    static end ends[ENDS] = { { .name = "server" }, { .name = "Ada" }, { .name = "Bob" } };
    end *server = &ends[0];
    wisp_player nobody = { 0 };
    wisp_addr address;
    wisp_object shaun;
    bool good = open_end(server, TICK_RATE) && open_end(&ends[1], 0) && open_end(&ends[2], 0);
    if (!good || !udp_resolve("127.0.0.1", udp_port(&server->socket), &address)) return 1;
    wisp_on_tick(server->w, on_tick, server);
    wisp_on(server->w, WISP_JOINED, on_joined, server);
    wisp_on(server->w, WISP_LEFT, on_left, server);
    wisp_on(server->w, "go", on_go, server);
    shaun = spawn(server, nobody, 2, "Shaun");
    spawn(server, nobody, -3, "Dolly");
    for (int i = 1; good && i < ENDS; i++) {
        wisp_join(ends[i].w, &address, NULL, 0);
        wisp_fire(ends[i].w, "go", WISP_SERVER, wisp_int(3 + i));
        good = see(ends, 1 + i, i == 1 ? "Shaun 2.0  Dolly -3.0  Rex 4.0  "
                                       : "Shaun 2.0  Dolly -3.0  Rex 4.0  Rex 5.0  ");
    }
    ((walker *)wisp_object_edit(server->w, shaun))->goal = GATE;
    good = good && see(ends, 3, "Dolly -3.0  Rex 4.0  Rex 5.0  ");
    wisp_destroy(ends[2].w);                                     /* Bob leaves */
    good = good && see(ends, 2, "Dolly -3.0  Rex 4.0  ");
    wisp_destroy(ends[1].w);
    wisp_destroy(server->w);
    return good ? 0 : 1;
}
