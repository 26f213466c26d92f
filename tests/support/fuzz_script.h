/* fuzz_script.h - for the fuzz targets: the input as a script, values made from it and looked at

   To be included after the implementation. A script that has ended gives zeros, so every input is
   one. */
#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H

#include "../../wisp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stops the fuzzer with a line that says what did not hold. */
#define MUST(holds) ((holds) ? (void)0 : script_stop(#holds, __FILE__, __LINE__))

static inline void script_stop(const char *what, const char *file, int line) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

/* ---- the script ------------------------------------------------------------ */

typedef struct script {
    const uint8_t *data;
    size_t         size, at;
} script;

static inline bool script_ended(const script *s) { return s->at >= s->size; }

static inline uint8_t take(script *s) { return script_ended(s) ? 0 : s->data[s->at++]; }

static inline int take16(script *s) {
    int low = take(s);
    return low | take(s) << 8;
}

static inline int take_below(script *s, int count) { return take(s) % count; }

static inline uint64_t take64(script *s) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | take(s);
    return value;
}

/* Seconds from a few that matter: nothing, a tick, an ack delay, a round trip, a timeout, a leap,
   and backwards. */
static inline double take_seconds(script *s) {
    static const double steps[] = { 0, 0.001, 0.016, 0.03, 0.11, 0.5, 2.1, 5, 11, 4000, -1 };
    return steps[take_below(s, (int)(sizeof steps / sizeof *steps))];
}

/* ---- memory that is counted, and fails when told ---------------------------- */

typedef struct account {
    size_t held, peak;
    int    fails_in;          /* allocations until one fails; 0: none does */
} account;

static inline void *memory_take(void *user, size_t size) {
    account *m = (account *)user;
    void *block;
    if (m->fails_in > 0 && --m->fails_in == 0) return NULL;
    block = malloc(size ? size : 1);
    MUST(block);
    m->held += size;
    if (m->held > m->peak) m->peak = m->held;
    return block;
}

static inline void memory_give(void *user, void *block, size_t size) {
    account *m = (account *)user;
    if (!block) return;
    MUST(size <= m->held);
    m->held -= size;
    free(block);
}

static inline wisp_allocator memory_allocator(account *m) {
    wisp_allocator allocator;
    allocator.alloc = memory_take;
    allocator.free = memory_give;
    allocator.user = m;
    return allocator;
}

/* ---- values ------------------------------------------------------------------ */

enum { SHELF_VALUES = 96, SHELF_TEXT = 2048, SHELF_DEPTH = 3 };

/* Where the parts of a message stand while it is made. */
typedef struct shelf {
    wisp_value values[SHELF_VALUES];
    wisp_pair  pairs[SHELF_VALUES];
    char       text[SHELF_TEXT];
    int        value_count, pair_count, text_size;
} shelf;

static inline wisp_value shelf_value(shelf *to, script *s, int depth);

static inline const char *shelf_text(shelf *to, script *s, int size) {
    char *text = to->text + to->text_size;
    for (int i = 0; i < size; i++) text[i] = (char)take(s);
    text[size] = 0;
    to->text_size += size + 1;
    return text;
}

static inline wisp_value shelf_array(shelf *to, script *s, int depth, int count) {
    wisp_value *list = to->values + to->value_count;
    to->value_count += count;
    for (int i = 0; i < count; i++) list[i] = shelf_value(to, s, depth + 1);
    return wisp_array(list, count);
}

static inline wisp_value shelf_map(shelf *to, script *s, int depth, int count) {
    static const char *const keys[] = { "a", "bb", "ccc", "", "name", "hp" };
    wisp_pair *list = to->pairs + to->pair_count;
    to->pair_count += count;
    for (int i = 0; i < count; i++) {
        list[i].key = keys[i];
        list[i].value = shelf_value(to, s, depth + 1);
    }
    return wisp_map(list, count);
}

static inline float take_float(script *s) {
    static const float some[] = { 0, -0.0f, 1, -1, 0.5f, 1e30f, 1e-40f, 12345.678f };
    return some[take_below(s, 8)];
}

static inline wisp_value shelf_number(script *s, int kind) {
    float x = 0, y = 0, z = 0;
    if (kind >= 5 && kind <= 10) x = take_float(s);     /* one after the other: a fixed order */
    if (kind >= 7 && kind <= 9) y = take_float(s);
    if (kind == 8) z = take_float(s);
    switch (kind) {
    case 0: return wisp_nil();
    case 1: return wisp_bool(take(s) & 1);
    case 2: return wisp_int((int8_t)take(s));
    case 3: return wisp_int((int64_t)take64(s));
    case 4: return wisp_uint(take64(s));
    case 5: return wisp_float(x);
    case 6: return wisp_number((double)x / 3);
    case 7: return wisp_vec2v(x, y);
    case 8: return wisp_vec3v(x, y, z);
    case 9: return wisp_quatv(x, 0, 1, y);
    case 10: return wisp_color3(x, 1, 0.25f);
    default: return wisp_uint(take(s));
    }
}

static inline wisp_value shelf_value(shelf *to, script *s, int depth) {
    int kind = take_below(s, 16), count = take_below(s, 6), size = take_below(s, 64);
    if (kind < 12) return shelf_number(s, kind);
    if (kind < 14) {
        if (to->text_size + size + 1 > SHELF_TEXT) return wisp_nil();
        return kind == 12 ? wisp_bytes(shelf_text(to, s, size), size)
                          : wisp_string_n(shelf_text(to, s, size), size);
    }
    if (depth >= SHELF_DEPTH) return wisp_nil();
    if (kind == 14 && to->value_count + count <= SHELF_VALUES)
        return shelf_array(to, s, depth, count);
    if (kind == 15 && to->pair_count + count <= SHELF_VALUES)
        return shelf_map(to, s, depth, count);
    return wisp_nil();
}

/* Reads every byte that a value points to; returns something that depends on them. */
static inline uint64_t look_at(const wisp_value *value) {
    uint64_t sum = (uint64_t)value->kind;
    int size = 0;
    const char *bytes = wisp_string_of(value, &size);
    for (int i = 0; bytes && i < size; i++) sum = sum * 31 + (uint8_t)bytes[i];
    if (bytes && value->kind == WISP_STRING) MUST(bytes[size] == 0);
    if (value->kind != WISP_ARRAY && value->kind != WISP_MAP) return sum;
    for (int i = 0; i < wisp_count_of(value); i++) {
        const wisp_value *element = wisp_element_of(value, i);
        MUST(element);
        sum = sum * 31 + look_at(element);
        if (value->kind == WISP_MAP)
            MUST(wisp_field_of(value, wisp_key_of(value, i)) != NULL);
    }
    return sum;
}

static inline void look_at_event(const wisp_event *event) {
    static volatile uint64_t seen;
    MUST(event->w && event->name && event->text);
    for (int i = 0; i < event->count; i++) seen = seen + look_at(&event->args[i]);
    seen = seen + strlen(event->name) + strlen(event->text);
}

#endif /* FUZZ_SCRIPT_H */
