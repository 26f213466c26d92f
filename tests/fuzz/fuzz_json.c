/* fuzz_json.c - any bytes as JSON

   What is accepted is written, read again and written again: value and text stay the same. The
   memory that is always enough is enough, and with less there is an error, never a wrong value.
*/
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"

enum { GROWTH = 6 };    /* a control character as an escape */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Exactly as large as asked for, so that a sanitizer sees a step beyond. */
static void *block_of(size_t size) {
    void *memory = malloc(size ? size : 1);
    MUST(memory != NULL);
    return memory;
}

/* Values of the same kinds and bits; maps in the same order. */
static bool same(const wisp_value *a, const wisp_value *b) {
    if (a->kind != b->kind || a->count != b->count) return false;
    for (int i = 0; i < a->count && a->kind == WISP_ARRAY; i++)
        if (!same(&a->as.array[i], &b->as.array[i])) return false;
    for (int i = 0; i < a->count && a->kind == WISP_MAP; i++)
        if (strcmp(a->as.map[i].key, b->as.map[i].key) != 0 ||
            !same(&a->as.map[i].value, &b->as.map[i].value)) return false;
    if (a->kind == WISP_STRING)
        return b->as.string[b->count] == 0 &&
               memcmp(a->as.string, b->as.string, (size_t)a->count) == 0;
    return a->kind == WISP_ARRAY || a->kind == WISP_MAP || wisp_equal(a, b);
}

/* A number that was read may be written as an integer, which is equal. */
static void write_and_read(const wisp_value *value, int size) {
    const wisp_codec *json = wisp_json();
    int room = GROWTH * size + 1, memory_size = (int)sizeof(wisp_value) * room + 16, written;
    char *text = (char *)block_of((size_t)room), *again = (char *)block_of((size_t)room);
    void *memory = block_of((size_t)memory_size), *more = block_of((size_t)memory_size);
    wisp_value first, second;
    written = json->encode(json, NULL, value, text, room);
    MUST(written > 0);
    MUST(json->decode(json, NULL, text, written, &first, memory, memory_size) == written);
    MUST(wisp_equal(value, &first));
    MUST(json->encode(json, NULL, &first, again, written) == written);
    MUST(memcmp(text, again, (size_t)written) == 0);
    MUST(json->decode(json, NULL, again, written, &second, more, memory_size) == written);
    MUST(same(&first, &second));
    MUST(json->encode(json, NULL, value, again, written - 1) == WISP_E_TOO_BIG);
    free(text);
    free(again);
    free(memory);
    free(more);
}

/* With less memory: the same value or none. */
static void read_with_little(const uint8_t *data, int size, const wisp_value *value, int little) {
    const wisp_codec *json = wisp_json();
    void *memory = block_of((size_t)little);
    wisp_value out;
    int result = json->decode(json, NULL, data, size, &out, memory, little);
    if (value && result != WISP_E_MEMORY) MUST(result == size && same(value, &out));
    if (!value) MUST(result < 0);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    const wisp_codec *json = wisp_json();
    int size = length > 65536 ? 65536 : (int)length, result;
    int memory_size = size * (int)sizeof(wisp_value) + 16;
    void *memory = block_of((size_t)memory_size);
    wisp_value value;
    result = json->decode(json, NULL, data, size, &value, memory, memory_size);
    MUST(result == size || result == WISP_E_SYNTAX || result == WISP_E_DEPTH ||
         result == WISP_E_LIMIT);
    if (result == WISP_E_SYNTAX || result == size)
        read_with_little(data, size, result < 0 ? NULL : &value,
                         size ? (data[size / 2] * 7 + size) % memory_size : 0);
    if (result > 0) write_and_read(&value, size);
    free(memory);
    return 0;
}
