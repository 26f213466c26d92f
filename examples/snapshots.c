/* snapshots.c - snapshots that back off: a thin link gets fewer of them, and none gets old ones

   A server shows a moving crowd 60 times a second. Before each snapshot it looks at its peer: are
   more than two snapshots on their way beyond what the round trip explains, or does one still wait,
   then the path does not carry them so fast, and the pause grows by a half; else it shrinks. The
   simulated link falls to 12 kB/s for a second, and recovers. Time is a variable here, so the
   seconds that it shows take no time.

   Build    cc -I.. snapshots.c -o snapshots -lm        (Windows: add -lws2_32)
   Run      ./snapshots                            exits 0 when it has backed off, and come back
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { CROWD = 80 };
#define SHORTEST (1.0 / 60)     /* seconds between two snapshots */
#define LONGEST  0.25

typedef struct snapshot { double time; wisp_vec2 crowd[CROWD]; } snapshot;

static const wisp_type place = WISP_T_VEC2;
static const wisp_field snapshot_fields[] = {
    WISP_FIELD(snapshot, time,  WISP_T_NUMBER),
    WISP_FIELD(snapshot, crowd, WISP_T_ARRAY(&place, CROWD)),
};
static const wisp_schema snapshot_schema = WISP_SCHEMA(snapshot, 1, snapshot_fields);

/* ---- the server: one of these for each peer ----------------------------- */

typedef struct viewer { wisp_peer peer; double interval, next; } viewer;

static void show_crowd(wisp *w, viewer *v, const snapshot *now) {
    wisp_peer_stats stats;
    bool thin;
    if (!v->peer.id || now->time < v->next) return;
    wisp_stats_peer(w, v->peer, &stats);
    thin = stats.queued_messages > 0 ||
           stats.in_flight > 2 * (int)sizeof *now + stats.delivery_rate * stats.rtt_min;
    v->interval *= thin ? 1.5 : 0.85;
    if (v->interval > LONGEST) v->interval = LONGEST;
    if (v->interval < SHORTEST) v->interval = SHORTEST;
    v->next = now->time + v->interval;
    if (!thin) wisp_fire(w, "crowd", v->peer, wisp_struct(&snapshot_schema, now));
}

static void on_joined(wisp_event *event) { ((viewer *)event->user)->peer = event->peer; }

static void move_crowd(snapshot *s, double time) {
    s->time = time;
    for (int i = 0; i < CROWD; i++) {
        s->crowd[i].x = (float)(i % 10) + (float)(time - (int)time);
        s->crowd[i].y = (float)(i / 10);
    }
}

/* ---- the client ---------------------------------------------------------- */

typedef struct seen { int count; double oldest; } seen;      /* since the last line printed */

static void on_crowd(wisp_event *event) {
    seen *s = event->user;
    const snapshot *crowd = wisp_arg_struct(event, 0, &snapshot_schema);
    double age = crowd ? event->time - crowd->time : 0;
    s->count++;
    if (age > s->oldest) s->oldest = age;
}

/* ---- both ---------------------------------------------------------------- */

static wisp *open_endpoint(udp_socket *u, wisp_simulator *sim) {
    wisp_desc desc = { .app = "snapshots" };
    wisp_config newest = { .delivery = WISP_SEQUENCED, .replace = WISP_ON };
    wisp_schema_entry entry = { "crowd", &snapshot_schema, NULL, 0 };
    if (!udp_open(u, "127.0.0.1", 0)) return NULL;
    desc.link = sim ? wisp_simulate(sim, udp_link(u)) : udp_link(u);
    wisp *w = wisp_create(&desc, NULL);
    wisp_use_config(w, &newest, "crowd");       /* only the newest one ever waits */
    wisp_use_schemas(w, &entry, 1);
    return w;
}

/* Half a second of both ends; returns how many snapshots came in a second. */
static int play(wisp *server, wisp *client, wisp_simulator *sim, viewer *v, seen *s) {
    static snapshot crowd;
    *s = (seen){ 0, 0 };
    for (int i = 0; i < 250; i++) {
        sim->now += 0.002;
        move_crowd(&crowd, sim->now);
        show_crowd(server, v, &crowd);
        wisp_update(server, sim->now);
        wisp_update(client, sim->now);
    }
    printf("%-10s %3d snapshots a second, the oldest %3.0f ms old\n",
           sim->rate > 0 ? "12 kB/s" : "wide open", s->count * 2, s->oldest * 1000);
    return s->count * 2;
}

int main(void) {
    static wisp_simulator sim;
    udp_socket sockets[2];
    wisp *server = open_endpoint(&sockets[0], &sim), *client = open_endpoint(&sockets[1], NULL);
    viewer v = { { 0 }, SHORTEST, 0 };
    seen s;
    wisp_addr address;
    int wide, thin, again;
    if (!server || !client || !udp_resolve("127.0.0.1", udp_port(&sockets[0]), &address)) return 1;
    wisp_on(server, WISP_JOINED, on_joined, &v);
    wisp_on(client, "crowd", on_crowd, &s);
    wisp_join(client, &address, NULL, 0);
    wide = play(server, client, &sim, &v, &s);
    wisp_simulator_set(&sim, "up:rate=12k up:queue=4k");
    play(server, client, &sim, &v, &s);
    thin = play(server, client, &sim, &v, &s);
    wisp_simulator_set(&sim, "none");
    play(server, client, &sim, &v, &s);
    again = play(server, client, &sim, &v, &s);
    wisp_destroy(client);
    wisp_destroy(server);
    wisp_simulator_free(&sim);
    printf(wide > 2 * thin && again > 2 * thin ? "done\n" : "it has not backed off\n");
    return wide > 2 * thin && again > 2 * thin ? 0 : 1;
}
