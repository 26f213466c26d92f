/* gauntlet_ages.h - the ages of tests/support/freshness.h as a picture: `gauntlet ages FILE.svg` */
#ifndef GAUNTLET_AGES_H
#define GAUNTLET_AGES_H

#include "tests/support/freshness.h"

/* Seconds with 0.3, as measured then; the calls timed out after 10; 0: not measured. */
static const double ages_before[FRESH_ROWS] = { 29, 0, 36, 3.7, 15.9, 2.7, 10, 0 };

static void ages_bar(FILE *svg, int y, double seconds, const char *color) {
    double width = log10(seconds * 1000 / 10) * 150;          /* from 10 ms on */
    fprintf(svg, "<rect x='300' y='%d' width='%.0f' height='11' fill='%s'/>"
            "<text x='%.0f' y='%d'>%.3g s</text>\n", y, width, color, 306 + width, y + 10, seconds);
}

/* The mean ages, worst of so many seeds, on a logarithmic axis. */
static bool ages_draw(const char *path, int seeds) {
    FILE *svg = fopen(path, "w");
    if (!svg) return false;
    fprintf(svg, "<svg xmlns='http://www.w3.org/2000/svg' width='900' height='%d' "
            "font-family='sans-serif' font-size='12'>\n"
            "<rect width='900' height='%d' fill='white'/>\n<text x='300' y='18'>"
            "mean age (0.3: grey, now: green), from 10 ms, logarithmic</text>\n",
            40 + 34 * FRESH_ROWS, 40 + 34 * FRESH_ROWS);
    for (int i = 0; i < FRESH_ROWS; i++) {
        double worst = 0;
        for (int seed = 1; seed <= seeds; seed++) {
            wisp_desc desc;
            fresh_outcome out;
            memset(&desc, 0, sizeof desc);
            fresh_run(&fresh_rows[i].t, &desc, (uint64_t)seed, &out);
            worst = fmax(worst, out.mean);
            printf("%-36s seed %d: mean %4.0f, worst %4.0f, p99 %4.0f ms; %5.1f%% arrived\n",
                   fresh_rows[i].t.name, seed, out.mean * 1e3, out.worst * 1e3, out.p99 * 1e3,
                   100.0 * out.arrived / out.fired);
        }
        fprintf(svg, "<text x='10' y='%d'>%s</text>\n", 48 + 34 * i, fresh_rows[i].t.name);
        if (ages_before[i] > 0) ages_bar(svg, 32 + 34 * i, ages_before[i], "#999");
        ages_bar(svg, 45 + 34 * i, worst, "#2a2");
    }
    fprintf(svg, "</svg>\n");
    return fclose(svg) == 0;
}

#endif /* GAUNTLET_AGES_H */
