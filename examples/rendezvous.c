/* rendezvous.c - two to eight programs behind NATs meet: hole punching, or a relay

   All join a server that everybody can reach, and name the same secret word and how many they are.
   When they are all there, the server tells each the addresses that it sees of them
   (wisp_peer_addr), and which of them it is. Then all call wisp_join of all others at once: what
   either of two sends opens its own NAT for the other, the two joins cross, and one session comes
   of them. So a mesh comes of it, with the players in the same order everywhere, as
   wisp_rollback_begin wants them.
   A NAT that gives each destination another port (a symmetric one) may defeat this for some pairs;
   then, if the server was started with "relay", it forwards their lines. It could read them: a
   relay is no secret channel. Who knows the word may come as any of them.

   Build    cc -I.. rendezvous.c -o rendezvous             (Windows: add -lws2_32)
   Run      ./rendezvous server 7777 relay                 on a host with a public address; a guest
                                                           on the same host must use that address
            ./rendezvous guest 198.51.100.7 7777 WORD 3    three of them; 2 if not said
            ./rendezvous                                   all in one process; exits 0
*/
#ifndef RENDEZVOUS_WITHOUT_MAIN /* tests/test_rendezvous.c takes the two halves without sockets */
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdlib.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"
#endif

enum { SEATS = 64, WORD_BYTES = 64, ROOM_MOST = 8, LINE_BYTES = 256 };
enum { ADDRESS_BYTES = (int)sizeof ((wisp_addr *)0)->bytes };

/* room: its number, 0 while it is not full; place: in it, from 0 on. */
typedef struct seat { wisp_peer peer; int size, room, place; char word[WORD_BYTES]; } seat;
typedef struct hall { seat seats[SEATS]; int rooms; bool relay; uint64_t seed; } hall;

typedef enum contact { SEARCHING, DIRECT, RELAYED, NO_WAY } contact;
static const char *const contact_names[] = { "searching", "direct", "relayed", "no way" };
typedef struct guest {
    const char *word;             /* set by the caller; all share it, and it is their ticket */
    int         size;             /* .. and so many meet; 0: two */
    uint64_t    seed;             /* 0, but in tests: see wisp_desc */
    bool        shy;              /* lets nobody join, as if its NAT were the worst */
    bool        relay;            /* the server offers to forward */
    bool        introduced;       /* the others are known; this one is in the place .. */
    int         place;
    wisp_peer   server;
    contact     how[ROOM_MOST];                    /* the others, by their places */
    wisp_peer   tried[ROOM_MOST], met[ROOM_MOST];  /* our joins of them; the sessions there are */
    int         heard;
} guest;

/* ---- the server: who waits for whom ------------------------------------- */

static seat *seat_of(hall *h, wisp_peer peer) {
    for (int i = 0; i < SEATS; i++)
        if (wisp_peer_equal(h->seats[i].peer, peer)) return &h->seats[i];
    return NULL;
}

/* A room is full: each of it is told its place, and the addresses of all. */
static void introduce(wisp *w, hall *h, seat *const *members, int count) {
    unsigned char addresses[ROOM_MOST * ADDRESS_BYTES];
    h->rooms++;
    for (int i = 0; i < count; i++) {
        members[i]->room = h->rooms;
        members[i]->place = i;
        memcpy(addresses + i * ADDRESS_BYTES, wisp_peer_addr(w, members[i]->peer)->bytes,
               ADDRESS_BYTES);
    }
    for (int i = 0; i < count; i++)
        wisp_fire(w, "room", members[i]->peer, wisp_bytes(addresses, count * ADDRESS_BYTES),
                  wisp_int(i), wisp_bool(h->relay));
}

/* Who waits with the same word and another size waits for others. */
static void on_meet(wisp_event *event) {
    hall *h = (hall *)event->user;
    const char *word = wisp_arg_string(event, 0);
    int64_t size = wisp_arg_int(event, 1);
    wisp_peer nobody = { 0 };
    seat *members[ROOM_MOST], *mine = seat_of(h, event->peer) ? NULL : seat_of(h, nobody);
    int count = 0;
    if (!mine || !*word || strlen(word) >= WORD_BYTES || size < 2 || size > ROOM_MOST) {
        wisp_leave(event->w, event->peer, "no seat, no word, or not 2 to 8");
        return;
    }
    mine->peer = event->peer;
    mine->size = (int)size;
    memcpy(mine->word, word, strlen(word) + 1);
    for (seat *s = h->seats; s < h->seats + SEATS && count < (int)size; s++)
        if (s->peer.id && !s->room && s->size == (int)size && !strcmp(s->word, word))
            members[count++] = s;
    if (count == (int)size) introduce(event->w, h, members, count);
}

/* A line for another one of the room. */
static void on_relay(wisp_event *event) {
    hall *h = (hall *)event->user;
    const seat *from = seat_of(h, event->peer);
    const char *line = wisp_arg_string(event, 1);
    if (!h->relay || !from || !from->room || strlen(line) > LINE_BYTES) return;
    for (const seat *to = h->seats; to < h->seats + SEATS; to++)
        if (to->room == from->room && to->place == wisp_arg_int(event, 0) && to != from)
            wisp_fire(event->w, "say", to->peer, wisp_string(line));
}

static void on_gone(wisp_event *event) {
    seat *gone = seat_of((hall *)event->user, event->peer);
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
    wisp_on(w, "relay", on_relay, h);
    wisp_set_rate_limit(w, 0.05, "relay");         /* seconds from one line to the next */
    wisp_on(w, WISP_LEFT, on_gone, h);
    return w;
}

/* ---- a guest ------------------------------------------------------------- */

/* A ticket is the word, and behind it the place of who comes. */
static int make_ticket(const guest *g, char *ticket) {
    int size = (int)strlen(g->word);
    memcpy(ticket, g->word, (size_t)size);
    ticket[size] = (char)g->place;
    return size + 1;
}

static wisp_result only_with_our_word(wisp *w, const wisp_addr *from, const void *ticket, int size,
                                      void *user) {
    const char *word = ((const guest *)user)->word, *theirs = (const char *)ticket;
    int length = (int)strlen(word);
    (void)w, (void)from;
    return size == length + 1 && !memcmp(theirs, word, (size_t)length) && theirs[length] >= 0 &&
           theirs[length] < ROOM_MOST ? WISP_OK : WISP_E_DENIED;
}

static void on_room(wisp_event *event) {
    guest *g = (guest *)event->user;
    int64_t place = wisp_arg_int(event, 1);
    char ticket[WORD_BYTES + 1];
    int size = 0;
    const unsigned char *bytes = (const unsigned char *)wisp_arg_bytes(event, 0, &size);
    if (!wisp_peer_equal(event->peer, g->server) || g->introduced || place < 0 ||
        place >= g->size || size != g->size * ADDRESS_BYTES)
        return;
    g->introduced = true;
    g->place = (int)place;
    g->relay = wisp_arg_bool(event, 2);
    if (g->how[place] == DIRECT) wisp_leave(event->w, g->met[place], "that is my place");
    g->how[place] = SEARCHING;
    g->met[place].id = 0;
    for (int i = 0; i < g->size; i++) {
        wisp_addr address;
        if (i == g->place || g->how[i] == DIRECT) continue;
        memcpy(address.bytes, bytes + i * ADDRESS_BYTES, ADDRESS_BYTES);
        g->tried[i] = wisp_join(event->w, &address, ticket, make_ticket(g, ticket));
    }
}

/* The place of the other end of a session: it came with a ticket, or we have tried to join it. */
static int place_of(const guest *g, wisp_event *event) {
    int size = 0, place = 0;
    const char *ticket = (const char *)wisp_arg_bytes(event, 0, &size);
    if (size > 0) return ticket[size - 1];
    while (place < ROOM_MOST && !wisp_peer_equal(event->peer, g->tried[place])) place++;
    return place;
}

static void on_session(wisp_event *event) {
    guest *g = (guest *)event->user;
    int place = place_of(g, event);
    if (wisp_peer_equal(event->peer, g->server)) {
        wisp_fire(event->w, "meet", g->server, wisp_string(g->word), wisp_int(g->size));
    } else if (place >= g->size || g->how[place] == DIRECT ||
               (g->introduced && place == g->place)) {
        wisp_leave(event->w, event->peer, "we have met");
    } else {
        g->met[place] = event->peer;
        g->how[place] = DIRECT;
        /* It may have come from another port than the server saw, where our join goes in vain. */
        if (!wisp_peer_equal(event->peer, g->tried[place]))
            wisp_leave(event->w, g->tried[place], "we have met");
    }
}

static void on_ended(wisp_event *event) {
    guest *g = (guest *)event->user;
    bool server = wisp_peer_equal(event->peer, g->server);
    for (int i = 0; i < g->size; i++) {
        wisp_peer ours = g->how[i] == DIRECT ? g->met[i] : g->tried[i];
        if (wisp_peer_equal(event->peer, ours)) g->how[i] = g->relay ? RELAYED : NO_WAY;
        if (server && g->how[i] != DIRECT) g->how[i] = NO_WAY;
    }
    if (server) g->relay = false;
}

static void on_say(wisp_event *event) { ((guest *)event->user)->heard++; }

/* The worst of the ways to the others; SEARCHING while one is looked for. */
static contact worst_way(const guest *g) {
    contact worst = DIRECT;
    for (int i = 0; i < g->size; i++) {
        bool other = !g->introduced || i != g->place;
        if (other && g->how[i] == SEARCHING) return SEARCHING;
        if (other && g->how[i] > worst) worst = g->how[i];
    }
    return worst;
}

/* To all others, each itself or by way of the server. */
static void say(wisp *w, const guest *g, const char *line) {
    for (int i = 0; i < g->size; i++) {
        if (g->how[i] == DIRECT && i != g->place) wisp_fire(w, "say", g->met[i], wisp_string(line));
        if (g->how[i] == RELAYED)
            wisp_fire(w, "relay", g->server, wisp_int(i), wisp_string(line));
    }
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
    if (!g->size) g->size = 2;
    w = wisp_create(&desc, NULL);
    wisp_on(w, "room", on_room, g);
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
    for (int said = 0; w && said < 60 && worst_way(g) != NO_WAY;) {
        wisp_update(w, udp_clock(NULL));
        if (worst_way(g) == SEARCHING || udp_seconds() < next) continue;
        say(w, g, "hello");
        for (int i = 0; i < g->size; i++)
            if (i != g->place) printf("%d: %s, ", i, contact_names[g->how[i]]);
        printf("said %d lines, heard %d\n", ++said, g->heard);
        next = udp_seconds() + 1;
    }
    wisp_destroy(w);
    return g->heard ? 0 : 1;
}

/* The game of the demo: each tick adds up what the keys of all are. */
typedef struct input { uint8_t key; } input;
typedef struct game { int64_t tick; uint32_t sum; int players; } game;
static const wisp_field input_fields[] = { WISP_FIELD(input, key, WISP_T_UINT) };
static const wisp_schema input_schema = WISP_SCHEMA(input, 1, input_fields);

static void game_step(void *user, const void *const *inputs, int64_t tick) {
    game *g = (game *)user;
    for (int i = 0; i < g->players; i++)
        if (inputs[i]) g->sum = g->sum * 31 + ((const input *)inputs[i])->key;
    g->tick = tick + 1;
}
static void game_save(void *user, void *out) { memcpy(out, user, sizeof(game)); }
static void game_load(void *user, const void *state) { memcpy(user, state, sizeof(game)); }

/* A mesh plays by rollback, each with the sessions that it has and its own place as 0. */
static bool play_together(wisp *const *ends, guest *guests, int count) {
    game games[ROOM_MOST];
    wisp_rollback_stats stats;
    bool equal = true;
    memset(games, 0, sizeof games);
    for (int i = 0; i < count; i++) {
        wisp_rollback_desc d;
        memset(&d, 0, sizeof d);
        games[i].players = d.players = count;
        d.window = -1;                             /* lockstep: at the end all have the same */
        d.input = &input_schema;
        d.state_bytes = (int)sizeof(game);
        d.step = game_step, d.save = game_save, d.load = game_load, d.user = &games[i];
        if (wisp_rollback_begin(ends[i], &d, guests[i].met, NULL, 0)) return false;
    }
    for (double end = udp_seconds() + 10; udp_seconds() < end && equal;) {
        int done = 0;
        for (int i = 0; i < count; i++) {
            input in = { (uint8_t)(games[i].tick * 7 + guests[i].place) };
            wisp_update(ends[i], udp_clock(NULL));
            if (games[i].tick < 60) wisp_rollback_step(ends[i], &in);
            done += games[i].tick == 60;
        }
        if (done == count) break;
    }
    for (int i = 0; i < count; i++) {
        wisp_stats_rollback(ends[i], &stats);
        equal = equal && games[i].tick == 60 && games[i].sum == games[0].sum;
        equal = equal && stats.present == (1u << count) - 1;
        wisp_rollback_end(ends[i]);
    }
    return equal;
}

/* A server, the last, and guests; shy ones can only meet through the relay. */
typedef struct party {
    int   count;
    hall  h;
    guest guests[ROOM_MOST];
    wisp *ends[ROOM_MOST + 1];
} party;

static void party_open(party *p, udp_socket *sockets, bool shy) {
    int server = p->count;
    p->h.relay = true;
    if (udp_open(&sockets[server], "127.0.0.1", 0))
        p->ends[server] = open_hall(&p->h, udp_link(&sockets[server]));
    for (int i = 0; i < p->count; i++) {
        guest *g = &p->guests[i];
        g->word = "swordfish";
        g->size = p->count;
        g->shy = shy;
        p->ends[i] = open_guest_at(g, &sockets[i], "127.0.0.1", udp_port(&sockets[server]));
    }
}

/* Goes on until each has heard a line of all others. */
static void party_talks(party *p) {
    bool said = false;
    for (double end = udp_seconds() + 20; udp_seconds() < end;) {
        int heard = 0, ready = 0;
        for (int i = 0; i <= p->count; i++) wisp_update(p->ends[i], udp_clock(NULL));
        for (int i = 0; i < p->count; i++) {
            heard += p->guests[i].heard >= p->count - 1;
            ready += worst_way(&p->guests[i]) != SEARCHING;
        }
        if (heard == p->count) break;
        for (int i = 0; ready == p->count && !said && i < p->count; i++)
            say(p->ends[i], &p->guests[i], "hello");
        said = said || ready == p->count;
    }
}

static bool demo(int count, bool shy) {
    static party p;
    udp_socket sockets[ROOM_MOST + 1];
    bool good = true;
    memset(&p, 0, sizeof p);
    p.count = count;
    party_open(&p, sockets, shy);
    party_talks(&p);
    for (int i = 0; i < count; i++) {
        good = good && p.guests[i].heard == count - 1;
        good = good && worst_way(&p.guests[i]) == (shy ? RELAYED : DIRECT);
    }
    if (good && !shy) good = play_together(p.ends, p.guests, count);
    printf("%d guests: %s, %s\n", count, contact_names[worst_way(&p.guests[0])],
           good ? "good" : "bad");
    for (int i = 0; i <= count; i++) wisp_destroy(p.ends[i]);    /* ends their sessions */
    for (int i = 0; i <= count; i++) udp_close(&sockets[i]);
    return good;
}

int main(int argc, char **argv) {
    static hall h;
    udp_socket u;
    guest g;
    wisp *w = NULL;
    memset(&g, 0, sizeof g);
    h.relay = argc > 3;
    if (argc == 1)
        return demo(2, false) && demo(3, false) && demo(8, false) && demo(3, true) ? 0 : 1;
    if (argc >= 5 && strcmp(argv[1], "guest") == 0) {
        g.word = argv[4];
        g.size = argc > 5 ? atoi(argv[5]) : 2;
        if (strlen(g.word) < WORD_BYTES && g.size >= 2 && g.size <= ROOM_MOST)
            return run_guest(open_guest_at(&g, &u, argv[2], atoi(argv[3])), &g);
    }
    if (argc >= 3 && strcmp(argv[1], "server") == 0 && udp_open(&u, NULL, atoi(argv[2])))
        w = open_hall(&h, udp_link(&u));
    while (w) wisp_update(w, udp_clock(NULL));
    printf("rendezvous server PORT [relay] | rendezvous guest HOST PORT WORD [2 .. 8] | "
           "rendezvous\n");
    return 1;
}
#endif
