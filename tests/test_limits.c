/* test_limits.c - the limits of desc.limits that speak of bytes count what the allocator gives

   Each is filled to its edge, by a hostile peer or by a caller, while an allocator counts. What was
   taken since is within 10% of the limit, or of the count where the limit is not reached. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"
#include "support/forged_packets.h"

static ledger edge_memory;      /* of the server */

/* A server whose memory is counted, and a client. `set` changes limits, which the next endpoints
   have too. */
static void edge_open(world_two *t, void (*set)(wisp_limits *limits)) {
    edge_memory = ledger_none();
    memset(t, 0, sizeof *t);
    world_open(&t->w);
    t->w.foreign = true;
    if (set) set(&t->w.desc.limits);
    t->w.desc.memory = ledger_memory(&edge_memory);
    t->server = world_add(&t->w);
    memset(&t->w.desc.memory, 0, sizeof t->w.desc.memory);
    t->client = world_add(&t->w);
    t->to_server = world_join(&t->w, t->client, t->server);
    t->to_client = world_peer(t->server, 0);
    world_run(&t->w, 0.2);
}

/* Is what was taken since `before` within 10% of a count? */
static bool edge_near(int64_t before, double count, const char *text) {
    double taken = (double)(edge_memory.out - before);
    bool near = taken <= 1.1 * count && taken >= 0.9 * count;
    if (!near) printf("  %s: %.0f bytes taken, %.0f counted\n", text, taken, count);
    return near;
}

/* --- messages that wait --- */

static void many_messages(wisp_limits *limits) {
    limits->queue_messages = 1 << 20;
    limits->window_items = 1;
    limits->message_bytes = 100000;
    limits->queue_bytes = 2 << 20;
}

/* The queue of one name, and of 300 names that take turns. */
TEST(queue_bytes_counts_messages_and_their_rings) {
    static const int sizes[] = { 0, 32, 300, 1500, 5000 };
    static char names[300][8];
    for (int n = 0; n < 300; n++) snprintf(names[n], sizeof names[n], "n%d", n);
    for (int i = 0; i < TEST_COUNT(sizes) * 2; i++) {
        static const unsigned char bytes[5000] = { 0 };
        wisp_value value = wisp_bytes(bytes, sizes[i / 2]);
        int count = i % 2 ? 300 : 1;
        world_two t;
        const wisp__session *s;
        wisp_result result = WISP_OK;
        int64_t before;
        edge_open(&t, many_messages);
        for (int n = 0; n < 300; n++) wisp_remote_named(t.server, names[n]);
        for (int n = 0; n < 300; n++) wisp_remote_named(t.client, names[n]);
        world_run(&t.w, 0.2);
        wisp_set_max_batch_size(t.server, 1 << 20);
        s = wisp__session_of(t.server, t.to_client);
        before = edge_memory.out;
        for (int n = 0; result == WISP_OK; n++)
            result = wisp_fire_values(t.server, names[n % count], wisp_to_peer(t.to_client),
                                      &value, sizes[i / 2] > 0);
        CHECK_EQ_INT(result, WISP_E_QUEUE_FULL);
        if (!CHECK(edge_near(before, t.server->base.limits.queue_bytes, "the queue")))
            printf("    %d bytes, %d names, %d counted\n", sizes[i / 2], count, s->queued_bytes);
        CHECK(s->queued_bytes <= t.server->base.limits.queue_bytes);
        world_close(&t.w);
    }
}

/* A peer that claims a window of 512 MiB gets no more than may be queued. */
TEST(the_window_of_a_peer_is_no_larger_than_queue_bytes) {
    world_two t;
    wisp__session *s;
    edge_open(&t, NULL);
    s = wisp__session_of(t.server, t.to_client);
    CHECK_EQ_INT(s->peer.window_bytes, 4 << 20);
    CHECK(wisp__take_abilities(t.server, &s->peer, 13 << 1, 0x1fffffff));
    CHECK_EQ_INT(s->peer.window_bytes, t.server->base.limits.queue_bytes);
    world_close(&t.w);
}

static void small_queue(wisp_limits *limits) {
    limits->message_bytes = 100000;
    limits->queue_bytes = 2 << 20;
}

/* Lets no packet through with bytes that are marked, as those of the first messages are. */
static int edge_no_marked(world *w, int n, wisp_packet *packet) {
    const unsigned char *at = (const unsigned char *)packet->data;
    int run = 0;
    (void)w;
    (void)n;
    for (int i = 0; i < packet->size && run < 64; i++) run = at[i] == 0xee ? run + 1 : 0;
    return run < 64;
}

/* A peer that acks all but the first message of two channels, and says that it has room. */
TEST(queue_bytes_counts_messages_that_are_sent_and_not_acked) {
    unsigned char bytes[405];
    static const char *const names[2] = { "a", "b" };
    world_two t;
    wisp__session *s;
    int64_t before;
    edge_open(&t, small_queue);
    t.client->base.limits.window_bytes = 1 << 29;
    s = wisp__session_of(t.server, t.to_client);
    wisp__take_abilities(t.server, &s->peer, 13 << 1, 0x1fffffff);
    for (int n = 0; n < 2; n++) {
        wisp_config config;
        memset(&config, 0, sizeof config);
        config.channel = WISP_CHANNEL(n);
        CHECK_EQ_INT(wisp_use_config(t.server, &config, names[n]), WISP_OK);
        wisp_remote_named(t.client, names[n]);
    }
    world_run(&t.w, 0.5);
    before = edge_memory.out;
    t.w.tap = edge_no_marked;
    for (int i = 0; i < 5000; i++) {
        wisp_value value = wisp_bytes(bytes, (int)sizeof bytes);
        memset(bytes, i < 2 ? 0xee : i & 127, sizeof bytes);
        wisp_fire_values(t.server, names[i % 2], wisp_to_peer(t.to_client), &value, 1);
        if (i < 2 || i % 4 == 3) world_step(&t.w);
    }
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    CHECK(s->peer.window_used <= t.server->base.limits.queue_bytes);
    CHECK(edge_near(before, s->peer.window_used + s->queued_bytes, "sent messages"));
    world_close(&t.w);
}

/* --- what came out of order --- */

/* Events of no values, `each` in a packet, from a sequence number on. */
static void edge_early(forger *b, int channel, uint32_t ahead, int each) {
    wisp__writer *to = body(b);
    wisp__frame_put(to, WISP__FRAME_SECTION);
    wisp__put(to, WISP_RELIABLE, 2);
    wisp__put(to, (uint64_t)channel, 4);
    wisp__put(to, (WISP_FIRST_NUMBER + ahead) & WISP__LOW_24, 24);
    put_bound(to, 0);
    wisp__put_small(to, 0);
    for (int i = 1; i < each; i++) wisp__put(to, 1, 1);
    send_body(b);
    world_update(&b->t.w, 0);
}

static forger *edge_forger(void (*set)(wisp_limits *limits)) {
    forger *b = (forger *)calloc(1, sizeof *b);
    edge_open(&b->t, set);
    forger_names(b);
    world_run(&b->t.w, 0.1);
    tap_on(&b->out, b->t.client);
    return b;
}

/* One message far ahead in each channel: nothing but rings of 8,192 places. */
TEST(window_bytes_counts_the_rings_of_channels) {
    forger *b = edge_forger(NULL);
    int64_t before = edge_memory.out;
    for (int c = 0; c < WISP__CHANNELS; c++) edge_early(b, c, 8191, 1);
    CHECK(edge_memory.out - before > WISP__CHANNELS * 8192 * (int)sizeof(void *));
    CHECK(edge_near(before, forger_server_side(b)->held_bytes, "rings"));
    CHECK(forger_joined(b));
    forger_close(b);
}

static void small_window(wisp_limits *limits) { limits->window_bytes = 200000; }

/* They are refused when they do not fit, and given back with the last message in them. */
TEST(rings_of_channels_are_bound_and_given_back) {
    forger *b = edge_forger(small_window);
    int c = 0;
    for (; c < WISP__CHANNELS && forger_joined(b); c++) edge_early(b, c, 8191, 1);
    CHECK_EQ_INT(c, 200000 / (8192 * (int)sizeof(void *)) + 1);
    CHECK_EQ_INT(world_results(&b->t.w, b->t.server, WISP_LEFT, WISP_E_PROTOCOL), 1);
    forger_rejoin(b);
    for (uint32_t at = 400; at > 0; at -= 100) edge_early(b, 5, at - 99, 100);
    CHECK(forger_server_side(b)->held_bytes > 400 * 88);
    edge_early(b, 5, 0, 1);
    CHECK_EQ_INT(forger_server_side(b)->held_bytes, 0);
    CHECK_EQ_INT(forger_server_side(b)->peer.channels[5]->in.room, 0);
    CHECK(forger_joined(b));
    forger_close(b);
}

static void half_window(wisp_limits *limits) { limits->window_bytes = 2 << 20; }

/* The smallest messages, in all channels. */
TEST(window_bytes_counts_messages_that_came_early) {
    forger *b = edge_forger(half_window);
    int64_t before = edge_memory.out;
    int most = b->t.server->base.limits.window_bytes;
    for (int c = 0; c < WISP__CHANNELS; c++)
        for (uint32_t at = 1; at + 300 <= 8192; at += 300) {
            if (forger_server_side(b)->held_bytes > most - 300 * 112 - 65536) break;
            edge_early(b, c, at, 300);
        }
    CHECK(forger_joined(b));
    CHECK(forger_server_side(b)->held_bytes > most - (most >> 4));
    CHECK(edge_near(before, forger_server_side(b)->held_bytes, "early messages"));
    forger_close(b);
}

static void small_messages(wisp_limits *limits) { limits->message_bytes = 200000; }

/* A large message that never ends, in each channel. */
TEST(message_bytes_counts_what_is_put_together_in_each_channel) {
    enum { PIECES = 182 };
    forger *b = edge_forger(small_messages);
    int64_t before = edge_memory.out;
    for (int c = 0; c < WISP__CHANNELS; c++)
        for (uint32_t i = 0; i < PIECES; i++) {
            wisp__writer *to = body(b);
            wisp__frame_put(to, WISP__FRAME_SECTION);
            wisp__put(to, WISP_RELIABLE, 2);
            wisp__put(to, (uint64_t)c, 4);
            wisp__put(to, (WISP_FIRST_NUMBER + i) & WISP__LOW_24, 24);
            put_fragment(to, i == 0, 0, 1100);
            to->at += 1100 * 8;
            send_body(b);
            world_update(&b->t.w, 0);
            if (i % 20 == 0) world_run(&b->t.w, 0.05);
        }
    CHECK(forger_joined(b));
    CHECK(edge_near(before, 200000.0 * WISP__CHANNELS, "large messages"));
    forger_close(b);
}

/* --- what middleware holds --- */

static void many_held(wisp_limits *limits) { limits->held_messages = 1 << 20; }

static wisp_result edge_hold(wisp_event *event) {
    (void)event;
    return WISP_HOLD;
}

TEST(held_bytes_counts_messages_that_are_held) {
    for (int size = 0; size <= 700; size += 350) {
        static const unsigned char bytes[700] = { 0 };
        wisp_value value = wisp_bytes(bytes, size);
        wisp_middleware m;
        wisp_result result = WISP_OK;
        world_two t;
        int64_t before;
        edge_open(&t, many_held);
        memset(&m, 0, sizeof m);
        m.name = "hold";
        m.outbound = edge_hold;
        CHECK_EQ_INT(wisp_use(t.server, &m), WISP_OK);
        wisp_remote_named(t.server, "r");
        world_run(&t.w, 0.2);
        before = edge_memory.out;
        while (result == WISP_OK)
            result = wisp_fire_values(t.server, "r", wisp_to_peer(t.to_client), &value, size > 0);
        CHECK_EQ_INT(result, WISP_E_LIMIT);
        CHECK(edge_near(before, t.server->base.limits.held_bytes, "held messages"));
        world_close(&t.w);
    }
}

/* --- answers that are kept --- */

static void edge_answer(wisp_event *event) {
    static const unsigned char bytes[900] = { 0 };
    wisp_value value = wisp_bytes(bytes, sizeof bytes);
    wisp_reply_values(event, &value, 1);
}

/* Calls that are never settled. */
TEST(queue_bytes_counts_answers_that_are_kept) {
    enum { CALLS = 4000, EACH = 20 };
    forger *b = edge_forger(small_queue);
    wisp__session *s = forger_server_side(b);
    int64_t before = edge_memory.out;
    wisp_on_invoke_target(b->t.server, wisp_by_name("hp"), edge_answer, NULL);
    for (int i = 0; i < CALLS; i += EACH) {
        wisp__writer *to = body(b);
        put_section(to, WISP_UNRELIABLE, 0);
        for (int k = i; k < i + EACH; k++) {
            wisp__frame_put(to, WISP__FRAME_INVOKE);
            wisp__put_length(to, 0);
            wisp__put(to, (s->request_floor + (uint32_t)k) & WISP__LOW_24, 24);
            wisp__put_small(to, (uint64_t)k);
            wisp__put(to, 1, 1);
            wisp__put_small(to, 0);
        }
        send_body(b);
        world_run(&b->t.w, 0.05);
    }
    world_run(&b->t.w, 5);
    CHECK(forger_joined(b));
    CHECK_EQ_INT(s->queued, 0);
    CHECK(s->kept_bytes > (2 << 20) - 100000);
    CHECK(edge_near(before, 2 << 20, "answers"));
    forger_close(b);
}

/* --- schemas --- */

enum { EDGE_PLANS = 90, EDGE_OPTIONS = 60 };

/* An enum of names that no other plan has. */
typedef struct edge_plan {
    char        names[EDGE_OPTIONS][32], name[16];
    const char *list[EDGE_OPTIONS];
    wisp_field  field;
    wisp_schema schema;
} edge_plan;

static edge_plan edge_plans[EDGE_PLANS];

static void edge_plans_make(void) {
    static const wisp_field field = WISP_MAP_FIELD("e", WISP_T_BOOL);
    for (int i = 0; i < EDGE_PLANS; i++) {
        edge_plan *p = &edge_plans[i];
        memset(p, 0, sizeof *p);
        snprintf(p->name, sizeof p->name, "plan%d", i % 100);
        for (int k = 0; k < EDGE_OPTIONS; k++) {
            snprintf(p->names[k], sizeof p->names[k], "option number %d of %d", k % 100, i % 100);
            p->list[k] = p->names[k];
        }
        p->field = field;
        p->field.type.kind = WISP_TYPE_ENUM;
        p->field.type.max = EDGE_OPTIONS;
        p->field.type.of = p->list;
        p->schema.name = p->name;
        p->schema.version = 1;
        p->schema.fields = &p->field;
        p->schema.count = 1;
        p->schema.shape = WISP_SHAPE_MAP;
    }
}

/* The client says something of some of the plans; returns how many the server can read by now. */
static int edge_say(world *w, wisp *from, int first, int count) {
    int known = 0;
    wisp_peer to = { UINT32_MAX };
    for (int i = first; i < first + count; i++) use_schema(from, edge_plans[i].name,
                                                           &edge_plans[i].schema);
    for (int round = 0; round < 2; round++, world_run(w, 1))
        for (int i = first; i < first + count; i++) {
            wisp_pair pair = { "e", wisp_string(edge_plans[i].list[3]) };
            wisp_value map = wisp_map(&pair, 1);
            known += wisp_fire_values(from, edge_plans[i].name, wisp_to_peer(to), &map, 1) ==
                     WISP_OK && round > 0;
        }
    return known;
}

static void small_schemas(wisp_limits *limits) {
    limits->schema_bytes = 200000;
    limits->schema_bytes_all = 400000;
}

TEST(schema_bytes_counts_what_a_peer_describes) {
    world_two t;
    const wisp__session *s;
    int64_t before;
    edge_plans_make();
    edge_open(&t, small_schemas);
    s = wisp__session_of(t.server, t.to_client);
    for (int i = 0; i < EDGE_PLANS; i++) wisp_remote_named(t.server, edge_plans[i].name);
    world_run(&t.w, 0.5);
    before = edge_memory.out;
    CHECK(edge_say(&t.w, t.client, 0, EDGE_PLANS) < EDGE_PLANS);
    CHECK(s->schema_bytes > 180000);
    CHECK(edge_near(before, s->schema_bytes, "schemas"));
    world_close(&t.w);
}

/* Two peers fill what is for all. A third still has its share, and what others have described; the
   room comes back. */
TEST(schemas_of_all_peers_are_bound_and_each_has_a_share) {
    world_two t;
    wisp *end[3];
    int known[3];
    int64_t before;
    edge_plans_make();
    edge_open(&t, small_schemas);
    end[0] = t.client;
    for (int i = 0; i < EDGE_PLANS; i++) wisp_remote_named(t.server, edge_plans[i].name);
    for (int i = 1; i < 3; i++) {
        end[i] = world_add(&t.w);
        world_join(&t.w, end[i], t.server);
    }
    world_run(&t.w, 0.5);
    t.server->peers.max_peers = 10;          /* shares of 20,000 bytes */
    before = edge_memory.out;
    known[0] = edge_say(&t.w, end[0], 0, 60);
    known[1] = edge_say(&t.w, end[1], 30, 50);
    CHECK(known[0] < 60);
    CHECK(known[1] < 50 && known[1] > known[0] - 30);       /* some more, by its share */
    known[2] = edge_say(&t.w, end[2], 80, 10);
    CHECK(known[2] > 0 && known[2] < 10);
    CHECK(t.server->registry.schemas.learnt <= 400000);
    CHECK(edge_near(before, (double)t.server->registry.schemas.learnt, "schemas of all"));
    wisp__schemas_check(&t.server->registry.schemas);
    for (int i = 0; i < 3; i++) wisp_leave(end[i], wisp_server(), "");
    world_run(&t.w, 3);
    CHECK_EQ_INT((int64_t)t.server->registry.schemas.learnt, 0);
    world_close(&t.w);
}

/* --- baselines --- */

typedef struct edge_state { uint16_t id; uint8_t bytes[500]; } edge_state;
static const wisp_field edge_state_fields[] = {
    WISP_KEY_FIELD(edge_state, id, WISP_T_UINT16),
    WISP_FIELD(edge_state, bytes, WISP_T_BYTES(500)),
};
static const wisp_schema edge_state_schema = WISP_SCHEMA(edge_state, 1, edge_state_fields);

static void many_keys(wisp_limits *limits) {
    limits->keys = 5000;
    limits->baseline_bytes = 1 << 20;
}

/* More keys and values than have room, in both directions. The other end has more room. */
TEST(baseline_bytes_counts_keys_and_values) {
    for (int in = 0; in < 2; in++) {
        world_two t;
        wisp *from, *to;
        edge_state state;
        wisp_value value = wisp_struct(&edge_state_schema, &state);
        int64_t before;
        edge_open(&t, many_keys);
        t.client->base.limits.baseline_bytes = 100 << 20;
        from = in ? t.client : t.server;
        to = in ? t.server : t.client;
        memset(&state, 0, sizeof state);
        for (int side = 0; side < 2; side++) {
            wisp *end = side ? to : from;
            wisp_use_delta(end, &edge_state_schema, "state");
            wisp_set_unreliable(end, "state", true);
        }
        world_run(&t.w, 0.5);
        before = edge_memory.out;
        for (int i = 0; i < 5000; i++) {
            state.id = (uint16_t)(i % 1700);
            memset(state.bytes, i, sizeof state.bytes);
            wisp_fire_values(from, "state", wisp_to_peer(in ? t.to_server : t.to_client), &value,
                             1);
            if (i % 10 == 9) world_step(&t.w);
        }
        world_run(&t.w, 2);
        CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
        CHECK(edge_near(before, t.server->base.limits.baseline_bytes, "baselines"));
        world_close(&t.w);
    }
}

static const test_case tests[] = {
    CASE(queue_bytes_counts_messages_and_their_rings),
    CASE(the_window_of_a_peer_is_no_larger_than_queue_bytes),
    CASE(queue_bytes_counts_messages_that_are_sent_and_not_acked),
    CASE(window_bytes_counts_the_rings_of_channels),
    CASE(rings_of_channels_are_bound_and_given_back),
    CASE(window_bytes_counts_messages_that_came_early),
    CASE(message_bytes_counts_what_is_put_together_in_each_channel),
    CASE(held_bytes_counts_messages_that_are_held),
    CASE(queue_bytes_counts_answers_that_are_kept),
    CASE(schema_bytes_counts_what_a_peer_describes),
    CASE(schemas_of_all_peers_are_bound_and_each_has_a_share),
    CASE(baseline_bytes_counts_keys_and_values)
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
