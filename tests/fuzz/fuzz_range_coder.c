/* fuzz_range_coder.c - deltas of tables that nobody wrote, and ones that the input makes up

   The input chooses a table, its columns and what it holds. The rest of it is read as a delta
   in both forms; then what it led to is written and read back. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"

enum { COLUMNS_MAX = 130, SYMBOLS_MAX = 2000, BYTES_MAX = SYMBOLS_MAX * 64 };

typedef struct tables {
    wisp__column columns[COLUMNS_MAX];
    wisp__table  table;
    int          symbols;
    uint32_t     held[3][SYMBOLS_MAX], now[SYMBOLS_MAX], again[SYMBOLS_MAX];
} tables;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Few bytes make a table: it repeats them. */
static void take_tables(script *in, tables *t) {
    int shape = take(in);
    uint32_t seed = (uint32_t)take(in) << 8;
    t->table.columns = t->columns;
    t->table.column_count = 1 + take(in) % (shape & 1 ? COLUMNS_MAX : 10);
    t->table.rows = take(in) % (shape & 2 ? 200 : 4);
    if (t->table.rows > SYMBOLS_MAX / t->table.column_count)
        t->table.rows = SYMBOLS_MAX / t->table.column_count;
    t->symbols = t->table.rows * t->table.column_count;
    for (int i = 0; i < t->table.column_count; i++) {
        int byte = i < 8 ? take(in) : t->columns[i % 8].bits * 3 + i;
        t->columns[i].bits = (uint8_t)(1 + byte % 32);
        t->columns[i].kind = (uint8_t)(byte >> 5 & 1);
    }
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < t->symbols; i++) {
            if (i % 5 == 0) seed = seed * 1664525u + 1013904223u;
            if (shape & 4 && i / t->table.column_count % 3 == 1) t->held[k][i] = 0;
            else t->held[k][i] = (seed >> (k & shape >> 3)) &
                                 wisp__symbol_mask(t->columns[i % t->table.column_count].bits);
        }
}

static void must_fit(const tables *t, const uint32_t *symbols) {
    for (int i = 0; i < t->symbols; i++)
        MUST((uint64_t)symbols[i] >> t->columns[i % t->table.column_count].bits == 0);
}

static void must_equal(const tables *t) {
    MUST(!t->symbols || memcmp(t->now, t->again, (size_t)t->symbols * 4) == 0);
}

static void write_and_read(tables *t) {
    static uint8_t bytes[BYTES_MAX + WISP__SLACK];
    int64_t most = wisp__delta_bits_count(&t->table);
    wisp__writer to = wisp__writer_on(bytes, (int)((most + 7) / 8));
    wisp__reader from;
    wisp__delta_bits_write(&to, &t->table, t->held[0], t->now);
    MUST(!to.full && to.at <= most);
    from = wisp__reader_on(bytes, (int)((to.at + 7) / 8));
    MUST(wisp__delta_bits_read(&from, &t->table, t->held[0], t->again));
    MUST(from.at == to.at);
    must_equal(t);
}

static void read_any(tables *t, const uint8_t *data, size_t size) {
    wisp__reader with = wisp__reader_on(data, (int)size), without = with;
    bool good;
    memset(t->now, 0, sizeof t->now);
    good = wisp__delta_bits_read(&with, &t->table, t->held[0], t->now);
    must_fit(t, t->now);
    MUST(good == wisp__delta_bits_read(&without, &t->table, NULL, NULL));
    MUST(!good || with.at == without.at);
}

static void decode_any(tables *t, const uint8_t *data, size_t size, int known) {
    static uint64_t memory[2][8192];
    static uint8_t bytes[BYTES_MAX];
    wisp__models *ours = (wisp__models *)(void *)memory[0];
    wisp__models *theirs = (wisp__models *)(void *)memory[1];
    wisp__adaptive a;
    size_t models = wisp__models_size(t->table.column_count);
    int length;
    MUST(models <= sizeof memory[0]);
    memset(&a, 0, sizeof a);
    a.table = t->table;
    a.models = ours;
    for (int k = 0; k <= known; k++) a.held[k] = t->held[k];
    wisp__models_init(ours, t->columns, t->table.column_count);
    wisp__range_coder_decode(&a, t->now, data, (int)size);
    must_fit(t, t->now);
    memcpy(theirs, ours, models);
    length = wisp__range_coder_encode(&a, t->now, bytes, BYTES_MAX);
    MUST(length >= 0);
    a.models = theirs;
    MUST(wisp__range_coder_decode(&a, t->again, bytes, length));
    must_equal(t);
    MUST(memcmp(ours, theirs, models) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static tables t;
    script in;
    int known;
    memset(&in, 0, sizeof in);
    in.data = data;
    in.size = size;
    known = take(&in) % 3;
    take_tables(&in, &t);
    data += in.at < size ? in.at : size;
    size -= in.at < size ? in.at : size;
    read_any(&t, data, size);
    write_and_read(&t);
    decode_any(&t, data, size, known);
    write_and_read(&t);
    return 0;
}
