/* straight_struct.h - for the fuzz targets of codecs: a C struct that is written and read straight
   from memory must give what it gives as a value

   Included after fuzz_script.h. */
#ifndef STRAIGHT_STRUCT_H
#define STRAIGHT_STRUCT_H

typedef struct straight_item { int16_t id; uint8_t count; char name[6]; } straight_item;
typedef struct straight {
    int32_t number, range;
    uint64_t large;
    bool flag;
    float real;
    double fraction;
    char text[9];
    wisp_vec3 at, near;
    wisp_transform pose;
    int32_t side;
    uint8_t blob[5], blob_count, used;
    straight_item items[3];
    float row[2];
    int32_t zigzag, fixed;
    union { int64_t number; char text[8]; } choice;
    uint8_t choice_is;
} straight;

static const char *const straight_sides[] = { "left", "right" };
static const wisp_field straight_item_fields[] = {
    WISP_FIELD(straight_item, id, WISP_T_RANGE(-5, 500)),
    WISP_FIELD(straight_item, count, WISP_T_UINT),
    WISP_FIELD(straight_item, name, WISP_T_STRING(5)),
};
static const wisp_schema straight_item_schema = WISP_SCHEMA(straight_item, 1, straight_item_fields);
static const wisp_type straight_item_type = WISP_T_STRUCT(&straight_item_schema);
static const wisp_type straight_float = WISP_T_FLOAT;
static const wisp_type straight_options[] = { WISP_T_INT64, WISP_T_STRING(7) };
static const wisp_field straight_struct_fields[] = {
    WISP_FIELD(straight, number, WISP_T_INTEGER),
    WISP_FIELD(straight, range, WISP_T_RANGE(0, 100)),
    WISP_FIELD(straight, large, WISP_T_UINT),
    WISP_OPTIONAL_FIELD(straight, flag, WISP_T_BOOL, true),
    WISP_FIELD(straight, real, WISP_T_NUMBER),
    WISP_FIELD(straight, fraction, WISP_T_NUMBER_RANGE(-1, 1)),
    WISP_FIELD(straight, text, WISP_T_STRING(8)),
    WISP_FIELD(straight, at, WISP_T_VEC3),
    WISP_FIELD(straight, near, WISP_T_VEC3_QUANTIZED(-1, 1, 0.01)),
    WISP_FIELD(straight, pose, WISP_T_TRANSFORM),
    WISP_FIELD(straight, side, WISP_T_ENUM(straight_sides, 2)),
    WISP_COUNTED_FIELD(straight, blob, blob_count, WISP_T_BYTES(5)),
    WISP_COUNTED_FIELD(straight, items, used, WISP_T_ARRAY(&straight_item_type, 3)),
    WISP_FIELD(straight, row, WISP_T_ARRAY(&straight_float, 2)),
    WISP_FIELD(straight, zigzag, WISP_T_SINT32),
    WISP_FIELD(straight, fixed, WISP_T_SFIXED32),
    WISP_UNION_FIELD(straight, choice, choice_is, WISP_T_UNION(straight_options, 2)),
};
static const wisp_schema straight_struct = WISP_SCHEMA(straight, 1, straight_struct_fields);

static struct {
    uint64_t schema[1024], one[2048], two[2048];
    uint8_t  written[1024], again[1024];
} straight_room;

/* The script makes a struct, most of which fits, and damages the message. */
static inline void straight_agrees(const wisp_codec *codec, script *s) {
    static const wisp_schema *schema;
    wisp_codec slow = *codec;
    straight from;
    wisp_value value, one, two;
    int size, read, room = (int)sizeof straight_room.written;
    if (!schema)
        schema = wisp_schema_compile(&straight_struct, straight_room.schema,
                                     (int)sizeof straight_room.schema);
    MUST(schema);
    slow.user = NULL;
    memset(&from, 0, sizeof from);
    for (int changes = take(s) % 32; changes > 0; changes--) {
        int at = take16(s) % (int)sizeof from;
        ((uint8_t *)&from)[at] = take(s);
    }
    value = wisp_struct(schema, &from);
    if (take(s) & 1) room = take16(s) % room;
    size = wisp_encode(codec, schema, &value, straight_room.written, room);
    MUST(wisp_encode(&slow, schema, &value, straight_room.again, room) == size);
    if (size <= 0) return;
    MUST(memcmp(straight_room.written, straight_room.again, (size_t)size) == 0);
    for (int changes = take(s) % 4; changes > 0; changes--) {
        int at = take16(s) % size;
        straight_room.written[at] = take(s);
    }
    if (take(s) & 1) size = take16(s) % (size + 1);
    read = wisp_decode(codec, schema, straight_room.written, size, &one, straight_room.one,
                       (int)sizeof straight_room.one);
    MUST(wisp_decode(&slow, schema, straight_room.written, size, &two, straight_room.two,
                     (int)sizeof straight_room.two) == read);
    if (read >= 0) MUST(wisp__alike(&one, &two, WISP__SAME_BITS));
}

#endif /* STRAIGHT_STRUCT_H */
