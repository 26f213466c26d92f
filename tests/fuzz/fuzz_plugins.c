/* fuzz_plugins.c - LZ4, deflate and zstd with bytes that nobody has compressed, or compressed ones
   that were damaged

   Links with -llz4 -ldeflate -lzstd. The first byte of the input picks the compressor, whether
   there is a dictionary, and what is done: the rest is decompressed as it is, or it is compressed,
   must come back, is damaged at a place that the input names, and is decompressed again. Contexts
   live on from input to input, as they do in an endpoint. Nothing is written past what is expected,
   and no memory is taken once the contexts are there.
*/
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#define WISP_WITH_LZ4
#define WISP_WITH_DEFLATE
#define WISP_WITH_ZSTD
#include "../../wisp.h"
#include "../../wisp_compress.h"
#include "../support/fuzz_script.h"
#include "../support/packed_blocks.h"

enum { EXPECTED_MAX = 1 << 16, PACKED_MAX = 1 << 16 };

typedef struct world {
    account        memory;
    wisp__base    base;
    wisp__compress compress;
    uint32_t      dictionary;
    size_t        held;                 /* bytes, once all contexts are there */
} world;

static const char words[] =
    "{\"id\":1,\"hp\":100,\"name\":\"player\",\"alive\":true},"
    "{\"id\":2,\"hp\":50,\"pos\":[1.0,2.5]}";

static void open_all(world *f) {
    static const wisp_compression modes[] = {
        WISP_COMPRESSION_LZ4, WISP_COMPRESSION_DEFLATE, WISP_COMPRESSION_ZSTD
    };
    f->base.memory = memory_allocator(&f->memory);
    wisp__compress_init(&f->compress, &f->base);
    MUST(wisp__compress_add(&f->compress, &wisp__lz4_compressor) == WISP_OK);
    MUST(wisp__compress_add(&f->compress, &wisp__deflate_compressor) == WISP_OK);
    MUST(wisp__compress_add(&f->compress, &wisp__zstd_compressor) == WISP_OK);
    MUST(wisp__compress_dictionary(&f->compress, words, (int)sizeof words - 1, &f->dictionary) ==
         WISP_OK);
    for (int i = 0; i < 3; i++) {
        MUST(wisp__compress_ready(&f->compress, modes[i], 0) == WISP_OK);
        MUST(wisp__compress_ready(&f->compress, modes[i], f->dictionary) ==
             (modes[i] == WISP_COMPRESSION_DEFLATE ? WISP_E_UNSUPPORTED : WISP_OK));
    }
    f->held = f->memory.held;
}

/* Into a block of the size that is expected, so that a write beyond it is seen. */
static wisp_result unpack(world *f, int method, uint32_t dictionary, const uint8_t *from, int size,
                          int expected, const uint8_t *original) {
    uint8_t *to = (uint8_t *)malloc((size_t)expected + 1);
    wisp_result result;
    MUST(to);
    result = unpack_block(&f->compress, method, dictionary,
                          wisp__block_of(from, size, to, expected));
    MUST(result == WISP_OK || result == WISP_E_COMPRESSED);
    if (original) MUST(result == WISP_OK && memcmp(to, original, (size_t)expected) == 0);
    free(to);
    MUST(f->memory.held == f->held && f->memory.peak == f->held);
    return result;
}

static void pack_and_damage(world *f, int method, uint32_t dictionary, script *in) {
    static uint8_t packed[PACKED_MAX];
    wisp__compress_stream s;
    int at = take16(in), change = take(in), size = (int)(in->size - in->at), count, how;
    const uint8_t *bytes = in->data + in->at;
    wisp__compress_stream_init(&s, WISP_COMPRESSION_LZ4 + (method - WISP__LZ4), dictionary);
    count = pack_block(&f->compress, &s, 0xff, wisp__block_of(bytes, size, packed, PACKED_MAX),
                       &how);
    MUST(count >= 0 && (count < size || count == 0));
    if (!count) return;
    unpack(f, how, dictionary, packed, count, size, bytes);
    packed[at % count] ^= (uint8_t)change;
    unpack(f, how, dictionary, packed, count, size, NULL);
    unpack(f, how, dictionary, packed, at % count, size, NULL);
    unpack(f, how, dictionary, packed, count, at, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static world world_of_all;
    world *f = &world_of_all;
    script in = { NULL, 0, 0 };
    int what = size ? data[0] : 0, method = WISP__LZ4 + what % 3;
    uint32_t dictionary;
    if (!f->held) open_all(f);
    dictionary = what & 64 && method != WISP__DEFLATE ? f->dictionary : 0;
    in.data = data;
    in.size = size < PACKED_MAX ? size : PACKED_MAX;
    take(&in);
    if (what & 128) {
        pack_and_damage(f, method, dictionary, &in);
    } else {
        int expected = take16(&in);
        unpack(f, method, dictionary, in.data + in.at, (int)(in.size - in.at),
               expected % EXPECTED_MAX, NULL);
    }
    check_compress(&f->compress);
    return 0;
}
