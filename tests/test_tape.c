/* test_tape.c - recordings of endpoints, and their replays */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/tapes.h"
#include "support/bottleneck.h"
#include "support/rollback_band.h"
#include "support/simulated_endpoints.h"
#include "support/fake_cipher.h"
#include "../tools/tape_reader.h"

static tape_party taped;

static void record_party(uint64_t seed, double seconds) {
    memset(&taped, 0, sizeof taped);
    tape_party_open(&taped, seed);
    tape_party_run(&taped, seconds);
    tape_party_close(&taped);
}

/* Objects, properties, messages, calls, joins over a bad network, and calls from outside. The
   environment may ask for more seconds. */
/* Lives the tape to its end, and frees it. */
static void replay_is_the_same(void) {
    tape_party_replay(&taped, NULL);
    CHECK_EQ_INT(taped.result, WISP_E_CLOSED);
    CHECK_EQ_STR(taped.told, "");
    CHECK_EQ_INT(taped.again.count, taped.notes.count);
    CHECK(taped.again.hash == taped.notes.hash);
    free(taped.tape.bytes);
}

TEST(all_that_a_server_did_comes_out_again_in_a_replay) {
    const char *seconds = getenv("TAPE_SECONDS");
    for (uint64_t seed = 1; seed < 3; seed++) {
        record_party(seed, seconds && seed == 1 ? strtod(seconds, NULL) : 8);
        CHECK(taped.notes.count > 500);
        replay_is_the_same();
    }
}

TEST(the_program_of_a_replay_may_make_the_calls_from_outside_too) {
    memset(&taped, 0, sizeof taped);
    tape_party_begin(&taped, 5);
    tape_party_record(&taped);
    wisp_set_channel(taped.server, "chat", 3);
    tape_game_setup(&taped.game, taped.server, &taped.notes);
    wisp_group_named(taped.server, "reds");
    wisp_update(taped.server, 1);
    tape_party_close(&taped);
    for (int also = 0; also < 2; also++) {
        wisp_reader reader = { tape_read, &taped.tape, NULL };
        wisp_desc desc = tape_desc(wisp_loopback(&taped.pipe, 0), 30);
        wisp *w;
        taped.tape.read = 0;
        if (also) memset(&desc.link, 0, sizeof desc.link);
        w = wisp_replay(&reader, &desc, NULL);
        if (also) wisp_set_channel(w, "chat", 3);
        tape_game_setup(&taped.game, w, &taped.again);
        if (also) wisp_group_named(w, "reds");
        CHECK_EQ_INT(wisp_update(w, 0), WISP_OK);
        CHECK_NEAR(wisp_now(w), 1, 1e-9);
        CHECK_EQ_INT(w->groups.live, 1);
        CHECK_EQ_INT(wisp_update(w, 0), WISP_E_CLOSED);
        wisp_destroy(w);
        wisp_pipe_free(&taped.pipe);
    }
    free(taped.tape.bytes);
}

static void with_other_heat(tape_party *p, wisp *w) { p->game.bend = 100, (void)w; }

/* The struct of an object differs at the end of a tick. */
TEST(a_handler_that_edits_otherwise_is_found_in_its_tick) {
    record_party(7, 6);
    tape_party_replay(&taped, with_other_heat);
    CHECK(strstr(taped.told, "tick 100: state \"class orb\"") != NULL);
    CHECK(strstr(taped.told, "\"heat\":10") != NULL);
    CHECK(strstr(taped.told, "\"heat\":13") != NULL);
    CHECK_EQ_INT(taped.again.count, taped.notes.count);
    taped.game.bend = 0;
    free(taped.tape.bytes);
}

static void with_a_shout(tape_party *p, wisp *w) { p->game.shout = 9, (void)w; }

TEST(a_handler_that_calls_otherwise_is_told_with_the_call_and_both_values) {
    record_party(8, 6);
    tape_party_replay(&taped, with_a_shout);
    CHECK(strstr(taped.told, "fire \"chat\"") != NULL);
    CHECK(strstr(taped.told, "here is") && strstr(taped.told, "\"HELLO\"") != NULL);
    taped.game.shout = 0;
    free(taped.tape.bytes);
}

static void with_a_handler_less(tape_party *p, wisp *w) {
    wisp__remote *remote = wisp__registry_find(&w->registry, "chat", 4);
    wisp_connection c = { remote->first->slot.id };
    wisp_disconnect(w, c);
    (void)p;
}

TEST(a_handler_that_is_not_there_is_missed) {
    record_party(9, 6);
    tape_party_replay(&taped, with_a_handler_less);
    CHECK(strstr(taped.told, "the tape has 'handler \"chat\"") != NULL);
    free(taped.tape.bytes);
}

TEST(what_a_tape_is_refused_for) {
    wisp_writer writer = { tape_write, &taped.tape, WISP_COMPRESSION_LZ4, false, NULL, 0 };
    wisp_writer nothing = { NULL, NULL, WISP_COMPRESSION_NONE, false, NULL, 0 };
    wisp_desc desc;
    wisp_result why;
    wisp *w;
    memset(&taped, 0, sizeof taped);
    desc = tape_desc(wisp_loopback(&taped.pipe, 0), 0);
    w = wisp_create(&desc, &why);
    CHECK_EQ_INT(wisp_record(NULL, &writer), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_record(w, NULL), WISP_OK);
    CHECK_EQ_INT(wisp_record(w, &nothing), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_record(w, &writer), WISP_E_UNSUPPORTED);
    writer.compression = WISP_COMPRESSION_NONE;
    CHECK_EQ_INT(wisp_record(w, &writer), WISP_OK);
    CHECK_EQ_INT(wisp_record(w, &writer), WISP_E_BUSY);
    taped.tape.fail_after = taped.tape.size + 1;
    wisp_update(w, 0);
    wisp_update(w, 3);
    wisp_update(w, 6);
    CHECK_EQ_INT(wisp_record(w, NULL), WISP_E_LINK);
    wisp_destroy(w);
    wisp_pipe_free(&taped.pipe);
    free(taped.tape.bytes);
}

/* A server that nobody has joined, updated 60 times a second by a clock that trembles. */
TEST(the_tape_of_an_idle_server_has_at_most_100_bytes_a_second) {
    wisp_writer writer = { tape_write, &taped.tape, WISP_COMPRESSION_NONE, false, NULL, 0 };
    wisp_desc desc;
    uint64_t random = 1;
    double now = 1e5;
    int begin;
    wisp *w;
    memset(&taped, 0, sizeof taped);
    desc = tape_desc(wisp_loopback(&taped.pipe, 0), 60);
    w = wisp_create(&desc, NULL);
    wisp_record(w, &writer);
    wisp_on_tick(w, tape_client_event, NULL);
    for (int i = 0; i < 60; i++) wisp_update(w, now += 1.0 / 60);
    begin = taped.tape.size;
    for (int i = 0; i < 6000; i++) {
        random = wisp__mix(random + 1);
        wisp_update(w, now += 1.0 / 60 + (double)(random & 255) * 1e-6);
    }
    CHECK((taped.tape.size - begin) / 101 <= 75);
    wisp_destroy(w);
    wisp_pipe_free(&taped.pipe);
    free(taped.tape.bytes);
}

/* --- tapes that begin in the middle --- */

typedef struct midway_state { tape_game game; } midway_state;

/* The server of a party that has run for a while. */
static void record_midway(uint64_t seed, double before, double seconds) {
    static midway_state state;
    wisp_writer writer;
    memset(&taped, 0, sizeof taped);
    tape_party_begin(&taped, seed);
    tape_game_setup(&taped.game, taped.server, &taped.notes);
    tape_party_join(&taped);
    tape_party_run(&taped, before);
    memset(&taped.notes, 0, sizeof taped.notes);
    memset(&writer, 0, sizeof writer);
    state.game = taped.game;
    writer.write = tape_write;
    writer.user = &taped.tape;
    writer.state = &state;
    writer.state_bytes = (int)sizeof state;
    CHECK_EQ_INT(wisp_record(taped.server, &writer), WISP_OK);
    tape_party_run(&taped, seconds);
    tape_party_close(&taped);
}

static void midway_state_back(void *user, const void *bytes, int size) {
    tape_game *game = (tape_game *)user;
    tape_notes *notes = game->notes;
    wisp_class orbs = game->orbs;
    int bend = game->bend, shout = game->shout;
    midway_state state;
    CHECK_EQ_INT(size, (int)sizeof state);
    memcpy(&state, bytes, sizeof state);
    *game = state.game;
    game->notes = notes;
    game->orbs = orbs;
    game->bend = bend;
    game->shout = shout ? game->heard + 2 : 0;
}

TEST(a_tape_that_begins_in_the_middle_comes_out_again) {
    for (uint64_t seed = 1; seed < 4; seed++) {
        record_midway(seed, 3, 5);
        CHECK(taped.notes.count > 300);
        taped.state = midway_state_back;
        replay_is_the_same();
    }
}

typedef struct seen_lines { int joined, objects, shots; } seen_lines;

static void see_line(void *user, const tape_line *line) {
    seen_lines *seen = (seen_lines *)user;
    seen->joined += strcmp(line->what, "joined") == 0;
    seen->objects += strcmp(line->what, "object") == 0 && strstr(line->args, "\"heat\":");
    seen->shots += strcmp(line->what, "message") == 0 && strcmp(line->name, "shot") == 0 &&
                   line->tick > 80 && strstr(line->args, "\"speed\":1.5");
}

/* Names and schemas stand at its begin. */
TEST(tools_read_a_tape_from_the_middle) {
    static tape_reader reader;
    seen_lines seen = { 0, 0, 0 };
    record_midway(4, 3, 2);
    reader.line = see_line;
    reader.user = &seen;
    CHECK(tape_read_all(&reader, taped.tape.bytes, taped.tape.size));
    CHECK_EQ_INT(seen.joined, TAPE_CLIENTS);
    CHECK_EQ_INT(seen.objects, TAPE_ORBS);
    CHECK(seen.shots > 10);
    tape_reader_free(&reader);
    free(taped.tape.bytes);
}

/* The handlers of the tick after the tape's begin differ. */
TEST(a_changed_handler_is_found_in_its_tick_from_the_middle_on) {
    record_midway(7, 3, 3);
    taped.state = midway_state_back;
    tape_party_replay(&taped, with_other_heat);
    CHECK(strstr(taped.told, "tick 100: state \"class orb\"") != NULL);
    CHECK(strstr(taped.told, "\"heat\":13") != NULL);
    CHECK_EQ_INT(taped.again.count, taped.notes.count);
    taped.game.bend = 0;
    tape_party_replay(&taped, with_a_shout);
    CHECK(strstr(taped.told, "fire \"chat\"") && strstr(taped.told, "\"HELLO\""));
    taped.game.shout = 0;
    tape_party_replay(&taped, with_a_handler_less);
    CHECK(strstr(taped.told, "the tape has 'handler \"chat\"") != NULL);
    free(taped.tape.bytes);
}

/* Two ends without objects: calls both ways, joins, leaves and groups. */
typedef struct talker {
    wisp *w;
    tape_memory tape;
    tape_notes notes;
    wisp_call waits, cancels;
    wisp_group group;
    int ticks, asked, since;   /* since: before, replies of calls from before the tape come */
} talker;

static void talker_event(wisp_event *e) {
    talker *t = (talker *)e->user;
    int peers = wisp_peers(e->w, NULL, 0), members = wisp_group_peers(e->w, t->group, NULL, 0);
    tape_note(&t->notes, e->name, (int)strlen(e->name));
    tape_note(&t->notes, e->text, (int)strlen(e->text));
    tape_note(&t->notes, &e->peer.id, 4);
    tape_note(&t->notes, &e->result, (int)sizeof e->result);
    tape_note(&t->notes, &peers, (int)sizeof peers);
    tape_note(&t->notes, &members, (int)sizeof members);
    for (int i = 0; i < e->count; i++) {
        uint64_t hash = wisp_hash(&e->args[i]);
        tape_note(&t->notes, &hash, 8);
    }
}

static void talker_joined(wisp_event *e) {
    talker *t = (talker *)e->user;
    talker_event(e);
    t->group = wisp_group_named(e->w, "all");
    wisp_group_add(e->w, t->group, e->peer);
}

static void talker_asked(wisp_event *e) {
    wisp_value sum = wisp_int(wisp_arg_int(e, 0) * 2);
    talker *t = (talker *)e->user;
    talker_event(e);
    if (t->waits.id) wisp_answer(e->w, t->waits, &sum, 1);
    t->waits.id = 0;
    if (++t->asked % 4 == 0) wisp_fail(e, WISP_E_USER, "number %d", t->asked);
    else if (t->asked % 4 == 1) t->waits = wisp_defer(e);
    else if (t->asked % 4 == 2) wisp_reply_values(e, &sum, 1);
}

static void talker_tick(wisp_event *e) {
    talker *t = (talker *)e->user;
    wisp_value value = wisp_int(++t->ticks);
    wisp_call_desc how;
    if (t->ticks == t->since) memset(&t->notes, 0, sizeof t->notes);
    memset(&how, 0, sizeof how);
    how.on_reply = how.on_done = talker_event;
    how.user = t;
    how.timeout = 0.2;
    if (t->ticks % 3 == 0) wisp_invoke_values(e->w, "ask", wisp_to_all(), &how, &value, 1);
    how.on_done = NULL;
    if (t->ticks % 7 == 0)
        t->cancels = wisp_invoke_values(e->w, "ask", wisp_to_peer(wisp_server()), &how, &value, 1);
    if (t->ticks % 7 == 1) wisp_cancel(e->w, t->cancels);
    wisp_fire_values(e->w, "say", wisp_to_all(), &value, 1);
    if (t->ticks == 60) wisp_leave(e->w, wisp_server(), "enough");
    tape_note(&t->notes, &e->tick, 8);
}

static void talker_setup(talker *t, wisp *w) {
    t->w = w;
    wisp_connect_target(w, wisp_by_name(WISP_JOINED), talker_joined, t, false);
    wisp_connect_target(w, wisp_by_name(WISP_LEFT), talker_event, t, false);
    wisp_connect_target(w, wisp_by_name("say"), talker_event, t, false);
    wisp_on_invoke_target(w, wisp_by_name("ask"), talker_asked, t);
    wisp_on_tick(w, talker_tick, t);
}

static void talker_state(void *user, const void *bytes, int size) {
    talker *t = (talker *)user, was;
    memcpy(&was, bytes, (size_t)size);
    t->waits = was.waits;
    t->cancels = was.cancels;
    t->group = was.group;
    t->ticks = was.ticks;
    t->asked = was.asked;
    t->since = was.since;
}

typedef struct talker_reader { talker *t; tape_memory *tape; } talker_reader;

static int talker_read(void *user, void *out, int size) {
    return tape_read(((talker_reader *)user)->tape, out, size);
}

static void talker_read_state(void *user, const void *bytes, int size) {
    talker_state(((talker_reader *)user)->t, bytes, size);
}

static void talker_replay(talker *t, double rate) {
    static talker again;
    talker_reader from = { &again, &t->tape };
    wisp_reader reader = { talker_read, &from, talker_read_state };
    wisp_desc desc = tape_desc(wisp_loopback(&taped.pipe, 0), rate);
    wisp_result result;
    wisp *w;
    desc.app = "test";
    t->tape.read = 0;
    memset(&again, 0, sizeof again);
    w = wisp_replay(&reader, &desc, NULL);
    if (!CHECK(w != NULL)) return;
    talker_setup(&again, w);
    while ((result = wisp_update(w, 0)) == WISP_OK) continue;
    CHECK_EQ_INT(result, WISP_E_CLOSED);
    if (result == WISP_E_DIVERGED) printf("  %s\n", wisp_why_text(w));
    CHECK_EQ_INT(again.ticks, t->ticks);
    CHECK_EQ_INT(again.notes.count, t->notes.count);
    CHECK(again.notes.hash == t->notes.hash);
    wisp_destroy(w);
    wisp_pipe_free(&taped.pipe);
}

TEST(calls_joins_and_leaves_of_both_ends_live_again_from_the_middle) {
    static talker t[3];
    static world w;
    wisp_writer writer = { tape_write, NULL, WISP_COMPRESSION_NONE, false, NULL, 0 };
    wisp_addr to = wisp_loopback_addr(0);
    memset(t, 0, sizeof t);
    world_open(&w);
    w.bad = true;
    w.net.latency = 0.03;
    w.net.loss = 0.05;
    for (int i = 0; i < 3; i++) {
        w.desc.tick_rate = i ? 0 : 20;
        world_add(&w);
        talker_setup(&t[i], w.ends[i]);
        if (i) wisp_join(w.ends[i], &to, "ticket", 6);
    }
    for (int i = 0; i < 500; i++) {
        for (int k = 0; k < 2; k++)
            if (i == 100 + 40 * k) {
                writer.user = &t[k].tape;
                writer.state = &t[k];
                writer.state_bytes = (int)sizeof t[k];
                t[k].since = t[k].ticks + 9;
                CHECK_EQ_INT(wisp_record(t[k].w, &writer), WISP_OK);
            }
        if (i == 300) wisp_join(w.ends[2], &to, "again", 5);
        world_step(&w);
    }
    for (int k = 0; k < 2; k++) {
        CHECK_EQ_INT(wisp_record(t[k].w, NULL), WISP_OK);
        CHECK(t[k].notes.count > 400);
        talker_replay(&t[k], k ? 0 : 20);
    }
    world_close(&w);
    for (int k = 0; k < 2; k++) free(t[k].tape.bytes);
}

/* --- a tape through a compressor: a zero and how many; all other bytes as they are --- */

static void *zeros_open(const wisp_compressor *c, const wisp_allocator *memory, const void *words,
                        int count) {
    (void)words, (void)count, (void)memory;
    return c->user;
}

static void zeros_close(const wisp_compressor *c, void *context) { (void)c, (void)context; }

static int zeros_compress(void *context, const void *from, int size, void *to, int capacity) {
    const uint8_t *in = (const uint8_t *)from;
    uint8_t *out = (uint8_t *)to;
    int at = 0;
    (void)context;
    for (int i = 0; i < size;) {
        int first = i++;
        if (at + 2 > capacity) return 0;
        out[at++] = in[first];
        while (!in[first] && i < size && !in[i] && i - first < 255) i++;
        if (!in[first]) out[at++] = (uint8_t)(i - first);
    }
    return at;
}

static int zeros_decompress(void *context, const void *from, int size, void *to, int capacity) {
    const uint8_t *in = (const uint8_t *)from;
    uint8_t *out = (uint8_t *)to;
    int at = 0;
    (*(int *)context)++;
    for (int i = 0; i < size; i++) {
        uint8_t byte = in[i];
        int times = byte ? 1 : ++i < size ? in[i] : 0;
        if (times > capacity - at) return -1;
        memset(out + at, byte, (size_t)times);
        at += times;
    }
    return at;
}

static int zeros_unpacked;

static void with_zeros(wisp *w) {
    wisp_compressor c = { WISP_COMPRESSION_USER, "zeros", zeros_open, zeros_close, zeros_compress,
                          zeros_decompress, &zeros_unpacked };
    CHECK_EQ_INT(wisp_add_compressor(w, &c), WISP_OK);
}

TEST(a_tape_goes_through_a_compressor_and_back) {
    int plain;
    record_party(11, 5);
    plain = taped.tape.size;
    free(taped.tape.bytes);
    memset(&taped, 0, sizeof taped);
    tape_party_begin(&taped, 11);
    with_zeros(taped.server);
    taped.compression = WISP_COMPRESSION_USER;
    CHECK_EQ_INT(tape_party_record(&taped), WISP_OK);
    tape_game_setup(&taped.game, taped.server, &taped.notes);
    tape_party_join(&taped);
    tape_party_run(&taped, 5);
    tape_party_close(&taped);
    CHECK(taped.tape.size < plain);
    taped.before = with_zeros;
    tape_party_replay(&taped, NULL);
    CHECK(zeros_unpacked > 1);
    CHECK_EQ_STR(taped.told, "");
    CHECK_EQ_INT(taped.result, WISP_E_CLOSED);
    CHECK(taped.again.hash == taped.notes.hash);
    taped.before = NULL;
    tape_party_replay(&taped, NULL);
    CHECK_EQ_INT(taped.again.count, 0);
    free(taped.tape.bytes);
}

/* --- prediction and inputs, in the open and sealed: tapes of both ends --- */

typedef struct driver {
    wisp       *w;
    wisp_class  of;
    tape_memory tape;
    tape_notes  notes;
    fake_cipher cipher;
    bool        server;
    int         wheel, again, replies;
    double      asked;           /* when it makes its call from outside */
} driver;

static void driver_sample(wisp *w, void *input, void *user) {
    driver *d = (driver *)user;
    ((band_input *)input)->x = (int8_t)(d->wheel++ / 7 % 5 - 2);
    (void)w;
}

static void driver_joined(wisp_event *e) {
    driver *d = (driver *)e->user;
    tape_orb orb;
    memset(&orb, 0, sizeof orb);
    if (d->server) CHECK(wisp_spawn(e->w, d->of, wisp_player_of(e->w, e->peer), &orb).id != 0);
}

static void driver_tick(wisp_event *e) {
    driver *d = (driver *)e->user;
    tape_note(&d->notes, &e->tick, 8);
    d->again += e->replay;
    for (wisp_object o = wisp_first(e->w, d->of); o.id; o = wisp_next(e->w, o)) {
        const band_input *in = (const band_input *)wisp_input_for(e->w, o, NULL);
        tape_orb *orb = (tape_orb *)wisp_object_edit(e->w, o);
        if (orb && in && orb->hits < 999) orb->hits++;
        if (orb && in) orb->at.x += 0.05f * (float)in->x;
        if (orb) tape_note(&d->notes, orb, (int)sizeof *orb);
    }
}

static void driver_told(wisp_event *e) {
    wisp_value both = wisp_int(2 * wisp_arg_int(e, 0));
    wisp_reply_values(e, &both, 1);
}

static void driver_replied(wisp_event *e) {
    driver *d = (driver *)e->user;
    d->replies += wisp_arg_int(e, 0) == 42;
}

static void driver_ask(driver *d) {
    wisp_call_desc how;
    wisp_value value = wisp_int(21);
    memset(&how, 0, sizeof how);
    how.on_reply = driver_replied;
    how.user = d;
    wisp_invoke_values(d->w, "twice", wisp_to_peer(wisp_server()), &how, &value, 1);
}

static void driver_setup(driver *d, wisp *w) {
    wisp_class_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.schema = &tape_orb_schema;
    desc.predict = WISP_PREDICT_OWNED;
    d->w = w;
    d->of = wisp_define(w, "orb", &desc);
    CHECK_EQ_INT(wisp_use_input(w, &band_schema), WISP_OK);
    CHECK(wisp_on_input(w, driver_sample, d).id != 0);
    wisp_connect_target(w, wisp_by_name(WISP_JOINED), driver_joined, d, false);
    wisp_on_invoke_target(w, wisp_by_name("twice"), driver_told, d);
    wisp_on_tick(w, driver_tick, d);
}

/* `begins`: at that step the tapes begin. */
static void drivers_record(world *w, driver *d, uint8_t *secret, uint8_t *key, bool sealed,
                           int begins) {
    wisp_writer writer = { tape_write, NULL, WISP_COMPRESSION_NONE, false, NULL, 0 };
    wisp_addr to = wisp_loopback_addr(0);
    for (int i = 0; i < 2; i++) {
        d[i].server = i == 0;
        fake_open(&d[i].cipher, 1 + (uint64_t)i);
        if (!i) d->cipher.cipher.keypair(&d->cipher, secret, key);
        w->desc.tick_rate = i ? 0 : 50;
        w->desc.cipher = sealed ? &d[i].cipher.cipher : NULL;
        w->desc.secret_key = sealed && !i ? secret : NULL;
        writer.user = &d[i].tape;
        world_add(w);
        if (!begins) CHECK_EQ_INT(wisp_record(w->ends[i], &writer), WISP_OK);
        driver_setup(&d[i], w->ends[i]);
    }
    if (sealed) wisp_join_sealed(d[1].w, &to, key, "ticket", 6);
    else wisp_join(d[1].w, &to, "ticket", 6);
    for (int i = 0; i < 400; i++) {
        tape_orb *orb = NULL;
        for (int k = 0; k < 2 && begins && i == begins; k++) {
            memset(&d[k].notes, 0, sizeof d[k].notes);
            writer.user = &d[k].tape;
            CHECK_EQ_INT(wisp_record(w->ends[k], &writer), WISP_OK);
        }
        if (i % 90 == 50) orb = (tape_orb *)wisp_object_edit(d->w, wisp_first(d->w, d->of));
        if (orb) orb->at.x += 3;
        if (i == 200) d[1].asked = wisp_now(d[1].w);
        if (i == 200) driver_ask(&d[1]);
        world_step(w);
        for (wisp_object o = wisp_first(d[1].w, d[1].of); o.id; o = wisp_next(d[1].w, o)) {
            tape_orb seen;
            wisp_view(d[1].w, o, WISP_SMOOTH, &seen);
        }
    }
    CHECK(d[1].again > 10);
    CHECK_EQ_INT(d[1].replies, 1);
    CHECK(!sealed || d[1].cipher.opens > 100);
}

/* `asks`: the program makes its call from outside again. */
static void driver_replay(driver *d, const uint8_t *secret, bool sealed, bool asks) {
    static driver again;
    wisp_reader reader = { tape_read, &d->tape, NULL };
    wisp_desc desc = tape_desc(wisp_loopback(&taped.pipe, 0), d->server ? 50 : 0);
    wisp_result result;
    wisp *w;
    desc.app = "test";
    d->tape.read = 0;
    memset(&again, 0, sizeof again);
    again.server = d->server;
    again.wheel = 1000;
    fake_open(&again.cipher, 99);
    if (sealed) desc.cipher = &again.cipher.cipher;
    if (sealed && d->server) desc.secret_key = secret;
    w = wisp_replay(&reader, &desc, &result);
    if (!CHECK(w != NULL)) return;
    driver_setup(&again, w);
    while ((result = wisp_update(w, 0)) == WISP_OK)
        if (asks && !d->server && wisp_now(w) == d->asked) driver_ask(&again);
    CHECK_EQ_INT(result, WISP_E_CLOSED);
    if (result == WISP_E_DIVERGED) printf("  %s\n", wisp_why_text(w));
    CHECK_EQ_INT(again.replies, asks && !d->server);
    CHECK_EQ_INT(again.notes.count, d->notes.count);
    CHECK(again.notes.hash == d->notes.hash);
    CHECK_EQ_INT(again.again, d->again);
    wisp_destroy(w);
}

TEST(both_ends_of_predicted_objects_live_again_in_the_open_and_sealed) {
    for (int sealed = 0; sealed < 2; sealed++) {
        static driver d[2];
        static world w;
        uint8_t secret[WISP_KEY_BYTES], key[WISP_KEY_BYTES];
        memset(d, 0, sizeof d);
        world_open(&w);
        w.bad = true;
        w.net.latency = 0.04;
        w.net.jitter = 0.01;
        w.net.loss = 0.03;
        drivers_record(&w, d, secret, key, sealed != 0, 0);
        world_close(&w);
        for (int i = 0; i < 2; i++) driver_replay(&d[i], secret, sealed != 0, false);
        driver_replay(&d[1], secret, sealed != 0, true);
        for (int i = 0; i < 2; i++) free(d[i].tape.bytes);
    }
    wisp_pipe_free(&taped.pipe);
}

/* Inputs of players are on the tape of their server. */
TEST(a_server_of_predicted_objects_lives_again_from_the_middle) {
    static driver d[2];
    static world w;
    uint8_t secret[WISP_KEY_BYTES], key[WISP_KEY_BYTES];
    memset(d, 0, sizeof d);
    world_open(&w);
    w.bad = true;
    w.net.latency = 0.04;
    w.net.loss = 0.03;
    drivers_record(&w, d, secret, key, false, 120);
    world_close(&w);
    CHECK(d->notes.count > 100);
    driver_replay(d, secret, false, false);
    for (int i = 0; i < 2; i++) free(d[i].tape.bytes);
    wisp_pipe_free(&taped.pipe);
}

/* --- a client that sees, predicts and owns: its tape begins in the middle --- */

enum { FAN_BEGINS = 300, FAN_STEPS = 800 };

typedef struct fan {
    wisp *w;
    wisp_class orbs, cars, bolts, cups;
    wisp_object orb, cup;
    tape_memory tape;
    tape_notes notes;
    wisp_writer writer;
    bool server;
    int wheel, again, undone, seen[3], told, bend;   /* seen: spawned, changed, despawned */
} fan;

static void fan_note_orb(fan *f, const tape_orb *orb) {
    tape_note(&f->notes, &orb->at, (int)sizeof orb->at);
    tape_note(&f->notes, &orb->heat, (int)sizeof orb->heat);
    tape_note(&f->notes, &orb->hits, (int)sizeof orb->hits);
}

static void fan_object(wisp_event *e) {
    fan *f = (fan *)e->user;
    const tape_orb *orb = (const tape_orb *)e->state, *before = (const tape_orb *)e->before;
    double now = wisp_now(e->w);
    f->seen[e->message - WISP_OBJECT_SPAWNED]++;
    tape_note(&f->notes, e->name, (int)strlen(e->name));
    tape_note(&f->notes, &e->object.id, 4);
    tape_note(&f->notes, &e->tick, 8);
    tape_note(&f->notes, &now, 8);
    if (orb) fan_note_orb(f, orb);
    if (before) fan_note_orb(f, before);
}

static void fan_value(wisp_event *e) {
    fan *f = (fan *)e->user;
    uint64_t hash = wisp_hash(&e->args[0]);
    wisp_player me = wisp_me(e->w);
    f->told++;
    tape_note(&f->notes, &hash, 8);
    tape_note(&f->notes, &me.id, (int)sizeof me.id);
    tape_note(&f->notes, &e->tick, 8);
}

static void fan_undone(wisp_event *e) { ((fan *)e->user)->undone++; }

/* What a frame draws. */
static void fan_draw(fan *f) {
    const wisp_class all[] = { f->orbs, f->cars, f->bolts, f->cups };
    wisp_times_of times;
    tape_orb orb;
    wisp_times(f->w, &times);
    tape_note(&f->notes, &times.smooth, 8);
    tape_note(&f->notes, &times.confirmed, 8);
    tape_note(&f->notes, &times.lead, 8);
    for (int i = 0; i < 4; i++)
        for (wisp_object o = wisp_first(f->w, all[i]); o.id; o = wisp_next(f->w, o)) {
            bool frozen = wisp_is_frozen(f->w, o);
            tape_note(&f->notes, &o.id, 4);
            tape_note(&f->notes, &frozen, (int)sizeof frozen);
            for (int moment = WISP_NOW; moment <= WISP_SMOOTH; moment++)
                if (wisp_view(f->w, o, moment, &orb)) fan_note_orb(f, &orb);
            if (wisp_past(f->w, o, (double)wisp_tick(f->w) - 20.5, &orb)) fan_note_orb(f, &orb);
        }
}

static void fan_serve(wisp_event *e, fan *f) {
    wisp_value value = wisp_int(e->tick);
    tape_orb orb, *at;
    wisp_player nobody = { 0 };
    memset(&orb, 0, sizeof orb);
    if (e->tick % 40 == 0) {
        wisp_object o = wisp_spawn(e->w, f->orbs, nobody, &orb);
        wisp_tag(e->w, o, e->tick % 80 ? "red" : "blue");
        if (e->tick % 120 == 0) wisp_despawn(e->w, wisp_first(e->w, f->orbs));
        wisp_set_value(e->w, "score", &value);
        wisp_fire_values(e->w, "say", wisp_to_all(), &value, 1);
    }
    for (wisp_object o = wisp_first(e->w, f->orbs); o.id; o = wisp_next(e->w, o))
        if ((e->tick + o.id) % 3 && (at = (tape_orb *)wisp_object_edit(e->w, o)) != NULL)
            at->at.x = at->at.x > 90 ? -90 : at->at.x + 0.3f, at->heat = (float)(e->tick % 400) / 9;
    if (e->tick % 97 == 0)
        for (wisp_object o = wisp_first(e->w, f->cars); o.id; o = wisp_next(e->w, o))
            ((tape_orb *)wisp_object_edit(e->w, o))->at.z += 7;      /* the client cannot know */
}

static void fan_tick(wisp_event *e) {
    fan *f = (fan *)e->user;
    f->again += e->replay;
    if (f->server) fan_serve(e, f);
    for (wisp_object o = wisp_first(e->w, f->cars); o.id; o = wisp_next(e->w, o)) {
        const band_input *in = (const band_input *)wisp_input_for(e->w, o, NULL);
        tape_orb *car = (tape_orb *)wisp_object_edit(e->w, o), bolt;
        if (!car || !in) continue;
        car->at.x = (float)(in->x * 3) + (car->at.x < 80 ? car->at.x + 0.2f : -80);
        if (f->bend && e->tick == f->bend) car->at.y += 5;
        memset(&bolt, 0, sizeof bolt);
        bolt.at = car->at;
        if (e->tick % 16 == 3) wisp_spawn(e->w, f->bolts, wisp_owner_of(e->w, o), &bolt);
        if (e->tick % 16 == 3 && wisp_first_time(e->w, (uint32_t)e->tick))
            tape_note(&f->notes, "bang", 4);
        if (!f->server) fan_note_orb(f, car);
    }
    for (wisp_object o = wisp_first(e->w, f->bolts), next; o.id; o = next) {
        tape_orb *bolt = (tape_orb *)wisp_object_edit(e->w, o);
        next = wisp_next(e->w, o);
        if (bolt) bolt->at.y = bolt->at.y < 90 ? bolt->at.y + 1 : 90;
        if (bolt && ++bolt->hits > 30) wisp_despawn(e->w, o);
    }
    if (f->server || e->replay) return;
    fan_draw(f);
    if (e->tick % 60 == 7) {
        wisp_value mood = wisp_int(e->tick);
        tape_orb cup;
        memset(&cup, 0, sizeof cup);
        wisp_set_value(e->w, "mood", &mood);
        if (e->tick % 120 == 7) wisp_despawn(e->w, wisp_first(e->w, f->cups));
        else wisp_spawn(e->w, f->cups, wisp_me(e->w), &cup);
    }
    for (wisp_object o = wisp_first(e->w, f->cups); o.id; o = wisp_next(e->w, o)) {
        tape_orb *cup = (tape_orb *)wisp_object_edit(e->w, o);
        if (cup && cup->hits < 900) cup->hits++;
    }
}

static void fan_sample(wisp *w, void *input, void *user) {
    ((band_input *)input)->x = (int8_t)(((fan *)user)->wheel++ / 7 % 5 - 2);
    (void)w;
}

static void fan_joined(wisp_event *e) {
    fan *f = (fan *)e->user;
    tape_orb car;
    memset(&car, 0, sizeof car);
    if (f->server) wisp_spawn(e->w, f->cars, wisp_player_of(e->w, e->peer), &car);
}

static void fan_setup(fan *f, wisp *w) {
    wisp_class_desc desc;
    wisp_property_desc property;
    memset(&desc, 0, sizeof desc);
    memset(&property, 0, sizeof property);
    f->w = w;
    desc.schema = &tape_orb_schema;
    f->orbs = wisp_define(w, "orb", &desc);
    desc.predict = WISP_PREDICT_OWNED;
    f->cars = wisp_define(w, "car", &desc);
    f->bolts = wisp_define(w, "bolt", &desc);
    desc.predict = WISP_PREDICT_NONE;
    desc.authority = WISP_AUTHORITY_OWNER;
    f->cups = wisp_define(w, "cup", &desc);
    property.initial = wisp_int(0);
    wisp_property(w, "score", &property);
    property.authority = WISP_AUTHORITY_ANYONE;
    wisp_property(w, "mood", &property);
    CHECK_EQ_INT(wisp_use_input(w, &band_schema), WISP_OK);
    wisp_on_input(w, fan_sample, f);
    wisp_on_tick(w, fan_tick, f);
    wisp_connect_target(w, wisp_by_name(WISP_JOINED), fan_joined, f, false);
    if (f->server) return;
    CHECK(wisp_watch_objects(w, ".", fan_object, f).id != 0);
    CHECK(wisp_watch(w, "mood|score", fan_value, f).id != 0);
    wisp_connect_target(w, wisp_by_name("say"), fan_value, f, false);
    wisp_connect_target(w, wisp_by_name(WISP_UNDONE), fan_undone, f, false);
}

static wisp *fan_replay(fan *f, int bend) {
    static fan again;
    static wisp_reader reader;
    wisp_desc desc = tape_desc(wisp_loopback(&taped.pipe, 0), 0);
    wisp_result result;
    wisp *w;
    f->tape.read = 0;
    memset(&again, 0, sizeof again);
    reader.read = tape_read;
    reader.user = &f->tape;
    desc.app = "test";
    w = wisp_replay(&reader, &desc, NULL);
    if (!CHECK(w != NULL)) return NULL;
    again.bend = bend;
    fan_setup(&again, w);
    memset(&again.notes, 0, sizeof again.notes);
    again.told = 0;
    while ((result = wisp_update(w, 0)) == WISP_OK) {
        fan_draw(&again);
        wisp__objects_check(w);
    }
    if (bend) return CHECK_EQ_INT(result, WISP_E_DIVERGED), w;
    CHECK_EQ_INT(result, WISP_E_CLOSED);
    if (result == WISP_E_DIVERGED) printf("  %s\n", wisp_why_text(w));
    CHECK_EQ_INT(again.notes.count, f->notes.count);
    CHECK(again.notes.hash == f->notes.hash);
    CHECK_EQ_INT(again.again, f->again);
    CHECK_EQ_INT(again.told, f->told);
    for (int i = 0; i < 3; i++) CHECK_EQ_INT(again.seen[i], f->seen[i]);
    return w;
}

static void fan_record(fan *f, uint64_t seed) {
    static world w;
    wisp_addr to = wisp_loopback_addr(0);
    memset(f, 0, 2 * sizeof *f);
    world_open(&w);
    w.bad = true;
    w.net.latency = 0.05;
    w.net.jitter = 0.01;
    w.net.loss = 0.03;
    w.net.seed = seed;
    for (int i = 0; i < 2; i++) {
        f[i].server = i == 0;
        w.desc.tick_rate = i ? 0 : 50;
        world_add(&w);
        fan_setup(&f[i], w.ends[i]);
    }
    wisp_join(f[1].w, &to, "ticket", 6);
    for (int i = 0; i < FAN_STEPS; i++) {
        if (i == FAN_BEGINS + (int)seed) {
            f[1].writer.write = tape_write;
            f[1].writer.user = &f[1].tape;
            memset(&f[1].notes, 0, sizeof f[1].notes);
            memset(f[1].seen, 0, sizeof f[1].seen);
            f[1].again = f[1].told = 0;
            CHECK_EQ_INT(wisp_record(f[1].w, &f[1].writer), WISP_OK);
        }
        world_step(&w);
        if (i >= FAN_BEGINS + (int)seed) fan_draw(&f[1]);
    }
    CHECK_EQ_INT(wisp_record(f[1].w, NULL), WISP_OK);
    world_close(&w);
    free(f[0].tape.bytes);
}

TEST(a_client_that_sees_predicts_and_owns_lives_again_from_the_middle) {
    static fan f[2];
    for (uint64_t seed = 1; seed < 4; seed++) {
        fan_record(f, seed);
        CHECK(f[1].again > 10 && f[1].told > 5);
        for (int i = 0; i < 3; i++) CHECK(f[1].seen[i] > 5);
        wisp_destroy(fan_replay(&f[1], 0));
        free(f[1].tape.bytes);
    }
    wisp_pipe_free(&taped.pipe);
}

/* A tick that predicts otherwise shows where it comes to something that the tape has. */
TEST(a_changed_prediction_is_found_from_the_middle_on) {
    static fan f[2];
    wisp *w;
    fan_record(f, 9);
    w = fan_replay(&f[1], 300);
    CHECK(strstr(wisp_why_text(w), "\"class bolt\"") || strstr(wisp_why_text(w), "spawn"));
    wisp_destroy(w);
    wisp_pipe_free(&taped.pipe);
    free(f[1].tape.bytes);
}

/* --- rollback --- */

static void band_replay(const band *t, tape_memory *tape, const wisp_peer *peers, double begun) {
    static band_end again;
    wisp_reader reader = { tape_read, tape, NULL };
    wisp_desc desc = tape_desc(wisp_loopback(&taped.pipe, 0), 0);
    wisp_result result;
    wisp *w;
    desc.app = NULL;
    desc.joins = WISP_JOINS_OPEN;
    w = wisp_replay(&reader, &desc, &result);
    if (!CHECK(w != NULL)) return;
    memset(&again, 0, sizeof again);
    again.desc = t->ends[1].desc;
    again.desc.user = &again;
    wisp_connect_target(w, wisp_by_name(WISP_STALLED), band_on, &again, false);
    wisp_connect_target(w, wisp_by_name(WISP_RESUMED), band_on, &again, false);
    wisp_connect_target(w, wisp_by_name(WISP_DESYNC), band_on, &again, false);
    while (wisp_now(w) < begun && (result = wisp_update(w, 0)) == WISP_OK) continue;
    CHECK_EQ_INT(wisp_rollback_begin(w, &again.desc, peers, NULL, 0), WISP_OK);
    while ((result = wisp_update(w, 0)) == WISP_OK) continue;
    CHECK_EQ_INT(result, WISP_E_CLOSED);
    if (result == WISP_E_DIVERGED) printf("  %s\n", wisp_why_text(w));
    CHECK_EQ_INT(again.steps, t->ends[1].steps);
    CHECK_EQ_INT(again.loads, t->ends[1].loads);
    CHECK(memcmp(&again.state, &t->ends[1].state, sizeof again.state) == 0);
    CHECK(memcmp(again.ran, t->ends[1].ran, sizeof again.ran) == 0);
    wisp_destroy(w);
    wisp_pipe_free(&taped.pipe);
}

TEST(a_player_of_a_rollback_lives_it_again) {
    static band t;
    tape_memory tape = { NULL, 0, 0, 0, 0 };
    wisp_writer writer = { tape_write, &tape, WISP_COMPRESSION_NONE, false, NULL, 0 };
    double begun;
    band_open(&t, 3, 5);
    CHECK_EQ_INT(wisp_record(t.ends[1].w, &writer), WISP_OK);
    band_join(&t);
    begun = wisp_now(t.ends[1].w);
    band_begin(&t);
    band_run(&t, 4);
    CHECK_EQ_INT(wisp_record(t.ends[1].w, NULL), WISP_OK);
    CHECK(t.ends[1].loads > 10);
    band_replay(&t, &tape, t.peers[1], begun);
    band_close(&t);
    free(tape.bytes);
}

static const test_case tests[] = {
    CASE(all_that_a_server_did_comes_out_again_in_a_replay),
    CASE(the_program_of_a_replay_may_make_the_calls_from_outside_too),
    CASE(a_handler_that_edits_otherwise_is_found_in_its_tick),
    CASE(a_handler_that_calls_otherwise_is_told_with_the_call_and_both_values),
    CASE(a_handler_that_is_not_there_is_missed),
    CASE(what_a_tape_is_refused_for),
    CASE(the_tape_of_an_idle_server_has_at_most_100_bytes_a_second),
    CASE(a_tape_that_begins_in_the_middle_comes_out_again),
    CASE(a_changed_handler_is_found_in_its_tick_from_the_middle_on),
    CASE(tools_read_a_tape_from_the_middle),
    CASE(calls_joins_and_leaves_of_both_ends_live_again_from_the_middle),
    CASE(a_tape_goes_through_a_compressor_and_back),
    CASE(both_ends_of_predicted_objects_live_again_in_the_open_and_sealed),
    CASE(a_server_of_predicted_objects_lives_again_from_the_middle),
    CASE(a_client_that_sees_predicts_and_owns_lives_again_from_the_middle),
    CASE(a_changed_prediction_is_found_from_the_middle_on),
    CASE(a_player_of_a_rollback_lives_it_again),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
