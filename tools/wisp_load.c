/* wisp_load.c - many clients against a server: does it hold, and what does it cost?

   Build    cc -std=c99 -O2 -I. tools/wisp_load.c -o build/wisp_load -lm             (POSIX)
   Run      build/wisp_load [options] [SCENARIO]
            build/wisp_load tools/load/calm.txt
            build/wisp_load --target 127.0.0.1:7777 --pid 4242 my_game.txt
            build/wisp_load --run "build/02_chat server 7777" --target 127.0.0.1:7777 chat.txt

   A scenario says how many clients join, what they do, and what must hold at the end; its lines are
   described in load_scenario.h, and examples/load.md goes through one. Without --target the tool
   has a server of its own, in a process of its own.

       --target HOST:PORT  loads this server. Names and schemas of a scenario ("*", schema=) are
                           those that it announces. If it answers the remote "wisp_top"
                           (wisp_top.c), its handlers' times, drops, errors and memory are told too
       --run COMMAND       starts that server by the shell, and ends it. Its CPU is measured
       --pid N             measures CPU and memory of a server that runs (Linux)
       --names             lists what the target announces, and ends
       --set LINE          a line of a scenario more, for example --set "clients 2000"
       --json FILE         all figures as JSON
       --html FILE         a page with plots
       --overlay           draws the server's overlay in the terminal instead of a line each second,
                           as wisp_top does, if it answers "wisp_top"
       --quiet             no line each second
       --really            also a target that is not this machine. It is asked for because a load
                           test looks like an attack to who did not order it

   It always ends: after the ramp, the seconds and at most 20 seconds more. Exit codes: 0 all that
   is expected holds, 1 it does not, 2 the arguments or the scenario make no sense, 3 there is no
   server to join. */
#include "../examples/udp.h"    /* first: it asks the system headers for more than C99 offers */

#include <sys/resource.h>
#include <sys/wait.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"

#include "terminal.h"
#include "load_figures.h"
#include "load_scenario.h"
#include "load_report.h"
#include "load_values.h"
#include "load_ends.h"
#include "load_clients.h"

enum { SOURCES_MOST = 17, EXTRA_MOST = 64, GRACE_SECONDS = 20 };
#define SIMULATED_STEP 0.002

typedef struct options {
    const char *file, *target, *run, *json, *html;
    char       *extra[EXTRA_MOST];
    int         extra_count;
    long        pid;
    bool        names, overlay, quiet, really;
} options;

/* What a process tells, once a second and at its end. */
typedef struct news {
    uint32_t kind;                       /* NEWS_.. */
    figures  f;
} news;

enum { NEWS_SECOND = 0x6c6f6164, NEWS_END, NEWS_FAILED };

/* A process that was started, the server or one of clients. */
typedef struct source {
    pid_t    pid;
    int      from;                       /* -1: it has ended */
    bool     is_server, failed;
    uint64_t gauges[COUNTERS - GAUGES];
    size_t   have;                       /* bytes of the news that have come */
    news     news;
} source;

typedef struct load {
    options    o;
    scenario   s;
    place      place;
    server     server;                   /* our own */
    source     sources[SOURCES_MOST];
    int        source_count;
    double     start, told, measured_cpu;
    long       measured_pid;             /* of somebody else's server; 0: none */
    pid_t      run_pid;
    figures    second;                   /* what came since the last line */
    run_report r;
    crowd      looker;                   /* its scout asks the server at the end */
    wisp_snapshot snapshot;
    bool       snapshot_there, failed;
    terminal   terminal;
} load;

/* ===========================================================================
 * The processes: each has ends, and tells what they have done
 * ======================================================================== */

static void tell(int to, uint32_t kind, figures *f) {
    static news out;
    const char *at = (const char *)&out;
    size_t left = sizeof out;
    out.kind = kind;
    out.f = *f;
    memset(f, 0, sizeof *f);
    while (left > 0) {
        ssize_t wrote = write(to, at, left);
        if (wrote < 0 && errno != EINTR) exit(1);        /* nobody listens any more */
        if (wrote > 0) at += wrote;
        if (wrote > 0) left -= (size_t)wrote;
    }
}

static double deadline(const load *l) {
    return l->start + scenario_seconds(&l->s) + GRACE_SECONDS;
}

/* Until it is interrupted. */
static void server_process(load *l, server *v, int to) {
    double next = l->start;
    if (!server_open(v)) {
        tell(to, NEWS_FAILED, &v->f);
        exit(1);
    }
    v->cpu = cpu_seconds();
    while (!interrupted && udp_seconds() < deadline(l)) {
        double now;
        if (l->s.server_rate > 0) udp_sleep(1 / l->s.server_rate);
        else udp_wait(&v->port.socket, 0.005);
        now = udp_seconds();
        server_step(v, now);
        if (now < next) continue;
        server_collect(v);
        tell(to, NEWS_SECOND, &v->f);
        while (next <= now) next += 1;
    }
    server_collect(v);
    tell(to, NEWS_END, &v->f);
    server_close(v);
    exit(0);
}

/* Which of the clients have something to receive, after a wait. */
static void crowd_wait(crowd *k, struct pollfd *looks, bool *readable, double seconds) {
    int milliseconds = seconds > 0 ? (int)(seconds * 1000) : 0;
    if (k->s->lazy) {
        udp_sleep(0.001);
        return;
    }
    for (int i = 0; i < k->count; i++) {
        looks[i].fd = k->clients[i].w ? k->clients[i].port.socket.handle : -1;
        looks[i].events = POLLIN;
        looks[i].revents = 0;
    }
    poll(looks, (nfds_t)k->count, milliseconds > 5 ? 5 : milliseconds);
    for (int i = 0; i < k->count; i++) readable[i] = (looks[i].revents & POLLIN) != 0;
}

static double crowd_next(const crowd *k, double now) {
    double next = now + 0.005;
    for (int i = 0; i < k->count; i++) next = fmin(next, k->clients[i].next);
    return k->outlaw_count ? fmin(next, now + 0.001) : next;
}

static void clients_run(crowd *k, int to, struct pollfd *looks, bool *readable) {
    double end = busy_until(k), next = k->start + 1, now = udp_seconds();
    bool draining = false;
    while (!interrupted && !(draining && (crowd_drained(k) || now > end + DRAIN_SECONDS + 2))) {
        crowd_wait(k, looks, readable, crowd_next(k, now) - now);
        now = udp_seconds();
        crowd_step(k, now, readable);
        if (!draining && now >= end) crowd_drain(k);
        draining = draining || now >= end;
        if (k->scout.w) wisp_update(k->scout.w, now);
        if (now < next) continue;
        crowd_collect(k);
        tell(to, NEWS_SECOND, &k->f);
        while (next <= now) next += 1;
    }
}

static void clients_process(load *l, int index, int to) {
    static crowd k;
    struct pollfd *looks;
    bool *readable;
    k.s = &l->s;
    k.place = &l->place;
    k.index = index;
    k.of = l->s.processes;
    k.start = l->start;
    if (!crowd_open(&k)) {
        tell(to, NEWS_FAILED, &k.f);
        exit(1);
    }
    looks = calloc((size_t)k.count + 1, sizeof *looks);
    readable = calloc((size_t)k.count + 1, sizeof *readable);
    if (!looks || !readable) exit(1);
    k.cpu = cpu_seconds();
    clients_run(&k, to, looks, readable);
    crowd_close(&k);
    crowd_collect(&k);
    tell(to, NEWS_END, &k.f);
    exit(0);
}

/* In a process of its own; index -1: the server's. */
static bool start_process(load *l, server *v, int index) {
    source *s = &l->sources[l->source_count];
    int ends[2];
    if (pipe(ends) != 0) return false;
    fflush(stdout);
    s->pid = fork();
    if (s->pid < 0) return false;
    if (s->pid == 0) {
        close(ends[0]);
        signal(SIGINT, index < 0 ? SIG_IGN : on_signal);
        if (index < 0) server_process(l, v, ends[1]);
        clients_process(l, index, ends[1]);
    }
    close(ends[1]);
    s->from = ends[0];
    s->is_server = index < 0;
    l->source_count++;
    return true;
}

/* ===========================================================================
 * What the server tells of itself
 * ======================================================================== */

static void on_snapshot(wisp_event *event) {
    load *l = event->user;
    const wisp_snapshot *now = NULL;
    if (event->result == WISP_OK) now = wisp_arg_struct(event, 0, wisp_snapshot_schema());
    if (now) l->snapshot = *now;
    l->snapshot_there = now != NULL;
}

static wisp_call load_ask(load *l) {
    wisp_call_desc how = { .on_reply = on_snapshot, .user = l, .timeout = 3 };
    wisp_value filter = wisp_string("");
    client *c = &l->looker.scout;
    wisp_call none = { 0 };
    if (!c->w || c->gone) return none;
    return wisp_invoke_values(c->w, "wisp_top", wisp_to_peer(WISP_SERVER), &how, &filter, 1);
}

/* ===========================================================================
 * What they tell, together
 * ======================================================================== */

static bool source_read(load *l, source *s) {
    ssize_t got = read(s->from, (char *)&s->news + s->have, sizeof s->news - s->have);
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) return false;
    s->have += (size_t)got;
    if (s->have < sizeof s->news) return true;
    s->have = 0;
    figures_merge(&l->second, &s->news.f);
    if (s->news.kind == NEWS_END) s->news.f.count[CONNECTED] = 0;
    memcpy(s->gauges, s->news.f.count + GAUGES, sizeof s->gauges);
    s->failed = s->failed || s->news.kind == NEWS_FAILED;
    return s->news.kind == NEWS_SECOND;
}

/* Seconds of CPU that a process has used, by /proc. */
static double cpu_of(long pid) {
    char name[64], text[1024], *at;
    unsigned long user = 0, kernel = 0;
    FILE *from;
    snprintf(name, sizeof name, "/proc/%ld/stat", pid);
    from = fopen(name, "r");
    if (!from) return 0;
    at = fgets(text, sizeof text, from) ? strrchr(text, ')') : NULL;
    fclose(from);
    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                      &kernel) != 2)
        return 0;
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static uint64_t gauge_sum(const load *l, counter which) {
    uint64_t sum = 0;
    for (int i = 0; i < l->source_count; i++) sum += l->sources[i].gauges[which - GAUGES];
    return sum;
}

static sample sample_of(const load *l, double at, double seconds) {
    const figures *f = &l->second;
    const uint64_t *c = f->count;
    const times *calls = &f->times[CALL_TIME];
    uint64_t arrived = l->r.exact ? c[SERVER_RECEIVED] : c[MESSAGES_IN];
    uint64_t memory = gauge_sum(l, SERVER_MEMORY);
    return (sample){
        .at = at, .connected = (double)gauge_sum(l, CONNECTED), .fired = (double)c[FIRED] / seconds,
        .calls = (double)c[REPLIES] / seconds, .delivered = (double)arrived / seconds,
        .kilobytes_up = (double)c[BYTES_OUT] / 1e3 / seconds,
        .kilobytes_down = (double)c[BYTES_IN] / 1e3 / seconds, .p50 = times_at(calls, 0.5),
        .p90 = times_at(calls, 0.9), .p99 = times_at(calls, 0.99),
        .fire_p99 = times_at(&f->times[FIRE_TIME], 0.99),
        .server_cpu = (double)c[SERVER_CPU_US] / 1e6 / seconds,
        .memory_mb = (double)(memory ? memory : gauge_sum(l, SERVER_RSS)) / 1e6,
        .errors = (double)c[SERVER_ERRORS] };
}

/* The server's overlay, or the sample as a line where there is none. */
static void load_show(load *l, const sample *p) {
    if (l->o.quiet) return;
    if (!l->o.overlay || !l->snapshot_there) {
        print_sample(p);
        return;
    }
    terminal_take(&l->terminal);
    terminal_draw(&l->terminal, &l->snapshot);
}

/* Takes the keys of the overlay. */
static void load_keys(load *l) {
    if (terminal_keys(&l->terminal)) terminal_draw(&l->terminal, &l->snapshot);
    if (l->terminal.ended) interrupted = 1;
}

/* Ends a second: its figures become a sample, which is shown. */
static void load_second(load *l, double now) {
    double at = now - l->start, seconds = now - l->told, ramp = l->s.ramp;
    bool busy = l->told >= l->start + ramp - 0.5 && at <= scenario_seconds(&l->s) + 0.5;
    if (l->measured_pid) {
        double cpu = cpu_of(l->measured_pid);
        l->second.count[SERVER_CPU_US] += (uint64_t)((cpu - l->measured_cpu) * 1e6);
        l->measured_cpu = cpu;
        l->sources[0].gauges[SERVER_RSS - GAUGES] = resident_bytes(l->measured_pid);
    }
    if (l->r.sample_count < SECONDS_MOST && seconds > 0.5) {
        sample *p = &l->r.samples[l->r.sample_count++];
        *p = sample_of(l, at, seconds);
        load_show(l, p);
    }
    figures_merge(&l->r.all, &l->second);
    if (busy) figures_merge(&l->r.busy, &l->second);
    if (busy) l->r.seconds += seconds;
    for (int i = GAUGES; i < COUNTERS; i++) {
        uint64_t sum = gauge_sum(l, (counter)i);
        if (busy || i == SERVER_PEAK) l->r.all.count[i] = sum;
    }
    memset(&l->second, 0, sizeof l->second);
    l->told = now;
}

/* Reads what they tell until all have ended, or all but the server (`clients_only`), or for some
   seconds. */
static void load_listen(load *l, bool clients_only, double until) {
    for (;;) {
        struct pollfd looks[SOURCES_MOST];
        double now = udp_seconds();
        int open = 0;
        for (int i = 0; i < l->source_count; i++) {
            source *s = &l->sources[i];
            looks[i] = (struct pollfd){ .fd = s->from, .events = POLLIN };
            open += s->from >= 0 && !(clients_only && s->is_server);
            l->failed = l->failed || s->failed;
        }
        if (!open || now > until || interrupted || l->failed) return;
        poll(looks, (nfds_t)l->source_count, 50);
        for (int i = 0; i < l->source_count; i++) {
            source *s = &l->sources[i];
            if (s->from < 0 || !looks[i].revents || source_read(l, s)) continue;
            close(s->from);
            s->from = -1;
        }
        now = udp_seconds();
        if (l->looker.scout.w) wisp_update(l->looker.scout.w, now);
        load_keys(l);
        if (!clients_only || now < l->told + 1.1) continue;
        load_second(l, now - 0.1);
        if (l->o.overlay) load_ask(l);
    }
}

/* --- at the end --- */

static void load_take_snapshot(load *l) {
    run_report *r = &l->r;
    if (!l->snapshot_there) return;
    r->handlers = l->snapshot.handlers;
    for (uint32_t i = 0; i < l->snapshot.dropped_count && r->drop_count < DROPS; i++) {
        const wisp_drop_note *note = &l->snapshot.dropped[i];
        drop_row *row = &r->drops[r->drop_count++];
        snprintf(row->name, sizeof row->name, "%s%s%s", wisp_drop_text(note->reason),
                 *note->remote ? ": " : "", note->remote);
        row->count = note->count;
    }
    for (uint32_t i = 0; i < l->snapshot.error_count; i++) {
        const wisp_error_note *note = &l->snapshot.errors_last[i];
        snprintf(r->errors[r->error_count++], sizeof r->errors[0], "%s%s%s", note->remote,
                 *note->remote ? ": " : "", note->text);
    }
    if (r->exact) return;
    r->all.count[SERVER_ERRORS] = l->snapshot.errors;
    r->all.count[SERVER_MEMORY] = l->snapshot.memory;
    r->all.count[SERVER_PEAK] = l->snapshot.memory_peak;
}

/* A session of this process with the server; false: it does not answer. */
static bool load_look(load *l) {
    crowd *k = &l->looker;
    k->s = &l->s;
    k->place = &l->place;
    k->start = udp_seconds();
    k->random = l->s.seed + 77;
    for (int tries = 0; tries < 8 && !interrupted; tries++) {
        if (crowd_scout(k, 1)) return true;
        client_close(&k->scout, true);
        udp_sleep(0.25);
    }
    return false;
}

static void print_names(load *l) {
    static wisp_announced all[ANNOUNCED_MOST];
    int count = crowd_announced(&l->looker, all);
    for (int i = 0; i < count; i++) {
        const wisp_schema *schema = all[i].encode.schema;
        const char *name = wisp_remote_name(l->looker.scout.w, all[i].remote);
        printf("%-24s", name);
        if (schema) printf(" %s %d:", schema->name, schema->version);
        for (int k = 0; schema && k < schema->count; k++) printf(" %s", schema->fields[k].name);
        printf("%s\n", schema ? "" : " values that describe themselves");
    }
}

/* ===========================================================================
 * A run: in simulated time, or by processes
 * ======================================================================== */

static void simulated_second(load *l, server *v, crowd *k) {
    server_collect(v);
    crowd_collect(k);
    figures_merge(&l->second, &v->f);
    figures_merge(&l->second, &k->f);
    memcpy(l->sources[0].gauges, v->f.count + GAUGES, sizeof l->sources[0].gauges);
    l->sources[0].gauges[0] = k->f.count[CONNECTED];
    memset(&v->f, 0, sizeof v->f);
    memset(&k->f, 0, sizeof k->f);
    load_second(l, l->place.now);
}

static void simulated_loop(load *l, server *v, crowd *k) {
    place *p = &l->place;
    double end = busy_until(k), next = 1;
    bool draining = false;
    while (!interrupted && p->now < end + DRAIN_SECONDS + 2 && !(draining && crowd_drained(k))) {
        p->now += SIMULATED_STEP;
        if (!draining && p->now >= end) crowd_drain(k);
        draining = draining || p->now >= end;
        server_step(v, p->now);
        crowd_step(k, p->now, NULL);
        if (p->now < next) continue;
        l->snapshot_there = wisp_snapshot_take(v->w, NULL, &l->snapshot) == WISP_OK;
        simulated_second(l, v, k);
        load_keys(l);
        next += 1;
    }
}

static int run_simulated(load *l) {
    static crowd k;
    server *v = &l->server;
    v->s = k.s = &l->s;
    v->place = k.place = &l->place;
    k.of = 1;
    l->place.simulated = true;
    l->place.server = wisp_loopback_addr(SERVER_SIDE);
    l->source_count = 1;
    l->r.exact = true;
    if (!port_open(&l->place, &v->port) || !server_open(v) || !crowd_open(&k)) return 3;
    simulated_loop(l, v, &k);
    l->snapshot_there = wisp_snapshot_take(v->w, NULL, &l->snapshot) == WISP_OK;
    crowd_close(&k);
    for (int i = 0; i < 50; i++) server_step(v, l->place.now += SIMULATED_STEP);
    simulated_second(l, v, &k);
    server_close(v);
    wisp_pipe_free(&l->place.pipe);
    return 0;
}

static bool load_target(load *l) {
    server *v = &l->server;
    char host[TEXT];
    const char *colon;
    if (!l->o.target) {
        v->s = &l->s;
        v->place = &l->place;
        return port_open(&l->place, &v->port) &&
               udp_resolve("127.0.0.1", udp_port(&v->port.socket), &l->place.server);
    }
    colon = strrchr(l->o.target, ':');
    if (!colon || (size_t)(colon - l->o.target) >= sizeof host) return false;
    snprintf(host, sizeof host, "%.*s", (int)(colon - l->o.target), l->o.target);
    return udp_resolve(host, atoi(colon + 1), &l->place.server);
}

static bool is_loopback(const wisp_addr *addr) {
    static const unsigned char one[16] = { [15] = 1 };
    return addr->bytes[0] == 4 ? addr->bytes[4] == 127 : memcmp(addr->bytes + 4, one, 16) == 0;
}

static void start_command(load *l) {
    char command[LINE_MOST];
    if (!l->o.run) return;
    snprintf(command, sizeof command, "exec %s", l->o.run);
    fflush(stdout);
    l->run_pid = fork();
    if (l->run_pid == 0) {
        if (!freopen("/dev/null", "r", stdin)) _exit(127);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    if (l->run_pid > 0) l->measured_pid = (long)l->run_pid;
}

/* Only processes that were started here; all of them have ended afterwards. */
static void end_processes(load *l) {
    double end = udp_seconds() + 3;
    for (int i = 0; i < l->source_count; i++)
        if (l->sources[i].pid > 0) kill(l->sources[i].pid, SIGTERM);
    load_listen(l, false, end);
    if (l->run_pid > 0) kill(l->run_pid, SIGTERM);
    for (int i = 0; i <= l->source_count; i++) {
        pid_t pid = i < l->source_count ? l->sources[i].pid : l->run_pid;
        if (pid <= 0) continue;
        while (waitpid(pid, NULL, WNOHANG) == 0 && udp_seconds() < end + 2) udp_sleep(0.01);
        if (udp_seconds() >= end + 2 && kill(pid, SIGKILL) == 0) waitpid(pid, NULL, 0);
    }
}

static int run_processes(load *l) {
    server *v = &l->server;
    wisp_call call = { 0 };
    bool good;
    l->start = l->told = udp_seconds();
    l->r.exact = !l->o.target;
    good = l->o.target || start_process(l, v, -1);
    if (l->o.target) l->sources[l->source_count++] = (source){ .from = -1 };
    if (!l->o.target) port_close(&v->port);
    if (!good || !load_look(l)) {
        fprintf(stderr, "wisp_load: no server answers\n");
        end_processes(l);
        return 3;
    }
    if (l->o.names) print_names(l);
    l->start = l->told = udp_seconds() + 0.2;
    if (l->measured_pid) l->measured_cpu = cpu_of(l->measured_pid);
    for (int i = 0; i < l->s.processes && !l->o.names && good; i++)
        good = start_process(l, NULL, i);
    if (!l->o.names && good) load_listen(l, true, deadline(l));
    call = l->failed ? call : load_ask(l);
    if (call.id) wisp_await_reply(l->looker.scout.w, call, NULL, NULL, udp_clock, NULL);
    client_close(&l->looker.scout, false);
    if (!l->failed) load_second(l, udp_seconds());
    end_processes(l);
    figures_merge(&l->r.all, &l->second);
    return l->failed || !good ? 3 : 0;
}

/* ===========================================================================
 * The command line
 * ======================================================================== */

static const char usage[] =
    "usage: wisp_load [--target HOST:PORT] [--run COMMAND] [--pid N] [--names] [--set LINE]\n"
    "                 [--json FILE] [--html FILE] [--overlay] [--quiet] [--really] [SCENARIO]\n";

static bool read_options(options *o, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        char *text = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(name, "--names") == 0) o->names = true;
        else if (strcmp(name, "--overlay") == 0) o->overlay = true;
        else if (strcmp(name, "--quiet") == 0) o->quiet = true;
        else if (strcmp(name, "--really") == 0) o->really = true;
        else if (name[0] != '-' && !o->file) o->file = name;
        else if (!text) return false;
        else {
            i++;
            if (strcmp(name, "--target") == 0) o->target = text;
            else if (strcmp(name, "--run") == 0) o->run = text;
            else if (strcmp(name, "--pid") == 0) o->pid = atol(text);
            else if (strcmp(name, "--json") == 0) o->json = text;
            else if (strcmp(name, "--html") == 0) o->html = text;
            else if (strcmp(name, "--set") == 0 && o->extra_count < EXTRA_MOST)
                o->extra[o->extra_count++] = text;
            else return false;
        }
    }
    if ((o->run || o->pid || o->names) && !o->target) return false;
    return o->file || o->extra_count || o->names;
}

/* A socket for each client. */
static void allow_files(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static int report(load *l) {
    const run_report *r = &l->r;
    print_table(&l->s, r);
    if (l->o.json && !write_json(l->o.json, &l->s, r)) perror(l->o.json);
    if (l->o.html && !write_html(l->o.html, &l->s, r)) perror(l->o.html);
    return all_hold(&l->s, r) ? 0 : 1;
}

int main(int argc, char **argv) {
    static load l;
    int code;
    if (!read_options(&l.o, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    if (!scenario_read(&l.s, l.o.file, l.o.extra, l.o.extra_count)) return 2;
    l.place.everywhere = l.o.really;
    l.place.foreign = l.o.target != NULL;
    l.measured_pid = l.o.pid;
    l.r.clients = l.s.clients;
    l.r.samples = calloc(SECONDS_MOST, sizeof *l.r.samples);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    allow_files();
    if (l.s.simulated && !l.o.target) {
        code = run_simulated(&l);
    } else {
        if (!load_target(&l)) {
            fprintf(stderr, "wisp_load: %s: no such host\n", l.o.target ? l.o.target : "localhost");
            return 2;
        }
        if (!is_loopback(&l.place.server) && !l.o.really) {
            fprintf(stderr, "wisp_load: %s is another machine, for which this looks like an "
                    "attack. Is it yours? Then say --really\n", l.o.target);
            return 2;
        }
        start_command(&l);
        code = run_processes(&l);
    }
    terminal_give_back(&l.terminal);
    load_take_snapshot(&l);
    if (code == 0 && !l.o.names) code = report(&l);
    free(l.r.samples);
    return code;
}
