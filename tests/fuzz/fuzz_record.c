/* fuzz_record.c - bytes chosen freely, read by a schema

   The first byte chooses a schema: some of structs and maps that have everything, else a random
   one; the second how much memory there is. The rest are read by it. What is decoded is a value of
   the schema; written it decodes to an equal value (rotations: to one that stays), and is written
   as the same bytes once more. A descriptor is read from the same bytes too: what is learned from
   it is a right schema. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"
#include "../support/test_runner.h"
#include "../support/random_schemas.h"

enum { INPUT_MOST = 1 << 12, MEMORY = 1 << 18, OUT = 1 << 16, LOSSLESS = 192 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct item { uint16_t id; uint8_t count; char label[5]; } item;
typedef enum team { RED, GREEN, BLUE } team;

typedef struct thing {
    bool alive;
    int8_t i8; int64_t i64; uint32_t u32; uint64_t u64; int32_t range;
    float steps, number, some; double wide, fine;
    char name[17];
    uint8_t fixed[3], blob[9], blob_count;
    wisp_vec2 v2; wisp_vec3 v3; wisp_vec4 v4;
    wisp_quat whole, packed, coarse;
    wisp_transform transform;
    wisp_color color; uint8_t rgba[4];
    team side;
    wisp_object object;
    item one, pair[2], items[5];
    uint16_t item_count;
    union { int32_t number; char text[12]; item one; } choice;
    int choice_is;
    wisp_value any, text;
} thing;

static const char *const teams[] = { "red", "green", "blue" };
static const wisp_field item_fields[] = {
    WISP_FIELD(item, id, WISP_T_RANGE(5, 1000)),
    WISP_OPTIONAL_FIELD(item, count, WISP_T_UINT, 1),
    WISP_FIELD(item, label, WISP_T_STRING(4)),
};
static const wisp_schema item_schema = WISP_SCHEMA(item, 1, item_fields);
static const wisp_type item_type = WISP_T_STRUCT(&item_schema);
static const wisp_range ranges[] = { { 0.7, 9.1, 0.1 }, { -1, 1, 0.01 }, { 0, 1, 0.3 },
                                     { 5, 6, 1 } };
static const wisp_type choices[] = { WISP_T_INT32, WISP_T_STRING(11), WISP_T_STRUCT(&item_schema) };

static const wisp_field thing_fields[] = {
    WISP_OPTIONAL_FIELD(thing, alive, WISP_T_BOOL, true),
    WISP_KEY_FIELD(thing, i8, WISP_T_INTEGER),
    WISP_FIELD(thing, i64, WISP_T_INTEGER),
    WISP_FIELD(thing, u32, WISP_T_UINT),
    WISP_FIELD(thing, u64, WISP_T_UINT),
    WISP_FIELD(thing, range, WISP_T_RANGE(-7, 1000)),
    WISP_FIELD(thing, steps, WISP_T_QUANTIZED(0.7, 9.1, 0.1)),
    WISP_FIELD(thing, number, WISP_T_NUMBER),
    WISP_OPTIONAL_FIELD(thing, some, WISP_T_NUMBER_RANGE(-0.3, 0.9), 0.1),
    WISP_FIELD(thing, wide, WISP_T_NUMBER_RANGE(-1, 1)),
    WISP_FIELD(thing, fine, WISP_T_QUANTIZED(-1, 1, 1e-9)),
    WISP_OPTIONAL_TEXT_FIELD(thing, name, WISP_T_STRING(16), "nobody"),
    WISP_FIELD(thing, fixed, WISP_T_BYTES(3)),
    WISP_COUNTED_FIELD(thing, blob, blob_count, WISP_T_BYTES(9)),
    WISP_FIELD(thing, v2, WISP_T_VEC2_QUANTIZED(-0.3, 0.7, 0.001)),
    WISP_FIELD(thing, v3, WISP_T_VEC3),
    WISP_FIELD(thing, v4, WISP_T_VEC4_EACH(ranges)),
    WISP_FIELD(thing, whole, WISP_T_QUAT(0)),
    WISP_FIELD(thing, packed, WISP_T_QUAT(11)),
    WISP_FIELD(thing, coarse, WISP_T_QUAT(2)),
    WISP_FIELD(thing, transform, WISP_T_TRANSFORM),
    WISP_FIELD(thing, color, WISP_T_COLOR),
    WISP_FIELD(thing, rgba, WISP_T_COLOR),
    WISP_OPTIONAL_FIELD(thing, side, WISP_T_ENUM(teams, 3), BLUE),
    WISP_FIELD(thing, object, WISP_T_OBJECT),
    WISP_FIELD(thing, one, WISP_T_STRUCT(&item_schema)),
    WISP_FIELD(thing, pair, WISP_T_ARRAY(&item_type, 2)),
    WISP_COUNTED_FIELD(thing, items, item_count, WISP_T_ARRAY(&item_type, 5)),
    WISP_UNION_FIELD(thing, choice, choice_is, WISP_T_UNION(choices, 3)),
    WISP_FIELD(thing, any, WISP_T_ANY),
    WISP_FIELD(thing, text, WISP_T_EXACT(WISP_STRING)),
};
static const wisp_schema thing_schema = WISP_SCHEMA(thing, 1, thing_fields);
static const wisp_type thing_type = WISP_T_STRUCT(&thing_schema);

static const wisp_field map_fields[] = {
    WISP_MAP_FIELD("things", WISP_T_ARRAY(&thing_type, 3)),
    WISP_MAYBE_MAP_FIELD("thing", WISP_T_STRUCT(&thing_schema)),
    WISP_OPTIONAL_TEXT_MAP_FIELD("name", WISP_T_STRING(300), "bob"),
    WISP_MAP_FIELD("choice", WISP_T_UNION(choices, 3)),
};
static const wisp_schema map_schema = WISP_MAP_SCHEMA("map", 1, map_fields);

static union { double align; uint8_t bytes[MEMORY]; } compiled_in, again_in, learned_in;
static schemas made;

static const wisp_schema *chosen(uint8_t choice) {
    if (choice < 64) return &thing_schema;
    if (choice < 96) return &item_schema;
    if (choice < 128) return &map_schema;
    schemas_start(&made, choice, choice < LOSSLESS ? 0 : SCHEMAS_LOSSLESS);
    return schemas_random(&made);
}

/* Memory of exactly so many bytes, so that a write beyond it is seen. */
static void *exactly(int bytes) {
    void *memory = malloc(bytes > 0 ? (size_t)bytes : 1);
    MUST(memory);
    return memory;
}

/* `exactly_so`: nothing in the schema is rounded. Else what comes out of the first round stays:
   bits that no writer makes may be rotations that are rounded once. */
static void write_and_read(const wisp_schema *schema, const wisp_value *value, bool exactly_so) {
    static uint8_t bytes[OUT], more[OUT];
    wisp_value again, once_more;
    int size = wisp_encode(wisp_bitpack(), schema, value, bytes, OUT), next;
    MUST(size >= 0);
    MUST(wisp_decode(wisp_bitpack(), schema, bytes, size, &again, again_in.bytes, MEMORY) == size);
    MUST(wisp_validate(schema, &again, NULL, 0) == WISP_OK);
    MUST(!exactly_so || (wisp_equal(value, &again) && wisp_hash(value) == wisp_hash(&again)));
    next = wisp_encode(wisp_bitpack(), schema, &again, more, OUT);
    MUST(next == size && memcmp(bytes, more, (size_t)size) == 0);
    MUST(wisp_decode(wisp_bitpack(), schema, more, size, &once_more, learned_in.bytes, MEMORY) ==
         size);
    MUST(wisp_equal(&again, &once_more) && wisp_hash(&again) == wisp_hash(&once_more));
}

static void read_descriptor(const uint8_t *data, int size) {
    wisp__reader from = wisp__reader_on(data, size);
    wisp__bump bump = wisp__bump_on(learned_in.bytes, MEMORY);
    wisp_result result;
    const wisp_schema *schema = wisp__undescribe(&from, &bump, &result);
    if (!schema) return;
    MUST(wisp_schema_check(schema, NULL, 0) == WISP_OK);
    if (wisp_schema_bytes(schema) <= MEMORY)
        MUST(wisp_schema_compile(schema, compiled_in.bytes, MEMORY));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const wisp_schema *schema;
    wisp_value value;
    int left = (int)size - 2, read, room;
    uint8_t *bytes;
    void *memory;
    if (size < 2 || size > INPUT_MOST) return 0;
    bytes = (uint8_t *)exactly(left);
    memcpy(bytes, data + 2, (size_t)left);
    read_descriptor(bytes, left);
    schema = wisp_schema_compile(chosen(data[0]), compiled_in.bytes, MEMORY);
    MUST(schema);
    room = data[1] & 1 ? data[1] * 16 : MEMORY;
    memory = exactly(room);
    read = wisp_decode(wisp_bitpack(), schema, bytes, left, &value, memory, room);
    MUST(read <= left);
    if (read >= 0) {
        MUST(wisp_validate(schema, &value, NULL, 0) == WISP_OK);
        write_and_read(schema, &value, data[0] >= LOSSLESS);
    }
    free(memory);
    free(bytes);
    return 0;
}
