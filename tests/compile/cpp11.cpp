// cpp11.cpp - header and implementation in C++11: the interface as templates
#define WISP_IMPLEMENTATION
#include "../../wisp.h"
#include "pair.h"

#include <cstring>

namespace {

static const wisp_peer server = WISP_SERVER;        // an expression, also before main
static const wisp_value greeting = wisp_string("hello");

// No value is made of a pointer: it would pass as a bool.
template <typename T> auto wraps(T v) -> decltype(wisp__value(v), true) { return true; }
bool wraps(...) { return false; }

tally *of(wisp_event *event) { return static_cast<tally *>(event->user); }

void count(wisp_event *event, bool good) {
    if (good && event->result == WISP_OK) of(event)->good++;
    else of(event)->bad++;
}

void on_numbers(wisp_event *event) {
    bool good = event->count == 16;
    for (int i = 0; i < 14; i++) good = good && wisp_arg_number(event, i) == i + 1;
    good = good && wisp_kind_of(&event->args[14]) == WISP_BOOL && wisp_arg_bool(event, 14)
        && wisp_kind_of(&event->args[15]) == WISP_NIL;
    count(event, good);
}

void on_others(wisp_event *event) {
    bool good = event->count == 11
             && !std::strcmp(wisp_arg_string(event, 0), "hello")
             && !std::strcmp(wisp_arg_string(event, 1), "literal")
             && !std::strcmp(wisp_arg_string(event, 2), "array")
             && !std::strcmp(wisp_arg_string(event, 3), "const")
             && !std::strcmp(wisp_arg_string(event, 4), "")
             && wisp_arg_vec2(event, 5).y == 2.0f && wisp_arg_vec3(event, 6).z == 3.0f
             && wisp_arg_vec4(event, 7).w == 4.0f && wisp_arg_quat(event, 8).w == 1.0f
             && wisp_arg_color(event, 9).g == 1.0f
             && wisp_arg_transform(event, 10).position.z == 3.0f;
    count(event, good);
}

void on_none(wisp_event *event) { count(event, event->count == 0); }

bool numbers(pair *p) {
    tally seen = { 0, 0 };
    const signed char a = 1;
    char b = 2;
    wisp_connect(p->server, "numbers", on_numbers, &seen);
    wisp_fire(p->client, "numbers", server, a, b, (unsigned char)3, (short)4, (unsigned short)5, 6,
              7u, 8l, 9ul, 10ll, 11ull, std::size_t(12), 13.0f, 14.0, true, wisp_nil());
    return pair_wait(p, &seen.good, 1) && seen.bad == 0;
}

bool others(pair *p) {
    tally seen = { 0, 0 };
    char array[] = "array";
    const char *text = "const", *null = nullptr;
    wisp_vec2 v2 = { 1, 2 };
    wisp_vec3 v3 = { 1, 2, 3 };
    wisp_vec4 v4 = { 1, 2, 3, 4 };
    wisp_quat q = { 0, 0, 0, 1 };
    wisp_color green = { 0, 1, 0, 1 };
    wisp_transform t = { v3, q };
    wisp_remote there = wisp_remote_named(p->server, "others");
    wisp_connect(p->client, wisp_remote_named(p->client, "others"), on_others, &seen);
    wisp_once(p->client, "others", on_others, &seen);
    wisp_fire_all(p->server, there, greeting, "literal", array, text, null, v2, v3, v4, q, green,
                  t);
    wisp_fire_list(p->server, there, &p->client_peer, 1, greeting, "literal", array, text, null,
                   v2, v3, v4, q, green, t);
    wisp_fire_except(p->server, "others", &p->client_peer, 0, greeting, "literal", array, text,
                     null, v2, v3, v4, q, green, t);
    return pair_wait(p, &seen.good, 4) && seen.good == 4 && seen.bad == 0;
}

bool none(pair *p) {
    tally seen = { 0, 0 };
    wisp_connect(p->client, "none", on_none, &seen);
    wisp_fire(p->server, "none", p->client_peer);
    wisp_fire_all(p->server, "none");
    wisp_fire_list(p->server, "none", &p->client_peer, 1);
    wisp_fire_except(p->server, "none", nullptr, 0);
    return pair_wait(p, &seen.good, 4) && seen.good == 4 && seen.bad == 0;
}

bool call(pair *p) {
    tally answered = { 0, 0 };
    wisp_on_invoke(p->server, "sum", [](wisp_event *event) {
        wisp_reply(event, wisp_arg_int(event, 0) + wisp_arg_int(event, 1), "sum");
    }, nullptr);
    wisp_on_invoke(p->server, "none", [](wisp_event *event) { wisp_reply(event); }, nullptr);
    wisp_invoke(p->client, "sum", WISP_SERVER, [](wisp_event *event) {
        count(event, wisp_arg_int(event, 0) == 42);
    }, &answered, 40, 2u);
    wisp_invoke(p->client, wisp_remote_named(p->client, "none"), server, on_none, &answered);
    return pair_wait(p, &answered.good, 2) && answered.bad == 0;
}

} // namespace

int main() {
    static pair p;
    wisp_desc desc = wisp_desc();
    desc.app = "cpp11";
    bool good = wraps(1) && wraps("text") && !wraps(&p);
    good = good && pair_open(&p, &desc) && numbers(&p) && others(&p) && none(&p) && call(&p);
    pair_close(&p);
    return pair_verdict("cpp11", good);
}
