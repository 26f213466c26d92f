/* 22_tape.c - a bug of one run in a thousand: recorded, played again, found

   A market sells lamps for 10 gold to players who have 25 at first. Now and then one ends with less
   than none. Every run is recorded; the tape of the run that went wrong is played again with a
   handler that looks closer, and says when it happened and why.

   Build    cc -std=c99 -I. examples/22_tape.c -o build/22_tape -lm
   Run      build/22_tape [RUNS [FILE]]     FILE gets the tape, for tools/wisp_tape     */
#define WISP_IMPLEMENTATION
#include "wisp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAPE_MOST = 1 << 20 };

typedef struct tape { unsigned char bytes[TAPE_MOST]; int size, read; } tape;

static int write_tape(void *user, const void *bytes, int size) {
    tape *t = user;
    if (size > TAPE_MOST - t->size) return -1;
    memcpy(t->bytes + t->size, bytes, (size_t)size);
    t->size += size;
    return size;
}

static int read_tape(void *user, void *out, int size) {
    tape *t = user;
    if (size > t->size - t->read) size = t->size - t->read;
    memcpy(out, t->bytes + t->read, (size_t)size);
    t->read += size;
    return size;
}

/* The game of the server: what it owes is taken at the next tick. */
typedef struct market { int gold, owed, lamps; bool loud; } market;

static void on_buy(wisp_event *event) {
    market *m = event->user;
    if (m->loud)
        printf("%10.6f  buy: %d gold, %d of it owed already\n", event->time, m->gold, m->owed);
    if (m->gold < 10) {                   /* the bug: what is owed counts too */
        wisp_refuse(event, WISP_E_USER, "too poor");
        return;
    }
    m->owed += 10;
    m->lamps++;
}

static void on_gift(wisp_event *event) {
    market *m = event->user;
    m->gold += (int)wisp_arg_int(event, 0);
}

static void on_tick(wisp_event *event) {
    market *m = event->user;
    m->gold -= m->owed;
    m->owed = 0;
    if (m->gold < 0 && m->loud)
        printf("%10.6f  tick %d: %d gold!\n", event->time, (int)event->tick, m->gold);
    m->loud = m->loud && m->gold >= 0;
}

static void set_up(wisp *w, market *m) {
    wisp_on_invoke(w, "buy", on_buy, m);
    wisp_on(w, "gift", on_gift, m);
    wisp_on_tick(w, on_tick, m);
}

static wisp_desc desc_of(wisp_link link, double rate) {
    wisp_desc desc = { 0 };
    desc.link = link;
    desc.app = "market";
    desc.tick_rate = rate;
    return desc;
}

/* A minute of a server and a player over a bad network. Returns the player's gold. */
static int run(tape *t, unsigned seed) {
    wisp_pipe pipe = { 0 };
    wisp_simulator net = { 0 };
    wisp_addr address = wisp_loopback_addr(0);
    wisp_desc desc = desc_of(wisp_loopback(&pipe, 0), 20);
    wisp_writer writer = { write_tape, t, WISP_COMPRESSION_NONE, true, NULL, 0 };
    market m = { 25, 0, 0, false };
    wisp *server = wisp_create(&desc, NULL), *player;
    unsigned dice = seed;
    t->size = t->read = 0;
    wisp_record(server, &writer);
    set_up(server, &m);
    net.seed = seed;
    net.latency = 0.03;
    net.jitter = 0.02;
    net.loss = 0.02;
    desc = desc_of(wisp_simulate(&net, wisp_loopback(&pipe, 1)), 0);
    player = wisp_create(&desc, NULL);
    wisp_join(player, &address, NULL, 0);
    for (double now = 0; now < 20 && m.gold >= 0; now += 0.02) {
        net.now = now;
        dice = dice * 1103515245u + 12345u;
        if (dice >> 16 & 255) dice ^= dice >> 15;
        else wisp_invoke(player, "buy", WISP_SERVER, NULL, NULL);
        if (dice % 977 == 0) wisp_fire(player, "gift", WISP_SERVER, wisp_int(3));
        wisp_update(server, now);
        wisp_update(player, now);
    }
    wisp_record(server, NULL);
    wisp_destroy(player);
    wisp_destroy(server);
    wisp_simulator_free(&net);
    wisp_pipe_free(&pipe);
    return m.gold;
}

/* Plays the tape, with a handler that looks closer. */
static int play(tape *t) {
    wisp_pipe pipe = { 0 };
    wisp_desc desc = desc_of(wisp_loopback(&pipe, 0), 20);
    wisp_reader reader = { read_tape, t, NULL };
    market m = { 25, 0, 0, true };
    wisp *w = wisp_replay(&reader, &desc, NULL);
    if (!w) return 1;
    set_up(w, &m);
    while (wisp_update(w, 0) == WISP_OK) continue;
    printf("%s; it ended with %d gold and %d lamps\n", wisp_why_text(w), m.gold, m.lamps);
    wisp_destroy(w);
    wisp_pipe_free(&pipe);
    return m.gold < 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    static tape t;
    int runs = argc > 1 ? atoi(argv[1]) : 1000, i = 0, gold = 0;
    while (i < runs && gold >= 0) gold = run(&t, (unsigned)++i);
    printf("%d runs%s\n", i, gold < 0 ? ": the last one went wrong" : "");
    if (argc > 2) {
        FILE *file = fopen(argv[2], "wb");
        if (!file || fwrite(t.bytes, 1, (size_t)t.size, file) != (size_t)t.size) return 1;
        fclose(file);
    }
    return gold < 0 ? play(&t) : 0;
}
