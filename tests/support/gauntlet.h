/* gauntlet.h - bad networks, what is sent over them, and what must come of it

   A trial is one network and one load. gauntlet_wisp.h runs it with wisp in simulated time,
   tools/gauntlet_enet.h with ENet in real time; both fill the same outcome. `make gauntlet`
   prints a table. */
#ifndef GAUNTLET_H
#define GAUNTLET_H

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* What one end, the sender, sends to the other. */
typedef enum gauntlet_load {
    LOAD_BLOB,       /* one reliable message of `bytes`; ends when it has arrived */
    LOAD_BULK,       /* reliable messages of 1,000 bytes, as many as the network carries */
    LOAD_LIVE,       /* bulk, and 1,000 bytes of unreliable state at 20 Hz, whose age is measured */
    LOAD_STREAM,     /* reliable messages of 32 bytes at 60 Hz */
    LOAD_THIN,       /* unreliable: inputs of 32 bytes at 60 Hz; 200 bytes at 20 Hz back */
    LOAD_ECHO        /* reliable messages of 8 bytes at 50 Hz, each sent back at once */
} gauntlet_load;

/* What happens in the middle of a trial. */
typedef enum gauntlet_incident {
    NO_INCIDENT,
    MOVES,           /* the sender's port changes, as by a NAT */
    SLEEPS,          /* the sender is not updated for 12 s */
    RESTARTS         /* the taker is killed, and up again after half a second */
} gauntlet_incident;

typedef struct gauntlet_trial {
    const char *name;
    gauntlet_load kind;
    double seconds;                     /* of load, after the join and one second */
    double rtt, jitter;                 /* seconds; jitter for each direction, in order */
    double rate, queue;                 /* bytes per second; bytes; of the sender's direction */
    double loss, burst, back_loss;      /* 0..1; packets in a burst; of the other direction */
    double reorder, late;               /* 0..1 of packets come so many seconds late */
    double narrow_rate;                 /* after a third of the time the rate is this one, */
                                        /* after two thirds as before; 0: it stays */
    int    bytes, hole;                 /* of the blob; larger datagrams vanish, 0: none */
    gauntlet_incident incident;
} gauntlet_trial;

/* Many sessions at once, each on a network of its own that is bad from the start. */
typedef struct gauntlet_crowd {
    const char *name;
    int    count;
    double seconds;                     /* that a join may take; then of talk, if it talks */
    double rtt, loss, burst;
    bool   slow;                        /* ends are updated 1 to 60 times a second, else 60 */
    bool   talks;                       /* both send 32 bytes ten times a second, reliably */
} gauntlet_crowd;

typedef struct gauntlet_crowd_outcome {
    int      joined, ended;             /* both know of the session; it ended by itself */
    double   mean, worst;               /* seconds of a join */
    uint64_t spent;                     /* bytes */
} gauntlet_crowd_outcome;

enum { AGES_MAX = 16384 };
#define DRAIN_SECONDS 3.0               /* after the load: what is under way still arrives */

typedef struct gauntlet_outcome {
    bool     done, ended;               /* joined, and a blob has arrived; timed out or so */
    double   seconds;                   /* until the blob had arrived, else the time of the load */
    double   goodput;                   /* bytes of bulk per second after the first quarter */
    double   mean, p95, worst;          /* seconds, age of the small messages */
    double   standing, peak;            /* seconds in the queue: mean after a quarter; most */
    double   recovery, regained;        /* seconds to ages < 300 ms (p95) after the narrowing; */
                                        /* share of `rate` from the 5th second after it on */
    double   told;                      /* seconds from the end of the incident until the sender */
                                        /* is told that the session has ended */
    double   ratio;                     /* of seconds to those of the first trial of its kind */
    uint64_t fired, arrived, held;      /* small messages; ticks in which some had to wait */
    uint64_t spent, packets, called_lost;      /* bytes and packets of both ends */
} gauntlet_outcome;

/* Updates per second of an end of the n-th session. */
static inline double gauntlet_crowd_hz(const gauntlet_crowd *c, int n, int end) {
    return c->slow ? 1 + (n * 23 + end * 37) % 60 : 60;
}

static inline void gauntlet_crowd_joined(gauntlet_crowd_outcome *out, double seconds) {
    out->joined++;
    out->mean += seconds;
    if (seconds > out->worst) out->worst = seconds;
}

/* --- the ages of small messages, in the order of their arrival --- */

typedef struct gauntlet_ages {
    double fired_at[AGES_MAX];
    bool   arrived[AGES_MAX];
    double age[AGES_MAX];
    int    fired, count;
} gauntlet_ages;

static inline void ages_arrive(gauntlet_ages *a, int64_t index, double now) {
    if (index < 0 || index >= a->fired || a->arrived[index]) return;
    a->arrived[index] = true;
    a->age[index] = now - a->fired_at[index];
    a->count++;
}

static inline int ages_compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The share `part` of the ages of messages fired in a span of time is not above this. */
static inline double ages_part(const gauntlet_ages *a, double from, double to, double part) {
    static double sorted[AGES_MAX];
    int count = 0;
    for (int i = 0; i < a->fired; i++)
        if (a->arrived[i] && a->fired_at[i] >= from && a->fired_at[i] < to)
            sorted[count++] = a->age[i];
    qsort(sorted, (size_t)count, sizeof *sorted, ages_compare);
    return count ? sorted[(int)(part * (count - 1) + 0.5)] : HUGE_VAL;
}

/* Seconds from `from` until the ages of each later second are below 0.3 s (p95). */
static inline double ages_recovery(const gauntlet_ages *a, double from, double to) {
    double last_bad = from;
    for (double at = from; at + 1 <= to; at += 0.25)
        if (!(ages_part(a, at, at + 1, 0.95) < 0.3)) last_bad = at + 0.25;
    return last_bad + 1 > to ? HUGE_VAL : last_bad - from;
}

static inline void ages_into(const gauntlet_ages *a, gauntlet_outcome *out) {
    double sum = 0;
    for (int i = 0; i < a->fired; i++) sum += a->arrived[i] ? a->age[i] : 0;
    out->fired = (uint64_t)a->fired;
    out->arrived = (uint64_t)a->count;
    out->mean = a->count ? sum / a->count : HUGE_VAL;
    out->p95 = ages_part(a, 0, HUGE_VAL, 0.95);
    out->worst = ages_part(a, 0, HUGE_VAL, 1);
}

/* ---------------------------------------------------------------------------
 * The figures of an outcome
 * ------------------------------------------------------------------------ */

typedef enum gauntlet_figure {
    FIGURE_NONE, FIGURE_SECONDS, FIGURE_RATIO, FIGURE_GOODPUT, FIGURE_MEAN, FIGURE_P95,
    FIGURE_WORST, FIGURE_STANDING, FIGURE_PEAK, FIGURE_RECOVERY, FIGURE_REGAINED, FIGURE_HELD,
    FIGURE_MISSING, FIGURE_CALLED_LOST, FIGURE_SPENT, FIGURE_ENDED, FIGURE_TOLD, FIGURES
} gauntlet_figure;

static const struct { const char *name, *unit; bool more_is_better; } gauntlet_figures[FIGURES] = {
    { "", "", false },
    { "time", "s", false },
    { "time, of that in order", "x", false },
    { "goodput", "kB/s", true },
    { "age, mean", "ms", false },
    { "age, 95%", "ms", false },
    { "age, worst", "ms", false },
    { "queue, standing", "ms", false },
    { "queue, at most", "ms", false },
    { "fresh again after", "s", false },
    { "bulk, 5 s after the return", "%", true },
    { "ticks held back", "", false },
    { "messages lost", "%", false },
    { "packets called lost", "%", false },
    { "bytes sent", "kB", false },
    { "session ended by itself", "", false },
    { "the sender is told after", "ms", false },
};

static inline double gauntlet_figure_of(const gauntlet_outcome *out, gauntlet_figure f) {
    switch (f) {
    case FIGURE_SECONDS: return out->done ? out->seconds : HUGE_VAL;
    case FIGURE_RATIO: return out->ratio;
    case FIGURE_GOODPUT: return out->goodput / 1e3;
    case FIGURE_MEAN: return out->mean * 1e3;
    case FIGURE_P95: return out->p95 * 1e3;
    case FIGURE_WORST: return out->arrived ? out->worst * 1e3 : HUGE_VAL;
    case FIGURE_STANDING: return out->standing * 1e3;
    case FIGURE_PEAK: return out->peak * 1e3;
    case FIGURE_RECOVERY: return out->recovery;
    case FIGURE_REGAINED: return out->regained * 100;
    case FIGURE_HELD: return (double)out->held;
    case FIGURE_MISSING:
        return out->fired ? 100 - 100.0 * (double)out->arrived / (double)out->fired : 0;
    case FIGURE_CALLED_LOST:
        return out->packets ? 100.0 * (double)out->called_lost / (double)out->packets : 0;
    case FIGURE_SPENT: return (double)out->spent / 1e3;
    case FIGURE_TOLD: return out->told * 1e3;
    case FIGURE_ENDED: return out->ended ? 1 : 0;
    default: return 0;
    }
}

/* ---------------------------------------------------------------------------
 * The trials, and what must be; `must` 0: for information
 * ------------------------------------------------------------------------ */

#define GAUNTLET_NONE 1e-9

enum { GAUNTLET_GOALS = 6 };

typedef struct gauntlet_goal { gauntlet_figure f; double must; } gauntlet_goal;
typedef struct gauntlet_row { gauntlet_trial t; gauntlet_goal goals[GAUNTLET_GOALS]; } gauntlet_row;

/* Is `g` one of the row's goals, or beyond the last? */
static inline bool gauntlet_more(const gauntlet_row *r, const gauntlet_goal *g) {
    return g < r->goals + GAUNTLET_GOALS && g->f != FIGURE_NONE;
}

#define GAUNTLET_BLOB(share, called_lost) \
    { { "1 MB, 60 ms, " #share "% come 30 ms late", LOAD_BLOB, 120, 0.06, 0, 0, 0, 0, 0, 0, \
        share / 100.0, 0.03, 0, 1000000, 0, NO_INCIDENT }, \
      { { FIGURE_SECONDS, 0 }, { FIGURE_RATIO, 1.5 }, { FIGURE_CALLED_LOST, called_lost }, \
        { FIGURE_SPENT, 0 } } }
#define GAUNTLET_BULK(percent, must) \
    { { "bulk, 100 ms, 1,250 kB/s, " #percent "% loss", LOAD_BULK, 12, 0.1, 0, 1250e3, 65536, \
        percent / 100.0, 0, 0, 0, 0, 0, 0, 0, NO_INCIDENT }, \
      { { FIGURE_GOODPUT, must }, { FIGURE_SPENT, 0 } } }
#define GAUNTLET_LIVE(buffer, bytes, must) \
    { { "falls to 100 kB/s and returns, buffer " buffer, LOAD_LIVE, 48, 0.1, 0, 1250e3, bytes, \
        0, 0, 0, 0, 0, 100e3, 0, 0, NO_INCIDENT }, \
      { { FIGURE_RECOVERY, must }, { FIGURE_REGAINED, 60 }, { FIGURE_MISSING, 0 }, \
        { FIGURE_SPENT, 0 } } }
#define GAUNTLET_THIN(percent) \
    { { "60 Hz inputs, 20 Hz state, " #percent "% loss", LOAD_THIN, 60, 0.1, 0, 0, 0, \
        percent / 100.0, 0, 0, 0, 0, 0, 0, 0, NO_INCIDENT }, \
      { { FIGURE_HELD, GAUNTLET_NONE }, { FIGURE_WORST, 0 }, { FIGURE_MISSING, 0 }, \
        { FIGURE_SPENT, 0 } } }

static const gauntlet_row gauntlet_rows[] = {
    GAUNTLET_BLOB(0, 3), GAUNTLET_BLOB(1, 3), GAUNTLET_BLOB(5, 3), GAUNTLET_BLOB(25, 3),
    GAUNTLET_BULK(0, 1060), GAUNTLET_BULK(2, 1060), GAUNTLET_BULK(5, 1000),
    GAUNTLET_BULK(10, 875), GAUNTLET_BULK(15, 750),
    GAUNTLET_LIVE("64 KiB", 65536, 3), GAUNTLET_LIVE("2.5 MB", 2.5e6, 7),
    GAUNTLET_THIN(5), GAUNTLET_THIN(20), GAUNTLET_THIN(30),
    { { "bulk on a link with 2 s of buffer", LOAD_BULK, 12, 0.1, 0, 1250e3, 2.5e6, 0, 0, 0, 0, 0,
        0, 0, 0, NO_INCIDENT },
      { { FIGURE_STANDING, 30 }, { FIGURE_PEAK, 200 }, { FIGURE_GOODPUT, 1080 },
        { FIGURE_SPENT, 0 } } },
    { { "100 kB where more than 1,000 bytes vanish", LOAD_BLOB, 30, 0.1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        100000, 1000, NO_INCIDENT },
      { { FIGURE_SECONDS, 10 }, { FIGURE_ENDED, GAUNTLET_NONE }, { FIGURE_SPENT, 0 } } },
    { { "32 bytes at 60 Hz, the sender's port moves", LOAD_STREAM, 20, 0.1, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, MOVES },
      { { FIGURE_WORST, 300 }, { FIGURE_MISSING, GAUNTLET_NONE }, { FIGURE_ENDED, GAUNTLET_NONE },
        { FIGURE_SPENT, 0 } } },
    { { "the same, the sender sleeps for 12 s", LOAD_STREAM, 60, 0.1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, SLEEPS }, { { FIGURE_TOLD, 250 }, { FIGURE_SPENT, 0 } } },
    { { "the same, the taker restarts", LOAD_STREAM, 60, 0.1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        RESTARTS }, { { FIGURE_TOLD, 250 }, { FIGURE_SPENT, 0 } } },
    { { "32 bytes at 60 Hz, 60% of acks lost", LOAD_STREAM, 60, 0.1, 0, 0, 0, 0, 0, 0.6, 0, 0, 0, 0,
        0, NO_INCIDENT },
      { { FIGURE_MEAN, 90 }, { FIGURE_WORST, 500 }, { FIGURE_MISSING, GAUNTLET_NONE },
        { FIGURE_ENDED, GAUNTLET_NONE }, { FIGURE_SPENT, 0 } } },
    { { "echo of 8 bytes, KCP's simulator", LOAD_ECHO, 20, 0.06, 0.0325, 0, 0, 0.05, 0, 0, 0, 0, 0,
        0, 0, NO_INCIDENT },
      { { FIGURE_MEAN, 125 }, { FIGURE_WORST, 350 }, { FIGURE_MISSING, GAUNTLET_NONE },
        { FIGURE_SPENT, 0 } } },
};
enum { GAUNTLET_ROWS = sizeof gauntlet_rows / sizeof gauntlet_rows[0] };

#define GAUNTLET_JOIN(ms) \
    { "joins, " #ms " ms, 20% loss, 1 to 60 Hz", 40, 30, ms / 1e3, 0.2, 0, true, false }

static const gauntlet_crowd gauntlet_crowds[] = {
    GAUNTLET_JOIN(100), GAUNTLET_JOIN(700), GAUNTLET_JOIN(1500), GAUNTLET_JOIN(3000),
    { "sessions, 20% loss in bursts of 3", 200, 30, 0.1, 0.2, 3, false, true },
};
enum { GAUNTLET_CROWDS = sizeof gauntlet_crowds / sizeof gauntlet_crowds[0] };

/* Flows that share a link of 1,250 kB/s and 100 ms, with a buffer of so many products of these.
   `must`: Jain's index of flows alike, or the share of the weaker, in percent, when the second one
   is controlled as RFC 9002 says. */
typedef struct gauntlet_sharing { int flows; double buffer, must; bool beside; } gauntlet_sharing;

static const gauntlet_sharing gauntlet_sharings[] = {
    { 2, 1, 0.95, false }, { 2, 4, 0.95, false }, { 4, 1, 0.93, false }, { 4, 4, 0.93, false },
    { 2, 0.5, 10, true },  { 2, 1, 25, true },    { 2, 4, 25, true },
};
enum { GAUNTLET_SHARINGS = sizeof gauntlet_sharings / sizeof gauntlet_sharings[0] };

#endif /* GAUNTLET_H */
