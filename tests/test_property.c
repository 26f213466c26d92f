/* test_property.c - named values with an authority, and their watchers */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"

typedef struct dial { float hp; uint16_t most; char name[12]; } dial;

static const wisp_field dial_fields[] = {
    WISP_FIELD(dial, hp, WISP_T_QUANTIZED(0, 1000, 0.5)),
    WISP_FIELD(dial, most, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(dial, name, WISP_T_STRING(11))
};
static const wisp_schema dial_schema = WISP_SCHEMA(dial, 1, dial_fields);

/* What watchers were told, in one text: "name=new<old ". */
typedef struct notes { char text[2000]; int count; } notes;

static void put_value(char *out, size_t room, const wisp_value *v) {
    wisp_value plain[1];
    char memory[4096];
    int bytes = wisp_encode(wisp_json(), NULL, v, memory, (int)sizeof memory);
    (void)plain;
    snprintf(out, room, "%.*s", bytes > 0 ? bytes : 0, memory);
}

static void jot(wisp_event *event) {
    notes *n = (notes *)event->user;
    char now[400], old[400];
    size_t used = strlen(n->text);
    CHECK_EQ_INT(event->count, 2);
    put_value(now, sizeof now, &event->args[0]);
    put_value(old, sizeof old, &event->args[1]);
    n->count++;
    if (used < sizeof n->text - 900)
        snprintf(n->text + used, sizeof n->text - used, "%s=%s<%s ", event->name, now, old);
}

static const char *taken(notes *n) {
    static char text[2000];
    strcpy(text, n->text);
    n->text[0] = 0;
    return text;
}

static const char *text_of(wisp *w, const char *name) {
    static char text[4][600];
    static int turn;
    char *to = text[turn++ & 3];
    const wisp_value *v = wisp_get(w, name);
    if (!v) return "?";
    put_value(to, 600, v);
    return to;
}

typedef struct shared {
    world w;
    wisp *server, *ends[3];
    int count;
} shared;

static void shared_open(shared *t) {
    memset(t, 0, sizeof *t);
    world_open(&t->w);
    t->server = world_add(&t->w);
}

static wisp *shared_join(shared *t) {
    wisp_addr addr = wisp_loopback_addr(0);
    wisp *w = t->ends[t->count++] = world_add(&t->w);
    CHECK(wisp_join(w, &addr, NULL, 0).id != 0);
    return w;
}

static wisp_result assign(wisp *w, const char *name, wisp_value value) {
    return wisp_set_value(w, name, &value);
}

static wisp_result put_in(wisp *w, const char *name, const char *path, wisp_value value) {
    return wisp_set_value_in(w, name, path, &value);
}

static void define(wisp *w, const char *name, int authority, wisp_value initial) {
    wisp_property_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.authority = authority;
    desc.initial = initial;
    CHECK_EQ_INT(wisp_property(w, name, &desc), WISP_OK);
}

/* Was an end told of an error with this text? */
static bool was_told(const world *w, const wisp *end, const char *text) {
    for (int i = 0; i < world_count(w, end, WISP_ERROR); i++)
        if (strcmp(world_nth(w, end, WISP_ERROR, i)->text, text) == 0) return true;
    for (int i = 0; i < world_count(w, end, WISP_ERROR); i++)
        printf("heard: %s\n", world_nth(w, end, WISP_ERROR, i)->text);
    return false;
}

TEST(a_value_that_a_server_sets_is_seen_by_all) {
    static shared t;
    notes here = { "", 0 }, there = { "", 0 };
    wisp *a, *b;
    shared_open(&t);
    define(t.server, "round", 0, wisp_int(1));
    define(t.server, "later", 0, wisp_nil());
    CHECK_EQ_STR(text_of(t.server, "round"), "1");
    CHECK_EQ_STR(text_of(t.server, "later"), "?");
    a = shared_join(&t);
    define(a, "round", 0, wisp_int(7));
    define(a, "later", 0, wisp_nil());
    CHECK(wisp_watch(a, "round", jot, &there).id != 0);
    CHECK_EQ_STR(taken(&there), "");                       /* not known yet */
    CHECK(wisp_watch(t.server, "round", jot, &here).id != 0);
    CHECK_EQ_STR(taken(&here), "round=1<null ");
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(taken(&there), "round=1<null ");
    CHECK_EQ_STR(text_of(a, "round"), "1");
    CHECK_EQ_INT(assign(t.server, "round", wisp_int(2)), WISP_OK);
    CHECK_EQ_STR(text_of(t.server, "round"), "2");
    CHECK_EQ_STR(taken(&here), "");
    world_step(&t.w);
    CHECK_EQ_STR(taken(&here), "round=2<1 ");
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(taken(&there), "round=2<1 ");
    CHECK_EQ_INT(assign(t.server, "round", wisp_int(2)), WISP_OK);     /* nothing new */
    CHECK_EQ_INT(assign(t.server, "later", wisp_string("x")), WISP_OK);
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(taken(&there), "");
    CHECK_EQ_STR(text_of(a, "later"), "\"x\"");
    CHECK_EQ_INT(assign(a, "round", wisp_int(3)), WISP_E_AUTHORITY);
    CHECK_EQ_STR(wisp_why_text(a), "property 'round' is set by the server alone");
    b = shared_join(&t);                                   /* late, and it defines later still */
    world_run(&t.w, 0.5);
    define(b, "round", 0, wisp_nil());
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(text_of(b, "round"), "2");
    CHECK(wisp_property_object(b, "round").id == wisp_property_object(t.server, "round").id);
    CHECK(wisp_property_object(b, "round").id != 0);
    CHECK_EQ_STR(taken(&here), "");
    world_close(&t.w);
}

/* A struct is quantised at once, may be given as a map, and is refused as a whole. */
TEST(a_property_may_be_a_struct_of_a_schema) {
    static shared t;
    wisp_property_desc desc;
    dial g;
    notes there = { "", 0 };
    wisp_pair some[3];
    wisp_value map;
    wisp *a;
    shared_open(&t);
    memset(&desc, 0, sizeof desc);
    memset(&g, 0, sizeof g);
    g.hp = 99.6f;
    g.most = 100;
    strcpy(g.name, "Ada");
    desc.schema = &dial_schema;
    desc.initial = wisp_struct(&dial_schema, &g);
    CHECK_EQ_INT(wisp_property(t.server, "gauge", &desc), WISP_OK);
    CHECK_EQ_STR(text_of(t.server, "gauge"), "{\"hp\":99.5,\"most\":100,\"name\":\"Ada\"}");
    a = shared_join(&t);
    desc.initial = wisp_nil();
    CHECK_EQ_INT(wisp_property(a, "gauge", &desc), WISP_OK);
    CHECK(wisp_watch(a, "gauge", jot, &there).id != 0);
    world_run(&t.w, 0.5);
    taken(&there);
    CHECK_EQ_STR(text_of(a, "gauge"), "{\"hp\":99.5,\"most\":100,\"name\":\"Ada\"}");
    CHECK_EQ_INT(put_in(t.server, "gauge", "hp", wisp_number(12.2)), WISP_OK);
    some[0].key = "most";
    some[0].value = wisp_int(7);
    some[1].key = "hp";
    some[1].value = wisp_int(3);
    some[2].key = "name";
    some[2].value = wisp_string("Bob");
    map = wisp_map(some, 3);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(assign(t.server, "gauge", map), WISP_OK);
    some[0].value = wisp_int(1001);
    CHECK_EQ_INT(assign(t.server, "gauge", map), WISP_E_INVALID);
    CHECK_EQ_STR(wisp_why_text(t.server), "property 'gauge': most: 1001 is not in 0 .. 1000");
    CHECK_EQ_INT(assign(t.server, "gauge", wisp_int(4)), WISP_E_INVALID);
    CHECK_EQ_INT(put_in(t.server, "gauge", "nane", wisp_string("x")), WISP_E_NAME);
    CHECK_EQ_STR(wisp_why_text(t.server), "property 'gauge', path 'nane': there is no such field: "
                                          "did you mean name?");
    world_run(&t.w, 0.3);
    CHECK_EQ_STR(taken(&there), "gauge={\"hp\":12,\"most\":100,\"name\":\"Ada\"}<{\"hp\":99.5,"
                 "\"most\":100,\"name\":\"Ada\"} gauge={\"hp\":3,\"most\":7,\"name\":\"Bob\"}<{"
                 "\"hp\":12,\"most\":100,\"name\":\"Ada\"} ");
    ((dial *)wisp_object_edit(t.server, wisp_property_object(t.server, "gauge")))->hp = 8;
    world_run(&t.w, 0.3);                                  /* it is an object like any */
    CHECK_EQ_STR(text_of(a, "gauge"), "{\"hp\":8,\"most\":7,\"name\":\"Bob\"}");
    CHECK_EQ_STR(text_of(t.server, "gauge"), "{\"hp\":8,\"most\":7,\"name\":\"Bob\"}");
    CHECK(wisp_view(a, wisp_property_object(a, "gauge"), WISP_CONFIRMED, &g) && g.most == 7);
    world_close(&t.w);
}

TEST(a_part_is_set_by_its_path) {
    static shared t;
    static const struct { const char *path; wisp_result code; const char *text; } wrong[] = {
        { "", WISP_E_ARGUMENT, "property 'table': its value is NULL, or its path empty" },
        { "a..c", WISP_E_ARGUMENT, "property 'table', path 'a.': a part of it is empty" },
        { "a.", WISP_E_ARGUMENT, "property 'table', path 'a.': a part of it is empty" },
        { "swords.0", WISP_E_NAME, "property 'table', path 'swords': there is no such key: did you "
                                   "mean sword?" },
        { "sword.4", WISP_E_EXPIRED, "property 'table', path 'sword.4': the array has 3 elements" },
        { "sword.3.x", WISP_E_EXPIRED, "property 'table', path 'sword.3': the array has 3 "
                                       "elements" },
        { "sword.99999999999999999999", WISP_E_EXPIRED, NULL },
        { "sword.first", WISP_E_TYPE, "property 'table', path 'sword.first': an array has indices, "
                                      "from 0" },
        { "a.b.c", WISP_E_TYPE, "property 'table', path 'a.b.c': what it is to be in has no "
                                "parts" } };
    const wisp_value list[3] = { wisp_int(1), wisp_int(2), wisp_int(3) };
    wisp_pair inner[1], pairs[2];
    const wisp_value *kept;
    wisp *w;
    shared_open(&t);
    w = t.server;
    inner[0].key = "b";
    inner[0].value = wisp_bool(true);
    pairs[0].key = "sword";
    pairs[0].value = wisp_array(list, 3);
    pairs[1].key = "a";
    pairs[1].value = wisp_map(inner, 1);
    define(w, "table", 0, wisp_map(pairs, 2));
    kept = wisp_get(w, "table");
    CHECK_EQ_INT(put_in(w, "table", "sword.1", wisp_string("two")), WISP_OK);
    CHECK_EQ_STR(text_of(w, "table"), "{\"a\":{\"b\":true},\"sword\":[1,\"two\",3]}");
    CHECK_EQ_INT(wisp_count_of(wisp_element_of(kept, 1)), 3);          /* until the next update */
    CHECK_EQ_INT(wisp_int_of(wisp_element_of(wisp_element_of(kept, 1), 1)), 2);
    CHECK_EQ_INT(put_in(w, "table", "sword.3", wisp_int(4)), WISP_OK);
    CHECK_EQ_INT(put_in(w, "table", "a.new", wisp_int(5)), WISP_OK);
    CHECK_EQ_STR(text_of(w, "table"), "{\"a\":{\"b\":true,\"new\":5},\"sword\":[1,\"two\",3,4]}");
    CHECK_EQ_INT(put_in(w, "table", "a.b", wisp_nil()), WISP_OK);
    CHECK_EQ_INT(put_in(w, "table", "a.b", wisp_nil()), WISP_E_NAME);
    CHECK_EQ_INT(put_in(w, "table", "sword", wisp_array(list, 3)), WISP_OK);
    CHECK_EQ_INT(put_in(w, "table", "a.b", wisp_int(1)), WISP_OK);
    for (int i = 0; i < TEST_COUNT(wrong); i++) {
        CHECK_EQ_INT(put_in(w, "table", wrong[i].path, wisp_int(1)), wrong[i].code);
        if (wrong[i].text) CHECK_EQ_STR(wisp_why_text(w), wrong[i].text);
    }
    CHECK_EQ_STR(text_of(w, "table"), "{\"a\":{\"b\":1,\"new\":5},\"sword\":[1,2,3]}");
    CHECK_EQ_INT(put_in(w, "tables", "a", wisp_int(1)), WISP_E_NO_REMOTE);
    CHECK_EQ_STR(wisp_why_text(w), "there is no property 'tables' here: did you mean table?");
    CHECK(wisp_get(w, "tables") == NULL && wisp_why(w) == WISP_E_NO_REMOTE);
    define(w, "empty", 0, wisp_nil());
    CHECK_EQ_INT(put_in(w, "empty", "a", wisp_int(1)), WISP_E_ARGUMENT);
    world_close(&t.w);
}

TEST(wrong_definitions_are_told_apart) {
    static shared t;
    static char name[200];
    wisp_player nobody = { 0 };
    wisp_property_desc desc;
    wisp_class of;
    shared_open(&t);
    memset(&desc, 0, sizeof desc);
    CHECK_EQ_INT(wisp_property(t.server, NULL, &desc), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_property(t.server, "x", NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_property(t.server, "", &desc), WISP_E_NAME);
    CHECK_EQ_INT(wisp_property(t.server, "a|b", &desc), WISP_E_NAME);
    memset(name, 'n', sizeof name - 1);
    CHECK_EQ_INT(wisp_property(t.server, name, &desc), WISP_E_NAME);
    CHECK_EQ_INT(assign(t.server, name, wisp_int(1)), WISP_E_NO_REMOTE);
    name[119] = 0;
    CHECK_EQ_INT(wisp_property(t.server, name, &desc), WISP_OK);
    CHECK_EQ_INT(assign(t.server, name, wisp_int(1)), WISP_OK);
    of = wisp_class_of(t.server, wisp_property_object(t.server, name));
    CHECK(of.id && wisp_spawn(t.server, of, nobody, name).id == 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_UNSUPPORTED);
    CHECK_EQ_INT(wisp_property(t.server, name, &desc), WISP_E_NAME);
    desc.authority = 3;
    CHECK_EQ_INT(wisp_property(t.server, "x", &desc), WISP_E_ARGUMENT);
    desc.authority = 0;
    desc.rate = -1;
    CHECK_EQ_INT(wisp_property(t.server, "x", &desc), WISP_E_ARGUMENT);
    desc.rate = 0;
    desc.initial = wisp_bytes(name, -3);
    CHECK(wisp_property(t.server, "x", &desc) < 0);
    CHECK_EQ_INT(assign(t.server, "x", wisp_bytes(memset(name, 0, 200), 150)), WISP_OK);
    CHECK_EQ_INT(wisp_fire_values(t.server, "property x", wisp_to_all(), NULL, 0), WISP_E_NAME);
    CHECK(wisp_watch(t.server, "a(b", jot, NULL).id == 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_PATTERN);
    CHECK(wisp_watch(t.server, "a", NULL, NULL).id == 0);
    CHECK(wisp_watch(t.server, NULL, jot, NULL).id == 0);
    CHECK_EQ_INT(wisp_why(t.server), WISP_E_ARGUMENT);
    world_close(&t.w);
}

TEST(one_watcher_for_many_names) {
    static shared t;
    notes many = { "", 0 }, dot = { "", 0 }, all = { "", 0 };
    wisp_connection c;
    wisp *w;
    shared_open(&t);
    w = t.server;
    define(w, "PlayerHP", 0, wisp_int(5));
    define(w, "Gold", 0, wisp_int(1));
    CHECK(wisp_connect_match(w, ".*", jot, &all).id != 0);           /* of remotes alone */
    c = wisp_watch(w, "Player(HP|MaxHP)", jot, &many);
    CHECK(wisp_watch(w, "a.b", jot, &dot).id != 0);                  /* a name */
    CHECK_EQ_STR(taken(&many), "PlayerHP=5<null ");
    define(w, "PlayerMaxHP", 0, wisp_int(9));                         /* defined later */
    define(w, "axb", 0, wisp_int(1));
    define(w, "a.b", 0, wisp_int(2));
    CHECK_EQ_INT(assign(w, "Gold", wisp_int(2)), WISP_OK);
    world_step(&t.w);
    CHECK_EQ_STR(taken(&many), "PlayerMaxHP=9<null ");
    CHECK_EQ_STR(taken(&dot), "a.b=2<null ");
    CHECK_EQ_INT(assign(w, "PlayerHP", wisp_int(6)), WISP_OK);
    CHECK_EQ_INT(assign(w, "PlayerHP", wisp_int(7)), WISP_OK);
    CHECK_EQ_INT(assign(w, "PlayerMaxHP", wisp_int(8)), WISP_OK);
    CHECK_EQ_INT(assign(w, "PlayerMaxHP", wisp_int(9)), WISP_OK);        /* as it was shown */
    world_step(&t.w);
    CHECK_EQ_STR(taken(&many), "PlayerHP=7<5 ");
    wisp_disconnect(w, c);
    CHECK_EQ_INT(assign(w, "PlayerHP", wisp_int(1)), WISP_OK);
    world_step(&t.w);
    CHECK_EQ_STR(taken(&many), "");
    CHECK_EQ_INT(all.count, 0);
    world_close(&t.w);
}

/* Each sets what the other watches. */
static void add_one(wisp_event *event) {
    int64_t n = wisp_arg_int(event, 0);
    ++*(int *)event->user;
    CHECK_EQ_INT(assign(event->w, *event->name == 'p' ? "q" : "p", wisp_int(n + 1)), WISP_OK);
}

TEST(a_watcher_may_set_what_it_watches) {
    static shared t;
    int runs = 0;
    shared_open(&t);
    define(t.server, "p", 0, wisp_int(0));
    define(t.server, "q", 0, wisp_int(0));
    CHECK(wisp_watch(t.server, "p", add_one, &runs).id != 0);
    CHECK(wisp_watch(t.server, "q", add_one, &runs).id != 0);
    for (int i = 0; i < 10; i++) world_step(&t.w);
    CHECK(runs > 10 && runs < 60);
    world_close(&t.w);
}

static wisp_result shown_class(wisp_event *event) { return (void)event, WISP_OK; }

static void note_object(wisp_event *event) {
    notes *n = (notes *)event->user;
    const dial *g = (const dial *)event->state;
    static const char *const what[] = { "spawned", "changed", "despawned" };
    size_t used = strlen(n->text);
    snprintf(n->text + used, sizeof n->text - used, "%s %s %g ", event->name,
             what[event->message - WISP_OBJECT_SPAWNED], g ? (double)g->hp : -1);
}

TEST(a_watcher_of_objects_sees_those_of_every_class_that_matches) {
    static shared t;
    notes n = { "", 0 };
    wisp_class_desc desc;
    wisp_class of, blue;
    wisp_player nobody = { 0 };
    wisp_object o;
    dial g;
    wisp *a;
    memset(&desc, 0, sizeof desc);
    memset(&g, 0, sizeof g);
    desc.schema = &dial_schema;
    desc.spawned = shown_class;
    shared_open(&t);
    define(t.server, "red", 0, wisp_int(0));
    of = wisp_define(t.server, "red", &desc);
    blue = wisp_define(t.server, "blue", &desc);
    a = shared_join(&t);
    define(a, "red", 0, wisp_nil());
    wisp_define(a, "red", &desc);
    CHECK(wisp_watch_objects(a, "r.d", note_object, &n).id != 0);
    wisp_define(a, "blue", &desc);
    world_run(&t.w, 0.2);
    g.hp = 1;
    o = wisp_spawn(t.server, of, nobody, &g);              /* its ticks came with the property */
    CHECK(o.id != 0);
    world_run(&t.w, 0.3);
    ((dial *)wisp_object_edit(t.server, o))->hp = 2;
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(wisp_despawn(t.server, o), WISP_OK);
    world_run(&t.w, 0.3);
    CHECK_EQ_STR(taken(&n), "red spawned 1 red changed 2 red despawned 2 ");
    o = wisp_spawn(t.server, blue, nobody, &g);            /* by its tag */
    CHECK_EQ_INT(wisp_tag(t.server, o, "rod"), WISP_OK);
    world_run(&t.w, 0.3);
    ((dial *)wisp_object_edit(t.server, o))->hp = 3;
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(wisp_untag(t.server, o, "rod"), WISP_OK);
    world_run(&t.w, 0.3);
    CHECK_EQ_STR(taken(&n), "blue spawned 1 blue changed 3 ");
    ((dial *)wisp_object_edit(t.server, o))->hp = 4;
    world_run(&t.w, 0.3);
    CHECK_EQ_STR(taken(&n), "");
    CHECK_EQ_INT(wisp_tag(t.server, wisp_property_object(t.server, "red"), "rod"), WISP_OK);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(assign(t.server, "red", wisp_int(5)), WISP_OK);       /* a property with the tag */
    world_run(&t.w, 0.3);
    CHECK_EQ_STR(taken(&n), "red changed -1 ");
    CHECK_EQ_STR(text_of(a, "red"), "5");
    wisp_leave(a, wisp_server(), "enough");
    world_run(&t.w, 0.3);
    CHECK_EQ_STR(taken(&n), "red despawned -1 ");
    world_close(&t.w);
}

/* What one end alone has, or has otherwise, is told. */
TEST(ends_that_differ_are_told) {
    static shared t;
    wisp_property_desc desc;
    wisp *a;
    shared_open(&t);
    memset(&desc, 0, sizeof desc);
    define(t.server, "health", 0, wisp_int(1));
    define(t.server, "form", 0, wisp_int(1));
    define(t.server, "after", 0, wisp_int(5));
    a = shared_join(&t);
    world_watch(&t.w, a, WISP_ERROR);
    world_watch(&t.w, t.server, WISP_ERROR);
    define(a, "heelth", 0, wisp_nil());
    desc.schema = &dial_schema;
    CHECK_EQ_INT(wisp_property(a, "form", &desc), WISP_OK);
    world_run(&t.w, 0.5);
    CHECK(was_told(&t.w, a, "property health: not defined here: see wisp_define, wisp_property, "
                               "wisp_use_input: did you mean property heelth?"));
    CHECK(was_told(&t.w, t.server, "property health: the other end does not know this name: did "
                                      "you mean property heelth?"));
    CHECK(was_told(&t.w, a, "property form: one end has a schema for it and the other has none"));
    CHECK_EQ_STR(text_of(a, "form"), "?");
    define(a, "after", 0, wisp_nil());                     /* its value came before: it is there */
    world_run(&t.w, 0.3);
    CHECK_EQ_STR(text_of(a, "after"), "5");
    CHECK_EQ_INT(assign(t.server, "form", wisp_int(2)), WISP_OK);
    CHECK_EQ_INT(assign(t.server, "after", wisp_int(6)), WISP_OK);
    world_run(&t.w, 0.3);
    CHECK_EQ_STR(text_of(a, "after"), "6");
    CHECK_EQ_STR(text_of(a, "form"), "?");
    world_close(&t.w);
}

static uint64_t random_of(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* A table of so many parts. */
static wisp_value table_with(int parts, uint64_t seed) {
    static wisp_pair pairs[200];
    static wisp_value fields[200][3];
    static char keys[200][8];
    for (int i = 0; i < parts; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        fields[i][0] = wisp_int((int64_t)(random_of(&seed) % 1000));
        fields[i][1] = wisp_bool(random_of(&seed) & 1);
        fields[i][2] = wisp_string(random_of(&seed) & 1 ? "sword" : "bow");
        pairs[i].key = keys[i];
        pairs[i].value = wisp_array(fields[i], 3);
    }
    return wisp_map(pairs, parts);
}

static const char *const places[] = { "k0.0", "k1.2", "k3", "k4.1", "new", "k2.0" };

/* Changes some properties at random. */
static void shared_play(wisp *w, uint64_t *seed) {
    uint64_t r = random_of(seed);
    wisp_value some = wisp_int((int64_t)(r >> 40));
    if (r % 5 == 0) CHECK_EQ_INT(assign(w, "number", r & 64 ? some : wisp_string("text")), WISP_OK);
    if (r % 7 == 0) put_in(w, "table", places[(r >> 9) % 6], r & 256 ? some : wisp_nil());
    if (r % 31 == 0) CHECK_EQ_INT(assign(w, "table", table_with((int)(r >> 12 & 15), r)), WISP_OK);
    some = wisp_int((int64_t)(r >> 60));
    if (r % 11 == 0) CHECK_EQ_INT(put_in(w, "gauge", "most", some), WISP_OK);
    if (r % 13 == 0)
        CHECK_EQ_INT(put_in(w, "gauge", "name", wisp_string(r & 64 ? "a" : "bcd")), WISP_OK);
}

static void define_all(wisp *w) {
    static const dial none = { 0, 0, { 0 } };
    wisp_property_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.schema = &dial_schema;
    desc.initial = wisp_struct(&dial_schema, &none);
    CHECK_EQ_INT(wisp_property(w, "gauge", &desc), WISP_OK);
    define(w, "number", 0, wisp_int(1));
    define(w, "table", 0, table_with(6, 3));
}

static bool shared_agree(wisp *a, wisp *b) {
    return strcmp(text_of(a, "gauge"), text_of(b, "gauge")) == 0 &&
           strcmp(text_of(a, "number"), text_of(b, "number")) == 0 &&
           strcmp(text_of(a, "table"), text_of(b, "table")) == 0 &&
           strcmp(text_of(a, "table"), "?") != 0;
}

/* Each change that a watcher sees goes on from the one before. */
static void watch_chain(wisp_event *event) {
    char *last = (char *)event->user, old[600];
    put_value(old, sizeof old, &event->args[1]);
    CHECK_EQ_STR(old, last);
    put_value(last, 600, &event->args[0]);
}

TEST(all_ends_agree_on_properties_after_a_quiet_second) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        static shared t;
        static char last[3][600];
        uint64_t random = seed;
        memset(&t, 0, sizeof t);
        world_open(&t.w);
        t.w.desc.tick_rate = 40;
        t.w.bad = true;
        t.w.net.loss = seed == 1 ? 0 : 0.3;
        t.w.net.latency = seed % 3 == 0 ? 0.3 : (double)(seed % 3) * 0.02;
        t.w.net.jitter = 0.03;
        t.w.net.duplicate = 0.1;
        t.w.net.reorder = 0.1;
        t.w.net.seed = seed;
        t.server = world_add(&t.w);
        t.w.desc.tick_rate = 0;
        define_all(t.server);
        for (int i = 0; i < 2; i++) define_all(shared_join(&t));
        world_watch(&t.w, t.server, WISP_ERROR);
        world_watch(&t.w, t.ends[0], WISP_ERROR);
        for (int i = 0; i < 3; i++) strcpy(last[i], "null");
        CHECK(wisp_watch(t.ends[0], "table", watch_chain, last[0]).id != 0);
        CHECK(wisp_watch(t.server, "table", watch_chain, last[1]).id != 0);
        for (int step = 0; step < 700; step++) {
            if (step == 300) define_all(shared_join(&t));
            if (step == 400) wisp_leave(t.ends[1], wisp_server(), "enough");
            if (step < 600) shared_play(t.server, &random);
            world_step(&t.w);
        }
        for (int i = 0; i < 600 && !(shared_agree(t.server, t.ends[0]) &&
                                     shared_agree(t.server, t.ends[2])); i++)
            world_step(&t.w);
        CHECK(shared_agree(t.server, t.ends[0]) && shared_agree(t.server, t.ends[2]));
        CHECK_EQ_STR(last[0], text_of(t.server, "table"));
        CHECK_EQ_STR(last[1], text_of(t.server, "table"));
        if (seed == 1) CHECK(wisp_get(t.ends[1], "number") != NULL);       /* as it was then */
        CHECK_EQ_INT(assign(t.ends[1], "number", wisp_int(3)), WISP_OK);
        CHECK_EQ_INT(world_count(&t.w, NULL, WISP_ERROR), 0);
        world_close(&t.w);
    }
}

/* Of a large table the changes are sent, and what does not change costs nothing. */
TEST(a_large_table_goes_as_what_changes) {
    static shared t;
    wisp *a;
    uint64_t whole, parts, quiet;
    memset(&t, 0, sizeof t);
    world_open(&t.w);
    t.w.desc.tick_rate = 50;
    t.server = world_add(&t.w);
    t.w.desc.tick_rate = 0;
    define(t.server, "table", 0, wisp_nil());
    a = shared_join(&t);
    define(a, "table", 0, wisp_nil());
    world_run(&t.w, 3);
    quiet = world_peer_stats(t.server, world_peer(t.server, 0)).bytes_sent;
    world_run(&t.w, 1);
    quiet = world_peer_stats(t.server, world_peer(t.server, 0)).bytes_sent - quiet;
    whole = world_peer_stats(t.server, world_peer(t.server, 0)).bytes_sent;
    CHECK_EQ_INT(assign(t.server, "table", table_with(80, 5)), WISP_OK);
    world_run(&t.w, 1);
    whole = world_peer_stats(t.server, world_peer(t.server, 0)).bytes_sent - whole - quiet;
    parts = world_peer_stats(t.server, world_peer(t.server, 0)).bytes_sent;
    for (int i = 0; i < 10; i++) {
        CHECK_EQ_INT(put_in(t.server, "table", "k41.0", wisp_int(i)), WISP_OK);
        world_run(&t.w, 0.1);
    }
    parts = world_peer_stats(t.server, world_peer(t.server, 0)).bytes_sent - parts - quiet;
    CHECK_EQ_STR(text_of(a, "table"), text_of(t.server, "table"));
    printf("    a table of 80 entries: %d bytes, a change of one number %d (packet and all)\n",
           (int)whole, (int)parts / 10);
    CHECK(whole > 600 && parts / 10 < 60);
    world_close(&t.w);
}

/* What no packet has room for goes in parts, also on a path that loses some. */
TEST(a_value_may_be_larger_than_a_packet) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
        static shared t;
        static uint8_t bytes[70000];
        static wisp_value texts[40];
        uint64_t random = seed;
        wisp *a, *late;
        memset(&t, 0, sizeof t);
        world_open(&t.w);
        t.w.desc.tick_rate = 40;
        t.w.bad = true;
        t.w.net.loss = seed == 1 ? 0 : 0.04;
        t.w.net.latency = 0.03;
        t.w.net.reorder = 0.05;
        t.w.net.duplicate = 0.05;
        t.w.net.seed = seed;
        t.server = world_add(&t.w);
        t.w.desc.tick_rate = 0;
        for (int i = 0; i < 40; i++) texts[i] = wisp_bytes(bytes + 200 * i, 200);
        for (int i = 0; i < 70000; i++) bytes[i] = (uint8_t)random_of(&random);
        define(t.server, "big", 0, wisp_array(texts, 40));             /* 8,000 bytes */
        define(t.server, "small", 0, wisp_int(0));
        a = shared_join(&t);
        define(a, "big", 0, wisp_nil());
        define(a, "small", 0, wisp_nil());
        for (int i = 0; i < 300; i++) {
            char place[8];
            snprintf(place, sizeof place, "%d", i % 41);
            if (i % 10 == 0) CHECK_EQ_INT(put_in(t.server, "big", place, wisp_int(i)), WISP_OK);
            if (i % 3 == 0) CHECK_EQ_INT(assign(t.server, "small", wisp_int(i)), WISP_OK);
            world_step(&t.w);
        }
        late = shared_join(&t);
        define(late, "big", 0, wisp_nil());
        for (int i = 0; i < 2000; i++) {
            const wisp_value *v = wisp_get(late, "big"), *u = wisp_get(a, "big");
            world_step(&t.w);
            v = wisp_get(late, "big");
            u = wisp_get(a, "big");
            if (u && v && wisp_equal(u, v) && wisp_equal(v, wisp_get(t.server, "big"))) break;
        }
        CHECK(wisp_get(a, "big") && wisp_equal(wisp_get(a, "big"), wisp_get(t.server, "big")));
        CHECK(wisp_get(late, "big") && wisp_equal(wisp_get(late, "big"), wisp_get(a, "big")));
        CHECK_EQ_STR(text_of(a, "small"), text_of(t.server, "small"));
        CHECK_EQ_INT(assign(t.server, "big", wisp_bytes(bytes, 70000)), WISP_E_TOO_BIG);
        CHECK_EQ_STR(wisp_why_text(t.server), "property 'big': 70004 bytes, 65536 are possible");
        world_close(&t.w);
    }
}

/* Bits that nobody has written about properties: they end the session, or do nothing. */
/* Watchers are told of what the server has, never of a message that has the number of a class. */
TEST(no_message_passes_for_a_property) {
    for (int invoke = 0; invoke < 2; invoke++) {
        static shared t;
        static notes n;
        wisp_value forged = wisp_string("forged");
        wisp__remote *remote;
        wisp *a;
        shared_open(&t);
        define(t.server, "motd", WISP_AUTHORITY_SERVER, wisp_string("true"));
        a = shared_join(&t);
        define(a, "motd", WISP_AUTHORITY_SERVER, wisp_nil());
        world_run(&t.w, 0.5);
        memset(&n, 0, sizeof n);
        wisp_watch(t.server, "motd", jot, &n);
        CHECK_EQ_STR(taken(&n), "motd=\"true\"<null ");
        remote = a->registry.remotes[wisp__registry_find(&a->registry, "property motd", 13)->index];
        remote->of_class = 0;
        if (invoke)
            wisp_invoke_values(a, "property motd", wisp_to_peer(WISP_SERVER), NULL, &forged, 1);
        else
            wisp_fire_values(a, "property motd", wisp_to_peer(WISP_SERVER), &forged, 1);
        remote->of_class = 1;
        world_run(&t.w, 0.5);
        CHECK_EQ_STR(taken(&n), "");
        CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 0);
        world_close(&t.w);
    }
}

TEST(hostile_properties) {
    static shared t;
    uint64_t random = 9;
    wisp *a;
    shared_open(&t);
    define_all(t.server);
    a = shared_join(&t);
    define_all(a);
    world_run(&t.w, 0.5);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[96 + WISP__SLACK];
        wisp__writer to = wisp__writer_on(bytes, 96);
        wisp__reading r;
        for (int k = 0; k < 96; k += 8) {
            uint64_t word = random_of(&random) & (i % 3 ? UINT64_MAX : random_of(&random));
            memcpy(bytes + k, &word, 8);
        }
        wisp__put(&to, random_of(&random) >> 31, 33);
        wisp__put(&to, 1, 2);
        wisp__put(&to, random_of(&random) & 3, 16);
        wisp__put(&to, i % 4 == 1, i % 4 == 1 ? 2 : 1);
        if (i % 4 == 1) wisp__put(&to, random_of(&random) & 7, 16);
        if (i % 4 == 1) wisp__put_length(&to, random_of(&random) & 3);
        memset(&r, 0, sizeof r);
        r.w = a;
        r.s = wisp__session_of(a, wisp_server());
        r.from = wisp__reader_on(bytes, 96);
        if (!wisp__credit_begin(r.w, r.s, 1200)) {
            world_run(&t.w, 0.2);
            continue;
        }
        a->updating = true;
        wisp__on_tick(&r);
        wisp__on_objects(&r);
        wisp__credit_end(r.w, r.s);
        a->updating = false;
        if (i % 500 == 0) {
            CHECK_EQ_INT(put_in(t.server, "table", "k0.0", wisp_int(i)), WISP_OK);
            world_step(&t.w);
            wisp_get(a, "table");
        }
    }
    world_run(&t.w, 0.5);
    world_close(&t.w);
}

/* What a peer asks for costs its credit as much work as it is, however few bytes ask for it. */
TEST(what_a_peer_asks_of_a_property_is_paid_for) {
    static shared t;
    static wisp_value many[5000];
    wisp_value args[3] = { wisp_string("flags"), wisp_string("4999"), wisp_bool(true) };
    wisp__session *s;
    wisp__credit *credit;
    wisp__object *o;
    wisp__object_head h;
    wisp__reading r;
    shared_open(&t);
    credit = &t.server->content.credit;
    for (int i = 0; i < 5000; i++) many[i] = wisp_bool(false);
    define(t.server, "flags", WISP_AUTHORITY_ANYONE, wisp_array(many, 5000));
    shared_join(&t);
    define(t.ends[0], "flags", WISP_AUTHORITY_ANYONE, wisp_nil());
    world_run(&t.w, 0.5);
    s = wisp__session_of(t.server, world_peer(t.server, 0));
    credit->work = 5000 * 40;
    credit->memory = 1 << 20;
    CHECK_EQ_INT(wisp__property_asked(t.server, s, args), WISP_E_FLOOD);
    credit->work = 5000 * 80;
    CHECK_EQ_INT(wisp__property_asked(t.server, s, args), WISP_OK);
    CHECK(credit->work < 5000 * 35);
    args[0] = wisp_string("flagx");                        /* is like one: that is looked for */
    credit->work = 1000;
    CHECK_EQ_INT(wisp__property_asked(t.server, s, args), WISP_E_NO_REMOTE);
    CHECK(credit->work <= 975);
    credit->work = 0;                                      /* another setter: all are told */
    o = wisp__object_get(t.server, wisp_property_object(t.server, "flags"));
    memset(&r, 0, sizeof r);
    r.w = t.server;
    r.s = s;
    memset(&h, 0, sizeof h);
    h.index = (int)(o->id & WISP__OBJECT_INDEX);
    CHECK(wisp__object_of_owner(&r, &h) == NULL && o->owner == 0 && !credit->over);
    credit->work = 1000;
    CHECK(wisp__object_of_owner(&r, &h) == o && o->owner == wisp__session_player(t.server, s));
    CHECK(credit->work < 1000);
    world_run(&t.w, 0.5);
    CHECK(wisp_bool_of(wisp_element_of(wisp_get(t.ends[0], "flags"), 4999)));
    world_close(&t.w);
}

static void watch_none(wisp_event *event) { (void)event; }

/* Any one allocation fails, on either end: what it was for is refused, or done later, or the
   session ends. */
TEST(any_one_allocation_of_properties_may_fail) {
    int done = 0;
    for (int fail = 1; fail < 200 && !done; fail++) {
        static shared t;
        ledger memory = ledger_none();
        memset(&t, 0, sizeof t);
        world_open(&t.w);
        t.w.unchecked = true;
        t.w.desc.memory = ledger_memory(&memory);
        t.w.desc.tick_rate = 50;
        t.server = world_add(&t.w);
        t.w.desc.tick_rate = 0;
        define_all(t.server);
        define_all(shared_join(&t));
        world_run(&t.w, 0.1);
        memory.fail_at = memory.asked + fail;
        wisp_watch(t.ends[0], ".*", watch_none, NULL);
        for (int i = 0; i < 40; i++) {
            if (i < 20) assign(t.server, "number", wisp_int(i));
            if (i < 20) put_in(t.server, "table", "new", wisp_int(i));
            world_step(&t.w);
        }
        done = memory.asked < memory.fail_at;
        memory.fail_at = 0;
        CHECK_EQ_INT(assign(t.server, "number", wisp_int(77)), WISP_OK);
        CHECK_EQ_INT(put_in(t.server, "table", "new", wisp_int(78)), WISP_OK);
        world_run(&t.w, 1);
        if (wisp_peers(t.server, NULL, 0) && !CHECK(shared_agree(t.server, t.ends[0])))
            printf("  allocation %d\n", fail);
        world_close(&t.w);
        CHECK_EQ_INT(memory.out, 0);
    }
    CHECK(done);
}

/* Refuses what is less than 0, and makes 100 of what is more. */
static wisp_result judge_number(wisp_event *event) {
    notes *n = (notes *)event->user;
    int64_t asked = wisp_arg_int(event, 0);
    size_t used = strlen(n->text);
    snprintf(n->text + used, sizeof n->text - used, "%s %d?%d ", event->name, (int)asked,
             (int)wisp_arg_int(event, 1));
    CHECK(event->peer.id == wisp_peer_of(event->w, event->player).id && event->peer.id != 0);
    if (asked > 100) CHECK_EQ_INT(assign(event->w, event->name, wisp_int(100)), WISP_OK);
    return asked < 0 ? WISP_E_USER - 3 : WISP_OK;
}

/* A server that judges "mark", and two ends that have it. */
static void shared_mark(shared *t, int authority, notes *judged, wisp **a, wisp **b) {
    wisp_property_desc desc;
    shared_open(t);
    memset(&desc, 0, sizeof desc);
    desc.authority = authority;
    desc.initial = wisp_int(1);
    desc.judge = judge_number;
    desc.user = judged;
    CHECK_EQ_INT(wisp_property(t->server, "mark", &desc), WISP_OK);
    *a = shared_join(t);
    *b = shared_join(t);
    define(*a, "mark", authority, wisp_nil());
    define(*b, "mark", authority, wisp_nil());
}

TEST(an_owner_sets_and_the_server_judges) {
    static shared t;
    notes judged = { "", 0 }, server = { "", 0 }, other = { "", 0 };
    wisp *a, *b;
    shared_mark(&t, WISP_AUTHORITY_OWNER, &judged, &a, &b);
    CHECK_EQ_INT(assign(a, "mark", wisp_int(2)), WISP_E_AUTHORITY);
    CHECK_EQ_STR(wisp_why_text(a), "property 'mark' is set by its owner, whom the server has not "
                                   "told yet");
    world_watch(&t.w, a, WISP_ERROR);
    world_run(&t.w, 1);
    CHECK_EQ_INT(assign(a, "mark", wisp_int(2)), WISP_E_AUTHORITY);
    CHECK_EQ_INT(wisp_give(t.server, wisp_property_object(t.server, "mark"), wisp_me(a)), WISP_OK);
    wisp_watch(t.server, "mark", jot, &server);
    wisp_watch(b, "mark", jot, &other);
    world_run(&t.w, 0.5);
    CHECK_EQ_INT(assign(b, "mark", wisp_int(2)), WISP_E_AUTHORITY);
    CHECK_EQ_STR(wisp_why_text(b), "property 'mark' is set by another player");
    taken(&server);
    taken(&other);
    CHECK_EQ_INT(assign(a, "mark", wisp_int(5)), WISP_OK);
    CHECK_EQ_STR(text_of(a, "mark"), "5");                    /* its own, at once */
    CHECK_EQ_STR(text_of(t.server, "mark"), "1");
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(taken(&judged), "mark 5?1 ");
    CHECK_EQ_STR(taken(&server), "mark=5<1 ");
    CHECK_EQ_STR(taken(&other), "mark=5<1 ");
    CHECK_EQ_INT(assign(a, "mark", wisp_int(-2)), WISP_OK);   /* refused, and told */
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(text_of(a, "mark"), "5");
    CHECK(was_told(&t.w, a, "property mark: the server has refused an edit of object 65536: "
                         "application error"));
    CHECK_EQ_INT(assign(a, "mark", wisp_int(777)), WISP_OK);  /* changed */
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(text_of(a, "mark"), "100");
    CHECK_EQ_STR(taken(&server), "mark=100<5 ");
    CHECK_EQ_INT(assign(t.server, "mark", wisp_int(8)), WISP_OK);         /* the server may, too */
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(text_of(a, "mark"), "8");
    CHECK_EQ_INT(assign(a, "mark", wisp_int(9)), WISP_OK);
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(text_of(b, "mark"), "9");
    wisp_leave(a, wisp_server(), "enough");                /* its value stays */
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(text_of(b, "mark"), "9");
    CHECK_EQ_INT(assign(t.server, "mark", wisp_int(10)), WISP_OK);
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(text_of(b, "mark"), "10");
    world_close(&t.w);
}

/* Each end can set a property of anyone when it is quiet. */
static void anyone_can_set(shared *t) {
    for (int i = 0; i < 3; i++) {
        wisp *w = i ? t->ends[i - 1] : t->server;
        int won = 0;
        CHECK_EQ_INT(assign(w, "any", wisp_int(1000 + i)), WISP_OK);
        world_run(&t->w, 5);
        for (int k = 0; k < 3; k++)
            won += wisp_int_of(wisp_get(k ? t->ends[k - 1] : t->server, "any")) == 1000 + i;
        CHECK_EQ_INT(won, 3);
    }
}

/* The last that the server heard stays, whoever set it, for structs and for tables. */
TEST(whoever_sets_a_property_of_anyone_all_agree) {
    /* in those above 8 an owner is overruled while the server takes what it has set before */
    static const uint64_t seeds[] = { 1, 2, 3, 4, 5, 6, 7, 8, 83, 191, 221, 246, 269, 281 };
    for (int k = 0; k < TEST_COUNT(seeds); k++) {
        const uint64_t seed = seeds[k];
        static shared t;
        static const char *const names[] = { "any", "form" };
        wisp_property_desc desc;
        uint64_t random = seed;
        memset(&t, 0, sizeof t);
        world_open(&t.w);
        t.w.desc.tick_rate = 40;
        t.w.bad = true;
        t.w.net.loss = seed % 4 == 0 ? 0 : 0.25;
        t.w.net.latency = (double)(seed % 3) * 0.05;
        t.w.net.jitter = 0.02;
        t.w.net.duplicate = 0.1;
        t.w.net.reorder = 0.1;
        t.w.net.seed = seed;
        t.server = world_add(&t.w);
        t.w.desc.tick_rate = 0;
        memset(&desc, 0, sizeof desc);
        desc.authority = WISP_AUTHORITY_ANYONE;
        for (int e = 0; e < 3; e++) {
            wisp *w = e ? shared_join(&t) : t.server;
            desc.schema = NULL;
            CHECK_EQ_INT(wisp_property(w, "any", &desc), WISP_OK);
            desc.schema = &dial_schema;
            CHECK_EQ_INT(wisp_property(w, "form", &desc), WISP_OK);
        }
        for (int i = 0; i < 800; i++) {
            uint64_t r = random_of(&random);
            wisp *w = r % 5 == 0 ? t.server : t.ends[r & 1];
            if (r % 9 == 0 && i < 600) {
                CHECK_EQ_INT(assign(w, "any", table_with((int)(r >> 20 & 3), r)), WISP_OK);
                if (wisp_get(w, "form"))
                    CHECK_EQ_INT(put_in(w, "form", "most", wisp_int((int64_t)(r >> 30 & 511))),
                                 WISP_OK);
            }
            world_step(&t.w);
        }
        world_run(&t.w, 3);
        for (int i = 0; i < 2; i++)
            for (int n = 0; n < 2; n++)
                if (!CHECK_EQ_STR(text_of(t.ends[i], names[n]), text_of(t.server, names[n])))
                    printf("  seed %d end %d\n", (int)seed, i);
        if (seed > 8) {
            world_close(&t.w);
            continue;
        }
        anyone_can_set(&t);
        world_close(&t.w);
    }
}

/* An end that sets before the server has told of the property is heard, too; a judge of _ANYONE
   overrules as that of an owner. */
TEST(a_property_of_anyone_is_judged) {
    static shared t;
    notes judged = { "", 0 };
    wisp *a, *b;
    shared_mark(&t, WISP_AUTHORITY_ANYONE, &judged, &a, &b);
    CHECK_EQ_INT(assign(a, "mark", wisp_int(2)), WISP_OK);
    world_run(&t.w, 1);
    CHECK_EQ_STR(text_of(b, "mark"), "2");
    CHECK_EQ_STR(text_of(t.server, "mark"), "2");
    CHECK_EQ_INT(assign(b, "mark", wisp_int(-1)), WISP_OK);
    CHECK_EQ_STR(text_of(b, "mark"), "-1");
    world_run(&t.w, 1);
    CHECK_EQ_STR(text_of(b, "mark"), "2");
    CHECK_EQ_INT(assign(b, "mark", wisp_int(300)), WISP_OK);
    world_run(&t.w, 1);
    CHECK_EQ_STR(text_of(a, "mark"), "100");
    CHECK_EQ_STR(text_of(b, "mark"), "100");
    CHECK_EQ_STR(taken(&judged), "mark 2?1 mark -1?2 mark 300?2 ");
    world_close(&t.w);
}

/* An end sets a value while the server's answer to another, or that it has given the property to
   somebody else, is on the way: the value is heard, or the end has that of the server. */
TEST(what_is_set_as_the_server_answers_is_heard_or_taken_back) {
    for (int at = 0; at < 80; at++) {
        static shared t;
        notes judged = { "", 0 };
        wisp *a, *b;
        bool owner = at % 2;
        shared_mark(&t, owner ? WISP_AUTHORITY_OWNER : WISP_AUTHORITY_ANYONE, &judged, &a, &b);
        world_run(&t.w, 1);
        for (int i = 0; i < 2 && owner; i++) {
            wisp_player to = wisp_me(i ? b : a);
            CHECK_EQ_INT(wisp_give(t.server, wisp_property_object(t.server, "mark"), to), WISP_OK);
            if (!i) world_run(&t.w, 0.5);
        }
        if (!owner) CHECK_EQ_INT(assign(a, "mark", wisp_int(-1)), WISP_OK);
        for (int i = 0; i < at / 2; i++) {
            if (i == at / 4 && !owner) CHECK_EQ_INT(assign(b, "mark", wisp_int(-2)), WISP_OK);
            world_step(&t.w);
        }
        assign(a, "mark", wisp_int(owner ? 3 : at % 4 ? -3 : 3));
        world_run(&t.w, 1);
        if (!owner) CHECK_EQ_STR(text_of(t.server, "mark"), at % 4 ? "1" : "3");
        if (!CHECK_EQ_STR(text_of(a, "mark"), text_of(t.server, "mark")) ||
            !CHECK_EQ_STR(text_of(b, "mark"), text_of(t.server, "mark")))
            printf("  at %d\n", at);
        world_close(&t.w);
    }
}

typedef struct newer_gauge { float hp; uint16_t most, least; char name[12]; } newer_gauge;

static const wisp_field newer_gauge_fields[] = {
    WISP_FIELD(newer_gauge, hp, WISP_T_QUANTIZED(0, 1000, 0.5)),
    WISP_FIELD(newer_gauge, most, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(newer_gauge, least, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(newer_gauge, name, WISP_T_STRING(11))
};
static const wisp_schema newer_gauge_schema = WISP_SCHEMA(newer_gauge, 2, newer_gauge_fields);

static wisp_result newer_gauge_of(wisp_edit *edit, void *user) {
    (void)user;
    return wisp_edit_set(edit, "least", wisp_int(7));
}

/* A link that loses nothing; large values; and a client with a newer version of a schema. */
/* A judge puts another struct in the place of the one that is asked for. */
static wisp_result judge_form(wisp_event *event) {
    if (wisp_number_of(wisp_field_of(&event->args[0], "hp")) > 500)
        put_in(event->w, "form", "hp", wisp_number(250));
    return WISP_OK;
}

TEST(a_judge_puts_another_struct_in_the_place) {
    static shared t;
    wisp_property_desc desc;
    wisp *a;
    shared_open(&t);
    memset(&desc, 0, sizeof desc);
    desc.authority = WISP_AUTHORITY_ANYONE;
    desc.schema = &dial_schema;
    desc.judge = judge_form;
    CHECK_EQ_INT(wisp_property(t.server, "form", &desc), WISP_OK);
    a = shared_join(&t);
    CHECK_EQ_INT(wisp_property(a, "form", &desc), WISP_OK);
    world_run(&t.w, 1);
    CHECK_EQ_INT(put_in(a, "form", "hp", wisp_number(600)), WISP_OK);
    world_run(&t.w, 1);
    CHECK(strstr(text_of(t.server, "form"), "250") != NULL);
    CHECK_EQ_STR(text_of(a, "form"), text_of(t.server, "form"));
    CHECK_EQ_INT(put_in(a, "form", "hp", wisp_number(400)), WISP_OK);
    world_run(&t.w, 1);
    CHECK(strstr(text_of(t.server, "form"), "400") != NULL);
    CHECK_EQ_STR(text_of(a, "form"), text_of(t.server, "form"));
    world_close(&t.w);
}

TEST(properties_over_a_reliable_link) {
    static shared t;
    static const wisp_migration steps[] = { { 1, newer_gauge_of, NULL } };
    static uint8_t bytes[9000];
    wisp_property_desc desc;
    static const dial none = { 0, 0, { 0 } };
    uint64_t random = 3;
    wisp *a;
    memset(&t, 0, sizeof t);
    world_open(&t.w);
    t.w.pipe.reliable = true;
    t.server = world_add(&t.w);
    for (int i = 0; i < 9000; i++) bytes[i] = (uint8_t)random_of(&random);
    define(t.server, "big", WISP_AUTHORITY_ANYONE, wisp_bytes(bytes, 9000));
    memset(&desc, 0, sizeof desc);
    desc.schema = &dial_schema;
    desc.initial = wisp_struct(&dial_schema, &none);
    CHECK_EQ_INT(wisp_property(t.server, "gauge", &desc), WISP_OK);
    a = shared_join(&t);
    define(a, "big", WISP_AUTHORITY_ANYONE, wisp_nil());
    memset(&desc, 0, sizeof desc);
    desc.schema = &newer_gauge_schema;
    desc.migrations = steps;
    desc.migration_count = 1;
    CHECK_EQ_INT(wisp_property(a, "gauge", &desc), WISP_OK);
    world_run(&t.w, 1);
    CHECK(wisp_get(a, "big") && wisp_equal(wisp_get(a, "big"), wisp_get(t.server, "big")));
    CHECK_EQ_INT(put_in(t.server, "gauge", "name", wisp_string("Eve")), WISP_OK);
    bytes[5]++;
    CHECK_EQ_INT(assign(a, "big", wisp_bytes(bytes, 9000)), WISP_OK);
    world_run(&t.w, 1);
    CHECK(wisp_equal(wisp_get(a, "big"), wisp_get(t.server, "big")));
    CHECK(((const uint8_t *)wisp_string_of(wisp_get(t.server, "big"), NULL))[5] == bytes[5]);
    CHECK_EQ_STR(text_of(a, "gauge"), "{\"hp\":0,\"most\":0,\"least\":7,\"name\":\"Eve\"}");
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(what_a_peer_asks_of_a_property_is_paid_for),
    CASE(a_value_that_a_server_sets_is_seen_by_all),
    CASE(a_property_may_be_a_struct_of_a_schema),
    CASE(a_part_is_set_by_its_path),
    CASE(wrong_definitions_are_told_apart),
    CASE(one_watcher_for_many_names),
    CASE(a_watcher_may_set_what_it_watches),
    CASE(a_watcher_of_objects_sees_those_of_every_class_that_matches),
    CASE(ends_that_differ_are_told),
    CASE(all_ends_agree_on_properties_after_a_quiet_second),
    CASE(a_large_table_goes_as_what_changes),
    CASE(a_value_may_be_larger_than_a_packet),
    CASE(an_owner_sets_and_the_server_judges),
    CASE(whoever_sets_a_property_of_anyone_all_agree),
    CASE(a_property_of_anyone_is_judged),
    CASE(what_is_set_as_the_server_answers_is_heard_or_taken_back),
    CASE(a_judge_puts_another_struct_in_the_place),
    CASE(properties_over_a_reliable_link),
    CASE(no_message_passes_for_a_property),
    CASE(hostile_properties),
    CASE(any_one_allocation_of_properties_may_fail)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
