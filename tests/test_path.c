/* test_path.c - room path: sessions that move from one address to another, on paths of any size */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"
#include "support/forged_packets.h"

/* --- a network in which each end has several addresses --- */

enum { NETS_ENDS = 3, NETS_PORTS = 8, NETS_FLYING = 20000, NETS_BYTES = 1400 };

typedef struct nets_datagram {
    double  at;
    int     from, to;           /* addresses: end * NETS_PORTS + port */
    int     size;
    uint8_t bytes[NETS_BYTES];
} nets_datagram;

typedef struct nets nets;

/* Sees each datagram when it is sent; false: it is lost. */
typedef bool (*nets_eye)(nets *n, int from, int to, const void *bytes, int size);

typedef struct nets_end {
    nets *n;
    int   end;
    int   port;                 /* the one in use: what comes to others is lost .. */
    bool  open;                 /* .. unless all are open */
    int   taken;                /* address taken from another end, + 1; 0: its own */
    int   hole;                 /* what it sends that is larger is lost; 0: none */
    wisp *w;
    int   moved, left, got, wrong;
    int   expect;               /* of the next number */
    double last;                /* when something came */
    double longest;             /* seconds without */
    uint64_t sent_to[NETS_ENDS * NETS_PORTS], sent_by[NETS_ENDS * NETS_PORTS];
    int   datagrams;            /* sent */
} nets_end;

struct nets {
    nets_end ends[NETS_ENDS];
    double   now, step, latency, loss;
    uint64_t random;
    nets_eye eye;
    void    *user;
    nets_datagram *flying;
    int      first, count;      /* ring, in the order of arrival */
};

static wisp_addr nets_addr(int address) {
    wisp_addr a;
    memset(&a, 0, sizeof a);
    a.bytes[0] = (unsigned char)(address + 1);
    return a;
}

static int nets_address(const nets_end *e) {
    return e->taken ? e->taken - 1 : e->end * NETS_PORTS + e->port;
}

static void nets_put(nets *n, int from, int to, const void *bytes, int size, double delay) {
    nets_datagram *d;
    if (n->count == NETS_FLYING || size > NETS_BYTES) return;
    d = &n->flying[(n->first + n->count++) % NETS_FLYING];
    d->at = n->now + delay;
    d->from = from;
    d->to = to;
    d->size = size;
    memcpy(d->bytes, bytes, (size_t)size);
}

static int nets_send(void *user, wisp_packet *packets, int count) {
    nets_end *e = (nets_end *)user;
    nets *n = e->n;
    for (int i = 0; i < count; i++) {
        int from = nets_address(e), to = packets[i].addr.bytes[0] - 1;
        packets[i].status = 0;
        e->sent_to[to] += (uint64_t)packets[i].size;
        e->datagrams++;
        if (e->hole && packets[i].size > e->hole) continue;
        if (n->eye && !n->eye(n, from, to, packets[i].data, packets[i].size)) continue;
        if (test_random_unit(&n->random) < n->loss) continue;
        nets_put(n, from, to, packets[i].data, packets[i].size, n->latency);
    }
    return count;
}

/* Datagrams have one latency, so the first to arrive was the first to be sent. */
static int nets_recv(void *user, wisp_packet *packets, int count) {
    nets_end *e = (nets_end *)user;
    nets *n = e->n;
    int filled = 0, kept = 0, all = n->count;
    for (int i = 0; i < all; i++) {
        nets_datagram *d = &n->flying[(n->first + i) % NETS_FLYING];
        bool here = d->to == nets_address(e);
        bool due = d->at <= n->now && (here || (!e->taken && d->to / NETS_PORTS == e->end));
        if (due && (e->open || here) && filled < count) {
            packets[filled].addr = nets_addr(d->from);
            packets[filled].size = d->size;
            memcpy(packets[filled++].data, d->bytes, (size_t)d->size);
            e->sent_by[d->from] += (uint64_t)d->size;
        } else if (!due || filled == count) {
            if (kept != i) n->flying[(n->first + kept) % NETS_FLYING] = *d;
            kept++;
        }
    }
    n->count = kept;
    return filled;
}

static void nets_on_moved(wisp_event *event) { ((nets_end *)event->user)->moved++; }
static void nets_on_any(wisp_event *event) { (void)event; }
static void nets_on_left(wisp_event *event) { ((nets_end *)event->user)->left++; }

/* "n" counts up: nothing is lost, nothing comes twice. */
static void nets_on_number(wisp_event *event) {
    nets_end *e = (nets_end *)event->user;
    double silence = e->n->now - e->last;
    if (event->args[0].as.integer != e->expect++) e->wrong++;
    if (e->got++ && silence > e->longest) e->longest = silence;
    e->last = e->n->now;
}

static void nets_on_bytes(wisp_event *event) {
    nets_end *e = (nets_end *)event->user;
    const unsigned char *bytes = (const unsigned char *)event->args[0].as.bytes;
    e->got++;
    e->last = e->n->now;
    for (int i = 0; i < event->args[0].count; i++)
        if (bytes[i] != (unsigned char)(i * 7)) e->wrong++;
}

static void nets_add(nets *n, int end, wisp_desc desc) {
    nets_end *e = &n->ends[end];
    e->n = n;
    e->end = end;
    desc.link.send = nets_send;
    desc.link.recv = nets_recv;
    desc.link.user = e;
    desc.seed = n->random + (uint64_t)end + 1;
    e->w = wisp_create(&desc, NULL);
    if (!CHECK(e->w != NULL)) return;
    wisp_connect(e->w, WISP_MOVED, nets_on_moved, e);
    wisp_connect(e->w, WISP_LEFT, nets_on_left, e);
    wisp_connect(e->w, "n", nets_on_number, e);
    wisp_connect(e->w, "bytes", nets_on_bytes, e);
}

static void nets_step(nets *n) {
    n->now += n->step;
    for (int i = 0; i < NETS_ENDS; i++)
        if (n->ends[i].w) {
            wisp_update(n->ends[i].w, n->now);
            wisp__host_check(n->ends[i].w);
        }
}

static void nets_run(nets *n, double seconds) {
    for (int i = (int)(seconds / n->step + 0.5); i > 0; i--) nets_step(n);
}

static wisp_peer nets_peer(const nets *n, int end) {
    wisp_peer peer = { 0 };
    wisp_peers(n->ends[end].w, &peer, 1);
    return peer;
}

/* A server (end 0) and a client (end 1), joined. */
static nets *nets_open(double latency, double loss, uint64_t seed, wisp_desc desc) {
    nets *n = (nets *)calloc(1, sizeof *n);
    wisp_addr server = nets_addr(0);
    n->flying = (nets_datagram *)calloc(NETS_FLYING, sizeof *n->flying);
    n->step = 0.01;
    n->latency = latency;
    n->random = seed * 1000;
    n->loss = loss;
    nets_add(n, 0, desc);
    nets_add(n, 1, desc);
    wisp_join(n->ends[1].w, &server, NULL, 0);
    for (int i = 0; i < 1000 && !(nets_peer(n, 0).id && nets_peer(n, 1).id); i++) nets_step(n);
    CHECK(nets_peer(n, 0).id && nets_peer(n, 1).id);
    nets_run(n, 1 + 4 * latency);
    return n;
}

static nets *nets_plain(double latency, double loss, uint64_t seed) {
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    return nets_open(latency, loss, seed, desc);
}

static void nets_close(nets *n) {
    for (int i = 0; i < NETS_ENDS; i++)
        if (n->ends[i].w) wisp_destroy(n->ends[i].w);
    free(n->flying);
    free(n);
}

static int nets_at(const nets *n, int end) {
    const wisp_addr *addr = wisp_peer_addr(n->ends[end].w, nets_peer(n, end));
    return addr ? addr->bytes[0] - 1 : -1;
}

static wisp_result nets_fire(nets *n, int end, int number) {
    wisp_value value = wisp_int(number);
    return wisp_fire_values(n->ends[end].w, "n", wisp_to_peer(nets_peer(n, end)), &value, 1);
}

/* --- one end's address changes --- */

/* Numbers go both ways, one in each step, while the port of an end changes at these times. */
static void move_in_traffic(int end, double latency, double loss, uint64_t seed, int changes,
                            double between) {
    nets *n = nets_plain(latency, loss, seed);
    double round = 2 * latency + 3 * n->step, most = 0;
    int sent = 0, steps = (int)((2 + changes * between) / n->step);
    for (int i = 0; i < steps; i++) {
        int change = (int)((i * n->step - 1) / between) + 1;
        if (i * n->step >= 1 && change <= changes) n->ends[end].port = change % NETS_PORTS;
        nets_fire(n, 0, sent);
        nets_fire(n, 1, sent++);
        nets_step(n);
    }
    nets_run(n, 3 + 20 * latency);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(n->ends[i].got, sent);
        CHECK_EQ_INT(n->ends[i].wrong, 0);
        CHECK_EQ_INT(n->ends[i].left, 0);
        if (n->ends[i].longest > most) most = n->ends[i].longest;
    }
    CHECK_EQ_INT(nets_at(n, !end), end * NETS_PORTS + changes % NETS_PORTS);
    CHECK_EQ_INT(nets_at(n, end), !end * NETS_PORTS);
    CHECK(n->ends[!end].moved >= 1 && n->ends[!end].moved <= changes);
    CHECK_EQ_INT(n->ends[end].moved, 0);
    /* One way is cut for one round trip, and half of one passes until new numbers come. */
    if (!(loss > 0) && between > 1) {
        CHECK(most <= 2 * round);
        if (most > 2 * round) printf("  %g s of %g s (end %d)\n", most, round, end);
    }
    nets_close(n);
}

TEST(a_session_goes_on_within_two_round_trips_of_a_change) {
    static const double latencies[] = { 0, 0.01, 0.03, 0.1, 0.3 };
    for (int end = 0; end < 2; end++)
        for (int i = 0; i < 5; i++)
            for (uint64_t seed = 1; seed <= 3; seed++) {
                move_in_traffic(end, latencies[i], 0, seed, 1, 2);
                move_in_traffic(end, latencies[i], 0, seed, 3, 2);
            }
}

/* It sends nothing but acks, so the other end cannot see its new address until it pings. */
TEST(one_that_only_receives_shows_its_new_address_soon) {
    for (int end = 0; end < 2; end++) {
        nets *n = nets_plain(0.05, 0, 1);
        int sent = 0, before;
        for (; sent < 240; sent++) {
            if (sent == 120) n->ends[end].port = 1;
            nets_fire(n, !end, sent);
            nets_step(n);
        }
        nets_run(n, 1);
        CHECK_EQ_INT(n->ends[end].got, sent);
        CHECK_EQ_INT(n->ends[end].wrong, 0);
        CHECK_EQ_INT(n->ends[!end].moved, 1);
        CHECK(n->ends[end].longest < 0.6);
        before = n->ends[end].datagrams;      /* the traffic has ended, and so does the asking */
        nets_run(n, 2);
        CHECK(n->ends[end].datagrams - before <= 2);
        nets_close(n);
    }
}

TEST(a_session_moves_under_loss) {
    for (int end = 0; end < 2; end++)
        for (uint64_t seed = 1; seed <= 6; seed++) {
            move_in_traffic(end, 0.03, 0.05, seed, 1, 2);
            move_in_traffic(end, 0.03, 0.2, seed, 2, 3);
        }
}

TEST(two_changes_in_a_row_are_followed) {
    for (int end = 0; end < 2; end++)
        for (int i = 1; i <= 12; i++) move_in_traffic(end, 0.05, 0, 1, 2, 0.02 * i);
}

/* --- packet sizes --- */

static unsigned char nets_pattern[70000];

static wisp_value nets_bytes(int size) {
    for (int i = 0; i < size; i++) nets_pattern[i] = (unsigned char)(i * 7);
    return wisp_bytes(nets_pattern, size);
}

static wisp_result nets_fire_bytes(nets *n, int end, int size) {
    wisp_value value = nets_bytes(size);
    return wisp_fire_values(n->ends[end].w, "bytes", wisp_to_peer(nets_peer(n, end)), &value, 1);
}

static int nets_mtu(const nets *n, int end) {
    return world_peer_stats(n->ends[end].w, nets_peer(n, end)).mtu;
}

static void nets_use(nets *n, const char *name, wisp_delivery delivery) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.delivery = delivery;
    for (int i = 0; i < 2; i++) CHECK_EQ_INT(wisp_use_config(n->ends[i].w, &config, name), WISP_OK);
}

static void nets_wait(nets *n, int end, int got, double seconds) {
    for (double until = n->now + seconds; n->now < until && n->ends[end].got < got; ) nets_step(n);
    CHECK_EQ_INT(n->ends[end].got, got);
    CHECK_EQ_INT(n->ends[0].wrong + n->ends[1].wrong, 0);
    CHECK_EQ_INT(n->ends[0].left + n->ends[1].left, 0);
}

/* From this moment on an end's datagrams of more bytes vanish; large messages of every size arrive,
   and within so many round trips. */
static void size_falls(int hole, double latency, double loss, int ends, uint64_t seed) {
    static const int sizes[] = { 300, 440, 441, 600, 1000, 1104, 1105, 2000, 20000, 70000 };
    nets *n = nets_plain(latency, loss, seed);
    double begin = n->now, round = 2 * latency + 2 * n->step;
    if (ends & 1) n->ends[0].hole = hole;
    if (ends & 2) n->ends[1].hole = hole;
    for (int i = 0; i < 10; i++) {
        nets_fire_bytes(n, 0, sizes[i]);
        nets_fire_bytes(n, 1, sizes[i]);
    }
    nets_wait(n, 0, 10, 60);
    nets_wait(n, 1, 10, 60);
    if (!(loss > 0)) CHECK(n->now - begin < 60 * round + 1);
    if (!(loss > 0) && n->now - begin >= 60 * round + 1)
        printf("  %g round trips (hole %d)\n", (n->now - begin) / round, hole);
    for (int i = 0; i < 450; i++) {                /* so that the search goes on */
        nets_fire_bytes(n, 0, 3000);
        nets_fire_bytes(n, 1, 3000);
        nets_run(n, 0.02);
    }
    for (int end = 0; end < 2; end++) {
        bool small = ends >> end & 1;
        int mtu = nets_mtu(n, end);
        if (!(loss > 0)) CHECK(small ? mtu <= hole && mtu > hole - 40 : mtu == 1200);
        else CHECK(mtu >= WISP__MTU_LEAST && (!small || mtu <= hole));
        if (!(loss > 0) && small && mtu <= hole - 40) printf("  %d of %d\n", mtu, hole);
    }
    nets_close(n);
}

TEST(everything_arrives_when_large_datagrams_vanish) {
    static const int holes[] = { 508, 548, 576, 1000, 1100, 1180 };
    static const double latencies[] = { 0, 0.03, 0.1, 0.25 };
    for (int ends = 1; ends <= 3; ends++)
        for (int i = 0; i < 6; i++)
            size_falls(holes[i], latencies[(i + ends) % 4], 0, ends, (uint64_t)(1 + i));
    for (uint64_t seed = 1; seed <= 4; seed++) size_falls(1000, 0.03, 0.1, 3, seed);
    size_falls(576, 0.03, 0.25, 3, 9);
}

/* A third of all packets is lost, large and small: no size is taken for too large. */
TEST(loss_lowers_no_size_of_a_session) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
        nets *n = nets_plain(0.03, 0.3, seed);
        int small = 0;
        for (int i = 0; i < 1500; i++) {
            if (i % 5 == 0) nets_fire_bytes(n, 0, 4000);
            nets_fire(n, 0, i);
            nets_run(n, 0.02);
            small += nets_mtu(n, 0) < 1200;
        }
        CHECK(small < 15);
        nets_close(n);
    }
}

/* Unreliable messages of every size go on arriving: at first a few are lost, then all come. */
static void unreliable_sizes(wisp_delivery delivery, int hole, double latency) {
    nets *n = nets_plain(latency, 0, 1);
    int before, fired = 0;
    nets_use(n, "bytes", delivery);
    nets_fire_bytes(n, 0, 10);
    nets_wait(n, 1, 1, 5);
    n->ends[0].hole = hole;
    for (int i = 0; i < 400; i++, nets_run(n, 0.02)) nets_fire_bytes(n, 0, 1 + i * 37 % 1090);
    nets_run(n, 1);
    before = n->ends[1].got;
    for (int size = 1; size <= 1090; size += 7, fired++) {
        CHECK_EQ_INT(nets_fire_bytes(n, 0, size), WISP_OK);
        nets_run(n, 0.02);
    }
    nets_run(n, 1);
    CHECK_EQ_INT(n->ends[1].got - before, fired);
    CHECK_EQ_INT(n->ends[1].wrong, 0);
    CHECK(nets_mtu(n, 0) <= hole);
    nets_close(n);
}

TEST(unreliable_messages_larger_than_a_packet_go_in_parts) {
    unreliable_sizes(WISP_UNRELIABLE, 600, 0.02);
    unreliable_sizes(WISP_SEQUENCED, 900, 0.1);
}

/* Deltas of a struct that is larger than the packets: acked parts make a baseline, so most values
   go as small deltas, and each that arrives is right. */
typedef struct nets_table { int32_t cells[200]; } nets_table;

static const wisp_type nets_cell = WISP_T_INT32;
static const wisp_field nets_fields[] = {
    WISP_FIELD(nets_table, cells, WISP_T_ARRAY(&nets_cell, 200)),
};
static const wisp_schema nets_schema = WISP_SCHEMA(nets_table, 1, nets_fields);

static void nets_on_table(wisp_event *event) {
    nets_end *e = (nets_end *)event->user;
    const nets_table *table = (const nets_table *)wisp_arg_struct(event, 0, &nets_schema);
    int first = table ? table->cells[0] : 0;
    e->got++;
    for (int i = 0; table && i < 200; i++) e->wrong += table->cells[i] != first + i * 4000;
    e->wrong += !table;
    e->last = first;
}

TEST(a_delta_has_a_baseline_though_its_values_go_in_parts) {
    for (int lossy = 0; lossy < 2; lossy++) {
        static nets_table table;
        wisp_config config;
        wisp_schema_entry entry;
        nets *n = nets_plain(0.05, 0, 1);
        wisp_remote_stats before, after;
        memset(&config, 0, sizeof config);
        memset(&entry, 0, sizeof entry);
        config.delivery = WISP_UNRELIABLE;
        config.encode.mode = WISP_ENCODE_DELTA;
        config.encode.schema = &nets_schema;
        entry.remote = "table";
        entry.schema = &nets_schema;
        for (int end = 0; end < 2; end++) {
            wisp_use_schemas(n->ends[end].w, &entry, 1);
            CHECK_EQ_INT(wisp_use_config(n->ends[end].w, &config, "table"), WISP_OK);
        }
        wisp_connect(n->ends[1].w, "table", nets_on_table, &n->ends[1]);
        n->ends[0].hole = 520;
        n->loss = lossy * 0.1;
        for (int i = 0; i < 900; i++) {
            if (i < 300) nets_fire_bytes(n, 0, 2000);                  /* the size is found */
            if (i == 450) wisp_stats_remote(n->ends[0].w, "table", &before);
            for (int k = 0; k < 200; k++) table.cells[k] = i + k * 4000;
            wisp_fire(n->ends[0].w, "table", nets_peer(n, 0), wisp_struct(&nets_schema, &table));
            nets_run(n, 0.02);
        }
        n->loss = 0;
        nets_run(n, 3);
        wisp_stats_remote(n->ends[0].w, "table", &after);
        CHECK(nets_mtu(n, 0) <= 520);
        CHECK_EQ_INT(n->ends[1].wrong, 0);
        CHECK_NEAR(n->ends[1].last, 899, 0);
        CHECK((after.bits_sent - before.bits_sent) / 8 < 450 * 400);   /* whole: 800 bytes each */
        nets_close(n);
    }
}

/* Parts of any order, length and set: no memory beyond a few packets, no harm. */
TEST(no_parts_of_a_stranger_kind_take_memory) {
    uint64_t random = 5;
    forger *b = forger_open();
    uint64_t memory = world_total(b->t.server).memory;
    for (int i = 0; i < 4000; i++) {
        int last = test_random_below(&random, 2), set = test_random_below(&random, 12);
        int bytes = last ? 1 + test_random_below(&random, 300)
                         : WISP__LEAST_FRAGMENT + test_random_below(&random, 300);
        int at = test_random_below(&random, 20) ? test_random_below(&random, 1000)
                                                : test_random_below(&random, 65536);
        wisp__writer *to = body(b);
        wisp__frame_put(to, WISP__FRAME_PART);
        wisp__put(to, (uint64_t)set, 8);
        wisp__put(to, (uint64_t)last, 1);
        wisp__put(to, (uint64_t)at, 16);
        wisp__put(to, (uint64_t)bytes, 16);
        for (int k = 0; k < bytes; k++)
            wisp__put(to, i & 1 ? test_random(&random) & 255 : 0, 8);
        send_body(b);
        world_step(&b->t.w);
        CHECK(world_total(b->t.server).memory < memory + 80000);
        if (!forger_joined(b)) forger_rejoin(b);
    }
    forger_close(b);
}

static char nets_reason[256];

static void nets_on_reason(wisp_event *event) {
    snprintf(nets_reason, sizeof nets_reason, "%d %s", event->result, event->text);
}

/* The answer to a join has to carry the ticket in one packet. */
static void join_with_ticket(int hole, int ticket, const char *why) {
    static unsigned char bytes[1200];
    nets *n = (nets *)calloc(1, sizeof *n);
    wisp_addr server = nets_addr(0);
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.app = "a game";
    desc.join_timeout = 5;
    n->flying = (nets_datagram *)calloc(NETS_FLYING, sizeof *n->flying);
    n->step = 0.01;
    n->latency = 0.03;
    nets_add(n, 0, desc);
    nets_add(n, 1, desc);
    n->ends[0].hole = n->ends[1].hole = hole;
    nets_reason[0] = 0;
    wisp_connect(n->ends[1].w, WISP_LEFT, nets_on_reason, NULL);
    CHECK(wisp_join(n->ends[1].w, &server, bytes, ticket).id != 0);
    nets_run(n, 6);
    CHECK_EQ_INT(nets_peer(n, 1).id != 0, why == NULL);
    CHECK_EQ_STR(nets_reason, why ? why : "");
    nets_close(n);
}

TEST(a_ticket_that_the_path_drops_is_told) {
    join_with_ticket(508, 400, NULL);
    join_with_ticket(1000, 900, NULL);
    join_with_ticket(1000, 1000,
                     "-21 no answer to the ticket: the path may drop so large a packet, try a "
                     "smaller one");
    join_with_ticket(40, 400, "-21 no answer: is the address right, and does the other end call "
                              "wisp_update?");
}

/* --- several changes, and keepalives --- */

TEST(a_size_that_changes_again_and_again_is_followed) {
    static const int holes[] = { 1000, 576, 0, 800, 0, 1100, 508, 0 };
    for (int end = 0; end < 2; end++) {
        nets *n = nets_plain(0.03, 0, 5);
        int fired = 0;
        for (int i = 0; i < 8; i++) {
            n->ends[end].hole = holes[i];
            for (int k = 0; k < 200; k++, fired++) {
                nets_fire_bytes(n, end, 5000);
                nets_run(n, 0.1);
            }
            nets_wait(n, !end, fired, 5);
            if (holes[i]) CHECK(nets_mtu(n, end) <= holes[i] && nets_mtu(n, end) > holes[i] - 40);
            else CHECK_EQ_INT(nets_mtu(n, end), 1200);
            CHECK_EQ_INT(nets_mtu(n, !end), 1200);
        }
        nets_close(n);
    }
}

/* Each end sends one datagram in each interval: a ping, or the ack of one. */
TEST(an_idle_session_sends_one_packet_per_keepalive_and_way) {
    static const double timeouts[] = { 10, 40, 300, 3000 }, waits[] = { 2.5, 10, 13, 13 };
    for (int i = 0; i < 4; i++) {
        wisp_desc desc;
        nets *n;
        memset(&desc, 0, sizeof desc);
        desc.timeout = timeouts[i];
        n = nets_open(0.05, 0, 3, desc);
        n->step = 1.0 / 60;
        nets_run(n, 5);
        n->ends[0].datagrams = n->ends[1].datagrams = 0;
        nets_run(n, 600);
        for (int end = 0; end < 2; end++) {
            CHECK(n->ends[end].datagrams <= 600 / waits[i] + 2);
            CHECK(n->ends[end].datagrams >= 600 / (waits[i] + 0.2) - 2);
        }
        CHECK_EQ_INT(n->ends[0].left + n->ends[1].left, 0);
        nets_close(n);
    }
}

/* A change that nobody notices is made good by the next keepalive. */
TEST(an_idle_session_moves_with_its_keepalive) {
    for (int end = 0; end < 2; end++)
        for (int i = 0; i < 8; i++) {
            nets *n = nets_plain(0.05, 0, 1 + (uint64_t)i);
            nets_run(n, 0.3 * i);
            n->ends[end].port = 3;
            nets_fire(n, !end, 0);
            nets_run(n, 3.5);
            CHECK_EQ_INT(nets_at(n, !end), end * NETS_PORTS + 3);
            CHECK_EQ_INT(n->ends[!end].moved, 1);
            nets_run(n, 1);
            CHECK_EQ_INT(n->ends[end].got, 1);
            CHECK_EQ_INT(n->ends[0].left + n->ends[1].left, 0);
            nets_close(n);
        }
}

/* Both ports go on to receive: packets from the new one move the session all the same. */
TEST(a_session_moves_though_the_old_address_still_works) {
    nets *n = nets_plain(0.03, 0, 1);
    n->ends[1].open = true;
    for (int i = 0; i < 300; i++) {
        n->ends[1].port = i / 100;
        nets_fire(n, 0, i);
        nets_fire(n, 1, i);
        nets_step(n);
    }
    nets_run(n, 1);
    CHECK_EQ_INT(n->ends[0].got, 300);
    CHECK_EQ_INT(n->ends[1].got, 300);
    CHECK_EQ_INT(n->ends[0].moved, 2);
    CHECK_EQ_INT(nets_at(n, 0), NETS_PORTS + 2);
    nets_close(n);
}

TEST(both_ends_at_once_lose_each_other_and_say_so) {
    nets *n = nets_plain(0.03, 0, 1);
    n->ends[0].port = n->ends[1].port = 1;
    nets_run(n, 20);
    CHECK_EQ_INT(n->ends[0].left, 1);
    CHECK_EQ_INT(n->ends[1].left, 1);
    nets_close(n);
}

/* The port changes between the answer to the join and the first packet of the session. */
TEST(a_join_that_moves_before_its_first_packet_is_joined) {
    nets *n = (nets *)calloc(1, sizeof *n);
    wisp_addr server = nets_addr(0);
    wisp_desc desc;
    memset(&desc, 0, sizeof desc);
    n->flying = (nets_datagram *)calloc(NETS_FLYING, sizeof *n->flying);
    n->step = 0.01;
    n->latency = 0.05;
    nets_add(n, 0, desc);
    nets_add(n, 1, desc);
    n->ends[1].open = true;
    wisp_join(n->ends[1].w, &server, NULL, 0);
    while (!n->ends[0].w->peers.pool.live) nets_step(n);
    n->ends[1].port = 1;
    nets_run(n, 2);
    CHECK(nets_peer(n, 0).id && nets_peer(n, 1).id);
    CHECK_EQ_INT(nets_at(n, 0), NETS_PORTS + 1);
    CHECK_EQ_INT(n->ends[0].moved, 1);
    nets_close(n);
}

/* --- a NAT that gives the address of one client to another --- */

TEST(two_clients_swap_their_addresses) {
    wisp_desc desc;
    wisp_peer peers[4];
    wisp_addr server = nets_addr(0);
    nets *n;
    memset(&desc, 0, sizeof desc);
    desc.max_peers = 2;
    n = nets_open(0.03, 0, 1, desc);
    nets_add(n, 2, desc);
    wisp_join(n->ends[2].w, &server, NULL, 0);
    wisp_connect(n->ends[0].w, "a", nets_on_any, NULL);
    wisp_connect(n->ends[0].w, "b", nets_on_any, NULL);
    nets_run(n, 1);
    CHECK_EQ_INT(wisp_peers(n->ends[0].w, peers, 4), 2);
    for (int round = 0; round < 4; round++) {
        n->ends[1].taken = round & 1 ? 0 : 2 * NETS_PORTS + 1;
        n->ends[2].taken = round & 1 ? 0 : 1 * NETS_PORTS + 1;
        for (int i = 0; i < 50; i++) {
            wisp_value value = wisp_int(i);
            wisp_fire_values(n->ends[1].w, "a", wisp_to_peer(nets_peer(n, 1)), &value, 1);
            wisp_fire_values(n->ends[2].w, "b", wisp_to_peer(nets_peer(n, 2)), &value, 1);
            nets_step(n);
        }
        nets_run(n, 1);
        CHECK_EQ_INT(n->ends[0].moved, 2 * (round + 1));
        CHECK_EQ_INT(wisp_peers(n->ends[0].w, peers, 4), 2);
        CHECK_EQ_INT(n->ends[0].w->peers.strangers, 2);
        for (int i = 0; i < 2; i++)
            CHECK_EQ_INT(wisp_peer_addr(n->ends[0].w, peers[i])->bytes[0] - 1,
                         nets_address(&n->ends[i + 1]));
    }
    CHECK_EQ_INT(n->ends[0].left + n->ends[1].left + n->ends[2].left, 0);
    wisp_leave(n->ends[1].w, nets_peer(n, 1), "");
    wisp_leave(n->ends[2].w, nets_peer(n, 2), "");
    nets_run(n, 3);
    CHECK_EQ_INT(n->ends[0].w->peers.strangers, 0);
    CHECK_EQ_INT(wisp_peers(n->ends[0].w, peers, 4), 0);
    nets_close(n);
}

/* One client moves to the address of another, which is silent and stays in the table: sessions are
   told apart by their numbers. Each keeps its place of max_peers. */
TEST(an_address_may_have_two_sessions) {
    wisp_desc desc;
    wisp_addr server = nets_addr(0);
    nets *n;
    memset(&desc, 0, sizeof desc);
    desc.max_peers = 2;
    n = nets_open(0.03, 0, 1, desc);
    nets_add(n, 2, desc);
    wisp_join(n->ends[2].w, &server, NULL, 0);
    nets_run(n, 1);
    n->ends[2].port = 7;                   /* where it will be found later */
    n->ends[1].taken = 2 * NETS_PORTS + 1;
    for (int i = 0; i < 100; i++) {
        nets_fire(n, 1, i);
        n->now += n->step;
        wisp_update(n->ends[0].w, n->now);
        wisp_update(n->ends[1].w, n->now);
        wisp__host_check(n->ends[0].w);
    }
    CHECK_EQ_INT(n->ends[0].got > 90, 1);
    CHECK_EQ_INT(n->ends[0].moved, 1);
    CHECK_EQ_INT(n->ends[0].w->peers.strangers, 2);
    nets_run(n, 4);                        /* the other goes on from its new address */
    CHECK_EQ_INT(n->ends[0].moved, 2);
    CHECK_EQ_INT(n->ends[0].got, 100);
    CHECK_EQ_INT(wisp_peers(n->ends[0].w, NULL, 0), 2);
    CHECK_EQ_INT(n->ends[0].w->peers.strangers, 2);
    CHECK_EQ_INT(n->ends[0].left + n->ends[1].left + n->ends[2].left, 0);
    nets_close(n);
}

/* --- strangers --- */

enum { STRANGER = 2 * NETS_PORTS + 5 };

typedef struct nets_spy {
    int      victim;             /* the end whose packets are copied */
    bool     relays;             /* passes on what comes back */
    int      kept_size;
    uint8_t  kept[NETS_BYTES];   /* the newest packet of the victim */
    uint64_t sent;               /* bytes that the stranger has sent to the other end */
    int      copies;             /* of 100 packets */
    bool     answers_vanish;     /* what goes to the stranger */
} nets_spy;

/* Copies go out from the stranger's address and arrive first. */
static bool spy_eye(nets *n, int from, int to, const void *bytes, int size) {
    nets_spy *y = (nets_spy *)n->user;
    int other = !y->victim;
    if (to == STRANGER) {
        int victim = nets_address(&n->ends[y->victim]);
        if (y->relays && from / NETS_PORTS == other)
            nets_put(n, STRANGER, victim, bytes, size, n->latency / 2);
        if (y->relays && from / NETS_PORTS == y->victim) {
            nets_put(n, STRANGER, nets_address(&n->ends[other]), bytes, size, n->latency / 2);
            y->sent += (uint64_t)size;
        }
        return false;
    }
    if (from / NETS_PORTS != y->victim) return true;
    memcpy(y->kept, bytes, (size_t)size);
    y->kept_size = size;
    if (test_random_below(&n->random, 100) >= y->copies) return true;
    nets_put(n, STRANGER, to, bytes, size, n->latency / 2);
    y->sent += (uint64_t)size;
    return true;
}

static void spied_session(int victim, bool relays, int copies, double loss, uint64_t seed) {
    nets *n = nets_plain(0.04, loss, seed);
    nets_spy y;
    int at_stranger = 0, sent = 0;
    memset(&y, 0, sizeof y);
    y.victim = victim;
    y.relays = relays;
    y.copies = copies;
    n->user = &y;
    n->eye = spy_eye;
    for (int i = 0; i < 1500; i++) {
        if (i % 3 == 0) {
            nets_fire(n, 0, sent);
            nets_fire(n, 1, sent++);
        }
        nets_step(n);
        at_stranger += nets_at(n, !victim) == STRANGER;
    }
    y.copies = 0;
    nets_run(n, 4);
    for (int end = 0; end < 2; end++) {
        CHECK_EQ_INT(n->ends[end].got, sent);
        CHECK_EQ_INT(n->ends[end].wrong, 0);
        CHECK_EQ_INT(n->ends[end].left, 0);
    }
    CHECK_EQ_INT(nets_at(n, !victim), victim * NETS_PORTS);
    CHECK_EQ_INT(nets_at(n, victim), !victim * NETS_PORTS);
    if (!relays) CHECK_EQ_INT(at_stranger, 0);
    if (!relays) CHECK(n->ends[!victim].sent_to[STRANGER] <= 3 * y.sent);
    CHECK(at_stranger < 75);                       /* one in twenty, with a relay and loss */
    if (at_stranger >= 75) printf("  %d of 1500 (loss %g, %d)\n", at_stranger, loss, copies);
    nets_close(n);
}

TEST(who_copies_packets_and_is_faster_does_not_keep_the_session) {
    for (int victim = 0; victim < 2; victim++)
        for (int relays = 0; relays < 2; relays++)
            for (uint64_t seed = 1; seed <= 3; seed++) {
                spied_session(victim, relays, 100, 0, seed);
                spied_session(victim, relays, 30, 0.05, seed);
                spied_session(victim, relays, 100, 0.05, seed);
            }
}

/* The newest packet again, older ones, and bytes that only look like one. */
TEST(replays_and_forgeries_move_nothing) {
    for (int victim = 0; victim < 2; victim++) {
        nets *n = nets_plain(0.02, 0, 1);
        nets_spy y;
        uint8_t old[NETS_BYTES], forged[64];
        int old_size, other = nets_address(&n->ends[!victim]);
        memset(&y, 0, sizeof y);
        y.victim = victim;
        n->user = &y;
        n->eye = spy_eye;
        nets_fire(n, victim, 0);
        nets_run(n, 0.5);
        memcpy(old, y.kept, sizeof old);
        old_size = y.kept_size;
        for (int i = 0; i < 2000; i++) {
            if (i % 20 == 0) nets_fire(n, victim, 1 + i / 20);
            nets_put(n, STRANGER, other, old, old_size, n->latency);
            nets_put(n, STRANGER, other, y.kept, y.kept_size, n->latency);
            memcpy(forged, y.kept, 13);
            for (int k = 3; k < 64; k++) forged[k] = (uint8_t)test_random(&n->random);
            nets_put(n, STRANGER, other, forged, 64, n->latency);
            y.sent += (uint64_t)(old_size + y.kept_size + 64);
            nets_step(n);
        }
        nets_run(n, 2);
        CHECK_EQ_INT(n->ends[!victim].moved, 0);
        CHECK_EQ_INT(n->ends[!victim].got, 101);
        CHECK_EQ_INT(nets_at(n, !victim), victim * NETS_PORTS);
        CHECK_EQ_INT(n->ends[0].left + n->ends[1].left, 0);
        CHECK(n->ends[!victim].sent_to[STRANGER] < y.sent / 2);
        CHECK(n->ends[!victim].datagrams < 1200);
        nets_close(n);
    }
}

/* Nothing but challenges goes to an address that does not answer, whatever is queued. */
static bool deaf_eye(nets *n, int from, int to, const void *bytes, int size) {
    (void)n; (void)bytes; (void)size;
    return !(from == 0 && to == NETS_PORTS + 1);
}

TEST(at_most_three_times_the_bytes_go_to_an_address_that_is_not_proven) {
    for (int i = 0; i < 6; i++) {
        nets *n = nets_plain(0.02, 0, 1 + (uint64_t)i);
        n->ends[0].open = n->ends[1].open = true;
        n->eye = deaf_eye;
        n->ends[1].port = 1;
        for (int k = 0; k < 400; k++) {
            nets_fire_bytes(n, 0, 20000);
            if (k % (1 + 40 * i) == 0) nets_fire(n, 1, k);
            nets_step(n);
            CHECK(n->ends[0].sent_to[NETS_PORTS + 1] <= 3 * n->ends[0].sent_by[NETS_PORTS + 1]);
        }
        CHECK(n->ends[0].sent_to[NETS_PORTS + 1] > 0);
        CHECK_EQ_INT(n->ends[0].moved, 0);
        nets_close(n);
    }
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        CASE(a_session_goes_on_within_two_round_trips_of_a_change),
        CASE(one_that_only_receives_shows_its_new_address_soon),
        CASE(a_session_moves_under_loss),
        CASE(two_changes_in_a_row_are_followed),
        CASE(everything_arrives_when_large_datagrams_vanish),
        CASE(loss_lowers_no_size_of_a_session),
        CASE(unreliable_messages_larger_than_a_packet_go_in_parts),
        CASE(a_delta_has_a_baseline_though_its_values_go_in_parts),
        CASE(no_parts_of_a_stranger_kind_take_memory),
        CASE(a_ticket_that_the_path_drops_is_told),
        CASE(a_size_that_changes_again_and_again_is_followed),
        CASE(an_idle_session_sends_one_packet_per_keepalive_and_way),
        CASE(an_idle_session_moves_with_its_keepalive),
        CASE(a_session_moves_though_the_old_address_still_works),
        CASE(both_ends_at_once_lose_each_other_and_say_so),
        CASE(a_join_that_moves_before_its_first_packet_is_joined),
        CASE(two_clients_swap_their_addresses),
        CASE(an_address_may_have_two_sessions),
        CASE(who_copies_packets_and_is_faster_does_not_keep_the_session),
        CASE(replays_and_forgeries_move_nothing),
        CASE(at_most_three_times_the_bytes_go_to_an_address_that_is_not_proven),
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
