/* tapes.h - a server that is recorded, and its replay; included after the implementation */
#ifndef TAPES_H
#define TAPES_H

#include <stdlib.h>

/* A tape in memory. */
typedef struct tape_memory { uint8_t *bytes; int size, room, read, fail_after; } tape_memory;

static inline int tape_write(void *user, const void *bytes, int size) {
    tape_memory *m = (tape_memory *)user;
    if (m->fail_after && m->size + size > m->fail_after) return -1;
    if (m->size + size > m->room) {
        m->room = 2 * (m->size + size);
        m->bytes = (uint8_t *)realloc(m->bytes, (size_t)m->room);
    }
    memcpy(m->bytes + m->size, bytes, (size_t)size);
    m->size += size;
    return size;
}

static inline int tape_read(void *user, void *out, int size) {
    tape_memory *m = (tape_memory *)user;
    if (size > m->size - m->read) size = m->size - m->read;
    if (size > 777) size = 777;
    memcpy(out, m->bytes + m->read, (size_t)size);
    m->read += size;
    return size;
}

/* What handlers saw, in order. */
typedef struct tape_notes { int count; uint64_t hash; } tape_notes;

static inline void tape_note(tape_notes *n, const void *bytes, int size) {
    n->count++;
    n->hash = wisp__mix(n->hash ^ wisp__hash_bytes(bytes, size));
}

typedef struct tape_orb { wisp_vec3 at; float heat; uint16_t hits; char name[12]; } tape_orb;
static const wisp_field tape_orb_fields[] = {
    WISP_FIELD(tape_orb, at, WISP_T_VEC3_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(tape_orb, heat, WISP_T_QUANTIZED(0, 50, 0.1)),
    WISP_FIELD(tape_orb, hits, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(tape_orb, name, WISP_T_STRING(11)),
};
static const wisp_schema tape_orb_schema = WISP_SCHEMA(tape_orb, 1, tape_orb_fields);

typedef struct tape_shot { uint32_t who; float angle, speed; bool big; } tape_shot;
static const wisp_field tape_shot_fields[] = {
    WISP_FIELD(tape_shot, who, WISP_T_UINT),
    WISP_FIELD(tape_shot, angle, WISP_T_QUANTIZED(-4, 4, 0.001)),
    WISP_FIELD(tape_shot, speed, WISP_T_NUMBER),
    WISP_FIELD(tape_shot, big, WISP_T_BOOL),
};
static const wisp_schema tape_shot_schema = WISP_SCHEMA(tape_shot, 1, tape_shot_fields);

enum { TAPE_CLIENTS = 2, TAPE_ORBS = 4 };

/* The server's game. */
typedef struct tape_game {
    tape_notes *notes;
    wisp_class  orbs;
    wisp_object orb[TAPE_ORBS];
    int         bend, ticks;   /* bend: in that tick a handler does something else */
    int         shout, heard;  /* shout: so does the one of that chat */
    bool        starts;
} tape_game;

typedef struct tape_party {
    wisp_pipe      pipe;
    wisp_simulator net[TAPE_CLIENTS + 1];
    wisp          *server, *clients[TAPE_CLIENTS];
    double         now;
    uint64_t       random;
    tape_memory    tape;
    tape_notes     notes, again;
    tape_game      game;
    wisp_result    result;
    char           told[400];
    wisp_compression compression;
    bool           packets;
    uint64_t       seed;
    void         (*state)(void *game, const void *bytes, int size);   /* from the middle */
    void         (*before)(wisp *w);   /* what a replay gets before its game; NULL: nothing */
} tape_party;

static inline void tape_game_event(wisp_event *e) {
    tape_game *g = (tape_game *)e->user;
    tape_note(g->notes, e->name, (int)strlen(e->name));
    tape_note(g->notes, &e->time, 8);
    for (int i = 0; i < e->count; i++) {
        uint64_t hash = wisp_hash(&e->args[i]);
        tape_note(g->notes, &hash, 8);
    }
}

static inline void tape_game_chat(wisp_event *e) {
    tape_game *g = (tape_game *)e->user;
    wisp_value loud = wisp_string("HELLO");
    tape_game_event(e);
    g->heard++;
    if (g->shout == g->heard) wisp_fire_values(e->w, "chat", wisp_to_except(&e->peer, 1), &loud, 1);
    else wisp_fire_values(e->w, "chat", wisp_to_except(&e->peer, 1), e->args, e->count);
}

static inline void tape_game_shot(wisp_event *e) {
    const tape_shot *shot = (const tape_shot *)wisp_arg_struct(e, 0, &tape_shot_schema);
    tape_game *g = (tape_game *)e->user;
    tape_orb *orb;
    wisp_value back;
    tape_shot other;
    tape_game_event(e);
    if (!shot) return;
    memset(&other, 0, sizeof other);
    other.who = shot->who + 1;
    other.angle = -shot->angle;
    other.speed = shot->speed;
    back = wisp_struct(&tape_shot_schema, &other);
    wisp_fire_values(e->w, "shot", wisp_to_all(), &back, 1);
    orb = (tape_orb *)wisp_object_edit(e->w, g->orb[shot->who % TAPE_ORBS]);
    if (orb && orb->hits < 900) orb->hits++;
}

static inline void tape_game_ask(wisp_event *e) {
    wisp_value sum = wisp_int(wisp_arg_int(e, 0) + 1);
    tape_game_event(e);
    if (wisp_arg_int(e, 0) % 3 == 0) wisp_refuse(e, WISP_E_USER - 1, "no %d", 3);
    else wisp_reply_values(e, &sum, 1);
}

static inline void tape_game_tick(wisp_event *e) {
    tape_game *g = (tape_game *)e->user;
    g->ticks++;
    tape_note(g->notes, &e->tick, 8);
    for (int i = 0; g->orbs.id && !g->starts && i < TAPE_ORBS; i++) {
        tape_orb orb;
        wisp_player nobody = { 0 };
        memset(&orb, 0, sizeof orb);
        orb.at.x = (float)i;
        g->orb[i] = wisp_spawn(e->w, g->orbs, nobody, &orb);
    }
    g->starts = true;
    for (int i = 0; i < TAPE_ORBS; i++) {
        tape_orb *orb = (tape_orb *)wisp_object_edit(e->w, g->orb[i]);
        if (!orb) continue;
        orb->at.x = orb->at.x > 90 ? -90 : orb->at.x + 0.1f * (float)(i + 1);
        orb->heat = (float)(e->tick % 400) * 0.1f;
        if (g->bend && g->ticks == g->bend && i == 2) orb->heat += 3;
    }
    if (e->tick % 50 == 0) {
        wisp_value value = wisp_int(e->tick);
        wisp_set_value(e->w, "round", &value);
    }
}

static inline void tape_game_setup(tape_game *g, wisp *w, tape_notes *notes) {
    static wisp_schema_entry entry;
    wisp_class_desc class_desc;
    wisp_property_desc property;
    memset(&entry, 0, sizeof entry);
    memset(&class_desc, 0, sizeof class_desc);
    memset(&property, 0, sizeof property);
    memset(notes, 0, sizeof *notes);
    g->notes = notes;
    g->starts = false;
    g->ticks = g->heard = 0;
    entry.remote = "shot";
    entry.schema = &tape_shot_schema;
    wisp_use_schemas(w, &entry, 1);
    class_desc.schema = &tape_orb_schema;
    g->orbs = wisp_define(w, "orb", &class_desc);
    property.initial = wisp_int(0);
    wisp_property(w, "round", &property);
    wisp_connect_target(w, wisp_by_name(WISP_JOINED), tape_game_event, g, false);
    wisp_connect_target(w, wisp_by_name(WISP_LEFT), tape_game_event, g, false);
    wisp_connect_target(w, wisp_by_name("chat"), tape_game_chat, g, false);
    wisp_connect_target(w, wisp_by_name("shot"), tape_game_shot, g, false);
    wisp_on_invoke_target(w, wisp_by_name("ask"), tape_game_ask, g);
    wisp_on_tick(w, tape_game_tick, g);
}

static inline wisp_desc tape_desc(wisp_link link, double rate) {
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.link = link;
    desc.app = "tape";
    desc.tick_rate = rate;
    return desc;
}

static inline void tape_client_event(wisp_event *e) { (void)e; }

static inline wisp_result tape_party_record(tape_party *p) {
    wisp_writer writer;
    memset(&writer, 0, sizeof writer);
    writer.write = tape_write;
    writer.user = &p->tape;
    writer.compression = p->compression;
    writer.packets = p->packets;
    return wisp_record(p->server, &writer);
}

static inline void tape_party_begin(tape_party *p, uint64_t seed) {
    wisp_desc desc;
    p->random = p->seed = seed;
    for (int i = 0; i <= TAPE_CLIENTS; i++) {
        p->net[i].seed = seed + (uint64_t)i;
        p->net[i].latency = 0.03;
        p->net[i].jitter = 0.01;
        p->net[i].loss = 0.05;
    }
    desc = tape_desc(wisp_simulate(&p->net[0], wisp_loopback(&p->pipe, 0)), 30);
    p->server = wisp_create(&desc, NULL);
}

static inline void tape_party_join(tape_party *p) {
    wisp_addr to = wisp_loopback_addr(0);
    wisp_schema_entry entry;
    wisp_class_desc class_desc;
    memset(&entry, 0, sizeof entry);
    memset(&class_desc, 0, sizeof class_desc);
    entry.remote = "shot";
    entry.schema = &tape_shot_schema;
    class_desc.schema = &tape_orb_schema;
    for (int i = 0; i < TAPE_CLIENTS; i++) {
        wisp_link link = wisp_simulate(&p->net[i + 1], wisp_loopback(&p->pipe, i + 1));
        wisp_desc desc = tape_desc(link, 0);
        desc.seed = p->seed + 100 + (uint64_t)i;
        p->clients[i] = wisp_create(&desc, NULL);
        wisp_use_schemas(p->clients[i], &entry, 1);
        wisp_define(p->clients[i], "orb", &class_desc);
        wisp_connect_target(p->clients[i], wisp_by_name("chat"), tape_client_event, NULL, false);
        wisp_connect_target(p->clients[i], wisp_by_name("shot"), tape_client_event, NULL, false);
        wisp_on_tick(p->clients[i], tape_client_event, NULL);
        wisp_join(p->clients[i], &to, NULL, 0);
    }
}

static inline void tape_party_open(tape_party *p, uint64_t seed) {
    wisp_compression compression = p->compression;
    bool packets = p->packets;
    memset(p, 0, sizeof *p);
    p->compression = compression;
    p->packets = packets;
    tape_party_begin(p, seed);
    CHECK_EQ_INT(tape_party_record(p), WISP_OK);
    tape_game_setup(&p->game, p->server, &p->notes);
    tape_party_join(p);
}

/* What clients do in a step. */
static inline void tape_party_clients(tape_party *p) {
    for (int i = 0; i < TAPE_CLIENTS; i++) {
        uint64_t dice = p->random = wisp__mix(p->random + 1);
        wisp_value value = wisp_string_n("hello from here", (int)(dice >> 8) % 15);
        tape_shot shot;
        memset(&shot, 0, sizeof shot);
        if (dice % 7 == 0)
            wisp_fire_values(p->clients[i], "chat", wisp_to_peer(wisp_server()), &value, 1);
        shot.who = (uint32_t)(dice >> 16) % 1000;
        shot.angle = (float)(dice >> 40 & 1023) / 300;
        shot.speed = 1.5f;
        value = wisp_struct(&tape_shot_schema, &shot);
        if (dice % 5 == 0)
            wisp_fire_values(p->clients[i], "shot", wisp_to_peer(wisp_server()), &value, 1);
        value = wisp_int((int64_t)(dice >> 20 & 63));
        if (dice % 11 == 0)
            wisp_invoke_values(p->clients[i], "ask", wisp_to_peer(wisp_server()), NULL, &value, 1);
    }
}

/* What the server's program does outside of handlers. */
static inline void tape_party_outside(tape_party *p) {
    wisp *w = p->server;
    uint64_t dice = wisp__mix(p->random + 77);
    wisp_value values[3];
    tape_orb *orb;
    values[0] = wisp_number((double)(dice & 255) / 3);
    values[1] = wisp_vec3v(1, 2, (float)(dice & 7));
    values[2] = wisp_array(values, 2);
    if (dice % 13 == 0) wisp_fire_values(w, "chat", wisp_to_all(), values, 3);
    if (dice % 17 == 0) wisp_set_value(w, "round", &values[0]);
    if (dice % 19 == 0) wisp_set_channel(w, "chat", (int)(dice >> 10) % 16);
    if (dice % 23 == 0) wisp_flush_batches(w);
    if (dice % 29 == 0 && (orb = (tape_orb *)wisp_object_edit(w, p->game.orb[1])) != NULL)
        orb->heat = (float)(dice & 15);
    if (dice % 31 == 0) wisp_tag(w, p->game.orb[dice >> 9 & 3], "hot");
    if (dice % 37 == 0) wisp_untag(w, p->game.orb[dice >> 9 & 3], "hot");
    if (dice % 41 == 0) wisp_group_named(w, "reds");
}

static inline void tape_party_run(tape_party *p, double seconds) {
    double end = p->now + seconds;
    while (p->now < end) {
        uint64_t dice = p->random = wisp__mix(p->random + 3);
        p->now += 0.01 + (double)(dice & 1023) * 1e-5;
        for (int i = 0; i <= TAPE_CLIENTS; i++) p->net[i].now = p->now;
        tape_party_clients(p);
        tape_party_outside(p);
        wisp_update(p->server, p->now);
        for (int i = 0; i < TAPE_CLIENTS; i++) wisp_update(p->clients[i], p->now);
    }
}

static inline void tape_party_close(tape_party *p) {
    if (p->server) CHECK_EQ_INT(wisp_record(p->server, NULL), WISP_OK);
    for (int i = 0; i < TAPE_CLIENTS; i++) wisp_destroy(p->clients[i]);
    memset(p->clients, 0, sizeof p->clients);
    wisp_destroy(p->server);
    p->server = NULL;
    for (int i = 0; i <= TAPE_CLIENTS; i++) wisp_simulator_free(&p->net[i]);
    wisp_pipe_free(&p->pipe);
}

static inline int tape_party_read(void *user, void *out, int size) {
    return tape_read(&((tape_party *)user)->tape, out, size);
}

static inline void tape_party_state(void *user, const void *bytes, int size) {
    tape_party *p = (tape_party *)user;
    p->state(&p->game, bytes, size);
}

/* Plays the tape. */
static inline void tape_party_replay(tape_party *p, void (*also)(tape_party *p, wisp *w)) {
    wisp_reader reader;
    wisp_desc desc;
    wisp_link none;
    wisp_result why = WISP_OK;
    wisp *w;
    memset(&none, 0, sizeof none);
    reader.user = p;
    reader.read = tape_party_read;
    reader.state = p->state ? tape_party_state : NULL;
    p->tape.read = 0;
    desc = tape_desc(wisp_loopback(&p->pipe, 0), 30);
    w = wisp_replay(&reader, &desc, &why);
    p->told[0] = 0;
    p->result = why;
    if (!CHECK(w != NULL)) return;
    if (p->before) p->before(w);
    tape_game_setup(&p->game, w, &p->again);
    if (also) also(p, w);
    while ((p->result = wisp_update(w, 0)) == WISP_OK || p->result == WISP_E_DIVERGED)
        if (p->result == WISP_E_DIVERGED)
            snprintf(p->told, sizeof p->told, "%s", w->tape->play->text);
    wisp_destroy(w);
    wisp_pipe_free(&p->pipe);
}

#endif
