/* random_values.h - values made from random numbers: of any kind, or of a given schema

   Included after the implementation of wisp.h and after test_runner.h. What a mill makes lives
   until it is emptied. */
#ifndef RANDOM_VALUES_H
#define RANDOM_VALUES_H

enum { MILL_VALUES = 4000, MILL_PAIRS = 2000, MILL_TEXT = 40000, MILL_DEPTH = 3 };

typedef struct mill {
    uint64_t   random;
    wisp_value values[MILL_VALUES];
    wisp_pair  pairs[MILL_PAIRS];
    char       text[MILL_TEXT];
    int        value_count, pair_count, text_size;
} mill;

static inline wisp_value mill_any(mill *m, int depth);
static inline wisp_value mill_map(mill *m, const wisp_schema *schema);

static inline void mill_empty(mill *m) { m->value_count = m->pair_count = m->text_size = 0; }

static inline int mill_below(mill *m, int count) { return test_random_below(&m->random, count); }

/* Multiples of 1/8, so that no machine rounds them. */
static inline double mill_number(mill *m, double lo, double hi) {
    double steps = (hi - lo) * 8;
    int64_t most = steps < 1e9 ? (int64_t)steps : 1000000000;
    return lo + (double)(int64_t)(test_random(&m->random) % (uint64_t)(most + 1)) / 8;
}

static inline float mill_float(mill *m) {
    static const float some[] = { 0, -0.0f, 1e30f, 1e-40f, 0.1f, -1 };
    int which = mill_below(m, 12);
    return which < 6 ? some[which] : (float)mill_number(m, -100, 100);
}

static inline wisp_value *mill_values(mill *m, int count) {
    wisp_value *list = m->values + m->value_count;
    CHECK((m->value_count += count) <= MILL_VALUES);
    return list;
}

static inline wisp_pair *mill_pairs(mill *m, int count) {
    wisp_pair *list = m->pairs + m->pair_count;
    CHECK((m->pair_count += count) <= MILL_PAIRS);
    return list;
}

static inline char *mill_text(mill *m, int size, bool bytes) {
    char *text = m->text + m->text_size;
    int runs = mill_below(m, 3);
    CHECK((m->text_size += size + 1) <= MILL_TEXT);
    for (int i = 0; i < size; i++) {
        if (runs == 0 && i % 8) text[i] = text[i - 1];
        else text[i] = (char)(bytes ? mill_below(m, 256) : 'a' + mill_below(m, 26));
    }
    text[size] = 0;
    return text;
}

static inline wisp_value mill_string(mill *m, int most) {
    int size = mill_below(m, (most < 40 ? most : 40) + 1);
    return wisp_string_n(mill_text(m, size, false), size);
}

static inline wisp_value mill_bytes(mill *m, int most) {
    int size = mill_below(m, (most < 60 ? most : 60) + 1);
    return wisp_bytes(mill_text(m, size, true), size);
}

static inline wisp_value mill_quat(mill *m) {
    static const float turns[][4] = { { 0, 0, 0, 1 }, { 1, 0, 0, 0 }, { 0.5f, -0.5f, 0.5f, 0.5f },
                                      { 0, 0.6f, 0, -0.8f }, { 0.1f, 0.7f, -0.1f, 0.7f } };
    const float *turn = turns[mill_below(m, 5)];
    return wisp_quatv(turn[0], turn[1], turn[2], turn[3]);
}

static inline wisp_value mill_transform(mill *m) {
    wisp_vec3 place;
    wisp_value turn = mill_quat(m);
    place.x = mill_float(m);
    place.y = mill_float(m);
    place.z = mill_float(m);
    return wisp_transformv(place, turn.as.quat);
}

static inline wisp_value mill_color(mill *m) {
    float parts[4];
    for (int i = 0; i < 4; i++) parts[i] = (float)mill_below(m, 256) / 255.0f;
    return wisp_color4(parts[0], parts[1], parts[2], parts[3]);
}

static inline wisp_value mill_object(mill *m) {
    wisp_object object;
    object.id = (uint32_t)mill_below(m, 1000000);
    return wisp_reference(object);
}

static inline wisp_value mill_integer(mill *m) {
    return wisp_int((int64_t)test_random(&m->random) >> mill_below(m, 64));
}

static inline wisp_value mill_list(mill *m, int depth) {
    int count = mill_below(m, 5);
    wisp_value *list = mill_values(m, count);
    bool alike = mill_below(m, 2) != 0;
    for (int i = 0; i < count; i++)
        list[i] = alike ? wisp_int(mill_below(m, 300)) : mill_any(m, depth + 1);
    return wisp_array(list, count);
}

static inline wisp_value mill_pairs_of(mill *m, int depth) {
    static const char *const keys[] = { "a", "bb", "", "name", "a longer key" };
    int count = mill_below(m, 5);
    wisp_pair *list = mill_pairs(m, count);
    for (int i = 0; i < count; i++) {
        list[i].key = keys[i];
        list[i].value = mill_any(m, depth + 1);
    }
    return wisp_map(list, count);
}

static inline wisp_value mill_vec(mill *m, int count, const wisp_type *type) {
    float parts[4];
    const wisp_range *ranges = (const wisp_range *)(type ? type->of : NULL);
    for (int i = 0; i < count; i++) {
        double lo = ranges ? ranges[i].lo : type ? type->lo : 0;
        double hi = ranges ? ranges[i].hi : type ? type->hi : 0;
        parts[i] = hi > lo ? (float)mill_number(m, lo, hi) : mill_float(m);
    }
    if (count == 2) return wisp_vec2v(parts[0], parts[1]);
    if (count == 3) return wisp_vec3v(parts[0], parts[1], parts[2]);
    return wisp_vec4v(parts[0], parts[1], parts[2], parts[3]);
}

static inline wisp_value mill_kind(mill *m, int kind, int depth) {
    switch (kind) {
    case WISP_BOOL: return wisp_bool(mill_below(m, 2) != 0);
    case WISP_INT: return mill_integer(m);
    case WISP_UINT: return wisp_uint(test_random(&m->random) >> mill_below(m, 64));
    case WISP_FLOAT: return wisp_float(mill_float(m));
    case WISP_NUMBER: return wisp_number(mill_number(m, -1e6, 1e6));
    case WISP_STRING: return mill_string(m, 40);
    case WISP_BYTES: return mill_bytes(m, 60);
    case WISP_VEC2: return mill_vec(m, 2, NULL);
    case WISP_VEC3: return mill_vec(m, 3, NULL);
    case WISP_VEC4: return mill_vec(m, 4, NULL);
    case WISP_QUAT: return mill_quat(m);
    case WISP_TRANSFORM: return mill_transform(m);
    case WISP_COLOR: return mill_color(m);
    case WISP_ARRAY: return mill_list(m, depth);
    case WISP_MAP: return mill_pairs_of(m, depth);
    case WISP_OBJECT: return mill_object(m);
    default: return wisp_nil();
    }
}

static inline wisp_value mill_any(mill *m, int depth) {
    int kind = mill_below(m, WISP_OBJECT + 1);
    if (depth >= MILL_DEPTH && (kind == WISP_ARRAY || kind == WISP_MAP)) kind = WISP_INT;
    return mill_kind(m, kind, depth);
}

/* --- of a type --- */

static inline wisp_value mill_whole(mill *m, const wisp_type *type) {
    int bits = type->bytes * 8;
    uint64_t number = test_random(&m->random) >> (bits ? 64 - bits : 57) >> mill_below(m, 7);
    if (type->kind == WISP_TYPE_UINT) return wisp_uint(number);
    number >>= 1;
    return wisp_int(mill_below(m, 2) ? -1 - (int64_t)number : (int64_t)number);
}

static inline wisp_value mill_range(mill *m, const wisp_type *type) {
    uint64_t width = (uint64_t)type->most - (uint64_t)type->least;
    uint64_t number = test_random(&m->random) >> mill_below(m, 60);
    if (width < UINT64_MAX) number %= width + 1;
    return wisp_int((int64_t)((uint64_t)type->least + number));
}

static inline wisp_value mill_quantized(mill *m, const wisp_type *type) {
    double steps = (type->hi - type->lo) / type->step;
    return wisp_number(type->lo + type->step * mill_below(m, steps < 1e6 ? (int)steps : 1000000));
}

static inline wisp_value mill_enum(mill *m, const wisp_type *type) {
    const char *const *names = (const char *const *)type->of;
    if (type->least && !mill_below(m, 4)) return wisp_int(type->max + mill_below(m, 5));
    return wisp_string(names[mill_below(m, type->max)]);
}

static inline wisp_value mill_typed(mill *m, const wisp_type *type, bool whole);

static inline wisp_value mill_array(mill *m, const wisp_type *type, bool whole) {
    int count = whole ? type->max : mill_below(m, (type->max < 12 ? type->max : 12) + 1);
    wisp_value *list = mill_values(m, count);
    for (int i = 0; i < count; i++)
        list[i] = mill_typed(m, (const wisp_type *)type->of, false);
    return wisp_array(list, count);
}

/* `whole`: an array has all its elements. */
static inline wisp_value mill_typed(mill *m, const wisp_type *type, bool whole) {
    switch (type->kind) {
    case WISP_TYPE_EXACT: return mill_kind(m, type->max, MILL_DEPTH - 1);
    case WISP_TYPE_LITERAL:
        return type->of ? wisp_string((const char *)type->of) : wisp_number(type->lo);
    case WISP_TYPE_BOOL: return wisp_bool(mill_below(m, 2) != 0);
    case WISP_TYPE_INTEGER:
    case WISP_TYPE_UINT: return mill_whole(m, type);
    case WISP_TYPE_RANGE: return mill_range(m, type);
    case WISP_TYPE_NUMBER: return wisp_number((double)mill_float(m));
    case WISP_TYPE_NUMBER_RANGE: return wisp_number(mill_number(m, type->lo, type->hi));
    case WISP_TYPE_QUANTIZED: return mill_quantized(m, type);
    case WISP_TYPE_STRING: return mill_string(m, type->max);
    case WISP_TYPE_BYTES: return mill_bytes(m, type->max);
    case WISP_TYPE_VEC2: return mill_vec(m, 2, type);
    case WISP_TYPE_VEC3: return mill_vec(m, 3, type);
    case WISP_TYPE_VEC4: return mill_vec(m, 4, type);
    case WISP_TYPE_QUAT: return mill_quat(m);
    case WISP_TYPE_TRANSFORM: return mill_transform(m);
    case WISP_TYPE_COLOR: return mill_color(m);
    case WISP_TYPE_ENUM: return mill_enum(m, type);
    case WISP_TYPE_OBJECT: return mill_object(m);
    case WISP_TYPE_STRUCT: return mill_map(m, (const wisp_schema *)type->of);
    case WISP_TYPE_ARRAY: return mill_array(m, type, whole);
    case WISP_TYPE_UNION:
        return mill_typed(m, (const wisp_type *)type->of + mill_below(m, type->max), false);
    default: return mill_any(m, MILL_DEPTH);
    }
}

static inline bool mill_whole_array(const wisp_field *field) {
    return field->offset >= 0 && !field->count_bytes;
}

static inline wisp_value mill_map(mill *m, const wisp_schema *schema) {
    wisp_pair *list = mill_pairs(m, schema->count);
    int count = 0;
    for (int i = 0; i < schema->count; i++) {
        const wisp_field *field = &schema->fields[i];
        bool may_miss = (field->flags & (WISP_FLAG_OPTIONAL | WISP_FLAG_MAYBE)) != 0;
        if (may_miss && !mill_below(m, 3)) continue;
        list[count].key = field->name;
        list[count++].value = mill_typed(m, &field->type, mill_whole_array(field));
    }
    return wisp_map(list, count);
}

/* --- a hash that tells kinds apart, and the bits of numbers --- */

static inline uint64_t mill_mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static inline uint64_t mill_mix_text(uint64_t hash, const char *text) {
    while (*text) hash = mill_mix(hash, (uint8_t)*text++);
    return mill_mix(hash, 256);
}

static inline uint64_t mill_hash(uint64_t hash, const wisp_value *value) {
    uint32_t word = 0;
    uint64_t wide = 0;
    if (!value) return mill_mix(hash, 77);
    hash = mill_mix(mill_mix(hash, (uint64_t)value->kind), wisp_hash(value));
    if (value->kind == WISP_FLOAT) memcpy(&word, &value->as.float32, 4);
    if (value->kind == WISP_NUMBER) memcpy(&wide, &value->as.number, 8);
    hash = mill_mix(mill_mix(hash, word), wide);
    if (value->kind != WISP_ARRAY && value->kind != WISP_MAP) return hash;
    for (int i = 0; i < wisp_count_of(value); i++) {
        if (value->kind == WISP_MAP) hash = mill_mix_text(hash, wisp_key_of(value, i));
        hash = mill_hash(hash, wisp_element_of(value, i));
    }
    return hash;
}

#endif /* RANDOM_VALUES_H */
