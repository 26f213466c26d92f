/* protobuf_messages.h - set-up shared by the tests of protowire and protobuf

   Messages as text in hexadecimal, schemas of one field, and a bench with room for both ways.
   Included after wisp.h (with its implementation) and test_runner.h. */
#ifndef PROTOBUF_MESSAGES_H
#define PROTOBUF_MESSAGES_H

#include <stdlib.h>

enum { ROOM = 1 << 16 };     /* values in memory, bytes of a message */

typedef struct proto {
    uint64_t   memory[ROOM];
    uint8_t    bytes[ROOM], out[ROOM];
    int        size;
    wisp_value value;
} proto;

static inline proto *proto_of(void) {
    static proto b;
    return &b;
}

/* "08 96 01" as bytes behind those that are there; returns how many there are then. */
static inline int add_hex(uint8_t *to, int size, const char *hex) {
    static const char digits[] = "0123456789abcdef";
    for (; *hex; hex++) {
        if (*hex == ' ') continue;
        to[size++] = (uint8_t)((strchr(digits, hex[0]) - digits) << 4 |
                               (strchr(digits, hex[1]) - digits));
        hex++;
    }
    return size;
}

/* From a copy of just that size, so that a read beyond it is seen. */
static inline int decode_bytes(proto *b, const wisp_schema *schema, const uint8_t *bytes,
                               int size) {
    static uint8_t *last;
    free(last);
    last = (uint8_t *)malloc(size ? (size_t)size : 1);
    if (!last) return WISP_E_MEMORY;
    if (size) memcpy(last, bytes, (size_t)size);
    b->value = wisp_string("untouched");
    return wisp_protobuf()->decode(wisp_protobuf(), schema, last, size, &b->value, b->memory,
                                   (int)sizeof b->memory);
}

static inline int decode_hex(proto *b, const wisp_schema *schema, const char *hex) {
    b->size = add_hex(b->bytes, 0, hex);
    return decode_bytes(b, schema, b->bytes, b->size);
}

static inline bool reads(const wisp_schema *schema, const char *hex) {
    proto *b = proto_of();
    int result = decode_hex(b, schema, hex);
    return CHECK_EQ_INT(result, b->size);
}

static inline int encode(proto *b, const wisp_schema *schema, const wisp_value *value) {
    return wisp_protobuf()->encode(wisp_protobuf(), schema, value, b->out, (int)sizeof b->out);
}

/* Is the value written as these bytes? */
static inline bool writes(const wisp_schema *schema, wisp_value value, const char *hex) {
    proto *b = proto_of();
    uint8_t wanted[4096];
    int size = add_hex(wanted, 0, hex);
    return CHECK_EQ_INT(encode(b, schema, &value), size) && CHECK_EQ_MEM(b->out, wanted, size);
}

/* Are these bytes read, and the value written as those? */
static inline bool reads_as(const wisp_schema *schema, const char *hex, const char *canonical) {
    proto *b = proto_of();
    wisp_value value;
    if (!reads(schema, hex)) return false;
    value = b->value;
    return writes(schema, value, canonical);
}

static inline bool refuses(const wisp_schema *schema, const char *hex, wisp_result result) {
    proto *b = proto_of();
    return CHECK_EQ_INT(decode_hex(b, schema, hex), result) &&
           CHECK_EQ_STR(b->value.as.string, "untouched");
}

/* Written so, and read back equal. */
static inline bool round_trips(const wisp_schema *schema, wisp_value value, const char *hex) {
    proto *b = proto_of();
    if (!writes(schema, value, hex)) return false;
    return reads(schema, hex) && CHECK(wisp_equal(&b->value, &value));
}

/* A schema of the field "v". */
typedef struct single {
    wisp_field  field;
    wisp_schema schema;
} single;

static inline const wisp_schema *single_of(single *s, const wisp_type *type, int number,
                                           int flags) {
    memset(s, 0, sizeof *s);
    s->field.name = "v";
    s->field.type = *type;
    s->field.offset = -1;
    s->field.number = number;
    s->field.flags = flags;
    s->schema.name = "single";
    s->schema.version = 1;
    s->schema.fields = &s->field;
    s->schema.count = 1;
    s->schema.shape = WISP_SHAPE_MAP;
    return &s->schema;
}

static inline wisp_value map_of(wisp_pair *pair, wisp_value value) {
    pair->key = "v";
    pair->value = value;
    return wisp_map(pair, 1);
}

static inline const wisp_value *decoded(const char *key) {
    return wisp_field_of(&proto_of()->value, key);
}

#endif /* PROTOBUF_MESSAGES_H */
