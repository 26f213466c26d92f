/* test_encoding.c - what messages of a name look like, announced: schemas, codecs, compression */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"

/* --- schemas of any size --- */

enum { PLAN_NAMES = 400, PLAN_NAME = 41 };

/* A map { n, e }: e is one of many long names. No two plans of different tags are alike. */
typedef struct plan {
    char        names[PLAN_NAMES][PLAN_NAME];
    const char *list[PLAN_NAMES];
    wisp_field  fields[2];
    wisp_schema schema;
    char        name[32];
} plan;

/* Its descriptor is about `bytes` long. */
static void plan_make(plan *p, int bytes, int tag) {
    static const wisp_field number = WISP_MAP_FIELD("n", WISP_T_INT32);
    static const wisp_field chosen = WISP_MAP_FIELD("e", WISP_T_BOOL);
    int count = bytes / PLAN_NAME;
    if (count < 1) count = 1;
    if (count > PLAN_NAMES) count = PLAN_NAMES;
    memset(p, 0, sizeof *p);
    for (int i = 0; i < count; i++) {
        snprintf(p->names[i], PLAN_NAME, "%032d_%05d", tag % 1000000, i % 100000);
        p->list[i] = p->names[i];
    }
    snprintf(p->name, sizeof p->name, "plan_%d", tag);
    p->fields[0] = number;
    p->fields[1] = chosen;
    p->fields[1].type.kind = WISP_TYPE_ENUM;
    p->fields[1].type.max = count;
    p->fields[1].type.of = p->list;
    p->schema.name = p->name;
    p->schema.version = 1;
    p->schema.fields = p->fields;
    p->schema.count = 2;
    p->schema.shape = WISP_SHAPE_MAP;
}

static plan *plan_new(int bytes, int tag) {
    plan *p = (plan *)malloc(sizeof *p);
    plan_make(p, bytes, tag);
    return p;
}

static wisp_result fire_plan(wisp *from, const char *name, const plan *p, int number) {
    wisp_pair pairs[2];
    wisp_value map;
    pairs[0].key = "n";
    pairs[0].value = wisp_int(number);
    pairs[1].key = "e";
    pairs[1].value = wisp_string(p->list[number % p->fields[1].type.max]);
    map = wisp_map(pairs, 2);
    return wisp_fire_values(from, name, wisp_to_peer(wisp_server()), &map, 1);
}

/* Counts what comes of { n, e }, in order or not. */
typedef struct counter { int count, next, out_of_order; bool wrong; } counter;

static void on_plan(wisp_event *event) {
    counter *c = (counter *)event->user;
    const wisp_value *n = event->count == 1 ? wisp_field_of(&event->args[0], "n") : NULL;
    const wisp_value *e = event->count == 1 ? wisp_field_of(&event->args[0], "e") : NULL;
    if (!n || !e || n->kind != WISP_INT || e->kind != WISP_STRING) {
        c->wrong = true;
        return;
    }
    if ((int)n->as.integer != c->next) c->out_of_order++;
    c->next = (int)n->as.integer + 1;
    c->count++;
}

static void count_on(wisp *end, const char *name, counter *c) {
    memset(c, 0, sizeof *c);
    CHECK(wisp_connect_target(end, wisp_by_name(name), on_plan, c, false).id != 0);
}

static int64_t learnt_bytes(const wisp *end) {
    int64_t learnt;
    world_schemas(end, &learnt);
    return learnt;
}

static int described_count(const wisp *end) {
    int64_t learnt;
    return world_schemas(end, &learnt);
}

/* --- descriptors on their way --- */

TEST(a_descriptor_travels_with_the_name) {
    world_two t;
    counter c;
    plan *p = plan_new(300, 1);
    world_two_open_foreign(&t);
    count_on(t.server, "plan", &c);
    CHECK_EQ_INT(use_schema(t.client, "plan", &p->schema), WISP_OK);
    for (int i = 0; i < 10; i++) CHECK_EQ_INT(fire_plan(t.client, "plan", p, i), WISP_OK);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(c.count, 10);
    CHECK(!c.wrong && !c.out_of_order);
    CHECK(learnt_bytes(t.server) > 0);
    CHECK_EQ_INT(learnt_bytes(t.client), 0);
    world_close(&t.w);
    free(p);
}

TEST(a_schema_is_forgotten_with_the_peer_that_described_it) {
    world_two t;
    counter c;
    plan *p = plan_new(3000, 1);
    world_two_open_foreign(&t);
    count_on(t.server, "plan", &c);
    use_schema(t.client, "plan", &p->schema);
    for (int round = 0; round < 5; round++) {
        fire_plan(t.client, "plan", p, c.count);
        world_run(&t.w, 0.3);
        CHECK_EQ_INT(c.count, round + 1);
        CHECK_EQ_INT(described_count(t.server), 1);
        wisp_leave(t.client, t.to_server, "");
        world_run(&t.w, 0.3);
        CHECK_EQ_INT(learnt_bytes(t.server), 0);
        CHECK_EQ_INT(described_count(t.server), 0);
        t.to_server = world_join(&t.w, t.client, t.server);
    }
    world_close(&t.w);
    free(p);
}

/* Messages of the name wait for it and keep their order. */
static void large_descriptor(int bytes, double loss, bool reliable) {
    world_two t;
    counter c;
    plan *p = plan_new(bytes, bytes);
    world_open(&t.w);
    t.w.foreign = true;
    t.w.pipe.reliable = reliable;
    t.w.bad = loss > 0;
    t.w.net.loss = loss;
    t.w.net.latency = 0.02;
    t.w.net.reorder = loss;
    t.w.net.duplicate = loss;
    t.w.net.seed = 5;
    world_two_join(&t);
    count_on(t.server, "plan", &c);
    CHECK_EQ_INT(use_schema(t.client, "plan", &p->schema), WISP_OK);
    for (int i = 0; i < 300; i++) {
        CHECK_EQ_INT(fire_plan(t.client, "plan", p, i), WISP_OK);
        if (i % 30 == 0) world_step(&t.w);
    }
    for (int i = 0; i < 3000 && c.count < 300; i++) world_step(&t.w);
    if (!CHECK_EQ_INT(c.count, 300)) printf("  %d bytes, loss %g\n", bytes, loss);
    CHECK(!c.wrong);
    CHECK_EQ_INT(c.out_of_order, 0);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
    free(p);
}

TEST(a_large_descriptor_goes_in_fragments_and_messages_wait) {
    static const int sizes[] = { 400, 560, 1100, 1250, 2000, 5000, 10000, 14000 };
    for (int i = 0; i < 8; i++) large_descriptor(sizes[i], 0, false);
}

TEST(a_large_descriptor_comes_through_loss) {
    static const int sizes[] = { 300, 600, 2000, 7000, 14000 };
    for (int i = 0; i < 5; i++) large_descriptor(sizes[i], 0.3, false);
}

TEST(a_large_descriptor_goes_over_a_reliable_link) {
    large_descriptor(600, 0, true);
    large_descriptor(14000, 0, true);
}

TEST(unreliable_messages_go_on_when_the_large_descriptor_has_come) {
    world_two t;
    counter c;
    plan *p = plan_new(9000, 3);
    world_open(&t.w);
    t.w.foreign = true;
    t.w.bad = true;
    t.w.net.loss = 0.2;
    t.w.net.latency = 0.02;
    t.w.net.seed = 9;
    world_two_join(&t);
    count_on(t.server, "plan", &c);
    use_schema(t.client, "plan", &p->schema);
    wisp_set_unreliable(t.client, "plan", true);
    for (int i = 0; i < 300; i++) {
        fire_plan(t.client, "plan", p, i);
        world_step(&t.w);
    }
    world_run(&t.w, 0.5);
    CHECK(c.count > 150);
    CHECK(!c.wrong);
    world_close(&t.w);
    free(p);
}

TEST(a_schema_whose_description_is_too_large_is_refused_by_name) {
    world_two t;
    plan *p = plan_new(400 * PLAN_NAME, 1), *q = plan_new(200, 2);
    wisp_type many[6];
    wisp_field fields[6];
    wisp_schema schema = p->schema;
    world_two_open(&t);
    for (int i = 0; i < 6; i++) {
        static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
        fields[i] = p->fields[1];
        fields[i].name = names[i];
        many[i] = fields[i].type;
        CHECK(many[i].max > 0);
    }
    schema.fields = fields;
    schema.count = 6;
    CHECK_EQ_INT(use_schema(t.client, "plan", &q->schema), WISP_OK);
    CHECK_EQ_INT(use_schema(t.client, "plan", &schema), WISP_E_SCHEMA);
    CHECK(strstr(wisp_why_text(t.client), "plan_1"));
    CHECK_EQ_INT(fire_plan(t.client, "plan", q, 1), WISP_OK);     /* the old one is in force */
    world_close(&t.w);
    free(p);
    free(q);
}

/* --- one of each --- */

TEST(the_same_descriptor_of_two_peers_is_kept_once) {
    world w;
    wisp *server, *clients[4];
    counter c;
    int64_t bytes = 0;
    plan *plans[4];
    world_open(&w);
    w.foreign = true;
    server = world_add(&w);
    count_on(server, "plan", &c);
    for (int i = 0; i < 4; i++) {
        plans[i] = plan_new(2000, 7);                        /* alike, in other places */
        clients[i] = world_add(&w);
        use_schema(clients[i], "plan", &plans[i]->schema);
        world_join(&w, clients[i], server);
        fire_plan(clients[i], "plan", plans[i], i);
        world_run(&w, 0.3);
        CHECK_EQ_INT(c.count, i + 1);
        if (i == 0) bytes = learnt_bytes(server);
        CHECK_EQ_INT(learnt_bytes(server), bytes);
        CHECK_EQ_INT(described_count(server), 1);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQ_INT(learnt_bytes(server), bytes);
        wisp_leave(clients[i], wisp_server(), "");
        world_run(&w, 0.2);
    }
    for (int i = 0; i < 4; i++) {
        wisp_leave(clients[i], world_peer(clients[i], 0), "");
        world_run(&w, 0.2);
    }
    CHECK_EQ_INT(described_count(server), 0);
    world_close(&w);
    for (int i = 0; i < 4; i++) free(plans[i]);
}

TEST(a_descriptor_like_our_own_takes_no_memory) {
    world_two t;
    counter c;
    plan *p = plan_new(2000, 7), *q = plan_new(2000, 7);
    world_two_open(&t);
    count_on(t.server, "plan", &c);
    use_schema(t.server, "plan", &q->schema);
    use_schema(t.client, "plan", &p->schema);
    for (int i = 0; i < 5; i++) fire_plan(t.client, "plan", p, i);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(c.count, 5);
    CHECK_EQ_INT(learnt_bytes(t.server), 0);
    CHECK_EQ_INT(described_count(t.server), 1);
    world_close(&t.w);
    free(p);
    free(q);
}

TEST(two_names_may_share_a_schema) {
    world_two t;
    counter a, b;
    plan *p = plan_new(2000, 7);
    world_two_open_foreign(&t);
    count_on(t.server, "a", &a);
    count_on(t.server, "b", &b);
    use_schema(t.client, "a", &p->schema);
    use_schema(t.client, "b", &p->schema);
    fire_plan(t.client, "a", p, 0);
    fire_plan(t.client, "b", p, 0);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(a.count, 1);
    CHECK_EQ_INT(b.count, 1);
    CHECK_EQ_INT(described_count(t.client), 1);
    CHECK_EQ_INT(described_count(t.server), 1);
    world_close(&t.w);
    free(p);
}

/* --- bounds --- */

/* What is counted is what it takes: some dozen small schemas are far from the bound. */
TEST(many_schemas_fit_the_bound) {
    enum { PLANS = 60 };
    world_two t;
    counter c[PLANS];
    plan *plans[PLANS];
    char name[PLANS][24];
    int known = 0;
    world_two_open_foreign(&t);
    for (int i = 0; i < PLANS; i++) {
        snprintf(name[i], sizeof name[i], "plan %d", i % 100);
        plans[i] = plan_new(1500, 100 + i);
        count_on(t.server, name[i], &c[i]);
        use_schema(t.client, name[i], &plans[i]->schema);
        fire_plan(t.client, name[i], plans[i], 0);
    }
    world_run(&t.w, 1);
    for (int i = 0; i < PLANS; i++) known += c[i].count;
    if (!CHECK_EQ_INT(known, PLANS))
        printf("  %d bytes for each\n", (int)learnt_bytes(t.server) / (known ? known : 1));
    world_close(&t.w);
    for (int i = 0; i < PLANS; i++) free(plans[i]);
}

TEST(schemas_beyond_the_bound_are_reported_and_take_nothing) {
    enum { PLANS = 30, SCHEMA_BYTES = 60000 };
    world_two t;
    counter c[PLANS];
    plan *plans[PLANS];
    char name[PLANS][16];
    int known = 0, limited;
    world_open(&t.w);
    t.w.foreign = true;
    t.w.desc.limits.schema_bytes = SCHEMA_BYTES;
    world_two_join(&t);
    world_watch(&t.w, t.server, WISP_ERROR);
    for (int i = 0; i < PLANS; i++) {
        snprintf(name[i], sizeof name[i], "plan %d", i % 100);
        plans[i] = plan_new(3000, 100 + i);
        count_on(t.server, name[i], &c[i]);
        use_schema(t.client, name[i], &plans[i]->schema);
        CHECK_EQ_INT(fire_plan(t.client, name[i], plans[i], 0), WISP_OK);
        world_run(&t.w, 0.3);
        CHECK(learnt_bytes(t.server) <= SCHEMA_BYTES);
        known += c[i].count;
    }
    limited = world_results(&t.w, t.server, WISP_ERROR, WISP_E_LIMIT);
    CHECK(known > 0 && known < PLANS);
    CHECK(limited >= PLANS - known);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    for (int i = 0; i < PLANS; i++)
        CHECK_EQ_INT(fire_plan(t.client, name[i], plans[i], 1),
                     c[i].count ? WISP_OK : WISP_E_NO_REMOTE);
    wisp_leave(t.client, t.to_server, "");
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(learnt_bytes(t.server), 0);
    world_close(&t.w);
    for (int i = 0; i < PLANS; i++) free(plans[i]);
}

/* What one peer describes takes nothing of what another may. */
TEST(each_peer_has_its_own_room_for_schemas_and_leaves_it) {
    enum { PLANS = 30, SCHEMA_BYTES = 60000 };
    world w;
    wisp *server, *clients[2];
    wisp_peer greedy;
    counter c[PLANS + 1];
    plan *plans[PLANS + 1];
    char name[PLANS + 1][16];
    int known[2] = { 0, 0 };
    world_open(&w);
    w.foreign = true;
    w.desc.limits.schema_bytes = SCHEMA_BYTES;
    server = world_add(&w);
    for (int i = 0; i < 2; i++) clients[i] = world_add(&w);
    for (int i = 0; i <= PLANS; i++) {
        snprintf(name[i], sizeof name[i], "plan %d", i);
        plans[i] = plan_new(3000, 100 + i);
        count_on(server, name[i], &c[i]);
        use_schema(clients[i == PLANS], name[i], &plans[i]->schema);
    }
    for (int round = 0; round < 2; round++) {            /* the second time after it has left */
        greedy = world_join(&w, clients[0], server);
        for (int i = 0; i < PLANS; i++) {
            c[i].count = 0;
            fire_plan(clients[0], name[i], plans[i], 0);
            world_run(&w, 0.1);
            known[round] += c[i].count;
        }
        CHECK(learnt_bytes(server) > SCHEMA_BYTES / 2 && learnt_bytes(server) <= SCHEMA_BYTES);
        if (round == 0) {
            world_join(&w, clients[1], server);
            fire_plan(clients[1], name[PLANS], plans[PLANS], 0);
            world_run(&w, 0.3);
            CHECK_EQ_INT(c[PLANS].count, 1);
            wisp_leave(clients[1], world_peer(clients[1], 0), "");
        }
        wisp_leave(clients[0], greedy, "");
        world_run(&w, 2);
        CHECK_EQ_INT(learnt_bytes(server), 0);
    }
    CHECK(known[0] > 0 && known[0] < PLANS && known[0] == known[1]);
    world_close(&w);
    for (int i = 0; i <= PLANS; i++) free(plans[i]);
}

/* A schema of several names counts once for the peer that describes it. */
TEST(a_schema_of_many_names_is_counted_once) {
    world_two t;
    counter c[20];
    plan *p = plan_new(3000, 7);
    char name[20][16];
    world_open(&t.w);
    t.w.foreign = true;
    t.w.desc.limits.schema_bytes = 60000;
    world_two_join(&t);
    for (int i = 0; i < 20; i++) {
        snprintf(name[i], sizeof name[i], "plan %d", i);
        count_on(t.server, name[i], &c[i]);
        use_schema(t.client, name[i], &p->schema);
        fire_plan(t.client, name[i], p, 0);
    }
    world_run(&t.w, 1);
    for (int i = 0; i < 20; i++) CHECK_EQ_INT(c[i].count, 1);
    CHECK_EQ_INT((int64_t)wisp__session_of(t.server, t.to_client)->schema_bytes,
                 learnt_bytes(t.server));
    world_close(&t.w);
    free(p);
}

TEST(a_refused_schema_stops_neither_other_names_nor_their_order) {
    world_two t;
    counter c;
    plan *p = plan_new(14000, 1);
    world_open(&t.w);
    t.w.foreign = true;
    t.w.desc.limits.schema_bytes = 3000;
    world_two_join(&t);
    count_on(t.server, "plan", &c);
    world_watch(&t.w, t.server, "other");
    world_watch(&t.w, t.server, WISP_ERROR);
    use_schema(t.client, "plan", &p->schema);
    for (int i = 0; i < 20; i++) {
        fire_plan(t.client, "plan", p, i);
        CHECK_EQ_INT(world_fire(t.client, "other", t.to_server, i), WISP_OK);
    }
    world_run(&t.w, 1);
    CHECK_EQ_INT(c.count, 0);
    CHECK_EQ_INT(world_count(&t.w, t.server, "other"), 20);
    CHECK(world_counts_up(&t.w, t.server, "other", 0));
    CHECK_EQ_INT(fire_plan(t.client, "plan", p, 1), WISP_E_NO_REMOTE);
    CHECK(world_results(&t.w, t.server, WISP_ERROR, WISP_E_LIMIT) >= 1);
    CHECK_EQ_INT(learnt_bytes(t.server), 0);
    world_close(&t.w);
    free(p);
}

/* A descriptor is no message: the bound of messages does not stop it. */
TEST(a_large_descriptor_passes_where_messages_are_small) {
    world_two t;
    counter c;
    plan *p = plan_new(12000, 1);
    world_open(&t.w);
    t.w.foreign = true;
    t.w.desc.limits.message_bytes = 2048;
    world_two_join(&t);
    count_on(t.server, "plan", &c);
    world_watch(&t.w, t.server, WISP_LEFT);
    world_watch(&t.w, t.server, WISP_ERROR);
    use_schema(t.client, "plan", &p->schema);
    for (int i = 0; i < 20; i++) fire_plan(t.client, "plan", p, i);
    world_run(&t.w, 1);
    CHECK_EQ_INT(c.count, 20);
    if (!CHECK_EQ_INT(world_count(&t.w, t.server, WISP_LEFT), 0))
        printf("  left: %s\n", world_last(&t.w, t.server, WISP_LEFT)->text);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), 0);
    world_close(&t.w);
    free(p);
}

/* --- settings that change --- */

/* Old messages are read by what was said when they were made. */
static void change_under_way(double loss, uint64_t seed) {
    world_two t;
    counter c;
    plan *plans[3];
    uint64_t random = seed;
    wisp_config none;
    world_open(&t.w);
    t.w.foreign = true;
    t.w.bad = loss > 0;
    t.w.net.loss = loss;
    t.w.net.latency = 0.03;
    t.w.net.reorder = loss;
    t.w.net.seed = seed;
    world_two_join(&t);
    for (int i = 0; i < 3; i++) plans[i] = plan_new(200 + 900 * i, 9);
    count_on(t.server, "plan", &c);
    memset(&none, 0, sizeof none);
    for (int i = 0; i < 400; i++) {
        if (i % 8 == 0) {
            wisp_result result = wisp_use_config(t.client, NULL, "plan");
            switch (test_random_below(&random, 6)) {
            case 0: result = use_schema(t.client, "plan", &plans[i / 8 % 3]->schema); break;
            case 1: result = use_encoding(t.client, "plan", 0, wisp_json(), 0); break;
            case 2: result = use_encoding(t.client, "plan", WISP_ENCODE_COMPRESSED, NULL, 0); break;
            case 3:
                result = use_schema(t.client, "plan", &plans[i / 8 % 3]->schema);
                use_encoding(t.client, "plan", WISP_ENCODE_COMPRESSED, wisp_msgpack(), 0);
                break;
            case 4: result = use_encoding(t.client, "plan", WISP_ENCODE_BASIC, NULL, 0); break;
            default: break;
            }
            CHECK_EQ_INT(result, WISP_OK);
        }
        CHECK_EQ_INT(fire_plan(t.client, "plan", plans[0], i), WISP_OK);
        if (test_random_below(&random, 4) == 0) world_step(&t.w);
    }
    for (int i = 0; i < 2000 && c.count < 400; i++) world_step(&t.w);
    if (!CHECK_EQ_INT(c.count, 400)) printf("  seed %d\n", (int)seed);
    CHECK(!c.wrong);
    CHECK_EQ_INT(c.out_of_order, 0);
    world_close(&t.w);
    for (int i = 0; i < 3; i++) free(plans[i]);
}

TEST(settings_may_change_while_messages_are_under_way) {
    for (uint64_t seed = 1; seed <= 6; seed++) change_under_way(0, seed);
}

TEST(settings_may_change_while_messages_are_lost) {
    for (uint64_t seed = 1; seed <= 6; seed++) change_under_way(0.3, seed);
}

/* A name whose encoding goes to and fro between two has two numbers, not one for each change. */
TEST(settings_may_change_as_often_as_one_likes) {
    world_two t;
    counter c;
    plan *p = plan_new(200, 9);
    int failed = 0;
    world_two_open_foreign(&t);
    count_on(t.server, "plan", &c);
    for (int i = 0; i < 1500; i++) {
        wisp_encode_mode mode = i & 1 ? WISP_ENCODE_BASIC : WISP_ENCODE_COMPRESSED;
        wisp_result result = use_encoding(t.client, "plan", mode, NULL, 0);
        failed += result != WISP_OK;
        failed += fire_plan(t.client, "plan", p, i) != WISP_OK;
        if (i % 10 == 0) world_step(&t.w);
    }
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(failed, 0);
    CHECK_EQ_INT(c.count, 1500);
    CHECK_EQ_INT(c.out_of_order, 0);
    CHECK(t.client->registry.count < 40);
    world_close(&t.w);
    free(p);
}

TEST(a_setting_that_fails_leaves_the_encoding_as_it_was) {
    static const wisp_field bad_fields[] = { WISP_MAP_FIELD("x", WISP_T_RANGE(3, 1)) };
    static const wisp_schema bad = WISP_MAP_SCHEMA("bad", 1, bad_fields);
    world_two t;
    counter c;
    plan *p = plan_new(200, 9);
    wisp_config config;
    world_two_open_foreign(&t);
    count_on(t.server, "plan", &c);
    use_schema(t.client, "plan", &p->schema);
    memset(&config, 0, sizeof config);
    config.encode.schema = &bad;
    config.encode.codec = wisp_json();
    CHECK_EQ_INT(wisp_use_config(t.client, &config, "plan"), WISP_E_SCHEMA);
    CHECK(strstr(wisp_why_text(t.client), "x"));
    CHECK_EQ_INT(wisp_use_config(t.client, &config, NULL), WISP_E_SCHEMA);
    memset(&config, 0, sizeof config);
    config.encode.mode = 99;
    CHECK_EQ_INT(wisp_use_config(t.client, &config, "plan"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_use_compression(t.client, WISP_COMPRESSION_LZ4, "plan"), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp_use_compression(t.client, 0, "plan"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(fire_plan(t.client, "plan", p, 0), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(c.count, 1);
    CHECK_EQ_INT(described_count(t.client), 1);
    world_close(&t.w);
    free(p);
}

/* --- codecs --- */

static int own_encode(const wisp_codec *codec, const wisp_schema *schema, const wisp_value *value,
                      void *out, int capacity) {
    (void)codec;
    return wisp_json()->encode(wisp_json(), schema, value, out, capacity);
}

static int own_decode(const wisp_codec *codec, const wisp_schema *schema, const void *bytes,
                      int size, wisp_value *out, void *memory, int memory_size) {
    (void)codec;
    return wisp_json()->decode(wisp_json(), schema, bytes, size, out, memory, memory_size);
}

static wisp_codec own_codec(const char *name) {
    wisp_codec codec;
    memset(&codec, 0, sizeof codec);
    codec.name = name;
    codec.encode = own_encode;
    codec.decode = own_decode;
    return codec;
}

TEST(a_codec_that_the_other_side_lacks_makes_the_name_unknown) {
    world_two t;
    wisp_codec own = own_codec("mine");
    world_two_open(&t);
    world_watch(&t.w, t.server, "n");
    world_watch(&t.w, t.server, WISP_ERROR);
    CHECK_EQ_INT(use_encoding(t.client, "n", 0, &own, 0), WISP_OK);
    CHECK_EQ_INT(world_fire(t.client, "n", t.to_server, 1), WISP_OK);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 0);
    CHECK(world_results(&t.w, t.server, WISP_ERROR, WISP_E_UNSUPPORTED) >= 1);
    CHECK_EQ_INT(world_fire(t.client, "n", t.to_server, 2), WISP_E_NO_REMOTE);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

TEST(a_codec_of_ones_own_works_where_it_is_plugged_in) {
    world_two t;
    wisp_codec own = own_codec("mine"), twin = own_codec("mine");
    world_two_open_foreign(&t);
    world_watch(&t.w, t.server, "n");
    CHECK_EQ_INT(wisp_add_codec(t.server, &twin), WISP_OK);
    CHECK_EQ_INT(use_encoding(t.client, "n", 0, &own, 0), WISP_OK);
    for (int i = 0; i < 5; i++) world_fire(t.client, "n", t.to_server, i);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 5);
    CHECK(world_counts_up(&t.w, t.server, "n", 0));
    world_close(&t.w);
}

/* The chapter HOW TO ADD of wisp.h, followed for a codec: a whole number as decimal text. */

static int decimal_encode(const wisp_codec *codec, const wisp_schema *schema,
                          const wisp_value *value, void *out, int capacity) {
    char text[24];
    int size;
    (void)codec;
    (void)schema;
    if (value->kind != WISP_INT) return WISP_E_TYPE;
    size = snprintf(text, sizeof text, "%ld", (long)value->as.integer);
    if (size > capacity) return WISP_E_TOO_BIG;
    memcpy(out, text, (size_t)size);
    return size;
}

static int decimal_decode(const wisp_codec *codec, const wisp_schema *schema, const void *bytes,
                          int size, wisp_value *out, void *memory, int memory_size) {
    const char *text = (const char *)bytes;
    int64_t number = 0;
    (void)codec;
    (void)schema;
    (void)memory;
    (void)memory_size;
    if (size < 1 || size > 18) return WISP_E_SYNTAX;
    for (int i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') return WISP_E_SYNTAX;
        number = number * 10 + (text[i] - '0');
    }
    *out = wisp_int(number);
    return size;
}

TEST(a_codec_added_as_the_chapter_says_works_alone_and_for_a_remote) {
    static const wisp_codec decimal = { "decimal", decimal_encode, decimal_decode, NULL };
    world_two t;
    wisp_value number = wisp_int(1815), back = wisp_nil(), text = wisp_string("1815");
    char bytes[8];
    CHECK_EQ_INT(wisp_encode(&decimal, NULL, &number, bytes, sizeof bytes), 4);
    CHECK_EQ_MEM(bytes, "1815", 4);
    CHECK_EQ_INT(wisp_encode(&decimal, NULL, &number, bytes, 3), WISP_E_TOO_BIG);
    CHECK_EQ_INT(wisp_encode(&decimal, NULL, &text, bytes, sizeof bytes), WISP_E_TYPE);
    CHECK_EQ_INT(wisp_decode(&decimal, NULL, "1815", 4, &back, NULL, 0), 4);
    CHECK(wisp_equal(&back, &number));
    CHECK_EQ_INT(wisp_decode(&decimal, NULL, "18x5", 4, &back, NULL, 0), WISP_E_SYNTAX);
    world_two_open(&t);
    world_watch(&t.w, t.server, "n");
    CHECK_EQ_INT(wisp_add_codec(t.server, &decimal), WISP_OK);
    CHECK_EQ_INT(use_encoding(t.server, "n", 0, &decimal, 0), WISP_OK);
    CHECK_EQ_INT(use_encoding(t.client, "n", 0, &decimal, 0), WISP_OK);
    CHECK_EQ_INT(world_fire(t.client, "n", t.to_server, 1815), WISP_OK);
    world_run(&t.w, 0.3);
    if (CHECK(world_last(&t.w, t.server, "n") != NULL))
        CHECK_EQ_INT(world_last(&t.w, t.server, "n")->number, 1815);
    CHECK_EQ_INT(wisp_fire(t.client, "n", t.to_server, wisp_string("no number")), WISP_E_TYPE);
    world_close(&t.w);
}

TEST(codecs_are_plugged_in_once_and_by_name) {
    world_two t;
    wisp_codec own = own_codec("mine"), other = own_codec("mine"), json = own_codec("json");
    wisp_codec nameless = own_codec(""), missing = own_codec("m");
    wisp_codec long_name = own_codec("a name of thirty-three characters");
    static wisp_codec more[20];
    static char names[20][8];
    wisp_result result = WISP_OK;
    world_two_open(&t);
    missing.decode = NULL;
    CHECK_EQ_INT(wisp_add_codec(t.server, &own), WISP_OK);
    CHECK_EQ_INT(wisp_add_codec(t.server, &own), WISP_OK);
    CHECK_EQ_INT(wisp_add_codec(t.server, &other), WISP_E_NAME);
    CHECK_EQ_INT(wisp_add_codec(t.server, &json), WISP_E_NAME);
    CHECK_EQ_INT(wisp_add_codec(t.server, wisp_json()), WISP_OK);
    CHECK_EQ_INT(wisp_add_codec(t.server, &nameless), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_add_codec(t.server, &long_name), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_add_codec(t.server, &missing), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_add_codec(t.server, NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_add_codec(NULL, &own), WISP_E_ARGUMENT);
    CHECK_EQ_INT(use_encoding(t.server, "n", 0, &missing, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(use_encoding(t.server, "n", 0, &long_name, 0), WISP_E_ARGUMENT);
    for (int i = 0; i < 20 && result == WISP_OK; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i % 100);
        more[i] = own_codec(names[i]);
        result = wisp_add_codec(t.server, &more[i]);
    }
    CHECK_EQ_INT(result, WISP_E_LIMIT);
    world_close(&t.w);
}

TEST(a_dictionary_that_the_other_side_lacks_is_reported) {
    world_two t;
    wisp_config config;
    world_two_open(&t);
    world_watch(&t.w, t.server, "n");
    world_watch(&t.w, t.server, WISP_ERROR);
    memset(&config, 0, sizeof config);
    config.encode.compression = WISP_COMPRESSION_AUTO;
    config.encode.dictionary = "words that come often, words that come again";
    config.encode.dictionary_bytes = 44;
    CHECK_EQ_INT(wisp_use_config(t.client, &config, "n"), WISP_OK);
    world_fire(t.client, "n", t.to_server, 1);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 0);
    CHECK(world_results(&t.w, t.server, WISP_ERROR, WISP_E_UNSUPPORTED) >= 1);
    CHECK_EQ_INT(world_fire(t.client, "n", t.to_server, 2), WISP_E_NO_REMOTE);
    world_close(&t.w);
}

/* --- what a hostile peer may announce --- */

TEST(a_descriptor_with_any_bit_changed_harms_nobody) {
    enum { ROUNDS = 900 };
    world_two t;
    plan *p = plan_new(120, 9);
    wisp_schema *copies = (wisp_schema *)calloc(ROUNDS, sizeof *copies);
    char (*names)[12] = (char (*)[12])calloc(ROUNDS, 12);
    counter c;
    int bits = 0, made = 0;
    world_open(&t.w);
    t.w.unchecked = true;
    world_two_join(&t);
    for (int i = 0; i < ROUNDS; i++) {
        wisp__remote *remote;
        wisp_result why;
        uint8_t *bytes;
        snprintf(names[i], 12, "n%d", i % 10000);
        copies[i] = p->schema;
        count_on(t.server, names[i], &c);
        use_schema(t.client, names[i], &copies[i]);
        remote = wisp__registry_add(&t.client->registry, names[i], &why);
        bits = remote->encoding.described->bits;
        if (i >= bits) break;
        bytes = remote->encoding.described->descriptor;
        bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        fire_plan(t.client, names[i], p, 0);
        made++;
        if (i % 20 == 0) world_run(&t.w, 0.05);
    }
    world_run(&t.w, 2);
    CHECK(made > 500);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    CHECK(world_total(t.server).memory < 8 << 20);
    wisp__host_check(t.server);
    world_close(&t.w);
    free(names);
    free(copies);
    free(p);
}

/* What an announcement says makes no sense: the session ends, and nothing else. */
static void senseless(void (*spoil)(wisp__encoding *form), bool schema) {
    world_two t;
    plan *p = plan_new(120, 9);
    wisp__remote *remote;
    wisp_result why;
    wisp_addr addr;
    world_open(&t.w);
    t.server = world_add(&t.w);
    t.client = world_add(&t.w);
    world_watch(&t.w, t.server, "n");
    world_watch(&t.w, t.server, WISP_LEFT);
    if (schema) use_schema(t.client, "n", &p->schema);
    else use_encoding(t.client, "n", WISP_ENCODE_COMPRESSED, NULL, 0);
    remote = wisp__registry_add(&t.client->registry, "n", &why);
    spoil(&remote->encoding);
    addr = world_addr(&t.w, t.server);
    CHECK(wisp_join(t.client, &addr, NULL, 0).id != 0);
    world_run(&t.w, 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_LEFT), 1);
    CHECK_EQ_INT(world_last(&t.w, t.server, WISP_LEFT)->result, WISP_E_PROTOCOL);
    CHECK_EQ_INT(learnt_bytes(t.server), 0);
    remote->encoding.codec = NULL;
    world_close(&t.w);
    free(p);
}

static void spoil_kind(wisp__encoding *form) { form->kind = 3; }
static void spoil_kind_more(wisp__encoding *form) { form->kind = 255; }
static void spoil_record(wisp__encoding *form) { form->kind = WISP__RECORD; }
static void spoil_codec(wisp__encoding *form) { form->kind = WISP__CODED; }
static void spoil_bits(wisp__encoding *form) { form->described->bits = 0; }

TEST(senseless_announcements_end_the_session) {
    senseless(spoil_kind, true);
    senseless(spoil_kind, false);
    senseless(spoil_kind_more, true);
    senseless(spoil_record, false);
    senseless(spoil_codec, false);
    senseless(spoil_bits, true);
}

/* --- messages of hostile schemas --- */

/* The schema of a list of `outer` lists of `inner` elements that take a bit each on the wire and
   much in memory. */
static const wisp_schema *wide_lists(int outer, int inner) {
    enum { WIDE = 400 };
    static char names[WIDE][8];
    static wisp_field wide[WIDE];
    static const wisp_field any = WISP_MAP_FIELD("", WISP_T_ANY);
    static wisp_schema wide_schema, maybe_schema, schema;
    static wisp_field maybe, top;
    static wisp_type element, list;
    wisp_type as_struct = WISP_T_STRUCT(NULL);
    for (int i = 0; i < WIDE; i++) {
        snprintf(names[i], sizeof names[i], "%x", i);
        wide[i] = any;
        wide[i].name = names[i];
    }
    wide_schema.name = maybe_schema.name = schema.name = "s";
    wide_schema.version = maybe_schema.version = schema.version = 1;
    wide_schema.shape = maybe_schema.shape = schema.shape = WISP_SHAPE_MAP;
    wide_schema.fields = wide;
    wide_schema.count = WIDE;
    maybe = any;
    maybe.name = "m";
    maybe.flags = WISP_FLAG_MAYBE;
    maybe.type = as_struct;
    maybe.type.of = &wide_schema;
    maybe_schema.fields = &maybe;
    maybe_schema.count = 1;
    element = as_struct;
    element.of = &maybe_schema;
    memset(&list, 0, sizeof list);
    list.kind = WISP_TYPE_ARRAY;
    list.max = inner;
    list.of = &element;
    top = any;
    top.name = "t";
    top.type = list;
    top.type.max = outer;
    top.type.of = &list;
    schema.fields = &top;
    schema.count = 1;
    return &schema;
}

TEST(elements_that_take_a_bit_do_not_take_all_the_memory) {
    enum { OUTER = 120, INNER = 60 };
    static wisp_value inner_items[INNER], outer_items[OUTER];
    world_two t;
    wisp_pair pair;
    wisp_value empty, map;
    empty = wisp_map(NULL, 0);
    for (int i = 0; i < INNER; i++) inner_items[i] = empty;
    for (int i = 0; i < OUTER; i++) outer_items[i] = wisp_array(inner_items, INNER);
    pair.key = "t";
    pair.value = wisp_array(outer_items, OUTER);
    map = wisp_map(&pair, 1);
    world_open(&t.w);
    t.w.desc.limits.message_bytes = 1 << 16;
    world_two_join(&t);
    world_watch(&t.w, t.server, "t");
    CHECK_EQ_INT(use_schema(t.client, "t", wide_lists(OUTER, INNER)), WISP_OK);
    CHECK_EQ_INT(wisp_fire_values(t.client, "t", wisp_to_peer(t.to_server), &map, 1), WISP_OK);
    world_run(&t.w, 0.5);
    CHECK(world_total(t.server).memory_peak < 16 << 20);
    if (world_total(t.server).memory_peak >= 16 << 20)
        printf("  %d KiB for a message of %d bits\n",
               (int)(world_total(t.server).memory_peak >> 10),
               (int)world_remote_stats(t.client, "t").bits_sent);
    world_close(&t.w);
}

/* What a few bytes could say, but not pay for at the other end, goes as it is. */
TEST(a_value_is_compressed_only_as_far_as_its_reader_can_pay) {
    static const int sizes[] = { 20000, (1 << 20) - 1024 };
    char *large = (char *)malloc(1 << 20);
    memset(large, 'x', 1 << 20);
    for (int k = 0; k < 2; k++) {
        world_two t;
        double before, bytes;
        world_open(&t.w);
        t.w.foreign = true;
        world_two_join(&t);
        world_watch(&t.w, t.server, "b");
        wisp_use_compression(t.client, WISP_COMPRESSION_AUTO, "b");
        before = (double)world_total(t.server).memory_peak;
        for (int i = 0; i < 3; i++) {
            wisp_value value = wisp_bytes(large, sizes[k]);
            CHECK_EQ_INT(wisp_fire_values(t.client, "b", wisp_to_all(), &value, 1), WISP_OK);
        }
        world_run(&t.w, 2);
        CHECK_EQ_INT(world_count(&t.w, t.server, "b"), 3);
        bytes = (double)world_remote_stats(t.client, "b").bits_sent / 8;
        if (k == 0) CHECK(bytes < 1000);
        else CHECK(bytes > 3.0 * sizes[k]);
        CHECK((double)world_total(t.server).memory_peak - before < 6 << 20);
        world_close(&t.w);
    }
    free(large);
}

static const test_case tests[] = {
    CASE(a_descriptor_travels_with_the_name),
    CASE(a_schema_is_forgotten_with_the_peer_that_described_it),
    CASE(a_large_descriptor_goes_in_fragments_and_messages_wait),
    CASE(a_large_descriptor_comes_through_loss),
    CASE(a_large_descriptor_goes_over_a_reliable_link),
    CASE(unreliable_messages_go_on_when_the_large_descriptor_has_come),
    CASE(a_schema_whose_description_is_too_large_is_refused_by_name),
    CASE(the_same_descriptor_of_two_peers_is_kept_once),
    CASE(a_descriptor_like_our_own_takes_no_memory),
    CASE(two_names_may_share_a_schema),
    CASE(many_schemas_fit_the_bound),
    CASE(schemas_beyond_the_bound_are_reported_and_take_nothing),
    CASE(each_peer_has_its_own_room_for_schemas_and_leaves_it),
    CASE(a_schema_of_many_names_is_counted_once),
    CASE(a_refused_schema_stops_neither_other_names_nor_their_order),
    CASE(a_large_descriptor_passes_where_messages_are_small),
    CASE(settings_may_change_while_messages_are_under_way),
    CASE(settings_may_change_while_messages_are_lost),
    CASE(settings_may_change_as_often_as_one_likes),
    CASE(a_setting_that_fails_leaves_the_encoding_as_it_was),
    CASE(a_codec_that_the_other_side_lacks_makes_the_name_unknown),
    CASE(a_codec_of_ones_own_works_where_it_is_plugged_in),
    CASE(a_codec_added_as_the_chapter_says_works_alone_and_for_a_remote),
    CASE(codecs_are_plugged_in_once_and_by_name),
    CASE(a_dictionary_that_the_other_side_lacks_is_reported),
    CASE(a_descriptor_with_any_bit_changed_harms_nobody),
    CASE(senseless_announcements_end_the_session),
    CASE(elements_that_take_a_bit_do_not_take_all_the_memory),
    CASE(a_value_is_compressed_only_as_far_as_its_reader_can_pay),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
