/* probe_middleware.h - middleware that looks, and a pair of endpoints to look at

       world_two t;
       probe p = probe_of(WISP_DROP);
       two_open(&t);                       both hear "r" and "s", the server answers "ask"
       use(t.server, "drop", "^r$", IN, &p);
       fire(&t, "r", 5);
       world_run(&t.w, 0.1);
       CHECK_EQ_INT(p.runs, 1);
       world_close(&t.w);

   Included after simulated_endpoints.h.
*/
#ifndef PROBE_MIDDLEWARE_H
#define PROBE_MIDDLEWARE_H

enum { IN = 1, OUT = 2, REFUSED = WISP_E_USER - 7 };

/* What a hook answers and does, and what it saw last. */
typedef struct probe probe;
struct probe {
    wisp_result verdict;
    void      (*act)(wisp_event *event, probe *p);
    char        letter;               /* goes to the trail */
    int         runs, message, count;
    int64_t     number;
    wisp_result result;
    wisp_peer   peer;
    char        name[WORLD_TEXT];
    wisp_kind   kind;                 /* of the first value */
    world_two  *two;                  /* for `act` */
    int         acted;
};

static char trail[128];               /* letters of the hooks that ran, in order */

static inline wisp_result on_probe(wisp_event *event) {
    probe *p = (probe *)event->user;
    size_t at = strlen(trail);
    const wisp_value *first = event->count ? event->args : NULL;
    p->runs++;
    p->message = event->message;
    p->count = event->count;
    p->number = first && first->kind == WISP_INT ? first->as.integer : 0;
    p->kind = first ? first->kind : WISP_NIL;
    p->result = event->result;
    p->peer = event->peer;
    world_copy(p->name, event->name);
    if (p->letter && at + 1 < sizeof trail) {
        trail[at] = p->letter;
        trail[at + 1] = 0;
    }
    if (p->act) p->act(event, p);
    return p->verdict;
}

static inline wisp_middleware probe_on(const char *name, const char *pattern, int ways, probe *p) {
    wisp_middleware m;
    memset(&m, 0, sizeof m);
    m.name = name;
    m.pattern = pattern;
    m.inbound = ways & IN ? on_probe : NULL;
    m.outbound = ways & OUT ? on_probe : NULL;
    m.user = p;
    return m;
}

static inline wisp_result use(wisp *w, const char *name, const char *pattern, int ways, probe *p) {
    wisp_middleware m = probe_on(name, pattern, ways, p);
    return wisp_use(w, &m);
}

static inline probe probe_of(wisp_result verdict) {
    probe p;
    memset(&p, 0, sizeof p);
    p.verdict = verdict;
    return p;
}

static inline probe probe_that(void (*act)(wisp_event *event, probe *p), world_two *t) {
    probe p = probe_of(WISP_PASS);
    p.act = act;
    p.two = t;
    return p;
}

static int answers;                   /* given by the handler below */

static inline void on_add_one(wisp_event *event) {
    wisp_value sum = wisp_int(wisp_arg_int(event, 0) + 1);
    answers++;
    wisp_reply_values(event, &sum, 1);
}

static inline void two_begin(world_two *t) {
    trail[0] = 0;
    answers = 0;
    world_watch(&t->w, t->server, "r");
    world_watch(&t->w, t->server, "s");
    world_watch(&t->w, t->client, "r");
    world_watch(&t->w, t->client, "s");
    world_watch(&t->w, t->server, WISP_ERROR);
    world_watch(&t->w, t->client, WISP_ERROR);
    wisp_on_invoke(t->server, "ask", on_add_one, NULL);
    world_run(&t->w, 0.3);
    world_forget(&t->w);
}

/* Both hear "r", the server answers "ask" with one more. */
static inline void two_open(world_two *t) {
    world_two_open(t);
    two_begin(t);
}

/* The same where only so much may be held; 0: the default. */
static inline void two_holding(world_two *t, int messages, int bytes) {
    world_open(&t->w);
    t->w.desc.limits.held_messages = messages;
    t->w.desc.limits.held_bytes = bytes;
    world_two_join(t);
    two_begin(t);
}

static inline wisp_call ask_tries(world_two *t, int64_t number, double timeout, int tries) {
    wisp_value value = wisp_int(number);
    wisp_call_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.on_reply = world_on;
    desc.user = &t->w;
    desc.timeout = timeout;
    desc.tries = tries;
    return wisp_invoke_values(t->client, "ask", wisp_to_peer(t->to_server), &desc, &value, 1);
}

static inline wisp_call ask(world_two *t, int64_t number) { return ask_tries(t, number, 1, 1); }

/* The client's one call ended with this, and nothing waits any more. */
static inline void check_answer(const world_two *t, wisp_result result, int64_t number) {
    CHECK_EQ_INT(world_count(&t->w, t->client, "ask"), 1);
    CHECK_EQ_INT(world_last(&t->w, t->client, "ask")->result, result);
    CHECK_EQ_INT(world_last(&t->w, t->client, "ask")->number, number);
    CHECK_EQ_INT(world_total(t->client).calls_pending, 0);
}

static inline int heard(const world_two *t, const char *name) {
    return world_count(&t->w, t->server, name);
}

static inline void fire(world_two *t, const char *name, int64_t number) {
    CHECK_EQ_INT(world_fire(t->client, name, t->to_server, number), WISP_OK);
}

static inline void change_to(wisp_event *event, int64_t number) {
    wisp_value value = wisp_int(number);
    CHECK_EQ_INT(wisp_change(event, &value, 1), WISP_OK);
    CHECK_EQ_INT(event->count, 1);
    CHECK_EQ_INT(wisp_arg_int(event, 0), number);
}

static inline void act_add_ten(wisp_event *event, probe *p) {
    (void)p;
    change_to(event, wisp_arg_int(event, 0) + 10);
}

static inline void act_no_values(wisp_event *event, probe *p) {
    (void)p;
    CHECK_EQ_INT(wisp_change(event, NULL, 0), WISP_OK);
}

static wisp_call later;               /* to be answered */

static inline void on_later(wisp_event *event) {
    answers++;
    later = wisp_defer(event);
}

/* All that a middleware holds. */
static inline int release(wisp *w, const char *name, wisp_result verdict) {
    wisp_peer all = { 0 };
    return wisp_release(w, name, all, verdict);
}

#endif /* PROBE_MIDDLEWARE_H */
