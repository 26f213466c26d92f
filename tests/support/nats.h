/* nats.h - endpoints behind simulated NATs, on a simulated internet

       nats n;
       nats_open(&n, 1);                                   // seed
       int server = nats_host(&n, nats_box(&n, NATS_NONE, 0));
       int ada    = nats_host(&n, nats_box(&n, NATS_PORT, 0));
       desc.link  = nats_link(&n, ada);                    // one endpoint for each host
       n.hosts[ada].end = wisp_create(&desc, NULL);
       nats_run(&n, 1.5);                                  // seconds; updates all endpoints
       nats_close(&n);                                     // destroys them

   Included after wisp.h, whose public half is all that it uses. A box owns one public IPv4 address
   and stands before its hosts, each with one socket. Kinds by RFC 4787 (in words of RFC 3489):

     NATS_NONE       no translation; everything comes in
     NATS_FULL_CONE  one public port for each host; from then on everything comes in (full cone)
     NATS_ADDRESS    the same; only from addresses to which the host has sent (restricted cone)
     NATS_PORT       the same; only from addresses and ports to which it has sent (port-restricted)
     NATS_SYMMETRIC  another public port for each address and port to which the host sends, and only
                     those come in

   A mapping and each permission to come in lasts for `timeout` seconds after the last datagram that
   went out through it; a mapping made anew has a new port. Hosts behind one box reach each other
   through its public address if `hairpins` is set (it is by nats_box).
   Addresses are packed as examples/udp.h packs them. Datagrams are lost with the chance `loss` and
   take `latency` and up to `jitter` seconds more. The same seed gives the same run.
*/
#ifndef NATS_H
#define NATS_H

#include <stdlib.h>
#include <string.h>

enum { NATS_NONE, NATS_FULL_CONE, NATS_ADDRESS, NATS_PORT, NATS_SYMMETRIC, NATS_KINDS };
enum { NATS_BOXES = 9, NATS_HOSTS = 9, NATS_FLOWS = 64, NATS_BYTES = 1200, NATS_FIRST_PORT = 1024 };

/* One row of a box's table: a host may be reached from `remote` through `port`. Kinds other than
   NATS_SYMMETRIC have the same port in all rows of one host. */
typedef struct nats_flow {
    int       host, port;
    wisp_addr remote;
    double    used;                     /* when the host last sent; < 0: the row is free */
} nats_flow;

typedef struct nats_box_state {
    int       kind, next_port;
    double    timeout;                  /* seconds */
    bool      hairpins;
    unsigned  filtered;                 /* datagrams that were not let in */
    nats_flow flows[NATS_FLOWS];
} nats_box_state;

typedef struct nats_datagram {
    struct nats_datagram *next;
    double    due;
    wisp_addr from, to;
    int       size;
    unsigned char bytes[NATS_BYTES];
} nats_datagram;

typedef struct nats_host_state {
    struct nats   *n;
    int            index, box;
    wisp          *end;                 /* may be NULL */
    nats_datagram *first, *last;        /* arrived, and not yet received */
    unsigned       sent, received;
} nats_host_state;

typedef struct nats {
    double   now, step, latency, jitter, loss;
    uint64_t random;
    nats_box_state  boxes[NATS_BOXES];
    nats_host_state hosts[NATS_HOSTS];
    int      box_count, host_count;
    nats_datagram *flying;              /* by time of arrival */
} nats;

static inline void nats_open(nats *n, uint64_t seed) {
    memset(n, 0, sizeof *n);
    n->random = seed;
    n->step = 1.0 / 60;
    n->latency = 0.03;
}

static inline double nats_chance(nats *n) {
    uint64_t z = n->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

/* 203.0.113.(box + 1), from the block for documentation. */
static inline wisp_addr nats_addr(int box, int port) {
    wisp_addr addr;
    memset(&addr, 0, sizeof addr);
    addr.bytes[0] = 4;
    addr.bytes[2] = (unsigned char)(port >> 8);
    addr.bytes[3] = (unsigned char)(port & 255);
    addr.bytes[4] = 203;
    addr.bytes[6] = 113;
    addr.bytes[7] = (unsigned char)(box + 1);
    return addr;
}

static inline int nats_port_of(const wisp_addr *addr) {
    return addr->bytes[2] << 8 | addr->bytes[3];
}

static inline int nats_box_of(const nats *n, const wisp_addr *addr) {
    int box = addr->bytes[7] - 1;
    return addr->bytes[0] == 4 && box >= 0 && box < n->box_count ? box : -1;
}

static inline bool nats_same(const wisp_addr *a, const wisp_addr *b, bool port_too) {
    return memcmp(a->bytes + 4, b->bytes + 4, 4) == 0 &&
           (!port_too || nats_port_of(a) == nats_port_of(b));
}

/* `timeout` 0 is 30 seconds. */
static inline int nats_box(nats *n, int kind, double timeout) {
    nats_box_state *box = &n->boxes[n->box_count];
    box->kind = kind;
    box->timeout = timeout > 0 ? timeout : 30;
    box->next_port = NATS_FIRST_PORT + 1000 * n->box_count;
    box->hairpins = true;
    for (int i = 0; i < NATS_FLOWS; i++) box->flows[i].used = -1;
    return n->box_count++;
}

static inline int nats_host(nats *n, int box) {
    nats_host_state *host = &n->hosts[n->host_count];
    host->n = n;
    host->index = n->host_count;
    host->box = box;
    return n->host_count++;
}

/* The box forgets everything, as after a restart: all ports change. */
static inline void nats_rebind(nats *n, int box) {
    for (int i = 0; i < NATS_FLOWS; i++) n->boxes[box].flows[i].used = -1;
}

static inline bool nats_alive(const nats *n, const nats_box_state *box, const nats_flow *flow) {
    return flow->used >= 0 && n->now - flow->used <= box->timeout;
}

/* The public port of a host that sends to an address, made or renewed. */
static inline int nats_port_out(nats *n, nats_box_state *box, int host, const wisp_addr *to) {
    nats_flow *mine = NULL, *oldest = &box->flows[0];
    int port = 0;
    for (int i = 0; i < NATS_FLOWS; i++) {
        nats_flow *flow = &box->flows[i];
        if (flow->used < oldest->used) oldest = flow;
        if (!nats_alive(n, box, flow) || flow->host != host) continue;
        if (box->kind != NATS_SYMMETRIC) port = flow->port;
        if (nats_same(&flow->remote, to, true)) mine = flow;
    }
    if (!mine) {
        mine = oldest;
        mine->host = host;
        mine->remote = *to;
        mine->port = port ? port : box->next_port++;
    }
    mine->used = n->now;
    return mine->port;
}

/* The host that a datagram reaches, or -1: it is filtered. */
static inline int nats_host_in(nats *n, int box_index, const nats_datagram *d) {
    nats_box_state *box = &n->boxes[box_index];
    if (box->kind == NATS_NONE) {
        int host = nats_port_of(&d->to) - NATS_FIRST_PORT;
        return host >= 0 && host < n->host_count && n->hosts[host].box == box_index ? host : -1;
    }
    for (int i = 0; i < NATS_FLOWS; i++) {
        const nats_flow *flow = &box->flows[i];
        if (!nats_alive(n, box, flow) || flow->port != nats_port_of(&d->to)) continue;
        if (nats_box_of(n, &d->from) == box_index && !box->hairpins) continue;
        if (box->kind == NATS_FULL_CONE ||
            nats_same(&flow->remote, &d->from, box->kind != NATS_ADDRESS)) return flow->host;
    }
    box->filtered++;
    return -1;
}

static inline void nats_take(nats *n, nats_host_state *host, const wisp_packet *packet) {
    nats_box_state *box = &n->boxes[host->box];
    int port = box->kind == NATS_NONE ? NATS_FIRST_PORT + host->index
                                      : nats_port_out(n, box, host->index, &packet->addr);
    double due = n->now + n->latency + n->jitter * nats_chance(n);
    nats_datagram **at = &n->flying, *d;
    host->sent++;
    if (nats_chance(n) < n->loss || packet->size > NATS_BYTES) return;
    d = (nats_datagram *)malloc(sizeof *d);
    if (!d) return;
    while (*at && (*at)->due <= due) at = &(*at)->next;
    d->next = *at;
    *at = d;
    d->due = due;
    d->from = nats_addr(host->box, port);
    d->to = packet->addr;
    d->size = packet->size;
    memcpy(d->bytes, packet->data, (size_t)packet->size);
}

/* Hands what has arrived to the hosts. */
static inline void nats_pump(nats *n) {
    while (n->flying && n->flying->due <= n->now) {
        nats_datagram *d = n->flying;
        int box = nats_box_of(n, &d->to), host = box < 0 ? -1 : nats_host_in(n, box, d);
        n->flying = d->next;
        d->next = NULL;
        if (host < 0) {
            free(d);
            continue;
        }
        if (n->hosts[host].last) n->hosts[host].last->next = d;
        else n->hosts[host].first = d;
        n->hosts[host].last = d;
    }
}

static inline int nats_send(void *user, wisp_packet *packets, int count) {
    nats_host_state *host = (nats_host_state *)user;
    for (int i = 0; i < count; i++) {
        packets[i].status = WISP_OK;
        nats_take(host->n, host, &packets[i]);
    }
    return count;
}

static inline int nats_recv(void *user, wisp_packet *packets, int count) {
    nats_host_state *host = (nats_host_state *)user;
    int filled = 0;
    nats_pump(host->n);
    while (filled < count && host->first) {
        nats_datagram *d = host->first;
        wisp_packet *packet = &packets[filled++];
        host->first = d->next;
        if (!host->first) host->last = NULL;
        packet->addr = d->from;
        if (d->size < packet->size) packet->size = d->size;
        memcpy(packet->data, d->bytes, (size_t)packet->size);
        host->received++;
        free(d);
    }
    return filled;
}

static inline wisp_link nats_link(nats *n, int host) {
    wisp_link link;
    memset(&link, 0, sizeof link);
    link.send = nats_send;
    link.recv = nats_recv;
    link.user = &n->hosts[host];
    link.drains = true;
    return link;
}

/* The address at which a host without translation listens. */
static inline wisp_addr nats_public(const nats *n, int host) {
    return nats_addr(n->hosts[host].box, NATS_FIRST_PORT + host);
}

static inline void nats_run(nats *n, double seconds) {
    int steps = (int)(seconds / n->step + 0.5);
    for (int i = 0; i < steps; i++) {
        n->now += n->step;
        for (int h = 0; h < n->host_count; h++) {
            if (n->hosts[h].end) wisp_update(n->hosts[h].end, n->now);
        }
    }
}

static inline void nats_drop_all(nats_datagram *d) {
    while (d) {
        nats_datagram *next = d->next;
        free(d);
        d = next;
    }
}

static inline void nats_close(nats *n) {
    for (int h = 0; h < n->host_count; h++) {
        if (n->hosts[h].end) wisp_destroy(n->hosts[h].end);
    }
    for (int h = 0; h < n->host_count; h++) nats_drop_all(n->hosts[h].first);
    nats_drop_all(n->flying);
    memset(n, 0, sizeof *n);
}

#endif /* NATS_H */
