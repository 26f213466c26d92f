/* fuzz_packets.c - a server that gets packets nobody sane would send

   The input is a script of operations. Some hand in any bytes, some a handshake whose check is
   right, some a packet of an open session whose tag is right: filled with any bytes, or with
   records in their form and any content. After each the server runs all its checks. Its handlers
   look at every byte they get, and act by the script too. Whatever comes, the memory stays within
   the limits, and at the end all of it is given back.
*/
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"
#include "../support/fake_cipher.h"

enum { ADDRESSES = 3, PACKET_MAX = 2048, MTU = 600, DEFERRED = 4, OPERATIONS = 600, RECORDS = 40 };
enum { MEMORY_MOST = 2 << 20 };

static const char *const names[] = { "chat", "move", "ask", "big" };
enum { NAMES = 4 };

/* What the server last sent to an address while it joins. */
typedef struct caller {
    uint64_t nonce, cookie;
    uint8_t  bucket;
    bool     challenged;
} caller;

typedef struct world {
    script    in;
    account    memory;
    wisp     *w;
    fake_cipher cipher;                   /* its keys are known to who sends */
    uint8_t   secret[WISP_KEY_BYTES], key[WISP_KEY_BYTES];
    double    now;
    caller    callers[ADDRESSES];
    int       from;                       /* the address that sends */
    uint8_t   packet[PACKET_MAX];
    int       size;
    bool      waiting;                    /* the packet has not been received yet */
    wisp_result status;                   /* what the server's link says to what it sends */
    int       answered;                   /* bytes that it has sent to the address that sends */
    wisp_call deferred[DEFERRED];
    wisp_connection chat;
    unsigned  seen;
} world;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the link: one packet in, and a look at what goes out -------------------- */

static wisp_addr address_of(int i) {
    wisp_addr address;
    memset(&address, 0, sizeof address);
    address.bytes[0] = (unsigned char)(i + 1);
    return address;
}

/* Remembers a challenge; everything the server says is small enough and goes to one of us. */
static void overhear(world *f, const wisp_packet *packet) {
    const uint8_t *bytes = (const uint8_t *)packet->data;
    int i = packet->addr.bytes[0] - 1;
    MUST(i >= 0 && i < ADDRESSES && packet->size > 4 && packet->size <= MTU);
    if (bytes[0] != WISP__CHALLENGE) return;
    f->callers[i].bucket = bytes[14];
    f->callers[i].cookie = wisp__load64(bytes + 15);
    f->callers[i].challenged = true;
}

static int link_send(void *user, wisp_packet *packets, int count) {
    world *f = (world *)user;
    for (int i = 0; i < count; i++) {
        overhear(f, &packets[i]);
        packets[i].status = f->status;
        if (packets[i].addr.bytes[0] == f->from + 1) f->answered += packets[i].size;
    }
    return count;
}

static int link_recv(void *user, wisp_packet *packets, int count) {
    world *f = (world *)user;
    int size = f->size < packets[0].size ? f->size : packets[0].size;
    if (!f->waiting || count < 1) return 0;
    f->waiting = false;
    packets[0].addr = address_of(f->from);
    memcpy(packets[0].data, f->packet, (size_t)size);
    packets[0].size = size;
    return 1;
}

/* ---- what the server does with what it gets ------------------------------------ */

static void on_chat(wisp_event *event);

/* Asks for an argument, which may not be there or be another kind. */
static void ask_for(world *f, wisp_event *event) {
    int i = take_below(&f->in, 3) - 1, size = 0;
    const char *bytes = NULL;
    switch (take_below(&f->in, 16)) {
    case 0: wisp_arg_bool(event, i); break;
    case 1: wisp_arg_int(event, i); break;
    case 2: wisp_arg_uint(event, i); break;
    case 3: wisp_arg_float(event, i); break;
    case 4: wisp_arg_number(event, i); break;
    case 5: bytes = wisp_arg_string_n(event, i, &size); break;
    case 6: bytes = (const char *)wisp_arg_bytes(event, i, &size); break;
    case 7: wisp_arg_vec2(event, i); break;
    case 8: wisp_arg_vec3(event, i); break;
    case 9: wisp_arg_vec4(event, i); break;
    case 10: wisp_arg_quat(event, i); break;
    case 11: wisp_arg_transform(event, i); break;
    case 12: wisp_arg_color(event, i); break;
    case 13: MUST(!wisp_arg_array(event, i) || wisp_arg_array(event, i)->kind == WISP_ARRAY); break;
    case 14: MUST(!wisp_arg_map(event, i) || wisp_arg_map(event, i)->kind == WISP_MAP); break;
    default: MUST((wisp_arg_value(event, i) != NULL) == (i >= 0 && i < event->count)); break;
    }
    for (int at = 0; at < size; at++) f->seen += (unsigned char)bytes[at];
}

static void act_on(world *f, wisp_event *event) {
    switch (take_below(&f->in, 12)) {
    case 1: wisp_fire_all(f->w, "chat", wisp_int(1), wisp_string("again")); break;
    case 2: wisp_leave(f->w, event->peer, "enough"); break;
    case 3: wisp_disconnect(f->w, f->chat); break;
    case 4: f->chat = wisp_connect(f->w, "chat", on_chat, f); break;
    case 5: wisp_invoke(f->w, "ask", event->peer, on_chat, f, wisp_int(5)); break;
    case 6: wisp_fail(event, WISP_E_USER, "no: %d", event->count); break;
    case 7: case 9: case 10: ask_for(f, event); break;
    case 8: wisp_fire(f->w, "late", event->peer, wisp_string("from a handler")); break;
    default: break;
    }
}

static void on_chat(wisp_event *event) {
    look_at_event(event);
    act_on((world *)event->user, event);
}

static void on_ask(wisp_event *event) {
    world *f = (world *)event->user;
    look_at_event(event);
    switch (take_below(&f->in, 5)) {
    case 1: wisp_reply_values(event, event->args, event->count); break;
    case 2: f->deferred[take_below(&f->in, DEFERRED)] = wisp_defer(event); break;
    case 3: act_on(f, event); break;
    default: wisp_reply(event, wisp_int(event->count)); break;
    }
}

static wisp_result judge(wisp *w, const wisp_addr *from, const void *ticket, int size,
                         void *user) {
    const uint8_t *bytes = (const uint8_t *)ticket;
    (void)user;
    MUST(w && from && size >= 0 && size < MTU);
    MUST(wisp_joining(w) && wisp_joining(w)->peer.id && wisp_joining(w)->joins_of_host > 0);
    wisp_joining(w)->user = w;
    wisp_joining(w)->text = "a refusal whose text is longer than most that there are: \xff\x01";
    if (size == 0) return WISP_OK;
    if (bytes[size - 1] == 1) return WISP_PENDING;
    return bytes[0] == 2 ? WISP_E_USER - 2 : WISP_OK;
}

/* ---- packets ------------------------------------------------------------------- */

static void check(world *f) {
    wisp_total_stats all;
    wisp_peer_stats one;
    wisp_peer peer = { 0 };
    wisp__host_check(f->w);
    wisp_stats_total(f->w, &all);
    MUST(all.memory == f->memory.held && all.memory < MEMORY_MOST);
    if (wisp_peers(f->w, &peer, 1) == 0) return;
    wisp_stats_peer(f->w, peer, &one);
    MUST(one.memory > 0 && one.loss >= 0 && one.loss <= 1 && one.rtt >= 0);
}

static void update(world *f) {
    wisp_update(f->w, f->now);
    check(f);
}

static void hand_in(world *f, int size) {
    f->size = size;
    f->waiting = true;
    update(f);
    f->waiting = false;
}

static int take_bytes(world *f, uint8_t *to, int most) {
    int size = take16(&f->in) % (most + 1);
    for (int i = 0; i < size; i++) to[i] = take(&f->in);
    return size;
}

/* The session of the address that sends, once it has a seal; or NULL. */
static wisp__session *session_of(world *f) {
    wisp_addr address = address_of(f->from);
    for (int i = 0; i < f->w->peers.pool.made; i++) {
        wisp__session *s = wisp__session_at(f->w, i);
        if (!s || memcmp(&s->peer.addr, &address, sizeof address) != 0) continue;
        if (s->peer.state == WISP__JOINED || s->peer.state == WISP__HALF_OPENED) return s;
    }
    return NULL;
}

static wisp__writer handshake(world *f, int type, uint64_t nonce) {
    wisp__writer to = wisp__writer_on(f->packet, MTU);
    wisp__put(&to, (uint64_t)type, 8);
    wisp__put_bytes(&to, "wisp", 4);
    wisp__put(&to, WISP_WIRE_VERSION, 8);
    wisp__put(&to, nonce, 64);
    return to;
}

/* A stranger gets no more bytes back than it has sent. */
static void hand_in_handshake(world *f, wisp__writer *to, uint64_t nonce) {
    wisp_addr address = address_of(f->from);
    bool stranger = !wisp__peers_find(f->w, &address, NULL);
    int size;
    while (to->at / 8 < 60) wisp__put(to, 0, 8);
    size = (int)(to->at / 8);
    wisp__put(to, wisp__handshake_check(nonce, f->packet, size), 32);
    f->answered = 0;
    hand_in(f, size + 4);
    MUST(!stranger || f->answered <= size + 4);
}

/* A handshake packet in the right form, up to its body. */
static void any_handshake(world *f) {
    uint64_t nonce = take(&f->in) & 3;
    wisp__writer to = handshake(f, take(&f->in) % 11, nonce);
    for (int left = take_below(&f->in, 100); left > 0; left--) wisp__put(&to, take(&f->in), 8);
    hand_in_handshake(f, &to, nonce);
}

static void put_response(world *f, wisp__writer *to) {
    int ticket = take_below(&f->in, 4);
    wisp__put(to, take(&f->in), 16);                             /* their connection number */
    wisp__put(to, f->w->base.reliable, 1);
    wisp__put(to, take(&f->in) & 15, 7);                        /* log2 of their window_items */
    wisp__put(to, take(&f->in) & 1 ? 64u : 1u << 16, 32);       /* their window */
    wisp__put(to, 0, 32);
    wisp__put(to, 4, 8);
    wisp__put_bytes(to, "fuzz", 4);
    wisp__put(to, (uint64_t)ticket, 16);
    for (int i = 0; i < ticket; i++) wisp__put(to, take(&f->in), 8);
}

/* The response of a sealed join; now and then a byte of its content or of its seal is another. */
static void put_sealed_response(world *f, wisp__writer *to) {
    uint8_t message[256];
    wisp__writer content = wisp__writer_on(message + WISP_KEY_BYTES, WISP__ASK_LEAST);
    wisp__noise n;
    int bent = take(&f->in), at = take(&f->in) % (WISP__ASK_LEAST + WISP__NOISE_REST);
    memset(message, 0, sizeof message);
    put_response(f, &content);
    if (bent < 32) message[WISP_KEY_BYTES + at % WISP__ASK_LEAST] ^= (uint8_t)(bent + 1);
    if (!wisp__noise_begin(&n, &f->cipher.cipher, f->key,
                           wisp__text(f->packet, WISP__HANDSHAKE_HEAD)) ||
        !wisp__noise_write(&n, message, WISP__ASK_LEAST))
        return;
    if (bent > 240) message[at] ^= (uint8_t)bent;
    wisp__put_bytes(to, message, WISP__ASK_LEAST + WISP__NOISE_REST);
}

/* A whole join: request, the challenge's cookie back, and a first packet. */
static void join(world *f) {
    caller *c = &f->callers[f->from];
    wisp__writer to;
    bool sealed;
    c->nonce = take(&f->in);
    c->challenged = false;
    to = handshake(f, WISP__REQUEST, c->nonce);
    hand_in_handshake(f, &to, c->nonce);
    if (!c->challenged) return;
    sealed = f->cipher.cipher.user && take(&f->in) & 1;
    to = handshake(f, sealed ? WISP__SEALED_RESPONSE : WISP__RESPONSE, c->nonce);
    wisp__put(&to, c->bucket, 8);
    wisp__put(&to, c->cookie, 64);
    if (sealed) put_sealed_response(f, &to);
    else put_response(f, &to);
    hand_in_handshake(f, &to, c->nonce);
}

/* Numbers the packet and puts the right tag on it. The body stands where it does on a link that is
   not reliable. */
static void hand_in_tagged(world *f, wisp__session *s, uint8_t flags, int body) {
    int head, skip = take_below(&f->in, 16);
    uint64_t number;
    wisp__peer other;
    wisp__keys keys;
    if (!s) return;
    head = wisp__head_of(&f->w->base, &s->peer);
    if (head + body > PACKET_MAX) body = PACKET_MAX - head;
    memmove(f->packet + head, f->packet + WISP__PACKET_HEAD, (size_t)body);
    f->packet[0] = (uint8_t)(WISP__FLAG_SESSION | flags);
    number = s->peer.flow.top ? s->peer.flow.top + 1 : WISP_FIRST_NUMBER;
    if (skip > 8) number += (uint64_t)(skip - 8);
    if (skip == 15) number += WISP__LEAP - 10;                  /* just about too far */
    if (skip == 1 && number > 3) number -= 2;
    if (f->w->base.reliable) number = s->peer.received_in_order + 1;
    other = s->peer;                                            /* as its other end has it */
    other.joiner = !s->peer.joiner;
    other.connection = wisp__connection_of(&s->peer);
    if (other.keys) {                                           /* now and then the next key */
        bool turns = skip == 7;
        keys = *s->peer.keys;
        memcpy(keys.out, turns ? keys.next : keys.in, sizeof keys.out);
        keys.out_phase = keys.in_phase != turns;
        keys.out_first = number;
        keys.out_time = f->w->base.time;
        other.keys = &keys;
    }
    wisp__packet_close(&f->w->base, &other, number, f->packet, head + body);
    hand_in(f, head + body);
}

static void any_tagged(world *f) {
    uint8_t flags = take(&f->in) & 3 ? (uint8_t)(take(&f->in) & WISP__FLAG_ACKS)
                                     : (uint8_t)(take(&f->in) & 0x7c);
    int body = take_bytes(f, f->packet + WISP__PACKET_HEAD, MTU - WISP__PACKET_HEAD);
    hand_in_tagged(f, session_of(f), flags, body);
}

/* ---- records ------------------------------------------------------------------- */

static void put_values(world *f, wisp__writer *to, bool length) {
    shelf *content = (shelf *)calloc(1, sizeof *content);
    wisp__packer *p = &f->w->content.packer;
    wisp_value values[4];
    int count = take_below(&f->in, 5);
    MUST(content);
    for (int i = 0; i < count; i++) values[i] = shelf_value(content, &f->in, 0);
    if (wisp__pack(p, values, count) == WISP_OK) {
        if (length) wisp__put_length(to, (uint64_t)(p->shape.at + p->data.at));
        wisp__put_bits(to, p->shape.bytes, p->shape.at);
        wisp__put_bits(to, p->data.bytes, p->data.at);
    }
    free(content);
}

static void put_id(world *f, wisp__writer *to) {
    int id = take(&f->in);
    wisp__put_length(to, id < 250 ? (uint64_t)(id % 8) : (uint64_t)id << (id % 21));
}

static void put_section(world *f, wisp__writer *to, const wisp__session *s) {
    int delivery = take_below(&f->in, 4), channel = take_below(&f->in, 16), ahead = take(&f->in);
    const wisp__channel *lane = s->peer.channels[channel];
    uint32_t next = lane ? lane->in.next : WISP_FIRST_NUMBER;
    wisp__frame_put(to, WISP__FRAME_SECTION);
    wisp__put(to, (uint64_t)delivery, 2);
    wisp__put(to, (uint64_t)channel, 4);
    if (ahead > 200) next += (uint32_t)(ahead - 202) * (ahead > 250 ? 999u : 1u);
    if (delivery == WISP_RELIABLE) wisp__put(to, next & WISP__LOW_24, 24);
}

static void put_announcement(world *f, wisp__writer *to) {
    int number = take(&f->in), which = take_below(&f->in, NAMES + 3);
    const char *name = which < NAMES ? names[which] : which == NAMES ? "wisp:left" : "unheard of";
    wisp__frame_put(to, WISP__FRAME_ANNOUNCE);
    wisp__put_length(to, number < 250 ? (uint64_t)(number % 8) : (uint64_t)number << 9);
    wisp__put_length(to, strlen(name));
    for (const char *c = name; *c; c++) wisp__put(to, (uint8_t)*c, 8);
    wisp__put(to, 0, 8);
    wisp__put(to, take(&f->in) == 255, 8);                      /* another codec */
    wisp__put_length(to, 0);
}

static void put_fragment(world *f, wisp__writer *to) {
    int flags = take(&f->in), size = take(&f->in), kind = take_below(&f->in, 4);
    int64_t at;
    wisp__frame_put(to, WISP__FRAME_FRAGMENT);
    wisp__put(to, flags & 1, 1);
    wisp__put(to, flags >> 1 & 1, 1);
    wisp__put(to, (uint64_t)size, 16);
    at = to->at;
    if (kind == 0) wisp__put(to, 8, 4);
    if (kind == 1) wisp__frame_put(to, WISP__FRAME_INVOKE);
    if (kind == 2) wisp__frame_put(to, WISP__FRAME_REPLY);
    while (to->at + 8 <= at + size * 8 && !to->full) wisp__put(to, take(&f->in), 8);
    while (to->at < at + size * 8 && !to->full) wisp__put(to, 0, 1);
}

static void put_invoke(world *f, wisp__writer *to, const wisp__session *s) {
    int ahead = take(&f->in);
    bool bound = (take(&f->in) & 1) != 0;
    uint32_t call = s->request_floor + (uint32_t)(ahead % 20);
    wisp__frame_put(to, WISP__FRAME_INVOKE);
    put_id(f, to);
    wisp__put(to, (ahead > 240 ? call - 9 : call) & WISP__LOW_24, 24);
    wisp__put_small(to, take(&f->in) % 3u ? (uint64_t)(ahead % 20) : take(&f->in));
    wisp__put(to, bound, 1);
    put_values(f, to, !bound);
}

static void put_reply(world *f, wisp__writer *to, const wisp__session *s) {
    bool good = (take(&f->in) & 1) != 0;
    uint32_t call = s->calls_first ? s->calls_first->id : 0;
    wisp__frame_put(to, WISP__FRAME_REPLY);
    wisp__put(to, (call + (uint32_t)take_below(&f->in, 3)) & WISP__LOW_24, 24);
    wisp__put(to, good, 1);
    if (!good) wisp__put(to, 0xff00u | take(&f->in), 16);
    put_values(f, to, false);
}

static void put_leave(world *f, wisp__writer *to) {
    int length = take_below(&f->in, 120);
    wisp__frame_put(to, WISP__FRAME_LEAVE);
    wisp__put(to, take(&f->in) & 1 ? 0 : 0xffffu, 16);
    wisp__put_length(to, (uint64_t)length);
    for (int i = 0; i < length; i++) wisp__put(to, 'a', 8);
}

static void put_event(world *f, wisp__writer *to, bool bound) {
    wisp__put(to, bound ? 2 : 8, bound ? 2 : 4);
    put_id(f, to);
    put_values(f, to, !bound);
}

static void put_record(world *f, wisp__writer *to, const wisp__session *s) {
    switch (take_below(&f->in, 16)) {
    case 0: put_section(f, to, s); break;
    case 1: case 2: put_announcement(f, to); break;
    case 3: case 4: put_event(f, to, true); break;
    case 5: put_event(f, to, false); break;
    case 6: wisp__put(to, 4, 3); wisp__put_small(to, take(&f->in)); break;
    case 7: wisp__put(to, 1, 1); wisp__put(to, take(&f->in), 8); break;
    case 8: put_invoke(f, to, s); break;
    case 9: put_reply(f, to, s); break;
    case 10: put_fragment(f, to); break;
    case 11: wisp__frame_put(to, WISP__FRAME_BOUND); put_id(f, to); break;
    case 12: wisp__frame_put(to, WISP__FRAME_UNKNOWN); put_id(f, to); break;
    case 13: wisp__frame_put(to, WISP__FRAME_PING); break;
    case 14: put_leave(f, to); break;
    default: wisp__put(to, take(&f->in), 8); break;
    }
}

/* Acks of what the server has sent lately, mostly. */
static void put_acks(world *f, wisp__writer *to, const wisp__session *s) {
    int back = take(&f->in), ranges = take(&f->in) & 3;
    uint64_t top = s->peer.flow.next - 1;
    wisp__put(to, (back > 240 ? top + 1 : top - (uint64_t)(back % 4)) & 0xffff, 16);
    wisp__put(to, take(&f->in), 8);
    wisp__put_small(to, (uint64_t)ranges);
    wisp__put_length(to, (uint64_t)take_below(&f->in, 5));
    for (; ranges > 0; ranges--) {
        wisp__put_length(to, (uint64_t)take_below(&f->in, 3));
        wisp__put_length(to, (uint64_t)take_below(&f->in, 3));
    }
}

static void tagged_records(world *f) {
    wisp__session *s = session_of(f);
    wisp__writer to = wisp__writer_on(f->packet + WISP__PACKET_HEAD, MTU - WISP__PACKET_HEAD);
    bool acks = (take(&f->in) & 1) != 0, section = (take(&f->in) & 7) != 0;
    int count = take_below(&f->in, RECORDS);
    if (!s) return;
    if (acks) put_acks(f, &to, s);
    if (section) put_section(f, &to, s);
    for (int i = 0; i < count && !to.full; i++) put_record(f, &to, s);
    to.full = false;
    wisp__put_align(&to);
    hand_in_tagged(f, s, acks ? WISP__FLAG_ACKS : 0, (int)(to.at / 8));
}

/* ---- the script ----------------------------------------------------------------- */

/* The packet before once more, as it was or damaged. */
static void replay(world *f) {
    int damage = take(&f->in), size = f->size;
    if (damage > 128 && size > 0) f->packet[damage % size] ^= (uint8_t)(1 << (damage & 7));
    if (damage > 240) size /= 2;
    hand_in(f, size);
}

static void server_acts(world *f) {
    wisp_peer peers[8], peer = { 0 };
    wisp_addr address = address_of(f->from);
    wisp_value value = wisp_string("of the server");
    if (wisp_peers(f->w, peers, 8) > 0) peer = peers[0];
    switch (take_below(&f->in, 10)) {
    case 0: wisp_fire_all(f->w, names[take_below(&f->in, NAMES)], value, wisp_int(3)); break;
    case 1: wisp_invoke(f->w, "ask", peer, on_chat, f, value); break;
    case 2: wisp_leave(f->w, peer, "out"); break;
    case 3: wisp_admit(f->w, &address, take(&f->in) & 1 ? WISP_OK : WISP_E_DENIED); break;
    case 4: wisp_answer(f->w, f->deferred[take_below(&f->in, DEFERRED)], &value, 1); break;
    case 5: wisp_set_rate_limit(f->w, take(&f->in) & 1 ? 0.1 : 0, "chat"); break;
    case 6: f->status = (take(&f->in) & 3) == 3 ? WISP_E_CLOSED
                      : f->status ? WISP_OK : WISP_E_AGAIN; break;
    case 7: wisp_join(f->w, &address, "t", 1); break;
    case 8: wisp_flush_batches(f->w); break;
    default: f->memory.fails_in = take_below(&f->in, 20); break;
    }
    check(f);
}

static void operate(world *f) {
    int code = take(&f->in);
    f->from = (code >> 5) % ADDRESSES;
    switch (code % 16) {
    case 0: hand_in(f, take_bytes(f, f->packet, MTU + 8)); break;
    case 1: any_handshake(f); break;
    case 2: case 3: join(f); break;
    case 4: case 5: any_tagged(f); break;
    case 6: replay(f); break;
    case 7: f->now += take_seconds(&f->in); update(f); break;
    case 8: case 9: server_acts(f); break;
    default: tagged_records(f); break;
    }
}

static void lower_limits(wisp_limits *limits) {
    limits->remotes = 16;
    limits->message_bytes = 2048;
    limits->message_values = 200;
    limits->queue_messages = 64;
    limits->queue_bytes = 8192;
    limits->window_items = 32;
    limits->window_bytes = 4096;
    limits->window_packets = 32;
    limits->calls = 8;
    limits->calls_remembered = 8;
    limits->notices = 16;
}

static bool open_server(world *f) {
    wisp_desc desc;
    wisp_config moves;
    int options = take(&f->in);
    memset(&desc, 0, sizeof desc);
    memset(&moves, 0, sizeof moves);
    desc.link.send = link_send;
    desc.link.recv = link_recv;
    desc.link.user = f;
    desc.link.mtu = MTU;
    desc.link.reliable = (options & 1) != 0;
    desc.app = "fuzz";
    desc.max_peers = 2;
    desc.joins = options & 64 ? WISP_JOINS_AUTO : WISP_JOINS_OPEN;
    desc.accept = judge;
    desc.memory = memory_allocator(&f->memory);
    desc.seed = 1;
    if (options & 2) {
        desc.cipher = fake_open(&f->cipher, 1);
        desc.cipher->keypair(&f->cipher, f->secret, f->key);
        desc.secret_key = f->secret;
        desc.reset_secret = options & 4 ? f->key : NULL;
        desc.limits.rekey_packets = 16;
    }
    lower_limits(&desc.limits);
    f->w = wisp_create(&desc, NULL);
    if (!f->w) return false;
    f->chat = wisp_connect(f->w, "chat", on_chat, f);
    moves.delivery = WISP_SEQUENCED;
    wisp_use_config(f->w, &moves, "move");
    wisp_connect(f->w, "move", on_chat, f);
    wisp_connect(f->w, "big", on_chat, f);
    wisp_connect(f->w, WISP_ERROR, on_chat, f);
    wisp_connect(f->w, WISP_LEFT, on_chat, f);
    wisp_on_invoke(f->w, "ask", on_ask, f);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static world world_of_one;
    world *f = &world_of_one;
    memset(f, 0, sizeof *f);
    f->in.data = data;
    f->in.size = size;
    f->status = WISP_OK;
    if (!open_server(f)) return 0;
    update(f);
    join(f);
    for (int i = 0; i < OPERATIONS && !script_ended(&f->in); i++) operate(f);
    f->memory.fails_in = 0;
    wisp_destroy(f->w);
    MUST(f->memory.held == 0);
    return 0;
}
