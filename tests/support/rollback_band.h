/* rollback_band.h - ends that play a game by wisp_rollback on a simulated network

       band t;
       band_open(&t, 3, 7);                    players, seed
       t.net.ways[0]->loss = 0.1;               of what end 0 sends
       t.ends[1].desc.delay = 2;                before band_begin
       band_join(&t);
       band_begin(&t);
       band_run(&t, 5);                        seconds
       band_same(&t);                          checks that all have run the same inputs
       band_close(&t);

   Included after the implementation of wisp.h, test_runner.h and bottleneck.h. Each end is updated
   `hz` times a second, each time after a step of the game. Ends after the players are spectators.
   An end whose `away` is set is not updated. */
#ifndef ROLLBACK_BAND_H
#define ROLLBACK_BAND_H

enum { PARTY_ENDS = 10, PARTY_TICKS = 8192 };

typedef struct band_input { uint16_t buttons; int8_t x, y; } band_input;

static const wisp_field band_fields[] = {
    WISP_FIELD(band_input, buttons, WISP_T_UINT),
    WISP_FIELD(band_input, x, WISP_T_INTEGER),
    WISP_FIELD(band_input, y, WISP_T_INTEGER),
};
static const wisp_schema band_schema = WISP_SCHEMA(band_input, 1, band_fields);

typedef struct band_state { int64_t tick; uint64_t sum; int64_t x[8]; } band_state;

typedef struct band band;

typedef struct band_end {
    band       *t;
    int          index, every;        /* every: ticks between changes of its input */
    wisp        *w;
    wisp_rollback_desc desc;
    band_state  state;
    band_input  input;
    uint64_t     random;
    uint64_t     ran[PARTY_TICKS];    /* of the inputs of each tick, as it ran last */
    int          holes[PARTY_TICKS];  /* players without an input */
    int64_t      unsaved;             /* of the game, and not saved */
    int          steps, loads, saves, result, desyncs, stalled, resumed, dumps, most_again;
    int64_t      desync_tick, waited;     /* waited: the tick of the last call left out */
    uint64_t     hashes[2];           /* of the last desync */
    bool         playing, away, gone, unsteady;
} band_end;

struct band {
    bn_net    net;
    int       players, count;
    int       at[PARTY_ENDS];
    band_end ends[PARTY_ENDS];
    wisp_peer peers[PARTY_ENDS][PARTY_ENDS];
};

static inline uint64_t band_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline void band_step(void *user, const void *const *inputs, int64_t tick) {
    band_end *e = (band_end *)user;
    band_state *s = &e->state;
    uint64_t all = (uint64_t)tick;
    int holes = 0;
    CHECK_EQ_INT(s->tick, tick);
    for (int p = 0; p < e->desc.players; p++) {
        const band_input *in = (const band_input *)inputs[p];
        uint64_t value = in ? in->buttons | (uint64_t)(uint8_t)in->x << 16 |
                                  (uint64_t)(uint8_t)in->y << 24 : UINT64_C(1) << 40;
        all = band_mix(all * 31 + value);
        holes |= !in << p;
        if (in) s->x[p] += in->x;
    }
    s->sum = band_mix(s->sum + all);
    if (e->unsteady) s->sum += (uint64_t)e->unsaved++;
    s->tick++;
    e->ran[tick % PARTY_TICKS] = all;
    e->holes[tick % PARTY_TICKS] = holes;
    e->steps++;
}

static inline void band_save(void *user, void *out) {
    band_end *e = (band_end *)user;
    e->saves++;
    memcpy(out, &e->state, sizeof e->state);
}

static inline void band_load(void *user, const void *state) {
    band_end *e = (band_end *)user;
    e->loads++;
    memcpy(&e->state, state, sizeof e->state);
}

static inline void band_dump(void *user, int64_t tick, const void *state) {
    band_end *e = (band_end *)user;
    e->dumps += state != NULL && ((const band_state *)state)->tick == tick;
}

static inline void band_on(wisp_event *event) {
    band_end *e = (band_end *)event->user;
    if (strcmp(event->name, WISP_STALLED) == 0) e->stalled++;
    else if (strcmp(event->name, WISP_RESUMED) == 0) e->resumed++;
    else {
        e->desyncs++;
        e->desync_tick = event->tick;
        CHECK_EQ_INT(event->count, 2);
        for (int i = 0; i < 2; i++) e->hashes[i] = wisp_arg_uint(event, i);
    }
}

/* Before each update: a step. */
static inline void band_tick(bn_net *net, int end) {
    band *t = (band *)net->user;
    band_end *e = &t->ends[end];
    wisp_rollback_stats before, after;
    if (!e->playing) return;
    if (bn_random(net) % (uint64_t)e->every == 0) {
        uint64_t r = band_mix(e->random++ * 8 + (uint64_t)end);
        e->input.buttons = (uint16_t)r;
        e->input.x = (int8_t)(r >> 16);
        e->input.y = (int8_t)((r >> 24) % 3);
    }
    wisp_stats_rollback(e->w, &before);
    e->result = wisp_rollback_step(e->w, end < t->players ? &e->input : NULL);
    wisp_stats_rollback(e->w, &after);
    CHECK(after.rollbacks <= before.rollbacks + 1);
    if (after.waits > before.waits) {
        CHECK(after.waits == 1 || after.tick - e->waited >= 8);
        e->waited = after.tick;
    }
    if ((int)(after.ran_again - before.ran_again) > e->most_again)
        e->most_again = (int)(after.ran_again - before.ran_again);
    wisp__rollback_check(e->w);
}

static inline void band_open_with(band *t, int players, int count, uint64_t seed,
                                   const wisp_desc *given) {
    memset(t, 0, sizeof *t);
    bn_open(&t->net, seed);
    t->players = players;
    t->count = count;
    t->net.user = t;
    t->net.tick = band_tick;
    for (int i = 0; i < count; i++) {
        band_end *e = &t->ends[i];
        bn_way *way = bn_way_add(&t->net);
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        if (given) desc = *given;
        desc.joins = WISP_JOINS_OPEN;
        way->delay = 0.04;
        t->at[i] = bn_add(&t->net, &desc, 60, way, NULL);
        e->t = t;
        e->index = i;
        e->every = 5;
        e->w = bn_wisp(&t->net, t->at[i]);
        e->random = seed * 100 + (uint64_t)i;
        e->desc.players = players;
        e->desc.input = &band_schema;
        e->desc.state_bytes = (int)sizeof e->state;
        e->desc.step = band_step;
        e->desc.save = band_save;
        e->desc.load = band_load;
        e->desc.dump = band_dump;
        e->desc.user = e;
        e->desc.spectate = i >= players;
        wisp_connect_target(e->w, wisp_by_name(WISP_STALLED), band_on, e, false);
        wisp_connect_target(e->w, wisp_by_name(WISP_RESUMED), band_on, e, false);
        wisp_connect_target(e->w, wisp_by_name(WISP_DESYNC), band_on, e, false);
    }
}

static inline void band_open(band *t, int players, uint64_t seed) {
    band_open_with(t, players, players, seed, NULL);
}

/* The handle that end `i` has for end `k`, which has joined it or was joined. */
static inline void band_peer(band *t, int i, int k) {
    wisp_addr want = bn_addr(&t->net, t->at[k]);
    wisp_peer peers[PARTY_ENDS];
    int count = wisp_peers(t->ends[i].w, peers, PARTY_ENDS);
    for (int n = 0; n < count; n++) {
        const wisp_addr *addr = wisp_peer_addr(t->ends[i].w, peers[n]);
        if (addr && memcmp(addr, &want, sizeof want) == 0) t->peers[i][k] = peers[n];
    }
}

/* A session between all. */
static inline void band_join(band *t) {
    for (int i = 0; i < t->count; i++)
        for (int k = 0; k < i; k++) {
            wisp_addr addr = bn_addr(&t->net, t->at[k]);
            CHECK(wisp_join(t->ends[i].w, &addr, NULL, 0).id != 0);
        }
    for (int n = 0; n < 200; n++) {
        int joined = 0;
        bn_run(&t->net, 0.1);
        for (int i = 0; i < t->count; i++) joined += wisp_peers(t->ends[i].w, NULL, 0);
        if (joined == t->count * (t->count - 1)) break;
    }
    for (int i = 0; i < t->count; i++)
        for (int k = 0; k < t->count; k++)
            if (i != k) band_peer(t, i, k);
}

static inline wisp_result band_begin_one(band *t, int i) {
    band_end *e = &t->ends[i];
    wisp_result why = wisp_rollback_begin(e->w, &e->desc, t->peers[i], &t->peers[i][t->players],
                                          i < t->players ? t->count - t->players : 0);
    CHECK_EQ_INT(why, WISP_OK);
    memset(&e->state, 0, sizeof e->state);
    e->state.tick = e->desc.first_tick;
    e->playing = why == WISP_OK;
    return why;
}

static inline void band_begin(band *t) {
    for (int i = 0; i < t->count; i++) band_begin_one(t, i);
}

static inline void band_run(band *t, double seconds) { bn_run(&t->net, seconds); }

static inline wisp_rollback_stats band_stats(const band *t, int i) {
    wisp_rollback_stats stats;
    wisp_stats_rollback(t->ends[i].w, &stats);
    return stats;
}

/* An end stops to be updated, without a word. */
static inline void band_freeze(band *t, int i, bool frozen) {
    t->net.ends[t->at[i]]->asleep = frozen;
}

/* The first tick that is not confirmed at all ends that play. */
static inline int64_t band_confirmed(const band *t) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < t->count; i++)
        if (t->ends[i].playing && !t->ends[i].gone && band_stats(t, i).confirmed < least)
            least = band_stats(t, i).confirmed;
    return least;
}

/* All that play have run the same inputs in all ticks that are confirmed. */
static inline bool band_same(const band *t) {
    int64_t end = band_confirmed(t), begin = t->ends[0].desc.first_tick, wrong = 0;
    int first = -1;
    if (end - begin > PARTY_TICKS) begin = end - PARTY_TICKS;
    for (int i = 0; i < t->count; i++) {
        if (!t->ends[i].playing || t->ends[i].gone) continue;
        CHECK_EQ_INT(t->ends[i].desyncs, 0);
        if (first < 0) first = i;
        for (int64_t tick = begin; tick < end; tick++)
            wrong += t->ends[i].ran[tick % PARTY_TICKS] != t->ends[first].ran[tick % PARTY_TICKS];
    }
    return CHECK_EQ_INT(wrong, 0);
}

/* --- records that an end did not write ------------------------------------------------------- */

/* What the head of a record says; `agreed` 0: what is right. */
typedef struct band_head {
    int64_t  tick, acked[8], ends[8], hash_tick;
    int      ahead;
    unsigned agreed, gone, decided;
    bool     hash;
} band_head;

/* A head as the end would write it now. */
static inline band_head band_head_of(const band *t, int from) {
    const wisp__rollback *rb = t->ends[from].w->rollback;
    band_head head;
    memset(&head, 0, sizeof head);
    head.tick = rb->tick;
    for (int p = 0; p < rb->desc.players; p++)
        head.acked[p] = head.ends[p] = rb->lines[p]->next;
    return head;
}

static inline void band_put_head(const band *t, int from, const band_head *head,
                                  wisp__writer *to) {
    const wisp__rollback *rb = t->ends[from].w->rollback;
    unsigned agreed = head->agreed ? head->agreed : wisp__rollback_agreed(rb, rb->me);
    wisp__put(to, (agreed & 0xffff) | (uint64_t)(uint16_t)head->tick << 16, 32);
    wisp__put(to, (uint8_t)(int8_t)head->ahead, 8);
    for (int p = 0; p < rb->desc.players; p++)
        if (p != rb->me) wisp__put_near(to, head->tick, head->acked[p]);
    wisp__put(to, head->gone || head->decided, 1);
    if (head->gone || head->decided) wisp__put(to, head->gone | head->decided << 8, 16);
    for (int p = 0; p < rb->desc.players; p++)
        if (head->decided >> p & 1) wisp__put_near(to, head->tick, head->ends[p]);
    wisp__put(to, head->hash, 1);
    if (!head->hash) return;
    wisp__put_near(to, head->tick, head->hash_tick);
    wisp__put(to, 12345, 64);
}

/* A run of made-up inputs, each different from the one before; their base is what the end has. */
static inline void band_put_run(const band *t, int from, int player, int64_t tick, int count,
                                 int64_t near_tick, wisp__writer *to) {
    wisp *w = t->ends[from].w;
    const wisp__input_form *form = &w->rollback->in;
    const wisp__line *l = player < w->rollback->desc.players ? w->rollback->lines[player] : NULL;
    wisp__encoded *before = l ? wisp__input_before(form, l, tick) : NULL, *row, *last = NULL;
    wisp__input_run run = { form, NULL, 0, false };
    wisp__put(to, 1 | (uint64_t)player << 1, 4);
    wisp__put_near(to, near_tick, tick);
    if (!before) before = form->none;
    run.before = before;
    for (int i = 0; i < count; i++) {
        band_input in;
        wisp_result why;
        memset(&in, 0, sizeof in);
        in.buttons = (uint16_t)(40000 + i);
        row = wisp__input_row(w, form, &in, NULL, &why);
        wisp__input_put_row(w, &run, row, 0, to);
        wisp__encoded_release(w, last);
        last = row;
    }
    wisp__encoded_release(w, last);
    wisp__put(to, 3, 2);
}

/* Sends a packet with a record of this body, `times` times in the packet. */
static inline void band_forge(band *t, int from, int to, const uint8_t *body, int bytes,
                               int times) {
    uint8_t packet[1200 + 2 * WISP__SLACK];
    wisp *w = t->ends[from].w;
    wisp__session *s = wisp__session_of(w, t->peers[from][to]);
    wisp__writer at = wisp__writer_on(packet + WISP__PACKET_HEAD, 1200 - WISP__PACKET_HEAD);
    wisp_packet datagram;
    int size;
    if (!s || !w->rollback) return;
    memset(packet, 0, sizeof packet);
    for (int i = 0; i < times; i++) {
        wisp__frame_put(&at, WISP__FRAME_INPUT);
        wisp__put(&at, (uint64_t)w->rollback->number | (uint64_t)s->input_theirs << 4, 8);
        wisp__put_length(&at, (uint64_t)bytes);
        wisp__put_bits(&at, body, (int64_t)bytes * 8);
    }
    size = WISP__PACKET_HEAD + (int)((at.at + 7) / 8);
    packet[0] = WISP__FLAG_SESSION;
    wisp__packet_close(&w->base, &s->peer, s->peer.flow.next++, packet, size);
    memset(&datagram, 0, sizeof datagram);
    datagram.addr = bn_addr(&t->net, t->at[to]);
    datagram.data = packet;
    datagram.size = size;
    bn_send(t->net.ends[t->at[from]], &datagram, 1);
}

static inline void band_close(band *t) { bn_close(&t->net); }

#endif
