/* login.c - who is let in: a ticket that is good once, for a while, and a refusal in words

   A login service (a table here) gives each account a token; the client joins with it as its
   ticket. A session without a cipher can be read on its way, so a ticket is never a password.

   Build    cc -I.. login.c -o login                     (Windows: add -lws2_32)
   Run      ./login                                      exits 0 when the right ones were let in
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { LOGIN_UNKNOWN = WISP_E_USER - 1, LOGIN_OLD = WISP_E_USER - 2, LOGIN_USED = WISP_E_USER - 3 };

typedef struct account {
    const char *name, *token;
    double      good_until;      /* seconds */
    bool        used, asks;      /* asks: the verdict comes later */
} account;

enum { ACCOUNTS = 3 };
typedef struct logins { account list[ACCOUNTS]; wisp_addr from; double decide_at; } logins;

/* ---- server ---------------------------------------------------------------- */

/* Runs inside wisp_update. Whatever it returns, an address that is not proven never gets here. */
static wisp_result judge(wisp *w, const wisp_addr *from, const void *ticket, int size, void *user) {
    logins *l = user;
    wisp_join_info *join = wisp_joining(w);
    account *a = NULL;
    for (int i = 0; i < ACCOUNTS; i++) {
        const char *token = l->list[i].token;
        if (size == (int)strlen(token) && memcmp(ticket, token, (size_t)size) == 0) a = &l->list[i];
    }
    join->text = !a ? "this ticket is not known, please log in" :
                 a->used ? "this ticket was used already" : "this ticket is too old, log in again";
    if (!a) return LOGIN_UNKNOWN;
    if (a->used) return LOGIN_USED;
    if (wisp_now(w) > a->good_until) return LOGIN_OLD;
    a->used = true;
    join->user = a;              /* wisp_peer_user of the new peer, from WISP_JOINED on */
    join->text = NULL;
    if (!a->asks) return WISP_OK;
    l->from = *from;             /* a database has to be asked: nothing waits for it here */
    l->decide_at = wisp_now(w) + 0.1;
    return WISP_PENDING;
}

static void admit_when_known(wisp *w, logins *l) {
    if (l->decide_at == 0 || wisp_now(w) < l->decide_at) return;
    wisp_admit(w, &l->from, WISP_OK);
    l->decide_at = 0;
}

static void on_joined(wisp_event *event) {
    const account *a = wisp_peer_user(event->w, event->peer);
    wisp_fire(event->w, "welcome", event->peer, wisp_string(a->name));
}

/* ---- client ---------------------------------------------------------------- */

typedef struct attempt { const char *token; wisp_result expected; bool over, good; } attempt;

static void on_welcome(wisp_event *event) {
    attempt *t = event->user;
    printf("%-8s welcome, %s\n", t->token, wisp_arg_string(event, 0));
    t->over = true;
    t->good = t->expected == WISP_OK;
}

static void on_refused(wisp_event *event) {
    attempt *t = event->user;
    if (t->over) return;                         /* the end of a session that was let in */
    printf("%-8s refused: %s (%d)\n", t->token, event->text, event->result);
    t->over = true;
    t->good = t->expected == event->result;
}

/* ---- both ------------------------------------------------------------------- */

static wisp *open_endpoint(udp_socket *u, logins *l) {
    wisp_desc desc = { .link = udp_link(u), .app = "login", .user = l };
    if (l) desc.accept = judge;
    return udp_open(u, "127.0.0.1", 0) ? wisp_create(&desc, NULL) : NULL;
}

static bool try(wisp *server, logins *l, const wisp_addr *address, attempt *t) {
    udp_socket u;
    wisp *w = open_endpoint(&u, NULL);
    double end = udp_seconds() + 5;
    wisp_on(w, "welcome", on_welcome, t);
    wisp_on(w, WISP_LEFT, on_refused, t);
    wisp_join(w, address, t->token, (int)strlen(t->token));
    while (!t->over && udp_seconds() < end) {
        wisp_update(server, udp_clock(NULL));
        admit_when_known(server, l);
        wisp_update(w, udp_clock(NULL));
    }
    wisp_destroy(w);
    udp_close(&u);
    return t->good;
}

int main(void) {
    logins l = { .list = { { .name = "Ada", .token = "a81f", .good_until = 1e9 },
                           { .name = "Bob", .token = "77c0", .good_until = -1 },
                           { .name = "Cy", .token = "e5d2", .good_until = 1e9, .asks = true } } };
    attempt tries[] = { { .token = "a81f" }, { .token = "a81f", .expected = LOGIN_USED },
                        { .token = "77c0", .expected = LOGIN_OLD }, { .token = "e5d2" },
                        { .token = "guess", .expected = LOGIN_UNKNOWN } };
    udp_socket u;
    wisp *server = open_endpoint(&u, &l);
    wisp_addr address;
    bool good = server && udp_resolve("127.0.0.1", udp_port(&u), &address);
    wisp_on(server, WISP_JOINED, on_joined, NULL);
    for (int i = 0; good && i < 5; i++) good = try(server, &l, &address, &tries[i]);
    wisp_destroy(server);
    printf(good ? "done\n" : "something is wrong\n");
    return good ? 0 : 1;
}
