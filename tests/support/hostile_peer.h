/* hostile_peer.h - for the fuzz targets: a server, and a peer that has joined it and is led by hand

   The peer is an ordinary endpoint until it has joined. From then on its packets are written by
   the target, or its own are changed on their way, both with the right tag; its records are written
   with the header's own writers. What it hears is noted, so that it can ack. Included after
   fuzz_script.h.

   With `hostile_sealed` the sessions are sealed, by a cipher that only pretends; the peer has the
   keys. All that depends on the head of a packet stands in the first part. */
#ifndef HOSTILE_PEER_H
#define HOSTILE_PEER_H

#include "fake_cipher.h"

static bool        hostile_sealed;
static fake_cipher hostile_cipher;
static uint8_t     hostile_secret[WISP_KEY_BYTES], hostile_key[WISP_KEY_BYTES];

enum { HOSTILE_MTU = 1200, HOSTILE_WHOLE = 20000, HOSTILE_SIDES = 64 };

typedef struct hostile {
    account memory;                    /* of the server */
    wisp       *server, *client;      /* client: NULL before the first join */
    wisp_pipe   pipe;
    wisp_link   link;                 /* of the client's side, without what is done here */
    int         side;                 /* the client's, another after each join */
    wisp_peer   to_server;
    double      now;
    bool        deaf;                 /* the client does not hear the server */
    bool        dumb;                 /* what the client itself sends is lost */
    wisp__flow  heard;                /* packets of the server */
    uint64_t    ordered;              /* packets of this session, on a reliable link */
    uint32_t    sequences[WISP__CHANNELS];    /* the next of each reliable channel */
    uint8_t     packet[HOSTILE_MTU + WISP__SLACK];
    wisp__writer body;
    /* Changes the body of a packet of the client's own; false: it is lost. */
    bool      (*twist)(void *user, uint8_t *body, int size);
    void       *user;
    long        sent;                 /* packets */
} hostile;

static inline wisp__session *hostile_mine(hostile *h) {
    return h->client ? wisp__session_of(h->client, h->to_server) : NULL;
}

/* ---- the head of a packet ------------------------------------------------------- */

enum { HOSTILE_HEAD = WISP__PACKET_HEAD };

/* Where the body of a session packet begins. */
static inline int hostile_body_at(const hostile *h) {
    return wisp__packet_head(&h->server->base, hostile_sealed);
}

/* The low bits of a session packet's number. */
static inline uint64_t hostile_low(const uint8_t *bytes) {
    return wisp__packet_low(bytes, WISP__PACKET_HEAD + (hostile_sealed ? WISP__SEALED_MORE : 0));
}

/* The number of a session packet of the server; 0 on a reliable link. */
static inline uint64_t hostile_number(const hostile *h, const uint8_t *bytes) {
    return h->server->base.reliable ? 0 : wisp__flow_number(&h->heard, hostile_low(bytes));
}

/* The number of a packet that the client has just made. */
static inline uint64_t hostile_own_number(hostile *h, const uint8_t *bytes) {
    uint64_t next = hostile_mine(h)->peer.flow.next, mask = 0xffff, number;
    if (h->server->base.reliable) return ++h->ordered;
    number = (next & ~mask) | hostile_low(bytes);
    return number > next ? number - mask - 1 : number;
}

/* Puts number and tag on a packet of the client, whose flags and body are written. */
static inline void hostile_tag(hostile *h, uint8_t *bytes, int size, uint64_t number) {
    wisp__peer *peer = &hostile_mine(h)->peer;
    wisp__packet_close(&h->client->base, peer, number, bytes, size);
}

/* Where a packet begins whose body begins at h->packet + HOSTILE_HEAD; its flags are put there. */
static inline uint8_t *hostile_put_head(hostile *h, int flags) {
    int at = hostile_body_at(h), from = at < HOSTILE_HEAD ? at : HOSTILE_HEAD;
    uint8_t *bytes = h->packet + HOSTILE_HEAD - from;
    if (at > HOSTILE_HEAD)
        memmove(h->packet + at, h->packet + HOSTILE_HEAD, HOSTILE_MTU - HOSTILE_HEAD);
    bytes[0] = (uint8_t)(WISP__FLAG_SESSION | flags);
    return bytes;
}

/* ---- work: what the server has done, in units that depend on no machine --------- */

/* Of the last update. */
static inline double hostile_work(const hostile *h) { return (double)h->server->update_work; }

/* What one packet may cost; `assembled`: bytes of a message whose last fragment it brings. */
static inline double hostile_work_most(int assembled) {
    return WISP__EARN_MOST + 2.0 * WISP__EARN_PACKET +
           (double)assembled * (WISP__EARN_BYTE + WISP__EARN_DENSE);
}

/* ---- packets -------------------------------------------------------------------- */

static inline wisp__writer *hostile_body(hostile *h) {
    memset(h->packet, 0, sizeof h->packet);
    h->body = wisp__writer_on(h->packet + HOSTILE_HEAD, HOSTILE_MTU - HOSTILE_HEAD);
    return &h->body;
}

static inline void hostile_hand_over(hostile *h, uint8_t *bytes, int size) {
    wisp_packet packet;
    memset(&packet, 0, sizeof packet);
    packet.addr = wisp_loopback_addr(0);
    packet.data = bytes;
    packet.size = size;
    h->link.send(h->link.user, &packet, 1);
    h->sent++;
}

/* Sends what stands in the body, `skip` numbers later than its turn. false: there is no session. */
static inline bool hostile_send(hostile *h, int flags, int skip) {
    wisp__session *s = hostile_mine(h);
    int body = (int)((h->body.at + 7) / 8), size;
    uint64_t number;
    uint8_t *bytes;
    if (!s || s->peer.state != WISP__JOINED) return false;
    s->peer.flow.next += (uint64_t)skip;
    number = h->server->base.reliable ? ++h->ordered : s->peer.flow.next++;
    bytes = hostile_put_head(h, flags);
    size = hostile_body_at(h) + body;
    if (size > HOSTILE_MTU) size = HOSTILE_MTU;                 /* a seal is longer than a tag */
    hostile_tag(h, bytes, size, number);
    hostile_hand_over(h, bytes, size);
    return true;
}

/* The same with the body as runs of equal bytes; false: it is too large for a packet so. */
static inline bool hostile_send_runs(hostile *h) {
    static uint8_t packed[HOSTILE_MTU];
    int body = (int)((h->body.at + 7) / 8), room = HOSTILE_MTU - HOSTILE_HEAD - 3;
    int bytes = wisp__runs_pack(h->packet + HOSTILE_HEAD, body, packed, room);
    if (!bytes) return false;
    hostile_body(h);
    wisp__put(&h->body, WISP__RUNS, 8);
    wisp__put(&h->body, (uint64_t)body, 16);
    wisp__put_bytes(&h->body, packed, bytes);
    return hostile_send(h, WISP__FLAG_COMPRESSED, 0);
}

/* Takes the seal off a packet of the client's own. */
static inline bool hostile_unseal(hostile *h, uint8_t *bytes, int size, uint64_t number) {
    uint8_t opened[HOSTILE_MTU];
    wisp_box box = wisp__packet_box(&h->client->base, number, bytes, size);
    int at = hostile_body_at(h);
    box.key = hostile_mine(h)->peer.keys->out;
    box.to = opened;
    if (!fake_open_box(&hostile_cipher, &box)) return false;
    memcpy(bytes + at, opened, (size_t)(size - at));
    return true;
}

static inline int hostile_link_send(void *user, wisp_packet *packets, int count) {
    hostile *h = (hostile *)user;
    for (int i = 0; i < count; i++) {
        uint8_t copy[HOSTILE_MTU];
        wisp__session *s = hostile_mine(h);
        int size = packets[i].size, at;
        packets[i].status = 0;
        memcpy(copy, packets[i].data, (size_t)size);
        if (copy[0] & WISP__FLAG_SESSION) {
            if (h->dumb) continue;
            uint64_t number = s ? hostile_own_number(h, copy) : 0;
            at = hostile_body_at(h);
            if (s && hostile_sealed &&
                !hostile_unseal(h, copy, size, h->server->base.reliable ? s->peer.sent_in_order
                                                                        : number))
                continue;
            if (s && h->twist && !h->twist(h->user, copy + at, size - at)) continue;
            if (s) hostile_tag(h, copy, size, number);
        }
        hostile_hand_over(h, copy, size);
    }
    return count;
}

static inline int hostile_link_recv(void *user, wisp_packet *packets, int count) {
    hostile *h = (hostile *)user;
    int kept = 0, got = h->link.recv(h->link.user, packets, count);
    for (int i = 0; i < got; i++) {
        const uint8_t *bytes = (const uint8_t *)packets[i].data;
        bool session = (bytes[0] & WISP__FLAG_SESSION) != 0;
        uint64_t number = session ? hostile_number(h, bytes) : 0;
        if (number && !wisp__flow_is_duplicate(&h->heard, number))
            wisp__flow_note(&h->heard, number, h->now);
        if (session && h->deaf) continue;
        if (kept < i) {
            void *data = packets[kept].data;
            memcpy(data, packets[i].data, (size_t)packets[i].size);
            packets[kept].size = packets[i].size;
            packets[kept].addr = packets[i].addr;
        }
        kept++;
    }
    return got < 0 ? got : kept;
}

/* Takes what the server has sent off the link. */
static inline void hostile_drain(hostile *h) {
    uint8_t bytes[16][HOSTILE_MTU];
    wisp_packet packets[16];
    bool deaf = h->deaf;
    int got = 16;
    h->deaf = true;
    while (got == 16) {
        memset(packets, 0, sizeof packets);
        for (int i = 0; i < 16; i++) {
            packets[i].data = bytes[i];
            packets[i].size = HOSTILE_MTU;
        }
        got = h->link.recv(h->link.user, packets, 16);
        for (int i = 0; i < got; i++) {
            uint64_t number = bytes[i][0] & WISP__FLAG_SESSION
                                  ? hostile_number(h, bytes[i]) : 0;
            if (number && !wisp__flow_is_duplicate(&h->heard, number))
                wisp__flow_note(&h->heard, number, h->now);
        }
    }
    h->deaf = deaf;
}

/* ---- joining -------------------------------------------------------------------- */

/* What a desc has that is the same for all ends. */
static inline void hostile_desc(wisp_desc *desc, uint64_t seed) {
    memset(desc, 0, sizeof *desc);
    desc->app = "fuzz";
    desc->seed = seed;
    if (!hostile_sealed) return;
    desc->cipher = fake_open(&hostile_cipher, 1);
    desc->cipher->keypair(&hostile_cipher, hostile_secret, hostile_key);
    desc->secret_key = hostile_secret;
}

static inline void hostile_gone(hostile *h) {
    if (!h->client) return;
    h->dumb = true;
    wisp_destroy(h->client);
    h->client = NULL;
}

/* A new client, from another address, which joins the server. false: it was not let in. */
static inline bool hostile_join(hostile *h) {
    wisp_desc desc;
    wisp_addr there = wisp_loopback_addr(0);
    hostile_gone(h);
    h->side++;
    if (h->side >= HOSTILE_SIDES) return false;
    memset(&h->heard, 0, sizeof h->heard);
    wisp__flow_init(&h->server->base, &h->heard, h->now);
    h->ordered = 0;
    for (int i = 0; i < WISP__CHANNELS; i++) h->sequences[i] = WISP_FIRST_NUMBER;
    hostile_desc(&desc, 77 + (uint64_t)h->side);
    h->link = wisp_loopback(&h->pipe, h->side);
    desc.link = h->link;
    desc.link.send = hostile_link_send;
    desc.link.recv = hostile_link_recv;
    desc.link.user = h;
    h->deaf = h->dumb = false;
    h->client = wisp_create(&desc, NULL);
    MUST(h->client);
    h->to_server = hostile_sealed ? wisp_join_sealed(h->client, &there, hostile_key, NULL, 0)
                                  : wisp_join(h->client, &there, NULL, 0);
    for (int i = 0; i < 12; i++) {
        wisp__session *s;
        h->now += 0.01;
        wisp_update(h->client, h->now);
        wisp_update(h->server, h->now);
        s = hostile_mine(h);
        if (s && s->peer.state == WISP__JOINED && i > 4) break;
    }
    h->deaf = h->dumb = true;
    return hostile_mine(h) && hostile_mine(h)->peer.state == WISP__JOINED;
}

/* The server's session of the client that joined last; NULL: there is none any more. */
static inline wisp__session *hostile_theirs(hostile *h) {
    wisp_addr address = wisp_loopback_addr(h->side);
    for (int i = 0; i < h->server->peers.pool.made; i++) {
        wisp__session *s = wisp__session_at(h->server, i);
        if (s && s->peer.state == WISP__JOINED &&
            memcmp(&s->peer.addr, &address, sizeof address) == 0)
            return s;
    }
    return NULL;
}

static inline void hostile_close(hostile *h) {
    hostile_gone(h);
    wisp_destroy(h->server);
    wisp_pipe_free(&h->pipe);
    h->server = NULL;
}

/* ---- the schemas of the server -------------------------------------------------- */

typedef struct hostile_stats { float hp; uint32_t xp; char name[21]; } hostile_stats;
typedef struct hostile_state {
    int       id;
    wisp_vec3 at;
    float     heat;
    uint8_t   count;
    int32_t   list[30];
} hostile_state;

static const wisp_field hostile_stats_fields[] = {
    WISP_FIELD(hostile_stats, hp, WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_OPTIONAL_FIELD(hostile_stats, xp, WISP_T_RANGE(0, 1000000), 0),
    WISP_FIELD(hostile_stats, name, WISP_T_STRING(20)),
};
static const wisp_schema hostile_stats_schema = WISP_SCHEMA(hostile_stats, 2, hostile_stats_fields);
static const wisp_field hostile_old_fields[] = {
    WISP_MAP_FIELD("hp", WISP_T_NUMBER_RANGE(0, 500)), WISP_MAP_FIELD("xp", WISP_T_UINT32),
    WISP_MAP_FIELD("title", WISP_T_STRING(20)),
};
static const wisp_schema hostile_old_schema = WISP_MAP_SCHEMA("stats", 1, hostile_old_fields);
static const wisp_type hostile_list_type = WISP_T_INT32;
static const wisp_field hostile_state_fields[] = {
    WISP_KEY_FIELD(hostile_state, id, WISP_T_RANGE(0, 999)),
    WISP_FIELD(hostile_state, at, WISP_T_VEC3_QUANTIZED(-100, 100, 0.1)),
    WISP_FIELD(hostile_state, heat, WISP_T_FLOAT),
    WISP_COUNTED_FIELD(hostile_state, list, count, WISP_T_ARRAY(&hostile_list_type, 30)),
};
static const wisp_schema hostile_state_schema = WISP_SCHEMA(hostile_state, 1, hostile_state_fields);
static const wisp_type hostile_word_type = WISP_T_STRING(12), hostile_any_type = WISP_T_ANY;
static const wisp_type hostile_either_types[] = {
    WISP_T_LITERAL_TEXT("none"), WISP_T_INT16, WISP_T_VEC2
};
static const wisp_field hostile_open_fields[] = {
    WISP_MAP_FIELD("words", WISP_T_ARRAY(&hostile_word_type, 40)),
    WISP_MAP_FIELD("any", WISP_T_ANY),
    WISP_MAP_FIELD("either", WISP_T_UNION(hostile_either_types, 3)),
    WISP_MAYBE_MAP_FIELD("many", WISP_T_ARRAY(&hostile_any_type, 100)),
};
static const wisp_schema hostile_open_schema = WISP_MAP_SCHEMA("open", 1, hostile_open_fields);
static const wisp_field hostile_row_fields[] = {
    WISP_MAP_FIELD("a", WISP_T_INT16), WISP_MAP_FIELD("b", WISP_T_STRING(30)),
    WISP_MAYBE_MAP_FIELD("c", WISP_T_ANY),
};
static const wisp_schema hostile_row_schema = WISP_LIST_SCHEMA("row", 1, hostile_row_fields);

static inline wisp_result hostile_to_second(wisp_edit *edit, void *user) {
    const wisp_value *hp = wisp_edit_get(edit, "hp");
    (void)user;
    if (hp) wisp_edit_set(edit, "hp", wisp_number(50));
    return wisp_edit_rename(edit, "title", "name");
}

static const wisp_migration hostile_steps[] = { { 1, hostile_to_second, NULL } };

/* What peers describe themselves is taken too. */
static inline void hostile_foreign(wisp_config *config) { config->encode.foreign = WISP_ON; }

enum { HOSTILE_JSON = 1, HOSTILE_MSGPACK, HOSTILE_PROTOBUF };

/* What is registered at the server, and how. */
typedef struct hostile_entry {
    const char        *name;
    const wisp_schema *schema;
    int                delivery, delta, adaptive, sync, codec, compressed;
} hostile_entry;

static const hostile_entry hostile_entries[] = {
    { "chat", NULL, WISP_RELIABLE, 0, 0, 0, 0, 0 },
    { "stats", &hostile_stats_schema, WISP_RELIABLE, 0, 0, 0, 0, 0 },
    { "state", &hostile_state_schema, WISP_UNRELIABLE, 1, 0, 0, 0, 0 },
    { "track", &hostile_state_schema, WISP_RELIABLE, 1, 1, 0, 0, 0 },
    { "synced", &hostile_open_schema, WISP_SEQUENCED, 1, 0, 1, 0, 0 },
    { "map", NULL, WISP_RELIABLE, 1, 0, 1, 0, 0 },
    { "row", &hostile_row_schema, WISP_RELIABLE, 0, 0, 0, 0, 0 },
    { "json", &hostile_open_schema, WISP_RELIABLE, 0, 0, 0, HOSTILE_JSON, 0 },
    { "packed", NULL, WISP_UNRELIABLE, 0, 0, 0, HOSTILE_MSGPACK, 0 },
    { "proto", &hostile_open_schema, WISP_RELIABLE, 0, 0, 0, HOSTILE_PROTOBUF, 0 },
    { "held", &hostile_stats_schema, WISP_RELIABLE, 0, 0, 0, 0, 0 },
    { "small", NULL, WISP_RELIABLE, 0, 0, 0, 0, 1 },
    { "seldom", NULL, WISP_RELIABLE, 0, 0, 0, 0, 0 },
    { "ask", NULL, WISP_RELIABLE, 0, 0, 0, 0, 0 },
};
enum { HOSTILE_ENTRIES = (int)(sizeof hostile_entries / sizeof *hostile_entries) };

static inline const wisp_codec *hostile_codec(int which) {
    return which == HOSTILE_JSON ? wisp_json() : which == HOSTILE_MSGPACK ? wisp_msgpack()
         : which == HOSTILE_PROTOBUF ? wisp_protobuf() : NULL;
}

static inline wisp_config hostile_config(const hostile_entry *e) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.delivery = e->delivery;
    config.encode.schema = e->schema;
    config.encode.codec = hostile_codec(e->codec);
    if (e->schema == &hostile_stats_schema) {
        config.encode.migrations = hostile_steps;
        config.encode.migration_count = 1;
    }
    if (e->delta) config.encode.mode = WISP_ENCODE_DELTA;
    if (e->compressed) config.encode.compression = WISP_COMPRESSION_AUTO;
    config.encode.adaptive = e->adaptive ? WISP_ON : 0;
    config.delta_sync = e->sync ? WISP_ON : 0;
    if (strcmp(e->name, "seldom") == 0) config.rate_limit = 0.1;
    return config;
}

/* ---- records -------------------------------------------------------------------- */

static inline void hostile_section(wisp__writer *to, int delivery, int channel,
                                   uint32_t sequence) {
    wisp__frame_put(to, WISP__FRAME_SECTION);
    wisp__put(to, (uint64_t)delivery, 2);
    wisp__put(to, (uint64_t)channel, 4);
    if (delivery == WISP_RELIABLE) wisp__put(to, sequence & WISP__LOW_24, 24);
}

/* What a name looks like, as it is announced. */
typedef struct hostile_form {
    int         kind;
    bool        delta, sync, adaptive, compressed;
    const char *codec;                /* of WISP__CODED */
    uint32_t    dictionary;
    const uint8_t *descriptor;
    int         bits;                 /* of the descriptor; 0: none */
} hostile_form;

static inline void hostile_announce(wisp__writer *to, int number, const char *name,
                                    const hostile_form *form) {
    static uint8_t extra[HOSTILE_WHOLE];
    wisp__writer out = wisp__writer_on(extra, (int)sizeof extra - WISP__SLACK);
    size_t length = strlen(name);
    memset(extra, 0, sizeof extra);
    wisp__frame_put(to, WISP__FRAME_ANNOUNCE);
    wisp__put_length(to, (uint64_t)number);
    wisp__put_length(to, length);
    wisp__put_bytes(to, name, (int)length);
    wisp__put(to, 0, 8);
    wisp__put(to, (uint64_t)form->kind, 8);
    wisp__put(&out, form->delta, 1);
    wisp__put(&out, form->sync, 1);
    wisp__put(&out, form->adaptive, 1);
    wisp__put(&out, form->compressed, 1);
    wisp__put(&out, form->bits > 0, 1);
    wisp__put(&out, form->dictionary != 0, 1);
    if (form->kind == WISP__CODED) wisp__put_text(&out, form->codec);
    if (form->dictionary) wisp__put(&out, form->dictionary, 32);
    if (form->bits > 0) {
        wisp__put_length(&out, (uint64_t)form->bits);
        wisp__put_bits(&out, form->descriptor, form->bits);
    }
    wisp__put_align(&out);
    if (form->kind == WISP__VALUES && !form->delta && !form->compressed && !form->bits) out.at = 0;
    wisp__put_length(to, (uint64_t)(out.at / 8));
    wisp__put_bits(to, extra, out.at);
}

/* One piece of a message that is too large for a packet. */
static inline void hostile_fragment(wisp__writer *to, bool first, bool last, const uint8_t *bytes,
                                    int size) {
    wisp__frame_put(to, WISP__FRAME_FRAGMENT);
    wisp__put(to, first, 1);
    wisp__put(to, last, 1);
    wisp__put(to, (uint64_t)size, 16);
    wisp__put_bits(to, bytes, (int64_t)size * 8);
}

/* Content in its compressed form, as runs: false, and nothing is put, when it does not shrink. */
static inline bool hostile_squeezed(wisp__writer *to, const uint8_t *bytes, int size) {
    static uint8_t packed[HOSTILE_MTU];
    static uint8_t out[HOSTILE_MTU + 64];
    wisp__writer all = wisp__writer_on(out, HOSTILE_MTU + 32);
    int count = wisp__runs_pack(bytes, size, packed, HOSTILE_MTU - 64);
    if (!count) return false;
    memset(out, 0, sizeof out);
    wisp__put(&all, 1, 1);
    wisp__put(&all, WISP__RUNS, 3);
    wisp__put_length(&all, (uint64_t)size);
    wisp__put_length(&all, (uint64_t)count);
    wisp__put_align(&all);
    wisp__put_bytes(&all, packed, count);
    wisp__put_bits(to, out, all.at);
    return true;
}

/* ---- descriptors of any schema -------------------------------------------------- */

/* Counts and sizes at the edges of what there is room for. */
static inline int hostile_edge(script *s) {
    static const int edges[] = { 0, 1, 2, 3, 7, 8, 30, 63, 64, 255, 256, 1000, 1024, 1025, 4096,
                                 4097, 65535, 65536, 65537, 1 << 20, 1 << 24, 0x7fffffff };
    int which = take(s);
    if (which < 128) return which & 15;
    return edges[which % (int)(sizeof edges / sizeof *edges)];
}

static inline void hostile_schema(wisp__writer *to, script *s, int depth, int *nodes);

static inline void hostile_numbers(wisp__writer *to, script *s, int count) {
    static const double edges[] = { 0, 1, -1, 0.5, 100, 1e-9, 1e9, 1e300, -1e300 };
    for (int i = 0; i < count; i++) {
        const double *edge = &edges[take_below(s, (int)(sizeof edges / sizeof *edges))];
        uint64_t bits;
        memcpy(&bits, edge, sizeof bits);
        wisp__put(to, bits, 64);
    }
}

static inline void hostile_texts(wisp__writer *to, script *s, int count) {
    char text[80];
    int length = take(s) > 220 ? 60 : 0;
    for (int i = 0; i < count && !to->full; i++) {
        memset(text, 'a', sizeof text);
        snprintf(text + length, sizeof text - (size_t)length, "%x", (unsigned)i);
        wisp__put_text(to, text);
    }
}

/* Types that hold others: an array, a union, a struct. */
static inline void hostile_type(wisp__writer *to, script *s, int depth, int *nodes);
static inline void hostile_type_of_types(wisp__writer *to, script *s, int depth, int *nodes) {
    int which = take_below(s, 3), count;
    if (which == 0) {
        wisp__put(to, WISP_TYPE_ARRAY, 5);
        wisp__put_length(to, (uint64_t)hostile_edge(s));
        wisp__put(to, take(s) & 1, 1);
        hostile_type(to, s, depth - 1, nodes);
    } else if (which == 1) {
        count = 1 + take_below(s, 5);
        wisp__put(to, WISP_TYPE_UNION, 5);
        wisp__put_length(to, (uint64_t)count);
        for (int i = 0; i < count; i++) hostile_type(to, s, depth - 1, nodes);
    } else {
        wisp__put(to, WISP_TYPE_STRUCT, 5);
        hostile_schema(to, s, depth - 1, nodes);
    }
}

static inline void hostile_type(wisp__writer *to, script *s, int depth, int *nodes) {
    int kind = take_below(s, 32), count;
    if (--*nodes < 0) kind = WISP_TYPE_BOOL;
    if (kind > WISP_TYPE_OBJECT && kind != WISP__KIND_ENUM_OPEN && depth > 0) {
        hostile_type_of_types(to, s, depth, nodes);
        return;
    }
    if (kind > WISP_TYPE_OBJECT && kind != WISP__KIND_ENUM_OPEN)
        kind = take(s) & 1 ? WISP_TYPE_LITERAL : WISP_TYPE_ANY;
    wisp__put(to, (uint64_t)kind, 5);
    switch (kind) {
    case WISP_TYPE_EXACT: case WISP_TYPE_QUAT: wisp__put(to, take(s) & 31u, 5); break;
    case WISP_TYPE_LITERAL: wisp__put(to, 1, 1), hostile_texts(to, s, 1); break;
    case WISP_TYPE_INTEGER: case WISP_TYPE_UINT: wisp__put(to, take(s) & 15u, 4); break;
    case WISP_TYPE_RANGE:
        wisp__put(to, (uint64_t)-(int64_t)take(s), 64);
        wisp__put(to, take(s) & 1 ? INT64_MAX : take(s), 64);
        break;
    case WISP_TYPE_NUMBER: wisp__put(to, take(s) % 3u, 2); break;
    case WISP_TYPE_NUMBER_RANGE: wisp__put(to, take(s) % 3u, 2), hostile_numbers(to, s, 2); break;
    case WISP_TYPE_QUANTIZED: wisp__put(to, take(s) & 1, 1), hostile_numbers(to, s, 3); break;
    case WISP_TYPE_STRING: wisp__put_length(to, (uint64_t)hostile_edge(s)); break;
    case WISP_TYPE_BYTES:
        wisp__put_length(to, (uint64_t)hostile_edge(s));
        wisp__put(to, take(s) & 1, 1);
        break;
    case WISP_TYPE_VEC2: case WISP_TYPE_VEC3: case WISP_TYPE_VEC4:
        count = take_below(s, 2);
        wisp__put(to, (uint64_t)count, 2);
        hostile_numbers(to, s, 3 * count);
        break;
    case WISP_TYPE_ENUM: case WISP__KIND_ENUM_OPEN:
        count = take(s) > 200 ? 1000 : 1 + take_below(s, 6);
        wisp__put_length(to, (uint64_t)count);
        hostile_texts(to, s, count);
        break;
    default: break;
    }
}

/* The name and the flags of the n-th field; its type follows. */
static inline void hostile_field(wisp__writer *to, int n, int style, int flags) {
    char name[72];
    memset(name, 'k', sizeof name);
    snprintf(name + (style & 1 ? 58 : 0), 12, "%x", (unsigned)n);
    if (n == 0) snprintf(name, sizeof name, "hp");
    wisp__put_text(to, name);
    wisp__put(to, (uint64_t)flags & 5, 3);
    wisp__put(to, (style & 2) && n < 2, 1);
    if ((style & 2) && n < 2) wisp__put_length(to, (uint64_t)(3000 - n));
}

/* Fields of many kinds, or many of one kind. */
static inline void hostile_schema(wisp__writer *to, script *s, int depth, int *nodes) {
    static const int many[] = { 8, 60, 250, 1000, 1024 };
    static uint8_t bytes[8][1024 + WISP__SLACK];
    int style = take(s), count = 1 + take_below(s, 6), flags = style & 32 ? take(s) : 0;
    wisp__writer one = wisp__writer_on(bytes[depth & 7], 1024);
    wisp__put(to, 1u + take(s) % 3u, 8);
    wisp__put(to, (style & 12) == 12, 1);
    wisp__put_text(to, "s");
    if ((style & 16) == 0) {
        wisp__put_length(to, (uint64_t)count);
        for (int i = 0; i < count && !to->full; i++) {
            hostile_field(to, i, style, i ? flags : 0);
            hostile_type(to, s, depth, nodes);
        }
        return;
    }
    count = many[take_below(s, 5)];
    memset(bytes[depth & 7], 0, sizeof bytes[0]);
    hostile_type(&one, s, depth, nodes);
    wisp__put_length(to, (uint64_t)count);
    for (int i = 0; i < count && !to->full; i++) {
        hostile_field(to, i, style, i ? flags : 0);
        wisp__put_bits(to, bytes[depth & 7], one.at);
    }
}

/* Bits of a descriptor, which may make sense or not. `bytes`: WISP__DESCRIPTOR_BYTES and slack. */
static inline int hostile_descriptor(uint8_t *bytes, script *s) {
    wisp__writer to = wisp__writer_on(bytes, WISP__DESCRIPTOR_BYTES);
    int nodes = 40;
    memset(bytes, 0, WISP__DESCRIPTOR_BYTES + WISP__SLACK);
    hostile_schema(&to, s, take_below(s, 5), &nodes);
    return to.full ? 0 : (int)to.at;
}

/* Reads a descriptor as the other end does; NULL: it is refused. */
static inline const wisp__program *hostile_program(const uint8_t *descriptor, int bits,
                                                   void *plan, int size) {
    wisp__reader from = wisp__reader_on(descriptor, (bits + 7) / 8);
    wisp__bump bump = wisp__bump_on(plan, size);
    const wisp_schema *schema;
    wisp_result why;
    from.end = bits;
    schema = wisp__undescribe(&from, &bump, &why);
    return schema ? wisp__compile(&bump, schema) : NULL;
}

/* How many values a random one of a type may have; a bound is enough. */
static inline int hostile_extent(const wisp_type *type) {
    const wisp_type *inner = (const wisp_type *)type->of;
    int sum = 0;
    switch (type->kind) {
    case WISP_TYPE_STRING: case WISP_TYPE_BYTES: return 1 + type->max / 16;
    case WISP_TYPE_ARRAY: sum = 5 * hostile_extent(inner); break;
    case WISP_TYPE_UNION:
        for (int i = 0; i < type->max && sum < 100000; i++) sum += hostile_extent(&inner[i]);
        break;
    case WISP_TYPE_STRUCT: {
        const wisp_schema *schema = (const wisp_schema *)type->of;
        for (int i = 0; i < schema->count && sum < 100000; i++)
            sum += 1 + hostile_extent(&schema->fields[i].type);
        break;
    }
    default: return 1;
    }
    return sum < 100000 ? sum + 1 : 100000;
}

static inline bool hostile_modest(const wisp_schema *schema) {
    wisp_type type;
    memset(&type, 0, sizeof type);
    type.kind = WISP_TYPE_STRUCT;
    type.of = schema;
    return hostile_extent(&type) < 1500;
}

#endif /* HOSTILE_PEER_H */
