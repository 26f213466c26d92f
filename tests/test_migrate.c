/* test_migrate.c - maps under change, steps from version to version, and descriptors of schemas */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "test.h"
#include "schemas.h"

#include <stdlib.h>

/* --- an edit in memory of its own --- */

enum { WORK_BYTES = 1 << 21 };

typedef struct work {
    wisp__bump   bump;
    wisp__supply supply;
    wisp_edit    edit;
    union { double align; uint8_t bytes[WORK_BYTES]; } memory;
} work;

static work *work_open(size_t bytes) {
    work *w = (work *)calloc(1, sizeof *w);
    w->bump = wisp__bump_on(w->memory.bytes, (int)bytes);
    w->supply = wisp__supply_of_bump(&w->bump);
    w->edit.supply = &w->supply;
    return w;
}

static int64_t edit_int(const wisp_edit *edit, const char *name) {
    const wisp_value *value = wisp_edit_get(edit, name);
    return value && value->kind == WISP_INT ? value->as.integer : -1;
}

TEST(a_field_is_set_read_and_replaced) {
    work *w = work_open(WORK_BYTES);
    CHECK(wisp_edit_get(&w->edit, "hp") == NULL);
    CHECK_EQ_INT(wisp_edit_set(&w->edit, "hp", wisp_int(1)), WISP_OK);
    CHECK_EQ_INT(wisp_edit_set(&w->edit, "mp", wisp_int(2)), WISP_OK);
    CHECK_EQ_INT(wisp_edit_set(&w->edit, "hp", wisp_int(3)), WISP_OK);
    CHECK_EQ_INT(edit_int(&w->edit, "hp"), 3);
    CHECK_EQ_INT(edit_int(&w->edit, "mp"), 2);
    CHECK(wisp_edit_get(&w->edit, "h") == NULL);
    CHECK_EQ_INT(w->edit.count, 2);
    free(w);
}

TEST(a_removed_field_is_gone_and_the_others_stay) {
    work *w = work_open(WORK_BYTES);
    wisp_edit_set(&w->edit, "a", wisp_int(1));
    wisp_edit_set(&w->edit, "b", wisp_int(2));
    wisp_edit_set(&w->edit, "c", wisp_int(3));
    CHECK_EQ_INT(wisp_edit_remove(&w->edit, "a"), WISP_OK);
    CHECK(wisp_edit_get(&w->edit, "a") == NULL);
    CHECK_EQ_INT(edit_int(&w->edit, "b"), 2);
    CHECK_EQ_INT(edit_int(&w->edit, "c"), 3);
    CHECK_EQ_INT(wisp_edit_remove(&w->edit, "a"), WISP_E_NAME);
    CHECK_EQ_INT(wisp_edit_remove(&w->edit, "c"), WISP_OK);
    CHECK_EQ_INT(wisp_edit_remove(&w->edit, "b"), WISP_OK);
    CHECK_EQ_INT(w->edit.count, 0);
    CHECK_EQ_INT(wisp_edit_set(&w->edit, "a", wisp_int(4)), WISP_OK);
    CHECK_EQ_INT(edit_int(&w->edit, "a"), 4);
    free(w);
}

TEST(a_renamed_field_keeps_its_value) {
    work *w = work_open(WORK_BYTES);
    wisp_edit_set(&w->edit, "a", wisp_int(1));
    wisp_edit_set(&w->edit, "b", wisp_int(2));
    CHECK_EQ_INT(wisp_edit_rename(&w->edit, "a", "z"), WISP_OK);
    CHECK(wisp_edit_get(&w->edit, "a") == NULL);
    CHECK_EQ_INT(edit_int(&w->edit, "z"), 1);
    CHECK_EQ_INT(wisp_edit_rename(&w->edit, "a", "y"), WISP_E_NAME);
    CHECK_EQ_INT(wisp_edit_rename(&w->edit, "z", "b"), WISP_E_NAME);
    CHECK_EQ_INT(wisp_edit_rename(&w->edit, "z", "z"), WISP_E_NAME);
    CHECK_EQ_INT(edit_int(&w->edit, "z"), 1);
    CHECK_EQ_INT(edit_int(&w->edit, "b"), 2);
    free(w);
}

TEST(an_edit_refuses_what_is_missing) {
    work *w = work_open(WORK_BYTES);
    wisp_value odd = wisp_int(1);
    wisp_edit_set(&w->edit, "a", wisp_int(1));
    CHECK(wisp_edit_get(NULL, "a") == NULL);
    CHECK(wisp_edit_get(&w->edit, NULL) == NULL);
    CHECK_EQ_INT(wisp_edit_set(NULL, "a", wisp_int(1)), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_edit_set(&w->edit, NULL, wisp_int(1)), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_edit_remove(NULL, "a"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_edit_remove(&w->edit, NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_edit_rename(NULL, "a", "b"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_edit_rename(&w->edit, NULL, "b"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_edit_rename(&w->edit, "a", NULL), WISP_E_ARGUMENT);
    odd.kind = (wisp_kind)(WISP_STRUCT + 1);
    CHECK_EQ_INT(wisp_edit_set(&w->edit, "a", odd), WISP_E_ARGUMENT);
    CHECK_EQ_INT(edit_int(&w->edit, "a"), 1);
    free(w);
}

/* Bytes that are not there, and counts below zero, are the caller's mistake. */
TEST(an_edit_refuses_values_that_point_nowhere) {
    static const wisp_kind kinds[] = { WISP_STRING, WISP_BYTES, WISP_ARRAY, WISP_MAP };
    work *w = work_open(WORK_BYTES);
    for (int i = 0; i < 4; i++) {
        wisp_value odd = wisp_nil();
        odd.kind = kinds[i];
        odd.count = 3;
        CHECK_EQ_INT(wisp_edit_set(&w->edit, "a", odd), WISP_E_ARGUMENT);
        odd.count = -1;
        CHECK_EQ_INT(wisp_edit_set(&w->edit, "a", odd), WISP_E_ARGUMENT);
        odd.count = 0;
        CHECK_EQ_INT(wisp_edit_set(&w->edit, "a", odd), WISP_OK);
    }
    free(w);
}

TEST(an_edit_has_copies_of_names_and_texts) {
    work *w = work_open(WORK_BYTES);
    char name[8] = "name", to[8] = "to", text[8] = "text", bytes[4] = { 1, 2, 0, 4 };
    CHECK_EQ_INT(wisp_edit_set(&w->edit, name, wisp_string(text)), WISP_OK);
    CHECK_EQ_INT(wisp_edit_set(&w->edit, "bytes", wisp_bytes(bytes, 4)), WISP_OK);
    CHECK_EQ_INT(wisp_edit_rename(&w->edit, name, to), WISP_OK);
    memset(name, 'x', sizeof name);
    memset(to, 'x', sizeof to);
    memset(text, 'x', sizeof text);
    memset(bytes, 'x', sizeof bytes);
    if (CHECK(wisp_edit_get(&w->edit, "to") != NULL))
        CHECK_EQ_STR(wisp_edit_get(&w->edit, "to")->as.string, "text");
    CHECK_EQ_MEM(wisp_edit_get(&w->edit, "bytes")->as.bytes, "\1\2\0\4", 4);
    free(w);
}

typedef struct pet { char name[9]; uint8_t age; int16_t likes[3]; } pet;
static const wisp_type pet_like = WISP_T_INT16;
static const wisp_field pet_fields[] = {
    WISP_FIELD(pet, name, WISP_T_STRING(8)),
    WISP_FIELD(pet, age, WISP_T_UINT8),
    WISP_FIELD(pet, likes, WISP_T_ARRAY(&pet_like, 3)),
};
static const wisp_schema pet_schema = WISP_SCHEMA(pet, 1, pet_fields);

TEST(an_edit_has_copies_of_all_that_a_value_holds) {
    work *w = work_open(WORK_BYTES);
    char text[8] = "deep", key[8] = "key";
    pet dog = { "rex", 7, { 1, -2, 3 } };
    wisp_value items[2], rows[1], before;
    wisp_pair pairs[2];
    wisp__bump bump;
    wisp__supply supply;
    uint8_t memory[4096];
    items[0] = wisp_string(text);
    items[1] = wisp_struct(&pet_schema, &dog);
    pairs[0].key = key;
    pairs[0].value = wisp_array(items, 2);
    pairs[1].key = "other";
    pairs[1].value = wisp_vec3v(1, 2, 3);
    rows[0] = wisp_map(pairs, 2);
    bump = wisp__bump_on(memory, (int)sizeof memory);
    supply = wisp__supply_of_bump(&bump);
    CHECK_EQ_INT(wisp_edit_set(&w->edit, "all", wisp_array(rows, 1)), WISP_OK);
    CHECK_EQ_INT(wisp__as_map(&supply, wisp_edit_get(&w->edit, "all"), &before), WISP_OK);
    CHECK(wisp_equal(wisp_edit_get(&w->edit, "all"), &rows[0].as.map[0].value) == false);
    memset(text, 'x', sizeof text);
    memset(key, 'x', sizeof key);
    memset(&dog, 'x', sizeof dog);
    memset(items, 0, sizeof items);
    memset(pairs, 0, sizeof pairs);
    memset(rows, 0, sizeof rows);
    {
        const wisp_value *all = wisp_edit_get(&w->edit, "all"), *list, *rex;
        if (!CHECK(all->count == 1 && all->as.array[0].kind == WISP_MAP)) return;
        list = wisp_field_of(&all->as.array[0], "key");
        if (!CHECK(list && list->count == 2)) return;
        CHECK_EQ_STR(list->as.array[0].as.string, "deep");
        rex = &list->as.array[1];
        if (!CHECK(rex->kind == WISP_MAP && rex->count == 3)) return;
        CHECK_EQ_STR(wisp_field_of(rex, "name")->as.string, "rex");
        CHECK_EQ_INT(wisp_field_of(rex, "likes")->count, 3);
        CHECK_EQ_INT(wisp_field_of(rex, "likes")->as.array[1].as.integer, -2);
        CHECK_NEAR(wisp_field_of(&all->as.array[0], "other")->as.vec3.z, 3, 0);
    }
    free(w);
}

TEST(a_value_may_be_set_under_another_name_of_the_same_edit) {
    work *w = work_open(WORK_BYTES);
    wisp_edit_set(&w->edit, "a", wisp_string("text"));
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "copy %d", i);
        CHECK_EQ_INT(wisp_edit_set(&w->edit, name, *wisp_edit_get(&w->edit, "a")), WISP_OK);
    }
    CHECK_EQ_INT(wisp_edit_set(&w->edit, "a", *wisp_edit_get(&w->edit, "a")), WISP_OK);
    CHECK_EQ_STR(wisp_edit_get(&w->edit, "a")->as.string, "text");
    CHECK_EQ_STR(wisp_edit_get(&w->edit, "copy 99")->as.string, "text");
    free(w);
}

TEST(an_edit_takes_4096_fields_and_no_more) {
    work *w = work_open(WORK_BYTES);
    char name[16];
    for (int i = 0; i < 4096; i++) {
        snprintf(name, sizeof name, "%d", i);
        if (!CHECK_EQ_INT(wisp_edit_set(&w->edit, name, wisp_int(i)), WISP_OK)) break;
    }
    CHECK_EQ_INT(wisp_edit_set(&w->edit, "more", wisp_int(1)), WISP_E_LIMIT);
    CHECK_EQ_INT(wisp_edit_set(&w->edit, "77", wisp_int(1)), WISP_OK);
    CHECK_EQ_INT(edit_int(&w->edit, "77"), 1);
    CHECK_EQ_INT(edit_int(&w->edit, "4095"), 4095);
    CHECK_EQ_INT(wisp_edit_remove(&w->edit, "0"), WISP_OK);
    CHECK_EQ_INT(wisp_edit_set(&w->edit, "more", wisp_int(1)), WISP_OK);
    free(w);
}

/* Whatever the memory allows, a call is done or says so and leaves the fields as they were. */
TEST(an_edit_without_memory_stays_as_it_was) {
    for (size_t bytes = 0; bytes < 4000; bytes += 8) {
        work *w = work_open(bytes);
        char name[32];
        int set = 0;
        wisp_result result = WISP_OK;
        for (; set < 40 && result == WISP_OK; set++) {
            snprintf(name, sizeof name, "field number %d", set);
            result = wisp_edit_set(&w->edit, name, wisp_string(name));
        }
        if (result == WISP_OK) {
            free(w);
            continue;
        }
        CHECK_EQ_INT(result, WISP_E_MEMORY);
        CHECK_EQ_INT(w->edit.count, set - 1);
        CHECK_EQ_INT(wisp_edit_rename(&w->edit, "field number 0", "x"),
                     set > 1 ? WISP_E_MEMORY : WISP_E_NAME);
        for (int i = 0; i < set - 1; i++) {
            snprintf(name, sizeof name, "field number %d", i);
            if (CHECK(wisp_edit_get(&w->edit, name) != NULL))
                CHECK_EQ_STR(wisp_edit_get(&w->edit, name)->as.string, name);
        }
        free(w);
    }
}

/* --- steps --- */

typedef struct trace { int steps[16], count; wisp_result result; int fails_at; } trace;

static wisp_result traced_step(trace *t, wisp_edit *edit, int from) {
    if (t->count < 16) t->steps[t->count++] = from;
    CHECK(edit != NULL);
    return from == t->fails_at ? t->result : WISP_OK;
}

static wisp_result step_1(wisp_edit *edit, void *user) {
    return traced_step((trace *)user, edit, 1);
}
static wisp_result step_2(wisp_edit *edit, void *user) {
    return traced_step((trace *)user, edit, 2);
}
static wisp_result step_3(wisp_edit *edit, void *user) {
    return traced_step((trace *)user, edit, 3);
}

/* What a step does without looking at what it is told. */
static wisp_result step_careless(wisp_edit *edit, void *user) {
    static const char text[4000] = "";
    (void)user;
    for (int i = 0; i < 2000; i++) wisp_edit_set(edit, "text", wisp_bytes(text, 4000));
    return WISP_OK;
}

typedef struct way { trace t; wisp_migration steps[3]; char text[160]; } way;

static way way_on(void) {
    way y;
    memset(&y, 0, sizeof y);
    y.steps[0].from = 3;
    y.steps[0].step = step_3;
    y.steps[1].from = 1;
    y.steps[1].step = step_1;
    y.steps[2].from = 2;
    y.steps[2].step = step_2;
    return y;
}

static wisp_result way_go(way *y, int count, int from, int to) {
    work *w = work_open(WORK_BYTES);
    wisp_result result;
    for (int i = 0; i < 3; i++) y->steps[i].user = &y->t;
    result = wisp__migrate(&w->edit, y->steps, count, from, to, y->text, (int)sizeof y->text);
    free(w);
    return result;
}

TEST(steps_run_in_the_order_of_versions) {
    way y = way_on();
    CHECK_EQ_INT(way_go(&y, 3, 1, 4), WISP_OK);
    CHECK_EQ_INT(y.t.count, 3);
    for (int i = 0; i < 3; i++) CHECK_EQ_INT(y.t.steps[i], i + 1);
}

TEST(only_the_steps_between_the_versions_run) {
    way y = way_on();
    CHECK_EQ_INT(way_go(&y, 3, 2, 3), WISP_OK);
    CHECK_EQ_INT(y.t.count, 1);
    CHECK_EQ_INT(y.t.steps[0], 2);
    y = way_on();
    CHECK_EQ_INT(way_go(&y, 3, 2, 2), WISP_OK);
    CHECK_EQ_INT(y.t.count, 0);
}

TEST(a_missing_step_is_told_with_its_versions) {
    way y = way_on();
    CHECK_EQ_INT(way_go(&y, 2, 1, 4), WISP_E_MIGRATION);
    CHECK_EQ_INT(y.t.count, 1);
    CHECK(strstr(y.text, "2") && strstr(y.text, "3"));
    y = way_on();
    CHECK_EQ_INT(way_go(&y, 0, 1, 2), WISP_E_MIGRATION);
    CHECK_EQ_INT(way_go(&y, 3, 1, 5), WISP_E_MIGRATION);
}

TEST(a_failing_step_ends_the_way_with_its_code) {
    way y = way_on();
    y.t.fails_at = 2;
    y.t.result = WISP_E_USER - 7;
    CHECK_EQ_INT(way_go(&y, 3, 1, 4), WISP_E_USER - 7);
    CHECK_EQ_INT(y.t.count, 2);
    CHECK(strstr(y.text, "2") && strstr(y.text, "3"));
    y = way_on();
    y.t.fails_at = 1;
    y.t.result = 1;
    CHECK_EQ_INT(way_go(&y, 3, 1, 4), WISP_E_MIGRATION);
}

TEST(there_is_no_way_back) {
    way y = way_on();
    CHECK_EQ_INT(way_go(&y, 3, 3, 2), WISP_E_VERSION);
    CHECK_EQ_INT(y.t.count, 0);
    CHECK(strstr(y.text, "3") && strstr(y.text, "2"));
}

TEST(a_step_that_ignores_a_lack_of_memory_does_not_go_through) {
    work *w = work_open(100000);
    wisp_migration step;
    char text[160];
    step.from = 1;
    step.step = step_careless;
    step.user = NULL;
    CHECK_EQ_INT(wisp__migrate(&w->edit, &step, 1, 1, 2, text, (int)sizeof text), WISP_E_MEMORY);
    free(w);
}

TEST(a_row_is_edited_by_the_names_of_its_fields) {
    static const wisp_field fields[] = {
        WISP_MAP_FIELD("damage", WISP_T_INTEGER), WISP_MAYBE_MAP_FIELD("by", WISP_T_STRING(20)),
        WISP_MAP_FIELD("weapon", WISP_T_STRING(20)),
    };
    static const wisp_schema schema = WISP_LIST_SCHEMA("hit", 1, fields);
    work *w = work_open(WORK_BYTES);
    wisp_value row[4], out, whole;
    row[0] = wisp_int(12);
    row[1] = wisp_nil();
    row[2] = wisp_string("sword");
    row[3] = wisp_string("and more than it has");
    whole = wisp_array(row, 4);
    CHECK_EQ_INT(wisp__edit_begin(&w->edit, &w->supply, &schema, &whole), WISP_OK);
    CHECK_EQ_INT(w->edit.count, 2);
    CHECK_EQ_INT(edit_int(&w->edit, "damage"), 12);
    CHECK(wisp_edit_get(&w->edit, "by") == NULL);
    CHECK_EQ_INT(wisp_edit_set(&w->edit, "by", wisp_string("bob")), WISP_OK);
    CHECK_EQ_INT(wisp_edit_remove(&w->edit, "weapon"), WISP_OK);
    CHECK_EQ_INT(wisp__edit_end(&w->edit, &schema, &out), WISP_OK);
    CHECK_EQ_INT(out.kind, WISP_ARRAY);
    if (!CHECK_EQ_INT(out.count, 3)) return;
    CHECK_EQ_INT(out.as.array[0].as.integer, 12);
    CHECK_EQ_STR(out.as.array[1].as.string, "bob");
    CHECK_EQ_INT(out.as.array[2].kind, WISP_NIL);
    free(w);
}

TEST(an_edit_of_a_struct_has_its_fields) {
    work *w = work_open(WORK_BYTES);
    pet dog = { "rex", 7, { 1, -2, 3 } };
    wisp_value value = wisp_struct(&pet_schema, &dog), out;
    CHECK_EQ_INT(wisp__edit_begin(&w->edit, &w->supply, &pet_schema, &value), WISP_OK);
    CHECK_EQ_STR(wisp_edit_get(&w->edit, "name")->as.string, "rex");
    CHECK_EQ_INT(wisp_edit_get(&w->edit, "age")->as.integer, 7);
    CHECK_EQ_INT(wisp_edit_rename(&w->edit, "age", "years"), WISP_OK);
    CHECK_EQ_INT(wisp__edit_end(&w->edit, &pet_schema, &out), WISP_OK);
    CHECK_EQ_INT(out.kind, WISP_MAP);
    CHECK_EQ_INT(wisp_field_of(&out, "years")->as.integer, 7);
    free(w);
}

/* --- descriptors --- */

enum { BITS_BYTES = WISP__DESCRIPTOR_BYTES + 16, PLAN_BYTES = 1 << 20 };

typedef struct bits { uint8_t bytes[BITS_BYTES]; int count; } bits;

static int describe(const wisp_schema *schema, bits *to) {
    memset(to, 0, sizeof *to);
    to->count = wisp__describe(schema, to->bytes, BITS_BYTES);
    return to->count;
}

static bool same_bits(const bits *a, const bits *b) {
    return a->count == b->count && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static const wisp_schema *undescribe(const bits *from, int count, void *memory, size_t size,
                                     wisp_result *why) {
    uint8_t *exact = (uint8_t *)malloc((size_t)(count + 7) / 8 + WISP__SLACK);
    wisp__reader reader;
    wisp__bump bump = wisp__bump_on(memory, (int)size);
    const wisp_schema *schema;
    memset(exact, 0xa5, (size_t)(count + 7) / 8 + WISP__SLACK);
    memcpy(exact, from->bytes, (size_t)(count + 7) / 8);
    reader = wisp__reader_on(exact, (count + 7) / 8);
    reader.end = count;
    schema = wisp__undescribe(&reader, &bump, why);
    if (schema) CHECK_EQ_INT(*why, WISP_OK);
    else CHECK(*why == WISP_E_SCHEMA || *why == WISP_E_MEMORY);
    free(exact);                                   /* nothing points into the bits */
    return schema;
}

/* A schema that is described, learnt, and described again: the bits are the same, and what was
   packed by the one is read by the other. */
static void travel(const wisp_schema *schema, const wisp_value *value, const char *what) {
    static uint8_t memory[PLAN_BYTES], plan[PLAN_BYTES], space[PLAN_BYTES];
    bits *first = (bits *)malloc(sizeof *first), *second = (bits *)malloc(sizeof *second);
    const wisp_schema *learnt, *compiled;
    wisp_result why;
    char text[160] = "";
    if (!CHECK_EQ_INT(wisp_schema_check(schema, text, (int)sizeof text), WISP_OK))
        printf("  %s\n", text);
    if (CHECK(describe(schema, first) > 0)) {
        learnt = undescribe(first, first->count, memory, PLAN_BYTES, &why);
        if (!CHECK(learnt != NULL)) printf("  %s: %d\n", what, why);
        if (learnt && describe(learnt, second) && !CHECK(same_bits(first, second)))
            printf("  %s: described anew %d bits, not %d\n", what, second->count, first->count);
        compiled = learnt ? wisp_schema_compile(learnt, plan, PLAN_BYTES) : NULL;
        CHECK(!learnt || compiled);
        if (compiled && value) {
            const wisp_codec *pack = wisp_bitpack();
            static uint8_t out[1 << 19], again[1 << 19];
            wisp_value got;
            int size = pack->encode(pack, schema, value, out, (int)sizeof out), read, anew = 0;
            if (CHECK(size >= 0)) {
                read = pack->decode(pack, compiled, out, size, &got, space, PLAN_BYTES);
                CHECK_EQ_INT(read, size);
                if (read == size) anew = pack->encode(pack, compiled, &got, again,
                                                      (int)sizeof again);
                if (!CHECK(anew == size && memcmp(out, again, (size_t)size) == 0))
                    printf("  %s: %d bytes, then %d\n", what, size, anew);
            }
        }
    }
    free(first);
    free(second);
}

TEST(random_schemas_travel_and_mean_the_same) {
    static schemas s;
    char what[32];
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        const wisp_schema *schema;
        wisp_value value;
        int before = test_now()->failures;
        schemas_start(&s, seed, seed & 1 ? SCHEMAS_LOSSLESS : 0);
        schema = schemas_random(&s);
        value = schemas_value(&s, schema);
        snprintf(what, sizeof what, "seed %d", (int)seed);
        travel(schema, seed & 1 ? &value : NULL, what);
        if (test_now()->failures > before + 3) break;
    }
}

/* Every type as a member of a struct. */
typedef struct zoo {
    wisp_value any, exact;
    bool b;
    int8_t i8;
    int16_t i16;
    int32_t i32, sint;
    int64_t i64;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32, fixed32;
    uint64_t u64;
    uint8_t range;
    int32_t wide;
    double number, d, between;
    float f, steps;
    char text[12];
    uint8_t raw[6], counted[9];
    uint16_t counted_count;
    wisp_vec2 v2;
    wisp_vec3 v3, v3q;
    wisp_vec4 v4;
    wisp_quat q, q9;
    wisp_transform t;
    wisp_color c;
    uint8_t c4[4];
    uint16_t e;
    wisp_object o;
    pet p, pets[2], some[3];
    uint8_t some_count;
    float grid[4];
    union { int32_t i; char s[8]; } u;
    uint8_t u_option;
    int32_t opt;
    char opt_text[6];
} zoo;
static const char *const zoo_names[] = { "idle", "run", "" };
static const wisp_range zoo_ranges[4] = {
    { -1, 1, 0.5 }, { 0, 100, 1 }, { -8, 8, 0.25 }, { 0, 1, 0.125 }
};
static const wisp_type zoo_pet = WISP_T_STRUCT(&pet_schema), zoo_float = WISP_T_FLOAT;
static const wisp_type zoo_options[] = { WISP_T_INT32, WISP_T_STRING(7) };
static const wisp_field zoo_fields[] = {
    WISP_FIELD(zoo, any, WISP_T_ANY),
    WISP_FIELD(zoo, exact, WISP_T_EXACT(WISP_VEC3)),
    WISP_FIELD(zoo, b, WISP_T_BOOL),
    WISP_FIELD(zoo, i8, WISP_T_INTEGER),
    WISP_FIELD(zoo, i16, WISP_T_INT16),
    WISP_FIELD(zoo, i32, WISP_T_INTEGER),
    WISP_FIELD(zoo, sint, WISP_T_SINT32),
    WISP_FIELD(zoo, i64, WISP_T_INTEGER),
    WISP_FIELD(zoo, u8, WISP_T_UINT),
    WISP_FIELD(zoo, u16, WISP_T_UINT16),
    WISP_FIELD(zoo, u32, WISP_T_UINT),
    WISP_FIELD(zoo, fixed32, WISP_T_FIXED32),
    WISP_FIELD(zoo, u64, WISP_T_UINT64),
    WISP_FIELD(zoo, range, WISP_T_RANGE(3, 200)),
    WISP_FIELD(zoo, wide, WISP_T_RANGE(-100000, 100000)),
    WISP_FIELD(zoo, number, WISP_T_NUMBER),
    WISP_FIELD(zoo, d, WISP_T_DOUBLE),
    WISP_FIELD(zoo, between, WISP_T_NUMBER_RANGE(-1, 1)),
    WISP_FIELD(zoo, f, WISP_T_NUMBER),
    WISP_FIELD(zoo, steps, WISP_T_QUANTIZED(0, 10, 0.5)),
    WISP_FIELD(zoo, text, WISP_T_STRING(11)),
    WISP_FIELD(zoo, raw, WISP_T_BYTES(6)),
    WISP_COUNTED_FIELD(zoo, counted, counted_count, WISP_T_BYTES(9)),
    WISP_FIELD(zoo, v2, WISP_T_VEC2),
    WISP_FIELD(zoo, v3, WISP_T_VEC3),
    WISP_FIELD(zoo, v3q, WISP_T_VEC3_QUANTIZED(-10, 10, 0.25)),
    WISP_FIELD(zoo, v4, WISP_T_VEC4_EACH(zoo_ranges)),
    WISP_FIELD(zoo, q, WISP_T_QUAT(0)),
    WISP_FIELD(zoo, q9, WISP_T_QUAT(9)),
    WISP_FIELD(zoo, t, WISP_T_TRANSFORM),
    WISP_FIELD(zoo, c, WISP_T_COLOR),
    WISP_FIELD(zoo, c4, WISP_T_COLOR),
    WISP_FIELD(zoo, e, WISP_T_ENUM(zoo_names, 3)),
    WISP_FIELD(zoo, o, WISP_T_OBJECT),
    WISP_FIELD(zoo, p, WISP_T_STRUCT(&pet_schema)),
    WISP_FIELD(zoo, pets, WISP_T_ARRAY(&zoo_pet, 2)),
    WISP_COUNTED_FIELD(zoo, some, some_count, WISP_T_ARRAY(&zoo_pet, 3)),
    WISP_FIELD(zoo, grid, WISP_T_ARRAY(&zoo_float, 4)),
    WISP_UNION_FIELD(zoo, u, u_option, WISP_T_UNION(zoo_options, 2)),
    WISP_OPTIONAL_FIELD(zoo, opt, WISP_T_INT32, -5),
    WISP_OPTIONAL_TEXT_FIELD(zoo, opt_text, WISP_T_STRING(5), "abc"),
};
static const wisp_schema zoo_schema = WISP_SCHEMA(zoo, 250, zoo_fields);

static zoo zoo_full(void) {
    zoo z;
    memset(&z, 0, sizeof z);
    z.any = wisp_string("anything");
    z.exact = wisp_vec3v(1, 2, 3);
    z.range = 77;
    z.steps = 2.5f;
    z.q9.w = 1;
    z.counted_count = 4;
    z.some_count = 2;
    z.u_option = 1;
    memcpy(z.u.s, "abc", 4);
    memcpy(z.text, "hello", 6);
    memcpy(z.p.name, "rex", 4);
    return z;
}

TEST(a_struct_of_every_type_travels) {
    zoo z = zoo_full();
    wisp_value value = wisp_struct(&zoo_schema, &z);
    travel(&zoo_schema, &value, "zoo");
}

/* One field at a time, so that a failure names its type. */
TEST(a_struct_of_any_one_type_travels) {
    for (int i = 0; i < zoo_schema.count; i++) {
        wisp_schema one = zoo_schema;
        one.fields = &zoo_fields[i];
        one.count = 1;
        travel(&one, NULL, zoo_fields[i].name);
    }
}

TEST(rows_flags_numbers_and_versions_travel) {
    static const wisp_field fields[] = {
        WISP_KEY_MAP_FIELD("id", WISP_T_UINT32), WISP_MAYBE_MAP_FIELD("maybe", WISP_T_BOOL),
        WISP_OPTIONAL_MAP_FIELD("o", WISP_T_NUMBER, 0.1),
        WISP_NUMBERED_MAP_FIELD("n", WISP_T_INT8, 77),
        WISP_OPTIONAL_TEXT_MAP_FIELD("t", WISP_T_STRING(30), "the default"),
        WISP_MAP_FIELD("l", WISP_T_LITERAL(-0.5)), WISP_MAP_FIELD("lt", WISP_T_LITERAL_TEXT("lit")),
    };
    static const wisp_schema row = WISP_LIST_SCHEMA("row", 255, fields);
    bits b;
    uint8_t memory[8192];
    wisp_result why;
    const wisp_schema *learnt;
    travel(&row, NULL, "row");
    describe(&row, &b);
    learnt = undescribe(&b, b.count, memory, sizeof memory, &why);
    if (!CHECK(learnt != NULL)) return;
    CHECK_EQ_STR(learnt->name, "row");
    CHECK_EQ_INT(learnt->version, 255);
    CHECK_EQ_INT(learnt->shape, WISP_SHAPE_LIST);
    if (!CHECK_EQ_INT(learnt->count, 7)) return;
    CHECK_EQ_INT(learnt->fields[0].flags, WISP_FLAG_KEY);
    CHECK_EQ_INT(learnt->fields[1].flags, WISP_FLAG_MAYBE);
    CHECK_NEAR(learnt->fields[2].fallback, 0.1, 0);
    CHECK_EQ_INT(learnt->fields[3].number, 77);
    CHECK_EQ_STR(learnt->fields[4].fallback_text, "the default");
    CHECK_NEAR(learnt->fields[5].type.lo, -0.5, 0);
    CHECK_EQ_STR((const char *)learnt->fields[6].type.of, "lit");
}

TEST(a_descriptor_that_has_no_room_says_so) {
    bits b;
    uint8_t small[64];
    CHECK(describe(&zoo_schema, &b) > 512);
    CHECK_EQ_INT(wisp__describe(&zoo_schema, small, (int)sizeof small), WISP_E_TOO_BIG);
}

TEST(a_descriptor_cut_short_anywhere_is_refused) {
    bits b;
    void *memory = malloc(1 << 16);
    wisp_result why;
    describe(&zoo_schema, &b);
    for (int count = 0; count < b.count; count++) {
        CHECK(undescribe(&b, count, memory, 1 << 16, &why) == NULL);
        if (!CHECK_EQ_INT(why, WISP_E_SCHEMA)) printf("  %d of %d bits\n", count, b.count);
    }
    CHECK(undescribe(&b, b.count, memory, 1 << 16, &why) != NULL);
    free(memory);
}

/* With too little memory there is no schema, and not a lesser one. */
TEST(a_descriptor_takes_all_the_memory_it_needs_or_none) {
    bits b, again;
    char *memory = (char *)malloc(1 << 16);
    wisp_result why;
    const wisp_schema *learnt = NULL;
    int sizes = 0;
    describe(&zoo_schema, &b);
    for (size_t size = 0; size < 1 << 16; size += 8) {
        learnt = undescribe(&b, b.count, memory, size, &why);
        if (learnt) break;
        sizes++;
        CHECK_EQ_INT(why, WISP_E_MEMORY);
    }
    CHECK(sizes > 100 && learnt);
    if (learnt) CHECK_EQ_INT(wisp_schema_check(learnt, NULL, 0), WISP_OK);
    if (learnt) CHECK(describe(learnt, &again) > 0 && same_bits(&b, &again));
    free(memory);
}

TEST(a_text_that_has_no_room_is_not_left_out) {
    static const wisp_field fallback[] = {
        WISP_OPTIONAL_TEXT_MAP_FIELD("t", WISP_T_STRING(60), "a default of thirty bytes or so")
    };
    static const wisp_field literal[] = {
        WISP_MAP_FIELD("t", WISP_T_LITERAL_TEXT("some literal"))
    };
    static const wisp_schema schemas_of_text[] = {
        WISP_MAP_SCHEMA("a", 1, fallback), WISP_MAP_SCHEMA("b", 1, literal)
    };
    uint8_t memory[2048];
    for (int i = 0; i < 2; i++) {
        bits b, again;
        wisp_result why;
        describe(&schemas_of_text[i], &b);
        for (size_t size = 0; size < sizeof memory; size += 8) {
            const wisp_schema *learnt = undescribe(&b, b.count, memory, size, &why);
            if (!learnt) continue;
            describe(learnt, &again);
            if (!CHECK(same_bits(&b, &again))) printf("  with %d bytes\n", (int)size);
            break;
        }
    }
}

/* Whatever comes out of changed bits is a schema in its own right: it compiles, it is described
   by bits that mean the same, and records of it are read from any bytes without harm. */
static void use_learnt(const wisp_schema *learnt, uint64_t *seed) {
    static uint8_t plan[1 << 20], space[1 << 20];
    bits first, second;
    const wisp_codec *pack = wisp_bitpack();
    const wisp_schema *compiled = wisp_schema_compile(learnt, plan, (int)sizeof plan), *again;
    wisp_value value;
    wisp_result why;
    uint8_t noise[100];
    int read;
    CHECK(wisp_schema_bytes(learnt) > 0);
    CHECK(compiled != NULL || wisp_schema_bytes(learnt) > (int)sizeof plan);
    if (!compiled) return;
    for (int i = 0; i < 100; i++) noise[i] = (uint8_t)(test_random(seed) & test_random(seed));
    read = pack->decode(pack, compiled, noise, 100, &value, space, (int)sizeof space);
    CHECK(read <= 100);
    if (read >= 0) CHECK_EQ_INT(wisp_validate(compiled, &value, NULL, 0), WISP_OK);
    if (describe(learnt, &first) < 0) return;
    again = undescribe(&first, first.count, space, sizeof space, &why);
    if (CHECK(again != NULL) && describe(again, &second)) CHECK(same_bits(&first, &second));
}

TEST(a_descriptor_with_any_bit_changed_is_refused_or_a_schema) {
    bits *b = (bits *)malloc(sizeof *b);
    void *memory = malloc(1 << 20);
    uint64_t seed = 11;
    wisp_result why;
    int kept = 0;
    describe(&zoo_schema, b);
    for (int i = 0; i < b->count; i++) {
        const wisp_schema *learnt;
        b->bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        learnt = undescribe(b, b->count, memory, 1 << 20, &why);
        if (learnt) use_learnt(learnt, &seed);
        kept += learnt != NULL;
        b->bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    CHECK(kept > 100);
    free(memory);
    free(b);
}

TEST(random_descriptors_changed_in_several_places_do_no_harm) {
    static schemas s;
    bits *b = (bits *)malloc(sizeof *b);
    void *memory = malloc(1 << 20);
    wisp_result why;
    int kept = 0;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        uint64_t random = seed;
        const wisp_schema *learnt;
        schemas_start(&s, seed, 0);
        if (describe(schemas_random(&s), b) < 0) continue;
        for (int i = 1 + test_random_below(&random, 4); i > 0; i--) {
            int at = test_random_below(&random, b->count);
            b->bytes[at / 8] ^= (uint8_t)(1 << at % 8);
        }
        learnt = undescribe(b, b->count, memory, 1 << 20, &why);
        if (learnt) use_learnt(learnt, &random);
        kept += learnt != NULL;
    }
    CHECK(kept > 50);
    free(memory);
    free(b);
}

/* --- descriptors made by hand --- */

typedef struct hand { bits b; wisp__writer to; } hand;

static void hand_start(hand *h, int version, const char *name, int fields) {
    memset(h, 0, sizeof *h);
    h->to = wisp__writer_on(h->b.bytes, WISP__DESCRIPTOR_BYTES);
    wisp__put(&h->to, (uint64_t)version, 8);
    wisp__put(&h->to, 0, 1);
    wisp__put_text(&h->to, name);
    wisp__put_length(&h->to, (uint64_t)fields);
}

static void hand_field(hand *h, const char *name, int flags, int kind) {
    wisp__put_text(&h->to, name);
    wisp__put(&h->to, (uint64_t)flags, 3);
    wisp__put(&h->to, 0, 1);
    wisp__put(&h->to, (uint64_t)kind, 5);
}

static wisp_result hand_result(hand *h) {
    void *memory = malloc(1 << 20);
    wisp_result why;
    CHECK(!h->to.full);
    h->b.count = (int)h->to.at;
    undescribe(&h->b, h->b.count, memory, 1 << 20, &why);
    free(memory);
    return why;
}

/* `levels` of a kind around a bool. */
static wisp_result hand_nested(int kind, int levels) {
    hand *h = (hand *)malloc(sizeof *h);
    wisp_result result;
    hand_start(h, 1, "s", 1);
    hand_field(h, "f", 0, kind);
    for (int i = 0; i < levels; i++) {
        if (kind == WISP_TYPE_STRUCT) {
            wisp__put(&h->to, 1, 9);
            wisp__put_text(&h->to, "s");
            wisp__put_length(&h->to, 1);
            wisp__put_text(&h->to, "f");
            wisp__put(&h->to, 0, 4);
        } else {
            wisp__put_length(&h->to, 1);
            if (kind == WISP_TYPE_ARRAY) wisp__put(&h->to, 0, 1);
        }
        wisp__put(&h->to, (uint64_t)(i < levels - 1 ? kind : WISP_TYPE_BOOL), 5);
    }
    result = hand_result(h);
    free(h);
    return result;
}

TEST(nesting_in_descriptors_is_bounded) {
    CHECK_EQ_INT(hand_nested(WISP_TYPE_STRUCT, 15), WISP_OK);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_STRUCT, 16), WISP_E_SCHEMA);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_STRUCT, 1000), WISP_E_SCHEMA);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_ARRAY, 10), WISP_OK);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_ARRAY, 100), WISP_E_SCHEMA);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_ARRAY, 8000), WISP_E_SCHEMA);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_UNION, 10), WISP_OK);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_UNION, 9000), WISP_E_SCHEMA);
}

/* What is nested as deeply as it may be here can be described, so it must be understood there. */
TEST(what_may_be_used_here_is_understood_there) {
    enum { LEVELS = 24 };
    static wisp_type types[LEVELS + 1];
    static const wisp_type leaf = WISP_T_BOOL;
    for (int kind = WISP_TYPE_ARRAY; kind <= WISP_TYPE_UNION; kind++) {
        types[0] = leaf;
        for (int i = 1; i <= LEVELS; i++) {
            wisp_field field = WISP_MAP_FIELD("f", WISP_T_BOOL);
            wisp_schema schema;
            bits b;
            uint8_t memory[16384];
            wisp_result why, here;
            types[i] = schemas_plain(kind, 2);
            types[i].of = &types[i - 1];
            if (kind == WISP_TYPE_UNION) types[i].max = 1;
            field.type = types[i];
            memset(&schema, 0, sizeof schema);
            schema.name = "deep";
            schema.version = 1;
            schema.fields = &field;
            schema.count = 1;
            schema.shape = WISP_SHAPE_MAP;
            here = wisp_schema_check(&schema, NULL, 0);
            if (here) continue;
            describe(&schema, &b);
            undescribe(&b, b.count, memory, sizeof memory, &why);
            if (!CHECK_EQ_INT(why, WISP_OK)) printf("  %d levels of type %d\n", i, kind);
        }
    }
}

TEST(impossible_descriptors_are_refused) {
    hand *h = (hand *)malloc(sizeof *h);
    char name[66];
    memset(name, 'n', sizeof name);
    name[65] = 0;
    hand_start(h, 1, "s", 1);
    hand_field(h, "f", 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_OK);
    hand_start(h, 0, "s", 1);
    hand_field(h, "f", 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    hand_start(h, 1, "", 1);
    hand_field(h, "f", 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    hand_start(h, 1, name, 1);
    hand_field(h, "f", 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    hand_start(h, 1, "s", 1);
    hand_field(h, "", 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    hand_start(h, 1, "s", 1);
    hand_field(h, name, 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    hand_start(h, 1, "s", 2);
    hand_field(h, "f", 0, WISP_TYPE_BOOL);
    hand_field(h, "f", 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    hand_start(h, 1, "s", 0);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    for (int kind = WISP_TYPE_UNION + 1; kind < 33; kind++) {
        hand_start(h, 1, "s", 1);
        hand_field(h, "f", 0, kind & 31);
        wisp__put(&h->to, 0, 56);
        CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    }
    free(h);
}

TEST(huge_counts_in_descriptors_are_refused) {
    static const int kinds[] = {
        WISP_TYPE_STRING, WISP_TYPE_BYTES, WISP_TYPE_ENUM, WISP_TYPE_ARRAY, WISP_TYPE_UNION
    };
    static const uint64_t counts[] = { 0, (1 << 24) + 1, INT32_MAX, UINT32_MAX, UINT64_MAX };
    hand *h = (hand *)malloc(sizeof *h);
    for (int k = 0; k < 5; k++) {
        for (int i = 0; i < 5; i++) {
            hand_start(h, 1, "s", 1);
            hand_field(h, "f", 0, kinds[k]);
            wisp__put_length(&h->to, counts[i]);
            for (int n = 0; n < 100; n++) wisp__put(&h->to, WISP_TYPE_BOOL << 1, 6);
            CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
        }
    }
    for (int i = 1; i < 5; i++) {
        hand_start(h, 1, "s", 0);
        h->to.at -= 8;
        wisp__put_length(&h->to, counts[i]);
        for (int n = 0; n < 100; n++) hand_field(h, "f", 0, WISP_TYPE_BOOL);
        CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    }
    free(h);
}

/* The densest there is: memory stays in proportion to the bits, and below a bound. */
TEST(the_memory_of_a_descriptor_is_bounded) {
    hand *h = (hand *)malloc(sizeof *h);
    void *memory = malloc(1 << 22);
    wisp__reader from;
    wisp__bump bump;
    wisp_result why;
    hand_start(h, 1, "s", 60);
    for (int i = 0; i < 60; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        hand_field(h, name, 0, WISP_TYPE_UNION);
        wisp__put_length(&h->to, 256);
        for (int n = 0; n < 256; n++) wisp__put(&h->to, WISP_TYPE_BOOL, 5);
    }
    CHECK(!h->to.full);
    from = wisp__reader_on(h->b.bytes, (int)(h->to.at / 8));
    bump = wisp__bump_on(memory, 1 << 22);
    CHECK(wisp__undescribe(&from, &bump, &why) == NULL);
    CHECK_EQ_INT(why, WISP_E_SCHEMA);
    CHECK((1 << 22) - bump.left < 512 * 1024);
    free(memory);
    free(h);
}

static const test_case tests[] = {
    CASE(a_field_is_set_read_and_replaced),
    CASE(a_removed_field_is_gone_and_the_others_stay),
    CASE(a_renamed_field_keeps_its_value),
    CASE(an_edit_refuses_what_is_missing),
    CASE(an_edit_refuses_values_that_point_nowhere),
    CASE(an_edit_has_copies_of_names_and_texts),
    CASE(an_edit_has_copies_of_all_that_a_value_holds),
    CASE(a_value_may_be_set_under_another_name_of_the_same_edit),
    CASE(an_edit_takes_4096_fields_and_no_more),
    CASE(an_edit_without_memory_stays_as_it_was),
    CASE(steps_run_in_the_order_of_versions),
    CASE(only_the_steps_between_the_versions_run),
    CASE(a_missing_step_is_told_with_its_versions),
    CASE(a_failing_step_ends_the_way_with_its_code),
    CASE(there_is_no_way_back),
    CASE(a_step_that_ignores_a_lack_of_memory_does_not_go_through),
    CASE(a_row_is_edited_by_the_names_of_its_fields),
    CASE(an_edit_of_a_struct_has_its_fields),
    CASE(random_schemas_travel_and_mean_the_same),
    CASE(a_struct_of_every_type_travels),
    CASE(a_struct_of_any_one_type_travels),
    CASE(rows_flags_numbers_and_versions_travel),
    CASE(a_descriptor_that_has_no_room_says_so),
    CASE(a_descriptor_cut_short_anywhere_is_refused),
    CASE(a_descriptor_takes_all_the_memory_it_needs_or_none),
    CASE(a_text_that_has_no_room_is_not_left_out),
    CASE(a_descriptor_with_any_bit_changed_is_refused_or_a_schema),
    CASE(random_descriptors_changed_in_several_places_do_no_harm),
    CASE(nesting_in_descriptors_is_bounded),
    CASE(what_may_be_used_here_is_understood_there),
    CASE(impossible_descriptors_are_refused),
    CASE(huge_counts_in_descriptors_are_refused),
    CASE(the_memory_of_a_descriptor_is_bounded),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
