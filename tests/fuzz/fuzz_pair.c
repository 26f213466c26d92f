/* fuzz_pair.c - two endpoints over a bad network, both led by a script

   The input is a script of operations on either side: fire, call, cancel, leave, join, set, break
   the link or the allocator, crash and come back; handlers act by it too. After each operation
   both ends run all their checks. What is promised is watched the whole time:

       reliable     each message of a session once, in the order in which it was fired, also where
                    memory fails
       sequenced    never older than one before
       values       arrive as they were sent (their hash travels along)
       calls        the handler runs at most once, the answer comes exactly once
       in the end   over a good network, what was fired to a peer that is still there has come
       memory       all of it is given back
*/
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"

enum { OPERATIONS = 500, CALLS = 2048, STREAMS = 128, PARKED = 4, SETTLE_UPDATES = 4000 };

/* How a link behaves. */
enum { GOOD, TAKES_HALF, TAKES_NONE, BROKEN, DEAF, MOODS };

/* The numbered messages to or from one peer. */
typedef struct stream {
    uint32_t peer;            /* its handle here */
    uint32_t other;           /* the handle that the sender has for us; 0: not known */
    int      next;            /* number sent next, or expected next */
    int64_t  newest;          /* of the sequenced ones */
} stream;

typedef struct end {
    struct world *world;
    wisp         *w;
    int           side;
    int           mood;
    wisp_simulator sim;
    wisp_link     inner;      /* below the moods */
    stream        sent[STREAMS], received[STREAMS];
    int           sent_count, received_count;
    wisp_call     parked[PARKED];             /* calls of theirs to be answered */
    wisp_call     last_call;
    wisp_connection extra;
    bool          doomed;     /* destroyed inside a handler */
} end;

typedef struct call_record { int8_t accepted, ran, answers; } call_record;

typedef struct world {
    script      in;
    account      memory;
    wisp_pipe   pipe;
    end         ends[2];
    double      now;
    int         options;
    int         depth;        /* handlers inside each other */
    call_record calls[CALLS];
    int         call_count;
    int64_t     sequenced;    /* numbers grow over all sessions */
    bool        quiet;        /* the script is over: handlers do nothing of their own */
} world;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- links with moods ------------------------------------------------------------ */

static int moody_send(void *user, wisp_packet *packets, int count) {
    end *e = (end *)user;
    int some = e->mood == TAKES_HALF ? (count + 1) / 2 : count;
    if (e->mood == BROKEN) return WISP_E_LINK;
    if (e->mood != TAKES_NONE) return e->inner.send(e->inner.user, packets, some);
    for (int i = 0; i < count; i++) packets[i].status = WISP_E_AGAIN;
    return count;
}

static int moody_recv(void *user, wisp_packet *packets, int count) {
    end *e = (end *)user;
    if (e->mood == BROKEN) return WISP_E_LINK;
    return e->mood == DEAF ? 0 : e->inner.recv(e->inner.user, packets, count);
}

static wisp_link moody_link(end *e) {
    wisp_link link = wisp_loopback(&e->world->pipe, e->side);
    e->inner = e->world->pipe.reliable ? link : wisp_simulate(&e->sim, link);
    link = e->inner;
    link.send = moody_send;
    link.recv = moody_recv;
    link.user = e;
    return link;
}

/* ---- streams --------------------------------------------------------------------- */

static stream *stream_of(stream *list, int *count, uint32_t peer) {
    for (int i = 0; i < *count; i++) {
        if (list[i].peer == peer) return &list[i];
    }
    if (*count == STREAMS) return NULL;
    memset(&list[*count], 0, sizeof *list);
    list[*count].peer = peer;
    list[*count].newest = -1;
    return &list[(*count)++];
}

/* A peer by its handle, also where WISP_SERVER is meant; id 0 when there is none. */
static wisp_peer real_peer(const end *e, wisp_peer peer) {
    const wisp__session *s = wisp__session_of(e->w, peer);
    peer.id = s ? s->peer.slot.id : 0;
    return peer;
}

static wisp_peer some_peer(end *e) {
    wisp_peer peers[8];
    int count = wisp_peers(e->w, peers, 8), which = take(&e->world->in);
    if (count > 8) count = 8;
    if (which >= 200 || count == 0) return real_peer(e, WISP_SERVER);
    return peers[which % count];
}

/* ---- what is fired and called ----------------------------------------------------- */

static void fire_numbered(end *e) {
    wisp_peer peer = some_peer(e);
    stream *s = stream_of(e->sent, &e->sent_count, peer.id);
    wisp_value values[3];
    static const char filler[4000] = "";
    int size = take(&e->world->in);
    if (!peer.id || !s || e->w->operation) return;     /* of a transaction, it may be dropped */
    values[0] = wisp_uint(peer.id);
    values[1] = wisp_int(s->next);
    values[2] = wisp_bytes(filler, size > 240 ? (size - 240) * 260 : size & 31);
    if (wisp_fire_values(e->w, "numbered", wisp_to_peer(peer), values, 3) == WISP_OK) s->next++;
}

static void fire_sequenced(end *e) {
    wisp_fire(e->w, "sequenced", some_peer(e), wisp_int(e->world->sequenced++));
}

static void fire_any(end *e) {
    static const char *const names[] = { "any", "loose", "private", "any" };
    shelf *content = (shelf *)calloc(1, sizeof *content);
    script *in = &e->world->in;
    int name = take_below(in, 4), to = take_below(in, 4), times = take(in) > 230 ? 20 : 1;
    wisp_peer peer = some_peer(e);
    wisp_value values[2];
    MUST(content);
    values[1] = shelf_value(content, in, 0);
    values[0] = wisp_uint(wisp_hash(&values[1]));
    for (int i = 0; i < times; i++) {
        wisp_fire_values(e->w, names[name], to == 0   ? wisp_to_all()
                                            : to == 1 ? wisp_to_list(&peer, 1)
                                            : to == 2 ? wisp_to_except(&peer, 1)
                                                      : wisp_to_peer(peer), values, 2);
    }
    free(content);
}

static void on_answer(wisp_event *event) {
    call_record *call = (call_record *)event->user;
    look_at_event(event);
    MUST(call->accepted && call->answers == 0);
    call->answers++;
}

static void on_guess(wisp_event *event) {
    look_at_event(event);
    MUST(wisp_fire(event->w, "any", event->peer) != WISP_OK);
}

static void invoke(end *e) {
    static const char *const names[] = { "ask", "loose ask", "nobody answers", "private" };
    world *f = e->world;
    call_record *call = &f->calls[f->call_count];
    wisp_call_desc desc;
    wisp_value number = wisp_int(f->call_count);
    int name = take_below(&f->in, 4);
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_answer;
    desc.user = call;
    desc.timeout = take_below(&f->in, 4);
    desc.tries = take_below(&f->in, 6);
    if (take_below(&f->in, 4) == 0) desc.predict = on_guess;
    if (f->call_count == CALLS) return;
    call->accepted = 1;       /* its answer cannot come before wisp_invoke_values returns */
    e->last_call = wisp_invoke_values(e->w, names[name], wisp_to_peer(some_peer(e)), &desc,
                                      &number, 1);
    if (e->last_call.id) f->call_count++;
    else call->accepted = 0;
}

/* ---- handlers ----------------------------------------------------------------------- */

static void operation_inside(end *e, wisp_peer peer);

static void act(wisp_event *event, end *e) {
    world *f = e->world;
    MUST(event->w == e->w);
    look_at_event(event);
    if (f->quiet || f->depth > 0) return;
    f->depth++;
    operation_inside(e, event->peer);
    f->depth--;
}

static void on_numbered(wisp_event *event) {
    end *e = (end *)event->user;
    stream *s = stream_of(e->received, &e->received_count, event->peer.id);
    uint32_t other = (uint32_t)wisp_arg_uint(event, 0);
    int number = (int)wisp_arg_int(event, 1);
    MUST(event->count == 3);
    if (s) {
        MUST(s->other == 0 || s->other == other);
        MUST(number == s->next);
        s->other = other;
        s->next = number + 1;
    }
    act(event, e);
}

static void on_sequenced(wisp_event *event) {
    end *e = (end *)event->user;
    stream *s = stream_of(e->received, &e->received_count, event->peer.id);
    int64_t number = wisp_arg_int(event, 0);
    if (s) {
        MUST(number > s->newest);
        s->newest = number;
    }
    act(event, e);
}

static void on_any(wisp_event *event) {
    MUST(event->count == 2 && wisp_hash(&event->args[1]) == wisp_arg_uint(event, 0));
    act(event, (end *)event->user);
}

static void on_notice(wisp_event *event) { act(event, (end *)event->user); }

static void on_ask(wisp_event *event) {
    end *e = (end *)event->user;
    world *f = e->world;
    int64_t number = wisp_arg_int(event, 0);
    MUST(number >= 0 && number < CALLS && f->calls[number].ran == 0);
    f->calls[number].ran++;
    switch (f->quiet ? 0 : take_below(&f->in, 6)) {
    case 0: wisp_reply(event, wisp_int(number)); break;
    case 1: wisp_fail(event, WISP_E_USER - 5, "not %d", (int)number); break;
    case 2: e->parked[take_below(&f->in, PARKED)] = wisp_defer(event); break;
    case 3: act(event, e); break;
    case 4: wisp_reply(event, wisp_bytes(f, 3000)); break;
    default: break;
    }
}

/* ---- an end's life -------------------------------------------------------------------- */

static void lower_limits(wisp_limits *limits) {
    limits->remotes = 32;
    limits->message_bytes = 8192;
    limits->queue_messages = 256;
    limits->queue_bytes = 32768;
    limits->window_items = 64;
    limits->window_bytes = 4096;
    limits->window_packets = 64;
    limits->calls = 16;
    limits->calls_remembered = 16;
    limits->notices = 64;
}

static void set_up(end *e) {
    wisp_config exact, loose;
    memset(&exact, 0, sizeof exact);
    exact.delivery = WISP_RELIABLE;
    exact.channel = WISP_CHANNEL(3);
    exact.rate_limit = -1;
    wisp_use_config(e->w, &exact, "numbered");
    loose = exact;
    loose.delivery = WISP_SEQUENCED;
    wisp_use_config(e->w, &loose, "sequenced");
    loose.delivery = WISP_UNRELIABLE;
    wisp_use_config(e->w, &loose, "loose");
    wisp_use_config(e->w, &loose, "loose ask");
    wisp_connect(e->w, "numbered", on_numbered, e);
    wisp_connect(e->w, "sequenced", on_sequenced, e);
    wisp_connect(e->w, "any", on_any, e);
    wisp_connect(e->w, "loose", on_any, e);
    wisp_connect(e->w, WISP_JOINED, on_notice, e);
    wisp_connect(e->w, WISP_LEFT, on_notice, e);
    wisp_connect(e->w, WISP_ERROR, on_notice, e);
    wisp_on_invoke(e->w, "ask", on_ask, e);
    wisp_on_invoke(e->w, "loose ask", on_ask, e);
}

/* Memory does not fail while an end is made: its handlers must be there. */
static void come(end *e) {
    world *f = e->world;
    wisp_desc desc;
    int fails_in = f->memory.fails_in;
    f->memory.fails_in = 0;
    memset(&desc, 0, sizeof desc);
    e->mood = GOOD;
    e->doomed = false;
    e->sent_count = e->received_count = 0;
    desc.link = moody_link(e);
    desc.max_peers = 4;
    desc.joins = f->options & 64 ? WISP_JOINS_AUTO : WISP_JOINS_OPEN;
    desc.memory = memory_allocator(&f->memory);
    desc.seed = 1000 + (uint64_t)f->in.at * 2 + (uint64_t)e->side;
    if (f->options & 2) lower_limits(&desc.limits);
    e->w = wisp_create(&desc, NULL);
    MUST(e->w);
    set_up(e);
    f->memory.fails_in = fails_in;
}

/* Gone: with a goodbye, or as in a crash. */
static void go(end *e, bool crash) {
    int mood = e->mood;
    if (crash) e->mood = BROKEN;
    wisp_destroy(e->w);
    e->mood = mood;
    e->w = NULL;
}

static void join(end *e) {
    wisp_addr there = wisp_loopback_addr(1 - e->side);
    wisp_join(e->w, &there, "ticket", 6);
}

/* ---- operations ------------------------------------------------------------------------- */

static void configure(end *e) {
    static const char *const names[] = { "any", "private", "loose ask" };
    script *in = &e->world->in;
    wisp_config config;
    memset(&config, 0, sizeof config);
    switch (take_below(in, 8)) {
    case 0: config.delivery = 1 + take_below(in, 3); break;
    case 1: config.channel = WISP_CHANNEL(take_below(in, 16)); break;
    case 2: config.rate_limit = take(in) & 1 ? 0.05 : -1; break;
    case 3: config.batch_priority = WISP_PRIORITY(take(in)); break;
    case 4: wisp_set_batch_mode(e->w, "numbered", take(in) & 1 ? WISP_BATCH_NEVER
                                                               : WISP_BATCH_RELIABLE); return;
    case 5: wisp_use_batching(e->w, take(in) & 1); return;
    case 6: wisp_set_max_batch_size(e->w, 1 + take_below(in, 9)); return;
    default: config.call_tries = 1 + take_below(in, 9); break;
    }
    wisp_use_config(e->w, &config, names[take_below(in, 3)]);
}

static void disturb(end *e) {
    static const char *const texts[] = { "none", "wifi", "down:awful", "satellite", "mtu=700",
                                         "corrupt=20 order=1", "down:mobile up:rate=20k queue=2k" };
    script *in = &e->world->in;
    wisp_simulator *sim = &e->sim;
    switch (take_below(in, 9)) {
    case 0: sim->loss = take_below(in, 5) * 0.2; break;
    case 1: sim->duplicate = take_below(in, 3) * 0.4; break;
    case 2: sim->latency = take_below(in, 4) * 0.05; break;
    case 3: sim->jitter = take_below(in, 4) * 0.05; break;
    case 4: sim->reorder = take_below(in, 3) * 0.3; break;
    case 5: sim->rate = take_below(in, 3) * 20000; break;
    case 6: wisp_simulator_set(sim, texts[take_below(in, 7)]); break;
    default: e->mood = take_below(in, MOODS); break;
    }
}

static void answer_parked(end *e) {
    wisp_call *call = &e->parked[take_below(&e->world->in, PARKED)];
    wisp_value value = wisp_string("at last");
    if (take(&e->world->in) & 1) wisp_answer(e->w, *call, &value, 1);
    else wisp_answer_fail(e->w, *call, WISP_E_USER, "%s", "never");
}

static void connect_more(end *e) {
    int what = take_below(&e->world->in, 4);
    if (what == 0) wisp_disconnect(e->w, e->extra);
    else if (what == 1) e->extra = wisp_once(e->w, "any", on_any, e);
    else if (what == 2) e->extra = wisp_connect(e->w, "numbered again", on_any, e);
    else wisp_remote_named(e->w, take(&e->world->in) & 1 ? "private" : "late");
}

/* Nothing numbered: it would overtake, or be taken back. */
static void transact(end *e) {
    script *in = &e->world->in;
    if (wisp_begin(e->w, some_peer(e)) != WISP_OK) return;
    for (int left = take_below(in, 6); left > 0; left--)
        if (take(in) & 1) fire_any(e);
        else invoke(e);
    if (take_below(in, 4)) wisp_commit(e->w, NULL, NULL);
    else wisp_abort(e->w);
    MUST(!e->w->bundle.open);
}

/* What may be done anywhere; inside a handler `peer` is whom it is about. */
static void do_one(end *e, int code, wisp_peer peer) {
    switch (code) {
    case 0: case 1: fire_numbered(e); break;
    case 2: fire_sequenced(e); break;
    case 3: fire_any(e); break;
    case 4: invoke(e); break;
    case 5: wisp_cancel(e->w, e->last_call); break;
    case 6: answer_parked(e); break;
    case 7: connect_more(e); break;
    case 8: configure(e); break;
    case 9: wisp_flush_batches(e->w); break;
    case 10: wisp_leave(e->w, peer, "leaving"); break;
    case 11: join(e); break;
    case 12: transact(e); break;
    default: break;
    }
}

static void operation_inside(end *e, wisp_peer peer) {
    int code = take(&e->world->in);
    if (code < 100) return;
    if (code < 250) do_one(e, code % 13, peer);
    else if (code < 253) MUST(wisp_update(e->w, e->world->now) == WISP_E_BUSY);
    else {
        wisp_destroy(e->w);
        e->doomed = true;
    }
}

static void check(world *f) {
    for (int i = 0; i < 2; i++) wisp__host_check(f->ends[i].w);
}

static void update(end *e) {
    wisp_result result;
    e->sim.now = e->world->now;
    result = wisp_update(e->w, e->world->now);
    MUST((result == WISP_E_CLOSED) == e->doomed);
    if (e->doomed) come(e);
}

static void update_both(world *f, int times, double step) {
    for (int i = 0; i < times; i++) {
        f->now += step;
        update(&f->ends[0]);
        update(&f->ends[1]);
    }
}

static void operate(world *f) {
    int code = take(&f->in);
    end *e = &f->ends[code & 1];
    code = code >> 1 & 31;
    if (code < 11 || code == 12) do_one(e, code, some_peer(e));
    else if (code == 11) join(e);
    else if (code < 15) disturb(e);
    else if (code == 15) {
        go(e, take(&f->in) & 1);
        come(e);
    } else if (code == 16) f->memory.fails_in = take_below(&f->in, 30);
    else if (code < 20) update_both(f, take_below(&f->in, 40), 0.016);
    else update_both(f, 1, take_seconds(&f->in));
}

/* ---- the end -------------------------------------------------------------------------------- */

/* Has all that was fired to peers that are still there arrived? */
static bool all_arrived(world *f) {
    for (int i = 0; i < 2; i++) {
        end *from = &f->ends[i], *to = &f->ends[1 - i];
        for (int j = 0; j < from->sent_count; j++) {
            wisp_peer peer = { from->sent[j].peer };
            int arrived = 0;
            if (!wisp_peer_addr(from->w, peer)) continue;
            for (int k = 0; k < to->received_count; k++) {
                if (to->received[k].other == peer.id) arrived = to->received[k].next;
            }
            if (arrived < from->sent[j].next) return false;
        }
    }
    return true;
}

/* Lets the network heal and everything arrive. */
static void settle(world *f) {
    f->quiet = true;
    f->memory.fails_in = 0;
    for (int i = 0; i < 2; i++) {
        end *e = &f->ends[i];
        e->mood = GOOD;
        wisp_simulator_set(&e->sim, "none");
    }
    for (int i = 0; i < SETTLE_UPDATES && !all_arrived(f); i++) update_both(f, 1, 0.02);
    MUST(all_arrived(f));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static world world_of_two;
    world *f = &world_of_two;
    memset(f, 0, sizeof *f);
    f->in.data = data;
    f->in.size = size;
    f->options = take(&f->in);
    f->pipe.reliable = (f->options & 1) != 0;
    f->pipe.memory = memory_allocator(&f->memory);
    for (int i = 0; i < 2; i++) {
        end *e = &f->ends[i];
        e->world = f;
        e->side = i;
        e->sim.seed = (uint64_t)i + 1;
        e->sim.memory = f->pipe.memory;
        come(e);
    }
    join(&f->ends[1]);
    update_both(f, 8, 0.016);
    for (int i = 0; i < OPERATIONS && !script_ended(&f->in); i++) {
        operate(f);
        check(f);
    }
    settle(f);
    for (int i = 0; i < 2; i++) go(&f->ends[i], false);
    for (int i = 0; i < f->call_count; i++) MUST(f->calls[i].answers == 1);
    for (int i = 0; i < 2; i++) wisp_simulator_free(&f->ends[i].sim);
    wisp_pipe_free(&f->pipe);
    MUST(f->memory.held == 0);
    return 0;
}
