/* 20_rollback.c - a fight of two, without a server: rollback between peers

   Each end runs the whole game from the inputs of both, guesses what the other does now, and where
   that was wrong goes back and runs the ticks since again. The game is whole numbers alone, so it
   is the same on every machine.

   Build    cc -I.. 20_rollback.c -o rollback -lm      (Windows: add -lws2_32)
            with a window: add -DFIGHT_SDL -lSDL2
   Run      ./rollback                        both ends in one process, on a bad network: the test
            ./rollback host PORT              in one terminal,
            ./rollback join HOST:PORT         in another, perhaps with wisp_relay between them
            options: --sync runs every tick twice (sync test), --bot plays by itself,
                     --seconds N ends after that time
   Keys     a, d: walk   w: jump   space: punch   s: block   q: quit
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdlib.h>
#ifdef _WIN32
#include <conio.h>
#else
#include <termios.h>
#endif
#ifdef FIGHT_SDL
#define SDL_MAIN_HANDLED
#include <SDL2/SDL.h>
#endif
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { LEFT = 1, RIGHT = 2, JUMP = 4, PUNCH = 8, BLOCK = 16, WIDTH = 64, HEIGHT = 8, UNIT = 16 };

/* ---- the game: all of its state is here ---------------------------------- */

typedef struct input { uint8_t keys; } input;
typedef struct fighter { int32_t x, y, vy, health, arm, shield, wins; } fighter;
typedef struct fight { fighter of[2]; int32_t pause; uint32_t dice; } fight;

static const wisp_field input_fields[] = { WISP_FIELD(input, keys, WISP_T_RANGE(0, 31)) };
static const wisp_schema input_schema = WISP_SCHEMA(input, 1, input_fields);

static void fight_begin(fight *f) {
    int32_t wins[2] = { f->of[0].wins, f->of[1].wins };
    memset(f->of, 0, sizeof f->of);
    for (int i = 0; i < 2; i++) {
        f->of[i].x = (i ? 44 : 20) * UNIT;
        f->of[i].health = 20;
        f->of[i].wins = wins[i];
    }
}

static void move(fighter *me, int keys) {
    me->x += ((keys & RIGHT) != 0) * 6 - ((keys & LEFT) != 0) * 6;
    if (me->x < UNIT) me->x = UNIT;
    if (me->x > (WIDTH - 2) * UNIT) me->x = (WIDTH - 2) * UNIT;
    if (me->y == 0 && keys & JUMP) me->vy = 20;
    me->y += me->vy;
    me->vy = me->y > 0 ? me->vy - 1 : 0;
    if (me->y < 0) me->y = 0;
    me->shield = (keys & BLOCK) && !me->y;
    if (me->arm > 0) me->arm--;
    else if (keys & PUNCH) me->arm = 18;
}

static void hit(fight *f, fighter *from, fighter *to) {
    int32_t far = to->x - from->x;
    if (from->arm != 14 || far < -5 * UNIT || far > 5 * UNIT || to->y > 2 * UNIT) return;
    f->dice = f->dice * 1664525u + 1013904223u;           /* chance is part of the state */
    to->health -= to->shield ? 0 : 1 + (int32_t)(f->dice >> 31);
    to->x += far < 0 ? -UNIT : UNIT;
    if (to->health > 0) return;
    from->wins++;
    f->pause = 90;
}

/* inputs[i] is NULL when that player has left. */
static void fight_step(fight *f, const void *const *inputs) {
    if (f->pause > 0 && --f->pause == 0) fight_begin(f);
    if (f->pause > 0) return;
    for (int i = 0; i < 2; i++)
        move(&f->of[i], inputs[i] ? ((const input *)inputs[i])->keys : 0);
    for (int i = 0; i < 2; i++) hit(f, &f->of[i], &f->of[!i]);
}

/* ---- an end --------------------------------------------------------------- */

typedef struct end {
    udp_socket socket;
    wisp      *w;
    wisp_peer  peer;
    fight      f;
    int        me, desyncs, stalled;
    uint32_t   dice;
} end;

static void on_step(void *user, const void *const *inputs, int64_t tick) {
    (void)tick;
    fight_step(&((end *)user)->f, inputs);
}
static void on_save(void *user, void *out) { memcpy(out, &((end *)user)->f, sizeof(fight)); }
static void on_load(void *user, const void *s) { memcpy(&((end *)user)->f, s, sizeof(fight)); }

static void on_desync(wisp_event *event) {
    end *e = event->user;
    if (!e->desyncs++)
        fprintf(stderr, "\ndesync before tick %.0f: %s\n", (double)event->tick,
                event->peer.id ? "the ends differ" : "something is not saved");
}

static void on_stalled(wisp_event *event) { ((end *)event->user)->stalled = 1; }
static void on_resumed(wisp_event *event) { ((end *)event->user)->stalled = 0; }

static bool begin(end *e, bool sync) {
    wisp_rollback_desc d = { .players = 2, .delay = 2, .input = &input_schema };
    wisp_peer players[2] = { { 0 }, { 0 } };
    players[!e->me] = e->peer;                            /* the same order on both ends */
    d.state_bytes = (int)sizeof(fight);
    d.step = on_step, d.save = on_save, d.load = on_load, d.user = e, d.sync_test = sync;
    wisp_on(e->w, WISP_DESYNC, on_desync, e);
    wisp_on(e->w, WISP_STALLED, on_stalled, e);
    wisp_on(e->w, WISP_RESUMED, on_resumed, e);
    memset(&e->f, 0, sizeof e->f);
    fight_begin(&e->f);
    return wisp_rollback_begin(e->w, &d, players, NULL, 0) == WISP_OK;
}

/* What a bot does: it walks to the other one and punches. */
static int bot(end *e) {
    const fighter *me = &e->f.of[e->me], *other = &e->f.of[!e->me];
    int32_t far = other->x - me->x;
    e->dice = e->dice * 1664525u + 1013904223u;
    if (e->dice >> 27 == 0) return JUMP;
    if (far < -4 * UNIT) return LEFT;
    if (far > 4 * UNIT) return RIGHT;
    return (e->dice >> 30) ? PUNCH : BLOCK;
}

/* ---- the screen ----------------------------------------------------------- */

#ifdef FIGHT_SDL
static SDL_Renderer *screen;

static void box(int x, int y, int w, int h, int i) {
    SDL_Rect r = { x, y, w, h };
    SDL_SetRenderDrawColor(screen, i ? 90 : 230, 120, i ? 230 : 80, 255);
    SDL_RenderFillRect(screen, &r);
}

static void draw(const end *e, const char *status) {
    SDL_SetRenderDrawColor(screen, 20, 20, 30, 255);
    SDL_RenderClear(screen);
    for (int i = 0; i < 2; i++) {
        const fighter *p = &e->f.of[i];
        int x = p->x * 10 / UNIT, y = 220 - p->y * 10 / UNIT, face = p->x > e->f.of[!i].x ? -1 : 1;
        box(x - 8, y - 50, 16, 50, i);
        if (p->arm > 10) box(face > 0 ? x + 8 : x - 32, y - 36, 24, 6, i);
        if (p->shield) box(x + face * 14 - 2, y - 50, 4, 40, i);
        box(i ? 640 - 10 - p->health * 14 : 10, 10, p->health * 14, 12, i);
    }
    SDL_RenderPresent(screen);
    (void)status;
}

static bool keyboard(int *keys, const end *e, const char *status) {
    const Uint8 *down = SDL_GetKeyboardState(NULL);
    SDL_Event event;
    (void)e;
    while (SDL_PollEvent(&event)) if (event.type == SDL_QUIT) return false;
    *keys = down[SDL_SCANCODE_A] * LEFT | down[SDL_SCANCODE_D] * RIGHT | down[SDL_SCANCODE_W] * JUMP
          | down[SDL_SCANCODE_SPACE] * PUNCH | down[SDL_SCANCODE_S] * BLOCK;
    SDL_SetWindowTitle(SDL_RenderGetWindow(screen), status);
    return !down[SDL_SCANCODE_Q];
}

static void screen_open(void) {
    SDL_Init(SDL_INIT_VIDEO);
    screen = SDL_CreateRenderer(SDL_CreateWindow("fight", 50, 50, 640, 240, 0), -1, 0);
}
#else
static void draw(const end *e, const char *status) {
    char cells[HEIGHT][WIDTH + 1];
    for (int y = 0; y < HEIGHT; y++) snprintf(cells[y], sizeof cells[y], "%*s", WIDTH, "");
    for (int i = 0; i < 2; i++) {
        const fighter *p = &e->f.of[i];
        int x = p->x / UNIT, y = HEIGHT - 2 - p->y / (2 * UNIT);
        int face = p->x > e->f.of[!i].x ? -1 : 1;
        for (int k = 0; k < 2; k++)
            if (y + k >= 0) cells[y + k][x] = k ? "AB"[i] : 'o';
        if (p->arm > 10 && y >= 0) cells[y][x + face] = '-';
        if (p->shield && y >= 0) cells[y][x + face] = '|';
    }
    printf("\033[H");
    for (int i = 0; i < 2; i++) {
        int health = e->f.of[i].health > 0 ? e->f.of[i].health : 0;
        printf("%c %2d %-20.*s   ", "AB"[i], (int)e->f.of[i].wins, health, "####################");
    }
    printf("\033[K\n");
    for (int y = 0; y < HEIGHT; y++) printf("%s\033[K\n", cells[y]);
    for (int x = 0; x < WIDTH; x++) putchar('=');
    printf("\n%s\033[K\n", status);
    fflush(stdout);
}

static int key(void) {
#ifdef _WIN32
    return _kbhit() ? _getch() : -1;
#else
    struct pollfd in = { 0, POLLIN, 0 };
    char c;
    return poll(&in, 1, 0) > 0 && in.revents & POLLIN && read(0, &c, 1) == 1 ? c : -1;
#endif
}

/* A terminal does not tell when a key goes up: it counts as down for an eighth of a second. */
static bool keyboard(int *keys, const end *e, const char *status) {
    static const char names[] = "adw s";                  /* in the order of LEFT .. BLOCK */
    static int left[5];
    const char *at;
    (void)e, (void)status;
    for (int c; (c = key()) >= 0;) {
        if (c == 'q') return false;
        if (c && (at = strchr(names, c)) != NULL) left[at - names] = 8;
    }
    for (int i = *keys = 0; i < 5; i++)
        if (left[i]-- > 0) *keys |= 1 << i;
    return true;
}

#ifndef _WIN32
static struct termios before;
static void screen_close(void) { tcsetattr(0, TCSANOW, &before); }
#endif

static void screen_open(void) {
#ifndef _WIN32
    struct termios raw;
    if (tcgetattr(0, &before)) return;
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(0, TCSANOW, &raw);
    atexit(screen_close);
#endif
    printf("\033[2J");
}
#endif

/* ---- playing -------------------------------------------------------------- */

static int play(int argc, char **argv) {
    static end e;
    bool sync = false, by_bot = false, host = strcmp(argv[1], "host") == 0, on = true;
    double seconds = 1e9, start, due;
    char status[160] = "";
    wisp_desc desc = { .app = "fight" };
    wisp_addr address;
    for (int i = 3; i < argc; i++) {
        sync = sync || strcmp(argv[i], "--sync") == 0;
        by_bot = by_bot || strcmp(argv[i], "--bot") == 0;
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) seconds = atof(argv[i + 1]);
    }
    desc.link = udp_link(&e.socket);
    if (!udp_open(&e.socket, NULL, host ? atoi(argv[2]) : 0)) return 1;
    e.w = wisp_create(&desc, NULL);
    e.me = !host;
    e.dice = (uint32_t)e.me + 1;
    if (!host) {
        char name[256], *colon;
        snprintf(name, sizeof name, "%s", argv[2]);
        colon = strrchr(name, ':');
        if (!colon) return 2;
        *colon = 0;
        if (!udp_resolve(name, atoi(colon + 1), &address)) return 1;
        wisp_join(e.w, &address, NULL, 0);
    }
    printf("waiting for the other one\n");
    while (!wisp_peers(e.w, &e.peer, 1)) {
        udp_wait(&e.socket, 0.01);
        wisp_update(e.w, udp_seconds());
    }
    if (!begin(&e, sync)) return printf("%s\n", wisp_why_text(e.w)), 1;
    screen_open();
    start = due = udp_seconds();
    while (on && udp_seconds() < start + seconds) {
        input in = { 0 };
        int keys = 0;
        wisp_rollback_stats s;
        while (udp_seconds() < due) udp_wait(&e.socket, due - udp_seconds());
        due += 1 / 60.0;
        if (udp_seconds() > due + 0.1) due = udp_seconds();   /* after a pause: no hurry */
        on = keyboard(&keys, &e, status);
        in.keys = (uint8_t)(by_bot ? bot(&e) : keys);
        wisp_update(e.w, udp_seconds());                  /* what has come, .. */
        if (wisp_rollback_step(e.w, &in) < 0) break;
        wisp_flush_batches(e.w);                          /* .. a tick, what is to go */
        wisp_stats_rollback(e.w, &s);
        snprintf(status, sizeof status, "tick %.0f  run again %.0f in %.0f  stalls %.0f  waits %.0f"
                 "  ahead %.1f%s%s", (double)s.tick, (double)s.ran_again, (double)s.rollbacks,
                 (double)s.stalls, (double)s.waits, s.ahead, e.stalled ? "  WAITS" : "",
                 s.present == 3 ? "" : "  alone");
        draw(&e, status);
    }
    printf("\n%s  wins %d:%d  desyncs %d\n", status, (int)e.f.of[0].wins, (int)e.f.of[1].wins,
           e.desyncs);
    wisp_destroy(e.w);
    return e.desyncs ? 1 : 0;
}

/* Two bots on a simulated network, in simulated time: both must have seen the same fight. */
static int demo(void) {
    static end ends[2];
    static wisp_pipe pipe;
    static wisp_simulator nets[2];
    wisp_rollback_stats s[2];
    wisp_addr to = wisp_loopback_addr(0);
    double now = 0;
    for (int i = 0; i < 2; i++) {
        wisp_desc desc = { .app = "fight" };
        wisp_simulator_set(&nets[i], "mobile");
        desc.link = wisp_simulate(&nets[i], wisp_loopback(&pipe, i));
        ends[i].w = wisp_create(&desc, NULL);
        ends[i].me = i;
        ends[i].dice = (uint32_t)i + 1;
    }
    wisp_join(ends[1].w, &to, NULL, 0);
    for (int tick = 0; tick < 1800; tick++, now += 1 / 60.0)
        for (int i = 0; i < 2; i++) {
            input in = { (uint8_t)bot(&ends[i]) };
            nets[i].now = now;
            wisp_update(ends[i].w, now);
            if (!ends[i].peer.id && wisp_peers(ends[i].w, &ends[i].peer, 1)) begin(&ends[i], true);
            if (ends[i].peer.id) wisp_rollback_step(ends[i].w, &in);
        }
    for (int i = 0; i < 2; i++) {
        wisp_stats_rollback(ends[i].w, &s[i]);
        printf("end %d: %.0f ticks, %.0f run again in %.0f rollbacks, %.0f stalls, %d desyncs, "
               "%.0f hashes equal\n", i, (double)s[i].tick, (double)s[i].ran_again,
               (double)s[i].rollbacks, (double)s[i].stalls, ends[i].desyncs, (double)s[i].hashed);
    }
    for (int i = 0; i < 2; i++) wisp_destroy(ends[i].w);
    for (int i = 0; i < 2; i++) wisp_simulator_free(&nets[i]);
    wisp_pipe_free(&pipe);
    return s[0].confirmed > 1500 && s[1].hashed > 100 && !ends[0].desyncs && !ends[1].desyncs ? 0
                                                                                             : 1;
}

int main(int argc, char **argv) {
    if (argc == 1) return demo();
    if (argc > 2 && (strcmp(argv[1], "host") == 0 || strcmp(argv[1], "join") == 0))
        return play(argc, argv);
    printf("usage: rollback [host PORT | join HOST:PORT] [--sync] [--bot] [--seconds N]\n");
    return 2;
}
