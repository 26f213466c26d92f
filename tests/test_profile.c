/* test_profile.c - the profiler: what passed is what it tells, here, over there, and as JSON */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/orbs.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"

#include <stdlib.h>

static const wisp_profiler plain = { NULL, NULL, NULL };

/* A server that has turned its profiler on, and a client that has too. */
static void profiled_open(world_two *t) {
    world_two_open_foreign(t);
    CHECK_EQ_INT(wisp_use_profiler(t->server, &plain), WISP_OK);
    CHECK_EQ_INT(wisp_use_profiler(t->client, &plain), WISP_OK);
}

static wisp_remote_profile remote_of(const wisp *end, const char *name) {
    wisp_remote_profile profile;
    memset(&profile, 0, sizeof profile);
    CHECK_EQ_INT(wisp_profile_remote(end, name, &profile), WISP_OK);
    return profile;
}

static wisp_peer_profile peer_of(const wisp *end, wisp_peer peer) {
    wisp_peer_profile profile;
    memset(&profile, 0, sizeof profile);
    CHECK_EQ_INT(wisp_profile_peer(end, peer, &profile), WISP_OK);
    return profile;
}

static wisp_snapshot *snapshot_of(const wisp *end, const char *filter) {
    static wisp_snapshot snapshot;
    memset(&snapshot, 0xa5, sizeof snapshot);
    CHECK_EQ_INT(wisp_snapshot_take(end, filter, &snapshot), WISP_OK);
    return &snapshot;
}

static int drops_in_all(const uint32_t drops[WISP_DROPS]) {
    uint32_t all = 0;
    for (int i = 0; i < WISP_DROPS; i++) all += drops[i];
    return (int)all;
}

/* --- what passed --- */

/* The records of objects are the messages of their class; those that wait are its queue. */
TEST(a_class_has_its_records_and_objects) {
    orbs t;
    wisp_profiler none;
    wisp_remote_profile out, in;
    memset(&none, 0, sizeof none);
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    CHECK_EQ_INT(wisp_use_profiler(t.server, &none), WISP_OK);
    CHECK_EQ_INT(wisp_use_profiler(t.ends[0], &none), WISP_OK);
    world_run(&t.w, 0.3);
    for (int i = 0; i < 20; i++) orbs_spawn(&t, (float)i, "orb");
    out = snapshot_of(t.server, "orb")->remotes[0];
    CHECK(out.is_class && out.out.messages == 0);
    CHECK_EQ_INT(out.priority, 500);
    world_run(&t.w, 0.5);
    out = snapshot_of(t.server, "orb")->remotes[0];
    in = snapshot_of(t.ends[0], "orb")->remotes[0];
    CHECK(out.is_class && in.is_class);
    CHECK(out.objects == 20 && in.objects == 20 && out.queued == 0);
    CHECK(out.out.messages == 20 && in.in.messages == 20);
    CHECK(in.in.bytes > 20 * 8 && out.out.bytes > in.in.bytes);
    t.server->objects.classes[0]->rate = 1;            /* a second from one to the next */
    for (wisp_object o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o))
        ((orb *)wisp_object_edit(t.server, o))->x += 0.5f;
    world_run(&t.w, 0.2);
    out = snapshot_of(t.server, "orb")->remotes[0];
    CHECK(out.queued == 20 && out.queued_seconds > 0.1f);
    world_run(&t.w, 1);
    CHECK_EQ_INT(snapshot_of(t.server, "orb")->remotes[0].queued, 0);
    wisp_despawn(t.server, wisp_first(t.server, t.of_server));
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(snapshot_of(t.ends[0], "orb")->remotes[0].objects, 19);
    CHECK(!snapshot_of(t.server, "wisp")->remotes[0].is_class);
    world_close(&t.w);
}

TEST(both_ends_tell_the_same_bytes) {
    world_two t;
    wisp_value values[3];
    wisp_remote_profile out, in;
    uint8_t blob[90] = { 1 };
    profiled_open(&t);
    world_watch(&t.w, t.server, "hp");
    values[0] = wisp_int(5);
    values[1] = wisp_string("twelve bytes");
    values[2] = wisp_bytes(blob, sizeof blob);
    for (int i = 0; i < 20; i++)
        CHECK_EQ_INT(wisp_fire_values(t.client, "hp", wisp_to_peer(t.to_server), values, 3), 0);
    world_run(&t.w, 0.5);
    out = remote_of(t.client, "hp");
    in = remote_of(t.server, "hp");
    CHECK_EQ_STR(out.name, "hp");
    CHECK_EQ_INT(out.out.messages, 20);
    CHECK_EQ_INT(in.in.messages, 20);
    CHECK_EQ_INT(out.out.bytes_raw, 20 * (8 + 12 + 90));
    CHECK_EQ_INT(in.in.bytes_raw, 20 * (8 + 12 + 90));
    CHECK_EQ_INT(out.out.bytes, (world_remote_stats(t.client, "hp").bits_sent + 7) / 8);
    CHECK_EQ_INT(in.in.bytes, out.out.bytes);
    CHECK_EQ_INT(out.out.bytes_packed, out.out.bytes);
    CHECK_EQ_INT(in.in.bytes_packed, out.out.bytes);
    CHECK_EQ_INT(out.in.messages + in.out.messages + out.in.bytes_raw + in.out.bytes, 0);
    CHECK_EQ_INT(drops_in_all(out.drops) + drops_in_all(in.drops), 0);
    world_close(&t.w);
}

TEST(every_kind_of_value_has_its_size_in_memory) {
    static const struct { int bytes; } one = { 3 };
    static const wisp_field fields[] = { { "bytes", WISP_T_INT32, 0, 4, 0, 0, 0, 0, NULL, 0 } };
    static const wisp_schema schema = { "one", 1, 4, fields, 1, WISP_SHAPE_STRUCT, NULL };
    wisp_vec3 at = { 1, 2, 3 };
    wisp_quat turn = { 0, 0, 0, 1 };
    wisp_object object = { 9 };
    wisp_value list[3], all;
    wisp_pair pairs[2];
    struct { wisp_value value; int bytes; } table[19];
    int count = 0;
#define SIZE(v, n) table[count].value = (v), table[count++].bytes = (n)
    SIZE(wisp_nil(), 0);
    SIZE(wisp_bool(true), 1);
    SIZE(wisp_int(-1), 8);
    SIZE(wisp_uint(1), 8);
    SIZE(wisp_float(1), 4);
    SIZE(wisp_number(1), 8);
    SIZE(wisp_string("four"), 4);
    SIZE(wisp_string(""), 0);
    SIZE(wisp_bytes("ab", 2), 2);
    SIZE(wisp_vec2v(1, 2), 8);
    SIZE(wisp_vec3v(1, 2, 3), 12);
    SIZE(wisp_vec4v(1, 2, 3, 4), 16);
    SIZE(wisp_quatv(0, 0, 0, 1), 16);
    SIZE(wisp_transformv(at, turn), 28);
    SIZE(wisp_color3(1, 1, 1), 16);
    SIZE(wisp_reference(object), 4);
    SIZE(wisp_struct(&schema, &one), 4);
    list[0] = wisp_int(1), list[1] = wisp_string("abc"), list[2] = wisp_bool(false);
    SIZE(wisp_array(list, 3), 12);
    pairs[0].key = "hp", pairs[0].value = wisp_array(list, 3);
    pairs[1].key = "x", pairs[1].value = wisp_nil();
    SIZE(wisp_map(pairs, 2), 15);
#undef SIZE
    for (int i = 0; i < count; i++)
        CHECK_EQ_INT(wisp__values_bytes(&table[i].value, 1), table[i].bytes);
    all = wisp_array(list, 0);
    CHECK_EQ_INT(wisp__values_bytes(&all, 1), 0);
    CHECK_EQ_INT(wisp__values_bytes(NULL, 0), 0);
}

typedef struct profile_hero { int32_t hp; float speed; char name[20]; } profile_hero;

static const wisp_field profile_hero_fields[] = {
    WISP_FIELD(profile_hero, hp, WISP_T_RANGE(0, 1023)),
    WISP_FIELD(profile_hero, speed, WISP_T_NUMBER),
    WISP_FIELD(profile_hero, name, WISP_T_STRING(19)),
};
static const wisp_schema profile_hero_schema = WISP_SCHEMA(profile_hero, 1, profile_hero_fields);

TEST(packing_shows_in_bytes_before_and_after) {
    world_two t;
    wisp_config config;
    static profile_hero h;
    wisp_value value = wisp_struct(&profile_hero_schema, &h);
    wisp_remote_profile out, in;
    memset(&h, 0, sizeof h);
    memset(&config, 0, sizeof config);
    config.encode.schema = &profile_hero_schema;
    profiled_open(&t);
    CHECK_EQ_INT(wisp_use_config(t.client, &config, "hero"), WISP_OK);
    world_watch(&t.w, t.server, "hero");
    for (int i = 0; i < 50; i++) {
        h.hp = i;
        wisp_fire_values(t.client, "hero", wisp_to_peer(t.to_server), &value, 1);
    }
    world_run(&t.w, 0.5);
    out = remote_of(t.client, "hero");
    in = remote_of(t.server, "hero");
    CHECK_EQ_INT(out.out.bytes_raw, 50 * sizeof h);
    CHECK(out.out.bytes_packed < out.out.bytes_raw / 3);
    CHECK_EQ_INT(out.out.bytes_packed, out.out.bytes);
    CHECK_EQ_INT(in.in.bytes, out.out.bytes);
    CHECK(in.in.bytes_raw > out.out.bytes_packed);
    world_close(&t.w);
}

TEST(compression_of_messages_shows_on_both_ends) {
    world_two t;
    wisp_config config;
    uint8_t blob[2000] = { 0 };
    wisp_value value = wisp_bytes(blob, sizeof blob);
    wisp_remote_profile out, in;
    memset(&config, 0, sizeof config);
    config.encode.compression = WISP_COMPRESSION_AUTO;
    profiled_open(&t);
    CHECK_EQ_INT(wisp_use_config(t.client, &config, "map"), WISP_OK);
    world_watch(&t.w, t.server, "map");
    for (int i = 0; i < 10; i++)
        wisp_fire_values(t.client, "map", wisp_to_peer(t.to_server), &value, 1);
    world_run(&t.w, 0.5);
    out = remote_of(t.client, "map");
    in = remote_of(t.server, "map");
    CHECK_EQ_INT(out.out.messages, 10);
    CHECK_EQ_INT(out.out.bytes_raw, 20000);
    CHECK(out.out.bytes_packed >= 20000 && out.out.bytes_packed < 20100);
    CHECK(out.out.bytes < 2000);
    CHECK_EQ_INT(in.in.bytes_raw, out.out.bytes_raw);
    CHECK_EQ_INT(in.in.bytes_packed, out.out.bytes_packed);
    CHECK_EQ_INT(in.in.bytes, out.out.bytes);
    world_close(&t.w);
}

TEST(compression_of_packets_shows_on_both_ends) {
    world_two t;
    uint8_t blob[400] = { 0 };
    wisp_value value = wisp_bytes(blob, sizeof blob);
    wisp_peer_profile out, in;
    profiled_open(&t);
    CHECK_EQ_INT(wisp_use_compression(t.client, WISP_COMPRESSION_AUTO, NULL), WISP_OK);
    world_watch(&t.w, t.server, "map");
    for (int i = 0; i < 40; i++) {
        wisp_fire_values(t.client, "map", wisp_to_peer(t.to_server), &value, 1);
        world_step(&t.w);
    }
    world_run(&t.w, 0.5);
    out = peer_of(t.client, t.to_server);
    in = peer_of(t.server, t.to_client);
    CHECK_EQ_INT(out.out.messages, 40);
    CHECK_EQ_INT(out.out.bytes_raw, 40 * 400);
    CHECK(out.out.bytes_packed > 40 * 400 && out.out.bytes < 40 * 100);
    CHECK_EQ_INT(in.in.bytes, out.out.bytes);
    CHECK_EQ_INT(in.in.bytes_packed, out.out.bytes_packed);
    CHECK_EQ_INT(in.in.bytes_raw, out.out.bytes_raw);
    CHECK_EQ_INT(snapshot_of(t.client, NULL)->out.bytes_packed, out.out.bytes_packed);
    CHECK_EQ_INT(snapshot_of(t.server, NULL)->in.bytes_packed, in.in.bytes_packed);
    world_close(&t.w);
}

TEST(differences_count_whole_values_as_raw) {
    world_two t;
    static profile_hero h;
    wisp_value value = wisp_struct(&profile_hero_schema, &h);
    wisp_remote_profile out, in;
    memset(&h, 0, sizeof h);
    memcpy(h.name, "a name", 7);
    profiled_open(&t);
    CHECK_EQ_INT(wisp_use_delta(t.client, &profile_hero_schema, "hero"), WISP_OK);
    world_watch(&t.w, t.server, "hero");
    for (int i = 0; i < 100; i++) {
        h.hp = i / 2;                            /* every second one is nothing new */
        wisp_fire_values(t.client, "hero", wisp_to_peer(t.to_server), &value, 1);
        world_step(&t.w);
    }
    world_run(&t.w, 0.5);
    out = remote_of(t.client, "hero");
    in = remote_of(t.server, "hero");
    CHECK_EQ_INT(out.out.messages, 50);
    CHECK_EQ_INT(out.out.bytes_raw, 50 * sizeof h);
    CHECK(out.out.bytes < 50 * 4);
    CHECK_EQ_INT(in.in.messages, 50);
    CHECK_EQ_INT(in.in.bytes, out.out.bytes);
    world_close(&t.w);
}

TEST(peers_and_totals_agree_with_the_counters) {
    world_two t;
    wisp_peer_profile out;
    wisp_total_stats before, after;
    wisp_peer_stats peer_before, peer_after;
    const wisp_snapshot *s;
    world_two_open(&t);
    world_watch(&t.w, t.server, "hp");
    for (int i = 0; i < 30; i++) world_fire(t.client, "hp", t.to_server, i);
    world_run(&t.w, 0.5);
    before = world_total(t.client);
    peer_before = world_peer_stats(t.client, t.to_server);
    CHECK_EQ_INT(wisp_use_profiler(t.client, &plain), WISP_OK);
    for (int i = 0; i < 70; i++) world_fire(t.client, "hp", t.to_server, i);
    world_run(&t.w, 3.5);
    after = world_total(t.client);
    peer_after = world_peer_stats(t.client, t.to_server);
    out = peer_of(t.client, t.to_server);
    CHECK_EQ_INT(out.id, t.to_server.id);
    CHECK_EQ_STR(out.address, "");
    CHECK_EQ_INT(out.out.messages, 70);
    CHECK_EQ_INT(out.out.bytes, peer_after.bytes_sent - peer_before.bytes_sent);
    CHECK_EQ_INT(out.in.bytes, peer_after.bytes_received - peer_before.bytes_received);
    CHECK_EQ_INT(out.out.bytes_raw, 70 * 8);
    CHECK_NEAR(out.rtt, peer_after.rtt, 1e-6);
    CHECK_NEAR(out.jitter, peer_after.rtt_variation, 1e-6);
    CHECK_EQ_INT(out.congestion_window, peer_after.congestion_window);
    CHECK_EQ_INT(out.mtu, peer_after.mtu);
    CHECK(out.mtu > 0 && out.rtt_min > 0 && out.rtt_min <= out.rtt);
    CHECK_NEAR(out.rtt_min, peer_after.rtt_min, 1e-6);
    CHECK_NEAR(out.delivery_rate, peer_after.delivery_rate, 1 + 1e-6 * (double)out.delivery_rate);
    s = snapshot_of(t.client, NULL);
    CHECK_EQ_STR(s->app, "test");
    CHECK_NEAR(s->time, t.w.now, 0);
    CHECK_NEAR(s->seconds, 3.5, 1e-6);
    CHECK_EQ_INT(s->out.messages, 70);
    CHECK_EQ_INT(s->out.bytes_raw, 70 * 8);
    CHECK_EQ_INT(s->out.bytes, after.bytes_sent - before.bytes_sent);
    CHECK_EQ_INT(s->in.bytes, after.bytes_received - before.bytes_received);
    CHECK_EQ_INT(s->memory, after.memory);
    CHECK_EQ_INT(s->peers_joined, 1);
    CHECK_EQ_INT(s->remotes_known, after.remotes);
    CHECK_EQ_INT(s->peer_count, 1);
    CHECK_EQ_INT(s->remote_count, 1);
    CHECK_EQ_INT(s->peers[0].out.bytes, out.out.bytes);
    CHECK_EQ_STR(s->remotes[0].name, "hp");
    CHECK_EQ_INT(s->remotes[0].out.messages, 70);
    world_close(&t.w);
}

TEST(the_history_has_every_byte_in_its_second) {
    world_two t;
    wisp_total_stats begin, last, now;
    const wisp_snapshot *s;
    world_open(&t.w);
    t.w.step = 0.125;                            /* whole seconds are met exactly */
    world_two_join(&t);
    world_watch(&t.w, t.server, "hp");
    CHECK_EQ_INT(wisp_use_profiler(t.client, &plain), WISP_OK);
    begin = last = world_total(t.client);
    for (int second = 0; second < 130; second++) {
        for (int i = 0; i < second % 7; i++) world_fire(t.client, "hp", t.to_server, i);
        world_run(&t.w, 1);
        now = world_total(t.client);
        s = snapshot_of(t.client, NULL);
        CHECK_EQ_INT(s->sample_count, second < 119 ? second + 1 : 120);
        CHECK_NEAR(s->samples[s->sample_count - 1].bytes_out, now.bytes_sent - last.bytes_sent, 0);
        CHECK_NEAR(s->samples[s->sample_count - 1].bytes_in,
                   now.bytes_received - last.bytes_received, 0);
        CHECK_NEAR(s->samples[s->sample_count - 1].messages_out, second % 7, 0);
        CHECK_NEAR(s->out.bytes_per_second, s->samples[s->sample_count - 1].bytes_out, 0);
        CHECK_NEAR(s->remotes[0].out.messages_per_second, second % 7, 0);
        CHECK_NEAR(s->peers[0].out.messages_per_second, second % 7, 0);
        last = now;
    }
    CHECK(last.bytes_sent > begin.bytes_sent);
    CHECK(s->samples[0].rtt > 0 && s->samples[0].loss <= 0);
    world_close(&t.w);
}

TEST(a_leap_of_the_clock_leaves_a_gap_in_the_history) {
    world_two t;
    const wisp_snapshot *s;
    profiled_open(&t);
    world_run(&t.w, 3.05);
    CHECK_EQ_INT(snapshot_of(t.client, NULL)->sample_count, 3);
    t.w.now += 60;
    world_step(&t.w);
    s = snapshot_of(t.client, NULL);
    CHECK_EQ_INT(s->sample_count, 63);
    for (int i = 4; i < 63; i++) CHECK_NEAR(s->samples[i].bytes_out, 0, 0);
    CHECK_NEAR(s->seconds, 63.06, 1e-6);
    world_close(&t.w);
}

TEST(a_profiler_turned_on_before_the_first_update_begins_with_it) {
    world w;
    wisp *end;
    world_open(&w);
    end = world_add(&w);
    CHECK_EQ_INT(wisp_use_profiler(end, &plain), WISP_OK);
    CHECK_NEAR(snapshot_of(end, NULL)->seconds, 0, 0);
    w.now = 1e6;
    world_run(&w, 2.005);
    CHECK_EQ_INT(snapshot_of(end, NULL)->sample_count, 1);
    CHECK_NEAR(snapshot_of(end, NULL)->seconds, 2, 0.02);
    world_close(&w);
}

TEST(loss_shows_in_peers_and_history) {
    world_two t;
    wisp_peer_profile out;
    const wisp_snapshot *s;
    double most = 0;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.seed = 5;
    t.w.net.loss = 0.2;
    t.w.net.latency = 0.02;
    world_two_join(&t);
    wisp_use_profiler(t.client, &plain);
    world_watch(&t.w, t.server, "n");
    for (int i = 0; i < 1000; i++) {
        world_fire(t.client, "n", t.to_server, i);
        world_step(&t.w);
    }
    out = peer_of(t.client, t.to_server);
    CHECK_NEAR(out.loss, 0.2, 0.12);
    CHECK_EQ_INT(out.drops[WISP_DROP_LOST], world_peer_stats(t.client, t.to_server).packets_lost);
    s = snapshot_of(t.client, NULL);
    CHECK_EQ_INT(s->drops[WISP_DROP_LOST], out.drops[WISP_DROP_LOST]);
    for (uint32_t i = 0; i < s->sample_count; i++)
        most = wisp__max(most, (double)s->samples[i].loss);
    CHECK(most > 0.1 && most < 0.6);
    wisp_leave(t.client, t.to_server, "");
    world_run(&t.w, 3);
    CHECK(snapshot_of(t.client, NULL)->drops[WISP_DROP_LOST] > 0);
    world_close(&t.w);
}

/* --- calls and handlers --- */

typedef struct callee { wisp_call held; double clock; } callee;

static void on_profile_double(wisp_event *event) {
    wisp_value twice = wisp_int(2 * wisp_arg_int(event, 0));
    wisp_reply_values(event, &twice, 1);
}

static void on_profile_later(wisp_event *event) {
    ((callee *)event->user)->held = wisp_defer(event);
}

static void on_profile_no(wisp_event *event) { wisp_refuse(event, WISP_E_USER, "no"); }
static void on_profile_refuse(wisp_event *event) { wisp_fail(event, WISP_E_USER, "no"); }

static wisp_call call_of(world_two *t, const char *name, double timeout) {
    wisp_value value = wisp_int(4);
    wisp_call_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.on_reply = world_on;
    desc.user = &t->w;
    desc.timeout = timeout;
    return wisp_invoke_values(t->client, name, wisp_to_peer(t->to_server), &desc, &value, 1);
}

TEST(calls_are_counted_by_how_they_ended) {
    world_two t;
    callee c;
    wisp_remote_profile later, twice, refuse;
    wisp_peer_profile peer;
    memset(&c, 0, sizeof c);
    profiled_open(&t);
    wisp_on_invoke_target(t.server, wisp_by_name("double"), on_profile_double, NULL);
    wisp_on_invoke_target(t.server, wisp_by_name("later"), on_profile_later, &c);
    wisp_on_invoke_target(t.server, wisp_by_name("refuse"), on_profile_refuse, NULL);
    wisp_on_invoke_target(t.server, wisp_by_name("no"), on_profile_no, NULL);
    world_run(&t.w, 0.1);
    for (int i = 0; i < 5; i++) call_of(&t, "double", 0);
    call_of(&t, "refuse", 0);
    call_of(&t, "nothing", 0);
    call_of(&t, "later", 0);
    wisp_cancel(t.client, call_of(&t, "later", 0));
    call_of(&t, "later", 0.5);
    world_run(&t.w, 1);
    twice = remote_of(t.client, "double");
    refuse = remote_of(t.client, "refuse");
    later = remote_of(t.client, "later");
    CHECK_EQ_INT(twice.calls_sent, 5);
    CHECK_EQ_INT(twice.calls_answered, 5);
    CHECK_EQ_INT(twice.calls_failed, 0);
    CHECK_EQ_INT(twice.latency.count, 5);
    CHECK_EQ_INT(remote_of(t.server, "double").calls_received, 5);
    CHECK_EQ_INT(refuse.calls_answered, 0);
    CHECK_EQ_INT(refuse.calls_failed, 1);
    CHECK_EQ_INT(later.calls_sent, 3);
    CHECK_EQ_INT(later.calls_failed, 2);
    CHECK_EQ_INT(remote_of(t.client, "nothing").calls_failed, 1);
    peer = peer_of(t.client, t.to_server);
    CHECK_EQ_INT(peer.calls_sent, 10);
    CHECK_EQ_INT(peer.calls_answered, 5);
    CHECK_EQ_INT(peer.calls_failed, 4);
    CHECK_EQ_INT(peer_of(t.server, t.to_client).calls_received, 10);
    CHECK_EQ_INT(snapshot_of(t.client, NULL)->calls_pending, 1);
    CHECK_EQ_INT(snapshot_of(t.client, NULL)->latency.count, 9);
    call_of(&t, "no", 0);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(remote_of(t.client, "no").calls_answered, 1);      /* a refusal is an answer */
    CHECK_EQ_INT(remote_of(t.client, "no").calls_failed, 0);
    wisp_leave(t.client, t.to_server, "");
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(remote_of(t.client, "later").calls_failed, 3);
    world_close(&t.w);
}

TEST(latency_is_from_the_call_to_its_answer) {
    world_two t;
    callee c;
    wisp_remote_profile later;
    memset(&c, 0, sizeof c);
    profiled_open(&t);
    wisp_on_invoke_target(t.server, wisp_by_name("later"), on_profile_later, &c);
    for (int i = 0; i < 100; i++) {
        double wait = i < 89 ? 0.05 : 1.0;
        call_of(&t, "later", 0);
        world_run(&t.w, wait);
        CHECK_EQ_INT(wisp_answer(t.server, c.held, NULL, 0), WISP_OK);
        world_run(&t.w, 0.05);
    }
    later = remote_of(t.client, "later");
    CHECK_EQ_INT(later.latency.count, 100);
    CHECK_NEAR(later.latency.p50, 0.065, 0.02);
    CHECK_NEAR(later.latency.p90, 1.015, 0.12);
    CHECK_NEAR(later.latency.p99, 1.015, 0.12);
    CHECK_NEAR(later.latency.max, 1.015, 0.02);
    CHECK_NEAR(later.latency.mean, 0.89 * 0.065 + 0.11 * 1.015, 0.02);
    world_close(&t.w);
}

TEST(a_call_from_before_the_profiler_has_no_latency) {
    world_two t;
    callee c;
    wisp_remote_profile later;
    memset(&c, 0, sizeof c);
    world_two_open(&t);
    wisp_on_invoke_target(t.server, wisp_by_name("later"), on_profile_later, &c);
    call_of(&t, "later", 0);
    world_run(&t.w, 0.1);
    wisp_use_profiler(t.client, &plain);
    wisp_answer(t.server, c.held, NULL, 0);
    world_run(&t.w, 0.1);
    later = remote_of(t.client, "later");
    CHECK_EQ_INT(later.calls_sent, 0);
    CHECK_EQ_INT(later.calls_answered, 1);
    CHECK_EQ_INT(later.latency.count, 0);
    world_close(&t.w);
}

/* A clock that only its handlers move. */
static double clock_of(void *user) { return ((callee *)user)->clock; }

static void on_slow(wisp_event *event) {
    ((callee *)event->user)->clock += 0.001 * (double)wisp_arg_int(event, 0);
}

static void on_slow_call(wisp_event *event) { ((callee *)event->user)->clock += 0.5; }

TEST(handlers_are_timed_by_the_clock_that_is_given) {
    world_two t;
    callee c;
    wisp_profiler profiler = { NULL, NULL, NULL };
    wisp_remote_profile slow;
    memset(&c, 0, sizeof c);
    world_two_open(&t);
    c.clock = 7;
    profiler.clock = clock_of;
    profiler.user = &c;
    CHECK_EQ_INT(wisp_use_profiler(t.server, &profiler), WISP_OK);
    CHECK_EQ_INT(wisp_use_profiler(t.client, &plain), WISP_OK);
    wisp_connect_target(t.server, wisp_by_name("slow"), on_slow, &c, false);
    wisp_connect_target(t.server, wisp_by_name("slow"), on_slow, &c, false);
    wisp_on_invoke_target(t.server, wisp_by_name("call"), on_slow_call, &c);
    for (int i = 0; i <= 10; i++) world_fire(t.client, "slow", t.to_server, i);
    call_of(&t, "call", 0);
    world_run(&t.w, 0.5);
    slow = remote_of(t.server, "slow");
    CHECK_EQ_INT(slow.handlers.count, 11);
    CHECK_NEAR(slow.handlers.max, 0.02, 1e-6);
    CHECK_NEAR(slow.handlers.mean, 0.01, 1e-6);
    CHECK_NEAR(slow.handlers.p50, 0.01, 0.001);
    CHECK_EQ_INT(remote_of(t.server, "call").handlers.count, 1);
    CHECK_NEAR(remote_of(t.server, "call").handlers.max, 0.5, 1e-6);
    CHECK_EQ_INT(snapshot_of(t.server, NULL)->handlers.count, 12);
    CHECK_EQ_INT(remote_of(t.client, "slow").handlers.count, 0);
    world_close(&t.w);
}

TEST(handlers_of_answers_are_timed_too) {
    world_two t;
    callee c;
    wisp_profiler profiler = { NULL, NULL, NULL };
    wisp_call_desc desc;
    memset(&c, 0, sizeof c);
    memset(&desc, 0, sizeof desc);
    world_two_open(&t);
    profiler.clock = clock_of;
    profiler.user = &c;
    desc.on_reply = on_slow_call;
    desc.user = &c;
    wisp_use_profiler(t.client, &profiler);
    wisp_on_invoke_target(t.server, wisp_by_name("double"), on_profile_double, NULL);
    wisp_invoke_values(t.client, "double", wisp_to_peer(t.to_server), &desc, NULL, 0);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(remote_of(t.client, "double").handlers.count, 1);
    CHECK_NEAR(remote_of(t.client, "double").handlers.max, 0.5, 1e-6);
    world_close(&t.w);
}

/* --- what came to nothing --- */

TEST(drops_are_told_by_reason) {
    world_two t;
    wisp_remote_profile profile;
    const wisp_snapshot *s;
    profiled_open(&t);
    world_watch(&t.w, t.server, "limited");
    wisp_remote_named(t.server, "nobody");
    wisp_set_rate_limit(t.server, 100, "limited");
    for (int i = 0; i < 5; i++) world_fire(t.client, "limited", t.to_server, i);
    for (int i = 0; i < 3; i++) world_fire(t.client, "nobody", t.to_server, i);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(remote_of(t.server, "limited").drops[WISP_DROP_RATE], 4);
    CHECK_EQ_INT(remote_of(t.server, "nobody").drops[WISP_DROP_NO_HANDLER], 3);
    for (int i = 0; i < 2; i++) world_fire(t.client, "unknown", t.to_server, i);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_fire(t.client, "unknown", t.to_server, 2), WISP_E_NO_REMOTE);
    CHECK_EQ_INT(remote_of(t.client, "unknown").drops[WISP_DROP_NO_REMOTE], 1);
    profile = remote_of(t.server, "limited");
    CHECK_EQ_INT(drops_in_all(profile.drops), 4);
    CHECK_EQ_INT(peer_of(t.server, t.to_client).drops[WISP_DROP_RATE], 4);
    CHECK_EQ_INT(peer_of(t.server, t.to_client).drops[WISP_DROP_NO_HANDLER], 3);
    CHECK_EQ_INT(peer_of(t.server, t.to_client).drops[WISP_DROP_NO_REMOTE], 2);
    s = snapshot_of(t.server, NULL);
    CHECK_EQ_INT(s->drops[WISP_DROP_RATE], 4);
    CHECK_EQ_INT(s->drops[WISP_DROP_NO_REMOTE], 2);
    CHECK_EQ_INT(drops_in_all(s->drops), 9);
    world_close(&t.w);
}

TEST(drops_have_the_names_of_their_reason_and_remote_in_json) {
    static char text[WISP_SNAPSHOT_JSON_BYTES];
    static wisp_snapshot many;
    world_two t;
    wisp_snapshot *s;
    profiled_open(&t);
    world_watch(&t.w, t.server, "limited");
    wisp_set_interval(t.server, "limited", 100);
    for (int i = 0; i < 5; i++) world_fire(t.client, "limited", t.to_server, i);
    for (int i = 0; i < 2; i++) world_fire(t.client, "unknown", t.to_server, i);
    world_run(&t.w, 0.5);
    s = snapshot_of(t.server, NULL);
    CHECK_EQ_INT(s->dropped_count, 2);
    CHECK(wisp_snapshot_json(s, text, sizeof text) > 0);
    CHECK(strstr(text, "\"dropped\":[{\"reason\":\"rate limit\",\"remote\":\"limited\","
                 "\"count\":4},{\"reason\":\"no remote\",\"remote\":\"\",\"count\":2}]"));
    many.remote_count = 3;              /* the most drops stay, in order */
    for (int i = 0; i < 3 * WISP_DROPS; i++)
        many.remotes[i / WISP_DROPS].drops[i % WISP_DROPS] = (uint32_t)(i * 7 % 39 + 1);
    wisp__snapshot_dropped(&many);
    CHECK_EQ_INT(many.dropped_count, WISP_SNAPSHOT_DROPS);
    for (uint32_t i = 0; i < many.dropped_count; i++) CHECK_EQ_INT(many.dropped[i].count, 39 - i);
    world_close(&t.w);
}

TEST(values_outside_a_schema_are_invalid) {
    world_two t;
    wisp_config config;
    wisp_value value = wisp_int(5);
    memset(&config, 0, sizeof config);
    config.encode.schema = &profile_hero_schema;
    profiled_open(&t);
    wisp_use_config(t.server, &config, "hero");
    world_watch(&t.w, t.server, "hero");
    wisp_fire_values(t.client, "hero", wisp_to_peer(t.to_server), &value, 1);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(remote_of(t.server, "hero").drops[WISP_DROP_INVALID], 1);
    CHECK_EQ_INT(peer_of(t.server, t.to_client).drops[WISP_DROP_INVALID], 1);
    world_close(&t.w);
}

TEST(what_is_older_than_what_came_is_stale) {
    world_two t;
    wisp_config config;
    int stale;
    memset(&config, 0, sizeof config);
    config.delivery = WISP_SEQUENCED;
    world_open(&t.w);
    t.w.bad = true;
    t.w.net.seed = 9;
    t.w.net.latency = 0.02;
    t.w.net.reorder = 0.4;
    world_two_join(&t);
    wisp_use_profiler(t.server, &plain);
    wisp_use_config(t.client, &config, "at");
    world_watch(&t.w, t.server, "at");
    for (int i = 0; i < 200; i++) {
        world_fire(t.client, "at", t.to_server, i);
        world_step(&t.w);
    }
    world_run(&t.w, 1);
    stale = (int)world_remote_stats(t.server, "at").stale;
    CHECK(stale > 10);
    CHECK_EQ_INT(remote_of(t.server, "at").drops[WISP_DROP_STALE], stale);
    CHECK_EQ_INT(peer_of(t.server, t.to_client).drops[WISP_DROP_STALE], stale);
    world_close(&t.w);
}

TEST(queues_tell_their_length_and_age) {
    world_two t;
    wisp_remote_profile profile;
    wisp_peer_profile peer;
    wisp_addr nobody;
    wisp_peer waits;
    world_open(&t.w);
    t.w.desc.limits.queue_messages = 10;
    world_two_join(&t);
    nobody = wisp_loopback_addr(30);
    waits = wisp_join(t.client, &nobody, NULL, 0);
    world_fire(t.client, "hp", waits, 0);
    world_fire(t.client, "mp", waits, 0);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(wisp_use_profiler(t.client, &plain), WISP_OK);
    CHECK_EQ_INT(remote_of(t.client, "hp").queued, 1);
    for (int i = 0; i < 8; i++) CHECK_EQ_INT(world_fire(t.client, "hp", waits, i), WISP_OK);
    CHECK_EQ_INT(world_fire(t.client, "hp", waits, 9), WISP_E_QUEUE_FULL);
    world_run(&t.w, 1);
    profile = remote_of(t.client, "hp");
    CHECK_EQ_INT(profile.queued, 9);
    CHECK_NEAR(profile.queued_seconds, 1.5, 0.02);
    CHECK_EQ_INT(profile.drops[WISP_DROP_QUEUE_FULL], 1);
    peer = peer_of(t.client, waits);
    CHECK_EQ_INT(peer.queued, 10);
    CHECK_NEAR(peer.queued_seconds, 1.5, 0.02);
    CHECK(peer.queued_bytes > 0);
    CHECK_EQ_INT(peer_of(t.client, t.to_server).queued, 0);
    CHECK_NEAR(peer_of(t.client, t.to_server).queued_seconds, 0, 0);
    wisp_leave(t.client, waits, "");
    profile = remote_of(t.client, "hp");
    CHECK_EQ_INT(profile.queued, 0);
    CHECK_NEAR(profile.queued_seconds, 0, 0);
    CHECK_EQ_INT(profile.drops[WISP_DROP_ABANDONED], 9);
    CHECK_EQ_INT(snapshot_of(t.client, NULL)->drops[WISP_DROP_ABANDONED], 10);
    world_close(&t.w);
}

TEST(large_announcements_leave_no_count_behind) {
    static char names[120][24];
    static wisp_field fields[120];
    static wisp_schema schema;
    static wisp_pair pairs[120];
    wisp_value map = wisp_map(pairs, 120);
    wisp_config config;
    world_two t;
    for (int i = 0; i < 120; i++) {
        wisp_field field = WISP_MAP_FIELD(NULL, WISP_T_BOOL);
        snprintf(names[i], sizeof names[i], "a rather long name %d", i);
        fields[i] = field;
        fields[i].name = pairs[i].key = names[i];
        pairs[i].value = wisp_bool(true);
    }
    schema.name = "long";
    schema.version = 1;
    schema.fields = fields;
    schema.count = 120;
    schema.shape = WISP_SHAPE_MAP;
    memset(&config, 0, sizeof config);
    config.encode.schema = &schema;
    profiled_open(&t);
    CHECK_EQ_INT(wisp_use_config(t.client, &config, "long"), WISP_OK);
    world_watch(&t.w, t.server, "long");
    CHECK_EQ_INT(wisp_fire_values(t.client, "long", wisp_to_peer(t.to_server), &map, 1), WISP_OK);
    CHECK_EQ_INT(remote_of(t.client, "long").queued, 1);
    for (int i = 0; i < 100; i++) {
        CHECK(remote_of(t.client, "long").queued <= 2);
        world_step(&t.w);
    }
    CHECK_EQ_INT(remote_of(t.client, "long").queued, 0);
    CHECK_EQ_INT(remote_of(t.client, "long").out.messages, 1);
    CHECK_EQ_INT(world_count(&t.w, t.server, "long"), 1);
    world_close(&t.w);
}

TEST(the_last_errors_are_told_newest_first) {
    world_two t;
    const wisp_snapshot *s;
    profiled_open(&t);
    wisp_remote_named(t.server, "one");
    wisp_remote_named(t.server, "two");
    for (int i = 0; i < 12; i++) {
        world_fire(t.client, i % 4 ? "one" : "two", t.to_server, i);
        world_run(&t.w, 0.1);
    }
    s = snapshot_of(t.server, NULL);
    CHECK_EQ_INT(s->errors, 12);
    CHECK_EQ_INT(s->error_count, WISP_SNAPSHOT_ERRORS);
    for (uint32_t i = 0; i < s->error_count; i++) {
        CHECK_EQ_INT(s->errors_last[i].code, WISP_E_NO_HANDLER);
        CHECK_EQ_INT(s->errors_last[i].peer, t.to_client.id);
        CHECK_EQ_STR(s->errors_last[i].remote, (11 - i) % 4 ? "one" : "two");
        CHECK_EQ_STR(s->errors_last[i].text, "nobody is connected");
        CHECK_NEAR(s->errors_last[i].time, t.w.now - 0.1 * (i + 1), 0.02);
    }
    s = snapshot_of(t.server, "two");
    CHECK_EQ_INT(s->error_count, 2);
    CHECK_EQ_STR(s->errors_last[1].remote, "two");
    world_close(&t.w);
}

/* --- what a snapshot shows of many --- */

TEST(the_busiest_remotes_are_told_first) {
    world_two t;
    const wisp_snapshot *s;
    char name[20];
    profiled_open(&t);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "remote %d", i);
        wisp_remote_named(t.server, name);
        for (int k = 0; k < (i * 7) % 40; k++) world_fire(t.client, name, t.to_server, 100000);
    }
    world_run(&t.w, 1.1);
    s = snapshot_of(t.client, NULL);
    CHECK_EQ_INT(s->remote_count, WISP_SNAPSHOT_REMOTES);
    for (int i = 0; i < WISP_SNAPSHOT_REMOTES; i++)
        CHECK_EQ_INT(s->remotes[i].out.messages, 39 - i);
    CHECK_EQ_INT(s->out.bytes_raw, 8 * 39 * 40 / 2);
    world_run(&t.w, 3);                          /* quiet: by what went in all */
    s = snapshot_of(t.client, NULL);
    CHECK_EQ_INT(s->remotes[0].out.messages, 39);
    CHECK_NEAR(s->remotes[0].out.messages_per_second, 0, 0);
    world_fire(t.client, "remote 1", t.to_server, 1);
    world_run(&t.w, 1);
    CHECK_EQ_STR(snapshot_of(t.client, NULL)->remotes[0].name, "remote 1");
    s = snapshot_of(t.client, "e 3");
    CHECK_EQ_INT(s->remote_count, 11);           /* 3, and 30 to 39, without the silent 0 */
    for (uint32_t i = 0; i < s->remote_count; i++) CHECK(strstr(s->remotes[i].name, "e 3") != NULL);
    CHECK_EQ_INT(s->out.bytes_raw, 8 * (39 * 40 / 2 + 1));
    CHECK_EQ_INT(snapshot_of(t.client, "nowhere")->remote_count, 0);
    world_close(&t.w);
}

static void address_of(void *user, const wisp_addr *addr, char *out, int size) {
    wisp_addr first = wisp_loopback_addr(1);
    (void)user;
    if (memcmp(addr, &first, sizeof first) == 0) memset(out, 'x', (size_t)size);   /* no end */
    else snprintf(out, (size_t)size, "side");
}

TEST(the_busiest_peers_are_told_first) {
    static world w;
    wisp *server, *clients[20];
    wisp_peer to[20];
    wisp_profiler profiler = { NULL, address_of, NULL };
    const wisp_snapshot *s;
    world_open(&w);
    server = world_add(&w);
    world_watch(&w, server, "n");
    wisp_use_profiler(server, &profiler);
    for (int i = 0; i < 20; i++) {
        clients[i] = world_add(&w);
        to[i] = world_join(&w, clients[i], server);
    }
    world_run(&w, 2.1);
    for (int i = 0; i < 20; i++)
        for (int k = 0; k < 20 * i; k++) world_fire(clients[i], "n", to[i], k * 1000);
    world_run(&w, 1.1);
    s = snapshot_of(server, NULL);
    CHECK_EQ_INT(s->peers_joined, 20);
    CHECK_EQ_INT(s->peer_count, WISP_SNAPSHOT_PEERS);
    for (int i = 0; i < WISP_SNAPSHOT_PEERS; i++) {
        CHECK_EQ_INT(s->peers[i].in.messages, 20 * (19 - i));
        CHECK_EQ_INT(s->peers[i].id, world_peer(server, 19 - i).id);
        CHECK_EQ_STR(s->peers[i].address, "side");
    }
    world_fire(clients[0], "n", to[0], 1);
    CHECK_EQ_INT(strlen(peer_of(server, world_peer(server, 0)).address), WISP_SNAPSHOT_NAME - 1);
    world_close(&w);
}

TEST(names_are_cut_between_characters_and_mended) {
    world_two t;
    char name[129], cut[8];
    profiled_open(&t);
    memset(name, 0, sizeof name);
    for (int i = 0; i < 32; i++) memcpy(name + 2 * i, "\xc3\xa4", 3);    /* ends in a NUL */
    world_fire(t.client, name, t.to_server, 1);
    world_fire(t.client, "bad \xff\xc3 name", t.to_server, 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(strlen(snapshot_of(t.client, "\xa4")->remotes[0].name), WISP_SNAPSHOT_NAME - 2);
    CHECK_EQ_STR(snapshot_of(t.client, "bad")->remotes[0].name, "bad ?? name");
    wisp__text_clean(cut, sizeof cut, "1234567", strlen("1234567"));
    CHECK_EQ_STR(cut, "1234567");
    wisp__text_clean(cut, sizeof cut, "123456\xe2\x82\xac", strlen("123456\xe2\x82\xac"));
    CHECK_EQ_STR(cut, "123456");
    wisp__text_clean(cut, sizeof cut, "\xe2\x82", strlen("\xe2\x82"));
    CHECK_EQ_STR(cut, "??");
    wisp__text_clean(cut, 1, "abc", strlen("abc"));
    CHECK_EQ_STR(cut, "");
    world_close(&t.w);
}

/* --- snapshots travel --- */

/* Something of everything. */
static void busy_open(world_two *t) {
    profiled_open(t);
    wisp_remote_named(t->server, "odd");
    wisp_remote_named(t->server, "even");
    world_watch(&t->w, t->server, "hp");
    wisp_on_invoke_target(t->server, wisp_by_name("double"), on_profile_double, NULL);
    for (int i = 0; i < 300; i++) {
        world_fire(t->client, "hp", t->to_server, i);
        world_fire(t->client, i % 2 ? "odd" : "even", t->to_server, i);
        if (i % 10 == 0) call_of(t, "double", 0);
        world_step(&t->w);
    }
}

static void snapshot_fill_missed(wisp_snapshot *s) {
    s->missed_count = WISP_SNAPSHOT_MISSED;
    for (int i = 0; i < WISP_SNAPSHOT_MISSED; i++) {
        s->missed[i].most = -1.17549435e-38f;
        memset(s->missed[i].name, 1, WISP_SNAPSHOT_TEXT - 1);
        s->missed[i].name[WISP_SNAPSHOT_TEXT - 1] = 0;
    }
}

/* The largest that there is: every list full, every number as long as can be. */
static void snapshot_fill(wisp_snapshot *s) {
    uint8_t *bytes = (uint8_t *)s;
    const float longest = -1.17549435e-38f;
    memset(s, 0xff, sizeof *s);
    for (size_t i = 0; i < sizeof s->samples; i += 4)
        memcpy(bytes + offsetof(wisp_snapshot, samples) + i, &longest, 4);
    memset(s->app, 1, sizeof s->app - 1);
    s->app[64] = 0;
    s->time = s->seconds = -2.2250738585072014e-308;
    s->sample_count = WISP_HISTORY_SECONDS;
    s->remote_count = WISP_SNAPSHOT_REMOTES;
    s->peer_count = WISP_SNAPSHOT_PEERS;
    s->error_count = WISP_SNAPSHOT_ERRORS;
#define LONG_TIMING(t) (t).mean = (t).max = (t).p50 = (t).p90 = (t).p99 = longest
#define LONG_TRAFFIC(t) (t).messages_per_second = (t).bytes_per_second = longest
    LONG_TIMING(s->latency);
    LONG_TIMING(s->handlers);
    LONG_TRAFFIC(s->out);
    LONG_TRAFFIC(s->in);
    for (int i = 0; i < WISP_SNAPSHOT_REMOTES; i++) {
        wisp_remote_profile *r = &s->remotes[i];
        memset(r->name, 1, sizeof r->name - 1);
        r->name[WISP_SNAPSHOT_NAME - 1] = 0;
        LONG_TRAFFIC(r->out);
        LONG_TRAFFIC(r->in);
        LONG_TIMING(r->latency);
        LONG_TIMING(r->handlers);
        r->queued_seconds = longest;
        r->is_class = 0;
    }
    for (int i = 0; i < WISP_SNAPSHOT_PEERS; i++) {
        wisp_peer_profile *p = &s->peers[i];
        memset(p->address, 1, sizeof p->address - 1);
        p->address[WISP_SNAPSHOT_NAME - 1] = 0;
        LONG_TRAFFIC(p->out);
        LONG_TRAFFIC(p->in);
        LONG_TIMING(p->latency);
        p->rtt = p->jitter = p->loss = p->budget_use = p->queued_seconds = longest;
        p->rtt_min = p->delivery_rate = longest;
        p->sealed = false;
    }
    for (int i = 0; i < WISP_SNAPSHOT_ERRORS; i++) {
        wisp_error_note *e = &s->errors_last[i];
        e->time = -2.2250738585072014e-308;
        e->code = INT32_MIN;
        memset(e->remote, 1, sizeof e->remote - 1);
        memset(e->text, 1, sizeof e->text - 1);
        e->remote[WISP_SNAPSHOT_NAME - 1] = e->text[WISP_SNAPSHOT_TEXT - 1] = 0;
    }
    s->dropped_count = WISP_SNAPSHOT_DROPS;
    for (int i = 0; i < WISP_SNAPSHOT_DROPS; i++) {
        s->dropped[i].reason = WISP_DROP_LOST;
        memset(s->dropped[i].remote, 1, WISP_SNAPSHOT_NAME - 1);
        s->dropped[i].remote[WISP_SNAPSHOT_NAME - 1] = 0;
    }
    snapshot_fill_missed(s);
#undef LONG_TIMING
#undef LONG_TRAFFIC
}

TEST(the_schema_makes_sense) {
    char text[200] = "";
    CHECK_EQ_INT(wisp_schema_check(wisp_snapshot_schema(), text, sizeof text), WISP_OK);
    CHECK_EQ_STR(text, "");
    CHECK_EQ_INT(wisp_snapshot_schema()->bytes, sizeof(wisp_snapshot));
}

/* Reads the JSON back and compares it, by the schema and without it. */
static void json_round_trip(const wisp_snapshot *s) {
    static char text[WISP_SNAPSHOT_JSON_BYTES];
    static wisp_snapshot back;
    const int room = 64 << 20;
    void *memory = malloc((size_t)room);
    const wisp_schema *schema = wisp_snapshot_schema();
    wisp_value value = wisp_struct(schema, s), read;
    int bytes = wisp_snapshot_json(s, text, sizeof text);
    CHECK(bytes > 0 && bytes < (int)sizeof text - 1);
    CHECK_EQ_INT(strlen(text), bytes);
    CHECK_EQ_INT(wisp_decode(wisp_json(), schema, text, bytes, &read, memory, room), bytes);
    CHECK(wisp_equal(&read, &value));
    CHECK_EQ_INT(wisp_decode(wisp_json(), NULL, text, bytes, &read, memory, room), bytes);
    memset(&back, 0, sizeof back);
    CHECK_EQ_INT(wisp_fill_struct(schema, &read, &back, NULL, 0), WISP_OK);
    read = wisp_struct(schema, &back);
    CHECK(wisp_equal(&read, &value));
    CHECK_EQ_INT(wisp_snapshot_json(s, text, bytes + 1), bytes);
    CHECK_EQ_INT(wisp_snapshot_json(s, text, bytes), WISP_E_TOO_BIG);
    CHECK_EQ_INT(wisp_snapshot_json(s, text, 1), WISP_E_TOO_BIG);
    CHECK_EQ_INT(wisp_snapshot_json(s, text, 0), WISP_E_TOO_BIG);
    free(memory);
}

TEST(a_snapshot_is_json_and_comes_back_equal) {
    static wisp_snapshot s;
    world_two t;
    busy_open(&t);
    CHECK_EQ_INT(wisp_snapshot_take(t.client, NULL, &s), WISP_OK);
    CHECK(s.remote_count == 4 && s.peer_count == 1 && s.latency.count > 0);
    json_round_trip(&s);
    CHECK_EQ_INT(wisp_snapshot_take(t.server, NULL, &s), WISP_OK);
    CHECK(s.sample_count >= 2 && s.error_count == WISP_SNAPSHOT_ERRORS);
    json_round_trip(&s);
    world_close(&t.w);
    memset(&s, 0, sizeof s);
    json_round_trip(&s);
    snapshot_fill(&s);
    json_round_trip(&s);
}

TEST(json_of_what_is_no_snapshot_is_refused) {
    static wisp_snapshot s;
    static char text[WISP_SNAPSHOT_JSON_BYTES];
    double zero = 0;
    memset(&s, 0, sizeof s);
    CHECK_EQ_INT(wisp_snapshot_json(NULL, text, sizeof text), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_snapshot_json(&s, NULL, 5), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_snapshot_json(&s, text, -1), WISP_E_ARGUMENT);
    s.peer_count = WISP_SNAPSHOT_PEERS + 1;
    CHECK_EQ_INT(wisp_snapshot_json(&s, text, sizeof text), WISP_E_INVALID);
    s.peer_count = UINT32_MAX;
    CHECK_EQ_INT(wisp_snapshot_json(&s, text, sizeof text), WISP_E_INVALID);
    s.peer_count = 0;
    s.time = 1 / zero;
    CHECK_EQ_INT(wisp_snapshot_json(&s, text, sizeof text), WISP_E_TYPE);
    s.time = 0;
    memset(s.app, 0xff, 3);
    CHECK_EQ_INT(wisp_snapshot_json(&s, text, sizeof text), WISP_E_TYPE);
}

static void on_snapshot(wisp_event *event) {
    wisp_snapshot *to = (wisp_snapshot *)event->user;
    const void *from = wisp_arg_struct(event, 0, wisp_snapshot_schema());
    if (CHECK(from != NULL)) memcpy(to, from, sizeof *to);
}

/* Fires a snapshot of the server to its client, and compares. */
static void travels(world_two *t, const char *name) {
    static wisp_snapshot sent, came;
    wisp_value value = wisp_struct(wisp_snapshot_schema(), &sent), other;
    memset(&came, 0, sizeof came);
    wisp_connect_target(t->client, wisp_by_name(name), on_snapshot, &came, true);
    world_run(&t->w, 0.1);
    CHECK_EQ_INT(wisp_snapshot_take(t->server, NULL, &sent), WISP_OK);
    CHECK_EQ_INT(wisp_fire_values(t->server, name, wisp_to_peer(t->to_client), &value, 1), 0);
    world_run(&t->w, 0.5);
    other = wisp_struct(wisp_snapshot_schema(), &came);
    CHECK(wisp_equal(&value, &other));
    CHECK(came.sample_count > 0 && came.remote_count > 0 && came.peer_count == 1);
}

TEST(a_snapshot_arrives_equal_whatever_the_remote_is_like) {
    world_two t;
    wisp_config config;
    busy_open(&t);
    travels(&t, "as values");
    memset(&config, 0, sizeof config);
    config.encode.schema = wisp_snapshot_schema();
    wisp_use_config(t.server, &config, "by schema");
    travels(&t, "by schema");
    wisp_use_delta(t.server, wisp_snapshot_schema(), "as a difference");
    travels(&t, "as a difference");
    travels(&t, "as a difference");
    config.encode.codec = wisp_msgpack();
    wisp_use_config(t.server, &config, "by codec");
    travels(&t, "by codec");
    memset(&config, 0, sizeof config);
    config.encode.compression = WISP_COMPRESSION_AUTO;
    wisp_use_config(t.server, &config, "compressed");
    travels(&t, "compressed");
    world_close(&t.w);
}

static void on_profile(wisp_event *event) {
    static wisp_snapshot s;
    wisp_value value = wisp_struct(wisp_snapshot_schema(), &s);
    CHECK_EQ_INT(wisp_snapshot_take(event->w, NULL, &s), WISP_OK);
    CHECK_EQ_INT(wisp_reply_values(event, &value, 1), WISP_OK);
}

TEST(a_snapshot_may_be_a_reply) {
    static wisp_snapshot came;
    world_two t;
    wisp_call_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_snapshot;
    desc.user = &came;
    busy_open(&t);
    wisp_on_invoke_target(t.server, wisp_by_name("profile"), on_profile, NULL);
    wisp_invoke_values(t.client, "profile", wisp_to_peer(t.to_server), &desc, NULL, 0);
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(came.app, "test");
    CHECK_EQ_INT(came.in.messages, 300 + 300 + 30 + 1);
    world_close(&t.w);
}

/* --- on and off --- */

TEST(off_it_tells_nothing_and_takes_no_memory) {
    world_two t;
    wisp_snapshot *s = (wisp_snapshot *)malloc(sizeof *s);
    wisp_remote_profile remote;
    wisp_peer_profile peer;
    uint64_t memory[2];
    world_two_open(&t);
    world_watch(&t.w, t.server, "hp");
    world_run(&t.w, 0.1);
    memory[0] = world_total(t.server).memory;
    memory[1] = world_total(t.client).memory;
    memset(s, 0x5a, sizeof *s);
    memset(&remote, 0x5a, sizeof remote);
    memset(&peer, 0x5a, sizeof peer);
    CHECK_EQ_INT(wisp_snapshot_take(t.server, NULL, s), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp_profile_remote(t.server, "hp", &remote), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp_profile_peer(t.server, t.to_client, &peer), WISP_E_UNSUPPORTED);
    CHECK(s->error_count == 0x5a5a5a5a && remote.queued == 0x5a5a5a5a && peer.id == 0x5a5a5a5a);
    CHECK_EQ_INT(wisp_use_profiler(t.server, NULL), WISP_OK);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ_INT(wisp_use_profiler(t.server, &plain), WISP_OK);
        CHECK_EQ_INT(wisp_use_profiler(t.server, &plain), WISP_OK);
        CHECK(world_total(t.server).memory > memory[0]);
        CHECK(world_total(t.server).memory < memory[0] + 20000);
        CHECK_EQ_INT(wisp_use_profiler(t.server, NULL), WISP_OK);
        CHECK_EQ_INT(world_total(t.server).memory, memory[0]);
    }
    CHECK_EQ_INT(world_total(t.client).memory, memory[1]);
    CHECK_EQ_INT(wisp_snapshot_take(t.server, NULL, s), WISP_E_UNSUPPORTED);
    free(s);
    world_close(&t.w);
}

TEST(turned_on_anew_it_begins_with_nothing) {
    world_two t;
    const wisp_snapshot *s;
    busy_open(&t);
    wisp_use_profiler(t.server, NULL);
    world_run(&t.w, 1);
    wisp_use_profiler(t.server, &plain);
    s = snapshot_of(t.server, NULL);
    CHECK_EQ_INT(s->in.messages + s->in.bytes + s->in.bytes_raw + s->in.bytes_packed, 0);
    CHECK_EQ_INT(s->errors + s->error_count + s->sample_count, 0);
    CHECK_EQ_INT(drops_in_all(s->drops), 0);
    CHECK_EQ_INT(s->remotes[0].in.messages + s->peers[0].in.bytes, 0);
    CHECK_NEAR(s->seconds, 0, 0);
    world_close(&t.w);
}

TEST(other_hooks_go_on_counting) {
    world_two t;
    wisp_profiler profiler = { NULL, address_of, NULL };
    busy_open(&t);
    CHECK_EQ_INT(wisp_use_profiler(t.client, &profiler), WISP_OK);
    CHECK_EQ_INT(remote_of(t.client, "hp").out.messages, 300);
    CHECK_EQ_STR(peer_of(t.client, t.to_server).address, "side");
    world_close(&t.w);
}

TEST(names_and_peers_that_come_later_are_measured_and_go_again) {
    ledger memory = ledger_none();
    world w;
    wisp *server, *client;
    wisp_peer peer;
    world_open(&w);
    w.desc.memory = ledger_memory(&memory);
    server = world_add(&w);
    client = world_add(&w);
    wisp_use_profiler(server, &plain);
    wisp_use_profiler(client, &plain);
    world_watch(&w, server, "late");
    world_watch(&w, server, "other");
    for (int round = 0; round < 4; round++) {
        peer = world_join(&w, client, server);
        world_fire(client, round ? "other" : "late", peer, 1);
        world_run(&w, 0.2);
        CHECK_EQ_INT(peer_of(client, peer).out.messages, 1);
        wisp_leave(client, peer, "");
        world_run(&w, 4);
    }
    CHECK_EQ_INT(remote_of(client, "late").out.messages, 1);
    CHECK_EQ_INT(remote_of(client, "other").out.messages, 3);
    world_close(&w);
    CHECK_EQ_INT(memory.out, 0);
}

static void on_off(wisp_event *event) { wisp_use_profiler(event->w, NULL); }

static void on_on(wisp_event *event) { wisp_use_profiler(event->w, &plain); }

TEST(handlers_may_turn_it_on_and_off) {
    world_two t;
    callee c;
    wisp_profiler profiler = { NULL, NULL, NULL };
    memset(&c, 0, sizeof c);
    profiler.clock = clock_of;
    profiler.user = &c;
    world_two_open(&t);
    wisp_use_profiler(t.server, &profiler);
    wisp_connect_target(t.server, wisp_by_name("off"), on_off, NULL, false);
    wisp_connect_target(t.server, wisp_by_name("on"), on_on, NULL, false);
    wisp_on_invoke_target(t.server, wisp_by_name("call off"), on_off, NULL);
    wisp_connect_target(t.server, wisp_by_name(WISP_ERROR), on_off, NULL, false);
    for (int i = 0; i < 5; i++) {
        world_fire(t.client, "off", t.to_server, 1);
        world_fire(t.client, "on", t.to_server, 1);
        call_of(&t, "call off", 0);
        world_fire(t.client, "on", t.to_server, 1);
        world_fire(t.client, "unhandled", t.to_server, 1);
        world_run(&t.w, 0.1);
    }
    CHECK_EQ_INT(wisp_use_profiler(t.server, &plain), WISP_OK);
    world_close(&t.w);
}

TEST(without_memory_it_stays_off) {
    ledger memory = ledger_none();
    world w;
    wisp *server, *client;
    wisp_snapshot *s = (wisp_snapshot *)malloc(sizeof *s);
    int64_t before;
    int failures = 0;
    world_open(&w);
    w.desc.memory = ledger_memory(&memory);
    server = world_add(&w);
    client = world_add(&w);
    world_join(&w, client, server);
    for (int i = 0; i < 5; i++) {
        char name[10];
        snprintf(name, sizeof name, "name %d", i);
        wisp_remote_named(server, name);
    }
    world_run(&w, 0.2);
    before = memory.out;
    for (int n = 1;; n++) {
        memory.fail_at = memory.asked + n;
        if (wisp_use_profiler(server, &plain) == WISP_OK) break;
        failures++;
        CHECK_EQ_INT(memory.out, before);
        CHECK_EQ_INT(wisp_snapshot_take(server, NULL, s), WISP_E_UNSUPPORTED);
    }
    memory.fail_at = 0;
    CHECK_EQ_INT(failures, 1 + 5 + 1);
    CHECK_EQ_INT(wisp_snapshot_take(server, NULL, s), WISP_OK);
    world_close(&w);
    CHECK_EQ_INT(memory.out, 0);
    free(s);
}

TEST(what_finds_no_memory_is_measured_as_soon_as_there_is_some) {
    ledger memory = ledger_none();
    world_two t;
    wisp_remote_profile profile;
    char late[20] = "";
    wisp_result result = WISP_OK;
    memset(&profile, 0, sizeof profile);
    world_open(&t.w);
    t.w.desc.memory = ledger_memory(&memory);
    world_two_join(&t);
    wisp_use_profiler(t.client, &plain);
    for (int n = 1; n < 10 && result != WISP_E_MEMORY; n++) {
        memory.fail_at = memory.asked + 1 + n % 3;    /* at last a name finds some, its meter not */
        snprintf(late, sizeof late, "late %d", n);
        if (wisp_remote_named(t.client, late).id)
            result = wisp_profile_remote(t.client, late, &profile);
    }
    memory.fail_at = 0;
    CHECK_EQ_INT(result, WISP_E_MEMORY);
    world_watch(&t.w, t.server, late);
    world_fire(t.client, late, t.to_server, 1);
    world_run(&t.w, 1.1);
    CHECK_EQ_INT(remote_of(t.client, late).out.messages, 0);
    world_fire(t.client, late, t.to_server, 1);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(remote_of(t.client, late).out.messages, 1);
    CHECK_EQ_INT(remote_of(t.client, late).out.bytes_raw, 8);
    world_close(&t.w);
    CHECK_EQ_INT(memory.out, 0);
}

TEST(what_is_asked_wrongly_has_a_code_and_changes_nothing) {
    world_two t;
    wisp_remote_profile remote;
    wisp_peer_profile peer;
    wisp_peer stale = { 12345 };
    wisp_snapshot *s = (wisp_snapshot *)malloc(sizeof *s);
    char name[140];
    profiled_open(&t);
    memset(&remote, 0x5a, sizeof remote);
    memset(&peer, 0x5a, sizeof peer);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    CHECK_EQ_INT(wisp_use_profiler(NULL, &plain), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_use_profiler(NULL, NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_snapshot_take(NULL, NULL, s), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_snapshot_take(t.client, NULL, NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_profile_remote(NULL, "hp", &remote), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_profile_remote(t.client, NULL, &remote), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_profile_remote(t.client, "hp", NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_profile_remote(t.client, "", &remote), WISP_E_NAME);
    CHECK_EQ_INT(wisp_profile_remote(t.client, name, &remote), WISP_E_NAME);
    CHECK_EQ_INT(wisp_profile_remote(t.client, "hp", &remote), WISP_E_NO_REMOTE);
    CHECK_EQ_INT(wisp_profile_remote(t.client, WISP_ERROR, &remote), WISP_E_NO_REMOTE);
    CHECK_EQ_INT(wisp_profile_peer(NULL, t.to_server, &peer), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_profile_peer(t.client, t.to_server, NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_profile_peer(t.client, stale, &peer), WISP_E_STALE);
    CHECK(remote.queued == 0x5a5a5a5a && peer.id == 0x5a5a5a5a);
    CHECK_EQ_INT(wisp_profile_peer(t.client, WISP_SERVER, &peer), WISP_OK);
    for (int i = -2; i < WISP_DROPS + 2; i++) CHECK(wisp_drop_text(i)[0] != 0);
    CHECK_EQ_STR(wisp_drop_text(WISP_DROP_LOST), "lost packets");
    free(s);
    world_close(&t.w);
}

/* Every counter that wisp_peer_stats has is there under its name. */
TEST(a_peer_is_reported_as_json) {
    static char text[4096], needle[64];
    static const char *const members[] = { "packets_sent", "messages_resent", "rtt_min", "loss",
                                           "congestion_window", "flooded", "delivery_rate" };
    world_two t;
    wisp_peer stale = { 0x7fffff };
    int bytes;
    world_two_open(&t);
    world_run(&t.w, 0.5);
    bytes = wisp_peer_json(t.client, t.to_server, text, sizeof text);
    CHECK(bytes > 0 && bytes < 2048 && (int)strlen(text) == bytes);
    CHECK(strstr(text, "\"state\":\"joined\"") && strstr(text, "\"joined_by_us\":true"));
    CHECK(strstr(text, "\"timeout\":10"));
    for (int i = 0; i < TEST_COUNT(members); i++) {
        snprintf(needle, sizeof needle, "\"%s\":", members[i]);
        CHECK(strstr(text, needle) != NULL);
    }
    CHECK_EQ_INT(wisp_peer_json(t.client, t.to_server, text, bytes), WISP_E_TOO_BIG);
    CHECK_EQ_INT(wisp_peer_json(t.client, t.to_server, NULL, 5), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_peer_json(NULL, t.to_server, text, 5), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_peer_json(t.client, stale, text, sizeof text), WISP_E_STALE);
    wisp_drain(t.client, t.to_server, "", 5);
    CHECK(wisp_peer_json(t.client, WISP_SERVER, text, sizeof text) > 0);
    CHECK(strstr(text, "\"state\":\"draining\""));
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(a_class_has_its_records_and_objects),
    CASE(a_peer_is_reported_as_json),
    CASE(both_ends_tell_the_same_bytes),
    CASE(every_kind_of_value_has_its_size_in_memory),
    CASE(packing_shows_in_bytes_before_and_after),
    CASE(compression_of_messages_shows_on_both_ends),
    CASE(compression_of_packets_shows_on_both_ends),
    CASE(differences_count_whole_values_as_raw),
    CASE(peers_and_totals_agree_with_the_counters),
    CASE(the_history_has_every_byte_in_its_second),
    CASE(a_leap_of_the_clock_leaves_a_gap_in_the_history),
    CASE(a_profiler_turned_on_before_the_first_update_begins_with_it),
    CASE(loss_shows_in_peers_and_history),
    CASE(calls_are_counted_by_how_they_ended),
    CASE(latency_is_from_the_call_to_its_answer),
    CASE(a_call_from_before_the_profiler_has_no_latency),
    CASE(handlers_are_timed_by_the_clock_that_is_given),
    CASE(handlers_of_answers_are_timed_too),
    CASE(drops_are_told_by_reason),
    CASE(drops_have_the_names_of_their_reason_and_remote_in_json),
    CASE(values_outside_a_schema_are_invalid),
    CASE(what_is_older_than_what_came_is_stale),
    CASE(queues_tell_their_length_and_age),
    CASE(large_announcements_leave_no_count_behind),
    CASE(the_last_errors_are_told_newest_first),
    CASE(the_busiest_remotes_are_told_first),
    CASE(the_busiest_peers_are_told_first),
    CASE(names_are_cut_between_characters_and_mended),
    CASE(the_schema_makes_sense),
    CASE(a_snapshot_is_json_and_comes_back_equal),
    CASE(json_of_what_is_no_snapshot_is_refused),
    CASE(a_snapshot_arrives_equal_whatever_the_remote_is_like),
    CASE(a_snapshot_may_be_a_reply),
    CASE(off_it_tells_nothing_and_takes_no_memory),
    CASE(turned_on_anew_it_begins_with_nothing),
    CASE(other_hooks_go_on_counting),
    CASE(names_and_peers_that_come_later_are_measured_and_go_again),
    CASE(handlers_may_turn_it_on_and_off),
    CASE(without_memory_it_stays_off),
    CASE(what_finds_no_memory_is_measured_as_soon_as_there_is_some),
    CASE(what_is_asked_wrongly_has_a_code_and_changes_nothing),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
