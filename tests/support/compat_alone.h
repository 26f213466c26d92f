/* compat_alone.h - what wisp does without a peer, written to the journal

   Included by compat_script.h. */
#ifndef COMPAT_ALONE_H
#define COMPAT_ALONE_H

enum { ALONE_MEMORY = 1 << 20, ALONE_BYTES = 1 << 16 };

typedef struct bench {
    end     *e;
    mill    *m;
    uint64_t memory[ALONE_MEMORY / 8], program[4096];
    uint8_t  bytes[ALONE_BYTES], damaged[ALONE_BYTES];
    char     text[300];
    wisp    *ends[3];
} bench;

static void note_value(bench *b, const char *what, const wisp_value *value) {
    note(b->e, "%s %016llx", what, (unsigned long long)mill_hash(0, value));
}

/* --- values, texts, patterns --- */

static void alone_texts(bench *b) {
    int count;
    const wisp_engine_type *types = wisp_engine_types(&count);
    for (int code = 2; code > -50; code--) note(b->e, "%d: %s", code, wisp_result_text(code));
    for (int drop = -1; drop <= WISP_DROPS; drop++) note(b->e, "%s", wisp_drop_text(drop));
    for (int i = 0; i < count; i++) note(b->e, "%s", types[i].name);
    for (int i = 0; i < 1040; i += 3) {
        wisp_color c = wisp_brick_color_rgb(i);
        note(b->e, "brick %d: %.9g %.9g %.9g", i, (double)c.r, (double)c.g, (double)c.b);
    }
}

static void alone_patterns(bench *b) {
    static const char *const patterns[] = {
        "", "a", "^a.c$", "x*y+z?", "(ab|cd)*e", "[a-z_]+[^0-9]$", "a{", "a\\.b", "(", "[z-a]",
        "a|*", "^*", "[[:alpha:]]", "a\\", "(a|b|)c", "^(news|match[0-2])$", "[]x-]", "a**", ")"
    };
    static const char *const texts[] = { "", "a", "abc", "xxyyzz", "cdabe", "a.b", "news",
                                         "match1", "]-", "zzzab_c", "aXc", "0123" };
    for (int i = 0; i < (int)(sizeof patterns / sizeof *patterns); i++) {
        wisp_pattern pattern;
        int position = -1;
        wisp_result result = wisp_pattern_compile(&pattern, patterns[i], &position);
        unsigned found = 0;
        for (unsigned t = 0; result == WISP_OK && t < sizeof texts / sizeof *texts; t++)
            found |= (unsigned)wisp_pattern_matches(&pattern, texts[t]) << t;
        note(b->e, "pattern %s: %d at %d, %x", patterns[i], result, position, found);
    }
}

static void alone_values(bench *b) {
    for (int i = 0; i < 40; i++) {
        wisp_value x, y;
        mill_empty(b->m);
        x = mill_any(b->m, 0);
        y = mill_any(b->m, 0);
        note_value(b, "value", &x);
        note(b->e, "equal %d, %d elements", wisp_equal(&x, &y), wisp_count_of(&x));
    }
}

/* --- codecs --- */

static void decode(bench *b, const char *what, const wisp_codec *codec, const wisp_schema *schema,
                   const uint8_t *bytes, int size) {
    wisp_value out = wisp_nil();
    int read = wisp_decode(codec, schema, bytes, size, &out, b->memory, ALONE_MEMORY);
    note(b->e, "%s %s %s reads %d: %016llx", codec->name, schema ? schema->name : "-", what, read,
         (unsigned long long)(read < 0 ? 0 : mill_hash(0, &out)));
}

/* Written, read, and read again with a damage, and cut off. */
static void code(bench *b, const wisp_codec *codec, const wisp_schema *schema,
                 const wisp_value *value) {
    int size = wisp_encode(codec, schema, value, b->bytes, ALONE_BYTES);
    uint64_t hash = 0;
    for (int i = 0; i < size; i++) hash = mill_mix(hash, b->bytes[i]);
    note(b->e, "%s %s writes %d: %016llx", codec->name, schema ? schema->name : "-", size,
         (unsigned long long)hash);
    if (size <= 0) return;
    decode(b, "it", codec, schema, b->bytes, size);
    for (int i = 0; i < 3; i++) {
        memcpy(b->damaged, b->bytes, (size_t)size);
        b->damaged[mill_below(b->m, size)] ^= (uint8_t)(1 << mill_below(b->m, 8));
        decode(b, "damage", codec, schema, b->damaged, size);
        decode(b, "a part", codec, schema, b->bytes, mill_below(b->m, size));
    }
    note(b->e, "no room: %d", wisp_encode(codec, schema, value, b->bytes, size / 2));
}

static void alone_codecs(bench *b) {
    const wisp_codec *codecs[4];
    int count;
    const wisp_engine_type *types = wisp_engine_types(&count);
    codecs[0] = wisp_bitpack();
    codecs[1] = wisp_json();
    codecs[2] = wisp_msgpack();
    codecs[3] = wisp_protobuf();
    for (int i = 0; i < 4; i++) {
        for (int n = 0; n < 12; n++) {
            wisp_value value;
            mill_empty(b->m);
            value = mill_any(b->m, 0);
            code(b, codecs[i], NULL, &value);
            value = mill_map(b->m, &mapped_schema);
            code(b, codecs[i], &mapped_schema, &value);
        }
        for (int t = 0; t < count; t++) {
            wisp_value value;
            mill_empty(b->m);
            value = mill_map(b->m, types[t].schema);
            code(b, codecs[i], types[t].schema, &value);
        }
    }
}

static void alone_texts_of_json(bench *b) {
    static const char *const texts[] = {
        "null", " [1, 2.5e3, -0, \"\\u00e9\\ud83d\\ude00\"] ", "{\"a\":1,\"a\":2}", "[1,]", "01",
        "1e999", "\"\\ud800\"", "{\"k\" 1}", "12345678901234567890", "0.1e-400", "[[[[]]]]",
        "\"a\tb\"", "tru", "", "-9223372036854775808", "1.7976931348623157e308", "5e-324",
        "{\"$ext\":5,\"$data\":\"\"}", "\"\\u0000\"", "{\"\\u0000\":0}"
    };
    for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++)
        decode(b, texts[i], wisp_json(), NULL, (const uint8_t *)texts[i], (int)strlen(texts[i]));
}

/* What MessagePack has and wisp has not. */
static void alone_ext(bench *b) {
    static const char *const texts[] = {
        "{\"$seconds\":5,\"$nanoseconds\":7}", "{\"$seconds\":-1,\"$nanoseconds\":0}",
        "{\"$seconds\":99999999999,\"$nanoseconds\":999999999}", "{\"$seconds\":5}",
        "{\"$ext\":9,\"$data\":\"AAAA\"}", "{\"$map\":[[1,2],[\"a\",[]]]}",
        "{\"$map\":[[\"a\",1],[\"b\",2]]}", "{\"$map\":[1]}", "[-129,255,65536,-32769,1.5,0.1]"
    };
    static const uint8_t bytes[][12] = {
        { 12, 0xd6, 0xff, 0, 0, 0, 9 }, { 12, 0xd7, 0xff, 0, 0, 0, 4, 0, 0, 0, 9 },
        { 12, 0xc7, 3, 5, 1, 2, 3 }, { 12, 0xd4, 0x11, 0 }, { 12, 0x82, 1, 2, 3, 4 },
        { 12, 0xd6, 7, 0, 0, 1, 0 }, { 12, 0xc1 }, { 12, 0xdc, 0, 2, 0xcf, 0xff }
    };
    for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++) {
        wisp_value value = wisp_nil();
        static uint64_t memory[2000];
        wisp_decode(wisp_json(), NULL, texts[i], (int)strlen(texts[i]), &value, memory,
                    (int)sizeof memory);
        code(b, wisp_msgpack(), NULL, &value);
    }
    for (int i = 0; i < (int)(sizeof bytes / sizeof *bytes); i++)
        decode(b, "bytes", wisp_msgpack(), NULL, bytes[i] + 1, bytes[i][0] - 1);
}

/* --- schemas --- */

static void alone_schemas(bench *b) {
    static const wisp_type no_options[] = { WISP_T_INTEGER };
    static const wisp_field bad[] = {
        WISP_MAP_FIELD("", WISP_T_BOOL), WISP_MAP_FIELD("lo", WISP_T_RANGE(5, 1)),
        WISP_MAP_FIELD("steps", WISP_T_QUANTIZED(0, 1, 0)),
        WISP_MAP_FIELD("quat", WISP_T_QUAT(31)), WISP_MAP_FIELD("text", WISP_T_STRING(-1)),
        WISP_MAP_FIELD("none", WISP_T_UNION(no_options, 0)),
        WISP_MAP_FIELD("array", WISP_T_ARRAY(NULL, 3)), WISP_MAP_FIELD("of", WISP_T_STRUCT(NULL)),
        WISP_OPTIONAL_MAP_FIELD("default", WISP_T_RANGE(0, 5), 9),
        WISP_MAP_FIELD("names", WISP_T_ENUM(NULL, 3)),
        WISP_NUMBERED_MAP_FIELD("number", WISP_T_BOOL, -4), WISP_FIELD(entity, alive, WISP_T_VEC2),
        WISP_KEY_MAP_FIELD("key", WISP_T_ANY), WISP_MAP_FIELD("kind", WISP_T_EXACT(99))
    };
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++) {
        wisp_schema schema = WISP_MAP_SCHEMA("bad", 1, bad);
        schema.fields = &bad[i];
        schema.count = 1;
        b->text[0] = 0;
        note(b->e, "schema: %d", wisp_schema_check(&schema, b->text, (int)sizeof b->text));
        note(b->e, "because %s", b->text);
    }
}

/* Values that are nearly of the schema: one field has another's value. */
static void alone_nearly(bench *b, const wisp_schema *schema, void *data) {
    for (int i = 0; i < 40; i++) {
        wisp_value value, map;
        wisp_pair *pairs;
        int other;
        mill_empty(b->m);
        value = mill_map(b->m, schema);
        pairs = (wisp_pair *)(uintptr_t)value.as.map;
        other = mill_below(b->m, value.count);
        if (i % 4) pairs[i % value.count].value = pairs[other].value;
        if (i % 7 == 0) value.count--;
        b->text[0] = 0;
        note(b->e, "is: %d", wisp_validate(schema, &value, b->text, (int)sizeof b->text));
        note(b->e, "because %s", b->text);
        if (!data) continue;
        b->text[0] = 0;
        note(b->e, "fills: %d", wisp_fill_struct(schema, &value, data, b->text,
                                                (int)sizeof b->text));
        note(b->e, "because %s", b->text);
        value = wisp_struct(schema, data);
        note(b->e, "map: %d", wisp_as_map(&value, &map, b->memory, ALONE_MEMORY));
        note_value(b, "map", &map);
    }
}

static void alone_structs(bench *b) {
    entity x;
    crowd y;
    player2 z;
    memset(&x, 0, sizeof x);
    memset(&y, 0, sizeof y);
    memset(&z, 0, sizeof z);
    x.look.w = 1;
    z.level = 1;
    alone_nearly(b, &entity_schema, &x);
    alone_nearly(b, &crowd_schema, &y);
    alone_nearly(b, &player2_schema, &z);
    alone_nearly(b, &mapped_schema, NULL);
    alone_nearly(b, &hit_schema, NULL);
}

static void alone_compiled(bench *b) {
    const wisp_schema *compiled =
        wisp_schema_compile(&crowd_schema, b->program, (int)sizeof b->program);
    wisp_value value;
    if (!CHECK(compiled != NULL)) return;
    for (int i = 0; i < 20; i++) {
        mill_empty(b->m);
        crowd_move(b->e);
        value = wisp_struct(compiled, &b->e->people);
        code(b, wisp_bitpack(), compiled, &value);
    }
}

/* --- the panel --- */

static void on_rect(void *user, float x, float y, float width, float height, uint32_t rgba) {
    uint64_t *hash = (uint64_t *)user;
    char text[100];
    snprintf(text, sizeof text, "%g %g %g %g %x", (double)x, (double)y, (double)width,
             (double)height, (unsigned)rgba);
    *hash = mill_mix_text(*hash, text);
}

static void on_text(void *user, float x, float y, uint32_t rgba, const char *text) {
    on_rect(user, x, y, 0, 0, rgba);
    *(uint64_t *)user = mill_mix_text(*(uint64_t *)user, text);
}

/* Each page of a snapshot, in several sizes. */
static void draw(end *e, const wisp_snapshot *now) {
    for (int page = -1; page <= WISP_PAGES; page++)
        for (int size = 0; size < 4; size++) {
            uint64_t hash = 0;
            wisp_canvas canvas;
            memset(&canvas, 0, sizeof canvas);
            canvas.rect = on_rect;
            canvas.text = on_text;
            canvas.user = &hash;
            canvas.page = page;
            canvas.width = (float)(size * 230);
            canvas.height = (float)(size * 160);
            canvas.char_width = size == 2 ? 6.0f : 0;
            canvas.filter = size == 3 ? "crowd" : NULL;
            wisp_overlay_draw(now, &canvas);
            note(e, "page %d size %d: %016llx", page, size, (unsigned long long)hash);
        }
}

/* --- links --- */

/* Packets through two sides of a pipe and a bad network. */
static void alone_links(bench *b) {
    wisp_pipe pipe;
    wisp_simulator sim;
    wisp_link from, to;
    wisp_packet packet;
    memset(&pipe, 0, sizeof pipe);
    memset(&sim, 0, sizeof sim);
    pipe.capacity = 20000;
    sim.latency = 0.05;
    sim.jitter = 0.02;
    sim.loss = 0.1;
    sim.burst = b->m->random % 2 ? 2 : 0;
    sim.duplicate = sim.reorder = 0.1;
    sim.rate = 50000;
    sim.queue_bytes = 4000;
    sim.seed = b->m->random;
    from = wisp_simulate(&sim, wisp_loopback(&pipe, 0));
    to = wisp_loopback(&pipe, 1);
    for (int i = 0; i < 300; i++) {
        memset(&packet, 0, sizeof packet);
        sim.now = i / 128.0;
        packet.addr = wisp_loopback_addr(1);
        packet.data = b->bytes;
        packet.size = 10 + mill_below(b->m, 1100);
        memset(b->bytes, i & 255, (size_t)packet.size);
        from.send(from.user, &packet, 1);
        packet.size = ALONE_BYTES;
        packet.data = b->damaged;
        from.recv(from.user, &packet, 1);
        packet.size = ALONE_BYTES;
        if (to.recv(to.user, &packet, 1) == 1)
            note(b->e, "%d: %d bytes of %d", i, packet.size, b->damaged[0]);
    }
    note(b->e, "sent %d lost %d doubled %d late %d", (int)sim.sent, (int)sim.lost,
         (int)sim.duplicated, (int)sim.reordered);
    wisp_simulator_free(&sim);
    wisp_pipe_free(&pipe);
}

/* --- two endpoints, of which one waits --- */

static double alone_clock(void *user) { return ((end *)user)->clock += 1 / 64.0; }

/* Waits where it must not, or ends its own endpoint. */
static void on_alone(wisp_event *event) {
    end *e = ((slot *)event->user)->e;
    note_event(e, event);
    note(e, "inside: %d", wisp_await_ready(event->w, alone_clock, e, 1));
    note(e, "inside: %d", wisp_update(event->w, e->clock));
    if (strcmp(event->name, "end") == 0) wisp_destroy(event->w);
}

static wisp *alone_end(end *e, wisp_pipe *pipe, int side) {
    wisp_desc desc = desc_of(e);
    wisp_result why = WISP_OK;
    desc.link = wisp_loopback(pipe, side);
    desc.accept = NULL;
    desc.joins = side == 2 ? WISP_JOINS_CLOSED : WISP_JOINS_AUTO;
    desc.seed = e->role.seed * 3 + (uint64_t)side + 1;
    e->w = wisp_create(&desc, &why);
    note(e, "created %d", why);
    listen_to_all(e);
    return e->w;
}

/* The clock of who waits lets the other ones run too. */
static double alone_run(void *user) {
    bench *b = (bench *)user;
    alone_clock(b->e);
    for (int i = 1; i < 3; i++)
        if (b->ends[i]) wisp_update(b->ends[i], b->e->clock);
    return b->e->clock;
}

static void alone_wait(bench *b, wisp *w, wisp_peer peer) {
    end *e = b->e;
    wisp_value value = wisp_int(4);
    wisp_call call;
    note(e, "ready: %d", wisp_await_ready(w, alone_run, b, 2));
    note(e, "why: %d", wisp_why(w));
    call = wisp_invoke_values(w, "ask", wisp_to_peer(peer), NULL, &value, 1);
    note(e, "reply: %d", wisp_await_reply(w, call, on_other, &e->other, alone_run, b));
    note(e, "stale: %d", wisp_await_reply(w, call, on_other, &e->other, alone_run, b));
    note(e, "event: %d", wisp_await_event_target(w, wisp_by_name("none"), on_other, &e->other,
                                                alone_run, b, 0.3));
    wisp_fire_values(b->ends[1], "chat", wisp_to_all(), &value, 1);
    note(e, "event: %d", wisp_await_event_target(w, wisp_by_handle(wisp_remote_named(w, "chat")),
                                                on_other, &e->other, alone_run, b, 2));
}

static void alone_pair(bench *b) {
    end *e = b->e;
    wisp_pipe pipe;
    wisp_addr server = wisp_loopback_addr(1), closed = wisp_loopback_addr(2);
    wisp *w;
    wisp_peer peer;
    wisp_result result;
    memset(&pipe, 0, sizeof pipe);
    e->clock = 1;
    b->ends[1] = alone_end(e, &pipe, 1);
    b->ends[2] = alone_end(e, &pipe, 2);
    w = alone_end(e, &pipe, 0);
    note(e, "not ready: %d", wisp_await_ready(w, alone_run, b, 0.1));
    wisp_join(w, &closed, NULL, 0);
    note(e, "closed: %d", wisp_await_ready(w, alone_run, b, 2));
    peer = wisp_join(w, &server, NULL, 0);
    alone_wait(b, w, peer);
    wisp_connect_target(w, wisp_by_name("end"), on_alone, &e->other, false);
    note(e, "back: %d", wisp_update(w, e->clock - 5));
    note(e, "ahead: %d", wisp_update(w, e->clock + 99));
    note(e, "server: %d %d", wisp_peer_equal(peer, WISP_SERVER), wisp_peers(w, NULL, 0));
    wisp_leave(w, WISP_SERVER, "a reason");
    wisp_join(w, &server, NULL, 0);
    note(e, "ready: %d", wisp_await_ready(w, alone_run, b, 9));
    wisp_await_event_target(w, wisp_by_name("x"), NULL, NULL, alone_run, b, 1);
    wisp_fire_values(b->ends[1], "end", wisp_to_all(), NULL, 0);
    result = wisp_await_event_target(w, wisp_by_name("x"), NULL, NULL, alone_run, b, 9);
    note(e, "it is gone: %d", result);
    if (!CHECK_EQ_INT(result, WISP_E_CLOSED)) wisp_destroy(w);
    wisp_destroy(b->ends[1]);
    wisp_destroy(b->ends[2]);
    wisp_pipe_free(&pipe);
}

static void alone(compat_run *run, uint64_t seed) {
    bench *b = (bench *)calloc(1, sizeof *b);
    end *e = (end *)calloc(1, sizeof *e);
    if (!b || !e) abort();
    e->role.run = run;
    e->role.seed = seed;
    e->values.random = seed;
    b->e = e;
    b->m = &e->values;
    alone_texts(b);
    alone_patterns(b);
    alone_values(b);
    alone_codecs(b);
    alone_texts_of_json(b);
    alone_schemas(b);
    alone_structs(b);
    alone_compiled(b);
    alone_ext(b);
    alone_links(b);
    alone_pair(b);
    free(e);
    free(b);
}

#endif /* COMPAT_ALONE_H */
