/* test_receive.c - packets as they come: honest, senseless, forged, compressed */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"
#include "support/forged_packets.h"

/* --- bodies that break the rules, each a function --- */

typedef void (*writer_of)(wisp__writer *to);

static void bad_control_10(wisp__writer *to) { wisp__put(to, 10 << 4, 8); }
static void bad_control_15(wisp__writer *to) { wisp__put(to, 15 << 4, 8); }
static void bad_section_of_nothing(wisp__writer *to) { put_section(to, 0, 0); }

static void bad_section_cut(wisp__writer *to) {
    wisp__frame_put(to, WISP__FRAME_SECTION);
}

static void bad_no_section(wisp__writer *to) {
    put_bound(to, 0);
    put_true(to);
}

static void bad_like_none(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    wisp__put(to, 1, 1);
    wisp__put(to, 0xff, 8);
}

static void bad_like_none_after_section(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    put_bound(to, 0);
    put_true(to);
    put_section(to, WISP_SEQUENCED, 0);
    wisp__put(to, 0xff, 8);
}

static void bad_like_an_unbound(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    put_unbound(to, 0, 9);
    put_true(to);
    wisp__put(to, 0xff, 8);
}

static void bad_run_of_nothing(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    wisp__put(to, 4, 3);
    wisp__put_small(to, 2);
    wisp__put(to, 0xff, 8);
}

static void bad_run_without_end(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    put_bound(to, 0);
    put_true(to);
    wisp__put(to, 4, 3);
    wisp__put_small(to, 5000);
}

static void bad_run_of_a_billion(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    put_bound(to, 0);
    put_true(to);
    wisp__put(to, 4, 3);
    wisp__put_small(to, 1 << 29);
}

static void bad_number_never_announced(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    put_bound(to, 99);
    put_true(to);
}

static void bad_number_beyond_all(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    put_bound(to, (1 << 28) - 1);
    put_true(to);
}

static void bad_number_without_end(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    wisp__put(to, 2, 2);
    for (int i = 0; i < 8; i++) wisp__put(to, 255, 8);
}

static void bad_values_of_no_kind(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    put_bound(to, 0);
    wisp__put_small(to, 1);
    wisp__put(to, 15, 4);
    wisp__put(to, 1, 8);
}

static void bad_values_too_many(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    put_bound(to, 0);
    wisp__put_small(to, 1 << 29);
    wisp__put(to, 1, 8);
}

static void bad_string_longer_than_packet(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    put_bound(to, 0);
    wisp__put_small(to, 1);
    wisp__put(to, WISP_STRING, 4);
    wisp__put_length(to, 4000);
    wisp__put(to, 1, 8);
}

static void bad_nest(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    put_bound(to, 0);
    wisp__put_small(to, 1);
    for (int i = 0; i < 400; i++) {
        wisp__put(to, WISP__CODE_LIST, 5);
        wisp__put_small(to, 1);
        wisp__put(to, 1, 1);
    }
    wisp__put(to, 1, 8);
}

static void bad_length_beyond_packet(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    put_unbound(to, 0, 9000);
    put_true(to);
}

static void bad_early_beyond_window(wisp__writer *to) {
    put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER + 8192);
    put_bound(to, 0);
    put_true(to);
}

static void bad_fragment_empty(wisp__writer *to) {
    put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER);
    put_fragment(to, 1, 0, 0);
    wisp__put(to, 1, 8);
}

static void bad_fragment_cut(wisp__writer *to) {
    put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER);
    put_fragment(to, 1, 0, 500);
    put_text(to, "too short", 9);
}

static void bad_fragment_unreliable(wisp__writer *to) {
    put_section(to, WISP_UNRELIABLE, 0);
    put_fragment(to, 1, 0, 4);
    put_text(to, "four", 4);
}

static void bad_fragment_without_first(wisp__writer *to) {
    put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER);
    put_fragment(to, 0, 0, 4);
    put_text(to, "four", 4);
}

static void bad_fragment_first_twice(wisp__writer *to) {
    put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER);
    for (int i = 0; i < 2; i++) {
        put_fragment(to, 1, 0, 4);
        put_text(to, "four", 4);
    }
}

static void bad_fragments_of_no_message(wisp__writer *to) {
    put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER);
    put_fragment(to, 1, 0, 1);
    wisp__frame_put(to, WISP__FRAME_PING);
    put_fragment(to, 0, 1, 1);
    wisp__put(to, 0, 8);
}

static void bad_fragment_message_in_fragments(wisp__writer *to) {
    put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER);
    put_fragment(to, 1, 1, 3);
    wisp__put(to, (uint64_t)WISP__FRAME_FRAGMENT << 4, 8);
    wisp__put(to, 0xffff, 16);
}

static void bad_invoke_never_announced(wisp__writer *to) {
    put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER);
    wisp__frame_put(to, WISP__FRAME_INVOKE);
    wisp__put_length(to, 77);
    wisp__put(to, 1, 24);
    wisp__put_small(to, 0);
    wisp__put(to, 1, 1);
    put_true(to);
}

static void bad_invoke_cut(wisp__writer *to) {
    put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER);
    wisp__frame_put(to, WISP__FRAME_INVOKE);
    wisp__put_length(to, 0);
    wisp__put(to, 1, 8);
}

static void bad_reply_positive(wisp__writer *to) {
    put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER);
    wisp__frame_put(to, WISP__FRAME_REPLY);
    wisp__put(to, 1, 24);
    wisp__put(to, 0, 1);
    wisp__put(to, 5, 16);
    put_true(to);
}

static void bad_reply_unreadable(wisp__writer *to) {
    put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER);
    wisp__frame_put(to, WISP__FRAME_REPLY);
    wisp__put(to, 1, 24);
    wisp__put(to, 1, 1);
    wisp__put_small(to, 1);
    wisp__put(to, 15, 4);
    wisp__put(to, 1, 8);
}

static void bad_announcement_nameless(wisp__writer *to) { put_announcement(to, 3, "", 0); }

static void bad_announcement_long(wisp__writer *to) {
    char name[129];
    memset(name, 'n', sizeof name);
    put_announcement(to, 3, name, 129);
}

static void bad_announcement_number(wisp__writer *to) { put_announcement(to, 65536, "x", 1); }

static void bad_announcement_cut(wisp__writer *to) {
    wisp__frame_put(to, WISP__FRAME_ANNOUNCE);
    wisp__put_length(to, 3);
    wisp__put_length(to, 100);
    put_text(to, "short", 5);
}

static void bad_announcement_extra(wisp__writer *to) {
    wisp__frame_put(to, WISP__FRAME_ANNOUNCE);
    wisp__put_length(to, 3);
    wisp__put_length(to, 2);
    put_text(to, "mp", 2);
    wisp__put(to, 0, 16);
    wisp__put_length(to, (1 << 28) - 1);
}

static void bad_announcement_of_another(wisp__writer *to) { put_announcement(to, 0, "mp", 2); }

static void bad_bound_never_given(wisp__writer *to) {
    wisp__frame_put(to, WISP__FRAME_BOUND);
    wisp__put_length(to, 200);
}

static void bad_unknown_never_given(wisp__writer *to) {
    wisp__frame_put(to, WISP__FRAME_UNKNOWN);
    wisp__put_length(to, (1 << 28) - 1);
}

static void bad_leave_positive(wisp__writer *to) {
    wisp__frame_put(to, WISP__FRAME_LEAVE);
    wisp__put(to, 7, 16);
    wisp__put_length(to, 0);
}

static void bad_leave_long(wisp__writer *to) {
    wisp__frame_put(to, WISP__FRAME_LEAVE);
    wisp__put(to, 0, 16);
    wisp__put_length(to, 256);
    for (int i = 0; i < 256; i++) wisp__put(to, 'x', 8);
}

/* The event that a goodbye with this code and text raises at the server. */
static const world_note *left_with(int code, const char *text, int length) {
    static world_note note;
    forger *b = forger_open();
    wisp__writer *to = body(b);
    wisp__frame_put(to, WISP__FRAME_LEAVE);
    wisp__put(to, (uint16_t)code, 16);
    wisp__put_length(to, (uint64_t)length);
    put_text(to, text, length);
    send_body(b);
    world_update(&b->t.w, 0);
    note = *world_last(&b->t.w, b->t.server, WISP_LEFT);
    forger_close(b);
    return &note;
}

TEST(a_goodbye_says_what_the_other_end_can_know_in_text_that_can_be_shown) {
    CHECK_EQ_STR(left_with(WISP_OK, "bye\n\x1b[2J\xc0\xff", 10)->text, "bye??[2J??");
    CHECK_EQ_STR(left_with(WISP_OK, "a\0b", 3)->text, "a?b");
    CHECK_EQ_STR(left_with(WISP_OK, "Gr\xc3\xbc\xc3\x9f""e", 7)->text, "Gr\xc3\xbc\xc3\x9f""e");
    CHECK_EQ_INT(left_with(WISP_OK, "", 0)->result, WISP_OK);
    CHECK_EQ_INT(left_with(WISP_E_TIMEOUT, "", 0)->result, WISP_E_TIMEOUT);
    CHECK_EQ_INT(left_with(WISP_E_REPLACED, "", 0)->result, WISP_E_CLOSED);
    CHECK_EQ_INT(left_with(-999, "", 0)->result, WISP_E_CLOSED);
    CHECK_EQ_INT(left_with(WISP_E_PROTOCOL, "", 0)->result, WISP_E_PROTOCOL);
    CHECK_EQ_INT(left_with(WISP_E_USER - 3, "", 0)->result, WISP_E_USER - 3);
}

static void bad_leave_cut(wisp__writer *to) {
    wisp__frame_put(to, WISP__FRAME_LEAVE);
    wisp__put(to, 0, 16);
    wisp__put_length(to, 200);
    put_text(to, "short", 5);
}

static void put_more(wisp__writer *to, int kind) {
    wisp__frame_put(to, WISP__FRAME_MORE);
    wisp__put(to, (uint64_t)kind, 4);
}

static void bad_more_of_no_kind(wisp__writer *to) { put_more(to, 15); }

static void bad_methods_out_of_range(wisp__writer *to) {
    put_more(to, WISP__FRAME_READS - WISP__FRAME_MORE - 1);
    wisp__put_length(to, 256);
}

typedef struct bad_case { const char *name; writer_of write; } bad_case;
#define BAD(name) { #name, bad_##name }

static const bad_case bad_cases[] = {
    BAD(control_10), BAD(control_15), BAD(section_of_nothing), BAD(section_cut), BAD(no_section),
    BAD(like_none), BAD(like_none_after_section), BAD(like_an_unbound), BAD(run_of_nothing),
    BAD(run_without_end), BAD(run_of_a_billion), BAD(number_never_announced),
    BAD(number_beyond_all), BAD(number_without_end), BAD(values_of_no_kind), BAD(values_too_many),
    BAD(string_longer_than_packet), BAD(nest), BAD(length_beyond_packet),
    BAD(early_beyond_window), BAD(fragment_empty), BAD(fragment_cut), BAD(fragment_unreliable),
    BAD(fragment_without_first), BAD(fragment_first_twice), BAD(fragments_of_no_message),
    BAD(fragment_message_in_fragments), BAD(invoke_never_announced), BAD(invoke_cut),
    BAD(reply_positive), BAD(reply_unreadable), BAD(announcement_nameless),
    BAD(announcement_long), BAD(announcement_number), BAD(announcement_cut),
    BAD(announcement_extra), BAD(announcement_of_another), BAD(bound_never_given),
    BAD(unknown_never_given), BAD(leave_positive), BAD(leave_long), BAD(leave_cut),
    BAD(more_of_no_kind), BAD(methods_out_of_range),
};
enum { BAD_CASES = (int)(sizeof bad_cases / sizeof *bad_cases) };

TEST(every_senseless_record_ends_the_session_with_a_code_on_both_sides) {
    forger *b = forger_open();
    wisp_remote_named(b->t.server, "mp");
    for (int i = 0; i < BAD_CASES; i++) {
        uint64_t before = world_total(b->t.server).packets_malformed;
        bad_cases[i].write(body(b));
        send_body(b);
        world_run(&b->t.w, 0.05);
        if (!CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_LEFT, WISP_E_PROTOCOL), 1) ||
            !CHECK_EQ_INT(world_results(&b->t.w, b->t.client, WISP_LEFT, WISP_E_PROTOCOL), 1) ||
            !CHECK_EQ_INT(world_total(b->t.server).packets_malformed, before + 1))
            printf("  in %s\n", bad_cases[i].name);
        if (forger_joined(b)) wisp_leave(b->t.client, b->t.to_server, "next");
        forger_rejoin(b);
    }
    forger_close(b);
}

/* All that stands before a senseless record in its packet is done. */
TEST(what_stands_before_a_senseless_record_is_delivered) {
    forger *b = forger_open();
    wisp__writer *to = body(b);
    put_section(to, WISP_UNRELIABLE, 0);
    put_bound(to, 0);
    put_true(to);
    bad_control_15(to);
    send_body(b);
    world_run(&b->t.w, 0.05);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 1);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_LEFT, WISP_E_PROTOCOL), 1);
    forger_close(b);
}

static void check_flags(int flags) {
    forger *b = forger_open();
    wisp__frame_put(body(b), WISP__FRAME_PING);
    send_flagged(b, flags, 1);
    world_run(&b->t.w, 0.05);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_LEFT,
                               flags == WISP__FLAG_COMPRESSED ? WISP_E_COMPRESSED
                                                            : WISP_E_PROTOCOL), 1);
    forger_close(b);
}

TEST(flags_of_no_meaning_end_the_session) {
    for (int bit = 1; bit < 7; bit++) check_flags(1 << bit);
}

/* --- acks --- */

static void check_acks(const uint64_t *values, const int *bits, int count, bool good) {
    forger *b = forger_open();
    wisp__writer *to = body(b);
    for (int i = 0; i < count; i++) {
        if (bits[i] > 0) wisp__put(to, values[i], bits[i]);
        else wisp__put_length(to, values[i]);
    }
    send_flagged(b, WISP__FLAG_ACKS, (int)((to->at + 7) / 8));
    world_run(&b->t.w, 0.05);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_LEFT, WISP_E_PROTOCOL), good ? 0 : 1);
    CHECK(forger_joined(b) == good);
    forger_close(b);
}

TEST(acks_of_what_was_never_sent_end_the_session) {
    /* largest, delay, count - 1, then the lengths (0 bits: in groups) */
    static const uint64_t good[] = { 1, 0, 0, 0 }, ahead[] = { 900, 0, 0, 0 };
    static const uint64_t behind[] = { 0xffff, 0, 0, 0 }, wide[] = { 1, 0, 0, 500 };
    static const uint64_t below[] = { 1, 0, 1, 0, 0, 0 }, cut[] = { 1, 0, 7 };
    static const uint64_t huge[] = { 1, 0, 0, (1 << 28) - 1 };
    static const int bits[] = { 16, 8, 4, 0, 0, 0 };
    check_acks(good, bits, 4, true);
    check_acks(ahead, bits, 4, false);
    check_acks(behind, bits, 4, false);
    check_acks(wide, bits, 4, false);
    check_acks(below, bits, 6, false);
    check_acks(cut, bits, 3, false);
    check_acks(huge, bits, 4, false);
    check_acks(good, bits, 1, false);
}

static void put_acks(wisp__writer *to, uint64_t largest, int count) {
    wisp__put(to, largest & 0xffff, 16);
    wisp__put(to, 0, 8);
    wisp__put_small(to, 0);
    wisp__put_length(to, (uint64_t)count - 1);
}

/* The server leaves a number out; a client that acks it has not received what it acks. */
TEST(an_ack_of_a_number_that_was_left_out_ends_the_session) {
    for (int optimist = 0; optimist < 2; optimist++) {
        forger *b = forger_open();
        const wisp__flow *flow = &forger_server_side(b)->peer.flow;
        uint64_t out;
        for (int i = 0; i < 1000 && !flow->skip_count; i++) {
            world_fire(b->t.server, "hp", b->t.to_client, i);
            world_step(&b->t.w);
        }
        CHECK_EQ_INT(flow->skip_count, 1);
        out = flow->skips[0];
        CHECK_EQ_INT(wisp__flow_seen(&forger_peer(b)->flow, out), 0);
        world_fire(b->t.server, "hp", b->t.to_client, 1);
        world_fire(b->t.server, "hp", b->t.to_client, 2);
        world_run(&b->t.w, 0.2);
        CHECK(forger_joined(b));
        put_acks(body(b), out + 1, optimist ? 3 : 1);
        send_flagged(b, WISP__FLAG_ACKS, (int)((b->to.at + 7) / 8));
        world_run(&b->t.w, 0.05);
        CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_LEFT, WISP_E_PROTOCOL), optimist);
        forger_close(b);
    }
}

/* --- honest packets, mangled and tagged anew --- */

static void on_receive_double(wisp_event *event) {
    wisp_value twice = wisp_int(2 * wisp_arg_int(event, 0));
    wisp_reply_values(event, &twice, 1);
}

static wisp_value some_map(void) {
    static wisp_pair pairs[2];
    static wisp_value list[3];
    for (int i = 0; i < 3; i++) list[i] = wisp_int(i * 1000);
    pairs[0].key = "name";
    pairs[0].value = wisp_string("somebody");
    pairs[1].key = "list";
    pairs[1].value = wisp_array(list, 3);
    return wisp_map(pairs, 2);
}

/* Makes the client send a bit of everything; its packets stay in the tap. */
static void send_samples(forger *b) {
    char large[3000];
    wisp_value values[3];
    memset(large, 'L', sizeof large);
    b->out.keep = true;
    values[0] = some_map();
    values[1] = wisp_vec3v(1, 2, 3);
    values[2] = wisp_color3(1, 0, 0);
    wisp_fire_values(b->t.client, "hp", wisp_to_peer(b->t.to_server), values, 3);
    world_fire(b->t.client, "fresh", b->t.to_server, 1);
    for (int i = 0; i < 4; i++) world_fire(b->t.client, "hp", b->t.to_server, i / 2);
    world_fire(b->t.client, "fast", b->t.to_server, 5);
    values[0] = wisp_int(4);
    wisp_invoke_values(b->t.client, "double", wisp_to_peer(b->t.to_server), NULL, values, 1);
    values[0] = wisp_string_n(large, (int)sizeof large);
    wisp_fire_values(b->t.client, "hp", wisp_to_peer(b->t.to_server), values, 1);
    world_run(&b->t.w, 0.02);
    b->out.keep = false;
}

/* Sends a kept packet with a new number and a right tag. */
static void send_mangled(forger *b, const tap_packet *kept, int size) {
    int flags = kept->bytes[0] & WISP__FLAG_ACKS;
    memset(b->bytes, 0, sizeof b->bytes);
    memcpy(b->bytes + WISP__PACKET_HEAD, kept->bytes + WISP__PACKET_HEAD,
           (size_t)(size - WISP__PACKET_HEAD));
    send_flagged(b, flags, size - WISP__PACKET_HEAD);
}

static forger *mangle_open(void) {
    forger *b = forger_open();
    world_watch(&b->t.w, b->t.server, "fast");
    wisp_set_unreliable(b->t.client, "fast", true);
    wisp_on_invoke(b->t.server, "double", on_receive_double, NULL);
    world_run(&b->t.w, 0.1);
    return b;
}

/* After each mangled packet the session is alive or has ended with a code; then it is made anew. */
static void settle_mangled(forger *b) {
    b->t.w.now += 0.001;
    world_update(&b->t.w, 0);
    if (forger_joined(b)) return;
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, WISP_LEFT), 1);
    CHECK(world_last(&b->t.w, b->t.server, WISP_LEFT)->result < 0);
    b->t.w.step = 0.2;
    forger_rejoin(b);
    b->t.w.step = 0.01;
    b->out.kept_count = 0;
    send_samples(b);
}

TEST(honest_packets_cut_at_every_byte_do_no_harm) {
    forger *b = mangle_open();
    send_samples(b);
    CHECK(b->out.kept_count >= 3);
    for (int i = 0; i < b->out.kept_count; i++)
        for (int size = WISP__PACKET_HEAD; size <= b->out.kept[i].size && i < b->out.kept_count;
             size += size < 150 ? 1 : 61) {
            tap_packet packet = b->out.kept[i];
            send_mangled(b, &packet, size);
            settle_mangled(b);
        }
    forger_close(b);
}

TEST(honest_packets_with_wrong_bits_and_right_tags_do_no_harm) {
    forger *b = mangle_open();
    uint64_t seed = 3;
    send_samples(b);
    for (int round = 0; round < 1500; round++) {
        tap_packet packet = b->out.kept[test_random_below(&seed, b->out.kept_count)];
        int flips = 1 + test_random_below(&seed, 4), most = packet.size < 150 ? packet.size : 150;
        for (int i = 0; i < flips; i++)
            packet.bytes[WISP__PACKET_HEAD + test_random_below(&seed, most - WISP__PACKET_HEAD)] ^=
                (uint8_t)(1 << test_random_below(&seed, 8));
        send_mangled(b, &packet, packet.size);
        settle_mangled(b);
    }
    CHECK(world_total(b->t.server).joins > 50);
    forger_close(b);
}

TEST(random_bodies_with_right_tags_do_no_harm) {
    forger *b = mangle_open();
    uint64_t seed = 11;
    for (int round = 0; round < 1500; round++) {
        int size = 1 + test_random_below(&seed, round % 10 ? 60 : 1190);
        body(b);
        if (round & 1) put_section(&b->to, 1 + test_random_below(&seed, 3), WISP_FIRST_NUMBER);
        for (int i = (int)((b->to.at + 7) / 8); i < size; i++)
            b->bytes[WISP__PACKET_HEAD + i] = (uint8_t)test_random(&seed);
        send_flagged(b, test_random_below(&seed, 8) == 0, size);
        settle_mangled(b);
    }
    CHECK(world_total(b->t.server).packets_malformed > 300);
    forger_close(b);
}

/* --- packets that count for nothing --- */

/* An honest client goes on as if they had not come. */
static void check_unharmed(forger *b) {
    world_forget(&b->t.w);
    for (int i = 0; i < 50; i++) {
        world_fire(b->t.client, "hp", b->t.to_server, i);
        world_step(&b->t.w);
    }
    world_run(&b->t.w, 0.5);
    CHECK(forger_joined(b));
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 50);
    CHECK(world_counts_up(&b->t.w, b->t.server, "hp", 0));
    forger_close(b);
}

TEST(an_empty_packet_moves_nothing_however_far_ahead) {
    static const int aheads[] = { 0, 1, 5, 1000, 8000, 8192, 8193, 32000, 40000 };
    for (int i = 0; i < 9; i++)
        for (int end = 0; end < 2; end++) {
            forger *b = forger_open();
            wisp__flow *flow = &forger_server_side(b)->peer.flow;
            uint64_t top = flow->top;
            uint64_t malformed = world_total(b->t.server).packets_malformed;
            body(b);
            send_numbered(b, 0, forger_peer(b)->flow.next + (uint64_t)aheads[i], end);
            world_update(&b->t.w, 0);
            CHECK_EQ_INT(flow->top, top);
            CHECK_EQ_INT(flow->unacked, 0);
            if (aheads[i] <= 8000)
                CHECK_EQ_INT(world_total(b->t.server).packets_malformed, malformed + 1);
            check_unharmed(b);
        }
}

TEST(a_leap_beyond_8192_numbers_is_refused) {
    for (int over = 0; over < 2; over++) {
        forger *b = forger_open();
        wisp__flow *flow = &forger_server_side(b)->peer.flow;
        uint64_t top = flow->top;
        wisp__frame_put(body(b), WISP__FRAME_PING);
        send_numbered(b, 0, top + 8192 + (uint64_t)over, 1);
        world_update(&b->t.w, 0);
        CHECK_EQ_INT(flow->top, over ? top : top + 8192);
        CHECK_EQ_INT(world_peer_stats(b->t.server, b->t.to_client).packets_refused, over);
        if (over) check_unharmed(b);
        else forger_close(b);
    }
}

/* Is the session still there after 11 seconds, in which every half second `size` bytes of a body
   come from the client, and nothing else? */
static bool outlives_silence(void (*say)(forger *b, const tap_packet *old)) {
    forger *b = forger_open();
    tap_packet old;
    bool lives;
    b->out.keep = true;
    world_fire(b->t.client, "hp", b->t.to_server, 77);
    world_run(&b->t.w, 0.01);
    old = b->out.kept[0];
    tap_pass(&b->out, &old);
    for (int i = 0; i < 22; i++) {
        world_run(&b->t.w, 0.5);
        if (forger_joined(b)) say(b, &old);
    }
    lives = forger_joined(b);
    forger_close(b);
    return lives;
}

static void say_ping(forger *b, const tap_packet *old) {
    (void)old;
    wisp__frame_put(body(b), WISP__FRAME_PING);
    send_body(b);
}

static void say_again(forger *b, const tap_packet *old) { tap_pass(&b->out, old); }

static void say_nothing(forger *b, const tap_packet *old) {
    (void)old;
    body(b);
    send_flagged(b, 0, 3);
}

static void say_far_ahead(forger *b, const tap_packet *old) {
    (void)old;
    wisp__frame_put(body(b), WISP__FRAME_PING);
    send_numbered(b, 0, forger_peer(b)->flow.next + 9000, 1);
}

TEST(only_a_packet_that_is_taken_counts_as_a_sign_of_life) {
    CHECK(outlives_silence(say_ping));
    CHECK(!outlives_silence(say_again));
    CHECK(!outlives_silence(say_nothing));
    CHECK(!outlives_silence(say_far_ahead));
}

/* Packets full of LIMITED: about a name of this end, or about none. */
TEST(to_be_told_of_lost_messages_costs_little) {
    for (int known = 0; known < 2; known++) {
        forger *b = forger_open();
        wisp *server = b->t.server;
        wisp_remote remote = wisp_remote_named(server, "mine");
        int number = known ? (int)(remote.id & 0xffff) - 1 - WISP__RESERVED : 500, count;
        world_run(&b->t.w, 0.2);
        for (int packet = 0; packet < (known ? 60 : 1); packet++) {
            body(b);
            for (int i = 0; i < 100; i++) wisp__frame_put_limited(&b->to, number, 1u << 29);
            send_body(b);
            world_run(&b->t.w, 0.01);
        }
        world_run(&b->t.w, 0.5);
        count = world_count(&b->t.w, server, WISP_ERROR);
        if (known) CHECK(count >= 1 && count <= 8 + 2);
        else CHECK_EQ_INT(world_results(&b->t.w, server, WISP_LEFT, WISP_E_PROTOCOL), 1);
        forger_close(b);
    }
}

/* Records of later versions are no records yet. */
TEST(reserved_records_end_the_session) {
    static const int kinds[] = { WISP__FRAME_FULL };
    for (int i = 0; i < TEST_COUNT(kinds); i++) {
        int kind = kinds[i];
        forger *b;
        b = forger_open();
        wisp__frame_put(body(b), WISP__FRAME_PING);
        if (kind <= WISP__FRAME_MORE) wisp__put(&b->to, (uint64_t)kind << 4, 8);
        else wisp__put(&b->to, 15 << 4 | (uint64_t)(kind - WISP__FRAME_MORE - 1) << 8, 12);
        send_body(b);
        world_run(&b->t.w, 0.05);
        CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_LEFT, WISP_E_PROTOCOL), 1);
        CHECK_EQ_STR(world_last(&b->t.w, b->t.server, WISP_LEFT)->text, "a record of no kind");
        forger_close(b);
    }
}

/* --- packets that are not of the session --- */

/* It is read, as its tag is right, but alone it does not move the session. */
TEST(a_packet_from_another_address_is_read_and_moves_nothing) {
    forger *b = forger_open();
    wisp_link elsewhere = wisp_loopback(&b->t.w.pipe, 30);
    wisp_addr home = world_addr(&b->t.w, b->t.client);
    wisp_total_stats before = world_total(b->t.server);
    wisp_packet packet;
    wisp__frame_put(body(b), WISP__FRAME_PING);
    b->bytes[0] = WISP__FLAG_SESSION;
    wisp__packet_close(&b->t.client->base, forger_peer(b), forger_peer(b)->flow.next++, b->bytes,
                       WISP__PACKET_HEAD + 1);
    memset(&packet, 0, sizeof packet);
    packet.addr = world_addr(&b->t.w, b->t.server);
    packet.data = b->bytes;
    packet.size = WISP__PACKET_HEAD + 1;
    elsewhere.send(elsewhere.user, &packet, 1);
    world_update(&b->t.w, 0);
    CHECK_EQ_INT(world_total(b->t.server).packets_foreign, before.packets_foreign);
    CHECK_EQ_INT(world_total(b->t.server).packets_bad_tag, before.packets_bad_tag);
    world_run(&b->t.w, 3);
    CHECK(wisp__addr_equal(&forger_server_side(b)->peer.addr, &home));
    check_unharmed(b);
}

/* Whoever joins anew has another number, and packets for the old one are foreign. */
TEST(each_session_of_an_address_has_a_number_of_its_own) {
    forger *b = forger_open();
    tap_packet old;
    uint16_t ours = forger_peer(b)->connection;
    wisp_total_stats before;
    wisp_addr to;
    CHECK_EQ_INT(ours, wisp__connection_of(&forger_server_side(b)->peer));
    CHECK_EQ_INT(forger_server_side(b)->peer.connection, wisp__connection_of(forger_peer(b)));
    b->out.keep = true;
    world_fire(b->t.client, "hp", b->t.to_server, 77);
    world_run(&b->t.w, 0.01);
    old = b->out.kept[0];
    b->out.keep = false;
    CHECK_EQ_INT(wisp__load_part(old.bytes + 1, 2), ours);
    to = world_addr(&b->t.w, b->t.server);
    b->t.to_server = wisp_join(b->t.client, &to, NULL, 0);
    world_run(&b->t.w, 5);
    CHECK(forger_peer(b)->connection != ours);
    before = world_total(b->t.server);
    tap_pass(&b->out, &old);
    world_update(&b->t.w, 0);
    CHECK_EQ_INT(world_total(b->t.server).packets_foreign, before.packets_foreign + 1);
    CHECK(forger_joined(b));
    forger_close(b);
}

/* Over the lives of a place no two in a row have one number, and the session is found by it. */
TEST(a_connection_number_has_the_generation_of_its_place) {
    forger *b = forger_open();
    uint16_t last = forger_peer(b)->connection;
    for (int i = 0; i < 40; i++) {
        wisp__peer *found;
        wisp_leave(b->t.client, b->t.to_server, "");
        forger_rejoin(b);
        CHECK(forger_peer(b)->connection != last);
        last = forger_peer(b)->connection;
        found = wisp__peers_connection(b->t.server, last);
        CHECK(found == &forger_server_side(b)->peer);
        CHECK(!wisp__peers_connection(b->t.server, (uint16_t)(last + (1 << 15))));
    }
    forger_close(b);
}

static tap_packet one_packet(forger *b) {
    b->out.keep = true;
    b->out.kept_count = 0;
    world_fire(b->t.client, "hp", b->t.to_server, 77);
    world_run(&b->t.w, 0.01);
    b->out.keep = false;
    CHECK_EQ_INT(b->out.kept_count, 1);
    return b->out.kept[0];
}

TEST(a_packet_with_any_one_bit_flipped_is_refused_and_the_true_one_taken) {
    forger *b = forger_open();
    tap_packet packet = one_packet(b);
    wisp_total_stats before = world_total(b->t.server), after;
    for (int bit = 0; bit < packet.size * 8; bit++) {
        tap_packet wrong = packet;
        wrong.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        tap_pass(&b->out, &wrong);
        world_update(&b->t.w, 0);
    }
    after = world_total(b->t.server);
    CHECK_EQ_INT(after.packets_bad_tag - before.packets_bad_tag +
                 after.packets_foreign - before.packets_foreign +
                 after.handshakes_bad - before.handshakes_bad, packet.size * 8);
    CHECK_EQ_INT(after.packets_foreign - before.packets_foreign, 17); /* connection, session flag */
    CHECK(after.packets_bad_tag - before.packets_bad_tag >= (uint64_t)packet.size * 8 - 17);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 0);
    tap_pass(&b->out, &packet);
    world_update(&b->t.w, 0);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 1);
    CHECK_EQ_INT(world_last(&b->t.w, b->t.server, "hp")->number, 77);
    CHECK(forger_joined(b));
    forger_close(b);
}

TEST(a_packet_sent_again_is_counted_and_not_taken_again) {
    forger *b = forger_open();
    tap_packet packet = one_packet(b);
    for (int i = 0; i < 5; i++) tap_pass(&b->out, &packet);
    world_run(&b->t.w, 0.05);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 1);
    CHECK_EQ_INT(world_peer_stats(b->t.server, b->t.to_client).packets_duplicate, 4);
    forger_close(b);
}

TEST(a_packet_of_another_peer_or_direction_is_refused) {
    forger *b = forger_open();
    wisp *third = world_add(&b->t.w);
    tap_packet packet;
    tap reverse, thirds;
    uint16_t thirds_connection;
    wisp_peer server = world_join(&b->t.w, third, b->t.server);
    thirds_connection = wisp__session_of(third, server)->peer.connection;
    tap_on(&thirds, third);
    packet = one_packet(b);
    wisp__store_part(packet.bytes + 1, thirds_connection, 2);
    tap_pass(&thirds, &packet);               /* the client's packet for the third one's session */
    world_update(&b->t.w, 0);
    CHECK_EQ_INT(world_total(b->t.server).packets_bad_tag, 1);
    tap_on(&reverse, b->t.server);
    packet.addr = world_addr(&b->t.w, b->t.client);
    wisp__store_part(packet.bytes + 1, forger_server_side(b)->peer.connection, 2);
    tap_pass(&reverse, &packet);              /* and back to the client itself */
    world_update(&b->t.w, 1);
    CHECK_EQ_INT(world_total(b->t.client).packets_bad_tag, 1);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 0);
    forger_close(b);
}

static void pass_packet(forger *b, const wisp_link *from, uint8_t *bytes, int size) {
    wisp_packet packet;
    packet.addr = world_addr(&b->t.w, b->t.server);
    packet.data = bytes;
    packet.size = size;
    packet.status = 0;
    from->send(from->user, &packet, 1);
    world_update(&b->t.w, 0);
}

static void pass_bytes(forger *b, const wisp_link *from, int every, int size) {
    uint8_t bytes[1400];
    memset(bytes, every, sizeof bytes);
    pass_packet(b, from, bytes, size);
}

/* For the session itself, but with a tag of zeros. */
static void pass_headed(forger *b, const wisp_link *from, uint16_t connection) {
    uint8_t bytes[100] = { 0x80 };
    wisp__store_part(bytes + 1, connection, 2);
    pass_packet(b, from, bytes, 100);
}

TEST(empty_oversized_and_foreign_datagrams_have_their_counters) {
    forger *b = (forger *)calloc(1, sizeof *b);
    wisp_link stranger, inner;
    wisp_total_stats before, after;
    world_open(&b->t.w);
    b->t.w.pipe.mtu = 1400;
    world_two_join(&b->t);
    b->t.server->base.mtu = 1200;             /* the pipe lets through what the server does not */
    forger_names(b);
    world_run(&b->t.w, 0.2);
    inner = b->out.inner = b->t.client->peers.post.link;
    stranger = wisp_loopback(&b->t.w.pipe, 20);
    before = world_total(b->t.server);
    pass_bytes(b, &inner, 0x80, 0);
    pass_bytes(b, &inner, 0x80, 1201);
    pass_bytes(b, &inner, 0x80, 1400);
    for (int size = 1; size <= 100; size++) pass_bytes(b, &stranger, 0x80, size);
    for (int size = 1; size <= 100; size++) pass_bytes(b, &stranger, 0x01, size);
    pass_bytes(b, &inner, 0x80, 100);
    pass_headed(b, &inner, forger_peer(b)->connection);
    after = world_total(b->t.server);
    CHECK_EQ_INT(after.packets_empty - before.packets_empty, 1);
    CHECK_EQ_INT(after.packets_oversized - before.packets_oversized, 2);
    CHECK_EQ_INT(after.packets_foreign - before.packets_foreign, 201);
    CHECK_EQ_INT(after.packets_bad_tag - before.packets_bad_tag, 1);
    CHECK_EQ_INT(after.packets_received - before.packets_received, 205);
    CHECK_EQ_INT(after.memory, before.memory);
    CHECK(forger_joined(b));
    b->t.server->base.mtu = 1400;
    forger_close(b);
}

TEST(short_session_packets_from_a_peer_are_refused_at_every_size) {
    forger *b = forger_open();
    wisp_link inner = b->out.inner;
    for (int size = 1; size < 12; size++) {
        pass_bytes(b, &inner, 0x80, size);
        pass_bytes(b, &inner, 0xff, size);
    }
    CHECK(forger_joined(b));
    CHECK_EQ_INT(world_total(b->t.server).packets_malformed, 0);
    forger_close(b);
}

/* --- compressed packets --- */

/* A compressor of runs under another name. */
static void *copy_open(const wisp_compressor *c, const wisp_allocator *memory, const void *words,
                       int size) {
    (void)memory;
    (void)size;
    return words ? NULL : c->user;
}

static void copy_close(const wisp_compressor *c, void *context) {
    (void)c;
    (void)context;
}

static int copy_pack(void *context, const void *from, int size, void *to, int capacity) {
    (void)context;
    return wisp__runs_pack((const uint8_t *)from, size, (uint8_t *)to, capacity);
}

static int copy_unpack(void *context, const void *from, int size, void *to, int capacity) {
    (void)context;
    return wisp__runs_unpack((const uint8_t *)from, size, (uint8_t *)to, capacity);
}

static void plug_in(wisp *w, wisp_compression mode) {
    static int context;
    wisp_compressor c;
    memset(&c, 0, sizeof c);
    c.mode = mode;
    c.name = "runs";
    c.open = copy_open;
    c.close = copy_close;
    c.compress = copy_pack;
    c.decompress = copy_unpack;
    c.user = &context;
    CHECK_EQ_INT(wisp_add_compressor(w, &c), WISP_OK);
}

/* Bytes that compression saved of 500 that are alike, which come. */
static int saved(world_two *t, wisp *from, wisp_peer to, wisp *at) {
    uint8_t blob[500] = { 0 };
    wisp_value value = wisp_bytes(blob, sizeof blob);
    int count = world_count(&t->w, at, "blob");
    uint64_t before = world_peer_stats(from, to).bytes_saved;
    wisp_fire_values(from, "blob", wisp_to_peer(to), &value, 1);
    world_run(&t->w, 0.1);
    CHECK_EQ_INT(world_count(&t->w, at, "blob"), count + 1);
    return (int)(world_peer_stats(from, to).bytes_saved - before);
}

static void receive_blobs_open(world_two *t) {
    world_two_open(t);
    world_watch(&t->w, t->server, "blob");
    world_watch(&t->w, t->client, "blob");
    world_run(&t->w, 0.1);
}

TEST(a_peer_compresses_no_packets_that_are_not_read) {
    world_two t;
    receive_blobs_open(&t);
    wisp_use_compression(t.client, WISP_COMPRESSION_AUTO, NULL);
    CHECK_EQ_INT(saved(&t, t.client, t.to_server, t.server), 0);
    wisp_use_compression(t.server, WISP_COMPRESSION_AUTO, NULL);        /* during the session */
    world_run(&t.w, 0.1);
    CHECK(saved(&t, t.client, t.to_server, t.server) > 400);
    wisp_use_compression(t.server, WISP_COMPRESSION_NONE, NULL);        /* it never takes back */
    world_run(&t.w, 0.1);
    CHECK(saved(&t, t.client, t.to_server, t.server) > 400);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    wisp_leave(t.client, t.to_server, "");
    world_run(&t.w, 2);
    t.to_server = world_join(&t.w, t.client, t.server);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(saved(&t, t.client, t.to_server, t.server), 0);
    world_close(&t.w);
}

TEST(foreign_for_all_names_reads_compressed_packets) {
    world_two t;
    world_open(&t.w);
    t.w.foreign = true;
    world_two_join(&t);
    world_watch(&t.w, t.server, "blob");
    wisp_use_compression(t.client, WISP_COMPRESSION_AUTO, NULL);
    world_run(&t.w, 0.1);
    CHECK(saved(&t, t.client, t.to_server, t.server) > 400);
    world_close(&t.w);
}

TEST(the_end_that_joined_reads_whatever_packets_its_server_compresses) {
    world_two t;
    receive_blobs_open(&t);
    wisp_use_compression(t.server, WISP_COMPRESSION_AUTO, NULL);
    CHECK(saved(&t, t.server, t.to_client, t.client) > 400);
    world_close(&t.w);
}

TEST(the_news_of_what_is_read_survives_loss) {
    world_two t;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.seed = 3;
    world_two_join(&t);
    world_watch(&t.w, t.server, "blob");
    wisp_use_compression(t.client, WISP_COMPRESSION_AUTO, NULL);
    t.w.sims[0].loss = 1;
    wisp_use_compression(t.server, WISP_COMPRESSION_AUTO, NULL);
    world_run(&t.w, 0.1);
    t.w.sims[0].loss = 0;
    world_run(&t.w, 3);
    CHECK(saved(&t, t.client, t.to_server, t.server) > 400);
    world_close(&t.w);
}

/* Sends a ping and zeros as a packet that is compressed by a method. */
static void send_compressed(forger *b, int method) {
    static const uint8_t packed[] = {1, WISP__FRAME_PING << 4}; /* a byte as it is: no zeros */
    body(b);
    wisp__put(&b->to, (uint64_t)method, 8);
    wisp__put(&b->to, 1, 16);
    wisp__put_bytes(&b->to, packed, (int)sizeof packed);
    send_flagged(b, WISP__FLAG_COMPRESSED, (int)(b->to.at / 8));
    world_run(&b->t.w, 0.05);
}

/* Which methods are read, by what is set here; a packet of any other ends the session. */
TEST(a_packet_compressed_as_nobody_asked_for_ends_the_session) {
    static const wisp_compression modes[] = {
        0, WISP_COMPRESSION_NONE, WISP_COMPRESSION_AUTO, WISP_COMPRESSION_USER,
        WISP_COMPRESSION_USER + 1,
    };
    static const unsigned read[] = { 0, 0, 0x62, 0x22, 0x42 };       /* a bit for each method */
    for (int i = 0; i < 5; i++)
        for (int method = 0; method < 8; method++) {
            forger *b = forger_open();
            bool good = read[i] >> method & 1;
            plug_in(b->t.server, WISP_COMPRESSION_USER);
            plug_in(b->t.server, WISP_COMPRESSION_USER + 1);
            if (modes[i])
                CHECK_EQ_INT(wisp_use_compression(b->t.server, modes[i], NULL), WISP_OK);
            world_run(&b->t.w, 0.1);
            send_compressed(b, method);
            if (!CHECK_EQ_INT(forger_joined(b), good))
                printf("  mode %d, method %d\n", modes[i], method);
            CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_LEFT, WISP_E_COMPRESSED), !good);
            forger_close(b);
        }
}

/* The client's own choice is not read there: it takes what is. */
TEST(a_peer_compresses_packets_by_a_method_that_is_read) {
    world_two t;
    world_open(&t.w);
    t.server = world_add(&t.w);
    t.client = world_add(&t.w);
    for (int i = 0; i < 2; i++) {
        plug_in(t.w.ends[i], WISP_COMPRESSION_USER);
        plug_in(t.w.ends[i], WISP_COMPRESSION_USER + 1);
    }
    wisp_use_compression(t.server, WISP_COMPRESSION_USER, NULL);
    wisp_use_compression(t.client, WISP_COMPRESSION_USER + 1, NULL);
    t.to_server = world_join(&t.w, t.client, t.server);
    t.to_client = world_peer(t.server, 0);
    world_watch(&t.w, t.server, "blob");
    world_watch(&t.w, t.client, "blob");
    world_run(&t.w, 0.1);
    CHECK(saved(&t, t.client, t.to_server, t.server) > 400);
    CHECK(saved(&t, t.server, t.to_client, t.client) > 400);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(a_goodbye_says_what_the_other_end_can_know_in_text_that_can_be_shown),
    CASE(every_senseless_record_ends_the_session_with_a_code_on_both_sides),
    CASE(what_stands_before_a_senseless_record_is_delivered),
    CASE(flags_of_no_meaning_end_the_session),
    CASE(an_ack_of_a_number_that_was_left_out_ends_the_session),
    CASE(an_empty_packet_moves_nothing_however_far_ahead),
    CASE(a_leap_beyond_8192_numbers_is_refused),
    CASE(only_a_packet_that_is_taken_counts_as_a_sign_of_life),
    CASE(to_be_told_of_lost_messages_costs_little),
    CASE(reserved_records_end_the_session),
    CASE(a_packet_from_another_address_is_read_and_moves_nothing),
    CASE(each_session_of_an_address_has_a_number_of_its_own),
    CASE(a_connection_number_has_the_generation_of_its_place),
    CASE(acks_of_what_was_never_sent_end_the_session),
    CASE(honest_packets_cut_at_every_byte_do_no_harm),
    CASE(honest_packets_with_wrong_bits_and_right_tags_do_no_harm),
    CASE(random_bodies_with_right_tags_do_no_harm),
    CASE(a_packet_with_any_one_bit_flipped_is_refused_and_the_true_one_taken),
    CASE(a_packet_sent_again_is_counted_and_not_taken_again),
    CASE(a_packet_of_another_peer_or_direction_is_refused),
    CASE(empty_oversized_and_foreign_datagrams_have_their_counters),
    CASE(short_session_packets_from_a_peer_are_refused_at_every_size),
    CASE(a_peer_compresses_no_packets_that_are_not_read),
    CASE(foreign_for_all_names_reads_compressed_packets),
    CASE(the_end_that_joined_reads_whatever_packets_its_server_compresses),
    CASE(the_news_of_what_is_read_survives_loss),
    CASE(a_packet_compressed_as_nobody_asked_for_ends_the_session),
    CASE(a_peer_compresses_packets_by_a_method_that_is_read),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
