/* test_compress.c - runs, compressors and their contexts, dictionaries, the policy of auto */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/packed_blocks.h"

enum { MIB = 1 << 20 };

/* --- a squeeze alone, and compressors that are plain enough to foresee --- */

/* Blocks of `parts` equal parts shrink to one of them; all others fail. */
typedef struct folder {
    int  parts;
    int  opened, closed, calls;
    int  dictionary_bytes;      /* of the last that was opened */
    bool refuses_dictionaries, lies;
} folder;

typedef struct folder_context {
    folder        *maker;
    wisp_allocator memory;
} folder_context;

static void *folder_open(const wisp_compressor *c, const wisp_allocator *memory,
                         const void *dictionary, int dictionary_bytes) {
    folder *f = (folder *)c->user;
    folder_context *context;
    if (f->refuses_dictionaries && dictionary) return NULL;
    context = (folder_context *)memory->alloc(memory->user, sizeof *context);
    if (!context) return NULL;
    CHECK((dictionary != NULL) == (dictionary_bytes > 0));
    context->maker = f;
    context->memory = *memory;
    f->opened++;
    f->dictionary_bytes = dictionary_bytes;
    return context;
}

static void folder_close(const wisp_compressor *c, void *context) {
    wisp_allocator memory = ((folder_context *)context)->memory;
    ((folder *)c->user)->closed++;
    memory.free(memory.user, context, sizeof(folder_context));
}

static int folder_compress(void *context, const void *from, int size, void *to, int capacity) {
    folder *f = ((folder_context *)context)->maker;
    const unsigned char *bytes = (const unsigned char *)from;
    int part = size / f->parts;
    f->calls++;
    if (f->lies) return capacity + 1;
    if (part * f->parts != size || part > capacity) return 0;
    for (int i = 1; i < f->parts; i++)
        if (memcmp(bytes, bytes + part * i, (size_t)part)) return -1;
    memcpy(to, from, (size_t)part);
    return part;
}

static int folder_decompress(void *context, const void *from, int size, void *to, int capacity) {
    folder *f = ((folder_context *)context)->maker;
    if (size > capacity / f->parts) return -1;
    for (int i = 0; i < f->parts; i++)
        memcpy((char *)to + (size_t)i * (size_t)size, from, (size_t)size);
    return size * f->parts;
}

static wisp_compressor folder_for(folder *f, wisp_compression mode, int parts) {
    wisp_compressor c;
    memset(f, 0, sizeof *f);
    memset(&c, 0, sizeof c);
    f->parts = parts;
    c.mode = mode;
    c.name = "folder";
    c.open = folder_open;
    c.close = folder_close;
    c.compress = folder_compress;
    c.decompress = folder_decompress;
    c.user = f;
    return c;
}

typedef struct compress_bench {
    low_memory     memory;
    wisp__base     base;
    wisp__compress  compress;
    folder         lz4, zstd;
    unsigned char  from[2 * MIB], packed[2 * MIB], back[2 * MIB];
} compress_bench;

static compress_bench *bench_bare(void) {
    static compress_bench b;
    low_start(&b.base, &b.memory);
    wisp__compress_init(&b.compress, &b.base);
    return &b;
}

/* Two halves are LZ4's, four quarters are also zstd's, which then is better. */
static compress_bench *compress_bench_start(void) {
    compress_bench *b = bench_bare();
    wisp_compressor c = folder_for(&b->lz4, WISP_COMPRESSION_LZ4, 2);
    CHECK_EQ_INT(wisp__compress_add(&b->compress, &c), WISP_OK);
    c = folder_for(&b->zstd, WISP_COMPRESSION_ZSTD, 4);
    CHECK_EQ_INT(wisp__compress_add(&b->compress, &c), WISP_OK);
    return b;
}

static void compress_bench_end(compress_bench *b) {
    check_compress(&b->compress);
    wisp__compress_free(&b->compress);
    CHECK(low_is_empty(&b->base, &b->memory));
}

enum { ALL_METHODS = 0xff };

static wisp__compress_stream stream_of(wisp_compression mode, uint32_t dictionary) {
    wisp__compress_stream s;
    wisp__compress_stream_init(&s, mode, dictionary);
    return s;
}

/* Packs from, checks that it comes back and that nothing was written past the ends. */
static int bench_round(compress_bench *b, wisp__compress_stream *s, unsigned methods, int size,
                       int *method) {
    int packed;
    memset(b->packed, 0x11, (size_t)size + 1);
    packed = pack_block(&b->compress, s, methods, wisp__block_of(b->from, size, b->packed, size),
                        method);
    CHECK(packed >= 0 && (packed < size || packed == 0));
    CHECK(b->packed[size] == 0x11);
    CHECK((packed == 0) == (*method == WISP__STORED));
    if (!packed) return 0;
    b->back[size] = 0x22;
    CHECK_EQ_INT(unpack_block(&b->compress, *method, s->dictionary,
                              wisp__block_of(b->packed, packed, b->back, size)), WISP_OK);
    CHECK_EQ_MEM(b->back, b->from, size);
    CHECK(b->back[size] == 0x22);
    return packed;
}

/* Random bytes in so many equal parts. */
static void fill_parts(compress_bench *b, uint64_t *seed, int size, int parts) {
    int part = size / parts;
    low_random_bytes(seed, b->from, part);
    for (int i = 1; i < parts; i++) memcpy(b->from + part * i, b->from, (size_t)part);
}

/* --- runs --- */

static int runs_round(compress_bench *b, int size) {
    int packed = wisp__runs_pack(b->from, size, b->packed, size - 1);
    CHECK(packed >= 0 && packed < size);
    if (!packed) return 0;
    b->back[size] = 0x22;
    CHECK_EQ_INT(wisp__runs_unpack(b->packed, packed, b->back, size), size);
    CHECK_EQ_MEM(b->back, b->from, size);
    CHECK(b->back[size] == 0x22);
    return packed;
}

TEST(runs_have_this_form) {
    static const struct { int size, packed; unsigned char from[24], to[12]; } forms[] = {
        { 8, 1, { 0 }, { 0x40 } },
        { 15, 2, { 0 }, { 0x78, 0x00 } },
        { 20, 2, { 0 }, { 0x78, 0x05 } },
        { 8, 2, { 9, 9, 9, 9, 9, 9, 9, 9 }, { 0x84, 9 } },
        { 8, 5, { 0, 0, 7, 0, 6, 0, 0, 0 }, { 0x13, 7, 0, 6, 0x18 } },
        { 10, 8, { 1, 2, 3, 0, 0, 0, 0, 4, 5, 6 }, { 0x03, 1, 2, 3, 0x23, 4, 5, 6 } },
        { 24, 12, { 1, 2, 3, 4, 5, 6, 7, 8 },
          { 0x07, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 0x78, 0x01 } },
    };
    unsigned char to[24], back[24];
    for (int i = 0; i < (int)(sizeof forms / sizeof *forms); i++) {
        CHECK_EQ_INT(wisp__runs_pack(forms[i].from, forms[i].size, to, 24), forms[i].packed);
        CHECK_EQ_MEM(to, forms[i].to, forms[i].packed);
        CHECK_EQ_INT(wisp__runs_unpack(to, forms[i].packed, back, 24), forms[i].size);
        CHECK_EQ_MEM(back, forms[i].from, forms[i].size);
    }
}

TEST(one_run_takes_a_few_bytes_whatever_its_length) {
    compress_bench *b = bench_bare();
    memset(b->from, 0xff, MIB);
    CHECK_EQ_INT(runs_round(b, 125), 2);
    CHECK_EQ_INT(runs_round(b, 130), 2);
    CHECK_EQ_INT(runs_round(b, 131), 3);
    CHECK_EQ_INT(runs_round(b, MIB), 5);
    memset(b->from, 0, MIB);
    CHECK_EQ_INT(runs_round(b, 14), 1);
    CHECK_EQ_INT(runs_round(b, 1200), 3);
    CHECK_EQ_INT(runs_round(b, MIB), 4);
    compress_bench_end(b);
}

TEST(mostly_zero_bytes_take_two_for_each_that_is_not) {
    compress_bench *b = bench_bare();
    uint64_t seed = 3;
    memset(b->from, 0, 1200);
    for (int i = 0; i < 60; i++)
        b->from[i * 20 + test_random_below(&seed, 20)] = (unsigned char)(1 + i);
    CHECK(runs_round(b, 1200) <= 60 * 3);
    memset(b->from, 0, 1200);
    for (int i = 0; i < 120; i++) b->from[i * 10] = (unsigned char)(1 + i);
    CHECK(runs_round(b, 1200) <= 120 * 2 + 1);
    compress_bench_end(b);
}

TEST(random_bytes_are_never_made_larger) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 4;
    for (int size = 1; size < 2000; size++) {
        int method;
        wisp__compress_stream s = stream_of(WISP_COMPRESSION_AUTO, 0);
        low_random_bytes(&seed, b->from, size);
        if (size >= 16) CHECK_EQ_INT(runs_round(b, size), 0);
        CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, size, &method), 0);
    }
    compress_bench_end(b);
}

/* Stretches of zeros, of one byte, and of anything, of any length. */
static void fill_stretches(compress_bench *b, uint64_t *seed, int size) {
    for (int at = 0; at < size;) {
        int count = 1 + test_random_below(seed, test_random_below(seed, 8) ? 9 : 300);
        int kind = test_random_below(seed, 3), byte = test_random_below(seed, 256);
        if (count > size - at) count = size - at;
        if (kind == 2) low_random_bytes(seed, b->from + at, count);
        else memset(b->from + at, kind ? byte : 0, (size_t)count);
        at += count;
    }
}

TEST(room_to_spare_is_no_reason_to_grow) {
    compress_bench *b = bench_bare();
    uint64_t seed = 24;
    for (int size = 8; size < 300; size++) {
        wisp__compress_stream s = stream_of(WISP_COMPRESSION_AUTO, 0);
        int method;
        low_random_bytes(&seed, b->from, size);
        CHECK_EQ_INT(pack_block(&b->compress, &s, ALL_METHODS,
                                wisp__block_of(b->from, size, b->packed, MIB), &method), 0);
    }
    compress_bench_end(b);
}

TEST(runs_come_back_and_fit_exactly_what_they_take) {
    compress_bench *b = bench_bare();
    uint64_t seed = 5;
    for (int i = 0; i < 4000; i++) {
        int size = 2 + test_random_below(&seed, 600), packed;
        fill_stretches(b, &seed, size);
        packed = runs_round(b, size);
        if (!packed) continue;
        b->packed[packed] = 0x33;
        CHECK_EQ_INT(wisp__runs_pack(b->from, size, b->packed, packed), packed);
        CHECK_EQ_INT(wisp__runs_pack(b->from, size, b->packed, packed - 1), 0);
        CHECK(b->packed[packed] == 0x33);
        CHECK_EQ_INT(wisp__runs_unpack(b->packed, packed, b->back, size - 1), -1);
    }
    compress_bench_end(b);
}

TEST(broken_runs_are_refused_within_their_bounds) {
    compress_bench *b = bench_bare();
    static const unsigned char bad[][16] = {
        { 1, 0x00 },                                    /* nothing */
        { 4, 0x00, 0x78, 0xd9, 0x07 },            /* nothing, then 1000 zeros */
        { 1, 0x80 },                                    /* a run of what? */
        { 1, 0x78 },                                    /* how many zeros? */
        { 2, 0x78, 0x80 },
        { 2, 0x02, 0x01 },                              /* two bytes, one is there */
        { 7, 0x78, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00 },  /* a count too long */
        { 13, 0x78, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xff, 0x01 },
        { 6, 0x78, 0xff, 0xff, 0xff, 0xff, 0x7f },      /* 2^35 zeros */
        { 6, 0x78, 0xf2, 0xff, 0xff, 0xff, 0x00 },      /* 2^28 + 1 zeros */
        { 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x00 },
        { 6, 0x07, 0xff, 0xff, 0xff, 0x7f, 0x01 },
    };
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
        memset(b->back, 0x22, 1024);
        CHECK_EQ_INT(unpack_block(&b->compress, WISP__RUNS, 0,
                                  wisp__block_of(bad[i] + 1, bad[i][0], b->back,
                                                 1000)), WISP_E_COMPRESSED);
        CHECK(b->back[1000] == 0x22);
    }
    compress_bench_end(b);
}

TEST(mangled_runs_write_what_is_expected_or_fail) {
    compress_bench *b = bench_bare();
    uint64_t seed = 6;
    for (int i = 0; i < 20000; i++) {
        int size = 8 + test_random_below(&seed, 200), packed, at;
        wisp_result result;
        fill_stretches(b, &seed, size);
        packed = wisp__runs_pack(b->from, size, b->packed, size - 1);
        if (!packed) continue;
        at = test_random_below(&seed, packed);
        b->packed[at] ^= (unsigned char)(1 << test_random_below(&seed, 8));
        if (i % 4 == 0) packed = at;
        b->back[size] = 0x22;
        result = unpack_block(&b->compress, WISP__RUNS, 0,
                              wisp__block_of(b->packed, packed, b->back, size));
        CHECK(result == WISP_OK || result == WISP_E_COMPRESSED);
        CHECK(b->back[size] == 0x22);
    }
    compress_bench_end(b);
}

/* --- compressors --- */

TEST(a_compressor_must_be_whole_and_of_a_mode_that_can_be_plugged_in) {
    compress_bench *b = bench_bare();
    folder f;
    const wisp_compressor whole = folder_for(&f, WISP_COMPRESSION_USER, 2);
    wisp_compressor c = whole;
    CHECK_EQ_INT(wisp__compress_add(&b->compress, NULL), WISP_E_ARGUMENT);
    c.name = NULL;
    CHECK_EQ_INT(wisp__compress_add(&b->compress, &c), WISP_E_ARGUMENT);
    c = whole;
    c.open = NULL;
    CHECK_EQ_INT(wisp__compress_add(&b->compress, &c), WISP_E_ARGUMENT);
    c = whole;
    c.close = NULL;
    CHECK_EQ_INT(wisp__compress_add(&b->compress, &c), WISP_E_ARGUMENT);
    c = whole;
    c.compress = NULL;
    CHECK_EQ_INT(wisp__compress_add(&b->compress, &c), WISP_E_ARGUMENT);
    c = whole;
    c.decompress = NULL;
    CHECK_EQ_INT(wisp__compress_add(&b->compress, &c), WISP_E_ARGUMENT);
    for (int mode = -1; mode < 40; mode++) {
        bool may = (mode >= WISP_COMPRESSION_LZ4 && mode <= WISP_COMPRESSION_ZSTD) ||
                   (mode >= WISP_COMPRESSION_USER && mode < WISP_COMPRESSION_USER + 3);
        bool always = mode == WISP_COMPRESSION_NONE || mode == WISP_COMPRESSION_AUTO;
        c = whole;
        c.mode = mode;
        CHECK_EQ_INT(wisp__compress_can(&b->compress, mode),
                     always ? WISP_OK : may ? WISP_E_UNSUPPORTED
                                                                             : WISP_E_ARGUMENT);
        CHECK_EQ_INT(wisp__compress_add(&b->compress, &c), may ? WISP_OK : WISP_E_ARGUMENT);
        CHECK_EQ_INT(wisp__compress_can(&b->compress, mode), may ||
                     always ? WISP_OK : WISP_E_ARGUMENT);
    }
    CHECK_EQ_INT(b->compress.methods, 0xff);
    CHECK_EQ_INT(f.opened, 0);
    compress_bench_end(b);
}

TEST(the_struct_of_a_compressor_is_copied) {
    compress_bench *b = bench_bare();
    int method;
    uint64_t seed = 7;
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_LZ4, 0);
    wisp_compressor c = folder_for(&b->lz4, WISP_COMPRESSION_LZ4, 2);
    CHECK_EQ_INT(wisp__compress_add(&b->compress, &c), WISP_OK);
    memset(&c, 0, sizeof c);
    fill_parts(b, &seed, 500, 2);
    CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 500, &method), 250);
    CHECK_EQ_INT(method, WISP__LZ4);
    compress_bench_end(b);
}

TEST(a_context_is_made_once_for_each_compressor_and_dictionary) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 8;
    uint32_t id;
    int method;
    wisp__compress_stream plain = stream_of(WISP_COMPRESSION_LZ4, 0), with;
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, "some words", 10, &id), WISP_OK);
    with = stream_of(WISP_COMPRESSION_LZ4, id);
    CHECK_EQ_INT(b->lz4.opened, 0);
    for (int i = 0; i < 50; i++) {
        fill_parts(b, &seed, 400, 2);
        CHECK_EQ_INT(bench_round(b, &plain, ALL_METHODS, 400, &method), 200);
        CHECK_EQ_INT(bench_round(b, &with, ALL_METHODS, 400, &method), 200);
    }
    CHECK_EQ_INT(b->lz4.opened, 2);
    CHECK_EQ_INT(b->lz4.dictionary_bytes, 10);
    CHECK_EQ_INT(b->zstd.opened, 0);
    CHECK_EQ_INT(b->memory.calls, 3);
    compress_bench_end(b);
    CHECK_EQ_INT(b->lz4.closed, 2);
}

TEST(a_compressor_of_the_same_mode_takes_the_place_of_the_former) {
    compress_bench *b = compress_bench_start();
    folder other;
    wisp_compressor c = folder_for(&other, WISP_COMPRESSION_LZ4, 4);
    int method;
    uint64_t seed = 9;
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_LZ4, 0);
    fill_parts(b, &seed, 400, 4);
    CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 400, &method), 200);
    CHECK_EQ_INT(wisp__compress_add(&b->compress, &c), WISP_OK);
    CHECK_EQ_INT(b->lz4.closed, 1);
    CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 400, &method), 100);
    compress_bench_end(b);
    CHECK_EQ_INT(other.closed, 1);
}

TEST(a_context_that_cannot_be_made_tells_why) {
    compress_bench *b = compress_bench_start();
    uint32_t id;
    unsigned char byte = 1, to[10];
    int method;
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_LZ4, 0);
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, "some words", 10, &id), WISP_OK);
    b->lz4.refuses_dictionaries = true;
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_LZ4, id), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(unpack_block(&b->compress, WISP__LZ4, id, wisp__block_of(&byte, 1, to, 10)),
                 WISP_E_UNSUPPORTED);
    b->memory.fail_after = 0;
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_ZSTD, id), WISP_E_MEMORY);
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_LZ4, id), WISP_E_UNSUPPORTED);
    b->lz4.refuses_dictionaries = false;
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_LZ4, id), WISP_E_MEMORY);
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_AUTO, 0), WISP_E_MEMORY);
    CHECK_EQ_INT(unpack_block(&b->compress, WISP__LZ4, 0, wisp__block_of(&byte, 1, to, 10)),
                 WISP_E_MEMORY);
    memset(b->from, 5, 100);
    b->from[3] = 6;
    b->from[53] = 6;
    CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 100, &method), 0);
    b->memory.fail_after = LOW_NONE;
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_LZ4, id), WISP_OK);
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_AUTO, 0), WISP_OK);
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_NONE, 0), WISP_OK);
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_DEFLATE, 0),
                 WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_LZ4, id ^ 1),
                 WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, 9, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(b->lz4.opened, 2);
    CHECK_EQ_INT(b->zstd.opened, 1);
    compress_bench_end(b);
}

TEST(a_compressor_that_claims_more_than_fits_is_not_believed) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 10;
    int method;
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_LZ4, 0);
    b->lz4.lies = true;
    fill_parts(b, &seed, 400, 2);
    CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 400, &method), 0);
    CHECK_EQ_INT(b->lz4.calls, 1);
    compress_bench_end(b);
}

TEST(nothing_is_written_past_the_capacity) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 11;
    for (int capacity = 0; capacity < 120; capacity++)
        for (int mode = WISP_COMPRESSION_AUTO; mode <= WISP_COMPRESSION_LZ4; mode++) {
            wisp__compress_stream s = stream_of(mode, 0);
            int method, packed;
            b->lz4.parts = capacity % 4 == 3 ? 40 : 2;
            if (capacity % 2) memset(b->from, 0, 200);
            else fill_parts(b, &seed, 200, 2);
            memset(b->packed, 0x44, 300);
            packed = pack_block(&b->compress, &s, ALL_METHODS,
                                wisp__block_of(b->from, 200, b->packed, capacity), &method);
            CHECK(packed <= capacity);
            CHECK(b->packed[capacity] == 0x44);
        }
    compress_bench_end(b);
}

/* --- what the other end has --- */

TEST(only_methods_that_the_other_end_has_are_used) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 12;
    for (int methods = 0; methods < 256; methods++)
        for (int mode = WISP_COMPRESSION_AUTO; mode <= WISP_COMPRESSION_ZSTD; mode++) {
            wisp__compress_stream s = stream_of(mode, 0);
            for (int i = 0; i < 40; i++) {
                int method;
                if (i % 3 == 0) memset(b->from, i, 400);
                else fill_parts(b, &seed, 400, 4);
                bench_round(b, &s, (unsigned)methods, 400, &method);
                CHECK(method <= WISP__RUNS ||
                      ((unsigned)methods & b->compress.methods) >> method & 1);
            }
        }
    compress_bench_end(b);
}

TEST(a_mode_that_one_end_lacks_becomes_auto) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 13;
    int method;
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_ZSTD, 0);
    fill_parts(b, &seed, 400, 4);
    CHECK_EQ_INT(bench_round(b, &s, 1u << WISP__LZ4, 400, &method), 200);
    CHECK_EQ_INT(method, WISP__LZ4);
    CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 400, &method), 100);
    CHECK_EQ_INT(method, WISP__ZSTD);
    s = stream_of(WISP_COMPRESSION_DEFLATE, 0);
    CHECK(bench_round(b, &s, ALL_METHODS, 400, &method) > 0);
    compress_bench_end(b);
}

TEST(a_chosen_mode_always_tries_and_gives_way_to_a_few_runs) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 14;
    int method;
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_ZSTD, 0);
    for (int i = 0; i < 100; i++) {
        low_random_bytes(&seed, b->from, 400);
        CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 400, &method), 0);
    }
    CHECK_EQ_INT(b->zstd.calls, 100);
    memset(b->from, 0xff, 400);
    b->zstd.parts = 40;
    CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 400, &method), 4);
    CHECK_EQ_INT(method, WISP__RUNS);
    b->zstd.parts = 4;
    fill_parts(b, &seed, 400, 4);
    CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 400, &method), 100);
    CHECK_EQ_INT(method, WISP__ZSTD);
    s = stream_of(WISP_COMPRESSION_NONE, 0);
    CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 400, &method), 0);
    CHECK_EQ_INT(b->zstd.calls, 102);
    compress_bench_end(b);
}

/* --- unpacking --- */

TEST(exactly_what_is_expected_comes_out_or_nothing) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 15;
    static const int methods[] = { WISP__STORED, WISP__RUNS, WISP__LZ4, WISP__ZSTD };
    static const int sizes[] = { 100, 3, 50, 25 };
    for (int i = 0; i < 4; i++) {
        if (methods[i] == WISP__RUNS) memcpy(b->packed, "\xde\x07", 2);
        else low_random_bytes(&seed, b->packed, sizes[i]);
        for (int expected = 0; expected < 300; expected++) {
            int size = methods[i] == WISP__RUNS ? 2 : sizes[i];
            int right = methods[i] == WISP__RUNS ? 98 : 100;
            b->back[expected] = 0x55;
            CHECK_EQ_INT(unpack_block(&b->compress, methods[i], 0,
                                      wisp__block_of(b->packed, size, b->back, expected)),
                         expected == right ? WISP_OK : WISP_E_COMPRESSED);
            CHECK(b->back[expected] == 0x55);
        }
    }
    compress_bench_end(b);
}

TEST(what_is_not_here_is_told_apart_from_what_makes_no_sense) {
    compress_bench *b = compress_bench_start();
    unsigned char byte = 1, to[10];
    for (int method = -1; method < 10; method++) {
        bool here = method == WISP__STORED || method == WISP__RUNS || method == WISP__LZ4 ||
                    method == WISP__ZSTD;
        CHECK_EQ_INT(unpack_block(&b->compress, method, 0, wisp__block_of(&byte, 1, to, 10)),
                     here ? WISP_E_COMPRESSED : WISP_E_UNSUPPORTED);
        CHECK_EQ_INT(unpack_block(&b->compress, method, 0, wisp__block_of(&byte, 0, to, 10)),
                     WISP_E_COMPRESSED);
        CHECK_EQ_INT(unpack_block(&b->compress, method, 0, wisp__block_of(NULL, 0, to, 10)),
                     WISP_E_COMPRESSED);
        CHECK_EQ_INT(unpack_block(&b->compress, method, 0, wisp__block_of(&byte, 1, to, 0)),
                     WISP_E_COMPRESSED);
    }
    CHECK_EQ_INT(unpack_block(&b->compress, WISP__LZ4, 77, wisp__block_of(&byte, 1, to, 2)),
                 WISP_E_UNSUPPORTED);
    compress_bench_end(b);
}

TEST(a_bomb_is_an_error_and_takes_no_memory) {
    compress_bench *b = compress_bench_start();
    static const unsigned char bomb[] = { 0x78, 0xf1, 0xff, 0xff, 0x7f };    /* 2^28 zeros */
    memset(b->back, 0x22, 100);
    CHECK_EQ_INT(unpack_block(&b->compress, WISP__RUNS, 0, wisp__block_of(bomb, 5, b->back, 60)),
                 WISP_E_COMPRESSED);
    CHECK(b->back[60] == 0x22);
    CHECK_EQ_INT(b->memory.calls, 0);
    CHECK_EQ_INT(unpack_block(&b->compress, WISP__ZSTD, 0,
                              wisp__block_of(b->from, 1000, b->back, 60)),
                 WISP_E_COMPRESSED);
    CHECK(b->back[60] == 0x22);
    CHECK_EQ_INT(b->memory.calls, 1);
    compress_bench_end(b);
}

/* --- dictionaries --- */

TEST(a_dictionary_is_known_by_a_hash_that_is_the_same_everywhere) {
    compress_bench *b = bench_bare();
    char words[] = "the same everywhere";
    uint32_t id, again, other;
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, words, 19, &id), WISP_OK);
    CHECK_EQ_INT(id, 1040871371);
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, words, 19, &again), WISP_OK);
    CHECK_EQ_INT(id, again);
    CHECK_EQ_INT(b->memory.calls, 1);
    words[0] = 'T';
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, words, 19, &other), WISP_OK);
    CHECK(other != id);
    CHECK_EQ_INT(wisp__compress_column(&b->compress, 0), 0);
    CHECK_EQ_INT(wisp__compress_column(&b->compress, id), 1);
    CHECK_EQ_INT(wisp__compress_column(&b->compress, other), 2);
    CHECK_EQ_INT(wisp__compress_column(&b->compress, id ^ other), -1);
    CHECK(b->compress.dictionaries[0].bytes[0] == 't');
    compress_bench_end(b);
}

TEST(dictionaries_have_a_size_and_a_number) {
    compress_bench *b = bench_bare();
    uint32_t id;
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, NULL, 5, &id), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, "", 0, &id), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, b->from, MIB + 1, &id), WISP_E_TOO_BIG);
    CHECK_EQ_INT(id, 0);
    b->memory.fail_after = 0;
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, b->from, MIB, &id), WISP_E_MEMORY);
    b->memory.fail_after = LOW_NONE;
    for (int i = 1; i <= WISP__DICTIONARIES; i++)
        CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, b->from, i, &id), WISP_OK);
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, b->from, MIB, &id), WISP_E_LIMIT);
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, b->from, 3, &id), WISP_OK);
    b->compress.dictionaries[2].bytes[0] ^= 1;        /* as if another had the same hash */
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, b->from, 3, &id), WISP_E_LIMIT);
    compress_bench_end(b);
}

/* --- auto --- */

static double tried_share(const compress_bench *b) {
    return (double)b->compress.cost.tried / (double)b->compress.cost.seen;
}

TEST(auto_hardly_tries_what_does_not_shrink) {
    static const int sizes[] = { 60, 200, 1200, 20000 };
    for (int k = 0; k < 4; k++) {
        compress_bench *b = compress_bench_start();
        uint64_t seed = 16;
        wisp__compress_stream s = stream_of(WISP_COMPRESSION_AUTO, 0);
        int method;
        for (int i = 0; i < 2000; i++) {
            low_random_bytes(&seed, b->from, sizes[k]);
            CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, sizes[k], &method), 0);
        }
        CHECK(b->compress.cost.calls < 2000 / 20);
        CHECK(b->compress.cost.seen == UINT64_C(2000) * (uint64_t)sizes[k]);
        CHECK(tried_share(b) < 0.05);
        compress_bench_end(b);
    }
}

TEST(auto_hardly_tries_blocks_of_any_mix_of_sizes) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 17;
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_AUTO, 0);
    int method;
    low_random_bytes(&seed, b->from, 300000);
    for (int i = 0; i < 3000; i++) {
        int size = 8 + test_random_below(&seed, test_random_below(&seed, 20) ? 1200 : 200000);
        CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, size, &method), 0);
    }
    CHECK(tried_share(b) < 0.05);
    compress_bench_end(b);
}

TEST(auto_looks_at_pieces_of_a_large_block_first) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 18;
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_AUTO, 0);
    int method;
    low_random_bytes(&seed, b->from, MIB);
    for (int i = 0; i < 3; i++) CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, MIB, &method), 0);
    CHECK(tried_share(b) < 0.05);
    memset(b->from, 0, MIB);
    s = stream_of(WISP_COMPRESSION_AUTO, 0);
    CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, MIB, &method), MIB / 4);
    compress_bench_end(b);
}

TEST(auto_notices_when_data_begins_to_shrink_again) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 19;
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_AUTO, 0);
    int method, blocks = 0;
    for (int i = 0; i < 5000; i++) {
        low_random_bytes(&seed, b->from, 400);
        bench_round(b, &s, ALL_METHODS, 400, &method);
    }
    for (; blocks < 1000; blocks++) {
        fill_parts(b, &seed, 400, 2);
        if (bench_round(b, &s, ALL_METHODS, 400, &method)) break;
    }
    CHECK(blocks <= 3 * 65);
    for (int i = 0; i < 100; i++) {
        fill_parts(b, &seed, 400, 2);
        CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 400, &method), 200);
    }
    compress_bench_end(b);
}

TEST(auto_picks_what_pays_most_and_changes_its_mind) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 20;
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_AUTO, 0);
    int method = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            fill_parts(b, &seed, 400, 2);
            bench_round(b, &s, ALL_METHODS, 400, &method);
        }
        CHECK_EQ_INT(method, WISP__LZ4);
        for (int i = 0; i < 100; i++) {
            fill_parts(b, &seed, 400, 4);
            bench_round(b, &s, ALL_METHODS, 400, &method);
        }
        CHECK_EQ_INT(method, WISP__ZSTD);
        for (int i = 0; i < 100; i++) {
            memset(b->from, 0, 401);
            low_random_bytes(&seed, b->from + 100, 201);
            bench_round(b, &s, ALL_METHODS, 401, &method);
        }
        CHECK_EQ_INT(method, WISP__RUNS);
    }
    compress_bench_end(b);
}

TEST(auto_compares_only_now_and_then) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 21;
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_AUTO, 0);
    int method;
    for (int i = 0; i < 1600; i++) {
        fill_parts(b, &seed, 400, 2);
        CHECK(bench_round(b, &s, ALL_METHODS, 400, &method) == 200);
    }
    CHECK(b->compress.cost.calls <= 1600 + 1600 / 16 + 8);
    CHECK(b->compress.cost.saved == 1600 * 200);
    compress_bench_end(b);
}

TEST(auto_forgives_a_block_that_does_not_shrink) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 22;
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_AUTO, 0);
    int method;
    for (int i = 0; i < 300; i++) {
        bool shrinks = i % 3 == 0;
        fill_parts(b, &seed, 400, shrinks ? 2 : 1);
        CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 400, &method), shrinks ? 200 : 0);
    }
    compress_bench_end(b);
}

TEST(auto_weighs_bytes_against_time) {
    CHECK(wisp__candidate_gain(0, 1000, 990) < 0);            /* 1% by LZ4 */
    CHECK(wisp__candidate_gain(0, 1000, 900) > 0);
    CHECK(wisp__candidate_gain(1, 1000, 950) < 0);            /* 5% by zstd */
    CHECK(wisp__candidate_gain(1, 1000, 600) < wisp__candidate_gain(0, 1000, 620));
    CHECK(wisp__candidate_gain(1, 1000, 500) > wisp__candidate_gain(0, 1000, 600));
    CHECK(wisp__candidate_gain(2, 1000, 999) > 0);            /* a byte by runs */
    CHECK_EQ_INT(wisp__candidate_gain(2, 1000, 0), 0);        /* did not work out */
}

TEST(streams_do_not_disturb_each_other) {
    compress_bench *b = compress_bench_start();
    uint64_t seed = 23;
    wisp__compress_stream good = stream_of(WISP_COMPRESSION_AUTO, 0), bad = good;
    int method;
    for (int i = 0; i < 200; i++) {
        fill_parts(b, &seed, 400, 1);
        CHECK_EQ_INT(bench_round(b, &bad, ALL_METHODS, 400, &method), 0);
        fill_parts(b, &seed, 400, 2);
        CHECK_EQ_INT(bench_round(b, &good, ALL_METHODS, 400, &method), 200);
    }
    compress_bench_end(b);
}

TEST(a_few_bytes_are_not_tried) {
    compress_bench *b = compress_bench_start();
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_LZ4, 0);
    int method;
    memset(b->from, 0, 8);
    for (int size = 0; size < 8; size++)
        CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, size, &method), 0);
    CHECK(b->compress.cost.calls == 0);
    CHECK_EQ_INT(bench_round(b, &s, ALL_METHODS, 8, &method), 1);
    compress_bench_end(b);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        CASE(runs_have_this_form),
        CASE(one_run_takes_a_few_bytes_whatever_its_length),
        CASE(mostly_zero_bytes_take_two_for_each_that_is_not),
        CASE(random_bytes_are_never_made_larger),
        CASE(room_to_spare_is_no_reason_to_grow),
        CASE(runs_come_back_and_fit_exactly_what_they_take),
        CASE(broken_runs_are_refused_within_their_bounds),
        CASE(mangled_runs_write_what_is_expected_or_fail),
        CASE(a_compressor_must_be_whole_and_of_a_mode_that_can_be_plugged_in),
        CASE(the_struct_of_a_compressor_is_copied),
        CASE(a_context_is_made_once_for_each_compressor_and_dictionary),
        CASE(a_compressor_of_the_same_mode_takes_the_place_of_the_former),
        CASE(a_context_that_cannot_be_made_tells_why),
        CASE(a_compressor_that_claims_more_than_fits_is_not_believed),
        CASE(nothing_is_written_past_the_capacity),
        CASE(only_methods_that_the_other_end_has_are_used),
        CASE(a_mode_that_one_end_lacks_becomes_auto),
        CASE(a_chosen_mode_always_tries_and_gives_way_to_a_few_runs),
        CASE(exactly_what_is_expected_comes_out_or_nothing),
        CASE(what_is_not_here_is_told_apart_from_what_makes_no_sense),
        CASE(a_bomb_is_an_error_and_takes_no_memory),
        CASE(a_dictionary_is_known_by_a_hash_that_is_the_same_everywhere),
        CASE(dictionaries_have_a_size_and_a_number),
        CASE(auto_hardly_tries_what_does_not_shrink),
        CASE(auto_hardly_tries_blocks_of_any_mix_of_sizes),
        CASE(auto_looks_at_pieces_of_a_large_block_first),
        CASE(auto_notices_when_data_begins_to_shrink_again),
        CASE(auto_picks_what_pays_most_and_changes_its_mind),
        CASE(auto_compares_only_now_and_then),
        CASE(auto_forgives_a_block_that_does_not_shrink),
        CASE(auto_weighs_bytes_against_time),
        CASE(streams_do_not_disturb_each_other),
        CASE(a_few_bytes_are_not_tried),
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
