/* random_schemas.h - random schemas and random values of them

   Maps and rows of every type, nested, with values that fit and values that do not. All of it lies
   in one block, until the next start. Included after wisp.h and test_runner.h.

       static schemas s;
       schemas_start(&s, seed, SCHEMAS_LOSSLESS);
       const wisp_schema *schema = schemas_random(&s);
       wisp_value value = schemas_value(&s, schema);

   Which option of a union a value takes is never in doubt, and values have all of their fields: so
   what is decoded equals what was encoded, under SCHEMAS_LOSSLESS at once, else after one round. */
#ifndef RANDOM_SCHEMAS_H
#define RANDOM_SCHEMAS_H

#include <stddef.h>

enum {
    SCHEMAS_LOSSLESS = 1,     /* nothing is rounded: no floats, steps, packed rotations */
    SCHEMAS_FINITE   = 2,     /* no NaN, no infinities, no minus zero */
    SCHEMAS_TEXT     = 4,     /* strings of printable ASCII; else any bytes but NUL */
    SCHEMAS_NO_ANY   = 8,     /* nothing that describes itself: ANY, EXACT */
    SCHEMAS_MAPS     = 16     /* no rows */
};

enum { SCHEMAS_BLOCK = 1 << 19, SCHEMAS_FIELDS = 6, SCHEMAS_ITEMS = 5, SCHEMAS_DEPTH = 4 };

typedef struct schemas {
    uint64_t seed;
    int      flags;
    int      names;           /* given so far: no two fields have the same */
    int      unions;          /* that a type is made in: numbers without a name may be in doubt */
    size_t   used;
    union { double align; void *align_too; unsigned char bytes[SCHEMAS_BLOCK]; } block;
} schemas;

static inline void schemas_start(schemas *s, uint64_t seed, int flags) {
    s->seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    s->flags = flags;
    s->names = 0;
    s->unions = 0;
    s->used = 0;
}

/* Zeroed. A block that is too small is a mistake of this file: the test fails. */
static inline void *schemas_take(schemas *s, size_t size) {
    void *taken = s->block.bytes + s->used;
    size = (size + 15) & ~(size_t)15;
    if (s->used + size > sizeof s->block.bytes) {
        CHECK(s->used + size <= sizeof s->block.bytes);      /* else make the block larger */
        s->used = 0;
        taken = s->block.bytes;
    }
    s->used += size;
    memset(taken, 0, size);
    return taken;
}

static inline int schemas_below(schemas *s, int count) {
    return test_random_below(&s->seed, count);
}

/* 1 of `in` times */
static inline bool schemas_once(schemas *s, int in) { return schemas_below(s, in) == 0; }

/* As many leading zeros as not. */
static inline uint64_t schemas_bits(schemas *s) {
    return test_random(&s->seed) >> schemas_below(s, 64);
}

static inline int64_t schemas_signed(schemas *s) {
    uint64_t bits = schemas_bits(s), half = bits >> 1;
    return bits & 1 ? -(int64_t)half - 1 : (int64_t)half;
}

static inline char *schemas_text(schemas *s, int size) {
    char *text = (char *)schemas_take(s, (size_t)size + 1);
    for (int i = 0; i < size; i++)
        text[i] = (char)(s->flags & SCHEMAS_TEXT ? 32 + schemas_below(s, 95)
                                                 : 1 + schemas_below(s, 255));
    return text;
}

static inline double schemas_double(schemas *s) {
    static const double edges[] = {
        0.0, 1.0, -1.0, 0.5, 16777217.0, 140737488355329.0, -3e38, 1e300, 5e-324, 1e-45,
        9007199254740993.0, 18446744073709551616.0, -9223372036854775808.0, 0.1
    };
    uint64_t bits = UINT64_C(0x7ff8000000000000);
    double number;
    if (!(s->flags & SCHEMAS_FINITE) && schemas_once(s, 16)) {
        if (schemas_once(s, 2)) bits = UINT64_C(0x7ff0000000000000);
        if (schemas_once(s, 3)) bits = UINT64_C(0x8000000000000000);
        memcpy(&number, &bits, 8);
        return number;
    }
    switch (schemas_below(s, 4)) {
    case 0: return edges[schemas_below(s, (int)(sizeof edges / sizeof *edges))];
    case 1: return (double)schemas_signed(s);
    case 2: return (double)(float)(test_random_unit(&s->seed) * 200.0 - 100.0);
    default: return test_random_unit(&s->seed) * 1e6 - 5e5;
    }
}

static inline float schemas_float(schemas *s) {
    double number = schemas_double(s);
    if (number > 3e38 || number < -3e38) number = 0.25;
    return (float)number;
}

/* --- types --- */

static inline wisp_type schemas_plain(int kind, int max) {
    wisp_type type;
    memset(&type, 0, sizeof type);
    type.kind = kind;
    type.max = max;
    return type;
}

static inline wisp_range schemas_range(schemas *s) {
    static const double steps[] = { 1.0, 0.5, 0.25, 0.1, 0.01, 0.3 };
    wisp_range range;
    range.lo = schemas_below(s, 400) - 200.0;
    range.hi = range.lo + 1 + schemas_below(s, 1000);
    range.step = steps[schemas_below(s, 6)];
    return range;
}

static inline void schemas_bounds(schemas *s, wisp_type *type) {
    wisp_range range = schemas_range(s);
    type->lo = range.lo;
    type->hi = range.hi;
    type->step = range.step;
}

static inline wisp_type schemas_integers(schemas *s, int kind) {
    wisp_type type = schemas_plain(kind, schemas_below(s, 3));
    int64_t a = schemas_signed(s), b = schemas_signed(s);
    if (kind != WISP_TYPE_RANGE) {
        type.bytes = schemas_once(s, 3) ? 0 : 1 << schemas_below(s, 4);
        if (type.max == 1 && kind == WISP_TYPE_UINT) type.max = 0;
        if (type.max && type.bytes < 4) type.max = 0;
        return type;
    }
    type.max = 0;
    type.least = a < b ? a : b;
    type.most = a < b ? b : a;
    if (schemas_once(s, 4)) type.least = type.most;
    return type;
}

static inline wisp_type schemas_names(schemas *s) {
    int count = 1 + schemas_below(s, schemas_once(s, 8) ? 300 : 6);
    char **names = (char **)schemas_take(s, (size_t)count * sizeof *names);
    wisp_type type = schemas_plain(WISP_TYPE_ENUM, count);
    for (int i = 0; i < count; i++) {
        names[i] = (char *)schemas_take(s, 24);
        snprintf(names[i], 24, "name_%d", i);
    }
    type.of = names;
    type.least = !s->unions && schemas_once(s, 3);            /* open */
    return type;
}

static inline wisp_type schemas_literal(schemas *s) {
    wisp_type type = schemas_plain(WISP_TYPE_LITERAL, 0);
    if (schemas_once(s, 2)) type.of = schemas_text(s, 1 + schemas_below(s, 8));
    else type.lo = schemas_below(s, 100) - 50.0;
    return type;
}

static inline wisp_type schemas_vector(schemas *s, int kind) {
    wisp_type type = schemas_plain(kind, 0);
    wisp_range *ranges;
    if (s->flags & SCHEMAS_LOSSLESS || schemas_once(s, 3)) return type;
    if (schemas_once(s, 2)) {
        schemas_bounds(s, &type);
        return type;
    }
    ranges = (wisp_range *)schemas_take(s, 4 * sizeof *ranges);
    for (int i = 0; i < 4; i++) ranges[i] = schemas_range(s);
    type.of = ranges;
    return type;
}

/* A type without others in it. `last`: of a union, where also what takes values of other types
   may stand. */
static inline wisp_type schemas_leaf(schemas *s, bool last) {
    static const uint8_t exact[] = { WISP_BOOL, WISP_INT, WISP_STRING, WISP_VEC3, WISP_OBJECT };
    bool lossless = (s->flags & SCHEMAS_LOSSLESS) != 0;
    int kind = WISP_TYPE_ANY + schemas_below(s, WISP_TYPE_OBJECT - WISP_TYPE_ANY + 1);
    wisp_type type = schemas_plain(kind, 0);
    switch (kind) {
    case WISP_TYPE_ANY: if (s->flags & SCHEMAS_NO_ANY) type.kind = WISP_TYPE_OBJECT; break;
    case WISP_TYPE_EXACT:
        type.max = exact[schemas_below(s, 5)];
        if (s->flags & SCHEMAS_NO_ANY) type.kind = WISP_TYPE_TRANSFORM;
        break;
    case WISP_TYPE_LITERAL: return schemas_literal(s);
    case WISP_TYPE_BOOL: if (!last) type.kind = WISP_TYPE_VEC3; break;
    case WISP_TYPE_INTEGER:
    case WISP_TYPE_UINT:
    case WISP_TYPE_RANGE: return schemas_integers(s, kind);
    case WISP_TYPE_NUMBER:
        if (!last) type.kind = WISP_TYPE_TRANSFORM;
        else type.bytes = lossless ? 0 : 4 * schemas_below(s, 3);
        break;
    case WISP_TYPE_NUMBER_RANGE: schemas_bounds(s, &type), type.step = 0; break;
    case WISP_TYPE_QUANTIZED:
        if (lossless || !last) type.kind = WISP_TYPE_OBJECT;
        else schemas_bounds(s, &type);
        break;
    case WISP_TYPE_STRING:
    case WISP_TYPE_BYTES: type.max = 1 + schemas_below(s, schemas_once(s, 8) ? 300 : 12); break;
    case WISP_TYPE_VEC2:
    case WISP_TYPE_VEC3:
    case WISP_TYPE_VEC4: return schemas_vector(s, kind);
    case WISP_TYPE_QUAT: type.max = lossless || schemas_once(s, 3) ? 0 : 2 + schemas_below(s, 19);
        break;
    case WISP_TYPE_ENUM: if (last) return schemas_names(s); type.kind = WISP_TYPE_COLOR; break;
    default: break;
    }
    return type;
}

typedef const wisp_schema *(*schemas_make)(schemas *s, int depth, bool row, bool in_union);

static inline wisp_type schemas_type(schemas *s, int depth, bool last, schemas_make make) {
    int which = depth > 0 ? schemas_below(s, 9) : 9, count;
    wisp_type type = schemas_plain(WISP_TYPE_STRUCT, 0), *inner;
    switch (which) {
    case 0:
        type.of = make(s, depth - 1, false, true);
        return type;
    case 1:
    case 2:
        inner = (wisp_type *)schemas_take(s, sizeof *inner);
        *inner = schemas_type(s, depth - 1, last, make);
        type = schemas_plain(WISP_TYPE_ARRAY, 1 + schemas_below(s, schemas_once(s, 4) ? 1000 : 8));
        type.of = inner;
        return type;
    case 3:
        count = 1 + schemas_below(s, 4);
        inner = (wisp_type *)schemas_take(s, (size_t)count * sizeof *inner);
        s->unions++;
        for (int i = 0; i < count; i++)
            inner[i] = schemas_type(s, depth - 1, last && i == count - 1, make);
        s->unions--;
        type = schemas_plain(WISP_TYPE_UNION, count);
        type.of = inner;
        return type;
    default: return schemas_leaf(s, last);
    }
}

/* --- values that fit --- */

static inline wisp_value schemas_number(schemas *s, double number) {
    if (number >= -1e15 && number <= 1e15 && (double)(int64_t)number >= number &&
        (double)(int64_t)number <= number && schemas_once(s, 3))
        return wisp_int((int64_t)number);
    return wisp_number(number);
}

static inline double schemas_between(schemas *s, double lo, double hi) {
    double unit = test_random_unit(&s->seed), number = lo + (hi - lo) * unit;
    if (schemas_once(s, 8)) return lo;
    if (schemas_once(s, 8)) return hi;
    return number > hi ? hi : number;
}

static inline wisp_value schemas_integer(schemas *s, const wisp_type *type) {
    int bytes = type->bytes ? type->bytes : 8;
    uint64_t bits = schemas_bits(s) >> (64 - 8 * bytes), span;
    if (type->kind == WISP_TYPE_UINT) {
        if (schemas_once(s, 8)) bits = UINT64_MAX >> (64 - 8 * bytes);
        return bits < (UINT64_C(1) << 63) && schemas_once(s, 2) ? wisp_int((int64_t)bits)
                                                                : wisp_uint(bits);
    }
    if (type->kind == WISP_TYPE_INTEGER) {
        int64_t number = bits & 1 ? -(int64_t)(bits >> 1) - 1 : (int64_t)(bits >> 1);
        return wisp_int(number);
    }
    span = (uint64_t)type->most - (uint64_t)type->least;
    bits = test_random(&s->seed);
    if (span < UINT64_MAX) bits %= span + 1;
    if (schemas_once(s, 6)) bits = span;
    return wisp_int((int64_t)((uint64_t)type->least + bits));
}

static inline wisp_value schemas_blob(schemas *s, const wisp_type *type) {
    int size = schemas_below(s, type->max + 1);
    wisp_value value = wisp_string_n(schemas_text(s, size), size);
    if (type->kind == WISP_TYPE_BYTES) value.kind = WISP_BYTES;
    return value;
}

static inline wisp_value schemas_floats(schemas *s, const wisp_type *type) {
    static const wisp_kind kinds[] = { WISP_VEC2, WISP_VEC3, WISP_VEC4, WISP_QUAT, WISP_TRANSFORM };
    wisp_value value = wisp_nil();
    float parts[7];
    double length = 0;
    for (int i = 0; i < 7; i++) {
        parts[i] = schemas_float(s);
        if (type->kind <= WISP_TYPE_VEC4 && i < 4 && (type->of || type->step > 0)) {
            wisp_range range = wisp__component(type, i);
            parts[i] = (float)schemas_between(s, range.lo, range.hi);
        }
        if (type->kind == WISP_TYPE_QUAT && type->max) {
            parts[i] = (float)(test_random_unit(&s->seed) * 2 - 1);
            if (i < 4) length += (double)parts[i] * (double)parts[i];
        }
    }
    if (type->kind == WISP_TYPE_QUAT && type->max && length < 0.01) parts[3] = 1;
    value.kind = kinds[type->kind - WISP_TYPE_VEC2];
    memcpy(&value.as, parts, sizeof parts);
    return value;
}

static inline wisp_value schemas_color(schemas *s) {
    float parts[4];
    for (int i = 0; i < 4; i++) {
        parts[i] = (float)(schemas_below(s, 256) / 255.0);
        if (!(s->flags & SCHEMAS_LOSSLESS) && schemas_once(s, 2))
            parts[i] = (float)test_random_unit(&s->seed);
    }
    return wisp_color4(parts[0], parts[1], parts[2], parts[3]);
}

/* Of any kind; lists only with depth. */
static inline wisp_value schemas_any(schemas *s, int depth) {
    int kind = schemas_below(s, depth > 0 ? 12 : 9), count = schemas_below(s, 4);
    wisp_type blob = schemas_plain(kind == 6 ? WISP_TYPE_BYTES : WISP_TYPE_STRING, 8);
    wisp_value *items;
    wisp_pair *pairs;
    wisp_object object = { 0 };
    switch (kind) {
    case 0: return wisp_nil();
    case 1: return wisp_bool(schemas_once(s, 2));
    case 2: return wisp_int(schemas_signed(s));
    case 3: return wisp_uint(schemas_bits(s));
    case 4: return wisp_number(schemas_double(s));
    case 5: return wisp_float(schemas_float(s));
    case 6:
    case 7: return schemas_blob(s, &blob);
    case 8: object.id = (uint32_t)schemas_bits(s); return wisp_reference(object);
    case 9:
    case 10:
        items = (wisp_value *)schemas_take(s, (size_t)count * sizeof *items);
        for (int i = 0; i < count; i++) items[i] = schemas_any(s, depth - 1);
        return wisp_array(items, count);
    default:
        pairs = (wisp_pair *)schemas_take(s, (size_t)count * sizeof *pairs);
        for (int i = 0; i < count; i++) {
            char *key = schemas_text(s, 3);
            key[0] = (char)('a' + i);
            pairs[i].key = key;
            pairs[i].value = schemas_any(s, depth - 1);
        }
        return wisp_map(pairs, count);
    }
}

static inline wisp_value schemas_exact(schemas *s, int kind) {
    wisp_object object = { 0 };
    wisp_type type = schemas_plain(kind == WISP_STRING ? WISP_TYPE_STRING : WISP_TYPE_VEC3, 6);
    object.id = (uint32_t)schemas_bits(s);
    switch (kind) {
    case WISP_BOOL: return wisp_bool(schemas_once(s, 2));
    case WISP_INT: return wisp_int(schemas_signed(s));
    case WISP_OBJECT: return wisp_reference(object);
    case WISP_STRING: return schemas_blob(s, &type);
    default: return schemas_floats(s, &type);
    }
}

typedef wisp_value (*schemas_fit)(schemas *s, const wisp_type *type);

static inline wisp_value schemas_map(schemas *s, const wisp_schema *schema, schemas_fit fit) {
    bool row = schema->shape == WISP_SHAPE_LIST;
    wisp_pair *pairs = (wisp_pair *)schemas_take(s, (size_t)schema->count * sizeof *pairs);
    wisp_value *items = (wisp_value *)schemas_take(s, (size_t)schema->count * sizeof *items);
    int count = 0, turn = schemas_below(s, schema->count);
    for (int i = 0; i < schema->count; i++) {
        const wisp_field *field = &schema->fields[row ? i : (i + turn) % schema->count];
        wisp_value value = fit(s, &field->type);
        if (field->flags & WISP_FLAG_OPTIONAL && schemas_once(s, 2)) value = wisp__fallback(field);
        if (field->flags & WISP_FLAG_OPTIONAL && field->type.kind == WISP_TYPE_BOOL &&
            value.kind == WISP_NUMBER)
            value = wisp_bool(value.as.number > 0);
        if (field->flags & WISP_FLAG_OPTIONAL && field->type.kind == WISP_TYPE_ENUM &&
            value.kind == WISP_NUMBER)
            value = wisp_string(((const char *const *)field->type.of)[(int)value.as.number]);
        if (field->flags & WISP_FLAG_MAYBE && schemas_once(s, 2)) {
            if (!row) continue;
            value = wisp_nil();
        }
        items[count] = value;
        pairs[count].key = field->name;
        pairs[count++].value = value;
    }
    return row ? wisp_array(items, count) : wisp_map(pairs, count);
}

static inline wisp_value schemas_of(schemas *s, const wisp_type *type) {
    const wisp_type *inner = (const wisp_type *)type->of;
    wisp_value *items;
    int count;
    wisp_object object = { 0 };
    switch (type->kind) {
    case WISP_TYPE_ANY: return schemas_any(s, 2);
    case WISP_TYPE_EXACT: return schemas_exact(s, type->max);
    case WISP_TYPE_LITERAL: return type->of ? wisp_string((const char *)type->of)
                                            : schemas_number(s, type->lo);
    case WISP_TYPE_BOOL: return wisp_bool(schemas_once(s, 2));
    case WISP_TYPE_INTEGER:
    case WISP_TYPE_UINT:
    case WISP_TYPE_RANGE: return schemas_integer(s, type);
    case WISP_TYPE_NUMBER:
        if (type->bytes == 4) return wisp_float(schemas_float(s));
        return schemas_number(s, schemas_double(s));
    case WISP_TYPE_NUMBER_RANGE:
    case WISP_TYPE_QUANTIZED: return schemas_number(s, schemas_between(s, type->lo, type->hi));
    case WISP_TYPE_STRING:
    case WISP_TYPE_BYTES: return schemas_blob(s, type);
    case WISP_TYPE_COLOR: return schemas_color(s);
    case WISP_TYPE_ENUM:
        if (type->least && schemas_once(s, 2)) return wisp_int((int32_t)schemas_signed(s) | 4096);
        return wisp_string(((const char *const *)type->of)[schemas_below(s, type->max)]);
    case WISP_TYPE_OBJECT:
        object.id = (uint32_t)schemas_bits(s);
        return wisp_reference(object);
    case WISP_TYPE_STRUCT: return schemas_map(s, (const wisp_schema *)type->of, schemas_of);
    case WISP_TYPE_ARRAY:
        count = schemas_below(s, (type->max < SCHEMAS_ITEMS ? type->max : SCHEMAS_ITEMS) + 1);
        items = (wisp_value *)schemas_take(s, (size_t)count * sizeof *items);
        for (int i = 0; i < count; i++) items[i] = schemas_of(s, inner);
        return wisp_array(items, count);
    case WISP_TYPE_UNION: return schemas_of(s, &inner[schemas_below(s, type->max)]);
    default: return schemas_floats(s, type);
    }
}

/* --- schemas --- */

static inline bool schemas_has_default(int kind) {
    return kind == WISP_TYPE_BOOL || kind == WISP_TYPE_INTEGER || kind == WISP_TYPE_UINT ||
           kind == WISP_TYPE_RANGE || kind == WISP_TYPE_NUMBER || kind == WISP_TYPE_NUMBER_RANGE ||
           kind == WISP_TYPE_QUANTIZED || kind == WISP_TYPE_STRING || kind == WISP_TYPE_ENUM;
}

/* Defaults that a float says exactly, and that stand on a step. */
static inline void schemas_default(schemas *s, wisp_field *field) {
    wisp_type *type = &field->type;
    field->flags = WISP_FLAG_OPTIONAL;
    switch (type->kind) {
    case WISP_TYPE_STRING: field->fallback_text = schemas_text(s, schemas_below(s, type->max + 1));
        break;
    case WISP_TYPE_RANGE:
        if (type->least < -1000 || type->least > 1000) type->least = type->most = 7;
        field->fallback = (double)type->least;
        break;
    case WISP_TYPE_NUMBER_RANGE:
    case WISP_TYPE_QUANTIZED: field->fallback = type->lo; break;
    case WISP_TYPE_ENUM: field->fallback = schemas_below(s, type->max); break;
    case WISP_TYPE_BOOL: field->fallback = schemas_below(s, 2); break;
    default: field->fallback = schemas_below(s, 100); break;
    }
}

static inline const wisp_schema *schemas_schema(schemas *s, int depth, bool row, bool in_union) {
    int count = 1 + schemas_below(s, SCHEMAS_FIELDS);
    wisp_schema *schema = (wisp_schema *)schemas_take(s, sizeof *schema);
    wisp_field *fields = (wisp_field *)schemas_take(s, (size_t)count * sizeof *fields);
    char *name = (char *)schemas_take(s, 24);
    snprintf(name, 24, "schema_%d", s->names++);
    for (int i = 0; i < count; i++) {
        char *key = (char *)schemas_take(s, 24);
        snprintf(key, 24, "f%d", s->names++);
        fields[i].name = key;
        fields[i].offset = -1;
        fields[i].type = schemas_type(s, depth, true, schemas_schema);
        if (schemas_once(s, 4)) fields[i].number = 100 + i;
        if (in_union && i == 0) continue;
        if (schemas_has_default(fields[i].type.kind) && schemas_once(s, 3))
            schemas_default(s, &fields[i]);
        else if (schemas_once(s, 4) && fields[i].type.kind != WISP_TYPE_ANY &&
                 fields[i].type.kind != WISP_TYPE_UNION)
            fields[i].flags = WISP_FLAG_MAYBE;
        else if (schemas_once(s, 8))
            fields[i].flags = WISP_FLAG_KEY;
    }
    schema->name = name;
    schema->version = 1 + schemas_below(s, 255);
    schema->fields = fields;
    schema->count = count;
    schema->shape = row ? WISP_SHAPE_LIST : WISP_SHAPE_MAP;
    return schema;
}

/* Of maps, or of a row. */
static inline const wisp_schema *schemas_random(schemas *s) {
    bool row = !(s->flags & SCHEMAS_MAPS) && schemas_once(s, 4);
    return schemas_schema(s, schemas_below(s, SCHEMAS_DEPTH + 1), row, false);
}

static inline wisp_value schemas_value(schemas *s, const wisp_schema *schema) {
    return schemas_map(s, schema, schemas_of);
}

/* --- values that do not fit --- */

static inline wisp_value schemas_beyond(schemas *s, const wisp_type *type) {
    if (type->kind == WISP_TYPE_RANGE && type->most < INT64_MAX && schemas_once(s, 2))
        return wisp_int(type->most + 1);
    if (type->kind == WISP_TYPE_RANGE && type->least > INT64_MIN) return wisp_int(type->least - 1);
    if (type->kind == WISP_TYPE_UINT && schemas_once(s, 2)) return wisp_int(-1);
    if (type->kind == WISP_TYPE_INTEGER && schemas_once(s, 2)) return wisp_uint(UINT64_MAX);
    if (type->bytes == 1 || type->bytes == 2 || type->bytes == 4)
        return wisp_int(INT64_C(1) << (8 * type->bytes));
    return wisp_number(0.5);
}

/* Spoils a value of a type; false: everything fits it. */
typedef bool (*schemas_spoiler)(schemas *s, const wisp_type *type, wisp_value *value);

static inline bool schemas_spoil_map(schemas *s, const wisp_schema *schema, wisp_value *value,
                                     schemas_spoiler spoil) {
    bool row = schema->shape == WISP_SHAPE_LIST;
    wisp_pair *pairs = (wisp_pair *)schemas_take(s, ((size_t)value->count + 1) * sizeof *pairs);
    wisp_value *items = (wisp_value *)schemas_take(s, ((size_t)value->count + 1) * sizeof *items);
    int count = value->count, start = count ? schemas_below(s, count) : 0;
    for (int i = 0; i < count; i++) {
        if (row) items[i] = value->as.array[i];
        else pairs[i] = value->as.map[i];
    }
    *value = row ? wisp_array(items, count) : wisp_map(pairs, count);
    if (!schemas_once(s, 6)) {
        for (int k = 0; k < count; k++) {
            int at = (start + k) % count, field = row ? at : 0;
            while (!row && strcmp(schema->fields[field].name, pairs[at].key)) field++;
            if (spoil(s, &schema->fields[field].type, row ? &items[at] : &pairs[at].value))
                return true;
        }
    }
    items[count] = wisp_int(1);                     /* what the schema does not have */
    pairs[count].key = "not_a_field";
    pairs[count].value = wisp_int(1);
    value->count++;
    return true;
}

static inline bool schemas_spoil(schemas *s, const wisp_type *type, wisp_value *value) {
    const wisp_type *inner = (const wisp_type *)type->of;
    wisp_value *items, odd = wisp_transformv(value->as.vec3, value->as.quat);
    int count;
    switch (type->kind) {
    case WISP_TYPE_ANY: return false;
    case WISP_TYPE_INTEGER:
    case WISP_TYPE_UINT:
    case WISP_TYPE_RANGE: *value = schemas_beyond(s, type); return true;
    case WISP_TYPE_BOOL: *value = wisp_int(2); return true;
    case WISP_TYPE_NUMBER_RANGE:
    case WISP_TYPE_QUANTIZED:
        *value = wisp_number(schemas_once(s, 2) ? type->hi + type->step + 0.5
                                                : type->lo - type->step - 0.5);
        return true;
    case WISP_TYPE_STRING:
    case WISP_TYPE_BYTES:
        *value = wisp_string_n(schemas_text(s, type->max + 1), type->max + 1);
        if (type->kind == WISP_TYPE_BYTES) value->kind = WISP_BYTES;
        return true;
    case WISP_TYPE_TRANSFORM: *value = wisp_vec2v(1, 2); return true;
    case WISP_TYPE_ENUM: *value = wisp_string("no such name"); return true;
    case WISP_TYPE_COLOR: *value = wisp_color4(0, 0, 1.5f, 0); return true;
    case WISP_TYPE_STRUCT:
        if (value->kind != WISP_MAP) return false;            /* nil: what may be missing */
        return schemas_spoil_map(s, (const wisp_schema *)type->of, value, schemas_spoil);
    case WISP_TYPE_ARRAY:
        if (value->kind != WISP_ARRAY) return false;
        if (type->max > 8 && !value->count) return false;
        count = type->max > 8 ? value->count : type->max + 1;
        items = (wisp_value *)schemas_take(s, (size_t)count * sizeof *items);
        for (int i = 0; i < count; i++)
            items[i] = i < value->count ? value->as.array[i] : schemas_of(s, inner);
        *value = wisp_array(items, count);
        return type->max <= 8 || schemas_spoil(s, inner, &items[schemas_below(s, count)]);
    case WISP_TYPE_UNION:
        for (int i = 0; i < type->max; i++)
            if (inner[i].kind == WISP_TYPE_ANY || inner[i].kind == WISP_TYPE_TRANSFORM ||
                inner[i].kind == WISP_TYPE_UNION)
                return false;
        *value = odd;
        return true;
    default: *value = odd; return true;
    }
}

/* A value of the schema with one mistake. */
static inline wisp_value schemas_misfit(schemas *s, const wisp_schema *schema) {
    wisp_value value = schemas_value(s, schema);
    if (schemas_once(s, 16)) return wisp_int(1);
    schemas_spoil_map(s, schema, &value, schemas_spoil);
    return value;
}

#endif /* RANDOM_SCHEMAS_H */
