/* bench_policy.c - what middleware, the profiler, budgets, patterns and the overlay cost

   Build    cc -std=c99 -O2 -DNDEBUG -I. tools/bench_policy.c -o build/bench_policy -lm
   Run      build/bench_policy [quick] [switches] [pattern] [overlay]

   switches  20 reliable messages of 32 bytes per tick of 1/60 s over memory, from the fire by name
             to the handler, with something on at both ends and without it. Both share one pair of
             endpoints and take turns: .off is without, .costs how much more a message takes with
             it. `nothing` switches nothing, and tells how far the others can be trusted.
   pattern   wisp_pattern_matches of one pattern on one name, which happens once for each pair.
   overlay   wisp_overlay of a server with 16 peers, 40 names, errors and two minutes of history,
             into callbacks that only count.

   What a fire_all to 1,000 peers costs is measured by `bench_session fanout`. */
#include "bench.h"

/* What one run does; `quick` takes a tenth of it. */
typedef struct plan {
    int rounds, turns, matches, draws;        /* turns, matches and draws of each round */
} plan;

static const plan plans[2] = { { 31, 200, 20000, 400 }, { 7, 80, 9000, 180 } };

/* ---------------------------------------------------------------------------
 * Switches: traffic with something on and off
 * ------------------------------------------------------------------------ */

enum { MESSAGE_WORDS = 4, MESSAGE_BYTES = 8 * MESSAGE_WORDS, MESSAGES_PER_TICK = 20 };
enum { TURN_TICKS = 40, TURN_WARM_TICKS = 4, TURNS_MAX = 200, DRAIN_TICKS_MAX = 600 };

static const double turn_messages = (double)TURN_TICKS * MESSAGES_PER_TICK;

/* What was fired, and what has arrived. */
typedef struct traffic {
    pair     pair;
    uint64_t random;
    uint64_t fired_sum, sum;                  /* of the words, each times its message's number */
    uint64_t fired, arrived, bad;             /* messages */
} traffic;

static uint64_t words_sum(const uint64_t *words, uint64_t number) {
    return (words[0] ^ words[1] ^ words[2] ^ words[3]) * (2 * number + 1);
}

static void on_hit(wisp_event *event) {
    traffic *t = (traffic *)event->user;
    uint64_t words[MESSAGE_WORDS];
    int size = 0;
    const void *bytes = wisp_arg_bytes(event, 0, &size);
    if (!bytes || size != MESSAGE_BYTES) {
        t->bad++;
        return;
    }
    memcpy(words, bytes, sizeof words);
    t->sum += words_sum(words, t->arrived++);
}

static void traffic_ticks(traffic *t, int ticks) {
    int i, j, k;
    for (i = 0; i < ticks; i++) {
        for (j = 0; j < MESSAGES_PER_TICK; j++) {
            uint64_t words[MESSAGE_WORDS];
            for (k = 0; k < MESSAGE_WORDS; k++) words[k] = next_random(&t->random);
            t->fired_sum += words_sum(words, t->fired++);
            wisp_fire(t->pair.ends[SERVER], "hit", t->pair.peer, wisp_bytes(words, MESSAGE_BYTES));
        }
        pair_tick(&t->pair);
    }
}

static void traffic_verify(traffic *t, const char *name) {
    int i;
    for (i = 0; i < DRAIN_TICKS_MAX && t->arrived < t->fired; i++) pair_tick(&t->pair);
    if (t->bad > 0 || t->arrived != t->fired || t->sum != t->fired_sum) {
        complain("%s: %lu of %lu messages arrived, %lu bad, or not as sent", name,
                 (unsigned long)t->arrived, (unsigned long)t->fired, (unsigned long)t->bad);
    }
}

static wisp_result let_pass(wisp_event *event) {
    (void)event;
    return WISP_PASS;
}

static wisp_result switch_nothing(wisp *w, bool on) {
    (void)w;
    (void)on;
    return WISP_OK;
}

static wisp_result switch_middlewares(wisp *w, bool on, int count) {
    wisp_result result = WISP_OK;
    int i;
    for (i = 0; i < count && result == WISP_OK; i++) {
        wisp_middleware m;
        char name[16];
        snprintf(name, sizeof name, "empty-%d", i);
        memset(&m, 0, sizeof m);
        m.name = name;
        m.inbound = let_pass;
        m.outbound = let_pass;
        result = on ? wisp_use(w, &m) : wisp_unuse(w, name);
    }
    return result;
}

static wisp_result switch_middleware(wisp *w, bool on) { return switch_middlewares(w, on, 1); }

static wisp_result switch_eight(wisp *w, bool on) { return switch_middlewares(w, on, 8); }

static wisp_result switch_profiler(wisp *w, bool on) {
    wisp_profiler profiler;
    memset(&profiler, 0, sizeof profiler);
    return wisp_use_profiler(w, on ? &profiler : NULL);
}

/* So wide that nothing is ever over it. */
static wisp_result switch_budget(wisp *w, bool on) {
    wisp_budget budget;
    memset(&budget, 0, sizeof budget);
    budget.out = budget.in = budget.total_out = budget.total_in = 1e12;
    budget.messages = budget.packets = 1e9;
    return wisp_use_budget(w, on ? &budget : NULL);
}

typedef struct flip {
    const char *name;
    wisp_result (*set)(wisp *w, bool on);
    bool        share;                        /* .costs in percent, not in ns */
    double      goal;
} flip;

static const flip flips[] = {
    { "switch.nothing",      switch_nothing,    false, 0 },
    { "switch.middleware",   switch_middleware, false, 5 },
    { "switch.middleware_8", switch_eight,      false, 0 },
    { "switch.profiler",     switch_profiler,   true,  3 },
    { "switch.budget",       switch_budget,     true,  0 },
};
enum { FLIP_COUNT = (int)(sizeof flips / sizeof flips[0]) };

/* CPU seconds of one turn. */
static double flip_turn(traffic *t, const flip *f, bool on) {
    double begin, seconds;
    int side;
    for (side = SERVER; side < SIDES && on; side++) {
        wisp_result result = f->set(t->pair.ends[side], true);
        if (result != WISP_OK) complain("%s: %s", f->name, wisp_result_text(result));
    }
    traffic_ticks(t, TURN_WARM_TICKS);
    begin = cpu_seconds();
    traffic_ticks(t, TURN_TICKS);
    seconds = cpu_seconds() - begin;
    for (side = SERVER; side < SIDES && on; side++) f->set(t->pair.ends[side], false);
    return seconds;
}

static double median_of(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return (values[count / 2] + values[(count - 1) / 2]) / 2;
}

/* The medians of many short turns: one that the machine disturbs does not count. Which of the two
   comes first changes from turn to turn. */
static void flip_round(traffic *t, const flip *f, int turns) {
    static double off[TURNS_MAX], more[TURNS_MAX];
    double base, costs;
    int i;
    for (i = 0; i < turns; i++) {
        bool first = i % 2 == 1;
        double a = flip_turn(t, f, first), b = flip_turn(t, f, !first);
        off[i] = first ? b : a;
        more[i] = first ? a - b : b - a;
    }
    base = median_of(off, turns);
    costs = median_of(more, turns);
    record(f->name, "off", "ns/msg", 0, base * 1e9 / turn_messages);
    if (f->share) record(f->name, "costs", "%", f->goal, costs / base * 100);
    else record(f->name, "costs", "ns/msg", f->goal, costs * 1e9 / turn_messages);
}

static void run_switches(bool quick) {
    const plan *todo = &plans[quick];
    static traffic t;
    int i, j;
    memset(&t, 0, sizeof t);
    t.random = 1;
    t.pair.step = tick_seconds;
    if (!pair_open(&t.pair, NULL, 0)) return;
    wisp_connect(t.pair.ends[CLIENT], "hit", on_hit, &t);
    for (i = 0; i < todo->rounds; i++) {
        for (j = 0; j < FLIP_COUNT; j++) {
            flip_round(&t, &flips[j], todo->turns);
            traffic_verify(&t, flips[j].name);
        }
    }
    pair_close(&t.pair);
}

/* ---------------------------------------------------------------------------
 * Pattern
 * ------------------------------------------------------------------------ */

typedef struct named {
    const char *name;
    bool        matches;
} named;

static const named names[] = {
    { "PlayerHPChanged",          true },
    { "PlayerMaxHPChanged",       true },
    { "OldPlayerMaxHPChanged",    true },
    { "PlayerManaChanged",        false },
    { "InventorySlotUpdated",     false },
    { "hit",                      false },
};

static void pattern_round(const wisp_pattern *pattern, const named *n, int matches) {
    int i, found = 0;
    double begin = cpu_seconds();
    for (i = 0; i < matches; i++) found += wisp_pattern_matches(pattern, n->name);
    record("pattern", n->name, "ns", 0, (cpu_seconds() - begin) * 1e9 / matches);
    if (found != (n->matches ? matches : 0)) complain("pattern: wrong about %s", n->name);
}

static void run_pattern(bool quick) {
    const plan *todo = &plans[quick];
    wisp_pattern pattern;
    size_t j;
    int i;
    if (wisp_pattern_compile(&pattern, "Player(HP|MaxHP)Changed", NULL) != WISP_OK) {
        complain("pattern: it does not compile");
        return;
    }
    for (i = 0; i < todo->rounds; i++)
        for (j = 0; j < sizeof names / sizeof names[0]; j++)
            pattern_round(&pattern, &names[j], todo->matches);
}

/* ---------------------------------------------------------------------------
 * Overlay: a server about which there is much to tell
 * ------------------------------------------------------------------------ */

enum { STAGE_CLIENTS = 16, STAGE_ENDS = STAGE_CLIENTS + 1, STAGE_NAMES = 40, STAGE_STEPS = 2500 };

static const double stage_step_seconds = 0.05;

typedef struct stage {
    wisp_pipe pipe;
    wisp     *ends[STAGE_ENDS];               /* the server, and its clients */
    double    now;
} stage;

static void on_nothing(wisp_event *event) { (void)event; }

static void on_asked(wisp_event *event) { wisp_reply(event, wisp_int(1)); }

static double clock_of_cpu(void *user) {
    (void)user;
    return cpu_seconds();
}

static void address_as_text(void *user, const wisp_addr *addr, char *out, int size) {
    (void)user;
    snprintf(out, (size_t)size, "10.0.0.%d:4000", addr->bytes[0]);
}

static void stage_step(stage *s) {
    int i;
    s->now += stage_step_seconds;
    for (i = 0; i < STAGE_ENDS; i++) wisp_update(s->ends[i], s->now);
}

static const char *stage_name(int i, char name[16]) {
    snprintf(name, 16, "remote-%d", i);
    return name;
}

/* What the server says and is told in one step: of each name something, nobody listens to
   "nonsense", and calls are answered. */
static void stage_play(stage *s, int step) {
    wisp *server = s->ends[0];
    wisp_peer to;
    char name[16];
    int i;
    for (i = step % 4; i < STAGE_NAMES; i += 4)
        wisp_fire_all(server, stage_name(i, name), wisp_int(step), wisp_string("some text"));
    if (step % 20 == 0 && wisp_peers(s->ends[1], &to, 1) == 1) {
        wisp_fire(s->ends[1], "nonsense", to, wisp_int(step));
        wisp_invoke(s->ends[1], "ask", to, on_nothing, NULL, wisp_int(step));
    }
    stage_step(s);
}

static void stage_close(stage *s) {
    int i;
    for (i = STAGE_ENDS - 1; i >= 0; i--)
        if (s->ends[i]) wisp_destroy(s->ends[i]);
    wisp_pipe_free(&s->pipe);
}

static bool stage_create(stage *s) {
    char name[16];
    int i, j;
    for (i = 0; i < STAGE_ENDS; i++) {
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        desc.link = wisp_loopback(&s->pipe, i);
        desc.app = "bench";
        desc.max_peers = STAGE_CLIENTS;
        desc.refuse_joins = i > 0;
        s->ends[i] = wisp_create(&desc, NULL);
        if (!s->ends[i]) return false;
        for (j = 0; j < STAGE_NAMES; j++)
            wisp_connect(s->ends[i], stage_name(j, name), on_nothing, NULL);
    }
    return true;
}

/* Joins all clients, then plays for more than two minutes. */
static bool stage_open(stage *s) {
    static const wisp_profiler profiler = { clock_of_cpu, address_as_text, NULL };
    wisp_addr server = wisp_loopback_addr(0);
    int i;
    memset(s, 0, sizeof *s);
    if (!stage_create(s)) return false;
    wisp_on_invoke(s->ends[0], "ask", on_asked, NULL);
    wisp_remote_named(s->ends[0], "nonsense");
    for (i = 1; i < STAGE_ENDS; i++) wisp_join(s->ends[i], &server, NULL, 0);
    for (i = 0; i < JOIN_TICKS_MAX && wisp_peers(s->ends[0], NULL, 0) < STAGE_CLIENTS; i++)
        stage_step(s);
    if (wisp_use_profiler(s->ends[0], &profiler) != WISP_OK) return false;
    for (i = 0; i < STAGE_STEPS; i++) stage_play(s, i);
    return true;
}

/* Is every part of the snapshot full? */
static bool stage_filled(const stage *s) {
    wisp_snapshot now;
    return wisp_snapshot_take(s->ends[0], NULL, &now) == WISP_OK &&
           now.sample_count == WISP_HISTORY_SECONDS && now.peer_count == STAGE_CLIENTS &&
           now.remote_count == WISP_SNAPSHOT_REMOTES && now.remotes_known >= STAGE_NAMES &&
           now.error_count == WISP_SNAPSHOT_ERRORS && now.handlers.count > 0;
}

static void count_rect(void *user, float x, float y, float width, float height, uint32_t rgba) {
    (void)x;
    (void)y;
    (void)width;
    (void)height;
    (void)rgba;
    ++*(int *)user;
}

static void count_text(void *user, float x, float y, uint32_t rgba, const char *text) {
    (void)x;
    (void)y;
    (void)rgba;
    (void)text;
    ++*(int *)user;
}

static void overlay_round(const stage *s, int page, int draws) {
    static const char *const pages[WISP_PAGES] = { "overview", "remotes", "objects", "peers",
                                                   "errors" };
    wisp_canvas canvas;
    int i, calls = 0;
    double begin;
    memset(&canvas, 0, sizeof canvas);
    canvas.rect = count_rect;
    canvas.text = count_text;
    canvas.user = &calls;
    canvas.page = page;
    begin = cpu_seconds();
    for (i = 0; i < draws; i++) wisp_overlay(s->ends[0], &canvas);
    record("overlay", pages[page], "us", 100, (cpu_seconds() - begin) * 1e6 / draws);
    if (calls < 16 * draws && page != WISP_PAGE_OBJECTS)
        complain("overlay: the page of %s is empty", pages[page]);
}

static void run_overlay(bool quick) {
    const plan *todo = &plans[quick];
    static stage s;
    int i, page;
    if (!stage_open(&s) || !stage_filled(&s)) {
        complain("overlay: there is not as much to draw as there should be");
    } else {
        for (i = 0; i < todo->rounds; i++)
            for (page = 0; page < WISP_PAGES; page++) overlay_round(&s, page, todo->draws);
    }
    stage_close(&s);
}

int main(int count, char **words) {
    static const section sections[] = {
        { "switches", run_switches },
        { "pattern",  run_pattern },
        { "overlay",  run_overlay },
    };
    return bench_main("bench_policy", count, words, sections, 3);
}
