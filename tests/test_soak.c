/* test_soak.c - long runs over bad networks: everything once, in order, for everybody */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"

/* --- a million reliable messages --- */

enum { LINES = 4, MESSAGES = 100000 };

typedef struct stream {
    world_two   t;
    const char *names[LINES];
    int64_t     sent[LINES], next[LINES];    /* fired; expected */
    int64_t     wrong;
} stream;

static void on_line(wisp_event *event) {
    stream *s = (stream *)event->user;
    int line = event->name[4] - '0';
    if (wisp_arg_int(event, 0) != s->next[line]++) s->wrong++;
}

static void stream_open(stream *s, uint64_t seed) {
    static const char *const names[LINES] = { "line0", "line1", "line2", "line3" };
    memset(s, 0, sizeof *s);
    world_open(&s->t.w);
    s->t.w.unchecked = true;
    s->t.w.bad = true;
    s->t.w.net.seed = seed * 100;
    s->t.w.net.latency = 0.02;
    s->t.w.net.jitter = 0.01;
    s->t.w.net.loss = 0.2;
    s->t.w.net.burst = 1.5;
    s->t.w.net.duplicate = 0.1;
    s->t.w.net.reorder = 0.1;
    world_two_join(&s->t);
    for (int i = 0; i < LINES; i++) {
        wisp_config config;
        memset(&config, 0, sizeof config);
        config.channel = WISP_CHANNEL(i / 2 * 5);        /* two names to a channel */
        config.batch_priority = WISP_PRIORITY(100 * i);
        wisp_use_config(s->t.client, &config, names[i]);
        wisp_connect_target(s->t.server, wisp_by_name(names[i]), on_line, s, false);
        s->names[i] = names[i];
    }
}

static void stream_fill(stream *s, uint64_t *random, int64_t each) {
    for (int i = 0; i < 1000; i++) {
        int line = test_random_below(random, LINES);
        if (s->sent[line] == each) continue;
        if (world_fire(s->t.client, s->names[line], s->t.to_server, s->sent[line])) return;
        s->sent[line]++;
    }
}

static int64_t stream_arrived(const stream *s) {
    int64_t sum = 0;
    for (int i = 0; i < LINES; i++) sum += s->next[i];
    return sum;
}

static void run_stream(uint64_t seed) {
    stream *s = (stream *)malloc(sizeof *s);
    uint64_t random = seed;
    stream_open(s, seed);
    for (int step = 0; step < 60000 && stream_arrived(s) < MESSAGES; step++) {
        if (world_peer_stats(s->t.client, s->t.to_server).queued_messages < 4000)
            stream_fill(s, &random, MESSAGES / LINES);
        world_step(&s->t.w);
        if (step % 10) continue;
        wisp__host_check(s->t.client);
        wisp__host_check(s->t.server);
    }
    world_run(&s->t.w, 1);
    for (int i = 0; i < LINES; i++) CHECK_EQ_INT(s->next[i], MESSAGES / LINES);
    CHECK_EQ_INT(s->wrong, 0);
    CHECK(world_peer_stats(s->t.client, s->t.to_server).messages_resent > 1000);
    CHECK_EQ_INT(wisp_peers(s->t.server, NULL, 0), 1);
    world_close(&s->t.w);
    free(s);
}

TEST(a_million_reliable_messages_come_once_and_in_order_over_a_bad_network) {
    for (uint64_t seed = 1; seed <= 10; seed++) run_stream(seed);
}

/* --- 2,000 clients --- */

enum { CLIENTS = 2000 };

typedef struct client {
    wisp          *end;
    wisp_simulator sim;
    int            joined, left, echoed, wrong;
} client;

typedef struct fair {
    wisp_pipe      pipe;
    wisp_simulator sim;
    wisp          *server;
    client         clients[CLIENTS];
    double         now;
    int            joined, left, heard;
} fair;

static void on_server_joined(wisp_event *event) { ((fair *)event->user)->joined++; }

static void on_server_left(wisp_event *event) {
    fair *f = (fair *)event->user;
    if (event->result == WISP_OK && strcmp(event->text, "bye") == 0) f->left++;
}

static void on_hello(wisp_event *event) {
    fair *f = (fair *)event->user;
    f->heard++;
    wisp_fire_values(event->w, "echo", wisp_to_peer(event->peer), event->args, event->count);
}

static void on_client_joined(wisp_event *event) { ((client *)event->user)->joined++; }
static void on_client_left(wisp_event *event) { ((client *)event->user)->left++; }

static void on_soak_echo(wisp_event *event) {
    client *c = (client *)event->user;
    fair *f = (fair *)wisp_user(event->w);
    if (wisp_arg_int(event, 0) == c - f->clients) c->echoed++;
    else c->wrong++;
}

static wisp *fair_end(fair *f, wisp_simulator *sim, int side, int max_peers) {
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    sim->latency = 0.02;
    sim->jitter = 0.03;
    sim->loss = 0.05;
    sim->seed = (uint64_t)side;
    desc.link = wisp_simulate(sim, wisp_loopback(&f->pipe, side));
    desc.max_peers = max_peers;
    desc.seed = (uint64_t)side + 1;
    desc.user = f;
    desc.timeout = 20;
    return wisp_create(&desc, NULL);
}

static void fair_open(fair *f) {
    f->pipe.mtu = 400;
    f->pipe.capacity = 64 << 20;
    f->server = fair_end(f, &f->sim, 0, CLIENTS);
    wisp_connect_target(f->server, wisp_by_name(WISP_JOINED), on_server_joined, f, false);
    wisp_connect_target(f->server, wisp_by_name(WISP_LEFT), on_server_left, f, false);
    wisp_connect_target(f->server, wisp_by_name("hello"), on_hello, f, false);
    for (int i = 0; i < CLIENTS; i++) {
        client *c = &f->clients[i];
        c->end = fair_end(f, &c->sim, i + 1, 1);
        wisp_connect_target(c->end, wisp_by_name(WISP_JOINED), on_client_joined, c, false);
        wisp_connect_target(c->end, wisp_by_name(WISP_LEFT), on_client_left, c, false);
        wisp_connect_target(c->end, wisp_by_name("echo"), on_soak_echo, c, false);
    }
}

static void fair_run(fair *f, double seconds) {
    double end = f->now + seconds;
    for (int step = 0; step < 10000 && f->now < end; step++) {
        f->now += 0.04;
        f->sim.now = f->now;
        wisp_update(f->server, f->now);
        for (int i = 0; i < CLIENTS; i++) {
            f->clients[i].sim.now = f->now;
            wisp_update(f->clients[i].end, f->now);
        }
    }
    wisp__host_check(f->server);
}

static void fair_round(fair *f, int round) {
    wisp_addr addr = wisp_loopback_addr(0);
    int good = 0;
    for (int i = 0; i < CLIENTS; i++) {
        wisp_value number = wisp_int(i);
        wisp_peer server = wisp_join(f->clients[i].end, &addr, NULL, 0);
        CHECK(server.id != 0);
        wisp_fire_values(f->clients[i].end, "hello", wisp_to_peer(server), &number, 1);
    }
    fair_run(f, 6);
    CHECK_EQ_INT(f->joined, round * CLIENTS);
    CHECK_EQ_INT(wisp_peers(f->server, NULL, 0), CLIENTS);
    CHECK_EQ_INT(f->heard, round * CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        client *c = &f->clients[i];
        good += c->joined == round && c->echoed == round && !c->wrong;
        wisp_leave(c->end, WISP_SERVER, "bye");
    }
    CHECK_EQ_INT(good, CLIENTS);
    fair_run(f, 6);
    CHECK_EQ_INT(f->left, round * CLIENTS);
    CHECK_EQ_INT(wisp_peers(f->server, NULL, 0), 0);
    CHECK_EQ_INT(f->server->peers.pool.live, 0);
}

TEST(two_thousand_clients_join_talk_and_leave_and_come_again) {
    fair *f = (fair *)calloc(1, sizeof *f);
    uint64_t memory;
    fair_open(f);
    fair_round(f, 1);
    memory = f->server->base.stats.memory;
    fair_round(f, 2);
    CHECK(f->server->base.stats.memory <= memory + memory / 4);
    wisp_destroy(f->server);
    for (int i = 0; i < CLIENTS; i++) {
        wisp_destroy(f->clients[i].end);
        wisp_simulator_free(&f->clients[i].sim);
    }
    wisp_simulator_free(&f->sim);
    wisp_pipe_free(&f->pipe);
    free(f);
}

/* --- sharing --- */

typedef struct share {
    world     w;
    wisp     *server, *ends[2];
    wisp_peer to[2];
    int64_t   bytes[2];
} share;

static void on_bulk(wisp_event *event) {
    share *s = (share *)event->user;
    int size;
    wisp_arg_bytes(event, 0, &size);
    s->bytes[event->w == s->ends[1]] += size;
}

static void share_open(share *s, double latency) {
    memset(s, 0, sizeof *s);
    world_open(&s->w);
    s->server = world_add(&s->w);
    for (int i = 0; i < 2; i++) {
        s->ends[i] = world_add(&s->w);
        world_join(&s->w, s->ends[i], s->server);
        s->to[i] = world_peer(s->server, i);
        wisp_connect_target(s->ends[i], wisp_by_name("bulk"), on_bulk, s, false);
    }
    s->w.sims[0].rate = 250000;
    s->w.sims[0].latency = latency;
    s->w.sims[0].queue_bytes = 16000;
    s->server->peers.post.link = wisp_simulate(&s->w.sims[0], s->server->peers.post.link);
}

/* Keeps the flows from `first` to `last` busy. */
static void share_run(share *s, int first, int last, double seconds) {
    static uint8_t bytes[500];
    wisp_value value;
    for (int step = 0; step < (int)(seconds / s->w.step); step++) {
        for (int i = first; i <= last; i++)
            while (world_peer_stats(s->server, s->to[i]).queued_messages < 100) {
                bytes[0]++;
                value = wisp_bytes(bytes, (int)sizeof bytes);
                if (wisp_fire_values(s->server, "bulk", wisp_to_peer(s->to[i]), &value, 1)) break;
            }
        world_step(&s->w);
    }
}

static void check_share(double latency, bool late) {
    share *s = (share *)malloc(sizeof *s);
    double a, b;
    share_open(s, latency);
    s->w.unchecked = true;
    if (late) share_run(s, 0, 0, 5);
    share_run(s, 0, 1, 20);
    s->bytes[0] = s->bytes[1] = 0;
    share_run(s, 0, 1, 60);
    a = (double)s->bytes[0] / 60;
    b = (double)s->bytes[1] / 60;
    if (!CHECK(a > 0.7 * b && b > 0.7 * a) || !CHECK(a + b > 0.75 * 250000) ||
        !CHECK(a + b <= 250000))
        printf("  %.0f and %.0f bytes per second\n", a, b);
    CHECK_EQ_INT(wisp_peers(s->server, NULL, 0), 2);
    world_close(&s->w);
    free(s);
}

TEST(two_reliable_flows_through_one_capped_link_share_it) {
    check_share(0.02, false);
    check_share(0.06, false);
}

TEST(a_flow_that_starts_later_gets_its_share) {
    check_share(0.02, true);
}

/* --- one way --- */

typedef struct one_way { world_two t; int64_t next, wrong; double worst; } one_way;

static void on_stamp(wisp_event *event) {
    one_way *o = (one_way *)event->user;
    double waited = o->t.w.now - wisp_arg_number(event, 1);
    if (wisp_arg_int(event, 0) != o->next++) o->wrong++;
    if (waited > o->worst) o->worst = waited;
}

static void run_one_way(bool down, double seconds) {
    one_way *o = (one_way *)calloc(1, sizeof *o);
    wisp *from, *to;
    wisp_peer_stats stats;
    int64_t sent = 0;
    world_two_open(&o->t);
    from = down ? o->t.server : o->t.client;
    to = down ? o->t.client : o->t.server;
    wisp_connect_target(to, wisp_by_name("stamp"), on_stamp, o, false);
    world_run(&o->t.w, 0.5);
    for (int step = 0; step < (int)(seconds / 0.01); step++) {
        wisp_value values[2];
        values[0] = wisp_int(sent++);
        values[1] = wisp_number(o->t.w.now);
        wisp_fire_values(from, "stamp", wisp_to_peer(world_peer(from, 0)), values, 2);
        world_step(&o->t.w);
    }
    world_run(&o->t.w, 0.1);
    CHECK_EQ_INT(o->next, sent);
    CHECK_EQ_INT(o->wrong, 0);
    CHECK(o->worst < 0.05);
    stats = world_peer_stats(from, world_peer(from, 0));
    CHECK_EQ_INT(stats.packets_lost, 0);
    CHECK_EQ_INT(stats.messages_resent, 0);
    CHECK(stats.packets_received > stats.packets_sent / 3 &&
          stats.packets_received < stats.packets_sent);
    world_close(&o->t.w);
    free(o);
}

TEST(one_way_reliable_traffic_goes_on_for_minutes_in_either_direction) {
    run_one_way(false, 180);
    run_one_way(true, 180);
}

/* --- unreliable --- */

typedef struct jumpy { world_two t; int64_t newest, count, back, seen[20000]; } jumpy;

static void on_sequenced(wisp_event *event) {
    jumpy *j = (jumpy *)event->user;
    int64_t number = wisp_arg_int(event, 0);
    if (number <= j->newest) j->back++;
    j->newest = number;
    j->count++;
}

static void on_soak_loose(wisp_event *event) {
    jumpy *j = (jumpy *)event->user;
    int64_t number = wisp_arg_int(event, 0);
    if (number < j->newest) j->back++;
    if (number > j->newest) j->newest = number;
    j->seen[number]++;
    j->count++;
}

static jumpy *jumpy_run(int delivery, wisp_handler fn) {
    jumpy *j = (jumpy *)calloc(1, sizeof *j);
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.delivery = delivery;
    world_open(&j->t.w);
    j->t.w.bad = true;
    j->t.w.net.latency = 0.03;
    j->t.w.net.jitter = 0.1;
    j->t.w.net.loss = 0.05;
    j->t.w.net.duplicate = 0.2;
    j->t.w.net.reorder = 0.2;
    world_two_join(&j->t);
    j->t.w.unchecked = true;
    wisp_use_config(j->t.client, &config, "n");
    wisp_connect_target(j->t.server, wisp_by_name("n"), fn, j, false);
    j->newest = -1;
    for (int i = 0; i < 20000; i++) {
        world_fire(j->t.client, "n", j->t.to_server, i);
        if (i % 2) world_step(&j->t.w);
    }
    world_run(&j->t.w, 2);
    return j;
}

TEST(sequenced_messages_never_go_back_under_jitter) {
    jumpy *j = jumpy_run(WISP_SEQUENCED, on_sequenced);
    wisp_peer_stats stats = world_peer_stats(j->t.server, j->t.to_client);
    CHECK_EQ_INT(j->back, 0);
    CHECK(j->newest > 19900);
    CHECK(j->count > 2000);
    CHECK(stats.stale > 1000);
    CHECK_EQ_INT(stats.messages_received, (uint64_t)j->count + stats.stale);
    world_close(&j->t.w);
    free(j);
}

TEST(unreliable_messages_come_at_most_once_and_as_they_fall) {
    jumpy *j = jumpy_run(WISP_UNRELIABLE, on_soak_loose);
    int twice = 0;
    for (int i = 0; i < 20000; i++) twice += j->seen[i] > 1;
    CHECK_EQ_INT(twice, 0);
    CHECK(j->back > 1000);
    CHECK(j->count > 17000 && j->count < 20000);
    CHECK_EQ_INT(world_peer_stats(j->t.server, j->t.to_client).stale, 0);
    world_close(&j->t.w);
    free(j);
}

/* --- a receiver that sleeps --- */

/* All that was sent meanwhile waits for it, with gaps: more ranges than one ack holds. */
TEST(a_receiver_that_slept_through_many_losses_catches_up) {
    world_two t;
    uint8_t bytes[140];
    wisp_value value;
    int sent = 0;
    memset(bytes, 1, sizeof bytes);
    world_open(&t.w);
    t.w.pipe.mtu = 256;
    t.w.bad = true;
    t.w.net.latency = 0.1;
    world_two_join(&t);
    world_watch(&t.w, t.server, "n");
    for (int phase = 0; phase < 500; phase++) {
        while (world_peer_stats(t.client, t.to_server).queued_messages < 2000) {
            memcpy(bytes, &sent, sizeof sent);
            value = wisp_bytes(bytes, (int)sizeof bytes);
            if (wisp_fire_values(t.client, "n", wisp_to_peer(t.to_server), &value, 1)) break;
            sent++;
        }
        world_step(&t.w);
    }
    CHECK(world_peer_stats(t.client, t.to_server).congestion_window > 150000);
    t.w.sims[1].loss = 0.4;
    for (int i = 0; i < 60; i++) {
        t.w.now += t.w.step;
        world_update(&t.w, 1);
    }
    t.w.sims[1].loss = 0;
    world_run(&t.w, 10);
    CHECK_EQ_INT(world_count(&t.w, t.server, "n"), sent);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(a_million_reliable_messages_come_once_and_in_order_over_a_bad_network),
    CASE(two_thousand_clients_join_talk_and_leave_and_come_again),
    CASE(two_reliable_flows_through_one_capped_link_share_it),
    CASE(a_flow_that_starts_later_gets_its_share),
    CASE(one_way_reliable_traffic_goes_on_for_minutes_in_either_direction),
    CASE(sequenced_messages_never_go_back_under_jitter),
    CASE(unreliable_messages_come_at_most_once_and_as_they_fall),
    CASE(a_receiver_that_slept_through_many_losses_catches_up),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
