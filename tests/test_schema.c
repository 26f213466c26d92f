/* test_schema.c - schemas: wrong ones are refused with the reason, right ones compile */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/random_schemas.h"
#include "support/every_type.h"

enum { SCHEMA_MEMORY_MAX = 1 << 20 };

static union { double align; uint8_t bytes[SCHEMA_MEMORY_MAX]; } schema_memory, schema_memory_b;
static schemas schema_made;
static char schema_why[200];

static void *schema_exactly(int bytes) {
    void *block = malloc(bytes > 0 ? (size_t)bytes : 1);
    if (!block) exit(2);
    memset(block, 0xa5, bytes > 0 ? (size_t)bytes : 1);
    return block;
}

static wisp_schema schema_of(const wisp_field *fields, int count, wisp_shape shape, int bytes) {
    wisp_schema schema;
    memset(&schema, 0, sizeof schema);
    schema.name = "test";
    schema.version = 1;
    schema.bytes = bytes;
    schema.fields = fields;
    schema.count = count;
    schema.shape = shape;
    return schema;
}

static bool is_refused(const wisp_schema *schema, const char *text) {
    int result;
    memset(schema_why, 'x', sizeof schema_why);
    result = wisp_schema_check(schema, schema_why, sizeof schema_why);
    return CHECK_EQ_INT(result, WISP_E_SCHEMA) && CHECK_EQ_STR(schema_why, text) &&
           CHECK_EQ_INT(wisp_schema_check(schema, NULL, 0), WISP_E_SCHEMA) &&
           CHECK_EQ_INT(wisp_schema_bytes(schema), WISP_E_SCHEMA) &&
           CHECK(wisp_schema_compile(schema, schema_memory.bytes, SCHEMA_MEMORY_MAX) == NULL);
}

static bool is_fine(const wisp_schema *schema) {
    memset(schema_why, 'x', sizeof schema_why);
    return CHECK_EQ_INT(wisp_schema_check(schema, schema_why, sizeof schema_why), WISP_OK) &&
           CHECK_EQ_STR(schema_why, "") && CHECK(wisp_schema_bytes(schema) > 0) &&
           CHECK(wisp_schema_compile(schema, schema_memory.bytes, SCHEMA_MEMORY_MAX) != NULL);
}

/* --- what static initialisers can say, as C99 and as C++11 --- */

TEST(every_type_can_be_said_by_static_initialisers) {
    CHECK(is_fine(&all_schema));
    CHECK(is_fine(&map_schema));
    CHECK(is_fine(&row_schema));
    CHECK(is_fine(&item_schema));
    CHECK_EQ_STR(all_schema.name, "all");
    CHECK_EQ_INT(all_schema.bytes, sizeof(all));
    CHECK_EQ_INT(item_schema.count, 2);
}

/* --- mistakes in the fields of maps --- */

typedef struct mistake { wisp_field field; const char *why; } mistake;

static const char *const no_name[] = { "a", NULL };
static const char *const schema_long_name[] = {
    "12345678901234567890123456789012345678901234567890123456789012345"
};
static const wisp_range bad_ranges[] = { { 0, 1, 0.1 }, { 1, 0, 0.1 }, { 0, 1, 0.1 } };
static const wisp_type bad_option[] = { WISP_T_BOOL, WISP_T_QUAT(99) };
static const wisp_type bad_type = WISP_T_RANGE(2, 1);
static const wisp_field bad_fields[] = { WISP_MAP_FIELD("inner", WISP_T_RANGE(2, 1)) };
static const wisp_schema bad_schema = WISP_MAP_SCHEMA("bad", 1, bad_fields);
static const wisp_field fine_fields[] = { WISP_MAP_FIELD("x", WISP_T_BOOL) };
static const wisp_schema version_0 = WISP_MAP_SCHEMA("v", 0, fine_fields);
static const wisp_schema a_row = WISP_LIST_SCHEMA("row", 1, fine_fields);

#define WHOLE_LINE "12345678901234567890123456789012345678901234567890123456789012345"

static const mistake of_maps[] = {
    { WISP_MAP_FIELD("a", WISP_T_RANGE(1, 0)), "a: its range is upside down" },
    { WISP_MAP_FIELD("a", WISP_T_NUMBER_RANGE(1, 0)), "a: its range is upside down" },
    { WISP_MAP_FIELD("a", WISP_T_QUANTIZED(1, 0, 0.1)),
      "a: 1 .. 0 in steps of 0.1: no range of at most 32 bits" },
    { WISP_MAP_FIELD("a", WISP_T_QUANTIZED(0, 1, 0)),
      "a: 0 .. 1 in steps of 0: no range of at most 32 bits" },
    { WISP_MAP_FIELD("a", WISP_T_QUANTIZED(0, 1, -0.1)),
      "a: 0 .. 1 in steps of -0.1: no range of at most 32 bits" },
    { WISP_MAP_FIELD("a", WISP_T_QUANTIZED(0, 5e9, 1)),
      "a: 0 .. 5e+09 in steps of 1: no range of at most 32 bits" },
    { WISP_MAP_FIELD("a", WISP_T_QUANTIZED(-1e308, 1e308, 1e300)),
      "a: -1e+308 .. 1e+308 in steps of 1e+300: no range of at most 32 bits" },
    { WISP_MAP_FIELD("a", WISP_T_VEC2_QUANTIZED(1, 0, 0.1)),
      "a: 1 .. 0 in steps of 0.1: no range of at most 32 bits" },
    { WISP_MAP_FIELD("a", WISP_T_VEC3_EACH(bad_ranges)),
      "a: 1 .. 0 in steps of 0.1: no range of at most 32 bits" },
    { WISP_MAP_FIELD("a", WISP_T_VEC3_QUANTIZED(-1e9, 1e9, 1)),
      "a: a float cannot tell 1e+09 from 999999999" },
    { WISP_MAP_FIELD("a", WISP_T_QUAT(1)), "a: 1 bits are not 2 .. 20" },
    { WISP_MAP_FIELD("a", WISP_T_QUAT(21)), "a: 21 bits are not 2 .. 20" },
    { WISP_MAP_FIELD("a", WISP_T_QUAT(-1)), "a: -1 bits are not 2 .. 20" },
    { WISP_MAP_FIELD("a", WISP_T_STRING(0)), "a: 0 is not in 1 .. 16777216" },
    { WISP_MAP_FIELD("a", WISP_T_STRING(1 << 25)), "a: 33554432 is not in 1 .. 16777216" },
    { WISP_MAP_FIELD("a", WISP_T_BYTES(-1)), "a: -1 is not in 1 .. 16777216" },
    { WISP_MAP_FIELD("a", WISP_T_ENUM(teams, 0)), "a: 0 is not in 1 .. 4096" },
    { WISP_MAP_FIELD("a", WISP_T_ENUM(teams, 4097)), "a: 4097 is not in 1 .. 4096" },
    { WISP_MAP_FIELD("a", WISP_T_ENUM(no_name, 2)),
      "a: a name of the enum is missing, or over 64 bytes" },
    { WISP_MAP_FIELD("a", WISP_T_ENUM(schema_long_name, 1)),
      "a: a name of the enum is missing, or over 64 bytes" },
    { WISP_MAP_FIELD("a", WISP_T_ENUM(NULL, 3)),
      "a: a name of the enum is missing, or over 64 bytes" },
    { WISP_MAP_FIELD("a", WISP_T_ARRAY(&number_type, 0)), "a: 0 is not in 1 .. 16777216" },
    { WISP_MAP_FIELD("a", WISP_T_ARRAY(NULL, 3)), "a: has no element type" },
    { WISP_MAP_FIELD("a", WISP_T_ARRAY(&bad_type, 3)), "a.[]: its range is upside down" },
    { WISP_MAP_FIELD("a", WISP_T_UNION(choices, 0)), "a: 0 is not in 1 .. 256" },
    { WISP_MAP_FIELD("a", WISP_T_UNION(choices, 257)), "a: 257 is not in 1 .. 256" },
    { WISP_MAP_FIELD("a", WISP_T_UNION(NULL, 3)), "a: has no options" },
    { WISP_MAP_FIELD("a", WISP_T_UNION(bad_option, 2)), "a.option: 99 bits are not 2 .. 20" },
    { WISP_MAP_FIELD("a", WISP_T_STRUCT(NULL)), "a: has no schema" },
    { WISP_MAP_FIELD("a", WISP_T_STRUCT(&bad_schema)), "a.inner: its range is upside down" },
    { WISP_MAP_FIELD("a", WISP_T_STRUCT(&version_0)), "a: version 0 is not in 1 .. 255" },
    { WISP_MAP_FIELD("a", WISP_T_STRUCT(&a_row)), "a: is no struct of 0 bytes" },
    { WISP_MAP_FIELD("a", WISP_T_EXACT(WISP_STRUCT)), "a: 17 is no kind" },
    { WISP_MAP_FIELD("a", WISP_T_EXACT(-1)), "a: -1 is no kind" },
    { WISP_MAP_FIELD(NULL, WISP_T_BOOL), "?: its name is not 1..64 bytes" },
    { WISP_MAP_FIELD("", WISP_T_BOOL), "?: its name is not 1..64 bytes" },
    { WISP_MAP_FIELD(WHOLE_LINE, WISP_T_BOOL), "?: its name is not 1..64 bytes" },
    { WISP_FIELD(item, id, WISP_T_UINT), "id: is a field of structs" },
    { WISP_NUMBERED_MAP_FIELD("a", WISP_T_BOOL, -1), "a: -1 is no number of Protobuf" },
    { WISP_NUMBERED_MAP_FIELD("a", WISP_T_BOOL, 19000), "a: 19000 is no number of Protobuf" },
    { WISP_NUMBERED_MAP_FIELD("a", WISP_T_BOOL, 19999), "a: 19999 is no number of Protobuf" },
    { WISP_NUMBERED_MAP_FIELD("a", WISP_T_BOOL, 1 << 29), "a: 536870912 is no number of Protobuf" },
    { WISP_OPTIONAL_MAP_FIELD("a", WISP_T_RANGE(0, 5), 6), "a.its default: 6 is not in 0 .. 5" },
    { WISP_OPTIONAL_MAP_FIELD("a", WISP_T_RANGE(0, 5), 0.5), "a.its default: is no integer" },
    { WISP_OPTIONAL_MAP_FIELD("a", WISP_T_QUANTIZED(0, 1, 0.1), 2),
      "a.its default: 2 is not in 0 .. 1" },
    { WISP_OPTIONAL_MAP_FIELD("a", WISP_T_BOOL, 2), "a.its default: is no bool" },
    { WISP_OPTIONAL_MAP_FIELD("a", WISP_T_UINT8, 256), "a.its default: does not fit 1 bytes" },
    { WISP_OPTIONAL_MAP_FIELD("a", WISP_T_ENUM(teams, 3), 3),
      "a.its default: 3 is none of 3 names" },
    { WISP_OPTIONAL_MAP_FIELD("a", WISP_T_ENUM_OPEN(teams, 3), 2147483648.0),
      "a.its default: 2147483648 does not fit 4 bytes" },
    { WISP_OPTIONAL_TEXT_MAP_FIELD("a", WISP_T_STRING(2), "abc"),
      "a.its default: 3 bytes are over 2" },
    { WISP_OPTIONAL_TEXT_MAP_FIELD("a", WISP_T_ENUM(teams, 3), "pink"),
      "a.its default: is none of 3 names" },
    { WISP_OPTIONAL_TEXT_MAP_FIELD("a", WISP_T_UINT, "1"), "a.its default: is no integer" },
    { WISP_OPTIONAL_MAP_FIELD("a", WISP_T_ANY, 1), "a: cannot have a default" },
    { WISP_OPTIONAL_MAP_FIELD("a", WISP_T_LITERAL(1), 1), "a: cannot have a default" },
    { WISP_OPTIONAL_MAP_FIELD("a", WISP_T_VEC3, 1), "a: cannot have a default" },
    { WISP_OPTIONAL_MAP_FIELD("a", WISP_T_BYTES(3), 0), "a: cannot have a default" },
    { WISP_OPTIONAL_MAP_FIELD("a", WISP_T_STRUCT(&item_schema), 0), "a: cannot have a default" },
};

TEST(a_wrong_field_of_a_map_is_named_with_the_reason) {
    for (int i = 0; i < TEST_COUNT(of_maps); i++) {
        wisp_schema schema = schema_of(&of_maps[i].field, 1, WISP_SHAPE_MAP, 0);
        if (of_maps[i].field.type.kind == WISP_TYPE_STRUCT && !of_maps[i].field.type.of) continue;
        if (!is_refused(&schema, of_maps[i].why)) printf("    mistake %d\n", i);
    }
}

TEST(a_type_that_lacks_its_schema_is_refused) {
    static const wisp_type lacking = WISP_T_STRUCT(NULL);
    static const wisp_field fields[] = {
        WISP_MAP_FIELD("a", WISP_T_STRUCT(NULL)),
        WISP_MAP_FIELD("a", WISP_T_ARRAY(&lacking, 3)),
        WISP_MAP_FIELD("a", WISP_T_UNION(&lacking, 1)),
    };
    for (int i = 0; i < 3; i++) {
        wisp_schema schema = schema_of(&fields[i], 1, WISP_SHAPE_MAP, 0);
        CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
        CHECK(schema_why[0] == 'a');
    }
}

TEST(a_kind_that_there_is_not_is_refused) {
    wisp_field field = WISP_MAP_FIELD("a", WISP_T_BOOL);
    wisp_schema schema = schema_of(&field, 1, WISP_SHAPE_MAP, 0);
    field.type.kind = 0;
    CHECK(is_refused(&schema, "a: 0 is no type"));
    field.type.kind = WISP_TYPE_UNION + 1;
    CHECK(is_refused(&schema, "a: 24 is no type"));
    field.type.kind = -1;
    CHECK(is_refused(&schema, "a: -1 is no type"));
}

TEST(a_width_that_there_is_not_is_refused) {
    wisp_field field = WISP_MAP_FIELD("a", WISP_T_INTEGER);
    wisp_schema schema = schema_of(&field, 1, WISP_SHAPE_MAP, 0);
    field.type.bytes = 3;
    CHECK(is_refused(&schema, "a: does not fit a member of 3 bytes"));
    field.type.bytes = -8;
    CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
    field.type.kind = WISP_TYPE_STRING;
    field.type.max = 8;
    field.type.bytes = -100;
    CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
}

TEST(fields_with_one_name_or_one_number_are_refused) {
    wisp_field fields[3] = {
        WISP_MAP_FIELD("a", WISP_T_BOOL), WISP_MAP_FIELD("b", WISP_T_BOOL),
        WISP_MAP_FIELD("a", WISP_T_INTEGER)
    };
    wisp_schema schema = schema_of(fields, 3, WISP_SHAPE_MAP, 0);
    CHECK(is_refused(&schema, "a: is there twice"));
    fields[2].name = "c";
    CHECK(is_fine(&schema));
    fields[1].number = 1;
    CHECK(is_refused(&schema, "b: has the number of a"));
    fields[1].number = 3;
    CHECK(is_refused(&schema, "c: has the number of b"));
    fields[2].number = 2;
    CHECK(is_fine(&schema));
}

TEST(names_versions_and_counts_have_bounds) {
    wisp_schema schema = schema_of(fine_fields, 1, WISP_SHAPE_MAP, 0);
    schema.version = 256;
    CHECK(is_refused(&schema, "version 256 is not in 1 .. 255"));
    schema.version = 0;
    CHECK(is_refused(&schema, "version 0 is not in 1 .. 255"));
    schema.version = 255;
    CHECK(is_fine(&schema));
    schema.name = WHOLE_LINE;
    CHECK(is_refused(&schema, "name is not 1..64 bytes"));
    schema.name = &WHOLE_LINE[1];
    CHECK(is_fine(&schema));
    schema.name = "";
    CHECK(is_refused(&schema, "name is not 1..64 bytes"));
    schema.name = NULL;
    CHECK(is_refused(&schema, "name is not 1..64 bytes"));
    schema.name = "a";
    schema.count = 0;
    CHECK(is_refused(&schema, "0 fields are not 1 .. 1024"));
    schema.count = 1025;
    CHECK(is_refused(&schema, "1025 fields are not 1 .. 1024"));
    schema.count = -1;
    CHECK(is_refused(&schema, "-1 fields are not 1 .. 1024"));
    schema.count = 1;
    schema.fields = NULL;
    CHECK_EQ_INT(wisp_schema_check(&schema, NULL, 0), WISP_E_SCHEMA);
    CHECK_EQ_INT(wisp_schema_check(NULL, NULL, 0), WISP_E_ARGUMENT);
}

/* --- mistakes in the fields of structs --- */

typedef struct schema_body {
    int32_t a, b, n;
    uint8_t small, bytes[12];
    item items[4];
    float f, g;
    double d;
    wisp_vec3 v;
    wisp_color color;
    char text[8];
    union { int32_t i; char text[16]; } choice;
    wisp_value value;
    item one;
} schema_body;

static const wisp_type wide_options[] = { WISP_T_INT32, WISP_T_STRING(16) };
static const wisp_type nested_options[] = { WISP_T_INT32, WISP_T_UNION(wide_options, 2) };
static const wisp_type fine_options[] = { WISP_T_INT32, WISP_T_STRING(15) };

static const wisp_type short_text = WISP_T_STRING(3);
static const wisp_type text_options[] = { WISP_T_BOOL, WISP_T_ARRAY(&short_text, 2) };

static const mistake of_structs[] = {
    { WISP_MAP_FIELD("a", WISP_T_BOOL), "a: is a field of maps" },
    { WISP_FIELD(schema_body, small, WISP_T_RANGE(0, 256)),
      "small: does not fit a member of 1 bytes" },
    { WISP_FIELD(schema_body, small, WISP_T_RANGE(-1, 128)),
      "small: does not fit a member of 1 bytes" },
    { WISP_FIELD(schema_body, small, WISP_T_RANGE(-129, 0)),
      "small: does not fit a member of 1 bytes" },
    { WISP_FIELD(schema_body, a, WISP_T_RANGE(0, 4294967296)),
      "a: does not fit a member of 4 bytes" },
    { WISP_FIELD(schema_body, a, WISP_T_INT64), "a: does not fit a member of 4 bytes" },
    { WISP_FIELD(schema_body, v, WISP_T_INTEGER), "v: does not fit a member of 12 bytes" },
    { WISP_FIELD(schema_body, small, WISP_T_NUMBER), "small: does not fit a member of 1 bytes" },
    { WISP_FIELD(schema_body, f, WISP_T_DOUBLE), "f: does not fit a member of 4 bytes" },
    { WISP_FIELD(schema_body, small, WISP_T_QUANTIZED(0, 1, 0.1)),
      "small: does not fit a member of 1 bytes" },
    { WISP_FIELD(schema_body, f, WISP_T_QUANTIZED(0, 1e9, 1)),
      "f: a float cannot tell 1e+09 from 999999999" },
    { WISP_FIELD(schema_body, v, WISP_T_VEC2), "v: does not fit a member of 12 bytes" },
    { WISP_FIELD(schema_body, v, WISP_T_QUAT(9)), "v: does not fit a member of 12 bytes" },
    { WISP_FIELD(schema_body, v, WISP_T_TRANSFORM), "v: does not fit a member of 12 bytes" },
    { WISP_FIELD(schema_body, v, WISP_T_COLOR), "v: does not fit a member of 12 bytes" },
    { WISP_FIELD(schema_body, v, WISP_T_BOOL), "v: does not fit a member of 12 bytes" },
    { WISP_FIELD(schema_body, small, WISP_T_OBJECT), "small: does not fit a member of 1 bytes" },
    { WISP_FIELD(schema_body, a, WISP_T_ANY), "a: does not fit a member of 4 bytes" },
    { WISP_FIELD(schema_body, a, WISP_T_EXACT(WISP_INT)), "a: does not fit a member of 4 bytes" },
    { WISP_FIELD(schema_body, text, WISP_T_STRING(8)), "text: does not fit a member of 8 bytes" },
    { WISP_FIELD(schema_body, bytes, WISP_T_BYTES(13)),
      "bytes: does not fit a member of 12 bytes" },
    { WISP_FIELD(schema_body, v, WISP_T_ENUM(teams, 3)), "v: does not fit a member of 12 bytes" },
    { WISP_FIELD(schema_body, one, WISP_T_STRUCT(&map_schema)),
      "one: is no struct of 4 bytes" },
    { WISP_FIELD(schema_body, v, WISP_T_STRUCT(&item_schema)), "v: is no struct of 12 bytes" },
    { WISP_FIELD(schema_body, items, WISP_T_ARRAY(&item_type, 3)),
      "items: 16 bytes are not 3 elements" },
    { WISP_FIELD(schema_body, items, WISP_T_ARRAY(&item_type, 17)),
      "items: 16 bytes are not 17 elements" },
    { WISP_FIELD(schema_body, items, WISP_T_ARRAY(&item_type, 2)),
      "items.[]: is no struct of 8 bytes" },
    { WISP_FIELD(schema_body, choice, WISP_T_UNION(fine_options, 2)),
      "choice: no member says which option it is" },
    { WISP_UNION_FIELD(schema_body, choice, n, WISP_T_UNION(wide_options, 2)),
      "choice: option 1 takes 17 bytes of 16" },
    { WISP_UNION_FIELD(schema_body, choice, n, WISP_T_UNION(nested_options, 2)),
      "choice: a C union directly in a C union" },
    { WISP_UNION_FIELD(schema_body, choice, n, WISP_T_UNION(text_options, 2)),
      "choice: option 1 has elements without a size" },
    { WISP_COUNTED_FIELD(schema_body, a, n, WISP_T_INTEGER), "a: has nothing to count" },
    { WISP_COUNTED_FIELD(schema_body, text, n, WISP_T_STRING(7)), "text: has nothing to count" },
    { WISP_COUNTED_FIELD(schema_body, items, bytes, WISP_T_ARRAY(&item_type, 4)),
      "items: what counts it is no integer" },
};

TEST(a_wrong_field_of_a_struct_is_named_with_the_reason) {
    for (int i = 0; i < TEST_COUNT(of_structs); i++) {
        wisp_schema schema = schema_of(&of_structs[i].field, 1, WISP_SHAPE_STRUCT,
                                       sizeof(schema_body));
        if (!is_refused(&schema, of_structs[i].why)) printf("    mistake %d\n", i);
    }
}

TEST(a_struct_with_every_field_right_is_fine) {
    static const wisp_field fields[] = {
        WISP_FIELD(schema_body, a, WISP_T_RANGE(-2147483647 - 1, 2147483647)),
        WISP_FIELD(schema_body, b, WISP_T_RANGE(0, 4294967295)),
        WISP_FIELD(schema_body, small, WISP_T_RANGE(0, 255)),
        WISP_FIELD(schema_body, bytes, WISP_T_BYTES(12)),
        WISP_COUNTED_FIELD(schema_body, items, n, WISP_T_ARRAY(&item_type, 4)),
        WISP_FIELD(schema_body, f, WISP_T_QUANTIZED(0, 8388608, 1)),
        WISP_FIELD(schema_body, d, WISP_T_QUANTIZED(0, 4294967295.0, 1)),
        WISP_FIELD(schema_body, text, WISP_T_STRING(7)),
    };
    wisp_schema schema = schema_of(fields, TEST_COUNT(fields), WISP_SHAPE_STRUCT,
                                   sizeof(schema_body));
    CHECK(is_fine(&schema));
}

TEST(fields_that_share_bytes_are_refused) {
    wisp_field fields[2] = {
        WISP_FIELD(schema_body, a, WISP_T_INTEGER), WISP_FIELD(schema_body, b, WISP_T_INTEGER)
    };
    wisp_field schema_counted = WISP_COUNTED_FIELD(schema_body, items, n,
                                                   WISP_T_ARRAY(&item_type, 4));
    wisp_field counts = WISP_FIELD(schema_body, n, WISP_T_RANGE(0, 4));
    wisp_schema schema = schema_of(fields, 2, WISP_SHAPE_STRUCT, sizeof(schema_body));
    CHECK(is_fine(&schema));
    fields[1].offset = 3;
    CHECK(is_refused(&schema, "b: overlaps a"));
    fields[1].offset = 0;
    CHECK(is_refused(&schema, "b: overlaps a"));
    fields[0] = schema_counted;
    fields[1] = counts;
    CHECK(is_refused(&schema, "n: overlaps items"));
    fields[0] = counts;
    fields[1] = schema_counted;
    CHECK(is_refused(&schema, "items: overlaps n"));
}

TEST(two_fields_counted_by_one_member_are_refused) {
    wisp_field fields[2] = {
        WISP_COUNTED_FIELD(schema_body, items, n, WISP_T_ARRAY(&item_type, 4)),
        WISP_COUNTED_FIELD(schema_body, bytes, n, WISP_T_BYTES(12))
    };
    wisp_schema schema = schema_of(fields, 2, WISP_SHAPE_STRUCT, sizeof(schema_body));
    CHECK(is_refused(&schema, "bytes: overlaps items"));
}

TEST(a_field_that_counts_itself_is_refused) {
    wisp_field field = WISP_COUNTED_FIELD(schema_body, bytes, n, WISP_T_BYTES(12));
    wisp_schema schema = schema_of(&field, 1, WISP_SHAPE_STRUCT, sizeof(schema_body));
    CHECK(is_fine(&schema));
    field.count_offset = field.offset + 4;
    CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
}

typedef struct schema_counted { uint8_t used; uint8_t bytes[300]; } schema_counted;

TEST(what_counts_must_be_able_to_count_as_far) {
    static const wisp_field field = WISP_COUNTED_FIELD(schema_counted, bytes, used,
                                                       WISP_T_BYTES(300));
    static const wisp_field less = WISP_COUNTED_FIELD(schema_counted, bytes, used,
                                                      WISP_T_BYTES(255));
    wisp_schema schema = schema_of(&field, 1, WISP_SHAPE_STRUCT, sizeof(schema_counted));
    CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
    schema.fields = &less;
    CHECK(is_fine(&schema));
}

TEST(fields_outside_of_their_struct_are_refused) {
    static const int offsets[] = { -1, -4, 0x7ffffff0, (int)sizeof(schema_body) - 3,
                                   (int)sizeof(schema_body) };
    for (int i = 0; i < 5; i++) {
        wisp_field field = WISP_COUNTED_FIELD(schema_body, bytes, n, WISP_T_BYTES(12));
        wisp_schema schema = schema_of(&field, 1, WISP_SHAPE_STRUCT, sizeof(schema_body));
        field.offset = offsets[i];
        CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
        field.offset = (int)offsetof(schema_body, bytes);
        CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_OK);
        field.count_offset = offsets[i];
        CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
        field.count_offset = (int)offsetof(schema_body, n);
        field.bytes = 0x7fffffff;
        CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
    }
}

TEST(what_only_maps_have_is_refused_in_a_struct_and_the_reverse) {
    wisp_field field = WISP_FIELD(schema_body, a, WISP_T_INTEGER);
    wisp_field map_field = WISP_MAP_FIELD("a", WISP_T_ARRAY(&item_type, 4));
    wisp_schema schema = schema_of(&field, 1, WISP_SHAPE_STRUCT, sizeof(schema_body));
    field.flags = WISP_FLAG_MAYBE;
    CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
    map_field.count_bytes = 4;
    map_field.count_offset = 1 << 20;
    schema = schema_of(&map_field, 1, WISP_SHAPE_MAP, 0);
    CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
}

/* Flags of a struct are flags of all that is in it. */
TEST(flags_that_do_not_go_together_are_refused_and_operations_have_theirs) {
    typedef struct turret { float x, y; } turret;
    typedef struct tank {
        turret at;
        float yaw;
        int32_t ammo[4];
        int ammo_count;
        char name[8];
    } tank;
    static const wisp_type ammo = WISP_T_RANGE(0, 99);
    static const wisp_field turret_fields[] = {
        WISP_FIELD(turret, x, WISP_T_FLOAT),
        WISP_FLAG_FIELD(turret, y, WISP_T_FLOAT, WISP_FLAG_STEPPED) };
    static const wisp_schema turret_schema = WISP_SCHEMA(turret, 1, turret_fields);
    static const wisp_field fields[] = {
        WISP_FLAG_FIELD(tank, at, WISP_T_STRUCT(&turret_schema), WISP_FLAG_SKIP_OWNER),
        WISP_FLAG_FIELD(tank, yaw, WISP_T_QUANTIZED(0, 7, 0.1), WISP_FLAG_ANGLE),
        WISP_COUNTED_FLAG_FIELD(tank, ammo, ammo_count, WISP_T_ARRAY(&ammo, 4),
                                WISP_FLAG_OWNER_ONLY | WISP_FLAG_AT_SPAWN),
        WISP_FIELD(tank, name, WISP_T_STRING(7)) };
    static const uint32_t flags[] = { 16, 16 | 64, 128, 8 | 32, 8 | 32, 0 };
    static const struct { int flags; const char *text; } wrong[] = {
        { 8 | 16, "a: goes to nobody: it is OWNER_ONLY and SKIP_OWNER" },
        { 64 | 128, "a: is STEPPED and an ANGLE" }, { 256, "a: has flags that do not exist" },
        { -1, "a: has flags that do not exist" } };
    wisp_schema schema = schema_of(fields, 4, WISP_SHAPE_STRUCT, sizeof(tank));
    wisp_field field = WISP_FIELD(schema_body, a, WISP_T_INTEGER);
    const wisp_schema *made;
    CHECK(is_fine(&schema));
    made = wisp_schema_compile(&schema, schema_memory.bytes, SCHEMA_MEMORY_MAX);
    if (!made || !CHECK_EQ_INT(made->program->count, 6)) return;
    for (int i = 0; i < 6; i++) CHECK_EQ_INT(made->program->ops[i].of_field, flags[i]);
    schema = schema_of(&field, 1, WISP_SHAPE_STRUCT, sizeof(schema_body));
    for (int i = 0; i < 4; i++) {
        field.flags = wrong[i].flags;
        CHECK(is_refused(&schema, wrong[i].text));
    }
    field.flags = WISP_FLAG_ANGLE;
    CHECK(is_refused(&schema, "a: is no number, and so no ANGLE"));
}

/* --- depth and size --- */

/* `depth` schemas inside each other. */
static const wisp_schema *schema_nested(wisp_schema *all_of_them, wisp_field *fields, int depth) {
    static const wisp_field leaf = WISP_MAP_FIELD("leaf", WISP_T_BOOL);
    static const wisp_field inner = WISP_MAP_FIELD("in", WISP_T_STRUCT(NULL));
    for (int i = 0; i < depth; i++) {
        fields[i] = i ? inner : leaf;
        if (i) fields[i].type.of = &all_of_them[i - 1];
        all_of_them[i] = schema_of(&fields[i], 1, WISP_SHAPE_MAP, 0);
    }
    return &all_of_them[depth - 1];
}

TEST(schemas_nest_sixteen_deep) {
    static wisp_schema schemas_in[20];
    static wisp_field fields[20];
    CHECK(is_fine(schema_nested(schemas_in, fields, 16)));
    CHECK(is_refused(schema_nested(schemas_in, fields, 17),
                     "in.in.in.in.in.in.in.in.in.in.in.in.in.in.in.in: nests too deeply"));
}

TEST(a_schema_inside_itself_is_refused) {
    wisp_field fields[2] = { WISP_MAP_FIELD("a", WISP_T_BOOL),
                             WISP_MAP_FIELD("self", WISP_T_STRUCT(NULL)) };
    wisp_schema schema = schema_of(fields, 2, WISP_SHAPE_MAP, 0);
    fields[1].type.of = &schema;
    CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
    CHECK(strncmp(schema_why, "self.self.self", 14) == 0);
    fields[0] = fields[1];
    fields[0].name = "other";
    CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
}

TEST(a_type_inside_itself_is_refused) {
    static wisp_type loop = WISP_T_ARRAY(&number_type, 2);
    static wisp_type turn = WISP_T_UNION(choices, 1);
    wisp_field field = WISP_MAP_FIELD("a", WISP_T_ARRAY(&number_type, 2));
    wisp_schema schema = schema_of(&field, 1, WISP_SHAPE_MAP, 0);
    loop.of = &loop;
    field.type.of = &loop;
    CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
    turn.of = &turn;
    field.type.of = &turn;
    CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
}

/* What is nested here must also be taken by those to whom it is described. */
TEST(arrays_and_unions_nest_as_deep_as_descriptors_do) {
    static uint8_t described[4096];
    static wisp_type arrays[40];
    for (int depth = 1; depth <= 40; depth++) {
        wisp_field field = WISP_MAP_FIELD("a", WISP_T_ARRAY(&number_type, 2));
        wisp_schema schema = schema_of(&field, 1, WISP_SHAPE_MAP, 0);
        wisp__reader from;
        wisp__bump bump = wisp__bump_on(schema_memory.bytes, SCHEMA_MEMORY_MAX);
        wisp_result result;
        int bits;
        for (int i = 0; i < depth; i++) {
            arrays[i] = field.type;
            arrays[i].of = i ? &arrays[i - 1] : &number_type;
        }
        field.type.of = &arrays[depth - 1];
        if (wisp_schema_check(&schema, NULL, 0)) {
            CHECK(depth >= 8);
            continue;
        }
        bits = wisp__describe(&schema, described, (int)sizeof described);
        from = wisp__reader_on(described, (bits + 7) / 8);
        if (!CHECK(wisp__undescribe(&from, &bump, &result) != NULL)) printf("    %d deep\n", depth);
    }
}

TEST(a_thousand_fields_are_fine_and_more_than_4096_types_are_not) {
    static wisp_field fields[1024];
    static char names[1024][16];
    static const wisp_field model = WISP_MAP_FIELD("x", WISP_T_UINT);
    static wisp_type many[256];
    wisp_schema schema = schema_of(fields, 1024, WISP_SHAPE_MAP, 0);
    wisp_type choice = WISP_T_UNION(many, 256), leaf = WISP_T_BOOL;
    for (int i = 0; i < 1024; i++) {
        snprintf(names[i], sizeof names[i], "f%d", i);
        fields[i] = model;
        fields[i].name = names[i];
    }
    CHECK(is_fine(&schema));
    for (int i = 0; i < 256; i++) many[i] = leaf;
    for (int i = 0; i < 20; i++) fields[i].type = choice;
    CHECK_EQ_INT(wisp_schema_check(&schema, schema_why, sizeof schema_why), WISP_E_SCHEMA);
    CHECK(strstr(schema_why, "is too large a schema") != NULL);
}

TEST(the_reason_is_cut_to_the_room_for_it) {
    static wisp_schema schemas_in[20];
    static wisp_field fields[20];
    const wisp_schema *schema = schema_nested(schemas_in, fields, 17);
    for (int room = 0; room < 100; room++) {
        char *text = (char *)schema_exactly(room);
        CHECK_EQ_INT(wisp_schema_check(schema, text, room), WISP_E_SCHEMA);
        if (room) CHECK(memchr(text, 0, (size_t)room) != NULL);
        free(text);
    }
    CHECK_EQ_INT(wisp_schema_check(schema, NULL, 100), WISP_E_SCHEMA);
}

/* A row of the table that stands at the wrong kind shows here. */
TEST(the_traits_of_each_kind_agree_with_each_other) {
    for (int kind = WISP_TYPE_ANY; kind <= WISP_TYPE_UNION; kind++) {
        wisp_type type = schemas_plain(kind, 0);
        const wisp__traits *traits = wisp__traits_of(&type);
        CHECK(!traits->widths || wisp__has_width(traits->widths, traits->bytes));
        CHECK_EQ_INT(traits->counted, kind == WISP_TYPE_BYTES || kind >= WISP_TYPE_ARRAY);
        CHECK(!traits->most == !(traits->parts & WISP__PART_LENGTH));
        if (wisp__type_vector(&type))
            CHECK_EQ_INT(traits->bytes, 4 * wisp__kind_floats(wisp__type_vector(&type)));
    }
}

/* --- compiling --- */

/* Compiles in every amount of memory: below wisp_schema_bytes it may be too little. */
static void compile_in_any_memory(const wisp_schema *schema, int step) {
    int bytes = wisp_schema_bytes(schema);
    if (!CHECK(bytes > 0)) return;
    for (int room = 0; room <= bytes; room += room + step > bytes && room < bytes ? bytes - room
                                                                                 : step) {
        void *block = schema_exactly(room);
        const wisp_schema *fast = wisp_schema_compile(schema, block, room);
        if (room == bytes) CHECK(fast != NULL);
        if (fast) CHECK_EQ_STR(fast->name, schema->name);
        if (fast) CHECK_EQ_INT(fast->version, schema->version);
        free(block);
    }
    CHECK(wisp_schema_compile(schema, NULL, 0) == NULL);
    for (int turn = 0; turn < 8; turn++) {
        uint8_t *block = (uint8_t *)schema_exactly(bytes + turn);
        CHECK(wisp_schema_compile(schema, block + turn, bytes) != NULL);
        free(block);
    }
}

TEST(schema_bytes_is_enough_and_less_is_never_passed) {
    compile_in_any_memory(&item_schema, 1);
    compile_in_any_memory(&all_schema, 7);
    compile_in_any_memory(&map_schema, 7);
    compile_in_any_memory(&row_schema, 7);
}

TEST(schema_bytes_is_enough_for_random_schemas) {
    for (uint64_t seed = 1; seed <= 500; seed++) {
        const wisp_schema *schema;
        schemas_start(&schema_made, seed, 0);
        schema = schemas_random(&schema_made);
        compile_in_any_memory(schema, 1 + wisp_schema_bytes(schema) / 5);
    }
}

TEST(a_compiled_schema_may_be_compiled_again) {
    const wisp_schema *fast = wisp_schema_compile(&all_schema, schema_memory.bytes,
                                                  SCHEMA_MEMORY_MAX);
    const wisp_schema *twice;
    if (!CHECK(fast != NULL)) return;
    twice = wisp_schema_compile(fast, schema_memory_b.bytes, SCHEMA_MEMORY_MAX);
    CHECK(twice != NULL);
    CHECK_EQ_INT(wisp_schema_bytes(fast), wisp_schema_bytes(&all_schema));
    CHECK(wisp_schema_compile(NULL, schema_memory.bytes, SCHEMA_MEMORY_MAX) == NULL);
    CHECK_EQ_INT(wisp_schema_bytes(NULL), WISP_E_SCHEMA);
}

/* Structs may have any size that is declared; together they stay far from where an int ends. */
TEST(structs_over_256_mib_together_are_no_schema) {
    wisp_field number = WISP_MAP_FIELD("n", WISP_T_UINT8);
    wisp_field fields[3] = { WISP_MAP_FIELD("a", WISP_T_STRUCT(NULL)),
                             WISP_MAP_FIELD("b", WISP_T_STRUCT(NULL)),
                             WISP_MAP_FIELD("c", WISP_T_STRUCT(NULL)) };
    wisp_schema large = { "large", 1, 1 << 28, NULL, 1, WISP_SHAPE_STRUCT, NULL };
    wisp_schema map = { "map", 1, 0, NULL, 3, WISP_SHAPE_MAP, NULL };
    char text[100];
    number.offset = 0;
    number.bytes = 1;
    large.fields = &number;
    map.fields = fields;
    for (int i = 0; i < 3; i++) fields[i].type.of = &large;
    CHECK_EQ_INT(wisp_schema_check(&large, text, sizeof text), WISP_OK);
    large.bytes++;
    CHECK_EQ_INT(wisp_schema_check(&large, text, sizeof text), WISP_E_SCHEMA);
    CHECK_EQ_STR(text, "268435457 bytes are not 1 .. 268435456");
    large.bytes = 0;
    CHECK_EQ_INT(wisp_schema_check(&large, text, sizeof text), WISP_E_SCHEMA);
    large.bytes = -1;
    CHECK_EQ_INT(wisp_schema_check(&large, text, sizeof text), WISP_E_SCHEMA);
    large.bytes = INT32_MAX;
    CHECK_EQ_INT(wisp_schema_check(&map, text, sizeof text), WISP_E_SCHEMA);
    large.bytes = 100 << 20;
    CHECK_EQ_INT(wisp_schema_check(&map, text, sizeof text), WISP_E_SCHEMA);
    CHECK_EQ_STR(text, "c: 104857600 bytes are not 1 .. 58720256");
    large.bytes = 80 << 20;
    CHECK_EQ_INT(wisp_schema_check(&map, text, sizeof text), WISP_OK);
}

static const test_case tests[] = {
    CASE(every_type_can_be_said_by_static_initialisers),
    CASE(a_wrong_field_of_a_map_is_named_with_the_reason),
    CASE(a_type_that_lacks_its_schema_is_refused),
    CASE(a_kind_that_there_is_not_is_refused),
    CASE(a_width_that_there_is_not_is_refused),
    CASE(fields_with_one_name_or_one_number_are_refused),
    CASE(names_versions_and_counts_have_bounds),
    CASE(a_wrong_field_of_a_struct_is_named_with_the_reason),
    CASE(a_struct_with_every_field_right_is_fine),
    CASE(fields_that_share_bytes_are_refused),
    CASE(two_fields_counted_by_one_member_are_refused),
    CASE(a_field_that_counts_itself_is_refused),
    CASE(what_counts_must_be_able_to_count_as_far),
    CASE(fields_outside_of_their_struct_are_refused),
    CASE(what_only_maps_have_is_refused_in_a_struct_and_the_reverse),
    CASE(flags_that_do_not_go_together_are_refused_and_operations_have_theirs),
    CASE(schemas_nest_sixteen_deep),
    CASE(a_schema_inside_itself_is_refused),
    CASE(a_type_inside_itself_is_refused),
    CASE(arrays_and_unions_nest_as_deep_as_descriptors_do),
    CASE(a_thousand_fields_are_fine_and_more_than_4096_types_are_not),
    CASE(the_reason_is_cut_to_the_room_for_it),
    CASE(the_traits_of_each_kind_agree_with_each_other),
    CASE(schema_bytes_is_enough_and_less_is_never_passed),
    CASE(schema_bytes_is_enough_for_random_schemas),
    CASE(a_compiled_schema_may_be_compiled_again),
    CASE(structs_over_256_mib_together_are_no_schema),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
