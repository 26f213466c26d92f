/* terminal.h - snapshots drawn by wisp_overlay_draw in a terminal, for the tools

   Include it after udp.h and wisp.h. What is not a terminal gets 80 columns and 30 lines without
   colours, or what COLUMNS and LINES say. Keys: 1 to 5 and tab turn the pages, q ends. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

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

typedef struct terminal {
    screen         screen;
    struct termios before;
    bool           live;                 /* it draws in place, and keys come one by one */
    bool           ended;                /* by q */
    int            page;                 /* WISP_PAGE_.. */
    const char    *filter;
} terminal;

/* Another screen, no cursor, and keys that come one by one, if it is a terminal. */
static void terminal_take(terminal *t) {
    struct termios raw;
    if (t->live || !isatty(STDOUT_FILENO)) return;
    t->live = true;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    fputs("\033[?1049h\033[?25l", stdout);
    if (tcgetattr(STDIN_FILENO, &t->before) != 0) return;
    raw = t->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void terminal_give_back(terminal *t) {
    if (!t->live) return;
    t->live = false;
    fputs("\033[0m\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (isatty(STDIN_FILENO)) tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
}

static void terminal_draw(terminal *t, const wisp_snapshot *snapshot) {
    wisp_canvas canvas = { .rect = screen_rect, .text = screen_text, .user = &t->screen,
                           .char_width = CELL, .char_height = CELL };
    int columns, rows;
    terminal_size(&columns, &rows);
    screen_clear(&t->screen, columns, rows);
    t->screen.colours = isatty(STDOUT_FILENO) != 0;
    canvas.width = (float)(t->screen.columns * CELL);
    canvas.height = (float)(t->screen.rows * CELL);
    canvas.page = t->page;
    canvas.filter = t->filter;
    wisp_overlay_draw(snapshot, &canvas);
    screen_print(&t->screen, t->live);
}

/* Takes the keys that were pressed; true: another page is to be drawn. */
static bool terminal_keys(terminal *t) {
    int page = t->page;
    char key;
    if (!t->live || !isatty(STDIN_FILENO)) return false;
    while (read(STDIN_FILENO, &key, 1) == 1) {
        if (key >= '1' && key < '1' + WISP_PAGES) t->page = key - '1';
        if (key == '\t') t->page = (t->page + 1) % WISP_PAGES;
        if (key == 'q') t->ended = true;
    }
    return t->page != page;
}

#endif
