/* test_names.c - announcements and their answers, honest and forged */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"
#include "support/forged_packets.h"

/* --- names --- */

TEST(a_name_unknown_there_is_reported_on_both_sides) {
    forger *b = forger_open();
    int remotes = world_total(b->t.server).remotes;
    CHECK_EQ_INT(world_fire(b->t.client, "nope", b->t.to_server, 1), WISP_OK);
    world_fire(b->t.client, "hp", b->t.to_server, 2);
    world_run(&b->t.w, 0.2);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR, WISP_E_NO_REMOTE), 1);
    CHECK_EQ_INT(world_remote_stats(b->t.client, "nope").unknown, 1);
    CHECK_EQ_INT(world_fire(b->t.client, "nope", b->t.to_server, 1), WISP_E_NO_REMOTE);
    CHECK_EQ_INT(world_remote_stats(b->t.client, "nope").undeliverable, 1);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 1);
    CHECK_EQ_INT(world_total(b->t.server).names_unknown, 1);
    CHECK_EQ_INT(world_total(b->t.server).remotes, remotes);
    CHECK(forger_joined(b));
    forger_close(b);
}

/* When the name is registered there later, that side's own announcement makes it known, with its
   next packet: at the latest a keepalive. */
TEST(a_name_that_was_unknown_works_once_it_is_registered) {
    forger *b = forger_open();
    world_fire(b->t.client, "late", b->t.to_server, 1);
    world_run(&b->t.w, 0.2);
    CHECK_EQ_INT(world_fire(b->t.client, "late", b->t.to_server, 1), WISP_E_NO_REMOTE);
    world_watch(&b->t.w, b->t.server, "late");
    world_run(&b->t.w, 3);
    CHECK_EQ_INT(world_fire(b->t.client, "late", b->t.to_server, 3), WISP_OK);
    world_run(&b->t.w, 0.2);
    CHECK_EQ_INT(world_last(&b->t.w, b->t.server, "late")->number, 3);
    forger_close(b);
}

TEST(thousands_of_unknown_names_take_no_memory) {
    forger *b = forger_open();
    wisp__session *s = forger_server_side(b);
    char name[16];
    uint64_t before = world_total(b->t.server).memory;
    for (int packet = 0; packet < 200; packet++) {
        wisp__writer *to = body(b);
        for (int i = 0; i < 50; i++) {
            int id = 100 + packet * 50 + i;
            put_announcement(to, id, name, snprintf(name, sizeof name, "n%d", id));
        }
        send_body(b);
        world_update(&b->t.w, 0);
    }
    CHECK(forger_joined(b));
    CHECK_EQ_INT(world_total(b->t.server).names_unknown, 10000);
    CHECK(s->their_room <= 16);
    CHECK(world_total(b->t.server).memory - before < 100000);
    forger_close(b);
}

/* --- encodings that a peer writes as it likes --- */

/* An announcement of "hp" as number 1, whose encoding has these flags, and a descriptor of so many
   bits that make no sense. */
static void put_encoding(wisp__writer *to, int kind, unsigned flags, int bits) {
    uint8_t extra[64 + 8] = { 0 };
    wisp__writer out = wisp__writer_on(extra, 64);
    wisp__put(&out, flags & 15, 4);
    wisp__put(&out, bits > 0, 1);
    wisp__put(&out, flags >> 4 & 1, 1);
    if (kind == WISP__CODED) wisp__put_text(&out, "json");
    if (flags >> 4 & 1) wisp__put(&out, 77, 32);
    if (bits) wisp__put_length(&out, (uint64_t)bits);
    for (int i = 0; i < bits; i++) wisp__put(&out, 1, 1);
    wisp__put_align(&out);
    wisp__frame_put(to, WISP__FRAME_ANNOUNCE);
    wisp__put_length(to, 1);
    wisp__put_length(to, 2);
    put_text(to, "hp", 2);
    wisp__put(to, 9, 8);
    wisp__put(to, (uint64_t)kind, 8);
    wisp__put_length(to, (uint64_t)(out.at / 8));
    for (int64_t i = 0; i < out.at / 8; i++) wisp__put(to, extra[i], 8);
}

/* No encoding is taken, of all kinds and bits, also those that no honest end puts together, and no
   schema compiled. Each is reported once, however often it comes. */
TEST(no_encoding_of_a_peer_that_joined_is_taken_unasked) {
    for (int kind = WISP__VALUES; kind <= WISP__CODED; kind++)
        for (unsigned flags = 0; flags < 32; flags++)
            for (int bits = 0; bits <= 40; bits += 20) {
                forger *b;
                uint64_t unknown;
                int64_t learnt;
                bool plain = kind == WISP__VALUES && !flags && !bits;
                bool senseless = (kind == WISP__RECORD && !bits) ||
                                 (kind == WISP__CODED && (flags & 1));
                if (plain || senseless) continue;
                b = forger_open();
                wisp_remote_named(b->t.client, "number 1");
                world_run(&b->t.w, 0.1);
                unknown = world_total(b->t.server).names_unknown;
                for (int i = 0; i < 5; i++) {
                    put_encoding(body(b), kind, flags, bits);
                    send_body(b);
                    world_step(&b->t.w);
                }
                CHECK(forger_joined(b));
                if (!CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR,
                                                WISP_E_UNSUPPORTED), 1))
                    printf("  kind %d flags %x bits %d\n", kind, flags, bits);
                CHECK_EQ_INT(world_count(&b->t.w, b->t.server, WISP_ERROR), 1);
                CHECK_EQ_INT(world_total(b->t.server).names_unknown - unknown, 5);
                CHECK(forger_server_side(b)->their_room < 2 ||
                      !forger_server_side(b)->theirs[1].remote);
                CHECK_EQ_INT(world_schemas(b->t.server, &learnt), 0);
                forger_close(b);
            }
}

/* --- announcements that fail --- */

/* A descriptor of 20 fields, of which two have one name: nothing is wrong with it until the end. */
static int doubled_descriptor(uint8_t *bytes, int size, int tag) {
    wisp__writer to = wisp__writer_on(bytes, size - WISP__SLACK);
    memset(bytes, 0, (size_t)size);
    wisp__put(&to, (uint64_t)tag, 8);
    wisp__put(&to, 0, 1);
    wisp__put_text(&to, "s");
    wisp__put_length(&to, 20);
    for (int i = 0; i < 20; i++) {
        char name[2] = { (char)('a' + (i == 19 ? 0 : i)), 0 };
        wisp__put_text(&to, name);
        wisp__put(&to, 0, 4);
        wisp__put(&to, WISP_TYPE_BOOL, 5);
    }
    return (int)to.at;
}

/* Allocations of the server while it reads the packet. */
static int taken_by_announcing(forger *b, int number, int tag) {
    uint8_t descriptor[400];
    int bits = doubled_descriptor(descriptor, (int)sizeof descriptor, tag);
    uint64_t before;
    put_described(body(b), number, descriptor, bits);
    send_body(b);
    before = world_total(b->t.server).allocations;
    world_update(&b->t.w, 0);
    return (int)(world_total(b->t.server).allocations - before);
}

/* Each value that a peer wants whole costs it something; an honest one may ask for many. */
TEST(values_that_are_asked_for_whole_are_paid_for) {
    forger *b = forger_open();
    wisp *server = b->t.server;
    wisp__session *s = forger_server_side(b);
    wisp_remote remote = wisp_remote_named(server, "mine");
    int index = (int)(remote.id & 0xffff) - 1;
    wisp__writer to = wisp__writer_on(b->bytes, 100);
    wisp__reading r;
    for (uint64_t key = 0; key < 500; key++)
        CHECK(wisp__baseline_open(server, &s->baselines_out, index, key, false) != NULL);
    memset(b->bytes, 0, 100);
    wisp__put_length(&to, (uint64_t)(index - WISP__RESERVED));
    memset(&r, 0, sizeof r);
    r.w = server;
    r.s = s;
    server->content.credit.work = 1000000;
    for (int i = 0; i < 2; i++) {
        r.from = wisp__reader_on(b->bytes, 8);
        wisp__on_resync(&r);
        CHECK(!r.broken);
        CHECK(server->content.credit.work < 1000000 - (i + 1) * 500 * 60);
    }
    server->content.credit.work = 10000;
    r.from = wisp__reader_on(b->bytes, 8);
    wisp__on_resync(&r);
    CHECK(r.broken != NULL);
    forger_close(b);
}

TEST(a_schema_that_failed_is_not_compiled_twice) {
    forger *b = forger_open_foreign();
    int first = taken_by_announcing(b, 9, 1), other;
    CHECK_EQ_INT(world_total(b->t.server).names_unknown, 1);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR, WISP_E_SCHEMA), 1);
    for (int i = 0; i < 5; i++) CHECK_EQ_INT(taken_by_announcing(b, 9, 1), 1);
    CHECK_EQ_INT(world_total(b->t.server).names_unknown, 6);
    other = taken_by_announcing(b, 9, 2);
    CHECK(first > 1 && other > 1);
    CHECK(forger_joined(b));
    forger_close(b);
}

TEST(announcements_that_fail_are_offences) {
    forger *b = forger_open_foreign();
    int sent = 0;
    while (forger_joined(b) && sent < 2000) {
        taken_by_announcing(b, 9, 1);
        sent++;
    }
    CHECK(sent > 1000 && sent < 1100);
    CHECK_EQ_INT(world_last(&b->t.w, b->t.server, WISP_LEFT)->result, WISP_E_FLOOD);
    CHECK(world_count(&b->t.w, b->t.server, WISP_ERROR) < 20);
    forger_close(b);
}

/* Else a peer that announces one unknown name after the other, and sends to each, would have all
   names here looked at for nothing. */
TEST(a_look_for_the_nearest_name_is_paid_for) {
    forger *b = forger_open();
    wisp__nearest n = wisp__nearest_to(b->t.server, "a", 1);
    wisp__credit credit;
    int looks = 0;
    memset(&credit, 0, sizeof credit);
    credit.work = 10 * WISP__PRICE_STEP;
    n.credit = &credit;
    while (looks < 100 && wisp__nearest_try(&n, "a name that is far longer", 25)) looks++;
    CHECK_EQ_INT(looks, 10);
    forger_close(b);
}

static const test_case tests[] = {
    CASE(values_that_are_asked_for_whole_are_paid_for),
    CASE(a_name_unknown_there_is_reported_on_both_sides),
    CASE(a_name_that_was_unknown_works_once_it_is_registered),
    CASE(thousands_of_unknown_names_take_no_memory),
    CASE(no_encoding_of_a_peer_that_joined_is_taken_unasked),
    CASE(a_schema_that_failed_is_not_compiled_twice),
    CASE(announcements_that_fail_are_offences),
    CASE(a_look_for_the_nearest_name_is_paid_for),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
