/* test_mistakes.c - what those who begin do wrong, and what wisp says about it: in full, and on
   both sides where both sides are told */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"

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
        wisp_call_desc none = { NULL, NULL, 0, 0, NULL };
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

static const test_case tests[] = {
    CASE(a_misspelt_name_is_told_on_both_sides_with_the_nearest),
    CASE(a_misspelt_name_at_the_join_or_of_a_call_is_told_alike),
    CASE(a_name_like_no_other_is_told_without_a_guess),
    CASE(names_that_are_announced_and_never_used_are_no_mistake),
    CASE(edits_between_names_are_counted),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
