/* 11_overlay.c - a debug panel, drawn into a picture

   A server and four clients play for two minutes of simulated time; the network is bad for a while.
   Then two callbacks draw the server's panel into 8-bit RGB, which is written as a PNG. In a game
   they would call its renderer, and wisp_overlay would stand in its main loop.

   Build    cc -I.. 11_overlay.c -o overlay -lpng -lm
   Run      ./overlay [FILE.png [PAGE [FILTER]]]      PAGE 0 to 3; exits 0 when it is written
*/
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"
#include "font.h"

/* ---- the renderer ------------------------------------------------------ */

enum { WIDTH = 640, HEIGHT = 360 };
typedef struct picture { unsigned char pixels[HEIGHT][WIDTH][3]; } picture;

static void blend(unsigned char *pixel, uint32_t rgba) {
    uint32_t alpha = rgba & 255;
    for (int i = 0; i < 3; i++, rgba <<= 8)
        pixel[i] = (unsigned char)(((rgba >> 24) * alpha + pixel[i] * (255 - alpha)) / 255);
}

static void fill_rect(void *user, float x, float y, float width, float height, uint32_t rgba) {
    picture *p = user;
    for (int row = (int)y; row < (int)(y + height); row++)
        for (int column = (int)x; column < (int)(x + width); column++)
            blend(p->pixels[row][column], rgba);
}

static void write_text(void *user, float x, float y, uint32_t rgba, const char *text) {
    picture *p = user;
    int left = (int)x, top = (int)y;
    for (; *text; text++, left += FONT_WIDTH) {
        const unsigned char *rows = font_glyph(*text);
        for (int i = 0; i < FONT_WIDTH * FONT_HEIGHT; i++)
            if (rows[i / FONT_WIDTH] & 0x80 >> i % FONT_WIDTH)
                blend(p->pixels[top + i / FONT_WIDTH][left + i % FONT_WIDTH], rgba);
    }
}

static bool write_png(const picture *p, const char *path) {
    png_image image = { .version = PNG_IMAGE_VERSION, .width = WIDTH, .height = HEIGHT,
                        .format = PNG_FORMAT_RGB };
    return png_image_write_to_file(&image, path, 0, p->pixels, 0, NULL) != 0;
}

/* ---- the game ---------------------------------------------------------- */

enum { CLIENTS = 4, ENDS = CLIENTS + 1, BODIES = 24, STEPS = 125 * 120 };    /* 120 a second */

static wisp_simulator nets[ENDS];
static wisp *ends[ENDS];                  /* the server is 0 */
static wisp_pipe wires;

static void ignore(wisp_event *e) { (void)e; }
static void on_check(wisp_event *e) { wisp_reply(e, wisp_uint(0x5eed)); }
static void on_shot(wisp_event *e) { wisp_fire_all(e->w, "shot", *wisp_arg_value(e, 0)); }
static void on_buy(wisp_event *e) {
    if (wisp_arg_int(e, 0) % 7 == 3) wisp_fail(e, WISP_E_USER - 2, "the shop has lost its list");
    else if (wisp_arg_int(e, 0) % 5) wisp_reply(e, wisp_bool(true));
    else wisp_refuse(e, WISP_E_USER - 1, "not enough coins for a lamp");
}

static void name_side(void *user, const wisp_addr *addr, char *out, int size) {
    static const char *const names[ENDS] = { "server", "ada", "bob", "cy", "dee" };
    (void)user;
    for (int i = 0; i < ENDS; i++) {
        wisp_addr side = wisp_loopback_addr(i);
        if (!memcmp(&side, addr, sizeof side)) snprintf(out, (size_t)size, "%s", names[i]);
    }
}

static bool start(void) {
    wisp_config moves = { .delivery = WISP_SEQUENCED };
    wisp_profiler profiler = { .address_text = name_side };
    wisp_addr server = wisp_loopback_addr(0);
    for (int i = 0; i < ENDS; i++) {
        wisp_desc desc = { .app = "skirmish", .seed = (uint64_t)i + 1 };
        nets[i].seed = (uint64_t)i + 1;
        desc.link = wisp_simulate(&nets[i], wisp_loopback(&wires, i));
        ends[i] = wisp_create(&desc, NULL);
        if (!ends[i] || wisp_use_config(ends[i], &moves, "player.input") ||
            wisp_use_delta(ends[i], NULL, "world.state")) return false;
        wisp_on(ends[i], "world.state", ignore, NULL);
        wisp_on(ends[i], "player.input", ignore, NULL);
        wisp_on(ends[i], "chat.say", ignore, NULL);
        wisp_on(ends[i], "shot", i > 0 ? ignore : on_shot, NULL);
        wisp_on_invoke(ends[i], i > 0 ? "client.check" : "shop.buy", i ? on_check : on_buy, NULL);
        if (i > 0) wisp_join(ends[i], &server, NULL, 0);
    }
    return wisp_use_profiler(ends[0], &profiler) == WISP_OK;
}

/* Clients steer, shoot, buy; the server tells where the bodies are of which some move. */
static void play(int n, bool fight) {
    static wisp_value bodies[BODIES];
    wisp_peer clients[CLIENTS];
    int second = n / 120, moving = 4 + second * second * 13 % 11 + fight * 9;
    for (int i = 0; i < moving; i++) bodies[i] = wisp_vec3v((float)n * 0.01f, (float)i, 0);
    if (n % 8 == 0) wisp_fire_all(ends[0], "world.state", wisp_array(bodies, BODIES));
    if (n % 120 == 0)
        for (int i = wisp_peers(ends[0], clients, CLIENTS) - 1; i >= 0; i--)
            wisp_invoke(ends[0], "client.check", clients[i], NULL, NULL, wisp_int(n));
    for (int i = 1; i < ENDS; i++) {
        if (!wisp_peers(ends[i], NULL, 0)) continue;
        if ((second * second * i + n / 4) % 9 > 2)
            wisp_fire(ends[i], "player.input", WISP_SERVER, wisp_vec3v((float)n, 0, (float)i));
        if (fight && (n + i * 5) % 44 == 0)
            wisp_fire(ends[i], "shot", WISP_SERVER, wisp_vec3v((float)n, 2, (float)i));
        if ((n + i * 52) % 760 == 0)
            wisp_invoke(ends[i], "shop.buy", WISP_SERVER, NULL, NULL, wisp_int(n / 760));
        if ((n + i * 124) % 960 == 0)
            wisp_fire(ends[i], "chat.say", WISP_SERVER, wisp_string("anyone seen the lamp?"));
    }
}

static bool run(const wisp_canvas *canvas) {
    for (int n = 0; n < STEPS; n++) {
        double now = n / 120.0, bad = now > 62 && now < 77;
        if (n % 4 == 0) play(n, n / 1080 % 3 == 1);
        for (int i = 0; i < ENDS; i++) {
            nets[i].now = now;
            nets[i].latency = 0.012 * (i + 1) + bad * 0.03;
            nets[i].jitter = 0.006 + bad * 0.02;
            nets[i].loss = 0.004 + bad * 0.05;
            wisp_update(ends[i], now);
        }
    }
    wisp_overlay(ends[0], canvas);
    return true;
}

int main(int argc, char **argv) {
    static picture p;
    const char *path = argc > 1 ? argv[1] : "overlay.png";
    wisp_canvas canvas = { .rect = fill_rect, .text = write_text, .user = &p,
                           .page = argc > 2 ? atoi(argv[2]) : WISP_PAGE_OVERVIEW,
                           .filter = argc > 3 ? argv[3] : NULL };
    bool written = start() && run(&canvas) && write_png(&p, path);
    for (int i = 0; i < ENDS; i++) wisp_destroy(ends[i]);
    for (int i = 0; i < ENDS; i++) wisp_simulator_free(&nets[i]);
    wisp_pipe_free(&wires);
    printf(written ? "%s: written\n" : "%s: could not be written\n", path);
    return written ? 0 : 1;
}
