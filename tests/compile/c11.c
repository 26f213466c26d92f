/* c11.c - plain values in C11: every type that is wrapped, names and handles, NULL and empty */
#define WISP_IMPLEMENTATION
#include "../../wisp.h"
#include "pair.h"

#if __STDC_VERSION__ < 201112L
#error "to be compiled as C11"
#endif

enum fruit { APPLE, PEAR = 7 };

static const double tenth = 0.1;        /* the literal may have more digits: 32-bit x87 */

static void count(wisp_event *event, bool good) {
    tally *seen = event->user;
    if (good && event->result == WISP_OK) seen->good++;
    else seen->bad++;
}

struct parts {
    unsigned team : 4;
    int      left : 7;
    uint64_t wide : 40;
};

/* Integers, as 1, 2, 3 and so on. */
static void on_integers(wisp_event *event) {
    bool good = event->count == 16;
    for (int i = 0; i < event->count; i++) good = good && wisp_arg_int(event, i) == i + 1;
    count(event, good);
}

static void on_others(wisp_event *event) {
    int size = -1;
    bool good = event->count == 11
             && wisp_kind_of(&event->args[0]) == WISP_BOOL && wisp_arg_bool(event, 0)
             && wisp_kind_of(&event->args[1]) == WISP_FLOAT
             && wisp_kind_of(&event->args[2]) == WISP_NUMBER
             && wisp_arg_float(event, 1) == 0.5f && wisp_arg_number(event, 2) == tenth
             && strcmp(wisp_arg_string(event, 3), "literal") == 0
             && strcmp(wisp_arg_string(event, 4), "array") == 0
             && strcmp(wisp_arg_string(event, 5), "const") == 0
             && strcmp(wisp_arg_string(event, 6), "") == 0
             && wisp_arg_string_n(event, 7, &size) && size == 0
             && wisp_arg_int(event, 8) == 7
             && wisp_kind_of(&event->args[9]) == WISP_NIL
             && wisp_arg_object(event, 10).id == 9;
    count(event, good);
}

static void on_shapes(wisp_event *event) {
    wisp_transform t = wisp_arg_transform(event, 5);
    bool good = event->count == 6
             && wisp_arg_vec2(event, 0).y == 2.0f && wisp_arg_vec3(event, 1).z == 3.0f
             && wisp_arg_vec4(event, 2).w == 4.0f && wisp_arg_quat(event, 3).w == 1.0f
             && wisp_arg_color(event, 4).g == 1.0f && t.position.z == 3.0f
             && t.rotation.w == 1.0f;
    count(event, good);
}

static void on_sum(wisp_event *event) {
    wisp_reply(event, wisp_arg_int(event, 0) + wisp_arg_int(event, 1), "sum");
}

static void on_sum_known(wisp_event *event) {
    count(event, wisp_arg_int(event, 0) == 42 && !strcmp(wisp_arg_string(event, 1), "sum"));
}

static bool integers(pair *p) {
    tally seen = { 0, 0 };
    signed char   a = 1;
    char          b = 2;
    unsigned char c = 3;
    const short   d = 4;        /* const is no other type */
    size_t        l = 12;
    int64_t       m = 13;
    struct parts  e = { 14, 5, 16 };
    wisp_connect(p->server, "integers", on_integers, &seen);
    wisp_fire(p->client, "integers", WISP_SERVER, a, b, c, d, e.left, 6, 7u, 8l, 9ul,
              10ll, 11ull, l, m, e.team, (unsigned short)15, e.wide);
    return pair_wait(p, &seen.good, 1) && seen.bad == 0;
}

static bool others(pair *p) {
    tally seen = { 0, 0 };
    char array[] = "array";
    const char *text = "const";
    char *null = NULL;
    enum fruit fruit = PEAR;
    wisp_object object = { 9 };
    wisp_connect(p->server, "others", on_others, &seen);
    wisp_fire(p->client, "others", WISP_SERVER, (bool)true, 0.5f, 0.1, "literal", array, text, "",
              null, fruit, wisp_nil(), object);
    return pair_wait(p, &seen.good, 1) && seen.bad == 0;
}

/* By handle instead of by name, in every macro that takes either. */
static bool handles(pair *p) {
    tally seen = { 0, 0 }, answered = { 0, 0 };
    wisp_vec2 v2 = { 1, 2 };
    wisp_vec3 v3 = { 1, 2, 3 };
    wisp_vec4 v4 = { 1, 2, 3, 4 };
    wisp_quat q = { 0, 0, 0, 1 };
    wisp_color green = { 0, 1, 0, 1 };
    wisp_transform t = { { 1, 2, 3 }, { 0, 0, 0, 1 } };
    wisp_remote here = wisp_remote_named(p->client, "shapes");
    wisp_remote there = wisp_remote_named(p->server, "shapes");
    wisp_remote sum_here = wisp_remote_named(p->client, "sum");
    wisp_remote sum_there = wisp_remote_named(p->server, "sum");
    char name[] = "shapes";
    wisp_connect(p->server, there, on_shapes, &seen);
    wisp_once(p->client, here, on_shapes, &seen);
    wisp_on(p->client, name, on_shapes, &seen);
    wisp_on(p->client, here, on_shapes, &seen);
    wisp_on_invoke(p->server, sum_there, on_sum, NULL);
    wisp_fire(p->client, here, WISP_SERVER, v2, v3, v4, q, green, t);
    wisp_fire_all(p->server, there, v2, v3, v4, q, green, t);
    wisp_fire_list(p->server, there, &p->client_peer, 1, v2, v3, v4, q, green, t);
    wisp_fire_except(p->server, there, NULL, 0, v2, v3, v4, q, green, t);
    wisp_invoke(p->client, sum_here, WISP_SERVER, on_sum_known, &answered, 40, 2);
    return pair_wait(p, &seen.good, 8) && pair_wait(p, &answered.good, 1) && seen.good == 8
        && seen.bad + answered.bad == 0;
}

#ifndef WISP_NO_STATE
static void on_set(wisp_event *event) {
    tally *seen = event->user;
    if (wisp_arg_int(event, 0) == 8 && event->count == 2) seen->good++;
}

/* Values of properties: at the server, and as the client sees them. */
static bool properties(pair *p) {
    static tally seen;
    wisp_property_desc desc = { .initial = wisp_array(NULL, 0) };
    wisp_vec2 v = { 1, 2 };
    wisp_object o = { 7 };
    wisp_property(p->server, "list", &desc);
    desc.initial = wisp_nil();
    wisp_property(p->server, "it", &desc);
    wisp_property(p->client, "it", &desc);
    wisp_watch(p->client, "^i", on_set, &seen);
    return !wisp_set(p->server, "it", "text") && !wisp_set(p->server, "it", 1.5f) &&
           !wisp_set(p->server, "it", v) && !wisp_set(p->server, "it", true) &&
           !wisp_set_in(p->server, "list", "0", o) && !wisp_set_in(p->server, "list", "1", 2ul) &&
           wisp_count_of(wisp_get(p->server, "list")) == 2 && !wisp_set(p->server, "it", 8) &&
           pair_wait(p, &seen.good, 1);
}
#endif

int main(void) {
    static pair p;
    wisp_desc desc = { 0 };
    bool good = pair_open(&p, &desc) && integers(&p) && others(&p) && handles(&p);
#ifndef WISP_NO_STATE
    good = good && properties(&p);
#endif
    pair_close(&p);
    return pair_verdict("c11", good);
}
