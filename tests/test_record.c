/* test_record.c - the packed form of what has a schema: every bit of it, and bits that are wrong */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "test.h"
#include "low.h"
#include "schemas.h"

enum { MEMORY_MAX = 1 << 18, OUT_MAX = 4096 };

static union { double align; uint8_t bytes[MEMORY_MAX]; } memory_a, memory_b, memory_c;
static uint8_t out_bytes[OUT_MAX];
static schemas made;

/* The program of a schema of maps with one field of a type, in memory_c. */
static wisp_field only_field;
static wisp_schema only_schema;

static const wisp_schema *only_as(const wisp_type *type, int flags, double fallback) {
    wisp_field model = WISP_MAP_FIELD("x", WISP_T_BOOL);
    only_field = model;
    only_field.type = *type;
    only_field.flags = flags;
    only_field.fallback = fallback;
    memset(&only_schema, 0, sizeof only_schema);
    only_schema.name = "only";
    only_schema.version = 1;
    only_schema.fields = &only_field;
    only_schema.count = 1;
    only_schema.shape = WISP_SHAPE_MAP;
    return wisp_schema_compile(&only_schema, memory_c.bytes, MEMORY_MAX);
}

static const wisp_schema *only(const wisp_type *type) { return only_as(type, 0, 0); }

/* Bits written, or a negative result. */
static int64_t write_map(const wisp_schema *schema, const wisp_value *value, uint8_t *out,
                         int capacity) {
    wisp__bump bump = wisp__bump_on(memory_b.bytes, MEMORY_MAX);
    wisp__supply supply = wisp__supply_of_bump(&bump);
    wisp__base base;
    wisp_result result = WISP_OK;
    const void *image = wisp__image_of(schema->program, value, &supply, false, &result);
    wisp__base_alone(&base);
    return image ? wisp__record_write(&base, schema->program, image, out, capacity) : result;
}

static wisp_value map_of(wisp_pair *pair, wisp_value value) {
    pair->key = "x";
    pair->value = value;
    return wisp_map(pair, 1);
}

static int64_t write_only(const wisp_schema *schema, wisp_value value) {
    wisp_pair pair;
    wisp_value map = map_of(&pair, value);
    memset(out_bytes, 0xee, sizeof out_bytes);
    return write_map(schema, &map, out_bytes, OUT_MAX);
}

/* Decodes `bits` that stand at a bit of a larger buffer; the bits behind are ones. */
static wisp_result read_at(const wisp_schema *schema, const uint8_t *bytes, int64_t bits, int start,
                           wisp_value *out, int64_t *used) {
    static uint8_t shifted[OUT_MAX + 64];
    wisp__bump bump = wisp__bump_on(memory_a.bytes, MEMORY_MAX);
    wisp__arena arena = wisp__arena_in(&bump);
    wisp__base base;
    wisp__unpacker u;
    wisp__reader data;
    wisp__supply supply;
    wisp_result result;
    void *image;
    int64_t whole = start + bits;
    memset(shifted, 0xff, sizeof shifted);
    for (int64_t i = 0; i < bits; i++) {
        int64_t to = start + i;
        if (!(bytes[i >> 3] >> (i & 7) & 1))
            shifted[to >> 3] = (uint8_t)(shifted[to >> 3] & ~(1 << (to & 7)));
    }
    wisp__base_alone(&base);
    memset(&u, 0, sizeof u);
    data = wisp__reader_on(shifted, (int)((whole + 7) / 8));
    data.at = start;
    data.end = whole;
    u.base = &base;
    u.arena = &arena;
    u.data = &data;
    u.values = base.limits.message_values;
    u.room = INT32_MAX;
    image = wisp__arena_take(&base, &arena, (size_t)schema->program->schema->bytes);
    memset(image, 0, (size_t)schema->program->schema->bytes);
    result = wisp__record_read(&u, schema->program, image);
    supply = wisp__supply_of(&u);
    if (result == WISP_OK) result = wisp__image_value(schema->program->schema, image, &supply, out);
    *used = data.at - start;
    return result;
}

static const char *hex_of(const uint8_t *bytes, int64_t bits) {
    static char hex[2 * OUT_MAX + 1];
    int count = (int)((bits + 7) / 8);
    for (int i = 0; i < count; i++) snprintf(hex + 2 * i, 3, "%02x", (unsigned)bytes[i]);
    hex[2 * count] = 0;
    return hex;
}

/* --- golden bytes --- */

/* One field is written as so many bits, these; and read again from any bit of a buffer. */
static void is_golden(const wisp_schema *schema, wisp_value value, int bits, const char *hex,
                      bool exact, int line) {
    wisp_value out = wisp_nil(), map;
    wisp_pair pair;
    int64_t wrote = write_only(schema, value), used;
    bool good = CHECK_EQ_INT(wrote, bits);
    if (wrote >= 0) good &= CHECK_EQ_STR(hex_of(out_bytes, wrote), hex);
    map = map_of(&pair, value);
    for (int start = 0; good && start < 8; start++) {
        good &= CHECK_EQ_INT(read_at(schema, out_bytes, bits, start, &out, &used), WISP_OK);
        good = good && CHECK_EQ_INT(used, bits);
        if (good && exact) good &= CHECK(wisp_equal(&map, &out));
    }
    if (!good) printf("    line %d: %d bits %s\n", line, (int)wrote,
                      wrote >= 0 ? hex_of(out_bytes, wrote) : "");
}

#define GOLDEN(type, value, bits, hex) \
    do { \
        static const wisp_type type_ = type; \
        is_golden(only(&type_), value, bits, hex, true, __LINE__); \
    } while (0)
#define GOLDEN_NEAR(type, value, bits, hex) \
    do { \
        static const wisp_type type_ = type; \
        is_golden(only(&type_), value, bits, hex, false, __LINE__); \
    } while (0)

static wisp_value object_of(uint32_t id) {
    wisp_object object = { 0 };
    object.id = id;
    return wisp_reference(object);
}

TEST(integers_have_their_golden_bytes) {
    GOLDEN(WISP_T_BOOL, wisp_bool(false), 1, "00");
    GOLDEN(WISP_T_BOOL, wisp_bool(true), 1, "01");
    GOLDEN(WISP_T_INT8, wisp_int(-128), 8, "00");
    GOLDEN(WISP_T_INT8, wisp_int(127), 8, "ff");
    GOLDEN(WISP_T_INT16, wisp_int(1000), 16, "e883");
    GOLDEN(WISP_T_INT32, wisp_int(-1), 32, "ffffff7f");
    GOLDEN(WISP_T_SINT32, wisp_int(-1), 32, "ffffff7f");
    GOLDEN(WISP_T_INT64, wisp_int(0), 7, "00");
    GOLDEN(WISP_T_INT64, wisp_int(-1), 7, "08");
    GOLDEN(WISP_T_INTEGER, wisp_int(300), 15, "c212");
    GOLDEN(WISP_T_INTEGER, wisp_int(INT64_MIN), 67, "ffffffffffffffff07");
    GOLDEN(WISP_T_UINT8, wisp_int(200), 8, "c8");
    GOLDEN(WISP_T_UINT16, wisp_int(0x1234), 16, "3412");
    GOLDEN(WISP_T_UINT32, wisp_uint(0x12345678), 32, "78563412");
    GOLDEN(WISP_T_FIXED32, wisp_uint(0xffffffff), 32, "ffffffff");
    GOLDEN(WISP_T_UINT64, wisp_uint(UINT64_MAX), 67, "ffffffffffffffff07");
    GOLDEN(WISP_T_UINT, wisp_uint(5), 7, "28");
    GOLDEN(WISP_T_RANGE(0, 1000), wisp_int(1000), 10, "e803");
    GOLDEN(WISP_T_RANGE(-5, 5), wisp_int(5), 4, "0a");
    GOLDEN(WISP_T_RANGE(7, 7), wisp_int(7), 0, "");
    GOLDEN(WISP_T_RANGE(0, 4294967295), wisp_int(4294967295), 32, "ffffffff");
    GOLDEN(WISP_T_RANGE(0, 10000000000), wisp_int(300), 15, "6209");
    GOLDEN(WISP_T_RANGE(INT64_MIN, INT64_MAX), wisp_int(-1), 7, "08");
    GOLDEN(WISP_T_OBJECT, object_of(12345), 32, "39300000");
}

TEST(numbers_have_their_golden_bytes) {
    GOLDEN(WISP_T_NUMBER, wisp_number(1.0), 9, "4000");
    GOLDEN(WISP_T_NUMBER, wisp_number(0.5), 34, "010000fc00");
    GOLDEN(WISP_T_NUMBER, wisp_number(0.1), 66, "6a6666666666e6fe00");
    GOLDEN(WISP_T_FLOAT, wisp_float(1.0f), 32, "0000803f");
    GOLDEN(WISP_T_DOUBLE, wisp_number(1.0), 64, "000000000000f03f");
    GOLDEN(WISP_T_NUMBER_RANGE(0, 1), wisp_number(1.0), 9, "4000");
    GOLDEN(WISP_T_QUANTIZED(0, 100, 0.5), wisp_number(55.5), 8, "6f");
    GOLDEN(WISP_T_QUANTIZED(0, 100, 0.5), wisp_number(100), 8, "c8");
    GOLDEN(WISP_T_QUANTIZED(-1, 1, 2), wisp_number(1), 1, "01");
    GOLDEN(WISP_T_QUANTIZED(0, 4294967295.0, 1), wisp_number(4294967295.0), 32, "ffffffff");
    GOLDEN_NEAR(WISP_T_QUANTIZED(0, 1, 0.4), wisp_number(1), 2, "03");
}

TEST(vectors_have_their_golden_bytes) {
    static const wisp_range each[] = { { 0, 10, 0.5 }, { -1, 1, 0.25 }, { 0, 1, 1 },
                                       { 5, 6, 0.5 } };
    wisp_vec3 position = { 1, 2, 3 };
    wisp_quat rotation = { 0, 0, 0, 1 };
    GOLDEN(WISP_T_VEC2, wisp_vec2v(1, 2), 64, "0000803f00000040");
    GOLDEN(WISP_T_VEC3, wisp_vec3v(1, 2, -1), 96, "0000803f00000040000080bf");
    GOLDEN(WISP_T_VEC4, wisp_vec4v(1, 2, -1, 0), 128, "0000803f00000040000080bf00000000");
    GOLDEN(WISP_T_VEC2_QUANTIZED(0, 100, 1), wisp_vec2v(1, 100), 14, "0132");
    GOLDEN(WISP_T_VEC3_QUANTIZED(-100, 100, 0.5), wisp_vec3v(0, 100, -100), 27, "c8200300");
    GOLDEN(WISP_T_VEC4_QUANTIZED(0, 1, 1), wisp_vec4v(1, 0, 1, 0), 4, "05");
    GOLDEN(WISP_T_VEC2_EACH(each), wisp_vec2v(10, -1), 9, "1400");
    GOLDEN(WISP_T_VEC3_EACH(each), wisp_vec3v(0.5f, 1, 1), 10, "0103");
    GOLDEN(WISP_T_VEC4_EACH(each), wisp_vec4v(0.5f, 1, 1, 6), 12, "010b");
    GOLDEN(WISP_T_QUAT(0), wisp_quatv(0, 0, 0, 1), 128, "0000000000000000000000000000803f");
    GOLDEN(WISP_T_TRANSFORM, wisp_transformv(position, rotation), 224,
           "0000803f000000400000404000000000000000000000000" "00000803f");
    GOLDEN(WISP_T_COLOR, wisp_color4(1, 0, 0, 1), 32, "ff0000ff");
    GOLDEN(WISP_T_COLOR, wisp_color4(0, 1, 51.0f / 255.0f, 0), 32, "00ff3300");
}

TEST(rotations_have_their_golden_bits) {
    GOLDEN(WISP_T_QUAT(2), wisp_quatv(1, 0, 0, 0), 8, "54");
    GOLDEN(WISP_T_QUAT(9), wisp_quatv(0, 0, 0, 1), 29, "fffbf70f");
    GOLDEN_NEAR(WISP_T_QUAT(9), wisp_quatv(0, 0, 0, -3), 29, "fffbf70f");
    GOLDEN(WISP_T_QUAT(20), wisp_quatv(0, 1, 0, 0), 62, "fdffdffffffdff1f");
}

TEST(blobs_have_their_golden_bytes) {
    GOLDEN(WISP_T_STRING(20), wisp_string(""), 5, "00");
    GOLDEN(WISP_T_STRING(20), wisp_string("ab"), 24, "026162");
    GOLDEN(WISP_T_STRING(1), wisp_string("a"), 16, "0161");
    GOLDEN(WISP_T_STRING(300), wisp_string("ab"), 32, "02006162");
    GOLDEN(WISP_T_BYTES(4), wisp_bytes("\1\2\3", 3), 32, "03010203");
    GOLDEN(WISP_T_ANY, wisp_int(5), 24, "022150");
    GOLDEN(WISP_T_ANY, wisp_nil(), 16, "0101");
    GOLDEN(WISP_T_EXACT(WISP_INT), wisp_int(5), 24, "022150");
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
    GOLDEN(WISP_T_ENUM(teams, 3), wisp_string("blue"), 2, "02");
    GOLDEN(WISP_T_ENUM(teams, 1), wisp_string("red"), 0, "");
    GOLDEN(WISP_T_LITERAL(3), wisp_int(3), 0, "");
    GOLDEN(WISP_T_LITERAL_TEXT("on"), wisp_string("on"), 0, "");
    GOLDEN(WISP_T_ARRAY(&number, 3), wisp_array(two, 2), 66, "020000fe0000000001");
    GOLDEN(WISP_T_ARRAY(&number, 3), wisp_array(two, 0), 2, "00");
    GOLDEN(WISP_T_ARRAY(&numbers, 1), wisp_array(none, 1), 3, "01");
    GOLDEN(WISP_T_STRUCT(&item), wisp_map(pairs, 2), 18, "4dfc03");
    GOLDEN(WISP_T_UNION(options, 3), wisp_int(5), 9, "4101");
    GOLDEN(WISP_T_UNION(options, 3), wisp_string("ab"), 24, "086162");
    GOLDEN(WISP_T_UNION(options, 3), wisp_array(two, 1), 37, "060000f007");
    GOLDEN(WISP_T_UNION(options, 1), wisp_string(""), 4, "00");
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

/* --- rounding --- */

static double only_number(const wisp_value *out) {
    const wisp_value *x = wisp_field_of(out, "x");
    return !x ? -1e99 : x->kind == WISP_FLOAT ? (double)x->as.float32 : x->as.number;
}

static bool same_after_reading(const wisp_schema *schema, const wisp_value *out, int64_t bits) {
    uint8_t first[64];
    memcpy(first, out_bytes, 64);
    memset(out_bytes, 0xee, 64);
    return write_map(schema, out, out_bytes, OUT_MAX) == bits &&
           memcmp(first, out_bytes, (size_t)((bits + 7) / 8)) == 0;
}

TEST(what_is_in_steps_is_off_by_at_most_half_a_step_and_stays) {
    static const wisp_type types[] = {
        WISP_T_QUANTIZED(0, 100, 0.5), WISP_T_QUANTIZED(-1, 1, 0.001), WISP_T_QUANTIZED(0, 1, 0.3),
        WISP_T_QUANTIZED(-1e6, 1e6, 0.01), WISP_T_QUANTIZED(0.1, 0.7, 0.1),
        WISP_T_QUANTIZED(-5, -4, 1e-9), WISP_T_QUANTIZED(0, 1, 0.6), WISP_T_QUANTIZED(3, 1e9, 7)
    };
    uint64_t seed = 3;
    for (int t = 0; t < TEST_COUNT(types); t++) {
        const wisp_type *type = &types[t];
        const wisp_schema *schema = only(type);
        for (int i = 0; i < 1000; i++) {
            double number = type->lo + (type->hi - type->lo) * test_random_unit(&seed);
            wisp_value out;
            int64_t bits, used;
            if (i < 2) number = i ? type->hi : type->lo;
            bits = write_only(schema, wisp_number(number));
            if (!CHECK(bits >= 0)) break;
            if (!CHECK_EQ_INT(read_at(schema, out_bytes, bits, i & 7, &out, &used), WISP_OK)) break;
            CHECK_NEAR(only_number(&out), number, type->step * 0.5000001);
            if (!CHECK(same_after_reading(schema, &out, bits)))
                printf("    type %d %g\n", t, number);
        }
    }
}

typedef struct floats { float a, b; wisp_vec2 v; } floats;

/* 0.1f is a little over 0.1, and 0.7f a little under 0.7: both ends are inside all the same. */
TEST(a_float_at_the_end_of_its_range_is_inside_of_it) {
    static const wisp_field fields[] = {
        WISP_FIELD(floats, a, WISP_T_QUANTIZED(0.7, 9.1, 0.1)),
        WISP_FIELD(floats, b, WISP_T_NUMBER_RANGE(0.7, 9.1)),
        WISP_FIELD(floats, v, WISP_T_VEC2_QUANTIZED(0.7, 9.1, 0.1)),
    };
    static const wisp_schema plain = WISP_SCHEMA(floats, 1, fields);
    const wisp_schema *schema = wisp_schema_compile(&plain, memory_c.bytes, MEMORY_MAX);
    static const float ends[] = { 0.7f, 9.1f };
    char why[100];
    for (int i = 0; i < 2; i++) {
        floats f;
        wisp_value value = wisp_struct(&plain, &f), out;
        int64_t bits, used;
        f.a = f.b = f.v.x = f.v.y = ends[i];
        if (!CHECK_EQ_INT(wisp_validate(&plain, &value, why, 100), WISP_OK))
            printf("    %s\n", why);
        bits = write_map(schema, &value, out_bytes, OUT_MAX);
        if (!CHECK(bits > 0)) continue;
        CHECK_EQ_INT(read_at(schema, out_bytes, bits, 0, &out, &used), WISP_OK);
        CHECK_EQ_INT(wisp_validate(&plain, &out, why, 100), WISP_OK);
        CHECK(same_after_reading(schema, &out, bits));
    }
}

TEST(every_step_of_a_float_is_valid_and_stays) {
    static const wisp_range ranges[] = { { 0.7, 9.1, 0.1 }, { -0.3, 0.9, 0.01 }, { 0, 0.1, 0.001 },
                                         { -1, 1, 2e-7 }, { 0, 16777.3, 0.0021 },
                                         { 5.3, 77.7, 3 } };
    wisp_field field = WISP_FIELD(floats, a, WISP_T_QUANTIZED(0, 1, 1));
    for (int r = 0; r < TEST_COUNT(ranges); r++) {
        wisp_schema plain = WISP_SCHEMA(floats, 1, player_fields);
        const wisp_schema *schema;
        uint64_t steps = wisp__steps(&ranges[r]), skip = steps / 500 + 1;
        int bits_of_it = wisp__bit_length(steps);
        field.type.lo = ranges[r].lo;
        field.type.hi = ranges[r].hi;
        field.type.step = ranges[r].step;
        plain.fields = &field;
        plain.count = 1;
        schema = wisp_schema_compile(&plain, memory_c.bytes, MEMORY_MAX);
        if (!CHECK(schema != NULL)) continue;
        for (uint64_t n = 0; n <= steps; n += n + skip > steps && n < steps ? steps - n : skip) {
            wisp_value out;
            int64_t used;
            char why[100];
            memset(out_bytes, 0, 16);
            wisp__store64(out_bytes, n);
            if (!CHECK_EQ_INT(read_at(schema, out_bytes, bits_of_it, 0, &out, &used), WISP_OK))
                break;
            if (!CHECK_EQ_INT(wisp_validate(&plain, &out, why, 100), WISP_OK))
                printf("    %s\n", why);
            if (!CHECK(same_after_reading(schema, &out, bits_of_it)))
                printf("    range %d step %d\n", r, (int)n);
        }
    }
}

TEST(colours_of_bytes_and_of_floats_are_the_same_bits) {
    static const wisp_type type = WISP_T_COLOR;
    const wisp_schema *schema = only(&type);
    for (int i = 0; i < 256; i++) {
        float part = (float)i / 255.0f;
        wisp_value out;
        int64_t used;
        CHECK_EQ_INT(write_only(schema, wisp_color4(part, 0, 1, part)), 32);
        CHECK_EQ_INT(out_bytes[0], i);
        CHECK_EQ_INT(out_bytes[3], i);
        CHECK_EQ_INT(read_at(schema, out_bytes, 32, 5, &out, &used), WISP_OK);
        CHECK(same_after_reading(schema, &out, 32));
    }
}

/* --- rotations --- */

static wisp_quat only_quat(const wisp_value *out) { return wisp_field_of(out, "x")->as.quat; }

/* Cosine of half the angle between two rotations; their signs do not matter. */
static double alike(const float *a, wisp_quat b) {
    double dot = (double)a[0] * (double)b.x + (double)a[1] * (double)b.y +
                 (double)a[2] * (double)b.z + (double)a[3] * (double)b.w;
    double length = 0;
    for (int i = 0; i < 4; i++) length += (double)a[i] * (double)a[i];
    length = wisp__root(length);
    return (dot < 0 ? -dot : dot) / length;
}

static double length_of(wisp_quat q) {
    return wisp__root((double)q.x * (double)q.x + (double)q.y * (double)q.y +
                      (double)q.z * (double)q.z + (double)q.w * (double)q.w);
}

/* Random ones, ones with equal parts, ones about an axis; of any length but none. */
static void random_quat(uint64_t *seed, int i, float parts[4]) {
    double scale = i % 3 ? 1 : 1e3 * test_random_unit(seed) + 1e-3;
    for (int k = 0; k < 4; k++) {
        double part = test_random_unit(seed) * 2 - 1;
        if (i % 5 == 0) part = test_random_below(seed, 3) - 1.0;
        if (i % 5 == 1 && k < 2) part = 0;
        parts[k] = (float)(part * scale);
    }
    if (!wisp__is_rotation(parts)) parts[i & 3] = 1;
}

TEST(rotations_are_off_by_little_and_less_with_more_bits) {
    uint64_t seed = 11;
    for (int bits = 3; bits <= 20; bits++) {
        wisp_type type = WISP_T_QUAT(3);
        const wisp_schema *schema;
        /* three parts are off by half a step of sqrt 2 / (2^bits - 2), what follows by thrice */
        double step = 1.4142135623730951 / (double)((1 << bits) - 2), most;
        type.max = bits;
        schema = only(&type);
        most = 1 - 6 * step * step;
        for (int i = 0; i < 2000; i++) {
            float parts[4];
            wisp_value out;
            int64_t wrote, used;
            random_quat(&seed, i, parts);
            wrote = write_only(schema, wisp_quatv(parts[0], parts[1], parts[2], parts[3]));
            if (!CHECK_EQ_INT(wrote, 2 + 3 * bits)) break;
            CHECK_EQ_INT(read_at(schema, out_bytes, wrote, 0, &out, &used), WISP_OK);
            if (!CHECK(alike(parts, only_quat(&out)) > most - 1e-6)) printf("    %d bits\n", bits);
        }
    }
}

TEST(rotations_are_idempotent_at_all_bits) {
    uint64_t seed = 12;
    for (int bits = 2; bits <= 20; bits++) {
        wisp_type type = WISP_T_QUAT(3);
        const wisp_schema *schema;
        type.max = bits;
        schema = only(&type);
        for (int i = 0; i < 2000; i++) {
            float parts[4];
            wisp_value out;
            int64_t wrote, used;
            random_quat(&seed, i, parts);
            wrote = write_only(schema, wisp_quatv(parts[0], parts[1], parts[2], parts[3]));
            CHECK_EQ_INT(read_at(schema, out_bytes, wrote, 0, &out, &used), WISP_OK);
            if (!CHECK(same_after_reading(schema, &out, wrote))) printf("    %d bits\n", bits);
        }
    }
}

TEST(rotations_that_are_read_have_length_one) {
    uint64_t seed = 13;
    for (int bits = 2; bits <= 20; bits++) {
        wisp_type type = WISP_T_QUAT(3);
        const wisp_schema *schema;
        type.max = bits;
        schema = only(&type);
        for (int i = 0; i < 300; i++) {
            wisp_value out;
            int64_t used;
            low_random_bytes(&seed, out_bytes, 16);
            if (i == 0) memset(out_bytes, 0xff, 16);
            if (i == 1) memset(out_bytes, 0, 16);
            CHECK_EQ_INT(read_at(schema, out_bytes, 2 + 3 * bits, 0, &out, &used), WISP_OK);
            CHECK_NEAR(length_of(only_quat(&out)), 1, 1e-6);
        }
    }
}

/* Whichever part is largest, and whatever its sign: the rotation is the same, the part positive. */
TEST(the_largest_part_of_a_rotation_is_left_out_and_positive) {
    static const wisp_type type = WISP_T_QUAT(12);
    const wisp_schema *schema = only(&type);
    for (int i = 0; i < 8; i++) {
        float parts[4] = { 0.1f, -0.2f, 0.3f, 0.15f };
        wisp_value out;
        int64_t used;
        wisp_quat q;
        parts[i & 3] = i < 4 ? 0.9f : -0.9f;
        CHECK_EQ_INT(write_only(schema, wisp_quatv(parts[0], parts[1], parts[2], parts[3])), 38);
        CHECK_EQ_INT(out_bytes[0] & 3, i & 3);
        CHECK_EQ_INT(read_at(schema, out_bytes, 38, 0, &out, &used), WISP_OK);
        q = only_quat(&out);
        CHECK((&q.x)[i & 3] > 0.8f);
        CHECK(alike(parts, q) > 0.999999);
    }
}

TEST(what_is_no_rotation_is_refused) {
    static const wisp_type type = WISP_T_QUAT(12), whole = WISP_T_QUAT(0);
    float nan = (float)low_nan();
    const wisp_schema *schema = only(&type);
    CHECK_EQ_INT(write_only(schema, wisp_quatv(0, 0, 0, 0)), WISP_E_INVALID);
    CHECK_EQ_INT(write_only(schema, wisp_quatv(nan, 0, 0, 1)), WISP_E_INVALID);
    CHECK_EQ_INT(write_only(schema, wisp_quatv(1e30f, 0, 0, 1)), WISP_E_INVALID);
    CHECK_EQ_INT(write_only(only(&whole), wisp_quatv(0, 0, 0, 0)), 128);
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
        schemas_start(&made, seed, 0);
        schema = wisp_schema_compile(schemas_random(&made), memory_c.bytes, MEMORY_MAX);
        value = schemas_value(&made, schema);
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
        schemas_start(&made, seed, SCHEMAS_LOSSLESS);
        schema = wisp_schema_compile(schemas_random(&made), memory_c.bytes, MEMORY_MAX);
        value = schemas_value(&made, schema);
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
        schemas_start(&made, seed, SCHEMAS_NO_ANY);
        schema = wisp_schema_compile(schemas_random(&made), memory_c.bytes, MEMORY_MAX);
        value = schemas_value(&made, schema);
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

/* --- runs and tiles: what is done at once is as if it had been done one by one --- */

typedef struct line {
    uint8_t a; int8_t b; uint16_t c; int16_t d; uint32_t e; int32_t f; uint64_t g; int64_t h;
    float i, between, steps;
    double l, wide_steps;
    wisp_vec2 v2; wisp_vec3 v3, v3_steps;
    wisp_color color;
    char t4[5], t8[9], t16[17], t19[20], t32[33];
    bool flag;
    uint8_t blob[12];
    int blob_count;
} line;

enum { LINES = 70, LINE_FIELDS = 24, FIRST_TEXT = 14, PAGE_BYTES = 1 << 15 };

static const wisp_field line_fields[LINE_FIELDS] = {
    WISP_FIELD(line, a, WISP_T_RANGE(3, 100)),
    WISP_FIELD(line, b, WISP_T_INTEGER),
    WISP_FIELD(line, c, WISP_T_UINT),
    WISP_FIELD(line, d, WISP_T_RANGE(-300, 299)),
    WISP_FIELD(line, e, WISP_T_RANGE(1000, 100999)),
    WISP_FIELD(line, f, WISP_T_INTEGER),
    WISP_FIELD(line, g, WISP_T_RANGE(5, 500)),
    WISP_FIELD(line, h, WISP_T_INTEGER),
    WISP_FIELD(line, i, WISP_T_NUMBER),
    WISP_FIELD(line, v3, WISP_T_VEC3),
    WISP_FIELD(line, v3_steps, WISP_T_VEC3_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(line, l, WISP_T_DOUBLE),
    WISP_FIELD(line, steps, WISP_T_QUANTIZED(0, 1, 0.001)),
    WISP_FIELD(line, wide_steps, WISP_T_QUANTIZED(-5, 5, 0.25)),
    WISP_FIELD(line, t4, WISP_T_STRING(4)),
    WISP_FIELD(line, t8, WISP_T_STRING(8)),
    WISP_FIELD(line, t16, WISP_T_STRING(16)),
    WISP_FIELD(line, t19, WISP_T_STRING(19)),
    WISP_FIELD(line, t32, WISP_T_STRING(32)),
    WISP_FIELD(line, flag, WISP_T_BOOL),
    WISP_COUNTED_FIELD(line, blob, blob_count, WISP_T_BYTES(12)),
    WISP_FIELD(line, between, WISP_T_NUMBER_RANGE(0, 10)),
    WISP_FIELD(line, v2, WISP_T_VEC2),
    WISP_FIELD(line, color, WISP_T_COLOR),
};

typedef struct page { uint8_t lead; int count; line lines[LINES]; uint8_t tail; } page;

/* A text with anything behind its end; seldom one without end. */
static void fill_text(uint64_t *seed, char *text, int most) {
    int size = test_random_below(seed, 8) ? test_random_below(seed, most + 1) : 0;
    bool noise = test_random_below(seed, 2) != 0;
    memset(text, 0, (size_t)most + 1);
    for (int i = 0; i < size; i++) text[i] = (char)(1 + test_random_below(seed, 255));
    for (int i = size + 1; noise && i <= most; i++) text[i] = (char)test_random(seed);
    if (test_random_below(seed, 400) == 0) memset(text, 'x', (size_t)most + 1);
}

/* What is outside of its range. */
static void spoil_line(uint64_t *seed, line *to) {
    switch (test_random_below(seed, 6)) {
    case 0: to->a = 200; break;
    case 1: to->d = 400; break;
    case 2: to->e = 1; break;
    case 3: to->v3_steps.y = 101; break;
    case 4: to->steps = -1; break;
    default: to->wide_steps = 6; break;
    }
}

/* Far from a NaN that signals, also with some bits turned: there are machines on which loading it
   changes it. */
static void fill_floats(uint64_t *seed, line *to) {
    to->i = (float)(int32_t)test_random(seed);
    to->l = (double)(int64_t)test_random(seed);
    to->v2.x = (float)(int32_t)test_random(seed);
    to->v2.y = -0.0f;
    to->v3.x = (float)(int16_t)test_random(seed) / 16;
    to->v3.y = (float)(int32_t)test_random(seed);
    to->v3.z = (float)low_nan();
}

static void fill_line(uint64_t *seed, line *to) {
    low_random_bytes(seed, to, (int)sizeof *to);
    fill_floats(seed, to);
    to->a = (uint8_t)(3 + test_random_below(seed, 98));
    to->d = (int16_t)(test_random_below(seed, 600) - 300);
    to->e = 1000 + (uint32_t)test_random_below(seed, 100000);
    to->g = 5 + (uint64_t)test_random_below(seed, 496);
    to->v3_steps.x = (float)test_random_below(seed, 201) - 100;
    to->v3_steps.y = (float)test_random_below(seed, 20001) * 0.005f;
    to->v3_steps.z = -to->v3_steps.y;
    to->steps = (float)test_random_below(seed, 1001) * 0.001f;
    if (to->steps > 1) to->steps = 1;
    to->wide_steps = test_random_below(seed, 1001) * 0.01 - 5;
    to->between = (float)test_random_below(seed, 11);
    to->color = wisp_color3((float)test_random_below(seed, 256) / 255, 0, 1).as.color;
    fill_text(seed, to->t4, 4);
    fill_text(seed, to->t8, 8);
    fill_text(seed, to->t16, 16);
    fill_text(seed, to->t19, 19);
    fill_text(seed, to->t32, 32);
    to->flag = test_random_below(seed, 2) != 0;
    to->blob_count = test_random_below(seed, 13);
}

/* A page of lines of a few random fields: how many there are is counted or fixed. */
typedef struct book {
    wisp_field  line_fields[8], page_fields[3];
    wisp_type   line_type;
    wisp_schema lines, pages;
} book;

static void book_lines(book *b, uint64_t *seed) {
    wisp_schema lines = WISP_SCHEMA(line, 1, line_fields);
    wisp_type type = WISP_T_STRUCT(NULL);
    bool text_last = test_random_below(seed, 3) == 0;
    uint32_t used = 0;
    b->lines = lines;
    b->lines.fields = b->line_fields;
    b->lines.count = 1 + test_random_below(seed, 7);
    for (int i = 0; i < b->lines.count; i++) {
        int field = test_random_below(seed, LINE_FIELDS);
        if (text_last && i + 1 == b->lines.count) field = FIRST_TEXT + test_random_below(seed, 5);
        while (used >> field & 1) field = (field + 1) % LINE_FIELDS;
        used |= UINT32_C(1) << field;
        b->line_fields[i] = line_fields[field];
    }
    b->line_type = type;
    b->line_type.of = &b->lines;
}

/* Compiled, in memory_a. */
static const wisp_schema *book_random(book *b, uint64_t *seed) {
    static const wisp_field lead = WISP_FIELD(page, lead, WISP_T_RANGE(0, 127));
    static const wisp_field tail = WISP_FIELD(page, tail, WISP_T_UINT);
    static const wisp_field fixed = WISP_FIELD(page, lines, WISP_T_ARRAY(NULL, LINES));
    static const wisp_field counted =
        WISP_COUNTED_FIELD(page, lines, count, WISP_T_ARRAY(NULL, LINES));
    wisp_schema pages = WISP_SCHEMA(page, 1, line_fields);
    int before = test_random_below(seed, 2);
    book_lines(b, seed);
    b->page_fields[0] = lead;
    b->page_fields[before] = test_random_below(seed, 2) ? counted : fixed;
    b->page_fields[before].type.of = &b->line_type;
    b->page_fields[before + 1] = tail;
    b->pages = pages;
    b->pages.fields = b->page_fields;
    b->pages.count = before + 1 + test_random_below(seed, 2);
    return wisp_schema_compile(&b->pages, memory_a.bytes, MEMORY_MAX);
}

/* The same program, which does one operation after another, until the next call. *tiles and *runs
   count what it no longer has. */
static wisp__program one_by_one(const wisp__program *program, int *tiles, int *runs) {
    static wisp__op ops[64];
    wisp__program slow = *program;
    if (!CHECK(program->count <= 64)) return slow;
    for (int i = 0; i < program->count; i++) {
        ops[i] = program->ops[i];
        *tiles += ops[i].head > 0;
        *runs += ops[i].run > i + 1;
        ops[i].head = ops[i].run = 0;
    }
    slow.ops = ops;
    return slow;
}

static wisp_result read_page(const wisp__program *program, const uint8_t *bytes, int size,
                             page *image, int64_t *at) {
    wisp__bump bump = wisp__bump_on(memory_b.bytes, MEMORY_MAX);
    wisp__arena arena = wisp__arena_in(&bump);
    wisp__reader data = wisp__reader_on(bytes, size);
    wisp__base base;
    wisp__unpacker u;
    wisp_result result;
    wisp__base_alone(&base);
    memset(&u, 0, sizeof u);
    memset(image, 0, sizeof *image);
    u.base = &base;
    u.arena = &arena;
    u.data = &data;
    u.values = base.limits.message_values;
    u.room = INT32_MAX;
    result = wisp__record_read(&u, program, image);
    *at = data.at;
    return result;
}

/* From memory that ends where the bytes end. Returns whether it was read. */
static bool reads_alike(const wisp__program *quick, const wisp__program *slow,
                        const uint8_t *bytes, int size) {
    static page fast, plain;
    uint8_t *copy = (uint8_t *)malloc(size ? (size_t)size : 1);
    int64_t fast_at = 0, plain_at = 0;
    wisp_result result;
    if (size) memcpy(copy, bytes, (size_t)size);
    result = read_page(quick, copy, size, &fast, &fast_at);
    CHECK_EQ_INT(result, read_page(slow, copy, size, &plain, &plain_at));
    if (result == WISP_OK) {
        CHECK_EQ_INT(fast_at, plain_at);
        CHECK_EQ_MEM(&fast, &plain, sizeof fast);
    }
    free(copy);
    return result == WISP_OK;
}

/* Bytes that were written, or a negative result. */
static int writes_alike(const wisp__program *quick, const wisp__program *slow, const page *image,
                        int capacity, uint8_t *out) {
    uint8_t *fast = (uint8_t *)malloc(capacity ? (size_t)capacity : 1);
    uint8_t *plain = (uint8_t *)malloc(capacity ? (size_t)capacity : 1);
    wisp__base base;
    int64_t bits;
    wisp__base_alone(&base);
    bits = wisp__record_write(&base, quick, image, fast, capacity);
    CHECK_EQ_INT(bits, wisp__record_write(&base, slow, image, plain, capacity));
    if (bits > 0) CHECK_EQ_MEM(fast, plain, (bits + 7) / 8);
    if (bits > 0) memcpy(out, fast, (size_t)(bits + 7) / 8);
    free(fast);
    free(plain);
    return bits < 0 ? (int)bits : (int)((bits + 7) / 8);
}

TEST(runs_and_tiles_do_what_operations_do_one_by_one) {
    static page image;
    static uint8_t bytes[PAGE_BYTES];
    static book b;
    uint64_t seed = 1;
    int tiles = 0, runs = 0, written = 0, refused = 0, read = 0, rejected = 0;
    for (int round = 0; round < 300; round++) {
        const wisp_schema *schema = book_random(&b, &seed);
        bool spoilt = test_random_below(&seed, 3) == 0, small = test_random_below(&seed, 4) == 0;
        int capacity = small ? test_random_below(&seed, 6000) : PAGE_BYTES, size;
        wisp__program slow;
        if (!CHECK(schema != NULL)) return;
        slow = one_by_one(schema->program, &tiles, &runs);
        image.lead = (uint8_t)test_random_below(&seed, 128);
        image.tail = (uint8_t)test_random(&seed);
        image.count = test_random_below(&seed, LINES + 1);
        for (int i = 0; i < LINES; i++) {
            fill_line(&seed, &image.lines[i]);
            if (spoilt && test_random_below(&seed, 40) == 0) spoil_line(&seed, &image.lines[i]);
        }
        size = writes_alike(schema->program, &slow, &image, capacity, bytes);
        if (size >= 0) written++;
        else refused++;
        for (int turn = 0; turn < 6 && size >= 0; turn++) {
            int cut = turn == 1 ? test_random_below(&seed, size + 1) : size;
            for (int i = 1; i < turn && size > 0; i++)
                bytes[test_random_below(&seed, size)] ^= (uint8_t)(1 << (test_random(&seed) & 7));
            if (reads_alike(schema->program, &slow, bytes, cut)) read++;
            else rejected++;
        }
    }
    CHECK(tiles > 30 && runs > 200);
    CHECK(written > 100 && refused > 20 && read > 200 && rejected > 100);
}

/* --- many rows at a time --- */

/* Columns of each width, floats side by side, and texts that may end a row. */
typedef struct crowd_row {
    uint8_t  small;
    int16_t  middle;
    uint32_t large;
    float    a, b, c, d, e, f, g, h, i;
    char     brief[17], longer[27];
} crowd_row;

enum { CROWD = 70, CROWD_FLOATS = 9, CROWD_BYTES = CROWD * 128 };

typedef struct crowd { crowd_row rows[CROWD]; } crowd;

/* No signalling NaN, which some processors make a quiet one; texts with something behind them. */
static void fill_crowd(crowd *all, uint64_t *random) {
    for (int i = 0; i < CROWD; i++) {
        crowd_row *row = &all->rows[i];
        int brief = 1 + test_random_below(random, 16), longer = 1 + test_random_below(random, 26);
        low_random_bytes(random, row, (int)sizeof *row);
        row->small = (uint8_t)(3 + row->small % 98);
        row->middle = (int16_t)(row->middle % 300);
        for (size_t at = offsetof(crowd_row, a); at <= offsetof(crowd_row, i); at += 4) {
            float number = (float)(int32_t)test_random(random);
            memcpy((uint8_t *)row + at, &number, 4);
        }
        memset(row->brief, 'a' + i % 26, (size_t)brief);
        memset(row->longer, 'A' + i % 26, (size_t)longer);
        row->brief[brief] = row->longer[longer] = 0;
    }
}

/* Bits written; what is read of them is written as the same bits. */
static int64_t there_and_back(const wisp_schema *schema, const crowd *all, uint8_t *out) {
    static uint8_t again[CROWD_BYTES];
    wisp__base base;
    wisp_value value;
    int64_t bits;
    int bytes;
    wisp__base_alone(&base);
    bits = wisp__record_write(&base, schema->program, all, out, CROWD_BYTES);
    bytes = (int)((bits + 7) / 8);
    if (!CHECK(bits > 0)) return 0;
    if (CHECK_EQ_INT(wisp_decode(wisp_bitpack(), schema, out, bytes, &value, memory_a.bytes,
                                 MEMORY_MAX), bytes))
        CHECK_EQ_INT(wisp__record_write(&base, schema->program, value.as.structure.data, again,
                                        CROWD_BYTES), bits);
    CHECK_EQ_MEM(again, out, bytes);
    return bits;
}

static void is_the_same_each_way(const wisp_field *fields, int count, const crowd *all) {
    static uint8_t tiles[CROWD_BYTES], runs[CROWD_BYTES], single[CROWD_BYTES];
    wisp_schema row = { "row", 1, (int)sizeof(crowd_row), fields, count, WISP_SHAPE_STRUCT, NULL };
    wisp_type type = WISP_T_STRUCT(&row);
    wisp_field rows = WISP_FIELD(crowd, rows, WISP_T_ARRAY(&type, CROWD));
    wisp_schema whole = { "crowd", 1, (int)sizeof(crowd), &rows, 1, WISP_SHAPE_STRUCT, NULL };
    const wisp_schema *schema = wisp_schema_compile(&whole, memory_c.bytes, MEMORY_MAX);
    wisp__op *ops;
    int64_t bits;
    if (!CHECK(schema != NULL)) return;
    ops = (wisp__op *)(uintptr_t)schema->program->ops;
    CHECK(ops[0].head > 0);
    bits = there_and_back(schema, all, tiles);
    ops[0].head = 0;
    CHECK_EQ_INT(there_and_back(schema, all, runs), bits);
    for (int i = 0; i < schema->program->count; i++) ops[i].run = 0;
    CHECK_EQ_INT(there_and_back(schema, all, single), bits);
    CHECK_EQ_MEM(tiles, single, (int)((bits + 7) / 8));
    CHECK_EQ_MEM(runs, single, (int)((bits + 7) / 8));
}

TEST(rows_have_the_same_bits_many_at_a_time_and_one_by_one) {
    static const wisp_field parts[] = {
        WISP_FIELD(crowd_row, a, WISP_T_NUMBER), WISP_FIELD(crowd_row, b, WISP_T_NUMBER),
        WISP_FIELD(crowd_row, c, WISP_T_NUMBER), WISP_FIELD(crowd_row, d, WISP_T_NUMBER),
        WISP_FIELD(crowd_row, e, WISP_T_NUMBER), WISP_FIELD(crowd_row, f, WISP_T_NUMBER),
        WISP_FIELD(crowd_row, g, WISP_T_NUMBER), WISP_FIELD(crowd_row, h, WISP_T_NUMBER),
        WISP_FIELD(crowd_row, i, WISP_T_NUMBER),
        WISP_FIELD(crowd_row, middle, WISP_T_RANGE(-300, 299)),
        WISP_FIELD(crowd_row, brief, WISP_T_STRING(16)),
        WISP_FIELD(crowd_row, longer, WISP_T_STRING(26)),
        WISP_FIELD(crowd_row, large, WISP_T_UINT),
        WISP_FIELD(crowd_row, small, WISP_T_RANGE(3, 100)),
    };
    static crowd all;
    wisp_field fields[CROWD_FLOATS + 3];
    uint64_t random = 5;
    for (int count = 1; count <= CROWD_FLOATS; count++) {
        fill_crowd(&all, &random);
        fields[0] = parts[12];
        memcpy(fields + 1, parts, (size_t)count * sizeof *parts);
        is_the_same_each_way(fields, count + 1, &all);            /* whole bytes, no text */
        fields[0] = parts[13];
        fields[count + 1] = parts[9];
        fields[count + 2] = parts[10];
        is_the_same_each_way(fields, count + 3, &all);
        fields[count + 2] = parts[11];
        is_the_same_each_way(fields, count + 3, &all);
    }
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
    CASE(what_is_in_steps_is_off_by_at_most_half_a_step_and_stays),
    CASE(a_float_at_the_end_of_its_range_is_inside_of_it),
    CASE(every_step_of_a_float_is_valid_and_stays),
    CASE(colours_of_bytes_and_of_floats_are_the_same_bits),
    CASE(rotations_are_off_by_little_and_less_with_more_bits),
    CASE(rotations_are_idempotent_at_all_bits),
    CASE(rotations_that_are_read_have_length_one),
    CASE(the_largest_part_of_a_rotation_is_left_out_and_positive),
    CASE(what_is_no_rotation_is_refused),
    CASE(numbers_outside_of_their_range_are_not_read),
    CASE(a_nan_is_in_no_range),
    CASE(a_text_with_a_nul_inside_is_no_text_of_a_struct),
    CASE(what_is_outside_of_its_range_does_not_hide_where_the_record_ends),
    CASE(records_cut_at_any_bit_are_refused),
    CASE(records_begin_at_any_bit),
    CASE(a_record_is_as_long_as_it_says_and_nothing_behind_is_written),
    CASE(a_hostile_count_costs_no_more_than_the_limits),
    CASE(runs_and_tiles_do_what_operations_do_one_by_one),
    CASE(rows_have_the_same_bits_many_at_a_time_and_one_by_one),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
