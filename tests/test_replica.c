/* test_replica.c - objects: as the peers of a server see them */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/orbs.h"

/* Lost, late and doubled packets, ends that join late or leave: after a quiet second all agree. */
TEST(all_ends_agree_after_a_quiet_second) {
    for (uint64_t seed = 1; seed <= 12; seed++) {
        static orbs t;
        orbs_open(&t);
        orbs_desc.adaptive = seed > 6;
        t.w.bad = true;
        t.w.net.loss = seed % 6 == 1 ? 0 : 0.3;
        t.w.net.latency = seed % 3 == 0 ? 0.3 : (double)(seed % 3) * 0.02;
        t.w.net.jitter = 0.03;
        t.w.net.duplicate = 0.1;
        t.w.net.reorder = 0.1;
        t.w.net.seed = seed;
        t.random = seed;
        orbs_server(&t);
        for (int i = 0; i < 30; i++) orbs_spawn(&t, (float)i, "old");
        orbs_join(&t);
        orbs_join(&t);
        world_watch(&t.w, t.server, WISP_ERROR);
        world_watch(&t.w, t.ends[0], WISP_ERROR);
        for (int step = 0; step < 900; step++) {
            if (step == 300) orbs_join(&t);
            if (step == 500) wisp_leave(t.ends[1], wisp_server(), "enough");
            if (step < 700) orbs_play(&t);
            world_step(&t.w);
        }
        for (int i = 0; i < 600 && !(orbs_agree(&t, 0) && orbs_agree(&t, 2)); i++)
            world_step(&t.w);
        CHECK(orbs_agree(&t, 0));
        CHECK(orbs_agree(&t, 2));
        CHECK(wisp_first(t.ends[1], t.of[1]).id == 0);          /* without a server nothing */
        CHECK_EQ_INT(t.logs[1].spawned, t.logs[1].despawned);
        CHECK(t.logs[0].spawned - t.logs[0].despawned == t.server->objects.count);
        CHECK_EQ_INT(t.logs[0].wrong + t.logs[2].wrong, 0);
        CHECK_EQ_INT(world_count(&t.w, NULL, WISP_ERROR), 0);
        world_close(&t.w);
    }
}

/* Hashes of the rows of the server's objects in each tick. */
enum { ROWS_SEEN = 1 << 15 };
static struct { uint32_t id, tick; uint64_t hash; } rows_seen[ROWS_SEEN];

static uint64_t row_hash(const wisp__object *o) {
    uint64_t hash = 14695981039346656037u;
    const uint8_t *bytes = (const uint8_t *)o->row->bytes;
    for (size_t i = 0; i < wisp__encoded_size(o->row); i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash;
}

/* Notes the row that a server's object has in a tick, or finds that of a client's equal to it. */
static bool row_known(const wisp__object *o, uint32_t tick, bool note) {
    uint32_t at = (o->id * 31 + tick) * 2654435761u >> 17;
    while (rows_seen[at].id && (rows_seen[at].id != o->id || rows_seen[at].tick != tick))
        at = (at + 1) % ROWS_SEEN;
    if (!note) return rows_seen[at].id && rows_seen[at].hash == row_hash(o);
    if (rows_seen[at].id && rows_seen[at].hash != row_hash(o)) return false;
    rows_seen[at].id = o->id;
    rows_seen[at].tick = tick;
    rows_seen[at].hash = row_hash(o);
    return true;
}

static int owners_wrong(orbs *t) {
    int wrong = 0;
    for (const wisp__object *o = t->server->objects.classes[0]->first; o; o = o->next)
        wrong += !o->dead && o->spawned &&
                 (!row_known(o, (uint32_t)o->tick, true) ||
                  !row_known(o, (uint32_t)t->server->clock.tick, true));
    for (int i = 0; i < t->count; i++)
        for (const wisp__object *o = t->ends[i]->objects.classes[0]->first; o; o = o->next)
            wrong += !o->dead && o->spawned && !o->made && !o->overruled &&
                     !row_known(o, (uint32_t)o->tick, false);
    return wrong;
}

static wisp_result owners_judge(wisp_event *event) {
    orb *asked = (orb *)event->state;
    if (asked->health % 7 == 3) return WISP_E_USER;
    if (asked->health % 7 == 5) asked->health--;
    return WISP_OK;
}

/* Owners edit theirs, and the server gives them on, overrules, spawns and despawns. */
static void owners_play(orbs *t) {
    int live = 0;
    for (int i = 0; i < t->count; i++) {
        if (t->ends[i]->objects.server == NULL) continue;
        for (wisp_object o = wisp_first(t->ends[i], t->of[i]); o.id; o = wisp_next(t->ends[i], o)) {
            uint64_t r = orbs_next(t);
            orb *edit = r % 2 && wisp_is_mine(t->ends[i], o)
                            ? (orb *)wisp_object_edit(t->ends[i], o) : NULL;
            if (!edit) continue;
            CHECK(wisp_decides(t->ends[i], o));
            edit->x = (float)(int)(r >> 8 & 127) * 0.5f;
            if (r >> 16 & 1) edit->health = (uint16_t)(r >> 20 & 127);
            if (r % 61 == 0) strcpy(edit->name, r >> 30 & 1 ? "renamed" : "");
        }
    }
    for (wisp_object o = wisp_first(t->server, t->of_server); o.id; o = wisp_next(t->server, o)) {
        uint64_t r = orbs_next(t);
        wisp_player owner = wisp_player_of(t->server, world_peer(t->server, (int)(r >> 40 & 3)));
        live++;
        if (r % 83 == 0) wisp_give(t->server, o, owner);
        if (r % 97 == 0) ((orb *)wisp_object_edit(t->server, o))->y = (float)(r >> 8 & 63);
        if (r % 499 == 0) wisp_despawn(t->server, o);
    }
    if (live < 20) orbs_spawn(t, 0, "new");
}

static bool owners_agree(orbs *t) {
    for (int i = 0; i < t->count; i++)
        if (t->ends[i]->objects.server && !orbs_agree(t, i)) return false;
    return true;
}

/* Owners decide, through loss, delay, doubles and hand-overs: a row here is bit for bit that of the
   server of its tick, and after a quiet second all agree. */
TEST(owners_edit_and_all_agree) {
    for (uint64_t seed = 1; seed <= 8; seed++) {
        static orbs t;
        int wrong = 0;
        orbs_open(&t);
        memset(rows_seen, 0, sizeof rows_seen);
        orbs_desc.authority = WISP_AUTHORITY_OWNER;
        orbs_desc.judge = seed % 2 ? owners_judge : NULL;
        orbs_desc.adaptive = seed > 4;
        orbs_desc.owner_gone = seed % 4 < 2 ? WISP_TO_SERVER : WISP_DESPAWN;
        t.w.bad = true;
        t.w.net.loss = seed == 1 ? 0 : 0.3;
        t.w.net.latency = seed % 3 == 0 ? 0.3 : (double)(seed % 3) * 0.02;
        t.w.net.jitter = 0.03;
        t.w.net.duplicate = 0.1;
        t.w.net.reorder = 0.1;
        t.w.net.seed = t.random = seed;
        orbs_server(&t);
        for (int i = 0; i < 3; i++) orbs_join(&t);
        world_run(&t.w, 2);
        for (int i = 0; i < 20; i++) orbs_spawn(&t, (float)i, "old");
        for (int step = 0; step < 500; step++) {
            if (step == 300) wisp_leave(t.ends[1], wisp_server(), "enough");
            if (step < 400) owners_play(&t);
            world_step(&t.w);
            wrong += owners_wrong(&t);
        }
        for (int i = 0; i < 600 && !owners_agree(&t); i++) world_step(&t.w);
        if (!CHECK(owners_agree(&t)) || !CHECK_EQ_INT(wrong, 0)) printf("  seed %d\n", (int)seed);
        world_close(&t.w);
    }
}

/* What a server tells is for peers that have joined it; who has objects takes none. */
TEST(an_end_sees_the_objects_of_the_first_server_that_it_has) {
    static orbs t;
    wisp_addr addr = wisp_loopback_addr(2);
    wisp_player nobody = { 0 };
    wisp *other;
    orb made;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);                                   /* side 1 */
    t.w.desc.tick_rate = 50;
    other = world_add(&t.w);                           /* side 2 */
    CHECK(orbs_define(other, NULL).id != 0);
    memset(&made, 0, sizeof made);
    made.x = 9;
    orbs_spawn(&t, 1, "one");
    CHECK(wisp_spawn(other, t.of_server, nobody, &made).id != 0);
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    CHECK(wisp_join(t.ends[0], &addr, NULL, 0).id != 0);
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));                        /* still those of the first */
    CHECK(wisp_spawn(t.ends[0], t.of[0], nobody, &made).id == 0);
    CHECK_EQ_INT(wisp_why(t.ends[0]), WISP_E_UNSUPPORTED);
    CHECK(wisp_object_edit(t.ends[0], wisp_first(t.ends[0], t.of[0])) == NULL);
    CHECK_EQ_INT(wisp_despawn(t.ends[0], wisp_first(t.ends[0], t.of[0])), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp_give(t.ends[0], wisp_first(t.ends[0], t.of[0]), nobody),
                 WISP_E_UNSUPPORTED);
    wisp_leave(t.ends[0], wisp_server(), "enough");
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(t.logs[0].despawned, 1);
    ((orb *)wisp_object_edit(other, wisp_first(other, t.of_server)))->x = 10;
    world_run(&t.w, 0.5);
    t.server = other;
    CHECK(orbs_agree(&t, 0));
    CHECK_EQ_INT(t.logs[0].spawned, 2);
    world_close(&t.w);
}

/* The other end has a newer version of the class: a field more, and a migration for it. */
typedef struct newer_orb { float x, y, z; uint16_t health, armour; char name[12]; } newer_orb;

static const wisp_field newer_fields[] = {
    WISP_FIELD(newer_orb, x, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(newer_orb, y, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(newer_orb, z, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(newer_orb, health, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(newer_orb, armour, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(newer_orb, name, WISP_T_STRING(11))
};
static const wisp_schema newer_schema = WISP_SCHEMA(newer_orb, 2, newer_fields);

static wisp_result newer_of(wisp_edit *edit, void *user) {
    (void)user;
    return wisp_edit_set(edit, "armour", wisp_int(wisp_int_of(wisp_edit_get(edit, "health")) / 2));
}

TEST(versions_of_a_class_migrate) {
    static orbs t;
    static const wisp_migration steps[] = { { 1, newer_of, NULL } };
    wisp_addr addr = wisp_loopback_addr(0);
    wisp_class_desc desc;
    wisp_class of;
    newer_orb seen;
    wisp *newer;
    wisp_object o;
    orbs_open(&t);
    orbs_server(&t);
    newer = world_add(&t.w);
    memset(&desc, 0, sizeof desc);
    desc.schema = &newer_schema;
    desc.migrations = steps;
    desc.migration_count = 1;
    of = wisp_define(newer, "orb", &desc);
    CHECK(of.id != 0);
    CHECK(wisp_join(newer, &addr, NULL, 0).id != 0);
    o = orbs_spawn(&t, 3, "old one");
    world_run(&t.w, 0.5);
    CHECK(wisp_view(newer, o, WISP_CONFIRMED, &seen));
    CHECK(seen.armour == 50 && seen.health == 100 && strcmp(seen.name, "old one") == 0);
    ((orb *)wisp_object_edit(t.server, o))->health = 30;
    world_run(&t.w, 0.5);
    CHECK(wisp_view(newer, o, WISP_CONFIRMED, &seen) && seen.armour == 15);
    world_close(&t.w);
}

/* Bits that nobody has written: they end the session, or do nothing; and never more. */
TEST(hostile_objects) {
    static orbs t;
    orbs_open(&t);
    t.w.desc.limits.objects = 100;
    orbs_server(&t);
    orbs_join(&t);
    for (int i = 0; i < 10; i++) orbs_spawn(&t, (float)i, "real");
    world_run(&t.w, 0.5);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[96 + WISP__SLACK];
        wisp__writer to = wisp__writer_on(bytes, 96);
        wisp__reading r;
        for (int k = 0; k < 96; k += 8) {
            uint64_t random = orbs_next(&t) & (i % 3 ? UINT64_MAX : orbs_next(&t));
            memcpy(bytes + k, &random, 8);
        }
        wisp__put(&to, orbs_next(&t) >> 31, 33);
        if (i % 2) {
            wisp__records all = wisp__records_begin();
            wisp__put_length(&to, 1 + (orbs_next(&t) & 7));
            wisp__place_put(&all, (uint16_t)(orbs_next(&t) & 15), &to);
            wisp__put(&to, i % 4 == 1 ? 4 : i % 8 == 3, i % 4 == 1 ? 4 : 3);
            if (i % 4 == 1) wisp__put(&to, orbs_next(&t) & 7, 16);
            if (i % 4 == 1) wisp__put_length(&to, 0);
        }
        memset(&r, 0, sizeof r);
        r.w = t.ends[0];
        r.s = wisp__session_of(t.ends[0], wisp_server());
        r.from = wisp__reader_on(bytes, 96);
        if (!wisp__credit_begin(r.w, r.s, 1200)) {
            world_run(&t.w, 0.2);
            continue;
        }
        t.ends[0]->updating = true;
        wisp__on_tick(&r);
        wisp__on_objects(&r);
        wisp__credit_end(r.w, r.s);
        t.ends[0]->updating = false;
        if (i % 500 == 0) world_step(&t.w);
    }
    CHECK(t.ends[0]->objects.classes[0]->count <= 100);
    world_run(&t.w, 0.5);
    world_close(&t.w);
}

/* A packet of the server that its first client is about to read. */
static wisp__reading reading_of_server(orbs *t) {
    wisp__reading r;
    orbs_open(t);
    orbs_server(t);
    orbs_join(t);
    world_run(&t->w, 0.5);
    memset(&r, 0, sizeof r);
    r.w = t->ends[0];
    r.s = wisp__session_of(t->ends[0], wisp_server());
    return r;
}

/* Objects end their packet: those of a second record would run the handlers of all once more. */
TEST(objects_come_once_in_a_packet) {
    static orbs t;
    uint8_t bytes[8 + WISP__SLACK] = { 0 };
    wisp__reading r;
    r = reading_of_server(&t);
    r.from = wisp__reader_on(bytes, 8);
    r.has_tick = true;
    wisp__on_objects(&r);
    CHECK(!r.broken);
    wisp__on_objects(&r);
    CHECK(r.broken != NULL);
    world_close(&t.w);
}

/* A server tells again and again of the states that many held messages wait for. */
TEST(each_look_at_messages_that_wait_for_states_is_paid_for) {
    static orbs t;
    uint8_t bytes[8 + WISP__SLACK] = { 0 };
    wisp__reading r;
    r = reading_of_server(&t);
    r.s->held_messages.count = 1000;                       /* of which nothing is looked at */
    r.w->content.credit.work = 1999 * WISP__PRICE_STEP;
    for (int i = 0; i < 2; i++) {
        r.from = wisp__reader_on(bytes, 8);
        wisp__on_state(&r);
        CHECK(!r.broken == !i);
    }
    r.s->held_messages.count = 0;
    world_close(&t.w);
}

/* Between the end of a session and the next update its objects are still here: none is put in
   their places. */
TEST(nothing_is_spawned_while_objects_of_a_server_go) {
    static orbs t;
    wisp_player nobody = { 0 };
    orb made;
    memset(&made, 0, sizeof made);
    orbs_open(&t);
    orbs_server(&t);
    t.w.desc.tick_rate = 50;
    orbs_join(&t);
    for (int i = 0; i < 3; i++) orbs_spawn(&t, 1, "going");
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    wisp_leave(t.ends[0], wisp_server(), "enough");
    for (int i = 0; i < 20; i++) {
        if (wisp_spawn(t.ends[0], t.of[0], nobody, &made).id) break;
        CHECK_EQ_INT(wisp_why(t.ends[0]), WISP_E_UNSUPPORTED);
        world_step(&t.w);
    }
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(t.logs[0].despawned, 3);
    CHECK(wisp_first(t.ends[0], t.of[0]).id != 0);
    world_close(&t.w);
}

static void spawn_instead(wisp_event *event) {
    const orbs *t = (const orbs *)event->user;
    orb made;
    memset(&made, 0, sizeof made);
    if (event->message != WISP_OBJECT_DESPAWNED) return;
    CHECK_EQ_INT(wisp_spawn(event->w, t->of[0], wisp_me(event->w), &made).id, 0);
    CHECK_EQ_INT(wisp_why(event->w), WISP_E_AGAIN);
}

/* So in their last handlers, with the player that this end was. */
TEST(no_owner_spawns_while_objects_of_a_server_go) {
    static orbs t;
    orbs_open(&t);
    orbs_desc.authority = WISP_AUTHORITY_OWNER;
    orbs_server(&t);
    orbs_join(&t);
    CHECK(wisp_watch_objects(t.ends[0], ".", spawn_instead, &t).id != 0);
    for (int i = 0; i < 3; i++) orbs_spawn(&t, 1, "going");
    world_run(&t.w, 0.5);
    CHECK(wisp_me(t.ends[0]).id != 0);
    wisp_leave(t.ends[0], wisp_server(), "enough");
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(t.logs[0].despawned, 3);
    world_close(&t.w);
}

/* A number that has been told is not told for another class: handles would lie about the struct. */
TEST(an_object_keeps_its_class) {
    static orbs t;
    wisp_class_desc desc;
    wisp_object o;
    wisp__class *other;
    wisp__object_head h;
    wisp__reading r;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    memset(&desc, 0, sizeof desc);
    desc.schema = &long_schema;
    CHECK(wisp_define(t.ends[0], "long", &desc).id != 0);
    o = orbs_spawn(&t, 1, "orb");
    world_run(&t.w, 0.5);
    CHECK(orbs_agree(&t, 0));
    memset(&r, 0, sizeof r);
    r.w = t.ends[0];
    r.s = wisp__session_of(t.ends[0], wisp_server());
    other = t.ends[0]->objects.classes[1];
    memset(&h, 0, sizeof h);
    h.of = other;
    h.encoding = &t.ends[0]->registry.remotes[other->remote]->encoding;
    h.generation = (uint16_t)(o.id >> 16);
    h.index = (int)(o.id & 0xffff);
    CHECK(!wisp__object_told(&r, &h));
    CHECK_EQ_INT(wisp_class_of(t.ends[0], o).id, t.of[0].id);
    CHECK(orbs_agree(&t, 0));
    world_close(&t.w);
}

/* --- assets --- */

static void assets_edit(orbs *t, float y) {
    for (wisp_object o = wisp_first(t->server, t->of_server); o.id; o = wisp_next(t->server, o))
        ((orb *)wisp_object_edit(t->server, o))->y = y;
}

static uint64_t assets_rows(orbs *t, int end) {
    return world_remote_stats(t->ends[end], "class orb").messages_received;
}

static uint64_t assets_ready(orbs *t, int end, wisp_result expected) {
    uint64_t ids = 0;
    for (wisp_object o = wisp_first(t->server, t->of_server); o.id; o = wisp_next(t->server, o)) {
        CHECK_EQ_INT(wisp_ready(t->ends[end], o), expected);
        ids++;
    }
    return ids;
}

/* An object that waits for what it needs stays as it came, and nothing more of it is sent; then its
   newest state comes whole, whatever is lost. */
TEST(an_object_that_waits_is_sent_no_news_until_it_is_ready) {
    for (int seed = 0; seed < 8; seed++) {
        static orbs t;
        uint64_t rows;
        orb seen;
        orbs_open(&t);
        t.w.bad = seed > 0;
        t.w.net.loss = 0.3;
        t.w.net.latency = seed % 2 ? 0.1 : 0;
        t.w.net.reorder = t.w.net.duplicate = 0.2;
        t.w.net.seed = (uint64_t)seed;
        orbs_server(&t);
        orbs_join(&t);
        orbs_join(&t);
        t.logs[0].refuse = WISP_PENDING;
        for (int i = 0; i < 2000 && wisp_peers(t.server, NULL, 0) < 2; i++) world_step(&t.w);
        for (int i = 0; i < 20; i++) orbs_spawn(&t, (float)i, "waits");
        for (int i = 0; i < 2000 && !(orbs_agree(&t, 0) && orbs_agree(&t, 1)); i++)
            world_step(&t.w);
        world_run(&t.w, 1);
        CHECK(t.logs[0].spawned == 20 && t.logs[0].changed == 0);
        rows = assets_rows(&t, 0);
        for (int i = 1; i <= 20; i++) {
            assets_edit(&t, (float)i);
            world_run(&t.w, 0.05);
        }
        CHECK(assets_rows(&t, 0) == rows && t.logs[0].changed == 0);
        CHECK(t.logs[1].changed > 0);
        world_run(&t.w, 1);
        for (int i = 0; i < 2; i++)                          /* nothing is behind for that */
            CHECK_EQ_INT(t.server->objects.audiences[i]->open, 0);
        CHECK(wisp_view(t.ends[0], t.logs[0].last, WISP_CONFIRMED, &seen) && seen.y < 0.5f);
        CHECK_EQ_INT(assets_ready(&t, 0, WISP_OK), 20);
        for (int i = 0; i < 400 && !orbs_agree(&t, 0); i++) world_step(&t.w);
        CHECK(orbs_agree(&t, 0));
        if (!seed) CHECK_EQ_INT(assets_rows(&t, 0), rows + 20);
        CHECK_EQ_INT(t.logs[0].changed, 20);
        assets_edit(&t, 50);
        for (int i = 0; i < 400 && !orbs_agree(&t, 0); i++) world_step(&t.w);
        CHECK(orbs_agree(&t, 0));
        CHECK_EQ_INT(t.logs[0].changed, 40);
        CHECK_EQ_INT(assets_ready(&t, 0, WISP_OK), 20);      /* once more means nothing */
        world_close(&t.w);
    }
}

/* What `spawned` refuses is not here, and is sent no more but its end; other ends see it. */
TEST(an_object_that_is_refused_is_sent_no_more) {
    static orbs t;
    uint64_t rows;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    orbs_join(&t);
    t.logs[0].refuse = WISP_E_USER;
    world_run(&t.w, 0.3);
    for (int i = 0; i < 20; i++) orbs_spawn(&t, (float)i, "no");
    world_run(&t.w, 0.5);
    rows = assets_rows(&t, 0);
    for (int i = 1; i <= 10; i++) {
        assets_edit(&t, (float)i);
        world_run(&t.w, 0.05);
    }
    CHECK_EQ_INT(assets_rows(&t, 0), rows);
    CHECK(wisp_first(t.ends[0], t.of[0]).id == 0 && t.logs[0].spawned == 20);
    CHECK(orbs_agree(&t, 1));
    CHECK_EQ_INT(assets_ready(&t, 0, WISP_E_REFUSED), 20);
    for (wisp_object o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o))
        CHECK_EQ_INT(wisp_despawn(t.server, o), WISP_OK);
    world_run(&t.w, 0.5);
    CHECK(t.ends[0]->objects.count == 0 && t.server->objects.classes[0]->first == NULL);
    CHECK(t.logs[0].despawned == 0 && t.logs[1].despawned == 20);
    CHECK_EQ_INT(wisp_ready(t.ends[0], t.logs[0].last), WISP_E_STALE);
    world_close(&t.w);
}

/* What waits may go meanwhile, and so may its server; its index is another object's then. */
TEST(an_object_goes_while_it_waits) {
    for (int how = 0; how < 3; how++) {
        static orbs t;
        wisp_object one, other;
        orb seen;
        orbs_open(&t);
        orbs_server(&t);
        orbs_join(&t);
        t.logs[0].refuse = WISP_PENDING;
        world_run(&t.w, 0.3);
        one = orbs_spawn(&t, 1, "short");
        other = orbs_spawn(&t, 2, "long");
        world_run(&t.w, 0.3);
        if (how == 0) CHECK_EQ_INT(wisp_despawn(t.server, one), WISP_OK);
        if (how == 1) wisp_leave(t.ends[0], wisp_server(), "enough");
        if (how == 2) {                        /* an answer about another object of its index */
            wisp__object *told = wisp__object_get(t.ends[0], other);
            told->id += 1 << 16;
            told->assets = WISP__ASSETS_REFUSED;
            wisp__object_answer(t.ends[0], told);
            world_step(&t.w);
            told->id = other.id;
            told->assets = WISP__ASSETS_WAIT;
            ((orb *)wisp_object_edit(t.server, other))->y = 3;
            CHECK_EQ_INT(wisp_ready(t.ends[0], other), WISP_OK);
        }
        world_run(&t.w, 0.3);
        CHECK_EQ_INT(t.logs[0].despawned, how == 0 ? 1 : how == 1 ? 2 : 0);
        if (how < 2) CHECK_EQ_INT(wisp_ready(t.ends[0], one), WISP_E_STALE);
        if (how == 2) CHECK(wisp_view(t.ends[0], other, WISP_CONFIRMED, &seen) && seen.y > 2);
        world_close(&t.w);
    }
}

/* Far more answers than there is room to give at once: all are given. */
TEST(many_objects_wait_at_once) {
    static orbs t;
    orbs_open(&t);
    t.w.desc.limits.remotes = 24;
    t.w.bad = true;
    t.w.net.loss = 0.1;
    t.w.net.seed = 3;
    orbs_server(&t);
    orbs_join(&t);
    t.logs[0].refuse = WISP_PENDING;
    world_run(&t.w, 1);
    for (int i = 0; i < 300; i++) {
        orbs_spawn(&t, 0, "gap");
        orbs_spawn(&t, 0, "crowd");
        CHECK_EQ_INT(wisp_despawn(t.server, orbs_spawn(&t, 0, "gap")), WISP_OK);
    }
    for (int i = 0; i < 400 && !orbs_agree(&t, 0); i++) world_step(&t.w);
    world_run(&t.w, 1);
    assets_edit(&t, 5);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(t.logs[0].changed, 0);
    CHECK_EQ_INT(assets_ready(&t, 0, WISP_OK), 600);
    for (int i = 0; i < 600 && !orbs_agree(&t, 0); i++) world_step(&t.w);
    CHECK(orbs_agree(&t, 0));
    CHECK_EQ_INT(t.logs[0].changed, 600);
    world_close(&t.w);
}

/* --- messages after states --- */

typedef struct state_log {
    int    came, outran, unknown, last, disorder;
    double latest;                     /* seconds */
} state_log;

/* hit(object, y, number, time): y is the object's when it was fired. */
static void state_hit(wisp_event *event) {
    state_log *log = (state_log *)event->user;
    wisp_object o = wisp_arg_object(event, 0);
    orb seen;
    int number = (int)wisp_arg_int(event, 2);
    double took = event->w->base.time - wisp_arg_number(event, 3);
    log->came++;
    if (!wisp_view(event->w, o, WISP_CONFIRMED, &seen)) log->unknown += took < 0.98;
    else if (seen.y < (float)wisp_arg_number(event, 1) - 0.01f && took < 0.98) log->outran++;
    log->disorder += number < log->last;
    log->last = number;
    if (took > log->latest) log->latest = took;
}

static void state_open(orbs *t, state_log *log, int seed, bool after) {
    memset(log, 0, sizeof *log);
    orbs_open(t);
    t->w.bad = true;
    t->w.net.loss = seed ? 0.2 : 0;
    t->w.net.latency = seed % 2 ? 0.05 : 0.01;
    t->w.net.jitter = t->w.net.reorder = seed ? 0.05 : 0;
    t->w.net.seed = (uint64_t)seed + 1;
    orbs_server(t);
    orbs_join(t);
    CHECK_EQ_INT(wisp_set_after_state(t->server, "hit", after), WISP_OK);
    CHECK_EQ_INT(wisp_set_after_state(t->ends[0], "hit", after), WISP_OK);
    wisp_on(t->ends[0], "hit", state_hit, log);
    for (int i = 0; i < 2000 && !wisp_me(t->ends[0]).id; i++) world_step(&t->w);
}

static void state_fire(orbs *t, wisp_object o, float y, int number) {
    wisp_value values[4];
    values[0] = wisp_reference(o);
    values[1] = wisp_number((double)y);
    values[2] = wisp_int(number);
    values[3] = wisp_number(t->server->base.time);
    CHECK_EQ_INT(wisp_fire_values(t->server, "hit", wisp_to_all(), values, 4), WISP_OK);
}

/* Of a new object or a change; without the setting some come too early. */
static void state_run(int seed, bool after, state_log *log) {
    static orbs t;
    state_open(&t, log, seed, after);
    for (int i = 0; i < 150; i++) {
        wisp_object o = wisp_first(t.server, t.of_server);
        float y = (float)i * 0.5f;
        if (i % 5 == 0) {
            o = orbs_spawn(&t, 0, "new");
            y = 0;
        } else if (o.id) {
            ((orb *)wisp_object_edit(t.server, o))->y = y;
        }
        state_fire(&t, o, y, i);
        for (int k = 0; k < 3; k++) world_step(&t.w);
    }
    world_run(&t.w, 3);
    CHECK_EQ_INT(log->came, 150);
    CHECK_EQ_INT(log->disorder, 0);
    CHECK_EQ_INT(t.ends[0]->hooks.states, 0);
    world_close(&t.w);
}

TEST(no_event_outruns_the_state_that_it_is_about) {
    int early = 0;
    for (int seed = 0; seed < 60; seed++) {
        state_log log;
        if (seed < 8) state_run(seed, false, &log);
        else memset(&log, 0, sizeof log);
        early += log.outran + log.unknown;
        state_run(seed, true, &log);
        if (!CHECK(log.outran + log.unknown == 0)) printf("  seed %d: %d, %d\n", seed, log.outran,
                                                          log.unknown);
        if (seed == 0) CHECK(log.latest < 0.1);
    }
    CHECK(early > 0);
}

/* An object that never comes is waited for no longer than a second, and other names do not wait. */
TEST(a_message_waits_for_a_second_at_most) {
    static orbs t;
    state_log log, other;
    wisp_object gone, never;
    state_open(&t, &log, 0, true);
    memset(&other, 0, sizeof other);
    wisp_on(t.ends[0], "say", state_hit, &other);
    gone = orbs_spawn(&t, 0, "gone");
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(wisp_despawn(t.server, gone), WISP_OK);
    world_run(&t.w, 0.2);
    state_fire(&t, gone, 0, 1);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(log.came, 1);                               /* it has been here */
    never.id = 77 << 16 | 900;
    state_fire(&t, never, 0, 2);
    state_fire(&t, gone, 0, 3);                              /* behind the one before */
    wisp_fire_all(t.server, "say", wisp_int(1));
    world_run(&t.w, 0.8);
    CHECK(log.came == 1 && other.came == 1);
    world_run(&t.w, 0.4);
    CHECK(log.came == 3 && log.disorder == 0);
    state_fire(&t, never, 0, 4);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(t.ends[0]->hooks.states, 1);
    wisp_leave(t.ends[0], wisp_server(), "enough");          /* what waits goes with the session */
    world_run(&t.w, 2);
    CHECK(log.came == 3 && t.ends[0]->hooks.states == 0);
    world_close(&t.w);
}

/* --- a peer that edits what it may not --- */

static void thief_told(wisp_event *event) { *(int *)event->user = event->result; }

/* It is refused, told, and counted; the server's objects stay, and others are told nothing. */
TEST(edits_of_what_is_not_ones_own_are_refused_told_and_counted) {
    static orbs t;
    wisp_object own, others;
    wisp_peer_stats stats;
    wisp_peer peers[2];
    orb seen;
    int told = 0;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    orbs_join(&t);
    t.server->objects.classes[0]->desc.authority = WISP_AUTHORITY_OWNER;
    for (int i = 0; i < 2; i++)
        t.ends[i]->objects.classes[0]->desc.authority = WISP_AUTHORITY_OWNER;
    world_run(&t.w, 0.5);
    wisp_on(t.ends[1], WISP_ERROR, thief_told, &told);
    own = orbs_spawn(&t, 1, "server's");
    others = orbs_spawn(&t, 2, "other's");
    CHECK_EQ_INT(wisp_give(t.server, others, wisp_me(t.ends[0])), WISP_OK);
    world_run(&t.w, 0.5);
    for (int i = 0; i < 40; i++) {
        wisp__object *a = wisp__object_get(t.ends[1], own);
        wisp__object *b = wisp__object_get(t.ends[1], others);
        a->owner = b->owner = wisp_me(t.ends[1]).id;       /* so it says */
        ((orb *)wisp_object_edit(t.ends[1], own))->x = 50;
        ((orb *)wisp_object_edit(t.ends[1], others))->x = (float)i;
        world_run(&t.w, 0.05);
    }
    CHECK_EQ_INT(told, WISP_E_AUTHORITY);
    CHECK(wisp_view(t.server, own, WISP_NOW, &seen) && (int)seen.x == 1);
    CHECK(wisp_view(t.server, others, WISP_NOW, &seen) && (int)seen.x == 2);
    CHECK(wisp_view(t.ends[0], others, WISP_CONFIRMED, &seen) && (int)seen.x == 2);
    CHECK_EQ_INT(wisp_peers(t.server, peers, 2), 2);
    wisp_stats_peer(t.server, peers[0], &stats);
    CHECK_EQ_INT(stats.edits_refused, 0);
    wisp_stats_peer(t.server, peers[1], &stats);
    CHECK(stats.edits_refused > 0);
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(each_look_at_messages_that_wait_for_states_is_paid_for),
    CASE(objects_come_once_in_a_packet),
    CASE(edits_of_what_is_not_ones_own_are_refused_told_and_counted),
    CASE(all_ends_agree_after_a_quiet_second),
    CASE(owners_edit_and_all_agree),
    CASE(an_end_sees_the_objects_of_the_first_server_that_it_has),
    CASE(versions_of_a_class_migrate),
    CASE(hostile_objects),
    CASE(nothing_is_spawned_while_objects_of_a_server_go),
    CASE(no_owner_spawns_while_objects_of_a_server_go),
    CASE(an_object_keeps_its_class),
    CASE(an_object_that_waits_is_sent_no_news_until_it_is_ready),
    CASE(an_object_that_is_refused_is_sent_no_more),
    CASE(an_object_goes_while_it_waits),
    CASE(many_objects_wait_at_once),
    CASE(no_event_outruns_the_state_that_it_is_about),
    CASE(a_message_waits_for_a_second_at_most)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
