/* every_type.h - schemas with every type that there is: a C struct, a map, a row

   Included after wisp.h and test_runner.h. */
#ifndef EVERY_TYPE_H
#define EVERY_TYPE_H

typedef enum team { RED, GREEN, BLUE } team;
static const char *const teams[] = { "red", "green", "blue" };
static const char *const states[] = { "idle", "run", "" };

typedef struct item { uint16_t id; uint8_t count; } item;
static const wisp_field item_fields[] = {
    WISP_FIELD(item, id, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(item, count, WISP_T_UINT),
};
static const wisp_schema item_schema = WISP_SCHEMA(item, 1, item_fields);
static const wisp_type item_type = WISP_T_STRUCT(&item_schema);
static const wisp_type number_type = WISP_T_NUMBER;
static const wisp_type float_type = WISP_T_FLOAT;
static const wisp_type row_type = WISP_T_ARRAY(&float_type, 3);
static const wisp_range ranges[] = { { 0, 10, 0.5 }, { -1, 1, 0.01 }, { 0, 1, 0.25 }, { 5, 6, 1 } };
static const wisp_type choices[] = {
    WISP_T_INTEGER, WISP_T_STRING(7), WISP_T_STRUCT(&item_schema), WISP_T_BYTES(3)
};

typedef struct all {
    wisp_value any, exact, place;
    bool flag;
    int8_t i8; int16_t i16; int32_t i32; int64_t i64;
    uint8_t u8; uint16_t u16; uint32_t u32; uint64_t u64;
    int32_t range, integer, level;
    uint8_t uint, small;
    double number, between;
    float real, grid[4];
    float f; double d; float nr; float q; double qd;
    char text[11];
    uint8_t fixed[5], blob[16];
    int blob_count;
    wisp_vec2 v2; wisp_vec3 v3; wisp_vec4 v4; wisp_vec3 vq; wisp_vec4 ve;
    wisp_quat whole, packed;
    wisp_transform transform;
    wisp_color color;
    uint8_t rgba[4];
    team side;
    uint16_t state;
    wisp_object object;
    item one, pair[2], some[8];
    uint16_t some_count;
    float rows[2][3];
    union { int64_t number; char text[8]; item one; } choice;
    uint8_t choice_is;
} all;

static const wisp_field all_fields[] = {
    WISP_FIELD(all, any, WISP_T_ANY),
    WISP_FIELD(all, exact, WISP_T_EXACT(WISP_STRING)),
    WISP_FIELD(all, place, WISP_T_EXACT(WISP_VEC3)),
    WISP_OPTIONAL_FIELD(all, flag, WISP_T_BOOL, true),
    WISP_KEY_FIELD(all, i8, WISP_T_INT8),
    WISP_FIELD(all, i16, WISP_T_INT16),
    WISP_FIELD(all, i32, WISP_T_SINT32),
    WISP_FIELD(all, i64, WISP_T_SFIXED64),
    WISP_FIELD(all, u8, WISP_T_UINT8),
    WISP_FIELD(all, u16, WISP_T_UINT16),
    WISP_NUMBERED_FIELD(all, u32, WISP_T_FIXED32, 900),
    WISP_FIELD(all, u64, WISP_T_UINT64),
    WISP_FIELD(all, range, WISP_T_RANGE(-5, 1000000)),
    WISP_FIELD(all, integer, WISP_T_INTEGER),
    WISP_OPTIONAL_FIELD(all, level, WISP_T_INT32, -5),
    WISP_FIELD(all, uint, WISP_T_UINT),
    WISP_FIELD(all, small, WISP_T_RANGE(3, 200)),
    WISP_FIELD(all, number, WISP_T_NUMBER),
    WISP_FIELD(all, between, WISP_T_NUMBER_RANGE(-1, 1)),
    WISP_FIELD(all, real, WISP_T_NUMBER),
    WISP_FIELD(all, grid, WISP_T_ARRAY(&float_type, 4)),
    WISP_FIELD(all, f, WISP_T_FLOAT),
    WISP_FIELD(all, d, WISP_T_DOUBLE),
    WISP_FIELD(all, nr, WISP_T_NUMBER_RANGE(0, 1)),
    WISP_OPTIONAL_FIELD(all, q, WISP_T_QUANTIZED(0, 100, 0.5), 100),
    WISP_FIELD(all, qd, WISP_T_QUANTIZED(-1, 1, 0.001)),
    WISP_OPTIONAL_TEXT_FIELD(all, text, WISP_T_STRING(10), "nobody"),
    WISP_FIELD(all, fixed, WISP_T_BYTES(5)),
    WISP_COUNTED_FIELD(all, blob, blob_count, WISP_T_BYTES(16)),
    WISP_FIELD(all, v2, WISP_T_VEC2),
    WISP_FIELD(all, v3, WISP_T_VEC3),
    WISP_FIELD(all, v4, WISP_T_VEC4),
    WISP_FIELD(all, vq, WISP_T_VEC3_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(all, ve, WISP_T_VEC4_EACH(ranges)),
    WISP_FIELD(all, whole, WISP_T_QUAT(0)),
    WISP_FIELD(all, packed, WISP_T_QUAT(9)),
    WISP_FIELD(all, transform, WISP_T_TRANSFORM),
    WISP_FIELD(all, color, WISP_T_COLOR),
    WISP_FIELD(all, rgba, WISP_T_COLOR),
    WISP_FIELD(all, side, WISP_T_ENUM(teams, 3)),
    WISP_FIELD(all, state, WISP_T_ENUM(states, 3)),
    WISP_FIELD(all, object, WISP_T_OBJECT),
    WISP_FIELD(all, one, WISP_T_STRUCT(&item_schema)),
    WISP_FIELD(all, pair, WISP_T_ARRAY(&item_type, 2)),
    WISP_COUNTED_FIELD(all, some, some_count, WISP_T_ARRAY(&item_type, 8)),
    WISP_FIELD(all, rows, WISP_T_ARRAY(&row_type, 2)),
    WISP_UNION_FIELD(all, choice, choice_is, WISP_T_UNION(choices, 4)),
};
static const wisp_schema all_schema = WISP_SCHEMA(all, 255, all_fields);

/* One that fits, with something in most of it. */
static inline all all_full(void) {
    all value;
    memset(&value, 0, sizeof value);
    value.exact = wisp_string("exact");
    value.place = wisp_vec3v(1, 2, 3);
    value.u64 = UINT64_MAX;
    value.i8 = -128;
    value.range = 999999;
    value.small = 77;
    value.ve.w = 5.5f;
    value.q = 33.5f;
    value.packed.x = value.packed.w = 1;
    value.side = BLUE;
    value.some_count = 3;
    value.some[2].id = 1000;
    value.blob_count = 16;
    value.choice_is = 1;
    memcpy(value.choice.text, "seven", 6);
    memcpy(value.text, "hello", 6);
    value.rows[1][2] = 1.5f;
    return value;
}

static const wisp_field map_fields[] = {
    WISP_MAP_FIELD("any", WISP_T_ANY),
    WISP_KEY_MAP_FIELD("id", WISP_T_UINT),
    WISP_OPTIONAL_MAP_FIELD("hp", WISP_T_NUMBER_RANGE(0, 100), 100),
    WISP_OPTIONAL_TEXT_MAP_FIELD("name", WISP_T_STRING(20), "bob"),
    WISP_MAYBE_MAP_FIELD("guild", WISP_T_STRING(20)),
    WISP_NUMBERED_MAP_FIELD("kind", WISP_T_LITERAL_TEXT("player"), 77),
    WISP_MAP_FIELD("version", WISP_T_LITERAL(3)),
    WISP_MAP_FIELD("choice", WISP_T_UNION(choices, 4)),
    WISP_MAP_FIELD("list", WISP_T_ARRAY(&row_type, 100)),
    WISP_OPTIONAL_MAP_FIELD("side", WISP_T_ENUM(teams, 3), BLUE),
    WISP_MAP_FIELD("item", WISP_T_STRUCT(&item_schema)),
};
static const wisp_schema map_schema = WISP_MAP_SCHEMA("map", 1, map_fields);
static const wisp_type map_type = WISP_T_STRUCT(&map_schema);
static const wisp_field row_fields[] = {
    WISP_MAP_FIELD("damage", WISP_T_RANGE(0, 100)),
    WISP_MAP_FIELD("what", WISP_T_ARRAY(&map_type, 3)),
};
static const wisp_schema row_schema = WISP_LIST_SCHEMA("hit", 1, row_fields);

#endif /* EVERY_TYPE_H */
