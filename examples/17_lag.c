/* 17_lag.c - a gun that is judged by what the shooter saw

   A duck flies at the server. The player sees it late and a little in the past, aims at what it
   sees, and shoots: aim and trigger are its input. Inputs carry the tick that was drawn, and the
   server asks where the duck was then. Judged by where the duck is, most shots would miss.

   Build    cc -I.. 17_lag.c -o lag                      (Windows: add -lws2_32)
   Run      ./lag                                        exits 0 when nearly all shots hit
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdio.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { TICK_RATE = 60, SPEED = 8 };                          /* metres a second */

typedef struct duck { float x; } duck;
typedef struct gun  { float aim; uint8_t fire; } gun;

static const wisp_field duck_fields[] = { WISP_FIELD(duck, x, WISP_T_FLOAT) };
static const wisp_schema duck_schema = WISP_SCHEMA(duck, 1, duck_fields);
static const wisp_field gun_fields[] = {
    WISP_FIELD(gun, aim, WISP_T_FLOAT),
    WISP_FIELD(gun, fire, WISP_T_RANGE(0, 1)),
};
static const wisp_schema gun_schema = WISP_SCHEMA(gun, 1, gun_fields);

typedef struct end { udp_socket socket; wisp_simulator net; wisp *w; wisp_class ducks; } end;

static int shots, hits, would_hit;

static bool close_to(float a, float b) { return a - b < 0.25f && b - a < 0.25f; }

/* ---- server -------------------------------------------------------------- */

static void on_tick(wisp_event *event) {
    end *server = event->user;
    wisp *w = event->w;
    wisp_object o = wisp_first(w, server->ducks);
    duck *it = wisp_object_edit(w, o), was;
    wisp_peer shooter;
    int how;
    it->x += (float)(SPEED * event->step);
    if (!wisp_peers(w, &shooter, 1)) return;
    wisp_player player = wisp_player_of(w, shooter);
    const gun *in = wisp_input_of(w, player, &how);
    if (!in || !in->fire || how != WISP_INPUT_FRESH) return; /* one that is repeated was judged */
    shots++;
    would_hit += close_to(it->x, in->aim);
    hits += wisp_past(w, o, wisp_seen_by(w, player), &was) && close_to(was.x, in->aim);
}

/* ---- player -------------------------------------------------------------- */

static duck drawn;                                           /* as the last frame showed it */
static bool aims;

static void sample(wisp *w, void *input, void *user) {
    gun *in = input;
    (void)user;
    in->aim = drawn.x;
    in->fire = aims && wisp_tick(w) % 20 == 0;
}

/* ---- both ---------------------------------------------------------------- */

static bool open_end(end *e, double tick_rate) {
    wisp_class_desc of = { .schema = &duck_schema };
    wisp_desc desc = { .app = "ducks", .tick_rate = tick_rate };
    if (!udp_open(&e->socket, "127.0.0.1", 0)) return false;
    e->net = (wisp_simulator){ .latency = 0.06, .jitter = 0.02, .loss = 0.02, .seed = 7 };
    desc.link = udp_link(&e->socket);
    if (tick_rate <= 0) desc.link = wisp_simulate(&e->net, desc.link);
    e->w = wisp_create(&desc, NULL);
    e->ducks = wisp_define(e->w, "duck", &of);
    return e->ducks.id != 0 && wisp_use_input(e->w, &gun_schema) == WISP_OK;
}

int main(void) {
    static end server, player;
    wisp_player nobody = { 0 };
    wisp_input_stats stats;
    wisp_addr address;
    duck first = { 0 };
    double start = udp_seconds(), now;
    if (!open_end(&server, TICK_RATE) || !open_end(&player, 0) ||
        !udp_resolve("127.0.0.1", udp_port(&server.socket), &address))
        return 1;
    wisp_on_tick(server.w, on_tick, &server);
    wisp_on_input(player.w, sample, NULL);
    wisp_spawn(server.w, server.ducks, nobody, &first);
    wisp_join(player.w, &address, NULL, 0);
    while ((now = udp_seconds()) < start + 6) {
        player.net.now = now;
        wisp_update(server.w, now);
        wisp_update(player.w, now);
        aims = wisp_view(player.w, wisp_first(player.w, player.ducks), WISP_SMOOTH, &drawn) &&
               now > start + 2;                              /* it knows the network by then */
        udp_wait(&player.socket, 0.005);
    }
    wisp_stats_input(server.w, wisp_me(player.w), &stats);
    printf("%d of %d shots hit; by where the duck is it would be %d\n", hits, shots, would_hit);
    printf("inputs: %d in time, %d repeated; they come %.1f ticks early\n", (int)stats.fresh,
           (int)stats.repeated, stats.margin);
    wisp_destroy(player.w);
    wisp_destroy(server.w);
    wisp_simulator_free(&player.net);
    return shots > 5 && hits * 10 >= shots * 9 && would_hit < hits ? 0 : 1;
}
