/* record_deltas.h - set-up shared by the tests of record_delta and value_delta

   Memory that counts, with the program of one schema or none; records, and deltas as they are
   sent. Included after wisp.h (with its implementation), test_runner.h and values_and_memory.h. */
#ifndef RECORD_DELTAS_H
#define RECORD_DELTAS_H

enum { PROGRAM_BYTES = 1 << 20, RECORD_BYTES = 1 << 15, DELTA_BYTES = 1 << 16 };

typedef struct record { int64_t bits; uint8_t bytes[RECORD_BYTES + WISP__SLACK]; } record;

/* A row, out of the arena that it was made in. */
enum { ROW_WORDS = 1 << 17 };
typedef struct kept_row { size_t count; int64_t bits; uint32_t words[ROW_WORDS]; } kept_row;

typedef struct sent_delta {
    int64_t bits, start;                /* start: where it stands in its bytes */
    uint8_t bytes[DELTA_BYTES + WISP__SLACK];
} sent_delta;

/* Memory that counts, one schema, and what is needed to work on records of it. */
typedef struct rig {
    wisp__base           base;
    low_memory           memory;
    wisp__arena          arena;
    const wisp__program *program;
    union { double align; uint8_t bytes[PROGRAM_BYTES]; } block;
} rig;

static inline void rig_open(rig *r, const wisp_schema *schema) {
    wisp__bump bump = wisp__bump_on(r->block.bytes, PROGRAM_BYTES);
    low_start(&r->base, &r->memory);
    memset(&r->arena, 0, sizeof r->arena);
    r->program = schema ? wisp__compile(&bump, schema) : NULL;
    CHECK(!schema || r->program);
}

static inline void rig_close(rig *r) {
    wisp__arena_free(&r->base, &r->arena);
    CHECK(low_is_empty(&r->base, &r->memory));
}

static inline wisp__unpacker rig_unpacker(rig *r, wisp__reader *none) {
    wisp__unpacker u;
    memset(&u, 0, sizeof u);
    *none = wisp__reader_on(NULL, 0);
    u.base = &r->base;
    u.arena = &r->arena;
    u.shape = u.data = none;
    u.values = 1 << 20;
    return u;
}

static inline bool record_same(const record *a, const record *b) {
    int64_t whole = a->bits / 8, rest = a->bits & 7;
    if (a->bits != b->bits || memcmp(a->bytes, b->bytes, (size_t)whole)) return false;
    return !rest || !((a->bytes[whole] ^ b->bytes[whole]) & ((1 << rest) - 1));
}

static inline bool row_same(const kept_row *a, const kept_row *b) {
    return a->count == b->count && !memcmp(a->words, b->words, a->count * sizeof *a->words);
}

static inline bool row_keep(const wisp__row *row, kept_row *out) {
    out->count = row->count;
    out->bits = row->bits;
    if (row->count > ROW_WORDS) return false;
    memcpy(out->words, row->words, row->count * sizeof *row->words);
    return true;
}

/* Moves a delta to another bit: blobs in it are aligned to its own start. */
static inline void move_to(sent_delta *d, int start) {
    static uint8_t copy[DELTA_BYTES + WISP__SLACK];
    wisp__writer to = wisp__writer_on(d->bytes, DELTA_BYTES);
    memcpy(copy, d->bytes, sizeof copy);
    wisp__put(&to, 0, start);
    wisp__put_bits(&to, copy, d->bits);
    wisp__put(&to, 0x155, 9);
    d->start = start;
}

/* Are these the bytes of the difference? */
static inline void check_bits(sent_delta *sent, const char *hex) {
    char text[2 * 64 + 1];
    int bytes = (int)((sent->bits + 7) / 8);
    if (!CHECK(bytes <= 64)) return;
    if (sent->bits & 7) sent->bytes[bytes - 1] &= (uint8_t)((1 << (sent->bits & 7)) - 1);
    for (int i = 0; i < bytes; i++) snprintf(text + 2 * i, 3, "%02x", sent->bytes[i]);
    text[2 * bytes] = 0;
    CHECK_EQ_STR(text, hex);
}

#endif /* RECORD_DELTAS_H */
