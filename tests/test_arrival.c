/* test_arrival.c - messages in the order of their channel: buffered, put together, paid for */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"
#include "support/forged_packets.h"

/* --- order --- */

static void keep_messages(forger *b, int count) {
    b->out.keep = true;
    b->out.kept_count = 0;
    wisp_set_batch_mode(b->t.client, "hp", WISP_BATCH_NEVER);
    for (int i = 0; i < count; i++) world_fire(b->t.client, "hp", b->t.to_server, i);
    b->out.keep = false;
}

TEST(reliable_messages_wait_for_those_before_them) {
    forger *b = forger_open();
    keep_messages(b, 10);
    CHECK_EQ_INT(b->out.kept_count, 10);
    for (int i = 9; i >= 0; i--) {
        CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 0);
        tap_pass(&b->out, &b->out.kept[i]);
        world_update(&b->t.w, 0);
    }
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 10);
    CHECK(world_counts_up(&b->t.w, b->t.server, "hp", 0));
    CHECK_EQ_INT(forger_server_side(b)->held_bytes, 0);
    forger_close(b);
}

TEST(any_order_of_arrival_gives_the_order_of_sending) {
    forger *b = forger_open();
    uint64_t seed = 5;
    for (int round = 0; round < 50; round++) {
        world_forget(&b->t.w);
        keep_messages(b, 8);
        for (int left = b->out.kept_count; left > 0; left--) {
            int pick = test_random_below(&seed, left);
            tap_pass(&b->out, &b->out.kept[pick]);
            b->out.kept[pick] = b->out.kept[left - 1];
            world_update(&b->t.w, 0);
        }
        CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 8);
        CHECK(world_counts_up(&b->t.w, b->t.server, "hp", 0));
        world_run(&b->t.w, 0.3);
    }
    forger_close(b);
}

/* One that was fired long ago must not pass for one that is to come. */
TEST(a_packet_from_64000_messages_ago_is_not_taken_for_a_new_one) {
    forger *b = forger_open();
    tap_packet old;
    int sent = 1;
    keep_messages(b, 1);
    old = b->out.kept[0];
    wisp_set_batch_mode(b->t.client, "hp", WISP_BATCH_RELIABLE);
    world_run(&b->t.w, 2);                           /* its message is sent anew */
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 1);
    for (int step = 0; step < 2000 && sent < 64500; step++) {
        int room = 600 - world_peer_stats(b->t.client, b->t.to_server).queued_messages;
        for (int i = 0; i < room; i++) world_fire(b->t.client, "hp", b->t.to_server, sent++);
        world_step(&b->t.w);
        world_forget(&b->t.w);
    }
    world_run(&b->t.w, 1);
    world_forget(&b->t.w);
    CHECK(forger_peer(b)->flow.next < 950);         /* so that its number is not too old to tell */
    tap_pass(&b->out, &old);
    for (int i = 0; i < 2000; i++) {
        world_fire(b->t.client, "hp", b->t.to_server, sent + i);
        if (i % 100 == 99) world_step(&b->t.w);
    }
    world_run(&b->t.w, 1);
    CHECK(forger_joined(b));
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 2000);
    CHECK(world_counts_up(&b->t.w, b->t.server, "hp", sent));
    forger_close(b);
}

/* --- windows --- */

/* Reliable messages out of order, from a client that does not care for the window. */
TEST(what_comes_early_is_held_up_to_window_bytes_and_no_further) {
    forger *b = (forger *)calloc(1, sizeof *b);
    int most = 0;
    world_open(&b->t.w);
    b->t.w.desc.limits.window_bytes = 20000;
    world_two_join(&b->t);
    forger_names(b);
    world_run(&b->t.w, 0.1);
    tap_on(&b->out, b->t.client);
    for (int i = 1; i < 100 && forger_joined(b); i++) {
        wisp__writer *to = body(b);
        put_section(to, WISP_RELIABLE, (uint32_t)(WISP_FIRST_NUMBER + (unsigned)i));
        put_fragment(to, 0, 0, 1000);
        for (int k = 0; k < 1000; k++) wisp__put(to, 7, 8);
        send_body(b);
        world_update(&b->t.w, 0);
        if (forger_joined(b)) most = forger_server_side(b)->held_bytes;
    }
    CHECK_EQ_INT(most, 13 * (1352 + 112));   /* 1000 bytes take a chunk of 1352 in a page */
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_LEFT, WISP_E_PROTOCOL), 1);
    forger_close(b);
}

/* The smallest messages there are, all out of order, in every channel: what they take is bound. */
TEST(what_is_held_takes_no_more_memory_than_the_window) {
    forger *b = forger_open();
    wisp_limits *limits = &b->t.server->base.limits;
    int most = 0;
    uint64_t before = world_total(b->t.server).memory;
    limits->window_bytes = 1 << 20;
    for (int channel = 0; channel < WISP__CHANNELS; channel++)
        for (uint32_t at = 1; at + 400 <= (uint32_t)limits->window_items; at += 400) {
            wisp__writer *to = body(b);
            if (!forger_joined(b) || forger_server_side(b)->held_bytes + 400 * 128 >
                                        limits->window_bytes)
                break;
            wisp__frame_put(to, WISP__FRAME_SECTION);
            wisp__put(to, WISP_RELIABLE, 2);
            wisp__put(to, (uint64_t)channel, 4);
            wisp__put(to, (WISP_FIRST_NUMBER + at) & WISP__LOW_24, 24);
            put_bound(to, 0);
            wisp__put_small(to, 0);
            for (int i = 1; i < 400; i++) wisp__put(to, 1, 1);
            send_body(b);
            world_update(&b->t.w, 0);
            most = forger_server_side(b)->held_bytes;
        }
    CHECK(forger_joined(b));
    CHECK(most > limits->window_bytes - 400 * 128);
    CHECK(world_total(b->t.server).memory - before < (uint64_t)limits->window_bytes + 65536);
    forger_close(b);
}

/* --- what one packet completes --- */

static void put_section_of(wisp__writer *to, int channel, uint32_t sequence) {
    wisp__frame_put(to, WISP__FRAME_SECTION);
    wisp__put(to, WISP_RELIABLE, 2);
    wisp__put(to, (uint64_t)channel, 4);
    wisp__put(to, sequence & WISP__LOW_24, 24);
}

/* In every channel all but the first of `count` events, then the first of each in one packet: how
   many the server handles in the update that takes it. */
static int completed_by_one_packet(forger *b, int count) {
    wisp__writer *to;
    for (int channel = 0; channel < WISP__CHANNELS; channel++) {
        to = body(b);
        put_section_of(to, channel, WISP_FIRST_NUMBER + 1);
        put_bound(to, 0);
        wisp__put_small(to, 0);
        for (int i = 2; i < count; i++) wisp__put(to, 1, 1);
        send_body(b);
        b->t.w.now += 0.3;                         /* so that there is credit to the full */
        world_update(&b->t.w, 0);
    }
    world_forget(&b->t.w);
    to = body(b);
    for (int channel = 0; channel < WISP__CHANNELS; channel++) {
        put_section_of(to, channel, WISP_FIRST_NUMBER);
        put_bound(to, 0);
        wisp__put_small(to, 0);
    }
    send_body(b);
    world_update(&b->t.w, 0);
    return world_count(&b->t.w, b->t.server, "hp");
}

TEST(a_packet_that_closes_a_gap_releases_what_it_pays_for_and_the_rest_comes_later) {
    forger *b = forger_open();
    int all = WISP__CHANNELS * 500, first;
    first = completed_by_one_packet(b, 500);
    CHECK(first >= WISP__CHANNELS && first < 3000);
    CHECK(b->t.server->update_work <= WISP__EARN_MOST + WISP__EARN_PACKET);
    CHECK(forger_server_side(b)->behind);
    for (int i = 0; i < 100 && forger_server_side(b)->behind; i++) {
        int before = world_count(&b->t.w, b->t.server, "hp");
        b->t.w.now += 0.01;
        world_update(&b->t.w, 0);
        CHECK(world_count(&b->t.w, b->t.server, "hp") - before < 3000);
    }
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), all);
    CHECK_EQ_INT(forger_server_side(b)->held_bytes, 0);
    CHECK(forger_joined(b));
    forger_close(b);
}

/* While what is in order waits, a packet with the same again or with what follows changes nothing
   of the order, and nothing is lost. */
TEST(what_waits_to_be_released_is_not_taken_twice) {
    forger *b = forger_open();
    wisp__writer *to;
    int first = completed_by_one_packet(b, 500);
    CHECK(forger_server_side(b)->behind);
    for (int i = 0; i < 40 && forger_joined(b); i++) {
        to = body(b);
        for (int channel = 0; channel < WISP__CHANNELS; channel++) {
            put_section_of(to, channel, WISP_FIRST_NUMBER + (uint32_t)(i < 20 ? 0 : 499));
            put_bound(to, 0);
            wisp__put_small(to, 0);
            for (int k = 0; k < (i < 20 ? 200 : 1); k++) wisp__put(to, 1, 1);
        }
        send_body(b);
        if (i % 4 == 0) b->t.w.now += 0.01;
        world_update(&b->t.w, 0);
    }
    world_run(&b->t.w, 0.5);
    CHECK(first < 3000 && forger_joined(b));
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), WISP__CHANNELS * 501);
    forger_close(b);
}

/* A fragment of an event of so many booleans, in bytes from `at` on. */
static void put_part(wisp__writer *to, const uint8_t *bytes, int size, int at, int part) {
    put_fragment(to, at == 0, at + part == size, part);
    for (int i = 0; i < part; i++) wisp__put(to, bytes[at + i], 8);
}

TEST(large_messages_that_end_in_one_packet_are_not_all_read_in_one_update) {
    static uint8_t bytes[4000];
    forger *b = forger_open();
    enum { VALUES = 4000 };
    wisp__writer to = wisp__writer_on(bytes, (int)sizeof bytes - WISP__SLACK), *out;
    int bits = wisp__small_bits(VALUES) + VALUES * 5, size, first;
    memset(bytes, 0, sizeof bytes);
    put_unbound(&to, 0, bits);
    wisp__put_small(&to, VALUES);
    for (int i = 0; i < VALUES; i++) wisp__put(&to, WISP_BOOL, 4);
    for (int i = 0; i < VALUES; i++) wisp__put(&to, (uint64_t)i & 1, 1);
    CHECK(!to.full);
    size = (int)((to.at + 7) / 8);
    CHECK(size > 2200 && size < 3300);
    for (int channel = 0; channel < WISP__CHANNELS; channel++)
        for (int at = 0; at < size - 10; at += 1100) {
            out = body(b);
            put_section_of(out, channel, WISP_FIRST_NUMBER + (uint32_t)at / 1100);
            put_part(out, bytes, size, at, at + 1100 < size - 10 ? 1100 : size - 10 - at);
            send_body(b);
            b->t.w.now += 0.1;
            world_update(&b->t.w, 0);
        }
    world_forget(&b->t.w);
    out = body(b);
    for (int channel = 0; channel < WISP__CHANNELS; channel++) {
        put_section_of(out, channel, WISP_FIRST_NUMBER + 3);
        put_part(out, bytes, size, size - 10, 10);
    }
    send_body(b);
    world_update(&b->t.w, 0);
    first = world_count(&b->t.w, b->t.server, "hp");
    CHECK(first >= 1 && first < WISP__CHANNELS / 2);
    CHECK(b->t.server->update_work < 2 * WISP__EARN_MOST);
    world_run(&b->t.w, 1);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), WISP__CHANNELS);
    CHECK(forger_joined(b));
    forger_close(b);
}

/* A schema of so many fields that take no bits. */
static int literal_descriptor(uint8_t *bytes, int size, int fields) {
    wisp__writer to = wisp__writer_on(bytes, size - WISP__SLACK);
    memset(bytes, 0, (size_t)size);
    wisp__put(&to, 1, 8);
    wisp__put(&to, 0, 1);
    wisp__put_text(&to, "s");
    wisp__put_length(&to, (uint64_t)fields);
    for (int i = 0; i < fields; i++) {
        char name[2] = { (char)('!' + i), 0 };
        wisp__put_text(&to, name);
        wisp__put(&to, 0, 4);
        wisp__put(&to, WISP_TYPE_LITERAL, 5);
        wisp__put(&to, 1, 1);
        wisp__put_text(&to, "");
    }
    CHECK(!to.full);
    return (int)to.at;
}

/* Fragments that are each a whole message earn nothing beside their packet. */
TEST(many_small_messages_in_fragments_are_paid_by_their_packet) {
    forger *b = forger_open_foreign();
    uint8_t descriptor[480];
    int count = 0, first;
    wisp__writer *to = body(b);
    wisp_remote_named(b->t.client, "other");        /* takes the answer about number 1 */
    put_described(to, 1, descriptor, literal_descriptor(descriptor, 480, 90));
    send_body(b);
    world_run(&b->t.w, 0.5);
    world_forget(&b->t.w);
    to = body(b);
    put_section_of(to, 0, WISP_FIRST_NUMBER);
    for (; to->at < 8 * 1100; count++) {
        put_fragment(to, 1, 1, 3);
        wisp__put(to, 8, 4);
        wisp__put_length(to, 1);
        wisp__put_length(to, 0);
        wisp__put(to, 0, 24 - 4 - wisp__length_bits(1) - wisp__length_bits(0));
    }
    send_body(b);
    world_update(&b->t.w, 0);
    first = world_count(&b->t.w, b->t.server, "hp");
    CHECK(count > 150 && first > 10 && first < count);
    CHECK(b->t.server->update_work <= WISP__EARN_MOST + WISP__EARN_PACKET);
    world_run(&b->t.w, 2);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), count);
    CHECK(forger_joined(b));
    forger_close(b);
}

TEST(an_honest_sender_stays_within_the_receivers_window) {
    forger *b = (forger *)calloc(1, sizeof *b);
    int most = 0;
    world_open(&b->t.w);
    b->t.w.desc.limits.window_bytes = 4096;
    b->t.server = world_add(&b->t.w);
    b->t.w.desc.limits.window_bytes = 0;
    b->t.client = world_add(&b->t.w);
    b->t.to_server = world_join(&b->t.w, b->t.client, b->t.server);
    b->t.to_client = world_peer(b->t.server, 0);
    forger_names(b);
    world_run(&b->t.w, 0.1);
    tap_on(&b->out, b->t.client);
    keep_messages(b, 1);                             /* lost */
    wisp_set_batch_mode(b->t.client, "hp", WISP_BATCH_RELIABLE);
    for (int i = 1; i < 1000; i++) world_fire(b->t.client, "hp", b->t.to_server, i);
    for (int i = 0; i < 200 && forger_joined(b); i++) {
        int held;
        world_step(&b->t.w);
        held = forger_joined(b) ? forger_server_side(b)->held_bytes : 0;
        if (held > most) most = held;
    }
    CHECK(most > 1000 && most <= 4096);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 1000);
    CHECK(world_counts_up(&b->t.w, b->t.server, "hp", 0));
    forger_close(b);
}

/* One part of a set, written by hand; its bytes are zeros. */
static void send_set_part(forger *b, int set, int total, int at, int bytes) {
    wisp__writer *to = body(b);
    wisp__frame_put(to, WISP__FRAME_PART);
    wisp__put(to, (uint64_t)set | (uint64_t)total << 16, 33);
    wisp__put(to, (uint64_t)at | (uint64_t)bytes << 17, 33);
    for (int i = 0; i < bytes; i++) wisp__put(to, 0, 8);
    send_body(b);
    b->t.w.now += 0.002;
    world_update(&b->t.w, 0);
}

static uint64_t sets_given_up(forger *b) {
    return world_peer_stats(b->t.server, b->t.to_client).incomplete;
}

TEST(sets_that_never_end_take_the_memory_of_two_and_are_counted) {
    forger *b = forger_open();
    uint64_t before = world_total(b->t.server).memory, most = 0;
    for (int set = 0; set < 2000; set++) {
        send_set_part(b, set * 7, set % 3 ? 65536 : 3000 + set, set % 5 * 400, 400);
        if (world_total(b->t.server).memory > most) most = world_total(b->t.server).memory;
    }
    CHECK(forger_joined(b));
    CHECK(most - before > 65536 && most - before < 3 * 65536);      /* with their heads */
    CHECK(sets_given_up(b) > 1900 && sets_given_up(b) < 2000);
    world_run(&b->t.w, 0.5);
    world_fire(b->t.client, "hp", b->t.to_server, 7);
    world_run(&b->t.w, 0.5);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 1);
    forger_close(b);
}

/* A part again and again, over others, in another total: the set ends once, or never. */
TEST(parts_that_overlap_end_their_set_once_and_take_no_more) {
    forger *b = forger_open();
    uint64_t before = world_total(b->t.server).memory;
    for (int i = 0; i < 100; i++) send_set_part(b, 1, 60000, i % 7 * 100, 500);
    CHECK(world_total(b->t.server).memory - before < 65536 + 16384);
    send_set_part(b, 1, 50000, 0, 500);              /* not this set's total: left out */
    send_set_part(b, 1, 100, 90, 500);               /* beyond its end */
    world_run(&b->t.w, 0.2);
    CHECK(!forger_joined(b));
    forger_rejoin(b);
    before = world_total(b->t.server).memory;
    for (int i = 0; i < 30; i++) send_set_part(b, 2, 1500, 0, 500);
    world_run(&b->t.w, 0.2);
    CHECK(!forger_joined(b));                        /* complete: zeros, which are no message */
    CHECK(world_total(b->t.server).memory <= before + 16384);      /* the table of sets */
    forger_close(b);
}

/* The ends of a session may be made with other limits; neither may take the other for a villain. */
TEST(ends_with_other_window_items_understand_each_other) {
    forger *b = (forger *)calloc(1, sizeof *b);
    world_open(&b->t.w);
    b->t.w.desc.limits.window_items = 64;
    b->t.server = world_add(&b->t.w);
    b->t.w.desc.limits.window_items = 2048;
    b->t.client = world_add(&b->t.w);
    b->t.to_server = world_join(&b->t.w, b->t.client, b->t.server);
    b->t.to_client = world_peer(b->t.server, 0);
    forger_names(b);
    world_run(&b->t.w, 0.1);
    tap_on(&b->out, b->t.client);
    keep_messages(b, 1);                             /* lost */
    wisp_set_batch_mode(b->t.client, "hp", WISP_BATCH_RELIABLE);
    for (int i = 1; i < 1000; i++) world_fire(b->t.client, "hp", b->t.to_server, i);
    world_run(&b->t.w, 5);
    CHECK(forger_joined(b));
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 1000);
    forger_close(b);
}

static const test_case tests[] = {
    CASE(reliable_messages_wait_for_those_before_them),
    CASE(any_order_of_arrival_gives_the_order_of_sending),
    CASE(a_packet_from_64000_messages_ago_is_not_taken_for_a_new_one),
    CASE(what_comes_early_is_held_up_to_window_bytes_and_no_further),
    CASE(what_is_held_takes_no_more_memory_than_the_window),
    CASE(a_packet_that_closes_a_gap_releases_what_it_pays_for_and_the_rest_comes_later),
    CASE(what_waits_to_be_released_is_not_taken_twice),
    CASE(large_messages_that_end_in_one_packet_are_not_all_read_in_one_update),
    CASE(many_small_messages_in_fragments_are_paid_by_their_packet),
    CASE(an_honest_sender_stays_within_the_receivers_window),
    CASE(sets_that_never_end_take_the_memory_of_two_and_are_counted),
    CASE(parts_that_overlap_end_their_set_once_and_take_no_more),
    CASE(ends_with_other_window_items_understand_each_other),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
