/* two_units_a.c - the unit with the implementation */
#define WISP_IMPLEMENTATION
#include "two_units.h"

static void on_double(wisp_event *event) {
    wisp_reply(event, wisp_int(2 * wisp_arg_int(event, 0)));
}

static void on_ping(wisp_event *event) {
    wisp_fire(event->w, "pong", event->peer, wisp_string(wisp_arg_string(event, 0)));
}

void answer_from_unit_a(wisp *w) {
    wisp_on_invoke(w, "double", on_double, NULL);
    wisp_connect(w, "ping", on_ping, NULL);
}
