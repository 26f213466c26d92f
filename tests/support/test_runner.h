/* test_runner.h - a tiny test runner

   A test file includes the implementation privately, so that it reaches private functions too:

       #define WISP_IMPLEMENTATION
       #define WISP_STATIC
       #include "../wisp.h"
       #include "test.h"

       TEST(adds) {
           CHECK_EQ_INT(1 + 1, 2);
       }

       static const test_case tests[] = { CASE(adds) };

       int main(int argc, char **argv) {
           return test_main(argc, argv, tests, TEST_COUNT(tests));
       }

   A check that fails prints one line and the test goes on; each check is an expression that is
   true when it holds, so a test that cannot go on says `if (!CHECK(p)) return;`. An argument on
   the command line runs only the tests whose name contains it. The last line printed is
   "N passed, N failed", in tests; the exit code is 1 when one failed.
*/
#ifndef TEST_RUNNER_H
#define TEST_RUNNER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case;

#define TEST(name)        static void test_case_##name(void)
#define CASE(name)        { #name, test_case_##name }
#define TEST_COUNT(tests) ((int)(sizeof(tests) / sizeof(tests)[0]))

#define CHECK(cond)           test_check((cond), #cond, __FILE__, __LINE__)
#define CHECK_EQ_INT(a, b)    test_eq_int((long long)(a), (long long)(b), #a " == " #b, \
                                          __FILE__, __LINE__)
#define CHECK_EQ_STR(a, b)    test_eq_str((a), (b), #a " == " #b, __FILE__, __LINE__)
#define CHECK_EQ_MEM(a, b, n) test_eq_mem((a), (b), (size_t)(n), #a " == " #b, __FILE__, __LINE__)
#define CHECK_NEAR(a, b, eps) test_near((double)(a), (double)(b), (double)(eps), \
                                        #a " near " #b, __FILE__, __LINE__)

enum { TEST_LINES_MAX = 20 };   /* failures printed per test: a loop may fail a million times */

typedef struct test_state {
    const char *name;           /* of the test that runs */
    int         failures;       /* in it */
} test_state;

static inline test_state *test_now(void) {
    static test_state state;
    return &state;
}

/* Counts a failure; true: its line is to be finished by the caller, with end of line. */
static inline bool test_failed(const char *text, const char *file, int line) {
    test_state *now = test_now();
    now->failures++;
    if (now->failures == TEST_LINES_MAX + 1) printf("%s: and more\n", now->name);
    if (now->failures > TEST_LINES_MAX) return false;
    printf("%s:%d: %s: failed: %s", file, line, now->name ? now->name : "?", text);
    return true;
}

static inline bool test_check(bool holds, const char *text, const char *file, int line) {
    if (!holds && test_failed(text, file, line)) printf("\n");
    if (!holds) fflush(stdout);
    return holds;
}

static inline bool test_eq_int(long long a, long long b, const char *text, const char *file,
                               int line) {
    if (a != b && test_failed(text, file, line)) printf(" (%lld, %lld)\n", a, b);
    if (a != b) fflush(stdout);
    return a == b;
}

static inline bool test_eq_str(const char *a, const char *b, const char *text, const char *file,
                               int line) {
    bool equal = a && b ? strcmp(a, b) == 0 : a == b;
    if (!equal && test_failed(text, file, line)) {
        printf(" (\"%s\", \"%s\")\n", a ? a : "NULL", b ? b : "NULL");
    }
    if (!equal) fflush(stdout);
    return equal;
}

static inline bool test_eq_mem(const void *a, const void *b, size_t size, const char *text,
                               const char *file, int line) {
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
    size_t i = 0;
    if (size == 0) return true;
    if (!x || !y) return test_check(x == y, text, file, line);
    while (i < size && x[i] == y[i]) i++;
    if (i < size && test_failed(text, file, line)) {
        printf(" (byte %lu: %02x, %02x)\n", (unsigned long)i, x[i], y[i]);
    }
    if (i < size) fflush(stdout);
    return i == size;
}

/* NaN is near nothing. */
static inline bool test_near(double a, double b, double eps, const char *text, const char *file,
                             int line) {
    bool near_by = a >= b - eps && a <= b + eps;
    if (!near_by && test_failed(text, file, line)) printf(" (%.17g, %.17g)\n", a, b);
    if (!near_by) fflush(stdout);
    return near_by;
}

/* A repeatable stream of random numbers from any start value (splitmix64). */
static inline uint64_t test_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0..count - 1; 0 for a count of 0 or less. */
static inline int test_random_below(uint64_t *state, int count) {
    return count > 0 ? (int)(test_random(state) % (uint64_t)count) : 0;
}

/* 0 <= x < 1 */
static inline double test_random_unit(uint64_t *state) {
    return (double)(test_random(state) >> 11) / 9007199254740992.0;
}

static inline int test_main(int argc, char **argv, const test_case *cases, int count) {
    test_state *now = test_now();
    int passed = 0, failed = 0;
    for (int i = 0; i < count; i++) {
        if (argc > 1 && !strstr(cases[i].name, argv[1])) continue;
        now->name = cases[i].name;
        now->failures = 0;
        cases[i].run();
        if (now->failures) failed++;
        else passed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}

#endif /* TEST_RUNNER_H */
