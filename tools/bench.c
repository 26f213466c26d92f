/* bench.c - what wisp costs, measured beside ENet and the bare system calls

   Build    cc -std=c99 -O2 -DNDEBUG -I. tools/bench.c -o build/bench -lenet -lm
   Run      build/bench [quick] [traffic] [fanout] [bulk] [idle] [echo]

   Without a section's name every section runs; `quick` takes a tenth of the ticks. Each round runs
   every contender once, and a row is the median of its rounds, so what the machine does meanwhile
   strikes all alike. A figure above its goal is MISSED and no failure. The program exits 1 when a
   message that had to arrive did not, or arrived changed.

   traffic  20 messages of 32 bytes per tick of 1/60 s, server to client, new bytes in each. .size
            is UDP payload both ways per message, .cpu the process's time, both ends together, from
            the fire by name to the checksum in the handler. ENet's 32 bytes begin with the byte
            its switch dispatches by. `raw` moves the datagrams that wisp sent in the same round,
            tick by tick, with one call to receive and one to send per side.
   fanout   fire_all of 64 bytes and the flush behind it, per peer, into a link that drops.
   bulk     16 MiB as one reliable message; MB of payload per second of CPU, both ends together.
   idle     wisp_update of a server whose joined peers are silent; and what memory they take.
   echo     a small reliable message every 20 ms and its echo, 5% lost each way, 30 to 62.5 ms one
            way; simulated time, so the figures do not depend on the machine. */
#include "examples/udp.h"       /* first: it asks the system headers for more than C99 offers */

#include <enet/enet.h>
#include <stdarg.h>
#include <stdlib.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"

/* What one run does; `quick` takes a tenth of it. */
typedef struct plan {
    int ticks, rounds;                        /* traffic */
    int fanout_samples, bulk_messages;
    int idle_updates, idle_rounds;
    int echoes, echo_seeds;
} plan;

static const plan plan_full  = { 5000, 15, 31, 7, 20000, 15, 1000, 15 };
static const plan plan_quick = { 500, 7, 7, 3, 2000, 7, 100, 7 };

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

static void complain(const char *format, ...) {
    va_list list;
    if (complaints++ >= COMPLAINTS_SHOWN) return;
    va_start(list, format);
    fprintf(stderr, "bench: ");
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
    va_end(list);
}

/* Adds a sample to the row "group.figure". */
static void record(const char *group, const char *figure, const char *unit, double goal,
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

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Prints the row; returns whether it misses its goal. */
static bool print_row(row *r) {
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

static void print_table(void) {
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
 * Clock, numbers, and the messages: one pool per form, walked round and round
 * ------------------------------------------------------------------------ */

enum { MESSAGE_BYTES = 32, MESSAGES_PER_TICK = 20, POOL_MESSAGES = 1021, TYPE_HIT = 7 };

typedef enum form { FORM_BYTES, FORM_STRING, FORM_NUMBERS, FORM_INTS, FORM_COUNT } form;

typedef union message {
    unsigned char bytes[MESSAGE_BYTES];       /* the first one is TYPE_HIT */
    char          text[MESSAGE_BYTES];
    double        numbers[4];
    int32_t       ints[8];
    uint64_t      words[4];
} message;

static message pools[FORM_COUNT][POOL_MESSAGES];

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void fill_pools(void) {
    uint64_t random = 1;
    int i, j;
    for (i = 0; i < POOL_MESSAGES; i++) {
        for (j = 0; j < 4; j++) pools[FORM_BYTES][i].words[j] = next_random(&random);
        pools[FORM_BYTES][i].bytes[0] = TYPE_HIT;
        for (j = 0; j < MESSAGE_BYTES; j++) {
            pools[FORM_STRING][i].text[j] = (char)(' ' + next_random(&random) % 95);
        }
        for (j = 0; j < 4; j++) {
            pools[FORM_NUMBERS][i].numbers[j] = (double)(next_random(&random) >> 11) * 1e-9;
        }
        for (j = 0; j < 8; j++) {
            pools[FORM_INTS][i].ints[j] = (int32_t)(next_random(&random) >> 33) - (1 << 30);
        }
    }
}

static uint64_t checksum(const message *m) {
    uint64_t a = m->words[0] ^ m->words[1] << 1, b = m->words[2] ^ m->words[3] << 1;
    return (a ^ b << 2) * UINT64_C(0x9e3779b97f4a7c15) + b;
}

/* What has arrived. weight 31 makes the sum depend on the order, weight 1 does not. */
typedef struct receiver {
    uint64_t sum, weight;
    int      count, bad;
} receiver;

static void receive(receiver *r, const message *m) {
    r->sum = r->sum * r->weight + checksum(m);
    r->count++;
}

static void receiver_reset(receiver *r, bool ordered) {
    memset(r, 0, sizeof *r);
    r->weight = ordered ? 31 : 1;
}

static const message *message_at(form f, int i) {
    return &pools[f][i % POOL_MESSAGES];
}

/* Whether the first `count` messages of the pool's walk have arrived, each once and unchanged. */
static bool arrived(const receiver *r, form f, int count) {
    receiver want;
    int i;
    receiver_reset(&want, r->weight != 1);
    for (i = 0; i < count; i++) receive(&want, message_at(f, i));
    return r->bad == 0 && r->count == count && r->sum == want.sum;
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

static void trace_add(trace *t, int size) {
    if (t && t->count < t->room) t->sizes[t->count++] = (uint16_t)size;
}

static int tap_send(void *user, wisp_packet *packets, int count) {
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

static int tap_recv(void *user, wisp_packet *packets, int count) {
    tap *t = (tap *)user;
    return t->inner.recv(t->inner.user, packets, count);
}

static wisp_link tap_link(tap *t, wisp_link inner) {
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

typedef enum medium { MEDIUM_MEMORY, MEDIUM_UDP, MEDIUM_ENET, MEDIUM_RAW, MEDIUM_COUNT } medium;

typedef struct pair {
    wisp          *ends[SIDES];
    wisp_peer      peer;                      /* the client, as the server knows it */
    double         now, step;
    tap            taps[SIDES];
    wisp_pipe      pipe;
    udp_socket     sockets[SIDES];
    wisp_simulator simulators[SIDES];
    bool           over_udp, simulated;
} pair;

static void on_error(wisp_event *event) {
    complain("error event: %s (%s)", wisp_result_text(event->result), event->text);
}

/* An endpoint that knows, beside what the caller will name, as many remotes as a small game. */
static wisp *open_endpoint(wisp_link link, int side, int max_peers, const wisp_limits *limits,
                           uint64_t seed) {
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
static void pair_tick(pair *p) {
    int side;
    p->now += p->step;
    for (side = SERVER; side < SIDES; side++) {
        p->simulators[side].now = p->now;
        wisp_update(p->ends[side], p->now);
        trace_add(p->taps[side].trace, 0);
    }
}

static void pair_close(pair *p) {
    int side;
    for (side = SIDES - 1; side >= SERVER; side--) {
        if (p->ends[side]) wisp_destroy(p->ends[side]);
        if (p->over_udp) udp_close(&p->sockets[side]);
        if (p->simulated) wisp_simulator_free(&p->simulators[side]);
    }
    wisp_pipe_free(&p->pipe);
}

static wisp_link pair_link(pair *p, int side) {
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

static bool pair_join(pair *p) {
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
static bool pair_open(pair *p, const wisp_limits *limits, uint64_t seed) {
    int side;
    for (side = SERVER; side < SIDES; side++) p->sockets[side].handle = UDP__NO_HANDLE;
    for (side = SERVER; side < SIDES; side++) {
        uint64_t own_seed = seed ? seed * SIDES + (uint64_t)side : 0;
        p->ends[side] = open_endpoint(pair_link(p, side), side, 4, limits, own_seed);
    }
    if (p->ends[SERVER] && p->ends[CLIENT] && pair_join(p)) return true;
    complain("a client could not join");
    pair_close(p);
    return false;
}

static uint64_t pair_bytes(const pair *p) {
    return p->taps[SERVER].bytes + p->taps[CLIENT].bytes;
}

/* ---------------------------------------------------------------------------
 * Traffic: 20 messages of 32 bytes per tick
 * ------------------------------------------------------------------------ */

enum { WARM_TICKS = 120, DRAIN_TICKS_MAX = 600, DRAIN_TICKS_LOSSY = 8 };

typedef struct contender {
    const char *name;
    medium      medium;
    form        form;
    bool        reliable;
    double      size_goal, cpu_goal;
} contender;

static const contender contenders[] = {
    { "traffic.memory.bytes.reliable",   MEDIUM_MEMORY, FORM_BYTES,   true,  34, 60 },
    { "traffic.memory.bytes.unreliable", MEDIUM_MEMORY, FORM_BYTES,   false, 0,  60 },
    { "traffic.memory.string.reliable",  MEDIUM_MEMORY, FORM_STRING,  true,  0,  0 },
    { "traffic.memory.numbers.reliable", MEDIUM_MEMORY, FORM_NUMBERS, true,  0,  0 },
    { "traffic.memory.ints.reliable",    MEDIUM_MEMORY, FORM_INTS,    true,  0,  0 },
    { "traffic.udp.bytes.reliable",      MEDIUM_UDP,    FORM_BYTES,   true,  34, 0 },
    { "traffic.udp.bytes.unreliable",    MEDIUM_UDP,    FORM_BYTES,   false, 0,  0 },
    { "traffic.enet.reliable",           MEDIUM_ENET,   FORM_BYTES,   true,  0,  0 },
    { "traffic.enet.unreliable",         MEDIUM_ENET,   FORM_BYTES,   false, 0,  0 },
    { "traffic.raw.reliable",            MEDIUM_RAW,    FORM_BYTES,   true,  0,  0 },
    { "traffic.raw.unreliable",          MEDIUM_RAW,    FORM_BYTES,   false, 0,  0 },
};
enum { CONTENDER_COUNT = (int)(sizeof contenders / sizeof contenders[0]) };

/* Totals of one measured run. */
typedef struct outcome {
    double   cpu_seconds;
    uint64_t bytes;
} outcome;

static wisp_result fire_message(wisp *w, wisp_peer to, form f, const message *m) {
    const double *n = m->numbers;
    const int32_t *k = m->ints;
    switch (f) {
    case FORM_BYTES:
        return wisp_fire(w, "hit", to, wisp_bytes(m->bytes, MESSAGE_BYTES));
    case FORM_STRING:
        return wisp_fire(w, "hit", to, wisp_string_n(m->text, MESSAGE_BYTES));
    case FORM_NUMBERS:
        return wisp_fire(w, "hit", to, wisp_number(n[0]), wisp_number(n[1]), wisp_number(n[2]),
                         wisp_number(n[3]));
    default:
        return wisp_fire(w, "hit", to, wisp_int(k[0]), wisp_int(k[1]), wisp_int(k[2]),
                         wisp_int(k[3]), wisp_int(k[4]), wisp_int(k[5]), wisp_int(k[6]),
                         wisp_int(k[7]));
    }
}

static void receive_block(wisp_event *event, const void *block, int size) {
    receiver *r = (receiver *)event->user;
    message m;
    if (!block || size != MESSAGE_BYTES || event->count != 1) {
        r->bad++;
        return;
    }
    memcpy(&m, block, sizeof m);
    receive(r, &m);
}

static void on_bytes(wisp_event *event) {
    int size = 0;
    const void *bytes = wisp_arg_bytes(event, 0, &size);
    receive_block(event, bytes, size);
}

static void on_string(wisp_event *event) {
    int size = 0;
    const char *text = wisp_arg_string_n(event, 0, &size);
    receive_block(event, text, size);
}

static void on_numbers(wisp_event *event) {
    message m;
    int i;
    for (i = 0; i < 4; i++) m.numbers[i] = wisp_arg_number(event, i);
    receive((receiver *)event->user, &m);
}

static void on_ints(wisp_event *event) {
    message m;
    int i;
    for (i = 0; i < 8; i++) m.ints[i] = (int32_t)wisp_arg_int(event, i);
    receive((receiver *)event->user, &m);
}

static void fire_tick(pair *p, form f, int first) {
    int i;
    for (i = 0; i < MESSAGES_PER_TICK; i++) {
        wisp_result result = fire_message(p->ends[SERVER], p->peer, f, message_at(f, first + i));
        if (result != WISP_OK) complain("wisp_fire: %s", wisp_result_text(result));
    }
    pair_tick(p);
}

/* Runs `ticks` of traffic until all has arrived or the bound is reached. */
static void wisp_ticks(pair *p, const contender *c, int ticks, receiver *r) {
    int drain = c->reliable ? DRAIN_TICKS_MAX : DRAIN_TICKS_LOSSY;
    int i;
    receiver_reset(r, c->reliable);
    for (i = 0; i < ticks; i++) fire_tick(p, c->form, i * MESSAGES_PER_TICK);
    for (i = 0; i < drain && r->count < ticks * MESSAGES_PER_TICK; i++) pair_tick(p);
}

/* Complains where a message had to arrive; says so where a datagram may get lost. */
static void verify(const contender *c, const receiver *r, int ticks) {
    int wanted = ticks * MESSAGES_PER_TICK;
    if (arrived(r, c->form, wanted)) return;
    if (c->reliable || r->bad > 0 || r->count > wanted) {
        complain("%s: %d of %d messages arrived, %d of them bad", c->name, r->count, wanted,
                 r->bad);
    } else {
        fprintf(stderr, "bench: %s: %d of %d messages got lost\n", c->name, wanted - r->count,
                wanted);
    }
}

static void measure_wisp(const contender *c, int ticks, trace *sizes, outcome *out) {
    static const wisp_handler handlers[] = { on_bytes, on_string, on_numbers, on_ints };
    pair p;
    receiver r;
    double begin;
    uint64_t bytes;
    memset(&p, 0, sizeof p);
    p.over_udp = c->medium == MEDIUM_UDP;
    p.step = tick_seconds;
    if (!pair_open(&p, NULL, 0)) return;
    wisp_connect(p.ends[CLIENT], "hit", handlers[c->form], &r);
    wisp_set_unreliable(p.ends[SERVER], "hit", !c->reliable);
    wisp_ticks(&p, c, WARM_TICKS, &r);
    verify(c, &r, WARM_TICKS);
    sizes->count = 0;
    if (p.over_udp) p.taps[SERVER].trace = p.taps[CLIENT].trace = sizes;
    bytes = pair_bytes(&p);
    begin = cpu_seconds();
    wisp_ticks(&p, c, ticks, &r);
    out->cpu_seconds = cpu_seconds() - begin;
    out->bytes = pair_bytes(&p) - bytes;
    verify(c, &r, ticks);
    pair_close(&p);
}

/* ---- ENet -------------------------------------------------------------- */

typedef struct enet_pair {
    ENetHost *hosts[SIDES];
    ENetPeer *peers[SIDES];                   /* the other side, once connected */
    receiver  receiver;
} enet_pair;

static void enet_dispatch(enet_pair *p, const ENetPacket *packet) {
    message m;
    if (packet->dataLength != MESSAGE_BYTES) {
        p->receiver.bad++;
        return;
    }
    switch (packet->data[0]) {
    case TYPE_HIT:
        memcpy(&m, packet->data, sizeof m);
        receive(&p->receiver, &m);
        break;
    default:
        p->receiver.bad++;
        break;
    }
}

/* One service, then only what it has queued: the cheapest way to pump a host. */
static void enet_pump(enet_pair *p, int side) {
    ENetEvent event;
    int i, got = enet_host_service(p->hosts[side], &event, 0);
    for (i = 0; i < 10000 && got > 0; i++) {
        if (event.type == ENET_EVENT_TYPE_CONNECT) p->peers[side] = event.peer;
        if (event.type == ENET_EVENT_TYPE_DISCONNECT) p->peers[side] = NULL;
        if (event.type == ENET_EVENT_TYPE_RECEIVE) {
            enet_dispatch(p, event.packet);
            enet_packet_destroy(event.packet);
        }
        got = enet_host_check_events(p->hosts[side], &event);
    }
}

static void enet_pump_both(enet_pair *p) {
    enet_pump(p, SERVER);
    enet_pump(p, CLIENT);
}

static bool enet_pair_open(enet_pair *p) {
    ENetAddress address;
    int i;
    memset(p, 0, sizeof *p);
    enet_address_set_host_ip(&address, "127.0.0.1");
    address.port = ENET_PORT_ANY;
    p->hosts[SERVER] = enet_host_create(&address, 4, 1, 0, 0);
    p->hosts[CLIENT] = enet_host_create(NULL, 1, 1, 0, 0);
    if (!p->hosts[SERVER] || !p->hosts[CLIENT]) return false;
    if (enet_socket_get_address(p->hosts[SERVER]->socket, &address) < 0) return false;
    if (!enet_host_connect(p->hosts[CLIENT], &address, 1, 0)) return false;
    for (i = 0; i < JOIN_TICKS_MAX && !(p->peers[SERVER] && p->peers[CLIENT]); i++) {
        enet_pump_both(p);
        udp_sleep(0.001);
    }
    if (!p->peers[SERVER]) return false;
    /* Never throttled: all unreliable messages are to be sent. */
    enet_peer_throttle_configure(p->peers[SERVER], 5000, 2, 0);
    return p->peers[CLIENT] != NULL;
}

static void enet_pair_close(enet_pair *p) {
    int side;
    for (side = SERVER; side < SIDES; side++) {
        if (p->hosts[side]) enet_host_destroy(p->hosts[side]);
    }
}

static void enet_fire(enet_pair *p, const message *m, bool reliable) {
    enet_uint32 flags = reliable ? ENET_PACKET_FLAG_RELIABLE : 0;
    ENetPacket *packet = enet_packet_create(m->bytes, MESSAGE_BYTES, flags);
    if (packet && enet_peer_send(p->peers[SERVER], 0, packet) < 0) enet_packet_destroy(packet);
}

static void enet_ticks(enet_pair *p, const contender *c, int ticks) {
    int i, j;
    receiver_reset(&p->receiver, c->reliable);
    for (i = 0; i < ticks; i++) {
        if (!p->peers[SERVER]) return;        /* it gave up: verify will tell */
        for (j = 0; j < MESSAGES_PER_TICK; j++) {
            enet_fire(p, message_at(c->form, i * MESSAGES_PER_TICK + j), c->reliable);
        }
        enet_pump_both(p);
    }
    for (i = 0; i < DRAIN_TICKS_MAX && p->receiver.count < ticks * MESSAGES_PER_TICK; i++) {
        enet_pump_both(p);
    }
}

static uint64_t enet_bytes(const enet_pair *p) {
    return (uint64_t)p->hosts[SERVER]->totalSentData + p->hosts[CLIENT]->totalSentData;
}

static void measure_enet(const contender *c, int ticks, outcome *out) {
    enet_pair p;
    double begin;
    uint64_t bytes;
    if (!enet_pair_open(&p)) {
        complain("%s: could not connect", c->name);
        enet_pair_close(&p);
        return;
    }
    enet_ticks(&p, c, WARM_TICKS);
    bytes = enet_bytes(&p);
    begin = cpu_seconds();
    enet_ticks(&p, c, ticks);
    out->cpu_seconds = cpu_seconds() - begin;
    out->bytes = enet_bytes(&p) - bytes;
    verify(c, &p.receiver, ticks);
    enet_pair_close(&p);
}

/* ---- the same datagrams without a library ------------------------------ */

enum { RAW_BATCH = 32, RAW_DATAGRAM_BYTES = 2048 };

/* Everything the calls need is prepared once; only the sizes change. */
typedef struct raw_side {
    udp_socket    socket;
    uint64_t      sent, received;             /* datagrams */
    wisp_packet   out[RAW_BATCH], in[RAW_BATCH];
    unsigned char out_data[RAW_DATAGRAM_BYTES];
    unsigned char in_data[RAW_BATCH][RAW_DATAGRAM_BYTES];
#if UDP__BATCH > 1
    udp__name      to, from[RAW_BATCH];
    struct iovec   out_parts[RAW_BATCH], in_parts[RAW_BATCH];
    struct mmsghdr out_messages[RAW_BATCH], in_messages[RAW_BATCH];
#endif
} raw_side;

#if UDP__BATCH > 1

static void raw_prepare_calls(raw_side *s) {
    int i, name_size = udp__unpack(&s->out[0].addr, s->socket.family, &s->to);
    for (i = 0; i < RAW_BATCH; i++) {
        udp__message(&s->out_messages[i], &s->out_parts[i], &s->out[i], &s->to, name_size);
        udp__message(&s->in_messages[i], &s->in_parts[i], &s->in[i], &s->from[i],
                     (int)sizeof s->from[i]);
    }
}

static int raw_send(raw_side *s, int count) {
    int i;
    for (i = 0; i < count; i++) s->out_parts[i].iov_len = (size_t)s->out[i].size;
    return (int)sendmmsg(s->socket.handle, s->out_messages, (unsigned)count, 0);
}

static int raw_recv(raw_side *s) {
    int i, got = (int)recvmmsg(s->socket.handle, s->in_messages, RAW_BATCH, 0, NULL);
    for (i = 0; i < got; i++) s->in_messages[i].msg_hdr.msg_namelen = sizeof s->from[i];
    return got;
}

#else

static void raw_prepare_calls(raw_side *s) {
    (void)s;
}

static int raw_send(raw_side *s, int count) {
    return udp_send(&s->socket, s->out, count);
}

static int raw_recv(raw_side *s) {
    return udp_recv(&s->socket, s->in, RAW_BATCH);
}

#endif

static bool raw_open(raw_side *sides) {
    int side, i;
    for (side = SERVER; side < SIDES; side++) sides[side].socket.handle = UDP__NO_HANDLE;
    for (side = SERVER; side < SIDES; side++) {
        if (!udp_open(&sides[side].socket, "127.0.0.1", 0)) return false;
    }
    for (side = SERVER; side < SIDES; side++) {
        raw_side *s = &sides[side];
        wisp_addr to;
        if (!udp_resolve("127.0.0.1", udp_port(&sides[1 - side].socket), &to)) return false;
        for (i = 0; i < RAW_BATCH; i++) {
            s->out[i].addr = to;
            s->out[i].data = s->out_data;
            s->in[i].data = s->in_data[i];
            s->in[i].size = RAW_DATAGRAM_BYTES;
        }
        raw_prepare_calls(s);
    }
    return true;
}

/* One side's turn: receives once, sends what the trace says. Returns where the next turn begins. */
static int raw_turn(raw_side *s, const trace *t, int at) {
    int count = 0, got = raw_recv(s);
    if (got > 0) s->received += (uint64_t)got;
    for (; at < t->count && t->sizes[at] != 0; at++) {
        if (count == RAW_BATCH) {
            s->sent += (uint64_t)raw_send(s, count);
            count = 0;
        }
        s->out[count++].size = t->sizes[at];
    }
    if (count > 0) s->sent += (uint64_t)raw_send(s, count);
    return at + 1;
}

static void measure_raw(const contender *c, const trace *t, outcome *out) {
    raw_side *sides = (raw_side *)calloc(SIDES, sizeof *sides);
    double begin;
    int i, at = 0;
    if (t->count == 0) complain("%s: no trace to follow", c->name);
    if (!sides || !raw_open(sides)) {
        complain("%s: no sockets", c->name);
    } else {
        begin = cpu_seconds();
        while (at < t->count) {
            at = raw_turn(&sides[SERVER], t, at);
            at = raw_turn(&sides[CLIENT], t, at);
        }
        out->cpu_seconds = cpu_seconds() - begin;
        for (i = 0; i < t->count; i++) out->bytes += t->sizes[i];
        raw_turn(&sides[SERVER], t, t->count);
        if (sides[SERVER].sent != sides[CLIENT].received ||
            sides[CLIENT].sent != sides[SERVER].received) {
            complain("%s: datagrams got lost", c->name);
        }
    }
    for (i = 0; sides && i < SIDES; i++) udp_close(&sides[i].socket);
    free(sides);
}

/* ---- rounds ------------------------------------------------------------ */

/* CPU seconds of the round's runs with FORM_BYTES, by medium and reliability. */
typedef double round_cpu[MEDIUM_COUNT][2];

static void record_outcome(const contender *c, int ticks, const outcome *o) {
    double messages = (double)ticks * MESSAGES_PER_TICK;
    record(c->name, "size", "B/msg", c->size_goal, (double)o->bytes / messages);
    record(c->name, "cpu", "ns/msg", c->cpu_goal, o->cpu_seconds * 1e9 / messages);
}

static void record_ratios(round_cpu cpu) {
    static const char *const names[2] = { "traffic.ratio.unreliable", "traffic.ratio.reliable" };
    int i;
    for (i = 1; i >= 0; i--) {
        double udp = cpu[MEDIUM_UDP][i];
        if (udp <= 0) continue;
        if (cpu[MEDIUM_ENET][i] > 0) {
            record(names[i], "udp_to_enet", "x", 0.5, udp / cpu[MEDIUM_ENET][i]);
        }
        if (cpu[MEDIUM_RAW][i] > 0) {
            record(names[i], "udp_to_raw", "x", 1.25, udp / cpu[MEDIUM_RAW][i]);
        }
    }
}

static void traffic_round(int ticks, trace *traces) {
    round_cpu cpu = { { 0 } };
    int i;
    for (i = 0; i < CONTENDER_COUNT; i++) {
        const contender *c = &contenders[i];
        trace *t = &traces[c->reliable];
        outcome o = { 0, 0 };
        if (c->medium == MEDIUM_ENET) measure_enet(c, ticks, &o);
        else if (c->medium == MEDIUM_RAW) measure_raw(c, t, &o);
        else measure_wisp(c, ticks, t, &o);
        if (c->form == FORM_BYTES) cpu[c->medium][c->reliable] = o.cpu_seconds;
        if (o.cpu_seconds > 0) record_outcome(c, ticks, &o);
    }
    record_ratios(cpu);
}

static void run_traffic(const plan *todo) {
    trace traces[2];
    int i, room = todo->ticks * TRACE_ENTRIES_PER_TICK;
    memset(traces, 0, sizeof traces);
    for (i = 0; i < 2; i++) {
        traces[i].sizes = (uint16_t *)calloc((size_t)room, sizeof *traces[i].sizes);
        traces[i].room = traces[i].sizes ? room : 0;
    }
    if (enet_initialize() != 0) complain("enet_initialize failed");
    for (i = 0; i < todo->rounds; i++) traffic_round(todo->ticks, traces);
    enet_deinitialize();
    for (i = 0; i < 2; i++) {
        if (traces[i].count == traces[i].room) complain("a trace has no room for its datagrams");
        free(traces[i].sizes);
    }
}

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
        c->ends[side] = open_endpoint(link, side, CROWD_MAX, NULL, 0);
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

static void run_fanout(const plan *todo) {
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

static void run_bulk(const plan *todo) {
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
    w = open_endpoint(wisp_loopback(&pipe, 0), SERVER, 0, NULL, 0);
    record("memory", "create_time", "us", 0, (cpu_seconds() - begin) * 1e6);
    if (w) record("memory", "create", "B", 262144, (double)memory_of(w));
    if (w) wisp_destroy(w);
    wisp_pipe_free(&pipe);
}

static void run_idle(const plan *todo) {
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

static void run_echo(const plan *todo) {
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

/* ---------------------------------------------------------------------------
 * Sections
 * ------------------------------------------------------------------------ */

typedef struct section {
    const char *name;
    void (*run)(const plan *todo);
    bool        wanted;
} section;

static section sections[] = {
    { "traffic", run_traffic, false },
    { "fanout",  run_fanout,  false },
    { "bulk",    run_bulk,    false },
    { "idle",    run_idle,    false },
    { "echo",    run_echo,    false },
};
enum { SECTION_COUNT = (int)(sizeof sections / sizeof sections[0]) };

/* Marks what was asked for; returns how many sections, or -1: a word is not known. */
static int choose(int count, char **words, const plan **todo) {
    int i, j, chosen = 0;
    for (i = 1; i < count; i++) {
        if (strcmp(words[i], "quick") == 0) {
            *todo = &plan_quick;
            continue;
        }
        for (j = 0; j < SECTION_COUNT && strcmp(words[i], sections[j].name) != 0; j++) continue;
        if (j == SECTION_COUNT) return -1;
        sections[j].wanted = true;
        chosen++;
    }
    return chosen;
}

int main(int count, char **words) {
    const plan *todo = &plan_full;
    int i, chosen = choose(count, words, &todo);
    if (chosen < 0) {
        fprintf(stderr, "usage: bench [quick] [traffic] [fanout] [bulk] [idle] [echo]\n");
        return 2;
    }
    fill_pools();
    for (i = 0; i < SECTION_COUNT; i++) {
        if (chosen == 0 || sections[i].wanted) sections[i].run(todo);
    }
    print_table();
    return complaints == 0 ? 0 : 1;
}
