/* 18_transaction.c - a trade that happens as a whole or not at all

   Ada buys a sword and a shield in one transaction: gold goes, things come, and everybody is told.
   For a second shield there is not enough gold: then nothing has happened, and nobody was told of
   anything, although the first part of it had been carried out already.

   Build    cc -I.. 18_transaction.c -o transaction      (Windows: add -lws2_32)
   Run      ./transaction                                exits 0 when all was as it should be
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdio.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { POOR = WISP_E_USER - 1 };

/* ---- server -------------------------------------------------------------- */

static int rung;                       /* outside of wisp: how often the till has rung */

static void unring(void *user) { (void)user, rung--; }

/* An event, which is refused like a call when it is part of a transaction. */
static void on_pay(wisp_event *event) {
    int64_t gold = wisp_int_of(wisp_get(event->w, "gold")), price = wisp_arg_int(event, 0);
    if (price > gold) {
        wisp_refuse(event, POOR, "%d gold is not there", (int)price);
        return;
    }
    wisp_set(event->w, "gold", wisp_int(gold - price));      /* taken back by itself; .. */
    rung++;
    wisp_undo(event, unring, NULL);                          /* .. this is not */
    wisp_fire_all(event->w, "news", wisp_string("sold"));    /* goes when all holds */
}

static void on_take(wisp_event *event) {
    wisp_set(event->w, "owned", wisp_string(wisp_arg_string(event, 0)));
    wisp_reply(event, wisp_string(wisp_arg_string(event, 0)));
}

/* ---- Ada ----------------------------------------------------------------- */

static int news, done;
static wisp_result last;

static void on_news(wisp_event *event) { news++, printf("news: %s\n", wisp_arg_string(event, 0)); }

static void on_taken(wisp_event *event) {
    printf("take: %s\n", event->result ? wisp_result_text(event->result)
                                       : wisp_arg_string(event, 0));
}

static void on_done(wisp_event *event) {
    done++;
    last = event->result;
    if (event->result == WISP_OK) printf("all done\n");
    else printf("part %d was refused: %s\n", (int)wisp_arg_int(event, 0), event->text);
}

static void buy(wisp *w, const char *thing, int price, const char *more, int more_price) {
    wisp_begin(w, WISP_SERVER);
    wisp_fire(w, "pay", WISP_SERVER, wisp_int(price));                       /* part 0 */
    wisp_invoke(w, "take", WISP_SERVER, on_taken, NULL, wisp_string(thing));   /* part 1 */
    wisp_fire(w, "pay", WISP_SERVER, wisp_int(more_price));
    wisp_invoke(w, "take", WISP_SERVER, on_taken, NULL, wisp_string(more));
    if (!wisp_commit(w, on_done, NULL).id) printf("not sent: %s\n", wisp_why_text(w));
}

static wisp *open_end(udp_socket *socket) {
    wisp_desc desc = { .link = udp_link(socket), .app = "shop" };
    wisp_property_desc gold = { .initial = wisp_int(100) }, owned = { .initial = wisp_nil() };
    wisp *w = udp_open(socket, "127.0.0.1", 0) ? wisp_create(&desc, NULL) : NULL;
    if (wisp_property(w, "gold", &gold) || wisp_property(w, "owned", &owned)) return NULL;
    return w;
}

static bool run_until(wisp *server, wisp *ada, int count) {
    for (double end = udp_seconds() + 5; udp_seconds() < end && done < count;) {
        wisp_update(server, udp_clock(NULL));
        wisp_update(ada, udp_clock(NULL));
    }
    return done == count;
}

int main(void) {
    udp_socket sockets[2];
    wisp *server = open_end(&sockets[0]), *ada = open_end(&sockets[1]);
    wisp_addr address;
    bool good = server && ada && udp_resolve("127.0.0.1", udp_port(&sockets[0]), &address);
    if (!good) return 1;
    wisp_on(server, "pay", on_pay, NULL);
    wisp_on_invoke(server, "take", on_take, NULL);
    wisp_on(ada, "news", on_news, NULL);
    wisp_join(ada, &address, NULL, 0);
    buy(ada, "a sword", 30, "a shield", 40);
    good = run_until(server, ada, 1) && last == WISP_OK && rung == 2;
    buy(ada, "a helmet", 20, "a second shield", 40);
    good = run_until(server, ada, 2) && last == POOR && rung == 2 && good;
    good = news == 2 && wisp_int_of(wisp_get(server, "gold")) == 30 && good;
    printf("the server has %d gold left for her\n", (int)wisp_int_of(wisp_get(server, "gold")));
    wisp_destroy(ada);
    wisp_destroy(server);
    udp_close(&sockets[0]);
    udp_close(&sockets[1]);
    printf("%s\n", good ? "as it should be" : "WRONG");
    return good ? 0 : 1;
}
