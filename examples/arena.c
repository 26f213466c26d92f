/* arena.c - a small game between real processes: one server, four clients, a bad network

   Players and the items that they pick up are objects, moved by inputs (arena.h). What they say is
   a property, and they buy things by calls. Everybody sends through a simulated network that loses
   3% and delays 40 ms. In the ten seconds it takes, one client joins late, one leaves in good
   order, one crashes and comes back from the same port. The server shows a table once a second; on
   a terminal it draws the field beside it as well. At the end all sides compare what they hold of
   the shared state.

   Build    cc -I.. arena.c -o arena                             (POSIX)
   Run      ./arena          exits 0 only if all sides agree, each purchase was settled exactly
                             once, and each process ended as the script says, within 20 seconds

   Meanwhile tools/wisp_top looks into the server, which says how when it begins. With two ports,
   ./arena 7777 9000, the server has the first, and the clients join the second: tools/wisp_relay
   may stand between them.

   ./arena --sealed plays the same game by sealed sessions, if it was built for that:
              cc -I.. -DARENA_SEALED arena.c -o arena -lsodium

   CONTENTS   the rules, the shared state, the server, its table, its picture, its last act, the
              client, the launcher
   The launcher runs this program again for every other part:
              arena server LOCAL_PORT           arena client SERVER_PORT NAME ROLE LOCAL_PORT
*/
#include "arena.h"      /* first: its udp.h asks the system headers for more than C99 offers */

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"

/* ===========================================================================
 * Keys, for --sealed: the launcher makes them, and its children have them in their environment
 * ======================================================================== */

#ifdef ARENA_SEALED
#include "wisp_sodium.h"

static const wisp_cipher *cipher_of(const char *name, uint8_t key[WISP_KEY_BYTES]) {
    const char *text = getenv(name);
    bool given = text && sodium_init() >= 0 &&
                 sodium_hex2bin(key, WISP_KEY_BYTES, text, strlen(text), NULL, NULL, NULL) == 0;
    return given ? wisp_sodium() : NULL;
}

static bool make_keys(void) {
    const wisp_cipher *cipher = wisp_sodium();
    uint8_t secret[WISP_KEY_BYTES], key[WISP_KEY_BYTES];
    char text[2 * WISP_KEY_BYTES + 1];
    if (!cipher || !cipher->keypair(cipher->user, secret, key)) return false;
    setenv("ARENA_SECRET", sodium_bin2hex(text, sizeof text, secret, sizeof secret), 1);
    setenv("ARENA_KEY", sodium_bin2hex(text, sizeof text, key, sizeof key), 1);
    return true;
}
#else
static const wisp_cipher *cipher_of(const char *name, uint8_t key[WISP_KEY_BYTES]) {
    (void)name, (void)key;
    return NULL;
}

static bool make_keys(void) {
    fprintf(stderr, "built without ARENA_SEALED\n");
    return false;
}
#endif

/* ===========================================================================
 * The rules, known to both sides
 * ======================================================================== */

enum { LOG_LINES = 64, LINE_SIZE = 48, PURCHASES = 64 };
enum { E_POOR = WISP_E_USER - 1, E_OVER = WISP_E_USER - 2, E_MISCOUNT = WISP_E_USER - 3,
       E_STRANGER = WISP_E_USER - 4 };
enum { CRASHED = 42, REPORT_FD = 3 };

#define ONLOOKER       "wisp_top"         /* a ticket, and what they may invoke */
enum { ONLOOKER_SIZE = sizeof ONLOOKER - 1 };

#define LOSS           0.03
#define LATENCY        0.040
#define PLAY_SECONDS   9.0
#define DRAIN_SECONDS  0.7
#define ASK_SECONDS    3.0
#define BYE_SECONDS    1.5
#define HARD_SECONDS   20        /* the launcher kills what still runs then */
#define CLIENT_SECONDS 16.0

static const char *const names[PLAYERS] = { "ada", "bob", "cy", "dee" };
static const int prices[WARES] = { 3, 5, 8 };       /* boots, a lamp, a map */

static int player_named(const char *name, int size) {
    for (int i = 0; i < PLAYERS; i++) {
        if ((int)strlen(names[i]) == size && memcmp(names[i], name, (size_t)size) == 0) return i;
    }
    return -1;
}

/* ===========================================================================
 * The shared state: avatars, items, and what has been said: a property, an array of lines
 * ======================================================================== */

/* The sum does not depend on the order in which the objects came. */
static uint64_t objects_hash(const arena *a, wisp_class of, const wisp_schema *schema, void *room) {
    uint64_t sum = 0;
    wisp_object o = wisp_first(a->w, of);
    for (; wisp_view(a->w, o, WISP_CONFIRMED, room); o = wisp_next(a->w, o)) {
        wisp_value value = wisp_struct(schema, room);
        sum += wisp_hash(&value);
    }
    return sum;
}

static uint64_t state_hash(const arena *a) {
    avatar one;
    item other;
    return objects_hash(a, a->avatars, &avatar_schema, &one) +
           objects_hash(a, a->items, &item_schema, &other) + wisp_hash(wisp_get(a->w, "log"));
}

static int moves_seen;                    /* by this process */
static void on_changed(wisp_event *event) { moves_seen += event->before != NULL; }

typedef wisp_result (*judge)(wisp *, const wisp_addr *, const void *, int, void *);

/* An endpoint whose outgoing side is bad; without `accept` a client's. */
static bool net_open(arena *a, int local_port, judge accept, uint64_t seed, void *user) {
    wisp_property_desc log = { .schema = NULL };
    wisp_class_desc avatars = { .owner_gone = WISP_TO_SERVER, .changed = on_changed };
    wisp_desc desc = { .accept = accept, .refuse_joins = !accept, .timeout = 5, .user = user };
    uint8_t secret_key[WISP_KEY_BYTES];
    a->net.loss = LOSS;
    a->net.latency = LATENCY;
    a->net.seed = seed;
    desc.max_peers = PLAYERS * 4;         /* some come twice, and onlookers */
    desc.tick_rate = accept ? TICK_RATE : 0;
    desc.cipher = cipher_of("ARENA_SECRET", secret_key);
    if (desc.cipher && accept) desc.secret_key = secret_key;
    if (accept) log.initial = wisp_array(NULL, 0);
    return arena_open(a, "127.0.0.1", local_port, &desc, &avatars) &&
           wisp_property(a->w, "log", &log) == WISP_OK;
}

/* The launcher listens for the port that this process has got. */
static void report_port(const arena *a) {
    char line[16];
    int size = snprintf(line, sizeof line, "%d\n", udp_port(&a->socket));
    if (write(REPORT_FD, line, (size_t)size) != size) exit(1);
    close(REPORT_FD);
}

/* ===========================================================================
 * The server
 * ======================================================================== */

typedef struct page { char text[8192]; size_t used; int rows; } page;

/* Of the last full second. */
typedef struct rates { double rtt_ms, loss, messages_out, messages_in, bytes_out, bytes_in; } rates;

typedef struct player {
    struct server  *server;
    wisp_addr       addr;
    wisp_peer       peer;
    bool            joined;
    wisp_object     avatar;               /* stays when the player has gone */
    wisp_peer_stats before;               /* a second ago, for its rates */
    rates           rates;
    int             last_purchase;        /* of this session, as all below */
    int             bought, refused;
    bool            asked, agrees;
    wisp_result     ended;
    int             joins, departures;
    char            verdict[128];
} player;

typedef struct server {
    arena  arena;
    player players[PLAYERS];
    double start;
    bool   over;
    int    errors;                        /* of the game: any is a failure */
    bool   checked_out;
    double now, last_second, last_table;
    bool   live;                          /* stdout is a terminal: redraw in place */
    bool   draws;                         /* and it is large enough for the field */
    page   table;
} server;

static void page_add(page *p, const char *format, ...) {
    va_list list;
    int size;
    va_start(list, format);
    size = vsnprintf(p->text + p->used, sizeof p->text - p->used, format, list);
    va_end(list);
    if (size > 0 && (size_t)size < sizeof p->text - p->used) p->used += (size_t)size;
}

static void table_erase(const server *s) {
    if (s->live && s->table.rows > 0) printf("\033[%dA\033[J", s->table.rows);
}

/* A line of news; on a terminal it goes above the table. */
static void news(server *s, const char *format, ...) {
    char line[160];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    table_erase(s);
    printf("%5.1f s  %s\n", s->now, line);
    if (s->live) fputs(s->table.text, stdout);
    fflush(stdout);
}

static player *player_of(wisp_event *event) { return wisp_peer_user(event->w, event->peer); }

static int index_of(const player *p) { return (int)(p - p->server->players); }

static const char *name_of(const player *p) { return names[index_of(p)]; }

/* ---- who comes and goes -------------------------------------------------- */

/* The ticket is the name. Who only looks on may do so at any time. */
static wisp_result accept_player(wisp *w, const wisp_addr *from, const void *ticket, int size,
                                 void *user) {
    server *s = user;
    int i = size > 0 ? player_named(ticket, size) : -1;
    if (size == ONLOOKER_SIZE && memcmp(ticket, ONLOOKER, ONLOOKER_SIZE) == 0) return WISP_OK;
    if (getenv("ARENA_KEY") && !wisp_joining(w)->sealed) return E_STRANGER;
    if (i < 0) return E_STRANGER;
    if (s->over) return E_OVER;
    wisp_joining(w)->user = &s->players[i];
    s->players[i].addr = *from;
    return WISP_OK;
}

static void on_joined(wisp_event *event) {
    server *s = event->user;
    player *p = player_of(event);
    wisp_player owner = wisp_player_of(event->w, event->peer);
    avatar fresh = { .number = p ? (uint8_t)index_of(p) : 0 };
    if (!p) return;
    fresh.place = (wisp_vec2){ 10 + 12.0f * fresh.number, 20 };
    if (p->joins++) wisp_give(event->w, p->avatar, owner);
    else p->avatar = wisp_spawn(event->w, s->arena.avatars, owner, &fresh);
    p->peer = event->peer;
    p->joined = true;
    p->agrees = p->asked = false;
    p->last_purchase = p->bought = p->refused = 0;
    memset(&p->before, 0, sizeof p->before);
    news(s, "%s joins%s%s", name_of(p), p->joins > 1 ? " again" : "",
         wisp_is_sealed(event->w, event->peer) ? ", sealed" : "");
}

static void on_left(wisp_event *event) {
    player *p = player_of(event);
    if (!p || !p->joined || !wisp_peer_equal(p->peer, event->peer)) return;
    p->joined = false;
    p->ended = event->result;
    p->departures++;
    news(event->user, "%s is gone: %s%s%s", name_of(p),
         event->result == WISP_OK ? "goodbye" : wisp_result_text(event->result),
         *event->text ? ", " : "", event->text);
}

static void on_error(wisp_event *event) {
    news(event->user, "error: %s (%s)", wisp_result_text(event->result), event->text);
}

/* ---- what the players do --------------------------------------------------- */

static void on_chat(wisp_event *event) {
    player *p = player_of(event);
    char path[16], line[LINE_SIZE + 16];
    int lines = wisp_count_of(wisp_get(event->w, "log"));
    if (!p || p->server->over || lines == LOG_LINES) return;
    snprintf(path, sizeof path, "%d", lines);
    snprintf(line, sizeof line, "%s says: %.*s", name_of(p), LINE_SIZE, wisp_arg_string(event, 0));
    wisp_set_in(event->w, "log", path, wisp_string(line));
}

/* Each purchase of a session has the next number: one that ran twice or not at all would show. */
static void on_buy(wisp_event *event) {
    player *p = player_of(event);
    int number = (int)wisp_arg_int(event, 0), ware = (int)wisp_arg_int(event, 1);
    avatar *it = p ? wisp_object_edit(event->w, p->avatar) : NULL;
    if (!it) return;
    if (number != p->last_purchase + 1) {
        p->server->errors++;
        news(p->server, "purchase %d of %s comes after %d", number, name_of(p), p->last_purchase);
    }
    p->last_purchase = number;
    if (p->server->over || ware < 0 || ware >= WARES || it->coins < prices[ware]) {
        p->refused++;
        if (p->server->over) wisp_refuse(event, E_OVER, "the shop is closed");
        else wisp_refuse(event, E_POOR, "too few coins");
        return;
    }
    p->bought++;
    it->coins = (uint16_t)(it->coins - prices[ware]);
    it->stock[ware]++;
    wisp_reply(event, wisp_int(it->coins));
}

/* Who leaves in good order compares its receipts before. */
static void on_checkout(wisp_event *event) {
    player *p = player_of(event);
    if (!p) return;
    if (wisp_arg_int(event, 0) != p->bought || wisp_arg_int(event, 1) != p->refused) {
        wisp_fail(event, E_MISCOUNT, "here it is %d and %d", p->bought, p->refused);
        return;
    }
    p->server->checked_out = true;
    wisp_reply(event);
}

/* ---- who looks on ---------------------------------------------------------- */

static double profiler_clock(void *unused) {
    (void)unused;
    return udp_seconds();
}

static void profiler_name(void *user, const wisp_addr *addr, char *out, int size) {
    const server *s = user;
    for (int i = 0; i < PLAYERS; i++) {
        if (memcmp(&s->players[i].addr, addr, sizeof *addr) != 0) continue;
        snprintf(out, (size_t)size, "%s", names[i]);
    }
}

/* The argument is a filter. */
static void on_onlooker(wisp_event *event) {
    wisp_snapshot snapshot;
    wisp_result result = wisp_snapshot_take(event->w, wisp_arg_string(event, 0), &snapshot);
    if (result == WISP_OK) wisp_reply(event, wisp_struct(wisp_snapshot_schema(), &snapshot));
    else wisp_fail(event, result, "no snapshot");
}

static bool invite_onlookers(server *s) {
    wisp_profiler profiler = { profiler_clock, profiler_name, s };
    news(s, "look in with: build/wisp_top -a arena -v 1 127.0.0.1 %d", udp_port(&s->arena.socket));
    return wisp_use_profiler(s->arena.w, &profiler) == WISP_OK &&
           wisp_on_invoke(s->arena.w, ONLOOKER, on_onlooker, NULL) == WISP_OK;
}

/* ===========================================================================
 * The server's table
 * ======================================================================== */

static void rates_take(const wisp *w, player *p, double seconds) {
    wisp_peer_stats now, *before = &p->before;
    rates *r = &p->rates;
    wisp_stats_peer(w, p->peer, &now);
    r->rtt_ms = now.rtt * 1000;
    r->loss = now.loss * 100;
    r->messages_out = (double)(now.messages_sent - before->messages_sent) / seconds;
    r->messages_in = (double)(now.messages_received - before->messages_received) / seconds;
    r->bytes_out = (double)(now.bytes_sent - before->bytes_sent) / seconds;
    r->bytes_in = (double)(now.bytes_received - before->bytes_received) / seconds;
    *before = now;
}

static int wares_sold(server *s) {
    int sold = 0;
    avatar it;
    wisp_object o = wisp_first(s->arena.w, s->arena.avatars);
    for (; wisp_view(s->arena.w, o, WISP_NOW, &it); o = wisp_next(s->arena.w, o))
        for (int i = 0; i < WARES; i++) sold += it.stock[i];
    return sold;
}

static void table_write(server *s, page *out) {
    page_add(out, "%5.1f s  %d of %d items taken, %d wares sold, %d lines of chat\n", s->now,
             ITEMS - items_left(&s->arena), ITEMS, wares_sold(s),
             wisp_count_of(wisp_get(s->arena.w, "log")));
    page_add(out, "  %-5s %8s %7s %17s %19s\n", "peer", "RTT ms", "loss %", "messages/s out  in",
             "bytes/s out      in");
    for (int i = 0; i < PLAYERS; i++) {
        const player *p = &s->players[i];
        const rates *r = &p->rates;
        if (!p->joined) {
            page_add(out, "  %-5s %8s\n", names[i], p->joins > 0 ? "gone" : "not yet");
            continue;
        }
        page_add(out, "  %-5s %8.1f %7.1f %9.0f %7.0f %9.0f %9.0f\n", names[i], r->rtt_ms, r->loss,
                 r->messages_out, r->messages_in, r->bytes_out, r->bytes_in);
    }
    page_add(out, "\n");
    out->rows = 3 + PLAYERS;
}

/* ===========================================================================
 * The server's picture: the field from above, and the table at its right, in 80 columns
 * ======================================================================== */

enum { PICTURE_WIDTH = 34, PICTURE_HEIGHT = 12, PICTURE_COLUMNS = 80, PICTURE_ROWS = 20 };

/* A terminal that does not know its size counts as large enough. */
static bool picture_fits(void) {
    struct winsize size = { .ws_col = 0 };
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return true;
    return (size.ws_col == 0 || size.ws_col >= PICTURE_COLUMNS) &&
           (size.ws_row == 0 || size.ws_row >= PICTURE_ROWS);
}

static void picture_put(char cells[PICTURE_HEIGHT][PICTURE_WIDTH], wisp_vec2 place, char sign) {
    int x = (int)(place.x * PICTURE_WIDTH / (FIELD_WIDTH + 1));
    int y = (int)(place.y * PICTURE_HEIGHT / (FIELD_HEIGHT + 1));
    if (!(place.x >= 0 && place.y >= 0) || x >= PICTURE_WIDTH || y >= PICTURE_HEIGHT) return;
    cells[y][x] = sign;
}

/* A player is its number, an item that nobody has taken is an o. */
static void picture_cells(const server *s, char cells[PICTURE_HEIGHT][PICTURE_WIDTH]) {
    item thing;
    avatar it;
    wisp *w = s->arena.w;
    wisp_object o = wisp_first(w, s->arena.items);
    memset(cells, ' ', PICTURE_HEIGHT * PICTURE_WIDTH);
    for (; wisp_view(w, o, WISP_NOW, &thing); o = wisp_next(w, o))
        picture_put(cells, thing.place, 'o');
    for (int i = 0; i < PLAYERS; i++)
        if (s->players[i].joined && wisp_view(w, s->players[i].avatar, WISP_NOW, &it))
            picture_put(cells, it.place, (char)('0' + i));
}

static void picture_player(page *out, int i) {
    page_add(out, "\033[1;%dm%c\033[0m", 31 + i, names[i][0] - 'a' + 'A');
}

/* Line `y` at the right of the field: the table, then what was said last. */
static void picture_side(server *s, page *out, int y) {
    const player *p = &s->players[y - 3 >= 0 && y - 3 < PLAYERS ? y - 3 : 0];
    const rates *r = &p->rates;
    const wisp_value *log = wisp_get(s->arena.w, "log");
    int line = wisp_count_of(log) - (PICTURE_HEIGHT + 2 - y);
    if (y == 0) page_add(out, "%4.1f s  %d of %d items taken, %d sold", s->now,
                         ITEMS - items_left(&s->arena), ITEMS, wares_sold(s));
    else if (y == 1) page_add(out, "         RTT loss  messages/s        kB/s");
    else if (y == 2) page_add(out, "          ms    %%   out   in    out    in");
    else if (y < 3 + PLAYERS) {
        picture_player(out, index_of(p));
        if (!p->joined) page_add(out, " %-4s  %s", name_of(p), p->joins > 0 ? "gone" : "not yet");
        else page_add(out, " %-4s %5.0f %4.1f %5.0f %4.0f %6.1f %5.1f", name_of(p), r->rtt_ms,
                      r->loss, r->messages_out, r->messages_in, r->bytes_out / 1000,
                      r->bytes_in / 1000);
    } else if (y > 4 + PLAYERS && line >= 0) {
        const char *text = wisp_string_of(wisp_element_of(log, line), NULL);
        picture_player(out, player_named(text, (int)strcspn(text, " ")));
        page_add(out, "%.38s", strchr(text, ' '));
    }
}

static void picture_write(server *s, page *out) {
    char cells[PICTURE_HEIGHT][PICTURE_WIDTH];
    picture_cells(s, cells);
    for (int y = 0; y < PICTURE_HEIGHT + 2; y++) {
        bool edge = y == 0 || y == PICTURE_HEIGHT + 1;
        page_add(out, edge ? "+" : "|");
        for (int x = 0; x < PICTURE_WIDTH; x++) {
            char cell = edge ? '-' : cells[y - 1][x];
            if (cell >= '0' && cell < '0' + PLAYERS) picture_player(out, cell - '0');
            else page_add(out, cell == 'o' ? "\033[33mo\033[0m" : "%c", cell);
        }
        page_add(out, edge ? "+  " : "|  ");
        picture_side(s, out, y);
        page_add(out, "\n");
    }
    out->rows = PICTURE_HEIGHT + 2;
}

static void table_show(server *s) {
    if (s->now - s->last_second >= 1 || (s->over && !s->draws)) {
        for (int i = 0; i < PLAYERS; i++) {
            if (s->players[i].joined) {
                rates_take(s->arena.w, &s->players[i], s->now - s->last_second);
            }
        }
        s->last_second = s->now;
    }
    table_erase(s);
    s->table.used = 0;
    s->last_table = s->now;
    if (s->draws) picture_write(s, &s->table);
    else table_write(s, &s->table);
    fputs(s->table.text, stdout);
    fflush(stdout);
}

static double server_step(server *s) {
    s->now = arena_update(&s->arena, 0.004) - s->start;
    if (s->now - s->last_table >= (s->draws ? 0.1 : 1)) table_show(s);
    return s->now;
}

/* ===========================================================================
 * The server's last act: stop the game, let what is under way arrive, compare
 * ======================================================================== */

static int count_joined(const server *s, bool agreeing_only) {
    int count = 0;
    for (int i = 0; i < PLAYERS; i++) {
        const player *p = &s->players[i];
        count += p->joined && (p->agrees || !agreeing_only);
    }
    return count;
}

/* The answer: hash, purchases made, settled, granted, refused; changes of avatars seen. */
static void on_state_hash(wisp_event *event) {
    player *p = event->user;
    int made, settled, bought, refused;
    p->asked = false;
    if (event->result != WISP_OK) {
        snprintf(p->verdict, sizeof p->verdict, "%s", wisp_result_text(event->result));
        return;
    }
    made = (int)wisp_arg_int(event, 1);
    settled = (int)wisp_arg_int(event, 2);
    bought = (int)wisp_arg_int(event, 3);
    refused = (int)wisp_arg_int(event, 4);
    p->agrees = wisp_arg_uint(event, 0) == state_hash(&p->server->arena) && made == settled &&
                bought == p->bought && refused == p->refused && made == p->last_purchase;
    snprintf(p->verdict, sizeof p->verdict,
             "hash %016llx; purchases: %d made, %d granted, %d refused; %d moves seen",
             (unsigned long long)wisp_arg_uint(event, 0), made, bought, refused,
             (int)wisp_arg_int(event, 5));
}

static void ask_all(server *s) {
    for (int i = 0; i < PLAYERS; i++) {
        player *p = &s->players[i];
        if (!p->joined || p->agrees || p->asked) continue;
        p->asked = wisp_invoke(s->arena.w, "state_hash", p->peer, on_state_hash, p).id != 0;
    }
}

/* The script's outcome: three are left, one has checked out, one has crashed and come back. */
static bool as_scripted(const server *s) {
    const player *bob = &s->players[1], *cy = &s->players[2];
    return count_joined(s, false) == 3 && s->checked_out && !bob->joined &&
           bob->departures == 1 && cy->joins == 2 && cy->departures == 1 &&
           cy->ended != WISP_OK && s->errors == 0;
}

/* Onlookers would not know what to do with it. */
static void tell_players(server *s, const char *remote, wisp_value value) {
    for (int i = 0; i < PLAYERS; i++) {
        if (s->players[i].joined) wisp_fire(s->arena.w, remote, s->players[i].peer, value);
    }
}

static bool compare(server *s) {
    double end = s->now + DRAIN_SECONDS;
    bool good;
    s->over = s->arena.over = true;
    tell_players(s, "stop", wisp_nil());
    news(s, "the game is over");
    while (s->now < end) server_step(s);
    end = s->now + ASK_SECONDS;
    while (count_joined(s, true) < count_joined(s, false) && s->now < end) {
        ask_all(s);
        server_step(s);
    }
    good = as_scripted(s) && count_joined(s, true) == 3;
    tell_players(s, "verdict", wisp_bool(good));
    table_show(s);
    s->live = false;                      /* what follows stays below the table */
    printf("  server: hash %016llx\n", (unsigned long long)state_hash(&s->arena));
    for (int i = 0; i < PLAYERS; i++) {
        const player *p = &s->players[i];
        if (p->joined) printf("  %-6s: %s: %s\n", names[i], p->agrees ? "agrees" : "DIFFERS",
                              p->verdict);
    }
    return good;
}

static void connect_server(server *s) {
    wisp *w = s->arena.w;
    wisp_on(w, WISP_JOINED, on_joined, s);
    wisp_on(w, WISP_LEFT, on_left, s);
    wisp_on(w, WISP_ERROR, on_error, s);
    wisp_on(w, "chat", on_chat, s);
    wisp_on_invoke(w, "buy", on_buy, s);
    wisp_on_invoke(w, "checkout", on_checkout, s);
}

static int run_server(int local_port) {
    static server s;
    bool good;
    double end;
    s.live = isatty(STDOUT_FILENO) != 0;
    s.draws = s.live && picture_fits();
    s.start = udp_seconds();
    for (int i = 0; i < PLAYERS; i++) s.players[i].server = &s;
    if (!net_open(&s.arena, local_port, accept_player, 1000, &s)) return 1;
    items_spawn(&s.arena);
    connect_server(&s);
    if (!invite_onlookers(&s)) return 1;
    report_port(&s.arena);
    while (s.now < PLAY_SECONDS) server_step(&s);
    good = compare(&s);
    end = s.now + BYE_SECONDS;
    while (count_joined(&s, false) > 0 && s.now < end)
        s.now = arena_update(&s.arena, 0.004) - s.start;
    arena_close(&s.arena);
    return good ? 0 : 1;
}

/* ===========================================================================
 * The client
 * ======================================================================== */

#define CRASH_AT       4.0
#define LAST_BUY_AT    5.2                /* of the one who leaves */
#define LEAVE_AT       6.0
#define FAREWELL       0.3                /* seconds for a goodbye to get through */

typedef struct purchase { struct client *client; int answers; } purchase;

typedef struct client {
    arena       arena;
    const char *name;
    bool        leaves, crashes;          /* the role */
    bool        stopped, checking_out, done, good;
    int         lines, errors;
    double      start, now, next_chat, next_buy;
    purchase    purchases[PURCHASES];
    int         made, settled, bought, refused;
} client;

static void complain(client *c, const char *what, const char *why) {
    fprintf(stderr, "%s: %s: %s\n", c->name, what, why);
    c->errors++;
}

static void must_fire(client *c, const char *remote, wisp_value value) {
    wisp_result result = wisp_fire(c->arena.w, remote, WISP_SERVER, value);
    if (result != WISP_OK) complain(c, remote, wisp_result_text(result));
}

/* ---- how the session goes ---------------------------------------------------- */

static void on_ended(wisp_event *event) {
    client *c = event->user;
    if (!c->done) complain(c, "the session has ended", wisp_result_text(event->result));
    c->done = true;
}

static void on_trouble(wisp_event *event) {
    complain(event->user, wisp_result_text(event->result), event->text);
}

static void on_stop(wisp_event *event) {
    client *c = event->user;
    c->stopped = true;
}

static void answer_state_hash(wisp_event *event) {
    client *c = event->user;
    wisp_reply(event, wisp_uint(state_hash(&c->arena)), wisp_int(c->made), wisp_int(c->settled),
               wisp_int(c->bought), wisp_int(c->refused), wisp_int(moves_seen));
}

static void leave(client *c, bool good, const char *reason) {
    c->done = true;
    c->good = good;
    wisp_leave(c->arena.w, WISP_SERVER, reason);
}

static void on_verdict(wisp_event *event) {
    leave(event->user, wisp_arg_bool(event, 0), "good game");
}

static void on_checked_out(wisp_event *event) {
    client *c = event->user;
    if (event->result != WISP_OK) complain(c, "checkout", event->text);
    leave(c, event->result == WISP_OK, "called to dinner");
}

/* ---- what a player does -------------------------------------------------------- */

/* For each tick. */
static void sample(wisp *w, void *input_of_it, void *user) {
    client *c = user;
    (void)w;
    if (!c->stopped && !c->done) bot(&c->arena, input_of_it);
}

static void say_something(client *c) {
    static const char *const lines[] = { "anyone seen the lamp?", "over here!", "mine, I think",
                                         "who took that one?", "lovely weather" };
    char text[LINE_SIZE];
    snprintf(text, sizeof text, "%s (%d)", lines[c->lines % 5], c->lines);
    c->lines++;
    must_fire(c, "chat", wisp_string(text));
}

static void on_receipt(wisp_event *event) {
    purchase *p = event->user;
    client *c = p->client;
    if (++p->answers > 1) complain(c, "buy", "answered twice");
    c->settled++;
    if (event->result == WISP_OK) c->bought++;
    else if (event->result == E_POOR || event->result == E_OVER) c->refused++;
    else complain(c, "buy", wisp_result_text(event->result));
}

static void buy(client *c) {
    purchase *p = &c->purchases[c->made];
    int ware = c->made % WARES;
    if (c->made == PURCHASES || (c->leaves && c->now > LAST_BUY_AT)) return;
    p->client = c;
    c->made++;
    if (!wisp_invoke(c->arena.w, "buy", WISP_SERVER, on_receipt, p, wisp_int(c->made),
                     wisp_int(ware)).id) {
        complain(c, "buy", wisp_result_text(wisp_why(c->arena.w)));
    }
}

static void play(client *c) {
    if (c->now >= c->next_chat) {
        c->next_chat = c->now + 1.3;
        say_something(c);
    }
    if (c->now >= c->next_buy) {
        c->next_buy = c->now + 0.7;
        buy(c);
    }
    if (c->crashes && c->now >= CRASH_AT) _exit(CRASHED);
    if (c->leaves && c->now >= LEAVE_AT && c->made == c->settled && !c->checking_out) {
        c->checking_out = true;
        wisp_invoke(c->arena.w, "checkout", WISP_SERVER, on_checked_out, c, wisp_int(c->bought),
                    wisp_int(c->refused));
    }
}

static void connect_client(client *c) {
    wisp *w = c->arena.w;
    wisp_on(w, WISP_LEFT, on_ended, c);
    wisp_on(w, WISP_ERROR, on_trouble, c);
    wisp_on_input(w, sample, c);
    wisp_on(w, "stop", on_stop, c);
    wisp_on(w, "verdict", on_verdict, c);
    wisp_on_invoke(w, "state_hash", answer_state_hash, c);
}

static bool client_open(client *c, int server_port, const char *role, int local_port) {
    wisp_addr address;
    int index = player_named(c->name, (int)strlen(c->name));
    uint64_t seed = (uint64_t)(index + 1 + (local_port ? PLAYERS : 0));
    uint8_t key[WISP_KEY_BYTES];
    if (index < 0 || !udp_resolve("127.0.0.1", server_port, &address)) return false;
    c->leaves = strcmp(role, "leave") == 0;
    c->crashes = strcmp(role, "crash") == 0;
    c->start = udp_seconds();
    if (!net_open(&c->arena, local_port, NULL, seed, c)) return false;
    connect_client(c);
    report_port(&c->arena);
    if (cipher_of("ARENA_KEY", key))
        return wisp_join_sealed(c->arena.w, &address, key, c->name, (int)strlen(c->name)).id != 0;
    return wisp_join(c->arena.w, &address, c->name, (int)strlen(c->name)).id != 0;
}

static int run_client(int server_port, const char *name, const char *role, int local_port) {
    static client c;
    double end;
    c.name = name;
    if (!client_open(&c, server_port, role, local_port)) {
        complain(&c, "cannot start", strerror(errno));
        return 1;
    }
    while (!c.done && c.now < CLIENT_SECONDS) {
        c.now = arena_update(&c.arena, 0.004) - c.start;
        if (wisp_me(c.arena.w).id && !c.stopped && !c.done) play(&c);
    }
    if (!c.done) complain(&c, "no verdict", "too late");
    for (end = c.now + FAREWELL; c.now < end;) c.now = arena_update(&c.arena, 0.004) - c.start;
    arena_close(&c.arena);
    return c.good && c.errors == 0 && c.made == c.settled ? 0 : 1;
}

/* ===========================================================================
 * The launcher
 * ======================================================================== */

typedef struct part {
    double      at;                       /* seconds */
    const char *name, *role;
    int         expected;                 /* exit status */
    int         port_of;                  /* the part whose local port is taken over, or -1 */
    pid_t       pid;
    int         port, status;
    bool        started, ended;
} part;

enum { SERVER, PARTS = 6 };
static part parts[PARTS] = {
    { .at = 0.0, .name = "server", .role = "server", .port_of = -1 },
    { .at = 0.0, .name = "ada", .role = "stay", .port_of = -1 },
    { .at = 0.0, .name = "bob", .role = "leave", .port_of = -1 },
    { .at = 0.0, .name = "cy", .role = "crash", .expected = CRASHED, .port_of = -1 },
    { .at = 3.0, .name = "dee", .role = "stay", .port_of = -1 },
    { .at = 5.5, .name = "cy", .role = "return", .port_of = 3 },
};

static const char what_is_going_on[] =
    "A server and four clients, each a process of its own, play over UDP on this machine. Their\n"
    "network is simulated: every packet takes 40 ms, and 3% are lost. Players and items (o) are\n"
    "objects, chat is a property, purchases are calls. Dee joins after 3 s; cy crashes\n"
    "after 4 s and comes back; bob leaves after 6 s; after 9 s all compare what they hold.\n\n";

static const char what_next[] =
    "\nNext: README.md, \"Two programs\", is a server and a client of your own in 20 lines each.\n"
    "      examples/ has one idea a file; this game is examples/arena.c, and with a window\n"
    "      examples/arena_sdl.c (needs SDL2).\n"
    "      make tools: wisp_top looks into a running game, wisp_relay makes its network worse.\n";

/* The server's port, "0" for any; and the port that the clients join, NULL for the server's. */
static const char *port_of_server = "0", *port_to_join;

/* In the child: becomes another instance of this program. */
static void become(const char *program, const part *p, int report, int unused) {
    char server_port[16], local_port[16];
    snprintf(server_port, sizeof server_port, "%d", parts[SERVER].port);
    snprintf(local_port, sizeof local_port, "%d", p->port_of < 0 ? 0 : parts[p->port_of].port);
    close(unused);
    if (report != REPORT_FD) {
        dup2(report, REPORT_FD);
        close(report);
    }
    alarm(HARD_SECONDS);
    if (p == &parts[SERVER]) execlp(program, program, "server", port_of_server, (char *)NULL);
    execlp(program, program, "client", port_to_join ? port_to_join : server_port, p->name, p->role,
           local_port, (char *)NULL);
    _exit(127);
}

/* The one line a child sends: the port it has got. 0: none came. */
static int read_port(int fd) {
    char line[16] = "";
    struct pollfd look = { fd, POLLIN, 0 };
    if (poll(&look, 1, 3000) <= 0 || read(fd, line, sizeof line - 1) <= 0) return 0;
    return atoi(line);
}

static bool start(const char *program, part *p) {
    int ends[2];
    p->started = true;
    if (pipe(ends) != 0) return false;
    fflush(stdout);
    p->pid = fork();
    if (p->pid == 0) become(program, p, ends[1], ends[0]);
    close(ends[1]);
    if (p->pid > 0) p->port = read_port(ends[0]);
    close(ends[0]);
    return p->port > 0;
}

static void reap(void) {
    for (int i = 0; i < PARTS; i++) {
        part *p = &parts[i];
        if (!p->started || p->ended || p->pid <= 0) continue;
        p->ended = waitpid(p->pid, &p->status, WNOHANG) == p->pid;
    }
}

static int running(void) {
    int count = 0;
    for (int i = 0; i < PARTS; i++) count += parts[i].pid > 0 && !parts[i].ended;
    return count;
}

static void kill_rest(void) {
    for (int i = 0; i < PARTS; i++) {
        if (parts[i].pid <= 0 || parts[i].ended) continue;
        printf("%s does not end: killed\n", parts[i].name);
        kill(parts[i].pid, SIGKILL);
        parts[i].ended = waitpid(parts[i].pid, &parts[i].status, 0) == parts[i].pid;
    }
}

static bool part_good(const part *p) {
    return p->ended && WIFEXITED(p->status) && WEXITSTATUS(p->status) == p->expected;
}

static int report(void) {
    bool good = true;
    for (int i = 0; i < PARTS; i++) {
        const part *p = &parts[i];
        good = good && part_good(p);
        if (part_good(p)) continue;
        printf("%s (%s) ended badly: ", p->name, p->role);
        if (!p->started) printf("never started\n");
        else if (WIFSIGNALED(p->status)) printf("signal %d\n", WTERMSIG(p->status));
        else printf("exit status %d\n", WEXITSTATUS(p->status));
    }
    printf(good ? "all sides agree, each purchase was settled once, every process ended well\n"
                : "the arena failed\n");
    if (good) printf("%s", what_next);
    return good ? 0 : 1;
}

/* Starts the parts when their time has come and waits for them, within the hard bound. */
static int launch(const char *program) {
    double begin = udp_seconds(), now = 0, end = HARD_SECONDS - 1;
    bool good = true;
    printf("%s", what_is_going_on);
    while (good && now < end && (running() > 0 || !parts[PARTS - 1].started)) {
        for (int i = 0; i < PARTS && good; i++) {
            if (!parts[i].started && now >= parts[i].at) good = start(program, &parts[i]);
        }
        udp_sleep(0.01);
        reap();
        now = udp_seconds() - begin;
        if (parts[SERVER].ended && end > now + 3) end = now + 3;   /* nobody plays on without it */
    }
    kill_rest();
    return report();
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "server") == 0) return run_server(atoi(argv[2]));
    if (argc == 6 && strcmp(argv[1], "client") == 0) {
        return run_client(atoi(argv[2]), argv[3], argv[4], atoi(argv[5]));
    }
    if (argc == 3) port_of_server = argv[1];
    if (argc == 3) port_to_join = argv[2];
    if (argc == 2 && strcmp(argv[1], "--sealed") == 0 && make_keys()) return launch(argv[0]);
    if (argc == 1 || argc == 3) return launch(argv[0]);
    fprintf(stderr, "usage: arena [--sealed | SERVER_PORT PORT_TO_JOIN]\n");
    return 2;
}
