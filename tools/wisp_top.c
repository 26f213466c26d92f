/* wisp_top.c - looks into a running endpoint, in a terminal

   Build    cc -std=c99 -O2 -I. tools/wisp_top.c -o build/wisp_top -lm       (POSIX)
   Run      build/wisp_top [-1] [-p page] [-f filter] [-n frames] [-a app] [-v version] [-t ticket]
                           host port

   Joins the endpoint as any other peer does, invokes its remote "wisp_top" with the filter once a
   second, and draws the snapshot that comes back. Keys: 1 to 5 and tab turn the pages, q ends it.

       -p page     overview, remotes, objects, peers or errors, or its number, 1 to 5
       -f filter   only names that contain it
       -n frames   ends after so many
       -1          one frame, printed without clearing the screen: for scripts
       -a, -v      the other end's desc.app and desc.app_version; "" and 0
       -t ticket   what it is joined with; "wisp_top"

   What is not a terminal gets 80 columns and 30 lines without colours, or what COLUMNS and LINES
   say. Exit codes: 0 done, 1 nobody is there, or it does not offer that, 2 the arguments make no
   sense. The other end offers it in a few lines:

       static void on_top(wisp_event *event) {
           wisp_snapshot now;
           if (wisp_snapshot_take(event->w, wisp_arg_string(event, 0), &now) != WISP_OK) return;
           wisp_reply(event, wisp_struct(wisp_snapshot_schema(), &now));
       }
       ...
       wisp_use_profiler(w, &profiler);
       wisp_on_invoke(w, "wisp_top", on_top, NULL);
*/
#include "../examples/udp.h"    /* first: it asks the system headers for more than C99 offers */

#define WISP_IMPLEMENTATION
#include "wisp.h"

#include "terminal.h"

#define JOIN_SECONDS  5.0
#define REPLY_SECONDS 3.0
#define FRAME_SECONDS 1.0

/* ===========================================================================
 * The other end
 * ======================================================================== */

typedef struct options {
    const char *host, *app, *ticket;
    int         port, frames;                /* frames 0: until it is ended */
    uint32_t    version;
    bool        once;
} options;

typedef struct top {
    options        o;
    udp_socket     socket;
    wisp          *w;
    wisp_result    result;                   /* of the last call */
    char           text[256];
    wisp_snapshot  snapshot;
    terminal       terminal;
} top;

static void on_reply(wisp_event *event) {
    top *t = event->user;
    const wisp_snapshot *snapshot = NULL;
    t->result = event->result;
    snprintf(t->text, sizeof t->text, "%s", event->text ? event->text : "");
    if (event->result != WISP_OK) return;
    snapshot = wisp_arg_struct(event, 0, wisp_snapshot_schema());
    if (snapshot) t->snapshot = *snapshot;
    else t->result = WISP_E_TYPE;
}

/* Asks and waits, no longer than REPLY_SECONDS. */
static bool ask(top *t) {
    wisp_call_desc how = { .on_reply = on_reply, .user = t, .timeout = REPLY_SECONDS };
    wisp_value filter = wisp_string(t->terminal.filter ? t->terminal.filter : "");
    wisp_call call;
    t->result = WISP_E_TIMEOUT;
    t->text[0] = 0;
    call = wisp_invoke_values(t->w, "wisp_top", wisp_to_peer(WISP_SERVER), &how, &filter, 1);
    if (call.id) wisp_await_reply(t->w, call, NULL, NULL, udp_clock, NULL);
    else t->result = wisp_why(t->w);
    return t->result == WISP_OK;
}

static void complain(const top *t, const char *what, wisp_result why) {
    bool absent = why == WISP_E_NO_REMOTE || why == WISP_E_NO_HANDLER;
    fprintf(stderr, "wisp_top: %s:%d %s: %s%s%s\n", t->o.host, t->o.port, what,
            absent ? "it does not offer the remote \"wisp_top\"" : wisp_result_text(why),
            *t->text ? ", " : "", t->text);
}

static bool watch(top *t) {
    terminal *to = &t->terminal;
    for (int frame = 0; !to->ended && !interrupted;) {
        double next = udp_seconds() + FRAME_SECONDS;
        if (!ask(t)) return false;
        if (!t->o.once) terminal_take(to);       /* the first answer has come: the screen is ours */
        terminal_draw(to, &t->snapshot);
        if (++frame == t->o.frames) return true;
        while (udp_seconds() < next && !to->ended && !interrupted) {
            udp_wait(&t->socket, 0.02);
            wisp_update(t->w, udp_seconds());
            if (terminal_keys(to)) terminal_draw(to, &t->snapshot);
        }
    }
    return true;
}

static bool join(top *t) {
    wisp_desc desc = { .app = t->o.app, .app_version = t->o.version, .refuse_joins = true,
                       .timeout = JOIN_SECONDS };
    wisp_addr address;
    wisp_result result = WISP_E_LINK;
    bool open = udp_open(&t->socket, NULL, 0);
    if (!udp_resolve(t->o.host, t->o.port, &address)) {
        fprintf(stderr, "wisp_top: %s: no such host\n", t->o.host);
        return false;
    }
    desc.link = udp_link(&t->socket);
    if (open) t->w = wisp_create(&desc, &result);
    if (t->w && wisp_join(t->w, &address, t->o.ticket, (int)strlen(t->o.ticket)).id)
        result = wisp_await_ready(t->w, udp_clock, NULL, JOIN_SECONDS);
    if (result != WISP_OK) complain(t, "cannot be joined", result);
    return result == WISP_OK;
}

/* ===========================================================================
 * The command line
 * ======================================================================== */

static const char usage[] =
    "usage: wisp_top [-1] [-p page] [-f filter] [-n frames] [-a app] [-v version] [-t ticket]\n"
    "                host port\n";

/* -1: no such page. */
static int page_of(const char *text) {
    static const char *const names[WISP_PAGES] = { "overview", "remotes", "objects", "peers",
                                                   "errors" };
    for (int i = 0; i < WISP_PAGES; i++)
        if (strcmp(text, names[i]) == 0 || (text[0] == '1' + i && !text[1])) return i;
    return -1;
}

/* One option that has an argument; false: there is none of that name, or it makes no sense. */
static bool read_option(top *t, char name, const char *text) {
    options *o = &t->o;
    char *end = NULL;
    switch (name) {
    case 'p': t->terminal.page = page_of(text); return t->terminal.page >= 0;
    case 'f': t->terminal.filter = text; return true;
    case 'a': o->app = text; return true;
    case 't': o->ticket = text; return true;
    case 'v': o->version = (uint32_t)strtoul(text, &end, 10); return *text && !*end;
    case 'n': o->frames = atoi(text); return o->frames > 0;
    default: return false;
    }
}

static bool read_options(top *t, int argc, char **argv) {
    options *o = &t->o;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "-1") == 0) {
            o->once = true;
            o->frames = 1;
            continue;
        }
        if (!argv[at][1] || argv[at][2] || at + 1 == argc) return false;
        if (!read_option(t, argv[at][1], argv[at + 1])) return false;
        at++;
    }
    if (at + 2 != argc) return false;
    o->host = argv[at];
    o->port = atoi(argv[at + 1]);
    return o->port > 0 && o->port < 65536;
}

int main(int argc, char **argv) {
    static top t;
    bool done;
    t.o.app = "";
    t.o.ticket = "wisp_top";
    if (!read_options(&t, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    done = join(&t) && watch(&t);
    terminal_give_back(&t.terminal);
    if (!done && t.result) complain(&t, "gives no answer", t.result);
    wisp_destroy(t.w);
    udp_close(&t.socket);
    return done ? 0 : 1;
}
