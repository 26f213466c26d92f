/* test_meter.c - histograms, the last two minutes, and what is counted of remotes and peers */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"

#include <math.h>
#include <stdlib.h>

enum { SAMPLES = 3000 };

/* --- histograms --- */

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* From 1 us to 100 s, every octave alike. */
static double random_seconds(uint64_t *seed) { return 1e-6 * pow(1e8, test_random_unit(seed)); }

TEST(quantiles_are_within_a_tenth_of_sorted_samples) {
    static const double shares[] = { 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1 };
    static double sorted[SAMPLES];
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed;
        wisp__histogram h;
        int count = 1 + (int)(test_random_unit(&random) * SAMPLES);
        double low = random_seconds(&random), narrow = test_random_unit(&random);
        memset(&h, 0, sizeof h);
        for (int i = 0; i < count; i++) {
            double wide = random_seconds(&random);
            sorted[i] = seed % 2 ? wide : low + (wide < low ? 0 : (wide - low) * narrow);
            wisp__histogram_add(&h, sorted[i]);
        }
        qsort(sorted, (size_t)count, sizeof *sorted, by_size);
        for (int k = 0; k < (int)(sizeof shares / sizeof *shares); k++) {
            double is = sorted[(int)ceil(shares[k] * count - 1e-6) - 1];
            CHECK_NEAR(wisp__histogram_quantile(&h, shares[k]), is, is * 0.1);
        }
        CHECK_EQ_INT(h.count, count);
        CHECK_NEAR(h.most, sorted[count - 1], 0);
        wisp__histogram_check(&h);
    }
}

TEST(a_longer_time_is_never_in_a_lower_bucket) {
    int last = 0;
    for (double seconds = 1e-8; seconds < 1e4; seconds *= 1.001) {
        int place = wisp__histogram_place(seconds);
        CHECK(place == last || place == last + 1);
        last = place;
    }
    CHECK_EQ_INT(last, WISP__BUCKETS - 1);
    CHECK_EQ_INT(wisp__histogram_place(0), 0);
}

TEST(times_out_of_range_are_counted_at_the_ends) {
    wisp__histogram h;
    wisp_timing timing;
    memset(&h, 0, sizeof h);
    wisp__histogram_add(&h, 0);
    wisp__histogram_add(&h, -0.0);
    wisp__histogram_add(&h, 1e-12);
    CHECK_NEAR(wisp__histogram_quantile(&h, 1), 1e-12, 0);
    for (int i = 0; i < 97; i++) wisp__histogram_add(&h, 5000);
    wisp__histogram_report(&h, &timing);
    CHECK_EQ_INT(timing.count, 100);
    CHECK_NEAR(timing.max, 5000, 0);
    CHECK(timing.p50 >= 100 && timing.p50 <= 5000 && timing.p99 >= timing.p50);
    wisp__histogram_check(&h);
}

TEST(what_is_no_time_is_left_out) {
    double zero = 0;
    wisp__histogram h, none;
    memset(&h, 0, sizeof h);
    memset(&none, 0, sizeof none);
    wisp__histogram_add(&h, -1);
    wisp__histogram_add(&h, -1e-300);
    wisp__histogram_add(&h, low_nan());
    wisp__histogram_add(&h, 1 / zero);
    wisp__histogram_add(&h, -1 / zero);
    wisp__histogram_add(&h, 1e200);
    CHECK_EQ_MEM(&h, &none, sizeof h);
}

TEST(an_empty_histogram_tells_zeros) {
    wisp__histogram h;
    wisp_timing timing, none;
    memset(&h, 0, sizeof h);
    memset(&none, 0, sizeof none);
    memset(&timing, 0xff, sizeof timing);
    wisp__histogram_report(&h, &timing);
    CHECK_EQ_MEM(&timing, &none, sizeof timing);
    CHECK_NEAR(wisp__histogram_quantile(&h, 0.5), 0, 0);
    CHECK_NEAR(wisp__histogram_quantile(&h, 1), 0, 0);
}

TEST(one_time_is_every_quantile) {
    wisp__histogram h;
    wisp_timing timing;
    memset(&h, 0, sizeof h);
    wisp__histogram_add(&h, 0.02);
    wisp__histogram_report(&h, &timing);
    CHECK_NEAR(timing.mean, 0.02, 1e-8);
    CHECK_NEAR(timing.p50, 0.02, 0.002);
    CHECK(timing.p50 <= timing.max && timing.p99 <= timing.max);
}

TEST(merged_histograms_are_as_one) {
    uint64_t random = 3;
    wisp__histogram a, b, all, empty;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    memset(&all, 0, sizeof all);
    memset(&empty, 0, sizeof empty);
    for (int i = 0; i < 1000; i++) {
        double seconds = (double)(int)(random_seconds(&random) * 1024) / 1024;    /* exact sums */
        wisp__histogram_add(i % 3 ? &a : &b, seconds);
        wisp__histogram_add(&all, seconds);
    }
    wisp__histogram_merge(&a, &b);
    wisp__histogram_merge(&a, &empty);
    CHECK_EQ_MEM(a.buckets, all.buckets, sizeof a.buckets);
    CHECK_EQ_INT(a.count, all.count);
    CHECK_NEAR(a.sum, all.sum, 0);
    CHECK_NEAR(a.most, all.most, 0);
    wisp__histogram_check(&a);
}

TEST(full_buckets_stay_full) {
    wisp__histogram a, b;
    int place = wisp__histogram_place(1);
    memset(&a, 0, sizeof a);
    wisp__histogram_add(&a, 1);
    a.buckets[place] = UINT32_MAX;
    wisp__histogram_add(&a, 1);
    CHECK_EQ_INT(a.buckets[place], UINT32_MAX);
    b = a;
    b.buckets[place] = UINT32_MAX - 1;
    wisp__histogram_merge(&b, &a);
    CHECK_EQ_INT(b.buckets[place], UINT32_MAX);
    CHECK_NEAR(wisp__histogram_quantile(&b, 0.5), 1, 0.1);
}

/* --- the last two minutes --- */

static wisp_sample sample_of(uint64_t n) {
    wisp_sample sample;
    memset(&sample, 0, sizeof sample);
    sample.bytes_out = (float)(1000 * n);
    sample.messages_in = (float)n;
    sample.rtt = 0.05f;
    return sample;
}

/* Whole seconds that were taken; the counter is at `n`. */
static double history_at(wisp__history *h, double time, uint64_t n) {
    static uint64_t before;
    double seconds;
    if (!h->begun) before = 0;
    seconds = wisp__history_due(h, time);
    if (seconds >= 1) {
        wisp_sample sample = sample_of(n - before);
        wisp__history_add(h, seconds, &sample);
        before = n;
    }
    return seconds;
}

TEST(each_second_has_its_sample) {
    wisp__history h;
    wisp_sample samples[WISP_HISTORY_SECONDS];
    memset(&h, 0, sizeof h);
    CHECK_NEAR(history_at(&h, 5000.25, 0), 0, 0);
    CHECK_NEAR(history_at(&h, 5001.2, 3), 0, 0);
    CHECK_NEAR(history_at(&h, 5001.25, 4), 1, 0);
    CHECK_NEAR(history_at(&h, 5002.5, 6), 1, 0);
    CHECK_NEAR(history_at(&h, 5003.24, 7), 0, 0);
    CHECK_NEAR(history_at(&h, 5003.25, 9), 1, 0);
    CHECK_EQ_INT(wisp__history_copy(&h, samples), 3);
    CHECK_NEAR(samples[0].bytes_out, 4000, 0);
    CHECK_NEAR(samples[0].messages_in, 4, 0);
    CHECK_NEAR(samples[0].rtt, 0.05, 1e-6);
    CHECK_NEAR(samples[1].bytes_out, 2000, 0);
    CHECK_NEAR(samples[2].bytes_out, 3000, 0);
}

TEST(seconds_without_an_update_are_zero) {
    wisp__history h;
    wisp_sample samples[WISP_HISTORY_SECONDS], none;
    memset(&h, 0, sizeof h);
    memset(&none, 0, sizeof none);
    history_at(&h, 10, 0);
    history_at(&h, 11, 1);
    CHECK_NEAR(history_at(&h, 15.5, 2), 4, 0);
    history_at(&h, 16, 3);
    CHECK_EQ_INT(wisp__history_copy(&h, samples), 6);
    CHECK_NEAR(samples[1].bytes_out, 1000, 0);
    for (int i = 2; i < 5; i++) CHECK_EQ_MEM(&samples[i], &none, sizeof none);
    CHECK_NEAR(samples[5].bytes_out, 1000, 0);
}

TEST(only_the_last_two_minutes_are_kept_in_order) {
    wisp__history h;
    wisp_sample samples[WISP_HISTORY_SECONDS];
    memset(&h, 0, sizeof h);
    for (int i = 0; i <= 300; i++) history_at(&h, 7 + i, (uint64_t)i * (uint64_t)i);
    CHECK_EQ_INT(wisp__history_copy(&h, samples), WISP_HISTORY_SECONDS);
    for (int i = 0; i < WISP_HISTORY_SECONDS; i++)
        CHECK_NEAR(samples[i].messages_in, 2 * (181 + i) - 1, 0);
}

TEST(a_leap_is_bounded_work_and_leaves_nothing_but_zeros) {
    static const double leaps[] = { 120, 121, 1000, 1e9, 1e15, 1e16, 1e40, 1e300 };
    for (int k = 0; k < (int)(sizeof leaps / sizeof *leaps); k++) {
        wisp__history h;
        wisp_sample samples[WISP_HISTORY_SECONDS];
        memset(&h, 0, sizeof h);
        for (int i = 0; i <= 50; i++) history_at(&h, i, (uint64_t)i);
        CHECK(history_at(&h, 50 + leaps[k], 51) >= 120);
        CHECK_EQ_INT(wisp__history_copy(&h, samples), WISP_HISTORY_SECONDS);
        for (int i = 1; i < WISP_HISTORY_SECONDS; i++) CHECK(samples[i].bytes_out < 1);
        for (int i = 0; i < 10; i++) history_at(&h, 50 + leaps[k], 60);
        CHECK(h.count == WISP_HISTORY_SECONDS && h.next >= 0 && h.next < WISP_HISTORY_SECONDS);
    }
}

TEST(time_that_goes_back_begins_a_second_anew_and_loses_nothing) {
    wisp__history h;
    wisp_sample samples[WISP_HISTORY_SECONDS];
    memset(&h, 0, sizeof h);
    history_at(&h, 1000, 0);
    history_at(&h, 1001, 1);
    CHECK_NEAR(history_at(&h, 500, 2), 0, 0);
    CHECK_NEAR(history_at(&h, 500.9, 3), 0, 0);
    CHECK_NEAR(history_at(&h, 501, 5), 1, 0);
    CHECK_EQ_INT(wisp__history_copy(&h, samples), 2);
    CHECK_NEAR(samples[1].bytes_out, 4000, 0);
}

/* --- remotes and peers --- */

TEST(a_way_tells_what_came_since_it_began) {
    wisp__traffic way;
    wisp_traffic traffic;
    memset(&way, 0, sizeof way);
    wisp__traffic_begin(&way, 100, 8000);
    way.raw = 77;
    way.saved = 80;
    wisp__traffic_tick(&way, 130, 8160, 1);
    wisp__traffic_tick(&way, 150, 8320, 4);
    wisp__traffic_report(&way, 160, 8321, 8, &traffic);
    CHECK_EQ_INT(traffic.messages, 60);
    CHECK_EQ_INT(traffic.bytes, 41);
    CHECK_EQ_INT(traffic.bytes_packed, 51);
    CHECK_EQ_INT(traffic.bytes_raw, 77);
    CHECK_NEAR(traffic.messages_per_second, 5, 0);
    CHECK_NEAR(traffic.bytes_per_second, 5, 0);
}

TEST(drops_are_counted_where_they_are_known_and_do_not_wrap) {
    wisp__meters all;
    wisp__remote_meter remote;
    wisp__peer_meter peer;
    memset(&all, 0, sizeof all);
    memset(&remote, 0, sizeof remote);
    memset(&peer, 0, sizeof peer);
    wisp__meters_drop(&all, &remote, &peer, WISP_DROP_FILTER);
    wisp__meters_drop(&all, NULL, &peer, WISP_DROP_FILTER);
    wisp__meters_drop(&all, &remote, NULL, WISP_DROP_LOST);
    CHECK_EQ_INT(all.drops[WISP_DROP_FILTER], 2);
    CHECK_EQ_INT(remote.drops[WISP_DROP_FILTER], 1);
    CHECK_EQ_INT(peer.drops[WISP_DROP_FILTER], 2);
    CHECK_EQ_INT(all.drops[WISP_DROP_LOST] + remote.drops[WISP_DROP_LOST], 2);
    all.drops[0] = remote.drops[0] = peer.drops[0] = UINT32_MAX;
    wisp__meters_drop(&all, &remote, &peer, 0);
    CHECK(all.drops[0] == UINT32_MAX && remote.drops[0] == UINT32_MAX);
    CHECK(peer.drops[0] == UINT32_MAX);
}

TEST(the_last_errors_are_kept) {
    wisp__meters all;
    wisp_peer peer = { 7 };
    wisp_remote remote = { 3 };
    memset(&all, 0, sizeof all);
    for (int i = 0; i < 20; i++) {
        char text[200];
        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = 0;
        all.now = i;
        wisp__meters_error(&all, -1 - i, peer, remote, text);
    }
    CHECK_EQ_INT(all.error_count, 20);
    for (int i = 0; i < WISP_SNAPSHOT_ERRORS; i++) {
        const wisp__noted_error *error = &all.errors[(19 - i) % WISP_SNAPSHOT_ERRORS];
        CHECK_EQ_INT(error->code, -20 + i);
        CHECK_NEAR(error->time, 19 - i, 0);
        CHECK_EQ_INT(strlen(error->text), WISP_SNAPSHOT_TEXT - 1);
        CHECK(error->peer.id == 7 && error->remote.id == 3);
    }
}

static const test_case tests[] = {
    CASE(quantiles_are_within_a_tenth_of_sorted_samples),
    CASE(a_longer_time_is_never_in_a_lower_bucket),
    CASE(times_out_of_range_are_counted_at_the_ends),
    CASE(what_is_no_time_is_left_out),
    CASE(an_empty_histogram_tells_zeros),
    CASE(one_time_is_every_quantile),
    CASE(merged_histograms_are_as_one),
    CASE(full_buckets_stay_full),
    CASE(each_second_has_its_sample),
    CASE(seconds_without_an_update_are_zero),
    CASE(only_the_last_two_minutes_are_kept_in_order),
    CASE(a_leap_is_bounded_work_and_leaves_nothing_but_zeros),
    CASE(time_that_goes_back_begins_a_second_anew_and_loses_nothing),
    CASE(a_way_tells_what_came_since_it_began),
    CASE(drops_are_counted_where_they_are_known_and_do_not_wrap),
    CASE(the_last_errors_are_kept),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
