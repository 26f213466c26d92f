/* test_structs.c - the sizes that memory figures rest on: those of README, of desc.limits in wisp.h
   and of `make bench` (an idle peer, an endpoint, a name, a message that waits)

   A struct that grows past its bound fails here. Either it becomes smaller again, or the bound is
   raised together with the figure that rests on it. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"

typedef struct bound {
    const char *name;
    size_t      bytes;
    size_t      most64, most32;      /* with pointers of 8 and of 4 bytes */
} bound;

#define BOUND(type, most64, most32) { #type, sizeof(type), most64, most32 }

static void check_bounds(const bound *bounds, int count) {
    for (int i = 0; i < count; i++) {
        size_t most = sizeof(void *) == 8 ? bounds[i].most64 : bounds[i].most32;
        if (!CHECK(bounds[i].bytes <= most))
            printf("  %s has %d bytes, over %d\n", bounds[i].name, (int)bounds[i].bytes, (int)most);
    }
}

/* The endpoint is one piece of memory. Two tallies of 16 KiB each count the joins and the errors
   of any number of hosts, and 1 KiB their answers; all the rest is below 14 KiB. With the places
   for datagrams this makes what wisp_create takes. */
TEST(an_endpoint_is_below_48_kib) {
    static const bound bounds[] = {
        BOUND(wisp__tally,        16400, 16400),
        BOUND(wisp__policy,       34008, 34000),
        BOUND(wisp__base,           760,   736),
        BOUND(wisp__compress,      1824,  1000),
        BOUND(wisp__registry,      2936,  1776),    /* with the buckets of schemas */
        BOUND(wisp__peers,         2016,  1824),    /* with a batch of 32 datagrams */
        BOUND(wisp__events,        3248,  3208),    /* with 16 throttles */
        BOUND(wisp__message_codec,  240,   200),
        BOUND(wisp__hooks,          432,   248),
        BOUND(wisp,               49152, 46080)    /* 48 and 45 KiB */
    };
    check_bounds(bounds, TEST_COUNT(bounds));
}

/* An idle peer with 16 names each way takes at most 4 KiB: its session, a ring of 8 packets with
   their references, a per-peer remote for each name here and a number for each name there. */
TEST(an_idle_peer_is_below_4_kib) {
    static const bound bounds[] = {
        BOUND(wisp_peer_stats,      264,   264),
        BOUND(wisp__seal,           160,   160),
        BOUND(wisp__flow,           560,   552),
        BOUND(wisp__peer,          1376,  1268),    /* with these three */
        BOUND(wisp__session,       1784,  1588),    /* with the peer */
        BOUND(wisp__sent,            32,    32),
        BOUND(wisp__ref,              8,     8),
        BOUND(wisp__channel,         88,    72),
        BOUND(wisp__peer_remote,     48,    44),    /* for each name of each peer */
        BOUND(wisp__their,           16,    16),    /* for each number of each peer */
        BOUND(wisp__control,          6,     6),
        BOUND(wisp__spending,       144,   144)     /* once a budget is used, or a rate limit */
    };
    size_t idle = sizeof(wisp__session) + 8 * (sizeof(wisp__sent) + sizeof(wisp__ref)) +
                  20 * (sizeof(wisp__peer_remote) + sizeof(wisp__their));
    check_bounds(bounds, TEST_COUNT(bounds));
    CHECK(idle <= 3600);
}

TEST(a_name_is_below_one_kib) {
    static const bound bounds[] = {
        BOUND(wisp_config,          136,   112),
        BOUND(wisp_remote_stats,    168,   168),
        BOUND(wisp__encoding,        40,    32),
        BOUND(wisp__remote,         784,   692),
        BOUND(wisp__described,       64,    48),    /* for each schema, beside its program */
        BOUND(wisp__op,             120,   112),    /* for each operation of it */
        BOUND(wisp__connection,      88,    56),
        BOUND(wisp__hook,          1664,  1640)
    };
    check_bounds(bounds, TEST_COUNT(bounds));
}

/* Beside the bytes of the message. The window counts WISP__BUFFERED_HEAD for each message that
   came early. */
TEST(a_message_that_waits_takes_little_beside_its_bytes) {
    static const bound bounds[] = {
        BOUND(wisp__message,         32,    32),
        BOUND(wisp__message_extra,   32,    32),
        BOUND(wisp__item,            24,    20),
        BOUND(wisp__buffered,        64,    64),
        BOUND(wisp__pending,       200,   144),    /* a call of ours */
        BOUND(wisp__request,         24,    16),    /* a call of theirs */
        BOUND(wisp__notice,         216,   216),
        BOUND(wisp__held,           232,   168)     /* by middleware, or for state */
    };
    check_bounds(bounds, TEST_COUNT(bounds));
}

/* limits.keys: 32 bytes for each of limits.baselines and 88 more, for each key. */
TEST(a_key_takes_what_the_limit_of_keys_says) {
    static const bound bounds[] = {
        BOUND(wisp__stored,          32,    24),
        BOUND(wisp__baseline,        96,    80),
        BOUND(wisp__encoded,         32,    32)
    };
    check_bounds(bounds, TEST_COUNT(bounds));
    CHECK(sizeof(wisp__baseline) - sizeof(wisp__stored) + sizeof(wisp__baseline *) <= 88);
}

/* Values are what handlers see and what limits.message_values counts: at most 48 bytes each. */
TEST(a_value_takes_40_bytes_and_a_pair_48) {
    static const bound bounds[] = {
        BOUND(wisp_value,            40,    40),
        BOUND(wisp_pair,             48,    48),
        BOUND(wisp__key,             16,    12),
        BOUND(wisp__fields,          72,    40)
    };
    check_bounds(bounds, TEST_COUNT(bounds));
}

/* There are meters only while the profiler is on. */
TEST(meters_of_a_profiler_are_below_two_kib_for_each_name_and_peer) {
    static const bound bounds[] = {
        BOUND(wisp__histogram,      456,   456),
        BOUND(wisp__remote_meter,  1136,  1136),
        BOUND(wisp__peer_meter,     712,   712),
        BOUND(wisp__meters,        4712,  4712)
    };
    check_bounds(bounds, TEST_COUNT(bounds));
}

static const test_case tests[] = {
    CASE(an_endpoint_is_below_48_kib),
    CASE(an_idle_peer_is_below_4_kib),
    CASE(a_name_is_below_one_kib),
    CASE(a_message_that_waits_takes_little_beside_its_bytes),
    CASE(a_key_takes_what_the_limit_of_keys_says),
    CASE(a_value_takes_40_bytes_and_a_pair_48),
    CASE(meters_of_a_profiler_are_below_two_kib_for_each_name_and_peer)
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
