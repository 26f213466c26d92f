/* sealed_pair.h - a server and a client whose sessions are sealed, with a spy between them

   Included after simulated_endpoints.h and handshake_packets.h. */
#ifndef SEALED_PAIR_H
#define SEALED_PAIR_H

#include "fake_cipher.h"

typedef struct sealed_pair {
    scene       c;
    fake_cipher there, here;              /* the server's and the client's */
    uint8_t     secret[WISP_KEY_BYTES], key[WISP_KEY_BYTES], reset[WISP_KEY_BYTES];
    const wisp_cipher *server_cipher, *client_cipher;     /* NULL: the fake ones */
    const char *refuse;                   /* what `accept` says no with; NULL: yes */
    bool        sealed;                   /* what `accept` saw last, .. */
    int         ticket_size;
    char        ticket[512];              /* .. and was given */
    bool        resets, required, plain;  /* of the server; plain: it has no key */
    bool        pending;
} sealed_pair;

static inline wisp_result sealed_accept(wisp *w, const wisp_addr *from, const void *ticket,
                                        int size, void *user) {
    sealed_pair *p = (sealed_pair *)user;
    (void)from;
    p->sealed = wisp_joining(w)->sealed;
    p->ticket_size = size;
    if (size) memcpy(p->ticket, ticket, (size_t)size);
    wisp_joining(w)->text = p->refuse;
    return p->refuse ? WISP_E_USER - 5 : p->pending ? WISP_PENDING : WISP_OK;
}

static inline void sealed_open(sealed_pair *p) {
    memset(p, 0, sizeof *p);
    scene_open(&p->c);
    p->server_cipher = fake_open(&p->there, 1);
    p->client_cipher = fake_open(&p->here, 2);
    fake_watched(&p->there);
    fake_watched(&p->here);
    memset(p->reset, 0x5a, sizeof p->reset);
    p->server_cipher->keypair(&p->there, p->secret, p->key);
}

/* The server, anew with the same keys. */
static inline wisp *sealed_serve(sealed_pair *p) {
    wisp_desc *desc = &p->c.t.w.desc;
    desc->cipher = p->server_cipher;
    desc->secret_key = p->plain ? NULL : p->secret;
    desc->reset_secret = p->resets ? p->reset : NULL;
    desc->require_sealed = p->required;
    desc->accept = sealed_accept;
    desc->user = p;
    p->c.t.server = scene_add(&p->c);
    desc->secret_key = desc->reset_secret = NULL;
    desc->require_sealed = false;
    desc->cipher = p->client_cipher;
    desc->accept = NULL;
    return p->c.t.server;
}

static inline void sealed_ends(sealed_pair *p) {
    sealed_serve(p);
    p->c.t.client = scene_add(&p->c);
}

/* Asks to join with a ticket; the key is that of the server. */
static inline wisp_peer sealed_ask(sealed_pair *p, const char *ticket) {
    wisp_addr addr = world_addr(&p->c.t.w, p->c.t.server);
    p->c.t.to_server = wisp_join_sealed(p->c.t.client, &addr, p->key, ticket, (int)strlen(ticket));
    CHECK(p->c.t.to_server.id != 0);
    return p->c.t.to_server;
}

static inline bool sealed_joined(sealed_pair *p) {
    p->c.t.to_client = world_peer(p->c.t.server, 0);
    return wisp_peers(p->c.t.server, NULL, 0) == 1 && wisp_peers(p->c.t.client, NULL, 0) == 1;
}

static inline void sealed_join(sealed_pair *p) {
    sealed_ends(p);
    sealed_ask(p, "ticket");
    world_run(&p->c.t.w, 0.5);
    CHECK(sealed_joined(p));
}

static inline void sealed_close(sealed_pair *p) {
    p->c.t.w.unchecked = true;
    scene_close(&p->c);
    CHECK_EQ_INT(p->there.reused + p->here.reused, 0);
    fake_close(&p->there);
    fake_close(&p->here);
}

/* A number goes each way, and arrives. */
static inline bool sealed_talks(sealed_pair *p, int64_t number) {
    world_two *t = &p->c.t;
    world_watch(&t->w, t->server, "up");
    world_watch(&t->w, t->client, "down");
    world_forget(&t->w);
    if (world_fire(t->client, "up", t->to_server, number) != WISP_OK) return false;
    if (world_fire(t->server, "down", t->to_client, number) != WISP_OK) return false;
    world_run(&t->w, 1.5);
    return world_last(&t->w, t->server, "up")->number == number &&
           world_last(&t->w, t->client, "down")->number == number;
}

#endif
