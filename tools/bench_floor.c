/* bench_floor.c - the least that a message can cost on this wire: the unit of later figures

   20 messages of 32 bytes are fired, put into one packet, sealed, copied, checked, read and handed
   to a handler. The bits are those of wire version 2: its head, the record of a message that is
   like the one before, and its tag. There is a log of messages, a queue of places in it and a
   window of what is in flight, and nothing else: no settings, no schema, no acks, no resends.

   What a version of wisp.h takes for the same is told as a multiple of this time, so that figures
   of different machines can be compared. For that to mean the same in every year this program
   does not change and shares no code with wisp.h: what it needs of it is copied here.

   Run      bench_floor [ticks]       200,000 ticks if it is not said
*/
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 199309L       /* clock_gettime */
#endif

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__GNUC__)
#define APART __attribute__((noinline))       /* as calls of a library are */
#else
#define APART
#endif

/* ---------------------------------------------------------------------------
 * Words and bits, least significant first
 * ------------------------------------------------------------------------ */

static uint64_t load64(const void *from) {
    const uint8_t *b = (const uint8_t *)from;
    uint64_t word = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    (void)b;
    memcpy(&word, from, 8);
#else
    for (int i = 7; i >= 0; i--) word = word << 8 | b[i];
#endif
    return word;
}

static void store64(void *to, uint64_t word) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(to, &word, 8);
#else
    uint8_t *b = (uint8_t *)to;
    for (int i = 0; i < 8; i++, word >>= 8) b[i] = (uint8_t)word;
#endif
}

static uint64_t load_part(const void *from, int count) {
    uint8_t bytes[8] = { 0 };
    memcpy(bytes, from, (size_t)count);
    return load64(bytes);
}

static void store_part(void *to, uint64_t word, int count) {
    uint8_t bytes[8];
    store64(bytes, word);
    memcpy(to, bytes, (size_t)count);
}

/* A buffer has 16 bytes beyond its capacity, because whole words are stored. */
typedef struct writer {
    uint8_t *bytes;
    int64_t  at, end;                 /* bits */
    bool     full;
} writer;

typedef struct reader {
    const uint8_t *bytes;
    int            size;              /* bytes that may be read */
    int64_t        at, end;           /* bits */
    bool           failed;
} reader;

static writer writer_on(void *bytes, int capacity) {
    writer w = { NULL, 0, 0, false };
    w.bytes = (uint8_t *)bytes;
    w.end = (int64_t)capacity * 8;
    return w;
}

static reader reader_on(const void *bytes, int size) {
    reader r = { NULL, 0, 0, 0, false };
    r.bytes = (const uint8_t *)bytes;
    r.size = size;
    r.end = (int64_t)size * 8;
    return r;
}

static inline void put(writer *w, uint64_t value, int count) {
    uint8_t *to = w->bytes + (w->at >> 3);
    int shift = (int)(w->at & 7);
    if (w->full || w->at + count > w->end) {
        w->full = true;
        return;
    }
    store64(to, (uint64_t)(*to & ((1u << shift) - 1)) | value << shift);
    if (shift + count > 64) to[8] = (uint8_t)(value >> (64 - shift));
    w->at += count;
}

static void put_bits(writer *w, const uint8_t *from, int64_t count) {
    uint8_t *to = w->bytes + (w->at >> 3);
    int shift = (int)(w->at & 7);
    uint64_t carry;
    if (w->full || w->at + count > w->end) {
        w->full = true;
        return;
    }
    w->at += count;
    if (count <= 0) return;
    carry = *to & ((1u << shift) - 1);
    if (shift == 0) {
        memmove(to, from, (size_t)((count + 7) / 8));
        return;
    }
    for (; count > 0; count -= 64, from += 8, to += 8) {
        uint64_t word = load64(from);
        store64(to, carry | word << shift);
        carry = word >> (64 - shift);
    }
    *to = (uint8_t)carry;
}

static void put_bytes(writer *w, const void *from, int count) {
    if (w->full || w->at + (int64_t)count * 8 > w->end) {
        w->full = true;
        return;
    }
    if (count) memcpy(w->bytes + (w->at >> 3), from, (size_t)count);
    w->at += (int64_t)count * 8;
}

static uint64_t peek64(const reader *r, int64_t at) {
    int64_t byte = at >> 3;
    if (byte + 8 <= r->size) return load64(r->bytes + byte);
    return load_part(r->bytes + byte, (int)(r->size - byte));
}

static uint64_t get_slowly(reader *r, int count) {
    int shift = (int)(r->at & 7);
    uint64_t value;
    if (count > r->end - r->at || r->failed) {
        r->failed = true;
        return 0;
    }
    if (count == 0) return 0;
    value = peek64(r, r->at) >> shift;
    if (shift + count > 64) value |= (uint64_t)r->bytes[(r->at >> 3) + 8] << (64 - shift);
    r->at += count;
    return count == 64 ? value : value & ((UINT64_C(1) << count) - 1);
}

static inline uint64_t get(reader *r, int count) {
    int64_t at = r->at;
    if (count > 57 || at + 64 > r->end || r->failed) return get_slowly(r, count);
    r->at = at + count;
    return load64(r->bytes + (at >> 3)) >> (at & 7) & ((UINT64_C(1) << count) - 1);
}

/* `to` has room for 8 bytes more. */
static void get_bits(reader *r, uint8_t *to, int64_t count) {
    int64_t at = r->at;
    int shift = (int)(at & 7);
    if (count < 0 || count > r->end - r->at) r->failed = true;
    if (r->failed) return;
    r->at += count;
    if ((at + count) / 8 + 8 < r->size) {
        const uint8_t *from = r->bytes + (at >> 3);
        for (; count > 0; count -= 64, from += 8, to += 8)
            store64(to, load64(from) >> shift | (uint64_t)from[8] << 1 << (63 - shift));
        return;
    }
    for (; count > 0; count -= 64, at += 64, to += 8) {
        uint64_t word = peek64(r, at) >> shift;
        if (shift && (at >> 3) + 8 < r->size)
            word |= (uint64_t)r->bytes[(at >> 3) + 8] << (64 - shift);
        store64(to, count < 64 ? word & ((UINT64_C(1) << count) - 1) : word);
    }
}

/* ---------------------------------------------------------------------------
 * The tag: NH over blocks of 128 bytes, two polynomials modulo 2^61 - 1, SipHash-2-4
 * ------------------------------------------------------------------------ */

#define P61    ((UINT64_C(1) << 61) - 1)
#define LOW_60 ((UINT64_C(1) << 60) - 1)

enum { NH_BYTES = 128 };

typedef struct seal { uint64_t nh[NH_BYTES / 8], poly[2], finish[2]; } seal;
typedef struct digest { uint64_t state[2]; } digest;
typedef struct sum { uint64_t low, high; } sum;

static uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

static void sip_round(uint64_t v[4]) {
    v[0] += v[1]; v[1] = rotate(v[1], 13); v[1] ^= v[0]; v[0] = rotate(v[0], 32);
    v[2] += v[3]; v[3] = rotate(v[3], 16); v[3] ^= v[2];
    v[0] += v[3]; v[3] = rotate(v[3], 21); v[3] ^= v[0];
    v[2] += v[1]; v[1] = rotate(v[1], 17); v[1] ^= v[2]; v[2] = rotate(v[2], 32);
}

static uint64_t siphash(const uint64_t key[2], const void *data, int size) {
    const uint8_t *bytes = (const uint8_t *)data;
    uint64_t v[4], last = (uint64_t)size << 56;
    v[0] = key[0] ^ UINT64_C(0x736f6d6570736575);
    v[1] = key[1] ^ UINT64_C(0x646f72616e646f6d);
    v[2] = key[0] ^ UINT64_C(0x6c7967656e657261);
    v[3] = key[1] ^ UINT64_C(0x7465646279746573);
    for (; size >= 8; size -= 8, bytes += 8) {
        uint64_t word = load64(bytes);
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
    }
    if (size > 0) last |= load_part(bytes, size);
    v[3] ^= last;
    sip_round(v);
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t multiply(uint64_t a, uint64_t b, uint64_t *high) {
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    *high = (uint64_t)(product >> 64);
    return (uint64_t)product;
#else
    uint64_t a0 = a & 0xffffffff, a1 = a >> 32, b0 = b & 0xffffffff, b1 = b >> 32;
    uint64_t low = a0 * b0, middle = a1 * b0 + (low >> 32), other = a0 * b1 + (middle & 0xffffffff);
    *high = a1 * b1 + (middle >> 32) + (other >> 32);
    return other << 32 | (low & 0xffffffff);
#endif
}

static uint64_t multiply_p61(uint64_t a, uint64_t b) {
    uint64_t high, low = multiply(a, b, &high);
    uint64_t total = (low & P61) + (low >> 61 | high << 3);
    return (total & P61) + (total >> 61);
}

static void seal_init(seal *s, const uint64_t secret[2]) {
    uint64_t words[NH_BYTES / 8 + 4];
    for (uint64_t i = 0; i < sizeof words / sizeof *words; i++) {
        uint8_t block[8];
        store64(block, i);
        words[i] = siphash(secret, block, 8);
    }
    memcpy(s->nh, words, sizeof s->nh);
    for (int i = 0; i < 2; i++) s->poly[i] = words[NH_BYTES / 8 + i] & LOW_60;
    for (int i = 0; i < 2; i++) s->finish[i] = words[NH_BYTES / 8 + 2 + i];
}

static inline void absorb(const seal *s, digest *d, uint64_t word) {
    d->state[0] = multiply_p61(d->state[0] + (word & LOW_60), s->poly[0]);
    d->state[1] = multiply_p61(d->state[1] + (word >> 4), s->poly[1]);
}

static inline void add_pair(sum *total, const uint64_t *key, uint64_t a, uint64_t b) {
    uint64_t high, low = multiply(a + key[0], b + key[1], &high);
    total->low += low;
    total->high += high + (total->low < low);
}

static inline void absorb_block(const seal *s, digest *d, const uint8_t *bytes, int size) {
    sum total = { 0, 0 };
    const uint64_t *key = s->nh;
    for (; size >= 16; size -= 16, bytes += 16, key += 2)
        add_pair(&total, key, load64(bytes), load64(bytes + 8));
    if (size >= 8) add_pair(&total, key, load64(bytes), load_part(bytes + 8, size - 8));
    else if (size > 0) add_pair(&total, key, load_part(bytes, size), 0);
    absorb(s, d, total.low);
    absorb(s, d, total.high);
}

static uint64_t tag_of(const seal *s, int direction, uint64_t number, const uint8_t *bytes,
                       int size) {
    digest d = { { 0, 0 } };
    uint8_t last[3 * 8];
    absorb(s, &d, (uint64_t)size << 1 | (uint64_t)direction);
    for (; size > 0; size -= NH_BYTES, bytes += NH_BYTES)
        absorb_block(s, &d, bytes, size < NH_BYTES ? size : NH_BYTES);
    store64(last, d.state[0]);
    store64(last + 8, number);
    store64(last + 16, d.state[1]);
    return siphash(s->finish, last, 23);
}

/* ---------------------------------------------------------------------------
 * Values, names, the log of messages
 * ------------------------------------------------------------------------ */

enum { BYTES = 7, MESSAGE_BYTES = 32, LOG = 4096, WINDOW = 2048, NAMES = 8, RECENT = 16 };

typedef struct value {
    uint8_t     kind;
    int         count;
    const void *bytes;
} value;

typedef struct event {
    const char  *name;
    const value *args;
    int          count;
    const char  *text;
    void        *user;
} event;

typedef void (*handler)(event *e);

typedef struct message {
    uint32_t remote;
    uint16_t shape, delivery;
    uint32_t bits, order;
    uint8_t  data[40 + 16];
} message;

typedef struct name_entry {
    char     name[32];
    uint64_t signature;               /* of the values that were fired last */
    uint16_t shape;                   /* another one for each other signature */
    handler  fn;
    void    *user;
    uint64_t sent;
} name_entry;

static name_entry names[NAMES];
static message    message_log[LOG];
static uint32_t   log_head, log_tail;
static struct { uint32_t place; uint8_t state; } window[WINDOW];
static uint32_t   window_next;
static struct { const char *pointer; name_entry *entry; } recent[RECENT];

APART static name_entry *find(const char *name) {
    size_t at = ((uintptr_t)name >> 2 ^ (uintptr_t)name >> 6) % RECENT;
    if (recent[at].pointer == name && strcmp(recent[at].entry->name, name) == 0)
        return recent[at].entry;
    recent[at].pointer = name;
    recent[at].entry = &names[0];
    return recent[at].entry;
}

APART static void fire(const char *name, const value *values, int count) {
    name_entry *entry = find(name);
    uint64_t signature = (uint64_t)count;
    message *m = &message_log[log_head++ % LOG];
    writer w;
    for (int i = 0; i < count; i++)
        signature = signature * 31 + values[i].kind + ((uint64_t)values[i].count << 8);
    if (signature != entry->signature) {
        entry->signature = signature;
        entry->shape++;
    }
    m->remote = (uint32_t)(entry - names);
    m->shape = entry->shape;
    m->delivery = 1;
    m->order = log_head;
    w = writer_on(m->data, 40);
    for (int i = 0; i < count; i++)
        if (values[i].kind == BYTES) put_bytes(&w, values[i].bytes, values[i].count);
    m->bits = (uint32_t)w.at;
    entry->sent++;
}

/* ---------------------------------------------------------------------------
 * Packets: flags:8 connection:16 tag:64 number:16, acks, records
 * ------------------------------------------------------------------------ */

enum { HEAD = 13, TAG_AT = 3, COVERED = TAG_AT + 8, ACK_BITS = 30, CONNECTION = 0x0181 };

static seal    packet_seal;
static uint8_t packet[1500], received[1500];

static uint64_t packet_tag(const uint8_t *bytes, int size, uint64_t number) {
    uint64_t whole = number ^ load_part(bytes + 1, 2) << 40 ^ (uint64_t)bytes[0] << 56;
    return tag_of(&packet_seal, 0, whole, bytes + COVERED, size - COVERED);
}

/* Puts what waits into one packet; returns its size. */
APART static int flush(uint64_t number) {
    writer w = writer_on(packet + HEAD, 1200);
    uint16_t previous = 0xffff;
    int size;
    put(&w, 0, ACK_BITS);
    while (log_tail != log_head) {
        const message *m = &message_log[log_tail % LOG];
        int64_t at = w.at;
        if (m->shape == previous) {
            put(&w, 1, 1);
        } else {
            put(&w, 2, 2);
            put(&w, m->remote, 8);
            put(&w, 0x21, 8);
        }
        put_bits(&w, m->data, m->bits);
        if (w.full) {
            w.at = at;
            break;
        }
        previous = m->shape;
        window[window_next % WINDOW].place = log_tail++;
        window[window_next++ % WINDOW].state = 1;
    }
    put(&w, 0, (int)(-w.at & 7));
    size = HEAD + (int)(w.at / 8);
    packet[0] = 0x81;
    store_part(packet + 1, CONNECTION, 2);
    store_part(packet + HEAD - 2, number & 0xffff, 2);
    store64(packet + TAG_AT, packet_tag(packet, size, number));
    return size;
}

/* Reads the records of a packet whose tag is right. */
static void read_records(int size) {
    reader from = reader_on(received + HEAD, size - HEAD);
    uint8_t bytes[MESSAGE_BYTES + 32];
    const name_entry *entry = NULL;
    value v = { BYTES, MESSAGE_BYTES, NULL };
    event e = { "", NULL, 1, "", NULL };
    v.bytes = bytes;
    e.args = &v;
    get(&from, ACK_BITS);
    while (from.end - from.at >= 200) {
        if (!get(&from, 1)) {
            if (!get(&from, 1)) return;
            entry = &names[get(&from, 8) % NAMES];
            get(&from, 8);
            e.name = entry->name;
        }
        if (!entry) return;
        get_bits(&from, bytes, 8 * MESSAGE_BYTES);
        bytes[MESSAGE_BYTES] = 0;
        e.user = entry->user;
        entry->fn(&e);
    }
}

APART static void receive(int size, uint64_t number) {
    if (received[0] != 0x81 || load_part(received + 1, 2) != CONNECTION) return;
    if (packet_tag(received, size, number) == load64(received + TAG_AT)) read_records(size);
}

/* ---------------------------------------------------------------------------
 * The run
 * ------------------------------------------------------------------------ */

enum { PER_TICK = 20, TICKS = 200000, ROUNDS = 5 };

static uint64_t sent_sum, received_sum;
static long     received_count;

APART static const void *arg_bytes(const event *e, int i, int *size) {
    *size = 0;
    if (i >= e->count || e->args[i].kind != BYTES) return NULL;
    *size = e->args[i].count;
    return e->args[i].bytes;
}

static void on_message(event *e) {
    int size;
    const void *bytes = arg_bytes(e, 0, &size);
    if (!bytes || size != MESSAGE_BYTES) return;
    received_sum += load64(bytes);
    received_count++;
}

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fire_one(uint64_t *random) {
    uint64_t words[MESSAGE_BYTES / 8];
    value v = { BYTES, MESSAGE_BYTES, NULL };
    for (int i = 0; i < MESSAGE_BYTES / 8; i++) {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        words[i] = *random;
    }
    v.bytes = words;
    sent_sum += load64(words);
    fire("b", &v, 1);
}

/* Returns the nanoseconds that one message takes. */
static double run(long ticks) {
    uint64_t random = 1;
    double began = cpu_seconds();
    for (long tick = 1; tick <= ticks; tick++) {
        int size;
        for (int i = 0; i < PER_TICK; i++) fire_one(&random);
        size = flush((uint64_t)tick);
        memcpy(received, packet, (size_t)size);
        receive(size, (uint64_t)tick);
    }
    return (cpu_seconds() - began) * 1e9 / ((double)ticks * PER_TICK);
}

int main(int count, char **words) {
    static const uint64_t secret[2] = { 1, 2 };
    long ticks = count > 1 ? atol(words[1]) : TICKS;
    double least = 0;
    if (ticks < 1) {
        fprintf(stderr, "usage: bench_floor [ticks]\n");
        return 2;
    }
    seal_init(&packet_seal, secret);
    memcpy(names[0].name, "b", 2);
    names[0].fn = on_message;
    for (int round = 0; round < ROUNDS; round++) {
        double took = run(ticks / ROUNDS + 1);
        if (!round || took < least) least = took;
    }
    printf("%-38s %10.2f ns/msg\n", "floor.message.cpu", least);
    if (received_sum == sent_sum && received_count == (ticks / ROUNDS + 1) * PER_TICK * ROUNDS)
        return 0;
    fprintf(stderr, "bench_floor: not all that was sent arrived\n");
    return 1;
}
