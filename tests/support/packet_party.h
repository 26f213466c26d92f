/* packet_party.h - one end of a conversation without sockets: a flow, and the fate of each packet

   Included after the implementation of wisp.h, test_runner.h and values_and_memory.h. */
#ifndef PACKET_PARTY_H
#define PACKET_PARTY_H

/* --- one end of a conversation: a flow, and the fate of each packet it sent --- */

enum { FATES = 8192, PACKET = 1200, UNKNOWN = 0, ARRIVED = 1, LOST = 2, TWICE = 3 };

typedef struct packet_party {
    low_memory memory;
    wisp__base base;
    wisp__flow flow;
    uint8_t    fate[FATES];     /* by number, low bits: what was told of what the packet carried */
    int        arrived, lost;
} packet_party;

static inline void party_told(void *owner, const wisp__ref *refs, int count, bool arrived) {
    packet_party *p = (packet_party *)owner;
    for (int i = 0; i < count; i++) {
        uint8_t *fate = &p->fate[refs[i].number % FATES];
        bool probed = *fate == LOST && arrived; /* sent anew by a probe, and then it came */
        if (*fate != UNKNOWN && !probed) *fate = TWICE;
        else *fate = arrived ? ARRIVED : LOST;
        if (arrived) p->arrived++;
        else p->lost++;
    }
}

/* `first`: the number of its first packet. */
static inline void party_start(packet_party *p, uint64_t first) {
    memset(p, 0, sizeof *p);
    low_start(&p->base, &p->memory);
    p->base.mtu = PACKET;
    p->base.timeout = 10;
    wisp__flow_init(&p->base, &p->flow, 0);
    p->flow.next = p->flow.oldest = first;
}

static inline void party_end(packet_party *p) {
    wisp__flow_check(&p->flow);
    wisp__flow_free(&p->base, &p->flow);
    CHECK(low_is_empty(&p->base, &p->memory));
}

/* Sends a packet that carries one thing; returns its number. */
static inline uint64_t party_send_bytes(packet_party *p, double now, int bytes) {
    wisp__ref ref = { 1, 0, 1, 0 };
    uint32_t first;
    CHECK(wisp__flow_reserve(&p->base, &p->flow));
    CHECK(wisp__flow_reserve_refs(&p->base, &p->flow, 1));
    first = p->flow.ref_next;
    ref.number = (uint32_t)p->flow.next;
    p->fate[ref.number % FATES] = UNKNOWN;
    wisp__flow_carry(&p->flow, first, ref);
    wisp__flow_track(&p->flow, now, bytes, first);
    return p->flow.next++;
}

static inline uint64_t party_send(packet_party *p, double now) {
    return party_send_bytes(p, now, PACKET);
}

static inline void party_send_many(packet_party *p, double now, int count) {
    for (int i = 0; i < count; i++) party_send(p, now);
}

static inline void party_probe(packet_party *p, double now) {
    wisp__flow_probe(&p->base, &p->flow, now, party_told, p);
}

static inline int party_fate(const packet_party *p, uint64_t number) {
    return p->fate[number % FATES];
}

/* A packet comes; false: it came before. */
static inline bool party_take(packet_party *p, uint64_t number, double now) {
    if (wisp__flow_is_duplicate(&p->flow, number)) return false;
    wisp__flow_note(&p->flow, number, now);
    wisp__flow_owe_ack(&p->flow, now);
    return true;
}

/* --- acks as they stand in a packet --- */

typedef struct acks { uint8_t bytes[1400 + WISP__SLACK]; int64_t bits; bool written; } acks;

static inline acks acks_of(packet_party *from, double now) {
    acks a;
    wisp__writer to;
    memset(&a, 0, sizeof a);
    to = wisp__writer_on(a.bytes, from->base.mtu - 32);
    a.written = wisp__flow_put_acks(&from->flow, &to, now, from->base.mtu - 32, false);
    a.bits = to.at;
    return a;
}

static inline wisp__ack_news acks_give(packet_party *to, const acks *a, double now) {
    wisp__reader from = wisp__reader_on(a->bytes, (int)((a->bits + 7) / 8));
    wisp__ack_news news;
    if (!to->flow.top) to->flow.top = 1;        /* they came in a packet */
    news = wisp__flow_get_acks(&to->base, &to->flow, &from, now, party_told, to);
    CHECK(!from.failed);
    CHECK(news.bad || from.at == a->bits);
    return news;
}

/* Acks written by hand: the largest number, its delay in half milliseconds, then pairs of the
   gap before a range and its length; the first gap is 0. */
static inline wisp__ack_news acks_claim(packet_party *to, uint64_t largest, int delay,
                                 const int (*ranges)[2],
                                 int count, double now) {
    acks a;
    wisp__writer w;
    memset(&a, 0, sizeof a);
    w = wisp__writer_on(a.bytes, 1400);
    wisp__put(&w, largest & 0xffff, 16);
    wisp__put(&w, (uint64_t)delay, 8);
    wisp__put_small(&w, (uint64_t)count - 1);
    for (int i = 0; i < count; i++) {
        if (i) wisp__put_length(&w, (uint64_t)ranges[i][0] - 1);
        wisp__put_length(&w, (uint64_t)ranges[i][1] - 1);
    }
    a.bits = w.at;
    return acks_give(to, &a, now);
}

/* One packet, or `count` down from it. */
static inline wisp__ack_news acks_one(packet_party *to, uint64_t largest, int count, double now) {
    int range[1][2];
    range[0][0] = 0;
    range[0][1] = count;
    return acks_claim(to, largest, 0, (const int (*)[2])range, 1, now);
}

/* A packet goes at 0 and is acked a sample later, with a delay in half milliseconds. */
static inline void rtt_sample(packet_party *p, double at, double sample, int delay) {
    static const int one[1][2] = { { 0, 1 } };
    uint64_t n = party_send(p, at);
    CHECK(!acks_claim(p, n, delay, one, 1, at + sample).bad);
}

#endif /* PACKET_PARTY_H */
