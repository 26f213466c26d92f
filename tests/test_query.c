/* test_query.c - questions to endpoints without joining them, and who answers them how often */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/handshake_packets.h"

enum { QUERY_EVERYBODY = 99, QUERY_NOTES = 400 };

/* What the handler of a question was told. */
typedef struct query_log {
    int         answers, ends;
    wisp_result result;                   /* of the end */
    double      ended, round_trip;
    wisp_addr   from[QUERY_NOTES];
    char        info[600];
    int         info_bytes;
    wisp       *asks_again;               /* from inside the handler */
} query_log;

static void query_on(wisp_event *event) {
    query_log *log = (query_log *)event->user;
    wisp_addr to = wisp_loopback_addr(0);
    const void *info;
    int size = 0;
    if (!event->count) {
        CHECK(event->from == NULL);
        log->ends++;
        log->result = event->result;
        log->ended = event->time;
        if (log->asks_again) {
            wisp *w = log->asks_again;
            log->asks_again = NULL;
            CHECK_EQ_INT(wisp_query(w, &to, query_on, log), WISP_OK);
        }
        return;
    }
    CHECK_EQ_INT(log->ends, 0);
    CHECK_EQ_INT(event->result, WISP_OK);
    if (log->answers < QUERY_NOTES) log->from[log->answers] = *event->from;
    log->answers++;
    info = wisp_arg_bytes(event, 0, &size);
    memcpy(log->info, info, (size_t)size);
    log->info_bytes = size;
    log->round_trip = wisp_arg_number(event, 1);
}

static void query_open(scene *c, int servers, const char *info) {
    scene_open(c);
    c->t.w.desc.info = info;
    c->t.w.desc.info_bytes = info ? (int)strlen(info) : 0;
    c->t.client = scene_add(c);
    for (int i = 0; i < servers; i++) c->t.server = scene_add(c);
}

static wisp_result query_ask(scene *c, query_log *log, int to) {
    wisp_addr addr = wisp_loopback_addr(to);
    memset(log, 0, sizeof *log);
    return wisp_query(c->t.client, &addr, query_on, log);
}

TEST(an_endpoint_tells_of_itself_without_a_join) {
    static scene c;
    static query_log log;
    query_open(&c, 1, "map=dust players=3");
    CHECK_EQ_INT(query_ask(&c, &log, 1), WISP_OK);
    world_run(&c.t.w, 0.1);
    CHECK_EQ_INT(log.answers, 1);
    CHECK_EQ_INT(log.ends, 1);
    CHECK_EQ_INT(log.result, WISP_OK);
    CHECK_EQ_INT(log.info_bytes, 18);
    CHECK_EQ_MEM(log.info, "map=dust players=3", 18);
    CHECK(log.round_trip >= 0 && log.round_trip < 0.05);
    CHECK_EQ_INT(slots(c.t.server) + slots(c.t.client), 0);
    CHECK_EQ_INT(c.s.kept_size[WISP__QUERY], 532);
    CHECK_EQ_INT(world_total(c.t.server).queries_answered, 1);
    CHECK_EQ_INT(wisp_set_info(c.t.server, "", 0), WISP_OK);            /* nothing to say */
    CHECK_EQ_INT(query_ask(&c, &log, 1), WISP_OK);
    world_run(&c.t.w, 0.1);
    CHECK_EQ_INT(log.answers, 1);
    CHECK_EQ_INT(log.info_bytes, 0);
    scene_close(&c);
}

TEST(the_info_has_limits_and_may_change) {
    static scene c;
    static query_log log;
    static char large[600];
    wisp_desc desc;
    wisp_result why;
    memset(large, 'x', sizeof large);
    query_open(&c, 1, NULL);
    CHECK_EQ_INT(wisp_set_info(NULL, large, 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_info(c.t.server, NULL, 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_info(c.t.server, large, -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_info(c.t.server, large, 513), WISP_E_TOO_BIG);
    CHECK_EQ_INT(wisp_set_info(c.t.server, large, 512), WISP_OK);
    CHECK_EQ_INT(query_ask(&c, &log, 1), WISP_OK);
    world_run(&c.t.w, 0.1);
    CHECK_EQ_INT(log.info_bytes, 512);
    CHECK_EQ_MEM(log.info, large, 512);
    CHECK_EQ_INT(c.s.kept_size[WISP__INFO], c.s.kept_size[WISP__QUERY]);
    CHECK_EQ_INT(wisp_set_info(c.t.server, NULL, 0), WISP_OK);
    CHECK_EQ_INT(query_ask(&c, &log, 1), WISP_OK);
    world_run(&c.t.w, 6);
    CHECK_EQ_INT(log.answers, 0);
    CHECK_EQ_INT(log.ends, 1);
    CHECK_EQ_INT(log.result, WISP_E_TIMEOUT);
    desc = c.t.w.desc;
    desc.link = world_link(&c.t.w, 9);
    desc.link.mtu = 256;
    desc.info = large;
    desc.info_bytes = 237;
    CHECK(wisp_create(&desc, &why) == NULL);
    CHECK_EQ_INT(why, WISP_E_TOO_BIG);
    scene_close(&c);
}

TEST(who_does_not_answer_is_told_in_time) {
    static scene c;
    static query_log log;
    wisp_addr nobody = wisp_loopback_addr(30);
    query_open(&c, 1, NULL);
    CHECK_EQ_INT(wisp_query(NULL, &nobody, query_on, &log), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_query(c.t.client, NULL, query_on, &log), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_query(c.t.client, &nobody, NULL, &log), WISP_E_ARGUMENT);
    for (int to = 1; to <= 30; to += 29) {
        double begin = c.t.w.now;
        int asked = c.s.kinds[WISP__QUERY];
        CHECK_EQ_INT(query_ask(&c, &log, to), WISP_OK);
        world_run(&c.t.w, 7);
        CHECK_EQ_INT(log.ends, 1);
        CHECK_EQ_INT(log.result, WISP_E_TIMEOUT);
        CHECK_NEAR(log.ended - begin, 5.5, 0.1);
        CHECK_EQ_INT(c.s.kinds[WISP__QUERY] - asked, 5);
    }
    scene_close(&c);
}

TEST(another_application_does_not_answer) {
    static const char *const apps[] = { "", "tes", "testt", "tesT" };
    for (int i = 0; i < 4; i++) {
        static scene c;
        static query_log log;
        query_open(&c, 0, "info");
        c.t.w.desc.app = apps[i];
        c.t.server = scene_add(&c);
        query_ask(&c, &log, 1);
        world_run(&c.t.w, 1);
        CHECK_EQ_INT(log.answers, 0);
        CHECK_EQ_INT(c.s.kinds[WISP__INFO], 0);
        CHECK(world_total(c.t.server).queries_ignored > 0);
        scene_close(&c);
    }
}

TEST(questions_survive_loss_long_round_trips_and_slow_updates) {
    int failed = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        static scene c;
        static query_log log;
        double next[2] = { 0, 0 };
        int slow = (int)(seed % 3);
        memset(&log, 0, sizeof log);
        scene_open(&c);
        c.t.w.bad = true;
        c.t.w.net.seed = seed * 10;
        c.t.w.net.latency = seed & 1 ? 1.0 : 0.1;
        c.t.w.net.loss = 0.1;
        c.t.w.desc.info = "info";
        c.t.w.desc.info_bytes = 4;
        c.t.client = scene_add(&c);
        c.t.server = scene_add(&c);
        query_ask(&c, &log, 1);
        for (int i = 0; i < 800; i++) {
            c.t.w.now += 0.01;
            for (int k = 0; k < 2; k++) {
                if (c.t.w.now < next[k]) continue;
                next[k] += slow == k ? 1.0 : 0.02;
                world_update(&c.t.w, k);
            }
        }
        CHECK_EQ_INT(log.ends, 1);
        failed += log.answers != 1;
        if (log.answers) CHECK(log.round_trip >= 2 * c.t.w.net.latency - 0.01);
        scene_close(&c);
    }
    CHECK(failed <= 2);
}

/* --- broadcast --- */

static int query_broadcast(world *w, int n, wisp_packet *packet) {
    scene *c = (scene *)w;                  /* the world is the first of the scene */
    wisp_addr everybody = wisp_loopback_addr(QUERY_EVERYBODY);
    int copies = spy_tap(w, n, packet);
    if (memcmp(&packet->addr, &everybody, sizeof everybody) != 0) return copies;
    for (int i = 0; i < w->count; i++) inject(c, n, i, packet->data, packet->size);
    return 0;
}

TEST(a_broadcast_question_has_many_answers) {
    static scene c;
    static query_log log;
    static const char info[] = "here";
    query_open(&c, 20, info);
    c.t.w.tap = query_broadcast;
    CHECK_EQ_INT(query_ask(&c, &log, QUERY_EVERYBODY), WISP_OK);
    world_run(&c.t.w, 6);
    CHECK_EQ_INT(log.answers, 21);          /* itself too, each once though it was asked 5 times */
    CHECK_EQ_INT(log.ends, 1);
    CHECK_EQ_INT(log.result, WISP_OK);
    for (int i = 0; i < log.answers; i++)
        for (int k = 0; k < i; k++) CHECK(memcmp(&log.from[i], &log.from[k], 32) != 0);
    CHECK_EQ_INT(c.s.kinds[WISP__INFO], 21 * 5);
    scene_close(&c);
}

/* --- what strangers can do --- */

/* A question by hand, of `size` bytes, whose app is "test". */
static int query_by_hand(hand *h, uint64_t nonce, int size) {
    hand_begin(h, WISP__QUERY, nonce);
    wisp__put(&h->to, 4, 8);
    wisp__put_bytes(&h->to, "test", 4);
    return hand_end(h, size);
}

TEST(no_answer_is_larger_than_its_question) {
    static scene c;
    static char large[500];
    hand h;
    memset(large, 'x', sizeof large);
    query_open(&c, 1, "12345678901234567890123456789012345678901234567890");
    for (int size = 23; size < 120; size++) {
        int before = c.s.kinds[WISP__INFO];
        c.t.w.now += 1;
        inject(&c, 0, 1, h.bytes, query_by_hand(&h, (uint64_t)size, size));
        world_update(&c.t.w, 1);
        CHECK_EQ_INT(c.s.kinds[WISP__INFO] - before, size >= 70);
        if (size >= 70) CHECK_EQ_INT(c.s.kept_size[WISP__INFO], 70);
    }
    scene_close(&c);
}

TEST(a_flood_of_questions_is_answered_by_little_and_stores_nothing) {
    static scene c;
    hand h;
    int size = query_by_hand(&h, 5, 532), before;
    wisp_total_stats stats;
    query_open(&c, 1, "info");
    world_step(&c.t.w);
    stats = world_total(c.t.server);
    for (int i = 0; i < 3000; i++) inject(&c, 3, 1, h.bytes, size);
    world_run(&c.t.w, 1);
    CHECK(c.s.kinds[WISP__INFO] >= 32 && c.s.kinds[WISP__INFO] <= 42);
    before = c.s.kinds[WISP__INFO];
    inject(&c, 4, 1, h.bytes, size);                    /* another host */
    world_run(&c.t.w, 0.02);
    CHECK_EQ_INT(c.s.kinds[WISP__INFO], before + 1);
    CHECK_EQ_INT(world_total(c.t.server).memory, stats.memory);
    CHECK_EQ_INT(slots(c.t.server), 0);
    scene_close(&c);
}

TEST(damaged_questions_and_answers_do_nothing) {
    for (int kind = WISP__QUERY; kind <= WISP__INFO; kind++) {
        static scene c;
        static query_log log;
        int size;
        query_open(&c, 1, "info");
        c.s.lose_kinds = 1u << kind;
        query_ask(&c, &log, 1);
        world_run(&c.t.w, 0.05);
        size = c.s.kept_size[kind];
        for (int at = 0; at < size; at++) {
            uint8_t bytes[600];
            memcpy(bytes, c.s.kept[kind], (size_t)size);
            inject(&c, 1, 0, bytes, at);
            inject(&c, 0, 1, bytes, at);
            bytes[at] ^= 0x10;
            inject(&c, 1, 0, bytes, size);
            inject(&c, 0, 1, bytes, size);
        }
        c.s.seen[0] = c.s.seen[1] = 0;
        world_update(&c.t.w, 0);
        world_update(&c.t.w, 1);
        CHECK_EQ_INT(log.answers, 0);
        CHECK_EQ_INT(c.s.seen[0] + c.s.seen[1] - c.s.kinds[WISP__GOODBYE], 0);
        scene_close(&c);
    }
}

/* Answers to no question, with another nonce, of tries that were not sent, and far too many. */
TEST(answers_that_nobody_asked_for_are_dropped_and_many_are_bounded) {
    static scene c;
    static query_log log;
    uint64_t nonce, seed = 3;
    hand h;
    query_open(&c, 0, NULL);
    query_ask(&c, &log, QUERY_EVERYBODY);
    world_step(&c.t.w);
    nonce = wisp__load64(c.s.kept[WISP__QUERY] + 6);
    for (int i = 0; i < 2000; i++) {
        hand_begin(&h, WISP__INFO, i % 4 == 0 ? test_random(&seed) : i % 4 == 1 ? nonce ^ 1 :
                   i % 4 == 2 ? nonce + 0x500 : nonce ^ (UINT64_C(1) << (16 + i % 48)));
        wisp__put(&h.to, 0, 16);
        inject(&c, 2 + i % 50, 0, h.bytes, hand_end(&h, 0));
        if (i % 100 == 0) world_update(&c.t.w, 0);
    }
    world_update(&c.t.w, 0);
    CHECK_EQ_INT(log.answers, 0);
    for (int i = 0; i < 1000; i++) {
        hand_begin(&h, WISP__INFO, nonce);
        wisp__put(&h.to, i % 3 ? 0 : 9999, 16);         /* longer than the packet */
        inject(&c, 2 + i, 0, h.bytes, hand_end(&h, 0));
    }
    world_update(&c.t.w, 0);
    CHECK_EQ_INT(log.answers, WISP__QUERY_ANSWERS);
    world_run(&c.t.w, 6);
    CHECK_EQ_INT(log.ends, 1);
    scene_close(&c);
}

TEST(only_so_many_questions_wait_and_all_are_ended_with_the_endpoint) {
    static scene c;
    static query_log log;
    wisp_addr nobody = wisp_loopback_addr(30);
    int asked = 0;
    wisp_result result;
    memset(&log, 0, sizeof log);
    query_open(&c, 0, NULL);
    while ((result = wisp_query(c.t.client, &nobody, query_on, &log)) == WISP_OK) asked++;
    CHECK_EQ_INT(result, WISP_E_LIMIT);
    CHECK_EQ_INT(asked, 128);
    world_destroy(&c.t.w, c.t.client);
    CHECK_EQ_INT(log.ends, 128);
    CHECK_EQ_INT(log.result, WISP_E_CLOSED);
    scene_close(&c);
}

TEST(a_handler_may_ask_again) {
    static scene c;
    static query_log log;
    query_open(&c, 0, NULL);
    query_ask(&c, &log, 30);
    log.asks_again = c.t.client;
    world_run(&c.t.w, 12);
    CHECK_EQ_INT(log.ends, 2);
    scene_close(&c);
}

static const test_case tests[] = {
    CASE(an_endpoint_tells_of_itself_without_a_join),
    CASE(the_info_has_limits_and_may_change),
    CASE(who_does_not_answer_is_told_in_time),
    CASE(another_application_does_not_answer),
    CASE(questions_survive_loss_long_round_trips_and_slow_updates),
    CASE(a_broadcast_question_has_many_answers),
    CASE(no_answer_is_larger_than_its_question),
    CASE(a_flood_of_questions_is_answered_by_little_and_stores_nothing),
    CASE(damaged_questions_and_answers_do_nothing),
    CASE(answers_that_nobody_asked_for_are_dropped_and_many_are_bounded),
    CASE(only_so_many_questions_wait_and_all_are_ended_with_the_endpoint),
    CASE(a_handler_may_ask_again)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
