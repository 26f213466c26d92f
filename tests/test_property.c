/* test_property.c - named values with an authority, and their watchers */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"

typedef struct gauge { float hp; uint16_t most; char name[12]; } gauge;

static const wisp_field gauge_fields[] = {
    WISP_FIELD(gauge, hp, WISP_T_QUANTIZED(0, 1000, 0.5)),
    WISP_FIELD(gauge, most, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(gauge, name, WISP_T_STRING(11))
};
static const wisp_schema gauge_schema = WISP_SCHEMA(gauge, 1, gauge_fields);

/* What watchers were told, in one text: "name=new<old ". */
typedef struct notes { char text[2000]; int count; } notes;

static void put_value(char *out, size_t room, const wisp_value *v) {
    wisp_value plain[1];
    char memory[4096];
    int bytes = wisp_encode(wisp_json(), NULL, v, memory, (int)sizeof memory);
    (void)plain;
    snprintf(out, room, "%.*s", bytes > 0 ? bytes : 0, memory);
}

static void note(wisp_event *event) {
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

static const char *seen(wisp *w, const char *name) {
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

static wisp_result put(wisp *w, const char *name, wisp_value value) {
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

TEST(a_value_that_a_server_sets_is_seen_by_all) {
    static shared t;
    notes here = { "", 0 }, there = { "", 0 };
    wisp *a, *b;
    shared_open(&t);
    define(t.server, "round", 0, wisp_int(1));
    define(t.server, "later", 0, wisp_nil());
    CHECK_EQ_STR(seen(t.server, "round"), "1");
    CHECK_EQ_STR(seen(t.server, "later"), "?");
    a = shared_join(&t);
    define(a, "round", 0, wisp_int(7));
    define(a, "later", 0, wisp_nil());
    CHECK(wisp_watch(a, "round", note, &there).id != 0);
    CHECK_EQ_STR(taken(&there), "");                       /* not known yet */
    CHECK(wisp_watch(t.server, "round", note, &here).id != 0);
    CHECK_EQ_STR(taken(&here), "round=1<null ");
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(taken(&there), "round=1<null ");
    CHECK_EQ_STR(seen(a, "round"), "1");
    CHECK_EQ_INT(put(t.server, "round", wisp_int(2)), WISP_OK);
    CHECK_EQ_STR(seen(t.server, "round"), "2");
    CHECK_EQ_STR(taken(&here), "");
    world_step(&t.w);
    CHECK_EQ_STR(taken(&here), "round=2<1 ");
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(taken(&there), "round=2<1 ");
    CHECK_EQ_INT(put(t.server, "round", wisp_int(2)), WISP_OK);     /* nothing new */
    CHECK_EQ_INT(put(t.server, "later", wisp_string("x")), WISP_OK);
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(taken(&there), "");
    CHECK_EQ_STR(seen(a, "later"), "\"x\"");
    CHECK_EQ_INT(put(a, "round", wisp_int(3)), WISP_E_AUTHORITY);
    CHECK_EQ_STR(wisp_why_text(a), "property 'round' is set by the server alone");
    b = shared_join(&t);                                   /* late, and it defines later still */
    world_run(&t.w, 0.5);
    define(b, "round", 0, wisp_nil());
    world_run(&t.w, 0.5);
    CHECK_EQ_STR(seen(b, "round"), "2");
    CHECK(wisp_property_object(b, "round").id == wisp_property_object(t.server, "round").id);
    CHECK(wisp_property_object(b, "round").id != 0);
    CHECK_EQ_STR(taken(&here), "");
    world_close(&t.w);
}

static const test_case tests[] = {
    CASE(a_value_that_a_server_sets_is_seen_by_all)
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
