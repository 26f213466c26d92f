/* Channels: windows of items, turns, fragments, and both over a network that shuffles. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"

#include <math.h>
#include "support/values_and_memory.h"
#include "support/simulated_endpoints.h"

/* Where sequence numbers turn over, on the wire (24 bits) and in memory. */
static const uint32_t channel_edges[] = {
    1, 0x7fff, 0xffff, 0x10000, 0x7fffff, 0xffffff, 0x1000000, 0x7fffffff, 0x80000000u,
    0xffffffffu, 0
};
enum { CHANNEL_EDGES = (int)(sizeof channel_edges / sizeof *channel_edges) };

/* --- one channel, by itself --- */

typedef struct channel_rig {
    low_memory   memory;
    wisp__base   base;
    wisp__chunks chunks;
    wisp__channel  *channel;
} channel_rig;

static void rig_start(channel_rig *r, uint32_t first) {
    memset(r, 0, sizeof *r);
    low_start(&r->base, &r->memory);
    r->base.mtu = 1200;
    r->chunks.base = &r->base;
    r->channel = wisp__channel_make(&r->base);
    r->channel->out.base = r->channel->out.next = r->channel->out.lost_from = first;
    r->channel->in.next = first;
}

/* Returns how many items were still in the window. */
static int rig_end(channel_rig *r) {
    int abandoned;
    wisp__channel_check(&r->base, r->channel);
    abandoned = wisp__channel_free(&r->chunks, r->channel);
    wisp__chunks_free(&r->chunks);
    CHECK(low_is_empty(&r->base, &r->memory));
    return abandoned;
}

static wisp__message *rig_message(channel_rig *r, int bytes) {
    wisp__message *m = wisp__message_take(&r->chunks, (size_t)bytes, false);
    wisp__message_measure(m, 0, (int64_t)bytes * 8, 1);
    return m;
}

/* Puts a message of so many bytes into the window, which then alone holds it. */
static wisp_result rig_push(channel_rig *r, int bytes) {
    wisp__message *m = rig_message(r, bytes);
    wisp__item item;
    wisp_result result = wisp__channel_reserve(&r->base, &r->channel->out);
    memset(&item, 0, sizeof item);
    item.message = m;
    item.offset = -1;
    item.size = bytes;
    item.window = wisp__window_bytes(bytes);
    if (!result) wisp__channel_push(&r->channel->out, &item);
    wisp__message_release(&r->chunks, m);
    return result;
}

static int rig_told(channel_rig *r, uint32_t sequence, int count, bool arrived) {
    return wisp__channel_ended(&r->chunks, &r->channel->out, sequence, count, arrived);
}

TEST(an_item_leaves_the_window_when_all_before_it_have_arrived) {
    for (int e = 0; e < CHANNEL_EDGES; e++) {
        channel_rig r;
        uint32_t first = channel_edges[e] - 2;
        rig_start(&r, first);
        for (int i = 0; i < 6; i++) CHECK_EQ_INT(rig_push(&r, 10 + i), WISP_OK);
        CHECK_EQ_INT(rig_told(&r, first + 1, 2, true), 0);
        CHECK_EQ_INT(rig_told(&r, first + 5, 1, true), 0);
        CHECK_EQ_INT(rig_told(&r, first, 1, true), 3 * (96 + 8 + 16));
        CHECK_EQ_INT(r.channel->out.base, first + 3);
        CHECK_EQ_INT(rig_told(&r, first + 3, 2, true), 3 * (96 + 8 + 16));
        CHECK_EQ_INT(r.channel->out.base, r.channel->out.next);
        CHECK_EQ_INT(rig_end(&r), 0);
    }
}

/* What is charged is what the allocator gives, and room for the content behind the head. */
TEST(what_is_held_is_charged_what_it_takes) {
    for (int content = 0; content <= 2000; content++) {
        int charge = wisp__buffered_bytes(content), chunk = wisp__chunk_bytes((size_t)charge);
        CHECK(charge >= (int)offsetof(wisp__buffered, bytes) + content + WISP__SLACK);
        CHECK_EQ_INT(chunk, charge);
        CHECK(charge <= 2 * (WISP__BUFFERED_HEAD + content + WISP__SLACK));
    }
    CHECK_EQ_INT(wisp__buffered_bytes(0), 80);
    CHECK_EQ_INT(wisp__buffered_bytes(128 - WISP__BUFFERED_HEAD - WISP__SLACK), 128);
    CHECK_EQ_INT(wisp__buffered_bytes(129 - WISP__BUFFERED_HEAD - WISP__SLACK), 136);
    CHECK_EQ_INT(wisp__buffered_bytes(1100), 1352);
}

TEST(a_window_takes_its_limit_and_not_one_more) {
    for (int limit = 16; limit <= 256; limit *= 4) {
        channel_rig r;
        rig_start(&r, 0xfffffff0u);
        r.base.limits.window_items = limit;
        for (int i = 0; i < limit; i++) CHECK_EQ_INT(rig_push(&r, 8), WISP_OK);
        CHECK_EQ_INT(rig_push(&r, 8), WISP_E_LIMIT);
        CHECK_EQ_INT(r.channel->out.next - r.channel->out.base, limit);
        CHECK_EQ_INT(rig_told(&r, 0xfffffff0u, 1, true), 88 + 7 + 16);
        CHECK_EQ_INT(rig_push(&r, 8), WISP_OK);
        CHECK_EQ_INT(rig_end(&r), limit);
    }
}

TEST(a_window_of_few_items_works) {
    for (int limit = 1; limit <= 8; limit *= 2) {
        channel_rig r;
        rig_start(&r, 1);
        r.base.limits.window_items = limit;
        for (int i = 0; i < limit; i++) CHECK_EQ_INT(rig_push(&r, 8), WISP_OK);
        CHECK_EQ_INT(rig_push(&r, 8), WISP_E_LIMIT);
        rig_end(&r);
    }
}

TEST(a_push_without_memory_changes_nothing) {
    channel_rig r;
    rig_start(&r, 1);
    CHECK_EQ_INT(rig_push(&r, 8), WISP_OK);
    for (int i = 1; i < 16; i++) rig_push(&r, 8);
    r.memory.fail_after = 0;
    CHECK_EQ_INT(rig_push(&r, 8), WISP_E_MEMORY);
    r.memory.fail_after = LOW_NONE;
    CHECK_EQ_INT(r.channel->out.next, 17);
    CHECK_EQ_INT(rig_push(&r, 8), WISP_OK);
    CHECK_EQ_INT(rig_end(&r), 17);
}

TEST(a_message_is_released_once_by_each_item_that_holds_it) {
    channel_rig r;
    wisp__message *m;
    wisp__item item;
    rig_start(&r, 1);
    m = rig_message(&r, 3000);
    memset(&item, 0, sizeof item);
    item.message = m;
    for (item.offset = 0; item.offset < 3000; item.offset += 1000) {
        item.size = 1000;
        item.window = wisp__window_bytes(1000);
        CHECK_EQ_INT(wisp__channel_reserve(&r.base, &r.channel->out), WISP_OK);
        wisp__channel_push(&r.channel->out, &item);
    }
    CHECK_EQ_INT(m->references, 4);
    rig_told(&r, 2, 2, true);
    CHECK_EQ_INT(m->references, 4);
    rig_told(&r, 1, 1, true);
    CHECK_EQ_INT(m->references, 1);
    rig_told(&r, 1, 3, true);                  /* told again: nothing more to release */
    CHECK_EQ_INT(m->references, 1);
    wisp__message_release(&r.chunks, m);
    CHECK_EQ_INT(rig_end(&r), 0);
}

TEST(what_is_told_of_numbers_outside_the_window_does_nothing) {
    channel_rig r;
    rig_start(&r, 0xfffffffeu);
    for (int i = 0; i < 4; i++) rig_push(&r, 8);
    rig_told(&r, 0xfffffffeu, 2, true);
    CHECK_EQ_INT(rig_told(&r, 0xfffffff0u, 16, true), 0);
    CHECK_EQ_INT(rig_told(&r, 0xfffffff0u, 16, false), 0);
    CHECK_EQ_INT(rig_told(&r, 2, 60000, true), 0);
    CHECK_EQ_INT(rig_told(&r, 2, 60000, false), 0);
    CHECK_EQ_INT(r.channel->out.lost, 0);
    CHECK_EQ_INT(r.channel->out.next - r.channel->out.base, 2);
    CHECK_EQ_INT(rig_end(&r), 2);
}

TEST(lost_items_are_found_in_their_order) {
    for (int e = 0; e < CHANNEL_EDGES; e++) {
        channel_rig r;
        uint32_t first = channel_edges[e] - 4, found = 0;
        static const uint32_t losses[] = { 5, 2, 7, 3 }, order[] = { 2, 3, 5, 7 };
        rig_start(&r, first);
        for (int i = 0; i < 10; i++) rig_push(&r, 8);
        CHECK(!wisp__channel_lost(&r.channel->out, &found));
        for (int i = 0; i < 4; i++) rig_told(&r, first + losses[i], 1, false);
        for (int i = 0; i < 4; i++) {
            CHECK(wisp__channel_lost(&r.channel->out, &found));
            CHECK_EQ_INT(found, first + order[i]);
            wisp__channel_resent(&r.channel->out, found);
            wisp__channel_check(&r.base, r.channel);
        }
        CHECK(!wisp__channel_lost(&r.channel->out, &found));
        rig_told(&r, first + 2, 1, false);         /* lost again */
        CHECK(wisp__channel_lost(&r.channel->out, &found));
        CHECK_EQ_INT(found, first + 2);
        CHECK_EQ_INT(rig_end(&r), 10);
    }
}

TEST(an_item_that_arrived_is_never_lost_and_one_that_was_lost_may_arrive) {
    channel_rig r;
    uint32_t found;
    rig_start(&r, 0xffffffffu);
    for (int i = 0; i < 4; i++) rig_push(&r, 8);
    rig_told(&r, 0, 1, true);
    rig_told(&r, 0, 1, false);
    CHECK(!wisp__channel_lost(&r.channel->out, &found));
    rig_told(&r, 1, 1, false);
    rig_told(&r, 1, 1, false);
    CHECK_EQ_INT(r.channel->out.lost, 1);
    rig_told(&r, 1, 1, true);
    CHECK_EQ_INT(r.channel->out.lost, 0);
    CHECK_EQ_INT(rig_told(&r, 0xffffffffu, 1, true), 3 * (88 + 7 + 16));
    CHECK_EQ_INT(rig_end(&r), 1);
}

/* A place in the ring belongs to a new item as soon as the old one has left the window. */
TEST(a_new_item_in_the_place_of_an_old_one_is_not_taken_for_the_first_lost) {
    channel_rig r;
    uint32_t found = 0;
    rig_start(&r, 1);
    for (int i = 0; i < 16; i++) rig_push(&r, 8);
    rig_told(&r, 1, 1, false);
    rig_told(&r, 3, 1, false);
    rig_told(&r, 1, 2, true);
    rig_push(&r, 8);                                /* 17 stands where 1 stood */
    rig_told(&r, 17, 1, false);
    CHECK(wisp__channel_lost(&r.channel->out, &found));
    CHECK_EQ_INT(found, 3);
    wisp__channel_resent(&r.channel->out, found);
    CHECK(wisp__channel_lost(&r.channel->out, &found));
    CHECK_EQ_INT(found, 17);
    CHECK_EQ_INT(rig_end(&r), 15);
}

/* The first lost item, looked for the long way. */
static bool rig_first_lost(const channel_rig *r, uint32_t *sequence) {
    const wisp__channel_out *out = &r->channel->out;
    for (*sequence = out->base; *sequence != out->next; ++*sequence)
        if (wisp__channel_item(out, *sequence)->state == WISP__ITEM_LOST) return true;
    return false;
}

TEST(random_news_keeps_the_books) {
    uint64_t seed = 9;
    for (int e = 0; e < CHANNEL_EDGES; e++) {
        channel_rig r;
        uint32_t found = 0, expect = 0;
        rig_start(&r, channel_edges[e] - 200);
        r.base.limits.window_items = e & 1 ? 16 : 64;
        for (int round = 0; round < 3000; round++) {
            wisp__channel_out *out = &r.channel->out;
            uint32_t at = out->base + (uint32_t)test_random_below(&seed, 40) - 4;
            int what = test_random_below(&seed, 8);
            if (what < 4) rig_push(&r, 8);
            else if (what < 6) rig_told(&r, at, 1 + test_random_below(&seed, 12), true);
            else if (what < 7) rig_told(&r, at, 1 + test_random_below(&seed, 12), false);
            else if (wisp__channel_lost(out, &found)) wisp__channel_resent(out, found);
            wisp__channel_check(&r.base, r.channel);
            CHECK_EQ_INT(wisp__channel_lost(out, &found), rig_first_lost(&r, &expect));
            if (out->lost) CHECK_EQ_INT(found, expect);
        }
        rig_end(&r);
    }
}

/* --- turns --- */

static wisp__turn rig_turn(channel_rig *r, uint32_t sequence, uint32_t *whole) {
    return wisp__channel_turn(&r->base, &r->channel->in, sequence & WISP__LOW_24, whole);
}

TEST(turns_are_told_apart_over_every_wrap) {
    for (int e = 0; e < CHANNEL_EDGES; e++) {
        for (int limit = 1; limit <= 16384; limit *= 4) {
            channel_rig r;
            uint32_t next = channel_edges[e], whole, most = (uint32_t)limit;
            rig_start(&r, next);
            r.base.limits.window_items = limit;
            CHECK_EQ_INT(rig_turn(&r, next, &whole), WISP__NOW);
            CHECK_EQ_INT(whole, next);
            CHECK_EQ_INT(rig_turn(&r, next - 1, &whole), WISP__AGAIN);
            CHECK_EQ_INT(rig_turn(&r, next - 16384, &whole), WISP__AGAIN);
            CHECK_EQ_INT(rig_turn(&r, next - 0x7fffff, &whole), WISP__AGAIN);
            CHECK_EQ_INT(rig_turn(&r, next + most, &whole), WISP__BEYOND);
            CHECK_EQ_INT(rig_turn(&r, next + 0x7fffff, &whole), WISP__BEYOND);
            if (limit > 1) CHECK_EQ_INT(rig_turn(&r, next + most - 1, &whole), WISP__EARLY);
            if (limit > 1) CHECK_EQ_INT(whole, next + most - 1);
            rig_end(&r);
        }
    }
}

static wisp__buffered *rig_held(channel_rig *r, int mark) {
    size_t chunk = sizeof(wisp__buffered) + 16;
    wisp__buffered *held = (wisp__buffered *)wisp__chunk_take(&r->chunks, chunk);
    memset(held, 0, chunk);
    held->chunk_bytes = (int)chunk;
    held->call = (uint32_t)mark;
    return held;
}

/* A window of items comes in a random order, each twice: each is handed out once, in order. */
TEST(what_came_early_is_handed_out_in_order) {
    uint64_t seed = 21;
    for (int e = 0; e < CHANNEL_EDGES; e++) {
        channel_rig r;
        uint32_t first = channel_edges[e] - 40, whole, given = 0;
        rig_start(&r, first);
        r.base.limits.window_items = 128;
        for (int tries = 0; given < 400 && tries < 100000; tries++) {
            uint32_t pick = given + (uint32_t)test_random_below(&seed, 128);
            wisp__buffered *held;
            switch (rig_turn(&r, first + pick, &whole)) {
            case WISP__EARLY:
                CHECK_EQ_INT(whole, first + pick);
                held = rig_held(&r, (int)pick);
                CHECK_EQ_INT(wisp__channel_hold(&r.base, &r.channel->in, whole, held), WISP_OK);
                CHECK_EQ_INT(rig_turn(&r, first + pick, &whole), WISP__AGAIN);
                break;
            case WISP__NOW:
                CHECK_EQ_INT(pick, given);
                given++;
                r.channel->in.next++;
                while (wisp__channel_holds_next(&r.channel->in)) {
                    CHECK_EQ_INT(rig_turn(&r, first + given, &whole), WISP__AGAIN);
                    held = wisp__channel_take_next(&r.channel->in);
                    CHECK_EQ_INT((int)held->call, (int)given);
                    given++;
                    wisp__chunk_give(&r.chunks, held, (size_t)held->chunk_bytes);
                }
                break;
            default: break;
            }
            wisp__channel_check(&r.base, r.channel);
        }
        CHECK(given >= 400);
        CHECK(r.channel->in.room <= 128);
        rig_end(&r);
    }
}

TEST(holding_without_memory_changes_nothing) {
    channel_rig r;
    uint32_t whole;
    wisp__buffered *held;
    rig_start(&r, 1);
    held = rig_held(&r, 1);
    CHECK_EQ_INT(wisp__channel_hold(&r.base, &r.channel->in, 5, held), WISP_OK);
    r.memory.fail_after = 0;
    CHECK_EQ_INT(wisp__channel_hold(&r.base, &r.channel->in, 500, held), WISP_E_MEMORY);
    r.memory.fail_after = LOW_NONE;
    CHECK_EQ_INT(rig_turn(&r, 5, &whole), WISP__AGAIN);
    CHECK_EQ_INT(rig_turn(&r, 500, &whole), WISP__EARLY);
    rig_end(&r);
}

TEST(a_small_window_holds_what_came_early) {
    for (int limit = 2; limit <= 8; limit *= 2) {
        channel_rig r;
        rig_start(&r, 1);
        r.base.limits.window_items = limit;
        for (uint32_t n = 2; n <= (uint32_t)limit; n++) {
            wisp__buffered *held = rig_held(&r, 1);
            wisp_result result = wisp__channel_hold(&r.base, &r.channel->in, n, held);
            CHECK_EQ_INT(result, WISP_OK);
            if (result) wisp__chunk_give(&r.chunks, held, (size_t)held->chunk_bytes);
        }
        rig_end(&r);
    }
}

/* --- fragments put together --- */

static wisp_result rig_assemble(channel_rig *r, bool first, bool last, int bytes, int there) {
    static uint8_t content[4096 + WISP__SLACK];
    wisp__reader from = wisp__reader_on(content, there);
    wisp_result result;
    for (int i = 0; i < 4096; i++) content[i] = (uint8_t)(i * 7);
    result = wisp__channel_assemble(&r->base, &r->channel->in, first, &from, bytes);
    if (last) r->channel->in.assembling = false;
    return result;
}

TEST(fragments_of_any_sizes_make_one_message) {
    static const int sizes[] = { 1, 1, 1104, 7, 1, 333, 64, 63, 65 };
    channel_rig r;
    int at = 0;
    rig_start(&r, 1);
    for (int i = 0; i < 9; i++) {
        CHECK_EQ_INT(rig_assemble(&r, i == 0, false, sizes[i], sizes[i]), WISP_OK);
        for (int k = 0; k < sizes[i]; k++)
            CHECK_EQ_INT(r.channel->in.whole[at + k], (uint8_t)(k * 7));
        at += sizes[i];
    }
    CHECK_EQ_INT(r.channel->in.whole_bytes, at);
    rig_end(&r);
}

TEST(a_message_begins_anew_after_the_last_fragment) {
    channel_rig r;
    rig_start(&r, 1);
    CHECK_EQ_INT(rig_assemble(&r, true, true, 500, 500), WISP_OK);
    CHECK_EQ_INT(rig_assemble(&r, true, false, 100, 100), WISP_OK);
    CHECK_EQ_INT(r.channel->in.whole_bytes, 100);
    rig_end(&r);
}

TEST(a_second_first_and_a_last_without_first_break_the_rules) {
    channel_rig r;
    rig_start(&r, 1);
    CHECK_EQ_INT(rig_assemble(&r, false, true, 10, 10), WISP_E_PROTOCOL);
    CHECK_EQ_INT(rig_assemble(&r, false, false, 10, 10), WISP_E_PROTOCOL);
    CHECK_EQ_INT(rig_assemble(&r, true, false, 10, 10), WISP_OK);
    CHECK_EQ_INT(rig_assemble(&r, true, false, 10, 10), WISP_E_PROTOCOL);
    CHECK_EQ_INT(r.channel->in.whole_bytes, 10);
    rig_end(&r);
}

TEST(a_message_has_a_largest_size_exactly) {
    channel_rig r;
    rig_start(&r, 1);
    r.base.limits.message_bytes = 19000;
    CHECK_EQ_INT(rig_assemble(&r, true, false, 4096, 4096), WISP_OK);
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(rig_assemble(&r, false, false, 4096, 4096), WISP_OK);
    CHECK_EQ_INT(rig_assemble(&r, false, false, 19512 - 16384 + 1, 4096), WISP_E_LIMIT);
    CHECK_EQ_INT(rig_assemble(&r, false, false, 19512 - 16384, 4096), WISP_OK);
    CHECK_EQ_INT(rig_assemble(&r, false, false, 1, 4096), WISP_E_LIMIT);
    CHECK(r.channel->in.whole_room <= 19512 + WISP__SLACK);
    rig_end(&r);
}

TEST(a_fragment_longer_than_its_packet_is_bad) {
    channel_rig r;
    rig_start(&r, 1);
    CHECK_EQ_INT(rig_assemble(&r, true, false, 100, 99), WISP_E_BAD_PACKET);
    rig_end(&r);
}

TEST(a_fragment_without_memory_is_told) {
    channel_rig r;
    rig_start(&r, 1);
    CHECK_EQ_INT(rig_assemble(&r, true, false, 100, 100), WISP_OK);
    r.memory.fail_after = 0;
    CHECK_EQ_INT(rig_assemble(&r, false, false, 4000, 4000), WISP_E_MEMORY);
    CHECK_EQ_INT(r.channel->in.whole_bytes, 100);
    r.memory.fail_after = LOW_NONE;
    CHECK_EQ_INT(rig_assemble(&r, false, false, 4000, 4000), WISP_OK);
    rig_end(&r);
}

/* --- records by hand, in packets whose tag is right --- */

typedef struct forged { uint8_t bytes[1200 + WISP__SLACK]; wisp__writer body; } forged;

static void forge(forged *f) {
    memset(f, 0, sizeof *f);
    f->body = wisp__writer_on(f->bytes + WISP__PACKET_HEAD, 1200 - WISP__PACKET_HEAD);
}

/* `item`: which of the channel's, from 0. */
static void forge_section(forged *f, int delivery, int channel, uint32_t item) {
    uint32_t sequence = WISP_FIRST_NUMBER + item;
    wisp__put(&f->body, (uint64_t)WISP__FRAME_SECTION << 4, 8);
    wisp__put(&f->body, (uint64_t)delivery, 2);
    wisp__put(&f->body, (uint64_t)channel, 4);
    if (delivery == WISP_RELIABLE) wisp__put(&f->body, sequence & WISP__LOW_24, 24);
}

static void forge_fragment(forged *f, bool first, bool last, int says, int bytes) {
    wisp__put(&f->body, (uint64_t)WISP__FRAME_FRAGMENT << 4, 8);
    wisp__put(&f->body, first, 1);
    wisp__put(&f->body, last, 1);
    wisp__put(&f->body, (uint64_t)says, 16);
    for (int i = 0; i < bytes; i++) wisp__put(&f->body, 0xa5, 8);
}

/* Sends it as the client would, as its next packet, and lets both sides go on. */
static void forge_send(forged *f, world_two *t) {
    wisp__session *s = (wisp__session *)wisp__pool_get(&t->client->peers.pool, t->to_server.id);
    wisp__flow *flow = &s->peer.flow;
    wisp_packet packet;
    wisp_link *link = &t->w.ways[1].pipe;
    int size;
    wisp__put_align(&f->body);
    size = WISP__PACKET_HEAD + (int)(f->body.at / 8);
    f->bytes[0] = WISP__FLAG_SESSION;
    wisp__packet_close(&t->client->base, &s->peer, flow->next++, f->bytes, size);
    memset(&packet, 0, sizeof packet);
    packet.addr = wisp_loopback_addr(0);
    packet.data = f->bytes;
    packet.size = size;
    link->send(link->user, &packet, 1);
    world_step(&t->w);
}

/* A pair whose server logs what it is told; nothing has gone over any channel. */
static void channel_pair_open(world_two *t) {
    world_two_open(t);
    world_watch(&t->w, t->server, WISP_LEFT);
    world_watch(&t->w, t->server, WISP_ERROR);
    world_watch(&t->w, t->server, "blob");
    world_run(&t->w, 0.2);
}

static void channel_check_ended(world_two *t, wisp_result code) {
    CHECK_EQ_INT(wisp_peers(t->server, NULL, 0), 0);
    CHECK_EQ_INT(world_last(&t->w, t->server, WISP_LEFT)->result, code);
    CHECK_EQ_INT(world_total(t->server).packets_malformed, 1);
    world_close(&t->w);
}

static void check_goes_on(world_two *t) {
    CHECK_EQ_INT(wisp_peers(t->server, NULL, 0), 1);
    CHECK_EQ_INT(world_total(t->server).packets_malformed, 0);
    CHECK_EQ_INT(world_count(&t->w, t->server, "blob"), 0);
    world_close(&t->w);
}

TEST(a_forged_second_first_ends_the_session) {
    static world_two t;
    forged f;
    channel_pair_open(&t);
    forge(&f);
    forge_section(&f, WISP_RELIABLE, 3, 0);
    forge_fragment(&f, true, false, 200, 200);
    forge_fragment(&f, true, false, 200, 200);
    forge_send(&f, &t);
    channel_check_ended(&t, WISP_E_PROTOCOL);
}

TEST(a_forged_last_without_first_ends_the_session) {
    for (int last = 0; last < 2; last++) {
        static world_two t;
        forged f;
        channel_pair_open(&t);
        forge(&f);
        forge_section(&f, WISP_RELIABLE, 3, 0);
        forge_fragment(&f, false, last, 200, 200);
        forge_send(&f, &t);
        channel_check_ended(&t, WISP_E_PROTOCOL);
    }
}

TEST(a_fragment_of_no_bytes_or_more_than_there_are_ends_the_session) {
    static const int says[] = { 0, 300, 0xffff };
    for (int i = 0; i < 3; i++) {
        static world_two t;
        forged f;
        channel_pair_open(&t);
        forge(&f);
        forge_section(&f, WISP_RELIABLE, 3, 0);
        forge_fragment(&f, true, true, says[i], i ? 20 : 0);
        forge_send(&f, &t);
        channel_check_ended(&t, WISP_E_PROTOCOL);
    }
}

TEST(a_fragment_outside_reliable_order_ends_the_session) {
    static const int delivery[] = { 0, WISP_UNRELIABLE, WISP_SEQUENCED };
    for (int i = 0; i < 3; i++) {
        static world_two t;
        forged f;
        channel_pair_open(&t);
        forge(&f);
        if (i) forge_section(&f, delivery[i], 3, 0);
        forge_fragment(&f, true, true, 200, 200);
        forge_send(&f, &t);
        channel_check_ended(&t, WISP_E_PROTOCOL);
    }
}

TEST(fragments_that_make_no_message_end_the_session) {
    static world_two t;
    forged f;
    channel_pair_open(&t);
    forge(&f);
    forge_section(&f, WISP_RELIABLE, 3, 0);
    forge_fragment(&f, true, true, 200, 200);
    forge_send(&f, &t);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 0);
    CHECK_EQ_INT(world_last(&t.w, t.server, WISP_LEFT)->result, WISP_E_PROTOCOL);
    world_close(&t.w);
}

TEST(duplicate_fragments_are_taken_once) {
    static world_two t;
    wisp__session *s;
    wisp__channel *lane;
    channel_pair_open(&t);
    for (int i = 0; i < 3; i++) {
        forged f;
        forge(&f);
        forge_section(&f, WISP_RELIABLE, 3, 0);
        forge_fragment(&f, true, false, 200, 200);
        forge_section(&f, WISP_RELIABLE, 3, 8);         /* early: held once */
        forge_fragment(&f, false, false, 230, 230);
        forge_send(&f, &t);
    }
    s = (wisp__session *)wisp__pool_get(&t.server->peers.pool, t.to_client.id);
    if (!CHECK(s != NULL)) return;
    lane = s->peer.channels[3];
    if (!CHECK(lane != NULL)) return;
    CHECK_EQ_INT(lane->in.whole_bytes, 200);
    CHECK_EQ_INT(lane->in.next, WISP_FIRST_NUMBER + 1);
    CHECK_EQ_INT(s->held_bytes, 312 + 26);                     /* the chunk that 230 bytes take */
    check_goes_on(&t);
}

TEST(a_small_fragment_that_is_not_the_last_ends_the_session) {
    static world_two t;
    forged f;
    channel_pair_open(&t);
    forge(&f);
    forge_section(&f, WISP_RELIABLE, 3, 5);
    forge_fragment(&f, true, false, 127, 127);
    forge_send(&f, &t);
    channel_check_ended(&t, WISP_E_PROTOCOL);
}

TEST(a_sequence_beyond_the_window_ends_the_session) {
    static world_two t;
    forged f;
    channel_pair_open(&t);
    forge(&f);
    forge_section(&f, WISP_RELIABLE, 0, 8192);
    forge_fragment(&f, true, false, 200, 200);
    forge_send(&f, &t);
    channel_check_ended(&t, WISP_E_PROTOCOL);
}

TEST(more_out_of_order_than_the_window_holds_ends_the_session) {
    static world_two t;
    forged f;
    world_open(&t.w);
    t.w.desc.limits.window_bytes = 4 * (1352 + 112);    /* the memory of a chunk of 1352 bytes */
    world_two_join(&t);
    world_watch(&t.w, t.server, WISP_LEFT);
    for (uint32_t i = 0; i < 4; i++) {
        forge(&f);
        forge_section(&f, WISP_RELIABLE, 0, 9 + i);
        forge_fragment(&f, true, false, 1000, 1000);
        forge_send(&f, &t);
    }
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    forge(&f);
    forge_section(&f, WISP_RELIABLE, 1, 9);             /* another channel shares the window */
    forge_fragment(&f, true, false, 200, 200);
    forge_send(&f, &t);
    channel_check_ended(&t, WISP_E_PROTOCOL);
}

TEST(a_message_larger_than_the_limit_ends_the_session) {
    static world_two t;
    forged f;
    world_open(&t.w);
    t.w.desc.limits.message_bytes = 4000;      /* a description of a schema may be larger */
    world_two_join(&t);
    world_watch(&t.w, t.server, WISP_LEFT);
    for (uint32_t i = 0; i < 18; i++) {
        forge(&f);
        forge_section(&f, WISP_RELIABLE, 0, i);
        forge_fragment(&f, i == 0, false, 1000, 1000);
        forge_send(&f, &t);
    }
    channel_check_ended(&t, WISP_E_LIMIT);
}

/* --- end to end --- */

enum { BLOBS = 400 };
typedef struct blobs {
    int  sizes[BLOBS];
    int  fired, received;
    bool wrong;
} blobs;

static void blob_fill(uint8_t *bytes, int size) {
    for (int i = 0; i < size; i++) bytes[i] = (uint8_t)(i * 31 + (i >> 8) + size);
}

static void on_blob(wisp_event *event) {
    blobs *b = (blobs *)event->user;
    static uint8_t expect[2 << 20];
    int size = -1;
    const void *bytes = wisp_arg_bytes(event, 0, &size);
    if (b->received >= b->fired || size != b->sizes[b->received]) {
        b->wrong = true;
        return;
    }
    blob_fill(expect, size);
    if (size && memcmp(bytes, expect, (size_t)size) != 0) b->wrong = true;
    b->received++;
}

static wisp_result blob_fire(blobs *b, wisp *from, wisp_peer to, int size) {
    static uint8_t bytes[2 << 20];
    wisp_value value;
    wisp_result result;
    blob_fill(bytes, size);
    value = wisp_bytes(bytes, size);
    result = wisp_fire_values(from, "blob", wisp_to_peer(to), &value, 1);
    if (result == WISP_OK) b->sizes[b->fired++] = size;
    return result;
}

static void blobs_open(world_two *t, blobs *b) {
    memset(b, 0, sizeof *b);
    world_two_join(t);
    wisp_connect_target(t->server, wisp_by_name("blob"), on_blob, b, false);
    wisp_remote_named(t->client, "blob");
    world_run(&t->w, 0.5);
}

static void blobs_close(world_two *t, blobs *b, double seconds) {
    for (double end = t->w.now + seconds; t->w.now < end && b->received < b->fired;)
        world_step(&t->w);
    CHECK_EQ_INT(b->received, b->fired);
    CHECK(!b->wrong);
    CHECK_EQ_INT(world_total(t->server).errors, 0);
    world_close(&t->w);
}

/* One piece is 1104 bytes; a record takes a few more than its content. */
TEST(sizes_around_every_number_of_fragments_come_whole) {
    static world_two t;
    static blobs b;
    world_open(&t.w);
    blobs_open(&t, &b);
    for (int pieces = 0; pieces <= 3; pieces++)
        for (int off = pieces ? -30 : 0; off < 6; off++)
            CHECK_EQ_INT(blob_fire(&b, t.client, t.to_server, pieces * 1104 + off), WISP_OK);
    for (int off = -20; off < 2; off += 3) {
        CHECK_EQ_INT(blob_fire(&b, t.client, t.to_server, 255 * 1104 + off), WISP_OK);
        CHECK_EQ_INT(blob_fire(&b, t.client, t.to_server, 256 * 1104 + off), WISP_OK);
        world_run(&t.w, 0.5);
    }
    blobs_close(&t, &b, 20);
}

TEST(the_largest_message_comes_and_a_larger_one_is_refused) {
    static world_two t;
    static blobs b;
    world_open(&t.w);
    blobs_open(&t, &b);
    CHECK_EQ_INT(blob_fire(&b, t.client, t.to_server, (1 << 20) + 1), WISP_E_TOO_BIG);
    CHECK_EQ_INT(blob_fire(&b, t.client, t.to_server, 1 << 20), WISP_OK);
    CHECK_EQ_INT(blob_fire(&b, t.client, t.to_server, 3), WISP_OK);
    blobs_close(&t, &b, 20);
}

TEST(messages_and_fragments_survive_a_bad_network) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        static world_two t;
        static blobs b;
        uint64_t random = seed;
        world_open(&t.w);
        t.w.bad = true;
        t.w.net.seed = seed;
        t.w.net.latency = 0.01;
        t.w.net.jitter = 0.02;
        t.w.net.duplicate = 0.1;
        t.w.net.reorder = 0.1;
        t.w.net.loss = 0.1;
        blobs_open(&t, &b);
        for (int i = 0; i < 100; i++) {
            int most = test_random_below(&random, 4) ? 200 : 9000;
            CHECK_EQ_INT(blob_fire(&b, t.client, t.to_server, test_random_below(&random, most)),
                         WISP_OK);
            world_step(&t.w);
        }
        blobs_close(&t, &b, 60);
    }
}

/* Both ends of a channel, as if so many items had gone before. */
static void lanes_start_at(world_two *t, int channel, uint32_t sequence) {
    wisp__session *c = (wisp__session *)wisp__pool_get(&t->client->peers.pool, t->to_server.id);
    wisp__session *s = (wisp__session *)wisp__pool_get(&t->server->peers.pool, t->to_client.id);
    wisp__channel *out = wisp__peer_channel(&t->client->base, &c->peer, channel);
    wisp__channel *in = wisp__peer_channel(&t->server->base, &s->peer, channel);
    out->out.base = out->out.next = out->out.lost_from = sequence;
    in->in.next = sequence;
}

TEST(a_channel_outlives_every_wrap_of_its_sequence) {
    for (int e = 1; e < CHANNEL_EDGES; e++) {
        static world_two t;
        static blobs b;
        world_open(&t.w);
        t.w.bad = true;
        t.w.net.seed = (uint64_t)e;
        t.w.net.latency = 0.01;
        t.w.net.jitter = 0.02;
        t.w.net.duplicate = 0.1;
        t.w.net.reorder = 0.1;
        blobs_open(&t, &b);
        lanes_start_at(&t, 0, channel_edges[e] - 100);
        t.w.sims[0].loss = t.w.sims[1].loss = 0.05;
        for (int i = 0; i < 200; i++) {
            CHECK_EQ_INT(blob_fire(&b, t.client, t.to_server, i % 40 ? i : 4000), WISP_OK);
            world_step(&t.w);
        }
        blobs_close(&t, &b, 60);
    }
}

/* Another channel is used for more messages than 16 bits can number. */
TEST(an_idle_channel_goes_on_where_it_was) {
    static world_two t;
    wisp_config config;
    int64_t n = 0;
    world_open(&t.w);
    t.w.unchecked = true;
    world_two_join(&t);
    memset(&config, 0, sizeof config);
    config.channel = WISP_CHANNEL(7);
    wisp_use_config(t.client, &config, "idle");
    world_watch(&t.w, t.server, "idle");
    wisp_remote_named(t.server, "busy");
    CHECK_EQ_INT(world_fire(t.client, "idle", t.to_server, 1), WISP_OK);
    CHECK_EQ_INT(world_fire(t.client, "idle", t.to_server, 2), WISP_OK);
    world_run(&t.w, 0.2);
    for (int step = 0; step < 1000 && n < 70000; step++) {
        while (n < 70000 && world_peer_stats(t.client, t.to_server).queued_messages < 800)
            CHECK_EQ_INT(world_fire(t.client, "busy", t.to_server, n++), WISP_OK);
        world_step(&t.w);
    }
    CHECK_EQ_INT(world_fire(t.client, "idle", t.to_server, 3), WISP_OK);
    world_run(&t.w, 1.0);
    CHECK_EQ_INT(world_remote_stats(t.server, "busy").messages_received, 70000);
    CHECK_EQ_INT(world_count(&t.w, t.server, "idle"), 3);
    CHECK(world_counts_up(&t.w, t.server, "idle", 1));
    world_close(&t.w);
}

/* Loses what the client sends while the world's user points to a positive count. */
static int tap_lose(world *w, int n, wisp_packet *packet) {
    int *left = (int *)w->user;
    if (n != 1 || packet->size < 20 || *left <= 0) return 1;
    --*left;
    return 0;
}

/* A burst whose first packet is lost must fit what the receiver can hold, whatever its limits. */
static void burst(const wisp_limits *server, const wisp_limits *client, int messages, int bytes) {
    static world_two t;
    static blobs b;
    int lose = 0;
    memset(&b, 0, sizeof b);
    world_open(&t.w);
    t.w.tap = tap_lose;
    t.w.user = &lose;
    t.w.desc.limits = *server;
    t.server = world_add(&t.w);
    t.w.desc.limits = *client;
    t.client = world_add(&t.w);
    t.to_server = world_join(&t.w, t.client, t.server);
    t.to_client = world_peer(t.server, 0);
    wisp_connect_target(t.server, wisp_by_name("blob"), on_blob, &b, false);
    wisp_remote_named(t.client, "blob");
    world_run(&t.w, 0.5);
    for (int round = 0; round < 4; round++) {
        lose = 1;
        for (int i = 0; i < messages; i++) {
            int size = bytes + i % 10;
            CHECK_EQ_INT(blob_fire(&b, t.client, t.to_server, size), WISP_OK);
            if (i % 100 == 0) world_step(&t.w);
        }
        world_run(&t.w, 1.0);
        if (round < 3) b.fired = b.received = b.received == b.fired ? 0 : b.received;
        if (b.fired) break;
    }
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    blobs_close(&t, &b, 5);
}

TEST(a_receiver_with_few_bytes_of_window_is_not_overrun) {
    wisp_limits small, plain;
    memset(&small, 0, sizeof small);
    memset(&plain, 0, sizeof plain);
    small.window_bytes = 3000;
    burst(&small, &plain, 60, 500);
    small.window_bytes = 100;
    burst(&small, &plain, 20, 500);
}

TEST(a_sender_with_few_items_of_window_gets_on) {
    wisp_limits small;
    for (int items = 1; items <= 16; items *= 4) {
        memset(&small, 0, sizeof small);
        small.window_items = items;
        burst(&small, &small, 60, 20);
    }
}

TEST(a_receiver_with_fewer_items_of_window_is_not_overrun) {
    wisp_limits small, plain;
    memset(&small, 0, sizeof small);
    memset(&plain, 0, sizeof plain);
    small.window_items = 64;
    burst(&small, &plain, 350, 4);
}

static const test_case tests[] = {
    CASE(an_item_leaves_the_window_when_all_before_it_have_arrived),
    CASE(what_is_held_is_charged_what_it_takes),
    CASE(a_window_takes_its_limit_and_not_one_more),
    CASE(a_window_of_few_items_works),
    CASE(a_push_without_memory_changes_nothing),
    CASE(a_message_is_released_once_by_each_item_that_holds_it),
    CASE(what_is_told_of_numbers_outside_the_window_does_nothing),
    CASE(lost_items_are_found_in_their_order),
    CASE(an_item_that_arrived_is_never_lost_and_one_that_was_lost_may_arrive),
    CASE(a_new_item_in_the_place_of_an_old_one_is_not_taken_for_the_first_lost),
    CASE(random_news_keeps_the_books),
    CASE(turns_are_told_apart_over_every_wrap),
    CASE(what_came_early_is_handed_out_in_order),
    CASE(holding_without_memory_changes_nothing),
    CASE(a_small_window_holds_what_came_early),
    CASE(fragments_of_any_sizes_make_one_message),
    CASE(a_message_begins_anew_after_the_last_fragment),
    CASE(a_second_first_and_a_last_without_first_break_the_rules),
    CASE(a_message_has_a_largest_size_exactly),
    CASE(a_fragment_longer_than_its_packet_is_bad),
    CASE(a_fragment_without_memory_is_told),
    CASE(a_forged_second_first_ends_the_session),
    CASE(a_forged_last_without_first_ends_the_session),
    CASE(a_fragment_of_no_bytes_or_more_than_there_are_ends_the_session),
    CASE(a_fragment_outside_reliable_order_ends_the_session),
    CASE(fragments_that_make_no_message_end_the_session),
    CASE(duplicate_fragments_are_taken_once),
    CASE(a_small_fragment_that_is_not_the_last_ends_the_session),
    CASE(a_sequence_beyond_the_window_ends_the_session),
    CASE(more_out_of_order_than_the_window_holds_ends_the_session),
    CASE(a_message_larger_than_the_limit_ends_the_session),
    CASE(sizes_around_every_number_of_fragments_come_whole),
    CASE(the_largest_message_comes_and_a_larger_one_is_refused),
    CASE(messages_and_fragments_survive_a_bad_network),
    CASE(a_channel_outlives_every_wrap_of_its_sequence),
    CASE(an_idle_channel_goes_on_where_it_was),
    CASE(a_receiver_with_few_bytes_of_window_is_not_overrun),
    CASE(a_sender_with_few_items_of_window_gets_on),
    CASE(a_receiver_with_fewer_items_of_window_is_not_overrun)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
