/* Invoke, reply, fail, defer, cancel, timeout, tries, and the functions that wait. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/calls_of_r.h"

#include <math.h>

static int runs;                   /* of the handler that answers */
static wisp_call deferred[4];
static wisp_result inside[8];

static void begin(void) {
    runs = 0;
    memset(deferred, 0, sizeof deferred);
    memset(inside, 0, sizeof inside);
}

static void answer_with(wisp *w, const char *name, wisp_handler fn) {
    CHECK_EQ_INT(wisp_on_invoke(w, name, fn, NULL), WISP_OK);
}

/* A pair whose server answers "r" with fn; errors of both sides are noted. */
static void two_answering(world_two *t, wisp_handler fn) {
    begin();
    world_two_open(t);
    if (fn) answer_with(t->server, "r", fn);
    world_watch(&t->w, t->server, WISP_ERROR);
    world_watch(&t->w, t->client, WISP_ERROR);
}

/* --- answers --- */

static void on_call_add_one(wisp_event *event) {
    runs++;
    CHECK_EQ_INT(wisp_reply(event, wisp_int(wisp_arg_int(event, 0) + 1)), WISP_OK);
}

TEST(a_client_calls_a_server) {
    world_two t;
    two_answering(&t, on_call_add_one);
    CHECK(call(&t, 41).id != 0);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 1);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_OK);
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->number, 42);
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->count, 1);
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->peer.id, t.to_server.id);
    CHECK_EQ_INT(world_remote_stats(t.client, "r").invokes_sent, 1);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").invokes_received, 1);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").replies_sent, 1);
    CHECK_EQ_INT(world_remote_stats(t.client, "r").replies_received, 1);
    world_close(&t.w);
}

TEST(a_server_calls_a_client) {
    world_two t;
    begin();
    world_two_open(&t);
    answer_with(t.client, "r", on_call_add_one);
    CHECK(call_from(&t.w, t.server, t.to_client, 1, 0, 0).id != 0);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 2);
    CHECK_EQ_INT(world_last(&t.w, t.server, "r")->peer.id, t.to_client.id);
    world_close(&t.w);
}

TEST(both_call_each_other_at_once_on_one_name) {
    world_two t;
    two_answering(&t, on_call_add_one);
    answer_with(t.client, "r", on_call_add_one);
    for (int i = 0; i < 50; i++) {
        call(&t, 2 * i);
        call_from(&t.w, t.server, t.to_client, 2 * i, 0, 0);
    }
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 50);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 50);
    for (int i = 0; i < 50; i++) {
        CHECK_EQ_INT(world_nth(&t.w, t.client, "r", i)->number, 2 * i + 1);
        CHECK_EQ_INT(world_nth(&t.w, t.server, "r", i)->number, 2 * i + 1);
    }
    CHECK_EQ_INT(runs, 100);
    world_close(&t.w);
}

static void on_rich(wisp_event *event) {
    wisp_pair pair;
    wisp_value values[3];
    pair.key = "gold";
    pair.value = wisp_int(7);
    values[0] = wisp_map(&pair, 1);
    values[1] = wisp_string("sword");
    values[2] = wisp_vec3v(1, 2, 3);
    CHECK_EQ_INT(wisp_reply_values(event, values, 3), WISP_OK);
}

static void on_rich_reply(wisp_event *event) {
    runs++;
    CHECK_EQ_INT(event->result, WISP_OK);
    CHECK_EQ_STR(event->text, "");
    CHECK_EQ_STR(event->name, "r");
    CHECK_EQ_INT(wisp_field_of(wisp_arg_map(event, 0), "gold")->as.integer, 7);
    CHECK_EQ_STR(wisp_arg_string(event, 1), "sword");
    CHECK_NEAR(wisp_arg_vec3(event, 2).z, 3, 0);
    CHECK_EQ_INT(*(int *)event->user, 99);
}

TEST(a_reply_carries_values_of_any_kind) {
    world_two t;
    int user = 99;
    two_answering(&t, on_rich);
    CHECK(wisp_invoke(t.client, "r", t.to_server, on_rich_reply, &user).id != 0);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(runs, 1);
    world_close(&t.w);
}

static void on_call_count(wisp_event *event) {
    runs += event->count;
    if (event->count)
        wisp_reply(event, wisp_int(1), wisp_int(2), wisp_int(3), wisp_int(4), wisp_int(5),
                   wisp_int(6), wisp_int(7), wisp_int(8), wisp_int(9), wisp_int(10), wisp_int(11),
                   wisp_int(12), wisp_int(13), wisp_int(14), wisp_int(15), wisp_int(16));
    else
        wisp_reply(event);
}

TEST(invoke_and_reply_take_none_to_sixteen_values) {
    world_two t;
    wisp_value v = wisp_int(1);
    two_answering(&t, on_call_count);
    wisp_invoke(t.client, "r", t.to_server, world_on, &t.w);
    wisp_invoke(t.client, "r", t.to_server, world_on, &t.w, v, v, v, v, v, v, v, v, v, v, v, v, v,
                v, v, v);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(runs, 16);
    CHECK_EQ_INT(world_nth(&t.w, t.client, "r", 0)->count, 0);
    CHECK_EQ_INT(world_nth(&t.w, t.client, "r", 1)->count, 16);
    world_close(&t.w);
}

static void on_silent(wisp_event *event) {
    (void)event;
    runs++;
}

TEST(a_handler_that_does_not_reply_has_replied_no_values) {
    world_two t;
    two_answering(&t, on_silent);
    call(&t, 1);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_OK);
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->count, 0);
    world_close(&t.w);
}

static void on_twice(wisp_event *event) {
    wisp_value one = wisp_int(1), two = wisp_int(2);
    inside[0] = wisp_reply_values(event, &one, 1);
    inside[1] = wisp_reply_values(event, &two, 1);
    inside[2] = wisp_defer(event).id != 0;
    inside[3] = wisp_why(event->w);
}

TEST(a_second_reply_is_refused) {
    world_two t;
    two_answering(&t, on_twice);
    call(&t, 1);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_OK);
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->number, 1);
    CHECK_EQ_INT(inside[0], WISP_OK);
    CHECK_EQ_INT(inside[1], WISP_E_ARGUMENT);
    CHECK_EQ_INT(inside[2], 0);
    CHECK_EQ_INT(inside[3], WISP_E_ARGUMENT);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").replies_sent, 1);
    world_close(&t.w);
}

static void on_no_call(wisp_event *event) {
    runs++;
    inside[0] = wisp_reply_values(event, NULL, 0);
    inside[1] = wisp_defer(event).id != 0;
}

TEST(an_event_is_not_a_call_to_be_answered) {
    world_two t;
    two_answering(&t, on_silent);
    wisp_connect(t.server, "r", on_no_call, NULL);
    world_fire(t.client, "r", t.to_server, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(runs, 1);
    CHECK_EQ_INT(inside[0], WISP_E_ARGUMENT);
    CHECK_EQ_INT(inside[1], 0);
    CHECK_EQ_INT(wisp_reply_values(NULL, NULL, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_defer(NULL).id, 0);
    world_close(&t.w);
}

static void on_fail(wisp_event *event) {
    inside[0] = wisp_fail(event, WISP_E_USER - 5, "no %s left", "gold");
    inside[1] = wisp_reply_values(event, NULL, 0);
}

TEST(a_failure_reaches_the_caller_with_code_and_text) {
    world_two t;
    two_answering(&t, on_fail);
    call(&t, 1);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_E_USER - 5);
    CHECK_EQ_STR(world_last(&t.w, t.client, "r")->text, "no gold left");
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->count, 0);
    CHECK_EQ_INT(inside[0], WISP_OK);
    CHECK_EQ_INT(inside[1], WISP_E_ARGUMENT);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_USER - 5), 1);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").failures, 1);
    world_close(&t.w);
}

TEST(one_name_has_event_handlers_and_one_invoke_handler) {
    world_two t;
    two_answering(&t, on_silent);
    answer_with(t.server, "r", on_call_add_one);           /* takes the place of the first */
    world_watch(&t.w, t.server, "r");
    call(&t, 1);
    world_fire(t.client, "r", t.to_server, 5);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(runs, 1);
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->number, 2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 1);
    CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 5);
    world_close(&t.w);
}

TEST(without_a_handler_the_caller_is_told) {
    world_two t;
    two_answering(&t, NULL);
    wisp_remote_named(t.server, "r");
    call(&t, 1);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_E_NO_HANDLER);
    CHECK_EQ_STR(world_last(&t.w, t.client, "r")->text, wisp_result_text(WISP_E_NO_HANDLER));
    world_forget(&t.w);
    answer_with(t.server, "r", on_call_add_one);
    call(&t, 1);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_OK);
    world_forget(&t.w);
    answer_with(t.server, "r", NULL);
    call(&t, 1);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_E_NO_HANDLER);
    world_close(&t.w);
}

TEST(a_remote_unknown_over_there_ends_its_calls_once) {
    world_two t;
    two_answering(&t, NULL);
    for (int i = 0; i < 5; i++) CHECK(call(&t, i).id != 0);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 5);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_NO_REMOTE), 5);
    CHECK_EQ_INT(call(&t, 9).id, 0);
    CHECK_EQ_INT(wisp_why(t.client), WISP_E_NO_REMOTE);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    answer_with(t.server, "r", on_call_add_one);
    world_run(&t.w, 5);
    CHECK(call(&t, 9).id != 0);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->number, 10);
    world_close(&t.w);
}

TEST(invoke_refuses_what_makes_no_sense_and_leaks_no_slot) {
    world_two t;
    wisp_call_desc desc;
    wisp_peer stale = { 77777 };
    wisp_to to;
    two_answering(&t, on_call_add_one);
    memset(&desc, 0, sizeof desc);
    to = wisp_to_peer(t.to_server);
    CHECK_EQ_INT(wisp_invoke_values(NULL, "r", to, NULL, NULL, 0).id, 0);
    CHECK_EQ_INT(wisp_invoke_values(t.client, "r", wisp_to_list(NULL, 1), NULL, NULL, 0).id, 0);
    CHECK_EQ_INT(wisp_why(t.client), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_invoke_values(t.client, "r", wisp_to_peer(stale), NULL, NULL, 0).id, 0);
    CHECK_EQ_INT(wisp_why(t.client), WISP_E_STALE);
    CHECK_EQ_INT(wisp_invoke_values(t.client, "r", to, NULL, NULL, 1).id, 0);
    CHECK_EQ_INT(wisp_why(t.client), WISP_E_ARGUMENT);
    desc.tries = -1;
    CHECK_EQ_INT(wisp_invoke_values(t.client, "r", to, &desc, NULL, 0).id, 0);
    desc.tries = 0;
    desc.timeout = -1;
    CHECK_EQ_INT(wisp_invoke_values(t.client, "r", to, &desc, NULL, 0).id, 0);
    desc.timeout = HUGE_VAL;
    CHECK_EQ_INT(wisp_invoke_values(t.client, "r", to, &desc, NULL, 0).id, 0);
    CHECK_EQ_INT(wisp_why(t.client), WISP_E_ARGUMENT);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    CHECK(wisp_invoke_values(t.client, "r", to, NULL, NULL, 0).id != 0);   /* nobody need listen */
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(runs, 1);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    world_close(&t.w);
}

TEST(a_call_before_the_join_is_done_waits_for_it) {
    world w;
    wisp *server, *client;
    wisp_addr addr;
    begin();
    world_open(&w);
    server = world_add(&w);
    client = world_add(&w);
    answer_with(server, "r", on_call_add_one);
    addr = world_addr(&w, server);
    CHECK(call_from(&w, client, wisp_join(client, &addr, NULL, 0), 1, 0, 0).id != 0);
    world_run(&w, 0.5);
    CHECK_EQ_INT(world_last(&w, client, "r")->number, 2);
    world_close(&w);
}

TEST(calls_and_events_of_one_channel_keep_their_order) {
    world_two t;
    two_answering(&t, NULL);
    wisp_on_invoke(t.server, "call", world_on, &t.w);
    world_watch(&t.w, t.server, "call");
    for (int i = 0; i < 20; i++) {
        wisp_value v = wisp_int(i);
        if (i % 3) world_fire(t.client, "call", t.to_server, i);
        else wisp_invoke_values(t.client, "call", wisp_to_peer(t.to_server), NULL, &v, 1);
    }
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "call"), 20);
    CHECK(world_counts_up(&t.w, t.server, "call", 0));
    world_close(&t.w);
}

/* --- answers later --- */

static void on_defer(wisp_event *event) {
    if (runs < 4) deferred[runs] = wisp_defer(event);
    runs++;
    inside[0] = wisp_reply_values(event, NULL, 0);
    inside[1] = (int)wisp_defer(event).id;
}

TEST(a_deferred_call_is_answered_later_and_once) {
    world_two t;
    wisp_value v = wisp_int(7);
    two_answering(&t, on_defer);
    call(&t, 1);
    world_run(&t.w, 3);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 0);
    CHECK_EQ_INT(inside[0], WISP_E_ARGUMENT);
    CHECK_EQ_INT(inside[1], 0);
    CHECK_EQ_INT(wisp_answer(t.server, deferred[0], &v, 1), WISP_OK);
    CHECK_EQ_INT(wisp_answer(t.server, deferred[0], &v, 1), WISP_E_STALE);
    CHECK_EQ_INT(wisp_answer_fail(t.server, deferred[0], WISP_E_HANDLER, "x"), WISP_E_STALE);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_OK);
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->number, 7);
    world_close(&t.w);
}

TEST(deferred_calls_are_answered_in_any_order) {
    world_two t;
    two_answering(&t, on_defer);
    for (int i = 0; i < 4; i++) call(&t, i);
    world_run(&t.w, 0.2);
    for (int i = 3; i >= 0; i--) {
        wisp_value v = wisp_int(10 + i);
        CHECK_EQ_INT(wisp_answer(t.server, deferred[i], &v, 1), WISP_OK);
    }
    world_run(&t.w, 0.2);
    for (int i = 0; i < 4; i++)
        CHECK_EQ_INT(world_nth(&t.w, t.client, "r", i)->number, 13 - i);
    world_close(&t.w);
}

static void on_refuse(wisp_event *event) {
    inside[0] = wisp_refuse(event, WISP_E_USER - 5, "no %s left", "gold");
    inside[1] = wisp_refuse(event, WISP_E_USER - 5, "again");
}

/* Nobody counts an error, or is told one. */
static void no_error(const world_two *t) {
    CHECK_EQ_INT(world_count(&t->w, t->server, WISP_ERROR), 0);
    CHECK_EQ_INT(world_count(&t->w, t->client, WISP_ERROR), 0);
    CHECK_EQ_INT(world_remote_stats(t->server, "r").failures, 0);
    CHECK_EQ_INT(world_remote_stats(t->client, "r").failures, 0);
    CHECK_EQ_INT(wisp_peers(t->client, NULL, 0), 1);
}

TEST(a_refusal_reaches_the_caller_and_is_no_error) {
    world_two t;
    two_answering(&t, on_refuse);
    call(&t, 1);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_E_USER - 5);
    CHECK_EQ_STR(world_last(&t.w, t.client, "r")->text, "no gold left");
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->count, 0);
    CHECK_EQ_INT(inside[0], WISP_OK);
    CHECK_EQ_INT(inside[1], WISP_E_ARGUMENT);
    CHECK(strstr(wisp_why_text(t.server), "r: wisp_refuse answers a call") != NULL);
    no_error(&t);
    world_close(&t.w);
}

static void on_refuse_wrongly(wisp_event *event) {
    static const wisp_result codes[] = { WISP_OK, 7, WISP_E_MEMORY, -32769, WISP_E_USER + 1 };
    char text[400];
    for (int i = 0; i < TEST_COUNT(codes); i++)
        CHECK_EQ_INT(wisp_refuse(event, codes[i], "x"), WISP_E_ARGUMENT);
    CHECK_EQ_STR(wisp_why_text(event->w), "the code -999 does not reach a caller: refuse with "
                 "-1000 (WISP_E_USER) or less");
    memset(text, 'x', sizeof text);
    text[399] = 0;
    inside[0] = wisp_refuse(event, WISP_E_RATE, "%s", text);
}

static void on_refuse_event(wisp_event *event) {
    inside[1] = wisp_refuse(event, WISP_E_USER, NULL);
}

TEST(a_refusal_that_makes_no_sense_is_explained) {
    world_two t;
    two_answering(&t, on_refuse_wrongly);
    wisp_connect_target(t.server, wisp_by_name("r"), on_refuse_event, NULL, false);
    call(&t, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(inside[0], WISP_OK);
    check_ended(&t, WISP_E_RATE);
    CHECK_EQ_INT(strlen(world_last(&t.w, t.client, "r")->text), 255);
    inside[1] = WISP_OK;
    world_fire(t.client, "r", t.to_server, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(inside[1], WISP_E_ARGUMENT);
    CHECK(strstr(wisp_why_text(t.server), "and this is none") != NULL);
    CHECK_EQ_INT(wisp_refuse(NULL, WISP_E_USER, "x"), WISP_E_ARGUMENT);
    no_error(&t);
    world_close(&t.w);
}

TEST(a_deferred_call_is_refused) {
    world_two t;
    two_answering(&t, on_defer);
    call(&t, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(wisp_answer_refuse(NULL, deferred[0], WISP_E_USER, "x"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_answer_refuse(t.server, deferred[0], WISP_OK, "x"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_answer_refuse(t.server, deferred[0], WISP_E_LINK, "x"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_answer_refuse(t.server, deferred[0], WISP_E_USER, "%d", 12), WISP_OK);
    CHECK_EQ_INT(wisp_answer_refuse(t.server, deferred[0], WISP_E_USER, "x"), WISP_E_STALE);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_E_USER);
    CHECK_EQ_STR(world_last(&t.w, t.client, "r")->text, "12");
    no_error(&t);
    world_close(&t.w);
}

static int64_t done_counts[2];
static wisp_result done_result;

static void on_call_done(wisp_event *event) {
    runs++;
    done_counts[0] = wisp_arg_int(event, 0);
    done_counts[1] = wisp_arg_int(event, 1);
    done_result = event->result;
}

/* One client refuses, one answers, and one fails. */
TEST(a_refusal_in_a_call_to_several_is_an_answer) {
    static const wisp_handler answers[] = { on_refuse, on_call_add_one, on_fail };
    for (int several = 2; several <= 3; several++) {
        world w;
        wisp *server, *clients[3];
        wisp_call_desc desc;
        begin();
        world_open(&w);
        server = world_add(&w);
        world_watch(&w, server, WISP_ERROR);
        for (int i = 0; i < several; i++) {
            clients[i] = world_add(&w);
            world_join(&w, clients[i], server);
            answer_with(clients[i], "r", answers[i]);
            world_watch(&w, clients[i], WISP_ERROR);
        }
        memset(&desc, 0, sizeof desc);
        desc.on_reply = world_on;
        desc.user = &w;
        desc.on_done = on_call_done;
        runs = 0;
        CHECK(wisp_invoke_values(server, "r", wisp_to_all(), &desc, NULL, 0).id != 0);
        world_run(&w, 0.2);
        CHECK_EQ_INT(world_results(&w, server, "r", WISP_E_USER - 5), several - 1);
        CHECK_EQ_INT(world_count(&w, server, "r"), several);
        CHECK_EQ_INT(done_counts[0], 2);
        CHECK_EQ_INT(done_counts[1], several - 2);
        CHECK_EQ_INT(done_result, several == 2 ? WISP_OK : WISP_E_USER - 5);
        CHECK_EQ_INT(world_count(&w, server, WISP_ERROR), 0);
        CHECK_EQ_INT(world_count(&w, clients[0], WISP_ERROR), 0);
        world_close(&w);
    }
}

TEST(a_deferred_call_fails_with_code_and_text) {
    world_two t;
    two_answering(&t, on_defer);
    call(&t, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(wisp_answer_fail(t.server, deferred[0], WISP_OK, "x"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_answer_fail(t.server, deferred[0], 3, "x"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_answer_fail(NULL, deferred[0], WISP_E_HANDLER, "x"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_answer_fail(t.server, deferred[0], WISP_E_HANDLER, "%d", 12), WISP_OK);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_E_HANDLER);
    CHECK_EQ_STR(world_last(&t.w, t.client, "r")->text, "12");
    world_close(&t.w);
}

TEST(an_answer_for_a_peer_that_left_is_stale) {
    world_two t;
    two_answering(&t, on_defer);
    call(&t, 1);
    world_run(&t.w, 0.2);
    wisp_leave(t.client, t.to_server, "");
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_E_CLOSED);
    CHECK_EQ_INT(wisp_answer(t.server, deferred[0], NULL, 0), WISP_E_STALE);
    world_close(&t.w);
}

TEST(a_handle_of_another_kind_answers_and_cancels_nothing) {
    world_two t;
    wisp_call ours;
    two_answering(&t, on_defer);
    ours = call(&t, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(wisp_answer(t.client, ours, NULL, 0), WISP_E_STALE);
    wisp_cancel(t.server, deferred[0]);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 0);
    CHECK_EQ_INT(wisp_answer(t.server, deferred[0], NULL, 0), WISP_OK);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_OK);
    world_close(&t.w);
}

static void on_defer_first(wisp_event *event) {
    if (runs++ == 0) deferred[0] = wisp_defer(event);
}

TEST(a_call_that_waits_long_does_not_stop_those_behind_it) {
    world_two t;
    two_answering(&t, on_defer_first);
    CHECK(call_from(&t.w, t.client, t.to_server, 0, 1000, 0).id != 0);
    for (int i = 1; i <= 3000; i++) {
        CHECK(call(&t, i).id != 0);
        if (i % 100 == 0) world_run(&t.w, 0.05);
    }
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(runs, 3001);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_OK), 3000);
    CHECK_EQ_INT(wisp_answer(t.server, deferred[0], NULL, 0), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_OK), 3001);
    world_close(&t.w);
}

/* --- ends without an answer --- */

TEST(a_call_is_cancelled_once_and_its_answer_ignored) {
    world_two t;
    wisp_call c, none = { 0 };
    two_answering(&t, on_call_add_one);
    c = call(&t, 1);
    wisp_cancel(t.client, c);
    wisp_cancel(t.client, c);
    wisp_cancel(t.client, none);
    wisp_cancel(NULL, c);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 0);      /* its handler waits for an update */
    world_run(&t.w, 0.5);
    check_ended(&t, WISP_E_CANCELLED);
    CHECK_EQ_INT(runs, 1);
    CHECK_EQ_STR(world_last(&t.w, t.client, "r")->text, wisp_result_text(WISP_E_CANCELLED));
    wisp_cancel(t.client, c);
    world_run(&t.w, 0.5);
    check_ended(&t, WISP_E_CANCELLED);
    world_close(&t.w);
}

TEST(a_call_times_out_when_its_desc_says) {
    world_two t;
    double begun;
    two_answering(&t, on_defer);
    begun = t.w.now;
    CHECK(call_from(&t.w, t.client, t.to_server, 1, 2, 0).id != 0);
    world_run(&t.w, 1.9);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 0);
    world_run(&t.w, 1);
    check_ended(&t, WISP_E_TIMEOUT);
    CHECK_NEAR(world_last(&t.w, t.client, "r")->time - begun, 2, 0.03);
    CHECK_EQ_INT(wisp_answer(t.server, deferred[0], NULL, 0), WISP_OK);    /* too late */
    world_run(&t.w, 1);
    check_ended(&t, WISP_E_TIMEOUT);
    world_close(&t.w);
}

TEST(a_call_without_its_own_timeout_has_its_remotes) {
    world_two t;
    wisp_config config;
    double begun;
    two_answering(&t, on_defer);
    memset(&config, 0, sizeof config);
    config.call_timeout = 0.5;
    wisp_use_config(t.client, &config, NULL);
    begun = t.w.now;
    call(&t, 1);
    world_run(&t.w, 1);
    CHECK_NEAR(world_last(&t.w, t.client, "r")->time - begun, 0.5, 0.03);
    wisp_use_config(t.client, NULL, NULL);
    begun = t.w.now;
    call(&t, 1);
    world_run(&t.w, 11);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_TIMEOUT), 2);
    CHECK_NEAR(world_last(&t.w, t.client, "r")->time - begun, 10, 0.03);
    world_close(&t.w);
}

TEST(a_leap_of_the_clock_is_no_timeout) {
    world_two t;
    two_answering(&t, on_defer);
    call(&t, 1);
    world_run(&t.w, 0.2);
    t.w.now += 3600;
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 0);
    CHECK_EQ_INT(wisp_answer(t.server, deferred[0], NULL, 0), WISP_OK);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_OK);
    world_close(&t.w);
}

TEST(a_peer_that_leaves_ends_its_calls) {
    for (int side = 0; side < 2; side++) {
        world_two t;
        two_answering(&t, on_defer);
        for (int i = 0; i < 4; i++) call(&t, i);
        world_run(&t.w, 0.2);
        if (side) wisp_leave(t.client, t.to_server, "");
        else wisp_leave(t.server, t.to_client, "");
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 4);
        CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_CLOSED), 4);
        CHECK_EQ_INT(world_last(&t.w, t.client, "r")->peer.id, t.to_server.id);
        CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
        world_close(&t.w);
    }
}

TEST(a_peer_that_falls_silent_ends_its_calls) {
    world_two t;
    begin();
    world_open(&t.w);
    t.w.desc.timeout = 2;
    world_two_join(&t);
    answer_with(t.server, "r", on_defer);
    call_from(&t.w, t.client, t.to_server, 1, 100, 0);
    world_run(&t.w, 0.2);
    t.w.ends[0] = NULL;
    world_run(&t.w, 4);
    check_ended(&t, WISP_E_CLOSED);
    t.w.ends[0] = t.server;
    world_close(&t.w);
}

TEST(a_join_that_fails_ends_its_calls) {
    world_two t;
    begin();
    world_open(&t.w);
    t.w.desc.refuse_joins = true;
    t.server = world_add(&t.w);
    t.client = world_add(&t.w);
    {
        wisp_addr addr = world_addr(&t.w, t.server);
        t.to_server = wisp_join(t.client, &addr, NULL, 0);
    }
    call(&t, 1);
    world_run(&t.w, 1);
    check_ended(&t, WISP_E_CLOSED);
    world_close(&t.w);
}

TEST(slots_of_calls_come_back_ten_thousand_times) {
    world_two t;
    wisp_addr addr;
    begin();
    world_open(&t.w);
    t.w.desc.limits.calls = 4;
    world_two_join(&t);
    addr = world_addr(&t.w, t.server);
    answer_with(t.server, "r", on_silent);
    wisp_leave(t.client, t.to_server, "");
    for (int i = 0; i < 10000; i++) {
        t.to_server = wisp_join(t.client, &addr, NULL, 0);
        for (int k = 0; k < 4; k++)
            if (!CHECK(call(&t, k).id != 0)) i = 10000;
        wisp_leave(t.client, t.to_server, "");
        wisp_update(t.client, t.w.now);
        if (i % 100 == 0) world_run(&t.w, 0.5);
    }
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_CLOSED), 40000);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    world_close(&t.w);
}

TEST(slots_on_both_sides_come_back_when_peers_leave_in_the_middle) {
    world_two t;
    begin();
    world_open(&t.w);
    t.w.desc.limits.calls = 4;
    t.w.desc.limits.calls_remembered = 4;
    world_two_join(&t);
    answer_with(t.server, "r", on_defer);
    for (int i = 0; i < 200; i++) {
        runs = 0;
        for (int k = 0; k < 4; k++) CHECK(call(&t, k).id != 0);
        world_run(&t.w, 0.05);
        CHECK_EQ_INT(runs, 4);
        CHECK(deferred[3].id != 0);
        wisp_leave(i % 2 ? t.client : t.server, i % 2 ? t.to_server : t.to_client, "");
        world_run(&t.w, 0.05);
        t.to_server = world_join(&t.w, t.client, t.server);
        t.to_client = world_peer(t.server, 0);
    }
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_CLOSED), 800);
    CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    world_close(&t.w);
}

TEST(the_limit_of_calls_is_a_code) {
    world_two t;
    begin();
    world_open(&t.w);
    t.w.desc.limits.calls = 3;
    world_two_join(&t);
    answer_with(t.server, "r", on_call_add_one);
    for (int i = 0; i < 3; i++) CHECK(call(&t, i).id != 0);
    CHECK_EQ_INT(call(&t, 3).id, 0);
    CHECK_EQ_INT(wisp_why(t.client), WISP_E_LIMIT);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(runs, 3);
    CHECK(call(&t, 4).id != 0);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_OK), 4);
    world_close(&t.w);
}

static void on_defer_all(wisp_event *event) {
    wisp_call c = wisp_defer(event);
    runs++;
    if (!c.id) inside[0] = wisp_why(event->w);
}

TEST(more_deferred_calls_than_the_limit_are_answered_at_once) {
    world_two t;
    begin();
    world_open(&t.w);
    t.client = NULL;
    t.w.desc.limits.calls = 2;
    t.server = world_add(&t.w);
    t.w.desc.limits.calls = 0;
    t.client = world_add(&t.w);
    t.to_server = world_join(&t.w, t.client, t.server);
    answer_with(t.server, "r", on_defer_all);
    for (int i = 0; i < 3; i++) call(&t, i);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(runs, 3);
    CHECK_EQ_INT(inside[0], WISP_E_LIMIT);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 1);
    world_close(&t.w);
}

TEST(as_many_calls_as_the_limit_allows_are_answered) {
    world_two t;
    int made = 0;
    two_answering(&t, on_call_add_one);
    for (int i = 0; i < 4096; i++) made += call(&t, i).id != 0;
    CHECK_EQ_INT(made, 4096);
    CHECK_EQ_INT(call(&t, 0).id, 0);
    CHECK_EQ_INT(wisp_why(t.client), WISP_E_LIMIT);
    world_run(&t.w, 2);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_OK), 4096);
    CHECK_EQ_INT(runs, 4096);
    world_close(&t.w);
}

/* --- sizes --- */

static void on_too_big(wisp_event *event) {
    char *large = (char *)calloc(1, 70000);
    wisp_value v = wisp_bytes(large, 70000), small = wisp_int(3);
    runs++;
    inside[0] = wisp_reply_values(event, &v, 1);
    if (wisp_arg_int(event, 0)) inside[1] = wisp_reply_values(event, &small, 1);
    free(large);
}

TEST(a_reply_that_is_too_big_is_told_to_both_sides) {
    world_two t;
    begin();
    world_open(&t.w);
    t.w.desc.limits.message_bytes = 50000;
    world_two_join(&t);
    answer_with(t.server, "r", on_too_big);
    call(&t, 0);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(inside[0], WISP_E_TOO_BIG);
    check_ended(&t, WISP_E_TOO_BIG);
    world_forget(&t.w);
    call(&t, 1);                              /* then a smaller one in its place */
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(inside[1], WISP_OK);
    check_ended(&t, WISP_OK);
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->number, 3);
    world_close(&t.w);
}

TEST(a_deferred_answer_that_is_too_big_can_be_given_again) {
    world_two t;
    char *large = (char *)calloc(1, 70000);
    wisp_value v = wisp_bytes(large, 70000), small = wisp_int(3);
    begin();
    world_open(&t.w);
    t.w.desc.limits.message_bytes = 50000;
    world_two_join(&t);
    answer_with(t.server, "r", on_defer);
    call(&t, 0);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(wisp_answer(t.server, deferred[0], &v, 1), WISP_E_TOO_BIG);
    CHECK_EQ_INT(wisp_answer(t.server, deferred[0], &small, 1), WISP_OK);
    world_run(&t.w, 0.5);
    check_ended(&t, WISP_OK);
    free(large);
    world_close(&t.w);
}

static void on_echo(wisp_event *event) {
    runs++;
    CHECK_EQ_INT(wisp_reply_values(event, event->args, event->count), WISP_OK);
}

static int echoed;

static void on_echoed(wisp_event *event) {
    int size = 0;
    const unsigned char *bytes = (const unsigned char *)wisp_arg_bytes(event, 0, &size);
    CHECK_EQ_INT(event->result, WISP_OK);
    echoed = size;
    for (int i = 0; bytes && i < size; i++)
        if (bytes[i] != (unsigned char)(i * 7)) echoed = -1;
}

TEST(a_large_call_has_a_large_answer_whatever_the_delivery) {
    for (int unreliable = 0; unreliable < 2; unreliable++) {
        world_two t;
        int size = unreliable ? 900 : 300000;
        unsigned char *large = (unsigned char *)malloc((size_t)size);
        wisp_value v;
        wisp_call_desc desc;
        two_answering(&t, on_echo);
        memset(&desc, 0, sizeof desc);
        desc.on_reply = on_echoed;
        for (int i = 0; i < size; i++) large[i] = (unsigned char)(i * 7);
        v = wisp_bytes(large, size);
        wisp_set_unreliable(t.client, "r", unreliable != 0);
        wisp_set_unreliable(t.server, "r", unreliable != 0);
        echoed = 0;
        CHECK(wisp_invoke_values(t.client, "r", wisp_to_peer(t.to_server), &desc, &v, 1).id != 0);
        world_run(&t.w, 3);
        CHECK_EQ_INT(runs, 1);
        CHECK_EQ_INT(echoed, size);
        free(large);
        world_close(&t.w);
    }
}

static void on_large_answer(wisp_event *event) {
    unsigned char large[5000];
    wisp_value v;
    for (int i = 0; i < (int)sizeof large; i++) large[i] = (unsigned char)(i * 7);
    v = wisp_bytes(large, (int)sizeof large);
    inside[0] = wisp_reply_values(event, &v, 1);
}

TEST(an_unreliable_call_may_have_an_answer_larger_than_a_packet) {
    world_two t;
    two_answering(&t, on_large_answer);
    wisp_set_unreliable(t.client, "r", true);
    wisp_set_unreliable(t.server, "r", true);
    echoed = 0;
    wisp_invoke(t.client, "r", t.to_server, on_echoed, NULL);
    world_run(&t.w, 1);
    CHECK_EQ_INT(inside[0], WISP_OK);
    CHECK_EQ_INT(echoed, 5000);
    world_close(&t.w);
}

/* --- tries --- */

/* An unreliable call whose message the test keeps, to send it once more when it likes. */
static wisp__message *kept_message(world_two *t, int64_t number) {
    wisp_call c = call_from(&t->w, t->client, t->to_server, number, 5, 2);
    wisp__pending *pending = (wisp__pending *)wisp__pool_get(&t->client->calls.pool, c.id);
    wisp__message *m = pending ? pending->message : NULL;
    if (m) m->references++;
    return m;
}

static void give_again(world_two *t, wisp__message *m) {
    wisp__session *s = wisp__session_of(t->client, t->to_server);
    CHECK_EQ_INT(wisp__give(t->client, s, m), WISP_OK);
    world_run(&t->w, 0.1);
}

TEST(a_repeat_is_answered_from_memory_until_it_is_settled_and_then_expired) {
    world_two t;
    wisp__message *m;
    two_answering(&t, on_call_add_one);
    wisp_set_unreliable(t.client, "r", true);
    wisp_set_unreliable(t.server, "r", true);
    m = kept_message(&t, 1);
    if (!CHECK(m != NULL)) return;
    world_run(&t.w, 0.1);
    check_ended(&t, WISP_OK);
    give_again(&t, m);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").invokes_repeated, 1);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").replies_sent, 1);
    call(&t, 2);                               /* tells that the first is settled */
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(runs, 2);
    give_again(&t, m);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").invokes_repeated, 1);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").replies_sent, 3);     /* "expired" */
    CHECK_EQ_INT(runs, 2);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 2);
    wisp__message_release(&t.client->chunks, m);
    world_close(&t.w);
}

TEST(an_expired_call_that_still_waits_is_told_so) {
    world_two t;
    wisp__session *s;
    two_answering(&t, on_call_add_one);
    wisp_set_unreliable(t.client, "r", true);
    s = wisp__session_of(t.server, t.to_client);
    CHECK(wisp__requests_settle(t.server, s, s->request_floor + 10, NULL));
    call(&t, 1);
    world_run(&t.w, 0.2);
    check_ended(&t, WISP_E_EXPIRED);
    CHECK_EQ_INT(runs, 0);
    world_close(&t.w);
}

TEST(ids_outlive_their_sixteen_bits) {
    world_two t;
    int bad = 0;
    two_answering(&t, on_call_add_one);
    t.w.unchecked = true;
    for (int i = 0; i < 70000; i++) {
        bad += call(&t, i).id == 0;
        if (i % 500 < 499) continue;
        world_run(&t.w, 0.03);
        CHECK_EQ_INT(world_last(&t.w, t.client, "r")->number, i + 1);
        bad += world_results(&t.w, t.client, "r", WISP_OK) != 500;
        world_forget(&t.w);
    }
    CHECK_EQ_INT(bad, 0);
    CHECK_EQ_INT(runs, 70000);
    world_close(&t.w);
}

/* --- what handlers do --- */

static void on_chain(wisp_event *event) {
    world_two *t = (world_two *)event->user;
    wisp_call_desc desc;
    wisp_value v = wisp_int(wisp_arg_int(event, 0));
    CHECK_EQ_INT(event->result, WISP_OK);
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_chain;
    desc.user = t;
    inside[0] = (int)v.as.integer;
    if (v.as.integer < 50)
        CHECK(wisp_invoke_values(event->w, "r", wisp_to_peer(event->peer), &desc, &v, 1).id != 0);
}

TEST(a_reply_handler_makes_the_next_call_with_the_only_slot) {
    world_two t;
    begin();
    world_open(&t.w);
    t.w.desc.limits.calls = 1;
    world_two_join(&t);
    answer_with(t.server, "r", on_call_add_one);
    wisp_invoke(t.client, "r", t.to_server, on_chain, &t, wisp_int(0));
    world_run(&t.w, 3);
    CHECK_EQ_INT(inside[0], 50);
    CHECK_EQ_INT(runs, 50);
    world_close(&t.w);
}

static void on_calls_back_reply(wisp_event *event) {
    wisp_value v = wisp_int(wisp_arg_int(event, 0) * 10);
    inside[0] = wisp_answer(event->w, deferred[0], &v, 1);
}

static void on_calls_back(wisp_event *event) {
    deferred[0] = wisp_defer(event);
    wisp_invoke(event->w, "ask back", event->peer, on_calls_back_reply, NULL,
                wisp_int(wisp_arg_int(event, 0)));
}

TEST(a_handler_calls_its_caller_back_before_it_answers) {
    world_two t;
    two_answering(&t, on_calls_back);
    answer_with(t.client, "ask back", on_call_add_one);
    call(&t, 4);
    world_run(&t.w, 0.5);
    check_ended(&t, WISP_OK);
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->number, 50);
    world_close(&t.w);
}

static void on_call_leaving(wisp_event *event) {
    runs++;
    wisp_leave(event->w, event->peer, "");
    inside[0] = wisp_reply_values(event, NULL, 0);
    inside[1] = wisp_fail(event, WISP_E_HANDLER, "x");
    inside[2] = (int)wisp_defer(event).id;
}

TEST(a_handler_that_ends_the_session_of_its_caller) {
    world_two t;
    two_answering(&t, on_call_leaving);
    for (int i = 0; i < 3; i++) call(&t, i);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(runs, 1);
    CHECK_EQ_INT(inside[0], WISP_E_CLOSED);
    CHECK_EQ_INT(inside[1], WISP_E_CLOSED);
    CHECK_EQ_INT(inside[2], 0);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_CLOSED), 3);
    world_close(&t.w);
}

static void on_destroying(wisp_event *event) {
    runs++;
    wisp_destroy(event->w);
}

TEST(a_handler_that_destroys_its_endpoint) {
    world_two t;
    two_answering(&t, on_destroying);
    call(&t, 1);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(runs, 1);
    CHECK(t.w.ends[0] == NULL);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 1);
    world_close(&t.w);
}

static void on_reply_leaves(wisp_event *event) {
    runs++;
    wisp_leave(event->w, event->peer, "");
}

TEST(a_reply_handler_that_leaves_ends_the_other_calls) {
    world_two t;
    two_answering(&t, on_call_add_one);
    runs = 0;
    wisp_invoke(t.client, "r", t.to_server, on_reply_leaves, NULL, wisp_int(1));
    call(&t, 2);
    call(&t, 3);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_CLOSED), 2);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 2);
    world_close(&t.w);
}

static wisp_call to_be_cancelled;

static void on_reply_cancels(wisp_event *event) { wisp_cancel(event->w, to_be_cancelled); }

TEST(a_reply_handler_cancels_a_call_whose_answer_is_in_the_same_packet) {
    world_two t;
    two_answering(&t, on_call_add_one);
    wisp_invoke(t.client, "r", t.to_server, on_reply_cancels, NULL, wisp_int(1));
    to_be_cancelled = call(&t, 2);
    world_run(&t.w, 0.5);
    check_ended(&t, WISP_E_CANCELLED);
    world_close(&t.w);
}

static void on_closed(wisp_event *event) {
    world_on(event);
    inside[0] = wisp_fire_values(event->w, "r", wisp_to_peer(event->peer), NULL, 0);
    inside[1] = (int)wisp_invoke_values(event->w, "r", wisp_to_peer(event->peer), NULL, NULL, 0).id;
    inside[2] = wisp_update(event->w, 1);
    wisp_destroy(event->w);
}

TEST(destroy_ends_calls_through_their_handlers) {
    world_two t;
    two_answering(&t, on_defer);
    for (int i = 0; i < 3; i++)
        wisp_invoke(t.client, "r", t.to_server, on_closed, &t.w, wisp_int(i));
    world_run(&t.w, 0.2);
    world_destroy(&t.w, t.client);
    CHECK_EQ_INT(world_results(&t.w, t.client, "r", WISP_E_CLOSED), 3);
    CHECK_EQ_INT(inside[0], WISP_E_STALE);
    CHECK_EQ_INT(inside[1], 0);
    CHECK_EQ_INT(inside[2], WISP_E_BUSY);
    world_close(&t.w);
}

static void on_closed_joins(wisp_event *event) {
    wisp_addr addr = wisp_loopback_addr(0);
    wisp_peer peer = wisp_join(event->w, &addr, "ticket", 6);
    runs++;
    wisp_fire_values(event->w, "r", wisp_to_peer(peer), NULL, 0);
    wisp_invoke_values(event->w, "r", wisp_to_peer(peer), NULL, NULL, 0);
    wisp_connect_target(event->w, wisp_by_name("new"), on_silent, NULL, false);
}

TEST(a_handler_that_joins_anew_while_its_endpoint_is_destroyed_leaks_nothing) {
    world_two t;
    two_answering(&t, on_defer);
    runs = 0;
    wisp_invoke(t.client, "r", t.to_server, on_closed_joins, NULL, wisp_int(1));
    world_run(&t.w, 0.2);
    runs = 0;
    world_destroy(&t.w, t.client);
    CHECK_EQ_INT(runs, 1);
    world_close(&t.w);
}

/* --- waiting --- */

/* A clock that lets the rest of the world go on while one endpoint waits. */
typedef struct ticking {
    world *w;
    wisp  *waiting;
    double step;              /* 0: it stands still */
    int    asked;
} ticking;

static double tick(void *user) {
    ticking *c = (ticking *)user;
    c->asked++;
    if (c->step > 0) {
        c->w->now += c->step;
        for (int i = 0; i < c->w->count; i++)
            if (c->w->ends[i] != c->waiting) world_update(c->w, i);
    }
    return c->w->now;
}

static ticking make_ticking(world *w, wisp *waiting) {
    ticking c;
    c.w = w;
    c.waiting = waiting;
    c.step = 0.01;
    c.asked = 0;
    return c;
}

/* A client that waits for a server; nothing is joined yet. */
static wisp_addr two_waiting(world_two *t, ticking *c) {
    begin();
    world_open(&t->w);
    t->server = world_add(&t->w);
    t->client = world_add(&t->w);
    *c = make_ticking(&t->w, t->client);
    return world_addr(&t->w, t->server);
}

TEST(await_ready_waits_for_the_join) {
    world_two t;
    ticking c;
    wisp_addr addr = two_waiting(&t, &c);
    t.to_server = wisp_join(t.client, &addr, NULL, 0);
    CHECK_EQ_INT(wisp_await_ready(t.client, tick, &c, 5), WISP_OK);
    CHECK_EQ_INT(wisp_peers(t.client, NULL, 0), 1);
    CHECK(t.w.now < 1);
    CHECK_EQ_INT(wisp_await_ready(t.client, tick, &c, 5), WISP_OK);
    world_close(&t.w);
}

static wisp_result deny(wisp *w, const wisp_addr *from, const void *ticket, int size, void *user) {
    (void)w;
    (void)from;
    (void)ticket;
    (void)size;
    (void)user;
    return WISP_E_USER - 3;
}

TEST(await_ready_returns_why_the_join_failed) {
    world_two t;
    ticking c;
    wisp_addr addr;
    world_open(&t.w);
    t.w.desc.accept = deny;
    t.server = world_add(&t.w);
    t.client = world_add(&t.w);
    c = make_ticking(&t.w, t.client);
    addr = world_addr(&t.w, t.server);
    wisp_join(t.client, &addr, NULL, 0);
    CHECK_EQ_INT(wisp_await_ready(t.client, tick, &c, 5), WISP_E_USER - 3);
    world_close(&t.w);
}

TEST(await_ready_of_a_listener_is_about_its_own_join) {
    world_two t;
    wisp *third;
    ticking c;
    wisp_addr addr;
    world_two_open(&t);                        /* the server has a client */
    t.w.desc.refuse_joins = true;
    third = world_add(&t.w);
    addr = world_addr(&t.w, third);
    c = make_ticking(&t.w, t.server);
    CHECK(wisp_join(t.server, &addr, NULL, 0).id != 0);
    CHECK_EQ_INT(wisp_await_ready(t.server, tick, &c, 5), WISP_E_REFUSED);
    world_close(&t.w);
}

TEST(await_ready_ends_in_time_or_when_there_is_nothing_to_wait_for) {
    world_two t;
    ticking c;
    wisp_addr nobody = wisp_loopback_addr(30);
    two_waiting(&t, &c);
    CHECK(wisp_await_ready(t.client, tick, &c, 5) < 0);
    CHECK(t.w.now < 0.1);
    CHECK(wisp_join(t.client, &nobody, NULL, 0).id != 0);
    CHECK_EQ_INT(wisp_await_ready(t.client, tick, &c, 1), WISP_E_TIMEOUT);
    CHECK_NEAR(t.w.now, 1, 0.2);
    CHECK_EQ_INT(wisp_await_ready(t.client, tick, &c, 100), WISP_E_TIMEOUT);
    CHECK_NEAR(t.w.now, 30.5, 1);              /* the end of the join itself */
    world_close(&t.w);
}

TEST(a_clock_that_stands_still_ends_the_waiting) {
    world_two t;
    ticking c;
    two_waiting(&t, &c);
    c.step = 0;
    CHECK_EQ_INT(wisp_await_event(t.client, "r", NULL, NULL, tick, &c, 1), WISP_E_TIMEOUT);
    CHECK_NEAR(c.asked, 1000000, 10);
    world_close(&t.w);
}

TEST(await_event_hands_the_event_on) {
    world_two t;
    ticking c;
    world_two_open(&t);
    c = make_ticking(&t.w, t.client);
    world_fire(t.server, "other", t.to_client, 1);
    world_fire(t.server, "r", t.to_client, 5);
    world_fire(t.server, "r", t.to_client, 6);
    CHECK_EQ_INT(wisp_await_event(t.client, "r", world_on, &t.w, tick, &c, 5), WISP_OK);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 1);
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->number, 5);
    CHECK(t.w.now < 1);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 1);
    world_close(&t.w);
}

TEST(await_event_times_out_and_leaves_nothing_connected) {
    world_two t;
    ticking c;
    double begun;
    world_open(&t.w);
    t.w.desc.limits.connections = 1;
    world_two_join(&t);
    c = make_ticking(&t.w, t.client);
    for (int i = 0; i < 5; i++) {
        begun = t.w.now;
        CHECK_EQ_INT(wisp_await_event(t.client, "r", world_on, &t.w, tick, &c, 0.2),
                     WISP_E_TIMEOUT);
        CHECK_NEAR(t.w.now - begun, 0.2, 0.03);
    }
    world_fire(t.server, "r", t.to_client, 5);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 0);
    CHECK_EQ_INT(wisp_await_event(t.client, "", NULL, NULL, tick, &c, 1), WISP_E_NAME);
    CHECK_EQ_INT(wisp_await_event(t.client, "r", NULL, NULL, NULL, &c, 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_await_event(NULL, "r", NULL, NULL, tick, &c, 1), WISP_E_ARGUMENT);
    world_close(&t.w);
}

TEST(await_event_waits_for_life_cycle_events_too) {
    world_two t;
    ticking c;
    world_two_open(&t);
    c = make_ticking(&t.w, t.client);
    wisp_leave(t.server, t.to_client, "closing");
    CHECK_EQ_INT(wisp_await_event(t.client, WISP_LEFT, world_on, &t.w, tick, &c, 5), WISP_OK);
    CHECK_EQ_STR(world_last(&t.w, t.client, WISP_LEFT)->text, "closing");
    world_close(&t.w);
}

TEST(await_event_ends_when_a_handler_destroys_the_endpoint) {
    world_two t;
    ticking c;
    world_two_open(&t);
    c = make_ticking(&t.w, t.client);
    world_fire(t.server, "r", t.to_client, 1);
    runs = 0;
    CHECK_EQ_INT(wisp_await_event(t.client, "r", on_destroying, NULL, tick, &c, 5), WISP_E_CLOSED);
    CHECK_EQ_INT(runs, 1);
    t.w.ends[1] = NULL;
    world_close(&t.w);
}

static char order[8];

static void on_first(wisp_event *event) {
    (void)event;
    order[strlen(order)] = '1';
}

static void on_second(wisp_event *event) {
    order[strlen(order)] = '2';
    world_on(event);
}

TEST(await_reply_returns_the_answer_after_the_calls_own_handler) {
    world_two t;
    ticking c;
    wisp_call made;
    two_answering(&t, on_call_add_one);
    c = make_ticking(&t.w, t.client);
    memset(order, 0, sizeof order);
    made = wisp_invoke(t.client, "r", t.to_server, on_first, NULL, wisp_int(1));
    CHECK_EQ_INT(wisp_await_reply(t.client, made, on_second, &t.w, tick, &c), WISP_OK);
    CHECK_EQ_STR(order, "12");
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->number, 2);
    CHECK_EQ_INT(wisp_await_reply(t.client, made, on_second, &t.w, tick, &c), WISP_E_STALE);
    CHECK_EQ_INT(wisp_await_reply(NULL, made, NULL, NULL, tick, &c), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_await_reply(t.client, made, NULL, NULL, NULL, &c), WISP_E_ARGUMENT);
    world_close(&t.w);
}

TEST(await_reply_returns_the_failure) {
    world_two t;
    ticking c;
    wisp_call made;
    two_answering(&t, on_fail);
    c = make_ticking(&t.w, t.client);
    made = call(&t, 1);
    CHECK_EQ_INT(wisp_await_reply(t.client, made, NULL, NULL, tick, &c), WISP_E_USER - 5);
    answer_with(t.server, "r", on_defer);
    made = call_from(&t.w, t.client, t.to_server, 1, 0.5, 0);
    CHECK_EQ_INT(wisp_await_reply(t.client, made, NULL, NULL, tick, &c), WISP_E_TIMEOUT);
    made = call(&t, 1);
    wisp_cancel(t.client, made);
    CHECK_EQ_INT(wisp_await_reply(t.client, made, NULL, NULL, tick, &c), WISP_E_CANCELLED);
    made = call(&t, 1);
    wisp_leave(t.client, t.to_server, "");
    CHECK_EQ_INT(wisp_await_reply(t.client, made, NULL, NULL, tick, &c), WISP_E_CLOSED);
    CHECK_EQ_INT(wisp_update(t.client, t.w.now), WISP_OK);
    world_close(&t.w);
}

static void on_reply_awaits(wisp_event *event) {
    double (*clock)(void *) = tick;
    inside[0] = wisp_await_ready(event->w, clock, event->user, 1);
    inside[1] = wisp_await_event(event->w, "r", NULL, NULL, clock, event->user, 1);
    inside[2] = wisp_await_reply(event->w, to_be_cancelled, NULL, NULL, clock, event->user);
    inside[3] = wisp_update(event->w, 1);
}

TEST(waiting_inside_a_reply_handler_is_busy) {
    world_two t;
    ticking c;
    two_answering(&t, on_call_add_one);
    c = make_ticking(&t.w, t.client);
    wisp_invoke(t.client, "r", t.to_server, on_reply_awaits, &c, wisp_int(1));
    to_be_cancelled = call(&t, 1);
    world_run(&t.w, 0.2);
    for (int i = 0; i < 4; i++) CHECK_EQ_INT(inside[i], WISP_E_BUSY);
    CHECK_EQ_INT(c.asked, 0);
    CHECK_EQ_INT(world_count(&t.w, t.client, "r"), 1);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(a_client_calls_a_server),
    CASE(a_server_calls_a_client),
    CASE(both_call_each_other_at_once_on_one_name),
    CASE(a_reply_carries_values_of_any_kind),
    CASE(invoke_and_reply_take_none_to_sixteen_values),
    CASE(a_handler_that_does_not_reply_has_replied_no_values),
    CASE(a_second_reply_is_refused),
    CASE(an_event_is_not_a_call_to_be_answered),
    CASE(a_failure_reaches_the_caller_with_code_and_text),
    CASE(one_name_has_event_handlers_and_one_invoke_handler),
    CASE(without_a_handler_the_caller_is_told),
    CASE(a_remote_unknown_over_there_ends_its_calls_once),
    CASE(invoke_refuses_what_makes_no_sense_and_leaks_no_slot),
    CASE(a_call_before_the_join_is_done_waits_for_it),
    CASE(calls_and_events_of_one_channel_keep_their_order),
    CASE(a_deferred_call_is_answered_later_and_once),
    CASE(deferred_calls_are_answered_in_any_order),
    CASE(a_refusal_reaches_the_caller_and_is_no_error),
    CASE(a_refusal_that_makes_no_sense_is_explained),
    CASE(a_deferred_call_is_refused),
    CASE(a_refusal_in_a_call_to_several_is_an_answer),
    CASE(a_deferred_call_fails_with_code_and_text),
    CASE(an_answer_for_a_peer_that_left_is_stale),
    CASE(a_handle_of_another_kind_answers_and_cancels_nothing),
    CASE(a_call_that_waits_long_does_not_stop_those_behind_it),
    CASE(a_call_is_cancelled_once_and_its_answer_ignored),
    CASE(a_call_times_out_when_its_desc_says),
    CASE(a_call_without_its_own_timeout_has_its_remotes),
    CASE(a_leap_of_the_clock_is_no_timeout),
    CASE(a_peer_that_leaves_ends_its_calls),
    CASE(a_peer_that_falls_silent_ends_its_calls),
    CASE(a_join_that_fails_ends_its_calls),
    CASE(slots_of_calls_come_back_ten_thousand_times),
    CASE(slots_on_both_sides_come_back_when_peers_leave_in_the_middle),
    CASE(the_limit_of_calls_is_a_code),
    CASE(more_deferred_calls_than_the_limit_are_answered_at_once),
    CASE(as_many_calls_as_the_limit_allows_are_answered),
    CASE(a_reply_that_is_too_big_is_told_to_both_sides),
    CASE(a_deferred_answer_that_is_too_big_can_be_given_again),
    CASE(a_large_call_has_a_large_answer_whatever_the_delivery),
    CASE(an_unreliable_call_may_have_an_answer_larger_than_a_packet),
    CASE(a_repeat_is_answered_from_memory_until_it_is_settled_and_then_expired),
    CASE(an_expired_call_that_still_waits_is_told_so),
    CASE(ids_outlive_their_sixteen_bits),
    CASE(a_reply_handler_makes_the_next_call_with_the_only_slot),
    CASE(a_handler_calls_its_caller_back_before_it_answers),
    CASE(a_handler_that_ends_the_session_of_its_caller),
    CASE(a_handler_that_destroys_its_endpoint),
    CASE(a_reply_handler_that_leaves_ends_the_other_calls),
    CASE(a_reply_handler_cancels_a_call_whose_answer_is_in_the_same_packet),
    CASE(destroy_ends_calls_through_their_handlers),
    CASE(a_handler_that_joins_anew_while_its_endpoint_is_destroyed_leaks_nothing),
    CASE(await_ready_waits_for_the_join),
    CASE(await_ready_returns_why_the_join_failed),
    CASE(await_ready_of_a_listener_is_about_its_own_join),
    CASE(await_ready_ends_in_time_or_when_there_is_nothing_to_wait_for),
    CASE(a_clock_that_stands_still_ends_the_waiting),
    CASE(await_event_hands_the_event_on),
    CASE(await_event_times_out_and_leaves_nothing_connected),
    CASE(await_event_waits_for_life_cycle_events_too),
    CASE(await_event_ends_when_a_handler_destroys_the_endpoint),
    CASE(await_reply_returns_the_answer_after_the_calls_own_handler),
    CASE(await_reply_returns_the_failure),
    CASE(waiting_inside_a_reply_handler_is_busy),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
