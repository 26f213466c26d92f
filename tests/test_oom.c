/* test_oom.c - each allocation fails once, then all from one on: no crash, no leak, and a word */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"

/* A little of everything between two endpoints whose memory is one ledger. `told` counts every
   failure that anybody got to hear of, as a code or as an event. */
typedef struct oom_scene {
    ledger         memory;
    wisp_pipe      pipe;
    wisp_simulator sim;
    bool           bad;               /* packets from the client are lost and shuffled */
    wisp          *server, *client;
    wisp_peer      to_server;
    double         now;
    int            told;
    int            small, large, loose, replies, deferred, joined, left;
    wisp_call      held;
} oom_scene;

enum { SMALL = 300, LARGE = 3, LARGE_BYTES = 20000, CALLS = 12 };

static void note(oom_scene *s, wisp_result result) { s->told += result < 0; }

static void on_oom_error(wisp_event *event) { note((oom_scene *)event->user, event->result); }

static void on_joined(wisp_event *event) { ((oom_scene *)event->user)->joined++; }

static void on_oom_left(wisp_event *event) {
    oom_scene *s = (oom_scene *)event->user;
    s->left++;
    note(s, event->result);
}

/* The order is kept, whatever fails. */
static void on_small(wisp_event *event) {
    oom_scene *s = (oom_scene *)event->user;
    int64_t number = wisp_arg_int(event, 0);
    CHECK(number >= s->small);
    s->small = (int)number + 1;
}

static void on_large(wisp_event *event) {
    oom_scene *s = (oom_scene *)event->user;
    int size = 0;
    const uint8_t *bytes = (const uint8_t *)wisp_arg_bytes(event, 0, &size);
    CHECK_EQ_INT(size, LARGE_BYTES);
    if (bytes) CHECK(bytes[0] == 7 && bytes[size - 1] == 7);
    s->large++;
}

static void on_loose(wisp_event *event) { ((oom_scene *)event->user)->loose++; }

static void on_oom_double(wisp_event *event) {
    wisp_value twice = wisp_int(2 * wisp_arg_int(event, 0));
    note((oom_scene *)event->user, wisp_reply_values(event, &twice, 1));
}

static void on_oom_later(wisp_event *event) {
    oom_scene *s = (oom_scene *)event->user;
    s->held = wisp_defer(event);
    if (s->held.id) s->deferred++;
    else note(s, wisp_why(event->w));
}

static void on_oom_reply(wisp_event *event) {
    oom_scene *s = (oom_scene *)event->user;
    s->replies++;
    note(s, event->result);
}

static void scene_run(oom_scene *s, int steps) {
    wisp_result server, client;
    for (int i = 0; i < steps; i++) {
        s->now += 0.02;
        s->sim.now = s->now;
        server = wisp_update(s->server, s->now);
        client = wisp_update(s->client, s->now);
        note(s, server);
        note(s, client);
        wisp__host_check(s->server);
        wisp__host_check(s->client);
    }
}

static void scene_connect(oom_scene *s, wisp *end, const char *name, wisp_handler fn) {
    if (!wisp_connect_target(end, wisp_by_name(name), fn, s, false).id) note(s, wisp_why(end));
}

static wisp *scene_end(oom_scene *s, int side) {
    wisp_desc desc;
    wisp_result why;
    wisp *end;
    memset(&desc, 0, sizeof desc);
    desc.link = wisp_loopback(&s->pipe, side);
    s->sim.latency = 0.01;
    s->sim.loss = 0.05;
    s->sim.reorder = 0.2;
    if (side && s->bad) desc.link = wisp_simulate(&s->sim, desc.link);
    desc.memory = ledger_memory(&s->memory);
    desc.seed = (uint64_t)side + 1;
    desc.max_peers = 4;
    desc.timeout = 3;
    end = wisp_create(&desc, &why);
    if (!end) CHECK_EQ_INT(why, WISP_E_MEMORY);
    note(s, why);
    if (!end) return NULL;
    scene_connect(s, end, WISP_ERROR, on_oom_error);
    scene_connect(s, end, WISP_LEFT, on_oom_left);
    return end;
}

static bool scene_begin(oom_scene *s) {
    s->server = scene_end(s, 0);
    s->client = scene_end(s, 1);
    if (!s->server || !s->client) return false;
    scene_connect(s, s->server, WISP_JOINED, on_joined);
    scene_connect(s, s->server, "small", on_small);
    scene_connect(s, s->server, "large", on_large);
    scene_connect(s, s->server, "loose", on_loose);
    note(s, wisp_on_invoke_target(s->server, wisp_by_name("double"), on_oom_double, s));
    note(s, wisp_on_invoke_target(s->server, wisp_by_name("later"), on_oom_later, s));
    note(s, wisp_set_unreliable(s->client, "loose", true));
    return true;
}

static void oom_scene_join(oom_scene *s) {
    wisp_addr addr = wisp_loopback_addr(0);
    s->to_server = wisp_join(s->client, &addr, "ticket", 6);
    if (!s->to_server.id) note(s, wisp_why(s->client));
    scene_run(s, 5);
}

static void scene_invoke(oom_scene *s, const char *name, int number) {
    wisp_value value = wisp_int(number);
    wisp_call_desc desc;
    wisp_call call;
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_oom_reply;
    desc.user = s;
    desc.timeout = 5;
    call = wisp_invoke_values(s->client, name, wisp_to_peer(s->to_server), &desc, &value, 1);
    if (call.id) return;
    note(s, wisp_why(s->client));
    s->replies++;                       /* as many as there were attempts, at the end */
}

static void scene_talk(oom_scene *s) {
    uint8_t *bytes = (uint8_t *)malloc(LARGE_BYTES);
    wisp_to to = wisp_to_peer(s->to_server);
    memset(bytes, 7, LARGE_BYTES);
    for (int i = 0; i < SMALL; i++) {
        wisp_value value = wisp_int(i);
        note(s, wisp_fire_values(s->client, "small", to, &value, 1));
        if (i % 10 == 0) note(s, wisp_fire_values(s->client, "loose", to, &value, 1));
        if (i % 100 == 0) {
            value = wisp_bytes(bytes, LARGE_BYTES);
            note(s, wisp_fire_values(s->client, "large", to, &value, 1));
        }
        if (i % 20 == 0) scene_run(s, 1);
    }
    for (int i = 0; i < CALLS - 1; i++) scene_invoke(s, "double", i);
    scene_invoke(s, "later", 0);
    scene_run(s, 100);
    if (s->deferred) {
        wisp_result result = wisp_answer(s->server, s->held, NULL, 0);
        note(s, result);
        if (result == WISP_E_MEMORY) note(s, wisp_answer(s->server, s->held, NULL, 0));
    }
    scene_run(s, 400);                  /* longer than every timeout */
    free(bytes);
}

static bool scene_is_whole(const oom_scene *s) {
    return s->joined == 1 && s->small == SMALL && s->large == LARGE &&
           (s->bad || s->loose == SMALL / 10);
}

static void scene_end_all(oom_scene *s) {
    if (s->client) wisp_leave(s->client, s->to_server, "done");
    if (s->server && s->client) scene_run(s, 5);
    wisp_destroy(s->client);
    wisp_destroy(s->server);
    CHECK_EQ_INT(s->memory.out, 0);
    wisp_simulator_free(&s->sim);
    wisp_pipe_free(&s->pipe);
}

/* Returns how many allocations were asked for. */
static int oom_play(int fail_at, bool fail_on, bool bad) {
    oom_scene *s = (oom_scene *)calloc(1, sizeof *s);
    int asked;
    s->memory.fail_at = fail_at;
    s->memory.fail_on = fail_on;
    s->bad = bad;
    if (scene_begin(s)) {
        oom_scene_join(s);
        scene_talk(s);
        CHECK_EQ_INT(s->replies, CALLS);
        if (!CHECK(scene_is_whole(s) || s->told))
            printf("  allocation %d: %d joined, %d small, %d large, %d loose\n", fail_at, s->joined,
                   s->small, s->large, s->loose);
    } else {
        CHECK(s->told > 0);
    }
    asked = s->memory.asked;
    if (!fail_at) CHECK(scene_is_whole(s) && s->told == 0);
    scene_end_all(s);
    free(s);
    return asked;
}

TEST(without_a_failure_all_is_done_and_nothing_told) {
    CHECK(oom_play(0, false, false) > 60);
    CHECK(oom_play(0, false, true) > 60);
}

TEST(any_one_allocation_may_fail) {
    int count = oom_play(0, false, false);
    for (int n = 1; n <= count + 1; n++) oom_play(n, false, false);
}

TEST(any_one_allocation_may_fail_on_a_bad_network) {
    int count = oom_play(0, false, true);
    for (int n = 1; n <= count + 1; n++) oom_play(n, false, true);
}

TEST(all_allocations_may_fail_from_any_one_on) {
    int count = oom_play(0, false, false);
    for (int n = 1; n <= count + 1; n++) oom_play(n, true, false);
}

TEST(all_allocations_may_fail_from_any_one_on_on_a_bad_network) {
    int count = oom_play(0, false, true);
    for (int n = 1; n <= count + 1; n++) oom_play(n, true, true);
}

/* When there is memory again, what was refused is done. */
static void play_recovery(int fail_at) {
    oom_scene *s = (oom_scene *)calloc(1, sizeof *s);
    if (!scene_begin(s)) {
        free(s);
        return;
    }
    s->memory.fail_at = fail_at;
    s->memory.fail_on = true;
    oom_scene_join(s);
    scene_talk(s);
    s->memory.fail_at = 0;
    if (wisp_peers(s->client, NULL, 0)) wisp_leave(s->client, s->to_server, "");
    scene_run(s, 400);
    s->small = s->large = s->loose = s->joined = s->told = s->replies = s->deferred = 0;
    oom_scene_join(s);
    scene_talk(s);
    if (!CHECK(scene_is_whole(s) && s->told == 0))
        printf("  from allocation %d on: %d joined, %d small, %d large, %d loose, %d told\n",
               fail_at, s->joined, s->small, s->large, s->loose, s->told);
    CHECK_EQ_INT(s->replies, CALLS);
    scene_end_all(s);
    free(s);
}

TEST(endpoints_recover_when_there_is_memory_again) {
    int count = oom_play(0, false, false);
    for (int n = 30; n <= count + 1; n += 3) play_recovery(n);
}

/* --- settings and values --- */

TEST(registering_names_fails_with_a_code_and_leaves_the_registry_whole) {
    for (int n = 1; n < 40; n++) {
        ledger memory = ledger_none();
        world w;
        wisp *end;
        char name[32];
        int made = 0;
        world_open(&w);
        w.desc.memory = ledger_memory(&memory);
        end = world_add(&w);
        memory.fail_at = memory.asked + n;
        for (int i = 0; i < 100; i++) {
            snprintf(name, sizeof name, "name %d", i);
            if (wisp_remote_named(end, name).id) made++;
            else CHECK_EQ_INT(wisp_why(end), WISP_E_MEMORY);
        }
        CHECK(made >= 99);
        memory.fail_at = 0;
        for (int i = 0; i < 100; i++) {
            snprintf(name, sizeof name, "name %d", i);
            CHECK_EQ_STR(wisp_remote_name(end, wisp_remote_named(end, name)), name);
        }
        CHECK_EQ_INT(world_total(end).remotes, 100);
        world_close(&w);
        CHECK_EQ_INT(memory.out, 0);
    }
}

static const test_case tests[] = {
    CASE(without_a_failure_all_is_done_and_nothing_told),
    CASE(any_one_allocation_may_fail),
    CASE(any_one_allocation_may_fail_on_a_bad_network),
    CASE(all_allocations_may_fail_from_any_one_on),
    CASE(all_allocations_may_fail_from_any_one_on_on_a_bad_network),
    CASE(endpoints_recover_when_there_is_memory_again),
    CASE(registering_names_fails_with_a_code_and_leaves_the_registry_whole),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
