/* 09_filter.c - middleware: who may say what, what is held back, and a plugin that counts

   The server lets nobody say anything before the login but for an allow-list, and some names are
   for a level or VIPs; the client corrects its own words, and holds its moves until it is let in.

   Build    cc -I.. 09_filter.c -o filter        (Windows: add -lws2_32)
   Run      ./filter                             exits 0 when each filter did what it should
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */

#include <stdio.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { NOT_FOR_YOU = WISP_E_USER - 1 };
typedef struct player { int level; bool vip; } player;
static player ada = { 7, false }, trader = { 10, false }, guest = { 0, true };

/* ---- filters: the server's two, then the client's ---------------------- */

/* Passes all names but for those of `except`: the allow-list. */
static wisp_result is_authenticated(wisp_event *event) {
    if (!wisp_peer_user(event->w, event->peer)) return WISP_E_DENIED;
    return WISP_PASS;
}

static wisp_result is_good_enough(wisp_event *event) {
    const player *is = wisp_peer_user(event->w, event->peer), *least = event->user;
    return is && is->level >= least->level && is->vip >= least->vip ? WISP_PASS : NOT_FOR_YOU;
}

static wisp_result without_names(wisp_event *event) {
    wisp_value instead = wisp_string("***");
    if (strstr(wisp_arg_string(event, 0), "dragon")) return wisp_change(event, &instead, 1);
    return WISP_PASS;
}

static wisp_result when_let_in(wisp_event *event) {
    return *(const bool *)event->user ? WISP_PASS : WISP_HOLD;
}

/* ---- a plugin: a middleware and events --------------------------------- */

typedef struct counter { int peers, messages, refused; } counter;

static wisp_result count_message(wisp_event *event) {
    ((counter *)event->user)->messages++;
    return WISP_PASS;
}

static void count_peer(wisp_event *event) { ((counter *)event->user)->peers++; }

static void count_error(wisp_event *event) {
    ((counter *)event->user)->refused++;
    printf("server: %s (%d)\n", event->text, event->result);
}

/* In comes first who was registered last: it sees what the filters will refuse, too. */
static void plug_in(wisp *w, counter *c) {
    wisp_middleware m = { "counter", NULL, count_message, count_message, NULL, NULL };
    m.user = c;
    wisp_use(w, &m);
    wisp_on(w, WISP_JOINED, count_peer, c);
    wisp_on(w, WISP_ERROR, count_error, c);
}

/* ---- what happens ------------------------------------------------------ */

static void on_login(wisp_event *event) {
    wisp_set_peer_user(event->w, event->peer, &ada);
    wisp_reply(event, wisp_string("welcome"));
}

static void on_welcome(wisp_event *event) {
    *(bool *)event->user = event->result == WISP_OK;
    printf("client: let in, %d moves go on\n",
           wisp_release(event->w, "wait", event->peer, WISP_PASS));
    wisp_fire(event->w, "say", event->peer, wisp_string("I fear dragons"));      /* changed */
    wisp_fire(event->w, "trade", event->peer, wisp_int(100));                      /* level 10 */
    wisp_fire(event->w, "lounge", event->peer);                                    /* VIPs only */
}

typedef struct seen { int says, others; } seen;

static void on_other(wisp_event *event) { ((seen *)event->user)->others++; }

static void on_say(wisp_event *event) {
    ((seen *)event->user)->says += strcmp(wisp_arg_string(event, 0), "***") == 0;
    printf("server: somebody says \"%s\"\n", wisp_arg_string(event, 0));
}

static void use_filters(wisp *server, wisp *client, bool *let_in) {
    wisp_middleware all[] = {
        { "trade", "^trade",   is_good_enough,   NULL, &trader, NULL },
        { "vip",   "^lounge$", is_good_enough,   NULL, &guest,  NULL },
        { "gate",  NULL,       is_authenticated, NULL, NULL,    "^(login|hello)$" },
        { "clean", "^say$",    NULL, without_names, NULL,       NULL },
        { "wait",  "^move$",   NULL, when_let_in,   NULL,       NULL },
    };
    int i;
    all[4].user = let_in;
    for (i = 0; i < 5; i++) wisp_use(i < 3 ? server : client, &all[i]);
}

static bool converse(wisp *server, wisp *client, const wisp_addr *address) {
    static const char *const others[] = { "hello", "move", "lounge", "trade" };
    counter c = { 0, 0, 0 };
    seen s = { 0, 0 };
    bool let_in = false;
    double end = udp_seconds() + 5;
    int i;
    use_filters(server, client, &let_in);
    plug_in(server, &c);
    wisp_on_invoke(server, "login", on_login, NULL);
    wisp_on(server, "say", on_say, &s);
    for (i = 0; i < 4; i++) wisp_on(server, others[i], on_other, &s);
    wisp_join(client, address, NULL, 0);
    for (i = 0; i < 3; i++) wisp_fire(client, "move", WISP_SERVER, wisp_int(i));   /* held */
    wisp_fire(client, "say", WISP_SERVER, wisp_string("too early"));               /* refused */
    wisp_fire(client, "hello", WISP_SERVER);                                       /* allowed */
    wisp_invoke(client, "login", WISP_SERVER, on_welcome, &let_in, wisp_string("Ada"));
    while ((s.others < 4 || s.says < 1 || c.refused < 3) && udp_seconds() < end) {
        double now = udp_clock(NULL);
        wisp_update(server, now);
        wisp_update(client, now);
    }
    printf("server: %d joined, %d messages, %d refused\n", c.peers, c.messages, c.refused);
    return s.others == 4 && s.says == 1 && c.messages == 10 && c.refused == 3;
}

int main(void) {
    udp_socket sockets[2];
    wisp *ends[2] = { NULL, NULL };                /* server, client */
    wisp_addr address;
    bool good = false;
    int i;
    for (i = 0; i < 2; i++) {
        wisp_desc desc = { 0 };
        desc.link = udp_link(&sockets[i]);
        if (udp_open(&sockets[i], "127.0.0.1", 0)) ends[i] = wisp_create(&desc, NULL);
    }
    if (ends[0] && ends[1] && udp_resolve("127.0.0.1", udp_port(&sockets[0]), &address)) {
        good = converse(ends[0], ends[1], &address);
    }
    for (i = 0; i < 2; i++) wisp_destroy(ends[i]);
    for (i = 0; i < 2; i++) udp_close(&sockets[i]);
    printf(good ? "done\n" : "something is missing\n");
    return good ? 0 : 1;
}
