/* test_fire.c - what is fired at one, at all, at lists and at all but some; refused values */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/calls_of_r.h"
#include "support/server_and_three_clients.h"

TEST(what_is_fired_before_the_join_is_done_waits_for_it) {
    world w;
    wisp *server, *client;
    wisp_addr addr;
    wisp_peer peer;
    world_open(&w);
    server = world_add(&w);
    client = world_add(&w);
    world_watch(&w, server, "r");
    addr = world_addr(&w, server);
    peer = wisp_join(client, &addr, NULL, 0);
    for (int i = 0; i < 5; i++) CHECK_EQ_INT(world_fire(client, "r", peer, i), WISP_OK);
    CHECK_EQ_INT(world_peer_stats(client, peer).queued_messages, 5);
    world_run(&w, 0.5);
    CHECK_EQ_INT(world_count(&w, server, "r"), 5);
    CHECK(world_counts_up(&w, server, "r", 0));
    world_close(&w);
}

TEST(fire_all_reaches_every_joined_peer_once) {
    party p;
    party_open(&p);
    CHECK_EQ_INT(wisp_fire_all(p.server, "r", wisp_int(1)), WISP_OK);
    world_run(&p.w, 0.2);
    for (int i = 0; i < 3; i++) CHECK_EQ_INT(party_heard(&p, i), 1);
    CHECK_EQ_INT(world_remote_stats(p.server, "r").messages_sent, 3);
    wisp_leave(p.server, p.to_client[1], "");
    CHECK_EQ_INT(wisp_fire_all(p.server, "r", wisp_int(2)), WISP_OK);
    world_run(&p.w, 0.2);
    CHECK_EQ_INT(party_heard(&p, 0), 2);
    CHECK_EQ_INT(party_heard(&p, 1), 1);
    CHECK_EQ_INT(party_heard(&p, 2), 2);
    world_close(&p.w);
}

TEST(fire_all_with_nobody_there_is_no_error) {
    world w;
    wisp *end;
    world_open(&w);
    end = world_add(&w);
    CHECK_EQ_INT(wisp_fire_all(end, "r", wisp_int(1)), WISP_OK);
    CHECK_EQ_INT(world_remote_stats(end, "r").messages_sent, 0);
    world_close(&w);
}

TEST(fire_all_goes_to_whom_we_joined_as_well_as_who_joined_us) {
    world w;
    wisp *upper, *middle, *lower;
    world_open(&w);
    w.desc.joins = WISP_JOINS_OPEN;
    upper = world_add(&w);
    middle = world_add(&w);
    lower = world_add(&w);
    world_join(&w, middle, upper);
    world_join(&w, lower, middle);
    world_watch(&w, upper, "r");
    world_watch(&w, lower, "r");
    wisp_fire_all(middle, "r", wisp_int(1));
    world_run(&w, 0.3);
    CHECK_EQ_INT(world_count(&w, upper, "r"), 1);
    CHECK_EQ_INT(world_count(&w, lower, "r"), 1);
    CHECK_EQ_INT(wisp_fire(middle, "r", WISP_SERVER, wisp_int(2)), WISP_OK);
    world_run(&w, 0.3);
    CHECK_EQ_INT(world_last(&w, upper, "r")->number, 2);
    CHECK_EQ_INT(world_count(&w, lower, "r"), 1);
    CHECK_EQ_INT(wisp_fire(upper, "r", WISP_SERVER, wisp_int(3)), WISP_E_STALE);
    world_close(&w);
}

TEST(a_list_skips_doubled_peers_and_serves_the_rest) {
    party p;
    wisp_peer list[4];
    party_open(&p);
    list[0] = list[1] = list[3] = p.to_client[0];
    list[2] = p.to_client[2];
    CHECK_EQ_INT(wisp_fire_list(p.server, "r", list, 4, wisp_int(1)), WISP_E_ARGUMENT);
    world_run(&p.w, 0.2);
    CHECK_EQ_INT(party_heard(&p, 0), 1);
    CHECK_EQ_INT(party_heard(&p, 1), 0);
    CHECK_EQ_INT(party_heard(&p, 2), 1);
    CHECK_EQ_INT(world_total(p.server).targets_skipped, 2);
    CHECK_EQ_INT(wisp_fire_list(p.server, "r", list + 1, 2, wisp_int(1)), WISP_OK);
    world_close(&p.w);
}

TEST(a_list_skips_stale_peers_and_serves_the_rest) {
    party p;
    wisp_peer list[5];
    party_open(&p);
    memset(list, 0, sizeof list);
    wisp_leave(p.server, p.to_client[1], "");
    list[1] = p.to_client[1];
    list[2] = p.to_client[2];
    list[3].id = 0x12345678;
    list[4] = p.to_client[0];
    CHECK_EQ_INT(wisp_fire_list(p.server, "r", list, 5, wisp_int(1)), WISP_E_STALE);
    world_run(&p.w, 0.2);
    CHECK_EQ_INT(party_heard(&p, 0), 1);
    CHECK_EQ_INT(party_heard(&p, 1), 0);
    CHECK_EQ_INT(party_heard(&p, 2), 1);
    CHECK_EQ_INT(world_total(p.server).targets_skipped, 3);
    world_close(&p.w);
}

TEST(a_list_knows_the_server_by_both_its_handles) {
    world_two t;
    wisp_peer list[2];
    world_two_watched(&t, "r");
    list[0] = t.to_server;
    list[1] = WISP_SERVER;
    CHECK_EQ_INT(wisp_fire_list(t.client, "r", list, 2, wisp_int(1)), WISP_E_ARGUMENT);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 1);
    world_close(&t.w);
}

TEST(the_first_error_of_a_list_is_returned) {
    party p;
    wisp_peer list[3];
    party_open(&p);
    list[0] = list[1] = p.to_client[0];
    list[2].id = 0;
    CHECK_EQ_INT(wisp_fire_list(p.server, "r", list, 3, wisp_int(1)), WISP_E_ARGUMENT);
    list[0].id = 0;
    list[2] = list[1];
    CHECK_EQ_INT(wisp_fire_list(p.server, "r", list, 3, wisp_int(1)), WISP_E_STALE);
    world_close(&p.w);
}

TEST(except_leaves_out_who_is_named) {
    party p;
    wisp_peer list[4];
    party_open(&p);
    list[0] = list[1] = p.to_client[1];
    list[2].id = 0;
    list[3].id = 0x12345678;
    CHECK_EQ_INT(wisp_fire_except(p.server, "r", list, 4, wisp_int(1)), WISP_OK);
    CHECK_EQ_INT(wisp_fire_except(p.server, "r", p.to_client, 3, wisp_int(1)), WISP_OK);
    world_run(&p.w, 0.2);
    CHECK_EQ_INT(party_heard(&p, 0), 1);
    CHECK_EQ_INT(party_heard(&p, 1), 0);
    CHECK_EQ_INT(party_heard(&p, 2), 1);
    wisp_fire_except(p.server, "r", list, 0, wisp_int(1));
    world_run(&p.w, 0.2);
    CHECK_EQ_INT(party_heard(&p, 1), 1);
    world_close(&p.w);
}

TEST(lists_that_make_no_sense_are_argument_errors) {
    party p;
    party_open(&p);
    CHECK_EQ_INT(wisp_fire_values(p.server, "r", wisp_to_list(NULL, 0), NULL, 0), WISP_OK);
    CHECK_EQ_INT(wisp_fire_values(p.server, "r", wisp_to_list(NULL, 1), NULL, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_fire_values(p.server, "r", wisp_to_list(p.to_client, -1), NULL, 0),
                 WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_fire_values(p.server, "r", wisp_to_except(NULL, 1), NULL, 0),
                 WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_fire_values(NULL, "r", wisp_to_all(), NULL, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_send(NULL, wisp_remote_named(p.server, "r"), wisp_to_all(), NULL, 0),
                 WISP_E_ARGUMENT);
    world_close(&p.w);
}

TEST(values_that_make_no_sense_are_refused_and_nothing_is_sent) {
    world_two t;
    wisp_value bad = wisp_int(1), nest[20];
    world_two_watched(&t, "r");
    CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_all(), NULL, 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_all(), &bad, -1), WISP_E_ARGUMENT);
    bad = wisp_string("x");
    bad.count = -1;
    CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_all(), &bad, 1), WISP_E_ARGUMENT);
    for (int no_kind = WISP_STRUCT + 1; no_kind < WISP_STRUCT + 4; no_kind++) {
        bad = wisp_nil();
        memcpy(&bad.kind, &no_kind, sizeof bad.kind);
        CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_all(), &bad, 1), WISP_E_TYPE);
    }
    nest[0] = wisp_int(1);
    for (int i = 1; i < 20; i++) nest[i] = wisp_array(&nest[i - 1], 1);
    CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_all(), &nest[17], 1), WISP_E_DEPTH);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 0);
    CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_all(), &nest[16], 1), WISP_OK);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 1);
    world_close(&t.w);
}

TEST(eleven_fires_in_one_frame_deliver_eleven) {
    world_two t;
    world_two_watched(&t, "r");
    for (int i = 0; i < 11; i++)
        CHECK_EQ_INT(world_fire(t.client, "r", t.to_server, i), WISP_OK);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 11);
    CHECK(world_counts_up(&t.w, t.server, "r", 0));
    world_close(&t.w);
}

/* One whose queue is full, or that does not know the name, costs the others nothing. */
TEST(an_error_of_one_peer_is_returned_and_the_others_are_served) {
    party p;
    world_open(&p.w);
    p.w.desc.limits.queue_messages = 5;
    p.server = world_add(&p.w);
    for (int i = 0; i < 3; i++) {
        p.clients[i] = world_add(&p.w);
        world_join(&p.w, p.clients[i], p.server);
        p.to_client[i] = world_peer(p.server, i);
        if (i != 1) world_watch(&p.w, p.clients[i], "r");
    }
    world_run(&p.w, 0.3);
    for (int i = 0; i < 5; i++) wisp_fire(p.server, "x", p.to_client[0], wisp_int(i));
    CHECK_EQ_INT(wisp_fire_all(p.server, "r", wisp_int(1)), WISP_E_QUEUE_FULL);
    world_run(&p.w, 0.3);
    CHECK_EQ_INT(party_heard(&p, 0), 0);
    CHECK_EQ_INT(party_heard(&p, 2), 1);
    CHECK_EQ_INT(wisp_fire_all(p.server, "r", wisp_int(2)), WISP_E_NO_REMOTE);
    world_run(&p.w, 0.3);
    CHECK_EQ_INT(party_heard(&p, 0), 1);
    CHECK_EQ_INT(party_heard(&p, 2), 2);
    CHECK_EQ_INT(world_remote_stats(p.server, "r").undeliverable, 1);
    world_close(&p.w);
}

static char fire_blob[8];
static int fire_blob_size;

static void on_fire_blob(wisp_event *event) {
    const void *bytes = wisp_arg_bytes(event, 0, &fire_blob_size);
    CHECK_EQ_INT(event->count, 1);
    if (bytes && fire_blob_size <= 8) memcpy(fire_blob, bytes, (size_t)fire_blob_size);
}

TEST(a_blob_is_sent_by_its_handle) {
    world_two t;
    wisp_remote r, none = { 0 };
    wisp_to to;
    world_two_open(&t);
    wisp_connect_target(t.server, wisp_by_name("r"), on_fire_blob, NULL, false);
    r = wisp_remote_named(t.client, "r");
    to = wisp_to_peer(t.to_server);
    CHECK_EQ_INT(wisp_send_bytes(t.client, r, to, "abc\0d", 5), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(fire_blob_size, 5);
    CHECK(memcmp(fire_blob, "abc\0d", 5) == 0);
    CHECK_EQ_INT(wisp_send_bytes(t.client, r, to, NULL, 0), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(fire_blob_size, 0);
    CHECK_EQ_INT(wisp_send_bytes(t.client, r, to, NULL, 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_send_bytes(t.client, r, to, "a", -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_send_bytes(t.client, r, to, fire_blob, 1 << 28), WISP_E_TOO_BIG);
    CHECK_EQ_INT(wisp_send_bytes(t.client, none, to, "a", 1), WISP_E_STALE);
    CHECK_EQ_INT(wisp_send_bytes(NULL, r, to, "a", 1), WISP_E_ARGUMENT);
    world_close(&t.w);
}

/* --- calls --- */

static void on_fire_add_one(wisp_event *event) {
    wisp_reply(event, wisp_int(wisp_arg_int(event, 0) + 1));
}

TEST(a_full_queue_refuses_the_call_and_leaks_no_slot) {
    world_two t;
    world_open(&t.w);
    t.w.desc.limits.queue_messages = 5;
    t.w.desc.limits.calls = 100;
    world_two_join(&t);
    wisp_on_invoke(t.server, "r", on_fire_add_one, NULL);
    for (int i = 0; i < 5; i++) CHECK(call(&t, i).id != 0);
    CHECK_EQ_INT(call(&t, 5).id, 0);
    CHECK_EQ_INT(wisp_why(t.client), WISP_E_QUEUE_FULL);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 5);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_OK), 5);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(what_is_fired_before_the_join_is_done_waits_for_it),
    CASE(fire_all_reaches_every_joined_peer_once),
    CASE(fire_all_with_nobody_there_is_no_error),
    CASE(fire_all_goes_to_whom_we_joined_as_well_as_who_joined_us),
    CASE(a_list_skips_doubled_peers_and_serves_the_rest),
    CASE(a_list_skips_stale_peers_and_serves_the_rest),
    CASE(a_list_knows_the_server_by_both_its_handles),
    CASE(the_first_error_of_a_list_is_returned),
    CASE(except_leaves_out_who_is_named),
    CASE(lists_that_make_no_sense_are_argument_errors),
    CASE(values_that_make_no_sense_are_refused_and_nothing_is_sent),
    CASE(eleven_fires_in_one_frame_deliver_eleven),
    CASE(an_error_of_one_peer_is_returned_and_the_others_are_served),
    CASE(a_blob_is_sent_by_its_handle),
    CASE(a_full_queue_refuses_the_call_and_leaks_no_slot),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
