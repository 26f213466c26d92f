/* rooms.c - a chat with rooms: a group of peers for each, and one fire for all who are in it

   A group is found by its name, and a peer that leaves is in no group any more, so the server keeps
   no list of who is where. What it knows of a peer hangs on the peer: wisp_set_peer_user.

   Build    cc -I.. rooms.c -o rooms                     (Windows: add -lws2_32)
   Run      ./rooms                                exits 0 when each heard what was meant for it
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdlib.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { GUESTS = 3 };

/* ---- server -------------------------------------------------------------- */

typedef struct guest { char name[24], room[24]; wisp_group group; } guest;

static void tell_room(wisp *w, const guest *g, const char *text) {
    wisp_fire_group(w, "line", g->group, wisp_string(g->name), wisp_string(text));
}

static void on_enter(wisp_event *event) {
    wisp *w = event->w;
    guest *g = wisp_peer_user(w, event->peer);
    if (!g) return;
    wisp_group_remove(w, g->group, event->peer);
    if (g->group.id) tell_room(w, g, "(has left)");
    snprintf(g->room, sizeof g->room, "room:%.12s", wisp_arg_string(event, 0));
    g->group = wisp_group_named(w, g->room);
    wisp_group_add(w, g->group, event->peer);
    tell_room(w, g, "(has come in)");
}

static void on_say(wisp_event *event) {
    const guest *g = wisp_peer_user(event->w, event->peer);
    if (g && g->group.id) tell_room(event->w, g, wisp_arg_string(event, 0));
}

/* The ticket is the name. */
static void on_joined(wisp_event *event) {
    guest *g = calloc(1, sizeof *g);
    int size = 0;
    const char *name = wisp_arg_bytes(event, 0, &size);
    if (g && name) snprintf(g->name, sizeof g->name, "%.*s", size, name);
    wisp_set_peer_user(event->w, event->peer, g);
}

static void on_left(wisp_event *event) {
    guest *g = wisp_peer_user(event->w, event->peer);
    if (g && g->group.id) tell_room(event->w, g, "(is gone)");    /* it is in no group any more */
    free(g);
}

/* ---- client --------------------------------------------------------------- */

static void on_line(wisp_event *event) {
    char (*heard)[256] = event->user;
    size_t used = strlen(*heard);
    snprintf(*heard + used, sizeof *heard - used, "%s: %s; ", wisp_arg_string(event, 0),
             wisp_arg_string(event, 1));
}

/* ---- both ------------------------------------------------------------------ */

static wisp *open_endpoint(udp_socket *u) {
    wisp_desc desc = { .link = udp_link(u), .app = "rooms" };
    return udp_open(u, "127.0.0.1", 0) ? wisp_create(&desc, NULL) : NULL;
}

static void update(wisp **ends) {
    for (int i = 0; i < 100; i++) wisp_update(ends[i % (GUESTS + 1)], udp_clock(NULL));
}

int main(void) {
    static const char *const names[GUESTS] = { "Ada", "Bob", "Cy" };
    static const char *const expected[GUESTS] = {
        "Ada: (has come in); Bob: (has come in); Bob: hello; Bob: (has left); ",
        "Bob: (has come in); Bob: hello; Bob: (has come in); Cy: anyone?; Cy: (is gone); ",
        "Cy: (has come in); Bob: (has come in); Cy: anyone?; ",
    };
    static char heard[GUESTS][256];
    udp_socket sockets[GUESTS + 1];
    wisp *ends[GUESTS + 1];                                    /* the server is the last one */
    wisp_addr address;
    int good = 0;
    for (int i = 0; i <= GUESTS; i++) {
        if (!(ends[i] = open_endpoint(&sockets[i]))) return 1;
    }
    wisp *server = ends[GUESTS];
    wisp_on(server, WISP_JOINED, on_joined, NULL);
    wisp_on(server, WISP_LEFT, on_left, NULL);
    wisp_on(server, "enter", on_enter, NULL);
    wisp_on(server, "say", on_say, NULL);
    if (!udp_resolve("127.0.0.1", udp_port(&sockets[GUESTS]), &address)) return 1;
    for (int i = 0; i < GUESTS; i++) {
        wisp_on(ends[i], "line", on_line, &heard[i]);
        wisp_join(ends[i], &address, names[i], (int)strlen(names[i]));
        wisp_fire(ends[i], "enter", WISP_SERVER, wisp_string(i < 2 ? "red" : "blue"));
        update(ends);
    }
    wisp_fire(ends[1], "say", WISP_SERVER, wisp_string("hello"));
    wisp_fire(ends[1], "enter", WISP_SERVER, wisp_string("blue"));
    update(ends);
    wisp_fire(ends[2], "say", WISP_SERVER, wisp_string("anyone?"));
    update(ends);
    wisp_leave(ends[2], WISP_SERVER, "good night");
    update(ends);
    for (int i = 0; i < GUESTS; i++) {
        printf("%s heard   %s\n", names[i], heard[i]);
        good += strcmp(heard[i], expected[i]) == 0;
    }
    for (int i = 0; i <= GUESTS; i++) {
        wisp_destroy(ends[i]);
        if (i < GUESTS) wisp_update(server, udp_clock(NULL));      /* hears the goodbye */
    }
    return good == GUESTS ? 0 : 1;
}
