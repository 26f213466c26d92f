/* test_noise.c - room noise: sealed sessions, among real endpoints, by a cipher that only pretends.
   What the real ones make of it is in test_sealed.c. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/handshake_packets.h"
#include "support/values_and_memory.h"
#include "support/sealed_pair.h"

/* --- what a sealed session is --- */

typedef struct noise_spy {
    spy s;
    const char *secret;
    int told, sizes[4096], count, memory;
} noise_spy;

static bool noise_holds(const wisp_packet *packet, const char *text) {
    int length = (int)strlen(text);
    const char *bytes = (const char *)packet->data;
    for (int i = 0; i + length <= packet->size; i++)
        if (memcmp(bytes + i, text, (size_t)length) == 0) return true;
    return false;
}

/* Notes datagrams that hold the secret, and the sizes of session packets. */
static int noise_spying(world *w, int n, wisp_packet *packet) {
    noise_spy *s = (noise_spy *)w->user;
    s->told += s->secret && noise_holds(packet, s->secret);
    if (*(const uint8_t *)packet->data & WISP__FLAG_SESSION && s->count < 4096)
        s->sizes[s->count++] = packet->size;
    return spy_tap(w, n, packet);
}

static void noise_watch(sealed_pair *p, noise_spy *s, const char *secret) {
    memset(s, 0, sizeof *s);
    s->secret = secret;
    p->c.t.w.tap = noise_spying;
    p->c.t.w.user = s;
}

TEST(nobody_can_read_a_sealed_session) {
    sealed_pair p;
    noise_spy s;
    wisp_profiler hooks;
    wisp_peer_profile profile;
    char json[4096];
    wisp_value secret = wisp_string("the-secret-of-this-test");
    sealed_open(&p);
    noise_watch(&p, &s, "the-secret-of-this-test");
    sealed_ends(&p);
    world_watch(&p.c.t.w, p.c.t.server, "told");
    sealed_ask(&p, "the-secret-of-this-test");
    wisp_fire_values(p.c.t.client, "told", wisp_to_peer(p.c.t.to_server), &secret, 1);
    world_run(&p.c.t.w, 1);
    CHECK(sealed_joined(&p) && p.sealed);
    CHECK_EQ_MEM(p.ticket, "the-secret-of-this-test", 23);
    CHECK_EQ_STR(world_last(&p.c.t.w, p.c.t.server, "told")->text, "the-secret-of-this-test");
    CHECK_EQ_INT(s.told, 0);
    CHECK(wisp_is_sealed(p.c.t.client, p.c.t.to_server));
    CHECK(wisp_is_sealed(p.c.t.server, p.c.t.to_client));
    CHECK_EQ_INT(world_total(p.c.t.server).joins_sealed, 1);
    CHECK(wisp_peer_json(p.c.t.server, p.c.t.to_client, json, sizeof json) > 0);
    CHECK(strstr(json, "\"sealed\":true") != NULL);
    memset(&hooks, 0, sizeof hooks);
    CHECK_EQ_INT(wisp_use_profiler(p.c.t.server, &hooks), WISP_OK);
    CHECK_EQ_INT(wisp_profile_peer(p.c.t.server, p.c.t.to_client, &profile), WISP_OK);
    CHECK(profile.sealed);
    CHECK(sealed_talks(&p, 7));
    sealed_close(&p);
}

/* The same session, plain and sealed, has the same packets, of which each is 8 bytes longer. In
   memory it keeps its keys, and nothing of the handshake. */
TEST(a_seal_is_8_bytes_longer_than_a_tag_and_nothing_else_is) {
    static noise_spy s[2];
    for (int sealed = 0; sealed < 2; sealed++) {
        sealed_pair p;
        wisp_addr addr;
        wisp_peer_stats stats;
        sealed_open(&p);
        noise_watch(&p, &s[sealed], NULL);
        sealed_ends(&p);
        addr = world_addr(&p.c.t.w, p.c.t.server);
        if (sealed) sealed_ask(&p, "");
        else p.c.t.to_server = wisp_join(p.c.t.client, &addr, NULL, 0);
        world_run(&p.c.t.w, 0.5);
        CHECK(sealed_joined(&p) && p.sealed == (sealed == 1));
        CHECK_EQ_INT(wisp_is_sealed(p.c.t.client, p.c.t.to_server), sealed);
        wisp_stats_peer(p.c.t.server, p.c.t.to_client, &stats);
        s[sealed].memory = stats.memory;
        CHECK(sealed_talks(&p, 7));
        sealed_close(&p);
    }
    CHECK(s[0].count > 5 && s[0].count == s[1].count);
    for (int i = 0; i < s[0].count; i++) CHECK_EQ_INT(s[1].sizes[i], s[0].sizes[i] + 8);
    CHECK(s[1].memory > s[0].memory && s[1].memory <= s[0].memory + 256);
}

TEST(a_reliable_link_can_be_sealed) {
    sealed_pair p;
    sealed_open(&p);
    p.c.t.w.desc.limits.rekey_packets = 16;
    sealed_serve(&p);
    p.c.t.client = scene_add(&p.c);
    p.c.t.server->base.reliable = p.c.t.client->base.reliable = true;
    sealed_ask(&p, "");
    world_run(&p.c.t.w, 0.5);
    CHECK(sealed_joined(&p));
    for (int i = 0; i < 40; i++) CHECK(sealed_talks(&p, 100 + i));
    CHECK_EQ_INT(world_total(p.c.t.server).packets_bad_tag, 0);
    CHECK(p.there.seals > 40);
    sealed_close(&p);
}

/* --- the cost of a join --- */

TEST(a_join_costs_two_agreements_and_a_key_pair_and_nothing_before_the_cookie) {
    sealed_pair p;
    uint64_t seed = 1;
    int pairs, agreements;
    sealed_open(&p);
    sealed_ends(&p);
    world_step(&p.c.t.w);
    pairs = p.there.pairs;
    agreements = p.there.agreements;
    for (int i = 0; i < 200; i++) {
        uint8_t bytes[200];
        wisp_packet packet;
        wisp__writer to = wisp__writer_on(bytes, sizeof bytes);
        wisp_link link = wisp_loopback(&p.c.t.w.pipe, 2 + i % 7);
        wisp__put(&to, WISP__SEALED_RESPONSE | (uint64_t)WISP__MAGIC << 8, 40);
        wisp__put(&to, WISP_WIRE_VERSION, 8);
        while (to.at < 150 * 8) wisp__put(&to, test_random(&seed) & 0xff, 8);
        wisp__put(&to, wisp__handshake_check(wisp__load64(bytes + 6), bytes, 150), 32);
        memset(&packet, 0, sizeof packet);
        packet.addr = world_addr(&p.c.t.w, p.c.t.server);
        packet.data = bytes;
        packet.size = 154;
        link.send(link.user, &packet, 1);
    }
    world_step(&p.c.t.w);
    CHECK_EQ_INT(world_total(p.c.t.server).cookies_refused, 200);
    CHECK_EQ_INT(p.there.agreements, agreements);
    sealed_ask(&p, "ticket");
    world_run(&p.c.t.w, 0.5);
    CHECK(sealed_joined(&p));
    CHECK_EQ_INT(p.there.agreements - agreements, 2);
    CHECK_EQ_INT(p.there.pairs - pairs, 1);
    CHECK_EQ_INT(p.c.s.larger, 0);
    sealed_close(&p);
}

TEST(a_lost_answer_is_sent_again_as_it_was) {
    sealed_pair p;
    uint8_t first[1500];
    sealed_open(&p);
    sealed_ends(&p);
    p.c.s.lose_kinds = 1u << WISP__SEALED_ANSWER;
    sealed_ask(&p, "ticket");
    world_run(&p.c.t.w, 0.3);
    CHECK(p.c.s.kinds[WISP__SEALED_ANSWER] > 0);
    memcpy(first, p.c.s.kept[WISP__SEALED_ANSWER], sizeof first);
    p.c.s.lose_kinds = 0;
    world_run(&p.c.t.w, 2);
    CHECK(sealed_joined(&p));
    CHECK_EQ_MEM(first, p.c.s.kept[WISP__SEALED_ANSWER], p.c.s.kept_size[WISP__SEALED_ANSWER]);
    CHECK_EQ_INT(p.there.pairs, 2);                          /* with the server's own */
    sealed_close(&p);
}

/* --- refusals --- */

TEST(a_refusal_is_sealed_and_believed) {
    static const bool late[] = { false, true };
    for (int i = 0; i < 2; i++) {
        sealed_pair p;
        noise_spy s;
        wisp_addr addr = wisp_loopback_addr(1);
        sealed_open(&p);
        noise_watch(&p, &s, "not-today-my-friend");
        if (late[i]) p.pending = true;
        else p.refuse = "not-today-my-friend";
        sealed_ends(&p);
        sealed_ask(&p, "ticket");
        world_run(&p.c.t.w, 0.5);
        if (late[i])
            CHECK_EQ_INT(wisp_admit_with(p.c.t.server, &addr, WISP_E_USER - 5,
                                         "not-today-my-friend"), WISP_OK);
        world_run(&p.c.t.w, 1);
        CHECK_EQ_INT(world_results(&p.c.t.w, p.c.t.client, WISP_LEFT, WISP_E_USER - 5), 1);
        CHECK_EQ_STR(world_last(&p.c.t.w, p.c.t.client, WISP_LEFT)->text, "not-today-my-friend");
        CHECK_EQ_INT(s.told, 0);
        sealed_close(&p);
    }
}

TEST(a_pending_join_is_admitted) {
    sealed_pair p;
    wisp_addr addr = wisp_loopback_addr(1);
    sealed_open(&p);
    p.pending = true;
    sealed_ends(&p);
    sealed_ask(&p, "ticket");
    world_run(&p.c.t.w, 1);
    CHECK_EQ_INT(wisp_admit(p.c.t.server, &addr, WISP_OK), WISP_OK);
    world_run(&p.c.t.w, 1);
    CHECK(sealed_joined(&p) && sealed_talks(&p, 9));
    sealed_close(&p);
}

TEST(the_key_of_another_server_gets_no_answer) {
    sealed_pair p;
    sealed_open(&p);
    p.c.t.w.desc.join_timeout = 3;
    sealed_ends(&p);
    p.key[0] ^= 1;
    sealed_ask(&p, "ticket");
    world_run(&p.c.t.w, 4);
    CHECK(!sealed_joined(&p));
    CHECK_EQ_INT(world_results(&p.c.t.w, p.c.t.client, WISP_LEFT, WISP_E_TIMEOUT), 1);
    CHECK(world_total(p.c.t.server).seals_broken > 0);
    CHECK_EQ_INT(slots(p.c.t.server), 0);
    CHECK_EQ_INT(p.ticket_size, 0);
    sealed_close(&p);
}

TEST(an_end_without_a_key_refuses_sealed_joins_and_one_that_demands_them_plain_ones) {
    for (int plain = 0; plain < 2; plain++) {
        sealed_pair p;
        wisp_addr addr;
        sealed_open(&p);
        p.c.t.w.desc.join_timeout = 3;
        p.plain = plain == 0;
        p.required = plain != 0;
        sealed_ends(&p);
        addr = world_addr(&p.c.t.w, p.c.t.server);
        if (plain) wisp_join(p.c.t.client, &addr, NULL, 0);
        else sealed_ask(&p, "ticket");
        world_run(&p.c.t.w, plain ? 1 : 4);
        CHECK_EQ_INT(world_results(&p.c.t.w, p.c.t.client, WISP_LEFT, WISP_E_SEALED), 1);
        CHECK(world_total(plain ? p.c.t.server : p.c.t.client).plain_refused > 0);
        sealed_close(&p);
    }
}

TEST(an_end_that_demands_seals_joins_by_no_others) {
    sealed_pair p;
    wisp_addr addr = wisp_loopback_addr(5);
    static char ticket[1200];
    sealed_open(&p);
    p.required = true;
    sealed_ends(&p);
    CHECK_EQ_INT(wisp_join(p.c.t.server, &addr, NULL, 0).id, 0);
    CHECK_EQ_INT(wisp_why(p.c.t.server), WISP_E_SEALED);
    CHECK_EQ_INT(wisp_join_sealed(p.c.t.client, &addr, NULL, NULL, 0).id, 0);
    CHECK_EQ_INT(wisp_why(p.c.t.client), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_join_sealed(p.c.t.client, &addr, p.key, ticket, 1200 - 191).id, 0);
    CHECK_EQ_INT(wisp_why(p.c.t.client), WISP_E_TOO_BIG);
    p.here.fails = true;
    CHECK_EQ_INT(wisp_join_sealed(p.c.t.client, &addr, p.key, NULL, 0).id, 0);
    CHECK_EQ_INT(wisp_why(p.c.t.client), WISP_E_ARGUMENT);
    p.here.fails = false;
    CHECK(wisp_join_sealed(p.c.t.client, &addr, p.key, ticket, 1200 - 192).id != 0);
    sealed_close(&p);
}

TEST(a_desc_with_keys_needs_a_whole_cipher) {
    static const uint8_t key[WISP_KEY_BYTES] = { 1 };
    world w;
    wisp_result why;
    fake_cipher f;
    wisp_cipher cipher = *fake_open(&f, 1);
    world_open(&w);
    w.desc.link = world_link(&w, 0);
    for (int i = 0; i < 4; i++) {
        wisp_desc desc = w.desc;
        if (i == 0) desc.secret_key = key;
        if (i == 1) desc.reset_secret = key;
        if (i == 2) desc.require_sealed = true;
        if (i == 3) {
            cipher.open = NULL;
            desc.cipher = &cipher;
        }
        CHECK(wisp_create(&desc, &why) == NULL);
        CHECK_EQ_INT(why, WISP_E_ARGUMENT);
    }
    world_close(&w);
}

/* --- someone in between --- */

/* Makes the check of a changed handshake packet right again, as anybody can. */
static void noise_mend(uint8_t *bytes, int size) {
    uint32_t check = wisp__handshake_check(wisp__load64(bytes + 6), bytes, size - 4);
    wisp__store_part(bytes + size - 4, check, 4);
}

typedef struct noise_flip { int kind, bit, done; } noise_flip;

/* Flips one bit of the first packet of a kind. */
static int noise_flipping(world *w, int n, wisp_packet *packet) {
    noise_flip *f = (noise_flip *)w->user;
    uint8_t *bytes = (uint8_t *)packet->data;
    (void)n;
    if (f->done || spy_kind(packet) != f->kind || f->bit >= 8 * (packet->size - 4)) return 1;
    bytes[f->bit / 8] ^= (uint8_t)(1 << f->bit % 8);
    if (f->bit >= 8) noise_mend(bytes, packet->size);
    f->done = 1;
    return 1;
}

/* Each bit of each packet of the handshake is flipped once: the join fails or the next try does
   not, and nothing is understood otherwise than it was meant. */
TEST(a_flipped_bit_of_a_handshake_confuses_nobody) {
    static const int kinds[] = { WISP__REQUEST, WISP__CHALLENGE, WISP__SEALED_RESPONSE,
                                 WISP__SEALED_ANSWER };
    sealed_pair p;
    noise_flip f;
    wisp_budget budget;
    int joined = 0, runs = 0;
    sealed_open(&p);
    fake_close(&p.there);
    fake_close(&p.here);
    p.c.t.w.unchecked = true;
    p.c.t.w.step = 0.05;
    sealed_ends(&p);
    memset(&budget, 0, sizeof budget);
    budget.joins = -1;
    wisp_use_budget(p.c.t.server, &budget);
    p.c.t.w.tap = noise_flipping;
    p.c.t.w.user = &f;
    world_watch(&p.c.t.w, p.c.t.server, "up");
    for (int k = 0; k < 4; k++) {
        for (f.kind = kinds[k], f.bit = 0;; f.bit++) {
            f.done = 0;
            world_forget(&p.c.t.w);
            sealed_ask(&p, "ticket");
            wisp_fire(p.c.t.client, "up", p.c.t.to_server, wisp_int(f.bit));
            for (int i = 0; i < 30 && !world_count(&p.c.t.w, p.c.t.server, "up"); i++)
                world_step(&p.c.t.w);
            runs += f.done;
            if (!f.done) break;
            joined += sealed_joined(&p);
            CHECK_EQ_INT(p.ticket_size, 6);
            CHECK_EQ_MEM(p.ticket, "ticket", 6);
            if (sealed_joined(&p))
                CHECK_EQ_INT(world_last(&p.c.t.w, p.c.t.server, "up")->number, f.bit);
            CHECK_EQ_INT(world_count(&p.c.t.w, p.c.t.server, "up"), sealed_joined(&p));
            wisp_leave(p.c.t.client, p.c.t.to_server, "again");
            for (int i = 0; i < 40 && slots(p.c.t.server) + slots(p.c.t.client); i++)
                world_step(&p.c.t.w);
        }
        wisp_leave(p.c.t.client, p.c.t.to_server, "next");
        world_run(&p.c.t.w, 3);
    }
    CHECK(runs > 2700 && joined > runs - 20);
    CHECK(world_total(p.c.t.server).seals_broken > 880);
    CHECK(world_total(p.c.t.client).seals_broken > 880);
    sealed_close(&p);
}

/* Answers every join by an ACCEPT or a DENY without a seal. */
static int noise_downgrading(world *w, int n, wisp_packet *packet) {
    uint8_t *bytes = (uint8_t *)packet->data;
    bool deny = ((spy *)w->user)->copies > 1;
    int size = deny ? 14 + 3 + 4 : 14 + 15 + 4;
    if (n != 0 || bytes[0] != WISP__SEALED_ANSWER) return 1;
    bytes[0] = deny ? WISP__DENY : WISP__ACCEPT;
    memset(bytes + 14, deny ? 0xf3 : 0, 15);
    if (deny) bytes[16] = 0;
    packet->size = size;
    noise_mend(bytes, size);
    return 1;
}

TEST(an_answer_without_a_seal_is_not_believed) {
    for (int deny = 0; deny < 2; deny++) {
        sealed_pair p;
        sealed_open(&p);
        sealed_ends(&p);
        p.c.s.copies = 1 + deny;
        p.c.t.w.tap = noise_downgrading;
        sealed_ask(&p, "ticket");
        world_run(&p.c.t.w, 1);
        CHECK(wisp_peer_state(p.c.t.client, p.c.t.to_server) == WISP_PEER_JOINING);
        CHECK(world_total(p.c.t.client).plain_refused > 0);
        p.c.t.w.tap = NULL;
        world_run(&p.c.t.w, 2);
        CHECK(sealed_joined(&p) && sealed_talks(&p, 1));
        sealed_close(&p);
    }
}

/* A plain join of the same address cannot end a sealed session that lives. */
TEST(nobody_joins_in_the_place_of_a_session_that_lives) {
    sealed_pair p;
    wisp *other;
    wisp_addr addr;
    sealed_open(&p);
    sealed_join(&p);
    addr = world_addr(&p.c.t.w, p.c.t.server);
    other = scene_add(&p.c);
    p.c.t.w.ways[2].pipe = wisp_loopback(&p.c.t.w.pipe, 1);      /* the client's address */
    p.c.t.w.ways[2].pipe.recv = p.c.t.w.ways[0].pipe.recv;       /* but hears nothing */
    wisp_join(other, &addr, NULL, 0);
    p.c.t.w.ends[2] = NULL;
    for (int i = 0; i < 100; i++) {
        wisp_update(other, p.c.t.w.now);
        world_step(&p.c.t.w);
    }
    CHECK(sealed_joined(&p) && sealed_talks(&p, 3));
    wisp_destroy(other);
    sealed_close(&p);
}

typedef struct noise_middle {
    uint64_t seed;
    uint8_t kept[64][1200];
    int size[64], from[64], count, changed;
    wisp_pipe *pipe;
    int turned[2];
    uint8_t phase[2];
} noise_middle;

static void noise_pass(noise_middle *m, int from, int to, const void *bytes, int size) {
    wisp_link link = wisp_loopback(m->pipe, from);
    wisp_packet packet;
    memset(&packet, 0, sizeof packet);
    packet.addr = wisp_loopback_addr(to);
    packet.data = (void *)(uintptr_t)bytes;
    packet.size = size;
    link.send(link.user, &packet, 1);
}

/* Changes, cuts, loses, repeats, reorders, reflects and swaps the packets of two clients. */
static int noise_meddling(world *w, int n, wisp_packet *packet) {
    noise_middle *m = (noise_middle *)w->user;
    uint8_t *bytes = (uint8_t *)packet->data, copy[1200];
    int what = (int)(test_random(&m->seed) % 24), size = packet->size, to = packet->addr.bytes[0];
    int k = (int)(test_random(&m->seed) % 64), place = m->count++ % 64;
    if (bytes[0] & WISP__FLAG_SESSION && n < 2 && (bytes[0] ^ m->phase[n]) & WISP__FLAG_PHASE) {
        m->turned[n]++;
        m->phase[n] = bytes[0];
    }
    memcpy(copy, bytes, (size_t)size);
    memcpy(m->kept[place], bytes, (size_t)size);
    m->size[place] = size;
    m->from[place] = n;
    (void)to;
    if (what > 9) return 1;
    m->changed++;
    if (what == 0) return 0;
    if (what == 1) return 2;
    if (what <= 3) copy[test_random(&m->seed) % (uint64_t)size] ^= (uint8_t)(1 << k % 8);
    if (what <= 3 && !(copy[0] & WISP__FLAG_SESSION) && size > 18) noise_mend(copy, size);
    if (what == 4) size -= 1 + k % (size / 2 + 1);
    if (what <= 4) noise_pass(m, n, n == 0 ? 1 + k % 2 : 0, copy, size);
    if (what == 5) noise_pass(m, n == 0 ? 1 : 0, n, copy, size);           /* back to its sender */
    if (what == 6) noise_pass(m, n, n == 0 ? 1 + k % 2 : 0, m->kept[k], m->size[k]);
    if (what == 7) noise_pass(m, m->from[k], m->from[k] == 0 ? 1 + k % 2 : 0, m->kept[k],
                              m->size[k]);
    if (what == 8) noise_pass(m, n == 1 ? 2 : 1, 0, copy, size);           /* as from the other */
    return what == 9 || what > 4;
}

TEST(someone_in_between_gets_nothing_in_and_breaks_nothing) {
    uint64_t broken = 0, again = 0;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        sealed_pair p;
        wisp *third;
        wisp_peer to_server;
        wisp_addr addr;
        noise_middle m;
        int sent = 0;
        sealed_open(&p);
        memset(&m, 0, sizeof m);
        m.seed = seed;
        m.pipe = &p.c.t.w.pipe;
        p.c.t.w.desc.limits.rekey_packets = 16;
        sealed_ends(&p);
        third = scene_add(&p.c);
        p.c.t.w.tap = noise_meddling;
        p.c.t.w.user = &m;
        addr = world_addr(&p.c.t.w, p.c.t.server);
        sealed_ask(&p, "ticket");
        to_server = wisp_join_sealed(third, &addr, p.key, NULL, 0);
        world_watch(&p.c.t.w, p.c.t.server, "up");
        world_watch(&p.c.t.w, p.c.t.server, "third");
        world_watch(&p.c.t.w, p.c.t.client, "down");
        world_watch(&p.c.t.w, third, "down");
        world_run(&p.c.t.w, 4);
        CHECK_EQ_INT(wisp_peers(p.c.t.server, NULL, 0), 2);
        for (int i = 0; i < 300; i++, sent++) {
            CHECK_EQ_INT(world_fire(p.c.t.client, "up", p.c.t.to_server, i), WISP_OK);
            CHECK_EQ_INT(world_fire(third, "third", to_server, i), WISP_OK);
            wisp_fire_all(p.c.t.server, "down", wisp_int(i));
            world_run(&p.c.t.w, 0.02);
        }
        p.c.t.w.tap = NULL;
        world_run(&p.c.t.w, 5);
        CHECK_EQ_INT(world_count(&p.c.t.w, p.c.t.server, "up"), sent);
        CHECK_EQ_INT(world_count(&p.c.t.w, p.c.t.server, "third"), sent);
        CHECK_EQ_INT(world_count(&p.c.t.w, p.c.t.client, "down"), sent);
        CHECK(world_counts_up(&p.c.t.w, p.c.t.server, "up", 0));
        CHECK(world_counts_up(&p.c.t.w, p.c.t.server, "third", 0));
        CHECK(world_counts_up(&p.c.t.w, p.c.t.client, "down", 0));
        CHECK(m.changed > 500 && m.turned[0] > 5 && m.turned[1] > 5);
        broken += world_total(p.c.t.server).packets_bad_tag;
        for (int i = 0; i < 2; i++)
            again += world_peer_stats(p.c.t.server, world_peer(p.c.t.server, i)).packets_duplicate;
        CHECK_EQ_INT(world_count(&p.c.t.w, p.c.t.server, WISP_ERROR), 0);
        sealed_close(&p);
    }
    CHECK(broken > 500 && again > 300);
}

/* Each from an address that proves itself: only so many cost an agreement, and nobody is let in in
   the place of an honest one, which comes in when it is calm. */
TEST(a_flood_of_sealed_joins_costs_no_more_than_its_budget) {
    sealed_pair p;
    wisp_budget budget;
    uint64_t seed = 1;
    int agreements;
    sealed_open(&p);
    sealed_ends(&p);
    memset(&budget, 0, sizeof budget);
    budget.sealed_joins = 20;
    CHECK_EQ_INT(wisp_use_budget(p.c.t.server, &budget), WISP_OK);
    world_step(&p.c.t.w);
    agreements = p.there.agreements;
    for (int i = 0; i < 1000; i++) {
        uint8_t bytes[160];
        wisp_addr from = wisp_loopback_addr(10 + i);
        uint64_t nonce = test_random(&seed), bucket = wisp__bucket_now(p.c.t.server);
        wisp__writer to = wisp__writer_on(bytes, sizeof bytes);
        wisp_packet packet;
        wisp__put(&to, WISP__SEALED_RESPONSE | (uint64_t)WISP__MAGIC << 8, 40);
        wisp__put(&to, WISP_WIRE_VERSION, 8);
        wisp__put(&to, nonce, 64);
        wisp__put(&to, bucket & 255, 8);
        wisp__put(&to, wisp__cookie(p.c.t.server, &from, nonce, bucket), 64);
        while (to.at < 150 * 8) wisp__put(&to, test_random(&seed) & 0xff, 8);
        noise_mend(bytes, 154);
        memset(&packet, 0, sizeof packet);
        packet.addr = from;
        packet.data = bytes;
        packet.size = 154;
        wisp__on_datagram(p.c.t.server, &packet);
    }
    CHECK_EQ_INT(p.there.agreements - agreements, 10);          /* half a second's */
    CHECK_EQ_INT(world_total(p.c.t.server).seals_broken, 10);
    CHECK_EQ_INT(world_total(p.c.t.server).joins_flooded, 990);
    CHECK_EQ_INT(slots(p.c.t.server), 0);
    sealed_ask(&p, "ticket");
    world_run(&p.c.t.w, 2);
    CHECK(sealed_joined(&p));
    sealed_close(&p);
}

/* --- keys that change --- */

/* Numbers as they are after a long time, at both ends. */
static void noise_number(sealed_pair *p, uint64_t number) {
    wisp__flow *ends[2];
    ends[0] = &wisp__session_of(p->c.t.server, p->c.t.to_client)->peer.flow;
    ends[1] = &wisp__session_of(p->c.t.client, p->c.t.to_server)->peer.flow;
    for (int i = 0; i < 1000 && ends[0]->in_flight + ends[1]->in_flight > 0; i++)
        world_step(&p->c.t.w);
    for (int i = 0; i < 2; i++) {
        wisp__flow *flow = ends[i];
        flow->next = flow->oldest = number;
        flow->ref_first = flow->ref_next;
        flow->largest_acked = flow->top = number - 1;
        flow->skip_at = 0;
        memset(flow->skips, 0, sizeof flow->skips);
        memset(flow->seen, 0xff, sizeof flow->seen);
        memset(flow->reported, 0, sizeof flow->reported);
    }
}

static void noise_sealed_out_first(sealed_pair *p, uint64_t number) {
    wisp__session_of(p->c.t.server, p->c.t.to_client)->peer.keys->out_first = number;
    wisp__session_of(p->c.t.client, p->c.t.to_server)->peer.keys->out_first = number;
}

TEST(no_key_seals_two_packets_of_one_number) {
    static const uint64_t starts[] = { 0, 65408, 0xffffff80u, UINT64_C(0x1ffffff80) };
    for (int i = 0; i < 4; i++) {
        for (int every = 16; every <= 1024; every *= 4) {
            sealed_pair p;
            wisp__keys *keys;
            int turns = 0;
            bool phase = false;
            sealed_open(&p);
            p.c.t.w.desc.limits.rekey_packets = every;
            p.c.t.w.bad = true;
            p.c.t.w.net.loss = 0.1;
            p.c.t.w.net.jitter = 0.03;
            p.c.t.w.net.seed = 3;
            sealed_join(&p);
            CHECK(sealed_talks(&p, 1));
            if (starts[i]) noise_number(&p, starts[i]);
            if (starts[i]) noise_sealed_out_first(&p, starts[i]);
            keys = wisp__session_of(p.c.t.server, p.c.t.to_client)->peer.keys;
            for (int k = 0; k < 300; k++) {
                world_fire(p.c.t.client, "up", p.c.t.to_server, k);
                world_fire(p.c.t.server, "down", p.c.t.to_client, k);
                world_step(&p.c.t.w);
                turns += keys->out_phase != phase;
                phase = keys->out_phase;
            }
            CHECK(every > 64 || turns >= 2);
            CHECK(sealed_talks(&p, 77));
            CHECK_EQ_INT(world_total(p.c.t.server).packets_bad_tag, 0);
            CHECK_EQ_INT(world_total(p.c.t.client).packets_bad_tag, 0);
            sealed_close(&p);
        }
    }
}

TEST(keys_change_with_time_and_packets_of_the_key_before_are_still_read) {
    sealed_pair p;
    uint8_t late[1500];
    int size;
    wisp__keys *keys;
    uint8_t first[WISP_KEY_BYTES];
    sealed_open(&p);
    p.c.t.w.desc.limits.rekey_seconds = 20;
    sealed_join(&p);
    keys = wisp__session_of(p.c.t.client, p.c.t.to_server)->peer.keys;
    memcpy(first, keys->out, sizeof first);
    world_run(&p.c.t.w, 18);
    CHECK_EQ_MEM(keys->out, first, sizeof first);
    world_watch(&p.c.t.w, p.c.t.server, "up");
    p.c.s.lose_side = 1;                            /* one packet of the client is kept back */
    p.c.s.lose_from = p.c.s.seen[1];
    p.c.s.lose_count = 1;
    world_fire(p.c.t.client, "up", p.c.t.to_server, 5);
    wisp_flush_batches(p.c.t.client);
    size = p.c.s.kept_size[SESSION];
    memcpy(late, p.c.s.kept[SESSION], (size_t)size);
    wisp__key_after(keys->cipher, keys->out, keys->out);
    keys->out_phase = !keys->out_phase;             /* the turn comes right after it */
    keys->out_first = wisp__session_of(p.c.t.client, p.c.t.to_server)->peer.flow.next;
    world_fire(p.c.t.client, "other", p.c.t.to_server, 6);
    wisp_flush_batches(p.c.t.client);
    world_update(&p.c.t.w, 0);
    CHECK(wisp__session_of(p.c.t.server, p.c.t.to_client)->peer.keys->has_before);
    CHECK_EQ_INT(world_count(&p.c.t.w, p.c.t.server, "up"), 0);
    {
        noise_middle m;
        m.pipe = &p.c.t.w.pipe;
        noise_pass(&m, 1, 0, late, size);
        noise_pass(&m, 1, 0, late, size);           /* and again */
    }
    world_update(&p.c.t.w, 0);
    CHECK_EQ_INT(world_count(&p.c.t.w, p.c.t.server, "up"), 1);
    CHECK_EQ_INT(world_peer_stats(p.c.t.server, p.c.t.to_client).packets_duplicate, 1);
    CHECK_EQ_INT(world_total(p.c.t.server).packets_bad_tag, 0);
    world_run(&p.c.t.w, 40);
    CHECK(memcmp(keys->out, first, sizeof first) != 0);
    CHECK(!wisp__session_of(p.c.t.server, p.c.t.to_client)->peer.keys->has_before);
    CHECK(sealed_talks(&p, 8));
    sealed_close(&p);
}

/* --- secrets do not stay --- */

typedef struct noise_memory { uint8_t key[4][WISP_KEY_BYTES]; int found, frees; } noise_memory;

static void *noise_alloc(void *user, size_t size) {
    (void)user;
    return malloc(size);
}

/* Looks for keys in what is given back. */
static void noise_free(void *user, void *pointer, size_t size) {
    noise_memory *m = (noise_memory *)user;
    const uint8_t *bytes = (const uint8_t *)pointer;
    m->frees++;
    for (size_t i = 0; i + WISP_KEY_BYTES <= size; i += 4)
        for (int k = 0; k < 4; k++)
            if (memcmp(bytes + i, m->key[k], WISP_KEY_BYTES) == 0) m->found++;
    free(pointer);
}

TEST(keys_are_wiped_when_their_session_or_endpoint_ends) {
    for (int destroyed = 0; destroyed < 2; destroyed++) {
        sealed_pair p;
        noise_memory m;
        const wisp__keys *keys;
        memset(&m, 0xee, sizeof m);
        m.found = m.frees = 0;
        sealed_open(&p);
        p.resets = true;
        p.c.t.w.desc.memory.alloc = noise_alloc;
        p.c.t.w.desc.memory.free = noise_free;
        p.c.t.w.desc.memory.user = &m;
        memcpy(m.key[3], p.secret, WISP_KEY_BYTES);
        sealed_join(&p);
        keys = wisp__session_of(p.c.t.client, p.c.t.to_server)->peer.keys;
        CHECK(keys->resets);
        memcpy(m.key[0], keys->out, WISP_KEY_BYTES);
        memcpy(m.key[1], keys->in, WISP_KEY_BYTES);
        memcpy(m.key[2], keys->reset, WISP_KEY_BYTES);
        if (!destroyed) wisp_leave(p.c.t.client, p.c.t.to_server, "bye");
        if (!destroyed) world_run(&p.c.t.w, 3);
        sealed_close(&p);
        CHECK(m.frees > 10 && m.found == 0);
    }
}

/* Each allocation fails once: no crash, nothing leaks, and the join ends one way or the other. */
TEST(a_sealed_join_without_memory_fails_cleanly) {
    int joined = 0;
    for (int fail = 0; fail < 80; fail++) {
        sealed_pair p;
        low_memory low;
        wisp_addr client = wisp_loopback_addr(1);
        wisp_addr addr;
        sealed_open(&p);
        p.c.t.w.desc.join_timeout = 2;
        p.c.t.w.unchecked = true;
        memset(&low, 0, sizeof low);
        low.fail_after = -1;
        p.c.t.w.desc.memory.alloc = low_alloc;
        p.c.t.w.desc.memory.free = low_free;
        p.c.t.w.desc.memory.user = &low;
        sealed_ends(&p);
        addr = world_addr(&p.c.t.w, p.c.t.server);
        if (fail & 1) wisp_join(p.c.t.server, &client, NULL, 0);    /* which the other crosses */
        low.fail_after = fail / 2;
        p.c.t.to_server = wisp_join_sealed(p.c.t.client, &addr, p.key, "ticket", 6);
        if (!p.c.t.to_server.id) CHECK_EQ_INT(wisp_why(p.c.t.client), WISP_E_MEMORY);
        world_run(&p.c.t.w, 0.2);
        low.fail_after = -1;
        world_run(&p.c.t.w, 3);
        joined += sealed_joined(&p);
        sealed_close(&p);
        CHECK_EQ_INT(low.held, 0);
    }
    CHECK(joined > 20);
}

/* --- what sessions can do goes on --- */

/* The server dies and comes again, with the same keys or without what tells the client. */
static wisp_result noise_restart(bool resets, bool forge, double *after) {
    sealed_pair p;
    wisp_result result;
    double begun;
    sealed_open(&p);
    p.resets = resets;
    sealed_join(&p);
    CHECK(sealed_talks(&p, 1));
    scene_crash(&p.c, p.c.t.server);
    if (!forge) {
        sealed_serve(&p);
        p.c.t.w.ways[2].pipe = wisp_loopback(&p.c.t.w.pipe, 0);   /* at the old address */
    }
    begun = p.c.t.w.now;
    world_fire(p.c.t.client, "up", p.c.t.to_server, 5);
    if (forge) {
        noise_middle m;
        uint8_t *bytes = p.c.s.kept[SESSION];
        wisp_flush_batches(p.c.t.client);
        m.pipe = &p.c.t.w.pipe;
        bytes[0] = WISP__GOODBYE;                                 /* its own head comes back */
        noise_pass(&m, 0, 1, bytes, 21);
        noise_pass(&m, 0, 1, bytes, 13);
        memset(bytes + 3, 0, 16);
        noise_pass(&m, 0, 1, bytes, 21);
        world_run(&p.c.t.w, 1);
        CHECK_EQ_INT(world_total(p.c.t.client).goodbyes_ignored, 3);
    }
    for (int i = 0; i < 1500 && !told(&p.c, p.c.t.client, WISP_LEFT); i++) world_step(&p.c.t.w);
    *after = p.c.t.w.now - begun;
    result = world_last(&p.c.t.w, p.c.t.client, WISP_LEFT)->result;
    sealed_close(&p);
    return result;
}

TEST(a_server_that_lost_its_sessions_can_say_so_and_nobody_else) {
    double after;
    CHECK_EQ_INT(noise_restart(true, false, &after), WISP_E_CLOSED);
    CHECK(after < 0.5);
    CHECK_EQ_INT(noise_restart(false, false, &after), WISP_E_TIMEOUT);
    CHECK_EQ_INT(noise_restart(true, true, &after), WISP_E_TIMEOUT);
    CHECK(after > 8);
}

TEST(a_leaving_client_is_told_that_its_goodbye_came) {
    sealed_pair p;
    int seen;
    sealed_open(&p);
    p.resets = true;
    sealed_join(&p);
    seen = p.c.s.seen[1];
    p.c.s.lose_side = ALL;
    p.c.s.lose_from = 1 << 30;
    wisp_leave(p.c.t.client, p.c.t.to_server, "bye");
    world_run(&p.c.t.w, 3);
    CHECK_EQ_INT(world_results(&p.c.t.w, p.c.t.server, WISP_LEFT, WISP_E_CLOSED) +
                 world_results(&p.c.t.w, p.c.t.server, WISP_LEFT, WISP_OK), 1);
    CHECK(p.c.s.seen[1] - seen <= 3);             /* not five times */
    CHECK_EQ_INT(slots(p.c.t.client), 0);
    sealed_close(&p);
}

TEST(a_sealed_session_moves_with_its_peer) {
    sealed_pair p;
    sealed_open(&p);
    sealed_join(&p);
    world_watch(&p.c.t.w, p.c.t.server, WISP_MOVED);
    p.c.t.w.ways[1].pipe = wisp_loopback(&p.c.t.w.pipe, 7);
    CHECK(sealed_talks(&p, 1));
    CHECK_EQ_INT(world_peer_stats(p.c.t.server, p.c.t.to_client).packets_refused, 0);
    CHECK_EQ_INT(wisp_peer_addr(p.c.t.server, p.c.t.to_client)->bytes[0],
                 wisp_loopback_addr(7).bytes[0]);
    CHECK(sealed_talks(&p, 2));
    sealed_close(&p);
}

/* Every few packets another key, another address, and packets lost and out of order. */
TEST(a_sealed_session_moves_while_its_keys_change) {
    sealed_pair p;
    const wisp__keys *keys;
    int turns = 0;
    bool phase = false;
    sealed_open(&p);
    p.c.t.w.desc.limits.rekey_packets = 16;
    p.c.t.w.bad = true;
    p.c.t.w.net.loss = 0.1;
    p.c.t.w.net.latency = 0.03;
    p.c.t.w.net.jitter = 0.05;
    p.c.t.w.net.seed = 7;
    sealed_ends(&p);
    sealed_ask(&p, "ticket");
    world_run(&p.c.t.w, 2);
    CHECK(sealed_joined(&p));
    keys = wisp__session_of(p.c.t.client, p.c.t.to_server)->peer.keys;
    world_watch(&p.c.t.w, p.c.t.server, "up");
    for (int i = 0; i < 800; i++) {
        if (i % 100 == 50) p.c.t.w.ways[1].pipe = wisp_loopback(&p.c.t.w.pipe, 7 + i / 100);
        CHECK_EQ_INT(world_fire(p.c.t.client, "up", p.c.t.to_server, i), WISP_OK);
        world_step(&p.c.t.w);
        turns += keys->out_phase != phase;
        phase = keys->out_phase;
    }
    world_run(&p.c.t.w, 2);
    CHECK(turns > 15);
    CHECK(wisp__session_of(p.c.t.server, p.c.t.to_client)->peer.moves >= 6);
    CHECK_EQ_INT(world_count(&p.c.t.w, p.c.t.server, "up"), 800);
    CHECK(world_counts_up(&p.c.t.w, p.c.t.server, "up", 0));
    CHECK_EQ_INT(world_total(p.c.t.server).packets_bad_tag, 0);
    CHECK_EQ_INT(world_total(p.c.t.client).packets_bad_tag, 0);
    sealed_close(&p);
}

static int noise_narrow(world *w, int n, wisp_packet *packet) {
    (void)w, (void)n;
    return packet->size <= 700;
}

TEST(a_sealed_session_finds_the_size_of_its_path) {
    sealed_pair p;
    static uint8_t large[20000];
    wisp_value value = wisp_bytes(large, sizeof large);
    sealed_open(&p);
    sealed_join(&p);
    world_watch(&p.c.t.w, p.c.t.server, "large");
    p.c.t.w.tap = noise_narrow;
    wisp_fire_values(p.c.t.client, "large", wisp_to_peer(p.c.t.to_server), &value, 1);
    world_run(&p.c.t.w, 8);
    CHECK_EQ_INT(world_count(&p.c.t.w, p.c.t.server, "large"), 1);
    CHECK(world_peer_stats(p.c.t.client, p.c.t.to_server).mtu <= 700);
    CHECK(world_peer_stats(p.c.t.client, p.c.t.to_server).mtu > 650);
    sealed_close(&p);
}

TEST(a_sealed_join_that_crosses_a_plain_one_wins_and_gives_way_to_none) {
    sealed_pair p;
    wisp_addr client = wisp_loopback_addr(1);
    for (int seed = 0; seed < 6; seed++) {
        sealed_open(&p);
        p.c.t.w.desc.seed = 0;
        sealed_ends(&p);
        for (int i = 0; i < seed; i++) wisp__random(&p.c.t.client->peers.secret);
        wisp_join(p.c.t.server, &client, NULL, 0);
        sealed_ask(&p, "ticket");
        world_run(&p.c.t.w, 3);
        CHECK(sealed_joined(&p));
        CHECK(wisp_is_sealed(p.c.t.server, p.c.t.to_client));
        CHECK(wisp_is_sealed(p.c.t.client, p.c.t.to_server));
        CHECK(sealed_talks(&p, 4));
        sealed_close(&p);
    }
}

/* --- a tape of a sealed server, which has what its cipher drew by chance --- */

typedef struct noise_tape { uint8_t bytes[1 << 16]; int size, read, heard; } noise_tape;

static int noise_tape_write(void *user, const void *bytes, int size) {
    noise_tape *t = (noise_tape *)user;
    if (t->size + size > (int)sizeof t->bytes) return -1;
    memcpy(t->bytes + t->size, bytes, (size_t)size);
    t->size += size;
    return 0;
}

static int noise_tape_read(void *user, void *out, int size) {
    noise_tape *t = (noise_tape *)user;
    if (size > t->size - t->read) size = t->size - t->read;
    memcpy(out, t->bytes + t->read, (size_t)size);
    t->read += size;
    return size;
}

static void noise_hears(wisp_event *event) { ((noise_tape *)event->user)->heard++; }

TEST(a_sealed_server_lives_again_from_its_tape) {
    static noise_tape tape;
    sealed_pair p;
    wisp_writer writer = { noise_tape_write, NULL, WISP_COMPRESSION_NONE, false, NULL, 0 };
    wisp_reader reader = { noise_tape_read, NULL, NULL };
    wisp_desc desc;
    wisp_result result;
    wisp *w;
    int heard;
    fake_cipher other;
    memset(&tape, 0, sizeof tape);
    writer.user = reader.user = &tape;
    sealed_open(&p);
    p.c.t.w.desc.limits.rekey_packets = 16;
    desc = p.c.t.w.desc;
    sealed_serve(&p);
    CHECK_EQ_INT(wisp_record(p.c.t.server, &writer), WISP_OK);
    wisp_on(p.c.t.server, "up", noise_hears, &tape);
    p.c.t.client = scene_add(&p.c);
    sealed_ask(&p, "ticket");
    for (int i = 0; i < 60; i++) {
        world_fire(p.c.t.client, "up", p.c.t.to_server, i);
        world_step(&p.c.t.w);
    }
    CHECK_EQ_INT(wisp_record(p.c.t.server, NULL), WISP_OK);
    heard = tape.heard;
    desc.link = wisp_loopback(&p.c.t.w.pipe, 9);
    desc.cipher = fake_open(&other, 77);                    /* it draws other numbers */
    desc.secret_key = p.secret;
    desc.accept = sealed_accept;
    desc.user = &p;
    w = wisp_replay(&reader, &desc, &result);
    CHECK(w != NULL && heard > 40);
    tape.heard = 0;
    world_watch(&p.c.t.w, w, WISP_JOINED);
    world_watch(&p.c.t.w, w, WISP_LEFT);
    world_watch(&p.c.t.w, w, WISP_ERROR);
    wisp_on(w, "up", noise_hears, &tape);
    while ((result = wisp_update(w, 0)) == WISP_OK) {}
    CHECK_EQ_INT(result, WISP_E_CLOSED);                    /* the tape's end */
    CHECK_EQ_INT(tape.heard, heard);
    CHECK_EQ_INT(world_total(w).joins_sealed, 1);
    wisp_destroy(w);
    sealed_close(&p);
}

static const test_case tests[] = {
    CASE(nobody_can_read_a_sealed_session),
    CASE(a_seal_is_8_bytes_longer_than_a_tag_and_nothing_else_is),
    CASE(a_reliable_link_can_be_sealed),
    CASE(a_join_costs_two_agreements_and_a_key_pair_and_nothing_before_the_cookie),
    CASE(a_lost_answer_is_sent_again_as_it_was),
    CASE(a_refusal_is_sealed_and_believed),
    CASE(a_pending_join_is_admitted),
    CASE(the_key_of_another_server_gets_no_answer),
    CASE(an_end_without_a_key_refuses_sealed_joins_and_one_that_demands_them_plain_ones),
    CASE(an_end_that_demands_seals_joins_by_no_others),
    CASE(a_desc_with_keys_needs_a_whole_cipher),
    CASE(a_flipped_bit_of_a_handshake_confuses_nobody),
    CASE(an_answer_without_a_seal_is_not_believed),
    CASE(nobody_joins_in_the_place_of_a_session_that_lives),
    CASE(someone_in_between_gets_nothing_in_and_breaks_nothing),
    CASE(a_flood_of_sealed_joins_costs_no_more_than_its_budget),
    CASE(no_key_seals_two_packets_of_one_number),
    CASE(keys_change_with_time_and_packets_of_the_key_before_are_still_read),
    CASE(keys_are_wiped_when_their_session_or_endpoint_ends),
    CASE(a_sealed_join_without_memory_fails_cleanly),
    CASE(a_server_that_lost_its_sessions_can_say_so_and_nobody_else),
    CASE(a_leaving_client_is_told_that_its_goodbye_came),
    CASE(a_sealed_session_moves_with_its_peer),
    CASE(a_sealed_session_moves_while_its_keys_change),
    CASE(a_sealed_session_finds_the_size_of_its_path),
    CASE(a_sealed_join_that_crosses_a_plain_one_wins_and_gives_way_to_none),
    CASE(a_sealed_server_lives_again_from_its_tape),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
