/* test_edit.c - objects: how they come, change and go */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/orbs.h"

TEST(owners_and_players) {
    static orbs t;
    wisp_player owner, left = { 0 };
    wisp_object o;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    orbs_join(&t);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(wisp_me(t.server).id, 0);
    CHECK(wisp_me(t.ends[0]).id != 0 && wisp_me(t.ends[1]).id != 0);
    CHECK(wisp_me(t.ends[0]).id != wisp_me(t.ends[1]).id);
    owner = wisp_me(t.ends[1]);
    CHECK_EQ_INT(wisp_player_of(t.server, wisp_peer_of(t.server, owner)).id, owner.id);
    CHECK_EQ_INT(wisp_player_of(t.ends[1], wisp_server()).id, 0);
    owner.id = 60000;
    CHECK_EQ_INT(wisp_peer_of(t.server, owner).id, 0);
    o = orbs_spawn(&t, 1, "mine");
    world_run(&t.w, 0.2);
    CHECK(wisp_is_mine(t.server, o) && wisp_decides(t.server, o));
    CHECK(!wisp_is_mine(t.ends[1], o) && !wisp_decides(t.ends[1], o));
    t.ends[1]->clock.following = false;            /* it does not know yet who it is */
    CHECK(!wisp_is_mine(t.ends[1], o));
    t.ends[1]->clock.following = true;
    owner = wisp_me(t.ends[1]);
    CHECK_EQ_INT(wisp_give(t.server, o, owner), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK(wisp_is_mine(t.ends[1], o) && !wisp_is_mine(t.ends[0], o) && !wisp_is_mine(t.server, o));
    CHECK_EQ_INT(t.logs[0].changed, 1);
    CHECK(orbs_agree(&t, 0));
    CHECK_EQ_INT(wisp_set_object_user(t.ends[0], o, &t), WISP_OK);
    CHECK(wisp_object_user(t.ends[0], o) == &t && wisp_object_user(t.server, o) == NULL);
    CHECK_EQ_INT(wisp_class_of(t.ends[0], o).id, t.of[0].id);
    CHECK(wisp_on(t.server, WISP_LEFT, orbs_left, &left).id != 0);
    wisp_leave(t.ends[1], wisp_server(), "enough");
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(left.id, owner.id);                 /* as long as WISP_LEFT is handled */
    world_close(&t.w);
}

/* A row of numbers alone: its struct is what the row says, to the last bit. */
typedef struct edit_mark { double far; float x, y; wisp_quat turn; uint16_t health; } edit_mark;

static const wisp_field edit_mark_fields[] = {
    WISP_FIELD(edit_mark, far, WISP_T_QUANTIZED(-1000, 1000, 0.001)),
    WISP_FIELD(edit_mark, x, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(edit_mark, y, WISP_T_CLAMPED(-100, 100, 0.01)),
    WISP_FIELD(edit_mark, turn, WISP_T_QUAT(10)),
    WISP_FIELD(edit_mark, health, WISP_T_RANGE(0, 1000))
};
static const wisp_schema edit_mark_schema = WISP_SCHEMA(edit_mark, 1, edit_mark_fields);

TEST(a_struct_of_numbers_gets_the_steps_of_its_row) {
    static orbs t;
    wisp_player nobody = { 0 };
    wisp_class_desc desc;
    wisp_class of;
    wisp_object o;
    edit_mark made, stored, kept;
    memset(&desc, 0, sizeof desc);
    desc.schema = &edit_mark_schema;
    orbs_open(&t);
    orbs_server(&t);
    world_watch(&t.w, t.server, WISP_ERROR);
    of = wisp_define(t.server, "mark", &desc);
    memset(&made, 0, sizeof made);
    made.turn.w = 1;
    o = wisp_spawn(t.server, of, nobody, &made);
    for (int i = 0; i < 20; i++) {
        wisp__object *it = wisp__object_named(t.server, o.id);
        wisp__unpacker u = wisp__unpacker_alone(&t.server->base);
        edit_mark *now = (edit_mark *)wisp_object_edit(t.server, o);
        now->far += 1.23456789;
        now->x += 0.123f;
        now->y = i > 10 ? 1e6f : now->y + 0.777f;
        now->turn.x += 0.0321f;
        now->health = (uint16_t)(now->health + 1);
        made = *now;
        world_run(&t.w, 0.1);
        now = (edit_mark *)wisp__object_image(it);
        memset(&stored, 0, sizeof stored);
        CHECK_EQ_INT(wisp__row_store(&u, wisp__class_program(t.server, it->of),
                                     wisp__encoded_as_row(it->row), &stored), WISP_OK);
        CHECK_EQ_MEM(now, &stored, sizeof stored);
        CHECK(memcmp(now, &made, sizeof made) != 0 && now->health == i + 1);
    }
    kept = stored;
    ((edit_mark *)wisp_object_edit(t.server, o))->far += 1.0004;
    ((edit_mark *)wisp_object_edit(t.server, o))->health = 1001;
    world_run(&t.w, 0.1);
    CHECK(strstr(world_last(&t.w, t.server, WISP_ERROR)->text, "health") != NULL);
    CHECK_EQ_MEM(wisp__object_image(wisp__object_named(t.server, o.id)), &kept, sizeof kept);
    world_close(&t.w);
}

/* A struct outside its schema is told and taken back; a handler that refuses hides. */
TEST(what_is_outside_the_schema_is_taken_back) {
    static orbs t;
    wisp_player nobody = { 0 };
    wisp_object o;
    orb bad, seen;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    world_watch(&t.w, t.server, WISP_ERROR);
    memset(&bad, 0, sizeof bad);
    bad.health = 1001;
    CHECK(wisp_spawn(t.server, t.of_server, nobody, &bad).id == 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_INVALID);
    o = orbs_spawn(&t, 1, "good");
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), 1);
    CHECK(strstr(world_last(&t.w, t.server, WISP_ERROR)->text, "health") != NULL);
    ((orb *)wisp_object_edit(t.server, o))->x = 101;
    ((orb *)wisp_object_edit(t.server, o))->health = 5;
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), 2);
    CHECK(wisp_view(t.server, o, WISP_NOW, &seen) && seen.health == 100);
    CHECK_EQ_INT(t.logs[0].changed, 0);
    CHECK(orbs_agree(&t, 0));
    t.logs[0].refuse = WISP_E_USER;
    o = orbs_spawn(&t, 2, "hidden");
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(t.logs[0].spawned, 2);
    CHECK(!wisp_view(t.ends[0], o, WISP_NOW, &seen));
    ((orb *)wisp_object_edit(t.server, o))->health = 5;
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(wisp_despawn(t.server, o), WISP_OK);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(t.logs[0].changed + t.logs[0].despawned, 0);
    world_close(&t.w);
}

/* An owner's edit of an object that the server decides about is a prediction: it stands here alone,
   until the server's next state of that object. */
TEST(an_owners_edit_is_a_prediction) {
    static orbs t;
    wisp_object o;
    orb now, confirmed, *edit;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    orbs_join(&t);
    world_watch(&t.w, t.ends[0], WISP_ERROR);
    o = orbs_spawn(&t, 1, "walker");
    world_run(&t.w, 0.3);
    CHECK(wisp_object_edit(t.ends[0], o) == NULL);
    CHECK_EQ_INT(wisp_why(t.ends[0]), WISP_E_UNSUPPORTED);
    CHECK(strstr(wisp_why_text(t.ends[0]), "is of player 0") != NULL);
    CHECK_EQ_INT(wisp_give(t.server, o, wisp_me(t.ends[0])), WISP_OK);
    world_run(&t.w, 0.3);
    CHECK(wisp_object_edit(t.ends[1], o) == NULL);
    CHECK(!wisp_decides(t.ends[0], o) && wisp_is_mine(t.ends[0], o));
    edit = (orb *)wisp_object_edit(t.ends[0], o);
    if (!CHECK(edit != NULL)) return;
    edit->x = 2.123f;
    edit->local = 9;
    CHECK(wisp_view(t.ends[0], o, WISP_NOW, &now) && now.x > 2.1f);
    CHECK(wisp_view(t.ends[0], o, WISP_CONFIRMED, &confirmed) && confirmed.x < 1.1f);
    world_run(&t.w, 0.3);
    CHECK(wisp_view(t.ends[0], o, WISP_NOW, &now) && now.x > 2.1199f && now.x < 2.1201f);
    CHECK(wisp_view(t.ends[0], o, WISP_CONFIRMED, &confirmed) && confirmed.x < 1.1f);
    CHECK_EQ_STR(confirmed.name, "walker");
    CHECK(wisp_view(t.server, o, WISP_NOW, &now) && now.x < 1.1f);
    ((orb *)wisp_object_edit(t.ends[0], o))->health = 1001;         /* outside: taken back */
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(world_results(&t.w, t.ends[0], WISP_ERROR, WISP_E_INVALID), 1);
    CHECK(wisp_view(t.ends[0], o, WISP_NOW, &now) && now.x < 1.1f && now.health == 100);
    ((orb *)wisp_object_edit(t.ends[0], o))->x = 3;
    world_run(&t.w, 0.1);
    ((orb *)wisp_object_edit(t.server, o))->x = 4;
    world_run(&t.w, 0.1);
    CHECK(wisp_view(t.ends[0], o, WISP_NOW, &now) && now.x > 3.99f && now.local == 9);
    CHECK(t.logs[0].before.x > 2.99f && t.logs[0].before.x < 3.01f);
    CHECK(orbs_agree(&t, 0) && orbs_agree(&t, 1));
    CHECK_EQ_INT(wisp_despawn(t.ends[0], o), WISP_E_UNSUPPORTED);
    world_close(&t.w);
}

/* Answers what an owner asks for: health over 500 is refused, a name is always "judged". */
static struct { int asked, spawns; wisp_player player; orb before; } judge_log;

static wisp_result orb_judge(wisp_event *event) {
    orb *asked = (orb *)event->state;
    judge_log.asked++;
    judge_log.spawns += event->before == NULL;
    judge_log.player = event->player;
    if (event->before) judge_log.before = *(const orb *)event->before;
    if (asked->health > 500) return WISP_E_USER - 7;
    if (asked->name[0]) strcpy(asked->name, "judged");
    return WISP_OK;
}

/* A server, two ends, and an object that the first end owns. */
static wisp_object owned_open(orbs *t, bool judged) {
    wisp_object o;
    orbs_open(t);
    memset(&judge_log, 0, sizeof judge_log);
    orbs_desc.authority = WISP_AUTHORITY_OWNER;
    orbs_desc.judge = judged ? orb_judge : NULL;
    orbs_server(t);
    orbs_join(t);
    orbs_join(t);
    world_watch(&t->w, t->ends[0], WISP_ERROR);
    o = orbs_spawn(t, 1, "");
    world_run(&t->w, 0.3);
    CHECK_EQ_INT(wisp_give(t->server, o, wisp_me(t->ends[0])), WISP_OK);
    world_run(&t->w, 0.3);
    CHECK(orbs_agree(t, 0) && orbs_agree(t, 1));
    return o;
}

static orb owned_view(wisp *w, wisp_object o) {
    orb view;
    memset(&view, 0, sizeof view);
    CHECK(wisp_view(w, o, WISP_NOW, &view));
    return view;
}

/* An owner decides: its edits reach the server, and from there all others, but not itself again. */
TEST(an_owner_decides) {
    static orbs t;
    wisp_object o = owned_open(&t, false);
    int told = t.logs[0].changed;
    wisp__object *at = wisp__object_get(t.server, o);
    CHECK(wisp_decides(t.ends[0], o) && !wisp_decides(t.server, o) && !wisp_decides(t.ends[1], o));
    for (int i = 0; i < 50; i++) {
        orb *edit = (orb *)wisp_object_edit(t.ends[0], o);
        edit->x += 0.25f;
        world_step(&t.w);
        world_step(&t.w);
    }
    world_run(&t.w, 0.2);
    CHECK(owned_view(t.server, o).x > 13.4f && owned_view(t.server, o).x < 13.6f);
    CHECK(orbs_agree(&t, 0) && orbs_agree(&t, 1));
    CHECK_EQ_INT(t.logs[0].changed, told);
    CHECK(t.logs[1].changed > 40);
    CHECK(at->owned && at->owned->rows.count < 20);
    CHECK_EQ_INT(world_count(&t.w, NULL, WISP_ERROR), 0);
    world_close(&t.w);
}

/* `judge` refuses or changes; the owner takes the state of the server, and goes on from there. */
TEST(a_judge_passes_changes_or_refuses) {
    static orbs t;
    wisp_object o = owned_open(&t, true);
    int told = t.logs[0].changed;
    ((orb *)wisp_object_edit(t.ends[0], o))->x = 5;
    world_run(&t.w, 0.2);
    CHECK(owned_view(t.server, o).x > 4.9f);
    CHECK_EQ_INT(judge_log.asked, 1);
    CHECK_EQ_INT(judge_log.player.id, wisp_me(t.ends[0]).id);
    CHECK(judge_log.before.x < 1.1f);
    CHECK_EQ_INT(t.logs[0].changed, told);
    strcpy(((orb *)wisp_object_edit(t.ends[0], o))->name, "asked");
    world_run(&t.w, 0.2);
    CHECK_EQ_STR(owned_view(t.server, o).name, "judged");
    CHECK_EQ_STR(owned_view(t.ends[0], o).name, "judged");
    CHECK_EQ_INT(t.logs[0].changed, told + 1);
    CHECK_EQ_INT(world_count(&t.w, NULL, WISP_ERROR), 0);
    ((orb *)wisp_object_edit(t.ends[0], o))->health = 600;
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(t.logs[0].before.health, 600);
    CHECK_EQ_INT(owned_view(t.ends[0], o).health, 100);
    CHECK_EQ_INT(owned_view(t.server, o).health, 100);
    CHECK_EQ_INT(world_count(&t.w, t.ends[0], WISP_ERROR), 1);
    CHECK_EQ_INT(world_last(&t.w, t.ends[0], WISP_ERROR)->result, WISP_E_USER - 7);
    CHECK(strstr(world_last(&t.w, t.ends[0], WISP_ERROR)->text, "refused an edit of object") !=
          NULL);
    CHECK_EQ_INT((int)world_peer_stats(t.server, world_peer(t.server, 0)).edits_refused, 1);
    ((orb *)wisp_object_edit(t.ends[0], o))->health = 400;
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(owned_view(t.server, o).health, 400);
    ((orb *)wisp_object_edit(t.server, o))->health = 300;           /* the server overrules */
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(owned_view(t.ends[0], o).health, 300);
    CHECK(orbs_agree(&t, 0) && orbs_agree(&t, 1));
    world_close(&t.w);
}

/* An end spawns an object of its own at its server. */
static wisp_object owner_spawns(orbs *t, int end, float x, const char *name) {
    orb made;
    memset(&made, 0, sizeof made);
    made.x = x;
    made.health = 100;
    made.local = 3;
    strcpy(made.name, name);
    return wisp_spawn(t->ends[end], t->of[end], wisp_me(t->ends[end]), &made);
}

/* What an owner spawns is there at once, and its handle goes on to name it. */
TEST(an_owner_spawns) {
    static orbs t;
    wisp_object first = owned_open(&t, false), o, known;
    int told = t.logs[0].spawned, on_server = t.told.spawned;
    orb seen;
    o = owner_spawns(&t, 0, 5, "shot");
    if (!CHECK(o.id != 0)) return;
    CHECK(wisp_view(t.ends[0], o, WISP_NOW, &seen) && seen.x > 4.9f && seen.local == 3);
    CHECK(wisp_view(t.ends[0], o, WISP_SMOOTH, &seen));
    CHECK(!wisp_view(t.ends[0], o, WISP_CONFIRMED, &seen));
    CHECK(wisp_is_mine(t.ends[0], o) && wisp_decides(t.ends[0], o));
    CHECK_EQ_INT(wisp_class_of(t.ends[0], o).id, t.of[0].id);
    CHECK_EQ_INT(wisp_set_object_user(t.ends[0], o, &t), WISP_OK);
    CHECK_EQ_INT(wisp_next(t.ends[0], first).id, o.id);
    CHECK_EQ_INT(t.logs[0].spawned, told);
    for (int i = 0; i < 20; i++) {
        orb *edit = (orb *)wisp_object_edit(t.ends[0], o);
        if (CHECK(edit != NULL)) edit->x += 0.5f;
        world_step(&t.w);
        world_step(&t.w);
    }
    world_run(&t.w, 0.3);
    CHECK(owned_view(t.ends[0], o).x > 14.9f && owned_view(t.ends[0], o).local == 3);
    CHECK_EQ_INT(t.logs[0].spawned, told + 1);
    CHECK_EQ_INT(t.told.spawned, on_server + 1);
    known = t.logs[0].last;                            /* the number, the same on all ends */
    CHECK(known.id != o.id && known.id == t.told.last.id);
    CHECK(wisp_object_user(t.ends[0], o) == &t && wisp_object_user(t.ends[0], known) == &t);
    CHECK_EQ_INT(wisp_next(t.ends[0], first).id, known.id);
    CHECK(owned_view(t.server, known).x > 14.9f);
    CHECK_EQ_INT(wisp_owner_of(t.server, known).id, wisp_me(t.ends[0]).id);
    CHECK(orbs_agree(&t, 0) && orbs_agree(&t, 1));
    ((orb *)wisp_object_edit(t.ends[0], o))->health = 7;       /* by either handle */
    world_run(&t.w, 0.2);
    ((orb *)wisp_object_edit(t.ends[0], known))->y = 8;
    world_run(&t.w, 0.2);
    CHECK(owned_view(t.server, known).health == 7 && owned_view(t.server, known).y > 7.9f);
    ((orb *)wisp_object_edit(t.server, known))->health = 9;
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(owned_view(t.ends[0], o).health, 9);
    CHECK_EQ_INT(wisp_despawn(t.ends[1], known), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp_despawn(t.ends[0], o), WISP_OK);
    CHECK_EQ_INT(wisp_despawn(t.ends[0], o), WISP_E_STALE);
    CHECK_EQ_INT(wisp_despawn(t.ends[0], known), WISP_E_STALE);
    world_run(&t.w, 0.3);
    CHECK(wisp_class_of(t.server, known).id == 0 && wisp_class_of(t.ends[0], o).id == 0);
    CHECK(orbs_agree(&t, 0) && orbs_agree(&t, 1));
    CHECK_EQ_INT(t.told.despawned, 1);
    CHECK_EQ_INT(wisp_despawn(t.ends[0], first), WISP_OK);     /* also what the server spawned */
    world_run(&t.w, 0.3);
    CHECK(wisp_first(t.server, t.of_server).id == 0 && orbs_agree(&t, 0) && orbs_agree(&t, 1));
    CHECK_EQ_INT(t.logs[0].spawned, told + 1);
    CHECK_EQ_INT(world_count(&t.w, NULL, WISP_ERROR), 0);
    CHECK(t.ends[0]->objects.alias_count == 0 && t.ends[0]->objects.claims == NULL);
    world_close(&t.w);
}

static wisp_result orb_gone_why;
static void orb_gone(wisp_event *event) {
    orb_gone_why = event->result;
    orb_despawned(event);
}

/* `judge` refuses or changes a spawn; limits and wrong calls are told. */
TEST(a_spawn_is_judged_and_bounded) {
    static orbs t;
    wisp_player other;
    wisp_object o;
    orb made;
    int told, most = 0;
    owned_open(&t, true);
    told = t.logs[0].despawned;
    t.ends[0]->objects.classes[0]->desc.despawned = orb_gone;
    o = owner_spawns(&t, 0, 5, "shot");
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(judge_log.spawns, 1);
    CHECK_EQ_STR(owned_view(t.ends[0], o).name, "judged");
    CHECK_EQ_STR(owned_view(t.server, t.logs[0].last).name, "judged");
    CHECK(orbs_agree(&t, 0) && orbs_agree(&t, 1));
    memset(&made, 0, sizeof made);
    made.health = 501;
    o = wisp_spawn(t.ends[0], t.of[0], wisp_me(t.ends[0]), &made);
    CHECK(o.id != 0);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(t.logs[0].despawned, told + 1);
    CHECK(t.logs[0].last.id == o.id && wisp_class_of(t.ends[0], o).id == 0);
    CHECK_EQ_INT(orb_gone_why, WISP_E_USER - 7);
    CHECK_EQ_INT(world_last(&t.w, t.ends[0], WISP_ERROR)->result, WISP_E_USER - 7);
    CHECK(strstr(world_last(&t.w, t.ends[0], WISP_ERROR)->text, "refused to spawn object") != NULL);
    CHECK_EQ_INT((int)world_peer_stats(t.server, world_peer(t.server, 0)).edits_refused, 1);
    CHECK_EQ_INT(t.server->objects.count, 2);
    other.id = (uint16_t)(wisp_me(t.ends[0]).id + 1);
    CHECK(wisp_spawn(t.ends[0], t.of[0], other, &made).id == 0);
    CHECK_EQ_INT(wisp_why(t.ends[0]), WISP_E_AUTHORITY);
    made.health = 1001;
    CHECK(wisp_spawn(t.ends[0], t.of[0], wisp_me(t.ends[0]), &made).id == 0);
    CHECK_EQ_INT(wisp_why(t.ends[0]), WISP_E_INVALID);
    o = owner_spawns(&t, 0, 6, "");                    /* gone before it is told of */
    CHECK_EQ_INT(wisp_despawn(t.ends[0], o), WISP_OK);
    o = owner_spawns(&t, 0, 7, "");                    /* gone before it is answered */
    world_step(&t.w);
    world_step(&t.w);
    CHECK_EQ_INT(wisp_despawn(t.ends[0], o), WISP_OK);
    world_run(&t.w, 0.3);
    CHECK(t.server->objects.count == 2 && orbs_agree(&t, 0) && orbs_agree(&t, 1));
    while (most < 100 && owner_spawns(&t, 0, 1, "").id) most++;
    CHECK(most >= WISP__SPAWNS - 2 && most <= WISP__SPAWNS);
    CHECK_EQ_INT(wisp_why(t.ends[0]), WISP_E_AGAIN);
    t.server->base.limits.peer_objects = 40;
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(t.server->objects.count, 41);         /* and one that the server has spawned */
    CHECK(t.ends[0]->objects.claims == NULL && orbs_agree(&t, 0) && orbs_agree(&t, 1));
    CHECK_EQ_INT(t.logs[0].despawned, told + 1 + most - 39);
    CHECK_EQ_INT(orb_gone_why, WISP_E_LIMIT);
    wisp_leave(t.ends[0], wisp_server(), "enough");
    world_run(&t.w, 0.3);
    CHECK(t.server->objects.count == 0 && t.ends[0]->objects.alias_count == 0);
    CHECK(owner_spawns(&t, 0, 1, "").id == 0);         /* it does not become a server */
    CHECK_EQ_INT(wisp_why(t.ends[0]), WISP_E_AGAIN);
    world_close(&t.w);
}

/* An owner spawns out of its own sight: it is told so, as of all that leaves its interest. */
TEST(a_spawn_out_of_sight_leaves) {
    static orbs t;
    wisp_vec3 far = { 50, 0, 0 };
    wisp_object o;
    owned_open(&t, false);
    t.server->objects.classes[0]->desc.position = 1;
    CHECK_EQ_INT(wisp_focus(t.server, world_peer(t.server, 0), far, 10, 0), WISP_OK);
    world_run(&t.w, 0.2);
    o = owner_spawns(&t, 0, 5, "far");
    world_run(&t.w, 0.3);
    CHECK(wisp_class_of(t.ends[0], o).id == 0 && t.ends[0]->objects.claims == NULL);
    CHECK_EQ_INT(t.logs[0].despawned, 1);
    CHECK_EQ_INT(t.server->objects.count, 2);
    CHECK(orbs_agree(&t, 1));
    world_close(&t.w);
}

/* What a tick handler spawns on both ends is one object; what it spawns here alone goes. */
static struct { wisp_class of; int spawns; wisp_object last; bool both; } volley;

static void volley_tick(wisp_event *event) {
    const orbs *t = (const orbs *)event->user;
    bool server = event->w == t->server;
    orb made;
    memset(&made, 0, sizeof made);
    if (event->tick % 20 || (server && !volley.both)) return;
    for (int i = 0; i < 3; i++) {
        wisp_object o;
        made.x = (float)(event->tick % 50) + (float)i;
        o = wisp_spawn(event->w, server ? t->of_server : t->of[0], wisp_me(t->ends[0]), &made);
        if (!server) volley.last = o;
        if (!server) volley.spawns += o.id != 0;
    }
}

TEST(predicted_spawns_are_confirmed_or_taken_back) {
    static orbs t;
    int spawned;
    orbs_open(&t);
    memset(&volley, 0, sizeof volley);
    volley.both = true;
    orbs_desc.predict = WISP_PREDICT_OWNED;
    orbs_server(&t);
    orbs_join(&t);
    world_run(&t.w, 1);
    orbs_spawn(&t, 1, "other");
    CHECK(owner_spawns(&t, 0, 1, "").id == 0);         /* not in a tick handler */
    CHECK_EQ_INT(wisp_why(t.ends[0]), WISP_E_UNSUPPORTED);
    wisp_on_tick(t.server, volley_tick, &t);
    wisp_on_tick(t.ends[0], volley_tick, &t);
    world_run(&t.w, 2);
    CHECK(volley.spawns >= 9);
    CHECK(wisp_class_of(t.ends[0], volley.last).id != 0);
    volley.spawns = 0;
    spawned = t.logs[0].spawned;
    CHECK(spawned >= 9 && t.logs[0].despawned == 0);
    volley.both = false;
    world_run(&t.w, 1);
    CHECK(volley.spawns >= 3);
    volley.both = true;
    for (int i = 0; i < 60 && volley.spawns % 1000 < 900; i++) {
        orb *edit = (orb *)wisp_object_edit(t.server, wisp_first(t.server, t.of_server));
        edit->y += 0.1f;
        if (i == 0) volley.spawns = 0;
        world_step(&t.w);
    }
    world_run(&t.w, 0.3);
    CHECK(t.logs[0].despawned >= 3);
    world_destroy(&t.w, t.server);
    world_run(&t.w, 15);
    CHECK(t.ends[0]->objects.claims == NULL);
    world_close(&t.w);
}

/* An owner leaves: its objects go, or are the server's, also when the next one has its number. */
TEST(an_owner_that_leaves_and_its_number) {
    for (int gone = 0; gone < 2; gone++) {
        static orbs t;
        wisp_object given, o;
        wisp_player was;
        orb *edit;
        int end;
        orbs_open(&t);
        orbs_desc.authority = WISP_AUTHORITY_OWNER;
        orbs_desc.owner_gone = gone ? WISP_TO_SERVER : WISP_DESPAWN;
        t.w.desc.max_peers = 2;
        orbs_server(&t);
        orbs_join(&t);
        orbs_join(&t);
        given = orbs_spawn(&t, 1, "given");
        world_run(&t.w, 0.3);
        was = wisp_me(t.ends[0]);
        CHECK_EQ_INT(wisp_give(t.server, given, was), WISP_OK);
        owner_spawns(&t, 0, 2, "made");
        world_run(&t.w, 0.3);
        ((orb *)wisp_object_edit(t.ends[0], given))->x = 7;            /* on its way, and so is */
        owner_spawns(&t, 0, 3, "late");
        wisp_update(t.ends[0], t.w.now);
        wisp_leave(t.ends[0], wisp_server(), "enough");
        end = orbs_join(&t);                           /* refused until the number is free */
        for (int i = 0; i < 900 && wisp_me(t.ends[end]).id != was.id; i++) {
            wisp_addr addr = wisp_loopback_addr(0);
            if (wisp_me(t.ends[end]).id) wisp_leave(t.ends[end], wisp_server(), "another number");
            if (!wisp__session_of(t.ends[end], wisp_server()))
                wisp_join(t.ends[end], &addr, NULL, 0);
            world_step(&t.w);
        }
        world_run(&t.w, 0.4);
        CHECK_EQ_INT(wisp_me(t.ends[end]).id, was.id);
        for (o = wisp_first(t.server, t.of_server); o.id; o = wisp_next(t.server, o)) {
            CHECK(gone && wisp_owner_of(t.server, o).id == 0);
            CHECK(!wisp_is_mine(t.ends[end], o) && wisp_decides(t.server, o));
            CHECK(wisp_object_edit(t.ends[end], o) == NULL);
            edit = (orb *)wisp_object_edit(t.server, o);
            if (CHECK(edit != NULL)) edit->y = 5;
        }
        CHECK(gone ? t.server->objects.count >= 2 : t.server->objects.count == 0);
        o = owner_spawns(&t, end, 4, "new");
        world_run(&t.w, 0.4);
        CHECK(wisp_is_mine(t.ends[end], o) && t.ends[end]->objects.claims == NULL);
        CHECK(orbs_agree(&t, 1) && orbs_agree(&t, end));
        CHECK_EQ_INT(t.server->objects.audiences[was.id - 1]->spawned, 1);
        world_close(&t.w);
    }
}

/* Spawns over a reliable link, in parts, and when any one allocation fails, at either end. */
TEST(spawns_in_parts_and_without_memory) {
    int done = 0;
    for (int fail = 0; fail < 400 && !done; fail++) {
        static orbs t;
        static long_orb big, seen;
        ledger memory = ledger_none();
        wisp_class_desc desc;
        wisp_class here, there;
        int spawned = 0, agree = 0;
        orbs_open(&t);
        t.w.unchecked = true;
        t.w.pipe.reliable = fail == 0;
        t.w.desc.memory = ledger_memory(&memory);
        orbs_desc.authority = WISP_AUTHORITY_OWNER;
        orbs_server(&t);
        orbs_join(&t);
        memset(&desc, 0, sizeof desc);
        desc.schema = &long_schema;
        desc.authority = WISP_AUTHORITY_OWNER;
        here = wisp_define(t.server, "long", &desc);
        there = wisp_define(t.ends[0], "long", &desc);
        world_run(&t.w, 0.3);
        if (fail) memory.fail_at = memory.asked + fail;
        memset(big.text, 'a', 1900);
        for (int i = 0; i < 20; i++) {
            wisp_object o = owner_spawns(&t, 0, (float)i, "");
            if (i % 7 == 0) wisp_spawn(t.ends[0], there, wisp_me(t.ends[0]), &big);
            world_step(&t.w);
            if (i % 3 == 0) wisp_despawn(t.ends[0], o);
        }
        done = fail && memory.asked < memory.fail_at;
        memory.fail_at = 0;
        for (int i = 0; i < 400 && agree < 5; i++) {
            world_step(&t.w);
            agree = orbs_agree(&t, 0) && !t.ends[0]->objects.claims ? agree + 1 : 0;
        }
        for (wisp_object o = wisp_first(t.server, here); o.id; o = wisp_next(t.server, o))
            spawned += wisp_view(t.ends[0], o, WISP_NOW, &seen) && strlen(seen.text) == 1900;
        if (wisp_peers(t.server, NULL, 0) && !CHECK(agree && spawned >= (fail ? 1 : 3)))
            printf("  allocation %d, %d large ones\n", fail, spawned);
        world_close(&t.w);
        CHECK_EQ_INT(memory.out, 0);
    }
    CHECK(done);
}

/* Owners spawn and despawn over a bad link: each spawn is one object, or refused, and all agree. */
TEST(spawns_over_a_bad_link) {
    for (uint64_t seed = 1; seed <= 8; seed++) {
        static orbs t;
        int good = 0;
        orbs_open(&t);
        memset(&judge_log, 0, sizeof judge_log);
        orbs_desc.authority = WISP_AUTHORITY_OWNER;
        orbs_desc.judge = seed % 2 ? orb_judge : NULL;
        t.w.bad = true;
        t.w.net.loss = seed == 1 ? 0 : 0.3;
        t.w.net.latency = seed % 3 == 0 ? 0.3 : 0.02;
        t.w.net.jitter = 0.03;
        t.w.net.duplicate = 0.1;
        t.w.net.reorder = 0.1;
        t.w.net.seed = t.random = seed;
        orbs_server(&t);
        for (int i = 0; i < 2; i++) orbs_join(&t);
        world_run(&t.w, 3);
        for (int step = 0; step < 500; step++) {
            int end = (int)(orbs_next(&t) & 1);
            wisp_object o = wisp_first(t.ends[end], t.of[end]);
            uint64_t r = orbs_next(&t);
            if (step < 400 && r % 8 == 0) owner_spawns(&t, end, (float)(r >> 8 & 63), "");
            for (; o.id && step < 400; o = wisp_next(t.ends[end], o)) {
                uint64_t what = orbs_next(&t);
                orb *edit = what % 4 || !wisp_is_mine(t.ends[end], o)
                                ? NULL : (orb *)wisp_object_edit(t.ends[end], o);
                if (edit) edit->y = (float)(what >> 8 & 63);
                if (edit && what >> 20 & 1) edit->health = (uint16_t)(what >> 30 & 511);
                if (edit && what % 64 == 0) wisp_despawn(t.ends[end], o);
            }
            o = wisp_first(t.server, t.of_server);
            if (o.id && r >> 40 & 1 && r % 67 == 0) wisp_give(t.server, o, wisp_me(t.ends[1]));
            if (o.id && r >> 41 & 1 && r % 71 == 0) wisp_despawn(t.server, o);
            if (wisp_class_of(t.server, o).id && r % 31 == 0)
                ((orb *)wisp_object_edit(t.server, o))->z = (float)(r >> 9 & 63);
            world_step(&t.w);
        }
        for (int i = 0; i < 800 && good < 50; i++) {
            good = orbs_agree(&t, 0) && orbs_agree(&t, 1) && !t.ends[0]->objects.claims &&
                   !t.ends[1]->objects.claims ? good + 1 : 0;
            world_step(&t.w);
        }
        if (!CHECK(good >= 50)) printf("  seed %d\n", (int)seed);
        CHECK(t.told.spawned > 20);
        CHECK_EQ_INT(t.told.wrong + t.logs[0].wrong, 0);
        world_close(&t.w);
    }
}

TEST(wrong_calls_are_told_apart) {
    static orbs t;
    wisp_class_desc desc;
    wisp_player nobody = { 0 };
    wisp_class none = { 0 };
    orb made;
    wisp *w;
    orbs_open(&t);
    t.w.desc.limits.objects = 2;
    orbs_server(&t);
    w = t.server;
    memset(&desc, 0, sizeof desc);
    memset(&made, 0, sizeof made);
    CHECK(wisp_define(w, "other", &desc).id == 0 && wisp_why(w) == WISP_E_ARGUMENT);
    desc.schema = &orb_schema;
    CHECK(wisp_define(w, "orb", &desc).id == 0 && wisp_why(w) == WISP_E_NAME);
    CHECK(wisp_define(w, NULL, &desc).id == 0 && wisp_why(w) == WISP_E_ARGUMENT);
    CHECK(wisp_define(w, "", &desc).id == 0 && wisp_why(w) == WISP_E_NAME);
    CHECK(wisp_define(NULL, "x", &desc).id == 0);
    desc.rate = -1;
    CHECK(wisp_define(w, "other", &desc).id == 0 && wisp_why(w) == WISP_E_ARGUMENT);
    CHECK_EQ_STR(wisp_why_text(w), "class 'other': rate out of range");
    desc.rate = 0;
    desc.authority = 2;
    CHECK(wisp_define(w, "other", &desc).id == 0);
    CHECK_EQ_STR(wisp_why_text(w), "class 'other': authority out of range");
    desc.authority = WISP_AUTHORITY_OWNER;
    desc.owner_gone = WISP_FREEZE;
    CHECK(wisp_define(w, "other", &desc).id == 0);
    CHECK_EQ_STR(wisp_why_text(w), "class 'other': owner_gone out of range");
    desc.owner_gone = WISP_TO_SERVER;
    desc.on_leave = WISP_TO_SERVER;
    CHECK(wisp_define(w, "other", &desc).id == 0);
    desc.on_leave = WISP_FREEZE;
    desc.position = (int)sizeof(orb);
    CHECK(wisp_define(w, "other", &desc).id == 0);
    desc.position = 1;
    desc.extrapolate = -1;
    CHECK(wisp_define(w, "other", &desc).id == 0);
    desc.extrapolate = 0.1;
    CHECK(wisp_define(w, "other", &desc).id != 0);
    desc.rate = -1;
    CHECK(wisp_connect_target(w, wisp_by_name("class other"), orb_despawned, NULL, false).id == 0);
    CHECK_EQ_INT(wisp_why(w), WISP_E_NAME);
    CHECK(wisp_connect_target(w, wisp_by_name("class new"), orb_despawned, NULL, false).id == 0);
    CHECK(wisp_spawn(w, none, nobody, &made).id == 0 && wisp_why(w) == WISP_E_ARGUMENT);
    CHECK(wisp_spawn(w, t.of_server, nobody, NULL).id == 0 && wisp_why(w) == WISP_E_ARGUMENT);
    CHECK(orbs_spawn(&t, 0, "a").id != 0);
    CHECK(orbs_spawn(&t, 0, "b").id != 0);
    CHECK(orbs_spawn(&t, 0, "c").id == 0 && wisp_why(w) == WISP_E_LIMIT);
    CHECK_EQ_STR(wisp_why_text(w), "all 2 are in use: raise desc.limits.objects");
    CHECK_EQ_INT(wisp_despawn(w, wisp_first(w, t.of_server)), WISP_OK);
    CHECK(orbs_spawn(&t, 0, "c").id != 0);
    CHECK_EQ_INT(wisp_despawn(NULL, wisp_first(w, t.of_server)), WISP_E_ARGUMENT);
    CHECK(wisp_first(NULL, t.of_server).id == 0 && wisp_first(w, none).id == 0);
    world_close(&t.w);
}

/* A row that no packet has room for goes in parts, and holds up nothing else. */
TEST(a_row_may_be_larger_than_a_packet) {
    static orbs t;
    static long_orb big;
    wisp_class_desc desc;
    wisp_class here, there;
    wisp_player nobody = { 0 };
    wisp_object o;
    orbs_open(&t);
    orbs_server(&t);
    orbs_join(&t);
    memset(&desc, 0, sizeof desc);
    desc.schema = &long_schema;
    desc.priority = WISP_PRIORITY(1);
    here = wisp_define(t.server, "long", &desc);
    there = wisp_define(t.ends[0], "long", &desc);
    CHECK(here.id && there.id);
    world_run(&t.w, 0.1);
    memset(&big, 0, sizeof big);
    memset(big.text, 'a', 1900);
    o = wisp_spawn(t.server, here, nobody, &big);
    CHECK(o.id != 0);
    orbs_spawn(&t, 1, "small");
    world_run(&t.w, 0.2);
    CHECK(orbs_agree(&t, 0));
    world_run(&t.w, 5);
    CHECK(wisp_view(t.ends[0], o, WISP_NOW, &big) && strlen(big.text) == 1900);
    (void)there;
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(owners_and_players),
    CASE(a_struct_of_numbers_gets_the_steps_of_its_row),
    CASE(what_is_outside_the_schema_is_taken_back),
    CASE(an_owners_edit_is_a_prediction),
    CASE(an_owner_decides),
    CASE(a_judge_passes_changes_or_refuses),
    CASE(an_owner_spawns),
    CASE(a_spawn_is_judged_and_bounded),
    CASE(a_spawn_out_of_sight_leaves),
    CASE(predicted_spawns_are_confirmed_or_taken_back),
    CASE(an_owner_that_leaves_and_its_number),
    CASE(spawns_in_parts_and_without_memory),
    CASE(spawns_over_a_bad_link),
    CASE(wrong_calls_are_told_apart),
    CASE(a_row_may_be_larger_than_a_packet)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
