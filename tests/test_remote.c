/* Names, settings and their inheritance, and what two peers know of each other's names. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"

#include <math.h>

static void nothing(wisp_event *event) { (void)event; }

static char *long_name(char *to, int bytes) {
    memset(to, 'n', (size_t)bytes);
    to[bytes] = 0;
    return to;
}

static const char *numbered(char *to, const char *stem, int n) {
    snprintf(to, 32, "%s%d", stem, n);
    return to;
}

/* The settings in force for a name that is registered. */
static wisp_config config_of(wisp *w, const char *name) {
    wisp_result why;
    return wisp__registry_add(&w->registry, name, &why)->now;
}

static wisp *alone(world *w) {
    world_open(w);
    return world_add(w);
}

/* --- names --- */

TEST(names_of_1_and_128_bytes_work) {
    world_two t;
    char name[129];
    world_two_open(&t);
    long_name(name, 128);
    world_watch(&t.w, t.server, "x");
    world_watch(&t.w, t.server, name);
    CHECK_EQ_INT(world_fire(t.client, "x", t.to_server, 1), WISP_OK);
    CHECK_EQ_INT(world_fire(t.client, name, t.to_server, 2), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_last(&t.w, t.server, "x")->number, 1);
    CHECK_EQ_INT(world_last(&t.w, t.server, name)->number, 2);
    world_close(&t.w);
}

/* Every call that takes a name, with one it must refuse. */
static void remote_check_refused(wisp *w, wisp_peer to, const char *name, wisp_result code) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    CHECK_EQ_INT(wisp_remote_named(w, name).id, 0);
    CHECK_EQ_INT(wisp_why(w), code);
    CHECK_EQ_INT(wisp_connect_target(w, wisp_by_name(name), nothing, NULL, false).id, 0);
    CHECK_EQ_INT(wisp_why(w), code);
    CHECK_EQ_INT(wisp_invoke_values(w, name, wisp_to_peer(to), NULL, NULL, 0).id, 0);
    CHECK_EQ_INT(wisp_why(w), code);
    CHECK_EQ_INT(wisp_on_invoke_target(w, wisp_by_name(name), nothing, NULL), code);
    CHECK_EQ_INT(wisp_fire_values(w, name, wisp_to_peer(to), NULL, 0), code);
    CHECK_EQ_INT(wisp_fire_values(w, name, wisp_to_all(), NULL, 0), code);
    if (!name) return;
    CHECK_EQ_INT(wisp_use_config(w, &config, name), code);
    CHECK_EQ_INT(wisp_use_config(w, NULL, name), code);
    CHECK_EQ_INT(wisp_set_unreliable(w, name, true), code);
    CHECK_EQ_INT(wisp_set_batch_mode(w, name, WISP_BATCH_NEVER), code);
    CHECK_EQ_INT(wisp_set_batch_priority(w, name, 1), code);
    CHECK_EQ_INT(wisp_set_rate_limit(w, 1, name), code);
}

TEST(bad_names_are_refused_by_every_call) {
    world_two t;
    char name[512];
    world_two_open(&t);
    remote_check_refused(t.client, t.to_server, long_name(name, 129), WISP_E_NAME);
    remote_check_refused(t.client, t.to_server, long_name(name, 511), WISP_E_NAME);
    remote_check_refused(t.client, t.to_server, "", WISP_E_NAME);
    remote_check_refused(t.client, t.to_server, "wisp:", WISP_E_NAME);
    remote_check_refused(t.client, t.to_server, "wisp:mine", WISP_E_NAME);
    remote_check_refused(t.client, t.to_server, "wisp:joine", WISP_E_NAME);
    remote_check_refused(t.client, t.to_server, NULL, WISP_E_ARGUMENT);
    CHECK_EQ_INT(world_total(t.client).remotes, 0);
    world_close(&t.w);
}

TEST(names_that_only_look_reserved_are_free) {
    world w;
    wisp *end = alone(&w);
    CHECK(wisp_remote_named(end, "wisp").id != 0);
    CHECK(wisp_remote_named(end, "wisp.joined").id != 0);
    CHECK(wisp_remote_named(end, " wisp:joined").id != 0);
    CHECK(wisp_remote_named(end, "Wisp:joined").id != 0);
    CHECK_EQ_INT(world_total(end).remotes, 4);
    world_close(&w);
}

TEST(reserved_names_can_only_be_listened_to) {
    world_two t;
    static const char *const names[] = { WISP_JOINED, WISP_LEFT, WISP_ERROR };
    world_two_open(&t);
    for (int i = 0; i < 3; i++) {
        CHECK(wisp_connect_target(t.client, wisp_by_name(names[i]), nothing, NULL, false).id != 0);
        CHECK_EQ_INT(wisp_fire_values(t.client, names[i], wisp_to_peer(t.to_server), NULL, 0),
                     WISP_E_NAME);
        CHECK_EQ_INT(wisp_invoke_values(t.client, names[i], wisp_to_peer(t.to_server), NULL, NULL,
                                        0).id, 0);
        CHECK_EQ_INT(wisp_why(t.client), WISP_E_NAME);
        CHECK_EQ_INT(wisp_on_invoke_target(t.client, wisp_by_name(names[i]), nothing, NULL),
                     WISP_E_NAME);
        CHECK_EQ_INT(wisp_set_unreliable(t.client, names[i], true), WISP_E_NAME);
    }
    world_close(&t.w);
}

TEST(a_name_has_one_handle_and_a_handle_one_name) {
    world w;
    wisp *end = alone(&w);
    wisp_remote none = { 0 }, beyond = { 1000 };
    wisp_remote a = wisp_remote_named(end, "a"), ab = wisp_remote_named(end, "ab");
    CHECK(a.id && ab.id && a.id != ab.id);
    CHECK_EQ_INT(wisp_remote_named(end, "a").id, a.id);
    CHECK_EQ_STR(wisp_remote_name(end, a), "a");
    CHECK_EQ_STR(wisp_remote_name(end, ab), "ab");
    CHECK(wisp_remote_name(end, none) == NULL);
    CHECK(wisp_remote_name(end, beyond) == NULL);
    CHECK_EQ_INT(wisp_send(end, none, wisp_to_all(), NULL, 0), WISP_E_STALE);
    CHECK_EQ_INT(wisp_send(end, beyond, wisp_to_all(), NULL, 0), WISP_E_STALE);
    CHECK_EQ_INT(wisp_send(end, a, wisp_to_all(), NULL, 0), WISP_OK);
    CHECK_EQ_INT(world_total(end).remotes, 2);
    world_close(&w);
}

TEST(a_thousand_names_are_told_apart) {
    world w;
    wisp *end = alone(&w);
    char name[32];
    wisp_remote handles[1000];
    for (int i = 0; i < 1000; i++) handles[i] = wisp_remote_named(end, numbered(name, "r", i));
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ_STR(wisp_remote_name(end, handles[i]), numbered(name, "r", i));
        CHECK_EQ_INT(wisp_remote_named(end, name).id, handles[i].id);
    }
    world_close(&w);
}

TEST(a_call_that_fails_registers_no_name) {
    world_two t;
    wisp_peer stale = { 12345 };
    wisp_config wrong;
    wisp_value kind = wisp_nil();
    world_two_open(&t);
    memset(&wrong, 0, sizeof wrong);
    wrong.delivery = 77;
    kind.kind = WISP_MAP;
    kind.count = -1;
    CHECK_EQ_INT(wisp_use_config(t.client, &wrong, "a"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_batch_priority(t.client, "b", 1000), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_connect_target(t.client, wisp_by_name("c"), NULL, NULL, false).id, 0);
    CHECK_EQ_INT(wisp_fire_values(t.client, "d", wisp_to_peer(stale), NULL, 0), WISP_E_STALE);
    CHECK_EQ_INT(wisp_fire_values(t.client, "e", wisp_to_peer(t.to_server), &kind, 1),
                 WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_invoke_values(t.client, "f", wisp_to_peer(stale), NULL, NULL, 0).id, 0);
    CHECK_EQ_INT(world_total(t.client).remotes, 0);
    world_close(&t.w);
}

TEST(the_limit_of_remotes_is_a_code_and_names_its_knob) {
    world w;
    wisp *end;
    char name[32];
    world_open(&w);
    w.desc.limits.remotes = 100;
    end = world_add(&w);
    for (int i = 0; i < 100; i++) CHECK(wisp_remote_named(end, numbered(name, "r", i)).id != 0);
    CHECK_EQ_INT(wisp_remote_named(end, "one more").id, 0);
    CHECK_EQ_INT(wisp_why(end), WISP_E_LIMIT);
    CHECK_EQ_INT(wisp_set_unreliable(end, "one more", true), WISP_E_LIMIT);
    CHECK_EQ_INT(wisp_fire_values(end, "one more", wisp_to_all(), NULL, 0), WISP_E_LIMIT);
    CHECK(wisp_remote_named(end, "r99").id != 0);
    CHECK_EQ_INT(wisp_set_unreliable(end, "r0", true), WISP_OK);
    CHECK_EQ_INT(world_total(end).remotes, 100);
    world_close(&w);
}

/* --- settings --- */

TEST(every_setting_has_its_default) {
    world w;
    wisp_config now = config_of(alone(&w), "r");
    CHECK_EQ_INT(now.delivery, WISP_RELIABLE);
    CHECK_EQ_INT(now.channel, WISP_CHANNEL(0));
    CHECK_EQ_INT(now.batching, WISP_BATCH_RELIABLE);
    CHECK_EQ_INT(now.max_batch_size, 256);
    CHECK_EQ_INT(now.batch_priority, WISP_PRIORITY(500));
    CHECK(now.rate_limit <= 0);
    CHECK_EQ_INT(now.call_tries, 1);
    CHECK_NEAR(now.call_timeout, 10, 0);
    world_close(&w);
}

enum { FIELDS = 9 };

/* Field `i` of a config, as a number. */
static double field_get(const wisp_config *c, int i) {
    switch (i) {
    case 0: return c->delivery;
    case 1: return c->channel;
    case 2: return c->batching;
    case 3: return c->max_batch_size;
    case 4: return c->batch_priority;
    case 5: return c->rate_limit;
    case 6: return c->rate_burst;
    case 7: return c->call_timeout;
    default: return c->call_tries;
    }
}

/* A config with field `i` alone set: to its first or second value. */
static wisp_config field_config(int i, bool second) {
    wisp_config c;
    memset(&c, 0, sizeof c);
    switch (i) {
    case 0: c.delivery = second ? WISP_SEQUENCED : WISP_UNRELIABLE; break;
    case 1: c.channel = second ? WISP_CHANNEL(15) : WISP_CHANNEL(3); break;
    case 2: c.batching = second ? WISP_BATCH_UNRELIABLE : WISP_BATCH_NEVER; break;
    case 3: c.max_batch_size = second ? 9 : 8; break;
    case 4: c.batch_priority = second ? WISP_PRIORITY(999) : WISP_PRIORITY(0); break;
    case 5: c.rate_limit = second ? 0.5 : 0.125; break;
    case 6: c.rate_burst = second ? 7 : 6; break;
    case 7: c.call_timeout = second ? 3 : 2; break;
    default: c.call_tries = second ? 5 : 4; break;
    }
    return c;
}

TEST(each_field_is_inherited_by_itself) {
    for (int i = 0; i < FIELDS; i++) {
        world w;
        wisp *end = alone(&w);
        wisp_config common = field_config(i, false), own = field_config(i, true), now;
        wisp_config usual = config_of(end, "before");
        CHECK_EQ_INT(wisp_use_config(end, &own, "own"), WISP_OK);
        CHECK_EQ_INT(wisp_use_config(end, &common, NULL), WISP_OK);
        now = config_of(end, "before");
        CHECK_NEAR(field_get(&now, i), field_get(&common, i), 0);
        now = config_of(end, "registered later");
        CHECK_NEAR(field_get(&now, i), field_get(&common, i), 0);
        now = config_of(end, "own");
        CHECK_NEAR(field_get(&now, i), field_get(&own, i), 0);
        for (int k = 0; k < FIELDS; k++) {
            bool follows = k == i || (i == 2 && k == 0) || (i == 5 && k == 6);
            if (!follows) CHECK_NEAR(field_get(&now, k), field_get(&usual, k), 0);
        }
        world_close(&w);
    }
}

TEST(null_config_makes_each_field_inherit_again) {
    for (int i = 0; i < FIELDS; i++) {
        world w;
        wisp *end = alone(&w);
        wisp_config common = field_config(i, false), own = field_config(i, true), now;
        wisp_config usual = config_of(end, "r");
        CHECK_EQ_INT(wisp_use_config(end, &common, NULL), WISP_OK);
        CHECK_EQ_INT(wisp_use_config(end, &own, "r"), WISP_OK);
        CHECK_EQ_INT(wisp_use_config(end, NULL, "r"), WISP_OK);
        now = config_of(end, "r");
        CHECK_NEAR(field_get(&now, i), field_get(&common, i), 0);
        CHECK_EQ_INT(wisp_use_config(end, &own, "r"), WISP_OK);
        CHECK_EQ_INT(wisp_use_config(end, NULL, NULL), WISP_OK);
        now = config_of(end, "r");
        CHECK_NEAR(field_get(&now, i), field_get(&own, i), 0);
        CHECK_EQ_INT(wisp_use_config(end, NULL, "r"), WISP_OK);
        now = config_of(end, "r");
        for (int k = 0; k < FIELDS; k++)
            CHECK_NEAR(field_get(&now, k), field_get(&usual, k), 0);
        world_close(&w);
    }
}

TEST(fields_set_one_after_the_other_add_up) {
    world w;
    wisp *end = alone(&w);
    wisp_config now;
    for (int i = FIELDS - 1; i >= 0; i--) {
        wisp_config one = field_config(i, true);
        CHECK_EQ_INT(wisp_use_config(end, &one, i % 2 ? "r" : NULL), WISP_OK);
    }
    now = config_of(end, "r");
    for (int i = 0; i < FIELDS; i++) {
        wisp_config one = field_config(i, true);
        CHECK_NEAR(field_get(&now, i), field_get(&one, i), 0);
    }
    world_close(&w);
}

TEST(a_setting_of_one_remote_is_not_one_of_another) {
    world w;
    wisp *end = alone(&w);
    CHECK_EQ_INT(wisp_set_batch_priority(end, "a", 3), WISP_OK);
    CHECK_EQ_INT(config_of(end, "a").batch_priority, WISP_PRIORITY(3));
    CHECK_EQ_INT(config_of(end, "b").batch_priority, WISP_PRIORITY(500));
    world_close(&w);
}

TEST(setters_set_what_they_say) {
    world w;
    wisp *end = alone(&w);
    CHECK_EQ_INT(wisp_set_unreliable(end, "r", true), WISP_OK);
    CHECK_EQ_INT(config_of(end, "r").delivery, WISP_UNRELIABLE);
    CHECK_EQ_INT(wisp_set_unreliable(end, "r", false), WISP_OK);
    CHECK_EQ_INT(config_of(end, "r").delivery, WISP_RELIABLE);
    CHECK_EQ_INT(wisp_set_batch_mode(end, "r", WISP_BATCH_NEVER), WISP_OK);
    CHECK_EQ_INT(config_of(end, "r").batching, WISP_BATCH_NEVER);
    CHECK_EQ_INT(wisp_set_batch_priority(end, "r", 0), WISP_OK);
    CHECK_EQ_INT(config_of(end, "r").batch_priority, WISP_PRIORITY(0));
    CHECK_EQ_INT(wisp_set_batch_priority(end, "r", 999), WISP_OK);
    CHECK_EQ_INT(config_of(end, "r").batch_priority, WISP_PRIORITY(999));
    CHECK_EQ_INT(wisp_set_max_batch_size(end, 1), WISP_OK);
    CHECK_EQ_INT(config_of(end, "r").max_batch_size, 1);
    CHECK_EQ_INT(wisp_set_rate_limit(end, 0.5, "r"), WISP_OK);
    CHECK_NEAR(config_of(end, "r").rate_limit, 0.5, 0);
    CHECK_EQ_INT(wisp_set_rate_limit(end, 0, "r"), WISP_OK);
    CHECK(config_of(end, "r").rate_limit <= 0);
    world_close(&w);
}

TEST(setters_take_plain_values_after_the_name) {
    world w;
    wisp *end = alone(&w);
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.call_tries = 7;
    CHECK_EQ_INT(wisp_set_config(end, "r", &config), WISP_OK);
    CHECK_EQ_INT(config_of(end, "r").call_tries, 7);
    CHECK_EQ_INT(wisp_set_channel(end, "r", 15), WISP_OK);
    CHECK_EQ_INT(config_of(end, "r").channel, WISP_CHANNEL(15));
    CHECK_EQ_INT(wisp_set_channel(end, "r", 16), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_channel(end, "r", -1), WISP_E_ARGUMENT);
    for (int delivery = WISP_RELIABLE; delivery <= WISP_SEQUENCED; delivery++) {
        CHECK_EQ_INT(wisp_set_delivery(end, "r", delivery), WISP_OK);
        CHECK_EQ_INT(config_of(end, "r").delivery, delivery);
    }
    CHECK_EQ_INT(wisp_set_delivery(end, "r", 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_delivery(end, "r", 4), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_replace(end, "r", true), WISP_OK);
    CHECK_EQ_INT(config_of(end, "r").replace, WISP_ON);
    CHECK_EQ_INT(wisp_set_replace(end, NULL, false), WISP_OK);
    CHECK_EQ_INT(config_of(end, "b").replace, WISP_OFF);
    CHECK_EQ_INT(wisp_set_interval(end, "r", 0.5), WISP_OK);
    CHECK_NEAR(config_of(end, "r").rate_limit, 0.5, 0);
    CHECK_EQ_INT(wisp_set_compression(end, "r", WISP_COMPRESSION_NONE), WISP_OK);
    CHECK_EQ_INT(config_of(end, "r").encode.compression, WISP_COMPRESSION_NONE);
    CHECK_EQ_INT(wisp_set_delta(end, "r", NULL), WISP_OK);
    CHECK_EQ_INT(config_of(end, "r").encode.mode, WISP_ENCODE_DELTA);
    world_close(&w);
}

static char setting_logged[200];

static void log_setting(void *user, int level, wisp_result code, const char *text) {
    (void)user;
    CHECK(level == WISP_LOG_WARNING && code == WISP_E_ARGUMENT);
    snprintf(setting_logged, sizeof setting_logged, "%s", text);
}

TEST(a_delivery_in_the_place_of_a_switch_is_logged) {
    world w;
    wisp *end;
    world_open(&w);
    w.desc.log = log_setting;
    end = world_add(&w);
    setting_logged[0] = 0;
    wisp_set_unreliable(end, "r", true);
    wisp_set_unreliable(end, "r", false);
    CHECK_EQ_STR(setting_logged, "");
#ifndef __cplusplus
    CHECK_EQ_INT(wisp_set_unreliable(end, "r", WISP_SEQUENCED), WISP_OK);
    CHECK_EQ_STR(setting_logged, "wisp_set_unreliable('r', 3): it takes true or false; a delivery "
                  "goes to wisp_set_delivery");
    CHECK_EQ_INT(config_of(end, "r").delivery, WISP_UNRELIABLE);
    wisp_set_unreliable(end, NULL, WISP_UNRELIABLE);
    CHECK(strstr(setting_logged, "'all remotes', 2"));
#endif
    world_close(&w);
}

TEST(setters_refuse_what_is_out_of_range_and_change_nothing) {
    world w;
    wisp *end = alone(&w);
    wisp_config before = config_of(end, "r"), after;
    CHECK_EQ_INT(wisp_set_batch_mode(end, "r", 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_batch_mode(end, "r", 4), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_batch_mode(end, "r", -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_batch_priority(end, "r", -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_batch_priority(end, "r", 1000), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_max_batch_size(end, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_max_batch_size(end, -5), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_rate_limit(end, HUGE_VAL, "r"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_rate_limit(end, (double)NAN, "r"), WISP_E_ARGUMENT);
    after = config_of(end, "r");
    for (int k = 0; k < FIELDS; k++) CHECK_NEAR(field_get(&after, k), field_get(&before, k), 0);
    world_close(&w);
}

/* A config that is good but for field `i`. */
static wisp_config field_wrong(int i, bool negative) {
    wisp_config c = field_config(4, true);
    switch (i) {
    case 0: c.delivery = negative ? -1 : 4; break;
    case 1: c.channel = negative ? -1 : WISP_CHANNEL(16); break;
    case 2: c.batching = negative ? -1 : 4; break;
    case 3: c.max_batch_size = -1; break;
    case 4: c.batch_priority = negative ? -1 : WISP_PRIORITY(1000); break;
    case 5: c.rate_limit = (double)NAN; break;
    case 6: c.rate_burst = -1; break;
    case 7: c.call_timeout = negative ? -1 : (double)NAN; break;
    default: c.call_tries = -1; break;
    }
    return c;
}

TEST(a_config_with_one_wrong_field_changes_nothing) {
    world w;
    wisp *end = alone(&w);
    for (int i = 0; i < 2 * FIELDS; i++) {
        wisp_config wrong = field_wrong(i / 2, i % 2 != 0);
        CHECK_EQ_INT(wisp_use_config(end, &wrong, "r"), WISP_E_ARGUMENT);
        CHECK_EQ_INT(wisp_use_config(end, &wrong, NULL), WISP_E_ARGUMENT);
        CHECK_EQ_INT(config_of(end, "r").batch_priority, WISP_PRIORITY(500));
    }
    world_close(&w);
}

TEST(no_endpoint_is_an_argument_error_everywhere) {
    wisp_config config = field_config(0, false);
    CHECK_EQ_INT(wisp_use_config(NULL, &config, "r"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_use_batching(NULL, true), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_unreliable(NULL, "r", true), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_batch_mode(NULL, "r", WISP_BATCH_NEVER), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_batch_priority(NULL, "r", 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_max_batch_size(NULL, 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_set_rate_limit(NULL, 1, "r"), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_remote_named(NULL, "r").id, 0);
    CHECK(wisp_remote_name(NULL, wisp_remote_named(NULL, "r")) == NULL);
}

TEST(batch_modes_set_the_delivery_and_the_last_call_wins) {
    world w;
    wisp *end = alone(&w);
    wisp_config both;
    wisp_set_batch_mode(end, "r", WISP_BATCH_UNRELIABLE);
    CHECK_EQ_INT(config_of(end, "r").delivery, WISP_UNRELIABLE);
    wisp_set_batch_mode(end, "r", WISP_BATCH_NEVER);
    CHECK_EQ_INT(config_of(end, "r").delivery, WISP_UNRELIABLE);
    wisp_set_batch_mode(end, "r", WISP_BATCH_RELIABLE);
    CHECK_EQ_INT(config_of(end, "r").delivery, WISP_RELIABLE);
    wisp_set_unreliable(end, "r", true);
    CHECK_EQ_INT(config_of(end, "r").delivery, WISP_UNRELIABLE);
    memset(&both, 0, sizeof both);
    both.batching = WISP_BATCH_RELIABLE;
    both.delivery = WISP_SEQUENCED;
    wisp_use_config(end, &both, "r");
    CHECK_EQ_INT(config_of(end, "r").delivery, WISP_SEQUENCED);
    world_close(&w);
}

TEST(the_default_burst_follows_the_limit) {
    world w;
    wisp *end = alone(&w);
    static const struct { double limit; int burst; } cases[] = {
        { 0.01, 25 }, { 0.05, 5 }, { 0.1, 3 }, { 0.125, 2 }, { 0.25, 1 }, { 1, 1 }, { 60, 1 },
        { 0.3, 1 }, { 0.001, 250 }
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        CHECK_EQ_INT(wisp_set_rate_limit(end, cases[i].limit, "r"), WISP_OK);
        CHECK_EQ_INT(config_of(end, "r").rate_burst, cases[i].burst);
    }
    CHECK_EQ_INT(wisp_set_rate_limit(end, 1e-300, "r"), WISP_OK);
    CHECK(config_of(end, "r").rate_burst > 1000);
    world_close(&w);
}

/* --- what peers know --- */

TEST(names_go_by_name_whatever_the_order_of_registration) {
    world_two t;
    char name[32];
    world_open(&t.w);
    world_two_join(&t);
    for (int i = 0; i < 50; i++) world_watch(&t.w, t.server, numbered(name, "r", i));
    for (int i = 49; i >= 0; i--) world_watch(&t.w, t.client, numbered(name, "r", i));
    for (int i = 0; i < 50; i += 7) {
        CHECK_EQ_INT(world_fire(t.client, numbered(name, "r", i), t.to_server, i), WISP_OK);
        CHECK_EQ_INT(world_fire(t.server, name, t.to_client, 100 + i), WISP_OK);
    }
    world_run(&t.w, 0.3);
    for (int i = 0; i < 50; i += 7) {
        CHECK_EQ_INT(world_last(&t.w, t.server, numbered(name, "r", i))->number, i);
        CHECK_EQ_INT(world_last(&t.w, t.client, name)->number, 100 + i);
    }
    CHECK_EQ_INT(t.w.note_count, 16);
    world_close(&t.w);
}

TEST(a_name_unknown_over_there_is_told_to_both_sides) {
    world_two t;
    world_two_open(&t);
    world_watch(&t.w, t.server, WISP_ERROR);
    CHECK_EQ_INT(world_fire(t.client, "nobody's", t.to_server, 1), WISP_OK);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), 1);
    CHECK_EQ_INT(world_last(&t.w, t.server, WISP_ERROR)->result, WISP_E_NO_REMOTE);
    CHECK_EQ_INT(world_last(&t.w, t.server, WISP_ERROR)->peer.id, t.to_client.id);
    CHECK_EQ_INT(world_remote_stats(t.client, "nobody's").unknown, 1);
    CHECK_EQ_INT(world_remote_stats(t.client, "nobody's").undeliverable, 0);
    CHECK_EQ_INT(world_fire(t.client, "nobody's", t.to_server, 2), WISP_E_NO_REMOTE);
    CHECK_EQ_INT(world_fire(t.client, "nobody's", t.to_server, 3), WISP_E_NO_REMOTE);
    CHECK_EQ_INT(world_remote_stats(t.client, "nobody's").undeliverable, 2);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), 1);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

TEST(a_name_unknown_to_one_peer_reaches_the_others) {
    world w;
    wisp *server, *knows, *lacks;
    wisp_value value = wisp_int(5);
    world_open(&w);
    server = world_add(&w);
    knows = world_add(&w);
    lacks = world_add(&w);
    world_join(&w, lacks, server);
    world_join(&w, knows, server);
    world_watch(&w, knows, "r");
    wisp_fire_values(server, "r", wisp_to_all(), &value, 1);
    world_run(&w, 0.5);
    CHECK_EQ_INT(wisp_fire_values(server, "r", wisp_to_all(), &value, 1), WISP_E_NO_REMOTE);
    world_run(&w, 0.5);
    CHECK_EQ_INT(world_count(&w, knows, "r"), 2);
    CHECK_EQ_INT(world_remote_stats(server, "r").unknown, 1);
    CHECK_EQ_INT(wisp_peers(lacks, NULL, 0), 1);
    world_close(&w);
}

TEST(a_name_that_is_registered_over_there_later_heals) {
    world_two t;
    world_two_open(&t);
    world_fire(t.client, "late", t.to_server, 1);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_fire(t.client, "late", t.to_server, 2), WISP_E_NO_REMOTE);
    world_watch(&t.w, t.server, "late");
    world_run(&t.w, 5);
    for (int i = 10; i < 13; i++)
        CHECK_EQ_INT(world_fire(t.client, "late", t.to_server, i), WISP_OK);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_count(&t.w, t.server, "late"), 3);
    CHECK(world_counts_up(&t.w, t.server, "late", 10));
    world_close(&t.w);
}

/* The packet with "unknown" is lost; the name is registered and announced; then "unknown" comes. */
TEST(a_name_heals_when_the_news_of_it_overtakes_the_complaint) {
    world_two t;
    world_open(&t.w);
    t.w.bad = true;
    world_two_join(&t);
    world_run(&t.w, 0.5);
    world_fire(t.client, "late", t.to_server, 1);
    t.w.sims[0].loss = 1;
    for (int i = 0; i < 10 && world_total(t.server).names_unknown == 0; i++) world_step(&t.w);
    CHECK_EQ_INT(world_total(t.server).names_unknown, 1);
    t.w.sims[0].loss = 0;
    world_watch(&t.w, t.server, "late");
    for (int i = 0; i < 10; i++) {         /* the announcement, and enough to show the loss */
        world_fire(t.server, "late", t.to_client, i);
        world_step(&t.w);
    }
    world_run(&t.w, 8);
    CHECK_EQ_INT(world_fire(t.client, "late", t.to_server, 2), WISP_OK);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_last(&t.w, t.server, "late")->number, 2);
    world_close(&t.w);
}

TEST(names_nobody_registered_make_nothing_grow) {
    world_two t;
    char name[32];
    uint64_t before, after;
    world_two_open(&t);
    world_run(&t.w, 1);
    before = world_total(t.server).memory;
    for (int i = 0; i < 900; i++) wisp_remote_named(t.client, numbered(name, "unheard of ", i));
    wisp_flush_batches(t.client);
    world_fire(t.client, "unheard of 0", t.to_server, 0);
    world_run(&t.w, 3);
    after = world_total(t.server).memory;
    CHECK_EQ_INT(world_total(t.server).names_unknown, 900);
    CHECK_EQ_INT(world_total(t.server).remotes, 0);
    CHECK(after - before < 40000);
    before = after;
    for (int round = 0; round < 3; round++) {       /* a session of the same kind takes no more */
        wisp_leave(t.client, t.to_server, "");
        world_run(&t.w, 3);
        t.to_server = world_join(&t.w, t.client, t.server);
        world_run(&t.w, 3);
    }
    after = world_total(t.server).memory;
    CHECK_EQ_INT(world_total(t.server).names_unknown, 3600);
    CHECK_EQ_INT(world_total(t.server).remotes, 0);
    CHECK(after < before + 20000);
    world_close(&t.w);
}

TEST(every_unknown_name_is_answered_however_many_come_at_once) {
    world_two t;
    char name[32];
    int unanswered = 0;
    world_open(&t.w);
    t.w.pipe.reliable = true;              /* so that no window spreads the announcements */
    t.w.desc.limits.remotes = 200;
    t.server = world_add(&t.w);
    t.w.desc.limits.remotes = 1000;
    t.client = world_add(&t.w);
    t.to_server = world_join(&t.w, t.client, t.server);
    for (int i = 0; i < 1000; i++) wisp_remote_named(t.client, numbered(name, "n", i));
    for (int i = 0; i < 1000; i += 9) world_fire(t.client, numbered(name, "n", i), t.to_server, i);
    world_run(&t.w, 5);
    for (int i = 0; i < 1000; i++) {
        const wisp__session *s = wisp__session_of(t.client, t.to_server);
        unanswered += s->peer_remotes[WISP__RESERVED + i].known != WISP__UNKNOWN;
    }
    CHECK_EQ_INT(unanswered, 0);
    world_close(&t.w);
}

TEST(a_number_beyond_the_limit_over_there_is_an_unknown_name) {
    world_two t;
    char name[32];
    world_open(&t.w);
    t.w.desc.limits.remotes = 10;
    t.server = world_add(&t.w);
    t.w.desc.limits.remotes = 100;
    t.client = world_add(&t.w);
    t.to_server = world_join(&t.w, t.client, t.server);
    world_watch(&t.w, t.server, "r5");
    world_watch(&t.w, t.server, "r50");
    for (int i = 0; i < 100; i++) wisp_remote_named(t.client, numbered(name, "r", i));
    world_fire(t.client, "r5", t.to_server, 1);
    world_fire(t.client, "r50", t.to_server, 1);
    world_run(&t.w, 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r5"), 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "r50"), 0);
    CHECK_EQ_INT(world_fire(t.client, "r50", t.to_server, 1), WISP_E_NO_REMOTE);
    world_close(&t.w);
}

/* Fires each of `count` remotes once in both directions and looks for all of them. */
static void check_all_reach(world_two *t, int count, double seconds) {
    char name[32];
    int missing = 0;
    for (int i = 0; i < count; i++) {
        CHECK_EQ_INT(world_fire(t->client, numbered(name, "r", i), t->to_server, i), WISP_OK);
        CHECK_EQ_INT(world_fire(t->server, name, t->to_client, i), WISP_OK);
    }
    world_run(&t->w, seconds);
    for (int i = 0; i < count; i++) {
        numbered(name, "r", i);
        missing += world_remote_stats(t->server, name).messages_received != 1;
        missing += world_remote_stats(t->client, name).messages_received != 1;
    }
    CHECK_EQ_INT(missing, 0);
}

TEST(more_remotes_than_one_packet_announces_all_work) {
    world_two t;
    char name[32];
    world_open(&t.w);
    t.server = world_add(&t.w);
    t.client = world_add(&t.w);
    for (int i = 0; i < 1000; i++) {
        wisp_connect_target(t.server, wisp_by_name(numbered(name, "r", i)), nothing, NULL, false);
        wisp_connect_target(t.client, wisp_by_name(name), nothing, NULL, false);
    }
    t.to_server = world_join(&t.w, t.client, t.server);
    t.to_client = world_peer(t.server, 0);
    check_all_reach(&t, 1000, 2);
    for (int i = 0; i < 1000; i++) {
        const wisp__session *s = wisp__session_of(t.client, t.to_server);
        CHECK_EQ_INT(s->peer_remotes[WISP__RESERVED + i].known, WISP__BOUND);
    }
    CHECK_EQ_INT(world_total(t.server).names_unknown, 0);
    world_close(&t.w);
}

TEST(remotes_registered_after_the_join_work) {
    world_two t;
    char name[32];
    world_two_open(&t);
    world_run(&t.w, 1);
    for (int i = 0; i < 300; i++) {
        wisp_connect_target(t.client, wisp_by_name(numbered(name, "r", i)), nothing, NULL, false);
        wisp_connect_target(t.server, wisp_by_name(name), nothing, NULL, false);
    }
    check_all_reach(&t, 300, 1);
    world_close(&t.w);
}

TEST(names_survive_loss_and_reordering) {
    world_two t;
    char name[32];
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.latency = 0.02;
    t.w.net.jitter = 0.03;
    t.w.net.loss = 0.25;
    t.w.net.duplicate = 0.1;
    t.w.net.seed = 7;
    world_two_join(&t);
    for (int i = 0; i < 200; i++) {
        wisp_connect_target(t.client, wisp_by_name(numbered(name, "r", i)), nothing, NULL, false);
        wisp_connect_target(t.server, wisp_by_name(name), nothing, NULL, false);
        if (i % 10 == 0) world_step(&t.w);
    }
    check_all_reach(&t, 200, 10);
    CHECK_EQ_INT(world_total(t.server).packets_malformed, 0);
    world_close(&t.w);
}

TEST(an_unreliable_message_can_be_read_though_its_announcement_is_new) {
    world_two t;
    world_two_open(&t);
    wisp_set_unreliable(t.client, "r", true);
    world_watch(&t.w, t.server, "r");
    world_run(&t.w, 0.5);
    wisp_set_unreliable(t.client, "fresh", true);
    world_watch(&t.w, t.server, "fresh");
    CHECK_EQ_INT(world_fire(t.client, "fresh", t.to_server, 9), WISP_OK);
    world_step(&t.w);
    world_step(&t.w);
    CHECK_EQ_INT(world_last(&t.w, t.server, "fresh")->number, 9);
    world_close(&t.w);
}

TEST(settings_are_local_to_each_side) {
    world_two t;
    world_two_open(&t);
    wisp_set_unreliable(t.client, "r", true);
    wisp_set_batch_priority(t.server, "r", 7);
    world_watch(&t.w, t.server, "r");
    world_watch(&t.w, t.client, "r");
    world_fire(t.client, "r", t.to_server, 1);
    world_fire(t.server, "r", t.to_client, 2);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_last(&t.w, t.server, "r")->number, 1);
    CHECK_EQ_INT(world_last(&t.w, t.client, "r")->number, 2);
    CHECK_EQ_INT(config_of(t.server, "r").delivery, WISP_RELIABLE);
    CHECK_EQ_INT(config_of(t.client, "r").batch_priority, WISP_PRIORITY(500));
    world_close(&t.w);
}

/* --- who chooses the form --- */

static const wisp_field stats_fields[] = { WISP_MAP_FIELD("hp", WISP_T_RANGE(0, 1000)) };
static const wisp_schema remote_stats_schema = WISP_MAP_SCHEMA("stats", 2, stats_fields);
static const char words[] = "the words that both ends know, of which a dictionary is made";

/* Every form that needs to be asked for, as a setting. */
typedef enum form_kind {
    RECORDS, CODEC, CODEC_BY_SCHEMA, DELTA, DELTA_OF_RECORDS, ADAPTIVE, SYNC, COMPRESSED_MODE,
    COMPRESSION, DICTIONARY, FORMS
} form_kind;

static wisp_config form_config(form_kind form) {
    wisp_config c;
    memset(&c, 0, sizeof c);
    if (form == RECORDS || form == CODEC_BY_SCHEMA || form == DELTA_OF_RECORDS ||
        form == ADAPTIVE) c.encode.schema = &remote_stats_schema;
    if (form == CODEC || form == CODEC_BY_SCHEMA) c.encode.codec = wisp_json();
    if (form >= DELTA && form <= SYNC) c.encode.mode = WISP_ENCODE_DELTA;
    if (form == ADAPTIVE) c.encode.adaptive = WISP_ON;
    if (form == SYNC) c.delta_sync = WISP_ON;
    if (form == COMPRESSED_MODE) c.encode.mode = WISP_ENCODE_COMPRESSED;
    if (form == COMPRESSION || form == DICTIONARY) c.encode.compression = WISP_COMPRESSION_AUTO;
    if (form == DICTIONARY) {
        c.encode.dictionary = words;
        c.encode.dictionary_bytes = (int)sizeof words;
    }
    return c;
}

/* What the refusal names. */
static const char *const form_knobs[FORMS] = {
    "encode.schema", "encode.codec", "encode.codec", "WISP_ENCODE_DELTA", "encode.schema",
    "encode.schema", "WISP_ENCODE_DELTA", "encode.compression", "encode.compression",
    "encode.dictionary",
};
static const char *const form_words[FORMS] = {
    "records, a schema of version 2", "the codec json", "a schema of version 2", "values, delta",
    "records, a schema of version 2, delta", "adaptive", "delta_sync", "compressed", "compressed",
    "compressed by a dictionary",
};

static wisp_config foreign_config(int foreign) {
    wisp_config c;
    memset(&c, 0, sizeof c);
    c.encode.foreign = foreign;
    return c;
}

/* Both listen to "stats" and to errors; nothing is set. */
static void forms_open(world_two *t) {
    world_two_open(t);
    world_watch(&t->w, t->server, "stats");
    world_watch(&t->w, t->client, "stats");
    world_watch(&t->w, t->server, WISP_ERROR);
    world_watch(&t->w, t->client, WISP_ERROR);
    world_run(&t->w, 0.2);
}

static wisp_result fire_stats(wisp *from, int hp) {
    wisp_pair pair = { "hp", wisp_int(hp) };
    wisp_value value = wisp_map(&pair, 1);
    return wisp_fire_values(from, "stats", wisp_to_all(), &value, 1);
}

/* Three values, of which the last can only be read if those before it could. */
static int stats_that_come(world_two *t, wisp *from, wisp *to) {
    int before = world_count(&t->w, to, "stats");
    for (int i = 0; i < 3; i++) {
        fire_stats(from, 100 * i + 7);
        world_run(&t->w, 0.2);
    }
    return world_count(&t->w, to, "stats") - before;
}

static int errors(world_two *t) { return world_count(&t->w, NULL, WISP_ERROR); }

static bool says(const world_note *note, const char *text) {
    return note && strstr(note->text, text) != NULL;
}

static void set_form(wisp *w, form_kind form, const char *name) {
    wisp_config c = form_config(form);
    CHECK_EQ_INT(wisp_use_config(w, &c, name), WISP_OK);
}

static void set_foreign(wisp *w, int foreign, const char *name) {
    wisp_config c = foreign_config(foreign);
    CHECK_EQ_INT(wisp_use_config(w, &c, name), WISP_OK);
}

/* The server knows the dictionary, of another name. */
static void know_words(wisp *w) { set_form(w, DICTIONARY, "other"); }

TEST(a_peer_that_joined_chooses_no_form) {
    for (int form = 0; form < FORMS; form++) {
        world_two t;
        const world_note *here, *there;
        int64_t learnt;
        forms_open(&t);
        if (form == DICTIONARY) {
            know_words(t.server);
            wisp_use_compression(t.server, WISP_COMPRESSION_AUTO, "stats");
        }
        set_form(t.client, (form_kind)form, "stats");
        CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 0);
        CHECK_EQ_INT(fire_stats(t.client, 1), WISP_E_NO_REMOTE);
        here = world_nth(&t.w, t.server, WISP_ERROR, 0);
        there = world_nth(&t.w, t.client, WISP_ERROR, 0);
        CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_UNSUPPORTED), 1);
        CHECK_EQ_INT(world_results(&t.w, t.client, WISP_ERROR, WISP_E_UNSUPPORTED), 1);
        CHECK(says(here, "stats: ") && says(there, "stats: "));
        CHECK(says(here, form_knobs[form]) && says(here, "encode.foreign"));
        if (!CHECK(says(here, form_words[form]) && says(there, form_words[form])))
            printf("  %d: '%s' '%s'\n", form, here ? here->text : "", there ? there->text : "");
        CHECK(says(there, "the other end does not take "));
        CHECK_EQ_INT(world_schemas(t.server, &learnt), 0);         /* nothing was compiled */
        CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
        world_close(&t.w);
    }
}

TEST(a_peer_that_joined_sends_the_forms_that_are_set_here) {
    for (int form = 0; form < FORMS; form++)
        for (int all = 0; all < 2; all++) {
            world_two t;
            if (all && form >= COMPRESSION) continue;     /* not inherited: it is for packets */
            forms_open(&t);
            set_form(t.server, (form_kind)form, all ? NULL : "stats");
            set_form(t.client, (form_kind)form, "stats");
            if (!CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3))
                printf("  form %d, all %d\n", form, all);
            CHECK_EQ_INT(errors(&t), 0);
            world_close(&t.w);
        }
}

TEST(with_foreign_a_peer_that_joined_sends_any_form) {
    for (int form = 0; form < FORMS; form++)
        for (int all = 0; all < 2; all++) {
            world_two t;
            forms_open(&t);
            if (form == DICTIONARY) know_words(t.server);
            set_foreign(t.server, WISP_ON, all ? NULL : "stats");
            set_form(t.client, (form_kind)form, "stats");
            if (!CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3))
                printf("  form %d, all %d\n", form, all);
            CHECK_EQ_INT(errors(&t), 0);
            world_close(&t.w);
        }
}

TEST(a_name_may_be_left_out_of_what_is_foreign) {
    world_two t;
    forms_open(&t);
    set_foreign(t.server, WISP_ON, NULL);
    set_foreign(t.server, WISP_OFF, "stats");
    set_form(t.client, RECORDS, "stats");
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 0);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_UNSUPPORTED), 1);
    world_close(&t.w);
}

/* A setting that is stronger, or another, is not the one that is needed. */
TEST(one_setting_does_not_stand_for_another) {
    for (int form = 0; form < FORMS; form++)
        for (int other = 0; other < FORMS; other++) {
            world_two t;
            wisp_config theirs = form_config((form_kind)form), ours = form_config((form_kind)other);
            bool compressed = theirs.encode.compression ||
                              theirs.encode.mode == WISP_ENCODE_COMPRESSED;
            bool taken = (!theirs.encode.schema || ours.encode.schema) &&
                         (!theirs.encode.codec || ours.encode.codec) &&
                         (theirs.encode.mode != WISP_ENCODE_DELTA ||
                          ours.encode.mode == WISP_ENCODE_DELTA) &&
                         (!theirs.encode.adaptive || ours.encode.adaptive) &&
                         (!theirs.delta_sync || ours.delta_sync) &&
                         (!compressed || ours.encode.compression ||
                          ours.encode.mode == WISP_ENCODE_COMPRESSED) &&
                         (!theirs.encode.dictionary || ours.encode.dictionary);
            forms_open(&t);
            know_words(t.server);
            set_form(t.server, (form_kind)other, "stats");
            set_form(t.client, (form_kind)form, "stats");
            if (!CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), taken ? 3 : 0))
                printf("  form %d, set %d\n", form, other);
            world_close(&t.w);
        }
}

TEST(the_end_that_joined_takes_what_its_server_describes) {
    for (int form = 0; form < FORMS; form++) {
        world_two t;
        forms_open(&t);
        if (form == DICTIONARY) know_words(t.client);
        set_form(t.server, (form_kind)form, "stats");
        if (!CHECK_EQ_INT(stats_that_come(&t, t.server, t.client), 3)) printf("  form %d\n", form);
        CHECK_EQ_INT(errors(&t), 0);
        world_close(&t.w);
    }
}

TEST(in_a_crossed_join_both_take_what_the_other_describes) {
    for (int order = 0; order < 6; order++) {
        world_two t;
        wisp_addr here, there;
        world_open(&t.w);
        t.w.desc.seed = (uint64_t)order + 1;
        t.server = world_add(&t.w);
        t.w.desc.seed = (uint64_t)order + 100;
        t.client = world_add(&t.w);
        here = world_addr(&t.w, t.server);
        there = world_addr(&t.w, t.client);
        world_watch(&t.w, t.server, "stats");
        world_watch(&t.w, t.client, "stats");
        world_watch(&t.w, t.server, WISP_ERROR);
        world_watch(&t.w, t.client, WISP_ERROR);
        wisp_join(t.server, &there, NULL, 0);
        wisp_join(t.client, &here, NULL, 0);
        world_run(&t.w, 1);
        CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
        CHECK_EQ_INT(wisp_peers(t.client, NULL, 0), 1);
        set_form(t.server, RECORDS, "stats");
        CHECK_EQ_INT(stats_that_come(&t, t.server, t.client), 3);
        set_form(t.server, DELTA, "stats");
        CHECK_EQ_INT(stats_that_come(&t, t.server, t.client), 3);
        wisp_use_config(t.server, NULL, "stats");
        set_form(t.client, CODEC, "stats");
        CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3);
        CHECK_EQ_INT(errors(&t), 0);
        world_close(&t.w);
    }
}

/* The other end is asked to announce it again. */
TEST(a_form_that_was_refused_comes_once_it_is_set) {
    for (int form = 0; form < FORMS; form++)
        for (int way = 0; way < 3; way++) {
            world_two t;
            forms_open(&t);
            know_words(t.server);
            set_form(t.client, (form_kind)form, "stats");
            CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 0);
            CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_UNSUPPORTED), 1);
            world_forget(&t.w);
            if (way == 0) set_form(t.server, (form_kind)form, "stats");
            else set_foreign(t.server, WISP_ON, way == 1 ? "stats" : NULL);
            world_run(&t.w, 0.3);
            if (!CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3))
                printf("  form %d, way %d\n", form, way);
            CHECK_EQ_INT(errors(&t), 0);
            world_close(&t.w);
        }
}

/* The name is not known when the form comes, and is registered together with its schema. */
TEST(a_form_of_an_unknown_name_comes_once_both_are_there) {
    world_two t;
    world_two_open(&t);
    set_form(t.client, RECORDS, "stats");
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 0);
    set_form(t.server, RECORDS, "stats");
    world_watch(&t.w, t.server, "stats");
    world_watch(&t.w, t.server, WISP_ERROR);
    world_run(&t.w, 1);
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3);
    CHECK_EQ_INT(errors(&t), 0);
    world_close(&t.w);
}

/* The complaint and the news that the form is taken by now may be lost, or overtake each other. */
TEST(a_form_that_was_refused_comes_over_a_bad_network_too) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        world_two t;
        int count = 0;
        world_open(&t.w);
        t.w.bad = true;
        t.w.net.loss = 0.3;
        t.w.net.latency = 0.03;
        t.w.net.reorder = 0.3;
        t.w.net.duplicate = 0.1;
        t.w.net.seed = 10 * seed;
        world_two_join(&t);
        world_watch(&t.w, t.server, "stats");
        set_form(t.client, DELTA_OF_RECORDS, "stats");
        fire_stats(t.client, 1);
        world_run(&t.w, 0.02 * (double)seed);
        set_form(t.server, DELTA_OF_RECORDS, "stats");
        for (int i = 0; i < 40 && !count; i++) {
            world_run(&t.w, 0.2);
            fire_stats(t.client, i);
            count = world_count(&t.w, t.server, "stats");
        }
        if (!CHECK(count > 0)) printf("  seed %d\n", (int)seed);
        world_close(&t.w);
    }
}

/* A schema whose description fits no packet is announced only ahead of a message. */
TEST(a_form_that_was_refused_comes_though_the_schema_here_is_large) {
    static wisp_field fields[200];
    static char names[200][24];
    wisp_schema large = remote_stats_schema;
    world_two t;
    wisp_config c = form_config(RECORDS);
    for (int i = 0; i < 200; i++) {
        wisp_field field = WISP_MAP_FIELD(names[i], WISP_T_BOOL);
        snprintf(names[i], sizeof names[i], "unused field %d", i);
        field.flags = WISP_FLAG_OPTIONAL;
        fields[i] = i ? field : stats_fields[0];
    }
    large.fields = fields;
    large.count = 200;
    forms_open(&t);
    set_form(t.client, RECORDS, "stats");
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 0);
    c.encode.schema = &large;
    CHECK_EQ_INT(wisp_use_config(t.server, &c, "stats"), WISP_OK);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3);
    world_close(&t.w);
}

TEST(a_setting_that_does_not_help_is_told_anew) {
    world_two t;
    forms_open(&t);
    set_form(t.client, DELTA_OF_RECORDS, "stats");
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 0);
    set_form(t.server, RECORDS, "stats");
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 0);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_UNSUPPORTED), 2);
    CHECK(says(world_nth(&t.w, t.server, WISP_ERROR, 1), "WISP_ENCODE_DELTA") ||
          says(world_last(&t.w, t.server, WISP_ERROR), "WISP_ENCODE_DELTA"));
    wisp_set_rate_limit(t.server, 0, "stats");            /* says nothing of forms */
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_UNSUPPORTED), 2);
    CHECK_EQ_INT(world_results(&t.w, t.client, WISP_ERROR, WISP_E_UNSUPPORTED), 1);
    set_form(t.server, DELTA_OF_RECORDS, "stats");
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3);
    world_close(&t.w);
}

/* The first form was taken; those that follow it are other numbers of the same name. */
TEST(a_form_that_is_taken_up_later_is_judged_and_announced_again_by_itself) {
    world_two t;
    forms_open(&t);
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3);
    set_form(t.client, RECORDS, "stats");
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 0);
    set_form(t.client, COMPRESSED_MODE, "stats");
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 0);
    set_foreign(t.server, WISP_ON, "stats");
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3);
    wisp_use_config(t.client, NULL, "stats");
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3);
    set_form(t.client, RECORDS, "stats");                 /* the one in between is taken as well */
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3);
    world_close(&t.w);
}

TEST(what_was_taken_goes_on_when_the_setting_is_taken_back) {
    world_two t;
    forms_open(&t);
    set_foreign(t.server, WISP_ON, "stats");
    set_form(t.client, RECORDS, "stats");
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3);
    set_foreign(t.server, WISP_OFF, "stats");
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 3);
    wisp_leave(t.client, t.to_server, "");
    world_run(&t.w, 3);
    t.to_server = world_join(&t.w, t.client, t.server);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(stats_that_come(&t, t.client, t.server), 0);
    world_close(&t.w);
}

TEST(calls_of_a_form_that_is_refused_end_with_a_code) {
    world_two t;
    wisp_call_desc desc;
    wisp_pair pair = { "hp", wisp_int(5) };
    wisp_value value = wisp_map(&pair, 1);
    forms_open(&t);
    set_form(t.client, RECORDS, "stats");
    memset(&desc, 0, sizeof desc);
    desc.on_reply = world_on;
    desc.user = &t.w;
    world_forget(&t.w);
    wisp_invoke_values(t.client, "stats", wisp_to_peer(t.to_server), &desc, &value, 1);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_results(&t.w, t.client, "stats", WISP_E_NO_REMOTE), 1);
    world_close(&t.w);
}

/* Of 3 peers those that hold to what is set are served. */
TEST(peers_that_hold_to_what_is_set_are_served_beside_others) {
    world w;
    wisp *server, *good, *bad;
    world_open(&w);
    server = world_add(&w);
    good = world_add(&w);
    bad = world_add(&w);
    world_watch(&w, server, "stats");
    wisp_set_rate_limit(server, 0, "stats");
    world_join(&w, good, server);
    world_join(&w, bad, server);
    set_form(bad, RECORDS, "stats");
    world_run(&w, 0.3);
    for (int i = 0; i < 5; i++) {
        fire_stats(bad, i);
        CHECK_EQ_INT(fire_stats(good, i), WISP_OK);
        world_run(&w, 0.1);
    }
    CHECK_EQ_INT(world_count(&w, server, "stats"), 5);
    world_close(&w);
}

TEST(foreign_is_a_switch_of_three_values) {
    world w;
    wisp *end = alone(&w);
    wisp_config c = foreign_config(3);
    CHECK_EQ_INT(wisp_use_config(end, &c, "a"), WISP_E_ARGUMENT);
    c = foreign_config(-1);
    CHECK_EQ_INT(wisp_use_config(end, &c, NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(config_of(end, "a").encode.foreign, WISP_OFF);
    set_foreign(end, WISP_ON, NULL);
    CHECK_EQ_INT(config_of(end, "a").encode.foreign, WISP_ON);
    set_foreign(end, WISP_OFF, "a");
    CHECK_EQ_INT(config_of(end, "a").encode.foreign, WISP_OFF);
    CHECK_EQ_INT(config_of(end, "b").encode.foreign, WISP_ON);
    CHECK_EQ_INT(wisp_use_config(end, NULL, "a"), WISP_OK);
    CHECK_EQ_INT(config_of(end, "a").encode.foreign, WISP_ON);
    world_close(&w);
}

static const test_case tests[] = {
    CASE(names_of_1_and_128_bytes_work),
    CASE(bad_names_are_refused_by_every_call),
    CASE(names_that_only_look_reserved_are_free),
    CASE(reserved_names_can_only_be_listened_to),
    CASE(a_name_has_one_handle_and_a_handle_one_name),
    CASE(a_thousand_names_are_told_apart),
    CASE(a_call_that_fails_registers_no_name),
    CASE(the_limit_of_remotes_is_a_code_and_names_its_knob),
    CASE(every_setting_has_its_default),
    CASE(each_field_is_inherited_by_itself),
    CASE(null_config_makes_each_field_inherit_again),
    CASE(fields_set_one_after_the_other_add_up),
    CASE(a_setting_of_one_remote_is_not_one_of_another),
    CASE(setters_set_what_they_say),
    CASE(setters_take_plain_values_after_the_name),
    CASE(a_delivery_in_the_place_of_a_switch_is_logged),
    CASE(setters_refuse_what_is_out_of_range_and_change_nothing),
    CASE(a_config_with_one_wrong_field_changes_nothing),
    CASE(no_endpoint_is_an_argument_error_everywhere),
    CASE(batch_modes_set_the_delivery_and_the_last_call_wins),
    CASE(the_default_burst_follows_the_limit),
    CASE(names_go_by_name_whatever_the_order_of_registration),
    CASE(a_name_unknown_over_there_is_told_to_both_sides),
    CASE(a_name_unknown_to_one_peer_reaches_the_others),
    CASE(a_name_that_is_registered_over_there_later_heals),
    CASE(a_name_heals_when_the_news_of_it_overtakes_the_complaint),
    CASE(names_nobody_registered_make_nothing_grow),
    CASE(every_unknown_name_is_answered_however_many_come_at_once),
    CASE(a_number_beyond_the_limit_over_there_is_an_unknown_name),
    CASE(more_remotes_than_one_packet_announces_all_work),
    CASE(remotes_registered_after_the_join_work),
    CASE(names_survive_loss_and_reordering),
    CASE(an_unreliable_message_can_be_read_though_its_announcement_is_new),
    CASE(settings_are_local_to_each_side),
    CASE(a_peer_that_joined_chooses_no_form),
    CASE(a_peer_that_joined_sends_the_forms_that_are_set_here),
    CASE(with_foreign_a_peer_that_joined_sends_any_form),
    CASE(a_name_may_be_left_out_of_what_is_foreign),
    CASE(one_setting_does_not_stand_for_another),
    CASE(the_end_that_joined_takes_what_its_server_describes),
    CASE(in_a_crossed_join_both_take_what_the_other_describes),
    CASE(a_form_that_was_refused_comes_once_it_is_set),
    CASE(a_form_of_an_unknown_name_comes_once_both_are_there),
    CASE(a_form_that_was_refused_comes_over_a_bad_network_too),
    CASE(a_form_that_was_refused_comes_though_the_schema_here_is_large),
    CASE(a_setting_that_does_not_help_is_told_anew),
    CASE(a_form_that_is_taken_up_later_is_judged_and_announced_again_by_itself),
    CASE(what_was_taken_goes_on_when_the_setting_is_taken_back),
    CASE(calls_of_a_form_that_is_refused_end_with_a_code),
    CASE(peers_that_hold_to_what_is_set_are_served_beside_others),
    CASE(foreign_is_a_switch_of_three_values),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
