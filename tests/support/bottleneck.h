/* bottleneck.h - a simulated network of shared links between endpoints that tick on their own

       bn_net net;
       bn_open(&net, 7);                                    the seed
       bn_way *up = bn_way_add(&net), *down = bn_way_add(&net);
       up->rate = 1250e3;
       up->delay = down->delay = 0.05;
       wisp_desc desc = { 0 };
       int server = bn_add(&net, &desc, 60, up, NULL);      60 updates a second, out through `up`
       int client = bn_add(&net, &desc, 60, down, NULL);
       wisp_join(bn_wisp(&net, client), &addr, NULL, 0)     addr = bn_addr(&net, server)
       net.tick = on_tick;                                  before each update: fire here
       bn_run(&net, 10);                                    seconds
       bn_close(&net);

   Only the public half of wisp.h is used; include wisp.h before. A way is one direction of a link:
   a queue with a rate, then a delay. What an endpoint sends passes its `out` way, then the `in` way
   of the endpoint that it goes to (NULL: none), so that flows share a bottleneck by sharing a way.
   All settings of a way may be changed while the network runs, and each direction has its own. The
   updates of endpoints are dephased, and packets pass in the order of time: no flow comes first
   because it was added first. The same seed gives the same run. */
#ifndef BOTTLENECK_H
#define BOTTLENECK_H

#include <stdlib.h>
#include <string.h>

typedef struct bn_net bn_net;

typedef struct bn_way {
    double rate;          /* bytes per second; 0: no cap */
    double queue;         /* bytes that may wait for the cap; more is lost; 0: 64 KiB */
    double delay;         /* seconds one way */
    double jitter;        /* seconds, random extra up to this, for each packet */
    bool   in_order;      /* jitter does not reorder */
    double loss;          /* 0..1 */
    double burst;         /* mean packets in a burst of loss; <= 1: single losses */
    double reorder;       /* 0..1: share of packets that come later by `late` */
    double late;          /* seconds */
    double duplicate;     /* 0..1 */
    int    hole;          /* larger datagrams vanish; 0: none do */
    int    overhead;      /* bytes charged for each datagram beside its own; 28 is UDP over IPv4 */
    bool (*drop)(bn_net *net, void *user, int from, const void *data, int size);    /* NULL: none */
    void  *drop_user;
    /* counters */
    uint64_t packets, bytes, lost, overflowed, dropped, late_packets;
    double   queue_peak;  /* seconds that a packet waited at most; may be set to 0 */
    double   queue_sum;   /* seconds that packets waited, all together */
    /* private */
    bn_net  *net;
    double   idle_at, last_due;
    bool     in_burst;
} bn_way;

typedef struct bn_parcel {
    struct bn_parcel *next;
    int from, from_port, to, to_port, size;
    size_t room;
} bn_parcel;

typedef struct bn_end {
    wisp       *w;
    bn_net     *net;
    int         index;
    int         port;     /* a part of its address; changed at any time, as by a NAT */
    bool        asleep;   /* is not updated; what comes waits */
    bool        refuses;  /* its link takes nothing: WISP_E_AGAIN */
    double      period;   /* seconds between updates */
    bn_way     *out, *in;
    bn_parcel  *first, *last;             /* arrived, not yet received */
    uint64_t    packets_sent, bytes_sent, packets_received, bytes_received;
    void       *user;
} bn_end;

/* A tick of an endpoint (parcel NULL), or a parcel that reaches its second way or its end. */
typedef struct bn_event {
    double     due;
    uint64_t   order;
    bn_parcel *parcel;
    int        end;
    bool       arrives;
} bn_event;

struct bn_net {
    double     now;       /* seconds */
    uint64_t   random, order;
    bn_end   **ends;
    bn_way   **ways;
    int        end_count, way_count;
    bn_event  *heap;
    int        heap_count, heap_room;
    bn_parcel *spare;
    uint64_t   astray;    /* packets to an address that nobody has */
    void     (*tick)(bn_net *net, int end);        /* before an update of an endpoint; or NULL */
    void     (*ticked)(bn_net *net, int end);      /* after it; or NULL */
    void      *user;
};

enum { BN_PARCEL = 1600 };

static inline uint64_t bn_random(bn_net *net) {
    uint64_t z = net->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 <= x < 1 */
static inline double bn_chance(bn_net *net) {
    return (double)(bn_random(net) >> 11) / 9007199254740992.0;
}

static inline void bn_open(bn_net *net, uint64_t seed) {
    memset(net, 0, sizeof *net);
    net->random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
}

static inline bn_way *bn_way_add(bn_net *net) {
    bn_way *way = (bn_way *)calloc(1, sizeof *way);
    net->ways = (bn_way **)realloc(net->ways, (size_t)(net->way_count + 1) * sizeof *net->ways);
    net->ways[net->way_count++] = way;
    way->net = net;
    return way;
}

/* --- events by time --- */

static inline bool bn_before(const bn_event *a, const bn_event *b) {
    return a->due < b->due || (a->due <= b->due && a->order < b->order);
}

static inline void bn_push(bn_net *net, double due, int end, bn_parcel *parcel, bool arrives) {
    bn_event event;
    int at;
    memset(&event, 0, sizeof event);
    event.due = due;
    event.order = net->order++;
    event.parcel = parcel;
    event.end = end;
    event.arrives = arrives;
    if (net->heap_count == net->heap_room) {
        net->heap_room = net->heap_room ? 2 * net->heap_room : 256;
        net->heap = (bn_event *)realloc(net->heap, (size_t)net->heap_room * sizeof *net->heap);
    }
    for (at = net->heap_count++; at && bn_before(&event, &net->heap[(at - 1) / 2]);
         at = (at - 1) / 2)
        net->heap[at] = net->heap[(at - 1) / 2];
    net->heap[at] = event;
}

static inline bn_event bn_pop(bn_net *net) {
    bn_event *heap = net->heap, top = heap[0], item = heap[--net->heap_count];
    int at = 0;
    for (;;) {
        int child = at * 2 + 1;
        if (child >= net->heap_count) break;
        if (child + 1 < net->heap_count && bn_before(&heap[child + 1], &heap[child])) child++;
        if (!bn_before(&heap[child], &item)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = item;
    return top;
}

/* --- parcels on their way --- */

static inline uint8_t *bn_bytes(bn_parcel *parcel) { return (uint8_t *)(parcel + 1); }

static inline bn_parcel *bn_parcel_of(bn_net *net, const void *data, int size) {
    bn_parcel *parcel = net->spare;
    size_t room = size > BN_PARCEL ? (size_t)size : (size_t)BN_PARCEL;
    if (parcel && parcel->room >= room) net->spare = parcel->next;
    else {
        parcel = (bn_parcel *)malloc(sizeof *parcel + room);
        parcel->room = room;
    }
    parcel->next = NULL;
    parcel->size = size;
    if (size > 0) memcpy(bn_bytes(parcel), data, (size_t)size);
    return parcel;
}

static inline void bn_parcel_end(bn_net *net, bn_parcel *parcel) {
    parcel->next = net->spare;
    net->spare = parcel;
}

/* Bursts follow a chain of two states (Gilbert); the mean loss stays `loss`. */
static inline bool bn_way_loses(bn_way *way) {
    double chance = bn_chance(way->net);
    if (way->burst <= 1 || way->loss >= 1) return chance < way->loss;
    if (way->in_burst) way->in_burst = chance >= 1 / way->burst;
    else way->in_burst = chance < way->loss / (1 - way->loss) / way->burst;
    return way->in_burst;
}

/* Seconds that a packet would wait in the queue now. */
static inline double bn_way_wait(const bn_way *way) {
    return way->rate > 0 && way->idle_at > way->net->now ? way->idle_at - way->net->now : 0;
}

/* The rate changes; what waits in the queue goes on at the new one. */
static inline void bn_way_rate(bn_way *way, double rate) {
    double bytes = bn_way_wait(way) * way->rate;
    way->rate = rate;
    way->idle_at = way->net->now + (rate > 0 ? bytes / rate : 0);
}

/* When a packet comes out of a way; < 0: never. */
static inline double bn_way_pass(bn_way *way, const bn_parcel *parcel) {
    bn_net *net = way->net;
    double bytes = parcel->size + way->overhead, now = net->now, due = now + way->delay, wait;
    bool loses = bn_way_loses(way);
    way->packets++;
    way->bytes += (uint64_t)bytes;
    if (way->drop &&
        way->drop(net, way->drop_user, parcel->from, (const void *)(parcel + 1), parcel->size)) {
        way->dropped++;
        return -1;
    }
    if (loses || (way->hole && parcel->size > way->hole)) {
        way->lost++;
        return -1;
    }
    if (way->rate > 0) {
        wait = bn_way_wait(way);
        if (wait * way->rate + bytes > (way->queue > 0 ? way->queue : 65536) + 1500) {
            way->overflowed++;
            return -1;
        }
        if (wait > way->queue_peak) way->queue_peak = wait;
        way->queue_sum += wait;
        way->idle_at = now + wait + bytes / way->rate;
        due += way->idle_at - now;
    }
    if (way->jitter > 0) due += way->jitter * bn_chance(net);
    if (way->in_order && due < way->last_due) due = way->last_due;
    way->last_due = due;
    if (way->reorder > 0 && bn_chance(net) < way->reorder) {
        due += way->late;
        way->late_packets++;
    }
    return due;
}

/* Sends a parcel through a way (NULL: at once) on to its next stop. */
static inline void bn_forward(bn_net *net, bn_way *way, bn_parcel *parcel, bool arrives) {
    double due = way ? bn_way_pass(way, parcel) : net->now;
    if (due < 0) {
        bn_parcel_end(net, parcel);
        return;
    }
    bn_push(net, due, parcel->to, parcel, arrives);
    if (!way || way->duplicate <= 0 || bn_chance(net) >= way->duplicate) return;
    {
        bn_parcel *twin = bn_parcel_of(net, bn_bytes(parcel), parcel->size);
        twin->from = parcel->from;
        twin->from_port = parcel->from_port;
        twin->to = parcel->to;
        twin->to_port = parcel->to_port;
        bn_push(net, due + way->jitter * bn_chance(net), twin->to, twin, arrives);
    }
}

static inline void bn_arrive(bn_net *net, bn_parcel *parcel) {
    bn_end *end = net->ends[parcel->to];
    if (parcel->to_port != end->port) {
        net->astray++;
        bn_parcel_end(net, parcel);
        return;
    }
    if (end->last) end->last->next = parcel;
    else end->first = parcel;
    end->last = parcel;
}

/* --- the links of endpoints --- */

static inline wisp_addr bn_addr_of(int index, int port) {
    wisp_addr addr;
    memset(&addr, 0, sizeof addr);
    addr.bytes[0] = 'b';
    addr.bytes[1] = (unsigned char)(index & 255);
    addr.bytes[2] = (unsigned char)(index >> 8);
    addr.bytes[3] = (unsigned char)(port & 255);
    addr.bytes[4] = (unsigned char)(port >> 8);
    return addr;
}

static inline int bn_send(void *user, wisp_packet *packets, int count) {
    bn_end *end = (bn_end *)user;
    for (int i = 0; i < count; i++) {
        const unsigned char *to = packets[i].addr.bytes;
        int index = to[1] | to[2] << 8;
        packets[i].status = end->refuses ? WISP_E_AGAIN : 0;
        if (end->refuses) continue;
        end->packets_sent++;
        end->bytes_sent += (uint64_t)packets[i].size;
        if (to[0] != 'b' || index >= end->net->end_count) {
            end->net->astray++;
        } else {
            bn_parcel *parcel = bn_parcel_of(end->net, packets[i].data, packets[i].size);
            parcel->from = end->index;
            parcel->from_port = end->port;
            parcel->to = index;
            parcel->to_port = to[3] | to[4] << 8;
            bn_forward(end->net, end->out, parcel, end->net->ends[index]->in == NULL);
        }
    }
    return count;
}

static inline int bn_recv(void *user, wisp_packet *packets, int count) {
    bn_end *end = (bn_end *)user;
    int filled = 0;
    for (; filled < count && end->first; filled++) {
        bn_parcel *parcel = end->first;
        wisp_packet *packet = &packets[filled];
        end->first = parcel->next;
        if (!end->first) end->last = NULL;
        packet->addr = bn_addr_of(parcel->from, parcel->from_port);
        if (parcel->size < packet->size) packet->size = parcel->size;
        if (packet->size) memcpy(packet->data, bn_bytes(parcel), (size_t)packet->size);
        end->packets_received++;
        end->bytes_received += (uint64_t)packet->size;
        bn_parcel_end(end->net, parcel);
    }
    return filled;
}

/* An endpoint of `desc` (its link is set here; its seed too, unless it has one), updated `hz` times
   a second. Returns its index, -1 if it cannot be made. */
static inline int bn_add(bn_net *net, const wisp_desc *desc, double hz, bn_way *out, bn_way *in) {
    bn_end *end = (bn_end *)calloc(1, sizeof *end);
    wisp_desc own = *desc;
    net->ends = (bn_end **)realloc(net->ends, (size_t)(net->end_count + 1) * sizeof *net->ends);
    end->net = net;
    end->index = net->end_count;
    end->out = out;
    end->in = in;
    end->period = 1 / hz;
    own.link.send = bn_send;
    own.link.recv = bn_recv;
    own.link.user = end;
    own.link.drains = true;
    if (!own.seed) own.seed = bn_random(net) | 1;
    end->w = wisp_create(&own, NULL);
    if (!end->w) {
        free(end);
        return -1;
    }
    net->ends[net->end_count++] = end;
    bn_push(net, net->now + end->period * bn_chance(net), end->index, NULL, false);
    return end->index;
}

static inline wisp *bn_wisp(const bn_net *net, int end) { return net->ends[end]->w; }

static inline wisp_addr bn_addr(const bn_net *net, int end) {
    return bn_addr_of(end, net->ends[end]->port);
}

/* Ends an endpoint; its index stays taken. */
static inline void bn_destroy(bn_net *net, int index) {
    wisp *w = net->ends[index]->w;
    net->ends[index]->w = NULL;
    if (w) wisp_destroy(w);
}

static inline void bn_update(bn_net *net, bn_end *end) {
    bn_push(net, net->now + end->period, end->index, NULL, false);
    if (!end->w || end->asleep) return;
    if (net->tick) net->tick(net, end->index);
    if (end->w && wisp_update(end->w, net->now) == WISP_E_CLOSED) end->w = NULL;
    if (end->w && net->ticked) net->ticked(net, end->index);
}

static inline void bn_run(bn_net *net, double seconds) {
    double end = net->now + seconds;
    while (net->heap_count && net->heap[0].due <= end) {
        bn_event event = bn_pop(net);
        net->now = event.due;
        if (!event.parcel) bn_update(net, net->ends[event.end]);
        else if (event.arrives) bn_arrive(net, event.parcel);
        else bn_forward(net, net->ends[event.end]->in, event.parcel, true);
    }
    net->now = end;
}

/* Joins, and runs until both sides know or 20 s are over; id 0: they do not. */
static inline wisp_peer bn_join(bn_net *net, int from, int to) {
    wisp_addr addr = bn_addr(net, to);
    wisp_peer peer = wisp_join(bn_wisp(net, from), &addr, NULL, 0), none = { 0 };
    int before = wisp_peers(bn_wisp(net, to), NULL, 0);
    int mine = wisp_peers(bn_wisp(net, from), NULL, 0);
    for (int i = 0; i < 2000 && peer.id; i++) {
        if (wisp_peers(bn_wisp(net, to), NULL, 0) > before &&
            wisp_peers(bn_wisp(net, from), NULL, 0) > mine)
            return peer;
        bn_run(net, 0.01);
    }
    return none;
}

/* The n-th peer that has joined an endpoint, or none. */
static inline wisp_peer bn_peer(const bn_net *net, int end, int n) {
    wisp_peer peers[64], none = { 0 };
    int count = wisp_peers(bn_wisp(net, end), peers, 64);
    return n < count && n < 64 ? peers[n] : none;
}

static inline void bn_close(bn_net *net) {
    for (int i = 0; i < net->end_count; i++) bn_destroy(net, i);
    for (int i = 0; i < net->heap_count; i++) free(net->heap[i].parcel);
    for (int i = 0; i < net->end_count; i++) {
        while (net->ends[i]->first) {
            bn_parcel *parcel = net->ends[i]->first;
            net->ends[i]->first = parcel->next;
            free(parcel);
        }
        free(net->ends[i]);
    }
    while (net->spare) {
        bn_parcel *parcel = net->spare;
        net->spare = parcel->next;
        free(parcel);
    }
    for (int i = 0; i < net->way_count; i++) free(net->ways[i]);
    free(net->ends);
    free(net->ways);
    free(net->heap);
    memset(net, 0, sizeof *net);
}

#endif /* BOTTLENECK_H */
