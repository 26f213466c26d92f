/* fuzz_schema.c - any bits as the descriptor of a schema, any bytes as a record of it

   What is understood is a schema: it compiles, and is described by bits that mean the same. What a
   record of it yields fits it, and packs again. With less memory there is an error, never a lesser
   schema.
*/
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLAN_BYTES = 1 << 21, SPACE_BYTES = 1 << 20, BITS_BYTES = 1 << 20 };

typedef struct descriptor { uint8_t *bytes; int bits; } descriptor;

static void *block_of(size_t size) {
    void *memory = malloc(size ? size : 1);
    MUST(memory != NULL);
    return memory;
}

static const wisp_schema *undescribe(const uint8_t *bytes, int bits, void *memory, int size,
                                     wisp_result *why) {
    wisp__reader from = wisp__reader_on(bytes, (bits + 7) / 8);
    wisp__bump bump = wisp__bump_on(memory, size);
    const wisp_schema *schema;
    from.end = bits;
    schema = wisp__undescribe(&from, &bump, why);
    MUST(schema ? *why == WISP_OK : *why == WISP_E_SCHEMA || *why == WISP_E_MEMORY);
    return schema;
}

/* NULL: it is longer than the input that made it, with room to spare. */
static descriptor describe(const wisp_schema *schema) {
    descriptor d;
    d.bytes = (uint8_t *)block_of(BITS_BYTES);
    memset(d.bytes, 0, BITS_BYTES);
    d.bits = wisp__describe(schema, d.bytes, BITS_BYTES);
    MUST(d.bits > 0);
    return d;
}

/* Described, learnt and described again: the same bits. */
static void describe_twice(const wisp_schema *schema) {
    descriptor first = describe(schema), second;
    void *memory = block_of(PLAN_BYTES);
    wisp_result why;
    const wisp_schema *again = undescribe(first.bytes, first.bits, memory, PLAN_BYTES, &why);
    MUST(again != NULL);
    second = describe(again);
    MUST(second.bits == first.bits);
    MUST(memcmp(first.bytes, second.bytes, (size_t)(first.bits + 7) / 8) == 0);
    free(first.bytes);
    free(second.bytes);
    free(memory);
}

/* What comes out of a record fits, and goes into one again that can be read. */
static void read_record(const wisp_schema *compiled, const uint8_t *data, int size) {
    const wisp_codec *pack = wisp_bitpack();
    void *memory = block_of(SPACE_BYTES), *more = block_of(SPACE_BYTES);
    uint8_t *bytes = (uint8_t *)block_of((size_t)SPACE_BYTES);
    char text[200];
    wisp_value value, again;
    int read = pack->decode(pack, compiled, data, size, &value, memory, SPACE_BYTES), written;
    if (read >= 0) {
        MUST(read <= size);
        look_at(&value);
        if (wisp_validate(compiled, &value, text, (int)sizeof text))
            script_stop(text, __FILE__, __LINE__);
        written = pack->encode(pack, compiled, &value, bytes, SPACE_BYTES);
        MUST(written >= 0 || written == WISP_E_TOO_BIG || written == WISP_E_MEMORY);
        if (written >= 0) {
            read = pack->decode(pack, compiled, bytes, written, &again, more, SPACE_BYTES);
            MUST(read == written || read == WISP_E_MEMORY);
        }
    }
    free(memory);
    free(more);
    free(bytes);
}

/* A script: how many bytes are the descriptor, which they are; the rest is the record. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    script s = { NULL, 0, 0 };
    int bytes, little, size;
    void *memory, *plan;
    const wisp_schema *schema, *compiled;
    wisp_result why;
    s.data = data;
    s.size = length > 65536 ? 65536 : length;
    bytes = take16(&s);
    little = take16(&s);
    if ((size_t)bytes > s.size - s.at) bytes = (int)(s.size - s.at);
    memory = block_of(PLAN_BYTES);
    schema = undescribe(data + s.at, bytes * 8, memory, PLAN_BYTES, &why);
    if (schema) {
        void *small = block_of((size_t)little);
        const wisp_schema *lesser = undescribe(data + s.at, bytes * 8, small, little, &why);
        MUST(lesser || why == WISP_E_MEMORY);
        if (lesser) {
            descriptor a = describe(schema), b = describe(lesser);
            MUST(a.bits == b.bits && memcmp(a.bytes, b.bytes, (size_t)(a.bits + 7) / 8) == 0);
            free(a.bytes);
            free(b.bytes);
        }
        free(small);
        describe_twice(schema);
        size = wisp_schema_bytes(schema);
        MUST(size > 0 && size <= 8 << 20);
        plan = block_of((size_t)size);
        compiled = wisp_schema_compile(schema, plan, size);
        MUST(compiled != NULL);
        read_record(compiled, data + s.at + bytes, (int)(s.size - s.at) - bytes);
        free(plan);
    }
    free(memory);
    return 0;
}
