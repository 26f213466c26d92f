/* test_inbound.c - messages that come for a session, good ones and bad ones, and their handlers */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"
#include "support/forged_packets.h"

/* --- one bad message --- */

static void check_bad_among_good(int delivery, uint32_t first, bool gap) {
    forger *b = forger_open();
    wisp__writer *to = body(b);
    put_section(to, delivery, first + (gap ? 1 : 0));
    for (int i = 0; i < 5; i++) {
        put_unbound(to, i == 3 ? 900 : 0, 9);
        if (i == 1) wisp__put(to, 0x1f1, 9);         /* one value of no kind */
        else put_true(to);
    }
    send_body(b);
    if (gap) {
        to = body(b);
        put_section(to, delivery, first);
        put_unbound(to, 0, 9);
        put_true(to);
        send_body(b);
    }
    world_run(&b->t.w, 0.05);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), gap ? 4 : 3);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR, WISP_E_BAD_PACKET), 1);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR, WISP_E_NO_REMOTE), 1);
    CHECK_EQ_INT(world_peer_stats(b->t.server, b->t.to_client).bad_messages, 2);
    CHECK(forger_joined(b));
    forger_close(b);
}

TEST(a_bad_message_does_not_cost_the_rest_of_its_batch) {
    check_bad_among_good(WISP_UNRELIABLE, 0, false);
    check_bad_among_good(WISP_SEQUENCED, 0, false);
    check_bad_among_good(WISP_RELIABLE, WISP_FIRST_NUMBER, false);
}

TEST(a_bad_message_held_for_its_turn_does_not_cost_the_others) {
    check_bad_among_good(WISP_RELIABLE, WISP_FIRST_NUMBER, true);
}

TEST(a_message_that_ends_before_its_length_is_bad) {
    forger *b = forger_open();
    wisp__writer *to = body(b);
    put_section(to, WISP_UNRELIABLE, 0);
    put_unbound(to, 0, 17);
    put_true(to);
    wisp__put(to, 0, 8);
    send_body(b);
    world_run(&b->t.w, 0.05);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), 0);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR, WISP_E_BAD_PACKET), 1);
    CHECK(forger_joined(b));
    forger_close(b);
}

/* --- handlers --- */

static void on_count(wisp_event *event) {
    forger *b = (forger *)event->user;
    b->handled++;
    if (wisp_arg_int(event, 0) == 2) wisp_leave(event->w, event->peer, "enough");
}

/* The rest of the packet, and what was held behind it, is not delivered any more. */
TEST(a_handler_that_leaves_ends_the_reading_of_its_packet) {
    for (int held = 0; held < 2; held++) {
        forger *b = forger_open();
        wisp_connect_target(b->t.server, wisp_by_name("n"), on_count, b, false);
        world_fire(b->t.client, "n", b->t.to_server, 0);
        world_run(&b->t.w, 0.1);
        b->out.keep = true;
        if (held) wisp_set_batch_mode(b->t.client, "n", WISP_BATCH_NEVER);
        for (int i = 1; i < 6; i++) world_fire(b->t.client, "n", b->t.to_server, i);
        wisp_flush_batches(b->t.client);
        CHECK_EQ_INT(b->out.kept_count, held ? 5 : 1);
        for (int i = b->out.kept_count - 1; i >= 0; i--) tap_pass(&b->out, &b->out.kept[i]);
        b->out.keep = false;
        world_run(&b->t.w, 0.2);
        CHECK_EQ_INT(b->handled, 3);
        CHECK_EQ_STR(world_last(&b->t.w, b->t.client, WISP_LEFT)->text, "enough");
        CHECK_EQ_INT(world_last(&b->t.w, b->t.client, WISP_LEFT)->result, WISP_OK);
        forger_close(b);
    }
}

/* --- calls that make no sense, and the work that one packet may cause --- */

static void put_invoke(wisp__writer *to, uint32_t id, int ahead) {
    wisp__frame_put(to, WISP__FRAME_INVOKE);
    wisp__put_length(to, 0);
    wisp__put(to, id & WISP__LOW_24, 24);
    wisp__put_small(to, (uint64_t)ahead);
    wisp__put(to, 0, 1);
    wisp__put_length(to, 9);
}

TEST(an_unreadable_invoke_does_not_run_its_handler_early_or_in_order) {
    for (int early = 0; early < 2; early++) {
        forger *b = forger_open();
        wisp__writer *to = body(b);
        wisp_on_invoke_target(b->t.server, wisp_by_name("hp"), on_count, b);
        put_section(to, WISP_RELIABLE, (uint32_t)WISP_FIRST_NUMBER + (unsigned)early);
        put_invoke(to, WISP_FIRST_NUMBER, 0);
        wisp__put(to, 0x1f1, 9);                     /* one value of no kind */
        send_body(b);
        to = body(b);
        put_section(to, WISP_RELIABLE, WISP_FIRST_NUMBER);
        put_unbound(to, 0, 9);
        put_true(to);
        if (early) send_body(b);
        world_run(&b->t.w, 0.05);
        CHECK_EQ_INT(b->handled, 0);
        CHECK_EQ_INT(world_count(&b->t.w, b->t.server, "hp"), early);
        CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR, WISP_E_BAD_PACKET), 1);
        CHECK(forger_joined(b));
        forger_close(b);
    }
}

TEST(calls_that_settle_in_leaps_end_the_session) {
    forger *b = forger_open();
    uint32_t id = WISP_FIRST_NUMBER + 4095;
    for (int packet = 0; packet < 2; packet++) {
        wisp__writer *to = body(b);
        put_section(to, WISP_UNRELIABLE, 0);
        for (int i = 0; i < 60; i++, id += 8000) {
            put_invoke(to, id, packet ? 0 : 4095);
            put_true(to);
            if (!packet) break;
        }
        send_body(b);
        world_run(&b->t.w, 0.05);
        CHECK_EQ_INT(forger_joined(b), !packet);
    }
    forger_close(b);
}

TEST(answers_of_no_call_are_sought_only_as_far_as_the_packet_pays) {
    enum { CALLS = 4000, ANSWERS = 400 };
    forger *b = forger_open();
    wisp__session *s = forger_server_side(b);
    wisp__writer *to = body(b);
    int64_t before, paid;
    for (int i = 0; i < CALLS; i++)
        wisp_invoke_target(b->t.server, wisp_by_name("q"), wisp_to_peer(b->t.to_client), NULL,
                           NULL, 0);
    for (wisp__pending *call = s->calls_first; call; call = call->next)
        if (call->id == WISP_FIRST_NUMBER + CALLS / 2) {
            wisp__call_end(b->t.server, call, WISP_E_CANCELLED);
            break;
        }
    put_section(to, WISP_UNRELIABLE, 0);
    for (int i = 0; i < ANSWERS && (to->at + 60) / 8 < 1180; i++) {
        wisp__frame_put(to, WISP__FRAME_REPLY);
        wisp__put(to, (WISP_FIRST_NUMBER + CALLS / 2) & WISP__LOW_24, 24);
        wisp__put(to, 1, 1);
        put_true(to);
    }
    before = s->credit;
    send_body(b);
    world_update(&b->t.w, 0);
    paid = before - s->credit;
    CHECK(paid > WISP__EARN_MOST / 2);
    CHECK(s->credit >= 0);
    forger_close(b);
}

TEST(of_one_packet_8_errors_are_told_and_all_are_counted) {
    forger *b = forger_open();
    wisp__writer *to;
    uint64_t before;
    char name[16];
    for (int i = 0; i < 30; i++) {                   /* nobody is connected to any */
        snprintf(name, sizeof name, "n%d", i);
        wisp_remote_named(b->t.server, name);
        wisp_remote_named(b->t.client, name);
    }
    world_run(&b->t.w, 0.3);
    before = world_total(b->t.server).errors;
    to = body(b);
    put_section(to, WISP_UNRELIABLE, 0);
    for (int i = 0; i < 30; i++) {
        put_bound(to, i + 1);
        put_true(to);
    }
    send_body(b);
    world_run(&b->t.w, 0.05);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, WISP_ERROR), 8);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_ERROR, WISP_E_NO_HANDLER), 8);
    CHECK_EQ_INT(world_total(b->t.server).errors - before, 30);
    CHECK_EQ_INT(world_total(b->t.server).notices_dropped, 22);
    CHECK(forger_joined(b));
    to = body(b);                                    /* the next packet has 8 of its own */
    put_section(to, WISP_UNRELIABLE, 0);
    put_bound(to, 1);
    put_true(to);
    send_body(b);
    world_run(&b->t.w, 0.01);
    CHECK_EQ_INT(world_count(&b->t.w, b->t.server, WISP_ERROR), 9);
    forger_close(b);
}

/* --- answers that wait --- */

static void on_nothing(wisp_event *event) { (void)event; }

typedef union roomy_message {
    wisp__message m;
    uint8_t       room[sizeof(wisp__message) + sizeof(wisp__message_extra)];
} roomy_message;

/* Of the ring that so many messages of a name stand in. */
static int ring_memory(int messages) {
    int room = wisp__power_of_two(wisp__max_int(messages, 8));
    return wisp__chunk_memory(wisp__queue_bytes((uint32_t)room));
}

/* Answers of no values, as many as a peer likes to ask for: what waits of them is bound by the
   memory that it takes. */
TEST(answers_that_wait_count_with_their_memory) {
    enum { ASKED = 130, BYTES = 9000 };
    forger *b = forger_open();
    wisp__session *s = forger_server_side(b);
    wisp__writer *to = body(b);
    roomy_message empty;
    int weight, most, fit = 1;
    memset(&empty, 0, sizeof empty);
    empty.m.has_extra = true;
    wisp__message_measure(&empty.m, 2, 0, 0);
    weight = wisp__message_weight(&empty.m);
    CHECK(weight >= (int)sizeof(wisp__message));
    b->t.server->base.limits.queue_bytes = BYTES;
    wisp_on_invoke_target(b->t.server, wisp_by_name("hp"), on_nothing, NULL);
    put_section(to, WISP_UNRELIABLE, 0);
    for (int i = 0; i < ASKED; i++) {
        wisp__frame_put(to, WISP__FRAME_INVOKE);
        wisp__put_length(to, 0);
        wisp__put(to, (s->request_floor + (uint32_t)i) & WISP__LOW_24, 24);
        wisp__put_small(to, (uint64_t)i);
        wisp__put(to, 1, 1);
        wisp__put_small(to, 0);
    }
    if (!CHECK(!to->full)) return;
    send_body(b);
    world_update(&b->t.w, 0);
    while (fit * weight + ring_memory(fit) <= BYTES) fit++;
    CHECK_EQ_INT(s->peer.stats.messages_refused, ASKED - (fit - 1));
    most = BYTES - s->request_room * (int)sizeof *s->requests;       /* the table counts too */
    CHECK(most > weight && s->kept_bytes > most - weight && s->kept_bytes <= most);
    CHECK(forger_joined(b));
    forger_close(b);
}

/* --- what the other end says of a call --- */

static void on_said(wisp_event *event) {
    snprintf((char *)event->user, 300, "%d %s", event->result, event->text);
}

/* An answer with this code and text, as the handler of the call gets it. */
static const char *inbound_answered(forger *b, int code, const char *text, int length) {
    static char said[300];
    wisp_call_desc desc;
    wisp__session *s = forger_server_side(b);
    wisp__writer *to = body(b);
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_said;
    desc.user = said;
    said[0] = 0;
    wisp_invoke_target(b->t.server, wisp_by_name("q"), wisp_to_peer(b->t.to_client), &desc, NULL,
                       0);
    put_section(to, WISP_UNRELIABLE, 0);
    wisp__frame_put(to, WISP__FRAME_REPLY);
    wisp__put(to, s->calls_last->id & WISP__LOW_24, 24);
    wisp__put(to, 0, 1);
    wisp__put(to, (uint16_t)code, 16);
    wisp__put_small(to, text ? 1 : 0);
    if (text) {
        wisp__put(to, WISP_STRING, 4);
        wisp__put_length(to, (uint64_t)length);
        put_text(to, text, length);
    }
    send_body(b);
    world_update(&b->t.w, 0);
    return said;
}

TEST(an_answer_says_what_the_other_end_can_know_in_text_that_can_be_shown) {
    forger *b = forger_open();
    char text[400];
    CHECK_EQ_STR(inbound_answered(b, WISP_E_USER - 7, "no\nway\x1b[0m\xff", 11),
                 "-1007 no?way?[0m?");
    CHECK_EQ_STR(inbound_answered(b, WISP_E_TIMEOUT, "late", 4), "-28 late");
    CHECK_EQ_STR(inbound_answered(b, WISP_E_CLOSED, NULL, 0), "-28 handler failed");
    CHECK_EQ_STR(inbound_answered(b, -999, NULL, 0), "-28 handler failed");
    CHECK_EQ_STR(inbound_answered(b, WISP_E_NO_HANDLER, NULL, 0), "-25 no handler");
    CHECK_EQ_STR(inbound_answered(b, WISP_E_USER, "a\0b", 3), "-1000 a?b");
    memset(text, 'x', sizeof text);
    CHECK_EQ_INT(strlen(inbound_answered(b, WISP_E_USER, text, 400)), 6 + 255);
    CHECK(forger_joined(b));
    forger_close(b);
}

/* --- what an error tells of what came --- */

/* The last error, as the event and the sink had it. */
typedef struct inbound_told {
    forger      *b;
    int         events, reports;
    wisp_result code;
    wisp_peer   peer;
    int         count;            /* of the values */
    char        text[200], remote[40], head[40], reported[40];
} inbound_told;

static void on_told(wisp_event *event) {
    inbound_told *t = (inbound_told *)event->user;
    t->events++;
    t->code = event->result;
    t->peer = event->peer;
    t->count = event->count;
    snprintf(t->text, sizeof t->text, "%s", event->text);
    snprintf(t->remote, sizeof t->remote, "%s",
             event->remote.id ? wisp_remote_name(event->w, event->remote) : "");
    snprintf(t->head, sizeof t->head, "%s", event->count ? wisp_arg_string(event, 0) : "");
}

static void on_report(void *user, const wisp_report *report) {
    inbound_told *t = (inbound_told *)user;
    t->reports++;
    snprintf(t->reported, sizeof t->reported, "%s", report->head);
}

static void told_open(inbound_told *t) {
    wisp_sink sink;
    memset(t, 0, sizeof *t);
    memset(&sink, 0, sizeof sink);
    t->b = forger_open();
    sink.report = on_report;
    sink.user = t;
    wisp_connect_target(t->b->t.server, wisp_by_name(WISP_ERROR), on_told, t, false);
    CHECK_EQ_INT(wisp_use_sink(t->b->t.server, &sink), WISP_OK);
}

/* `bits` of the packet that was written, from a bit on, as text. */
static void head_of(const forger *b, int64_t at, int64_t bits, char hex[40]) {
    wisp__reader from = wisp__reader_on(b->bytes + WISP__PACKET_HEAD, 1200 - WISP__PACKET_HEAD);
    int place = 0;
    for (from.at = at; bits >= 8 && place < 32; bits -= 8, place += 2)
        snprintf(hex + place, 3, "%02x", (unsigned)wisp__get(&from, 8));
    hex[place] = 0;
}

static void check_told(const inbound_told *t, wisp_result code, const char *remote,
                       const char *head) {
    CHECK_EQ_INT(t->events, 1);
    CHECK_EQ_INT(t->reports, 1);
    CHECK_EQ_INT(t->code, code);
    CHECK_EQ_STR(t->remote, remote);
    CHECK_EQ_STR(t->head, head);
    CHECK_EQ_STR(t->reported, head);
    CHECK_EQ_INT(t->count, head[0] != 0);
    CHECK(wisp_peer_equal(t->peer, t->b->t.to_client));
    CHECK(t->text[0] != 0);
}

TEST(an_error_carries_the_first_bytes_of_the_message_that_is_bad) {
    char expected[40];
    inbound_told t;
    wisp__writer *to;
    int64_t at;
    told_open(&t);
    to = body(t.b);
    put_section(to, WISP_UNRELIABLE, 0);
    put_unbound(to, 0, 9);
    put_true(to);
    at = to->at;                                     /* what stands before it is not told */
    put_unbound(to, 0, 200);
    wisp__put(to, 0x1f1, 9);
    for (int i = 0; i < 191; i++) wisp__put(to, (uint64_t)(i & 1), 1);
    send_body(t.b);
    world_run(&t.b->t.w, 0.05);
    head_of(t.b, at, 128, expected);
    CHECK_EQ_INT(strlen(expected), 32);
    check_told(&t, WISP_E_BAD_PACKET, "hp", expected);
    CHECK_EQ_INT(strncmp(t.text, "hp: ", 4), 0);
    forger_close(t.b);
}

TEST(a_short_message_has_a_short_head) {
    char expected[40];
    inbound_told t;
    wisp__writer *to;
    int64_t at;
    told_open(&t);
    to = body(t.b);
    put_section(to, WISP_UNRELIABLE, 0);
    at = to->at;
    put_unbound(to, 900, 9);
    put_true(to);
    send_body(t.b);
    world_run(&t.b->t.w, 0.05);
    head_of(t.b, at, ((to->at + 7) / 8) * 8 - at, expected);
    CHECK(strlen(expected) > 0 && strlen(expected) < 16);
    check_told(&t, t.code, "", expected);
    forger_close(t.b);
}

/* What came early is told when its turn comes: its values, without the record they were in. */
TEST(a_message_that_was_held_is_told_with_its_own_bytes) {
    inbound_told t;
    wisp_value big;
    char text[200];
    told_open(&t);
    memset(text, 'Z', sizeof text);
    big = wisp_string_n(text, 200);
    wisp_remote_named(t.b->t.server, "lone");        /* known, and nobody is connected */
    t.b->out.keep = true;
    wisp_set_batch_mode(t.b->t.client, NULL, WISP_BATCH_NEVER);
    world_fire(t.b->t.client, "hp", t.b->t.to_server, 1);
    wisp_fire_values(t.b->t.client, "lone", wisp_to_peer(t.b->t.to_server), &big, 1);
    wisp_flush_batches(t.b->t.client);
    CHECK_EQ_INT(t.b->out.kept_count, 2);
    for (int i = 1; i >= 0; i--) tap_pass(&t.b->out, &t.b->out.kept[i]);
    t.b->out.keep = false;
    world_run(&t.b->t.w, 0.1);
    CHECK_EQ_INT(t.events, 1);
    CHECK_EQ_INT(t.code, WISP_E_NO_HANDLER);
    CHECK_EQ_STR(t.remote, "lone");
    CHECK(strstr(t.head, "5a5a5a5a") != NULL);
    CHECK_EQ_STR(t.head, t.reported);
    forger_close(t.b);
}

static void inbound_fire_large(inbound_told *t, const char *name) {
    static char text[20000];
    wisp_value value = wisp_string_n(text, (int)sizeof text);
    memset(text, 'Q', sizeof text);
    CHECK_EQ_INT(wisp_fire_values(t->b->t.client, name, wisp_to_peer(t->b->t.to_server), &value, 1),
                 WISP_OK);
    world_run(&t->b->t.w, 0.5);
}

TEST(a_message_in_fragments_is_told_from_its_begin) {
    inbound_told t;
    told_open(&t);
    wisp_remote_named(t.b->t.server, "lone");
    inbound_fire_large(&t, "lone");
    CHECK_EQ_INT(t.events, 1);
    CHECK_EQ_INT(t.code, WISP_E_NO_HANDLER);
    CHECK_EQ_INT(strlen(t.head), 32);
    CHECK(strstr(t.head, "51515151") != NULL);
    CHECK_EQ_STR(t.head, t.reported);
    forger_close(t.b);
}

static void on_leaves_and_fails(wisp_event *event) {
    wisp_leave(event->w, event->peer, "enough");
    CHECK_EQ_INT(wisp_fail(event, WISP_E_HANDLER, "after the end"), WISP_OK);
}

/* The buffer of the fragments goes with the session. */
TEST(a_handler_ends_the_session_and_then_fails) {
    inbound_told t;
    told_open(&t);
    wisp_connect_target(t.b->t.server, wisp_by_name("big"), on_leaves_and_fails, NULL, false);
    inbound_fire_large(&t, "big");
    CHECK_EQ_INT(t.events, 1);
    CHECK_EQ_INT(t.code, WISP_E_HANDLER);
    CHECK_EQ_STR(t.remote, "big");
    CHECK(!forger_joined(t.b));
    forger_close(t.b);
}

TEST(a_compressed_packet_is_told_unpacked_and_a_torn_one_as_it_came) {
    inbound_told t;
    told_open(&t);
    wisp_remote_named(t.b->t.server, "lone");
    wisp_use_compression(t.b->t.client, WISP_COMPRESSION_AUTO, NULL);
    wisp_use_compression(t.b->t.server, WISP_COMPRESSION_AUTO, NULL);
    world_run(&t.b->t.w, 0.1);
    for (int i = 0; i < 2; i++) {
        char text[600];
        wisp_value value = wisp_string_n(text, (int)sizeof text);
        memset(text, 'R', sizeof text);
        t.events = t.reports = 0;
        wisp_fire_values(t.b->t.client, "lone", wisp_to_peer(t.b->t.to_server), &value, 1);
        world_run(&t.b->t.w, 0.1);
        CHECK_EQ_INT(t.events, 1);
        CHECK_EQ_INT(t.code, WISP_E_NO_HANDLER);
        CHECK_EQ_INT(strlen(t.head), 32);            /* the letters, between their bits */
        CHECK_EQ_MEM(t.head + 24, t.head + 26, 6);
    }
    CHECK(world_peer_stats(t.b->t.client, t.b->t.to_server).bytes_saved > 0);
    t.events = t.reports = 0;
    body(t.b);
    for (int i = 0; i < 40; i++) wisp__put(&t.b->to, 0xee, 8);
    send_flagged(t.b, WISP__FLAG_COMPRESSED, 40);
    world_run(&t.b->t.w, 0.1);
    CHECK_EQ_INT(t.events, 1);
    CHECK_EQ_INT(t.code, WISP_E_COMPRESSED);
    CHECK(strstr(t.head, "eeeeeeee") != NULL);
    CHECK_EQ_STR(t.head, t.reported);
    forger_close(t.b);
}

static void on_asks_wrongly(wisp_event *event) { wisp_arg_vec3(event, 0); }

TEST(an_argument_of_another_kind_is_told_with_what_came) {
    inbound_told t;
    told_open(&t);
    wisp_connect_target(t.b->t.server, wisp_by_name("v"), on_asks_wrongly, NULL, false);
    world_fire(t.b->t.client, "v", t.b->t.to_server, 77);
    world_run(&t.b->t.w, 0.1);
    CHECK_EQ_INT(t.events, 1);
    CHECK_EQ_INT(t.code, WISP_E_TYPE);
    CHECK_EQ_STR(t.remote, "v");
    CHECK(t.head[0] != 0);
    CHECK_EQ_STR(t.head, t.reported);
    forger_close(t.b);
}

TEST(where_nothing_came_there_is_no_head) {
    inbound_told t;
    wisp_event event;
    told_open(&t);
    memset(&event, 0, sizeof event);
    event.w = t.b->t.server;
    event.name = "mine";
    event.text = "";
    event.peer = t.b->t.to_client;
    wisp_fail(&event, WISP_E_HANDLER, "by hand");
    CHECK_EQ_INT(t.reports, 1);                      /* at once */
    CHECK_EQ_INT(t.events, 0);
    world_run(&t.b->t.w, 0.05);
    check_told(&t, WISP_E_HANDLER, "", "");
    CHECK_EQ_STR(t.text, "mine: by hand");
    wisp_arg_int(&event, 3);
    world_run(&t.b->t.w, 0.05);
    CHECK_EQ_INT(t.events, 2);
    CHECK_EQ_INT(t.code, WISP_E_TYPE);
    CHECK_EQ_INT(t.count, 0);
    forger_close(t.b);
}

/* --- the sink --- */

typedef struct sunk {
    int    reports, backtraces;
    double time;
    char   backtrace[16];
    bool   overlong;
    int    size;
} sunk;

static void sunk_report(void *user, const wisp_report *report) {
    sunk *k = (sunk *)user;
    k->reports++;
    k->time = report->time;
    snprintf(k->backtrace, sizeof k->backtrace, "%s", report->backtrace);
    CHECK(report->remote && report->text && report->head && report->backtrace);
}

static void sunk_backtrace(void *user, char *text, int size) {
    sunk *k = (sunk *)user;
    k->backtraces++;
    k->size = size;
    if (k->overlong) memset(text, 'x', (size_t)size);        /* without an end */
    else snprintf(text, (size_t)size, "f < g < main");
}

TEST(a_sink_is_told_of_all_with_time_and_backtrace_and_of_none_when_it_is_gone) {
    world_two t;
    sunk k;
    wisp_sink sink;
    wisp_event event;
    memset(&k, 0, sizeof k);
    memset(&sink, 0, sizeof sink);
    memset(&event, 0, sizeof event);
    world_open(&t.w);
    t.w.desc.limits.notices = 64;
    world_two_join(&t);
    event.w = t.server;
    event.name = event.text = "";
    sink.report = sunk_report;
    sink.user = &k;
    CHECK_EQ_INT(wisp_use_sink(t.server, &sink), WISP_OK);
    wisp_fail(&event, WISP_E_HANDLER, "x");
    CHECK_EQ_STR(k.backtrace, "");
    sink.backtrace = sunk_backtrace;
    CHECK_EQ_INT(wisp_use_sink(t.server, &sink), WISP_OK);
    t.server->base.limits.notices = 4;
    for (int i = 0; i < 5; i++) wisp_fail(&event, WISP_E_HANDLER, "x");
    CHECK_EQ_INT(k.reports, 6);                      /* more than wait as events */
    CHECK_EQ_INT(k.backtraces, 5);
    CHECK_EQ_STR(k.backtrace, "f < g < main");
    CHECK_NEAR(k.time, wisp_now(t.server), 0);
    CHECK_EQ_INT(world_total(t.server).notices_dropped, 6 - 4);
    k.overlong = true;
    wisp_fail(&event, WISP_E_HANDLER, "x");
    CHECK_EQ_STR(k.backtrace, "xxxxxxxxxxxxxxx");
    CHECK(k.size >= 256);
    sink.report = NULL;
    CHECK_EQ_INT(wisp_use_sink(t.server, &sink), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_use_sink(NULL, NULL), WISP_E_ARGUMENT);
    wisp_fail(&event, WISP_E_HANDLER, "x");
    CHECK_EQ_INT(k.reports, 8);                      /* it is still there */
    wisp_fail(&event, WISP_E_HANDLER, "x");
    CHECK_EQ_INT(k.reports, 8);                      /* but the equal errors are too many */
    CHECK_EQ_INT(wisp_use_sink(t.server, NULL), WISP_OK);
    wisp_fail(&event, WISP_E_USER, "x");
    CHECK_EQ_INT(k.reports, 8);
    world_close(&t.w);
}

TEST(of_one_packet_a_sink_is_told_8_errors_too) {
    inbound_told t;
    wisp__writer *to;
    told_open(&t);
    to = body(t.b);
    put_section(to, WISP_UNRELIABLE, 0);
    for (int i = 0; i < 300; i++) put_unbound(to, 900, 0);
    send_body(t.b);
    world_run(&t.b->t.w, 0.05);
    CHECK_EQ_INT(t.reports, 8);
    CHECK_EQ_INT(t.events, 8);
    forger_close(t.b);
}

/* --- messages alike, each of which is read into the values of the one before --- */

enum { ALIKE_VALUES = 9, ALIKE_BYTES = 5, ALIKE_MESSAGES = 30 };

typedef struct alike_seen { int count, right, alike; int64_t work; } alike_seen;

static void alike_values(int i, uint8_t bytes[ALIKE_BYTES], wisp_value out[ALIKE_VALUES]) {
    wisp_object object = { 7u + (uint32_t)i };
    memset(bytes, i, ALIKE_BYTES);
    out[0] = wisp_nil();
    out[1] = wisp_bool(i % 3 == 0);
    out[2] = wisp_int(i % 2 ? -i : i * (int64_t)100000000000);
    out[3] = wisp_uint(UINT64_MAX - (unsigned)i);
    out[4] = i % 4 ? wisp_float((float)i / 3) : wisp_float((float)i);
    out[5] = i % 5 ? wisp_number(i / 7.0) : wisp_number(i);
    out[6] = wisp_bytes(bytes, ALIKE_BYTES);
    out[7] = i % 2 ? wisp_color3(1, 0, 0.5f) : wisp_color3(1, 0, (float)i / 255);
    out[8] = wisp_reference(object);
}

static void on_alike_values(wisp_event *event) {
    alike_seen *seen = (alike_seen *)event->user;
    int64_t work = event->w->content.credit.work;
    uint8_t bytes[ALIKE_BYTES];
    wisp_value wanted[ALIKE_VALUES];
    int64_t price = WISP__PRICE_RECORD + WISP__PRICE_EVENT + ALIKE_VALUES * WISP__PRICE_VALUE +
                    WISP__PRICE_BLOCK + ALIKE_VALUES * (int)sizeof(wisp_value) / WISP__PRICE_BYTES +
                    WISP__PRICE_BLOCK + (ALIKE_BYTES + 9) / WISP__PRICE_BYTES;
    bool right = event->count == ALIKE_VALUES;
    alike_values(seen->count, bytes, wanted);
    for (int i = 0; right && i < ALIKE_VALUES; i++)
        right = event->args[i].kind == wanted[i].kind && wisp_equal(&event->args[i], &wanted[i]);
    seen->right += right;
    seen->alike += seen->work - work == price;
    seen->work = work;
    seen->count++;
}

TEST(messages_alike_come_with_their_own_values_and_are_paid_for_like_the_first) {
    forger *b = forger_open();
    alike_seen seen = { 0, 0, 0, 0 };
    wisp_connect_target(b->t.server, wisp_by_name("alike"), on_alike_values, &seen, false);
    for (int i = 0; i < ALIKE_MESSAGES; i++) {
        uint8_t bytes[ALIKE_BYTES];
        wisp_value values[ALIKE_VALUES];
        alike_values(i, bytes, values);
        CHECK_EQ_INT(wisp_fire_target(b->t.client, wisp_by_name("alike"),
                                      wisp_to_peer(wisp_server()), values, ALIKE_VALUES), WISP_OK);
        if (i == 0) world_run(&b->t.w, 0.5);
    }
    world_run(&b->t.w, 0.5);
    CHECK_EQ_INT(seen.count, ALIKE_MESSAGES);
    CHECK_EQ_INT(seen.right, ALIKE_MESSAGES);
    CHECK(seen.alike >= ALIKE_MESSAGES / 2);
    forger_close(b);
}

/* --- structs alike, each of which is read into the memory of the one before --- */

typedef struct alike_struct { uint32_t id; bool more; char name[9]; } alike_struct;
typedef struct alike_ids { uint16_t id; } alike_ids;

static const wisp_field alike_fields[] = {
    WISP_FIELD(alike_struct, id, WISP_T_UINT32),
    WISP_FIELD(alike_struct, more, WISP_T_BOOL),
    WISP_FIELD(alike_struct, name, WISP_T_STRING(8)),
};
static const wisp_schema alike_schema = WISP_SCHEMA(alike_struct, 1, alike_fields);
static const wisp_field alike_id_field[] = { WISP_FIELD(alike_ids, id, WISP_T_UINT16) };
static const wisp_schema alike_id_schema = WISP_SCHEMA(alike_ids, 1, alike_id_field);

enum { ALIKE_CHANGE = 20 };           /* from here on the server wants only the number */

static alike_struct alike_struct_of(int i) {
    alike_struct s = { 0, false, "" };
    s.id = (uint32_t)i;
    s.more = i % 3 == 0;
    snprintf(s.name, sizeof s.name, "%.*s", i % 8, "abcdefgh");
    return s;
}

static void on_alike_struct(wisp_event *event) {
    alike_seen *seen = (alike_seen *)event->user;
    alike_struct wanted = alike_struct_of(seen->count);
    const alike_struct *s = (const alike_struct *)wisp_arg_struct(event, 0, &alike_schema);
    const alike_ids *ids = (const alike_ids *)wisp_arg_struct(event, 0, &alike_id_schema);
    const wisp_value *id = wisp_field_of(event->args, "id");
    const wisp_value *name = wisp_field_of(event->args, "name");
    wisp_value number = wisp_int(seen->count);
    bool right = ids && id && wisp_equal(id, &number) && ids->id == seen->count;
    if (seen->count <= ALIKE_CHANGE)
        right = right && s && name && s->id == wanted.id && s->more == wanted.more &&
                !strcmp(s->name, wanted.name) && !strcmp(wisp_string_of(name, NULL), wanted.name);
    else right = right && !name;
    if (seen->count == ALIKE_CHANGE) {
        wisp_schema_entry entry = { "alike", &alike_id_schema, NULL, 0 };
        right = right && wisp_use_schemas(event->w, &entry, 1) == WISP_OK;
    }
    seen->right += right;
    seen->count++;
}

TEST(structs_alike_come_with_their_own_fields_also_when_a_handler_sets_another_schema) {
    forger *b = forger_open();
    alike_seen seen = { 0, 0, 0, 0 };
    wisp_schema_entry entry = { "alike", &alike_schema, NULL, 0 };
    CHECK_EQ_INT(wisp_use_schemas(b->t.client, &entry, 1), WISP_OK);
    CHECK_EQ_INT(wisp_use_schemas(b->t.server, &entry, 1), WISP_OK);
    wisp_connect_target(b->t.server, wisp_by_name("alike"), on_alike_struct, &seen, false);
    for (int i = 0; i < ALIKE_MESSAGES; i++) {
        alike_struct s = alike_struct_of(i);
        wisp_value value = wisp_struct(&alike_schema, &s);
        CHECK_EQ_INT(wisp_fire_target(b->t.client, wisp_by_name("alike"),
                                      wisp_to_peer(wisp_server()), &value, 1), WISP_OK);
        if (i == 0) world_run(&b->t.w, 0.5);
    }
    world_run(&b->t.w, 0.5);
    CHECK_EQ_INT(seen.count, ALIKE_MESSAGES);
    CHECK_EQ_INT(seen.right, ALIKE_MESSAGES);
    forger_close(b);
}

static const test_case tests[] = {
    CASE(a_bad_message_does_not_cost_the_rest_of_its_batch),
    CASE(a_bad_message_held_for_its_turn_does_not_cost_the_others),
    CASE(a_message_that_ends_before_its_length_is_bad),
    CASE(a_handler_that_leaves_ends_the_reading_of_its_packet),
    CASE(an_unreadable_invoke_does_not_run_its_handler_early_or_in_order),
    CASE(calls_that_settle_in_leaps_end_the_session),
    CASE(answers_of_no_call_are_sought_only_as_far_as_the_packet_pays),
    CASE(of_one_packet_8_errors_are_told_and_all_are_counted),
    CASE(answers_that_wait_count_with_their_memory),
    CASE(an_answer_says_what_the_other_end_can_know_in_text_that_can_be_shown),
    CASE(an_error_carries_the_first_bytes_of_the_message_that_is_bad),
    CASE(a_short_message_has_a_short_head),
    CASE(a_message_that_was_held_is_told_with_its_own_bytes),
    CASE(a_message_in_fragments_is_told_from_its_begin),
    CASE(a_handler_ends_the_session_and_then_fails),
    CASE(a_compressed_packet_is_told_unpacked_and_a_torn_one_as_it_came),
    CASE(an_argument_of_another_kind_is_told_with_what_came),
    CASE(where_nothing_came_there_is_no_head),
    CASE(a_sink_is_told_of_all_with_time_and_backtrace_and_of_none_when_it_is_gone),
    CASE(of_one_packet_a_sink_is_told_8_errors_too),
    CASE(messages_alike_come_with_their_own_values_and_are_paid_for_like_the_first),
    CASE(structs_alike_come_with_their_own_fields_also_when_a_handler_sets_another_schema),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
