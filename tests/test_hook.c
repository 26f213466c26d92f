/* test_hook.c - middleware: verdicts, the order of the chain, and what hooks may do */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"
#include "support/probe_middleware.h"

/* --- verdicts on events --- */

TEST(what_passes_arrives_and_the_hook_has_seen_it) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_of(WISP_PASS);
        two_open(&t);
        CHECK_EQ_INT(use(way == IN ? t.server : t.client, "look", NULL, way, &p), WISP_OK);
        fire(&t, "r", 5);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(heard(&t, "r"), 1);
        CHECK_EQ_INT(p.runs, 1);
        CHECK_EQ_INT(p.number, 5);
        CHECK_EQ_INT(p.message, WISP_MESSAGE_EVENT);
        CHECK_EQ_STR(p.name, "r");
        CHECK_EQ_INT(p.peer.id, way == IN ? t.to_client.id : t.to_server.id);
        CHECK_EQ_INT(world_remote_stats(t.client, "r").filtered, 0);
        CHECK_EQ_INT(world_remote_stats(t.server, "r").filtered, 0);
        world_close(&t.w);
    }
}

TEST(what_is_dropped_goes_no_further_and_is_counted) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_of(WISP_DROP);
        wisp *at;
        two_open(&t);
        at = way == IN ? t.server : t.client;
        use(at, "drop", NULL, way, &p);
        fire(&t, "r", 5);
        fire(&t, "r", 6);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(p.runs, 2);
        CHECK_EQ_INT(heard(&t, "r"), 0);
        CHECK_EQ_INT(world_remote_stats(at, "r").filtered, 2);
        CHECK_EQ_INT(world_peer_stats(at, way == IN ? t.to_client : t.to_server).filtered, 2);
        CHECK_EQ_INT(world_remote_stats(t.client, "r").messages_sent, way == IN ? 2 : 0);
        CHECK_EQ_INT(world_count(&t.w, NULL, WISP_ERROR), 0);
        world_close(&t.w);
    }
}

TEST(what_is_rejected_on_its_way_out_is_told_to_its_caller) {
    world_two t;
    probe p = probe_of(REFUSED);
    two_open(&t);
    use(t.client, "refuse", NULL, OUT, &p);
    CHECK_EQ_INT(world_fire(t.client, "r", t.to_server, 1), REFUSED);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(heard(&t, "r"), 0);
    CHECK_EQ_INT(world_remote_stats(t.client, "r").filtered, 1);
    CHECK_EQ_INT(world_count(&t.w, NULL, WISP_ERROR), 0);
    world_close(&t.w);
}

TEST(what_is_rejected_on_its_way_in_is_an_error_event) {
    world_two t;
    probe p = probe_of(REFUSED);
    const world_note *note;
    two_open(&t);
    use(t.server, "refuse", NULL, IN, &p);
    fire(&t, "r", 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(heard(&t, "r"), 0);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, REFUSED), 1);
    note = world_last(&t.w, t.server, WISP_ERROR);
    CHECK_EQ_INT(note->peer.id, t.to_client.id);
    CHECK_EQ_STR(wisp_remote_name(t.server, note->remote), "r");
    CHECK_EQ_INT(world_remote_stats(t.server, "r").filtered, 1);
    CHECK_EQ_INT(world_peer_stats(t.server, t.to_client).bad_messages, 0);
    world_close(&t.w);
}

/* A code must fit the wire, where the caller of an invoke is told it. */
TEST(a_verdict_that_makes_no_sense_is_an_argument_error) {
    static const wisp_result verdicts[] = { 1, 4, 100, INT16_MIN - 1, -65536, INT32_MIN };
    for (int i = 0; i < TEST_COUNT(verdicts); i++) {
        world_two t;
        probe p = probe_of(verdicts[i]), q = p;
        two_open(&t);
        use(t.client, "nonsense", "^r$", OUT, &p);
        use(t.server, "nonsense", NULL, IN, &q);
        CHECK_EQ_INT(world_fire(t.client, "r", t.to_server, 1), WISP_E_ARGUMENT);
        fire(&t, "s", 1);
        ask(&t, 1);
        world_run(&t.w, 0.1);
        check_answer(&t, WISP_E_HANDLER, 0);      /* that code says nothing of the caller */
        CHECK_EQ_INT(heard(&t, "r") + heard(&t, "s"), 0);
        CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_ARGUMENT), 2);
        world_close(&t.w);
    }
}

TEST(values_can_be_changed_both_ways) {
    world_two t;
    probe out = probe_that(act_add_ten, NULL), in = out, seen = probe_of(WISP_PASS);
    two_open(&t);
    use(t.client, "out", "^r$", OUT, &out);
    use(t.client, "seen", "^r$", OUT, &seen);
    use(t.server, "in", "^r$", IN, &in);
    fire(&t, "r", 5);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 25);
    CHECK_EQ_INT(seen.number, 15);
    world_close(&t.w);
}

static void act_texts(wisp_event *event, probe *p) {
    char text[] = "gone";
    wisp_value values[3];
    (void)p;
    values[0] = wisp_string_n(text, 4);
    values[1] = event->args[0];               /* of the message itself */
    values[2] = wisp_array(event->args, event->count);
    CHECK_EQ_INT(wisp_change(event, values, 3), WISP_OK);
    memset(text, '!', 4);
    CHECK_EQ_STR(wisp_arg_string(event, 0), "gone");
    CHECK_EQ_INT(wisp_arg_int(event, 1), 5);
    CHECK_EQ_INT(wisp_count_of(wisp_arg_array(event, 2)), 1);
}

TEST(changed_values_are_copied_and_may_be_made_of_the_old_ones) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_that(act_texts, NULL);
        two_open(&t);
        use(way == IN ? t.server : t.client, "texts", NULL, way, &p);
        fire(&t, "r", 5);
        world_run(&t.w, 0.1);
        CHECK_EQ_STR(world_last(&t.w, t.server, "r")->text, "gone");
        CHECK_EQ_INT(world_last(&t.w, t.server, "r")->count, 3);
        world_close(&t.w);
    }
}

static void act_change_badly(wisp_event *event, probe *p) {
    wisp_value deep[20], value = wisp_int(1);
    p->acted++;
    deep[0] = wisp_int(7);
    for (int i = 1; i < 20; i++) deep[i] = wisp_array(&deep[i - 1], 1);
    CHECK_EQ_INT(wisp_change(event, NULL, 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_change(event, &value, -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_change(event, &deep[19], 1), WISP_E_DEPTH);
    CHECK_EQ_INT(event->count, 1);
    CHECK_EQ_INT(wisp_arg_int(event, 0), 5);
}

static void on_change(wisp_event *event) {
    wisp_value value = wisp_int(1);
    answers++;
    CHECK_EQ_INT(wisp_change(event, &value, 1), WISP_E_ARGUMENT);
}

TEST(a_change_that_fails_changes_nothing_and_none_is_made_outside_hooks) {
    for (int way = IN; way <= OUT; way++) {
        world_two t;
        probe p = probe_that(act_change_badly, NULL);
        wisp_value value = wisp_int(1);
        wisp_event empty;
        two_open(&t);
        use(way == IN ? t.server : t.client, "bad", NULL, way, &p);
        wisp_connect(t.server, "r", on_change, NULL);
        fire(&t, "r", 5);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(p.acted, 1);
        CHECK_EQ_INT(answers, 1);
        CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 5);
        memset(&empty, 0, sizeof empty);
        CHECK_EQ_INT(wisp_change(NULL, &value, 1), WISP_E_ARGUMENT);
        CHECK_EQ_INT(wisp_change(&empty, &value, 1), WISP_E_ARGUMENT);
        world_close(&t.w);
    }
}

TEST(a_message_may_be_left_without_values) {
    world_two t;
    probe p = probe_that(act_no_values, NULL);
    two_open(&t);
    use(t.client, "empty", NULL, OUT, &p);
    fire(&t, "r", 5);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(heard(&t, "r"), 1);
    CHECK_EQ_INT(world_last(&t.w, t.server, "r")->count, 0);
    world_close(&t.w);
}

/* --- verdicts on calls --- */

/* Asks 5 with a hook on one side that sees only one kind of message. */
typedef struct kind_case { int kind, at, way; wisp_result verdict, told; int answered; } kind_case;

enum { SERVER, CLIENT };

static wisp_result on_one_kind(wisp_event *event) {
    const kind_case *c = (const kind_case *)event->user;
    return event->message == c->kind ? c->verdict : WISP_PASS;
}

static void check_kind(const kind_case *c) {
    world_two t;
    wisp_middleware m;
    wisp_call call;
    two_open(&t);
    memset(&m, 0, sizeof m);
    m.name = "kind";
    m.inbound = c->way == IN ? on_one_kind : NULL;
    m.outbound = c->way == OUT ? on_one_kind : NULL;
    m.user = (void *)(uintptr_t)c;
    CHECK_EQ_INT(wisp_use(c->at == SERVER ? t.server : t.client, &m), WISP_OK);
    call = ask(&t, 5);
    if (c->kind == WISP_MESSAGE_INVOKE && c->way == OUT && c->verdict != WISP_PASS) {
        CHECK_EQ_INT(call.id, 0);
        CHECK_EQ_INT(wisp_why(t.client), c->told);
        world_run(&t.w, 2);
        CHECK_EQ_INT(world_count(&t.w, t.client, "ask"), 0);
        CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
    } else {
        CHECK(call.id != 0);
        world_run(&t.w, 2);
        check_answer(&t, c->told, c->told ? 0 : 6);
    }
    CHECK_EQ_INT(answers, c->answered);
    world_close(&t.w);
}

TEST(calls_and_replies_are_dropped_rejected_and_passed_both_ways) {
    enum { I = WISP_MESSAGE_INVOKE, R = WISP_MESSAGE_REPLY };
    static const kind_case cases[] = {
        { I, CLIENT, OUT, WISP_PASS, WISP_OK,         1 },
        { I, CLIENT, OUT, WISP_DROP, WISP_E_DROPPED,  0 },
        { I, CLIENT, OUT, REFUSED,   REFUSED,         0 },
        { I, SERVER, IN,  WISP_PASS, WISP_OK,         1 },
        { I, SERVER, IN,  WISP_DROP, WISP_E_TIMEOUT,  0 },
        { I, SERVER, IN,  REFUSED,   REFUSED,         0 },
        { R, SERVER, OUT, WISP_PASS, WISP_OK,         1 },
        { R, SERVER, OUT, WISP_DROP, WISP_E_DROPPED,  1 },
        { R, SERVER, OUT, REFUSED,   REFUSED,         1 },
        { R, SERVER, OUT, WISP_HOLD, WISP_E_UNSUPPORTED, 1 },
        { R, CLIENT, IN,  WISP_PASS, WISP_OK,         1 },
        { R, CLIENT, IN,  WISP_DROP, WISP_E_TIMEOUT,  1 },
        { R, CLIENT, IN,  REFUSED,   REFUSED,         1 },
        { R, CLIENT, IN,  WISP_HOLD, WISP_E_UNSUPPORTED, 1 },
    };
    for (int i = 0; i < TEST_COUNT(cases); i++) check_kind(&cases[i]);
}

TEST(a_call_passes_four_times_and_each_hook_may_change_it) {
    world_two t;
    probe client = probe_that(act_add_ten, NULL), server = client;
    two_open(&t);
    client.letter = 'c';
    server.letter = 's';
    use(t.client, "c", NULL, IN | OUT, &client);
    use(t.server, "s", NULL, IN | OUT, &server);
    ask(&t, 5);
    world_run(&t.w, 0.2);
    check_answer(&t, WISP_OK, 46);
    CHECK_EQ_STR(trail, "cssc");
    CHECK_EQ_INT(client.message, WISP_MESSAGE_REPLY);
    CHECK_EQ_INT(server.message, WISP_MESSAGE_REPLY);
    CHECK_EQ_INT(client.peer.id, t.to_server.id);
    CHECK_EQ_INT(server.peer.id, t.to_client.id);
    world_close(&t.w);
}

static void on_no_answer(wisp_event *event) {
    (void)event;
    answers++;
}

TEST(the_reply_of_no_values_passes_the_chain_too) {
    world_two t;
    probe p = probe_that(act_add_ten, NULL), drop = probe_of(WISP_DROP);
    two_open(&t);
    wisp_on_invoke(t.server, "ask", on_no_answer, NULL);
    p.act = act_no_values;
    use(t.server, "look", NULL, OUT, &p);
    ask(&t, 5);
    world_run(&t.w, 0.2);
    check_answer(&t, WISP_OK, 0);
    CHECK_EQ_INT(p.runs, 1);
    CHECK_EQ_INT(p.count, 0);
    world_forget(&t.w);
    use(t.server, "drop", NULL, OUT, &drop);
    ask(&t, 5);
    world_run(&t.w, 0.2);
    check_answer(&t, WISP_E_DROPPED, 0);
    CHECK_EQ_INT(world_remote_stats(t.server, "ask").filtered, 1);
    world_close(&t.w);
}

TEST(an_answer_that_is_given_later_passes_the_chain_too) {
    world_two t;
    probe p = probe_that(act_add_ten, NULL);
    wisp_value value = wisp_int(7);
    two_open(&t);
    wisp_on_invoke(t.server, "ask", on_later, NULL);
    use(t.server, "ten", NULL, OUT, &p);
    ask(&t, 5);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(p.runs, 0);
    CHECK_EQ_INT(wisp_answer(t.server, later, &value, 1), WISP_OK);
    world_run(&t.w, 0.2);
    check_answer(&t, WISP_OK, 17);
    CHECK_EQ_INT(p.message, WISP_MESSAGE_REPLY);
    world_close(&t.w);
}

static void on_hook_fail(wisp_event *event) {
    wisp_fail(event, REFUSED, "because");
    wisp_fail(event, REFUSED - 1, "twice");
}

TEST(a_failure_is_seen_where_it_comes_in_with_its_code) {
    world_two t;
    probe in = probe_of(WISP_PASS), out = in;
    two_open(&t);
    wisp_on_invoke(t.server, "ask", on_hook_fail, NULL);
    use(t.server, "out", NULL, OUT, &out);
    use(t.client, "in", NULL, IN, &in);
    ask(&t, 5);
    world_run(&t.w, 0.2);
    check_answer(&t, REFUSED, 0);
    CHECK_EQ_STR(world_last(&t.w, t.client, "ask")->text, "because");
    CHECK_EQ_INT(in.runs, 1);
    CHECK_EQ_INT(in.result, REFUSED);
    CHECK_EQ_INT(out.runs, 0);
    world_close(&t.w);
}

/* --- the chain --- */

TEST(the_chain_runs_in_the_order_of_registration_out_and_in_reverse_in) {
    world_two t;
    probe p[4];
    two_open(&t);
    for (int i = 0; i < 4; i++) {
        char name[2] = { (char)('a' + i), 0 };
        p[i] = probe_of(WISP_PASS);
        p[i].letter = name[0];
        CHECK_EQ_INT(use(t.client, name, "^r$", IN | OUT, &p[i]), WISP_OK);
    }
    fire(&t, "r", 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(trail, "abcd");
    CHECK_EQ_INT(world_fire(t.server, "r", t.to_client, 1), WISP_OK);
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(trail, "abcddcba");
    trail[0] = 0;
    p[1].verdict = WISP_DROP;
    p[2].verdict = WISP_DROP;
    fire(&t, "r", 1);
    world_fire(t.server, "r", t.to_client, 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(trail, "abdc");
    world_close(&t.w);
}

TEST(a_middleware_of_one_way_sees_the_other_not) {
    world_two t;
    probe in = probe_of(WISP_PASS), out = in;
    two_open(&t);
    use(t.client, "in", NULL, IN, &in);
    use(t.client, "out", NULL, OUT, &out);
    fire(&t, "r", 1);
    world_run(&t.w, 0.1);
    CHECK(in.runs == 0 && out.runs == 1);
    world_fire(t.server, "r", t.to_client, 1);
    world_run(&t.w, 0.1);
    CHECK(in.runs == 1 && out.runs == 1);
    world_close(&t.w);
}

TEST(patterns_and_exceptions_choose_the_names_whenever_they_are_registered) {
    static const char *const names[] = { "hp_set", "hp_get", "mp_set", "login", "xhp_set" };
    static const int taken[2][5] = { { 1, 0, 0, 0, 0 }, { 1, 1, 1, 0, 1 } };
    for (int late = 0; late < 2; late++) {
        world_two t;
        probe p = probe_of(WISP_PASS), q = p;
        wisp_middleware m;
        two_open(&t);
        for (int i = 0; i < 5 && !late; i++) wisp_remote_named(t.client, names[i]);
        m = probe_on("hp", "^(hp|mp)_", OUT, &p);
        m.except = "get$|^mp";
        CHECK_EQ_INT(wisp_use(t.client, &m), WISP_OK);
        m = probe_on("all", NULL, OUT, &q);
        m.except = "^login$";
        CHECK_EQ_INT(wisp_use(t.client, &m), WISP_OK);
        for (int i = 0; i < 5; i++) {
            p.runs = q.runs = 0;
            fire(&t, names[i], 1);
            CHECK_EQ_INT(p.runs, taken[0][i]);
            CHECK_EQ_INT(q.runs, taken[1][i]);
        }
        world_close(&t.w);
    }
}

TEST(each_middleware_has_its_own_state) {
    world_two t;
    probe p[3];
    two_open(&t);
    for (int i = 0; i < 3; i++) {
        char name[2] = { (char)('a' + i), 0 };
        p[i] = probe_of(WISP_PASS);
        use(t.client, name, i == 1 ? "^s$" : NULL, OUT, &p[i]);
    }
    for (int i = 0; i < 5; i++) fire(&t, i % 2 ? "r" : "s", i);
    CHECK_EQ_INT(p[0].runs, 5);
    CHECK_EQ_INT(p[1].runs, 3);
    CHECK_EQ_INT(p[2].runs, 5);
    world_close(&t.w);
}

TEST(life_cycle_and_errors_pass_no_hook) {
    world_two t;
    probe p = probe_of(WISP_DROP);
    two_open(&t);
    use(t.server, "all", NULL, IN | OUT, &p);
    world_watch(&t.w, t.server, WISP_LEFT);
    wisp_leave(t.client, t.to_server, "bye");
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(heard(&t, WISP_LEFT), 1);
    CHECK_EQ_INT(p.runs, 0);
    world_close(&t.w);
}

TEST(what_breaks_the_rate_limit_or_has_no_handler_to_answer_meets_no_hook) {
    world_two t;
    probe p = probe_of(WISP_PASS);
    two_open(&t);
    use(t.server, "look", NULL, IN, &p);
    wisp_set_rate_limit(t.server, 10, "r");
    for (int i = 0; i < 5; i++) fire(&t, "r", i);
    wisp_on_invoke(t.server, "ask", NULL, NULL);
    ask(&t, 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(p.runs, 1);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").rate_limited, 4);
    check_answer(&t, WISP_E_NO_HANDLER, 0);
    world_close(&t.w);
}

/* --- wisp_use and wisp_unuse --- */

static wisp_result on_hook_refuse(wisp_event *event) {
    (void)event;
    return REFUSED;
}

/* A chain that must stay as it is: it refuses "r". */
static void use_refuse(wisp *w) {
    wisp_middleware m = probe_on("whole", "^r$", OUT, NULL);
    m.outbound = on_hook_refuse;
    CHECK_EQ_INT(wisp_use(w, &m), WISP_OK);
}

static void hook_check_refused(world_two *t, const wisp_middleware *m, wisp_result why) {
    uint64_t before = world_total(t->client).memory;
    CHECK_EQ_INT(wisp_use(t->client, m), why);
    CHECK_EQ_INT(world_total(t->client).memory, before);
    CHECK_EQ_INT(world_fire(t->client, "r", t->to_server, 1), REFUSED);
    CHECK_EQ_INT(world_fire(t->client, "s", t->to_server, 1), WISP_OK);
}

TEST(what_cannot_be_used_is_refused_and_the_chain_unchanged) {
    world_two t;
    char name[67], pattern[300];
    probe p = probe_of(WISP_DROP);
    wisp_middleware m = probe_on("new", NULL, OUT, &p);
    two_open(&t);
    use_refuse(t.client);
    memset(name, 'n', sizeof name);
    name[65] = 0;
    memset(pattern, 'p', sizeof pattern);
    pattern[256] = 0;
    CHECK_EQ_INT(wisp_use(NULL, &m), WISP_E_ARGUMENT);
    hook_check_refused(&t, NULL, WISP_E_ARGUMENT);
    m.outbound = NULL;
    hook_check_refused(&t, &m, WISP_E_ARGUMENT);
    m.outbound = on_probe;
    m.name = NULL;
    hook_check_refused(&t, &m, WISP_E_NAME);
    m.name = "";
    hook_check_refused(&t, &m, WISP_E_NAME);
    m.name = "whole";
    hook_check_refused(&t, &m, WISP_E_NAME);
    m.name = name;
    hook_check_refused(&t, &m, WISP_E_NAME);
    name[64] = 0;
    m.pattern = pattern;
    hook_check_refused(&t, &m, WISP_E_TOO_BIG);
    m.pattern = NULL;
    m.except = pattern;
    hook_check_refused(&t, &m, WISP_E_TOO_BIG);
    m.except = NULL;
    CHECK_EQ_INT(wisp_use(t.client, &m), WISP_OK);
    CHECK_EQ_INT(wisp_unuse(t.client, name), WISP_OK);
    world_close(&t.w);
}

TEST(a_wrong_pattern_is_told_with_its_position) {
    world_two t;
    probe p = probe_of(WISP_DROP);
    wisp_middleware m = probe_on("new", "a|(b", OUT, &p);
    two_open(&t);
    use_refuse(t.client);
    hook_check_refused(&t, &m, WISP_E_PATTERN);
    CHECK_EQ_INT(wisp_use(t.client, &m), WISP_E_PATTERN);
    CHECK_EQ_STR(wisp_why_text(t.client), "pattern 'a|(b': wrong at byte 2");
    m.pattern = "^fine$";
    m.except = "abc**[";
    hook_check_refused(&t, &m, WISP_E_PATTERN);
    CHECK_EQ_INT(wisp_use(t.client, &m), WISP_E_PATTERN);
    CHECK_EQ_STR(wisp_why_text(t.client), "pattern 'abc**[': wrong at byte 5");
    world_close(&t.w);
}

TEST(texts_are_copied) {
    world_two t;
    probe p = probe_of(REFUSED);
    char name[] = "mine", pattern[] = "^r$", except[] = "^x$";
    wisp_middleware m = probe_on(name, pattern, OUT, &p);
    two_open(&t);
    m.except = except;
    CHECK_EQ_INT(wisp_use(t.client, &m), WISP_OK);
    memset(name, '?', 4);
    memset(pattern, '?', 3);
    memset(except, '?', 3);
    CHECK_EQ_INT(world_fire(t.client, "r", t.to_server, 1), REFUSED);
    fire(&t, "new name", 1);
    CHECK_EQ_INT(wisp_unuse(t.client, "mine"), WISP_OK);
    fire(&t, "r", 1);
    world_close(&t.w);
}

static void use_32(wisp *w, probe *p, int ways) {
    for (int i = 0; i < 32; i++) {
        char name[8];
        snprintf(name, sizeof name, "m%d", i);
        CHECK_EQ_INT(use(w, name, "^r$", ways, p), WISP_OK);
    }
}

TEST(thirty_two_are_the_limit_and_all_of_them_run) {
    world_two t;
    probe p = probe_that(act_add_ten, NULL);
    two_open(&t);
    use_32(t.client, &p, OUT);
    use_32(t.server, &p, IN);
    CHECK_EQ_INT(use(t.client, "one more", NULL, OUT, &p), WISP_E_LIMIT);
    fire(&t, "r", 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 641);
    CHECK_EQ_INT(wisp_unuse(t.client, "m7"), WISP_OK);
    CHECK_EQ_INT(use(t.client, "one more", NULL, OUT, &p), WISP_OK);
    CHECK_EQ_INT(use(t.client, "m7", NULL, OUT, &p), WISP_E_LIMIT);
    fire(&t, "r", 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 641);
    world_close(&t.w);
}

TEST(what_is_unused_runs_no_more_and_its_name_is_free) {
    world_two t;
    probe p = probe_of(WISP_PASS), q = p;
    two_open(&t);
    use(t.client, "p", NULL, OUT, &p);
    CHECK_EQ_INT(wisp_unuse(t.client, "q"), WISP_E_STALE);
    CHECK_EQ_INT(wisp_unuse(t.client, NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_unuse(NULL, "p"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_unuse(t.client, "p"), WISP_OK);
    CHECK_EQ_INT(wisp_unuse(t.client, "p"), WISP_E_STALE);
    fire(&t, "r", 1);
    CHECK_EQ_INT(p.runs, 0);
    CHECK_EQ_INT(use(t.client, "p", NULL, OUT, &q), WISP_OK);
    fire(&t, "r", 1);
    CHECK(p.runs == 0 && q.runs == 1);
    world_close(&t.w);
}

TEST(middleware_comes_and_goes_ten_thousand_times) {
    world_two t;
    probe p = probe_of(WISP_PASS);
    uint64_t before;
    two_open(&t);
    use(t.client, "first", NULL, OUT, &p);
    before = world_total(t.client).memory;
    for (int i = 0; i < 10000; i++) {
        CHECK_EQ_INT(use(t.client, "p", "^r$", OUT, &p), WISP_OK);
        CHECK_EQ_INT(wisp_unuse(t.client, "p"), WISP_OK);
    }
    CHECK_EQ_INT(world_total(t.client).memory, before);
    world_close(&t.w);
}

/* --- hooks that change the chain --- */

/* Chain "a", "b", "c" at the client, out, and at the server, in; the letters are the trail's. */
static void chain_open(world_two *t, probe p[3]) {
    two_open(t);
    for (int i = 0; i < 3; i++) {
        char name[2] = { (char)('a' + i), 0 };
        p[i] = probe_of(WISP_PASS);
        p[i].letter = name[0];
        p[i].two = t;
        use(t->client, name, NULL, OUT, &p[i]);
        use(t->server, name, NULL, IN, &p[i]);
    }
}

static void act_unuse_self(wisp_event *event, probe *p) {
    char name[2] = { p->letter, 0 };
    if (p->acted++ < 2) CHECK_EQ_INT(wisp_unuse(event->w, name), WISP_OK);
}

static void act_unuse_all(wisp_event *event, probe *p) {
    (void)p;
    wisp_unuse(event->w, "a");
    wisp_unuse(event->w, "b");
    wisp_unuse(event->w, "c");
}

TEST(a_hook_removes_itself_and_the_message_goes_on) {
    world_two t;
    probe p[3];
    chain_open(&t, p);
    p[1].act = act_unuse_self;
    fire(&t, "r", 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(trail, "abccba");
    fire(&t, "r", 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(trail, "abccbaacca");
    CHECK_EQ_INT(heard(&t, "r"), 2);
    world_close(&t.w);
}

TEST(a_hook_removes_those_that_come_next_and_they_do_not_run) {
    world_two t;
    probe p[3];
    chain_open(&t, p);
    p[1].act = act_unuse_all;
    fire(&t, "r", 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(trail, "abcb");
    fire(&t, "r", 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_STR(trail, "abcb");
    CHECK_EQ_INT(heard(&t, "r"), 2);
    CHECK(use(t.client, "a", NULL, OUT, &p[0]) == WISP_OK);
    world_close(&t.w);
}

static void act_use_more(wisp_event *event, probe *p) {
    static probe more;
    more = probe_of(WISP_PASS);
    more.letter = 'd';
    if (!p->acted++) CHECK_EQ_INT(use(event->w, "d", NULL, IN | OUT, &more), WISP_OK);
}

TEST(what_a_hook_adds_begins_with_the_next_message) {
    world_two t;
    probe p[3];
    chain_open(&t, p);
    wisp_unuse(t.server, "b");
    p[1].act = act_use_more;
    fire(&t, "r", 1);
    CHECK_EQ_STR(trail, "abc");
    fire(&t, "r", 1);
    CHECK_EQ_STR(trail, "abcabcd");
    world_close(&t.w);
}

static void act_anew(wisp_event *event, probe *p) {
    if (p->acted++) return;
    CHECK_EQ_INT(wisp_unuse(event->w, "a"), WISP_OK);
    CHECK_EQ_INT(use(event->w, "a", NULL, OUT, p), WISP_OK);
}

TEST(a_hook_that_registers_itself_anew_goes_to_the_end) {
    world_two t;
    probe p[3];
    chain_open(&t, p);
    p[0].act = act_anew;
    fire(&t, "r", 1);
    CHECK_EQ_STR(trail, "abc");
    fire(&t, "r", 1);
    CHECK_EQ_STR(trail, "abcbca");
    world_close(&t.w);
}

static void act_rename(wisp_event *event, probe *p) {
    if (p->acted++) return;
    CHECK_EQ_INT(wisp_unuse(event->w, "m3"), WISP_OK);
    CHECK_EQ_INT(use(event->w, "other", NULL, OUT, p), WISP_E_LIMIT);
}

TEST(the_place_of_a_removed_one_is_free_when_the_hooks_have_returned) {
    world_two t;
    probe p = probe_that(act_rename, NULL);
    two_open(&t);
    use_32(t.client, &p, OUT);
    fire(&t, "r", 1);
    CHECK_EQ_INT(p.runs, 31);
    CHECK_EQ_INT(use(t.client, "other", NULL, OUT, &p), WISP_OK);
    world_close(&t.w);
}

static void act_unuse_self_in_depth(wisp_event *event, probe *p) {
    if (p->acted++) {
        CHECK_EQ_INT(wisp_unuse(event->w, "a"), WISP_OK);
        return;
    }
    CHECK_EQ_INT(world_fire(event->w, "r", event->peer, 2), WISP_OK);
}

TEST(a_hook_is_removed_by_a_message_that_it_sends_itself) {
    world_two t;
    probe p[3];
    chain_open(&t, p);
    p[0].act = act_unuse_self_in_depth;
    fire(&t, "r", 1);
    CHECK_EQ_STR(trail, "aabcbc");
    CHECK_EQ_INT(p[0].runs, 2);
    world_close(&t.w);
}

/* --- what hooks may do --- */

/* On which side the hook stands, which way the message goes, and what it is. */
typedef struct hook_spot { int at, way, kind; } hook_spot;

static const hook_spot spots[] = {
    { CLIENT, OUT, WISP_MESSAGE_EVENT },  { SERVER, IN, WISP_MESSAGE_EVENT },
    { CLIENT, OUT, WISP_MESSAGE_INVOKE }, { SERVER, IN, WISP_MESSAGE_INVOKE },
    { SERVER, OUT, WISP_MESSAGE_REPLY },  { CLIENT, IN, WISP_MESSAGE_REPLY },
};

/* Sends an event or asks; an endpoint that was destroyed on the way is gone after some steps. */
static void run_spot(world_two *t, const hook_spot *s) {
    if (s->kind == WISP_MESSAGE_EVENT) world_fire(t->client, "r", t->to_server, 5);
    else ask(t, 5);
    world_run(&t->w, 2);
}

static wisp *open_spot(world_two *t, const hook_spot *s, probe *p,
                       void (*act)(wisp_event *, probe *)) {
    wisp *at;
    two_open(t);
    at = s->at == SERVER ? t->server : t->client;
    *p = probe_that(act, t);
    use(at, "act", "^(r|ask)$", s->way, p);
    return at;
}

static const wisp_result after_act[] = { WISP_PASS, WISP_DROP, WISP_HOLD, REFUSED };

static void act_leave(wisp_event *event, probe *p) {
    if (p->acted++) return;
    wisp_leave(event->w, event->peer, "enough");
}

TEST(a_hook_ends_the_session_of_its_message) {
    for (int i = 0; i < TEST_COUNT(spots); i++)
        for (int v = 0; v < TEST_COUNT(after_act); v++) {
            world_two t;
            probe p;
            wisp *at = open_spot(&t, &spots[i], &p, act_leave);
            p.verdict = after_act[v];
            wisp_set_unreliable(t.client, "ask", (v & 1) != 0);
            run_spot(&t, &spots[i]);
            CHECK_EQ_INT(p.acted, 1);
            CHECK_EQ_INT(wisp_peers(at, NULL, 0), 0);
            CHECK_EQ_INT(heard(&t, "r"), 0);
            CHECK_EQ_INT(release(at, "act", WISP_PASS), 0);
            CHECK_EQ_INT(answers, spots[i].kind == WISP_MESSAGE_REPLY);
            CHECK_EQ_INT(world_total(t.client).calls_pending, 0);
            world_close(&t.w);
        }
}

TEST(an_answer_whose_hook_ends_the_session_is_refused) {
    world_two t;
    probe p = probe_that(act_leave, &t);
    two_open(&t);
    wisp_on_invoke(t.server, "ask", on_later, NULL);
    use(t.server, "act", NULL, OUT, &p);
    ask(&t, 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(wisp_answer(t.server, later, NULL, 0), WISP_E_CLOSED);
    CHECK_EQ_INT(wisp_answer(t.server, later, NULL, 0), WISP_E_STALE);
    world_run(&t.w, 0.3);
    check_answer(&t, WISP_E_CLOSED, 0);
    world_close(&t.w);
}

static void act_answer(wisp_event *event, probe *p) {
    if (p->acted++) return;
    CHECK_EQ_INT(wisp_answer_fail(event->w, later, REFUSED, "first"), WISP_OK);
}

TEST(an_answer_that_its_hook_has_given_is_stale) {
    world_two t;
    probe p = probe_that(act_answer, &t);
    two_open(&t);
    wisp_on_invoke(t.server, "ask", on_later, NULL);
    use(t.server, "act", NULL, OUT, &p);
    ask(&t, 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(wisp_answer(t.server, later, NULL, 0), WISP_E_STALE);
    world_run(&t.w, 0.3);
    check_answer(&t, REFUSED, 0);
    world_close(&t.w);
}

static void act_destroy(wisp_event *event, probe *p) {
    world_two *t = p->two;
    p->acted++;
    wisp_destroy(event->w);
    CHECK(world_index(&t->w, event->w) >= 0);
    wisp_peers(event->w, NULL, 0);
}

TEST(a_hook_destroys_its_endpoint_which_is_gone_after_the_update) {
    for (int i = 0; i < TEST_COUNT(spots); i++)
        for (int v = 0; v < TEST_COUNT(after_act); v++) {
            world_two t;
            probe p;
            wisp *at = open_spot(&t, &spots[i], &p, act_destroy);
            int n = world_index(&t.w, at);
            p.verdict = after_act[v];
            run_spot(&t, &spots[i]);
            CHECK_EQ_INT(p.acted, 1);
            CHECK(t.w.ends[n] == NULL);
            world_close(&t.w);
        }
}

TEST(an_endpoint_that_a_hook_destroyed_outside_of_an_update_can_be_destroyed_at_once) {
    world_two t;
    ledger memory = ledger_none();
    probe p = probe_that(act_destroy, &t);
    world_open(&t.w);
    t.w.desc.memory = ledger_memory(&memory);
    world_two_join(&t);
    use(t.client, "act", NULL, OUT, &p);
    CHECK_EQ_INT(world_fire(t.client, "r", t.to_server, 1), WISP_OK);
    CHECK(memory.out > 0);
    world_destroy(&t.w, t.client);
    world_close(&t.w);
    CHECK_EQ_INT(memory.out, 0);
}

static double still(void *user) {
    (void)user;
    return 0;
}

static void act_update(wisp_event *event, probe *p) {
    p->acted++;
    CHECK_EQ_INT(wisp_update(event->w, p->two->w.now), WISP_E_BUSY);
    CHECK_EQ_INT(wisp_await_ready(event->w, still, NULL, 1), WISP_E_BUSY);
    CHECK_EQ_INT(wisp_await_event(event->w, "x", NULL, NULL, still, NULL, 1), WISP_E_BUSY);
}

TEST(update_and_await_inside_a_hook_are_busy) {
    for (int i = 0; i < TEST_COUNT(spots); i++) {
        world_two t;
        probe p;
        open_spot(&t, &spots[i], &p, act_update);
        run_spot(&t, &spots[i]);
        CHECK_EQ_INT(p.acted, 1);
        world_close(&t.w);
    }
}

static void act_fire_same(wisp_event *event, probe *p) {
    wisp_result result = world_fire(event->w, event->name, event->peer, wisp_arg_int(event, 0) + 1);
    if (result) CHECK_EQ_INT(result, WISP_E_DEPTH);
    p->acted += result == WISP_E_DEPTH;
}

TEST(a_hook_that_fires_what_it_hooks_ends_at_a_depth) {
    world_two t;
    probe p = probe_that(act_fire_same, &t);
    two_open(&t);
    use(t.client, "act", NULL, OUT, &p);
    fire(&t, "r", 0);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(p.runs, 16);
    CHECK_EQ_INT(p.acted, 1);
    CHECK_EQ_INT(heard(&t, "r"), 16);
    CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 0);
    world_close(&t.w);
}

static void act_ask_same(wisp_event *event, probe *p) {
    wisp_call call = wisp_invoke(event->w, "ask", event->peer, NULL, NULL, wisp_int(1));
    p->acted += !call.id && wisp_why(event->w) == WISP_E_DEPTH;
}

TEST(a_hook_that_asks_what_it_hooks_ends_at_a_depth_and_leaks_no_slot) {
    world_two t;
    probe p = probe_that(act_ask_same, &t);
    two_open(&t);
    use(t.client, "act", NULL, OUT, &p);
    CHECK(ask(&t, 0).id != 0);
    CHECK_EQ_INT(p.acted, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(answers, 16);
    check_answer(&t, WISP_OK, 1);
    world_close(&t.w);
}

static void act_fire_other(wisp_event *event, probe *p) {
    static const wisp_value several[] = { { WISP_NIL, 0, { false } }, { WISP_NIL, 0, { false } } };
    p->acted++;
    CHECK_EQ_INT(wisp_fire_values(event->w, "s", wisp_to_all(), several, 2), WISP_OK);
    CHECK_EQ_INT(wisp_arg_int(event, 0), 5);
    CHECK_EQ_INT(event->count, 1);
}

TEST(a_hook_that_sends_something_else_does_not_disturb_its_message) {
    for (int i = 0; i < TEST_COUNT(spots); i++) {
        world_two t;
        probe p;
        open_spot(&t, &spots[i], &p, act_fire_other);
        if (spots[i].kind == WISP_MESSAGE_REPLY) p.act = NULL;
        run_spot(&t, &spots[i]);
        if (spots[i].kind == WISP_MESSAGE_EVENT)
            CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 5);
        else check_answer(&t, WISP_OK, 6);
        world_close(&t.w);
    }
}

static wisp_connection cut;

static void act_disconnect(wisp_event *event, probe *p) {
    p->acted++;
    wisp_disconnect(event->w, cut);
}

TEST(a_hook_disconnects_the_handler_of_its_message) {
    world_two t;
    probe p = probe_that(act_disconnect, &t);
    two_open(&t);
    cut = world_watch(&t.w, t.server, "x");
    use(t.server, "act", NULL, IN, &p);
    fire(&t, "x", 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(heard(&t, "x"), 0);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_NO_HANDLER), 1);
    world_close(&t.w);
}

static wisp_call asked;

static void act_cancel(wisp_event *event, probe *p) {
    p->acted++;
    wisp_cancel(event->w, asked);
}

TEST(a_hook_cancels_the_call_whose_reply_it_sees) {
    for (int v = 0; v < TEST_COUNT(after_act); v++) {
        world_two t;
        probe p = probe_that(act_cancel, &t);
        two_open(&t);
        p.verdict = after_act[v];
        use(t.client, "act", NULL, IN, &p);
        asked = ask(&t, 5);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(p.acted, 1);
        check_answer(&t, WISP_E_CANCELLED, 0);
        world_close(&t.w);
    }
}

TEST(a_hook_cancels_the_call_that_is_released) {
    for (int v = 0; v < TEST_COUNT(after_act); v++) {
        world_two t;
        probe hold = probe_of(WISP_HOLD), p = probe_that(act_cancel, &t);
        two_open(&t);
        p.verdict = after_act[v];
        use(t.client, "hold", NULL, OUT, &hold);
        use(t.client, "act", NULL, OUT, &p);
        asked = ask(&t, 5);
        CHECK(asked.id != 0);
        release(t.client, "hold", WISP_PASS);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(p.acted, 1);
        check_answer(&t, WISP_E_CANCELLED, 0);
        release(t.client, "act", WISP_PASS);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(answers, 0);
        world_close(&t.w);
    }
}

static void act_reply(wisp_event *event, probe *p) {
    p->acted++;
    CHECK_EQ_INT(wisp_reply_values(event, NULL, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_defer(event).id, 0);
}

TEST(a_hook_cannot_answer_for_the_handler) {
    world_two t;
    probe p = probe_that(act_reply, &t);
    two_open(&t);
    use(t.server, "act", NULL, IN, &p);
    ask(&t, 5);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(p.acted, 1);
    check_answer(&t, WISP_OK, 6);
    world_close(&t.w);
}

/* --- what a plugin is made of --- */

/* Counts what each peer sends, forgets it when the peer leaves. */
typedef struct hook_counter { uint64_t in, out; int peers; } hook_counter;

static wisp_result counter_in(wisp_event *event) {
    ((hook_counter *)event->user)->in++;
    return WISP_PASS;
}

static wisp_result counter_out(wisp_event *event) {
    ((hook_counter *)event->user)->out++;
    return WISP_PASS;
}

static void counter_joined(wisp_event *event) { ((hook_counter *)event->user)->peers++; }
static void counter_left(wisp_event *event) { ((hook_counter *)event->user)->peers--; }

TEST(a_plugin_is_a_middleware_and_events) {
    world_two t;
    hook_counter c = { 0, 0, 0 };
    wisp_middleware m;
    memset(&m, 0, sizeof m);
    m.name = "counter";
    m.inbound = counter_in;
    m.outbound = counter_out;
    m.user = &c;
    world_open(&t.w);
    t.server = world_add(&t.w);
    t.client = world_add(&t.w);
    wisp_use(t.server, &m);
    wisp_connect(t.server, WISP_JOINED, counter_joined, &c);
    wisp_connect(t.server, WISP_LEFT, counter_left, &c);
    wisp_on_invoke(t.server, "ask", on_add_one, NULL);
    world_watch(&t.w, t.server, "r");
    t.to_server = world_join(&t.w, t.client, t.server);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(c.peers, 1);
    for (int i = 0; i < 10; i++) fire(&t, "r", 7);
    ask(&t, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(c.in, 11);
    CHECK_EQ_INT(c.out, 1);
    wisp_leave(t.client, t.to_server, "");
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(c.peers, 0);
    world_close(&t.w);
}

/* Who has logged in is known by its user pointer. */
static wisp_result on_gate(wisp_event *event) {
    if (!wisp_peer_user(event->w, event->peer)) return WISP_E_DENIED;
    return WISP_PASS;
}

static void on_login(wisp_event *event) { wisp_set_peer_user(event->w, event->peer, event->w); }

TEST(what_comes_before_the_login_is_refused_but_for_the_allow_list) {
    world_two t;
    wisp_middleware m;
    memset(&m, 0, sizeof m);
    m.name = "is authenticated";
    m.except = "^(login|hello)$";
    m.inbound = on_gate;
    two_open(&t);
    wisp_use(t.server, &m);
    wisp_connect(t.server, "login", on_login, NULL);
    world_watch(&t.w, t.server, "hello");
    fire(&t, "r", 1);
    fire(&t, "hello", 1);
    fire(&t, "login", 1);
    fire(&t, "r", 2);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(heard(&t, "hello"), 1);
    CHECK_EQ_INT(heard(&t, "r"), 1);
    CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 2);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_DENIED), 1);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(what_passes_arrives_and_the_hook_has_seen_it),
    CASE(what_is_dropped_goes_no_further_and_is_counted),
    CASE(what_is_rejected_on_its_way_out_is_told_to_its_caller),
    CASE(what_is_rejected_on_its_way_in_is_an_error_event),
    CASE(a_verdict_that_makes_no_sense_is_an_argument_error),
    CASE(values_can_be_changed_both_ways),
    CASE(changed_values_are_copied_and_may_be_made_of_the_old_ones),
    CASE(a_change_that_fails_changes_nothing_and_none_is_made_outside_hooks),
    CASE(a_message_may_be_left_without_values),
    CASE(calls_and_replies_are_dropped_rejected_and_passed_both_ways),
    CASE(a_call_passes_four_times_and_each_hook_may_change_it),
    CASE(the_reply_of_no_values_passes_the_chain_too),
    CASE(an_answer_that_is_given_later_passes_the_chain_too),
    CASE(a_failure_is_seen_where_it_comes_in_with_its_code),
    CASE(the_chain_runs_in_the_order_of_registration_out_and_in_reverse_in),
    CASE(a_middleware_of_one_way_sees_the_other_not),
    CASE(patterns_and_exceptions_choose_the_names_whenever_they_are_registered),
    CASE(each_middleware_has_its_own_state),
    CASE(life_cycle_and_errors_pass_no_hook),
    CASE(what_breaks_the_rate_limit_or_has_no_handler_to_answer_meets_no_hook),
    CASE(what_cannot_be_used_is_refused_and_the_chain_unchanged),
    CASE(a_wrong_pattern_is_told_with_its_position),
    CASE(texts_are_copied),
    CASE(thirty_two_are_the_limit_and_all_of_them_run),
    CASE(what_is_unused_runs_no_more_and_its_name_is_free),
    CASE(middleware_comes_and_goes_ten_thousand_times),
    CASE(a_hook_removes_itself_and_the_message_goes_on),
    CASE(a_hook_removes_those_that_come_next_and_they_do_not_run),
    CASE(what_a_hook_adds_begins_with_the_next_message),
    CASE(a_hook_that_registers_itself_anew_goes_to_the_end),
    CASE(the_place_of_a_removed_one_is_free_when_the_hooks_have_returned),
    CASE(a_hook_is_removed_by_a_message_that_it_sends_itself),
    CASE(a_hook_ends_the_session_of_its_message),
    CASE(an_answer_whose_hook_ends_the_session_is_refused),
    CASE(an_answer_that_its_hook_has_given_is_stale),
    CASE(a_hook_destroys_its_endpoint_which_is_gone_after_the_update),
    CASE(an_endpoint_that_a_hook_destroyed_outside_of_an_update_can_be_destroyed_at_once),
    CASE(update_and_await_inside_a_hook_are_busy),
    CASE(a_hook_that_fires_what_it_hooks_ends_at_a_depth),
    CASE(a_hook_that_asks_what_it_hooks_ends_at_a_depth_and_leaks_no_slot),
    CASE(a_hook_that_sends_something_else_does_not_disturb_its_message),
    CASE(a_hook_disconnects_the_handler_of_its_message),
    CASE(a_hook_cancels_the_call_whose_reply_it_sees),
    CASE(a_hook_cancels_the_call_that_is_released),
    CASE(a_hook_cannot_answer_for_the_handler),
    CASE(a_plugin_is_a_middleware_and_events),
    CASE(what_comes_before_the_login_is_refused_but_for_the_allow_list),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
