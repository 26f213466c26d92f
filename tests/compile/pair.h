/* pair.h - two endpoints over a loopback, for the programs in this folder; C99 and C++11 */
#ifndef PAIR_H
#define PAIR_H

#include "../../wisp.h"

#include <stdio.h>
#include <string.h>

typedef struct pair {
    wisp_pipe pipe;             /* zero, or with memory and capacity set, before pair_open */
    wisp     *server, *client;
    wisp_peer client_peer;      /* the client, as the server knows it */
    double    now;
} pair;

enum { PAIR_UPDATES = 2000 };   /* 20 seconds of pretended time: then it does not work */

static inline void pair_update(pair *p) {
    p->now += 0.01;
    wisp_update(p->server, p->now);
    wisp_update(p->client, p->now);
}

/* Updates until `count` things have happened. */
static inline bool pair_wait(pair *p, const int *happened, int count) {
    for (int i = 0; i < PAIR_UPDATES && *happened < count; i++) pair_update(p);
    return *happened >= count;
}

/* Creates both ends from one desc, whose link is set here, and joins them. */
static inline bool pair_open(pair *p, wisp_desc *desc) {
    wisp_addr address = wisp_loopback_addr(0);
    desc->link = wisp_loopback(&p->pipe, 0);
    p->server = wisp_create(desc, NULL);
    desc->link = wisp_loopback(&p->pipe, 1);
    p->client = wisp_create(desc, NULL);
    if (!p->server || !p->client) return false;
    wisp_join(p->client, &address, NULL, 0);
    for (int i = 0; i < PAIR_UPDATES && wisp_peers(p->server, NULL, 0) < 1; i++) pair_update(p);
    return wisp_peers(p->server, &p->client_peer, 1) == 1;
}

static inline void pair_close(pair *p) {
    wisp_destroy(p->client);
    wisp_destroy(p->server);
    wisp_pipe_free(&p->pipe);
}

/* What a handler has seen: `good` calls with the values that were to come, and others. */
typedef struct tally {
    int good, bad;
} tally;

/* For main: says what went wrong, and gives the exit code. */
static inline int pair_verdict(const char *name, bool good) {
    printf("%s: %s\n", name, good ? "works" : "does not work");
    return good ? 0 : 1;
}

#endif /* PAIR_H */
