/* server_and_three_clients.h - a server with three clients, all of which listen to "r"

   Included after simulated_endpoints.h.
*/
#ifndef SERVER_AND_THREE_CLIENTS_H
#define SERVER_AND_THREE_CLIENTS_H

typedef struct party {
    world     w;
    wisp     *server, *clients[3];
    wisp_peer to_server[3], to_client[3];
} party;

static inline void party_open(party *p) {
    world_open(&p->w);
    p->server = world_add(&p->w);
    for (int i = 0; i < 3; i++) {
        p->clients[i] = world_add(&p->w);
        p->to_server[i] = world_join(&p->w, p->clients[i], p->server);
        p->to_client[i] = world_peer(p->server, i);
        world_watch(&p->w, p->clients[i], "r");
    }
    world_run(&p->w, 0.5);
}

/* How often a client has heard it. */
static inline int party_heard(const party *p, int i) {
    return world_count(&p->w, p->clients[i], "r");
}

#endif /* SERVER_AND_THREE_CLIENTS_H */
