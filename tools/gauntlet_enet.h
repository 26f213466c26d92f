/* gauntlet_enet.h - the trials with ENet, in real time over real sockets

   Between both ends stands a relay with the model of tools/wisp_relay, which is the simulator of
   wisp: one for each direction. Everything of a trial runs in one process, in steps of about a
   millisecond; the ends are serviced as often as those of wisp are updated. */
#ifndef TOOLS_GAUNTLET_ENET_H
#define TOOLS_GAUNTLET_ENET_H

#include "examples/udp.h"
#include "tests/support/gauntlet_wisp.h"

#include <enet/enet.h>

enum { RELAY_BURST = 64, ENET_BULK_WAITING = 512 << 10 };

/* --- the relay --- */

typedef struct relay {
    udp_socket     front, rear;         /* the client's side, the server's side */
    wisp_simulator to, back;            /* to the server, back to the client */
    wisp_link      to_link, back_link;
    wisp_addr      client, server;
} relay;

static bool relay_open(relay *r, int server_port, uint64_t seed) {
    memset(r, 0, sizeof *r);
    r->to.seed = seed;
    r->back.seed = seed + 1;
    if (!udp_open(&r->front, "127.0.0.1", 0) || !udp_open(&r->rear, "127.0.0.1", 0)) return false;
    r->to_link = wisp_simulate(&r->to, udp_link(&r->rear));
    r->back_link = wisp_simulate(&r->back, udp_link(&r->front));
    return udp_resolve("127.0.0.1", server_port, &r->server);
}

/* Takes what has come to a socket into a simulator, which sends what is due. */
static void relay_way(udp_socket *from, wisp_simulator *sim, wisp_link *link, wisp_addr *sender,
                      const wisp_addr *to) {
    static unsigned char bytes[RELAY_BURST][2048];
    wisp_packet packets[RELAY_BURST];
    int count;
    sim->now = udp_seconds();
    for (int i = 0; i < RELAY_BURST; i++) {
        packets[i].data = bytes[i];
        packets[i].size = (int)sizeof bytes[i];
    }
    count = udp_recv(from, packets, RELAY_BURST);
    for (int i = 0; i < count; i++) {
        if (sender) *sender = packets[i].addr;
        packets[i].addr = *to;
    }
    link->send(link->user, packets, count > 0 ? count : 0);
}

static void relay_step(relay *r) {
    relay_way(&r->front, &r->to, &r->to_link, &r->client, &r->server);
    if (r->client.bytes[0]) relay_way(&r->rear, &r->back, &r->back_link, NULL, &r->client);
}

static void relay_close(relay *r) {
    udp_close(&r->front);
    udp_close(&r->rear);
    wisp_simulator_free(&r->to);
    wisp_simulator_free(&r->back);
}

/* --- two hosts of ENet with a relay between --- */

typedef struct enet_pair {
    relay     relay;
    ENetHost *hosts[2];                 /* the sender, which connects, and the taker */
    ENetPeer *peers[2];                 /* the other end, while connected */
    double    next[2], period[2];       /* seconds, of servicing */
    bool      joined, ended, left;      /* ended at either end; at the sender's */
    bool      asleep;                   /* the sender is not serviced */
    enet_uint16 port;                   /* of the taker */
    void    (*heard)(void *user, int end, const ENetPacket *packet);
    void     *user;
} enet_pair;

static bool enet_pair_open(enet_pair *p, double rtt, double sender_hz, double taker_hz,
                           uint64_t seed) {
    ENetAddress address;
    memset(p, 0, sizeof *p);
    p->period[0] = 1 / sender_hz;
    p->period[1] = 1 / taker_hz;
    enet_address_set_host_ip(&address, "127.0.0.1");
    address.port = ENET_PORT_ANY;
    p->hosts[1] = enet_host_create(&address, 1, 3, 0, 0);
    p->hosts[0] = enet_host_create(NULL, 1, 3, 0, 0);
    if (!p->hosts[0] || !p->hosts[1]) return false;
    enet_socket_get_address(p->hosts[1]->socket, &address);
    p->port = address.port;
    if (!relay_open(&p->relay, p->port, seed)) return false;
    p->relay.to.latency = p->relay.back.latency = rtt / 2;
    enet_address_set_host_ip(&address, "127.0.0.1");
    address.port = (enet_uint16)udp_port(&p->relay.front);
    return enet_host_connect(p->hosts[0], &address, 3, 0) != NULL;
}

static void enet_pair_event(enet_pair *p, int end, const ENetEvent *event) {
    if (event->type == ENET_EVENT_TYPE_CONNECT) p->peers[end] = event->peer;
    if (event->type == ENET_EVENT_TYPE_DISCONNECT) {
        p->ended = true;
        p->left = p->left || end == 0;
        p->peers[end] = NULL;
    }
    if (event->type == ENET_EVENT_TYPE_RECEIVE) {
        if (p->heard) p->heard(p->user, end, event->packet);
        enet_packet_destroy(event->packet);
    }
    p->joined = p->peers[0] && p->peers[1];
}

/* Receives, dispatches and sends, as wisp_update does; `tick` may send before. */
static void enet_pair_service(enet_pair *p, int end, double now,
                              void (*tick)(void *user, int end)) {
    ENetEvent event;
    int got;
    if (!p->hosts[end] || now < p->next[end]) return;
    p->next[end] = p->next[end] > 0 ? p->next[end] + p->period[end] : now + p->period[end];
    if (end == 0 && p->asleep) return;
    if (tick) tick(p->user, end);
    got = enet_host_service(p->hosts[end], &event, 0);
    for (int i = 0; i < 100000 && got > 0; i++) {
        enet_pair_event(p, end, &event);
        got = enet_host_check_events(p->hosts[end], &event);
    }
    enet_host_flush(p->hosts[end]);
}

static void enet_pair_step(enet_pair *p, void (*tick)(void *user, int end)) {
    double now = udp_seconds();
    relay_step(&p->relay);
    enet_pair_service(p, 0, now, tick);
    enet_pair_service(p, 1, now, tick);
}

static uint64_t enet_pair_spent(const enet_pair *p) {
    uint64_t spent = p->hosts[0]->totalSentData;
    return spent + (p->hosts[1] ? p->hosts[1]->totalSentData : 0);
}

static void enet_pair_close(enet_pair *p) {
    for (int end = 0; end < 2; end++)
        if (p->hosts[end]) enet_host_destroy(p->hosts[end]);
    relay_close(&p->relay);
}

/* --- a trial --- */

enum { CHANNEL_BULK, CHANNEL_THIN, CHANNEL_STREAM };

typedef struct enet_run {
    const gauntlet_trial *t;
    enet_pair pair;
    double    began, next_input, next_state;
    uint64_t  bulk_fired, bulk_arrived, bulk_before, bulk_loaded;
    double    wait_sum;
    int       wait_count;
    bool      blob_arrived;
    double    incident_over;            /* -1: it has not begun */
    gauntlet_ages     ages;
    gauntlet_outcome *out;
    unsigned char bytes[1 << 20];
} enet_run;

static void enet_fire(enet_run *r, int end, int channel, const void *bytes, int size) {
    enet_uint32 flags = channel == CHANNEL_THIN ? 0 : ENET_PACKET_FLAG_RELIABLE;
    ENetPacket *packet = enet_packet_create(bytes, (size_t)size, flags);
    if (!r->pair.peers[end] || !packet ||
        enet_peer_send(r->pair.peers[end], (enet_uint8)channel, packet) < 0)
        enet_packet_destroy(packet);
}

/* The first four bytes are the index; the next one of an echo is where it came from. */
static void enet_fire_small(enet_run *r, int end, int channel, int size) {
    unsigned char bytes[STATE_MESSAGE];
    int32_t index = r->ages.fired;
    if (index == AGES_MAX) return;
    for (int i = 0; i < size; i++) bytes[i] = r->bytes[(index * 977 + i) & 0xfffff];
    memcpy(bytes, &index, sizeof index);
    r->ages.fired_at[r->ages.fired++] = udp_seconds();
    enet_fire(r, end, channel, bytes, size);
}

static void enet_heard(void *user, int end, const ENetPacket *packet) {
    enet_run *r = (enet_run *)user;
    int size = (int)packet->dataLength;
    int32_t index;
    if (r->t->kind == LOAD_BLOB || size == BULK_MESSAGE + 1) {
        r->bulk_arrived += packet->dataLength;
        if (size == r->t->bytes) r->blob_arrived = true;
    } else if (r->t->kind == LOAD_ECHO && end == TAKER) {
        enet_fire(r, TAKER, CHANNEL_STREAM, packet->data, size);
    } else if (size >= 4) {
        memcpy(&index, packet->data, sizeof index);
        ages_arrive(&r->ages, index, udp_seconds());
    }
}

static void enet_tick(void *user, int end) {
    enet_run *r = (enet_run *)user;
    gauntlet_load kind = r->t->kind;
    double now = udp_seconds();
    if (r->began < 0) return;
    if (end == TAKER) {
        while (kind == LOAD_THIN && gauntlet_is_due(&r->next_state, now, 20))
            enet_fire_small(r, TAKER, CHANNEL_THIN, 200);
        return;
    }
    while ((kind == LOAD_BULK || kind == LOAD_LIVE) &&
           r->bulk_fired - r->bulk_arrived < ENET_BULK_WAITING && r->pair.peers[SENDER]) {
        enet_fire(r, SENDER, CHANNEL_BULK, r->bytes + r->bulk_fired % 99991, BULK_MESSAGE + 1);
        r->bulk_fired += BULK_MESSAGE + 1;
    }
    while (kind == LOAD_LIVE && gauntlet_is_due(&r->next_state, now, 20))
        enet_fire_small(r, SENDER, CHANNEL_THIN, STATE_MESSAGE);
    while (kind == LOAD_STREAM && gauntlet_is_due(&r->next_input, now, 60))
        enet_fire_small(r, SENDER, CHANNEL_STREAM, 32);
    while (kind == LOAD_THIN && gauntlet_is_due(&r->next_input, now, 60))
        enet_fire_small(r, SENDER, CHANNEL_THIN, 32);
    while (kind == LOAD_ECHO && gauntlet_is_due(&r->next_input, now, 50))
        enet_fire_small(r, SENDER, CHANNEL_STREAM, 8);
}

static void enet_run_until(enet_run *r, double end) {
    for (int i = 0; i < 100000 && udp_seconds() < end; i++) {
        enet_pair_step(&r->pair, enet_tick);
        udp_sleep(0.0005);
    }
}

static void enet_run_begin(enet_run *r) {
    const gauntlet_trial *t = r->t;
    wisp_simulator *to = &r->pair.relay.to, *back = &r->pair.relay.back;
    to->loss = t->loss;
    back->loss = t->back_loss > 0 ? t->back_loss : t->loss;
    to->burst = back->burst = t->burst;
    to->jitter = back->jitter = t->jitter;
    to->keep_order = back->keep_order = 1;
    to->reorder = t->reorder;
    to->reorder_delay = t->late;
    r->began = r->next_input = r->next_state = udp_seconds();
    if (t->kind == LOAD_BLOB) enet_fire(r, SENDER, CHANNEL_BULK, r->bytes, t->bytes);
}

/* Seconds that the next packet would wait in the queue. */
static double relay_wait(const wisp_simulator *sim) {
    return sim->rate > 0 ? (double)sim->out_way.queued / sim->rate : 0;
}

/* The taker's host, without a goodbye; and a new one on its port. */
static void enet_run_kill(enet_run *r) {
    enet_host_destroy(r->pair.hosts[TAKER]);
    r->pair.hosts[TAKER] = NULL;
    r->pair.peers[TAKER] = NULL;
}

static void enet_run_revive(enet_run *r) {
    ENetAddress address;
    enet_address_set_host_ip(&address, "127.0.0.1");
    address.port = r->pair.port;
    r->pair.hosts[TAKER] = enet_host_create(&address, 1, 3, 0, 0);
    r->incident_over = udp_seconds();
}

/* So many seconds after the incident's beginning. */
static void enet_run_incident(enet_run *r, double since) {
    bool begins = r->incident_over < 0;
    if (begins) r->incident_over = 0;
    if (r->t->incident == MOVES && begins) {
        udp_close(&r->pair.relay.rear);
        udp_open(&r->pair.relay.rear, "127.0.0.1", 0);
    } else if (r->t->incident == SLEEPS) {
        if (r->pair.asleep && since >= 12) r->incident_over = udp_seconds();
        r->pair.asleep = since < 12;
    } else if (r->t->incident == RESTARTS && begins) {
        enet_run_kill(r);
    } else if (r->t->incident == RESTARTS && since >= 0.5 && !r->pair.hosts[TAKER]) {
        enet_run_revive(r);
    }
    if (r->pair.left && isinf(r->out->told)) r->out->told = udp_seconds() - r->incident_over;
}

static void enet_run_slice(enet_run *r, double at) {
    const gauntlet_trial *t = r->t;
    wisp_simulator *to = &r->pair.relay.to;
    double wait = relay_wait(to);
    if (t->narrow_rate > 0) {
        to->rate = at >= t->seconds / 3 && at < t->seconds * 2 / 3 ? t->narrow_rate : t->rate;
        if (at < t->seconds * 2 / 3 + 5) r->bulk_before = r->bulk_arrived;
    } else if (at < t->seconds / 4) {
        r->bulk_before = r->bulk_arrived;
    } else {
        r->wait_sum += wait;
        r->wait_count++;
    }
    if (wait > r->out->peak) r->out->peak = wait;
    if (t->incident != NO_INCIDENT && at >= t->seconds / 2)
        enet_run_incident(r, at - t->seconds / 2);
    enet_run_until(r, r->began + at + 0.01);
    r->bulk_loaded = r->bulk_arrived;
}

static void enet_run_measure(enet_run *r, double seconds, uint64_t bytes, uint64_t packets) {
    const gauntlet_trial *t = r->t;
    gauntlet_outcome *out = r->out;
    double counted = t->narrow_rate > 0 ? t->seconds / 3 - 5 : t->seconds * 3 / 4;
    out->done = t->kind != LOAD_BLOB || r->blob_arrived;
    out->ended = r->pair.ended;
    out->seconds = seconds;
    out->goodput = (double)(r->bulk_loaded - r->bulk_before) / counted;
    out->regained = t->rate > 0 ? out->goodput / t->rate : 0;
    out->standing = r->wait_count ? r->wait_sum / r->wait_count : 0;
    out->spent = enet_pair_spent(&r->pair) - bytes;
    out->packets = r->pair.hosts[SENDER]->totalSentPackets - packets;
    ages_into(&r->ages, out);
    if (t->narrow_rate > 0)
        out->recovery = ages_recovery(&r->ages, r->ages.fired_at[0] + t->seconds / 3,
                                      r->ages.fired_at[0] + t->seconds * 2 / 3);
}

static void enet_trial(const gauntlet_trial *t, uint64_t seed, gauntlet_outcome *out) {
    enet_run *r = (enet_run *)calloc(1, sizeof *r);
    double hz = t->kind == LOAD_ECHO ? 1000 : 60, seconds = 0, end = udp_seconds() + 10;
    uint64_t bytes, packets;
    memset(out, 0, sizeof *out);
    if (!r) return;
    r->out = out;
    r->t = t;
    r->began = r->incident_over = -1;
    out->told = HUGE_VAL;
    for (size_t i = 0; i < sizeof r->bytes; i++) r->bytes[i] = (unsigned char)(i * i >> 7);
    if (enet_pair_open(&r->pair, t->rtt, hz, hz, seed)) {
        r->pair.relay.to.rate = t->rate;
        r->pair.relay.to.queue_bytes = (int)t->queue;
        r->pair.relay.to.mtu = t->hole;
        r->pair.heard = enet_heard;
        r->pair.user = r;
        while (!r->pair.joined && udp_seconds() < end) enet_run_until(r, udp_seconds() + 0.01);
    }
    if (r->pair.joined) {
        enet_run_until(r, udp_seconds() + 1);
        bytes = enet_pair_spent(&r->pair);
        packets = r->pair.hosts[SENDER]->totalSentPackets;
        enet_run_begin(r);
        for (int i = 0; seconds < t->seconds && !r->blob_arrived; i++) {
            enet_run_slice(r, seconds);
            seconds = udp_seconds() - r->began;
        }
        r->began = -1;
        enet_run_until(r, udp_seconds() + DRAIN_SECONDS);
        enet_run_measure(r, seconds, bytes, packets);
    }
    enet_pair_close(&r->pair);
    free(r);
}

/* --- many sessions --- */

static void crowd_talk(enet_pair *p) {
    for (int end = 0; end < 2; end++) {
        ENetPacket *packet = enet_packet_create("a line of thirty-two bytes, 32..", 32,
                                                ENET_PACKET_FLAG_RELIABLE);
        if (!packet) continue;
        if (!p->peers[end] || enet_peer_send(p->peers[end], 0, packet) < 0)
            enet_packet_destroy(packet);
    }
}

static enet_pair *crowd_open(const gauntlet_crowd *c) {
    enet_pair *pairs = (enet_pair *)calloc((size_t)c->count, sizeof *pairs);
    for (int n = 0; pairs && n < c->count; n++) {
        enet_pair *p = &pairs[n];
        double hz[2] = { gauntlet_crowd_hz(c, n, 0), gauntlet_crowd_hz(c, n, 1) };
        if (!enet_pair_open(p, c->rtt, hz[0], hz[1], (uint64_t)n * 2 + 1)) continue;
        p->relay.to.loss = p->relay.back.loss = c->loss;
        p->relay.to.burst = p->relay.back.burst = c->burst;
    }
    return pairs;
}

/* All pairs at once, in steps of some milliseconds. */
static void crowd_run(const gauntlet_crowd *c, enet_pair *pairs, bool talk,
                      gauntlet_crowd_outcome *out) {
    double begin = udp_seconds(), next = begin;
    while (udp_seconds() < begin + c->seconds && (talk || out->joined < c->count)) {
        bool due = gauntlet_is_due(&next, udp_seconds(), 10) && talk;
        for (int n = 0; n < c->count; n++) {
            bool before = pairs[n].joined || pairs[n].ended;
            if (!pairs[n].hosts[0] || pairs[n].ended) continue;
            if (due) crowd_talk(&pairs[n]);
            enet_pair_step(&pairs[n], NULL);
            if (!before && pairs[n].joined) gauntlet_crowd_joined(out, udp_seconds() - begin);
        }
        udp_sleep(0.004);
    }
}

static void enet_crowd(const gauntlet_crowd *c, gauntlet_crowd_outcome *out) {
    enet_pair *pairs = crowd_open(c);
    memset(out, 0, sizeof *out);
    if (!pairs) return;
    crowd_run(c, pairs, false, out);
    if (c->talks) crowd_run(c, pairs, true, out);
    for (int n = 0; n < c->count; n++) {
        out->ended += pairs[n].ended && c->talks;
        if (pairs[n].hosts[0]) out->spent += enet_pair_spent(&pairs[n]);
        enet_pair_close(&pairs[n]);
    }
    if (out->joined) out->mean /= out->joined;
    free(pairs);
}

#endif /* TOOLS_GAUNTLET_ENET_H */
