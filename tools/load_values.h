/* load_values.h - random values: of a scenario's kinds, and such as fit an announced schema */
#ifndef LOAD_VALUES_H
#define LOAD_VALUES_H

enum { VALUES_MOST = 4096, VALUE_BYTES = 1 << 17, ELEMENTS_MOST = 32, DEPTH_MOST = 12 };

/* Where values are made; each message begins it anew. */
typedef struct maker {
    uint64_t   *random;
    wisp_value  values[VALUES_MOST];
    wisp_pair   pairs[VALUES_MOST];
    uint8_t     bytes[VALUE_BYTES];
    int         value_count, pair_count, byte_count;
} maker;

static void maker_begin(maker *m, uint64_t *random) {
    m->random = random;
    m->value_count = m->pair_count = m->byte_count = 0;
}

static double maker_between(maker *m, double lo, double hi) {
    return lo + (hi - lo) * random_unit(m->random);
}

static int maker_count(maker *m, int least, int most) {
    return most <= least ? least : least + (int)(random_next(m->random) %
                                                 (uint64_t)(most - least + 1));
}

/* Room for bytes, none if there is no more of it. */
static uint8_t *maker_bytes(maker *m, int *size) {
    uint8_t *at = m->bytes + m->byte_count;
    if (*size > VALUE_BYTES - m->byte_count - 1) *size = 0;
    m->byte_count += *size + 1;
    return at;
}

static wisp_value maker_text(maker *m, int size) {
    char *text = (char *)maker_bytes(m, &size);
    for (int i = 0; i < size; i++) text[i] = (char)('a' + random_next(m->random) % 26);
    text[size] = 0;
    return wisp_string_n(text, size);
}

static wisp_value maker_blob(maker *m, int size) {
    uint8_t *bytes = maker_bytes(m, &size);
    for (int i = 0; i < size; i += 8) {
        uint64_t word = random_next(m->random);
        memcpy(bytes + i, &word, (size_t)(size - i < 8 ? size - i : 8));
    }
    return wisp_bytes(bytes, size);
}

static wisp_value *maker_values(maker *m, int *count) {
    wisp_value *at = m->values + m->value_count;
    if (*count > VALUES_MOST - m->value_count) *count = 0;
    m->value_count += *count;
    return at;
}

/* --- of a scenario's kinds -------------------------------------------------- */

static wisp_value maker_part(maker *m, const part *p) {
    double x = maker_between(m, p->lo, p->hi);
    switch (p->kind) {
    case WISP_BOOL: return wisp_bool(x >= (p->lo + p->hi) / 2);
    case WISP_INT: return wisp_int((int64_t)x);
    case WISP_VEC3: return wisp_vec3v((float)x, (float)maker_between(m, p->lo, p->hi),
                                      (float)maker_between(m, p->lo, p->hi));
    case WISP_STRING: return maker_text(m, (int)x);
    case WISP_BYTES: return maker_blob(m, (int)x);
    default: return wisp_number(x);
    }
}

/* --- of a schema ------------------------------------------------------------ */

static wisp_value maker_of_schema(maker *m, const wisp_schema *schema, int depth);

/* A multiple of the step between lo and hi; without a step any number. */
static double maker_stepped(maker *m, double lo, double hi, double step) {
    double steps = step > 0 ? floor((hi - lo) / step) : 0;
    if (!(hi > lo)) return maker_between(m, -100, 100);
    return step > 0 ? lo + step * floor(random_unit(m->random) * (steps + 1))
                    : maker_between(m, lo, hi);
}

static wisp_value maker_vector(maker *m, const wisp_type *type) {
    const wisp_range *each = (const wisp_range *)type->of;
    float at[4];
    for (int i = 0; i < 4; i++) {
        int axes = type->kind == WISP_TYPE_VEC2 ? 2 : type->kind == WISP_TYPE_VEC3 ? 3 : 4;
        const wisp_range *r = each && i < axes ? &each[i] : NULL;
        at[i] = (float)(r ? maker_stepped(m, r->lo, r->hi, r->step)
                          : maker_stepped(m, type->lo, type->hi, type->step));
    }
    if (type->kind == WISP_TYPE_VEC2) return wisp_vec2v(at[0], at[1]);
    return type->kind == WISP_TYPE_VEC3 ? wisp_vec3v(at[0], at[1], at[2])
                                        : wisp_vec4v(at[0], at[1], at[2], at[3]);
}

static wisp_quat maker_turn(maker *m) {
    double angle = maker_between(m, 0, 3.14);
    wisp_quat turn = { 0, 0, (float)sin(angle / 2), (float)cos(angle / 2) };
    return turn;
}

/* Integers stay small enough for every width. */
static wisp_value maker_integer(maker *m, const wisp_type *type) {
    int bytes = type->bytes ? type->bytes : 8, bits = bytes > 4 ? 31 : bytes * 8 - 1;
    uint64_t x = random_next(m->random) & ((UINT64_C(1) << bits) - 1);
    return type->kind == WISP_TYPE_UINT ? wisp_uint(x) : wisp_int((int64_t)x);
}

static wisp_value maker_range(maker *m, const wisp_type *type) {
    uint64_t width = (uint64_t)type->most - (uint64_t)type->least + 1;
    return wisp_int((int64_t)((uint64_t)type->least +
                              (width ? random_next(m->random) % width : 0)));
}

static wisp_value maker_of_type(maker *m, const wisp_type *type, int depth);
static wisp_value maker_array(maker *m, const wisp_type *type, int depth);

/* Of one kind of value. */
static wisp_value maker_exact(maker *m, int kind) {
    static const wisp_type types[] = {
        [WISP_BOOL] = WISP_T_BOOL, [WISP_INT] = WISP_T_INTEGER, [WISP_UINT] = WISP_T_UINT,
        [WISP_FLOAT] = WISP_T_NUMBER, [WISP_STRING] = WISP_T_STRING(20),
        [WISP_BYTES] = WISP_T_BYTES(20), [WISP_VEC2] = WISP_T_VEC2, [WISP_VEC3] = WISP_T_VEC3,
        [WISP_VEC4] = WISP_T_VEC4, [WISP_QUAT] = WISP_T_QUAT(0),
        [WISP_TRANSFORM] = WISP_T_TRANSFORM,
        [WISP_COLOR] = WISP_T_COLOR, [WISP_OBJECT] = WISP_T_OBJECT };
    if (kind == WISP_NUMBER) return wisp_number(maker_between(m, -100, 100));
    if (kind == WISP_ARRAY) return wisp_array(NULL, 0);
    if (kind == WISP_MAP) return wisp_map(NULL, 0);
    if (kind < 0 || kind > WISP_OBJECT || !types[kind].kind) return wisp_nil();
    return maker_of_type(m, &types[kind], 0);
}

static wisp_value maker_of_type(maker *m, const wisp_type *type, int depth) {
    const wisp_type *options = (const wisp_type *)type->of;
    int most = type->max < ELEMENTS_MOST ? type->max : ELEMENTS_MOST;
    switch ((wisp_type_kind)type->kind) {
    case WISP_TYPE_LITERAL: return type->of ? wisp_string((const char *)type->of)
                                            : wisp_number(type->lo);
    case WISP_TYPE_BOOL: return wisp_bool((random_next(m->random) & 1) != 0);
    case WISP_TYPE_INTEGER: case WISP_TYPE_UINT: return maker_integer(m, type);
    case WISP_TYPE_RANGE: return maker_range(m, type);
    case WISP_TYPE_NUMBER: return wisp_float((float)maker_between(m, -100, 100));
    case WISP_TYPE_NUMBER_RANGE: case WISP_TYPE_QUANTIZED:
        return wisp_number(maker_stepped(m, type->lo, type->hi, type->step));
    case WISP_TYPE_STRING: return maker_text(m, maker_count(m, 0, most));
    case WISP_TYPE_BYTES: return maker_blob(m, type->least ? type->max : maker_count(m, 0, most));
    case WISP_TYPE_VEC2: case WISP_TYPE_VEC3: case WISP_TYPE_VEC4: return maker_vector(m, type);
    case WISP_TYPE_QUAT: {
        wisp_quat q = maker_turn(m);
        return wisp_quatv(q.x, q.y, q.z, q.w);
    }
    case WISP_TYPE_TRANSFORM: {
        wisp_vec3 at = { 1, 2, (float)maker_between(m, -100, 100) };
        return wisp_transformv(at, maker_turn(m));
    }
    case WISP_TYPE_COLOR: return wisp_color3(1, (float)random_unit(m->random), 0);
    case WISP_TYPE_ENUM:
        return wisp_string(((const char *const *)type->of)[maker_count(m, 0, type->max - 1)]);
    case WISP_TYPE_OBJECT: return wisp_reference((wisp_object){ 0 });
    case WISP_TYPE_STRUCT: return maker_of_schema(m, (const wisp_schema *)type->of, depth + 1);
    case WISP_TYPE_ARRAY: return maker_array(m, type, depth + 1);
    case WISP_TYPE_UNION: return maker_of_type(m, &options[maker_count(m, 0, most - 1)], depth + 1);
    case WISP_TYPE_EXACT: return maker_exact(m, type->max);
    default: return maker_part(m, &(part){ WISP_INT, 0, 1000 });
    }
}

/* Of an announced type `least` says that it always has all its elements. */
static wisp_value maker_array(maker *m, const wisp_type *type, int depth) {
    const wisp_type *element = (const wisp_type *)type->of;
    int most = type->max < ELEMENTS_MOST ? type->max : ELEMENTS_MOST;
    int count = type->least ? type->max : maker_count(m, 0, depth < DEPTH_MOST ? most : 0);
    wisp_value *values = maker_values(m, &count);
    for (int i = 0; i < count; i++) values[i] = maker_of_type(m, element, depth);
    return wisp_array(values, count);
}

/* A map, or of a list's schema an array. */
static wisp_value maker_of_schema(maker *m, const wisp_schema *schema, int depth) {
    int count = depth < DEPTH_MOST ? schema->count : 0;
    bool list = schema->shape == WISP_SHAPE_LIST;
    wisp_value *values = maker_values(m, &count);
    wisp_pair *pairs = m->pairs + m->pair_count;
    if (!list && count > VALUES_MOST - m->pair_count) count = 0;
    if (!list) m->pair_count += count;
    for (int i = 0; i < count; i++) {
        values[i] = maker_of_type(m, &schema->fields[i].type, depth);
        if (!list) pairs[i] = (wisp_pair){ schema->fields[i].name, values[i] };
    }
    return list ? wisp_array(values, count) : wisp_map(pairs, count);
}

/* --- inputs, which are structs ---------------------------------------------- */

enum { INPUT_MOST = 256, INPUT_FIELDS = 64 };

/* The bytes that hold any value of a type; 0: it has no simple member. */
static int member_bytes(const wisp_type *type) {
    if (type->bytes > 0) return type->bytes;
    switch ((wisp_type_kind)type->kind) {
    case WISP_TYPE_BOOL: return 1;
    case WISP_TYPE_INTEGER: case WISP_TYPE_UINT: case WISP_TYPE_NUMBER: return 8;
    case WISP_TYPE_RANGE: case WISP_TYPE_NUMBER_RANGE: case WISP_TYPE_QUANTIZED: return 8;
    case WISP_TYPE_ENUM: return 4;
    case WISP_TYPE_STRING: return type->max + 1;
    case WISP_TYPE_VEC2: return sizeof(wisp_vec2);
    case WISP_TYPE_VEC3: return sizeof(wisp_vec3);
    case WISP_TYPE_VEC4: case WISP_TYPE_QUAT: case WISP_TYPE_COLOR: return sizeof(wisp_vec4);
    case WISP_TYPE_TRANSFORM: return sizeof(wisp_transform);
    default: return 0;
    }
}

/* A struct with members for the fields of an announced schema; false: it cannot be had, which was
   said. */
static bool struct_of(const wisp_schema *from, wisp_schema *to, wisp_field *fields) {
    *to = *from;
    to->shape = WISP_SHAPE_STRUCT;
    to->fields = fields;
    to->program = NULL;
    to->bytes = 0;
    for (int i = 0; i < from->count && i < INPUT_FIELDS; i++) {
        wisp_field *field = &fields[i];
        *field = from->fields[i];
        field->offset = (to->bytes + 7) & ~7;
        field->bytes = member_bytes(&field->type);
        to->bytes = field->offset + field->bytes;
        if (field->bytes > 0 && to->bytes <= INPUT_MOST) continue;
        fprintf(stderr, "wisp_load: inputs with \"%s\" cannot be made\n", field->name);
        return false;
    }
    to->bytes = (to->bytes + 7) & ~7;
    return from->count <= INPUT_FIELDS;
}

#endif
