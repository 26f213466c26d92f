/* test_recorder.c - tapes that are torn, damaged or malicious */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/tapes.h"

static tape_party torn;

static void record_torn(double seconds) {
    memset(&torn, 0, sizeof torn);
    tape_party_open(&torn, 3);
    tape_party_run(&torn, seconds);
    tape_party_close(&torn);
}

/* The same, begun after a second. */
static void record_torn_midway(double seconds) {
    memset(&torn, 0, sizeof torn);
    tape_party_begin(&torn, 3);
    tape_game_setup(&torn.game, torn.server, &torn.notes);
    tape_party_join(&torn);
    tape_party_run(&torn, 1);
    CHECK_EQ_INT(tape_party_record(&torn), WISP_OK);
    tape_party_run(&torn, seconds);
    tape_party_close(&torn);
}

/* Where the block behind one begins. */
static int block_after(int at) { return at + 16 + (int)wisp__load_part(torn.tape.bytes + at, 4); }

TEST(a_tape_can_be_read_to_its_last_whole_block) {
    int whole = 0, size, seen = -1;
    record_torn(9);
    size = torn.tape.size;
    for (int at = 56; at < size; at = block_after(at)) {
        for (int more = 0; more < 3; more++) {
            torn.tape.size = more == 1 ? at + 9 : more ? block_after(at) - 1 : at;
            tape_party_replay(&torn, NULL);
            CHECK_EQ_INT(torn.result, WISP_E_CLOSED);
            CHECK_EQ_STR(torn.told, "");
            CHECK(torn.again.count >= seen);
            seen = torn.again.count;
        }
        whole++;
    }
    CHECK(whole > 3 && seen > 300);
    free(torn.tape.bytes);
}

TEST(a_changed_byte_anywhere_is_noticed) {
    record_torn(3);
    for (int at = 0; at < torn.tape.size; at += at < 16 ? 3 : at < 76 ? 7 : 2997) {
        wisp_reader reader = { tape_read, &torn.tape, NULL };
        wisp_desc desc = tape_desc(wisp_loopback(&torn.pipe, 0), 30);
        wisp_result why = WISP_OK;
        wisp *w;
        bool good = at >= 16 && at < 56;       /* keys: the replay diverges */
        torn.tape.bytes[at] ^= 4;
        torn.tape.read = 0;
        w = wisp_replay(&reader, &desc, &why);
        CHECK_EQ_INT(!w, at < 16);
        if (!w) CHECK(why == WISP_E_SYNTAX || why == WISP_E_VERSION);
        for (int i = 0; w && i < 10000 && (why = wisp_update(w, 0)) != WISP_E_CLOSED; i++) continue;
        if (w) CHECK_EQ_INT(why, WISP_E_CLOSED);
        if (w && !good)
            CHECK(strstr(wisp_why_text(w), "torn") || strstr(wisp_why_text(w), "damaged"));
        wisp_destroy(w);
        wisp_pipe_free(&torn.pipe);
        torn.tape.bytes[at] ^= 4;
    }
    free(torn.tape.bytes);
}

TEST(numbers_of_a_tape_come_back) {
    static const int64_t numbers[] = { 0, 1, -1, 63, -64, 64, 128, -8192, INT64_MAX, INT64_MIN };
    wisp_writer writer = { tape_write, &torn.tape, WISP_COMPRESSION_NONE, false, NULL, 0 };
    wisp__from from;
    wisp_desc desc;
    wisp *w;
    memset(&torn, 0, sizeof torn);
    desc = tape_desc(wisp_loopback(&torn.pipe, 0), 0);
    w = wisp_create(&desc, NULL);
    wisp_record(w, &writer);
    CHECK(wisp__tape_begin(w, WISP__TAPE_NOTE));
    for (int i = 0; i < TEST_COUNT(numbers); i++) wisp__tape_sign(w->tape, numbers[i]);
    from.at = w->tape->bytes + w->tape->begun + 2;
    from.end = w->tape->bytes + w->tape->at;
    from.failed = false;
    for (int i = 0; i < TEST_COUNT(numbers); i++)
        CHECK_EQ_INT(wisp__tape_get_sign(&from), numbers[i]);
    CHECK(!from.failed && from.at == from.end);
    wisp__bytes_number(&from);
    CHECK(from.failed);
    w->tape->at = w->tape->begun;
    wisp_destroy(w);
    wisp_pipe_free(&torn.pipe);
    free(torn.tape.bytes);
}

/* Plays a tape to its end; false: it has none. */
static bool torn_ends(void) {
    wisp_reader reader = { tape_read, &torn.tape, NULL };
    wisp_desc desc = tape_desc(wisp_loopback(&torn.pipe, 0), 30);
    wisp_result why = WISP_E_CLOSED;
    wisp *w;
    torn.tape.read = 0;
    w = wisp_replay(&reader, &desc, &why);
    if (w) tape_game_setup(&torn.game, w, &torn.again);
    for (int i = 0; w && i < 500 && (why = wisp_update(w, 0)) != WISP_E_CLOSED; i++) continue;
    wisp_destroy(w);
    wisp_pipe_free(&torn.pipe);
    return !w || why == WISP_E_CLOSED;
}

/* A tape of one block whose bytes change one after the other, with the check that they should have
   then; and one that ends at each byte. The environment may ask for all of them: TAPE_STEP=1. */
static void any_byte(void) {
    const char *each = getenv("TAPE_STEP");
    int step = each ? atoi(each) : 101, size;
    size = torn.tape.size;
    for (int at = 56; at < size; at += step) {
        int stored = (int)wisp__load_part(torn.tape.bytes + 56, 4);
        uint8_t was = torn.tape.bytes[at];
        for (int to = 0; to < 4; to++) {
            torn.tape.bytes[at] = (uint8_t)(to == 0 ? was ^ 1 << at % 7 : to == 1 ? was + 1
                                            : to == 2 ? 255 : 0);
            if (at >= 72)
                wisp__store_part(torn.tape.bytes + 68,
                                 wisp__tape_sum(torn.tape.bytes + 56, stored), 4);
            if (!CHECK(torn_ends())) printf("  at %d: %d\n", at, torn.tape.bytes[at]);
        }
        torn.tape.bytes[at] = was;
        if (at >= 72)
            wisp__store_part(torn.tape.bytes + 68, wisp__tape_sum(torn.tape.bytes + 56, stored), 4);
        torn.tape.size = at;
        CHECK(torn_ends());
        torn.tape.size = size;
    }
    free(torn.tape.bytes);
}

TEST(any_byte_of_a_tape_may_be_anything_and_any_the_last) {
    record_torn(0.4);
    any_byte();
}

TEST(so_may_any_byte_of_one_that_begins_in_the_middle) {
    record_torn_midway(0.3);
    any_byte();
}

static const test_case tests[] = {
    CASE(a_tape_can_be_read_to_its_last_whole_block),
    CASE(a_changed_byte_anywhere_is_noticed),
    CASE(numbers_of_a_tape_come_back),
    CASE(any_byte_of_a_tape_may_be_anything_and_any_the_last),
    CASE(so_may_any_byte_of_one_that_begins_in_the_middle),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
