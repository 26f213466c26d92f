/* packed_blocks.h - packing and unpacking blocks in one call each

   Included after wisp.h (with its implementation). */
#ifndef PACKED_BLOCKS_H
#define PACKED_BLOCKS_H

/* Asserts the invariants of a compressor. */
static inline void check_compress(const wisp__compress *c) {
    for (int method = 0; method < WISP__METHODS; method++) {
        bool built_in = method == WISP__STORED || method == WISP__RUNS;
        bool there = built_in || c->compressors[method].open != NULL;
        WISP_ASSERT(there == ((c->methods >> method & 1) != 0));
        for (int i = 0; i <= WISP__DICTIONARIES; i++)
            if (c->contexts[method][i])
                WISP_ASSERT(there && !built_in && i <= c->dictionary_count);
        (void)there;
    }
    for (int i = 0; i < c->dictionary_count; i++) {
        WISP_ASSERT(c->dictionaries[i].id != 0 && c->dictionaries[i].bytes);
        WISP_ASSERT(wisp__compress_column(c, c->dictionaries[i].id) == i + 1);
    }
    WISP_ASSERT(c->cost.saved <= c->cost.seen);
}

static inline int pack_block(wisp__compress *compress, wisp__compress_stream *stream,
                             unsigned methods, wisp__block block, int *method) {
    int packed = wisp__compress_pack(compress, stream, methods, &block);
    *method = block.method;
    return packed;
}

static inline wisp_result unpack_block(wisp__compress *compress, int method, uint32_t dictionary,
                                       wisp__block block) {
    block.method = method;
    block.dictionary = dictionary;
    return wisp__compress_unpack(compress, &block);
}

#endif /* PACKED_BLOCKS_H */
