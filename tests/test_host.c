/* test_host.c - the endpoint as a whole: create, update, destroy, its link, its clock, its cost */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"
#include <math.h>
#ifdef WISP__WATCHED
#include <pthread.h>
#endif

/* --- create --- */

static wisp_desc plain_desc(wisp_pipe *pipe) {
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.link = wisp_loopback(pipe, 0);
    desc.seed = 1;
    return desc;
}

static void check_refused(const wisp_desc *desc, wisp_result expected) {
    wisp_result why = WISP_OK;
    wisp *w = wisp_create(desc, &why);
    CHECK(w == NULL);
    CHECK_EQ_INT(why, expected);
    CHECK(wisp_create(desc, NULL) == NULL);
    wisp_destroy(w);
}

static void check_taken(const wisp_desc *desc) {
    wisp_result why = WISP_E_ARGUMENT;
    wisp *w = wisp_create(desc, &why);
    CHECK(w != NULL);
    CHECK_EQ_INT(why, WISP_OK);
    wisp_destroy(w);
}

TEST(create_refuses_a_link_that_is_none) {
    wisp_pipe pipe;
    wisp_desc desc;
    memset(&pipe, 0, sizeof pipe);
    check_refused(NULL, WISP_E_ARGUMENT);
    desc = plain_desc(&pipe);
    check_taken(&desc);
    desc.link.send = NULL;
    check_refused(&desc, WISP_E_ARGUMENT);
    desc = plain_desc(&pipe);
    desc.link.recv = NULL;
    check_refused(&desc, WISP_E_ARGUMENT);
    wisp_pipe_free(&pipe);
}

TEST(create_checks_mtu_and_max_peers_at_their_edges) {
    static const int mtus[] = { -1, 1, 255, 65001 }, good_mtus[] = { 0, 256, 65000 };
    static const int peers[] = { -1, 16385 }, good_peers[] = { 0, 1, 16384 };
    wisp_pipe pipe;
    wisp_desc desc;
    memset(&pipe, 0, sizeof pipe);
    for (int i = 0; i < 4; i++) {
        desc = plain_desc(&pipe);
        desc.link.mtu = mtus[i];
        check_refused(&desc, WISP_E_ARGUMENT);
    }
    for (int i = 0; i < 3; i++) {
        desc = plain_desc(&pipe);
        desc.link.mtu = good_mtus[i];
        check_taken(&desc);
        desc = plain_desc(&pipe);
        desc.max_peers = good_peers[i];
        check_taken(&desc);
    }
    for (int i = 0; i < 2; i++) {
        desc = plain_desc(&pipe);
        desc.max_peers = peers[i];
        check_refused(&desc, WISP_E_ARGUMENT);
    }
    wisp_pipe_free(&pipe);
}

TEST(create_checks_app_timeout_and_memory) {
    wisp_pipe pipe;
    wisp_desc desc;
    char app[66];
    memset(&pipe, 0, sizeof pipe);
    memset(app, 'a', sizeof app);
    app[65] = 0;
    desc = plain_desc(&pipe);
    desc.app = app;
    check_refused(&desc, WISP_E_TOO_BIG);
    app[64] = 0;
    check_taken(&desc);
    desc = plain_desc(&pipe);
    desc.timeout = -1;
    check_refused(&desc, WISP_E_ARGUMENT);
    desc.timeout = (double)NAN;
    check_refused(&desc, WISP_E_ARGUMENT);
    desc.timeout = (double)INFINITY;
    check_refused(&desc, WISP_E_ARGUMENT);
    desc = plain_desc(&pipe);
    desc.joins = (wisp_joins)3;
    check_refused(&desc, WISP_E_ARGUMENT);
    desc.joins = WISP_JOINS_CLOSED;
    check_taken(&desc);
    desc = plain_desc(&pipe);
    desc.memory.alloc = ledger_alloc;
    check_refused(&desc, WISP_E_ARGUMENT);
    desc = plain_desc(&pipe);
    desc.memory.free = ledger_free;
    check_refused(&desc, WISP_E_ARGUMENT);
    wisp_pipe_free(&pipe);
}

TEST(create_refuses_each_negative_limit) {
    wisp_pipe pipe;
    int fields = (int)(sizeof(wisp_limits) / sizeof(int));
    memset(&pipe, 0, sizeof pipe);
    for (int i = 0; i < fields; i++) {
        wisp_desc desc = plain_desc(&pipe);
        int bad = -1;
        memcpy((char *)&desc.limits + (size_t)i * sizeof(int), &bad, sizeof bad);
        check_refused(&desc, WISP_E_ARGUMENT);
    }
    wisp_pipe_free(&pipe);
}

TEST(create_takes_the_least_and_the_largest_of_each_limit) {
    wisp_pipe pipe;
    int fields = (int)(sizeof(wisp_limits) / sizeof(int));
    memset(&pipe, 0, sizeof pipe);
    for (int i = 0; i < 2 * fields; i++) {
        wisp_desc desc = plain_desc(&pipe);
        int value = i < fields ? 1 : 0x7fffffff;
        memcpy((char *)&desc.limits + (size_t)(i % fields) * sizeof(int), &value, sizeof value);
        check_taken(&desc);
    }
    wisp_pipe_free(&pipe);
}

TEST(create_with_default_limits_takes_at_most_256_kib_and_destroy_gives_all_back) {
    wisp_pipe pipe;
    wisp_desc desc;
    wisp *w;
    ledger memory = ledger_none();
    wisp_total_stats stats;
    memset(&pipe, 0, sizeof pipe);
    desc = plain_desc(&pipe);
    desc.memory = ledger_memory(&memory);
    w = wisp_create(&desc, NULL);
    CHECK(w != NULL);
    CHECK(memory.out > 0 && memory.out <= 256 << 10);
    wisp_stats_total(w, &stats);
    CHECK_EQ_INT(stats.memory, memory.out);
    CHECK_EQ_INT(stats.memory_peak, memory.peak);
    CHECK_EQ_INT(stats.allocations, memory.taken);
    wisp_destroy(w);
    CHECK_EQ_INT(memory.out, 0);
    wisp_pipe_free(&pipe);
}

TEST(strings_of_the_desc_are_copied) {
    world_two t;
    char app[16] = "my-game";
    world_open(&t.w);
    t.w.desc.app = app;
    t.server = world_add(&t.w);
    strcpy(app, "your-game");
    t.w.desc.app = "my-game";
    t.client = world_add(&t.w);
    world_join(&t.w, t.client, t.server);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

/* --- entropy and seeds --- */

typedef struct entropy_source { int calls, size; bool fails; uint8_t fill; } entropy_source;

static bool give_entropy(void *user, void *out, int size) {
    entropy_source *source = (entropy_source *)user;
    source->calls++;
    source->size = size;
    memset(out, source->fill, (size_t)size);
    return !source->fails;
}

TEST(entropy_is_asked_for_without_a_seed_only) {
    wisp_pipe pipe;
    wisp_desc desc;
    entropy_source source;
    memset(&pipe, 0, sizeof pipe);
    memset(&source, 0, sizeof source);
    desc = plain_desc(&pipe);
    desc.entropy = give_entropy;
    desc.user = &source;
    check_taken(&desc);
    CHECK_EQ_INT(source.calls, 0);
    desc.seed = 0;
    check_taken(&desc);
    CHECK_EQ_INT(source.calls, 1);
    CHECK(source.size >= 16);
    wisp_pipe_free(&pipe);
}

TEST(entropy_that_fails_is_told_and_takes_no_memory) {
    wisp_pipe pipe;
    wisp_desc desc;
    entropy_source source;
    ledger memory = ledger_none();
    memset(&pipe, 0, sizeof pipe);
    memset(&source, 0, sizeof source);
    source.fails = true;
    desc = plain_desc(&pipe);
    desc.seed = 0;
    desc.entropy = give_entropy;
    desc.user = &source;
    desc.memory = ledger_memory(&memory);
    check_refused(&desc, WISP_E_ENTROPY);
    CHECK_EQ_INT(memory.out, 0);
    wisp_pipe_free(&pipe);
}

TEST(systems_entropy_differs_each_time) {
    wisp_pipe pipe;
    wisp_desc desc;
    wisp *a, *b;
    memset(&pipe, 0, sizeof pipe);
    desc = plain_desc(&pipe);
    desc.seed = 0;
    a = wisp_create(&desc, NULL);
    b = wisp_create(&desc, NULL);
    CHECK(a && b);
    if (a && b) CHECK(memcmp(&a->peers.secret, &b->peers.secret, sizeof a->peers.secret) != 0);
    wisp_destroy(a);
    wisp_destroy(b);
    wisp_pipe_free(&pipe);
}

/* Everything two endpoints sent in a busy, lossy second. */
static uint64_t hash_of_a_second(uint64_t seed) {
    world_two t;
    tap taps[2];
    uint64_t hash;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.loss = 0.1;
    t.w.net.latency = 0.02;
    t.w.net.jitter = 0.02;
    t.w.desc.seed = seed;
    t.server = world_add(&t.w);
    t.client = world_add(&t.w);
    tap_on(&taps[0], t.server);
    tap_on(&taps[1], t.client);
    t.to_server = world_join(&t.w, t.client, t.server);
    world_watch(&t.w, t.server, "n");
    for (int i = 0; i < 100; i++) {
        world_fire(t.client, "n", t.to_server, i * i);
        if (i % 3 == 0) world_fire(t.server, "m", world_peer(t.server, 0), i);
        world_step(&t.w);
    }
    hash = taps[0].hash ^ taps[1].hash * 3;
    CHECK(taps[0].packets > 20 && taps[1].packets > 50);
    world_close(&t.w);
    return hash;
}

TEST(same_seed_sends_the_same_packets_and_another_seed_others) {
    uint64_t first = hash_of_a_second(5);
    CHECK(first == hash_of_a_second(5));
    CHECK(first != hash_of_a_second(6));
}

/* --- the clock --- */

TEST(update_refuses_a_time_that_is_no_number) {
    world w;
    wisp *end;
    world_open(&w);
    end = world_add(&w);
    CHECK_EQ_INT(wisp_update(end, 5), WISP_OK);
    CHECK_EQ_INT(wisp_update(end, (double)NAN), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_update(end, (double)INFINITY), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_update(end, -(double)INFINITY), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_update(NULL, 1), WISP_E_ARGUMENT);
    CHECK_NEAR(wisp_now(end), 5, 0);
    world_close(&w);
}

TEST(clock_that_stands_still_still_delivers) {
    world_two t;
    world_two_open(&t);
    world_watch(&t.w, t.server, "n");
    world_run(&t.w, 0.5);
    t.w.step = 0;
    for (int i = 0; i < 50; i++) {
        world_fire(t.client, "n", t.to_server, i);
        world_step(&t.w);
        world_step(&t.w);
    }
    CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 50);
    CHECK_EQ_INT(world_total(t.server).clock_back, 0);
    world_close(&t.w);
}

TEST(clock_that_jumps_back_counts_as_standing_still) {
    world_two t;
    world_two_open(&t);
    world_watch(&t.w, t.server, "n");
    world_run(&t.w, 0.5);
    t.w.now -= 1000;
    for (int i = 0; i < 100; i++) {
        world_fire(t.client, "n", t.to_server, i);
        world_step(&t.w);
    }
    CHECK_NEAR(wisp_now(t.server), t.w.now, 1e-9);
    world_step(&t.w);
    CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 100);
    CHECK_EQ_INT(world_total(t.server).clock_back, 1);
    world_run(&t.w, 30);                               /* keepalives go on as well */
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

TEST(clock_that_leaps_an_hour_ends_no_session_whose_peer_still_speaks) {
    world_two t;
    world_two_open(&t);
    world_watch(&t.w, t.server, WISP_LEFT);
    world_watch(&t.w, t.client, WISP_LEFT);
    world_watch(&t.w, t.server, "n");
    for (int i = 0; i < 20; i++) {
        world_run(&t.w, 0.3);
        t.w.now += 3600;
        world_fire(t.client, "n", t.to_server, i);
        world_step(&t.w);
    }
    world_run(&t.w, 1);
    CHECK_EQ_INT(world_count(&t.w, NULL, WISP_LEFT), 0);
    CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 20);
    world_close(&t.w);
}

TEST(clock_from_any_start_is_the_same) {
    static const double starts[] = { -1e9, 0, 1e9, 1e12 };
    for (int i = 0; i < 4; i++) {
        world_two t;
        world_open(&t.w);
        t.w.now = starts[i];
        world_two_join(&t);
        world_watch(&t.w, t.server, "n");
        world_fire(t.client, "n", t.to_server, 1);
        world_run(&t.w, 20);
        CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 1);
        CHECK_EQ_INT(wisp_peers(t.client, NULL, 0), 1);
        world_close(&t.w);
    }
}

TEST(silence_ends_a_session_after_timeout_and_not_before) {
    world_two t;
    tap link;
    world_open(&t.w);
    t.w.desc.timeout = 4;
    world_two_join(&t);
    world_watch(&t.w, t.server, WISP_LEFT);
    world_run(&t.w, 10);
    tap_on(&link, t.client);
    link.keep = true;
    world_run(&t.w, 2.9);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_run(&t.w, 1.2);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_LEFT, WISP_E_TIMEOUT), 1);
    CHECK_EQ_INT(world_total(t.server).timeouts, 1);
    world_close(&t.w);
}

/* --- links that misbehave --- */

TEST(link_that_looks_at_one_packet_per_call_loses_nothing) {
    world_two t;
    tap link;
    world_two_open(&t);
    world_watch(&t.w, t.server, "n");
    wisp_set_batch_mode(t.client, "n", WISP_BATCH_NEVER);
    wisp_set_unreliable(t.client, "n", true);
    world_run(&t.w, 0.5);
    tap_on(&link, t.client);
    link.looks = 1;
    wisp_use_batching(t.client, true);
    wisp_set_batch_mode(t.client, "n", WISP_BATCH_UNRELIABLE);
    for (int round = 0; round < 20; round++) {
        char text[600];
        wisp_value value;
        value = wisp_string_n(text, (int)sizeof text);
        for (int i = 0; i < 4; i++) {
            memset(text, 'a' + i, sizeof text);
            wisp_fire_values(t.client, "n", wisp_to_peer(t.to_server), &value, 1);
        }
        world_run(&t.w, 0.1);
    }
    CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 80);
    CHECK(world_total(t.client).link_refusals > 0);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).packets_lost, 0);
    world_close(&t.w);
}

/* A server, two clients, and a tap on the server's link. */
typedef struct three {
    world     w;
    wisp     *server, *a, *b;
    wisp_peer to_a, to_b, from_a, from_b;
    tap       link;
} three;

static void three_open(three *t) {
    world_open(&t->w);
    t->server = world_add(&t->w);
    t->a = world_add(&t->w);
    t->b = world_add(&t->w);
    t->from_a = world_join(&t->w, t->a, t->server);
    t->to_a = world_peer(t->server, 0);
    t->from_b = world_join(&t->w, t->b, t->server);
    t->to_b = world_peer(t->server, 1);
    world_watch(&t->w, t->a, "n");
    world_watch(&t->w, t->b, "n");
    world_watch(&t->w, t->server, "up");
    world_watch(&t->w, t->server, WISP_LEFT);
    world_watch(&t->w, t->server, WISP_ERROR);
    world_run(&t->w, 0.5);
    tap_on(&t->link, t->server);
}

/* Packets that wait for the link while it takes none: few, though the peer sends on and is owed
   acks. After four seconds they are not sent, nor counted as lost; what was reliable in them is
   sent anew, and the round trip does not tell the pause. */
TEST(what_waits_for_a_link_that_takes_nothing_is_bounded_and_does_not_age) {
    three t;
    wisp_peer_stats stats;
    three_open(&t);
    t.link.stuck = world_addr(&t.w, t.a);
    t.link.stuck_status = WISP_E_AGAIN;
    for (int i = 0; i < 400; i++) {
        const wisp__session *s = wisp__session_of(t.server, t.to_a);
        int waiting = 0;
        world_fire(t.server, "n", t.to_a, i);
        world_fire(t.a, "up", t.from_a, i);
        world_step(&t.w);
        for (wisp__stuck *stuck = s->peer.stuck_first; stuck; stuck = stuck->next) {
            waiting++;
            CHECK(stuck->time > t.w.now - 0.3);
        }
        CHECK(waiting <= 32);
    }
    t.link.stuck_status = 0;
    world_run(&t.w, 2);
    stats = world_peer_stats(t.server, t.to_a);
    CHECK_EQ_INT(world_count(&t.w, t.a, "n"), 400);
    CHECK(world_counts_up(&t.w, t.a, "n", 0));
    CHECK_EQ_INT(world_count(&t.w, t.server, "up"), 400);
    CHECK_EQ_INT(stats.packets_lost, 0);
    CHECK(stats.rtt < 0.3);
    world_close(&t.w);
}

TEST(link_that_is_busy_for_one_peer_does_not_block_the_other_and_loses_nothing) {
    three t;
    three_open(&t);
    t.link.stuck = world_addr(&t.w, t.a);
    t.link.stuck_status = WISP_E_AGAIN;
    for (int i = 0; i < 100; i++) {
        world_fire(t.server, "n", t.to_a, i);
        world_fire(t.server, "n", t.to_b, i);
        world_step(&t.w);
    }
    CHECK_EQ_INT(world_count(&t.w, t.a, "n"), 0);
    CHECK(world_count(&t.w, t.b, "n") >= 99);
    CHECK(world_total(t.server).link_refusals > 0);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), 0);
    t.link.stuck_status = 0;
    world_run(&t.w, 2);
    CHECK_EQ_INT(world_count(&t.w, t.a, "n"), 100);
    CHECK(world_counts_up(&t.w, t.a, "n", 0));
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 2);
    world_close(&t.w);
}

TEST(link_that_closes_one_peer_ends_that_session_alone) {
    three t;
    three_open(&t);
    t.link.stuck = world_addr(&t.w, t.a);
    t.link.stuck_status = WISP_E_CLOSED;
    world_fire(t.server, "n", t.to_a, 1);
    world_fire(t.server, "n", t.to_b, 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_LEFT, WISP_E_CLOSED), 1);
    CHECK(wisp_peer_equal(world_last(&t.w, t.server, WISP_LEFT)->peer, t.to_a));
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    CHECK_EQ_INT(world_count(&t.w, t.b, "n"), 1);
    world_close(&t.w);
}

TEST(link_that_closes_a_peer_ends_the_session_even_if_its_packets_still_come) {
    three t;
    three_open(&t);
    t.link.stuck = world_addr(&t.w, t.a);
    t.link.stuck_status = WISP_E_CLOSED;
    world_fire(t.server, "n", t.to_a, 1);
    for (int i = 0; i < 100; i++) {
        world_fire(t.a, "up", t.from_a, i);
        wisp_flush_batches(t.a);
        world_step(&t.w);
    }
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_LEFT, WISP_E_CLOSED), 1);
    world_close(&t.w);
}

TEST(link_that_fails_for_a_while_is_told_once_and_nothing_reliable_is_lost) {
    three t;
    int broken = 0;
    three_open(&t);
    for (int streak = 0; streak < 3; streak++) {
        t.link.send_fails = -1;
        for (int i = 0; i < 20; i++) {
            world_fire(t.server, "n", t.to_a, streak * 20 + i);
            t.w.now += t.w.step;
            broken += world_update(&t.w, 0) == WISP_E_LINK;
        }
        t.link.send_fails = 0;
        world_run(&t.w, 1);
        CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_LINK), streak + 1);
    }
    CHECK_EQ_INT(broken, 60);
    CHECK(world_total(t.server).link_failures >= 60);
    CHECK_EQ_INT(world_count(&t.w, t.a, "n"), 60);
    CHECK(world_counts_up(&t.w, t.a, "n", 0));
    CHECK_EQ_INT(wisp_update(t.server, t.w.now), WISP_OK);
    world_close(&t.w);
}

TEST(link_that_cannot_receive_is_told_once_and_ends_in_timeouts) {
    three t;
    three_open(&t);
    t.link.recv_fails = -1;
    t.w.now += t.w.step;
    CHECK_EQ_INT(world_update(&t.w, 0), WISP_E_LINK);
    world_run(&t.w, 25);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_LINK), 1);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_LEFT, WISP_E_TIMEOUT), 2);
    world_close(&t.w);
}

/* Between two attempts to send there are updates that send nothing: the link has not mended. */
TEST(link_that_never_sends_is_told_once_while_joining) {
    world w;
    wisp *end;
    tap link;
    wisp_addr addr = wisp_loopback_addr(9);
    world_open(&w);
    end = world_add(&w);
    world_watch(&w, end, WISP_ERROR);
    world_watch(&w, end, WISP_LEFT);
    tap_on(&link, end);
    link.send_fails = -1;
    CHECK(wisp_join(end, &addr, NULL, 0).id != 0);
    world_run(&w, 32);
    CHECK_EQ_INT(world_results(&w, end, WISP_LEFT, WISP_E_TIMEOUT), 1);
    CHECK_EQ_INT(world_results(&w, end, WISP_ERROR, WISP_E_LINK), 1);
    world_close(&w);
}

static int recv_too_many(void *user, wisp_packet *packets, int count) {
    int *left = (int *)user;
    if ((*left)-- <= 0) return 0;
    for (int i = 0; i < count; i++) packets[i].size = -5;
    return count + 1000;
}

static int send_nothing(void *user, wisp_packet *packets, int count) {
    (void)user;
    (void)packets;
    return count;
}

TEST(link_that_says_it_filled_more_than_there_is_does_no_harm) {
    wisp_desc desc;
    wisp *end;
    wisp_total_stats stats;
    int left = 3;
    memset(&desc, 0, sizeof desc);
    desc.seed = 1;
    desc.link.send = send_nothing;
    desc.link.recv = recv_too_many;
    desc.link.user = &left;
    end = wisp_create(&desc, NULL);
    CHECK_EQ_INT(wisp_update(end, 0), WISP_OK);
    wisp_stats_total(end, &stats);
    CHECK_EQ_INT(stats.packets_empty, stats.packets_received);
    CHECK(stats.packets_received > 0);
    wisp_destroy(end);
}

TEST(one_update_takes_no_more_packets_than_its_limit) {
    wisp_desc desc;
    wisp *end;
    wisp_total_stats stats;
    int left = 1000000;
    memset(&desc, 0, sizeof desc);
    desc.seed = 1;
    desc.link.send = send_nothing;
    desc.link.recv = recv_too_many;
    desc.link.user = &left;
    desc.limits.update_packets = 100;
    end = wisp_create(&desc, NULL);
    CHECK_EQ_INT(wisp_update(end, 0), WISP_OK);
    wisp_stats_total(end, &stats);
    CHECK_EQ_INT(stats.packets_received, 100);
    wisp_destroy(end);
}

/* --- what may be called in a handler --- */

typedef struct host_inside {
    world_two   t;
    int         ran;
    wisp_result results[8];
    wisp_connection own;
    wisp_peer   peer;
    wisp_call   call;
} host_inside;

static host_inside *inside_open(void) {
    host_inside *in = (host_inside *)calloc(1, sizeof *in);
    world_two_open(&in->t);
    world_watch(&in->t.w, in->t.client, "back");
    world_watch(&in->t.w, in->t.client, WISP_LEFT);
    world_run(&in->t.w, 0.2);
    return in;
}

static void inside_close(host_inside *in) {
    world_close(&in->t.w);
    free(in);
}

static double clock_of_zero(void *user) {
    (void)user;
    return 0;
}

static void do_update(wisp_event *event) {
    host_inside *in = (host_inside *)event->user;
    in->ran++;
    in->results[0] = wisp_update(event->w, event->time);
    in->results[1] = wisp_await_ready(event->w, clock_of_zero, NULL, 1);
    in->results[2] = wisp_await_event(event->w, "x", NULL, NULL, clock_of_zero, NULL, 1);
    in->results[3] = wisp_await_reply(event->w, in->call, NULL, NULL, clock_of_zero, NULL);
}

static void do_destroy(wisp_event *event) {
    host_inside *in = (host_inside *)event->user;
    in->ran++;
    wisp_destroy(event->w);
    wisp_destroy(event->w);
}

static void do_leave(wisp_event *event) {
    host_inside *in = (host_inside *)event->user;
    wisp_value value = wisp_int(1);
    in->ran++;
    wisp_leave(event->w, in->peer, "inside");
    wisp_leave(event->w, in->peer, "twice");
    in->results[0] = wisp_fire_values(event->w, "back", wisp_to_peer(in->peer), &value, 1);
    in->results[1] = wisp_set_peer_user(event->w, in->peer, in);
}

static void do_fire(wisp_event *event) {
    host_inside *in = (host_inside *)event->user;
    wisp_value value = wisp_int(++in->ran);
    in->results[0] = wisp_fire_values(event->w, "back", wisp_to_all(), &value, 1);
    in->results[1] = wisp_flush_batches(event->w);
}

static void do_disconnect(wisp_event *event) {
    host_inside *in = (host_inside *)event->user;
    in->ran++;
    wisp_disconnect(event->w, in->own);
    wisp_disconnect(event->w, in->own);
}

/* The ways a handler comes to run, each on the server. */
enum { BY_EVENT, BY_JOINED, BY_LEFT, BY_ERROR, BY_INVOKE, BY_REPLY, BY_CANCEL, BY_WAYS };

static void on_question(wisp_event *event) {
    wisp_value value = wisp_int(1);
    wisp_reply_values(event, &value, 1);
}

static void inside_connect(host_inside *in, int way, wisp_handler fn) {
    static const char *const names[] = { "go", WISP_JOINED, WISP_LEFT, WISP_ERROR };
    if (way <= BY_ERROR)
        in->own = wisp_connect_target(in->t.server, wisp_by_name(names[way]), fn, in, false);
    else if (way == BY_INVOKE)
        wisp_on_invoke_target(in->t.server, wisp_by_name("ask"), fn, in);
    wisp_on_invoke_target(in->t.client, wisp_by_name("question"), on_question, NULL);
    wisp_remote_named(in->t.server, "question");
    world_run(&in->t.w, 0.2);
}

static void inside_trigger(host_inside *in, int way, wisp_handler fn) {
    wisp_call_desc desc;
    wisp_addr server = world_addr(&in->t.w, in->t.server);
    memset(&desc, 0, sizeof desc);
    desc.on_reply = fn;
    desc.user = in;
    if (way == BY_EVENT) world_fire(in->t.client, "go", in->t.to_server, 1);
    if (way == BY_JOINED) wisp_join(world_add(&in->t.w), &server, NULL, 0);
    if (way == BY_LEFT) wisp_leave(in->t.client, in->t.to_server, "");
    if (way == BY_ERROR) world_fire(in->t.client, "unknown", in->t.to_server, 1);
    if (way == BY_INVOKE)
        wisp_invoke_values(in->t.client, "ask", wisp_to_peer(in->t.to_server), NULL, NULL, 0);
    if (way >= BY_REPLY)
        in->call = wisp_invoke_values(in->t.server, "question", wisp_to_peer(in->t.to_client),
                                      &desc, NULL, 0);
    if (way == BY_CANCEL) wisp_cancel(in->t.server, in->call);
}

/* Runs `fn` on the server in one of the ways. */
static host_inside *inside_run(int way, wisp_handler fn) {
    host_inside *in = inside_open();
    in->peer = in->t.to_client;
    inside_connect(in, way, fn);
    inside_trigger(in, way, fn);
    world_run(&in->t.w, 1);
    CHECK(in->ran >= 1);
    return in;
}

TEST(update_and_await_in_any_handler_are_refused) {
    for (int way = 0; way < BY_WAYS; way++) {
        host_inside *in = inside_run(way, do_update);
        for (int i = 0; i < 4; i++) CHECK_EQ_INT(in->results[i], WISP_E_BUSY);
        inside_close(in);
    }
}

TEST(destroy_in_any_handler_takes_effect_when_the_update_ends) {
    for (int way = 0; way < BY_WAYS; way++) {
        host_inside *in = inside_open();
        wisp_result result = WISP_OK;
        in->peer = in->t.to_client;
        inside_connect(in, way, do_destroy);
        inside_trigger(in, way, do_destroy);
        for (int i = 0; i < 100 && result == WISP_OK; i++) {
            in->t.w.now += 0.01;
            result = world_update(&in->t.w, 0);
            world_update(&in->t.w, 1);
            if (in->t.w.count > 2) world_update(&in->t.w, 2);
        }
        CHECK_EQ_INT(result, WISP_E_CLOSED);
        CHECK_EQ_INT(in->ran, 1);
        world_run(&in->t.w, 0.5);
        CHECK_EQ_INT(wisp_peers(in->t.client, NULL, 0), 0);
        inside_close(in);
    }
}

TEST(leave_in_any_handler_takes_effect_at_once) {
    for (int way = 0; way < BY_WAYS; way++) {
        host_inside *in = inside_run(way, do_leave);
        CHECK_EQ_INT(in->results[0], WISP_E_STALE);
        CHECK_EQ_INT(in->results[1], WISP_E_STALE);
        CHECK_EQ_INT(world_count(&in->t.w, in->t.client, WISP_LEFT), 1);
        if (way != BY_LEFT)
            CHECK_EQ_STR(world_last(&in->t.w, in->t.client, WISP_LEFT)->text, "inside");
        CHECK_EQ_INT(world_count(&in->t.w, in->t.client, "back"), 0);
        inside_close(in);
    }
}

TEST(fire_and_flush_in_any_handler_are_done) {
    for (int way = 0; way < BY_WAYS; way++) {
        host_inside *in = inside_run(way, do_fire);
        CHECK_EQ_INT(in->results[0], WISP_OK);
        CHECK_EQ_INT(in->results[1], WISP_OK);
        if (way != BY_LEFT) CHECK_EQ_INT(world_count(&in->t.w, in->t.client, "back"), in->ran);
        inside_close(in);
    }
}

TEST(disconnect_in_its_own_handler_is_done) {
    for (int way = 0; way <= BY_ERROR; way++) {
        host_inside *in = inside_run(way, do_disconnect);
        int ran = in->ran;
        CHECK_EQ_INT(ran, 1);
        if (way == BY_LEFT) in->t.to_server = world_join(&in->t.w, in->t.client, in->t.server);
        inside_trigger(in, way, do_disconnect);
        world_run(&in->t.w, 0.5);
        CHECK_EQ_INT(in->ran, ran);
        inside_close(in);
    }
}

/* --- destroy --- */

typedef struct ending { int ran; wisp_result result; wisp_addr addr; bool joins; } ending;

static void on_end(wisp_event *event) {
    ending *end = (ending *)event->user;
    wisp_peer peer;
    end->ran++;
    end->result = event->result;
    if (!end->joins) return;
    peer = wisp_join(event->w, &end->addr, "a ticket", 8);
    wisp_fire_values(event->w, "n", wisp_to_peer(peer), NULL, 0);
    wisp_invoke_values(event->w, "n", wisp_to_peer(peer), NULL, NULL, 0);
    wisp_connect_target(event->w, wisp_by_name("n"), on_end, end, false);
    wisp_destroy(event->w);
}

static void run_ending(ending *end, ledger *memory) {
    world_two t;
    wisp_call_desc desc;
    world_open(&t.w);
    t.w.desc.memory = ledger_memory(memory);
    world_two_join(&t);
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_end;
    desc.user = end;
    end->addr = world_addr(&t.w, t.server);
    for (int i = 0; i < 3; i++)
        wisp_invoke_values(t.client, "q", wisp_to_peer(t.to_server), &desc, NULL, 0);
    world_destroy(&t.w, t.client);
    CHECK_EQ_INT(end->ran, 3);
    CHECK_EQ_INT(end->result, WISP_E_CLOSED);
    world_close(&t.w);
    CHECK_EQ_INT(memory->out, 0);
}

TEST(destroying_a_host_ends_calls_through_their_handlers) {
    ending end;
    ledger memory = ledger_none();
    memset(&end, 0, sizeof end);
    run_ending(&end, &memory);
}

TEST(handlers_that_run_in_destroy_may_call_everything) {
    ending end;
    ledger memory = ledger_none();
    memset(&end, 0, sizeof end);
    end.joins = true;
    run_ending(&end, &memory);
}

TEST(destroy_says_goodbye_to_every_peer_and_sends_what_waits) {
    three t;
    three_open(&t);
    world_watch(&t.w, t.a, WISP_LEFT);
    world_watch(&t.w, t.b, WISP_LEFT);
    world_fire(t.server, "n", t.to_a, 9);
    world_destroy(&t.w, t.server);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_results(&t.w, t.a, WISP_LEFT, WISP_OK), 1);
    CHECK_EQ_INT(world_results(&t.w, t.b, WISP_LEFT, WISP_OK), 1);
    CHECK_EQ_INT(world_last(&t.w, t.a, "n")->number, 9);
    world_close(&t.w);
}

/* What a handler of WISP_LEFT sees, and tries, while its endpoint is destroyed. */
typedef struct farewell { int left[4], refused, bad; wisp_addr addr; } farewell;

static double farewell_clock(void *user) { return *(double *)user += 1; }

static void farewell_left(wisp_event *event) {
    farewell *f = (farewell *)event->user;
    const int *who = (const int *)wisp_peer_user(event->w, event->peer);
    double clock = 0;
    wisp_to peer = wisp_to_peer(event->peer);
    f->left[who ? *who : 3]++;
    f->bad += event->result != WISP_OK || strcmp(event->text, "closed") != 0 ||
              !wisp_peer_addr(event->w, event->peer);
    f->refused += wisp_update(event->w, 1e6) == WISP_E_BUSY;
    f->refused += wisp_join(event->w, &f->addr, NULL, 0).id == 0 &&
                  wisp_why(event->w) == WISP_E_CLOSED;
    f->refused += wisp_fire_values(event->w, "n", peer, NULL, 0) < 0;
    f->refused += wisp_invoke_values(event->w, "n", peer, NULL, NULL, 0).id == 0;
    f->refused += wisp_query(event->w, &f->addr, farewell_left, f) == WISP_E_CLOSED;
    f->refused += wisp_leave_with(event->w, event->peer, WISP_OK, "") == WISP_E_STALE;
    f->refused += wisp_drain(event->w, event->peer, "", 1) == WISP_E_STALE;
    f->refused += wisp_await_ready(event->w, farewell_clock, &clock, 1) == WISP_E_BUSY;
    f->refused += wisp_peers(event->w, NULL, 0) == 0;
    wisp_fire_values(event->w, "n", wisp_to_all(), NULL, 0);
    wisp_connect_target(event->w, wisp_by_name("n"), farewell_left, f, false);
    wisp_destroy(event->w);
}

static void farewell_end(wisp_event *event) { wisp_destroy(event->w); }

/* Two have joined the server, which is just joining somebody else. */
static void farewell_run(bool inside) {
    static int numbers[2] = { 0, 1 };
    farewell f;
    three t;
    memset(&f, 0, sizeof f);
    three_open(&t);
    f.addr = wisp_loopback_addr(9);
    wisp_set_peer_user(t.server, t.to_a, &numbers[0]);
    wisp_set_peer_user(t.server, t.to_b, &numbers[1]);
    wisp_join(t.server, &f.addr, NULL, 0);
    wisp_connect_target(t.server, wisp_by_name(WISP_LEFT), farewell_left, &f, false);
    if (inside) {
        wisp_connect_target(t.server, wisp_by_name("end"), farewell_end, NULL, false);
        world_fire(t.a, "end", WISP_SERVER, 1);
        t.w.ends[world_index(&t.w, t.server)] = NULL;
        for (int i = 0; i < 4; i++) {
            t.w.now += t.w.step;
            wisp_update(t.a, t.w.now);
            if (wisp_update(t.server, t.w.now) == WISP_E_CLOSED) break;
        }
    } else {
        world_destroy(&t.w, t.server);
    }
    CHECK_EQ_INT(f.left[0], 1);
    CHECK_EQ_INT(f.left[1], 1);
    CHECK_EQ_INT(f.left[3], 1);
    CHECK_EQ_INT(f.refused, 3 * 9);
    CHECK_EQ_INT(f.bad, 0);
    world_close(&t.w);
}

TEST(destroy_tells_left_of_every_peer_and_nothing_begins_meanwhile) {
    farewell_run(false);
    farewell_run(true);
}

TEST(destroy_at_any_moment_of_a_join_and_of_traffic_gives_all_memory_back) {
    for (int moment = 0; moment < 40; moment++) {
        world_two t;
        ledger memory = ledger_none();
        wisp_addr addr;
        world_open(&t.w);
        t.w.desc.memory = ledger_memory(&memory);
        t.server = world_add(&t.w);
        t.client = world_add(&t.w);
        addr = world_addr(&t.w, t.server);
        t.to_server = wisp_join(t.client, &addr, "ticket", 6);
        for (int i = 0; i < 200; i++) world_fire(t.client, "n", t.to_server, i);
        for (int i = 0; i < moment / 2; i++) {
            world_step(&t.w);
            world_fire(t.client, "n", t.to_server, i);
        }
        if (moment & 1) wisp_leave(t.client, t.to_server, "now");
        world_close(&t.w);
        CHECK_EQ_INT(memory.out, 0);
    }
    wisp_destroy(NULL);
}

/* --- several endpoints, both ways, reliable links --- */

TEST(endpoints_in_one_process_share_nothing) {
    world w;
    wisp *servers[3], *clients[3];
    world_open(&w);
    for (int i = 0; i < 3; i++) {
        servers[i] = world_add(&w);
        clients[i] = world_add(&w);
        world_join(&w, clients[i], servers[i]);
        world_watch(&w, servers[i], "n");
    }
    for (int i = 0; i < 3; i++) world_fire(clients[i], "n", WISP_SERVER, 100 + i);
    world_run(&w, 0.2);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ_INT(world_count(&w, servers[i], "n"), 1);
        CHECK_EQ_INT(world_last(&w, servers[i], "n")->number, 100 + i);
    }
    world_destroy(&w, servers[1]);
    world_fire(clients[2], "n", WISP_SERVER, 5);
    world_run(&w, 0.2);
    CHECK_EQ_INT(wisp_peers(clients[1], NULL, 0), 0);
    CHECK_EQ_INT(world_last(&w, servers[2], "n")->number, 5);
    world_close(&w);
}

TEST(an_endpoint_both_listens_and_joins) {
    world w;
    wisp *chain[4];
    world_open(&w);
    w.desc.joins = WISP_JOINS_OPEN;
    for (int i = 0; i < 4; i++) {
        chain[i] = world_add(&w);
        world_watch(&w, chain[i], "n");
        if (i) world_join(&w, chain[i], chain[i - 1]);
    }
    world_run(&w, 0.2);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ_INT(wisp_peers(chain[i], NULL, 0), i == 0 || i == 3 ? 1 : 2);
        CHECK_EQ_INT(world_fire(chain[i], "n", WISP_SERVER, i), i ? WISP_OK : WISP_E_STALE);
    }
    world_run(&w, 0.2);
    for (int i = 0; i < 3; i++) CHECK_EQ_INT(world_last(&w, chain[i], "n")->number, i + 1);
    CHECK_EQ_INT(world_count(&w, chain[3], "n"), 0);
    world_close(&w);
}

TEST(refuse_joins_lets_nobody_in_but_joins_others) {
    world w;
    wisp *server, *client, *third;
    wisp_addr addr;
    world_open(&w);
    server = world_add(&w);
    w.desc.refuse_joins = true;
    client = world_add(&w);
    world_join(&w, client, server);
    w.desc.refuse_joins = false;
    third = world_add(&w);
    addr = world_addr(&w, client);
    world_watch(&w, third, WISP_LEFT);
    wisp_join(third, &addr, NULL, 0);
    world_run(&w, 0.2);
    CHECK_EQ_INT(world_results(&w, third, WISP_LEFT, WISP_E_REFUSED), 1);
    CHECK_EQ_INT(wisp_peers(client, NULL, 0), 1);
    world_close(&w);
}

TEST(reliable_link_carries_all_in_order_and_sends_no_acks) {
    world_two t;
    tap link;
    char *large = (char *)calloc(1, 200000);
    wisp_value value = wisp_string_n(large, 200000);
    world_open(&t.w);
    t.w.pipe.reliable = true;
    t.w.pipe.capacity = 5000;                       /* so that it often says AGAIN */
    world_two_join(&t);
    world_watch(&t.w, t.server, "n");
    world_watch(&t.w, t.server, "large");
    world_run(&t.w, 0.2);
    tap_on(&link, t.server);
    for (int i = 0; i < 3000; i++) world_fire(t.client, "n", t.to_server, i);
    wisp_fire_values(t.client, "large", wisp_to_peer(t.to_server), &value, 1);
    for (int i = 3000; i < 3100; i++) world_fire(t.client, "n", t.to_server, i);
    world_run(&t.w, 2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "n"), 3100);
    CHECK(world_counts_up(&t.w, t.server, "n", 0));
    CHECK_EQ_INT(world_count(&t.w, t.server, "large"), 1);
    CHECK(link.packets <= 2);                        /* BOUND for the two names, a ping */
    CHECK(world_total(t.client).link_refusals > 0);
    CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).messages_resent, 0);
    world_close(&t.w);
    free(large);
}

TEST(reliable_link_on_one_side_only_is_refused) {
    world w;
    wisp *server, *client;
    wisp_addr addr;
    world_open(&w);
    server = world_add(&w);
    w.pipe.reliable = true;
    client = world_add(&w);
    addr = world_addr(&w, server);
    world_watch(&w, client, WISP_LEFT);
    wisp_join(client, &addr, NULL, 0);
    world_run(&w, 0.5);
    CHECK_EQ_INT(world_results(&w, client, WISP_LEFT, WISP_E_LINK_KIND), 1);
    CHECK_EQ_INT(wisp_peers(server, NULL, 0), 0);
    world_close(&w);
}

/* --- what an idle peer costs --- */

enum { HOST_CROWD = 100 };

typedef struct host_crowd {
    wisp_pipe pipe;
    wisp     *server, *clients[HOST_CROWD];
    ledger    memory;                  /* the server's */
    double    now;
} host_crowd;

static void host_crowd_run(host_crowd *c, int steps) {
    for (int i = 0; i < steps; i++) {
        c->now += 0.02;
        wisp_update(c->server, c->now);
        for (int k = 0; k < HOST_CROWD; k++)
            if (c->clients[k]) wisp_update(c->clients[k], c->now);
    }
}

static void crowd_names(wisp *end, int names) {
    char name[32];
    for (int i = 0; i < names; i++) {
        snprintf(name, sizeof name, "remote-%d", i);
        wisp_remote_named(end, name);
    }
}

static void host_crowd_open(host_crowd *c, int names) {
    wisp_desc desc;
    wisp_addr addr = wisp_loopback_addr(0);
    memset(c, 0, sizeof *c);
    desc = plain_desc(&c->pipe);
    desc.max_peers = HOST_CROWD;
    desc.memory = ledger_memory(&c->memory);
    c->server = wisp_create(&desc, NULL);
    crowd_names(c->server, names);
    for (int i = 0; i < HOST_CROWD; i++) {
        desc = plain_desc(&c->pipe);
        desc.link = wisp_loopback(&c->pipe, i + 1);
        desc.seed = (uint64_t)i + 2;
        desc.max_peers = 1;
        c->clients[i] = wisp_create(&desc, NULL);
        crowd_names(c->clients[i], names);
    }
    host_crowd_run(c, 5);
    for (int i = 0; i < HOST_CROWD; i++) wisp_join(c->clients[i], &addr, NULL, 0);
}

static void host_crowd_close(host_crowd *c) {
    wisp_destroy(c->server);
    for (int i = 0; i < HOST_CROWD; i++) wisp_destroy(c->clients[i]);
    wisp_pipe_free(&c->pipe);
}

TEST(an_idle_peer_with_16_names_each_way_takes_at_most_4_kib) {
    host_crowd *c = (host_crowd *)calloc(1, sizeof *c);
    wisp_peer peers[HOST_CROWD];
    wisp_peer_stats stats;
    int64_t before;
    host_crowd_open(c, 16);
    before = c->memory.out;
    host_crowd_run(c, 200);
    CHECK_EQ_INT(wisp_peers(c->server, peers, HOST_CROWD), HOST_CROWD);
    for (int i = 0; i < 10; i++) {
        wisp_stats_peer(c->server, peers[i * 10], &stats);
        CHECK(stats.memory > 1000 && stats.memory <= 4096);
        if (stats.memory > 4096) printf("  %d bytes by its counters\n", stats.memory);
    }
    CHECK((c->memory.out - before) / HOST_CROWD <= 4096);
    if ((c->memory.out - before) / HOST_CROWD > 4096)
        printf("  %d bytes from the allocator\n", (int)((c->memory.out - before) / HOST_CROWD));
    host_crowd_close(c);
    free(c);
}

/* All sessions are overwritten while an update runs that has nothing to do for them. */
static void check_untouched(host_crowd *c, wisp__timer *sooner) {
    wisp__pool *pool = &c->server->peers.pool;
    size_t bytes = pool->item_bytes * (size_t)pool->block_items;
    int blocks = (pool->made + pool->block_items - 1) / pool->block_items;
    uint8_t *saved = (uint8_t *)malloc(bytes * (size_t)blocks);
    wisp__timers_set(&c->server->peers.timers, sooner, c->server->base.time + 0.5);
    for (int i = 0; i < blocks; i++) {
        memcpy(saved + bytes * (size_t)i, pool->blocks[i], bytes);
        memset(pool->blocks[i], 0xff, bytes);
    }
    CHECK_EQ_INT(wisp_update(c->server, c->now + 0.001), WISP_OK);
    for (int i = 0; i < blocks; i++) {
        const uint8_t *block = (const uint8_t *)pool->blocks[i];
        size_t same = 0;
        while (same < bytes && block[same] == 0xff) same++;
        CHECK_EQ_INT(same, bytes);
        memcpy(pool->blocks[i], saved + bytes * (size_t)i, bytes);
    }
    wisp__timers_stop(&c->server->peers.timers, sooner);
    free(saved);
}

TEST(an_update_without_work_touches_no_peer) {
    host_crowd *c = (host_crowd *)calloc(1, sizeof *c);
    wisp__timer sooner;
    host_crowd_open(c, 16);
    host_crowd_run(c, 200);
    CHECK_EQ_INT(wisp_peers(c->server, NULL, 0), HOST_CROWD);
    CHECK(c->server->peers.dirty == NULL);
    memset(&sooner, 0, sizeof sooner);
    c->server->peers.timers.owners++;
    CHECK_EQ_INT(wisp__timers_reserve(&c->server->base, &c->server->peers.timers), WISP_OK);
    check_untouched(c, &sooner);
    c->server->peers.timers.owners--;
    host_crowd_run(c, 50);
    CHECK_EQ_INT(wisp_peers(c->server, NULL, 0), HOST_CROWD);
    host_crowd_close(c);
    free(c);
}

TEST(idle_peers_send_keepalives_and_nothing_else) {
    host_crowd *c = (host_crowd *)calloc(1, sizeof *c);
    wisp_total_stats before, after;
    host_crowd_open(c, 2);
    host_crowd_run(c, 200);
    wisp_stats_total(c->server, &before);
    host_crowd_run(c, 1000);                              /* 20 seconds, a ping each 2.5 */
    wisp_stats_total(c->server, &after);
    CHECK((after.packets_sent - before.packets_sent) / HOST_CROWD <= 20);
    CHECK_EQ_INT(after.allocations, before.allocations);
    CHECK_EQ_INT(wisp_peers(c->server, NULL, 0), HOST_CROWD);
    host_crowd_close(c);
    free(c);
}

/* --- values at their edges, all the way through --- */

typedef struct got { int count, runs; bool right; wisp_value *expected; } got;

static void on_values(wisp_event *event) {
    got *g = (got *)event->user;
    g->runs++;
    g->count = event->count;
    g->right = true;
    for (int i = 0; i < event->count; i++)
        g->right = g->right && wisp_equal(&event->args[i], &g->expected[i]) &&
                   event->args[i].kind == g->expected[i].kind;
}

static void check_values(wisp_value *values, int count) {
    world_two t;
    got g;
    memset(&g, 0, sizeof g);
    world_two_open(&t);
    g.expected = values;
    wisp_connect_target(t.server, wisp_by_name("v"), on_values, &g, false);
    for (int i = 0; i < 2; i++) {                    /* before and after the name is bound */
        CHECK_EQ_INT(wisp_fire_values(t.client, "v", wisp_to_peer(t.to_server), values, count), 0);
        world_run(&t.w, 5);
        CHECK_EQ_INT(g.runs, i + 1);
        CHECK_EQ_INT(g.count, count);
        CHECK(g.right);
    }
    world_close(&t.w);
}

TEST(zero_one_sixteen_and_a_thousand_values_come_through) {
    static const int counts[] = { 0, 1, 16, 17, 1000 };
    wisp_value *values = (wisp_value *)malloc(1000 * sizeof *values);
    for (int i = 0; i < 1000; i++) values[i] = i % 3 ? wisp_int(i - 500) : wisp_string("x\0y");
    for (int i = 0; i < 5; i++) check_values(values, counts[i]);
    free(values);
}

TEST(strings_empty_with_nul_and_of_a_mebibyte_come_through) {
    int size = (1 << 20) - 16;
    char *text = (char *)malloc((size_t)size);
    wisp_value value;
    for (int i = 0; i < size; i++) text[i] = (char)(i * 7 % 251);
    value = wisp_string("");
    check_values(&value, 1);
    value = wisp_string_n("a\0b\0", 4);
    check_values(&value, 1);
    value = wisp_bytes(text, 0);
    check_values(&value, 1);
    value = wisp_bytes(text, size);
    check_values(&value, 1);
    value = wisp_string_n(text, size);
    check_values(&value, 1);
    free(text);
}

TEST(a_string_beyond_the_limit_is_refused_at_the_call_and_the_rest_goes_on) {
    world_two t;
    int size = (1 << 20) + 1;
    char *text = (char *)calloc(1, (size_t)size);
    wisp_value value = wisp_string_n(text, size);
    world_two_open(&t);
    world_watch(&t.w, t.server, "v");
    CHECK_EQ_INT(wisp_fire_values(t.client, "v", wisp_to_peer(t.to_server), &value, 1),
                 WISP_E_TOO_BIG);
    CHECK_EQ_INT(world_fire(t.client, "v", t.to_server, 3), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "v"), 1);
    CHECK_EQ_INT(world_last(&t.w, t.server, "v")->number, 3);
    world_close(&t.w);
    free(text);
}

/* --- steady state --- */

static void on_ignored(wisp_event *event) { (void)event; }

typedef struct busy { world w; wisp *server, *clients[32]; wisp_peer to_server[32]; } busy;

static void busy_step(busy *b, int step) {
    for (int i = 0; i < 32; i++) {
        if ((step + i) % 4 == 0) world_fire(b->clients[i], "up", b->to_server[i], step);
        if ((step + i) % 2 == 0) world_fire(b->clients[i], "fast", b->to_server[i], step);
    }
    if (step % 3 == 0) {
        wisp_value values[2];
        values[0] = wisp_vec3v((float)step, 1, 2);
        values[1] = wisp_string("somewhere");
        wisp_fire_values(b->server, "down", wisp_to_all(), values, 2);
    }
    if (step % 16 == 0)
        wisp_invoke_values(b->clients[step / 16 % 32], "ask",
                           wisp_to_peer(b->to_server[step / 16 % 32]), NULL, NULL, 0);
    world_step(&b->w);
}

static void host_busy_open(busy *b) {
    memset(b, 0, sizeof *b);
    world_open(&b->w);
    b->w.unchecked = true;
    b->server = world_add(&b->w);
    wisp_connect_target(b->server, wisp_by_name("up"), on_ignored, NULL, false);
    wisp_connect_target(b->server, wisp_by_name("fast"), on_ignored, NULL, false);
    wisp_on_invoke_target(b->server, wisp_by_name("ask"), on_question, NULL);
    for (int i = 0; i < 32; i++) {
        b->clients[i] = world_add(&b->w);
        wisp_set_unreliable(b->clients[i], "fast", true);
        wisp_connect_target(b->clients[i], wisp_by_name("down"), on_ignored, NULL, false);
        b->to_server[i] = world_join(&b->w, b->clients[i], b->server);
    }
}

TEST(steady_state_allocates_nothing_in_10000_updates_with_32_peers) {
    busy *b = (busy *)malloc(sizeof *b);
    uint64_t server, client;
    host_busy_open(b);
    for (int i = 0; i < 2000; i++) busy_step(b, i);
    server = world_total(b->server).allocations;
    client = world_total(b->clients[7]).allocations;
    for (int i = 0; i < 10000; i++) busy_step(b, i);
    CHECK_EQ_INT(world_total(b->server).allocations, server);
    CHECK_EQ_INT(world_total(b->clients[7]).allocations, client);
    CHECK_EQ_INT(world_total(b->server).peers, 32);
    CHECK(world_total(b->server).messages_received > 32 * 7000);
    world_close(&b->w);
    free(b);
}

/* --- what a full reliable link keeps back --- */

TEST(leaving_over_a_full_reliable_link_sends_what_waits_and_then_the_goodbye) {
    static char text[1001];
    world_two t;
    world_open(&t.w);
    t.w.pipe.reliable = true;
    t.w.pipe.capacity = 4096;
    world_two_join(&t);
    world_watch(&t.w, t.server, "s");
    world_watch(&t.w, t.server, WISP_LEFT);
    for (int i = 0; i < 50; i++) {
        memset(text, 'a' + i % 26, 1000);
        CHECK_EQ_INT(wisp_fire(t.client, "s", t.to_server, wisp_string(text)), WISP_OK);
    }
    wisp_flush_batches(t.client);
    wisp_leave(t.client, t.to_server, "bye");
    world_run(&t.w, 3);
    CHECK_EQ_INT(world_count(&t.w, t.server, "s"), 50);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_LEFT), 1);
    if (world_last(&t.w, t.server, WISP_LEFT))
        CHECK_EQ_STR(world_last(&t.w, t.server, WISP_LEFT)->text, "bye");
    CHECK_EQ_INT(world_total(t.server).packets_bad_tag, 0);
    world_close(&t.w);
}

/* --- threads --- */

#ifdef WISP__WATCHED
typedef struct two_threads {
    world_two t;
    int       lines;
    char      log[8][200];
} two_threads;

static void log_threads(void *user, int level, wisp_result code, const char *text) {
    two_threads *two = (two_threads *)user;
    if (!strstr(text, "thread")) return;
    CHECK(level == WISP_LOG_ERROR && code == WISP_E_BUSY);
    if (two->lines < 8) snprintf(two->log[two->lines], sizeof two->log[0], "%s", text);
    two->lines++;
}

static void *use_server(void *user) {
    two_threads *two = (two_threads *)user;
    wisp_total_stats stats;
    wisp_stats_total(two->t.server, &stats);
    wisp_fire_values(two->t.server, "other", wisp_to_all(), NULL, 0);
    return two;
}

/* Another thread does this, from its begin to its end. */
static void in_another_thread(void *(*run)(void *), void *user) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run, user) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void on_used_elsewhere(wisp_event *event) {
    wisp_fire_values(event->w, "other", wisp_to_all(), NULL, 0);    /* the same thread may */
    in_another_thread(use_server, event->user);
}

static void two_threads_open(two_threads *two) {
    memset(two, 0, sizeof *two);
    world_open(&two->t.w);
    two->t.w.desc.log = log_threads;
    two->t.w.desc.user = two;
    world_two_join(&two->t);
}

TEST(a_call_of_another_thread_is_logged_with_the_one_that_runs) {
    two_threads two;
    two_threads_open(&two);
    wisp_connect(two.t.server, "r", on_used_elsewhere, &two);
    wisp_fire(two.t.client, "r", two.t.to_server);
    world_run(&two.t.w, 0.1);
    CHECK_EQ_INT(two.lines, 2);
    CHECK(strstr(two.log[0], "wisp_stats_total was called while another thread is in wisp_update"));
    CHECK(strstr(two.log[1], "wisp_fire_target was called while another thread is in wisp_update"));
    for (int i = 0; i < 20; i++) {      /* whatever comes, it is told 16 times */
        wisp_fire(two.t.client, "r", two.t.to_server);
        world_run(&two.t.w, 0.1);
    }
    CHECK_EQ_INT(two.lines, 16);
    world_close(&two.t.w);
}

static void *update_server(void *user) {
    two_threads *two = (two_threads *)user;
    CHECK_EQ_INT(wisp_update(two->t.server, two->t.w.now), WISP_OK);
    return use_server(user);
}

static void *destroy_server(void *user) {
    two_threads *two = (two_threads *)user;
    wisp_destroy(two->t.server);
    return NULL;
}

TEST(threads_that_take_turns_are_not_logged) {
    two_threads two;
    two_threads_open(&two);
    in_another_thread(use_server, &two);
    in_another_thread(update_server, &two);
    world_run(&two.t.w, 0.1);
    in_another_thread(destroy_server, &two);
    two.t.w.ends[0] = NULL;
    CHECK_EQ_INT(two.lines, 0);
    world_close(&two.t.w);
}

static void host_on_destroying(wisp_event *event) { wisp_destroy(event->w); }

static double ten_milliseconds(void *user) { return *(double *)user += 0.01; }

/* Both threads saw nobody inside. */
TEST(calls_that_begin_at_the_very_same_time_leave_no_list_behind) {
    two_threads two;
    wisp__visit here, there;
    two_threads_open(&two);
    wisp__enter_call(&here, two.t.server, "here");
    two.t.server->thread = NULL;
    wisp__enter_call(&there, two.t.server, "there");
    wisp__leave_call(&here);
    wisp__leave_call(&there);
    CHECK(two.t.server->visit == NULL && two.t.server->thread == NULL);
    here.w = there.w = NULL;
    world_close(&two.t.w);
}

TEST(a_call_whose_endpoint_goes_meanwhile_leaves_nothing_behind) {
    two_threads two;
    two_threads_open(&two);
    wisp_connect(two.t.client, "r", host_on_destroying, NULL);
    wisp_fire_all(two.t.server, "r");
    wisp_update(two.t.server, two.t.w.now += 0.01);
    CHECK_EQ_INT(wisp_await_event(two.t.client, "never", NULL, NULL, ten_milliseconds,
                                  &two.t.w.now, 1), WISP_E_CLOSED);
    two.t.w.ends[1] = NULL;
    CHECK_EQ_INT(two.lines, 0);
    world_close(&two.t.w);
}
#endif

static const test_case tests[] = {
    CASE(leaving_over_a_full_reliable_link_sends_what_waits_and_then_the_goodbye),
    CASE(create_refuses_a_link_that_is_none),
    CASE(create_checks_mtu_and_max_peers_at_their_edges),
    CASE(create_checks_app_timeout_and_memory),
    CASE(create_refuses_each_negative_limit),
    CASE(create_takes_the_least_and_the_largest_of_each_limit),
    CASE(create_with_default_limits_takes_at_most_256_kib_and_destroy_gives_all_back),
    CASE(strings_of_the_desc_are_copied),
    CASE(entropy_is_asked_for_without_a_seed_only),
    CASE(entropy_that_fails_is_told_and_takes_no_memory),
    CASE(systems_entropy_differs_each_time),
    CASE(same_seed_sends_the_same_packets_and_another_seed_others),
    CASE(update_refuses_a_time_that_is_no_number),
    CASE(clock_that_stands_still_still_delivers),
    CASE(clock_that_jumps_back_counts_as_standing_still),
    CASE(clock_that_leaps_an_hour_ends_no_session_whose_peer_still_speaks),
    CASE(clock_from_any_start_is_the_same),
    CASE(silence_ends_a_session_after_timeout_and_not_before),
    CASE(link_that_looks_at_one_packet_per_call_loses_nothing),
    CASE(what_waits_for_a_link_that_takes_nothing_is_bounded_and_does_not_age),
    CASE(link_that_is_busy_for_one_peer_does_not_block_the_other_and_loses_nothing),
    CASE(link_that_closes_one_peer_ends_that_session_alone),
    CASE(link_that_closes_a_peer_ends_the_session_even_if_its_packets_still_come),
    CASE(link_that_fails_for_a_while_is_told_once_and_nothing_reliable_is_lost),
    CASE(link_that_cannot_receive_is_told_once_and_ends_in_timeouts),
    CASE(link_that_never_sends_is_told_once_while_joining),
    CASE(link_that_says_it_filled_more_than_there_is_does_no_harm),
    CASE(one_update_takes_no_more_packets_than_its_limit),
    CASE(update_and_await_in_any_handler_are_refused),
    CASE(destroy_in_any_handler_takes_effect_when_the_update_ends),
    CASE(leave_in_any_handler_takes_effect_at_once),
    CASE(fire_and_flush_in_any_handler_are_done),
    CASE(disconnect_in_its_own_handler_is_done),
    CASE(destroying_a_host_ends_calls_through_their_handlers),
    CASE(handlers_that_run_in_destroy_may_call_everything),
    CASE(destroy_says_goodbye_to_every_peer_and_sends_what_waits),
    CASE(destroy_tells_left_of_every_peer_and_nothing_begins_meanwhile),
    CASE(destroy_at_any_moment_of_a_join_and_of_traffic_gives_all_memory_back),
    CASE(endpoints_in_one_process_share_nothing),
    CASE(an_endpoint_both_listens_and_joins),
    CASE(refuse_joins_lets_nobody_in_but_joins_others),
    CASE(reliable_link_carries_all_in_order_and_sends_no_acks),
    CASE(reliable_link_on_one_side_only_is_refused),
    CASE(an_idle_peer_with_16_names_each_way_takes_at_most_4_kib),
    CASE(an_update_without_work_touches_no_peer),
    CASE(idle_peers_send_keepalives_and_nothing_else),
    CASE(zero_one_sixteen_and_a_thousand_values_come_through),
    CASE(strings_empty_with_nul_and_of_a_mebibyte_come_through),
    CASE(a_string_beyond_the_limit_is_refused_at_the_call_and_the_rest_goes_on),
    CASE(steady_state_allocates_nothing_in_10000_updates_with_32_peers),
#ifdef WISP__WATCHED
    CASE(a_call_of_another_thread_is_logged_with_the_one_that_runs),
    CASE(threads_that_take_turns_are_not_logged),
    CASE(calls_that_begin_at_the_very_same_time_leave_no_list_behind),
    CASE(a_call_whose_endpoint_goes_meanwhile_leaves_nothing_behind),
#endif
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
