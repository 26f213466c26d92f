/* wisp_relay.c - a bad network between two UDP programs on one machine

   Build    cc -std=c99 -O2 -I. tools/wisp_relay.c -o build/wisp_relay -lm   (Windows: -lws2_32)
   Run      build/wisp_relay [options] PORT HOST:PORT [SETTINGS]
            build/wisp_relay 9000 127.0.0.1:7777 "mobile loss=5"

   A program that would send to the target, here 127.0.0.1:7777, sends to port 9000 instead. Each
   client gets a socket of its own to the target and a wisp_simulator of its own, so each has the
   whole rate. "up" is from a client to the target. SETTINGS are those of wisp_simulator_set.

       --seconds N   ends after N seconds
       --clients N   at most so many, 1 to 1000; 64. One that was silent for a minute makes room
       --seed N      of the random numbers; 1
       --any         listens on all addresses, and the target may be another machine

   A line of settings on the standard input changes them, with or without a terminal; so do keys at
   the beginning of a line, of which ? prints a list. Once a second a line of figures is printed, of
   what has passed in that second and what was lost in it by all causes; the delay is a mean. Exit
   codes: 0 done, 1 a socket cannot be opened, 2 the arguments make no sense.
*/
#include "../examples/udp.h"    /* first: it asks the system headers for more than C99 offers */

#include <signal.h>
#include <stdlib.h>
#ifdef _WIN32
#include <conio.h>
#else
#include <termios.h>
#endif

#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { CLIENTS_MOST = 1000, DATAGRAM = 65536, BURST = 1000, IN_TRANSFER = 4096, LINE = 256 };
#define IDLE_SECONDS 60.0
#define STEP_SECONDS 0.001

/* The sums of the ways that have ended, or of all that there are. */
typedef struct figures { uint64_t packets, bytes, lost; double delay; } figures;

typedef struct client {
    wisp_addr      addr;
    udp_socket     socket;               /* to the target */
    wisp_simulator net;
    wisp_link      link;
    double         heard;                /* when it sent last */
} client;

typedef struct relay {
    int            port, most, count;    /* most: of clients */
    bool           any;
    double         seconds, now;         /* seconds 0: until it is ended */
    wisp_addr      target;
    udp_socket     socket;               /* to the clients */
    wisp_simulator settings;             /* only these */
    client        *clients[CLIENTS_MOST];
    uint64_t       seed, refused;        /* refused: datagrams of clients that had no place */
    figures        gone[2], last[2];     /* up, down */
    char           line[LINE];
    int            length;
    uint8_t        bytes[DATAGRAM];
} relay;

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

/* --- clients ------------------------------------------------------------------ */

static void figures_add(figures *f, const wisp_network_way *way) {
    f->packets += way->arrived;
    f->bytes += way->arrived_bytes;
    f->lost += way->lost;
    f->delay += way->delay;
}

static void client_close(relay *r, int i) {
    client *c = r->clients[i];
    figures_add(&r->gone[0], &c->net.out_way);
    figures_add(&r->gone[1], &c->net.in_way);
    wisp_simulator_free(&c->net);
    udp_close(&c->socket);
    free(c);
    r->clients[i] = r->clients[--r->count];
}

/* The client of an address, a new one if need be; NULL: there is no place for it. */
static client *client_of(relay *r, const wisp_addr *addr) {
    int oldest = -1;
    client *c;
    for (int i = 0; i < r->count; i++) {
        if (memcmp(&r->clients[i]->addr, addr, sizeof *addr) == 0) return r->clients[i];
        if (oldest < 0 || r->clients[i]->heard < r->clients[oldest]->heard) oldest = i;
    }
    if (r->count == r->most && r->now - r->clients[oldest]->heard > IDLE_SECONDS)
        client_close(r, oldest);
    if (r->count == r->most || (c = calloc(1, sizeof *c)) == NULL) return NULL;
    if (!udp_open(&c->socket, r->any ? NULL : "127.0.0.1", 0)) {
        free(c);
        return NULL;
    }
    c->addr = *addr;
    c->net = r->settings;
    c->net.seed = r->seed++;
    c->link = wisp_simulate(&c->net, udp_link(&c->socket));
    r->clients[r->count++] = c;
    return c;
}

static void relay_up(relay *r) {
    wisp_link front = udp_link(&r->socket);
    for (int i = 0; i < BURST; i++) {
        wisp_packet packet = { .data = r->bytes, .size = DATAGRAM };
        client *c;
        if (front.recv(front.user, &packet, 1) != 1) return;
        c = client_of(r, &packet.addr);
        r->refused += !c;
        if (!c) continue;
        c->heard = c->net.now = r->now;
        packet.addr = r->target;
        c->link.send(c->link.user, &packet, 1);
    }
}

/* Also lets the client's simulator send up what is due. */
static void relay_down(relay *r, client *c) {
    wisp_link front = udp_link(&r->socket);
    c->net.now = r->now;
    for (int i = 0; i < BURST; i++) {
        wisp_packet packet = { .data = r->bytes, .size = DATAGRAM };
        if (c->link.recv(c->link.user, &packet, 1) != 1) return;
        if (memcmp(&packet.addr, &r->target, sizeof r->target)) continue;
        packet.addr = c->addr;
        front.send(front.user, &packet, 1);
    }
}

/* --- settings ------------------------------------------------------------------- */

/* Changes the settings of all; false: the text cannot be read, which was said. */
static bool relay_set(relay *r, const char *text) {
    wisp_simulator *s = &r->settings;
    if (wisp_simulator_set(s, text) != WISP_OK) {
        fprintf(stderr, "%s\n%*s^ %s\n", text, s->error_at, "", s->error);
        return false;
    }
    if (!s->capacity) s->capacity = IN_TRANSFER;
    if (!s->in.capacity) s->in.capacity = IN_TRANSFER;
    for (int i = 0; i < r->count; i++) {
        client *c = r->clients[i];
        wisp_simulator_set(&c->net, text);
        c->net.capacity = s->capacity;
        c->net.in.capacity = s->in.capacity;
    }
    return true;
}

static void show_settings(const relay *r) {
    const wisp_simulator *s = &r->settings;
    printf("up lat=%g jit=%g loss=%g rate=%.0f mtu=%d, "
           "down lat=%g jit=%g loss=%g rate=%.0f mtu=%d\n",
           s->latency * 1000, s->jitter * 1000, s->loss * 100, s->rate, s->mtu,
           s->in.latency * 1000, s->in.jitter * 1000, s->in.loss * 100, s->in.rate, s->in.mtu);
}

/* Sets a number of each way, in the unit of the text. */
static void set_both(relay *r, const char *name, double up, double down) {
    char text[LINE];
    snprintf(text, sizeof text, "up:%s=%.1f down:%s=%.1f", name, up > 0 ? up : 0, name,
             down > 0 ? down : 0);
    if (relay_set(r, text)) show_settings(r);
}

static void take_key(relay *r, char key) {
    static const char *const networks[] = { "none", "wifi", "mobile", "satellite", "awful" };
    const wisp_simulator *s = &r->settings;
    double lost[2] = { s->loss * 100, s->in.loss * 100 };
    double late[2] = { s->latency * 1000, s->in.latency * 1000 };
    switch (key) {
    case '+': set_both(r, "loss", lost[0] + 1, lost[1] + 1); break;
    case '-': set_both(r, "loss", lost[0] - 1, lost[1] - 1); break;
    case '>': set_both(r, "lat", late[0] + 10, late[1] + 10); break;
    case '<': set_both(r, "lat", late[0] - 10, late[1] - 10); break;
    case '*': set_both(r, "rate", s->rate * 2, s->in.rate * 2); break;
    case '/': set_both(r, "rate", s->rate / 2, s->in.rate / 2); break;
    case '?':
        printf("keys: 0 none, 1 wifi, 2 mobile, 3 satellite, 4 awful, + - loss, > < latency, "
               "* / rate;\nor a line of settings, for example: loss=5 down:rate=100k\n");
        break;
    default:
        if (relay_set(r, networks[key - '0'])) show_settings(r);
    }
}

/* The next byte of the standard input, if there is one by now; else -1. */
static int next_byte(void) {
#ifdef _WIN32
    int key = _kbhit() ? _getche() : -1;
    return key == '\r' ? '\n' : key;
#else
    struct pollfd look = { .fd = STDIN_FILENO, .events = POLLIN };
    unsigned char byte;
    if (poll(&look, 1, 0) != 1 || read(STDIN_FILENO, &byte, 1) != 1) return -1;
    return byte;
#endif
}

static void take_input(relay *r) {
    int byte;
    for (int i = 0; i < LINE && (byte = next_byte()) >= 0; i++) {
        if (r->length == 0 && byte && strchr("01234+-><*/?", byte)) {
            take_key(r, (char)byte);
        } else if (byte == '\n') {
            r->line[r->length] = 0;
            if (r->length > 0 && relay_set(r, r->line)) show_settings(r);
            r->length = 0;
        } else if (r->length < LINE - 1) {
            r->line[r->length++] = (char)byte;
        }
    }
    fflush(stdout);
}

/* Keys come one by one. Without a terminal, or behind a shell's &, nothing is done. */
static void terminal_raw(bool on) {
#ifdef _WIN32
    (void)on;
#else
    struct termios how;
    if (tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &how) != 0) return;
    if (on) how.c_lflag &= ~(tcflag_t)ICANON;
    else how.c_lflag |= ICANON;
    tcsetattr(STDIN_FILENO, TCSANOW, &how);
#endif
}

/* --- figures, and the loop ------------------------------------------------------- */

static void show_way(const char *name, const figures *now, figures *last) {
    uint64_t packets = now->packets - last->packets;
    printf("%s %5lu packets %8lu B %4lu lost %6.1f ms", name, (unsigned long)packets,
           (unsigned long)(now->bytes - last->bytes), (unsigned long)(now->lost - last->lost),
           packets ? (now->delay - last->delay) * 1000 / (double)packets : 0.0);
    *last = *now;
}

static void show_figures(relay *r) {
    figures now[2] = { r->gone[0], r->gone[1] };
    for (int i = 0; i < r->count; i++) {
        figures_add(&now[0], &r->clients[i]->net.out_way);
        figures_add(&now[1], &r->clients[i]->net.in_way);
    }
    show_way("up", &now[0], &r->last[0]);
    show_way(" | down", &now[1], &r->last[1]);
    printf(" | %d clients", r->count);
    if (r->refused) printf(", %lu datagrams of others", (unsigned long)r->refused);
    printf("\n");
    fflush(stdout);
}

static void run(relay *r) {
    double begin = udp_seconds(), next = begin + 1;
    while (!interrupted && (r->seconds <= 0 || r->now < begin + r->seconds)) {
        udp_wait(&r->socket, STEP_SECONDS);
        r->now = udp_seconds();
        relay_up(r);
        for (int i = 0; i < r->count; i++) relay_down(r, r->clients[i]);
        take_input(r);
        if (r->now < next) continue;
        show_figures(r);
        next += 1;
    }
    while (r->count > 0) client_close(r, 0);
}

/* --- the command line ------------------------------------------------------------- */

static bool read_target(relay *r, char *text) {
    char *colon = strrchr(text, ':');
    if (!colon) return false;
    *colon = 0;
    if (!udp_resolve(text, atoi(colon + 1), &r->target)) return false;
    return r->any || (r->target.bytes[0] == 4 && r->target.bytes[4] == 127);
}

static bool read_options(relay *r, int argc, char **argv) {
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        const char *name = argv[at], *number = at + 1 < argc ? argv[at + 1] : "";
        r->any = r->any || strcmp(name, "--any") == 0;
        if (strcmp(name, "--any") == 0) continue;
        if (strcmp(name, "--seconds") == 0) r->seconds = atof(number);
        else if (strcmp(name, "--clients") == 0) r->most = atoi(number);
        else if (strcmp(name, "--seed") == 0) r->seed = (uint64_t)atol(number);
        else return false;
        at++;
    }
    if (argc - at < 2 || argc - at > 3 || r->most < 1 || r->most > CLIENTS_MOST) return false;
    r->port = atoi(argv[at]);
    if (r->port < 0 || r->port > 65535 || !read_target(r, argv[at + 1])) return false;
    return relay_set(r, argc - at == 3 ? argv[at + 2] : "none");
}

int main(int argc, char **argv) {
    static relay r;
    char target[64];
    r.most = 64;
    r.seed = 1;
    if (!read_options(&r, argc, argv)) {
        fprintf(stderr, "usage: wisp_relay [--seconds N] [--clients N] [--seed N] [--any] "
                        "PORT HOST:PORT [SETTINGS]\n");
        return 2;
    }
    if (!udp_open(&r.socket, r.any ? NULL : "127.0.0.1", r.port)) {
        fprintf(stderr, "wisp_relay: port %d cannot be opened\n", r.port);
        return 1;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("port %d <-> %s; ? lists the keys\n", udp_port(&r.socket),
           udp_text(&r.target, target, sizeof target));
    show_settings(&r);
    terminal_raw(true);
    run(&r);
    terminal_raw(false);
    udp_close(&r.socket);
    return 0;
}
