/* simulated_endpoints.h - endpoints in one process, on simulated time, with a log of their events

       world w;
       world_open(&w);
       wisp *server = world_add(&w), *client = world_add(&w);
       wisp_peer to_server = world_join(&w, client, server);
       world_watch(&w, server, "hp");
       wisp_fire(client, "hp", to_server, wisp_int(100));
       world_run(&w, 0.1);
       CHECK_EQ_INT(world_last(&w, server, "hp")->number, 100);
       world_close(&w);

   Included after the implementation of wisp.h and after test.h. Endpoints are sides of one pipe.
   Between open and add the fields of `w.desc`, `w.pipe` and `w.net` may be set: they are what the
   next endpoint gets; with `w.bad` its link is a simulator, which `w.sims[i]` reaches later; a
   `w.tap` sees every datagram on its way out, and may lose it or double it. Every
   step advances the time by `w.step` and updates each endpoint once, in the order they were added.
   No loop runs longer than the simulated time it was given.
*/
#ifndef SIMULATED_ENDPOINTS_H
#define SIMULATED_ENDPOINTS_H

#include <stdlib.h>

enum { WORLD_ENDS = 40, WORLD_TEXT = 260 };

/* What a handler was told. */
typedef struct world_note {
    const wisp *end;
    wisp_peer   peer;
    wisp_remote remote;
    wisp_result result;
    int         count;                /* of the values */
    int64_t     number;               /* the first of them, if it is a whole number; else 0 */
    double      time;                 /* of the world */
    char        name[WORLD_TEXT];
    char        text[WORLD_TEXT];     /* event->text; if that is empty the first value */
} world_note;

typedef struct world world;

/* Is shown what the n-th endpoint puts into the pipe; returns how many times it goes on: 0 loses
   it. It may change the bytes. */
typedef int (*world_tap)(world *w, int n, wisp_packet *packet);

typedef struct world_way { world *w; int n; wisp_link pipe; } world_way;

struct world {
    wisp_pipe      pipe;
    wisp_desc      desc;
    wisp_simulator net;
    bool           bad;
    bool           foreign;           /* takes what peers that join describe, for all names */
    bool           unchecked;         /* leave out the rooms' own checks after each step */
    double         now, step;         /* seconds */
    int            count;
    wisp          *ends[WORLD_ENDS];  /* NULL once destroyed */
    wisp_simulator sims[WORLD_ENDS];
    world_tap      tap;               /* NULL: all goes on once */
    void          *user;              /* the tap's */
    world_way      ways[WORLD_ENDS];
    world_note    *notes;
    int            note_count, note_room;
};

static inline void world_open(world *w) {
    memset(w, 0, sizeof *w);
    w->step = 0.01;
    w->desc.app = "test";
}

static inline int world_way_send(void *user, wisp_packet *packets, int count) {
    world_way *way = (world_way *)user;
    if (!way->w->tap) return way->pipe.send(way->pipe.user, packets, count);
    for (int i = 0; i < count; i++) {
        int copies = way->w->tap(way->w, way->n, &packets[i]);
        packets[i].status = 0;
        for (int copy = 0; copy < copies; copy++) way->pipe.send(way->pipe.user, &packets[i], 1);
    }
    return count;
}

static inline int world_way_recv(void *user, wisp_packet *packets, int count) {
    world_way *way = (world_way *)user;
    return way->pipe.recv(way->pipe.user, packets, count);
}

/* The n-th side of the pipe, with the tap before it. */
static inline wisp_link world_link(world *w, int n) {
    wisp_link link = wisp_loopback(&w->pipe, n);
    w->ways[n].w = w;
    w->ways[n].n = n;
    w->ways[n].pipe = link;
    link.send = world_way_send;
    link.recv = world_way_recv;
    link.user = &w->ways[n];
    return link;
}

/* A setting for all names: what peers that join describe is taken. */
static inline void world_take_foreign(wisp *end) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.encode.foreign = WISP_ON;
    CHECK_EQ_INT(wisp_use_config(end, &config, NULL), WISP_OK);
}

/* The next endpoint: a loopback side, its simulator if the world is bad, and w->desc. */
static inline wisp *world_add(world *w) {
    wisp_desc desc = w->desc;
    int i = w->count;
    wisp_result why;
    if (i == WORLD_ENDS) return NULL;
    desc.link = world_link(w, i);
    if (w->bad) {
        w->sims[i] = w->net;
        w->sims[i].seed = w->net.seed + (uint64_t)i;
        desc.link = wisp_simulate(&w->sims[i], desc.link);
    }
    if (!desc.seed) desc.seed = (uint64_t)i + 1;
    w->ends[i] = wisp_create(&desc, &why);
    CHECK(w->ends[i] != NULL);
    if (w->foreign && w->ends[i]) world_take_foreign(w->ends[i]);
    w->count++;
    return w->ends[i];
}

static inline int world_index(const world *w, const wisp *end) {
    for (int i = 0; i < w->count; i++)
        if (w->ends[i] == end) return i;
    return -1;
}

/* One update of one endpoint at the world's time. */
static inline wisp_result world_update(world *w, int i) {
    wisp_result result = WISP_E_STALE;
    w->sims[i].now = w->now;
    if (w->ends[i]) result = wisp_update(w->ends[i], w->now);
    if (result == WISP_E_CLOSED) w->ends[i] = NULL;
    if (w->ends[i] && !w->unchecked) wisp__host_check(w->ends[i]);
    return result;
}

static inline void world_step(world *w) {
    w->now += w->step;
    for (int i = 0; i < w->count; i++) world_update(w, i);
}

static inline void world_run(world *w, double seconds) {
    int steps = (int)(seconds / w->step + 0.5);
    for (int i = 0; i < steps; i++) world_step(w);
}

/* Steps until `done` says so; false: it did not within `seconds`. */
static inline bool world_until(world *w, bool (*done)(const world *w, void *state), void *state,
                               double seconds) {
    int steps = (int)(seconds / w->step + 0.5);
    for (int i = 0; i < steps && !done(w, state); i++) world_step(w);
    return done(w, state);
}

static inline void world_destroy(world *w, wisp *end) {
    int i = world_index(w, end);
    if (i < 0) return;
    w->ends[i] = NULL;
    wisp_destroy(end);
}

static inline void world_close(world *w) {
    for (int i = 0; i < w->count; i++) world_destroy(w, w->ends[i]);
    for (int i = 0; i < w->count; i++) wisp_simulator_free(&w->sims[i]);
    wisp_pipe_free(&w->pipe);
    free(w->notes);
    w->notes = NULL;
}

static inline wisp_addr world_addr(const world *w, const wisp *end) {
    return wisp_loopback_addr(world_index(w, end));
}

/* Joins, and waits until both sides know. */
static inline wisp_peer world_join(world *w, wisp *from, const wisp *to) {
    wisp_addr addr = world_addr(w, to);
    wisp_peer peer = wisp_join(from, &addr, NULL, 0);
    int before = wisp_peers(to, NULL, 0);
    CHECK(peer.id != 0);
    for (int i = 0; i < 1000; i++) {
        world_step(w);
        if (wisp_peers(to, NULL, 0) > before && wisp_peers(from, NULL, 0) > 0) return peer;
    }
    CHECK(wisp_peers(from, NULL, 0) > 0 && wisp_peers(to, NULL, 0) > before);
    return peer;
}

/* The n-th peer that has joined an endpoint, or none. */
static inline wisp_peer world_peer(const wisp *end, int n) {
    wisp_peer peers[WORLD_ENDS], none = { 0 };
    int count = wisp_peers(end, peers, WORLD_ENDS);
    return n < count && n < WORLD_ENDS ? peers[n] : none;
}

/* --- the log --- */

static inline void world_copy(char to[WORLD_TEXT], const char *from) {
    size_t length = strlen(from);
    if (length > WORLD_TEXT - 1) length = WORLD_TEXT - 1;
    memcpy(to, from, length);
    to[length] = 0;
}

/* A handler that writes down what it gets; its user is the world. */
static inline void world_on(wisp_event *event) {
    world *w = (world *)event->user;
    world_note *note;
    wisp_value first = event->count ? event->args[0] : wisp_nil();
    if (w->note_count == w->note_room) {
        int room = w->note_room ? 2 * w->note_room : 64;
        void *larger = realloc(w->notes, (size_t)room * sizeof *w->notes);
        if (!larger) return;
        w->notes = (world_note *)larger;
        w->note_room = room;
    }
    note = &w->notes[w->note_count++];
    memset(note, 0, sizeof *note);
    note->end = event->w;
    note->peer = event->peer;
    note->remote = event->remote;
    note->result = event->result;
    note->count = event->count;
    note->time = w->now;
    if (first.kind == WISP_INT) note->number = first.as.integer;
    if (first.kind == WISP_UINT) note->number = (int64_t)first.as.uinteger;
    world_copy(note->name, event->name);
    world_copy(note->text, event->text[0] || first.kind != WISP_STRING ? event->text
                                                                       : first.as.string);
}

static inline wisp_connection world_watch(world *w, wisp *end, const char *name) {
    wisp_connection connection = wisp_connect_target(end, wisp_by_name(name), world_on, w, false);
    CHECK(connection.id != 0);
    return connection;
}

/* The n-th note, from 0, of an endpoint (NULL: any) about a name (NULL: any); NULL: none. */
static inline const world_note *world_nth(const world *w, const wisp *end, const char *name,
                                          int n) {
    for (int i = 0; i < w->note_count; i++) {
        const world_note *note = &w->notes[i];
        if ((end && note->end != end) || (name && strcmp(note->name, name) != 0)) continue;
        if (n-- == 0) return note;
    }
    return NULL;
}

static inline int world_count(const world *w, const wisp *end, const char *name) {
    int count = 0;
    for (int i = 0; i < w->note_count; i++) {
        const world_note *note = &w->notes[i];
        count += (!end || note->end == end) && (!name || strcmp(note->name, name) == 0);
    }
    return count;
}

/* The newest note; a note of nothing when there is none. */
static inline const world_note *world_last(const world *w, const wisp *end, const char *name) {
    static const world_note nothing = { NULL, { 0 }, { 0 }, 0, 0, 0, 0, "", "" };
    int count = world_count(w, end, name);
    return count ? world_nth(w, end, name, count - 1) : &nothing;
}

/* How many notes of a name have this result. */
static inline int world_results(const world *w, const wisp *end, const char *name,
                                wisp_result result) {
    int count = 0;
    for (int i = 0; i < w->note_count; i++) {
        const world_note *note = &w->notes[i];
        if (note->result != result || (end && note->end != end)) continue;
        count += strcmp(note->name, name) == 0;
    }
    return count;
}

/* Are the numbers of an endpoint's notes of a name first, first + 1 .. in this order? */
static inline bool world_counts_up(const world *w, const wisp *end, const char *name,
                                   int64_t first) {
    for (int i = 0; i < w->note_count; i++) {
        const world_note *note = &w->notes[i];
        if (note->end != end || strcmp(note->name, name) != 0) continue;
        if (note->number != first++) return false;
    }
    return true;
}

static inline void world_forget(world *w) { w->note_count = 0; }

/* --- shorthands over the public calls --- */

static inline wisp_result world_fire(wisp *from, const char *name, wisp_peer to, int64_t number) {
    wisp_value value = wisp_int(number);
    return wisp_fire_values(from, name, wisp_to_peer(to), &value, 1);
}

static inline wisp_remote_stats world_remote_stats(const wisp *end, const char *name) {
    wisp_remote_stats stats;
    wisp_stats_remote(end, name, &stats);
    return stats;
}

static inline wisp_peer_stats world_peer_stats(const wisp *end, wisp_peer peer) {
    wisp_peer_stats stats;
    wisp_stats_peer(end, peer, &stats);
    return stats;
}

static inline wisp_total_stats world_total(const wisp *end) {
    wisp_total_stats stats;
    wisp_stats_total(end, &stats);
    return stats;
}

/* A server and a client that has joined it. */
typedef struct world_two {
    world     w;
    wisp     *server, *client;
    wisp_peer to_server, to_client;
} world_two;

/* Call world_open first, and set what the endpoints shall be made of. */
static inline void world_two_join(world_two *t) {
    t->server = world_add(&t->w);
    t->client = world_add(&t->w);
    t->to_server = world_join(&t->w, t->client, t->server);
    t->to_client = world_peer(t->server, 0);
}

static inline void world_two_open(world_two *t) {
    world_open(&t->w);
    world_two_join(t);
}

/* A pair where the server notes one name, joined and with an empty log. */
static inline void world_two_watched(world_two *t, const char *name) {
    world_two_open(t);
    world_watch(&t->w, t->server, name);
    world_run(&t->w, 0.3);
    world_forget(&t->w);
}

/* What an endpoint sends under a name, and how. */
static inline wisp_result use_schema(wisp *end, const char *name, const wisp_schema *schema) {
    wisp_schema_entry entry;
    memset(&entry, 0, sizeof entry);
    entry.remote = name;
    entry.schema = schema;
    return wisp_use_schemas(end, &entry, 1);
}

static inline wisp_result use_encoding(wisp *end, const char *name, wisp_encode_mode mode,
                                       const wisp_codec *codec, wisp_compression compression) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.encode.mode = mode;
    config.encode.codec = codec;
    config.encode.compression = compression;
    return wisp_use_config(end, &config, name);
}

/* How many schemas an endpoint has; *learnt: the bytes of those that peers have described. */
static inline int world_schemas(const wisp *end, int64_t *learnt) {
    const wisp__schemas *schemas = &end->registry.schemas;
    int count = 0;
    *learnt = 0;
    for (int i = 0; i < WISP__SCHEMA_BUCKETS; i++)
        for (const wisp__described *d = schemas->buckets[i]; d; d = d->same) {
            *learnt += d->learnt ? (int64_t)d->bytes : 0;
            count++;
        }
    return count;
}

/* The same, of endpoints that take every form of who joins. */
static inline void world_two_open_foreign(world_two *t) {
    world_open(&t->w);
    t->w.foreign = true;
    world_two_join(t);
}

#endif /* SIMULATED_ENDPOINTS_H */
