/* test_wrap.c - sessions that outlive the wraps of their counters

   Packet numbers, channel sequences and call ids begin just below the wrap of 32 bits, which is
   also one of 16 and of 24 bits; test_wrap16.c runs the same tests from just below 2^16. */
#ifndef WISP_FIRST_NUMBER
#define WISP_FIRST_NUMBER 0xfffffff0u
#endif
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"

enum { WRAP_KINDS = 4 };
static const char *const wrap_kinds[WRAP_KINDS] = { "first", "second", "loose", "newest" };

typedef struct voyage {
    world_two t;
    int64_t   next[2];            /* of the reliable names, in order */
    int64_t   newest, loose, sequenced, large;
    int64_t   replies, wrong;
} voyage;

static void on_wrap_first(wisp_event *event) {
    voyage *v = (voyage *)event->user;
    if (wisp_arg_int(event, 0) != v->next[0]++) v->wrong++;
}

static void on_wrap_second(wisp_event *event) {
    voyage *v = (voyage *)event->user;
    if (wisp_arg_int(event, 0) != v->next[1]++) v->wrong++;
}

static void on_wrap_loose(wisp_event *event) { ((voyage *)event->user)->loose++; }

static void on_newest(wisp_event *event) {
    voyage *v = (voyage *)event->user;
    int64_t number = wisp_arg_int(event, 0);
    if (number <= v->newest) v->wrong++;
    v->newest = number;
    v->sequenced++;
}

static void on_wrap_large(wisp_event *event) {
    voyage *v = (voyage *)event->user;
    int size = 0;
    const uint8_t *bytes = (const uint8_t *)wisp_arg_bytes(event, 1, &size);
    if (wisp_arg_int(event, 0) != v->large++ || size != 9000 || !bytes || bytes[8999] != 9)
        v->wrong++;
}

static void on_square(wisp_event *event) {
    wisp_value value = wisp_int(wisp_arg_int(event, 0) * wisp_arg_int(event, 0));
    wisp_reply_values(event, &value, 1);
}

static void on_squared(wisp_event *event) {
    voyage *v = (voyage *)event->user;
    if (event->result || wisp_arg_int(event, 0) != v->replies * v->replies) v->wrong++;
    v->replies++;
}

static void voyage_open(voyage *v, bool bad) {
    static const wisp_handler handlers[WRAP_KINDS] = { on_wrap_first, on_wrap_second, on_wrap_loose,
                                                       on_newest };
    memset(v, 0, sizeof *v);
    world_open(&v->t.w);
    v->t.w.unchecked = true;
    v->t.w.bad = bad;
    v->t.w.net.latency = 0.01;
    v->t.w.net.jitter = 0.02;
    v->t.w.net.loss = 0.05;
    v->t.w.net.duplicate = 0.05;
    v->t.w.net.reorder = 0.05;
    v->newest = -1;
    world_two_join(&v->t);
    for (int i = 0; i < WRAP_KINDS; i++) {
        wisp_config config;
        memset(&config, 0, sizeof config);
        config.channel = WISP_CHANNEL(i);
        if (i >= 2) config.delivery = i == 2 ? WISP_UNRELIABLE : WISP_SEQUENCED;
        wisp_use_config(v->t.client, &config, wrap_kinds[i]);
        wisp_connect_target(v->t.server, wisp_by_name(wrap_kinds[i]), handlers[i], v, false);
    }
    wisp_connect_target(v->t.server, wisp_by_name("large"), on_wrap_large, v, false);
    wisp_on_invoke_target(v->t.server, wisp_by_name("square"), on_square, v);
}

static void fire_large(voyage *v, int64_t number) {
    static uint8_t bytes[9000];
    wisp_value values[2];
    memset(bytes, 9, sizeof bytes);
    values[0] = wisp_int(number);
    values[1] = wisp_bytes(bytes, (int)sizeof bytes);
    CHECK_EQ_INT(wisp_fire_values(v->t.client, "large", wisp_to_peer(v->t.to_server), values, 2),
                 WISP_OK);
}

static void invoke_square(voyage *v, int64_t number) {
    wisp_value value = wisp_int(number);
    wisp_call_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_squared;
    desc.user = v;
    CHECK(wisp_invoke_values(v->t.client, "square", wisp_to_peer(v->t.to_server), &desc, &value,
                             1).id != 0);
}

/* A bit of everything in each step; the first steps cross the wraps. */
static void run_everything(bool bad) {
    voyage *v = (voyage *)malloc(sizeof *v);
    wisp_peer to;
    voyage_open(v, bad);
    to = v->t.to_server;
    for (int i = 0; i < 600; i++) {
        for (int k = 0; k < 4; k++) world_fire(v->t.client, "first", to, 4 * i + k);
        world_fire(v->t.client, "second", to, i);
        world_fire(v->t.client, "loose", to, i);
        world_fire(v->t.client, "newest", to, i);
        if (i % 10 == 0) fire_large(v, i / 10);
        if (!bad || i % 3 == 0) invoke_square(v, bad ? i / 3 : i);
        world_step(&v->t.w);
        wisp__host_check(v->t.client);
        wisp__host_check(v->t.server);
    }
    world_run(&v->t.w, bad ? 30 : 5);
    CHECK_EQ_INT(v->wrong, 0);
    CHECK_EQ_INT(v->next[0], 2400);
    CHECK_EQ_INT(v->next[1], 600);
    CHECK_EQ_INT(v->large, 60);
    CHECK_EQ_INT(v->replies, bad ? 200 : 600);
    CHECK(bad ? v->loose > 500 && v->loose < 600 : v->loose == 600);
    CHECK(bad ? v->sequenced > 200 : v->sequenced == 600);
    CHECK_EQ_INT(wisp_peers(v->t.server, NULL, 0), 1);
    world_close(&v->t.w);
    free(v);
}

TEST(everything_crosses_the_wraps) { run_everything(false); }
TEST(everything_crosses_the_wraps_on_a_bad_network) { run_everything(true); }

/* The join itself crosses nothing yet, so a second session begins at the same numbers again. */
TEST(a_second_session_crosses_them_as_well) {
    world_two t;
    world_two_open(&t);
    world_watch(&t.w, t.server, "n");
    for (int session = 0; session < 3; session++) {
        world_forget(&t.w);
        for (int i = 0; i < 100; i++) {
            world_fire(t.client, "n", t.to_server, i);
            if (i % 2) world_step(&t.w);
        }
        world_run(&t.w, 0.5);
        CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 100);
        CHECK(world_counts_up(&t.w, t.server, "n", 0));
        wisp_leave(t.client, t.to_server, "");
        world_run(&t.w, 2);
        t.to_server = world_join(&t.w, t.client, t.server);
    }
    world_close(&t.w);
}

/* One packet for each message; the queue is kept short by letting the other side answer. */
static void spend_packets(voyage *v, int count) {
    int64_t number = v->newest + 1;
    wisp_set_batch_mode(v->t.client, "newest", WISP_BATCH_NEVER);
    for (int i = 0; i < count; i++) {
        world_fire(v->t.client, "newest", v->t.to_server, number + i);
        if (i % 8 == 7) world_step(&v->t.w);
    }
    world_run(&v->t.w, 1);
}

TEST(a_channel_idle_for_70000_packets_is_used_again) {
    voyage *v = (voyage *)malloc(sizeof *v);
    wisp_peer_stats stats;
    voyage_open(v, false);
    for (int i = 0; i < 10; i++) world_fire(v->t.client, "second", v->t.to_server, i);
    fire_large(v, 0);
    invoke_square(v, 0);
    world_fire(v->t.client, "loose", v->t.to_server, 1);
    world_run(&v->t.w, 0.5);
    spend_packets(v, 71000);
    stats = world_peer_stats(v->t.client, v->t.to_server);
    CHECK(stats.packets_sent > 70000);
    CHECK(v->sequenced > 70000);
    for (int i = 10; i < 20; i++) world_fire(v->t.client, "second", v->t.to_server, i);
    fire_large(v, 1);
    invoke_square(v, 1);
    world_fire(v->t.client, "loose", v->t.to_server, 2);
    world_run(&v->t.w, 0.5);
    CHECK_EQ_INT(v->next[1], 20);
    CHECK_EQ_INT(v->large, 2);
    CHECK_EQ_INT(v->replies, 2);
    CHECK_EQ_INT(v->loose, 2);
    CHECK_EQ_INT(v->wrong, 0);
    world_close(&v->t.w);
    free(v);
}

TEST(a_channel_carries_more_than_70000_messages_while_another_is_idle) {
    voyage *v = (voyage *)malloc(sizeof *v);
    voyage_open(v, true);
    world_fire(v->t.client, "second", v->t.to_server, 0);
    for (int64_t sent = 0; sent < 140000;) {
        for (int i = 0; i < 200; i++, sent++)
            world_fire(v->t.client, "first", v->t.to_server, sent);
        world_step(&v->t.w);
        if (sent % 10000 == 0) wisp__host_check(v->t.server);
    }
    world_run(&v->t.w, 10);
    world_fire(v->t.client, "second", v->t.to_server, 1);
    world_run(&v->t.w, 1);
    CHECK_EQ_INT(v->next[0], 140000);
    CHECK_EQ_INT(v->next[1], 2);
    CHECK_EQ_INT(v->wrong, 0);
    world_close(&v->t.w);
    free(v);
}

TEST(more_than_70000_calls_are_answered_in_one_session) {
    voyage *v = (voyage *)malloc(sizeof *v);
    voyage_open(v, false);
    for (int64_t i = 0; i < 70000; i++) {
        invoke_square(v, i);
        if (i % 50 == 49) world_step(&v->t.w);
    }
    world_run(&v->t.w, 1);
    CHECK_EQ_INT(v->replies, 70000);
    CHECK_EQ_INT(v->wrong, 0);
    CHECK_EQ_INT(world_total(v->t.client).calls_pending, 0);
    world_close(&v->t.w);
    free(v);
}

static const test_case tests[] = {
    CASE(everything_crosses_the_wraps),
    CASE(everything_crosses_the_wraps_on_a_bad_network),
    CASE(a_second_session_crosses_them_as_well),
    CASE(a_channel_idle_for_70000_packets_is_used_again),
    CASE(a_channel_carries_more_than_70000_messages_while_another_is_idle),
    CASE(more_than_70000_calls_are_answered_in_one_session),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
