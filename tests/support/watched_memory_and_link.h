/* watched_memory_and_link.h - an allocator and a link that watch, and fail when told to

   The ledger is handed to an endpoint, a pipe or a simulator as its memory. The tap goes around the
   link of an endpoint that exists already:

       ledger memory = ledger_none();
       desc.memory = ledger_memory(&memory);
       tap t;
       tap_on(&t, end);
       t.send_fails = 3;                the next three calls of send break

   Included after the implementation of wisp.h and after test_runner.h.
*/
#ifndef WATCHED_MEMORY_AND_LINK_H
#define WATCHED_MEMORY_AND_LINK_H

#include <stdlib.h>

/* --- memory --- */

typedef struct ledger {
    int64_t out, peak;        /* bytes */
    int     taken;            /* allocations that succeeded */
    int     asked;            /* also those that failed */
    int     fail_at;          /* the number of the one that fails, from 1; 0: none */
    bool    fail_on;          /* and all that follow it */
} ledger;

static inline ledger ledger_none(void) {
    ledger l;
    memset(&l, 0, sizeof l);
    return l;
}

static inline void *ledger_alloc(void *user, size_t size) {
    ledger *l = (ledger *)user;
    bool after = l->fail_on && l->asked >= l->fail_at;
    bool fails = l->fail_at && (after || l->asked + 1 == l->fail_at);
    void *pointer;
    l->asked++;
    if (fails) return NULL;
    pointer = malloc(size);
    if (!pointer) return NULL;
    memset(pointer, 0xa5, size);
    l->taken++;
    l->out += (int64_t)size;
    if (l->out > l->peak) l->peak = l->out;
    return pointer;
}

static inline void ledger_free(void *user, void *pointer, size_t size) {
    ((ledger *)user)->out -= (int64_t)size;
    free(pointer);
}

static inline wisp_allocator ledger_memory(ledger *l) {
    wisp_allocator memory;
    memory.alloc = ledger_alloc;
    memory.free = ledger_free;
    memory.user = l;
    return memory;
}

/* --- the link --- */

enum { TAP_BYTES = 1400, TAP_KEPT = 64 };

typedef struct tap_packet { wisp_addr addr; int size; uint8_t bytes[TAP_BYTES]; } tap_packet;

typedef struct tap {
    wisp_link  inner;
    int        send_fails, recv_fails;   /* calls that break; -1: all from now on */
    int        looks;                    /* packets looked at per call; 0: all */
    wisp_addr  stuck;                    /* packets to it are answered with `stuck_status` */
    int        stuck_status;
    bool       keep;                     /* packets go to `kept`, not to the inner link */
    tap_packet kept[TAP_KEPT];           /* what was sent last, or is kept: the first ones */
    int        kept_count;
    int        sends, recvs;             /* calls */
    int        packets;                  /* that the inner link took */
    uint64_t   hash;                     /* of all that was sent, in order */
} tap;

static inline bool tap_fails(int *left) {
    if (*left > 0) return (*left)--, true;
    return *left < 0;
}

static inline void tap_note(tap *t, const wisp_packet *packet) {
    uint64_t words[2];
    words[0] = t->hash;
    words[1] = wisp__hash_bytes(packet->data, packet->size) ^ wisp__hash_bytes(&packet->addr, 32);
    t->hash = wisp__hash_bytes(words, (int)sizeof words);
    t->packets++;
    if (!t->keep || t->kept_count == TAP_KEPT || packet->size > TAP_BYTES) return;
    t->kept[t->kept_count].addr = packet->addr;
    t->kept[t->kept_count].size = packet->size;
    memcpy(t->kept[t->kept_count++].bytes, packet->data, (size_t)packet->size);
}

static inline int tap_send(void *user, wisp_packet *packets, int count) {
    tap *t = (tap *)user;
    t->sends++;
    if (tap_fails(&t->send_fails)) return -1;
    if (t->looks && count > t->looks) count = t->looks;
    for (int i = 0; i < count; i++) {
        packets[i].status = 0;
        if (t->stuck_status && memcmp(&packets[i].addr, &t->stuck, sizeof t->stuck) == 0) {
            packets[i].status = t->stuck_status;
            continue;
        }
        tap_note(t, &packets[i]);
        if (!t->keep) t->inner.send(t->inner.user, &packets[i], 1);
    }
    return count;
}

static inline int tap_recv(void *user, wisp_packet *packets, int count) {
    tap *t = (tap *)user;
    t->recvs++;
    if (tap_fails(&t->recv_fails)) return -1;
    return t->inner.recv(t->inner.user, packets, count);
}

static inline void tap_on(tap *t, wisp *end) {
    wisp_link *link = &end->peers.post.link;
    memset(t, 0, sizeof *t);
    t->inner = *link;
    link->send = tap_send;
    link->recv = tap_recv;
    link->user = t;
}

/* Sends a packet as the endpoint would, past all hooks. */
static inline void tap_pass(tap *t, const tap_packet *kept) {
    wisp_packet packet;
    packet.addr = kept->addr;
    packet.data = (void *)(uintptr_t)kept->bytes;
    packet.size = kept->size;
    packet.status = 0;
    t->inner.send(t->inner.user, &packet, 1);
}

#endif /* WATCHED_MEMORY_AND_LINK_H */
