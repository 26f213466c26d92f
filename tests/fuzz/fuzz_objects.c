/* fuzz_objects.c - objects between a server and an end that sees them, either of which may lie

   The input is a script. The two ends are ordinary ones; between their own packets the script sends
   others in the name of either, well tagged: TICK with OBJECT records, LACKS and CLOCK, made by
   construction from what the receiver has (indices, generations, classes, ticks, rows and
   deltas of rows that it holds), then bent. One class has numbers only, and is adaptive; one has
   texts, arrays and
   an optional field, and is of owners that decide: the joined end spawns, edits and despawns its
   objects, and in its name come forged spawns, edits and ends, also of other owners and turns. The
   program behind them plays, and its handlers leave, spawn, despawn and define. What is promised is
   watched: all checks hold, handlers see only what fits the schema, objects and memory stay within
   limits, and all memory comes back.
*/
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"

enum { OBJECTS_MOST = 40, OPERATIONS = 250, RECORDS = 12, PACKET_BYTES = 1200 };
enum { MEMORY_MOST = 8 << 20, ITEMS = 9, CLASSES = 2 };

typedef struct dot { float x, y; int16_t level; uint8_t team; wisp_quat turn; } dot;

static const wisp_field dot_fields[] = {
    WISP_FIELD(dot, x, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(dot, y, WISP_T_QUANTIZED(-100, 100, 0.01)),
    WISP_FIELD(dot, level, WISP_T_RANGE(-3, 500)),
    WISP_FIELD(dot, team, WISP_T_UINT8),
    WISP_FIELD(dot, turn, WISP_T_QUAT(9))
};
static const wisp_schema dot_schema = WISP_SCHEMA(dot, 1, dot_fields);

typedef struct item { int32_t kind; char label[9]; } item;
typedef struct bag { char name[33]; uint8_t count, bytes; item items[ITEMS]; uint8_t raw[20];
                     uint32_t gold; } bag;

static const wisp_field item_fields[] = {
    WISP_FIELD(item, kind, WISP_T_INT32), WISP_FIELD(item, label, WISP_T_STRING(8))
};
static const wisp_schema item_schema = WISP_SCHEMA(item, 1, item_fields);
static const wisp_type item_type = WISP_T_STRUCT(&item_schema);
static const wisp_field bag_fields[] = {
    WISP_FIELD(bag, name, WISP_T_STRING(32)),
    WISP_COUNTED_FIELD(bag, items, count, WISP_T_ARRAY(&item_type, ITEMS)),
    WISP_COUNTED_FIELD(bag, raw, bytes, WISP_T_BYTES(20)),
    WISP_OPTIONAL_FIELD(bag, gold, WISP_T_RANGE(0, 100000), 7)
};
static const wisp_schema bag_schema = WISP_SCHEMA(bag, 1, bag_fields);

typedef union thing { dot d; bag b; } thing;

typedef struct pad { uint16_t keys; int8_t x; } pad;

static const wisp_field pad_fields[] = {
    WISP_FIELD(pad, keys, WISP_T_RANGE(0, 15)), WISP_FIELD(pad, x, WISP_T_INTEGER)
};
static const wisp_schema pad_schema = WISP_SCHEMA(pad, 1, pad_fields);

typedef struct world {
    script     in;
    account    memory[2];
    wisp_pipe  pipe;
    wisp_link  links[2];
    wisp      *ends[2];                /* the server, and the one that joins it */
    wisp_class of[2][CLASSES];
    bool       quiet;                  /* handlers do nothing of their own */
    double     now;
} world;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- states, and what handlers do ------------------------------------------------ */

static void take_text(script *s, char *text, int most) {
    int size = take_below(s, most + 1);
    for (int i = 0; i < size; i++) text[i] = (char)('a' + take(s) % 26);
    text[size] = 0;
}

static void take_state(script *s, int of, thing *to) {
    memset(to, 0, sizeof *to);
    if (of == 0) {
        to->d.x = (float)(int8_t)take(s) * 0.5f;
        to->d.y = (float)(int8_t)take(s) * 0.01f;
        to->d.level = (int16_t)take(s);
        to->d.team = take(s);
        to->d.turn.w = 1;
        return;
    }
    take_text(s, to->b.name, 32);
    to->b.count = (uint8_t)take_below(s, ITEMS + 1);
    for (int i = 0; i < to->b.count; i++) {
        to->b.items[i].kind = (int8_t)take(s);
        take_text(s, to->b.items[i].label, 8);
    }
    to->b.bytes = (uint8_t)take_below(s, 21);
    to->b.raw[0] = to->b.bytes ? take(s) : 0;
    to->b.gold = take(s) & 1 ? 7 : take(s);
}

/* Is it what its schema allows? */
static void look_at_state(const void *at, int of) {
    const dot *d = (const dot *)at;
    const bag *b = (const bag *)at;
    if (of == 0) {
        MUST(d->x >= -100 && d->x <= 100 && d->y >= -100 && d->y <= 100);
        MUST(d->level >= -3 && d->level <= 500);
        return;
    }
    MUST(memchr(b->name, 0, sizeof b->name) && b->count <= ITEMS && b->bytes <= 20);
    for (int i = 0; i < b->count; i++) MUST(memchr(b->items[i].label, 0, 9));
    MUST(b->gold <= 100000);
}

static void play(world *f, wisp *w);

static void look_at_object(const wisp_event *event) {
    world *f = (world *)event->user;
    int of = strcmp(event->name, "dot") != 0;
    look_at_state(event->state, of);
    if (event->before) look_at_state(event->before, of);
    if (!f->quiet && take(&f->in) > 200) play(f, event->w);
}

static wisp_result on_spawned(wisp_event *event) {
    look_at_object(event);
    return ((world *)event->user)->quiet || take(&((world *)event->user)->in) < 220 ? WISP_OK
                                                                                 : WISP_E_USER;
}

/* At the server, of what an owner asks for: what is not in the schema does not come. */
static wisp_result on_judged(wisp_event *event) {
    world *f = (world *)event->user;
    look_at_object(event);
    if (!f->quiet && take(&f->in) > 230) ((bag *)event->state)->gold = 1;
    return f->quiet || take(&f->in) < 230 ? WISP_OK : WISP_E_USER;
}

static void on_changed(wisp_event *event) { look_at_object(event); }

static void define(world *f, int end, int of, const char *name) {
    wisp_class_desc desc;
    wisp_class made;
    memset(&desc, 0, sizeof desc);
    desc.schema = of ? &bag_schema : &dot_schema;
    desc.spawned = on_spawned;
    desc.changed = desc.despawned = on_changed;
    desc.rate = of ? 20 : 0;
    desc.on_leave = of ? WISP_FREEZE : WISP_DESPAWN;
    desc.authority = of ? WISP_AUTHORITY_OWNER : WISP_AUTHORITY_SERVER;
    desc.owner_gone = WISP_TO_SERVER;
    desc.predict = of ? WISP_PREDICT_NONE : WISP_PREDICT_ALL;
    desc.adaptive = of == 0;
    desc.judge = on_judged;
    desc.user = f;
    made = wisp_define(f->ends[end], name, &desc);
    if (!f->of[end][of].id) f->of[end][of] = made;
}

/* The n-th object of an end, or none. */
static wisp_object some_object(world *f, wisp *w) {
    int end = w == f->ends[1], of = take_below(&f->in, CLASSES), n = take(&f->in) & 7;
    wisp_object o = wisp_first(w, f->of[end][of]);
    while (n-- > 0 && o.id) o = wisp_next(w, o);
    return o;
}

/* The program of an end changes who sees what. */
static void play_interest(world *f, wisp *w, wisp_object o) {
    static const char *const tags[] = { "a", "b", "ab", "long tag of an object, 30 bytes" };
    const char *tag = tags[take(&f->in) & 3];
    wisp_vec3 at = { (float)(int8_t)take(&f->in), (float)(int8_t)take(&f->in), 0 };
    wisp_peer peer = { 0 };
    wisp_to to = take(&f->in) & 1 ? wisp_to_all() : wisp_to_group(wisp_group_named(w, "group"));
    wisp_peers(w, &peer, 1);
    switch (take_below(&f->in, 10)) {
    case 0: wisp_hide(w, o, to); break;
    case 1: wisp_show(w, o, to); break;
    case 2: wisp_unset(w, o, to); break;
    case 3: wisp_tag(w, o, tag); break;
    case 4: wisp_untag(w, o, tag); break;
    case 5: wisp_show_tag(w, tag, to); break;
    case 6: wisp_place(w, o, at); break;
    case 7: wisp_focus(w, peer, at, take(&f->in), 0); break;
    case 8: wisp_group_add(w, wisp_group_named(w, "group"), peer); break;
    default: wisp_group_remove(w, wisp_group_named(w, "group"), peer); break;
    }
}

static void look_at_property(wisp_event *event) {
    const wisp_value *now = &event->args[0];
    if (event->name[0] == 'd') look_at_state(wisp_arg_struct(event, 0, &dot_schema), 0);
    MUST(event->count == 2 && wisp_equal(now, now));
    if (!((world *)event->user)->quiet && take(&((world *)event->user)->in) > 200)
        play((world *)event->user, event->w);
}

/* Properties that either end sets: of any value, and of a schema. */
static void define_properties(world *f, wisp *w) {
    wisp_property_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.authority = WISP_AUTHORITY_ANYONE;
    wisp_property(w, "any", &desc);
    desc.schema = &dot_schema;
    wisp_property(w, "dot", &desc);
    wisp_watch(w, ".", look_at_property, f);
}

static void set_property(world *f, wisp *w) {
    wisp_pair pairs[3] = { { "a", wisp_int(take(&f->in)) }, { "b", wisp_string("text") },
                           { "c", wisp_bool(take(&f->in) & 1) } };
    wisp_value value = wisp_map(pairs, take_below(&f->in, 4));
    thing made;
    int how = take_below(&f->in, 4);
    take_state(&f->in, 0, &made);
    if (how == 3) value = wisp_struct(&dot_schema, &made.d);
    if (how == 2) wisp_set_value_in(w, "any", take(&f->in) & 1 ? "a" : "c.0", &pairs[1].value);
    else wisp_set_value(w, how == 3 ? "dot" : "any", &value);
    wisp_get(w, "any");
}

/* The program of an end does something. */
static void play(world *f, wisp *w) {
    wisp_object o = some_object(f, w);
    int end = w == f->ends[1], what = take_below(&f->in, 20), of = take_below(&f->in, CLASSES);
    wisp_player owner = { (uint16_t)(take(&f->in) & 3) };
    thing made;
    void *edit = NULL;
    take_state(&f->in, of, &made);
    if (end && take(&f->in) & 3) owner = wisp_me(w);
    if (what < 5) wisp_spawn(w, f->of[end][of], owner, &made);
    else if (what < 10 && wisp_class_of(w, o).id == f->of[end][of].id)
        edit = wisp_object_edit(w, o);
    else if (what < 12) wisp_despawn(w, o);
    else if (what == 12) wisp_give(w, o, owner);
    else if (what == 13) wisp_set_object_user(w, o, f);
    else if (what == 14 && end && take(&f->in) > 200) wisp_leave(w, wisp_server(), "enough");
    else if (what == 15 && take(&f->in) > 250) define(f, end, 1, "later");
    else if (what > 15 && what < 18) play_interest(f, w, o);
    else if (what > 17) set_property(f, w);
    if (edit) memcpy(edit, &made, of ? sizeof made.b : sizeof made.d);
}

/* ---- the ends ---------------------------------------------------------------------- */

/* Both ends spawn for the player, who has predicted it, or one of them does. */
static void on_tick(wisp_event *event) {
    world *f = (world *)event->user;
    int end = event->w == f->ends[1], most = (int)(event->tick % 3);
    wisp_player owner = { (uint16_t)(wisp_me(f->ends[1]).id) };
    thing made;
    if (f->quiet || event->tick % 10 || take(&f->in) > 220) return;
    take_state(&f->in, 0, &made);
    for (int i = 0; i < most; i++) wisp_spawn(event->w, f->of[end][0], owner, &made);
}

static void on_sample(wisp *w, void *input, void *user) {
    (void)user;
    ((pad *)input)->x = (int8_t)(wisp_tick(w) / 5);
}

/* What inputs say is within their schema, and nobody has seen the future. */
static void on_input_tick(wisp_event *event) {
    for (uint16_t i = 0; i < 6; i++) {
        wisp_player player = { i };
        int how;
        const pad *in = (const pad *)wisp_input_of(event->w, player, &how);
        MUST((in != NULL) == (how != 0) && (!in || in->keys <= 15));
        MUST(wisp_seen_by(event->w, player) <= (double)event->tick);
    }
}

static void open_ends(world *f) {
    for (int i = 0; i < 2; i++) {
        wisp_desc desc;
        memset(&desc, 0, sizeof desc);
        desc.app = "fuzz";
        desc.seed = 3 + (uint64_t)i;
        desc.link = f->links[i] = wisp_loopback(&f->pipe, i);
        desc.memory = memory_allocator(&f->memory[i]);
        desc.tick_rate = i ? 0 : 50;
        desc.limits.objects = OBJECTS_MOST;
        desc.limits.peer_objects = OBJECTS_MOST / 4;
        f->ends[i] = wisp_create(&desc, NULL);
        MUST(f->ends[i]);
        define(f, i, 0, "dot");
        define(f, i, 1, "bag");
        define_properties(f, f->ends[i]);
        wisp_on_tick(f->ends[i], on_tick, f);
        MUST(wisp_use_input(f->ends[i], &pad_schema) == WISP_OK);
        wisp_on_input(f->ends[i], on_sample, NULL);
        wisp_on_tick(f->ends[i], on_input_tick, NULL);
    }
}

static void update(world *f, double step) {
    wisp_addr server = wisp_loopback_addr(0);
    f->now += step;
    if (!wisp__session_of(f->ends[1], wisp_server())) wisp_join(f->ends[1], &server, NULL, 0);
    for (int i = 0; i < 2; i++) {
        wisp_update(f->ends[i], f->now);
        wisp__host_check(f->ends[i]);
        MUST(f->ends[i]->objects.count <= OBJECTS_MOST);
        MUST(f->memory[i].held < MEMORY_MOST);
        MUST(f->ends[i]->inputs->count <= (i ? WISP__RELAYED : 8));
    }
}

/* The session of an end with the other; NULL: not joined. */
static wisp__session *session_of(world *f, int end) {
    wisp_peer peer = wisp_server();
    wisp__session *s;
    if (!end && !wisp_peers(f->ends[0], &peer, 1)) return NULL;
    s = wisp__session_of(f->ends[end], peer);
    return s && s->peer.state == WISP__JOINED ? s : NULL;
}

/* ---- packets that the script writes -------------------------------------------------- */

/* A row of a random state, as the end has it. */
static wisp__encoded *take_row(world *f, wisp *w, wisp__class *c, int of) {
    struct { wisp__object o; thing image; } made;
    wisp__encoded *row = NULL;
    memset(&made, 0, sizeof made);
    take_state(&f->in, of, &made.image);
    made.o.of = c;
    MUST(wisp__object_image(&made.o) == (void *)&made.image);
    if (wisp__object_row(w, &made.o, &made.image, &row)) return NULL;
    return row;
}

/* The times of a row: of bases that the receiver has, mostly. */
static wisp__row_times take_times(world *f, const wisp__kept_rows *k, uint32_t tick) {
    int how = take(&f->in);
    wisp__row_times t = { how & 32 ? (uint32_t)take(&f->in) : 0, 0, 0, 0, false, false };
    if (k && k->count && how & 64) {
        int at = take_below(&f->in, k->count), older = take_below(&f->in, at + 1);
        t.back = tick - t.age - wisp__kept_at(k, at)->tick;
        if (how & 8) t.older = wisp__kept_at(k, at)->tick - wisp__kept_at(k, older)->tick;
    }
    if (how > 250) t.back = (uint32_t)take16(&f->in);
    if (how & 128 && how & 1) t.span = (uint8_t)(1 + take_below(&f->in, 128));
    t.jumps = t.span & 1;
    t.plain = t.back && !(how & 3);
    return t;
}

/* A whole row, or the delta of rows that the receiver has. */
static void put_row(world *f, wisp__writer *to, int end, int of, const wisp__kept_rows *theirs,
                    wisp__row_times t, uint32_t tick) {
    wisp *w = f->ends[end];
    wisp__class *c = wisp__class_of(w, f->of[end][of]);
    uint8_t bytes[2048];
    wisp__writer row = wisp__writer_on(bytes, 1024);
    wisp__object made;
    wisp__bases from;
    bool delta;
    memset(&made, 0, sizeof made);
    memset(bytes, 0, sizeof bytes);
    made.of = c;
    made.row = take_row(f, w, c, of);
    if (!made.row) return;
    if (!t.back || !wisp__object_bases(theirs, tick - t.age, t, 0, &from))
        memset(&from, 0, sizeof from);
    delta = wisp__object_pack(w, &made, 0, &from, NULL, &row);
    wisp__encoded_release(w, made.row);
    wisp__arena_reset(&w->content.scratch);
    if (delta && of) wisp__put_small(to, (uint64_t)(row.at + 7) / 8);
    wisp__put_bits(to, bytes, row.at);
    if (delta && of) wisp__put(to, 0, (int)(-row.at & 7));
}

/* What the receiver of a forged packet has of an object. */
static const wisp__kept_rows *rows_of(const wisp__object *o, int end) {
    if (!o) return NULL;
    return !end ? &o->kept : o->owned ? &o->owned->rows : NULL;
}

static void put_description(world *f, wisp__writer *to, int end, int of,
                            const wisp__object *theirs) {
    wisp__class *c = wisp__class_of(f->ends[end], f->of[end][of]);
    int number = f->ends[end]->registry.remotes[c->remote]->newest - WISP__RESERVED;
    bool claimed = (take(&f->in) & 3) == 0 || end;
    unsigned owner = end && take(&f->in) < 230 ? wisp_me(f->ends[1]).id : take(&f->in) & 3u;
    if (take(&f->in) > 250) number = take(&f->in);
    wisp__put_length(to, (uint64_t)number);
    wisp__put(to, owner, 16);
    wisp__put(to, (uint64_t)take(&f->in) & 3, 16);
    wisp__put(to, end && theirs ? theirs->turn : (uint64_t)take(&f->in) & 1, 8);
    wisp__put(to, claimed, 1);
    if (claimed) {                                     /* one that waits, mostly */
        const wisp__object *waits = f->ends[1]->objects.claims;
        wisp__put(to, waits ? waits->spawn_tick : take(&f->in), 32);
        wisp__put(to, waits && take(&f->in) < 200 ? waits->ordinal : take(&f->in), 16);
    }
    for (int tags = take_below(&f->in, 12) - 3; tags > 0; tags--) {
        int bytes = take_below(&f->in, 5);
        wisp__put(to, 1 | (uint64_t)bytes << 1, 6);
        while (bytes-- > 0) wisp__put(to, 'a' + (uint64_t)(take(&f->in) & 3), 8);
    }
    wisp__put(to, 0, 1);
}

static void put_object(world *f, wisp__writer *to, int end, wisp__records *all, uint32_t tick) {
    wisp *w = f->ends[!end];
    int kind = take_below(&f->in, 8), at = take(&f->in), of = at >> 5 & 1;
    int index = (at & 192) == 192 ? (int)all->index + 1 : at == 31 && kind > 6 ? 65535
                                                        : at == 30 ? 300 : at & 15;
    const wisp__object *theirs = wisp__object_at(w, index & 0xffff);
    bool unnumbered = end && take(&f->in) > 128;       /* a spawn, or the end of one */
    unsigned generation = unnumbered ? 0 : (theirs ? theirs->id >> 16 : 1) +
                          (unsigned)(kind == 7 ? take(&f->in) & 3 : 0);
    const wisp__kept_rows *rows = unnumbered ? NULL : rows_of(theirs, end);
    wisp__row_times t = take_times(f, rows, tick);
    if (theirs && (take(&f->in) & 7)) of = theirs->of == wisp__class_of(w, f->of[!end][1]);
    if (end && (take(&f->in) & 7)) of = 1;
    if (theirs && theirs->of != wisp__class_of(w, f->of[!end][of])) rows = NULL;
    all->count++;
    wisp__place_put(all, (uint16_t)index, to);
    if (kind < 2) {
        t = all->recent[kind];
        wisp__put(to, kind ? 2 : 1, kind + 1);
    } else {
        wisp__put(to, kind == 2 ? 0 : kind == 3 ? 12 : 4, kind == 2 ? 3 : 4);
        if (kind == 3) wisp__put(to, (uint64_t)take(&f->in) & 1, 1);        /* frozen */
        if (kind >= 3) wisp__put(to, generation & 0xffff, 16);
        if (kind == 3) return;
        if (kind > 3) put_description(f, to, end, of, unnumbered ? NULL : theirs);
        wisp__times_put(to, t, !end && of == 0);
    }
    wisp__times_use(all, t);
    put_row(f, to, end, of, rows, t, tick);
}

static void put_objects(world *f, wisp__writer *to, int end) {
    int count = 1 + take_below(&f->in, RECORDS), how = take(&f->in);
    uint32_t leap = how > 240 ? (uint32_t)take(&f->in) << 24 : 0;
    uint32_t tick = (uint32_t)f->ends[end]->clock.tick + leap -
                    (how > 200 ? (uint32_t)(how & 31) : 0);
    uint8_t bytes[4096];
    wisp__writer records = wisp__writer_on(bytes, (int)sizeof bytes - 16);
    wisp__records all = wisp__records_begin();
    memset(bytes, 0, sizeof bytes);
    if (how != 13)
        wisp__frame_put_tick(to, tick, how & 1 ? (int)WISP__TICK_COMPLETE : how & 2 ? how : -1);
    wisp__frame_put(to, WISP__FRAME_OBJECT);
    records.end = wisp__least(records.end, to->end - to->at - 64);
    for (int i = 0; i < count && records.end > 0; i++) {
        wisp__writer before = records;
        wisp__records so_far = all;
        put_object(f, &records, end, &all, tick);
        if (!records.full) continue;
        records = before;
        all = so_far;
    }
    wisp__put_length(to, (uint64_t)all.count + (how == 14));
    if (records.at) wisp__put_bits(to, bytes, records.at);
    wisp__put_align(to);                               /* rows that are coded end the packet */
    for (int i = end ? 0 : take(&f->in) & 31; i > 0; i--) wisp__put(to, take(&f->in), 8);
}

/* REFUSED, mostly of spawns that wait. */
static void put_refused(world *f, wisp__writer *to) {
    const wisp__object *waits = f->ends[1]->objects.claims;
    uint32_t number = waits ? waits->ordinal : take(&f->in);
    wisp__frame_put_refused(to, ((uint32_t)take(&f->in) & 1) << 31 | number << 15 |
                                    (uint32_t)take16(&f->in) % 70);
}

static void put_clock(world *f, wisp__writer *to, int end) {
    static const double rates[] = { 50, 50, 50, 60, 0, 0.1, 1000, 1e9 };
    wisp__clock_frame c;
    memset(&c, 0, sizeof c);
    c.answer = (take(&f->in) & 3) != 0;
    c.id = (uint8_t)(f->ends[!end]->clock.ask - (take(&f->in) & 3));
    c.player = take(&f->in) & 3;
    c.held = (uint32_t)take16(&f->in);
    c.ticks = take(&f->in) > 200 ? take64(&f->in) : (uint64_t)(f->now * 50 * 65536);
    c.rate = wisp__double_bits(rates[take_below(&f->in, 8)]);
    wisp__frame_put_clock(to, &c);
}

static void put_lacks(world *f, wisp__writer *to) {
    int count = 1 + take(&f->in) % 40;
    for (int i = 0; i < count; i++) {
        int index = take(&f->in);
        wisp__frame_put_number(to, WISP__FRAME_LACKS, index > 252 ? WISP__OBJECT_ALL : index & 31);
    }
}

/* A run of inputs of a player; some are told from what the other end has. */
static void put_input_run(world *f, wisp__writer *to, int end, int player) {
    wisp *w = f->ends[end];
    wisp__input_run run = { &w->inputs->form, NULL, 0, end != 0 };
    const wisp__line *l = wisp__inputs_line(f->ends[!end], player);
    int64_t tick = f->ends[!end]->clock.tick + (int8_t)take(&f->in);
    int count = take(&f->in) & (end ? 127 : 15), back = take(&f->in) & 3, made = 0;
    wisp__encoded *rows[128];
    run.before = back && l ? wisp__input_at(l, tick - back) : NULL;
    if (!run.before) run.before = w->inputs->form.none;
    if (end) wisp__put_groups(to, (uint64_t)take16(&f->in) >> 4, 8);
    wisp__put(to, (uint64_t)tick & 0xfff, 12);
    wisp__put(to, back == 1, 1);
    if (back != 1) wisp__put_small(to, (uint64_t)back);
    for (; made < count; made++) {
        pad in = { (uint16_t)(take(&f->in) & 15), (int8_t)made };
        wisp_result why;
        rows[made] = wisp__input_row(w, run.form, &in, run.before, &why);
        MUST(rows[made]);
        if (!wisp__input_put_row(w, &run, rows[made], made & 1 ? take(&f->in) : 0, to)) count = 0;
    }
    wisp__put(to, 3, 2);
    while (made-- > 0) wisp__encoded_release(w, rows[made]);
}

static void put_inputs(world *f, wisp__writer *to, int end) {
    static uint8_t bytes[PACKET_BYTES + WISP__SLACK];
    wisp__writer body = wisp__writer_on(bytes, PACKET_BYTES / 2);
    memset(bytes, 0, sizeof bytes);
    if (end) put_input_run(f, &body, end, wisp_me(f->ends[1]).id);
    for (int runs = end ? 0 : take(&f->in) & 3; runs > 0; runs--) {
        int player = take(&f->in) > 250 ? take16(&f->in) : take(&f->in) & 3;
        wisp__put(&body, 1 | (uint64_t)player << 1, 17);
        put_input_run(f, &body, end, player);
    }
    if (!end) wisp__put(&body, 0, 1);
    wisp__frame_put(to, WISP__FRAME_INPUTS);
    wisp__put_length(to, (uint64_t)body.at);
    wisp__put_bits(to, body.bytes, body.at);
}

/* Sends a packet in the name of an end. */
static void forge(world *f, int end) {
    uint8_t bytes[PACKET_BYTES + WISP__SLACK];
    int head = WISP__PACKET_HEAD, size, what = take_below(&f->in, 10), bent = take(&f->in);
    wisp__session *s = session_of(f, end);
    wisp__writer to = wisp__writer_on(bytes + head, PACKET_BYTES - head);
    wisp_packet packet;
    if (!s || !session_of(f, !end)) return;
    memset(bytes, 0, sizeof bytes);
    if (what < 5) put_objects(f, &to, end);
    else if (what == 5 && !end) put_refused(f, &to);
    else if (what < 7) put_lacks(f, &to);
    else if (what < 8) put_clock(f, &to, end);
    else put_inputs(f, &to, end);
    size = head + (int)((to.at + 7) / 8);
    for (; bent > 240; bent--)
        bytes[head + take16(&f->in) % (size - head)] ^= (uint8_t)(1 << (take(&f->in) & 7));
    bytes[0] = WISP__FLAG_SESSION;
    wisp__packet_close(&f->ends[end]->base, &s->peer, s->peer.flow.next++, bytes, size);
    memset(&packet, 0, sizeof packet);
    packet.addr = wisp_loopback_addr(!end);
    packet.data = bytes;
    packet.size = size;
    f->links[end].send(f->links[end].user, &packet, 1);
}

/* ---- the script ------------------------------------------------------------------------ */

static void act(world *f) {
    int what = take(&f->in);
    if (what < 100) forge(f, 0);
    else if (what < 140) forge(f, 1);
    else if (what < 190) play(f, f->ends[0]);
    else if (what < 200) play(f, f->ends[1]);
    else update(f, what > 253 ? 0.7 : 0.02);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static world f;
    memset(&f, 0, sizeof f);
    f.in.data = data;
    f.in.size = size;
    open_ends(&f);
    for (int i = 0; i < 8; i++) update(&f, 0.02);
    for (int i = 0; i < OPERATIONS && !script_ended(&f.in); i++) act(&f);
    f.quiet = true;
    for (int i = 0; i < 10; i++) update(&f, 0.05);
    for (int i = 0; i < 2; i++) {
        wisp_destroy(f.ends[i]);
        MUST(f.memory[i].held == 0);
    }
    wisp_pipe_free(&f.pipe);
    return 0;
}
