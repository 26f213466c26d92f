/* bench_path.c - what one message costs in instructions, at both ends and on the way

   Twenty messages are fired in each update, sent over a loopback, read and handed to a handler.
   The clock is simulated, so that a run takes the same instructions every time.

   Run      bench_path                     nanoseconds for each message, for information
            bench_path KIND TICKS          one kind for so many updates; tools/instructions counts
   Kinds    blob     32 bytes by wisp_fire
            struct   a struct of eight fields by its schema
            delta    the same, as the difference to the one before
            unreliable   as blob, not sent again when it is lost
            names    the blobs of 200 names that wait together
            hooks    as blob, with an empty middleware at both ends
            profiled     as blob, while the profiler counts at both ends
*/
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 199309L       /* clock_gettime */
#endif

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "wisp.h"

enum { PER_TICK = 20, NAMES = 200, WARM = 60 };

typedef struct player {
    float    hp;
    uint32_t xp;
    float    x, y, z;
    int16_t  team;
    uint8_t  flags;
    char     name[17];
} player;

static const wisp_field player_fields[] = {
    WISP_FIELD(player, hp, WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_FIELD(player, xp, WISP_T_RANGE(0, 1000000)),
    WISP_FIELD(player, x, WISP_T_FLOAT),
    WISP_FIELD(player, y, WISP_T_FLOAT),
    WISP_FIELD(player, z, WISP_T_FLOAT),
    WISP_FIELD(player, team, WISP_T_INT16),
    WISP_FIELD(player, flags, WISP_T_UINT8),
    WISP_FIELD(player, name, WISP_T_STRING(16)),
};
static const wisp_schema player_schema = WISP_SCHEMA(player, 1, player_fields);

static const char *const kinds[] = { "blob", "struct", "delta", "unreliable", "names", "hooks",
                                     "profiled" };
enum kind { BLOB, STRUCT, DELTA, UNRELIABLE, MANY, HOOKS, PROFILED, KINDS };

typedef struct run {
    wisp     *ends[2];
    wisp_pipe pipe;
    double    now;
    uint64_t  random;
    long      arrived;
    char      names[NAMES][16];
    int       next_name;
    player    player;
} run;

static uint64_t drawn(run *r) {
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->random;
}

static void on_blob(wisp_event *event) {
    int bytes;
    if (wisp_arg_bytes(event, 0, &bytes) && bytes == 32) ((run *)event->user)->arrived++;
}

static void on_player(wisp_event *event) {
    if (wisp_arg_struct(event, 0, &player_schema)) ((run *)event->user)->arrived++;
}

static wisp_result on_passage(wisp_event *event) {
    (void)event;
    return WISP_PASS;
}

static void use_player(wisp *w, enum kind kind) {
    wisp_schema_entry entry = { "player", &player_schema, NULL, 0 };
    if (kind == STRUCT) wisp_use_schemas(w, &entry, 1);
    else wisp_use_delta(w, &player_schema, "player");
}

static void update(run *r) {
    r->now += 1 / 60.0;
    wisp_update(r->ends[1], r->now);
    wisp_update(r->ends[0], r->now);
}

static void begin(run *r, enum kind kind) {
    static const wisp_middleware middleware = { "empty", NULL, on_passage, on_passage, NULL, NULL };
    static const wisp_profiler profiler = { NULL, NULL, NULL };
    wisp_addr server = wisp_loopback_addr(0);
    memset(r, 0, sizeof *r);
    r->random = 1;
    strcpy(r->player.name, "player one");
    for (int i = 0; i < 2; i++) {
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        desc.link = wisp_loopback(&r->pipe, i);
        desc.seed = (uint64_t)i + 1;
        r->ends[i] = wisp_create(&desc, NULL);
        if (kind == STRUCT || kind == DELTA) use_player(r->ends[i], kind);
        if (kind == UNRELIABLE) wisp_set_unreliable(r->ends[i], "blob", true);
        if (kind == PROFILED) wisp_use_profiler(r->ends[i], &profiler);
        if (kind == HOOKS) wisp_use(r->ends[i], &middleware);
    }
    for (int i = 0; kind == MANY && i < NAMES; i++) {
        snprintf(r->names[i], sizeof r->names[i], "name%d", i);
        wisp_connect(r->ends[0], r->names[i], on_blob, r);
    }
    wisp_connect(r->ends[0], "blob", on_blob, r);
    wisp_connect(r->ends[0], "player", on_player, r);
    wisp_join(r->ends[1], &server, NULL, 0);
    for (int i = 0; i < WARM; i++) update(r);
}

static void fire_player(run *r) {
    wisp_value value = wisp_struct(&player_schema, &r->player);
    r->player.x += 0.1f;
    r->player.xp = (r->player.xp + 3) % 1000000;
    wisp_fire_values(r->ends[1], "player", wisp_to_peer(WISP_SERVER), &value, 1);
}

static void fire_blob(run *r, enum kind kind) {
    const char *name = kind == MANY ? r->names[r->next_name++ % NAMES] : "blob";
    uint64_t words[4];
    wisp_value value = wisp_bytes(words, sizeof words);
    for (int i = 0; i < 4; i++) words[i] = drawn(r);
    wisp_fire_values(r->ends[1], name, wisp_to_peer(WISP_SERVER), &value, 1);
}

/* Returns the nanoseconds for each message; the program ends if one has not arrived. */
static double play(enum kind kind, int ticks) {
    static run r;
    struct timespec from, to;
    int per_tick = kind == MANY ? NAMES : PER_TICK;
    begin(&r, kind);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int tick = 0; tick < ticks; tick++) {
        for (int i = 0; i < per_tick; i++) {
            if (kind == STRUCT || kind == DELTA) fire_player(&r);
            else fire_blob(&r, kind);
        }
        update(&r);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    for (int i = 0; i < 10; i++) update(&r);
    for (int i = 0; i < 2; i++) wisp_destroy(r.ends[i]);
    if (r.arrived != (long)ticks * per_tick) {
        fprintf(stderr, "bench_path: %s: %ld of %d messages arrived\n", kinds[kind], r.arrived,
                ticks * per_tick);
        exit(1);
    }
    return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
           ((double)ticks * per_tick);
}

int main(int count, char **words) {
    for (int kind = 0; kind < KINDS; kind++) {
        if (count == 1) printf("path.%-12s %8.1f ns for each message\n", kinds[kind],
                               play((enum kind)kind, 2000));
        else if (count == 3 && !strcmp(words[1], kinds[kind]))
            return play((enum kind)kind, atoi(words[2])) < 0;
    }
    if (count != 1) fprintf(stderr, "bench_path [KIND TICKS]\n");
    return count != 1;
}
