/* packed_blocks.h - packing and unpacking blocks in one call each

   Included after wisp.h (with its implementation). */
#ifndef PACKED_BLOCKS_H
#define PACKED_BLOCKS_H

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
