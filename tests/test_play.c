/* test_play.c - long play over networks that do everything wrong in turn

   Packet numbers, channel sequences and call ids begin just below the wrap of 32 bits, which is
   also one of 16 and of 24 bits. Three clients play with a server for 2,000 s of simulated time.
   Every few seconds something happens to one of them: a stall, an end that sleeps, another port,
   packets that are late, lost in bursts or doubled, lost acks, a narrow link, one that larger
   packets do not pass, a link that takes nothing, a session that ends and begins anew. Nothing
   that is reliable may be lost or come twice, in either direction. */
#ifndef WISP_FIRST_NUMBER
#define WISP_FIRST_NUMBER 0xfffffff0u
#endif
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/bottleneck.h"

enum { PLAY_CLIENTS = 3, PLAY_LARGE = 20000, PLAY_SEEN = 1 << 16 };

/* Kinds of messages, each with a counter. */
enum { PLAY_MOVE, PLAY_CHAT, PLAY_DELTA, PLAY_LARGE_ONE, PLAY_INPUT, PLAY_VOICE, PLAY_STATE,
       PLAY_KINDS };

static const char *const play_names[PLAY_KINDS] = { "move", "chat", "delta", "large", "input",
                                                    "voice", "state" };

/* Seconds between two messages of a kind. */
static const double play_pauses[PLAY_KINDS] = { 0.1, 0.4, 0.3, 16, 0.1, 0.15, 0.15 };

/* One direction of a session, numbered from 0. */
typedef struct play_stream {
    int64_t fired[PLAY_KINDS], next[PLAY_KINDS];
    double  due[PLAY_KINDS];
    int64_t asked, answered, wrong;
    uint8_t seen[PLAY_SEEN];              /* of voice */
} play_stream;

typedef struct play_client {
    int       end;
    bn_way   *up, *down;
    wisp_peer to_server, to_client;
    bool      quiet, joined, ended;
    wisp_result result;
    play_stream out, in;                  /* to the server, to the client */
    double    calm;                       /* when what happens to it is over */
    int       happening;
} play_client;

typedef struct play {
    bn_net      net;
    int         server;
    play_client clients[PLAY_CLIENTS];
    int         moved, errors;
} play;

static play *play_now;

/* The stream that an event belongs to, by the end that handles it. */
static play_stream *play_stream_of(const wisp_event *event) {
    play *p = play_now;
    for (int i = 0; i < PLAY_CLIENTS; i++) {
        play_client *c = &p->clients[i];
        if (event->w == bn_wisp(&p->net, c->end)) return &c->in;
        if (event->w == bn_wisp(&p->net, p->server) && event->peer.id == c->to_client.id)
            return &c->out;
    }
    return NULL;
}

static int play_kind(const wisp_event *event) {
    int kind = 0;
    while (kind < PLAY_KINDS - 1 && strcmp(event->name, play_names[kind]) != 0) kind++;
    return kind;
}

static void on_play_reliable(wisp_event *event) {
    play_stream *s = play_stream_of(event);
    int kind = play_kind(event), size = 0;
    if (!s) return;
    if (wisp_arg_int(event, 0) != s->next[kind]) {
        if (s->wrong++ < 3)
            printf("  %s %d, not %d\n", event->name, (int)wisp_arg_int(event, 0),
                   (int)s->next[kind]);
    }
    s->next[kind] = wisp_arg_int(event, 0) + 1;
    if (kind != PLAY_LARGE_ONE) return;
    wisp_arg_bytes(event, 1, &size);
    if (size != PLAY_LARGE) s->wrong++;
}

/* Sequenced, or of deltas: only newer ones come. */
static void on_play_newer(wisp_event *event) {
    play_stream *s = play_stream_of(event);
    int kind = play_kind(event);
    if (!s) return;
    if (wisp_arg_int(event, 0) < s->next[kind]) s->wrong++;
    s->next[kind] = wisp_arg_int(event, 0) + 1;
}

static void on_play_voice(wisp_event *event) {
    play_stream *s = play_stream_of(event);
    int64_t number = wisp_arg_int(event, 0);
    if (!s) return;
    if (s->seen[number % PLAY_SEEN]++) s->wrong++;
    s->next[PLAY_VOICE]++;
}

static void on_play_call(wisp_event *event) {
    wisp_value value = wisp_int(wisp_arg_int(event, 0) * 2);
    wisp_reply_values(event, &value, 1);
}

static void on_play_answer(wisp_event *event) {
    play_stream *s = (play_stream *)event->user;
    if (event->result) {
        s->wrong++;
        printf("  a call ends with %d: %s\n", (int)event->result, event->text);
    }
    s->answered++;
}

/* What is unreliable may grow too old on such a path. */
static void on_play_error(wisp_event *event) {
    if (event->result == WISP_E_TOO_OLD) return;
    if (play_now->errors++ < 5)
        printf("  %.1f s: error %d: %s\n", play_now->net.now, (int)event->result, event->text);
}

static void on_play_moved(wisp_event *event) {
    (void)event;
    play_now->moved++;
}

static void on_play_left(wisp_event *event) {
    play *p = play_now;
    for (int i = 0; i < PLAY_CLIENTS; i++)
        if (event->w == bn_wisp(&p->net, p->clients[i].end)) {
            p->clients[i].ended = true;
            p->clients[i].result = event->result;
            if (event->result)
                printf("  %.1f s: client %d left with %d: %s\n", p->net.now, i,
                       (int)event->result, event->text);
        }
}

static void play_set_up(wisp *w) {
    static const wisp_handler handlers[PLAY_KINDS] = {
        on_play_reliable, on_play_reliable, on_play_reliable, on_play_reliable, on_play_newer,
        on_play_voice, on_play_newer };
    for (int kind = 0; kind < PLAY_KINDS; kind++) {
        wisp_config config;
        memset(&config, 0, sizeof config);
        config.channel = WISP_CHANNEL(kind % 4);
        if (kind >= PLAY_INPUT)
            config.delivery = kind == PLAY_INPUT ? WISP_SEQUENCED : WISP_UNRELIABLE;
        if (kind == PLAY_MOVE) {
            config.rate_limit = 1 / 20.0;
            config.rate_burst = 20;            /* ways become shorter by up to 0.7 s */
        }
        wisp_use_config(w, &config, play_names[kind]);
        wisp_connect_target(w, wisp_by_name(play_names[kind]), handlers[kind], NULL, false);
    }
    CHECK_EQ_INT(wisp_use_delta(w, NULL, "delta"), WISP_OK);
    CHECK_EQ_INT(wisp_use_delta(w, NULL, "state"), WISP_OK);
    wisp_on_invoke_target(w, wisp_by_name("double"), on_play_call, NULL);
    wisp_connect_target(w, wisp_by_name(WISP_ERROR), on_play_error, NULL, false);
    wisp_connect_target(w, wisp_by_name(WISP_LEFT), on_play_left, NULL, false);
    wisp_connect_target(w, wisp_by_name(WISP_MOVED), on_play_moved, NULL, false);
}

/* --- what is sent --- */

static void play_fire(wisp *w, wisp_peer to, play_stream *s, int kind) {
    static uint8_t large[PLAY_LARGE];
    wisp_value values[4];
    int count = 2;
    int64_t number = s->fired[kind];
    wisp_result result;
    values[0] = wisp_int(number);
    values[1] = wisp_string(kind == PLAY_CHAT ? "a line of chat, neither long nor short" : "x");
    if (kind == PLAY_LARGE_ONE) {
        for (int i = 0; i < PLAY_LARGE; i += 7) large[i] = (uint8_t)(number + i * i);
        values[1] = wisp_bytes(large, PLAY_LARGE);
    }
    if (kind == PLAY_DELTA || kind == PLAY_STATE) {
        values[1] = wisp_int(number / 5);
        values[2] = wisp_int(7 * number);
        values[3] = wisp_string("unchanged");
        count = 4;
    }
    result = wisp_fire_values(w, play_names[kind], wisp_to_peer(to), values, count);
    if (result == WISP_OK) s->fired[kind]++;
    else if (kind <= PLAY_LARGE_ONE && s->wrong++ < 3)
        printf("  %s is refused with %d\n", play_names[kind], (int)result);
}

static void play_send(play *p, wisp *w, wisp_peer to, play_stream *s) {
    wisp_call_desc desc;
    wisp_value value = wisp_int(1);
    for (int kind = 0; kind < PLAY_KINDS; kind++) {
        if (p->net.now < s->due[kind]) continue;
        s->due[kind] = p->net.now + play_pauses[kind];
        play_fire(w, to, s, kind);
    }
    if (s->fired[PLAY_CHAT] % 8 || s->asked > s->fired[PLAY_CHAT] / 8) return;
    memset(&desc, 0, sizeof desc);
    desc.on_reply = on_play_answer;
    desc.user = s;
    desc.timeout = 40;
    if (wisp_invoke_values(w, "double", wisp_to_peer(to), &desc, &value, 1).id) s->asked++;
    else s->wrong++;
}

static void play_tick(bn_net *net, int end) {
    play *p = (play *)net->user;
    for (int i = 0; i < PLAY_CLIENTS; i++) {
        play_client *c = &p->clients[i];
        if (!c->joined || c->quiet) continue;
        if (end == c->end) play_send(p, bn_wisp(net, end), c->to_server, &c->out);
        if (end == p->server) play_send(p, bn_wisp(net, end), c->to_client, &c->in);
    }
}

/* --- what happens --- */

enum { PLAY_CALM, PLAY_STALL_UP, PLAY_STALL_DOWN, PLAY_STALL, PLAY_SLEEP, PLAY_PORT, PLAY_PORTS,
       PLAY_REORDER, PLAY_BURSTS, PLAY_ACKS_LOST, PLAY_NARROW, PLAY_HOLE, PLAY_REFUSES,
       PLAY_DOUBLE, PLAY_JITTER, PLAY_SLOW, PLAY_SERVER_SLEEPS, PLAY_AGAIN_JOINED,
       PLAY_HAPPENINGS };

static void play_way_calm(bn_net *net, bn_way *way) {
    bn_way_rate(way, 500e3);
    way->delay = 0.01 + 0.06 * bn_chance(net);
    way->queue = 64 << 10;
    way->jitter = 0.004;
    way->loss = 0.01;
    way->burst = 0;
    way->reorder = way->late = way->duplicate = 0;
    way->hole = 0;
}

static void play_calm(play *p, play_client *c) {
    bn_end *end = p->net.ends[c->end];
    if (c->happening == PLAY_PORTS) end->port++;
    if (c->happening == PLAY_SERVER_SLEEPS) p->net.ends[p->server]->asleep = false;
    end->asleep = end->refuses = false;
    play_way_calm(&p->net, c->up);
    play_way_calm(&p->net, c->down);
    c->happening = PLAY_CALM;
    c->calm = p->net.now + 2 + 4 * bn_chance(&p->net);
}

/* Goes on a while; what happens to clients ends in time. */
static void play_pass(play *p, double seconds) {
    bn_run(&p->net, seconds);
    for (int i = 0; i < PLAY_CLIENTS; i++) {
        play_client *c = &p->clients[i];
        if (p->net.now >= c->calm && c->happening != PLAY_CALM) play_calm(p, c);
    }
}

static bool play_all_arrived(const play_stream *s) {
    for (int kind = 0; kind <= PLAY_LARGE_ONE; kind++)
        if (s->next[kind] != s->fired[kind]) return false;
    return s->answered == s->asked;
}

static void play_check(const play_client *c) {
    for (int way = 0; way < 2; way++) {
        const play_stream *s = way ? &c->in : &c->out;
        for (int kind = 0; kind <= PLAY_LARGE_ONE; kind++)
            if (!CHECK_EQ_INT(s->next[kind], s->fired[kind]))
                printf("  %s %s\n", way ? "down" : "up", play_names[kind]);
        CHECK_EQ_INT(s->wrong, 0);
        CHECK_EQ_INT(s->answered, s->asked);
        CHECK(s->fired[PLAY_VOICE] < 100 || s->next[PLAY_VOICE] > s->fired[PLAY_VOICE] / 3);
    }
}

static void play_join(play *p, play_client *c) {
    memset(&c->out, 0, sizeof c->out);
    memset(&c->in, 0, sizeof c->in);
    c->quiet = c->ended = false;
    c->to_server = bn_join(&p->net, c->end, p->server);
    CHECK(c->to_server.id != 0);
    for (int n = 0; n < PLAY_CLIENTS + 2; n++) {
        wisp_peer peer = bn_peer(&p->net, p->server, n);
        bool other = false;
        for (int i = 0; i < PLAY_CLIENTS; i++)
            other = other || (p->clients[i].joined && p->clients[i].to_client.id == peer.id);
        if (peer.id && !other) c->to_client = peer;
    }
    c->joined = c->to_server.id != 0;
}

/* Leaves when all has arrived, and joins anew. */
static void play_again(play *p, play_client *c) {
    c->quiet = true;
    play_pass(p, 0.2);
    for (int i = 0; i < 400 && !play_all_arrived(&c->in); i++) play_pass(p, 0.1);
    wisp_drain(bn_wisp(&p->net, c->end), c->to_server, "again", 30);
    for (int i = 0; i < 400 && !c->ended; i++) play_pass(p, 0.1);
    CHECK(c->ended && c->result == WISP_OK);
    play_check(c);
    play_pass(p, 2);
    for (int i = 0; i < PLAY_CLIENTS; i++) play_calm(p, &p->clients[i]);    /* none of it lasts */
    c->joined = false;
    play_join(p, c);
}

/* Begins something that one client suffers from. */
static void play_happen(play *p, play_client *c) {
    bn_net *net = &p->net;
    double stall = 0.2 + 3.8 * bn_chance(net);
    c->happening = (int)(bn_random(net) % PLAY_HAPPENINGS);
    c->calm = net->now + stall;
    switch (c->happening) {
    case PLAY_STALL_UP: c->up->loss = 1; break;
    case PLAY_STALL_DOWN: c->down->loss = 1; break;
    case PLAY_STALL: c->up->loss = c->down->loss = 1; break;
    case PLAY_SLEEP: net->ends[c->end]->asleep = true; break;
    case PLAY_SERVER_SLEEPS: net->ends[p->server]->asleep = true; break;
    case PLAY_PORTS:
    case PLAY_PORT: net->ends[c->end]->port++; break;
    case PLAY_REORDER: c->up->reorder = c->down->reorder = 0.25; c->up->late = 0.03;
                       c->down->late = 0.1; break;
    case PLAY_BURSTS: c->up->loss = c->down->loss = 0.2; c->up->burst = c->down->burst = 3; break;
    case PLAY_ACKS_LOST: c->down->loss = 0.6; break;
    case PLAY_NARROW: bn_way_rate(c->up, 20e3); bn_way_rate(c->down, 40e3); break;
    case PLAY_HOLE: c->up->hole = c->down->hole = 700 + (int)(bn_random(net) % 400); break;
    case PLAY_REFUSES: net->ends[c->end]->refuses = true; break;
    case PLAY_DOUBLE: c->up->duplicate = c->down->duplicate = 0.3; break;
    case PLAY_JITTER: c->up->jitter = c->down->jitter = 0.1; break;
    case PLAY_SLOW: c->up->delay = 0.4; c->down->delay = 0.3; break;
    case PLAY_AGAIN_JOINED:
        c->happening = PLAY_CALM;
        play_again(p, c);
        break;
    default: break;
    }
}

static void play_open(play *p, uint64_t seed) {
    memset(p, 0, sizeof *p);
    play_now = p;
    bn_open(&p->net, seed);
    p->net.user = p;
    {
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        p->server = bn_add(&p->net, &desc, 20, NULL, NULL);
        play_set_up(bn_wisp(&p->net, p->server));
        for (int i = 0; i < PLAY_CLIENTS; i++) {
            play_client *c = &p->clients[i];
            c->up = bn_way_add(&p->net);
            c->down = bn_way_add(&p->net);
            c->end = bn_add(&p->net, &desc, 10 + 10 * i, c->up, c->down);
            play_set_up(bn_wisp(&p->net, c->end));
            play_calm(p, c);
            play_join(p, c);
        }
    }
    p->net.tick = play_tick;
}

static void play_run(uint64_t seed, double seconds) {
    play *p = (play *)malloc(sizeof *p);
    play_open(p, seed);
    while (p->net.now < seconds) {
        play_pass(p, 0.25);
        for (int i = 0; i < PLAY_CLIENTS; i++)
            if (p->net.now >= p->clients[i].calm) play_happen(p, &p->clients[i]);
        for (int i = 0; i <= PLAY_CLIENTS; i++) wisp__host_check(bn_wisp(&p->net, i));
        for (int i = 0; i < PLAY_CLIENTS; i++)
            if (!CHECK(!p->clients[i].ended)) seconds = 0;
    }
    for (int i = 0; i < PLAY_CLIENTS; i++) {
        play_calm(p, &p->clients[i]);
        p->clients[i].quiet = true;
    }
    bn_run(&p->net, 30);
    for (int i = 0; i < PLAY_CLIENTS; i++) {
        play_client *c = &p->clients[i];
        play_check(c);
        CHECK_EQ_INT(c->in.next[PLAY_STATE], c->in.fired[PLAY_STATE]);
        CHECK_EQ_INT(c->out.next[PLAY_STATE], c->out.fired[PLAY_STATE]);
    }
    CHECK_EQ_INT(wisp_peers(bn_wisp(&p->net, p->server), NULL, 0), PLAY_CLIENTS);
    CHECK_EQ_INT(p->errors, 0);
    bn_close(&p->net);
    free(p);
}

TEST(long_play_loses_nothing_and_doubles_nothing) { play_run(1, 2000); }

/* Others of shorter length. */
TEST(play_of_several_seeds_loses_nothing) {
    for (uint64_t seed = 2; seed < 5; seed++) play_run(seed, 300);
}

/* --- a peer that means ill --- */

enum { PLAY_FLOOD_MOVES, PLAY_FLOOD_CHALLENGES, PLAY_FLOODS };

static int play_flood;

/* A packet from another port with every update, or a hundred challenges in each. */
static void play_flood_tick(bn_net *net, int end) {
    play *p = (play *)net->user;
    play_client *c = &p->clients[0];
    wisp__session *s;
    play_tick(net, end);
    if (end != c->end) return;
    if (play_flood == PLAY_FLOOD_MOVES) {
        net->ends[end]->port++;
        return;
    }
    s = wisp__session_of(bn_wisp(net, end), c->to_server);
    for (int i = 0; s && i < 100; i++)
        wisp__path_send(bn_wisp(net, end), s, &s->peer.addr, WISP__FRAME_PATH_CHALLENGE, 7);
}

/* The server takes no memory for it beyond the rings of what is in flight, sends no more than it
   gets, and goes on with all of them. */
TEST(floods_of_moves_and_of_challenges_cost_little) {
    for (play_flood = 0; play_flood < PLAY_FLOODS; play_flood++) {
        play *p = (play *)malloc(sizeof *p);
        wisp_total_stats before, after;
        uint64_t sent, got;
        play_open(p, 5 + (uint64_t)play_flood);
        bn_run(&p->net, 5);
        for (int i = 0; i < PLAY_CLIENTS; i++) p->clients[i].quiet = i == 0;
        wisp_stats_total(bn_wisp(&p->net, p->server), &before);
        sent = p->clients[0].down->bytes;
        got = p->clients[0].up->bytes;
        p->net.tick = play_flood_tick;
        bn_run(&p->net, 5);
        wisp_stats_total(bn_wisp(&p->net, p->server), &after);
        CHECK(after.memory < before.memory + 8192);
        CHECK(p->clients[0].down->bytes - sent <= (p->clients[0].up->bytes - got) * 3 / 2 + 2000);
        p->net.tick = play_tick;
        p->clients[0].quiet = false;
        bn_run(&p->net, 20);
        for (int i = 0; i < PLAY_CLIENTS; i++) p->clients[i].quiet = true;
        bn_run(&p->net, 20);
        for (int i = 0; i < PLAY_CLIENTS; i++) play_check(&p->clients[i]);
        CHECK_EQ_INT(wisp_peers(bn_wisp(&p->net, p->server), NULL, 0), PLAY_CLIENTS);
        bn_close(&p->net);
        free(p);
    }
}

static const test_case tests[] = {
    CASE(long_play_loses_nothing_and_doubles_nothing),
    CASE(play_of_several_seeds_loses_nothing),
    CASE(floods_of_moves_and_of_challenges_cost_little),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
