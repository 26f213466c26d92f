/* gauntlet_wisp.h - the trials with wisp, in simulated time on bottleneck.h */
#ifndef GAUNTLET_WISP_H
#define GAUNTLET_WISP_H

#include "gauntlet.h"
#include "bottleneck.h"

enum { BULK_MESSAGE = 1000, BULK_WAITING = 256 << 10, STATE_MESSAGE = 1000, SENDER = 0, TAKER = 1 };

typedef struct wisp_run {
    const gauntlet_trial *t;
    bn_net    net;
    bn_way   *to, *back;                /* from the sender; to it */
    wisp_peer taker, sender;            /* as the other end knows them */
    double    began, next_input, next_state;
    uint64_t  bulk_arrived, bulk_before, bulk_loaded;      /* bytes; .. when the load ended */
    double    wait_sum;
    int       wait_count;
    bool      blob_arrived;
    wisp_desc desc;
    double    incident_over;            /* -1: it has not begun */
    gauntlet_ages     ages;
    gauntlet_outcome *out;
    unsigned char bytes[1 << 20];
} wisp_run;

/* A small message: its index, and bytes up to its size. */
static inline wisp_result wisp_fire_small(wisp_run *r, int end, const char *name, int size) {
    unsigned char bytes[STATE_MESSAGE] = { 0 };
    wisp_value values[2];
    if (r->ages.fired == AGES_MAX) return WISP_E_QUEUE_FULL;
    r->ages.fired_at[r->ages.fired] = r->net.now;
    values[0] = wisp_int(r->ages.fired++);
    for (int i = 0; i < size - 4; i++) bytes[i] = (unsigned char)bn_random(&r->net);
    values[1] = wisp_bytes(bytes, size - 4);
    return wisp_fire_values(bn_wisp(&r->net, end), name,
                            wisp_to_peer(end == SENDER ? r->taker : r->sender), values, 2);
}

static inline void gauntlet_on_small(wisp_event *event) {
    wisp_run *r = (wisp_run *)event->user;
    ages_arrive(&r->ages, wisp_arg_int(event, 0), r->net.now);
}

/* An echo is fired back as it came, and its age is told by its sender. */
static inline void gauntlet_on_echo(wisp_event *event) {
    wisp_run *r = (wisp_run *)event->user;
    if (event->w == bn_wisp(&r->net, SENDER)) gauntlet_on_small(event);
    else wisp_fire_values(event->w, "echo", wisp_to_peer(event->peer), event->args, event->count);
}

/* The first end of a session that its sender is told of. */
static inline void gauntlet_on_left(wisp_event *event) {
    wisp_run *r = (wisp_run *)event->user;
    if (event->w != bn_wisp(&r->net, SENDER) || !isinf(r->out->told)) return;
    r->out->told = r->net.now - r->incident_over;
}

static inline void gauntlet_on_bulk(wisp_event *event) {
    wisp_run *r = (wisp_run *)event->user;
    int size = 0;
    wisp_arg_bytes(event, 0, &size);
    r->bulk_arrived += (uint64_t)size;
    if (size == r->t->bytes) r->blob_arrived = true;
}

static inline void wisp_fill_bulk(wisp_run *r) {
    wisp *w = bn_wisp(&r->net, SENDER);
    wisp_peer_stats stats;
    wisp_stats_peer(w, r->taker, &stats);
    for (int waiting = stats.queued_bytes; waiting < BULK_WAITING; waiting += BULK_MESSAGE) {
        size_t at = (size_t)(bn_random(&r->net) % (sizeof r->bytes - BULK_MESSAGE));
        wisp_value value = wisp_bytes(r->bytes + at, BULK_MESSAGE);
        if (wisp_fire_values(w, "bulk", wisp_to_peer(r->taker), &value, 1) != WISP_OK) return;
    }
}

/* Is a message of a kind due at this tick? Ticks are not always in step with the messages. */
static inline bool gauntlet_is_due(double *next, double now, double hz) {
    if (now < *next) return false;
    *next += 1 / hz;
    return true;
}

static inline void wisp_flow_tick(bn_net *net, int end) {
    wisp_run *r = (wisp_run *)net->user;
    gauntlet_load kind = r->t->kind;
    if (r->began < 0) return;
    if (end == TAKER) {
        while (kind == LOAD_THIN && gauntlet_is_due(&r->next_state, net->now, 20))
            wisp_fire_small(r, TAKER, "thin", 200);
        return;
    }
    if (kind == LOAD_BULK || kind == LOAD_LIVE) wisp_fill_bulk(r);
    while (kind == LOAD_LIVE && gauntlet_is_due(&r->next_state, net->now, 20))
        wisp_fire_small(r, SENDER, "thin", STATE_MESSAGE);
    while (kind == LOAD_STREAM && gauntlet_is_due(&r->next_input, net->now, 60))
        wisp_fire_small(r, SENDER, "stream", 32);
    while (kind == LOAD_THIN && gauntlet_is_due(&r->next_input, net->now, 60))
        wisp_fire_small(r, SENDER, "thin", 32);
    while (kind == LOAD_ECHO && gauntlet_is_due(&r->next_input, net->now, 50))
        wisp_fire_small(r, SENDER, "echo", 8);
}

static inline void wisp_flow_ticked(bn_net *net, int end) {
    wisp_run *r = (wisp_run *)net->user;
    wisp_peer_stats stats;
    if (r->began < 0 || r->t->kind != LOAD_THIN) return;
    wisp_stats_peer(bn_wisp(net, end), end == SENDER ? r->taker : r->sender, &stats);
    r->out->held += stats.queued_messages > 0;
}

static inline void wisp_run_open(wisp_run *r, const gauntlet_trial *t, wisp_desc desc,
                                 uint64_t seed) {
    double hz = t->kind == LOAD_ECHO ? 1000 : 60;
    r->t = t;
    r->began = r->incident_over = -1;
    r->out->told = HUGE_VAL;
    bn_open(&r->net, seed);
    r->net.user = r;
    r->net.tick = wisp_flow_tick;
    r->net.ticked = wisp_flow_ticked;
    r->to = bn_way_add(&r->net);
    r->back = bn_way_add(&r->net);
    r->to->delay = r->back->delay = t->rtt / 2;
    r->to->rate = t->rate;
    r->to->queue = t->queue;
    r->to->hole = t->hole;
    desc.app = "gauntlet";
    desc.limits.window_bytes = 4 << 20;
    r->desc = desc;
    for (int end = SENDER; end <= TAKER; end++) {
        wisp *w;
        bn_add(&r->net, &desc, hz, end == SENDER ? r->to : r->back, NULL);
        w = bn_wisp(&r->net, end);
        wisp_connect_target(w, wisp_by_name("thin"), gauntlet_on_small, r, false);
        wisp_connect_target(w, wisp_by_name("echo"), gauntlet_on_echo, r, false);
        wisp_connect_target(w, wisp_by_name("bulk"), gauntlet_on_bulk, r, false);
        wisp_connect_target(w, wisp_by_name("stream"), gauntlet_on_small, r, false);
        wisp_connect_target(w, wisp_by_name(WISP_LEFT), gauntlet_on_left, r, false);
        wisp_set_unreliable(w, "thin", true);
        wisp_set_batch_priority(w, "bulk", 900);        /* state is more urgent */
    }
    for (size_t i = 0; i < sizeof r->bytes; i++) r->bytes[i] = (unsigned char)bn_random(&r->net);
}

/* The session is there and idle; the network turns bad, and the load begins. */
static inline void wisp_run_begin(wisp_run *r) {
    const gauntlet_trial *t = r->t;
    r->to->loss = t->loss;
    r->back->loss = t->back_loss > 0 ? t->back_loss : t->loss;
    r->to->burst = r->back->burst = t->burst;
    r->to->jitter = r->back->jitter = t->jitter;
    r->to->in_order = r->back->in_order = true;
    r->to->reorder = t->reorder;
    r->to->late = t->late;
    r->to->queue_peak = 0;
    r->began = r->next_input = r->next_state = r->net.now;
    if (t->kind != LOAD_BLOB) return;
    {
        wisp_value value = wisp_bytes(r->bytes, t->bytes);
        wisp_fire_values(bn_wisp(&r->net, SENDER), "bulk", wisp_to_peer(r->taker), &value, 1);
    }
}

/* The taker's end, without a goodbye; and a new one in its place. */
static inline void wisp_run_kill(wisp_run *r) {
    r->back->loss = 1;
    bn_destroy(&r->net, TAKER);
    r->back->loss = 0;
}

static inline void wisp_run_revive(wisp_run *r) {
    wisp_desc desc = r->desc;
    desc.link.send = bn_send;
    desc.link.recv = bn_recv;
    desc.link.user = r->net.ends[TAKER];
    desc.link.drains = true;
    desc.seed = bn_random(&r->net) | 1;
    r->net.ends[TAKER]->w = wisp_create(&desc, NULL);
    r->incident_over = r->net.now;
}

/* So many seconds after the incident's beginning. */
static inline void wisp_run_incident(wisp_run *r, double since) {
    bn_end *sender = r->net.ends[SENDER];
    bool begins = r->incident_over < 0;
    if (begins) r->incident_over = 0;
    if (r->t->incident == MOVES) {
        sender->port += begins;
    } else if (r->t->incident == SLEEPS) {
        if (sender->asleep && since >= 12) r->incident_over = r->net.now;
        sender->asleep = since < 12;
    } else if (begins) {
        wisp_run_kill(r);
    } else if (since >= 0.5 && !r->net.ends[TAKER]->w) {
        wisp_run_revive(r);
    }
}

/* A slice of 10 ms at a time into the load. */
static inline void wisp_run_slice(wisp_run *r, double at) {
    const gauntlet_trial *t = r->t;
    if (t->narrow_rate > 0) {
        bool narrow = at >= t->seconds / 3 && at < t->seconds * 2 / 3;
        double rate = narrow ? t->narrow_rate : t->rate;
        if (rate < r->to->rate || rate > r->to->rate) bn_way_rate(r->to, rate);
        if (at < t->seconds * 2 / 3 + 5) r->bulk_before = r->bulk_arrived;
    } else if (at < t->seconds / 4) {
        r->bulk_before = r->bulk_arrived;
    } else {
        r->wait_sum += bn_way_wait(r->to);
        r->wait_count++;
    }
    if (t->incident != NO_INCIDENT && at >= t->seconds / 2)
        wisp_run_incident(r, at - t->seconds / 2);
    bn_run(&r->net, 0.01);
    r->bulk_loaded = r->bulk_arrived;
}

static inline void wisp_run_measure(wisp_run *r, double seconds, uint64_t bytes, uint64_t packets) {
    const gauntlet_trial *t = r->t;
    gauntlet_outcome *out = r->out;
    wisp_peer_stats stats;
    double counted = t->narrow_rate > 0 ? t->seconds / 3 - 5 : t->seconds * 3 / 4;
    wisp_stats_peer(bn_wisp(&r->net, SENDER), r->taker, &stats);
    out->done = t->kind != LOAD_BLOB || r->blob_arrived;
    out->ended = wisp_peers(bn_wisp(&r->net, SENDER), NULL, 0) != 1 ||
                 wisp_peers(bn_wisp(&r->net, TAKER), NULL, 0) != 1;
    out->seconds = seconds;
    out->goodput = (double)(r->bulk_loaded - r->bulk_before) / counted;
    out->regained = t->rate > 0 ? out->goodput / t->rate : 0;
    out->standing = r->wait_count ? r->wait_sum / r->wait_count : 0;
    out->peak = r->to->queue_peak;
    out->called_lost = stats.packets_lost;
    out->spent = r->net.ends[SENDER]->bytes_sent + r->net.ends[TAKER]->bytes_sent - bytes;
    out->packets = r->net.ends[SENDER]->packets_sent - packets;
    ages_into(&r->ages, out);
    if (t->narrow_rate > 0)
        out->recovery = ages_recovery(&r->ages, r->ages.fired_at[0] + t->seconds / 3,
                                      r->ages.fired_at[0] + t->seconds * 2 / 3);
}

static inline void wisp_trial(const gauntlet_trial *t, const wisp_desc *desc, uint64_t seed,
                              gauntlet_outcome *out) {
    wisp_run *r = (wisp_run *)calloc(1, sizeof *r);
    uint64_t bytes, packets;
    double seconds = 0;
    memset(out, 0, sizeof *out);
    if (!r) return;
    r->out = out;
    wisp_run_open(r, t, *desc, seed);
    r->taker = bn_join(&r->net, SENDER, TAKER);
    if (r->taker.id) {
        r->sender = bn_peer(&r->net, TAKER, 0);
        bn_run(&r->net, 1);
        bytes = r->net.ends[SENDER]->bytes_sent + r->net.ends[TAKER]->bytes_sent;
        packets = r->net.ends[SENDER]->packets_sent;
        wisp_run_begin(r);
        for (int i = 0; seconds < t->seconds && !r->blob_arrived; i++) {
            wisp_run_slice(r, seconds);
            seconds = (i + 1) * 0.01;
        }
        r->began = -1;
        bn_run(&r->net, DRAIN_SECONDS);
        wisp_run_measure(r, seconds, bytes, packets);
    }
    bn_close(&r->net);
    free(r);
}

/* --- many sessions --- */

typedef struct wisp_meeting { int joined[2], left[2]; bool talks; } wisp_meeting;

static inline int meeting_end(const wisp_event *event) {
    bn_net *net = (bn_net *)wisp_user(event->w);
    return event->w == bn_wisp(net, TAKER) ? TAKER : SENDER;
}

static inline void on_meeting_joined(wisp_event *event) {
    ((wisp_meeting *)event->user)->joined[meeting_end(event)]++;
}

static inline void on_meeting_left(wisp_event *event) {
    ((wisp_meeting *)event->user)->left[meeting_end(event)]++;
}

static inline void on_meeting_talk(wisp_event *event) { (void)event; }

static inline void meeting_tick(bn_net *net, int end) {
    wisp_meeting *m = (wisp_meeting *)net->user;
    wisp_value value = wisp_bytes("a line of thirty-two bytes, 32..", 32);
    if (m->talks && (int64_t)(net->now * 60) % 6 == 0)
        wisp_fire_values(bn_wisp(net, end), "talk", wisp_to_all(), &value, 1);
}

static inline void wisp_crowd_one(const gauntlet_crowd *c, wisp_desc desc, int n,
                                  gauntlet_crowd_outcome *out) {
    bn_net net;
    bn_way *ways[2];
    wisp_meeting m;
    wisp_addr to;
    double begin;
    memset(&m, 0, sizeof m);
    bn_open(&net, (uint64_t)n + 1);
    net.user = &m;
    net.tick = meeting_tick;
    desc.user = &net;
    for (int end = SENDER; end <= TAKER; end++) {
        ways[end] = bn_way_add(&net);
        ways[end]->delay = c->rtt / 2;
        ways[end]->loss = c->loss;
        ways[end]->burst = c->burst;
        bn_add(&net, &desc, gauntlet_crowd_hz(c, n, end), ways[end], NULL);
    }
    for (int end = SENDER; end <= TAKER; end++) {
        wisp *w = bn_wisp(&net, end);
        wisp_connect_target(w, wisp_by_name(WISP_JOINED), on_meeting_joined, &m, false);
        wisp_connect_target(w, wisp_by_name(WISP_LEFT), on_meeting_left, &m, false);
        wisp_connect_target(w, wisp_by_name("talk"), on_meeting_talk, &m, false);
    }
    to = bn_addr(&net, TAKER);
    begin = net.now;
    wisp_join(bn_wisp(&net, SENDER), &to, NULL, 0);
    while (net.now < begin + c->seconds && !(m.joined[0] && m.joined[1])) bn_run(&net, 0.02);
    if (m.joined[0] == 1 && m.joined[1] == 1 && !m.left[0] && !m.left[1]) {
        gauntlet_crowd_joined(out, net.now - begin);
        m.talks = c->talks;
        if (c->talks) bn_run(&net, c->seconds);
        out->ended += m.left[0] || m.left[1];
    }
    for (int end = SENDER; end <= TAKER; end++) out->spent += net.ends[end]->bytes_sent;
    bn_close(&net);
}

static inline void wisp_crowd(const gauntlet_crowd *c, const wisp_desc *desc,
                              gauntlet_crowd_outcome *out) {
    memset(out, 0, sizeof *out);
    for (int n = 0; n < c->count; n++) wisp_crowd_one(c, *desc, n, out);
    if (out->joined) out->mean /= out->joined;
}

/* --- flows that share a link: goodput of each, in bytes per second. Flow n is controlled as
       descs[n] says; `bdp` is the buffer in products of 1,250 kB/s and 100 ms --- */

enum { FLOWS_MAX = 4 };

typedef struct wisp_flows {
    bn_net    net;
    int       count;
    wisp_peer peers[FLOWS_MAX];
    uint64_t  arrived[FLOWS_MAX];
    unsigned char bytes[BULK_MESSAGE];
} wisp_flows;

static inline void gauntlet_on_flow(wisp_event *event) { *(uint64_t *)event->user += BULK_MESSAGE; }

static inline void gauntlet_flows_tick(bn_net *net, int end) {
    wisp_flows *f = (wisp_flows *)net->user;
    wisp_peer_stats stats;
    if (end >= f->count || !f->peers[end].id) return;
    wisp_stats_peer(bn_wisp(net, end), f->peers[end], &stats);
    for (int waiting = stats.queued_bytes; waiting < BULK_WAITING; waiting += BULK_MESSAGE) {
        wisp_value value = wisp_bytes(f->bytes, BULK_MESSAGE);
        for (int i = 0; i < 8; i++) f->bytes[i] = (unsigned char)bn_random(net);
        wisp_fire_values(bn_wisp(net, end), "flow", wisp_to_peer(f->peers[end]), &value, 1);
    }
}

static inline void wisp_share(const wisp_desc *descs, int count, double bdp, uint64_t seed,
                       double *goodput) {
    wisp_flows *f = (wisp_flows *)calloc(1, sizeof *f);
    bn_way *to, *back;
    if (!f) return;
    f->count = count;
    bn_open(&f->net, seed);
    f->net.user = f;
    f->net.tick = gauntlet_flows_tick;
    to = bn_way_add(&f->net);
    back = bn_way_add(&f->net);
    to->rate = 1250e3;
    to->queue = bdp * 125e3;
    to->delay = back->delay = 0.05;
    for (int i = 0; i < 2 * count; i++) {
        wisp_desc desc = descs[i % count];
        desc.limits.window_bytes = 4 << 20;
        bn_add(&f->net, &desc, 60, i < count ? to : back, NULL);
    }
    for (int i = 0; i < count; i++)
        wisp_connect_target(bn_wisp(&f->net, count + i), wisp_by_name("flow"), gauntlet_on_flow,
                            &f->arrived[i], false);
    for (int i = 0; i < count; i++) {
        f->peers[i] = bn_join(&f->net, i, count + i);
        bn_run(&f->net, 0.5);
    }
    bn_run(&f->net, 10);
    for (int i = 0; i < count; i++) goodput[i] = -(double)f->arrived[i];
    bn_run(&f->net, 20);
    for (int i = 0; i < count; i++) goodput[i] = (goodput[i] + (double)f->arrived[i]) / 20;
    bn_close(&f->net);
    free(f);
}

/* What a sharing asks for: see `must` there. `other` controls the second flow if it is beside. */
static inline double wisp_sharing(const gauntlet_sharing *s, const wisp_desc *desc,
                                  const wisp_desc *other, uint64_t seed) {
    wisp_desc descs[FLOWS_MAX];
    double goodput[FLOWS_MAX] = { 0 }, sum = 0, squares = 0, least = HUGE_VAL;
    for (int i = 0; i < s->flows; i++) descs[i] = s->beside && i == 1 ? *other : *desc;
    wisp_share(descs, s->flows, s->buffer, seed, goodput);
    for (int i = 0; i < s->flows; i++) {
        sum += goodput[i];
        squares += goodput[i] * goodput[i];
        if (goodput[i] < least) least = goodput[i];
    }
    return s->beside ? 100 * least / sum : sum * sum / (s->flows * squares);
}

#endif /* GAUNTLET_WISP_H */
