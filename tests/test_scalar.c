/* test_scalar.c - single numbers of records: rounding, steps, rotations, colours */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/random_schemas.h"
#include "support/written_records.h"
#include <math.h>

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

typedef struct scalar_floats { float a, b; wisp_vec2 v; } scalar_floats;

/* 0.1f is a little over 0.1, and 0.7f a little under 0.7: both ends are inside all the same. */
TEST(a_float_at_the_end_of_its_range_is_inside_of_it) {
    static const wisp_field fields[] = {
        WISP_FIELD(scalar_floats, a, WISP_T_QUANTIZED(0.7, 9.1, 0.1)),
        WISP_FIELD(scalar_floats, b, WISP_T_NUMBER_RANGE(0.7, 9.1)),
        WISP_FIELD(scalar_floats, v, WISP_T_VEC2_QUANTIZED(0.7, 9.1, 0.1)),
    };
    static const wisp_schema plain = WISP_SCHEMA(scalar_floats, 1, fields);
    const wisp_schema *schema = wisp_schema_compile(&plain, memory_c.bytes, MEMORY_MAX);
    static const float ends[] = { 0.7f, 9.1f };
    char why[100];
    for (int i = 0; i < 2; i++) {
        scalar_floats f;
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
    wisp_field fields[] = { WISP_FIELD(scalar_floats, a,
                                       WISP_T_QUANTIZED(0, 1, 1)) }, *field = fields;
    for (int r = 0; r < TEST_COUNT(ranges); r++) {
        wisp_schema plain = WISP_SCHEMA(scalar_floats, 1, fields);
        const wisp_schema *schema;
        uint64_t steps = wisp__steps(&ranges[r]), skip = steps / 500 + 1;
        int bits_of_it = wisp__width(steps);
        field->type.lo = ranges[r].lo;
        field->type.hi = ranges[r].hi;
        field->type.step = ranges[r].step;
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

typedef struct scalar_row { float a; double b; wisp_vec3 v; } scalar_row;
typedef struct scalar_rows { scalar_row rows[40]; scalar_row one; } scalar_rows;

/* The bits of rows and of single members that all hold a number: through tiles and runs. */
static int64_t scalar_rows_write(bool clamps, double number, uint8_t out[OUT_MAX]) {
    static const wisp_field near_fields[] = {
        WISP_FIELD(scalar_row, a, WISP_T_QUANTIZED(-10, 100, 0.5)),
        WISP_FIELD(scalar_row, b, WISP_T_QUANTIZED(-10, 100, 0.5)),
        WISP_FIELD(scalar_row, v, WISP_T_VEC3_QUANTIZED(-10, 100, 0.5)),
    }, clamped_fields[] = {
        WISP_FIELD(scalar_row, a, WISP_T_CLAMPED(-10, 100, 0.5)),
        WISP_FIELD(scalar_row, b, WISP_T_CLAMPED(-10, 100, 0.5)),
        WISP_FIELD(scalar_row, v, WISP_T_VEC3_CLAMPED(-10, 100, 0.5)),
    };
    static const wisp_schema near_row = WISP_SCHEMA(scalar_row, 1, near_fields);
    static const wisp_schema clamped_row = WISP_SCHEMA(scalar_row, 1, clamped_fields);
    static const wisp_type near_type = WISP_T_STRUCT(&near_row);
    static const wisp_type clamped_type = WISP_T_STRUCT(&clamped_row);
    wisp_field fields[] = { WISP_FIELD(scalar_rows, rows, WISP_T_ARRAY(&near_type, 40)),
                            WISP_FIELD(scalar_rows, one, WISP_T_STRUCT(&near_row)) };
    wisp_schema plain = WISP_SCHEMA(scalar_rows, 1, fields);
    static scalar_rows rows;
    wisp_value value = wisp_struct(&plain, &rows);
    const wisp_schema *schema;
    int64_t bits;
    if (clamps) fields[0].type.of = &clamped_type, fields[1].type.of = &clamped_row;
    schema = wisp_schema_compile(&plain, memory_c.bytes, MEMORY_MAX);
    if (!CHECK(schema != NULL)) return -1;
    rows.one.a = rows.one.v.x = rows.one.v.y = rows.one.v.z = (float)number;
    rows.one.b = number;
    for (int i = 0; i < 40; i++) rows.rows[i] = rows.one;
    memset(out, 0, OUT_MAX);
    bits = write_map(schema, &value, out, OUT_MAX);
    CHECK_EQ_INT(wisp_validate(&plain, &value, NULL, 0), bits > 0 ? WISP_OK : (wisp_result)bits);
    return bits;
}

TEST(what_is_outside_its_range_goes_as_the_edge_or_not_at_all) {
    static const struct { double number, as; int fits; } cases[] = {       /* 2: only clamped */
        { 100.25, 100, 1 }, { -10.25, -10, 1 }, { 100.1, 100, 1 }, { 100.26, 100, 2 },
        { -10.26, -10, 2 }, { 1e30, 100, 2 }, { -1e30, -10, 2 }
    };
    static uint8_t edge[OUT_MAX], out[OUT_MAX];
    for (int clamps = 0; clamps < 2; clamps++) {
        for (int i = 0; i < TEST_COUNT(cases); i++) {
            int64_t bits = scalar_rows_write(clamps != 0, cases[i].as, edge);
            int64_t used = scalar_rows_write(clamps != 0, cases[i].number, out);
            if (!CHECK_EQ_INT(used, cases[i].fits <= 1 + clamps ? bits : (int64_t)WISP_E_INVALID))
                printf("    %g, clamps %d\n", cases[i].number, clamps);
            if (used > 0) CHECK_EQ_MEM(out, edge, (size_t)((bits + 7) / 8));
        }
        CHECK_EQ_INT(scalar_rows_write(clamps != 0, (double)INFINITY, out),
                     clamps ? scalar_rows_write(true, 100, edge) : (int64_t)WISP_E_INVALID);
        CHECK_EQ_INT(scalar_rows_write(clamps != 0, (double)NAN, out), WISP_E_INVALID);
        CHECK_EQ_INT(scalar_rows_write(clamps != 0, -(double)NAN, out), WISP_E_INVALID);
    }
}

TEST(colours_of_bytes_and_of_floats_are_the_same_bits) {
    static const wisp_type type = WISP_T_COLOR;
    const wisp_schema *schema = only(&type);
    for (int i = 0; i < 256; i++) {
        float part = (float)(i / 255.0);
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

static const test_case tests[] = {
    CASE(what_is_in_steps_is_off_by_at_most_half_a_step_and_stays),
    CASE(a_float_at_the_end_of_its_range_is_inside_of_it),
    CASE(every_step_of_a_float_is_valid_and_stays),
    CASE(what_is_outside_its_range_goes_as_the_edge_or_not_at_all),
    CASE(colours_of_bytes_and_of_floats_are_the_same_bits),
    CASE(rotations_are_off_by_little_and_less_with_more_bits),
    CASE(rotations_are_idempotent_at_all_bits),
    CASE(rotations_that_are_read_have_length_one),
    CASE(the_largest_part_of_a_rotation_is_left_out_and_positive),
    CASE(what_is_no_rotation_is_refused),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
