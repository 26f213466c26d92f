// strict.cpp - a file of a C++ program that is built with every warning: each macro and template of
// the public half is used once
#include <string>
#if __cplusplus >= 201703L
#include <string_view>
#endif
#include "../../wisp.h"

namespace {

enum { KNIGHT, ROGUE, ROLES };

struct item {
    int32_t id;
    char    name[17];
};

struct hero {
    uint32_t      id;
    float         health, x;
    int           role;
    wisp_vec3     at;
    wisp_quat     turn;
    wisp_color    color;
    item          items[4];
    unsigned char item_count, kind;
    union { int32_t number; float part; } either;
    char          note[33];
};

const char *const roles[] = { "knight", "rogue" };
const wisp_range  box[] = { { 0, 10, 0.5 }, { 0, 10, 0.5 }, { 0, 5, 0.5 } };
const wisp_field  item_fields[] = {
    WISP_NUMBERED_FIELD(item, id, WISP_T_SINT32, 2),
    WISP_FIELD(item, name, WISP_T_STRING(16)),
};
const wisp_schema item_schema = WISP_SCHEMA(item, 1, item_fields);
const wisp_type   item_type = WISP_T_STRUCT(&item_schema);
const wisp_type   options[] = { WISP_T_INT32, WISP_T_FLOAT };
const wisp_field  hero_fields[] = {
    WISP_KEY_FIELD(hero, id, WISP_T_RANGE(0, 4294967295u)),
    WISP_OPTIONAL_FIELD(hero, health, WISP_T_QUANTIZED(0, 100, 0.5), 100),
    WISP_FIELD(hero, x, WISP_T_NUMBER_RANGE(-1.5f, 1)),
    WISP_FIELD(hero, role, WISP_T_ENUM(roles, ROLES)),
    WISP_FIELD(hero, at, WISP_T_VEC3_EACH(box)),
    WISP_FIELD(hero, turn, WISP_T_QUAT(10)),
    WISP_FIELD(hero, color, WISP_T_COLOR),
    WISP_COUNTED_FIELD(hero, items, item_count, WISP_T_ARRAY(&item_type, 4)),
    WISP_UNION_FIELD(hero, either, kind, WISP_T_UNION(options, 2)),
    WISP_OPTIONAL_TEXT_FIELD(hero, note, WISP_T_STRING(32), "none"),
};
const wisp_schema hero_schema = WISP_SCHEMA(hero, 1, hero_fields);
const wisp_field  hit_fields[] = {
    WISP_KEY_MAP_FIELD("id", WISP_T_LITERAL(1)),
    WISP_MAP_FIELD("open", WISP_T_ENUM_OPEN(roles, ROLES)),
    WISP_OPTIONAL_MAP_FIELD("damage", WISP_T_INT16, 1.5),
    WISP_OPTIONAL_TEXT_MAP_FIELD("with", WISP_T_LITERAL_TEXT("sword"), "sword"),
    WISP_MAYBE_MAP_FIELD("where", WISP_T_VEC3_QUANTIZED(0, 10, 0.5)),
    WISP_MAP_FIELD("noise", WISP_T_CLAMPED(0, 10, 0.5)),
    WISP_MAP_FIELD("spot", WISP_T_VEC2_CLAMPED(0, 10, 0.5)),
    WISP_NUMBERED_MAP_FIELD("exact", WISP_T_EXACT(WISP_BOOL), 9),
};
const wisp_schema hit_map = WISP_MAP_SCHEMA("hit", 1, hit_fields);
const wisp_schema hit_list = WISP_LIST_SCHEMA("hits", 1, hit_fields);

void on_call(wisp_event *event) { wisp_reply(event, 1, 2.5, "three"); }
void on_ask(wisp_event *event) { wisp_refuse(event, WISP_E_USER, "not %d", 7); }

/* Moves and does not copy. */
struct counter {
    int *count;
    explicit counter(int *to) : count(to) {}
    counter(counter &&from) : count(from.count) {}
    void operator()(wisp_event *event) { *count += event->count; }
};

void settings(wisp *w) {
    const wisp_config config = wisp_config();
    wisp_set_config(w, "hits", &config);
    wisp_set_compression(w, "hits", WISP_COMPRESSION_NONE);
    wisp_set_delta(w, "hits", NULL);
    wisp_set_interval(w, "hits", 0.1);
    wisp_set_unreliable(w, "hits", true);
    wisp_set_delivery(w, "hits", WISP_SEQUENCED);
}

void own(wisp *w, wisp_peer peer, int *count) {
    const std::string name = "hello";
    wisp_on(w, name, counter(count));
    wisp_once(w, "hello", [count](wisp_event *event) { *count = event->count; });
    wisp_on_invoke(w, "ask", on_ask);
#ifndef WISP_NO_STATE
    wisp_watch(w, name, counter(count));
    wisp_watch(w, "hp|mp", on_call, NULL);
    wisp_watch_objects(w, ".*", [count](wisp_event *event) { *count = event->message; });
    wisp_set(w, name, 5);
    wisp_set_in(w, "hp", "a.b", name);
#endif
    wisp_on_invoke(w, "sum", [w](wisp_event *event) { wisp_reply(event, wisp_peers(w, NULL, 0)); });
    wisp_invoke(w, "sum", peer, [count](wisp_event *) { ++*count; }, 1, name);
    wisp_invoke(w, "sum", peer, [](wisp_event *) {}, name);
    wisp_invoke(w, "sum", peer, [](wisp_event *) {}, NULL, 1);
    wisp_connect(w, name, counter(count));
    wisp_on_tick(w, [count](wisp_event *) { ++*count; });
    wisp_connect_match(w, "^h", [count](wisp_event *) { ++*count; });
    wisp_query(w, wisp_peer_addr(w, peer), [count](wisp_event *) { ++*count; });
#if __cplusplus >= 201703L
    wisp_fire(w, name, peer, std::string_view(name));
#endif
}

void connect(wisp *w) {
    wisp_config config = wisp_config();
    config.batch_priority = WISP_PRIORITY(3);
    config.channel = WISP_CHANNEL(2);
    config.encode.schema = &hit_list;
    wisp_use_config(w, &config, "hits");
    wisp_off(w, wisp_on(w, "hello", on_call, NULL));
    wisp_connect(w, "hello", on_call, NULL);
    wisp_once(w, wisp_remote_named(w, "hello"), on_call, NULL);
    wisp_on_invoke(w, "sum", on_call, NULL);
}

void fire(wisp *w, wisp_peer peer, const hero *h) {
    const wisp_peer list[] = { peer, WISP_SERVER };
    wisp_fire(w, "hello", peer, 1, 2u, 3l, 4.5f, true, "text", h->at, h->turn, h->color);
    wisp_fire_all(w, "hero", wisp_struct(&hero_schema, h));
    wisp_fire_list(w, "hello", list, 2, 'c', static_cast<short>(1));
    wisp_fire_except(w, "hello", list, 1);
    wisp_fire_group(w, "hello", wisp_group_named(w, "all"), wisp_object(), std::string("text"));
    wisp_invoke(w, "sum", peer, on_call, NULL, 1, 2);
}

}

int strict(wisp *w, wisp_peer peer);
int strict(wisp *w, wisp_peer peer) {
    hero h = hero();
    int count = 0;
    settings(w);
    connect(w);
    own(w, peer, &count);
    fire(w, peer, &h);
    return hit_map.count + count;
}
