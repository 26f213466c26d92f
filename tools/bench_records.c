/* bench_records.c - 100 player records as one message: wisp's schema beside packing by hand, the
   codecs, and the usual libraries

   Build    `make bench`, which has players.proto compiled first; it links -lprotobuf-c
            -lprotobuf-nanopb -lmsgpackc -lm
   Run      build/bench_records [quick]

   64 messages take turns, so that no branch predictor learns one by heart. .encode and .decode are
   nanoseconds per record, .size bytes per record. Every way starts from, and ends in, the struct
   that suits it: filling that of protobuf-c or nanopb is not part of its time, nor is copying
   strings for the ways that point into what they read. What is decoded is compared with what was
   encoded.

   memcpy     the struct as it lies in memory
   hand       bytes written and read by hand, as fast as they go; only lengths are checked
   lossless   wisp_encode and wisp_decode with a compiled schema: id 1000..100999, hp 0..100
   quantized  the same, with positions and velocities in steps of 0.01
   one        lossless, but each record is a message of its own
   json msgpack protobuf    wisp's codecs with the schema of lossless */
#include "bench.h"

#include <msgpack.h>
#include <pb_decode.h>
#include <pb_encode.h>

#include "players.pb-c.h"
#include "players.pb.h"

enum { ROUNDS = 31, ROUNDS_QUICK = 5, MESSAGES = 64, PLAYERS = 100 };
enum { NAME_LEAST = 4, NAME_MOST = 16 };
enum { PACKED_BYTES = 64 << 10, DECODED_BYTES = 4 << 20 };

typedef struct player {
    uint32_t  id;
    wisp_vec3 pos, vel;
    uint8_t   hp, flags;
    char      name[NAME_MOST + 1];
} player;

typedef struct roster {
    player players[PLAYERS];
} roster;

/* --- schemas --- */

static const wisp_field player_fields[] = {
    WISP_FIELD(player, id,    WISP_T_RANGE(1000, 100999)),
    WISP_FIELD(player, pos,   WISP_T_VEC3),
    WISP_FIELD(player, vel,   WISP_T_VEC3),
    WISP_FIELD(player, hp,    WISP_T_RANGE(0, 100)),
    WISP_FIELD(player, flags, WISP_T_UINT),
    WISP_FIELD(player, name,  WISP_T_STRING(NAME_MOST)),
};
static const wisp_schema player_schema = WISP_SCHEMA(player, 1, player_fields);
static const wisp_type player_type = WISP_T_STRUCT(&player_schema);
static const wisp_field roster_fields[] = {
    WISP_FIELD(roster, players, WISP_T_ARRAY(&player_type, PLAYERS)),
};
static const wisp_schema roster_schema = WISP_SCHEMA(roster, 1, roster_fields);

static const wisp_field coarse_fields[] = {
    WISP_FIELD(player, id,    WISP_T_RANGE(1000, 100999)),
    WISP_FIELD(player, pos,   WISP_T_VEC3_QUANTIZED(-1000, 1000, 0.01)),
    WISP_FIELD(player, vel,   WISP_T_VEC3_QUANTIZED(-20, 20, 0.01)),
    WISP_FIELD(player, hp,    WISP_T_RANGE(0, 100)),
    WISP_FIELD(player, flags, WISP_T_UINT),
    WISP_FIELD(player, name,  WISP_T_STRING(NAME_MOST)),
};
static const wisp_schema coarse_schema = WISP_SCHEMA(player, 1, coarse_fields);
static const wisp_type coarse_type = WISP_T_STRUCT(&coarse_schema);
static const wisp_field coarse_roster_fields[] = {
    WISP_FIELD(roster, players, WISP_T_ARRAY(&coarse_type, PLAYERS)),
};
static const wisp_schema coarse_roster_schema = WISP_SCHEMA(roster, 1, coarse_roster_fields);

/* --- the messages, in the form of each library, and what was made of them --- */

static struct {
    roster          plain[MESSAGES];
    Bench__Player   protobuf_c_players[MESSAGES][PLAYERS], *protobuf_c_lists[MESSAGES][PLAYERS];
    Bench__Players  protobuf_c[MESSAGES];
    bench_Players   nanopb[MESSAGES];
    const wisp_schema *lossless, *coarse, *one;         /* compiled */
    uint64_t        schema_memory[3][4 << 10];
} data;

static struct {
    unsigned char   bytes[MESSAGES][PACKED_BYTES];
    int             sizes[MESSAGES];
} packed;

/* The message decoded last. */
static struct {
    roster          plain;
    const roster   *at;              /* there, or elsewhere */
    uint64_t        memory[DECODED_BYTES / 8];
    Bench__Players *protobuf_c;
    bench_Players   nanopb;
    msgpack_unpacked msgpack;
} decoded;

/* A multiple of 0.01, rounded as a decoder of steps rounds it. */
static float some_number(uint64_t *random, int most) {
    int steps = (int)(next_random(random) % (uint64_t)(200 * most + 1));
    return (float)(-(double)most + (double)steps * 0.01);
}

static wisp_vec3 some_vector(uint64_t *random, int most) {
    wisp_vec3 v;
    v.x = some_number(random, most);
    v.y = some_number(random, most);
    v.z = some_number(random, most);
    return v;
}

static void fill_player(player *p, uint64_t *random) {
    int i, length = NAME_LEAST + (int)(next_random(random) % (NAME_MOST - NAME_LEAST + 1));
    memset(p, 0, sizeof *p);
    p->id = 1000 + (uint32_t)(next_random(random) % 100000);
    p->pos = some_vector(random, 1000);
    p->vel = some_vector(random, 20);
    p->hp = (uint8_t)(next_random(random) % 101);
    p->flags = (uint8_t)next_random(random);
    for (i = 0; i < length; i++) p->name[i] = (char)('a' + next_random(random) % 26);
}

static void fill_protobuf_c(int m, int i, player *p) {
    Bench__Player *to = &data.protobuf_c_players[m][i];
    bench__player__init(to);
    to->id = p->id;
    to->x = p->pos.x;
    to->y = p->pos.y;
    to->z = p->pos.z;
    to->vx = p->vel.x;
    to->vy = p->vel.y;
    to->vz = p->vel.z;
    to->hp = p->hp;
    to->flags = p->flags;
    to->name = p->name;
    data.protobuf_c_lists[m][i] = to;
}

static void fill_nanopb(int m, int i, const player *p) {
    bench_Player *to = &data.nanopb[m].players[i];
    to->id = p->id;
    to->x = p->pos.x;
    to->y = p->pos.y;
    to->z = p->pos.z;
    to->vx = p->vel.x;
    to->vy = p->vel.y;
    to->vz = p->vel.z;
    to->hp = p->hp;
    to->flags = p->flags;
    memcpy(to->name, p->name, sizeof p->name);
}

static void fill_data(void) {
    uint64_t random = 11;
    int m, i;
    for (m = 0; m < MESSAGES; m++) {
        bench__players__init(&data.protobuf_c[m]);
        data.protobuf_c[m].n_players = PLAYERS;
        data.protobuf_c[m].players = data.protobuf_c_lists[m];
        data.nanopb[m].players_count = PLAYERS;
        for (i = 0; i < PLAYERS; i++) {
            fill_player(&data.plain[m].players[i], &random);
            fill_protobuf_c(m, i, &data.plain[m].players[i]);
            fill_nanopb(m, i, &data.plain[m].players[i]);
        }
    }
    data.lossless = wisp_schema_compile(&roster_schema, data.schema_memory[0],
                                        sizeof data.schema_memory[0]);
    data.coarse = wisp_schema_compile(&coarse_roster_schema, data.schema_memory[1],
                                      sizeof data.schema_memory[1]);
    data.one = wisp_schema_compile(&player_schema, data.schema_memory[2],
                                   sizeof data.schema_memory[2]);
    if (!data.lossless || !data.coarse || !data.one) complain("a schema was not compiled");
    msgpack_unpacked_init(&decoded.msgpack);
}

static bool same_player(const player *a, const player *b) {
    return a->id == b->id && memcmp(&a->pos, &b->pos, sizeof a->pos) == 0 &&
           memcmp(&a->vel, &b->vel, sizeof a->vel) == 0 && a->hp == b->hp &&
           a->flags == b->flags && strcmp(a->name, b->name) == 0;
}

static bool same_roster(const roster *a, const roster *b) {
    int i;
    for (i = 0; i < PLAYERS && same_player(&a->players[i], &b->players[i]); i++) continue;
    return i == PLAYERS;
}

/* ---------------------------------------------------------------------------
 * memcpy, and by hand
 * ------------------------------------------------------------------------ */

static int memcpy_encode(int m, unsigned char *out) {
    memcpy(out, &data.plain[m], sizeof data.plain[m]);
    return (int)sizeof data.plain[m];
}

static bool memcpy_decode(const unsigned char *bytes, int size) {
    if (size != (int)sizeof decoded.plain) return false;
    memcpy(&decoded.plain, bytes, sizeof decoded.plain);
    return true;
}

enum { HAND_HEAD = 31, HAND_MOST = HAND_HEAD + NAME_MOST };

/* Bytes before the NUL of a name; all 16 are readable. */
static inline int name_length(const char *name) {
#if defined(__GNUC__) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t low, high;
    memcpy(&low, name, 8);
    memcpy(&high, name + 8, 8);
    low = (low - ones) & ~low & tops;
    high = (high - ones) & ~high & tops;
    if (low) return __builtin_ctzll(low) >> 3;
    return high ? 8 + (__builtin_ctzll(high) >> 3) : 16;
#else
    return (int)strlen(name);
#endif
}

/* The numbers as they lie in memory, the length of the name, and the name: written whole, and the
   next record begins where it ends. */
static int hand_encode(int m, unsigned char *out) {
    unsigned char *to = out;
    int i;
    for (i = 0; i < PLAYERS; i++) {
        const player *p = &data.plain[m].players[i];
        int length = name_length(p->name);
        memcpy(to, &p->id, 4);
        memcpy(to + 4, &p->pos, 12);
        memcpy(to + 16, &p->vel, 12);
        to[28] = p->hp;
        to[29] = p->flags;
        to[30] = (unsigned char)length;
        memcpy(to + HAND_HEAD, p->name, NAME_MOST);
        to += HAND_HEAD + length;
    }
    return (int)(to - out);
}

/* One check for each record where a whole one is left, of every part near the end. */
static bool hand_decode(const unsigned char *bytes, int size) {
    const unsigned char *at = bytes, *end = bytes + size;
    int i;
    for (i = 0; i < PLAYERS; i++) {
        player *p = &decoded.plain.players[i];
        int length;
        if (end - at < HAND_HEAD) return false;
        length = at[30];
        if (length > NAME_MOST) return false;
        memcpy(&p->id, at, 4);
        memcpy(&p->pos, at + 4, 12);
        memcpy(&p->vel, at + 16, 12);
        p->hp = at[28];
        p->flags = at[29];
        if (end - at >= HAND_MOST) memcpy(p->name, at + HAND_HEAD, NAME_MOST);
        else if (end - at >= HAND_HEAD + length) memcpy(p->name, at + HAND_HEAD, (size_t)length);
        else return false;
        p->name[length] = 0;
        at += HAND_HEAD + length;
    }
    return at == end;
}

static bool same_plain(int m) {
    return same_roster(&decoded.plain, &data.plain[m]);
}

/* ---------------------------------------------------------------------------
 * wisp
 * ------------------------------------------------------------------------ */

static int wisp_way_encode(const wisp_codec *codec, const wisp_schema *schema, int m,
                           unsigned char *out) {
    wisp_value value = wisp_struct(schema, &data.plain[m]);
    return wisp_encode(codec, schema, &value, out, PACKED_BYTES);
}

static bool wisp_way_decode(const wisp_codec *codec, const wisp_schema *schema,
                            const unsigned char *bytes, int size) {
    wisp_value value;
    int read = wisp_decode(codec, schema, bytes, size, &value, decoded.memory,
                           (int)sizeof decoded.memory);
    decoded.at = read == size ? (const roster *)value.as.structure.data : NULL;
    return decoded.at != NULL;
}

static int lossless_encode(int m, unsigned char *out) {
    return wisp_way_encode(wisp_bitpack(), data.lossless, m, out);
}

static bool lossless_decode(const unsigned char *bytes, int size) {
    return wisp_way_decode(wisp_bitpack(), data.lossless, bytes, size);
}

static int coarse_encode(int m, unsigned char *out) {
    return wisp_way_encode(wisp_bitpack(), data.coarse, m, out);
}

static bool coarse_decode(const unsigned char *bytes, int size) {
    return wisp_way_decode(wisp_bitpack(), data.coarse, bytes, size);
}

static int json_encode(int m, unsigned char *out) {
    return wisp_way_encode(wisp_json(), data.lossless, m, out);
}

static bool json_decode(const unsigned char *bytes, int size) {
    return wisp_way_decode(wisp_json(), data.lossless, bytes, size);
}

static int msgpack_encode(int m, unsigned char *out) {
    return wisp_way_encode(wisp_msgpack(), data.lossless, m, out);
}

static bool msgpack_decode(const unsigned char *bytes, int size) {
    return wisp_way_decode(wisp_msgpack(), data.lossless, bytes, size);
}

static int protobuf_encode(int m, unsigned char *out) {
    return wisp_way_encode(wisp_protobuf(), data.lossless, m, out);
}

static bool protobuf_decode(const unsigned char *bytes, int size) {
    return wisp_way_decode(wisp_protobuf(), data.lossless, bytes, size);
}

/* Each record a message: one after another, each begins at a byte. */
static int one_encode(int m, unsigned char *out) {
    int i, size, at = 0;
    for (i = 0; i < PLAYERS; i++, at += size) {
        wisp_value value = wisp_struct(data.one, &data.plain[m].players[i]);
        size = wisp_encode(wisp_bitpack(), data.one, &value, out + at, PACKED_BYTES - at);
        if (size < 0) return size;
    }
    return at;
}

static bool one_decode(const unsigned char *bytes, int size) {
    wisp_value value;
    int i, read, at = 0;
    for (i = 0; i < PLAYERS; i++, at += read) {
        read = wisp_decode(wisp_bitpack(), data.one, bytes + at, size - at, &value,
                           decoded.memory, 1024);
        if (read < 0) return false;
        decoded.plain.players[i] = *(const player *)value.as.structure.data;
    }
    return at == size;
}

static bool same_wisp(int m) {
    return same_roster(decoded.at, &data.plain[m]);
}

/* ---------------------------------------------------------------------------
 * protobuf-c, nanopb, msgpack-c
 * ------------------------------------------------------------------------ */

static int protobuf_c_encode(int m, unsigned char *out) {
    return (int)bench__players__pack(&data.protobuf_c[m], out);
}

static bool protobuf_c_decode(const unsigned char *bytes, int size) {
    if (decoded.protobuf_c) bench__players__free_unpacked(decoded.protobuf_c, NULL);
    decoded.protobuf_c = bench__players__unpack(NULL, (size_t)size, bytes);
    return decoded.protobuf_c != NULL;
}

static bool same_protobuf_c(int m) {
    int i;
    if (decoded.protobuf_c->n_players != PLAYERS) return false;
    for (i = 0; i < PLAYERS; i++) {
        const Bench__Player *p = decoded.protobuf_c->players[i];
        player *to = &decoded.plain.players[i];
        to->id = p->id;
        to->pos.x = p->x;
        to->pos.y = p->y;
        to->pos.z = p->z;
        to->vel.x = p->vx;
        to->vel.y = p->vy;
        to->vel.z = p->vz;
        to->hp = (uint8_t)p->hp;
        to->flags = (uint8_t)p->flags;
        snprintf(to->name, sizeof to->name, "%s", p->name);
    }
    return same_plain(m);
}

static int nanopb_encode(int m, unsigned char *out) {
    pb_ostream_t stream = pb_ostream_from_buffer(out, PACKED_BYTES);
    if (!pb_encode(&stream, bench_Players_fields, &data.nanopb[m])) return -1;
    return (int)stream.bytes_written;
}

static bool nanopb_decode(const unsigned char *bytes, int size) {
    pb_istream_t stream = pb_istream_from_buffer(bytes, (size_t)size);
    return pb_decode(&stream, bench_Players_fields, &decoded.nanopb);
}

static bool same_nanopb(int m) {
    int i;
    if (decoded.nanopb.players_count != PLAYERS) return false;
    for (i = 0; i < PLAYERS; i++) {
        const bench_Player *p = &decoded.nanopb.players[i];
        player *to = &decoded.plain.players[i];
        to->id = p->id;
        to->pos.x = p->x;
        to->pos.y = p->y;
        to->pos.z = p->z;
        to->vel.x = p->vx;
        to->vel.y = p->vy;
        to->vel.z = p->vz;
        to->hp = (uint8_t)p->hp;
        to->flags = (uint8_t)p->flags;
        memcpy(to->name, p->name, sizeof to->name);
    }
    return same_plain(m);
}

typedef struct sink {
    unsigned char *at;
} sink;

static int sink_write(void *user, const char *from, size_t size) {
    sink *s = (sink *)user;
    memcpy(s->at, from, size);
    s->at += size;
    return 0;
}

/* An array of arrays of ten. */
static int msgpack_c_encode(int m, unsigned char *out) {
    sink s = { out };
    msgpack_packer packer;
    int i;
    msgpack_packer_init(&packer, &s, sink_write);
    msgpack_pack_array(&packer, PLAYERS);
    for (i = 0; i < PLAYERS; i++) {
        const player *p = &data.plain[m].players[i];
        size_t length = (size_t)name_length(p->name);
        msgpack_pack_array(&packer, 10);
        msgpack_pack_uint32(&packer, p->id);
        msgpack_pack_float(&packer, p->pos.x);
        msgpack_pack_float(&packer, p->pos.y);
        msgpack_pack_float(&packer, p->pos.z);
        msgpack_pack_float(&packer, p->vel.x);
        msgpack_pack_float(&packer, p->vel.y);
        msgpack_pack_float(&packer, p->vel.z);
        msgpack_pack_uint8(&packer, p->hp);
        msgpack_pack_uint8(&packer, p->flags);
        msgpack_pack_str(&packer, length);
        msgpack_pack_str_body(&packer, p->name, length);
    }
    return (int)(s.at - out);
}

static bool msgpack_c_decode(const unsigned char *bytes, int size) {
    size_t at = 0;
    return msgpack_unpack_next(&decoded.msgpack, (const char *)bytes, (size_t)size, &at) ==
           MSGPACK_UNPACK_SUCCESS;
}

static bool player_of_msgpack(const msgpack_object *from, player *to) {
    const msgpack_object *parts = from->via.array.ptr;
    if (from->type != MSGPACK_OBJECT_ARRAY || from->via.array.size != 10) return false;
    to->id = (uint32_t)parts[0].via.u64;
    to->pos.x = (float)parts[1].via.f64;
    to->pos.y = (float)parts[2].via.f64;
    to->pos.z = (float)parts[3].via.f64;
    to->vel.x = (float)parts[4].via.f64;
    to->vel.y = (float)parts[5].via.f64;
    to->vel.z = (float)parts[6].via.f64;
    to->hp = (uint8_t)parts[7].via.u64;
    to->flags = (uint8_t)parts[8].via.u64;
    snprintf(to->name, sizeof to->name, "%.*s", (int)parts[9].via.str.size, parts[9].via.str.ptr);
    return true;
}

static bool same_msgpack_c(int m) {
    const msgpack_object *list = &decoded.msgpack.data;
    int i;
    if (list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size != PLAYERS) return false;
    for (i = 0; i < PLAYERS; i++)
        if (!player_of_msgpack(&list->via.array.ptr[i], &decoded.plain.players[i])) return false;
    return same_plain(m);
}

/* ---------------------------------------------------------------------------
 * Rounds
 * ------------------------------------------------------------------------ */

typedef struct way {
    const char *group;
    int       (*encode)(int m, unsigned char *out);
    bool      (*decode)(const unsigned char *bytes, int size);
    bool      (*same)(int m);        /* is what was decoded last message m? */
    double      size_goal;
    int         repeats;             /* of the 64 messages in a round */
} way;

static const way ways[] = {
    { "records.memcpy",     memcpy_encode,     memcpy_decode,     same_plain,      0,  8 },
    { "records.hand",       hand_encode,       hand_decode,       same_plain,      0,  8 },
    { "records.lossless",   lossless_encode,   lossless_decode,   same_wisp,       39, 8 },
    { "records.quantized",  coarse_encode,     coarse_decode,     same_wisp,       26, 8 },
    { "records.one",        one_encode,        one_decode,        same_plain,      0,  4 },
    { "records.json",       json_encode,       json_decode,       same_wisp,       0,  1 },
    { "records.msgpack",    msgpack_encode,    msgpack_decode,    same_wisp,       0,  1 },
    { "records.protobuf",   protobuf_encode,   protobuf_decode,   same_wisp,       0,  1 },
    { "records.msgpack_c",  msgpack_c_encode,  msgpack_c_decode,  same_msgpack_c,  0,  1 },
    { "records.protobuf_c", protobuf_c_encode, protobuf_c_decode, same_protobuf_c, 0,  1 },
    { "records.nanopb",     nanopb_encode,     nanopb_decode,     same_nanopb,     0,  1 },
};
enum { WAY_COUNT = (int)(sizeof ways / sizeof ways[0]), WAY_HAND = 1, WAY_LOSSLESS = 2 };

/* Nanoseconds per record, of writing and of reading. */
typedef struct cost {
    double encode, decode;
} cost;

static bool encode_all(const way *w) {
    int m, sum = 0;
    for (m = 0; m < MESSAGES; m++) {
        packed.sizes[m] = w->encode(m, packed.bytes[m]);
        sum |= packed.sizes[m];
    }
    return sum > 0;
}

static bool decode_all(const way *w) {
    bool fine = true;
    int m;
    for (m = 0; m < MESSAGES; m++) fine = w->decode(packed.bytes[m], packed.sizes[m]) && fine;
    return fine;
}

static void verify(const way *w) {
    double bytes = 0;
    int m;
    if (!encode_all(w)) complain("%s: a message was not encoded", w->group);
    for (m = 0; m < MESSAGES; m++) {
        bytes += packed.sizes[m];
        if (!w->decode(packed.bytes[m], packed.sizes[m]) || !w->same(m))
            complain("%s: message %d is not what it was", w->group, m);
    }
    record(w->group, "size", "B", w->size_goal, bytes / MESSAGES / PLAYERS);
}

static cost measure(const way *w) {
    double records = (double)w->repeats * MESSAGES * PLAYERS, begin = cpu_seconds(), middle;
    bool fine = true;
    cost c;
    int i;
    for (i = 0; i < w->repeats; i++) fine = encode_all(w) && fine;
    middle = cpu_seconds();
    for (i = 0; i < w->repeats; i++) fine = decode_all(w) && fine;
    c.encode = (middle - begin) * 1e9 / records;
    c.decode = (cpu_seconds() - middle) * 1e9 / records;
    if (!fine) complain("%s failed", w->group);
    return c;
}

static void run_records(bool quick) {
    int i, round;
    fill_data();
    for (i = 0; i < WAY_COUNT; i++) verify(&ways[i]);
    for (round = 0; round < (quick ? ROUNDS_QUICK : ROUNDS) && complaints == 0; round++) {
        cost costs[WAY_COUNT];
        for (i = 0; i < WAY_COUNT; i++) {
            costs[i] = measure(&ways[i]);
            record(ways[i].group, "encode", "ns", 0, costs[i].encode);
            record(ways[i].group, "decode", "ns", 0, costs[i].decode);
        }
        record("records.lossless", "encode_to_hand", "x", 2,
               costs[WAY_LOSSLESS].encode / costs[WAY_HAND].encode);
        record("records.lossless", "decode_to_hand", "x", 2,
               costs[WAY_LOSSLESS].decode / costs[WAY_HAND].decode);
    }
    msgpack_unpacked_destroy(&decoded.msgpack);
    if (decoded.protobuf_c) bench__players__free_unpacked(decoded.protobuf_c, NULL);
}

int main(int count, char **words) {
    static const section sections[] = { { "records", run_records } };
    return bench_main("bench_records", count, words, sections, 1);
}
