/* test_fresh.c - what waits too long, or is passed by something newer, is not sent, and what is
   urgent does not wait for what is large (support/freshness.h) */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/freshness.h"

enum { FRESH_SEEDS = 3 };

static void fresh_bound(const fresh_row *r, uint64_t seed, const char *what, double value,
                        double most) {
    if (!(most > 0) || CHECK(value <= most)) return;
    printf("  %s, seed %d: %s is %g, over %g\n", r->t.name, (int)seed, what, value, most);
}

static void fresh_check(const fresh_row *r, uint64_t seed) {
    wisp_desc desc;
    fresh_outcome out;
    memset(&desc, 0, sizeof desc);
    desc.app = "fresh";
    fresh_run(&r->t, &desc, seed, &out);
    fresh_bound(r, seed, "p99 of the age", out.p99, r->p99);
    if (r->p99 > 0) fresh_bound(r, seed, "p99 at the end", out.p99_late, out.p99_early + 0.05);
    fresh_bound(r, seed, "mean age", out.mean, r->mean);
    fresh_bound(r, seed, "worst age", out.worst, r->worst);
    fresh_bound(r, seed, "what is missing", 1 - (double)out.arrived / out.fired, 1 - r->arrived);
    if (r->goodput > 0) CHECK(out.blob_rate >= r->goodput * r->t.rate);
    if (r->times > 0) CHECK(out.took > 0);
    fresh_bound(r, seed, "time of the blob", out.took, r->times * r->t.bytes / r->t.rate);
}

TEST(ages_stay_low_on_networks_that_carry_too_little_or_lose_packets) {
    for (int i = 0; i < FRESH_ROWS; i++)
        for (uint64_t seed = 1; seed <= FRESH_SEEDS; seed++) fresh_check(&fresh_rows[i], seed);
}

/* --- what is dropped when --- */

typedef struct fresh_pair { world_two t; } fresh_pair;

static void fresh_open(fresh_pair *p, int delivery, int replace, double max_age) {
    wisp_config c;
    memset(p, 0, sizeof *p);
    memset(&c, 0, sizeof c);
    world_two_watched(&p->t, "r");
    c.delivery = delivery;
    c.replace = replace;
    c.max_age = max_age;
    wisp_use_config(p->t.client, &c, "r");
    world_fire(p->t.client, "r", p->t.to_server, 0);
    world_run(&p->t.w, 0.5);
}

/* Only the time passes and nothing is flushed. */
static void fresh_wait(fresh_pair *p, double seconds) {
    p->t.client->base.time += seconds;
    p->t.client->before_update = p->t.client->order;
    p->t.client->registry.epoch++;
}

static wisp_remote_stats fresh_stats(fresh_pair *p) { return world_remote_stats(p->t.client, "r"); }

TEST(unreliable_messages_that_waited_too_long_are_dropped_with_one_error_a_second) {
    fresh_pair p;
    fresh_open(&p, WISP_UNRELIABLE, 0, 0);
    world_watch(&p.t.w, p.t.client, WISP_ERROR);
    world_fire(p.t.client, "r", p.t.to_server, 1);
    world_fire(p.t.client, "r", p.t.to_server, 2);
    fresh_wait(&p, 0.4);
    world_fire(p.t.client, "r", p.t.to_server, 3);
    p.t.w.now += 0.2;
    world_run(&p.t.w, 0.3);
    CHECK_EQ_INT(fresh_stats(&p).too_old, 2);
    CHECK_EQ_INT(world_peer_stats(p.t.client, p.t.to_server).too_old, 2);
    CHECK_EQ_INT(world_last(&p.t.w, p.t.server, "r")->number, 3);
    CHECK_EQ_INT(world_count(&p.t.w, p.t.client, WISP_ERROR), 1);
    CHECK_EQ_INT(world_last(&p.t.w, p.t.client, WISP_ERROR)->result, WISP_E_TOO_OLD);
    world_close(&p.t.w);
}

/* A program that updates once in two seconds fires between its updates. */
TEST(what_was_fired_since_the_last_update_is_not_old) {
    fresh_pair p;
    fresh_open(&p, WISP_UNRELIABLE, 0, 0);
    world_fire(p.t.client, "r", p.t.to_server, 1);
    p.t.w.now += 2;
    world_run(&p.t.w, 0.3);
    CHECK_EQ_INT(world_last(&p.t.w, p.t.server, "r")->number, 1);
    CHECK_EQ_INT(fresh_stats(&p).too_old, 0);
    world_close(&p.t.w);
}

TEST(max_age_may_be_longer_or_any) {
    for (int any = 0; any < 2; any++) {
        fresh_pair p;
        fresh_open(&p, WISP_UNRELIABLE, 0, any ? -1 : 3);
        world_fire(p.t.client, "r", p.t.to_server, 1);
        fresh_wait(&p, 2);
        p.t.w.now += 0.2;
        world_run(&p.t.w, 0.3);
        CHECK_EQ_INT(world_last(&p.t.w, p.t.server, "r")->number, 1);
        CHECK_EQ_INT(fresh_stats(&p).too_old, 0);
        world_close(&p.t.w);
    }
}

TEST(of_sequenced_messages_those_of_older_updates_go) {
    fresh_pair p;
    fresh_open(&p, WISP_SEQUENCED, 0, 0);
    world_fire(p.t.client, "r", p.t.to_server, 1);
    world_fire(p.t.client, "r", p.t.to_server, 2);
    fresh_wait(&p, 0.01);
    world_fire(p.t.client, "r", p.t.to_server, 3);
    CHECK_EQ_INT(fresh_stats(&p).replaced, 2);
    world_fire(p.t.client, "r", p.t.to_server, 4);          /* of the same update */
    CHECK_EQ_INT(fresh_stats(&p).replaced, 2);
    world_run(&p.t.w, 0.3);
    CHECK_EQ_INT(world_count(&p.t.w, p.t.server, "r"), 3);
    CHECK_EQ_INT(world_last(&p.t.w, p.t.server, "r")->number, 4);
    world_close(&p.t.w);
}

TEST(with_replace_only_the_newest_waits_whatever_its_age) {
    static const int deliveries[] = { WISP_RELIABLE, WISP_UNRELIABLE, WISP_SEQUENCED };
    for (int i = 0; i < 3; i++) {
        fresh_pair p;
        fresh_open(&p, deliveries[i], WISP_ON, 0);
        for (int n = 1; n <= 5; n++) world_fire(p.t.client, "r", p.t.to_server, n);
        CHECK_EQ_INT(world_peer_stats(p.t.client, p.t.to_server).queued_messages, 1);
        CHECK_EQ_INT(fresh_stats(&p).replaced, 4);
        fresh_wait(&p, 2);
        p.t.w.now += 0.2;
        world_run(&p.t.w, 0.3);
        CHECK_EQ_INT(world_count(&p.t.w, p.t.server, "r"), 2);
        CHECK_EQ_INT(world_last(&p.t.w, p.t.server, "r")->number, 5);
        CHECK_EQ_INT(fresh_stats(&p).too_old, 0);
        world_close(&p.t.w);
    }
}

/* Keys are replaced each by itself, with deltas and without, and what arrives is right. */
typedef struct fresh_cell { int32_t key, value; } fresh_cell;

static const wisp_field fresh_cell_fields[] = {
    WISP_KEY_FIELD(fresh_cell, key, WISP_T_INT32), WISP_FIELD(fresh_cell, value, WISP_T_INT32),
};
static const wisp_schema fresh_cell_schema = WISP_SCHEMA(fresh_cell, 1, fresh_cell_fields);

static void fresh_on_cell(wisp_event *event) {
    const fresh_cell *c = (const fresh_cell *)wisp_arg_struct(event, 0, &fresh_cell_schema);
    int *seen = (int *)event->user;
    if (c && c->key >= 0 && c->key < 8) seen[c->key] = c->value;
    seen[8]++;
}

TEST(each_key_is_replaced_by_itself) {
    for (int i = 0; i < 8; i++) {
        int seen[9] = { 0 }, fires = 0;
        uint64_t random = (uint64_t)i + 1;
        wisp_config c;
        world_two t;
        fresh_cell cell = { 0, 0 };
        wisp_remote_stats stats;
        int expect[8] = { 0 };
        memset(&c, 0, sizeof c);
        c.delivery = i & 1 ? WISP_RELIABLE : WISP_UNRELIABLE;
        c.replace = WISP_ON;
        c.encode.mode = i & 2 ? WISP_ENCODE_DELTA : WISP_ENCODE_SCHEMA;
        c.encode.adaptive = i & 4 ? WISP_ON : WISP_OFF;
        c.encode.schema = &fresh_cell_schema;
        world_two_open(&t);
        wisp_use_config(t.client, &c, "cell");
        wisp_use_config(t.server, &c, "cell");
        wisp_connect(t.server, "cell", fresh_on_cell, seen);
        world_run(&t.w, 0.3);
        for (int step = 0; step < 400; step++) {
            cell.key = test_random_below(&random, 8);
            cell.value = expect[cell.key] = test_random_below(&random, 50);
            wisp_value value = wisp_struct(&fresh_cell_schema, &cell);
            CHECK_EQ_INT(wisp_fire_values(t.client, "cell", wisp_to_peer(t.to_server), &value, 1),
                         WISP_OK);
            fires++;
            CHECK(world_peer_stats(t.client, t.to_server).queued_messages <= 8);
            if (test_random_below(&random, 6) == 0) world_step(&t.w);
        }
        world_run(&t.w, 0.5);
        for (int k = 0; k < 8; k++) CHECK_EQ_INT(seen[k], expect[k]);
        stats = world_remote_stats(t.client, "cell");
        CHECK_EQ_INT(stats.replaced + stats.unchanged + stats.messages_sent, fires);
        CHECK(stats.replaced > 50 && seen[8] > 50);
        world_close(&t.w);
    }
}

/* --- values in parts --- */

static void fresh_on_large(wisp_event *event) {
    int size = 0, *seen = (int *)event->user;
    const unsigned char *bytes = (const unsigned char *)wisp_arg_bytes(event, 0, &size);
    for (int i = 0; i < size; i++)
        if (bytes[i] != (unsigned char)(size + i)) return;
    seen[0]++;
    seen[1] = size;
}

TEST(unreliable_values_go_up_to_64_kib) {
    static unsigned char bytes[65537];
    int seen[2] = { 0, 0 }, sizes[] = { 1200, 5000, 40000, 65536 };
    world_two t;
    world_two_open(&t);
    wisp_set_unreliable(t.client, "large", true);
    wisp_connect(t.server, "large", fresh_on_large, seen);
    world_run(&t.w, 0.3);
    for (int k = 0; k < 4; k++) {
        wisp_value value = wisp_bytes(bytes, sizes[k]);
        for (int i = 0; i < sizes[k]; i++) bytes[i] = (unsigned char)(sizes[k] + i);
        CHECK_EQ_INT(wisp_fire_values(t.client, "large", wisp_to_peer(t.to_server), &value, 1),
                     WISP_OK);
        world_run(&t.w, 2);
        CHECK_EQ_INT(seen[0], k + 1);
        CHECK_EQ_INT(seen[1], sizes[k]);
    }
    {
        static unsigned char more[65536 + 200];
        wisp_value value = wisp_bytes(more, (int)sizeof more);
        CHECK_EQ_INT(wisp_fire_values(t.client, "large", wisp_to_peer(t.to_server), &value, 1),
                     WISP_E_TOO_BIG);
        CHECK(strstr(wisp_why_text(t.client), "65536") != NULL);
    }
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(ages_stay_low_on_networks_that_carry_too_little_or_lose_packets),
    CASE(unreliable_messages_that_waited_too_long_are_dropped_with_one_error_a_second),
    CASE(what_was_fired_since_the_last_update_is_not_old),
    CASE(max_age_may_be_longer_or_any),
    CASE(of_sequenced_messages_those_of_older_updates_go),
    CASE(with_replace_only_the_newest_waits_whatever_its_age),
    CASE(each_key_is_replaced_by_itself),
    CASE(unreliable_values_go_up_to_64_kib),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
