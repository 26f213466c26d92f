/* fuzz_record_delta.c - any bits as the delta of a record or of values, applied in each form

   The script chooses a schema and random values of it. The delta from one to another gives the row
   of the other. Then the rest of the script changes that delta, or is one. The row that it makes of
   the base is sent from the base like any other row, if its numbers fit the schema. The delta of a
   record of nothing but numbers has the same length without the base.
*/
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/test_runner.h"
#include "../support/random_schemas.h"
#include "../support/fuzz_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLAN_BYTES = 1 << 20, RECORD_BYTES = 1 << 15 };

/* --- schemas: numbers alone, everything, lists of numbers for the range coder --- */

static const wisp_type small_type = WISP_T_RANGE(0, 1000), wide_type = WISP_T_INT64;
static const wisp_type text_type = WISP_T_STRING(20), flag_type = WISP_T_BOOL;
static const wisp_type either[] = { WISP_T_UINT16, WISP_T_STRING(8), WISP_T_VEC3 };
static const wisp_type either_type = WISP_T_UNION(either, 3);
static const wisp_type row_type = WISP_T_ARRAY(&small_type, 12);

static const wisp_field number_fields[] = {
    WISP_MAP_FIELD("a", WISP_T_RANGE(-500, 500)), WISP_MAP_FIELD("b", WISP_T_FLOAT),
    WISP_MAP_FIELD("c", WISP_T_QUAT(9)), WISP_MAP_FIELD("d", WISP_T_COLOR),
    WISP_MAP_FIELD("e", WISP_T_BOOL), WISP_MAP_FIELD("f", WISP_T_DOUBLE),
    WISP_MAP_FIELD("g", WISP_T_VEC3_QUANTIZED(-100, 100, 0.1)),
};
static const wisp_field item_fields[] = {
    WISP_MAP_FIELD("id", WISP_T_RANGE(0, 99)), WISP_MAP_FIELD("n", WISP_T_INT32),
    WISP_OPTIONAL_MAP_FIELD("x", WISP_T_FLOAT, 1), WISP_MAYBE_MAP_FIELD("t", WISP_T_STRING(9)),
};
static const wisp_schema item_schema = WISP_MAP_SCHEMA("item", 1, item_fields);
static const wisp_type item_type = WISP_T_STRUCT(&item_schema);
static const wisp_field mixed_fields[] = {
    WISP_MAP_FIELD("items", WISP_T_ARRAY(&item_type, 30)), WISP_MAP_FIELD("any", WISP_T_ANY),
    WISP_MAP_FIELD("either", WISP_T_ARRAY(&either_type, 9)),
    WISP_MAYBE_MAP_FIELD("rows", WISP_T_ARRAY(&row_type, 12)),
    WISP_MAP_FIELD("number", WISP_T_NUMBER), WISP_MAP_FIELD("bytes", WISP_T_BYTES(40)),
};
static const wisp_field list_fields[] = {
    WISP_MAP_FIELD("a", WISP_T_ARRAY(&small_type, 200)),
    WISP_MAP_FIELD("flags", WISP_T_ARRAY(&flag_type, 3000)),
    WISP_MAYBE_MAP_FIELD("b", WISP_T_ARRAY(&wide_type, 30)),
    WISP_MAP_FIELD("texts", WISP_T_ARRAY(&text_type, 9)),
    WISP_MAYBE_MAP_FIELD("c", WISP_T_ARRAY(&small_type, 60)),
};
static const wisp_schema all_schemas[] = {
    WISP_MAP_SCHEMA("numbers", 1, number_fields), WISP_MAP_SCHEMA("mixed", 1, mixed_fields),
    WISP_MAP_SCHEMA("lists", 1, list_fields),
};

/* --- what is worked on --- */

enum { ROW_WORDS = 1 << 17 };

typedef struct record { size_t count; uint32_t words[ROW_WORDS]; } record;

static uint8_t packed[RECORD_BYTES + WISP__SLACK];

typedef struct bench {
    wisp__base           base;
    account               used;
    wisp__arena          arena;
    const wisp__program *program;
    wisp__reader         none;
    wisp__unpacker       u;
    record               records[4];    /* the base, two before it, and what is made */
    union { double align; uint8_t bytes[PLAN_BYTES]; } plan;
} bench;

static bench the_bench;

static void bench_open(bench *b, const wisp_schema *schema) {
    wisp__bump bump = wisp__bump_on(b->plan.bytes, PLAN_BYTES);
    memset(&b->base, 0, sizeof b->base);
    memset(&b->used, 0, sizeof b->used);
    memset(&b->arena, 0, sizeof b->arena);
    b->base.memory = memory_allocator(&b->used);
    wisp__limits_defaults(&b->base.limits, 1);
    b->program = schema ? wisp__compile(&bump, schema) : NULL;
    MUST(!schema || b->program);
}

/* The unpacker anew, with its arena empty. */
static wisp__unpacker *bench_unpacker(bench *b) {
    memset(&b->u, 0, sizeof b->u);
    b->none = wisp__reader_on(NULL, 0);
    wisp__arena_reset(&b->arena);
    b->u.base = &b->base;
    b->u.arena = &b->arena;
    b->u.shape = b->u.data = &b->none;
    b->u.values = 65536;
    return &b->u;
}

static bool keep_row(const wisp__row *row, record *out) {
    if (row->count > ROW_WORDS) return false;
    out->count = row->count;
    if (row->count) memcpy(out->words, row->words, row->count * sizeof *row->words);
    return true;
}

static wisp__side delta_side(const uint8_t *data, int size, int start) {
    wisp__side side = wisp__side_on(data, (int64_t)size * 8);
    side.from.at = side.start = start <= size * 8 ? start : 0;
    return side;
}

static bool apply(bench *b, wisp__side delta, const record *base, const record *const older[2],
                  bool adaptive, record *out, int64_t *used) {
    wisp__unpacker *u = bench_unpacker(b);
    wisp__delta d;
    uint8_t *models = NULL;             /* no larger than they are, so that all beyond is seen */
    bool good;
    memset(&d, 0, sizeof d);
    d.u = u;
    d.program = b->program;
    if (adaptive) {
        models = (uint8_t *)malloc(wisp__delta_models(b->program) + 1);
        MUST(models != NULL);
        d.models = models;
        wisp__delta_models_init(&d);
        MUST(!d.failed);
    }
    d.base = base->words;
    for (int i = 0; i < 2; i++) d.older[i] = older[i] ? older[i]->words : NULL;
    d.delta = delta;
    good = wisp__record_delta_code(&d);
    free(models);
    *used = d.delta.from.at - delta.start;
    MUST(!good || (*used >= 0 && d.delta.from.at <= d.delta.from.end));
    return good && keep_row(&d.row, out);
}

/* Writes the delta from `base` to `now`, and applies it; its bits, or -1: there is none. */
static int64_t make_delta(bench *b, const record *base, record *now, uint8_t *bytes) {
    static record got;
    static const record *const none[2] = { NULL, NULL };
    wisp__writer to = wisp__writer_on(bytes, 2 * RECORD_BYTES);
    wisp__delta d;
    int64_t used, bits;
    memset(&d, 0, sizeof d);
    memset(bytes, 0, 2 * RECORD_BYTES + WISP__SLACK);
    d.u = bench_unpacker(b);
    d.program = b->program;
    d.base = base->words;
    d.row.words = now->words;
    d.row.count = now->count;
    d.to = &to;
    if (!wisp__record_delta_code(&d)) return -1;
    bits = to.at;
    MUST(apply(b, wisp__side_on(bytes, bits), base, none, false, &got, &used));
    MUST(got.count == now->count && used == bits);
    MUST(memcmp(got.words, now->words, got.count * sizeof *got.words) == 0);
    return bits;
}

static wisp__row row_of(record *r) {
    wisp__row row;
    memset(&row, 0, sizeof row);
    row.words = r->words;
    row.count = row.room = r->count;
    return row;
}

/* The row is written as a record, which gives the row again; what can be read of it fits. */
static bool record_reads(bench *b, record *r) {
    wisp__unpacker *u = bench_unpacker(b);
    wisp__writer to = wisp__writer_on(packed, RECORD_BYTES);
    wisp__reader data = wisp__reader_on(packed, RECORD_BYTES);
    size_t bytes = (size_t)b->program->schema->bytes;
    void *image = wisp__arena_take(&b->base, &b->arena, bytes);
    wisp_result result;
    MUST(image != NULL);
    memset(image, 0, bytes);
    memset(packed, 0, sizeof packed);
    result = wisp__row_store(u, b->program, row_of(r), image);
    if (wisp__row_write(&b->base, b->program, row_of(r), &to)) {
        memset(image, 0, bytes);
        u->data = &data;
        u->values = 65536;
        MUST(wisp__record_read(u, b->program, image) == result);
        MUST(result != WISP_OK || data.at == to.at);
    }
    return result == WISP_OK;
}

static void check_passing(bench *b, wisp__side delta, int64_t used) {
    wisp__unpacker *u = bench_unpacker(b);
    wisp__reader from = delta.from;
    if (!b->program->fixed) return;
    MUST(wisp__record_delta_pass(u, b->program, false, &from));
    MUST(from.at - delta.start == used);
}

static schemas made;

/* A record of a random value of the schema; false: there is none that fits the room. */
static bool make_record(bench *b, const wisp_schema *schema, record *out) {
    wisp_value value = schemas_value(&made, schema);
    wisp_result why = WISP_OK;
    wisp__row row;
    wisp__supply supply = wisp__supply_of(bench_unpacker(b));
    const void *image = wisp__image_of(b->program, &value, &supply, false, &why);
    MUST(image != NULL);
    memset(&row, 0, sizeof row);
    MUST(wisp__row_load(&b->u, b->program, image, &row) == WISP_OK);
    return keep_row(&row, out);
}

/* The script over the bits of a true delta: each two bytes of it change one of its bytes. */
static int spoil(script *s, uint8_t *bytes, int64_t bits) {
    int size = (int)((bits + 7) / 8);
    while (size && !script_ended(s)) {
        int at = take16(s) % size;
        bytes[at] ^= take(s);
    }
    return size;
}

static void try_delta(bench *b, wisp__side delta, const record *const older[2],
                      bool adaptive) {
    static uint8_t bytes[2 * RECORD_BYTES + WISP__SLACK];
    int64_t used;
    if (!apply(b, delta, &b->records[2], older, adaptive, &b->records[3], &used)) return;
    if (!adaptive) check_passing(b, delta, used);
    if (record_reads(b, &b->records[3])) make_delta(b, &b->records[2], &b->records[3], bytes);
}

static void fuzz_records(script *s, int which, bool adaptive) {
    static uint8_t bytes[2 * RECORD_BYTES + WISP__SLACK];
    bench *b = &the_bench;
    const record *older[2];
    const wisp_schema *schema;
    bool spoils = take_below(s, 2) != 0, fits = true;
    int start = take_below(s, 9);
    int64_t bits;
    schemas_start(&made, (uint64_t)take16(s), 0);
    schema = which < 3 ? &all_schemas[which] : schemas_random(&made);
    bench_open(b, schema);
    older[0] = take_below(s, 2) ? &b->records[1] : NULL;
    older[1] = older[0] && take_below(s, 2) ? &b->records[0] : NULL;
    for (int i = 0; i < 4 && fits; i++) fits = make_record(b, schema, &b->records[i]);
    if (fits) {
        bits = make_delta(b, &b->records[2], &b->records[3], bytes);
        if (!spoils)
            try_delta(b, delta_side(s->data + s->at, (int)(s->size - s->at), start),
                           older, adaptive);
        else if (bits >= 0)
            try_delta(b, delta_side(bytes, spoil(s, bytes, bits), 0), older, adaptive);
    }
    MUST(b->used.peak < (size_t)256 << 20);
    wisp__arena_free(&b->base, &b->arena);
    MUST(b->used.held == 0);
}

/* Values that the script makes, sorted as on the wire, and the rest as a delta to them. */
static void fuzz_values(script *s) {
    static shelf parts;
    bench *b = &the_bench;
    wisp__unpacker *u;
    wisp__supply supply;
    wisp_value value, all, sorted;
    const wisp_value *values = NULL;
    int count = 0;
    wisp__delta d;
    bench_open(b, NULL);
    memset(&parts, 0, sizeof parts);
    value = shelf_value(&parts, s, 0);
    all = wisp_array(&value, 1);
    u = bench_unpacker(b);
    supply = wisp__supply_of(u);
    if (wisp__copy(&supply, &all, &sorted, WISP__COPY_SORTED) == WISP_OK) {
        memset(&d, 0, sizeof d);
        d.u = u;
        d.delta = delta_side(s->data + s->at, (int)(s->size - s->at), 0);
        if (wisp__values_apply(&d, sorted.as.array, 1, &values, &count)) {
            int64_t bits = wisp__pack_bits(&b->base, values, count, packed, RECORD_BYTES);
            MUST(count >= 0 && count <= 65536);
            for (int i = 0; i < count; i++) look_at(&values[i]);
            MUST(bits >= 0 || bits == WISP_E_TOO_BIG || bits == WISP_E_DEPTH ||
                 bits == WISP_E_LIMIT || bits == WISP_E_ARGUMENT || bits == WISP_E_NAME);
        }
    }
    MUST(b->used.peak < (size_t)64 << 20);
    wisp__arena_free(&b->base, &b->arena);
    MUST(b->used.held == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    script s = { NULL, 0, 0 };
    int form;
    s.data = data;
    s.size = size > 8192 ? 8192 : size;
    form = take_below(&s, 10);
    if (form < 8) fuzz_records(&s, form % 4, form >= 4);
    else fuzz_values(&s);
    return 0;
}
