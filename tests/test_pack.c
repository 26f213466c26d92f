/* test_pack.c - values packed and unpacked, refused, and torn to pieces */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/packed_values.h"

static int values_in(const wisp_value *values, int count) {
    int sum = count;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < values[i].count; k++) {
            const wisp_value *inner = wisp_element_of(&values[i], k);
            if (inner) sum += values_in(inner, 1);
        }
    return sum;
}

/* Packed and unpacked, they are the same bit by bit, and both bit strings are used up. */
static bool pack_bench_round(bench *b, const wisp_value *values, int count) {
    wisp__reader shape;
    int failures = test_now()->failures;
    if (!CHECK_EQ_INT(bench_pack(b, values, count), WISP_OK)) return false;
    CHECK_EQ_INT(b->packer.values, values_in(values, count));
    if (!CHECK_EQ_INT(bench_unpack(b), WISP_OK)) return false;
    if (!CHECK_EQ_INT(b->count, count)) return false;
    CHECK_EQ_INT(b->shape_end, b->shape_bits);
    CHECK_EQ_INT(b->data_end, b->data_bits);
    CHECK_EQ_INT(b->values_left, b->base.limits.message_values - values_in(values, count));
    for (int i = 0; i < count; i++) {
        CHECK(low_same(&values[i], &b->values[i]));
        CHECK(wisp_equal(&values[i], &b->values[i]));
        CHECK(wisp_hash(&values[i]) == wisp_hash(&b->values[i]));
    }
    shape = wisp__reader_on(b->shape, b->shape_bytes);
    wisp__skip_shape(&shape);
    CHECK(!shape.failed);
    CHECK_EQ_INT(shape.at, b->shape_bits);
    return test_now()->failures == failures;
}

static bool round_one(bench *b, wisp_value value) { return pack_bench_round(b, &value, 1); }

/* --- each kind --- */

TEST(integers_of_every_size_come_back) {
    bench b;
    bench_start(&b);
    for (int bit = 0; bit < 64; bit++)
        for (int off = -1; off <= 1; off++) {
            uint64_t n = (UINT64_C(1) << bit) + (uint64_t)(int64_t)off;
            CHECK(round_one(&b, wisp_uint(n)));
            CHECK(round_one(&b, wisp_int(wisp__unzigzag(n))));
        }
    CHECK(round_one(&b, wisp_int(INT64_MIN)));
    CHECK(round_one(&b, wisp_int(INT64_MAX)));
    CHECK(round_one(&b, wisp_uint(UINT64_MAX)));
    bench_end(&b);
}

TEST(zigzag_keeps_small_sizes_small) {
    CHECK(wisp__zigzag(0) == 0 && wisp__zigzag(-1) == 1 && wisp__zigzag(1) == 2);
    CHECK(wisp__zigzag(INT64_MAX) == UINT64_MAX - 1 && wisp__zigzag(INT64_MIN) == UINT64_MAX);
    for (uint64_t n = 0; n < 1000; n++) CHECK(wisp__zigzag(wisp__unzigzag(n)) == n);
    CHECK(wisp__unzigzag(UINT64_MAX) == INT64_MIN);
}

TEST(small_integers_take_few_bits) {
    static const int wanted[][2] = { { 0, 7 }, { 7, 7 }, { 8, 11 }, { 127, 11 }, { 128, 15 },
                                     { 2047, 15 }, { 2048, 19 }, { 32768, 27 }, { 1 << 23, 35 } };
    bench b;
    bench_start(&b);
    for (int i = 0; i < (int)(sizeof wanted / sizeof *wanted); i++) {
        CHECK(round_one(&b, wisp_int(wanted[i][0])));
        CHECK_EQ_INT(b.data_bits, wanted[i][1]);
        CHECK_EQ_INT(b.shape_bits, 8);
    }
    bench_end(&b);
}

static double from_bits(uint64_t bits) {
    double number;
    memcpy(&number, &bits, 8);
    return number;
}

TEST(every_double_comes_back_bit_by_bit) {
    static const uint64_t bits[] = {
        0, UINT64_C(0x8000000000000000), 1, UINT64_C(0x7ff0000000000000),
        UINT64_C(0xfff0000000000000), UINT64_C(0x7ff8000000000000), UINT64_C(0xfff8000000abcdef),
        UINT64_C(0x7fefffffffffffff), UINT64_C(0x0010000000000000), UINT64_C(0x000fffffffffffff),
        UINT64_C(0x47efffffe0000000), UINT64_C(0x36a0000000000000), UINT64_C(0x3690000000000000),
        UINT64_C(0x42e0000000000000), UINT64_C(0x42e0000000000001), UINT64_C(0xc2e0000000000000),
    };
    uint64_t seed = 5;
    bench b;
    bench_start(&b);
    for (int i = 0; i < (int)(sizeof bits / sizeof *bits); i++)
        CHECK(round_one(&b, wisp_number(from_bits(bits[i]))));
    for (int i = 0; i < 2000; i++) {
        double number = from_bits(test_random(&seed) & ~(UINT64_C(1) << 62));   /* no NaN */
        CHECK(round_one(&b, wisp_number(number)));
    }
    bench_end(&b);
}

TEST(every_float_comes_back_bit_by_bit) {
    static const uint32_t bits[] = {
        0, 0x80000000, 1, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345, 0x7f7fffff, 0x00800000,
        0x4b800000, 0x4b800001, 0xcb800000, 0x4b000000, 0x4affffff, 0x3f800000
    };
    uint64_t seed = 6;
    bench b;
    bench_start(&b);
    for (int i = 0; i < (int)(sizeof bits / sizeof *bits); i++)
        CHECK(round_one(&b, wisp_float(wisp__bits_float(bits[i]))));
    for (int i = 0; i < 2000; i++) {
        float number = wisp__bits_float((uint32_t)test_random(&seed) & 0xbfffffff);
        CHECK(round_one(&b, wisp_float(number)));
    }
    bench_end(&b);
}

TEST(numbers_that_are_short_take_few_bits) {
    bench b;
    bench_start(&b);
    CHECK(round_one(&b, wisp_number(100)));
    CHECK_EQ_INT(b.data_bits, 2 + 3 + 8);
    CHECK(round_one(&b, wisp_number(0.5)));
    CHECK_EQ_INT(b.data_bits, 2 + 32);
    CHECK(round_one(&b, wisp_number(0.1)));
    CHECK_EQ_INT(b.data_bits, 2 + 64);
    CHECK(round_one(&b, wisp_float(-3)));
    CHECK_EQ_INT(b.data_bits, 1 + 3 + 4);
    CHECK(round_one(&b, wisp_float(0.1f)));
    CHECK_EQ_INT(b.data_bits, 1 + 32);
    bench_end(&b);
}

TEST(colors_of_bytes_take_bytes_and_others_come_back_too) {
    bench b;
    bench_start(&b);
    for (int i = 0; i < 256; i++) {
        float part = (float)(i / 255.0), next = wisp__bits_float(wisp__float_bits(part) + 1);
        CHECK(round_one(&b, wisp_color4(part, 0, 1, 1)));
        CHECK_EQ_INT(b.data_bits, 33);
        CHECK(round_one(&b, wisp_color4(0, next, 0, 1)));
        CHECK_EQ_INT(b.data_bits, 129);
    }
    CHECK(round_one(&b, wisp_color4(-0.0f, 0, 0, 1)));
    CHECK(round_one(&b, wisp_color4(2, -1, 1e30f, (float)low_nan())));
    bench_end(&b);
}

TEST(vectors_come_back) {
    wisp_vec3 position = { 1.5f, -2.25f, 1e-40f };
    wisp_quat rotation = { 0.5f, -0.5f, 0.5f, -0.0f };
    bench b;
    bench_start(&b);
    CHECK(round_one(&b, wisp_vec2v(1, -0.0f)));
    CHECK_EQ_INT(b.data_bits, 64);
    CHECK(round_one(&b, wisp_vec3v(1, 2, (float)low_nan())));
    CHECK(round_one(&b, wisp_vec4v(1, 2, 3, 4)));
    CHECK(round_one(&b, wisp_quatv(0, 0, 0, 1)));
    CHECK(round_one(&b, wisp_transformv(position, rotation)));
    CHECK_EQ_INT(b.data_bits, 224);
    CHECK(round_one(&b, wisp_nil()));
    CHECK_EQ_INT(b.data_bits, 0);
    CHECK(round_one(&b, wisp_bool(true)));
    CHECK(round_one(&b, wisp_bool(false)));
    bench_end(&b);
}

TEST(text_of_any_bytes_comes_back_and_ends_in_nul) {
    char text[300];
    uint64_t seed = 12;
    bench b;
    bench_start(&b);
    low_random_bytes(&seed, text, sizeof text);
    text[10] = text[20] = 0;
    for (int size = 0; size < 300; size += size < 20 ? 1 : 37)
        for (int ahead = 0; ahead < 9; ahead++) {      /* bools ahead: the text is not aligned */
            wisp_value values[10];
            for (int i = 0; i < ahead; i++) values[i] = wisp_bool(i & 1);
            values[ahead] = wisp_string_n(text, size);
            if (!pack_bench_round(&b, values, ahead + 1)) break;
            CHECK_EQ_INT(b.values[ahead].as.string[size], 0);
            values[ahead] = wisp_bytes(text, size);
            CHECK(pack_bench_round(&b, values, ahead + 1));
        }
    CHECK(round_one(&b, wisp_string("")));
    CHECK(b.values[0].as.string != NULL);
    CHECK(round_one(&b, wisp_string_n(NULL, 0)));
    CHECK(round_one(&b, wisp_bytes(NULL, 0)));
    bench_end(&b);
}

/* With the limits as they are when nobody sets them. */
TEST(a_megabyte_of_text_comes_back) {
    enum { MEGABYTE = 1 << 20 };
    char *text = (char *)malloc(MEGABYTE);
    uint64_t seed = 13;
    bench b;
    bench_start(&b);
    if (!CHECK(text != NULL)) return;
    low_random_bytes(&seed, text, MEGABYTE);
    CHECK(round_one(&b, wisp_string_n(text, MEGABYTE)));
    CHECK(round_one(&b, wisp_bytes(text, MEGABYTE)));
    CHECK(round_one(&b, wisp_string_n(text, MEGABYTE - 1)));
    free(text);
    bench_end(&b);
}

/* --- objects and structs --- */

static wisp_pair pack_pair(const char *key, wisp_value value) {
    wisp_pair made;
    made.key = key;
    made.value = value;
    return made;
}

static wisp_value pack_object_of(uint32_t id) {
    wisp_object object = { 0 };
    object.id = id;
    return wisp_reference(object);
}

/* values:4, the code 15 and a zero; the id as an integer */
TEST(objects_have_their_golden_bits_and_come_back) {
    bench b;
    bench_start(&b);
    CHECK(round_one(&b, pack_object_of(5)));
    CHECK_EQ_INT(b.shape_bits, 9);
    CHECK_EQ_INT(b.data_bits, 7);
    CHECK_EQ_INT(b.shape[0], 0xf1);
    CHECK_EQ_INT(b.shape[1], 0);
    CHECK_EQ_INT(b.data[0], 5 << 3);
    for (int bit = 0; bit < 32; bit++) CHECK(round_one(&b, pack_object_of(UINT32_C(1) << bit)));
    CHECK(round_one(&b, pack_object_of(0)));
    CHECK(round_one(&b, pack_object_of(UINT32_MAX)));
    CHECK_EQ_INT(b.data_bits, 3 + 32);
    bench_end(&b);
}

TEST(objects_in_lists_come_back) {
    wisp_value items[6];
    wisp_pair pairs[2];
    bench b;
    bench_start(&b);
    for (int i = 0; i < 6; i++) items[i] = pack_object_of((uint32_t)i * 1000);
    CHECK(round_one(&b, wisp_array(items, 6)));
    CHECK_EQ_INT(b.shape_bits, 4 + 5 + 4 + 1 + 5);
    items[3] = wisp_int(3);
    CHECK(round_one(&b, wisp_array(items, 6)));
    pairs[0] = pack_pair("a", items[0]);
    pairs[1] = pack_pair("b", wisp_array(items, 6));
    CHECK(round_one(&b, wisp_map(pairs, 2)));
    bench_end(&b);
}

typedef struct spot { int16_t x, y; float heat[2]; uint8_t used; uint8_t bytes[4]; } spot;
static const wisp_type heat_type = WISP_T_FLOAT;
static const wisp_field spot_fields[] = {
    WISP_FIELD(spot, x, WISP_T_INTEGER),
    WISP_FIELD(spot, y, WISP_T_INTEGER),
    WISP_FIELD(spot, heat, WISP_T_ARRAY(&heat_type, 2)),
    WISP_COUNTED_FIELD(spot, bytes, used, WISP_T_BYTES(4)),
};
static const wisp_schema spot_schema = WISP_SCHEMA(spot, 1, spot_fields);

/* Packs both; the same shape and the same data, bit by bit. */
static bool packs_alike(const wisp_value *a, const wisp_value *b_value) {
    bench a_bench, b_bench;
    bool alike;
    bench_start(&a_bench);
    bench_start(&b_bench);
    alike = CHECK_EQ_INT(bench_pack(&a_bench, a, 1), WISP_OK) &&
            CHECK_EQ_INT(bench_pack(&b_bench, b_value, 1), WISP_OK) &&
            CHECK_EQ_INT(a_bench.shape_bits, b_bench.shape_bits) &&
            CHECK_EQ_INT(a_bench.data_bits, b_bench.data_bits) &&
            CHECK_EQ_MEM(a_bench.shape, b_bench.shape, (a_bench.shape_bits + 7) / 8) &&
            CHECK_EQ_MEM(a_bench.data, b_bench.data, (a_bench.data_bits + 7) / 8) &&
            CHECK_EQ_INT(bench_unpack(&a_bench), WISP_OK) &&
            CHECK(wisp_equal(&a_bench.values[0], a)) &&
            CHECK(wisp_hash(&a_bench.values[0]) == wisp_hash(a)) &&
            CHECK(low_same(&a_bench.values[0], b_value));
    bench_end(&a_bench);
    bench_end(&b_bench);
    return alike;
}

TEST(structs_pack_as_the_maps_they_are) {
    static uint64_t memory[512];
    spot spots[3];
    wisp_value alone, items[3], array, map, as_map;
    wisp_pair pairs[2];
    memset(spots, 0, sizeof spots);
    for (int i = 0; i < 3; i++) {
        spots[i].x = (int16_t)(i - 1);
        spots[i].heat[1] = 0.5f;
        spots[i].used = 2;
        items[i] = wisp_struct(&spot_schema, &spots[i]);
    }
    alone = items[0];
    array = wisp_array(items, 3);
    pairs[0] = pack_pair("list", array);
    pairs[1] = pack_pair("one", alone);
    map = wisp_map(pairs, 2);
    CHECK_EQ_INT(wisp_as_map(&alone, &as_map, memory, sizeof memory), WISP_OK);
    CHECK(packs_alike(&alone, &as_map));
    CHECK_EQ_INT(wisp_as_map(&array, &as_map, memory, sizeof memory), WISP_OK);
    CHECK(packs_alike(&array, &as_map));
    CHECK_EQ_INT(wisp_as_map(&map, &as_map, memory, sizeof memory), WISP_OK);
    CHECK(packs_alike(&map, &as_map));
}

/* --- many, and lists --- */

TEST(messages_of_0_1_16_and_1000_values_come_back) {
    static const int counts[] = { 0, 1, 7, 8, 16, 63, 64, 1000 };
    static wisp_value values[1000];
    bench b;
    bench_start(&b);
    for (int i = 0; i < 1000; i++) {
        if (i % 3 == 0) values[i] = wisp_int(i * i);
        else values[i] = i % 3 == 1 ? wisp_bool(i & 1) : wisp_string("text");
    }
    for (int i = 0; i < 8; i++) CHECK(pack_bench_round(&b, values, counts[i]));
    CHECK_EQ_INT(bench_pack(&b, NULL, 0), WISP_OK);
    bench_end(&b);
}

TEST(arrays_of_one_kind_name_it_once) {
    wisp_value items[100];
    bench b;
    bench_start(&b);
    for (int i = 0; i < 100; i++) items[i] = wisp_int(i - 50);
    CHECK(round_one(&b, wisp_array(items, 100)));
    CHECK_EQ_INT(b.shape_bits, 4 + 5 + 12 + 1 + 4);
    for (int i = 0; i < 100; i++) items[i] = wisp_nil();
    CHECK(round_one(&b, wisp_array(items, 100)));
    CHECK_EQ_INT(b.data_bits, 100);
    items[99] = wisp_bool(true);
    CHECK(round_one(&b, wisp_array(items, 100)));
    CHECK_EQ_INT(b.shape_bits, 4 + 5 + 12 + 1 + 400);
    CHECK(round_one(&b, wisp_array(items, 1)));
    CHECK(round_one(&b, wisp_array(NULL, 0)));
    CHECK(round_one(&b, wisp_map(NULL, 0)));
    bench_end(&b);
}

TEST(records_in_an_array_name_their_fields_once) {
    enum { RECORDS = 20 };
    wisp_pair pairs[RECORDS][4];
    wisp_value items[RECORDS], pockets[RECORDS][2];
    int64_t shape_of_one;
    bench b;
    bench_start(&b);
    for (int i = 0; i < RECORDS; i++) {
        pockets[i][0] = wisp_int(i);
        pockets[i][1] = wisp_int(-i);
        pairs[i][0] = pack_pair("hp", wisp_int(i));
        pairs[i][1] = pack_pair("", wisp_nil());
        pairs[i][2] = pack_pair("a name of some length", wisp_string(i & 1 ? "odd" : ""));
        pairs[i][3] = pack_pair("pockets", wisp_array(pockets[i], 2));
        items[i] = wisp_map(pairs[i], 4);
    }
    CHECK(round_one(&b, wisp_array(items, 1)));
    shape_of_one = b.shape_bits;
    CHECK(round_one(&b, wisp_array(items, RECORDS)));
    CHECK_EQ_INT(b.shape_bits, shape_of_one + 4);       /* a longer count */
    pairs[7][0].key = "HP";
    CHECK(round_one(&b, wisp_array(items, RECORDS)));
    CHECK(b.shape_bits > RECORDS / 2 * shape_of_one);
    bench_end(&b);
}

TEST(bytes_of_one_length_are_alike_and_others_are_not) {
    wisp_value items[3];
    bench b;
    bench_start(&b);
    for (int i = 0; i < 3; i++) items[i] = wisp_bytes(&"abcdef"[i], 3);
    CHECK(round_one(&b, wisp_array(items, 3)));
    items[1] = wisp_bytes("ab", 2);
    CHECK(round_one(&b, wisp_array(items, 3)));
    for (int i = 0; i < 3; i++) items[i] = wisp_bytes("", 0);
    CHECK(round_one(&b, wisp_array(items, 3)));
    bench_end(&b);
}

TEST(random_trees_come_back) {
    static low_values v;
    wisp_value values[6];
    bench b;
    bench_start(&b);
    for (uint64_t seed = 0; seed < 800; seed++) {
        int count = (int)(seed % 6);
        low_values_start(&v, seed, 1 + (int)(seed % 7));
        for (int i = 0; i < count; i++) values[i] = low_value(&v);
        if (!pack_bench_round(&b, values, count)) {
            CHECK_EQ_INT(seed, -1);     /* tells which */
            break;
        }
    }
    bench_end(&b);
}

/* Shape and data in one bit string, not on a byte: as bound messages stand in a packet. */
TEST(a_message_can_stand_anywhere_in_a_packet) {
    static low_values v;
    bench b;
    bench_start(&b);
    for (int shift = 0; shift < 16; shift++) {
        wisp_value values[3];
        uint8_t *bytes;
        wisp__writer to;
        wisp__reader shape, data;
        wisp__unpacker u;
        int size;
        low_values_start(&v, (uint64_t)shift, 4);
        for (int i = 0; i < 3; i++) values[i] = low_value(&v);
        if (!CHECK_EQ_INT(wisp__pack(&b.packer, values, 3), WISP_OK)) break;
        size = (int)((b.packer.shape.at + b.packer.data.at + shift + 7) / 8);
        bytes = (uint8_t *)malloc((size_t)size + WISP__SLACK);
        to = wisp__writer_on(bytes, size);
        wisp__put(&to, 0, shift);
        wisp__put_bits(&to, b.packer.shape.bytes, b.packer.shape.at);
        wisp__put_bits(&to, b.packer.data.bytes, b.packer.data.at);
        CHECK(!to.full);
        shape = data = wisp__reader_on(bytes, size);
        shape.at = data.at = shift;
        wisp__skip_shape(&data);
        memset(&u, 0, sizeof u);
        u.base = &b.base;
        u.arena = &b.arena;
        u.shape = &shape;
        u.data = &data;
        u.values = 65536;
        wisp__arena_reset(&b.arena);
        CHECK_EQ_INT(wisp__unpack(&u, &b.values, &b.count), WISP_OK);
        CHECK_EQ_INT(b.count, 3);
        for (int i = 0; i < b.count; i++) CHECK(low_same(&values[i], &b.values[i]));
        CHECK_EQ_INT(data.at, to.at);
        free(bytes);
    }
    bench_end(&b);
}

/* --- refused --- */

/* `levels` lists, one in another; the innermost holds `inmost`. */
static wisp_value pack_nested(wisp_value *items, wisp_pair *pairs, int levels, wisp_value inmost,
                              uint64_t maps) {
    wisp_value value = inmost;
    for (int i = 0; i < levels; i++) {
        items[i] = value;
        pairs[i] = pack_pair("k", value);
        value = maps >> (i & 63) & 1 ? wisp_map(&pairs[i], 1) : wisp_array(&items[i], 1);
    }
    return value;
}

TEST(what_is_packed_can_be_unpacked_at_every_depth) {
    wisp_value items[300];
    wisp_pair pairs[300];
    bench b;
    bench_start(&b);
    for (int nesting = 1; nesting <= 16; nesting += 5)
        for (int levels = nesting - 1; levels <= nesting + 2; levels++)
            for (uint64_t maps = 0; maps < 4; maps++)
                for (int inmost = 0; inmost < 3; inmost++) {
                    wisp_value last = inmost == 0 ? wisp_nil() : inmost == 1 ?
                                      wisp_array(NULL, 0) : wisp_map(NULL, 0);
                    int depth = levels + (inmost > 0);
                    wisp_value value = pack_nested(items, pairs, levels, last, maps * 0x5555);
                    b.base.limits.nesting = nesting;
                    if (depth <= nesting) CHECK(round_one(&b, value));
                    else CHECK_EQ_INT(bench_pack(&b, &value, 1), WISP_E_DEPTH);
                }
    b.base.limits.nesting = 256;
    CHECK(round_one(&b, pack_nested(items, pairs, 256, wisp_int(1), 0)));
    CHECK(round_one(&b, pack_nested(items, pairs, 256, wisp_int(1), UINT64_MAX)));
    bench_end(&b);
}

TEST(what_comes_in_too_deep_is_refused) {
    wisp_value items[300];
    wisp_pair pairs[300];
    bench b;
    bench_start(&b);
    for (int levels = 17; levels <= 257; levels += 48)
        for (int maps = 0; maps < 2; maps++) {
            wisp_value value = pack_nested(items, pairs, levels, wisp_nil(), maps ? UINT64_MAX : 0);
            b.base.limits.nesting = 257;
            CHECK_EQ_INT(bench_pack(&b, &value, 1), WISP_OK);
            b.base.limits.nesting = 16;
            CHECK_EQ_INT(bench_unpack(&b), WISP_E_DEPTH);
        }
    bench_end(&b);
}

static wisp_value with_count(wisp_value value, int count) {
    value.count = count;
    return value;
}

static wisp_value with_kind(wisp_value value, int kind) {
    value.kind = (wisp_kind)kind;
    return value;
}

TEST(mistakes_of_the_caller_have_codes) {
    wisp_value inner, ok = wisp_int(1);
    wisp_pair no_key = pack_pair(NULL, wisp_int(1)), bad;
    wisp_value wrong[12];
    static const wisp_result codes[] = {
        WISP_E_ARGUMENT, WISP_E_ARGUMENT, WISP_E_ARGUMENT, WISP_E_ARGUMENT, WISP_E_ARGUMENT,
        WISP_E_ARGUMENT, WISP_E_ARGUMENT, WISP_E_ARGUMENT, WISP_E_ARGUMENT, WISP_E_TYPE,
        WISP_E_ARGUMENT, WISP_E_ARGUMENT
    };
    bench b;
    bench_start(&b);
    wrong[0] = with_count(wisp_string("x"), -1);
    wrong[1] = wisp_string_n(NULL, 1);
    wrong[2] = wisp_bytes(NULL, 5);
    wrong[3] = wisp_bytes("", -5);
    wrong[4] = wisp_array(NULL, 1);
    wrong[5] = wisp_array(&ok, -1);
    wrong[6] = wisp_map(NULL, 1);
    wrong[7] = wisp_map(&no_key, -1);
    wrong[8] = wisp_map(&no_key, 1);
    wrong[9] = with_kind(ok, WISP_STRUCT + 1);
    wrong[10] = with_count(wisp_string("x"), INT32_MIN);
    wrong[11] = wisp_array(&ok, INT32_MIN);
    for (int i = 0; i < 12; i++) {
        wisp_value two[2];
        two[0] = ok, two[1] = wrong[i];
        CHECK_EQ_INT(bench_pack(&b, &wrong[i], 1), codes[i]);
        CHECK_EQ_INT(bench_pack(&b, two, 2), codes[i]);
        inner = wisp_array(two, 2);
        CHECK_EQ_INT(bench_pack(&b, &inner, 1), codes[i]);
        bad = pack_pair("k", wrong[i]);
        inner = wisp_map(&bad, 1);
        CHECK_EQ_INT(bench_pack(&b, &inner, 1), codes[i]);
        CHECK(pack_bench_round(&b, &ok, 1));
    }
    CHECK_EQ_INT(bench_pack(&b, NULL, 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(bench_pack(&b, &ok, -1), WISP_E_ARGUMENT);
    bench_end(&b);
}

TEST(too_many_values_are_refused_on_both_sides) {
    enum { MOST = 50 };
    static wisp_value items[2 * MOST];
    static wisp_pair pairs[MOST + 1];
    wisp_value two[2];
    bench b;
    bench_start(&b);
    for (int i = 0; i < 2 * MOST; i++) items[i] = wisp_int(i);
    for (int i = 0; i <= MOST; i++) pairs[i] = pack_pair(i & 1 ? "a" : "b", wisp_nil());
    b.base.limits.message_values = MOST;
    b.base.limits.map_pairs = MOST / 2;
    CHECK(pack_bench_round(&b, items, MOST));
    CHECK_EQ_INT(bench_pack(&b, items, MOST + 1), WISP_E_LIMIT);
    CHECK(round_one(&b, wisp_array(items, MOST - 1)));
    two[0] = wisp_array(items, MOST);
    CHECK_EQ_INT(bench_pack(&b, two, 1), WISP_E_LIMIT);
    two[0] = wisp_array(items, MOST / 2), two[1] = wisp_array(items, MOST / 2 - 1);
    CHECK_EQ_INT(bench_pack(&b, two, 2), WISP_E_LIMIT);
    two[0] = wisp_array(items, INT32_MAX);
    CHECK_EQ_INT(bench_pack(&b, two, 1), WISP_E_LIMIT);
    CHECK_EQ_INT(bench_pack(&b, items, INT32_MAX), WISP_E_LIMIT);
    two[0] = wisp_map(pairs, MOST / 2 + 1);
    CHECK_EQ_INT(bench_pack(&b, two, 1), WISP_E_LIMIT);
    two[0] = wisp_map(pairs, INT32_MAX);
    CHECK_EQ_INT(bench_pack(&b, two, 1), WISP_E_LIMIT);
    b.base.limits.message_values = b.base.limits.map_pairs = 2 * MOST;
    two[0] = wisp_map(pairs, MOST / 2 + 1);
    CHECK_EQ_INT(bench_pack(&b, two, 1), WISP_OK);
    b.base.limits.map_pairs = MOST / 2;
    CHECK_EQ_INT(bench_unpack(&b), WISP_E_LIMIT);
    two[0] = wisp_array(items, MOST);
    CHECK_EQ_INT(bench_pack(&b, two, 1), WISP_OK);
    b.base.limits.message_values = MOST;
    CHECK_EQ_INT(bench_unpack(&b), WISP_E_LIMIT);
    bench_end(&b);
}

/* Text as long as the limit fits, with what goes around it. */
TEST(a_message_too_big_is_refused) {
    enum { MOST = 1000 };
    static char text[2 * MOST + 1];
    wisp_value two[2], items[200];
    wisp_pair key;
    bench b;
    bench_start(&b);
    memset(text, 'x', 2 * MOST);
    b.base.limits.message_bytes = MOST;
    CHECK(round_one(&b, wisp_string_n(text, MOST)));
    CHECK(round_one(&b, wisp_bytes(text, MOST)));
    two[0] = wisp_string_n(text, MOST + 1);
    CHECK_EQ_INT(bench_pack(&b, two, 1), WISP_E_TOO_BIG);
    two[0] = two[1] = wisp_bytes(text, MOST / 2 + 1);
    CHECK_EQ_INT(bench_pack(&b, two, 2), WISP_E_TOO_BIG);
    two[0] = with_count(wisp_string_n(text, 1), INT32_MAX);
    CHECK_EQ_INT(bench_pack(&b, two, 1), WISP_E_TOO_BIG);
    key = pack_pair(text, wisp_nil());
    two[0] = wisp_map(&key, 1);
    CHECK_EQ_INT(bench_pack(&b, two, 1), WISP_E_TOO_BIG);
    for (int i = 0; i < 200; i++) items[i] = wisp_uint(UINT64_MAX);
    CHECK(pack_bench_round(&b, items, 100));
    CHECK_EQ_INT(bench_pack(&b, items, 200), WISP_E_TOO_BIG);
    CHECK(round_one(&b, wisp_int(1)));
    bench_end(&b);
}

TEST(a_message_too_big_takes_no_memory_for_it) {
    enum { LONG = 1 << 20, MOST = 1 << 16 };
    static wisp_value values[200];
    char *text = (char *)malloc(LONG + 1);
    wisp_pair key;
    bench b;
    bench_start(&b);
    if (!CHECK(text != NULL)) return;
    memset(text, 'x', LONG);
    text[LONG] = 0;
    b.base.limits.message_bytes = MOST;
    for (int i = 0; i < 200; i++) values[i] = wisp_string_n(text, MOST);
    CHECK_EQ_INT(bench_pack(&b, values, 200), WISP_E_TOO_BIG);
    CHECK(b.memory.largest < 4 * MOST);
    key = pack_pair(text, wisp_nil());
    values[0] = wisp_map(&key, 1);
    CHECK_EQ_INT(bench_pack(&b, values, 1), WISP_E_TOO_BIG);
    CHECK(b.memory.largest < 4 * MOST);
    free(text);
    bench_end(&b);
}

/* What is measured ahead must be enough for what is written: many of one kind, up to the brim. */
TEST(the_measure_holds_for_every_kind) {
    enum { MANY = 4000 };
    static wisp_value items[MANY];
    wisp_value most[10];
    wisp_vec3 position = { 0.1f, 0.1f, 0.1f };
    wisp_quat rotation = { 0.1f, 0.1f, 0.1f, 0.1f };
    bench b;
    most[0] = wisp_int(INT64_MIN);
    most[1] = wisp_uint(UINT64_MAX);
    most[2] = wisp_float(16777216.0f);
    most[3] = wisp_float(0.1f);
    most[4] = wisp_number(0.1);
    most[5] = wisp_number(-140737488355328.0);
    most[6] = wisp_transformv(position, rotation);
    most[7] = wisp_color4(0.1234f, 1, 1, 1);
    most[8] = wisp_string("a");
    most[9] = wisp_array(NULL, 0);
    for (int kind = 0; kind < 10; kind++) {
        for (int i = 0; i < MANY; i++) items[i] = most[kind];
        for (int count = 1; count < MANY; count += 1 + count / 16) {
            wisp_value array = wisp_array(items, count);
            bench_start(&b);        /* anew, so that no larger buffer is there */
            if (!CHECK_EQ_INT(bench_pack(&b, &array, 1), WISP_OK)) count = MANY;
            bench_end(&b);
        }
    }
}

TEST(without_memory_packing_and_unpacking_say_so) {
    static low_values v;
    wisp_value values[4];
    bench b;
    int packed = 0, unpacked = 0;
    low_values_start(&v, 2, 6);
    for (int i = 0; i < 4; i++) values[i] = low_value(&v);
    for (int fail = 0; fail < 40 && !unpacked; fail++) {
        wisp_result result;
        bench_start(&b);
        b.memory.fail_after = fail;
        result = bench_pack(&b, values, 4);
        CHECK(result == WISP_OK || result == WISP_E_MEMORY);
        if (!result) {
            packed++;
            result = bench_unpack(&b);
            CHECK(result == WISP_OK || result == WISP_E_MEMORY);
            unpacked += result == WISP_OK;
        }
        b.memory.fail_after = LOW_NONE;
        CHECK(pack_bench_round(&b, values, 4));
        bench_end(&b);
    }
    CHECK(packed > 1 && unpacked == 1);
}

/* --- hostile bytes --- */

/* Walks all that was made, so that the sanitizer sees what points nowhere. */
static uint64_t touched(const wisp_value *values, int count) {
    uint64_t sum = 0;
    for (int i = 0; i < count; i++) {
        CHECK((unsigned)values[i].kind <= WISP_OBJECT);
        sum += wisp_hash(&values[i]);
        if (values[i].kind == WISP_STRING || values[i].kind == WISP_BYTES)
            CHECK_EQ_INT(values[i].as.string[values[i].count], 0);
    }
    return sum;
}

static bool is_refusal(wisp_result result) {
    return result == WISP_E_BAD_PACKET || result == WISP_E_DEPTH || result == WISP_E_LIMIT;
}

/* Unpacks what stands in the bench; true: it made sense. What made sense can be packed again. */
static bool bench_try(bench *b) {
    static wisp_value top[70000];
    wisp_result result = bench_unpack(b);
    wisp__reader shape = wisp__reader_on(b->shape, b->shape_bytes);
    shape.end = b->shape_bits;
    wisp__skip_shape(&shape);
    if (result) {
        CHECK(is_refusal(result));
        return false;
    }
    CHECK(!shape.failed);
    CHECK_EQ_INT(shape.at, b->shape_end);
    touched(b->values, b->count);
    CHECK(b->values_left >= 0);
    if (b->count) memcpy(top, b->values, (size_t)b->count * sizeof *top);
    result = wisp__pack(&b->packer, top, b->count);
    CHECK(result == WISP_OK || result == WISP_E_TOO_BIG);
    return true;
}

static void bench_fill(bench *b, int shape_bytes, int data_bytes) {
    bench_forget(b);
    b->shape_bytes = shape_bytes;
    b->data_bytes = data_bytes;
    b->shape_bits = (int64_t)shape_bytes * 8;
    b->data_bits = (int64_t)data_bytes * 8;
    b->shape = (uint8_t *)calloc(1, shape_bytes > 0 ? (size_t)shape_bytes : 1);
    b->data = (uint8_t *)calloc(1, data_bytes > 0 ? (size_t)data_bytes : 1);
}

TEST(random_bytes_are_refused_or_make_sense) {
    uint64_t seed = 1000;
    int sense = 0;
    bench b;
    bench_start(&b);
    for (int round = 0; round < 15000; round++) {
        bench_fill(&b, test_random_below(&seed, 60), test_random_below(&seed, 60));
        low_random_bytes(&seed, b.shape, b.shape_bytes);
        low_random_bytes(&seed, b.data, b.data_bytes);
        if (b.shape_bytes) b.shape[0] &= round & 1 ? 0xff : 0xf3;   /* few values: more sense */
        sense += bench_try(&b);
    }
    CHECK(sense > 100);
    CHECK(b.memory.largest < 1 << 17);
    bench_end(&b);
}

TEST(mutated_messages_are_refused_or_make_sense) {
    static low_values v;
    uint64_t seed = 2000;
    int sense = 0, refused = 0;
    bench b;
    bench_start(&b);
    for (int round = 0; round < 6000; round++) {
        wisp_value values[4];
        int count = 1 + test_random_below(&seed, 4), flips = 1 + test_random_below(&seed, 6);
        low_values_start(&v, seed, 5);
        for (int i = 0; i < count; i++) values[i] = low_value(&v);
        if (!CHECK_EQ_INT(bench_pack(&b, values, count), WISP_OK)) break;
        for (int i = 0; i < flips; i++) {
            bool in_shape = (test_random(&seed) & 1) != 0;
            uint8_t *bytes = in_shape ? b.shape : b.data;
            int size = in_shape ? b.shape_bytes : b.data_bytes;
            if (size) bytes[test_random_below(&seed, size)] ^= (uint8_t)(1 << (seed & 7));
        }
        if (bench_try(&b)) sense++;
        else refused++;
    }
    CHECK(sense > 100 && refused > 100);
    bench_end(&b);
}

TEST(cut_messages_are_refused) {
    static low_values v;
    bench b;
    bench_start(&b);
    for (uint64_t seed = 0; seed < 60; seed++) {
        wisp_value values[3];
        int64_t shape_bits, data_bits;
        low_values_start(&v, seed, 3);
        for (int i = 0; i < 3; i++) values[i] = low_value(&v);
        if (!CHECK_EQ_INT(bench_pack(&b, values, 3), WISP_OK)) break;
        shape_bits = b.shape_bits;
        data_bits = b.data_bits;
        for (int64_t cut = 1; cut <= shape_bits && cut < 200; cut++) {
            b.shape_bits = shape_bits - cut;
            CHECK_EQ_INT(bench_unpack(&b), WISP_E_BAD_PACKET);
        }
        b.shape_bits = shape_bits;
        for (int64_t cut = 1; cut <= data_bits && cut < 200; cut++) {
            b.data_bits = data_bits - cut;
            CHECK_EQ_INT(bench_unpack(&b), WISP_E_BAD_PACKET);
        }
    }
    bench_end(&b);
}

/* The arena may hold at most this, whatever `bytes` say: a bit may be a value, pieces are rounded
   up, and blocks double. */
static bool in_proportion(const bench *b) {
    int bytes = b->shape_bytes + b->data_bytes;
    return b->memory.held - b->packer.shape_room - b->packer.data_room <= 8192 + 1024LL * bytes;
}

TEST(memory_is_in_proportion_to_the_bytes) {
    static const int counts[] = { 1000, 4096, 65536, 1 << 24, (1 << 30) - 1 };
    for (int i = 0; i < 5; i++)
        for (int list = 0; list < 4; list++) {
            wisp__writer w;
            uint8_t shape[16 + WISP__SLACK];
            bench b;
            bench_start(&b);
            w = wisp__writer_on(shape, 16);
            if (list) wisp__put_small(&w, 1);
            if (list) wisp__put(&w, list == 1 ? WISP__CODE_LIST | 1 << 4 : WISP__CODE_LIST, 5);
            wisp__put_small(&w, (uint64_t)counts[i]);
            if (list > 1) wisp__put(&w, list == 3, 1);
            wisp__put_align(&w);
            bench_fill(&b, (int)(w.at / 8) + 8, 8);
            memcpy(b.shape, shape, (size_t)(w.at / 8));
            CHECK(is_refusal(bench_unpack(&b)));
            CHECK(in_proportion(&b));
            bench_end(&b);
        }
}

/* An array of `count` maps of one shape: the key and one nil. */
static void fill_alike_maps(bench *b, int count, int key_bytes, int pairs) {
    uint8_t *bytes;
    wisp__writer w;
    bench_fill(b, 32 + pairs * (key_bytes + 8), count / 8 + 1);
    bytes = (uint8_t *)calloc(1, (size_t)b->shape_bytes + WISP__SLACK);
    w = wisp__writer_on(bytes, b->shape_bytes);
    wisp__put_small(&w, 1);
    wisp__put(&w, WISP__CODE_LIST, 5);
    wisp__put_small(&w, (uint64_t)count);
    wisp__put(&w, 1, 1);
    wisp__put(&w, WISP__CODE_LIST | 1 << 4, 5);
    wisp__put_small(&w, (uint64_t)pairs);
    for (int k = 0; k < pairs; k++) {
        wisp__put_length(&w, (uint64_t)key_bytes);
        for (int i = 0; i < key_bytes; i++) wisp__put(&w, 'k', 8);
        wisp__put(&w, WISP_NIL, 4);
    }
    CHECK(!w.full);
    memcpy(b->shape, bytes, (size_t)b->shape_bytes);
    free(bytes);
}

TEST(keys_of_alike_maps_are_not_a_bomb) {
    bench b;
    bench_start(&b);
    fill_alike_maps(&b, 4000, 600, 1);
    bench_unpack(&b);
    CHECK(in_proportion(&b));
    fill_alike_maps(&b, 30000, 20000, 1);
    bench_unpack(&b);
    CHECK(in_proportion(&b));
    bench_end(&b);
}

TEST(maps_of_nothing_in_arrays_stay_in_proportion) {
    bench b;
    bench_start(&b);
    fill_alike_maps(&b, 1600, 0, 40);
    bench_unpack(&b);
    CHECK(in_proportion(&b));
    bench_end(&b);
}

TEST(a_key_with_a_nul_is_refused) {
    wisp_pair key = pack_pair("abc", wisp_int(1));
    wisp_value map = wisp_map(&key, 1);
    bench b;
    bench_start(&b);
    CHECK_EQ_INT(bench_pack(&b, &map, 1), WISP_OK);
    /* values:4 map:5 pairs:4 length:8, then the key */
    for (int bit = 21 + 8; bit < 21 + 16; bit++) b.shape[bit / 8] &= (uint8_t)~(1 << bit % 8);
    CHECK_EQ_INT(bench_unpack(&b), WISP_E_BAD_PACKET);
    bench_end(&b);
}

TEST(codes_without_a_meaning_are_refused) {
    bench b;
    bench_start(&b);
    bench_fill(&b, 8, 64);
    b.shape[0] = 1 | WISP__CODE_OBJECT << 4;
    b.shape[1] = 1;                 /* what follows an object's code is a zero */
    CHECK_EQ_INT(bench_unpack(&b), WISP_E_BAD_PACKET);
    b.shape[1] = 0;
    CHECK_EQ_INT(bench_unpack(&b), WISP_OK);
    CHECK_EQ_INT(b.values[0].kind, WISP_OBJECT);
    b.shape[0] = 1 | WISP_NUMBER << 4;
    b.data[0] = 3;                  /* a number of the fourth form */
    CHECK_EQ_INT(bench_unpack(&b), WISP_E_BAD_PACKET);
    b.data[0] = 2;
    CHECK_EQ_INT(bench_unpack(&b), WISP_OK);
    bench_end(&b);
}

/* As deep as bytes can say: recursion must end long before the stack does. */
TEST(lists_without_end_are_left_early) {
    enum { BYTES = 1 << 20 };
    uint8_t *bytes = (uint8_t *)malloc(BYTES + WISP__SLACK);
    wisp__writer w = wisp__writer_on(bytes, BYTES);
    wisp__reader shape;
    bench b;
    bench_start(&b);
    bench_fill(&b, BYTES, BYTES);
    wisp__put_small(&w, 1);
    while (w.end - w.at >= 10) {
        wisp__put(&w, WISP__CODE_LIST, 5);
        wisp__put_small(&w, 1);
        wisp__put(&w, 1, 1);
    }
    wisp__put(&w, 0, (int)(w.end - w.at));
    memcpy(b.shape, bytes, BYTES);
    shape = wisp__reader_on(b.shape, BYTES);
    wisp__skip_shape(&shape);
    CHECK(shape.failed);
    CHECK(shape.at < 300 * 10);
    CHECK_EQ_INT(bench_unpack(&b), WISP_E_DEPTH);
    CHECK(b.shape_end < 20 * 10);
    free(bytes);
    bench_end(&b);
}

TEST(skipping_a_shape_ends_whatever_it_says) {
    uint64_t seed = 31;
    uint8_t bytes[64];
    for (int round = 0; round < 20000; round++) {
        int size = test_random_below(&seed, 64);
        uint8_t *exact;
        wisp__reader r;
        low_random_bytes(&seed, bytes, size);
        if (round % 4 == 0) memset(bytes, 0x0e, (size_t)size);       /* lists in lists */
        if (round % 4 == 1) memset(bytes, 0x21 << (round % 3), (size_t)size);
        exact = copied(bytes, size);
        r = wisp__reader_on(exact, size);
        wisp__skip_shape(&r);
        wisp__bits_check(&r);
        free(exact);
    }
}

static const test_case tests[] = {
    CASE(integers_of_every_size_come_back),
    CASE(zigzag_keeps_small_sizes_small),
    CASE(small_integers_take_few_bits),
    CASE(every_double_comes_back_bit_by_bit),
    CASE(every_float_comes_back_bit_by_bit),
    CASE(numbers_that_are_short_take_few_bits),
    CASE(colors_of_bytes_take_bytes_and_others_come_back_too),
    CASE(vectors_come_back),
    CASE(text_of_any_bytes_comes_back_and_ends_in_nul),
    CASE(objects_have_their_golden_bits_and_come_back),
    CASE(objects_in_lists_come_back),
    CASE(structs_pack_as_the_maps_they_are),
    CASE(a_megabyte_of_text_comes_back),
    CASE(messages_of_0_1_16_and_1000_values_come_back),
    CASE(arrays_of_one_kind_name_it_once),
    CASE(records_in_an_array_name_their_fields_once),
    CASE(bytes_of_one_length_are_alike_and_others_are_not),
    CASE(random_trees_come_back),
    CASE(a_message_can_stand_anywhere_in_a_packet),
    CASE(what_is_packed_can_be_unpacked_at_every_depth),
    CASE(what_comes_in_too_deep_is_refused),
    CASE(mistakes_of_the_caller_have_codes),
    CASE(too_many_values_are_refused_on_both_sides),
    CASE(a_message_too_big_is_refused),
    CASE(a_message_too_big_takes_no_memory_for_it),
    CASE(the_measure_holds_for_every_kind),
    CASE(without_memory_packing_and_unpacking_say_so),
    CASE(random_bytes_are_refused_or_make_sense),
    CASE(mutated_messages_are_refused_or_make_sense),
    CASE(cut_messages_are_refused),
    CASE(memory_is_in_proportion_to_the_bytes),
    CASE(keys_of_alike_maps_are_not_a_bomb),
    CASE(maps_of_nothing_in_arrays_stay_in_proportion),
    CASE(a_key_with_a_nul_is_refused),
    CASE(codes_without_a_meaning_are_refused),
    CASE(lists_without_end_are_left_early),
    CASE(skipping_a_shape_ends_whatever_it_says),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
