/* bench_traffic.c - what wisp costs, measured beside ENet and the bare system calls

   Build    cc -std=c99 -O2 -DNDEBUG -I. tools/bench_traffic.c -o build/bench_traffic -lenet -lm
   Run      build/bench_traffic [quick] [traffic] [ceiling]

   20 messages of 32 bytes per tick of 1/60 s, server to client, new bytes in each. .size is UDP
   payload both ways per message, .cpu the process's time, both ends together, from the fire by name
   to the checksum in the handler. ENet's 32 bytes begin with the byte its switch dispatches by.
   `raw` moves the datagrams that wisp sent in the same round, tick by tick, with one call to
   receive and one to send per side.

   ceiling  datagrams of 1,200 bytes, one message in each: the share of what the bare system calls
            move in a second of CPU. udp_to_raw is its inverse, at most 1.33 for 75%. */
#include "bench.h"

#include <enet/enet.h>

enum { ROUNDS = 15, ROUNDS_QUICK = 7, TICKS = 5000, TICKS_QUICK = 500 };

/* ---------------------------------------------------------------------------
 * The messages: one pool per form, walked round and round
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
 * Traffic: 20 messages of 32 bytes per tick
 * ------------------------------------------------------------------------ */

typedef enum medium { MEDIUM_MEMORY, MEDIUM_UDP, MEDIUM_ENET, MEDIUM_RAW, MEDIUM_COUNT } medium;

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

static void run_traffic(bool quick) {
    int ticks = quick ? TICKS_QUICK : TICKS, rounds = quick ? ROUNDS_QUICK : ROUNDS;
    trace traces[2];
    int i, room = ticks * TRACE_ENTRIES_PER_TICK;
    fill_pools();
    memset(traces, 0, sizeof traces);
    for (i = 0; i < 2; i++) {
        traces[i].sizes = (uint16_t *)calloc((size_t)room, sizeof *traces[i].sizes);
        traces[i].room = traces[i].sizes ? room : 0;
    }
    if (enet_initialize() != 0) complain("enet_initialize failed");
    for (i = 0; i < rounds; i++) traffic_round(ticks, traces);
    enet_deinitialize();
    for (i = 0; i < 2; i++) {
        if (traces[i].count == traces[i].room) complain("a trace has no room for its datagrams");
        free(traces[i].sizes);
    }
}

/* ---- the ceiling: datagrams as large as they come ------------------------ */

enum { LARGE_BYTES = 1160, LARGE_PER_TICK = 24, LARGE_TICKS = 3000, LARGE_TICKS_QUICK = 300 };

static void on_large(wisp_event *event) {
    receiver *r = (receiver *)event->user;
    int size = 0;
    const void *bytes = wisp_arg_bytes(event, 0, &size);
    if (bytes && size == LARGE_BYTES) r->count++;
    else r->bad++;
}

static void large_ticks(pair *p, int ticks) {
    static unsigned char bytes[LARGE_BYTES];
    wisp_remote remote = wisp_remote_named(p->ends[SERVER], "large");
    int i, j;
    for (i = 0; i < ticks; i++) {
        for (j = 0; j < LARGE_PER_TICK; j++) {
            bytes[0] = (unsigned char)j;
            wisp_send_bytes(p->ends[SERVER], remote, wisp_to_peer(p->peer), bytes, LARGE_BYTES);
        }
        pair_tick(p);
    }
}

/* Datagrams of the measured ticks, and CPU seconds. */
static double measure_large(bool reliable, int ticks, trace *sizes) {
    pair p;
    receiver r;
    double seconds;
    memset(&p, 0, sizeof p);
    memset(&r, 0, sizeof r);
    p.over_udp = true;
    p.step = tick_seconds;
    sizes->count = 0;
    if (!pair_open(&p, NULL, 0)) return 0;
    wisp_connect(p.ends[CLIENT], "large", on_large, &r);
    wisp_set_unreliable(p.ends[SERVER], "large", !reliable);
    large_ticks(&p, WARM_TICKS);
    p.taps[SERVER].trace = p.taps[CLIENT].trace = sizes;
    r.count = 0;
    seconds = cpu_seconds();
    large_ticks(&p, ticks);
    seconds = cpu_seconds() - seconds;
    if (r.bad || r.count < ticks * LARGE_PER_TICK * 99 / 100)
        complain("ceiling: %d of %d messages arrived, %d bad", r.count, ticks * LARGE_PER_TICK,
                 r.bad);
    pair_close(&p);
    return seconds;
}

static void run_ceiling(bool quick) {
    static const char *const names[2] = { "ceiling.unreliable", "ceiling.reliable" };
    int ticks = quick ? LARGE_TICKS_QUICK : LARGE_TICKS, rounds = quick ? ROUNDS_QUICK : ROUNDS;
    trace t = { NULL, 0, 0 };
    int i, reliable;
    t.room = ticks * TRACE_ENTRIES_PER_TICK;
    t.sizes = (uint16_t *)calloc((size_t)t.room, sizeof *t.sizes);
    if (!t.sizes) t.room = 0;
    for (i = 0; i < rounds * 2; i++) {
        contender c = { "ceiling.raw", MEDIUM_RAW, FORM_BYTES, true, 0, 0 };
        outcome raw = { 0, 0 };
        double seconds;
        reliable = i & 1;
        seconds = measure_large(reliable != 0, ticks, &t);
        measure_raw(&c, &t, &raw);
        if (seconds <= 0 || raw.cpu_seconds <= 0) continue;
        record(names[reliable], "throughput", "MB/s", 0,
               (double)ticks * LARGE_PER_TICK * LARGE_BYTES / seconds / 1e6);
        record(names[reliable], "udp_to_raw", "x", 4.0 / 3, seconds / raw.cpu_seconds);
    }
    free(t.sizes);
}

int main(int count, char **words) {
    static const section sections[] = { { "traffic", run_traffic }, { "ceiling", run_ceiling } };
    return bench_main("bench_traffic", count, words, sections, 2);
}
