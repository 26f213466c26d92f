/* orbs.h - a server with objects of one class, and ends that see them */
#ifndef ORBS_H
#define ORBS_H
#include "simulated_endpoints.h"
#include "watched_memory_and_link.h"

typedef struct orb {
    float    x, y, z;
    uint16_t health;
    char     name[12];
    int      local;                    /* no field: stays here */
} orb;

static const wisp_field orb_fields[] = {
    WISP_FIELD(orb, x, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(orb, y, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(orb, z, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(orb, health, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(orb, name, WISP_T_STRING(11))
};
static const wisp_schema orb_schema = WISP_SCHEMA(orb, 1, orb_fields);

enum { THING_ENDS = 4, THING_MOST = 600 };

/* What the handlers of one end were told. */
typedef struct orb_log {
    int spawned, changed, despawned;
    int wrong;                         /* what should not be */
    wisp_result refuse;                /* of `spawned` */
    wisp_object last;
    orb state, before;
} orb_log;

static inline wisp_result orb_spawned(wisp_event *event) {
    orb_log *log = (orb_log *)event->user;
    log->spawned++;
    log->last = event->object;
    log->state = *(const orb *)event->state;
    log->wrong += event->before != NULL;
    return log->refuse;
}

static inline void orb_changed(wisp_event *event) {
    orb_log *log = (orb_log *)event->user;
    log->changed++;
    log->last = event->object;
    log->before = *(const orb *)event->before;
    log->state = *(const orb *)event->state;
}

static inline void orb_despawned(wisp_event *event) {
    orb_log *log = (orb_log *)event->user;
    log->despawned++;
    log->last = event->object;
}

typedef struct orbs {
    world      w;
    wisp      *server, *ends[THING_ENDS];
    wisp_class of_server, of[THING_ENDS];
    orb_log  logs[THING_ENDS], told;    /* told: of the server, by owners */
    int        count;
    uint64_t   random;
} orbs;

/* What classes are defined with from now on; orbs_open clears it. */
static wisp_class_desc orbs_desc;

static inline wisp_class orbs_define(wisp *w, orb_log *log) {
    wisp_class_desc desc = orbs_desc;
    desc.schema = &orb_schema;
    desc.spawned = orb_spawned;
    desc.changed = orb_changed;
    desc.despawned = orb_despawned;
    desc.user = log;
    return wisp_define(w, "orb", &desc);
}

static inline void orbs_open(orbs *t) {
    memset(t, 0, sizeof *t);
    memset(&orbs_desc, 0, sizeof orbs_desc);
    world_open(&t->w);
    t->w.desc.tick_rate = 50;
    t->random = 7;
}

static inline void orbs_server(orbs *t) {
    t->server = world_add(&t->w);
    t->of_server = orbs_define(t->server, &t->told);
    CHECK(t->of_server.id != 0);
    t->w.desc.tick_rate = 0;
}

static inline int orbs_join(orbs *t) {
    wisp_addr addr = wisp_loopback_addr(0);
    int i = t->count++;
    t->ends[i] = world_add(&t->w);
    t->of[i] = orbs_define(t->ends[i], &t->logs[i]);
    CHECK(wisp_join(t->ends[i], &addr, NULL, 0).id != 0);
    return i;
}

static inline wisp_object orbs_spawn(orbs *t, float x, const char *name) {
    wisp_player nobody = { 0 };
    orb made;
    memset(&made, 0, sizeof made);
    made.x = x;
    made.health = 100;
    strcpy(made.name, name);
    return wisp_spawn(t->server, t->of_server, nobody, &made);
}

static inline bool orb_equal(const orb *a, const orb *b) {
    return memcmp(&a->x, &b->x, 3 * sizeof a->x) == 0 && a->health == b->health &&
           strcmp(a->name, b->name) == 0;
}

/* Does an end see just the objects of the server, as they are there? */
static inline bool orbs_agree(orbs *t, int end) {
    int here = 0, there = 0;
    for (wisp_object o = wisp_first(t->server, t->of_server); o.id; o = wisp_next(t->server, o)) {
        orb a, b;
        there++;
        if (!wisp_view(t->server, o, WISP_NOW, &a) ||
            !wisp_view(t->ends[end], o, WISP_CONFIRMED, &b) || !orb_equal(&a, &b))
            return false;
        if (wisp_owner_of(t->server, o).id != wisp_owner_of(t->ends[end], o).id) return false;
    }
    for (wisp_object o = wisp_first(t->ends[end], t->of[end]); o.id; o = wisp_next(t->ends[end], o))
        here++;
    return here == there;
}

static inline uint64_t orbs_next(orbs *t) {
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return t->random;
}

/* Moves some objects, and spawns and despawns a few. */
static inline void orbs_play(orbs *t) {
    int live = 0;
    for (wisp_object o = wisp_first(t->server, t->of_server); o.id; o = wisp_next(t->server, o)) {
        uint64_t r = orbs_next(t);
        live++;
        if (r % 4 == 0) {
            orb *edit = (orb *)wisp_object_edit(t->server, o);
            edit->x += (float)(int)(r >> 8 & 15) * 0.05f - 0.4f;
            edit->y += (float)(int)(r >> 12 & 15) * 0.05f - 0.4f;
            if (r % 64 == 0) edit->health = (uint16_t)(r >> 20 & 511);
            if (r % 256 == 0) strcpy(edit->name, r >> 30 & 1 ? "renamed" : "");
        }
        if (r >> 40 & 1 && r % 97 == 0) CHECK_EQ_INT(wisp_despawn(t->server, o), WISP_OK);
        if (r % 211 == 0) {
            wisp_player owner = { (uint16_t)(r >> 16 & 7) };
            orb view;
            bool there = wisp_view(t->server, o, WISP_NOW, &view);
            CHECK_EQ_INT(wisp_give(t->server, o, owner), there ? WISP_OK : WISP_E_STALE);
        }
    }
    if (live < 60 && orbs_next(t) % 4 == 0) orbs_spawn(t, 0, "new");
}

static inline void orbs_left(wisp_event *event) {
    *(wisp_player *)event->user = wisp_player_of(event->w, event->peer);
}

typedef struct long_orb { int number; char text[2000]; } long_orb;

static const wisp_field long_fields[] = {
    WISP_FIELD(long_orb, number, WISP_T_INT32),
    WISP_FIELD(long_orb, text, WISP_T_STRING(1999))
};
static const wisp_schema long_schema = WISP_SCHEMA(long_orb, 1, long_fields);

#endif
