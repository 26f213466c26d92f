/* fuzz_hostile.c - a peer that has joined, and sends plausible records in well-tagged packets

   The input is a script. It writes announcements of every form with descriptors that make sense or
   nearly do, messages of those forms, differences, calls, answers, acks and fragments, in packets
   whose tag is right; or it lets an ordinary client speak and changes single bits of that.
   The server has schemas with an older version, differences, codecs, middleware that holds, groups,
   a pattern, a rate limit, budgets, and calls of its own. What is promised is watched:

       memory       no packet takes more than a fixed amount, beyond what a message in assembly may
       handlers     get only what fits the schema of the name
       others       a second client, which means well, still gets through in the end
       afterwards   the memory of a peer that has left comes back
*/
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/test_runner.h"
#include "../support/random_schemas.h"
#include "../support/fuzz_script.h"
#include "../support/hostile_peer.h"

enum { OPERATIONS = 200, RECORDS = 24, SLOTS = 8, DEFERRED = 4, JOINS = 10, CONTENT = 1 << 16 };
enum { PLAN_BYTES = 1 << 20, HONEST_SIDE = HOSTILE_SIDES, MESSAGE_BYTES = 32768 };
enum { MESSAGE_VALUES = 4096 };

/* What one packet may take: 2 MiB, and a message in assembly with its values. */
enum { PACKET_MOST = (2 << 20) + 2 * MESSAGE_BYTES + 2 * MESSAGE_VALUES * (int)sizeof(wisp_value) };

/* What the pools of the server keep for the next peer. */
enum { POOLS_KEEP = 384 << 10 };

/* What the peer has announced under a number. */
typedef struct slot {
    const char          *name;
    wisp__encoding       encoding;
    wisp__described      described;
    uint32_t             sequence;             /* of its values */
    int64_t              kept;                 /* bits of the record told last */
    uint8_t              record[4096 + WISP__SLACK];
    union { double align; uint8_t bytes[PLAN_BYTES]; } plan;
} slot;

typedef struct world {
    script    in;
    hostile   h;
    wisp     *honest;
    wisp_peer honest_server;
    double    honest_time;             /* of its last update */
    int       joins;
    int       honest_sent, honest_received;
    wisp_call deferred[DEFERRED];
    wisp_group group;
    bool      quiet;                   /* handlers do nothing of their own */
    int       twists;                  /* bits to change in the next packets of the client's own */
    wisp__writer content;
    uint8_t   bytes[CONTENT + 2 * WISP__SLACK];
} world;

static slot slots[SLOTS];
static schemas made;
static world the_world;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- what the server does with what it gets ------------------------------------- */

static void on_any(wisp_event *event);

static void send_something(world *f, wisp *w, int which, wisp_to to) {
    const hostile_entry *e = &hostile_entries[which % HOSTILE_ENTRIES];
    wisp_value values[3];
    int count = 1;
    made.used = 0;
    made.flags = SCHEMAS_FINITE | SCHEMAS_TEXT;
    made.seed = (uint64_t)take(&f->in) * 7919 + 1;
    if (e->schema == &hostile_stats_schema) {
        static hostile_stats some;
        some.hp = (float)take_below(&f->in, 100);
        values[0] = wisp_struct(&hostile_stats_schema, &some);
    } else if (e->schema == &hostile_state_schema) {
        static hostile_state some;
        memset(&some, 0, sizeof some);
        some.id = take_below(&f->in, 5);
        some.at.x = (float)take_below(&f->in, 100);
        some.count = (uint8_t)take_below(&f->in, 30);
        some.list[some.count / 2] = take(&f->in);
        values[0] = wisp_struct(&hostile_state_schema, &some);
    } else if (e->schema == &hostile_row_schema) {
        values[0] = wisp_int(take(&f->in));
        values[1] = wisp_string("row");
        values[2] = wisp_nil();
        count = 3;
    } else if (e->schema) {
        values[0] = schemas_value(&made, e->schema);
    } else {
        values[0] = schemas_any(&made, 3);
    }
    wisp_fire_values(w, e->name, to, values, count);
}

static bool is_honest(const wisp *w, wisp_peer peer) {
    wisp_addr address = wisp_loopback_addr(HONEST_SIDE);
    const wisp_addr *from = wisp_peer_addr(w, peer);
    return from && memcmp(from, &address, sizeof address) == 0;
}

static void act(world *f, wisp_event *event) {
    wisp *w = event->w;
    wisp_value text = wisp_string("an answer");
    if (f->quiet) return;
    switch (take_below(&f->in, 24)) {
    case 1: send_something(f, w, take(&f->in), wisp_to_peer(event->peer)); break;
    case 2: send_something(f, w, take(&f->in), wisp_to_group(f->group)); break;
    case 3: wisp_invoke(w, "theirs", event->peer, on_any, f, wisp_int(5)); break;
    case 4: wisp_release(w, "holder", event->peer, take(&f->in) & 1 ? WISP_PASS : WISP_DROP); break;
    case 5: wisp_fail(event, WISP_E_USER - 1, "no: %d", event->count); break;
    case 6: wisp_answer(w, f->deferred[take_below(&f->in, DEFERRED)], &text, 1); break;
    case 7: wisp_group_add(w, f->group, event->peer); break;
    case 8: wisp_fire_values(w, event->name, wisp_to_all(), event->args, event->count); break;
    case 9:
        if (take(&f->in) > 200 && !is_honest(w, event->peer)) wisp_leave(w, event->peer, "enough");
        break;
    default: break;
    }
}

static const wisp_schema *schema_of(const char *name) {
    for (int i = 0; i < HOSTILE_ENTRIES; i++)
        if (strcmp(hostile_entries[i].name, name) == 0) return hostile_entries[i].schema;
    return NULL;
}

/* What a handler sees is of the name's schema. */
static void look_closely(const wisp_event *event) {
    const wisp_schema *schema = schema_of(event->name);
    wisp_value subject;
    char why[200];
    look_at_event(event);
    if (!schema || event->message == WISP_MESSAGE_REPLY) return;
    MUST(schema->shape == WISP_SHAPE_LIST || event->count == 1);
    subject = schema->shape == WISP_SHAPE_LIST ? wisp_array(event->args, event->count)
                                               : event->args[0];
    if (wisp_validate(schema, &subject, why, (int)sizeof why) != WISP_OK) {
        fprintf(stderr, "'%s' handled: %s\n", event->name, why);
        abort();
    }
}

static void on_message(wisp_event *event) {
    look_closely(event);
    act((world *)event->user, event);
}

/* Replies, notices, and names of a pattern: anything. */
static void on_any(wisp_event *event) {
    look_at_event(event);
    act((world *)event->user, event);
}

static void on_numbered(wisp_event *event) {
    world *f = (world *)event->user;
    if (!is_honest(event->w, event->peer)) return;
    MUST(wisp_arg_int(event, 0) == f->honest_received);
    f->honest_received++;
}

static void on_ask(wisp_event *event) {
    world *f = (world *)event->user;
    look_at_event(event);
    switch (f->quiet ? 0 : take_below(&f->in, 5)) {
    case 1: wisp_reply_values(event, event->args, event->count); break;
    case 2: f->deferred[take_below(&f->in, DEFERRED)] = wisp_defer(event); break;
    case 3: act(f, event); break;
    default: wisp_reply(event, wisp_int(event->count)); break;
    }
}

static wisp_result hold_some(wisp_event *event) {
    world *f = (world *)event->user;
    wisp_value other = wisp_int(7);
    look_at_event(event);
    if (f->quiet) return WISP_PASS;
    switch (take_below(&f->in, 6)) {
    case 0: return WISP_PASS;
    case 1: return WISP_DROP;
    case 2: wisp_change(event, event->args, event->count); return WISP_PASS;
    case 3: wisp_change(event, &other, 1); return WISP_PASS;
    case 4: return WISP_E_USER - 3;
    default: return event->message == WISP_MESSAGE_REPLY ? WISP_PASS : WISP_HOLD;
    }
}

static void set_up(world *f, int options) {
    wisp *w = f->h.server;
    wisp_middleware holder;
    wisp_budget budget;
    for (int i = 0; i < HOSTILE_ENTRIES; i++) {
        wisp_config config = hostile_config(&hostile_entries[i]);
        MUST(wisp_use_config(w, &config, hostile_entries[i].name) == WISP_OK);
        wisp_connect(w, hostile_entries[i].name, on_message, f);
    }
    wisp_on_invoke(w, "ask", on_ask, f);
    wisp_connect(w, "numbered", on_numbered, f);
    wisp_connect(w, WISP_ERROR, on_any, f);
    wisp_connect(w, WISP_LEFT, on_any, f);
    wisp_connect_match(w, "^pat", on_any, f);
    f->group = wisp_group_named(w, "all");
    memset(&holder, 0, sizeof holder);
    holder.name = "holder";
    holder.pattern = "^(held|ask|chat)$";
    holder.inbound = hold_some;
    if (options & 4) holder.outbound = hold_some;
    holder.user = f;
    if (options & 2) wisp_use(w, &holder);
    memset(&budget, 0, sizeof budget);
    budget.messages = 5000;
    budget.in = 400000;
    if (options & 8) wisp_use_budget(w, &budget);
    if (options & 16) wisp_use_compression(w, WISP_COMPRESSION_AUTO, NULL);
    if (options & 32) {
        wisp_config all;
        memset(&all, 0, sizeof all);
        hostile_foreign(&all);
        wisp_use_config(w, &all, NULL);
    }
}

static void lower_limits(wisp_limits *limits) {
    limits->remotes = 64;
    limits->message_bytes = MESSAGE_BYTES;
    limits->message_values = MESSAGE_VALUES;
    limits->queue_messages = 512;
    limits->queue_bytes = 2 * MESSAGE_BYTES;
    limits->window_items = 64;
    limits->window_bytes = 16384;
    limits->calls = 32;
    limits->calls_remembered = 32;
    limits->notices = 64;
    limits->schema_bytes = 1 << 17;
    limits->baseline_bytes = 1 << 16;
    limits->keys = 32;
    limits->held_messages = 32;
    limits->held_bytes = 8192;
    limits->matched_names = 8;
}

static void open_world(world *f, int options) {
    wisp_desc desc;
    wisp_addr there = wisp_loopback_addr(0);
    f->h.pipe.reliable = (options & 1) != 0;
    hostile_sealed = (options & 192) == 192;
    hostile_desc(&desc, 1);
    desc.link = wisp_loopback(&f->h.pipe, 0);
    desc.max_peers = 8;
    desc.memory = memory_allocator(&f->h.memory);
    lower_limits(&desc.limits);
    f->h.server = wisp_create(&desc, NULL);
    MUST(f->h.server);
    set_up(f, options);
    hostile_desc(&desc, 2);
    desc.link = wisp_loopback(&f->h.pipe, HONEST_SIDE);
    f->honest = wisp_create(&desc, NULL);
    MUST(f->honest);
    f->honest_server = wisp_join(f->honest, &there, NULL, 0);
    for (int i = 0; i < 8; i++) {
        f->h.now += 0.01;
        wisp_update(f->h.server, f->h.now);
        wisp_update(f->honest, f->h.now);
    }
    MUST(wisp_peers(f->honest, NULL, 0) == 1);
}

/* ---- packets that are judged ---------------------------------------------------- */

static void update(world *f) {
    size_t before = f->h.memory.held;
    f->h.memory.peak = before;
    wisp_update(f->h.server, f->h.now);
    wisp__host_check(f->h.server);
    if (f->h.memory.peak - before > PACKET_MOST ||
        hostile_work(&f->h) > hostile_work_most(MESSAGE_BYTES)) {
        fprintf(stderr, "a packet took %zu bytes and %.0f units of work\n",
                f->h.memory.peak - before, hostile_work(&f->h));
        abort();
    }
    hostile_drain(&f->h);
    if (f->h.now < f->honest_time + 0.1) return;
    f->honest_time = f->h.now;
    wisp_update(f->honest, f->h.now);
}

static void send_packet(world *f, int flags) {
    int how = take(&f->in);
    if (how < 24) hostile_send_runs(&f->h);
    else hostile_send(&f->h, flags, how > 253 ? how * 40 : how > 230 ? how & 3 : 0);
    f->h.now += how & 1 ? 0.0005 : 0.004;
    update(f);
}

static void announce(world *f);

static void join(world *f) {
    if (f->joins >= JOINS || hostile_theirs(&f->h)) return;
    f->joins++;
    memset(f->deferred, 0, sizeof f->deferred);
    for (int i = 0; i < SLOTS; i++) slots[i].name = NULL;
    if (!hostile_join(&f->h)) return;
    for (int i = 0; i < 3; i++) announce(f);
}

/* ---- content -------------------------------------------------------------------- */

static wisp__writer *begin_content(world *f) {
    memset(f->bytes, 0, sizeof f->bytes);
    f->content = wisp__writer_on(f->bytes, CONTENT);
    return &f->content;
}

/* Values of the schema of a slot, or any; they live until the next are made. */
static int make_values(world *f, const slot *sl, wisp_value values[4]) {
    const wisp_schema *schema = sl->described.program ? sl->described.program->schema : NULL;
    int style = take(&f->in), count = 1;
    made.used = 0;
    made.flags = style & 64 ? SCHEMAS_TEXT : 0;
    made.seed = (uint64_t)take16(&f->in) * 31 + 7;
    if (schema && hostile_modest(schema) && style < 200) {
        values[0] = schemas_value(&made, schema);
        if (schema->shape == WISP_SHAPE_LIST && values[0].kind == WISP_ARRAY) {
            count = wisp_count_of(&values[0]) < 4 ? wisp_count_of(&values[0]) : 4;
            for (int i = count - 1; i >= 0; i--) values[i] = *wisp_element_of(&values[0], i);
        }
        return count;
    }
    count = style & 4 ? 1 : style & 3;
    for (int i = 0; i < count; i++) values[i] = schemas_any(&made, 3);
    return count;
}

static void put_script(world *f, wisp__writer *to, int bytes) {
    int style = take_below(&f->in, 4);
    for (int i = 0; i < bytes; i++)
        wisp__put(to, style == 0 ? 0 : style == 1 ? 255u : take(&f->in), 8);
}

/* What the packer of the client holds. */
static void put_packed(world *f, wisp__writer *to) {
    wisp__packer *p = &f->h.client->content.packer;
    wisp__put_bits(to, p->shape.bytes, p->shape.at);
    wisp__put_bits(to, p->data.bytes, p->data.at);
}

/* The content of a message in the form of a slot, as the header writes it, or any bits. */
static void put_plain_content(world *f, wisp__writer *to, const slot *sl) {
    wisp__message_codec *c = &f->h.client->content;
    wisp_value values[4];
    int count;
    wisp_result result;
    if (take(&f->in) > 230) {
        put_script(f, to, take_below(&f->in, 64));
        return;
    }
    count = make_values(f, sl, values);
    c->packer.shape.at = c->packer.data.at = 0;
    c->packer.shape.full = c->packer.data.full = false;
    if (sl->encoding.kind == WISP__RECORD && sl->described.program)
        result = wisp__encode_record(c, sl->described.program, values, count);
    else if (sl->encoding.kind == WISP__CODED && sl->encoding.codec)
        result = wisp__encode_coded(c, &sl->encoding, values, count);
    else if (sl->encoding.delta)
        result = wisp__encode_sorted(c, values, count);
    else
        result = wisp__pack(&c->packer, values, count);
    if (result == WISP_OK) put_packed(f, to);
    else put_script(f, to, 16);
    wisp__arena_reset(&c->scratch);
}

/* Bytes that a codec of the slot is to decode. */
static void put_codec_bytes(world *f, wisp__writer *to) {
    static const char *const texts[] = {
        "{\"words\":[\"a\",\"b\"],\"any\":{\"k\":[1,2,3]},\"either\":1}",
        "[[[[[[[[[[[[]]]]]]]]]]]]",
        "{\"\\u0000\":1e400,\"a\":-0.0,\"a\":2}", "\xdf\xff\xff\xff\xff", "\x81\xa1x\xc7\x0c\x05",
        "\x10\x10\x10\x10\x10\x10\x10\x10", "\x0a\x02hi\x12\x04\x0a\x02\x08\x01\x1a\x00",
    };
    int which = take_below(&f->in, 16), size, spoil = take(&f->in);
    wisp__put(to, take(&f->in) & 1, 1);
    if (which < 7) {
        size = (int)strlen(texts[which]);
        wisp__put_length(to, (uint64_t)size);
        wisp__put_align(to);
        for (int i = 0; i < size; i++)
            wisp__put(to, (uint8_t)texts[which][i] ^ (i == spoil ? 1u : 0u), 8);
        return;
    }
    size = take(&f->in);
    wisp__put_length(to, (uint64_t)size);
    wisp__put_align(to);
    put_script(f, to, size);
}

static void put_form_content(world *f, wisp__writer *to, slot *sl) {
    static uint8_t bytes[CONTENT + 2 * WISP__SLACK];
    wisp__writer inner = wisp__writer_on(bytes, CONTENT);
    int how = take(&f->in);
    memset(bytes, 0, sizeof bytes);
    if (sl->encoding.kind == WISP__CODED && how & 1) put_codec_bytes(f, &inner);
    else put_plain_content(f, &inner, sl);
    if (sl->encoding.compressed) {
        int size = (int)((inner.at + 7) / 8);
        if (how & 2 && size < HOSTILE_MTU && hostile_squeezed(to, bytes, size)) return;
        wisp__put(to, (how & 12) == 12, 1);
    }
    wisp__put_bits(to, bytes, inner.at);
}

/* The row of a record; false: it is none. */
static bool row_of_bits(wisp__unpacker *u, const wisp__program *program, const uint8_t *bytes,
                        wisp__row *row) {
    wisp__reader data = wisp__reader_on(bytes, 4096), *before = u->data;
    wisp_result result;
    u->data = &data;
    u->values = 65536;
    result = wisp__row_read(u, program, row);
    u->data = before;
    return result == WISP_OK;
}

/* The difference of a record of the slot from the one told before; false: there is none. */
static bool put_difference(world *f, wisp__writer *to, slot *sl) {
    static uint8_t now[4096 + WISP__SLACK], bytes[8192 + WISP__SLACK];
    wisp__message_codec *c = &f->h.client->content;
    wisp__reader none = wisp__reader_on(NULL, 0);
    wisp__unpacker u = wisp__codec_unpacker(c, &c->scratch, &none, 65536);
    wisp__writer out = wisp__writer_on(bytes, 8192), whole = wisp__writer_on(now, 4096);
    wisp__row base;
    wisp__delta d;
    bool good;
    if (sl->encoding.kind != WISP__RECORD || !sl->described.program || sl->kept < 0) return false;
    memset(now, 0, sizeof now);
    memset(bytes, 0, sizeof bytes);
    memset(&base, 0, sizeof base);
    put_plain_content(f, &whole, sl);
    if (whole.full) return false;
    memset(&d, 0, sizeof d);
    u.shape = &none;
    d.u = &u;
    d.program = sl->described.program;
    d.to = &out;
    good = row_of_bits(&u, d.program, sl->record, &base) && row_of_bits(&u, d.program, now, &d.row);
    d.base = base.words;
    good = good && wisp__record_delta_code(&d);
    wisp__arena_reset(&c->scratch);
    if (!good) return false;
    memcpy(sl->record, now, sizeof now);
    sl->kept = whole.at;
    wisp__put_bits(to, bytes, out.at);
    return true;
}

/* A value that is told: whole or as a difference, right or not. */
static void put_told(world *f, wisp__writer *to, slot *sl, bool in_order) {
    static uint8_t bytes[CONTENT + 2 * WISP__SLACK];
    wisp__writer inner = wisp__writer_on(bytes, CONTENT);
    wisp__delta_head t;
    int how = take(&f->in), spoil;
    memset(bytes, 0, sizeof bytes);
    memset(&t, 0, sizeof t);
    t.place = how & 3 ? 0 : take_below(&f->in, 40);
    t.sequence = sl->sequence++;
    if ((how & 0x70) == 0x70) t.sequence += (uint32_t)take16(&f->in);
    t.whole = (how & 12) == 0 || sl->kept < 0;
    t.distant = t.whole && (how & 0x30) == 0x30;
    t.back = 1 + (how > 200 ? take(&f->in) : 0);
    t.older = take(&f->in) & ((1 << wisp__older_bits(&sl->encoding)) - 1);
    t.hash = (uint32_t)wisp__hash_bytes(sl->record, (int)((sl->kept + 7) / 8)) & 0xffff;
    if (t.whole) {
        put_plain_content(f, &inner, sl);
        if (inner.at <= 4096 * 8) {
            memcpy(sl->record, bytes, sizeof sl->record);
            sl->kept = inner.at;
        }
    } else if (sl->encoding.adaptive || !put_difference(f, &inner, sl)) {
        put_script(f, &inner, take_below(&f->in, 80));
    }
    spoil = take(&f->in);
    if (spoil > 200 && inner.at) bytes[spoil % (int)((inner.at + 7) / 8)] ^= take(&f->in);
    t.in_order = in_order;
    wisp__delta_head_put(to, &sl->encoding, &t, inner.at);
    wisp__put_bits(to, bytes, inner.at);
    if (!t.whole && wisp__delta_needs_length(&sl->encoding)) wisp__put(to, 0, (int)(-inner.at & 3));
}

static void put_content(world *f, wisp__writer *to, slot *sl, bool in_order, bool event) {
    if (!sl->name) put_plain_content(f, to, sl);
    else if (sl->encoding.delta && event) put_told(f, to, sl, in_order);
    else if (wisp__encoding_plain(&sl->encoding)) put_plain_content(f, to, sl);
    else put_form_content(f, to, sl);
}

/* ---- announcements -------------------------------------------------------------- */

/* A descriptor for a name: its own, the older version's, a random one, one of any bits. */
static int make_descriptor(world *f, uint8_t *bytes, const wisp_schema *own) {
    int how = take_below(&f->in, 10), bits, spoil = take(&f->in);
    const wisp_schema *schema = own;
    memset(bytes, 0, WISP__DESCRIPTOR_BYTES + WISP__SLACK);
    if (how < 3) return hostile_descriptor(bytes, &f->in);
    if (how < 5 || !schema) {
        schemas_start(&made, (uint64_t)take16(&f->in), 0);
        schema = schemas_random(&made);
    } else if (schema == &hostile_stats_schema && how < 8) {
        schema = &hostile_old_schema;
    }
    bits = wisp__describe(schema, bytes, WISP__DESCRIPTOR_BYTES + WISP__SLACK);
    if (bits < 0) return 0;
    if (spoil > 220) bytes[take16(&f->in) % ((bits + 7) / 8)] ^= (uint8_t)(1 << (spoil & 7));
    if (spoil < 32) bytes[0] = (uint8_t)(1 + spoil % 3);            /* another version */
    if (bits & 7) bytes[bits / 8] &= (uint8_t)((1u << (bits & 7)) - 1);
    return bits;
}

/* The form that the server itself has for a name. */
static void own_form(hostile_form *form, const hostile_entry *e, const char *const codecs[]) {
    form->kind = e->codec ? WISP__CODED : e->schema ? WISP__RECORD : WISP__VALUES;
    if (e->codec) form->codec = codecs[e->codec - 1];
    form->delta = e->delta != 0;
    form->adaptive = e->adaptive != 0;
    form->sync = e->sync != 0;
    form->compressed = e->compressed != 0;
}

/* Any form: kinds of messages, and flags of each a quarter of the time. */
static void any_form(world *f, hostile_form *form, const char *const codecs[]) {
    int flags = take(&f->in) & take(&f->in);
    form->kind = take_below(&f->in, 3);
    if (form->kind == WISP__CODED) form->codec = codecs[take_below(&f->in, 4)];
    form->delta = form->kind != WISP__CODED && flags & 1;
    form->adaptive = form->delta && flags & 2;
    form->sync = form->delta && flags & 4;
    form->compressed = (flags & 24) != 0;
    if (flags == 255) form->dictionary = 12345;
}

static const wisp_codec *codec_named(const char *name) {
    for (int i = HOSTILE_JSON; i <= HOSTILE_PROTOBUF; i++)
        if (name && strcmp(hostile_codec(i)->name, name) == 0) return hostile_codec(i);
    return NULL;
}

/* Makes a form of a slot that is to be announced. */
static void make_form(world *f, slot *sl, const hostile_entry *e, hostile_form *form,
                      uint8_t *bytes) {
    static const char *const codecs[] = { "json", "msgpack", "protobuf", "nobody's" };
    int how = take(&f->in);
    memset(form, 0, sizeof *form);
    memset(&sl->encoding, 0, sizeof sl->encoding);
    memset(&sl->described, 0, sizeof sl->described);
    sl->sequence = 0;
    sl->kept = -1;
    if (e && how < 160) own_form(form, e, codecs);
    else if (how < 240) any_form(f, form, codecs);
    if (form->kind == WISP__RECORD || (e && e->schema && how < 160) || how >= 210)
        form->bits = make_descriptor(f, bytes, e ? e->schema : NULL);
    form->descriptor = bytes;
    sl->encoding.kind = (uint8_t)form->kind;
    sl->encoding.delta = form->delta;
    sl->encoding.sync = form->sync;
    sl->encoding.adaptive = form->adaptive;
    sl->encoding.compressed = form->compressed;
    sl->encoding.codec = codec_named(form->codec);
    if (form->bits)
        sl->described.program = hostile_program(bytes, form->bits, sl->plan.bytes, PLAN_BYTES);
    if (sl->described.program) sl->encoding.described = &sl->described;
    if (!sl->described.program) sl->encoding.kind = WISP__VALUES;
}

/* Sends bytes as fragments on a reliable channel. */
static void send_fragments(world *f, const uint8_t *bytes, int size, int channel) {
    int order = take(&f->in);
    for (int at = 0; at < size;) {
        int piece = size - at < 1000 ? size - at : 1000;
        hostile_body(&f->h);
        hostile_section(&f->h.body, WISP_RELIABLE, channel, f->h.sequences[channel]++);
        if (order > 250) f->h.sequences[channel]++;
        hostile_fragment(&f->h.body, at == 0 && order != 249, at + piece == size && order != 248,
                         bytes + at, piece);
        hostile_send(&f->h, 0, 0);
        f->h.now += 0.002;
        update(f);
        at += piece;
    }
}

static void announce(world *f) {
    static uint8_t bytes[WISP__DESCRIPTOR_BYTES + 2 * WISP__SLACK], whole[HOSTILE_WHOLE];
    static char pattern[16];
    int number = take(&f->in), which = take_below(&f->in, HOSTILE_ENTRIES + 3);
    slot *sl = &slots[number % SLOTS];
    const hostile_entry *e = which < HOSTILE_ENTRIES ? &hostile_entries[which] : NULL;
    wisp__writer to = wisp__writer_on(whole, HOSTILE_WHOLE - WISP__SLACK);
    hostile_form form;
    int size;
    if (!f->h.client) return;
    memset(whole, 0, sizeof whole);
    snprintf(pattern, sizeof pattern, "pat%d", take(&f->in));
    if (!sl->name || take(&f->in) > 200) {
        sl->name = e ? e->name : which == HOSTILE_ENTRIES ? "unheard of"
                 : which == HOSTILE_ENTRIES + 1 ? "wisp:left" : pattern;
    }
    make_form(f, sl, e, &form, bytes);
    hostile_announce(&to, number < 250 ? number % SLOTS : number << 7, sl->name, &form);
    if (sl->name == pattern) sl->name = "a pattern's";
    wisp__put_align(&to);
    size = (int)(to.at / 8);
    hostile_body(&f->h);
    if (size < 1100 && take(&f->in) < 200) {
        wisp__put_bits(&f->h.body, whole, to.at);
        send_packet(f, 0);
    } else {
        send_fragments(f, whole, size, take_below(&f->in, 3));
    }
}

/* ---- records -------------------------------------------------------------------- */

typedef struct section { int delivery, channel; slot *previous; } section;

static void put_section(world *f, wisp__writer *to, section *at) {
    const wisp__channel *lane;
    int how = take(&f->in);
    at->delivery = how == 253 ? 0 : 1 + how % 3;
    at->channel = how & 64 ? 0 : take_below(&f->in, 16);
    if (f->h.server->base.reliable && how < 250) at->delivery = WISP_RELIABLE;
    at->previous = NULL;
    lane = hostile_theirs(&f->h)->peer.channels[at->channel];
    if (lane && how < 230) f->h.sequences[at->channel] = lane->in.next;
    if (how > 240) f->h.sequences[at->channel] += (uint32_t)take_below(&f->in, 70);
    hostile_section(to, at->delivery, at->channel, f->h.sequences[at->channel]);
}

/* A message takes a place in its channel's order, in what was read and here. */
static void count_place(world *f, const section *at) {
    if (at->delivery == WISP_RELIABLE) f->h.sequences[at->channel]++;
}

/* A number that the server has bound, mostly, from one on. */
static int bound_number(world *f) {
    const wisp__session *s = hostile_theirs(&f->h);
    int number = take(&f->in);
    for (int i = 0; i < SLOTS && number < 252; i++) {
        int one = (number + i) % SLOTS;
        if (one < s->their_room && s->theirs[one].remote && slots[one].name) return one;
    }
    return number < 252 ? -1 : number;
}

static void put_event(world *f, wisp__writer *to, section *at, bool bound) {
    int number = bound ? bound_number(f) : take(&f->in);
    slot *sl = &slots[(number < 0 ? 0 : number) % SLOTS];
    bool in_order = f->h.server->base.reliable || at->delivery == WISP_RELIABLE;
    if (number < 0) return;
    wisp__put(to, bound ? 2 : 8, bound ? 2 : 4);
    wisp__put_length(to, number < 250 ? (uint64_t)(number % SLOTS) : (uint64_t)number << 4);
    begin_content(f);
    put_content(f, &f->content, sl, in_order, true);
    if (!bound) wisp__put_length(to, (uint64_t)f->content.at + (take(&f->in) > 250));
    wisp__put_bits(to, f->bytes, f->content.at);
    at->previous = bound ? sl : NULL;
    count_place(f, at);
}

static void put_alike(world *f, wisp__writer *to, section *at) {
    bool in_order = f->h.server->base.reliable || at->delivery == WISP_RELIABLE;
    if (!at->previous && take(&f->in) < 250) return;
    wisp__put(to, 1, 1);
    if (!at->previous) return;
    if (wisp__encoding_plain(&at->previous->encoding)) {
        put_script(f, to, take_below(&f->in, 9));
    } else {
        begin_content(f);
        put_content(f, &f->content, at->previous, in_order, true);
        wisp__put_bits(to, f->bytes, f->content.at);
    }
    count_place(f, at);
}

static void put_repeats(world *f, wisp__writer *to, section *at) {
    int count = take(&f->in);
    if (!at->previous && count < 254) return;
    if (count > 200) count = (count - 200) * 70;
    wisp__put(to, 4, 3);
    wisp__put_small(to, (uint64_t)count);
    for (int i = 0; i <= count; i++) count_place(f, at);
}

/* A transaction: parts of any kind and form, whose lengths are mostly right. */
static void put_transaction(world *f, wisp__writer *to, const wisp__session *s) {
    static uint8_t parts[4096 + 2 * WISP__SLACK];
    wisp__writer all = wisp__writer_on(parts, 4096);
    wisp_value value;
    for (int left = take_below(&f->in, 9); left > 0; left--) {
        int number = take(&f->in) % (SLOTS + 1), wrong = take(&f->in);
        wisp__put(&all, take(&f->in) & 3, 2);
        wisp__put_length(&all, number == SLOTS ? WISP__PART_SET : (uint64_t)number);
        begin_content(f);
        if (number < SLOTS) put_content(f, &f->content, &slots[number], true, false);
        else put_script(f, &f->content, take_below(&f->in, 40));
        wisp__put_length(&all, (uint64_t)f->content.at + (wrong > 240 ? (uint64_t)wrong : 0));
        if (f->content.at < all.end - all.at) wisp__put_bits(&all, f->bytes, f->content.at);
    }
    value = wisp_bytes(parts, (int)(all.at + 7) / 8);
    if (wisp__pack(&f->h.client->content.packer, &value, 1)) return;
    wisp__frame_put(to, WISP__FRAME_INVOKE);
    wisp__put_length(to, WISP__PART_SET);
    wisp__put(to, s->request_floor & WISP__LOW_24, 24);
    wisp__put_small(to, 0);
    wisp__put(to, 1, 1);
    put_packed(f, to);
}

static void put_invoke(world *f, wisp__writer *to, const wisp__session *s, const section *at) {
    int ahead = take(&f->in), number = take(&f->in) % (SLOTS + 1);
    bool bound = number < SLOTS && slots[number].name && number < s->their_room &&
                 s->theirs[number].remote;
    uint32_t call = s->request_floor + (uint32_t)(ahead % 20);
    if (number == SLOTS) {
        put_transaction(f, to, s);
        count_place(f, at);
        return;
    }
    wisp__frame_put(to, WISP__FRAME_INVOKE);
    wisp__put_length(to, (uint64_t)number);
    wisp__put(to, (ahead > 240 ? call - 9 : call) & WISP__LOW_24, 24);
    wisp__put_small(to, ahead < 200 ? (uint64_t)(ahead % 20) : take(&f->in));
    wisp__put(to, bound, 1);
    begin_content(f);
    put_content(f, &f->content, &slots[number % SLOTS], true, false);
    if (!bound) wisp__put_length(to, (uint64_t)f->content.at);
    wisp__put_bits(to, f->bytes, f->content.at);
    count_place(f, at);
}

static void put_reply(world *f, wisp__writer *to, const wisp__session *s, const section *at) {
    static const slot plain = { NULL, { 0 }, { 0 }, 0, 0, { 0 }, { 0 } };
    bool good = take(&f->in) < 200;
    uint32_t call = s->calls_first ? s->calls_first->id : 0;
    wisp__frame_put(to, WISP__FRAME_REPLY);
    wisp__put(to, (call + (uint32_t)take_below(&f->in, 3)) & WISP__LOW_24, 24);
    wisp__put(to, good, 1);
    if (!good) wisp__put(to, 0xff00u | take(&f->in), 16);
    begin_content(f);
    put_plain_content(f, &f->content, &plain);
    wisp__put_bits(to, f->bytes, f->content.at);
    count_place(f, at);
}

static void put_fragment(world *f, wisp__writer *to, const section *at) {
    int flags = take(&f->in), size = take(&f->in) + (flags & 64 ? 300 : 0);
    wisp__writer *c = begin_content(f);
    if (flags & 4) wisp__put(c, 8, 4), wisp__put_length(c, flags & 7);
    else wisp__frame_put(c, flags & 8 ? WISP__FRAME_INVOKE : WISP__FRAME_REPLY);
    put_content(f, c, &slots[flags & 7], true, true);
    if (at->delivery != WISP_RELIABLE && flags < 250) return;
    hostile_fragment(to, flags & 1, flags >> 1 & 1, f->bytes, size > 16 ? size : 16);
    count_place(f, at);
}

/* BOUND, UNKNOWN, RESYNC, READS. */
static void put_answer(world *f, wisp__writer *to) {
    static const wisp__frame kinds[] = { WISP__FRAME_BOUND, WISP__FRAME_READS, WISP__FRAME_UNKNOWN,
                                          WISP__FRAME_RESYNC };
    int number = take(&f->in);
    wisp__frame_put(to, kinds[take_below(&f->in, 4)]);
    wisp__put_length(to, number < 254 ? (uint64_t)(number % HOSTILE_ENTRIES) : (uint64_t)number);
}

static void put_leave(world *f, wisp__writer *to) {
    int length = take_below(&f->in, 120);
    wisp__frame_put(to, WISP__FRAME_LEAVE);
    wisp__put(to, take(&f->in) & 1 ? 0 : 0xff00u | take(&f->in), 16);
    wisp__put_length(to, (uint64_t)length);
    for (int i = 0; i < length; i++) wisp__put(to, take(&f->in), 8);
}

static void put_record(world *f, wisp__writer *to, const wisp__session *s, section *at) {
    int kind = take_below(&f->in, 32);
    if (kind < 8) put_event(f, to, at, true);
    else if (kind < 11) put_event(f, to, at, false);
    else if (kind < 14) put_alike(f, to, at);
    else if (kind < 16) put_repeats(f, to, at);
    else if (kind < 19) put_invoke(f, to, s, at);
    else if (kind < 21) put_reply(f, to, s, at);
    else if (kind < 23) put_fragment(f, to, at);
    else if (kind < 25) put_answer(f, to);
    else if (kind < 28) put_section(f, to, at);
    else if (kind == 28) wisp__frame_put(to, WISP__FRAME_PING);
    else if (kind == 29 && take(&f->in) > 240) put_leave(f, to);
    else if (kind == 30)
        wisp__frame_put(to, take(&f->in) > 250 ? WISP__FRAME_TICK : WISP__FRAME_PING);
}

/* Acks of what was heard, right or not. */
static void put_acks(world *f, wisp__writer *to) {
    int how = take(&f->in);
    if (how > 253) {
        wisp__put(to, (f->h.heard.top + (uint64_t)(how - 253)) & 0xffff, 16);
        wisp__put(to, 0, 8);
        wisp__put_small(to, 0);
        wisp__put_length(to, (uint64_t)take_below(&f->in, 3));
    } else {
        wisp__flow_put_acks(&f->h.heard, to, f->h.now, 60, false);
    }
}

static void write_records(world *f) {
    wisp__session *s = hostile_theirs(&f->h);
    section at = { 0, 0, NULL };
    int count = 1 + take_below(&f->in, RECORDS), flags = 0, how = take(&f->in);
    wisp__writer *to;
    if (!s || !hostile_mine(&f->h)) return;
    to = hostile_body(&f->h);
    if (how & 1 && f->h.heard.top && !f->h.server->base.reliable) {
        put_acks(f, to);
        flags = WISP__FLAG_ACKS;
    }
    if (how < 254) put_section(f, to, &at);
    for (int i = 0; i < count && !to->full; i++) {
        wisp__writer before = *to;
        put_record(f, to, s, &at);
        if (!to->full) continue;
        *to = before;                               /* its bits beyond are cleared below */
        break;
    }
    if (to->at & 7) f->h.packet[HOSTILE_HEAD + to->at / 8] &= (uint8_t)((1u << (to->at & 7)) - 1);
    send_packet(f, flags);
}

/* ---- the client speaks for itself, and is changed on its way -------------------- */

static bool twist(void *user, uint8_t *body, int size) {
    world *f = (world *)user;
    if (take(&f->in) < 8) return false;
    for (; f->twists > 0 && size > 0; f->twists--)
        body[take16(&f->in) % size] ^= (uint8_t)(1 << (take(&f->in) & 7));
    f->twists = take(&f->in) > 128 ? take_below(&f->in, 4) : 0;
    return true;
}

static void let_speak(world *f) {
    int rounds = 1 + take_below(&f->in, 6);
    wisp *w = f->h.client;
    if (!w || !hostile_mine(&f->h)) return;
    f->h.deaf = f->h.dumb = false;
    for (int i = 0; i < rounds; i++) {
        int which = take(&f->in), times = which & 128 ? 3 : 1;
        const hostile_entry *e = &hostile_entries[which % HOSTILE_ENTRIES];
        wisp_config config = hostile_config(e);
        if (e->schema == &hostile_stats_schema && which & 64) {
            config.encode.schema = &hostile_old_schema;
            config.encode.migrations = NULL;
            config.encode.migration_count = 0;
        }
        wisp_use_config(w, &config, e->name);
        for (int k = 0; k < times; k++) send_something(f, w, which, wisp_to_peer(f->h.to_server));
        if ((which & 31) == 31) wisp_invoke(w, "ask", f->h.to_server, NULL, NULL, wisp_int(i));
        f->h.now += 0.01;
        wisp_update(w, f->h.now);
        update(f);
    }
    f->h.deaf = f->h.dumb = true;
}

/* ---- the script ----------------------------------------------------------------- */

static void server_acts(world *f) {
    wisp *w = f->h.server;
    wisp_peer peers[8];
    int count = wisp_peers(w, peers, 8);
    wisp_peer peer = peers[count ? take_below(&f->in, count) : 0];
    wisp_profiler profiler;
    wisp_call_desc calls;
    wisp_budget budget;
    if (!count) return;
    memset(&profiler, 0, sizeof profiler);
    memset(&calls, 0, sizeof calls);
    memset(&budget, 0, sizeof budget);
    switch (take_below(&f->in, 13)) {
    case 0: send_something(f, w, take(&f->in), wisp_to_all()); break;
    case 1: send_something(f, w, take(&f->in), wisp_to_peer(peer)); break;
    case 2: wisp_invoke(w, "theirs", peer, on_any, f, wisp_int(3)); break;
    case 3: wisp_group_add(w, f->group, peer); break;
    case 4: send_something(f, w, take(&f->in), wisp_to_group(f->group)); break;
    case 5: wisp_release(w, "holder", peer, take(&f->in) & 1 ? WISP_PASS : WISP_DROP); break;
    case 6: wisp_unuse(w, "holder"); break;
    case 8: wisp_fire(w, "chat", peer, wisp_bytes(f->bytes, 100 * take(&f->in))); break;
    case 9: wisp_use_profiler(w, take(&f->in) & 1 ? &profiler : NULL); break;
    case 10:
        calls.on_reply = calls.on_done = on_any;
        calls.user = f;
        wisp_invoke_values(w, "theirs", wisp_to_all(), &calls, NULL, 0);
        break;
    case 11:
        budget.out = budget.in = 50000;
        wisp_use_budget(w, take(&f->in) & 1 ? &budget : NULL);
        break;
    case 7: wisp_set_rate_limit(w, take(&f->in) & 1 ? 0.01 : 0, "chat"); break;
    default: break;
    }
}

static void operate(world *f) {
    int code = take(&f->in);
    switch (code % 16) {
    case 0: case 1: case 2: announce(f); break;
    case 3: case 4: let_speak(f); break;
    case 5: server_acts(f); break;
    case 6:
        f->h.now += take_seconds(&f->in) > 1 ? 0.3 : 0.02;
        wisp_update(f->honest, f->h.now);
        update(f);
        break;
    case 7: join(f); break;
    default: write_records(f); break;
    }
    if (!hostile_theirs(&f->h) && f->joins < JOINS) join(f);
}

/* A peer that means well gets through, and what the other took has come back. */
static void settle(world *f, size_t before) {
    f->quiet = true;
    hostile_gone(&f->h);
    wisp_unuse(f->h.server, "holder");
    wisp_use_profiler(f->h.server, NULL);
    for (int i = 0; i < 5; i++)
        f->honest_sent += wisp_fire(f->honest, "numbered", f->honest_server,
                                    wisp_int(f->honest_sent)) == WISP_OK;
    for (int i = 0; i < 200; i++) {
        bool arrived = f->honest_received == f->honest_sent;
        f->h.now += 0.1;
        wisp_update(f->honest, f->h.now);
        wisp_update(f->h.server, f->h.now);
        hostile_drain(&f->h);
        if (arrived && wisp_peers(f->h.server, NULL, 0) == 1 && i > 25) break;
    }
    if (f->honest_sent != 5 || f->honest_received != 5) {
        fprintf(stderr, "of 5 messages of another peer %d went and %d came; %d peers there\n",
                f->honest_sent, f->honest_received, wisp_peers(f->h.server, NULL, 0));
        abort();
    }
    MUST(wisp_peers(f->h.server, NULL, 0) == 1);
    wisp__host_check(f->h.server);
    if (f->h.memory.held > before + POOLS_KEEP) {
        fprintf(stderr, "%zu bytes before, %zu after the peer has left\n", before,
                f->h.memory.held);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    world *f = &the_world;
    size_t before;
    memset(f, 0, sizeof *f);
    f->in.data = data;
    f->in.size = size;
    f->h.twist = twist;
    f->h.user = f;
    for (int i = 0; i < SLOTS; i++) slots[i].name = NULL;
    open_world(f, take(&f->in));
    before = f->h.memory.held;
    join(f);
    for (int i = 0; i < OPERATIONS && !script_ended(&f->in); i++) operate(f);
    settle(f, before);
    wisp_destroy(f->honest);
    hostile_close(&f->h);
    MUST(f->h.memory.held == 0);
    return 0;
}
