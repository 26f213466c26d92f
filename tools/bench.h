/* bench.h - what the programs of `make bench` share: a table of figures, clocks, and two endpoints
   with a counted link between them

   Each program is a list of sections,

       static const section sections[] = { { "traffic", run_traffic }, ... };
       int main(int count, char **words) {
           return bench_main("bench_traffic", count, words, sections, 1);
       }

   and runs those that its arguments name, or all; `quick` takes a tenth of the work. Each round
   runs every contender once, and a row is the median of its rounds, so what the machine does
   meanwhile strikes all alike. A figure above its goal is MISSED and no failure. The program exits
   1 when something did not arrive or was not what had been sent. */
#ifndef TOOLS_BENCH_H
#define TOOLS_BENCH_H

#include "examples/udp.h"       /* first: it asks the system headers for more than C99 offers */

#include <stdarg.h>
#include <stdlib.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"

static const double tick_seconds = 1.0 / 60.0;

/* ---------------------------------------------------------------------------
 * The table: rows in the order of their first sample, and complaints
 * ------------------------------------------------------------------------ */

enum { ROWS_MAX = 64, SAMPLES_MAX = 32, NAME_BYTES = 48, COMPLAINTS_SHOWN = 20 };

typedef struct row {
    char        name[NAME_BYTES];
    const char *unit;
    double      goal;                         /* at most; 0: for information */
    double      samples[SAMPLES_MAX];
    int         count;
} row;

static row rows[ROWS_MAX];
static int row_count;
static int complaints;

static inline void complain(const char *format, ...) {
    va_list list;
    if (complaints++ >= COMPLAINTS_SHOWN) return;
    va_start(list, format);
    fprintf(stderr, "bench: ");
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
    va_end(list);
}

/* Adds a sample to the row "group.figure". */
static inline void record(const char *group, const char *figure, const char *unit, double goal,
                   double value) {
    char name[NAME_BYTES];
    row *r;
    int i;
    snprintf(name, sizeof name, "%s.%s", group, figure);
    for (i = 0; i < row_count && strcmp(rows[i].name, name) != 0; i++) continue;
    if (i == ROWS_MAX) {
        complain("no room for the row %s", name);
        return;
    }
    r = &rows[i];
    if (i == row_count) {
        row_count++;
        memcpy(r->name, name, sizeof name);
        r->unit = unit;
        r->goal = goal;
    }
    if (r->count < SAMPLES_MAX) r->samples[r->count++] = value;
}

static inline int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Prints the row; returns whether it misses its goal. */
static inline bool print_row(row *r) {
    double median, low, high;
    bool missed;
    qsort(r->samples, (size_t)r->count, sizeof r->samples[0], compare_doubles);
    median = (r->samples[r->count / 2] + r->samples[(r->count - 1) / 2]) / 2;
    low = r->samples[0];
    high = r->samples[r->count - 1];
    missed = r->goal > 0 && median > r->goal;
    printf("%-38s %10.2f %10.2f %10.2f  %-8s", r->name, median, low, high, r->unit);
    if (r->goal > 0) {
        printf(" %10.2f %6.2f  %s\n", r->goal, median / r->goal, missed ? "MISSED" : "ok");
    } else {
        printf(" %10s %6s\n", "-", "-");
    }
    return missed;
}

static inline void print_table(void) {
    int i, goals = 0, missed = 0;
    printf("%-38s %10s %10s %10s  %-8s %10s %6s\n", "row", "median", "low", "high", "unit", "goal",
           "ratio");
    for (i = 0; i < row_count; i++) {
        goals += rows[i].goal > 0;
        missed += print_row(&rows[i]);
    }
    printf("%d goals, %d missed; deliveries %s\n", goals, missed,
           complaints == 0 ? "verified" : "NOT VERIFIED");
}

/* ---------------------------------------------------------------------------
 * Clock and numbers
 * ------------------------------------------------------------------------ */

static inline double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* splitmix64 */
static inline uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* ---------------------------------------------------------------------------
 * A link around a link that counts what is sent, and may note every size
 * ------------------------------------------------------------------------ */

enum { TRACE_ENTRIES_PER_TICK = 64 };

/* Sizes of datagrams; 0 ends a side's turn. Server and client take turns. */
typedef struct trace {
    uint16_t *sizes;
    int       count, room;
} trace;

typedef struct tap {
    wisp_link inner;
    uint64_t  bytes, datagrams;
    trace    *trace;                          /* NULL: sizes are not noted */
} tap;

static inline void trace_add(trace *t, int size) {
    if (t && t->count < t->room) t->sizes[t->count++] = (uint16_t)size;
}

static inline int tap_send(void *user, wisp_packet *packets, int count) {
    tap *t = (tap *)user;
    int i, done = t->inner.send(t->inner.user, packets, count);
    for (i = 0; i < done; i++) {
        if (packets[i].status != WISP_OK) continue;
        t->bytes += (uint64_t)packets[i].size;
        t->datagrams++;
        trace_add(t->trace, packets[i].size);
    }
    return done;
}

static inline int tap_recv(void *user, wisp_packet *packets, int count) {
    tap *t = (tap *)user;
    return t->inner.recv(t->inner.user, packets, count);
}

static inline wisp_link tap_link(tap *t, wisp_link inner) {
    wisp_link link = inner;
    memset(t, 0, sizeof *t);
    t->inner = inner;
    link.send = tap_send;
    link.recv = tap_recv;
    link.user = t;
    return link;
}

/* ---------------------------------------------------------------------------
 * A server and a client, over memory or UDP, or through two simulators
 * ------------------------------------------------------------------------ */

enum { SERVER, CLIENT, SIDES };
enum { JOIN_TICKS_MAX = 2000, REMOTES_OTHER = 15 };

typedef struct pair {
    wisp          *ends[SIDES];
    wisp_peer      peer;                      /* the client, as the server knows it */
    double         now, step;
    tap            taps[SIDES];
    wisp_pipe      pipe;
    udp_socket     sockets[SIDES];
    wisp_simulator simulators[SIDES];
    bool           over_udp, simulated;
    double         tick_rate;                 /* of the server; 0: none */
} pair;

static inline void on_error(wisp_event *event) {
    complain("error event: %s (%s)", wisp_result_text(event->result), event->text);
}

/* An endpoint that knows, beside what the caller will name, as many remotes as a small game. */
static inline wisp *open_endpoint(wisp_link link, int side, int max_peers,
                                  const wisp_limits *limits, uint64_t seed, double tick_rate) {
    wisp_desc desc;
    wisp_result why = WISP_OK;
    wisp *w;
    char name[16];
    int i;
    memset(&desc, 0, sizeof desc);
    desc.link = link;
    desc.app = "bench";
    desc.max_peers = max_peers;
    desc.refuse_joins = side == CLIENT;
    desc.seed = seed;
    desc.tick_rate = tick_rate;
    if (limits) desc.limits = *limits;
    w = wisp_create(&desc, &why);
    if (!w) {
        complain("wisp_create: %s", wisp_result_text(why));
        return NULL;
    }
    wisp_connect(w, WISP_ERROR, on_error, NULL);
    for (i = 0; i < REMOTES_OTHER; i++) {
        snprintf(name, sizeof name, "remote-%d", i);
        wisp_remote_named(w, name);
    }
    return w;
}

/* The server moves first: what it sends in a tick can arrive in the same tick. */
static inline void pair_tick(pair *p) {
    int side;
    p->now += p->step;
    for (side = SERVER; side < SIDES; side++) {
        p->simulators[side].now = p->now;
        wisp_update(p->ends[side], p->now);
        trace_add(p->taps[side].trace, 0);
    }
}

static inline void pair_close(pair *p) {
    int side;
    for (side = SIDES - 1; side >= SERVER; side--) {
        if (p->ends[side]) wisp_destroy(p->ends[side]);
        if (p->over_udp) udp_close(&p->sockets[side]);
        if (p->simulated) wisp_simulator_free(&p->simulators[side]);
    }
    wisp_pipe_free(&p->pipe);
}

static inline wisp_link pair_link(pair *p, int side) {
    wisp_link link;
    memset(&link, 0, sizeof link);
    if (!p->over_udp) {
        link = wisp_loopback(&p->pipe, side);
    } else if (udp_open(&p->sockets[side], "127.0.0.1", 0)) {
        link = udp_link(&p->sockets[side]);
    } else {
        complain("no UDP socket on 127.0.0.1");
    }
    if (p->simulated) link = wisp_simulate(&p->simulators[side], link);
    return tap_link(&p->taps[side], link);
}

static inline bool pair_join(pair *p) {
    wisp_addr server = wisp_loopback_addr(SERVER);
    int i;
    if (p->over_udp && !udp_resolve("127.0.0.1", udp_port(&p->sockets[SERVER]), &server)) {
        return false;
    }
    wisp_join(p->ends[CLIENT], &server, NULL, 0);
    for (i = 0; i < JOIN_TICKS_MAX; i++) {
        pair_tick(p);
        if (wisp_peers(p->ends[CLIENT], NULL, 0) == 1 &&
            wisp_peers(p->ends[SERVER], &p->peer, 1) == 1) {
            return true;
        }
    }
    return false;
}

/* `p` comes with over_udp, simulated, simulators, pipe and step set as wanted, the rest zero. */
static inline bool pair_open(pair *p, const wisp_limits *limits, uint64_t seed) {
    int side;
    for (side = SERVER; side < SIDES; side++) p->sockets[side].handle = UDP__NO_HANDLE;
    for (side = SERVER; side < SIDES; side++) {
        uint64_t own_seed = seed ? seed * SIDES + (uint64_t)side : 0;
        p->ends[side] = open_endpoint(pair_link(p, side), side, 4, limits, own_seed,
                                      side == SERVER ? p->tick_rate : 0);
    }
    if (p->ends[SERVER] && p->ends[CLIENT] && pair_join(p)) return true;
    complain("a client could not join");
    pair_close(p);
    return false;
}

static inline uint64_t pair_bytes(const pair *p) {
    return p->taps[SERVER].bytes + p->taps[CLIENT].bytes;
}

/* ---------------------------------------------------------------------------
 * Sections
 * ------------------------------------------------------------------------ */

typedef struct section {
    const char *name;
    void (*run)(bool quick);
} section;

static inline int usage(const char *program, const section *sections, int count) {
    int i;
    fprintf(stderr, "usage: %s [quick]", program);
    for (i = 0; i < count; i++) fprintf(stderr, " [%s]", sections[i].name);
    fprintf(stderr, "\n");
    return 2;
}

static inline int bench_main(const char *program, int words_count, char **words,
                             const section *sections, int count) {
    unsigned long wanted = 0;
    bool quick = false;
    int i, j;
    for (i = 1; i < words_count; i++) {
        if (strcmp(words[i], "quick") == 0) {
            quick = true;
            continue;
        }
        for (j = 0; j < count && strcmp(words[i], sections[j].name) != 0; j++) continue;
        if (j == count) return usage(program, sections, count);
        wanted |= 1ul << j;
    }
    for (i = 0; i < count; i++)
        if (wanted == 0 || wanted >> i & 1) sections[i].run(quick);
    print_table();
    return complaints == 0 ? 0 : 1;
}

#endif /* TOOLS_BENCH_H */
