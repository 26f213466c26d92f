/* load_scenario.h - the scenario files of wisp_load, and random numbers of a distribution

   A scenario is a text of lines; "#" begins a comment. Words of a line stand between blanks.

       title TEXT                 for the report
       clients N                  1..20000; 100
       ramp TIME                  in which they join, evenly; 1s
       seconds N                  after the ramp, 0..3600; 10
       processes N                that the clients are spread over, 1..16; 2
       tick RATE                  updates of each client per second, 1..1000; 20
       server RATE                updates of our own server per second, as a game in ticks has them;
                                  without it, it updates whenever something comes
       lazy                       clients look for packets only when they update: for many of them
       seed N                     of all random numbers; 1
       app NAME [VERSION]         as the server has them; "load" 0
       ticket TEXT                with which the clients join
       timeout TIME               of silence, on both ends; 10s
       simulated                  all in this process, in simulated time: as fast as it can
       network SHARE SETTINGS     so many of the clients (30%) have a network with these settings
                                  of wisp_simulator_set ("mobile loss=5"); the others a clean one
       fire NAME OPTIONS          each client fires messages to the server
       invoke NAME OPTIONS        each client calls the server
       tell NAME OPTIONS          our own server fires to each client
       objects N OPTIONS          the server edits so many objects, which all clients see
       edit OPTIONS               each client edits an object of its own
       input OPTIONS              each client has an input for each tick (wisp_use_input), which
                                  changes every D; its schema is the one that the server announces
       churn leave|vanish every=D each client leaves, or is gone without a word, and joins anew
       bad KIND N OPTIONS         N misbehaving ends beside the clients:
                                    garbage  datagrams of random bytes
                                    mangle   a client of which every datagram also comes damaged
                                    replay   a client of which old datagrams come again
                                    joins    joins without end, each from another address
                                    flood    a client that fires as much as it can
       budget NAME=N ..           of our own server: messages, packets, in, joins of wisp_budget
       expect METRIC <|<=|>|>=|== N     a threshold; the report lists the metrics

   OPTIONS of what is done are every=D (seconds from one to the next) or rate=N (per second,
   evenly) or once (after the join), size=D (bytes; 32), share=N% (of the clients; 100%), from=TIME
   and to=TIME (seconds from the beginning), and of fire and invoke:

       reliable, unreliable, sequenced      the delivery; reliable
       values=KIND,KIND(LO,HI)..            instead of bytes: bool, int, number, vec3, string, bytes
                                            with their range, or range of sizes
       schema=NAME                          values that fit what the server has announced for NAME

   and a NAME of "*" is each of the names that the server has announced. D is a distribution: a
   number, uniform(LO,HI), exponential(MEAN), normal(MEAN,DEVIATION) or pareto(LEAST,SHAPE). Numbers
   may end with s, ms, k, M or %.
*/
#ifndef LOAD_SCENARIO_H
#define LOAD_SCENARIO_H

#include <errno.h>
#include <math.h>

/* --- random numbers (xorshift64*) and distributions ------------------------- */

static uint64_t random_next(uint64_t *state) {
    uint64_t x = *state ? *state : 1;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* 0 <= x < 1 */
static double random_unit(uint64_t *state) {
    return (double)(random_next(state) >> 11) * (1.0 / 9007199254740992.0);
}

typedef enum shape { CONSTANT, UNIFORM, EXPONENTIAL, NORMAL, PARETO, SHAPES } shape;

typedef struct spread { shape shape; double a, b; } spread;

/* Never negative; a Pareto distribution ends at a thousand times its least. */
static double spread_draw(const spread *d, uint64_t *state) {
    double x = random_unit(state), y;
    switch (d->shape) {
    case UNIFORM: return d->a + (d->b - d->a) * x;
    case EXPONENTIAL: return -d->a * log(1 - x);
    case NORMAL:
        y = sqrt(-2 * log(1 - x)) * cos(6.283185307179586 * random_unit(state));
        return d->a + d->b * y > 0 ? d->a + d->b * y : 0;
    case PARETO:
        y = d->a / pow(1 - x, 1 / d->b);
        return y < d->a * 1000 ? y : d->a * 1000;
    default: return d->a;
    }
}

/* --- a scenario ------------------------------------------------------------- */

enum { TEXT = 128, ACTIONS_MOST = 24, NETWORKS_MOST = 16, BADS_MOST = 16, EXPECTS_MOST = 32,
       PARTS_MOST = 8, WORDS_MOST = 32, LINE_MOST = 512 };

typedef enum action_kind { FIRE, INVOKE, TELL, EDIT, INPUT, OBJECTS } action_kind;
typedef enum bad_kind { GARBAGE, MANGLE, REPLAY, JOINS, FLOOD, BAD_KINDS } bad_kind;

static const char *const bad_names[BAD_KINDS] = { "garbage", "mangle", "replay", "joins",
                                                  "flood" };

/* One value of values=. */
typedef struct part { wisp_kind kind; double lo, hi; } part;

typedef struct action {
    action_kind   kind;
    char          name[TEXT], schema[TEXT];
    spread        every, size;
    bool          once;
    double        share, from, to;       /* to 0: until the end */
    wisp_delivery delivery;
    part          parts[PARTS_MOST];
    int           part_count, objects;
} action;

typedef struct bad {
    bad_kind kind;
    int      count;
    spread   every, size;
    double   from, to;
} bad;

typedef struct network { double share; char text[TEXT]; } network;

typedef struct expect { char metric[TEXT], sign[3]; double bound; } expect;

typedef struct scenario {
    char     title[TEXT], app[TEXT], ticket[TEXT];
    uint32_t app_version;
    int      clients, processes;
    double   ramp, seconds, tick, timeout, server_rate;   /* server_rate 0: at once */
    uint64_t seed;
    bool     simulated, lazy, leaves;    /* leaves: churn says goodbye */
    spread   churn;                      /* a 0: none */
    action   actions[ACTIONS_MOST];
    wisp_budget budget;
    network  networks[NETWORKS_MOST];
    bad      bads[BADS_MOST];
    expect   expects[EXPECTS_MOST];
    int      action_count, network_count, bad_count, expect_count;
} scenario;

/* --- reading ---------------------------------------------------------------- */

/* A line on its way into a scenario. */
typedef struct line {
    scenario *s;
    char      text[LINE_MOST], *words[WORDS_MOST];
    int       count, number;
    const char *file;
    bool      failed;
} line;

static void line_fail(line *l, const char *what, const char *word) {
    if (l->failed) return;
    l->failed = true;
    fprintf(stderr, "%s:%d: %s%s%s%s\n", l->file, l->number, what, *word ? " \"" : "", word,
            *word ? "\"" : "");
}

/* A number with its unit, at the beginning of a text; *rest is what follows. */
static double read_number(line *l, const char *text, const char **rest) {
    static const struct { const char *name; double factor; } units[] = {
        { "ms", 0.001 }, { "s", 1 }, { "k", 1e3 }, { "M", 1e6 }, { "%", 0.01 } };
    char *end;
    double number = strtod(text, &end);
    if (end == text || !isfinite(number)) line_fail(l, "this is no number:", text);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t size = strlen(units[i].name);
        if (strncmp(end, units[i].name, size) != 0) continue;
        number *= units[i].factor;
        end += size;
        break;
    }
    *rest = end;
    return number;
}

static double read_within(line *l, const char *text, double least, double most) {
    const char *rest = "";
    double number = read_number(l, text, &rest);
    if (*rest) line_fail(l, "this is no number:", text);
    else if (number < least || number > most) line_fail(l, "out of range:", text);
    return number;
}

/* (A,B) or (A) after a name; b is a if there is one only. */
static void read_pair(line *l, const char *text, double *a, double *b) {
    const char *rest = text;
    if (*rest == '(') *a = *b = read_number(l, rest + 1, &rest);
    if (*rest == ',') *b = read_number(l, rest + 1, &rest);
    if (strcmp(rest, ")") != 0) line_fail(l, "(A) or (A,B) is needed, not", text);
}

static spread read_spread(line *l, const char *text, double least) {
    static const char *const names[SHAPES] = { "", "uniform", "exponential", "normal", "pareto" };
    spread d = { CONSTANT, 0, 0 };
    for (int i = UNIFORM; i < SHAPES; i++) {
        size_t size = strlen(names[i]);
        if (strncmp(text, names[i], size) != 0 || text[size] != '(') continue;
        d.shape = (shape)i;
        read_pair(l, text + size, &d.a, &d.b);
        if (d.a < least || d.b < 0 || (i == UNIFORM && d.b < d.a) || (i == PARETO && d.b <= 0))
            line_fail(l, "out of range:", text);
        return d;
    }
    d.a = read_within(l, text, least, 1e9);
    return d;
}

static void copy_text(line *l, char *to, const char *text) {
    if (strlen(text) >= TEXT) line_fail(l, "too long:", text);
    snprintf(to, TEXT, "%s", text);
}

/* The rest of the line, with a blank between words. */
static void copy_rest(line *l, char *to, int from) {
    char all[LINE_MOST] = "";
    for (int i = from; i < l->count; i++) {
        if (i > from) strcat(all, " ");
        strcat(all, l->words[i]);
    }
    copy_text(l, to, all);
}

static void read_part(line *l, part *p, char *text) {
    static const struct { const char *name; wisp_kind kind; double lo, hi; } kinds[] = {
        { "bool", WISP_BOOL, 0, 1 }, { "int", WISP_INT, 0, 1000 }, { "number", WISP_NUMBER, 0, 1 },
        { "vec3", WISP_VEC3, -100, 100 }, { "string", WISP_STRING, 1, 20 },
        { "bytes", WISP_BYTES, 1, 20 } };
    char *range = strchr(text, '(');
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t size = strlen(kinds[i].name);
        if (strncmp(text, kinds[i].name, size) != 0 || (text[size] && text[size] != '(')) continue;
        p->kind = kinds[i].kind;
        p->lo = kinds[i].lo;
        p->hi = kinds[i].hi;
        if (range) read_pair(l, range, &p->lo, &p->hi);
        if (p->hi < p->lo || (p->kind >= WISP_STRING && p->kind <= WISP_BYTES &&
                              (p->lo < 0 || p->hi > 60000)))
            line_fail(l, "out of range:", text);
        return;
    }
    line_fail(l, "there is no such kind of value:", text);
}

/* Commas outside of parentheses part the kinds. */
static void read_parts(line *l, action *a, char *text) {
    int depth = 0;
    char *begin = text;
    for (;; text++) {
        bool end = !*text;
        depth += (*text == '(') - (*text == ')');
        if (!end && (*text != ',' || depth > 0)) continue;
        *text = 0;
        if (a->part_count == PARTS_MOST) line_fail(l, "too many values", "");
        else read_part(l, &a->parts[a->part_count++], begin);
        if (end || l->failed) return;
        begin = text + 1;
    }
}

/* NAME=TEXT: the text, or NULL. */
static char *option_text(char *word, const char *name) {
    size_t size = strlen(name);
    return strncmp(word, name, size) == 0 && word[size] == '=' ? word + size + 1 : NULL;
}

/* What actions and misbehaving ends have in common; false: another word. */
static bool read_when(line *l, char *word, spread *every, double *from, double *to) {
    const char *text;
    if ((text = option_text(word, "every")) != NULL) *every = read_spread(l, text, 1e-6);
    else if ((text = option_text(word, "rate")) != NULL)
        *every = (spread){ CONSTANT, 1 / read_within(l, text, 1e-4, 1e6), 0 };
    else if ((text = option_text(word, "from")) != NULL) *from = read_within(l, text, 0, 1e5);
    else if ((text = option_text(word, "to")) != NULL) *to = read_within(l, text, 0, 1e5);
    else return false;
    return true;
}

static void read_option(line *l, action *a, char *word) {
    char *text;
    bool message = a->kind <= TELL;
    if (read_when(l, word, &a->every, &a->from, &a->to)) return;
    if ((text = option_text(word, "size")) != NULL) a->size = read_spread(l, text, 0);
    else if ((text = option_text(word, "share")) != NULL) a->share = read_within(l, text, 0, 1);
    else if (strcmp(word, "once") == 0) a->once = true;
    else if (message && (text = option_text(word, "values")) != NULL) read_parts(l, a, text);
    else if (message && (text = option_text(word, "schema")) != NULL) copy_text(l, a->schema, text);
    else if (message && strcmp(word, "reliable") == 0) a->delivery = WISP_RELIABLE;
    else if (message && strcmp(word, "unreliable") == 0) a->delivery = WISP_UNRELIABLE;
    else if (message && strcmp(word, "sequenced") == 0) a->delivery = WISP_SEQUENCED;
    else line_fail(l, "there is no such option:", word);
}

static void read_action(line *l, action_kind kind) {
    scenario *s = l->s;
    action *a = &s->actions[s->action_count];
    int at = 1;
    if (s->action_count == ACTIONS_MOST) {
        line_fail(l, "too many actions", "");
        return;
    }
    *a = (action){ .kind = kind, .every = { CONSTANT, 1, 0 }, .size = { CONSTANT, 32, 0 },
                   .share = 1, .delivery = WISP_RELIABLE };
    if (kind <= TELL) copy_text(l, a->name, at < l->count ? l->words[at] : "");
    if (kind == OBJECTS && at < l->count)
        a->objects = (int)read_within(l, l->words[at], 1, 50000);
    if (kind <= TELL || kind == OBJECTS) at++;
    if (at > l->count) line_fail(l, "a name or number is needed", "");
    if (kind == EDIT) strcpy(a->name, "class own");
    if (kind == INPUT) strcpy(a->name, "inputs");
    if (kind == OBJECTS) strcpy(a->name, "class unit");
    if (kind >= EDIT) a->every.a = 0.05;
    for (; at < l->count && !l->failed; at++) read_option(l, a, l->words[at]);
    s->action_count++;
}

static void read_bad(line *l) {
    scenario *s = l->s;
    bad *b = &s->bads[s->bad_count];
    int kind = 0;
    if (l->count < 3 || s->bad_count == BADS_MOST) {
        line_fail(l, l->count < 3 ? "bad KIND N is needed" : "too many kinds of bad ends", "");
        return;
    }
    *b = (bad){ .every = { CONSTANT, 0.01, 0 }, .size = { UNIFORM, 1, 1200 } };
    while (kind < BAD_KINDS && strcmp(l->words[1], bad_names[kind]) != 0) kind++;
    if (kind == BAD_KINDS) line_fail(l, "there is no such kind:", l->words[1]);
    b->kind = (bad_kind)kind;
    b->count = (int)read_within(l, l->words[2], 1, 200);
    for (int i = 3; i < l->count && !l->failed; i++) {
        const char *text = option_text(l->words[i], "size");
        if (text) b->size = read_spread(l, text, 0);
        else if (!read_when(l, l->words[i], &b->every, &b->from, &b->to))
            line_fail(l, "there is no such option:", l->words[i]);
    }
    s->bad_count++;
}

static void read_network(line *l) {
    scenario *s = l->s;
    network *n = &s->networks[s->network_count];
    wisp_simulator sim;
    memset(&sim, 0, sizeof sim);
    if (l->count < 3 || s->network_count == NETWORKS_MOST) {
        line_fail(l, l->count < 3 ? "network SHARE SETTINGS is needed" : "too many networks", "");
        return;
    }
    n->share = read_within(l, l->words[1], 0, 1);
    copy_rest(l, n->text, 2);
    if (wisp_simulator_set(&sim, n->text) != WISP_OK) line_fail(l, sim.error, n->text);
    s->network_count++;
}

static void read_budget(line *l) {
    wisp_budget *b = &l->s->budget;
    for (int i = 1; i < l->count && !l->failed; i++) {
        const char *text;
        if ((text = option_text(l->words[i], "messages")) != NULL)
            b->messages = read_within(l, text, 1, 1e9);
        else if ((text = option_text(l->words[i], "packets")) != NULL)
            b->packets = read_within(l, text, 1, 1e9);
        else if ((text = option_text(l->words[i], "in")) != NULL)
            b->in = read_within(l, text, 1, 1e12);
        else if ((text = option_text(l->words[i], "joins")) != NULL)
            b->joins = read_within(l, text, -1, 1e9);
        else line_fail(l, "there is no such option:", l->words[i]);
    }
}

static void read_expect(line *l) {
    static const char *const signs[] = { "<", "<=", ">", ">=", "==" };
    scenario *s = l->s;
    expect *e = &s->expects[s->expect_count];
    int sign = 0;
    if (l->count != 4 || s->expect_count == EXPECTS_MOST) {
        line_fail(l, l->count != 4 ? "expect METRIC SIGN NUMBER is needed" : "too many", "");
        return;
    }
    while (sign < 5 && strcmp(l->words[2], signs[sign]) != 0) sign++;
    if (sign == 5) line_fail(l, "there is no such comparison:", l->words[2]);
    else strcpy(e->sign, signs[sign]);
    copy_text(l, e->metric, l->words[1]);
    if (!metric_named(l->words[1])) line_fail(l, "there is no such metric:", l->words[1]);
    e->bound = read_within(l, l->words[3], -1e15, 1e15);
    s->expect_count++;
}

static void read_churn(line *l) {
    const char *text = l->count == 3 ? option_text(l->words[2], "every") : NULL;
    l->s->leaves = l->count == 3 && strcmp(l->words[1], "leave") == 0;
    if (!text || (!l->s->leaves && strcmp(l->words[1], "vanish") != 0))
        line_fail(l, "churn leave|vanish every=D is needed", "");
    else l->s->churn = read_spread(l, text, 0.01);
}

/* Lines of one number, and where it goes. */
static bool read_setting(line *l) {
    scenario *s = l->s;
    const char *name = l->words[0], *text = l->count == 2 ? l->words[1] : "";
    if (strcmp(name, "clients") == 0) s->clients = (int)read_within(l, text, 1, 20000);
    else if (strcmp(name, "ramp") == 0) s->ramp = read_within(l, text, 0, 3600);
    else if (strcmp(name, "seconds") == 0) s->seconds = read_within(l, text, 0, 3600);
    else if (strcmp(name, "processes") == 0) s->processes = (int)read_within(l, text, 1, 16);
    else if (strcmp(name, "tick") == 0) s->tick = read_within(l, text, 1, 1000);
    else if (strcmp(name, "server") == 0) s->server_rate = read_within(l, text, 1, 1000);
    else if (strcmp(name, "timeout") == 0) s->timeout = read_within(l, text, 0.5, 3600);
    else if (strcmp(name, "seed") == 0) s->seed = (uint64_t)read_within(l, text, 1, 1e15);
    else return false;
    return true;
}

static void read_line(line *l) {
    scenario *s = l->s;
    const char *name = l->words[0];
    if (read_setting(l)) return;
    if (strcmp(name, "title") == 0) copy_rest(l, s->title, 1);
    else if (strcmp(name, "ticket") == 0) copy_rest(l, s->ticket, 1);
    else if (strcmp(name, "simulated") == 0 && l->count == 1) s->simulated = true;
    else if (strcmp(name, "lazy") == 0 && l->count == 1) s->lazy = true;
    else if (strcmp(name, "network") == 0) read_network(l);
    else if (strcmp(name, "fire") == 0) read_action(l, FIRE);
    else if (strcmp(name, "invoke") == 0) read_action(l, INVOKE);
    else if (strcmp(name, "tell") == 0) read_action(l, TELL);
    else if (strcmp(name, "objects") == 0) read_action(l, OBJECTS);
    else if (strcmp(name, "edit") == 0) read_action(l, EDIT);
    else if (strcmp(name, "input") == 0) read_action(l, INPUT);
    else if (strcmp(name, "churn") == 0) read_churn(l);
    else if (strcmp(name, "bad") == 0) read_bad(l);
    else if (strcmp(name, "budget") == 0) read_budget(l);
    else if (strcmp(name, "expect") == 0) read_expect(l);
    else if (strcmp(name, "app") == 0 && (l->count == 2 || l->count == 3)) {
        copy_text(l, s->app, l->words[1]);
        if (l->count == 3) s->app_version = (uint32_t)read_within(l, l->words[2], 0, 4294967295.0);
    } else line_fail(l, "this line cannot be read:", name);
}

static void line_split(line *l) {
    char *at = l->text;
    at[strcspn(at, "#\r\n")] = 0;
    for (l->count = 0;;) {
        at += strspn(at, " \t");
        if (!*at) return;
        if (l->count == WORDS_MOST) {
            line_fail(l, "too many words", "");
            return;
        }
        l->words[l->count++] = at;
        at += strcspn(at, " \t");
        if (*at) *at++ = 0;
    }
}

static scenario scenario_default(void) {
    return (scenario){ .title = "load", .app = "load", .clients = 100, .processes = 2, .ramp = 1,
                       .seconds = 10, .tick = 20, .timeout = 10, .seed = 1 };
}

/* false: it cannot be read, which was said. `extra` are lines of the command line, after those of
   the file, which may be NULL. */
static bool scenario_read(scenario *s, const char *file, char **extra, int extra_count) {
    line l = { .s = s, .file = file ? file : "" };
    FILE *from = file ? fopen(file, "r") : NULL;
    *s = scenario_default();
    if (file && !from) {
        fprintf(stderr, "%s: %s\n", file, strerror(errno));
        return false;
    }
    while (from && !l.failed && fgets(l.text, sizeof l.text, from)) {
        l.number++;
        if (strlen(l.text) == sizeof l.text - 1) line_fail(&l, "the line is too long", "");
        line_split(&l);
        if (l.count > 0 && !l.failed) read_line(&l);
    }
    if (from) fclose(from);
    l.file = "--set";
    for (int i = 0; i < extra_count && !l.failed; i++) {
        l.number = i + 1;
        snprintf(l.text, sizeof l.text, "%s", extra[i]);
        line_split(&l);
        if (l.count > 0) read_line(&l);
    }
    return !l.failed;
}

/* The first action of a kind; NULL: none. */
static const action *scenario_action(const scenario *s, action_kind kind) {
    for (int i = 0; i < s->action_count; i++)
        if (s->actions[i].kind == kind) return &s->actions[i];
    return NULL;
}

/* Does a scenario have objects or inputs, which need ticks? */
static bool scenario_has_state(const scenario *s) {
    return scenario_action(s, EDIT) || scenario_action(s, OBJECTS) || scenario_action(s, INPUT);
}

/* Seconds that the clients are busy, and of all at most. */
static double scenario_seconds(const scenario *s) { return s->ramp + s->seconds; }

#endif
