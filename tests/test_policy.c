/* The rate limit of one peer and one remote, on every path that a message can take. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "test.h"
#include "world.h"

static void strict(wisp *w, double seconds, const char *remote) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.rate_limit = seconds;
    config.rate_burst = 1;
    CHECK_EQ_INT(wisp_use_config(w, &config, remote), WISP_OK);
}

/* A server that listens to "r" and to errors, and a client; both know the name. */
static void open_listening(world_two *t) {
    world_two_open(t);
    world_watch(&t->w, t->server, "r");
    world_watch(&t->w, t->server, WISP_ERROR);
    wisp_remote_named(t->client, "r");
    world_run(&t->w, 0.5);
    world_forget(&t->w);
}

/* `fired` messages came at once where `burst` may: the rest is dropped, counted, reported. */
static void check_limited(world_two *t, int fired, int burst) {
    CHECK_EQ_INT(world_count(&t->w, t->server, "r"), burst);
    CHECK(world_counts_up(&t->w, t->server, "r", 0));
    CHECK_EQ_INT(world_results(&t->w, t->server, WISP_ERROR, WISP_E_RATE), fired - burst);
    CHECK_EQ_INT(world_last(&t->w, t->server, WISP_ERROR)->peer.id, t->to_client.id);
    CHECK_EQ_INT(world_last(&t->w, t->server, WISP_ERROR)->remote.id,
                 wisp_remote_named(t->server, "r").id);
    CHECK_EQ_INT(world_remote_stats(t->server, "r").rate_limited, fired - burst);
    CHECK_EQ_INT(world_peer_stats(t->server, t->to_client).rate_limited, fired - burst);
    CHECK_EQ_INT(wisp_peers(t->server, NULL, 0), 1);
}

static void fire_many(world_two *t, int count) {
    for (int i = 0; i < count; i++)
        CHECK_EQ_INT(world_fire(t->client, "r", t->to_server, i), WISP_OK);
    world_run(&t->w, 0.2);
}

TEST(off_by_default) {
    world_two t;
    open_listening(&t);
    fire_many(&t, 1000);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 1000);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").rate_limited, 0);
    world_close(&t.w);
}

TEST(holds_for_batched_messages) {
    world_two t;
    open_listening(&t);
    strict(t.server, 1, "r");
    fire_many(&t, 10);
    check_limited(&t, 10, 1);
    world_close(&t.w);
}

TEST(holds_for_identical_messages_which_are_counted) {
    world_two t;
    open_listening(&t);
    strict(t.server, 1, "r");
    for (int i = 0; i < 100; i++) world_fire(t.client, "r", t.to_server, 0);
    world_run(&t.w, 0.2);
    check_limited(&t, 100, 1);
    world_close(&t.w);
}

TEST(holds_for_immediate_messages) {
    world_two t;
    open_listening(&t);
    strict(t.server, 1, "r");
    wisp_set_batch_mode(t.client, "r", WISP_BATCH_NEVER);
    fire_many(&t, 10);
    check_limited(&t, 10, 1);
    world_close(&t.w);
}

TEST(holds_when_batching_is_off) {
    world_two t;
    open_listening(&t);
    strict(t.server, 1, "r");
    wisp_use_batching(t.client, false);
    fire_many(&t, 10);
    check_limited(&t, 10, 1);
    world_close(&t.w);
}

TEST(holds_for_unreliable_messages) {
    world_two t;
    open_listening(&t);
    strict(t.server, 1, "r");
    wisp_set_unreliable(t.client, "r", true);
    fire_many(&t, 10);
    check_limited(&t, 10, 1);
    world_close(&t.w);
}

TEST(holds_for_sequenced_messages) {
    world_two t;
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.delivery = WISP_SEQUENCED;
    open_listening(&t);
    strict(t.server, 1, "r");
    wisp_use_config(t.client, &config, "r");
    fire_many(&t, 10);
    check_limited(&t, 10, 1);
    world_close(&t.w);
}

TEST(holds_for_messages_in_fragments) {
    world_two t;
    wisp_value values[2];
    char *large = (char *)calloc(1, 20000);
    open_listening(&t);
    strict(t.server, 10, "r");
    for (int i = 0; i < 5; i++) {
        values[0] = wisp_int(i);
        values[1] = wisp_bytes(large, 20000);
        CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_peer(t.to_server), values, 2),
                     WISP_OK);
    }
    world_run(&t.w, 2);
    check_limited(&t, 5, 1);
    free(large);
    world_close(&t.w);
}

TEST(holds_for_what_came_out_of_order) {
    world_two t;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.02;
    t.w.net.jitter = 0.05;
    t.w.net.loss = 0.2;
    t.w.net.seed = 3;
    world_two_join(&t);
    world_watch(&t.w, t.server, "r");
    strict(t.server, 100, "r");
    wisp_set_batch_mode(t.client, "r", WISP_BATCH_NEVER);
    for (int i = 0; i < 40; i++) {
        world_fire(t.client, "r", t.to_server, i);
        world_step(&t.w);
    }
    world_run(&t.w, 5);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 1);
    CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 0);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").rate_limited, 39);
    world_close(&t.w);
}

TEST(holds_in_both_directions) {
    world_two t;
    world_two_open(&t);
    world_watch(&t.w, t.client, "r");
    strict(t.client, 1, "r");
    for (int i = 0; i < 5; i++) world_fire(t.server, "r", t.to_client, i);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 1);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).rate_limited, 4);
    world_close(&t.w);
}

TEST(does_not_hold_back_the_sender_itself) {
    world_two t;
    open_listening(&t);
    strict(t.client, 10, "r");
    fire_many(&t, 10);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 10);
    world_close(&t.w);
}

/* --- invokes --- */

static int answered;

static void on_call(wisp_event *event) {
    wisp_value value = wisp_int(++answered);
    wisp_reply_values(event, &value, 1);
}

static void on_reply(wisp_event *event) { world_on(event); }

static wisp_call invoke(world_two *t, int tries) {
    wisp_call_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_reply;
    desc.user = &t->w;
    desc.timeout = 5;
    desc.tries = tries;
    return wisp_invoke_values(t->client, "r", wisp_to_peer(t->to_server), &desc, NULL, 0);
}

TEST(an_invoke_over_the_limit_is_answered_with_its_code) {
    world_two t;
    world_two_open(&t);
    answered = 0;
    wisp_on_invoke_target(t.server, wisp_by_name("r"), on_call, NULL);
    strict(t.server, 1, "r");
    for (int i = 0; i < 4; i++) invoke(&t, 1);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(answered, 1);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_OK), 1);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_RATE), 3);
    CHECK_EQ_STR(world_last(&t.w, t.client, "r")->text, wisp_result_text(WISP_E_RATE));
    CHECK_EQ_INT(world_remote_stats(t.server, "r").rate_limited, 3);
    CHECK_EQ_INT(world_peer_stats(t.server, t.to_client).rate_limited, 3);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    world_close(&t.w);
}

TEST(a_repeated_invoke_takes_no_second_token) {
    world_two t;
    world_open(&t.w);
    t.w.bad = true;
    world_two_join(&t);
    answered = 0;
    wisp_on_invoke_target(t.server, wisp_by_name("r"), on_call, NULL);
    strict(t.server, 100, "r");
    wisp_set_unreliable(t.client, "r", true);
    wisp_set_unreliable(t.server, "r", true);
    world_run(&t.w, 0.5);
    t.w.sims[0].loss = 1;              /* the first answers are lost */
    invoke(&t, 10);
    world_run(&t.w, 1.2);
    t.w.sims[0].loss = 0;
    world_run(&t.w, 5);
    CHECK(world_remote_stats(t.server, "r").invokes_repeated > 0);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").rate_limited, 0);
    CHECK_EQ_INT(answered, 1);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_OK), 1);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 1);
    world_close(&t.w);
}

TEST(events_and_invokes_of_one_name_share_its_limit) {
    world_two t;
    open_listening(&t);
    answered = 0;
    wisp_on_invoke_target(t.server, wisp_by_name("r"), on_call, NULL);
    strict(t.server, 10, "r");
    world_fire(t.client, "r", t.to_server, 0);
    world_run(&t.w, 0.2);
    invoke(&t, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(answered, 0);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_RATE), 1);
    world_close(&t.w);
}

/* --- how much, and for whom --- */

TEST(the_default_burst_is_a_quarter_of_a_second) {
    world_two t;
    open_listening(&t);
    wisp_set_rate_limit(t.server, 0.05, "r");
    fire_many(&t, 20);
    check_limited(&t, 20, 5);
    world_close(&t.w);
}

TEST(a_limit_above_a_quarter_of_a_second_bursts_one) {
    world_two t;
    open_listening(&t);
    wisp_set_rate_limit(t.server, 0.6, "r");
    fire_many(&t, 5);
    check_limited(&t, 5, 1);
    world_close(&t.w);
}

TEST(a_burst_of_ones_own_wins) {
    world_two t;
    wisp_config config;
    open_listening(&t);
    memset(&config, 0, sizeof config);
    config.rate_limit = 5;
    config.rate_burst = 7;
    wisp_use_config(t.server, &config, "r");
    fire_many(&t, 20);
    check_limited(&t, 20, 7);
    world_close(&t.w);
}

TEST(a_sender_that_keeps_to_the_limit_loses_nothing_to_jitter) {
    world_two t;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.03;
    t.w.net.jitter = 0.1;
    t.w.net.seed = 5;
    world_two_join(&t);
    world_watch(&t.w, t.server, "r");
    wisp_set_unreliable(t.client, "r", true);
    wisp_set_rate_limit(t.server, 0.05, "r");
    for (int i = 0; i < 200; i++) {
        world_fire(t.client, "r", t.to_server, i);
        world_run(&t.w, 0.05);
    }
    world_run(&t.w, 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 200);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").rate_limited, 0);
    world_close(&t.w);
}

TEST(tokens_come_back_with_time_and_no_faster) {
    world_two t;
    open_listening(&t);
    strict(t.server, 0.1, "r");
    for (int i = 0; i < 500; i++) {            /* one each 0.01 s for five seconds */
        world_fire(t.client, "r", t.to_server, i);
        world_step(&t.w);
    }
    world_run(&t.w, 0.1);
    CHECK_NEAR(world_count(&t.w, t.server, "r"), 50, 2);
    world_close(&t.w);
}

TEST(long_silence_saves_up_no_more_than_the_burst) {
    world_two t;
    open_listening(&t);
    wisp_set_rate_limit(t.server, 0.1, "r");
    world_fire(t.client, "r", t.to_server, 0);
    world_run(&t.w, 60);
    world_forget(&t.w);
    fire_many(&t, 50);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 3);
    world_close(&t.w);
}

TEST(each_peer_has_its_own) {
    world w;
    wisp *server, *greedy, *modest;
    wisp_peer from_greedy, from_modest;
    world_open(&w);
    server = world_add(&w);
    greedy = world_add(&w);
    modest = world_add(&w);
    from_greedy = world_join(&w, greedy, server);
    from_modest = world_join(&w, modest, server);
    world_watch(&w, server, "r");
    strict(server, 1, "r");
    for (int i = 0; i < 50; i++) world_fire(greedy, "r", from_greedy, 1);
    world_fire(modest, "r", from_modest, 2);
    world_run(&w, 0.3);
    CHECK_EQ_INT(world_count(&w, server, "r"), 2);
    CHECK_EQ_INT(world_peer_stats(server, world_peer(server, 0)).rate_limited, 49);
    CHECK_EQ_INT(world_peer_stats(server, world_peer(server, 1)).rate_limited, 0);
    world_close(&w);
}

TEST(each_remote_has_its_own_even_of_the_common_limit) {
    world_two t;
    world_two_open(&t);
    world_watch(&t.w, t.server, "a");
    world_watch(&t.w, t.server, "b");
    strict(t.server, 1, NULL);
    world_watch(&t.w, t.server, "registered later");
    for (int i = 0; i < 5; i++) {
        world_fire(t.client, "a", t.to_server, i);
        world_fire(t.client, "b", t.to_server, i);
        world_fire(t.client, "registered later", t.to_server, i);
    }
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(world_count(&t.w, t.server, "a"), 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "b"), 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "registered later"), 1);
    world_close(&t.w);
}

TEST(one_remote_is_exempt_from_the_common_limit_by_its_own) {
    world_two t;
    open_listening(&t);
    strict(t.server, 1, NULL);
    CHECK_EQ_INT(wisp_set_rate_limit(t.server, 0, "r"), WISP_OK);
    fire_many(&t, 20);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 20);
    world_close(&t.w);
}

TEST(a_limit_can_be_set_and_lifted_at_any_time) {
    world_two t;
    open_listening(&t);
    fire_many(&t, 5);
    strict(t.server, 1, "r");
    fire_many(&t, 5);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 6);
    wisp_set_rate_limit(t.server, -3, "r");
    fire_many(&t, 5);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 11);
    world_close(&t.w);
}

TEST(a_new_session_begins_with_a_full_burst) {
    world_two t;
    open_listening(&t);
    strict(t.server, 100, "r");
    fire_many(&t, 3);
    wisp_leave(t.client, t.to_server, "");
    world_run(&t.w, 0.5);
    t.to_server = world_join(&t.w, t.client, t.server);
    fire_many(&t, 3);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 2);
    world_close(&t.w);
}

TEST(what_is_dropped_does_not_disturb_the_order_behind_it) {
    world_two t;
    open_listening(&t);
    world_watch(&t.w, t.server, "free");
    strict(t.server, 100, "r");
    for (int i = 0; i < 100; i++) {
        world_fire(t.client, "r", t.to_server, i);
        world_fire(t.client, "free", t.to_server, i);
    }
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "free"), 100);
    CHECK(world_counts_up(&t.w, t.server, "free", 0));
    world_close(&t.w);
}

/* --- the bucket by itself --- */

TEST(the_bucket_takes_one_token_each_and_fills_to_its_burst) {
    wisp_config config;
    wisp__bucket bucket;
    memset(&config, 0, sizeof config);
    memset(&bucket, 0, sizeof bucket);
    config.rate_limit = 0.5;
    config.rate_burst = 2;
    CHECK(wisp__policy_admit(&config, &bucket, 0));
    CHECK(wisp__policy_admit(&config, &bucket, 0));
    CHECK(!wisp__policy_admit(&config, &bucket, 0));
    CHECK(!wisp__policy_admit(&config, &bucket, 0.4));
    CHECK(wisp__policy_admit(&config, &bucket, 0.5));
    CHECK(!wisp__policy_admit(&config, &bucket, 0.9));
    CHECK(wisp__policy_admit(&config, &bucket, 1.0));
    CHECK(wisp__policy_admit(&config, &bucket, 1000));
    CHECK(wisp__policy_admit(&config, &bucket, 1000));
    CHECK(!wisp__policy_admit(&config, &bucket, 1000));
}

TEST(a_refusal_costs_no_token) {
    wisp_config config;
    wisp__bucket bucket;
    int admitted = 0;
    memset(&config, 0, sizeof config);
    memset(&bucket, 0, sizeof bucket);
    config.rate_limit = 1;
    config.rate_burst = 1;
    for (int i = 0; i <= 10000; i++) admitted += wisp__policy_admit(&config, &bucket, i * 0.001);
    CHECK_EQ_INT(admitted, 11);
}

TEST(a_burst_that_shrinks_is_in_force_at_once) {
    wisp_config config;
    wisp__bucket bucket;
    memset(&config, 0, sizeof config);
    memset(&bucket, 0, sizeof bucket);
    config.rate_limit = 1;
    config.rate_burst = 100;
    CHECK(wisp__policy_admit(&config, &bucket, 1));
    config.rate_burst = 1;
    CHECK(wisp__policy_admit(&config, &bucket, 1));
    CHECK(!wisp__policy_admit(&config, &bucket, 1));
}

static const test_case tests[] = {
    CASE(off_by_default),
    CASE(holds_for_batched_messages),
    CASE(holds_for_identical_messages_which_are_counted),
    CASE(holds_for_immediate_messages),
    CASE(holds_when_batching_is_off),
    CASE(holds_for_unreliable_messages),
    CASE(holds_for_sequenced_messages),
    CASE(holds_for_messages_in_fragments),
    CASE(holds_for_what_came_out_of_order),
    CASE(holds_in_both_directions),
    CASE(does_not_hold_back_the_sender_itself),
    CASE(an_invoke_over_the_limit_is_answered_with_its_code),
    CASE(a_repeated_invoke_takes_no_second_token),
    CASE(events_and_invokes_of_one_name_share_its_limit),
    CASE(the_default_burst_is_a_quarter_of_a_second),
    CASE(a_limit_above_a_quarter_of_a_second_bursts_one),
    CASE(a_burst_of_ones_own_wins),
    CASE(a_sender_that_keeps_to_the_limit_loses_nothing_to_jitter),
    CASE(tokens_come_back_with_time_and_no_faster),
    CASE(long_silence_saves_up_no_more_than_the_burst),
    CASE(each_peer_has_its_own),
    CASE(each_remote_has_its_own_even_of_the_common_limit),
    CASE(one_remote_is_exempt_from_the_common_limit_by_its_own),
    CASE(a_limit_can_be_set_and_lifted_at_any_time),
    CASE(a_new_session_begins_with_a_full_burst),
    CASE(what_is_dropped_does_not_disturb_the_order_behind_it),
    CASE(the_bucket_takes_one_token_each_and_fills_to_its_burst),
    CASE(a_refusal_costs_no_token),
    CASE(a_burst_that_shrinks_is_in_force_at_once),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
