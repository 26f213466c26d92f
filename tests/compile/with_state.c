/* with_state.c - the server of with_state.h */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "with_state.h"

enum { THINGS = 20 };

typedef struct thing { int32_t x; } thing;

static const wisp_field thing_fields[] = { WISP_FIELD(thing, x, WISP_T_INT32) };
static const wisp_schema thing_schema = WISP_SCHEMA(thing, 1, thing_fields);

static wisp *server;
static wisp_class things;
static wisp_object last[THINGS];
static int updates;

bool with_state_open(wisp_link link) {
    wisp_desc desc;
    wisp_class_desc of;
    memset(&desc, 0, sizeof desc);
    memset(&of, 0, sizeof of);
    desc.link = link;
    desc.tick_rate = 100;
    of.schema = &thing_schema;
    server = wisp_create(&desc, NULL);
    things = wisp_define(server, "thing", &of);
    return things.id != 0;
}

void with_state_update(double now) {
    thing made = { 0 };
    wisp_player nobody = { 0 };
    wisp_despawn(server, last[updates % THINGS]);
    last[updates % THINGS] = wisp_spawn(server, things, nobody, &made);
    for (wisp_object o = wisp_first(server, things); o.id; o = wisp_next(server, o))
        ((thing *)wisp_object_edit(server, o))->x++;
    updates++;
    wisp_fire_all(server, "beat", wisp_int(7));
    wisp_update(server, now);
}

int with_state_indices(void) { return server->objects.made - server->objects.free_count; }

void with_state_insist(void) {
    int number = server->registry.remotes[server->objects.classes[0]->remote]->newest;
    for (wisp__session *s = NULL; (s = wisp__session_after(server, s)) != NULL;)
        s->peer_remotes[number].known = WISP__BOUND, s->classes_bound = true;
}

void with_state_ask(void) {
    for (wisp__session *s = NULL; (s = wisp__session_after(server, s)) != NULL;)
        wisp__control_add(server, s, WISP__FRAME_LACKS, 1);
}

int with_state_peers(void) { return wisp_peers(server, NULL, 0); }

void with_state_close(void) { wisp_destroy(server); }
