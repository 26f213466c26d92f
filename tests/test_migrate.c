/* test_migrate.c - maps under change, and steps from version to version */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/random_schemas.h"

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

/* Pairs that are there. */
static int edit_count(const wisp_edit *edit) {
    int count = 0;
    for (int i = 0; i < edit->count; i++) count += edit->pairs[i].key != NULL;
    return count;
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
    CHECK_EQ_INT(edit_count(&w->edit), 2);
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
    CHECK_EQ_INT(edit_count(&w->edit), 0);
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
    CHECK_EQ_INT(wisp__copy(&supply, wisp_edit_get(&w->edit, "all"), &before, WISP__COPY_LISTS),
                 WISP_OK);
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
        CHECK_EQ_INT(edit_count(&w->edit), set - 1);
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

static wisp_result migrate_step_1(wisp_edit *edit, void *user) {
    return traced_step((trace *)user, edit, 1);
}
static wisp_result migrate_step_2(wisp_edit *edit, void *user) {
    return traced_step((trace *)user, edit, 2);
}
static wisp_result step_3(wisp_edit *edit, void *user) {
    return traced_step((trace *)user, edit, 3);
}

/* A step that ignores all results. */
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
    y.steps[1].step = migrate_step_1;
    y.steps[2].from = 2;
    y.steps[2].step = migrate_step_2;
    return y;
}

static wisp_result way_go(way *y, int count, int from, int to) {
    work *w = work_open(WORK_BYTES);
    wisp__migrating m = { y->steps, count, from, to, y->text, (int)sizeof y->text };
    wisp_result result;
    for (int i = 0; i < 3; i++) y->steps[i].user = &y->t;
    result = wisp__migrate_can(&m);
    if (result == WISP_OK)
        result = wisp__migrate(&w->edit, &m);
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

TEST(a_missing_step_is_told_with_its_versions_before_any_step_runs) {
    way y = way_on();
    CHECK_EQ_INT(way_go(&y, 2, 1, 4), WISP_E_MIGRATION);
    CHECK_EQ_INT(y.t.count, 0);
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
    wisp__migrating m = { &step, 1, 1, 2, text, (int)sizeof text };
    step.from = 1;
    step.step = step_careless;
    step.user = NULL;
    CHECK_EQ_INT(wisp__migrate(&w->edit, &m), WISP_E_MEMORY);
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
    CHECK_EQ_INT(edit_count(&w->edit), 2);
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

/* Of what is no list, or of a list of another shape, there is no edit: none of it is followed. */
TEST(an_edit_begins_with_the_shape_of_its_schema_alone) {
    static const wisp_field fields[] = { WISP_MAP_FIELD("a", WISP_T_INTEGER) };
    static const wisp_schema row = WISP_LIST_SCHEMA("s", 1, fields);
    static const wisp_schema map = WISP_MAP_SCHEMA("s", 1, fields);
    static const uint8_t text[64] = { 0 };
    pet dog = { "rex", 7, { 1, -2, 3 } };
    wisp_value item = wisp_int(1);
    wisp_pair pair;
    pair.key = "a";
    pair.value = item;
    for (int kind = 0; kind < WISP_STRUCT + 3; kind++) {
        work *w = work_open(WORK_BYTES);
        wisp_value value;
        memset(&value, 0x41, sizeof value);
        value.kind = (wisp_kind)kind;
        value.count = 1;
        if (kind == WISP_STRING || kind == WISP_BYTES) value.as.bytes = text;
        if (kind == WISP_ARRAY) value.as.array = &item;
        if (kind == WISP_MAP) value.as.map = &pair;
        if (kind == WISP_STRUCT) value = wisp_struct(&pet_schema, &dog);
        if (kind == WISP__ITEMS) value.count = -1;
        CHECK_EQ_INT(wisp__edit_begin(&w->edit, &w->supply, &map, &value),
                     kind == WISP_MAP || kind == WISP_STRUCT ? WISP_OK : WISP_E_INVALID);
        CHECK_EQ_INT(w->edit.count, kind == WISP_MAP ? 1 : kind == WISP_STRUCT ? 3 : 0);
        CHECK_EQ_INT(wisp__edit_begin(&w->edit, &w->supply, &row, &value),
                     kind == WISP_ARRAY ? WISP_OK : WISP_E_INVALID);
        CHECK_EQ_INT(w->edit.count, kind == WISP_ARRAY ? 1 : 0);
        CHECK_EQ_INT(wisp_edit_set(&w->edit, "b", wisp_int(2)), WISP_OK);
        free(w);
    }
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
    CASE(a_missing_step_is_told_with_its_versions_before_any_step_runs),
    CASE(a_failing_step_ends_the_way_with_its_code),
    CASE(there_is_no_way_back),
    CASE(a_step_that_ignores_a_lack_of_memory_does_not_go_through),
    CASE(a_row_is_edited_by_the_names_of_its_fields),
    CASE(an_edit_of_a_struct_has_its_fields),
    CASE(an_edit_begins_with_the_shape_of_its_schema_alone),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
