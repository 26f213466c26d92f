/* load_clients.h - the clients of one process, and the ends that misbehave beside them */
#ifndef LOAD_CLIENTS_H
#define LOAD_CLIENTS_H

enum { TASKS_MOST = 64, ANNOUNCED_MOST = 256, BURST_MOST = 64, FLOOD_BURST = 200 };
#define NETWORK_STEP 0.005       /* seconds between updates of a client with a simulated network */
#define DRAIN_SECONDS 8.0

/* An action with its name, where "*" is one of many. */
typedef struct task {
    const action *a;
    char          name[WISP_SNAPSHOT_NAME + TEXT];
    wisp_encoding encode;
    bool          announced;
} task;

typedef struct crowd crowd;

typedef struct client {
    crowd         *crowd;
    figures       *f;                    /* where it counts */
    wisp          *w;
    port           port;
    wisp_simulator net;
    wisp_object    mine;
    wisp_total_stats last;
    uint64_t       random, session_reliable;
    double         join_at, begun, next, churn_at, due[TASKS_MOST];
    bool           takes[TASKS_MOST], netted, joined, ending, gone;
    uint8_t        input[INPUT_MOST];    /* of the next tick */
} client;

typedef struct outlaw {
    const bad *b;
    client     as;                       /* a client of its own, or just its port */
    double     due;
} outlaw;

struct crowd {
    const scenario *s;
    place          *place;
    int             index, of;           /* this process, of how many */
    bool            no_churn;            /* the end has come */
    bool            explained;           /* the first refusal was told */
    double          start;               /* when the run has begun */
    task            tasks[TASKS_MOST];
    int             task_count;
    client         *clients;
    int             count, connected;
    outlaw         *outlaws;
    int             outlaw_count;
    client          scout;               /* its session keeps what the server announced */
    figures         f;                   /* since they were told last */
    figures         others;              /* of the scout and the outlaws: no figures of clients */
    uint64_t        random;
    double          cpu, waited;         /* as was told last */
    maker           maker;
    wisp_schema     input;               /* of the inputs, as structs */
    wisp_field      input_fields[INPUT_FIELDS];
};

/* --- one client ------------------------------------------------------------- */

static double busy_until(const crowd *k) { return k->start + scenario_seconds(k->s); }

/* Says why something is refused, once. */
static void crowd_explain(crowd *k, const char *what, const wisp *w) {
    if (!k->explained) fprintf(stderr, "wisp_load: %s: %s\n", what, wisp_why_text(w));
    k->explained = true;
}

static void client_collect(client *c) {
    wisp_total_stats now, *last = &c->last;
    uint64_t *sum = c->f->count;
    if (!c->w) return;
    wisp_stats_total(c->w, &now);
    sum[BYTES_OUT] += now.bytes_sent - last->bytes_sent;
    sum[BYTES_IN] += now.bytes_received - last->bytes_received;
    sum[PACKETS_OUT] += now.packets_sent - last->packets_sent;
    sum[PACKETS_IN] += now.packets_received - last->packets_received;
    sum[MESSAGES_IN] += now.messages_received - last->messages_received;
    sum[ABANDONED] += now.messages_abandoned - last->messages_abandoned;
    *last = now;
}

static void on_client_joined(wisp_event *event) {
    client *c = event->user;
    crowd *k = c->crowd;
    double now = place_now(k->place);
    c->joined = true;
    if (c->f == &k->f) k->connected++;
    c->f->count[JOINED]++;
    times_add(&c->f->times[JOIN_TIME], now - c->begun);
    for (int i = 0; i < k->task_count; i++) {
        const action *a = k->tasks[i].a;
        c->takes[i] = random_unit(&c->random) < a->share || a->share >= 1;
        c->due[i] = now;
        if (!a->once) c->due[i] += spread_draw(&a->every, &c->random) * random_unit(&c->random);
    }
    if (k->no_churn && !c->ending) wisp_leave(c->w, event->peer, "too late");
    if (k->s->churn.a > 0) c->churn_at = now + spread_draw(&k->s->churn, &c->random);
}

static void on_client_left(wisp_event *event) {
    client *c = event->user;
    crowd *k = c->crowd;
    wisp_peer_stats stats;
    wisp_stats_peer(c->w, event->peer, &stats);
    c->f->count[RESENT] += stats.messages_resent;
    c->gone = true;
    if (c->joined && c->f == &k->f) k->connected--;
    if (!c->joined && !k->no_churn) c->f->count[JOINS_FAILED]++;
    if (c->joined && !c->ending && !k->no_churn) c->f->count[LOST_SESSIONS]++;
    c->session_reliable = 0;
}

static void on_unit(wisp_event *event) {
    client *c = event->user;
    unit now;
    double age;
    c->f->count[SEEN_OBJECTS]++;
    memcpy(&now, event->state, sizeof now);
    age = place_now(c->crowd->place) - now.time;
    if (now.time > 0 && age >= 0 && !wisp_is_mine(c->w, event->object))
        times_add(&c->f->times[OBJECT_TIME], age);
}

static wisp_result on_unit_spawned(wisp_event *event) {
    client *c = event->user;
    if (wisp_is_mine(c->w, event->object)) c->mine = event->object;
    return WISP_OK;
}

static void on_unit_gone(wisp_event *event) {
    client *c = event->user;
    if (event->object.id == c->mine.id) c->mine.id = 0;
}

static void on_news(wisp_event *event) { (void)event; }

/* Our own server tells when it fired. */
static void on_told(wisp_event *event) {
    client *c = event->user;
    int size = 0;
    const void *bytes = wisp_arg_bytes(event, 0, &size);
    double fired, now = place_now(c->crowd->place);
    c->f->count[TOLD]++;
    if (!bytes || size < (int)sizeof fired) return;
    memcpy(&fired, bytes, sizeof fired);
    if (now >= fired && now - fired < 1e4) times_add(&c->f->times[TELL_TIME], now - fired);
}

/* The network of a client is settled by its number, so that the shares are exact. */
static void client_network(client *c, int number) {
    const scenario *s = c->crowd->s;
    double at = (number % 1000 + 0.5) / (s->clients < 1000 ? s->clients : 1000), sum = 0;
    for (int i = 0; i < s->network_count; i++) {
        sum += s->networks[i].share;
        if (at >= sum) continue;
        c->netted = true;
        c->net.seed = c->random;
        wisp_simulator_set(&c->net, s->networks[i].text);
        if (!c->net.capacity) c->net.capacity = c->net.in.capacity = 4096;
        return;
    }
}

static void client_classes(client *c) {
    const scenario *s = c->crowd->s;
    wisp_class_desc own = own_class(), units;
    own.spawned = on_unit_spawned;
    own.changed = on_unit;
    own.despawned = on_unit_gone;
    own.user = c;
    units = own;
    units.authority = WISP_AUTHORITY_SERVER;
    for (int i = 0; i < s->action_count; i++) {
        if (s->actions[i].kind == EDIT) wisp_define(c->w, "own", &own);
        if (s->actions[i].kind == OBJECTS) wisp_define(c->w, "unit", &units);
    }
}

static void on_sample(wisp *w, void *input, void *user) {
    client *c = user;
    (void)w;
    c->f->count[INPUTS]++;
    memcpy(input, c->input, (size_t)c->crowd->input.bytes);
}

/* A scout learns the schema of the inputs because it has inputs of its own. */
static void client_inputs(client *c) {
    crowd *k = c->crowd;
    if (!scenario_action(k->s, INPUT)) return;
    if (wisp_use_input(c->w, k->input.bytes ? &k->input : &press_schema) != WISP_OK)
        crowd_explain(k, "input", c->w);
    else if (k->input.bytes) wisp_on_input(c->w, on_sample, c);
}

static void client_settings(client *c) {
    crowd *k = c->crowd;
    client_classes(c);
    client_inputs(c);
    for (int i = 0; i < k->task_count; i++) {
        const task *t = &k->tasks[i];
        wisp_config config = { .encode = t->encode, .delivery = t->a->delivery };
        if (t->a->kind < EDIT) wisp_use_config(c->w, &config, t->name);
        if (t->a->kind == TELL) wisp_on(c->w, t->name, on_told, c);
    }
    wisp_on(c->w, WISP_JOINED, on_client_joined, c);
    wisp_on(c->w, WISP_LEFT, on_client_left, c);
    wisp_set_unreliable(c->w, FLOOD_NAME, true);
    wisp_connect_match(c->w, "", on_news, c);    /* takes what the server fires */
}

/* Opens a port and an endpoint, and joins. */
static bool client_open(client *c, double now) {
    crowd *k = c->crowd;
    const scenario *s = k->s;
    wisp_desc desc = { .app = s->app, .app_version = s->app_version, .max_peers = 1,
                       .refuse_joins = true, .timeout = s->timeout };
    if (!port_open(k->place, &c->port)) return false;
    c->port.random = &c->random;
    c->port.bad_sent = &k->f.count[BAD_SENT];
    desc.link = port_link(&c->port);
    if (c->netted) desc.link = wisp_simulate(&c->net, desc.link);
    desc.seed = s->simulated ? random_next(&c->random) | 1 : 0;
    desc.limits.matched_names = ANNOUNCED_MOST;
    c->joined = c->ending = c->gone = false;
    c->mine.id = 0;
    memset(&c->last, 0, sizeof c->last);
    c->begun = c->next = c->net.now = now;
    if ((c->w = wisp_create(&desc, NULL)) == NULL) return false;
    client_settings(c);
    c->f->count[JOINS_BEGUN]++;
    wisp_update(c->w, now);
    return wisp_join(c->w, &k->place->server, s->ticket, (int)strlen(s->ticket)).id != 0;
}

/* `muted`: without a word to the server. */
static void client_close(client *c, bool muted) {
    if (!c->w) return;
    c->port.muted = muted;
    c->ending = true;
    client_collect(c);
    if (!c->gone) {
        wisp_leave(c->w, WISP_SERVER, "bye");
        if (!muted) wisp_update(c->w, place_now(c->crowd->place));
        client_collect(c);
    }
    wisp_destroy(c->w);
    c->w = NULL;
    if (c->netted) wisp_simulator_free(&c->net);
    port_close(&c->port);
}

/* --- what a client does ----------------------------------------------------- */

static void on_reply(wisp_event *event) {
    client *c = event->user;
    double begun, now = place_now(c->crowd->place);
    int size = 0;
    const char *bytes = event->count > 0 && event->args[0].kind == WISP_BYTES
                            ? wisp_string_of(&event->args[0], &size) : NULL;
    if (event->result != WISP_OK) {
        if (!c->ending && !c->crowd->no_churn) c->f->count[CALLS_FAILED]++;
        return;
    }
    c->f->count[REPLIES]++;
    if (!bytes || size < (int)sizeof begun) return;
    memcpy(&begun, bytes, sizeof begun);
    if (now >= begun && now - begun < 1e4) times_add(&c->f->times[CALL_TIME], now - begun);
}

/* Calls of other servers do not send a time back: then it is kept here. */
typedef struct asked { client *c; double begun; } asked;

static void on_foreign_reply(wisp_event *event) {
    asked *q = event->user;
    figures *f = q->c->f;
    double now = place_now(q->c->crowd->place);
    if (event->result == WISP_OK) {
        f->count[REPLIES]++;
        times_add(&f->times[CALL_TIME], now - q->begun);
    } else if (!q->c->ending && !q->c->crowd->no_churn) {
        f->count[CALLS_FAILED]++;
    }
    free(q);
}

/* The values of a message: of the scenario's kinds, of a schema, or a blob with the time. */
static const wisp_value *task_values(client *c, const task *t, double now, int *count) {
    maker *m = &c->crowd->maker;
    const action *a = t->a;
    wisp_value *values, made;
    int size = (int)spread_draw(&a->size, &c->random);
    maker_begin(m, &c->random);
    *count = a->part_count > 0 ? a->part_count : 1;
    values = maker_values(m, count);
    for (int i = 0; i < a->part_count; i++) values[i] = maker_part(m, &a->parts[i]);
    if (a->part_count > 0) return values;
    if (t->encode.schema) {
        made = maker_of_schema(m, t->encode.schema, 0);
        values[0] = made;
        if (made.kind != WISP_ARRAY) return values;
        *count = made.count;
        return made.as.array;
    }
    if (size < (int)sizeof now) size = (int)sizeof now;
    values[0] = maker_blob(m, size > 60000 ? 60000 : size);
    memcpy(m->bytes, &now, sizeof now);
    return values;
}

static void client_invoke(client *c, const task *t, double now) {
    bool timed = t->a->part_count == 0 && !t->encode.schema;
    wisp_call_desc how = { .on_reply = timed ? on_reply : on_foreign_reply, .user = c };
    asked *q = timed ? NULL : calloc(1, sizeof *q);
    int count;
    const wisp_value *values = task_values(c, t, now, &count);
    if (!timed && !q) return;
    if (q) *q = (asked){ c, now };
    if (q) how.user = q;
    c->f->count[CALLS]++;
    if (wisp_invoke_values(c->w, t->name, wisp_to_peer(WISP_SERVER), &how, values, count).id)
        return;
    c->f->count[FIRE_REFUSED]++;
    free(q);
}

static void client_fired(client *c, const task *t, wisp_result result) {
    uint64_t *sum = c->f->count;
    if (result != WISP_OK) {
        crowd_explain(c->crowd, t->name, c->w);
        sum[FIRE_REFUSED]++;
        return;
    }
    sum[FIRED]++;
    if (t->a->delivery != WISP_RELIABLE) return;
    sum[FIRED_RELIABLE]++;
    c->session_reliable++;
}

/* The input changes: to random values of its schema, or of our own to the time and some bytes. */
static void client_input(client *c, const task *t, double now) {
    crowd *k = c->crowd;
    int size = (int)spread_draw(&t->a->size, &c->random);
    wisp_value made;
    press p = { .time = now };
    maker_begin(&k->maker, &c->random);
    if (k->input_fields[0].name) {
        made = maker_of_schema(&k->maker, &k->input, 0);
        wisp_fill_struct(&k->input, &made, c->input, NULL, 0);
        return;
    }
    p.count = (uint8_t)(size < (int)sizeof p.bytes ? size : (int)sizeof p.bytes);
    for (int i = 0; i < p.count; i++) p.bytes[i] = (uint8_t)(random_next(&c->random) >> 32);
    memcpy(c->input, &p, sizeof p);
}

static void client_edit(client *c, double now) {
    unit *u = c->mine.id ? wisp_object_edit(c->w, c->mine) : NULL;
    if (!u) return;
    c->f->count[EDITS]++;
    u->time = now;
    u->position.x = (float)(random_unit(&c->random) * 100);
    u->health = (uint16_t)(random_next(&c->random) % 1000);
}

static void client_perform(client *c, const task *t, double now) {
    const wisp_value *values;
    int count;
    switch (t->a->kind) {
    case INVOKE: client_invoke(c, t, now); return;
    case INPUT: client_input(c, t, now); return;
    case EDIT: client_edit(c, now); return;
    case OBJECTS: case TELL: return;
    default: break;
    }
    values = task_values(c, t, now, &count);
    client_fired(c, t, wisp_fire_values(c->w, t->name, wisp_to_peer(WISP_SERVER), values, count));
}

static void client_act(client *c, double now) {
    crowd *k = c->crowd;
    for (int i = 0; i < k->task_count; i++) {
        const action *a = k->tasks[i].a;
        bool over = a->to > 0 && now > k->start + a->to;
        if (!c->takes[i] || over || now < k->start + a->from) continue;
        for (int n = 0; now >= c->due[i] && n < BURST_MOST; n++) {
            client_perform(c, &k->tasks[i], now);
            c->due[i] += a->once ? 1e9 : spread_draw(&a->every, &c->random);
        }
        if (now > c->due[i] + 1) c->due[i] = now;        /* no more than a second is made up for */
    }
}

/* Leaves or vanishes, and joins anew; after a failure too. */
static void client_churn(client *c, double now) {
    crowd *k = c->crowd;
    bool due = c->joined && c->churn_at > 0 && now >= c->churn_at;
    if (k->no_churn || (!due && !c->gone && c->w)) return;
    if (!c->w && now < c->join_at) return;
    if (c->w) {
        if (due) c->f->count[k->s->leaves ? LEAVES : VANISHED]++;
        client_close(c, due && !k->s->leaves);
        c->join_at = now + 0.5;                          /* a server that refuses is not stormed */
        return;
    }
    client_open(c, now);
}

static void client_step(client *c, double now) {
    const crowd *k = c->crowd;
    client_churn(c, now);
    c->next = now + (c->netted ? NETWORK_STEP : 1 / k->s->tick);
    if (!c->w) return;
    c->net.now = now;
    wisp_update(c->w, now);
    if (!c->joined || c->gone || c->ending || now >= busy_until(k)) return;
    client_act(c, now);
    wisp_flush_batches(c->w);
}

/* --- ends that misbehave ---------------------------------------------------- */

static void outlaw_open(crowd *k, outlaw *o, const bad *b, uint64_t seed) {
    client *c = &o->as;
    o->b = b;
    o->due = k->start + b->from;
    c->crowd = k;
    c->f = &k->others;
    c->random = seed | 1;
}

static void outlaw_garbage(outlaw *o) {
    uint8_t bytes[PACKET_BYTES];
    client *c = &o->as;
    int size = (int)spread_draw(&o->b->size, &c->random);
    if (!c->port.open && !port_open(c->crowd->place, &c->port)) return;
    c->port.bad_sent = &c->crowd->f.count[BAD_SENT];
    if (size > PACKET_BYTES) size = PACKET_BYTES;
    for (int i = 0; i < size; i++) bytes[i] = (uint8_t)random_next(&c->random);
    port_send_one(&c->port, &c->crowd->place->server, bytes, size);
}

static void outlaw_flood(outlaw *o, int messages) {
    client *c = &o->as;
    int size = (int)spread_draw(&o->b->size, &c->random);
    uint8_t bytes[PACKET_BYTES] = { 0 };
    if (size > PACKET_BYTES) size = PACKET_BYTES;
    for (int i = 0; i < messages; i++)
        wisp_send_bytes(c->w, wisp_remote_named(c->w, FLOOD_NAME), wisp_to_peer(WISP_SERVER), bytes,
                        size);
    c->crowd->f.count[BAD_SENT] += (uint64_t)messages;
    wisp_flush_batches(c->w);
}

/* What it does when it is due. */
static void outlaw_act(outlaw *o, double now) {
    client *c = &o->as;
    bool live = c->w && !c->gone;
    switch (o->b->kind) {
    case GARBAGE: outlaw_garbage(o); return;
    case JOINS: client_close(c, true); break;
    case FLOOD: if (live && c->joined) outlaw_flood(o, FLOOD_BURST); break;
    case REPLAY: if (live) port_replay(&c->port, &c->crowd->place->server); break;
    default: if (live && c->joined) outlaw_flood(o, 1); break;
    }
    if (!live && c->w) client_close(c, true);
    if (!c->w && client_open(c, now)) {
        c->port.mangles = o->b->kind == MANGLE;
        c->port.replays = o->b->kind == REPLAY;
    }
}

static void outlaw_step(outlaw *o, double now) {
    client *c = &o->as;
    bool over = o->b->to > 0 && now > c->crowd->start + o->b->to;
    for (int n = 0; !over && now >= o->due && n < BURST_MOST; n++) {
        outlaw_act(o, now);
        o->due += spread_draw(&o->b->every, &c->random);
    }
    if (now > o->due + 1) o->due = now;
    if (c->w) wisp_update(c->w, now);
}

/* --- a crowd ---------------------------------------------------------------- */

static void crowd_add_task(crowd *k, const action *a, const char *name) {
    task *t = &k->tasks[k->task_count];
    if (k->task_count == TASKS_MOST) return;
    memset(t, 0, sizeof *t);
    t->a = a;
    snprintf(t->name, sizeof t->name, "%s", name);
    k->task_count++;
}

/* The names that the server has announced to the scout; waits until there are all that it wants. */
static int crowd_announced(crowd *k, wisp_announced *out) {
    double end = udp_seconds() + 10;
    int count = 0, before = -1;
    while (udp_seconds() < end && !k->scout.gone && (count == 0 || count != before)) {
        before = count;
        for (int i = 0; i < 20; i++) wisp_update(k->scout.w, udp_clock(NULL));
        count = wisp_announced_names(k->scout.w, WISP_SERVER, out, ANNOUNCED_MOST);
    }
    return count < ANNOUNCED_MOST ? count : ANNOUNCED_MOST;
}

/* Also not the flood of those that misbehave. */
static bool is_message(const char *name) {
    return strncmp(name, "class ", 6) != 0 && strncmp(name, "property ", 9) != 0 &&
           strcmp(name, FLOOD_NAME) != 0;
}

/* The schema of the inputs: our own server's, or what somebody else's server has announced. */
static bool crowd_inputs(crowd *k, const wisp_announced *all, int count) {
    if (!scenario_action(k->s, INPUT)) return true;
    k->input = press_schema;
    if (!k->place->foreign) return true;
    for (int i = 0; i < count; i++)
        if (strcmp(wisp_remote_name(k->scout.w, all[i].remote), "class wisp:input") == 0 &&
            all[i].encode.schema)
            return struct_of(all[i].encode.schema, &k->input, k->input_fields);
    fprintf(stderr, "wisp_load: the server takes no inputs\n");
    return false;
}

/* Settles what names and schemas the tasks have, by those that were announced. false: one lacks. */
static bool crowd_name_tasks(crowd *k) {
    static wisp_announced all[ANNOUNCED_MOST];
    int count = k->scout.w ? crowd_announced(k, all) : 0;
    if (!crowd_inputs(k, all, count)) return false;
    for (int i = 0; i < k->s->action_count; i++) {
        const action *a = &k->s->actions[i];
        bool every = strcmp(a->name, "*") == 0, found = !every && !*a->schema;
        if (!every) crowd_add_task(k, a, a->name);
        for (int n = 0; n < count; n++) {
            const char *name = wisp_remote_name(k->scout.w, all[n].remote);
            if (every ? !is_message(name) : strcmp(name, a->schema) != 0) continue;
            if (every) crowd_add_task(k, a, name);
            k->tasks[k->task_count - 1].encode = all[n].encode;
            found = true;
        }
        if (found) continue;
        fprintf(stderr, "wisp_load: the server has announced no name %s\n",
                every ? "at all" : a->schema);
        return false;
    }
    return true;
}

static bool crowd_needs_scout(const scenario *s) {
    if (scenario_action(s, INPUT)) return true;
    for (int i = 0; i < s->action_count; i++)
        if (strcmp(s->actions[i].name, "*") == 0 || *s->actions[i].schema) return true;
    return false;
}

static bool crowd_scout(crowd *k, double seconds) {
    k->scout.crowd = k;
    k->scout.f = &k->others;
    k->scout.random = k->random;
    if (!client_open(&k->scout, udp_seconds())) return false;
    if (wisp_await_ready(k->scout.w, udp_clock, NULL, seconds) != WISP_OK) return false;
    return true;
}

static bool crowd_open(crowd *k) {
    const scenario *s = k->s;
    int first = (int)((int64_t)s->clients * k->index / k->of);
    k->random = s->seed * 1000003 + (uint64_t)k->index * 7919 + 1;
    k->count = (int)((int64_t)s->clients * (k->index + 1) / k->of) - first;
    k->clients = calloc((size_t)k->count + 1, sizeof *k->clients);
    k->outlaws = calloc(BADS_MOST * 200, sizeof *k->outlaws);
    if (!k->clients || !k->outlaws) return false;
    if (!k->place->simulated && crowd_needs_scout(s) && !crowd_scout(k, 10)) return false;
    if (!crowd_name_tasks(k)) return false;
    for (int i = 0; i < k->count; i++) {
        client *c = &k->clients[i];
        c->crowd = k;
        c->f = &k->f;
        c->random = random_next(&k->random);
        c->join_at = k->start + s->ramp * (first + i) / s->clients;
        c->next = c->join_at;
        client_network(c, first + i);
    }
    for (int i = 0; i < s->bad_count; i++)
        for (int n = k->index; n < s->bads[i].count; n += k->of)
            outlaw_open(k, &k->outlaws[k->outlaw_count++], &s->bads[i], random_next(&k->random));
    return true;
}

static void crowd_collect(crowd *k) {
    double cpu = cpu_seconds();
    for (int i = 0; i < k->count; i++) client_collect(&k->clients[i]);
    k->f.count[CONNECTED] = (uint64_t)(k->connected > 0 ? k->connected : 0);
    if (!k->place->simulated) k->f.count[CLIENT_CPU_US] += (uint64_t)((cpu - k->cpu) * 1e6);
    k->cpu = cpu;
    cpu = waited_seconds();
    if (!k->place->simulated) k->f.count[WAITED_US] += (uint64_t)((cpu - k->waited) * 1e6);
    k->waited = cpu;
}

/* From now on nothing is fired; all sessions end when what was fired has arrived. */
static void crowd_drain(crowd *k) {
    k->no_churn = true;
    for (int i = 0; i < k->count; i++) {
        client *c = &k->clients[i];
        c->ending = c->joined;
        if (c->w && c->joined && !c->gone) wisp_drain(c->w, WISP_SERVER, "done", DRAIN_SECONDS);
    }
    for (int i = 0; i < k->outlaw_count; i++) client_close(&k->outlaws[i].as, true);
    k->outlaw_count = 0;
}

/* Have all sessions ended that had been joined? */
static bool crowd_drained(const crowd *k) {
    for (int i = 0; i < k->count; i++)
        if (k->clients[i].w && k->clients[i].joined && !k->clients[i].gone) return false;
    return true;
}

static void crowd_close(crowd *k) {
    for (int i = 0; i < k->count; i++) {
        k->f.count[UNSETTLED] += k->clients[i].session_reliable;
        client_close(&k->clients[i], false);
    }
    for (int i = 0; i < k->outlaw_count; i++) client_close(&k->outlaws[i].as, true);
    client_close(&k->scout, false);
}

/* Those clients and outlaws that are due, or whose port is readable. */
static void crowd_step(crowd *k, double now, const bool *readable) {
    for (int i = 0; i < k->count; i++)
        if (now >= k->clients[i].next || (readable && readable[i]))
            client_step(&k->clients[i], now);
    for (int i = 0; i < k->outlaw_count; i++) outlaw_step(&k->outlaws[i], now);
}

#endif
