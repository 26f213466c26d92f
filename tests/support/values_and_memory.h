/* values_and_memory.h - set-up shared by the tests of the low rooms, base to seal

   A memory that counts, checks the sizes that come back and fails when told to; random values;
   packing to and fro. Included after wisp.h (with its implementation) and test_runner.h. */
#ifndef VALUES_AND_MEMORY_H
#define VALUES_AND_MEMORY_H

#include <stdlib.h>

#define LOW_NONE -1     /* fail_after: never */

typedef struct low_memory {
    long long held;         /* bytes */
    long long blocks;
    long long calls;        /* of alloc, also those that failed */
    long long largest;      /* bytes ever held */
    long long fail_after;   /* this many more succeed, then all fail */
    int       wrong_sizes;  /* frees with another size than was asked for */
} low_memory;

enum { LOW_HEAD = 16 };     /* bytes ahead of each block, where its size stands */

/* What it hands out is full of garbage, so that a missing zero shows. */
static inline void *low_alloc(void *user, size_t size) {
    low_memory *memory = (low_memory *)user;
    unsigned char *block;
    memory->calls++;
    if (memory->fail_after == 0) return NULL;
    if (memory->fail_after > 0) memory->fail_after--;
    block = (unsigned char *)malloc(size + LOW_HEAD);
    if (!block) return NULL;
    memset(block, 0xa5, size + LOW_HEAD);
    memcpy(block, &size, sizeof size);
    memory->held += (long long)size;
    memory->blocks++;
    if (memory->held > memory->largest) memory->largest = memory->held;
    return block + LOW_HEAD;
}

static inline void low_free(void *user, void *pointer, size_t size) {
    low_memory *memory = (low_memory *)user;
    unsigned char *block = (unsigned char *)pointer - LOW_HEAD;
    size_t was;
    memcpy(&was, block, sizeof was);
    if (was != size) memory->wrong_sizes++;
    memory->held -= (long long)was;
    memory->blocks--;
    free(block);
}

/* A base with nothing but memory and default limits: all that the low rooms ask for. */
static inline void low_start(wisp__base *base, low_memory *memory) {
    memset(base, 0, sizeof *base);
    memset(memory, 0, sizeof *memory);
    memory->fail_after = LOW_NONE;
    base->memory.alloc = low_alloc;
    base->memory.free = low_free;
    base->memory.user = memory;
    wisp__limits_defaults(&base->limits, 64);
}

/* Everything was given back, with the right sizes, and counted so. */
static inline bool low_is_empty(const wisp__base *base, const low_memory *memory) {
    return memory->held == 0 && memory->blocks == 0 && memory->wrong_sizes == 0 &&
           base->stats.memory == 0;
}

static inline void low_random_bytes(uint64_t *seed, void *to, int count) {
    unsigned char *bytes = (unsigned char *)to;
    for (int i = 0; i < count; i++) bytes[i] = (unsigned char)test_random(seed);
}

/* --- random values: trees whose parts lie in one block --- */

enum { LOW_BLOCK = 1 << 18 };

typedef struct low_values {
    uint64_t seed;
    int      depth;         /* lists in lists, at most */
    size_t   used;
    union { double align; unsigned char bytes[LOW_BLOCK]; } block;
} low_values;

static inline void *low_take(low_values *v, size_t size) {
    void *taken = v->block.bytes + v->used;
    size = (size + 15) & ~(size_t)15;
    if (v->used + size > sizeof v->block.bytes) return NULL;
    v->used += size;
    return taken;
}

static inline double low_nan(void) {
    uint64_t bits = UINT64_C(0x7ff8000000000000);
    double number;
    memcpy(&number, &bits, 8);
    return number;
}

/* Whole numbers small and large, fractions, and the edges of the ways numbers are packed. */
static inline double low_number(low_values *v) {
    static const double edges[] = {
        0.0, -0.0, 1.0, -1.0, 0.5, 16777216.0, 16777217.0, -16777216.0, 140737488355328.0,
        -140737488355328.0, 140737488355329.0, 3.0e38, -3.0e38, 1e300, -1e-300, 5e-324,
        9007199254740993.0, 18446744073709551616.0, -9223372036854775808.0, 1e-45
    };
    const int count = (int)(sizeof edges / sizeof *edges);
    if (test_random_below(&v->seed, 20) == 0) return low_nan();
    switch (test_random_below(&v->seed, 5)) {
    case 0: return edges[test_random_below(&v->seed, count)];
    case 1: return test_random_below(&v->seed, 2000) - 1000.0;
    case 2: return (double)(int64_t)test_random(&v->seed);
    case 3: return (double)(float)(test_random_unit(&v->seed) * 100.0);
    default: return test_random_unit(&v->seed) * 1e6 - 5e5;
    }
}

static inline float low_float(low_values *v) {
    double number = low_number(v);
    if (number > 3e38 || number < -3e38) number = 1.0 / 3.0;
    return (float)number;
}

/* Of any size: as many bits as not are leading zeros. */
static inline uint64_t low_integer(low_values *v) {
    return test_random(&v->seed) >> test_random_below(&v->seed, 64);
}

static inline wisp_value low_blob(low_values *v, wisp_kind kind) {
    int size = test_random_below(&v->seed, test_random_below(&v->seed, 10) ? 12 : 300);
    char *text = (char *)low_take(v, (size_t)size + 1);
    wisp_value value;
    if (!text) return wisp_nil();
    low_random_bytes(&v->seed, text, size);
    value = wisp_string_n(text, size);
    value.kind = kind;
    return value;
}

/* Keys that differ from each other: a letter that tells which, then others. */
static inline const char *low_key(low_values *v, int which) {
    int size = 1 + test_random_below(&v->seed, 9);
    char *key = (char *)low_take(v, (size_t)size + 1);
    if (!key) return NULL;
    for (int i = 0; i < size; i++) key[i] = (char)(1 + test_random_below(&v->seed, 255));
    key[0] = (char)(1 + which);
    key[size] = 0;
    return key;
}

static inline wisp_value low_leaf(low_values *v, wisp_kind kind) {
    float f[7];
    wisp_value value;
    for (int i = 0; i < 7; i++) f[i] = low_float(v);
    switch (kind) {
    case WISP_BOOL: return wisp_bool(test_random(&v->seed) & 1);
    case WISP_INT: return wisp_int(wisp__unzigzag(low_integer(v)));
    case WISP_UINT: return wisp_uint(low_integer(v));
    case WISP_FLOAT: return wisp_float(f[0]);
    case WISP_NUMBER: return wisp_number(low_number(v));
    case WISP_STRING:
    case WISP_BYTES: return low_blob(v, kind);
    case WISP_NIL: return wisp_nil();
    default: break;
    }
    value = wisp_nil();
    value.kind = kind;
    if (kind == WISP_COLOR && (v->seed & 1))
        for (int i = 0; i < 4; i++) f[i] = (float)(test_random_below(&v->seed, 256) / 255.0);
    memcpy(&value.as, f, sizeof f);
    return value;
}

static inline wisp_value low_value(low_values *v);

static inline wisp_value low_array(low_values *v) {
    int count = test_random_below(&v->seed, 7);
    bool alike = (test_random(&v->seed) & 1) != 0;
    wisp_value *items = (wisp_value *)low_take(v, (size_t)count * sizeof *items);
    wisp_kind kind = (wisp_kind)test_random_below(&v->seed, WISP_ARRAY);
    if (!items) return wisp_nil();
    for (int i = 0; i < count; i++) items[i] = alike ? low_leaf(v, kind) : low_value(v);
    return wisp_array(items, count);
}

static inline wisp_value low_map(low_values *v) {
    int count = test_random_below(&v->seed, 7);
    wisp_pair *pairs = (wisp_pair *)low_take(v, (size_t)count * sizeof *pairs);
    if (!pairs) return wisp_nil();
    for (int i = 0; i < count; i++) {
        pairs[i].key = low_key(v, i);
        if (!pairs[i].key) return wisp_nil();
        pairs[i].value = low_value(v);
    }
    return wisp_map(pairs, count);
}

/* A value of any kind. One that no longer fits the block is nil. */
static inline wisp_value low_value(low_values *v) {
    wisp_kind kind = (wisp_kind)test_random_below(&v->seed, WISP_MAP + 1);
    wisp_value value;
    if (kind < WISP_ARRAY || v->depth == 0)
        return low_leaf(v, kind < WISP_ARRAY ? kind : WISP_INT);
    v->depth--;
    value = kind == WISP_ARRAY ? low_array(v) : low_map(v);
    v->depth++;
    return value;
}

static inline void low_values_start(low_values *v, uint64_t seed, int depth) {
    v->seed = seed;
    v->depth = depth;
    v->used = 0;
}

/* --- the same kinds in the same places, and the same bits in floats: more than wisp_equal --- */

static inline bool low_same(const wisp_value *a, const wisp_value *b) {
    float p[7], q[7];
    if (a->kind != b->kind || a->count != b->count) return false;
    switch (a->kind) {
    case WISP_NIL: return true;
    case WISP_BOOL: return a->as.boolean == b->as.boolean;
    case WISP_INT:
    case WISP_UINT:
    case WISP_NUMBER: return memcmp(&a->as, &b->as, 8) == 0;
    case WISP_FLOAT: return memcmp(&a->as, &b->as, 4) == 0;
    case WISP_OBJECT: return a->as.object.id == b->as.object.id;
    case WISP_STRING:
    case WISP_BYTES: return !a->count || !memcmp(a->as.bytes, b->as.bytes, (size_t)a->count);
    case WISP_ARRAY:
        for (int i = 0; i < a->count; i++)
            if (!low_same(&a->as.array[i], &b->as.array[i])) return false;
        return true;
    case WISP_MAP:
        for (int i = 0; i < a->count; i++)
            if (strcmp(a->as.map[i].key, b->as.map[i].key) ||
                !low_same(&a->as.map[i].value, &b->as.map[i].value)) return false;
        return true;
    default: break;
    }
    wisp__value_floats(b, q);
    return memcmp(p, q, (size_t)wisp__value_floats(a, p) * sizeof(float)) == 0;
}

/* --- doubles --- */

static inline uint64_t low_bits_of(double number) {
    uint64_t bits;
    memcpy(&bits, &number, 8);
    return bits;
}

static inline double low_double_of(uint64_t bits) {
    double number;
    memcpy(&number, &bits, 8);
    return number;
}

/* Doubles of every size, many with few bits, integers, and neighbours of powers of two. */
static inline double low_double(uint64_t *seed) {
    uint64_t bits = test_random(seed);
    switch (test_random_below(seed, 6)) {
    case 0: bits &= ~((UINT64_C(1) << test_random_below(seed, 53)) - 1); break;
    case 1: bits &= UINT64_C(0x800fffffffffffff); break;
    case 2: bits = (bits & UINT64_C(0xfff0000000000000)) + bits % 5 - 2; break;
    case 3: return (double)(int64_t)(bits >> (bits & 63));
    case 4: return (double)(int64_t)(bits % 2000001 - 1000000) / 1000.0;
    default: break;
    }
    if ((bits >> 52 & 0x7ff) == 0x7ff) bits ^= UINT64_C(1) << 62;
    return low_double_of(bits);
}

/* --- text --- */

/* Bytes that are no UTF-8: cut off, overlong, surrogates, beyond the last code point; NULL after
   the last. */
static inline const char *low_torn(int i) {
    static const char *const torn[] = {
        "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xc2\xc2", "\xe0\x9f\xbf",
        "\xe1\x80", "\xe1\x80\x41", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
        "\xf1\x80\x80", "\xf1\x80\x80\xc0", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80\x80", "\xfe", "\xff",
        NULL
    };
    return torn[i];
}

#endif /* VALUES_AND_MEMORY_H */
