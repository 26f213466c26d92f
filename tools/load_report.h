/* load_report.h - a run of wisp_load as a table, as JSON and as a page with plots */
#ifndef LOAD_REPORT_H
#define LOAD_REPORT_H

/* A number as people read it: at most 16 bytes. */
static const char *number_text(double value, const char *unit, char *out, int size) {
    double most = fabs(value);
    if (strcmp(unit, "s") == 0 && most < 1e-3)
        snprintf(out, (size_t)size, "%.2f us", value * 1e6);
    else if (strcmp(unit, "s") == 0) snprintf(out, (size_t)size, "%.2f ms", value * 1e3);
    else if (most >= 1e7) snprintf(out, (size_t)size, "%.1f M", value / 1e6);
    else if (value == floor(value) || most >= 1000) snprintf(out, (size_t)size, "%.0f", value);
    else snprintf(out, (size_t)size, most < 1 ? "%.4f" : "%.2f", value);
    return out;
}

static const char *unit_text(const char *unit) { return strcmp(unit, "s") == 0 ? "" : unit; }

static bool expect_holds(const expect *e, const run_report *r) {
    double value = metric_named(e->metric)->value(r), bound = e->bound;
    if (strcmp(e->sign, "<") == 0) return value < bound;
    if (strcmp(e->sign, "<=") == 0) return value <= bound;
    if (strcmp(e->sign, ">") == 0) return value > bound;
    if (strcmp(e->sign, ">=") == 0) return value >= bound;
    return value == bound;
}

static bool all_hold(const scenario *s, const run_report *r) {
    bool good = true;
    for (int i = 0; i < s->expect_count; i++) good = expect_holds(&s->expects[i], r) && good;
    return good;
}

/* --- the table -------------------------------------------------------------- */

/* The four quantiles of a time stand in one line. */
static int print_times(const run_report *r, int i) {
    char text[4][24], name[32];
    size_t size = strcspn(metrics[i].name, ".");
    for (int k = 0; k < 4; k++)
        number_text(metrics[i + k].value(r), "s", text[k], (int)sizeof text[k]);
    snprintf(name, sizeof name, "%.*s", (int)size, metrics[i].name);
    if (metrics[i + 3].value(r) > 0)
        printf("  %-22s %12s p50 %12s p90 %12s p99 %12s max\n", name, text[0], text[1], text[2],
               text[3]);
    return i + 3;
}

static void print_table(const scenario *s, const run_report *r) {
    char text[24];
    printf("\n%s: %d clients, %.1f s busy\n", s->title, r->clients, r->seconds);
    for (int i = 0; i < METRICS; i++) {
        const metric *m = &metrics[i];
        double value = m->value(r);
        if (strstr(m->name, ".p50")) i = print_times(r, i);
        else if (value != 0 || strcmp(m->name, "unaccounted") == 0)
            printf("  %-22s %12s %s\n", m->name, number_text(value, m->unit, text,
                   (int)sizeof text), unit_text(m->unit));
    }
    for (int i = 0; i < r->drop_count; i++)
        printf("  dropped: %-40s %10.0f\n", r->drops[i].name, (double)r->drops[i].count);
    for (int i = 0; i < r->error_count; i++) printf("  an error: %s\n", r->errors[i]);
    for (int i = 0; i < s->expect_count; i++) {
        const expect *e = &s->expects[i];
        printf("%s %s %s %g (it is %g)\n", expect_holds(e, r) ? "  holds: " : "BROKEN:  ",
               e->metric, e->sign, e->bound, metric_named(e->metric)->value(r));
    }
}

/* One line each second. */
static void print_sample(const sample *p) {
    printf("%5.0f s  %6.0f in  %8.0f fired  %7.0f calls  %8.0f arrived  %7.0f kB/s up  "
           "%7.0f kB/s down  p99 %6.1f ms", p->at, p->connected, p->fired, p->calls, p->delivered,
           p->kilobytes_up, p->kilobytes_down, (p->p99 > 0 ? p->p99 : p->fire_p99) * 1e3);
    if (p->server_cpu > 0) printf("  server %3.0f%%", p->server_cpu * 100);
    printf("\n");
    fflush(stdout);
}

/* --- JSON ------------------------------------------------------------------- */

static void json_text(FILE *to, const char *text) {
    fputc('"', to);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', to);
        fputc((unsigned char)*text < 32 ? ' ' : *text, to);
    }
    fputc('"', to);
}

static void json_sample(FILE *to, const sample *p) {
    fprintf(to, "{\"at\":%.1f,\"connected\":%.0f,\"fired\":%.0f,\"calls\":%.0f,\"arrived\":%.0f,"
            "\"up\":%.0f,\"down\":%.0f,\"call_p50\":%.6f,\"call_p90\":%.6f,\"call_p99\":%.6f,"
            "\"fire_p99\":%.6f,\"server_cpu\":%.4f,\"server_memory\":%.3f,\"errors\":%.0f}",
            p->at, p->connected, p->fired, p->calls, p->delivered, p->kilobytes_up * 1e3,
            p->kilobytes_down * 1e3, p->p50, p->p90, p->p99, p->fire_p99, p->server_cpu,
            p->memory_mb, p->errors);
}

static bool write_json(const char *file, const scenario *s, const run_report *r) {
    FILE *to = fopen(file, "w");
    if (!to) return false;
    fprintf(to, "{\"title\":");
    json_text(to, s->title);
    fprintf(to, ",\"clients\":%d,\"seconds\":%.3f,\"ok\":%s,\n\"metrics\":{", r->clients,
            r->seconds, all_hold(s, r) ? "true" : "false");
    for (int i = 0; i < METRICS; i++)
        fprintf(to, "%s\"%s\":%.9g", i ? "," : "", metrics[i].name, metrics[i].value(r));
    fprintf(to, "},\n\"drops\":{");
    for (int i = 0; i < r->drop_count; i++) {
        if (i) fputc(',', to);
        json_text(to, r->drops[i].name);
        fprintf(to, ":%.0f", (double)r->drops[i].count);
    }
    fprintf(to, "},\n\"errors\":[");
    for (int i = 0; i < r->error_count; i++) {
        if (i) fputc(',', to);
        json_text(to, r->errors[i]);
    }
    fprintf(to, "],\n\"expects\":[");
    for (int i = 0; i < s->expect_count; i++) {
        const expect *e = &s->expects[i];
        fprintf(to, "%s{\"metric\":\"%s\",\"sign\":\"%s\",\"bound\":%.9g,\"holds\":%s}",
                i ? "," : "", e->metric, e->sign, e->bound, expect_holds(e, r) ? "true" : "false");
    }
    fprintf(to, "],\n\"samples\":[");
    for (int i = 0; i < r->sample_count; i++) {
        if (i) fprintf(to, ",\n");
        json_sample(to, &r->samples[i]);
    }
    fprintf(to, "]}\n");
    return fclose(to) == 0;
}

/* --- HTML: every plot is an SVG inside the page ----------------------------- */

enum { PLOT_WIDTH = 640, PLOT_HEIGHT = 160, PLOT_LEFT = 70, CURVES_MOST = 3 };

typedef struct plot {
    const char *title, *unit;
    double      factor;
    struct { const char *name; size_t at; } curves[CURVES_MOST];     /* offsets in a sample */
} plot;

static const plot plots[] = {
    { "Clients that are connected", "", 1, { { "connected", offsetof(sample, connected) } } },
    { "Messages", "/s", 1, { { "fired", offsetof(sample, fired) },
      { "arrived", offsetof(sample, delivered) }, { "calls", offsetof(sample, calls) } } },
    { "Traffic of all clients", " kB/s", 1, { { "up", offsetof(sample, kilobytes_up) },
      { "down", offsetof(sample, kilobytes_down) } } },
    { "Round trips of calls", " ms", 1e3, { { "p50", offsetof(sample, p50) },
      { "p90", offsetof(sample, p90) }, { "p99", offsetof(sample, p99) } } },
    { "From fire to handler, p99", " ms", 1e3, { { "p99", offsetof(sample, fire_p99) } } },
    { "The server's CPU", "% of a core", 100, { { "CPU", offsetof(sample, server_cpu) } } },
    { "The server's memory", " MB", 1, { { "memory", offsetof(sample, memory_mb) } } },
    { "Errors the server has raised", "", 1, { { "errors", offsetof(sample, errors) } } },
};
enum { PLOTS = sizeof plots / sizeof *plots };

static double sample_value(const sample *p, size_t at) {
    double value;
    memcpy(&value, (const char *)p + at, sizeof value);
    return value;
}

static double plot_most(const plot *p, const run_report *r) {
    double most = 0;
    for (int k = 0; k < CURVES_MOST && p->curves[k].name; k++)
        for (int i = 0; i < r->sample_count; i++)
            most = fmax(most, sample_value(&r->samples[i], p->curves[k].at) * p->factor);
    return most;
}

static void write_curve(FILE *to, const plot *p, const run_report *r, int k, double most) {
    static const char *const colours[CURVES_MOST] = { "#1b6ac9", "#d9822b", "#c23030" };
    fprintf(to, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", colours[k]);
    for (int i = 0; i < r->sample_count; i++) {
        double y = sample_value(&r->samples[i], p->curves[k].at) * p->factor / most;
        int last = r->sample_count > 1 ? r->sample_count - 1 : 1;
        fprintf(to, "%.1f,%.1f ", PLOT_LEFT + (double)i / last * (PLOT_WIDTH - PLOT_LEFT - 10),
                PLOT_HEIGHT - 25 - y * (PLOT_HEIGHT - 40));
    }
    fprintf(to, "\"/><text x=\"%d\" y=\"12\" fill=\"%s\">%s</text>\n", PLOT_LEFT + 10 + 90 * k,
            colours[k], p->curves[k].name);
}

static void write_plot(FILE *to, const plot *p, const run_report *r) {
    double most = plot_most(p, r), last = r->sample_count ? r->samples[r->sample_count - 1].at : 0;
    if (!(most > 0)) return;
    fprintf(to, "<h2>%s</h2>\n<svg viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", p->title,
            PLOT_WIDTH, PLOT_HEIGHT, PLOT_WIDTH, PLOT_HEIGHT);
    for (int i = 0; i <= 2; i++) {
        int y = PLOT_HEIGHT - 25 - i * (PLOT_HEIGHT - 40) / 2;
        fprintf(to, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#ddd\"/><text x=\"%d\" "
                "y=\"%d\" text-anchor=\"end\">%.3g%s</text>\n", PLOT_LEFT, y, PLOT_WIDTH - 10, y,
                PLOT_LEFT - 4, y + 4, most * i / 2, p->unit);
    }
    fprintf(to, "<text x=\"%d\" y=\"%d\">0 s</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">"
            "%.0f s</text>\n", PLOT_LEFT, PLOT_HEIGHT - 8, PLOT_WIDTH - 10, PLOT_HEIGHT - 8, last);
    for (int k = 0; k < CURVES_MOST && p->curves[k].name; k++) write_curve(to, p, r, k, most);
    fprintf(to, "</svg>\n");
}

static void html_text(FILE *to, const char *text) {
    for (; *text; text++) {
        if (*text == '<') fputs("&lt;", to);
        else if (*text == '>') fputs("&gt;", to);
        else if (*text == '&') fputs("&amp;", to);
        else fputc(*text, to);
    }
}

static void write_expects(FILE *to, const scenario *s, const run_report *r) {
    if (s->expect_count) fprintf(to, "<h2>Expected</h2>\n<table>\n");
    for (int i = 0; i < s->expect_count; i++) {
        const expect *e = &s->expects[i];
        bool holds = expect_holds(e, r);
        fprintf(to, "<tr class=\"%s\"><td>%s ", holds ? "good" : "broken", e->metric);
        html_text(to, e->sign);
        fprintf(to, " %g</td><td>%g</td><td>%s</td></tr>\n", e->bound,
                metric_named(e->metric)->value(r), holds ? "holds" : "broken");
    }
    if (s->expect_count) fprintf(to, "</table>\n");
}

static bool write_html(const char *file, const scenario *s, const run_report *r) {
    FILE *to = fopen(file, "w");
    char text[24];
    if (!to) return false;
    fprintf(to, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
    html_text(to, s->title);
    fprintf(to, "</title><style>body{font:14px sans-serif;margin:2em;max-width:720px}"
            "svg text{font:11px sans-serif}h2{font-size:15px}td{padding:1px 12px 1px 0}"
            ".good{color:#0a6b2d}.broken{color:#b00020}</style></head><body>\n<h1>");
    html_text(to, s->title);
    fprintf(to, "</h1>\n<p>%d clients, %.1f s busy</p>\n", r->clients, r->seconds);
    write_expects(to, s, r);
    for (int i = 0; i < PLOTS; i++) write_plot(to, &plots[i], r);
    fprintf(to, "<h2>Figures</h2>\n<table>\n");
    for (int i = 0; i < METRICS; i++)
        fprintf(to, "<tr><td>%s</td><td>%s</td><td>%s</td></tr>\n", metrics[i].name,
                number_text(metrics[i].value(r), metrics[i].unit, text, (int)sizeof text),
                unit_text(metrics[i].unit));
    for (int i = 0; i < r->drop_count; i++) {
        fprintf(to, "<tr><td>dropped: ");
        html_text(to, r->drops[i].name);
        fprintf(to, "</td><td>%.0f</td><td>messages</td></tr>\n", (double)r->drops[i].count);
    }
    fprintf(to, "</table>\n");
    for (int i = 0; i < r->error_count; i++) {
        fprintf(to, "%s<p>", i ? "" : "<h2>The server's last errors</h2>\n");
        html_text(to, r->errors[i]);
        fprintf(to, "</p>\n");
    }
    fprintf(to, "</body></html>\n");
    return fclose(to) == 0;
}

#endif
