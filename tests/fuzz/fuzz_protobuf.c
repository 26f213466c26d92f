/* fuzz_protobuf.c - bytes that may be a message, read with and without a schema

   The first byte chooses the schema, the next two how much memory there is; the rest is the
   message. Nothing is read or written outside. What can be read is written again, and from then on
   its bytes and its value stay as they are.
*/
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"
#include "../support/straight_struct.h"

enum { ROOM = 1 << 16, MEMORY = 1 << 22 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "red", "green", "blue" };
static const wisp_type t_bool = WISP_T_BOOL, t_int32 = WISP_T_INT32, t_uint64 = WISP_T_UINT64;
static const wisp_type t_sint64 = WISP_T_SINT64, t_fixed32 = WISP_T_FIXED32;
static const wisp_type t_double = WISP_T_DOUBLE, t_string = WISP_T_STRING(64);
static const wisp_type t_vec3 = WISP_T_VEC3, t_any = WISP_T_ANY;
static const wisp_type t_row = WISP_T_ARRAY(&t_int32, 64), t_words = WISP_T_ARRAY(&t_string, 64);

/* A message that holds itself in every way there is. */
static wisp_schema tree;
static const wisp_type t_tree = WISP_T_STRUCT(&tree);
static const wisp_type options[] = { WISP_T_STRING(64), WISP_T_STRUCT(&tree), WISP_T_INT64,
                                     WISP_T_ARRAY(&t_int32, 64), WISP_T_TRANSFORM, WISP_T_ANY };
static const wisp_type t_union = WISP_T_UNION(options, 6);
static const wisp_field tree_fields[] = {
    WISP_MAP_FIELD("a", WISP_T_INT32), WISP_OPTIONAL_MAP_FIELD("b", WISP_T_SINT32, -7),
    WISP_MAP_FIELD("list", WISP_T_ARRAY(&t_int32, 64)),
    WISP_MAP_FIELD("kids", WISP_T_ARRAY(&t_tree, 64)),
    WISP_MAYBE_MAP_FIELD("next", WISP_T_STRUCT(&tree)),
    WISP_MAYBE_MAP_FIELD("one", WISP_T_UNION(options, 6)),
    WISP_MAP_FIELD("many", WISP_T_ARRAY(&t_union, 64))
};

static const wisp_field all_fields[] = {
    WISP_NUMBERED_MAP_FIELD("last", WISP_T_UINT32, 31),
    WISP_NUMBERED_MAP_FIELD("bool", WISP_T_BOOL, 1), WISP_MAP_FIELD("int64", WISP_T_INT64),
    WISP_MAP_FIELD("sfixed32", WISP_T_SFIXED32), WISP_MAP_FIELD("float", WISP_T_FLOAT),
    WISP_MAP_FIELD("range", WISP_T_RANGE(0, 10)), WISP_MAP_FIELD("string", WISP_T_STRING(64)),
    WISP_MAP_FIELD("bytes", WISP_T_BYTES(64)), WISP_MAP_FIELD("enum", WISP_T_ENUM(names, 3)),
    WISP_MAP_FIELD("object", WISP_T_OBJECT), WISP_MAP_FIELD("color", WISP_T_COLOR),
    WISP_MAP_FIELD("transform", WISP_T_TRANSFORM), WISP_MAP_FIELD("any", WISP_T_ANY),
    WISP_MAP_FIELD("bools", WISP_T_ARRAY(&t_bool, 64)),
    WISP_MAP_FIELD("uints", WISP_T_ARRAY(&t_uint64, 64)),
    WISP_MAP_FIELD("sints", WISP_T_ARRAY(&t_sint64, 64)),
    WISP_MAP_FIELD("fixeds", WISP_T_ARRAY(&t_fixed32, 64)),
    WISP_MAYBE_MAP_FIELD("doubles", WISP_T_ARRAY(&t_double, 64)),
    WISP_MAP_FIELD("strings", WISP_T_ARRAY(&t_string, 64)),
    WISP_MAP_FIELD("points", WISP_T_ARRAY(&t_vec3, 64)),
    WISP_MAP_FIELD("rows", WISP_T_ARRAY(&t_row, 64)),
    WISP_MAP_FIELD("pages", WISP_T_ARRAY(&t_words, 64)),
    WISP_MAP_FIELD("anys", WISP_T_ARRAY(&t_any, 64)),
    WISP_OPTIONAL_TEXT_MAP_FIELD("name", WISP_T_STRING(64), "nobody"),
    WISP_OPTIONAL_MAP_FIELD("speed", WISP_T_FLOAT, 1.5), WISP_MAP_FIELD("seven", WISP_T_LITERAL(7))
};
static const wisp_schema all = WISP_MAP_SCHEMA("all", 1, all_fields);
static const wisp_schema row = WISP_LIST_SCHEMA("row", 1, all_fields);

static const wisp_schema *schema_of(int choice) {
    tree.name = "tree";
    tree.version = 1;
    tree.fields = tree_fields;
    tree.count = WISP__LENGTH(tree_fields);
    tree.shape = WISP_SHAPE_MAP;
    switch (choice % 4) {
    case 0: return NULL;
    case 1: return &tree;
    case 2: return &all;
    default: return &row;
    }
}

static int decode_bytes(const wisp_schema *schema, const void *bytes, int size, wisp_value *out,
                  void *block, int block_size) {
    return wisp_protobuf()->decode(wisp_protobuf(), schema, bytes, size, out, block, block_size);
}

static int encode_value(const wisp_schema *schema, const wisp_value *value, void *out) {
    return wisp_protobuf()->encode(wisp_protobuf(), schema, value, out, ROOM);
}

/* A union that has not come is nil, and so is none of its options; a pair of a map may come
   without the value that it is written with, which is a message deeper. */
static bool is_told(int result) { return result == WISP_E_INVALID || result == WISP_E_DEPTH; }

static void check_again(const wisp_schema *schema, const wisp_value *value) {
    static uint8_t first[ROOM], second[ROOM];
    static uint64_t block[MEMORY / 8];
    wisp_value again;
    int size = encode_value(schema, value, first);
    if (is_told(size)) return;
    MUST(size >= 0);
    MUST(decode_bytes(schema, first, size, &again, block, MEMORY) == size);
    MUST(wisp_equal(&again, value));
    MUST(wisp_hash(&again) == wisp_hash(value));
    MUST(encode_value(schema, &again, second) == size);
    MUST(memcmp(first, second, (size_t)size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    script in = { NULL, 0, 0 };
    const wisp_schema *schema;
    wisp_value value = wisp_string("untouched");
    void *block;
    int room, result;
    in.data = data;
    in.size = size;
    straight_agrees(wisp_protobuf(), &in);
    in.at = 0;
    schema = schema_of(take(&in));
    room = take16(&in);
    if (room & 1) room = MEMORY / 4;
    block = malloc((size_t)room + 1);
    MUST(block);
    result = decode_bytes(schema, data + in.at, (int)(size - in.at), &value, block, room);
    if (result >= 0) MUST(result == (int)(size - in.at));
    else MUST(strcmp(value.as.string, "untouched") == 0);
    MUST(result >= 0 || result == WISP_E_SYNTAX || result == WISP_E_MEMORY ||
         result == WISP_E_DEPTH || result == WISP_E_TYPE);
    if (result >= 0) check_again(schema, &value);
    free(block);
    return 0;
}
