/* test_tile.c - runs and tiles of records against their operations one by one */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/random_schemas.h"
#include "support/written_records.h"

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

enum { TILE_LINES = 70, LINE_FIELDS = 24, FIRST_TEXT = 14, PAGE_BYTES = 1 << 15 };

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

typedef struct tile_page {
    uint8_t lead;
    int count;
    line lines[TILE_LINES];
    uint8_t tail;
} tile_page;

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
    to->color = wisp_color3((float)(test_random_below(seed, 256) / 255.0), 0, 1).as.color;
    fill_text(seed, to->t4, 4);
    fill_text(seed, to->t8, 8);
    fill_text(seed, to->t16, 16);
    fill_text(seed, to->t19, 19);
    fill_text(seed, to->t32, 32);
    to->flag = test_random_below(seed, 2) != 0;
    to->blob_count = test_random_below(seed, 13);
}

/* A page of lines of a few random fields: how many there are is counted or fixed. */
typedef struct tile_book {
    wisp_field  line_fields[8], page_fields[3];
    wisp_type   line_type;
    wisp_schema lines, pages;
} tile_book;

static void book_lines(tile_book *b, uint64_t *seed) {
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
static const wisp_schema *book_random(tile_book *b, uint64_t *seed) {
    static const wisp_field lead = WISP_FIELD(tile_page, lead, WISP_T_RANGE(0, 127));
    static const wisp_field tail = WISP_FIELD(tile_page, tail, WISP_T_UINT);
    static const wisp_field fixed = WISP_FIELD(tile_page, lines, WISP_T_ARRAY(NULL, TILE_LINES));
    static const wisp_field counted =
        WISP_COUNTED_FIELD(tile_page, lines, count, WISP_T_ARRAY(NULL, TILE_LINES));
    wisp_schema pages = WISP_SCHEMA(tile_page, 1, line_fields);
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
        ops[i].head = 0;
        ops[i].run = 0;
    }
    slow.ops = ops;
    return slow;
}

static wisp_result read_page(const wisp__program *program, const uint8_t *bytes, int size,
                             tile_page *image, int64_t *at) {
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
    result = wisp__record_read(&u, program, image);
    *at = data.at;
    return result;
}

/* From memory that ends where the bytes end. Returns whether it was read. */
static bool reads_alike(const wisp__program *quick, const wisp__program *slow,
                        const uint8_t *bytes, int size) {
    static tile_page fast, plain;
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
static int writes_alike(const wisp__program *quick, const wisp__program *slow,
                        const tile_page *image, int capacity, uint8_t *out) {
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
    static tile_page image;
    static uint8_t bytes[PAGE_BYTES];
    static tile_book b;
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
        image.count = test_random_below(&seed, TILE_LINES + 1);
        for (int i = 0; i < TILE_LINES; i++) {
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

enum { TILE_CROWD = 70, CROWD_FLOATS = 9, CROWD_BYTES = TILE_CROWD * 128 };

typedef struct tile_crowd { crowd_row rows[TILE_CROWD]; } tile_crowd;

/* No signalling NaN, which some processors make a quiet one; texts with something behind them. */
static void fill_crowd(tile_crowd *all, uint64_t *random) {
    for (int i = 0; i < TILE_CROWD; i++) {
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
static int64_t tile_there_and_back(const wisp_schema *schema, const tile_crowd *all, uint8_t *out) {
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

static void is_the_same_each_way(const wisp_field *fields, int count, const tile_crowd *all) {
    static uint8_t tiles[CROWD_BYTES], runs[CROWD_BYTES], single[CROWD_BYTES];
    wisp_schema row = { "row", 1, (int)sizeof(crowd_row), fields, count, WISP_SHAPE_STRUCT, NULL };
    wisp_type type = WISP_T_STRUCT(&row);
    wisp_field rows = WISP_FIELD(tile_crowd, rows, WISP_T_ARRAY(&type, TILE_CROWD));
    wisp_schema whole = { "crowd", 1, (int)sizeof(tile_crowd), &rows, 1, WISP_SHAPE_STRUCT, NULL };
    const wisp_schema *schema = wisp_schema_compile(&whole, memory_c.bytes, MEMORY_MAX);
    wisp__op *ops;
    int64_t bits;
    if (!CHECK(schema != NULL)) return;
    ops = (wisp__op *)(uintptr_t)schema->program->ops;
    CHECK(ops[0].head > 0);
    bits = tile_there_and_back(schema, all, tiles);
    ops[0].head = 0;
    CHECK_EQ_INT(tile_there_and_back(schema, all, runs), bits);
    for (int i = 0; i < schema->program->count; i++) ops[i].run = 0;
    CHECK_EQ_INT(tile_there_and_back(schema, all, single), bits);
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
    static tile_crowd all;
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
    CASE(runs_and_tiles_do_what_operations_do_one_by_one),
    CASE(rows_have_the_same_bits_many_at_a_time_and_one_by_one),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
