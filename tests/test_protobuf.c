/* test_protobuf.c - messages in the proto3 wire form: written, read, merged, refused */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/protobuf_messages.h"

/* --- scalars: the cases of the conformance suite for valid data --- */

static const char *const color_names[] = { "red", "green", "blue" };
static const wisp_type t_bool = WISP_T_BOOL, t_int32 = WISP_T_INT32, t_int64 = WISP_T_INT64;
static const wisp_type t_uint32 = WISP_T_UINT32, t_uint64 = WISP_T_UINT64;
static const wisp_type t_sint32 = WISP_T_SINT32, t_sint64 = WISP_T_SINT64;
static const wisp_type t_fixed32 = WISP_T_FIXED32, t_fixed64 = WISP_T_FIXED64;
static const wisp_type t_sfixed32 = WISP_T_SFIXED32, t_sfixed64 = WISP_T_SFIXED64;
static const wisp_type t_float = WISP_T_FLOAT, t_double = WISP_T_DOUBLE;
static const wisp_type t_enum = WISP_T_ENUM(color_names, 3), t_object = WISP_T_OBJECT;
static const wisp_type t_range = WISP_T_RANGE(-5, 5), t_urange = WISP_T_RANGE(0, 5);
static const wisp_type t_string = WISP_T_STRING(100), t_bytes = WISP_T_BYTES(100);
static const wisp_type t_number = WISP_T_NUMBER, t_integer = WISP_T_INTEGER, t_uint = WISP_T_UINT;

typedef struct scalar_case {
    const wisp_type *type;
    const char      *input, *canonical;     /* what stands after the tag */
} scalar_case;

#define MOST_64 "ffffffffffffffffff01"      /* varints: -1, and the greatest and least int64 */
#define MAX_64  "ffffffffffffffff7f"
#define MIN_64  "80808080808080808001"

static const scalar_case scalars[] = {
    { &t_bool, "00", "00" }, { &t_bool, "01", "01" }, { &t_bool, MOST_64, "01" },
    { &t_bool, "cec2f105", "01" }, { &t_bool, "8080808020", "01" }, { &t_bool, MAX_64, "01" },
    { &t_bool, MIN_64, "01" }, { &t_bool, "8000", "00" },
    { &t_int32, "00", "00" }, { &t_int32, "b960", "b960" }, { &t_int32, "b9e000", "b960" },
    { &t_int32, "b9e0808000", "b960" }, { &t_int32, "b9e080808080808000", "b960" },
    { &t_int32, "ffffffff07", "ffffffff07" },
    { &t_int32, "80808080f8ffffffff01", "80808080f8ffffffff01" },
    { &t_int32, "8080808020", "00" }, { &t_int32, "ffffffff1f", MOST_64 },
    { &t_int32, "ffffffff0f", MOST_64 }, { &t_int32, MAX_64, MOST_64 },
    { &t_int32, "81808080808080808001", "01" },
    { &t_int64, "00", "00" }, { &t_int64, "b960", "b960" }, { &t_int64, MAX_64, MAX_64 },
    { &t_int64, MIN_64, MIN_64 },
    { &t_uint32, "00", "00" }, { &t_uint32, "b9e000", "b960" },
    { &t_uint32, "ffffffff0f", "ffffffff0f" }, { &t_uint32, "8080808020", "00" },
    { &t_uint32, "8180808020", "01" }, { &t_uint32, "ffffffff1f", "ffffffff0f" },
    { &t_uint32, MAX_64, "ffffffff0f" }, { &t_uint32, "81808080808080808001", "01" },
    { &t_uint64, "00", "00" }, { &t_uint64, "b960", "b960" }, { &t_uint64, MOST_64, MOST_64 },
    { &t_sint32, "00", "00" }, { &t_sint32, "f2c001", "f2c001" },
    { &t_sint32, "feffffff0f", "feffffff0f" }, { &t_sint32, "ffffffff0f", "ffffffff0f" },
    { &t_sint32, "8280808010", "02" },
    { &t_sint64, "00", "00" }, { &t_sint64, "f2c001", "f2c001" },
    { &t_sint64, "feffffffffffffffff01", "feffffffffffffffff01" },
    { &t_sint64, MOST_64, MOST_64 },
    { &t_fixed32, "00000000", "00000000" }, { &t_fixed32, "39300000", "39300000" },
    { &t_fixed32, "ffffffff", "ffffffff" },
    { &t_fixed64, "0000000000000000", "0000000000000000" },
    { &t_fixed64, "3930000000000000", "3930000000000000" },
    { &t_fixed64, "ffffffffffffffff", "ffffffffffffffff" },
    { &t_sfixed32, "00000000", "00000000" }, { &t_sfixed32, "ffffff7f", "ffffff7f" },
    { &t_sfixed32, "00000080", "00000080" },
    { &t_sfixed64, "0000000000000000", "0000000000000000" },
    { &t_sfixed64, "ffffffffffffff7f", "ffffffffffffff7f" },
    { &t_sfixed64, "0000000000000080", "0000000000000080" },
    { &t_float, "00000000", "00000000" }, { &t_float, "cdcccc3d", "cdcccc3d" },
    { &t_float, "ffff7f7f", "ffff7f7f" }, { &t_float, "00008000", "00008000" },
    { &t_float, "01000000", "01000000" }, { &t_float, "00000080", "00000080" },
    { &t_float, "0000807f", "0000807f" }, { &t_float, "0000c0ff", "0000c0ff" },
    { &t_double, "0000000000000000", "0000000000000000" },
    { &t_double, "9a9999999999b93f", "9a9999999999b93f" },
    { &t_double, "ffffffffffffef7f", "ffffffffffffef7f" },
    { &t_double, "0000000000001000", "0000000000001000" },
    { &t_double, "0000000000000080", "0000000000000080" },
    { &t_double, "000000000000f0ff", "000000000000f0ff" },
    { &t_double, "010000000000f87f", "010000000000f87f" },
    { &t_enum, "00", "00" }, { &t_enum, "01", "01" }, { &t_enum, "02", "02" },
    { &t_enum, MOST_64, MOST_64 }, { &t_enum, MAX_64, MOST_64 },
    { &t_enum, "81808080808080808001", "01" }, { &t_enum, "b960", "b960" },
    { &t_object, "00", "00" }, { &t_object, "ffffffff0f", "ffffffff0f" },
    { &t_range, "00", "00" }, { &t_range, "fbffffffffffffffff01", "fbffffffffffffffff01" },
    { &t_urange, "00", "00" }, { &t_urange, MOST_64, MOST_64 }, { &t_urange, "05", "05" }
};
enum { SCALARS = sizeof scalars / sizeof *scalars };

static const wisp_type *const packable[] = {
    &t_bool, &t_int32, &t_int64, &t_uint32, &t_uint64, &t_sint32, &t_sint64, &t_fixed32,
    &t_fixed64, &t_sfixed32, &t_sfixed64, &t_float, &t_double, &t_enum, &t_object, &t_range,
    &t_urange
};
enum { PACKABLE = sizeof packable / sizeof *packable };

static unsigned wire_of(const wisp_type *type) {
    return wisp__proto_type_of(type, 0).wire;
}

/* Are all of them zeros? */
static bool is_zero(const char *hex) { return strspn(hex, "0") == strlen(hex); }

TEST(scalars_come_in_every_form_that_is_valid) {
    for (int i = 0; i < SCALARS; i++) {
        const scalar_case *c = &scalars[i];
        char input[64], canonical[64];
        single s;
        const wisp_schema *schema = single_of(&s, c->type, 0, 0);
        snprintf(input, sizeof input, "%02x%s", 8 | wire_of(c->type), c->input);
        snprintf(canonical, sizeof canonical, "%02x%s", 8 | wire_of(c->type), c->canonical);
        if (!CHECK(reads_as(schema, input, is_zero(c->canonical) ? "" : canonical)))
            printf("%s\n", input);
        CHECK(reads_as(single_of(&s, c->type, 0, WISP_FLAG_MAYBE), input, canonical));
    }
}

TEST(the_last_of_scalars_that_come_twice_wins) {
    for (int i = 0; i + 1 < SCALARS; i++) {
        const scalar_case *c = &scalars[i], *d = &scalars[i + 1];
        char input[128], canonical[64];
        single s;
        if (c->type != d->type) continue;
        snprintf(input, sizeof input, "%02x%s%02x%s", 8 | wire_of(c->type), c->input,
                 8 | wire_of(c->type), d->input);
        snprintf(canonical, sizeof canonical, "%02x%s", 8 | wire_of(c->type), d->canonical);
        CHECK(reads_as(single_of(&s, c->type, 0, WISP_FLAG_MAYBE), input, canonical));
    }
}

/* All cases of a type: packed, or each with its tag, of field 1. */
static void list_of(const wisp_type *type, bool packed, bool canonical, char *hex) {
    char body[2048] = "";
    for (int i = 0; i < SCALARS; i++) {
        if (scalars[i].type != type) continue;
        if (!packed) sprintf(body + strlen(body), "%02x", 8 | wire_of(type));
        strcat(body, canonical ? scalars[i].canonical : scalars[i].input);
    }
    if (packed && strlen(body) < 256)
        sprintf(hex, "0a%02x%s", (unsigned)strlen(body) / 2, body);
    else if (packed) sprintf(hex, "0a%02x%02x%s", (unsigned)(strlen(body) / 2) | 128,
                             (unsigned)strlen(body) / 256, body);
    else strcpy(hex, body);
}

TEST(lists_of_scalars_are_read_packed_and_unpacked_and_written_packed) {
    for (int i = 0; i < PACKABLE; i++) {
        static char packed[2048], unpacked[2048], canonical[2048], both[8192];
        wisp_type list = WISP_T_ARRAY(NULL, 100);
        single s;
        const wisp_schema *schema;
        list.of = packable[i];
        schema = single_of(&s, &list, 0, 0);
        list_of(packable[i], true, false, packed);
        list_of(packable[i], false, false, unpacked);
        list_of(packable[i], true, true, canonical);
        CHECK(reads_as(schema, packed, canonical));
        CHECK(reads_as(schema, unpacked, canonical));
        snprintf(both, sizeof both, "%s%s%s0a00", packed, unpacked, packed);
        reads(schema, both);
        CHECK_EQ_INT(decoded("v")->count % 3, 0);
        CHECK(decoded("v")->count >= 6);
    }
}

TEST(packed_lists_do_not_end_within_a_value) {
    for (int i = 0; i < PACKABLE; i++) {
        wisp_type list = WISP_T_ARRAY(NULL, 100);
        single s;
        list.of = packable[i];
        single_of(&s, &list, 0, 0);
        refuses(&s.schema, wire_of(packable[i]) == 0 ? "0a0180" : "0a03616263", WISP_E_SYNTAX);
        refuses(&s.schema, wire_of(packable[i]) == 0 ? "0a0301ff800801" : "0a0961626364616263640d",
                WISP_E_SYNTAX);
        refuses(&s.schema, "0a01", WISP_E_SYNTAX);
        refuses(&s.schema, "0a", WISP_E_SYNTAX);
        refuses(&s.schema, "0affffffff0f", WISP_E_SYNTAX);
    }
}

TEST(kinds_fit_the_types) {
    static const struct { const wisp_type *type; const char *hex; wisp_kind kind; } cases[] = {
        { &t_bool, "0801", WISP_BOOL }, { &t_int32, "0801", WISP_INT },
        { &t_uint64, "0801", WISP_UINT }, { &t_sint32, "0801", WISP_INT },
        { &t_fixed32, "0d01000000", WISP_UINT }, { &t_sfixed32, "0d01000000", WISP_INT },
        { &t_float, "0d0000803f", WISP_FLOAT }, { &t_number, "09000000000000f03f", WISP_NUMBER },
        { &t_enum, "0801", WISP_INT }, { &t_object, "0801", WISP_OBJECT },
        { &t_urange, "0801", WISP_INT }, { &t_string, "0a0161", WISP_STRING },
        { &t_bytes, "0a0161", WISP_BYTES }, { &t_integer, "0801", WISP_INT },
        { &t_uint, "0801", WISP_UINT }
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        single s;
        const wisp_schema *schema = single_of(&s, cases[i].type, 0, 0);
        if (!reads(schema, cases[i].hex)) continue;
        CHECK_EQ_INT(decoded("v")->kind, cases[i].kind);
        reads(schema, "");
        CHECK_EQ_INT(decoded("v")->kind, cases[i].kind);
    }
}

TEST(integers_that_do_not_fit_are_refused) {
    static const struct { const wisp_type *type; int64_t fits, not_fits; } cases[] = {
        { &t_int32, INT32_MAX, (int64_t)INT32_MAX + 1 },
        { &t_int32, INT32_MIN, (int64_t)INT32_MIN - 1 },
        { &t_sint32, INT32_MIN, (int64_t)INT32_MIN - 1 },
        { &t_sfixed32, INT32_MAX, (int64_t)INT32_MAX + 1 },
        { &t_uint32, UINT32_MAX, (int64_t)UINT32_MAX + 1 }, { &t_uint32, 0, -1 },
        { &t_fixed32, UINT32_MAX, -1 }, { &t_uint64, INT64_MAX, -1 },
        { &t_fixed64, 0, INT64_MIN }, { &t_enum, 2, (int64_t)INT32_MAX + 1 }
    };
    wisp_pair pair;
    wisp_value value = wisp_nil();
    single s;
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        const wisp_schema *schema = single_of(&s, cases[i].type, 0, 0);
        value = map_of(&pair, wisp_int(cases[i].fits));
        CHECK(encode(proto_of(), schema, &value) >= 0);
        value = map_of(&pair, wisp_int(cases[i].not_fits));
        CHECK_EQ_INT(encode(proto_of(), schema, &value), WISP_E_INVALID);
    }
    value = map_of(&pair, wisp_uint(UINT64_MAX));
    CHECK_EQ_INT(encode(proto_of(), single_of(&s, &t_int64, 0, 0), &value), WISP_E_INVALID);
    value = map_of(&pair, wisp_number(1.5));
    CHECK_EQ_INT(encode(proto_of(), single_of(&s, &t_int64, 0, 0), &value), WISP_E_INVALID);
    writes(single_of(&s, &t_int64, 0, 0), map_of(&pair, wisp_number(-2)), "08feffffffffffffffff01");
    writes(single_of(&s, &t_double, 0, 0), map_of(&pair, wisp_int(3)), "090000000000000840");
}

/* --- what is not valid --- */

TEST(messages_that_end_early_are_refused) {
    static const struct { const wisp_type *type; const char *part; } cases[] = {
        { &t_int32, "80" }, { &t_sfixed64, "61626364656667" }, { &t_fixed32, "616263" },
        { &t_string, "80" }, { &t_bytes, "80" }, { &t_string, "01" }, { &t_bytes, "0261" }
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        char hex[64];
        single s;
        wisp_type list = WISP_T_ARRAY(NULL, 100);
        unsigned wire = wire_of(cases[i].type);
        list.of = cases[i].type;
        for (int unknown = 0; unknown < 2; unknown++) {
            snprintf(hex, sizeof hex, unknown ? "%02x29" : "%02x", (unknown ? 0xd0 : 8) | wire);
            refuses(single_of(&s, cases[i].type, 0, 0), hex, WISP_E_SYNTAX);
            refuses(single_of(&s, &list, 0, 0), hex, WISP_E_SYNTAX);
            strcat(hex, cases[i].part);
            refuses(single_of(&s, cases[i].type, 0, 0), hex, WISP_E_SYNTAX);
            refuses(single_of(&s, &list, 0, 0), hex, WISP_E_SYNTAX);
        }
    }
}

TEST(lengths_beyond_the_end_are_refused) {
    static const char *const lengths[] = { "8080808010", "ffffffff07", "ffffffff0f", MAX_64,
                                           MOST_64, MIN_64, "8080808080808001" };
    wisp_type list = WISP_T_ARRAY(&t_int32, 5);
    const wisp_type *const types[] = { &t_string, &t_bytes, &t_int32, &list };
    for (int i = 0; i < (int)(sizeof lengths / sizeof *lengths); i++)
        for (int k = 0; k < 4; k++) {
            char hex[64];
            single s;
            snprintf(hex, sizeof hex, "0a%s", lengths[i]);
            refuses(single_of(&s, types[k], 0, 0), hex, WISP_E_SYNTAX);
            refuses(NULL, hex, WISP_E_SYNTAX);
        }
}

TEST(what_is_unknown_or_of_another_wire_is_skipped) {
    static const wisp_type list = WISP_T_ARRAY(&t_string, 5);
    single s;
    single_of(&s, &t_int32, 0, 0);
    reads_as(&s.schema, "a81f01 0805 d22903616263 d0297b d52901020304 d1290102030405060708",
             "0805");
    reads_as(&s.schema, "0805 0a0161 0d01020304 090102030405060708", "0805");
    single_of(&s, &t_string, 0, 0);
    reads_as(&s.schema, "0a0161 0805 0d01020304", "0a0161");
    single_of(&s, &list, 0, WISP_FLAG_MAYBE);
    reads_as(&s.schema, "0a0161 0805 0a0162", "0a0161 0a0162");
    reads_as(&s.schema, "0805", "");
    CHECK_EQ_INT(decoded("v") == NULL, true);
}

/* --- text --- */

TEST(text_is_utf_8_both_ways) {
    static const char *const good[] = { "", "61", "c3a9", "e8b0b7e6ad8c", "f09f9881", "f48fbfbf",
                                        "ed9fbf", "ee8080", "00",
                                        "6162636465666768c2806162636465" };
    static const char *const bad[] = { "a0b0c0d0", "c0af", "c1bf", "eda080", "edbfbf", "e08080",
                                       "f0808080", "f4908080", "f5808080", "c3", "e8b0", "f09f98",
                                       "6162636465666768ff", "80", "c361" };
    for (int i = 0; i < (int)((sizeof good + sizeof bad) / sizeof *good); i++) {
        bool is_good = i < (int)(sizeof good / sizeof *good);
        const char *text = is_good ? good[i] : bad[i - (int)(sizeof good / sizeof *good)];
        wisp_type list = WISP_T_ARRAY(&t_string, 5);
        char hex[64], raw[32];
        wisp_pair pair;
        wisp_value value;
        single s;
        int size = add_hex((uint8_t *)raw, 0, text);
        snprintf(hex, sizeof hex, "0a%02x%s", (unsigned)size, text);
        single_of(&s, &t_string, 0, WISP_FLAG_MAYBE);
        value = map_of(&pair, wisp_string_n(raw, size));
        if (is_good) round_trips(&s.schema, value, hex);
        else refuses(&s.schema, hex, WISP_E_SYNTAX);
        if (!is_good) CHECK_EQ_INT(encode(proto_of(), &s.schema, &value), WISP_E_TYPE);
        if (!is_good) refuses(single_of(&s, &list, 0, 0), hex, WISP_E_SYNTAX);
        single_of(&s, &t_bytes, 0, WISP_FLAG_MAYBE);
        round_trips(&s.schema, map_of(&pair, wisp_bytes(raw, size)), hex);
    }
}

TEST(texts_end_with_a_nul_and_bytes_stay_where_they_are) {
    proto *b = proto_of();
    single s;
    reads(single_of(&s, &t_string, 0, 0), "0a03616263");
    CHECK_EQ_STR(decoded("v")->as.string, "abc");
    CHECK_EQ_INT(decoded("v")->count, 3);
    reads(&s.schema, "");
    CHECK_EQ_STR(decoded("v")->as.string, "");
    single_of(&s, &t_bytes, 0, 0);
    b->size = add_hex(b->bytes, 0, "0a03616263");
    CHECK_EQ_INT(wisp_protobuf()->decode(wisp_protobuf(), &s.schema, b->bytes, b->size, &b->value,
                                         b->memory, (int)sizeof b->memory), 5);
    CHECK(decoded("v")->as.bytes == b->bytes + 2);
}

/* --- what a field is that has not come, and when it is written --- */

TEST(optional_fields_are_written_when_they_differ_from_their_default) {
    static const wisp_field fields[] = {
        WISP_OPTIONAL_MAP_FIELD("hp", WISP_T_INT32, 100),
        WISP_OPTIONAL_MAP_FIELD("speed", WISP_T_FLOAT, 1.5),
        WISP_OPTIONAL_MAP_FIELD("alive", WISP_T_BOOL, 1),
        WISP_OPTIONAL_TEXT_MAP_FIELD("name", WISP_T_STRING(20), "nobody"),
        WISP_OPTIONAL_TEXT_MAP_FIELD("color", WISP_T_ENUM(color_names, 3), "blue"),
        WISP_OPTIONAL_MAP_FIELD("delta", WISP_T_SINT64, -3),
        WISP_OPTIONAL_TEXT_MAP_FIELD("any", WISP_T_ANY, "x"),
        WISP_OPTIONAL_MAP_FIELD("list", WISP_T_ARRAY(&t_int32, 3), 0),
        WISP_OPTIONAL_MAP_FIELD("at", WISP_T_VEC2, 0),
    };
    static const wisp_schema schema = WISP_MAP_SCHEMA("optional", 1, fields);
    wisp_pair pairs[] = {
        { "hp", wisp_int(100) }, { "speed", wisp_number(1.5) }, { "alive", wisp_bool(true) },
        { "name", wisp_string("nobody") }, { "color", wisp_string("blue") },
        { "delta", wisp_int(-3) }, { "list", wisp_array(NULL, 0) }
    };
    wisp_pair zeros[] = {
        { "hp", wisp_int(0) }, { "speed", wisp_float(0) }, { "alive", wisp_bool(false) },
        { "name", wisp_string("") }, { "color", wisp_int(0) }, { "delta", wisp_int(0) },
        { "any", wisp_nil() }
    };
    writes(&schema, wisp_map(pairs, 7), "");
    writes(&schema, wisp_map(NULL, 0), "");
    writes(&schema, wisp_map(zeros, 7), "0800 1500000000 1800 2200 2800 3000 3a020800");
    reads(&schema, "");
    CHECK_EQ_INT(proto_of()->value.count, 9);
    CHECK_EQ_INT(decoded("hp")->as.integer, 100);
    CHECK_NEAR(decoded("speed")->as.float32, 1.5, 0);
    CHECK(decoded("alive")->as.boolean);
    CHECK_EQ_STR(decoded("name")->as.string, "nobody");
    CHECK_EQ_INT(decoded("color")->as.integer, 2);
    CHECK_EQ_INT(decoded("delta")->as.integer, -3);
    CHECK_EQ_STR(decoded("any")->as.string, "x");
    CHECK_EQ_INT(decoded("list")->kind, WISP_ARRAY);
    CHECK_EQ_INT(decoded("at")->kind, WISP_VEC2);
    reads(&schema, "0800 2200 3a020800");
    CHECK_EQ_INT(decoded("hp")->as.integer, 0);
    CHECK_EQ_STR(decoded("name")->as.string, "");
    CHECK_EQ_INT(decoded("any")->kind, WISP_NIL);
}

TEST(fields_that_may_be_missing_are_written_when_they_are_there) {
    static const wisp_field fields[] = {
        WISP_MAYBE_MAP_FIELD("n", WISP_T_INT32), WISP_MAYBE_MAP_FIELD("at", WISP_T_VEC3),
        WISP_MAYBE_MAP_FIELD("list", WISP_T_ARRAY(&t_int32, 3)),
        WISP_MAYBE_MAP_FIELD("any", WISP_T_ANY), WISP_MAP_FIELD("must", WISP_T_BOOL)
    };
    static const wisp_schema schema = WISP_MAP_SCHEMA("maybe", 1, fields);
    wisp_pair pairs[] = {
        { "must", wisp_bool(false) }, { "n", wisp_int(0) }, { "at", wisp_vec3v(0, 0, 0) },
        { "list", wisp_array(NULL, 0) }, { "any", wisp_nil() }
    };
    wisp_value value = wisp_map(pairs + 1, 4);
    round_trips(&schema, wisp_map(pairs, 1), "");
    round_trips(&schema, wisp_map(pairs, 2), "0800");
    round_trips(&schema, wisp_map(pairs, 3), "0800 1200");
    round_trips(&schema, wisp_map(pairs, 4), "0800 1200 1a00");
    round_trips(&schema, wisp_map(pairs, 5), "0800 1200 1a00 22020800");
    CHECK_EQ_INT(encode(proto_of(), &schema, &value), WISP_E_INVALID);    /* one must be there */
}

TEST(messages_that_have_not_come_are_zero) {
    static const wisp_field inner[] = { WISP_MAP_FIELD("a", WISP_T_INT32),
                                        WISP_OPTIONAL_MAP_FIELD("b", WISP_T_INT32, 7) };
    static const wisp_schema inner_schema = WISP_MAP_SCHEMA("inner", 1, inner);
    static const wisp_field fields[] = {
        WISP_MAP_FIELD("in", WISP_T_STRUCT(&inner_schema)), WISP_MAP_FIELD("q", WISP_T_QUAT(0)),
        WISP_MAP_FIELD("t", WISP_T_TRANSFORM), WISP_MAP_FIELD("any", WISP_T_ANY),
        WISP_MAP_FIELD("list", WISP_T_ARRAY(&t_int32, 3))
    };
    static const wisp_schema schema = WISP_MAP_SCHEMA("outer", 1, fields);
    reads(&schema, "");
    CHECK_EQ_INT(wisp_field_of(decoded("in"), "a")->as.integer, 0);
    CHECK_EQ_INT(wisp_field_of(decoded("in"), "b")->as.integer, 7);
    CHECK_EQ_INT(decoded("q")->kind, WISP_QUAT);
    CHECK_EQ_INT(decoded("t")->kind, WISP_TRANSFORM);
    CHECK_EQ_INT(decoded("any")->kind, WISP_NIL);
    CHECK_EQ_INT(decoded("list")->count, 0);
}

/* --- messages in messages --- */

/* message Tree { int32 a = 1; int64 b = 2; repeated int32 n = 3; repeated Tree kids = 4;
                  optional Tree next = 5; Choice choice = 6; }
   message Choice { oneof { string = 1; Tree = 2; int64 = 3; message { repeated int32 } = 4; } } */
static wisp_schema tree;
static const wisp_type t_tree = WISP_T_STRUCT(&tree);
static const wisp_type protobuf_choices[] = { WISP_T_STRING(50), WISP_T_STRUCT(&tree), WISP_T_INT64,
                                              WISP_T_ARRAY(&t_int32, 50) };
static const wisp_field tree_fields[] = {
    WISP_OPTIONAL_MAP_FIELD("a", WISP_T_INT32, 0), WISP_OPTIONAL_MAP_FIELD("b", WISP_T_INT64, 0),
    WISP_OPTIONAL_MAP_FIELD("n", WISP_T_ARRAY(&t_int32, 1000), 0),
    WISP_OPTIONAL_MAP_FIELD("kids", WISP_T_ARRAY(&t_tree, 1000), 0),
    WISP_MAYBE_MAP_FIELD("next", WISP_T_STRUCT(&tree)),
    WISP_MAYBE_MAP_FIELD("choice", WISP_T_UNION(protobuf_choices, 4))
};

static const wisp_schema *tree_schema(void) {
    tree.name = "tree";
    tree.version = 1;
    tree.fields = tree_fields;
    tree.count = 6;
    tree.shape = WISP_SHAPE_MAP;
    return &tree;
}

TEST(messages_that_come_twice_are_merged) {
    const wisp_schema *schema = tree_schema();
    reads_as(schema, "2a08 08d209 10d209 1801", "2a09 08d209 10d209 1a0101");
    reads_as(schema, "2a06 08d209 18d209 2a06 08e121 18e121", "2a09 08e121 1a04 d209e121");
    reads_as(schema, "2a08 2a06 08d209 10d209 2a05 2a03 08e121", "2a08 2a06 08e121 10d209");
    reads_as(schema, "2a02 0805 2a00", "2a02 0805");
    reads_as(schema, "2204 2202 0805 2204 2202 0806", "2204 2202 0805 2204 2202 0806");
    reads_as(schema, "1801 1a020203 0805 1804", "0805 1a0401020304");
}

TEST(of_the_options_of_a_union_the_last_wins) {
    const wisp_schema *schema = tree_schema();
    reads_as(schema, "3203 0a0161", "3203 0a0161");
    reads_as(schema, "3202 0a00", "3202 0a00");                    /* zeros are written */
    reads_as(schema, "3202 1800", "3202 1800");
    reads_as(schema, "3202 2200", "3202 2200");
    reads_as(schema, "3202 1200", "3202 1200");
    reads_as(schema, "3205 0a0161 1805", "3202 1805");
    reads_as(schema, "3203 0a0161 3202 1805", "3202 1805");
    reads_as(schema, "3202 1805 3203 0a0161", "3203 0a0161");
    reads_as(schema, "3202 1805 3202 2805", "3202 1805");          /* an option nobody knows */
    reads_as(schema, "3204 1202 0805 3206 1204 1006 1801", "3209 1207 0805 1006 1a0101");
    reads_as(schema, "3204 1202 0805 3202 1807 3204 1202 1006", "3204 1202 1006");
    reads_as(schema, "3205 2203 0a0101 3204 2202 0802", "3206 2204 0a02 0102");
    reads_as(schema, "3200", "");                                  /* none: it is not there */
    CHECK(decoded("choice") == NULL);
    reads_as(schema, "3202 0805", "");
}

TEST(a_union_is_written_as_the_first_option_that_fits) {
    static const wisp_field point[] = { WISP_MAP_FIELD("x", WISP_T_INT32),
                                        WISP_MAP_FIELD("y", WISP_T_INT32) };
    static const wisp_field circle[] = { WISP_MAP_FIELD("x", WISP_T_INT32),
                                         WISP_MAP_FIELD("r", WISP_T_INT32) };
    static const wisp_schema points = WISP_MAP_SCHEMA("point", 1, point);
    static const wisp_schema circles = WISP_MAP_SCHEMA("circle", 1, circle);
    static const wisp_type options[] = {
        WISP_T_LITERAL_TEXT("none"), WISP_T_LITERAL(7), WISP_T_RANGE(10, 20), WISP_T_INT8,
        WISP_T_STRUCT(&points), WISP_T_STRUCT(&circles), WISP_T_ENUM(color_names, 3),
        WISP_T_STRING(4), WISP_T_NUMBER_RANGE(0, 1), WISP_T_NUMBER, WISP_T_BYTES(4), WISP_T_VEC3,
        WISP_T_BOOL, WISP_T_ARRAY(&t_string, 2), WISP_T_OBJECT, WISP_T_EXACT(WISP_COLOR)
    };
    static const wisp_type type = WISP_T_UNION(options, 16);
    wisp_pair pair, xy[] = { { "y", wisp_int(2) }, { "x", wisp_int(1) } };
    wisp_pair xr[] = { { "x", wisp_int(1) }, { "r", wisp_int(2) } };
    wisp_value texts[3] = { wisp_string("a"), wisp_string("b"), wisp_string("c") }, value;
    wisp_object object = { 9 };
    single s;
    const wisp_schema *schema = single_of(&s, &type, 0, 0);
    writes(schema, map_of(&pair, wisp_string("none")), "0a06 0a04 6e6f6e65");
    writes(schema, map_of(&pair, wisp_int(7)), "0a09 11 0000000000001c40");
    writes(schema, map_of(&pair, wisp_int(12)), "0a02 180c");
    writes(schema, map_of(&pair, wisp_int(1)), "0a02 2001");
    writes(schema, map_of(&pair, wisp_map(xy, 2)), "0a06 2a04 0801 1002");
    writes(schema, map_of(&pair, wisp_map(xr, 2)), "0a06 3204 0801 1002");
    writes(schema, map_of(&pair, wisp_string("blue")), "0a02 3802");
    writes(schema, map_of(&pair, wisp_string("grey")), "0a06 4204 67726579");
    writes(schema, map_of(&pair, wisp_number(0.5)), "0a09 49 000000000000e03f");
    writes(schema, map_of(&pair, wisp_number(1.5)), "0a09 51 000000000000f83f");
    writes(schema, map_of(&pair, wisp_bytes("ab", 2)), "0a04 5a02 6162");
    writes(schema, map_of(&pair, wisp_vec3v(1, 0, 0)), "0a07 6205 0d0000803f");
    writes(schema, map_of(&pair, wisp_bool(false)), "0a02 6800");
    writes(schema, map_of(&pair, wisp_array(texts, 2)), "0a08 7206 0a0161 0a0162");
    writes(schema, map_of(&pair, wisp_reference(object)), "0a02 7809");
    value = map_of(&pair, wisp_array(texts, 3));
    CHECK_EQ_INT(encode(proto_of(), schema, &value), WISP_E_INVALID);
    value = map_of(&pair, wisp_map(xy, 1));
    CHECK_EQ_INT(encode(proto_of(), schema, &value), WISP_E_INVALID);
    value = map_of(&pair, wisp_string("green grass"));
    CHECK_EQ_INT(encode(proto_of(), schema, &value), WISP_E_INVALID);
}

TEST(a_union_is_written_as_the_option_that_holds_it_as_it_is) {
    static const wisp_type options[] = { WISP_T_FLOAT, WISP_T_QUANTIZED(0, 1, 0.25),
                                         WISP_T_NUMBER };
    static const wisp_type type = WISP_T_UNION(options, 3);
    wisp_pair pair;
    single s;
    const wisp_schema *schema = single_of(&s, &type, 0, 0);
    writes(schema, map_of(&pair, wisp_number(0.5)), "0a05 0d 0000003f");
    writes(schema, map_of(&pair, wisp_number(0.1)), "0a09 19 9a9999999999b93f");
}

/* Read by wisp_decode, so that it must fit the schema too. */
static int elements_of(const wisp_type *type, const char *hex) {
    static uint64_t memory[1 << 14];
    single s;
    const wisp_schema *schema = single_of(&s, type, 0, 0);
    proto *b = proto_of();
    int size = add_hex(b->bytes, 0, hex), result;
    b->value = wisp_nil();
    result = wisp_decode(wisp_protobuf(), schema, b->bytes, size, &b->value, memory,
                         (int)sizeof memory);
    if (result < 0) return result;
    CHECK_EQ_INT(result, size);
    b->value = *wisp_element_of(&b->value, 0);
    return b->value.count;
}

static int64_t element_at(int i) {
    const wisp_value *element = wisp_element_of(&proto_of()->value, i);
    return element && element->kind == WISP_INT ? element->as.integer : -1;
}

/* A oneof that is not set, between others, alone, in an option that is a union itself. */
TEST(an_empty_element_of_a_list_of_unions_is_left_out) {
    static const wisp_type inner_options[] = { WISP_T_STRING(4), WISP_T_INT32 };
    static const wisp_type inner = WISP_T_UNION(inner_options, 2);
    static const wisp_type options[] = { WISP_T_UNION(inner_options, 2), WISP_T_INTEGER,
                                         WISP_T_ARRAY(&inner, 4) };
    static const wisp_type element = WISP_T_UNION(options, 3), list = WISP_T_ARRAY(&element, 5);
    static const wisp_type lists = WISP_T_ARRAY(&list, 3);
    static const wisp_type any_options[] = { WISP_T_INTEGER, WISP_T_ANY };
    static const wisp_type any = WISP_T_UNION(any_options, 2), anys = WISP_T_ARRAY(&any, 4);
    CHECK_EQ_INT(elements_of(&list, "0a02 1005 0a00 0a02 1006"), 2);
    CHECK_EQ_INT(element_at(0), 5);
    CHECK_EQ_INT(element_at(1), 6);
    CHECK_EQ_INT(elements_of(&list, "0a00"), 0);
    CHECK_EQ_INT(elements_of(&list, "0a00 0a00 0a02 1007"), 1);
    CHECK_EQ_INT(element_at(0), 7);
    CHECK_EQ_INT(elements_of(&list, "0a02 2805 0a02 1008"), 1);          /* only one unknown */
    CHECK_EQ_INT(elements_of(&list, "0a02 0a00 0a04 0a02 1009"), 1);     /* the inner one empty */
    CHECK_EQ_INT(element_at(0), 9);
    CHECK_EQ_INT(elements_of(&list, "0a02 1a00"), 1);                    /* an empty array is one */
    CHECK_EQ_INT(wisp_element_of(&proto_of()->value, 0)->kind, WISP_ARRAY);
    CHECK_EQ_INT(elements_of(&list, "0a08 1a06 0a00 0a02 1001"), 1);
    CHECK_EQ_INT(wisp_element_of(&proto_of()->value, 0)->count, 1);
    CHECK_EQ_INT(elements_of(&lists, "0a02 0a00 0a00 0a06 0a00 0a02 1003"), 3);
    CHECK_EQ_INT(wisp_element_of(&proto_of()->value, 2)->count, 1);
    CHECK_EQ_INT(elements_of(&anys, "0a02 0805 0a00 0a02 1200"), 3);     /* nil is a value there */
    CHECK_EQ_INT(wisp_element_of(&proto_of()->value, 1)->kind, WISP_NIL);
}

/* What has nothing in it is written all the same where it says which option it is. */
TEST(elements_that_are_empty_come_back) {
    static const wisp_field none[] = { WISP_MAYBE_MAP_FIELD("m", WISP_T_INT32) };
    static const wisp_schema nothing = WISP_MAP_SCHEMA("nothing", 1, none);
    static const wisp_type string = WISP_T_STRING(4);
    static const wisp_type options[] = {
        WISP_T_LITERAL_TEXT(""), WISP_T_LITERAL(0), WISP_T_STRUCT(&nothing),
        WISP_T_ARRAY(&string, 2), WISP_T_BYTES(2), WISP_T_VEC3, WISP_T_TRANSFORM
    };
    static const wisp_type element = WISP_T_UNION(options, 7), list = WISP_T_ARRAY(&element, 9);
    wisp_vec3 position = { 0, 0, 0 };
    wisp_quat rotation = { 0, 0, 0, 0 };
    wisp_value items[7], out = wisp_nil();
    static uint64_t memory[1 << 14];
    wisp_pair pair;
    wisp_value value;
    single s;
    const wisp_schema *schema = single_of(&s, &list, 0, 0);
    proto *b = proto_of();
    int size;
    items[0] = wisp_string("");
    items[1] = wisp_int(0);
    items[2] = wisp_map(NULL, 0);
    items[3] = wisp_array(NULL, 0);
    items[4] = wisp_bytes("", 0);
    items[5] = wisp_vec3v(0, 0, 0);
    items[6] = wisp_transformv(position, rotation);
    for (int count = 0; count <= 7; count++) {
        value = map_of(&pair, wisp_array(items, count));
        size = wisp_encode(wisp_protobuf(), schema, &value, b->out, ROOM);
        if (!CHECK(size >= 0)) return;
        CHECK_EQ_INT(wisp_decode(wisp_protobuf(), schema, b->out, size, &out, memory,
                                 (int)sizeof memory), size);
        CHECK(wisp_equal(&value, &out));
    }
}

/* As proto3 has it; a closed one refuses what has no name. */
TEST(numbers_without_a_name_stay_in_open_enums) {
    static const wisp_type open = WISP_T_ENUM_OPEN(color_names, 3), list = WISP_T_ARRAY(&open, 4);
    static const wisp_type closed = WISP_T_ARRAY(&t_enum, 4);
    wisp_pair pair;
    single s;
    const wisp_schema *schema = single_of(&s, &open, 0, 0);
    writes(schema, map_of(&pair, wisp_string("blue")), "0802");
    writes(schema, map_of(&pair, wisp_int(1000)), "08e807");
    writes(schema, map_of(&pair, wisp_int(-1)), "08ffffffffffffffffff01");
    CHECK_EQ_INT(elements_of(&list, "0a0e 01 e807 ffffffffffffffffff01 00"), 4);
    CHECK_EQ_STR(wisp_element_of(&proto_of()->value, 0)->as.string, "green");
    CHECK_EQ_INT(element_at(1), 1000);
    CHECK_EQ_INT(wisp_element_of(&proto_of()->value, 2)->as.integer, -1);
    CHECK_EQ_STR(wisp_element_of(&proto_of()->value, 3)->as.string, "red");
    CHECK_EQ_INT(elements_of(&closed, "0a02 01 02"), 2);
    CHECK_EQ_INT(elements_of(&closed, "0a03 01 e807"), WISP_E_INVALID);
}

TEST(vectors_and_their_kin_are_messages_of_floats) {
    wisp_vec3 position = { 1, 2, 0 };
    wisp_quat rotation = { 0, 0, 0, 1 };
    static const wisp_type vec2 = WISP_T_VEC2, vec3 = WISP_T_VEC3, vec4 = WISP_T_VEC4;
    static const wisp_type quat = WISP_T_QUAT(10), color = WISP_T_COLOR;
    static const wisp_type transform = WISP_T_TRANSFORM;
    wisp_pair pair;
    wisp_value value = map_of(&pair, wisp_vec2v(1, 2));
    single s;
    round_trips(single_of(&s, &vec2, 0, 0), value, "0a0a 0d0000803f 1500000040");
    round_trips(single_of(&s, &vec2, 0, 0), map_of(&pair, wisp_vec2v(0, -0.0f)), "0a05 1500000080");
    round_trips(single_of(&s, &vec2, 0, 0), map_of(&pair, wisp_vec2v(0, 0)), "0a00");
    round_trips(single_of(&s, &vec3, 0, 0), map_of(&pair, wisp_vec3v(0, 0, 2)), "0a05 1d00000040");
    round_trips(single_of(&s, &vec4, 0, 0), map_of(&pair, wisp_vec4v(1, 0, 0, 2)),
                "0a0a 0d0000803f 2500000040");
    round_trips(single_of(&s, &quat, 0, 0), map_of(&pair, wisp_quatv(0, 0, 0, 1)),
                "0a05 250000803f");
    round_trips(single_of(&s, &color, 0, 0), map_of(&pair, wisp_color3(1, 0, 0)),
                "0a0a 0d0000803f 250000803f");
    round_trips(single_of(&s, &transform, 0, 0), map_of(&pair, wisp_transformv(position, rotation)),
                "0a13 0a0a 0d0000803f 1500000040 1205 250000803f");
    reads_as(&s.schema, "0a07 0a05 0d0000803f 0a07 0a05 1500000040 0a02 1801",
             "0a0e 0a0a 0d0000803f 1500000040 1200");
    reads_as(single_of(&s, &vec2, 0, 0), "0a0a 1d01020304 0d0000803f 0a04 0805 1200",
             "0a05 0d0000803f");
    CHECK_EQ_INT(encode(proto_of(), single_of(&s, &vec3, 0, 0), &value), WISP_E_INVALID);
    refuses(&s.schema, "0a04 0d000080", WISP_E_SYNTAX);
}

TEST(arrays_of_arrays_are_messages_with_a_list) {
    static const wisp_type row = WISP_T_ARRAY(&t_int32, 9), words = WISP_T_ARRAY(&t_string, 9);
    static const wisp_type grid = WISP_T_ARRAY(&row, 9), pages = WISP_T_ARRAY(&words, 9);
    static const wisp_type cube = WISP_T_ARRAY(&grid, 9);
    wisp_value one_two[2] = { wisp_int(1), wisp_int(2) }, text = wisp_string("a");
    wisp_value rows[3], planes[2];
    wisp_pair pair;
    single s;
    rows[0] = wisp_array(one_two, 2);
    rows[1] = wisp_array(NULL, 0);
    rows[2] = wisp_array(one_two, 1);
    planes[0] = wisp_array(rows, 3);
    planes[1] = wisp_array(rows, 0);
    round_trips(single_of(&s, &grid, 0, 0), map_of(&pair, wisp_array(rows, 3)),
                "0a04 0a020102 0a00 0a03 0a0101");
    reads_as(&s.schema, "0a04 0801 0802 0a00 0a04 0801 1005", "0a04 0a020102 0a00 0a03 0a0101");
    round_trips(single_of(&s, &cube, 0, 0), map_of(&pair, wisp_array(planes, 2)),
                "0a0d 0a04 0a020102 0a00 0a03 0a0101 0a00");
    rows[0] = wisp_array(&text, 1);
    round_trips(single_of(&s, &pages, 0, 0), map_of(&pair, wisp_array(rows, 2)),
                "0a03 0a0161 0a00");
}

TEST(fields_stand_in_the_order_of_their_numbers) {
    static const wisp_field fields[] = {
        WISP_NUMBERED_MAP_FIELD("top", WISP_T_INT32, 536870911),
        WISP_NUMBERED_MAP_FIELD("ten", WISP_T_INT32, 10), WISP_MAP_FIELD("three", WISP_T_INT32),
        WISP_NUMBERED_MAP_FIELD("one", WISP_T_INT32, 1),
        WISP_NUMBERED_MAP_FIELD("sixteen", WISP_T_INT32, 16)
    };
    static const wisp_schema schema = WISP_MAP_SCHEMA("order", 1, fields);
    wisp_pair pairs[] = { { "one", wisp_int(1) }, { "three", wisp_int(3) }, { "ten", wisp_int(10) },
                          { "sixteen", wisp_int(16) }, { "top", wisp_int(99) } };
    round_trips(&schema, wisp_map(pairs, 5), "0801 1803 500a 800110 f8ffffff0f63");
    reads_as(&schema, "f8ffffff0f63 2001 800110 500a 2801 1803 f0ffffff0f00 0801",
             "0801 1803 500a 800110 f8ffffff0f63");
}

TEST(fields_are_found_by_number_in_any_order) {
    wisp_field fields[300];
    wisp_schema schema;
    wisp_pair pairs[300];
    char names[300][16];
    proto *b = proto_of();
    for (int shuffled = 0; shuffled < 2; shuffled++) {
        wisp_value value = wisp_map(pairs, 300);
        memset(&schema, 0, sizeof schema);
        memset(fields, 0, sizeof fields);
        schema.fields = fields;
        schema.count = 300;
        schema.shape = WISP_SHAPE_MAP;
        for (int i = 0; i < 300; i++) {
            snprintf(names[i], sizeof names[i], "f%d", i);
            fields[i].name = pairs[i].key = names[i];
            fields[i].type = t_int32;
            fields[i].offset = -1;
            fields[i].number = shuffled ? 1 + i * 7 % 300 * 3 : 1 + 3 * i;
            pairs[i].value = wisp_int(i + 1);
        }
        b->size = encode(b, &schema, &value);
        CHECK(b->size > 0);
        memcpy(b->bytes, b->out, (size_t)b->size);
        b->size = add_hex(b->bytes, b->size, "1001 10 01 f8ffffff0f63");
        if (!CHECK_EQ_INT(decode_bytes(b, &schema, b->bytes, b->size), b->size)) return;
        CHECK(wisp_equal(&b->value, &value));
    }
}

TEST(rows_are_arrays_in_the_order_of_the_fields) {
    static const wisp_field fields[] = {
        WISP_MAP_FIELD("damage", WISP_T_INT32), WISP_MAYBE_MAP_FIELD("who", WISP_T_STRING(9)),
        WISP_NUMBERED_MAP_FIELD("with", WISP_T_STRING(20), 1 + 8),
        WISP_MAYBE_MAP_FIELD("any", WISP_T_ANY)
    };
    static const wisp_schema schema = WISP_LIST_SCHEMA("hit", 1, fields);
    wisp_value values[4] = { wisp_int(12), wisp_nil(), wisp_string("sword"), wisp_bool(true) };
    wisp_value map = wisp_map(NULL, 0), row = wisp_array(values, 2);
    round_trips(&schema, wisp_array(values, 4), "080c 22022001 4a0573776f7264");
    values[1] = wisp_string("me");
    round_trips(&schema, wisp_array(values, 4), "080c 12026d65 22022001 4a0573776f7264");
    writes(&schema, wisp_array(values, 3), "080c 12026d65 4a0573776f7264");
    reads(&schema, "080c");
    CHECK_EQ_INT(proto_of()->value.count, 4);
    CHECK_EQ_INT(wisp_element_of(&proto_of()->value, 1)->kind, WISP_NIL);
    CHECK_EQ_INT(wisp_element_of(&proto_of()->value, 2)->kind, WISP_STRING);
    CHECK_EQ_INT(wisp_element_of(&proto_of()->value, 3)->kind, WISP_NIL);
    CHECK_EQ_INT(encode(proto_of(), &schema, &map), WISP_E_INVALID);
    CHECK_EQ_INT(encode(proto_of(), &schema, &row), WISP_E_INVALID);
}

typedef struct gun { char name[9]; uint16_t rounds; } gun;

typedef struct soldier {
    bool      alive;
    int8_t    small;
    int32_t   hp;
    uint64_t  xp;
    float     speed;
    double    far;
    float     heights[3];
    wisp_vec3 at;
    gun       guns[2];
    int       gun_count;
    uint8_t   color;
} soldier;

static const wisp_field gun_fields[] = { WISP_FIELD(gun, name, WISP_T_STRING(8)),
                                         WISP_FIELD(gun, rounds, WISP_T_UINT) };
static const wisp_schema gun_schema = WISP_SCHEMA(gun, 1, gun_fields);
static const wisp_type t_gun = WISP_T_STRUCT(&gun_schema);
static const wisp_field soldier_fields[] = {
    WISP_FIELD(soldier, alive, WISP_T_BOOL), WISP_FIELD(soldier, small, WISP_T_INTEGER),
    WISP_FIELD(soldier, hp, WISP_T_RANGE(-100, 100)), WISP_FIELD(soldier, xp, WISP_T_UINT),
    WISP_FIELD(soldier, speed, WISP_T_NUMBER), WISP_FIELD(soldier, far, WISP_T_NUMBER),
    WISP_FIELD(soldier, heights, WISP_T_ARRAY(&t_number, 3)),
    WISP_FIELD(soldier, at, WISP_T_VEC3),
    WISP_COUNTED_FIELD(soldier, guns, gun_count, WISP_T_ARRAY(&t_gun, 2)),
    WISP_FIELD(soldier, color, WISP_T_ENUM(color_names, 3))
};
static const wisp_schema soldier_schema = WISP_SCHEMA(soldier, 1, soldier_fields);

TEST(structs_travel_as_wide_as_their_members) {
    static const char hex[] =
        "0801 10" MOST_64 "18feffffffffffffffff01 20ac02 2d0000803f 310000000000000040"
        "3a0c000000000000803f00000000 4205150000803f 4a08 0a04636f6c74 1006 5002";
    soldier s;
    memset(&s, 0, sizeof s);
    s.alive = true;
    s.small = -1;
    s.hp = -2;
    s.xp = 300;
    s.speed = 1.0f;
    s.far = 2.0;
    s.heights[1] = 1.0f;
    s.at.y = 1.0f;
    s.gun_count = 1;
    strcpy(s.guns[0].name, "colt");
    s.guns[0].rounds = 6;
    s.color = 2;
    writes(&soldier_schema, wisp_struct(&soldier_schema, &s), hex);
    reads_as(&soldier_schema, hex, hex);
    CHECK_EQ_INT(decoded("speed")->kind, WISP_FLOAT);
    CHECK_EQ_INT(decoded("far")->kind, WISP_NUMBER);
    CHECK_EQ_STR(wisp_field_of(wisp_element_of(decoded("guns"), 0), "name")->as.string, "colt");
}

/* --- depth --- */

/* A message of `depth` others, each in field `number` of the one around it. */
static int nest(proto *b, unsigned number, int depth, int inner) {
    int size = inner, at = ROOM - inner;
    for (int i = 0; i < depth; i++) {
        int head = size < 128 ? 2 : 3;
        at -= head;
        b->bytes[at] = (uint8_t)(number << 3 | 2);
        b->bytes[at + 1] = (uint8_t)(size < 128 ? size : (size & 127) | 128);
        if (head == 3) b->bytes[at + 2] = (uint8_t)(size >> 7);
        size += head;
    }
    memmove(b->bytes, b->bytes + at, (size_t)size);
    return size;
}

TEST(messages_nest_a_hundred_deep) {
    proto *b = proto_of();
    for (int depth = 98; depth < 103; depth++) {
        for (unsigned field = 4; field < 6; field++) {
            int size = nest(b, field, depth, 0);
            wisp_value value;
            CHECK_EQ_INT(decode_bytes(b, tree_schema(), b->bytes, size),
                         depth <= 100 ? size : WISP_E_DEPTH);
            value = b->value;
            if (depth <= 100) CHECK_EQ_INT(encode(b, &tree, &value), size);
        }
    }
    CHECK_EQ_INT(decode_bytes(b, &tree, b->bytes, nest(b, 5, 5000, 0)), WISP_E_DEPTH);
}

TEST(a_type_that_holds_itself_ends) {
    static wisp_schema endless;
    static const wisp_field fields[] = { WISP_MAP_FIELD("self", WISP_T_STRUCT(&endless)) };
    endless.fields = fields;
    endless.count = 1;
    endless.shape = WISP_SHAPE_MAP;
    CHECK_EQ_INT(decode_hex(proto_of(), &endless, ""), WISP_E_DEPTH);
}

/* --- random values --- */

typedef struct maker {
    uint64_t   seed;
    int        values, pairs, bytes;
    wisp_value value[20000];
    wisp_pair  pair[20000];
    char       text[20000];
} maker;

static maker *maker_of(uint64_t seed) {
    static maker m;
    m.seed = seed;
    m.values = m.pairs = m.bytes = 0;
    return &m;
}

static const char *make_text(maker *m, int *size) {
    static const char *const parts[] = { "a", "\xc3\xa9", "\xe8\xb0\xb7", "\xf0\x9f\x98\x81", "k" };
    char *text = m->text + m->bytes;
    text[0] = 0;
    for (int i = test_random_below(&m->seed, 6); i > 0; i--)
        strcat(text, parts[test_random_below(&m->seed, 5)]);
    *size = (int)strlen(text);
    m->bytes += *size + 1;
    return text;
}

static int64_t make_integer(maker *m, int width) {
    uint64_t bits = test_random(&m->seed) >> test_random_below(&m->seed, 64);
    if (test_random_below(&m->seed, 2)) bits = 0 - bits;
    return width == 32 ? (int32_t)(uint32_t)bits : (int64_t)bits;
}

/* What a google.protobuf.Value can say. */
static wisp_value make_value(maker *m, int depth) {
    int kind = test_random_below(&m->seed, depth < 5 ? 7 : 5), count = 0, first;
    const char *text;
    switch (kind) {
    case 0: return wisp_nil();
    case 1: return wisp_bool(test_random_below(&m->seed, 2));
    case 2: return wisp_int(make_integer(m, 32));
    case 3: return wisp_number(test_random_unit(&m->seed) * 1e9 - 5e8);
    case 4: text = make_text(m, &count); return wisp_string_n(text, count);
    default: break;
    }
    count = test_random_below(&m->seed, 5);
    first = kind == 5 ? m->values : m->pairs;
    if (kind == 5) m->values += count;
    else m->pairs += count;
    for (int i = 0; i < count; i++) {
        wisp_value item = make_value(m, depth + 1);
        int size;
        if (kind == 5) {
            m->value[first + i] = item;
            continue;
        }
        text = make_text(m, &size);
        m->text[m->bytes - 1] = (char)('A' + i);       /* no key twice */
        m->text[m->bytes++] = 0;
        m->pair[first + i].key = text;
        m->pair[first + i].value = item;
    }
    return kind == 5 ? wisp_array(m->value + first, count) : wisp_map(m->pair + first, count);
}

static wisp_value make_list(maker *m, int count) {
    int first = m->values;
    m->values += count;
    for (int i = 0; i < count; i++) m->value[first + i] = wisp_int(make_integer(m, 32));
    return wisp_array(m->value + first, count);
}

/* All fields of a tree, in any order. */
static wisp_value make_tree(maker *m, int depth) {
    wisp_value kids, choice = wisp_int(make_integer(m, 64));
    int first = m->pairs, count = 4, size;
    const char *text = make_text(m, &size);
    m->pairs += 6;
    m->pair[first].key = "b";
    m->pair[first].value = wisp_int(make_integer(m, 64));
    m->pair[first + 1].key = "a";
    m->pair[first + 1].value = wisp_int(make_integer(m, 32));
    m->pair[first + 2].key = "n";
    m->pair[first + 2].value = make_list(m, test_random_below(&m->seed, 4));
    kids = wisp_array(m->value + m->values, depth < 3 ? test_random_below(&m->seed, 3) : 0);
    m->values += kids.count;
    for (int i = 0; i < kids.count; i++)
        m->value[kids.as.array - m->value + i] = make_tree(m, depth + 1);
    m->pair[first + 3].key = "kids";
    m->pair[first + 3].value = kids;
    if (depth < 3 && test_random_below(&m->seed, 2)) {
        m->pair[first + count].key = "next";
        m->pair[first + count++].value = make_tree(m, depth + 1);
    }
    if (test_random_below(&m->seed, 4) == 0) choice = wisp_string_n(text, size);
    if (depth < 3 && test_random_below(&m->seed, 4) == 0) choice = make_tree(m, depth + 1);
    if (test_random_below(&m->seed, 4) == 0) choice = make_list(m, 3);
    if (test_random_below(&m->seed, 2)) {
        m->pair[first + count].key = "choice";
        m->pair[first + count++].value = choice;
    }
    return wisp_map(m->pair + first, count);
}

TEST(random_values_come_back_equal_and_are_written_the_same_again) {
    proto *b = proto_of();
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        maker *m = maker_of(seed);
        const wisp_schema *schema = seed % 2 ? tree_schema() : NULL;
        wisp_value value = schema ? make_tree(m, 0) : make_value(m, 0), again;
        b->size = encode(b, schema, &value);
        if (!CHECK(b->size >= 0)) return;
        memcpy(b->bytes, b->out, (size_t)b->size);
        if (!CHECK_EQ_INT(decode_bytes(b, schema, b->bytes, b->size), b->size)) return;
        if (!CHECK(wisp_equal(&b->value, &value))) return;
        again = b->value;
        CHECK_EQ_INT(encode(b, schema, &again), b->size);
        CHECK_EQ_MEM(b->out, b->bytes, b->size);
    }
}

/* --- too little room, and input that is torn --- */

static int protobuf_sample(proto *b, uint64_t seed, const wisp_schema *schema, wisp_value *value) {
    maker *m = maker_of(seed);
    *value = schema ? make_tree(m, 0) : make_value(m, 0);
    b->size = encode(b, schema, value);
    memcpy(b->bytes, b->out, b->size > 0 ? (size_t)b->size : 0);
    return b->size;
}

TEST(room_is_enough_or_refused) {
    static uint8_t out[4096];
    proto *b = proto_of();
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const wisp_schema *schema = seed % 2 ? tree_schema() : NULL;
        wisp_value value;
        int size = protobuf_sample(b, seed, schema, &value), step = size / 300 + 1;
        for (int room = size % step; room <= size + 4 && size < 4000; room += step) {
            int written;
            memset(out, 0x5a, sizeof out);
            written = wisp_protobuf()->encode(wisp_protobuf(), schema, &value, out, room);
            CHECK_EQ_INT(written, room < size ? WISP_E_TOO_BIG : size);
            CHECK(out[room] == 0x5a);
            if (written == size) CHECK_EQ_MEM(out, b->bytes, size);
        }
    }
}

TEST(memory_is_enough_or_refused) {
    static uint64_t memory[8192];
    proto *b = proto_of();
    for (uint64_t seed = 1; seed <= 24; seed++) {
        const wisp_schema *schema = seed % 2 ? tree_schema() : NULL;
        wisp_value value, out;
        int size = protobuf_sample(b, seed, schema, &value), result = WISP_E_MEMORY, need = 0;
        if (size > 600) continue;
        for (; result == WISP_E_MEMORY && need < (int)sizeof memory; need++) {
            out = wisp_string("untouched");
            result = wisp_protobuf()->decode(wisp_protobuf(), schema, b->bytes, size, &out, memory,
                                             need);
            if (result < 0) CHECK_EQ_STR(out.as.string, "untouched");
        }
        CHECK_EQ_INT(result, size);
        CHECK(wisp_equal(&out, &value));
        for (int shift = 1; shift < 8; shift++) {
            result = wisp_protobuf()->decode(wisp_protobuf(), schema, b->bytes, size, &out,
                                             (uint8_t *)memory + shift, need + 8);
            CHECK_EQ_INT(result, size);
        }
    }
}

TEST(torn_messages_are_read_or_refused) {
    proto *b = proto_of();
    static uint8_t whole[ROOM];
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const wisp_schema *schema = seed % 2 ? tree_schema() : NULL;
        wisp_value value;
        int size = protobuf_sample(b, seed, schema, &value);
        memcpy(whole, b->bytes, (size_t)size);
        for (int end = 0; end < size && end < 400; end++) {
            int result = decode_bytes(b, schema, whole, end);
            CHECK(result == end || result == WISP_E_SYNTAX);
            if (result == end) value = b->value, CHECK(encode(b, schema, &value) >= 0);
        }
        for (int i = 0; i < 200 && size; i++) {
            int at = test_random_below(&seed, size), result;
            uint8_t was = whole[at];
            whole[at] = (uint8_t)test_random(&seed);
            result = decode_bytes(b, schema, whole, size);
            CHECK(result == size || result == WISP_E_SYNTAX || result == WISP_E_TYPE ||
                  result == WISP_E_DEPTH);
            whole[at] = was;
        }
        seed = seed % 1000;
    }
}

/* A message of a quarter of a mebibyte, read with 64 bytes of memory for each of it. */
static int read_large(const uint8_t *piece, int size, const wisp_schema *schema) {
    static uint8_t large[1 << 18];
    static uint64_t memory[1 << 21];
    wisp_value value;
    int used = 0;
    while (used + size <= (int)sizeof large) {
        memcpy(large + used, piece, (size_t)size);
        used += size;
    }
    return wisp_protobuf()->decode(wisp_protobuf(), schema, large, used, &value, memory,
                                   (int)sizeof memory) == used ? WISP_OK : WISP_E_MEMORY;
}

TEST(large_messages_cost_in_proportion) {
    static const struct { const char *hex; bool typed; wisp_result result; } cases[] = {
        { "1801", true, WISP_OK },                  /* one element after the other */
        { "1801 2000", true, WISP_OK },             /* with something unknown between */
        { "1801 2200", true, WISP_E_MEMORY },       /* each a tree: more than they are worth */
        { "1a0101", true, WISP_OK }, { "1a03010101 1801", true, WISP_OK },
        { "c03e00", true, WISP_OK }, { "0805", true, WISP_OK }, { "2a00", true, WISP_OK },
        { "3202 1805", true, WISP_OK }, { "3203 0a0161", true, WISP_OK },
        { "3202 0a00", false, WISP_OK },            /* lists of nothing, merged into one */
        { "2a02 0a00", false, WISP_OK }, { "2a07 0a05 0a0161 1200", false, WISP_OK },
        { "1a00", false, WISP_OK }
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        uint8_t piece[64];
        int size = add_hex(piece, 0, cases[i].hex);
        if (!CHECK_EQ_INT(read_large(piece, size, cases[i].typed ? tree_schema() : NULL),
                          cases[i].result))
            printf("%s\n", cases[i].hex);
    }
}

TEST(what_a_caller_gives_wrong_is_told_by_protobuf) {
    const wisp_codec *codec = wisp_protobuf();
    uint8_t bytes[16] = { 0 };
    uint64_t memory[16];
    wisp_value value = wisp_nil();
    wisp_pair pair = { NULL, wisp_nil() };
    single s;
    const wisp_schema *schema = single_of(&s, &t_string, 0, 0);
    CHECK_EQ_STR(codec->name, "protobuf");
    CHECK_EQ_INT(codec->encode(codec, NULL, NULL, bytes, 16), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->encode(codec, NULL, &value, NULL, 16), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->encode(codec, NULL, &value, bytes, -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->encode(codec, NULL, &value, NULL, 0), WISP_E_TOO_BIG);
    CHECK_EQ_INT(codec->decode(codec, NULL, NULL, 1, &value, memory, 128), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->decode(codec, NULL, bytes, -1, &value, memory, 128), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->decode(codec, NULL, bytes, 1, NULL, memory, 128), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->decode(codec, NULL, bytes, 1, &value, NULL, 128), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->decode(codec, NULL, bytes, 1, &value, memory, -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(codec->decode(codec, NULL, NULL, 0, &value, NULL, 0), 0);
    CHECK_EQ_INT(codec->decode(codec, schema, NULL, 0, &value, NULL, 0), WISP_E_MEMORY);
    CHECK_EQ_INT(codec->encode(codec, schema, &value, bytes, 16), WISP_E_INVALID);
    value = wisp_string_n("a", -1);
    CHECK_EQ_INT(codec->encode(codec, NULL, &value, bytes, 16), WISP_E_ARGUMENT);
    value = wisp_string_n(NULL, 1);
    CHECK_EQ_INT(codec->encode(codec, NULL, &value, bytes, 16), WISP_E_ARGUMENT);
    value = map_of(&pair, wisp_bytes(NULL, 1));
    CHECK_EQ_INT(codec->encode(codec, schema, &value, bytes, 16), WISP_E_ARGUMENT);
    value = map_of(&pair, wisp_bytes("a", 1));
    CHECK_EQ_INT(codec->encode(codec, schema, &value, bytes, 16), WISP_E_INVALID);
    value = wisp_map(&pair, 1);
    pair.key = NULL;
    CHECK_EQ_INT(codec->encode(codec, NULL, &value, bytes, 16), WISP_E_ARGUMENT);
    value = wisp__value_of((wisp_kind)31, 0);
    CHECK_EQ_INT(codec->encode(codec, NULL, &value, bytes, 16), WISP_E_TYPE);
}

static const test_case tests[] = {
    CASE(scalars_come_in_every_form_that_is_valid),
    CASE(the_last_of_scalars_that_come_twice_wins),
    CASE(lists_of_scalars_are_read_packed_and_unpacked_and_written_packed),
    CASE(packed_lists_do_not_end_within_a_value),
    CASE(kinds_fit_the_types),
    CASE(integers_that_do_not_fit_are_refused),
    CASE(messages_that_end_early_are_refused),
    CASE(lengths_beyond_the_end_are_refused),
    CASE(what_is_unknown_or_of_another_wire_is_skipped),
    CASE(text_is_utf_8_both_ways),
    CASE(texts_end_with_a_nul_and_bytes_stay_where_they_are),
    CASE(optional_fields_are_written_when_they_differ_from_their_default),
    CASE(fields_that_may_be_missing_are_written_when_they_are_there),
    CASE(messages_that_have_not_come_are_zero),
    CASE(messages_that_come_twice_are_merged),
    CASE(of_the_options_of_a_union_the_last_wins),
    CASE(a_union_is_written_as_the_first_option_that_fits),
    CASE(a_union_is_written_as_the_option_that_holds_it_as_it_is),
    CASE(an_empty_element_of_a_list_of_unions_is_left_out),
    CASE(elements_that_are_empty_come_back),
    CASE(numbers_without_a_name_stay_in_open_enums),
    CASE(vectors_and_their_kin_are_messages_of_floats),
    CASE(arrays_of_arrays_are_messages_with_a_list),
    CASE(fields_stand_in_the_order_of_their_numbers),
    CASE(fields_are_found_by_number_in_any_order),
    CASE(rows_are_arrays_in_the_order_of_the_fields),
    CASE(structs_travel_as_wide_as_their_members),
    CASE(messages_nest_a_hundred_deep),
    CASE(a_type_that_holds_itself_ends),
    CASE(random_values_come_back_equal_and_are_written_the_same_again),
    CASE(room_is_enough_or_refused),
    CASE(memory_is_enough_or_refused),
    CASE(torn_messages_are_read_or_refused),
    CASE(large_messages_cost_in_proportion),
    CASE(what_a_caller_gives_wrong_is_told_by_protobuf)
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
