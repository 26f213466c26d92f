/* test_credit.c - what decoding is paid from: the credit itself, the dearest packets, and honest peers
   that it must not hinder */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "test.h"
#include "world.h"
#include "fuzz/script.h"
#include "fuzz/hostile.h"
#include "bombs.h"

static bombs the_bombs;

static wisp__credit credit_of(int64_t work, int64_t memory) {
    wisp__credit credit;
    memset(&credit, 0, sizeof credit);
    credit.work = work;
    credit.memory = credit.room = memory;
    return credit;
}

/* --- the room --- */

TEST(what_is_covered_is_taken_and_what_is_not_takes_nothing) {
    wisp__credit credit = credit_of(100, 0);
    CHECK(wisp__pay(&credit, 60));
    CHECK_EQ_INT(credit.work, 40);
    CHECK(wisp__pay(&credit, 0));
    CHECK(!credit.over);
    CHECK(!wisp__pay(&credit, 41));
    CHECK_EQ_INT(credit.work, 40);
    CHECK(credit.over);
    CHECK(wisp__pay(&credit, 40));
    CHECK_EQ_INT(credit.work, 0);
    CHECK(credit.over);                        /* it stays, until somebody has looked */
    CHECK(!wisp__pay(&credit, 1));
}

TEST(nothing_is_earned_by_a_payment) {
    static const int64_t counts[] = { -1, INT64_MIN, INT64_MAX, INT64_MAX / 8 + 1,
                                      (int64_t)1 << 61, UINT32_MAX };
    for (int i = 0; i < 6; i++) {
        wisp__credit credit = credit_of(1000, 0);
        CHECK(!wisp__pay_each(&credit, counts[i], 8));
        CHECK_EQ_INT(credit.work, 1000);
        CHECK(credit.over);
    }
    for (int i = 0; i < 2; i++) {
        wisp__credit credit = credit_of(1000, 0);
        CHECK(!wisp__pay(&credit, i ? -1 : INT64_MIN));
        CHECK_EQ_INT(credit.work, 1000);
    }
}

TEST(a_count_is_paid_as_a_whole) {
    wisp__credit credit = credit_of(100, 0);
    CHECK(wisp__pay_each(&credit, 12, 8));
    CHECK_EQ_INT(credit.work, 4);
    CHECK(wisp__pay_each(&credit, 0, 8));
    CHECK(!wisp__pay_each(&credit, 1, 8));
    CHECK_EQ_INT(credit.work, 4);
}

TEST(memory_is_paid_by_bytes_and_by_work_or_not_at_all) {
    wisp__credit credit = credit_of(1000, 800);
    CHECK(wisp__pay_memory(&credit, 80));
    CHECK_EQ_INT(credit.memory, 720);
    CHECK_EQ_INT(credit.work, 1000 - WISP__PRICE_BLOCK - 80 / WISP__PRICE_BYTES);
    CHECK(!wisp__pay_memory(&credit, 721));
    CHECK(!wisp__pay_memory(&credit, SIZE_MAX));
    CHECK_EQ_INT(credit.memory, 720);
    CHECK_EQ_INT(credit.work, 1000 - WISP__PRICE_BLOCK - 80 / WISP__PRICE_BYTES);
    CHECK(credit.over);
    credit = credit_of(WISP__PRICE_BLOCK, 800);
    CHECK(!wisp__pay_memory(&credit, 800));
    CHECK_EQ_INT(credit.memory, 800);
    CHECK_EQ_INT(credit.work, WISP__PRICE_BLOCK);
    CHECK(credit.over);
    CHECK(wisp__pay_memory(&credit, 0));
    CHECK_EQ_INT(credit.work, 0);
}

TEST(what_a_caller_gives_costs_nobody_anything) {
    CHECK(wisp__pay(NULL, INT64_MAX));
    CHECK(wisp__pay_each(NULL, INT64_MAX, 1000));
    CHECK(wisp__pay_memory(NULL, SIZE_MAX));
    CHECK_EQ_INT(wisp__credit_result(NULL, WISP_E_MEMORY), WISP_E_MEMORY);
}

TEST(a_failure_comes_from_the_credit_only_if_it_was_overdrawn) {
    wisp__credit credit = credit_of(0, 0);
    CHECK_EQ_INT(wisp__credit_result(&credit, WISP_E_MEMORY), WISP_E_MEMORY);
    CHECK_EQ_INT(wisp__credit_result(&credit, WISP_OK), WISP_OK);
    wisp__pay(&credit, 1);
    CHECK_EQ_INT(wisp__credit_result(&credit, WISP_E_MEMORY), WISP_E_FLOOD);
    CHECK_EQ_INT(wisp__credit_result(&credit, WISP_E_BAD_PACKET), WISP_E_FLOOD);
    CHECK_EQ_INT(wisp__credit_result(&credit, WISP_OK), WISP_OK);
}

TEST(a_sender_asks_what_a_receiver_can_pay) {
    wisp__base base;
    memset(&base, 0, sizeof base);
    base.mtu = 1200;
    CHECK(wisp__can_pay(&base, WISP__EARN_NEEDED, 10));
    CHECK(!wisp__can_pay(&base, WISP__EARN_NEEDED + 1, 600));
    CHECK(wisp__can_pay(&base, WISP__EARN_NEEDED + 601 * WISP__EARN_BYTE, 601));
    CHECK(!wisp__can_pay(&base, WISP__EARN_NEEDED + 601 * WISP__EARN_BYTE + 1, 601));
}

/* --- what a session has --- */

static wisp__session *server_side(world_two *t) { return wisp__session_of(t->server, t->to_client); }

/* Takes a packet of so many bytes into account, and spends this much of it. false: not taken. */
static bool took(world_two *t, int bytes, int64_t spent) {
    wisp__credit *credit = &t->server->content.credit;
    if (!wisp__credit_begin(t->server, server_side(t), bytes)) return false;
    CHECK(credit->work <= WISP__EARN_MOST);
    CHECK_EQ_INT(credit->memory, WISP__PACKET_MEMORY);
    CHECK(!credit->over);
    CHECK(wisp__pay(credit, spent));
    wisp__credit_end(t->server, server_side(t));
    return true;
}

TEST(credit_is_earned_by_bytes_packets_and_time_and_saved_up_to_a_bound) {
    world_two t;
    wisp__session *s;
    world_two_open(&t);
    s = server_side(&t);
    s->credit = WISP__EARN_NEEDED;
    s->credit_time = t.server->base.time;
    CHECK(took(&t, 0, 0));
    CHECK_EQ_INT(s->credit, WISP__EARN_NEEDED + WISP__EARN_PACKET);
    CHECK(took(&t, 1000, 0));
    CHECK_EQ_INT(s->credit, WISP__EARN_NEEDED + 2 * WISP__EARN_PACKET + 1000 * WISP__EARN_BYTE);
    CHECK(took(&t, 0, 400000));
    CHECK_EQ_INT(s->credit, WISP__EARN_NEEDED + 3 * WISP__EARN_PACKET + 1000 * WISP__EARN_BYTE -
                            400000);
    s->credit = 0;
    t.server->base.time += 0.125;
    CHECK(took(&t, 0, 0));
    CHECK_EQ_INT(s->credit, WISP__EARN_SECOND / 8 + WISP__EARN_PACKET);
    t.server->base.time += 3600;
    CHECK(took(&t, 1200, 0));
    CHECK_EQ_INT(s->credit, WISP__EARN_SAVED);
    CHECK(took(&t, 1200, WISP__EARN_MOST));
    CHECK_EQ_INT(s->credit, WISP__EARN_SAVED - WISP__EARN_MOST);
    world_close(&t.w);
}

TEST(a_packet_that_cannot_be_paid_for_is_not_taken_and_costs_nothing) {
    world_two t;
    wisp__session *s;
    world_two_open(&t);
    s = server_side(&t);
    s->credit_time = t.server->base.time;
    s->credit = WISP__EARN_NEEDED - WISP__EARN_PACKET - 100 * WISP__EARN_BYTE - 1;
    CHECK(!took(&t, 100, 0));
    CHECK_EQ_INT(s->credit, WISP__EARN_NEEDED - WISP__EARN_PACKET - 100 * WISP__EARN_BYTE - 1);
    CHECK(took(&t, 101, 0));
    s->credit = 0;
    CHECK(!took(&t, 1200, 0));
    t.server->base.time += 0.02;
    CHECK(took(&t, 1200, 0));
    world_close(&t.w);
}

/* --- the dearest packets --- */

static int64_t most_work(const bomb *one) {
    int64_t most = WISP__EARN_MOST + WISP__EARN_PACKET;
    if (!one->assembled) return most;
    return most + WISP__EARN_PACKET +
           (int64_t)one->assembled * (WISP__EARN_BYTE + WISP__EARN_DENSE);
}

/* What a bomb costs, at a server and in a session of its own. */
static bombs_bill bill_of(void (*make)(bombs *b)) {
    bombs *b = &the_bombs;
    bombs_bill bill;
    bombs_open(b);
    make(b);
    bombs_pay(b, &bill);
    bombs_close(b);
    return bill;
}

static void check_bomb(const bomb *one) {
    bombs *b = &the_bombs;
    wisp__session *s;
    bombs_bill bill;
    bombs_open(b);
    one->make(b);
    s = hostile_theirs(&b->h);
    CHECK(s != NULL && b->h.body.at <= BOMBS_BODY * 8);
    if (!s) return;
    bombs_pay(b, &bill);
    CHECK(bill.work <= most_work(one));
    CHECK(bill.work > 0);
    CHECK(bill.peak < 2 << 20);
    CHECK(b->h.memory.peak < 4 << 20);
    if (!bill.joined) CHECK(bill.floods > 0 || bill.errors > 0);
    if (bill.floods) CHECK(b->h.server->base.stats.errors >= (uint64_t)bill.errors);
    if (bill.joined && bill.floods) CHECK(s->peer.stats.bad_messages >= (uint64_t)bill.floods);
    if (test_now()->failures) printf("  (%s: work %lld, peak %lld)\n", one->name,
                                     (long long)bill.work, (long long)bill.peak);
    bombs_close(b);
    CHECK_EQ_INT(b->h.memory.held, 0);
}

TEST(no_packet_costs_more_than_it_may) {
    for (int i = 0; i < BOMBS && !test_now()->failures; i++) check_bomb(&bomb_list[i]);
}

static void on_left(wisp_event *event) { *(wisp_result *)event->user = event->result; }

TEST(a_session_goes_on_after_a_bomb_or_ends_for_it) {
    for (int i = 0; i < BOMBS; i++) {
        bombs *b = &the_bombs;
        bombs_bill bill;
        wisp_result left = WISP_OK;
        bombs_open(b);
        wisp_connect(b->h.server, WISP_LEFT, on_left, &left);
        bomb_list[i].make(b);
        bombs_pay(b, &bill);
        wisp_update(b->h.server, b->h.now += 0.01);
        CHECK_EQ_INT(left, bill.joined ? WISP_OK : WISP_E_FLOOD);
        if (bill.joined) {
            hostile_form form = bombs_plain(false);
            b->h.now += 1;
            bombs_announce(b, "bare", form);
            CHECK(hostile_theirs(&b->h) != NULL);
        }
        bombs_close(b);
    }
}

/* All messages of the bomb that were refused are counted, also those of which no event tells. */
TEST(what_is_refused_is_counted_and_is_an_offence) {
    bombs *b = &the_bombs;
    wisp__session *s;
    bombs_bill bill;
    int before;
    bombs_open(b);
    bomb_repeated_versions(b);
    s = hostile_theirs(&b->h);
    before = (int)s->peer.stats.bad_messages;
    bombs_pay(b, &bill);
    CHECK_EQ_INT(bill.errors, 8);
    CHECK_EQ_INT(bill.floods, 8);
    CHECK_EQ_INT((int)s->peer.stats.bad_messages - before + bill.handled, 2001);
    for (int i = 0; i < 10 && hostile_theirs(&b->h); i++) {
        bombs_often(bombs_message(b, WISP_UNRELIABLE), b->raw, 0, 1);
        bombs_repeat(&b->h.body, 2000);
        bombs_pay(b, &bill);
    }
    CHECK(hostile_theirs(&b->h) == NULL);      /* 1024 offences at once, and one more */
    bombs_close(b);
}

static void one_large(bombs *b) {
    bomb_repeats(b);
    b->h.body.at -= 3 + 16;                    /* without the repeats: a record less */
    memset(b->h.packet + HOSTILE_HEAD + (b->h.body.at + 7) / 8, 0, 4);
    if (b->h.body.at & 7)
        b->h.packet[HOSTILE_HEAD + b->h.body.at / 8] &= (uint8_t)((1 << (b->h.body.at & 7)) - 1);
}

TEST(a_repeat_is_dispatched_again_and_not_decoded_again) {
    bombs_bill one = bill_of(one_large), all = bill_of(bomb_repeats);
    CHECK_EQ_INT(one.handled, 1);
    CHECK_EQ_INT(all.handled, 1001);
    CHECK(one.work > 8000 * WISP__PRICE_VALUE);
    CHECK(all.work - one.work >= 1000 * WISP__PRICE_EVENT);
    CHECK(all.work - one.work <= 1000 * WISP__PRICE_EVENT + WISP__PRICE_RECORD);
}

/* One record of an old version: with the step it is made anew, without it that is noticed before. */
static void one_old_version(bombs *b) {
    bombs_announce(b, "stats", bombs_form(b, 1, 1000, true, false));
    bombs_message(b, WISP_UNRELIABLE);
}

static void one_without_steps(bombs *b) {
    bombs_announce(b, "bare", bombs_form(b, 1, 1000, true, false));
    bombs_message(b, WISP_UNRELIABLE);
}

TEST(a_missing_step_is_noticed_before_anything_is_copied) {
    bombs_bill with = bill_of(one_old_version), without = bill_of(one_without_steps);
    int64_t parsed = WISP__EARN_PACKET + 1000 * WISP__PRICE_FIELD;
    CHECK_EQ_INT(with.handled, 1);
    CHECK_EQ_INT(without.handled, 0);
    CHECK_EQ_INT(without.errors, 1);
    CHECK_EQ_INT(without.floods, 0);
    CHECK(with.work > parsed + 1000 * (WISP__PRICE_VIEW + WISP__PRICE_BLOCK));
    CHECK(without.work < parsed + 1500);
    CHECK(without.peak <= 4096);
}

TEST(what_would_be_too_large_is_refused_before_it_is_decompressed) {
    bombs_bill bill = bill_of(bomb_protobuf_large);
    CHECK_EQ_INT(bill.handled, 0);
    CHECK_EQ_INT(bill.floods, 4);
    CHECK(bill.work < 10000);
    CHECK(bill.peak < 8192);
}

/* A field of no number that the schema has costs as little in a schema of 1024 fields as of 8. */
static void unknown_of(bombs *b, int fields) {
    bombs_coded(b, bombs_form(b, 1, fields, false, true), "protobuf", "", 0, "\xf8\x7f\x01", 3, 0,
                6000, 1);
}

static void unknown_of_8(bombs *b) { unknown_of(b, 8); }
static void unknown_of_1024(bombs *b) { unknown_of(b, 1024); }

TEST(unknown_fields_are_passed_over_in_time_that_no_schema_chooses) {
    bombs_bill few = bill_of(unknown_of_8), many = bill_of(unknown_of_1024);
    CHECK_EQ_INT(few.handled, 1);
    CHECK_EQ_INT(many.handled, 1);
    CHECK(many.work - few.work < 1024 * 80);   /* its own fields, once */
}

/* --- before the work: limits, budgets --- */

/* Ten messages whose values are dear to make; what the server did. */
static bombs_bill ten_old_versions(double rate_limit, double messages) {
    bombs *b = &the_bombs;
    bombs_bill bill;
    wisp_budget budget;
    bombs_open(b);
    if (rate_limit > 0) wisp_set_rate_limit(b->h.server, rate_limit, "stats");
    bombs_announce(b, "stats", bombs_form(b, 1, 100, true, false));
    bombs_often(bombs_message(b, WISP_UNRELIABLE), b->raw, 0, 10);
    if (messages > 0) {
        memset(&budget, 0, sizeof budget);
        budget.messages = messages;
        wisp_use_budget(b->h.server, &budget);
    }
    bombs_pay(b, &bill);
    bombs_close(b);
    return bill;
}

TEST(of_a_rate_limited_message_only_the_parsing_is_paid) {
    bombs_bill all = ten_old_versions(0, 0), one = ten_old_versions(10, 0);
    int64_t parsing = 100 * WISP__PRICE_FIELD + WISP__PRICE_EVENT + WISP__PRICE_RECORD + 200;
    CHECK_EQ_INT(all.handled, 10);
    CHECK(one.handled < 10 && one.handled > 0);
    CHECK(one.work - WISP__EARN_PACKET <=
          (all.work - WISP__EARN_PACKET) / 10 * one.handled + (10 - one.handled) * parsing);
    CHECK(all.work > 3 * one.work || one.handled > 2);
}

TEST(what_is_over_the_budget_of_messages_is_not_worked_on) {
    bombs_bill all = ten_old_versions(0, 0), few = ten_old_versions(0, 4);
    int64_t parsing = 100 * WISP__PRICE_FIELD + WISP__PRICE_EVENT + WISP__PRICE_RECORD + 200;
    CHECK(few.handled > 0 && few.handled < 5);
    CHECK_EQ_INT(few.floods, wisp__min_int(10 - few.handled, 8));
    CHECK(few.work - WISP__EARN_PACKET <=
          (all.work - WISP__EARN_PACKET) / 10 * few.handled + (10 - few.handled) * parsing);
}

static const test_case tests[] = {
    CASE(what_is_covered_is_taken_and_what_is_not_takes_nothing),
    CASE(nothing_is_earned_by_a_payment),
    CASE(a_count_is_paid_as_a_whole),
    CASE(memory_is_paid_by_bytes_and_by_work_or_not_at_all),
    CASE(what_a_caller_gives_costs_nobody_anything),
    CASE(a_failure_comes_from_the_credit_only_if_it_was_overdrawn),
    CASE(a_sender_asks_what_a_receiver_can_pay),
    CASE(credit_is_earned_by_bytes_packets_and_time_and_saved_up_to_a_bound),
    CASE(a_packet_that_cannot_be_paid_for_is_not_taken_and_costs_nothing),
    CASE(no_packet_costs_more_than_it_may),
    CASE(a_session_goes_on_after_a_bomb_or_ends_for_it),
    CASE(what_is_refused_is_counted_and_is_an_offence),
    CASE(a_repeat_is_dispatched_again_and_not_decoded_again),
    CASE(a_missing_step_is_noticed_before_anything_is_copied),
    CASE(what_would_be_too_large_is_refused_before_it_is_decompressed),
    CASE(unknown_fields_are_passed_over_in_time_that_no_schema_chooses),
    CASE(of_a_rate_limited_message_only_the_parsing_is_paid),
    CASE(what_is_over_the_budget_of_messages_is_not_worked_on),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
