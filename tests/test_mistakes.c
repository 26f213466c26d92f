/* test_mistakes.c - what those who begin do wrong, and what wisp says about it: in full, and on
   both sides where both sides are told */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"

/* --- a pair whose log lines are kept --- */

enum { MISTAKE_LINES = 64 };

typedef struct mistake_log {
    char lines[MISTAKE_LINES][256];
    int  count;
} mistake_log;

typedef struct mistaken {
    world_two   t;
    mistake_log logs[2];       /* of the server and the client */
} mistaken;

static void mistake_line(void *user, int level, wisp_result code, const char *text) {
    mistake_log *log = (mistake_log *)user;
    (void)level;
    (void)code;
    if (log->count < MISTAKE_LINES) snprintf(log->lines[log->count++], 256, "%s", text);
}

/* How many lines are this text. */
static int mistake_lines(const mistake_log *log, const char *text) {
    int count = 0;
    for (int i = 0; i < log->count; i++) count += strcmp(log->lines[i], text) == 0;
    return count;
}

/* Adds an endpoint that logs, and notes its errors. */
static wisp *mistake_end(mistaken *m, int side) {
    wisp *end;
    m->t.w.desc.log = mistake_line;
    m->t.w.desc.user = &m->logs[side];
    end = world_add(&m->t.w);
    world_watch(&m->t.w, end, WISP_ERROR);
    world_watch(&m->t.w, end, WISP_LEFT);
    return end;
}

static mistaken *mistake_pair(void) {
    mistaken *m = (mistaken *)calloc(1, sizeof *m);
    world_open(&m->t.w);
    m->t.server = mistake_end(m, 0);
    m->t.client = mistake_end(m, 1);
    return m;
}

static mistaken *mistake_joined(void) {
    mistaken *m = mistake_pair();
    m->t.to_server = world_join(&m->t.w, m->t.client, m->t.server);
    m->t.to_client = world_peer(m->t.server, 0);
    return m;
}

static double world_clock(void *user) {
    (void)user;
    return 1;
}

static void mistake_close(mistaken *m) {
    world_close(&m->t.w);
    free(m);
}

/* Exactly one error event with this text, and one log line. */
static void mistake_told(const mistaken *m, int side, wisp_result code, const char *text) {
    const wisp *end = side ? m->t.client : m->t.server;
    CHECK_EQ_INT(world_results(&m->t.w, end, WISP_ERROR, code), 1);
    CHECK_EQ_STR(world_last(&m->t.w, end, WISP_ERROR)->text, text);
    CHECK_EQ_INT(mistake_lines(&m->logs[side], text), 1);
}

/* --- a name that the other end does not have --- */

static void mistake_unknown_there(mistaken *m) {
    CHECK_EQ_INT(world_fire(m->t.client, "player_stat", m->t.to_server, 1), WISP_E_NO_REMOTE);
    CHECK_EQ_STR(wisp_why_text(m->t.client), "player_stat: the other end does not know this name: "
                 "did you mean player_state?");      /* again, and logged again */
    CHECK_EQ_STR(m->logs[1].lines[--m->logs[1].count], wisp_why_text(m->t.client));
    mistake_told(m, 0, WISP_E_NO_REMOTE, "player_stat: a message for a name that is not known "
                 "here: did you mean player_state?");
    mistake_told(m, 1, WISP_E_NO_REMOTE, "player_stat: the other end does not know this name: did "
                 "you mean player_state?");
}

TEST(a_misspelt_name_is_told_on_both_sides_with_the_nearest) {
    mistaken *m = mistake_joined();
    world_watch(&m->t.w, m->t.server, "chat");
    world_watch(&m->t.w, m->t.server, "player_state");
    world_watch(&m->t.w, m->t.server, "player_left");
    world_run(&m->t.w, 1);
    CHECK_EQ_INT(world_fire(m->t.client, "player_stat", m->t.to_server, 1), WISP_OK);
    CHECK_EQ_INT(world_fire(m->t.client, "player_stat", m->t.to_server, 2), WISP_OK);
    world_run(&m->t.w, 0.5);
    mistake_unknown_there(m);
    mistake_close(m);
}

TEST(a_misspelt_name_at_the_join_or_of_a_call_is_told_alike) {
    for (int kind = 0; kind < 3; kind++) {
        mistaken *m = mistake_pair();
        wisp_call_desc none = { NULL, NULL, 0, 0, NULL, NULL };
        world_watch(&m->t.w, m->t.server, "player_state");
        if (kind == 2) wisp_remote_named(m->t.client, "player_stat");    /* announced by itself */
        m->t.to_server = world_join(&m->t.w, m->t.client, m->t.server);
        if (kind == 2) world_run(&m->t.w, 1);
        if (kind == 0) world_fire(m->t.client, "player_stat", m->t.to_server, 1);
        else CHECK(wisp_invoke_values(m->t.client, "player_stat", wisp_to_peer(m->t.to_server),
                                      &none, NULL, 0).id != 0);
        world_run(&m->t.w, 0.5);
        mistake_unknown_there(m);
        mistake_close(m);
    }
}

TEST(a_name_like_no_other_is_told_without_a_guess) {
    mistaken *m = mistake_joined();
    wisp_value large = wisp_bytes(m, 5000);
    world_watch(&m->t.w, m->t.client, "player_state");
    world_watch(&m->t.w, m->t.client, "hp");
    wisp_fire_values(m->t.server, "Weather", wisp_to_peer(m->t.to_client), &large, 1);
    world_run(&m->t.w, 0.5);
    mistake_told(m, 1, WISP_E_NO_REMOTE, "Weather: a message for a name that is not known here");
    mistake_told(m, 0, WISP_E_NO_REMOTE, "Weather: the other end does not know this name");
    mistake_close(m);
}

TEST(names_that_are_announced_and_never_used_are_no_mistake) {
    mistaken *m = mistake_joined();
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "a name with number %d", i);
        wisp_remote_named(m->t.server, name);
    }
    world_run(&m->t.w, 1);
    CHECK_EQ_INT(world_count(&m->t.w, NULL, WISP_ERROR), 0);
    CHECK_EQ_INT(m->logs[0].count + m->logs[1].count, 0);
    mistake_close(m);
}

/* --- joins --- */

/* Two endpoints that do not match; what both say. */
static void mistake_refused(const char *app, uint32_t version, const char *there,
                            const char *left) {
    mistaken *m = (mistaken *)calloc(1, sizeof *m);
    char failed[160];
    wisp_addr addr;
    world_open(&m->t.w);
    m->t.server = mistake_end(m, 0);
    m->t.w.desc.app = app;
    m->t.w.desc.app_version = version;
    m->t.client = mistake_end(m, 1);
    addr = world_addr(&m->t.w, m->t.server);
    CHECK(wisp_join(m->t.client, &addr, NULL, 0).id != 0);
    world_run(&m->t.w, 1);
    snprintf(failed, sizeof failed, "the join failed: %s", left);
    CHECK_EQ_STR(world_last(&m->t.w, m->t.client, WISP_LEFT)->text, left);
    CHECK_EQ_INT(mistake_lines(&m->logs[1], failed), 1);
    CHECK_EQ_STR(world_last(&m->t.w, m->t.server, WISP_ERROR)->text, there);
    CHECK_EQ_INT(mistake_lines(&m->logs[0], there), 1);
    mistake_close(m);
}

TEST(another_application_or_version_is_told_on_both_sides_with_both) {
    mistake_refused("chess", 0, "a join was refused: chess is another application than test here",
                    "it is test there, chess here");
    mistake_refused("test", 7, "a join was refused: its version is 7, that here is 0",
                    "its version is 0 there, 7 here");
}

/* What either side sends looks as if another wisp had sent it. */
static int mistake_tap(world *w, int n, wisp_packet *packet) {
    (void)w;
    (void)n;
    if (!(*(uint8_t *)packet->data & WISP__FLAG_SESSION))
        ((uint8_t *)packet->data)[5] = WISP_WIRE_VERSION + 1;
    return 1;
}

TEST(another_wire_version_is_told_on_both_sides_with_both) {
    mistaken *m = mistake_pair();
    wisp_addr addr = world_addr(&m->t.w, m->t.server);
    m->t.w.tap = mistake_tap;
    wisp_join(m->t.client, &addr, NULL, 0);
    world_run(&m->t.w, 1);
    CHECK_EQ_STR(m->logs[0].lines[0],
                 "a join was refused: the other end speaks wire version 3, this one 2");
    CHECK_EQ_STR(m->logs[1].lines[0],
                 "the join failed: the other end speaks wire version 3, this one 2");
    CHECK_EQ_STR(world_last(&m->t.w, m->t.client, WISP_LEFT)->text,
                 "the other end speaks wire version 3, this one 2");
    CHECK_EQ_INT(world_last(&m->t.w, m->t.client, WISP_LEFT)->result, WISP_E_WIRE_VERSION);
    mistake_close(m);
}

TEST(an_end_that_never_updates_is_asked_about) {
    mistaken *m = mistake_pair();
    wisp_addr nobody = wisp_loopback_addr(7);
    CHECK_EQ_INT(world_fire(m->t.client, "hp", wisp_server(), 1), WISP_E_STALE);
    CHECK_EQ_STR(wisp_why_text(m->t.client), "no session yet: call wisp_join");
    CHECK_EQ_INT(mistake_lines(&m->logs[1], "no session yet: call wisp_join"), 1);
    wisp_join(m->t.client, &nobody, NULL, 0);
    world_run(&m->t.w, 31);
    CHECK_EQ_STR(world_last(&m->t.w, m->t.client, WISP_LEFT)->text, "no answer: is the address "
                 "right, and does the other end call wisp_update?");
    mistake_close(m);
}

/* --- schemas, calls, sizes, plug-ins --- */

typedef struct mistake_body { int hp; float mp; } mistake_body;
static const wisp_field mistake_fields[] = {
    WISP_FIELD(mistake_body, hp, WISP_T_RANGE(0, 100)),
    WISP_FIELD(mistake_body, mp, WISP_T_NUMBER),
};
static const wisp_field mistake_wider[] = {
    WISP_FIELD(mistake_body, hp, WISP_T_RANGE(0, 100)),
    WISP_FIELD(mistake_body, mp, WISP_T_QUANTIZED(0, 10, 0.5)),
};
static const wisp_field mistake_fewer[] = {
    WISP_FIELD(mistake_body, mp, WISP_T_NUMBER),
};
static const wisp_field mistake_flagged[] = {
    WISP_FIELD(mistake_body, hp, WISP_T_RANGE(0, 100)),
    WISP_FLAG_FIELD(mistake_body, mp, WISP_T_NUMBER, WISP_FLAG_OWNER_ONLY),
};
static const wisp_schema mistake_schemas[] = {
    WISP_SCHEMA(mistake_body, 1, mistake_fields), WISP_SCHEMA(mistake_body, 1, mistake_wider),
    WISP_SCHEMA(mistake_body, 1, mistake_fewer), WISP_SCHEMA(mistake_body, 1, mistake_flagged),
    WISP_SCHEMA(mistake_body, 2, mistake_fewer),
};

static void mistake_wants_an_int(wisp_event *event) { wisp_arg_int(event, *(int *)event->user); }

/* A getter that asks for another kind, or beyond the last argument, is told with both. */
TEST(an_argument_of_another_kind_is_told_with_both) {
    static const char *const texts[] = {
        "chat: argument 0 is a string, not a whole number in range",
        "chat: there are 1 arguments, and no argument 1 (a whole number in range)" };
    for (int i = 0; i < 2; i++) {
        mistaken *m = mistake_joined();
        wisp_on(m->t.server, "chat", mistake_wants_an_int, &i);
        wisp_fire(m->t.client, "chat", m->t.to_server, wisp_string("five"));
        world_run(&m->t.w, 0.2);
        mistake_told(m, 0, WISP_E_TYPE, texts[i]);
        mistake_close(m);
    }
}

TEST(a_schema_that_differs_is_told_on_both_sides_with_the_field) {
    static const char *const texts[][2] = {
        { "body: field mp is of another type there: the schemas of version 1 differ",
          "body: field mp is of another type there: the schemas of version 1 differ" },
        { "body: field hp is not there, or elsewhere: the schemas of version 1 differ",
          "body: field mp is not there, or elsewhere: the schemas of version 1 differ" },
        { "body: field mp has other flags there: the schemas of version 1 differ",
          "body: field mp has other flags there: the schemas of version 1 differ" } };
    for (int i = 0; i < 3; i++) {
        mistaken *m = mistake_pair();
        use_schema(m->t.server, "body", &mistake_schemas[0]);
        use_schema(m->t.client, "body", &mistake_schemas[i + 1]);
        m->t.to_server = world_join(&m->t.w, m->t.client, m->t.server);
        world_run(&m->t.w, 0.5);
        mistake_told(m, 0, WISP_E_SCHEMA, texts[i][0]);
        mistake_told(m, 1, WISP_E_SCHEMA, texts[i][1]);
        mistake_close(m);
    }
}

/* The same schema on both ends, and another version of it. */
TEST(schemas_that_are_equal_or_of_other_versions_are_no_mistake) {
    for (int i = 0; i < 2; i++) {
        mistaken *m = mistake_pair();
        use_schema(m->t.server, "body", &mistake_schemas[0]);
        use_schema(m->t.client, "body", &mistake_schemas[i ? 4 : 0]);
        m->t.to_server = world_join(&m->t.w, m->t.client, m->t.server);
        world_run(&m->t.w, 0.5);
        CHECK_EQ_INT(world_count(&m->t.w, NULL, WISP_ERROR), 0);
        mistake_close(m);
    }
}

TEST(a_call_without_a_handler_is_told_on_both_sides) {
    mistaken *m = mistake_joined();
    wisp_call_desc desc = { world_on, NULL, 0, 0, NULL, NULL };
    desc.user = &m->t.w;
    world_watch(&m->t.w, m->t.server, "buy");
    CHECK(wisp_invoke_values(m->t.client, "buy", wisp_to_peer(m->t.to_server), &desc, NULL,
                             0).id != 0);
    world_run(&m->t.w, 0.5);
    mistake_told(m, 0, WISP_E_NO_HANDLER, "buy: a call without a handler: see wisp_on_invoke");
    CHECK_EQ_INT(world_results(&m->t.w, m->t.client, "buy", WISP_E_NO_HANDLER), 1);
    CHECK_EQ_STR(world_last(&m->t.w, m->t.client, "buy")->text, "no handler");
    mistake_close(m);
}

static char mistake_large[70000];

/* A call that fails, what it says, and one log line of it. */
static void mistake_says(mistaken *m, wisp_result result, wisp_result code, const char *text) {
    CHECK_EQ_INT(result, code);
    CHECK_EQ_STR(wisp_why_text(m->t.client), text);
    CHECK_EQ_INT(mistake_lines(&m->logs[1], text), 1);
}

TEST(calls_say_what_is_too_large_missing_or_out_of_range) {
    mistaken *m = mistake_joined();
    wisp *w = m->t.client;
    wisp_value large = wisp_bytes(mistake_large, 69990);
    wisp_config config;
    memset(&config, 0, sizeof config);
    wisp_set_unreliable(w, "blob", true);
    mistake_says(m, wisp_fire_values(w, "blob", wisp_to_peer(m->t.to_server), &large, 1),
                 WISP_E_TOO_BIG,
                 "blob: 69994 bytes, an unreliable message takes 65536: send it reliably");
    large = wisp_bytes(mistake_large, 2 << 20);     /* refused before it is read */
    mistake_says(m, wisp_fire_values(w, "chat", wisp_to_peer(m->t.to_server), &large, 1),
                 WISP_E_TOO_BIG, "chat: over the 1048576 bytes of desc.limits.message_bytes: send "
                 "it in parts, or raise that on both ends");
    mistake_says(m, wisp_use_compression(w, WISP_COMPRESSION_LZ4, NULL), WISP_E_UNSUPPORTED,
                 "LZ4 is not plugged in: include wisp_compress.h and call wisp_use_lz4");
    mistake_says(m, wisp_set_batch_priority(w, "blob", 1000), WISP_E_ARGUMENT,
                 "priority 1000 is not in 0 .. 999");
    config.call_timeout = -1;
    mistake_says(m, wisp_use_config(w, &config, NULL), WISP_E_ARGUMENT,
                 "config.call_timeout is -1, which is not in 0 .. 1e+09");
    mistake_says(m, world_fire(w, "wisp:left", m->t.to_server, 1), WISP_E_NAME,
                 "'wisp:left': names that begin with wisp:, \"class \" or \"property \" are wisp's "
                 "own");
    mistake_close(m);
}

/* --- the time --- */

/* Updates an endpoint of a program that gives such times; returns how many lines it logs. */
static int mistake_times(double (*clock)(int frame), int frames, const char *text) {
    mistaken *m = mistake_pair();
    int lines;
    for (int i = 0; i < frames; i++) wisp_update(m->t.client, clock(i));
    lines = m->logs[1].count;
    if (lines && text) CHECK_EQ_STR(m->logs[1].lines[lines - 1], text);
    mistake_close(m);
    return lines;
}

static double mistake_fast_ticks(int frame) { return 5000 + frame * 3 / 2; }
static double mistake_frame_ticks(int frame) { return frame * 50 / 3; }
static double mistake_frames(int frame) { return 1000 + frame * 16.6 + frame % 2 * 16.8; }
static double mistake_delta(int frame) { return 0.016 + (frame % 3) * 0.001; }
static double mistake_same_delta(int frame) { return frame >= 0 ? 1 / 60.0 : 0; }

TEST(milliseconds_and_steps_given_as_the_time_are_told) {
    static const char *const blocks = "16 s since the last wisp_update, more than half of "
        "desc.timeout (10 s): a handler or the program blocks, or the time is in milliseconds";
    CHECK_EQ_INT(mistake_times(mistake_fast_ticks, 700, "wisp_update takes the time in seconds: "
                               "5094 seems to be milliseconds"), 1);
    CHECK(mistake_times(mistake_frame_ticks, 2, blocks) == 1);
    CHECK_EQ_INT(mistake_times(mistake_frame_ticks, 2000, "wisp_update takes the time in seconds: "
                               "133 seems to be milliseconds"), 8);
    CHECK_EQ_INT(mistake_times(mistake_frames, 2000, "wisp_update takes the time in seconds: "
                               "1265.8 seems to be milliseconds"), 8);
    CHECK_EQ_INT(mistake_times(mistake_delta, 700, "wisp_update takes the time in seconds: 0.016 "
                               "seems to be the step since the last update"), 1);
    CHECK_EQ_INT(mistake_times(mistake_same_delta, 700, "wisp_update takes the time in seconds: "
                               "0.0166667 seems to be the step since the last update"), 1);
}

static double mistake_whole(int frame) { return frame; }
static double mistake_still(int frame) { return frame >= 0 ? 0 : 1; }
static double mistake_busy(int frame) { return frame * 1e-5; }
static double mistake_coarse(int frame) { return frame / 50 * 0.0156; }
static double mistake_paused(int frame) { return frame < 20 ? frame * 0.01 : 0.2; }
static double mistake_slow(int frame) { return 1e6 + frame * 1.25; }
static double mistake_jittered(int frame) { return 100 + frame * 0.1 - (frame % 5 == 4) * 0.15; }

TEST(unusual_clocks_are_no_mistake) {
    double (*const clocks[])(int) = { mistake_whole, mistake_still, mistake_busy, mistake_coarse,
                                      mistake_paused, mistake_slow, mistake_jittered };
    for (int i = 0; i < TEST_COUNT(clocks); i++)
        CHECK_EQ_INT(mistake_times(clocks[i], 2000, NULL), 0);
}

TEST(a_handler_that_blocks_is_told_and_equal_lines_are_throttled) {
    mistaken *m = mistake_joined();
    m->t.w.now += 6;
    world_step(&m->t.w);
    CHECK_EQ_INT(m->logs[0].count, 1);
    CHECK(strstr(m->logs[0].lines[0], "6.01 s since the last wisp_update") != NULL);
    for (int i = 0; i < 1000; i++) world_fire(m->t.client, "wisp:x", m->t.to_server, 1);
    CHECK_EQ_INT(m->logs[1].count, 1 + WISP__THROTTLE_BURST);
    world_run(&m->t.w, 1);
    CHECK_EQ_STR(m->logs[1].lines[m->logs[1].count - 1], "992 lines were left out: '...': names "
                 "that begin with wisp:, \"class \" or \"property \" are wisp's own");
    mistake_close(m);
}

/* --- every call --- */

typedef struct mistake_call { const char *name; wisp_result (*fails)(mistaken *m); } mistake_call;

#define WRONG(call, expression) \
    static wisp_result wrong_##call(mistaken *m) { \
        wisp *w = m->t.client; \
        wisp_peer none = { 0 }; \
        (void)w; \
        (void)none; \
        return (expression); \
    }
#define WHY(handle) ((handle).id ? WISP_OK : wisp_why(w))

static wisp_group mistake_group(void) { wisp_group g = { 99 }; return g; }
static wisp_remote mistake_remote(void) { wisp_remote r = { 99 }; return r; }
static wisp_call mistake_handle(void) { wisp_call c = { 99 }; return c; }
static wisp_event mistake_event(wisp *w) {
    wisp_event e;
    memset(&e, 0, sizeof e);
    e.w = w;
    e.name = "buy";
    return e;
}

WRONG(add_compressor, wisp_add_compressor(w, NULL))
WRONG(set_peer_user, wisp_set_peer_user(w, none, NULL))
WRONG(use_config, wisp_use_config(w, NULL, ""))
WRONG(use_schemas, wisp_use_schemas(w, NULL, 1))
WRONG(set_delivery, wisp_set_delivery(w, "a", (wisp_delivery)9))
WRONG(set_channel, wisp_set_channel(w, "a", 16))
WRONG(set_batch_mode, wisp_set_batch_mode(w, "a", (wisp_batch_mode)-1))
WRONG(set_batch_priority, wisp_set_batch_priority(w, "a", -1))
WRONG(set_max_batch_size, wisp_set_max_batch_size(w, -5))
WRONG(use_compression, wisp_use_compression(w, (wisp_compression)77, NULL))
WRONG(set_rate_limit, wisp_set_rate_limit(w, strtod("nan", NULL), "a"))
WRONG(add_codec, wisp_add_codec(w, NULL))
WRONG(remote_named, WHY(wisp_remote_named(w, NULL)))
WRONG(group_named, WHY(wisp_group_named(w, "")))
WRONG(group_add, wisp_group_add(w, mistake_group(), m->t.to_server))
WRONG(group_remove, wisp_group_remove(w, mistake_group(), none))
WRONG(group_end, wisp_group_end(w, mistake_group()))
WRONG(fire_stale, world_fire(w, "a", none, 1))
WRONG(fire_list, wisp_fire_values(w, "a", wisp_to_list(NULL, 3), NULL, 0))
WRONG(fire_skipped, wisp_fire_values(w, "a", wisp_to_list(&none, 1), NULL, 0))
WRONG(fire_group, wisp_fire_values(w, "a", wisp_to_group(mistake_group()), NULL, 0))
WRONG(fire_values, wisp_fire_values(w, "a", wisp_to_all(), NULL, 3))
WRONG(fire_name, wisp_fire_values(w, NULL, wisp_to_all(), NULL, 0))
WRONG(send, wisp_send(w, mistake_remote(), wisp_to_all(), NULL, 0))
static const wisp_sink mistake_sink = { NULL, NULL, NULL };
static const wisp_budget mistake_budget = { -1, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, NULL, 0 };
static wisp_remote_profile mistake_profile;
WRONG(use_sink, wisp_use_sink(w, &mistake_sink))
WRONG(connect, WHY(wisp_connect_target(w, wisp_by_name("a"), NULL, NULL, false)))
WRONG(connect_match, WHY(wisp_connect_match(w, "(", world_on, NULL)))
WRONG(use, wisp_use(w, NULL))
WRONG(unuse, wisp_unuse(w, "nobody"))
WRONG(invoke, WHY(wisp_invoke_values(w, "a", wisp_to_peer(none), NULL, NULL, 0)))
WRONG(on_invoke, wisp_on_invoke_target(w, wisp_by_handle(mistake_remote()), world_on, NULL))
WRONG(answer, wisp_answer(w, mistake_handle(), NULL, 0))
WRONG(answer_fail, wisp_answer_fail(w, mistake_handle(), 5, "no"))
WRONG(leave_with, wisp_leave_with(w, none, WISP_OK, ""))
WRONG(drain, wisp_drain(w, m->t.to_server, "", -1))
WRONG(join, WHY(wisp_join(w, NULL, NULL, 0)))
WRONG(admit, wisp_admit(w, wisp_peer_addr(w, m->t.to_server), WISP_OK))
WRONG(query, wisp_query(w, NULL, NULL, NULL))
WRONG(set_info, wisp_set_info(w, mistake_large, 600))
WRONG(update, wisp_update(w, strtod("nan", NULL)))
WRONG(await_ready, wisp_await_ready(w, NULL, NULL, 1))
WRONG(await_reply, wisp_await_reply(w, mistake_handle(), NULL, NULL, world_clock, NULL))
WRONG(profile_peer, wisp_profile_peer(w, none, NULL))
WRONG(profile_remote, wisp_profile_remote(w, "a", &mistake_profile))
WRONG(snapshot, wisp_snapshot_take(w, NULL, NULL))
WRONG(peer_json, wisp_peer_json(w, none, NULL, 0))
WRONG(budget, wisp_use_budget(w, &mistake_budget))

static wisp_result wrong_reply(mistaken *m) {
    wisp_event event = mistake_event(m->t.client);
    return wisp_reply_values(&event, NULL, 0);
}

static wisp_result wrong_fail(mistaken *m) {
    wisp_event event = mistake_event(m->t.client);
    return wisp_fail(&event, 5, "no");
}

static wisp_result wrong_change(mistaken *m) {
    wisp_event event = mistake_event(m->t.client);
    return wisp_change(&event, NULL, 0);
}

#define ROW(call) { #call, wrong_##call }
static const mistake_call mistake_calls[] = {
    ROW(add_compressor), ROW(set_peer_user), ROW(use_config), ROW(use_schemas), ROW(set_delivery),
    ROW(set_channel), ROW(set_batch_mode), ROW(set_batch_priority), ROW(set_max_batch_size),
    ROW(use_compression), ROW(set_rate_limit), ROW(add_codec), ROW(remote_named), ROW(group_named),
    ROW(group_add), ROW(group_remove), ROW(group_end), ROW(fire_stale), ROW(fire_list),
    ROW(fire_skipped), ROW(fire_group), ROW(fire_values), ROW(fire_name), ROW(send), ROW(use_sink),
    ROW(connect), ROW(connect_match), ROW(use), ROW(unuse), ROW(invoke), ROW(on_invoke),
    ROW(answer), ROW(answer_fail), ROW(leave_with), ROW(drain), ROW(join), ROW(admit), ROW(query),
    ROW(set_info), ROW(update), ROW(await_ready), ROW(await_reply), ROW(profile_peer),
    ROW(profile_remote), ROW(snapshot), ROW(peer_json), ROW(budget), ROW(reply), ROW(fail),
    ROW(change),
};

TEST(every_call_that_fails_says_why) {
    mistaken *m = mistake_joined();
    for (int i = 0; i < TEST_COUNT(mistake_calls); i++) {
        wisp_result code;
        const char *text = wisp_why_text(m->t.client);
        m->t.client->registry.text[0] = 0;
        code = mistake_calls[i].fails(m);
        if (!CHECK(code < 0) || !CHECK(strlen(text) > 8) ||
            !CHECK(strcmp(text, wisp_result_text(code)) != 0) ||
            !CHECK_EQ_INT(wisp_why(m->t.client), code))
            printf("  %s: %d '%s'\n", mistake_calls[i].name, code, text);
    }
    mistake_close(m);
}

TEST(a_desc_that_is_wrong_is_logged) {
    mistake_log log;
    wisp_desc desc;
    wisp_result why;
    memset(&log, 0, sizeof log);
    memset(&desc, 0, sizeof desc);
    desc.log = mistake_line;
    desc.user = &log;
    CHECK(wisp_create(&desc, &why) == NULL);
    CHECK_EQ_STR(log.lines[0], "desc.link needs send and recv");
}

TEST(edits_between_names_are_counted) {
    static const struct { const char *a, *b; int edits; } names[] = {
        { "hp", "hp", 0 }, { "hp", "mp", 1 }, { "chat", "caht", 2 }, { "", "abc", 3 },
        { "PlayerState", "player_state", 1 }, { "abcdef", "uvwxyz", 4 }, { "kitten", "sitting", 3 }
    };
    for (int i = 0; i < WISP__LENGTH(names); i++) {
        int a = (int)strlen(names[i].a), b = (int)strlen(names[i].b);
        CHECK_EQ_INT(wisp__edits(names[i].a, a, names[i].b, b, 4), names[i].edits);
        CHECK_EQ_INT(wisp__edits(names[i].b, b, names[i].a, a, 4), names[i].edits);
    }
}

/* --- no memory --- */

static wisp_result wrong_hook(wisp_event *event) { return event ? WISP_PASS : WISP_DROP; }
static bool mistake_no_entropy(void *user, void *out, int size) { return !user && !out && !size; }

static void mistake_silent(wisp_event *event) { (void)event; }
static void mistake_moved(void *to, void *from) { memcpy(to, from, 1); }
static void mistake_ended(void *state) { (void)state; }
static char mistake_byte;
static const wisp_state mistake_state = { mistake_silent, &mistake_byte, 1, mistake_moved,
                                          mistake_ended };
static const wisp_middleware mistake_middleware = { "m", NULL, wrong_hook, NULL, NULL, NULL };
static const wisp_addr *mistake_there(mistaken *m) {
    return wisp_peer_addr(m->t.client, m->t.to_server);
}

WRONG(connect_full, WHY(wisp_connect_target(w, wisp_by_name("a"), mistake_silent, NULL, false)))
WRONG(state_full, WHY(wisp_connect_state(w, wisp_by_name("b"), &mistake_state, false)))
WRONG(match_full, WHY(wisp_connect_match(w, "^a", mistake_silent, NULL)))
WRONG(match_state_full, WHY(wisp_connect_match_state(w, "^a", &mistake_state)))
WRONG(on_invoke_full, wisp_on_invoke_state(w, wisp_by_name("c"), &mistake_state))
WRONG(invoke_full, WHY(wisp_invoke_values(w, "d", wisp_to_peer(m->t.to_server), NULL, NULL, 0)))
WRONG(invoke_state_full, WHY(wisp_invoke_state(w, wisp_by_name("e"), m->t.to_server,
                                               &mistake_state, NULL, 0)))
WRONG(query_full, wisp_query(w, mistake_there(m), mistake_silent, NULL))
WRONG(query_state_full, wisp_query_state(w, mistake_there(m), &mistake_state))
WRONG(group_full, WHY(wisp_group_named(w, "red")))
WRONG(use_full, wisp_use(w, &mistake_middleware))
WRONG(config_full, wisp_set_unreliable(w, "f", true))
WRONG(schema_full, use_schema(w, "body", &mistake_schemas[0]))
WRONG(info_full, wisp_set_info(w, "here", 4))
static wisp_result mistake_fire(wisp *w, wisp_peer to) {
    wisp_value value = wisp_bytes(mistake_large, sizeof mistake_large);
    return wisp_fire_values(w, "g", wisp_to_peer(to), &value, 1);
}
WRONG(fire_full, mistake_fire(w, m->t.to_server))

static const mistake_call mistake_full[] = {
    ROW(connect_full), ROW(state_full), ROW(match_full), ROW(match_state_full),
    ROW(on_invoke_full), ROW(invoke_full), ROW(invoke_state_full), ROW(query_full),
    ROW(query_state_full), ROW(group_full), ROW(use_full), ROW(config_full), ROW(schema_full),
    ROW(info_full), ROW(fire_full),
};

/* Makes a call in a new world, with memory for so many pieces; returns its result. */
static wisp_result mistake_short(const mistake_call *call, int pieces) {
    mistaken *m = (mistaken *)calloc(1, sizeof *m);
    ledger memory = ledger_none();
    wisp_result code;
    world_open(&m->t.w);
    m->t.w.desc.memory = ledger_memory(&memory);
    m->t.server = mistake_end(m, 0);
    m->t.client = mistake_end(m, 1);
    m->t.to_server = world_join(&m->t.w, m->t.client, m->t.server);
    memory.fail_at = memory.asked + pieces + 1;
    memory.fail_on = true;
    code = call->fails(m);
    if (code == WISP_E_MEMORY) {
        const char *text = wisp_why_text(m->t.client);
        bool same = strstr(text, "desc.memory gave no more memory: ") == text;
        CHECK_EQ_INT(wisp_why(m->t.client), code);
        if (!CHECK(same && mistake_lines(&m->logs[1], text) == 1))
            printf("  %s: '%s'\n", call->name, text);
    }
    memory.fail_at = 0;
    mistake_close(m);
    CHECK_EQ_INT((int)memory.out, 0);
    return code;
}

TEST(every_call_that_gets_no_memory_says_so) {
    for (int i = 0; i < TEST_COUNT(mistake_full); i++) {
        int pieces = 0;
        while (pieces < 32 && mistake_short(&mistake_full[i], pieces) == WISP_E_MEMORY) pieces++;
        if (!CHECK(pieces > 0 && pieces < 32)) printf("  %s: %d\n", mistake_full[i].name, pieces);
    }
}

TEST(an_endpoint_that_gets_no_memory_or_randomness_is_logged) {
    mistake_log log;
    wisp_pipe pipe;
    wisp_desc desc;
    wisp_result why = WISP_E_MEMORY;
    ledger memory = ledger_none();
    memset(&desc, 0, sizeof desc);
    memset(&pipe, 0, sizeof pipe);
    desc.link = wisp_loopback(&pipe, 0);
    desc.log = mistake_line;
    desc.user = &log;
    desc.seed = 1;
    desc.memory = ledger_memory(&memory);
    memory.fail_on = true;
    for (memory.fail_at = 1; why; memory.fail_at++) {
        log.count = memory.asked = 0;
        wisp_destroy(wisp_create(&desc, &why));
        if (why) CHECK_EQ_INT(mistake_lines(&log, "no endpoint: desc.memory gave no memory"), 1);
    }
    CHECK(memory.fail_at > 5);
    desc.seed = 0;
    desc.entropy = mistake_no_entropy;
    memory.fail_at = 0;
    CHECK(wisp_create(&desc, &why) == NULL && why == WISP_E_ENTROPY);
    wisp_pipe_free(&pipe);
    CHECK_EQ_STR(log.lines[log.count - 1],
                 "no endpoint: no random numbers: set desc.entropy, or desc.seed in tests");
}

static const test_case tests[] = {
    CASE(another_application_or_version_is_told_on_both_sides_with_both),
    CASE(another_wire_version_is_told_on_both_sides_with_both),
    CASE(every_call_that_gets_no_memory_says_so),
    CASE(an_endpoint_that_gets_no_memory_or_randomness_is_logged),
    CASE(an_end_that_never_updates_is_asked_about),
    CASE(an_argument_of_another_kind_is_told_with_both),
    CASE(a_schema_that_differs_is_told_on_both_sides_with_the_field),
    CASE(schemas_that_are_equal_or_of_other_versions_are_no_mistake),
    CASE(a_call_without_a_handler_is_told_on_both_sides),
    CASE(calls_say_what_is_too_large_missing_or_out_of_range),
    CASE(milliseconds_and_steps_given_as_the_time_are_told),
    CASE(unusual_clocks_are_no_mistake),
    CASE(a_handler_that_blocks_is_told_and_equal_lines_are_throttled),
    CASE(every_call_that_fails_says_why),
    CASE(a_desc_that_is_wrong_is_logged),
    CASE(a_misspelt_name_is_told_on_both_sides_with_the_nearest),
    CASE(a_misspelt_name_at_the_join_or_of_a_call_is_told_alike),
    CASE(a_name_like_no_other_is_told_without_a_guess),
    CASE(names_that_are_announced_and_never_used_are_no_mistake),
    CASE(edits_between_names_are_counted),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
