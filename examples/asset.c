/* asset.c - something far larger than a packet: a file in pieces, with progress

   A message of up to 1 MiB (limits.message_bytes) is cut and put together by wisp itself. A file
   goes in pieces all the same: the other end sees how far it is, memory stays small, and what is
   urgent passes. The queue tells when the next piece is due, so a thin link is never overfilled.

   Build    cc -I.. asset.c -o asset                     (Windows: add -lws2_32)
   Run      ./asset [FILE]                               exits 0 when all of it has arrived
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdlib.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { PIECE = 16 * 1024, AHEAD = 64 * 1024, MADE = 3 * 1024 * 1024, LARGEST = 64 * 1024 * 1024 };

typedef struct asset { unsigned char *bytes; int size, done; } asset;

static uint64_t asset_hash(const asset *a) {
    wisp_value all = wisp_bytes(a->bytes, a->size);
    return wisp_hash(&all);
}

/* ---- the end that has it -------------------------------------------------- */

static asset load(const char *path) {
    asset a = { NULL, MADE, 0 };
    FILE *file = path ? fopen(path, "rb") : NULL;
    a.bytes = malloc(LARGEST);
    if (file) {
        a.size = (int)fread(a.bytes, 1, LARGEST, file);
        fclose(file);
    }
    for (int i = 0; !file && i < a.size; i++) a.bytes[i] = (unsigned char)(i / 251 + i);
    return a;
}

/* Gives as many pieces to the queue as are not yet in it; called after each update. */
static void send_pieces(wisp *w, asset *a, wisp_peer to) {
    wisp_peer_stats stats;
    wisp_stats_peer(w, to, &stats);
    for (int ahead = stats.queued_bytes; ahead < AHEAD && a->done < a->size; ahead += PIECE) {
        int size = a->size - a->done < PIECE ? a->size - a->done : PIECE;
        if (wisp_fire(w, "piece", to, wisp_bytes(a->bytes + a->done, size)) != WISP_OK) return;
        a->done += size;
    }
}

/* ---- the end that wants it: first the size, then the pieces in order ------- */

typedef struct download { asset asset; int fifths, ticks; uint64_t hash; } download;

static void on_size(wisp_event *event) {
    download *d = event->user;
    int64_t size = wisp_arg_int(event, 0);
    if (event->result != WISP_OK || size < 1 || size > LARGEST) return;     /* never trust a size */
    d->asset.size = (int)size;
    d->asset.bytes = malloc((size_t)size);
    d->hash = wisp_arg_uint(event, 1);
}

static void on_piece(wisp_event *event) {
    download *d = event->user;
    asset *a = &d->asset;
    int size = 0;
    const void *bytes = wisp_arg_bytes(event, 0, &size);
    if (!bytes || !a->bytes || size > a->size - a->done) return;
    memcpy(a->bytes + a->done, bytes, (size_t)size);
    a->done += size;
    if (5.0 * a->done / a->size < d->fifths + 1) return;
    printf("%d%%, and %d ticks came in between\n", ++d->fifths * 20, d->ticks);
}

static void on_tick(wisp_event *event) { ((download *)event->user)->ticks++; }

/* ---- both ------------------------------------------------------------------ */

static void on_asset(wisp_event *event) {
    const asset *a = event->user;
    wisp_reply(event, wisp_int(a->size), wisp_uint(asset_hash(a)));
    wisp_set_peer_user(event->w, event->peer, event->user);      /* it is served from now on */
}

static wisp *open_endpoint(udp_socket *u) {
    wisp_desc desc = { .app = "asset" };
    wisp_config last = { .channel = WISP_CHANNEL(1), .batch_priority = WISP_PRIORITY(900) };
    if (!udp_open(u, "127.0.0.1", 0)) return NULL;
    desc.link = udp_link(u);
    wisp *w = wisp_create(&desc, NULL);
    wisp_use_config(w, &last, "piece");         /* after all else, and holding up nothing else */
    return w;
}

int main(int argc, char **argv) {
    udp_socket sockets[2];
    wisp *server = open_endpoint(&sockets[0]), *client = open_endpoint(&sockets[1]);
    asset a = load(argc > 1 ? argv[1] : NULL);
    download d = { { NULL, 0, 0 }, 0, 0, 0 };
    double end = udp_seconds() + 20;
    wisp_addr address;
    if (!server || !client || !udp_resolve("127.0.0.1", udp_port(&sockets[0]), &address)) return 1;
    wisp_on_invoke(server, "asset", on_asset, &a);
    wisp_on(client, "piece", on_piece, &d);
    wisp_on(client, "tick", on_tick, &d);
    wisp_join(client, &address, NULL, 0);
    wisp_invoke(client, "asset", WISP_SERVER, on_size, &d);
    while (d.fifths < 5 && udp_seconds() < end) {
        wisp_peer peer;
        wisp_update(server, udp_clock(NULL));
        wisp_update(client, udp_clock(NULL));
        if (wisp_peers(server, &peer, 1) < 1 || !wisp_peer_user(server, peer)) continue;
        wisp_fire(server, "tick", peer);
        send_pieces(server, &a, peer);
    }
    bool good = d.fifths == 5 && asset_hash(&d.asset) == d.hash;
    wisp_destroy(client);
    wisp_destroy(server);
    free(d.asset.bytes);
    free(a.bytes);
    printf(good ? "all of it is there\n" : "something is missing\n");
    return good ? 0 : 1;
}
