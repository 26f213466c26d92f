/* wisp_top.c - looks into a running endpoint, in a terminal

   Build    cc -std=c99 -O2 -I. tools/wisp_top.c -o build/wisp_top -lm       (POSIX)
   Run      build/wisp_top [-1] [-p page] [-f filter] [-n frames] [-a app] [-v version] [-t ticket]
                           host port

   Joins the endpoint as any other peer does, invokes its remote "wisp_top" with the filter once a
   second, and draws the snapshot that comes back. Keys: 1 to 5 and tab turn the pages, q ends it.

       -p page     overview, remotes, objects, peers or errors, or its number, 1 to 5
       -f filter   only names that contain it
       -n frames   ends after so many
       -1          one frame, printed without clearing the screen: for scripts
       -a, -v      the other end's desc.app and desc.app_version; "" and 0
       -t ticket   what it is joined with; "wisp_top"

   What is not a terminal gets 80 columns and 30 lines without colours, or what COLUMNS and LINES
   say. Exit codes: 0 done, 1 nobody is there, or it does not offer that, 2 the arguments make no
   sense. The other end offers it in a few lines:

       static void on_top(wisp_event *event) {
           wisp_snapshot now;
           if (wisp_snapshot_take(event->w, wisp_arg_string(event, 0), &now) != WISP_OK) return;
           wisp_reply(event, wisp_struct(wisp_snapshot_schema(), &now));
       }
       ...
       wisp_use_profiler(w, &profiler);
       wisp_on_invoke(w, "wisp_top", on_top, NULL);
*/
#include "../examples/udp.h"    /* first: it asks the system headers for more than C99 offers */

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"

#define JOIN_SECONDS  5.0
#define REPLY_SECONDS 3.0
#define FRAME_SECONDS 1.0

/* ===========================================================================
 * The screen: every cell has 8 x 8 pixels, or a character in front of them
 * ======================================================================== */

enum { COLUMNS_MOST = 300, ROWS_MOST = 100, CELL = 8, BLOCKS = 14 };

typedef struct cell { char glyph[5]; uint32_t ink; } cell;

typedef struct screen {
    int      columns, rows;
    bool     colours;
    uint32_t back, ink;                  /* that the terminal has just now; bit 24: none yet */
    cell     cells[ROWS_MOST][COLUMNS_MOST];
    uint32_t pixels[ROWS_MOST * CELL][COLUMNS_MOST * CELL];      /* 0xRRGGBB */
} screen;

static void screen_clear(screen *s, int columns, int rows) {
    s->columns = columns < 1 ? 1 : columns < COLUMNS_MOST ? columns : COLUMNS_MOST;
    s->rows = rows < 1 ? 1 : rows < ROWS_MOST ? rows : ROWS_MOST;
    memset(s->cells, 0, sizeof s->cells);
    memset(s->pixels, 0, sizeof s->pixels);
}

/* The background does not shine through: whose panel lies over a terminal's text? */
static void screen_rect(void *user, float x, float y, float width, float height, uint32_t rgba) {
    screen *s = user;
    for (int row = (int)y; row < (int)(y + height); row++)
        for (int column = (int)x; column < (int)(x + width); column++)
            s->pixels[row][column] = rgba >> 8;
}

static void screen_text(void *user, float x, float y, uint32_t rgba, const char *text) {
    screen *s = user;
    int row = (int)y / CELL, column = (int)x / CELL;
    for (; *text && column < s->columns; column++) {
        cell *to = &s->cells[row][column];
        int size = 1;
        while (size < 4 && (text[size] & 0xc0) == 0x80) size++;
        memcpy(to->glyph, text, (size_t)size);
        to->glyph[size] = 0;
        if ((unsigned char)text[0] >= 0xe1) strcpy(to->glyph, "?");    /* may be two cells wide */
        to->ink = rgba >> 8;
        text += size;
    }
}

/* ---- a cell as one character in two colours --------------------------------- */

typedef struct block { const char *glyph; uint64_t mask; } block;

/* From the left and from below, an eighth to seven; bit 8 * row + column. */
static void make_blocks(block *blocks) {
    static const char *const glyphs[BLOCKS] = { "▏", "▎", "▍", "▌", "▋", "▊", "▉",
                                                "▁", "▂", "▃", "▄", "▅", "▆", "▇" };
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i].glyph = glyphs[i];
        blocks[i].mask = 0;
        for (int bit = 0; bit < 64; bit++) {
            bool set = i < 7 ? bit % 8 <= i : bit / 8 >= 14 - i;
            blocks[i].mask |= (uint64_t)set << bit;
        }
    }
}

/* The colour that most pixels have which do not have `other`; false: there is none. */
static bool common_colour(const screen *s, int row, int column, uint32_t other, uint32_t *out) {
    int most = 0;
    for (int i = 0; i < CELL * CELL; i++) {
        uint32_t colour = s->pixels[row * CELL + i / CELL][column * CELL + i % CELL];
        int count = 0;
        if (colour == other || (most > 0 && colour == *out)) continue;
        for (int k = i; k < CELL * CELL; k++)
            count += s->pixels[row * CELL + k / CELL][column * CELL + k % CELL] == colour;
        if (count <= most) continue;
        most = count;
        *out = colour;
    }
    return most > 0;
}

static int count_bits(uint64_t word) {
    int count = 0;
    for (; word; word &= word - 1) count++;
    return count;
}

/* The block that looks most like what of the cell is not `back`; NULL: nothing does. Where the two
   colours may change places, *inverse says that they do. */
static const char *nearest_block(const screen *s, int row, int column, uint32_t back,
                                 const block *blocks, bool *inverse) {
    uint64_t shape = 0;
    const char *best = NULL;
    int least;
    *inverse = false;
    for (int i = 0; i < CELL * CELL; i++) {
        uint32_t colour = s->pixels[row * CELL + i / CELL][column * CELL + i % CELL];
        shape |= (uint64_t)(colour != back) << i;
    }
    least = count_bits(shape);
    for (int i = 0; i < BLOCKS; i++) {
        int wrong = count_bits(shape ^ blocks[i].mask);
        bool other_way = s->colours && 64 - wrong < wrong;
        if (other_way) wrong = 64 - wrong;
        if (wrong >= least) continue;
        least = wrong;
        best = blocks[i].glyph;
        *inverse = other_way;
    }
    return best;
}

/* ---- and out ------------------------------------------------------------------ */

static void set_colour(bool wanted, int what, uint32_t colour, uint32_t *now) {
    if (!wanted || *now == colour) return;
    *now = colour;
    printf("\033[%d;2;%u;%u;%um", what, (unsigned)(colour >> 16 & 255),
           (unsigned)(colour >> 8 & 255), (unsigned)(colour & 255));
}

static bool is_bright(uint32_t colour) {
    return (colour >> 16 & 255) + (colour >> 8 & 255) + (colour & 255) > 200;
}

/* What stands for the pixels of a cell; of two colours the brighter one is the ink, so that bars
   stand on what is behind them. Without colours what is bright must be ink. */
static const char *draw_cell(const screen *s, int row, int column, uint32_t *back, uint32_t *ink,
                             const block *blocks) {
    uint32_t swapped;
    const char *glyph;
    bool inverse;
    common_colour(s, row, column, UINT32_MAX, back);
    if (!common_colour(s, row, column, *back, ink))
        return !s->colours && is_bright(*back) ? "█" : " ";
    inverse = is_bright(*back) && !is_bright(*ink);
    swapped = *back;
    if (inverse) *back = *ink;
    if (inverse) *ink = swapped;
    glyph = nearest_block(s, row, column, *back, blocks, &inverse);
    swapped = *back;
    if (inverse) *back = *ink;
    if (inverse) *ink = swapped;
    return glyph ? glyph : " ";
}

static void print_cell(screen *s, int row, int column, const block *blocks) {
    const cell *c = &s->cells[row][column];
    uint32_t back = 0, ink = s->ink;
    const char *glyph = draw_cell(s, row, column, &back, &ink, blocks);
    if (*c->glyph) {
        common_colour(s, row, column, UINT32_MAX, &back);
        ink = c->ink;
        glyph = c->glyph;
    }
    set_colour(s->colours, 38, ink, &s->ink);
    set_colour(s->colours, 48, back, &s->back);
    fputs(glyph, stdout);
}

static void screen_print(screen *s, bool in_place) {
    block blocks[BLOCKS];
    make_blocks(blocks);
    if (in_place) fputs("\033[H", stdout);
    for (int row = 0; row < s->rows; row++) {
        s->back = s->ink = UINT32_C(1) << 24;
        for (int column = 0; column < s->columns; column++) print_cell(s, row, column, blocks);
        if (s->colours) fputs("\033[0m", stdout);
        if (!in_place || row + 1 < s->rows) fputs("\n", stdout);
    }
    fflush(stdout);
}

/* ===========================================================================
 * The terminal
 * ======================================================================== */

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

static int number_of(const char *text, int fallback) {
    int number = text ? atoi(text) : 0;
    return number > 0 ? number : fallback;
}

static void terminal_size(int *columns, int *rows) {
    struct winsize size;
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        *columns = size.ws_col;
        *rows = size.ws_row;
        return;
    }
    *columns = number_of(getenv("COLUMNS"), 80);
    *rows = number_of(getenv("LINES"), 30);
}

/* Another screen, no cursor, and keys that come one by one. */
static void terminal_take(struct termios *before) {
    struct termios raw;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    fputs("\033[?1049h\033[?25l", stdout);
    if (tcgetattr(STDIN_FILENO, before) != 0) return;
    raw = *before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void terminal_give_back(const struct termios *before) {
    fputs("\033[0m\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (isatty(STDIN_FILENO)) tcsetattr(STDIN_FILENO, TCSANOW, before);
}

/* ===========================================================================
 * The other end
 * ======================================================================== */

typedef struct options {
    const char *host, *app, *ticket, *filter;
    int         port, page, frames;          /* frames 0: until it is ended */
    uint32_t    version;
    bool        once;
} options;

typedef struct top {
    options        o;
    udp_socket     socket;
    wisp          *w;
    wisp_result    result;                   /* of the last call */
    char           text[256];
    wisp_snapshot  snapshot;
    screen         screen;
    struct termios before;
    bool           live, ended;
} top;

static void on_reply(wisp_event *event) {
    top *t = event->user;
    const wisp_snapshot *snapshot = NULL;
    t->result = event->result;
    snprintf(t->text, sizeof t->text, "%s", event->text ? event->text : "");
    if (event->result != WISP_OK) return;
    snapshot = wisp_arg_struct(event, 0, wisp_snapshot_schema());
    if (snapshot) t->snapshot = *snapshot;
    else t->result = WISP_E_TYPE;
}

/* Asks and waits, no longer than REPLY_SECONDS. */
static bool ask(top *t) {
    wisp_call_desc how = { .on_reply = on_reply, .user = t, .timeout = REPLY_SECONDS };
    wisp_value filter = wisp_string(t->o.filter ? t->o.filter : "");
    wisp_call call;
    t->result = WISP_E_TIMEOUT;
    t->text[0] = 0;
    call = wisp_invoke_values(t->w, "wisp_top", wisp_to_peer(WISP_SERVER), &how, &filter, 1);
    if (call.id) wisp_await_reply(t->w, call, NULL, NULL, udp_clock, NULL);
    else t->result = wisp_why(t->w);
    return t->result == WISP_OK;
}

static void complain(const top *t, const char *what, wisp_result why) {
    bool absent = why == WISP_E_NO_REMOTE || why == WISP_E_NO_HANDLER;
    fprintf(stderr, "wisp_top: %s:%d %s: %s%s%s\n", t->o.host, t->o.port, what,
            absent ? "it does not offer the remote \"wisp_top\"" : wisp_result_text(why),
            *t->text ? ", " : "", t->text);
}

static void draw(top *t) {
    wisp_canvas canvas = { .rect = screen_rect, .text = screen_text, .user = &t->screen,
                           .char_width = CELL, .char_height = CELL };
    int columns, rows;
    terminal_size(&columns, &rows);
    screen_clear(&t->screen, columns, rows);
    canvas.width = (float)(t->screen.columns * CELL);
    canvas.height = (float)(t->screen.rows * CELL);
    canvas.page = t->o.page;
    canvas.filter = t->o.filter;
    wisp_overlay_draw(&t->snapshot, &canvas);
    screen_print(&t->screen, t->live);
}

/* Draws anew when the page has been turned. */
static void take_keys(top *t) {
    int page = t->o.page;
    char key;
    if (!t->live || !isatty(STDIN_FILENO)) return;
    while (read(STDIN_FILENO, &key, 1) == 1) {
        if (key >= '1' && key < '1' + WISP_PAGES) t->o.page = key - '1';
        if (key == '\t') t->o.page = (t->o.page + 1) % WISP_PAGES;
        if (key == 'q') t->ended = true;
    }
    if (t->o.page != page) draw(t);
}

static bool watch(top *t) {
    for (int frame = 0; !t->ended && !interrupted;) {
        double next = udp_seconds() + FRAME_SECONDS;
        if (!ask(t)) return false;
        if (!t->live && !t->o.once) {            /* the first answer has come: the screen is ours */
            t->live = isatty(STDOUT_FILENO) != 0;
            if (t->live) terminal_take(&t->before);
        }
        draw(t);
        if (++frame == t->o.frames) return true;
        while (udp_seconds() < next && !t->ended && !interrupted) {
            udp_wait(&t->socket, 0.02);
            wisp_update(t->w, udp_seconds());
            take_keys(t);
        }
    }
    return true;
}

static bool join(top *t) {
    wisp_desc desc = { .app = t->o.app, .app_version = t->o.version, .refuse_joins = true,
                       .timeout = JOIN_SECONDS };
    wisp_addr address;
    wisp_result result = WISP_E_LINK;
    bool open = udp_open(&t->socket, NULL, 0);
    if (!udp_resolve(t->o.host, t->o.port, &address)) {
        fprintf(stderr, "wisp_top: %s: no such host\n", t->o.host);
        return false;
    }
    desc.link = udp_link(&t->socket);
    if (open) t->w = wisp_create(&desc, &result);
    if (t->w && wisp_join(t->w, &address, t->o.ticket, (int)strlen(t->o.ticket)).id)
        result = wisp_await_ready(t->w, udp_clock, NULL, JOIN_SECONDS);
    if (result != WISP_OK) complain(t, "cannot be joined", result);
    return result == WISP_OK;
}

/* ===========================================================================
 * The command line
 * ======================================================================== */

static const char usage[] =
    "usage: wisp_top [-1] [-p page] [-f filter] [-n frames] [-a app] [-v version] [-t ticket]\n"
    "                host port\n";

/* -1: no such page. */
static int page_of(const char *text) {
    static const char *const names[WISP_PAGES] = { "overview", "remotes", "objects", "peers",
                                                   "errors" };
    for (int i = 0; i < WISP_PAGES; i++)
        if (strcmp(text, names[i]) == 0 || (text[0] == '1' + i && !text[1])) return i;
    return -1;
}

/* One option that has an argument; false: there is none of that name, or it makes no sense. */
static bool read_option(options *o, char name, const char *text) {
    char *end = NULL;
    switch (name) {
    case 'p': o->page = page_of(text); return o->page >= 0;
    case 'f': o->filter = text; return true;
    case 'a': o->app = text; return true;
    case 't': o->ticket = text; return true;
    case 'v': o->version = (uint32_t)strtoul(text, &end, 10); return *text && !*end;
    case 'n': o->frames = atoi(text); return o->frames > 0;
    default: return false;
    }
}

static bool read_options(options *o, int argc, char **argv) {
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "-1") == 0) {
            o->once = true;
            o->frames = 1;
            continue;
        }
        if (!argv[at][1] || argv[at][2] || at + 1 == argc) return false;
        if (!read_option(o, argv[at][1], argv[at + 1])) return false;
        at++;
    }
    if (at + 2 != argc) return false;
    o->host = argv[at];
    o->port = atoi(argv[at + 1]);
    return o->port > 0 && o->port < 65536;
}

int main(int argc, char **argv) {
    static top t;
    bool done;
    t.o.app = "";
    t.o.ticket = "wisp_top";
    if (!read_options(&t.o, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    t.screen.colours = isatty(STDOUT_FILENO) != 0;
    done = join(&t) && watch(&t);
    if (t.live) terminal_give_back(&t.before);
    if (!done && t.result) complain(&t, "gives no answer", t.result);
    wisp_destroy(t.w);
    udp_close(&t.socket);
    return done ? 0 : 1;
}
