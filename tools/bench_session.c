/* bench_session.c - what peers cost: many of them, large messages, silence, a bad network

   Build    cc -std=c99 -O2 -DNDEBUG -I. tools/bench_session.c -o build/bench_session -lm
   Run      build/bench_session [quick] [fanout] [bulk] [idle] [echo]

   fanout   fire_all of 64 bytes and the flush behind it, per peer, into a link that drops.
   bulk     16 MiB as one reliable message; MB of payload per second of CPU, both ends together.
   idle     wisp_update of a server whose joined peers are silent; and what memory they take.
   echo     a small reliable message every 20 ms and its echo, 5% lost each way, 30 to 62.5 ms one
            way; simulated time, so the figures do not depend on the machine. */
#include "bench.h"

/* What one run does; `quick` takes a tenth of it. */
typedef struct plan {
    int fanout_samples, bulk_messages;
    int idle_updates, idle_rounds;
    int echoes, echo_seeds;
} plan;

static const plan plans[2] = { { 31, 7, 20000, 15, 1000, 15 }, { 7, 3, 2000, 7, 100, 7 } };

enum { DRAIN_TICKS_MAX = 600 };

/* What has arrived. */
typedef struct receiver {
    int count, bad;
} receiver;

/* ---------------------------------------------------------------------------
 * A crowd: one client endpoint that joins one server many times, each time under another address,
 * over a link in memory
 * ------------------------------------------------------------------------ */

enum { CROWD_MAX = 1000, CROWD_SLOTS = 8192, CROWD_DATAGRAM_BYTES = 1200 };

typedef struct crowd_slot {
    wisp_addr     addr;                       /* of the client; it serves both directions */
    int           size;
    unsigned char data[CROWD_DATAGRAM_BYTES];
} crowd_slot;

typedef struct crowd crowd;

typedef struct crowd_side {
    crowd     *owner;
    int        side;
    crowd_slot slots[CROWD_SLOTS];            /* a ring: what waits to be received here */
    unsigned   read, written;
} crowd_side;

struct crowd {
    wisp      *ends[SIDES];
    crowd_side sides[SIDES];
    bool       sink;                          /* the server's datagrams vanish */
    double     now;
    receiver   receiver;
};

static int crowd_send(void *user, wisp_packet *packets, int count) {
    crowd_side *from = (crowd_side *)user, *to = &from->owner->sides[1 - from->side];
    int i;
    if (from->owner->sink && from->side == SERVER) {
        for (i = 0; i < count; i++) packets[i].status = WISP_OK;
        return count;
    }
    for (i = 0; i < count; i++) {
        crowd_slot *slot = &to->slots[to->written % CROWD_SLOTS];
        packets[i].status = WISP_OK;
        if (to->written - to->read == CROWD_SLOTS) continue;      /* full: lost */
        slot->addr = packets[i].addr;
        slot->size = packets[i].size;
        memcpy(slot->data, packets[i].data, (size_t)packets[i].size);
        to->written++;
    }
    return count;
}

static int crowd_recv(void *user, wisp_packet *packets, int count) {
    crowd_side *s = (crowd_side *)user;
    int i;
    for (i = 0; i < count && s->read != s->written; i++, s->read++) {
        const crowd_slot *slot = &s->slots[s->read % CROWD_SLOTS];
        packets[i].addr = slot->addr;
        packets[i].size = slot->size;
        memcpy(packets[i].data, slot->data, (size_t)slot->size);
    }
    return i;
}

static void crowd_tick(crowd *c) {
    c->now += tick_seconds;
    wisp_update(c->ends[SERVER], c->now);
    wisp_update(c->ends[CLIENT], c->now);
}

static void crowd_close(crowd *c) {
    if (!c) return;
    if (c->ends[CLIENT]) wisp_destroy(c->ends[CLIENT]);
    if (c->ends[SERVER]) wisp_destroy(c->ends[SERVER]);
    free(c);
}

static bool crowd_join(crowd *c, int members) {
    int i;
    for (i = 0; i < members; i++) {
        wisp_addr addr;
        memset(&addr, 0, sizeof addr);
        addr.bytes[0] = (unsigned char)(i & 255);
        addr.bytes[1] = (unsigned char)(i >> 8);
        wisp_join(c->ends[CLIENT], &addr, NULL, 0);
    }
    for (i = 0; i < JOIN_TICKS_MAX; i++) {
        crowd_tick(c);
        if (wisp_peers(c->ends[SERVER], NULL, 0) == members &&
            wisp_peers(c->ends[CLIENT], NULL, 0) == members) {
            return true;
        }
    }
    return members == 0;
}

/* Every crowd has room for CROWD_MAX, so that only the number that joined differs. */
static crowd *crowd_open(int members) {
    crowd *c = (crowd *)calloc(1, sizeof *c);
    int side;
    if (!c) return NULL;
    for (side = SERVER; side < SIDES; side++) {
        wisp_link link;
        memset(&link, 0, sizeof link);
        c->sides[side].owner = c;
        c->sides[side].side = side;
        link.send = crowd_send;
        link.recv = crowd_recv;
        link.user = &c->sides[side];
        link.mtu = CROWD_DATAGRAM_BYTES;
        c->ends[side] = open_endpoint(link, side, CROWD_MAX, NULL, 0, 0);
    }
    if (c->ends[SERVER] && c->ends[CLIENT] && crowd_join(c, members)) return c;
    complain("%d clients could not join", members);
    crowd_close(c);
    return NULL;
}

/* ---------------------------------------------------------------------------
 * Fanout: one message to everybody
 * ------------------------------------------------------------------------ */

enum { FANOUT_BYTES = 64, FANOUT_SETTLE_TICKS = 15 };

static const double fanout_goal = 150.0 + 2.0 * FANOUT_BYTES;     /* ns per peer */

static void on_fanout(wisp_event *event) {
    receiver *r = (receiver *)event->user;
    int size = 0;
    const void *bytes = wisp_arg_bytes(event, 0, &size);
    if (bytes && size == FANOUT_BYTES) r->count++;
    else r->bad++;
}

/* Returns the CPU seconds of fire_all and flush alone. */
static double fanout_once(crowd *c, const char *remote, const void *bytes) {
    double begin, seconds;
    c->now += tick_seconds;
    wisp_update(c->ends[SERVER], c->now);
    begin = cpu_seconds();
    wisp_fire_all(c->ends[SERVER], remote, wisp_bytes(bytes, FANOUT_BYTES));
    wisp_flush_batches(c->ends[SERVER]);
    seconds = cpu_seconds() - begin;
    wisp_update(c->ends[CLIENT], c->now);
    return seconds;
}

/* Each sample is lost on its way; the fires after it arrive, so that the sessions stay sound. */
static void fanout_rows(crowd *c, const char *remote, const char *group, bool reliable,
                        double goal, int samples) {
    uint64_t words[FANOUT_BYTES / 8], random = 2;
    int i, j, wanted = samples * FANOUT_SETTLE_TICKS * CROWD_MAX;
    memset(&c->receiver, 0, sizeof c->receiver);
    for (i = 0; i < samples * (FANOUT_SETTLE_TICKS + 1); i++) {
        double seconds;
        for (j = 0; j < FANOUT_BYTES / 8; j++) words[j] = next_random(&random);
        c->sink = i % (FANOUT_SETTLE_TICKS + 1) == FANOUT_SETTLE_TICKS;
        seconds = fanout_once(c, remote, words);
        if (!c->sink) continue;
        record(group, "per_peer", "ns", goal, seconds * 1e9 / CROWD_MAX);
        record(group, "per_byte", "ns", 0, seconds * 1e9 / CROWD_MAX / FANOUT_BYTES);
    }
    c->sink = false;
    if (reliable) wanted += samples * CROWD_MAX;
    for (i = 0; i < DRAIN_TICKS_MAX && c->receiver.count < wanted; i++) crowd_tick(c);
    if (c->receiver.bad > 0 || c->receiver.count != wanted) {
        complain("%s: %d of %d messages arrived, %d bad", group, c->receiver.count, wanted,
                 c->receiver.bad);
    }
}

static void run_fanout(bool quick) {
    const plan *todo = &plans[quick];
    crowd *c = crowd_open(CROWD_MAX);
    if (!c) return;
    wisp_connect(c->ends[CLIENT], "news", on_fanout, &c->receiver);
    wisp_connect(c->ends[CLIENT], "weather", on_fanout, &c->receiver);
    wisp_set_unreliable(c->ends[SERVER], "weather", true);
    fanout_rows(c, "news", "fanout.reliable", true, fanout_goal, todo->fanout_samples);
    fanout_rows(c, "weather", "fanout.unreliable", false, fanout_goal, todo->fanout_samples);
    crowd_close(c);
}

/* ---------------------------------------------------------------------------
 * Bulk: one large reliable message
 * ------------------------------------------------------------------------ */

enum { BULK_BYTES = 16 << 20, BULK_TICKS_MAX = 60000 };

typedef struct bulk_receiver {
    const unsigned char *want;
    int                  count, bad;
} bulk_receiver;

static void on_bulk(wisp_event *event) {
    bulk_receiver *r = (bulk_receiver *)event->user;
    int size = 0;
    const void *bytes = wisp_arg_bytes(event, 0, &size);
    r->count++;
    if (!bytes || size != BULK_BYTES || memcmp(bytes, r->want, BULK_BYTES) != 0) r->bad++;
}

/* Sends the bytes once; returns the CPU seconds until they have arrived, 0 when they did not. */
static double bulk_once(pair *p, bulk_receiver *r) {
    int i, before = r->count;
    double begin = cpu_seconds();
    wisp_result result = wisp_fire(p->ends[SERVER], "bulk", p->peer,
                                   wisp_bytes(r->want, BULK_BYTES));
    if (result != WISP_OK) complain("bulk: %s", wisp_result_text(result));
    for (i = 0; i < BULK_TICKS_MAX && result == WISP_OK && r->count == before; i++) pair_tick(p);
    if (r->count != before + 1 || r->bad > 0) {
        complain("bulk: the message did not arrive whole");
        return 0;
    }
    return cpu_seconds() - begin;
}

static void run_bulk(bool quick) {
    const plan *todo = &plans[quick];
    unsigned char *bytes = (unsigned char *)malloc(BULK_BYTES);
    bulk_receiver r = { NULL, 0, 0 };
    wisp_limits limits;
    uint64_t random = 3;
    pair p;
    int i;
    if (!bytes) return;
    for (i = 0; i < BULK_BYTES; i++) bytes[i] = (unsigned char)(next_random(&random) >> 56);
    r.want = bytes;
    memset(&limits, 0, sizeof limits);
    limits.message_bytes = BULK_BYTES + 64;
    memset(&p, 0, sizeof p);
    p.step = 0.001;
    p.pipe.capacity = BULK_BYTES;
    if (pair_open(&p, &limits, 0)) {
        wisp_connect(p.ends[CLIENT], "bulk", on_bulk, &r);
        for (i = 0; i < todo->bulk_messages; i++) {
            double start = p.now, seconds = bulk_once(&p, &r);
            if (seconds <= 0) break;
            record("bulk.reliable", "throughput", "MB/s", 0, BULK_BYTES / seconds / 1e6);
            record("bulk.reliable", "round_trips", "of 1 ms", 0, (p.now - start) / p.step);
        }
        pair_close(&p);
    }
    free(bytes);
}

/* ---------------------------------------------------------------------------
 * Idle: what peers cost that say nothing
 * ------------------------------------------------------------------------ */

enum { IDLE_CROWDS = 3, IDLE_SETTLE_TICKS = 300, IDLE_REST_TICKS = 60 };

static const int idle_members[IDLE_CROWDS] = { 0, 100, CROWD_MAX };

/* ns per update. The steps are so small that no keepalive falls due: those are traffic. */
static double idle_sample(crowd *c, int updates) {
    double begin = cpu_seconds();
    int i;
    for (i = 0; i < updates; i++) {
        c->now += 1e-7;
        wisp_update(c->ends[SERVER], c->now);
    }
    return (cpu_seconds() - begin) * 1e9 / updates;
}

static void idle_round(crowd **crowds, int updates) {
    static const char *const figures[IDLE_CROWDS] = { "update_0", "update_100", "update_1000" };
    double ns[IDLE_CROWDS];
    int i, j;
    for (i = 0; i < IDLE_CROWDS; i++) {
        for (j = 0; j < IDLE_REST_TICKS; j++) crowd_tick(crowds[i]);
        idle_sample(crowds[i], updates / 10);
        ns[i] = idle_sample(crowds[i], updates);
        record("idle", figures[i], "ns", 0, ns[i]);
    }
    record("idle", "update_1000_to_0", "x", 1.25, ns[2] / ns[0]);
}

static uint64_t memory_of(const wisp *w) {
    wisp_total_stats stats;
    wisp_stats_total(w, &stats);
    return stats.memory;
}

static void record_peer_memory(crowd *none, crowd *full) {
    static wisp_peer peers[CROWD_MAX];
    wisp_peer_stats stats;
    int i, worst = 0, count = wisp_peers(full->ends[SERVER], peers, CROWD_MAX);
    uint64_t before = memory_of(none->ends[SERVER]), after = memory_of(full->ends[SERVER]);
    for (i = 0; i < count; i++) {
        wisp_stats_peer(full->ends[SERVER], peers[i], &stats);
        if (stats.memory > worst) worst = stats.memory;
    }
    record("memory", "peer_told", "B", 4096, worst);
    record("memory", "peer_grown", "B", 4096, ((double)after - (double)before) / CROWD_MAX);
}

static void record_create_memory(void) {
    wisp_pipe pipe;
    wisp *w;
    double begin;
    memset(&pipe, 0, sizeof pipe);
    begin = cpu_seconds();
    w = open_endpoint(wisp_loopback(&pipe, 0), SERVER, 0, NULL, 0, 0);
    record("memory", "create_time", "us", 0, (cpu_seconds() - begin) * 1e6);
    if (w) record("memory", "create", "B", 262144, (double)memory_of(w));
    if (w) wisp_destroy(w);
    wisp_pipe_free(&pipe);
}

static void run_idle(bool quick) {
    const plan *todo = &plans[quick];
    crowd *crowds[IDLE_CROWDS] = { NULL, NULL, NULL };
    int i, j, opened = 0;
    for (i = 0; i < IDLE_CROWDS; i++) {
        crowds[i] = crowd_open(idle_members[i]);
        opened += crowds[i] != NULL;
        for (j = 0; crowds[i] && j < IDLE_SETTLE_TICKS; j++) crowd_tick(crowds[i]);
    }
    for (i = 0; opened == IDLE_CROWDS && i < todo->idle_rounds; i++) {
        idle_round(crowds, todo->idle_updates);
        record_create_memory();
    }
    if (opened == IDLE_CROWDS) record_peer_memory(crowds[0], crowds[IDLE_CROWDS - 1]);
    for (i = 0; i < IDLE_CROWDS; i++) crowd_close(crowds[i]);
}

/* ---------------------------------------------------------------------------
 * Echo: round trips over a bad network
 * ------------------------------------------------------------------------ */

enum { ECHOES_MAX = 1000, ECHO_EVERY_STEPS = 20, ECHO_DRAIN_STEPS = 20000 };

typedef struct echo {
    pair   pair;
    double sent[ECHOES_MAX];                  /* when, in simulated seconds */
    double sum, worst;
    int    count;                             /* came back, in order */
} echo;

static void on_ping(wisp_event *event) {
    wisp_fire(event->w, "echo", event->peer, wisp_arg_value(event, 0)[0]);
}

static void on_echo(wisp_event *event) {
    echo *e = (echo *)event->user;
    double trip;
    if (wisp_arg_int(event, 0) != e->count || e->count >= ECHOES_MAX) {
        complain("echo: %d came out of order", (int)wisp_arg_int(event, 0));
        return;
    }
    trip = event->time - e->sent[e->count++];
    e->sum += trip;
    if (trip > e->worst) e->worst = trip;
}

static void echo_open_network(echo *e, uint64_t seed) {
    int side;
    memset(e, 0, sizeof *e);
    e->pair.step = 0.001;
    e->pair.simulated = true;
    for (side = SERVER; side < SIDES; side++) {
        wisp_simulator *s = &e->pair.simulators[side];
        s->latency = 0.030;
        s->jitter = 0.0325;
        s->loss = 0.05;
        s->seed = seed * SIDES + (uint64_t)side + 1;
    }
}

static void echo_run(echo *e, int echoes) {
    int i, fired = 0, steps = echoes * ECHO_EVERY_STEPS + ECHO_DRAIN_STEPS;
    for (i = 0; i < steps && e->count < echoes; i++) {
        if (i % ECHO_EVERY_STEPS == 0 && fired < echoes) {
            e->sent[fired] = e->pair.now + e->pair.step;
            wisp_fire(e->pair.ends[CLIENT], "ping", WISP_SERVER, wisp_int(fired));
            fired++;
        }
        pair_tick(&e->pair);
    }
}

static void run_echo(bool quick) {
    const plan *todo = &plans[quick];
    static echo e;
    int i;
    for (i = 0; i < todo->echo_seeds; i++) {
        uint64_t bytes;
        echo_open_network(&e, (uint64_t)i + 1);
        if (!pair_open(&e.pair, NULL, (uint64_t)i + 1)) return;
        wisp_connect(e.pair.ends[SERVER], "ping", on_ping, &e);
        wisp_connect(e.pair.ends[CLIENT], "echo", on_echo, &e);
        bytes = pair_bytes(&e.pair);
        echo_run(&e, todo->echoes);
        if (e.count != todo->echoes) complain("echo: %d of %d came back", e.count, todo->echoes);
        if (e.count > 0) record("echo", "average", "ms", 140, e.sum / e.count * 1e3);
        record("echo", "worst", "ms", 370, e.worst * 1e3);
        record("echo", "size", "B/echo", 0, (double)(pair_bytes(&e.pair) - bytes) / todo->echoes);
        pair_close(&e.pair);
    }
}

int main(int count, char **words) {
    static const section sections[] = {
        { "fanout", run_fanout },
        { "bulk",   run_bulk },
        { "idle",   run_idle },
        { "echo",   run_echo },
    };
    return bench_main("bench_session", count, words, sections, 4);
}
