/* Fire in all its forms, connections, what handlers may do, arguments, life-cycle and errors. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/server_and_three_clients.h"
#include "support/watched_memory_and_link.h"

#include <math.h>

/* --- fire --- */

static int counted, summed;

static void on_sum(wisp_event *event) {
    counted += event->count;
    for (int i = 0; i < event->count; i++) summed += (int)wisp_arg_int(event, i) * (i + 1);
}

/* 1 * 1 + 2 * 2 + .. */
static int squares(int n) { return n * (n + 1) * (2 * n + 1) / 6; }

#define V(n) wisp_int(n)
#define V4(a) V(a), V((a) + 1), V((a) + 2), V((a) + 3)
#define V15 V4(1), V4(5), V4(9), V(13), V(14), V(15)

static void fire_each_count(wisp *w, wisp_peer to) {
    wisp_fire(w, "r", to);
    wisp_fire(w, "r", to, V(1));
    wisp_fire(w, "r", to, V(1), V(2));
    wisp_fire(w, "r", to, V(1), V(2), V(3));
    wisp_fire(w, "r", to, V4(1));
    wisp_fire(w, "r", to, V4(1), V(5));
    wisp_fire(w, "r", to, V4(1), V(5), V(6));
    wisp_fire(w, "r", to, V4(1), V(5), V(6), V(7));
    wisp_fire(w, "r", to, V4(1), V4(5));
    wisp_fire(w, "r", to, V4(1), V4(5), V(9));
    wisp_fire(w, "r", to, V4(1), V4(5), V(9), V(10));
    wisp_fire(w, "r", to, V4(1), V4(5), V(9), V(10), V(11));
    wisp_fire(w, "r", to, V4(1), V4(5), V4(9));
    wisp_fire(w, "r", to, V4(1), V4(5), V4(9), V(13));
    wisp_fire(w, "r", to, V4(1), V4(5), V4(9), V(13), V(14));
    wisp_fire(w, "r", to, V15);
    wisp_fire(w, "r", to, V15, V(16));
}

TEST(the_macro_takes_none_to_sixteen_values) {
    world_two t;
    int expected = 0;
    world_two_open(&t);
    counted = summed = 0;
    wisp_connect(t.server, "r", on_sum, NULL);
    fire_each_count(t.client, t.to_server);
    world_run(&t.w, 0.2);
    for (int n = 0; n <= 16; n++) expected += squares(n);
    CHECK_EQ_INT(counted, 136);
    CHECK_EQ_INT(summed, expected);
    world_close(&t.w);
}

TEST(the_other_macros_take_none_and_sixteen_too) {
    world_two t;
    wisp_peer list[1];
    world_two_open(&t);
    counted = summed = 0;
    wisp_connect(t.client, "r", on_sum, NULL);
    list[0] = t.to_client;
    CHECK_EQ_INT(wisp_fire_all(t.server, "r"), WISP_OK);
    CHECK_EQ_INT(wisp_fire_all(t.server, "r", V15, V(16)), WISP_OK);
    CHECK_EQ_INT(wisp_fire_list(t.server, "r", list, 1), WISP_OK);
    CHECK_EQ_INT(wisp_fire_list(t.server, "r", list, 1, V15, V(16)), WISP_OK);
    CHECK_EQ_INT(wisp_fire_except(t.server, "r", list, 0), WISP_OK);
    CHECK_EQ_INT(wisp_fire_except(t.server, "r", list, 0, V15, V(16)), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_remote_stats(t.client, "r").messages_received, 6);
    CHECK_EQ_INT(counted, 48);
    CHECK_EQ_INT(summed, 3 * squares(16));
    world_close(&t.w);
}

#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L)
static void on_plain(wisp_event *event) {
    CHECK_EQ_INT(event->count, 9);
    CHECK_EQ_STR(wisp_arg_string(event, 0), "text");
    CHECK(wisp_arg_bool(event, 1));
    CHECK_EQ_INT(wisp_arg_int(event, 2), -42);
    CHECK_NEAR(wisp_arg_float(event, 3), 1.5, 0);
    CHECK_NEAR(wisp_arg_number(event, 4), 0.1, 0);
    CHECK(wisp_arg_uint(event, 5) == UINT64_MAX);
    CHECK_NEAR(wisp_arg_vec3(event, 6).z, 3, 0);
    CHECK_EQ_INT(wisp_arg_value(event, 7)->kind, WISP_NIL);
    CHECK_EQ_INT(wisp_arg_int(event, 8), 'c');
    counted++;
}

TEST(plain_values_are_wrapped_by_their_type_and_remotes_go_by_handle) {
    world_two t;
    wisp_remote r;
    wisp_vec3 v = { 1, 2, 3 };
    world_two_open(&t);
    counted = 0;
    r = wisp_remote_named(t.client, "r");
    wisp_connect(t.server, "r", on_plain, NULL);
    CHECK_EQ_INT(wisp_fire(t.client, r, t.to_server, "text", true, -42, 1.5f, 0.1, UINT64_MAX, v,
                           wisp_nil(), (char)'c'), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(counted, 1);
    world_close(&t.w);
}
#endif

TEST(a_remote_is_fired_by_name_or_by_handle) {
    world_two t;
    wisp_value value = wisp_int(0);
    wisp_to to;
    world_two_watched(&t, "r");
    to = wisp_to_peer(t.to_server);
    CHECK_EQ_INT(wisp_fire_values(t.client, "r", to, &value, 1), WISP_OK);
    value = wisp_int(1);
    CHECK_EQ_INT(wisp_send(t.client, wisp_remote_named(t.client, "r"), to, &value, 1), WISP_OK);
    value = wisp_int(2);
    CHECK_EQ_INT(wisp_fire_target(t.client, wisp_by_name("r"), to, &value, 1), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 3);
    CHECK(world_counts_up(&t.w, t.server, "r", 0));
    world_close(&t.w);
}

TEST(a_struct_without_schema_or_data_is_nil) {
    static const wisp_field fields[] = { WISP_FIELD(wisp_vec2, x, WISP_T_NUMBER) };
    static const wisp_schema schema = WISP_SCHEMA(wisp_vec2, 1, fields);
    wisp_vec2 data = { 1, 2 };
    wisp_value lacking[2], whole = wisp_struct(&schema, &data);
    lacking[0] = wisp_struct(NULL, &data);
    lacking[1] = wisp_struct(&schema, NULL);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(lacking[i].kind, WISP_NIL);
        CHECK_EQ_INT(lacking[i].count, 0);
    }
    CHECK_EQ_INT(whole.kind, WISP_STRUCT);
    CHECK_EQ_INT(whole.count, 1);
}

TEST(a_thousand_values_arrive) {
    world_two t;
    wisp_value values[1000];
    int expected = 0;
    world_two_open(&t);
    counted = summed = 0;
    wisp_connect(t.server, "r", on_sum, NULL);
    for (int i = 0; i < 1000; i++) {
        values[i] = wisp_int(i % 7);
        expected += i % 7 * (i + 1);
    }
    CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_peer(t.to_server), values, 1000), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(counted, 1000);
    CHECK_EQ_INT(summed, expected);
    world_close(&t.w);
}

static void on_details(wisp_event *event) {
    world_two *t = (world_two *)event->user;
    CHECK(event->w == t->server);
    CHECK(wisp_peer_equal(event->peer, t->to_client));
    CHECK_EQ_STR(event->name, "details");
    CHECK_EQ_INT(event->remote.id, wisp_remote_named(t->server, "details").id);
    CHECK_EQ_INT(event->result, WISP_OK);
    CHECK_EQ_STR(event->text, "");
    CHECK_NEAR(event->time, t->w.now, 0);
    CHECK_NEAR(wisp_now(event->w), t->w.now, 0);
    counted++;
}

TEST(an_event_tells_where_it_comes_from) {
    world_two t;
    world_two_open(&t);
    counted = 0;
    wisp_connect(t.server, "details", on_details, &t);
    wisp_fire(t.client, "details", t.to_server);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(counted, 1);
    world_close(&t.w);
}

/* --- connections --- */

/* A handler that writes its letter down, and may then do something to the connections. */
typedef struct letter {
    char             letter;
    wisp_connection *cuts[4];      /* disconnected when it runs */
    struct letter   *adds;         /* connected when it runs */
} letter;

static char event_written[256];

static void write_down(char c) {
    size_t length = strlen(event_written);
    if (length + 1 >= sizeof event_written) return;
    event_written[length] = c;
    event_written[length + 1] = 0;
}

static void on_letter(wisp_event *event) {
    letter *l = (letter *)event->user;
    write_down(l->letter);
    for (int i = 0; i < 4; i++)
        if (l->cuts[i]) wisp_disconnect(event->w, *l->cuts[i]);
    if (l->adds)
        wisp_connect_target(event->w, wisp_by_name(event->name), on_letter, l->adds, false);
}

static letter make_letter(char c) {
    letter l;
    memset(&l, 0, sizeof l);
    l.letter = c;
    return l;
}

/* Fires "r" to the server once and returns what its handlers wrote. */
static const char *fire_and_read(world_two *t) {
    event_written[0] = 0;
    wisp_fire(t->client, "r", t->to_server);
    world_run(&t->w, 0.1);
    return event_written;
}

static wisp_connection connect_letter(world_two *t, letter *l, bool once) {
    wisp_connection c = wisp_connect_target(t->server, wisp_by_name("r"), on_letter, l, once);
    CHECK(c.id != 0);
    return c;
}

/* Four handlers a b c d on the server's "r". */
typedef struct four {
    world_two       t;
    letter          l[4];
    wisp_connection c[4];
} four;

static void four_open(four *f, bool once) {
    world_two_open(&f->t);
    for (int i = 0; i < 4; i++) {
        f->l[i] = make_letter((char)('a' + i));
        f->c[i] = connect_letter(&f->t, &f->l[i], once);
    }
}

TEST(handlers_run_in_the_order_of_connection) {
    four f;
    four_open(&f, false);
    CHECK_EQ_STR(fire_and_read(&f.t), "abcd");
    CHECK_EQ_STR(fire_and_read(&f.t), "abcd");
    world_close(&f.t.w);
}

TEST(one_function_connected_twice_runs_twice) {
    world_two t;
    letter l = make_letter('x');
    world_two_open(&t);
    connect_letter(&t, &l, false);
    connect_letter(&t, &l, false);
    CHECK_EQ_STR(fire_and_read(&t), "xx");
    world_close(&t.w);
}

/* A state that counts: who runs it, and when it ends. */
typedef struct owned { int *runs, *ends; wisp *w; wisp_connection off; } owned;

static void owned_move(void *to, void *from) { memcpy(to, from, sizeof(owned)); }

/* Ends another connection, and tries to make one. */
static void owned_end(void *state) {
    const owned *o = (const owned *)state;
    ++*o->ends;
    if (!o->w) return;
    wisp_off(o->w, o->off);
    wisp_connect_target(o->w, wisp_by_name("r"), on_sum, NULL, true);
}

static void on_owned(wisp_event *event) {
    const owned *o = (const owned *)event->user;
    ++*o->runs;
    if (event->count) wisp_off(event->w, o->off);
    CHECK_EQ_INT(*o->ends, 0);
}

static wisp_state owned_state(owned *from) {
    wisp_state state = { on_owned, from, sizeof(owned), owned_move, owned_end };
    return state;
}

TEST(a_connection_ends_the_state_that_it_owns_when_no_handler_runs) {
    world_two t;
    int runs = 0, ends = 0;
    owned first = { &runs, &ends, NULL, { 0 } }, second = first;
    wisp_state state = owned_state(&first);
    wisp_connection one, two;
    world_two_open(&t);
    one = wisp_connect_state(t.server, wisp_by_name("r"), &state, false);
    second.off = one;
    state = owned_state(&second);
    two = wisp_connect_state(t.server, wisp_by_name("r"), &state, true);
    wisp_fire(t.client, "r", t.to_server, wisp_int(1));
    world_run(&t.w, 0.1);
    CHECK(runs == 2 && ends == 2);          /* the second ended the first, and was `once` */
    wisp_off(t.server, two);
    CHECK_EQ_INT(ends, 2);
    runs = ends = 0;
    first.w = t.server;                     /* whose end ends the next, and connects another */
    state = owned_state(&second);
    first.off = wisp_connect_state(t.server, wisp_by_name("r"), &state, false);
    state = owned_state(&first);
    one = wisp_connect_state(t.server, wisp_by_name("r"), &state, false);
    wisp_off(t.server, one);
    CHECK_EQ_INT(ends, 2);
    CHECK(wisp_connect_state(t.server, wisp_by_name("r"), &state, false).id);
    world_close(&t.w);                      /* destroyed: what is left ends */
    CHECK_EQ_INT(ends, 3);
}

TEST(a_state_that_cannot_be_connected_has_ended_or_was_not_moved) {
    ledger memory = ledger_none();
    int runs = 0, ends = 0;
    owned own = { &runs, &ends, NULL, { 0 } };
    wisp_state state = owned_state(&own), wrong = state;
    world w;
    wisp *end;
    world_open(&w);
    w.desc.memory = ledger_memory(&memory);
    w.desc.limits.connections = 1;
    end = world_add(&w);
    CHECK(!wisp_connect_state(end, wisp_by_name(""), &state, false).id && ends == 1);
    CHECK_EQ_INT(wisp_why(end), WISP_E_NAME);
    wrong.bytes = 0;
    CHECK(!wisp_connect_state(end, wisp_by_name("r"), &wrong, false).id && ends == 1);
    CHECK_EQ_INT(wisp_why(end), WISP_E_ARGUMENT);
    memory.fail_at = memory.asked + 1;      /* the pool has its connection, the state has no room */
    CHECK(!wisp_connect_state(end, wisp_by_name("r"), &state, false).id && ends == 1);
    CHECK_EQ_INT(wisp_why(end), WISP_E_MEMORY);
    CHECK(wisp_connect_state(end, wisp_by_name("r"), &state, false).id);
    CHECK(!wisp_connect_state(end, wisp_by_name("r"), &state, false).id && ends == 1);
    CHECK_EQ_INT(wisp_why(end), WISP_E_LIMIT);
    CHECK(!wisp_connect_state(NULL, wisp_by_name("r"), &state, false).id);
    world_close(&w);
    CHECK(ends == 2 && runs == 0);
}

TEST(a_disconnected_handler_runs_no_more) {
    four f;
    wisp_connection none = { 0 }, foreign = { 0xabcdef };
    four_open(&f, false);
    wisp_disconnect(f.t.server, f.c[1]);
    CHECK_EQ_STR(fire_and_read(&f.t), "acd");
    wisp_disconnect(f.t.server, f.c[1]);
    wisp_disconnect(f.t.server, none);
    wisp_disconnect(f.t.server, foreign);
    wisp_disconnect(NULL, f.c[0]);
    CHECK_EQ_STR(fire_and_read(&f.t), "acd");
    wisp_disconnect(f.t.server, f.c[0]);
    wisp_disconnect(f.t.server, f.c[3]);
    CHECK_EQ_STR(fire_and_read(&f.t), "c");
    f.c[3] = connect_letter(&f.t, &f.l[3], false);
    CHECK_EQ_STR(fire_and_read(&f.t), "cd");
    world_close(&f.t.w);
}

TEST(a_stale_connection_never_cuts_its_successor) {
    world_two t;
    letter a = make_letter('a'), b = make_letter('b');
    wisp_connection old;
    world_open(&t.w);
    t.w.desc.limits.connections = 1;
    world_two_join(&t);
    old = connect_letter(&t, &a, false);
    wisp_disconnect(t.server, old);
    connect_letter(&t, &b, false);
    wisp_disconnect(t.server, old);
    CHECK_EQ_STR(fire_and_read(&t), "b");
    world_close(&t.w);
}

TEST(once_runs_once_even_for_two_messages_of_one_packet) {
    four f;
    four_open(&f, true);
    event_written[0] = 0;
    wisp_fire(f.t.client, "r", f.t.to_server);
    CHECK_EQ_STR(fire_and_read(&f.t), "abcd");
    CHECK_EQ_STR(fire_and_read(&f.t), "");
    world_close(&f.t.w);
}

TEST(once_handlers_do_not_disturb_the_lasting_ones) {
    world_two t;
    letter a = make_letter('a'), b = make_letter('b'), c = make_letter('c');
    world_two_open(&t);
    connect_letter(&t, &a, true);
    connect_letter(&t, &b, false);
    connect_letter(&t, &c, true);
    CHECK_EQ_STR(fire_and_read(&t), "abc");
    CHECK_EQ_STR(fire_and_read(&t), "b");
    world_close(&t.w);
}

TEST(a_handler_disconnects_itself) {
    four f;
    four_open(&f, false);
    f.l[1].cuts[0] = &f.c[1];
    CHECK_EQ_STR(fire_and_read(&f.t), "abcd");
    CHECK_EQ_STR(fire_and_read(&f.t), "acd");
    world_close(&f.t.w);
}

TEST(a_once_handler_disconnects_itself) {
    four f;
    four_open(&f, true);
    f.l[1].cuts[0] = &f.c[1];
    CHECK_EQ_STR(fire_and_read(&f.t), "abcd");
    CHECK_EQ_STR(fire_and_read(&f.t), "");
    world_close(&f.t.w);
}

TEST(a_handler_disconnects_a_later_one_which_then_does_not_run) {
    four f;
    four_open(&f, false);
    f.l[1].cuts[0] = &f.c[2];
    CHECK_EQ_STR(fire_and_read(&f.t), "abd");
    CHECK_EQ_STR(fire_and_read(&f.t), "abd");
    world_close(&f.t.w);
}

TEST(a_handler_disconnects_the_last_one_or_an_earlier_one) {
    four f;
    four_open(&f, false);
    f.l[1].cuts[0] = &f.c[3];
    f.l[1].cuts[1] = &f.c[0];
    CHECK_EQ_STR(fire_and_read(&f.t), "abc");
    CHECK_EQ_STR(fire_and_read(&f.t), "bc");
    world_close(&f.t.w);
}

TEST(a_handler_disconnects_all) {
    for (int once = 0; once < 2; once++) {
        four f;
        four_open(&f, once != 0);
        for (int i = 0; i < 4; i++) f.l[0].cuts[i] = &f.c[i];
        CHECK_EQ_STR(fire_and_read(&f.t), "a");
        CHECK_EQ_STR(fire_and_read(&f.t), "");
        world_close(&f.t.w);
    }
}

TEST(a_handler_connected_inside_a_handler_waits_for_the_next_event) {
    world_two t;
    letter a = make_letter('a'), b = make_letter('b');
    world_two_open(&t);
    a.adds = &b;
    connect_letter(&t, &a, true);
    CHECK_EQ_STR(fire_and_read(&t), "a");
    CHECK_EQ_STR(fire_and_read(&t), "b");
    world_close(&t.w);
}

TEST(handlers_that_connect_do_not_make_their_event_endless) {
    world_two t;
    letter a = make_letter('a');
    world_two_open(&t);
    a.adds = &a;
    connect_letter(&t, &a, false);
    CHECK_EQ_STR(fire_and_read(&t), "a");
    CHECK_EQ_STR(fire_and_read(&t), "aa");
    CHECK_EQ_STR(fire_and_read(&t), "aaaa");
    world_close(&t.w);
}

/* With few connections the place of the once handler is the next to be taken. */
TEST(a_once_handler_that_connects_does_not_cut_off_those_behind_it) {
    world_two t;
    letter a = make_letter('a'), b = make_letter('b'), c = make_letter('c');
    world_open(&t.w);
    t.w.desc.limits.connections = 2;
    world_two_join(&t);
    a.adds = &c;
    connect_letter(&t, &a, true);
    connect_letter(&t, &b, false);
    CHECK_EQ_STR(fire_and_read(&t), "ab");
    CHECK_EQ_INT(fire_and_read(&t)[0], 'b');
    world_close(&t.w);
}

TEST(connections_come_back_ten_thousand_times) {
    world_two t;
    letter l = make_letter('l');
    world_open(&t.w);
    t.w.desc.limits.connections = 3;
    world_two_join(&t);
    for (int i = 0; i < 10000; i++) {
        wisp_connection c = wisp_connect_target(t.server, wisp_by_name("r"), on_letter, &l, false);
        if (!CHECK(c.id != 0)) break;
        wisp_disconnect(t.server, c);
    }
    for (int i = 0; i < 3; i++) connect_letter(&t, &l, false);
    CHECK_EQ_INT(wisp_connect_target(t.server, wisp_by_name("r"), on_letter, &l, false).id, 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_LIMIT);
    CHECK_EQ_STR(fire_and_read(&t), "lll");
    world_close(&t.w);
}

TEST(connect_refuses_what_it_needs_and_has_not) {
    world w;
    wisp *end;
    world_open(&w);
    end = world_add(&w);
    CHECK_EQ_INT(wisp_connect_target(NULL, wisp_by_name("r"), on_letter, NULL, false).id, 0);
    CHECK_EQ_INT(wisp_connect_target(end, wisp_by_name("r"), NULL, NULL, false).id, 0);
    CHECK_EQ_INT(wisp_why(end), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_connect_target(end, wisp_by_name(NULL), on_letter, NULL, false).id, 0);
    CHECK_EQ_INT(wisp_why(end), WISP_E_ARGUMENT);
    world_close(&w);
}

/* --- what handlers do --- */

static int event_runs;
static wisp_result event_inside[8];

static void on_event_echo(wisp_event *event) {
    event_runs++;
    CHECK_EQ_INT(wisp_fire_values(event->w, "back", wisp_to_peer(event->peer), event->args,
                                  event->count), WISP_OK);
}

TEST(a_handler_fires) {
    world_two t;
    world_two_open(&t);
    event_runs = 0;
    wisp_connect(t.server, "r", on_event_echo, NULL);
    world_watch(&t.w, t.client, "back");
    for (int i = 0; i < 10; i++) world_fire(t.client, "r", t.to_server, i);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(event_runs, 10);
    CHECK_EQ_INT(world_count(&t.w, t.client, "back"), 10);
    CHECK(world_counts_up(&t.w, t.client, "back", 0));
    world_close(&t.w);
}

static double frozen(void *user) { return *(double *)user; }

static void on_busy(wisp_event *event) {
    double now = wisp_now(event->w) + 1;
    wisp_call none = { 0 };
    event_runs++;
    event_inside[0] = wisp_update(event->w, now);
    event_inside[1] = wisp_await_ready(event->w, frozen, &now, 1);
    event_inside[2] = wisp_await_event(event->w, "r", NULL, NULL, frozen, &now, 1);
    event_inside[3] = wisp_await_reply(event->w, none, NULL, NULL, frozen, &now);
    event_inside[4] = wisp_flush_batches(event->w);
}

TEST(update_and_await_inside_a_handler_are_busy) {
    world_two t;
    world_two_open(&t);
    event_runs = 0;
    wisp_connect(t.server, "r", on_busy, NULL);
    wisp_fire(t.client, "r", t.to_server);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(event_runs, 1);
    for (int i = 0; i < 4; i++) CHECK_EQ_INT(event_inside[i], WISP_E_BUSY);
    CHECK_EQ_INT(event_inside[4], WISP_OK);
    CHECK_EQ_INT(wisp_update(t.server, t.w.now), WISP_OK);
    world_close(&t.w);
}

static void on_leaving(wisp_event *event) {
    event_runs++;
    wisp_leave(event->w, event->peer, "enough");
    event_inside[0] = wisp_fire_values(event->w, "r", wisp_to_peer(event->peer), NULL, 0);
    event_inside[1] = wisp_set_peer_user(event->w, event->peer, NULL);
    event_inside[2] = wisp_peers(event->w, NULL, 0);
    wisp_leave(event->w, event->peer, "again");
}

TEST(a_handler_ends_the_session_it_is_told_about) {
    world_two t;
    letter later = make_letter('l');
    world_two_open(&t);
    event_runs = 0;
    event_written[0] = 0;
    wisp_connect(t.server, "r", on_leaving, NULL);
    connect_letter(&t, &later, false);
    world_watch(&t.w, t.server, WISP_LEFT);
    world_watch(&t.w, t.client, WISP_LEFT);
    for (int i = 0; i < 5; i++) world_fire(t.client, "r", t.to_server, i);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(event_runs, 1);                       /* what stood behind it is not told */
    CHECK_EQ_STR(event_written, "l");                  /* but every handler hears of it */
    CHECK_EQ_INT(event_inside[0], WISP_E_STALE);
    CHECK_EQ_INT(event_inside[1], WISP_E_STALE);
    CHECK_EQ_INT(event_inside[2], 0);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_LEFT), 1);
    CHECK_EQ_INT(world_count(&t.w, t.client, WISP_LEFT), 1);
    CHECK_EQ_STR(world_last(&t.w, t.client, WISP_LEFT)->text, "enough");
    CHECK_EQ_INT(world_last(&t.w, t.client, WISP_LEFT)->result, WISP_OK);
    CHECK_EQ_INT(wisp_peers(t.client, NULL, 0), 0);
    world_close(&t.w);
}

static party *party_now;

static void on_kick(wisp_event *event) {
    event_runs++;
    for (int i = 0; i < 3; i++)
        if (!wisp_peer_equal(party_now->to_client[i], event->peer))
            wisp_leave(event->w, party_now->to_client[i], "kicked");
}

TEST(a_handler_ends_other_sessions) {
    party p;
    party_open(&p);
    party_now = &p;
    event_runs = 0;
    wisp_connect(p.server, "kick", on_kick, NULL);
    for (int i = 0; i < 3; i++) world_fire(p.clients[i], "kick", p.to_server[i], i);
    world_run(&p.w, 0.3);
    CHECK_EQ_INT(event_runs, 1);
    CHECK_EQ_INT(wisp_peers(p.server, NULL, 0), 1);
    world_close(&p.w);
}

TEST(a_handler_fires_to_a_peer_that_just_left) {
    world_two t;
    world_two_open(&t);
    event_runs = 0;
    wisp_connect(t.server, WISP_LEFT, on_leaving, NULL);
    wisp_leave(t.client, t.to_server, "bye");
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(event_runs, 1);
    CHECK_EQ_INT(event_inside[0], WISP_E_STALE);
    world_close(&t.w);
}

static void on_destroy(wisp_event *event) {
    event_runs++;
    wisp_destroy(event->w);
    event_inside[0] = wisp_fire_values(event->w, "r", wisp_to_peer(event->peer), NULL, 0);
    wisp_leave(event->w, event->peer, "");
    wisp_connect_target(event->w, wisp_by_name("r"), on_destroy, NULL, false);
    event_inside[1] = wisp_remote_named(event->w, "still alive").id != 0;
    wisp_destroy(event->w);
}

TEST(a_handler_destroys_its_endpoint_when_the_update_ends) {
    static const char *const names[] = { "r", WISP_JOINED, WISP_LEFT, WISP_ERROR };
    for (int i = 0; i < 4; i++) {
        world_two t;
        world_open(&t.w);
        t.server = world_add(&t.w);
        t.client = world_add(&t.w);
        event_runs = 0;
        wisp_connect(t.server, names[i], on_destroy, NULL);
        if (i == 1) {
            wisp_addr addr = world_addr(&t.w, t.server);
            t.to_server = wisp_join(t.client, &addr, NULL, 0);
        } else {
            t.to_server = world_join(&t.w, t.client, t.server);
        }
        for (int k = 0; k < 3; k++) world_fire(t.client, i == 3 ? "x" : "r", t.to_server, k);
        if (i == 2) wisp_leave(t.client, t.to_server, "");
        world_run(&t.w, 0.5);
        CHECK_EQ_INT(event_runs, 1);
        CHECK(t.w.ends[0] == NULL);
        CHECK(event_inside[1]);
        CHECK_EQ_INT(wisp_peers(t.client, NULL, 0), 0);
        world_close(&t.w);
    }
}

static void on_third_destroys(wisp_event *event) {
    if (++event_runs == 3) wisp_destroy(event->w);
}

TEST(a_handler_destroys_its_endpoint_in_the_middle_of_a_run_of_equal_messages) {
    world_two t;
    world_two_watched(&t, "other");
    event_runs = 0;
    wisp_connect(t.server, "r", on_third_destroys, NULL);
    wisp_remote_named(t.client, "r");
    world_fire(t.client, "other", t.to_server, 1);
    world_run(&t.w, 1);                       /* until both sides have bound the name */
    for (int i = 0; i < 10; i++) world_fire(t.client, "r", t.to_server, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(event_runs, 3);
    CHECK(t.w.ends[0] == NULL);
    world_close(&t.w);
}

static void on_register(wisp_event *event) {
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "%d of %d", i, (int)event->args[0].as.integer);
        CHECK(wisp_remote_named(event->w, name).id != 0);
        CHECK_EQ_INT(wisp_fire_all(event->w, name), WISP_OK);
    }
    CHECK_EQ_INT(wisp_arg_int(event, 0), event_runs++);
}

TEST(a_handler_registers_many_names) {
    world_two t;
    world_two_open(&t);
    event_runs = 0;
    wisp_connect(t.server, "r", on_register, NULL);
    for (int i = 0; i < 8; i++) world_fire(t.client, "r", t.to_server, i);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(event_runs, 8);
    CHECK_EQ_INT(world_total(t.server).remotes, 801);
    world_close(&t.w);
}

static void on_join_on(wisp_event *event) {
    world *w = (world *)event->user;
    wisp_addr addr = world_addr(w, w->ends[2]);
    event_runs++;
    CHECK(wisp_join(event->w, &addr, "ticket", 6).id != 0);
}

TEST(a_handler_joins_another_endpoint) {
    world_two t;
    wisp *third;
    world_two_open(&t);
    third = world_add(&t.w);
    event_runs = 0;
    wisp_once(t.server, "r", on_join_on, &t.w);
    wisp_fire(t.client, "r", t.to_server);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(event_runs, 1);
    CHECK_EQ_INT(wisp_peers(third, NULL, 0), 1);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 2);
    world_close(&t.w);
}

/* --- arguments --- */

/* An event of one value at an endpoint that notes its errors. */
typedef struct asking {
    world      w;
    wisp      *end;
    wisp_event event;
    int        wrong;              /* counted so far */
} asking;

static void asking_open(asking *a) {
    memset(a, 0, sizeof *a);
    world_open(&a->w);
    a->end = world_add(&a->w);
    world_watch(&a->w, a->end, WISP_ERROR);
    a->event.w = a->end;
    a->event.name = "asked";
    a->event.text = "";
    a->event.remote = wisp_remote_named(a->end, "asked");
}

static wisp_event *event_ask(asking *a, const wisp_value *value) {
    a->event.args = value;
    a->event.count = value ? 1 : 0;
    return &a->event;
}

/* How many getters have gone wrong since the last question. */
static int asked_wrong(asking *a) {
    int before = a->wrong;
    a->wrong = (int)world_total(a->end).arguments_wrong;
    return a->wrong - before;
}

TEST(numbers_convert_where_exact) {
    asking a;
    wisp_value v[8];
    asking_open(&a);
    v[0] = wisp_int(-5);
    v[1] = wisp_uint(5);
    v[2] = wisp_number(-7);
    v[3] = wisp_float(1e6f);
    v[4] = wisp_bool(true);
    v[5] = wisp_number(0.5);
    v[6] = wisp_uint(UINT64_MAX);
    v[7] = wisp_int(INT64_MIN);
    CHECK_EQ_INT(wisp_arg_int(event_ask(&a, &v[0]), 0), -5);
    CHECK_EQ_INT(wisp_arg_int(event_ask(&a, &v[1]), 0), 5);
    CHECK_EQ_INT(wisp_arg_int(event_ask(&a, &v[2]), 0), -7);
    CHECK_EQ_INT(wisp_arg_int(event_ask(&a, &v[3]), 0), 1000000);
    CHECK_EQ_INT(wisp_arg_int(event_ask(&a, &v[4]), 0), 1);
    CHECK(wisp_arg_int(event_ask(&a, &v[7]), 0) == INT64_MIN);
    CHECK_EQ_INT(wisp_arg_uint(event_ask(&a, &v[1]), 0), 5);
    CHECK_EQ_INT(wisp_arg_uint(event_ask(&a, &v[3]), 0), 1000000);
    CHECK(wisp_arg_uint(event_ask(&a, &v[6]), 0) == UINT64_MAX);
    CHECK_NEAR(wisp_arg_number(event_ask(&a, &v[0]), 0), -5, 0);
    CHECK_NEAR(wisp_arg_number(event_ask(&a, &v[1]), 0), 5, 0);
    CHECK_NEAR(wisp_arg_number(event_ask(&a, &v[5]), 0), 0.5, 0);
    CHECK_NEAR(wisp_arg_number(event_ask(&a, &v[7]), 0), -9223372036854775808.0, 0);
    CHECK_NEAR(wisp_arg_float(event_ask(&a, &v[5]), 0), 0.5, 0);
    CHECK_NEAR(wisp_arg_float(event_ask(&a, &v[1]), 0), 5, 0);
    CHECK_EQ_INT(asked_wrong(&a), 0);
    world_close(&a.w);
}

TEST(numbers_that_do_not_fit_give_zero_and_a_report) {
    asking a;
    wisp_value v[6];
    asking_open(&a);
    v[0] = wisp_number(0.5);
    v[1] = wisp_uint((uint64_t)INT64_MAX + 1);
    v[2] = wisp_number(1e300);
    v[3] = wisp_int(-1);
    v[4] = wisp_number((double)NAN);
    v[5] = wisp_int((INT64_C(1) << 53) + 1);
    CHECK_EQ_INT(wisp_arg_int(event_ask(&a, &v[0]), 0), 0);
    CHECK_EQ_INT(wisp_arg_int(event_ask(&a, &v[1]), 0), 0);
    CHECK_EQ_INT(wisp_arg_int(event_ask(&a, &v[2]), 0), 0);
    CHECK_EQ_INT(wisp_arg_int(event_ask(&a, &v[4]), 0), 0);
    CHECK_EQ_INT(asked_wrong(&a), 4);
    CHECK_EQ_INT(wisp_arg_uint(event_ask(&a, &v[3]), 0), 0);
    CHECK_EQ_INT(wisp_arg_uint(event_ask(&a, &v[0]), 0), 0);
    CHECK_EQ_INT(wisp_arg_uint(event_ask(&a, &v[2]), 0), 0);
    CHECK_EQ_INT(asked_wrong(&a), 3);
    CHECK_NEAR(wisp_arg_number(event_ask(&a, &v[5]), 0), 0, 0);
    CHECK_EQ_INT(asked_wrong(&a), 1);
    CHECK_NEAR(wisp_arg_float(event_ask(&a, &v[2]), 0), 0, 0);
    CHECK_EQ_INT(asked_wrong(&a), 1);
    world_close(&a.w);
}

static wisp_value of_floats(wisp_kind kind, const uint32_t *bits, int count) {
    wisp_value value = wisp_nil();
    value.kind = kind;
    memcpy(&value.as, bits, (size_t)count * 4);
    return value;
}

/* Signalling NaNs, where the result of a function does not pass through a register of the x87. */
TEST(arguments_keep_the_bits_of_their_floats) {
    static const uint32_t bits[7] = { 0x7f800001, 0x80000000, 0xffb12345, 1, 0x7fc54321,
                                      0x7f7fffff, 0xff800000 };
    asking a;
    wisp_value v[7];
    wisp_vec2 vec2;
    wisp_vec3 vec3;
    wisp_vec4 vec4;
    wisp_quat quat;
    wisp_color color;
    wisp_transform transform;
    asking_open(&a);
    for (int i = 0; i < 6; i++) {
        static const int counts[6] = { 2, 3, 4, 4, 7, 4 };
        v[i] = of_floats((wisp_kind)(WISP_VEC2 + i), bits, counts[i]);
    }
    vec2 = wisp_arg_vec2(event_ask(&a, &v[0]), 0);
    CHECK_EQ_MEM(&vec2, bits, 8);
    vec3 = wisp_arg_vec3(event_ask(&a, &v[1]), 0);
    CHECK_EQ_MEM(&vec3, bits, 12);
    vec4 = wisp_arg_vec4(event_ask(&a, &v[2]), 0);
    CHECK_EQ_MEM(&vec4, bits, 16);
    quat = wisp_arg_quat(event_ask(&a, &v[3]), 0);
    CHECK_EQ_MEM(&quat, bits, 16);
    transform = wisp_arg_transform(event_ask(&a, &v[4]), 0);
    CHECK_EQ_MEM(&transform, bits, 28);
    color = wisp_arg_color(event_ask(&a, &v[5]), 0);
    CHECK_EQ_MEM(&color, bits, 16);
    for (int i = 0; i < 7; i++) {
        bool quiet = (bits[i] & 0x7fc00000) == 0x7fc00000, none = wisp__bits_nan(
            wisp__bits_widen(bits[i]));
        float number;
        if (sizeof(void *) == 4 && none && !quiet) continue;
        v[6] = of_floats(WISP_FLOAT, &bits[i], 1);
        number = wisp_arg_float(event_ask(&a, &v[6]), 0);
        CHECK_EQ_MEM(&number, &bits[i], 4);
    }
    world_close(&a.w);
}

TEST(an_argument_becomes_a_float_rounded_once_or_is_reported) {
    static const char text[] = "[7.038531e-26,340282356779733661637539395458142568448]";
    uint64_t memory[64];
    asking a;
    wisp_value list = wisp_nil();
    float number;
    asking_open(&a);
    CHECK(wisp_decode(wisp_json(), NULL, text, (int)sizeof text - 1, &list, memory,
                      (int)sizeof memory) > 0);
    number = wisp_arg_float(event_ask(&a, &list.as.array[0]), 0);
    CHECK_EQ_INT(wisp__load_float_bits(&number), 0x15ae43fd);
    CHECK_EQ_INT(asked_wrong(&a), 0);
    CHECK_NEAR(wisp_arg_float(event_ask(&a, &list.as.array[1]), 0), 0, 0);
    CHECK_EQ_INT(asked_wrong(&a), 1);
    world_close(&a.w);
}

TEST(a_bool_may_be_zero_or_one_and_nothing_else) {
    asking a;
    wisp_value v[7];
    asking_open(&a);
    v[0] = wisp_bool(true);
    v[1] = wisp_int(1);
    v[2] = wisp_uint(0);
    v[3] = wisp_int(2);
    v[4] = wisp_int(-1);
    v[5] = wisp_string("true");
    v[6] = wisp_nil();
    CHECK(wisp_arg_bool(event_ask(&a, &v[0]), 0));
    CHECK(wisp_arg_bool(event_ask(&a, &v[1]), 0));
    CHECK(!wisp_arg_bool(event_ask(&a, &v[2]), 0));
    CHECK_EQ_INT(asked_wrong(&a), 0);
    for (int i = 3; i < 7; i++) CHECK(!wisp_arg_bool(event_ask(&a, &v[i]), 0));
    CHECK_EQ_INT(asked_wrong(&a), 4);
    world_close(&a.w);
}

/* Asks for value 0 of an event through every getter; each gives its nothing. */
static void check_nothing(wisp_event *event) {
    int size = 77;
    CHECK(!wisp_arg_bool(event, 0));
    CHECK_EQ_INT(wisp_arg_int(event, 0), 0);
    CHECK_EQ_INT(wisp_arg_uint(event, 0), 0);
    CHECK_NEAR(wisp_arg_float(event, 0), 0, 0);
    CHECK_NEAR(wisp_arg_number(event, 0), 0, 0);
    CHECK_EQ_STR(wisp_arg_string(event, 0), "");
    CHECK_EQ_STR(wisp_arg_string_n(event, 0, &size), "");
    CHECK_EQ_INT(size, 0);
    size = 77;
    CHECK(wisp_arg_bytes(event, 0, &size) == NULL);
    CHECK_EQ_INT(size, 0);
    CHECK_NEAR(wisp_arg_vec2(event, 0).y, 0, 0);
    CHECK_NEAR(wisp_arg_vec3(event, 0).z, 0, 0);
    CHECK_NEAR(wisp_arg_vec4(event, 0).w, 0, 0);
    CHECK_NEAR(wisp_arg_quat(event, 0).w, 0, 0);
    CHECK_NEAR(wisp_arg_transform(event, 0).rotation.w, 0, 0);
    CHECK_NEAR(wisp_arg_color(event, 0).a, 0, 0);
    CHECK(wisp_arg_array(event, 0) == NULL);
    CHECK(wisp_arg_map(event, 0) == NULL);
}

TEST(a_missing_or_wrong_argument_gives_nothing_and_an_error_event) {
    asking a;
    wisp_value nil = wisp_nil();
    asking_open(&a);
    check_nothing(event_ask(&a, NULL));
    CHECK_EQ_INT(asked_wrong(&a), 16);
    check_nothing(event_ask(&a, &nil));
    CHECK_EQ_INT(asked_wrong(&a), 16);
    CHECK(wisp_arg_value(&a.event, 0)->kind == WISP_NIL);
    CHECK(wisp_arg_value(&a.event, 1) == NULL);
    CHECK(wisp_arg_value(&a.event, -1) == NULL);
    CHECK_EQ_INT(asked_wrong(&a), 0);
    CHECK_EQ_INT(wisp_arg_int(&a.event, -1), 0);
    CHECK_EQ_INT(asked_wrong(&a), 1);
    wisp_update(a.end, a.w.now);
    CHECK_EQ_INT(world_total(a.end).errors, 33);
    CHECK_EQ_INT(world_results(&a.w, a.end, WISP_ERROR, WISP_E_TYPE), 8);
    CHECK_EQ_INT(world_last(&a.w, a.end, WISP_ERROR)->remote.id, a.event.remote.id);
    CHECK(strstr(world_last(&a.w, a.end, WISP_ERROR)->text, "asked") != NULL);
    world_close(&a.w);
}

TEST(getters_without_an_event_give_nothing) {
    check_nothing(NULL);
    CHECK(wisp_arg_value(NULL, 0) == NULL);
}

static void on_all_kinds(wisp_event *event) {
    int size = 0;
    event_runs++;
    CHECK_EQ_INT(event->count, 14);
    CHECK_EQ_STR(wisp_arg_string_n(event, 0, &size), "a");
    CHECK_EQ_INT(size, 3);
    CHECK_EQ_MEM(wisp_arg_string(event, 0), "a\0b", 4);
    CHECK_EQ_MEM(wisp_arg_bytes(event, 1, &size), "\1\2", 2);
    CHECK_EQ_INT(size, 2);
    CHECK_NEAR(wisp_arg_vec2(event, 2).y, 2, 0);
    CHECK_NEAR(wisp_arg_vec3(event, 3).z, 3, 0);
    CHECK_NEAR(wisp_arg_vec4(event, 4).w, 4, 0);
    CHECK_NEAR(wisp_arg_quat(event, 5).w, 1, 0);
    CHECK_NEAR(wisp_arg_transform(event, 6).position.y, 8, 0);
    CHECK_NEAR(wisp_arg_color(event, 7).b, 0.25, 0);
    CHECK_EQ_INT(wisp_count_of(wisp_arg_array(event, 8)), 2);
    CHECK_EQ_INT(wisp_element_of(wisp_arg_array(event, 8), 1)->as.integer, 6);
    CHECK_EQ_INT(wisp_field_of(wisp_arg_map(event, 9), "key")->as.integer, 5);
    CHECK(wisp_arg_bool(event, 10));
    CHECK_EQ_INT(wisp_arg_int(event, 11), -1);
    CHECK_EQ_STR(wisp_arg_string(event, 12), "");
    CHECK(wisp_arg_value(event, 13)->kind == WISP_NIL);
    CHECK(wisp_arg_bytes(event, 1, NULL) != NULL);
}

TEST(every_kind_reaches_its_getter) {
    world_two t;
    wisp_value items[2], v[14];
    wisp_pair pair;
    wisp_vec3 position = { 7, 8, 9 };
    wisp_quat turn = { 0, 0, 0, 1 };
    world_two_open(&t);
    event_runs = 0;
    wisp_connect(t.server, "r", on_all_kinds, NULL);
    items[0] = pair.value = wisp_int(5);
    items[1] = wisp_int(6);
    pair.key = "key";
    v[0] = wisp_string_n("a\0b", 3);
    v[1] = wisp_bytes("\1\2", 2);
    v[2] = wisp_vec2v(1, 2);
    v[3] = wisp_vec3v(1, 2, 3);
    v[4] = wisp_vec4v(1, 2, 3, 4);
    v[5] = wisp_quatv(0, 0, 0, 1);
    v[6] = wisp_transformv(position, turn);
    v[7] = wisp_color4(1, 0.5f, 0.25f, 1);
    v[8] = wisp_array(items, 2);
    v[9] = wisp_map(&pair, 1);
    v[10] = wisp_bool(true);
    v[11] = wisp_int(-1);
    v[12] = wisp_string(NULL);
    v[13] = wisp_nil();
    CHECK_EQ_INT(wisp_fire_values(t.client, "r", wisp_to_all(), v, 14), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(event_runs, 1);
    CHECK_EQ_INT(world_total(t.server).arguments_wrong, 0);
    world_close(&t.w);
}

/* --- life-cycle and errors --- */

TEST(both_sides_are_told_of_a_session_and_of_its_end) {
    world_two t;
    world_open(&t.w);
    t.server = world_add(&t.w);
    t.client = world_add(&t.w);
    for (int i = 0; i < 2; i++) {
        world_watch(&t.w, t.w.ends[i], WISP_JOINED);
        world_watch(&t.w, t.w.ends[i], WISP_LEFT);
        world_watch(&t.w, t.w.ends[i], "r");
    }
    t.to_server = world_join(&t.w, t.client, t.server);
    t.to_client = world_peer(t.server, 0);
    world_fire(t.client, "r", t.to_server, 1);
    world_run(&t.w, 0.2);
    world_fire(t.client, "r", t.to_server, 2);
    wisp_leave(t.client, t.to_server, "so long");
    world_run(&t.w, 0.2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(world_count(&t.w, t.w.ends[i], WISP_JOINED), 1);
        CHECK_EQ_INT(world_count(&t.w, t.w.ends[i], WISP_LEFT), 1);
        CHECK_EQ_INT(world_last(&t.w, t.w.ends[i], WISP_LEFT)->result, WISP_OK);
        CHECK_EQ_STR(world_last(&t.w, t.w.ends[i], WISP_LEFT)->text, "so long");
    }
    CHECK_EQ_INT(world_last(&t.w, t.server, WISP_LEFT)->peer.id, t.to_client.id);
    CHECK_EQ_INT(world_last(&t.w, t.client, WISP_JOINED)->peer.id, t.to_server.id);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r"), 2);
    for (int i = 0; i < 4; i += 3) {
        const world_note *note = world_nth(&t.w, t.server, NULL, i);
        if (CHECK(note)) CHECK_EQ_STR(note->name, i ? WISP_LEFT : WISP_JOINED);
    }
    world_close(&t.w);
}

TEST(silence_is_told_as_a_timeout) {
    world_two t;
    world_two_open(&t);
    world_watch(&t.w, t.server, WISP_LEFT);
    wisp_leave(t.client, t.to_server, NULL);
    world_run(&t.w, 2);
    t.to_server = world_join(&t.w, t.client, t.server);
    world_forget(&t.w);
    t.w.ends[1] = NULL;                       /* a crash: it is updated no more */
    world_run(&t.w, 12);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_LEFT), 1);
    CHECK_EQ_INT(world_last(&t.w, t.server, WISP_LEFT)->result, WISP_E_TIMEOUT);
    t.w.ends[1] = t.client;
    world_close(&t.w);
}

TEST(a_message_nobody_listens_to_is_reported) {
    world_two t;
    world_two_open(&t);
    world_watch(&t.w, t.server, WISP_ERROR);
    wisp_remote_named(t.server, "r");
    world_fire(t.client, "r", t.to_server, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_NO_HANDLER), 1);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").unhandled, 1);
    CHECK_EQ_INT(world_total(t.server).errors, 1);
    CHECK_EQ_INT(world_fire(t.client, "r", t.to_server, 1), WISP_OK);
    world_close(&t.w);
}

static void on_failing(wisp_event *event) {
    event_runs++;
    event_inside[0] = wisp_fail(event, WISP_E_USER - 7, "no %s of %d", "more", 3);
    event_inside[1] = wisp_fail(event, WISP_OK, "not a failure");
    event_inside[2] = wisp_fail(event, 5, "neither");
    event_inside[3] = wisp_fail(event, -40000, "beyond what travels");
    event_inside[4] = wisp_fail(NULL, WISP_E_HANDLER, "x");
}

TEST(a_handler_that_fails_raises_an_error_event_and_the_loop_goes_on) {
    world_two t;
    letter l = make_letter('l');
    world_two_open(&t);
    event_runs = 0;
    wisp_connect(t.server, "r", on_failing, NULL);
    connect_letter(&t, &l, false);
    world_watch(&t.w, t.server, WISP_ERROR);
    wisp_fire(t.client, "r", t.to_server);
    CHECK_EQ_STR(fire_and_read(&t), "ll");
    CHECK_EQ_INT(event_runs, 2);
    CHECK_EQ_INT(event_inside[0], WISP_OK);
    for (int i = 1; i < 5; i++) CHECK_EQ_INT(event_inside[i], WISP_E_ARGUMENT);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_USER - 7), 2);
    CHECK(strstr(world_last(&t.w, t.server, WISP_ERROR)->text, "no more of 3") != NULL);
    CHECK(strstr(world_last(&t.w, t.server, WISP_ERROR)->text, "r") != NULL);
    CHECK_EQ_INT(world_remote_stats(t.server, "r").failures, 2);
    world_close(&t.w);
}

static void on_error_fails(wisp_event *event) {
    event_runs++;
    wisp_fail(event, WISP_E_HANDLER, "%s", event->text);
}

TEST(an_error_handler_that_fails_does_not_hang_the_update) {
    world_two t;
    world_open(&t.w);
    t.w.desc.limits.notices = 64;
    world_two_join(&t);
    event_runs = 0;
    wisp_connect(t.server, WISP_ERROR, on_error_fails, NULL);
    world_fire(t.client, "unknown", t.to_server, 1);
    world_run(&t.w, 0.1);
    CHECK(event_runs > 0);
    CHECK(event_runs < 10000);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

TEST(errors_beyond_the_limit_are_dropped_and_counted) {
    wisp_total_stats total;
    asking a;
    asking_open(&a);
    event_ask(&a, NULL);
    a.end->base.limits.notices = 5;
    for (int i = 0; i < 8; i++) wisp_arg_int(&a.event, 0);
    total = world_total(a.end);
    CHECK_EQ_INT(total.errors, 8);
    CHECK_EQ_INT(total.notices_dropped, 3);
    wisp_update(a.end, 1);
    CHECK_EQ_INT(world_count(&a.w, a.end, WISP_ERROR), 5);
    wisp_update(a.end, 2);
    wisp_arg_int(&a.event, 0);
    wisp_update(a.end, 2);
    CHECK_EQ_INT(world_count(&a.w, a.end, WISP_ERROR), 6);
    world_close(&a.w);
}

/* --- errors that are equal --- */

/* `count` errors of a code, as if of this peer. */
static void fail_often(asking *a, uint32_t peer, int code, int count) {
    a->event.peer.id = peer;
    for (int i = 0; i < count; i++) wisp_fail(&a->event, code, "%d", i);
}

TEST(equal_errors_are_told_eight_at_once_and_one_a_second_with_their_number) {
    asking a;
    asking_open(&a);
    fail_often(&a, 0, WISP_E_USER, 3000);
    wisp_update(a.end, 1);
    CHECK_EQ_INT(world_count(&a.w, a.end, WISP_ERROR), 8);
    CHECK_EQ_INT(world_total(a.end).errors, 3000);
    CHECK_EQ_INT(world_total(a.end).notices_dropped, 3000 - 8);
    CHECK_EQ_STR(world_last(&a.w, a.end, WISP_ERROR)->text, "asked: 7");
    wisp_update(a.end, 1.5);
    CHECK_EQ_INT(world_count(&a.w, a.end, WISP_ERROR), 8);
    wisp_update(a.end, 2.1);
    CHECK_EQ_INT(world_count(&a.w, a.end, WISP_ERROR), 9);
    CHECK_EQ_STR(world_last(&a.w, a.end, WISP_ERROR)->text,
                 "asked: 2992 errors were left out: application error");
    CHECK_EQ_INT(world_last(&a.w, a.end, WISP_ERROR)->result, WISP_E_USER);
    CHECK_EQ_INT(world_last(&a.w, a.end, WISP_ERROR)->remote.id, a.event.remote.id);
    for (int i = 0; i < 10; i++) {
        fail_often(&a, 0, WISP_E_USER, 5);
        wisp_update(a.end, 3.2 + i);
        CHECK_EQ_INT(world_count(&a.w, a.end, WISP_ERROR), 10 + i);
    }
    for (int i = 0; i < 10; i++) wisp_update(a.end, 13 + 2 * i);
    world_forget(&a.w);
    fail_often(&a, 0, WISP_E_USER, 9);
    wisp_update(a.end, 31.5);
    CHECK_EQ_INT(world_count(&a.w, a.end, WISP_ERROR), 8);
    world_close(&a.w);
}

TEST(errors_of_another_code_remote_or_peer_are_not_equal) {
    asking a;
    asking_open(&a);
    fail_often(&a, 1, WISP_E_USER, 20);
    fail_often(&a, 2, WISP_E_USER, 20);
    fail_often(&a, 1, WISP_E_USER - 1, 20);
    a.event.remote = wisp_remote_named(a.end, "other");
    fail_often(&a, 1, WISP_E_USER, 20);
    wisp_update(a.end, 1);
    CHECK_EQ_INT(world_count(&a.w, a.end, WISP_ERROR), 4 * 8);
    world_close(&a.w);
}

/* A peer that makes errors of ever new kinds is told of no more than its table has places, and
   what the others do is told all the same. */
TEST(no_peer_silences_what_another_does) {
    asking a;
    asking_open(&a);
    for (int i = 0; i < 5000; i++) fail_often(&a, 1, WISP_E_USER - i, 1);
    fail_often(&a, 2, WISP_E_USER, 3);
    wisp_update(a.end, 0.1);
    CHECK_EQ_INT(world_count(&a.w, a.end, WISP_ERROR), 7 + 8 + 3);
    CHECK_EQ_INT(world_last(&a.w, a.end, WISP_ERROR)->peer.id, 2);
    wisp_update(a.end, 2);
    CHECK_EQ_STR(world_last(&a.w, a.end, WISP_ERROR)->text,
                 "4985 errors were left out: of many kinds");
    CHECK_EQ_INT(world_last(&a.w, a.end, WISP_ERROR)->result, WISP_E_FLOOD);
    world_close(&a.w);
}

typedef struct shown { int lines; char text[256]; } shown;

static void on_shown(void *user, int level, wisp_result code, const char *text) {
    shown *s = (shown *)user;
    (void)level;
    (void)code;
    s->lines++;
    snprintf(s->text, sizeof s->text, "%s", text);
}

TEST(an_error_is_told_and_logged_as_text_without_controls) {
    asking a;
    shown s;
    memset(&s, 0, sizeof s);
    asking_open(&a);
    a.end->base.log = on_shown;
    a.end->base.user = &s;
    wisp_fail(&a.event, WISP_E_USER, "red \x1b[31m\n\xff \xc3\xbc \xe2\x80\xae");
    wisp_update(a.end, 0.1);
    CHECK_EQ_STR(world_last(&a.w, a.end, WISP_ERROR)->text, "asked: red ?[31m?? \xc3\xbc ?");
    CHECK_EQ_STR(s.text, "asked: red ?[31m?? \xc3\xbc ?");
    fail_often(&a, 0, WISP_E_USER, 100);
    CHECK_EQ_INT(s.lines, 8);
    world_close(&a.w);
}

TEST(life_cycle_events_are_never_dropped_for_errors) {
    party p;
    world_open(&p.w);
    p.w.desc.limits.notices = 1;
    p.w.desc.max_peers = 8;
    p.server = world_add(&p.w);
    world_watch(&p.w, p.server, WISP_JOINED);
    for (int i = 0; i < 8; i++) {
        wisp *client = world_add(&p.w);
        wisp_addr addr = world_addr(&p.w, p.server);
        wisp_peer peer = wisp_join(client, &addr, NULL, 0);
        for (int k = 0; k < 20; k++) world_fire(client, "unknown", peer, k);
    }
    world_run(&p.w, 0.5);
    CHECK_EQ_INT(world_count(&p.w, p.server, WISP_JOINED), 8);
    world_close(&p.w);
}

static const test_case tests[] = {
    CASE(the_macro_takes_none_to_sixteen_values),
    CASE(the_other_macros_take_none_and_sixteen_too),
#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L)
    CASE(plain_values_are_wrapped_by_their_type_and_remotes_go_by_handle),
#endif
    CASE(a_remote_is_fired_by_name_or_by_handle),
    CASE(a_struct_without_schema_or_data_is_nil),
    CASE(a_thousand_values_arrive),
    CASE(an_event_tells_where_it_comes_from),
    CASE(handlers_run_in_the_order_of_connection),
    CASE(one_function_connected_twice_runs_twice),
    CASE(a_connection_ends_the_state_that_it_owns_when_no_handler_runs),
    CASE(a_state_that_cannot_be_connected_has_ended_or_was_not_moved),
    CASE(a_disconnected_handler_runs_no_more),
    CASE(a_stale_connection_never_cuts_its_successor),
    CASE(once_runs_once_even_for_two_messages_of_one_packet),
    CASE(once_handlers_do_not_disturb_the_lasting_ones),
    CASE(a_handler_disconnects_itself),
    CASE(a_once_handler_disconnects_itself),
    CASE(a_handler_disconnects_a_later_one_which_then_does_not_run),
    CASE(a_handler_disconnects_the_last_one_or_an_earlier_one),
    CASE(a_handler_disconnects_all),
    CASE(a_handler_connected_inside_a_handler_waits_for_the_next_event),
    CASE(handlers_that_connect_do_not_make_their_event_endless),
    CASE(a_once_handler_that_connects_does_not_cut_off_those_behind_it),
    CASE(connections_come_back_ten_thousand_times),
    CASE(connect_refuses_what_it_needs_and_has_not),
    CASE(a_handler_fires),
    CASE(update_and_await_inside_a_handler_are_busy),
    CASE(a_handler_ends_the_session_it_is_told_about),
    CASE(a_handler_ends_other_sessions),
    CASE(a_handler_fires_to_a_peer_that_just_left),
    CASE(a_handler_destroys_its_endpoint_when_the_update_ends),
    CASE(a_handler_destroys_its_endpoint_in_the_middle_of_a_run_of_equal_messages),
    CASE(a_handler_registers_many_names),
    CASE(a_handler_joins_another_endpoint),
    CASE(numbers_convert_where_exact),
    CASE(numbers_that_do_not_fit_give_zero_and_a_report),
    CASE(arguments_keep_the_bits_of_their_floats),
    CASE(an_argument_becomes_a_float_rounded_once_or_is_reported),
    CASE(a_bool_may_be_zero_or_one_and_nothing_else),
    CASE(a_missing_or_wrong_argument_gives_nothing_and_an_error_event),
    CASE(getters_without_an_event_give_nothing),
    CASE(every_kind_reaches_its_getter),
    CASE(both_sides_are_told_of_a_session_and_of_its_end),
    CASE(silence_is_told_as_a_timeout),
    CASE(a_message_nobody_listens_to_is_reported),
    CASE(a_handler_that_fails_raises_an_error_event_and_the_loop_goes_on),
    CASE(an_error_handler_that_fails_does_not_hang_the_update),
    CASE(errors_beyond_the_limit_are_dropped_and_counted),
    CASE(equal_errors_are_told_eight_at_once_and_one_a_second_with_their_number),
    CASE(errors_of_another_code_remote_or_peer_are_not_equal),
    CASE(no_peer_silences_what_another_does),
    CASE(an_error_is_told_and_logged_as_text_without_controls),
    CASE(life_cycle_events_are_never_dropped_for_errors),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
