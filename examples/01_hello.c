/* 01_hello.c - two endpoints talk by name

   One endpoint lets others join, the other joins it. They live in one process here, but what they
   say to each other travels as real UDP over 127.0.0.1; in two programs each would keep its half.

   Build    cc -I.. 01_hello.c -o hello          (Windows: add -lws2_32)
   Run      ./hello                              exits 0 when the greeting has come back
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */

#include <stdio.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"

/* ---- the server's half ------------------------------------------------- */

static void on_joined(wisp_event *event) {
    char text[64];
    printf("server: %s has joined\n", udp_text(wisp_peer_addr(event->w, event->peer), text, 64));
}

static void on_hello(wisp_event *event) {
    const char *name = wisp_arg_string(event, 0);
    int64_t     year = wisp_arg_int(event, 1);
    printf("server: hello from %s, born in %d\n", name, (int)year);
    wisp_fire(event->w, "welcome", event->peer, wisp_string("Pleased to meet you"),
              wisp_string(name), wisp_color3(0, 1, 0));
}

/* ---- the client's half ------------------------------------------------- */

static void on_welcome(wisp_event *event) {
    wisp_color color = wisp_arg_color(event, 2);
    printf("client: \"%s, %s!\" (green: %s)\n", wisp_arg_string(event, 0),
           wisp_arg_string(event, 1), color.g > 0.5f ? "yes" : "no");
    *(bool *)event->user = true;
}

static void on_error(wisp_event *event) {
    printf("error: %s (%s)\n", wisp_result_text(event->result), event->text);
}

/* ---- both -------------------------------------------------------------- */

static wisp *open_endpoint(udp_socket *socket, bool joins_only) {
    wisp_desc desc = { 0 };
    wisp_result why = WISP_E_LINK;
    wisp *w = NULL;
    if (udp_open(socket, "127.0.0.1", 0)) {
        desc.link = udp_link(socket);
        desc.app = "hello";                       /* both ends must agree */
        desc.refuse_joins = joins_only;
        w = wisp_create(&desc, &why);
    }
    if (!w) fprintf(stderr, "cannot open an endpoint: %s\n", wisp_result_text(why));
    return w;
}

static bool greet(wisp *server, wisp *client, int port) {
    bool welcomed = false;
    wisp_addr address;
    double end = udp_seconds() + 5;

    wisp_on(server, WISP_JOINED, on_joined, NULL);
    wisp_on(server, WISP_ERROR, on_error, NULL);
    wisp_on(server, "hello", on_hello, NULL);
    wisp_on(client, WISP_ERROR, on_error, NULL);
    wisp_on(client, "welcome", on_welcome, &welcomed);

    if (!udp_resolve("127.0.0.1", port, &address)) return false;
    wisp_join(client, &address, NULL, 0);
    /* Fired before the join is through: it waits in the queue. */
    wisp_fire(client, "hello", WISP_SERVER, wisp_string("Ada"), wisp_int(1815));

    while (!welcomed && udp_seconds() < end) {
        double now = udp_clock(NULL);
        wisp_update(server, now);
        wisp_update(client, now);
    }
    return welcomed;
}

int main(void) {
    udp_socket server_socket, client_socket;
    wisp *server = open_endpoint(&server_socket, false);
    wisp *client = open_endpoint(&client_socket, true);
    bool good = server && client && greet(server, client, udp_port(&server_socket));

    wisp_destroy(client);
    wisp_destroy(server);
    udp_close(&client_socket);
    udp_close(&server_socket);
    printf(good ? "done\n" : "no greeting came back\n");
    return good ? 0 : 1;
}
