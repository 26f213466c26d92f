/* test_plugins.c - LZ4, deflate and zstd behind wisp.h, and the dictionaries of wisp_train

   Links with -llz4 -ldeflate -lzstd. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE                       /* MAP_ANONYMOUS */
#endif
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#define WISP_WITH_LZ4
#define WISP_WITH_DEFLATE
#define WISP_WITH_ZSTD
#include "../wisp.h"
#include "../wisp_compress.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/packed_blocks.h"

#define WISP_TRAIN_NO_MAIN
#include "../tools/wisp_train.c"

#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1 << 20, ALL_METHODS = 0xff, KINDS = 3 };

static const struct { wisp_compression mode; int method; const wisp_compressor *compressor; }
    kinds[KINDS] = {
        { WISP_COMPRESSION_LZ4, WISP__LZ4, &wisp__lz4_compressor },
        { WISP_COMPRESSION_DEFLATE, WISP__DEFLATE, &wisp__deflate_compressor },
        { WISP_COMPRESSION_ZSTD, WISP__ZSTD, &wisp__zstd_compressor }
    };

typedef struct bench {
    low_memory    memory;
    wisp__base    base;
    wisp__compress compress;
    unsigned char from[MIB + 1], packed[MIB + 1], back[MIB + 1];
} bench;

static bench *bench_start(void) {
    static bench b;
    low_start(&b.base, &b.memory);
    wisp__compress_init(&b.compress, &b.base);
    for (int i = 0; i < KINDS; i++)
        CHECK_EQ_INT(wisp__compress_add(&b.compress, kinds[i].compressor), WISP_OK);
    return &b;
}

static void bench_end(bench *b) {
    check_compress(&b->compress);
    wisp__compress_free(&b->compress);
    CHECK(low_is_empty(&b->base, &b->memory));
}

static wisp__compress_stream stream_of(wisp_compression mode, uint32_t dictionary) {
    wisp__compress_stream s;
    wisp__compress_stream_init(&s, mode, dictionary);
    return s;
}

static int bench_round(bench *b, wisp__compress_stream *s, int size, int *method) {
    int packed;
    b->packed[size] = 0x11;
    packed = pack_block(&b->compress, s, ALL_METHODS,
                        wisp__block_of(b->from, size, b->packed, size), method);
    CHECK(packed >= 0 && (packed < size || packed == 0));
    CHECK(b->packed[size] == 0x11);
    if (!packed) return 0;
    b->back[size] = 0x22;
    CHECK_EQ_INT(unpack_block(&b->compress, *method, s->dictionary,
                              wisp__block_of(b->packed, packed, b->back, size)), WISP_OK);
    CHECK_EQ_MEM(b->back, b->from, size);
    CHECK(b->back[size] == 0x22);
    return packed;
}

/* --- what is packed --- */

typedef enum filling { NOISE, ZEROS, TEXT, RECORDS, MIXED, FILLINGS } filling;

static void fill_text(uint64_t *seed, unsigned char *to, int size) {
    char line[96];
    for (int at = 0; at < size;) {
        int count = snprintf(line, sizeof line,
                             "{\"id\":%d,\"hp\":%d,\"name\":\"player%d\",\"alive\":%s},",
                             test_random_below(seed, 1000), test_random_below(seed, 101),
                             test_random_below(seed, 64),
                             test_random_below(seed, 4) ? "true" : "false");
        if (count > size - at) count = size - at;
        memcpy(to + at, line, (size_t)count);
        at += count;
    }
}

/* Of 12 bytes: a number that counts, a type, small changes, zeros. */
static void fill_records(uint64_t *seed, unsigned char *to, int size) {
    for (int i = 0; i < size; i++) {
        int column = i % 12;
        to[i] = 0;
        if (column == 0) to[i] = (unsigned char)(i / 12);
        if (column == 2) to[i] = (unsigned char)test_random_below(seed, 3);
        if (column == 4 || column == 6) to[i] = (unsigned char)(120 + test_random_below(seed, 9));
    }
}

static void fill(uint64_t *seed, filling what, unsigned char *to, int size) {
    int half = size / 2;
    switch (what) {
    case NOISE: low_random_bytes(seed, to, size); break;
    case ZEROS: memset(to, 0, (size_t)size); break;
    case TEXT: fill_text(seed, to, size); break;
    case RECORDS: fill_records(seed, to, size); break;
    default:
        low_random_bytes(seed, to, half);
        fill_text(seed, to + half, size - half);
    }
}

static const int sizes[] = { 8, 13, 64, 200, 700, 1200, 5000, 65535, 65536, 200000, MIB };
enum { SIZES = (int)(sizeof sizes / sizeof *sizes) };

static uint32_t bench_dictionary(bench *b, int size) {
    uint64_t seed = 99;
    uint32_t id;
    static unsigned char words[200000];
    fill_text(&seed, words, size);
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, words, size, &id), WISP_OK);
    return id;
}

/* --- each compressor --- */

TEST(blocks_of_every_size_come_back_smaller_or_not_at_all) {
    bench *b = bench_start();
    uint64_t seed = 1;
    for (int k = 0; k < KINDS; k++)
        for (int i = 0; i < SIZES; i++)
            for (int what = 0; what < FILLINGS; what++) {
                wisp__compress_stream s = stream_of(kinds[k].mode, 0);
                int method, packed;
                if (sizes[i] > 100000 && what % 2) continue;
                fill(&seed, (filling)what, b->from, sizes[i]);
                packed = bench_round(b, &s, sizes[i], &method);
                if (what == NOISE) CHECK_EQ_INT(packed, 0);
                if (what == ZEROS && sizes[i] >= 64) CHECK(packed > 0 && packed <= 4);
                if (what == TEXT && sizes[i] >= 200) CHECK_EQ_INT(method, kinds[k].method);
                if (what == TEXT && sizes[i] >= 700) CHECK(packed < sizes[i] * 6 / 10);
            }
    bench_end(b);
}

TEST(room_to_spare_is_no_reason_to_grow) {
    bench *b = bench_start();
    uint64_t seed = 14;
    for (int k = 0; k < KINDS; k++)
        for (int size = 8; size < 1200; size += 7) {
            wisp__compress_stream s = stream_of(kinds[k].mode, 0);
            int method;
            fill(&seed, NOISE, b->from, size);
            CHECK_EQ_INT(pack_block(&b->compress, &s, ALL_METHODS,
                                    wisp__block_of(b->from, size, b->packed, MIB), &method), 0);
        }
    bench_end(b);
}

TEST(one_context_serves_blocks_in_any_order_after_any_failure) {
    bench *b = bench_start();
    uint64_t seed = 2;
    for (int k = 0; k < KINDS; k++) {
        wisp__compress_stream s = stream_of(kinds[k].mode, 0);
        for (int i = 0; i < 600; i++) {
            int method, size = 8 + test_random_below(&seed, i % 10 ? 1200 : 100000);
            fill(&seed, (filling)test_random_below(&seed, FILLINGS), b->from, size);
            bench_round(b, &s, size, &method);
            low_random_bytes(&seed, b->packed, 40);
            unpack_block(&b->compress, kinds[k].method, 0,
                         wisp__block_of(b->packed, 40, b->back, 1000));
        }
    }
    bench_end(b);
}

TEST(the_same_block_packs_the_same_whatever_went_before) {
    bench *b = bench_start();
    uint64_t seed = 3;
    static unsigned char text[1200], first[1200], again[1200];
    fill(&seed, TEXT, text, 1200);
    for (int k = 0; k < KINDS; k++) {
        wisp__compress_stream s = stream_of(kinds[k].mode, 0);
        int method, size = pack_block(&b->compress, &s, ALL_METHODS,
                                      wisp__block_of(text, 1200, first, 1200), &method);
        for (int i = 0; i < SIZES; i++) {
            fill(&seed, MIXED, b->from, sizes[i]);
            bench_round(b, &s, sizes[i], &method);
            CHECK_EQ_INT(pack_block(&b->compress, &s, ALL_METHODS,
                                    wisp__block_of(text, 1200, again, 1200), &method), size);
            CHECK_EQ_MEM(first, again, size);
        }
    }
    bench_end(b);
}

TEST(once_ready_a_context_takes_no_more_memory) {
    bench *b = bench_start();
    uint64_t seed = 4;
    uint32_t id = bench_dictionary(b, 30000);
    long long calls;
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_AUTO, 0), WISP_OK);
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_AUTO, id), WISP_OK);
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_DEFLATE, 0), WISP_OK);
    calls = b->memory.calls;
    CHECK_EQ_INT(calls, 1 + 5);
    for (int k = 0; k < KINDS; k++)
        for (int i = 0; i < SIZES; i++) {
            wisp__compress_stream s = stream_of(kinds[k].mode, 0);
            int method;
            fill(&seed, TEXT, b->from, sizes[i]);
            bench_round(b, &s, sizes[i], &method);
            if (kinds[k].mode == WISP_COMPRESSION_DEFLATE) continue;
            s = stream_of(kinds[k].mode, id);
            bench_round(b, &s, sizes[i], &method);
        }
    CHECK_EQ_INT(b->memory.calls, calls);
    bench_end(b);
}

TEST(a_context_is_as_large_as_the_header_says) {
    static const int most[KINDS] = { 17 << 10, 1 << 10, MIB };
    for (int k = 0; k < KINDS; k++) {
        bench *b = bench_start();
        CHECK_EQ_INT(wisp__compress_ready(&b->compress, kinds[k].mode, 0), WISP_OK);
        CHECK(b->memory.held <= most[k]);
        CHECK(b->base.stats.memory == (uint64_t)b->memory.held);
        bench_end(b);
    }
}

TEST(each_allocation_may_fail) {
    for (int k = 0; k < KINDS; k++)
        for (int with = 0; with < 2; with++)
            for (int after = 0; after < 3; after++) {
                bench *b = bench_start();
                uint32_t id = with ? bench_dictionary(b, 5000) : 0;
                wisp_result result;
                b->memory.fail_after = after;
                result = wisp__compress_ready(&b->compress, kinds[k].mode, id);
                if (kinds[k].mode == WISP_COMPRESSION_DEFLATE && with)
                    CHECK_EQ_INT(result, WISP_E_UNSUPPORTED);
                else
                    CHECK_EQ_INT(result, after ? WISP_OK : WISP_E_MEMORY);
                bench_end(b);
            }
}

/* --- hostile bytes --- */

TEST(a_bomb_is_an_error_of_each) {
    bench *b = bench_start();
    memset(b->from, 0, MIB);
    for (int k = 0; k < KINDS; k++) {
        void *context;
        int packed;
        long long held;
        CHECK_EQ_INT(wisp__compress_open(&b->compress, kinds[k].method, 0, &context), WISP_OK);
        held = b->memory.held;
        packed = kinds[k].compressor->compress(context, b->from, MIB, b->packed, MIB);
        CHECK(packed > 0 && packed < MIB / 100);
        for (int expected = 1; expected < 2 * MIB; expected = expected * 3 + 1) {
            int room = expected < MIB ? expected : MIB - 1;
            b->back[room] = 0x22;
            CHECK_EQ_INT(unpack_block(&b->compress, kinds[k].method, 0,
                                      wisp__block_of(b->packed, packed, b->back,
                                                     room)), WISP_E_COMPRESSED);
            CHECK(b->back[room] == 0x22);
        }
        CHECK_EQ_INT(b->memory.largest, held);
    }
    bench_end(b);
}

TEST(fewer_bytes_than_expected_are_an_error_of_each) {
    bench *b = bench_start();
    uint64_t seed = 5;
    fill(&seed, TEXT, b->from, 1000);
    for (int k = 0; k < KINDS; k++) {
        wisp__compress_stream s = stream_of(kinds[k].mode, 0);
        int method, packed = bench_round(b, &s, 1000, &method);
        CHECK_EQ_INT(unpack_block(&b->compress, method, 0,
                                  wisp__block_of(b->packed, packed, b->back, 1001)),
                     WISP_E_COMPRESSED);
        CHECK_EQ_INT(unpack_block(&b->compress, method, 0,
                                  wisp__block_of(b->packed, packed, b->back, 999)),
                     WISP_E_COMPRESSED);
    }
    bench_end(b);
}

TEST(cut_off_or_prolonged_bytes_are_an_error_of_each) {
    bench *b = bench_start();
    uint64_t seed = 6;
    fill(&seed, TEXT, b->from, 1000);
    for (int k = 0; k < KINDS; k++) {
        wisp__compress_stream s = stream_of(kinds[k].mode, 0);
        int method, packed = bench_round(b, &s, 1000, &method);
        for (int size = 0; size <= packed + 8; size++) {
            if (size > packed) b->packed[size - 1] = 0;
            CHECK_EQ_INT(unpack_block(&b->compress, method, 0,
                                      wisp__block_of(b->packed, size, b->back, 1000)),
                         size == packed ? WISP_OK : WISP_E_COMPRESSED);
        }
    }
    bench_end(b);
}

TEST(mangled_bytes_stay_within_their_bounds) {
    bench *b = bench_start();
    uint64_t seed = 7;
    uint32_t id = bench_dictionary(b, 3000);
    for (int i = 0; i < 6000; i++) {
        int k = i % KINDS, size = 100 + test_random_below(&seed, 400), method, packed;
        uint32_t with = i % 2 && k != 1 ? id : 0;
        wisp__compress_stream s = stream_of(kinds[k].mode, with);
        wisp_result result;
        unsigned char *exact;
        fill(&seed, TEXT, b->from, size);
        packed = bench_round(b, &s, size, &method);
        if (!packed) continue;
        for (int flips = test_random_below(&seed, 3); flips >= 0; flips--)
            b->packed[test_random_below(&seed, packed)] ^=
                (unsigned char)(1 << test_random_below(&seed, 8));
        exact = (unsigned char *)malloc((size_t)size);
        if (!exact) break;
        result = unpack_block(&b->compress, method, with,
                              wisp__block_of(b->packed, packed, exact, size));
        CHECK(result == WISP_OK || result == WISP_E_COMPRESSED);
        free(exact);
    }
    bench_end(b);
}

/* Bytes with nothing readable behind them: no sanitizer looks into the libraries. */
typedef struct fence {
    unsigned char *pages, *end;
    size_t         size;
} fence;

enum { FENCED = 700 };     /* bytes unpacked */

static fence fence_start(void) {
    fence f;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    f.size = 2 * page;
    f.pages = (unsigned char *)mmap(NULL, f.size, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    f.end = f.pages + page;
    CHECK_EQ_INT(mprotect(f.end, page, PROT_NONE), 0);
    return f;
}

static wisp_result unpack_fenced(bench *b, const fence *f, int kind, uint32_t with,
                                 const unsigned char *bytes, int count) {
    unsigned char *at = f->end - count;
    if (count) memcpy(at, bytes, (size_t)count);
    return unpack_block(&b->compress, kinds[kind].method, with,
                        wisp__block_of(at, count, b->back, FENCED));
}

/* Every beginning of a few bytes, whole frames, and frames with a few bytes more behind them. */
TEST(nothing_is_read_behind_the_end) {
    bench *b = bench_start();
    fence f = fence_start();
    uint64_t seed = 21;
    uint32_t ids[2] = { 0, 0 };
    ids[1] = bench_dictionary(b, 3000);
    for (int k = 0; k < KINDS; k++)
        for (int i = 0; i < 256 * 10; i++) {
            unsigned char bytes[16];
            uint32_t with = k != 1 ? ids[i & 1] : 0;
            wisp_result result;
            low_random_bytes(&seed, bytes, (int)sizeof bytes);
            bytes[0] = (unsigned char)(i / 10);
            if (i % 3) bytes[2] = (unsigned char)(bytes[2] & 7), bytes[3] = 0;
            result = unpack_fenced(b, &f, k, with, bytes, i % 10);
            CHECK(result == WISP_OK || result == WISP_E_COMPRESSED);
        }
    for (int k = 0; k < KINDS; k++)
        for (int with = 0; with < (k == 1 ? 1 : 2); with++) {
            wisp__compress_stream s = stream_of(kinds[k].mode, ids[with]);
            int method, packed;
            fill(&seed, TEXT, b->from, FENCED);
            packed = bench_round(b, &s, FENCED, &method);
            if (!CHECK(packed > 0)) continue;
            CHECK_EQ_INT(unpack_fenced(b, &f, k, ids[with], b->packed, packed), WISP_OK);
            memset(b->packed + packed, 0, 8);
            for (int more = 1; more <= 8; more++)
                CHECK_EQ_INT(unpack_fenced(b, &f, k, ids[with], b->packed, packed + more),
                             WISP_E_COMPRESSED);
            for (int less = 1; less < packed; less++)
                CHECK_EQ_INT(unpack_fenced(b, &f, k, ids[with], b->packed, packed - less),
                             WISP_E_COMPRESSED);
        }
    munmap(f.pages, f.size);
    bench_end(b);
}

/* All that a frame's head may say, made by libzstd itself. */
TEST(the_end_of_every_frame_is_found) {
    ZSTD_CCtx *z = ZSTD_createCCtx();
    static unsigned char from[200000], frame[210000];
    uint64_t seed = 22;
    for (int i = 0; i < 64; i++) {
        static const int lengths[] = { 0, 1, 100, 300, 70000, 200000 };
        int size = lengths[i % 6];
        size_t count;
        fill(&seed, (filling)(i % FILLINGS), from, size);
        ZSTD_CCtx_reset(z, ZSTD_reset_session_and_parameters);
        ZSTD_CCtx_setParameter(z, ZSTD_c_format, ZSTD_f_zstd1_magicless);
        ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, i & 1);
        ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, i >> 1 & 1);
        ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, i & 4 ? 10 : 17);
        count = ZSTD_compress2(z, frame, sizeof frame, from, (size_t)size);
        if (!CHECK(!ZSTD_isError(count))) break;
        CHECK_EQ_INT(wisp__zstd_frame_bytes(frame, (int64_t)count), count);
        CHECK_EQ_INT(wisp__zstd_frame_bytes(frame, (int64_t)count + 5), count);
        CHECK_EQ_INT(wisp__zstd_frame_bytes(frame, (int64_t)count - 1), 0);
    }
    ZSTD_freeCCtx(z);
}

/* --- forms --- */

TEST(blocks_are_of_the_public_formats) {
    bench *b = bench_start();
    uint64_t seed = 8;
    static unsigned char frame[1200 + 4] = { 0x28, 0xb5, 0x2f, 0xfd };
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_LZ4, 0);
    int method, packed;
    fill(&seed, TEXT, b->from, 1200);
    packed = bench_round(b, &s, 1200, &method);
    CHECK_EQ_INT(LZ4_decompress_safe((const char *)b->packed, (char *)b->back, packed, 1200), 1200);
    s = stream_of(WISP_COMPRESSION_ZSTD, 0);
    packed = bench_round(b, &s, 1200, &method);
    CHECK_EQ_INT(b->packed[0], 0);              /* no size, no dictionary id, no checksum */
    memcpy(frame + 4, b->packed, (size_t)packed);
    memset(b->back, 0, 1200);
    CHECK_EQ_INT(ZSTD_decompress(b->back, 1200, frame, (size_t)packed + 4), 1200);
    CHECK_EQ_MEM(b->back, b->from, 1200);
    bench_end(b);
}

/* --- dictionaries --- */

TEST(a_dictionary_makes_packets_much_smaller) {
    static const int dictionaries[] = { 1, 7, 500, 30000, 66000, 150000 };
    bench *b = bench_start();
    for (int d = 0; d < 6; d++) {
        uint32_t id = bench_dictionary(b, dictionaries[d]);
        for (int k = 0; k < KINDS; k += 2)
            for (int i = 0; i < SIZES; i++) {
                wisp__compress_stream s = stream_of(kinds[k].mode, 0);
                uint64_t seed = (uint64_t)(40 + i);
                int method, plain, with;
                fill(&seed, TEXT, b->from, sizes[i]);
                plain = bench_round(b, &s, sizes[i], &method);
                s = stream_of(kinds[k].mode, id);
                with = bench_round(b, &s, sizes[i], &method);
                if (sizes[i] < 200 || sizes[i] > 1200 || dictionaries[d] < 500) continue;
                CHECK(with > 0 && with * 100 < plain * 95);
            }
    }
    bench_end(b);
}

TEST(another_dictionary_does_not_unpack_it) {
    bench *b = bench_start();
    uint64_t seed = 9;
    uint32_t right = bench_dictionary(b, 3000), wrong = bench_dictionary(b, 40);
    fill(&seed, TEXT, b->from, 300);
    for (int k = 0; k < KINDS; k += 2) {
        wisp__compress_stream s = stream_of(kinds[k].mode, right);
        int method, packed = bench_round(b, &s, 300, &method);
        wisp_result result = unpack_block(&b->compress, method, wrong,
                                          wisp__block_of(b->packed, packed, b->back, 300));
        CHECK(result == WISP_E_COMPRESSED || memcmp(b->from, b->back, 300));
        CHECK_EQ_INT(unpack_block(&b->compress, method, 0,
                                  wisp__block_of(b->packed, packed, b->back, 300)),
                     WISP_E_COMPRESSED);
    }
    bench_end(b);
}

TEST(deflate_has_no_dictionary) {
    bench *b = bench_start();
    uint64_t seed = 10;
    int method;
    uint32_t id = bench_dictionary(b, 3000);
    wisp__compress_stream s = stream_of(WISP_COMPRESSION_DEFLATE, id);
    CHECK_EQ_INT(wisp__compress_ready(&b->compress, WISP_COMPRESSION_DEFLATE, id),
                 WISP_E_UNSUPPORTED);
    fill(&seed, TEXT, b->from, 700);
    CHECK_EQ_INT(bench_round(b, &s, 700, &method), 0);
    CHECK_EQ_INT(unpack_block(&b->compress, WISP__DEFLATE, id,
                              wisp__block_of(b->from, 700, b->back, 700)),
                 WISP_E_UNSUPPORTED);
    bench_end(b);
}

/* --- auto --- */

TEST(auto_costs_little_on_noise) {
    for (int size = 200; size <= MIB; size *= 17) {
        bench *b = bench_start();
        uint64_t seed = 11;
        wisp__compress_stream s = stream_of(WISP_COMPRESSION_AUTO, 0);
        int method;
        for (int i = 0; i < (size < MIB / 4 ? 2000 : 20); i++) {
            fill(&seed, NOISE, b->from, size < 10000 ? size : i ? 0 : size);
            CHECK_EQ_INT(bench_round(b, &s, size, &method), 0);
        }
        CHECK(b->compress.cost.tried * 20 < b->compress.cost.seen);
        bench_end(b);
    }
}

/* It may lose to the best while it compares, and by what it holds zstd's time to be worth. */
TEST(auto_is_nearly_as_small_as_the_best_of_them) {
    for (int what = ZEROS; what < FILLINGS; what++)
        for (int size = 200; size <= 5000; size *= 15) {
            long long sum[KINDS + 1] = { 0 }, best = (long long)size * 200;
            static const wisp_compression modes[] = {
                WISP_COMPRESSION_LZ4, WISP_COMPRESSION_ZSTD, WISP_COMPRESSION_AUTO
            };
            bench *b = bench_start();
            for (int m = 0; m < 3; m++) {
                wisp__compress_stream s = stream_of(modes[m], 0);
                uint64_t seed = 12;
                for (int i = 0; i < 200; i++) {
                    int method, packed;
                    fill(&seed, (filling)what, b->from, size);
                    packed = bench_round(b, &s, size, &method);
                    sum[m] += packed ? packed : size;
                }
                if (m < 2 && sum[m] < best) best = sum[m];
            }
            CHECK(sum[2] <= best + (long long)size * 200 / 14);
            bench_end(b);
        }
}

/* --- wisp_train --- */

/* Payloads like those of one remote, some kept back. */
TEST(a_trained_dictionary_saves_more_than_none) {
    bench *b = bench_start();
    train t;
    uint64_t seed = 13;
    long long plain = 0, with = 0;
    uint32_t id;
    char why[TRAIN_WHY];
    train_start(&t);
    for (int i = 0; i < 2000; i++) {
        unsigned char payload[300];
        int size = 100 + test_random_below(&seed, 200);
        fill(&seed, TEXT, payload, size);
        train_add(&t, payload, (size_t)size);
    }
    CHECK(train_run(&t, 4096, why));
    CHECK(t.dictionary_bytes > 256 && t.dictionary_bytes <= 4096);
    CHECK_EQ_INT(t.held.count, 200);
    CHECK(t.with_bytes < t.plain_bytes && t.plain_bytes <= t.held.used);
    CHECK_EQ_INT(wisp__compress_dictionary(&b->compress, t.dictionary, (int)t.dictionary_bytes,
                                           &id),
                 WISP_OK);
    for (int i = 0; i < 100; i++) {
        wisp__compress_stream s = stream_of(WISP_COMPRESSION_ZSTD, 0);
        int method;
        fill(&seed, TEXT, b->from, 200);
        plain += bench_round(b, &s, 200, &method);
        s = stream_of(WISP_COMPRESSION_ZSTD, id);
        with += bench_round(b, &s, 200, &method);
        s = stream_of(WISP_COMPRESSION_LZ4, id);
        CHECK(bench_round(b, &s, 200, &method) > 0);
    }
    CHECK(with * 10 < plain * 7);
    train_end(&t);
    bench_end(b);
}

TEST(a_trainer_with_nothing_to_learn_from_says_so) {
    train t;
    char why[TRAIN_WHY] = "";
    train_start(&t);
    CHECK(!train_run(&t, 4096, why));
    CHECK(why[0] != 0);
    train_add(&t, (const unsigned char *)"abc", 3);
    CHECK(!train_run(&t, 4096, why));
    train_end(&t);
}

TEST(length_prefixed_payloads_are_taken_whole_or_refused) {
    static const unsigned char good[] = { 2, 0, 0, 0, 'a', 'b', 0, 0, 0, 0, 1, 0, 0, 0, 'c' };
    static const unsigned char huge[] = { 255, 255, 255, 255, 'a' };
    train t;
    train_start(&t);
    CHECK_EQ_INT(train_add_list(&t, good, sizeof good), 3);
    CHECK_EQ_INT(t.count, 2);                   /* an empty one teaches nothing */
    CHECK_EQ_INT(train_add_list(&t, good, sizeof good - 1), -1);
    CHECK_EQ_INT(train_add_list(&t, good, 3), -1);
    CHECK_EQ_INT(train_add_list(&t, huge, sizeof huge), -1);
    CHECK_EQ_INT(train_add_list(&t, good, 0), 0);
    train_end(&t);
}

/* --- endpoints --- */

TEST(each_plugs_into_an_endpoint) {
    wisp_pipe pipe;
    wisp_desc desc;
    wisp *w;
    memset(&pipe, 0, sizeof pipe);
    memset(&desc, 0, sizeof desc);
    desc.link = wisp_loopback(&pipe, 0);
    desc.app = "test";
    desc.seed = 1;
    w = wisp_create(&desc, NULL);
    if (!CHECK(w != NULL)) return;
    CHECK_EQ_INT(wisp_use_lz4(w), WISP_OK);
    CHECK_EQ_INT(wisp_use_deflate(w), WISP_OK);
    CHECK_EQ_INT(wisp_use_zstd(w), WISP_OK);
    CHECK_EQ_INT(wisp_use_lz4(w), WISP_OK);
    CHECK_EQ_INT(wisp_use_lz4(NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_use_deflate(NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_use_zstd(NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_add_compressor(w, NULL), WISP_E_ARGUMENT);
    wisp_destroy(w);
    wisp_pipe_free(&pipe);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        CASE(blocks_of_every_size_come_back_smaller_or_not_at_all),
        CASE(room_to_spare_is_no_reason_to_grow),
        CASE(one_context_serves_blocks_in_any_order_after_any_failure),
        CASE(the_same_block_packs_the_same_whatever_went_before),
        CASE(once_ready_a_context_takes_no_more_memory),
        CASE(a_context_is_as_large_as_the_header_says),
        CASE(each_allocation_may_fail),
        CASE(a_bomb_is_an_error_of_each),
        CASE(fewer_bytes_than_expected_are_an_error_of_each),
        CASE(cut_off_or_prolonged_bytes_are_an_error_of_each),
        CASE(mangled_bytes_stay_within_their_bounds),
        CASE(nothing_is_read_behind_the_end),
        CASE(the_end_of_every_frame_is_found),
        CASE(blocks_are_of_the_public_formats),
        CASE(a_dictionary_makes_packets_much_smaller),
        CASE(another_dictionary_does_not_unpack_it),
        CASE(deflate_has_no_dictionary),
        CASE(auto_costs_little_on_noise),
        CASE(auto_is_nearly_as_small_as_the_best_of_them),
        CASE(a_trained_dictionary_saves_more_than_none),
        CASE(a_trainer_with_nothing_to_learn_from_says_so),
        CASE(length_prefixed_payloads_are_taken_whole_or_refused),
        CASE(each_plugs_into_an_endpoint),
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
