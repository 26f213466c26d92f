/* driver.c - runs a libFuzzer target on repeatable inputs, with any compiler

   Run      fuzz_x                         the first 20000 inputs, or what two seconds allow
            fuzz_x -n first count [seed]   some of them: a failure, again
            fuzz_x -x hex                  the input of these bytes
            fuzz_x file...                 the inputs in these files: what libFuzzer has found

   An input depends on nothing but the seed and its number, and a failure tells its number. As with
   libFuzzer a target may take arguments of its own away before. */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { INPUT_MAX = 4096, INPUTS = 20000, SECONDS_MAX = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef __GNUC__
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);
#else
static int (*const LLVMFuzzerInitialize)(int *argc, char ***argv) = NULL;
#endif

static volatile sig_atomic_t current = -1;      /* number of the input that runs, if it has one */

static uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t count) {
    return (size_t)(random_next(state) % count);
}

/* Any byte; one of a few, as where bytes choose what is done; one at the edge of a range. */
static uint8_t pick_byte(uint64_t *state, int style, const uint8_t few[4]) {
    static const uint8_t edges[] = { 0, 1, 2, 7, 8, 15, 16, 31, 63, 64, 127, 128, 254, 255 };
    if (style == 1 && below(state, 8)) return few[below(state, 4)];
    if (style == 2) return edges[below(state, sizeof edges)];
    return (uint8_t)random_next(state);
}

/* Fills `data`, here and there with a piece of what came before. */
static size_t make_input(uint64_t seed, int number, uint8_t data[INPUT_MAX]) {
    static const size_t sizes[] = { 8, 64, 512, 1500, INPUT_MAX };
    uint64_t state = seed * 1000003 + (uint64_t)number;
    size_t size = below(&state, sizes[below(&state, sizeof sizes / sizeof *sizes)] + 1);
    int style = (int)below(&state, 4);
    uint8_t few[4];
    for (size_t i = 0; i < sizeof few; i++) few[i] = (uint8_t)random_next(&state);
    for (size_t i = 0; i < size;) {
        size_t from = i ? below(&state, i) : 0, piece = below(&state, 24);
        bool again = style == 3 && i > 0;
        if (!again || piece > size - i) data[i++] = pick_byte(&state, style, few);
        else for (; piece > 0; piece--) data[i++] = data[from++];
    }
    return size;
}

/* The copy is as large as the input, so that a read beyond it is seen. */
static void run_input(const uint8_t *data, size_t size) {
    uint8_t *copy = (uint8_t *)malloc(size ? size : 1);
    if (!copy) exit(2);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_file(const char *path) {
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(data, 1, sizeof data, file) : 0;
    if (!file) exit(2);
    fclose(file);
    run_input(data, size);
}

static void run_hex(const char *hex) {
    static uint8_t data[INPUT_MAX];
    size_t size = 0;
    unsigned byte;
    for (; size < INPUT_MAX && sscanf(hex, "%2x", &byte) == 1; hex += 2) {
        data[size++] = (uint8_t)byte;
        if (!hex[1]) break;
    }
    run_input(data, size);
}

static void on_abort(int number) {
    if (current >= 0) fprintf(stderr, "failed: run again with -n %d 1\n", (int)current);
    signal(number, SIG_DFL);
    raise(number);
}

int main(int argc, char **argv) {
    static uint8_t data[INPUT_MAX];
    int first, count, done = 0;
    uint64_t seed;
    bool some;
    clock_t end = clock() + SECONDS_MAX * CLOCKS_PER_SEC;

    if (LLVMFuzzerInitialize) LLVMFuzzerInitialize(&argc, &argv);
    signal(SIGABRT, on_abort);
    some = argc >= 4 && strcmp(argv[1], "-n") == 0;
    first = some ? atoi(argv[2]) : 0;
    count = some ? atoi(argv[3]) : INPUTS;
    seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
    if (argc == 3 && strcmp(argv[1], "-x") == 0) run_hex(argv[2]);
    else for (int i = 1; !some && i < argc; i++) run_file(argv[i]);
    if (!some && argc > 1) return 0;
    for (; done < count && (some || clock() < end); done++) {
        current = first + done;
        run_input(data, make_input(seed, first + done, data));
    }
    printf("%d inputs\n1 passed, 0 failed\n", done);
    return 0;
}
