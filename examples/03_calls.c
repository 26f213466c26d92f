/* 03_calls.c - calls: ask another endpoint by name and get an answer

   Shows every way a call can end: a reply, a refusal with a code and a text, an answer given later,
   a timeout, a cancelled call, and a server that calls its client.

   Build    cc -I.. 03_calls.c -o calls          (Windows: add -lws2_32)
   Run      ./calls                              exits 0 when each call ended as it should
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */

#include <stdio.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { DIVIDED_BY_ZERO = WISP_E_USER - 1 };

/* ---- what the server answers ------------------------------------------- */

static void divide(wisp_event *event) {
    int64_t a = wisp_arg_int(event, 0), b = wisp_arg_int(event, 1);
    if (b == 0) {
        wisp_refuse(event, DIVIDED_BY_ZERO, "%d by nothing?", (int)a);
        return;
    }
    wisp_reply(event, wisp_int(a / b), wisp_int(a % b));
}

typedef struct later { wisp_call call; double due; } later;

/* Does not answer now: takes the call along and is done. */
static void think(wisp_event *event) {
    later *thought = event->user;
    thought->call = wisp_defer(event);
    thought->due = event->time + 0.2;
}

static void answer_if_due(wisp *server, later *thought) {
    wisp_value answer = wisp_int(42);
    if (thought->call.id == 0 || wisp_now(server) < thought->due) return;
    wisp_answer(server, thought->call, &answer, 1);
    thought->call.id = 0;
}

static void never(wisp_event *event) { wisp_defer(event); }

/* ---- what the client answers ------------------------------------------- */

static void name(wisp_event *event) { wisp_reply(event, wisp_string("Ada")); }

/* ---- what the callers expect ------------------------------------------- */

typedef struct question {
    const char *text;
    wisp_result expected;
    int         answers;      /* must become 1, never 2 */
    bool        good;
} question;

static void on_answer(wisp_event *event) {
    question *q = event->user;
    q->answers++;
    q->good = event->result == q->expected;
    printf("%-24s -> ", q->text);
    if (event->result == DIVIDED_BY_ZERO) printf("our own code: %s\n", event->text);
    else if (event->result != WISP_OK) printf("%s\n", wisp_result_text(event->result));
    else if (event->count == 2) printf("%d rest %d\n", (int)wisp_arg_int(event, 0),
                                       (int)wisp_arg_int(event, 1));
    else if (wisp_kind_of(wisp_arg_value(event, 0)) == WISP_STRING) {
        printf("%s\n", wisp_arg_string(event, 0));
    } else printf("%d\n", (int)wisp_arg_int(event, 0));
}

enum { QUESTIONS = 7 };
static question questions[QUESTIONS] = {
    { "17 / 5", WISP_OK, 0, false },
    { "17 / 0", DIVIDED_BY_ZERO, 0, false },
    { "think (answered later)", WISP_OK, 0, false },
    { "never (timeout 0.3 s)", WISP_E_TIMEOUT, 0, false },
    { "never (cancelled)", WISP_E_CANCELLED, 0, false },
    { "a name nobody answers", WISP_E_NO_REMOTE, 0, false },
    { "server asks: your name?", WISP_OK, 0, false },
};

static void ask(wisp *client) {
    question *q = questions;
    wisp_call_desc brief = { 0 };
    wisp_call dropped;
    brief.on_reply = on_answer;
    brief.user = &q[3];
    brief.timeout = 0.3;
    wisp_invoke(client, "divide", WISP_SERVER, on_answer, &q[0], wisp_int(17), wisp_int(5));
    wisp_invoke(client, "divide", WISP_SERVER, on_answer, &q[1], wisp_int(17), wisp_int(0));
    wisp_invoke(client, "think", WISP_SERVER, on_answer, &q[2]);
    wisp_invoke_values(client, "never", wisp_to_peer(WISP_SERVER), &brief, NULL, 0);
    dropped = wisp_invoke(client, "never", WISP_SERVER, on_answer, &q[4]);
    wisp_cancel(client, dropped);
    wisp_invoke(client, "nonsense", WISP_SERVER, on_answer, &q[5]);
}

/* The other direction: a server may call whoever has joined. */
static void on_joined(wisp_event *event) {
    wisp_invoke(event->w, "name", event->peer, on_answer, &questions[6]);
}

static int answered(void) {
    int i, n = 0;
    for (i = 0; i < QUESTIONS; i++) n += questions[i].good && questions[i].answers == 1;
    return n;
}

static void converse(wisp *server, wisp *client, const wisp_addr *address) {
    later thought = { { 0 }, 0 };
    double end = udp_seconds() + 5;
    wisp_on(server, WISP_JOINED, on_joined, NULL);
    wisp_on_invoke(server, "divide", divide, NULL);
    wisp_on_invoke(server, "think", think, &thought);
    wisp_on_invoke(server, "never", never, NULL);
    wisp_on_invoke(client, "name", name, NULL);
    wisp_join(client, address, NULL, 0);
    ask(client);
    while (answered() < QUESTIONS && udp_seconds() < end) {
        double now = udp_clock(NULL);
        wisp_update(server, now);
        answer_if_due(server, &thought);
        wisp_update(client, now);
    }
}

int main(void) {
    udp_socket sockets[2];
    wisp *ends[2] = { NULL, NULL };                /* server, client */
    wisp_addr address;
    int i;
    for (i = 0; i < 2; i++) {
        wisp_desc desc = { 0 };
        desc.link = udp_link(&sockets[i]);
        if (udp_open(&sockets[i], "127.0.0.1", 0)) ends[i] = wisp_create(&desc, NULL);
    }
    if (ends[0] && ends[1] && udp_resolve("127.0.0.1", udp_port(&sockets[0]), &address)) {
        converse(ends[0], ends[1], &address);
    }
    for (i = 0; i < 2; i++) wisp_destroy(ends[i]);
    for (i = 0; i < 2; i++) udp_close(&sockets[i]);
    printf("%d of %d calls ended as expected, each once\n", answered(), QUESTIONS);
    return answered() == QUESTIONS ? 0 : 1;
}
