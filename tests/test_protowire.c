/* test_protowire.c - tags, varints, groups, and values without a schema */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/protobuf_messages.h"

/* --- what is not valid --- */

static const wisp_type protowire_int32 = WISP_T_INT32, protowire_uint64 = WISP_T_UINT64;

TEST(tags_that_make_no_sense_are_refused) {
    static const char *const tags[] = {
        "014445414442454546", "020101", "0304", "0544454144",          /* field 0 */
        "888080808080800fd209", "8880808040d209",                      /* too high */
        "888080808080808000d209", "8880808080808080808080808000d209",  /* too long */
        "80", "88", "808080808000", "8080808010", "00", "07", "8000"
    };
    single s;
    single_of(&s, &protowire_int32, 0, 0);
    for (int i = 0; i < (int)(sizeof tags / sizeof *tags); i++) {
        refuses(&s.schema, tags[i], WISP_E_SYNTAX);
        refuses(NULL, tags[i], WISP_E_SYNTAX);
    }
    reads_as(&s.schema, "8880808000 05", "0805");      /* longer than need be, yet five bytes */
    reads_as(&s.schema, "f8ffffff0f 05", "");          /* field 2^29 - 1 */
}

TEST(wire_types_six_and_seven_are_refused) {
    single s;
    single_of(&s, &protowire_int32, 0, 0);
    for (unsigned wire = 6; wire < 8; wire++)
        for (unsigned field = 0; field < 4; field++)
            for (unsigned value = 0; value < 4; value++) {
                char hex[16];
                snprintf(hex, sizeof hex, "%02x%02x", field << 3 | wire, value);
                refuses(&s.schema, hex, WISP_E_SYNTAX);
            }
}

TEST(varints_end_within_64_bits) {
    single s;
    single_of(&s, &protowire_uint64, 0, 0);
    reads_as(&s.schema, "08 ffffffffffffffffff01", "08 ffffffffffffffffff01");
    reads_as(&s.schema, "08 80808080808080808000", "");
    refuses(&s.schema, "08 ffffffffffffffffff02", WISP_E_SYNTAX);
    refuses(&s.schema, "08 8080808080808080807f", WISP_E_SYNTAX);
    refuses(&s.schema, "08 8080808080808080808000", WISP_E_SYNTAX);
    refuses(&s.schema, "10 8080808080808080808000", WISP_E_SYNTAX);
    refuses(&s.schema, "08 808080808080808080", WISP_E_SYNTAX);
}

TEST(groups_are_skipped_whole) {
    single s;
    single_of(&s, &protowire_int32, 0, 0);
    reads_as(&s.schema, "13 14 08 05", "08 05");
    reads_as(&s.schema, "13 0809 1a0161 1d01020304 190102030405060708 23 24 14 08 05", "08 05");
    reads_as(&s.schema, "0b 0c 08 05", "08 05");                /* even of a known field */
    reads_as(&s.schema, "cb0c cc0c", "");
    refuses(&s.schema, "14", WISP_E_SYNTAX);
    refuses(&s.schema, "0c 12 0b 68656c6c6f20776f726c64", WISP_E_SYNTAX);
    refuses(&s.schema, "0c", WISP_E_SYNTAX);
    refuses(&s.schema, "13", WISP_E_SYNTAX);
    refuses(&s.schema, "13 12 0161", WISP_E_SYNTAX);
    refuses(&s.schema, "13 1c", WISP_E_SYNTAX);
    refuses(&s.schema, "13 1b 14 1c", WISP_E_SYNTAX);
    refuses(&s.schema, "13 1b 14", WISP_E_SYNTAX);
    refuses(&s.schema, "13 06 14", WISP_E_SYNTAX);
}

TEST(groups_nest_a_hundred_deep) {
    proto *b = proto_of();
    single s;
    single_of(&s, &protowire_int32, 0, 0);
    for (int depth = 98; depth < 103; depth++) {
        for (int i = 0; i < depth; i++) b->bytes[i] = 0x13, b->bytes[depth + i] = 0x14;
        CHECK_EQ_INT(decode_bytes(b, &s.schema, b->bytes, 2 * depth),
                     depth <= 100 ? 2 * depth : WISP_E_DEPTH);
    }
    memset(b->bytes, 0x13, ROOM);
    CHECK_EQ_INT(decode_bytes(b, &s.schema, b->bytes, ROOM), WISP_E_DEPTH);
}

/* --- values as google.protobuf.Value --- */

TEST(values_are_google_protobuf_values) {
    wisp_object object = { 7 };
    wisp_vec3 position = { 1, 0, 0 };
    wisp_quat rotation = { 0, 0, 0, 1 };
    wisp_value items[2] = { wisp_int(1), wisp_nil() }, value;
    proto *b = proto_of();
    wisp_pair pairs[] = { { "a", wisp_string("x") }, { "", wisp_bool(false) } };
    round_trips(NULL, wisp_nil(), "0800");
    round_trips(NULL, wisp_bool(true), "2001");
    round_trips(NULL, wisp_bool(false), "2000");
    round_trips(NULL, wisp_int(0), "110000000000000000");
    round_trips(NULL, wisp_int(-2), "1100000000000000c0");
    round_trips(NULL, wisp_uint(5), "110000000000001440");
    round_trips(NULL, wisp_number(0.1), "119a9999999999b93f");
    round_trips(NULL, wisp_float(0.5f), "11000000000000e03f");
    round_trips(NULL, wisp_string(""), "1a00");
    round_trips(NULL, wisp_string("ab"), "1a026162");
    round_trips(NULL, wisp_array(NULL, 0), "3200");
    round_trips(NULL, wisp_array(items, 2), "320f 0a09110000 00000000f03f 0a020800");
    round_trips(NULL, wisp_map(NULL, 0), "2a00");
    round_trips(NULL, wisp_map(pairs, 2), "2a12 0a08 0a0161 12031a0178 0a06 0a00 12022000");
    writes(NULL, wisp_reference(object), "110000000000001c40");
    writes(NULL, wisp_bytes("\xfb\xff", 2), "1a04 2b2f383d");
    writes(NULL, wisp_bytes("a", 1), "1a04 59513d3d");
    writes(NULL, wisp_bytes("abc", 3), "1a04 59574a6a");
    writes(NULL, wisp_bytes("abcd", 4), "1a08 59574a6a 5a413d3d");
    writes(NULL, wisp_bytes(NULL, 0), "1a00");
    writes(NULL, wisp_vec2v(1, 0), "3216 0a0911000000000000f03f 0a09110000000000000000");
    writes(NULL, wisp_color4(0, 0, 0, 1), "322c 0a09110000000000000000 0a09110000000000000000"
                                          "0a09110000000000000000 0a0911000000000000f03f");
    value = wisp_transformv(position, rotation);
    b->size = encode(b, NULL, &value);
    CHECK_EQ_INT(decode_bytes(b, NULL, b->out, b->size), b->size);
    CHECK_EQ_INT(b->value.count, 7);
    CHECK_NEAR(wisp_element_of(&b->value, 0)->as.number, 1, 0);
    CHECK_NEAR(wisp_element_of(&b->value, 6)->as.number, 1, 0);
    reads(NULL, "");
    CHECK_EQ_INT(b->value.kind, WISP_NIL);
}

TEST(integers_that_no_double_says_are_refused) {
    static const uint64_t exact[] = { UINT64_C(1) << 53, (UINT64_C(1) << 53) - 1, UINT64_C(1) << 63,
                                      (UINT64_C(1) << 54) + 4, UINT64_MAX - 2047, 0 };
    static const uint64_t not_exact[] = { (UINT64_C(1) << 53) + 1, (UINT64_C(1) << 54) + 1,
                                          UINT64_MAX, UINT64_MAX - 1023, INT64_MAX };
    proto *b = proto_of();
    wisp_value value;
    for (int i = 0; i < 6; i++) {
        value = wisp_uint(exact[i]);
        b->size = encode(b, NULL, &value);
        CHECK_EQ_INT(b->size, 9);
        CHECK_EQ_INT(decode_bytes(b, NULL, b->out, 9), 9);
        CHECK(wisp_equal(&b->value, &value));
    }
    for (int i = 0; i < 5; i++) {
        value = wisp_uint(not_exact[i]);
        CHECK_EQ_INT(encode(b, NULL, &value), WISP_E_TYPE);
    }
    value = wisp_int(-INT64_C(9007199254740993));
    CHECK_EQ_INT(encode(b, NULL, &value), WISP_E_TYPE);
    value = wisp_int(INT64_MIN);
    CHECK_EQ_INT(encode(b, NULL, &value), 9);
}

TEST(values_that_come_twice_are_merged) {
    reads_as(NULL, "2001 1a0161", "1a0161");
    reads_as(NULL, "1a0161 0805", "0800");
    reads_as(NULL, "3204 0a022001 3204 0a022000", "3208 0a022001 0a022000");
    reads_as(NULL, "2a09 0a07 0a0161 12022001 2a09 0a07 0a0162 12022000",
             "2a12 0a07 0a0161 12022001 0a07 0a0162 12022000");
    reads_as(NULL, "3204 0a022001 2000 3204 0a022000", "3204 0a022000");
    reads_as(NULL, "2a04 0a02 0a00", "2a08 0a06 0a00 12020800");      /* no value, no key */
    reads_as(NULL, "2a06 0a04 12022001", "2a08 0a06 0a00 12022001");
    reads_as(NULL, "2a07 0a05 0a01611200", "2a09 0a07 0a0161 12020800");
    reads_as(NULL, "2a0b 0a09 12022001 0a0161 1805", "2a09 0a07 0a0161 12022001");
    reads_as(NULL, "3204 0a00 1005", "3204 0a020800");
}

TEST(of_equal_keys_the_last_one_wins_in_the_first_place) {
    reads_as(NULL, "2a1b 0a07 0a0161 12022001 0a07 0a0162 12022001 0a07 0a0161 12022000",
             "2a12 0a07 0a0161 12022000 0a07 0a0162 12022001");
    reads_as(NULL, "2a09 0a07 0a0161 12022001 2a09 0a07 0a0161 12022000",
             "2a09 0a07 0a0161 12022000");
    refuses(NULL, "2a0a 0a08 0a026100 12022001", WISP_E_TYPE);
    refuses(NULL, "2a09 0a07 0a01ff 12022001", WISP_E_SYNTAX);
}

TEST(many_keys_are_made_distinct) {
    enum { COUNT = 900 };
    static wisp_pair pairs[COUNT];
    static char keys[COUNT][16];
    proto *b = proto_of();
    wisp_value map = wisp_map(pairs, COUNT);
    uint64_t seed = 5;
    int last[100], found = 0;
    for (int i = 0; i < 100; i++) last[i] = -1;
    for (int i = 0; i < COUNT; i++) {
        int key = test_random_below(&seed, 100);
        snprintf(keys[i], sizeof keys[i], "k%d", key);
        pairs[i].key = keys[i];
        pairs[i].value = wisp_int(i);
        last[key] = i;
    }
    b->size = encode(b, NULL, &map);
    memcpy(b->bytes, b->out, (size_t)b->size);
    if (!CHECK_EQ_INT(decode_bytes(b, NULL, b->bytes, b->size), b->size)) return;
    for (int key = 0; key < 100; key++) {
        char name[16];
        snprintf(name, sizeof name, "k%d", key);
        if (last[key] < 0) continue;
        found++;
        CHECK_NEAR(decoded(name)->as.number, last[key], 0);
    }
    CHECK_EQ_INT(b->value.count, found);
    CHECK_EQ_STR(wisp_key_of(&b->value, 0), keys[0]);
}

TEST(values_nest_as_deep_as_their_messages) {
    static wisp_value lists[60];
    static wisp_pair maps[60];
    proto *b = proto_of();
    lists[0] = wisp_int(1);
    maps[0].value = wisp_int(1);
    for (int i = 1; i < 60; i++) {
        int size;
        wisp_value map = wisp_map(&maps[i - 1], 1);
        maps[i - 1].key = "k";
        lists[i] = wisp_array(&lists[i - 1], 1);
        size = encode(b, NULL, &lists[i]);
        CHECK_EQ_INT(size > 0 ? WISP_OK : size, i <= 50 ? WISP_OK : WISP_E_DEPTH);
        if (size > 0) CHECK_EQ_INT(decode_bytes(b, NULL, b->out, size), size);
        if (size > 0) CHECK(wisp_equal(&b->value, &lists[i]));
        size = encode(b, NULL, &map);
        CHECK_EQ_INT(size > 0 ? WISP_OK : size, i <= 33 ? WISP_OK : WISP_E_DEPTH);
        if (size > 0) CHECK_EQ_INT(decode_bytes(b, NULL, b->out, size), size);
        if (size > 0) CHECK(wisp_equal(&b->value, &map));
        maps[i].value = map;
    }
    memset(b->bytes, 0, ROOM);
    for (int i = 0; i < 4000; i += 2) b->bytes[i] = 0x32, b->bytes[i + 1] = 0x0a;
    CHECK(decode_bytes(b, NULL, b->bytes, ROOM) < 0);
}

static const test_case tests[] = {
    CASE(tags_that_make_no_sense_are_refused),
    CASE(wire_types_six_and_seven_are_refused),
    CASE(varints_end_within_64_bits),
    CASE(groups_are_skipped_whole),
    CASE(groups_nest_a_hundred_deep),
    CASE(values_are_google_protobuf_values),
    CASE(integers_that_no_double_says_are_refused),
    CASE(values_that_come_twice_are_merged),
    CASE(of_equal_keys_the_last_one_wins_in_the_first_place),
    CASE(many_keys_are_made_distinct),
    CASE(values_nest_as_deep_as_their_messages),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
