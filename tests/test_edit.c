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

/* A row that no packet holds is refused, and one that none holds yet stands in nobody's way. */
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
    CASE(what_is_outside_the_schema_is_taken_back),
    CASE(an_owners_edit_is_a_prediction),
    CASE(an_owner_decides),
    CASE(a_judge_passes_changes_or_refuses),
    CASE(wrong_calls_are_told_apart),
    CASE(a_row_may_be_larger_than_a_packet)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
