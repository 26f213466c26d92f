/* arena.h - the game that arena.c and arena_sdl.c play

   Players walk about a field, take the items that they touch, and shoot. Players and items are
   objects of the server. A player gives an input for each tick; by it the same tick handler moves
   its avatar on both ends: at the server for good, at the player's own as a prediction. */
#ifndef WISP_ARENA_H
#define WISP_ARENA_H

#include "udp.h"

enum { PLAYERS = 4, ITEMS = 48, WARES = 3, TICK_RATE = 30 };
enum { FIELD_WIDTH = 60, FIELD_HEIGHT = 40, PACE = 9 };      /* metres, metres a second */
enum { RELOAD = 20, RANGE = 25 };                            /* ticks, metres */

/* What a player wants in a tick. */
typedef struct input {
    wisp_vec2 go;                         /* 1 is full speed */
    float     aim;                        /* radians */
    bool      fire;
} input;

static const wisp_field input_fields[] = {
    WISP_FIELD(input, go, WISP_T_VEC2_CLAMPED(-1, 1, 0.05)),
    WISP_FLAG_FIELD(input, aim, WISP_T_CLAMPED(-3.2, 3.2, 0.01), WISP_FLAG_ANGLE),
    WISP_FIELD(input, fire, WISP_T_BOOL),
};
static const wisp_schema input_schema = WISP_SCHEMA(input, 1, input_fields);

typedef struct avatar {
    wisp_vec2 place;
    float     aim;
    uint8_t   number;                     /* of the player, 0 to PLAYERS - 1 */
    uint16_t  coins;
    uint16_t  stock[WARES];               /* what it has bought */
    uint8_t   shots, wounds;              /* counters, which wrap around */
    uint8_t   reload;                     /* ticks until it may fire again */
} avatar;

static const wisp_type count_type = WISP_T_RANGE(0, 999);
static const wisp_field avatar_fields[] = {
    WISP_FIELD(avatar, place, WISP_T_VEC2_CLAMPED(0, FIELD_WIDTH, 0.01)),
    WISP_FLAG_FIELD(avatar, aim, WISP_T_CLAMPED(-3.2, 3.2, 0.01), WISP_FLAG_ANGLE),
    WISP_FLAG_FIELD(avatar, number, WISP_T_RANGE(0, PLAYERS - 1), WISP_FLAG_AT_SPAWN),
    WISP_FLAG_FIELD(avatar, coins, WISP_T_RANGE(0, 999), WISP_FLAG_STEPPED),
    WISP_FIELD(avatar, stock, WISP_T_ARRAY(&count_type, WARES)),
    WISP_FLAG_FIELD(avatar, shots, WISP_T_UINT, WISP_FLAG_STEPPED),
    WISP_FLAG_FIELD(avatar, wounds, WISP_T_UINT, WISP_FLAG_STEPPED),
    WISP_FLAG_FIELD(avatar, reload, WISP_T_UINT, WISP_FLAG_STEPPED),
};
static const wisp_schema avatar_schema = WISP_SCHEMA(avatar, 1, avatar_fields);

typedef struct item { wisp_vec2 place; uint8_t worth; } item;

static const wisp_field item_fields[] = {
    WISP_FIELD(item, place, WISP_T_VEC2_CLAMPED(0, FIELD_WIDTH, 0.01)),
    WISP_FIELD(item, worth, WISP_T_RANGE(0, 9)),
};
static const wisp_schema item_schema = WISP_SCHEMA(item, 1, item_fields);

/* An end of the game: its sockets, its bad network, its objects. */
typedef struct arena {
    udp_socket     socket;
    wisp_simulator net;
    wisp          *w;
    wisp_class     avatars, items;
    void         (*shoot)(struct arena *a, wisp_object by, avatar *it);      /* at the server */
    bool           over;                  /* nobody moves any more */
} arena;

/* The avatar of a player; id 0: there is none. */
static inline wisp_object avatar_of(const arena *a, wisp_player player) {
    wisp_object o = wisp_first(a->w, a->avatars);
    while (o.id && wisp_owner_of(a->w, o).id != player.id) o = wisp_next(a->w, o);
    return o;
}

/* ---- what the server does ---------------------------------------------------- */

static inline void items_spawn(arena *a) {
    wisp_player nobody = { 0 };
    for (int i = 0; i < ITEMS; i++) {
        item it = { { (float)((i * 37 + 11) % FIELD_WIDTH), (float)((i * 23 + 5) % FIELD_HEIGHT) },
                    (uint8_t)(2 + i % 4) };
        wisp_spawn(a->w, a->items, nobody, &it);
    }
}

static inline int items_left(const arena *a) {
    int count = 0;
    for (wisp_object o = wisp_first(a->w, a->items); o.id; o = wisp_next(a->w, o)) count++;
    return count;
}

static inline void avatar_take_items(const arena *a, avatar *by) {
    item it;
    wisp_object o = wisp_first(a->w, a->items);
    for (; wisp_view(a->w, o, WISP_NOW, &it); o = wisp_next(a->w, o)) {
        float x = it.place.x - by->place.x, y = it.place.y - by->place.y;
        if (x * x + y * y > 0.5f) continue;
        if (by->coins < 990) by->coins = (uint16_t)(by->coins + it.worth);
        wisp_despawn(a->w, o);
    }
}

/* ---- a tick, the same on both ends --------------------------------------------- */

static inline void avatar_walk(avatar *it, const input *in, double seconds) {
    float way = (float)(PACE * seconds), lowest = FIELD_HEIGHT;
    it->place.x += in->go.x * way;
    it->place.y += in->go.y * way;
    if (it->place.y > lowest) it->place.y = lowest;          /* other edges: its schema clamps */
    it->aim = in->aim;
}

static inline void on_arena_tick(wisp_event *event) {
    arena *a = event->user;
    wisp_object o = wisp_first(event->w, a->avatars);
    for (; !a->over && o.id; o = wisp_next(event->w, o)) {
        const input *in = wisp_input_for(event->w, o, NULL);
        avatar *it = in ? wisp_object_edit(event->w, o) : NULL;
        if (!it) continue;                                   /* none is known, or not ours */
        avatar_walk(it, in, event->step);
        if (wisp_decides(event->w, o)) avatar_take_items(a, it);
        if (it->reload > 0) it->reload--;
        else if (in->fire) {
            it->reload = RELOAD;
            it->shots++;
            if (a->shoot && wisp_decides(event->w, o)) a->shoot(a, o, it);
        }
    }
}

/* ---- an end ------------------------------------------------------------------- */

/* `desc` and `avatars` have what is special about this end; `port` 0 is any. */
static inline bool arena_open(arena *a, const char *host, int port, wisp_desc *desc,
                              wisp_class_desc *avatars) {
    wisp_class_desc items = { .schema = &item_schema };
    if (!udp_open(&a->socket, host, port)) return false;
    desc->link = wisp_simulate(&a->net, udp_link(&a->socket));
    desc->app = "arena";
    desc->app_version = 1;
    a->w = wisp_create(desc, NULL);
    avatars->schema = &avatar_schema;
    avatars->predict = WISP_PREDICT_OWNED;                   /* a player's own avatar runs ahead */
    a->avatars = wisp_define(a->w, "avatar", avatars);
    a->items = wisp_define(a->w, "item", &items);
    wisp_on_tick(a->w, on_arena_tick, a);
    return a->avatars.id && a->items.id && wisp_use_input(a->w, &input_schema) == WISP_OK;
}

/* Waits for a packet, at most so many seconds, and returns the time. */
static inline double arena_update(arena *a, double wait) {
    udp_wait(&a->socket, wait);
    a->net.now = udp_seconds();
    wisp_update(a->w, a->net.now);
    return a->net.now;
}

static inline void arena_close(arena *a) {
    wisp_destroy(a->w);
    wisp_simulator_free(&a->net);
    udp_close(&a->socket);
}

/* ---- a player that plays by itself: to near items, each player to others ------ */

static inline float bot_axis(float way) { return way > 0.3f ? 1 : way < -0.3f ? -1 : way / 0.3f; }

/* false: it has no avatar yet. */
static inline bool bot(const arena *a, input *out) {
    item it;
    avatar me;
    float best = 0;
    wisp_object mine = avatar_of(a, wisp_me(a->w)), o = wisp_first(a->w, a->items);
    wisp_vec2 goal = { FIELD_WIDTH / 2, FIELD_HEIGHT / 2 };
    if (!wisp_is_mine(a->w, mine) || !wisp_view(a->w, mine, WISP_NOW, &me)) return false;
    for (; wisp_view(a->w, o, WISP_NOW, &it); o = wisp_next(a->w, o)) {
        float x = it.place.x - me.place.x, y = it.place.y - me.place.y;
        float far = (x * x + y * y) * (float)(1 + ((int)it.place.x + me.number) % PLAYERS);
        if (best > 0 && far >= best) continue;
        best = far;
        goal = it.place;
    }
    out->go.x = bot_axis(goal.x - me.place.x);
    out->go.y = bot_axis(goal.y - me.place.y);
    return true;
}

#endif /* WISP_ARENA_H */
