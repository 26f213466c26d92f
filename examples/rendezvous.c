/* rendezvous.c - two programs behind NATs meet: hole punching, and a relay where that fails

   Both join a server that everybody can reach, and name the same secret word. The server tells each
   the address that it sees of the other (wisp_peer_addr). Then both call wisp_join at once: what
   either sends opens its own NAT for the other, the two joins cross, and one session comes of them.
   A NAT that gives each destination another port (a symmetric one) may defeat this; then, if the
   server was started with "relay", it forwards their lines. It could read them: a relay is no
   secret channel.

   Build    cc -I.. rendezvous.c -o rendezvous             (Windows: add -lws2_32)
   Run      ./rendezvous server 7777 relay                 on a host with a public address; a guest
                                                           on the same host must use that address
            ./rendezvous guest 198.51.100.7 7777 WORD      two of them
            ./rendezvous                                   all in one process; exits 0
*/
#ifndef RENDEZVOUS_WITHOUT_MAIN /* tests/test_rendezvous.c takes the two halves without sockets */
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdlib.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"
#endif

enum { SEATS = 64, WORD_BYTES = 64 };
typedef struct seat { wisp_peer peer, partner; char word[WORD_BYTES]; } seat;
typedef struct hall { seat seats[SEATS]; bool relay; uint64_t seed; } hall; /* of the server */

typedef enum contact { SEARCHING, DIRECT, RELAYED, NO_WAY } contact;
static const char *const contact_names[] = { "searching", "direct", "relayed", "no way" };
typedef struct guest {
    const char *word;             /* set by the caller; the two share it, and it is their ticket */
    uint64_t    seed;             /* 0, but in tests: see wisp_desc */
    bool        shy;              /* lets nobody join, as if its NAT were the worst */
    bool        relay;            /* the server offers to forward */
    contact     how;
    wisp_peer   server, tried, met;        /* our join of the other; the session there is */
    int         heard;
} guest;

/* ---- the server: who waits for whom ------------------------------------- */

static seat *seat_of(hall *h, wisp_peer peer) {
    for (int i = 0; i < SEATS; i++)
        if (wisp_peer_equal(h->seats[i].peer, peer)) return &h->seats[i];
    return NULL;
}

static void introduce(wisp *w, const hall *h, seat *to, const seat *other) {
    const wisp_addr *address = wisp_peer_addr(w, other->peer);
    to->partner = other->peer;
    wisp_fire(w, "partner", to->peer, wisp_bytes(address->bytes, (int)sizeof address->bytes),
              wisp_bool(h->relay));
}

static void on_meet(wisp_event *event) {
    hall *h = (hall *)event->user;
    const char *word = wisp_arg_string(event, 0);
    wisp_peer nobody = { 0 };
    seat *mine = seat_of(h, event->peer) ? NULL : seat_of(h, nobody);
    if (!mine || !*word || strlen(word) >= WORD_BYTES) {
        wisp_leave(event->w, event->peer, "no seat, or no word");
        return;
    }
    mine->peer = event->peer;
    memcpy(mine->word, word, strlen(word) + 1);
    for (seat *other = h->seats; other < h->seats + SEATS; other++) {
        if (other == mine || !other->peer.id || other->partner.id) continue;
        if (strcmp(other->word, word) != 0) continue;
        introduce(event->w, h, mine, other);
        introduce(event->w, h, other, mine);
        break;
    }
}

static void on_relayed(wisp_event *event) {
    hall *h = (hall *)event->user;
    const seat *from = seat_of(h, event->peer);
    if (!from || !from->partner.id || !h->relay) return;
    wisp_fire_values(event->w, "say", wisp_to_peer(from->partner), event->args, event->count);
}

static void on_gone(wisp_event *event) {
    hall *h = (hall *)event->user;
    seat *gone = seat_of(h, event->peer);
    seat *partner = gone && gone->partner.id ? seat_of(h, gone->partner) : NULL;
    if (partner) partner->partner.id = 0;
    if (gone) memset(gone, 0, sizeof *gone);
}

static wisp *open_hall(hall *h, wisp_link link) {
    wisp_desc desc;
    wisp *w;
    memset(&desc, 0, sizeof desc);
    desc.link = link;
    desc.app = "rendezvous";
    desc.max_peers = SEATS;
    desc.seed = h->seed;
    w = wisp_create(&desc, NULL);
    wisp_on(w, "meet", on_meet, h);
    wisp_on(w, "say", on_relayed, h);
    wisp_on(w, WISP_LEFT, on_gone, h);
    return w;
}

/* ---- a guest ------------------------------------------------------------- */

static wisp_result only_with_our_word(wisp *w, const wisp_addr *from, const void *ticket, int size,
                                      void *user) {
    const char *word = ((const guest *)user)->word;
    (void)w, (void)from;
    return (size_t)size == strlen(word) && !memcmp(ticket, word, strlen(word)) ? WISP_OK
                                                                               : WISP_E_DENIED;
}

static void on_partner(wisp_event *event) {
    guest *g = (guest *)event->user;
    wisp_addr address;
    int size = 0;
    const void *bytes = wisp_arg_bytes(event, 0, &size);
    if (!wisp_peer_equal(event->peer, g->server) || size != (int)sizeof address.bytes) return;
    memcpy(address.bytes, bytes, sizeof address.bytes);
    g->relay = wisp_arg_bool(event, 1);
    if (g->how == DIRECT) return;
    g->tried = wisp_join(event->w, &address, g->word, (int)strlen(g->word));
}

static void on_session(wisp_event *event) {
    guest *g = (guest *)event->user;
    if (wisp_peer_equal(event->peer, g->server)) {
        wisp_fire(event->w, "meet", g->server, wisp_string(g->word));
    } else if (g->how == DIRECT) {
        wisp_leave(event->w, event->peer, "we have met");
    } else {
        g->met = event->peer;
        g->how = DIRECT;
        /* It may have come from another port than the server saw, where our join goes in vain. */
        if (!wisp_peer_equal(g->met, g->tried)) wisp_leave(event->w, g->tried, "we have met");
    }
}

static void on_ended(wisp_event *event) {
    guest *g = (guest *)event->user;
    wisp_peer ours = g->how == DIRECT ? g->met : g->tried;
    if (wisp_peer_equal(event->peer, ours)) g->how = g->relay ? RELAYED : NO_WAY;
    if (wisp_peer_equal(event->peer, g->server) && g->how != DIRECT) g->how = NO_WAY;
}

static void on_say(wisp_event *event) { ((guest *)event->user)->heard++; }

/* To the partner itself, or by way of the server. */
static void say(wisp *w, const guest *g, const char *line) {
    wisp_fire(w, "say", g->how == DIRECT ? g->met : g->server, wisp_string(line));
}

static wisp *open_guest(guest *g, wisp_link link, const wisp_addr *server) {
    wisp_desc desc;
    wisp *w;
    memset(&desc, 0, sizeof desc);
    desc.link = link;
    desc.app = "rendezvous";
    desc.joins = g->shy ? WISP_JOINS_CLOSED : WISP_JOINS_OPEN;
    desc.join_timeout = 10;       /* seconds: so long the direct way is tried */
    desc.accept = only_with_our_word;
    desc.user = g;
    desc.seed = g->seed;
    w = wisp_create(&desc, NULL);
    wisp_on(w, "partner", on_partner, g);
    wisp_on(w, "say", on_say, g);
    wisp_on(w, WISP_JOINED, on_session, g);
    wisp_on(w, WISP_LEFT, on_ended, g);
    g->server = wisp_join(w, server, NULL, 0);
    return w;
}

/* ---- the program --------------------------------------------------------- */
#ifndef RENDEZVOUS_WITHOUT_MAIN

static wisp *open_guest_at(guest *g, udp_socket *u, const char *host, int port) {
    wisp_addr server;
    bool good = udp_open(u, NULL, 0) && udp_resolve(host, port, &server);
    return good ? open_guest(g, udp_link(u), &server) : NULL;
}

/* Says a line each second for a minute. */
static int run_guest(wisp *w, guest *g) {
    double next = 0;
    for (int said = 0; w && said < 60 && g->how != NO_WAY;) {
        wisp_update(w, udp_clock(NULL));
        if (g->how == SEARCHING || udp_seconds() < next) continue;
        say(w, g, "hello");
        printf("%s: said %d lines, heard %d\n", contact_names[g->how], ++said, g->heard);
        next = udp_seconds() + 1;
    }
    wisp_destroy(w);
    return g->heard ? 0 : 1;
}

/* A server and two guests; shy ones can only meet through the relay. */
static bool demo(bool shy) {
    hall h = { .relay = true };
    guest ada = { .word = "swordfish", .shy = shy }, bob = ada;
    udp_socket sockets[3];
    wisp *ends[3] = { NULL, NULL, NULL };
    double end = udp_seconds() + 10;
    bool said = false;
    if (udp_open(&sockets[0], "127.0.0.1", 0)) ends[0] = open_hall(&h, udp_link(&sockets[0]));
    ends[1] = open_guest_at(&ada, &sockets[1], "127.0.0.1", udp_port(&sockets[0]));
    ends[2] = open_guest_at(&bob, &sockets[2], "127.0.0.1", udp_port(&sockets[0]));
    while (!(ada.heard && bob.heard) && udp_seconds() < end) {
        for (int i = 0; i < 3; i++) wisp_update(ends[i], udp_clock(NULL));
        if (said || ada.how == SEARCHING || bob.how == SEARCHING) continue;
        say(ends[1], &ada, "hello, Bob");
        say(ends[2], &bob, "hello, Ada");
        said = true;
    }
    printf("Ada: %s, Bob: %s\n", contact_names[ada.how], contact_names[bob.how]);
    said = ada.heard == 1 && bob.heard == 1 && ada.how == (shy ? RELAYED : DIRECT);
    for (int i = 0; i < 3; i++) wisp_destroy(ends[i]);       /* ends their sessions */
    for (int i = 0; i < 3; i++) udp_close(&sockets[i]);
    return said;
}

int main(int argc, char **argv) {
    udp_socket u;
    hall h = { .relay = argc > 3 };
    guest g = { .word = argc == 5 ? argv[4] : "" };
    wisp *w = NULL;
    if (argc == 1) return demo(false) && demo(true) ? 0 : 1;
    if (argc == 5 && strcmp(argv[1], "guest") == 0)
        return run_guest(open_guest_at(&g, &u, argv[2], atoi(argv[3])), &g);
    if (argc >= 3 && strcmp(argv[1], "server") == 0 && udp_open(&u, NULL, atoi(argv[2])))
        w = open_hall(&h, udp_link(&u));
    while (w) wisp_update(w, udp_clock(NULL));
    printf("rendezvous server PORT [relay] | rendezvous guest HOST PORT WORD | rendezvous\n");
    return 1;
}
#endif
