/* compat_script.h - an endpoint that does all that wisp can, by a script: the same for both headers

   Included after the implementation of wisp.h, today's or the frozen one, and test_runner.h. It
   uses only what is public. What an endpoint does follows from the seed, the step, and what comes.
*/
#ifndef COMPAT_SCRIPT_H
#define COMPAT_SCRIPT_H

#include "two_programs.h"

#include <stdarg.h>
#include <stdlib.h>

#include "random_values.h"
#include "compat_schemas.h"

enum { LINE = 6000, ENTITIES = 6, BIG = 20000, ANSWERS = 8 };

/* What the messages of a stream hold. */
typedef enum content {
    ANY, BIG_BYTES, ENTITY, CROWD, CAST, PLAYER, MAPPED, HIT, CHANGING, PLAIN, SAME, NUMBER
} content;

/* Each is fired both ways. Of those that are checked every message comes, once and in order. */
static const struct stream { const char *name; content holds; bool checked; } streams[] = {
    { "chat", ANY, true },              { "big", BIG_BYTES, true },
    { "entity", ENTITY, true },         { "entity.adaptive", ENTITY, true },
    { "entity.plain", ENTITY, true },   { "entity.synced", ENTITY, true },
    { "crowd", CROWD, true },           { "crowd.delta", CROWD, true },
    { "crowd.adaptive", CROWD, true },  { "player", PLAYER, false },
    { "mapped", MAPPED, true },         { "mapped.safe", MAPPED, true },
    { "mapped.json", MAPPED, true },    { "mapped.msgpack", MAPPED, true },
    { "mapped.proto", MAPPED, true },   { "mapped.delta", MAPPED, true },
    { "hit", HIT, true },               { "changing", CHANGING, true },
    { "changing.more", CHANGING, true },{ "json", PLAIN, true },
    { "msgpack", ANY, true },           { "proto", PLAIN, true },
    { "squeezed", PLAIN, true },        { "squeezed.auto", BIG_BYTES, true },
    { "squeezed.words", PLAIN, true },  { "switch", CHANGING, true },
    { "loose", ANY, false },            { "newest", NUMBER, false },
    { "entity.loose", ENTITY, false },  { "same", SAME, false },
    { "limited", NUMBER, false },       { "hooked", NUMBER, false },
    { "own", PLAIN, false },            { "missing", NUMBER, false },
    { "invalid", NUMBER, false },       { "match", NUMBER, false },
    { "newest.adaptive", CHANGING, false }, { "cast", CAST, true },
    { "cast.delta", CAST, true },       { "foreign", MAPPED, true },
    { "foreign.delta", ENTITY, true },  { "urgent", NUMBER, false }
};
enum { STREAMS = (int)(sizeof streams / sizeof *streams) };

typedef struct end end;

/* What a handler is given. */
typedef struct slot { end *e; int stream; } slot;

struct end {
    compat_role role;
    wisp       *w, *before;
    double      clock;
    mill        values;
    slot        slots[STREAMS], other;
    int32_t     numbers[STREAMS][COMPAT_SIDES];
    entity      entities[ENTITIES];
    crowd       people;
    cast        players;
    double      levels[20];
    wisp_call   answers[ANSWERS], last_call;
    wisp_connection some;
    int         answer_count, own_count, fake_clock, waits;
    wisp_addr   waiting;
    wisp_peer   server;           /* of a client */
    wisp_group  group;
    wisp_codec  own;
    uint8_t     big[BIG];
    char        line[LINE];
};

/* --- the journal --- */

static void note(end *e, const char *format, ...) WISP__PRINTF(2, 3);
static void note(end *e, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(e->line, sizeof e->line, format, list);
    va_end(list);
    compat_line(e->role.run, e->role.side, e->line);
}

/* A result that is not WISP_OK, and the text that explains it. */
static wisp_result told(end *e, const char *what, wisp_result result) {
    if (result) note(e, "%s: %d (%s)", what, result, wisp_why_text(e->w));
    return result;
}

static wisp_addr addr_of(int side) {
    wisp_addr addr;
    memset(&addr, 0, sizeof addr);
    addr.bytes[0] = (uint8_t)side;
    return addr;
}

static int side_of(const wisp *w, wisp_peer peer) {
    const wisp_addr *addr = wisp_peer_addr(w, peer);
    return addr ? addr->bytes[0] : -1;
}

static uint64_t hash_of(const wisp_value *values, int count) {
    uint64_t hash = (uint64_t)count;
    for (int i = 0; i < count; i++) hash = mill_hash(hash, &values[i]);
    return hash;
}

/* The first value, or its field of that name; -1: none. */
static int64_t number_in(const wisp_event *event) {
    const wisp_value *value = event->count ? &event->args[0] : NULL;
    const wisp_value *field = value ? wisp_field_of(value, "number") : NULL;
    if (field) value = field;
    if (value && value->kind == WISP_NUMBER) return (int64_t)value->as.number;
    return value && (value->kind == WISP_INT || value->kind == WISP_UINT) ? value->as.integer : -1;
}

static void note_event(end *e, const wisp_event *event) {
    note(e, "event %s from %d: number %lld, %d values %016llx, result %d, message %d, \"%s\"",
         event->name, side_of(event->w, event->peer), (long long)number_in(event), event->count,
         (unsigned long long)hash_of(event->args, event->count), event->result, event->message,
         event->text);
}

#define COUNTERS_PEER(X) X(packets_sent) X(packets_received) X(bytes_sent) X(bytes_received) \
    X(bytes_saved) X(messages_sent) X(messages_received) X(packets_lost) X(packets_acked) \
    X(packets_duplicate) X(messages_resent) X(messages_refused) X(messages_abandoned) \
    X(rate_limited) X(stale) X(bad_messages) X(congestion_window) X(in_flight) \
    X(queued_messages) X(queued_bytes) X(filtered) X(over_budget) X(packets_refused) X(flooded)

#define COUNTERS_REMOTE(X) X(messages_sent) X(messages_received) X(bits_sent) X(bits_received) \
    X(unknown) X(undeliverable) X(unhandled) X(rate_limited) X(stale) X(invokes_sent) \
    X(invokes_received) X(replies_sent) X(replies_received) X(invokes_repeated) X(failures) \
    X(invalid) X(unchanged) X(filtered) X(over_budget)

#define COUNTERS_TOTAL(X) X(packets_sent) X(packets_received) X(bytes_sent) X(bytes_received) \
    X(messages_sent) X(messages_received) X(packets_foreign) X(packets_empty) \
    X(packets_oversized) X(packets_bad_tag) X(packets_malformed) X(handshakes_received) \
    X(handshakes_bad) X(cookies_refused) X(joins) X(joins_denied) X(leaves) X(timeouts) \
    X(names_unknown) X(link_failures) X(link_refusals) X(errors) X(notices_dropped) \
    X(messages_abandoned) X(targets_skipped) X(arguments_wrong) X(clock_back) X(peers) \
    X(remotes) X(calls_pending) X(joins_flooded) X(joins_ignored)

#define COUNTER(name) \
    if (stats.name) \
        at += snprintf(text + at, sizeof text - (size_t)at, " %s %llu", #name, \
                       (unsigned long long)stats.name);

static void note_peer(end *e, wisp_peer peer) {
    wisp_peer_stats stats;
    char text[2000] = "";
    int at = 0;
    wisp_stats_peer(e->w, peer, &stats);
    COUNTERS_PEER(COUNTER)
    note(e, "peer %d:%s rtt %.17g %.17g %.17g loss %.17g", side_of(e->w, peer), text, stats.rtt,
         stats.rtt_variation, stats.rtt_min, stats.loss);
}

static void note_remote(end *e, const char *name) {
    wisp_remote_stats stats;
    char text[2000] = "";
    int at = 0;
    wisp_stats_remote(e->w, name, &stats);
    COUNTERS_REMOTE(COUNTER)
    note(e, "remote %s:%s", name, text);
}

static void note_total(end *e) {
    wisp_total_stats stats;
    char text[2000] = "";
    int at = 0;
    wisp_stats_total(e->w, &stats);
    COUNTERS_TOTAL(COUNTER)
    note(e, "total:%s", text);
}

/* All counters but those of memory, which may change with any struct. */
static void note_stats(end *e) {
    wisp_peer peers[COMPAT_SIDES];
    int count = wisp_peers(e->w, peers, COMPAT_SIDES);
    note_total(e);
    for (int i = 0; i < count; i++) note_peer(e, peers[i]);
    for (int i = 0; i < STREAMS; i++) note_remote(e, streams[i].name);
}

/* --- the link --- */

static int link_send(void *user, wisp_packet *packets, int count) {
    end *e = (end *)user;
    bool full = false;
    for (int i = 0; i < count; i++) {
        full = full || !compat_send(e->role.run, e->role.side, packets[i].addr.bytes[0],
                                    packets[i].data, packets[i].size);
        packets[i].status = full ? WISP_E_AGAIN : 0;
    }
    return count;
}

static int link_recv(void *user, wisp_packet *packets, int count) {
    end *e = (end *)user;
    for (int i = 0; i < count; i++) {
        int from = 0;
        int size = compat_recv(e->role.run, e->role.side, &from, packets[i].data,
                               packets[i].size);
        if (size <= 0) return i;
        packets[i].addr = addr_of(from);
        packets[i].size = size;
    }
    return count;
}

/* --- what is fired --- */

/* The next state of an entity: a few members change, by steps that every machine has exactly. */
static void entity_move(end *e, entity *x, int id) {
    mill *m = &e->values;
    wisp_value text = mill_string(m, 16);
    x->id = (uint16_t)(id * 7);
    x->place.x = (float)mill_number(m, -500, 500);
    if (!mill_below(m, 3)) x->place.y += x->place.y > 100 ? -90.5f : 0.125f;
    if (!mill_below(m, 4)) x->look = mill_quat(m).as.quat;
    if (!mill_below(m, 5)) x->tint = mill_color(m).as.color;
    if (!mill_below(m, 3)) x->hp = (float)mill_below(m, 200) / 2;
    if (!mill_below(m, 6)) x->exact = mill_number(m, -1e5, 1e5);
    if (!mill_below(m, 6)) memcpy(x->name, text.as.string, (size_t)text.count + 1);
    if (!mill_below(m, 6)) x->alive = !x->alive;
    if (!mill_below(m, 6)) x->mood = mill_below(m, 3);
    if (!mill_below(m, 3)) x->armour = mill_below(m, 2) ? 50 : mill_below(m, 200);
    if (!mill_below(m, 4)) x->tag_count = mill_below(m, 9);
    x->tags[mill_below(m, 8)] = (uint8_t)mill_below(m, 256);
    if (x->look.x == 0 && x->look.y == 0 && x->look.z == 0) x->look.w = 1;
}

static void crowd_move(end *e) {
    mill *m = &e->values;
    crowd *c = &e->people;
    int changes = mill_below(m, 12);
    if (!mill_below(m, 4)) c->count = mill_below(m, CELLS + 1);
    for (int i = 0; i < changes; i++) {
        cell *x = &c->cells[mill_below(m, CELLS)];
        x->x = (int16_t)(mill_below(m, 2001) - 1000);
        if (!mill_below(m, 2)) x->y = (int16_t)(x->y + mill_below(m, 9) - 4);
        if (!mill_below(m, 3)) x->kind = (uint8_t)mill_below(m, 5);
        if (!mill_below(m, 2)) x->heat = (float)mill_below(m, 41) / 4 - 5;
        if (!mill_below(m, 5)) x->lit = !x->lit;
    }
    for (int i = 0; i < changes / 2; i++)
        c->levels[mill_below(m, LEVELS)] = (float)mill_number(m, -20, 20);
}

static void cast_move(end *e) {
    mill *m = &e->values;
    cast *c = &e->players;
    for (int i = 0; i < ACTORS; i++) {
        actor *x = &c->actors[i];
        wisp_value text = mill_string(m, 15);
        if (mill_below(m, 3)) continue;
        x->id = (uint32_t)test_random(&m->random);
        x->team = (int8_t)(mill_below(m, 250) - 125);
        x->score = mill_below(m, 140001) - 70000;
        x->heat = (float)mill_below(m, 257) / 16 - 8;
        memcpy(x->name, text.as.string, (size_t)text.count + 1);
        if (!x->name[0] && c->number % 2) x->name[0] = '-';
    }
    for (int i = 0; i < PROPS; i++) {
        prop *x = &c->props[i];
        wisp_value text = mill_string(m, 8);
        x->aim = mill_vec(m, 2, NULL).as.vec2;
        x->depth = (int16_t)(mill_below(m, 18001) - 9000);
        x->wide = (int64_t)(test_random(&m->random) >> 32) - INT64_C(2000000000);
        x->speed = mill_below(m, 200) / 2.0;
        memcpy(x->name, text.as.string, (size_t)text.count + 1);
        if (!x->name[0]) x->name[0] = '-';
    }
}

static void beams_move(end *e) {
    mill *m = &e->values;
    for (int i = 0; i < BEAMS; i++) {
        beam *x = &e->players.beams[i];
        x->end = mill_vec(m, 3, NULL).as.vec3;
        x->strength = (uint16_t)mill_below(m, 65536);
    }
}

/* A map whose parts change little: an array of numbers, some texts, a map. */
static wisp_value changing(end *e, int32_t number) {
    mill *m = &e->values;
    wisp_pair *list = mill_pairs(m, 6), *inner = mill_pairs(m, 2);
    wisp_value *rows = mill_values(m, 20);
    int rows_used = 12 + mill_below(m, 9);
    e->levels[mill_below(m, 20)] += mill_number(m, -1, 1);
    for (int i = 0; i < 20; i++)
        rows[i] = i % 2 ? wisp_number(e->levels[i]) : wisp_int((int64_t)(e->levels[i] * 8));
    inner[0].key = "team";
    inner[0].value = wisp_string(number % 9 < 7 ? "red" : "a team with a longer name");
    inner[1].key = "place";
    inner[1].value = wisp_vec3v((float)(number % 5), 2, 0.5f);
    list[0].key = "number";
    list[0].value = wisp_int(number);
    list[1].key = "rows";
    list[1].value = wisp_array(rows, rows_used);
    list[2].key = "inner";
    list[2].value = wisp_map(inner, number % 13 ? 2 : 1);
    list[3].key = number % 11 ? "steady" : "other";
    list[3].value = wisp_string("these words stay as they are");
    list[4].key = "kind";
    list[4].value = number % 6 ? wisp_uint(77) : mill_any(m, 1);
    list[4 + number % 2].key = "flag";
    list[4 + number % 2].value = wisp_bool(number % 4 == 0);
    return wisp_map(list, 5 + number % 2);
}

/* What every codec can say, without a schema too. It ends with a bool: what is compressed and ends
   with a text has some bits behind it that are left over in memory, and not the same each time. */
static wisp_value plain(end *e, int32_t number) {
    mill *m = &e->values;
    wisp_pair *list = mill_pairs(m, 5);
    wisp_value *words = mill_values(m, 10);
    int count = mill_below(m, 11);
    for (int i = 0; i < count; i++)
        words[i] = i % 2 ? mill_string(m, 40) : wisp_number(mill_number(m, -1e4, 1e4));
    list[0].key = "number";
    list[0].value = wisp_int(number);
    list[1].key = "words";
    list[1].value = wisp_array(words, count);
    list[2].key = "nothing";
    list[2].value = wisp_nil();
    list[3].key = "text";
    list[3].value = wisp_string("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    list[4].key = "flag";
    list[4].value = wisp_bool(mill_below(m, 2) != 0);
    return wisp_map(list, 5);
}

static wisp_value big(end *e, int32_t number) {
    int size = number % 3 ? 3000 + number * 37 % 4000 : BIG;
    for (int i = 0; i < size; i++)
        e->big[i] = (uint8_t)(number % 2 ? i / 50 + number : i * i >> number % 7);
    return wisp_bytes(e->big, size);
}

static wisp_value numbered(wisp_value map, int32_t number) {
    ((wisp_pair *)(uintptr_t)map.as.map)[0].value = wisp_int(number);
    return map;
}

static wisp_value player(end *e, int32_t number) {
    mill *m = &e->values;
    wisp_pair *list = mill_pairs(m, 3);
    list[0].key = "number";
    list[0].value = wisp_int(number);
    list[1].key = e->role.side ? "hp" : "health";
    list[1].value = wisp_int(mill_below(m, 101));
    list[2].key = "title";
    list[2].value = mill_string(m, 12);
    return wisp_map(list, 3);
}

/* The values of one message; returns how many. */
static int fill(end *e, int stream, int32_t number, wisp_value values[4]) {
    mill *m = &e->values;
    entity *x = &e->entities[number % ENTITIES];
    switch (streams[stream].holds) {
    case ENTITY:
        entity_move(e, x, number % ENTITIES);
        x->number = number;
        return values[0] = wisp_struct(&entity_schema, x), 1;
    case CROWD:
        crowd_move(e);
        e->people.number = number;
        return values[0] = wisp_struct(&crowd_schema, &e->people), 1;
    case CAST:
        cast_move(e);
        beams_move(e);
        e->players.number = number;
        return values[0] = wisp_struct(&cast_schema, &e->players), 1;
    case MAPPED: return values[0] = numbered(mill_map(m, &mapped_schema), number), 1;
    case PLAYER: return values[0] = player(e, number), 1;
    case CHANGING: return values[0] = changing(e, number), 1;
    case PLAIN: return values[0] = plain(e, number), 1;
    case SAME: return values[0] = wisp_string("the same"), values[1] = wisp_int(number / 5), 2;
    default: break;
    }
    values[0] = wisp_int(number);
    if (streams[stream].holds == NUMBER) return 1;
    values[1] = streams[stream].holds == BIG_BYTES ? big(e, number)
                : streams[stream].holds == HIT     ? mill_string(m, 20)
                                                     : mill_any(m, 0);
    if (streams[stream].holds == BIG_BYTES) return values[2] = wisp_bool(true), 3;
    values[2] = streams[stream].holds != HIT ? mill_any(m, 1)
                : number % 3                   ? wisp_number(number % 100 / 2.0)
                                               : wisp_nil();
    values[3] = wisp_vec2v((float)number, 1);
    return 4;
}

static void fire(end *e, int stream, wisp_peer to) {
    wisp_value values[4];
    int side = side_of(e->w, to), count;
    int32_t number;
    char name[40];
    if (side < 0) return;
    mill_empty(&e->values);
    number = e->numbers[stream][side] + 1;
    count = fill(e, stream, number, values);
    snprintf(name, sizeof name, "%s", streams[stream].name);
    if (strcmp(name, "match") == 0) snprintf(name, sizeof name, "match%d", number % 4);
    if (!streams[stream].checked) e->numbers[stream][side] = number;
    if (told(e, name, wisp_fire_values(e->w, name, wisp_to_peer(to), values, count))) return;
    e->numbers[stream][side] = number;
    if (streams[stream].checked) compat_fired(e->role.run, e->role.side, side, stream);
}

/* --- what comes --- */

static void on_stream(wisp_event *event) {
    slot *s = (slot *)event->user;
    int side = side_of(event->w, event->peer);
    note_event(s->e, event);
    if (streams[s->stream].holds == ENTITY) {
        const entity *x = (const entity *)wisp_arg_struct(event, 0, &entity_schema);
        note(s->e, "entity %d %.9g", x ? x->id : -1, x ? (double)x->place.x : 0);
    }
    if (!streams[s->stream].checked) return;
    compat_came(s->e->role.run, side, s->e->role.side, s->stream, number_in(event),
                hash_of(event->args, event->count));
}

/* What every getter makes of a value; most of them raise an error. */
static void get_all(end *e, wisp_event *event, int i) {
    int size = 0, more = 0;
    wisp_value values[8];
    wisp_object object = wisp_arg_object(event, i);
    const void *bytes = wisp_arg_bytes(event, i, &size);
    const char *text = wisp_arg_string_n(event, i, &more);
    const wisp_value *map = wisp_arg_map(event, i), *array = wisp_arg_array(event, i);
    values[0] = values[1] = values[2] = values[3] = values[4] = values[5] = wisp_nil();
    values[0] = wisp_vec2v(wisp_arg_vec2(event, i).x, wisp_arg_vec2(event, i).y);
    values[1] = wisp_vec3v(wisp_arg_vec3(event, i).x, wisp_arg_vec3(event, i).z, 0);
    values[2] = wisp_vec4v(wisp_arg_vec4(event, i).x, wisp_arg_vec4(event, i).w, 0, 0);
    values[3] = wisp_quatv(wisp_arg_quat(event, i).x, wisp_arg_quat(event, i).w, 0, 0);
    values[4] = wisp_color3(wisp_arg_color(event, i).r, wisp_arg_color(event, i).b, 0);
    values[5] = wisp_transformv(wisp_arg_transform(event, i).position,
                                wisp_arg_transform(event, i).rotation);
    note(e, "argument %d: %d %lld %llu %.9g %.17g %d %d %u %d %d %016llx", i,
         wisp_arg_bool(event, i), (long long)wisp_arg_int(event, i),
         (unsigned long long)wisp_arg_uint(event, i), (double)wisp_arg_float(event, i),
         wisp_arg_number(event, i), bytes ? size : -1, text ? more : -1, (unsigned)object.id,
         map ? map->count : -1, array ? array->count : -1,
         (unsigned long long)hash_of(values, 6));
    note(e, "struct: %d", wisp_arg_struct(event, i, &cell_schema) != NULL);
}

static void on_other(wisp_event *event) {
    end *e = ((slot *)event->user)->e;
    note_event(e, event);
    if (strcmp(event->name, "loose") == 0 && number_in(event) % 4 == 0) get_all(e, event, 1);
}

static void on_error(wisp_event *event) {
    end *e = ((slot *)event->user)->e;
    const char *head = event->count ? wisp_string_of(&event->args[0], NULL) : "";
    snprintf(e->line, sizeof e->line, "%s from %d: %d \"%s\" head %s remote %s", event->name,
             side_of(event->w, event->peer), event->result, event->text, head ? head : "?",
             event->remote.id ? wisp_remote_name(event->w, event->remote) : "-");
    compat_error(e->role.run, e->role.side, e->line);
}

static void on_report(void *user, const wisp_report *report) {
    end *e = (end *)user;
    note(e, "report %d from %d: %s: \"%s\" head %s at %s", report->code,
         side_of(e->w, report->peer), report->remote, report->text, report->head,
         report->backtrace);
}

static void on_backtrace(void *user, char *text, int size) {
    snprintf(text, (size_t)size, "step of side %d", ((end *)user)->role.side);
}

static void on_log(void *user, int level, wisp_result code, const char *text) {
    end *e = (end *)user;
    snprintf(e->line, sizeof e->line, "log %d %d: %s", level, code, text);
    compat_error(e->role.run, e->role.side, e->line);
}

static void on_joined(wisp_event *event) {
    end *e = ((slot *)event->user)->e;
    note_event(e, event);
    note(e, "user %d", wisp_peer_user(event->w, event->peer) == &e->values);
    wisp_set_peer_user(event->w, event->peer, e);
    if (!e->role.side) told(e, "group", wisp_group_add(e->w, e->group, event->peer));
}

static void on_left(wisp_event *event) {
    end *e = ((slot *)event->user)->e;
    wisp *own = e->w;                  /* it may be gone when another end of the script goes */
    note_event(e, event);
    e->w = event->w;
    note_peer(e, event->peer);
    e->w = own;
}

/* --- calls --- */

static void on_reply(wisp_event *event) { note_event((end *)event->user, event); }

static void on_ask(wisp_event *event) {
    end *e = ((slot *)event->user)->e;
    int64_t number = wisp_arg_int(event, 0);
    wisp_value values[2];
    note_event(e, event);
    values[0] = wisp_int(number * 2);
    values[1] = big(e, (int32_t)number);
    switch (number % 8) {
    case 0: told(e, "reply", wisp_reply_values(event, values, 1)); break;
    case 1: wisp_fail(event, -1001 - (int)number, "no: %d", (int)number); break;
    case 2:
    case 3:
        if (e->answer_count < ANSWERS) e->answers[e->answer_count++] = wisp_defer(event);
        break;
    case 4: told(e, "reply", wisp_reply_values(event, values, 2)); break;
    case 5: wisp_fail(event, WISP_E_INVALID, "invalid"); break;
    case 6: told(e, "twice", wisp_reply_values(event, values, 0));
            told(e, "twice", wisp_reply_values(event, values, 0)); break;
    default: wisp_arg_string(event, 7); break;
    }
}

static void answer_deferred(end *e) {
    wisp_value value = wisp_string("later");
    for (int i = 0; i < e->answer_count; i++)
        told(e, "answer", i % 2 ? wisp_answer_fail(e->w, e->answers[i], -2000, "late %d", i)
                                : wisp_answer(e->w, e->answers[i], &value, 1));
    if (e->answer_count) told(e, "again", wisp_answer(e->w, e->answers[0], &value, 1));
    e->answer_count = 0;
}

static void ask(end *e, const char *name, wisp_to to, int number) {
    wisp_call_desc desc;
    wisp_value values[2];
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_reply;
    desc.user = e;
    desc.timeout = number % 5 ? 0 : 0.1;
    desc.tries = number % 3;
    if (to.mode != wisp_to_peer(e->server).mode) desc.on_done = on_reply;
    values[0] = wisp_int(number);
    values[1] = wisp_string("?");
    e->last_call = wisp_invoke_values(e->w, name, to, &desc, values, 2);
    if (!e->last_call.id) told(e, "ask", wisp_why(e->w));
}

/* --- middleware --- */

static wisp_result hook(wisp_event *event, int way) {
    slot *s = (slot *)event->user;
    int64_t number = number_in(event) + way;
    wisp_value value = wisp_int(number_in(event) + 1000);
    note(s->e, "hook %d: %s %lld of %d", way, event->name, (long long)number,
         side_of(event->w, event->peer));
    switch (number % 9) {
    case 1: return WISP_DROP;
    case 3: return WISP_HOLD;
    case 5: return -1700;
    case 7: return told(s->e, "change", wisp_change(event, &value, 1));
    default: return WISP_PASS;
    }
}

static wisp_result hook_in(wisp_event *event) { return hook(event, 0); }
static wisp_result hook_out(wisp_event *event) { return hook(event, 4); }

static void use_hooks(end *e) {
    wisp_middleware m;
    memset(&m, 0, sizeof m);
    m.name = "guard";
    m.pattern = "^(hooked|ask.hooked)$";
    m.inbound = hook_in;
    m.outbound = hook_out;
    m.user = &e->other;
    told(e, "use", wisp_use(e->w, &m));
    m.name = "second";
    m.except = "^ask";
    m.outbound = NULL;
    told(e, "use", wisp_use(e->w, &m));
    told(e, "use", wisp_use(e->w, &m));
    m.name = "bad";
    m.pattern = "a(b";
    told(e, "use", wisp_use(e->w, &m));
}

/* --- settings --- */

static void set(end *e, const char *name, const wisp_config *config) {
    told(e, name, wisp_use_config(e->w, config, name));
}

static void set_encoding(end *e, const char *name, wisp_encode_mode mode,
                         const wisp_schema *schema, const wisp_codec *codec) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.encode.mode = mode;
    config.encode.schema = schema;
    config.encode.codec = codec;
    config.channel = WISP_CHANNEL(name[0] % 4);
    set(e, name, &config);
}

static void set_adaptive(end *e, const char *name, const wisp_schema *schema) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.encode.mode = WISP_ENCODE_DELTA;
    config.encode.schema = schema;
    config.encode.adaptive = WISP_ON;
    set(e, name, &config);
}

static void set_compression(end *e, const char *name, wisp_compression mode, const char *words) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.encode.compression = mode;
    config.encode.dictionary = words;
    config.encode.dictionary_bytes = words ? (int)strlen(words) : 0;
    config.channel = WISP_CHANNEL(name[0] % 4);
    set(e, name, &config);
}

static void set_codecs(end *e) {
    e->own = *wisp_msgpack();
    e->own.name = "turned";
    e->own.encode = own_encode;
    e->own.decode = own_decode;
    e->own.user = e->role.side == 2 ? &e->own_count : NULL;
    told(e, "codec", wisp_add_codec(e->w, &e->own));
    set_encoding(e, "json", 0, NULL, wisp_json());
    set_encoding(e, "msgpack", 0, NULL, wisp_msgpack());
    set_encoding(e, "proto", 0, NULL, wisp_protobuf());
    set_encoding(e, "own", 0, NULL, &e->own);
    set_encoding(e, "mapped.json", 0, &mapped_schema, wisp_json());
    set_encoding(e, "mapped.msgpack", 0, &mapped_schema, wisp_msgpack());
    set_encoding(e, "mapped.proto", 0, &mapped_schema, wisp_protobuf());
}

static void set_schemas(end *e) {
    static const wisp_field low[] = { WISP_MAP_FIELD("number", WISP_T_RANGE(0, 20)) };
    static const wisp_field high[] = { WISP_MAP_FIELD("number", WISP_T_RANGE(0, 5000)) };
    static const wisp_schema narrow = WISP_LIST_SCHEMA("narrow", 1, low);
    static const wisp_schema wide = WISP_LIST_SCHEMA("narrow", 1, high);
    wisp_schema_entry entry;
    memset(&entry, 0, sizeof entry);
    entry.remote = "player";
    entry.schema = e->role.side ? &player1_schema : &player2_schema;
    entry.migrations = e->role.side ? NULL : player_migrations;
    entry.migration_count = e->role.side ? 0 : 1;
    told(e, "player", wisp_use_schemas(e->w, &entry, 1));
    set_encoding(e, "invalid", 0, e->role.side ? &wide : &narrow, NULL);
    set_encoding(e, "entity.plain", WISP_ENCODE_SCHEMA, &entity_schema, NULL);
    set_encoding(e, "crowd", 0, &crowd_schema, NULL);
    set_encoding(e, "mapped", 0, &mapped_schema, NULL);
    set_encoding(e, "mapped.safe", WISP_ENCODE_SAFE, &mapped_schema, NULL);
    set_encoding(e, "hit", 0, &hit_schema, NULL);
    set_encoding(e, "cast", 0, &cast_schema, NULL);
    set_encoding(e, "cast.delta", WISP_ENCODE_DELTA, &cast_schema, NULL);
    if (!e->role.side) return;
    set_encoding(e, "foreign", 0, &mapped_schema, NULL);         /* the server learns these */
    set_encoding(e, "foreign.delta", WISP_ENCODE_DELTA, &entity_schema, NULL);
}

static void set_deltas(end *e) {
    set_encoding(e, "entity", WISP_ENCODE_DELTA, &entity_schema, NULL);
    set_encoding(e, "crowd.delta", WISP_ENCODE_DELTA, &crowd_schema, NULL);
    set_encoding(e, "mapped.delta", WISP_ENCODE_DELTA, &mapped_schema, NULL);
    set_encoding(e, "changing", WISP_ENCODE_DELTA, NULL, NULL);
    set_encoding(e, "entity.loose", WISP_ENCODE_DELTA, &entity_schema, NULL);
    told(e, "same", wisp_use_delta(e->w, NULL, "same"));
    told(e, "synced", wisp_use_delta(e->w, &entity_schema, "entity.synced"));
    told(e, "synced", wisp_enable_delta_sync(e->w, "entity.synced"));
    set_adaptive(e, "entity.adaptive", &entity_schema);
    set_adaptive(e, "crowd.adaptive", &crowd_schema);
    set_adaptive(e, "changing.more", NULL);
    set_adaptive(e, "newest.adaptive", NULL);
}

/* One type after the other: many in a large packet would be more than a packet may cost. */
static void set_engine(end *e, int step) {
    int count;
    const wisp_engine_type *types = wisp_engine_types(&count);
    char name[80];
    if (step >= count) return;
    snprintf(name, sizeof name, "engine.%s", types[step].name);
    set_encoding(e, name, step % 2 ? WISP_ENCODE_DELTA : 0, types[step].schema, NULL);
}

static void set_others(end *e) {
    wisp_config config;
    wisp_compressor c = runs_for(WISP_COMPRESSION_USER);
    told(e, "compressor", wisp_add_compressor(e->w, &c));
    c = runs_for(WISP_COMPRESSION_LZ4);
    told(e, "compressor", wisp_add_compressor(e->w, &c));
    set_compression(e, "squeezed", WISP_COMPRESSION_USER, NULL);
    set_compression(e, "squeezed.auto", WISP_COMPRESSION_AUTO, NULL);
    set_compression(e, "squeezed.words", WISP_COMPRESSION_LZ4, "words number text nothing flag");
    told(e, "loose", wisp_set_unreliable(e->w, "loose", true));
    told(e, "loose", wisp_set_unreliable(e->w, "entity.loose", true));
    told(e, "limited", wisp_set_rate_limit(e->w, 0.25, "limited"));
    told(e, "hit", wisp_set_batch_priority(e->w, "hit", 20));
    told(e, "crowd", wisp_set_batch_mode(e->w, "crowd", WISP_BATCH_NEVER));
    told(e, "size", wisp_set_max_batch_size(e->w, 40));
    memset(&config, 0, sizeof config);
    config.encode.foreign = WISP_ON;         /* its settings change here and there */
    config.channel = WISP_CHANNEL(3);
    set(e, "switch", &config);
    config.channel = 0;
    set(e, "foreign", &config);
    set(e, "foreign.delta", &config);
    config.encode.foreign = 0;
    config.delivery = WISP_SEQUENCED;
    set(e, "newest", &config);
    set(e, "newest.adaptive", &config);
    config.delivery = WISP_UNRELIABLE;
    config.batch_priority = WISP_PRIORITY(3);
    set(e, "urgent", &config);
    config.batch_priority = 0;
    config.call_tries = 4;
    config.call_timeout = 1;
    set(e, "ask.loose", &config);
}

/* --- an endpoint --- */

static double fake_clock(void *user) { return (double)++((end *)user)->fake_clock / 1024; }

static void fake_address(void *user, const wisp_addr *addr, char *out, int size) {
    (void)user;
    snprintf(out, (size_t)size, "side %d", addr->bytes[0]);
}

static wisp_result on_accept(wisp *w, const wisp_addr *from, const void *ticket, int size,
                             void *user) {
    end *e = (end *)user;
    wisp_join_info *info = wisp_joining(w);
    note(e, "accept %d: %d bytes, %d joins", from->bytes[0], size, info->joins_of_host);
    info->user = &e->values;
    if (size == 4 && memcmp(ticket, "deny", 4) == 0) {
        info->text = "not you";
        return -1234;
    }
    if (size != 4 || memcmp(ticket, "wait", 4) != 0) return WISP_OK;
    e->waiting = *from;
    e->waits = 20;
    return WISP_PENDING;
}

static void listen(end *e, const char *name, wisp_handler fn) {
    wisp_connection connection =
        wisp_connect_target(e->w, wisp_by_name(name), fn, &e->other, false);
    if (!connection.id) told(e, name, wisp_why(e->w));
}

static void listen_to_all(end *e) {
    e->other.e = e;
    listen(e, WISP_JOINED, on_joined);
    listen(e, WISP_LEFT, on_left);
    listen(e, WISP_ERROR, on_error);
    listen(e, WISP_BUDGET, on_error);
    for (int i = 0; i < STREAMS; i++) {
        e->slots[i].e = e;
        e->slots[i].stream = i;
        if (strcmp(streams[i].name, "match") == 0) continue;
        if (strcmp(streams[i].name, "missing") == 0 && !e->role.side) continue;
        wisp_connect_target(e->w, wisp_by_name(streams[i].name), on_stream, &e->slots[i], false);
    }
    wisp_connect_match(e->w, "^(match[0-2]|engine)", on_other, &e->other);
    wisp_connect_match(e->w, "^news$", on_other, &e->other);
    e->some = wisp_connect_match(e->w, "^(loose|hooked|newest)", on_other, &e->other);
    wisp_connect_target(e->w, wisp_by_name("chat"), on_other, &e->other, true);
    told(e, "ask", wisp_on_invoke_target(e->w, wisp_by_name("ask"), on_ask, &e->other));
    told(e, "ask", wisp_on_invoke_target(e->w, wisp_by_name("ask.loose"), on_ask, &e->other));
    told(e, "ask", wisp_on_invoke_target(e->w, wisp_by_name("ask.hooked"), on_ask, &e->other));
}

static wisp_desc desc_of(end *e) {
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.link.send = link_send;
    desc.link.recv = link_recv;
    desc.link.user = e;
    desc.link.mtu = e->role.mtu;
    desc.link.reliable = e->role.reliable;
    desc.app = "compat";
    desc.app_version = e->role.side == OTHER_APP ? 8 : 7;
    desc.max_peers = 4;
    desc.limits.keys = e->role.few_keys ? 40 : 0;
    desc.limits.baselines = e->role.seed % 2 ? 0 : 8;
    desc.limits.held_messages = 5;
    desc.limits.calls = 40;
    desc.limits.notices = 16;
    desc.limits.queue_messages = 2000;
    desc.accept = e->role.side ? NULL : on_accept;
    desc.timeout = 3;
    desc.seed = e->role.seed * 100 + (uint64_t)e->role.side + 1;
    desc.log = on_log;
    desc.user = e;
    return desc;
}

static void end_create(end *e) {
    wisp_desc desc = desc_of(e);
    wisp_sink sink;
    wisp_profiler profiler;
    wisp_result why = WISP_OK;
    e->w = wisp_create(&desc, &why);
    if (!CHECK(e->w != NULL)) abort();
    e->group = wisp_group_named(e->w, "all of them");
    sink.report = on_report;
    sink.backtrace = on_backtrace;
    sink.user = e;
    told(e, "sink", wisp_use_sink(e->w, &sink));
    profiler.clock = fake_clock;
    profiler.address_text = fake_address;
    profiler.user = e;
    told(e, "profiler", wisp_use_profiler(e->w, &profiler));
    set_codecs(e);
    set_schemas(e);
    set_deltas(e);
    set_others(e);
    use_hooks(e);
    listen_to_all(e);
}

static void *end_open(const compat_role *role) {
    end *e = (end *)calloc(1, sizeof *e);
    if (!e) abort();
    e->role = *role;
    e->values.random = role->seed * 1000 + (uint64_t)role->side;
    e->players.number = -1;
    end_create(e);
    return e;
}

static void end_close(void *user) {
    end *e = (end *)user;
    if (e->before) wisp_destroy(e->before);
    wisp_destroy(e->w);
    free(e);
}


#include "compat_alone.h"

/* --- what happens when --- */

static void join_with(end *e, const char *ticket) {
    wisp_addr addr = addr_of(0);
    e->server = wisp_join(e->w, &addr, ticket, (int)strlen(ticket));
    if (!e->server.id) told(e, "join", wisp_why(e->w));
}

static void join(end *e) {
    static const char *const tickets[] = { "", "one", "", "deny", "four", "wait", "six", "" };
    join_with(e, tickets[e->role.side]);
}

/* The settings of one name, and of all, change while its messages go. */
static void change_settings(end *e, int step) {
    switch (step) {
    case 60: set_encoding(e, "switch", 0, NULL, wisp_json()); break;
    case 90: set_encoding(e, "switch", WISP_ENCODE_DELTA, NULL, wisp_bitpack()); break;
    case 120: set_adaptive(e, "switch", NULL); break;
    case 150: set_encoding(e, "switch", WISP_ENCODE_BASIC, NULL, wisp_bitpack()); break;
    case 180: set_compression(e, "switch", WISP_COMPRESSION_USER, NULL); break;
    case 30: told(e, "all", wisp_use_compression(e->w, WISP_COMPRESSION_AUTO, NULL)); break;
    case 130: told(e, "all", wisp_use_compression(e->w, WISP_COMPRESSION_USER, NULL)); break;
    case 190: told(e, "all", wisp_use_compression(e->w, WISP_COMPRESSION_NONE, NULL)); break;
    case 70: told(e, "batching", wisp_use_batching(e->w, false)); break;
    case 80: told(e, "batching", wisp_use_batching(e->w, true)); break;
    case 100: told(e, "limited", wisp_set_rate_limit(e->w, 0.05, "limited")); break;
    case 110: told(e, "second", wisp_unuse(e->w, "second")); break;
    case 140: wisp_disconnect(e->w, e->some); break;
    default: break;
    }
}

static void fire_engine(end *e, int step, wisp_peer to) {
    int count, i = step / 3 - 20;
    const wisp_engine_type *types = wisp_engine_types(&count);
    char name[80];
    wisp_value value;
    if (step % 3 || i < 0 || i >= count) return;
    mill_empty(&e->values);
    snprintf(name, sizeof name, "engine.%s", types[i].name);
    value = mill_map(&e->values, types[i].schema);
    told(e, name, wisp_fire_values(e->w, name, wisp_to_peer(to), &value, 1));
}

static void send_snapshot(end *e, wisp_peer to) {
    wisp_snapshot *now = (wisp_snapshot *)malloc(sizeof *now);
    char *text = (char *)malloc(WISP_SNAPSHOT_JSON_BYTES);
    wisp_value value = wisp_struct(wisp_snapshot_schema(), now);
    if (!now || !text) abort();
    if (!told(e, "snapshot", wisp_snapshot_take(e->w, NULL, now))) {
        now->memory = now->memory_peak = 0;
        draw(e, now);
        told(e, "json", wisp_snapshot_json(now, text, WISP_SNAPSHOT_JSON_BYTES) < 0);
        note(e, "snapshot %016llx", (unsigned long long)mill_mix_text(0, text));
        for (uint32_t i = 0; i < now->remote_count; i++)     /* differ with the size of pointers */
            now->remotes[i].out.bytes_raw = now->remotes[i].in.bytes_raw = 0;
        for (uint32_t i = 0; i < now->peer_count; i++)
            now->peers[i].out.bytes_raw = now->peers[i].in.bytes_raw = 0;
        now->out.bytes_raw = now->in.bytes_raw = 0;
        told(e, "news", wisp_fire_values(e->w, "news", wisp_to_peer(to), &value, 1));
    }
    free(now);
    free(text);
}

/* The same message several times in a row. */
static void fire_again(end *e, int step, wisp_peer to) {
    wisp_value values[2];
    values[0] = wisp_int(step);
    values[1] = wisp_string("again and again");
    for (int i = 0; i < 4; i++) {
        const char *name = step % 40 == 7 ? "news" : "loose";
        told(e, name, wisp_fire_values(e->w, name, wisp_to_peer(to), values, 2));
    }
}

static void talk_to(end *e, int step, wisp_peer to) {
    for (int i = 0; i <= (e->role.seed % 4 == 1); i++) {
        int stream = mill_below(&e->values, STREAMS);
        if (streams[stream].holds == BIG_BYTES && mill_below(&e->values, 4)) continue;
        fire(e, stream, to);
    }
    if (step % 4 == 0) ask(e, step % 8 ? "ask" : "ask.loose", wisp_to_peer(to), step / 4);
    if (step % 50 == 10) ask(e, "ask.hooked", wisp_to_peer(to), step);
    if (step % 50 == 11) ask(e, "ask.nobody", wisp_to_peer(to), step);
    if (step % 50 == 12) wisp_cancel(e->w, e->last_call);
    if (step % 20 == 7) fire_again(e, step, to);
    if (step == 100) send_snapshot(e, to);
    fire_engine(e, step, to);
}

static void serve(end *e, int step) {
    wisp_peer peers[COMPAT_SIDES];
    int count = wisp_peers(e->w, peers, COMPAT_SIDES);
    wisp_value values[2];
    values[0] = wisp_int(step);
    values[1] = wisp_string("for all");
    if (count > COMPAT_SIDES) count = COMPAT_SIDES;
    for (int i = 0; i < count; i++) talk_to(e, step + i, peers[i]);
    if (step % 20 == 0)
        told(e, "news", wisp_fire_values(e->w, "news", wisp_to_all(), values, 2));
    if (step % 20 == 5)
        told(e, "news", wisp_fire_values(e->w, "news", wisp_to_group(e->group), values, 2));
    if (step % 20 == 10)
        told(e, "news", wisp_fire_values(e->w, "news", wisp_to_except(peers, 1), values, 2));
    if (step % 40 == 15 && count > 1) {
        peers[2] = peers[0];
        told(e, "news", wisp_fire_values(e->w, "news", wisp_to_list(peers, 3), values, 2));
    }
    if (step % 40 == 20) ask(e, "ask", wisp_to_group(e->group), step);
    if (step == 200) told(e, "group", wisp_group_remove(e->w, e->group, peers[0]));
    if (step == 220) told(e, "group", wisp_group_end(e->w, e->group));
}

static void release(end *e, int step) {
    wisp_peer all = { 0 };
    static const wisp_result verdicts[] = { WISP_PASS, WISP_PASS, WISP_DROP, -1900 };
    if (step % 16 == 0)
        note(e, "released %d", wisp_release(e->w, "guard", all, verdicts[step / 16 % 4]));
    if (step % 16 == 8) answer_deferred(e);
}

/* The sessions end: one by a goodbye, one by a flood, one by a kick, one by silence. */
static void end_sessions(end *e, int step) {
    wisp_budget budget;
    wisp_peer peers[COMPAT_SIDES];
    int count = wisp_peers(e->w, peers, COMPAT_SIDES);
    memset(&budget, 0, sizeof budget);
    budget.messages = 50;
    budget.in = 20000;
    budget.out = 3000;
    budget.total_out = 50000;
    budget.errors = 4;
    budget.error_burst = 20;
    if (e->role.side == 0 && step == 30) told(e, "budget", wisp_use_budget(e->w, &budget));
    if (e->role.side == 1 && step == 5) wisp_leave(e->w, e->server, "goodbye");
    if (e->role.side == 1 && step == 20) join(e);
    if (e->role.side == 2 && step >= 40 && step < 60)
        for (int i = 0; i < 20; i++) fire(e, 27, e->server);
    if (e->role.side == 0 && step >= 70 && step < 80)
        for (int i = 0; i < 12 * count && i < 12 * COMPAT_SIDES; i++)
            fire(e, i % 20 ? i % 3 ? 26 : STREAMS - 1 : 1, peers[i % count]);
    if (e->role.side == 0 && step == 100 && count > 0) wisp_leave(e->w, peers[0], "out");
    if (e->role.side == 3 && step == 110) join(e);
}

/* One dies and comes again, another one finds no place. */
static void drain_sessions(end *e, int step) {
    if (e->role.side == DIES && step == 30) {
        e->before = e->w;
        e->role.seed += 500;
        end_create(e);
        join(e);
    }
    if (e->role.side == DENIED && step == 10) join_with(e, "late");
}

static void end_step(void *user, compat_phase phase, int step, double now) {
    end *e = (end *)user;
    if (phase == COMPAT_TALK && step == e->role.side * 4 + 1 && e->role.side) join(e);
    if (phase == COMPAT_TALK) set_engine(e, step);
    if (phase == COMPAT_TALK && step > 32) {
        change_settings(e, step);
        if (e->role.side == 0) serve(e, step);
        else if (e->role.side <= 2 || e->role.side == WAITS) talk_to(e, step, e->server);
    }
    if (phase == COMPAT_END) end_sessions(e, step);
    if (phase == COMPAT_DRAIN) drain_sessions(e, step);
    release(e, step);
    if (e->waits && !--e->waits) told(e, "admit", wisp_admit(e->w, &e->waiting, WISP_OK));
    if (e->role.side == DIES && !e->before && phase != COMPAT_TALK) return;
    told(e, "update", wisp_update(e->w, now));
    if (step % 64 == 63) note_stats(e);
    if (step % 7 == 0) told(e, "flush", wisp_flush_batches(e->w));
}

static const compat_program compat_this = { end_open, end_step, end_close, alone };

#endif /* COMPAT_SCRIPT_H */
