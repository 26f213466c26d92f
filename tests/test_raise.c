/* wisp_raise: handlers and hooks that are left from any depth, and what goes on behind them. */
#define WISP_WITH_SETJMP
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"

enum { BROKEN = WISP_E_USER - 9 };

static int entered, passed;         /* handlers, and what must never be reached in them */

static void dive(wisp_event *event, int depth) {
    volatile char here[64];         /* so that each level is a frame of its own */
    here[0] = (char)depth;
    if (depth > 0) dive(event, depth - 1);
    else wisp_raise(event, BROKEN, "at depth %d of %s", depth, event->name);
    passed += 1 + here[0] * 0;
}

static void on_dive(wisp_event *event) {
    entered++;
    dive(event, 100);
    passed++;
}

/* Two endpoints that give all their memory back; the server's errors are noted. */
typedef struct raise_pair {
    world_two t;
    ledger    memory;
} raise_pair;

static void pair_open(raise_pair *p) {
    entered = passed = 0;
    p->memory = ledger_none();
    world_open(&p->t.w);
    p->t.w.desc.memory = ledger_memory(&p->memory);
    world_two_join(&p->t);
    world_watch(&p->t.w, p->t.server, WISP_ERROR);
}

/* Nothing was left behind: no handler counts as running, nowhere is to be landed. */
static void pair_close(raise_pair *p) {
    for (int i = 0; i < 2; i++) {
        wisp *end = i ? p->t.client : p->t.server;
        CHECK_EQ_INT(end->events.running, 0);
        CHECK(end->events.landing == NULL);
        CHECK_EQ_INT(end->hooks.depth, 0);
        CHECK(!end->updating);
        CHECK_EQ_INT(world_total(end).calls_pending, 0);
    }
    CHECK_EQ_INT(passed, 0);
    world_close(&p->t.w);
    CHECK_EQ_INT(p->memory.out, 0);
}

static int server_errors(raise_pair *p, wisp_result code) {
    return world_results(&p->t.w, p->t.server, WISP_ERROR, code);
}

/* --- handlers of events --- */

TEST(a_handler_is_left_from_any_depth_and_the_rest_of_the_packet_is_told) {
    raise_pair p;
    pair_open(&p);
    wisp_connect_target(p.t.server, wisp_by_name("bad"), on_dive, NULL, false);
    world_watch(&p.t.w, p.t.server, "good");
    for (int i = 0; i < 10; i++) {
        world_fire(p.t.client, "bad", p.t.to_server, i);
        world_fire(p.t.client, "good", p.t.to_server, i);
    }
    world_run(&p.t.w, 0.2);
    CHECK_EQ_INT(entered, 10);
    CHECK_EQ_INT(world_count(&p.t.w, p.t.server, "good"), 10);
    CHECK(world_counts_up(&p.t.w, p.t.server, "good", 0));
    CHECK_EQ_INT(server_errors(&p, BROKEN), 8);      /* two of the ten are left out */
    CHECK_EQ_STR(world_last(&p.t.w, p.t.server, WISP_ERROR)->text, "bad: at depth 0 of bad");
    CHECK(wisp_peer_equal(world_last(&p.t.w, p.t.server, WISP_ERROR)->peer, p.t.to_client));
    CHECK_EQ_INT(world_remote_stats(p.t.server, "bad").failures, 10);
    CHECK_EQ_INT(world_total(p.t.server).errors, 10);
    pair_close(&p);
}

static void on_result(wisp_event *event) { *(wisp_result *)event->user = event->result; }

TEST(the_handlers_behind_it_run_and_see_no_result_of_it) {
    raise_pair p;
    wisp_result seen = 1;
    pair_open(&p);
    wisp_connect_target(p.t.server, wisp_by_name("r"), on_dive, NULL, false);
    wisp_connect_target(p.t.server, wisp_by_name("r"), on_result, &seen, false);
    world_fire(p.t.client, "r", p.t.to_server, 1);
    world_run(&p.t.w, 0.2);
    CHECK_EQ_INT(entered, 1);
    CHECK_EQ_INT(seen, WISP_OK);
    pair_close(&p);
}

TEST(a_once_handler_that_is_left_has_run_once) {
    raise_pair p;
    pair_open(&p);
    wisp_connect_target(p.t.server, wisp_by_name("r"), on_dive, NULL, true);
    for (int i = 0; i < 2; i++) world_fire(p.t.client, "r", p.t.to_server, i);
    world_run(&p.t.w, 0.2);
    CHECK_EQ_INT(entered, 1);
    CHECK_EQ_INT(server_errors(&p, BROKEN), 1);
    CHECK_EQ_INT(server_errors(&p, WISP_E_NO_HANDLER), 1);
    CHECK_EQ_INT(p.t.server->events.pool.live, 1);               /* the one for errors */
    pair_close(&p);
}

static void on_disconnects_and_dives(wisp_event *event) {
    wisp_disconnect(event->w, *(wisp_connection *)event->user);
    on_dive(event);
}

TEST(a_handler_that_cut_itself_off_is_unlinked_all_the_same) {
    raise_pair p;
    wisp_connection own;
    pair_open(&p);
    own = wisp_connect_target(p.t.server, wisp_by_name("r"), on_disconnects_and_dives, &own, false);
    world_fire(p.t.client, "r", p.t.to_server, 1);
    world_run(&p.t.w, 0.2);
    CHECK_EQ_INT(entered, 1);
    CHECK_EQ_INT(p.t.server->events.pool.live, 1);
    pair_close(&p);
}

static void on_leaves_and_dives(wisp_event *event) {
    wisp_leave(event->w, event->peer, "enough");
    on_dive(event);
}

TEST(a_handler_ends_its_session_and_is_left) {
    raise_pair p;
    pair_open(&p);
    wisp_connect_target(p.t.server, wisp_by_name("r"), on_leaves_and_dives, NULL, false);
    for (int i = 0; i < 3; i++) world_fire(p.t.client, "r", p.t.to_server, i);
    world_run(&p.t.w, 0.2);
    CHECK_EQ_INT(entered, 1);
    CHECK_EQ_INT(wisp_peers(p.t.server, NULL, 0), 0);
    pair_close(&p);
}

TEST(handlers_of_life_cycle_and_errors_are_left_too) {
    raise_pair p;
    entered = passed = 0;
    p.memory = ledger_none();
    world_open(&p.t.w);
    p.t.w.desc.limits.notices = 64;
    p.t.w.desc.memory = ledger_memory(&p.memory);
    p.t.server = world_add(&p.t.w);
    p.t.client = world_add(&p.t.w);
    wisp_connect_target(p.t.server, wisp_by_name(WISP_JOINED), on_dive, NULL, false);
    p.t.to_server = world_join(&p.t.w, p.t.client, p.t.server);
    world_run(&p.t.w, 0.1);
    CHECK_EQ_INT(entered, 1);
    wisp_connect_target(p.t.server, wisp_by_name(WISP_ERROR), on_dive, NULL, false);
    world_fire(p.t.client, "unknown", p.t.to_server, 1);
    world_run(&p.t.w, 0.1);
    CHECK(entered > 1 && entered < 10000);
    pair_close(&p);
}

static void on_destroys_and_dives(wisp_event *event) {
    wisp_destroy(event->w);
    on_dive(event);
}

TEST(a_handler_destroys_its_endpoint_and_is_left) {
    raise_pair p;
    pair_open(&p);
    wisp_connect_target(p.t.server, wisp_by_name("r"), on_destroys_and_dives, NULL, false);
    world_fire(p.t.client, "r", p.t.to_server, 1);
    world_run(&p.t.w, 0.2);
    CHECK_EQ_INT(entered, 1);
    CHECK(p.t.w.ends[0] == NULL);
    world_close(&p.t.w);
    CHECK_EQ_INT(p.memory.out, 0);
    CHECK_EQ_INT(passed, 0);
}

/* --- handlers of calls --- */

static void pair_invoke(raise_pair *p, const char *name) {
    wisp_call_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.on_reply = world_on;
    desc.user = &p->t.w;
    CHECK(wisp_invoke_values(p->t.client, name, wisp_to_peer(p->t.to_server), &desc, NULL, 0).id);
    world_run(&p->t.w, 0.2);
}

TEST(the_caller_gets_code_and_text) {
    raise_pair p;
    pair_open(&p);
    wisp_on_invoke_target(p.t.server, wisp_by_name("q"), on_dive, NULL);
    for (int i = 0; i < 3; i++) pair_invoke(&p, "q");
    CHECK_EQ_INT(entered, 3);
    CHECK_EQ_INT(world_results(&p.t.w, p.t.client, "q", BROKEN), 3);
    CHECK_EQ_STR(world_last(&p.t.w, p.t.client, "q")->text, "at depth 0 of q");
    CHECK_EQ_INT(server_errors(&p, BROKEN), 3);
    pair_close(&p);
}

static void on_replies_and_dives(wisp_event *event) {
    wisp_value value = wisp_int(42);
    wisp_reply_values(event, &value, 1);
    on_dive(event);
}

TEST(what_was_replied_before_stays_replied) {
    raise_pair p;
    pair_open(&p);
    wisp_on_invoke_target(p.t.server, wisp_by_name("q"), on_replies_and_dives, NULL);
    pair_invoke(&p, "q");
    CHECK_EQ_INT(world_count(&p.t.w, p.t.client, "q"), 1);
    CHECK_EQ_INT(world_last(&p.t.w, p.t.client, "q")->number, 42);
    CHECK_EQ_INT(server_errors(&p, BROKEN), 1);
    pair_close(&p);
}

static wisp_result chosen;

static void on_chosen(wisp_event *event) {
    entered++;
    wisp_raise(event, chosen, "chosen");
    passed++;
}

TEST(a_code_that_is_none_is_the_handlers_failure) {
    static const wisp_result codes[] = { 0, 1, 77, -40000, INT32_MIN, INT32_MAX };
    raise_pair p;
    pair_open(&p);
    wisp_on_invoke_target(p.t.server, wisp_by_name("q"), on_chosen, NULL);
    for (int i = 0; i < 6; i++) {
        chosen = codes[i];
        pair_invoke(&p, "q");
        CHECK_EQ_INT(world_last(&p.t.w, p.t.client, "q")->result, WISP_E_HANDLER);
        CHECK_EQ_INT(server_errors(&p, WISP_E_HANDLER), i + 1);
    }
    chosen = INT16_MIN;
    pair_invoke(&p, "q");
    CHECK_EQ_INT(world_last(&p.t.w, p.t.client, "q")->result, INT16_MIN);
    CHECK_EQ_INT(entered, 7);
    pair_close(&p);
}

static void invoke_diving(raise_pair *p) {
    wisp_call_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.on_reply = desc.on_done = on_dive;
    wisp_invoke_values(p->t.client, "q", wisp_to_all(), &desc, NULL, 0);
}

TEST(handlers_of_replies_and_of_calls_to_several_are_left) {
    raise_pair p;
    pair_open(&p);
    world_watch(&p.t.w, p.t.client, WISP_ERROR);
    wisp_on_invoke_target(p.t.server, wisp_by_name("q"), world_on, &p.t.w);
    for (int i = 0; i < 3; i++) invoke_diving(&p);
    world_run(&p.t.w, 0.2);
    CHECK_EQ_INT(entered, 6);
    CHECK_EQ_INT(world_results(&p.t.w, p.t.client, WISP_ERROR, BROKEN), 6);
    for (int i = 0; i < 2; i++) invoke_diving(&p);
    wisp_leave(p.t.client, p.t.to_server, "off");           /* these end without an answer */
    world_run(&p.t.w, 0.2);
    CHECK_EQ_INT(entered, 10);
    pair_close(&p);
}

TEST(handlers_that_run_while_their_endpoint_is_destroyed_are_left) {
    raise_pair p;
    pair_open(&p);
    for (int i = 0; i < 3; i++) invoke_diving(&p);
    world_destroy(&p.t.w, p.t.client);
    CHECK_EQ_INT(entered, 6);
    CHECK_EQ_INT(passed, 0);
    world_close(&p.t.w);
    CHECK_EQ_INT(p.memory.out, 0);
}

static double pair_clock(void *user) {
    raise_pair *p = (raise_pair *)user;
    p->t.w.now += 0.01;
    world_update(&p->t.w, 0);
    return p->t.w.now;
}

TEST(who_waits_for_an_answer_gets_it_whatever_its_handler_does) {
    raise_pair p;
    wisp_call_desc desc;
    wisp_call call;
    pair_open(&p);
    wisp_on_invoke_target(p.t.server, wisp_by_name("q"), world_on, &p.t.w);
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_dive;
    call = wisp_invoke_values(p.t.client, "q", wisp_to_peer(p.t.to_server), &desc, NULL, 0);
    CHECK_EQ_INT(wisp_await_reply(p.t.client, call, on_dive, NULL, pair_clock, &p), WISP_OK);
    CHECK_EQ_INT(entered, 2);
    pair_close(&p);
}

/* --- hooks --- */

static wisp_result hook_dives(wisp_event *event) {
    if (event->message != *(int *)event->user) return WISP_PASS;
    on_dive(event);
    return WISP_PASS;
}

static void pair_use(raise_pair *p, int *message, bool inbound) {
    wisp_middleware m;
    memset(&m, 0, sizeof m);
    m.name = "hook";
    m.user = message;
    if (inbound) m.inbound = hook_dives;
    else m.outbound = hook_dives;
    CHECK_EQ_INT(wisp_use(p->t.server, &m), WISP_OK);
}

TEST(a_hook_that_is_left_has_rejected_what_comes_in) {
    int message = WISP_MESSAGE_EVENT;
    raise_pair p;
    pair_open(&p);
    pair_use(&p, &message, true);
    world_watch(&p.t.w, p.t.server, "r");
    wisp_on_invoke_target(p.t.server, wisp_by_name("q"), world_on, &p.t.w);
    for (int i = 0; i < 3; i++) world_fire(p.t.client, "r", p.t.to_server, i);
    world_run(&p.t.w, 0.2);
    CHECK_EQ_INT(entered, 3);
    CHECK_EQ_INT(world_count(&p.t.w, p.t.server, "r"), 0);
    CHECK_EQ_INT(world_remote_stats(p.t.server, "r").filtered, 3);
    message = WISP_MESSAGE_INVOKE;
    pair_invoke(&p, "q");
    CHECK_EQ_INT(world_count(&p.t.w, p.t.server, "q"), 0);
    CHECK_EQ_INT(world_results(&p.t.w, p.t.client, "q", BROKEN), 1);
    pair_close(&p);
}

static void on_replies(wisp_event *event) {
    wisp_value value = wisp_int(42);
    CHECK_EQ_INT(wisp_reply_values(event, &value, 1), WISP_OK);
}

TEST(a_hook_that_is_left_has_rejected_what_goes_out) {
    int message = WISP_MESSAGE_EVENT;
    raise_pair p;
    pair_open(&p);
    pair_use(&p, &message, false);
    world_watch(&p.t.w, p.t.client, "r");
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(world_fire(p.t.server, "r", p.t.to_client, i), BROKEN);
    message = WISP_MESSAGE_REPLY;
    wisp_on_invoke_target(p.t.server, wisp_by_name("q"), on_replies, NULL);
    pair_invoke(&p, "q");
    CHECK_EQ_INT(world_results(&p.t.w, p.t.client, "q", BROKEN), 1);
    CHECK_EQ_INT(world_count(&p.t.w, p.t.client, "r"), 0);
    CHECK_EQ_INT(entered, 4);
    pair_close(&p);
}

static void on_fires_and_goes_on(wisp_event *event) {
    CHECK_EQ_INT(wisp_fire_values(event->w, "r", wisp_to_peer(event->peer), NULL, 0), BROKEN);
    entered += 100;
    wisp_raise(event, BROKEN - 1, "then the handler itself");
    passed++;
}

TEST(a_hook_inside_a_handler_is_left_alone_and_then_the_handler) {
    int message = WISP_MESSAGE_EVENT;
    raise_pair p;
    pair_open(&p);
    pair_use(&p, &message, false);
    wisp_connect_target(p.t.server, wisp_by_name("e"), on_fires_and_goes_on, NULL, false);
    world_fire(p.t.client, "e", p.t.to_server, 1);
    world_run(&p.t.w, 0.2);
    CHECK_EQ_INT(entered, 101);
    CHECK_EQ_INT(server_errors(&p, BROKEN), 1);
    CHECK_EQ_INT(server_errors(&p, BROKEN - 1), 1);
    pair_close(&p);
}

/* --- endpoints inside each other, and outside of all --- */

static raise_pair *raise_nested;

static void on_updates_another(wisp_event *event) {
    int before = entered;
    raise_nested->t.w.now += 0.01;
    CHECK_EQ_INT(wisp_update(raise_nested->t.client, raise_nested->t.w.now), WISP_OK);
    CHECK_EQ_INT(entered, before + 1);
    wisp_raise(event, BROKEN - 2, "outside");
    passed++;
}

TEST(each_endpoint_lands_in_its_own_handler) {
    raise_pair p;
    pair_open(&p);
    raise_nested = &p;
    wisp_connect_target(p.t.server, wisp_by_name("outer"), on_updates_another, NULL, false);
    wisp_connect_target(p.t.client, wisp_by_name("inner"), on_dive, NULL, false);
    world_run(&p.t.w, 0.1);
    for (int round = 0; round < 3; round++) {
        world_fire(p.t.client, "outer", p.t.to_server, 1);
        world_fire(p.t.server, "inner", p.t.to_client, 1);
        wisp_update(p.t.client, p.t.w.now);                /* "outer" is on its way.. */
        wisp_flush_batches(p.t.server);                    /* ..and "inner", to be met inside */
        world_update(&p.t.w, 0);
    }
    CHECK_EQ_INT(entered, 3);
    CHECK_EQ_INT(server_errors(&p, BROKEN - 2), 3);
    CHECK_EQ_INT(world_total(p.t.client).errors, 3);
    pair_close(&p);
}

TEST(outside_of_handlers_it_returns_and_is_an_error_all_the_same) {
    raise_pair p;
    wisp_event event;
    pair_open(&p);
    memset(&event, 0, sizeof event);
    event.w = p.t.server;
    event.name = "nowhere";
    event.text = "";
    wisp_raise(&event, BROKEN, "%s", "no handler runs");
    wisp_raise(NULL, BROKEN, "no event");
    event.w = NULL;
    wisp_raise(&event, BROKEN, "no endpoint");
    world_run(&p.t.w, 0.1);
    CHECK_EQ_INT(server_errors(&p, BROKEN), 1);
    CHECK_EQ_STR(world_last(&p.t.w, p.t.server, WISP_ERROR)->text, "nowhere: no handler runs");
    pair_close(&p);
}

static const test_case tests[] = {
    CASE(a_handler_is_left_from_any_depth_and_the_rest_of_the_packet_is_told),
    CASE(the_handlers_behind_it_run_and_see_no_result_of_it),
    CASE(a_once_handler_that_is_left_has_run_once),
    CASE(a_handler_that_cut_itself_off_is_unlinked_all_the_same),
    CASE(a_handler_ends_its_session_and_is_left),
    CASE(handlers_of_life_cycle_and_errors_are_left_too),
    CASE(a_handler_destroys_its_endpoint_and_is_left),
    CASE(the_caller_gets_code_and_text),
    CASE(what_was_replied_before_stays_replied),
    CASE(a_code_that_is_none_is_the_handlers_failure),
    CASE(handlers_of_replies_and_of_calls_to_several_are_left),
    CASE(handlers_that_run_while_their_endpoint_is_destroyed_are_left),
    CASE(who_waits_for_an_answer_gets_it_whatever_its_handler_does),
    CASE(a_hook_that_is_left_has_rejected_what_comes_in),
    CASE(a_hook_that_is_left_has_rejected_what_goes_out),
    CASE(a_hook_inside_a_handler_is_left_alone_and_then_the_handler),
    CASE(each_endpoint_lands_in_its_own_handler),
    CASE(outside_of_handlers_it_returns_and_is_an_error_all_the_same),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
