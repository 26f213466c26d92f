/* test_incoming.c - messages that come for a session, good ones and bad ones, and their handlers */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "test.h"
#include "world.h"
#include "hooks.h"
#include "forge.h"

/* --- one bad message --- */

static void check_bad_among_good(int delivery, uint32_t first, bool gap) {
    bench *b = bench_open();
    wisp__writer *to = body(b);
    put_section(to, delivery, first + (gap ? 1 : 0));
    for (int i = 0; i < 5; i++) {
        put_unbound(to, i == 3 ? 900 : 0, 9);
        if (i == 1) wisp__put(to, 0x1f1, 9);         /* one value of no kind */
        else put_true(to);
    }
    send_body(b);
    if (gap) {
        to = body(b);
        put_section(to, delivery, first);
        put_unbound(to, 0, 9);
        put_true(to);
        send_body(b);
    }
    world_run(&b->t.w, 0.05);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), gap ? 4 : 3);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR, WISP_E_BAD_PACKET), 1);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR, WISP_E_NO_REMOTE), 1);
    CHECK_EQ_INT(world_peer_stats(b->t.server, b->t.to_client).bad_messages, 2);
    CHECK(bench_joined(b));
    bench_close(b);
}

TEST(a_bad_message_does_not_cost_the_rest_of_its_batch) {
    check_bad_among_good(WISP_UNRELIABLE, 0, false);
    check_bad_among_good(WISP_SEQUENCED, 0, false);
    check_bad_among_good(WISP_RELIABLE, WISP_FIRST_NUMBER, false);
}

TEST(a_bad_message_held_for_its_turn_does_not_cost_the_others) {
    check_bad_among_good(WISP_RELIABLE, WISP_FIRST_NUMBER, true);
}

TEST(a_message_that_ends_before_its_length_is_bad) {
    bench *b = bench_open();
    wisp__writer *to = body(b);
    put_section(to, WISP_UNRELIABLE, 0);
    put_unbound(to, 0, 17);
    put_true(to);
    wisp__put(to, 0, 8);
    send_body(b);
    world_run(&b->t.w, 0.05);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 0);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR, WISP_E_BAD_PACKET), 1);
    CHECK(bench_joined(b));
    bench_close(b);
}

/* --- handlers --- */

static void on_count(wisp_event *event) {
    bench *b = (bench *)event->user;
    b->handled++;
    if (wisp_arg_int(event, 0) == 2) wisp_leave(event->w, event->peer, "enough");
}

/* The rest of the packet, and what was held behind it, is not delivered any more. */
TEST(a_handler_that_leaves_ends_the_reading_of_its_packet) {
    for (int held = 0; held < 2; held++) {
        bench *b = bench_open();
        wisp_connect_target(b->t.server, wisp_by_name("n"), on_count, b, false);
        world_fire(b->t.client, "n", b->t.to_server, 0);
        world_run(&b->t.w, 0.1);
        b->out.keep = true;
        if (held) wisp_set_batch_mode(b->t.client, "n", WISP_BATCH_NEVER);
        for (int i = 1; i < 6; i++) world_fire(b->t.client, "n", b->t.to_server, i);
        wisp_flush_batches(b->t.client);
        CHECK_EQ_INT(b->out.kept_count, held ? 5 : 1);
        for (int i = b->out.kept_count - 1; i >= 0; i--) tap_pass(&b->out, &b->out.kept[i]);
        b->out.keep = false;
        world_run(&b->t.w, 0.2);
        CHECK_EQ_INT(b->handled, 3);
        CHECK_EQ_STR(world_last(&b->t.w, b->t.client, WISP_LEFT)->text, "enough");
        CHECK_EQ_INT(world_last(&b->t.w, b->t.client, WISP_LEFT)->result, WISP_OK);
        bench_close(b);
    }
}

/* --- calls that make no sense, and the work that one packet may cause --- */

static void put_invoke(wisp__writer *to, uint32_t id, int ahead) {
    wisp__put_control(to, WISP__R_INVOKE);
    wisp__put_length(to, 0);
    wisp__put(to, id & WISP__LOW_24, 24);
    wisp__put_small(to, (uint64_t)ahead);
    wisp__put(to, 0, 1);
    wisp__put_length(to, 9);
}

TEST(an_unreadable_invoke_does_not_run_its_handler_early_or_in_order) {
    for (int early = 0; early < 2; early++) {
        bench *b = bench_open();
        wisp__writer *to = body(b);
        wisp_on_invoke_target(b->t.server, wisp_by_name("hp"), on_count, b);
        put_section(to, WISP_RELIABLE, (uint32_t)WISP_FIRST_NUMBER + (unsigned)early);
        put_invoke(to, WISP_FIRST_NUMBER, 0);
        wisp__put(to, 0x1f1, 9);                     /* one value of no kind */
        send_body(b);
        to = body(b);
        put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER);
        put_unbound(to, 0, 9);
        put_true(to);
        if (early) send_body(b);
        world_run(&b->t.w, 0.05);
        CHECK_EQ_INT(b->handled, 0);
        CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), early);
        CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR, WISP_E_BAD_PACKET), 1);
        CHECK(bench_joined(b));
        bench_close(b);
    }
}

TEST(calls_that_settle_in_leaps_end_the_session) {
    bench *b = bench_open();
    uint32_t id = WISP_FIRST_NUMBER + 4095;
    for (int packet = 0; packet < 2; packet++) {
        wisp__writer *to = body(b);
        put_section(to, WISP_UNRELIABLE, 0);
        for (int i = 0; i < 20; i++, id += 8000) {
            put_invoke(to, id, packet ? 0 : 4095);
            put_true(to);
            if (!packet) break;
        }
        send_body(b);
        world_run(&b->t.w, 0.05);
        CHECK_EQ_INT(bench_joined(b), !packet);
    }
    bench_close(b);
}

/* The handle of the second call that waits. */
static wisp_call second_call(const wisp__session *s) {
    wisp_call call = { 0 };
    if (s->calls_first && s->calls_first->next) call.id = s->calls_first->next->slot.id;
    return call;
}

TEST(answers_of_no_call_are_sought_64_times_a_packet_at_most) {
    bench *b = bench_open();
    wisp__session *s = bench_server_side(b);
    wisp__writer *to = body(b);
    for (int i = 0; i < 3; i++)
        wisp_invoke_target(b->t.server, wisp_by_name("q"), wisp_to_peer(b->t.to_client), NULL,
                           NULL, 0);
    wisp_cancel(b->t.server, second_call(s));
    put_section(to, WISP_UNRELIABLE, 0);
    for (int i = 0; i < 100; i++) {
        wisp__put_control(to, WISP__R_REPLY);
        wisp__put(to, (WISP_FIRST_NUMBER + 1) & WISP__LOW_24, 24);
        wisp__put(to, 1, 1);
        put_true(to);
    }
    send_body(b);
    world_update(&b->t.w, 0);
    CHECK_EQ_INT(s->misses, 64);
    CHECK(bench_joined(b));
    bench_close(b);
}

TEST(of_one_packet_256_errors_are_told_and_all_are_counted) {
    bench *b = bench_open();
    wisp__writer *to = body(b);
    uint64_t before = world_total(b->t.server).errors;
    put_section(to, WISP_UNRELIABLE, 0);
    for (int i = 0; i < 300; i++) put_unbound(to, 900, 0);
    send_body(b);
    world_run(&b->t.w, 0.05);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR, WISP_E_BAD_PACKET), 256);
    CHECK_EQ_INT(world_total(b->t.server).errors - before, 300);
    CHECK(bench_joined(b));
    bench_close(b);
}

static const test_case tests[] = {
    CASE(a_bad_message_does_not_cost_the_rest_of_its_batch),
    CASE(a_bad_message_held_for_its_turn_does_not_cost_the_others),
    CASE(a_message_that_ends_before_its_length_is_bad),
    CASE(a_handler_that_leaves_ends_the_reading_of_its_packet),
    CASE(an_unreadable_invoke_does_not_run_its_handler_early_or_in_order),
    CASE(calls_that_settle_in_leaps_end_the_session),
    CASE(answers_of_no_call_are_sought_64_times_a_packet_at_most),
    CASE(of_one_packet_256_errors_are_told_and_all_are_counted)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
