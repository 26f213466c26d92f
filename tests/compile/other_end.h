/* other_end.h - one end of a session between two programs that take turns, over stdin and stdout

   Of either byte order: in each round a program writes its datagrams and reads those of the other
   one. Both have objects and a property, and compare what they see with what the other must have.
*/
#ifndef OTHER_END_H
#define OTHER_END_H

#include "../../wisp.h"

#include <stdio.h>
#include <string.h>

enum { OTHER_ROUNDS = 150, OTHER_PACKETS = 64, OTHER_BYTES = 1400 };

/* The datagrams of a round. */
typedef struct other_round {
    unsigned char bytes[OTHER_PACKETS][OTHER_BYTES];
    int           sizes[OTHER_PACKETS], count, next;
} other_round;

typedef struct other_link { other_round out, in; } other_link;

typedef struct lamp {
    float x, y;
    double far_off;
    int16_t level;
    uint64_t serial;
    char name[9];
} lamp;

static const wisp_field lamp_fields[] = {
    WISP_FIELD(lamp, x, WISP_T_QUANTIZED(-100, 100, 0.01)), WISP_FIELD(lamp, y, WISP_T_FLOAT),
    WISP_FIELD(lamp, far_off, WISP_T_DOUBLE), WISP_FIELD(lamp, level, WISP_T_RANGE(-300, 300)),
    WISP_FIELD(lamp, serial, WISP_T_UINT64), WISP_FIELD(lamp, name, WISP_T_STRING(8))
};
static const wisp_schema lamp_schema = WISP_SCHEMA(lamp, 1, lamp_fields);

static int other_send(void *user, wisp_packet *packets, int count) {
    other_round *out = &((other_link *)user)->out;
    for (int i = 0; i < count && out->count < OTHER_PACKETS; i++) {
        memcpy(out->bytes[out->count], packets[i].data, (size_t)packets[i].size);
        out->sizes[out->count++] = packets[i].size;
    }
    return count;
}

static int other_recv(void *user, wisp_packet *packets, int count) {
    other_round *in = &((other_link *)user)->in;
    int got = 0;
    for (; got < count && in->next < in->count; got++, in->next++) {
        memcpy(packets[got].data, in->bytes[in->next], (size_t)in->sizes[in->next]);
        packets[got].size = in->sizes[in->next];
        memset(&packets[got].addr, 1, sizeof packets[got].addr);
    }
    return got;
}

/* Writes a round and reads one: a count, then each datagram after the two bytes of its size. */
static bool other_turn(other_link *link) {
    other_round *in = &link->in, *out = &link->out;
    putchar(out->count);
    for (int i = 0; i < out->count; i++) {
        putchar(out->sizes[i] & 255);
        putchar(out->sizes[i] >> 8);
        fwrite(out->bytes[i], 1, (size_t)out->sizes[i], stdout);
    }
    fflush(stdout);
    out->count = in->next = 0;
    in->count = getchar();
    for (int i = 0; i < in->count; i++) {
        in->sizes[i] = getchar();
        in->sizes[i] |= getchar() << 8;
        if (in->sizes[i] < 0 || in->sizes[i] > OTHER_BYTES) return false;
        if (fread(in->bytes[i], 1, (size_t)in->sizes[i], stdin) != (size_t)in->sizes[i])
            return false;
    }
    return in->count >= 0;
}

/* What a lamp is at the end, and on the way there. */
static lamp other_lamp(int of, int round) {
    lamp l;
    memset(&l, 0, sizeof l);
    l.x = (float)round * 0.25f;
    l.y = 1.5f + (float)of;
    l.far_off = 1e9 / 3 + of;
    l.level = (int16_t)(round - 200);
    l.serial = UINT64_C(0x0123456789abcdef) + (uint64_t)round;
    strcpy(l.name, round % 2 ? "on" : "off");
    return l;
}

/* How many lamps of a class are what they must be; -1: one is not. */
static int other_lamps(wisp *w, wisp_class of, int which) {
    lamp want = other_lamp(which, 100), is;
    int count = 0;
    for (wisp_object o = wisp_first(w, of); o.id; o = wisp_next(w, o), count++) {
        memset(&is, 0, sizeof is);
        if (!wisp_view(w, o, WISP_NOW, &is) || is.x < 24.99f || is.x > 25.01f ||
            is.y != want.y || is.far_off != want.far_off || is.level != want.level ||
            is.serial != want.serial || strcmp(is.name, want.name) != 0)
            return -1;
    }
    return count;
}

/* Edits the lamps that this end decides about. */
static void other_edit(wisp *w, wisp_class of, int which, int round) {
    lamp now = other_lamp(which, round);
    for (wisp_object o = wisp_first(w, of); o.id; o = wisp_next(w, o)) {
        lamp *edit = wisp_decides(w, o) ? (lamp *)wisp_object_edit(w, o) : NULL;
        if (edit) *edit = now;
    }
}

static inline int other_end(bool server) {
    static other_link link;
    wisp_desc desc;
    wisp_class_desc of;
    wisp_class lamps, pets;
    wisp_property_desc title;
    wisp_addr addr;
    const wisp_value *told;
    lamp first = other_lamp(0, 0);
    wisp_player nobody = { 0 };
    wisp *w;
    bool good, spawned = server;
    memset(&desc, 0, sizeof desc);
    memset(&of, 0, sizeof of);
    memset(&title, 0, sizeof title);
    memset(&addr, 1, sizeof addr);
    desc.link.send = other_send;
    desc.link.recv = other_recv;
    desc.link.user = &link;
    desc.tick_rate = server ? 50 : 0;
    w = wisp_create(&desc, NULL);
    of.schema = &lamp_schema;
    lamps = wisp_define(w, "lamp", &of);
    of.authority = WISP_AUTHORITY_OWNER;
    pets = wisp_define(w, "pet", &of);
    if (server) title.initial = wisp_number(0.1);
    wisp_property(w, "title", &title);
    for (int i = 0; i < 3 && server; i++) wisp_spawn(w, lamps, nobody, &first);
    if (!server) wisp_join(w, &addr, NULL, 0);
    for (int round = 0; round < OTHER_ROUNDS; round++) {
        wisp_update(w, round * 0.02);
        first = other_lamp(1, 0);
        if (!spawned) spawned = wisp_spawn(w, pets, wisp_me(w), &first).id != 0;
        if (server) other_edit(w, lamps, 0, round < 100 ? round : 100);
        else other_edit(w, pets, 1, round < 100 ? round : 100);
        if (!other_turn(&link)) break;
    }
    told = wisp_get(w, "title");
    good = other_lamps(w, lamps, 0) == 3 && other_lamps(w, pets, 1) == 1 && told &&
           wisp_number_of(told) == 0.1;
    putchar(good);
    fflush(stdout);
    good = getchar() == 1 && good;                     /* and the other end is content too */
    fprintf(stderr, "%s: %s\n", server ? "server" : "client", good ? "works" : "does not work");
    wisp_destroy(w);
    return good ? 0 : 1;
}

#endif /* OTHER_END_H */
