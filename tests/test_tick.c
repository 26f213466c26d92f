/* test_tick.c - ticks: how they follow time, and on joined ends the clock of their server */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include <math.h>
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/bottleneck.h"

/* What a tick handler saw. */
typedef struct tick_log {
    int64_t first, last, count;
    int     gaps, steps_wrong;        /* numbers that do not follow; steps that are not 1 / 60 */
    int64_t fired;                    /* > 0: fires the number to everybody in each tick */
} tick_log;

static void tick_on(wisp_event *event) {
    tick_log *log = (tick_log *)event->user;
    if (!log->count++) log->first = event->tick;
    else log->gaps += event->tick != log->last + 1;
    log->last = event->tick;
    log->steps_wrong += event->step > 1.0 / 60 || event->step < 1.0 / 60;
    CHECK_EQ_INT(event->tick, wisp_tick(event->w));
    if (log->fired) {
        wisp_value value = wisp_int(event->tick);
        CHECK_EQ_INT(wisp_fire_values(event->w, "moved", wisp_to_all(), &value, 1), WISP_OK);
    }
}

/* A server with 60 ticks a second, and a client that takes over its ticks. */
typedef struct tick_net {
    bn_net    net;
    int       server_at, client_at;
    wisp     *server, *client;
} tick_net;

static void tick_open(tick_net *t, double one_way, double jitter, double loss, const int hz[2],
                      uint64_t seed) {
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    bn_open(&t->net, seed);
    for (int i = 0; i < 2; i++) {
        bn_way *way = bn_way_add(&t->net);
        way->delay = one_way;
        way->jitter = jitter;
        way->loss = loss;
        desc.tick_rate = i ? 0 : 60;
        *(i ? &t->client_at : &t->server_at) = bn_add(&t->net, &desc, hz[i], way, NULL);
    }
    t->server = bn_wisp(&t->net, t->server_at);
    t->client = bn_wisp(&t->net, t->client_at);
}

static void tick_join(tick_net *t, tick_log *log) {
    wisp_addr addr = bn_addr(&t->net, t->server_at);
    memset(log, 0, sizeof *log);
    CHECK(wisp_on_tick(t->client, tick_on, log).id != 0);
    CHECK(wisp_join(t->client, &addr, NULL, 0).id != 0);
}

/* Seconds by which the client is wrong about its server's ticks. */
static double tick_error(const tick_net *t) {
    double at = wisp__server_ticks(&t->client->clock, t->net.now - t->client->now +
                                                          t->client->base.time);
    double is = t->server->clock.at + 60 * (t->net.now - t->server->now);
    return at > is ? (at - is) / 60 : (is - at) / 60;
}

/* Two ends that are updated together. */
static void tick_world(world_two *t) {
    memset(t, 0, sizeof *t);
    world_open(&t->w);
    t->w.desc.tick_rate = 60;
    t->server = world_add(&t->w);
    t->w.desc.tick_rate = 0;
    t->client = world_add(&t->w);
}

TEST(ticks_are_the_time_of_their_endpoint) {
    world_two t;
    tick_log log;
    memset(&log, 0, sizeof log);
    tick_world(&t);
    CHECK_EQ_INT(wisp_tick(t.server), 0);
    CHECK(wisp_on_tick(t.server, tick_on, &log).id != 0);
    world_update(&t.w, 0);
    for (int i = 0; i < 1000; i++) {
        t.w.now += 0.0071;
        world_update(&t.w, 0);
    }
    CHECK_EQ_INT(log.first, 1);
    CHECK_EQ_INT(log.last, 426);           /* 7.1 s * 60 */
    CHECK_EQ_INT(log.count, 426);
    CHECK_EQ_INT(log.gaps + log.steps_wrong, 0);
    t.w.now += 3;                          /* a pause: its last quarter of a second runs */
    world_update(&t.w, 0);
    CHECK_EQ_INT(log.last, 606);
    CHECK_EQ_INT(log.count, 426 + 15);
    CHECK_EQ_INT(log.gaps, 1);
    world_close(&t.w);
}

TEST(no_rate_no_ticks) {
    world_two t;
    tick_log log;
    wisp_times_of times;
    wisp_desc desc;
    wisp_result why;
    memset(&log, 0, sizeof log);
    tick_world(&t);
    CHECK(wisp_on_tick(t.client, tick_on, &log).id != 0);
    world_run(&t.w, 1);
    CHECK_EQ_INT(log.count, 0);
    wisp_times(t.client, &times);
    CHECK(times.now <= 0 && times.lead <= 0);
    CHECK_EQ_INT(wisp_on_tick(NULL, tick_on, &log).id, 0);
    CHECK_EQ_INT(wisp_on_tick(t.client, NULL, &log).id, 0);
    CHECK_EQ_INT(wisp_tick(NULL), 0);
    memset(&desc, 0, sizeof desc);
    desc.link = world_link(&t.w, 5);
    for (int i = 0; i < 4; i++) {
        desc.tick_rate = i == 0 ? -1 : i == 1 ? 0.01 : i == 2 ? 1001 : HUGE_VAL;
        CHECK(wisp_create(&desc, &why) == NULL);
        CHECK_EQ_INT(why, WISP_E_ARGUMENT);
    }
    world_close(&t.w);
}

/* 100 ms of round trip, 20 ms of jitter, 5% loss: within 5 ms after 2 s; where an end is updated
   rarely, within a third of the time between its updates, as packets are read late. */
TEST(an_end_that_joins_takes_over_its_servers_ticks) {
    static const int paces[][2] = { { 60, 60 }, { 60, 144 }, { 20, 60 }, { 30, 30 }, { 999, 20 } };
    for (int pace = 0; pace < 5; pace++) {
        int slower = paces[pace][0] < paces[pace][1] ? paces[pace][0] : paces[pace][1];
        double worst = 0;
        for (uint64_t seed = 1; seed <= (pace < 2 ? 25 : 10); seed++) {
            tick_net t;
            tick_log log;
            tick_open(&t, 0.04, 0.02, 0.05, paces[pace], seed);
            bn_run(&t.net, 3.3);
            tick_join(&t, &log);
            for (int i = 0; i < 100 && !wisp_peers(t.client, NULL, 0); i++) bn_run(&t.net, 0.05);
            bn_run(&t.net, 2);
            worst = wisp__max(worst, tick_error(&t));
            CHECK_EQ_INT(log.steps_wrong, 0);
            bn_close(&t.net);
        }
        if (!CHECK(worst < (slower >= 60 ? 0.005 : 0.34 / slower)))
            printf("  pace %d: off by %.1f ms\n", pace, worst * 1000);
    }
}

static int tick_all, tick_late;       /* messages that came; after their tick began */

static void tick_on_moved(wisp_event *event) {
    tick_all++;
    tick_late += wisp_arg_int(event, 0) < wisp_tick(event->w);
}

/* What is sent in a tick is there before the server begins it; and nothing runs twice. */
TEST(ticks_lead_those_of_the_server) {
    static const int hz[] = { 60, 60 };
    tick_all = tick_late = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        tick_net t;
        tick_log log;
        wisp_times_of times;
        tick_open(&t, 0.05, 0.02, 0, hz, seed);
        tick_join(&t, &log);
        bn_run(&t.net, 3);
        log.fired = 1;
        log.gaps = 0;
        CHECK(wisp_connect_target(t.server, wisp_by_name("moved"), tick_on_moved, NULL, false).id);
        bn_run(&t.net, 3);
        CHECK_EQ_INT(log.gaps, 0);
        wisp_times(t.client, &times);
        CHECK(times.lead > 0.05 && times.lead < 0.12);
        CHECK(times.confirmed < times.now && times.smooth < times.confirmed);
        CHECK(times.jitter > 0 && times.jitter < 0.03);
        wisp_times(t.server, &times);
        CHECK(times.lead <= 0 && times.now <= times.smooth && times.now >= times.smooth);
        bn_close(&t.net);
    }
    CHECK(tick_all > 1300);
    if (!CHECK(tick_late * 20 < tick_all)) printf("  %d of %d late\n", tick_late, tick_all);
}

/* The server's clock is stopped for a while: a little is caught up at a tenth of the speed, more
   by a jump. */
TEST(a_clock_that_is_off_is_slewed_or_jumps) {
    static const int hz[] = { 50, 50 };
    for (int pause = 0; pause < 2; pause++) {
        tick_net t;
        tick_log log;
        double before, moved, least = 9, most = 0;
        tick_open(&t, 0.02, 0, 0, hz, 3);
        tick_join(&t, &log);
        bn_run(&t.net, 3);
        log.gaps = 0;
        t.server->clock.at += pause ? 30 : 5;       /* as if it had run fast */
        for (int i = 0; i < 500; i++) {
            before = t.client->clock.at;
            bn_run(&t.net, 0.02);
            moved = t.client->clock.at - before;
            least = wisp__min(least, moved);
            if (moved < 3) most = wisp__max(most, moved);
        }
        CHECK(least > 1.2 * 0.899 && most < 1.2 * 1.101);
        CHECK_EQ_INT(log.gaps, pause);
        CHECK(tick_error(&t) < 0.0101);          /* half of the time between updates */
        bn_close(&t.net);
    }
}

TEST(an_end_follows_the_first_server_that_it_has) {
    world_two t;
    tick_log log;
    wisp *other;
    wisp_peer first;
    wisp_addr addr = wisp_loopback_addr(2);
    memset(&log, 0, sizeof log);
    tick_world(&t);
    t.w.desc.tick_rate = 20;
    other = world_add(&t.w);
    CHECK(wisp_on_tick(t.client, tick_on, &log).id != 0);
    world_join(&t.w, t.client, t.server);
    world_run(&t.w, 1);
    first = world_peer(t.client, 0);
    CHECK(wisp_join(t.client, &addr, NULL, 0).id != 0);
    world_run(&t.w, 1);
    CHECK(t.client->clock.rate > 59 && t.client->clock.rate < 61);
    wisp_leave(t.client, first, "enough");
    world_run(&t.w, 1);
    CHECK(t.client->clock.rate > 19 && t.client->clock.rate < 21);
    wisp_leave(t.client, wisp_server(), "enough");
    log.count = 0;
    world_run(&t.w, 1);
    CHECK(log.count >= 19 && log.count <= 21);       /* goes on by itself */
    (void)other;
    world_close(&t.w);
}

/* Questions cost a server one answer a packet at most; an answer that nobody asked for, or that
   comes twice, moves nothing, and a rate that makes no sense ends the session. */
TEST(hostile_clocks) {
    world_two t;
    tick_log log;
    wisp__clock_frame f = { true, 200, 0, 0, UINT64_C(77) << 32, 0, 0 };
    wisp__session *s;
    double at;
    memset(&log, 0, sizeof log);
    tick_world(&t);
    CHECK(wisp_on_tick(t.client, tick_on, &log).id != 0);
    world_join(&t.w, t.client, t.server);
    world_run(&t.w, 1);
    at = t.client->clock.origin;
    f.rate = wisp__double_bits(60);
    s = wisp__session_of(t.client, wisp_server());
    wisp__clock_answered(t.client, &f, 60);
    CHECK(t.client->clock.origin >= at && t.client->clock.origin <= at);
    f.id = t.client->clock.ask;
    t.client->clock.asked[f.id % WISP__CLOCK_ASKS] = 0;
    wisp__clock_answered(t.client, &f, 60);
    CHECK(t.client->clock.origin >= at && t.client->clock.origin <= at);
    for (int i = 0; i < 3; i++) {
        wisp__writer to;
        wisp__reading r;
        uint8_t bytes[64];
        static const double rates[] = { 1e9, -60, 1e-9 };
        memset(bytes, 0, sizeof bytes);
        to = wisp__writer_on(bytes, (int)sizeof bytes - WISP__SLACK);
        f.rate = wisp__double_bits(rates[i]);
        wisp__frame_put_clock(&to, &f);
        memset(&r, 0, sizeof r);
        r.w = t.client;
        r.s = s;
        r.from = wisp__reader_on(bytes, (int)sizeof bytes - WISP__SLACK);
        CHECK_EQ_INT(wisp__frame_get(&r.from), WISP__FRAME_CLOCK);
        wisp__on_clock(&r);
        CHECK(r.broken != NULL);
    }
    CHECK(t.client->clock.rate > 59 && t.client->clock.rate < 61);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(ticks_are_the_time_of_their_endpoint),
    CASE(no_rate_no_ticks),
    CASE(an_end_that_joins_takes_over_its_servers_ticks),
    CASE(ticks_lead_those_of_the_server),
    CASE(a_clock_that_is_off_is_slewed_or_jumps),
    CASE(an_end_follows_the_first_server_that_it_has),
    CASE(hostile_clocks)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
