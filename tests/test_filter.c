/* test_filter.c - middleware before schemas and differences, and without memory */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"
#include "support/probe_middleware.h"

/* --- what has a schema, and what is told by differences --- */

typedef struct hero { int32_t hp; uint32_t gold; char name[12]; } hero;

static const wisp_field hero_fields[] = {
    WISP_FIELD(hero, hp,   WISP_T_RANGE(0, 100)),
    WISP_FIELD(hero, gold, WISP_T_RANGE(0, 100000)),
    WISP_FIELD(hero, name, WISP_T_STRING(11)),
};
static const wisp_schema hero_schema = WISP_SCHEMA(hero, 1, hero_fields);

static hero heroes[32];               /* that the handler has got, in order */
static int hero_count;

static void on_hero(wisp_event *event) {
    const hero *h = (const hero *)wisp_arg_struct(event, 0, &hero_schema);
    CHECK_EQ_INT(event->args[0].kind, WISP_STRUCT);
    if (!CHECK(h && event->args[0].as.structure.data == h) || hero_count == 32) return;
    CHECK(h->hp >= 0 && h->hp <= 100);
    heroes[hero_count++] = *h;
}

static wisp_result fire_hero(world_two *t, int32_t hp) {
    hero h = { 0, 7, "Ada" };
    wisp_value value;
    h.hp = hp;
    value = wisp_struct(&hero_schema, &h);
    return wisp_fire_values(t->client, "hero", wisp_to_peer(t->to_server), &value, 1);
}

static void act_hero_hp(wisp_event *event, wisp_value hp) {
    wisp_pair pairs[3];
    wisp_value map;
    pairs[0].key = "gold";
    pairs[0].value = wisp_uint(7);
    pairs[1].key = "hp";
    pairs[1].value = hp;
    pairs[2].key = "name";
    pairs[2].value = wisp_string("Eve");
    map = wisp_map(pairs, 3);
    CHECK_EQ_INT(wisp_change(event, &map, 1), WISP_OK);
}

static void act_hero_good(wisp_event *event, probe *p) {
    const hero *h = (const hero *)wisp_arg_struct(event, 0, &hero_schema);
    if (CHECK(h != NULL)) act_hero_hp(event, wisp_int(h->hp + 1));
    p->acted++;
}

static void act_hero_bad(wisp_event *event, probe *p) {
    act_hero_hp(event, p->acted++ & 1 ? wisp_string("a lot") : wisp_int(101));
}

static void act_hero_itself(wisp_event *event, probe *p) {
    hero h = { 50, 8, "Eve" };
    wisp_value value = wisp_struct(&hero_schema, &h);
    p->acted++;
    CHECK_EQ_INT(wisp_change(event, &value, 1), WISP_OK);
    memset(&h, 0xff, sizeof h);
}

static void act_sparse(wisp_event *event, probe *p) {
    p->acted++;
    act_no_values(event, p);
}

/* Both know the schema and the mode; `delivery` is the client's. */
static void two_heroes(world_two *t, bool delta, wisp_delivery delivery) {
    wisp_config config;
    two_open(t);
    memset(&config, 0, sizeof config);
    hero_count = 0;
    config.encode.schema = &hero_schema;
    config.encode.mode = delta ? WISP_ENCODE_DELTA : WISP_ENCODE_SCHEMA;
    CHECK_EQ_INT(wisp_use_config(t->server, &config, "hero"), WISP_OK);
    config.delivery = delivery;
    CHECK_EQ_INT(wisp_use_config(t->client, &config, "hero"), WISP_OK);
    wisp_connect(t->server, "hero", on_hero, NULL);
}

TEST(changed_values_that_fit_the_schema_come_out_as_its_struct) {
    for (int i = 0; i < 4; i++) {
        world_two t;
        probe p = probe_that(i < 2 ? act_hero_good : act_hero_itself, NULL);
        two_heroes(&t, false, WISP_RELIABLE);
        use(i & 1 ? t.server : t.client, "good", NULL, i & 1 ? IN : OUT, &p);
        CHECK_EQ_INT(fire_hero(&t, 49), WISP_OK);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(p.acted, 1);
        if (!CHECK_EQ_INT(hero_count, 1)) return;
        CHECK_EQ_INT(heroes[0].hp, 50);
        CHECK_EQ_STR(heroes[0].name, "Eve");
        world_close(&t.w);
    }
}

TEST(changed_values_outside_the_schema_never_reach_a_handler) {
    world_two t;
    probe bad = probe_that(act_hero_bad, NULL), none = probe_that(act_sparse, NULL);
    two_heroes(&t, false, WISP_RELIABLE);
    use(t.client, "bad", NULL, OUT, &bad);
    CHECK_EQ_INT(fire_hero(&t, 5), WISP_E_INVALID);
    CHECK_EQ_INT(fire_hero(&t, 5), WISP_E_INVALID);
    CHECK_EQ_INT(wisp_unuse(t.client, "bad"), WISP_OK);
    use(t.client, "none", NULL, OUT, &none);
    CHECK_EQ_INT(fire_hero(&t, 5), WISP_E_INVALID);
    wisp_unuse(t.client, "none");
    use(t.server, "bad", NULL, IN, &bad);
    CHECK_EQ_INT(fire_hero(&t, 5), WISP_OK);
    CHECK_EQ_INT(fire_hero(&t, 5), WISP_OK);
    world_run(&t.w, 0.1);
    wisp_unuse(t.server, "bad");
    use(t.server, "none", NULL, IN, &none);
    CHECK_EQ_INT(fire_hero(&t, 5), WISP_OK);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_INVALID), 3);
    CHECK_EQ_INT(hero_count, 0);
    CHECK_EQ_INT(world_remote_stats(t.server, "hero").filtered, 3);
    CHECK_EQ_INT(world_peer_stats(t.server, t.to_client).bad_messages, 0);
    world_close(&t.w);
}

TEST(a_change_outside_the_schema_is_told_with_its_field) {
    world_two t;
    probe bad = probe_that(act_hero_bad, NULL);
    two_heroes(&t, false, WISP_RELIABLE);
    use(t.server, "bad", NULL, IN, &bad);
    fire_hero(&t, 5);
    world_run(&t.w, 0.1);
    CHECK(strstr(world_last(&t.w, t.server, WISP_ERROR)->text, "hp") != NULL);
    world_close(&t.w);
}

TEST(a_held_struct_comes_out_as_a_struct) {
    for (int i = 0; i < 4; i++) {
        world_two t;
        probe p = probe_of(WISP_HOLD);
        wisp *at;
        two_heroes(&t, i > 1, WISP_RELIABLE);
        at = i & 1 ? t.server : t.client;
        use(at, "hold", "^hero$", i & 1 ? IN : OUT, &p);
        for (int n = 0; n < 3; n++) CHECK_EQ_INT(fire_hero(&t, 40 + n), WISP_OK);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(p.kind, WISP_STRUCT);
        CHECK_EQ_INT(release(at, "hold", WISP_PASS), 3);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(hero_count, 3);
        for (int n = 0; n < hero_count; n++) CHECK_EQ_INT(heroes[n].hp, 40 + n);
        CHECK_EQ_STR(heroes[0].name, "Ada");
        CHECK_EQ_INT(world_count(&t.w, NULL, WISP_ERROR), 0);
        world_close(&t.w);
    }
}

/* A held value is checked by the schema that is there when it is released. */
TEST(a_schema_that_came_while_a_message_was_held_is_in_force) {
    world_two t;
    probe p = probe_of(WISP_HOLD);
    wisp_schema_entry entry = { "r", NULL, NULL, 0 };
    entry.schema = &hero_schema;
    two_open(&t);
    use(t.server, "hold", NULL, IN, &p);
    fire(&t, "r", 5);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(wisp_use_schemas(t.server, &entry, 1), WISP_OK);
    release(t.server, "hold", WISP_PASS);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(heard(&t, "r"), 0);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_INVALID), 1);
    world_close(&t.w);
}

static wisp_result on_odd(wisp_event *event) {
    const hero *h = (const hero *)wisp_arg_struct(event, 0, &hero_schema);
    return h && h->hp % 2 ? *(const wisp_result *)event->user : WISP_PASS;
}

static void use_odd(wisp *w, int way, const wisp_result *verdict) {
    wisp_middleware m;
    memset(&m, 0, sizeof m);
    m.name = "odd";
    m.inbound = way == IN ? on_odd : NULL;
    m.outbound = way == OUT ? on_odd : NULL;
    m.user = (void *)(uintptr_t)verdict;
    CHECK_EQ_INT(wisp_use(w, &m), WISP_OK);
}

/* What goes out and is dropped was never told; what comes in and is dropped was. So the even ones
   are right whatever became of the odd ones, and nothing is asked for anew. */
TEST(what_a_hook_takes_away_leaves_differences_right) {
    static const wisp_result verdicts[] = { WISP_DROP, REFUSED, WISP_HOLD };
    static const wisp_delivery deliveries[] = { WISP_RELIABLE, WISP_UNRELIABLE, WISP_SEQUENCED };
    for (int i = 0; i < 18; i++) {
        world_two t;
        int way = i & 1 ? IN : OUT;
        const wisp_result *verdict = &verdicts[i / 2 % 3];
        wisp *at;
        two_heroes(&t, true, deliveries[i / 6]);
        at = way == IN ? t.server : t.client;
        use_odd(at, way, verdict);
        for (int n = 1; n < 20; n++) {
            CHECK_EQ_INT(fire_hero(&t, n), way == OUT && n % 2 && *verdict < 0 ? *verdict
                                                                              : WISP_OK);
            world_run(&t.w, 0.05);
        }
        CHECK_EQ_INT(hero_count, 9);
        for (int n = 0; n < hero_count; n++) CHECK_EQ_INT(heroes[n].hp, 2 * n + 2);
        CHECK_EQ_INT(world_results(&t.w, NULL, WISP_ERROR, WISP_E_BASELINE), 0);
        CHECK_EQ_INT(world_remote_stats(t.client, "hero").messages_sent, way == IN ? 19 : 9);
        if (*verdict == WISP_HOLD) {
            CHECK_EQ_INT(release(at, "odd", WISP_PASS), 10);
            world_run(&t.w, 0.5);
            if (deliveries[i / 6] == WISP_RELIABLE || way == IN) CHECK_EQ_INT(hero_count, 19);
            CHECK_EQ_INT(heroes[hero_count - 1].hp, 19);
        }
        world_close(&t.w);
    }
}

/* What a hook drops on its way out is not taken for what the peer has: the same value goes. */
TEST(a_dropped_value_is_not_unchanged_the_next_time) {
    world_two t;
    wisp_result verdict = WISP_DROP;
    two_heroes(&t, true, WISP_RELIABLE);
    use_odd(t.client, OUT, &verdict);
    fire_hero(&t, 5);
    world_run(&t.w, 0.1);
    verdict = WISP_PASS;
    fire_hero(&t, 5);
    fire_hero(&t, 5);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(hero_count, 1);
    CHECK_EQ_INT(world_remote_stats(t.client, "hero").unchanged, 1);
    world_close(&t.w);
}

/* A run of equal messages in a packet is read once: what hooks make of each must not pile up. */
TEST(changes_of_many_equal_messages_take_the_memory_of_one) {
    world_two t;
    probe p = probe_that(act_hero_itself, NULL);
    uint64_t before;
    two_heroes(&t, false, WISP_RELIABLE);
    use(t.server, "itself", NULL, IN, &p);
    fire_hero(&t, 5);
    world_run(&t.w, 0.1);
    before = world_total(t.server).memory_peak;
    for (int i = 0; i < 2000; i++) fire_hero(&t, 5);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(p.acted, 2001);
    CHECK(world_total(t.server).memory_peak < before + 20000);
    world_close(&t.w);
}

/* --- without memory --- */

static void act_text(wisp_event *event, probe *p) {
    wisp_value values[2];
    (void)p;
    values[0] = wisp_string("a text that wants memory");
    values[1] = event->args[0];
    wisp_change(event, values, 2);
}

/* Everything at once, with the n-th allocation from here failing, or all from it on. true: it was
   reached. */
static bool play_without(int n, bool on) {
    world_two t;
    ledger memory = ledger_none();
    probe hold = probe_of(WISP_HOLD), text = probe_that(act_text, NULL);
    wisp_value value = wisp_int(5);
    int told = 0, reached;
    uint64_t errors;
    world_open(&t.w);
    t.w.desc.memory = ledger_memory(&memory);
    world_two_join(&t);
    two_begin(&t);
    errors = world_total(t.client).errors + world_total(t.server).errors;
    memory.fail_at = memory.asked + n;
    memory.fail_on = on;
    told += use(t.server, "texts", "^r$", IN, &text) == WISP_E_MEMORY;
    told += use(t.client, "hold", NULL, OUT, &hold) == WISP_E_MEMORY;
    for (int i = 0; i < 20; i++)
        told += wisp_fire_values(t.client, "r", wisp_to_list(&t.to_server, 1), &value, 1) < 0;
    told += ask(&t, 5).id == 0;
    world_run(&t.w, 0.1);
    release(t.client, "hold", WISP_PASS);
    world_run(&t.w, 2);
    told += (int)(world_total(t.client).errors + world_total(t.server).errors - errors);
    told += world_total(t.server).notices_dropped + world_total(t.client).notices_dropped > 0;
    told += world_results(&t.w, t.client, "ask", WISP_OK) == 0;
    reached = memory.asked >= memory.fail_at;
    if (heard(&t, "r") != 20) CHECK(told > 0);
    memory.fail_at = 0;
    world_close(&t.w);
    CHECK_EQ_INT(memory.out, 0);
    return reached != 0;
}

TEST(without_memory_what_is_lost_is_told_and_nothing_leaks) {
    for (int on = 0; on < 2; on++) {
        int n = 1;
        while (n < 300 && play_without(n, on)) n++;
        CHECK(n > 4 && n < 300);
    }
}

static void act_change_without(wisp_event *event, probe *p) {
    static char bytes[6000];
    wisp_value value = wisp_bytes(bytes, 6000);
    ledger *memory = (ledger *)event->w->base.memory.user;
    memory->fail_at = memory->asked + 1;
    memory->fail_on = true;
    p->acted = wisp_change(event, &value, 1);
    memory->fail_at = 0;
    CHECK_EQ_INT(event->count, 1);
    CHECK_EQ_INT(wisp_arg_int(event, 0), 5);
}

TEST(a_change_without_memory_changes_nothing) {
    for (int grown = 0; grown < 2; grown++) {
        world_two t;
        ledger memory = ledger_none();
        probe p = probe_that(act_change_without, NULL);
        static char bytes[6000];
        wisp_value value = wisp_bytes(bytes, 6000);
        world_open(&t.w);
        t.w.desc.memory = ledger_memory(&memory);
        world_two_join(&t);
        two_begin(&t);
        if (grown) wisp_fire_values(t.client, "s", wisp_to_peer(t.to_server), &value, 1);
        use(t.client, "change", "^r$", OUT, &p);
        fire(&t, "r", 5);
        CHECK_EQ_INT(p.acted, WISP_E_MEMORY);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 5);
        world_close(&t.w);
    }
}

static const test_case tests[] = {
    CASE(changed_values_that_fit_the_schema_come_out_as_its_struct),
    CASE(changed_values_outside_the_schema_never_reach_a_handler),
    CASE(a_change_outside_the_schema_is_told_with_its_field),
    CASE(a_held_struct_comes_out_as_a_struct),
    CASE(a_schema_that_came_while_a_message_was_held_is_in_force),
    CASE(what_a_hook_takes_away_leaves_differences_right),
    CASE(a_dropped_value_is_not_unchanged_the_next_time),
    CASE(changes_of_many_equal_messages_take_the_memory_of_one),
    CASE(without_memory_what_is_lost_is_told_and_nothing_leaks),
    CASE(a_change_without_memory_changes_nothing),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
