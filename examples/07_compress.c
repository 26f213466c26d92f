/* 07_compress.c - fewer bytes: LZ4 for one remote, or for whole packets

   The client sends a level of 20 kB and 200 lines of chat, three times: as they are; with the
   level compressed by itself; and with whole packets compressed, which also finds what small
   messages have in common. Nothing is ever sent larger than it is. Both ends set the same: a server
   unpacks nothing of its clients that it was not told to.

   Build    cc -I.. 07_compress.c -o compress -llz4 -lm      (Windows: add -lws2_32)
   Run      ./compress                                       exits 0 when each way took fewer bytes
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */

#include <stdio.h>
#include <string.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"
#include "wisp_compress.h"

enum { LEVEL_BYTES = 20000, LINES = 200 };

/* ---- what is sent ------------------------------------------------------ */

/* Rooms and corridors, a byte for each tile, and here and there a thing that lies about. */
static wisp_value make_level(void) {
    static char tiles[LEVEL_BYTES];
    static const char *const kinds[] = { "########", "#......#", "#..~~..#", "#.####.#" };
    uint32_t seed = 1;
    for (size_t i = 0; i < LEVEL_BYTES; i += 8) {
        seed = seed * 1664525u + 1013904223u;
        memcpy(tiles + i, kinds[seed >> 30], 8);
        if (seed >> 16 & 7) continue;
        tiles[i + (seed >> 27 & 7)] = (char)('a' + (seed >> 22 & 15));
    }
    return wisp_bytes(tiles, LEVEL_BYTES);
}

static const char *line(int i, char *text, int size) {
    snprintf(text, (size_t)size, "player %d has entered the hall of dawn with %d arrows", i * 7919,
             i * i % 31);
    return text;
}

/* Fires everything; returns how many bytes the values are by themselves. */
static int fire_everything(wisp *client) {
    uint8_t scratch[LEVEL_BYTES + 64];
    char text[80];
    wisp_value value = make_level();
    int raw = wisp_encode(wisp_bitpack(), NULL, &value, scratch, (int)sizeof scratch);
    wisp_fire(client, "level", WISP_SERVER, value);
    for (int i = 0; i < LINES; i++) {
        value = wisp_string(line(i, text, (int)sizeof text));
        raw += wisp_encode(wisp_bitpack(), NULL, &value, scratch, (int)sizeof scratch);
        wisp_fire(client, "chat", WISP_SERVER, value);
    }
    return raw;
}

/* ---- what must come ---------------------------------------------------- */

typedef struct progress { int levels, lines, wrong; } progress;

static void on_level(wisp_event *event) {
    progress *p = (progress *)event->user;
    wisp_value expected = make_level();
    p->levels++;
    if (!wisp_equal(wisp_arg_value(event, 0), &expected)) p->wrong++;
}

static void on_chat(wisp_event *event) {
    progress *p = (progress *)event->user;
    char text[80];
    if (strcmp(wisp_arg_string(event, 0), line(p->lines, text, (int)sizeof text))) p->wrong++;
    p->lines++;
}

/* ---- one way ----------------------------------------------------------- */

typedef struct way {
    const char      *text;
    wisp_compression mode;      /* 0: none */
    const char      *remote;    /* NULL: whole packets */
} way;

static void update(wisp *ends[2]) {
    double now = udp_clock(NULL);
    wisp_update(ends[0], now);
    wisp_update(ends[1], now);
}

/* Bytes that the client has sent for it, once all has come; -1: it has not. */
static int send_by(const way *how, wisp *ends[2], const wisp_addr *address) {
    progress p = { 0, 0, 0 };
    wisp_total_stats before, after;
    double end = udp_seconds() + 5;
    int raw, sent;
    for (int i = 0; i < 2; i++)
        if (wisp_use_lz4(ends[i])) return -1;
    for (int i = 0; i < 2; i++)
        if (how->mode && wisp_use_compression(ends[i], how->mode, how->remote)) return -1;
    wisp_on(ends[0], "level", on_level, &p);
    wisp_on(ends[0], "chat", on_chat, &p);
    wisp_join(ends[1], address, NULL, 0);
    while (wisp_peers(ends[0], NULL, 0) == 0 && udp_seconds() < end) update(ends);
    wisp_stats_total(ends[1], &before);
    raw = fire_everything(ends[1]);
    while ((p.levels < 1 || p.lines < LINES) && udp_seconds() < end) update(ends);
    wisp_stats_total(ends[1], &after);
    sent = (int)(after.bytes_sent - before.bytes_sent);
    printf("%-22s raw %6d bytes, sent %6d\n", how->text, raw, sent);
    return p.levels == 1 && p.lines == LINES && p.wrong == 0 ? sent : -1;
}

static int try_way(const way *how) {
    udp_socket sockets[2];
    wisp *ends[2] = { NULL, NULL };                /* server, client */
    wisp_addr address;
    int i, sent = -1;
    for (i = 0; i < 2; i++) {
        wisp_desc desc = { 0 };
        desc.link = udp_link(&sockets[i]);
        if (udp_open(&sockets[i], "127.0.0.1", 0)) ends[i] = wisp_create(&desc, NULL);
    }
    if (ends[0] && ends[1] && udp_resolve("127.0.0.1", udp_port(&sockets[0]), &address)) {
        sent = send_by(how, ends, &address);
    }
    for (i = 0; i < 2; i++) wisp_destroy(ends[i]);
    for (i = 0; i < 2; i++) udp_close(&sockets[i]);
    return sent;
}

int main(void) {
    static const way ways[] = {
        { "as it is", 0, NULL },
        { "LZ4 for the level", WISP_COMPRESSION_LZ4, "level" },
        { "LZ4 for whole packets", WISP_COMPRESSION_LZ4, NULL },
    };
    int plain = try_way(&ways[0]), level = try_way(&ways[1]), packets = try_way(&ways[2]);
    bool good = plain > 0 && level > 0 && level < plain && packets > 0 && packets < plain;
    printf(good ? "done\n" : "that was not worth it\n");
    return good ? 0 : 1;
}
