/* 21_sealed.c - a sealed session: nobody in between can read or change it (needs libsodium)

   Build    cc -I.. 21_sealed.c -o sealed -lsodium     (Windows: add -lws2_32)
   Run      ./sealed                    a server and a client, and what is on the wire
            ./sealed server 7777        prints its public key
            ./sealed client 7777 KEY    in another terminal, or on another machine

   The client knows the server's public key before it joins, as it knows its address. Its ticket,
   and all that follows, is encrypted so that only the owner of that key can read it; whoever
   records it all and steals the key later cannot read it either. */
#include "udp.h"
#define WISP_IMPLEMENTATION
#include "wisp.h"
#include "wisp_sodium.h"

typedef struct program {
    udp_socket socket;
    wisp      *w;
    int        datagrams, readable;         /* sent; of these, with the text in them */
    bool       over;
} program;

static const char spoken[] = "meet me at the old mill";

/* A link around a link: looks at all that is sent. */
static int send_looking(void *user, wisp_packet *packets, int count) {
    program *p = user;
    wisp_link link = udp_link(&p->socket);
    for (int i = 0; i < count; i++) {
        const char *bytes = packets[i].data;
        int found = 0;
        for (int k = 0; k + (int)strlen(spoken) <= packets[i].size && !found; k++)
            found = memcmp(bytes + k, spoken, strlen(spoken)) == 0;
        p->datagrams++;
        p->readable += found;
    }
    return link.send(link.user, packets, count);
}

static int recv_all(void *user, wisp_packet *packets, int count) {
    wisp_link link = udp_link(&((program *)user)->socket);
    return link.recv(link.user, packets, count);
}

static wisp_result on_join(wisp *w, const wisp_addr *from, const void *ticket, int size,
                           void *user) {
    (void)from, (void)user;
    printf("server: %.*s wants in, %s\n", size, (const char *)ticket,
           wisp_joining(w)->sealed ? "sealed" : "for all to see");
    return WISP_OK;
}

static void on_say(wisp_event *event) {
    printf("server: \"%s\"\n", wisp_arg_string(event, 0));
    wisp_fire(event->w, "heard", event->peer, wisp_string(wisp_arg_string(event, 0)));
}

static void on_heard(wisp_event *event) {
    printf("client: was heard, %s\n", wisp_is_sealed(event->w, event->peer) ? "sealed" : "plain");
    wisp_leave(event->w, event->peer, "that was all");
}

static void on_left(wisp_event *event) {
    program *p = event->user;
    if (event->result != WISP_OK) printf("%s: %s\n", wisp_result_text(event->result), event->text);
    p->over = true;
}

static bool start(program *p, int port, const uint8_t *secret_key) {
    wisp_desc desc = { 0 };
    memset(p, 0, sizeof *p);
    if (!udp_open(&p->socket, NULL, port)) return false;
    desc.link = udp_link(&p->socket);
    desc.link.send = send_looking;
    desc.link.recv = recv_all;
    desc.link.user = p;
    desc.app = "sealed";
    desc.cipher = wisp_sodium();
    desc.secret_key = secret_key;                 /* NULL: only joins others */
    desc.require_sealed = true;                   /* no other joins, here and elsewhere */
    desc.accept = on_join;
    p->w = wisp_create(&desc, NULL);
    if (!p->w) return false;
    wisp_on(p->w, "say", on_say, p);
    wisp_on(p->w, "heard", on_heard, p);
    wisp_on(p->w, WISP_LEFT, on_left, p);
    return true;
}

static void stop(program *p) {
    wisp_destroy(p->w);
    udp_close(&p->socket);
}

static bool join(program *p, int port, const uint8_t *server_key) {
    wisp_addr address;
    if (!udp_resolve("127.0.0.1", port, &address)) return false;
    wisp_join_sealed(p->w, &address, server_key, "Ada", 3);
    return wisp_fire(p->w, "say", WISP_SERVER, wisp_string(spoken)) == WISP_OK;
}

static int usage(void) {
    puts("usage: 21_sealed [server PORT | client PORT KEY]");
    return 1;
}

int main(int argc, char **argv) {
    static program server, client;
    uint8_t secret_key[WISP_KEY_BYTES], server_key[WISP_KEY_BYTES];
    char text[2 * WISP_KEY_BYTES + 1];
    bool serves = argc == 1 || strcmp(argv[1], "server") == 0, joins = argc == 1 || !serves;
    int port = argc > 2 ? atoi(argv[2]) : 0;
    const wisp_cipher *cipher = wisp_sodium();
    if (!cipher || (argc != 1 && argc != (serves ? 3 : 4))) return usage();
    if (serves) {
        cipher->keypair(cipher->user, secret_key, server_key);  /* a real one keeps it in a file */
        sodium_bin2hex(text, sizeof text, server_key, sizeof server_key);
        if (!start(&server, port, secret_key)) return 1;
        if (!joins) printf("server: my key is %s\n", text);
        fflush(stdout);
        port = udp_port(&server.socket);
    } else if (sodium_hex2bin(server_key, sizeof server_key, argv[3], strlen(argv[3]), NULL, NULL,
                              NULL) != 0) {
        return usage();
    }
    if (joins && (!start(&client, 0, NULL) || !join(&client, port, server_key))) return 1;
    for (double until = udp_clock(NULL) + 60; udp_clock(NULL) < until;) {
        double now = udp_clock(NULL);
        if (serves) wisp_update(server.w, now);
        if (joins) wisp_update(client.w, now);
        if (serves ? server.over : client.over) break;
    }
    printf("%d datagrams, of which %d can be read\n", server.datagrams + client.datagrams,
           server.readable + client.readable);
    if (joins) stop(&client);
    if (serves) stop(&server);
    return (serves ? server.over : client.over) ? 0 : 1;
}
