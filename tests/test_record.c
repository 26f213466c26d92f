/* test_record.c - the packed form of what has a schema: every bit of it, and bits that are wrong */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/random_schemas.h"
#include "support/written_records.h"

static schemas record_made;

/* --- golden bytes --- */

/* One field is written as so many bits, these; and read again from any bit of a buffer. */
static void is_golden(const wisp_schema *schema, wisp_value value, int bits, const char *hex,
                      bool exact, int line) {
    wisp_value out = wisp_nil(), map;
    wisp_pair pair;
    int64_t wrote = write_only(schema, value), used;
    bool good = CHECK_EQ_INT(wrote, bits);
    if (wrote >= 0) good &= CHECK_EQ_STR(hex_of(out_bytes, wrote), hex);
    map = map_of_x(&pair, value);
    for (int start = 0; good && start < 8; start++) {
        good &= CHECK_EQ_INT(read_at(schema, out_bytes, bits, start, &out, &used), WISP_OK);
        good = good && CHECK_EQ_INT(used, bits);
        if (good && exact) good &= CHECK(wisp_equal(&map, &out));
    }
    if (!good) printf("    line %d: %d bits %s\n", line, (int)wrote,
                      wrote >= 0 ? hex_of(out_bytes, wrote) : "");
}

#define RECORD_GOLDEN(type, value, bits, hex) \
    do { \
        static const wisp_type type_ = type; \
        is_golden(only(&type_), value, bits, hex, true, __LINE__); \
    } while (0)
#define GOLDEN_NEAR(type, value, bits, hex) \
    do { \
        static const wisp_type type_ = type; \
        is_golden(only(&type_), value, bits, hex, false, __LINE__); \
    } while (0)

static wisp_value record_object_of(uint32_t id) {
    wisp_object object = { 0 };
    object.id = id;
    return wisp_reference(object);
}

TEST(integers_have_their_golden_bytes) {
    RECORD_GOLDEN(WISP_T_BOOL, wisp_bool(false), 1, "00");
    RECORD_GOLDEN(WISP_T_BOOL, wisp_bool(true), 1, "01");
    RECORD_GOLDEN(WISP_T_INT8, wisp_int(-128), 8, "00");
    RECORD_GOLDEN(WISP_T_INT8, wisp_int(127), 8, "ff");
    RECORD_GOLDEN(WISP_T_INT16, wisp_int(1000), 16, "e883");
    RECORD_GOLDEN(WISP_T_INT32, wisp_int(-1), 32, "ffffff7f");
    RECORD_GOLDEN(WISP_T_SINT32, wisp_int(-1), 32, "ffffff7f");
    RECORD_GOLDEN(WISP_T_INT64, wisp_int(0), 7, "00");
    RECORD_GOLDEN(WISP_T_INT64, wisp_int(-1), 7, "08");
    RECORD_GOLDEN(WISP_T_INTEGER, wisp_int(300), 15, "c212");
    RECORD_GOLDEN(WISP_T_INTEGER, wisp_int(INT64_MIN), 67, "ffffffffffffffff07");
    RECORD_GOLDEN(WISP_T_UINT8, wisp_int(200), 8, "c8");
    RECORD_GOLDEN(WISP_T_UINT16, wisp_int(0x1234), 16, "3412");
    RECORD_GOLDEN(WISP_T_UINT32, wisp_uint(0x12345678), 32, "78563412");
    RECORD_GOLDEN(WISP_T_FIXED32, wisp_uint(0xffffffff), 32, "ffffffff");
    RECORD_GOLDEN(WISP_T_UINT64, wisp_uint(UINT64_MAX), 67, "ffffffffffffffff07");
    RECORD_GOLDEN(WISP_T_UINT, wisp_uint(5), 7, "28");
    RECORD_GOLDEN(WISP_T_RANGE(0, 1000), wisp_int(1000), 10, "e803");
    RECORD_GOLDEN(WISP_T_RANGE(-5, 5), wisp_int(5), 4, "0a");
    RECORD_GOLDEN(WISP_T_RANGE(7, 7), wisp_int(7), 0, "");
    RECORD_GOLDEN(WISP_T_RANGE(0, 4294967295), wisp_int(4294967295), 32, "ffffffff");
    RECORD_GOLDEN(WISP_T_RANGE(0, 10000000000), wisp_int(300), 15, "6209");
    RECORD_GOLDEN(WISP_T_RANGE(INT64_MIN, INT64_MAX), wisp_int(-1), 7, "08");
    RECORD_GOLDEN(WISP_T_OBJECT, record_object_of(12345), 32, "39300000");
}

TEST(numbers_have_their_golden_bytes) {
    RECORD_GOLDEN(WISP_T_NUMBER, wisp_number(1.0), 9, "4000");
    RECORD_GOLDEN(WISP_T_NUMBER, wisp_number(0.5), 34, "010000fc00");
    RECORD_GOLDEN(WISP_T_NUMBER, wisp_number(0.1), 66, "6a6666666666e6fe00");
    RECORD_GOLDEN(WISP_T_FLOAT, wisp_float(1.0f), 32, "0000803f");
    RECORD_GOLDEN(WISP_T_DOUBLE, wisp_number(1.0), 64, "000000000000f03f");
    RECORD_GOLDEN(WISP_T_NUMBER_RANGE(0, 1), wisp_number(1.0), 9, "4000");
    RECORD_GOLDEN(WISP_T_QUANTIZED(0, 100, 0.5), wisp_number(55.5), 8, "6f");
    RECORD_GOLDEN(WISP_T_QUANTIZED(0, 100, 0.5), wisp_number(100), 8, "c8");
    RECORD_GOLDEN(WISP_T_QUANTIZED(-1, 1, 2), wisp_number(1), 1, "01");
    RECORD_GOLDEN(WISP_T_QUANTIZED(0, 4294967295.0, 1), wisp_number(4294967295.0), 32, "ffffffff");
    GOLDEN_NEAR(WISP_T_QUANTIZED(0, 1, 0.4), wisp_number(1), 2, "03");
}

TEST(vectors_have_their_golden_bytes) {
    static const wisp_range each[] = { { 0, 10, 0.5 }, { -1, 1, 0.25 }, { 0, 1, 1 },
                                       { 5, 6, 0.5 } };
    wisp_vec3 position = { 1, 2, 3 };
    wisp_quat rotation = { 0, 0, 0, 1 };
    RECORD_GOLDEN(WISP_T_VEC2, wisp_vec2v(1, 2), 64, "0000803f00000040");
    RECORD_GOLDEN(WISP_T_VEC3, wisp_vec3v(1, 2, -1), 96, "0000803f00000040000080bf");
    RECORD_GOLDEN(WISP_T_VEC4, wisp_vec4v(1, 2, -1, 0), 128, "0000803f00000040000080bf00000000");
    RECORD_GOLDEN(WISP_T_VEC2_QUANTIZED(0, 100, 1), wisp_vec2v(1, 100), 14, "0132");
    RECORD_GOLDEN(WISP_T_VEC3_QUANTIZED(-100, 100, 0.5), wisp_vec3v(0, 100, -100), 27, "c8200300");
    RECORD_GOLDEN(WISP_T_VEC4_QUANTIZED(0, 1, 1), wisp_vec4v(1, 0, 1, 0), 4, "05");
    RECORD_GOLDEN(WISP_T_VEC2_EACH(each), wisp_vec2v(10, -1), 9, "1400");
    RECORD_GOLDEN(WISP_T_VEC3_EACH(each), wisp_vec3v(0.5f, 1, 1), 10, "0103");
    RECORD_GOLDEN(WISP_T_VEC4_EACH(each), wisp_vec4v(0.5f, 1, 1, 6), 12, "010b");
    RECORD_GOLDEN(WISP_T_QUAT(0), wisp_quatv(0, 0, 0, 1), 128, "0000000000000000000000000000803f");
    RECORD_GOLDEN(WISP_T_TRANSFORM, wisp_transformv(position, rotation), 224,
                  "0000803f000000400000404000000000000000000000000" "00000803f");
    RECORD_GOLDEN(WISP_T_COLOR, wisp_color4(1, 0, 0, 1), 32, "ff0000ff");
    RECORD_GOLDEN(WISP_T_COLOR, wisp_color4(0, 1, 51.0f / 255.0f, 0), 32, "00ff3300");
}

TEST(rotations_have_their_golden_bits) {
    RECORD_GOLDEN(WISP_T_QUAT(2), wisp_quatv(1, 0, 0, 0), 8, "54");
    RECORD_GOLDEN(WISP_T_QUAT(9), wisp_quatv(0, 0, 0, 1), 29, "fffbf70f");
    GOLDEN_NEAR(WISP_T_QUAT(9), wisp_quatv(0, 0, 0, -3), 29, "fffbf70f");
    RECORD_GOLDEN(WISP_T_QUAT(20), wisp_quatv(0, 1, 0, 0), 62, "fdffdffffffdff1f");
}

TEST(blobs_have_their_golden_bytes) {
    RECORD_GOLDEN(WISP_T_STRING(20), wisp_string(""), 5, "00");
    RECORD_GOLDEN(WISP_T_STRING(20), wisp_string("ab"), 24, "026162");
    RECORD_GOLDEN(WISP_T_STRING(1), wisp_string("a"), 16, "0161");
    RECORD_GOLDEN(WISP_T_STRING(300), wisp_string("ab"), 32, "02006162");
    RECORD_GOLDEN(WISP_T_BYTES(4), wisp_bytes("\1\2\3", 3), 32, "03010203");
    RECORD_GOLDEN(WISP_T_ANY, wisp_int(5), 24, "022150");
    RECORD_GOLDEN(WISP_T_ANY, wisp_nil(), 16, "0101");
    RECORD_GOLDEN(WISP_T_EXACT(WISP_INT), wisp_int(5), 24, "022150");
}

TEST(composed_types_have_their_golden_bytes) {
    static const char *const teams[] = { "red", "green", "blue" };
    static const wisp_type number = WISP_T_FLOAT, numbers = WISP_T_ARRAY(&number, 3);
    static const wisp_type options[] = { WISP_T_STRING(8), WISP_T_INTEGER,
                                         WISP_T_ARRAY(&number, 4) };
    static const wisp_field fields[] = {
        WISP_MAP_FIELD("id", WISP_T_RANGE(0, 1000)), WISP_MAP_FIELD("count", WISP_T_UINT8)
    };
    static const wisp_schema item = WISP_MAP_SCHEMA("item", 1, fields);
    wisp_value two[2], none[1];
    wisp_pair pairs[2];
    two[0] = wisp_float(1);
    two[1] = wisp_float(2);
    none[0] = wisp_array(two, 0);
    pairs[0].key = "count";
    pairs[0].value = wisp_int(255);
    pairs[1].key = "id";
    pairs[1].value = wisp_int(77);
    RECORD_GOLDEN(WISP_T_ENUM(teams, 3), wisp_string("blue"), 2, "02");
    RECORD_GOLDEN(WISP_T_ENUM(teams, 1), wisp_string("red"), 0, "");
    RECORD_GOLDEN(WISP_T_ENUM_OPEN(teams, 3), wisp_string("blue"), 7, "10");
    RECORD_GOLDEN(WISP_T_ENUM_OPEN(teams, 3), wisp_int(15), 7, "78");
    RECORD_GOLDEN(WISP_T_ENUM_OPEN(teams, 3), wisp_int(1000), 15, "421f");
    RECORD_GOLDEN(WISP_T_ENUM_OPEN(teams, 3), wisp_int(-1), 35, "fdffffff07");
    RECORD_GOLDEN(WISP_T_LITERAL(3), wisp_int(3), 0, "");
    RECORD_GOLDEN(WISP_T_LITERAL_TEXT("on"), wisp_string("on"), 0, "");
    RECORD_GOLDEN(WISP_T_ARRAY(&number, 3), wisp_array(two, 2), 66, "020000fe0000000001");
    RECORD_GOLDEN(WISP_T_ARRAY(&number, 3), wisp_array(two, 0), 2, "00");
    RECORD_GOLDEN(WISP_T_ARRAY(&numbers, 1), wisp_array(none, 1), 3, "01");
    RECORD_GOLDEN(WISP_T_STRUCT(&item), wisp_map(pairs, 2), 18, "4dfc03");
    RECORD_GOLDEN(WISP_T_UNION(options, 3), wisp_int(5), 9, "4101");
    RECORD_GOLDEN(WISP_T_UNION(options, 3), wisp_string("ab"), 24, "086162");
    RECORD_GOLDEN(WISP_T_UNION(options, 3), wisp_array(two, 1), 37, "060000f007");
    RECORD_GOLDEN(WISP_T_UNION(options, 1), wisp_string(""), 4, "00");
}

TEST(what_may_be_left_out_has_its_golden_bits) {
    static const wisp_type number = WISP_T_RANGE(0, 1000);
    const wisp_schema *schema = only_as(&number, WISP_FLAG_OPTIONAL, 500);
    wisp_value none = wisp_map(NULL, 0), out;
    int64_t used;
    is_golden(schema, wisp_int(500), 1, "00", true, __LINE__);
    is_golden(schema, wisp_int(1000), 11, "d107", true, __LINE__);
    CHECK_EQ_INT(write_map(schema, &none, out_bytes, OUT_MAX), 1);
    CHECK_EQ_INT(out_bytes[0], 0);
    schema = only_as(&number, WISP_FLAG_MAYBE, 0);
    is_golden(schema, wisp_int(1000), 11, "d107", true, __LINE__);
    CHECK_EQ_INT(write_map(schema, &none, out_bytes, OUT_MAX), 1);
    CHECK_EQ_INT(out_bytes[0], 0);
    CHECK_EQ_INT(read_at(schema, out_bytes, 1, 3, &out, &used), WISP_OK);
    CHECK_EQ_INT(wisp_count_of(&out), 0);
}

typedef struct player { bool alive; uint8_t team, used; float hp; char name[9]; uint16_t items[4];
                        uint8_t key[3]; uint8_t rgba[4]; } player;
static const wisp_type item_id = WISP_T_RANGE(0, 500);
static const wisp_field player_fields[] = {
    WISP_FIELD(player, alive, WISP_T_BOOL),
    WISP_FIELD(player, team, WISP_T_RANGE(1, 4)),
    WISP_FIELD(player, hp, WISP_T_QUANTIZED(0, 100, 1)),
    WISP_FIELD(player, name, WISP_T_STRING(8)),
    WISP_COUNTED_FIELD(player, items, used, WISP_T_ARRAY(&item_id, 4)),
    WISP_FIELD(player, key, WISP_T_BYTES(3)),
    WISP_FIELD(player, rgba, WISP_T_COLOR),
};
static const wisp_schema player_schema = WISP_SCHEMA(player, 1, player_fields);

/* alive:1 team:2 hp:7, length:4, align, "bob", count:3, items 9 9, align, key, color */
TEST(a_struct_has_its_golden_bytes) {
    static const player p = { true, 3, 2, 42.0f, "bob", { 500, 1, 9, 9 }, { 1, 2, 3 },
                              { 255, 0, 17, 128 } };
    const wisp_schema *schema = wisp_schema_compile(&player_schema, memory_c.bytes, MEMORY_MAX);
    wisp_value value = wisp_struct(&player_schema, &p);
    int64_t bits = write_map(schema, &value, out_bytes, OUT_MAX);
    CHECK_EQ_INT(bits, 120);
    CHECK_EQ_STR(hex_of(out_bytes, bits), "550d626f62a21f00010203ff001180");
    CHECK_EQ_INT(wisp_validate(&player_schema, &value, NULL, 0), WISP_OK);
}

/* --- bits that are wrong --- */

/* A field of `bits` that holds `number` is outside of its schema. */
static void is_outside(const wisp_type *type, uint64_t number, int bits, int line) {
    const wisp_schema *schema = only(type);
    wisp_value out;
    int64_t used;
    memset(out_bytes, 0, 32);
    wisp__store64(out_bytes, number);
    if (!CHECK_EQ_INT(read_at(schema, out_bytes, bits, 0, &out, &used), WISP_E_INVALID))
        printf("    line %d\n", line);
    if (!CHECK_EQ_INT(read_at(schema, out_bytes, bits, 5, &out, &used), WISP_E_INVALID))
        printf("    line %d\n", line);
}

#define OUTSIDE(type, number, bits) \
    do { \
        static const wisp_type type_ = type; \
        is_outside(&type_, number, bits, __LINE__); \
    } while (0)

TEST(numbers_outside_of_their_range_are_not_read) {
    static const char *const teams[] = { "red", "green", "blue" };
    static const wisp_type number = WISP_T_FLOAT;
    static const wisp_type options[] = { WISP_T_BOOL, WISP_T_BOOL, WISP_T_BOOL };
    OUTSIDE(WISP_T_RANGE(0, 1000), 1001, 10);
    OUTSIDE(WISP_T_RANGE(-5, 5), 11, 4);
    OUTSIDE(WISP_T_RANGE(0, 10000000000), (UINT64_C(10000000001) << 3) | 6, 51);
    OUTSIDE(WISP_T_QUANTIZED(0, 100, 0.5), 201, 8);
    OUTSIDE(WISP_T_VEC2_QUANTIZED(0, 100, 1), 101, 14);
    OUTSIDE(WISP_T_ENUM(teams, 3), 3, 2);
    OUTSIDE(WISP_T_ENUM_OPEN(teams, 3), (UINT64_C(1) << 35) | 6, 51);
    OUTSIDE(WISP_T_STRING(20), 21, 64);
    OUTSIDE(WISP_T_BYTES(4), 5, 64);
    OUTSIDE(WISP_T_ARRAY(&number, 2), 3, 64);
    OUTSIDE(WISP_T_UNION(options, 3), 3, 3);
    OUTSIDE(WISP_T_NUMBER_RANGE(0, 1), 4 << 5, 9);
    OUTSIDE(WISP_T_EXACT(WISP_BOOL), 0x502102, 24);
}

TEST(a_nan_is_in_no_range) {
    static const wisp_type types[] = { WISP_T_NUMBER_RANGE(-1e300, 1e300),
                                       WISP_T_QUANTIZED(0, 1, 0.1),
                                       WISP_T_RANGE(0, 5), WISP_T_INTEGER, WISP_T_BOOL };
    for (int i = 0; i < TEST_COUNT(types); i++)
        CHECK_EQ_INT(write_only(only(&types[i]), wisp_number(low_nan())), WISP_E_INVALID);
}

TEST(a_text_with_a_nul_inside_is_no_text_of_a_struct) {
    const wisp_schema *schema = wisp_schema_compile(&player_schema, memory_c.bytes, MEMORY_MAX);
    player p;
    wisp_value value = wisp_struct(&player_schema, &p), out;
    int64_t bits, used;
    memset(&p, 0, sizeof p);
    p.team = 1;
    memcpy(p.name, "abc", 3);
    bits = write_map(schema, &value, out_bytes, OUT_MAX);
    CHECK_EQ_INT(read_at(schema, out_bytes, bits, 0, &out, &used), WISP_OK);
    out_bytes[3] = 0;
    CHECK_EQ_INT(read_at(schema, out_bytes, bits, 0, &out, &used), WISP_E_INVALID);
}

TEST(what_is_outside_of_its_range_does_not_hide_where_the_record_ends) {
    static const wisp_field fields[] = {
        WISP_MAP_FIELD("a", WISP_T_RANGE(0, 5)), WISP_MAP_FIELD("b", WISP_T_STRING(7))
    };
    static const wisp_schema plain = WISP_MAP_SCHEMA("m", 1, fields);
    const wisp_schema *schema = wisp_schema_compile(&plain, memory_c.bytes, MEMORY_MAX);
    wisp_value out;
    int64_t used;
    memset(out_bytes, 0, 16);
    out_bytes[0] = 6 | 2 << 3;
    CHECK_EQ_INT(read_at(schema, out_bytes, 24, 3, &out, &used), WISP_E_INVALID);
    CHECK_EQ_INT(used, 24);
}

TEST(records_cut_at_any_bit_are_refused) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const wisp_schema *schema;
        wisp_value value, out;
        int64_t bits, used;
        schemas_start(&record_made, seed, 0);
        schema = wisp_schema_compile(schemas_random(&record_made), memory_c.bytes, MEMORY_MAX);
        value = schemas_value(&record_made, schema);
        bits = write_map(schema, &value, out_bytes, OUT_MAX);
        if (!CHECK(bits >= 0)) continue;
        for (int64_t cut = 0; cut < bits; cut++)
            if (!CHECK(read_at(schema, out_bytes, cut, (int)(seed & 7), &out, &used) < 0)) {
                printf("    seed %d: %d of %d bits\n", (int)seed, (int)cut, (int)bits);
                break;
            }
    }
}

TEST(records_begin_at_any_bit) {
    for (uint64_t seed = 1; seed <= 300; seed++) {
        const wisp_schema *schema;
        wisp_value value, out;
        int64_t bits, used;
        schemas_start(&record_made, seed, SCHEMAS_LOSSLESS);
        schema = wisp_schema_compile(schemas_random(&record_made), memory_c.bytes, MEMORY_MAX);
        value = schemas_value(&record_made, schema);
        bits = write_map(schema, &value, out_bytes, OUT_MAX);
        if (bits == WISP_E_TOO_BIG) continue;
        for (int start = 0; start < 8; start++) {
            if (!CHECK_EQ_INT(read_at(schema, out_bytes, bits, start, &out, &used), WISP_OK)) break;
            CHECK_EQ_INT(used, bits);
            CHECK(wisp_equal(&value, &out));
        }
    }
}

TEST(a_record_is_as_long_as_it_says_and_nothing_behind_is_written) {
    for (uint64_t seed = 1; seed <= 300; seed++) {
        const wisp_schema *schema;
        wisp_value value;
        int64_t bits;
        uint8_t *block;
        int bytes;
        schemas_start(&record_made, seed, SCHEMAS_NO_ANY);
        schema = wisp_schema_compile(schemas_random(&record_made), memory_c.bytes, MEMORY_MAX);
        value = schemas_value(&record_made, schema);
        bits = write_map(schema, &value, out_bytes, OUT_MAX);
        if (!CHECK(bits >= 0)) continue;
        bytes = (int)((bits + 7) / 8);
        block = (uint8_t *)malloc((size_t)bytes + 1);
        if (!block) return;
        CHECK_EQ_INT(write_map(schema, &value, block, bytes), bits);
        CHECK_EQ_MEM(block, out_bytes, bytes);
        if (bits & 7) CHECK_EQ_INT(block[bytes - 1] >> (bits & 7), 0);
        if (bytes) CHECK_EQ_INT(write_map(schema, &value, block, bytes - 1), WISP_E_TOO_BIG);
        free(block);
    }
}

/* A count in a few bits must not cost memory or time beyond the limits. */
TEST(a_hostile_count_costs_no_more_than_the_limits) {
    static const wisp_type nothing = WISP_T_RANGE(5, 5), row = WISP_T_ARRAY(&nothing, 1 << 24);
    static const wisp_type rows = WISP_T_ARRAY(&row, 1 << 24);
    wisp_value out;
    int64_t used;
    wisp_result result;
    memset(out_bytes, 0xff, 64);
    out_bytes[2] = 0x7f;
    out_bytes[3] = 0;
    result = read_at(only(&row), out_bytes, 25, 0, &out, &used);
    CHECK(result == WISP_E_LIMIT || result == WISP_E_MEMORY);
    result = read_at(only(&rows), out_bytes, 500, 0, &out, &used);
    CHECK(result < 0);
}

/* --- elements so large that few of them pass 32 bits --- */

/* Elements of { "n": uint32, "or": nothing or 7 maps of 250 values }, at most 65536 of them. */
typedef struct large {
    wisp_field  any[250], maps[7], of[2];
    wisp_schema inner[7], option, element;
    wisp_type   options[2], item, list;
    char        names[250][2];
} large;

static void large_schema(wisp_schema *schema, wisp_field *fields, int count) {
    memset(schema, 0, sizeof *schema);
    schema->name = "s";
    schema->version = 1;
    schema->fields = fields;
    schema->count = count;
    schema->shape = WISP_SHAPE_MAP;
}

static void large_field(large *l, wisp_field *field, int i, const wisp_type *type) {
    memset(field, 0, sizeof *field);
    l->names[i][0] = (char)(i + 1);
    field->name = l->names[i];
    field->type = *type;
    field->offset = -1;
}

static void large_make(large *l) {
    static const wisp_type any = WISP_T_ANY, number = WISP_T_UINT32;
    static const wisp_type nothing = WISP_T_LITERAL_TEXT("");
    wisp_type type = WISP_T_STRUCT(NULL), either = WISP_T_UNION(NULL, 2);
    wisp_type list = WISP_T_ARRAY(NULL, 65536);
    memset(l, 0, sizeof *l);
    for (int i = 0; i < 250; i++) large_field(l, &l->any[i], i, &any);
    for (int i = 0; i < 7; i++) {
        large_schema(&l->inner[i], l->any, 250);
        type.of = &l->inner[i];
        large_field(l, &l->maps[i], i, &type);
    }
    large_schema(&l->option, l->maps, 7);
    l->options[0] = nothing;
    type.of = &l->option;
    l->options[1] = type;
    either.of = l->options;
    large_field(l, &l->of[0], 0, &number);
    large_field(l, &l->of[1], 1, &either);
    large_schema(&l->element, l->of, 2);
    type.of = &l->element;
    l->item = type;
    list.of = &l->item;
    l->list = list;
}

/* The schema compiled; *count: of elements that take more than 2^32 bytes, by a little. */
static const wisp_schema *large_open(large *l, void *memory, int bytes, uint32_t *count) {
    wisp__bump bump = wisp__bump_on(memory, bytes);
    wisp_schema *schema;
    uint32_t each;
    large_make(l);
    only(&l->list);
    schema = (wisp_schema *)wisp__bump_take(&bump, sizeof *schema);
    *schema = only_schema;
    schema->program = wisp__compile(&bump, &only_schema);
    if (!CHECK(schema->program != NULL)) return NULL;
    each = (uint32_t)schema->program->ops[0].each;
    CHECK(each > 65536);
    *count = (uint32_t)((UINT64_C(1) << 32) / each) + 1;
    CHECK(*count <= 65536 && (uint32_t)(each * *count) < each);
    return schema;
}

enum { RECORD_LARGE_BYTES = 1 << 22 };

TEST(elements_that_pass_32_bits_are_refused_and_not_read) {
    void *memory = malloc(RECORD_LARGE_BYTES);
    large *l = (large *)malloc(sizeof *l);
    uint32_t count = 0;
    const wisp_schema *schema = large_open(l, memory, RECORD_LARGE_BYTES, &count);
    for (int i = 0; schema && i < 3; i++) {
        static const int64_t rooms[] = { 1 << 24, INT32_MAX, INT64_MAX };
        wisp__credit credit = { INT64_MAX / 2, 0, 0, 0, 0, false };
        wisp__writer to = wisp__writer_on(out_bytes, OUT_MAX - WISP__SLACK);
        wisp__reader data;
        wisp__base base;
        low_memory counted;
        wisp__arena arena = { NULL, NULL, 0 };
        wisp__unpacker u;
        uint64_t image[64] = { 0 };
        CHECK(schema->program->schema->bytes <= (int)sizeof image);
        wisp__put(&to, count, 17);
        for (int k = 0; k < 100; k++) wisp__put(&to, 0x41424344, 32), wisp__put(&to, 0, 1);
        data = wisp__reader_on(out_bytes, (int)(to.at / 8));
        low_start(&base, &counted);
        base.limits.message_bytes = WISP__MESSAGE_BYTES;
        base.limits.message_values = WISP__MESSAGE_VALUES;
        memset(&u, 0, sizeof u);
        u.base = &base;
        u.arena = &arena;
        u.data = &data;
        u.values = WISP__MESSAGE_VALUES;
        credit.memory = rooms[i];
        if (i < 2) u.credit = &credit;
        CHECK_EQ_INT(wisp__record_read(&u, schema->program, image), WISP_E_LIMIT);
        CHECK_EQ_INT(counted.calls, 0);
        wisp__arena_free(&base, &arena);
    }
    free(l);
    free(memory);
}

/* The same elements as values, as a codec or a message that describes itself brings them. */
TEST(values_whose_elements_pass_32_bits_are_refused_and_not_copied) {
    void *memory = malloc(RECORD_LARGE_BYTES), *space = malloc(1 << 18);
    large *l = (large *)malloc(sizeof *l);
    uint32_t count = 0;
    const wisp_schema *schema = large_open(l, memory, RECORD_LARGE_BYTES, &count);
    wisp_value *items = (wisp_value *)malloc(count * sizeof *items), value;
    wisp_pair pairs[2], whole;
    wisp__bump bump = wisp__bump_on(space, 1 << 18);
    wisp__supply supply = wisp__supply_of_bump(&bump);
    wisp_result why = WISP_OK;
    pairs[0].key = l->names[0];
    pairs[0].value = wisp_uint(0x41424344);
    pairs[1].key = l->names[1];
    pairs[1].value = wisp_string("");
    for (uint32_t i = 0; i < count; i++) items[i] = wisp_map(pairs, 2);
    value = map_of_x(&whole, wisp_array(items, 1));
    if (schema) CHECK(wisp__image_of(schema->program, &value, &supply, false, &why) != NULL);
    value = map_of_x(&whole, wisp_array(items, (int)count));
    if (schema) CHECK(wisp__image_of(schema->program, &value, &supply, false, &why) == NULL);
    CHECK_EQ_INT(why, WISP_E_MEMORY);
    free(items);
    free(l);
    free(space);
    free(memory);
}

static const test_case tests[] = {
    CASE(integers_have_their_golden_bytes),
    CASE(numbers_have_their_golden_bytes),
    CASE(vectors_have_their_golden_bytes),
    CASE(rotations_have_their_golden_bits),
    CASE(blobs_have_their_golden_bytes),
    CASE(composed_types_have_their_golden_bytes),
    CASE(what_may_be_left_out_has_its_golden_bits),
    CASE(a_struct_has_its_golden_bytes),
    CASE(numbers_outside_of_their_range_are_not_read),
    CASE(a_nan_is_in_no_range),
    CASE(a_text_with_a_nul_inside_is_no_text_of_a_struct),
    CASE(what_is_outside_of_its_range_does_not_hide_where_the_record_ends),
    CASE(records_cut_at_any_bit_are_refused),
    CASE(records_begin_at_any_bit),
    CASE(a_record_is_as_long_as_it_says_and_nothing_behind_is_written),
    CASE(a_hostile_count_costs_no_more_than_the_limits),
    CASE(elements_that_pass_32_bits_are_refused_and_not_read),
    CASE(values_whose_elements_pass_32_bits_are_refused_and_not_copied),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
