/* wisp_compress.h - LZ4, deflate and zstd for wisp.h - version 0.1

   Three compressors behind wisp.h's public interface, each by its own library.

       #define WISP_IMPLEMENTATION       // in exactly one source file
       #include "wisp.h"
       #include "wisp_compress.h"        // and link with -llz4

       wisp *w = wisp_create(&desc, NULL);
       wisp_use_lz4(w);                  // both ends, before they join
       wisp_use_compression(w, WISP_COMPRESSION_AUTO, NULL);

   Which of them

       LZ4       the default: hundreds of megabytes a second each way
       zstd      smaller, at several times the cost; best with a dictionary,
                 which tools/wisp_train makes from recorded payloads
       deflate   between the two in size; for ends that have nothing else;
                 never picked by WISP_COMPRESSION_AUTO

   SWITCHES (define before the implementation; none changes a signature)
       WISP_WITH_LZ4         compile LZ4 in: needs lz4.h 1.9 and -llz4. It is on
                             when none of these three is defined
       WISP_WITH_DEFLATE     compile deflate in: libdeflate.h, -ldeflate
       WISP_WITH_ZSTD        compile zstd in: zstd.h 1.4 or later, -lzstd (as a
                             shared library it must export its static-only part,
                             as the usual packages do)
       WISP_COMPRESS_IMPLEMENTATION
                             compile the implementation here. Not needed where
                             WISP_IMPLEMENTATION is defined
       WISP_STATIC           as in wisp.h; then both belong to one file
       WISP_LZ4_ACCELERATION 1..65537, faster and larger as it grows; 1
       WISP_DEFLATE_LEVEL    1..12, smaller and slower as it grows; 6
       WISP_ZSTD_LEVEL       1..19, smaller and slower as it grows; 3

   MEMORY, once for each endpoint and dictionary in use, when it is first used
       LZ4       16 KiB, with a dictionary 32 KiB: from desc.memory
       zstd      1 MiB at level 3 (0.65 MiB at level 1), with a dictionary about
                 0.4 MiB more: from desc.memory, in one block
       deflate   0.7 MiB at level 6 (0.2 at level 1, 9 from level 10 up), which
                 is not from desc.memory but from malloc: libdeflate's hooks
                 know no user pointer, so they cannot reach an endpoint's
                 allocator, in any version. Only the handle is desc.memory's
*/
#ifndef WISP_COMPRESS_H
#define WISP_COMPRESS_H

#include "wisp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Each plugs a compressor into an endpoint, which then offers it to peers that
   join. Do so before the first join. A second call does no harm. They take no
   memory. WISP_E_UNSUPPORTED: not compiled in, see the switches;
   WISP_E_ARGUMENT: w is NULL.

   A dictionary is used by LZ4 (the last 64 KiB of it) and by zstd (any bytes,
   or one that wisp_train has made); libdeflate has none, and deflate with a
   dictionary is answered with WISP_E_UNSUPPORTED where it is asked for. */
WISP_API wisp_result wisp_use_lz4(wisp *w);
WISP_API wisp_result wisp_use_deflate(wisp *w);
WISP_API wisp_result wisp_use_zstd(wisp *w);

#ifdef __cplusplus
}
#endif
#endif /* WISP_COMPRESS_H */

/* ===========================================================================
 *
 *                            IMPLEMENTATION
 *
 * ======================================================================== */
#if (defined(WISP_COMPRESS_IMPLEMENTATION) || defined(WISP_IMPLEMENTATION)) && \
    !defined(WISP__COMPRESS_IMPLEMENTED)
#define WISP__COMPRESS_IMPLEMENTED

#if !defined(WISP_WITH_LZ4) && !defined(WISP_WITH_DEFLATE) && !defined(WISP_WITH_ZSTD)
#define WISP_WITH_LZ4
#endif
#ifndef WISP_LZ4_ACCELERATION
#define WISP_LZ4_ACCELERATION 1
#endif
#ifndef WISP_DEFLATE_LEVEL
#define WISP_DEFLATE_LEVEL 6
#endif
#ifndef WISP_ZSTD_LEVEL
#define WISP_ZSTD_LEVEL 3
#endif

/* ===========================================================================
 * MARK: >>lz4
 * What: LZ4 blocks, without the frame format, by liblz4.
 * Invariants: `work` is at rest between two blocks: initialised, and fit for
 *   LZ4_resetStream_fast; `loaded` has seen the dictionary and nothing else.
 * ======================================================================== */
#ifdef WISP_WITH_LZ4
#include <lz4.h>
#include <string.h>

typedef struct wisp__lz4 {
    wisp_allocator memory;
    size_t         size;          /* of the block that this stands in */
    const char    *dictionary;
    int            dictionary_bytes;
    LZ4_stream_t   work;
    LZ4_stream_t   loaded;        /* there only with a dictionary */
} wisp__lz4;

static void *wisp__lz4_open(const wisp_compressor *c, const wisp_allocator *memory,
                            const void *dictionary, int dictionary_bytes) {
    size_t size = dictionary ? sizeof(wisp__lz4) : offsetof(wisp__lz4, loaded);
    wisp__lz4 *z = (wisp__lz4 *)memory->alloc(memory->user, size);
    (void)c;
    if (!z) return NULL;
    z->memory = *memory;
    z->size = size;
    z->dictionary = (const char *)dictionary;
    z->dictionary_bytes = dictionary_bytes;
    LZ4_initStream(&z->work, sizeof z->work);
    if (dictionary) {
        LZ4_initStream(&z->loaded, sizeof z->loaded);
        LZ4_loadDict(&z->loaded, z->dictionary, dictionary_bytes);
    }
    return z;
}

static void wisp__lz4_close(const wisp_compressor *c, void *context) {
    wisp__lz4 *z = (wisp__lz4 *)context;
    wisp_allocator memory = z->memory;
    (void)c;
    memory.free(memory.user, z, z->size);
}

/* A block is the first of a chain that is given up after it: that spares clearing the table, which
   takes longer than a packet does. A chain that failed must be cleared. */
static int wisp__lz4_compress(void *context, const void *from, int size, void *to, int capacity) {
    wisp__lz4 *z = (wisp__lz4 *)context;
    int count;
    if (size > LZ4_MAX_INPUT_SIZE) return -1;
    if (z->dictionary) memcpy(&z->work, &z->loaded, sizeof z->work);
    else LZ4_resetStream_fast(&z->work);
    count = LZ4_compress_fast_continue(&z->work, (const char *)from, (char *)to, size, capacity,
                                       WISP_LZ4_ACCELERATION);
    if (count <= 0) LZ4_initStream(&z->work, sizeof z->work);
    return count > 0 ? count : 0;
}

static int wisp__lz4_decompress(void *context, const void *from, int size, void *to, int capacity) {
    const wisp__lz4 *z = (const wisp__lz4 *)context;
    if (!z->dictionary) return LZ4_decompress_safe((const char *)from, (char *)to, size, capacity);
    return LZ4_decompress_safe_usingDict((const char *)from, (char *)to, size, capacity,
                                         z->dictionary, z->dictionary_bytes);
}

static const wisp_compressor wisp__lz4_compressor = {
    WISP_COMPRESSION_LZ4, "lz4", wisp__lz4_open, wisp__lz4_close, wisp__lz4_compress,
    wisp__lz4_decompress, NULL
};

wisp_result wisp_use_lz4(wisp *w) { return wisp_add_compressor(w, &wisp__lz4_compressor); }

#else

wisp_result wisp_use_lz4(wisp *w) { return w ? WISP_E_UNSUPPORTED : WISP_E_ARGUMENT; }

#endif /* WISP_WITH_LZ4 */

/* ===========================================================================
 * MARK: >>deflate
 * What: raw deflate (RFC 1951) by libdeflate, without dictionary.
 * ======================================================================== */
#ifdef WISP_WITH_DEFLATE
#include <libdeflate.h>

typedef struct wisp__deflate {
    wisp_allocator memory;
    struct libdeflate_compressor   *out;
    struct libdeflate_decompressor *in;
} wisp__deflate;

/* libdeflate accepts NULL. */
static void wisp__deflate_close(const wisp_compressor *c, void *context) {
    wisp__deflate *z = (wisp__deflate *)context;
    wisp_allocator memory = z->memory;
    (void)c;
    libdeflate_free_compressor(z->out);
    libdeflate_free_decompressor(z->in);
    memory.free(memory.user, z, sizeof *z);
}

static void *wisp__deflate_open(const wisp_compressor *c, const wisp_allocator *memory,
                                const void *dictionary, int dictionary_bytes) {
    wisp__deflate *z;
    if (dictionary || dictionary_bytes) return NULL;
    z = (wisp__deflate *)memory->alloc(memory->user, sizeof *z);
    if (!z) return NULL;
    z->memory = *memory;
    z->out = libdeflate_alloc_compressor(WISP_DEFLATE_LEVEL);
    z->in = libdeflate_alloc_decompressor();
    if (z->out && z->in) return z;
    wisp__deflate_close(c, z);
    return NULL;
}

static int wisp__deflate_compress(void *context, const void *from, int size, void *to,
                                  int capacity) {
    wisp__deflate *z = (wisp__deflate *)context;
    return (int)libdeflate_deflate_compress(z->out, from, (size_t)size, to, (size_t)capacity);
}

/* Bytes behind the end of the stream are as malformed as any others. */
static int wisp__deflate_decompress(void *context, const void *from, int size, void *to,
                                    int capacity) {
    wisp__deflate *z = (wisp__deflate *)context;
    size_t used = 0, count = 0;
    if (libdeflate_deflate_decompress_ex(z->in, from, (size_t)size, to, (size_t)capacity, &used,
                                         &count) != LIBDEFLATE_SUCCESS) return -1;
    return used == (size_t)size ? (int)count : -1;
}

static const wisp_compressor wisp__deflate_compressor = {
    WISP_COMPRESSION_DEFLATE, "deflate", wisp__deflate_open, wisp__deflate_close,
    wisp__deflate_compress, wisp__deflate_decompress, NULL
};

wisp_result wisp_use_deflate(wisp *w) { return wisp_add_compressor(w, &wisp__deflate_compressor); }

#else

wisp_result wisp_use_deflate(wisp *w) { return w ? WISP_E_UNSUPPORTED : WISP_E_ARGUMENT; }

#endif /* WISP_WITH_DEFLATE */

/* ===========================================================================
 * MARK: >>zstd
 * What: zstd frames (RFC 8878) by libzstd, without magic number, content size,
 *   dictionary id and checksum: all of them stand elsewhere in wisp's packets,
 *   and two bytes of header are left.
 * Invariants: all that libzstd needs stands in one block, so that it never asks
 *   for more; both ways stay within it, whatever the sizes: the parameters of a
 *   large block are an upper bound of those of smaller ones.
 * ======================================================================== */
#ifdef WISP_WITH_ZSTD
#ifndef ZSTD_STATIC_LINKING_ONLY
#define ZSTD_STATIC_LINKING_ONLY
#define WISP__ZSTD_STATIC
#endif
#include <zstd.h>
#include <zstd_errors.h>
#ifdef WISP__ZSTD_STATIC
#undef ZSTD_STATIC_LINKING_ONLY
#undef WISP__ZSTD_STATIC
#endif

/* Tables as for blocks of 128 KiB: larger ones gain little and cost much. The window costs nothing
   where a block is compressed at once, so it is as large as the usual limit of a message. */
enum { WISP__ZSTD_BLOCK = 1 << 17, WISP__ZSTD_WINDOW_LOG = 20 };

typedef struct wisp__zstd {
    wisp_allocator memory;
    size_t         size;          /* of the block that this stands in */
    ZSTD_CCtx     *out;
    ZSTD_DCtx     *in;
} wisp__zstd;

/* Where each part stands in the block; the last is its end. */
typedef struct wisp__zstd_plan {
    size_t out, in, out_dictionary, in_dictionary, end;
} wisp__zstd_plan;

static size_t wisp__zstd_after(size_t at, size_t size) { return (at + size + 63) & ~(size_t)63; }

static wisp__zstd_plan wisp__zstd_plan_for(ZSTD_compressionParameters p, int dictionary_bytes) {
    wisp__zstd_plan plan;
    size_t dictionary = (size_t)dictionary_bytes;
    size_t out = dictionary ? ZSTD_estimateCDictSize_advanced(dictionary, p, ZSTD_dlm_byRef) : 0;
    size_t in = dictionary ? ZSTD_estimateDDictSize(dictionary, ZSTD_dlm_byRef) : 0;
    plan.out = wisp__zstd_after(0, sizeof(wisp__zstd));
    plan.in = wisp__zstd_after(plan.out, ZSTD_estimateCCtxSize_usingCParams(p));
    plan.out_dictionary = wisp__zstd_after(plan.in, ZSTD_estimateDCtxSize());
    plan.in_dictionary = wisp__zstd_after(plan.out_dictionary, out);
    plan.end = wisp__zstd_after(plan.in_dictionary, in);
    return plan;
}

static bool wisp__zstd_set(ZSTD_CCtx *out, ZSTD_cParameter what, unsigned value) {
    return !ZSTD_isError(ZSTD_CCtx_setParameter(out, what, (int)value));
}

static bool wisp__zstd_configure(wisp__zstd *z, ZSTD_compressionParameters p) {
    return wisp__zstd_set(z->out, ZSTD_c_format, ZSTD_f_zstd1_magicless) &&
           wisp__zstd_set(z->out, ZSTD_c_contentSizeFlag, 0) &&
           wisp__zstd_set(z->out, ZSTD_c_dictIDFlag, 0) &&
           wisp__zstd_set(z->out, ZSTD_c_windowLog, p.windowLog) &&
           wisp__zstd_set(z->out, ZSTD_c_hashLog, p.hashLog) &&
           wisp__zstd_set(z->out, ZSTD_c_chainLog, p.chainLog) &&
           wisp__zstd_set(z->out, ZSTD_c_searchLog, p.searchLog) &&
           wisp__zstd_set(z->out, ZSTD_c_minMatch, p.minMatch) &&
           wisp__zstd_set(z->out, ZSTD_c_targetLength, p.targetLength) &&
           wisp__zstd_set(z->out, ZSTD_c_strategy, (unsigned)p.strategy) &&
           !ZSTD_isError(ZSTD_DCtx_setParameter(z->in, ZSTD_d_format, ZSTD_f_zstd1_magicless));
}

/* Made of a dictionary by reference, in the block, for both ways. */
static bool wisp__zstd_load(wisp__zstd *z, const wisp__zstd_plan *plan,
                            ZSTD_compressionParameters p, const void *dictionary, size_t size) {
    char *block = (char *)z;
    const ZSTD_CDict *out = ZSTD_initStaticCDict(
        block + plan->out_dictionary, plan->in_dictionary - plan->out_dictionary, dictionary, size,
        ZSTD_dlm_byRef, ZSTD_dct_auto, p);
    const ZSTD_DDict *in = ZSTD_initStaticDDict(
        block + plan->in_dictionary, plan->end - plan->in_dictionary, dictionary, size,
        ZSTD_dlm_byRef, ZSTD_dct_auto);
    return out && in && !ZSTD_isError(ZSTD_CCtx_refCDict(z->out, out)) &&
           !ZSTD_isError(ZSTD_DCtx_refDDict(z->in, in));
}

static void wisp__zstd_close(const wisp_compressor *c, void *context) {
    wisp__zstd *z = (wisp__zstd *)context;
    wisp_allocator memory = z->memory;
    (void)c;
    memory.free(memory.user, z, z->size);
}

static void *wisp__zstd_open(const wisp_compressor *c, const wisp_allocator *memory,
                             const void *dictionary, int dictionary_bytes) {
    ZSTD_compressionParameters p = ZSTD_getCParams(WISP_ZSTD_LEVEL, WISP__ZSTD_BLOCK, 0);
    wisp__zstd_plan plan;
    wisp__zstd *z;
    char *block;
    p.windowLog = WISP__ZSTD_WINDOW_LOG;
    plan = wisp__zstd_plan_for(p, dictionary ? dictionary_bytes : 0);
    block = (char *)memory->alloc(memory->user, plan.end);
    if (!block) return NULL;
    z = (wisp__zstd *)(void *)block;
    z->memory = *memory;
    z->size = plan.end;
    z->out = ZSTD_initStaticCCtx(block + plan.out, plan.in - plan.out);
    z->in = ZSTD_initStaticDCtx(block + plan.in, plan.out_dictionary - plan.in);
    if (z->out && z->in && wisp__zstd_configure(z, p) &&
        (!dictionary || wisp__zstd_load(z, &plan, p, dictionary, (size_t)dictionary_bytes)))
        return z;
    wisp__zstd_close(c, z);
    return NULL;
}

static int wisp__zstd_compress(void *context, const void *from, int size, void *to, int capacity) {
    wisp__zstd *z = (wisp__zstd *)context;
    size_t count = ZSTD_compress2(z->out, to, (size_t)capacity, from, (size_t)size);
    if (!ZSTD_isError(count)) return (int)count;
    return ZSTD_getErrorCode(count) == ZSTD_error_dstSize_tooSmall ? 0 : -1;
}

/* Bytes of the frame that begins here, 0: it does not end here (RFC 8878, section 3.1.1):
 *
 *   frame    descriptor:8, window:8 unless single, dictionary id, content size, blocks, [32]
 *   descriptor, from its lowest bit: bytes of the id {0,1,2,4}:2, checksum:1, 0:2, single:1,
 *            bytes of the size {0 or 1 if single,2,4,8}:2
 *   block    last:1, kind {as it is, one byte repeated, compressed, none}:2, bytes:21, content
 */
static int64_t wisp__zstd_frame_bytes(const uint8_t *from, int64_t size) {
    static const uint8_t id_bytes[] = { 0, 1, 2, 4 }, size_bytes[] = { 0, 2, 4, 8 };
    bool last = false, single;
    int64_t at = 1;
    if (size < 1) return 0;
    single = (from[0] & 0x20) != 0;
    at += id_bytes[from[0] & 3] + size_bytes[from[0] >> 6] + (!single || from[0] < 0x40);
    while (!last) {
        uint32_t head;
        if (size - at < 3) return 0;
        head = from[at] | (uint32_t)from[at + 1] << 8 | (uint32_t)from[at + 2] << 16;
        last = head & 1;
        at += 3 + (int64_t)((head >> 1 & 3) == 1 ? 1 : head >> 3);
    }
    at += from[0] & 4;                                    /* its bit says its bytes */
    return at <= size ? at : 0;
}

/* libzstd looks for a magic number in up to 4 bytes of what is left, which may be less: it gets
   just one frame, and it is the whole. */
static int wisp__zstd_decompress(void *context, const void *from, int size, void *to,
                                 int capacity) {
    wisp__zstd *z = (wisp__zstd *)context;
    size_t count;
    if (wisp__zstd_frame_bytes((const uint8_t *)from, size) != size || size < 4) return -1;
    count = ZSTD_decompressDCtx(z->in, to, (size_t)capacity, from, (size_t)size);
    return ZSTD_isError(count) ? -1 : (int)count;
}

static const wisp_compressor wisp__zstd_compressor = {
    WISP_COMPRESSION_ZSTD, "zstd", wisp__zstd_open, wisp__zstd_close, wisp__zstd_compress,
    wisp__zstd_decompress, NULL
};

wisp_result wisp_use_zstd(wisp *w) { return wisp_add_compressor(w, &wisp__zstd_compressor); }

#else

wisp_result wisp_use_zstd(wisp *w) { return w ? WISP_E_UNSUPPORTED : WISP_E_ARGUMENT; }

#endif /* WISP_WITH_ZSTD */

#endif /* WISP_COMPRESS_IMPLEMENTATION */

/*
wisp is available under two licenses; choose whichever you prefer.
------------------------------------------------------------------------------
ALTERNATIVE A - MIT License
Copyright (c) 2026 the authors of wisp
Permission is hereby granted, free of charge, to any person obtaining a copy of
this software and associated documentation files (the "Software"), to deal in
the Software without restriction, including without limitation the rights to
use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies
of the Software, and to permit persons to whom the Software is furnished to do
so, subject to the following conditions:
The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.
THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
------------------------------------------------------------------------------
ALTERNATIVE B - Public Domain (www.unlicense.org)
This is free and unencumbered software released into the public domain.
Anyone is free to copy, modify, publish, use, compile, sell, or distribute this
software, either in source code form or as a compiled binary, for any purpose,
commercial or non-commercial, and by any means.
In jurisdictions that recognize copyright laws, the author or authors of this
software dedicate any and all copyright interest in the software to the public
domain. We make this dedication for the benefit of the public at large and to
the detriment of our heirs and successors. We intend this dedication to be an
overt act of relinquishment in perpetuity of all present and future rights to
this software under copyright law.
THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN
ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION
WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
------------------------------------------------------------------------------
*/
