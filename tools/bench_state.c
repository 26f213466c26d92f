/* bench_state.c - what state costs: objects, and who sees them

   Build    cc -std=c99 -O2 -DNDEBUG -I. tools/bench_state.c -o build/bench_state -lm
   Run      build/bench_state [quick] [interest] [owners] [inputs] [predict]
                               [transactions]

   interest  10,000 objects that all walk over a plane, 20 ticks a second, and 100 clients whose
             foci walk too and see about 100 objects each. .server is the server's time in parts of
             a core, from the edits to the packets, of which .alone is the same without clients:
             edits, rows and places. .objects is what a client sees, and .bytes what it is sent.
   owners    30 clients, each of which owns one object that walks at 3 m/s to random points within
             20 m and turns towards them at up to 90 degrees a second (steps of 1 mm and 0.2
             degrees), 60 ticks a second; all see all. .all is all datagrams of all ends with 28
             bytes of UDP and IP each
   inputs    a client whose inputs of 4 bytes change every tenth tick, 60 a second, and a server
             with an object that moves, over 100 ms and 5% loss. .packet is what the client sends,
             with all headers of wisp; .fresh are the ticks of the server that had the input
   predict   64 objects that a client predicts, 60 ticks a second over 100 ms: .again is a
             reconciliation of 12 ticks, with a handler that edits each of them, by room predict
             alone; the goal is 1,600 times floor.message.cpu of bench_floor where that is 37 ns
   transactions  a transaction of 10 calls against 10 calls by themselves, 4 updates each: the
             bytes of all datagrams, and the time of both ends */
#include "bench.h"

#include <math.h>

enum { WALKERS = 10000, WATCHERS = 100, PLANE = 1000, RATE = 20 };
enum { WARM_TICKS = 40, TICKS = 100, JOIN_TICKS = 100 };

static const double reach = 56.4;             /* metres: a hundredth of the plane */

typedef struct walker { wisp_vec3 at; float heading; } walker;

static const wisp_field walker_fields[] = {
    WISP_FIELD(walker, at, WISP_T_VEC3_CLAMPED(-PLANE / 2, PLANE / 2, 0.01)),
    WISP_FIELD(walker, heading, WISP_T_CLAMPED(0, 6.3, 0.01))
};
static const wisp_schema walker_schema = WISP_SCHEMA(walker, 1, walker_fields);

typedef struct scene {
    wisp_pipe   pipe;
    tap         taps[WATCHERS + 1];
    wisp       *server, *clients[WATCHERS];
    wisp_class  of;
    wisp_object all[WALKERS];
    wisp_vec3   foci[WATCHERS], steps[WALKERS];
    wisp_peer   peers[WATCHERS];
    int         joined;
    uint64_t    random;
    double      now, spent;                   /* seconds; spent: of CPU by the server */
    long        updates;                      /* that clients were told */
} scene;

static scene s;

static float anywhere(float most) {
    return ((float)(next_random(&s.random) >> 40) / (float)(1 << 24) * 2 - 1) * most;
}

/* Keeps to the plane: who comes to its edge goes on at the other side. */
static void walk(wisp_vec3 *at, const wisp_vec3 *step) {
    float *axes[2], by[2];
    axes[0] = &at->x, axes[1] = &at->y;
    by[0] = step->x, by[1] = step->y;
    for (int i = 0; i < 2; i++) {
        *axes[i] += by[i];
        if (*axes[i] > PLANE / 2) *axes[i] -= PLANE;
        if (*axes[i] < -PLANE / 2) *axes[i] += PLANE;
    }
}

static void on_tick(wisp_event *event) {
    for (int i = 0; i < WALKERS; i++) {
        walker *it = (walker *)wisp_object_edit(event->w, s.all[i]);
        walk(&it->at, &s.steps[i]);
    }
    for (int i = 0; i < s.joined; i++) {
        walk(&s.foci[i], &s.steps[i]);
        wisp_focus(event->w, s.peers[i], s.foci[i], reach, 0);
    }
}

static void on_joined(wisp_event *event) {
    s.foci[s.joined].x = anywhere(PLANE / 2);
    s.foci[s.joined].y = anywhere(PLANE / 2);
    wisp_focus(event->w, event->peer, s.foci[s.joined], reach, 0);
    s.peers[s.joined++] = event->peer;
}

static void on_change(wisp_event *event) { (void)event, s.updates++; }

static wisp *scene_add(int side) {
    wisp_class_desc of;
    wisp_desc desc;
    wisp *w;
    wisp_class made;
    memset(&of, 0, sizeof of);
    memset(&desc, 0, sizeof desc);
    desc.link = tap_link(&s.taps[side], wisp_loopback(&s.pipe, side));
    desc.tick_rate = side ? 0 : RATE;
    desc.max_peers = WATCHERS;
    desc.seed = (uint64_t)side + 1;
    desc.limits.objects = WALKERS;
    of.schema = &walker_schema;
    of.position = WISP_POSITION(walker, at);
    of.changed = side ? on_change : NULL;
    w = wisp_create(&desc, NULL);
    made = wisp_define(w, "walker", &of);
    if (!side) s.of = made;
    wisp_connect(w, WISP_ERROR, on_error, NULL);
    return w;
}

static void scene_tick(void) {
    double began;
    s.now += 1.0 / RATE;
    began = cpu_seconds();
    wisp_update(s.server, s.now);
    s.spent += cpu_seconds() - began;
    for (int i = 0; i < WATCHERS && s.clients[i]; i++) wisp_update(s.clients[i], s.now);
}

static void scene_ticks(int count) {
    s.spent = 0;
    for (int i = 0; i < count; i++) scene_tick();
}

static void scene_open(void) {
    wisp_player nobody = { 0 };
    walker made;
    memset(&s, 0, sizeof s);
    memset(&made, 0, sizeof made);
    s.random = 7;
    s.server = scene_add(0);
    for (int i = 0; i < WALKERS; i++) {
        made.at.x = anywhere(PLANE / 2), made.at.y = anywhere(PLANE / 2);
        s.steps[i].x = anywhere(0.15f), s.steps[i].y = anywhere(0.15f);
        s.all[i] = wisp_spawn(s.server, s.of, nobody, &made);
        if (!s.all[i].id) complain("spawn: %s", wisp_why_text(s.server));
    }
    wisp_on(s.server, WISP_TICK, on_tick, NULL);
    wisp_on(s.server, WISP_JOINED, on_joined, NULL);
}

static void scene_join(void) {
    wisp_addr server = wisp_loopback_addr(0);
    for (int i = 0; i < WATCHERS; i++) {
        s.clients[i] = scene_add(i + 1);
        wisp_join(s.clients[i], &server, NULL, 0);
        scene_tick();
    }
    for (int i = 0; i < JOIN_TICKS && s.joined < WATCHERS; i++) scene_tick();
    if (s.joined < WATCHERS) complain("%d of %d clients have joined", s.joined, WATCHERS);
}

static int scene_seen(void) {
    int seen = 0;
    for (int i = 0; i < WATCHERS; i++) {
        wisp_class of = { 1 };
        for (wisp_object o = wisp_first(s.clients[i], of); o.id; o = wisp_next(s.clients[i], o))
            seen++;
    }
    return seen;
}

static void scene_close(void) {
    for (int i = 0; i < WATCHERS; i++)
        if (s.clients[i]) wisp_destroy(s.clients[i]);
    wisp_destroy(s.server);
    wisp_pipe_free(&s.pipe);
}

static void run_interest(bool quick) {
    int ticks = quick ? TICKS / 10 : TICKS, rounds = quick ? 3 : 5;
    double part = 100.0 * RATE / ticks;       /* of seconds that so many ticks took */
    scene_open();
    scene_ticks(WARM_TICKS);
    for (int i = 0; i < rounds; i++) {
        scene_ticks(ticks);
        record("interest", "alone", "% core", 0, s.spent * part);
    }
    scene_join();
    scene_ticks(WARM_TICKS);
    for (int i = 0; i < rounds; i++) {
        uint64_t before = s.taps[0].bytes;
        s.updates = 0;
        scene_ticks(ticks);
        record("interest", "server", "% core", 12, s.spent * part);
        record("interest", "bytes", "kB/s", 0,
               (double)(s.taps[0].bytes - before) / WATCHERS * RATE / ticks / 1000);
        record("interest", "objects", "seen", 0, (double)scene_seen() / WATCHERS);
        record("interest", "updates", "told/tick", 0, (double)s.updates / WATCHERS / ticks);
    }
    scene_close();
}

/* --- owners --- */

enum { OWNERS = 30, OWNERS_RATE = 60, OWNERS_PIPES = OWNERS + 1 };

typedef struct pawn { wisp_vec3 at; float heading; } pawn;

static const wisp_field pawn_fields[] = {
    WISP_FIELD(pawn, at, WISP_T_VEC3_CLAMPED(-32, 32, 0.001)),
    WISP_FIELD(pawn, heading, WISP_T_CLAMPED(-180, 180, 0.2))
};
static const wisp_schema pawn_schema = WISP_SCHEMA(pawn, 1, pawn_fields);

typedef struct owner {
    wisp     *w;
    wisp_vec3 aim;
    long      told;                           /* changes of the objects of others */
} owner;

static struct {
    wisp_pipe  pipe;
    tap        taps[OWNERS_PIPES];
    wisp      *server;
    owner      all[OWNERS];
    wisp_class of;
    double     now;
} o30;

/* Turns towards where it goes, and goes there; there it thinks of another place. */
static void pawn_walk(pawn *it, wisp_vec3 *aim, float step) {
    float dx = aim->x - it->at.x, dz = aim->z - it->at.z;
    float away = (float)sqrt((double)(dx * dx + dz * dz));
    float turn;
    if (away < 3 * step) {
        aim->x = anywhere(20), aim->z = anywhere(20);
        return;
    }
    turn = (float)atan2((double)dz, (double)dx) * 57.29578f - it->heading;
    if (turn > 180) turn -= 360;
    if (turn < -180) turn += 360;
    it->heading += turn > 90 * step ? 90 * step : turn < -90 * step ? -90 * step : turn;
    if (it->heading > 180) it->heading -= 360;
    if (it->heading < -180) it->heading += 360;
    it->at.x += dx / away * 3 * step;
    it->at.z += dz / away * 3 * step;
}

static void on_owner_tick(wisp_event *event) {
    owner *own = (owner *)event->user;
    for (wisp_object o = wisp_first(event->w, o30.of); o.id; o = wisp_next(event->w, o)) {
        pawn *it = wisp_is_mine(event->w, o) ? (pawn *)wisp_object_edit(event->w, o) : NULL;
        if (it) pawn_walk(it, &own->aim, (float)event->step);
    }
}

static void on_pawn(wisp_event *event) { ((owner *)event->user)->told++; }

/* Each that joins gets an object. */
static void on_owner_joined(wisp_event *event) {
    pawn made;
    memset(&made, 0, sizeof made);
    if (!wisp_spawn(event->w, o30.of, wisp_player_of(event->w, event->peer), &made).id)
        complain("spawn: %s", wisp_why_text(event->w));
}

static wisp *owners_add(int side) {
    wisp_class_desc of;
    wisp_desc desc;
    wisp *w;
    memset(&of, 0, sizeof of);
    memset(&desc, 0, sizeof desc);
    desc.link = tap_link(&o30.taps[side], wisp_loopback(&o30.pipe, side));
    desc.tick_rate = side ? 0 : OWNERS_RATE;
    desc.max_peers = OWNERS;
    desc.seed = (uint64_t)side + 1;
    of.schema = &pawn_schema;
    of.authority = WISP_AUTHORITY_OWNER;
    of.changed = side ? on_pawn : NULL;
    of.user = side ? &o30.all[side - 1] : NULL;
    w = wisp_create(&desc, NULL);
    o30.of = wisp_define(w, "pawn", &of);
    wisp_connect(w, WISP_ERROR, on_error, NULL);
    if (side) wisp_on_tick(w, on_owner_tick, &o30.all[side - 1]);
    return w;
}

static void owners_run(double seconds) {
    for (int i = 0; i < seconds * OWNERS_RATE; i++) {
        o30.now += 1.0 / OWNERS_RATE;
        wisp_update(o30.server, o30.now);
        for (int k = 0; k < OWNERS && o30.all[k].w; k++) wisp_update(o30.all[k].w, o30.now);
    }
}

static double owners_bytes(void) {
    double all = 0;
    for (int i = 0; i < OWNERS_PIPES; i++)
        all += (double)o30.taps[i].bytes + 28 * (double)o30.taps[i].datagrams;
    return all;
}

static void run_owners(bool quick) {
    wisp_addr server = wisp_loopback_addr(0);
    double seconds = quick ? 2 : 10, before;
    long told = 0;
    memset(&o30, 0, sizeof o30);
    s.random = 11;
    o30.server = owners_add(0);
    wisp_on(o30.server, WISP_JOINED, on_owner_joined, NULL);
    for (int i = 0; i < OWNERS; i++) {
        o30.all[i].w = owners_add(i + 1);
        wisp_join(o30.all[i].w, &server, NULL, 0);
        owners_run(0.1);
    }
    owners_run(2);
    for (int i = 0; i < OWNERS; i++) o30.all[i].told = 0;
    before = owners_bytes();
    owners_run(seconds);
    record("owners", "all", "MB/s", 0.48, (owners_bytes() - before) / seconds / 1e6);
    for (int i = 0; i < OWNERS; i++) told += o30.all[i].told;
    record("owners", "told", "per tick", 0, (double)told / OWNERS / seconds / OWNERS_RATE);
    if ((double)told < 0.8 * OWNERS * (OWNERS - 1) * seconds * OWNERS_RATE)
        complain("owners: only %ld changes were told", told);
    for (int i = 0; i < OWNERS; i++) wisp_destroy(o30.all[i].w);
    wisp_destroy(o30.server);
    wisp_pipe_free(&o30.pipe);
}

/* --- inputs --- */

typedef struct pad { uint16_t keys; int8_t x, y; } pad;

static const wisp_field pad_fields[] = {
    WISP_FIELD(pad, keys, WISP_T_UINT), WISP_FIELD(pad, x, WISP_T_INTEGER),
    WISP_FIELD(pad, y, WISP_T_INTEGER),
};
static const wisp_schema pad_schema = WISP_SCHEMA(pad, 1, pad_fields);

static struct {
    wisp_pipe      pipe;
    wisp_simulator nets[2];
    wisp          *w[2];
    wisp_object    mover;
    pad            held;
} pads;

static void on_sample(wisp *w, void *input, void *user) {
    (void)user;
    if (wisp_tick(w) % 10 == 0) {
        pads.held.keys = (uint16_t)anywhere(32767);
        pads.held.x = (int8_t)anywhere(127);
        pads.held.y = (int8_t)anywhere(127);
    }
    memcpy(input, &pads.held, sizeof pads.held);
}

static void on_pads_tick(wisp_event *event) {
    walker *it = (walker *)wisp_object_edit(event->w, pads.mover);
    if (it) it->at.x += 0.01f;
}

static void pads_run(double seconds) {
    for (int i = 0; i < seconds * 60; i++) {
        double now = pads.nets[0].now + 1.0 / 60;
        for (int k = 0; k < 2; k++) {
            pads.nets[k].now = now;
            wisp_update(pads.w[k], now);
        }
    }
}

static void run_inputs(bool quick) {
    wisp_addr server = wisp_loopback_addr(0);
    wisp_player nobody = { 0 };
    wisp_input_stats inputs, before;
    wisp_peer_stats sent, first;
    walker made;
    memset(&pads, 0, sizeof pads);
    memset(&made, 0, sizeof made);
    s.random = 5;
    for (int i = 0; i < 2; i++) {
        wisp_class_desc of;
        wisp_desc desc;
        wisp_class class_of;
        memset(&of, 0, sizeof of);
        memset(&desc, 0, sizeof desc);
        of.schema = &walker_schema;
        desc.tick_rate = i ? 0 : 60;
        desc.seed = (uint64_t)i + 1;
        pads.nets[i].latency = 0.05;
        pads.nets[i].loss = 0.05;
        pads.nets[i].seed = (uint64_t)i + 3;
        desc.link = wisp_simulate(&pads.nets[i], wisp_loopback(&pads.pipe, i));
        pads.w[i] = wisp_create(&desc, NULL);
        class_of = wisp_define(pads.w[i], "walker", &of);
        if (wisp_use_input(pads.w[i], &pad_schema))
            complain("inputs: %s", wisp_why_text(pads.w[i]));
        if (!i) pads.mover = wisp_spawn(pads.w[0], class_of, nobody, &made);
    }
    wisp_on_tick(pads.w[0], on_pads_tick, NULL);
    wisp_on_input(pads.w[1], on_sample, NULL);
    wisp_join(pads.w[1], &server, NULL, 0);
    pads_run(5);
    wisp_stats_input(pads.w[0], wisp_me(pads.w[1]), &before);
    wisp_stats_peer(pads.w[1], wisp_server(), &first);
    pads_run(quick ? 10 : 60);
    wisp_stats_input(pads.w[0], wisp_me(pads.w[1]), &inputs);
    wisp_stats_peer(pads.w[1], wisp_server(), &sent);
    record("inputs", "packet", "B", 30, (double)(sent.bytes_sent - first.bytes_sent) /
                                            (double)(sent.packets_sent - first.packets_sent));
    inputs.fresh -= before.fresh;
    inputs.repeated -= before.repeated;
    record("inputs", "fresh", "%", 0,
           100.0 * (double)inputs.fresh / (double)(inputs.fresh + inputs.repeated));
    for (int i = 0; i < 2; i++) wisp_destroy(pads.w[i]);
    for (int i = 0; i < 2; i++) wisp_simulator_free(&pads.nets[i]);
    wisp_pipe_free(&pads.pipe);
}

/* --- predict --- */

enum { AHEAD = 64, AGAIN = 12 };

typedef struct race { wisp_pipe pipe; wisp_simulator nets[2]; wisp *w[2]; wisp_class of[2]; } race;

static race races;

static void on_race_tick(wisp_event *event) {
    wisp_class of = races.of[event->w == races.w[1]];
    for (wisp_object o = wisp_first(event->w, of); o.id; o = wisp_next(event->w, o)) {
        walker *it = (walker *)wisp_object_edit(event->w, o);
        if (it) it->at.x += 0.02f;
    }
}

static void race_run(double seconds, double *now, double *spent, uint64_t *ticks) {
    wisp_predict_stats before, after;
    for (int i = (int)(seconds * 60); i > 0; i--) {
        *now += tick_seconds;
        for (int end = 0; end < 2; end++) {
            races.nets[end].now = *now;
            wisp_update(races.w[end], *now);
        }
        if (!spent) continue;
        wisp_stats_predict(races.w[1], &before);
        races.w[1]->journal.stale = true;
        *spent -= cpu_seconds();
        wisp__reconcile(races.w[1]);
        *spent += cpu_seconds();
        wisp_stats_predict(races.w[1], &after);
        *ticks += after.ticks_again - before.ticks_again;
    }
}

static void run_predict(bool quick) {
    wisp_addr server = wisp_loopback_addr(0);
    wisp_class_desc of;
    walker made;
    double now = 0;
    memset(&races, 0, sizeof races);
    memset(&of, 0, sizeof of);
    memset(&made, 0, sizeof made);
    of.schema = &walker_schema;
    of.predict = WISP_PREDICT_OWNED;
    for (int i = 0; i < 2; i++) {
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        desc.app = "race";
        desc.tick_rate = i ? 0 : 60;
        desc.seed = (uint64_t)i + 1;
        races.nets[i].latency = 0.05;
        races.nets[i].seed = (uint64_t)i + 3;
        desc.link = wisp_simulate(&races.nets[i], wisp_loopback(&races.pipe, i));
        races.w[i] = wisp_create(&desc, NULL);
        races.of[i] = wisp_define(races.w[i], "walker", &of);
        wisp_on_tick(races.w[i], on_race_tick, NULL);
    }
    wisp_join(races.w[1], &server, NULL, 0);
    race_run(3, &now, NULL, NULL);
    for (int i = 0; i < AHEAD; i++)
        wisp_spawn(races.w[0], races.of[0], wisp_me(races.w[1]), &made);
    race_run(2, &now, NULL, NULL);
    for (int turn = 0; turn < 7; turn++) {
        double spent = 0;
        uint64_t ticks = 0;
        race_run(quick ? 1 : 5, &now, &spent, &ticks);
        if (!ticks) complain("predict: no tick ran again");
        else record("predict", "again", "us", 1600 * 0.037, spent / (double)ticks * AGAIN * 1e6);
    }
    for (int i = 0; i < 2; i++) wisp_destroy(races.w[i]);
    for (int i = 0; i < 2; i++) wisp_simulator_free(&races.nets[i]);
    wisp_pipe_free(&races.pipe);
}

/* --- transactions --- */

static int calls_answered;

static void on_called(wisp_event *event) {
    wisp_reply(event, wisp_int(wisp_arg_int(event, 0) + 1));
}

static void on_called_back(wisp_event *event) { calls_answered += event->result == WISP_OK; }

/* Bytes and seconds of so many rounds of 10 calls. */
static void run_calls(pair *p, bool whole, int rounds, double figures[2]) {
    double began = cpu_seconds(), bytes = (double)pair_bytes(p);
    wisp *client = p->ends[CLIENT];
    for (int i = 0; i < rounds; i++) {
        if (whole) wisp_begin(client, WISP_SERVER);
        for (int k = 0; k < 10; k++)
            wisp_invoke(client, "call", WISP_SERVER, on_called_back, NULL,
                        wisp_int(i * 10 + k));
        if (whole) wisp_commit(client, NULL, NULL);
        for (int k = 0; k < 4; k++) pair_tick(p);
    }
    figures[0] = (double)pair_bytes(p) - bytes;
    figures[1] = cpu_seconds() - began;
}

static void run_transactions(bool quick) {
    int rounds = quick ? 200 : 2000;
    static pair p;
    memset(&p, 0, sizeof p);
    p.step = tick_seconds;
    if (!pair_open(&p, NULL, 5)) return;
    wisp_on_invoke(p.ends[SERVER], "call", on_called, NULL);
    calls_answered = 0;
    for (int turn = 0; turn < 5; turn++) {
        double alone[2], whole[2];
        run_calls(&p, false, rounds, alone);
        run_calls(&p, true, rounds, whole);
        if (!turn) continue;                  /* names are announced */
        record("transactions", "bytes", "x", 1.3, whole[0] / alone[0]);
        record("transactions", "time", "x", 1.5, whole[1] / alone[1]);
    }
    if (calls_answered != 100 * rounds) complain("transactions: %d answers", calls_answered);
    pair_close(&p);
}

static const section sections[] = { { "interest", run_interest }, { "owners", run_owners },
                                    { "inputs", run_inputs }, { "predict", run_predict },
                                    { "transactions", run_transactions } };

int main(int count, char **words) {
    return bench_main("bench_state", count, words, sections, 5);
}
