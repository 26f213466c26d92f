/* c99.c - every macro of the interface in strict C99, with no value and with all sixteen */
#include "../../wisp.h"         /* first as an ordinary user, then with the implementation */

/* windows.h defines these, and is often included before. */
#define near
#define far
#define IN
#define OUT
#define small char
#define interface struct
#define WISP_IMPLEMENTATION
#include "../../wisp.h"
#undef small
#undef interface
#include "pair.h"
#include "other_end.h"

#if __STDC_VERSION__ != 199901L
#error "to be compiled as C99"
#endif

#define SIXTEEN \
    wisp_int(0), wisp_int(1), wisp_int(2), wisp_int(3), wisp_int(4), wisp_int(5), wisp_int(6), \
    wisp_int(7), wisp_int(8), wisp_int(9), wisp_int(10), wisp_int(11), wisp_int(12), \
    wisp_int(13), wisp_int(14), wisp_int(15)

static void count(wisp_event *event, int expected) {
    tally *seen = event->user;
    bool good = event->count == expected && event->result == WISP_OK;
    for (int i = 0; i < event->count; i++) good = good && wisp_arg_int(event, i) == i;
    if (good) seen->good++;
    else seen->bad++;
}

static void on_none(wisp_event *event) { count(event, 0); }
static void on_sixteen(wisp_event *event) { count(event, 16); }
static void on_echo_none(wisp_event *event) {
    count(event, 0);
    wisp_reply(event);
}
static void on_echo_sixteen(wisp_event *event) {
    count(event, 16);
    wisp_reply(event, SIXTEEN);
}

/* Each way to fire, both with nothing and with everything. */
static bool fire(pair *p) {
    tally none = { 0, 0 }, sixteen = { 0, 0 };
    const wisp_peer *list = &p->client_peer;
    wisp_connect(p->server, "none", on_none, &none);
    wisp_connect(p->server, "sixteen", on_sixteen, &sixteen);
    wisp_group group = wisp_group_named(p->server, "all");
    wisp_group_add(p->server, group, p->client_peer);
    wisp_off(p->client, wisp_on(p->client, "none", on_none, &none));
    wisp_on(p->client, "none", on_none, &none);
    wisp_connect(p->client, "sixteen", on_sixteen, &sixteen);
    bool good = wisp_fire(p->client, "none", WISP_SERVER) == WISP_OK
             && wisp_fire(p->client, "sixteen", WISP_SERVER, SIXTEEN) == WISP_OK
             && wisp_fire_all(p->server, "none") == WISP_OK
             && wisp_fire_all(p->server, "sixteen", SIXTEEN) == WISP_OK
             && wisp_fire_list(p->server, "none", list, 1) == WISP_OK
             && wisp_fire_list(p->server, "sixteen", list, 1, SIXTEEN) == WISP_OK
             && wisp_fire_group(p->server, "none", group) == WISP_OK
             && wisp_fire_group(p->server, "sixteen", group, SIXTEEN) == WISP_OK
             && wisp_fire_except(p->server, "none", list, 0) == WISP_OK
             && wisp_fire_except(p->server, "sixteen", list, 0, SIXTEEN) == WISP_OK;
    good = pair_wait(p, &none.good, 5) && good;
    good = pair_wait(p, &sixteen.good, 5) && good;
    return good && none.good == 5 && sixteen.good == 5 && none.bad + sixteen.bad == 0;
}

static bool once(pair *p) {
    tally seen = { 0, 0 }, end = { 0, 0 };
    wisp_once(p->server, "once", on_none, &seen);
    wisp_connect(p->server, "end", on_none, &end);
    wisp_fire(p->client, "once", WISP_SERVER);
    wisp_fire(p->client, "once", WISP_SERVER);
    wisp_fire(p->client, "end", WISP_SERVER);
    return pair_wait(p, &end.good, 1) && seen.good == 1 && seen.bad == 0;
}

static bool call(pair *p) {
    tally asked = { 0, 0 }, answered = { 0, 0 };
    wisp_on_invoke(p->server, "echo_none", on_echo_none, &asked);
    wisp_on_invoke(p->server, "echo_sixteen", on_echo_sixteen, &asked);
    wisp_call a = wisp_invoke(p->client, "echo_none", WISP_SERVER, on_none, &answered);
    wisp_call b = wisp_invoke(p->client, "echo_sixteen", WISP_SERVER, on_sixteen, &answered,
                              SIXTEEN);
    return a.id && b.id && pair_wait(p, &answered.good, 2) && asked.good == 2
        && asked.bad + answered.bad == 0;
}

/* With a word it is one end of a session with another such program. */
int main(int argc, char **argv) {
    static pair p;
    wisp_desc desc = { 0 };
    if (argc > 1) return other_end(strcmp(argv[1], "server") == 0);
    bool good = pair_open(&p, &desc) && fire(&p) && once(&p) && call(&p);
    pair_close(&p);
    return pair_verdict("c99", good);
}
