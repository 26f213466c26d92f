/* test_message_delta.c - deltas between two ends, over links that lose, double and reorder */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/watched_memory_and_link.h"
#include "support/simulated_endpoints.h"

/* --- values to send, of each kind --- */

typedef struct actor {
    uint16_t id;
    int16_t  hp;
    float    x, y;
    char     name[13];
    int      count;
    int32_t  bag[8];
} actor;

static const wisp_type delta_number_type = WISP_T_INT32, text_type = WISP_T_STRING(12);

static const wisp_field actor_fields[] = {
    WISP_KEY_FIELD(actor, id, WISP_T_RANGE(0, 999)),
    WISP_FIELD(actor, hp, WISP_T_RANGE(-100, 100)),
    WISP_FIELD(actor, x, WISP_T_FLOAT),
    WISP_FIELD(actor, y, WISP_T_FLOAT),
    WISP_FIELD(actor, name, WISP_T_STRING(12)),
    WISP_COUNTED_FIELD(actor, bag, count, WISP_T_ARRAY(&delta_number_type, 8)),
};
static const wisp_schema actor_schema = WISP_SCHEMA(actor, 1, actor_fields);

static const wisp_field pack_fields[] = {
    WISP_KEY_MAP_FIELD("id", WISP_T_RANGE(0, 999)),
    WISP_MAP_FIELD("hp", WISP_T_RANGE(-100, 100)),
    WISP_MAYBE_MAP_FIELD("name", WISP_T_STRING(12)),
    WISP_MAP_FIELD("tags", WISP_T_ARRAY(&text_type, 8)),
};
static const wisp_schema pack_schema = WISP_MAP_SCHEMA("pack", 1, pack_fields);

static const wisp_field plain_fields[] = {
    WISP_MAP_FIELD("hp", WISP_T_RANGE(-100, 100)),
    WISP_MAP_FIELD("x", WISP_T_QUANTIZED(-100, 100, 0.5)),
    WISP_MAP_FIELD("y", WISP_T_UINT32),
};
static const wisp_schema plain_schema = WISP_MAP_SCHEMA("plain", 1, plain_fields);

typedef enum thing_shape { ACTOR, PACK, DELTA_PLAIN, TREE, LIST, SHAPES } thing_shape;

static const wisp_schema *const shape_schemas[SHAPES] = {
    &actor_schema, &pack_schema, &plain_schema, NULL, NULL
};

static bool shape_keyed(thing_shape s) { return s == ACTOR || s == PACK; }

enum { KEYS = 24, ITEMS = 8 };

/* One changing thing: the same memory is changed and fired again and again. */
typedef struct thing {
    actor      as;
    char       texts[ITEMS][16];
    int        numbers[ITEMS];
    wisp_pair  pairs[ITEMS + 2];
    wisp_value items[ITEMS + 1], tags[ITEMS];
} thing;

static thing things[KEYS];

static void things_start(void) {
    memset(things, 0, sizeof things);
    for (int k = 0; k < KEYS; k++) {
        things[k].as.id = (uint16_t)k;
        strcpy(things[k].as.name, "thing");
        for (int i = 0; i < ITEMS; i++) snprintf(things[k].texts[i], 16, "text %d", i & 7);
    }
}

static void thing_change(thing *t, uint64_t *seed) {
    int i = test_random_below(seed, ITEMS);
    switch (test_random_below(seed, 7)) {
    case 0: t->as.hp = (int16_t)(test_random_below(seed, 201) - 100); break;
    case 1: t->as.x += 0.5f; break;
    case 2: t->as.y = (float)test_random_below(seed, 1000) / 8.0f; break;
    case 3: snprintf(t->as.name, 13, "name %d", test_random_below(seed, 1000)); break;
    case 4: t->as.count = test_random_below(seed, ITEMS + 1); break;
    case 5: t->as.bag[i] += test_random_below(seed, 100) - 20; break;
    default: snprintf(t->texts[i], 12, "t%d", test_random_below(seed, 100000)); break;
    }
    t->numbers[i] += test_random_below(seed, 40) - 20;
}

static wisp_value pack_value(thing *t) {
    static const char *const names[] = { "id", "hp", "tags", "name" };
    for (int i = 0; i < t->as.count; i++) t->tags[i] = wisp_string(t->texts[i]);
    for (int i = 0; i < 4; i++) t->pairs[i].key = names[i];
    t->pairs[0].value = wisp_int(t->as.id);
    t->pairs[1].value = wisp_int(t->as.hp);
    t->pairs[2].value = wisp_array(t->tags, t->as.count);
    t->pairs[3].value = wisp_string(t->as.name);
    return wisp_map(t->pairs, t->as.hp & 1 ? 3 : 4);
}

static wisp_value plain_value(thing *t) {
    static const char *const names[] = { "y", "hp", "x" };
    for (int i = 0; i < 3; i++) t->pairs[i].key = names[i];
    t->pairs[0].value = wisp_uint((uint64_t)(t->as.y * 8.0f));
    t->pairs[1].value = wisp_int(t->as.hp);
    t->pairs[2].value = wisp_number((double)(t->numbers[0] % 100) / 2.0);
    return wisp_map(t->pairs, 3);
}

/* Keys come and go, in another order each time, and change their kind. */
static wisp_value tree_value(thing *t) {
    static const char *const names[] = { "a", "bb", "hp", "mp", "name", "z", "y", "list" };
    int count = 0;
    for (int k = 0; k < ITEMS; k++) {
        int i = (k + t->as.hp + 100) % ITEMS;
        if (t->numbers[i] % 5 == 4) continue;
        t->pairs[count].key = names[i];
        t->pairs[count].value = t->numbers[i] % 3 ? wisp_int(t->numbers[i])
                                                  : wisp_string(t->texts[i]);
        if (i == 7) t->pairs[count].value = pack_value(&things[KEYS - 1]);
        count++;
    }
    return wisp_map(t->pairs, count);
}

static wisp_value list_value(thing *t) {
    for (int i = 0; i < t->as.count; i++)
        t->items[i] = i & 1 ? wisp_int(t->numbers[i]) : wisp_string(t->texts[i]);
    return wisp_array(t->items, t->as.count);
}

static wisp_value thing_value(thing_shape s, thing *t) {
    switch (s) {
    case ACTOR: return wisp_struct(&actor_schema, &t->as);
    case PACK: return pack_value(t);
    case DELTA_PLAIN: return plain_value(t);
    case TREE: return tree_value(t);
    default: return list_value(t);
    }
}

/* --- what was sent, and what came of it --- */

enum { SENT_MAX = 4000 };

typedef struct diary {
    world   *w;
    uint64_t sent[KEYS][SENT_MAX];        /* hashes */
    int      count[KEYS];
    int      at[WORLD_ENDS][KEYS];        /* what each end had last: its place above + 1 */
    int      got, unknown, older, repeated, errors;
    wisp_result error;                    /* the last */
} diary;

static diary book;

static int value_key(const wisp_value *value) {
    const wisp_value *id = value->kind == WISP_MAP || value->kind == WISP_STRUCT
                               ? wisp_field_of(value, "id") : NULL;
    int64_t key = id && id->kind == WISP_INT ? id->as.integer
                : id && id->kind == WISP_UINT ? (int64_t)id->as.uinteger : 0;
    return key >= 0 && key < KEYS ? (int)key : 0;
}

static void on_value(wisp_event *event) {
    const wisp_value *value = event->count ? &event->args[0] : NULL;
    int end = world_index(book.w, event->w), key = value ? value_key(value) : 0;
    uint64_t hash = value ? wisp_hash(value) : 0;
    book.got++;
    if (end < 0) return;
    for (int i = book.at[end][key]; i < book.count[key]; i++) {
        if (book.sent[key][i] != hash) continue;
        book.at[end][key] = i + 1;
        return;
    }
    for (int i = book.at[end][key] - 1; i >= 0; i--) {
        if (book.sent[key][i] != hash) continue;
        if (i == book.at[end][key] - 1) book.repeated++;
        else book.older++;
        return;
    }
    book.unknown++;
}

static void on_error(wisp_event *event) {
    book.errors++;
    book.error = event->result;
}

static void book_open(world *w) {
    memset(&book, 0, sizeof book);
    book.w = w;
    things_start();
}

static void book_sent(int key, const wisp_value *value) {
    if (CHECK(book.count[key] < SENT_MAX)) book.sent[key][book.count[key]++] = wisp_hash(value);
}

/* Has an end the last of every key? An equal value may have been sent more than once. */
static bool book_ends(int end) {
    bool all = true;
    for (int k = 0; k < KEYS; k++) {
        int n = book.count[k], at = book.at[end][k];
        all = all && (n == 0 || (at > 0 && book.sent[k][at - 1] == book.sent[k][n - 1]));
    }
    return all;
}

static void book_watch(wisp *end, const char *name) {
    wisp_connect_target(end, wisp_by_name(name), on_value, NULL, false);
    wisp_connect_target(end, wisp_by_name(WISP_ERROR), on_error, NULL, false);
}

static void check_book(const char *what) {
    bool good = CHECK_EQ_INT(book.unknown, 0);
    good = CHECK_EQ_INT(book.older, 0) && good;
    good = CHECK_EQ_INT(book.repeated, 0) && good;
    good = CHECK_EQ_INT(book.errors, 0) && good;
    if (!good) printf("    %s: the last error was %d\n", what, (int)book.error);
}

/* Fires a thing to a peer (or to all: 0), and writes it down. */
static wisp_result fire_thing(wisp *from, wisp_peer to, thing_shape s, int key) {
    wisp_value value = thing_value(s, &things[key]);
    wisp_result result = wisp_fire_values(from, "v", to.id ? wisp_to_peer(to) : wisp_to_all(),
                                          &value, 1);
    if (!result) book_sent(shape_keyed(s) ? key : 0, &value);
    return result;
}

/* --- two ends over a link --- */

typedef struct flow {
    thing_shape   shape;
    wisp_delivery delivery;
    bool          sync, adaptive, reliable_link;
    double        loss, latency, jitter;
    uint64_t      seed;
    int           keys, steps, per_step;
    bool          refusals;           /* a fire may be refused for the limit of keys */
} flow;

static void flow_net(world *w, const flow *f) {
    world_open(w);
    w->step = 1.0 / 60;
    w->pipe.reliable = f->reliable_link;
    if (f->reliable_link) return;
    w->bad = true;
    w->net.loss = f->loss;
    w->net.latency = f->latency;
    w->net.jitter = f->jitter;
    w->net.reorder = f->loss > 0 ? 0.1 : 0;
    w->net.duplicate = f->loss > 0 ? 0.1 : 0;
    w->net.seed = f->seed * 100 + 1;
}

static void flow_settings(wisp *end, const flow *f, bool receiver) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.delivery = f->delivery;
    config.encode.adaptive = f->adaptive ? WISP_ON : 0;
    CHECK_EQ_INT(wisp_use_config(end, &config, "v"), WISP_OK);
    CHECK_EQ_INT(wisp_use_delta(end, shape_schemas[f->shape], "v"), WISP_OK);
    if (f->sync) CHECK_EQ_INT(wisp_enable_delta_sync(end, "v"), WISP_OK);
    if (receiver) book_watch(end, "v");
}

static void flow_join(world_two *t, const flow *f) {
    book_open(&t->w);
    t->server = world_add(&t->w);
    t->client = world_add(&t->w);
    flow_settings(t->server, f, true);
    flow_settings(t->client, f, false);
    wisp_connect_target(t->client, wisp_by_name(WISP_ERROR), on_error, NULL, false);
    t->to_server = world_join(&t->w, t->client, t->server);
    t->to_client = world_peer(t->server, 0);
}

static void flow_run(world_two *t, const flow *f) {
    uint64_t seed = f->seed;
    for (int i = 0; i < f->steps; i++) {
        for (int n = 0; n < f->per_step; n++) {
            int key = test_random_below(&seed, f->keys);
            wisp_result result;
            thing_change(&things[key], &seed);
            result = fire_thing(t->client, t->to_server, f->shape, key);
            if (result != WISP_E_LIMIT || !f->refusals) CHECK_EQ_INT(result, WISP_OK);
        }
        world_step(&t->w);
    }
}

static const char *flow_text(const flow *f) {
    static char text[160];
    snprintf(text, sizeof text, "shape %d delivery %d sync %d adaptive %d reliable %d loss %g "
             "latency %g seed %d", (int)f->shape, f->delivery, f->sync, f->adaptive,
             f->reliable_link, f->loss, f->latency, (int)f->seed);
    return text;
}

static void flow_check(world_two *t, const flow *f) {
    world_run(&t->w, 3);
    check_book(flow_text(f));
    if (!CHECK(book_ends(0))) printf("    %s\n", flow_text(f));
    CHECK(book.got > 0);
}

static void flow_all(const flow *f) {
    world_two t;
    memset(&t, 0, sizeof t);
    flow_net(&t.w, f);
    flow_join(&t, f);
    flow_run(&t, f);
    flow_check(&t, f);
    if (f->delivery == WISP_RELIABLE)         /* every change is an event */
        CHECK_EQ_INT(book.got + (int)world_remote_stats(t.client, "v").unchanged,
                     f->steps * f->per_step);
    world_close(&t.w);
}

static flow flow_of(thing_shape s, wisp_delivery delivery) {
    flow f;
    memset(&f, 0, sizeof f);
    f.shape = s;
    f.delivery = delivery;
    f.seed = 1;
    f.steps = 120;
    f.per_step = 2;
    f.keys = shape_keyed(s) ? 8 : 1;
    f.latency = 0.03;
    return f;
}

TEST(values_of_every_shape_arrive_over_every_delivery) {
    for (int s = 0; s < SHAPES; s++)
        for (int d = WISP_RELIABLE; d <= WISP_SEQUENCED; d++) {
            flow f = flow_of((thing_shape)s, d);
            flow_all(&f);
        }
}

TEST(under_loss_what_arrives_was_sent_and_grows_newer_until_the_last) {
    for (int s = 0; s < SHAPES; s++)
        for (int d = WISP_RELIABLE; d <= WISP_UNRELIABLE; d++)
            for (uint64_t seed = 1; seed <= 3; seed++) {
                flow f = flow_of((thing_shape)s, d);
                f.loss = 0.3;
                f.jitter = 0.02;
                f.seed = seed;
                f.sync = seed == 2;
                f.adaptive = seed == 3;
                flow_all(&f);
            }
}

TEST(under_loss_sequenced_values_end_with_the_last_of_every_key) {
    for (int s = 0; s < SHAPES; s++)
        for (uint64_t seed = 1; seed <= 2; seed++) {
            flow f = flow_of((thing_shape)s, WISP_SEQUENCED);
            f.loss = 0.3;
            f.jitter = 0.02;
            f.seed = seed;
            flow_all(&f);
        }
}

TEST(over_a_reliable_link_the_last_value_sent_is_the_base_of_all_deliveries) {
    for (int s = 0; s < SHAPES; s++)
        for (int d = WISP_RELIABLE; d <= WISP_SEQUENCED; d++) {
            flow f = flow_of((thing_shape)s, d);
            f.reliable_link = true;
            f.adaptive = d == WISP_UNRELIABLE;
            flow_all(&f);
        }
}

/* The acked value is about to leave the ring, or has left it: nothing of that is an error. */
TEST(long_round_trips_make_no_errors) {
    static const double latencies[] = { 0.08, 0.1, 0.115, 0.13, 0.3 };
    for (int i = 0; i < 5; i++)
        for (int loss = 0; loss < 2; loss++) {
            flow f = flow_of(DELTA_PLAIN, WISP_UNRELIABLE);
            f.latency = latencies[i];
            f.jitter = 0.03;
            f.per_step = 1;
            f.steps = 240;
            f.loss = loss ? 0.1 : 0;
            flow_all(&f);
        }
}

TEST(many_changes_in_one_frame_all_arrive_in_order) {
    flow f = flow_of(DELTA_PLAIN, WISP_RELIABLE);
    world_two t;
    memset(&t, 0, sizeof t);
    flow_net(&t.w, &f);
    flow_join(&t, &f);
    for (int n = 0; n < 3; n++) {
        for (int i = 0; i < 100; i++) {
            things[0].as.hp = (int16_t)(i - 50);        /* alike: each a step up from the last */
            fire_thing(t.client, t.to_server, DELTA_PLAIN, 0);
        }
        world_run(&t.w, 0.5);
    }
    CHECK_EQ_INT(book.got, 300);
    flow_check(&t, &f);
    world_close(&t.w);
}

/* --- what goes over the wire, and what does not --- */

TEST(an_unchanged_value_is_not_sent) {
    for (int s = 0; s < SHAPES; s++)
        for (int d = WISP_RELIABLE; d <= WISP_SEQUENCED; d++) {
            flow f = flow_of((thing_shape)s, d);
            world_two t;
            uint64_t bytes;
            memset(&t, 0, sizeof t);
            flow_net(&t.w, &f);
            flow_join(&t, &f);
            fire_thing(t.client, t.to_server, f.shape, 0);
            world_run(&t.w, 1);
            bytes = world_peer_stats(t.client, t.to_server).bytes_sent;
            for (int i = 0; i < 30; i++) {
                CHECK_EQ_INT(fire_thing(t.client, t.to_server, f.shape, 0), WISP_OK);
                world_step(&t.w);
            }
            CHECK_EQ_INT(world_peer_stats(t.client, t.to_server).bytes_sent, bytes);
            CHECK_EQ_INT(world_remote_stats(t.client, "v").unchanged, 30);
            CHECK_EQ_INT(world_remote_stats(t.client, "v").messages_sent, 1);
            CHECK_EQ_INT(book.got, 1);
            world_close(&t.w);
        }
}

TEST(one_small_change_takes_three_bytes_of_payload_at_most) {
    flow f = flow_of(DELTA_PLAIN, WISP_RELIABLE);
    world_two t;
    uint64_t before;
    memset(&t, 0, sizeof t);
    flow_net(&t.w, &f);
    flow_join(&t, &f);
    things[0].as.y = 500;
    fire_thing(t.client, t.to_server, DELTA_PLAIN, 0);
    world_run(&t.w, 0.5);
    for (int hp = 100; hp > 0; hp -= 7) {
        before = world_remote_stats(t.client, "v").bits_sent;
        things[0].as.hp = (int16_t)hp;
        fire_thing(t.client, t.to_server, DELTA_PLAIN, 0);
        world_run(&t.w, 0.1);
        CHECK(world_remote_stats(t.client, "v").bits_sent - before <= 24);
    }
    flow_check(&t, &f);
    world_close(&t.w);
}

TEST(a_removed_key_travels) {
    for (int d = WISP_RELIABLE; d <= WISP_UNRELIABLE; d++) {
        flow f = flow_of(TREE, d);
        world_two t;
        wisp_pair pairs[2] = { { "keep", wisp_int(1) }, { "gone", wisp_int(2) } };
        memset(&t, 0, sizeof t);
        flow_net(&t.w, &f);
        flow_join(&t, &f);
        for (int count = 2; count >= 0; count--) {
            wisp_value value = wisp_map(pairs, count);
            wisp_fire_values(t.client, "v", wisp_to_peer(t.to_server), &value, 1);
            book_sent(0, &value);
            world_run(&t.w, 0.3);
            CHECK(book_ends(0));
        }
        check_book("removed");
        world_close(&t.w);
    }
}

/* Loses what an end sends while its number is set. */
static int tap_deaf(world *w, int n, wisp_packet *packet) {
    (void)packet;
    return *(const int *)w->user == n ? 0 : 1;
}

TEST(the_only_value_arrives_although_its_packet_is_lost) {
    for (int d = WISP_RELIABLE; d <= WISP_SEQUENCED; d++) {
        flow f = flow_of(ACTOR, d);
        world_two t;
        int deaf = -1;
        memset(&t, 0, sizeof t);
        flow_net(&t.w, &f);
        flow_join(&t, &f);
        t.w.tap = tap_deaf;
        t.w.user = &deaf;
        fire_thing(t.client, t.to_server, ACTOR, 0);
        deaf = 1;
        world_run(&t.w, 0.2);
        deaf = -1;
        flow_check(&t, &f);
        CHECK_EQ_INT(book.got, 1);
        world_close(&t.w);
    }
}

TEST(an_end_that_learns_a_name_late_gets_the_value_that_is_fired_again) {
    for (int d = WISP_RELIABLE; d <= WISP_UNRELIABLE; d++) {
        flow f = flow_of(TREE, d);
        world_two t;
        memset(&t, 0, sizeof t);
        flow_net(&t.w, &f);
        book_open(&t.w);
        t.server = world_add(&t.w);
        t.client = world_add(&t.w);
        flow_settings(t.client, &f, false);
        t.to_server = world_join(&t.w, t.client, t.server);
        fire_thing(t.client, t.to_server, TREE, 0);           /* nobody knows it over there */
        world_run(&t.w, 0.5);
        flow_settings(t.server, &f, true);
        world_run(&t.w, 0.5);
        CHECK_EQ_INT(fire_thing(t.client, t.to_server, TREE, 0), WISP_OK);
        world_run(&t.w, 0.5);
        CHECK_EQ_INT(book.got, 1);
        CHECK(book_ends(0));
        world_close(&t.w);
    }
}

/* So many that the number which a value carries does not say any more which it is. */
TEST(thousands_of_lost_values_do_not_hide_the_last) {
    static const int lost[] = { 1000, 2047, 2100, 3000 };
    for (int i = 0; i < 4; i++) {
        flow f = flow_of(DELTA_PLAIN, WISP_UNRELIABLE);
        world_two t;
        int deaf = -1;
        uint64_t seed = 3;
        memset(&t, 0, sizeof t);
        flow_net(&t.w, &f);
        t.w.desc.limits.queue_messages = 10000;
        flow_join(&t, &f);
        fire_thing(t.client, t.to_server, DELTA_PLAIN, 0);
        world_run(&t.w, 0.5);
        t.w.tap = tap_deaf;
        t.w.user = &deaf;
        deaf = 1;
        for (int k = 0; k < lost[i]; k++) {
            thing_change(&things[0], &seed);
            things[0].as.hp = (int16_t)(k % 200 - 100);
            fire_thing(t.client, t.to_server, DELTA_PLAIN, 0);
            if (k % 20 == 19) world_step(&t.w);
        }
        deaf = -1;
        things[0].as.hp = 77;
        fire_thing(t.client, t.to_server, DELTA_PLAIN, 0);
        world_run(&t.w, 5);
        if (!CHECK(book_ends(0))) printf("    %d lost\n", lost[i]);
        CHECK_EQ_INT(book.unknown + book.older, 0);
        world_close(&t.w);
    }
}

TEST(a_long_list_goes_as_deltas_again_and_again) {
    enum { COUNT = 40000 };
    static wisp_value items[COUNT];
    flow f = flow_of(LIST, WISP_RELIABLE);
    world_two t;
    memset(&t, 0, sizeof t);
    flow_net(&t.w, &f);
    flow_join(&t, &f);
    for (int i = 0; i < COUNT; i++) items[i] = wisp_int(i & 15);
    for (int n = 0; n < 4; n++) {
        wisp_value value = wisp_array(items, n == 1 ? COUNT - 10000 : COUNT);
        items[n * 17].as.integer++;
        CHECK_EQ_INT(wisp_fire_values(t.client, "v", wisp_to_peer(t.to_server), &value, 1),
                     WISP_OK);
        book_sent(0, &value);
        if (n & 1) world_run(&t.w, 2);
    }
    flow_check(&t, &f);
    CHECK_EQ_INT(book.got, 4);
    world_close(&t.w);
}

/* --- keys --- */

TEST(more_keys_than_the_limit_give_way_to_each_other_and_stay_right) {
    for (int d = WISP_RELIABLE; d <= WISP_SEQUENCED; d++)
        for (int loss = 0; loss < 2; loss++) {
            flow f = flow_of(ACTOR, d);
            world_two t;
            f.keys = KEYS;
            f.refusals = d != WISP_RELIABLE;
            f.loss = loss ? 0.3 : 0;
            f.jitter = loss ? 0.02 : 0;
            memset(&t, 0, sizeof t);
            flow_net(&t.w, &f);
            t.w.desc.limits.keys = 4;
            flow_join(&t, &f);
            flow_run(&t, &f);
            flow_check(&t, &f);
            world_close(&t.w);
        }
}

TEST(an_end_with_room_for_fewer_keys_still_gets_what_is_right) {
    for (int d = WISP_RELIABLE; d <= WISP_UNRELIABLE; d++) {
        flow f = flow_of(ACTOR, d);
        world_two t;
        memset(&t, 0, sizeof t);
        f.keys = 16;
        flow_net(&t.w, &f);
        book_open(&t.w);
        t.w.desc.limits.keys = 4;
        t.server = world_add(&t.w);
        t.w.desc.limits.keys = 0;
        t.client = world_add(&t.w);
        flow_settings(t.server, &f, true);
        flow_settings(t.client, &f, false);
        t.to_server = world_join(&t.w, t.client, t.server);
        flow_run(&t, &f);
        world_run(&t.w, 3);
        CHECK_EQ_INT(book.unknown + book.older, 0);
        CHECK(book_ends(0));
        world_close(&t.w);
    }
}

/* Keys of one name take the room, then another name comes, reliable or not. */
TEST(names_share_the_limit_of_keys) {
    for (int first = WISP_RELIABLE; first <= WISP_UNRELIABLE; first++)
        for (int second = WISP_RELIABLE; second <= WISP_UNRELIABLE; second++) {
            flow f = flow_of(ACTOR, first);
            world_two t;
            memset(&t, 0, sizeof t);
            flow_net(&t.w, &f);
            t.w.desc.limits.keys = 4;
            flow_join(&t, &f);
            wisp_use_delta(t.server, NULL, "other");
            wisp_use_delta(t.client, NULL, "other");
            wisp_set_unreliable(t.client, "other", second == WISP_UNRELIABLE);
            world_watch(&t.w, t.server, "other");
            for (int k = 0; k < 8; k++) fire_thing(t.client, t.to_server, ACTOR, k);
            world_run(&t.w, 0.5);
            for (int n = 1; n <= 20; n++) {
                CHECK_EQ_INT(world_fire(t.client, "other", t.to_server, n * 1000), WISP_OK);
                things[n % 8].as.hp++;
                CHECK_EQ_INT(fire_thing(t.client, t.to_server, ACTOR, n % 8), WISP_OK);
                world_run(&t.w, 0.1);
                CHECK_EQ_INT(world_last(&t.w, t.server, "other")->number, n * 1000);
            }
            flow_check(&t, &f);
            world_close(&t.w);
        }
}

/* --- several peers --- */

static wisp__session *session_of(wisp *end, int n) {
    return wisp__session_of(end, world_peer(end, n));
}

TEST(fire_all_serves_peers_that_joined_at_different_times) {
    for (int d = WISP_RELIABLE; d <= WISP_UNRELIABLE; d++)
        for (int s = 0; s < SHAPES; s++) {
            world w;
            wisp *server, *clients[5];
            wisp_peer all = { 0 };
            flow f = flow_of((thing_shape)s, d);
            uint64_t seed = 9;
            int joined = 0;
            flow_net(&w, &f);
            book_open(&w);
            server = world_add(&w);
            flow_settings(server, &f, false);
            for (int i = 0; i < 100; i++) {
                if (i % 20 == 0) {
                    clients[joined] = world_add(&w);
                    flow_settings(clients[joined], &f, true);
                    world_join(&w, clients[joined++], server);
                }
                thing_change(&things[0], &seed);
                fire_thing(server, all, f.shape, 0);
                world_step(&w);
            }
            world_run(&w, 1);
            check_book(flow_text(&f));
            for (int i = 1; i <= joined; i++) CHECK(book_ends(i));
            for (int i = 1; i < joined; i++) {
                wisp__baseline *a = session_of(server, 0)->baselines_out.places[0];
                wisp__baseline *b = session_of(server, i)->baselines_out.places[0];
                CHECK(wisp__encoded_same(wisp__baseline_newest(a)->value,
                                      wisp__baseline_newest(b)->value));
            }
            world_close(&w);
        }
}

TEST(one_difference_serves_all_peers_with_the_same_base_also_adaptively) {
    world w;
    wisp *server;
    wisp_peer all = { 0 };
    flow f = flow_of(ACTOR, WISP_RELIABLE);
    f.adaptive = true;
    flow_net(&w, &f);
    book_open(&w);
    server = world_add(&w);
    flow_settings(server, &f, false);
    for (int i = 0; i < 3; i++) {
        wisp *client = world_add(&w);
        flow_settings(client, &f, true);
        world_join(&w, client, server);
    }
    things[0].as.count = 8;
    for (int i = 0; i < 10; i++) {
        wisp__stored *a, *b;
        for (int k = 0; k < 8; k++) things[0].as.bag[k] += 1000 * k + i;
        fire_thing(server, all, ACTOR, 0);
        world_run(&w, 0.1);
        a = wisp__baseline_newest(session_of(server, 0)->baselines_out.places[0]);
        b = wisp__baseline_newest(session_of(server, 2)->baselines_out.places[0]);
        CHECK(a->value == b->value);
        CHECK(a->models == b->models);
    }
    check_book("adaptive");
    world_close(&w);
}

enum { DELTA_CROWD = 100 };

TEST(firing_to_a_hundred_peers_takes_no_memory_once_it_runs) {
    static wisp *clients[DELTA_CROWD];
    wisp_pipe pipe;
    wisp_desc desc;
    wisp *server = NULL;
    wisp_total_stats before, after;
    flow f = flow_of(ACTOR, WISP_UNRELIABLE);
    wisp_addr to = wisp_loopback_addr(0);
    wisp_peer all = { 0 };
    uint64_t seed = 2;
    double now = 0;
    memset(&pipe, 0, sizeof pipe);
    memset(&desc, 0, sizeof desc);
    memset(&before, 0, sizeof before);
    book_open(NULL);
    desc.app = "test";
    desc.max_peers = DELTA_CROWD;
    for (int i = 0; i <= DELTA_CROWD; i++) {
        wisp *end;
        desc.link = wisp_loopback(&pipe, i);
        desc.seed = (uint64_t)i + 1;
        end = wisp_create(&desc, NULL);
        if (!CHECK(end != NULL)) return;
        flow_settings(end, &f, false);
        if (i == 0) server = end;
        else clients[i - 1] = end;
        if (i > 0) wisp_join(end, &to, NULL, 0);
    }
    for (int i = 0; i < 160; i++) {
        now += 1.0 / 60;
        thing_change(&things[i % 4], &seed);
        if (i > 20) fire_thing(server, all, ACTOR, i % 4);
        wisp_update(server, now);
        for (int k = 0; k < DELTA_CROWD; k++) wisp_update(clients[k], now);
        if (i == 110) wisp_stats_total(server, &before);
    }
    wisp_stats_total(server, &after);
    CHECK_EQ_INT(after.peers, DELTA_CROWD);
    CHECK_EQ_INT(after.allocations, before.allocations);
    for (int k = 0; k < DELTA_CROWD; k++) wisp_destroy(clients[k]);
    wisp_destroy(server);
    wisp_pipe_free(&pipe);
}

TEST(reliable_deltas_that_are_alike_wait_in_one_message) {
    flow f = flow_of(ACTOR, WISP_RELIABLE);
    world_two t;
    wisp__session *s;
    uint32_t places = 0;
    memset(&t, 0, sizeof t);
    flow_net(&t.w, &f);
    flow_join(&t, &f);
    fire_thing(t.client, t.to_server, ACTOR, 0);
    world_run(&t.w, 0.5);
    s = session_of(t.client, 0);
    for (int i = 0; i < 30; i++) {
        things[0].as.hp ^= i % 3 ? 1 : 2;      /* no delta is that of before */
        CHECK_EQ_INT(fire_thing(t.client, t.to_server, ACTOR, 0), WISP_OK);
    }
    CHECK_EQ_INT(s->queued, 30);
    for (int i = 0; i < s->peer_remote_room; i++) {
        const wisp__queue *q = s->peer_remotes[i].queue;
        if (q) places += q->next - q->first;
    }
    CHECK(places > 0 && places <= 15);
    world_run(&t.w, 0.5);
    CHECK(book_ends(0));
    CHECK_EQ_INT(book.unknown + book.older + book.errors, 0);
    world_close(&t.w);
}

/* The struct, and its fields one by one, which a handler has read of the one before too. */
static void on_alike(wisp_event *event) {
    const actor *own = (const actor *)wisp_arg_struct(event, 0, &actor_schema);
    const wisp_value *hp = event->count ? wisp_field_of(&event->args[0], "hp") : NULL;
    int *right = (int *)event->user;
    if (own && hp && own->hp == *right + 1 && hp->as.integer == own->hp) ++*right;
}

TEST(structs_of_deltas_that_are_alike_are_made_in_the_place_of_the_first) {
    flow f = flow_of(ACTOR, WISP_RELIABLE);
    world_two t;
    uint64_t turns;
    int right = 0;
    memset(&t, 0, sizeof t);
    flow_net(&t.w, &f);
    flow_join(&t, &f);
    wisp_connect(t.server, "v", on_alike, &right);
    things[0].as.hp = 1;
    fire_thing(t.client, t.to_server, ACTOR, 0);
    world_run(&t.w, 0.5);
    turns = t.server->content.turn;
    for (int i = 2; i <= 30; i++) {
        things[0].as.hp = (int16_t)i;
        fire_thing(t.client, t.to_server, ACTOR, 0);
    }
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(right, 30);
    CHECK((uint64_t)t.server->content.turn - turns < 29);   /* else two for each */
    world_close(&t.w);
}

/* --- what is lost is healed --- */

/* Changes the newest value of the first baseline that an end has received. */
static void spoil_heard(wisp *end) {
    wisp__session *s = session_of(end, 0);
    wisp__baseline *track = s->baselines_in.count ? s->baselines_in.places[0] : NULL;
    for (int i = 0; track && i < track->room; i++)
        if (track->ring[i].value) ((uint8_t *)track->ring[i].value->bytes)[0] ^= 0x10;
    CHECK(track != NULL);
}

TEST(with_sync_a_mismatch_heals_and_is_reported_once) {
    for (int s = 0; s < SHAPES; s++)
        for (int d = WISP_RELIABLE; d <= WISP_UNRELIABLE; d++)
            for (int busy = 0; busy < 2; busy++) {
                flow f = flow_of((thing_shape)s, d);
                world_two t;
                memset(&t, 0, sizeof t);
                f.sync = true;
                f.keys = 1;
                f.per_step = 1;
                f.latency = 0.05;
                flow_net(&t.w, &f);
                flow_join(&t, &f);
                flow_run(&t, &f);
                world_run(&t.w, 1);
                CHECK_EQ_INT(book.errors, 0);
                spoil_heard(t.server);
                f.steps = busy ? 90 : 1;
                thing_change(&things[0], &f.seed);
                things[0].as.hp ^= 1;
                flow_run(&t, &f);
                world_run(&t.w, 2);
                if (!CHECK_EQ_INT(book.errors, 1)) printf("    busy %d %s\n", busy, flow_text(&f));
                CHECK_EQ_INT(book.error, WISP_E_BASELINE);
                CHECK_EQ_INT(book.unknown + book.older, 0);
                CHECK(book_ends(0));
                world_close(&t.w);
            }
}

/* The client asks for whole values, as if it had lost what it held. */
static void ask_whole(world_two *t, const wisp *sender, wisp *receiver, const char *name) {
    int index = -1;
    for (int i = 0; i < sender->registry.count; i++)
        if (!strcmp(sender->registry.remotes[i]->name, name))
            index = sender->registry.remotes[i]->newest;
    wisp__control_add(receiver, session_of(receiver, 0), WISP__FRAME_RESYNC,
                      (index - WISP__RESERVED));
    wisp__peers_mark(receiver, &session_of(receiver, 0)->peer);
    (void)t;
}

TEST(whole_values_in_between_leave_all_values_right) {
    for (int s = 0; s < SHAPES; s++)
        for (int d = WISP_RELIABLE; d <= WISP_UNRELIABLE; d++)
            for (int adaptive = 0; adaptive < 2; adaptive++) {
                flow f = flow_of((thing_shape)s, d);
                world_two t;
                uint64_t seed = 4;
                memset(&t, 0, sizeof t);
                f.adaptive = adaptive;
                f.latency = 0.05;
                if (shape_keyed(f.shape)) f.keys = 6;
                flow_net(&t.w, &f);
                flow_join(&t, &f);
                for (int k = 0; k < 6; k++) things[k].as.count = 8;
                for (int i = 0; i < 200; i++) {
                    int key = test_random_below(&seed, f.keys);
                    thing_change(&things[key], &seed);
                    things[key].as.bag[i % 8] += 1000 + i;
                    fire_thing(t.client, t.to_server, f.shape, key);
                    if (i % 17 == 5) ask_whole(&t, t.client, t.server, "v");
                    world_step(&t.w);
                }
                world_run(&t.w, 2);
                if (!CHECK_EQ_INT(book.unknown + book.older + book.errors, 0))
                    printf("    %s: %d unknown %d older %d errors\n", flow_text(&f), book.unknown,
                           book.older, book.errors);
                CHECK(book_ends(0));
                world_close(&t.w);
            }
}

TEST(asking_for_whole_values_without_end_is_bounded) {
    flow f = flow_of(ACTOR, WISP_RELIABLE);
    world_two t;
    uint64_t memory, bytes;
    memset(&t, 0, sizeof t);
    flow_net(&t.w, &f);
    flow_join(&t, &f);
    for (int k = 0; k < KEYS; k++) fire_thing(t.client, t.to_server, ACTOR, k);
    world_run(&t.w, 1);
    memory = world_total(t.client).memory;
    bytes = world_peer_stats(t.client, t.to_server).bytes_sent;
    for (int i = 0; i < 60; i++) {
        for (int n = 0; n < 200; n++) {
            wisp__session *s = session_of(t.server, 0);
            wisp__control c = { WISP__FRAME_RESYNC, 0, 1 };
            if (!s) break;                 /* its peer has ended the session for it */
            ask_whole(&t, t.client, t.server, "v");
            if (s->control_count && s->control_count < s->control_room)
                c = s->controls[s->control_count - 1], s->controls[s->control_count++] = c;
        }
        world_step(&t.w);
    }
    CHECK(world_total(t.client).memory < memory + (1 << 20));
    CHECK(world_peer_stats(t.client, t.to_server).bytes_sent < bytes + (1 << 20));
    world_run(&t.w, 1);
    CHECK(book_ends(0) || wisp_peers(t.client, NULL, 0) == 0);
    world_close(&t.w);
}

/* --- with little room --- */

TEST(without_room_for_values_all_still_arrives) {
    static const int bytes[3][2] = { { 100, 100 }, { 600, 600 }, { 100, 0 } };
    for (int d = WISP_RELIABLE; d <= WISP_UNRELIABLE; d++)
        for (int i = 0; i < 3; i++) {
            flow f = flow_of(ACTOR, d);
            world_two t;
            memset(&t, 0, sizeof t);
            flow_net(&t.w, &f);
            book_open(&t.w);
            t.w.desc.limits.baselines = 4;
            t.w.desc.limits.baseline_bytes = bytes[i][0];     /* of the receiver */
            t.server = world_add(&t.w);
            t.w.desc.limits.baseline_bytes = bytes[i][1];
            t.client = world_add(&t.w);
            flow_settings(t.server, &f, true);
            flow_settings(t.client, &f, false);
            t.to_server = world_join(&t.w, t.client, t.server);
            flow_run(&t, &f);
            world_run(&t.w, 3);
            CHECK_EQ_INT(book.unknown + book.older, 0);
            if (bytes[i][1]) CHECK_EQ_INT(book.errors, 0);
            if (!CHECK(book_ends(0))) printf("    %d bytes, %s\n", bytes[i][0], flow_text(&f));
            world_close(&t.w);
        }
}

TEST(ends_that_keep_other_numbers_of_values_understand_each_other) {
    static const int rings[2][2] = { { 4, 64 }, { 64, 4 } };
    for (int i = 0; i < 2; i++) {
        flow f = flow_of(DELTA_PLAIN, WISP_UNRELIABLE);
        world_two t;
        memset(&t, 0, sizeof t);
        f.latency = 0.06;
        f.per_step = 1;
        flow_net(&t.w, &f);
        book_open(&t.w);
        t.w.desc.limits.baselines = rings[i][0];
        t.server = world_add(&t.w);
        t.w.desc.limits.baselines = rings[i][1];
        t.client = world_add(&t.w);
        flow_settings(t.server, &f, true);
        flow_settings(t.client, &f, false);
        t.to_server = world_join(&t.w, t.client, t.server);
        flow_run(&t, &f);
        world_run(&t.w, 2);      /* lost baselines are reported, and whole values asked for */
        CHECK_EQ_INT(book.unknown + book.older, 0);
        CHECK(book_ends(0));
        world_close(&t.w);
    }
}

TEST(kept_values_take_no_more_memory_than_the_limit_says) {
    flow f = flow_of(ACTOR, WISP_UNRELIABLE);
    world_two t;
    int64_t most = 0;
    memset(&t, 0, sizeof t);
    flow_net(&t.w, &f);
    t.w.desc.limits.baseline_bytes = 32768;
    f.keys = KEYS;
    f.adaptive = true;
    f.steps = 1;
    flow_join(&t, &f);
    for (int i = 0; i < 300; i++) {
        int64_t bytes = 0;
        f.seed = (uint64_t)i;
        flow_run(&t, &f);
        bytes = session_of(t.client, 0)->baselines_out.bytes;
        if (bytes > most) most = bytes;
        CHECK(bytes <= 32768);
        CHECK(world_peer_stats(t.client, t.to_server).memory > bytes);
        CHECK(session_of(t.server, 0)->baselines_in.bytes <= 32768);
    }
    CHECK(most > 15000);
    world_run(&t.w, 2);
    check_book("little room");
    CHECK(book_ends(0));
    world_close(&t.w);
}

/* --- what the receiver does not use --- */

TEST(a_value_over_the_rate_limit_is_a_base_all_the_same) {
    for (int d = WISP_RELIABLE; d <= WISP_UNRELIABLE; d++) {
        flow f = flow_of(DELTA_PLAIN, d);
        world_two t;
        wisp_config config;
        memset(&t, 0, sizeof t);
        memset(&config, 0, sizeof config);
        config.rate_limit = 0.05;
        config.rate_burst = 1;
        flow_net(&t.w, &f);
        flow_join(&t, &f);
        wisp_use_config(t.server, &config, "v");
        f.per_step = 1;
        flow_run(&t, &f);
        world_run(&t.w, 1);
        things[0].as.hp ^= 1;
        fire_thing(t.client, t.to_server, DELTA_PLAIN, 0);
        world_run(&t.w, 1);
        CHECK(world_remote_stats(t.server, "v").rate_limited > 10);
        CHECK_EQ_INT(book.error, WISP_E_RATE);
        CHECK_EQ_INT(world_total(t.server).errors, world_remote_stats(t.server, "v").rate_limited);
        CHECK_EQ_INT(book.unknown + book.older, 0);
        CHECK(book_ends(0));
        world_close(&t.w);
    }
}

static const wisp_field narrow_fields[] = {
    WISP_MAP_FIELD("hp", WISP_T_RANGE(-100, 0)),
    WISP_MAP_FIELD("x", WISP_T_QUANTIZED(-100, 100, 0.5)),
    WISP_MAP_FIELD("y", WISP_T_UINT32),
};
static const wisp_schema narrow_schema = WISP_MAP_SCHEMA("plain", 1, narrow_fields);

TEST(a_value_that_is_not_valid_over_there_is_a_base_all_the_same) {
    for (int d = WISP_RELIABLE; d <= WISP_UNRELIABLE; d++) {
        flow f = flow_of(DELTA_PLAIN, d);
        world_two t;
        memset(&t, 0, sizeof t);
        flow_net(&t.w, &f);
        flow_join(&t, &f);
        CHECK_EQ_INT(wisp_use_delta(t.server, &narrow_schema, "v"), WISP_OK);
        for (int i = 0; i < 40; i++) {
            things[0].as.hp = (int16_t)(i % 3 == 2 ? -i : i + 1);
            fire_thing(t.client, t.to_server, DELTA_PLAIN, 0);
            world_run(&t.w, 0.1);
        }
        things[0].as.hp = -99;
        fire_thing(t.client, t.to_server, DELTA_PLAIN, 0);
        world_run(&t.w, 1);
        CHECK(world_total(t.server).errors > 20);
        CHECK_EQ_INT(book.error, WISP_E_INVALID);
        CHECK_EQ_INT(world_remote_stats(t.server, "v").invalid, world_total(t.server).errors);
        CHECK_EQ_INT(book.unknown + book.older, 0);
        CHECK(book_ends(0));
        world_close(&t.w);
    }
}

/* A receiver that cannot read one value in order must not apply the next delta to the one
   before it. */
TEST(a_value_that_was_too_much_for_the_receiver_is_no_base) {
    static wisp_value items[400];
    flow f = flow_of(LIST, WISP_RELIABLE);
    world_two t;
    memset(&t, 0, sizeof t);
    flow_net(&t.w, &f);
    book_open(&t.w);
    t.w.desc.limits.message_values = 250;
    t.server = world_add(&t.w);
    t.w.desc.limits.message_values = 0;
    t.client = world_add(&t.w);
    flow_settings(t.server, &f, true);
    flow_settings(t.client, &f, false);
    t.to_server = world_join(&t.w, t.client, t.server);
    for (int i = 0; i < 400; i++) items[i] = wisp_int(i * 1000);
    for (int n = 0; n < 3; n++) {
        wisp_value value = wisp_array(items, n == 1 ? 400 : 60);
        for (int i = 0; n == 1 && i < 400; i++) items[i] = wisp_int(i * 77777 + 5);
        if (n == 2) items[3] = wisp_int(1);
        wisp_fire_values(t.client, "v", wisp_to_peer(t.to_server), &value, 1);
        book_sent(0, &value);
    }
    world_run(&t.w, 3);
    CHECK_EQ_INT(book.unknown, 0);
    CHECK(book_ends(0) || wisp_peers(t.client, NULL, 0) == 0);
    world_close(&t.w);
}

/* --- settings in the middle --- */

static void change_settings(wisp *end, const flow *f, int how) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    switch (how) {
    case 0: config.delivery = WISP_UNRELIABLE; break;
    case 1: config.delivery = WISP_RELIABLE; break;
    case 2: config.channel = WISP_CHANNEL(3); break;
    case 3: config.encode.mode = WISP_ENCODE_SCHEMA; break;
    case 4: config.encode.mode = WISP_ENCODE_DELTA; break;
    case 5: config.delta_sync = WISP_ON; break;
    case 6: config.encode.adaptive = WISP_ON; break;
    default: config.encode.schema = shape_schemas[f->shape]; config.delta_sync = WISP_OFF; break;
    }
    CHECK_EQ_INT(wisp_use_config(end, &config, "v"), WISP_OK);
}

TEST(settings_may_change_while_values_are_on_their_way) {
    for (int s = 0; s < SHAPES; s++) {
        flow f = flow_of((thing_shape)s, WISP_RELIABLE);
        world_two t;
        uint64_t seed = 6;
        memset(&t, 0, sizeof t);
        f.loss = 0.1;
        flow_net(&t.w, &f);
        t.w.foreign = true;
        flow_join(&t, &f);
        for (int how = 0; how < 9; how++) {
            f.steps = 20;
            f.seed = (uint64_t)how + 1;
            flow_run(&t, &f);
            world_run(&t.w, 0.7);         /* values sent in different orders do not mix */
            change_settings(t.client, &f, how % 8);
        }
        thing_change(&things[0], &seed);
        flow_check(&t, &f);
        world_close(&t.w);
    }
}

/* The last value, fired before the settings changed, was lost. */
TEST(a_lost_value_goes_again_although_the_settings_changed_since) {
    static const int ways[] = { 5, 6, 3 };
    for (int i = 0; i < 3; i++) {
        flow f = flow_of(ACTOR, WISP_UNRELIABLE);
        world_two t;
        int deaf = -1;
        memset(&t, 0, sizeof t);
        flow_net(&t.w, &f);
        t.w.foreign = true;
        flow_join(&t, &f);
        fire_thing(t.client, t.to_server, ACTOR, 0);
        world_run(&t.w, 0.5);
        t.w.tap = tap_deaf;
        t.w.user = &deaf;
        deaf = 1;
        things[0].as.hp = 5;
        fire_thing(t.client, t.to_server, ACTOR, 0);
        world_step(&t.w);
        change_settings(t.client, &f, ways[i]);
        world_step(&t.w);
        deaf = -1;
        world_run(&t.w, 3);
        if (!CHECK(book_ends(0))) printf("    change %d\n", ways[i]);
        world_close(&t.w);
    }
}

/* A value that cannot go again must not keep others from it. */
TEST(a_value_too_large_to_go_whole_does_not_hold_up_others) {
    static char text[4000];
    flow f = flow_of(TREE, WISP_UNRELIABLE);
    world_two t;
    int deaf = -1;
    memset(&t, 0, sizeof t);
    flow_net(&t.w, &f);
    flow_join(&t, &f);
    wisp_use_delta(t.server, NULL, "other");
    wisp_use_delta(t.client, NULL, "other");
    wisp_set_unreliable(t.client, "other", true);
    world_watch(&t.w, t.server, "other");
    world_run(&t.w, 0.3);
    memset(text, 'x', sizeof text);
    for (int n = 1; n <= 4; n++) {
        wisp_pair pairs[4] = { { "a", wisp_string_n(text, 400) }, { "b", wisp_string_n(text, 400) },
                               { "c", wisp_string_n(text, 400) },
                                { "d", wisp_string_n(text, 400) } };
        wisp_value value = wisp_map(pairs, n);
        CHECK_EQ_INT(wisp_fire_values(t.client, "v", wisp_to_peer(t.to_server), &value, 1),
                     WISP_OK);
        book_sent(0, &value);
        world_run(&t.w, 0.5);
    }
    CHECK(book_ends(0));
    ask_whole(&t, t.client, t.server, "v");
    world_run(&t.w, 0.3);
    t.w.tap = tap_deaf;
    t.w.user = &deaf;
    deaf = 1;
    world_fire(t.client, "other", t.to_server, 7);
    world_run(&t.w, 0.1);
    deaf = -1;
    world_run(&t.w, 2);
    CHECK_EQ_INT(world_last(&t.w, t.server, "other")->number, 7);
    world_close(&t.w);
}

/* --- calls --- */

static void on_delta_double(wisp_event *event) {
    wisp_value value = event->count ? event->args[0] : wisp_nil();
    on_value(event);
    wisp_reply_values(event, &value, 1);
}

static void on_reply(wisp_event *event) {
    if (event->result == WISP_OK && event->count == 1) ++*(int *)event->user;
}

TEST(calls_of_such_a_name_are_whole_both_ways) {
    for (int s = 0; s < SHAPES; s++) {
        flow f = flow_of((thing_shape)s, WISP_RELIABLE);
        world_two t;
        int replies = 0;
        uint64_t seed = 2;
        memset(&t, 0, sizeof t);
        flow_net(&t.w, &f);
        flow_join(&t, &f);
        wisp_on_invoke_target(t.server, wisp_by_name("v"), on_delta_double, NULL);
        for (int i = 0; i < 20; i++) {
            wisp_call_desc desc;
            wisp_value value;
            memset(&desc, 0, sizeof desc);
            desc.on_reply = on_reply;
            desc.user = &replies;
            thing_change(&things[0], &seed);
            if (i & 1) {
                fire_thing(t.client, t.to_server, f.shape, 0);
            } else {
                value = thing_value(f.shape, &things[0]);
                CHECK(wisp_invoke_values(t.client, "v", wisp_to_peer(t.to_server), &desc, &value,
                                         1).id != 0);
                book_sent(0, &value);
            }
            world_run(&t.w, 0.2);
        }
        CHECK_EQ_INT(replies, 10);
        flow_check(&t, &f);
        world_close(&t.w);
    }
}

/* --- messages that no honest end sends --- */

/* Sends a message with any head and content, past the baselines of an honest end. */
static void delta_forge(world_two *t, const wisp__delta_head *head, const uint8_t *bits,
                        int count) {
    wisp__remote *remote = wisp__registry_find(&t->client->registry, "v", 1);
    const wisp__encoding *form = &t->client->registry.remotes[remote->newest]->encoding;
    wisp__delta_head sent = *head;
    wisp__message *m;
    wisp_result why;
    if (!session_of(t->client, 0)) return;
    sent.older &= (1 << wisp__older_bits(form)) - 1;
    if (!CHECK_EQ_INT(wisp__delta_pack(t->client, form, &sent, bits, count), WISP_OK))
        return;
    m = wisp__compose(t->client, remote, WISP__EVENT, &why);
    if (m) wisp__give(t->client, session_of(t->client, 0), m);
    if (m) wisp__message_release(&t->client->chunks, m);
}

static bool delta_rejoin(world_two *t) {
    if (wisp_peers(t->client, NULL, 0) && wisp_peers(t->server, NULL, 0)) return false;
    world_run(&t->w, 12);
    t->to_server = world_join(&t->w, t->client, t->server);
    return true;
}

TEST(hostile_deltas_neither_crash_nor_take_memory) {
    for (int s = 0; s < SHAPES; s++)
        for (int d = WISP_RELIABLE; d <= WISP_UNRELIABLE; d++) {
            flow f = flow_of((thing_shape)s, d);
            world_two t;
            uint64_t seed = 7 + (uint64_t)s;
            int again = 0;
            memset(&t, 0, sizeof t);
            f.adaptive = f.sync = (s & 1) != 0;
            flow_net(&t.w, &f);
            t.w.desc.limits.keys = 8;
            t.w.desc.limits.baseline_bytes = 20000;
            flow_join(&t, &f);
            fire_thing(t.client, t.to_server, f.shape, 0);
            world_run(&t.w, 0.3);
            for (int i = 0; i < 300 && again < 12; i++) {
                uint8_t bits[128];
                wisp__delta_head head;
                memset(&head, 0, sizeof head);
                low_random_bytes(&seed, bits, 128);
                head.place = test_random_below(&seed, 3) ? test_random_below(&seed, 4)
                                                            : (int)(test_random(&seed) >> 40);
                head.back = 1 + test_random_below(&seed, i & 1 ? 64 : 1 << 20);
                head.older = test_random_below(&seed, 4);
                head.sequence = (uint32_t)test_random(&seed);
                head.hash = (uint32_t)test_random(&seed) & 0xffff;
                head.whole = test_random_below(&seed, 8) == 0;
                head.in_order = d == WISP_RELIABLE;
                delta_forge(&t, &head, bits, test_random_below(&seed, 900));
                world_step(&t.w);
                again += delta_rejoin(&t);
                if (session_of(t.server, 0)) {
                    CHECK(session_of(t.server, 0)->baselines_in.bytes <= 20000);
                    CHECK(session_of(t.server, 0)->baselines_in.count <= 8);
                }
            }
            CHECK(world_total(t.server).memory < 4 << 20);
            delta_rejoin(&t);
            thing_change(&things[0], &seed);
            CHECK_EQ_INT(fire_thing(t.client, t.to_server, f.shape, 0), WISP_OK);
            world_run(&t.w, 2);
            world_close(&t.w);
        }
}

/* Differences of a few bits to a large value: what one packet may ask for is bounded. */
TEST(one_packet_cannot_ask_for_large_values_without_end) {
    enum { COUNT = 30000 };
    static const wisp_type flag = WISP_T_BOOL;
    static const wisp_field fields[] = { WISP_MAP_FIELD("l", WISP_T_ARRAY(&flag, COUNT)) };
    static const wisp_schema schema = WISP_MAP_SCHEMA("large", 1, fields);
    static wisp_value items[COUNT];
    wisp_pair pair = { "l", wisp_array(items, COUNT) };
    wisp_value value = wisp_map(&pair, 1);
    flow f = flow_of(TREE, WISP_RELIABLE);
    world_two t;
    int got;
    uint64_t packets;
    memset(&t, 0, sizeof t);
    flow_net(&t.w, &f);
    t.w.bad = false;
    t.w.foreign = true;
    flow_join(&t, &f);
    CHECK_EQ_INT(wisp_use_delta(t.client, &schema, "v"), WISP_OK);
    for (int i = 0; i < COUNT; i++) items[i] = wisp_bool(false);
    CHECK_EQ_INT(wisp_fire_values(t.client, "v", wisp_to_peer(t.to_server), &value, 1), WISP_OK);
    world_run(&t.w, 2);
    CHECK_EQ_INT(book.got, 1);
    got = book.got;
    packets = world_total(t.server).packets_received;
    for (int n = 0; n < 500; n++) {
        wisp__delta_head head;
        uint8_t bits[8] = { 5 };                         /* as many as before, none differs */
        memset(&head, 0, sizeof head);
        head.in_order = true;
        delta_forge(&t, &head, bits, 2);
    }
    world_step(&t.w);
    world_step(&t.w);
    /* Each packet has few of them. */
    CHECK(book.got - got <= 5 * (int)(world_total(t.server).packets_received - packets));
    world_close(&t.w);
}

/* --- the end of it --- */

TEST(a_session_that_ends_gives_all_back) {
    for (int d = WISP_RELIABLE; d <= WISP_UNRELIABLE; d++) {
        ledger memory = ledger_none();
        flow f = flow_of(ACTOR, d);
        world_two t;
        uint64_t before, after;
        memset(&t, 0, sizeof t);
        flow_net(&t.w, &f);
        f.adaptive = true;
        t.w.desc.memory = ledger_memory(&memory);
        flow_join(&t, &f);
        flow_run(&t, &f);
        before = world_total(t.server).memory;
        wisp_leave(t.client, t.to_server, "");
        world_run(&t.w, 2);
        after = world_total(t.server).memory;
        CHECK(after < before);
        CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 0);
        t.to_server = world_join(&t.w, t.client, t.server);
        memset(book.at, 0, sizeof book.at);
        flow_run(&t, &f);
        flow_check(&t, &f);
        CHECK(world_total(t.server).memory < before + before / 4);
        world_close(&t.w);
        CHECK_EQ_INT(memory.out, 0);
    }
}

static const test_case tests[] = {
    CASE(values_of_every_shape_arrive_over_every_delivery),
    CASE(under_loss_what_arrives_was_sent_and_grows_newer_until_the_last),
    CASE(under_loss_sequenced_values_end_with_the_last_of_every_key),
    CASE(over_a_reliable_link_the_last_value_sent_is_the_base_of_all_deliveries),
    CASE(long_round_trips_make_no_errors),
    CASE(many_changes_in_one_frame_all_arrive_in_order),
    CASE(an_unchanged_value_is_not_sent),
    CASE(one_small_change_takes_three_bytes_of_payload_at_most),
    CASE(a_removed_key_travels),
    CASE(the_only_value_arrives_although_its_packet_is_lost),
    CASE(an_end_that_learns_a_name_late_gets_the_value_that_is_fired_again),
    CASE(thousands_of_lost_values_do_not_hide_the_last),
    CASE(a_long_list_goes_as_deltas_again_and_again),
    CASE(more_keys_than_the_limit_give_way_to_each_other_and_stay_right),
    CASE(an_end_with_room_for_fewer_keys_still_gets_what_is_right),
    CASE(names_share_the_limit_of_keys),
    CASE(fire_all_serves_peers_that_joined_at_different_times),
    CASE(one_difference_serves_all_peers_with_the_same_base_also_adaptively),
    CASE(firing_to_a_hundred_peers_takes_no_memory_once_it_runs),
    CASE(reliable_deltas_that_are_alike_wait_in_one_message),
    CASE(structs_of_deltas_that_are_alike_are_made_in_the_place_of_the_first),
    CASE(with_sync_a_mismatch_heals_and_is_reported_once),
    CASE(whole_values_in_between_leave_all_values_right),
    CASE(asking_for_whole_values_without_end_is_bounded),
    CASE(without_room_for_values_all_still_arrives),
    CASE(ends_that_keep_other_numbers_of_values_understand_each_other),
    CASE(kept_values_take_no_more_memory_than_the_limit_says),
    CASE(a_value_over_the_rate_limit_is_a_base_all_the_same),
    CASE(a_value_that_is_not_valid_over_there_is_a_base_all_the_same),
    CASE(a_value_that_was_too_much_for_the_receiver_is_no_base),
    CASE(settings_may_change_while_values_are_on_their_way),
    CASE(a_lost_value_goes_again_although_the_settings_changed_since),
    CASE(a_value_too_large_to_go_whole_does_not_hold_up_others),
    CASE(calls_of_such_a_name_are_whole_both_ways),
    CASE(hostile_deltas_neither_crash_nor_take_memory),
    CASE(one_packet_cannot_ask_for_large_values_without_end),
    CASE(a_session_that_ends_gives_all_back),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
