/* 10_errors.c - errors, reported from where they happen to another process

   A sink is told of every error at once: which code, which peer, which remote, the first bytes of
   what came, and by a hook of yours where the program is. This one makes a line of JSON of each and
   hands it to a collector, here a child process behind a pipe. A collector that is slow loses
   lines, and never stops the game.

   Build    cc -I.. 10_errors.c -o errors        (with -rdynamic the backtraces have names)
   Run      ./errors                             exits 0 when the collector got every error
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#ifdef __GLIBC__
#include <execinfo.h>
#endif

#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { LINE_BYTES = PIPE_BUF, FRAMES = 12, EXPECTED = 3, NO_GUN = -1001, SOLD_OUT = -1002 };

/* ---- the sink, in the game --------------------------------------------- */

/* A pipe takes a line of PIPE_BUF bytes whole, or not at all. */
typedef struct forwarder { int pipe, sent, lost; } forwarder;

/* Where the program is, the innermost first, without this hook itself. */
static void write_backtrace(void *user, char *text, int size) {
#ifdef __GLIBC__
    void *frames[FRAMES];
    int count = backtrace(frames, FRAMES), length = 0;
    char **names = backtrace_symbols(frames, count);
    for (int i = 1; names && i < count && length < size; i++)
        length += snprintf(text + length, (size_t)(size - length), "%s%s", i > 1 ? " < " : "",
                           names[i]);
    free(names);
#else
    if (size > 0) text[0] = 0;
#endif
    (void)user;
}

static void forward(void *user, const wisp_report *report) {
    static const char *const keys[] = { "time", "code", "means", "text", "peer", "remote", "head",
                                        "backtrace" };
    forwarder *f = user;
    char line[LINE_BYTES];
    wisp_pair pairs[8];
    wisp_value value;
    int size;
    for (int i = 0; i < 8; i++) pairs[i].key = keys[i];
    pairs[0].value = wisp_number(report->time);
    pairs[1].value = wisp_int(report->code);
    pairs[2].value = wisp_string(wisp_result_text(report->code));
    pairs[3].value = wisp_string(report->text);
    pairs[4].value = wisp_uint(report->peer.id);
    pairs[5].value = wisp_string(report->remote);
    pairs[6].value = wisp_string(report->head);
    pairs[7].value = wisp_string(report->backtrace);
    value = wisp_map(pairs, 8);
    size = wisp_encode(wisp_json(), NULL, &value, line, LINE_BYTES - 1);
    if (size > 0) line[size++] = '\n';
    if (size > 0 && write(f->pipe, line, (size_t)size) == size) f->sent++;
    else f->lost++;
}

/* ---- the collector, in its own process --------------------------------- */

/* Prints what comes until nobody writes any more; returns how many lines that were. */
static int collect(int from) {
    FILE *lines = fdopen(from, "r");
    char line[LINE_BYTES + 1];
    int count = 0;
    for (; lines && fgets(line, (int)sizeof line, lines); count++) printf("collected: %s", line);
    fflush(stdout);
    return count;
}

/* ---- a game with errors ------------------------------------------------ */

static void on_shoot(wisp_event *event) { wisp_fail(event, NO_GUN, "there is no such gun"); }

static void on_move(wisp_event *event) { wisp_arg_vec3(event, 0); }     /* but a text comes */

static void on_buy(wisp_event *event) { wisp_refuse(event, SOLD_OUT, "sold out"); }  /* no error */

static void on_bought(wisp_event *event) { *(int *)event->user += event->result == SOLD_OUT; }

static bool play(wisp *server, wisp *client, const wisp_addr *address, forwarder *f) {
    const wisp_sink sink = { forward, write_backtrace, f };
    double now = udp_clock(NULL), end = now + 5;
    int refused = 0;
    wisp_use_sink(server, &sink);
    wisp_on(server, "shoot", on_shoot, NULL);
    wisp_on(server, "move", on_move, NULL);
    wisp_on_invoke(server, "buy", on_buy, NULL);
    wisp_remote_named(server, "dance");                      /* known, and nobody listens */
    wisp_join(client, address, NULL, 0);
    wisp_fire(client, "shoot", WISP_SERVER);
    wisp_fire(client, "move", WISP_SERVER, wisp_string("north"));
    wisp_fire(client, "dance", WISP_SERVER, wisp_bool(true));
    wisp_invoke(client, "buy", WISP_SERVER, on_bought, &refused);
    for (; (f->sent + f->lost < EXPECTED || !refused) && now < end; now = udp_clock(NULL)) {
        wisp_update(server, now);
        wisp_update(client, now);
    }
    return refused == 1 && f->sent == EXPECTED && f->lost == 0;
}

static bool play_over_udp(forwarder *f) {
    udp_socket sockets[2];
    wisp *ends[2] = { NULL, NULL };                          /* server, client */
    wisp_addr address;
    bool good;
    for (int i = 0; i < 2; i++) {
        wisp_desc desc = { 0 };
        desc.link = udp_link(&sockets[i]);
        if (udp_open(&sockets[i], "127.0.0.1", 0)) ends[i] = wisp_create(&desc, NULL);
    }
    good = ends[0] && ends[1] && udp_resolve("127.0.0.1", udp_port(&sockets[0]), &address) &&
           play(ends[0], ends[1], &address, f);
    for (int i = 0; i < 2; i++) {
        wisp_destroy(ends[i]);
        udp_close(&sockets[i]);
    }
    return good;
}

int main(void) {
    forwarder f = { -1, 0, 0 };
    int ends[2], status = 0;
    bool good;
    pid_t child;
    if (pipe(ends) || (child = fork()) < 0) return 1;
    if (child == 0) _exit(close(ends[1]) ? 0 : collect(ends[0]));
    close(ends[0]);
    f.pipe = ends[1];
    signal(SIGPIPE, SIG_IGN);                                /* a collector may die */
    fcntl(f.pipe, F_SETFL, O_NONBLOCK);
    good = play_over_udp(&f);
    close(f.pipe);
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXPECTED) good = false;
    printf("%d errors collected, %d lost\n", WEXITSTATUS(status), f.lost);
    return good ? 0 : 1;
}
