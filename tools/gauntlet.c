/* gauntlet.c - wisp and ENet on bad networks: time or age, bytes spent, what was lost

   Build    cc -std=c99 -O2 -I. tools/gauntlet.c -o build/gauntlet -lenet -lm          (POSIX)
   Run      build/gauntlet [quick] [JSON FILE]
            build/gauntlet ages SVG FILE     only the ages of state and urgent messages

   wisp runs in simulated time, once with each congestion controller, and with several seeds, of
   which the table has the worst. ENet runs once, in real time, through the same model between real
   sockets, all trials at once in processes of their own: that takes some two minutes. `quick`
   leaves ENet out and takes two seeds. "must be" is what the design asks of wisp with its default
   controller; a figure that is not so is marked with !, which is no failure of the program. */
#include "examples/udp.h"       /* first: it asks the system headers for more than C99 offers */

#include <sys/wait.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"

#include "tests/support/gauntlet_wisp.h"
#include "gauntlet_enet.h"
#include "gauntlet_ages.h"

enum { CONTENDERS = 3, CONTENDER_ENET = 2, SEEDS = 5, SEEDS_QUICK = 2 };

static const char *const contenders[CONTENDERS] = { "wisp", "wisp, RFC 9002", "ENet" };
static const char *const keys[CONTENDERS] = { "wisp", "wisp_rfc9002", "enet" };

/* --- the table --- */

typedef struct line {
    char        name[64];
    const char *figure, *unit;
    double      must;                   /* 0: for information */
    bool        at_least;
    double      values[CONTENDERS];     /* NAN: not measured */
} line;

enum { LINES_MAX = 160 };
static line lines[LINES_MAX];
static int  line_count;

static line *line_add(const char *name, const char *figure_name, const char *unit, double must,
                      bool at_least) {
    line *l = &lines[line_count < LINES_MAX - 1 ? line_count++ : line_count];
    memset(l, 0, sizeof *l);
    snprintf(l->name, sizeof l->name, "%s", name);
    l->figure = figure_name;
    l->unit = unit;
    l->must = must;
    l->at_least = at_least;
    for (int c = 0; c < CONTENDERS; c++) l->values[c] = (double)NAN;
    return l;
}

static bool line_missed(const line *l, double value) {
    if (!(l->must > 0) || isnan(value)) return false;
    return l->at_least ? value < l->must : value > l->must;
}

static void print_value(const line *l, int contender) {
    double value = l->values[contender];
    char text[24];
    if (isnan(value)) snprintf(text, sizeof text, "-");
    else if (isinf(value)) snprintf(text, sizeof text, "never");
    else snprintf(text, sizeof text, fabs(value) < 100 ? "%.2f" : "%.0f", value);
    printf(" %13s%c", text, contender != CONTENDER_ENET && line_missed(l, value) ? '!' : ' ');
}

static void print_lines(void) {
    const char *last = "";
    int missed = 0;
    printf("%-43s %-27s %-5s %9s", "", "", "unit", "must be");
    for (int c = 0; c < CONTENDERS; c++) printf(" %13s ", contenders[c]);
    printf("\n");
    for (int i = 0; i < line_count; i++) {
        const line *l = &lines[i];
        char must[16] = "";
        if (l->must > 0) snprintf(must, sizeof must, "%s %g", l->at_least ? ">=" : "<=", l->must);
        if (l->must > 0 && l->must <= GAUNTLET_NONE) snprintf(must, sizeof must, "none");
        printf("%-43s %-27s %-5s %9s", strcmp(l->name, last) ? l->name : "", l->figure, l->unit,
               must);
        for (int c = 0; c < CONTENDERS; c++) print_value(l, c);
        printf("\n");
        last = l->name;
        missed += line_missed(l, l->values[0]);
    }
    printf("%d figures, %d missed by the default controller\n", line_count, missed);
}

static bool write_json(const char *path) {
    FILE *file = fopen(path, "w");
    if (!file) return false;
    fprintf(file, "[\n");
    for (int i = 0; i < line_count; i++) {
        const line *l = &lines[i];
        fprintf(file, "  {\"trial\": \"%s\", \"figure\": \"%s\", \"unit\": \"%s\"", l->name,
                l->figure, l->unit);
        if (l->must > 0)
            fprintf(file, ", \"%s\": %g", l->at_least ? "at_least" : "at_most", l->must);
        for (int c = 0; c < CONTENDERS; c++) {
            if (isnan(l->values[c])) continue;
            fprintf(file, ", \"%s\": ", keys[c]);
            if (isinf(l->values[c])) fprintf(file, "null");
            else fprintf(file, "%.6g", l->values[c]);
        }
        fprintf(file, "}%s\n", i + 1 < line_count ? "," : "");
    }
    fprintf(file, "]\n");
    return fclose(file) == 0;
}

/* --- ENet: each trial in a process that writes its outcome into a pipe --- */

typedef union any_outcome { gauntlet_outcome one; gauntlet_crowd_outcome many; } any_outcome;

static int enet_begin(const gauntlet_row *r, const gauntlet_crowd *c, uint64_t seed) {
    int ends[2];
    pid_t child;
    any_outcome out;
    if (pipe(ends) != 0) return -1;
    fflush(stdout);
    child = fork();
    if (child != 0) {
        close(ends[1]);
        if (child > 0) return ends[0];
        close(ends[0]);
        return -1;
    }
    memset(&out, 0, sizeof out);
    if (r) enet_trial(&r->t, seed, &out.one);
    else enet_crowd(c, &out.many);
    _exit(write(ends[1], &out, sizeof out) == (ssize_t)sizeof out ? 0 : 1);
}

static bool enet_end(int from, any_outcome *out) {
    bool good = from >= 0 && read(from, out, sizeof *out) == (ssize_t)sizeof *out;
    if (from >= 0) close(from);
    return good;
}

/* --- wisp --- */

static wisp_desc desc_of(int contender) {
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.congestion = contender == 1 ? WISP_CONGESTION_RFC9002 : WISP_CONGESTION_MODEL;
    return desc;
}

static void run_row(const gauntlet_row *r, int seeds, const any_outcome *enet,
                    double base[CONTENDERS]) {
    static gauntlet_outcome outs[CONTENDERS][SEEDS];
    for (int c = 0; c < CONTENDERS; c++) {
        wisp_desc desc = desc_of(c);
        for (int s = 0; s < (c == CONTENDER_ENET ? 1 : seeds); s++) {
            gauntlet_outcome *out = &outs[c][s];
            if (c != CONTENDER_ENET) wisp_trial(&r->t, &desc, (uint64_t)s + 1, out);
            else if (enet) *out = enet->one;
            if (s == 0 && r == gauntlet_rows) base[c] = out->seconds;
            out->ratio = out->done ? out->seconds / base[c] : HUGE_VAL;
        }
    }
    for (const gauntlet_goal *g = r->goals; gauntlet_more(r, g); g++) {
        bool more = gauntlet_figures[g->f].more_is_better;
        line *l = line_add(r->t.name, gauntlet_figures[g->f].name, gauntlet_figures[g->f].unit,
                           g->must, more);
        for (int c = 0; c < CONTENDERS; c++) {
            for (int s = 0; s < (c == CONTENDER_ENET ? enet != NULL : seeds); s++) {
                double value = gauntlet_figure_of(&outs[c][s], g->f), *worst = &l->values[c];
                if (isnan(*worst) || (more ? value < *worst : value > *worst)) *worst = value;
            }
        }
        if (g->f == FIGURE_HELD || g->f == FIGURE_CALLED_LOST)
            l->values[CONTENDER_ENET] = (double)NAN;
    }
}

static void run_crowd(const gauntlet_crowd *c, const any_outcome *enet) {
    line *joined = line_add(c->name, "joined, both know", "", c->count, true);
    line *mean = line_add(c->name, "time to join, mean", "s", 0, false);
    line *worst = line_add(c->name, "time to join, worst", "s", 0, false);
    line *ended = !c->talks ? NULL : line_add(c->name, "sessions that timed out", "",
                                              GAUNTLET_NONE, false);
    line *spent = line_add(c->name, "bytes sent, each", "kB", 0, false);
    for (int i = 0; i < CONTENDERS; i++) {
        wisp_desc desc = desc_of(i);
        gauntlet_crowd_outcome out;
        if (i == CONTENDER_ENET && !enet) continue;
        if (i == CONTENDER_ENET) out = enet->many;
        else wisp_crowd(c, &desc, &out);
        joined->values[i] = out.joined;
        mean->values[i] = out.mean;
        worst->values[i] = out.worst;
        if (ended) ended->values[i] = out.ended;
        spent->values[i] = (double)out.spent / 1e3 / c->count;
    }
}

static void run_sharing(const gauntlet_sharing *s, int seeds) {
    wisp_desc rfc9002 = desc_of(1);
    char name[64];
    line *l;
    if (s->beside) snprintf(name, sizeof name, "beside RFC 9002, buffer of %g products", s->buffer);
    else snprintf(name, sizeof name, "%d flows alike, buffer of %g products", s->flows, s->buffer);
    l = line_add(name, s->beside ? "share of the weaker" : "Jain's index", s->beside ? "%" : "",
                 s->must, true);
    for (int c = 0; c < (s->beside ? 1 : 2); c++) {
        wisp_desc desc = desc_of(c);
        for (int seed = 1; seed <= seeds; seed++) {
            double value = wisp_sharing(s, &desc, &rfc9002, (uint64_t)seed);
            if (isnan(l->values[c]) || value < l->values[c]) l->values[c] = value;
        }
    }
}

int main(int count, char **words) {
    bool quick = count > 1 && strcmp(words[1], "quick") == 0;
    int seeds = quick ? SEEDS_QUICK : SEEDS, waiting[GAUNTLET_ROWS + GAUNTLET_CROWDS];
    double base[CONTENDERS] = { 1, 1, 1 };
    bool measured = true;
    if (count > 2 && strcmp(words[1], "ages") == 0) return ages_draw(words[2], SEEDS) ? 0 : 1;
    for (int i = 0; i < GAUNTLET_ROWS + GAUNTLET_CROWDS && !quick; i++)
        waiting[i] = i < GAUNTLET_CROWDS
                         ? enet_begin(NULL, &gauntlet_crowds[i], 1)
                         : enet_begin(&gauntlet_rows[i - GAUNTLET_CROWDS], NULL, 1);
    for (int i = 0; i < GAUNTLET_ROWS + GAUNTLET_CROWDS; i++) {
        any_outcome out;
        bool enet = !quick && enet_end(waiting[i], &out);
        measured = measured && (enet || quick);
        if (i < GAUNTLET_CROWDS) run_crowd(&gauntlet_crowds[i], enet ? &out : NULL);
        else run_row(&gauntlet_rows[i - GAUNTLET_CROWDS], seeds, enet ? &out : NULL, base);
    }
    for (int i = 0; i < GAUNTLET_SHARINGS; i++) run_sharing(&gauntlet_sharings[i], seeds);
    while (!quick && wait(NULL) > 0) continue;
    print_lines();
    if (count > 1 + quick) measured = write_json(words[1 + quick]) && measured;
    return measured ? 0 : 1;
}
