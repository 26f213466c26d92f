/* lan.c - finds the servers of a LAN, without an address: wisp_query and wisp_set_info

   Build    cc -I.. lan.c -o lan                        (Windows: add -lws2_32)
   Run      ./lan serve "Ada's game"                    on some machines of the LAN
            ./lan                                       lists them
            ./lan --demo                                three servers and a list in one process
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdlib.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { PORT = 7790, SERVERS = 3 };      /* a machine may run several: each has a port of its own */

static wisp *open_endpoint(udp_socket *u, int port, const char *info) {
    wisp_desc desc = { .link = udp_link(u), .app = "lan-example" };
    desc.info = info;                   /* NULL: this one does not answer */
    desc.info_bytes = info ? (int)strlen(info) : 0;
    return udp_open(u, NULL, port) ? wisp_create(&desc, NULL) : NULL;
}

static wisp *open_server(udp_socket *u, const char *name) {
    for (int port = PORT; port < PORT + SERVERS; port++) {
        wisp *w = open_endpoint(u, port, name);
        if (w) return w;
    }
    return NULL;
}

/* --- the list ------------------------------------------------------------ */

typedef struct list { int open, found; } list;          /* questions that have not ended */

static void on_info(wisp_event *event) {
    list *l = event->user;
    char address[64];
    int size;
    if (!event->count) {                /* the end of a question */
        l->open--;
        return;
    }
    const char *name = wisp_arg_bytes(event, 0, &size);
    udp_text(event->from, address, (int)sizeof address);
    printf("%-24s %.*s (%.1f ms)\n", address, size, name, wisp_arg_number(event, 1) * 1000);
    l->found++;
}

static void ask(wisp *w, const char *host, int port, list *l) {
    wisp_addr addr;
    if (udp_resolve(host, port, &addr) && wisp_query(w, &addr, on_info, l) == WISP_OK) l->open++;
}

static void update(wisp **ends, int count) {
    for (int i = 0; i < count; i++) wisp_update(ends[i], udp_seconds());
    udp_sleep(0.01);
}

/* Three servers at any ports of this machine, asked one by one: a test has no LAN. */
static int demo(void) {
    static const char *const names[SERVERS] = { "Ada", "Grace", "Margaret" };
    static udp_socket sockets[SERVERS + 1];
    wisp *ends[SERVERS + 1];
    list l = { 0, 0 };
    for (int i = 0; i <= SERVERS; i++) {
        ends[i] = open_endpoint(&sockets[i], 0, i < SERVERS ? names[i] : NULL);
        if (!ends[i]) return 1;
    }
    for (int i = 0; i < SERVERS; i++) ask(ends[SERVERS], "127.0.0.1", udp_port(&sockets[i]), &l);
    while (l.open) update(ends, SERVERS + 1);
    for (int i = 0; i <= SERVERS; i++) {
        wisp_destroy(ends[i]);
        udp_close(&sockets[i]);
    }
    return l.found == SERVERS ? 0 : 1;
}

int main(int argc, char **argv) {
    static udp_socket socket;
    bool serves = argc > 2 && strcmp(argv[1], "serve") == 0;
    list l = { 0, 0 };
    wisp *w;
    if (argc > 1 && strcmp(argv[1], "--demo") == 0) return demo();
    w = serves ? open_server(&socket, argv[2]) : open_endpoint(&socket, 0, NULL);
    if (!w) {
        printf("no port is free\n");
        return 1;
    }
    for (int port = PORT; !serves && port < PORT + SERVERS; port++)
        ask(w, "255.255.255.255", port, &l);
    while (serves || l.open) update(&w, 1);
    if (!serves) printf("%d found\n", l.found);
    wisp_destroy(w);
    udp_close(&socket);
    return 0;
}
