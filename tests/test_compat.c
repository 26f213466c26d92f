/* test_compat.c - today's header against the frozen one: the same datagrams, the same behaviour

   tests/data/wisp_before.h is the header as it was when its behaviour was last meant to change;
   compat_before.c holds it. Endpoints of both headers, and of each alone, play one script
   (compat_script.h) over one network. Everything is seeded, so

       the same header     all datagrams and the journals of what happened are the same
       one against the     every reliable message comes once, in order and equal, and nothing is
       other               an error that is none among endpoints of the frozen header

   tests/data/datagrams.h has a hash of all datagrams for each seed. A commit that means to change
   behaviour renews both files: `make renew`. Built with compat_before.c. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/compat_script.h"

#include <float.h>

enum { SEEDS = 10, FLIGHTS = 20000, TALK_STEPS = 320, DRAIN_STEPS = 2000, END_STEPS = 400,
       ENDS = 7, DATAGRAM = 65000 };

/* --- a network --- */

/* How it is, by the seed. */
static const struct weather {
    double loss, burst, duplicate, reorder, damage, again;
    int    latency, jitter;                /* steps */
    int    mtu;
    bool   reliable, few_keys;
} weathers[SEEDS] = {
    { 0, 0, 0, 0, 0, 0, 0, 0, 0, false, false },
    { 0.05, 0, 0, 0, 0, 0, 1, 1, 0, false, true },
    { 0.2, 0.4, 0.1, 0.1, 0, 0, 1, 2, 0, false, false },
    { 0, 0, 0.2, 0.3, 0.02, 0, 2, 6, 0, false, false },
    { 0, 0, 0, 0, 0, 0, 1, 0, 0, true, false },
    { 0.03, 0, 0.02, 0.02, 0.01, 0.05, 1, 1, 256, false, false },
    { 0.02, 0, 0.02, 0.05, 0, 0, 1, 2, 2400, false, false },
    { 0.1, 0.5, 0.05, 0.05, 0.05, 0.02, 3, 3, 600, false, false },
    { 0, 0, 0, 0, 0, 0.2, 1, 0, 4000, true, true },
    { 0.01, 0, 0, 0, 0.005, 0, 4, 0, 1400, false, false }
};

typedef struct flight {
    double   due;
    int      from, to, size;
    uint8_t *bytes;
} flight;

/* What is kept of a datagram. */
typedef struct trace { double now; int from, to, size; uint64_t hash; } trace;

typedef struct arrivals { int64_t fired, came, wrong; uint64_t hash; } arrivals;

struct compat_run {
    struct weather weather;
    uint64_t random, hash;
    double   now;
    bool     in_burst, over;
    flight   flights[FLIGHTS];
    int      flight_count;
    trace   *traces;
    int      trace_count, trace_room;
    char    *journal;
    size_t   journal_size, journal_room;
    char    *errors;                /* the lines of the journal that are errors */
    size_t   errors_size, errors_room;
    arrivals came[COMPAT_SIDES][COMPAT_SIDES][COMPAT_STREAMS];
};

static void *grown(void *list, size_t size) {
    void *larger = realloc(list, size);
    if (!larger) abort();
    return larger;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, int size) {
    for (int i = 0; i < size; i++) hash = mill_mix(hash, ((const uint8_t *)bytes)[i]);
    return hash;
}

static bool happens(compat_run *r, double chance) {
    return chance > 0 && test_random_unit(&r->random) < chance;
}

static void keep_trace(compat_run *r, int from, int to, const void *bytes, int size) {
    trace *t;
    if (r->trace_count == r->trace_room) {
        r->trace_room = r->trace_room ? 2 * r->trace_room : 1024;
        r->traces = (trace *)grown(r->traces, (size_t)r->trace_room * sizeof *r->traces);
    }
    t = &r->traces[r->trace_count++];
    t->now = r->now;
    t->from = from;
    t->to = to;
    t->size = size;
    t->hash = hash_bytes(0, bytes, size);
    r->hash = mill_mix(mill_mix(r->hash, t->hash), (uint64_t)(r->now * 64));
    r->hash = mill_mix(r->hash, (uint64_t)from << 40 | (uint64_t)to << 32 | (uint64_t)size);
}

static void take_off(compat_run *r, int from, int to, const void *bytes, int size) {
    const struct weather *weather = &r->weather;
    int steps = weather->latency + test_random_below(&r->random, weather->jitter + 1);
    flight *f = &r->flights[r->flight_count];
    if (r->flight_count == FLIGHTS || to < 0 || to >= COMPAT_SIDES) return;
    if (happens(r, weather->reorder)) steps += weather->latency + weather->jitter;
    r->flight_count++;
    f->due = r->now + steps / 64.0;
    f->from = from;
    f->to = to;
    f->size = size;
    f->bytes = (uint8_t *)grown(NULL, (size_t)size + 1);
    if (size) memcpy(f->bytes, bytes, (size_t)size);
    if (size && happens(r, weather->damage)) {
        int at = test_random_below(&r->random, size);
        f->bytes[at] ^= (uint8_t)(1 << (r->random & 7));
    }
}

/* Now and then somebody else sends a packet that he has seen, cut off or as it was. */
static void forge(compat_run *r, int to, const void *bytes, int size) {
    int from = test_random_below(&r->random, 2) ? FORGES : 1;
    take_off(r, from, to, bytes, test_random_below(&r->random, size + 1));
    take_off(r, FORGES, to, bytes, size);
}

bool compat_send(compat_run *r, int from, int to, const void *bytes, int size) {
    const struct weather *weather = &r->weather;
    if (!r->over && happens(r, weather->again)) return false;
    keep_trace(r, from, to, bytes, size);
    r->in_burst = r->in_burst ? happens(r, weather->burst) : happens(r, weather->loss);
    if (!weather->reliable && r->trace_count % 64 == 0) forge(r, to, bytes, size);
    if (r->in_burst) return true;
    take_off(r, from, to, bytes, size);
    if (happens(r, weather->duplicate)) take_off(r, from, to, bytes, size);
    return true;
}

/* The one that is due first; of several the one that was sent first. */
int compat_recv(compat_run *r, int side, int *from, void *bytes, int room) {
    int first = -1, size;
    for (int i = 0; i < r->flight_count; i++)
        if (r->flights[i].to == side && r->flights[i].due <= r->now &&
            (first < 0 || r->flights[i].due < r->flights[first].due))
            first = i;
    if (first < 0) return 0;
    size = r->flights[first].size < room ? r->flights[first].size : room;
    *from = r->flights[first].from;
    if (size) memcpy(bytes, r->flights[first].bytes, (size_t)size);
    free(r->flights[first].bytes);
    r->flight_count--;
    memmove(&r->flights[first], &r->flights[first + 1],
            (size_t)(r->flight_count - first) * sizeof *r->flights);
    return size;
}

/* --- the journal --- */

static void add_line(char **text, size_t *size, size_t *room, const char *line) {
    size_t length = strlen(line);
    if (*size + length + 2 > *room) {
        *room = 2 * *room + length + 4096;
        *text = (char *)grown(*text, *room);
    }
    memcpy(*text + *size, line, length);
    *size += length;
    (*text)[(*size)++] = '\n';
    (*text)[*size] = 0;
}

void compat_line(compat_run *r, int side, const char *text) {
    char head[60];
    snprintf(head, sizeof head, "[%.6f side %d]", r->now, side);
    add_line(&r->journal, &r->journal_size, &r->journal_room, head);
    add_line(&r->journal, &r->journal_size, &r->journal_room, text);
}

void compat_error(compat_run *r, int side, const char *text) {
    compat_line(r, side, text);
    add_line(&r->errors, &r->errors_size, &r->errors_room, text);
}

void compat_fired(compat_run *r, int from, int to, int stream) {
    if (!r->over && to != DIES) r->came[from][to][stream].fired++;
}

void compat_came(compat_run *r, int from, int to, int stream, int64_t number, uint64_t hash) {
    arrivals *a;
    if (r->over || to == DIES) return;
    a = &r->came[from < 0 ? FORGES : from][to][stream];
    if (number != ++a->came) a->wrong++;
    a->hash = mill_mix(a->hash, hash);
}

/* --- a run --- */

static bool all_came(const compat_run *r) {
    const arrivals *a = &r->came[0][0][0];
    for (int i = 0; i < COMPAT_SIDES * COMPAT_SIDES * COMPAT_STREAMS; i++)
        if (a[i].came < a[i].fired) return false;
    return true;
}

static int play(compat_run *r, const compat_program *const programs[ENDS], void *ends[ENDS],
                compat_phase phase, int steps) {
    int step = 0;
    for (; step < steps && !(phase == COMPAT_DRAIN && all_came(r)); step++) {
        r->now += 1 / 64.0;
        for (int i = 0; i < ENDS; i++) programs[i]->step(ends[i], phase, step, r->now);
    }
    return step;
}

static compat_run *run_of(const compat_program *server, const compat_program *client,
                          uint64_t seed) {
    compat_run *r = (compat_run *)calloc(1, sizeof *r);
    const compat_program *programs[ENDS];
    void *ends[ENDS];
    compat_role role;
    if (!r) abort();
    r->random = seed * 77;
    r->weather = weathers[seed - 1];
    memset(&role, 0, sizeof role);
    role.run = r;
    role.seed = seed;
    role.mtu = r->weather.mtu;
    role.reliable = r->weather.reliable;
    role.few_keys = r->weather.few_keys;
    for (int i = 0; i < ENDS; i++) {
        programs[i] = i ? client : server;
        role.side = i;
        ends[i] = programs[i]->open(&role);
    }
    play(r, programs, ends, COMPAT_TALK, TALK_STEPS);
    play(r, programs, ends, COMPAT_DRAIN, DRAIN_STEPS);
    r->over = true;
    play(r, programs, ends, COMPAT_END, END_STEPS);
    for (int i = 0; i < ENDS; i++) programs[i]->close(ends[i]);
    for (int i = 0; i < r->flight_count; i++) free(r->flights[i].bytes);
    return r;
}

static void run_end(compat_run *r) {
    free(r->traces);
    free(r->journal);
    free(r->errors);
    free(r);
}

/* --- what must hold --- */

static const uint64_t hashes[SEEDS + 1] = {
#include "data/datagrams.h"
    0
};

static void check_traces(const compat_run *a, const compat_run *b) {
    for (int i = 0; i < a->trace_count && i < b->trace_count; i++) {
        const trace *x = &a->traces[i], *y = &b->traces[i];
        if (CHECK(x->now == y->now && x->from == y->from && x->to == y->to &&
                  x->size == y->size && x->hash == y->hash))
            continue;
        printf("  datagram %d at %.3f from %d to %d with %d bytes is at %.3f from %d to %d with "
               "%d\n", i, x->now, x->from, x->to, x->size, y->now, y->from, y->to, y->size);
        return;
    }
    CHECK_EQ_INT(b->trace_count, a->trace_count);
    CHECK(a->hash == b->hash);
}

/* Prints the first line that differs. */
static void check_journals(const compat_run *a, const compat_run *b) {
    size_t at = 0, line = 0;
    if (CHECK(strcmp(a->journal, b->journal) == 0)) return;
    for (; a->journal[at] == b->journal[at]; at++)
        if (a->journal[at] == '\n') line = at + 1;
    printf("  before: %.*s\n", (int)strcspn(a->journal + line, "\n"), a->journal + line);
    printf("  today:  %.*s\n", (int)strcspn(b->journal + line, "\n"), b->journal + line);
}

/* Every message of a checked stream came, once and in order. Not asked where values go again, for
   their keys made place, and in small packets, where the frozen header loses a large message whose
   channel an announcement in pieces takes: there only the same must come as before. */
static void check_arrivals(const compat_run *r) {
    if (r->weather.few_keys || (r->weather.mtu && r->weather.mtu < 1200)) return;
    for (int from = 0; from < COMPAT_SIDES; from++)
        for (int to = 0; to < COMPAT_SIDES; to++)
            for (int i = 0; i < COMPAT_STREAMS; i++) {
                const arrivals *a = &r->came[from][to][i];
                if (a->came == a->fired && !a->wrong) continue;
                CHECK_EQ_INT(a->came, a->fired);
                CHECK_EQ_INT(a->wrong, 0);
                printf("  of %s from %d to %d\n", streams[i].name, from, to);
            }
}

/* Among endpoints of one header alone; played once. */
static const compat_run *run_before(uint64_t seed) {
    static compat_run *played[SEEDS + 1];
    if (!played[seed]) played[seed] = run_of(compat_before(), compat_before(), seed);
    return played[seed];
}

static const compat_run *run_today(uint64_t seed) {
    static compat_run *played[SEEDS + 1];
    if (!played[seed]) played[seed] = run_of(&compat_this, &compat_this, seed);
    return played[seed];
}

TEST(the_same_datagrams_are_sent_and_the_same_is_told) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        check_traces(run_before(seed), run_today(seed));
        check_journals(run_before(seed), run_today(seed));
    }
}

/* Where numbers are computed more exactly than they are kept (32-bit x87) paces differ by a
   rounding, and with them datagrams. */
TEST(the_datagrams_are_those_of_the_table) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        if (!CHECK(FLT_EVAL_METHOD != 0 || run_today(seed)->hash == hashes[seed - 1]))
            printf("  of seed %d\n", (int)seed);
}

/* Is each error one that there was among endpoints of the frozen header? */
static void check_errors(const compat_run *before, const compat_run *mixed) {
    const char *line = mixed->errors ? mixed->errors : "";
    for (; *line; line = strchr(line, '\n') + 1) {
        char text[LINE];
        int length = (int)strcspn(line, "\n") + 1;
        snprintf(text, sizeof text, "%.*s", length, line);
        if (!CHECK(strstr(before->errors, text) != NULL)) printf("  %s", text);
    }
}

static void check_mixed(const compat_program *server, const compat_program *client) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const compat_run *before = run_before(seed);
        compat_run *mixed = run_of(server, client, seed);
        check_arrivals(mixed);
        CHECK_EQ_MEM(mixed->came, before->came, sizeof mixed->came);
        check_errors(before, mixed);
        run_end(mixed);
    }
}

TEST(a_server_of_before_serves_clients_of_today) { check_mixed(compat_before(), &compat_this); }
TEST(a_server_of_today_serves_clients_of_before) { check_mixed(&compat_this, compat_before()); }

TEST(rooms_that_need_no_network_tell_the_same) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        compat_run *a = (compat_run *)calloc(1, sizeof *a), *b = (compat_run *)calloc(1, sizeof *b);
        if (!a || !b) abort();
        a->over = b->over = true;
        compat_before()->alone(a, seed);
        compat_this.alone(b, seed);
        check_journals(a, b);
        run_end(a);
        run_end(b);
    }
}

static const test_case tests[] = {
    CASE(the_same_datagrams_are_sent_and_the_same_is_told),
    CASE(the_datagrams_are_those_of_the_table),
    CASE(a_server_of_before_serves_clients_of_today),
    CASE(a_server_of_today_serves_clients_of_before),
    CASE(rooms_that_need_no_network_tell_the_same)
};

static int print_table(void) {
    printf("/* A hash of all datagrams of test_compat.c, by the seed: made by `make renew`. */\n");
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        printf("UINT64_C(0x%016llx),\n", (unsigned long long)run_before(seed)->hash);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "table") == 0) return print_table();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
