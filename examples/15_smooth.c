/* 15_smooth.c - a cart that a server moves 20 times a second, drawn 100 times a second

   The network loses and delays packets. The newest state jumps from place to place; WISP_SMOOTH
   moves evenly, a little in the past. When the player shoots, the server looks with wisp_past at
   what the player saw.

   Build    cc -I.. 15_smooth.c -o smooth                (Windows: add -lws2_32)
   Run      ./smooth                                     exits 0 when it was drawn evenly, and hit
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdio.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { TICK_RATE = 20, SPEED = 10 };                         /* metres a second */

typedef struct cart { float x, heading; } cart;

static const wisp_field cart_fields[] = {
    WISP_FIELD(cart, x, WISP_T_CLAMPED(0, 1000, 0.01)),      /* numbers go straight, .. */
    WISP_FLAG_FIELD(cart, heading, WISP_T_FLOAT, WISP_FLAG_ANGLE),   /* .. angles the short way */
};
static const wisp_schema cart_schema = WISP_SCHEMA(cart, 1, cart_fields);

typedef struct end { udp_socket socket; wisp_simulator net; wisp *w; wisp_class carts; } end;

static int hits;

/* ---- server -------------------------------------------------------------- */

static void on_tick(wisp_event *event) {
    end *server = event->user;
    cart *it = wisp_object_edit(event->w, wisp_first(event->w, server->carts));
    it->x += (float)(SPEED * event->step);
}

/* The player says where it aimed, and which tick it saw. */
static void on_shot(wisp_event *event) {
    end *server = event->user;
    double x = wisp_arg_number(event, 0), tick = wisp_arg_number(event, 1), off;
    cart was;
    if (!wisp_past(event->w, wisp_first(event->w, server->carts), tick, &was)) return;
    off = x - (double)was.x;
    printf("the shot is %.0f cm off what the player saw\n", 100 * (off < 0 ? -off : off));
    hits += off < 0.3 && off > -0.3;
}

/* ---- player -------------------------------------------------------------- */

typedef struct drawn { float last, most; } drawn;            /* metres: most: in a frame */

static float draw(end *player, int moment, drawn *d) {
    cart it = { 0, 0 };
    if (!wisp_view(player->w, wisp_first(player->w, player->carts), moment, &it)) return 0;
    if (d->last > 0 && it.x - d->last > d->most) d->most = it.x - d->last;
    d->last = it.x;
    return it.x;
}

/* ---- both ---------------------------------------------------------------- */

static bool open_end(end *e, double tick_rate) {
    wisp_class_desc of = { .schema = &cart_schema };
    wisp_desc desc = { .app = "carts", .tick_rate = tick_rate };
    if (!udp_open(&e->socket, "127.0.0.1", 0)) return false;
    e->net = (wisp_simulator){ .latency = 0.04, .jitter = 0.02, .loss = 0.02, .seed = 7 };
    desc.link = udp_link(&e->socket);
    if (tick_rate <= 0) desc.link = wisp_simulate(&e->net, desc.link);
    e->w = wisp_create(&desc, NULL);
    e->carts = wisp_define(e->w, "cart", &of);
    return e->carts.id != 0;
}

int main(void) {
    static end server, player;
    drawn newest = { 0, 0 }, smooth = { 0, 0 };
    wisp_player nobody = { 0 };
    wisp_addr address;
    cart first = { 0, 0 };
    double start = udp_seconds(), now;
    int frame = 0;
    if (!open_end(&server, TICK_RATE) || !open_end(&player, 0) ||
        !udp_resolve("127.0.0.1", udp_port(&server.socket), &address))
        return 1;
    wisp_on_tick(server.w, on_tick, &server);
    wisp_on(server.w, "shot", on_shot, &server);
    wisp_spawn(server.w, server.carts, nobody, &first);
    wisp_join(player.w, &address, NULL, 0);
    while ((now = udp_seconds()) < start + 5) {
        float seen;
        player.net.now = now;
        wisp_update(server.w, now);
        wisp_update(player.w, now);
        seen = draw(&player, WISP_SMOOTH, &smooth);
        draw(&player, WISP_CONFIRMED, &newest);
        if (now < start + 2) smooth.most = newest.most = 0;  /* until it knows the network */
        if (++frame % 50 == 0 && seen > 0) printf("%*s\n", (int)seen + 1, "o-o");
        if (frame == 400 && seen > 0) {
            wisp_times_of times;
            wisp_times(player.w, &times);
            wisp_fire(player.w, "shot", WISP_SERVER, wisp_float(seen),
                      wisp_number(times.smooth));
        }
        udp_wait(&player.socket, 0.01);
    }
    printf("longest step of a frame: newest %.0f cm, smooth %.0f cm\n", 100 * (double)newest.most,
           100 * (double)smooth.most);
    wisp_destroy(player.w);
    wisp_destroy(server.w);
    wisp_simulator_free(&player.net);
    return hits == 1 && smooth.most < newest.most ? 0 : 1;
}
