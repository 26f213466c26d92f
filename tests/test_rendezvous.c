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

/* --- the example: a server and two guests --- */

typedef struct nat_meeting {
    nats  n;
    hall  server;
    guest guests[2];
} nat_meeting;

static void meeting_open(nat_meeting *m, const int kinds[2], uint64_t seed) {
    wisp_addr address;
    memset(m, 0, sizeof *m);
    nats_open(&m->n, seed);
    nat_bad_network(&m->n, seed);
    nats_host(&m->n, nats_box(&m->n, NATS_NONE, 0));
    m->server.relay = true;
    m->server.seed = seed * 3 + 1;
    m->n.hosts[0].end = open_hall(&m->server, nats_link(&m->n, 0));
    address = nats_public(&m->n, 0);
    for (int i = 0; i < 2; i++) {
        int host = nats_host(&m->n, nats_box(&m->n, kinds[i], 0));
        m->guests[i].word = "swordfish";
        m->guests[i].seed = seed * 3 + 2 + (uint64_t)i;
        m->n.hosts[host].end = open_guest(&m->guests[i], nats_link(&m->n, host), &address);
    }
}

static void meeting_run(nat_meeting *m, double seconds) {
    double end = m->n.now + seconds;
    while (m->n.now < end && !(m->guests[0].how && m->guests[1].how)) nats_run(&m->n, 0.1);
}

/* Both say one line, and hear one. */
static bool meeting_talks(nat_meeting *m) {
    nats_run(&m->n, 10);                    /* what was said before has been heard */
    m->guests[0].heard = m->guests[1].heard = 0;
    for (int i = 0; i < 2; i++) say(m->n.hosts[i + 1].end, &m->guests[i], "hello");
    nats_run(&m->n, 25);
    return m->guests[0].heard == 1 && m->guests[1].heard == 1;
}

static void meeting_check(int a, int b, uint64_t seed) {
    int kinds[2] = { a, b };
    contact expected = nat_joins_meet(a, b) ? DIRECT : RELAYED;
    nat_meeting m;
    bool talks;
    meeting_open(&m, kinds, seed);
    meeting_run(&m, 40);
    talks = meeting_talks(&m);
    if (!CHECK(talks && m.guests[0].how == expected && m.guests[1].how == expected))
        printf("  %s and %s, seed %d: %s, heard %d; %s, heard %d\n", nat_names[a], nat_names[b],
               (int)seed, contact_names[m.guests[0].how], m.guests[0].heard,
               contact_names[m.guests[1].how], m.guests[1].heard);
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
    meeting_open(&m, kinds, seed);
    meeting_run(&m, 40);
    CHECK(m.guests[0].how == DIRECT && m.guests[1].how == DIRECT);
    nats_rebind(&m.n, m.n.hosts[1].box);
    for (int i = 0; i < 30; i++) {
        say(m.n.hosts[1].end, &m.guests[0], "still there?");
        nats_run(&m.n, 1);
    }
    if (!CHECK(m.guests[0].how == expected && m.guests[1].how == expected))
        printf("  %s, seed %d: %s, %s\n", nat_names[kind], (int)seed,
               contact_names[m.guests[0].how], contact_names[m.guests[1].how]);
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
    meeting_open(&m, kinds, 4);
    meeting_run(&m, 40);
    nats_run(&m.n, 200);
    CHECK(m.guests[0].how == DIRECT && m.guests[1].how == DIRECT);
    CHECK(meeting_talks(&m));
    nats_close(&m.n);
}

/* --- a game by rollback between ends that have met so --- */

typedef struct nat_pad { int8_t x; } nat_pad;
typedef struct nat_game { int64_t tick; uint64_t sum; } nat_game;
typedef struct nat_player {
    nat_game  game;
    uint64_t  sums[256];
    wisp_peer players[3];
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

TEST(two_guests_of_the_example_play_by_rollback) {
    int kinds[2] = { NATS_PORT, NATS_ADDRESS };
    nat_player all[2];
    nat_meeting m;
    memset(all, 0, sizeof all);
    meeting_open(&m, kinds, 5);
    meeting_run(&m, 40);
    for (int i = 0; i < 2; i++) {
        CHECK(m.guests[i].how == DIRECT);
        all[i].players[!i] = m.guests[i].met;
    }
    nat_play(&m.n, all, 2);
    nats_close(&m.n);
}

static void nat_on_partner(wisp_event *event) {
    wisp_addr address;
    int size = 0;
    const void *bytes = wisp_arg_bytes(event, 0, &size);
    CHECK_EQ_INT(size, (int)sizeof address.bytes);
    memset(&address, 0, sizeof address);
    memcpy(address.bytes, bytes, sizeof address.bytes);
    wisp_join(event->w, &address, NULL, 0);
}

/* A mesh: the server tells each of the addresses of all others, and all join at once. */
TEST(three_behind_nats_become_a_mesh_and_play_by_rollback) {
    static const int kinds[4] = { NATS_NONE, NATS_PORT, NATS_PORT, NATS_ADDRESS };
    nat_player all[3];
    wisp_peer guests[3], peers[3];
    wisp_addr seen[3];
    nats n;
    memset(all, 0, sizeof all);
    nats_open(&n, 5);
    nat_bad_network(&n, 5);
    for (int i = 0; i < 4; i++) {
        wisp_addr server;
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        nats_host(&n, nats_box(&n, kinds[i], 0));
        server = nats_public(&n, 0);
        desc.link = nats_link(&n, i);
        desc.joins = WISP_JOINS_OPEN;
        desc.seed = (uint64_t)i + 1;
        n.hosts[i].end = wisp_create(&desc, NULL);
        wisp_on(n.hosts[i].end, "partner", nat_on_partner, NULL);
        if (i) wisp_join(n.hosts[i].end, &server, NULL, 0);
    }
    nats_run(&n, 10);
    CHECK_EQ_INT(wisp_peers(n.hosts[0].end, guests, 3), 3);
    for (int i = 0; i < 3; i++) seen[i] = *wisp_peer_addr(n.hosts[0].end, guests[i]);
    for (int i = 0; i < 9; i++)
        if (i / 3 != i % 3)
            wisp_fire(n.hosts[0].end, "partner", guests[i / 3],
                      wisp_bytes(seen[i % 3].bytes, (int)sizeof seen[0].bytes));
    nats_run(&n, 15);
    for (int i = 0; i < 3; i++) {
        wisp *w = n.hosts[i + 1].end;
        CHECK_EQ_INT(wisp_peers(w, peers, 3), 3);
        for (int k = 0; k < 3; k++) {
            const wisp_addr *addr = wisp_peer_addr(w, peers[k]);
            int box = addr ? nats_box_of(&n, addr) : 0;
            if (box > 0) all[i].players[box - 1] = peers[k];
        }
    }
    nat_play(&n, all, 3);
    nats_close(&n);
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
    CASE(three_behind_nats_become_a_mesh_and_play_by_rollback),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
