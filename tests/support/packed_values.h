/* packed_values.h - values packed and unpacked, with the bytes between laid out for inspection

       bench b;
       bench_start(&b);
       bench_pack(&b, values, count);      // b.shape, b.data: copies of exactly their size
       bench_unpack(&b);                   // b.values, b.count: what these bytes say
       bench_end(&b);

   Between the two a test may change the bytes. Included after values_and_memory.h. */
#ifndef PACKED_VALUES_H
#define PACKED_VALUES_H

typedef struct bench {
    wisp__base        base;
    low_memory        memory;
    wisp__packer      packer;
    wisp__arena       arena;
    uint8_t          *shape, *data;      /* what was packed, copied */
    int               shape_bytes, data_bytes;
    int64_t           shape_bits, data_bits;
    const wisp_value *values;            /* what was unpacked */
    int               count;
    int64_t           shape_end, data_end;   /* where the readers stood */
    int               values_left;
} bench;

static inline void bench_start(bench *b) {
    memset(b, 0, sizeof *b);
    low_start(&b->base, &b->memory);
    b->packer.base = &b->base;
}

static inline void bench_forget(bench *b) {
    free(b->shape);
    free(b->data);
    b->shape = b->data = NULL;
}

static inline void bench_end(bench *b) {
    bench_forget(b);
    wisp__packer_free(&b->packer);
    wisp__arena_free(&b->base, &b->arena);
    CHECK(low_is_empty(&b->base, &b->memory));
}

static inline uint8_t *copied(const uint8_t *bytes, int size) {
    uint8_t *copy = (uint8_t *)malloc(size > 0 ? (size_t)size : 1);
    if (copy && size) memcpy(copy, bytes, (size_t)size);
    return copy;
}

static inline wisp_result bench_pack(bench *b, const wisp_value *values, int count) {
    wisp_result result = wisp__pack(&b->packer, values, count);
    bench_forget(b);
    if (result) return result;
    b->shape_bits = b->packer.shape.at;
    b->data_bits = b->packer.data.at;
    b->shape_bytes = (int)((b->shape_bits + 7) / 8);
    b->data_bytes = (int)((b->data_bits + 7) / 8);
    b->shape = copied(b->packer.shape.bytes, b->shape_bytes);
    b->data = copied(b->packer.data.bytes, b->data_bytes);
    return WISP_OK;
}

static inline wisp_result bench_unpack(bench *b) {
    wisp__reader shape = wisp__reader_on(b->shape, b->shape_bytes);
    wisp__reader data = wisp__reader_on(b->data, b->data_bytes);
    wisp__unpacker u;
    wisp_result result;
    memset(&u, 0, sizeof u);
    shape.end = b->shape_bits;
    data.end = b->data_bits;
    u.base = &b->base;
    u.arena = &b->arena;
    u.shape = &shape;
    u.data = &data;
    u.values = b->base.limits.message_values;
    wisp__arena_reset(&b->arena);
    result = wisp__unpack(&u, &b->values, &b->count);
    wisp__bits_check(&shape);
    wisp__bits_check(&data);
    CHECK((result != WISP_OK) == (shape.failed || data.failed));
    if (result) CHECK_EQ_INT(b->count, 0);
    b->shape_end = shape.at;
    b->data_end = data.at;
    b->values_left = u.values;
    return result;
}

#endif /* PACKED_VALUES_H */
