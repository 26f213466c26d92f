/* load_ends.h - the ends of a run: our own server, the clients, and ends that misbehave */
#ifndef LOAD_ENDS_H
#define LOAD_ENDS_H

/* --- places: sockets, or sides of a pipe in simulated time ------------------ */

/* Where the ends of a process are. */
typedef struct place {
    bool      simulated;
    bool      everywhere;                /* sockets of all addresses, for --really */
    bool      foreign;                   /* the server is somebody else's */
    double    now;                       /* simulated seconds */
    wisp_pipe pipe;
    int       sides;                     /* of the pipe that were given out */
    wisp_addr server;
} place;

enum { OLD_PACKETS = 64, PACKET_BYTES = 1500, SIDES_MOST = 60000, SERVER_SIDE = 0 };

typedef struct port {
    udp_socket socket;
    wisp_link  link;                     /* of the socket or the pipe */
    bool       open, simulated, muted, mangles, replays;
    uint64_t  *random, *bad_sent;
    struct { int size; uint8_t bytes[PACKET_BYTES]; } *old;     /* that were sent, for replays */
    unsigned   old_count;
} port;

static double place_now(const place *p) { return p->simulated ? p->now : udp_seconds(); }

static bool port_open(place *p, port *to) {
    memset(to, 0, sizeof *to);
    to->socket.handle = UDP__NO_HANDLE;
    to->simulated = p->simulated;
    if (p->simulated) {
        if (p->sides == SIDES_MOST) return false;
        to->link = wisp_loopback(&p->pipe, p->sides++);
        to->open = to->link.send != NULL;
    } else {
        to->open = udp_open(&to->socket, p->everywhere ? NULL : "127.0.0.1", 0);
        to->link = udp_link(&to->socket);
    }
    return to->open;
}

static void port_close(port *p) {
    if (p->open && !p->simulated) udp_close(&p->socket);
    free(p->old);
    memset(p, 0, sizeof *p);
}

static void port_send_one(port *p, const wisp_addr *to, void *bytes, int size) {
    wisp_packet packet = { .addr = *to, .data = bytes, .size = size };
    p->link.send(p->link.user, &packet, 1);
    ++*p->bad_sent;
}

/* What a misbehaving end sends beside a packet. */
static void port_misbehave(port *p, const wisp_packet *packet) {
    uint8_t bytes[PACKET_BYTES];
    if (packet->size < 1 || packet->size > PACKET_BYTES) return;
    if (p->mangles) {
        memcpy(bytes, packet->data, (size_t)packet->size);
        for (int i = 0; i < 3; i++)
            bytes[random_next(p->random) % (uint64_t)packet->size] ^=
                (uint8_t)(1 + random_next(p->random) % 255);
        port_send_one(p, &packet->addr, bytes, packet->size);
    }
    if (!p->replays) return;
    if (!p->old) p->old = calloc(OLD_PACKETS, sizeof *p->old);
    if (!p->old) return;
    p->old[p->old_count % OLD_PACKETS].size = packet->size;
    memcpy(p->old[p->old_count++ % OLD_PACKETS].bytes, packet->data, (size_t)packet->size);
}

static void port_replay(port *p, const wisp_addr *to) {
    unsigned most = p->old_count < OLD_PACKETS ? p->old_count : OLD_PACKETS;
    unsigned i = most ? (unsigned)(random_next(p->random) % most) : 0;
    if (most) port_send_one(p, to, p->old[i].bytes, p->old[i].size);
}

static int port_send(void *user, wisp_packet *packets, int count) {
    port *p = user;
    for (int i = 0; (p->mangles || p->replays) && !p->muted && i < count; i++)
        port_misbehave(p, &packets[i]);
    if (!p->muted) return p->link.send(p->link.user, packets, count);
    for (int i = 0; i < count; i++) packets[i].status = WISP_OK;
    return count;
}

static int port_recv(void *user, wisp_packet *packets, int count) {
    port *p = user;
    return p->muted ? 0 : p->link.recv(p->link.user, packets, count);
}

static wisp_link port_link(port *p) {
    wisp_link link = p->link;
    link.send = port_send;
    link.recv = port_recv;
    link.user = p;
    return link;
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Seconds that this process could have run and had to wait for a core (Linux; else 0). */
static double waited_seconds(void) {
    unsigned long long ran = 0, waited = 0;
    FILE *from = fopen("/proc/self/schedstat", "r");
    if (!from) return 0;
    if (fscanf(from, "%llu %llu", &ran, &waited) != 2) waited = 0;
    fclose(from);
    return (double)waited * 1e-9;
}

/* --- classes and schemas of our own server ---------------------------------- */

typedef struct unit { double time; wisp_vec3 position; uint16_t health; } unit;

static const wisp_field unit_fields[] = {
    WISP_FIELD(unit, time, WISP_T_NUMBER),
    WISP_FIELD(unit, position, WISP_T_VEC3_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(unit, health, WISP_T_RANGE(0, 1000)),
};
static const wisp_schema unit_schema = WISP_SCHEMA(unit, 1, unit_fields);

/* An input; `time` is that of its last change. */
typedef struct press { double time; uint8_t bytes[48], count; } press;

static const wisp_type press_byte = WISP_T_UINT8;
static const wisp_field press_fields[] = {
    WISP_FIELD(press, time, WISP_T_NUMBER),
    WISP_COUNTED_FIELD(press, bytes, count, WISP_T_ARRAY(&press_byte, 48)),
};
static const wisp_schema press_schema = WISP_SCHEMA(press, 1, press_fields);

/* A message with a bit of everything. */
typedef struct mixed_part { float grid[3]; uint8_t raw[5]; uint8_t some[4]; uint8_t some_count; }
    mixed_part;
static const wisp_type mixed_float = WISP_T_FLOAT, mixed_byte = WISP_T_UINT8;
static const wisp_field mixed_part_fields[] = {
    WISP_FIELD(mixed_part, grid, WISP_T_ARRAY(&mixed_float, 3)),
    WISP_FIELD(mixed_part, raw, WISP_T_BYTES(5)),
    WISP_COUNTED_FIELD(mixed_part, some, some_count, WISP_T_ARRAY(&mixed_byte, 4)),
};
static const wisp_schema mixed_part_schema = WISP_SCHEMA(mixed_part, 1, mixed_part_fields);
static const char *const mixed_names[] = { "red", "green", "blue" };
static const wisp_type mixed_number = WISP_T_QUANTIZED(0, 1, 0.25);
static const wisp_type mixed_options[] = { WISP_T_BOOL, WISP_T_STRING(8) };
static const wisp_field mixed_fields[] = {
    WISP_MAP_FIELD("name", WISP_T_STRING(20)), WISP_MAP_FIELD("level", WISP_T_RANGE(-5, 70000)),
    WISP_MAP_FIELD("small", WISP_T_INT8), WISP_MAP_FIELD("large", WISP_T_UINT64),
    WISP_MAP_FIELD("where", WISP_T_VEC3_QUANTIZED(-50, 50, 0.5)),
    WISP_MAP_FIELD("turn", WISP_T_QUAT(10)), WISP_MAP_FIELD("hue", WISP_T_COLOR),
    WISP_MAP_FIELD("side", WISP_T_ENUM(mixed_names, 3)), WISP_MAP_FIELD("alive", WISP_T_BOOL),
    WISP_MAP_FIELD("list", WISP_T_ARRAY(&mixed_number, 9)), WISP_MAP_FIELD("raw", WISP_T_BYTES(30)),
    WISP_MAP_FIELD("either", WISP_T_UNION(mixed_options, 2)),
    WISP_MAP_FIELD("any", WISP_T_ANY), WISP_MAP_FIELD("speed", WISP_T_NUMBER_RANGE(0, 8)),
    WISP_MAP_FIELD("seven", WISP_T_LITERAL(7)),
    WISP_MAP_FIELD("part", WISP_T_STRUCT(&mixed_part_schema)),
    WISP_MAP_FIELD("exact", WISP_T_EXACT(WISP_VEC3)), WISP_MAP_FIELD("plane", WISP_T_VEC2),
    WISP_MAP_FIELD("place", WISP_T_TRANSFORM), WISP_MAP_FIELD("word", WISP_T_LITERAL_TEXT("yes")),
};
static const wisp_schema mixed_schema = WISP_MAP_SCHEMA("mixed", 1, mixed_fields);
#define MIXED_NAME "mixed"
#define FLOOD_NAME "load flood"

/* --- our own server --------------------------------------------------------- */

enum { OBJECTS_MOST = 65535, NEIGHBOURS = 16 };

typedef struct server {
    const scenario *s;
    place          *place;
    port            port;
    wisp           *w;
    figures         f;                   /* since they were told last */
    wisp_total_stats last;
    double          cpu;                 /* spent (simulated), or spent when told last */
    double          waited;              /* as was told last */
    double          next_edit, next_tell[ACTIONS_MOST];      /* when the next is due */
    wisp_peer       peers[16384];
    wisp_class      units, own;
    wisp_object    *objects;
    int             object_count;
    double          pressed[65536];      /* of a player's newest input */
    uint64_t        random;
} server;

/* Of a blob that was fired by a client: how long it took. */
static void server_timed(server *v, const wisp_event *event) {
    int size = 0;
    const char *bytes = event->count > 0 && event->args[0].kind == WISP_BYTES
                            ? wisp_string_of(&event->args[0], &size) : NULL;
    double fired;
    if (!bytes || size < (int)sizeof fired) return;
    memcpy(&fired, bytes, sizeof fired);
    fired = place_now(v->place) - fired;
    if (fired >= 0 && fired < 1e4) times_add(&v->f.times[FIRE_TIME], fired);
}

static void on_fired(wisp_event *event) {
    server *v = event->user;
    v->f.count[SERVER_RECEIVED]++;
    server_timed(v, event);
}

static void on_fired_reliable(wisp_event *event) {
    ((server *)event->user)->f.count[SERVER_RELIABLE]++;
    on_fired(event);
}

static void on_flood(wisp_event *event) { (void)event; }

static void on_call(wisp_event *event) {
    server *v = event->user;
    v->f.count[SERVER_RECEIVED]++;
    wisp_reply_values(event, event->args, event->count);
}

static void on_server_error(wisp_event *event) {
    ((server *)event->user)->f.count[SERVER_ERRORS]++;
}

static void on_server_joined(wisp_event *event) {
    server *v = event->user;
    unit state = { 0, { 0, 0, 0 }, 0 };
    if (v->own.id) wisp_spawn(v->w, v->own, wisp_player_of(v->w, event->peer), &state);
}

/* Each client sees the objects of a few others. */
static double own_interest(wisp *w, wisp_peer peer, wisp_object object, void *user) {
    (void)user;
    return wisp_player_of(w, peer).id / NEIGHBOURS == wisp_owner_of(w, object).id / NEIGHBOURS;
}

/* For wisp_top, and for this tool's figures at the end. */
static void on_top(wisp_event *event) {
    wisp_snapshot now;
    if (wisp_snapshot_take(event->w, wisp_arg_string(event, 0), &now) == WISP_OK)
        wisp_reply(event, wisp_struct(wisp_snapshot_schema(), &now));
}

/* Counts which inputs have come in time for the tick, and how long they took. */
static void on_server_tick(wisp_event *event) {
    server *v = event->user;
    double now = place_now(v->place);
    int count = wisp_peers(v->w, v->peers, 16384);
    for (int i = 0; i < count; i++) {
        int how = 0;
        wisp_player player = wisp_player_of(v->w, v->peers[i]);
        const press *p = wisp_input_of(v->w, player, &how);
        if (!p) continue;
        v->f.count[how == WISP_INPUT_FRESH ? SERVER_INPUTS : SERVER_NO_INPUT]++;
        if (p->time <= v->pressed[player.id]) continue;
        v->pressed[player.id] = p->time;
        times_add(&v->f.times[INPUT_TIME], now - p->time);
    }
}

static double server_clock(void *user) { return place_now(user); }

static void server_actions(server *v) {
    const scenario *s = v->s;
    for (int i = 0; i < s->action_count; i++) {
        const action *a = &s->actions[i];
        bool reliable = a->delivery == WISP_RELIABLE;
        if (strcmp(a->name, "*") == 0 || a->kind >= EDIT) continue;
        wisp_set_delivery(v->w, a->name, a->delivery);
        if (a->kind == TELL) continue;
        if (a->kind == INVOKE) wisp_on_invoke(v->w, a->name, on_call, v);
        else wisp_on(v->w, a->name, reliable ? on_fired_reliable : on_fired, v);
    }
    wisp_use_schemas(v->w, &(wisp_schema_entry){ MIXED_NAME, &mixed_schema, NULL, 0 }, 1);
    wisp_on(v->w, MIXED_NAME, on_fired_reliable, v);
    wisp_on(v->w, FLOOD_NAME, on_flood, v);
    wisp_set_unreliable(v->w, FLOOD_NAME, true);
    wisp_on(v->w, WISP_ERROR, on_server_error, v);
    wisp_on(v->w, WISP_JOINED, on_server_joined, v);
    wisp_on_invoke(v->w, "wisp_top", on_top, NULL);
}

static void server_spawn(server *v, const action *a) {
    v->objects = calloc((size_t)a->objects, sizeof *v->objects);
    for (int i = 0; v->objects && i < a->objects; i++) {
        unit state = { 0, { (float)(i % 100), 0, 0 }, 0 };
        v->objects[v->object_count++] = wisp_spawn(v->w, v->units, (wisp_player){ 0 }, &state);
    }
}

/* The classes are the same on both ends. */
static wisp_class_desc own_class(void) {
    return (wisp_class_desc){ .schema = &unit_schema, .authority = WISP_AUTHORITY_OWNER };
}

static void server_classes(server *v) {
    const scenario *s = v->s;
    wisp_class_desc units = { .schema = &unit_schema }, own = own_class();
    own.interest = own_interest;
    if (scenario_action(s, INPUT)) {
        wisp_use_input(v->w, &press_schema);
        wisp_on_tick(v->w, on_server_tick, v);
    }
    for (int i = 0; i < s->action_count; i++) {
        const action *a = &s->actions[i];
        if (a->kind == EDIT && !v->own.id) v->own = wisp_define(v->w, "own", &own);
        if (a->kind != OBJECTS || v->units.id) continue;
        v->units = wisp_define(v->w, "unit", &units);
        server_spawn(v, a);
    }
}

/* The port is open already: its number had to be known. */
static bool server_open(server *v) {
    const scenario *s = v->s;
    wisp_profiler profiler = { server_clock, NULL, v->place };
    wisp_desc desc = { .app = s->app, .app_version = s->app_version, .max_peers = 16384,
                       .timeout = s->timeout, .user = v };
    desc.link = port_link(&v->port);
    desc.tick_rate = scenario_has_state(s) ? s->tick : 0;
    desc.seed = s->simulated ? s->seed : 0;
    v->random = s->seed;
    v->w = wisp_create(&desc, NULL);
    if (!v->w) return false;
    wisp_use_budget(v->w, &s->budget);
    wisp_use_profiler(v->w, &profiler);
    server_actions(v);
    server_classes(v);
    return true;
}

/* To every client by itself, as states are that differ for each. */
static void server_tell(server *v, int action_index, double now) {
    const action *a = &v->s->actions[action_index];
    wisp_remote remote = wisp_remote_named(v->w, a->name);
    int count = wisp_peers(v->w, v->peers, 16384);
    uint8_t bytes[PACKET_BYTES];
    if (now < v->next_tell[action_index]) return;
    v->next_tell[action_index] += spread_draw(&a->every, &v->random);
    if (now > v->next_tell[action_index] + 1) v->next_tell[action_index] = now;
    for (int i = 0; i < count; i++) {
        int size = (int)spread_draw(&a->size, &v->random);
        if (size > PACKET_BYTES) size = PACKET_BYTES;
        for (int k = 0; k < size; k++) bytes[k] = (uint8_t)(random_next(&v->random) >> 32);
        if (size < (int)sizeof now) size = (int)sizeof now;
        memcpy(bytes, &now, sizeof now);
        wisp_send_bytes(v->w, remote, wisp_to_peer(v->peers[i]), bytes, size);
    }
}

/* All objects of the server at once, when it is time. */
static void server_edit(server *v, const action *a, double now) {
    if (now < v->next_edit) return;
    v->next_edit = now + spread_draw(&a->every, &v->random);
    for (int i = 0; i < v->object_count; i++) {
        unit *u = wisp_object_edit(v->w, v->objects[i]);
        if (!u) continue;
        u->time = now;
        u->position.x = (float)(random_unit(&v->random) * 100);
        u->health = (uint16_t)(random_next(&v->random) % 1000);
    }
}

static void server_step(server *v, double now) {
    double begin = cpu_seconds();
    wisp_update(v->w, now);
    for (int i = 0; i < v->s->action_count; i++) {
        const action *a = &v->s->actions[i];
        if (a->kind == OBJECTS) server_edit(v, a, now);
        if (a->kind == TELL) server_tell(v, i, now);
    }
    wisp_flush_batches(v->w);
    if (v->s->simulated) v->cpu += cpu_seconds() - begin;
}

static uint64_t resident_bytes(long pid) {
    char name[64];
    unsigned long pages = 0, resident = 0;
    FILE *from;
    snprintf(name, sizeof name, "/proc/%ld/statm", pid);
    from = fopen(name, "r");
    if (!from) return 0;
    if (fscanf(from, "%lu %lu", &pages, &resident) != 2) resident = 0;
    fclose(from);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Brings the figures up to date. */
static void server_collect(server *v) {
    wisp_total_stats now, *last = &v->last;
    uint64_t *c = v->f.count;
    double cpu = v->s->simulated ? v->cpu : cpu_seconds() - v->cpu;
    wisp_stats_total(v->w, &now);
    c[SERVER_MESSAGES_IN] += now.messages_received - last->messages_received;
    c[SERVER_MESSAGES_OUT] += now.messages_sent - last->messages_sent;
    c[SERVER_BYTES_IN] += now.bytes_received - last->bytes_received;
    c[SERVER_BYTES_OUT] += now.bytes_sent - last->bytes_sent;
    c[SERVER_FOREIGN] += now.packets_foreign - last->packets_foreign;
    c[SERVER_BAD_TAG] += now.packets_bad_tag - last->packets_bad_tag;
    c[SERVER_MALFORMED] += now.packets_malformed - last->packets_malformed;
    c[SERVER_FLOODED] += now.joins_flooded - last->joins_flooded;
    c[SERVER_CPU_US] += (uint64_t)(cpu * 1e6);
    v->cpu = v->s->simulated ? 0 : cpu_seconds();
    cpu = waited_seconds();
    if (!v->s->simulated) c[WAITED_US] += (uint64_t)((cpu - v->waited) * 1e6);
    v->waited = cpu;
    c[SERVER_MEMORY] = now.memory;
    c[SERVER_PEAK] = now.memory_peak;
    c[SERVER_RSS] = v->s->simulated ? 0 : resident_bytes((long)getpid());
    *last = now;
}

static void server_close(server *v) {
    if (v->w) wisp_destroy(v->w);
    port_close(&v->port);
    free(v->objects);
}

#endif
