/* test_value.c - making values, equality, the stable hash, accessors */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"

static bool equal(wisp_value a, wisp_value b) {
    bool forth = wisp_equal(&a, &b), back = wisp_equal(&b, &a);
    CHECK(forth == back);
    if (forth) CHECK(wisp_hash(&a) == wisp_hash(&b));
    return forth;
}

/* Not equal, and told apart by the hash too: certain for the pairs tested here. */
static bool differ(wisp_value a, wisp_value b) {
    return !equal(a, b) && wisp_hash(&a) != wisp_hash(&b);
}

/* --- making --- */

/* A number read as each of the lenient kinds. */
static void check_lenient(wisp_value v, int64_t i, uint64_t u, double number, bool boolean) {
    CHECK(wisp_int_of(&v) == i && wisp_uint_of(&v) == u && wisp_bool_of(&v) == boolean);
    CHECK_NEAR(wisp_number_of(&v), number, 0);
}

TEST(numbers_and_bools_are_read_as_any_of_them) {
    check_lenient(wisp_bool(true), 1, 1, 1, true);
    check_lenient(wisp_bool(false), 0, 0, 0, false);
    check_lenient(wisp_int(-7), -7, 0, -7, true);
    check_lenient(wisp_int(INT64_MIN), INT64_MIN, 0, -9223372036854775808.0, true);
    check_lenient(wisp_uint(UINT64_MAX), INT64_MAX, UINT64_MAX, 18446744073709551616.0, true);
    check_lenient(wisp_float(2.75f), 2, 2, 2.75, true);
    check_lenient(wisp_number(-2.75), -2, 0, -2.75, true);
    check_lenient(wisp_number(-0.5), 0, 0, -0.5, true);
    check_lenient(wisp_number(4503599627370495.5), INT64_C(4503599627370495),
                  UINT64_C(4503599627370495), 4503599627370495.5, true);
    check_lenient(wisp_number(5e-324), 0, 0, 5e-324, true);
    check_lenient(wisp_number(-0.0), 0, 0, 0, false);
    check_lenient(wisp_number(9223372036854774784.0), INT64_C(9223372036854774784),
                  UINT64_C(9223372036854774784), 9223372036854774784.0, true);
    check_lenient(wisp_number(9223372036854775808.0), INT64_MAX, UINT64_C(1) << 63,
                  9223372036854775808.0, true);
    check_lenient(wisp_number(18446744073709549568.0), INT64_MAX, UINT64_C(18446744073709549568),
                  18446744073709549568.0, true);
    check_lenient(wisp_number(1e300), INT64_MAX, UINT64_MAX, 1e300, true);
    check_lenient(wisp_number(-1e300), INT64_MIN, 0, -1e300, true);
}

TEST(what_is_no_number_is_read_as_zero) {
    wisp_value nan = wisp__value_of_bits(false, UINT64_C(0xfff8000000000001));
    wisp_value infinity = wisp__value_of_bits(false, UINT64_C(0x7ff0000000000000));
    check_lenient(wisp_nil(), 0, 0, 0, false);
    check_lenient(wisp_string("42"), 0, 0, 0, false);
    check_lenient(wisp_vec2v(1, 2), 0, 0, 0, false);
    check_lenient(wisp_array(NULL, 0), 0, 0, 0, false);
    CHECK(!wisp_int_of(NULL) && !wisp_uint_of(NULL) && !wisp_bool_of(NULL));
    CHECK_NEAR(wisp_number_of(NULL), 0, 0);
    CHECK(!wisp_int_of(&nan) && !wisp_uint_of(&nan) && !wisp_bool_of(&nan));
    CHECK(wisp__bits_nan(wisp__double_bits(wisp_number_of(&nan))));
    CHECK(wisp_int_of(&infinity) == INT64_MAX && wisp_uint_of(&infinity) == UINT64_MAX);
    CHECK(wisp_bool_of(&infinity));
}

TEST(constructors_keep_what_they_are_given) {
    wisp_vec3 position = { 1, 2, 3 };
    wisp_quat rotation = { 4, 5, 6, 7 };
    wisp_value v = wisp_transformv(position, rotation);
    CHECK(wisp_nil().kind == WISP_NIL);
    CHECK(wisp_bool(true).kind == WISP_BOOL && wisp_bool(true).as.boolean);
    CHECK(!wisp_bool(false).as.boolean);
    CHECK(wisp_int(INT64_MIN).kind == WISP_INT && wisp_int(INT64_MIN).as.integer == INT64_MIN);
    CHECK(wisp_uint(UINT64_MAX).kind == WISP_UINT);
    CHECK(wisp_uint(UINT64_MAX).as.uinteger == UINT64_MAX);
    CHECK(wisp_float(1.5f).kind == WISP_FLOAT);
    CHECK_NEAR(wisp_float(1.5f).as.float32, 1.5, 0);
    CHECK(wisp_number(1e300).kind == WISP_NUMBER);
    CHECK_NEAR(wisp_number(1e300).as.number, 1e300, 0);
    CHECK(v.kind == WISP_TRANSFORM);
    CHECK_NEAR(v.as.transform.position.z, 3, 0);
    CHECK_NEAR(v.as.transform.rotation.w, 7, 0);
    v = wisp_vec2v(1, 2);
    CHECK(v.kind == WISP_VEC2);
    CHECK_NEAR(v.as.vec2.y, 2, 0);
    v = wisp_vec3v(1, 2, 3);
    CHECK(v.kind == WISP_VEC3);
    CHECK_NEAR(v.as.vec3.z, 3, 0);
    v = wisp_vec4v(1, 2, 3, 4);
    CHECK(v.kind == WISP_VEC4);
    CHECK_NEAR(v.as.vec4.w, 4, 0);
    v = wisp_quatv(1, 2, 3, 4);
    CHECK(v.kind == WISP_QUAT);
    CHECK_NEAR(v.as.quat.w, 4, 0);
    v = wisp_color3(0.25f, 0.5f, 0.75f);
    CHECK(v.kind == WISP_COLOR);
    CHECK_NEAR(v.as.color.b, 0.75, 0);
    CHECK_NEAR(v.as.color.a, 1, 0);
    CHECK_NEAR(wisp_color4(0, 0, 0, 0.5f).as.color.a, 0.5, 0);
}

TEST(strings_know_their_length) {
    wisp_value v = wisp_string("hello");
    CHECK(v.kind == WISP_STRING && v.count == 5);
    v = wisp_string(NULL);
    CHECK(v.kind == WISP_STRING && v.count == 0 && v.as.string && v.as.string[0] == 0);
    v = wisp_string_n("a\0b", 3);
    CHECK(v.count == 3);
    v = wisp_bytes("\1\2", 2);
    CHECK(v.kind == WISP_BYTES && v.count == 2);
}

/* The floats of a vector kind are read as one run: so no member may stand elsewhere. */
TEST(vectors_are_runs_of_floats) {
    static const wisp_kind kinds[] = { WISP_VEC2, WISP_VEC3, WISP_VEC4, WISP_QUAT, WISP_COLOR,
                                       WISP_TRANSFORM };
    static const int counts[] = { 2, 3, 4, 4, 4, 7 };
    wisp_vec3 position = { 1, 2, 3 };
    wisp_quat rotation = { 4, 5, 6, 7 };
    wisp_value values[6];
    values[0] = wisp_vec2v(1, 2);
    values[1] = wisp_vec3v(1, 2, 3);
    values[2] = wisp_vec4v(1, 2, 3, 4);
    values[3] = wisp_quatv(1, 2, 3, 4);
    values[4] = wisp_color4(1, 2, 3, 4);
    values[5] = wisp_transformv(position, rotation);
    CHECK_EQ_INT(sizeof(wisp_transform), 7 * sizeof(float));
    for (int i = 0; i < 6; i++) {
        float floats[7] = { 0 };
        CHECK(values[i].kind == kinds[i]);
        CHECK_EQ_INT(wisp__value_floats(&values[i], floats), counts[i]);
        for (int k = 0; k < counts[i]; k++) CHECK_NEAR(floats[k], k + 1, 0);
    }
}

/* --- members --- */

/* Which accessors, of a value whose every bit is set, say that there is something. */
enum {
    HAS_BOOL = 1, HAS_INT = 2, HAS_UINT = 4, HAS_BITS = 32,
    HAS_TEXT = 64, HAS_BYTES = 128, HAS_ELEMENTS = 256, HAS_PAIRS = 512, HAS_OBJECT = 1024,
    HAS_SCHEMA = 2048, HAS_DATA = 4096, HAS_FIELDS = 8192, HAS_FLOATS = 16384,
    HAS_PUBLIC_TEXT = 32768
};

static int members_of(int kind) {
    wisp_value v;
    float floats[7];
    int there = 0;
    memset(&v, 0xff, sizeof v);
    v.kind = (wisp_kind)kind;
    if (kind == WISP_BOOL) v.as.boolean = true;
    if (wisp__bool_of(&v)) there |= HAS_BOOL;
    if (wisp__int_of(&v)) there |= HAS_INT;
    if (wisp__uint_of(&v)) there |= HAS_UINT;
    if (wisp__bits_of(&v)) there |= HAS_BITS;
    if (wisp__text_of(&v)) there |= HAS_TEXT;
    if (wisp__bytes_of(&v)) there |= HAS_BYTES;
    if (wisp__elements_of(&v)) there |= HAS_ELEMENTS;
    if (wisp__pairs_of(&v)) there |= HAS_PAIRS;
    if (wisp__object_of(&v).id) there |= HAS_OBJECT;
    if (wisp__schema_of(&v)) there |= HAS_SCHEMA;
    if (wisp__data_of(&v)) there |= HAS_DATA;
    if (wisp__fields_of(&v)) there |= HAS_FIELDS;
    if (wisp__value_floats(&v, floats)) there |= HAS_FLOATS;
    if (wisp_string_of(&v, NULL)) there |= HAS_PUBLIC_TEXT;
    return there;
}

TEST(a_member_is_read_of_its_own_kind_alone) {
    static const int own[] = {
        0, HAS_BOOL, HAS_INT, HAS_UINT, HAS_BITS, HAS_BITS,
        HAS_TEXT | HAS_BYTES | HAS_PUBLIC_TEXT, HAS_BYTES | HAS_PUBLIC_TEXT,
        HAS_FLOATS, HAS_FLOATS, HAS_FLOATS, HAS_FLOATS, HAS_FLOATS, HAS_FLOATS,
        HAS_ELEMENTS, HAS_PAIRS, HAS_OBJECT, HAS_SCHEMA | HAS_DATA | HAS_FIELDS, 0, 0
    };
    for (int kind = 0; kind < (int)(sizeof own / sizeof *own); kind++)
        CHECK_EQ_INT(members_of(kind), own[kind]);
    CHECK_EQ_INT(members_of(-1), 0);
    CHECK_EQ_INT(members_of(1 << 20), 0);
}

/* What no list is has no children: nil, without a look at where its members would point. */
TEST(what_is_no_list_has_no_children) {
    for (int kind = -1; kind < WISP_STRUCT + 3; kind++) {
        wisp_value v, scratch;
        const char *key = "";
        bool list = kind == WISP_ARRAY || kind == WISP_MAP || kind == WISP_STRUCT;
        memset(&v, 0xff, sizeof v);
        v.kind = (wisp_kind)kind;
        v.count = 3;
        if (list || kind == WISP__ITEMS) continue;
        CHECK_EQ_INT(wisp__child(&v, 1, &key, &scratch)->kind, WISP_NIL);
        CHECK(key == NULL);
        CHECK(wisp__key_at(&v, 1) == NULL);
        CHECK(wisp__child_named(&v, "a", 0, &scratch) == NULL);
        CHECK(!wisp__is_missing(&v, 1) && !wisp__is_map(&v) && !wisp__is_array(&v));
        CHECK_EQ_INT(wisp__present(&v), 3);
        CHECK(wisp_element_of(&v, 1) == NULL && wisp_key_of(&v, 1) == NULL);
        CHECK(wisp_field_of(&v, "a") == NULL);
        CHECK_EQ_INT(wisp__item_at(&v, 1).kind, WISP_NIL);
    }
}

typedef struct couple { int32_t a, b; } couple;
static const wisp_field couple_fields[] = {
    WISP_FIELD(couple, a, WISP_T_INT32), WISP_FIELD(couple, b, WISP_T_INT32),
};
static const wisp_schema couple_schema = WISP_SCHEMA(couple, 1, couple_fields);
/* The same table, but only its beginning. */
static const wisp_schema single_schema = { "single", 1, 4, couple_fields, 1, WISP_SHAPE_STRUCT,
                                           NULL };

/* Counts that are not of what a value points to are the caller's mistake, told and not followed. */
TEST(a_value_that_points_nowhere_is_not_sound) {
    static const wisp_kind kinds[] = { WISP_STRING, WISP_BYTES, WISP_ARRAY, WISP_MAP };
    couple value_pair = { 1, 2 };
    wisp_value v = wisp_struct(&couple_schema, &value_pair);
    CHECK(wisp__is_sound(&v));
    v.count = 3;
    CHECK(!wisp__is_sound(&v));
    v.count = 2;
    v.as.structure.data = NULL;
    CHECK(!wisp__is_sound(&v));
    v = wisp_struct(&couple_schema, &value_pair);
    v.as.structure.schema = NULL;
    CHECK(!wisp__is_sound(&v) && !wisp__is_map(&v) && !wisp__is_array(&v));
    for (int i = 0; i < 4; i++) {
        v = wisp_nil();
        v.kind = kinds[i];
        CHECK(wisp__is_sound(&v));
        v.count = 1;
        CHECK(!wisp__is_sound(&v));
        v.count = -1;
        CHECK(!wisp__is_sound(&v));
    }
    v = wisp_int(1);
    v.count = -5;
    CHECK(wisp__is_sound(&v));
}

TEST(a_struct_is_one_of_its_own_schema_or_of_a_copy) {
    couple value_pair = { 1, 2 };
    wisp_schema copy = couple_schema;
    wisp_value v = wisp_struct(&copy, &value_pair), map = wisp_map(NULL, 0);
    wisp_value text = wisp_string("text");
    CHECK(wisp__struct_as(&v, &couple_schema) == &value_pair);
    CHECK(wisp__struct_as(&v, &single_schema) == NULL);
    v = wisp_struct(&single_schema, &value_pair);
    CHECK(wisp__struct_as(&v, &couple_schema) == NULL);
    CHECK(wisp__struct_as(&map, &couple_schema) == NULL);
    CHECK(wisp__struct_as(&text, &couple_schema) == NULL);
}

/* --- equality --- */

TEST(numbers_are_equal_across_kinds) {
    static const int numbers[] = { 0, 1, -1, 127, -128, 1000, 16777216, -16777216 };
    for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++) {
        int n = numbers[i];
        CHECK(equal(wisp_int(n), wisp_number(n)));
        CHECK(equal(wisp_int(n), wisp_float((float)n)));
        CHECK(equal(wisp_float((float)n), wisp_number(n)));
        if (n >= 0) CHECK(equal(wisp_int(n), wisp_uint((uint64_t)n)));
        CHECK(differ(wisp_int(n), wisp_number(n + 0.5)));
        CHECK(differ(wisp_int(n), wisp_int(n + 1)));
        if (n) CHECK(differ(wisp_int(n), wisp_number(-n)));
    }
    CHECK(equal(wisp_float(0.5f), wisp_number(0.5)));
    CHECK(differ(wisp_float(0.1f), wisp_number(0.1)));
}

TEST(large_numbers_are_compared_exactly) {
    double two_63 = 9223372036854775808.0, two_64 = 18446744073709551616.0;
    CHECK(equal(wisp_int(INT64_MIN), wisp_number(-two_63)));
    CHECK(equal(wisp_uint(UINT64_C(1) << 63), wisp_number(two_63)));
    CHECK(equal(wisp_float((float)two_63), wisp_uint(UINT64_C(1) << 63)));
    CHECK(!equal(wisp_uint(UINT64_C(1) << 63), wisp_int(INT64_MIN)));
    CHECK(differ(wisp_uint(UINT64_C(1) << 63), wisp_int(0)));
    CHECK(differ(wisp_uint((UINT64_C(1) << 63) + 5), wisp_int(5)));
    CHECK(!equal(wisp_int(INT64_MAX), wisp_number(two_63)));
    CHECK(!equal(wisp_uint(UINT64_MAX), wisp_number(two_64)));
    CHECK(!equal(wisp_uint(UINT64_MAX), wisp_int(-1)));
    CHECK(!equal(wisp_int((INT64_C(1) << 53) + 1), wisp_number(9007199254740992.0)));
    CHECK(equal(wisp_int(INT64_C(1) << 53), wisp_number(9007199254740992.0)));
    CHECK(equal(wisp_number(two_64), wisp_float((float)two_64)));
    CHECK(!equal(wisp_number(two_64), wisp_number(-two_64)));
    CHECK(!equal(wisp_number(1e300), wisp_number(-1e300)));
}

TEST(zero_has_one_sign_and_nan_is_one) {
    wisp_value nan_float = wisp_float((float)low_nan()), other = wisp_nil();
    uint64_t bits = UINT64_C(0xfff8000000001234);
    double infinity = 1e308 * 10;
    other.kind = WISP_NUMBER;
    memcpy(&other.as.number, &bits, 8);
    CHECK(equal(wisp_number(-0.0), wisp_number(0.0)));
    CHECK(equal(wisp_number(-0.0), wisp_int(0)));
    CHECK(equal(wisp_float(-0.0f), wisp_uint(0)));
    CHECK(equal(wisp_number(low_nan()), wisp_number(low_nan())));
    CHECK(equal(wisp_number(low_nan()), nan_float));
    CHECK(equal(nan_float, other));
    CHECK(differ(other, wisp_number(infinity)));
    CHECK(differ(other, wisp_int(0)));
    CHECK(equal(wisp_number(infinity), wisp_float((float)infinity)));
    CHECK(differ(wisp_number(infinity), wisp_number(-infinity)));
}

TEST(vectors_compare_part_by_part) {
    float nan = (float)low_nan();
    CHECK(equal(wisp_vec3v(1, 2, 3), wisp_vec3v(1, 2, 3)));
    CHECK(equal(wisp_vec3v(0.0f, nan, 3), wisp_vec3v(-0.0f, nan, 3)));
    CHECK(differ(wisp_vec3v(1, 2, 3), wisp_vec3v(1, 2, 4)));
    CHECK(differ(wisp_vec3v(1, 2, 3), wisp_vec3v(3, 2, 1)));
    CHECK(differ(wisp_vec2v(1, 2), wisp_vec2v(2, 1)));
    CHECK(differ(wisp_color4(0, 0, 0, 1), wisp_color4(0, 0, 0, 0)));
}

static int one_of_each(wisp_value out[16]) {
    static const wisp_quat rotation = { 0, 0, 0, 0 };
    static const wisp_vec3 position = { 0, 0, 0 };
    int n = 0;
    out[n++] = wisp_nil();
    out[n++] = wisp_bool(false);
    out[n++] = wisp_int(0);
    out[n++] = wisp_string("");
    out[n++] = wisp_bytes("", 0);
    out[n++] = wisp_vec2v(0, 0);
    out[n++] = wisp_vec3v(0, 0, 0);
    out[n++] = wisp_vec4v(0, 0, 0, 0);
    out[n++] = wisp_quatv(0, 0, 0, 0);
    out[n++] = wisp_transformv(position, rotation);
    out[n++] = wisp_color4(0, 0, 0, 0);
    out[n++] = wisp_array(NULL, 0);
    out[n++] = wisp_map(NULL, 0);
    return n;
}

TEST(kinds_that_are_no_numbers_are_never_equal) {
    wisp_value values[16];
    int count = one_of_each(values);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < count; k++)
            CHECK(i == k ? equal(values[i], values[k]) : differ(values[i], values[k]));
}

TEST(text_is_compared_with_its_length) {
    CHECK(equal(wisp_string("abc"), wisp_string_n("abcdef", 3)));
    CHECK(differ(wisp_string("abc"), wisp_string("abd")));
    CHECK(differ(wisp_string("abc"), wisp_string("ab")));
    CHECK(differ(wisp_string_n("a\0b", 3), wisp_string_n("a\0c", 3)));
    CHECK(differ(wisp_string_n("a\0", 2), wisp_string("a")));
    CHECK(differ(wisp_string("abc"), wisp_bytes("abc", 3)));
    CHECK(equal(wisp_string_n(NULL, 0), wisp_string("")));
}

TEST(nothing_equals_only_nothing) {
    wisp_value nil = wisp_nil();
    CHECK(wisp_equal(NULL, NULL));
    CHECK(!wisp_equal(NULL, &nil));
    CHECK(!wisp_equal(&nil, NULL));
    CHECK(wisp_hash(NULL) == 0);
}

TEST(arrays_compare_in_order) {
    wisp_value a[3], b[3];
    a[0] = wisp_int(1), a[1] = wisp_string("x"), a[2] = wisp_nil();
    b[0] = wisp_number(1), b[1] = wisp_string("x"), b[2] = wisp_nil();
    CHECK(equal(wisp_array(a, 3), wisp_array(b, 3)));
    CHECK(differ(wisp_array(a, 3), wisp_array(b, 2)));
    b[0] = a[1], b[1] = a[0];
    CHECK(differ(wisp_array(a, 3), wisp_array(b, 3)));
    b[0] = wisp_array(a, 2);
    CHECK(differ(wisp_array(a, 2), wisp_array(b, 1)));
}

static wisp_pair value_pair(const char *key, wisp_value value) {
    wisp_pair made;
    made.key = key;
    made.value = value;
    return made;
}

TEST(maps_compare_whatever_the_order) {
    enum { PAIRS = 12 };
    wisp_pair a[PAIRS], b[PAIRS];
    char keys[PAIRS][2];
    uint64_t seed = 4;
    for (int i = 0; i < PAIRS; i++) {
        keys[i][0] = (char)('a' + i);
        keys[i][1] = 0;
        a[i] = b[i] = value_pair(keys[i], wisp_int(i));
    }
    for (int round = 0; round < 50; round++) {
        int i = test_random_below(&seed, PAIRS), k = test_random_below(&seed, PAIRS);
        wisp_pair swap = b[i];
        b[i] = b[k];
        b[k] = swap;
        CHECK(equal(wisp_map(a, PAIRS), wisp_map(b, PAIRS)));
        CHECK(differ(wisp_map(a, PAIRS), wisp_map(b, PAIRS - 1)));
    }
    b[3].value = wisp_int(99);
    CHECK(differ(wisp_map(a, PAIRS), wisp_map(b, PAIRS)));
    b[3] = value_pair("another", wisp_int(99));
    CHECK(differ(wisp_map(a, PAIRS), wisp_map(b, PAIRS)));
}

TEST(maps_that_swap_values_differ) {
    wisp_pair a[2], b[2];
    a[0] = value_pair("x", wisp_int(1)), a[1] = value_pair("y", wisp_int(2));
    b[0] = value_pair("x", wisp_int(2)), b[1] = value_pair("y", wisp_int(1));
    CHECK(differ(wisp_map(a, 2), wisp_map(b, 2)));
    b[0] = value_pair("y", wisp_map(a, 1)), b[1] = value_pair("x", wisp_nil());
    CHECK(differ(wisp_map(b, 1), wisp_map(b, 2)));
}

TEST(random_values_equal_themselves_and_hash_alike) {
    static low_values v, w;
    for (uint64_t seed = 0; seed < 400; seed++) {
        wisp_value a, b, c;
        low_values_start(&v, seed, 4);
        low_values_start(&w, seed, 4);
        a = low_value(&v);
        b = low_value(&w);
        CHECK(equal(a, b));
        low_values_start(&w, seed + 100000, 4);
        c = low_value(&w);
        if (equal(a, c)) CHECK(wisp_hash(&a) == wisp_hash(&c));
    }
}

TEST(hashes_of_many_small_values_do_not_meet) {
    enum { MANY = 600 };
    static uint64_t hashes[2 * MANY];
    for (int i = 0; i < MANY; i++) {
        wisp_value n = wisp_int(i - MANY / 2), half = wisp_number(i + 0.25);
        hashes[2 * i] = wisp_hash(&n);
        hashes[2 * i + 1] = wisp_hash(&half);
    }
    for (int i = 0; i < 2 * MANY; i++)
        for (int k = 0; k < i; k++) CHECK(hashes[i] != hashes[k]);
}

/* --- accessors --- */

TEST(accessors_take_null) {
    int size = 5;
    CHECK(wisp_kind_of(NULL) == WISP_NIL);
    CHECK_EQ_INT(wisp_count_of(NULL), 0);
    CHECK(wisp_element_of(NULL, 0) == NULL);
    CHECK(wisp_key_of(NULL, 0) == NULL);
    CHECK(wisp_field_of(NULL, "x") == NULL);
    CHECK(wisp_string_of(NULL, &size) == NULL);
    CHECK_EQ_INT(size, 0);
    CHECK(wisp_string_of(NULL, NULL) == NULL);
}

TEST(accessors_of_another_kind_find_nothing) {
    wisp_value values[16];
    int count = one_of_each(values);
    for (int i = 0; i < count; i++) {
        wisp_kind kind = values[i].kind;
        int size = 5;
        bool text = kind == WISP_STRING || kind == WISP_BYTES;
        CHECK(wisp_kind_of(&values[i]) == kind);
        CHECK_EQ_INT(wisp_count_of(&values[i]), 0);
        CHECK(wisp_element_of(&values[i], 0) == NULL);
        CHECK(wisp_key_of(&values[i], 0) == NULL);
        CHECK(wisp_field_of(&values[i], "x") == NULL);
        CHECK((wisp_string_of(&values[i], &size) != NULL) == text);
        CHECK_EQ_INT(size, 0);
    }
}

TEST(text_is_no_list) {
    wisp_value text = wisp_string("abc");
    int size = 0;
    CHECK_EQ_INT(wisp_count_of(&text), 3);
    CHECK(wisp_element_of(&text, 0) == NULL);
    CHECK(wisp_key_of(&text, 0) == NULL);
    CHECK_EQ_STR(wisp_string_of(&text, &size), "abc");
    CHECK_EQ_INT(size, 3);
    CHECK_EQ_STR(wisp_string_of(&text, NULL), "abc");
    text = wisp_bytes("\1\2\3", 3);
    CHECK_EQ_MEM(wisp_string_of(&text, &size), "\1\2\3", 3);
    CHECK_EQ_INT(size, 3);
}

TEST(elements_are_found_within_bounds_only) {
    static const int outside[] = { -1, 3, 4, INT32_MAX, INT32_MIN };
    wisp_value items[3], array;
    for (int i = 0; i < 3; i++) items[i] = wisp_int(i);
    array = wisp_array(items, 3);
    CHECK_EQ_INT(wisp_count_of(&array), 3);
    for (int i = 0; i < 3; i++) CHECK(wisp_element_of(&array, i) == &items[i]);
    for (int i = 0; i < 5; i++) {
        CHECK(wisp_element_of(&array, outside[i]) == NULL);
        CHECK(wisp_key_of(&array, outside[i]) == NULL);
    }
    CHECK(wisp_key_of(&array, 0) == NULL);
    CHECK(wisp_field_of(&array, "0") == NULL);
}

TEST(fields_are_found_by_key_and_by_place) {
    wisp_pair pairs[4];
    wisp_value map;
    pairs[0] = value_pair("hp", wisp_int(1));
    pairs[1] = value_pair("", wisp_int(2));
    pairs[2] = value_pair("hp2", wisp_int(3));
    pairs[3] = value_pair("h", wisp_int(4));
    map = wisp_map(pairs, 4);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ_STR(wisp_key_of(&map, i), pairs[i].key);
        CHECK(wisp_element_of(&map, i) == &pairs[i].value);
        CHECK(wisp_field_of(&map, pairs[i].key) == &pairs[i].value);
    }
    CHECK(wisp_field_of(&map, "hp3") == NULL);
    CHECK(wisp_field_of(&map, NULL) == NULL);
    CHECK(wisp_key_of(&map, 4) == NULL);
    CHECK(wisp_key_of(&map, -1) == NULL);
    CHECK(wisp_element_of(&map, 4) == NULL);
}

/* --- the order of keys --- */

typedef struct keys {
    wisp_pair pairs[300];
    char      texts[300][8];
    wisp__key keys[300];
} keys;

/* Keys that come in no order, each about `count / different` times; values are their places. */
static wisp_pair *make_keys(keys *k, int count, int different, uint64_t seed) {
    for (int i = 0; i < count; i++) {
        int key = (int)(test_random(&seed) % (unsigned)different);
        snprintf(k->texts[i], sizeof k->texts[i], "%d", key);
        k->pairs[i].key = k->texts[i];
        k->pairs[i].value = wisp_int(i);
    }
    return k->pairs;
}

TEST(keys_are_sorted_by_text_and_then_by_place) {
    static keys k;
    for (int count = 0; count <= 300; count += count < 40 ? 1 : 52)
        for (int different = 1; different <= 1000; different *= 10) {
            wisp_pair *pairs = make_keys(&k, count, different, (uint64_t)count + 7);
            wisp_value map = wisp_map(pairs, count);
            wisp__keys_of(&map, k.keys);
            for (int i = 1; i < count; i++)
                CHECK(wisp__key_before(&k.keys[i - 1], &k.keys[i]));
            for (int i = 0; i < count; i++)
                CHECK_EQ_STR(k.keys[i].text, pairs[k.keys[i].place].key);
        }
}

TEST(of_equal_keys_the_first_place_gets_the_last_value) {
    static keys k, all;
    for (int count = 0; count <= 300; count += count < 40 ? 1 : 52) {
        int left, at = 0;
        make_keys(&all, count, count / 2 + 1, (uint64_t)count);
        make_keys(&k, count, count / 2 + 1, (uint64_t)count);
        left = wisp__pairs_distinct(k.pairs, count, k.keys, false);
        for (int i = 0; i < count; i++) {
            int first = 0, last = i;
            while (strcmp(all.texts[first], all.texts[i]) != 0) first++;
            if (first < i || at >= left) continue;
            for (int j = i; j < count; j++)
                if (strcmp(all.texts[j], all.texts[i]) == 0) last = j;
            CHECK_EQ_STR(k.pairs[at].key, all.texts[i]);
            CHECK_EQ_INT(k.pairs[at].value.as.integer, last);
            at++;
        }
        CHECK_EQ_INT(at, left);
        for (int i = 1; i < left; i++)
            for (int j = 0; j < i; j++) CHECK(strcmp(k.pairs[i].key, k.pairs[j].key) != 0);
    }
}

TEST(keys_that_are_in_order_stay_and_others_are_sorted) {
    enum { COUNT = 1000 };
    static wisp__key order[COUNT];
    for (int i = 0; i < COUNT; i++) order[i] = wisp__key_of(NULL, (uint32_t)i / 2, i);
    wisp__keys_sort(order, COUNT);
    for (int i = 0; i < COUNT; i++) CHECK_EQ_INT(order[i].place, i);
    for (int i = 0; i < COUNT; i++) order[i] = wisp__key_of("", (uint32_t)i * 7919 % COUNT, i);
    wisp__keys_sort(order, COUNT);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ_INT(order[i].number, i);
        CHECK_EQ_INT((int)order[i].place * 7919 % COUNT, i);
    }
    wisp__keys_sort(order, 0);
    wisp__keys_sort(order, 1);
    CHECK_EQ_INT(order[0].number, 0);
}

TEST(many_keys_are_sorted_in_time_and_in_order) {
    enum { KEYS = 4000 };
    static wisp_pair pairs[KEYS];
    static wisp__key sorted[KEYS];
    static char texts[KEYS][16];
    wisp_value map = wisp_map(pairs, KEYS);
    for (int i = 0; i < KEYS; i++) {
        snprintf(texts[i], 16, "%c%d", 'a' + i % 23, i * 7919 % KEYS);
        pairs[i].key = texts[i];
    }
    wisp__keys_of(&map, sorted);
    for (int i = 1; i < KEYS; i++) CHECK(strcmp(sorted[i - 1].text, sorted[i].text) <= 0);
}

/* --- deep copies --- */

static wisp_result copy(const wisp_value *from, wisp_value *out, int how) {
    static uint64_t memory[1 << 14];
    wisp__bump bump = wisp__bump_on(memory, (int)sizeof memory);
    wisp__supply supply = wisp__supply_of_bump(&bump);
    return wisp__copy(&supply, from, out, how);
}

TEST(a_copy_points_to_texts_or_has_its_own) {
    char text[] = "text", key[] = "key";
    wisp_pair value_pair = { key, wisp_string(text) };
    wisp_value map = wisp_map(&value_pair, 1), list = wisp_array(&map, 1), out;
    CHECK_EQ_INT(copy(&list, &out, WISP__COPY_LISTS), WISP_OK);
    CHECK(wisp_equal(&list, &out) && out.as.array != &map);
    CHECK(out.as.array[0].as.map[0].key == key);
    CHECK(out.as.array[0].as.map[0].value.as.string == text);
    CHECK_EQ_INT(copy(&list, &out, WISP__COPY_TEXTS), WISP_OK);
    CHECK(wisp_equal(&list, &out));
    CHECK(out.as.array[0].as.map[0].key != key);
    CHECK(out.as.array[0].as.map[0].value.as.string != text);
    CHECK_EQ_STR(out.as.array[0].as.map[0].value.as.string, "text");
}

TEST(a_sorted_copy_has_its_keys_in_order_and_each_once) {
    wisp_pair inner[] = { { "d", wisp_int(1) }, { "c", wisp_int(2) } };
    wisp_pair pairs[] = { { "b", wisp_nil() }, { "a", wisp_int(3) } };
    wisp_value map = wisp_map(pairs, 2), out;
    pairs[0].value = wisp_map(inner, 2);
    CHECK_EQ_INT(copy(&map, &out, WISP__COPY_SORTED), WISP_OK);
    CHECK(wisp_equal(&map, &out));
    CHECK_EQ_STR(out.as.map[0].key, "a");
    CHECK_EQ_STR(out.as.map[1].value.as.map[0].key, "c");
    inner[1].key = "d";
    CHECK_EQ_INT(copy(&map, &out, WISP__COPY_SORTED), WISP_E_ARGUMENT);
    CHECK_EQ_INT(copy(&map, &out, WISP__COPY_LISTS), WISP_OK);
}

TEST(a_copy_fails_for_what_nests_too_deeply_or_points_nowhere) {
    static wisp_value lists[WISP__COPY_DEPTH + 2];
    wisp_pair value_pair = { NULL, wisp_int(1) };
    wisp_value out;
    for (int i = 0; i < WISP__COPY_DEPTH + 2; i++) lists[i] = wisp_array(&lists[i + 1], 1);
    lists[WISP__COPY_DEPTH + 1] = wisp_int(7);
    CHECK_EQ_INT(copy(&lists[1], &out, WISP__COPY_LISTS), WISP_OK);
    CHECK_EQ_INT(copy(&lists[0], &out, WISP__COPY_LISTS), WISP_E_DEPTH);
    lists[0] = wisp_map(&value_pair, 1);
    CHECK_EQ_INT(copy(&lists[0], &out, WISP__COPY_TEXTS), WISP_E_ARGUMENT);
    lists[0] = wisp_string_n(NULL, 3);
    CHECK_EQ_INT(copy(&lists[0], &out, WISP__COPY_TEXTS), WISP_E_ARGUMENT);
    lists[0] = wisp_array(NULL, 3);
    CHECK_EQ_INT(copy(&lists[0], &out, WISP__COPY_LISTS), WISP_E_ARGUMENT);
}

/* --- other likenesses --- */

TEST(the_same_content_shape_and_bits_differ) {
    wisp_pair one[] = { { "a", wisp_int(1) }, { "b", wisp_int(2) } };
    wisp_pair two[] = { { "b", wisp_int(2) }, { "a", wisp_int(1) } };
    wisp_value x = wisp_map(one, 2), y = wisp_map(two, 2), i = wisp_int(1), n = wisp_number(1);
    wisp_value zero = wisp_number(0.0), minus = wisp_number(-0.0), five = wisp_int(5);
    CHECK(wisp__alike(&x, &y, WISP__SAME_CONTENT));
    CHECK(!wisp__alike(&x, &y, WISP__SAME_BITS) && !wisp__alike(&x, &y, WISP__SAME_SHAPE));
    CHECK(wisp__alike(&i, &n, WISP__SAME_CONTENT) && !wisp__alike(&i, &n, WISP__SAME_BITS));
    CHECK(wisp__alike(&zero, &minus, WISP__SAME_CONTENT));
    CHECK(!wisp__alike(&zero, &minus, WISP__SAME_BITS));
    CHECK(wisp__alike(&i, &five, WISP__SAME_SHAPE) && !wisp__alike(&i, &n, WISP__SAME_SHAPE));
    one[0].value = wisp_bytes("xy", 2);
    two[1].value = wisp_bytes("xyz", 3);
    y = wisp_map(one, 2);
    CHECK(wisp__alike(&x, &y, WISP__SAME_SHAPE));
    CHECK(!wisp__alike(&one[0].value, &two[1].value, WISP__SAME_SHAPE));
}

static const test_case tests[] = {
    CASE(numbers_and_bools_are_read_as_any_of_them),
    CASE(what_is_no_number_is_read_as_zero),
    CASE(constructors_keep_what_they_are_given),
    CASE(strings_know_their_length),
    CASE(vectors_are_runs_of_floats),
    CASE(a_member_is_read_of_its_own_kind_alone),
    CASE(what_is_no_list_has_no_children),
    CASE(a_value_that_points_nowhere_is_not_sound),
    CASE(a_struct_is_one_of_its_own_schema_or_of_a_copy),
    CASE(numbers_are_equal_across_kinds),
    CASE(large_numbers_are_compared_exactly),
    CASE(zero_has_one_sign_and_nan_is_one),
    CASE(vectors_compare_part_by_part),
    CASE(kinds_that_are_no_numbers_are_never_equal),
    CASE(text_is_compared_with_its_length),
    CASE(nothing_equals_only_nothing),
    CASE(arrays_compare_in_order),
    CASE(maps_compare_whatever_the_order),
    CASE(maps_that_swap_values_differ),
    CASE(random_values_equal_themselves_and_hash_alike),
    CASE(hashes_of_many_small_values_do_not_meet),
    CASE(accessors_take_null),
    CASE(accessors_of_another_kind_find_nothing),
    CASE(text_is_no_list),
    CASE(elements_are_found_within_bounds_only),
    CASE(fields_are_found_by_key_and_by_place),
    CASE(keys_are_sorted_by_text_and_then_by_place),
    CASE(of_equal_keys_the_first_place_gets_the_last_value),
    CASE(keys_that_are_in_order_stay_and_others_are_sorted),
    CASE(many_keys_are_sorted_in_time_and_in_order),
    CASE(a_copy_points_to_texts_or_has_its_own),
    CASE(a_sorted_copy_has_its_keys_in_order_and_each_once),
    CASE(a_copy_fails_for_what_nests_too_deeply_or_points_nowhere),
    CASE(the_same_content_shape_and_bits_differ),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
