/* test_type.c - does a value fit a type; a struct seen as a map; a struct filled from a map */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include <math.h>
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/random_schemas.h"

enum { TYPE_MEMORY_MAX = 1 << 16 };

static union { double align; uint8_t bytes[TYPE_MEMORY_MAX]; } type_memory, type_memory_b;
static char why[200];

/* --- each type against each kind of value --- */

enum { TYPE_KINDS = 20 };

static wisp_value kinds[TYPE_KINDS];
static wisp_value kind_items[2];
static wisp_pair kind_pairs[1];

/* One value of each kind, numbers in several forms. */
static void make_kinds(void) {
    wisp_vec3 position = { 1, 2, 3 };
    wisp_quat rotation = { 0, 0, 0, 1 };
    wisp_object object = { 7 };
    kind_items[0] = wisp_int(1);
    kind_items[1] = wisp_int(2);
    kind_pairs[0].key = "k";
    kind_pairs[0].value = wisp_int(1);
    kinds[0] = wisp_nil();
    kinds[1] = wisp_bool(true);
    kinds[2] = wisp_int(1);
    kinds[3] = wisp_int(-300);
    kinds[4] = wisp_uint(UINT64_MAX);
    kinds[5] = wisp_float(1.0f);
    kinds[6] = wisp_number(0.5);
    kinds[7] = wisp_number(1e300);
    kinds[8] = wisp_string("ab");
    kinds[9] = wisp_bytes("ab", 2);
    kinds[10] = wisp_vec2v(1, 2);
    kinds[11] = wisp_vec3v(1, 2, 3);
    kinds[12] = wisp_vec4v(1, 2, 3, 4);
    kinds[13] = wisp_quatv(0, 0, 0, 1);
    kinds[14] = wisp_transformv(position, rotation);
    kinds[15] = wisp_color4(1, 0, 0, 1);
    kinds[16] = wisp_array(kind_items, 2);
    kinds[17] = wisp_map(kind_pairs, 1);
    kinds[18] = wisp_reference(object);
    kinds[19] = wisp_number(low_nan());
}

static const char *const names[] = { "ab", "cd" };
static const wisp_type int_type = WISP_T_INTEGER;
static const wisp_field k_fields[] = { WISP_MAP_FIELD("k", WISP_T_INTEGER) };
static const wisp_schema k_schema = WISP_MAP_SCHEMA("k", 1, k_fields);
static const wisp_type two_options[] = { WISP_T_VEC2, WISP_T_BYTES(2) };

/* `fits`: a letter for each of the kinds above, in their order:
   nil bool 1 -300 2^64-1 1.0f .5 1e300 text bytes vec2 vec3 vec4 quat transform color [] {} object
   nan */
typedef struct fitting { wisp_type type; const char *fits; } fitting;

static const fitting fittings[] = {
    { WISP_T_ANY,                        "yyyyyyyyyyyyyyyyyyyy" },
    { WISP_T_EXACT(WISP_INT),            "--yy----------------" },
    { WISP_T_EXACT(WISP_MAP),            "-----------------y--" },
    { WISP_T_LITERAL(1),                 "--y--y--------------" },
    { WISP_T_LITERAL_TEXT("ab"),         "--------y-----------" },
    { WISP_T_BOOL,                       "-yy--y--------------" },
    { WISP_T_INTEGER,                    "--yy-y--------------" },
    { WISP_T_INT8,                       "--y--y--------------" },
    { WISP_T_INT16,                      "--yy-y--------------" },
    { WISP_T_UINT,                       "--y-yy--------------" },
    { WISP_T_UINT32,                     "--y--y--------------" },
    { WISP_T_RANGE(0, 5),                "--y--y--------------" },
    { WISP_T_RANGE(-300, 0),             "---y----------------" },
    { WISP_T_NUMBER,                     "--yyyyyy-----------y" },
    { WISP_T_FLOAT,                      "--yyyyy------------y" },
    { WISP_T_NUMBER_RANGE(0, 1),         "--y--yy-------------" },
    { WISP_T_QUANTIZED(0.5, 1, 0.1),     "--y--yy-------------" },
    { WISP_T_STRING(2),                  "--------y-----------" },
    { WISP_T_STRING(1),                  "--------------------" },
    { WISP_T_BYTES(2),                   "---------y----------" },
    { WISP_T_BYTES(1),                   "--------------------" },
    { WISP_T_VEC2,                       "----------y---------" },
    { WISP_T_VEC3,                       "-----------y--------" },
    { WISP_T_VEC3_QUANTIZED(0, 3, 0.1),  "-----------y--------" },
    { WISP_T_VEC3_QUANTIZED(0, 2, 0.1),  "--------------------" },
    { WISP_T_VEC4,                       "------------y-------" },
    { WISP_T_QUAT(9),                    "-------------y------" },
    { WISP_T_QUAT(0),                    "-------------y------" },
    { WISP_T_TRANSFORM,                  "--------------y-----" },
    { WISP_T_COLOR,                      "---------------y----" },
    { WISP_T_ENUM(names, 2),             "--y--y--y-----------" },
    { WISP_T_ENUM_OPEN(names, 2),        "--yy-y--y-----------" },
    { WISP_T_OBJECT,                     "------------------y-" },
    { WISP_T_STRUCT(&k_schema),          "-----------------y--" },
    { WISP_T_ARRAY(&int_type, 2),        "----------------y---" },
    { WISP_T_ARRAY(&int_type, 1),        "--------------------" },
    { WISP_T_UNION(two_options, 2),      "---------yy---------" },
};

TEST(each_type_takes_the_kinds_it_should) {
    wisp_field field = WISP_MAP_FIELD("x", WISP_T_BOOL);
    wisp_schema schema = WISP_MAP_SCHEMA("s", 1, k_fields);
    make_kinds();
    schema.fields = &field;
    for (int t = 0; t < TEST_COUNT(fittings); t++) {
        field.type = fittings[t].type;
        CHECK_EQ_INT(wisp_schema_check(&schema, why, sizeof why), WISP_OK);
        for (int k = 0; k < TYPE_KINDS; k++) {
            bool wanted = fittings[t].fits[k] == 'y';
            wisp_pair pair;
            wisp_value map;
            wisp_result result;
            pair.key = "x";
            pair.value = kinds[k];
            map = wisp_map(&pair, 1);
            result = wisp_validate(&schema, &map, why, sizeof why);
            if (!CHECK_EQ_INT(result, wanted ? WISP_OK : WISP_E_INVALID))
                printf("    type %d, value %d: %s\n", t, k, why);
            if (wanted) CHECK_EQ_STR(why, "");
            else CHECK(strncmp(why, "x", 1) == 0 && strlen(why) > 3);
        }
    }
}

/* --- what is said of what does not fit --- */

typedef struct type_item { uint16_t id; uint8_t count; } type_item;
static const wisp_field type_item_fields[] = {
    WISP_FIELD(type_item, id, WISP_T_RANGE(0, 1000)), WISP_FIELD(type_item, count, WISP_T_UINT)
};
static const wisp_schema type_item_schema = WISP_SCHEMA(type_item, 1, type_item_fields);
static const wisp_type type_item_type = WISP_T_STRUCT(&type_item_schema);

typedef struct type_stats {
    float hp;
    int64_t gold;
    char name[9];
    wisp_vec3 at;
    wisp_color tint;
    int n;
    type_item items[3];
    type_item pair[2];
    bool open;
    int flag;
    uint8_t key[2], blob[4];
    uint16_t blob_count;
    double odds;
    wisp_value any;
} type_stats;

static const wisp_field type_stats_fields[] = {
    WISP_FIELD(type_stats, hp, WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_FIELD(type_stats, gold, WISP_T_INTEGER),
    WISP_OPTIONAL_TEXT_FIELD(type_stats, name, WISP_T_STRING(8), "nobody"),
    WISP_FIELD(type_stats, at, WISP_T_VEC3_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(type_stats, tint, WISP_T_COLOR),
    WISP_COUNTED_FIELD(type_stats, items, n, WISP_T_ARRAY(&type_item_type, 3)),
    WISP_FIELD(type_stats, pair, WISP_T_ARRAY(&type_item_type, 2)),
    WISP_OPTIONAL_FIELD(type_stats, open, WISP_T_BOOL, true),
    WISP_OPTIONAL_FIELD(type_stats, flag, WISP_T_BOOL, false),
    WISP_FIELD(type_stats, key, WISP_T_BYTES(2)),
    WISP_COUNTED_FIELD(type_stats, blob, blob_count, WISP_T_BYTES(4)),
    WISP_OPTIONAL_FIELD(type_stats, odds, WISP_T_NUMBER, 0.25),
    WISP_FIELD(type_stats, any, WISP_T_ANY),
};
static const wisp_schema stats_schema = WISP_SCHEMA(type_stats, 1, type_stats_fields);

static type_stats some_stats(void) {
    type_stats s;
    memset(&s, 0, sizeof s);
    s.hp = 50;
    s.gold = -5;
    memcpy(s.name, "alice", 5);
    s.n = 2;
    s.items[0].id = 1000;
    s.items[1].id = 7;
    s.open = true;
    s.blob_count = 3;
    s.odds = 0.5;
    s.any = wisp_int(3);
    return s;
}

static void type_says(const type_stats *s, const char *text) {
    wisp_value value = wisp_struct(&stats_schema, s);
    CHECK_EQ_INT(wisp_validate(&stats_schema, &value, why, sizeof why),
                 text[0] ? WISP_E_INVALID : WISP_OK);
    CHECK_EQ_STR(why, text);
}

TEST(the_text_names_the_place_and_the_reason) {
    type_stats s = some_stats();
    type_says(&s, "");
    s.items[1].id = 2000;
    type_says(&s, "items[1].id: 2000 is not in 0 .. 1000");
    s = some_stats();
    s.items[1].id = (uint16_t)-3;         /* if the member was signed */
    type_says(&s, "items[1].id: 65533, or -3, is not in 0 .. 1000");
    s = some_stats();
    s.pair[0].id = 1001;
    type_says(&s, "pair[0].id: 1001 is not in 0 .. 1000");
    s = some_stats();
    s.hp = 150;
    type_says(&s, "hp: 150 is not in 0 .. 100");
    s = some_stats();
    s.hp = 100.2500076f;
    type_says(&s, "hp: 100.25 is not in 0 .. 100");
    s = some_stats();
    s.at.y = -101;
    type_says(&s, "at: component 1: -101 is not in -100 .. 100");
    s = some_stats();
    s.at.y = 100.0051f;
    type_says(&s, "at: component 1: 100.005 is not in -100 .. 100");
    s = some_stats();
    s.tint.a = 1.5f;
    type_says(&s, "tint: channel 3: 1.5 is not in 0 .. 1");
    s = some_stats();
    memset(s.name, 'x', sizeof s.name);
    type_says(&s, "name: 9 bytes are over 8");
}

typedef struct type_member { uint8_t of_1; uint16_t of_2; int32_t of_4; int closed; } type_member;

static const char *const two_names[] = { "no", "yes" };
static const wisp_field member_fields[] = {
    WISP_FIELD(type_member, of_1, WISP_T_ENUM_OPEN(two_names, 2)),
    WISP_FIELD(type_member, of_2, WISP_T_ENUM_OPEN(two_names, 2)),
    WISP_FIELD(type_member, of_4, WISP_T_ENUM_OPEN(two_names, 2)),
    WISP_FIELD(type_member, closed, WISP_T_ENUM(two_names, 2)),
};
static const wisp_schema member_schema = WISP_SCHEMA(type_member, 1, member_fields);

static void member_says(int field, wisp_value value, const char *text, int64_t stored) {
    wisp_pair pairs[4];
    wisp_value map;
    type_member m = { 9, 9, 9, 1 };
    int64_t now[4];
    for (int i = 0; i < 4; i++) {
        pairs[i].key = member_fields[i].name;
        pairs[i].value = wisp_int(1);
    }
    pairs[field].value = value;
    map = wisp_map(pairs, 4);
    CHECK_EQ_INT(wisp_fill_struct(&member_schema, &map, &m, why, sizeof why),
                 text[0] ? WISP_E_INVALID : WISP_OK);
    CHECK_EQ_STR(why, text);
    now[0] = m.of_1, now[1] = m.of_2, now[2] = m.of_4, now[3] = m.closed;
    if (!text[0]) CHECK_EQ_INT(now[field], stored);
    if (text[0]) CHECK(m.of_1 == 9 && m.of_2 == 9 && m.of_4 == 9 && m.closed == 1);
}

/* Of an open enum, what its member can hold; of a closed one, what has a name. */
TEST(numbers_of_an_enum_are_kept_or_named_in_the_text) {
    member_says(0, wisp_int(255), "", 255);
    member_says(0, wisp_int(256), "of_1: 256 does not fit 1 bytes", 0);
    member_says(0, wisp_int(-1), "of_1: -1 does not fit 1 bytes", 0);
    member_says(1, wisp_uint(65535), "", 65535);
    member_says(1, wisp_number(65536), "of_2: 65536 does not fit 2 bytes", 0);
    member_says(1, wisp_int(-1), "of_2: -1 does not fit 2 bytes", 0);
    member_says(2, wisp_int(INT32_MAX), "", INT32_MAX);
    member_says(2, wisp_int(INT32_MIN), "", INT32_MIN);
    member_says(2, wisp_number(-7), "", -7);
    member_says(2, wisp_string("yes"), "", 1);
    member_says(2, wisp_string("maybe"), "of_4: is none of 2 names", 0);
    member_says(2, wisp_number(0.5), "of_4: is none of 2 names", 0);
    member_says(2, wisp_int((int64_t)INT32_MAX + 1), "of_4: 2147483648 does not fit 4 bytes", 0);
    member_says(2, wisp_int((int64_t)INT32_MIN - 1), "of_4: -2147483649 does not fit 4 bytes", 0);
    member_says(3, wisp_int(1), "", 1);
    member_says(3, wisp_int(2), "closed: 2 is none of 2 names", 0);
    member_says(3, wisp_number(-1), "closed: -1 is none of 2 names", 0);
    member_says(3, wisp_string("maybe"), "closed: is none of 2 names", 0);
}

TEST(an_enum_is_seen_as_its_name_or_as_its_number) {
    type_member m = { 200, 1, -5, 0 };
    wisp_value value = wisp_struct(&member_schema, &m), map = wisp_nil();
    CHECK_EQ_INT(wisp_as_map(&value, &map, type_memory.bytes, TYPE_MEMORY_MAX), WISP_OK);
    CHECK_EQ_INT(wisp_field_of(&map, "of_1")->as.integer, 200);
    CHECK_EQ_STR(wisp_field_of(&map, "of_2")->as.string, "yes");
    CHECK_EQ_INT(wisp_field_of(&map, "of_4")->as.integer, -5);
    CHECK_EQ_STR(wisp_field_of(&map, "closed")->as.string, "no");
    m.closed = 7;
    CHECK_EQ_INT(wisp_validate(&member_schema, &value, why, sizeof why), WISP_E_INVALID);
    CHECK_EQ_STR(why, "closed: 7 is none of 2 names");
}

static void map_says(const wisp_schema *schema, const wisp_pair *pairs, int count,
                     const char *text) {
    wisp_value value = wisp_map(pairs, count);
    CHECK_EQ_INT(wisp_validate(schema, &value, why, sizeof why), WISP_E_INVALID);
    CHECK_EQ_STR(why, text);
}

TEST(the_text_of_maps_names_what_is_missing_and_what_is_too_much) {
    wisp_pair pairs[3];
    wisp_value value = wisp_int(1);
    pairs[0].key = "id";
    pairs[0].value = wisp_int(5);
    pairs[1].key = "count";
    pairs[1].value = wisp_int(256);
    pairs[2].key = "more";
    pairs[2].value = wisp_nil();
    map_says(&type_item_schema, pairs, 1, "count: is missing");
    map_says(&type_item_schema, pairs, 2, "count: does not fit 1 bytes");
    pairs[1].value = wisp_int(-1);
    map_says(&type_item_schema, pairs, 2, "count: does not fit 1 bytes");
    pairs[1].value = wisp_number(0.5);
    map_says(&type_item_schema, pairs, 2, "count: is no integer");
    pairs[1].value = wisp_int(1);
    map_says(&type_item_schema, pairs, 3, "more: is no field of type_item");
    pairs[2].key = "id";
    map_says(&type_item_schema, pairs, 3, "3 pairs are over 2");
    pairs[1].value = wisp_nil();
    map_says(&type_item_schema, pairs, 2, "count: is missing");
    CHECK_EQ_INT(wisp_validate(&type_item_schema, &value, why, sizeof why), WISP_E_INVALID);
    CHECK_EQ_STR(why, "is no map");
}

TEST(the_text_is_cut_to_the_room_for_it) {
    type_stats s = some_stats();
    wisp_value value = wisp_struct(&stats_schema, &s);
    s.items[1].id = 2000;
    for (int room = 0; room < 60; room++) {
        char *text = (char *)malloc((size_t)room + !room);
        if (!text) return;
        CHECK_EQ_INT(wisp_validate(&stats_schema, &value, text, room), WISP_E_INVALID);
        if (room) CHECK(memchr(text, 0, (size_t)room) != NULL);
        if (room > 40) CHECK_EQ_STR(text, "items[1].id: 2000 is not in 0 .. 1000");
        free(text);
    }
    CHECK_EQ_INT(wisp_validate(&stats_schema, &value, NULL, 100), WISP_E_INVALID);
    CHECK_EQ_INT(wisp_validate(NULL, &value, why, 100), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_validate(&stats_schema, NULL, why, 100), WISP_E_ARGUMENT);
}

/* As many digits as show the difference. */
TEST(the_text_shows_why_a_number_is_outside) {
    static const struct { wisp_type type; double number; const char *text; } cases[] = {
        { WISP_T_QUANTIZED(0, 100, 0.0001), 100.0001, "x: 100.0001 is not in 0 .. 100" },
        { WISP_T_QUANTIZED(0, 1, 1 / 1073741824.0), 1 + 1 / 1073741824.0,
          "x: 1.000000001 is not in 0 .. 1" },
        { WISP_T_NUMBER_RANGE(-0.1, 0.1), 0.1 + 1 / 72057594037927936.0,
          "x: 0.10000000000000002 is not in -0.10000000000000001 .. 0.10000000000000001" },
        { WISP_T_NUMBER_RANGE(0, 1), -5e-324, "x: -4.94066e-324 is not in 0 .. 1" },
        { WISP_T_QUANTIZED(0, 16777217, 1), 1e300, "x: 1e+300 is not in 0 .. 16777217" }
    };
    for (int i = 0; i < TEST_COUNT(cases); i++) {
        wisp_field field = WISP_MAP_FIELD("x", WISP_T_BOOL);
        wisp_schema schema = { "s", 1, 0, NULL, 1, WISP_SHAPE_MAP, NULL };
        wisp_pair pair = { "x", wisp_number(cases[i].number) };
        wisp_value map = wisp_map(&pair, 1);
        field.type = cases[i].type;
        schema.fields = &field;
        CHECK_EQ_INT(wisp_validate(&schema, &map, why, sizeof why), WISP_E_INVALID);
        CHECK_EQ_STR(why, cases[i].text);
    }
}

typedef struct type_edges { float f; double d; wisp_vec2 v; } type_edges;

static const wisp_field type_near_fields[] = {
    WISP_FIELD(type_edges, f, WISP_T_QUANTIZED(-1, 100, 0.5)),
    WISP_FIELD(type_edges, d, WISP_T_QUANTIZED(0.1, 0.7, 0.1)),
    WISP_FIELD(type_edges, v, WISP_T_VEC2_QUANTIZED(-1, 1, 0.5)),
};
static const wisp_field type_clamped_fields[] = {
    WISP_FIELD(type_edges, f, WISP_T_CLAMPED(-1, 100, 0.5)),
    WISP_FIELD(type_edges, d, WISP_T_CLAMPED(0.1, 0.7, 0.1)),
    WISP_FIELD(type_edges, v, WISP_T_VEC2_CLAMPED(-1, 1, 0.5)),
};
static const wisp_schema type_near = WISP_SCHEMA(type_edges, 1, type_near_fields);
static const wisp_schema type_clamped = WISP_SCHEMA(type_edges, 1, type_clamped_fields);

/* Fills a struct by numbers; its members are the edges then. */
static wisp_result type_edge(const wisp_schema *schema, double f, double d, float x,
                             type_edges *out) {
    wisp_pair pairs[3];
    wisp_value map;
    wisp_result result;
    pairs[0].key = "f", pairs[0].value = wisp_number(f);
    pairs[1].key = "d", pairs[1].value = wisp_number(d);
    pairs[2].key = "v", pairs[2].value = wisp_vec2v(x, x);
    map = wisp_map(pairs, 3);
    memset(out, 0, sizeof *out);
    result = wisp_fill_struct(schema, &map, out, why, sizeof why);
    CHECK_EQ_INT(wisp_validate(schema, &map, NULL, 0), result);
    return result;
}

/* As arguments they lose the excess precision that constants have on some machines. */
static bool type_edges_are(const type_edges *e, float f, double d, float x) {
    return memcmp(&e->f, &f, sizeof f) == 0 && memcmp(&e->d, &d, sizeof d) == 0 &&
           memcmp(&e->v.x, &x, sizeof x) == 0 && memcmp(&e->v.y, &x, sizeof x) == 0;
}

TEST(what_is_within_half_a_step_of_its_range_fits_as_the_edge) {
    type_edges e;
    CHECK_EQ_INT(type_edge(&type_near, 100.25, 0.75, 1.25f, &e), WISP_OK);
    CHECK(type_edges_are(&e, 100.0f, 0.7, 1.0f));
    CHECK_EQ_INT(type_edge(&type_near, -1.25, 0.0500001, -1.25f, &e), WISP_OK);
    CHECK(type_edges_are(&e, -1.0f, 0.1, -1.0f));
    CHECK_EQ_INT(type_edge(&type_near, 99.9, 0.2, 0.25f, &e), WISP_OK);
    CHECK(type_edges_are(&e, 99.9f, 0.2, 0.25f));
    CHECK_EQ_INT(type_edge(&type_near, 100.26, 0.7, 1, &e), WISP_E_INVALID);
    CHECK_EQ_INT(type_edge(&type_near, 100, 0.7501, 1, &e), WISP_E_INVALID);
    CHECK_EQ_INT(type_edge(&type_near, 100, 0.7, 1.26f, &e), WISP_E_INVALID);
    CHECK_EQ_INT(type_edge(&type_near, (double)INFINITY, 0.7, 1, &e), WISP_E_INVALID);
    CHECK_EQ_INT(type_edge(&type_near, 100, -(double)INFINITY, 1, &e), WISP_E_INVALID);
    CHECK_EQ_INT(type_edge(&type_near, 100, 0.7, INFINITY, &e), WISP_E_INVALID);
}

TEST(what_is_clamped_fits_as_the_edge_unless_it_is_no_number) {
    double nan = (double)NAN;
    type_edges e;
    CHECK_EQ_INT(type_edge(&type_clamped, 1e300, 1e300, 1e30f, &e), WISP_OK);
    CHECK(type_edges_are(&e, 100.0f, 0.7, 1.0f));
    CHECK_EQ_INT(type_edge(&type_clamped, -(double)INFINITY, -1, -INFINITY, &e), WISP_OK);
    CHECK(type_edges_are(&e, -1.0f, 0.1, -1.0f));
    CHECK_EQ_INT(type_edge(&type_clamped, nan, 0.1, 1, &e), WISP_E_INVALID);
    CHECK_EQ_STR(why, "f: nan is not in -1 .. 100");
    CHECK_EQ_INT(type_edge(&type_clamped, 1, nan, 1, &e), WISP_E_INVALID);
    CHECK_EQ_INT(type_edge(&type_clamped, 1, 0.1, NAN, &e), WISP_E_INVALID);
}

TEST(fields_are_found_in_any_order_and_number) {
    static const wisp_field fields[] = {
        WISP_OPTIONAL_MAP_FIELD("a", WISP_T_INTEGER, 1), WISP_MAYBE_MAP_FIELD("b", WISP_T_INTEGER),
        WISP_MAYBE_MAP_FIELD("c", WISP_T_INTEGER), WISP_MAYBE_MAP_FIELD("d", WISP_T_INTEGER),
        WISP_MAP_FIELD("e", WISP_T_INTEGER),
    };
    static const wisp_schema schema = WISP_MAP_SCHEMA("m", 1, fields);
    static const char *const keys[] = { "a", "b", "c", "d", "e" };
    for (int have = 0; have < 32; have++)
        for (int turn = 0; turn < 5; turn++) {
            wisp_pair pairs[5];
            wisp_value value;
            int count = 0;
            for (int i = 0; i < 5; i++) {
                int at = (i + turn) % 5;
                if (!(have >> at & 1)) continue;
                pairs[count].key = keys[at];
                pairs[count++].value = wisp_int(at);
            }
            value = wisp_map(pairs, count);
            CHECK_EQ_INT(wisp_validate(&schema, &value, why, sizeof why),
                         have & 16 ? WISP_OK : WISP_E_INVALID);
            if (!(have & 16)) CHECK_EQ_STR(why, "e: is missing");
        }
}

TEST(values_that_make_no_sense_are_refused_and_not_read) {
    static const wisp_field fields[] = { WISP_MAP_FIELD("x", WISP_T_STRING(5)) };
    static const wisp_field lists[] = { WISP_MAP_FIELD("x", WISP_T_ARRAY(&int_type, 5)) };
    static const wisp_schema text = WISP_MAP_SCHEMA("t", 1, fields);
    static const wisp_schema list = WISP_MAP_SCHEMA("l", 1, lists);
    wisp_pair pair = { "x", wisp_string_n(NULL, 3) };
    wisp_value map = wisp_map(&pair, 1), no_pairs = wisp_map(NULL, 1);
    CHECK_EQ_INT(wisp_validate(&text, &map, NULL, 0), WISP_E_INVALID);
    pair.value = wisp_string_n("abc", -1);
    CHECK_EQ_INT(wisp_validate(&text, &map, NULL, 0), WISP_E_INVALID);
    pair.value = wisp_array(NULL, 3);
    CHECK_EQ_INT(wisp_validate(&list, &map, NULL, 0), WISP_E_INVALID);
    pair.value = wisp_array(kind_items, -1);
    CHECK_EQ_INT(wisp_validate(&list, &map, NULL, 0), WISP_E_INVALID);
    pair.key = NULL;
    CHECK_EQ_INT(wisp_validate(&text, &map, NULL, 0), WISP_E_INVALID);
    CHECK_EQ_INT(wisp_validate(&text, &no_pairs, NULL, 0), WISP_E_INVALID);
}

/* --- nil, unions, rows --- */

TEST(nil_is_a_value_where_a_type_takes_it) {
    static const wisp_type nullable[] = { WISP_T_EXACT(WISP_NIL), WISP_T_INTEGER };
    static const wisp_field fields[] = { WISP_MAP_FIELD("x", WISP_T_UNION(nullable, 2)),
                                         WISP_MAP_FIELD("y", WISP_T_EXACT(WISP_NIL)),
                                         WISP_MAP_FIELD("z", WISP_T_ANY) };
    static const wisp_schema schema = WISP_MAP_SCHEMA("m", 1, fields);
    wisp_pair pairs[3];
    wisp_value map, out;
    uint8_t bytes[256];
    int size;
    for (int i = 0; i < 3; i++) {
        pairs[i].key = fields[i].name;
        pairs[i].value = wisp_nil();
    }
    map = wisp_map(pairs, 3);
    CHECK_EQ_INT(wisp_validate(&schema, &map, why, sizeof why), WISP_OK);
    size = wisp_encode(wisp_bitpack(), &schema, &map, bytes, sizeof bytes);
    CHECK(size > 0);
    CHECK_EQ_INT(wisp_decode(wisp_bitpack(), &schema, bytes, size, &out, type_memory.bytes,
                             TYPE_MEMORY_MAX),
                 size);
    if (size > 0) CHECK(wisp_equal(&map, &out));
    map.count = 2;
    CHECK_EQ_INT(wisp_validate(&schema, &map, why, sizeof why), WISP_E_INVALID);
    CHECK_EQ_STR(why, "z: is missing");
}

/* Encodes and decodes a map of one field "x"; its value. */
static const wisp_value *through(const wisp_type *type, wisp_value value) {
    static wisp_value out;
    static uint8_t bytes[512];
    wisp_field field = WISP_MAP_FIELD("x", WISP_T_BOOL);
    wisp_schema schema = WISP_MAP_SCHEMA("s", 1, k_fields);
    wisp_pair pair = { "x", value };
    wisp_value map = wisp_map(&pair, 1);
    int size;
    field.type = *type;
    schema.fields = &field;
    size = wisp_encode(wisp_bitpack(), &schema, &map, bytes, sizeof bytes);
    if (!CHECK(size >= 0)) return NULL;
    if (!CHECK_EQ_INT(wisp_decode(wisp_bitpack(), &schema, bytes, size, &out, type_memory.bytes,
                                  TYPE_MEMORY_MAX), size)) return NULL;
    return wisp_field_of(&out, "x");
}

static const wisp_type number_first[] = { WISP_T_NUMBER, WISP_T_INTEGER };
static const wisp_type bool_first[] = { WISP_T_BOOL, WISP_T_INTEGER };
static const wisp_type enum_first[] = { WISP_T_ENUM(names, 2), WISP_T_INTEGER };
static const wisp_type float_first[] = { WISP_T_FLOAT, WISP_T_DOUBLE };
static const wisp_type steps_first[] = { WISP_T_QUANTIZED(0, 1, 0.25), WISP_T_DOUBLE };

TEST(a_union_prefers_the_option_that_says_a_value_exactly) {
    static const wisp_type unions[] = {
        WISP_T_UNION(number_first, 2), WISP_T_UNION(bool_first, 2), WISP_T_UNION(enum_first, 2),
        WISP_T_UNION(float_first, 2), WISP_T_UNION(steps_first, 2)
    };
    wisp_value values[5];
    values[0] = wisp_int(9007199254740993);
    values[1] = wisp_int(1);
    values[2] = wisp_int(1);
    values[3] = wisp_number(0.1);
    values[4] = wisp_number(0.3);
    for (int i = 0; i < 5; i++) {
        const wisp_value *x = through(&unions[i], values[i]);
        if (x && !CHECK(wisp_equal(x, &values[i]))) printf("    union %d\n", i);
    }
}

TEST(a_union_may_be_an_option_of_a_union) {
    static const wisp_type inner[] = { WISP_T_STRING(5), WISP_T_VEC2, WISP_T_ARRAY(&int_type, 3) };
    static const wisp_type outer[] = { WISP_T_INTEGER, WISP_T_UNION(inner, 3) };
    static const wisp_type type = WISP_T_UNION(outer, 2);
    wisp_value values[4];
    make_kinds();
    values[0] = wisp_int(5);
    values[1] = wisp_string("abc");
    values[2] = wisp_vec2v(1, 2);
    values[3] = wisp_array(kind_items, 2);
    for (int i = 0; i < 4; i++) {
        const wisp_value *x = through(&type, values[i]);
        if (x) CHECK(wisp_equal(x, &values[i]));
    }
}

TEST(rows_are_arrays_whose_last_values_may_be_left_out) {
    static const wisp_field fields[] = {
        WISP_MAP_FIELD("damage", WISP_T_RANGE(0, 100)),
        WISP_OPTIONAL_TEXT_MAP_FIELD("what", WISP_T_STRING(8), "fist"),
        WISP_MAYBE_MAP_FIELD("where", WISP_T_VEC2),
    };
    static const wisp_schema schema = WISP_LIST_SCHEMA("hit", 1, fields);
    wisp_value values[4], row, out;
    uint8_t bytes[64];
    int size;
    values[0] = wisp_int(12);
    values[1] = wisp_string("sword");
    values[2] = wisp_vec2v(1, 2);
    values[3] = wisp_int(1);
    for (int count = 0; count <= 4; count++) {
        row = wisp_array(values, count);
        CHECK_EQ_INT(wisp_validate(&schema, &row, why, sizeof why),
                     count == 0 || count == 4 ? WISP_E_INVALID : WISP_OK);
        if (count == 0) CHECK_EQ_STR(why, "damage: is missing");
        if (count == 4) CHECK_EQ_STR(why, "4 values are over 3");
        if (why[0]) continue;
        size = wisp_encode(wisp_bitpack(), &schema, &row, bytes, sizeof bytes);
        CHECK_EQ_INT(wisp_decode(wisp_bitpack(), &schema, bytes, size, &out, type_memory.bytes,
                                 TYPE_MEMORY_MAX), size);
        CHECK_EQ_INT(wisp_kind_of(&out), WISP_ARRAY);
        CHECK_EQ_INT(wisp_count_of(&out), 3);
        CHECK_EQ_STR(wisp_string_of(wisp_element_of(&out, 1), NULL), count > 1 ? "sword" : "fist");
        CHECK_EQ_INT(wisp_kind_of(wisp_element_of(&out, 2)), count > 2 ? WISP_VEC2 : WISP_NIL);
    }
}

/* --- structs --- */

TEST(a_count_over_the_maximum_is_refused) {
    type_stats s = some_stats();
    wisp_value value = wisp_struct(&stats_schema, &s);
    s.n = 4;
    CHECK_EQ_INT(wisp_validate(&stats_schema, &value, why, sizeof why), WISP_E_INVALID);
    s.n = -1;
    CHECK_EQ_INT(wisp_validate(&stats_schema, &value, why, sizeof why), WISP_E_INVALID);
    s.n = 3;
    CHECK_EQ_INT(wisp_validate(&stats_schema, &value, why, sizeof why), WISP_OK);
    s.blob_count = 5;
    CHECK_EQ_INT(wisp_validate(&stats_schema, &value, why, sizeof why), WISP_E_INVALID);
}

TEST(a_bool_is_0_or_1) {
    type_stats s = some_stats();
    uint8_t bytes[256];
    wisp_value value = wisp_struct(&stats_schema, &s);
    for (int flag = 0; flag < 3; flag++) {
        wisp_result result;
        int size;
        s.flag = flag;
        result = wisp_validate(&stats_schema, &value, why, sizeof why);
        size = wisp_encode(wisp_bitpack(), &stats_schema, &value, bytes, sizeof bytes);
        CHECK_EQ_INT(result == WISP_OK, size > 0);
        if (flag < 2) CHECK_EQ_INT(result, WISP_OK);
    }
}

TEST(a_struct_equals_its_map_and_hashes_alike) {
    type_stats s = some_stats(), other = some_stats();
    wisp_value value = wisp_struct(&stats_schema, &s), map;
    wisp_value twin = wisp_struct(&stats_schema, &other);
    const wisp_value *second;
    CHECK_EQ_INT(wisp_as_map(&value, &map, type_memory.bytes, TYPE_MEMORY_MAX), WISP_OK);
    CHECK_EQ_INT(map.kind, WISP_MAP);
    CHECK_EQ_INT(map.count, stats_schema.count);
    CHECK(wisp_equal(&value, &map) && wisp_equal(&map, &value) && wisp_equal(&value, &twin));
    CHECK(wisp_hash(&value) == wisp_hash(&map));
    second = wisp_element_of(wisp_field_of(&map, "items"), 1);
    CHECK_EQ_INT(wisp_field_of(second, "id")->as.integer, 7);
    CHECK_EQ_INT(wisp_count_of(wisp_field_of(&map, "blob")), 3);
    CHECK_EQ_INT(wisp_kind_of(wisp_field_of(&map, "open")), WISP_BOOL);
    other.items[2].id = 9;                 /* beyond the count: not part of the value */
    CHECK(wisp_equal(&value, &twin) && wisp_hash(&value) == wisp_hash(&twin));
    other.items[1].id = 8;
    CHECK(!wisp_equal(&value, &twin) && !wisp_equal(&twin, &map));
}

TEST(as_map_says_when_memory_is_too_small) {
    type_stats s = some_stats();
    wisp_value value = wisp_struct(&stats_schema, &s), map, number = wisp_int(4);
    bool enough = false;
    for (int room = 0; room < 8192 && !enough; room += 8) {
        void *block = malloc((size_t)room + 1);
        wisp_result result = wisp_as_map(&value, &map, block, room);
        enough = result == WISP_OK;
        if (!enough) CHECK_EQ_INT(result, WISP_E_MEMORY);
        else CHECK(wisp_equal(&value, &map));
        free(block);
    }
    CHECK(enough);
    CHECK_EQ_INT(wisp_as_map(&number, &map, NULL, 0), WISP_OK);
    CHECK(wisp_equal(&number, &map));
    CHECK_EQ_INT(wisp_as_map(NULL, &map, type_memory.bytes, 8), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_as_map(&number, NULL, type_memory.bytes, 8), WISP_E_ARGUMENT);
}

TEST(a_struct_is_filled_from_its_map_and_keeps_what_has_no_field) {
    type_stats s = some_stats(), got;
    wisp_value value = wisp_struct(&stats_schema, &s), map, filled;
    memset(&got, 0x5a, sizeof got);
    filled = wisp_struct(&stats_schema, &got);
    CHECK_EQ_INT(wisp_as_map(&value, &map, type_memory.bytes, TYPE_MEMORY_MAX), WISP_OK);
    CHECK_EQ_INT(wisp_fill_struct(&stats_schema, &map, &got, why, sizeof why), WISP_OK);
    CHECK(wisp_equal(&value, &filled));
    CHECK_EQ_STR(got.name, "alice");
    CHECK_EQ_INT(got.n, 2);
    CHECK_EQ_INT(got.items[2].id, 0);
    CHECK_EQ_INT(got.blob_count, 3);
}

TEST(a_struct_is_filled_with_defaults_and_from_more_than_it_has) {
    static const wisp_field fields[] = { WISP_OPTIONAL_FIELD(type_item, id, WISP_T_RANGE(0, 1000),
                                                             42),
                                         WISP_FIELD(type_item, count, WISP_T_UINT) };
    static const wisp_schema schema = WISP_SCHEMA(type_item, 1, fields);
    wisp_pair pairs[2] = { { "stranger", wisp_string("is passed over") },
                           { "count", wisp_int(9) } };
    wisp_value map = wisp_map(pairs, 2);
    type_item got = { 1, 2 };
    CHECK_EQ_INT(wisp_fill_struct(&schema, &map, &got, why, sizeof why), WISP_OK);
    CHECK_EQ_INT(got.id, 42);
    CHECK_EQ_INT(got.count, 9);
    CHECK_EQ_INT(wisp_validate(&schema, &map, why, sizeof why), WISP_E_INVALID);
}

TEST(a_struct_that_cannot_be_filled_is_as_it_was) {
    wisp_pair pairs[2] = { { "id", wisp_int(5) }, { "count", wisp_int(-9) } };
    wisp_value map = wisp_map(pairs, 2);
    type_item got = { 11, 22 };
    CHECK_EQ_INT(wisp_fill_struct(&type_item_schema, &map, &got, why, sizeof why), WISP_E_INVALID);
    CHECK_EQ_STR(why, "count: does not fit 1 bytes");
    CHECK(got.id == 11 && got.count == 22);
    CHECK_EQ_INT(wisp_fill_struct(NULL, &map, &got, why, sizeof why), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_fill_struct(&type_item_schema, NULL, &got, why, sizeof why), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_fill_struct(&type_item_schema, &map, NULL, why, sizeof why), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_fill_struct(&k_schema, &map, &got, why, sizeof why), WISP_E_ARGUMENT);
}

TEST(fields_of_a_decoded_struct_can_be_asked_for_and_of_ones_own_not) {
    type_stats s = some_stats();
    uint8_t bytes[256];
    wisp_value value = wisp_struct(&stats_schema, &s), out;
    int size = wisp_encode(wisp_bitpack(), &stats_schema, &value, bytes, sizeof bytes);
    const wisp_value *items;
    CHECK(wisp_field_of(&value, "gold") == NULL);
    CHECK_EQ_INT(wisp_decode(wisp_bitpack(), &stats_schema, bytes, size, &out, type_memory_b.bytes,
                             TYPE_MEMORY_MAX), size);
    CHECK_EQ_INT(wisp_kind_of(&out), WISP_STRUCT);
    CHECK_EQ_INT(wisp_count_of(&out), stats_schema.count);
    CHECK_EQ_STR(wisp_key_of(&out, 1), "gold");
    CHECK(wisp_key_of(&out, -1) == NULL && wisp_key_of(&out, stats_schema.count) == NULL);
    CHECK(wisp_element_of(&out, stats_schema.count) == NULL);
    if (!CHECK(wisp_field_of(&out, "gold") != NULL)) return;
    CHECK_EQ_INT(wisp_field_of(&out, "gold")->as.integer, -5);
    CHECK(wisp_field_of(&out, "gold") == wisp_element_of(&out, 1));
    CHECK_EQ_STR(wisp_string_of(wisp_field_of(&out, "name"), NULL), "alice");
    CHECK(wisp_field_of(&out, "nothing") == NULL);
    items = wisp_field_of(&out, "items");
    CHECK_EQ_INT(wisp_kind_of(items), WISP_ARRAY);
    CHECK_EQ_INT(wisp_count_of(items), 2);
    CHECK_EQ_INT(wisp_field_of(wisp_element_of(items, 1), "id")->as.integer, 7);
    CHECK_EQ_INT(wisp_field_of(&out, "any")->as.integer, 3);
    CHECK(wisp_equal(&value, &out));
}

typedef struct light { float rate; } light;

TEST(a_default_that_a_float_rounds_is_still_the_default) {
    static const wisp_field fields[] = { WISP_OPTIONAL_FIELD(light, rate, WISP_T_NUMBER, 0.1) };
    static const wisp_schema schema = WISP_SCHEMA(light, 1, fields);
    light l = { 0.1f };
    wisp_value value = wisp_struct(&schema, &l), none = wisp_map(NULL, 0), out;
    uint8_t bytes[32];
    CHECK_EQ_INT(wisp_encode(wisp_bitpack(), &schema, &value, bytes, sizeof bytes), 1);
    CHECK_EQ_INT(bytes[0], 0);
    CHECK_EQ_INT(wisp_encode(wisp_bitpack(), &schema, &none, bytes, sizeof bytes), 1);
    CHECK_EQ_INT(wisp_decode(wisp_bitpack(), &schema, bytes, 1, &out, type_memory.bytes,
                             TYPE_MEMORY_MAX), 1);
    CHECK(((const light *)out.as.structure.data)->rate >= 0.1f);
    CHECK_EQ_INT(wisp_encode(wisp_bitpack(), &schema, &out, bytes, sizeof bytes), 1);
}

/* Every width of member: the ends of its range are taken, what is beyond is not. */
typedef struct widths {
    int8_t a; int16_t b; int32_t c; int64_t d;
    uint8_t e; uint16_t f; uint32_t g; uint64_t h;
} widths;
static const wisp_field width_fields[] = {
    WISP_FIELD(widths, a, WISP_T_INTEGER), WISP_FIELD(widths, b, WISP_T_INTEGER),
    WISP_FIELD(widths, c, WISP_T_INTEGER), WISP_FIELD(widths, d, WISP_T_INTEGER),
    WISP_FIELD(widths, e, WISP_T_UINT), WISP_FIELD(widths, f, WISP_T_UINT),
    WISP_FIELD(widths, g, WISP_T_UINT), WISP_FIELD(widths, h, WISP_T_UINT),
};
static const wisp_schema width_schema = WISP_SCHEMA(widths, 1, width_fields);

TEST(integers_are_as_wide_as_their_members) {
    wisp_pair pairs[8];
    wisp_value map;
    widths w;
    for (int end = 0; end < 2; end++) {
        for (int i = 0; i < 8; i++) {
            int bits = 8 << (i & 3);
            uint64_t most = UINT64_MAX >> (64 - bits);
            pairs[i].key = width_fields[i].name;
            if (i > 3) pairs[i].value = wisp_uint(end ? most : 0);
            else pairs[i].value = wisp_int(end ? (int64_t)(most >> 1) : -(int64_t)(most >> 1) - 1);
        }
        map = wisp_map(pairs, 8);
        CHECK_EQ_INT(wisp_fill_struct(&width_schema, &map, &w, why, sizeof why), WISP_OK);
        CHECK_EQ_INT(w.a, end ? INT8_MAX : INT8_MIN);
        CHECK_EQ_INT(w.b, end ? INT16_MAX : INT16_MIN);
        CHECK_EQ_INT(w.c, end ? INT32_MAX : INT32_MIN);
        CHECK(w.d == (end ? INT64_MAX : INT64_MIN));
        CHECK_EQ_INT(w.e, end ? UINT8_MAX : 0);
        CHECK_EQ_INT(w.f, end ? UINT16_MAX : 0);
        CHECK_EQ_INT(w.g, end ? UINT32_MAX : 0);
        CHECK(w.h == (end ? UINT64_MAX : 0));
        for (int i = 0; i < 8; i++) {
            wisp_value kept = pairs[i].value;
            int bits = 8 << (i & 3);
            if (bits == 64) pairs[i].value = wisp_number(end ? 1e30 : -1e30);
            else if (i > 3) pairs[i].value = wisp_int(end ? INT64_C(1) << bits : -1);
            else pairs[i].value = wisp_int(kept.as.integer + (end ? 1 : -1));
            CHECK_EQ_INT(wisp_fill_struct(&width_schema, &map, &w, why, sizeof why),
                         WISP_E_INVALID);
            CHECK(why[0] == 'a' + i);
            pairs[i].value = kept;
        }
    }
}

typedef struct few { uint8_t items[3], count; } few;
typedef struct more { uint8_t items[3], count; int32_t first; } more;

/* The count of a list is looked for where the struct that is read has it, not where the schema that
   is filled does. */
TEST(a_count_is_judged_by_the_schema_of_the_struct_that_has_it) {
    static const wisp_type byte = WISP_T_UINT8;
    static const wisp_field small_fields[] = {
        WISP_COUNTED_FIELD(few, items, count, WISP_T_ARRAY(&byte, 3)),
    };
    static const wisp_schema small_schema = WISP_SCHEMA(few, 1, small_fields);
    static const wisp_field large_fields[] = {
        WISP_OPTIONAL_FIELD(more, first, WISP_T_INT32, 5),
        WISP_COUNTED_FIELD(more, items, count, WISP_T_ARRAY(&byte, 3)),
    };
    static const wisp_schema large_schema = WISP_SCHEMA(more, 1, large_fields);
    few from = { { 1, 2, 3 }, 3 };
    more to;
    wisp_value value = wisp_struct(&small_schema, &from);
    CHECK_EQ_INT(wisp_fill_struct(&large_schema, &value, &to, why, sizeof why), WISP_OK);
    CHECK(to.count == 3 && to.items[2] == 3 && to.first == 5);
    from.count = 4;
    CHECK_EQ_INT(wisp_fill_struct(&large_schema, &value, &to, why, sizeof why), WISP_E_INVALID);
    CHECK_EQ_STR(why, "items: its count is over 3");
}

static const test_case tests[] = {
    CASE(each_type_takes_the_kinds_it_should),
    CASE(the_text_names_the_place_and_the_reason),
    CASE(the_text_shows_why_a_number_is_outside),
    CASE(what_is_within_half_a_step_of_its_range_fits_as_the_edge),
    CASE(what_is_clamped_fits_as_the_edge_unless_it_is_no_number),
    CASE(numbers_of_an_enum_are_kept_or_named_in_the_text),
    CASE(an_enum_is_seen_as_its_name_or_as_its_number),
    CASE(the_text_of_maps_names_what_is_missing_and_what_is_too_much),
    CASE(the_text_is_cut_to_the_room_for_it),
    CASE(fields_are_found_in_any_order_and_number),
    CASE(nil_is_a_value_where_a_type_takes_it),
    CASE(a_union_prefers_the_option_that_says_a_value_exactly),
    CASE(a_union_may_be_an_option_of_a_union),
    CASE(rows_are_arrays_whose_last_values_may_be_left_out),
    CASE(a_count_over_the_maximum_is_refused),
    CASE(a_bool_is_0_or_1),
    CASE(a_struct_equals_its_map_and_hashes_alike),
    CASE(as_map_says_when_memory_is_too_small),
    CASE(a_struct_is_filled_from_its_map_and_keeps_what_has_no_field),
    CASE(a_struct_is_filled_with_defaults_and_from_more_than_it_has),
    CASE(a_struct_that_cannot_be_filled_is_as_it_was),
    CASE(fields_of_a_decoded_struct_can_be_asked_for_and_of_ones_own_not),
    CASE(a_default_that_a_float_rounds_is_still_the_default),
    CASE(integers_are_as_wide_as_their_members),
    CASE(values_that_make_no_sense_are_refused_and_not_read),
    CASE(a_count_is_judged_by_the_schema_of_the_struct_that_has_it),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
