/* forged_packets.h - packets that the test writes itself, with the right tag, to a server

   Included after simulated_endpoints.h and watched_memory_and_link.h.
*/
#ifndef FORGED_PACKETS_H
#define FORGED_PACKETS_H

/* A server and a client whose packets the test can write itself, with the right tag. */
typedef struct forger {
    world_two    t;
    tap          out;             /* around the client's link */
    uint8_t      bytes[1400];     /* the packet being written */
    wisp__writer to;              /* its body */
    int          handled;         /* in the test's own handlers */
} forger;

static inline void forger_names(forger *b) {
    world_watch(&b->t.w, b->t.server, "hp");
    world_watch(&b->t.w, b->t.server, WISP_LEFT);
    world_watch(&b->t.w, b->t.server, WISP_ERROR);
    world_watch(&b->t.w, b->t.client, WISP_LEFT);
    wisp_remote_named(b->t.client, "hp");
}

static inline wisp__peer *forger_peer(forger *b) {
    return &wisp__session_of(b->t.client, b->t.to_server)->peer;
}

static inline wisp__session *forger_server_side(forger *b) {
    return wisp__session_of(b->t.server, b->t.to_client);
}

/* Joined, and "hp" is bound as number 0. */
static inline forger *forger_open_as(void (*open)(world_two *t)) {
    forger *b = (forger *)calloc(1, sizeof *b);
    open(&b->t);
    forger_names(b);
    world_run(&b->t.w, 0.1);
    tap_on(&b->out, b->t.client);
    return b;
}

static inline forger *forger_open(void) { return forger_open_as(world_two_open); }

/* The server takes what its peers describe. */
static inline forger *forger_open_foreign(void) { return forger_open_as(world_two_open_foreign); }

/* After the session ended: the same again, from the same endpoints. */
static inline void forger_rejoin(forger *b) {
    world_run(&b->t.w, 2);
    b->t.to_server = world_join(&b->t.w, b->t.client, b->t.server);
    b->t.to_client = world_peer(b->t.server, 0);
    world_run(&b->t.w, 0.1);
    world_forget(&b->t.w);
}

static inline void forger_close(forger *b) {
    world_close(&b->t.w);
    free(b);
}

static bool forger_joined(forger *b) { return wisp_peers(b->t.server, NULL, 0) == 1; }

/* --- packets of our own --- */

static inline wisp__writer *body(forger *b) {
    memset(b->bytes, 0, sizeof b->bytes);
    b->to = wisp__writer_on(b->bytes + WISP__PACKET_HEAD, 1200 - WISP__PACKET_HEAD);
    return &b->to;
}

/* Tags what was written and sends it to the server, as the client, with a number of its own. */
static inline void send_numbered(forger *b, int flags, uint64_t number, int body_bytes) {
    wisp__peer *peer = forger_peer(b);
    tap_packet packet;
    int size = WISP__PACKET_HEAD + body_bytes;
    b->bytes[0] = (uint8_t)(WISP__FLAG_SESSION | flags);
    wisp__packet_close(&b->t.client->base, peer, number, b->bytes, size);
    memset(&packet, 0, sizeof packet);
    packet.addr = world_addr(&b->t.w, b->t.server);
    packet.size = size;
    memcpy(packet.bytes, b->bytes, (size_t)size);
    tap_pass(&b->out, &packet);
}

static inline void send_flagged(forger *b, int flags, int body_bytes) {
    send_numbered(b, flags, forger_peer(b)->flow.next++, body_bytes);
}

static inline void send_body(forger *b) {
    send_flagged(b, 0, (int)((b->to.at + 7) / 8));
}

static inline void put_section(wisp__writer *to, int delivery, uint32_t sequence) {
    wisp__frame_put(to, WISP__FRAME_SECTION);
    wisp__put(to, (uint64_t)delivery, 2);
    wisp__put(to, 3, 4);
    if (delivery == WISP_RELIABLE) wisp__put(to, sequence & WISP__LOW_24, 24);
}

/* The values of one message: a bool, true. */
static inline void put_true(wisp__writer *to) {
    wisp__put_small(to, 1);
    wisp__put(to, WISP_BOOL, 4);
    wisp__put(to, 1, 1);
}

static inline void put_bound(wisp__writer *to, int id) {
    wisp__put(to, 2, 2);
    wisp__put_length(to, (uint64_t)id);
}

static inline void put_unbound(wisp__writer *to, int id, int bits) {
    wisp__put(to, 8, 4);
    wisp__put_length(to, (uint64_t)id);
    wisp__put_length(to, (uint64_t)bits);
}

static inline void put_fragment(wisp__writer *to, int first, int last, int bytes) {
    wisp__frame_put(to, WISP__FRAME_FRAGMENT);
    wisp__put(to, (uint64_t)first, 1);
    wisp__put(to, (uint64_t)last, 1);
    wisp__put(to, (uint64_t)bytes, 16);
}

static inline void put_text(wisp__writer *to, const char *text, int length) {
    for (int i = 0; i < length; i++) wisp__put(to, (uint8_t)text[i], 8);
}

static inline void put_announcement(wisp__writer *to, int id, const char *name, int length) {
    wisp__frame_put(to, WISP__FRAME_ANNOUNCE);
    wisp__put_length(to, (uint64_t)id);
    wisp__put_length(to, (uint64_t)length);
    put_text(to, name, length);
    wisp__put(to, 0, 16);
    wisp__put_length(to, 0);
}

/* ANNOUNCE of "hp" as records of a schema with this descriptor. */
static inline void put_described(wisp__writer *to, int number, const uint8_t *descriptor,
                                 int bits) {
    uint8_t extra[512];
    wisp__writer out = wisp__writer_on(extra, (int)sizeof extra - WISP__SLACK);
    memset(extra, 0, sizeof extra);
    wisp__put(&out, 0, 4);
    wisp__put(&out, 1, 1);
    wisp__put(&out, 0, 1);
    wisp__put_length(&out, (uint64_t)bits);
    wisp__put_bits(&out, descriptor, bits);
    wisp__put_align(&out);
    wisp__frame_put(to, WISP__FRAME_ANNOUNCE);
    wisp__put_length(to, (uint64_t)number);
    wisp__put_length(to, 2);
    put_text(to, "hp", 2);
    wisp__put(to, 1, 8);
    wisp__put(to, WISP__RECORD, 8);
    wisp__put_length(to, (uint64_t)(out.at / 8));
    put_text(to, (const char *)extra, (int)(out.at / 8));
}

#endif
