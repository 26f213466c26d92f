/* handshake_packets.h - endpoints whose handshake packets are seen, lost, doubled and forged

   Included after simulated_endpoints.h.
*/
#ifndef HANDSHAKE_PACKETS_H
#define HANDSHAKE_PACKETS_H

/* --- a tap that keeps, counts, loses and doubles what it sees --- */

enum { SESSION = 0, KINDS = 11, ALL = -1 };

typedef struct spy {
    int      seen[2];                 /* datagrams, by side */
    int      kinds[KINDS];            /* by kind: a handshake's, or SESSION */
    int      lose_side, lose_from, lose_count;      /* the n-th of a side, and those after it */
    unsigned lose_kinds;              /* a bit for each kind */
    int      copies;                  /* of what goes on */
    int      asked[2];                /* bytes of the last handshake packet of each side */
    int      larger;                  /* answers larger than what they answer */
    uint8_t  kept[KINDS][1500];       /* the last of each kind */
    int      kept_size[KINDS];
} spy;

static inline int spy_kind(const wisp_packet *packet) {
    int type = *(const uint8_t *)packet->data;
    return type & WISP__FLAG_SESSION || type >= KINDS ? SESSION : type;
}

static inline void spy_keep(spy *s, int kind, const wisp_packet *packet) {
    memcpy(s->kept[kind], packet->data, (size_t)packet->size);
    s->kept_size[kind] = packet->size;
    s->kinds[kind]++;
}

static inline int spy_tap(world *w, int n, wisp_packet *packet) {
    spy *s = (spy *)w->user;
    int kind = spy_kind(packet), side = n & 1, at = s->seen[side]++;
    spy_keep(s, kind, packet);
    if (kind != SESSION) {
        bool answer = kind == WISP__CHALLENGE || kind == WISP__ACCEPT ||
                      kind == WISP__DENY || kind == WISP__SEALED_ANSWER;
        s->larger += answer && packet->size > s->asked[!side];
        s->asked[side] = packet->size;
    }
    if (s->lose_kinds >> kind & 1) return 0;
    if ((s->lose_side == ALL || s->lose_side == side) && at >= s->lose_from &&
        at < s->lose_from + s->lose_count)
        return 0;
    return s->copies ? s->copies : 1;
}

/* A world with a spy, whose endpoints write down who joined and left. */
typedef struct scene {
    world_two t;
    spy       s;
} scene;

static inline void scene_open(scene *c) {
    memset(c, 0, sizeof *c);
    world_open(&c->t.w);
    c->t.w.tap = spy_tap;
    c->t.w.user = &c->s;
}

static inline wisp *scene_add(scene *c) {
    wisp *end = world_add(&c->t.w);
    if (!end) return NULL;
    world_watch(&c->t.w, end, WISP_JOINED);
    world_watch(&c->t.w, end, WISP_LEFT);
    world_watch(&c->t.w, end, WISP_ERROR);
    return end;
}

static inline void scene_pair(scene *c) {
    c->t.server = scene_add(c);
    c->t.client = scene_add(c);
}

static inline wisp_peer scene_ask(scene *c, wisp *from, wisp *to) {
    wisp_addr addr = world_addr(&c->t.w, to);
    return wisp_join(from, &addr, NULL, 0);
}

/* The client joins the server, and it is done. */
static inline void scene_join(scene *c) {
    scene_pair(c);
    c->t.to_server = scene_ask(c, c->t.client, c->t.server);
    world_run(&c->t.w, 1.0);
    c->t.to_client = world_peer(c->t.server, 0);
    CHECK_EQ_INT(wisp_peers(c->t.server, NULL, 0), 1);
    CHECK_EQ_INT(wisp_peers(c->t.client, NULL, 0), 1);
}

static inline void scene_close(scene *c) {
    c->t.w.tap = NULL;
    world_close(&c->t.w);
}

static int told(scene *c, wisp *end, const char *name) { return world_count(&c->t.w, end, name); }

static int slots(const wisp *end) { return end->peers.pool.live; }

/* The process of an endpoint dies: nothing is sent any more, and what waits for it is gone. */
static inline void scene_crash(scene *c, wisp *end) {
    int n = world_index(&c->t.w, end);
    wisp_link link = wisp_loopback(&c->t.w.pipe, n);
    uint8_t bytes[1500];
    wisp_packet packet;
    unsigned lost = c->s.lose_kinds;
    c->s.lose_kinds = ~0u;
    world_destroy(&c->t.w, end);
    c->s.lose_kinds = lost;
    for (int i = 0; i < c->t.w.note_count; i++)         /* its memory may be another's soon */
        if (c->t.w.notes[i].end == end) c->t.w.notes[i].end = NULL;
    for (int i = 0; i < 10000; i++) {
        memset(&packet, 0, sizeof packet);
        packet.data = bytes;
        packet.size = (int)sizeof bytes;
        if (link.recv(link.user, &packet, 1) < 1) break;
    }
}

/* It starts again, at the same address. */
static inline wisp *scene_revive(scene *c, int n, uint64_t seed) {
    wisp_desc desc = c->t.w.desc;
    wisp *end;
    desc.link = world_link(&c->t.w, n);
    desc.seed = seed;
    end = c->t.w.ends[n] = wisp_create(&desc, NULL);
    CHECK(end != NULL);
    world_watch(&c->t.w, end, WISP_JOINED);
    world_watch(&c->t.w, end, WISP_LEFT);
    return end;
}

/* A datagram that comes from the address of the n-th side. */
static inline void inject(scene *c, int from, int to, const void *bytes, int size) {
    wisp_link link = wisp_loopback(&c->t.w.pipe, from);
    uint8_t copy[1500];
    wisp_packet packet;
    memset(&packet, 0, sizeof packet);
    if (size) memcpy(copy, bytes, (size_t)size);
    packet.addr = wisp_loopback_addr(to);
    packet.data = copy;
    packet.size = size;
    link.send(link.user, &packet, 1);
}

/* --- handshake packets by hand --- */

typedef struct hand { uint8_t bytes[1400 + WISP__SLACK]; wisp__writer to; uint64_t nonce; } hand;

static inline void hand_begin(hand *h, int type, uint64_t nonce) {
    memset(h, 0, sizeof *h);
    h->to = wisp__writer_on(h->bytes, 1400);
    h->nonce = nonce;
    wisp__put(&h->to, (uint64_t)type, 8);
    wisp__put_bytes(&h->to, "wisp", 4);
    wisp__put(&h->to, WISP_WIRE_VERSION, 8);
    wisp__put(&h->to, nonce, 64);
}

/* Pads to `least` bytes in all; returns the size. */
static inline int hand_end(hand *h, int least) {
    int size;
    while (h->to.at / 8 < least - 4) wisp__put(&h->to, 0, 8);
    size = (int)(h->to.at / 8);
    wisp__put(&h->to, wisp__handshake_check(h->nonce, h->bytes, size), 32);
    return size + 4;
}

/* Puts the right check word behind the first bytes of a packet; returns the new size. */
static inline int hand_recheck(uint8_t *bytes, int size) {
    uint64_t nonce = wisp__load64(bytes + 6);
    wisp__store_part(bytes + size, wisp__handshake_check(nonce, bytes, size), 4);
    return size + 4;
}

/* --- joins that are judged, and sessions that stand --- */

/* Keeps the client's RESPONSE away from the server, and stops the client. */
static inline void catch_response(scene *c) {
    scene_open(c);
    scene_pair(c);
    c->s.lose_kinds = 1u << WISP__RESPONSE;
    scene_ask(c, c->t.client, c->t.server);
    world_run(&c->t.w, 0.05);
    CHECK_EQ_INT(c->s.kinds[WISP__RESPONSE], 1);
    scene_crash(c, c->t.client);
    c->s.lose_kinds = 0;
}

/* One session on both sides, all others told to be over, and messages go both ways. */
static inline void check_settled(scene *c) {
    wisp *ends[2];
    ends[0] = c->t.server;
    ends[1] = c->t.client;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(told(c, ends[i], WISP_JOINED) - told(c, ends[i], WISP_LEFT), 1);
        CHECK_EQ_INT(wisp_peers(ends[i], NULL, 0), 1);
        CHECK_EQ_INT(slots(ends[i]), 1);
        world_watch(&c->t.w, ends[i], "n");
    }
    world_run(&c->t.w, 0.2);
    for (int i = 0; i < 2; i++)
        CHECK_EQ_INT(world_fire(ends[i], "n", world_peer(ends[i], 0), 5), WISP_OK);
    world_run(&c->t.w, 0.5);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(told(c, ends[i], "n"), 1);
        CHECK_EQ_INT(told(c, ends[i], WISP_ERROR), 0);
    }
}

/* The same, and it was the only session there ever was. */
static inline void check_one_session(scene *c) {
    CHECK_EQ_INT(told(c, c->t.server, WISP_LEFT), 0);
    CHECK_EQ_INT(told(c, c->t.client, WISP_LEFT), 0);
    check_settled(c);
}

typedef struct judge { wisp_result verdict; int asked; char ticket[1200]; int size; } judge;

static inline wisp_result judge_on(wisp *w, const wisp_addr *from, const void *ticket, int size,
                            void *user) {
    judge *j = (judge *)user;
    (void)w;
    (void)from;
    j->asked++;
    j->size = size;
    if (size) memcpy(j->ticket, ticket, (size_t)size);
    return j->verdict;
}

/* An endpoint like the world's, but for what is told here. */
static inline wisp *scene_add_judge(scene *c, judge *j) {
    wisp *end;
    c->t.w.desc.accept = judge_on;
    c->t.w.desc.user = j;
    end = scene_add(c);
    c->t.w.desc.accept = NULL;
    c->t.w.desc.user = NULL;
    return end;
}

#endif
