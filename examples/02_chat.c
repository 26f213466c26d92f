/* 02_chat.c - a chat room: events both ways, one event to all, who comes and who goes

   Build    cc -I.. 02_chat.c -o chat                   (Windows: add -lws2_32)
   Run      ./chat server 7777
            ./chat client 127.0.0.1 7777 Ada            type lines; an empty one leaves
            ./chat --demo                               both sides in one process; exits 0
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdlib.h>
#ifdef _WIN32
#include <conio.h>
#endif
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { MEMBERS = 64 };
typedef struct member { wisp_peer peer; char name[32]; } member;
typedef struct room { member members[MEMBERS]; int count; } room;          /* of the server */
typedef struct screen { int lines; bool shown, over; } screen;             /* of a client */

/* ---- server: whatever happens goes to all as the event "line" ----------- */

static void tell_all(wisp *w, const member *m, const char *what) {
    wisp_fire_all(w, "line", wisp_string(m->name), wisp_string(what));
}

static member *find(room *r, wisp_peer peer) {
    for (int i = 0; i < r->count; i++) {
        if (wisp_peer_equal(r->members[i].peer, peer)) return &r->members[i];
    }
    return NULL;
}

static void on_enter(wisp_event *event) {
    room *r = event->user;
    if (r->count == MEMBERS || find(r, event->peer)) return;
    member *m = &r->members[r->count++];
    m->peer = event->peer;
    snprintf(m->name, sizeof m->name, "%s", wisp_arg_string(event, 0));
    tell_all(event->w, m, "(has come in)");
}

static void on_say(wisp_event *event) {
    member *m = find(event->user, event->peer);
    if (m) tell_all(event->w, m, wisp_arg_string(event, 0));
}

static void on_left(wisp_event *event) {
    room *r = event->user;
    member *m = find(r, event->peer);
    if (m) tell_all(event->w, m, event->result == WISP_OK ? "(has left)" : "(is lost)");
    if (m) *m = r->members[--r->count];
}

static wisp *open_server(udp_socket *u, int port, room *r) {
    wisp_desc desc = { .link = udp_link(u), .app = "chat" };
    wisp *w = udp_open(u, NULL, port) ? wisp_create(&desc, NULL) : NULL;
    wisp_on(w, "enter", on_enter, r);
    wisp_on(w, "say", on_say, r);
    wisp_on(w, WISP_LEFT, on_left, r);
    return w;
}

/* ---- client ------------------------------------------------------------ */

static void on_line(wisp_event *event) {
    screen *s = event->user;
    s->lines++;
    if (s->shown) printf("%s: %s\n", wisp_arg_string(event, 0), wisp_arg_string(event, 1));
}

static void on_ended(wisp_event *event) { ((screen *)event->user)->over = true; }

static wisp *open_client(udp_socket *u, const char *host, int port, const char *name, screen *s) {
    wisp_desc desc = { .link = udp_link(u), .app = "chat", .refuse_joins = true };
    wisp_addr server;
    bool good = udp_open(u, NULL, 0) && udp_resolve(host, port, &server);
    wisp *w = good ? wisp_create(&desc, NULL) : NULL;
    wisp_on(w, "line", on_line, s);
    wisp_on(w, WISP_LEFT, on_ended, s);
    wisp_join(w, &server, NULL, 0);
    wisp_fire(w, "enter", WISP_SERVER, wisp_string(name));
    return w;
}

/* One line from the keyboard, never waiting for it: NULL = not yet, "" = leave. */
static const char *typed(void) {
    static char line[256];
    static size_t used;
#ifdef _WIN32
    if (!_kbhit()) return NULL;
    line[used] = (char)_getche();
#else
    if (poll(&(struct pollfd){ STDIN_FILENO, POLLIN, 0 }, 1, 0) <= 0) return NULL;
    if (read(STDIN_FILENO, &line[used], 1) != 1) line[used] = '\n';
#endif
    if (line[used] != '\n' && line[used] != '\r' && ++used < sizeof line - 1) return NULL;
    line[used] = 0;
    used = 0;
    return line;
}

/* A server runs until it is stopped; a client until it leaves or the server is gone. */
static int run(wisp *w, const screen *s) {
    const char *line = NULL;
    while (w && !s->over && !(line && !*line)) {
        line = s->shown && s->lines > 0 ? typed() : NULL;
        if (line && *line) wisp_fire(w, "say", WISP_SERVER, wisp_string(line));
        wisp_update(w, udp_clock(NULL));
    }
    wisp_destroy(w);                                             /* says goodbye */
    return w ? 0 : 1;
}

/* Runs the whole room until a client has so many lines. */
static void until(wisp **ends, const screen *s, int lines) {
    for (int i = 0; s->lines < lines && i < 9000; i++) wisp_update(ends[i % 3], udp_clock(NULL));
}

static int demo(void) {
    room r = { .count = 0 };
    screen ada = { .shown = true }, bob = { .shown = false };
    udp_socket sockets[3];
    wisp *ends[3] = { open_server(&sockets[0], 0, &r), NULL, NULL };
    int port = udp_port(&sockets[0]);
    ends[1] = open_client(&sockets[1], "127.0.0.1", port, "Ada", &ada);
    until(ends, &ada, 1);
    ends[2] = open_client(&sockets[2], "127.0.0.1", port, "Bob", &bob);
    until(ends, &ada, 2);
    wisp_fire(ends[1], "say", WISP_SERVER, wisp_string("Hello, Bob."));
    until(ends, &ada, 3);
    until(ends, &bob, 2);
    wisp_leave(ends[2], WISP_SERVER, "good night");
    until(ends, &ada, 4);
    for (int i = 0; i < 3; i++) wisp_destroy(ends[i]);
    printf("Ada has seen %d lines, Bob %d\n", ada.lines, bob.lines);
    return ada.lines == 4 && bob.lines == 2 ? 0 : 1;
}

int main(int argc, char **argv) {
    room r = { .count = 0 };
    screen s = { .shown = argc == 5 };
    udp_socket u;
    wisp *w = NULL;
    if (argc == 2 && strcmp(argv[1], "--demo") == 0) return demo();
    if (argc == 3) w = open_server(&u, atoi(argv[2]), &r);
    if (argc == 5) w = open_client(&u, argv[2], atoi(argv[3]), argv[4], &s);
    if (!w) printf("chat server PORT | chat client HOST PORT NAME | chat --demo\n");
    return run(w, &s);
}
