/* load_figures.h - what wisp_load counts and measures */
#ifndef LOAD_FIGURES_H
#define LOAD_FIGURES_H

#include <math.h>

/* --- counters and times: sums of all processes ------------------------------ */

typedef enum counter {
    JOINS_BEGUN, JOINED, JOINS_FAILED, LEAVES, VANISHED, LOST_SESSIONS,
    FIRED, FIRED_RELIABLE, FIRE_REFUSED, CALLS, REPLIES, CALLS_FAILED, EDITS, INPUTS,
    TOLD, SEEN_OBJECTS, BYTES_OUT, BYTES_IN, PACKETS_OUT, PACKETS_IN, MESSAGES_IN, RESENT,
    ABANDONED, UNSETTLED, BAD_SENT, CLIENT_CPU_US, WAITED_US,
    SERVER_RECEIVED, SERVER_RELIABLE, SERVER_MESSAGES_IN, SERVER_MESSAGES_OUT, SERVER_BYTES_IN,
    SERVER_BYTES_OUT, SERVER_CPU_US, SERVER_ERRORS, SERVER_FOREIGN, SERVER_BAD_TAG,
    SERVER_MALFORMED, SERVER_FLOODED, SERVER_INPUTS, SERVER_NO_INPUT,
    CONNECTED, SERVER_MEMORY, SERVER_PEAK, SERVER_RSS, COUNTERS, GAUGES = CONNECTED
} counter;                               /* from GAUGES on: the newest number counts */

typedef enum timing { CALL_TIME, FIRE_TIME, TELL_TIME, OBJECT_TIME, INPUT_TIME, JOIN_TIME, TIMINGS }
    timing;

/* Bins are 1/8 of a doubling: within 5%, from a microsecond to an hour. */
enum { BINS = 256, BINS_DOUBLING = 8 };

typedef struct times { uint32_t bins[BINS], count; float most; double sum; } times;

typedef struct figures {
    uint64_t count[COUNTERS];
    times    times[TIMINGS];
} figures;

static void times_add(times *t, double seconds) {
    double at = seconds > 1e-6 ? log2(seconds * 1e6) * BINS_DOUBLING : 0;
    t->bins[at < BINS - 1 ? (int)at : BINS - 1]++;
    t->count++;
    t->sum += seconds;
    if (seconds > (double)t->most) t->most = (float)seconds;
}

static void times_merge(times *to, const times *from) {
    for (int i = 0; i < BINS; i++) to->bins[i] += from->bins[i];
    to->count += from->count;
    to->sum += from->sum;
    if (from->most > to->most) to->most = from->most;
}

/* Seconds: the middle of the bin of a quantile. */
static double times_at(const times *t, double share) {
    uint64_t wanted = (uint64_t)(share * t->count), seen = 0;
    double middle = 0;
    for (int i = 0; i < BINS && t->count > 0; i++) {
        seen += t->bins[i];
        if (seen <= wanted && seen < t->count) continue;
        middle = exp2((i + 0.5) / BINS_DOUBLING) * 1e-6;
        break;
    }
    return middle < (double)t->most ? middle : (double)t->most;
}

static void figures_merge(figures *to, const figures *from) {
    for (int i = 0; i < GAUGES; i++) to->count[i] += from->count[i];
    for (int i = 0; i < TIMINGS; i++) times_merge(&to->times[i], &from->times[i]);
}

/* --- a run ------------------------------------------------------------------ */

enum { SECONDS_MOST = 7300, DROPS = 32 };

/* One second of it. */
typedef struct sample {
    double at, connected, fired, calls, delivered, kilobytes_up, kilobytes_down;
    double p50, p90, p99, fire_p99, server_cpu, memory_mb, errors;
} sample;

typedef struct drop_row { char name[WISP_SNAPSHOT_NAME + 32]; uint64_t count; } drop_row;

typedef struct run_report {
    figures  all, busy;                  /* busy: between the ramp and the end */
    double   seconds;                    /* of the busy time */
    bool     exact;                      /* the server is our own, which counts what comes */
    int      clients;
    wisp_timing handlers;                /* of the server's profiler */
    drop_row drops[DROPS];
    int      drop_count;
    char     errors[WISP_SNAPSHOT_ERRORS][WISP_SNAPSHOT_NAME + WISP_SNAPSHOT_TEXT + 8];
    int      error_count;                /* the server's last ones */
    sample  *samples;
    int      sample_count;
} run_report;

/* Reliable messages that were fired and of which nobody knows what became. Our own server has
   counted what came. Elsewhere a session is settled that was drained, or that has told what it
   abandoned. */
static double unaccounted(const run_report *r) {
    const uint64_t *c = r->all.count;
    double known = r->exact ? (double)(c[SERVER_RELIABLE] + c[ABANDONED])
                            : (double)(c[FIRED_RELIABLE] - c[UNSETTLED]);
    return known < (double)c[FIRED_RELIABLE] ? (double)c[FIRED_RELIABLE] - known : 0;
}

typedef struct metric { const char *name, *unit; double (*value)(const run_report *r); } metric;

#define COUNT_METRIC(function, which) \
    static double function(const run_report *r) { return (double)r->all.count[which]; }
#define RATE_METRIC(function, sum) \
    static double function(const run_report *r) { \
        const uint64_t *c = r->busy.count; \
        return r->seconds > 0 ? (double)(sum) / r->seconds : 0; \
    }
#define TIME_METRICS(prefix, which, of) \
    static double prefix##_p50(const run_report *r) { return times_at(&r->of.times[which], .5); } \
    static double prefix##_p90(const run_report *r) { return times_at(&r->of.times[which], .9); } \
    static double prefix##_p99(const run_report *r) { return times_at(&r->of.times[which], .99); } \
    static double prefix##_max(const run_report *r) { return (double)r->of.times[which].most; }

COUNT_METRIC(m_joined, JOINED)
COUNT_METRIC(m_joins_failed, JOINS_FAILED)
COUNT_METRIC(m_lost_sessions, LOST_SESSIONS)
COUNT_METRIC(m_churned, LEAVES)
COUNT_METRIC(m_vanished, VANISHED)
COUNT_METRIC(m_fired, FIRED)
COUNT_METRIC(m_refused, FIRE_REFUSED)
COUNT_METRIC(m_calls, CALLS)
COUNT_METRIC(m_calls_failed, CALLS_FAILED)
COUNT_METRIC(m_told, TOLD)
COUNT_METRIC(m_objects, SEEN_OBJECTS)
COUNT_METRIC(m_inputs, INPUTS)
COUNT_METRIC(m_inputs_used, SERVER_INPUTS)
COUNT_METRIC(m_inputs_missed, SERVER_NO_INPUT)
COUNT_METRIC(m_resent, RESENT)
COUNT_METRIC(m_bad, BAD_SENT)
COUNT_METRIC(m_errors, SERVER_ERRORS)
COUNT_METRIC(m_foreign, SERVER_FOREIGN)
COUNT_METRIC(m_bad_tag, SERVER_BAD_TAG)
COUNT_METRIC(m_malformed, SERVER_MALFORMED)
COUNT_METRIC(m_flooded, SERVER_FLOODED)
COUNT_METRIC(m_abandoned, ABANDONED)
RATE_METRIC(m_fired_rate, c[FIRED])
RATE_METRIC(m_told_rate, c[TOLD])
RATE_METRIC(m_calls_rate, c[REPLIES])
RATE_METRIC(m_up, c[BYTES_OUT])
RATE_METRIC(m_down, c[BYTES_IN])
RATE_METRIC(m_packets, c[PACKETS_OUT] + c[PACKETS_IN])
TIME_METRICS(call, CALL_TIME, busy)
TIME_METRICS(fire, FIRE_TIME, busy)
TIME_METRICS(tell, TELL_TIME, busy)
TIME_METRICS(object, OBJECT_TIME, busy)
TIME_METRICS(input, INPUT_TIME, busy)
TIME_METRICS(join, JOIN_TIME, all)

static double m_p50(const run_report *r) { return (double)r->handlers.p50; }
static double m_p90(const run_report *r) { return (double)r->handlers.p90; }
static double m_p99(const run_report *r) { return (double)r->handlers.p99; }
static double m_most(const run_report *r) { return (double)r->handlers.max; }

static double m_per_client(const run_report *r) {
    return r->clients ? (m_up(r) + m_down(r)) / r->clients : 0;
}

static double m_cpu(const run_report *r) {
    return r->seconds > 0 ? (double)r->busy.count[SERVER_CPU_US] / 1e6 / r->seconds : 0;
}

/* Messages of both ways; of a server that does not tell those that its clients count. */
static double m_cpu_message(const run_report *r) {
    const uint64_t *c = r->busy.count;
    uint64_t own = c[SERVER_MESSAGES_IN] + c[SERVER_MESSAGES_OUT];
    if (!own) own = c[FIRED] + c[CALLS] + c[MESSAGES_IN];
    return own ? (double)c[SERVER_CPU_US] / 1e6 / (double)own : 0;
}

static double m_memory(const run_report *r) { return (double)r->all.count[SERVER_MEMORY] / 1e6; }
static double m_peak(const run_report *r) { return (double)r->all.count[SERVER_PEAK] / 1e6; }
static double m_rss(const run_report *r) { return (double)r->all.count[SERVER_RSS] / 1e6; }

static double m_client_cpu(const run_report *r) {
    return r->seconds > 0 ? (double)r->busy.count[CLIENT_CPU_US] / 1e6 / r->seconds : 0;
}

/* Processes that could run and had to wait for a core: a busy machine makes all times long. */
static double m_waited(const run_report *r) {
    return r->seconds > 0 ? (double)r->busy.count[WAITED_US] / 1e6 / r->seconds : 0;
}

static double m_dropped(const run_report *r) {
    double sum = 0;
    for (int i = 0; i < r->drop_count; i++) sum += (double)r->drops[i].count;
    return sum;
}

/* Units: s is shown as ms or us; cores: seconds of CPU per second. */
static const metric metrics[] = {
    { "joined", "sessions", m_joined }, { "joins_failed", "sessions", m_joins_failed },
    { "lost_sessions", "sessions", m_lost_sessions }, { "left", "sessions", m_churned },
    { "vanished", "sessions", m_vanished },
    { "fired", "messages", m_fired }, { "fired_per_second", "messages/s", m_fired_rate },
    { "refused", "messages", m_refused }, { "abandoned", "messages", m_abandoned },
    { "unaccounted", "messages", unaccounted }, { "resent", "messages", m_resent },
    { "told", "messages", m_told }, { "told_per_second", "messages/s", m_told_rate },
    { "calls", "calls", m_calls }, { "calls_failed", "calls", m_calls_failed },
    { "replies_per_second", "calls/s", m_calls_rate },
    { "object_states", "states", m_objects },
    { "inputs", "inputs", m_inputs }, { "inputs_used", "inputs", m_inputs_used },
    { "inputs_missed", "ticks", m_inputs_missed },
    { "call.p50", "s", call_p50 }, { "call.p90", "s", call_p90 }, { "call.p99", "s", call_p99 },
    { "call.max", "s", call_max },
    { "fire.p50", "s", fire_p50 }, { "fire.p90", "s", fire_p90 }, { "fire.p99", "s", fire_p99 },
    { "fire.max", "s", fire_max },
    { "tell.p50", "s", tell_p50 }, { "tell.p90", "s", tell_p90 }, { "tell.p99", "s", tell_p99 },
    { "tell.max", "s", tell_max },
    { "object.p50", "s", object_p50 }, { "object.p90", "s", object_p90 },
    { "object.p99", "s", object_p99 }, { "object.max", "s", object_max },
    { "input.p50", "s", input_p50 }, { "input.p90", "s", input_p90 },
    { "input.p99", "s", input_p99 }, { "input.max", "s", input_max },
    { "join.p50", "s", join_p50 }, { "join.p90", "s", join_p90 }, { "join.p99", "s", join_p99 },
    { "join.max", "s", join_max },
    { "handler.p50", "s", m_p50 }, { "handler.p90", "s", m_p90 }, { "handler.p99", "s", m_p99 },
    { "handler.max", "s", m_most },
    { "up", "B/s", m_up }, { "down", "B/s", m_down },
    { "packets_per_second", "packets/s", m_packets },
    { "bytes_per_client", "B/s", m_per_client },
    { "server.cpu", "cores", m_cpu }, { "server.cpu_per_message", "s", m_cpu_message },
    { "server.memory", "MB", m_memory }, { "server.memory_peak", "MB", m_peak },
    { "server.rss", "MB", m_rss }, { "server.dropped", "messages", m_dropped },
    { "server.errors", "errors", m_errors }, { "server.foreign", "packets", m_foreign },
    { "server.bad_tag", "packets", m_bad_tag }, { "server.malformed", "packets", m_malformed },
    { "server.joins_flooded", "joins", m_flooded },
    { "waited", "processes", m_waited }, { "bad_sent", "packets", m_bad },
    { "clients.cpu", "cores", m_client_cpu },
};
enum { METRICS = sizeof metrics / sizeof *metrics };

static const metric *metric_named(const char *name) {
    for (int i = 0; i < METRICS; i++)
        if (strcmp(metrics[i].name, name) == 0) return &metrics[i];
    return NULL;
}

#endif
