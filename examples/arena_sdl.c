/* arena_sdl.c - the field of arena.c in windows: one serves and plays, others join

   Each window simulates a network of its own, as bad as you like. What is solid is WISP_SMOOTH: the
   own player runs ahead of the server, unless you turn prediction off, and the others are drawn a
   little late. An outline is the newest that the server has told (WISP_CONFIRMED). A shot is judged
   by what its player saw: wisp_seen_by and wisp_past tell the server where the others were then.

   Build    cc -I.. arena_sdl.c -o arena_sdl -lSDL2 -lm     (Windows: add -lws2_32)
   Run      ./arena_sdl                             serves on port 7777, and plays
            ./arena_sdl join [HOST [PORT]]          up to three times, in other terminals
            options: --net "mobile loss=5"          the network: see wisp_simulator_set
                     --keys o3b                     begins with these
                     --after N                      ends N seconds after it has joined
                     --shot FILE.bmp                the last picture
                     --port N                       serves on this one; 0: on any
   Keys     w a s d, arrows: walk   mouse: aim   click, space: fire   1 to 5: the network
            o: the overlay, page by page   p: prediction   g: ghosts   b: the bot   Esc: end
*/
#include "arena.h"      /* first: its udp.h asks the system headers for more than C99 offers */
#include <math.h>
#include <stdlib.h>
#define SDL_MAIN_HANDLED
#include <SDL2/SDL.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"
#include "font.h"

enum { SCALE = 12, EDGE = 24, WIDTH = FIELD_WIDTH * SCALE + 2 * EDGE };      /* pixels */
enum { HEIGHT = FIELD_HEIGHT * SCALE + 2 * EDGE, BODY = SCALE - 2 };

static const uint32_t colors[PLAYERS] = { 0xe05a5aff, 0x4f9de0ff, 0x63c174ff, 0xc77de0ff };
static const uint32_t ghosts[PLAYERS] = { 0xffb3a8ff, 0xa8d8ffff, 0xb8f0c0ff, 0xecc4ffff };
static const char *const nets[] = { "none", "wifi", "mobile", "satellite", "awful" };

/* What was last drawn of a player, to notice that it has fired or was hit. */
typedef struct mark { uint32_t object; uint8_t shots, wounds; double beam, hurt; } mark;

typedef struct game {
    arena         a;
    SDL_Renderer *to;
    SDL_Texture  *font;
    wisp_addr     server;
    bool          serves, bot, ghosts, predicts, over;
    int           fired, hit;            /* at the server */
    int           page;                  /* of the overlay, or -1 */
    double        began;                 /* when it was first on the field */
    const char   *net;
    input         in;
    mark          marks[PLAYERS];
} game;

/* ---- the server -------------------------------------------------------------- */

static void spawn(game *g, wisp_player owner) {
    avatar fresh = { .place = { 0, FIELD_HEIGHT / 2 } }, it;
    unsigned taken = 0;
    wisp_object o = wisp_first(g->a.w, g->a.avatars);
    for (; wisp_view(g->a.w, o, WISP_NOW, &it); o = wisp_next(g->a.w, o)) taken |= 1u << it.number;
    while (taken & 1u << fresh.number) fresh.number++;
    fresh.place.x = 10 + 12.0f * fresh.number;
    wisp_spawn(g->a.w, g->a.avatars, owner, &fresh);
}

static void on_joined(wisp_event *event) {
    spawn(event->user, wisp_player_of(event->w, event->peer));
}

/* How far away a shot hits somebody who was there; less than 0: it does not. */
static float hits(const avatar *from, wisp_vec2 there) {
    float x = there.x - from->place.x, y = there.y - from->place.y;
    float ahead = x * cosf(from->aim) + y * sinf(from->aim);
    float aside = y * cosf(from->aim) - x * sinf(from->aim);
    return ahead < RANGE && fabsf(aside) < 1 ? ahead : -1;
}

/* Takes a coin from the nearest whom the shot hits, where the shooter saw it. */
static void shoot(arena *a, wisp_object by, avatar *me) {
    game *g = (game *)a;                  /* its first member */
    wisp *w = a->w;
    wisp_object o = wisp_first(w, a->avatars), victim = { 0 };
    double seen = wisp_seen_by(w, wisp_owner_of(w, by));
    float nearest = RANGE;
    avatar was, *it;
    for (; o.id; o = wisp_next(w, o)) {
        float far = o.id != by.id && wisp_past(w, o, seen, &was) ? hits(me, was.place) : -1;
        if (far < 0 || far > nearest) continue;
        nearest = far;
        victim = o;
    }
    g->fired++;
    it = wisp_object_edit(w, victim);
    if (!it) return;
    g->hit++;
    it->wounds++;
    if (it->coins == 0) return;
    it->coins--;
    me->coins++;
}

static void on_server_tick(wisp_event *event) {
    game *g = event->user;
    if (items_left(&g->a) == 0) items_spawn(&g->a);
}

/* ---- a client ---------------------------------------------------------------- */

static void sample(wisp *w, void *input_of_it, void *user) {
    (void)w;
    *(input *)input_of_it = ((game *)user)->in;
}

static void on_left(wisp_event *event) {
    game *g = event->user;
    if (!g->over) wisp_join(event->w, &g->server, NULL, 0);
}

/* ---- drawing ----------------------------------------------------------------- */

static void set_color(game *g, uint32_t rgba) {
    SDL_SetRenderDrawColor(g->to, (Uint8)(rgba >> 24), (Uint8)(rgba >> 16), (Uint8)(rgba >> 8),
                           (Uint8)rgba);
}

static void fill_rect(void *user, float x, float y, float width, float height, uint32_t rgba) {
    SDL_Rect rect = { (int)x, (int)y, (int)width, (int)height };
    set_color(user, rgba);
    SDL_RenderFillRect(((game *)user)->to, &rect);
}

static void write_text(void *user, float x, float y, uint32_t rgba, const char *text) {
    game *g = user;
    SDL_Rect from = { 0, 0, FONT_WIDTH, FONT_HEIGHT };
    SDL_Rect to = { (int)x, (int)y, FONT_WIDTH, FONT_HEIGHT };
    SDL_SetTextureColorMod(g->font, (Uint8)(rgba >> 24), (Uint8)(rgba >> 16), (Uint8)(rgba >> 8));
    SDL_SetTextureAlphaMod(g->font, (Uint8)rgba);
    for (; *text; text++, to.x += FONT_WIDTH) {
        from.x = (int)(font_glyph(*text) - font_rows[0]) / FONT_HEIGHT * FONT_WIDTH;
        SDL_RenderCopy(g->to, g->font, &from, &to);
    }
}

/* All glyphs in a row. */
static SDL_Texture *font_texture(SDL_Renderer *to) {
    static uint32_t pixels[FONT_HEIGHT][FONT_COUNT * FONT_WIDTH];
    SDL_Texture *font = SDL_CreateTexture(to, SDL_PIXELFORMAT_RGBA8888, SDL_TEXTUREACCESS_STATIC,
                                          FONT_COUNT * FONT_WIDTH, FONT_HEIGHT);
    for (int y = 0; y < FONT_HEIGHT; y++)
        for (int x = 0; x < FONT_COUNT * FONT_WIDTH; x++)
            if (font_rows[x / FONT_WIDTH][y] & 0x80 >> x % FONT_WIDTH) pixels[y][x] = 0xffffffff;
    SDL_UpdateTexture(font, NULL, pixels, sizeof pixels[0]);
    SDL_SetTextureBlendMode(font, SDL_BLENDMODE_BLEND);
    return font;
}

static float at_x(wisp_vec2 place) { return EDGE + place.x * SCALE; }
static float at_y(wisp_vec2 place) { return EDGE + place.y * SCALE; }

static void line(game *g, const avatar *from, float begin, float end) {
    float x = at_x(from->place), y = at_y(from->place), c = cosf(from->aim), s = sinf(from->aim);
    for (float side = -1; side <= 1; side++)
        SDL_RenderDrawLineF(g->to, x + c * begin - s * side, y + s * begin + c * side,
                            x + c * end - s * side, y + s * end + c * side);
}

static void draw_solid(game *g, const avatar *it, bool mine) {
    char coins[16];
    set_color(g, colors[it->number]);
    for (int y = -BODY; y <= BODY; y++) {
        float half = sqrtf((float)(BODY * BODY - y * y)), row = at_y(it->place) + (float)y;
        SDL_RenderDrawLineF(g->to, at_x(it->place) - half, row, at_x(it->place) + half, row);
    }
    line(g, it, BODY, BODY + 6);
    snprintf(coins, sizeof coins, "%d", it->coins);
    write_text(g, at_x(it->place) - 4.0f * (float)strlen(coins), at_y(it->place) - 5,
               mine ? 0xffffffff : 0x101418ff, coins);
}

static void draw_ring(game *g, const avatar *it, int radius) {
    SDL_FPoint ring[33];
    for (int thick = 0; thick < 2; thick++, radius++) {
        for (int i = 0; i < 33; i++) {
            float angle = (float)i * 6.2831853f / 32;
            ring[i].x = at_x(it->place) + (float)radius * cosf(angle);
            ring[i].y = at_y(it->place) + (float)radius * sinf(angle);
        }
        SDL_RenderDrawLinesF(g->to, ring, 33);
    }
}

/* A beam when its shots have changed, a flash when its wounds have. */
static void draw_news(game *g, wisp_object o, const avatar *it) {
    mark *m = &g->marks[it->number];
    double now = g->a.net.now;
    if (m->object == o.id && m->shots != it->shots) m->beam = now + 0.15;
    if (m->object == o.id && m->wounds != it->wounds) m->hurt = now + 0.25;
    m->object = o.id;
    m->shots = it->shots;
    m->wounds = it->wounds;
    set_color(g, 0xffffc0ff);
    if (now < m->beam) line(g, it, BODY + 6, RANGE * SCALE);
    if (now < m->hurt) draw_ring(g, it, BODY + 6);
}

/* What is drawn solid. Without prediction also the own avatar is drawn as late as the others. */
static bool seen(game *g, wisp_object o, avatar *out) {
    wisp_times_of times;
    if (g->predicts || !wisp_is_mine(g->a.w, o)) return wisp_view(g->a.w, o, WISP_SMOOTH, out);
    wisp_times(g->a.w, &times);
    return wisp_past(g->a.w, o, times.smooth, out);
}

static void draw_field(game *g) {
    wisp *w = g->a.w;
    SDL_Rect inside = { EDGE, EDGE, FIELD_WIDTH * SCALE, FIELD_HEIGHT * SCALE };
    avatar it;
    item thing;
    wisp_object o = wisp_first(w, g->a.items);
    SDL_RenderSetClipRect(g->to, &inside);
    fill_rect(g, 0, 0, WIDTH, HEIGHT, 0x1d232bff);
    for (; o.id; o = wisp_next(w, o))
        if (wisp_view(w, o, WISP_SMOOTH, &thing))
            fill_rect(g, at_x(thing.place) - 3, at_y(thing.place) - 3, 7, 7, 0xf2c94cff);
    for (o = wisp_first(w, g->a.avatars); o.id; o = wisp_next(w, o)) {
        if (!seen(g, o, &it)) continue;
        draw_solid(g, &it, wisp_is_mine(w, o));
        draw_news(g, o, &it);
    }
    for (o = wisp_first(w, g->a.avatars); g->ghosts && o.id; o = wisp_next(w, o))
        if (wisp_view(w, o, WISP_CONFIRMED, &it)) {
            set_color(g, ghosts[it.number]);
            draw_ring(g, &it, BODY + 2);
        }
    SDL_RenderSetClipRect(g->to, NULL);
}

static void draw_texts(game *g) {
    char text[128];
    wisp_peer_stats stats;
    wisp_stats_peer(g->a.w, WISP_SERVER, &stats);
    if (g->serves) snprintf(text, sizeof text, "serves on port %d, %d joined; network: %s",
                            udp_port(&g->a.socket), wisp_peers(g->a.w, NULL, 0), g->net);
    else if (wisp_me(g->a.w).id)
        snprintf(text, sizeof text,
                 "player %d; round trip %.0f ms, %.1f%% lost; prediction: %s; network: %s",
                 wisp_me(g->a.w).id, stats.rtt * 1000, stats.loss * 100,
                 g->predicts ? "on" : "off", g->net);
    else snprintf(text, sizeof text, "joins; network: %s", g->net);
    write_text(g, EDGE, 6, 0xd0d8e0ff, text);
    write_text(g, EDGE, HEIGHT - 18, 0x8894a0ff,
               "wasd, mouse, click  1-5: network  o: overlay  p: prediction  g: ghosts  b: bot  "
               "Esc: end");
}

static void draw(game *g) {
    SDL_Rect panel = { (WIDTH - 640) / 2, (HEIGHT - 360) / 2, 640, 360 };
    wisp_canvas canvas = { .rect = fill_rect, .text = write_text, .user = g, .page = g->page };
    set_color(g, 0x101418ff);
    SDL_RenderClear(g->to);
    draw_field(g);
    draw_texts(g);
    if (g->page < 0) return;
    SDL_RenderSetViewport(g->to, &panel);
    wisp_overlay(g->a.w, &canvas);
    SDL_RenderSetViewport(g->to, NULL);
}

static bool photograph(game *g, const char *file) {
    Uint32 format = SDL_PIXELFORMAT_BGR24;
    SDL_Surface *s = SDL_CreateRGBSurfaceWithFormat(0, WIDTH, HEIGHT, 24, format);
    draw(g);
    return s && SDL_RenderReadPixels(g->to, NULL, format, s->pixels, s->pitch) == 0 &&
           SDL_SaveBMP(s, file) == 0;
}

/* ---- the player -------------------------------------------------------------- */

static void set_net(game *g, const char *text) {
    if (wisp_simulator_set(&g->a.net, text) == WISP_OK) g->net = text;
    else printf("%s: %s\n", text, g->a.net.error);
}

static void on_key(game *g, SDL_Keycode key) {
    if (key >= SDLK_1 && key <= SDLK_5) set_net(g, nets[key - SDLK_1]);
    if (key == SDLK_o) g->page = g->page + 1 < WISP_PAGES ? g->page + 1 : -1;
    if (key == SDLK_p) g->predicts = !g->predicts;
    if (key == SDLK_g) g->ghosts = !g->ghosts;
    if (key == SDLK_b) g->bot = !g->bot;
    if (key == SDLK_ESCAPE) g->over = true;
}

/* Fires at the nearest in reach. */
static void bot_aim(game *g, const avatar *me) {
    wisp_object o = wisp_first(g->a.w, g->a.avatars);
    float nearest = RANGE;
    avatar it;
    g->in.fire = false;
    for (; o.id; o = wisp_next(g->a.w, o)) {
        float x, y;
        if (wisp_is_mine(g->a.w, o) || !wisp_view(g->a.w, o, WISP_SMOOTH, &it)) continue;
        x = it.place.x - me->place.x;
        y = it.place.y - me->place.y;
        if (hypotf(x, y) > nearest) continue;
        nearest = hypotf(x, y);
        g->in.aim = atan2f(y, x);
        g->in.fire = true;
    }
}

static void think(game *g) {
    const Uint8 *down = SDL_GetKeyboardState(NULL);
    int x, y;
    bool click = (SDL_GetMouseState(&x, &y) & SDL_BUTTON_LMASK) != 0;
    wisp_object mine = avatar_of(&g->a, wisp_me(g->a.w));
    avatar me;
    if (!wisp_is_mine(g->a.w, mine) || !seen(g, mine, &me)) return;
    if (g->began <= 0) g->began = g->a.net.now;
    if (g->bot) {
        bot(&g->a, &g->in);
        bot_aim(g, &me);
        return;
    }
    g->in.go.x = (float)((down[SDL_SCANCODE_D] | down[SDL_SCANCODE_RIGHT]) -
                         (down[SDL_SCANCODE_A] | down[SDL_SCANCODE_LEFT]));
    g->in.go.y = (float)((down[SDL_SCANCODE_S] | down[SDL_SCANCODE_DOWN]) -
                         (down[SDL_SCANCODE_W] | down[SDL_SCANCODE_UP]));
    g->in.aim = atan2f((float)y - at_y(me.place), (float)x - at_x(me.place));
    g->in.fire = click || down[SDL_SCANCODE_SPACE];
}

static void look(game *g) {
    for (SDL_Event event; SDL_PollEvent(&event);) {
        if (event.type == SDL_QUIT) g->over = true;
        if (event.type == SDL_KEYDOWN && !event.key.repeat) on_key(g, event.key.keysym.sym);
    }
    think(g);
    draw(g);
    SDL_RenderPresent(g->to);
}

/* ---- one end ----------------------------------------------------------------- */

static double profiler_clock(void *unused) { return (void)unused, udp_seconds(); }

static bool open_end(game *g, int port) {
    wisp_class_desc avatars = { .priority = WISP_PRIORITY(400) };
    wisp_desc desc = { .max_peers = PLAYERS - 1, .timeout = 3 };
    wisp_profiler profiler = { .clock = profiler_clock };
    wisp_player me = { 0 };
    if (g->serves) desc.tick_rate = TICK_RATE;
    if (!arena_open(&g->a, NULL, port, &desc, &avatars)) return false;
    wisp_use_profiler(g->a.w, &profiler);
    wisp_on_input(g->a.w, sample, g);
    if (!g->serves) {
        wisp_on(g->a.w, WISP_LEFT, on_left, g);
        return wisp_join(g->a.w, &g->server, NULL, 0).id != 0;
    }
    wisp_on(g->a.w, WISP_JOINED, on_joined, g);
    wisp_on_tick(g->a.w, on_server_tick, g);
    g->a.shoot = shoot;
    spawn(g, me);
    printf("join with: arena_sdl join 127.0.0.1 %d\n", udp_port(&g->a.socket));
    return fflush(stdout) == 0;
}

static bool open_window(game *g) {
    SDL_Window *window;
    SDL_SetMainReady();
    if (SDL_Init(SDL_INIT_VIDEO) != 0) return false;
    window = SDL_CreateWindow(g->serves ? "arena: serves" : "arena", SDL_WINDOWPOS_UNDEFINED,
                              SDL_WINDOWPOS_UNDEFINED, WIDTH, HEIGHT, 0);
    g->to = window ? SDL_CreateRenderer(window, -1, 0) : NULL;
    if (!g->to) return false;
    g->font = font_texture(g->to);
    return SDL_SetRenderDrawBlendMode(g->to, SDL_BLENDMODE_BLEND) == 0;
}

int main(int argc, char **argv) {
    static game g = { .serves = true, .ghosts = true, .predicts = true, .page = -1, .net = "none" };
    const char *host = "127.0.0.1", *shot = NULL;
    int port = 7777, i = 1;
    double frame = 0, after = 1e9, now;
    bool good = true;
    if (argc > 1 && strcmp(argv[1], "join") == 0) {
        g.serves = false;
        if (++i < argc && argv[i][0] != '-') host = argv[i++];
        if (i < argc && argv[i][0] != '-') port = atoi(argv[i++]);
    }
    for (; i < argc; i++) {
        bool more = i + 1 < argc;
        if (more && strcmp(argv[i], "--net") == 0) set_net(&g, argv[++i]);
        else if (more && strcmp(argv[i], "--keys") == 0)
            for (const char *key = argv[++i]; *key; key++) on_key(&g, *key);
        else if (more && strcmp(argv[i], "--shot") == 0) shot = argv[++i];
        else if (more && strcmp(argv[i], "--after") == 0) after = atof(argv[++i]);
        else if (more && strcmp(argv[i], "--port") == 0) port = atoi(argv[++i]);
        else return fprintf(stderr, "arena_sdl: not an option: %s\n", argv[i]), 2;
    }
    if (!g.serves && !udp_resolve(host, port, &g.server)) return 1;
    if (!open_window(&g)) return fprintf(stderr, "no window: %s\n", SDL_GetError()), 1;
    if (!open_end(&g, g.serves ? port : 0)) return fprintf(stderr, "no port, or no memory\n"), 1;
    while (!g.over && (g.began <= 0 || g.a.net.now < g.began + after)) {
        now = arena_update(&g.a, 0.004);
        if (now < frame) continue;
        frame = now + 1.0 / 60;
        look(&g);
    }
    if (shot) good = photograph(&g, shot);
    if (g.serves) printf("%d shots, %d hit\n", g.fired, g.hit);
    g.over = true;
    arena_close(&g.a);
    SDL_Quit();
    return good ? 0 : 1;
}
