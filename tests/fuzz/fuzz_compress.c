/* fuzz_compress.c - blocks packed and unpacked by a script, and bytes that nobody has packed

   The input is a script of operations on one squeeze: dictionaries and compressors come and go,
   streams of every mode pack blocks of any shape, what was packed is unpacked, whole or damaged,
   and any bytes are unpacked by any method. What is packed comes back, is never larger, and nothing
   is written past its end; memory fails now and then, and all of it is given back.
*/
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"
#include "../support/packed_blocks.h"

enum { BLOCK_MAX = 3000, STREAMS = 4, OPERATIONS = 400, GUARD = 0xa7 };

/* Keeps every other byte of a block in which bytes come in twos. */
typedef struct halver { wisp_allocator from; } halver;

static void *halver_open(const wisp_compressor *c, const wisp_allocator *from,
                         const void *dictionary, int dictionary_bytes) {
    halver *h;
    if (dictionary_bytes > 20) return NULL;
    MUST((dictionary != NULL) == (dictionary_bytes > 0) && c->user);
    h = (halver *)from->alloc(from->user, sizeof *h);
    if (h) h->from = *from;
    return h;
}

static void halver_close(const wisp_compressor *c, void *context) {
    wisp_allocator from = ((halver *)context)->from;
    MUST(c->user);
    from.free(from.user, context, sizeof(halver));
}

static int halver_compress(void *context, const void *from, int size, void *to, int capacity) {
    const uint8_t *bytes = (const uint8_t *)from;
    MUST(context && size > 0 && capacity > 0 && capacity < size);
    if (size / 2 > capacity) return 0;
    if (bytes[0] == 0xee) return capacity + 7;          /* a liar */
    for (int i = 0; i < size / 2; i++) {
        if (bytes[2 * i] != bytes[2 * i + 1]) return -1;
        ((uint8_t *)to)[i] = bytes[2 * i];
    }
    return size % 2 ? -1 : size / 2;
}

static int halver_decompress(void *context, const void *from, int size, void *to, int capacity) {
    MUST(context && size > 0 && capacity > 0);
    if (size > capacity / 2) return -1;
    for (int i = 0; i < size * 2; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i / 2];
    return size * 2;
}

typedef struct world {
    script               in;
    account               memory;
    wisp__base           base;
    wisp__compress        compress;
    wisp__compress_stream streams[STREAMS];
    uint32_t             ids[2];
    uint8_t              from[BLOCK_MAX + 1], packed[BLOCK_MAX + 1], back[BLOCK_MAX + 1];
    int                  size, packed_size, method;     /* of what was packed last */
    uint32_t             dictionary;
} world;

/* Stretches of one byte, of pairs and of anything. */
static void fill(world *f) {
    f->size = take16(&f->in) % (BLOCK_MAX + 1);
    for (int at = 0; at < f->size;) {
        int kind = take(&f->in), count = 1 + take(&f->in) * (kind & 8 ? 9 : 1), byte = kind >> 4;
        for (; count > 0 && at < f->size; count--, at++)
            f->from[at] = (kind & 3) == 0 ? 0
                        : (kind & 3) == 1 ? (uint8_t)byte
                        : (kind & 3) == 2 && at % 2 ? f->from[at - 1] : take(&f->in);
    }
}

static void unpack_last(world *f) {
    wisp_result result;
    f->back[f->size] = GUARD;
    result = unpack_block(&f->compress, f->method, f->dictionary,
                          wisp__block_of(f->packed, f->packed_size, f->back, f->size));
    MUST(f->back[f->size] == GUARD);
    if (result == WISP_E_MEMORY) return;
    MUST(result == WISP_OK && memcmp(f->from, f->back, (size_t)f->size) == 0);
}

static void pack(world *f) {
    wisp__compress_stream *s = &f->streams[take_below(&f->in, STREAMS)];
    unsigned methods = take(&f->in);
    int capacity;
    fill(f);
    capacity = take(&f->in) & 3 ? f->size : take16(&f->in) % (BLOCK_MAX + 1);
    f->packed[capacity] = GUARD;
    f->packed_size = pack_block(&f->compress, s, methods,
                                wisp__block_of(f->from, f->size, f->packed, capacity), &f->method);
    MUST(f->packed[capacity] == GUARD);
    MUST(f->packed_size >= 0 && f->packed_size <= capacity);
    MUST(f->packed_size < f->size || f->packed_size == 0);
    MUST((f->packed_size == 0) == (f->method == WISP__STORED));
    MUST(f->method <= WISP__RUNS || (methods >> f->method & 1));
    f->dictionary = s->dictionary;
    if (f->packed_size) unpack_last(f);
}

/* What was packed last, with a byte changed, cut off, or for another size. */
static void unpack_damaged(world *f) {
    int at = take16(&f->in), expected = f->size;
    wisp_result result;
    if (f->packed_size == 0) return;
    f->packed[at % f->packed_size] ^= take(&f->in);
    if (take(&f->in) & 1) expected = take16(&f->in) % (BLOCK_MAX + 1);
    if (take(&f->in) & 1) f->packed_size = at % f->packed_size;
    f->back[expected] = GUARD;
    result = unpack_block(&f->compress, f->method, f->dictionary,
                          wisp__block_of(f->packed, f->packed_size, f->back, expected));
    MUST(result == WISP_OK || result == WISP_E_COMPRESSED || result == WISP_E_MEMORY);
    MUST(f->back[expected] == GUARD);
    f->packed_size = 0;
}

/* The bytes stand in a block of their own size, so that a read beyond them is seen. */
static void unpack_anything(world *f) {
    int method = take_below(&f->in, 10) - 1, size = take16(&f->in) % 600;
    int expected = take16(&f->in) % (BLOCK_MAX + 1);
    uint32_t dictionary = take(&f->in) & 1 ? f->ids[take(&f->in) & 1] : take(&f->in);
    uint8_t *bytes = (uint8_t *)malloc(size ? (size_t)size : 1);
    wisp_result result;
    MUST(bytes);
    for (int i = 0; i < size; i++) bytes[i] = take(&f->in);
    f->back[expected] = GUARD;
    result = unpack_block(&f->compress, method, dictionary,
                          wisp__block_of(bytes, size, f->back, expected));
    MUST(result == WISP_OK || result == WISP_E_COMPRESSED || result == WISP_E_UNSUPPORTED ||
         result == WISP_E_MEMORY);
    MUST(f->back[expected] == GUARD);
    free(bytes);
}

static void plug_in(world *f) {
    wisp_compressor c;
    int mode = take_below(&f->in, 24);
    memset(&c, 0, sizeof c);
    c.mode = mode;
    c.name = "halver";
    c.open = halver_open;
    c.close = halver_close;
    c.compress = halver_compress;
    c.decompress = halver_decompress;
    c.user = f;
    if (wisp__compress_add(&f->compress, &c) == WISP_OK)
        MUST(wisp__compress_can(&f->compress, mode) == WISP_OK);
    f->packed_size = 0;
}

static void add_dictionary(world *f) {
    uint8_t bytes[32];
    int size = take_below(&f->in, 33);
    uint32_t id;
    for (int i = 0; i < size; i++) bytes[i] = take(&f->in);
    if (wisp__compress_dictionary(&f->compress, bytes, size, &id) != WISP_OK) return;
    MUST(id != 0);
    f->ids[take(&f->in) & 1] = id;
}

static void open_stream(world *f) {
    int mode = WISP_COMPRESSION_NONE + take_below(&f->in, 20);
    uint32_t id = take(&f->in) & 1 ? f->ids[take(&f->in) & 1] : 0;
    wisp__compress_ready(&f->compress, mode, id);
    wisp__compress_stream_init(&f->streams[take_below(&f->in, STREAMS)], mode, id);
}

static void operate(world *f) {
    switch (take_below(&f->in, 12)) {
    case 0: plug_in(f); break;
    case 1: add_dictionary(f); break;
    case 2: open_stream(f); break;
    case 3: case 4: unpack_damaged(f); break;
    case 5: case 6: case 7: unpack_anything(f); break;
    case 8: f->memory.fails_in = take_below(&f->in, 4); break;
    default: pack(f); break;
    }
    check_compress(&f->compress);
    MUST(f->base.stats.memory == f->memory.held);
    MUST(f->memory.held <= 4096 + 100 * sizeof(halver));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static world world_of_one;
    world *f = &world_of_one;
    memset(f, 0, sizeof *f);
    f->in.data = data;
    f->in.size = size;
    f->base.memory = memory_allocator(&f->memory);
    wisp__compress_init(&f->compress, &f->base);
    for (int i = 0; i < STREAMS; i++)
        wisp__compress_stream_init(&f->streams[i], WISP_COMPRESSION_AUTO + i, 0);
    for (int i = 0; i < OPERATIONS && !script_ended(&f->in); i++) operate(f);
    wisp__compress_free(&f->compress);
    MUST(f->memory.held == 0);
    return 0;
}
