/* random_tables.h - set-up shared by the tests of delta_bits and range_coder

   Random tables, each with its baselines. Included after wisp.h (with its implementation) and
   test_runner.h. */
#ifndef RANDOM_TABLES_H
#define RANDOM_TABLES_H

#include <stdlib.h>

enum { SYMBOLS_MAX = 6000, COLUMNS_MAX = 300 };

/* A table, its baseline, the baseline of that, and the one before. */
typedef struct tables {
    wisp__table  table;               /* of `columns` */
    wisp__column columns[COLUMNS_MAX];
    uint32_t     oldest[SYMBOLS_MAX], old[SYMBOLS_MAX], base[SYMBOLS_MAX], now[SYMBOLS_MAX];
} tables;

/* Asserts that each symbol fits the bits of its column. */
static inline void check_table(const wisp__table *table, const uint32_t *symbols) {
    for (int i = 0; i < table->column_count; i++) WISP_ASSERT(table->columns[i].bits - 1 < 32);
    for (int row = 0; row < table->rows; row++)
        for (int i = 0; i < table->column_count; i++)
            WISP_ASSERT((uint64_t)*symbols++ >> table->columns[i].bits == 0);
}

static inline void *exact(size_t size) {
    void *memory = size <= 1 << 30 ? malloc(size ? size : 1) : NULL;
    if (!memory) abort();
    memset(memory, 0xa5, size ? size : 1);
    return memory;
}

static inline uint32_t symbol_below(uint64_t *seed, const wisp__column *column) {
    return (uint32_t)wisp__low_bits(test_random(seed), column->bits);
}

/* Changes some symbols, a little or to anything; `often`: of 256. */
static inline void change(tables *t, uint64_t *seed, int often, const uint32_t *from,
                          uint32_t *to) {
    for (int i = 0; i < t->table.rows * t->table.column_count; i++) {
        const wisp__column *column = &t->columns[i % t->table.column_count];
        int step = test_random_below(seed, 9) - 4;
        to[i] = from[i];
        if (test_random_below(seed, 256) >= often) continue;
        if (test_random_below(seed, 3) == 0) to[i] = symbol_below(seed, column);
        else to[i] = (from[i] + (uint32_t)step) & wisp__symbol_mask(column->bits);
    }
}

static inline wisp__table table_of(const wisp__column *columns, int column_count, int rows) {
    wisp__table table;
    table.columns = columns;
    table.column_count = column_count;
    table.rows = rows;
    table.older = NULL;
    table.behind = table.ahead = 1;
    return table;
}

static inline void make(tables *t, uint64_t *seed, int column_count, int rows) {
    static const int often[] = { 0, 3, 20, 128, 256 };
    t->table = table_of(t->columns, column_count, rows);
    for (int i = 0; i < column_count; i++) {
        t->columns[i].bits = (uint8_t)(1 + test_random_below(seed, 32));
        t->columns[i].kind = (uint8_t)test_random_below(seed, 2);
    }
    for (int i = 0; i < rows * column_count; i++) {
        bool zero = test_random_below(seed, 4) == 0 || rows % 3 == 0;
        t->oldest[i] = zero ? 0 : symbol_below(seed, &t->columns[i % column_count]);
    }
    change(t, seed, often[test_random_below(seed, 5)], t->oldest, t->old);
    change(t, seed, often[test_random_below(seed, 5)], t->old, t->base);
    change(t, seed, often[test_random_below(seed, 5)], t->base, t->now);
}

/* The bits of the delta that delta_bits writes. */
static inline int64_t bits_of(const wisp__column *columns, int column_count, int rows,
                              const uint32_t *base, const uint32_t *now) {
    static uint8_t bytes[65536];
    wisp__table table = table_of(columns, column_count, rows);
    wisp__writer to = wisp__writer_on(bytes, (int)sizeof bytes - WISP__SLACK);
    wisp__delta_bits_write(&to, &table, base, now);
    CHECK(!to.full);
    return to.at;
}

#endif /* RANDOM_TABLES_H */
