/* bench_rollback.c - what rollback costs: time to go back, bytes of its packets

   Two players over memory. Each update of the first corrects eight ticks, as the inputs of the
   other come eight ticks late and each is different; its state has 4 KiB, and its step does next to
   nothing. The time is told beside that of a message of bench_floor, which runs before and after.
   The bytes are those of a packet at 60 Hz, 100 ms of round trip and inputs of 4 bytes that change
   every tenth tick, with all headers of wisp and without those of UDP.

   GGRS 0.13.0 (github.com/gschup/ggrs, rustc 1.95, release) did the same beside this program, over
   a socket in memory that serializes as its UDP socket does: 7.0 us an update at best of 15 runs by
   the wall clock, with 8 frames run again and no checksums, where this program said 6.6 to 6.9 us,
   with 9 ticks and hashes; 62.0 bytes an input message, and with acks and reports 75.8 bytes in 2.2
   packets a frame, where this one sent 36.0 in one. It needs Rust's crates: it is not built here.
   GGPO's library (of 2019) builds with Windows' sockets only, and its guide gives no figures. All
   three predict 8 frames by default.

   Run      bench_rollback [bench_floor]        build/bench_floor if it is not said
*/
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L       /* popen, clock_gettime */
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "wisp.h"

enum { STATE_BYTES = 4096, BACK = 8, UPDATES = 40000, RUNS = 5, GOAL = 270, GOAL_BYTES = 45 };

typedef struct input { uint16_t keys; int8_t x, y; } input;

static const wisp_field input_fields[] = {
    WISP_FIELD(input, keys, WISP_T_UINT), WISP_FIELD(input, x, WISP_T_INTEGER),
    WISP_FIELD(input, y, WISP_T_INTEGER),
};
static const wisp_schema input_schema = WISP_SCHEMA(input, 1, input_fields);

typedef struct end { wisp *w; wisp_peer peer; uint32_t state[STATE_BYTES / 4]; } end;

static void on_step(void *user, const void *const *inputs, int64_t tick) {
    end *e = (end *)user;
    for (int p = 0; p < 2; p++)
        if (inputs[p]) e->state[tick & 1023] += ((const input *)inputs[p])->keys;
}
static void on_save(void *user, void *out) { memcpy(out, ((end *)user)->state, STATE_BYTES); }
static void on_load(void *user, const void *s) { memcpy(((end *)user)->state, s, STATE_BYTES); }

static end ends[2];
static wisp_pipe pipe_of_both;
static wisp_simulator nets[2];
static double now;

static bool begin(double delay) {
    wisp_addr to = wisp_loopback_addr(0);
    memset(ends, 0, sizeof ends);
    memset(&pipe_of_both, 0, sizeof pipe_of_both);
    memset(nets, 0, sizeof nets);
    for (int i = 0; i < 2; i++) {
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        desc.seed = (uint64_t)i + 1;
        nets[i].latency = delay;
        desc.link = wisp_simulate(&nets[i], wisp_loopback(&pipe_of_both, i));
        ends[i].w = wisp_create(&desc, NULL);
    }
    wisp_join(ends[1].w, &to, NULL, 0);
    for (int n = 0; n < 200; n++, now += 1 / 60.0)
        for (int i = 0; i < 2; i++) {
            nets[i].now = now;
            wisp_update(ends[i].w, now);
        }
    for (int i = 0; i < 2; i++) {
        wisp_rollback_desc d;
        wisp_peer players[2] = { { 0 }, { 0 } };
        wisp_peers(ends[i].w, &players[!i], 1);
        memset(&d, 0, sizeof d);
        d.players = 2;
        d.window = 12;
        d.input = &input_schema;
        d.state_bytes = STATE_BYTES;
        d.step = on_step;
        d.save = on_save;
        d.load = on_load;
        d.user = &ends[i];
        if (wisp_rollback_begin(ends[i].w, &d, players, NULL, 0)) return false;
    }
    return true;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Steps of both; returns the seconds that those of the first took. */
static double play(int updates, int every) {
    static uint32_t dice = 1;
    double took = 0;
    for (int n = 0; n < updates; n++, now += 1 / 60.0) {
        for (int i = 0; i < 2; i++) {
            static input in[2];
            double before = seconds();
            if (n % every == 0) {
                dice = dice * 1664525u + 1013904223u;
                in[i].keys = (uint16_t)(dice >> 16);
                in[i].x = (int8_t)(dice >> 8);
            }
            nets[i].now = now;
            wisp_update(ends[i].w, now);
            wisp_rollback_step(ends[i].w, &in[i]);
            wisp_flush_batches(ends[i].w);
            if (i == 0) took += seconds() - before;
        }
    }
    return took;
}

static void finish(void) {
    for (int i = 0; i < 2; i++) wisp_destroy(ends[i].w);
    for (int i = 0; i < 2; i++) wisp_simulator_free(&nets[i]);
    wisp_pipe_free(&pipe_of_both);
}

/* Nanoseconds of a message of the floor. 0: it is not there. */
static double floor_ns(const char *program) {
    char line[200], command[300];
    double ns = 0;
    FILE *out;
    snprintf(command, sizeof command, "%s 20000", program);
    out = popen(command, "r");
    while (out && fgets(line, sizeof line, out)) {
        const char *at = strstr(line, " ns/msg");
        while (at && at > line && strchr("0123456789.", at[-1])) at--;
        if (at) ns = atof(at);
    }
    if (out) pclose(out);
    return ns;
}

static int by_size(const void *a, const void *b) {
    return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

int main(int argc, char **argv) {
    const char *program = argc > 1 ? argv[1] : "build/bench_floor";
    double ns[RUNS], ratio[RUNS], ran = 0, bytes;
    wisp_rollback_stats before, after;
    wisp_peer_stats sent, all;
    wisp_peer peer;
    if (!begin(BACK / 60.0)) return 1;
    play(300, 1);
    for (int run = 0; run < RUNS; run++) {
        double unit = floor_ns(program);
        wisp_stats_rollback(ends[0].w, &before);
        ns[run] = play(UPDATES / RUNS, 1) / (UPDATES / RUNS) * 1e9;
        wisp_stats_rollback(ends[0].w, &after);
        ran = (double)(after.ran_again - before.ran_again) / (UPDATES / RUNS);
        unit = (unit + floor_ns(program)) / 2;
        ratio[run] = unit > 0 ? ns[run] / unit : 0;
    }
    finish();
    qsort(ns, RUNS, sizeof *ns, by_size);
    qsort(ratio, RUNS, sizeof *ratio, by_size);
    printf("an update that runs %.1f ticks again, 4 KiB of state: %.0f ns, %.0f x floor "
           "(goal %d) %s\n", ran, ns[RUNS / 2], ratio[RUNS / 2], GOAL,
           ratio[RUNS / 2] <= GOAL ? "ok" : "MISSED");
    if (!begin(0.05)) return 1;
    play(300, 10);
    wisp_peers(ends[0].w, &peer, 1);
    wisp_stats_peer(ends[0].w, peer, &sent);
    play(3000, 10);
    wisp_stats_peer(ends[0].w, peer, &all);
    bytes = (double)(all.bytes_sent - sent.bytes_sent);
    bytes /= (double)(all.packets_sent - sent.packets_sent);
    finish();
    printf("a packet of inputs, 60 Hz, 100 ms: %.1f bytes (goal %d) %s\n", bytes, GOAL_BYTES,
           bytes <= GOAL_BYTES ? "ok" : "MISSED");
    return 0;
}
