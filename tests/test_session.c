/* test_session.c - how sessions begin, live and end, among real endpoints */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/handshake_packets.h"

/* --- each refusal has its code --- */

static void session_check_refused(scene *c, wisp_result code) {
    world_run(&c->t.w, 1.0);
    CHECK_EQ_INT(told(c, c->t.client, WISP_JOINED), 0);
    CHECK_EQ_INT(told(c, c->t.client, WISP_LEFT), 1);
    CHECK_EQ_INT(world_last(&c->t.w, c->t.client, WISP_LEFT)->result, code);
    CHECK_EQ_INT(slots(c->t.client), 0);
    CHECK_EQ_INT(told(c, c->t.server, WISP_JOINED), 0);
    CHECK_EQ_INT(slots(c->t.server), 0);
    CHECK_EQ_INT(c->s.larger, 0);
    scene_close(c);
}

TEST(another_application_is_refused) {
    static const char *const apps[] = { "", "tes", "tesT", "testt", "other" };
    for (int i = 0; i < 5; i++) {
        static scene c;
        scene_open(&c);
        c.t.server = scene_add(&c);
        c.t.w.desc.app = apps[i];
        c.t.client = scene_add(&c);
        scene_ask(&c, c.t.client, c.t.server);
        session_check_refused(&c, WISP_E_APP);
    }
}

TEST(another_version_of_the_application_is_refused) {
    static scene c;
    scene_open(&c);
    c.t.w.desc.app_version = 0x80000000u;
    c.t.server = scene_add(&c);
    c.t.w.desc.app_version = 0;
    c.t.client = scene_add(&c);
    scene_ask(&c, c.t.client, c.t.server);
    session_check_refused(&c, WISP_E_APP_VERSION);
}

TEST(a_link_that_is_reliable_on_one_side_only_is_refused) {
    for (int reliable = 0; reliable < 2; reliable++) {
        static scene c;
        scene_open(&c);
        c.t.w.pipe.reliable = reliable != 0;
        c.t.server = scene_add(&c);
        c.t.w.pipe.reliable = !reliable;
        c.t.client = scene_add(&c);
        scene_ask(&c, c.t.client, c.t.server);
        session_check_refused(&c, WISP_E_LINK_KIND);
    }
}

TEST(an_endpoint_that_takes_no_joins_says_so) {
    static scene c;
    scene_open(&c);
    c.t.w.desc.refuse_joins = true;
    scene_pair(&c);
    scene_ask(&c, c.t.client, c.t.server);
    session_check_refused(&c, WISP_E_REFUSED);
}

TEST(the_code_of_accept_reaches_the_other_side) {
    static const wisp_result codes[] = { WISP_E_DENIED, WISP_E_USER, WISP_E_USER - 31000 };
    for (int i = 0; i < 3; i++) {
        static scene c;
        judge j = { WISP_OK, 0, "", 0 };
        j.verdict = codes[i];
        scene_open(&c);
        c.t.server = scene_add_judge(&c, &j);
        c.t.client = scene_add(&c);
        scene_ask(&c, c.t.client, c.t.server);
        session_check_refused(&c, codes[i]);
    }
}

/* What one side sends is made to look as if another wisp had sent it. */
static int version_tap(world *w, int n, wisp_packet *packet) {
    int *other = (int *)w->user;
    if (n == *other && !(*(uint8_t *)packet->data & WISP__FLAG_SESSION))
        ((uint8_t *)packet->data)[5] = WISP_WIRE_VERSION + 1;
    return 1;
}

TEST(another_wire_version_is_refused_by_whoever_is_asked) {
    static scene c;
    int other = 1;
    scene_open(&c);
    c.t.w.tap = version_tap;
    c.t.w.user = &other;
    scene_pair(&c);
    scene_ask(&c, c.t.client, c.t.server);
    session_check_refused(&c, WISP_E_WIRE_VERSION);
}

TEST(a_refusal_in_another_wire_version_is_understood) {
    static scene c;
    int other = 0;
    scene_open(&c);
    c.t.w.tap = version_tap;
    c.t.w.user = &other;
    c.t.w.desc.refuse_joins = true;
    scene_pair(&c);
    scene_ask(&c, c.t.client, c.t.server);
    session_check_refused(&c, WISP_E_WIRE_VERSION);
}

TEST(a_full_server_says_so_and_takes_the_next_when_one_has_left) {
    static scene c;
    wisp *second;
    wisp_peer peer;
    scene_open(&c);
    c.t.w.desc.max_peers = 1;
    scene_join(&c);
    second = scene_add(&c);
    scene_ask(&c, second, c.t.server);
    world_run(&c.t.w, 1.0);
    CHECK_EQ_INT(world_last(&c.t.w, second, WISP_LEFT)->result, WISP_E_SERVER_FULL);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
    wisp_leave(c.t.client, c.t.to_server, "");
    world_run(&c.t.w, 0.1);
    peer = scene_ask(&c, second, c.t.server);
    world_run(&c.t.w, 1.0);
    CHECK_EQ_INT(told(&c, second, WISP_JOINED), 1);
    CHECK(wisp_peer_equal(world_last(&c.t.w, second, WISP_JOINED)->peer, peer));
    scene_close(&c);
}

/* A kick leaves the slot taken for a while; the place is free at once. */
TEST(a_kicked_peer_makes_room_at_once) {
    static scene c;
    scene_open(&c);
    c.t.w.desc.max_peers = 1;
    scene_join(&c);
    for (int i = 0; i < 3; i++) {
        wisp *next = scene_add(&c);
        wisp_leave(c.t.server, world_peer(c.t.server, 0), "kicked");
        scene_ask(&c, next, c.t.server);
        world_run(&c.t.w, 0.2);
        CHECK_EQ_INT(told(&c, next, WISP_JOINED), 1);
        CHECK_EQ_INT(told(&c, next, WISP_LEFT), 0);
        world_run(&c.t.w, 0.8);
    }
    scene_close(&c);
}

TEST(a_ticket_comes_whole_or_is_refused_at_once) {
    static scene c;
    static judge j;
    char ticket[1200];
    static const int sizes[] = { 0, 1, 100, 1200 - 128 };
    memset(&j, 0, sizeof j);
    scene_open(&c);
    c.t.w.desc.app = "an application whose name takes all of the sixty-four bytes....";
    c.t.server = scene_add_judge(&c, &j);
    for (int i = 0; i < 1200; i++) ticket[i] = (char)(i * 13);
    for (int i = 0; i < 4; i++) {
        wisp *client = scene_add(&c);
        wisp_addr to = wisp_loopback_addr(0);
        CHECK(wisp_join(client, &to, ticket, sizes[i]).id != 0);
        world_run(&c.t.w, 0.5);
        CHECK_EQ_INT(told(&c, client, WISP_JOINED), 1);
        CHECK_EQ_INT(j.size, sizes[i]);
        CHECK_EQ_MEM(j.ticket, ticket, sizes[i]);
        CHECK_EQ_INT(j.asked, i + 1);
        CHECK_EQ_INT(wisp_join(client, &to, ticket, 1200 - 127).id, 0);
        CHECK_EQ_INT(wisp_why(client), WISP_E_TOO_BIG);
        CHECK_EQ_INT(wisp_join(client, &to, NULL, 4).id, 0);
        CHECK_EQ_INT(wisp_join(client, &to, ticket, -1).id, 0);
        CHECK_EQ_INT(wisp_join(client, NULL, NULL, 0).id, 0);
        CHECK_EQ_INT(wisp_why(client), WISP_E_ARGUMENT);
    }
    CHECK_EQ_INT(c.s.larger, 0);
    scene_close(&c);
}

/* Two seeds, so that now one end and now the other has the smaller nonce. */
static void scene_seeds(scene *c, uint64_t seed, int n) {
    c->t.w.desc.seed = (seed & 1) == (uint64_t)n ? seed + 1000 : seed;
}

/* --- accept that does more than judge --- */

typedef struct meddler { wisp_peer own; wisp_addr to; int what, calls; } meddler;

/* Gives up the join of its own that is under way, starts another, or ends it all. */
static wisp_result meddle(wisp *w, const wisp_addr *from, const void *ticket, int size,
                          void *user) {
    meddler *m = (meddler *)user;
    (void)ticket;
    (void)size;
    m->calls++;
    if (m->what == 0) wisp_leave(w, m->own, "no longer");
    if (m->what == 1) wisp_join(w, &m->to, NULL, 0);
    if (m->what == 2) wisp_destroy(w);
    if (m->what == 3) CHECK_EQ_INT(wisp_admit(w, from, WISP_OK), WISP_E_STALE);
    return WISP_OK;
}

/* Returns how often it was asked. */
static int accept_meddles(int what, uint64_t seed) {
    static scene c;
    meddler m;
    memset(&m, 0, sizeof m);
    m.what = what;
    m.to = wisp_loopback_addr(30);
    scene_open(&c);
    scene_seeds(&c, seed, 0);
    c.t.w.desc.accept = meddle;
    c.t.w.desc.user = &m;
    c.t.server = scene_add(&c);
    c.t.w.desc.accept = NULL;
    c.t.w.desc.user = NULL;
    scene_seeds(&c, seed, 1);
    c.t.client = scene_add(&c);
    m.own = scene_ask(&c, c.t.server, c.t.client);
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 14.0);
    if (what == 2 && m.calls) CHECK(c.t.w.ends[0] == NULL);
    else CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), wisp_peers(c.t.client, NULL, 0));
    for (int i = 0; what == 0 && m.calls && i < c.t.w.note_count; i++)
        if (strcmp(c.t.w.notes[i].name, WISP_JOINED) == 0 && c.t.w.notes[i].end == c.t.server)
            CHECK(!wisp_peer_equal(c.t.w.notes[i].peer, m.own));    /* what was left is gone */
    scene_close(&c);
    return m.calls;
}

TEST(accept_may_call_everything) {
    for (int what = 0; what < 4; what++) {
        int calls = 0;
        for (uint64_t seed = 1; seed <= 8; seed++) calls += accept_meddles(what, seed);
        CHECK(calls > 0 && calls < 8);                  /* both ends have won */
    }
}

/* --- who may join: desc.joins --- */

/* A stranger asks the client, which has joined a server. */
static wisp *stranger_asks(scene *c) {
    wisp *stranger = scene_add(c);
    scene_ask(c, stranger, c->t.client);
    return stranger;
}

TEST(whoever_has_joined_does_not_answer_strangers) {
    static scene c;
    wisp *stranger;
    scene_open(&c);
    c.t.w.desc.join_timeout = 10;
    scene_join(&c);
    stranger = stranger_asks(&c);
    world_run(&c.t.w, 3.0);
    CHECK_EQ_INT(c.s.kinds[WISP__CHALLENGE], 1);        /* the one of the server */
    CHECK_EQ_INT(c.s.kinds[WISP__DENY], 0);
    CHECK(world_total(c.t.client).joins_ignored >= 3);
    CHECK_EQ_INT(slots(c.t.client), 1);
    world_run(&c.t.w, 9.0);
    CHECK_EQ_INT(world_last(&c.t.w, stranger, WISP_LEFT)->result, WISP_E_TIMEOUT);
    CHECK_EQ_INT(told(&c, c.t.client, WISP_JOINED), 1);
    CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 0);
    CHECK_EQ_INT(wisp_peers(c.t.client, NULL, 0), 1);
    scene_close(&c);
}

/* A cookie from before the first join, or one that was made elsewhere, opens no door. */
TEST(an_answer_to_a_challenge_is_no_way_around_a_closed_door) {
    static scene c;
    wisp *stranger;
    scene_open(&c);
    scene_pair(&c);
    stranger = scene_add(&c);
    c.s.lose_kinds = 1u << WISP__RESPONSE;
    scene_ask(&c, stranger, c.t.client);
    world_run(&c.t.w, 0.05);
    CHECK_EQ_INT(c.s.kinds[WISP__RESPONSE], 1);
    c.s.lose_kinds = 0;
    scene_ask(&c, c.t.client, c.t.server);
    inject(&c, 2, 1, c.s.kept[WISP__RESPONSE], c.s.kept_size[WISP__RESPONSE]);
    world_run(&c.t.w, 2.0);
    CHECK_EQ_INT(wisp_peers(c.t.client, NULL, 0), 1);
    CHECK_EQ_INT(wisp_peers(stranger, NULL, 0), 0);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
    scene_close(&c);
}

TEST(sessions_that_are_there_stay_when_the_door_closes) {
    static scene c;
    wisp *half, *upper;
    wisp_addr up = wisp_loopback_addr(3);
    scene_open(&c);
    scene_join(&c);
    half = scene_add(&c);
    upper = scene_add(&c);
    c.s.lose_kinds = 1u << WISP__ACCEPT;
    scene_ask(&c, half, c.t.server);
    world_run(&c.t.w, 0.05);
    CHECK_EQ_INT(slots(c.t.server), 2);
    CHECK(wisp_join(c.t.server, &up, NULL, 0).id != 0);
    c.s.lose_kinds = 0;
    world_run(&c.t.w, 1.5);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 3);   /* as joined, half joined, and its own */
    CHECK_EQ_INT(told(&c, half, WISP_JOINED), 1);
    CHECK_EQ_INT(told(&c, upper, WISP_JOINED), 1);
    CHECK_EQ_INT(told(&c, NULL, WISP_LEFT), 0);
    scene_close(&c);
}

TEST(an_open_door_stays_open) {
    static scene c;
    wisp *stranger;
    scene_open(&c);
    c.t.w.desc.joins = WISP_JOINS_OPEN;
    scene_join(&c);
    stranger = stranger_asks(&c);
    world_run(&c.t.w, 1.0);
    CHECK_EQ_INT(told(&c, stranger, WISP_JOINED), 1);
    CHECK_EQ_INT(wisp_peers(c.t.client, NULL, 0), 2);
    CHECK_EQ_INT(world_total(c.t.client).joins_ignored, 0);
    scene_close(&c);
}

/* Also one that would cross a join of its own. */
TEST(a_closed_door_says_so) {
    static scene c;
    wisp *stranger;
    scene_open(&c);
    c.t.w.desc.joins = WISP_JOINS_CLOSED;
    scene_pair(&c);
    c.t.w.desc.joins = WISP_JOINS_AUTO;
    stranger = scene_add(&c);
    scene_ask(&c, stranger, c.t.client);
    scene_ask(&c, c.t.client, stranger);
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 1.0);
    CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, WISP_E_REFUSED);
    CHECK_EQ_INT(told(&c, stranger, WISP_LEFT), 1);
    CHECK_EQ_INT(world_last(&c.t.w, stranger, WISP_LEFT)->result, WISP_E_REFUSED);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 0);
    scene_close(&c);
}

TEST(a_join_that_was_never_asked_for_closes_no_door) {
    static scene c;
    wisp_addr to = wisp_loopback_addr(7);
    scene_open(&c);
    scene_pair(&c);
    CHECK_EQ_INT(wisp_join(c.t.server, &to, NULL, 9).id, 0);
    CHECK_EQ_INT(wisp_join(c.t.server, NULL, NULL, 0).id, 0);
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 1.0);
    check_one_session(&c);
    scene_close(&c);
}

TEST(in_a_crossed_join_both_have_joined_the_other) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
        static scene c;
        scene_open(&c);
        scene_seeds(&c, seed, 0);
        c.t.server = scene_add(&c);
        scene_seeds(&c, seed, 1);
        c.t.client = scene_add(&c);
        scene_ask(&c, c.t.client, c.t.server);
        scene_ask(&c, c.t.server, c.t.client);
        world_run(&c.t.w, 1.0);
        for (int i = 0; i < 2; i++) {
            wisp *end = i ? c.t.client : c.t.server;
            CHECK(wisp__joined_by_us(wisp__session_of(end, world_peer(end, 0))));
        }
        scene_close(&c);
    }
    for (int i = 0; i < 2; i++) {
        static scene c;
        wisp *end;
        scene_open(&c);
        scene_join(&c);
        end = i ? c.t.client : c.t.server;
        CHECK_EQ_INT(wisp__joined_by_us(wisp__session_of(end, world_peer(end, 0))), i);
        scene_close(&c);
    }
}

/* --- wisp_joining --- */

typedef struct asker {
    wisp_result    verdict;
    const char    *text;
    void          *user;
    wisp_join_info seen;
    int            asked, odd;
} asker;

static wisp_result ask_on(wisp *w, const wisp_addr *from, const void *ticket, int size,
                          void *user) {
    asker *a = (asker *)user;
    wisp_join_info *info = wisp_joining(w);
    (void)from;
    (void)ticket;
    (void)size;
    if (!info) return WISP_E_DENIED;
    a->seen = *info;
    a->odd += info != wisp_joining(w) || info->text != NULL;
    info->text = a->text;
    info->user = a->user;
    a->asked++;
    return a->verdict;
}

static void asker_open(scene *c, asker *a) {
    scene_open(c);
    c->t.w.desc.accept = ask_on;
    c->t.w.desc.user = a;
    c->t.server = scene_add(c);
    c->t.w.desc.accept = NULL;
    c->t.w.desc.user = NULL;
    c->t.client = scene_add(c);
}

TEST(accept_learns_who_will_be_the_peer_and_gives_it_a_pointer) {
    for (int later = 0; later < 2; later++) {
        static scene c;
        static asker a;
        wisp_addr from = wisp_loopback_addr(1);
        memset(&a, 0, sizeof a);
        a.verdict = later ? WISP_PENDING : WISP_OK;
        a.user = &a;
        asker_open(&c, &a);
        CHECK(wisp_joining(c.t.server) == NULL);
        CHECK(wisp_joining(NULL) == NULL);
        scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 0.5);
        if (later) CHECK_EQ_INT(wisp_admit(c.t.server, &from, WISP_OK), WISP_OK);
        world_run(&c.t.w, 0.5);
        CHECK_EQ_INT(a.asked, 1);
        CHECK_EQ_INT(a.odd, 0);
        CHECK(a.seen.peer.id != 0 && a.seen.user == NULL);
        CHECK_EQ_INT(a.seen.joins_of_host, 1);
        CHECK(wisp_peer_equal(a.seen.peer, world_last(&c.t.w, c.t.server, WISP_JOINED)->peer));
        CHECK(wisp_peer_user(c.t.server, a.seen.peer) == &a);
        CHECK(wisp_joining(c.t.server) == NULL);
        check_one_session(&c);
        scene_close(&c);
    }
}

/* What a crossed join becomes is the session of our own, with the pointer that it had. */
TEST(accept_of_a_crossed_join_is_about_the_peer_that_was_asked) {
    int asked = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        static scene c;
        static asker a;
        wisp_peer own;
        memset(&a, 0, sizeof a);
        a.user = &c;
        scene_open(&c);
        c.t.w.desc.accept = ask_on;
        c.t.w.desc.user = &a;
        scene_seeds(&c, seed, 0);
        c.t.server = scene_add(&c);
        c.t.w.desc.accept = NULL;
        scene_seeds(&c, seed, 1);
        c.t.client = scene_add(&c);
        own = scene_ask(&c, c.t.server, c.t.client);
        wisp_set_peer_user(c.t.server, own, &a);
        scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 1.0);
        if (a.asked) {
            CHECK(wisp_peer_equal(a.seen.peer, own) && a.seen.user == &a);
            CHECK(wisp_peer_user(c.t.server, own) == &c);
        }
        asked += a.asked;
        check_one_session(&c);
        scene_close(&c);
    }
    CHECK(asked > 0 && asked < 8);
}

static const char *refusal_text(scene *c, asker *a, const char *text, int ticket_size) {
    char ticket[200] = { 0 };
    wisp_addr to = wisp_loopback_addr(0);
    memset(a, 0, sizeof *a);
    a->verdict = WISP_E_USER - 3;
    a->text = text;
    a->user = a;
    asker_open(c, a);
    wisp_join(c->t.client, &to, ticket, ticket_size);
    world_run(&c->t.w, 0.5);
    CHECK_EQ_INT(a->asked, 1);
    CHECK_EQ_INT(world_last(&c->t.w, c->t.client, WISP_LEFT)->result, WISP_E_USER - 3);
    CHECK_EQ_INT(c->s.larger, 0);
    CHECK_EQ_INT(slots(c->t.server), 0);
    CHECK_EQ_INT(slots(c->t.client), 0);
    CHECK_EQ_INT(c->t.server->peers.strangers, 0);
    return world_last(&c->t.w, c->t.client, WISP_LEFT)->text;
}

TEST(a_refusal_says_why_in_words) {
    static scene c;
    static asker a;
    char most[200], cut[200];
    memset(most, 'x', sizeof most);
    most[199] = 0;
    CHECK_EQ_STR(refusal_text(&c, &a, "banned until noon", 0), "banned until noon");
    scene_close(&c);
    CHECK_EQ_STR(refusal_text(&c, &a, NULL, 0), "application error");
    scene_close(&c);
    CHECK_EQ_STR(refusal_text(&c, &a, "", 0), "application error");
    scene_close(&c);
    snprintf(cut, sizeof cut, "%.43s", most);           /* a RESPONSE of 64 bytes */
    CHECK_EQ_STR(refusal_text(&c, &a, most, 0), cut);
    scene_close(&c);
    snprintf(cut, sizeof cut, "%.95s", most);
    CHECK_EQ_STR(refusal_text(&c, &a, most, 200), cut);
    scene_close(&c);
    memcpy(most + 42, "\303\244", 2);                  /* two bytes, of which one would fit */
    snprintf(cut, sizeof cut, "%.42s", most);
    CHECK_EQ_STR(refusal_text(&c, &a, most, 0), cut);
    scene_close(&c);
    CHECK_EQ_STR(refusal_text(&c, &a, "a\nb\033[31m\177 \303\244 \xff", 0),
                 "a?b?[31m? \303\244 ?");
    scene_close(&c);
}

/* Gives up the join that it judges, and takes the slot of that for another. */
static wisp_result give_up(wisp *w, const wisp_addr *from, const void *ticket, int size,
                           void *user) {
    wisp_join_info *info = wisp_joining(w);
    wisp_addr to = wisp_loopback_addr(30);
    wisp_peer next = info->peer;
    (void)from;
    (void)ticket;
    (void)size;
    wisp_leave(w, info->peer, "no longer");
    while (next.id) next = wisp_join(w, &to, NULL, 0);
    info->user = user;
    return WISP_OK;
}

TEST(accept_may_end_the_join_that_it_judges) {
    int ended = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        static scene c;
        scene_open(&c);
        c.t.w.desc.max_peers = 2;
        c.t.w.desc.accept = give_up;
        c.t.w.desc.user = &c;
        scene_seeds(&c, seed, 0);
        c.t.server = scene_add(&c);
        c.t.w.desc.accept = NULL;
        scene_seeds(&c, seed, 1);
        c.t.client = scene_add(&c);
        scene_ask(&c, c.t.server, c.t.client);
        scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 0.3);
        for (int i = 0; i < c.t.server->peers.pool.made; i++) {
            const wisp__session *s = wisp__session_at(c.t.server, i);
            CHECK(!s || s->peer.user == NULL);
        }
        ended += wisp_peers(c.t.server, NULL, 0) == 0;
        scene_close(&c);
    }
    CHECK(ended > 0);
}

TEST(accept_learns_how_often_a_host_has_tried) {
    static scene c;
    static asker a;
    memset(&a, 0, sizeof a);
    a.verdict = WISP_E_DENIED;
    asker_open(&c, &a);
    for (int i = 1; i <= 6; i++) {
        scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 0.03);
        CHECK_EQ_INT(a.asked, i);
        CHECK_NEAR(a.seen.joins_of_host, i - 8 * 0.03 * i, 1.5);
    }
    CHECK(a.seen.joins_of_host >= 4);
    world_run(&c.t.w, 5);
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 0.03);
    CHECK_EQ_INT(a.seen.joins_of_host, 1);
    scene_close(&c);
}

/* --- codes and texts of a refusal --- */

TEST(only_codes_of_the_application_and_of_joins_reach_the_joiner) {
    for (int code = -32768; code < 0; code++) {
        bool kept = code <= WISP_E_USER || code == WISP_E_FLOOD ||
                    (code <= WISP_E_SERVER_FULL && code >= WISP_E_LINK_KIND) ||
                    code == WISP_E_SEALED;
        CHECK_EQ_INT(wisp__join_code((wisp_result)code), kept ? code : WISP_E_DENIED);
    }
}

TEST(the_code_of_a_refusal_is_mapped_on_both_sides) {
    static const wisp_result codes[][2] = { { WISP_E_MEMORY, WISP_E_DENIED },
                                            { WISP_E_PROTOCOL, WISP_E_DENIED },
                                            { WISP_E_SERVER_FULL, WISP_E_SERVER_FULL },
                                            { WISP_E_USER - 1, WISP_E_USER - 1 } };
    for (int i = 0; i < 8; i++) {
        static scene c;
        static hand h;
        judge j = { WISP_OK, 0, "", 0 };
        uint64_t nonce;
        scene_open(&c);
        j.verdict = codes[i / 2][0];
        c.t.server = scene_add_judge(&c, &j);
        c.t.client = scene_add(&c);
        if (i % 2) c.s.lose_kinds = 1u << WISP__RESPONSE;
        scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 0.05);
        if (i % 2) {                                    /* a server that maps nothing */
            memcpy(&nonce, c.s.kept[WISP__RESPONSE] + 6, 8);
            hand_begin(&h, WISP__DENY, wisp__load64(&nonce));
            wisp__put(&h.to, (uint16_t)codes[i / 2][0], 16);
            wisp__put(&h.to, 0, 8);
            inject(&c, 0, 1, h.bytes, hand_end(&h, 0));
            world_run(&c.t.w, 0.05);
        }
        CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 1);
        CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, codes[i / 2][1]);
        scene_close(&c);
    }
}

/* A DENY that is cut, of a good code, or with a text beyond its bounds ends nothing. What its text
   has that cannot be shown is a question mark. */
TEST(a_refusal_that_makes_no_sense_is_none) {
    static const int codes[] = { -15, -15, -15, 0, 7, -15 };
    static const int lengths[] = { 96, 255, 40, 0, 0, 20 };
    static const uint8_t dirty[] = { 'a', '\n', 0x1b, 0xff, 0xc3, 0xa4 };
    static scene c;
    static hand h;
    uint64_t nonce;
    scene_open(&c);
    scene_pair(&c);
    c.s.lose_kinds = 1u << WISP__RESPONSE;
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 0.05);
    nonce = wisp__load64(c.s.kept[WISP__RESPONSE] + 6);
    for (int i = 0; i < 6; i++) {
        hand_begin(&h, WISP__DENY, nonce);
        wisp__put(&h.to, (uint16_t)codes[i], 16);
        wisp__put(&h.to, (uint64_t)lengths[i], 8);
        for (int k = 0; k < (i < 2 ? lengths[i] : 20); k++) wisp__put(&h.to, dirty[k % 6], 8);
        inject(&c, 0, 1, h.bytes, hand_end(&h, 0));
        world_run(&c.t.w, 0.02);
        CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), i == 5);
    }
    CHECK_EQ_STR(world_last(&c.t.w, c.t.client, WISP_LEFT)->text,
                 "a???\303\244a???\303\244a???\303\244a?");
    scene_close(&c);
}

/* --- places --- */

/* Asks for a join of the server as side `n`, and stays away once it is half open. */
static void half_join(scene *c, int n, uint64_t nonce) {
    static hand h;
    const uint8_t *challenge = c->s.kept[WISP__CHALLENGE];
    hand_begin(&h, WISP__REQUEST, nonce);
    inject(c, n, 0, h.bytes, hand_end(&h, WISP__HANDSHAKE_LEAST));
    world_update(&c->t.w, 0);
    CHECK(wisp__load64(challenge + 6) == nonce);
    hand_begin(&h, WISP__RESPONSE, nonce);
    wisp__put(&h.to, challenge[14], 8);
    wisp__put(&h.to, wisp__load64(challenge + 15), 64);
    wisp__put(&h.to, 7, 16);
    wisp__put(&h.to, 11 << 1, 8);
    wisp__put(&h.to, 500000, 32);
    wisp__put(&h.to, 0, 32);
    wisp__put(&h.to, 4, 8);
    wisp__put_bytes(&h.to, "test", 4);
    wisp__put(&h.to, 0, 16);
    inject(c, n, 0, h.bytes, hand_end(&h, WISP__HANDSHAKE_LEAST));
    world_update(&c->t.w, 0);
}

TEST(whoever_is_in_takes_no_second_place_by_joining_again) {
    static scene c;
    wisp *honest;
    scene_open(&c);
    c.t.w.desc.max_peers = 6;
    c.t.server = scene_add(&c);
    for (int i = 0; i < 4; i++) scene_ask(&c, scene_add(&c), c.t.server);
    world_run(&c.t.w, 0.5);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 4);
    for (int i = 1; i <= 4; i++)
        for (int k = 0; k < 3; k++) half_join(&c, i, (uint64_t)(100 * i + k));
    world_step(&c.t.w);
    CHECK_EQ_INT(slots(c.t.server), 8);                 /* one half each, beside the whole */
    CHECK_EQ_INT(c.t.server->peers.strangers, 4);
    for (int i = 0; i < 2; i++) {
        honest = scene_add(&c);
        scene_ask(&c, honest, c.t.server);
        world_run(&c.t.w, 0.2);
        CHECK_EQ_INT(told(&c, honest, WISP_JOINED), 1);
    }
    honest = scene_add(&c);
    scene_ask(&c, honest, c.t.server);
    world_run(&c.t.w, 0.2);
    CHECK_EQ_INT(world_last(&c.t.w, honest, WISP_LEFT)->result, WISP_E_SERVER_FULL);
    CHECK_EQ_INT(c.t.server->peers.strangers, 6);
    world_run(&c.t.w, 3);
    CHECK_EQ_INT(c.t.server->peers.strangers, 6);       /* the halves are gone, with no place */
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 6);
    scene_close(&c);
}

TEST(a_place_goes_on_to_the_join_that_outlives_the_session) {
    static scene c;
    scene_open(&c);
    c.t.w.desc.join_timeout = 2;
    scene_join(&c);
    half_join(&c, 1, 77);
    CHECK_EQ_INT(c.t.server->peers.strangers, 1);
    CHECK_EQ_INT(slots(c.t.server), 2);
    wisp_leave(c.t.server, c.t.to_client, "kicked");
    CHECK_EQ_INT(c.t.server->peers.strangers, 1);       /* the half that stands has it */
    half_join(&c, 1, 78);                               /* and gives it to the one after it */
    CHECK_EQ_INT(c.t.server->peers.strangers, 1);
    world_run(&c.t.w, 4);
    CHECK_EQ_INT(c.t.server->peers.strangers, 0);
    CHECK_EQ_INT(slots(c.t.server), 0);
    scene_close(&c);
}

static wisp_result accept_peeks(wisp *w, const wisp_addr *from, const void *ticket, int size,
                                void *user) {
    int *strangers = (int *)user;
    (void)from;
    (void)ticket;
    (void)size;
    *strangers = w->peers.strangers;
    return WISP_E_DENIED;
}

TEST(a_join_that_is_refused_gives_its_place_and_slot_back) {
    static scene c;
    int strangers = -1;
    scene_open(&c);
    c.t.w.desc.max_peers = 1;
    c.t.w.desc.accept = accept_peeks;
    c.t.w.desc.user = &strangers;
    c.t.server = scene_add(&c);
    c.t.w.desc.accept = NULL;
    c.t.client = scene_add(&c);
    for (int i = 0; i < 5; i++) {
        strangers = -1;
        scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 0.1);
        CHECK_EQ_INT(strangers, 1);
        CHECK_EQ_INT(c.t.server->peers.strangers, 0);
        CHECK_EQ_INT(slots(c.t.server), 0);
    }
    scene_close(&c);
}

/* --- accept that answers later --- */

static void pending_open(scene *c, judge *j) {
    memset(j, 0, sizeof *j);
    j->verdict = WISP_PENDING;
    scene_open(c);
    c->t.server = scene_add_judge(c, j);
    c->t.client = scene_add(c);
    scene_ask(c, c->t.client, c->t.server);
    world_run(&c->t.w, 3.0);
    CHECK_EQ_INT(j->asked, 1);
    CHECK_EQ_INT(told(c, NULL, WISP_JOINED), 0);
    CHECK_EQ_INT(told(c, NULL, WISP_LEFT), 0);
}

TEST(a_pending_join_is_let_in_later) {
    static scene c;
    static judge j;
    wisp_addr from = wisp_loopback_addr(1), nobody = wisp_loopback_addr(9);
    pending_open(&c, &j);
    CHECK_EQ_INT(wisp_admit(c.t.server, &nobody, WISP_OK), WISP_E_STALE);
    CHECK_EQ_INT(wisp_admit(c.t.server, &from, WISP_PENDING), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_admit(c.t.server, NULL, WISP_OK), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_admit(c.t.server, &from, WISP_OK), WISP_OK);
    CHECK_EQ_INT(wisp_admit(c.t.server, &from, WISP_OK), WISP_E_STALE);
    world_run(&c.t.w, 2.0);
    CHECK_EQ_INT(j.asked, 1);
    check_one_session(&c);
    scene_close(&c);
}

TEST(a_pending_join_is_let_in_though_the_accept_is_lost) {
    static scene c;
    static judge j;
    wisp_addr from = wisp_loopback_addr(1);
    pending_open(&c, &j);
    c.s.lose_kinds = 1u << WISP__ACCEPT;
    CHECK_EQ_INT(wisp_admit(c.t.server, &from, WISP_OK), WISP_OK);
    c.s.lose_kinds = 0;
    world_run(&c.t.w, 3.0);
    check_one_session(&c);
    scene_close(&c);
}

TEST(a_pending_join_is_denied_later) {
    static scene c;
    static judge j;
    wisp_addr from = wisp_loopback_addr(1);
    pending_open(&c, &j);
    CHECK_EQ_INT(wisp_admit(c.t.server, &from, WISP_E_USER - 1), WISP_OK);
    session_check_refused(&c, WISP_E_USER - 1);
    pending_open(&c, &j);
    CHECK_EQ_INT(wisp_admit_with(c.t.server, &from, -40000, "come back at noon"), WISP_OK);
    world_run(&c.t.w, 1.0);
    CHECK_EQ_STR(world_last(&c.t.w, c.t.client, WISP_LEFT)->text, "come back at noon");
    session_check_refused(&c, WISP_E_DENIED);
}

TEST(a_pending_join_that_nobody_answers_times_out_on_both_sides) {
    static scene c;
    static judge j;
    wisp_addr from = wisp_loopback_addr(1);
    pending_open(&c, &j);
    world_run(&c.t.w, 60.0);
    CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, WISP_E_TIMEOUT);
    CHECK_EQ_INT(told(&c, c.t.server, WISP_LEFT), 0);
    CHECK_EQ_INT(slots(c.t.server), 0);
    CHECK_EQ_INT(wisp_admit(c.t.server, &from, WISP_OK), WISP_E_STALE);
    scene_close(&c);
}

/* --- half open --- */

TEST(a_half_open_slot_is_free_after_join_timeout) {
    static scene c;
    scene_open(&c);
    c.t.w.desc.join_timeout = 2;
    c.t.w.desc.max_peers = 1;
    scene_pair(&c);
    c.s.lose_kinds = 1u << WISP__ACCEPT;
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 0.1);
    scene_crash(&c, c.t.client);
    c.s.lose_kinds = 0;
    world_run(&c.t.w, 1.8);
    CHECK_EQ_INT(slots(c.t.server), 1);
    CHECK_EQ_INT(c.t.server->peers.strangers, 1);
    world_run(&c.t.w, 0.3);
    CHECK_EQ_INT(slots(c.t.server), 0);
    CHECK_EQ_INT(c.t.server->peers.strangers, 0);
    CHECK_EQ_INT(told(&c, c.t.server, NULL), 0);
    c.t.client = scene_revive(&c, 1, 99);
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 1.0);
    check_one_session(&c);
    scene_close(&c);
}

TEST(nobody_has_joined_before_the_first_tagged_packet) {
    static scene c;
    scene_open(&c);
    scene_pair(&c);
    c.s.lose_side = 1;
    c.s.lose_from = 2;                                  /* after REQUEST and RESPONSE */
    c.s.lose_count = 100000;
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 1.5);
    CHECK_EQ_INT(told(&c, c.t.client, WISP_JOINED), 1);
    CHECK_EQ_INT(told(&c, c.t.server, WISP_JOINED), 0);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 0);
    world_run(&c.t.w, 30.0);
    CHECK_EQ_INT(told(&c, c.t.server, WISP_JOINED) + told(&c, c.t.server, WISP_LEFT), 0);
    CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, WISP_E_TIMEOUT);
    CHECK_EQ_INT(slots(c.t.server) + slots(c.t.client), 0);
    scene_close(&c);
}

/* --- replays --- */

TEST(a_replayed_response_brings_nobody_back) {
    static const double waits[] = { 0.02, 0.5, 2, 8, 20 };
    for (int i = 0; i < 5; i++) {
        for (int kick = 0; kick < 2; kick++) {
            static scene c;
            spy before;
            scene_open(&c);
            c.t.w.desc.join_timeout = 3;
            scene_join(&c);
            before = c.s;
            if (kick) wisp_leave(c.t.server, c.t.to_client, "kicked");
            else wisp_leave(c.t.client, c.t.to_server, "bye");
            world_run(&c.t.w, waits[i]);
            inject(&c, 1, 0, before.kept[WISP__RESPONSE], before.kept_size[WISP__RESPONSE]);
            inject(&c, 1, 0, before.kept[SESSION], before.kept_size[SESSION]);
            world_run(&c.t.w, 0.1);
            inject(&c, 1, 0, before.kept[SESSION], before.kept_size[SESSION]);
            world_run(&c.t.w, 4.0);
            CHECK_EQ_INT(told(&c, c.t.server, WISP_JOINED), 1);
            CHECK_EQ_INT(told(&c, c.t.server, WISP_LEFT), 1);
            CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 0);
            CHECK_EQ_INT(slots(c.t.server), 0);
            CHECK_EQ_INT(told(&c, c.t.client, WISP_JOINED), 1);
            scene_close(&c);
        }
    }
}

TEST(a_replayed_handshake_does_not_touch_a_session) {
    static scene c;
    static const int kinds[] = { WISP__REQUEST, WISP__CHALLENGE, WISP__RESPONSE, WISP__ACCEPT };
    hand h;
    int size;
    scene_open(&c);
    scene_join(&c);
    for (int round = 0; round < 20; round++) {
        for (int k = 0; k < 4; k++) {
            inject(&c, 1, 0, c.s.kept[kinds[k]], c.s.kept_size[kinds[k]]);
            inject(&c, 0, 1, c.s.kept[kinds[k]], c.s.kept_size[kinds[k]]);
        }
        hand_begin(&h, WISP__DENY, wisp__load64(c.s.kept[WISP__REQUEST] + 6));
        wisp__put(&h.to, (uint16_t)WISP_E_DENIED, 16);
        size = hand_end(&h, 20);
        inject(&c, 0, 1, h.bytes, size);
        world_run(&c.t.w, 0.3);
    }
    check_one_session(&c);
    scene_close(&c);
}

/* --- joining anew --- */

TEST(a_join_anew_ends_the_old_session_once_it_is_proven) {
    static scene c;
    wisp_peer old;
    int n;
    scene_open(&c);
    scene_join(&c);
    old = c.t.to_client;
    scene_crash(&c, c.t.client);
    c.t.client = scene_revive(&c, 1, 4242);
    c.s.lose_kinds = 1u << SESSION;                     /* all but the proof comes through */
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 1.0);
    CHECK_EQ_INT(told(&c, c.t.client, WISP_JOINED), 1);
    CHECK_EQ_INT(told(&c, c.t.server, WISP_LEFT), 0);
    CHECK(wisp_peer_addr(c.t.server, old) != NULL);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
    c.s.lose_kinds = 0;
    world_run(&c.t.w, 1.5);
    CHECK_EQ_INT(told(&c, c.t.server, WISP_JOINED), 2);
    CHECK_EQ_INT(told(&c, c.t.server, WISP_LEFT), 1);
    CHECK_EQ_INT(world_last(&c.t.w, c.t.server, WISP_LEFT)->result, WISP_E_REPLACED);
    CHECK(wisp_peer_equal(world_last(&c.t.w, c.t.server, WISP_LEFT)->peer, old));
    CHECK(wisp_peer_addr(c.t.server, old) == NULL);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
    for (n = 0; strcmp(c.t.w.notes[n].name, WISP_LEFT) != 0; n++) {
    }
    CHECK_EQ_STR(c.t.w.notes[n + 1].name, WISP_JOINED); /* first he left, then he joined */
    CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 0);
    scene_close(&c);
}

/* There packets have no number of their session: the tag alone tells the old from the new. */
TEST(a_join_anew_over_a_reliable_link_is_told_apart_by_the_tag) {
    static scene c;
    scene_open(&c);
    c.t.w.pipe.reliable = true;
    scene_join(&c);
    world_watch(&c.t.w, c.t.client, "m");
    for (int i = 0; i < 4; i++) {
        scene_ask(&c, c.t.client, c.t.server);
        for (int k = 0; k < 3; k++) {
            world_fire(c.t.server, "m", world_peer(c.t.server, 0), k);
            world_step(&c.t.w);
        }
        world_run(&c.t.w, 1.0);
        CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
        CHECK_EQ_INT(wisp_peers(c.t.client, NULL, 0), 1);
        CHECK_EQ_INT(world_total(c.t.server).packets_bad_tag, 0);
        CHECK_EQ_INT(c.t.server->peers.strangers, 1);
    }
    check_settled(&c);
    scene_close(&c);
}

TEST(a_join_anew_goes_through_though_the_server_is_full) {
    static scene c;
    scene_open(&c);
    c.t.w.desc.max_peers = 1;
    scene_join(&c);
    for (int i = 0; i < 3; i++) {
        scene_crash(&c, c.t.client);
        c.t.client = scene_revive(&c, 1, 1000 + (uint64_t)i);
        scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 1.0);
        CHECK_EQ_INT(told(&c, c.t.server, WISP_JOINED), 2 + i);
        CHECK_EQ_INT(told(&c, c.t.server, WISP_LEFT), 1 + i);
        CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
        CHECK_EQ_INT(c.t.server->peers.strangers, 1);
    }
    scene_close(&c);
}

TEST(a_spoofed_join_cannot_end_a_session) {
    static scene c;
    uint64_t seed = 6;
    scene_open(&c);
    scene_join(&c);
    for (int i = 0; i < 200; i++) {
        hand h;
        int size;
        hand_begin(&h, WISP__REQUEST, test_random(&seed));
        size = hand_end(&h, 64);
        inject(&c, 1, 0, h.bytes, size);
        hand_begin(&h, WISP__RESPONSE, h.nonce);
        wisp__put(&h.to, 0, 8);
        wisp__put(&h.to, test_random(&seed), 64);
        size = hand_end(&h, 90);
        inject(&c, 1, 0, h.bytes, size);
        world_step(&c.t.w);
    }
    world_run(&c.t.w, 3.0);
    check_one_session(&c);
    scene_close(&c);
}

/* Somebody who saw the cookie, but does not get the answer, opens a half and no more. */
TEST(a_join_that_is_never_proven_cannot_end_a_session) {
    static scene c;
    static spy first;
    catch_response(&c);
    c.t.server->base.join_timeout = c.t.w.desc.join_timeout = 3;
    first = c.s;
    c.t.client = scene_revive(&c, 1, 777);
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 1.0);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
    inject(&c, 1, 0, first.kept[WISP__RESPONSE], first.kept_size[WISP__RESPONSE]);
    world_run(&c.t.w, 0.1);
    CHECK_EQ_INT(slots(c.t.server), 2);
    world_run(&c.t.w, c.t.w.desc.join_timeout + 0.1);
    check_one_session(&c);
    scene_close(&c);
}

/* --- each other, oneself, nobody --- */

static void join_each_other(wisp_joins joins, uint64_t seed, int apart, int lose_side,
                            int lose_from) {
    static scene c;
    scene_open(&c);
    c.t.w.desc.joins = joins;
    scene_seeds(&c, seed, 0);
    c.t.server = scene_add(&c);
    scene_seeds(&c, seed, 1);
    c.t.client = scene_add(&c);
    c.s.lose_side = lose_side;
    c.s.lose_from = lose_from;
    c.s.lose_count = 1;
    scene_ask(&c, c.t.client, c.t.server);
    for (int i = 0; i < apart; i++) world_step(&c.t.w);
    scene_ask(&c, c.t.server, c.t.client);
    world_run(&c.t.w, 6.0);
    if (apart < 2) check_one_session(&c);
    else check_settled(&c);                             /* the first one was there already */
    scene_close(&c);
}

TEST(two_that_join_each_other_end_with_one_session) {
    for (uint64_t seed = 1; seed <= 8; seed++) {
        for (int apart = 0; apart < 8; apart++)
            join_each_other(WISP_JOINS_OPEN, seed, apart, 0, 1 << 20);
        for (int apart = 0; apart < 2; apart++)
            join_each_other(WISP_JOINS_AUTO, seed, apart, 0, 1 << 20);
    }
}

TEST(two_that_join_each_other_survive_the_loss_of_any_packet) {
    for (uint64_t seed = 1; seed <= 4; seed++)
        for (int side = ALL; side < 2; side++)
            for (int from = 0; from < 8; from++)
                join_each_other(WISP_JOINS_AUTO, seed, 0, side, from);
}

TEST(two_that_join_each_other_survive_doubled_packets) {
    for (uint64_t seed = 1; seed <= 8; seed++) {
        static scene c;
        scene_open(&c);
        c.s.copies = 3;
        scene_seeds(&c, seed, 0);
        c.t.server = scene_add(&c);
        scene_seeds(&c, seed, 1);
        c.t.client = scene_add(&c);
        scene_ask(&c, c.t.client, c.t.server);
        scene_ask(&c, c.t.server, c.t.client);
        world_run(&c.t.w, 6.0);
        check_one_session(&c);
        scene_close(&c);
    }
}

TEST(joining_twice_ends_with_one_session) {
    for (int apart = 0; apart < 40; apart += 4) {
        static scene c;
        scene_open(&c);
        scene_pair(&c);
        scene_ask(&c, c.t.client, c.t.server);
        for (int i = 0; i < apart; i++) world_step(&c.t.w);
        scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 6.0);
        check_settled(&c);
        world_fire(c.t.client, "n", WISP_SERVER, 6);
        world_run(&c.t.w, 0.2);
        CHECK_EQ_INT(told(&c, c.t.server, "n"), 2);
        scene_close(&c);
    }
}

TEST(whoever_joins_itself_is_told_that_it_failed) {
    static scene c;
    scene_open(&c);
    c.t.server = scene_add(&c);
    scene_ask(&c, c.t.server, c.t.server);
    world_run(&c.t.w, 13.0);
    CHECK_EQ_INT(told(&c, c.t.server, WISP_JOINED), 0);
    CHECK_EQ_INT(told(&c, c.t.server, WISP_LEFT), 1);
    CHECK(world_last(&c.t.w, c.t.server, WISP_LEFT)->result < 0);
    CHECK_EQ_INT(slots(c.t.server), 0);
    scene_close(&c);
}

TEST(a_join_to_nobody_times_out) {
    static scene c;
    wisp_addr nobody = wisp_loopback_addr(30);
    wisp_peer peer;
    scene_open(&c);
    c.t.w.desc.join_timeout = 10;
    c.t.client = scene_add(&c);
    peer = wisp_join(c.t.client, &nobody, NULL, 0);
    CHECK(peer.id != 0);
    world_run(&c.t.w, 9.9);
    CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 0);
    CHECK(c.s.kinds[WISP__REQUEST] >= 8 && c.s.kinds[WISP__REQUEST] <= 16);
    world_run(&c.t.w, 1.5);
    CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 1);
    CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, WISP_E_TIMEOUT);
    CHECK(wisp_peer_equal(world_last(&c.t.w, c.t.client, WISP_LEFT)->peer, peer));
    CHECK_EQ_INT(slots(c.t.client), 0);
    scene_close(&c);
}

/* --- many --- */

enum { SESSION_CROWD = 300 };

typedef struct session_crowd {
    wisp_pipe      pipe;
    wisp_simulator sims[SESSION_CROWD + 2];
    wisp          *ends[SESSION_CROWD + 2];
    int            joined[SESSION_CROWD + 2], left[SESSION_CROWD + 2];
    wisp_result    result;
} session_crowd;

static void crowd_on(wisp_event *event) {
    session_crowd *c = (session_crowd *)wisp_user(event->w);
    int i = *(int *)event->user;
    if (strcmp(event->name, WISP_JOINED) == 0) c->joined[i]++;
    else c->left[i]++;
    if (strcmp(event->name, WISP_LEFT) == 0) c->result = event->result;
}

static void crowd_add(session_crowd *c, int i) {
    static int numbers[SESSION_CROWD + 2];
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    numbers[i] = i;
    c->sims[i].seed = (uint64_t)i + 1;
    c->sims[i].latency = 0.02;
    c->sims[i].jitter = 0.02;
    c->sims[i].loss = 0.05;
    desc.link = wisp_simulate(&c->sims[i], wisp_loopback(&c->pipe, i));
    desc.max_peers = i ? 1 : SESSION_CROWD;
    desc.seed = (uint64_t)i + 1;
    desc.user = c;
    c->ends[i] = wisp_create(&desc, NULL);
    wisp_connect_target(c->ends[i], wisp_by_name(WISP_JOINED), crowd_on, &numbers[i], false);
    wisp_connect_target(c->ends[i], wisp_by_name(WISP_LEFT), crowd_on, &numbers[i], false);
}

static void session_crowd_run(session_crowd *c, double from, double to) {
    for (double now = from; now < to; now += 0.02)
        for (int i = 0; i < SESSION_CROWD + 2; i++) {
            c->sims[i].now = now;
            wisp_update(c->ends[i], now);
        }
}

TEST(three_hundred_join_at_once_and_one_more_is_told_that_it_is_full) {
    static session_crowd c;
    wisp_addr server = wisp_loopback_addr(0);
    memset(&c, 0, sizeof c);
    for (int i = 0; i < SESSION_CROWD + 2; i++) crowd_add(&c, i);
    for (int i = 1; i <= SESSION_CROWD; i++) CHECK(wisp_join(c.ends[i], &server, NULL, 0).id != 0);
    session_crowd_run(&c, 0, 4.0);
    CHECK_EQ_INT(wisp_peers(c.ends[0], NULL, 0), SESSION_CROWD);
    CHECK_EQ_INT(c.joined[0], SESSION_CROWD);
    for (int i = 1; i <= SESSION_CROWD; i++) CHECK(c.joined[i] == 1 && c.left[i] == 0);
    CHECK_EQ_INT(c.left[0], 0);
    CHECK(wisp_join(c.ends[SESSION_CROWD + 1], &server, NULL, 0).id != 0);
    session_crowd_run(&c, 4.0, 6.0);
    CHECK_EQ_INT(c.left[SESSION_CROWD + 1], 1);
    CHECK_EQ_INT(c.result, WISP_E_SERVER_FULL);
    CHECK_EQ_INT(wisp_peers(c.ends[0], NULL, 0), SESSION_CROWD);
    for (int i = SESSION_CROWD + 1; i >= 0; i--) wisp_destroy(c.ends[i]);
    for (int i = 0; i < SESSION_CROWD + 2; i++) wisp_simulator_free(&c.sims[i]);
    wisp_pipe_free(&c.pipe);
}

/* --- how sessions live and end --- */

TEST(an_idle_session_is_kept_alive_by_few_packets) {
    static scene c;
    scene_open(&c);
    scene_join(&c);
    c.s.seen[0] = c.s.seen[1] = 0;
    world_run(&c.t.w, 60.0);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
    CHECK_EQ_INT(wisp_peers(c.t.client, NULL, 0), 1);
    CHECK(c.s.seen[0] >= 12 && c.s.seen[0] <= 60);      /* a ping and its ack each 2.5 s */
    CHECK(c.s.seen[1] >= 12 && c.s.seen[1] <= 60);
    check_one_session(&c);
    scene_close(&c);
}

TEST(silence_ends_a_session_on_both_sides_after_the_timeout) {
    for (int timeout = 1; timeout <= 30; timeout += 9) {
        static scene c;
        scene_open(&c);
        c.t.w.desc.timeout = timeout;
        scene_join(&c);
        c.s.lose_kinds = ~0u;
        world_run(&c.t.w, timeout * 0.74);
        CHECK_EQ_INT(told(&c, NULL, WISP_LEFT), 0);
        world_run(&c.t.w, timeout * 0.3 + 0.5);
        CHECK_EQ_INT(told(&c, c.t.server, WISP_LEFT), 1);
        CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 1);
        CHECK_EQ_INT(world_last(&c.t.w, c.t.server, WISP_LEFT)->result, WISP_E_TIMEOUT);
        CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, WISP_E_TIMEOUT);
        world_run(&c.t.w, 0.1);
        CHECK_EQ_INT(slots(c.t.server) + slots(c.t.client), 0);
        CHECK_EQ_INT(world_total(c.t.server).timeouts, 1);
        scene_close(&c);
    }
}

TEST(a_session_outlives_a_gap_shorter_than_the_timeout) {
    static scene c;
    scene_open(&c);
    scene_join(&c);
    c.s.lose_kinds = ~0u;
    world_run(&c.t.w, 7.0);
    c.s.lose_kinds = 0;
    world_run(&c.t.w, 8.0);
    check_one_session(&c);
    scene_close(&c);
}

static void check_goodbye(scene *c, const char *reason) {
    CHECK_EQ_INT(told(c, c->t.server, WISP_LEFT), 1);
    CHECK_EQ_INT(told(c, c->t.client, WISP_LEFT), 1);
    CHECK_EQ_INT(world_last(&c->t.w, c->t.server, WISP_LEFT)->result, WISP_OK);
    CHECK_EQ_INT(world_last(&c->t.w, c->t.client, WISP_LEFT)->result, WISP_OK);
    CHECK_EQ_STR(world_last(&c->t.w, c->t.server, WISP_LEFT)->text, reason);
    CHECK_EQ_STR(world_last(&c->t.w, c->t.client, WISP_LEFT)->text, reason);
    CHECK_EQ_INT(wisp_peers(c->t.server, NULL, 0) + wisp_peers(c->t.client, NULL, 0), 0);
}

TEST(both_sides_see_the_reason_of_a_leave) {
    char full[96], longer[300];
    const char *reasons[4], *seen[4];
    memset(full, 'r', 95);
    full[95] = 0;
    memset(longer, 'r', 299);
    longer[299] = 0;
    reasons[0] = seen[0] = "going home";
    reasons[1] = NULL;
    seen[1] = "";
    reasons[2] = seen[2] = full;
    reasons[3] = longer;
    seen[3] = full;
    for (int i = 0; i < 4; i++) {
        for (int kick = 0; kick < 2; kick++) {
            static scene c;
            wisp *who;
            wisp_peer whom;
            scene_open(&c);
            scene_join(&c);
            who = kick ? c.t.server : c.t.client;
            whom = kick ? c.t.to_client : c.t.to_server;
            wisp_leave(who, whom, reasons[i]);
            CHECK(wisp_peer_addr(who, whom) == NULL);   /* stale at once */
            CHECK_EQ_INT(world_fire(who, "n", whom, 1), WISP_E_STALE);
            wisp_leave(who, whom, "again");
            world_run(&c.t.w, 0.1);
            check_goodbye(&c, seen[i]);
            world_run(&c.t.w, 4.0);
            CHECK_EQ_INT(slots(c.t.server) + slots(c.t.client), 0);
            scene_close(&c);
        }
    }
}

TEST(a_goodbye_comes_though_four_of_its_packets_are_lost) {
    for (int kick = 0; kick < 2; kick++) {
        static scene c;
        scene_open(&c);
        scene_join(&c);
        c.s.lose_side = !kick;
        c.s.lose_from = c.s.seen[!kick];
        c.s.lose_count = 4;
        if (kick) wisp_leave(c.t.server, c.t.to_client, "out");
        else wisp_leave(c.t.client, c.t.to_server, "out");
        world_run(&c.t.w, 3.0);
        check_goodbye(&c, "out");
        scene_close(&c);
    }
}

TEST(what_was_fired_before_a_leave_comes_before_it) {
    static scene c;
    scene_open(&c);
    scene_join(&c);
    world_watch(&c.t.w, c.t.server, "n");
    for (int i = 0; i < 20; i++) world_fire(c.t.client, "n", c.t.to_server, i);
    wisp_leave(c.t.client, c.t.to_server, "bye");
    world_run(&c.t.w, 0.2);
    CHECK_EQ_INT(told(&c, c.t.server, "n"), 20);
    CHECK_EQ_STR(c.t.w.notes[c.t.w.note_count - 1].name, WISP_LEFT);
    scene_close(&c);
}

TEST(leaving_while_joining_is_told_once_and_leaves_nothing) {
    for (int steps = 0; steps < 8; steps++) {
        static scene c;
        wisp_peer peer;
        scene_open(&c);
        c.t.w.desc.join_timeout = 4;
        scene_pair(&c);
        peer = scene_ask(&c, c.t.client, c.t.server);
        for (int i = 0; i < steps; i++) {
            c.t.w.now += 0.01;
            world_update(&c.t.w, i & 1);
        }
        wisp_leave(c.t.client, peer, "changed my mind");
        world_run(&c.t.w, 5.0);
        CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 1);
        CHECK_EQ_INT(told(&c, c.t.server, WISP_LEFT), told(&c, c.t.server, WISP_JOINED));
        CHECK_EQ_INT(slots(c.t.server) + slots(c.t.client), 0);
        CHECK_EQ_INT(c.t.server->peers.strangers, 0);
        scene_close(&c);
    }
}

TEST(joining_and_leaving_over_and_over_takes_no_more_memory) {
    static scene c;
    uint64_t memory = 0;
    scene_open(&c);
    scene_pair(&c);
    for (int i = 0; i < 40; i++) {
        wisp_peer peer = scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 0.2);
        CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
        wisp_leave(i & 1 ? c.t.client : c.t.server,
                   i & 1 ? peer : world_peer(c.t.server, 0), "bye");
        world_run(&c.t.w, 4.0);
        if (i == 10) memory = world_total(c.t.server).memory + world_total(c.t.client).memory;
    }
    CHECK_EQ_INT(world_total(c.t.server).memory + world_total(c.t.client).memory, memory);
    CHECK_EQ_INT(told(&c, NULL, WISP_JOINED), 80);
    CHECK_EQ_INT(told(&c, NULL, WISP_LEFT), 80);
    scene_close(&c);
}

/* --- the server restarts --- */

TEST(a_restarted_server_is_noticed_at_once_and_joined_anew) {
    static scene c;
    scene_open(&c);
    scene_join(&c);
    scene_crash(&c, c.t.server);
    c.t.server = scene_revive(&c, 0, 31337);
    world_fire(c.t.client, "m", c.t.to_server, 1);
    world_run(&c.t.w, 0.05);
    CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, WISP_E_CLOSED);
    CHECK_EQ_INT(told(&c, c.t.server, NULL), 0);
    CHECK_EQ_INT(slots(c.t.server), 0);
    CHECK(world_total(c.t.server).packets_foreign > 0);
    world_forget(&c.t.w);
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 1.0);
    check_one_session(&c);
    scene_close(&c);
}

TEST(a_join_goes_on_when_the_server_restarts_in_the_middle) {
    for (int updates = 0; updates < 8; updates++) {
        static scene c;
        scene_open(&c);
        scene_pair(&c);
        scene_ask(&c, c.t.client, c.t.server);
        for (int i = 0; i < updates; i++) {
            c.t.w.now += 0.01;
            world_update(&c.t.w, i & 1);
            if (c.s.kinds[WISP__ACCEPT]) break;
        }
        if (!c.s.kinds[WISP__ACCEPT]) {
            scene_crash(&c, c.t.server);
            c.t.server = scene_revive(&c, 0, 31337);
            world_run(&c.t.w, 6.0);
            check_one_session(&c);
        }
        scene_close(&c);
    }
}

/* Entropy that never repeats, as a system's: a restart must not reuse what went before. */
static bool other_entropy(void *user, void *out, int size) {
    static uint64_t state = 1;
    (void)user;
    for (int i = 0; i < size; i++) ((uint8_t *)out)[i] = (uint8_t)test_random(&state);
    return true;
}

TEST(a_restart_never_reuses_a_nonce) {
    uint64_t nonces[40];
    for (int i = 0; i < 20; i++) {
        static scene c;
        wisp_desc desc;
        wisp *ends[2];
        wisp_addr to = wisp_loopback_addr(0);
        scene_open(&c);
        for (int n = 0; n < 2; n++) {
            desc = c.t.w.desc;
            desc.link = world_link(&c.t.w, n);
            desc.entropy = other_entropy;
            ends[n] = c.t.w.ends[n] = wisp_create(&desc, NULL);
            c.t.w.count = n + 1;
        }
        wisp_join(ends[1], &to, NULL, 0);
        world_run(&c.t.w, 0.5);
        CHECK_EQ_INT(wisp_peers(ends[0], NULL, 0), 1);
        nonces[2 * i] = wisp__load64(c.s.kept[WISP__REQUEST] + 6);
        nonces[2 * i + 1] = wisp__load64(c.s.kept[WISP__ACCEPT] + 14);
        scene_close(&c);
    }
    for (int i = 0; i < 40; i++)
        for (int k = 0; k < i; k++) CHECK(nonces[i] != nonces[k]);
}

/* --- attempts to join, by host --- */

/* Ten sides of the pipe are one host. */
static uint64_t host_of_ten(void *user, const wisp_addr *from) {
    (void)user;
    return (uint64_t)from->bytes[1] / 10;
}

static void use_joins(wisp *w, double joins, int burst,
                      uint64_t (*host)(void *user, const wisp_addr *from)) {
    wisp_budget budget;
    memset(&budget, 0, sizeof budget);
    budget.joins = joins;
    budget.join_burst = burst;
    budget.host = host;
    CHECK_EQ_INT(wisp_use_budget(w, &budget), WISP_OK);
}

/* A server, which is side 0, and as many that may join it. */
static void open_hosts(scene *c, int clients) {
    scene_open(c);
    c->t.server = scene_add(c);
    for (int i = 0; i < clients; i++) scene_add(c);
}

TEST(addresses_of_one_host_share_its_attempts_and_others_have_their_own) {
    static scene c;
    open_hosts(&c, 29);
    use_joins(c.t.server, 1, 3, host_of_ten);
    for (int i = 1; i <= 9; i++) scene_ask(&c, c.t.w.ends[i], c.t.server);
    for (int i = 10; i <= 12; i++) scene_ask(&c, c.t.w.ends[i], c.t.server);
    scene_ask(&c, c.t.w.ends[20], c.t.server);
    world_run(&c.t.w, 0.5);
    for (int i = 1; i <= 20; i += i < 12 ? 1 : 8) {
        bool in = i <= 3 || i >= 10;
        CHECK_EQ_INT(told(&c, c.t.w.ends[i], WISP_JOINED), in);
        CHECK_EQ_INT(told(&c, c.t.w.ends[i], WISP_LEFT), !in);
        if (!in) CHECK_EQ_INT(world_last(&c.t.w, c.t.w.ends[i], WISP_LEFT)->result, WISP_E_FLOOD);
    }
    CHECK_EQ_INT(world_total(c.t.server).joins_flooded, 6);
    CHECK_EQ_INT(told(&c, c.t.server, WISP_JOINED), 7);
    world_run(&c.t.w, 1.5);
    scene_ask(&c, c.t.w.ends[9], c.t.server);           /* one a second is forgiven */
    world_run(&c.t.w, 0.5);
    CHECK_EQ_INT(told(&c, c.t.w.ends[9], WISP_JOINED), 1);
    CHECK_EQ_INT(c.s.larger, 0);
    scene_close(&c);
}

TEST(without_a_host_function_each_address_is_one) {
    static scene c;
    open_hosts(&c, 20);
    use_joins(c.t.server, 0.01, 1, NULL);
    for (int round = 0; round < 2; round++) {
        for (int i = 1; i <= 20; i++) scene_ask(&c, c.t.w.ends[i], c.t.server);
        world_run(&c.t.w, 0.5);
        CHECK_EQ_INT(told(&c, c.t.server, WISP_JOINED), 20);
        CHECK_EQ_INT(world_total(c.t.server).joins_flooded, 20 * round);
        CHECK_EQ_INT(world_results(&c.t.w, NULL, WISP_LEFT, WISP_E_FLOOD), 20 * round);
        for (int i = 1; i <= 20 && !round; i++)
            wisp_leave(c.t.w.ends[i], world_peer(c.t.w.ends[i], 0), "");
        world_run(&c.t.w, 2);
    }
    scene_close(&c);
}

TEST(a_flood_of_joins_leaves_sessions_and_other_hosts_alone) {
    static scene c;
    open_hosts(&c, 12);
    use_joins(c.t.server, 1, 2, host_of_ten);
    scene_ask(&c, c.t.w.ends[1], c.t.server);
    world_run(&c.t.w, 2);
    for (int i = 0; i < 300; i++) {
        scene_ask(&c, c.t.w.ends[2 + i % 8], c.t.server);
        if (i == 150) scene_ask(&c, c.t.w.ends[10], c.t.server);
        world_run(&c.t.w, 0.02);
    }
    CHECK(world_total(c.t.server).joins_flooded > 200);
    CHECK_EQ_INT(told(&c, c.t.w.ends[1], WISP_LEFT), 0);
    CHECK_EQ_INT(told(&c, c.t.w.ends[10], WISP_JOINED), 1);
    CHECK_EQ_INT(told(&c, c.t.w.ends[10], WISP_LEFT), 0);
    scene_close(&c);
}

TEST(what_repeats_a_join_is_no_further_attempt) {
    static scene c;
    scene_open(&c);
    c.s.copies = 6;
    scene_pair(&c);
    use_joins(c.t.server, 0.01, 1, NULL);
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 1);
    for (int i = 0; i < 50; i++)
        inject(&c, 1, 0, c.s.kept[WISP__RESPONSE], c.s.kept_size[WISP__RESPONSE]);
    world_run(&c.t.w, 1);
    CHECK_EQ_INT(world_total(c.t.server).joins_flooded, 0);
    check_one_session(&c);
    scene_close(&c);
}

/* Who cannot receive at an address uses up none of its attempts. */
TEST(an_answer_with_a_wrong_cookie_is_no_attempt) {
    static scene c;
    static hand h;
    scene_open(&c);
    scene_pair(&c);
    use_joins(c.t.server, 0.01, 1, NULL);
    for (int i = 0; i < 100; i++) {
        hand_begin(&h, WISP__RESPONSE, 1000u + (uint64_t)i);
        inject(&c, 1, 0, h.bytes, hand_end(&h, WISP__HANDSHAKE_LEAST));
    }
    world_run(&c.t.w, 0.1);
    CHECK_EQ_INT(world_total(c.t.server).cookies_refused, 100);
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 0.5);
    CHECK_EQ_INT(world_total(c.t.server).joins_flooded, 0);
    check_one_session(&c);
    scene_close(&c);
}

TEST(a_join_that_is_pending_is_one_attempt) {
    static scene c;
    static judge j;
    pending_open(&c, &j);
    use_joins(c.t.server, 0.01, 1, NULL);
    for (int i = 0; i < 50; i++)
        inject(&c, 1, 0, c.s.kept[WISP__RESPONSE], c.s.kept_size[WISP__RESPONSE]);
    world_run(&c.t.w, 1);
    CHECK_EQ_INT(world_total(c.t.server).joins_flooded, 0);
    CHECK_EQ_INT(j.asked, 1);
    scene_close(&c);
}

/* A budget that is set in each frame forgives nobody. */
TEST(attempts_are_remembered_though_the_budget_is_set_again) {
    static scene c;
    open_hosts(&c, 9);
    for (int i = 1; i <= 9; i++) {
        use_joins(c.t.server, 0.01, 4, host_of_ten);
        scene_ask(&c, c.t.w.ends[i], c.t.server);
        world_run(&c.t.w, 0.1);
    }
    CHECK_EQ_INT(told(&c, c.t.server, WISP_JOINED), 4);
    CHECK_EQ_INT(world_total(c.t.server).joins_flooded, 5);
    scene_close(&c);
}

TEST(joins_below_zero_are_not_limited) {
    static scene c;
    scene_open(&c);
    scene_pair(&c);
    use_joins(c.t.server, -1, 1, host_of_ten);
    for (int i = 0; i < 100; i++) {
        wisp_peer peer = scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 0.05);
        wisp_leave(c.t.client, peer, "");
        world_run(&c.t.w, 0.05);
    }
    CHECK_EQ_INT(told(&c, c.t.server, WISP_JOINED), 100);
    scene_close(&c);
}

TEST(by_default_a_host_has_64_attempts_and_8_a_second) {
    static scene c;
    int in = 0;
    scene_open(&c);
    scene_pair(&c);
    for (int i = 0; i < 110; i++) {
        wisp_peer peer = scene_ask(&c, c.t.client, c.t.server);
        world_run(&c.t.w, 0.03);
        wisp_leave(c.t.client, peer, "");
        world_run(&c.t.w, 0.02);
        in += told(&c, c.t.server, WISP_JOINED) == i + 1;
    }
    CHECK_NEAR(told(&c, c.t.server, WISP_JOINED), 64 + 8 * 5.5, 2);
    CHECK(in > 64);
    CHECK_EQ_INT(world_total(c.t.server).joins_flooded, 110 - told(&c, c.t.server, WISP_JOINED));
    scene_close(&c);
}

static void tally_start(wisp__policy *policy, double joins, int burst) {
    memset(policy, 0, sizeof *policy);
    wisp__policy_set(policy, NULL);
    policy->budget.joins = joins;
    policy->budget.join_burst = burst;
    policy->key[0] = 5;
}

/* What is remembered of hosts takes the same room however many there are. */
TEST(a_host_is_let_in_whatever_others_do) {
    static wisp__policy policy;
    tally_start(&policy, 1, 3);
    for (int i = 0; i < 100; i++) wisp__policy_knock(&policy, 77, 1);
    CHECK(!wisp__policy_knock(&policy, 77, 1));
    for (uint64_t host = 1000; host < 2500; host++) CHECK(wisp__policy_knock(&policy, host, 1));
    tally_start(&policy, 8, 64);
    for (uint64_t host = 0; host < 60000; host++) CHECK(wisp__policy_knock(&policy, host << 32, 1));
    tally_start(&policy, 8, 64);
    for (uint64_t host = 0; host < 60000; host++)
        CHECK(wisp__policy_knock(&policy, host * 977, 1 + (double)host / 6000));
    CHECK_EQ_INT(wisp__policy_knocks(&policy, 5), 0);
    tally_start(&policy, 1, 3);                         /* a hash of zero is a host as well */
    for (int i = 0; i < 3; i++) CHECK(wisp__policy_knock(&policy, 0, 10));
    CHECK(!wisp__policy_knock(&policy, 0, 10));
}

/* However many hosts there are, and in whatever order they try. */
TEST(no_host_is_forgotten_for_another) {
    static wisp__policy policy;
    static int in[3000];
    uint64_t seed = 9;
    tally_start(&policy, 0.001, 8);
    for (int i = 0; i < 200000; i++) {
        int host = i < 100000 ? i % 5 : (int)test_random_below(&seed, 3000);
        in[host] += wisp__policy_knock(&policy, (uint64_t)host << 40, 1);
    }
    for (int host = 0; host < 3000; host++) CHECK(in[host] <= 8);
    for (int host = 0; host < 5; host++) CHECK_EQ_INT(in[host], 8);
}

/* Which hosts share their cells is a secret of the endpoint. */
TEST(the_cells_of_a_host_depend_on_the_key) {
    static wisp__policy policy;
    double *a[WISP__TALLY_ROWS], *b[WISP__TALLY_ROWS];
    int same = 0;
    tally_start(&policy, 1, 3);
    for (uint64_t host = 0; host < 500; host++) {
        policy.key[1] = 1;
        wisp__tally_count(&policy, &policy.knocks, host, a);
        policy.key[1] = 2;
        wisp__tally_count(&policy, &policy.knocks, host, b);
        for (int row = 0; row < WISP__TALLY_ROWS; row++) same += a[row] == b[row];
    }
    CHECK(same < 20);
}

TEST(attempts_are_counted_up_to_the_burst_and_shrink) {
    static wisp__policy policy;
    tally_start(&policy, 2, 5);
    CHECK_EQ_INT(wisp__policy_knocks(&policy, 3), 0);
    for (int i = 1; i <= 8; i++) {
        wisp__policy_knock(&policy, 3, 1);
        CHECK_EQ_INT(wisp__policy_knocks(&policy, 3), i < 5 ? i : 5);
    }
    CHECK(wisp__policy_knock(&policy, 3, 3));           /* four are forgiven, one comes */
    CHECK_EQ_INT(wisp__policy_knocks(&policy, 3), 2);
    policy.budget.joins = -1;
    for (int i = 0; i < 100; i++) CHECK(wisp__policy_knock(&policy, 3, 3));
    CHECK_EQ_INT(wisp__policy_knocks(&policy, 3), 5);
}

/* Who keeps trying is not forgotten for those who come once. */
TEST(a_host_that_keeps_trying_is_remembered) {
    static wisp__policy policy;
    uint64_t seed = 3;
    int in = 0;
    wisp__policy_set(&policy, NULL);
    policy.budget.joins = 1;
    policy.budget.join_burst = 3;
    for (int i = 0; i < 10000; i++) {
        in += wisp__policy_knock(&policy, 77, 1 + i * 0.001);
        wisp__policy_knock(&policy, test_random(&seed), 1 + i * 0.001);
    }
    CHECK_NEAR(in, 13, 3);
}

/* --- packets of a session that the other end does not have --- */

/* A client and a server, one of which loses the session without a word. */
static void goodbye_open(scene *c, double latency, uint64_t seed) {
    scene_open(c);
    c->t.w.bad = latency > 0;
    c->t.w.net.latency = latency;
    c->t.w.net.seed = seed * 10;
    c->t.w.desc.seed = 0;
    scene_pair(c);
    scene_ask(c, c->t.client, c->t.server);
    world_run(&c->t.w, 2 + 8 * latency);
    c->t.to_server = world_peer(c->t.client, 0);
    CHECK_EQ_INT(wisp_peers(c->t.server, NULL, 0), 1);
}

TEST(a_client_that_stood_still_is_told_in_its_first_update_or_one_round_trip_later) {
    for (int lost = 0; lost < 2; lost++) {
        static scene c;
        goodbye_open(&c, 0, 1);
        if (lost) c.s.lose_kinds = 1u << SESSION;       /* the LEAVE of the server */
        for (int i = 0; i < 1200; i++) {                /* a client that is suspended for 12 s */
            c.t.w.now += 0.01;
            world_update(&c.t.w, 0);
        }
        CHECK_EQ_INT(told(&c, c.t.server, WISP_LEFT), 1);
        c.s.lose_kinds = 0;
        world_fire(c.t.client, "m", c.t.to_server, 1);
        world_step(&c.t.w);
        if (lost) world_step(&c.t.w);
        CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 1);
        CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result,
                     lost ? WISP_E_CLOSED : WISP_E_TIMEOUT);
        CHECK(world_last(&c.t.w, c.t.client, WISP_LEFT)->text[0] != 0);
        scene_close(&c);
    }
}

TEST(a_restart_is_told_within_a_round_trip_at_any_rate) {
    static const double latencies[] = { 0.02, 0.2, 1.0 };
    for (int i = 0; i < 3; i++)
        for (uint64_t seed = 1; seed <= 3; seed++)
            for (int quiet = 0; quiet < 2; quiet++) {
                static scene c;
                double back;
                goodbye_open(&c, latencies[i], seed);
                scene_crash(&c, c.t.server);
                for (int k = 0; k < 50; k++) {
                    if (!quiet) world_fire(c.t.client, "m", c.t.to_server, k);
                    world_step(&c.t.w);
                }
                c.t.server = scene_revive(&c, 0, 31337 + seed);
                back = c.t.w.now;
                while (c.t.w.now < back + 12 && !told(&c, c.t.client, WISP_LEFT)) {
                    if (!quiet) world_fire(c.t.client, "m", c.t.to_server, 1);
                    world_step(&c.t.w);
                }
                CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, WISP_E_CLOSED);
                CHECK(c.t.w.now - back < 2 * latencies[i] + (quiet ? 2.6 : 0.1));
                scene_close(&c);
            }
}

/* The restarted server has another session of the same connection number. */
TEST(a_restart_is_told_though_another_has_the_connection_number) {
    static scene c;
    wisp *other;
    goodbye_open(&c, 0, 1);
    scene_crash(&c, c.t.server);
    other = scene_add(&c);
    c.t.server = scene_revive(&c, 0, 31337);
    scene_ask(&c, other, c.t.server);
    for (int i = 0; i < 20; i++) {
        c.t.w.now += 0.01;
        world_update(&c.t.w, 0);
        world_update(&c.t.w, 2);
    }
    CHECK_EQ_INT(wisp__connection_of(c.t.server->peers.first),
                 c.t.client->peers.first->connection);
    world_fire(c.t.client, "m", c.t.to_server, 1);
    world_run(&c.t.w, 0.05);
    CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, WISP_E_CLOSED);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
    CHECK_EQ_INT(told(&c, other, WISP_LEFT), 0);
    scene_close(&c);
}

TEST(a_reliable_link_tells_of_a_lost_session_too) {
    static scene c;
    scene_open(&c);
    c.t.w.pipe.reliable = true;
    scene_join(&c);
    scene_crash(&c, c.t.server);
    c.t.server = scene_revive(&c, 0, 31337);
    world_fire(c.t.client, "m", c.t.to_server, 1);
    world_run(&c.t.w, 0.05);
    CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, WISP_E_CLOSED);
    CHECK_EQ_INT(c.s.kept_size[WISP__GOODBYE], WISP__RELIABLE_HEAD);
    scene_close(&c);
}

/* A stranger knows the addresses, the connection number and the packet numbers, and not the tags;
   somebody who repeats an old GOODBYE quotes what has been answered since. */
TEST(nobody_else_can_say_goodbye) {
    static scene c;
    uint8_t bytes[16] = { 0 }, old[16] = { 0 };
    uint64_t seed = 5, ignored;
    goodbye_open(&c, 0, 1);
    world_watch(&c.t.w, c.t.server, "m");
    for (int i = 0; i < 400; i++) {
        const wisp__peer *peer = c.t.client->peers.first;
        uint64_t number = peer->flow.next - 1 - (uint64_t)(i % 4);
        if (i % 10 == 0) world_fire(c.t.client, "m", c.t.to_server, i);
        if (i % 20 == 1) memcpy(old, c.s.kept[SESSION], 13);
        wisp__store_part(bytes + 1, peer->connection, 2);
        wisp__store64(bytes + 3, test_random(&seed));
        wisp__store_part(bytes + 11, number, 2);
        if (i % 20 > 10 && i % 4 == 3) memcpy(bytes, old, 13);      /* of a packet that arrived */
        bytes[0] = WISP__GOODBYE;
        world_step(&c.t.w);
        ignored = world_total(c.t.client).goodbyes_ignored;
        for (int size = 0; size < 16; size++) inject(&c, 0, 1, bytes, size);
        world_update(&c.t.w, 1);
        CHECK(world_total(c.t.client).goodbyes_ignored > ignored);
    }
    CHECK_EQ_INT(c.s.kinds[WISP__GOODBYE], 0);
    CHECK_EQ_INT(told(&c, NULL, WISP_LEFT), 0);
    CHECK_EQ_INT(told(&c, c.t.server, "m"), 40);
    scene_close(&c);
}

/* A damaged packet of a session that is there is not one of a session that is gone. */
TEST(damaged_packets_are_no_reason_for_a_goodbye) {
    static scene c;
    int size;
    goodbye_open(&c, 0, 1);
    c.s.lose_kinds = 1u << SESSION;
    world_fire(c.t.client, "m", c.t.to_server, 1);
    world_step(&c.t.w);
    size = c.s.kept_size[SESSION];
    for (int at = 0; at < size; at++) {
        uint8_t bytes[1500];
        memcpy(bytes, c.s.kept[SESSION], (size_t)size);
        bytes[at] ^= 1;
        inject(&c, 1, 0, bytes, size);
        world_update(&c.t.w, 0);
    }
    c.s.lose_kinds = 0;
    world_run(&c.t.w, 2);
    CHECK_EQ_INT(told(&c, NULL, WISP_LEFT), 0);
    CHECK(c.s.kinds[WISP__GOODBYE] <= 2);               /* of another connection number */
    scene_close(&c);
}

/* The answer is shorter than the packet, limited for a host and for all, and never answered. */
TEST(packets_of_no_session_are_answered_by_little) {
    static scene c;
    uint8_t bytes[1200];
    int before, most = 0;
    memset(bytes, 0x80, sizeof bytes);
    scene_open(&c);
    scene_pair(&c);
    world_step(&c.t.w);
    for (int size = 1; size <= 14; size++) {
        inject(&c, 1, 0, bytes, size);
        world_update(&c.t.w, 0);
        CHECK_EQ_INT(c.s.kinds[WISP__GOODBYE], size > 13);
    }
    world_step(&c.t.w);
    CHECK_EQ_INT(c.s.seen[1], 0);                       /* the client does not answer it */
    CHECK_EQ_INT(world_total(c.t.client).goodbyes_ignored, 1);
    for (int i = 0; i < 2000; i++) inject(&c, 2, 0, bytes, 20);
    world_run(&c.t.w, 10);
    CHECK(c.s.kinds[WISP__GOODBYE] <= 1 + 33);
    before = c.s.kinds[WISP__GOODBYE];
    for (int i = 0; i < 20000; i++) inject(&c, 3 + i % 5000, 0, bytes, 20);
    world_run(&c.t.w, 0.01);
    most = c.s.kinds[WISP__GOODBYE] - before;
    CHECK(most > 1000 && most <= 33 * WISP__ANSWER_CELLS);
    CHECK_EQ_INT(slots(c.t.server), 0);
    scene_close(&c);
}

TEST(a_goodbye_ends_the_repeats_of_a_leave) {
    static scene c;
    scene_open(&c);
    scene_join(&c);
    wisp_leave(c.t.client, c.t.to_server, "bye");
    world_run(&c.t.w, 0.3);
    CHECK_EQ_INT(slots(c.t.client), 0);
    CHECK_EQ_INT(world_last(&c.t.w, c.t.server, WISP_LEFT)->result, WISP_OK);
    CHECK(c.s.kinds[WISP__GOODBYE] <= 1);
    scene_close(&c);
}

/* --- wisp_drain, wisp_leave_with, wisp_peer_state, wisp_peer_json --- */

static void drain_open(scene *c, double loss, uint64_t seed) {
    scene_open(c);
    c->t.w.bad = true;
    c->t.w.net.seed = seed * 10;
    c->t.w.net.latency = 0.05;
    scene_pair(c);
    c->t.to_server = scene_ask(c, c->t.client, c->t.server);
    world_run(&c->t.w, 1);
    c->t.to_client = world_peer(c->t.server, 0);
    c->t.w.sims[0].loss = c->t.w.sims[1].loss = loss;
    world_watch(&c->t.w, c->t.server, "m");
    world_watch(&c->t.w, c->t.client, "m");
}

TEST(a_peer_that_drains_leaves_when_all_has_arrived) {
    static uint8_t large[60000];
    for (uint64_t seed = 1; seed <= 12; seed++) {
        static scene c;
        wisp_value value = wisp_bytes(large, (int)sizeof large);
        drain_open(&c, 0.2, seed);
        c.t.w.step = seed & 1 ? 0.01 : 0.1;
        for (int i = 0; i < 50; i++) {
            CHECK_EQ_INT(world_fire(c.t.client, "m", c.t.to_server, i), WISP_OK);
            CHECK_EQ_INT(world_fire(c.t.server, "m", c.t.to_client, i), WISP_OK);
        }
        wisp_fire_values(c.t.client, "m", wisp_to_peer(c.t.to_server), &value, 1);
        CHECK_EQ_INT(wisp_drain(c.t.client, c.t.to_server, "enough", 25), WISP_OK);
        CHECK_EQ_INT(wisp_peer_state(c.t.client, c.t.to_server), WISP_PEER_DRAINING);
        CHECK_EQ_INT(world_fire(c.t.client, "m", c.t.to_server, 1), WISP_E_DRAINING);
        while (c.t.w.now < 30 && !(told(&c, c.t.server, WISP_LEFT) &&
                                   told(&c, c.t.client, WISP_LEFT)))
            world_step(&c.t.w);
        CHECK_EQ_INT(wisp_peer_state(c.t.client, c.t.to_server), WISP_PEER_NONE);
        CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, WISP_OK);
        CHECK_EQ_STR(world_last(&c.t.w, c.t.client, WISP_LEFT)->text, "enough");
        CHECK_EQ_INT(told(&c, c.t.server, "m"), 51);
        CHECK(told(&c, c.t.client, "m") > 0);           /* their messages were still taken */
        CHECK_EQ_INT(world_total(c.t.client).messages_abandoned, 0);
        scene_close(&c);
    }
}

TEST(draining_ends_at_its_timeout_and_says_that_something_was_left) {
    static scene c;
    double begin;
    drain_open(&c, 0, 1);
    c.t.w.sims[1].loss = 1;
    world_fire(c.t.client, "m", c.t.to_server, 1);
    begin = c.t.w.now;
    CHECK_EQ_INT(wisp_drain(c.t.client, c.t.to_server, "enough", 0), WISP_OK);
    CHECK_NEAR(c.t.client->peers.first->drain_until - begin, 10, 0.02);     /* desc.timeout */
    CHECK_EQ_INT(wisp_drain(c.t.client, c.t.to_server, "enough", 2), WISP_OK);
    world_run(&c.t.w, 1.9);
    CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 0);
    c.t.w.sims[1].loss = 0;
    c.t.w.sims[0].loss = 1;                             /* it arrives, and the ack is lost */
    world_run(&c.t.w, 0.5);
    CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, WISP_E_TIMEOUT);
    CHECK_NEAR(world_last(&c.t.w, c.t.client, WISP_LEFT)->time - begin, 2, 0.05);
    CHECK_EQ_STR(world_last(&c.t.w, c.t.client, WISP_LEFT)->text, "enough");
    CHECK_EQ_STR(world_last(&c.t.w, c.t.server, WISP_LEFT)->text, "enough");
    scene_close(&c);
}

static void drain_answer(wisp_event *event) {
    *(wisp_call *)event->user = wisp_defer(event);
}

/* Calls under way, both ours and theirs, are answered first; new ones are refused. */
TEST(draining_waits_for_the_answers_of_calls) {
    for (int ours = 0; ours < 2; ours++) {
        static scene c;
        static wisp_call call;
        wisp *asks, *answers;
        wisp_value value = wisp_int(5);
        wisp_call_desc how;
        drain_open(&c, 0, 1);
        memset(&how, 0, sizeof how);
        how.on_reply = world_on;
        how.user = &c.t.w;
        asks = ours ? c.t.client : c.t.server;
        answers = ours ? c.t.server : c.t.client;
        wisp_on_invoke_target(answers, wisp_by_name("ask"), drain_answer, &call);
        wisp_invoke_values(asks, "ask", wisp_to_peer(world_peer(asks, 0)), &how, NULL, 0);
        world_run(&c.t.w, 0.5);
        CHECK_EQ_INT(wisp_drain(c.t.client, c.t.to_server, NULL, 8), WISP_OK);
        CHECK_EQ_INT(wisp_invoke_values(c.t.client, "ask", wisp_to_peer(c.t.to_server), &how, NULL,
                                        0).id, 0);
        CHECK_EQ_INT(wisp_why(c.t.client), WISP_E_DRAINING);
        world_run(&c.t.w, 2);
        CHECK_EQ_INT(told(&c, NULL, WISP_LEFT), 0);
        CHECK_EQ_INT(wisp_answer(answers, call, &value, 1), WISP_OK);
        world_run(&c.t.w, 1);
        CHECK_EQ_INT(world_last(&c.t.w, asks, "ask")->number, 5);
        CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, WISP_OK);
        CHECK_EQ_INT(told(&c, c.t.server, WISP_LEFT), 1);
        scene_close(&c);
    }
}

/* Those who are fired to in a list are told, all and groups leave out whoever drains. */
TEST(a_peer_that_drains_is_left_out_of_what_goes_to_all) {
    static scene c;
    wisp *other;
    wisp_peer both[2];
    wisp_value value = wisp_int(1);
    wisp_group group;
    drain_open(&c, 0, 1);
    other = scene_add(&c);
    world_watch(&c.t.w, other, "m");
    scene_ask(&c, other, c.t.server);
    world_run(&c.t.w, 1);
    wisp_peers(c.t.server, both, 2);
    group = wisp_group_named(c.t.server, "g");
    for (int i = 0; i < 2; i++) wisp_group_add(c.t.server, group, both[i]);
    c.t.w.sims[1].loss = 1;                             /* no ack of the first */
    world_fire(c.t.server, "m", c.t.to_client, 7);
    wisp_drain(c.t.server, c.t.to_client, "full", 5);
    CHECK_EQ_INT(wisp_fire_values(c.t.server, "m", wisp_to_all(), &value, 1), WISP_OK);
    CHECK_EQ_INT(wisp_fire_values(c.t.server, "m", wisp_to_group(group), &value, 1), WISP_OK);
    CHECK_EQ_INT(wisp_fire_values(c.t.server, "m", wisp_to_except(NULL, 0), &value, 1), WISP_OK);
    CHECK_EQ_INT(wisp_fire_values(c.t.server, "m", wisp_to_list(both, 2), &value, 1),
                 WISP_E_DRAINING);
    wisp_set_unreliable(c.t.server, "m", true);
    CHECK_EQ_INT(wisp_fire_values(c.t.server, "m", wisp_to_all(), &value, 1), WISP_OK);
    c.t.w.sims[1].loss = 0;
    world_run(&c.t.w, 1);
    CHECK_EQ_INT(told(&c, other, "m"), 5);
    CHECK_EQ_INT(told(&c, c.t.client, "m"), 2);         /* what came before, and the unreliable */
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
    scene_close(&c);
}

TEST(draining_is_refused_for_what_is_not_there_and_waits_for_a_join) {
    static scene c;
    wisp_peer stale = { 0x7fffff };
    scene_open(&c);
    scene_pair(&c);
    CHECK_EQ_INT(wisp_drain(NULL, stale, "", 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_drain(c.t.client, stale, "", 1), WISP_E_STALE);
    CHECK_EQ_INT(wisp_peer_state(NULL, stale), WISP_PEER_NONE);
    CHECK_EQ_INT(wisp_peer_state(c.t.client, stale), WISP_PEER_NONE);
    c.t.to_server = scene_ask(&c, c.t.client, c.t.server);
    CHECK_EQ_INT(wisp_drain(c.t.client, c.t.to_server, "", -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_peer_state(c.t.client, c.t.to_server), WISP_PEER_JOINING);
    CHECK_EQ_INT(wisp_peer_state(c.t.client, WISP_SERVER), WISP_PEER_JOINING);
    world_watch(&c.t.w, c.t.server, "m");
    world_fire(c.t.client, "m", c.t.to_server, 1);
    CHECK_EQ_INT(wisp_drain(c.t.client, c.t.to_server, "bye", 5), WISP_OK);
    world_run(&c.t.w, 1);
    CHECK_EQ_INT(told(&c, c.t.server, "m"), 1);
    CHECK_EQ_INT(world_last(&c.t.w, c.t.server, WISP_LEFT)->result, WISP_OK);
    world_forget(&c.t.w);
    c.s.lose_kinds = ~0u;
    c.t.to_server = scene_ask(&c, c.t.client, c.t.server);
    wisp_drain(c.t.client, c.t.to_server, "bye", 3);
    world_run(&c.t.w, 4.5);
    CHECK_EQ_INT(told(&c, c.t.client, WISP_LEFT), 1);
    CHECK_EQ_INT(wisp_peer_state(c.t.client, c.t.to_server), WISP_PEER_NONE);
    scene_close(&c);
}

TEST(a_reliable_link_drains_too) {
    static scene c;
    scene_open(&c);
    c.t.w.pipe.reliable = true;
    scene_join(&c);
    world_watch(&c.t.w, c.t.server, "m");
    for (int i = 0; i < 100; i++) world_fire(c.t.client, "m", c.t.to_server, i);
    CHECK_EQ_INT(wisp_drain(c.t.client, c.t.to_server, "bye", 5), WISP_OK);
    world_run(&c.t.w, 0.5);
    CHECK_EQ_INT(told(&c, c.t.server, "m"), 100);
    check_goodbye(&c, "bye");
    scene_close(&c);
}

TEST(a_leave_with_a_code_gives_it_on_both_ends) {
    static const wisp_result codes[][2] = { { WISP_OK, WISP_OK },
                                            { WISP_E_USER - 4, WISP_E_USER - 4 },
                                            { -32768, -32768 },
                                            { WISP_E_MEMORY, WISP_E_CLOSED } };
    for (int i = 0; i < 4; i++) {
        static scene c;
        scene_open(&c);
        scene_join(&c);
        CHECK_EQ_INT(wisp_leave_with(NULL, c.t.to_client, WISP_OK, ""), WISP_E_ARGUMENT);
        CHECK_EQ_INT(wisp_leave_with(c.t.server, c.t.to_client, 1, ""), WISP_E_ARGUMENT);
        CHECK_EQ_INT(wisp_leave_with(c.t.server, c.t.to_client, -32769, ""), WISP_E_ARGUMENT);
        CHECK_EQ_INT(wisp_leave_with(c.t.server, c.t.to_client, codes[i][0], "why"), WISP_OK);
        CHECK_EQ_INT(wisp_leave_with(c.t.server, c.t.to_client, WISP_OK, "why"), WISP_E_STALE);
        world_run(&c.t.w, 0.2);
        CHECK_EQ_INT(world_last(&c.t.w, c.t.server, WISP_LEFT)->result, codes[i][0]);
        CHECK_EQ_INT(world_last(&c.t.w, c.t.client, WISP_LEFT)->result, codes[i][1]);
        CHECK_EQ_STR(world_last(&c.t.w, c.t.client, WISP_LEFT)->text, "why");
        scene_close(&c);
    }
}

/* Idle sessions over networks that lose a fifth of the packets, one by one or in bursts. */
static void idle_under_loss(uint64_t seed, double burst, double latency, double slow) {
    static scene c;
    scene_open(&c);
    c.t.w.bad = c.t.w.unchecked = true;
    c.t.w.net.seed = seed * 10;
    c.t.w.net.latency = latency;
    c.t.w.step = 1.0 / 60;
    scene_pair(&c);
    scene_ask(&c, c.t.client, c.t.server);
    world_run(&c.t.w, 6 * latency + 0.2);
    CHECK_EQ_INT(wisp_peers(c.t.server, NULL, 0), 1);
    for (int i = 0; i < 2; i++) {
        c.t.w.sims[i].loss = 0.2;
        c.t.w.sims[i].burst = burst;
    }
    for (double next = 0, end = c.t.w.now + 60; c.t.w.now < end;) {
        c.t.w.now += 1.0 / 60;
        world_update(&c.t.w, 0);
        if (c.t.w.now < next) continue;
        world_update(&c.t.w, 1);
        next = c.t.w.now + slow;
    }
    CHECK_EQ_INT(told(&c, NULL, WISP_LEFT), 0);
    scene_close(&c);
}

TEST(no_idle_session_ends_because_packets_are_lost) {
    for (uint64_t seed = 1; seed <= 40; seed++) {
        idle_under_loss(seed, 3, 0.05, 0);
        idle_under_loss(seed, 0, seed & 1 ? 0.1 : 1.0, 1.0);
    }
}

typedef struct ticket_log { int joined, size; char bytes[64]; bool leaves; } ticket_log;

static void ticket_on(wisp_event *event) {
    ticket_log *log = (ticket_log *)event->user;
    const void *bytes;
    log->joined++;
    log->size = -1;
    if (!event->count) return;
    if (log->leaves) wisp_leave(event->w, event->peer, "no");       /* the ticket stays readable */
    bytes = wisp_arg_bytes(event, 0, &log->size);
    if (log->size > 0) memcpy(log->bytes, bytes, (size_t)log->size);
}

/* Also of a join that was pending, and when the handler ends the session first. */
TEST(joined_has_the_ticket_on_the_end_that_was_joined) {
    static const char *const tickets[] = { "a ticket", "" };
    for (int i = 0; i < 12; i++) {              /* from 8 on nobody judges */
        static scene c;
        judge j = { WISP_OK, 0, "", 0 };
        ticket_log logs[2];
        const char *ticket = tickets[i & 1];
        wisp_addr to = wisp_loopback_addr(0), from = wisp_loopback_addr(1);
        int size = (int)strlen(ticket);
        memset(logs, 0, sizeof logs);
        logs[0].leaves = (i & 4) != 0;
        if (i & 2) j.verdict = WISP_PENDING;
        scene_open(&c);
        c.t.server = i < 8 ? scene_add_judge(&c, &j) : scene_add(&c);
        c.t.client = scene_add(&c);
        wisp_connect_target(c.t.server, wisp_by_name(WISP_JOINED), ticket_on, &logs[0], false);
        wisp_connect_target(c.t.client, wisp_by_name(WISP_JOINED), ticket_on, &logs[1], false);
        wisp_join(c.t.client, &to, ticket, size);
        world_run(&c.t.w, 0.5);
        if (i & 2) CHECK_EQ_INT(wisp_admit(c.t.server, &from, WISP_OK),
                                i < 8 ? WISP_OK : WISP_E_STALE);
        world_run(&c.t.w, 1.5);
        CHECK_EQ_INT(logs[0].joined, 1);
        CHECK_EQ_INT(logs[0].size, size);
        CHECK_EQ_MEM(logs[0].bytes, ticket, size);
        CHECK_EQ_INT(logs[1].joined, 1);
        CHECK_EQ_INT(logs[1].size, -1);
        scene_close(&c);
    }
}

static const test_case tests[] = {
    CASE(joined_has_the_ticket_on_the_end_that_was_joined),
    CASE(a_client_that_stood_still_is_told_in_its_first_update_or_one_round_trip_later),
    CASE(a_restart_is_told_within_a_round_trip_at_any_rate),
    CASE(a_restart_is_told_though_another_has_the_connection_number),
    CASE(a_reliable_link_tells_of_a_lost_session_too),
    CASE(nobody_else_can_say_goodbye),
    CASE(damaged_packets_are_no_reason_for_a_goodbye),
    CASE(packets_of_no_session_are_answered_by_little),
    CASE(a_goodbye_ends_the_repeats_of_a_leave),
    CASE(a_peer_that_drains_leaves_when_all_has_arrived),
    CASE(draining_ends_at_its_timeout_and_says_that_something_was_left),
    CASE(draining_waits_for_the_answers_of_calls),
    CASE(a_peer_that_drains_is_left_out_of_what_goes_to_all),
    CASE(draining_is_refused_for_what_is_not_there_and_waits_for_a_join),
    CASE(a_reliable_link_drains_too),
    CASE(a_leave_with_a_code_gives_it_on_both_ends),
    CASE(no_idle_session_ends_because_packets_are_lost),
    CASE(another_application_is_refused),
    CASE(another_version_of_the_application_is_refused),
    CASE(a_link_that_is_reliable_on_one_side_only_is_refused),
    CASE(an_endpoint_that_takes_no_joins_says_so),
    CASE(the_code_of_accept_reaches_the_other_side),
    CASE(another_wire_version_is_refused_by_whoever_is_asked),
    CASE(a_refusal_in_another_wire_version_is_understood),
    CASE(a_full_server_says_so_and_takes_the_next_when_one_has_left),
    CASE(a_kicked_peer_makes_room_at_once),
    CASE(a_ticket_comes_whole_or_is_refused_at_once),
    CASE(accept_may_call_everything),
    CASE(whoever_has_joined_does_not_answer_strangers),
    CASE(an_answer_to_a_challenge_is_no_way_around_a_closed_door),
    CASE(sessions_that_are_there_stay_when_the_door_closes),
    CASE(an_open_door_stays_open),
    CASE(a_closed_door_says_so),
    CASE(a_join_that_was_never_asked_for_closes_no_door),
    CASE(in_a_crossed_join_both_have_joined_the_other),
    CASE(accept_learns_who_will_be_the_peer_and_gives_it_a_pointer),
    CASE(accept_of_a_crossed_join_is_about_the_peer_that_was_asked),
    CASE(a_refusal_says_why_in_words),
    CASE(accept_may_end_the_join_that_it_judges),
    CASE(accept_learns_how_often_a_host_has_tried),
    CASE(only_codes_of_the_application_and_of_joins_reach_the_joiner),
    CASE(the_code_of_a_refusal_is_mapped_on_both_sides),
    CASE(a_refusal_that_makes_no_sense_is_none),
    CASE(whoever_is_in_takes_no_second_place_by_joining_again),
    CASE(a_place_goes_on_to_the_join_that_outlives_the_session),
    CASE(a_join_that_is_refused_gives_its_place_and_slot_back),
    CASE(a_pending_join_is_let_in_later),
    CASE(a_pending_join_is_let_in_though_the_accept_is_lost),
    CASE(a_pending_join_is_denied_later),
    CASE(a_pending_join_that_nobody_answers_times_out_on_both_sides),
    CASE(a_half_open_slot_is_free_after_join_timeout),
    CASE(nobody_has_joined_before_the_first_tagged_packet),
    CASE(a_replayed_response_brings_nobody_back),
    CASE(a_replayed_handshake_does_not_touch_a_session),
    CASE(a_join_anew_ends_the_old_session_once_it_is_proven),
    CASE(a_join_anew_over_a_reliable_link_is_told_apart_by_the_tag),
    CASE(a_join_anew_goes_through_though_the_server_is_full),
    CASE(a_spoofed_join_cannot_end_a_session),
    CASE(a_join_that_is_never_proven_cannot_end_a_session),
    CASE(two_that_join_each_other_end_with_one_session),
    CASE(two_that_join_each_other_survive_the_loss_of_any_packet),
    CASE(two_that_join_each_other_survive_doubled_packets),
    CASE(joining_twice_ends_with_one_session),
    CASE(whoever_joins_itself_is_told_that_it_failed),
    CASE(a_join_to_nobody_times_out),
    CASE(three_hundred_join_at_once_and_one_more_is_told_that_it_is_full),
    CASE(an_idle_session_is_kept_alive_by_few_packets),
    CASE(silence_ends_a_session_on_both_sides_after_the_timeout),
    CASE(a_session_outlives_a_gap_shorter_than_the_timeout),
    CASE(both_sides_see_the_reason_of_a_leave),
    CASE(a_goodbye_comes_though_four_of_its_packets_are_lost),
    CASE(what_was_fired_before_a_leave_comes_before_it),
    CASE(leaving_while_joining_is_told_once_and_leaves_nothing),
    CASE(joining_and_leaving_over_and_over_takes_no_more_memory),
    CASE(a_restarted_server_is_noticed_at_once_and_joined_anew),
    CASE(a_join_goes_on_when_the_server_restarts_in_the_middle),
    CASE(a_restart_never_reuses_a_nonce),
    CASE(addresses_of_one_host_share_its_attempts_and_others_have_their_own),
    CASE(without_a_host_function_each_address_is_one),
    CASE(a_flood_of_joins_leaves_sessions_and_other_hosts_alone),
    CASE(what_repeats_a_join_is_no_further_attempt),
    CASE(an_answer_with_a_wrong_cookie_is_no_attempt),
    CASE(a_join_that_is_pending_is_one_attempt),
    CASE(attempts_are_remembered_though_the_budget_is_set_again),
    CASE(joins_below_zero_are_not_limited),
    CASE(by_default_a_host_has_64_attempts_and_8_a_second),
    CASE(a_host_is_let_in_whatever_others_do),
    CASE(no_host_is_forgotten_for_another),
    CASE(the_cells_of_a_host_depend_on_the_key),
    CASE(attempts_are_counted_up_to_the_burst_and_shrink),
    CASE(a_host_that_keeps_trying_is_remembered)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
