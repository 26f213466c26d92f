/* embedded.c - without an operating system and without malloc: memory comes from one array, random
   numbers from a seed, and an assertion needs no assert.h */
#define WISP_NO_OS
#define WISP_NO_STDLIB
#define WISP_ASSERT(x) ((void)(x))
#define WISP_IMPLEMENTATION
#include "../../wisp.h"
#include "pair.h"

enum { MEMORY_BYTES = 1 << 20, ALIGN = 16 };

typedef struct memory {
    union {
        unsigned char bytes[MEMORY_BYTES];
        double        align_number;
        void         *align_pointer;
    } room;
    size_t used;                /* the array is filled from its begin */
    size_t held;                /* bytes asked for and not given back */
} memory;

static size_t rounded(size_t size) { return (size + ALIGN - 1) / ALIGN * ALIGN; }

static void *take(void *user, size_t size) {
    memory *m = user;
    void *block = m->room.bytes + m->used;
    if (size > MEMORY_BYTES || rounded(size) > MEMORY_BYTES - m->used) return NULL;
    m->used += rounded(size);
    m->held += size;
    return block;
}

/* Only the last block makes room again: enough for two endpoints with low limits. */
static void give_back(void *user, void *block, size_t size) {
    memory *m = user;
    size_t at = (size_t)((unsigned char *)block - m->room.bytes);
    if (!block) return;
    if (at + rounded(size) == m->used) m->used = at;
    m->held -= size;
}

static void lower_limits(wisp_limits *limits) {
    limits->remotes = 16;
    limits->connections = 16;
    limits->message_bytes = 4096;
    limits->queue_messages = 64;
    limits->queue_bytes = 16384;
    limits->window_items = 64;
    limits->window_bytes = 16384;
    limits->window_packets = 64;
    limits->calls = 16;
    limits->calls_remembered = 16;
    limits->notices = 16;
}

/* Without memory or without random numbers nothing is created, and the reason is told. */
static bool refuses(const wisp_desc *whole) {
    wisp_desc desc = *whole;
    wisp_result no_memory = WISP_OK, no_entropy = WISP_OK;
    wisp_allocator none = { 0 };
    desc.memory = none;
    bool good = !wisp_create(&desc, &no_memory) && no_memory < 0;
    desc.memory = whole->memory;
    desc.seed = 0;
    return !wisp_create(&desc, &no_entropy) && no_entropy == WISP_E_ENTROPY && good;
}

static void on_text(wisp_event *event) {
    tally *seen = event->user;
    if (event->count == 1 && strcmp(wisp_arg_string(event, 0), "small") == 0) seen->good++;
    else seen->bad++;
}

static void on_ask(wisp_event *event) { wisp_reply(event, wisp_string("small")); }

static bool talk(pair *p) {
    tally seen = { 0, 0 };
    wisp_connect(p->server, "text", on_text, &seen);
    wisp_on_invoke(p->server, "ask", on_ask, NULL);
    wisp_fire(p->client, "text", WISP_SERVER, wisp_string("small"));
    wisp_invoke(p->client, "ask", WISP_SERVER, on_text, &seen);
    return pair_wait(p, &seen.good, 2) && seen.good == 2 && seen.bad == 0;
}

int main(void) {
    static pair p;
    static memory m;
    wisp_desc desc = { 0 };
    desc.memory.alloc = take;
    desc.memory.free = give_back;
    desc.memory.user = &m;
    desc.seed = 1;
    desc.max_peers = 2;
    lower_limits(&desc.limits);
    p.pipe.memory = desc.memory;
    p.pipe.capacity = 16384;
    bool good = pair_open(&p, &desc) && talk(&p) && refuses(&desc);
    pair_close(&p);
    return pair_verdict("embedded", good && m.held == 0);
}
