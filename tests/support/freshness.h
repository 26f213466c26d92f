/* freshness.h - state and urgent messages on networks that carry less than is sent, or lose it

   fresh_run() plays one trial in simulated time on bottleneck.h and gives the ages of what arrived:
   on arrival, and of the newest that the receiver had, looked at sixty times a second. Include
   wisp.h before. */
#ifndef FRESHNESS_H
#define FRESHNESS_H

#include <math.h>
#include "bottleneck.h"

typedef enum fresh_load {
    FRESH_STREAM,      /* sequenced messages of `bytes` at `hz` */
    FRESH_BALLS,       /* 255 moving balls as one unreliable delta at `hz` */
    FRESH_PIECES,      /* 512 entities in 16 keyed pieces, unreliable deltas, at `hz` */
    FRESH_VOICE,       /* unreliable messages of priority 0 at `hz` beside a reliable blob */
    FRESH_CALL,        /* calls on another channel, ten a second, beside a reliable blob */
    FRESH_SMALL        /* small reliable messages on another channel beside a reliable blob */
} fresh_load;

typedef struct fresh_trial {
    const char *name;
    fresh_load load;
    double seconds;               /* at most */
    double hz;                    /* of the messages */
    int    bytes;                 /* of one; of the blob */
    double delay, loss;           /* one way, seconds; 0..1 */
    double rate, queue;           /* bytes per second, 0: no cap; bytes */
} fresh_trial;

enum { FRESH_AGES = 40000, FRESH_BALL_COUNT = 255, FRESH_PIECE_COUNT = 16, FRESH_PIECE_ITEMS = 32 };

typedef struct fresh_outcome {
    int    fired, arrived, failed;      /* failed: calls without an answer */
    double mean, worst;                 /* seconds, on arrival; of calls: until the answer */
    double seen_mean, seen_worst;       /* of the newest there, from the first second on */
    double p99, p99_early, p99_late;    /* seen: from 2 s on; in the first and the last third */
    double took, blob_rate;             /* the blob: seconds (0: it has not come); bytes a second */
                                        /* but for the delay of the path */
    int    blob;                        /* bytes of the blob */
} fresh_outcome;

typedef struct fresh_ball { float x, y, z, vx, vy, vz; } fresh_ball;
typedef struct fresh_balls { double time; fresh_ball balls[FRESH_BALL_COUNT]; } fresh_balls;
typedef struct fresh_entity { int32_t x, y, z; uint32_t turn; uint8_t health; } fresh_entity;
typedef struct fresh_piece {
    int32_t piece;
    double  time;
    fresh_entity items[FRESH_PIECE_ITEMS];
} fresh_piece;

static const wisp_field fresh_ball_fields[] = {
    WISP_FIELD(fresh_ball, x, WISP_T_QUANTIZED(-64, 64, 0.01)),
    WISP_FIELD(fresh_ball, y, WISP_T_QUANTIZED(-64, 64, 0.01)),
    WISP_FIELD(fresh_ball, z, WISP_T_QUANTIZED(-64, 64, 0.01)),
    WISP_FIELD(fresh_ball, vx, WISP_T_QUANTIZED(-16, 16, 0.05)),
    WISP_FIELD(fresh_ball, vy, WISP_T_QUANTIZED(-16, 16, 0.05)),
    WISP_FIELD(fresh_ball, vz, WISP_T_QUANTIZED(-16, 16, 0.05)),
};
static const wisp_schema fresh_ball_schema = WISP_SCHEMA(fresh_ball, 1, fresh_ball_fields);
static const wisp_type fresh_ball_type = WISP_T_STRUCT(&fresh_ball_schema);
static const wisp_field fresh_balls_fields[] = {
    WISP_FIELD(fresh_balls, time, WISP_T_NUMBER),
    WISP_FIELD(fresh_balls, balls, WISP_T_ARRAY(&fresh_ball_type, FRESH_BALL_COUNT)),
};
static const wisp_schema fresh_balls_schema = WISP_SCHEMA(fresh_balls, 1, fresh_balls_fields);

static const wisp_field fresh_entity_fields[] = {
    WISP_FIELD(fresh_entity, x, WISP_T_INT32), WISP_FIELD(fresh_entity, y, WISP_T_INT32),
    WISP_FIELD(fresh_entity, z, WISP_T_INT32), WISP_FIELD(fresh_entity, turn, WISP_T_UINT32),
    WISP_FIELD(fresh_entity, health, WISP_T_UINT8),
};
static const wisp_schema fresh_entity_schema = WISP_SCHEMA(fresh_entity, 1, fresh_entity_fields);
static const wisp_type fresh_entity_type = WISP_T_STRUCT(&fresh_entity_schema);
static const wisp_field fresh_piece_fields[] = {
    WISP_KEY_FIELD(fresh_piece, piece, WISP_T_INT32), WISP_FIELD(fresh_piece, time, WISP_T_NUMBER),
    WISP_FIELD(fresh_piece, items, WISP_T_ARRAY(&fresh_entity_type, FRESH_PIECE_ITEMS)),
};
static const wisp_schema fresh_piece_schema = WISP_SCHEMA(fresh_piece, 1, fresh_piece_fields);

typedef struct fresh_game {
    const fresh_trial *t;
    fresh_outcome *out;
    bn_net      net;
    wisp_peer   taker;
    double      began, next, next_look, blob_at;
    double      newest[FRESH_PIECE_COUNT];     /* when the newest of each key was fired; -1: none */
    double     *ages, *looks, *look_at;
    int         look_count;
    fresh_balls balls;
    fresh_piece pieces[FRESH_PIECE_COUNT];
    unsigned char bytes[1 << 20];
} fresh_game;

static inline double fresh_between(bn_net *net, double lo, double hi) {
    return lo + (hi - lo) * bn_chance(net);
}

static inline void fresh_came(fresh_game *g, int key, double fired) {
    double age = g->net.now - fired;
    if (g->out->arrived < FRESH_AGES) g->ages[g->out->arrived++] = age;
    if (fired > g->newest[key]) g->newest[key] = fired;
}

static inline void fresh_on_state(wisp_event *event) {
    fresh_game *g = (fresh_game *)event->user;
    if (g->t->load == FRESH_BALLS) {
        const fresh_balls *b = (const fresh_balls *)wisp_arg_struct(event, 0, &fresh_balls_schema);
        if (b) fresh_came(g, 0, b->time);
    } else if (g->t->load == FRESH_PIECES) {
        const fresh_piece *p = (const fresh_piece *)wisp_arg_struct(event, 0, &fresh_piece_schema);
        if (p) fresh_came(g, p->piece, p->time);
    } else {
        fresh_came(g, 0, wisp_arg_number(event, 0));
    }
}

static inline void fresh_on_blob(wisp_event *event) {
    fresh_game *g = (fresh_game *)event->user;
    g->out->took = g->net.now - g->blob_at;
    g->out->blob_rate = g->out->blob / (g->out->took - g->t->delay);
}

static inline void fresh_on_call(wisp_event *event) { wisp_reply_values(event, event->args, 1); }

static inline void fresh_on_answer(wisp_event *event) {
    fresh_game *g = (fresh_game *)event->user;
    if (event->result != WISP_OK) g->out->failed++;
    else fresh_came(g, 0, wisp_arg_number(event, 0));
}

static inline void fresh_move(fresh_game *g) {
    double step = 1 / g->t->hz;
    for (int i = 0; i < FRESH_BALL_COUNT && g->t->load == FRESH_BALLS; i++) {
        fresh_ball *b = &g->balls.balls[i];
        float *at[] = { &b->x, &b->y, &b->z }, *by[] = { &b->vx, &b->vy, &b->vz };
        for (int k = 0; k < 3; k++) {
            double to = (double)*at[k] + (double)*by[k] * step;
            if (to < -64 || to > 64) *by[k] = -*by[k];
            else *at[k] = (float)to;
        }
    }
    for (int i = 0; i < FRESH_PIECE_COUNT && g->t->load == FRESH_PIECES; i++)
        for (int k = 0; k < FRESH_PIECE_ITEMS; k++) {
            fresh_entity *e = &g->pieces[i].items[k];
            e->x += (int32_t)(bn_random(&g->net) % 400) - 200;
            e->y += (int32_t)(bn_random(&g->net) % 400) - 200;
            e->turn += 17;
            if (bn_chance(&g->net) < 0.02) e->health = (uint8_t)bn_random(&g->net);
        }
}

static inline void fresh_fire_one(fresh_game *g) {
    wisp *w = bn_wisp(&g->net, 0);
    wisp_to to = wisp_to_peer(g->taker);
    wisp_value v[2];
    v[0] = wisp_number(g->net.now);
    v[1] = wisp_bytes(g->bytes + bn_random(&g->net) % 1000, g->t->bytes);
    fresh_move(g);
    if (g->t->load == FRESH_STREAM) {
        wisp_fire_values(w, "state", to, v, 2);
    } else if (g->t->load == FRESH_BALLS) {
        g->balls.time = g->net.now;
        v[0] = wisp_struct(&fresh_balls_schema, &g->balls);
        wisp_fire_values(w, "state", to, v, 1);
    } else if (g->t->load == FRESH_CALL) {
        wisp_call_desc how;
        memset(&how, 0, sizeof how);
        how.on_reply = fresh_on_answer;
        how.user = g;
        wisp_invoke_values(w, "state", to, &how, v, 1);
    } else if (g->t->load != FRESH_PIECES) {
        wisp_fire_values(w, "state", to, v, 1);
    }
    g->out->fired++;
    for (int i = 0; i < FRESH_PIECE_COUNT && g->t->load == FRESH_PIECES; i++) {
        g->pieces[i].time = g->net.now;
        v[0] = wisp_struct(&fresh_piece_schema, &g->pieces[i]);
        wisp_fire_values(w, "state", to, v, 1);
        g->out->fired += i > 0;
    }
}

/* The newest that is there is looked at while it should grow no older. */
static inline void fresh_look(fresh_game *g) {
    int keys = g->t->load == FRESH_PIECES ? FRESH_PIECE_COUNT : 1;
    for (int k = 0; k < keys && g->look_count < FRESH_AGES; k++) {
        if (g->net.now < g->began + 1 && g->newest[k] < 0) continue;
        g->look_at[g->look_count] = g->net.now - g->began;
        g->looks[g->look_count++] =
            g->net.now - (g->newest[k] < 0 ? g->began : g->newest[k]);
    }
}

static inline void fresh_tick(bn_net *net, int end) {
    fresh_game *g = (fresh_game *)net->user;
    if (g->began < 0) return;
    if (end == 1) {
        fresh_look(g);
        return;
    }
    while (net->now >= g->next) {
        g->next += 1 / g->t->hz;
        fresh_fire_one(g);
    }
    if (g->blob_at < 0 && net->now >= g->began + 1 && g->t->load >= FRESH_VOICE) {
        wisp_value blob = wisp_bytes(g->bytes, g->t->bytes);
        g->out->blob = g->t->bytes;
        g->blob_at = net->now;
        wisp_fire_values(bn_wisp(net, 0), "blob", wisp_to_peer(g->taker), &blob, 1);
    }
}

static inline void fresh_configure(fresh_game *g, wisp *w) {
    wisp_config c;
    memset(&c, 0, sizeof c);
    c.delivery = g->t->load == FRESH_STREAM ? WISP_SEQUENCED :
                 g->t->load >= FRESH_CALL ? WISP_RELIABLE : WISP_UNRELIABLE;
    if (g->t->load >= FRESH_CALL) c.channel = WISP_CHANNEL(3);
    if (g->t->load == FRESH_VOICE) c.batch_priority = WISP_PRIORITY(0);
    if (g->t->load == FRESH_BALLS || g->t->load == FRESH_PIECES) {
        c.encode.mode = WISP_ENCODE_DELTA;
        c.encode.schema =
            g->t->load == FRESH_BALLS ? &fresh_balls_schema : &fresh_piece_schema;
    }
    wisp_use_config(w, &c, "state");
    if (g->t->load == FRESH_VOICE) wisp_set_batch_priority(w, "blob", 999);
    wisp_connect_target(w, wisp_by_name("state"), fresh_on_state, g, false);
    wisp_connect_target(w, wisp_by_name("blob"), fresh_on_blob, g, false);
    wisp_on_invoke(w, "state", fresh_on_call, g);
}

static inline int fresh_compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double fresh_part(const fresh_game *g, double from, double to, double part) {
    double *sorted = (double *)malloc(sizeof *sorted * FRESH_AGES), found;
    int count = 0;
    for (int i = 0; i < g->look_count; i++)
        if (g->look_at[i] >= from && g->look_at[i] < to) sorted[count++] = g->looks[i];
    qsort(sorted, (size_t)count, sizeof *sorted, fresh_compare);
    found = count ? sorted[(int)(part * (count - 1))] : HUGE_VAL;
    free(sorted);
    return found;
}

static inline void fresh_measure(fresh_game *g, double seconds) {
    fresh_outcome *out = g->out;
    int seen = 0;
    for (int i = 0; i < out->arrived; i++) {
        out->mean += g->ages[i] / out->arrived;
        out->worst = fmax(out->worst, g->ages[i]);
    }
    if (!out->arrived) out->mean = out->worst = HUGE_VAL;
    for (int i = 0; i < g->look_count; i++) {
        if (g->look_at[i] < 1) continue;
        seen++;
        out->seen_mean += g->looks[i];
        out->seen_worst = fmax(out->seen_worst, g->looks[i]);
    }
    if (seen) out->seen_mean /= seen;
    out->p99 = fresh_part(g, 2, seconds, 0.99);
    out->p99_early = fresh_part(g, 2, 2 + (seconds - 2) / 3, 0.99);
    out->p99_late = fresh_part(g, seconds - (seconds - 2) / 3, seconds, 0.99);
}

static inline void fresh_run(const fresh_trial *t, const wisp_desc *desc, uint64_t seed,
                             fresh_outcome *out) {
    fresh_game *g = (fresh_game *)calloc(1, sizeof *g);
    double *memory = (double *)calloc(3 * FRESH_AGES, sizeof *memory);
    bn_way *to, *back;
    memset(out, 0, sizeof *out);
    g->t = t;
    g->out = out;
    g->began = g->blob_at = -1;
    g->ages = memory;
    g->looks = memory + FRESH_AGES;
    g->look_at = memory + 2 * FRESH_AGES;
    for (int i = 0; i < FRESH_PIECE_COUNT; i++) g->newest[i] = -1;
    bn_open(&g->net, seed);
    g->net.user = g;
    g->net.tick = fresh_tick;
    to = bn_way_add(&g->net);
    back = bn_way_add(&g->net);
    to->delay = back->delay = t->delay;
    to->rate = t->rate;
    to->queue = t->queue;
    bn_add(&g->net, desc, t->hz > 60 ? t->hz : 60, to, NULL);
    bn_add(&g->net, desc, 60, back, NULL);
    for (int i = 0; i < 2; i++) fresh_configure(g, bn_wisp(&g->net, i));
    for (size_t i = 0; i < sizeof g->bytes; i++) g->bytes[i] = (unsigned char)bn_random(&g->net);
    for (int i = 0; i < FRESH_BALL_COUNT; i++) {
        fresh_ball *b = &g->balls.balls[i];
        float *at[] = { &b->x, &b->y, &b->z }, *by[] = { &b->vx, &b->vy, &b->vz };
        for (int k = 0; k < 3; k++) {
            *at[k] = (float)fresh_between(&g->net, -60, 60);
            *by[k] = (float)fresh_between(&g->net, -8, 8);
        }
    }
    for (int i = 0; i < FRESH_PIECE_COUNT; i++) g->pieces[i].piece = i;
    g->taker = bn_join(&g->net, 0, 1);
    if (g->taker.id) {
        bn_run(&g->net, 1);
        to->loss = back->loss = t->loss;
        g->began = g->next = g->net.now;
        while (g->net.now < g->began + t->seconds &&
               !(t->load >= FRESH_VOICE && out->took > 0)) bn_run(&g->net, 0.05);
        fresh_measure(g, g->net.now - g->began);
    }
    bn_close(&g->net);
    free(memory);
    free(g);
}

/* The figures that freshness is held to; 0: none. Seconds, a share of what was fired, a share of
   the link. */
typedef struct fresh_row {
    fresh_trial t;
    double p99, mean, worst, arrived, goodput, times;    /* times: of the bytes over the rate */
} fresh_row;

static const fresh_row fresh_rows[] = {
    { { "17 kB/s of state on 8 kB/s", FRESH_STREAM, 60, 240, 60, 0.03, 0, 8000, 4000 },
      0.3, 0, 0, 0, 0, 0 },
    { { "the same with a queue of 64 KiB", FRESH_STREAM, 60, 240, 60, 0.03, 0, 8000, 65536 },
      0.3, 0, 0, 0, 0, 0 },
    { { "48 kB/s, 150 ms, 5% loss", FRESH_STREAM, 60, 60, 800, 0.075, 0.05, 0, 0 },
      0.3, 0, 0, 0, 0, 0 },
    { { "255 balls, 80 ms one way, 5% loss", FRESH_BALLS, 60, 20, 0, 0.08, 0.05, 0, 0 },
      0, 0.125, 0.3, 0, 0, 0 },
    { { "512 entities in 16 pieces, the same", FRESH_PIECES, 60, 20, 0, 0.08, 0.05, 0, 0 },
      0, 0.12, 0.25, 0.9, 0, 0 },
    { { "voice beside 1 MB on 250 kB/s", FRESH_VOICE, 60, 60, 1000000, 0.03, 0, 250e3, 30000 },
      0, 0.1, 0.18, 0, 0.9, 0 },
    { { "calls beside 1 MB on 100 kB/s", FRESH_CALL, 60, 10, 1000000, 0.03, 0, 100e3, 30000 },
      0, 0, 0.5, 0, 0, 0 },
    { { "600 kB beside small messages", FRESH_SMALL, 60, 60, 600000, 0.03, 0, 250e3, 30000 },
      0, 0, 0, 0, 0, 1.2 },
};
enum { FRESH_ROWS = sizeof fresh_rows / sizeof fresh_rows[0] };

#endif /* FRESHNESS_H */
