/* bench_bombs.c - what the dearest known packets cost a server, in CPU and memory

   Each of tests/support/packet_bombs.h is sent to a server at default limits that takes all that
   its peer describes, in a session that has saved up all it can. A row tells of one: its bytes, the
   messages that reach a handler, the CPU time of the server's update (best and median of several),
   its units of work, and the memory above what was held before. The last line tells the largest,
   and whether it is within the millisecond that README promises. Figures of other processes on the
   same core count too: the median tells how quiet it was.

   Run      bench_bombs [quick] [bombs] */
#include "bench.h"

#define BOMBS_CLOCK() cpu_seconds()

#include "tests/support/fuzz_script.h"
#include "tests/support/hostile_peer.h"
#include "tests/support/packet_bombs.h"

enum { RUNS = 31, RUNS_QUICK = 3 };
static const double promised = 1000;          /* microseconds of one update */

static bombs the_bombs;

/* One run of a bomb, in a session of its own; microseconds of the server's update. */
static double run_bomb(const bomb *one, bombs_bill *bill) {
    bombs *b = &the_bombs;
    double microseconds;
    bombs_open(b);
    one->make(b);
    if (!hostile_theirs(&b->h)) complain("%s: the session has ended before", one->name);
    bombs_pay(b, bill);
    microseconds = b->seconds * 1e6;
    bombs_close(b);
    return microseconds;
}

/* Prints the row of a bomb; returns its best time, of a packet that completes no larger message. */
static double tell_bomb(const bomb *one, int runs) {
    double times[RUNS];
    bombs_bill bill;
    int i;
    for (i = 0; i < runs; i++) times[i] = run_bomb(one, &bill);
    qsort(times, (size_t)runs, sizeof times[0], compare_doubles);
    printf("%-22s %6d %9d %8.0f %8.0f %9lld %7.2f %7lld%s\n", one->name, bill.bytes, bill.handled,
           times[0], times[runs / 2], (long long)bill.work, times[0] * 1000 / (double)bill.work,
           (long long)(bill.peak / 1024), one->assembled ? "  completes a larger message" : "");
    if (bill.peak > 2 << 20) complain("%s: more than 2 MiB of memory", one->name);
    return one->assembled ? 0 : times[0];
}

static void run_bombs(bool quick) {
    const char *name = "";
    double largest = 0;
    int i;
    printf("%-22s %6s %9s %8s %8s %9s %7s %7s\n", "packet", "bytes", "messages", "best us",
           "median", "units", "ns/unit", "KiB");
    for (i = 0; i < BOMBS; i++) {
        double best = tell_bomb(&bomb_list[i], quick ? RUNS_QUICK : RUNS);
        if (best <= largest) continue;
        largest = best;
        name = bomb_list[i].name;
    }
    record("bombs", "dearest packet", "us", promised, largest);
    printf("the dearest: %s, %.0f us of CPU, which is %s 1 ms\n", name, largest,
           largest < promised ? "below" : "NOT below");
}

static const section sections[] = { { "bombs", run_bombs } };

int main(int count, char **words) {
    return bench_main("bench_bombs", count, words, sections, 1);
}
