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

// As std::string, whose header a bare 32-bit Linux cannot compile; strict.cpp has that.
struct words {
    const char *text;
    std::size_t size;
    const char *data() const { return text; }
    const char *c_str() const { return text; }
    std::size_t length() const { return size; }
};

// A delivery is refused where a switch is wanted.
template <typename T>
auto switches(T v) -> decltype(wisp_set_unreliable(nullptr, "", v), true) { return true; }
bool switches(...) { return false; }

// Of a handler that captures nothing, an integer may be the user pointer or a value.
template <typename T> auto invokes(T v)
    -> decltype(wisp_invoke(nullptr, "", server, wisp_handler(), v), true) { return true; }
bool invokes(...) { return false; }

tally *of(wisp_event *event) { return static_cast<tally *>(event->user); }

void add(tally *seen, bool good) { ++(good ? seen->good : seen->bad); }

void count(wisp_event *event, bool good) { add(of(event), good && event->result == WISP_OK); }

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

int empties;
int &empty(wisp_event *event) {
    static int others;
    return event->result == WISP_OK && event->count == 0 ? empties : others;
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
    wisp_invoke(p->client, "none", server, [](wisp_event *event) { ++empty(event); });
    wisp_invoke(p->client, "none", server, [](wisp_event *event) { ++empty(event); }, "text");
    wisp_invoke(p->client, "none", server, [](wisp_event *event) { ++empty(event); }, NULL, 1);
    return pair_wait(p, &answered.good, 2) && answered.bad == 0 && pair_wait(p, &empties, 3);
}

// A handler that owns its state: it moves, does not copy, and counts its ends.
struct owner {
    wisp_connection *off;   // ends that too; or null
    tally           *seen;  // null: moved away
    int             *ends;
    owner(tally *to, int *count, wisp_connection *other = nullptr)
        : off(other), seen(to), ends(count) {}
    owner(owner &&from) : off(from.off), seen(from.seen), ends(from.ends) { from.seen = nullptr; }
    ~owner() { if (seen) ++*ends; }
    void operator()(wisp_event *event) {
        if (off) wisp_off(event->w, *off);  // now it is only marked: the state is still here
        add(seen, event->result == WISP_OK && event->count == 1 &&
                  !std::strcmp(wisp_arg_string(event, 0), "text"));
    }
};

bool strings(pair *p) {
    tally seen = { 0, 0 };
    int ends = 0;
    const words name = { "strings", 7 }, text = { "texts", 4 };
    wisp_object object = { 7 };
    wisp_group group = wisp_group_named(p->server, "all");
    wisp_group_add(p->server, group, p->client_peer);
    wisp_connection on = wisp_on(p->client, name, owner(&seen, &ends));
    wisp_on(p->client, "object", [&seen](wisp_event *event) {
        add(&seen, wisp_arg_object(event, 0).id == 7);
    });
    wisp_fire_group(p->server, name, group, text);
    wisp_fire_group(p->server, "object", group, object);
    bool good = pair_wait(p, &seen.good, 2) && seen.bad == 0 && ends == 0;
    wisp_off(p->client, on);
    return good && ends == 1;
}

// Handlers of patterns, ticks and questions.
bool owned_too(pair *p) {
    tally seen = { 0, 0 }, asked = { 0, 0 }, ticks = { 0, 0 };
    int ends = 0;
    const wisp_addr at = *wisp_peer_addr(p->client, server);
    bool good = !wisp_connect_match(p->server, "(", owner(&seen, &ends)).id;
    const wisp_connection every = wisp_connect_match(p->server, "^own", owner(&seen, &ends));
    const wisp_connection tick = wisp_on_tick(p->client, owner(&ticks, &ends));
    wisp_fire(p->client, "own one", server, "text");
    wisp_fire(p->client, "own two", server, "text");
    good = pair_wait(p, &seen.good, 2) && good && ends == 1;
    wisp_off(p->server, every);
    good = good && ends == 2 && ticks.bad > 0;      // no arguments
    wisp_off(p->client, tick);
    wisp_set_info(p->server, "text", 4);
    good = good && wisp_query(p->client, nullptr, owner(&asked, &ends)) && ends == 4;
    wisp_query(p->client, &at, owner(&asked, &ends));
    return pair_wait(p, &asked.bad, 2) && good && ends == 5 && seen.bad == 0;
}

bool owned(pair *p) {
    tally seen = { 0, 0 }, answered = { 0, 0 };
    int ends = 0;
    wisp_connection self = { 0 };
    bool good = !wisp_on(p->server, "", owner(&seen, &ends)).id && ends == 1;    // no such name
    good = good && !wisp_invoke(p->client, "", server, owner(&seen, &ends)).id && ends == 2;
    self = wisp_on(p->server, "owned", owner(&seen, &ends, &self));
    wisp_once(p->server, "owned", owner(&seen, &ends));
    wisp_fire(p->client, "owned", server, "text");
    good = pair_wait(p, &seen.good, 2) && good && ends == 4 && seen.bad == 0;
    wisp_on_invoke(p->server, "owned", owner(&seen, &ends));
    wisp_on_invoke(p->server, "owned", [&seen](wisp_event *event) {
        add(&seen, event->count == 0);
        wisp_reply(event, "text");
    });
    wisp_invoke(p->client, "owned", server, owner(&answered, &ends));
    good = pair_wait(p, &answered.good, 1) && good && ends == 6 && answered.bad == 0;
    wisp_on(p->server, "late", owner(&seen, &ends));
    wisp_invoke(p->client, "owned", server, owner(&answered, &ends));   // ends without an answer
    pair_close(p);
    return good && ends == 8 && answered.bad == 1;
}

#ifndef WISP_NO_STATE
bool properties(pair *p) {
    const words name = { "hp", 2 };
    wisp_property_desc desc = wisp_property_desc();
    tally seen = { 0, 0 };
    int ends = 0;
    wisp_class_desc of = wisp_class_desc();
    wisp_property(p->server, "hp", &desc);
    bool good = !wisp_watch(p->server, "(", owner(&seen, &ends)).id && ends == 1;
    wisp_connection on = wisp_watch(p->server, name, [&seen](wisp_event *event) {
        add(&seen, wisp_arg_int(event, 0) == 5);
    });
    wisp_off(p->server, wisp_watch_objects(p->server, ".*", owner(&seen, &ends)));
    good = good && ends == 2 && !wisp_set(p->server, name, 5);
    good = pair_wait(p, &seen.good, 1) && good && seen.bad == 0;
    wisp_off(p->server, on);
    good = good && !wisp_set(p->server, "hp", name) && !wisp_set(p->server, "hp", "text");
    good = wisp_set_in(p->server, name, name, 1.5) == WISP_E_TYPE && good;
    return good && !wisp_define(p->server, "none", &of).id;
}
#endif

} // namespace

int main() {
    static pair p;
    wisp_desc desc = wisp_desc();
    desc.app = "cpp11";
    desc.tick_rate = 60;
    bool good = wraps(1) && wraps("text") && !wraps(&p) && !wraps(desc);
    good = good && invokes(&p) && invokes(nullptr) && !invokes(50) && !invokes("text");
    good = good && switches(true) && !switches(WISP_SEQUENCED) && !switches(1);
    good = good && pair_open(&p, &desc) && numbers(&p) && others(&p) && none(&p) && call(&p);
#ifndef WISP_NO_STATE
    good = good && properties(&p);
#endif
    good = good && strings(&p) && owned_too(&p) && owned(&p);    // which closes the pair
    return pair_verdict("cpp11", good);
}
