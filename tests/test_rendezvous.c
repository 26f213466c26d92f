/* test_rendezvous.c - two endpoints behind NATs end with one session: crossing joins, and the
   example that introduces them, over each pair of NAT kinds */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/nats.h"

#define RENDEZVOUS_WITHOUT_MAIN
#include "../examples/rendezvous.c"

static const char *const nat_names[NATS_KINDS] = { "none", "full cone", "address", "port",
                                                   "symmetric" };

/* Of two kinds of NAT: can crossing joins to the addresses that a third sees come through? */
static bool nat_joins_cross(int a, int b) { return a != NATS_SYMMETRIC && b != NATS_SYMMETRIC; }

/* And when joins from another port with the right ticket are let in too? */
static bool nat_joins_meet(int a, int b) {
    return !(a == NATS_SYMMETRIC && b >= NATS_PORT) && !(b == NATS_SYMMETRIC && a >= NATS_PORT);
}

/* --- the simulated NATs do what their names say --- */

/* A datagram from a host; returns which host received it, -1 none. */
static int nat_probe(nats *n, int from, const wisp_addr *to, wisp_addr *seen) {
    char text[8] = "probe";
    wisp_packet packet;
    memset(&packet, 0, sizeof packet);
    packet.addr = *to;
    packet.data = text;
    packet.size = 6;
    nats_send(&n->hosts[from], &packet, 1);
    n->now += 4;
    for (int i = 0; i < n->host_count; i++) {
        packet.data = text;
        packet.size = (int)sizeof text;
        if (nats_recv(&n->hosts[i], &packet, 1) != 1) continue;
        *seen = packet.addr;
        return i;
    }
    return -1;
}

/* Host 1 stands behind the NAT; 0 and 2 are public, and 3 is another port of the address of 0. */
static void nat_open_sides(nats *n, int kind) {
    int box;
    nats_open(n, 1);
    box = nats_box(n, NATS_NONE, 0);
    nats_host(n, box);
    nats_host(n, nats_box(n, kind, 0));
    nats_host(n, nats_box(n, NATS_NONE, 0));
    nats_host(n, box);
}

TEST(each_kind_of_nat_lets_in_what_its_name_says) {
    /* answered; from another port of that host; from another host; a new port for a new address */
    static const bool expected[NATS_KINDS][4] = {
        { true, true, true, false }, { true, true, true, false }, { true, true, false, false },
        { true, false, false, false }, { true, false, false, true },
    };
    for (int kind = NATS_NONE; kind < NATS_KINDS; kind++) {
        nats n;
        wisp_addr first, second, seen, to;
        bool got[4];
        nat_open_sides(&n, kind);
        to = nats_public(&n, 0);
        CHECK_EQ_INT(nat_probe(&n, 1, &to, &first), 0);
        got[0] = nat_probe(&n, 0, &first, &seen) == 1;
        got[1] = nat_probe(&n, 3, &first, &seen) == 1;
        got[2] = nat_probe(&n, 2, &first, &seen) == 1;
        to = nats_public(&n, 2);
        CHECK_EQ_INT(nat_probe(&n, 1, &to, &second), 2);
        got[3] = memcmp(&first, &second, sizeof first) != 0;
        for (int i = 0; i < 4; i++)
            if (!CHECK(got[i] == expected[kind][i])) printf("  %s, %d\n", nat_names[kind], i);
        nats_close(&n);
    }
}

TEST(a_mapping_of_a_nat_ends_after_its_timeout_and_comes_back_with_another_port) {
    nats n;
    wisp_addr server, first, second, seen;
    nat_open_sides(&n, NATS_FULL_CONE);
    server = nats_public(&n, 0);
    nat_probe(&n, 1, &server, &first);
    n.now += 22;
    CHECK_EQ_INT(nat_probe(&n, 0, &first, &seen), 1);
    n.now += 5;
    CHECK_EQ_INT(nat_probe(&n, 0, &first, &seen), -1);
    nat_probe(&n, 1, &server, &second);
    CHECK(nats_port_of(&first) != nats_port_of(&second));
    nats_close(&n);
}

/* --- crossing joins, with the default of desc.joins --- */

typedef struct nat_end {
    int         joined, left, heard;
    wisp_result why;
    double      left_at;
    wisp_peer   peer;
    const nats *n;
} nat_end;

static void on_nat_joined(wisp_event *event) {
    nat_end *end = (nat_end *)event->user;
    end->joined++;
    end->peer = event->peer;
}

static void on_nat_left(wisp_event *event) {
    nat_end *end = (nat_end *)event->user;
    end->left++;
    end->why = event->result;
    end->left_at = end->n->now;
}

static void on_nat_heard(wisp_event *event) { ((nat_end *)event->user)->heard++; }

static void nat_add(nats *n, int kind, nat_end *end, wisp_joins joins) {
    wisp_desc desc;
    int host = nats_host(n, nats_box(n, kind, 0));
    memset(&desc, 0, sizeof desc);
    memset(end, 0, sizeof *end);
    end->n = n;
    desc.link = nats_link(n, host);
    desc.seed = (uint64_t)(n->random + (uint64_t)host * 1000 + 1);
    desc.joins = joins;
    n->hosts[host].end = wisp_create(&desc, NULL);
    wisp_connect_target(n->hosts[host].end, wisp_by_name(WISP_JOINED), on_nat_joined, end, false);
    wisp_connect_target(n->hosts[host].end, wisp_by_name(WISP_LEFT), on_nat_left, end, false);
    wisp_connect_target(n->hosts[host].end, wisp_by_name("x"), on_nat_heard, end, false);
}

/* Two hosts, 0 and 1, and a third that tells the address that it sees of each. The joins begin so
   many seconds apart. */
static void nat_cross(nats *n, nat_end ends[2], const int kinds[2], wisp_joins joins,
                      double apart) {
    wisp_addr seen[2], server;
    int third;
    nat_add(n, kinds[0], &ends[0], joins);
    nat_add(n, kinds[1], &ends[1], joins);
    third = nats_host(n, nats_box(n, NATS_NONE, 0));
    server = nats_public(n, third);
    for (int i = 0; i < 2; i++) {
        double loss = n->loss;
        n->loss = 0;
        CHECK_EQ_INT(nat_probe(n, i, &server, &seen[i]), third);
        n->loss = loss;
    }
    wisp_update(n->hosts[0].end, n->now);
    wisp_update(n->hosts[1].end, n->now);
    wisp_join(n->hosts[0].end, &seen[1], NULL, 0);
    nats_run(n, apart);
    wisp_join(n->hosts[1].end, &seen[0], NULL, 0);
}

/* One session at both ends, told once, on which both hear each other. */
static bool nat_agree(nats *n, const nat_end ends[2]) {
    bool good = true;
    for (int i = 0; i < 2; i++) {
        good = good && ends[i].joined == 1 && ends[i].left == 0;
        good = good && wisp_peers(n->hosts[i].end, NULL, 0) == 1;
    }
    for (int i = 0; i < 2; i++) {
        wisp_value value = wisp_int(i);
        wisp_fire_values(n->hosts[i].end, "x", wisp_to_peer(ends[i].peer), &value, 1);
    }
    nats_run(n, 60);
    return good && ends[0].heard == 1 && ends[1].heard == 1;
}

static void nat_bad_network(nats *n, uint64_t seed) {
    n->latency = 0.02 + 0.05 * (double)(seed % 5);
    n->jitter = seed % 3 ? 0.04 : 0;
    n->loss = 0.1 * (double)(seed % 3);
    n->step = seed % 4 ? 1.0 / 60 : 0.1;
}

/* Round trips to 3 s, and 1 to 60 updates a second. */
static void nat_far_network(nats *n, uint64_t seed) {
    nat_bad_network(n, seed);
    n->latency = 0.02 + 0.37 * (double)(seed % 5);
    n->step = seed % 4 ? 1.0 / (double)(1 + seed % 60) : 1;
}

TEST(crossing_joins_through_nats_become_one_session) {
    for (int pair = 0; pair < NATS_SYMMETRIC * NATS_SYMMETRIC; pair++) {
        for (uint64_t seed = 1; seed <= 30; seed++) {
            int kinds[2] = { pair / NATS_SYMMETRIC, pair % NATS_SYMMETRIC };
            nats n;
            nat_end ends[2];
            CHECK(nat_joins_cross(kinds[0], kinds[1]));
            nats_open(&n, seed * 100 + (uint64_t)pair);
            nat_far_network(&n, seed);
            nat_cross(&n, ends, kinds, seed % 2 ? WISP_JOINS_AUTO : WISP_JOINS_OPEN,
                      0.04 * (double)(seed % 7));
            for (int i = 0; i < 31 && !(ends[0].joined && ends[1].joined); i++) nats_run(&n, 1);
            if (!CHECK(nat_agree(&n, ends)))
                printf("  %s and %s, seed %d: %d %d %d, %d %d %d (%d %d)\n", nat_names[kinds[0]],
                       nat_names[kinds[1]], (int)seed, ends[0].joined, ends[0].left, ends[0].heard,
                       ends[1].joined, ends[1].left, ends[1].heard, ends[0].why, ends[1].why);
            nats_close(&n);
        }
    }
}

TEST(a_join_that_a_symmetric_nat_defeats_ends_with_a_clear_code_in_time) {
    for (int other = NATS_PORT; other < NATS_KINDS; other++) {
        for (uint64_t seed = 1; seed <= 6; seed++) {
            int kinds[2] = { NATS_SYMMETRIC, other };
            nats n;
            nat_end ends[2];
            nats_open(&n, seed);
            nat_bad_network(&n, seed);
            nat_cross(&n, ends, kinds, seed % 2 ? WISP_JOINS_AUTO : WISP_JOINS_OPEN, 0.1);
            nats_run(&n, 31);
            for (int i = 0; i < 2; i++) {
                CHECK(ends[i].joined == 0 && ends[i].left == 1);
                CHECK_EQ_INT(ends[i].why, WISP_E_TIMEOUT);
                CHECK_EQ_INT(wisp_peers(n.hosts[i].end, NULL, 0), 0);
            }
            nats_close(&n);
        }
    }
}

/* --- the example: a server and some guests --- */

typedef struct nat_meeting {
    nats  n;
    hall  server;
    int   count;
    guest guests[ROOM_MOST];                    /* guest i is host i + 1 */
} nat_meeting;

static void meeting_open(nat_meeting *m, const int *kinds, int count, uint64_t seed) {
    wisp_addr address;
    memset(m, 0, sizeof *m);
    nats_open(&m->n, seed);
    nat_bad_network(&m->n, seed);
    nats_host(&m->n, nats_box(&m->n, NATS_NONE, 0));
    m->count = count;
    m->server.relay = true;
    m->server.seed = seed * 3 + 1;
    m->n.hosts[0].end = open_hall(&m->server, nats_link(&m->n, 0));
    address = nats_public(&m->n, 0);
    for (int i = 0; i < count; i++) {
        int host = nats_host(&m->n, nats_box(&m->n, kinds[i], 0));
        m->guests[i].word = "swordfish";
        m->guests[i].size = count;
        m->guests[i].seed = seed * 3 + 2 + (uint64_t)i;
        m->n.hosts[host].end = open_guest(&m->guests[i], nats_link(&m->n, host), &address);
    }
}

/* Until all know the way to all others. */
static void meeting_run(nat_meeting *m, double seconds) {
    double end = m->n.now + seconds;
    bool searching = true;
    while (m->n.now < end && searching) {
        nats_run(&m->n, 0.1);
        searching = false;
        for (int i = 0; i < m->count; i++) searching |= worst_way(&m->guests[i]) == SEARCHING;
    }
}

/* Is that the worst way of each guest? */
static bool meeting_is(const nat_meeting *m, contact expected) {
    for (int i = 0; i < m->count; i++)
        if (worst_way(&m->guests[i]) != expected) return false;
    return true;
}

/* All say one line, and hear that of each other. */
static bool meeting_talks(nat_meeting *m) {
    bool good = true;
    nats_run(&m->n, 10);                    /* what was said before has been heard */
    for (int i = 0; i < m->count; i++) m->guests[i].heard = 0;
    for (int i = 0; i < m->count; i++) say(m->n.hosts[i + 1].end, &m->guests[i], "hello");
    nats_run(&m->n, 25);
    for (int i = 0; i < m->count; i++) good = good && m->guests[i].heard == m->count - 1;
    return good;
}

static void meeting_check(int a, int b, uint64_t seed) {
    int kinds[2] = { a, b };
    contact expected = nat_joins_meet(a, b) ? DIRECT : RELAYED;
    nat_meeting m;
    bool talks;
    meeting_open(&m, kinds, 2, seed);
    meeting_run(&m, 40);
    talks = meeting_talks(&m);
    if (!CHECK(talks && meeting_is(&m, expected)))
        printf("  %s and %s, seed %d: %s, heard %d; %s, heard %d\n", nat_names[a], nat_names[b],
               (int)seed, contact_names[worst_way(&m.guests[0])], m.guests[0].heard,
               contact_names[worst_way(&m.guests[1])], m.guests[1].heard);
    for (int i = 1; i <= 2; i++)
        CHECK_EQ_INT(wisp_peers(m.n.hosts[i].end, NULL, 0), expected == DIRECT ? 2 : 1);
    nats_close(&m.n);
}

TEST(guests_of_the_example_meet_directly_where_their_nats_permit_it_else_through_the_relay) {
    for (int pair = 0; pair < NATS_KINDS * NATS_KINDS; pair++)
        for (uint64_t seed = 1; seed <= 6; seed++)
            meeting_check(pair / NATS_KINDS, pair % NATS_KINDS, seed * 31 + (uint64_t)pair);
}

/* A box forgets its ports in the middle of a session. Then the other end's box lets the new port in
   unless it looks at ports; if it does, the server forwards. */
static void meeting_check_move(int kind, contact expected, uint64_t seed) {
    int kinds[2] = { NATS_PORT, kind };
    nat_meeting m;
    meeting_open(&m, kinds, 2, seed);
    meeting_run(&m, 40);
    CHECK(meeting_is(&m, DIRECT));
    nats_rebind(&m.n, m.n.hosts[1].box);
    for (int i = 0; i < 30; i++) {
        say(m.n.hosts[1].end, &m.guests[0], "still there?");
        nats_run(&m.n, 1);
    }
    if (!CHECK(meeting_is(&m, expected)))
        printf("  %s, seed %d: %s, %s\n", nat_names[kind], (int)seed,
               contact_names[worst_way(&m.guests[0])], contact_names[worst_way(&m.guests[1])]);
    if (!CHECK(meeting_talks(&m)))
        printf("  %s, seed %d: heard %d, %d\n", nat_names[kind], (int)seed, m.guests[0].heard,
               m.guests[1].heard);
    nats_close(&m.n);
}

TEST(a_direct_session_survives_a_new_port_where_nats_permit_it_else_the_relay_takes_over) {
    for (uint64_t seed = 1; seed <= 12; seed++) {
        for (int kind = NATS_NONE; kind <= NATS_ADDRESS; kind++)
            meeting_check_move(kind, DIRECT, seed);
        meeting_check_move(NATS_PORT, RELAYED, seed);
    }
}

TEST(an_idle_session_keeps_its_nats_open) {
    int kinds[2] = { NATS_PORT, NATS_PORT };
    nat_meeting m;
    meeting_open(&m, kinds, 2, 4);
    meeting_run(&m, 40);
    nats_run(&m.n, 200);
    CHECK(meeting_is(&m, DIRECT));
    CHECK(meeting_talks(&m));
    nats_close(&m.n);
}

/* --- a game by rollback between ends that have met so --- */

typedef struct nat_pad { int8_t x; } nat_pad;
typedef struct nat_game { int64_t tick; uint64_t sum; } nat_game;
typedef struct nat_player {
    nat_game  game;
    uint64_t  sums[256];
    wisp_peer players[ROOM_MOST];
    int       count;
} nat_player;

static const wisp_field nat_pad_fields[] = { WISP_FIELD(nat_pad, x, WISP_T_INTEGER) };
static const wisp_schema nat_pad_schema = WISP_SCHEMA(nat_pad, 1, nat_pad_fields);

static void nat_step(void *user, const void *const *inputs, int64_t tick) {
    nat_player *p = (nat_player *)user;
    for (int i = 0; i < p->count; i++)
        if (inputs[i]) p->game.sum = p->game.sum * 31 + (uint64_t)((const nat_pad *)inputs[i])->x;
    p->game.tick = tick + 1;
    p->sums[tick & 255] = p->game.sum;
}

static void nat_save(void *user, void *out) {
    memcpy(out, &((nat_player *)user)->game, sizeof(nat_game));
}

static void nat_load(void *user, const void *state) {
    memcpy(&((nat_player *)user)->game, state, sizeof(nat_game));
}

/* The ends of hosts 1 .. count play 200 ticks, and have all run the same. */
static void nat_play(nats *n, nat_player *all, int count) {
    wisp_rollback_stats stats;
    for (int i = 0; i < count; i++) {
        wisp_rollback_desc d;
        memset(&d, 0, sizeof d);
        all[i].count = d.players = count;
        d.input = &nat_pad_schema;
        d.state_bytes = (int)sizeof(nat_game);
        d.step = nat_step;
        d.save = nat_save;
        d.load = nat_load;
        d.user = &all[i];
        CHECK_EQ_INT(wisp_rollback_begin(n->hosts[i + 1].end, &d, all[i].players, NULL, 0), 0);
    }
    for (int tick = 0; tick < 260; tick++) {
        for (int i = 0; i < count; i++) {
            nat_pad in = { (int8_t)(tick / 3 * 7 + i) };
            wisp_rollback_step(n->hosts[i + 1].end, &in);
        }
        nats_run(n, 1 / 60.0);
    }
    for (int i = 0; i < count; i++) {
        wisp_stats_rollback(n->hosts[i + 1].end, &stats);
        CHECK(stats.confirmed > 200 && stats.confirmed < 290 && stats.rollbacks > 10);
        CHECK(stats.hashed > 10 && stats.present == (1u << count) - 1);
        CHECK(all[i].sums[200] == all[0].sums[200] && all[i].sums[200]);
    }
}

/* A room of guests becomes a mesh, in which all have the players in the same order. */
static void nat_room_plays(const int *kinds, int count, uint64_t seed) {
    static nat_player all[ROOM_MOST];
    static nat_meeting m;
    memset(all, 0, sizeof all);
    meeting_open(&m, kinds, count, seed);
    meeting_run(&m, 40);
    CHECK(meeting_is(&m, DIRECT));
    for (int i = 0; i < count; i++) {
        CHECK_EQ_INT(wisp_peers(m.n.hosts[i + 1].end, NULL, 0), count);
        CHECK(m.guests[i].met[m.guests[i].place].id == 0);
        memcpy(all[i].players, m.guests[i].met, sizeof all[i].players);
    }
    nat_play(&m.n, all, count);
    nats_close(&m.n);
}

TEST(two_guests_of_the_example_play_by_rollback) {
    static const int kinds[2] = { NATS_PORT, NATS_ADDRESS };
    nat_room_plays(kinds, 2, 5);
}

TEST(three_guests_of_the_example_become_a_mesh_and_play_by_rollback) {
    static const int kinds[3] = { NATS_PORT, NATS_PORT, NATS_ADDRESS };
    for (uint64_t seed = 5; seed <= 25; seed += 10) nat_room_plays(kinds, 3, seed);
}

TEST(eight_guests_of_the_example_become_a_mesh_and_play_by_rollback) {
    static const int kinds[8] = { NATS_PORT, NATS_PORT,      NATS_ADDRESS, NATS_NONE,
                                  NATS_PORT, NATS_FULL_CONE, NATS_PORT,    NATS_ADDRESS };
    nat_room_plays(kinds, 8, 10);
}

TEST(a_room_goes_through_the_relay_only_where_two_nats_do_not_permit_more) {
    static const int kinds[4] = { NATS_SYMMETRIC, NATS_PORT, NATS_SYMMETRIC, NATS_NONE };
    for (uint64_t seed = 1; seed <= 3; seed++) {
        nat_meeting m;
        meeting_open(&m, kinds, 4, seed);
        meeting_run(&m, 40);
        CHECK(meeting_talks(&m));
        for (int i = 0; i < 16; i++) {
            int a = i / 4, b = m.guests[i % 4].place;
            contact expected = nat_joins_meet(kinds[a], kinds[i % 4]) ? DIRECT : RELAYED;
            if (a != i % 4) CHECK_EQ_INT(m.guests[a].how[b], expected);
        }
        nats_close(&m.n);
    }
}

/* --- hostile guests, servers and members --- */

static void meeting_fire(nat_meeting *m, int host, wisp_peer to, const char *name, wisp_value a,
                         wisp_value b, wisp_value c) {
    wisp_value values[3];
    values[0] = a;
    values[1] = b;
    values[2] = c;
    wisp_fire_values(m->n.hosts[host].end, name, wisp_to_peer(to), values, 3);
    nats_run(&m->n, 1);
}

/* An end of a stranger's making. Returns its host. */
static int meeting_stranger(nat_meeting *m) {
    wisp_desc desc;
    int host = nats_host(&m->n, nats_box(&m->n, NATS_NONE, 0));
    memset(&desc, 0, sizeof desc);
    desc.link = nats_link(&m->n, host);
    desc.app = "rendezvous";
    desc.seed = 77;
    m->n.hosts[host].end = wisp_create(&desc, NULL);
    return host;
}

TEST(a_server_of_the_example_takes_rooms_of_2_to_8_once_for_each_guest) {
    static const int sizes[5] = { 0, 1, 9, -1, 2000000000 };
    int kinds[3] = { NATS_NONE, NATS_NONE, NATS_NONE };
    for (int i = 0; i < 7; i++) {
        wisp_value none = wisp_nil();
        char word[100];
        nat_meeting m;
        meeting_open(&m, kinds, 3, 3);
        m.n.loss = 0;
        m.guests[0].size = 3;
        memset(word, 'x', sizeof word);
        word[sizeof word - 1] = 0;
        meeting_run(&m, 40);
        CHECK(meeting_is(&m, DIRECT));
        if (i == 5) word[0] = 0;
        meeting_fire(&m, 1, m.guests[0].server, "meet", wisp_string(i < 5 ? "swordfish" : word),
                     wisp_int(i < 5 ? sizes[i] : 2), none);
        CHECK(wisp_peers(m.n.hosts[0].end, NULL, 0) == 2);       /* it meets twice */
        CHECK(!m.guests[0].relay && m.guests[0].how[m.guests[1].place] == DIRECT);
        CHECK(!wisp_peer_equal(m.server.seats[0].peer, m.guests[0].server));
        nats_close(&m.n);
    }
    for (int i = 0; i < 6; i++) {                      /* a guest of its own making */
        nat_meeting m;
        wisp_addr server;
        wisp_peer to;
        int host;
        meeting_open(&m, kinds, 1, 3);
        m.guests[0].size = 2;
        host = meeting_stranger(&m);
        server = nats_public(&m.n, 0);
        to = wisp_join(m.n.hosts[host].end, &server, NULL, 0);
        meeting_fire(&m, host, to, "meet", wisp_string("swordfish"),
                     wisp_int(i < 5 ? sizes[i] : 2), wisp_nil());
        nats_run(&m.n, 10);
        CHECK_EQ_INT(wisp_peers(m.n.hosts[0].end, NULL, 0), i < 5 ? 1 : 2);
        CHECK_EQ_INT(m.server.rooms, i == 5);
        nats_close(&m.n);
    }
}

TEST(a_guest_of_the_example_takes_its_room_from_the_server_alone_and_once) {
    static const int kinds[3] = { NATS_NONE, NATS_NONE, NATS_NONE };
    unsigned char addresses[3 * ADDRESS_BYTES] = { 4, 0, 1, 2, 127, 0, 0, 1 };
    wisp_value room = wisp_bytes(addresses, (int)sizeof addresses), none = wisp_nil();
    wisp_peer peers[3];
    guest before;
    nat_meeting m;
    meeting_open(&m, kinds, 3, 6);
    nats_run(&m.n, 0.02);
    CHECK(!m.guests[0].introduced);
    wisp_peers(m.n.hosts[0].end, peers, 3);
    meeting_run(&m, 40);
    CHECK(meeting_is(&m, DIRECT));
    before = m.guests[0];
    wisp_peers(m.n.hosts[0].end, peers, 3);
    for (int i = 0; i < 3; i++)
        meeting_fire(&m, 0, peers[i], "room", room, wisp_int(2), wisp_bool(false));
    meeting_fire(&m, 2, m.guests[1].met[m.guests[0].place], "room", room, wisp_int(1), none);
    CHECK(memcmp(&before, &m.guests[0], sizeof before) == 0);
    CHECK(meeting_talks(&m));
    nats_close(&m.n);
}

/* What a member cannot do: come as one that is here, or send through the server to another room,
   to itself, or lines without end. */
TEST(a_member_of_a_room_comes_once_and_its_lines_through_the_relay_are_bounded) {
    static const int kinds[3] = { NATS_NONE, NATS_NONE, NATS_NONE };
    wisp_addr address;
    wisp_peer twice;
    char ticket[16] = "swordfish", line[600];
    int host;
    nat_meeting m;
    meeting_open(&m, kinds, 3, 6);
    m.n.loss = 0;
    meeting_run(&m, 40);
    CHECK(meeting_talks(&m));
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = 0;
    for (int to = -2; to < 12; to++)
        meeting_fire(&m, 1, m.guests[0].server, "relay", wisp_int(to),
                     wisp_string(to == m.guests[1].place ? line : "hi"), wisp_nil());
    CHECK(m.guests[0].heard == 2 && m.guests[1].heard == 2 && m.guests[2].heard == 3);
    for (int i = 0; i < 200; i++)
        wisp_fire(m.n.hosts[1].end, "relay", m.guests[0].server, wisp_int(m.guests[2].place),
                  wisp_string("hi"));
    nats_run(&m.n, 2);
    CHECK(m.guests[2].heard > 3 && m.guests[2].heard < 60);
    host = meeting_stranger(&m);
    address = nats_public(&m.n, 1);
    for (int place = -1; place < 10; place++) {        /* who knows the word */
        ticket[9] = (char)place;
        twice = wisp_join(m.n.hosts[host].end, &address, ticket, 10);
        nats_run(&m.n, 3);
        CHECK(twice.id && wisp_peer_state(m.n.hosts[host].end, twice) == WISP_PEER_NONE);
    }
    CHECK(meeting_is(&m, DIRECT));
    nats_close(&m.n);
}

static const test_case tests[] = {
    CASE(each_kind_of_nat_lets_in_what_its_name_says),
    CASE(a_mapping_of_a_nat_ends_after_its_timeout_and_comes_back_with_another_port),
    CASE(crossing_joins_through_nats_become_one_session),
    CASE(a_join_that_a_symmetric_nat_defeats_ends_with_a_clear_code_in_time),
    CASE(guests_of_the_example_meet_directly_where_their_nats_permit_it_else_through_the_relay),
    CASE(a_direct_session_survives_a_new_port_where_nats_permit_it_else_the_relay_takes_over),
    CASE(an_idle_session_keeps_its_nats_open),
    CASE(two_guests_of_the_example_play_by_rollback),
    CASE(three_guests_of_the_example_become_a_mesh_and_play_by_rollback),
    CASE(eight_guests_of_the_example_become_a_mesh_and_play_by_rollback),
    CASE(a_room_goes_through_the_relay_only_where_two_nats_do_not_permit_more),
    CASE(a_server_of_the_example_takes_rooms_of_2_to_8_once_for_each_guest),
    CASE(a_guest_of_the_example_takes_its_room_from_the_server_alone_and_once),
    CASE(a_member_of_a_room_comes_once_and_its_lines_through_the_relay_are_bounded),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
