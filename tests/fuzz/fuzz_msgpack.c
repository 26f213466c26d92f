/* fuzz_msgpack.c - any bytes, read as MessagePack

   The first byte chooses how much memory there is: all that is promised to be enough, or too
   little. What is read is looked at byte by byte, written, and must then be read as the same
   value, from bytes that are no more than those it came from and that are written the same once
   more. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"
#include "../support/straight_struct.h"

enum { INPUT_MOST = 1 << 14, PER_BYTE = 96 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Memory for what is read, no larger than is told, so that a write beyond it is seen. */
typedef struct room_for {
    void *memory;
    int   size;
} room_for;

static room_for memory_of(int size) {
    room_for made;
    made.memory = malloc(size > 0 ? (size_t)size : 1);
    made.size = size;
    MUST(made.memory);
    return made;
}

static int decode_bytes(const uint8_t *bytes, int size, wisp_value *out, room_for room) {
    return wisp_msgpack()->decode(wisp_msgpack(), NULL, bytes, size, out, room.memory, room.size);
}

static int encode_value(const wisp_value *value, uint8_t *out, int capacity) {
    return wisp_msgpack()->encode(wisp_msgpack(), NULL, value, out, capacity);
}

static bool is_list(const wisp_value *value) {
    return value->kind == WISP_ARRAY || value->kind == WISP_MAP;
}

static int depth_of(const wisp_value *value) {
    int deepest = 0;
    if (!is_list(value)) return 0;
    for (int i = 0; i < value->count; i++) {
        int depth = depth_of(wisp_element_of(value, i));
        if (depth > deepest) deepest = depth;
    }
    return deepest + 1;
}

/* Reads every byte that a value points to; returns something that depends on them. */
static uint64_t look(const wisp_value *value) {
    uint64_t sum = (uint64_t)value->kind;
    int size = 0;
    const char *text = wisp_string_of(value, &size);
    for (int i = 0; i < size; i++) sum = sum * 31 + (uint8_t)text[i];
    if (value->kind == WISP_STRING) MUST(text[size] == 0);
    for (int i = 0; is_list(value) && i < value->count; i++) {
        if (value->kind == WISP_MAP) sum = sum * 31 + strlen(wisp_key_of(value, i));
        sum = sum * 31 + look(wisp_element_of(value, i));
    }
    return sum;
}

static void write_and_read(const wisp_value *value, int used) {
    static uint8_t bytes[INPUT_MOST + 1], again[INPUT_MOST + 1];
    int size = encode_value(value, bytes, INPUT_MOST), more;
    room_for room;
    wisp_value copy;
    MUST(size > 0 && size <= used);
    room = memory_of(size * PER_BYTE + 8);
    MUST(decode_bytes(bytes, size, &copy, room) == size);
    MUST(look(&copy) == look(value));
    more = encode_value(&copy, again, INPUT_MOST);
    MUST(more == size && memcmp(bytes, again, (size_t)size) == 0);
    for (int capacity = size - 1; capacity >= 0; capacity -= 1 + size / 16)
        MUST(encode_value(value, again, capacity) == WISP_E_TOO_BIG);
    free(room.memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static volatile uint64_t seen;
    wisp_value value;
    room_for room;
    int used, enough, promised;
    script in = { NULL, 0, 0 };
    in.data = data;
    in.size = size;
    straight_agrees(wisp_msgpack(), &in);
    if (size < 1 || size > INPUT_MOST) return 0;
    promised = (int)(size - 1) * PER_BYTE + 8;
    enough = data[0] & 1 ? promised * (data[0] >> 1) / 256 : promised;
    room = memory_of(enough);
    value = wisp_nil();
    used = decode_bytes(data + 1, (int)size - 1, &value, room);
    MUST(used != 0 && used < (int)size);
    if (used > 0) {
        MUST(depth_of(&value) <= 256);
        seen = seen + look(&value);
        write_and_read(&value, used);
    } else {
        MUST(used == WISP_E_SYNTAX || used == WISP_E_DEPTH || used == WISP_E_MEMORY);
        MUST(used != WISP_E_MEMORY || enough < promised);
    }
    free(room.memory);
    return 0;
}
