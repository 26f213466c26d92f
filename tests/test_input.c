/* test_input.c - inputs of players as rows by tick, and their record in packets */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include <stdlib.h>
#include "support/test_runner.h"
#include "support/bottleneck.h"
#include "support/rollback_band.h"

/* Lines of two players: what one end has, and what another one makes of its packets. */
typedef struct input_pair {
    band t;
    wisp *w;
    wisp__input_form form;
    wisp__line *here[2], *there[2];
} input_pair;

static void input_open(input_pair *p) {
    memset(p, 0, sizeof *p);
    band_open(&p->t, 1, 1);
    p->w = p->t.ends[0].w;
    CHECK_EQ_INT(wisp__input_form_make(p->w, &p->form, &band_schema), WISP_OK);
    for (int i = 0; i < 2; i++) {
        p->here[i] = wisp__line_make(p->w, &p->form, 5, WISP__INPUT_KEPT);
        p->there[i] = wisp__line_make(p->w, &p->form, 5, WISP__INPUT_KEPT);
    }
}

static void input_close(input_pair *p) {
    for (int i = 0; i < 2; i++) {
        wisp__line_free(p->w, p->here[i]);
        wisp__line_free(p->w, p->there[i]);
    }
    wisp__input_form_free(p->w, &p->form);
    band_close(&p->t);
}

static void input_add(input_pair *p, int player, int buttons, int x) {
    band_input in;
    wisp_result why;
    wisp__encoded *before, *row;
    memset(&in, 0, sizeof in);
    in.buttons = (uint16_t)buttons;
    in.x = (int8_t)x;
    before = wisp__input_before(&p->form, p->here[player], p->here[player]->next);
    row = wisp__input_row(p->w, &p->form, &in, before, &why);
    CHECK_EQ_INT(why, WISP_OK);
    wisp__input_push(p->w, p->here[player], p->here[player]->next, row);
    wisp__encoded_release(p->w, row);
}

/* Writes a run and reads it; returns how many rows came. */
static int input_pass(input_pair *p, int player, int64_t from, int bytes, int64_t *bits) {
    uint8_t packet[400];
    wisp__writer to = wisp__writer_on(packet, bytes);
    wisp__reader back;
    wisp__input_run run = { &p->form, NULL, 0, false };
    wisp__encoded *row;
    bool more;
    int count = 0;
    memset(packet, 0, sizeof packet);
    run.before = wisp__input_before(&p->form, p->here[player], from);
    wisp__input_put(p->w, &run, p->here[player], from, p->here[player]->next, &to);
    CHECK(!to.full);
    *bits = to.at;
    back = wisp__reader_on(packet, (int)(to.at + 7) / 8);
    p->w->content.credit.work = 1 << 20;
    p->w->content.credit.room = 1 << 20;
    run.before = NULL;
    wisp__row_replace(p->w, &run.before, wisp__input_before(&p->form, p->there[player], from));
    while ((row = wisp__input_get(p->w, &run, &back, &more)) != NULL)
        if (from + count++ == p->there[player]->next)
            wisp__input_push(p->w, p->there[player], from + count - 1, row);
    CHECK(!back.failed && !more);
    wisp__encoded_release(p->w, run.before);
    return count;
}

static void input_same(const input_pair *p, int player) {
    int64_t next = p->there[player]->next;
    CHECK_EQ_INT(next, p->here[player]->next);
    for (int64_t tick = next - 50; tick < next; tick++) {
        wisp__encoded *a = wisp__input_at(p->here[player], tick);
        wisp__encoded *b = wisp__input_at(p->there[player], tick);
        if (tick >= 5) CHECK(a && b && wisp__encoded_same(a, b));
        else CHECK(!a && !b);
    }
}

TEST(inputs_pass_as_differences_to_the_tick_before) {
    static input_pair p;
    int64_t bits;
    input_open(&p);
    for (int i = 0; i < 20; i++) input_add(&p, 0, i / 10, 0);
    CHECK_EQ_INT(input_pass(&p, 0, 5, 200, &bits), 20);
    input_same(&p, 0);
    CHECK(bits < 19 + 2 + 40);                 /* a bit for one that has not changed */
    CHECK_EQ_INT(input_pass(&p, 0, 20, 200, &bits), 5);
    input_same(&p, 0);
    input_close(&p);
}

TEST(a_run_takes_as_many_as_fit_and_64_at_most) {
    static input_pair p;
    int64_t bits;
    int count;
    input_open(&p);
    for (int i = 0; i < 100; i++) input_add(&p, 1, i * 77, i);
    CHECK_EQ_INT(input_pass(&p, 1, 5, 390, &bits), WISP__INPUT_SENT);
    count = input_pass(&p, 1, 5 + 64, 40, &bits);
    CHECK(count > 4 && count < 36 && bits <= 40 * 8);
    while (count && p.there[1]->next < p.here[1]->next)
        count = input_pass(&p, 1, p.there[1]->next, 40, &bits);
    input_same(&p, 1);
    CHECK_EQ_INT(input_pass(&p, 1, 105, 40, &bits), 0);
    CHECK_EQ_INT(bits, 2);
    input_close(&p);
}

TEST(equal_inputs_are_one_row_and_the_ring_lets_go) {
    static input_pair p;
    int64_t bits;
    uint64_t allocations = 0;
    input_open(&p);
    for (int i = 0; i < 1000; i++) {
        input_add(&p, 0, i / 7, i % 3);
        CHECK(input_pass(&p, 0, p.there[0]->next - (i > 2 ? 2 : 0), 200, &bits) > 0);
        if (i == 300) allocations = p.w->base.stats.allocations;
    }
    input_same(&p, 0);
    CHECK_EQ_INT(p.w->base.stats.allocations, allocations);
    CHECK(wisp__input_at(p.here[0], p.here[0]->next - WISP__INPUT_KEPT) != NULL);
    CHECK(wisp__input_at(p.here[0], p.here[0]->next - WISP__INPUT_KEPT - 1) == NULL);
    CHECK(wisp__input_at(p.here[0], p.here[0]->next) == NULL);
    input_close(&p);
}

typedef struct input_wide { uint8_t bytes[65]; } input_wide;
typedef struct input_one { uint8_t number; } input_one;

static const wisp_field input_wide_fields[] = { WISP_FIELD(input_wide, bytes, WISP_T_BYTES(65)) };
static const wisp_schema input_wide_schema = WISP_SCHEMA(input_wide, 1, input_wide_fields);
static const wisp_field input_one_fields[] = { WISP_FIELD(input_one, number, WISP_T_RANGE(1, 9)) };
static const wisp_schema input_one_schema = WISP_SCHEMA(input_one, 1, input_one_fields);

TEST(an_input_is_small_and_zeros_are_one) {
    static input_pair p;
    wisp__input_form form;
    input_open(&p);
    memset(&form, 0, sizeof form);
    CHECK_EQ_INT(wisp__input_form_make(p.w, &form, &input_wide_schema), WISP_E_TOO_BIG);
    wisp__input_form_free(p.w, &form);
    memset(&form, 0, sizeof form);
    CHECK_EQ_INT(wisp__input_form_make(p.w, &form, &input_one_schema), WISP_E_INVALID);
    wisp__input_form_free(p.w, &form);
    input_close(&p);
}

TEST(a_number_near_another_takes_few_bits) {
    static const int64_t distances[] = { 0, 1, -1, 3, -4, 31, -32, 1000, -1000 };
    uint8_t bytes[64];
    for (int i = 0; i < 9; i++) {
        wisp__writer to = wisp__writer_on(bytes, 40);
        wisp__reader from;
        memset(bytes, 0, sizeof bytes);
        wisp__put_near(&to, 70000, 70000 - distances[i]);
        CHECK(to.at <= (i < 5 ? 4 : i < 7 ? 8 : 16));
        from = wisp__reader_on(bytes, 40);
        CHECK_EQ_INT(wisp__get_near(&from, 70000), 70000 - distances[i]);
        CHECK_EQ_INT(from.at, to.at);
    }
}

/* --- players of a server --- */

enum { STEER_ENDS = 4, STEER_TICKS = 8192 };

typedef struct steer steer;

typedef struct steer_end {
    steer  *t;
    wisp   *w;
    int     at, sampled, every;                /* every: ticks between changes */
    uint16_t buttons;
    bool    silent;                            /* its handlers do nothing */
    int64_t last;                              /* tick that was sampled last */
    uint16_t gave[STEER_TICKS];                /* by tick */
    uint16_t got[STEER_ENDS][STEER_TICKS];     /* of the player of each end */
    uint8_t how[STEER_ENDS][STEER_TICKS];
    int     errors;
    char    text[160];
} steer_end;

/* End 0 is the server. */
struct steer {
    bn_net    net;
    int       count;
    double    hz[STEER_ENDS];                  /* updates */
    double    rate;                            /* of the ticks */
    steer_end ends[STEER_ENDS];
};

static void steer_sample(wisp *w, void *input, void *user) {
    steer_end *e = (steer_end *)user;
    band_input *in = (band_input *)input;
    if (e->silent) return;
    CHECK_EQ_INT(in->buttons | in->x | in->y, 0);
    e->sampled++;
    CHECK(wisp_tick(w) > e->last);
    e->last = wisp_tick(w);
    if (e->every && e->last % e->every == 0) e->buttons = (uint16_t)bn_random(&e->t->net);
    in->buttons = e->buttons;
    in->x = (int8_t)(e->buttons % 50);
    e->gave[e->last % STEER_TICKS] = e->buttons;
}

static wisp_player steer_player(const steer *t, int end) {
    return wisp_me(t->ends[end].w);
}

static void steer_tick(wisp_event *event) {
    steer_end *e = (steer_end *)event->user;
    for (int i = 0; i < e->t->count && !e->silent; i++) {
        int how = 9, at = (int)(event->tick % STEER_TICKS);
        if (!e->t->ends[i].w) continue;
        const band_input *in = (const band_input *)wisp_input_of(event->w, steer_player(e->t, i),
                                                                 &how);
        if (i && !steer_player(e->t, i).id) continue;
        e->how[i][at] = (uint8_t)how;
        e->got[i][at] = in ? in->buttons : 0;
        if (in) CHECK_EQ_INT(in->x, in->buttons % 50);
        CHECK((in != NULL) == (how != 0));
    }
}

static void steer_error(wisp_event *event) {
    steer_end *e = (steer_end *)event->user;
    e->errors++;
    snprintf(e->text, sizeof e->text, "%s", event->text);
}

static void steer_open(steer *t, int clients, uint64_t seed, double delay) {
    memset(t, 0, sizeof *t);
    bn_open(&t->net, seed);
    t->net.user = t;
    t->count = clients + 1;
    t->rate = 60;
    for (int i = 0; i < t->count; i++) {
        bn_way *way = bn_way_add(&t->net);
        way->delay = i ? delay / 2 : 0;
        t->hz[i] = 60;
        t->ends[i].t = t;
        t->ends[i].every = 7;
    }
}

/* Jitter of each direction, up or down by half of it, and loss. */
static void steer_bad(steer *t, double jitter, double loss) {
    for (int i = 1; i < t->count; i++) {
        t->net.ways[i]->jitter = jitter / 2;
        t->net.ways[i]->loss = loss / 2;
    }
}

static void steer_begin(steer *t, const wisp_schema *server, const wisp_schema *client) {
    wisp_addr addr;
    for (int i = 0; i < t->count; i++) {
        steer_end *e = &t->ends[i];
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        desc.tick_rate = i ? 0 : t->rate;
        e->at = bn_add(&t->net, &desc, t->hz[i], t->net.ways[i], i ? t->net.ways[i] : NULL);
        e->w = bn_wisp(&t->net, e->at);
        wisp_connect_target(e->w, wisp_by_name(WISP_ERROR), steer_error, e, false);
        CHECK_EQ_INT(wisp_use_input(e->w, i ? client : server), WISP_OK);
        if (i) CHECK(wisp_on_input(e->w, steer_sample, e).id != 0);
        wisp_on_tick(e->w, steer_tick, e);
    }
    addr = bn_addr(&t->net, t->ends[0].at);
    for (int i = 1; i < t->count; i++)
        CHECK(wisp_join(t->ends[i].w, &addr, NULL, 0).id != 0);
}

/* Of the ticks from one on, how many inputs of an end the server has had fresh, in percent. Those
   were the ones that the end has sampled. */
static double steer_fresh(steer *t, int end, int64_t from) {
    const steer_end *server = &t->ends[0];
    int fresh = 0, ticks = 0;
    for (int64_t tick = from; tick <= wisp_tick(server->w); tick++, ticks++) {
        int at = (int)(tick % STEER_TICKS);
        if (server->how[end][at] == WISP_INPUT_FRESH) fresh++;
        else continue;
        CHECK_EQ_INT(server->got[end][at], t->ends[end].gave[at]);
    }
    return ticks ? 100.0 * fresh / ticks : 0;
}

TEST(the_server_has_the_inputs_of_clients_by_tick) {
    static const double delays[] = { 0, 0.03, 0.1, 0.3, 0.6, 0.08, 0.08, 0.58 };
    static steer t;
    for (int i = 0; i < 8; i++) {
        int64_t from;
        double fresh;
        steer_open(&t, 2, (uint64_t)i + 1, delays[i]);
        if (i > 0) steer_bad(&t, 0.02, 0.02);
        if (i > 4) steer_bad(&t, 0.04, 0.1);   /* 100 +- 20 ms, 5% of each direction */
        if (i == 6) t.hz[1] = 30, t.hz[2] = 144, t.hz[0] = 120;
        steer_begin(&t, &band_schema, &band_schema);
        bn_run(&t.net, 6);
        from = wisp_tick(t.ends[0].w);
        bn_run(&t.net, 10);
        for (int end = 1; end < 3; end++) {
            fresh = steer_fresh(&t, end, from);
            if (!CHECK(fresh >= 99)) printf("  delay %g: %g%%\n", delays[i], fresh);
            CHECK(t.ends[end].sampled > 800 && t.ends[end].errors == 0);
        }
        bn_close(&t.net);
    }
}

/* Also at a server that has just begun, whose ticks are near those of the client before. */
TEST(inputs_come_in_time_from_the_first_on_and_not_too_early) {
    static const struct { double rate, hz, delay; } cases[] = {
        { 20, 20, 0 }, { 20, 60, 0.1 }, { 60, 60, 0 }, { 60, 20, 0.1 }, { 20, 20, 0.1 },
        { 10, 30, 0.05 } };
    static steer t;
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        const steer_end *server = &t.ends[0];
        double most = cases[i].delay / 2 + 0.5 / cases[i].hz + 2.5 / cases[i].rate;
        wisp_times_of times;
        int late = 0, first = 0, last;
        steer_open(&t, 1, (uint64_t)i + 1, cases[i].delay);
        t.rate = cases[i].rate;
        t.hz[1] = cases[i].hz;
        steer_begin(&t, &band_schema, &band_schema);
        bn_run(&t.net, 8);
        last = (int)wisp_tick(server->w);
        while (first < last && !server->how[1][first]) first++;
        for (int at = first; at <= last; at++) late += server->how[1][at] != WISP_INPUT_FRESH;
        wisp_times(t.ends[1].w, &times);
        if (!CHECK(late <= 1) || !CHECK(times.lead < most))
            printf("  case %d: %d of %d late, %g s ahead\n", i, late, last - first, times.lead);
        CHECK(last - first > 7 * cases[i].rate);
        bn_close(&t.net);
    }
}

TEST(each_end_has_its_own_input_in_its_ticks) {
    static steer t;
    int64_t tick;
    steer_open(&t, 1, 1, 0.1);
    steer_begin(&t, &band_schema, &band_schema);
    CHECK(wisp_on_input(t.ends[0].w, steer_sample, &t.ends[0]).id != 0);
    bn_run(&t.net, 5);
    for (int end = 0; end < 2; end++) {
        steer_end *e = &t.ends[end];
        tick = wisp_tick(e->w);
        for (int64_t at = tick - 100; at <= tick; at++) {
            CHECK_EQ_INT(e->how[end][at], WISP_INPUT_FRESH);
            CHECK_EQ_INT(e->got[end][at], e->gave[at]);
        }
    }
    bn_close(&t.net);
}

typedef struct steer_other { uint16_t buttons; int8_t x; int16_t y; } steer_other;
static const wisp_field steer_other_fields[] = {
    WISP_FIELD(steer_other, buttons, WISP_T_UINT),
    WISP_FIELD(steer_other, x, WISP_T_INTEGER),
    WISP_FIELD(steer_other, y, WISP_T_RANGE(-5, 500)),
};
static const wisp_schema steer_other_schema = WISP_SCHEMA(steer_other, 1, steer_other_fields);
static const wisp_schema steer_later_schema = WISP_SCHEMA(band_input, 2, band_fields);

TEST(schemas_that_differ_are_told_on_both_sides) {
    static steer t;
    const wisp_schema *theirs[] = { &steer_other_schema, &steer_later_schema };
    for (int i = 0; i < 2; i++) {
        steer_open(&t, 1, 1, 0.05);
        steer_begin(&t, &band_schema, theirs[i]);
        bn_run(&t.net, 2);
        for (int end = 0; end < 2; end++) {
            CHECK_EQ_INT(t.ends[end].errors, 1);
            CHECK(strstr(t.ends[end].text, i ? "version" : "field y") != NULL);
        }
        CHECK_EQ_INT(t.ends[0].how[1][wisp_tick(t.ends[0].w)], 0);
        CHECK(t.ends[1].sampled > 50);
        CHECK_EQ_INT(wisp_peers(t.ends[0].w, NULL, 0), 1);
        bn_close(&t.net);
    }
}

/* A handler may end the session of a player whose input it looks at. */
static void steer_expel(wisp_event *event) {
    steer *t = (steer *)event->user;
    wisp_player player = steer_player(t, 1);
    const band_input *in = (const band_input *)wisp_input_of(event->w, player, NULL);
    uint16_t buttons = in ? in->buttons : 0;
    if (!in) return;
    wisp_leave(event->w, wisp_peer_of(event->w, player), "out");
    CHECK_EQ_INT(in->buttons, buttons);
    CHECK(wisp_input_of(event->w, player, NULL) == NULL);
}

TEST(an_input_stays_until_the_handler_returns) {
    static steer t;
    steer_open(&t, 1, 3, 0.05);
    steer_begin(&t, &band_schema, &band_schema);
    bn_run(&t.net, 2);
    wisp_on_tick(t.ends[0].w, steer_expel, &t);
    bn_run(&t.net, 0.05);
    CHECK_EQ_INT(wisp_peers(t.ends[0].w, NULL, 0), 0);
    bn_close(&t.net);
}

static void steer_wrong(wisp *w, void *input, void *user) {
    (void)w, (void)user;
    ((steer_other *)input)->y = 501;
}

TEST(an_input_outside_its_schema_is_none_and_says_why) {
    static steer t;
    steer_open(&t, 1, 3, 0.05);
    steer_begin(&t, &steer_other_schema, &steer_other_schema);
    for (int i = 0; i < 2; i++) t.ends[i].silent = true;
    wisp_on_input(t.ends[1].w, steer_wrong, NULL);
    bn_run(&t.net, 1);
    CHECK(t.ends[1].errors > 0 && strstr(t.ends[1].text, "y") != NULL);
    CHECK(wisp_input_of(t.ends[0].w, steer_player(&t, 1), NULL) == NULL);
    bn_close(&t.net);
}

/* --- what a shooter saw --- */

typedef struct duck { float x, y; } duck;
static const wisp_field duck_fields[] = {
    WISP_FIELD(duck, x, WISP_T_FLOAT),
    WISP_FIELD(duck, y, WISP_T_FLOAT),
};
static const wisp_schema duck_schema = WISP_SCHEMA(duck, 1, duck_fields);

typedef struct shot { float x, y; uint8_t fire; } shot;
static const wisp_field shot_fields[] = {
    WISP_FIELD(shot, x, WISP_T_FLOAT),
    WISP_FIELD(shot, y, WISP_T_FLOAT),
    WISP_FIELD(shot, fire, WISP_T_RANGE(0, 1)),
};
static const wisp_schema shot_schema = WISP_SCHEMA(shot, 1, shot_fields);

/* A duck flies at the server; the player of the client shoots at where it is drawn. */
typedef struct hunt {
    bn_net     net;
    int        ends[2];
    wisp      *w[2];
    wisp_class of[2];
    wisp_object bird;
    duck       drawn;
    bool       sees;
    int        shots, judged, hits;            /* judged: as where the duck is now */
    double     worst, least, most;             /* least, most: ticks that were seen behind */
} hunt;

static void hunt_tick(wisp_event *event) {
    hunt *h = (hunt *)event->user;
    double t = (double)event->tick / 60, part = t - (double)(int64_t)t, seen;
    duck *d = (duck *)wisp_object_edit(h->w[0], h->bird), past;
    wisp_player shooter = wisp_me(h->w[1]);
    int how;
    const shot *in = (const shot *)wisp_input_of(h->w[0], shooter, &how);
    if (d) {                                   /* some 10 a second, with bends */
        d->x = (float)(10 * t);
        d->y = (float)(part < 0.5 ? 3 * part : 3 - 3 * part);
    }
    if (!in || how != WISP_INPUT_FRESH || !in->fire) return;
    seen = wisp_seen_by(h->w[0], shooter);
    h->shots++;
    if ((double)event->tick - seen < h->least) h->least = (double)event->tick - seen;
    if ((double)event->tick - seen > h->most) h->most = (double)event->tick - seen;
    if (wisp_past(h->w[0], h->bird, seen, &past)) {
        double x = (double)(past.x - in->x), y = (double)(past.y - in->y);
        double off = x * x + y * y;
        h->hits += off < 0.2 * 0.2;
        if (off > h->worst) h->worst = off;
    }
    if (d) h->judged += (d->x - in->x) * (d->x - in->x) < 0.2f * 0.2f;
}

static void hunt_sample(wisp *w, void *input, void *user) {
    hunt *h = (hunt *)user;
    shot *in = (shot *)input;
    in->x = h->drawn.x;
    in->y = h->drawn.y;
    in->fire = h->sees && wisp_tick(w) % 5 == 0;
}

/* The client draws after each update. */
static void hunt_ticked(bn_net *net, int end) {
    hunt *h = (hunt *)net->user;
    if (end == h->ends[1])
        h->sees = wisp_view(h->w[1], wisp_first(h->w[1], h->of[1]), WISP_SMOOTH, &h->drawn);
}

static void hunt_open(hunt *h, uint64_t seed, double delay, double jitter, double hz) {
    wisp_player nobody = { 0 };
    wisp_class_desc of;
    wisp_addr addr;
    duck born = { 0, 0 };
    memset(h, 0, sizeof *h);
    h->least = 1000;
    bn_open(&h->net, seed);
    h->net.user = h;
    h->net.ticked = hunt_ticked;
    memset(&of, 0, sizeof of);
    of.schema = &duck_schema;
    for (int i = 0; i < 2; i++) {
        bn_way *way = bn_way_add(&h->net);
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        desc.tick_rate = i ? 0 : 60;
        way->delay = delay / 2;
        way->jitter = jitter;
        h->ends[i] = bn_add(&h->net, &desc, i ? hz : 60, way, NULL);
        h->w[i] = bn_wisp(&h->net, h->ends[i]);
        h->of[i] = wisp_define(h->w[i], "duck", &of);
        CHECK_EQ_INT(wisp_use_input(h->w[i], &shot_schema), WISP_OK);
    }
    wisp_on_tick(h->w[0], hunt_tick, h);
    CHECK(wisp_on_input(h->w[1], hunt_sample, h).id != 0);
    h->bird = wisp_spawn(h->w[0], h->of[0], nobody, &born);
    addr = bn_addr(&h->net, h->ends[0]);
    CHECK(wisp_join(h->w[1], &addr, NULL, 0).id != 0);
}

TEST(a_hit_is_judged_as_the_shooter_saw_it) {
    static const double delays[] = { 0.02, 0.08, 0.15, 0.3 };
    static hunt h;
    for (int i = 0; i < 8; i++) {
        hunt_open(&h, (uint64_t)i + 1, delays[i % 4], i & 1 ? 0.02 : 0, i > 3 ? 144 : 60);
        bn_run(&h.net, 4);
        h.shots = h.hits = h.judged = 0;
        h.worst = 0;
        bn_run(&h.net, 6);
        if (!CHECK(h.shots > 60 && h.hits * 100 >= h.shots * 99))
            printf("  %d: %d of %d, off by %g\n", i, h.hits, h.shots, h.worst);
        CHECK(h.judged * 10 < h.shots);        /* without it they would miss */
        bn_close(&h.net);
    }
}

/* A client may claim to have seen anything: it counts as within the last quarter of a second before
   what it has acked. */
TEST(what_a_client_claims_to_have_seen_is_clamped) {
    static hunt h;
    for (int i = 0; i < 2; i++) {
        hunt_open(&h, 1, 0.1, 0, 60);
        bn_run(&h.net, 3);
        h.least = 1000, h.most = -1000;
        for (int step = 0; step < 60; step++) {
            h.w[1]->clock.smooth += i ? 9 : -40;
            bn_run(&h.net, 1.0 / 60);
        }
        bn_run(&h.net, 0.2);
        CHECK(h.least >= 5 && h.most < 6 + 4 + 15 + 3);
        if (i) CHECK(h.most < 12);
        else CHECK(h.most > 15);
        bn_close(&h.net);
    }
}

/* --- inputs of others --- */

/* Each client owns a duck that all predict; client 3 does not see that of client 1. */
static wisp_class steer_class(wisp *w, int predict) {
    wisp_class_desc of;
    memset(&of, 0, sizeof of);
    of.schema = &duck_schema;
    of.predict = predict;
    return wisp_define(w, "duck", &of);
}

/* The inputs of end `of` that end `at` was told, which are what the server has had; -1: others. */
static int steer_told(const steer *t, int at, int of) {
    const wisp__line *l = wisp__inputs_line(t->ends[at].w, steer_player(t, of).id);
    const wisp__line *server = wisp__inputs_line(t->ends[0].w, steer_player(t, of).id);
    int count = 0;
    if (!l) return 0;
    CHECK(l->next <= server->next && l->next > server->next - 60);
    for (int64_t tick = l->next - 40; tick < l->next; tick++) {
        const wisp__encoded *a = wisp__input_at(l, tick), *b = wisp__input_at(server, tick);
        if (a && b && !wisp__encoded_same(a, b)) return -1;
        count += a != NULL;
    }
    return count;
}

TEST(who_predicts_all_gets_the_inputs_of_others) {
    static steer t;
    for (int predict = WISP_PREDICT_OWNED; predict <= WISP_PREDICT_ALL; predict++) {
        wisp_class of = { 0 };
        wisp_object ducks[STEER_ENDS];
        duck born = { 1, 1 };
        steer_open(&t, 3, 5, 0.1);
        steer_bad(&t, 0.02, 0.06);
        steer_begin(&t, &band_schema, &band_schema);
        for (int i = 0; i < 4; i++) {
            wisp_class c = steer_class(t.ends[i].w, predict);
            if (!i) of = c;
        }
        bn_run(&t.net, 2);
        for (int i = 1; i < 4; i++)
            ducks[i] = wisp_spawn(t.ends[0].w, of, steer_player(&t, i), &born);
        CHECK_EQ_INT(wisp_hide(t.ends[0].w, ducks[1],
                               wisp_to_peer(wisp_peer_of(t.ends[0].w, steer_player(&t, 3)))),
                     WISP_OK);
        bn_run(&t.net, 4);
        for (int at = 1; at < 4; at++)
            for (int i = 1; i < 4; i++) {
                bool seen = predict == WISP_PREDICT_ALL && !(at == 3 && i == 1);
                if (i != at && !CHECK_EQ_INT(steer_told(&t, at, i), seen ? 40 : 0))
                    printf("  predict %d: of %d at %d\n", predict, i, at);
            }
        if (predict == WISP_PREDICT_ALL) {     /* now it is not known, and the last is taken */
            steer_end *e = &t.ends[1];
            int how;
            CHECK(wisp_input_for(e->w, ducks[2], &how) != NULL && how == WISP_INPUT_REPEATED);
        }
        bn_destroy(&t.net, t.ends[2].at);      /* another one gets its number */
        t.ends[2].w = NULL;
        bn_run(&t.net, 0.5);
        bn_close(&t.net);
    }
}

typedef struct steer_wide { uint8_t bytes[60]; } steer_wide;
static const wisp_field steer_wide_fields[] = { WISP_FIELD(steer_wide, bytes, WISP_T_BYTES(60)) };
static const wisp_schema steer_wide_schema = WISP_SCHEMA(steer_wide, 1, steer_wide_fields);

static void steer_wide_sample(wisp *w, void *input, void *user) {
    for (int i = 0; i < 60; i++)
        ((steer_wide *)input)->bytes[i] = (uint8_t)(wisp_tick(w) * (i + 77) >> 3);
    (void)user;
}

/* Where not all that is not acked has room in a packet the newer inputs go. */
TEST(large_inputs_come_over_long_paths) {
    static steer t;
    wisp_input_stats before, after;
    steer_open(&t, 1, 9, 0.6);
    steer_begin(&t, &steer_wide_schema, &steer_wide_schema);
    for (int i = 0; i < 2; i++) t.ends[i].silent = true;
    wisp_on_input(t.ends[1].w, steer_wide_sample, NULL);
    bn_run(&t.net, 6);
    wisp_stats_input(t.ends[0].w, steer_player(&t, 1), &before);
    bn_run(&t.net, 4);
    wisp_stats_input(t.ends[0].w, steer_player(&t, 1), &after);
    CHECK(after.fresh - before.fresh > 235 && after.repeated - before.repeated < 5);
    CHECK(after.margin > 0 && after.margin < 8);
    for (int i = 0; i < 2; i++) {                    /* their bytes are counted on both ends */
        wisp_remote_stats stats;
        wisp_stats_remote(t.ends[i].w, "class wisp:input", &stats);
        CHECK((i ? stats.messages_sent : stats.messages_received) > 400);
        CHECK((i ? stats.bits_sent : stats.bits_received) / 8 > 400 * 60);
    }
    bn_close(&t.net);
}

/* --- hostile ends --- */

/* Sends a packet with records INPUTS of these bits, in the name of one end, to the other. */
static void steer_forge_as(steer *t, int from, const uint8_t *body, int64_t bits, int times) {
    uint8_t packet[1200 + 2 * WISP__SLACK];
    wisp *w = t->ends[from].w;
    wisp_peer peer = wisp_server();
    wisp__session *s = from || wisp_peers(w, &peer, 1) ? wisp__session_of(w, peer) : NULL;
    wisp__writer at = wisp__writer_on(packet + WISP__PACKET_HEAD, 1200 - WISP__PACKET_HEAD);
    wisp_packet datagram;
    int size;
    if (!s) return;
    memset(packet, 0, sizeof packet);
    while (times-- > 0) {
        wisp__frame_put(&at, WISP__FRAME_INPUTS);
        wisp__put_length(&at, (uint64_t)bits);
        wisp__put_bits(&at, body, bits);
    }
    size = WISP__PACKET_HEAD + (int)((at.at + 7) / 8);
    packet[0] = WISP__FLAG_SESSION;
    wisp__packet_close(&w->base, &s->peer, s->peer.flow.next++, packet, size);
    memset(&datagram, 0, sizeof datagram);
    datagram.addr = bn_addr(&t->net, t->ends[!from].at);
    datagram.data = packet;
    datagram.size = size;
    bn_send(t->net.ends[t->ends[from].at], &datagram, 1);
}

/* The same in the name of end 1 to the server. */
static void steer_forge(steer *t, const uint8_t *body, int64_t bits, int times) {
    steer_forge_as(t, 1, body, bits, times);
}

/* A run of inputs whose buttons are 60,000 and more, told from zeros. */
static int64_t steer_run(steer *t, uint8_t *body, int64_t first, int count) {
    wisp *w = t->ends[1].w;
    wisp__input_run run = { &w->inputs->form, NULL, 0, true };
    wisp__writer to = wisp__writer_on(body, 1000);
    wisp__encoded *rows[80];
    memset(body, 0, 1000 + WISP__SLACK);
    run.before = w->inputs->form.none;
    wisp__put_groups(&to, 0, 8);
    wisp__put(&to, (uint64_t)first & 0xfff, 12);
    wisp__put(&to, 0, 1);
    wisp__put_small(&to, 0);
    for (int i = 0; i < count; i++) {
        band_input in;
        wisp_result why;
        memset(&in, 0, sizeof in);
        in.buttons = (uint16_t)(60000 + i);
        in.x = (int8_t)(in.buttons % 50);
        rows[i] = wisp__input_row(w, &w->inputs->form, &in, NULL, &why);
        wisp__input_put_row(w, &run, rows[i], 0, &to);
    }
    wisp__put(&to, 3, 2);
    for (int i = 0; i < count; i++) wisp__encoded_release(w, rows[i]);
    return to.at;
}

enum { STEER_PAST, STEER_FUTURE, STEER_TWICE, STEER_FLOOD, STEER_LIES };

TEST(a_client_that_lies_gains_nothing) {
    static steer t;
    uint8_t body[1000 + 2 * WISP__SLACK];
    for (int lie = 0; lie < STEER_LIES; lie++) {
        wisp_input_stats before, after;
        int64_t from;
        steer_open(&t, 2, 9, 0.06);
        steer_begin(&t, &band_schema, &band_schema);
        bn_run(&t.net, 3);
        wisp_stats_input(t.ends[0].w, steer_player(&t, 1), &before);
        from = wisp_tick(t.ends[0].w);
        for (int i = 0; i < 60; i++) {
            int64_t now = wisp_tick(t.ends[0].w);
            int64_t first = lie == STEER_PAST ? now - 200 : lie == STEER_FUTURE ? now + 100
                            : lie == STEER_TWICE ? now - 9 : now - 60;
            int count = lie == STEER_FLOOD ? 64 : 9;
            int64_t bits = steer_run(&t, body, first, count);
            for (int n = lie == STEER_FLOOD ? 20 : 1; n > 0; n--) steer_forge(&t, body, bits, 1);
            bn_run(&t.net, 1.0 / 60);
        }
        wisp_stats_input(t.ends[0].w, steer_player(&t, 1), &after);
        if (lie == STEER_PAST) CHECK(after.late >= before.late + 60);
        if (lie == STEER_FUTURE) CHECK(after.early >= before.early + 60);
        CHECK(after.fresh + after.repeated <= before.fresh + before.repeated + 70);
        if (lie < STEER_FLOOD) CHECK(steer_fresh(&t, 1, from) > 98);   /* the first one held */
        CHECK(steer_fresh(&t, 2, from) > 98);
        CHECK_EQ_INT(wisp_peers(t.ends[0].w, NULL, 0), 2);
        CHECK_EQ_INT(t.ends[0].w->inputs->count, 2);
        bn_close(&t.net);
    }
}

TEST(inputs_that_make_no_sense_end_the_session) {
    static steer t;
    uint8_t body[1000 + 2 * WISP__SLACK];
    for (int what = 0; what < 4; what++) {
        int64_t bits, now;
        steer_open(&t, 2, 9, 0.06);
        steer_begin(&t, &band_schema, &band_schema);
        bn_run(&t.net, 2);
        now = wisp_tick(t.ends[0].w);
        bits = steer_run(&t, body, now + 3, what == 1 ? 65 : 5);
        if (what == 2) bits -= 10;             /* cut short */
        if (what == 3) memset(body + 4, 0xff, 100), bits = 900;
        steer_forge(&t, body, bits, what == 0 ? 2 : 1);
        bn_run(&t.net, 0.3);
        if (!CHECK_EQ_INT(wisp_peers(t.ends[0].w, NULL, 0), 1)) printf("  case %d\n", what);
        CHECK_EQ_INT(t.ends[0].w->inputs->count, 1);
        bn_close(&t.net);
    }
}

/* A server tells of ticks to come of the client's own player: nothing is taken, or told back. */
TEST(a_line_without_an_input_is_not_told) {
    static steer t;
    uint8_t body[1000 + 2 * WISP__SLACK];
    wisp__writer to = wisp__writer_on(body, 1000);
    wisp *client;
    steer_open(&t, 1, 9, 0.06);
    steer_begin(&t, &band_schema, &band_schema);
    bn_run(&t.net, 2);
    client = t.ends[1].w;
    memset(body, 0, sizeof body);
    wisp__put(&to, 1 | (uint64_t)wisp_me(client).id << 1, 17);
    wisp__put(&to, (uint64_t)(wisp_tick(client) + 80) & 0xfff, 12);
    wisp__put(&to, 0, 1);
    wisp__put_small(&to, 0);
    wisp__put(&to, 3, 2);
    wisp__put(&to, 0, 1);
    steer_forge_as(&t, 0, body, to.at, 1);
    for (int i = 0; i < 6; i++) {
        wisp__inputs_forget(client, wisp_me(client).id);       /* it has another number now */
        bn_run(&t.net, 1.0 / 60);
    }
    bn_run(&t.net, 3);
    CHECK_EQ_INT(wisp_peers(client, NULL, 0), 1);
    CHECK(steer_fresh(&t, 1, wisp_tick(t.ends[0].w) - 30) > 99);
    bn_close(&t.net);
}

/* The first inputs of a client are far ahead: those that come in time are taken all the same. */
TEST(first_inputs_far_from_now_keep_out_no_others) {
    static const int offs[] = { 127, 200, 700, 2000 };
    static steer t;
    uint8_t body[1000 + 2 * WISP__SLACK];
    for (int i = 0; i < TEST_COUNT(offs); i++) {
        int64_t from, bits;
        wisp_input_stats stats;
        wisp *server;
        steer_open(&t, 1, 9, 0.02);
        steer_begin(&t, &band_schema, &band_schema);
        bn_run(&t.net, 2);
        server = t.ends[0].w;
        t.net.ends[t.ends[1].at]->asleep = true;
        bn_run(&t.net, 0.1);
        wisp__inputs_forget(server, steer_player(&t, 1).id);
        from = wisp_tick(server);
        bits = steer_run(&t, body, from + offs[i], 9);
        for (int n = 0; n < 4; n++) {
            steer_forge(&t, body, bits, 1);
            bn_run(&t.net, 1.0 / 60);
        }
        CHECK_EQ_INT(server->inputs->count, 1);
        t.net.ends[t.ends[1].at]->asleep = false;
        bn_run(&t.net, 2);
        if (!CHECK(steer_fresh(&t, 1, from + 40) > 98)) printf("  %d ticks\n", offs[i]);
        wisp_stats_input(server, steer_player(&t, 1), &stats);
        CHECK(stats.early == 36 && stats.fresh > 80);
        bn_close(&t.net);
    }
}

/* A run that is told from an input that is not there is left, and the client begins anew. */
TEST(an_input_that_is_not_there_is_asked_for) {
    static steer t;
    steer_open(&t, 1, 9, 0.06);
    steer_begin(&t, &band_schema, &band_schema);
    bn_run(&t.net, 3);
    wisp__inputs_forget(t.ends[0].w, steer_player(&t, 1).id);
    bn_run(&t.net, 1);
    CHECK(steer_fresh(&t, 1, wisp_tick(t.ends[0].w) - 30) > 99);
    bn_close(&t.net);
}

/* After a pause of either end inputs go on. */
TEST(inputs_go_on_after_a_pause) {
    static steer t;
    for (int end = 0; end < 2; end++) {
        steer_open(&t, 1, 9, 0.06);
        steer_begin(&t, &band_schema, &band_schema);
        bn_run(&t.net, 3);
        t.net.ends[t.ends[end].at]->asleep = true;
        bn_run(&t.net, 2.5);
        t.net.ends[t.ends[end].at]->asleep = false;
        bn_run(&t.net, 4);
        CHECK(steer_fresh(&t, 1, wisp_tick(t.ends[0].w) - 60) > 98);
        bn_close(&t.net);
    }
}

/* A steady state allocates nothing, and one that has left is forgotten. */
TEST(lines_come_with_inputs_and_go_with_players) {
    static steer t;
    uint64_t allocations;
    steer_open(&t, 2, 9, 0.06);
    t.ends[1].every = 1;
    steer_begin(&t, &band_schema, &band_schema);
    CHECK_EQ_INT(t.ends[0].w->inputs->count, 0);
    bn_run(&t.net, 6);
    CHECK_EQ_INT(t.ends[0].w->inputs->count, 2);
    allocations = t.ends[0].w->base.stats.allocations + t.ends[1].w->base.stats.allocations;
    bn_run(&t.net, 6);
    CHECK_EQ_INT(t.ends[0].w->base.stats.allocations + t.ends[1].w->base.stats.allocations,
                 allocations);
    wisp_leave(t.ends[1].w, wisp_server(), "enough");
    bn_run(&t.net, 1);
    CHECK_EQ_INT(t.ends[0].w->inputs->count, 1);
    CHECK_EQ_INT(wisp_use_input(t.ends[0].w, &band_schema), WISP_OK);
    CHECK_EQ_INT(wisp_use_input(t.ends[0].w, &steer_other_schema), WISP_E_BUSY);
    CHECK_EQ_INT(wisp_use_input(t.ends[0].w, NULL), WISP_E_ARGUMENT);
    CHECK_EQ_INT((int)wisp_on_input(t.ends[0].w, NULL, NULL).id, 0);
    bn_close(&t.net);
}

static const test_case tests[] = {
    CASE(first_inputs_far_from_now_keep_out_no_others),
    CASE(inputs_pass_as_differences_to_the_tick_before),
    CASE(a_run_takes_as_many_as_fit_and_64_at_most),
    CASE(equal_inputs_are_one_row_and_the_ring_lets_go),
    CASE(an_input_is_small_and_zeros_are_one),
    CASE(a_number_near_another_takes_few_bits),
    CASE(the_server_has_the_inputs_of_clients_by_tick),
    CASE(inputs_come_in_time_from_the_first_on_and_not_too_early),
    CASE(each_end_has_its_own_input_in_its_ticks),
    CASE(schemas_that_differ_are_told_on_both_sides),
    CASE(large_inputs_come_over_long_paths),
    CASE(an_input_outside_its_schema_is_none_and_says_why),
    CASE(an_input_stays_until_the_handler_returns),
    CASE(a_client_that_lies_gains_nothing),
    CASE(inputs_that_make_no_sense_end_the_session),
    CASE(a_line_without_an_input_is_not_told),
    CASE(an_input_that_is_not_there_is_asked_for),
    CASE(inputs_go_on_after_a_pause),
    CASE(lines_come_with_inputs_and_go_with_players),
    CASE(who_predicts_all_gets_the_inputs_of_others),
    CASE(a_hit_is_judged_as_the_shooter_saw_it),
    CASE(what_a_client_claims_to_have_seen_is_clamped),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
