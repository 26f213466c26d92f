/* 16_prediction.c - a runner that acts at once, over a network of 160 ms that loses packets

   The same tick handler runs on both ends: on the server, and ahead of it at the player, who sees
   its own move at once. A gust that the server alone knows pushes the runner back; the player's
   ticks since then run again from what the server tells, and what is drawn eases over.

   Build    cc -I.. 16_prediction.c -o prediction        (Windows: add -lws2_32)
   Run      ./prediction                                 exits 0 when it acted at once, and agreed
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdio.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { TICK_RATE = 60, STEPS = 1 };                          /* STEPS: the number of a sound */

typedef struct runner { float x, speed; } runner;
typedef struct keys   { int8_t push; } keys;                 /* -1, 0, 1 */

static const wisp_field runner_fields[] = {
    WISP_FIELD(runner, x, WISP_T_CLAMPED(-100, 100, 0.01)),
    WISP_FIELD(runner, speed, WISP_T_FLOAT),
};
static const wisp_schema runner_schema = WISP_SCHEMA(runner, 1, runner_fields);
static const wisp_field keys_fields[] = { WISP_FIELD(keys, push, WISP_T_RANGE(-1, 1)) };
static const wisp_schema keys_schema = WISP_SCHEMA(keys, 1, keys_fields);

typedef struct end { udp_socket socket; wisp_simulator net; wisp *w; wisp_class runners; } end;

static int gust, sounds;

/* ---- both ---------------------------------------------------------------- */

/* One step of the game. On the player's end it is a prediction, and may run again. */
static void on_tick(wisp_event *event) {
    end *e = event->user;
    wisp *w = event->w;
    for (wisp_object o = wisp_first(w, e->runners); o.id; o = wisp_next(w, o)) {
        const keys *in = wisp_input_for(w, o, NULL);
        runner *it = wisp_object_edit(w, o);
        if (!it) continue;                                   /* not ours, and not predicted */
        if (in) it->speed += 0.2f * in->push;
        it->x += it->speed * (float)event->step;
        if (wisp_decides(w, o) && gust) it->x -= 3, gust = 0;
        /* A sound belongs to a tick, however often that runs. */
        if (in && in->push && !wisp_decides(w, o) && wisp_first_time(w, STEPS)) sounds++;
    }
}

static bool open_end(end *e, double tick_rate) {
    wisp_class_desc of = { .schema = &runner_schema, .predict = WISP_PREDICT_OWNED };
    wisp_desc desc = { .app = "runners", .tick_rate = tick_rate };
    if (!udp_open(&e->socket, "127.0.0.1", 0)) return false;
    e->net = (wisp_simulator){ .latency = 0.08, .loss = 0.02, .seed = 7 };
    desc.link = udp_link(&e->socket);
    if (tick_rate <= 0) desc.link = wisp_simulate(&e->net, desc.link);
    e->w = wisp_create(&desc, NULL);
    e->runners = wisp_define(e->w, "runner", &of);
    wisp_use_input(e->w, &keys_schema);
    wisp_on_tick(e->w, on_tick, e);
    return e->runners.id != 0;
}

/* ---- player -------------------------------------------------------------- */

static int8_t pressed;

static void sample(wisp *w, void *input, void *user) {
    (void)w, (void)user;
    ((keys *)input)->push = pressed;
}

/* ---- server -------------------------------------------------------------- */

static void on_joined(wisp_event *event) {
    end *server = event->user;
    runner it = { 0, 0 };
    wisp_spawn(event->w, server->runners, wisp_player_of(event->w, event->peer), &it);
}

int main(void) {
    static end server, player;
    wisp_predict_stats stats;
    wisp_addr address;
    runner here = { 0, 0 }, there = { 0, 0 }, drawn;
    double start = udp_seconds(), now, acted = 0;
    float last = 0, leap = 0;
    if (!open_end(&server, TICK_RATE) || !open_end(&player, 0) ||
        !udp_resolve("127.0.0.1", udp_port(&server.socket), &address))
        return 1;
    wisp_on(server.w, WISP_JOINED, on_joined, &server);
    wisp_on_input(player.w, sample, NULL);
    wisp_join(player.w, &address, NULL, 0);
    while ((now = udp_seconds()) < start + 6) {
        wisp_object o = wisp_first(player.w, player.runners);
        player.net.now = now;
        pressed = now > start + 2 && now < start + 3 ? 1 : now > start + 4 && now < start + 5 ? -1
                                                                                              : 0;
        if (now > start + 3.5 && gust == 0 && last > 0 && leap <= 0) gust = 1, leap = 0.001f;
        wisp_update(server.w, now);
        wisp_update(player.w, now);
        if (!o.id || !wisp_view(player.w, o, WISP_SMOOTH, &drawn)) continue;
        wisp_view(player.w, o, WISP_NOW, &here);
        if (here.speed > 0 && acted <= 0) acted = now - start - 2;
        if (leap > 0 && last - drawn.x > leap) leap = last - drawn.x;
        last = drawn.x;
        udp_wait(&player.socket, 0.004);
    }
    wisp_view(server.w, wisp_first(server.w, server.runners), WISP_NOW, &there);
    wisp_stats_predict(player.w, &stats);
    printf("acted after %.0f ms; %d reconciliations of %d ticks at most; %d sounds\n",
           1000 * acted, (int)stats.reconciliations, stats.most_again, sounds);
    for (int i = 0; i < stats.field_count; i++)
        printf("%s.%s was wrong %d times, by %.2f at most\n", stats.fields[i].of,
               stats.fields[i].field, (int)stats.fields[i].count, stats.fields[i].most);
    printf("a gust of 300 cm was seen as steps of %.0f cm; at the end %.2f m, there %.2f m\n",
           100 * (double)leap, (double)here.x, (double)there.x);
    wisp_destroy(player.w);
    wisp_destroy(server.w);
    wisp_simulator_free(&player.net);
    return acted > 0 && acted < 0.04 && stats.reconciliations && leap < 1 &&
           here.x - there.x < 0.5f && there.x - here.x < 0.5f ? 0 : 1;
}
