/* fuzz_reentry.c - everything that is public, called from everything that is called back

   The input is a script of operations on three endpoints around a bad network, who join each other.
   Handlers, hooks on both ways, accept, replies, on_done and notices each call back into the
   endpoint that calls them: what the script says. The link, the log and the sink call what only
   reads; the allocator fails now and then. What is promised is watched:

       messages     that are reliable come once, in the order in which they were fired
       calls        the handler runs at most once, the answer comes exactly once
       time         wisp_update and the wisp_await functions are refused inside callbacks
       memory       all of it is given back
*/
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#define WISP_WITH_SETJMP
#include "../../wisp.h"
#include "../support/fuzz_script.h"

enum { ENDS = 3, OPERATIONS = 120, CALLS = 1024, KEPT = 4, STREAMS = 192, DEPTH = 3, BUDGET = 400 };

static const char *const names[] = { "a", "b", "state", "packed", "c", "late", "pat1", "held" };
enum { NAMES = 8 };

/* The numbered messages from one peer. */
typedef struct stream { uint32_t peer, sender; int next; } stream;

typedef struct end {
    struct world   *world;
    wisp           *w;
    int             side;
    wisp_simulator  sim;
    wisp_link       inner;
    wisp_peer       peers[KEPT];            /* handles, of whom it may be gone */
    wisp_connection connections[KEPT];
    wisp_call       calls[KEPT], deferred[KEPT];
    wisp_group      groups[KEPT];
    stream          sent[STREAMS], received[STREAMS];
    int             sent_count, received_count;
    bool            doomed;                 /* destroyed inside a callback */
    bool            numbering;              /* inside fire_numbered */
} end;

typedef struct call_record { int8_t accepted, ran, answers; } call_record;

typedef struct world {
    script      in;
    account      memory;
    wisp_pipe   pipe;
    end         ends[ENDS];
    double      now;
    int         options, depth, budget;     /* callbacks inside each other; calls left */
    bool        quiet;
    end        *waits;                      /* in one of the wisp_await functions */
    call_record calls[CALLS];
    int         call_count;
    bool        in_hook;
} world;

typedef struct state { int id; float x; char name[12]; } state;
static const wisp_field state_fields[] = {
    WISP_KEY_FIELD(state, id, WISP_T_RANGE(0, 99)), WISP_FIELD(state, x, WISP_T_FLOAT),
    WISP_FIELD(state, name, WISP_T_STRING(11)),
};
static const wisp_schema state_schema = WISP_SCHEMA(state, 1, state_fields);
static world the_world;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void act(end *e, wisp_event *event);
static void only_look(end *e);

/* ---- what is called back -------------------------------------------------------- */

static end *end_of(wisp_event *event) {
    end *e = (end *)event->user;
    MUST(e && event->w == e->w);
    look_at_event(event);
    return e;
}

static void on_any(wisp_event *event) { act(end_of(event), event); }

static stream *stream_of(stream *list, int *count, uint32_t peer) {
    for (int i = 0; i < *count; i++)
        if (list[i].peer == peer) return &list[i];
    if (*count == STREAMS) return NULL;
    memset(&list[*count], 0, sizeof *list);
    list[*count].peer = peer;
    return &list[(*count)++];
}

static void on_numbered(wisp_event *event) {
    end *e = end_of(event);
    stream *s = stream_of(e->received, &e->received_count, event->peer.id);
    MUST(event->count == 2);
    if (s) {
        MUST(!s->sender || s->sender == (uint32_t)wisp_arg_uint(event, 0));
        MUST(wisp_arg_int(event, 1) == s->next);
        s->sender = (uint32_t)wisp_arg_uint(event, 0);
        s->next++;
    }
    act(e, event);
}

static void on_ask(wisp_event *event) {
    end *e = end_of(event);
    world *f = e->world;
    int64_t number = event->count ? wisp_arg_int(event, 0) : -1;
    wisp_call later;
    if (number >= 0 && number < CALLS) MUST(f->calls[number].ran++ == 0);
    act(e, event);
    if (f->quiet || e->doomed) return;
    switch (take_below(&f->in, 6)) {
    case 0: wisp_reply(event, wisp_int(number)); break;
    case 1: wisp_fail(event, WISP_E_USER - 2, "no %d", (int)number); break;
    case 2:
        later = wisp_defer(event);
        if (later.id) e->deferred[take_below(&f->in, KEPT)] = later;
        break;
    case 3: wisp_raise(event, WISP_E_USER - 3, "left at once"); break;
    default: break;
    }
}

static void on_answer(wisp_event *event) {
    call_record *call = (call_record *)event->user;
    world *f = &the_world;
    look_at_event(event);
    MUST(call->accepted && call->answers++ == 0);
    for (int i = 0; i < ENDS; i++)
        if (f->ends[i].w == event->w) act(&f->ends[i], event);
}

static wisp_result on_hook(wisp_event *event) {
    end *e = end_of(event);
    world *f = e->world;
    bool outer = f->in_hook;
    f->in_hook = true;
    act(e, event);
    f->in_hook = outer;
    if (f->quiet || f->budget <= 0) return WISP_PASS;
    switch (take_below(&f->in, 12)) {
    case 0: return event->message == WISP_MESSAGE_EVENT && strcmp(event->name, "numbered")
                ? WISP_DROP : WISP_PASS;
    case 1: case 2: return event->message != WISP_MESSAGE_REPLY && strcmp(event->name, "numbered")
                        ? WISP_HOLD : WISP_PASS;
    case 3: return strcmp(event->name, "numbered") ? WISP_E_USER - 4 : WISP_PASS;
    case 4:
        if (strcmp(event->name, "numbered") && event->message == WISP_MESSAGE_EVENT)
            wisp_change(event, event->args, event->count);
        return WISP_PASS;
    case 5:
        if (strcmp(event->name, "numbered")) wisp_raise(event, WISP_E_USER - 5, "a hook left");
        return WISP_PASS;
    default: return WISP_PASS;
    }
}

static wisp_result on_join(wisp *w, const wisp_addr *from, const void *ticket, int size,
                           void *user) {
    end *e = (end *)user;
    world *f = e->world;
    (void)ticket;
    (void)size;
    wisp_join_info *info = wisp_joining(w);
    MUST(w && from && info);
    info->user = f;
    act(e, NULL);
    if (f->quiet || e->doomed) return WISP_OK;
    MUST(wisp_joining(w) == info);
    info->text = "not today";
    switch (take_below(&f->in, 8)) {
    case 0: return WISP_PENDING;
    case 1: return WISP_E_USER - 1;
    default: return WISP_OK;
    }
}

static void on_log(void *user, int level, wisp_result code, const char *text) {
    (void)level;
    (void)code;
    MUST(text);
    only_look((end *)user);
}

static void on_report(void *user, const wisp_report *report) {
    MUST(report->text && report->remote && report->head && report->backtrace);
    only_look((end *)user);
}

static int on_send(void *user, wisp_packet *packets, int count) {
    end *e = (end *)user;
    world *f = e->world;
    only_look(e);
    if (!f->quiet && f->budget > 0 && take(&f->in) > 245) {
        for (int i = 0; i < count; i++) packets[i].status = WISP_E_AGAIN;
        return count;
    }
    return e->inner.send(e->inner.user, packets, count);
}

static int on_recv(void *user, wisp_packet *packets, int count) {
    end *e = (end *)user;
    only_look(e);
    return e->inner.recv(e->inner.user, packets, count);
}

/* ---- everything that is public -------------------------------------------------- */

static double stopped_clock(void *user) { return ((world *)user)->now; }

static wisp_peer some_peer(end *e, const wisp_event *event) {
    script *in = &e->world->in;
    wisp_peer peers[8];
    int which = take(in), count = wisp_peers(e->w, peers, 8);
    if (event && which < 80) return event->peer;
    if (which < 110) return e->peers[which % KEPT];
    if (which < 140 || count < 1) return WISP_SERVER;
    return peers[which % (count < 8 ? count : 8)];
}

static wisp_to some_targets(end *e, const wisp_event *event) {
    static wisp_peer list[2];
    switch (take_below(&e->world->in, 6)) {
    case 0: return wisp_to_all();
    case 1: return wisp_to_group(e->groups[take_below(&e->world->in, KEPT)]);
    case 2:
        list[0] = some_peer(e, event);
        list[1] = some_peer(e, event);
        return take(&e->world->in) & 1 ? wisp_to_list(list, 2) : wisp_to_except(list, 2);
    default: return wisp_to_peer(some_peer(e, event));
    }
}

static const char *some_name(world *f) { return names[take_below(&f->in, NAMES)]; }

static void fire(end *e, const wisp_event *event) {
    static state some;
    static const char large[256 * 60] = "";
    world *f = e->world;
    const char *name = some_name(f);
    wisp_value value = wisp_int(take(&f->in));
    wisp_to to = some_targets(e, event);
    some.id = take_below(&f->in, 5);
    some.x = (float)take(&f->in);
    if (strcmp(name, "state") == 0) value = wisp_struct(&state_schema, &some);
    if (take(&f->in) > 240) value = wisp_bytes(large, take(&f->in) * 60);
    if (event && event->count && take(&f->in) > 200)
        wisp_fire_values(e->w, name, to, event->args, event->count);
    else if (take(&f->in) & 1) wisp_fire_values(e->w, name, to, &value, 1);
    else wisp_send(e->w, wisp_remote_named(e->w, name), to, &value, 1);
}

static void fire_numbered(end *e, const wisp_event *event) {
    wisp_peer peer = some_peer(e, event);
    const wisp__session *found = wisp__session_of(e->w, peer);
    uint32_t id = found ? found->peer.slot.id : 0;
    stream *s = id ? stream_of(e->sent, &e->sent_count, id) : NULL;
    wisp_value values[2];
    int number;
    if (!s || e->numbering) return;         /* what its hooks fire goes before it */
    e->numbering = true;
    number = s->next++;
    values[0] = wisp_uint(id);
    values[1] = wisp_int(number);
    peer.id = id;
    if (wisp_fire_values(e->w, "numbered", wisp_to_peer(peer), values, 2) != WISP_OK)
        s->next = number;
    e->numbering = false;
}

static void invoke(end *e, const wisp_event *event) {
    world *f = e->world;
    wisp_call_desc desc;
    wisp_call call;
    call_record *record = &f->calls[f->call_count];
    wisp_value number = wisp_int(f->call_count);
    if (f->call_count == CALLS) return;
    f->call_count++;
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_answer;
    desc.user = record;
    desc.timeout = 0.2 * (1 + take_below(&f->in, 10));
    desc.tries = take_below(&f->in, 4);
    record->accepted = 1;
    call = wisp_invoke_values(e->w, take(&f->in) & 1 ? "ask" : "loose ask",
                              wisp_to_peer(some_peer(e, event)), &desc, &number, 1);
    if (call.id) e->calls[take_below(&f->in, KEPT)] = call;
    else MUST(record->answers == 0), record->accepted = 0, record->ran = 1;
}

static void invoke_many(end *e, const wisp_event *event) {
    wisp_call_desc desc;
    wisp_value number = wisp_int(-1);
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_any;
    desc.on_done = on_any;
    desc.user = e;
    e->calls[0] = wisp_invoke_values(e->w, "ask", some_targets(e, event), &desc, &number, 1);
}

static void middleware(end *e, const wisp_event *event) {
    static const char *const chain[] = { "first", "second", "third" };
    world *f = e->world;
    const char *name = chain[take_below(&f->in, 3)];
    wisp_middleware m;
    memset(&m, 0, sizeof m);
    m.name = name;
    m.pattern = take(&f->in) & 1 ? "^(a|held|ask)$" : NULL;
    m.except = "wisp:";
    m.inbound = on_hook;
    m.outbound = take(&f->in) & 1 ? on_hook : NULL;
    m.user = e;
    switch (take_below(&f->in, 4)) {
    case 0: wisp_use(e->w, &m); break;
    case 1: wisp_unuse(e->w, name); break;
    default:
        wisp_release(e->w, name, some_peer(e, event), take(&f->in) & 1 ? WISP_PASS : WISP_DROP);
        break;
    }
}

static void group(end *e, const wisp_event *event) {
    static const char *const which[] = { "red", "blue" };
    world *f = e->world;
    wisp_group *g = &e->groups[take_below(&f->in, KEPT)];
    wisp_peer members[4];
    switch (take_below(&f->in, 5)) {
    case 0: *g = wisp_group_named(e->w, which[take_below(&f->in, 2)]); break;
    case 1: wisp_group_add(e->w, *g, some_peer(e, event)); break;
    case 2: wisp_group_remove(e->w, *g, some_peer(e, event)); break;
    case 3: wisp_group_end(e->w, *g); break;
    default: wisp_group_peers(e->w, *g, members, 4); break;
    }
}

static void connect(end *e) {
    world *f = e->world;
    wisp_connection *c = &e->connections[take_below(&f->in, KEPT)];
    switch (take_below(&f->in, 6)) {
    case 0: *c = wisp_connect(e->w, some_name(f), on_any, e); break;
    case 1: *c = wisp_once(e->w, some_name(f), on_any, e); break;
    case 2: *c = wisp_connect_match(e->w, take(&f->in) & 1 ? "^pat" : "a", on_any, e); break;
    case 3: wisp_on_invoke(e->w, "loose ask", take(&f->in) & 1 ? on_ask : NULL, e); break;
    default: wisp_disconnect(e->w, *c); break;
    }
}

static void configure(end *e) {
    world *f = e->world;
    const char *name = some_name(f);
    wisp_config config;
    memset(&config, 0, sizeof config);
    switch (take_below(&f->in, 16)) {
    case 12: wisp_set_batch_mode(e->w, name, 1 + take_below(&f->in, 3)); return;
    case 13: wisp_set_batch_priority(e->w, name, take(&f->in)); return;
    case 14: wisp_set_max_batch_size(e->w, 1 + take_below(&f->in, 20)); return;
    case 15: wisp_set_unreliable(e->w, name, take(&f->in) & 1); return;
    case 0: config.delivery = 1 + take_below(&f->in, 3); break;
    case 1: config.channel = WISP_CHANNEL(take_below(&f->in, 16)); break;
    case 2: config.rate_limit = take(&f->in) & 1 ? 0.02 : -1; break;
    case 3: config.encode.codec = take(&f->in) & 1 ? wisp_json() : wisp_msgpack(); break;
    case 4: config.encode.compression = WISP_COMPRESSION_AUTO; break;
    case 5: config.encode.adaptive = WISP_ON; break;
    case 6: wisp_use_delta(e->w, strcmp(name, "state") ? NULL : &state_schema, name); return;
    case 7: wisp_enable_delta_sync(e->w, name); return;
    case 8: wisp_use_config(e->w, NULL, name); return;
    case 9: wisp_use_batching(e->w, take(&f->in) & 1); return;
    case 10:
        wisp_use_compression(e->w, 1 + take_below(&f->in, 2), take(&f->in) & 1 ? name : NULL);
        return;
    default: {
        wisp_schema_entry entry;
        memset(&entry, 0, sizeof entry);
        entry.remote = "state";
        entry.schema = &state_schema;
        wisp_use_schemas(e->w, &entry, 1);
        return;
    }
    }
    wisp_use_config(e->w, &config, name);
}

static void look(end *e, wisp_event *event, bool only) {
    static wisp_snapshot snapshot;
    world *f = e->world;
    wisp_profiler profiler;
    wisp_canvas canvas;
    wisp_peer_stats peer;
    wisp_remote_stats remote;
    memset(&profiler, 0, sizeof profiler);
    memset(&canvas, 0, sizeof canvas);
    switch (only ? 2 + take_below(&f->in, 4) : take_below(&f->in, 8)) {
    case 0: wisp_use_profiler(e->w, &profiler); break;
    case 1: wisp_use_profiler(e->w, NULL); break;
    case 2: wisp_snapshot_take(e->w, NULL, &snapshot); break;
    case 3: wisp_overlay(e->w, &canvas); break;
    case 4: wisp_stats_peer(e->w, some_peer(e, event), &peer); break;
    case 5: wisp_stats_remote(e->w, some_name(f), &remote); break;
    case 6: wisp_set_peer_user(e->w, some_peer(e, event), f); break;
    default:
        wisp_peer_user(e->w, some_peer(e, event));
        wisp_remote_named(e->w, some_name(f));
        MUST(wisp_why_text(e->w) != NULL);
        break;
    }
}

/* Asks for an argument as any kind. */
static void ask_for(end *e, wisp_event *event) {
    world *f = e->world;
    int i = take_below(&f->in, 3), size;
    switch (take_below(&f->in, 9)) {
    case 0: wisp_arg_struct(event, i, &state_schema); break;
    case 1: wisp_arg_map(event, i); break;
    case 2: wisp_arg_string_n(event, i, &size); break;
    case 3: wisp_arg_bytes(event, i, &size); break;
    case 4: wisp_arg_vec3(event, i); break;
    case 5: wisp_arg_number(event, i); break;
    case 6: wisp_arg_bool(event, i); break;
    case 7: wisp_arg_array(event, i); break;
    default: wisp_arg_transform(event, i); break;
    }
}

/* What must be refused here, and what belongs to the event alone. */
static void misuse(end *e, wisp_event *event) {
    world *f = e->world;
    wisp_value value = wisp_int(1);
    switch (take_below(&f->in, 9)) {
    case 0: MUST(wisp_update(e->w, f->now) == WISP_E_BUSY); break;
    case 1: MUST(wisp_await_ready(e->w, stopped_clock, f, 1) == WISP_E_BUSY); break;
    case 2: MUST(wisp_await_reply(e->w, e->calls[0], NULL, NULL, stopped_clock, f) < 0); break;
    case 3: MUST(wisp_await_event(e->w, "a", NULL, NULL, stopped_clock, f, 1) < 0); break;
    case 4: if (event) wisp_reply_values(event, &value, 1); break;
    case 5: if (event) wisp_reply_values(event, event->args, event->count); break;
    case 6: if (event) wisp_fail(event, WISP_E_USER, "%s", event->name); break;
    case 7: if (event) MUST(f->in_hook || wisp_change(event, &value, 1) < 0); break;
    default: if (event) e->deferred[0] = wisp_defer(event); break;
    }
}

static void join(end *e) {
    world *f = e->world;
    wisp_addr there = wisp_loopback_addr((e->side + 1 + take_below(&f->in, 2)) % ENDS);
    wisp_peer peer = wisp_join(e->w, &there, "ticket", 6);
    if (peer.id) e->peers[take_below(&f->in, KEPT)] = peer;
}

static void call_again(end *e) {
    world *f = e->world;
    wisp_value value = wisp_string("at last");
    wisp_addr there = wisp_loopback_addr(take_below(&f->in, ENDS));
    wisp_call call = e->deferred[take_below(&f->in, KEPT)];
    switch (take_below(&f->in, 4)) {
    case 0: wisp_cancel(e->w, e->calls[take_below(&f->in, KEPT)]); break;
    case 1: wisp_answer(e->w, call, &value, 1); break;
    case 2: wisp_answer_fail(e->w, call, WISP_E_USER, "%s", "never"); break;
    default: wisp_admit(e->w, &there, take(&f->in) & 1 ? WISP_OK : WISP_E_USER - 9); break;
    }
}

static void policy(end *e) {
    world *f = e->world;
    wisp_budget budget;
    wisp_sink sink;
    memset(&budget, 0, sizeof budget);
    memset(&sink, 0, sizeof sink);
    sink.report = on_report;
    sink.user = e;
    budget.out = 20000.0 * take_below(&f->in, 3);
    budget.total_in = 50000.0 * take_below(&f->in, 3);
    budget.errors = -1;
    switch (take_below(&f->in, 3)) {
    case 0: wisp_use_budget(e->w, take(&f->in) & 1 ? &budget : NULL); break;
    case 1: wisp_use_sink(e->w, take(&f->in) & 1 ? &sink : NULL); break;
    default: wisp_set_rate_limit(e->w, 0.01, some_name(f)); break;
    }
}

static void do_one(end *e, wisp_event *event) {
    world *f = e->world;
    switch (take_below(&f->in, 24)) {
    case 0: case 1: fire(e, event); break;
    case 2: case 3: fire_numbered(e, event); break;
    case 4: case 5: invoke(e, event); break;
    case 6: invoke_many(e, event); break;
    case 7: case 8: middleware(e, event); break;
    case 9: group(e, event); break;
    case 10: case 11: connect(e); break;
    case 12: configure(e); break;
    case 13: look(e, event, false); break;
    case 14: case 15: call_again(e); break;
    case 16: join(e); break;
    case 17: wisp_flush_batches(e->w); break;
    case 18: policy(e); break;
    case 19: if (take(&f->in) > 128) wisp_leave(e->w, some_peer(e, event), "left inside"); break;
    case 20: f->memory.fails_in = take_below(&f->in, 40); break;
    case 21: if (f->depth) misuse(e, event); break;
    case 23: if (event) ask_for(e, event); break;
    case 22:
        if (!f->depth || take(&f->in) < 240) break;
        e->doomed = true;
        wisp_destroy(e->w);
        break;
    default: break;
    }
}

/* A callback acts, up to a depth. */
static void act(end *e, wisp_event *event) {
    world *f = e->world;
    if (f->quiet || f->depth >= DEPTH || !e->w || e->doomed || f->budget <= 0) return;
    if (take(&f->in) < 160) return;
    f->budget--;
    f->depth++;
    do_one(e, event);
    f->depth--;
}

/* Links, the log and the sink call nothing that changes anything; they may run before there is an
   endpoint. */
static void only_look(end *e) {
    world *f = e->world;
    if (f->quiet || !e->w || e->doomed || f->budget <= 0 || take(&f->in) < 200) return;
    f->budget--;
    look(e, NULL, true);
}

/* ---- the ends ------------------------------------------------------------------- */

static void set_up(end *e) {
    wisp_config config;
    wisp_config exact;
    memset(&config, 0, sizeof config);
    memset(&exact, 0, sizeof exact);
    config.encode.schema = &state_schema;
    config.encode.mode = WISP_ENCODE_DELTA;
    config.delivery = e->world->options & 2 ? WISP_UNRELIABLE : WISP_RELIABLE;
    wisp_use_config(e->w, &config, "state");
    exact.delivery = WISP_RELIABLE;
    exact.channel = WISP_CHANNEL(5);
    wisp_use_config(e->w, &exact, "numbered");
    exact.delivery = WISP_UNRELIABLE;
    exact.channel = 0;
    wisp_use_config(e->w, &exact, "loose ask");
    wisp_connect(e->w, "numbered", on_numbered, e);
    for (int i = 0; i < NAMES - 2; i++) wisp_connect(e->w, names[i], on_any, e);
    wisp_connect(e->w, WISP_JOINED, on_any, e);
    wisp_connect(e->w, WISP_LEFT, on_any, e);
    wisp_connect(e->w, WISP_ERROR, on_any, e);
    wisp_on_invoke(e->w, "ask", on_ask, e);
    wisp_on_invoke(e->w, "loose ask", on_ask, e);
}

static void come(end *e) {
    world *f = e->world;
    wisp_desc desc;
    bool quiet = f->quiet;
    int fails_in = f->memory.fails_in;
    f->memory.fails_in = 0;
    f->quiet = true;
    memset(&desc, 0, sizeof desc);
    memset(e->peers, 0, sizeof e->peers);
    memset(e->calls, 0, sizeof e->calls);
    memset(e->deferred, 0, sizeof e->deferred);
    memset(e->groups, 0, sizeof e->groups);
    memset(e->connections, 0, sizeof e->connections);
    e->sent_count = e->received_count = 0;
    e->doomed = false;
    e->inner = wisp_loopback(&f->pipe, e->side);
    if (!f->pipe.reliable) e->inner = wisp_simulate(&e->sim, e->inner);
    desc.link = e->inner;
    desc.link.send = on_send;
    desc.link.recv = on_recv;
    desc.link.user = e;
    desc.max_peers = 6;
    desc.joins = WISP_JOINS_OPEN;
    desc.accept = on_join;
    desc.log = on_log;
    desc.user = e;
    desc.memory = memory_allocator(&f->memory);
    desc.limits.held_messages = 16;
    desc.limits.calls = 16;
    desc.limits.queue_messages = 200;
    desc.limits.remotes = 32;
    desc.seed = 100 + (uint64_t)f->in.at * 3 + (uint64_t)e->side;
    e->w = wisp_create(&desc, NULL);
    MUST(e->w);
    set_up(e);
    f->memory.fails_in = fails_in;
    f->quiet = quiet;
}

static void update(end *e) {
    wisp_result result;
    e->sim.now = e->world->now;
    result = wisp_update(e->w, e->world->now);
    MUST((result == WISP_E_CLOSED) == e->doomed);
    MUST(e->world->depth == 0);
    if (e->doomed) {
        e->w = NULL;
        come(e);
    }
    wisp__host_check(e->w);
}

/* Outside of callbacks: it moves on, and the other ends with it. */
static double moving_clock(void *user) {
    world *f = (world *)user;
    f->now += 0.02;
    for (int i = 0; i < ENDS; i++) {
        f->ends[i].sim.now = f->now;
        if (&f->ends[i] != f->waits && !f->ends[i].doomed) update(&f->ends[i]);
    }
    return f->now;
}

/* Waits for something, which may end the endpoint. */
static void await(end *e) {
    world *f = e->world;
    wisp_result result;
    int which = take_below(&f->in, 3);
    f->waits = e;
    if (which == 0) result = wisp_await_ready(e->w, moving_clock, f, 0.2);
    else if (which == 1)
        result = wisp_await_event(e->w, some_name(f), on_any, e, moving_clock, f, 0.2);
    else
        result = wisp_await_reply(e->w, e->calls[take_below(&f->in, KEPT)], on_any, e,
                                  moving_clock, f);
    f->waits = NULL;
    if (!e->doomed) return;
    MUST(result == WISP_E_CLOSED);
    e->w = NULL;
    come(e);
}

static void update_all(world *f, double step) {
    f->now += step;
    for (int i = 0; i < ENDS; i++) update(&f->ends[i]);
}

static void operation(world *f) {
    int code = take(&f->in);
    end *e = &f->ends[code % ENDS];
    f->budget = BUDGET;
    switch (code >> 4) {
    case 0: join(e); break;
    case 1: e->sim.loss = take_below(&f->in, 4) * 0.2; break;
    case 2: e->sim.latency = take_below(&f->in, 3) * 0.04; break;
    case 3: e->sim.duplicate = take_below(&f->in, 3) * 0.3; break;
    case 4: update_all(f, take_seconds(&f->in)); break;
    case 10: await(e); return;
    case 5: case 6: case 7: case 8: case 9: update_all(f, 0.016); break;
    default: do_one(e, NULL); break;
    }
    if (e->doomed) update(e);
    for (int i = 0; i < ENDS; i++) wisp__host_check(f->ends[i].w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    world *f = &the_world;
    memset(f, 0, sizeof *f);
    f->in.data = data;
    f->in.size = size;
    f->options = take(&f->in);
    f->pipe.reliable = (f->options & 1) != 0;
    f->budget = BUDGET;
    for (int i = 0; i < ENDS; i++) {
        f->ends[i].world = f;
        f->ends[i].side = i;
        f->ends[i].sim.seed = (uint64_t)i + 1;
        come(&f->ends[i]);
    }
    for (int i = 1; i < ENDS; i++) {
        wisp_addr there = wisp_loopback_addr(0);
        f->ends[i].peers[0] = wisp_join(f->ends[i].w, &there, NULL, 0);
    }
    for (int i = 0; i < 8; i++) update_all(f, 0.016);
    for (int i = 0; i < OPERATIONS && !script_ended(&f->in); i++) operation(f);
    f->quiet = true;
    f->memory.fails_in = 0;
    for (int i = 0; i < 40; i++) update_all(f, 0.05);
    for (int i = 0; i < ENDS; i++) wisp_destroy(f->ends[i].w);
    for (int i = 0; i < f->call_count; i++) MUST(f->calls[i].answers == f->calls[i].accepted);
    for (int i = 0; i < ENDS; i++) wisp_simulator_free(&f->ends[i].sim);
    wisp_pipe_free(&f->pipe);
    MUST(f->memory.held == 0);
    return 0;
}
