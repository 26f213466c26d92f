/* test_value_delta.c - deltas of values without a schema: what they make of their base, and of bits
   that are no delta */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/random_schemas.h"
#include "support/record_deltas.h"

static rig the_value_delta_rig;
static schemas value_delta_made;
static sent_delta value_delta_sent;

typedef struct value_delta_tree {
    record packed;
    const wisp_value *values;
    int count;
} value_delta_tree;

static value_delta_tree trees[2];

/* Packed as what is sent without a schema: maps sorted. false: it cannot be. */
static bool tree_of(rig *r, const wisp_value *values, int count, value_delta_tree *out) {
    wisp__reader none;
    wisp__unpacker u = rig_unpacker(r, &none);
    wisp__supply supply = wisp__supply_of(&u);
    wisp_value all = wisp_array(values, count), sorted;
    wisp__arena_reset(&r->arena);
    memset(out->packed.bytes, 0, sizeof out->packed.bytes);
    if (wisp__copy(&supply, &all, &sorted, WISP__COPY_SORTED)) return false;
    out->packed.bits = wisp__pack_bits(&r->base, sorted.as.array, count, out->packed.bytes,
                                       RECORD_BYTES);
    return out->packed.bits >= 0;
}

/* The values of a tree again, as one that holds only its bits has them. */
static bool tree_open(wisp__unpacker *u, value_delta_tree *t) {
    wisp__reader data = wisp__reader_on(t->packed.bytes, (int)((t->packed.bits + 7) / 8));
    wisp__reader shape = data;
    wisp_result why;
    u->shape = &shape;
    u->data = &data;
    u->result = WISP_OK;
    wisp__skip_shape(&data);
    why = wisp__unpack(u, &t->values, &t->count);
    if (!t->values) t->values = (const wisp_value *)t->packed.bytes;
    return CHECK_EQ_INT(why, WISP_OK);
}

static bool tree_make_delta(rig *r, value_delta_tree *a, value_delta_tree *b, sent_delta *out) {
    wisp__reader none;
    wisp__unpacker u = rig_unpacker(r, &none);
    wisp__writer to = wisp__writer_on(out->bytes, DELTA_BYTES);
    wisp__delta d;
    wisp__arena_reset(&r->arena);
    memset(&d, 0, sizeof d);
    d.u = &u;
    d.to = &to;
    memset(out->bytes, 0xa5, sizeof out->bytes);
    if (!tree_open(&u, a) || !tree_open(&u, b)) return false;
    if (!wisp__values_write(&d, a->values, a->count, b->values, b->count)) return false;
    out->bits = to.at;
    out->start = 0;
    wisp__put(&to, UINT64_MAX >> 7, 57);
    return true;
}

static bool tree_apply(rig *r, value_delta_tree *base, const sent_delta *from, record *out,
                       int64_t *used) {
    wisp__reader none;
    wisp__unpacker u = rig_unpacker(r, &none);
    const wisp_value *values = NULL;
    int count = 0;
    bool good;
    wisp__delta d;
    wisp__arena_reset(&r->arena);
    memset(&d, 0, sizeof d);
    memset(out->bytes, 0, sizeof out->bytes);
    d.u = &u;
    if (!tree_open(&u, base)) return false;
    d.delta.from = wisp__reader_on(from->bytes, (int)((from->start + from->bits + 7) / 8));
    d.delta.from.end = from->start + from->bits;
    d.delta.from.at = d.delta.start = from->start;
    good = wisp__values_apply(&d, base->values, base->count, &values, &count);
    *used = d.delta.from.at - from->start;
    if (!good) return false;
    out->bits = wisp__pack_bits(&r->base, values, count, out->bytes, RECORD_BYTES);
    return out->bits >= 0;
}

static int64_t tree_there_and_back(rig *r, value_delta_tree *a, value_delta_tree *b, int start) {
    static record got;
    int64_t used = 0;
    if (!CHECK(tree_make_delta(r, a, b, &value_delta_sent))) return -1;
    move_to(&value_delta_sent, start);
    if (!CHECK(tree_apply(r, a, &value_delta_sent, &got, &used))) return -1;
    if (!CHECK(record_same(&got, &b->packed)) || !CHECK_EQ_INT(used,
                                                               value_delta_sent.bits)) return -1;
    return value_delta_sent.bits;
}

/* A value much like another: a few of its parts are changed, added, removed or retyped. */
typedef wisp_value (*alter_fn)(schemas *s, const wisp_value *from, int depth);

static wisp_value alter_list(schemas *s, const wisp_value *from, int depth, alter_fn alter) {
    wisp_value *items = (wisp_value *)schemas_take(s, ((size_t)from->count + 2) * sizeof *items);
    int count = from->count;
    for (int i = 0; i < count; i++) items[i] = alter(s, &from->as.array[i], depth - 1);
    if (count && schemas_once(s, 3)) count--;
    else if (schemas_once(s, 3)) items[count++] = schemas_any(s, 1);
    return wisp_array(items, count);
}

static wisp_value alter_map(schemas *s, const wisp_value *from, int depth, alter_fn alter) {
    wisp_pair *pairs = (wisp_pair *)schemas_take(s, ((size_t)from->count + 2) * sizeof *pairs);
    int count = 0;
    for (int i = from->count - 1; i >= 0; i--) {
        if (schemas_once(s, 6)) continue;
        pairs[count].key = from->as.map[i].key;
        pairs[count++].value = alter(s, &from->as.map[i].value, depth - 1);
    }
    if (schemas_once(s, 3)) {
        char *key = schemas_text(s, 4);
        key[0] = (char)('A' + schemas_below(s, 26));
        pairs[count].key = key;
        pairs[count++].value = schemas_any(s, 1);
    }
    return wisp_map(pairs, count);
}

static wisp_value alter(schemas *s, const wisp_value *from, int depth) {
    if (depth <= 0 || schemas_once(s, 12)) return schemas_any(s, depth);
    if (from->kind == WISP_ARRAY) return alter_list(s, from, depth, alter);
    if (from->kind == WISP_MAP) return alter_map(s, from, depth, alter);
    if (from->kind == WISP_INT && schemas_once(s, 3)) return wisp_int(from->as.integer / 2);
    return *from;
}

TEST(the_delta_of_any_two_trees_gives_the_bits_of_the_second) {
    rig *r = &the_value_delta_rig;
    rig_open(r, NULL);
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        wisp_value first[3], second[3];
        int a = 0, b = 0;
        schemas_start(&value_delta_made, seed, 0);
        a = schemas_below(&value_delta_made, 4);
        for (int i = 0; i < a; i++) first[i] = schemas_any(&value_delta_made, 3);
        b = schemas_once(&value_delta_made, 3) ? schemas_below(&value_delta_made, 4) : a;
        for (int i = 0; i < b; i++)
            second[i] = i < a ? alter(&value_delta_made, &first[i],
                                      3) : schemas_any(&value_delta_made, 2);
        if (!CHECK(tree_of(r, first, a, &trees[0]) && tree_of(r, second, b, &trees[1]))) continue;
        if (tree_there_and_back(r, &trees[0], &trees[1], (int)(seed & 7)) < 0)
            printf("seed %d\n", (int)seed);
        if (tree_there_and_back(r, &trees[1], &trees[0], 0) < 0)
            printf("seed %d, back\n", (int)seed);
    }
    rig_close(r);
}

/* Tells `b` from `a`: bits, or -1. */
static int64_t cost(wisp_value a, wisp_value b) {
    rig *r = &the_value_delta_rig;
    int64_t bits = -1;
    rig_open(r, NULL);
    if (CHECK(tree_of(r, &a, 1, &trees[0]) && tree_of(r, &b, 1, &trees[1])))
        bits = tree_there_and_back(r, &trees[0], &trees[1], 0);
    rig_close(r);
    return bits;
}

TEST(equal_numbers_of_other_kinds_are_told_apart) {
    wisp_value one[] = { wisp_int(1) }, same[] = { wisp_number(1) }, too[] = { wisp_uint(1) };
    wisp_value zero[] = { wisp_number(0.0) }, minus[] = { wisp_number(-0.0) };
    wisp_value single[] = { wisp_float(1) };
    wisp_pair deep = { "k", wisp_array(one, 1) }, other = { "k", wisp_array(same, 1) };
    cost(wisp_int(1), wisp_number(1));
    cost(wisp_number(0.0), wisp_number(-0.0));
    cost(wisp_array(one, 1), wisp_array(same, 1));
    cost(wisp_array(one, 1), wisp_array(too, 1));
    cost(wisp_array(same, 1), wisp_array(single, 1));
    cost(wisp_array(zero, 1), wisp_array(minus, 1));
    cost(wisp_map(&deep, 1), wisp_map(&other, 1));
    cost(wisp_vec2v(0.0f, 1), wisp_vec2v(-0.0f, 1));
}

TEST(a_removed_a_new_and_a_retyped_key_travel) {
    wisp_pair all[] = { { "a", wisp_int(1) }, { "b", wisp_string("two") }, { "c", wisp_nil() } };
    wisp_pair less[] = { { "c", wisp_nil() }, { "a", wisp_int(1) } };
    wisp_pair other[] = { { "b", wisp_int(2) }, { "z", wisp_bool(true) }, { "a", wisp_int(1) } };
    wisp_value none = wisp_map(NULL, 0), full = wisp_map(all, 3);
    CHECK(cost(full, wisp_map(less, 2)) <= 32);
    CHECK(cost(wisp_map(less, 2), full) > 0);
    CHECK(cost(full, wisp_map(other, 3)) > 0);
    CHECK(cost(full, none) > 0);
    CHECK(cost(none, full) > 0);
    CHECK(cost(none, none) <= 4);
}

TEST(equal_trees_cost_a_few_bits_and_one_number_not_many_more) {
    static wisp_pair pairs[60];
    static char keys[60][16];
    wisp_value before;
    rig *r = &the_value_delta_rig;
    for (int i = 0; i < 60; i++) {
        snprintf(keys[i], 16, "key%d", i);
        pairs[i].key = keys[i];
        pairs[i].value = wisp_int(i * 1000);
    }
    before = wisp_map(pairs, 60);
    CHECK(cost(before, before) <= 4);
    rig_open(r, NULL);
    if (!CHECK(tree_of(r, &before, 1, &trees[0]))) return;
    pairs[30].value = wisp_int(30001);
    if (!CHECK(tree_of(r, &before, 1, &trees[1]))) return;
    CHECK(tree_there_and_back(r, &trees[0], &trees[1], 0) <= 60 + 24);
    rig_close(r);
}

TEST(a_key_that_is_there_twice_is_refused) {
    wisp_pair twice[] = { { "a", wisp_int(1) }, { "b", wisp_int(2) }, { "a", wisp_int(3) } };
    wisp_value map = wisp_map(twice, 3);
    rig *r = &the_value_delta_rig;
    rig_open(r, NULL);
    CHECK(!tree_of(r, &map, 1, &trees[0]));
    rig_close(r);
}

TEST(wrong_bits_for_a_tree_are_endured) {
    static record got;
    rig *r = &the_value_delta_rig;
    uint64_t random = 8;
    rig_open(r, NULL);
    for (uint64_t seed = 1; seed <= 300; seed++) {
        wisp_value first, second;
        int64_t used = 0, bits;
        schemas_start(&value_delta_made, seed, 0);
        first = schemas_any(&value_delta_made, 3);
        second = alter(&value_delta_made, &first, 3);
        if (!CHECK(tree_of(r, &first, 1, &trees[0]) && tree_of(r, &second, 1, &trees[1]))) continue;
        if (!CHECK(tree_make_delta(r, &trees[0], &trees[1], &value_delta_sent))) continue;
        bits = value_delta_sent.bits;
        for (int i = 0; i < 12 && bits; i++) {
            static sent_delta spoilt;
            spoilt = value_delta_sent;
            if (i & 1) spoilt.bits = test_random_below(&random, (int)bits);
            else
                for (int k = 0; k < 3; k++) {
                    int at = test_random_below(&random, (int)bits);
                    spoilt.bytes[at / 8] ^= (uint8_t)(1 << (at & 7));
                }
            if (i == 2) low_random_bytes(&random, spoilt.bytes, (int)(bits + 7) / 8);
            tree_apply(r, &trees[0], &spoilt, &got, &used);
        }
    }
    CHECK(r->memory.largest < 32 << 20);
    rig_close(r);
}

/* --- golden: what has once been sent stays readable --- */

TEST(golden_differences_of_values) {
    wisp_value ints[3] = { wisp_int(1), wisp_int(2), wisp_int(3) };
    wisp_pair a[] = { { "hp", wisp_int(100) }, { "mp", wisp_int(80) }, { "n", wisp_string("x") } };
    wisp_pair b[] = { { "hp", wisp_int(95) }, { "mp", wisp_int(80) }, { "n", wisp_string("x") } };
    wisp_pair c[] = { { "hp", wisp_int(95) }, { "xp", wisp_bool(true) } };
    cost(wisp_map(a, 3), wisp_map(a, 3));
    check_bits(&value_delta_sent, "01");
    cost(wisp_map(a, 3), wisp_map(b, 3));
    check_bits(&value_delta_sent, "3b24");
    cost(wisp_map(b, 3), wisp_map(c, 2));
    check_bits(&value_delta_sent, "cf2180071711");
    cost(wisp_array(ints, 2), wisp_array(ints, 3));
    check_bits(&value_delta_sent, "6f088101");
    cost(wisp_int(7), wisp_string("seven"));
    check_bits(&value_delta_sent, "135630576657e606");
}

static const test_case tests[] = {
    CASE(the_delta_of_any_two_trees_gives_the_bits_of_the_second),
    CASE(equal_numbers_of_other_kinds_are_told_apart),
    CASE(a_removed_a_new_and_a_retyped_key_travel),
    CASE(equal_trees_cost_a_few_bits_and_one_number_not_many_more),
    CASE(a_key_that_is_there_twice_is_refused),
    CASE(wrong_bits_for_a_tree_are_endured),
    CASE(golden_differences_of_values),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
