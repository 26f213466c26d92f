/* written_records.h - records of one field and of many, written and read at any bit

   Included after the implementation of wisp.h, test_runner.h, low.h and random_schemas.h.
*/
#ifndef WRITTEN_RECORDS_H
#define WRITTEN_RECORDS_H

enum { MEMORY_MAX = 1 << 18, OUT_MAX = 4096 };

static union { double align; uint8_t bytes[MEMORY_MAX]; } memory_a, memory_b, memory_c;
static uint8_t out_bytes[OUT_MAX];

/* The program of a schema of maps with one field of a type, in memory_c. */
static wisp_field only_field;
static wisp_schema only_schema;

static inline const wisp_schema *only_as(const wisp_type *type, int flags, double fallback) {
    wisp_field model = WISP_MAP_FIELD("x", WISP_T_BOOL);
    only_field = model;
    only_field.type = *type;
    only_field.flags = flags;
    only_field.fallback = fallback;
    memset(&only_schema, 0, sizeof only_schema);
    only_schema.name = "only";
    only_schema.version = 1;
    only_schema.fields = &only_field;
    only_schema.count = 1;
    only_schema.shape = WISP_SHAPE_MAP;
    return wisp_schema_compile(&only_schema, memory_c.bytes, MEMORY_MAX);
}

static inline const wisp_schema *only(const wisp_type *type) { return only_as(type, 0, 0); }

/* Bits written, or a negative result. */
static inline int64_t write_map(const wisp_schema *schema, const wisp_value *value, uint8_t *out,
                                int capacity) {
    wisp__bump bump = wisp__bump_on(memory_b.bytes, MEMORY_MAX);
    wisp__supply supply = wisp__supply_of_bump(&bump);
    wisp__base base;
    wisp_result result = WISP_OK;
    const void *image = wisp__image_of(schema->program, value, &supply, false, &result);
    wisp__base_alone(&base);
    return image ? wisp__record_write(&base, schema->program, image, out, capacity) : result;
}

static inline wisp_value map_of_x(wisp_pair *pair, wisp_value value) {
    pair->key = "x";
    pair->value = value;
    return wisp_map(pair, 1);
}

static inline int64_t write_only(const wisp_schema *schema, wisp_value value) {
    wisp_pair pair;
    wisp_value map = map_of_x(&pair, value);
    memset(out_bytes, 0xee, sizeof out_bytes);
    return write_map(schema, &map, out_bytes, OUT_MAX);
}

/* Decodes `bits` that stand at a bit of a larger buffer; the bits behind are ones. */
static inline wisp_result read_at(const wisp_schema *schema, const uint8_t *bytes, int64_t bits,
                                  int start, wisp_value *out, int64_t *used) {
    static uint8_t shifted[OUT_MAX + 64];
    wisp__bump bump = wisp__bump_on(memory_a.bytes, MEMORY_MAX);
    wisp__arena arena = wisp__arena_in(&bump);
    wisp__base base;
    wisp__unpacker u;
    wisp__reader data;
    wisp__supply supply;
    wisp_result result;
    void *image;
    int64_t whole = start + bits;
    memset(shifted, 0xff, sizeof shifted);
    for (int64_t i = 0; i < bits; i++) {
        int64_t to = start + i;
        if (!(bytes[i >> 3] >> (i & 7) & 1))
            shifted[to >> 3] = (uint8_t)(shifted[to >> 3] & ~(1 << (to & 7)));
    }
    wisp__base_alone(&base);
    memset(&u, 0, sizeof u);
    data = wisp__reader_on(shifted, (int)((whole + 7) / 8));
    data.at = start;
    data.end = whole;
    u.base = &base;
    u.arena = &arena;
    u.data = &data;
    u.values = base.limits.message_values;
    image = wisp__arena_take(&base, &arena, (size_t)schema->program->schema->bytes);
    memset(image, 0, (size_t)schema->program->schema->bytes);
    result = wisp__record_read(&u, schema->program, image);
    supply = wisp__supply_of(&u);
    if (result == WISP_OK) result = wisp__image_value(schema->program->schema, image, &supply, out);
    *used = data.at - start;
    return result;
}

static inline const char *hex_of(const uint8_t *bytes, int64_t bits) {
    static char hex[2 * OUT_MAX + 1];
    int count = (int)((bits + 7) / 8);
    for (int i = 0; i < count; i++) snprintf(hex + 2 * i, 3, "%02x", (unsigned)bytes[i]);
    hex[2 * count] = 0;
    return hex;
}

#endif
