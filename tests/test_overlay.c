/* test_overlay.c - what is drawn of a snapshot, call by call, by callbacks that look at each */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"

#include <stdlib.h>

/* --- a canvas that judges --- */

enum { EASEL_TEXTS = 1200, EASEL_TEXT = 160, EASEL_CALLS = 900 };

typedef struct easel {
    double width, height, char_width, char_height;      /* as they must be taken */
    int    rects, texts, wrong;
    double drawn;                                       /* area of the rectangles */
    char   text[EASEL_TEXTS][EASEL_TEXT];
    float  x[EASEL_TEXTS], y[EASEL_TEXTS];
} easel;

static bool whole(float value) {
    return value >= 0 && value <= 16384 && (float)(int)value == value;
}

static void easel_rect(void *user, float x, float y, float width, float height, uint32_t rgba) {
    easel *e = (easel *)user;
    bool good = whole(x) && whole(y) && whole(width) && whole(height) && width > 0 && height > 0 &&
                (double)x + (double)width <= e->width && (double)y + (double)height <= e->height &&
                (rgba & 255) != 0;
    if (!good && e->wrong++ == 0)
        printf("rect %g %g %g %g on %g x %g\n", (double)x, (double)y, (double)width, (double)height,
               e->width, e->height);
    e->rects++;
    e->drawn += (double)width * (double)height;
}

/* Well-formed, and nothing for control in it; returns its characters. */
static int characters(const char *text, bool *good) {
    int count = 0;
    for (; *text; count++) {
        const uint8_t *at = (const uint8_t *)text;
        int bytes = (int)wisp__text_character(at, strlen(text));
        if (bytes == 0 || wisp__text_controls(at, (size_t)bytes)) *good = false;
        text += bytes ? bytes : 1;
    }
    return count;
}

static void easel_text(void *user, float x, float y, uint32_t rgba, const char *text) {
    easel *e = (easel *)user;
    bool good = whole(x) && whole(y) && *text && (rgba & 255) != 0;
    int count = characters(text, &good);
    good = good && (double)x + count * e->char_width <= e->width + 1e-6 &&
           (double)y + e->char_height <= e->height + 1e-6;
    if (!good && e->wrong++ == 0)
        printf("text \"%s\" at %g %g on %g x %g\n", text, (double)x, (double)y, e->width,
               e->height);
    if (e->texts < EASEL_TEXTS) {
        snprintf(e->text[e->texts], EASEL_TEXT, "%s", text);
        e->x[e->texts] = x;
        e->y[e->texts] = y;
    }
    e->texts++;
}

static easel the_easel;

static double size_of(float given, double fallback) {
    if (given == 0) return fallback;
    return given > 16384 ? 16384 : (double)given;
}

static easel *easel_draw(const wisp_snapshot *s, wisp_canvas *canvas) {
    easel *e = &the_easel;
    memset(e, 0, sizeof *e);
    e->width = size_of(canvas->width, 640);
    e->height = size_of(canvas->height, 360);
    e->char_width = size_of(canvas->char_width, 8);
    e->char_height = size_of(canvas->char_height, 12);
    canvas->rect = easel_rect;
    canvas->text = easel_text;
    canvas->user = e;
    wisp_overlay_draw(s, canvas);
    CHECK_EQ_INT(e->wrong, 0);
    CHECK(e->rects + e->texts <= EASEL_CALLS);
    return e;
}

static wisp_canvas plain_canvas(int page) {
    wisp_canvas canvas;
    memset(&canvas, 0, sizeof canvas);
    canvas.page = page;
    return canvas;
}

/* The index of the first text that is this, or contains it; -1: none. */
static int find_text(const easel *e, const char *text) {
    for (int i = 0; i < e->texts && i < EASEL_TEXTS; i++)
        if (strcmp(e->text[i], text) == 0) return i;
    return -1;
}

static int find_part(const easel *e, const char *part) {
    for (int i = 0; i < e->texts && i < EASEL_TEXTS; i++)
        if (strstr(e->text[i], part)) return i;
    return -1;
}

/* `right` stands in the line of `left`, somewhere behind it. */
static bool in_line(const easel *e, const char *left, const char *right) {
    int at = find_text(e, left);
    for (int i = 0; at >= 0 && i < e->texts; i++) {
        if (e->y[i] != e->y[at] || e->x[i] <= e->x[at]) continue;
        if (strcmp(e->text[i], right) == 0) return true;
    }
    return false;
}

/* --- snapshots --- */

static wisp_snapshot the_snapshot;

/* Two of everything, with numbers that are easily told apart. */
static wisp_snapshot *sample_snapshot(void) {
    wisp_snapshot *s = &the_snapshot;
    memset(s, 0, sizeof *s);
    strcpy(s->app, "arena");
    s->time = 1000;
    s->seconds = 3725;
    s->sample_count = WISP_HISTORY_SECONDS;
    for (int i = 0; i < WISP_HISTORY_SECONDS; i++) {
        s->samples[i].bytes_out = (float)(12400 - 100 * (119 - i));
        s->samples[i].bytes_in = 3400;
        s->samples[i].rtt = 0.012f;
        s->samples[i].loss = i == 60 ? 0.04f : 0;
    }
    s->remote_count = s->peer_count = s->error_count = 2;
    strcpy(s->remotes[0].name, "player.hp");
    strcpy(s->remotes[1].name, "chat");
    s->remotes[0].out.bytes_per_second = 3000;
    s->remotes[0].in.bytes_per_second = 1000;
    s->remotes[1].in.bytes_per_second = 77;
    s->remotes[0].out.bytes_raw = 3400000;
    s->remotes[0].out.bytes = 1200000;
    s->remotes[0].calls_sent = 41;
    s->remotes[0].latency.p50 = 0.012f;
    s->remotes[0].latency.p90 = 0.034f;
    s->remotes[0].latency.p99 = 1.5f;
    s->remotes[1].drops[WISP_DROP_STALE] = s->drops[WISP_DROP_STALE] = 5;
    s->peers[0].id = 7;
    s->peers[1].id = 8;
    strcpy(s->peers[0].address, "10.0.0.1:7777");
    s->peers[0].rtt = 0.056f;
    s->peers[0].rtt_min = 0.048f;
    s->peers[0].delivery_rate = 125000;
    s->peers[0].mtu = 1472;
    s->peers[0].jitter = 0.00034f;
    s->peers[0].loss = 0.005f;
    s->peers[0].congestion_window = 14000;
    s->peers[0].queued_bytes = 321;
    s->peers[0].budget_use = 0.84f;
    s->errors_last[0].time = 997;
    s->errors_last[0].code = WISP_E_INVALID;
    s->errors_last[0].peer = 7;
    strcpy(s->errors_last[0].remote, "player.hp");
    strcpy(s->errors_last[0].text, "field hp: 300 is over 100");
    s->errors_last[1].code = WISP_E_USER - 1;
    strcpy(s->errors_last[1].text, "too few coins");
    s->peers_joined = 2;
    return s;
}

static void random_text(uint64_t *seed, char *out, int size) {
    int length = test_random_below(seed, size);
    for (int i = 0; i < length; i++) out[i] = (char)(1 + test_random_below(seed, 255));
    out[length] = 0;
}

/* Every byte at random, which makes NaNs, infinities and huge counts; texts end. */
static void random_snapshot(uint64_t *seed, wisp_snapshot *s) {
    unsigned char *bytes = (unsigned char *)s;
    int kind = test_random_below(seed, 4);
    for (size_t i = 0; i < sizeof *s; i++)
        bytes[i] = (unsigned char)(kind == 0 ? 0xff : kind == 1 ? 0x7f : test_random(seed));
    for (int i = 0; kind == 3 && i < WISP_HISTORY_SECONDS; i++)
        s->samples[i].bytes_out = (float)test_random_unit(seed) * 1e6f;
    random_text(seed, s->app, (int)sizeof s->app);
    for (int i = 0; i < WISP_SNAPSHOT_REMOTES; i++)
        random_text(seed, s->remotes[i].name, WISP_SNAPSHOT_NAME);
    for (int i = 0; i < WISP_SNAPSHOT_PEERS; i++)
        random_text(seed, s->peers[i].address, WISP_SNAPSHOT_NAME);
    for (int i = 0; i < WISP_SNAPSHOT_ERRORS; i++) {
        random_text(seed, s->errors_last[i].remote, WISP_SNAPSHOT_NAME);
        random_text(seed, s->errors_last[i].text, WISP_SNAPSHOT_TEXT);
    }
}

/* --- tests --- */

TEST(nothing_is_drawn_outside_of_any_canvas) {
    static const float sizes[] = { 0, 1, 7, 12, 40, 100.5f, 333.3f, 640, 1280, 5000, 16384, 1e9f };
    static const float cells[] = { 0, 0.01f, 1, 3.3f, 7.2f, 16, 100, 1e9f };
    uint64_t seed = 1;
    for (int i = 0; i < 600; i++) {
        wisp_canvas canvas = plain_canvas(i % WISP_PAGES);
        canvas.width = sizes[test_random_below(&seed, 12)];
        canvas.height = sizes[test_random_below(&seed, 12)];
        canvas.char_width = cells[test_random_below(&seed, 8)];
        canvas.char_height = cells[test_random_below(&seed, 8)];
        if (i % 3) sample_snapshot();
        else random_snapshot(&seed, &the_snapshot);
        easel_draw(&the_snapshot, &canvas);
    }
}

TEST(any_snapshot_can_be_drawn) {
    uint64_t seed = 2;
    for (int i = 0; i < 400; i++) {
        wisp_canvas canvas = plain_canvas(i % WISP_PAGES);
        if (i % 8 > 3) canvas.width = 1920;
        if (i % 8 > 3) canvas.height = 1080;
        random_snapshot(&seed, &the_snapshot);
        if (i % 2) canvas.filter = the_snapshot.remotes[0].name;
        CHECK(easel_draw(&the_snapshot, &canvas)->rects > 1);
    }
}

TEST(a_size_that_is_none_draws_nothing) {
    float bad[3];
    bad[0] = -1;
    bad[1] = bad[2] = 0;
    memset(&bad[1], 0xff, sizeof bad[1]);                /* not a number */
    bad[2] = -1e30f;
    for (int i = 0; i < 12; i++) {
        wisp_canvas canvas = plain_canvas(0);
        float *sizes[4];
        sizes[0] = &canvas.width;
        sizes[1] = &canvas.height;
        sizes[2] = &canvas.char_width;
        sizes[3] = &canvas.char_height;
        *sizes[i / 3] = bad[i % 3];
        CHECK_EQ_INT(easel_draw(sample_snapshot(), &canvas)->rects, 0);
        CHECK_EQ_INT(the_easel.texts, 0);
    }
}

TEST(null_is_harmless) {
    wisp_canvas canvas = plain_canvas(0), none = plain_canvas(0);
    world w;
    wisp *end;
    wisp_overlay_draw(NULL, &canvas);
    wisp_overlay_draw(sample_snapshot(), NULL);
    wisp_overlay(NULL, &canvas);
    for (int page = 0; page < WISP_PAGES; page++) {
        none.page = page;
        none.user = &canvas;
        wisp_overlay_draw(sample_snapshot(), &none);     /* no callback is called */
    }
    world_open(&w);
    end = world_add(&w);
    wisp_overlay(end, NULL);
    world_close(&w);
}

TEST(one_callback_is_enough) {
    easel *e = &the_easel;
    wisp_canvas canvas = plain_canvas(0);
    easel_draw(sample_snapshot(), &canvas);
    memset(e->text, 0, sizeof e->text);
    e->rects = e->texts = 0;
    canvas.rect = NULL;
    wisp_overlay_draw(&the_snapshot, &canvas);
    CHECK(e->rects == 0 && e->texts > 10);
    canvas.rect = easel_rect;
    canvas.text = NULL;
    e->texts = 0;
    wisp_overlay_draw(&the_snapshot, &canvas);
    CHECK(e->rects > 10 && e->texts == 0);
}

TEST(the_background_fills_the_canvas) {
    wisp_canvas canvas = plain_canvas(0);
    CHECK(easel_draw(sample_snapshot(), &canvas)->drawn >= 640.0 * 360.0);
}

TEST(the_overview_has_graphs_totals_and_remotes) {
    wisp_canvas canvas = plain_canvas(WISP_PAGE_OVERVIEW);
    const easel *e = easel_draw(sample_snapshot(), &canvas);
    CHECK(find_text(e, "arena") >= 0 && find_text(e, "1:02:05") >= 0);
    CHECK(in_line(e, "out", "12.4 kB/s") && in_line(e, "in", "3.4 kB/s"));
    CHECK(in_line(e, "round trip", "12 ms") && in_line(e, "loss", "4 %"));
    CHECK(find_text(e, "20k") >= 0);                     /* the scale above 12.4k */
    CHECK(in_line(e, "drops", "5") && in_line(e, "got", "0/s"));
    CHECK(in_line(e, "player.hp", "3 kB/s") && in_line(e, "player.hp", "1 kB/s"));
    CHECK(in_line(e, "chat", "77 B/s"));
    CHECK(find_part(e, "outside its schema") >= 0);
}

/* The bars of a graph that has one second of loss are one rectangle, in its second. */
TEST(a_graph_has_the_newest_second_at_its_right_end) {
    wisp_canvas canvas = plain_canvas(WISP_PAGE_OVERVIEW);
    int before, after;
    sample_snapshot();
    before = easel_draw(&the_snapshot, &canvas)->rects;
    the_snapshot.samples[60].loss = 0;
    after = easel_draw(&the_snapshot, &canvas)->rects;
    CHECK_EQ_INT(before - after, 1);
}

TEST(the_page_of_remotes_is_a_table) {
    wisp_canvas canvas = plain_canvas(WISP_PAGE_REMOTES);
    const easel *e = easel_draw(sample_snapshot(), &canvas);
    CHECK(in_line(e, "remote", "p50") && in_line(e, "remote", "raw"));
    CHECK(in_line(e, "remote", "sent"));
    CHECK(in_line(e, "player.hp", "3k") && in_line(e, "player.hp", "1k"));
    CHECK(in_line(e, "player.hp", "3.4M") && in_line(e, "player.hp", "1.2M"));
    CHECK(in_line(e, "player.hp", "41") && in_line(e, "player.hp", "12 ms"));
    CHECK(in_line(e, "player.hp", "34 ms") && in_line(e, "player.hp", "1.5 s"));
    CHECK(in_line(e, "drops:", "5") && in_line(e, "drops:", wisp_drop_text(WISP_DROP_STALE)));
    canvas.width = 1280;
    e = easel_draw(&the_snapshot, &canvas);
    CHECK(in_line(e, "remote", "packed") && in_line(e, "remote", "handler"));
    CHECK(in_line(e, "remote", "drops") && in_line(e, "chat", "5"));
}

TEST(the_page_of_objects_is_of_classes_alone) {
    wisp_canvas canvas = plain_canvas(WISP_PAGE_OBJECTS);
    wisp_snapshot *s = sample_snapshot();
    const easel *e = easel_draw(s, &canvas);
    CHECK(find_text(e, "no class is defined") >= 0 && find_text(e, "chat") < 0);
    strcpy(s->remotes[1].name, "class orb");
    s->remotes[1].is_class = 1;
    s->remotes[1].objects = 901;
    s->remotes[1].queued = 17;
    s->remotes[1].priority = 640;
    e = easel_draw(s, &canvas);
    CHECK(in_line(e, "class", "waiting") && in_line(e, "class", "oldest"));
    CHECK(in_line(e, "class orb", "901") && in_line(e, "class orb", "17"));
    CHECK(find_text(e, "player.hp") < 0);
    canvas.width = 1280;
    CHECK(in_line(easel_draw(s, &canvas), "class orb", "640"));
}

TEST(the_page_of_objects_tells_what_was_predicted_wrong) {
    wisp_canvas canvas = plain_canvas(WISP_PAGE_OBJECTS);
    wisp_snapshot *s = sample_snapshot();
    const easel *e = easel_draw(s, &canvas);
    CHECK(find_text(e, "corrections") < 0);
    s->predicted = 3;
    s->reconciliations = 12;
    s->ticks_again = 144;
    e = easel_draw(s, &canvas);
    CHECK(find_text(e, "3 predicted, 12 corrections, 144 ticks run again") >= 0);
    s->missed_count = 2;
    strcpy(s->missed[0].name, "cart.x");
    s->missed[0].count = 7;
    s->missed[0].most = 0.0213f;
    strcpy(s->missed[1].name, "cart.steps");
    s->missed[1].count = 1234;
    s->missed[1].most = 5;
    e = easel_draw(s, &canvas);
    CHECK(find_text(e, "wrong: cart.x                        7 times, by 0.0213 at most") >= 0);
    CHECK(find_text(e, "wrong: cart.steps                 1234 times, by 5 at most") >= 0);
}

TEST(the_page_of_peers_is_a_table) {
    wisp_canvas canvas = plain_canvas(WISP_PAGE_PEERS);
    const easel *e = easel_draw(sample_snapshot(), &canvas);
    CHECK(in_line(e, "peer", "rtt") && in_line(e, "peer", "least") && in_line(e, "peer", "mtu"));
    CHECK(in_line(e, "10.0.0.1:7777", "56 ms") && in_line(e, "10.0.0.1:7777", "48 ms"));
    CHECK(in_line(e, "10.0.0.1:7777", "0.5 %") && in_line(e, "10.0.0.1:7777", "14k"));
    CHECK(in_line(e, "10.0.0.1:7777", "125k") && in_line(e, "10.0.0.1:7777", "1472"));
    CHECK(in_line(e, "#8", "-"));
    canvas.width = 1280;
    the_snapshot.peers[0].sealed = 1;
    e = easel_draw(&the_snapshot, &canvas);
    CHECK(in_line(e, "peer", "seal") && in_line(e, "10.0.0.1:7777", "yes"));
    CHECK(!in_line(e, "#8", "yes"));
    CHECK(in_line(e, "peer", "budget") && in_line(e, "10.0.0.1:7777", "340 us"));
    CHECK(in_line(e, "10.0.0.1:7777", "321") && in_line(e, "10.0.0.1:7777", "84 %"));
}

TEST(the_page_of_errors_tells_when_what_and_whose) {
    wisp_canvas canvas = plain_canvas(WISP_PAGE_ERRORS);
    const easel *e = easel_draw(sample_snapshot(), &canvas);
    CHECK(in_line(e, "3 s", "value is outside its schema"));
    CHECK(in_line(e, "3 s", "player.hp") && in_line(e, "3 s", "10.0.0.1:7777"));
    CHECK(find_text(e, "field hp: 300 is over 100") >= 0);
    CHECK(find_text(e, "application error -1001") >= 0);
}

TEST(a_filter_takes_only_names_that_contain_it) {
    for (int page = 0; page < WISP_PAGES; page++) {
        wisp_canvas canvas = plain_canvas(page);
        const easel *e;
        canvas.filter = "hat";
        e = easel_draw(sample_snapshot(), &canvas);
        CHECK(find_text(e, "hat") >= 0);
        CHECK_EQ_INT(find_text(e, "chat") >= 0, page <= WISP_PAGE_REMOTES);
        CHECK(find_text(e, "#8") < 0 && find_text(e, "field hp: 300 is over 100") < 0);
        CHECK_EQ_INT(find_part(e, "matches the filter") >= 0, page != WISP_PAGE_REMOTES);
        canvas.filter = "";
        CHECK(find_part(easel_draw(&the_snapshot, &canvas), "matches the filter") < 0);
    }
}

TEST(a_page_that_is_none_is_the_overview) {
    wisp_canvas canvas = plain_canvas(-1);
    CHECK(find_text(easel_draw(sample_snapshot(), &canvas), "round trip") >= 0);
    canvas.page = WISP_PAGES;
    CHECK(find_text(easel_draw(sample_snapshot(), &canvas), "round trip") >= 0);
}

TEST(figures_are_short) {
    static const struct { double value; const char *text; } counts[] = {
        { 0, "0" }, { 0.25, "0.3" }, { 7, "7" }, { 999, "999" }, { 999.6, "1k" }, { 1234, "1.2k" },
        { 12400, "12.4k" }, { 123400, "123k" }, { 999999, "1M" }, { 3.4e6, "3.4M" }, { 5e9, "5G" },
        { 1e40, "999E" }, { -3, "0" },
    }, times[] = {
        { 0, "-" }, { 0.00034, "340 us" }, { 0.0012, "1.2 ms" }, { 0.012, "12 ms" },
        { 0.9999, "1 s" }, { 34, "34 s" }, { 18000, "5 h" }, { 1e300, "9999 h" }, { -1, "-" },
    }, shares[] = { { 0, "0 %" }, { 0.005, "0.5 %" }, { 0.125, "13 %" }, { 1, "100 %" },
                    { 1e9, "999 %" } };
    char out[WISP__FIGURE];
    for (int i = 0; i < TEST_COUNT(counts); i++) {
        wisp__figure_count(out, counts[i].value, "");
        CHECK_EQ_STR(out, counts[i].text);
    }
    for (int i = 0; i < TEST_COUNT(times); i++) {
        wisp__figure_time(out, times[i].value);
        CHECK_EQ_STR(out, times[i].text);
    }
    for (int i = 0; i < TEST_COUNT(shares); i++) {
        wisp__figure_share(out, shares[i].value);
        CHECK_EQ_STR(out, shares[i].text);
    }
    wisp__figure_count(out, 1234, "B");
    CHECK_EQ_STR(out, "1.2 kB");
    wisp__figure_saved(out, 1000, 620);
    CHECK_EQ_STR(out, "38 %");
}

TEST(texts_are_cut_at_characters) {
    char out[WISP__GLYPHS * 4 + 1];
    wisp__glyphs_cut("h\xc3\xa4user", 6, out);
    CHECK_EQ_STR(out, "h\xc3\xa4user");
    wisp__glyphs_cut("h\xc3\xa4user", 3, out);
    CHECK_EQ_STR(out, "h\xc3\xa4~");
    wisp__glyphs_cut("a\033[2J\xff\xc2\x9b", 9, out);
    CHECK_EQ_STR(out, "a?[2J??");                        /* the last character is for control */
    wisp__glyphs_cut("abc", 1, out);
    CHECK_EQ_STR(out, "~");
}

/* --- of an endpoint --- */

TEST(an_endpoint_without_a_profiler_says_so) {
    wisp_canvas canvas = plain_canvas(0);
    world w;
    wisp *end;
    world_open(&w);
    end = world_add(&w);
    easel_draw(NULL, &canvas);
    wisp_overlay(end, &canvas);
    CHECK(find_part(&the_easel, "wisp_use_profiler") >= 0);
    CHECK_EQ_INT(the_easel.wrong, 0);
    world_close(&w);
}

TEST(an_endpoint_is_drawn_without_memory) {
    wisp_canvas canvas = plain_canvas(WISP_PAGE_REMOTES);
    wisp_profiler profiler;
    wisp_total_stats before, after;
    world w;
    wisp *server, *client;
    wisp_peer to;
    memset(&profiler, 0, sizeof profiler);
    world_open(&w);
    server = world_add(&w);
    client = world_add(&w);
    to = world_join(&w, client, server);
    CHECK_EQ_INT(wisp_use_profiler(client, &profiler), WISP_OK);
    for (int i = 0; i < 30; i++) {
        wisp_fire(client, "player.hp", to, wisp_int(i));
        world_run(&w, 0.1);
    }
    wisp_stats_total(client, &before);
    easel_draw(NULL, &canvas);
    wisp_overlay(client, &canvas);
    wisp_stats_total(client, &after);
    CHECK(find_text(&the_easel, "player.hp") >= 0 && find_text(&the_easel, "test") >= 0);
    CHECK_EQ_INT(the_easel.wrong, 0);
    CHECK_EQ_INT(after.allocations, before.allocations);
    canvas.filter = "nobody";
    easel_draw(NULL, &canvas);
    wisp_overlay(client, &canvas);
    CHECK(find_text(&the_easel, "player.hp") < 0);
    world_close(&w);
}

static const test_case tests[] = {
    CASE(nothing_is_drawn_outside_of_any_canvas), CASE(any_snapshot_can_be_drawn),
    CASE(a_size_that_is_none_draws_nothing), CASE(null_is_harmless), CASE(one_callback_is_enough),
    CASE(the_background_fills_the_canvas), CASE(the_overview_has_graphs_totals_and_remotes),
    CASE(a_graph_has_the_newest_second_at_its_right_end), CASE(the_page_of_remotes_is_a_table),
    CASE(the_page_of_objects_is_of_classes_alone),
    CASE(the_page_of_objects_tells_what_was_predicted_wrong),
    CASE(the_page_of_peers_is_a_table), CASE(the_page_of_errors_tells_when_what_and_whose),
    CASE(a_filter_takes_only_names_that_contain_it), CASE(a_page_that_is_none_is_the_overview),
    CASE(figures_are_short), CASE(texts_are_cut_at_characters),
    CASE(an_endpoint_without_a_profiler_says_so), CASE(an_endpoint_is_drawn_without_memory),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
