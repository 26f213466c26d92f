/* test_tape.c - recordings of endpoints, and their replays */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/tapes.h"

static tape_party taped;

static void record_party(uint64_t seed, double seconds) {
    memset(&taped, 0, sizeof taped);
    tape_party_open(&taped, seed);
    tape_party_run(&taped, seconds);
    tape_party_close(&taped);
}

/* Objects, properties, messages, calls, joins over a bad network, and calls from outside. The
   environment may ask for more seconds. */
TEST(all_that_a_server_did_comes_out_again_in_a_replay) {
    const char *seconds = getenv("TAPE_SECONDS");
    for (uint64_t seed = 1; seed < 3; seed++) {
        record_party(seed, seconds && seed == 1 ? strtod(seconds, NULL) : 8);
        CHECK(taped.notes.count > 500);
        tape_party_replay(&taped, NULL);
        CHECK_EQ_INT(taped.result, WISP_E_CLOSED);
        CHECK_EQ_STR(taped.told, "");
        CHECK_EQ_INT(taped.again.count, taped.notes.count);
        CHECK(taped.again.hash == taped.notes.hash);
        free(taped.tape.bytes);
    }
}

TEST(the_program_of_a_replay_may_make_the_calls_from_outside_too) {
    memset(&taped, 0, sizeof taped);
    tape_party_begin(&taped, 5);
    tape_party_record(&taped);
    wisp_set_channel(taped.server, "chat", 3);
    tape_game_setup(&taped.game, taped.server, &taped.notes);
    wisp_group_named(taped.server, "reds");
    wisp_update(taped.server, 1);
    tape_party_close(&taped);
    for (int also = 0; also < 2; also++) {
        wisp_reader reader = { tape_read, &taped.tape };
        wisp_desc desc = tape_desc(wisp_loopback(&taped.pipe, 0), 30);
        wisp *w;
        taped.tape.read = 0;
        w = wisp_replay(&reader, &desc, NULL);
        if (also) wisp_set_channel(w, "chat", 3);
        tape_game_setup(&taped.game, w, &taped.again);
        if (also) wisp_group_named(w, "reds");
        CHECK_EQ_INT(wisp_update(w, 0), WISP_OK);
        CHECK_NEAR(wisp_now(w), 1, 1e-9);
        CHECK_EQ_INT(w->groups.live, 1);
        CHECK_EQ_INT(wisp_update(w, 0), WISP_E_CLOSED);
        wisp_destroy(w);
        wisp_pipe_free(&taped.pipe);
    }
    free(taped.tape.bytes);
}

static void with_other_heat(tape_party *p, wisp *w) { p->game.bend = 100, (void)w; }

/* The struct of an object differs at the end of a tick. */
TEST(a_handler_that_edits_otherwise_is_found_in_its_tick) {
    record_party(7, 6);
    tape_party_replay(&taped, with_other_heat);
    CHECK(strstr(taped.told, "tick 100: state 'class orb'") != NULL);
    CHECK(strstr(taped.told, "\"heat\":10") != NULL);
    CHECK(strstr(taped.told, "\"heat\":13") != NULL);
    CHECK_EQ_INT(taped.again.count, taped.notes.count);
    taped.game.bend = 0;
    free(taped.tape.bytes);
}

static void with_a_shout(tape_party *p, wisp *w) { p->game.shout = 9, (void)w; }

TEST(a_handler_that_calls_otherwise_is_told_with_the_call_and_both_values) {
    record_party(8, 6);
    tape_party_replay(&taped, with_a_shout);
    CHECK(strstr(taped.told, "fire 'chat'") != NULL);
    CHECK(strstr(taped.told, "here is") && strstr(taped.told, "\"HELLO\"") != NULL);
    taped.game.shout = 0;
    free(taped.tape.bytes);
}

static void with_a_handler_less(tape_party *p, wisp *w) {
    wisp__remote *remote = wisp__registry_find(&w->registry, "chat", 4);
    wisp_connection c = { remote->first->slot.id };
    wisp_disconnect(w, c);
    (void)p;
}

TEST(a_handler_that_is_not_there_is_missed) {
    record_party(9, 6);
    tape_party_replay(&taped, with_a_handler_less);
    CHECK(strstr(taped.told, "the tape has 'handler 'chat'") != NULL);
    free(taped.tape.bytes);
}

TEST(what_a_tape_is_refused_for) {
    wisp_writer writer = { tape_write, &taped.tape, WISP_COMPRESSION_LZ4, false };
    wisp_writer nothing = { NULL, NULL, WISP_COMPRESSION_NONE, false };
    wisp_desc desc;
    wisp_result why;
    wisp *w;
    memset(&taped, 0, sizeof taped);
    desc = tape_desc(wisp_loopback(&taped.pipe, 0), 0);
    w = wisp_create(&desc, &why);
    CHECK_EQ_INT(wisp_record(NULL, &writer), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_record(w, NULL), WISP_OK);
    CHECK_EQ_INT(wisp_record(w, &nothing), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_record(w, &writer), WISP_E_UNSUPPORTED);
    writer.compression = WISP_COMPRESSION_NONE;
    CHECK_EQ_INT(wisp_record(w, &writer), WISP_OK);
    CHECK_EQ_INT(wisp_record(w, &writer), WISP_E_BUSY);
    taped.tape.fail_after = taped.tape.size + 1;
    wisp_update(w, 0);
    wisp_update(w, 3);
    wisp_update(w, 6);
    CHECK_EQ_INT(wisp_record(w, NULL), WISP_E_LINK);
    wisp_destroy(w);
    wisp_pipe_free(&taped.pipe);
    free(taped.tape.bytes);
}

/* A server that nobody has joined, updated 60 times a second by a clock that trembles. */
TEST(the_tape_of_an_idle_server_has_at_most_100_bytes_a_second) {
    wisp_writer writer = { tape_write, &taped.tape, WISP_COMPRESSION_NONE, false };
    wisp_desc desc;
    uint64_t random = 1;
    double now = 1e5;
    int begin;
    wisp *w;
    memset(&taped, 0, sizeof taped);
    desc = tape_desc(wisp_loopback(&taped.pipe, 0), 60);
    w = wisp_create(&desc, NULL);
    wisp_record(w, &writer);
    wisp_on_tick(w, tape_client_event, NULL);
    for (int i = 0; i < 60; i++) wisp_update(w, now += 1.0 / 60);
    begin = taped.tape.size;
    for (int i = 0; i < 6000; i++) {
        random = wisp__mix(random + 1);
        wisp_update(w, now += 1.0 / 60 + (double)(random & 255) * 1e-6);
    }
    CHECK((taped.tape.size - begin) / 101 <= 75);
    wisp_destroy(w);
    wisp_pipe_free(&taped.pipe);
    free(taped.tape.bytes);
}

static const test_case tests[] = {
    CASE(all_that_a_server_did_comes_out_again_in_a_replay),
    CASE(the_program_of_a_replay_may_make_the_calls_from_outside_too),
    CASE(a_handler_that_edits_otherwise_is_found_in_its_tick),
    CASE(a_handler_that_calls_otherwise_is_told_with_the_call_and_both_values),
    CASE(a_handler_that_is_not_there_is_missed),
    CASE(what_a_tape_is_refused_for),
    CASE(the_tape_of_an_idle_server_has_at_most_100_bytes_a_second),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
