/* test_msgpack.c - MessagePack: every form in, the smallest out, and whatever else may come */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"

enum { MSGPACK_ROOM = 1 << 20, MSGPACK_MEMORY = 24 << 20, PER_BYTE = 96, DEEPEST = 256 };

static uint8_t text_room[MSGPACK_ROOM];
static union { double align; uint8_t bytes[MSGPACK_MEMORY]; } msgpack_memory;

static int msgpack_encode(const wisp_value *value, void *out, int capacity) {
    return wisp_msgpack()->encode(wisp_msgpack(), NULL, value, out, capacity);
}

/* From a copy that ends where the bytes end, so that a read beyond them is seen; it lives until
   the next call. */
static int decode_in(const void *bytes, int size, wisp_value *out, int memory_size) {
    static uint8_t *copy;
    free(copy);
    copy = (uint8_t *)malloc(size > 0 ? (size_t)size : 1);
    if (!CHECK(copy)) return WISP_E_MEMORY;
    if (size > 0) memcpy(copy, bytes, (size_t)size);
    return wisp_msgpack()->decode(wisp_msgpack(), NULL, copy, size, out, msgpack_memory.bytes,
                                  memory_size);
}

static int decode(const void *bytes, int size, wisp_value *out) {
    return decode_in(bytes, size, out, MSGPACK_MEMORY);
}

/* "c2 00" */
static int from_hex(const char *hex, uint8_t *out) {
    static const char digits[] = "0123456789abcdef";
    int digit = 0;
    for (; *hex; hex++) {
        const char *at = strchr(digits, *hex);
        if (*hex == ' ' || !at) continue;
        if (digit % 2 == 0) out[digit / 2] = 0;
        out[digit / 2] = (uint8_t)(out[digit / 2] << 4 | (at - digits));
        digit++;
    }
    return digit / 2;
}

static int msgpack_decode_hex(const char *hex, wisp_value *out) {
    uint8_t bytes[512];
    return decode(bytes, from_hex(hex, bytes), out);
}

/* --- the same kinds, bits and order; integers are the same when their numbers are --- */

static bool same(const wisp_value *a, const wisp_value *b);

static bool same_lists(const wisp_value *a, const wisp_value *b) {
    for (int i = 0; i < a->count; i++) {
        if (!same(wisp_element_of(a, i), wisp_element_of(b, i))) return false;
        if (a->kind == WISP_MAP && strcmp(wisp_key_of(a, i), wisp_key_of(b, i))) return false;
    }
    return true;
}

static bool same(const wisp_value *a, const wisp_value *b) {
    float p[7], q[7];
    bool integers = a->kind == WISP_INT || a->kind == WISP_UINT;
    if (integers && (b->kind == WISP_INT || b->kind == WISP_UINT)) return wisp_equal(a, b);
    if (a->kind != b->kind || a->count != b->count) return false;
    switch (a->kind) {
    case WISP_NIL: return true;
    case WISP_BOOL: return a->as.boolean == b->as.boolean;
    case WISP_FLOAT: return memcmp(&a->as, &b->as, 4) == 0;
    case WISP_NUMBER: return memcmp(&a->as, &b->as, 8) == 0;
    case WISP_STRING:
    case WISP_BYTES: return !a->count || !memcmp(a->as.bytes, b->as.bytes, (size_t)a->count);
    case WISP_ARRAY:
    case WISP_MAP: return same_lists(a, b);
    case WISP_OBJECT: return a->as.object.id == b->as.object.id;
    default: break;
    }
    wisp__value_floats(b, q);
    return memcmp(p, q, (size_t)wisp__value_floats(a, p) * sizeof(float)) == 0;
}

/* --- what is expected of a value and its bytes --- */

static bool msgpack_writes(wisp_value value, const char *hex) {
    uint8_t wanted[512], out[512];
    int size = from_hex(hex, wanted);
    if (!CHECK_EQ_INT(msgpack_encode(&value, out, (int)sizeof out), size)) return false;
    return CHECK_EQ_MEM(out, wanted, size);
}

static bool msgpack_reads(const char *hex, wisp_value value) {
    uint8_t bytes[512];
    int size = from_hex(hex, bytes);
    wisp_value out;
    return CHECK_EQ_INT(decode(bytes, size, &out), size) && CHECK(same(&out, &value));
}

static bool both(wisp_value value, const char *hex) {
    return msgpack_writes(value, hex) && msgpack_reads(hex, value);
}

static bool msgpack_refuses(const char *hex, wisp_result code) {
    wisp_value out = wisp_int(77);
    return CHECK_EQ_INT(msgpack_decode_hex(hex, &out), code) && CHECK_EQ_INT(out.as.integer, 77);
}

/* Written and read it is the same, and takes no more memory than is promised. */
static bool comes_back(const wisp_value *value) {
    int size = msgpack_encode(value, text_room, MSGPACK_ROOM);
    int room = wisp__min_int(size * PER_BYTE + 8, MSGPACK_MEMORY);
    wisp_value out;
    if (!CHECK(size > 0)) return false;
    return CHECK_EQ_INT(decode_in(text_room, size, &out, room), size) && CHECK(same(value, &out));
}

static wisp_pair pair(const char *key, wisp_value value) {
    wisp_pair made;
    made.key = key;
    made.value = value;
    return made;
}

static wisp_value float_of(uint32_t bits) {
    wisp_value value = wisp_float(0);
    memcpy(&value.as, &bits, 4);
    return value;
}

static wisp_value msgpack_number_of(uint64_t bits) {
    wisp_value value = wisp_number(0);
    memcpy(&value.as, &bits, 8);
    return value;
}

static wisp_value object_of(uint32_t id) {
    wisp_value value = wisp_nil();
    value.kind = WISP_OBJECT;
    value.as.object.id = id;
    return value;
}

/* Stand-ins, made in memory of the caller. */
static wisp_value timestamp(wisp_pair pairs[2], int64_t seconds, uint32_t nanoseconds) {
    pairs[0] = pair("$seconds", wisp_int(seconds));
    pairs[1] = pair("$nanoseconds", wisp_uint(nanoseconds));
    return wisp_map(pairs, 2);
}

static wisp_value extension(wisp_pair pairs[2], int type, const void *data, int size) {
    pairs[0] = pair("$ext", wisp_int(type));
    pairs[1] = pair("$data", wisp_bytes(data, size));
    return wisp_map(pairs, 2);
}

/* --- the formats --- */

/* How long a value is that begins with a byte and goes on with zeros; 0: there is none. */
static int size_after_zeros(int first) {
    static const int sizes[32] = { 1, 0, 1, 1, 2, 3, 5, 3, 4, 6, 5, 9, 2, 3, 5, 9,
                                   2, 3, 5, 9, 3, 4, 6, 10, 18, 2, 3, 5, 3, 5, 3, 5 };
    if (first < 0x80 || first >= 0xe0) return 1;
    if (first < 0x90) return 1 + 2 * (first & 15);
    if (first < 0xa0) return 1 + (first & 15);
    if (first < 0xc0) return 1 + (first & 31);
    return sizes[first & 31];
}

static wisp_kind kind_after_zeros(int first) {
    static const wisp_kind kinds[32] = {
        WISP_NIL, WISP_NIL, WISP_BOOL, WISP_BOOL, WISP_BYTES, WISP_BYTES, WISP_BYTES, WISP_MAP,
        WISP_MAP, WISP_MAP, WISP_FLOAT, WISP_NUMBER, WISP_INT, WISP_INT, WISP_INT, WISP_INT,
        WISP_INT, WISP_INT, WISP_INT, WISP_INT, WISP_MAP, WISP_MAP, WISP_MAP, WISP_MAP,
        WISP_MAP, WISP_STRING, WISP_STRING, WISP_STRING, WISP_ARRAY, WISP_ARRAY, WISP_MAP, WISP_MAP
    };
    if (first < 0x80 || first >= 0xe0) return WISP_INT;
    if (first < 0x90) return WISP_MAP;
    if (first < 0xa0) return WISP_ARRAY;
    return first < 0xc0 ? WISP_STRING : kinds[first & 31];
}

TEST(every_first_byte_begins_what_the_format_says) {
    uint8_t bytes[64] = { 0 };
    for (int first = 0; first < 256; first++) {
        wisp_value out = wisp_nil();
        int wanted = size_after_zeros(first);
        bytes[0] = (uint8_t)first;
        CHECK_EQ_INT(decode(bytes, 64, &out), wanted ? wanted : WISP_E_SYNTAX);
        CHECK_EQ_INT(out.kind, kind_after_zeros(first));
        for (int size = 0; size < wanted; size++)
            CHECK_EQ_INT(decode(bytes, size, &out), WISP_E_SYNTAX);
    }
}

TEST(the_byte_that_is_never_used_is_no_value) {
    CHECK(msgpack_refuses("c1", WISP_E_SYNTAX));
    CHECK(msgpack_refuses("92 00 c1", WISP_E_SYNTAX));
    CHECK(msgpack_refuses("81 c1 00", WISP_E_SYNTAX));
    CHECK(msgpack_refuses("81 a1 61 c1", WISP_E_SYNTAX));
}

TEST(nil_and_bools_take_one_byte) {
    CHECK(both(wisp_nil(), "c0"));
    CHECK(both(wisp_bool(false), "c2"));
    CHECK(both(wisp_bool(true), "c3"));
}

TEST(positive_integers_take_the_smallest_unsigned_form) {
    static const struct { uint64_t number; const char *hex; } cases[] = {
        { 0, "00" }, { 1, "01" }, { 127, "7f" }, { 128, "cc80" }, { 255, "ccff" },
        { 256, "cd0100" }, { 65535, "cdffff" }, { 65536, "ce00010000" },
        { 0x12345678, "ce12345678" }, { 0xffffffffu, "ceffffffff" },
        { UINT64_C(0x100000000), "cf0000000100000000" },
        { UINT64_C(0x0123456789abcdef), "cf0123456789abcdef" },
        { INT64_MAX, "cf7fffffffffffffff" },
    };
    for (int i = 0; i < TEST_COUNT(cases); i++) {
        CHECK(both(wisp_uint(cases[i].number), cases[i].hex));
        CHECK(both(wisp_int((int64_t)cases[i].number), cases[i].hex));
    }
    CHECK(both(wisp_uint((uint64_t)INT64_MAX + 1), "cf8000000000000000"));
    CHECK(both(wisp_uint(UINT64_MAX), "cfffffffffffffffff"));
}

TEST(negative_integers_take_the_smallest_signed_form) {
    static const struct { int64_t number; const char *hex; } cases[] = {
        { -1, "ff" }, { -32, "e0" }, { -33, "d0df" }, { -128, "d080" }, { -129, "d1ff7f" },
        { -32768, "d18000" }, { -32769, "d2ffff7fff" },
        { -INT64_C(2147483648), "d280000000" }, { -INT64_C(2147483649), "d3ffffffff7fffffff" },
        { INT64_MIN, "d38000000000000000" },
    };
    for (int i = 0; i < TEST_COUNT(cases); i++)
        CHECK(both(wisp_int(cases[i].number), cases[i].hex));
}

TEST(integers_are_read_from_larger_forms_too) {
    static const char *const fives[] = { "05", "cc05", "cd0005", "ce00000005",
                                         "cf0000000000000005", "d005", "d10005", "d200000005",
                                         "d30000000000000005" };
    static const char *const negatives[] = { "ff", "d0ff", "d1ffff", "d2ffffffff",
                                             "d3ffffffffffffffff" };
    for (int i = 0; i < TEST_COUNT(fives); i++) CHECK(msgpack_reads(fives[i], wisp_int(5)));
    for (int i = 0; i < TEST_COUNT(negatives); i++) CHECK(msgpack_reads(negatives[i],
                                                                        wisp_int(-1)));
}

TEST(integers_are_read_as_int_where_they_fit) {
    wisp_value out;
    CHECK_EQ_INT(msgpack_decode_hex("cf7fffffffffffffff", &out), 9);
    CHECK(out.kind == WISP_INT && out.as.integer == INT64_MAX);
    CHECK_EQ_INT(msgpack_decode_hex("cf8000000000000000", &out), 9);
    CHECK(out.kind == WISP_UINT && out.as.uinteger == (uint64_t)INT64_MAX + 1);
    CHECK_EQ_INT(msgpack_decode_hex("d38000000000000000", &out), 9);
    CHECK(out.kind == WISP_INT && out.as.integer == INT64_MIN);
}

TEST(floats_keep_every_bit) {
    static const uint32_t bits[] = { 0, 0x80000000, 1, 0x3f800000, 0x7f7fffff, 0x7f800000,
                                     0xff800000, 0x7fc00000, 0x7fa00001, 0xffc12345 };
    CHECK(both(wisp_float(1.0f), "ca3f800000"));
    CHECK(both(wisp_float(-0.0f), "ca80000000"));
    CHECK(both(float_of(0x7fa00001), "ca7fa00001"));
    for (int i = 0; i < TEST_COUNT(bits); i++) {
        wisp_value value = float_of(bits[i]);
        CHECK(comes_back(&value));
    }
}

TEST(numbers_keep_every_bit_and_eight_bytes) {
    static const uint64_t bits[] = { 0, UINT64_C(0x8000000000000000), 1,
                                     UINT64_C(0x7ff0000000000000), UINT64_C(0xfff0000000000000),
                                     UINT64_C(0x7ff8000000000000), UINT64_C(0xfff80000deadbeef) };
    CHECK(both(wisp_number(1.0), "cb3ff0000000000000"));
    CHECK(both(wisp_number(0.1), "cb3fb999999999999a"));
    CHECK(both(msgpack_number_of(UINT64_C(0x7ff4000000000001)), "cb7ff4000000000001"));
    for (int i = 0; i < TEST_COUNT(bits); i++) {
        wisp_value value = msgpack_number_of(bits[i]);
        CHECK(comes_back(&value));
    }
}

/* --- lengths --- */

/* The value is written with a head of these bytes, and comes back. */
static bool headed(wisp_value value, const char *hex) {
    uint8_t head[16];
    int size = from_hex(hex, head);
    if (!CHECK(msgpack_encode(&value, text_room, MSGPACK_ROOM) >= size)) return false;
    return CHECK_EQ_MEM(text_room, head, size) && comes_back(&value);
}

TEST(strings_take_the_smallest_head) {
    static char text[65536 + 1];
    memset(text, 'x', sizeof text);
    CHECK(both(wisp_string(""), "a0"));
    CHECK(both(wisp_string("a"), "a161"));
    CHECK(both(wisp_string("\xc3\xa9"), "a2c3a9"));
    CHECK(both(wisp_string_n("a\0b", 3), "a3610062"));
    CHECK(headed(wisp_string_n(text, 31), "bf78"));
    CHECK(headed(wisp_string_n(text, 32), "d92078"));
    CHECK(headed(wisp_string_n(text, 255), "d9ff78"));
    CHECK(headed(wisp_string_n(text, 256), "da010078"));
    CHECK(headed(wisp_string_n(text, 65535), "daffff78"));
    CHECK(headed(wisp_string_n(text, 65536), "db0001000078"));
}

TEST(keys_take_the_smallest_head) {
    static char key[65536 + 1];
    static const struct { int size; const char *head; } cases[] = {
        { 0, "81a0" }, { 31, "81bf6b" }, { 32, "81d9206b" }, { 255, "81d9ff6b" },
        { 256, "81da01006b" }, { 65535, "81daffff6b" }, { 65536, "81db000100006b" }
    };
    for (int i = 0; i < TEST_COUNT(cases); i++) {
        wisp_pair one = pair(key, wisp_nil());
        memset(key, 'k', sizeof key);
        key[cases[i].size] = 0;
        CHECK(headed(wisp_map(&one, 1), cases[i].head));
    }
}

TEST(bytes_take_the_smallest_head) {
    static uint8_t data[65536];
    memset(data, 0xee, sizeof data);
    CHECK(both(wisp_bytes("", 0), "c400"));
    CHECK(both(wisp_bytes(NULL, 0), "c400"));
    CHECK(headed(wisp_bytes(data, 1), "c401ee"));
    CHECK(headed(wisp_bytes(data, 255), "c4ffee"));
    CHECK(headed(wisp_bytes(data, 256), "c50100ee"));
    CHECK(headed(wisp_bytes(data, 65535), "c5ffffee"));
    CHECK(headed(wisp_bytes(data, 65536), "c600010000ee"));
}

TEST(arrays_take_the_smallest_head) {
    static wisp_value items[65536];
    for (int i = 0; i < TEST_COUNT(items); i++) items[i] = wisp_bool(true);
    CHECK(both(wisp_array(NULL, 0), "90"));
    CHECK(headed(wisp_array(items, 1), "91c3"));
    CHECK(headed(wisp_array(items, 15), "9fc3"));
    CHECK(headed(wisp_array(items, 16), "dc0010c3"));
    CHECK(headed(wisp_array(items, 65535), "dcffffc3"));
    CHECK(headed(wisp_array(items, 65536), "dd00010000c3"));
}

TEST(maps_take_the_smallest_head) {
    static wisp_pair pairs[65536];
    static char keys[65536][12];
    for (int i = 0; i < TEST_COUNT(pairs); i++) {
        snprintf(keys[i], sizeof keys[i], "%05d", i);
        pairs[i] = pair(keys[i], wisp_nil());
    }
    CHECK(both(wisp_map(NULL, 0), "80"));
    CHECK(headed(wisp_map(pairs, 1), "81a53030303030c0"));
    CHECK(headed(wisp_map(pairs, 15), "8fa53030303030c0"));
    CHECK(headed(wisp_map(pairs, 16), "de0010a53030303030c0"));
    CHECK(headed(wisp_map(pairs, 65535), "deffffa53030303030c0"));
    CHECK(headed(wisp_map(pairs, 65536), "df00010000a53030303030c0"));
}

TEST(exts_take_the_smallest_head) {
    static uint8_t data[65536];
    static const struct { int size; const char *head; } cases[] = {
        { 0, "c70009" }, { 1, "d409ee" }, { 2, "d509ee" }, { 3, "c70309ee" }, { 4, "d609ee" },
        { 5, "c70509ee" }, { 7, "c70709ee" }, { 8, "d709ee" }, { 9, "c70909ee" },
        { 15, "c70f09ee" }, { 16, "d809ee" }, { 17, "c71109ee" }, { 255, "c7ff09ee" },
        { 256, "c8010009ee" }, { 65535, "c8ffff09ee" }, { 65536, "c90001000009ee" }
    };
    wisp_pair pairs[2];
    memset(data, 0xee, sizeof data);
    for (int i = 0; i < TEST_COUNT(cases); i++)
        CHECK(headed(extension(pairs, 9, data, cases[i].size), cases[i].head));
}

TEST(lengths_are_read_from_larger_forms_too) {
    static const char *const strings[] = { "a26869", "d9026869", "da00026869", "db000000026869" };
    static const char *const blobs[] = { "c40201ff", "c5000201ff", "c60000000201ff" };
    static const char *const arrays[] = { "91c3", "dc0001c3", "dd00000001c3" };
    static const char *const maps[] = { "81a16bc3", "de0001a16bc3", "df00000001a16bc3" };
    static const char *const exts[] = { "d409ee", "c70109ee", "c8000109ee", "c90000000109ee" };
    wisp_value item = wisp_bool(true);
    wisp_pair one = pair("k", item), pairs[2];
    for (int i = 0; i < TEST_COUNT(strings); i++) CHECK(msgpack_reads(strings[i],
                                                                      wisp_string("hi")));
    for (int i = 0; i < TEST_COUNT(blobs); i++) CHECK(msgpack_reads(blobs[i],
                                                                    wisp_bytes("\1\xff", 2)));
    for (int i = 0; i < TEST_COUNT(arrays); i++) CHECK(msgpack_reads(arrays[i],
                                                                     wisp_array(&item, 1)));
    for (int i = 0; i < TEST_COUNT(maps); i++) CHECK(msgpack_reads(maps[i], wisp_map(&one, 1)));
    for (int i = 0; i < TEST_COUNT(exts); i++)
        CHECK(msgpack_reads(exts[i], extension(pairs, 9, "\xee", 1)));
}

/* --- kinds of this library --- */

TEST(kinds_of_floats_are_exts_1_to_6) {
    wisp_vec3 position = { 1, 2, 3 };
    wisp_quat rotation = { 0, 0, 0, 1 };
    CHECK(both(wisp_vec2v(1, -2), "d701 3f800000 c0000000"));
    CHECK(both(wisp_vec3v(1, 2, 3), "c70c02 3f800000 40000000 40400000"));
    CHECK(both(wisp_vec4v(1, 2, 3, 4), "d803 3f800000 40000000 40400000 40800000"));
    CHECK(both(wisp_quatv(0, 0, 0, 1), "d804 00000000 00000000 00000000 3f800000"));
    CHECK(both(wisp_transformv(position, rotation),
               "c71c05 3f800000 40000000 40400000 00000000 00000000 00000000 3f800000"));
    CHECK(both(wisp_color4(1, 0.5f, 0, 1), "d806 3f800000 3f000000 00000000 3f800000"));
}

TEST(kinds_of_floats_are_read_from_larger_heads_too) {
    CHECK(msgpack_reads("c70801 3f800000 c0000000", wisp_vec2v(1, -2)));
    CHECK(msgpack_reads("c8000801 3f800000 c0000000", wisp_vec2v(1, -2)));
    CHECK(msgpack_reads("c90000000801 3f800000 c0000000", wisp_vec2v(1, -2)));
    CHECK(msgpack_reads("c71004 00000000 00000000 00000000 3f800000", wisp_quatv(0, 0, 0, 1)));
}

TEST(parts_of_kinds_keep_every_bit) {
    wisp_value out;
    CHECK_EQ_INT(msgpack_decode_hex("d701 7fa00001 ffc12345", &out), 10);
    CHECK_EQ_INT(out.kind, WISP_VEC2);
    CHECK(msgpack_writes(out, "d701 7fa00001 ffc12345"));
}

TEST(objects_are_ext_7) {
    CHECK(both(object_of(0), "d607 00000000"));
    CHECK(both(object_of(0x12345678), "d607 12345678"));
    CHECK(both(object_of(0xffffffffu), "d607 ffffffff"));
    CHECK(msgpack_reads("c70407 12345678", object_of(0x12345678)));
}

TEST(exts_of_kinds_with_a_wrong_size_are_maps) {
    static const int sizes[8] = { 0, 8, 12, 16, 16, 28, 16, 4 };
    uint8_t data[40];
    wisp_pair pairs[2];
    for (int i = 0; i < 40; i++) data[i] = (uint8_t)i;
    for (int type = 1; type <= 7; type++)
        for (int size = 0; size <= 40; size++) {
            wisp_value value = extension(pairs, type, data, size), out;
            int written = msgpack_encode(&value, text_room, MSGPACK_ROOM);
            CHECK_EQ_INT(decode(text_room, written, &out), written);
            if (size != sizes[type]) CHECK(same(&out, &value));
            else CHECK_EQ_INT(out.kind, type == 7 ? WISP_OBJECT : WISP_VEC2 + type - 1);
        }
}

TEST(every_other_ext_is_a_map) {
    uint8_t data[3] = { 1, 2, 3 };
    wisp_pair pairs[2];
    for (int type = -128; type < 128; type++) {
        wisp_value value = extension(pairs, type, data, 3);
        CHECK(comes_back(&value));
    }
    CHECK(both(extension(pairs, -128, data, 1), "d48001"));
    CHECK(both(extension(pairs, 127, data, 1), "d47f01"));
    CHECK(both(extension(pairs, 0, data, 0), "c70000"));
    pairs[0].value = wisp_uint(127);
    CHECK(msgpack_writes(wisp_map(pairs, 2), "c7007f"));
}

typedef struct place {
    int32_t   level;
    wisp_vec2 at;
    float     heights[3];
} place;

TEST(structs_are_maps_and_their_arrays_arrays) {
    static const wisp_type height = WISP_T_FLOAT;
    static const wisp_field fields[] = {
        WISP_FIELD(place, level, WISP_T_INTEGER),
        WISP_FIELD(place, at, WISP_T_VEC2),
        WISP_FIELD(place, heights, WISP_T_ARRAY(&height, 3)),
    };
    static const wisp_schema schema = WISP_SCHEMA(place, 1, fields);
    place here = { -7, { 1, 2 }, { 0, 1, 2 } };
    CHECK(msgpack_writes(wisp_struct(&schema, &here),
                         "83 a5 6c6576656c f9 a2 6174 d701 3f800000 40000000"
                         "a7 68656967687473 93 ca00000000 ca3f800000 ca40000000"));
}

TEST(fields_that_are_missing_are_not_written) {
    static const wisp_field fields[] = {
        { "a", WISP_T_UINT8, 0, 1, 1, 1, WISP_FLAG_MAYBE, 0, NULL, 0 },
        { "b", WISP_T_UINT8, 2, 1, 3, 1, WISP_FLAG_MAYBE, 0, NULL, 0 },
    };
    static const wisp_schema schema = { "maybe", 1, 4, fields, 2, WISP_SHAPE_MAP, NULL };
    uint8_t image[4] = { 5, 1, 6, 1 };      /* each field, and whether it is there */
    CHECK(msgpack_writes(wisp_struct(&schema, image), "82 a161 05 a162 06"));
    image[1] = 0;
    CHECK(msgpack_writes(wisp_struct(&schema, image), "81 a162 06"));
    image[3] = 0;
    CHECK(msgpack_writes(wisp_struct(&schema, image), "80"));
}

/* --- timestamps --- */

TEST(timestamps_take_the_smallest_form) {
    static const struct { int64_t seconds; uint32_t nanoseconds; const char *hex; } cases[] = {
        { 0, 0, "d6ff 00000000" },
        { 1514862245, 0, "d6ff 5a4af6a5" },
        { INT64_C(4294967295), 0, "d6ff ffffffff" },
        { 0, 1, "d7ff 00000004 00000000" },
        { 1514862245, 678901234, "d7ff a1dcd7c8 5a4af6a5" },
        { INT64_C(4294967296), 0, "d7ff 00000001 00000000" },
        { INT64_C(17179869183), 999999999, "d7ff ee6b27ff ffffffff" },
        { INT64_C(17179869184), 0, "c70cff 00000000 00000004 00000000" },
        { -1, 0, "c70cff 00000000 ffffffff ffffffff" },
        { -1, 999999999, "c70cff 3b9ac9ff ffffffff ffffffff" },
        { INT64_MAX, 999999999, "c70cff 3b9ac9ff 7fffffff ffffffff" },
        { INT64_MIN, 1, "c70cff 00000001 80000000 00000000" },
    };
    wisp_pair pairs[2];
    for (int i = 0; i < TEST_COUNT(cases); i++)
        CHECK(both(timestamp(pairs, cases[i].seconds, cases[i].nanoseconds), cases[i].hex));
}

TEST(timestamps_are_read_from_larger_forms_too) {
    wisp_pair pairs[2];
    wisp_value one = timestamp(pairs, 1, 0), out;
    CHECK(msgpack_reads("d6ff 00000001", one));
    CHECK(msgpack_reads("c704ff 00000001", one));
    CHECK(msgpack_reads("d7ff 00000000 00000001", one));
    CHECK(msgpack_reads("c70cff 00000000 00000000 00000001", one));
    CHECK_EQ_INT(msgpack_decode_hex("d6ff 00000001", &out), 6);
    CHECK_EQ_INT(wisp_element_of(&out, 0)->kind, WISP_INT);
    CHECK_EQ_INT(wisp_element_of(&out, 1)->kind, WISP_UINT);
}

TEST(more_nanoseconds_than_a_second_has_are_refused) {
    wisp_pair pairs[2];
    CHECK(msgpack_refuses("d7ff ee6b2800 00000000", WISP_E_SYNTAX));
    CHECK(msgpack_refuses("d7ff ffffffff 00000000", WISP_E_SYNTAX));
    CHECK(msgpack_refuses("c70cff 3b9aca00 00000000 00000000", WISP_E_SYNTAX));
    CHECK(msgpack_refuses("c70cff ffffffff 00000000 00000000", WISP_E_SYNTAX));
    CHECK(msgpack_refuses("91 d7ff ffffffff 00000000", WISP_E_SYNTAX));
    CHECK_EQ_INT(timestamp(pairs, 0, 1000000000).count, 2);
    CHECK(both(wisp_map(pairs, 2),
               "82 a8 247365636f6e6473 00 ac 246e616e6f7365636f6e6473 ce3b9aca00"));
}

TEST(exts_that_say_a_time_that_cannot_be_read_are_not_written) {
    uint8_t bytes[64], data[12] = { 0x3b, 0x9a, 0xca, 0 };
    wisp_pair pairs[2];
    wisp_value value = extension(pairs, -1, data, 12);
    CHECK_EQ_INT(msgpack_encode(&value, bytes, 64), WISP_E_TYPE);
    data[3] = 0;
    data[2] = 0xc9;
    CHECK(msgpack_writes(value, "c70cff 3b9ac900 00000000 00000000"));
    data[0] = 0xff;
    value = extension(pairs, -1, data, 8);
    CHECK_EQ_INT(msgpack_encode(&value, bytes, 64), WISP_E_TYPE);
    value = extension(pairs, -1, data, 4);
    CHECK(msgpack_writes(value, "d6ff ff9ac900"));
    for (int size = 0; size < 12; size++) {
        value = extension(pairs, -1, data, size);
        if (size != 4 && size != 8) CHECK(comes_back(&value));
    }
}

TEST(maps_that_are_nearly_a_stand_in_are_plain) {
    wisp_pair pairs[3];
    wisp_value value = timestamp(pairs, 5, 6);
    pairs[2] = pair("x", wisp_nil());
    value.count = 3;
    CHECK(comes_back(&value) && text_room[0] == 0x83);          /* one pair more */
    value.count = 1;
    CHECK(comes_back(&value) && text_room[0] == 0x81);          /* one less */
    value = timestamp(pairs, 5, 6);
    pairs[2] = pairs[0], pairs[0] = pairs[1], pairs[1] = pairs[2];
    CHECK(comes_back(&value) && text_room[0] == 0x82);          /* the other order */
    value = timestamp(pairs, 5, 6);
    pairs[0].value = wisp_number(5);
    CHECK(comes_back(&value) && text_room[0] == 0x82);          /* no integer */
    pairs[0].value = wisp_uint((uint64_t)INT64_MAX + 1);
    CHECK(comes_back(&value) && text_room[0] == 0x82);          /* beyond int64 */
    value = timestamp(pairs, 5, 6);
    pairs[1].value = wisp_int(-1);
    CHECK(comes_back(&value) && text_room[0] == 0x82);
    pairs[1] = pair("$data", wisp_bytes("", 0));
    CHECK(comes_back(&value) && text_room[0] == 0x82);
    value = extension(pairs, 128, "", 0);
    CHECK(comes_back(&value) && text_room[0] == 0x82);
    value = extension(pairs, -129, "", 0);
    CHECK(comes_back(&value) && text_room[0] == 0x82);
    value = extension(pairs, 1, "", 0);
    pairs[1].value = wisp_string("");
    CHECK(comes_back(&value) && text_room[0] == 0x82);
    pairs[1] = pair("$nanoseconds", wisp_uint(1));
    CHECK(comes_back(&value) && text_room[0] == 0x82);
}

/* --- maps with any keys --- */

static wisp_value entry(wisp_value two[2], wisp_value key, wisp_value value) {
    two[0] = key;
    two[1] = value;
    return wisp_array(two, 2);
}

TEST(maps_with_other_keys_than_strings_are_lists_of_entries) {
    wisp_value parts[4][2], entries[4];
    wisp_pair one = pair("$map", wisp_nil());
    entries[0] = entry(parts[0], wisp_int(1), wisp_string("a"));
    one.value = wisp_array(entries, 1);
    CHECK(both(wisp_map(&one, 1), "81 01 a161"));
    entries[1] = entry(parts[1], wisp_string("b"), wisp_nil());
    entries[2] = entry(parts[2], wisp_array(NULL, 0), wisp_map(NULL, 0));
    entries[3] = entry(parts[3], wisp_nil(), wisp_map(&one, 1));
    one.value = wisp_array(entries, 3);
    CHECK(both(wisp_map(&one, 1), "83 01 a161 a162 c0 90 80"));
    one.value = wisp_array(entries + 1, 2);
    CHECK(both(wisp_map(&one, 1), "82 a162 c0 90 80"));
}

TEST(keys_with_a_nul_inside_are_entries_too) {
    wisp_value parts[2][2], entries[2];
    wisp_pair one;
    entries[0] = entry(parts[0], wisp_string("a"), wisp_int(1));
    entries[1] = entry(parts[1], wisp_string_n("a\0", 2), wisp_int(2));
    one = pair("$map", wisp_array(entries, 2));
    CHECK(both(wisp_map(&one, 1), "82 a161 01 a26100 02"));
    entries[0] = entry(parts[0], wisp_string_n("\0", 1), wisp_int(1));
    one.value.count = 1;
    CHECK(both(wisp_map(&one, 1), "81 a100 01"));
}

TEST(entries_keep_equal_keys) {
    wisp_value parts[3][2], entries[3];
    wisp_pair one;
    entries[0] = entry(parts[0], wisp_int(7), wisp_int(1));
    entries[1] = entry(parts[1], wisp_int(7), wisp_int(2));
    entries[2] = entry(parts[2], wisp_string("x"), wisp_int(3));
    one = pair("$map", wisp_array(entries, 3));
    CHECK(both(wisp_map(&one, 1), "83 07 01 07 02 a178 03"));
}

TEST(entries_with_plain_keys_are_read_as_a_plain_map) {
    wisp_value parts[2], entries[1];
    wisp_pair one, plain = pair("k", wisp_int(3));
    entries[0] = entry(parts, wisp_string("k"), wisp_int(3));
    one = pair("$map", wisp_array(entries, 1));
    CHECK(msgpack_writes(wisp_map(&one, 1), "81 a16b 03"));
    CHECK(msgpack_reads("81 a16b 03", wisp_map(&plain, 1)));
    one.value = wisp_array(NULL, 0);
    CHECK(msgpack_writes(wisp_map(&one, 1), "80"));
}

TEST(maps_that_are_nearly_entries_are_plain) {
    wisp_value parts[3], entries[2];
    wisp_pair pairs[2];
    wisp_value value;
    pairs[0] = pair("$map", wisp_int(1));
    pairs[1] = pair("x", wisp_nil());
    value = wisp_map(pairs, 1);
    CHECK(comes_back(&value) && text_room[1] == 0xa4);
    entries[0] = entry(parts, wisp_int(1), wisp_int(2));
    entries[1] = wisp_int(3);
    pairs[0].value = wisp_array(entries, 2);
    CHECK(comes_back(&value) && text_room[1] == 0xa4);          /* an element is no array */
    parts[2] = wisp_int(3);
    entries[1] = wisp_array(parts, 3);
    CHECK(comes_back(&value) && text_room[1] == 0xa4);          /* an entry of three */
    entries[1] = wisp_array(parts, 1);
    CHECK(comes_back(&value) && text_room[1] == 0xa4);          /* of one */
    entries[1] = entries[0];
    value.count = 2;
    CHECK(comes_back(&value) && text_room[1] == 0xa4);          /* another pair beside it */
    value.count = 1;
    pairs[0].key = "$maps";
    CHECK(comes_back(&value) && text_room[1] == 0xa5);
    pairs[0].key = "$map";
    CHECK(comes_back(&value) && text_room[0] == 0x82 && text_room[1] == 1);
}

/* --- equal keys --- */

TEST(of_equal_keys_the_last_wins_in_the_place_of_the_first) {
    wisp_pair pairs[3];
    pairs[0] = pair("a", wisp_int(3));
    pairs[1] = pair("b", wisp_int(2));
    pairs[2] = pair("c", wisp_int(4));
    CHECK(msgpack_reads("83 a161 01 a162 02 a161 03", wisp_map(pairs, 2)));
    CHECK(msgpack_reads("85 a161 01 a162 01 a163 04 a162 02 a161 03", wisp_map(pairs, 3)));
    CHECK(msgpack_reads("84 a161 00 a161 01 d90161 02 db0000000161 03", wisp_map(pairs, 1)));
    pairs[0] = pair("", wisp_nil());
    CHECK(msgpack_reads("82 a0 01 a0 c0", wisp_map(pairs, 1)));
}

/* Against the plain way: for each pair, look at all before it. */
TEST(equal_keys_among_many_are_found) {
    uint64_t seed = 11;
    for (int round = 0; round < 300; round++) {
        int count = test_random_below(&seed, 70), letters = 1 + test_random_below(&seed, 40);
        uint8_t bytes[3 + 70 * 3] = { 0xde, 0 };
        int at = 3, last[40], order[40], different = 0;
        wisp_value out;
        memset(last, -1, sizeof last);
        bytes[2] = (uint8_t)count;
        for (int i = 0; i < count; i++) {
            int letter = test_random_below(&seed, letters);
            if (last[letter] < 0) order[different++] = letter;
            last[letter] = i;
            bytes[at++] = 0xa1;
            bytes[at++] = (uint8_t)('0' + letter);
            bytes[at++] = (uint8_t)i;
        }
        CHECK_EQ_INT(decode(bytes, at, &out), at);
        if (!CHECK_EQ_INT(out.count, different)) continue;
        for (int i = 0; i < different; i++) {
            CHECK_EQ_INT(out.as.map[i].key[0], '0' + order[i]);
            CHECK_EQ_INT(out.as.map[i].value.as.integer, last[order[i]]);
        }
    }
}

/* Would each pair look at all before it, this would not end. */
TEST(equal_keys_cost_no_more_than_sorting) {
    enum { COUNT = 200000 };
    static uint8_t bytes[5 + COUNT * 6];
    wisp_value out;
    for (int alike = 0; alike < 2; alike++) {
        int size = 5;
        wisp__msgpack_store(bytes, UINT64_C(0xdf) << 32 | COUNT, 5);
        for (int i = 0; i < COUNT; i++) {
            int key = alike ? 7 : (i & 1 ? i : COUNT - i);
            bytes[size++] = 0xa4;
            for (int k = 0; k < 4; k++) bytes[size++] = (uint8_t)('0' + (key >> (3 - k) * 5 & 31));
            bytes[size++] = 0xc0;
        }
        CHECK_EQ_INT(decode(bytes, size, &out), size);
        CHECK(alike ? out.count == 1 : out.count > COUNT / 2);
    }
}

/* --- depth --- */

/* `count` lists, each in the one before: a head of `step` bytes each, then the innermost. */
static int msgpack_nest(const char *step, int count, const char *innermost) {
    int size = 0;
    for (int i = 0; i < count; i++) size += from_hex(step, text_room + size);
    return size + from_hex(innermost, text_room + size);
}

static int decode_nest(const char *step, int count, const char *innermost) {
    wisp_value out;
    int size = msgpack_nest(step, count, innermost), result = decode(text_room, size, &out);
    static uint8_t again[MSGPACK_ROOM];
    if (result < 0) return result;
    CHECK_EQ_INT(result, size);
    CHECK_EQ_INT(msgpack_encode(&out, again, MSGPACK_ROOM),
                 size);      /* as deep as may be read may be written */
    CHECK_EQ_MEM(again, text_room, size);
    return WISP_OK;
}

TEST(lists_are_read_256_deep) {
    CHECK_EQ_INT(decode_nest("91", DEEPEST, "c0"), WISP_OK);
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 1, "90"), WISP_OK);
    CHECK_EQ_INT(decode_nest("91", DEEPEST + 1, "c0"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("91", DEEPEST, "90"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("81a161", DEEPEST, "c0"), WISP_OK);
    CHECK_EQ_INT(decode_nest("81a161", DEEPEST, "80"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("81a161", DEEPEST + 1, "c0"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("91", 300000, "c0"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("81", 300000, "c0"), WISP_E_DEPTH);
}

TEST(stand_ins_count_as_the_maps_that_they_are) {
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 1, "d6ff00000000"), WISP_OK);
    CHECK_EQ_INT(decode_nest("91", DEEPEST, "d6ff00000000"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 1, "d40901"), WISP_OK);
    CHECK_EQ_INT(decode_nest("91", DEEPEST, "d40901"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("91", DEEPEST, "d60700000001"), WISP_OK);       /* no list */
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 3, "810102"), WISP_OK);
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 2, "810102"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 4, "810191c0"), WISP_OK);
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 3, "810191c0"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 4, "82 91c0 01 01 01"), WISP_OK);
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 3, "82 91c0 01 01 01"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("8101", DEEPEST / 3, "c0"), WISP_OK);
    CHECK_EQ_INT(decode_nest("8101", DEEPEST / 3, "90"), WISP_OK);           /* 3 * 85 + 1 */
    CHECK_EQ_INT(decode_nest("8101", DEEPEST / 3, "9190"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("8101", DEEPEST / 3 + 1, "c0"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 4, "92 8101c0 8101c0"), WISP_OK);
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 3, "92 8101c0 c0"), WISP_E_DEPTH);
    CHECK_EQ_INT(decode_nest("91", 200, "92 91919191c0 8101c0"), WISP_OK);
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 5, "82 01 9191c0 01 80"), WISP_OK);
    CHECK_EQ_INT(decode_nest("91", DEEPEST - 4, "82 01 9191c0 01 80"), WISP_E_DEPTH);
}

/* What stands deep before a map says nothing about the map. */
TEST(a_map_is_not_as_deep_as_its_neighbours) {
    wisp_value out;
    int size = from_hex("92", text_room), deep = DEEPEST - 1;
    for (int i = 0; i < deep; i++) text_room[size++] = 0x91;
    size += from_hex("c0 810102", text_room + size);
    CHECK_EQ_INT(decode(text_room, size, &out), size);
}

TEST(values_nested_deeper_than_256_are_not_written) {
    static wisp_value lists[DEEPEST + 1];
    static wisp_pair pairs[DEEPEST + 1];
    wisp_value parts[2], entries[1];
    for (int i = 0; i <= DEEPEST; i++) {
        pairs[i] = pair("k", i ? wisp_map(&pairs[i - 1], 1) : wisp_nil());
        lists[i] = i ? wisp_array(&lists[i - 1], 1) : wisp_nil();
    }
    CHECK(comes_back(&lists[DEEPEST]));
    CHECK(comes_back(&pairs[DEEPEST].value));
    lists[0] = wisp_array(NULL, 0);
    CHECK_EQ_INT(msgpack_encode(&lists[DEEPEST], text_room, MSGPACK_ROOM), WISP_E_DEPTH);
    pairs[0].value = wisp_array(NULL, 0);
    CHECK_EQ_INT(msgpack_encode(&pairs[DEEPEST].value, text_room, MSGPACK_ROOM), WISP_E_DEPTH);
    pairs[0] = pair("$map", wisp_array(NULL, 0));
    lists[0] = wisp_map(&pairs[0], 1);
    CHECK_EQ_INT(msgpack_encode(&lists[DEEPEST - 2], text_room, MSGPACK_ROOM), DEEPEST - 2 + 1);
    CHECK_EQ_INT(msgpack_encode(&lists[DEEPEST - 1], text_room, MSGPACK_ROOM), WISP_E_DEPTH);
    entries[0] = entry(parts, wisp_int(1), wisp_int(2));
    pairs[0].value = wisp_array(entries, 1);
    lists[0] = wisp_map(&pairs[0], 1);
    CHECK(comes_back(&lists[DEEPEST - 3]));
    CHECK_EQ_INT(msgpack_encode(&lists[DEEPEST - 2], text_room, MSGPACK_ROOM), WISP_E_DEPTH);
}

/* --- random values --- */

static wisp_value any(low_values *v);

/* Letters of one to four bytes. */
static wisp_value msgpack_any_text(low_values *v) {
    static const char *const letters[] = { "a", "Z", "\x7f", "\xc2\x80", "\xdf\xbf",
                                           "\xe0\xa0\x80", "\xed\x9f\xbf", "\xef\xbf\xbf",
                                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };
    int count = test_random_below(&v->seed, test_random_below(&v->seed, 8) ? 12 : 80), size = 0;
    char *text = (char *)low_take(v, (size_t)count * 4 + 1);
    if (!text) return wisp_nil();
    for (int i = 0; i < count; i++) {
        const char *letter = letters[test_random_below(&v->seed, TEST_COUNT(letters))];
        memcpy(text + size, letter, strlen(letter));
        size += (int)strlen(letter);
    }
    text[size] = 0;
    return wisp_string_n(text, size);
}

static wisp_value any_bytes(low_values *v) {
    int size = test_random_below(&v->seed, test_random_below(&v->seed, 8) ? 12 : 300);
    uint8_t *bytes = (uint8_t *)low_take(v, (size_t)size + 1);
    if (!bytes) return wisp_nil();
    low_random_bytes(&v->seed, bytes, size);
    return wisp_bytes(bytes, size);
}

static wisp_value any_floats(low_values *v) {
    wisp_value value = wisp_nil();
    float parts[7];
    for (int i = 0; i < 7; i++) parts[i] = low_float(v);
    value.kind = (wisp_kind)(WISP_VEC2 + test_random_below(&v->seed, 6));
    memcpy(&value.as, parts, sizeof parts);
    return value;
}

static wisp_value any_stand_in(low_values *v) {
    wisp_pair *pairs = (wisp_pair *)low_take(v, 2 * sizeof *pairs);
    wisp_value bytes = any_bytes(v);
    if (!pairs || bytes.kind != WISP_BYTES) return wisp_nil();
    if (test_random_below(&v->seed, 2))
        return timestamp(pairs, wisp__unzigzag(low_integer(v)),
                         (uint32_t)test_random_below(&v->seed, 3) * 499999999u);
    return extension(pairs, 8 + test_random_below(&v->seed, 120), bytes.as.bytes, bytes.count);
}

static wisp_value any_array(low_values *v) {
    int count = test_random_below(&v->seed, test_random_below(&v->seed, 8) ? 5 : 40);
    wisp_value *items = (wisp_value *)low_take(v, (size_t)count * sizeof *items + 1);
    if (!items) return wisp_nil();
    for (int i = 0; i < count; i++) items[i] = any(v);
    return wisp_array(items, count);
}

static wisp_value any_map(low_values *v) {
    int count = test_random_below(&v->seed, test_random_below(&v->seed, 8) ? 5 : 40);
    wisp_pair *pairs = (wisp_pair *)low_take(v, (size_t)count * sizeof *pairs + 1);
    if (!pairs) return wisp_nil();
    for (int i = 0; i < count; i++) {
        char *key = (char *)low_take(v, 12);
        if (!key) return wisp_nil();
        snprintf(key, 12, "%d", test_random_below(&v->seed, 1000) * 50 + i);
        pairs[i] = pair(key, any(v));
    }
    return wisp_map(pairs, count);
}

/* One of the keys is an integer, so that it does not come back as a plain map. */
static wisp_value any_entries(low_values *v) {
    int count = 1 + test_random_below(&v->seed, 4);
    wisp_value *items = (wisp_value *)low_take(v, (size_t)count * 3 * sizeof *items);
    wisp_pair *one = (wisp_pair *)low_take(v, sizeof *one);
    if (!items || !one) return wisp_nil();
    for (int i = 0; i < count; i++) {
        wisp_value key = i ? any(v) : wisp_int(-5);
        items[i] = entry(items + count + 2 * i, key, any(v));
    }
    *one = pair("$map", wisp_array(items, count));
    return wisp_map(one, 1);
}

static wisp_value any_list(low_values *v) {
    wisp_value value;
    if (v->depth == 0) return msgpack_any_text(v);
    v->depth--;
    switch (test_random_below(&v->seed, 4)) {
    case 0: value = any_map(v); break;
    case 1: value = any_entries(v); break;
    default: value = any_array(v); break;
    }
    v->depth++;
    return value;
}

static wisp_value any(low_values *v) {
    switch (test_random_below(&v->seed, 14)) {
    case 0: return wisp_nil();
    case 1: return wisp_bool(test_random(&v->seed) & 1);
    case 2: return wisp_int(wisp__unzigzag(low_integer(v)));
    case 3: return wisp_uint(low_integer(v));
    case 4: return wisp_float(low_float(v));
    case 5: return wisp_number(low_number(v));
    case 6: return msgpack_any_text(v);
    case 7: return any_bytes(v);
    case 8: return any_floats(v);
    case 9: return object_of((uint32_t)test_random(&v->seed));
    case 10: return any_stand_in(v);
    default: return any_list(v);
    }
}

static low_values msgpack_bench;

TEST(random_values_come_back_from_msgpack) {
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        wisp_value value;
        low_values_start(&msgpack_bench, seed, 5);
        value = any(&msgpack_bench);
        if (!comes_back(&value)) return;
    }
}

TEST(a_value_that_ends_early_is_refused_at_every_byte) {
    wisp_value value, out = wisp_int(77);
    for (uint64_t seed = 1; seed <= 400; seed++) {
        int size;
        low_values_start(&msgpack_bench, seed, 3);
        value = any(&msgpack_bench);
        size = msgpack_encode(&value, text_room, MSGPACK_ROOM);
        for (int cut = size > 600 ? size - 600 : 0; cut < size; cut++)
            CHECK_EQ_INT(decode(text_room, cut, &out), WISP_E_SYNTAX);
        CHECK_EQ_INT(out.as.integer, 77);
    }
}

TEST(every_memory_is_enough_or_refused) {
    wisp_value value, out;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        int size, need = 0;
        low_values_start(&msgpack_bench, seed, 3);
        value = any(&msgpack_bench);
        size = msgpack_encode(&value, text_room, MSGPACK_ROOM);
        if (size > 400) continue;
        while (decode_in(text_room, size, &out, need) == WISP_E_MEMORY) need++;
        CHECK(need <= size * PER_BYTE + 8);
        for (int room = need; room < need + 20; room++) {
            CHECK_EQ_INT(decode_in(text_room, size, &out, room), size);
            CHECK(same(&out, &value));
        }
    }
}

TEST(every_capacity_is_enough_or_refused_and_never_passed) {
    static uint8_t out[MSGPACK_ROOM];
    for (uint64_t seed = 1; seed <= 300; seed++) {
        wisp_value value;
        int size;
        low_values_start(&msgpack_bench, seed, 3);
        value = any(&msgpack_bench);
        size = msgpack_encode(&value, text_room, MSGPACK_ROOM);
        if (size > 600) continue;
        for (int capacity = 0; capacity < size; capacity++) {
            memset(out, 0xa5, (size_t)size + 1);
            CHECK_EQ_INT(msgpack_encode(&value, out, capacity), WISP_E_TOO_BIG);
            for (int i = capacity; i <= size; i++) CHECK_EQ_INT(out[i], 0xa5);
        }
        memset(out, 0xa5, (size_t)size + 1);
        CHECK_EQ_INT(msgpack_encode(&value, out, size), size);
        CHECK_EQ_MEM(out, text_room, size);
        CHECK_EQ_INT(out[size], 0xa5);
    }
}

TEST(several_values_stand_one_after_another) {
    wisp_value out;
    int at = 0, size, count = 0;
    static uint8_t bytes[MSGPACK_ROOM];
    static int ends[50];
    for (int i = 0; i < 50; i++) {
        low_values_start(&msgpack_bench, (uint64_t)i, 2);
        out = any(&msgpack_bench);
        at += msgpack_encode(&out, bytes + at, MSGPACK_ROOM - at);
        ends[i] = at;
    }
    size = at;
    for (at = 0; at < size; count++) {
        int used = decode(bytes + at, size - at, &out);
        if (!CHECK(used > 0)) return;
        at += used;
        CHECK_EQ_INT(at, ends[count]);
    }
    CHECK_EQ_INT(count, 50);
}

/* Whatever is read can be written, and is then read as the same. */
TEST(bytes_that_were_changed_are_refused_or_make_sense) {
    static uint8_t bytes[MSGPACK_ROOM], again[MSGPACK_ROOM];
    static union { double align; uint8_t bytes[1 << 20]; } other;
    const wisp_codec *codec = wisp_msgpack();
    uint64_t seed = 3;
    int read = 0;
    for (int round = 0; round < 20000; round++) {
        wisp_value value, out;
        int size, used;
        low_values_start(&msgpack_bench, (uint64_t)(round / 40), 3);
        value = any(&msgpack_bench);
        size = msgpack_encode(&value, bytes, MSGPACK_ROOM);
        if (size > 1000) continue;
        for (int i = test_random_below(&seed, 4); i >= 0; i--)
            bytes[test_random_below(&seed, size)] = (uint8_t)test_random(&seed);
        used = decode_in(bytes, size, &value, size * PER_BYTE + 8);
        CHECK(used > 0 || used == WISP_E_SYNTAX || used == WISP_E_DEPTH);
        if (used <= 0) continue;
        read++;
        size = msgpack_encode(&value, again, MSGPACK_ROOM);
        if (!CHECK(size > 0)) return;
        used = codec->decode(codec, NULL, again, size, &out, other.bytes, (int)sizeof other);
        CHECK_EQ_INT(used, size);
        CHECK(wisp_equal(&value, &out));
    }
    CHECK(read > 1000);
}

/* --- lengths that lie --- */

TEST(lengths_beyond_the_end_cost_nothing) {
    static const char *const cases[] = {
        "c6ffffffff", "c9ffffffff01", "dbffffffff", "ddffffffff", "dfffffffff", "dfffffffff00",
        "c6ffffffff00", "ddffffffffc0", "ddfffffffe90", "df7fffffff", "df80000000", "dd80000000",
        "db7fffffff61", "db8000000061", "dd00000002c0", "df00000001c0", "9fc0", "8fc0", "dcffff",
        "deffff", "c5ffff", "c8ffff01", "daffff", "c4ff", "c7ff01", "d9ff", "bf61",
        "91ddffffffff", "81a161dfffffffff", "81ddffffffff"
    };
    for (int i = 0; i < TEST_COUNT(cases); i++) {
        uint8_t bytes[16];
        wisp_value out;
        int size = from_hex(cases[i], bytes), lists = cases[i][0] == '9' || cases[i][0] == '8';
        int code = decode_in(bytes, size, &out, lists ? 400 : 0);
        CHECK_EQ_INT(code, WISP_E_SYNTAX);
    }
}

/* Each claims all that is left; together that is more than there is. */
TEST(lists_in_lists_do_not_count_the_same_bytes_twice) {
    static uint8_t bytes[4096];
    wisp_value out;
    int size = 0;
    for (int i = 0; i < 200; i++) {
        uint64_t left = sizeof bytes - 3 - (size_t)size;
        wisp__msgpack_store(bytes + size, UINT64_C(0xdc) << 16 | left, 3);
        size += 3;
    }
    memset(bytes + size, 0xc0, sizeof bytes - (size_t)size);
    CHECK_EQ_INT(decode_in(bytes, (int)sizeof bytes, &out, (int)sizeof bytes * PER_BYTE + 8),
                 WISP_E_SYNTAX);
    CHECK(msgpack_refuses("92 92 c0", WISP_E_SYNTAX));
    CHECK(msgpack_refuses("92 a161", WISP_E_SYNTAX));
    CHECK(msgpack_refuses("92 c40101", WISP_E_SYNTAX));
}

/* The dearest bytes that there are: maps with maps as keys, and strings without a letter. */
TEST(the_dearest_message_needs_no_more_memory_than_is_promised) {
    enum { LEVELS = 12 };
    wisp_value out;
    int size = 0;
    for (int leaf = 0; leaf < 1 << LEVELS; leaf++) {
        int maps = leaf ? 0 : LEVELS;
        while (leaf && !(leaf >> maps & 1)) maps++;
        for (int i = 0; i < maps; i++) text_room[size++] = 0x81;
        text_room[size++] = 0xa0;
    }
    text_room[size - 1] = 0xc0;
    CHECK_EQ_INT(decode_in(text_room, size, &out, size * PER_BYTE + 8), size);
}

/* --- UTF-8 --- */

TEST(text_that_is_not_utf8_is_refused_both_ways) {
    uint8_t bytes[32], out[32];
    for (int i = 0; low_torn(i); i++) {
        int size = (int)strlen(low_torn(i));
        wisp_value value = wisp_string(low_torn(i)), read;
        wisp_pair one = pair(low_torn(i), wisp_nil());
        wisp_value map = wisp_map(&one, 1), blob = wisp_bytes(low_torn(i), size);
        CHECK_EQ_INT(msgpack_encode(&value, out, 32), WISP_E_TYPE);
        CHECK_EQ_INT(msgpack_encode(&map, out, 32), WISP_E_TYPE);
        CHECK(comes_back(&blob));
        bytes[0] = (uint8_t)(0xa0 + size);
        memcpy(bytes + 1, low_torn(i), (size_t)size);
        CHECK_EQ_INT(decode(bytes, size + 1, &read), WISP_E_SYNTAX);
        memmove(bytes + 1, bytes, (size_t)size + 1);
        bytes[0] = 0x81;
        bytes[size + 2] = 0xc0;
        CHECK_EQ_INT(decode(bytes, size + 3, &read), WISP_E_SYNTAX);
    }
}

/* --- the interface --- */

TEST(the_codec_tells_its_name) {
    CHECK_EQ_STR(wisp_msgpack()->name, "msgpack");
    CHECK(wisp_msgpack() == wisp_msgpack());
}

TEST(strings_stand_in_memory_with_a_nul_and_bytes_in_the_message) {
    static const uint8_t message[] = { 0x92, 0xa2, 'h', 'i', 0xc4, 2, 7, 8 };
    wisp_value out = wisp_nil();
    CHECK_EQ_INT(wisp_msgpack()->decode(wisp_msgpack(), NULL, message, 8, &out,
                                        msgpack_memory.bytes,
                                        MSGPACK_MEMORY), 8);
    CHECK_EQ_STR(out.as.array[0].as.string, "hi");
    CHECK((const uint8_t *)(const void *)out.as.array[0].as.string >= msgpack_memory.bytes);
    CHECK((const uint8_t *)(const void *)out.as.array[0].as.string <
          msgpack_memory.bytes + MSGPACK_MEMORY);
    CHECK(out.as.array[1].as.bytes == message + 6);
}

TEST(memory_may_begin_at_any_address) {
    uint8_t bytes[64];
    int size = from_hex("93 a26869 82a16101a16202 8101c0", bytes);
    for (int shift = 0; shift < 16; shift++) {
        wisp_value out = wisp_nil();
        CHECK_EQ_INT(wisp_msgpack()->decode(wisp_msgpack(), NULL, bytes, size, &out,
                                            msgpack_memory.bytes + shift, size * PER_BYTE + 8),
                     size);
        if (!CHECK_EQ_INT(out.count, 3)) return;
        CHECK_EQ_STR(out.as.array[0].as.string, "hi");
        CHECK(((uintptr_t)(const void *)out.as.array & 7) == 0);
    }
}

TEST(values_without_lists_and_strings_need_no_memory) {
    static const char *const cases[] = { "c0", "c3", "ff", "cf8000000000000000", "ca00000000",
                                         "c40101", "90", "80", "d7010000000000000000",
                                         "d60700000000" };
    wisp_value out;
    for (int i = 0; i < TEST_COUNT(cases); i++) {
        uint8_t bytes[16];
        int size = from_hex(cases[i], bytes);
        CHECK_EQ_INT(wisp_msgpack()->decode(wisp_msgpack(), NULL, bytes, size, &out, NULL, 0),
                     size);
    }
    CHECK_EQ_INT(decode_in("\xa0", 1, &out, 0), WISP_E_MEMORY);
}

TEST(what_a_caller_gives_wrong_is_told) {
    const wisp_codec *codec = wisp_msgpack();
    wisp_value value = wisp_int(1);
    uint8_t bytes[4] = { 0xc0 };
    CHECK_EQ_INT(codec->encode(codec, NULL, NULL, bytes, 4), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->encode(codec, NULL, &value, NULL, 4), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->encode(codec, NULL, &value, bytes, -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->encode(codec, NULL, &value, NULL, 0), WISP_E_TOO_BIG);
    CHECK_EQ_INT(codec->decode(codec, NULL, NULL, 1, &value, bytes, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->decode(codec, NULL, bytes, -1, &value, bytes, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->decode(codec, NULL, bytes, 1, NULL, bytes, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->decode(codec, NULL, bytes, 1, &value, NULL, 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->decode(codec, NULL, bytes, 1, &value, bytes, -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->decode(codec, NULL, NULL, 0, &value, NULL, 0), WISP_E_SYNTAX);
}

TEST(values_that_make_no_sense_are_told) {
    static const wisp_kind counted[] = { WISP_STRING, WISP_BYTES, WISP_ARRAY, WISP_MAP };
    uint8_t out[64];
    wisp_value value, entries[1], two[2];
    wisp_pair pairs[2];
    for (int i = 0; i < TEST_COUNT(counted); i++) {
        value = wisp_nil();
        value.kind = counted[i];
        value.count = 1;
        CHECK_EQ_INT(msgpack_encode(&value, out, 64), WISP_E_ARGUMENT);
        two[0] = two[1] = value;
        entries[0] = wisp_array(two, 2);
        pairs[0] = pair("$map", value);
        CHECK_EQ_INT(msgpack_encode(&entries[0], out, 64), WISP_E_ARGUMENT);
        value.count = -1;
        CHECK_EQ_INT(msgpack_encode(&value, out, 64), WISP_E_ARGUMENT);
        value = wisp_map(pairs, 1);
        CHECK_EQ_INT(msgpack_encode(&value, out, 64), WISP_E_ARGUMENT);
        pairs[0].value = wisp_array(entries, 1);
        CHECK_EQ_INT(msgpack_encode(&value, out, 64), WISP_E_ARGUMENT);
    }
    value = extension(pairs, 9, NULL, 4);
    CHECK_EQ_INT(msgpack_encode(&value, out, 64), WISP_E_ARGUMENT);
    pairs[0] = pair(NULL, wisp_nil());
    CHECK_EQ_INT(msgpack_encode(&value, out, 64), WISP_E_ARGUMENT);
    value.count = 1;
    CHECK_EQ_INT(msgpack_encode(&value, out, 64), WISP_E_ARGUMENT);
    value = wisp_nil();
    value.kind = (wisp_kind)31;
    CHECK_EQ_INT(msgpack_encode(&value, out, 64), WISP_E_TYPE);
}

TEST(entries_of_two_with_nothing_behind_them_are_told) {
    uint8_t out[64];
    wisp_value entries[1], value;
    wisp_pair one;
    entries[0] = wisp_array(NULL, 2);
    one = pair("$map", wisp_array(entries, 1));
    value = wisp_map(&one, 1);
    CHECK_EQ_INT(msgpack_encode(&value, out, 64), WISP_E_ARGUMENT);
}

static const test_case tests[] = {
    CASE(every_first_byte_begins_what_the_format_says),
    CASE(the_byte_that_is_never_used_is_no_value),
    CASE(nil_and_bools_take_one_byte),
    CASE(positive_integers_take_the_smallest_unsigned_form),
    CASE(negative_integers_take_the_smallest_signed_form),
    CASE(integers_are_read_from_larger_forms_too),
    CASE(integers_are_read_as_int_where_they_fit),
    CASE(floats_keep_every_bit),
    CASE(numbers_keep_every_bit_and_eight_bytes),
    CASE(strings_take_the_smallest_head),
    CASE(keys_take_the_smallest_head),
    CASE(bytes_take_the_smallest_head),
    CASE(arrays_take_the_smallest_head),
    CASE(maps_take_the_smallest_head),
    CASE(exts_take_the_smallest_head),
    CASE(lengths_are_read_from_larger_forms_too),
    CASE(kinds_of_floats_are_exts_1_to_6),
    CASE(kinds_of_floats_are_read_from_larger_heads_too),
    CASE(parts_of_kinds_keep_every_bit),
    CASE(objects_are_ext_7),
    CASE(exts_of_kinds_with_a_wrong_size_are_maps),
    CASE(every_other_ext_is_a_map),
    CASE(structs_are_maps_and_their_arrays_arrays),
    CASE(fields_that_are_missing_are_not_written),
    CASE(timestamps_take_the_smallest_form),
    CASE(timestamps_are_read_from_larger_forms_too),
    CASE(more_nanoseconds_than_a_second_has_are_refused),
    CASE(exts_that_say_a_time_that_cannot_be_read_are_not_written),
    CASE(maps_that_are_nearly_a_stand_in_are_plain),
    CASE(maps_with_other_keys_than_strings_are_lists_of_entries),
    CASE(keys_with_a_nul_inside_are_entries_too),
    CASE(entries_keep_equal_keys),
    CASE(entries_with_plain_keys_are_read_as_a_plain_map),
    CASE(maps_that_are_nearly_entries_are_plain),
    CASE(of_equal_keys_the_last_wins_in_the_place_of_the_first),
    CASE(equal_keys_among_many_are_found),
    CASE(equal_keys_cost_no_more_than_sorting),
    CASE(lists_are_read_256_deep),
    CASE(stand_ins_count_as_the_maps_that_they_are),
    CASE(a_map_is_not_as_deep_as_its_neighbours),
    CASE(values_nested_deeper_than_256_are_not_written),
    CASE(random_values_come_back_from_msgpack),
    CASE(a_value_that_ends_early_is_refused_at_every_byte),
    CASE(every_memory_is_enough_or_refused),
    CASE(every_capacity_is_enough_or_refused_and_never_passed),
    CASE(several_values_stand_one_after_another),
    CASE(bytes_that_were_changed_are_refused_or_make_sense),
    CASE(lengths_beyond_the_end_cost_nothing),
    CASE(lists_in_lists_do_not_count_the_same_bytes_twice),
    CASE(the_dearest_message_needs_no_more_memory_than_is_promised),
    CASE(text_that_is_not_utf8_is_refused_both_ways),
    CASE(the_codec_tells_its_name),
    CASE(strings_stand_in_memory_with_a_nul_and_bytes_in_the_message),
    CASE(memory_may_begin_at_any_address),
    CASE(values_without_lists_and_strings_need_no_memory),
    CASE(what_a_caller_gives_wrong_is_told),
    CASE(values_that_make_no_sense_are_told),
    CASE(entries_of_two_with_nothing_behind_them_are_told),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
