/* packet_bombs.h - the dearest small packets that are known, each built by hand

       bombs b;
       bombs_open(&b);
       bomb_list[i].make(&b);           // what it announces is taken; its packet is ready
       bombs_pay(&b, &bill);            // one packet, one update of the server
       bombs_close(&b);

   The server has default limits and takes every form that the peer describes. What it says on
   arrival is counted, and nothing else is done with it. Included after fuzz_script.h and
   hostile_peer.h. */
#ifndef PACKET_BOMBS_H
#define PACKET_BOMBS_H

/* Seconds of CPU; 0 where nobody measures. */
#ifndef BOMBS_CLOCK
#define BOMBS_CLOCK() 0
#endif

enum { BOMBS_RAW = 1 << 20, BOMBS_BODY = HOSTILE_MTU - HOSTILE_HEAD };

typedef struct bombs {
    hostile      h;
    int          handled, errors, floods;     /* messages, error events, and those of the credit */
    int          number;                      /* announced last */
    double       seconds;                     /* of CPU that the last update took */
    int          raw_bytes;                   /* of `raw` that a message is decompressed to */
    uint8_t      descriptor[WISP__DESCRIPTOR_BYTES + 2 * WISP__SLACK];
    wisp__writer to;                          /* the descriptor */
    uint8_t      raw[BOMBS_RAW + 4096];
} bombs;

/* What one packet has cost the server. */
typedef struct bombs_bill {
    int     bytes, handled, errors, floods;
    int64_t work;                             /* units */
    int64_t peak;                             /* bytes of memory above what was held before */
    bool    joined;                           /* the session goes on */
} bombs_bill;

/* ---- the server, and what it knows ------------------------------------------------------ */

static inline void bombs_on_any(wisp_event *event) { ((bombs *)event->user)->handled++; }

static inline void bombs_on_error(wisp_event *event) {
    bombs *b = (bombs *)event->user;
    b->errors++;
    b->floods += event->result == WISP_E_FLOOD;
}

/* A version 2 that has no step from version 1, and one that has. */
typedef struct bombs_stats { float hp; uint32_t xp; } bombs_stats;
static const wisp_field bombs_stats_fields[] = {
    WISP_FIELD(bombs_stats, hp, WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_OPTIONAL_FIELD(bombs_stats, xp, WISP_T_RANGE(0, 1000000), 0),
};
static const wisp_schema bombs_stats_schema = WISP_SCHEMA(bombs_stats, 2, bombs_stats_fields);

static inline wisp_result bombs_step(wisp_edit *edit, void *user) {
    (void)user;
    return wisp_edit_set(edit, "hp", wisp_number(50));
}

static const wisp_migration bombs_steps[] = { { 1, bombs_step, NULL } };

/* A map of 200 fields, all optional, to be found among 4000 pairs. */
static char bombs_names[200][8];
static wisp_field bombs_wide_fields[200];
static wisp_schema bombs_wide_schema = { "wide", 1, 0, NULL, 0, WISP_SHAPE_MAP, NULL };

static inline const wisp_schema *bombs_wide(void) {
    static const wisp_field like = WISP_MAYBE_MAP_FIELD("", WISP_T_ANY);
    for (int i = 0; i < 200; i++) {
        snprintf(bombs_names[i], sizeof bombs_names[i], "k%04d", i * 7);
        bombs_wide_fields[i] = like;
        bombs_wide_fields[i].name = bombs_names[i];
    }
    bombs_wide_schema.fields = bombs_wide_fields;
    bombs_wide_schema.count = 200;
    return &bombs_wide_schema;
}

/* A compressor that has got all content by heart: what any could do at best. */
static inline void *bombs_unpack_open(const wisp_compressor *c, const wisp_allocator *memory,
                                      const void *dictionary, int bytes) {
    (void)memory;
    (void)dictionary;
    return bytes ? NULL : c->user;
}

static inline void bombs_unpack_close(const wisp_compressor *c, void *context) {
    (void)c;
    (void)context;
}

static inline int bombs_pack(void *context, const void *from, int size, void *to, int capacity) {
    (void)context;
    (void)from;
    (void)size;
    (void)to;
    (void)capacity;
    return 0;
}

static inline int bombs_unpack(void *context, const void *from, int size, void *to, int capacity) {
    bombs *b = (bombs *)context;
    (void)from;
    if (size != 1 || capacity < b->raw_bytes) return -1;
    memcpy(to, b->raw, (size_t)b->raw_bytes);
    return b->raw_bytes;
}

static inline void bombs_plug(bombs *b) {
    wisp_compressor c = { WISP_COMPRESSION_USER, "by heart", bombs_unpack_open, bombs_unpack_close,
                          bombs_pack, bombs_unpack, NULL };
    c.user = b;
    MUST(wisp_add_compressor(b->h.server, &c) == WISP_OK);
}

/* What is registered at the server. Everything else of a name is up to the peer. */
static inline void bombs_register(bombs *b) {
    static const char *const names[] = { "chat", "stats", "bare", "wide" };
    wisp_config all, own;
    bombs_plug(b);
    memset(&all, 0, sizeof all);
    hostile_foreign(&all);
    MUST(wisp_use_config(b->h.server, &all, NULL) == WISP_OK);
    for (int i = 0; i < 4; i++) wisp_connect(b->h.server, names[i], bombs_on_any, b);
    wisp_connect(b->h.server, WISP_ERROR, bombs_on_error, b);
    wisp_connect_match(b->h.server, "^a*b*c*d*$", bombs_on_any, b);
    wisp_on_invoke(b->h.server, "ask", bombs_on_any, b);
    memset(&own, 0, sizeof own);
    own.encode.schema = &bombs_stats_schema;
    MUST(wisp_use_config(b->h.server, &own, "bare") == WISP_OK);
    own.encode.migrations = bombs_steps;
    own.encode.migration_count = 1;
    MUST(wisp_use_config(b->h.server, &own, "stats") == WISP_OK);
    memset(&own, 0, sizeof own);
    own.encode.schema = bombs_wide();
    MUST(wisp_use_config(b->h.server, &own, "wide") == WISP_OK);
}

/* A peer that joins; what its session may spend is there in full. */
static inline void bombs_join(bombs *b) {
    b->number = 0;
    MUST(hostile_join(&b->h));
    b->h.now += 1;
    wisp_update(b->h.server, b->h.now);
    hostile_drain(&b->h);
}

static inline void bombs_open(bombs *b) {
    wisp_desc desc;
    memset(b, 0, sizeof *b);
    hostile_desc(&desc, 1);
    desc.link = wisp_loopback(&b->h.pipe, 0);
    desc.memory = memory_allocator(&b->h.memory);
    b->h.server = wisp_create(&desc, NULL);
    MUST(b->h.server);
    bombs_register(b);
    bombs_join(b);
}

static inline void bombs_close(bombs *b) { hostile_close(&b->h); }

/* ---- packets ------------------------------------------------------------------------------ */

/* The packet in the body goes out, and the server takes it. */
static inline void bombs_pay(bombs *b, bombs_bill *bill) {
    size_t held = b->h.memory.held;
    int handled = b->handled, errors = b->errors, floods = b->floods;
    hostile_send(&b->h, 0, 0);
    bill->bytes = (int)((b->h.body.at + 7) / 8) + HOSTILE_HEAD;
    b->h.memory.peak = held;
    b->h.now += 0.5;                          /* what it spent before has been earned anew */
    b->seconds = BOMBS_CLOCK();
    wisp_update(b->h.server, b->h.now);
    b->seconds = BOMBS_CLOCK() - b->seconds;
    bill->work = b->h.server->update_work;
    bill->peak = (int64_t)(b->h.memory.peak - held);
    bill->handled = b->handled - handled;
    bill->errors = b->errors - errors;
    bill->floods = b->floods - floods;
    bill->joined = hostile_theirs(&b->h) != NULL;
    hostile_drain(&b->h);
}

static inline void bombs_fragments(bombs *b, const uint8_t *bytes, int size) {
    bombs_bill bill;
    for (int at = 0; at < size; at += 1100) {
        int piece = size - at < 1100 ? size - at : 1100;
        wisp__writer *to = hostile_body(&b->h);
        hostile_section(to, WISP_RELIABLE, 0, b->h.sequences[0]++);
        hostile_fragment(to, at == 0, at + piece == size, bytes + at, piece);
        bombs_pay(b, &bill);
    }
}

/* The next number becomes a name in this form; the server has it afterwards. */
static inline void bombs_announce(bombs *b, const char *name, hostile_form form) {
    static uint8_t whole[HOSTILE_WHOLE];
    wisp__writer to = wisp__writer_on(whole, HOSTILE_WHOLE - WISP__SLACK);
    memset(whole, 0, sizeof whole);
    form.descriptor = b->descriptor;
    hostile_announce(&to, ++b->number, name, &form);
    wisp__put_align(&to);
    bombs_fragments(b, whole, (int)(to.at / 8));
}

/* A section, and a message of the newest name without its values. */
static inline wisp__writer *bombs_message(bombs *b, int delivery) {
    wisp__writer *to = hostile_body(&b->h);
    hostile_section(to, delivery, 0, b->h.sequences[0]);
    wisp__put(to, 2, 2);
    wisp__put_length(to, (uint64_t)b->number);
    return to;
}

/* The same values, and as many messages like it as there is room for. */
static inline int bombs_often(wisp__writer *to, const uint8_t *bytes, int64_t bits, int most) {
    int count = 1;
    wisp__put_bits(to, bytes, bits);
    for (; count < most && to->at + bits + 1 <= (int64_t)BOMBS_BODY * 8; count++) {
        wisp__put(to, 1, 1);
        wisp__put_bits(to, bytes, bits);
    }
    return count;
}

/* `times` messages more, the same. */
static inline void bombs_repeat(wisp__writer *to, int times) {
    wisp__put(to, 4, 3);
    wisp__put_small(to, (uint64_t)times - 1);
}

/* What stands in b->raw as the content of messages that are compressed: to a few bytes, as no
   compressor could do better. */
static inline int bombs_squeezed(bombs *b, int size, int times) {
    uint8_t content[64];
    wisp__writer *to = bombs_message(b, WISP_UNRELIABLE);
    wisp__writer inner = wisp__writer_on(content, (int)sizeof content - WISP__SLACK);
    memset(content, 0, sizeof content);
    b->raw_bytes = size;
    wisp__put(&inner, 1, 1);
    wisp__put(&inner, WISP__USER_METHOD, 3);
    wisp__put_length(&inner, (uint64_t)size);
    wisp__put_length(&inner, 1);
    wisp__put_align(&inner);
    wisp__put(&inner, 0, 8);
    return bombs_often(to, content, inner.at, times);
}

/* ---- schemas of theirs --------------------------------------------------------------------- */

static inline void bombs_describe(bombs *b, int version, int fields) {
    memset(b->descriptor, 0, sizeof b->descriptor);
    b->to = wisp__writer_on(b->descriptor, WISP__DESCRIPTOR_BYTES);
    wisp__put(&b->to, (uint64_t)version, 8);
    wisp__put(&b->to, 0, 1);
    wisp__put_text(&b->to, "s");
    wisp__put_length(&b->to, (uint64_t)fields);
}

/* The name of a field and its flags; the first is "hp", the first two may have numbers. */
static inline void bombs_field(bombs *b, int n, bool numbered) {
    char name[8];
    snprintf(name, sizeof name, n ? "%x" : "hp", (unsigned)n);
    wisp__put_text(&b->to, name);
    wisp__put(&b->to, 0, 3);
    wisp__put(&b->to, numbered && n < 2, 1);
    if (numbered && n < 2) wisp__put_length(&b->to, (uint64_t)(3000 - n));
}

/* A literal, which takes no bits, or a boolean. */
static inline void bombs_type(bombs *b, bool literal) {
    wisp__put(&b->to, literal ? WISP_TYPE_LITERAL : WISP_TYPE_BOOL, 5);
    if (!literal) return;
    wisp__put(&b->to, 1, 1);
    wisp__put_text(&b->to, "");
}

static inline hostile_form bombs_form(bombs *b, int version, int fields, bool literals,
                                      bool numbered) {
    hostile_form form;
    memset(&form, 0, sizeof form);
    bombs_describe(b, version, fields);
    for (int i = 0; i < fields; i++) {
        bombs_field(b, i, numbered);
        bombs_type(b, literals);
    }
    MUST(!b->to.full);
    form.kind = WISP__RECORD;
    form.bits = (int)b->to.at;
    return form;
}

/* One field: an array of structs. */
static inline hostile_form bombs_form_of_array(bombs *b, int fields, bool literals) {
    hostile_form form;
    memset(&form, 0, sizeof form);
    bombs_describe(b, 1, 1);
    bombs_field(b, 1, false);
    wisp__put(&b->to, WISP_TYPE_ARRAY, 5);
    wisp__put_length(&b->to, 65536);
    wisp__put(&b->to, 0, 1);
    wisp__put(&b->to, WISP_TYPE_STRUCT, 5);
    wisp__put(&b->to, 1, 8);
    wisp__put(&b->to, 0, 1);
    wisp__put_text(&b->to, "t");
    wisp__put_length(&b->to, (uint64_t)fields);
    for (int i = 0; i < fields; i++) {
        bombs_field(b, i + 1, false);
        bombs_type(b, literals);
    }
    MUST(!b->to.full);
    form.kind = WISP__RECORD;
    form.bits = (int)b->to.at;
    return form;
}

static inline hostile_form bombs_plain(bool squeezed) {
    hostile_form form;
    memset(&form, 0, sizeof form);
    form.compressed = squeezed;
    return form;
}

/* ---- the bombs ------------------------------------------------------------------------------ */

/* Records of an older version that take no bits: with a step to the one that is wanted, without. */
static inline void bomb_old_version(bombs *b) {
    bombs_announce(b, "stats", bombs_form(b, 1, 1000, true, false));
    bombs_often(bombs_message(b, WISP_UNRELIABLE), b->raw, 0, 4000);
}

static inline void bomb_no_steps(bombs *b) {
    bombs_announce(b, "bare", bombs_form(b, 1, 1000, true, false));
    bombs_often(bombs_message(b, WISP_UNRELIABLE), b->raw, 0, 4000);
}

static inline void bomb_repeated_versions(bombs *b) {
    bombs_announce(b, "stats", bombs_form(b, 1, 1000, true, false));
    bombs_repeat(bombs_message(b, WISP_UNRELIABLE), 2000);
}

static inline void bomb_empty_records(bombs *b) {
    bombs_announce(b, "chat", bombs_form(b, 1, 1, true, false));
    bombs_often(bombs_message(b, WISP_UNRELIABLE), b->raw, 0, 4000);
}

/* Arrays of structs that take no bits. */
static inline void bomb_literals(bombs *b) {
    bombs_announce(b, "chat", bombs_form_of_array(b, 1000, true));
    wisp__put(bombs_message(b, WISP_UNRELIABLE), 10000, 17);
}

static inline void bomb_literals_within(bombs *b) {
    bombs_announce(b, "chat", bombs_form_of_array(b, 1000, true));
    wisp__put(bombs_message(b, WISP_UNRELIABLE), 12, 17);
}

static inline void bomb_empty_structs(bombs *b) {
    uint8_t bytes[16] = { 0 };
    wisp__writer to = wisp__writer_on(bytes, 8);
    bombs_announce(b, "chat", bombs_form_of_array(b, 1, true));
    wisp__put(&to, 2000, 17);
    bombs_often(bombs_message(b, WISP_UNRELIABLE), bytes, 17, 4000);
}

/* An array of values that describe themselves: booleans, as many as there are bits. */
static inline void bombs_put_array(wisp__writer *to, int kind, int count) {
    wisp__put_small(to, 1);
    wisp__put(to, WISP__CODE_LIST, 5);
    wisp__put_small(to, (uint64_t)count);
    wisp__put(to, 1, 1);
    wisp__put(to, (uint64_t)kind, 4);
}

/* One large message, and 1000 more of the same. */
static inline void bomb_repeats(bombs *b) {
    wisp__writer *to;
    bombs_announce(b, "chat", bombs_plain(false));
    to = bombs_message(b, WISP_UNRELIABLE);
    bombs_put_array(to, WISP_BOOL, 8000);
    for (int i = 0; i < 1000; i++) wisp__put(to, 0x55, 8);
    bombs_repeat(to, 1000);
}

static inline void bomb_values(bombs *b) {
    wisp__writer to = wisp__writer_on(b->raw, 64);
    bombs_announce(b, "chat", bombs_plain(true));
    memset(b->raw, 0, 2048);
    bombs_put_array(&to, WISP_NIL, 9000);
    bombs_squeezed(b, 1200, 100);
}

/* A value, packed by the header itself, in b->raw: its bits. */
static inline int64_t bombs_put_value(bombs *b, const wisp_value *value) {
    wisp__packer *p = &b->h.client->content.packer;
    wisp__writer all = wisp__writer_on(b->raw, BOMBS_RAW);
    MUST(wisp__pack(p, value, 1) == WISP_OK);
    memset(b->raw, 0, (size_t)((p->shape.at + p->data.at) / 8 + 16));
    wisp__put_bits(&all, p->shape.bytes, p->shape.at);
    wisp__put_bits(&all, p->data.bytes, p->data.at);
    return all.at;
}

/* Maps whose keys begin alike. */
static inline int bombs_put_keys(bombs *b, int count, int prefix) {
    static wisp_pair pairs[4096];
    static char keys[4096][80];
    wisp_value map = wisp_map(pairs, count);
    for (int i = 0; i < count; i++) {
        memset(keys[i], 'k', sizeof keys[i]);
        snprintf(keys[i] + prefix, sizeof keys[i] - (size_t)prefix, "k%04d", count - i);
        pairs[i].key = keys[i];
        pairs[i].value = wisp_nil();
    }
    return (int)((bombs_put_value(b, &map) + 7) / 8);
}

static inline void bomb_keys(bombs *b) {
    bombs_announce(b, "wide", bombs_plain(true));
    bombs_squeezed(b, bombs_put_keys(b, 1300, 0), 1);
}

static inline void bomb_long_keys(bombs *b) {
    bombs_announce(b, "wide", bombs_plain(true));
    bombs_squeezed(b, bombs_put_keys(b, 900, 70), 1);
}

/* Texts of a codec, compressed: a beginning, then the same over and over. */
static inline void bombs_coded(bombs *b, hostile_form form, const char *codec, const char *head,
                               int head_bytes, const char *text, int length, char tail, int size,
                               int times) {
    wisp__writer to = wisp__writer_on(b->raw, 32);
    int start;
    form.kind = WISP__CODED;
    form.codec = codec;
    form.compressed = true;
    bombs_announce(b, "chat", form);
    memset(b->raw, 0, 32);
    wisp__put(&to, 0, 1);
    wisp__put_length(&to, (uint64_t)size);
    wisp__put_align(&to);
    start = (int)(to.at / 8);
    for (int i = 0; i < size; i++)
        b->raw[start + i] = (uint8_t)(i < head_bytes ? head[i] : text[(i - head_bytes) % length]);
    if (tail) b->raw[start + size - 1] = (uint8_t)tail;
    bombs_squeezed(b, start + size, times);
}

/* Fields that the schema does not have, whose numbers are not in order. */
static inline void bomb_protobuf(bombs *b) {
    bombs_coded(b, bombs_form(b, 1, 1024, false, true), "protobuf", "", 0, "\x10", 1, 0, 8000, 4);
}

static inline void bomb_protobuf_large(bombs *b) {
    bombs_coded(b, bombs_form(b, 1, 1024, false, true), "protobuf", "", 0, "\x10", 1, 0,
                (1 << 20) - 1024, 4);
}

static inline void bomb_json_numbers(bombs *b) {
    bombs_coded(b, bombs_plain(true), "json", "[1", 2, ",1", 2, ']', 4001, 4);
}

static inline void bomb_json_maps(bombs *b) {
    bombs_coded(b, bombs_plain(true), "json", "[{}", 3, ",{\"\":0}", 7, ']', 5002, 4);
}

static inline void bomb_json_digits(bombs *b) {
    bombs_coded(b, bombs_plain(true), "json", "0.", 2, "7", 1, 0, 15000, 4);
}

static inline void bomb_json_text(bombs *b) {
    bombs_coded(b, bombs_plain(true), "json", "\"", 1, "\\u00e9", 6, '"', 14996, 4);
}

static inline void bomb_msgpack(bombs *b) {
    bombs_coded(b, bombs_plain(true), "msgpack", "\xdd\x00\x00\x1f\x3b", 5, "\xc0", 1, 0, 8000, 4);
}

static inline void bomb_msgpack_maps(bombs *b) {
    bombs_coded(b, bombs_plain(true), "msgpack", "\xdd\x00\x00\x13\x87", 5, "\x81\xa0\xc0", 3, 0,
                14996, 4);
}

/* A difference to the newest name's value that changes nothing, made by the header itself: how many
   bits it has. */
static inline int64_t bombs_put_delta(bombs *b, uint8_t *bytes, int size) {
    wisp__session *s = hostile_theirs(&b->h);
    const wisp__encoding *form = s->theirs[b->number].encoding;
    const wisp__stored *base = wisp__baseline_newest(s->baselines_in.places[0]);
    wisp__writer to = wisp__writer_on(bytes, size - WISP__SLACK);
    wisp__message_delta d;
    wisp__delta_head t;
    memset(bytes, 0, (size_t)size);
    memset(&d, 0, sizeof d);
    memset(&t, 0, sizeof t);
    MUST(base);
    d.from.base = base->value;
    d.from.models = base->models;
    wisp__message_delta_make(&b->h.server->content, form, base->value, &d);
    MUST(d.bits > 0);
    t.in_order = true;
    wisp__delta_head_put(&to, form, &t, d.bits);
    wisp__put_bits(&to, d.bytes, wisp__delta_needs_length(form) ? (d.bits + 3) / 4 * 4 : d.bits);
    wisp__arena_reset(&b->h.server->content.scratch);
    return to.at;
}

/* What the bits in b->raw say is told whole, in fragments, and then a difference to it as often as
   a packet holds. */
static inline void bombs_told(bombs *b, hostile_form form, int64_t bits) {
    static uint8_t message[BOMBS_RAW + 4096];
    wisp__writer whole = wisp__writer_on(message, BOMBS_RAW);
    uint8_t delta[512];
    int64_t delta_bits;
    form.delta = true;
    bombs_announce(b, "chat", form);
    memset(message, 0, (size_t)bits / 8 + 64);
    wisp__put(&whole, 8, 4);
    wisp__put_length(&whole, (uint64_t)b->number);
    wisp__put_length(&whole, (uint64_t)bits + 1);
    wisp__put(&whole, 1, 1);
    wisp__put_bits(&whole, b->raw, bits);
    bombs_fragments(b, message, (int)((whole.at + 7) / 8));
    delta_bits = bombs_put_delta(b, delta, (int)sizeof delta);
    bombs_often(bombs_message(b, WISP_RELIABLE), delta, delta_bits, 4000);
}

static inline void bomb_large_bytes(bombs *b) {
    static uint8_t bytes[150000];
    wisp_value value = wisp_bytes(bytes, (int)sizeof bytes);
    bombs_told(b, bombs_plain(false), bombs_put_value(b, &value));
}

static inline void bomb_large_array(bombs *b) {
    static wisp_value items[2000];
    wisp_value value = wisp_array(items, 2000);
    for (int i = 0; i < 2000; i++) items[i] = wisp_int(i);
    bombs_told(b, bombs_plain(false), bombs_put_value(b, &value));
}

static inline void bomb_deltas(bombs *b) {
    memset(b->raw, 0, 256);
    bombs_told(b, bombs_form(b, 1, 1000, false, false), 1000);
}

/* Of rows that go through the range coder: 60 of 16 booleans. */
static inline void bomb_adaptive(bombs *b) {
    hostile_form form = bombs_form_of_array(b, 16, false);
    wisp__writer to = wisp__writer_on(b->raw, 64);
    form.adaptive = true;
    memset(b->raw, 0, 256);
    wisp__put(&to, 60, 17);
    bombs_told(b, form, 17 + 60 * 16);
}

/* Names that a pattern is tried on, and none of them fits. */
static inline void bomb_patterns(bombs *b) {
    char name[WISP__NAME_BYTES + 1];
    wisp__writer *to = hostile_body(&b->h);
    memset(name, 'a', sizeof name);
    name[WISP__NAME_BYTES - 1] = 'x';
    name[WISP__NAME_BYTES] = 0;
    for (int i = 0; i < 8; i++) {
        hostile_form form = bombs_plain(false);
        name[0] = (char)('a' + i);
        hostile_announce(to, 100 + i, name, &form);
    }
}

/* The last fragment of a schema of 1024 fields. */
static inline void bomb_schema(bombs *b) {
    static uint8_t whole[HOSTILE_WHOLE];
    wisp__writer to = wisp__writer_on(whole, HOSTILE_WHOLE - WISP__SLACK);
    hostile_form form = bombs_form(b, 1, 1024, false, true);
    int size, last;
    memset(whole, 0, sizeof whole);
    form.descriptor = b->descriptor;
    hostile_announce(&to, ++b->number, "chat", &form);
    wisp__put_align(&to);
    size = (int)(to.at / 8);
    last = size % 1100 ? size % 1100 : 1100;
    for (int at = 0; at < size; at += 1100) {
        bombs_bill bill;
        bool end = at + 1100 >= size;
        wisp__writer *out = hostile_body(&b->h);
        hostile_section(out, WISP_RELIABLE, 0, b->h.sequences[0]++);
        hostile_fragment(out, at == 0, end, whole + at, end ? last : 1100);
        if (!end) bombs_pay(b, &bill);
    }
}

/* Messages for names that nobody knows: an error each. */
static inline void bomb_errors(bombs *b) {
    wisp__writer *to = hostile_body(&b->h);
    hostile_section(to, WISP_UNRELIABLE, 0, 0);
    while (to->at < (BOMBS_BODY - 8) * 8) {
        wisp__put(to, 8, 4);
        wisp__put_length(to, 99);
        wisp__put_length(to, 0);
    }
}

/* Calls, each with an answer. */
static inline void bomb_calls(bombs *b) {
    wisp__writer *to;
    bombs_announce(b, "ask", bombs_plain(false));
    to = hostile_body(&b->h);
    hostile_section(to, WISP_UNRELIABLE, 0, 0);
    for (int i = 0; to->at < (BOMBS_BODY - 16) * 8; i++) {
        wisp__frame_put(to, WISP__FRAME_INVOKE);
        wisp__put_length(to, (uint64_t)b->number);
        wisp__put(to, (WISP_FIRST_NUMBER + (uint64_t)i) & WISP__LOW_24, 24);
        wisp__put_small(to, 0);
        wisp__put(to, 1, 1);
        wisp__put_small(to, 0);
    }
}

typedef struct bomb {
    const char *name;
    void      (*make)(bombs *b);
    int         assembled;            /* bytes of the message that its packet completes */
} bomb;

static const bomb bomb_list[] = {
    { "old version", bomb_old_version, 0 },
    { "version without steps", bomb_no_steps, 0 },
    { "repeated old version", bomb_repeated_versions, 0 },
    { "empty records", bomb_empty_records, 0 },
    { "arrays of literals", bomb_literals, 0 },
    { "fewer literals", bomb_literals_within, 0 },
    { "empty structs", bomb_empty_structs, 0 },
    { "repeats", bomb_repeats, 0 },
    { "compressed values", bomb_values, 0 },
    { "keys", bomb_keys, 0 },
    { "long keys", bomb_long_keys, 0 },
    { "protobuf", bomb_protobuf, 0 },
    { "large protobuf", bomb_protobuf_large, 0 },
    { "json numbers", bomb_json_numbers, 0 },
    { "json maps", bomb_json_maps, 0 },
    { "json digits", bomb_json_digits, 0 },
    { "json text", bomb_json_text, 0 },
    { "msgpack", bomb_msgpack, 0 },
    { "msgpack maps", bomb_msgpack_maps, 0 },
    { "delta of 150 KB", bomb_large_bytes, 0 },
    { "delta of an array", bomb_large_array, 0 },
    { "deltas of records", bomb_deltas, 0 },
    { "adaptive deltas", bomb_adaptive, 0 },
    { "patterns", bomb_patterns, 0 },
    { "a schema", bomb_schema, WISP__DESCRIPTOR_BYTES },
    { "errors", bomb_errors, 0 },
    { "calls", bomb_calls, 0 },
};
enum { BOMBS = (int)(sizeof bomb_list / sizeof *bomb_list) };

#endif
