/* two_units_b.c - the unit that uses what the other implements */
#include "two_units.h"
#include "pair.h"

static void on_pong(wisp_event *event) {
    tally *seen = (tally *)event->user;
    if (strcmp(wisp_arg_string(event, 0), "hello") == 0) seen->good++;
    else seen->bad++;
}

static void on_doubled(wisp_event *event) {
    tally *seen = (tally *)event->user;
    if (event->result == WISP_OK && wisp_arg_int(event, 0) == 42) seen->good++;
    else seen->bad++;
}

int main(void) {
    static pair p;
    static wisp_desc desc;
    tally seen = { 0, 0 };
    bool good = pair_open(&p, &desc);
    if (good) {
        answer_from_unit_a(p.server);
        wisp_connect(p.client, "pong", on_pong, &seen);
        wisp_fire(p.client, "ping", WISP_SERVER, wisp_string("hello"));
        wisp_invoke(p.client, "double", WISP_SERVER, on_doubled, &seen, wisp_int(21));
        good = pair_wait(&p, &seen.good, 2) && seen.good == 2 && seen.bad == 0;
    }
    pair_close(&p);
    return pair_verdict("two_units", good);
}
