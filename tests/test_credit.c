/* test_credit.c - what decoding is paid from: the credit itself, the dearest packets, and honest
   peers that it must not hinder */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/fuzz_script.h"
#include "support/hostile_peer.h"
#include "support/packet_bombs.h"

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
    CHECK(wisp__can_pay(&base, WISP__EARN_SENT, 10));
    CHECK(!wisp__can_pay(&base, WISP__EARN_SENT + 1, 600));
    CHECK(wisp__can_pay(&base, WISP__EARN_SENT + 601 * WISP__EARN_BYTE, 601));
    CHECK(!wisp__can_pay(&base, WISP__EARN_SENT + 601 * WISP__EARN_BYTE + 1, 601));
}

/* --- what a session has --- */

static wisp__session *server_side(world_two *t) {
    return wisp__session_of(t->server, t->to_client);
}

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
    t.server->base.time += 0.0625;
    CHECK(took(&t, 0, 0));
    CHECK(s->credit <= WISP__EARN_SECOND / 16 + WISP__EARN_PACKET);
    CHECK(s->credit >= WISP__EARN_SECOND / 16 + WISP__EARN_PACKET - 1);     /* rounded down */
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

/* One record of an old version: with the step it is made anew, without it that is seen before. */
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

/* --- honest peers --- */

/* A server and a client that have a name in the same form, and what the server has heard of it. */
typedef struct honest {
    world_two  t;
    int        fired, heard, errors, in_order;
    uint64_t   sum_fired, sum_heard, sum_last;
    char       error[80];
    bool       drains;                /* its handler takes the memory of what follows */
} honest;

/* A number that depends on all of a value, and not on the order of a map. */
static uint64_t sum_of(const wisp_value *value) {
    uint64_t sum = 7;
    int size = 0;
    const char *bytes = wisp_string_of(value, &size);
    if (bytes) return wisp__hash_bytes((const uint8_t *)bytes, size);
    if (value->kind == WISP_BOOL) return value->as.boolean ? 3 : 2;
    if (value->kind == WISP_INT || value->kind == WISP_UINT) return value->as.uinteger;
    for (int i = 0; i < wisp_count_of(value); i++) {
        const char *key = wisp_key_of(value, i);
        uint64_t child = sum_of(wisp_element_of(value, i));
        if (key) sum += child * (wisp__hash_bytes((const uint8_t *)key, (int)strlen(key)) | 1);
        else sum = sum * 31 + child;
    }
    return sum;
}

static void honest_on(wisp_event *event) {
    honest *h = (honest *)event->user;
    h->heard++;
    if (h->drains) event->w->content.credit.room = 4000;
    h->sum_last = event->count ? sum_of(&event->args[0]) : 0;
    h->sum_heard = h->sum_heard * 31 + h->sum_last;
}

static void honest_on_error(wisp_event *event) {
    honest *h = (honest *)event->user;
    if (!h->errors++) snprintf(h->error, sizeof h->error, "%d %s", event->result, event->text);
}

static void honest_open_on(honest *h, const wisp_config *config, bool reliable) {
    memset(h, 0, sizeof *h);
    world_open(&h->t.w);
    h->t.w.unchecked = true;
    h->t.w.pipe.reliable = reliable;
    world_two_join(&h->t);
    for (int i = 0; i < 2; i++)
        CHECK_EQ_INT(wisp_use_config(i ? h->t.server : h->t.client, config, "c"), WISP_OK);
    wisp_connect(h->t.server, "c", honest_on, h);
    wisp_connect(h->t.server, WISP_ERROR, honest_on_error, h);
    world_run(&h->t.w, 1);
}

static void honest_open(honest *h, const wisp_config *config) { honest_open_on(h, config, false); }

/* `lossy`: only the newest of them must arrive. */
static void honest_close(honest *h, bool lossy) {
    CHECK_EQ_INT(h->errors, 0);
    if (h->errors) printf("  (%s)\n", h->error);
    CHECK_EQ_INT(wisp_peers(h->t.server, NULL, 0), 1);
    CHECK_EQ_INT(world_peer_stats(h->t.server, h->t.to_client).bad_messages, 0);
    if (!lossy) CHECK_EQ_INT(h->heard, h->fired);
    if (!lossy) CHECK(h->sum_heard == h->sum_fired);
    CHECK(h->heard > 0);
    world_close(&h->t.w);
}

static wisp_config credit_config_of(int mode, int compression, const wisp_schema *schema) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.encode.mode = mode;
    config.encode.compression = compression;
    config.encode.schema = schema;
    return config;
}

static bool honest_fire(honest *h, const wisp_value *value) {
    wisp_result result = wisp_fire_values(h->t.client, "c", wisp_to_peer(h->t.to_server), value, 1);
    if (result == WISP_E_QUEUE_FULL) return false;
    CHECK_EQ_INT(result, WISP_OK);
    h->fired++;
    h->sum_fired = h->sum_fired * 31 + sum_of(value);
    return true;
}

/* Several in each tick, so that packets hold more than one. */
static void credit_fire_many(honest *h, const wisp_value *value, wisp_value *changing,
                             int per_tick) {
    for (int tick = 0; tick < 6; tick++) {
        for (int i = 0; i < per_tick; i++) {
            *changing = wisp_int(h->fired);
            honest_fire(h, value);
        }
        world_run(&h->t.w, 0.05);
    }
    world_run(&h->t.w, 2);
}

static const int many_sizes[] = { 10, 200, 700, 1500, 2300, 3100, 4400, 6000, 12000 };
enum { MANY_SIZES = (int)(sizeof many_sizes / sizeof *many_sizes) };

static wisp_value the_items[60000];

static wisp_value equal_items(int count) {
    for (int i = 0; i < count; i++) the_items[i] = wisp_int(7);
    return wisp_array(the_items, count);
}

TEST(compressed_values_of_every_size_keep_within_what_their_reader_can_pay) {
    for (int i = 0; i < MANY_SIZES; i++) {
        for (int per_tick = 1; per_tick <= 9; per_tick *= 3) {
            wisp_config config = credit_config_of(0, WISP_COMPRESSION_AUTO, NULL);
            wisp_value value = equal_items(many_sizes[i]);
            honest h;
            honest_open(&h, &config);
            credit_fire_many(&h, &value, &the_items[0], per_tick);
            honest_close(&h, false);
        }
    }
}

TEST(differences_of_values_of_every_size_keep_within_what_their_reader_can_pay) {
    for (int delivery = WISP_RELIABLE; delivery <= WISP_RELIABLE; delivery++) {
        for (int i = 0; i < MANY_SIZES; i++) {
            for (int per_tick = 1; per_tick <= 9; per_tick *= 3) {
                wisp_config config = credit_config_of(WISP_ENCODE_DELTA, 0, NULL);
                wisp_value value = equal_items(many_sizes[i]);
                honest h;
                honest_open(&h, &config);
                credit_fire_many(&h, &value, &the_items[0], per_tick);
                honest_close(&h, false);
            }
        }
    }
}

/* Texts of a codec, compressed. */
TEST(compressed_texts_of_a_codec_keep_within_what_their_reader_can_pay) {
    static char text[40001];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < MANY_SIZES; i++) {
        for (int per_tick = 1; per_tick <= 9; per_tick *= 3) {
            wisp_config config = credit_config_of(0, WISP_COMPRESSION_AUTO, NULL);
            wisp_value items[2], value = wisp_array(items, 2);
            honest h;
            config.encode.codec = wisp_json();
            items[1] = wisp_string_n(text, many_sizes[i] * 3);
            honest_open(&h, &config);
            credit_fire_many(&h, &value, &items[0], per_tick);
            honest_close(&h, false);
        }
    }
}

/* A schema of so many booleans behind a number. */
static const wisp_schema *booleans(int count) {
    static const wisp_field number = WISP_MAP_FIELD("n", WISP_T_INT32);
    static const wisp_field like = WISP_MAP_FIELD("", WISP_T_BOOL);
    static char names[1024][8];
    static wisp_field fields[1024];
    static wisp_schema schema = { "booleans", 1, 0, NULL, 0, WISP_SHAPE_MAP, NULL };
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "b%d", i);
        fields[i] = i ? like : number;
        if (i) fields[i].name = names[i];
    }
    schema.fields = fields;
    schema.count = count;
    return &schema;
}

static wisp_value booleans_value(int count) {
    static wisp_pair pairs[1024];
    const wisp_schema *schema = booleans(count);
    for (int i = 0; i < count; i++) {
        pairs[i].key = schema->fields[i].name;
        pairs[i].value = i ? wisp_bool(i % 3 == 0) : wisp_int(0);
    }
    return wisp_map(pairs, count);
}

TEST(records_and_their_differences_keep_within_what_their_reader_can_pay) {
    for (int delta = 0; delta < 2; delta++) {
        for (int count = 20; count <= 1024; count = count * 3 > 1024 && count < 1024
                                                        ? 1024 : count * 3) {
            for (int per_tick = 1; per_tick <= 64; per_tick *= 8) {
                wisp_config config = credit_config_of(delta ? WISP_ENCODE_DELTA : 0, 0,
                                                      booleans(count));
                wisp_value value = booleans_value(count);
                honest h;
                honest_open(&h, &config);
                credit_fire_many(&h, &value, (wisp_value *)&value.as.map[0].value, per_tick);
                honest_close(&h, false);
            }
        }
    }
}

/* Rows in a list, of which one number changes. */
typedef struct row_list { uint16_t count; int32_t rows[3000]; } row_list;
static const wisp_type credit_row_type = WISP_T_RANGE(0, 1000000);
static const wisp_field credit_row_fields[] = {
    WISP_COUNTED_FIELD(row_list, rows, count, WISP_T_ARRAY(&credit_row_type, 3000)),
};
static const wisp_schema credit_row_schema = WISP_SCHEMA(row_list, 1, credit_row_fields);

TEST(differences_of_long_lists_keep_within_what_their_reader_can_pay) {
    static row_list list;
    for (int adaptive = 0; adaptive < 2; adaptive++) {
        for (int size = 30; size <= 3000; size *= 10) {
            wisp_config config = credit_config_of(WISP_ENCODE_DELTA, 0, &credit_row_schema);
            honest h;
            config.encode.adaptive = adaptive ? WISP_ON : 0;
            honest_open(&h, &config);
            for (int i = 0; i < 40; i++) {
                wisp_value value = wisp_struct(&credit_row_schema, &list);
                list.count = (uint16_t)(i % 8 == 7 ? size / 2 : size);
                list.rows[i * 7 % size] += i;
                CHECK_EQ_INT(wisp_fire_values(h.t.client, "c", wisp_to_peer(h.t.to_server), &value,
                                              1), WISP_OK);
                if (i % 3 == 0) world_run(&h.t.w, 0.05);
            }
            world_run(&h.t.w, 2);
            CHECK_EQ_INT(h.heard, 40);
            honest_close(&h, true);
        }
    }
}

/* Megabytes of one value, as fast as the queue takes them: all come, none too dear. */
static void check_fast(const wisp_config *config, const wisp_value *value, int64_t bytes) {
    honest h;
    int64_t sent = 0, most = 3 << 20;
    double began;
    honest_open(&h, config);
    began = h.t.w.now;
    while (sent < most && h.t.w.now < began + 30) {
        while (sent < most && honest_fire(&h, value)) sent += bytes;
        world_step(&h.t.w);
    }
    while (h.heard < h.fired && h.t.w.now < began + 30) world_step(&h.t.w);
    CHECK((double)sent / (h.t.w.now - began) > 5e6);
    CHECK_EQ_INT(world_peer_stats(h.t.server, h.t.to_client).packets_refused, 0);
    honest_close(&h, false);
}

TEST(large_messages_of_a_fast_peer_pass) {
    static uint8_t bytes[(1 << 20) - 64];
    wisp_config plain = credit_config_of(0, 0, NULL);
    wisp_value value = wisp_bytes(bytes, (int)sizeof bytes);
    memset(bytes, 0x5a, sizeof bytes);
    check_fast(&plain, &value, (int64_t)sizeof bytes);
    for (int i = 0; i < 60000; i++) the_items[i] = wisp_int(i * 77);
    value = wisp_array(the_items, 60000);
    check_fast(&plain, &value, 60000 * 3);
    for (int i = 0; i < 60000; i++) the_items[i] = wisp_bool(i % 3 == 0);
    check_fast(&plain, &value, 300000);
    plain.encode.codec = wisp_json();
    for (int i = 0; i < 20000; i++) the_items[i] = wisp_int(1000000000 + i);
    value = wisp_array(the_items, 20000);
    check_fast(&plain, &value, 200000);
}

TEST(maps_of_4000_pairs_of_a_fast_peer_pass) {
    static wisp_pair pairs[4000];
    static char names[4000][8];
    wisp_config config = credit_config_of(0, 0, NULL);
    wisp_value value = wisp_map(pairs, 4000);
    for (int i = 0; i < 4000; i++) {
        snprintf(names[i], sizeof names[i], "k%04d", i);
        pairs[i].key = names[i];
        pairs[i].value = wisp_int(i);
    }
    check_fast(&config, &value, 4000 * 8);
    config.encode.codec = wisp_json();
    check_fast(&config, &value, 4000 * 8);
}

static const wisp_type flag_type = WISP_T_BOOL;
static const wisp_field flags_fields[] = { WISP_MAP_FIELD("f", WISP_T_ARRAY(&flag_type, 60000)) };
static const wisp_schema flags_schema = WISP_MAP_SCHEMA("flags", 1, flags_fields);

TEST(a_record_of_60000_booleans_of_a_fast_peer_passes) {
    wisp_config config = credit_config_of(0, 0, &flags_schema);
    wisp_pair pair;
    wisp_value value = wisp_map(&pair, 1);
    for (int i = 0; i < 60000; i++) the_items[i] = wisp_bool(i % 5 == 0);
    pair.key = "f";
    pair.value = wisp_array(the_items, 60000);
    check_fast(&config, &value, 60000);
}

/* --- slowed, not ended --- */

/* Whatever the session has saved is gone before each step, for a while. */
static void run_poor(honest *h, double seconds) {
    int steps = (int)(seconds / h->t.w.step + 0.5);
    for (int i = 0; i < steps; i++) {
        wisp__session *s = wisp__session_of(h->t.server, h->t.to_client);
        if (s) s->credit = 0;
        world_step(&h->t.w);
    }
}

TEST(a_session_out_of_credit_is_slowed_and_loses_nothing) {
    for (int delta = 0; delta < 2; delta++) {
        wisp_config config = credit_config_of(delta ? WISP_ENCODE_DELTA : 0, 0, booleans(500));
        wisp_value value = booleans_value(500);
        honest h;
        honest_open(&h, &config);
        for (int i = 0; i < 300; i++) {
            ((wisp_pair *)value.as.map)[0].value = wisp_int(i);
            honest_fire(&h, &value);
            if (i % 30 == 29) run_poor(&h, 0.05);
        }
        CHECK(h.heard < h.fired);
        run_poor(&h, 1);
        world_run(&h.t.w, 3);
        CHECK(world_peer_stats(h.t.server, h.t.to_client).packets_refused > 0);
        honest_close(&h, false);
    }
}

/* Loses as many packets of the client as the world's user says. */
static int lose_some(world *w, int n, wisp_packet *packet) {
    int *left = (int *)w->user;
    (void)packet;
    return n == 1 && *left > 0 ? (*left)-- * 0 : 1;
}

TEST(what_was_early_goes_on_when_it_can_be_paid_and_before_a_goodbye) {
    for (int leaves = 0; leaves < 2; leaves++) {
        wisp_config config = credit_config_of(WISP_ENCODE_DELTA, 0, booleans(1000));
        wisp_value value = booleans_value(1000);
        wisp__session *s;
        honest h;
        int waited = 0, lost = 1;
        honest_open(&h, &config);
        ((wisp_pair *)value.as.map)[0].value = wisp_int(-1);
        honest_fire(&h, &value);
        world_run(&h.t.w, 0.3);
        s = wisp__session_of(h.t.server, h.t.to_client);
        h.t.w.user = &lost;
        h.t.w.tap = lose_some;
        for (int i = 0; i < 200; i++) {
            ((wisp_pair *)value.as.map)[0].value = wisp_int(i);
            honest_fire(&h, &value);
            if (i % 20 == 0) world_run(&h.t.w, 0.01);
        }
        for (int i = 0; i < 200 && !s->behind; i++) world_step(&h.t.w);
        waited = h.fired - h.heard;
        CHECK(s->behind != 0 && waited > 0);
        if (leaves) {
            wisp_leave(h.t.client, h.t.to_server, "bye");
            world_run(&h.t.w, 1);
            CHECK(h.heard > h.fired - waited);
            world_close(&h.t.w);
            continue;
        }
        world_run(&h.t.w, 2);
        CHECK(!s->behind && lost == 0);
        honest_close(&h, false);
    }
}

TEST(over_a_reliable_link_nothing_is_dropped_for_want_of_credit) {
    wisp_config config = credit_config_of(0, 0, NULL);
    wisp_value value = equal_items(20);
    honest h;
    honest_open_on(&h, &config, true);
    for (int i = 0; i < 2000; i++) {
        the_items[0] = wisp_int(i);
        honest_fire(&h, &value);
        if (i % 100 == 99) run_poor(&h, 0.01);
    }
    world_run(&h.t.w, 2);
    CHECK_EQ_INT(world_peer_stats(h.t.server, h.t.to_client).packets_refused, 0);
    honest_close(&h, false);
}

/* An update that may do little leaves packets for the next; nothing is lost. */
TEST(what_is_over_the_work_of_an_update_waits_for_the_next) {
    int updates[2];
    for (int limited = 0; limited < 2; limited++) {
        wisp_config config = credit_config_of(0, 0, NULL);
        wisp_value value = equal_items(2000);
        honest h;
        honest_open(&h, &config);
        h.t.server->base.limits.update_work = limited ? 1 : 50000;
        updates[limited] = 0;
        for (int i = 0; i < 400; i++) {
            the_items[0] = wisp_int(i);
            honest_fire(&h, &value);
        }
        for (; h.heard < h.fired && updates[limited] < 2000; updates[limited]++) {
            int most = limited ? 1000 + WISP__RECEIVED * (WISP__EARN_MOST + WISP__EARN_PACKET)
                               : 50000000 + WISP__RECEIVED * WISP__EARN_MOST;
            world_step(&h.t.w);
            CHECK(h.t.server->update_work <= most);
        }
        honest_close(&h, false);
    }
    if (!CHECK(updates[1] > updates[0]))
        printf("  %d updates, %d if limited\n", updates[0], updates[1]);
}

/* Large messages that end in one update count with all of their work. */
TEST(the_work_of_assembled_messages_is_that_of_their_update) {
    bombs *b = &the_bombs;
    wisp__writer to;
    bombs_bill bill;
    bombs_open(b);
    bombs_announce(b, "chat", bombs_plain(false));
    memset(b->raw, 0, 20000);
    to = wisp__writer_on(b->raw, 20000);
    wisp__put(&to, 8, 4);
    wisp__put_length(&to, (uint64_t)b->number);
    wisp__put_length(&to, 8 * 9000 + 36);
    bombs_put_array(&to, WISP_BOOL, 60000);
    bombs_fragments(b, b->raw, 9001 + (int)(to.at / 8) - 8);
    memset(&bill, 0, sizeof bill);
    bill.work = b->h.server->update_work;
    bombs_close(b);
    CHECK(bill.work > 0);
}

/* --- differences that are refused --- */

/* The first message of a packet that runs a handler leaves too little memory for the others. */
TEST(a_difference_that_was_not_paid_for_is_asked_for_whole) {
    for (int way = 0; way < 3; way++) {
        wisp_config config = credit_config_of(WISP_ENCODE_DELTA, 0, NULL);
        wisp_value value = equal_items(400);
        honest h;
        config.delivery = way == 1 ? WISP_UNRELIABLE : WISP_RELIABLE;
        config.replace = WISP_OFF;                  /* so that six values go, not the newest */
        honest_open_on(&h, &config, way == 2);
        honest_fire(&h, &value);
        world_run(&h.t.w, 0.5);
        CHECK_EQ_INT(h.heard, 1);
        h.drains = true;
        for (int k = 0; k < 6; k++) {
            the_items[k] = wisp_int(1000 + k);
            honest_fire(&h, &value);
        }
        world_run(&h.t.w, 0.05);
        CHECK(h.errors > 0 && atoi(h.error) == WISP_E_FLOOD);
        h.drains = false;
        world_run(&h.t.w, 2);
        the_items[7] = wisp_int(4711);
        honest_fire(&h, &value);
        world_run(&h.t.w, 1);
        CHECK(h.sum_last == sum_of(&value));
        CHECK_EQ_INT(wisp_peers(h.t.server, NULL, 0), 1);
        world_close(&h.t.w);
    }
}

/* --- what a peer chose the size of --- */

static wisp__arena the_arena;
static wisp__base the_base;

static void room_start(void) {
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    memset(&the_base, 0, sizeof the_base);
    memset(&the_arena, 0, sizeof the_arena);
    the_base.memory.alloc = memory_take;
    the_base.memory.free = memory_give;
    the_base.memory.user = &the_bombs.h.memory;
    memset(&the_bombs.h.memory, 0, sizeof the_bombs.h.memory);
    the_base.limits.message_values = 65536;
    the_base.limits.map_pairs = 4096;
    the_base.limits.nesting = 16;
    the_base.limits.message_bytes = 1 << 20;
}

static void room_end(void) {
    wisp__arena_free(&the_base, &the_arena);
    CHECK_EQ_INT(the_bombs.h.memory.held, 0);
}

static int arena_blocks(void) {
    int count = 0;
    for (wisp__arena_block *block = the_arena.first; block; block = block->next) count++;
    return count;
}

TEST(an_arena_does_not_grow_when_what_is_in_it_grows_step_by_step) {
    size_t most = 0;
    room_start();
    for (size_t size = 70000; size < 2 << 20; size += 10000) {
        wisp__arena_reset(&the_arena);
        CHECK(wisp__arena_take(&the_base, &the_arena, 100) != NULL);
        CHECK(wisp__arena_take(&the_base, &the_arena, size) != NULL);
        most = size;
        CHECK(the_bombs.h.memory.held < size + 20000);
    }
    CHECK(the_bombs.h.memory.held > most);
    CHECK(arena_blocks() <= 3);
    room_end();
}

TEST(an_arena_gives_large_blocks_back_after_some_quiet) {
    size_t held;
    room_start();
    wisp__arena_take(&the_base, &the_arena, 1 << 20);
    for (int i = 0; i < WISP__ARENA_IDLE; i++) {
        wisp__arena_trim(&the_base, &the_arena);
        CHECK(the_bombs.h.memory.held > 1 << 20);
    }
    wisp__arena_reset(&the_arena);
    wisp__arena_take(&the_base, &the_arena, 1 << 20);              /* used again: it stays */
    wisp__arena_reset(&the_arena);
    for (int i = 0; i < WISP__ARENA_IDLE; i++) wisp__arena_trim(&the_base, &the_arena);
    CHECK(the_bombs.h.memory.held > 1 << 20);
    wisp__arena_reset(&the_arena);
    for (int i = 0; i <= WISP__ARENA_IDLE + 1; i++) wisp__arena_trim(&the_base, &the_arena);
    held = the_bombs.h.memory.held;
    CHECK(held < WISP__ARENA_MOST);
    CHECK(wisp__arena_take(&the_base, &the_arena, 64) != NULL);
    room_end();
}

TEST(an_endpoint_gives_back_what_a_large_message_took) {
    static uint8_t bytes[900000];
    wisp_config config = credit_config_of(0, 0, NULL);
    wisp_value value = wisp_bytes(bytes, (int)sizeof bytes);
    uint64_t before;
    honest h;
    honest_open(&h, &config);
    before = world_total(h.t.server).memory;
    honest_fire(&h, &value);
    world_run(&h.t.w, 2);
    CHECK(world_total(h.t.server).memory_peak > before + sizeof bytes);
    CHECK(world_total(h.t.server).memory < before + 300000);
    honest_close(&h, false);
}

/* --- look-ups --- */

enum { MANY_PAIRS = 4000 };
static wisp_pair many_pairs[MANY_PAIRS];
static char many_names[MANY_PAIRS][8];

static wisp_value many_map(int count) {
    for (int i = 0; i < count; i++) {
        snprintf(many_names[i], sizeof many_names[i], "k%04d", i * 7919 % MANY_PAIRS);
        many_pairs[i].key = many_names[i];
        many_pairs[i].value = wisp_int(i);
    }
    return wisp_map(many_pairs, count);
}

TEST(names_in_order_find_the_first_of_equal_ones) {
    wisp_value map = many_map(MANY_PAIRS);
    wisp__credit credit = credit_of(1 << 30, 1 << 30);
    wisp__supply supply;
    wisp__names names;
    room_start();
    supply = wisp__supply_of_arena(&the_base, &the_arena, &credit);
    many_pairs[3000].key = many_pairs[5].key;
    CHECK(wisp__names_make(&names, &supply, &map));
    for (int i = 0; i < MANY_PAIRS; i++)
        CHECK_EQ_INT(wisp__names_find(&names, many_pairs[i].key), i == 3000 ? 5 : i);
    CHECK_EQ_INT(wisp__names_find(&names, many_names[3000]), -1);
    CHECK_EQ_INT(wisp__names_find(&names, ""), -1);
    CHECK_EQ_INT(wisp__names_find(&names, "zzz"), -1);
    credit = credit_of(1000, 1 << 30);
    CHECK(!wisp__names_make(&names, &supply, &map));
    CHECK(credit.over);
    room_end();
}

/* A schema that takes any map, for edits. */
static const wisp_field some_fields[] = { WISP_MAP_FIELD("k0000", WISP_T_ANY) };
static const wisp_schema some_schema = WISP_MAP_SCHEMA("some", 1, some_fields);

TEST(edits_of_thousands_of_names_find_each_of_them_at_little_cost) {
    wisp_value map = many_map(MANY_PAIRS), out;
    wisp__credit credit = credit_of(1 << 30, 1 << 30);
    wisp__supply supply;
    wisp_edit edit;
    int64_t begun;
    room_start();
    supply = wisp__supply_of_arena(&the_base, &the_arena, &credit);
    many_pairs[9].key = many_pairs[8].key;             /* of equal ones the last wins */
    CHECK_EQ_INT(wisp__edit_begin(&edit, &supply, &some_schema, &map), WISP_OK);
    CHECK_EQ_INT(edit.live, MANY_PAIRS - 1);
    CHECK_EQ_INT(wisp_edit_get(&edit, many_pairs[8].key)->as.integer, 9);
    CHECK(wisp_edit_get(&edit, many_names[9]) == NULL);
    begun = credit.work;
    for (int i = 20; i < 1020; i++) {
        CHECK_EQ_INT(wisp_edit_get(&edit, many_names[i])->as.integer, i);
        CHECK_EQ_INT(wisp_edit_set(&edit, many_names[i], wisp_int(-i)), WISP_OK);
        CHECK_EQ_INT(wisp_edit_get(&edit, many_names[i])->as.integer, -i);
    }
    CHECK(begun - credit.work < 3000 * 13 * WISP__PRICE_COMPARE + 3000 * 40);
    CHECK_EQ_INT(wisp_edit_remove(&edit, many_names[30]), WISP_OK);
    CHECK_EQ_INT(wisp_edit_remove(&edit, many_names[30]), WISP_E_NAME);
    CHECK(wisp_edit_get(&edit, many_names[30]) == NULL);
    CHECK_EQ_INT(wisp_edit_rename(&edit, many_names[31], "new"), WISP_OK);
    CHECK_EQ_INT(wisp_edit_get(&edit, "new")->as.integer, -31);
    CHECK(wisp_edit_get(&edit, many_names[31]) == NULL);
    CHECK_EQ_INT(wisp_edit_set(&edit, many_names[30], wisp_int(5)), WISP_OK);
    CHECK_EQ_INT(wisp_edit_get(&edit, many_names[30])->as.integer, 5);
    CHECK_EQ_INT(wisp__edit_end(&edit, &some_schema, &out), WISP_OK);
    CHECK_EQ_INT(out.count, MANY_PAIRS - 1);
    room_end();
}

/* The work of fitting a map to the schema of 200 fields that is at packet_bombs.h. */
static int64_t fit_work(int pairs) {
    wisp_value map = many_map(pairs);
    wisp__credit credit = credit_of(1 << 30, 1 << 30);
    wisp__supply supply;
    wisp__fitting f;
    wisp_schema schema = *bombs_wide();
    static uint8_t plan[1 << 18];
    static uint8_t image[1 << 16];
    char text[200];
    wisp__bump bump = wisp__bump_on(plan, (int)sizeof plan);
    const wisp__program *program = wisp__compile(&bump, &schema);
    room_start();
    supply = wisp__supply_of_arena(&the_base, &the_arena, &credit);
    f = wisp__fitting_on(text, (int)sizeof text, &supply);
    f.loose = true;
    CHECK(program != NULL && program->schema->bytes <= (int)sizeof image);
    if (!program) return 0;
    memset(image, 0, sizeof image);
    CHECK_EQ_INT(wisp__fit_schema(&f, program->schema, &map, image), WISP_OK);
    room_end();
    return (1 << 30) - credit.work;
}

TEST(a_map_of_4000_pairs_fits_a_schema_of_200_fields_without_a_search_for_each) {
    int64_t few = fit_work(500), many = fit_work(4000);
    CHECK(few > 0);
    CHECK(many < 10 * few);
    CHECK(many < 4000 * 13 * 3 * WISP__PRICE_COMPARE);
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
    CASE(compressed_values_of_every_size_keep_within_what_their_reader_can_pay),
    CASE(differences_of_values_of_every_size_keep_within_what_their_reader_can_pay),
    CASE(compressed_texts_of_a_codec_keep_within_what_their_reader_can_pay),
    CASE(records_and_their_differences_keep_within_what_their_reader_can_pay),
    CASE(differences_of_long_lists_keep_within_what_their_reader_can_pay),
    CASE(large_messages_of_a_fast_peer_pass),
    CASE(maps_of_4000_pairs_of_a_fast_peer_pass),
    CASE(a_record_of_60000_booleans_of_a_fast_peer_passes),
    CASE(a_session_out_of_credit_is_slowed_and_loses_nothing),
    CASE(what_was_early_goes_on_when_it_can_be_paid_and_before_a_goodbye),
    CASE(over_a_reliable_link_nothing_is_dropped_for_want_of_credit),
    CASE(what_is_over_the_work_of_an_update_waits_for_the_next),
    CASE(the_work_of_assembled_messages_is_that_of_their_update),
    CASE(a_difference_that_was_not_paid_for_is_asked_for_whole),
    CASE(an_arena_does_not_grow_when_what_is_in_it_grows_step_by_step),
    CASE(an_arena_gives_large_blocks_back_after_some_quiet),
    CASE(an_endpoint_gives_back_what_a_large_message_took),
    CASE(names_in_order_find_the_first_of_equal_ones),
    CASE(edits_of_thousands_of_names_find_each_of_them_at_little_cost),
    CASE(a_map_of_4000_pairs_fits_a_schema_of_200_fields_without_a_search_for_each),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
