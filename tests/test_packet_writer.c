/* test_packet_writer.c - packets filled to the brim: many peers, bytes, sizes */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/listening_pair.h"

#include <time.h>

/* --- many peers --- */

TEST(a_message_to_many_is_encoded_once) {
    world w;
    wisp *server;
    const wisp__message *m = NULL;
    wisp_value v = wisp_int(3);
    world_open(&w);
    server = world_add(&w);
    for (int i = 0; i < 8; i++) {
        wisp *client = world_add(&w);
        world_join(&w, client, server);
        if (i % 2) world_watch(&w, client, "r");     /* half of them do not know the name */
    }
    world_run(&w, 0.3);
    wisp_fire_values(server, "r", wisp_to_all(), &v, 1);
    for (int i = 0; i < 8; i++) {
        const wisp__session *s = wisp__session_of(server, world_peer(server, i));
        const wisp__message *mine =
            wisp__queue_head(&s->peer_remotes[wisp_remote_named(server, "r").id - 1]);
        if (!m) m = mine;
        CHECK(mine == m);
    }
    CHECK_EQ_INT(m->references, 8);
    world_run(&w, 0.3);
    CHECK_EQ_INT(world_count(&w, NULL, "r"), 4);
    CHECK_EQ_INT(world_results(&w, NULL, "r", WISP_OK), 4);
    world_close(&w);
}

TEST(one_full_queue_does_not_keep_the_others_from_their_message) {
    world w;
    wisp *server, *clients[3];
    wisp_value v = wisp_int(1);
    world_open(&w);
    w.desc.limits.queue_messages = 10;
    server = world_add(&w);
    for (int i = 0; i < 3; i++) {
        clients[i] = world_add(&w);
        world_join(&w, clients[i], server);
        world_watch(&w, clients[i], "r");
    }
    world_run(&w, 0.3);
    for (int i = 0; i < 10; i++) world_fire(server, "r", world_peer(server, 1), i);
    CHECK_EQ_INT(wisp_fire_values(server, "r", wisp_to_all(), &v, 1), WISP_E_QUEUE_FULL);
    world_run(&w, 0.3);
    CHECK_EQ_INT(world_count(&w, clients[0], "r"), 1);
    CHECK_EQ_INT(world_count(&w, clients[1], "r"), 10);
    CHECK_EQ_INT(world_count(&w, clients[2], "r"), 1);
    world_close(&w);
}

/* --- bytes on the wire --- */

/* Bytes of the one packet that goes out for what was fired. */
static int packet_bytes(world_two *t) {
    uint64_t bytes = sent_bytes(t), packets = sent_packets(t);
    world_update(&t->w, 1);
    CHECK_EQ_INT(sent_packets(t) - packets, 1);
    bytes = sent_bytes(t) - bytes;
    world_run(&t->w, 1);                  /* acks and their acks are over */
    return (int)bytes;
}

TEST(a_small_message_costs_at_most_four_bytes_in_a_batch) {
    world_two t;
    int without, with;
    abc_open(&t);
    world_run(&t.w, 1);
    abc_fire(&t, "a", 1);
    without = packet_bytes(&t);
    abc_fire(&t, "a", 1);
    abc_fire(&t, "b", 100);
    with = packet_bytes(&t);
    CHECK(with - without <= 4);
    CHECK(with > without);
    abc_fire(&t, "a", 1);
    abc_fire(&t, "b", 100);
    abc_fire(&t, "c", 100);
    abc_fire(&t, "b", 99);
    CHECK(packet_bytes(&t) - without <= 12);
    world_close(&t.w);
}

TEST(messages_of_one_shape_cost_a_bit_more_than_their_data) {
    world_two t;
    uint64_t random = 9;
    unsigned char bytes[32] = { 0 };
    wisp_value v = wisp_bytes(bytes, 32);
    abc_open(&t);
    world_run(&t.w, 1);
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < 32; k++) bytes[k] = (unsigned char)test_random_below(&random, 256);
        wisp_fire_values(t.client, "a", wisp_to_peer(t.to_server), &v, 1);
    }
    CHECK(packet_bytes(&t) <= 20 * 33 + 20);
    CHECK_EQ_INT(t.w.note_count, 20);
    world_close(&t.w);
}

TEST(messages_that_are_identical_are_counted_not_repeated) {
    static const int counts[] = { 1, 2, 3, 255, 256, 257, 1000, 2047, 2048 };
    world_two t;
    wisp_value v = wisp_string("a text that is far too long to be sent a thousand times");
    abc_open(&t);
    wisp_set_max_batch_size(t.client, 1 << 20);
    world_run(&t.w, 1);
    for (int i = 0; i < (int)(sizeof counts / sizeof *counts); i++) {
        world_forget(&t.w);
        for (int k = 0; k < counts[i]; k++)
            wisp_fire_values(t.client, "a", wisp_to_peer(t.to_server), &v, 1);
        CHECK(packet_bytes(&t) < 90);
        CHECK_EQ_INT(world_count(&t.w, t.server, "a"), counts[i]);
        CHECK_EQ_STR(world_last(&t.w, t.server, "a")->text, v.as.string);
    }
    world_close(&t.w);
}

TEST(runs_end_where_anything_differs) {
    world_two t;
    static const char pattern[] = "aaabbbbacccaab";
    abc_open(&t);
    for (int round = 0; round < 2; round++) {
        world_forget(&t.w);
        for (int i = 0; pattern[i]; i++) abc_fire(&t, abc[pattern[i] - 'a'], i < 9 ? 5 : 5000);
        world_run(&t.w, 0.1);
        CHECK_EQ_STR(abc_heard(&t), pattern);
        for (int i = 0; i < t.w.note_count; i++)
            CHECK_EQ_INT(t.w.notes[i].number, i < 9 ? 5 : 5000);
        set_delivery(t.client, "b", WISP_UNRELIABLE, 0);
    }
    world_close(&t.w);
}

TEST(runs_survive_loss) {
    world_two t;
    memset(&t, 0, sizeof t);
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.02;
    t.w.net.jitter = 0.02;
    t.w.net.loss = 0.3;
    t.w.net.seed = 8;
    two_listening(&t, abc, 2);
    world_run(&t.w, 3);
    world_forget(&t.w);
    for (int i = 0; i < 5000; i++) {
        abc_fire(&t, "a", i / 50);
        if (i % 40 == 0) world_step(&t.w);
    }
    world_run(&t.w, 15);
    CHECK_EQ_INT(t.w.note_count, 5000);
    for (int i = 0; i < t.w.note_count; i++) CHECK_EQ_INT(t.w.notes[i].number, i / 50);
    world_close(&t.w);
}

TEST(more_tiny_messages_than_a_packet_may_hold_all_arrive) {
    world_two t;
    abc_open(&t);
    t.w.unchecked = true;
    set_delivery(t.client, "a", WISP_UNRELIABLE, 0);    /* no window of a channel is in the way */
    wisp_set_max_batch_size(t.client, 1 << 20);
    for (int i = 0; i < 10000; i++) {
        wisp_value v = wisp_bool(i % 2 == 0);     /* two bits each */
        CHECK_EQ_INT(wisp_fire_values(t.client, "a", wisp_to_peer(t.to_server), &v, 1), WISP_OK);
    }
    world_run(&t.w, 1);
    CHECK_EQ_INT(t.w.note_count, 10000);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

TEST(more_values_than_a_packet_may_hold_all_arrive) {
    world_two t;
    wisp_value nils[1000];
    abc_open(&t);
    wisp_set_max_batch_size(t.client, 1 << 20);
    for (int i = 0; i < 1000; i++) nils[i] = wisp_nil();
    for (int i = 0; i < 200; i++)
        CHECK_EQ_INT(wisp_fire_values(t.client, "a", wisp_to_peer(t.to_server), nils, 1000),
                     WISP_OK);
    world_run(&t.w, 1);
    CHECK_EQ_INT(t.w.note_count, 200);
    CHECK_EQ_INT(world_last(&t.w, t.server, "a")->count, 1000);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

TEST(an_encode_that_fails_leaves_no_bits_behind) {
    world_two t;
    wisp_value bad[2];
    abc_open(&t);
    bad[0] = wisp_int(77);
    bad[1] = wisp_string("x");
    bad[1].count = -1;
    for (int i = 0; i < 10; i++) {
        abc_fire(&t, "a", i);
        CHECK_EQ_INT(wisp_fire_values(t.client, "a", wisp_to_peer(t.to_server), bad, 2),
                     WISP_E_ARGUMENT);
    }
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(t.w.note_count, 10);
    CHECK(world_counts_up(&t.w, t.server, "a", 0));
    world_close(&t.w);
}

/* --- sizes --- */

/* The largest blob that an unreliable remote sends in one packet, whose rest is 96 bytes. */
static int largest_unreliable(world_two *t, const char *name, const unsigned char *bytes) {
    int least = 0, most = 1200 - 96 - 4;
    while (least < most) {
        int size = (least + most + 1) / 2;
        wisp_value v = wisp_bytes(bytes, size);
        wisp_result result = wisp_fire_values(t->client, name, wisp_to_peer(t->to_server), &v, 1);
        if (result == WISP_OK) least = size;
        else most = size - 1;
        if (result != WISP_OK) CHECK_EQ_INT(result, WISP_E_TOO_BIG);
    }
    return least;
}

TEST(too_big_for_unreliable_does_not_depend_on_announcements) {
    world_two t;
    unsigned char bytes[1200];
    char name[129];
    int known, fresh;
    memset(bytes, 3, sizeof bytes);
    memset(name, 'n', 128);
    name[128] = 0;
    abc_open(&t);
    wisp_set_unreliable(t.client, "a", true);
    wisp_set_unreliable(t.client, name, true);
    known = largest_unreliable(&t, "a", bytes);
    fresh = largest_unreliable(&t, name, bytes);
    CHECK_EQ_INT(known, fresh);
    CHECK(known >= 1000);
    world_close(&t.w);
}

static int sizes_seen, sizes_wrong;

/* Bytes that are size, size + 1 .. */
static void on_sized(wisp_event *event) {
    int size = 0;
    const unsigned char *bytes = (const unsigned char *)wisp_arg_bytes(event, 0, &size);
    for (int i = 0; bytes && i < size; i++)
        if (bytes[i] != (unsigned char)(size + i)) {
            sizes_wrong++;
            break;
        }
    sizes_seen++;
    *(int *)event->user = size;
}

static wisp_result fire_sized(world_two *t, const char *name, unsigned char *bytes, int size) {
    wisp_value v = wisp_bytes(bytes, size);
    for (int i = 0; i < size; i++) bytes[i] = (unsigned char)(size + i);
    return wisp_fire_values(t->client, name, wisp_to_peer(t->to_server), &v, 1);
}

TEST(the_largest_unreliable_message_arrives_with_its_name_and_with_acks) {
    world_two t;
    unsigned char bytes[1200];
    char name[129];
    int last = 0, largest, seen_before;
    memset(name, 'n', 128);
    name[128] = 0;
    memset(&t, 0, sizeof t);
    sizes_seen = sizes_wrong = 0;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.01;
    t.w.net.seed = 5;
    two_listening(&t, abc, 1);
    memset(bytes, 0, sizeof bytes);
    wisp_set_unreliable(t.client, "a", true);
    largest = largest_unreliable(&t, "a", bytes);
    wisp_set_unreliable(t.client, name, true);
    wisp_connect(t.server, name, on_sized, &last);
    CHECK_EQ_INT(fire_sized(&t, name, bytes, largest), WISP_OK);
    world_run(&t.w, 1);
    CHECK_EQ_INT(sizes_seen, 1);
    CHECK_EQ_INT(last, largest);
    t.w.sims[0].loss = t.w.sims[1].loss = 0.3;        /* acks of many ranges stand before it */
    for (int i = 0; i < 300; i++) {
        world_fire(t.server, "a", t.to_client, i);
        wisp_flush_batches(t.server);
        CHECK_EQ_INT(fire_sized(&t, name, bytes, largest), WISP_OK);
        world_step(&t.w);
    }
    t.w.sims[0].loss = t.w.sims[1].loss = 0;
    world_run(&t.w, 30);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, 0);
    seen_before = sizes_seen;
    CHECK(seen_before > 150);
    fire_sized(&t, name, bytes, largest);
    world_run(&t.w, 1);
    CHECK_EQ_INT(sizes_seen, seen_before + 1);
    CHECK_EQ_INT(sizes_wrong, 0);
    world_close(&t.w);
}

TEST(every_size_around_the_borders_of_fragments_arrives) {
    world_two t;
    unsigned char bytes[6000];
    int last = 0, fired = 0;
    abc_open(&t);
    sizes_seen = sizes_wrong = 0;
    wisp_connect(t.server, "sized", on_sized, &last);
    for (int pieces = 1; pieces <= 5; pieces++) {
        int border = pieces * wisp__piece_bytes(&t.client->base);
        for (int size = border - 16; size <= border + 4; size++, fired++) {
            CHECK_EQ_INT(fire_sized(&t, "sized", bytes, size), WISP_OK);
            if (fired % 7 == 0) world_run(&t.w, 0.05);
        }
    }
    world_run(&t.w, 1);
    CHECK_EQ_INT(sizes_seen, fired);
    CHECK_EQ_INT(sizes_wrong, 0);
    world_close(&t.w);
}

TEST(large_messages_arrive_over_a_bad_network) {
    static const int sizes[] = { 2000, 70000, 300000, 0, 5000 };
    world_two t;
    unsigned char *bytes = (unsigned char *)malloc(300000);
    int last = 0;
    sizes_seen = sizes_wrong = 0;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.01;
    t.w.net.jitter = 0.01;
    t.w.net.loss = 0.05;
    t.w.net.duplicate = 0.05;
    t.w.net.reorder = 0.05;
    t.w.net.seed = 77;
    world_two_join(&t);
    wisp_connect(t.server, "sized", on_sized, &last);
    for (int i = 0; i < 5; i++) CHECK_EQ_INT(fire_sized(&t, "sized", bytes, sizes[i]), WISP_OK);
    world_run(&t.w, 40);
    CHECK_EQ_INT(sizes_seen, 5);
    CHECK_EQ_INT(sizes_wrong, 0);
    CHECK_EQ_INT(last, 5000);
    free(bytes);
    world_close(&t.w);
}

TEST(sixteen_mebibytes_arrive) {
    world_two t;
    int size = 16 << 20, last = 0;
    unsigned char *bytes = (unsigned char *)malloc((size_t)size);
    sizes_seen = sizes_wrong = 0;
    world_open(&t.w);
    t.w.unchecked = true;
    t.w.step = 0.005;
    t.w.desc.limits.message_bytes = size + 64;
    world_two_join(&t);
    wisp_connect(t.server, "sized", on_sized, &last);
    CHECK_EQ_INT(fire_sized(&t, "sized", bytes, size), WISP_OK);
    for (int i = 0; i < 4000 && !sizes_seen; i++) world_step(&t.w);
    CHECK_EQ_INT(sizes_seen, 1);
    CHECK_EQ_INT(sizes_wrong, 0);
    CHECK_EQ_INT(last, size);
    CHECK(world_total(t.server).allocations < 2000);   /* it is not copied for each fragment */
    free(bytes);
    world_close(&t.w);
}

TEST(the_limit_of_a_message_is_a_code_and_its_last_byte_arrives) {
    world_two t;
    static unsigned char bytes[1 << 17];
    int last = 0, largest = 0;
    sizes_seen = sizes_wrong = 0;
    world_open(&t.w);
    t.w.desc.limits.message_bytes = 100000;
    world_two_join(&t);
    wisp_connect(t.server, "sized", on_sized, &last);
    for (int size = 99900; size <= 100100; size++) {
        wisp_result result = fire_sized(&t, "sized", bytes, size);
        if (result == WISP_OK) largest = size;
        else CHECK_EQ_INT(result, WISP_E_TOO_BIG);
        if (size % 2 == 0) world_run(&t.w, 0.1);
    }
    CHECK_NEAR(largest, 100000, 16);
    CHECK_EQ_INT(fire_sized(&t, "sized", bytes, 131072), WISP_E_TOO_BIG);
    world_run(&t.w, 3);
    CHECK_EQ_INT(last, largest);
    CHECK_EQ_INT(sizes_seen, largest - 99899);
    CHECK_EQ_INT(sizes_wrong, 0);
    world_close(&t.w);
}

TEST(the_largest_message_of_all_is_as_documented) {
    wisp_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.message_bytes = 1 << 30;
    wisp__limits_defaults(&limits, 1);
    CHECK_EQ_INT(limits.message_bytes, (1 << 28) - 1024);
}

TEST(a_message_beyond_the_receivers_limit_ends_the_session_with_a_code) {
    world_two t;
    static unsigned char bytes[60000];
    int last = 0;
    sizes_seen = 0;
    world_open(&t.w);
    t.w.desc.limits.message_bytes = 20000;
    t.server = world_add(&t.w);
    t.w.desc.limits.message_bytes = 0;
    t.client = world_add(&t.w);
    t.to_server = world_join(&t.w, t.client, t.server);
    world_watch(&t.w, t.client, WISP_LEFT);
    wisp_connect(t.server, "sized", on_sized, &last);
    CHECK_EQ_INT(fire_sized(&t, "sized", bytes, 60000), WISP_OK);
    world_run(&t.w, 1);
    CHECK_EQ_INT(sizes_seen, 0);
    CHECK_EQ_INT(world_last(&t.w, t.client, WISP_LEFT)->result, WISP_E_LIMIT);
    world_close(&t.w);
}

TEST(a_large_message_holds_up_only_its_own_channel) {
    world_two t;
    static unsigned char bytes[2000000];
    int last = 0;
    double done_at;
    memset(&t, 0, sizeof t);
    sizes_seen = sizes_wrong = 0;
    world_open(&t.w);
    t.w.bad = true;
    t.w.desc.limits.message_bytes = 4 << 20;       /* more than a window */
    t.w.net.latency = 0.02;
    two_listening(&t, abc, 3);
    wisp_connect(t.server, "sized", on_sized, &last);
    set_delivery(t.client, "b", WISP_RELIABLE, 1);
    set_delivery(t.client, "c", WISP_UNRELIABLE, 0);
    CHECK_EQ_INT(fire_sized(&t, "sized", bytes, 2000000), WISP_OK);
    world_step(&t.w);
    abc_fire(&t, "a", 1);                          /* in the channel of the large one */
    abc_fire(&t, "b", 1);
    abc_fire(&t, "c", 1);
    for (int i = 0; i < 3000 && !world_count(&t.w, t.server, "a"); i++) world_step(&t.w);
    done_at = t.w.now;
    CHECK_EQ_INT(sizes_seen, 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "a"), 1);
    CHECK(world_last(&t.w, t.server, "b")->time < done_at - 0.1);
    CHECK(world_last(&t.w, t.server, "c")->time < done_at - 0.1);
    world_close(&t.w);
}

TEST(messages_in_flight_go_with_their_session_and_leak_nothing) {
    world_two t;
    static unsigned char bytes[200000];
    abc_open(&t);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 200; i++) world_fire(t.client, abc[i % 3], t.to_server, i);
        fire_sized(&t, "sized", bytes, 200000);
        for (int i = 0; i < round; i++) world_step(&t.w);
        if (round % 2) wisp_leave(t.client, t.to_server, "");
        else wisp_leave(t.server, t.to_client, "");
        world_run(&t.w, 0.3);
        t.to_server = world_join(&t.w, t.client, t.server);
        t.to_client = world_peer(t.server, 0);
    }
    CHECK(world_total(t.client).messages_abandoned > 0);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).queued_messages, 0);
    world_close(&t.w);
}

/* A large message that waits for its announcement lets go of the one before it; what follows must
   not be compared with that. test_plain.c shows it to the sanitizer. */
TEST(the_neighbours_of_a_large_message_are_not_read_when_gone) {
    static uint8_t large[5000];
    world_two t;
    world_two_open(&t);
    world_watch(&t.w, t.server, "u");
    world_watch(&t.w, t.server, "big");
    wisp_set_unreliable(t.client, "u", true);
    wisp_fire(t.client, "u", t.to_server, wisp_int(1));
    world_run(&t.w, 0.5);
    for (int i = 0; i < 3; i++) wisp_fire(t.client, "u", t.to_server, wisp_int(7));
    wisp_fire(t.client, "big", t.to_server, wisp_bytes(large, 5000));
    for (int i = 0; i < 3; i++) wisp_fire(t.client, "u", t.to_server, wisp_int(7));
    world_run(&t.w, 2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "u"), 7);
    CHECK_EQ_INT(world_count(&t.w, t.server, "big"), 1);
    world_close(&t.w);
}

/* --- what the reader can pay --- */

enum { DEAR_VALUES = 700 };

typedef struct dear { int64_t seen; int count; } dear;

static void on_dear(wisp_event *ev) {
    dear *d = (dear *)ev->user;
    d->count++;
    if (ev->count && ev->args[0].kind == WISP_MAP) d->seen = ev->args[0].as.map[0].value.as.integer;
}

/* Every tick eight deltas of a map of 700 numbers: few bytes, and more work than a reader does
   for a peer in that time. */
static void send_dear_differences(bool reliable_link) {
    static char keys[DEAR_VALUES][8];
    static wisp_pair pairs[DEAR_VALUES];
    wisp_config config;
    wisp_value map = wisp_map(pairs, DEAR_VALUES);
    world_two t;
    dear d = { 0, 0 };
    memset(&config, 0, sizeof config);
    config.encode.mode = WISP_ENCODE_DELTA;
    world_open(&t.w);
    t.w.pipe.reliable = reliable_link;
    t.w.step = 1.0 / 60;
    world_two_join(&t);
    CHECK_EQ_INT(wisp_use_config(t.server, &config, "dear"), WISP_OK);
    CHECK_EQ_INT(wisp_use_config(t.client, &config, "dear"), WISP_OK);
    wisp_connect_target(t.server, wisp_by_name("dear"), on_dear, &d, false);
    world_watch(&t.w, t.server, WISP_ERROR);
    world_watch(&t.w, t.server, WISP_LEFT);
    for (int i = 0; i < DEAR_VALUES; i++) {
        snprintf(keys[i], sizeof keys[i], "%03d", i);
        pairs[i].key = keys[i];
        pairs[i].value = wisp_int(i);
    }
    for (int i = 1; i <= 400; i++) {
        pairs[0].value = wisp_int(i);
        CHECK_EQ_INT(wisp_fire_values(t.client, "dear", wisp_to_peer(t.to_server), &map, 1),
                     WISP_OK);
        if (i % 8 == 0) world_step(&t.w);
    }
    CHECK(world_peer_stats(t.client, t.to_server).queued_messages > 0);
    world_run(&t.w, 4);
    CHECK_EQ_INT(d.count, 400);
    CHECK_EQ_INT(d.seen, 400);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), 0);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_LEFT), 0);
    CHECK_EQ_INT(world_peer_stats(t.server, world_peer(t.server, 0)).packets_refused, 0);
    world_close(&t.w);
}

/* 900 rows of 8 numbers at 60 Hz, of which one changes: a reader can pay for deltas. */
enum { ROWS = 900 };

typedef struct row { int32_t a, b, c, d, e, f, g, h; } row;
typedef struct sheet { row rows[ROWS]; } sheet;

static const wisp_field batch_row_fields[] = {
    WISP_FIELD(row, a, WISP_T_RANGE(0, 511)), WISP_FIELD(row, b, WISP_T_RANGE(0, 511)),
    WISP_FIELD(row, c, WISP_T_RANGE(0, 511)), WISP_FIELD(row, d, WISP_T_RANGE(0, 511)),
    WISP_FIELD(row, e, WISP_T_RANGE(0, 511)), WISP_FIELD(row, f, WISP_T_RANGE(0, 511)),
    WISP_FIELD(row, g, WISP_T_RANGE(0, 511)), WISP_FIELD(row, h, WISP_T_RANGE(0, 511)),
};
static const wisp_schema batch_row_schema = WISP_SCHEMA(row, 1, batch_row_fields);
static const wisp_type batch_row_type = WISP_T_STRUCT(&batch_row_schema);
static const wisp_field sheet_fields[] = { WISP_FIELD(sheet, rows,
                                                      WISP_T_ARRAY(&batch_row_type, ROWS)) };
static const wisp_schema sheet_schema = WISP_SCHEMA(sheet, 1, sheet_fields);

static void stream_sheet(bool adaptive) {
    static sheet now;
    wisp_config config;
    wisp_remote_stats before, after;
    world_two t;
    memset(&now, 0, sizeof now);
    memset(&config, 0, sizeof config);
    config.encode.mode = WISP_ENCODE_DELTA;
    config.encode.schema = &sheet_schema;
    config.encode.adaptive = adaptive ? WISP_ON : WISP_OFF;
    config.delivery = WISP_UNRELIABLE;
    world_open(&t.w);
    t.w.pipe.mtu = 16384;
    t.w.step = 1.0 / 60;
    world_two_join(&t);
    CHECK_EQ_INT(wisp_use_config(t.server, &config, "sheet"), WISP_OK);
    CHECK_EQ_INT(wisp_use_config(t.client, &config, "sheet"), WISP_OK);
    for (int i = 0; i < 240; i++) {
        if (i == 60) wisp_stats_remote(t.server, "sheet", &before);
        now.rows[i].a = 1 + i;
        CHECK_EQ_INT(wisp_fire(t.server, "sheet", t.to_client, wisp_struct(&sheet_schema, &now)),
                     WISP_OK);
        world_step(&t.w);
    }
    wisp_stats_remote(t.server, "sheet", &after);
    CHECK((after.bits_sent - before.bits_sent) / 8 < 180 * 500);      /* whole: 8100 bytes each */
    world_close(&t.w);
}

TEST(a_large_table_goes_as_deltas_at_60_hz) {
    stream_sheet(false);
    stream_sheet(true);
}

TEST(a_sender_sends_no_more_than_its_reader_can_pay) { send_dear_differences(false); }

TEST(a_session_over_a_reliable_link_is_not_ended_by_honest_differences) {
    send_dear_differences(true);
}

/* The announcement of an unreliable name goes in pieces too when packets are small. */
TEST(an_announcement_in_pieces_does_not_replace_a_message_that_is_being_cut) {
    static uint8_t large[20000];
    char name[101];
    world_two t;
    wisp_value value = wisp_bytes(large, (int)sizeof large);
    memset(name, 'n', 100);
    name[100] = 0;
    world_open(&t.w);
    t.w.pipe.mtu = 256;
    world_two_join(&t);
    world_watch(&t.w, t.server, "large");
    world_watch(&t.w, t.server, name);
    world_run(&t.w, 0.3);
    wisp_fire_values(t.client, "large", wisp_to_peer(t.to_server), &value, 1);
    world_step(&t.w);
    wisp_set_unreliable(t.client, name, true);
    CHECK(wisp__announced_apart(&t.client->base,
                                wisp__registry_find(&t.client->registry, name, 100)));
    for (int i = 0; i < 50; i++) {
        world_fire(t.client, name, t.to_server, i);
        world_step(&t.w);
    }
    world_run(&t.w, 3);
    CHECK_EQ_INT(world_count(&t.w, t.server, "large"), 1);
    CHECK(world_count(&t.w, t.server, name) > 0);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(a_message_to_many_is_encoded_once),
    CASE(one_full_queue_does_not_keep_the_others_from_their_message),
    CASE(a_small_message_costs_at_most_four_bytes_in_a_batch),
    CASE(messages_of_one_shape_cost_a_bit_more_than_their_data),
    CASE(messages_that_are_identical_are_counted_not_repeated),
    CASE(runs_end_where_anything_differs),
    CASE(runs_survive_loss),
    CASE(more_tiny_messages_than_a_packet_may_hold_all_arrive),
    CASE(more_values_than_a_packet_may_hold_all_arrive),
    CASE(an_encode_that_fails_leaves_no_bits_behind),
    CASE(too_big_for_unreliable_does_not_depend_on_announcements),
    CASE(the_largest_unreliable_message_arrives_with_its_name_and_with_acks),
    CASE(every_size_around_the_borders_of_fragments_arrives),
    CASE(large_messages_arrive_over_a_bad_network),
    CASE(sixteen_mebibytes_arrive),
    CASE(the_limit_of_a_message_is_a_code_and_its_last_byte_arrives),
    CASE(the_largest_message_of_all_is_as_documented),
    CASE(a_message_beyond_the_receivers_limit_ends_the_session_with_a_code),
    CASE(a_large_message_holds_up_only_its_own_channel),
    CASE(messages_in_flight_go_with_their_session_and_leak_nothing),
    CASE(the_neighbours_of_a_large_message_are_not_read_when_gone),
    CASE(a_large_table_goes_as_deltas_at_60_hz),
    CASE(a_sender_sends_no_more_than_its_reader_can_pay),
    CASE(a_session_over_a_reliable_link_is_not_ended_by_honest_differences),
    CASE(an_announcement_in_pieces_does_not_replace_a_message_that_is_being_cut),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
