/* fuzz_bomb.c - a search for small packets that cost much

   The input is a script that makes one attack: names announced with hostile descriptors and forms,
   then a few packets of messages of them, all from a peer that has joined a server with default
   limits. Each packet is measured on its own: memory above what was held before it, CPU seconds of
   the thread, and the server's own units of work. Some inputs change the dearest attack so far a
   little. The dearest three of each measure are told at the end, each as a line that runs it again.

   A packet fails that takes more than 2 MiB (beyond what a message in assembly may take), or more
   units than the endpoint grants. CPU seconds are only told, or checked with -cpu: in an optimised
   build without sanitizers.

   Run      fuzz_bomb [-cpu] [-report] [what driver.c takes]
            -report    tells everything, and fails of nothing */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"
#include "../support/hostile_peer.h"

#include <time.h>

enum { DEAREST = 3, MEASURES = 3, SCRIPT_MOST = 4096, PACKETS = 12, RAW = 1 << 20, LARGE = 50000 };
enum { BODY = HOSTILE_MTU - HOSTILE_HEAD };
enum { MEMORY, CPU, WORK };

#define MEMORY_MOST (2 << 20)
#define CPU_MOST    0.004             /* seconds; 1 ms is promised, clocks and caches are not */

/* An attack: the bytes of its script that were used. */
typedef struct attack {
    double  cost;
    int     size;
    uint8_t script[SCRIPT_MOST];
} attack;

typedef struct bomb {
    script   in;
    hostile  h;
    int      shape;
    int      assembled;               /* bytes of the message that the packet completes, or 0 */
    int      handled;                 /* values */
    int      number;                  /* announced last */
    wisp__writer to;                  /* a descriptor, or content */
    double   costs[MEASURES];
    uint8_t  bytes[WISP__DESCRIPTOR_BYTES + 2 * WISP__SLACK];
    uint8_t  raw[RAW + 4096];
} bomb;

static bomb the_bomb;
static attack dearest[MEASURES][DEAREST];
static bool checks_cpu, only_tells;
static bool begun;                    /* the attacks that are known have been tried */
static int over;                      /* attacks that were over a bound */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static double cpu_now(void) {
#ifdef CLOCK_THREAD_CPUTIME_ID
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
#else
    return (double)clock() / CLOCKS_PER_SEC;
#endif
}

/* ---- the server ----------------------------------------------------------------- */

/* What a program does with a message is its own cost. */
static void on_any(wisp_event *event) { ((bomb *)event->user)->handled += event->count; }

static void open_server(bomb *b) {
    wisp_desc desc;
    wisp_config all;
    hostile_desc(&desc, 1);
    desc.link = wisp_loopback(&b->h.pipe, 0);
    desc.memory = memory_allocator(&b->h.memory);
    b->h.server = wisp_create(&desc, NULL);
    MUST(b->h.server);
    memset(&all, 0, sizeof all);
    hostile_foreign(&all);
    wisp_use_config(b->h.server, &all, NULL);
    for (int i = 0; i < HOSTILE_ENTRIES; i++) {
        wisp_config config = hostile_config(&hostile_entries[i]);
        MUST(wisp_use_config(b->h.server, &config, hostile_entries[i].name) == WISP_OK);
        wisp_connect(b->h.server, hostile_entries[i].name, on_any, b);
    }
    wisp_on_invoke(b->h.server, "ask", on_any, b);
    wisp_connect(b->h.server, WISP_ERROR, on_any, b);
    wisp_connect_match(b->h.server, "^pat", on_any, b);
}

/* ---- packets, measured ---------------------------------------------------------- */

static double memory_most(const bomb *b) {
    const wisp_limits *limits = &b->h.server->base.limits;
    double most = MEMORY_MOST;
    if (b->assembled)
        most += 2.0 * limits->message_bytes + (double)limits->message_values * sizeof(wisp_pair);
    return most;
}

/* Seconds: an assembled message counts for as many packets as it came in. */
static double wholes_of(const bomb *b) {
    return b->assembled > HOSTILE_MTU ? (double)b->assembled / HOSTILE_MTU : 1;
}

static void keep_most(double *most, double cost) {
    if (cost > *most) *most = cost;
}

static void measured_update(bomb *b) {
    size_t held = b->h.memory.held;
    double began;
    b->h.memory.peak = held;
    b->h.now += 0.05;                     /* what it may spend has been earned anew */
    began = cpu_now();
    wisp_update(b->h.server, b->h.now);
    keep_most(&b->costs[CPU], (cpu_now() - began) / wholes_of(b));
    keep_most(&b->costs[MEMORY], (double)(b->h.memory.peak - held) * MEMORY_MOST / memory_most(b));
    keep_most(&b->costs[WORK], hostile_work(&b->h) * hostile_work_most(0) /
                                   hostile_work_most(b->assembled));
    hostile_drain(&b->h);
}

static void send_body(bomb *b, bool runs) {
    if (runs) hostile_send_runs(&b->h);
    else hostile_send(&b->h, 0, 0);
    measured_update(b);
}

/* Sends a large record as fragments; each packet is measured. */
static void send_whole(bomb *b, const uint8_t *bytes, int size, int channel) {
    for (int at = 0; at < size && hostile_theirs(&b->h);) {
        int piece = size - at < 1100 ? size - at : 1100;
        wisp__writer *to = hostile_body(&b->h);
        hostile_section(to, WISP_RELIABLE, channel, b->h.sequences[channel]++);
        hostile_fragment(to, at == 0, at + piece == size, bytes + at, piece);
        at += piece;
        b->assembled = at;
        send_body(b, false);
        b->assembled = 0;
    }
}

static void announce(bomb *b, const char *name, hostile_form *form) {
    static uint8_t whole[HOSTILE_WHOLE];
    wisp__writer to = wisp__writer_on(whole, HOSTILE_WHOLE - WISP__SLACK);
    memset(whole, 0, sizeof whole);
    b->number++;
    form->descriptor = b->bytes;
    hostile_announce(&to, b->number, name, form);
    wisp__put_align(&to);
    if (to.at / 8 > BODY - 8) {
        send_whole(b, whole, (int)(to.at / 8), 0);
    } else {
        wisp__put_bits(hostile_body(&b->h), whole, to.at);
        send_body(b, false);
    }
}

/* A body with a section that begins with a bound message, without its content. */
static wisp__writer *begin_message(bomb *b, int delivery) {
    wisp__writer *to = hostile_body(&b->h);
    hostile_section(to, delivery, 0, b->h.sequences[0]);
    wisp__put(to, 2, 2);
    wisp__put_length(to, (uint64_t)b->number);
    return to;
}

/* The same content, which has so few bits, as often as the packet and a count hold. */
static void put_often(wisp__writer *to, const uint8_t *bytes, int64_t bits, int times) {
    wisp__put_bits(to, bytes, bits);
    for (int i = 1; i < times && to->at + bits + 1 <= (int64_t)BODY * 8; i++) {
        wisp__put(to, 1, 1);
        wisp__put_bits(to, bytes, bits);
    }
}

/* ---- descriptors ---------------------------------------------------------------- */

/* Counts that a parameter picks. */
static int many(bomb *b) {
    static const int counts[] = { 1, 8, 64, 250, 1000, 1024, 2000, 4000 };
    return counts[take_below(&b->in, 8)];
}

/* Types that take few bits, or none. */
static void put_small_type(wisp__writer *to, int which) {
    switch (which % 10) {
    case 0: wisp__put(to, WISP_TYPE_LITERAL, 5), wisp__put(to, 1, 1), wisp__put_text(to, ""); break;
    case 1: wisp__put(to, WISP_TYPE_BOOL, 5); break;
    case 2:
        wisp__put(to, WISP_TYPE_RANGE, 5);
        wisp__put(to, 7, 64);
        wisp__put(to, 7, 64);
        break;
    case 3:
        wisp__put(to, WISP_TYPE_ENUM, 5);
        wisp__put_length(to, 1);
        wisp__put_text(to, "e");
        break;
    case 4: wisp__put(to, WISP_TYPE_ANY, 5); break;
    case 5: wisp__put(to, WISP_TYPE_STRING, 5), wisp__put_length(to, 65536); break;
    case 6:
        wisp__put(to, WISP_TYPE_ARRAY, 5);
        wisp__put_length(to, 65536);
        wisp__put(to, 0, 1);
        put_small_type(to, 0);
        break;
    case 7:
        wisp__put(to, WISP_TYPE_UNION, 5);
        wisp__put_length(to, 2);
        put_small_type(to, 0);
        put_small_type(to, 1);
        break;
    case 8:
        wisp__put(to, WISP_TYPE_ARRAY, 5);
        wisp__put_length(to, 300);
        wisp__put(to, 1, 1);
        put_small_type(to, 1);
        break;
    default: wisp__put(to, WISP_TYPE_TRANSFORM, 5); break;
    }
}

/* A nested struct up to its fields. */
static void begin_struct(wisp__writer *to, int count) {
    wisp__put(to, 1, 8);
    wisp__put(to, 0, 1);
    wisp__put_text(to, "t");
    wisp__put_length(to, (uint64_t)count);
}

static void put_fields(bomb *b, int count, int type, int style, int flags) {
    wisp__put_length(&b->to, (uint64_t)count);
    for (int i = 0; i < count && !b->to.full; i++) {
        hostile_field(&b->to, i, style, flags);
        put_small_type(&b->to, type);
    }
}

static void begin_descriptor(bomb *b, int version) {
    memset(b->bytes, 0, sizeof b->bytes);
    b->to = wisp__writer_on(b->bytes, WISP__DESCRIPTOR_BYTES);
    wisp__put(&b->to, (uint64_t)version, 8);
    wisp__put(&b->to, 0, 1);
    wisp__put_text(&b->to, "s");
}

/* A form with a schema of `count` equal fields, as many as there is room for. */
static hostile_form form_of(bomb *b, int kind, int version, int count, int type, int style) {
    hostile_form form;
    memset(&form, 0, sizeof form);
    form.kind = kind;
    do {
        begin_descriptor(b, version);
        put_fields(b, count, type, style, 0);
        count = count * 7 / 8;
    } while (b->to.full && count > 0);
    form.bits = b->to.full ? 0 : (int)b->to.at;
    return form;
}

/* One field: an array of structs of `count` fields of a type. */
static hostile_form form_of_array(bomb *b, int count, int type) {
    hostile_form form;
    memset(&form, 0, sizeof form);
    form.kind = WISP__RECORD;
    begin_descriptor(b, 1);
    wisp__put_length(&b->to, 1);
    hostile_field(&b->to, 0, 0, 0);
    wisp__put(&b->to, WISP_TYPE_ARRAY, 5);
    wisp__put_length(&b->to, 65536);
    wisp__put(&b->to, 0, 1);
    wisp__put(&b->to, WISP_TYPE_STRUCT, 5);
    begin_struct(&b->to, count);
    for (int i = 0; i < count && !b->to.full; i++) {
        hostile_field(&b->to, i, 0, 0);
        put_small_type(&b->to, type);
    }
    form.bits = b->to.full ? 0 : (int)b->to.at;
    return form;
}

/* ---- the shapes ----------------------------------------------------------------- */

/* Names that an attack is about. */
static const char *some_name(bomb *b) {
    return hostile_entries[take_below(&b->in, HOSTILE_ENTRIES)].name;
}

/* Content of `size` bytes in b->raw in a message of a squeezed form, as often as it fits: as runs,
   or as it is; in fragments when it does not fit a packet. */
static void send_squeezed(bomb *b, int size, int times, bool runs) {
    static uint8_t content[RAW + 8192];
    wisp__writer inner = wisp__writer_on(content, (int)sizeof content - WISP__SLACK);
    wisp__writer *to = begin_message(b, WISP_UNRELIABLE);
    memset(content, 0, BODY + 64);
    if (!hostile_squeezed(&inner, b->raw, size)) {
        if (size > LARGE) size = LARGE;
        memset(content, 0, (size_t)size + 64);
        if (size > BODY - 32) {
            wisp__put(&inner, 8, 4);
            wisp__put_length(&inner, (uint64_t)b->number);
            wisp__put_length(&inner, (uint64_t)size * 8 + 1);
        }
        wisp__put(&inner, 0, 1);
        wisp__put_bits(&inner, b->raw, (int64_t)size * 8);
        wisp__put_align(&inner);
        if (size > BODY - 32) {
            send_whole(b, content, (int)(inner.at / 8), 0);
            return;
        }
    }
    put_often(to, content, inner.at, times);
    send_body(b, runs);
}

/* Records of no or few bits, which take much room here: arrays, literals, texts. */
static void shape_records(bomb *b) {
    int version = 1 + take_below(&b->in, 3), count = many(b), type = take(&b->in);
    int style = take(&b->in), times = many(b), fill = take_below(&b->in, 3);
    const char *name = some_name(b);
    hostile_form form = style & 64 ? form_of_array(b, count, type)
                                   : form_of(b, WISP__RECORD, version, count, type, style);
    form.delta = (style & 4) != 0;
    form.adaptive = form.delta && style & 8;
    announce(b, name, &form);
    for (int i = 0; i < 2; i++) {
        wisp__writer *to = begin_message(b, WISP_UNRELIABLE);
        memset(b->raw, fill == 1 ? 255 : 0, 64);
        if (style & 64) {
            wisp__writer out = wisp__writer_on(b->raw, 64);
            memset(b->raw, 0, 64);
            wisp__put(&out, (uint64_t)(fill == 2 ? 65536 : fill ? 65535 : count), 17);
        }
        put_often(to, b->raw, style & 64 ? 17 : fill == 1 ? 8 : 0, times);
        send_body(b, (style & 32) != 0);
    }
}

/* One message, then repeats of it: an old version, a large one, whatever. */
static void shape_repeats(bomb *b) {
    int version = 1 + take_below(&b->in, 3), count = many(b), type = take(&b->in);
    int times = many(b), style = take(&b->in);
    hostile_form form = form_of(b, WISP__RECORD, version, count, type, style);
    wisp__writer *to;
    announce(b, some_name(b), &form);
    to = begin_message(b, WISP_UNRELIABLE);
    wisp__put(to, 4, 3);
    wisp__put_small(to, (uint64_t)times);
    send_body(b, false);
}

/* Protobuf of unknown fields of a byte or two each, with numbers out of order. */
static void shape_protobuf(bomb *b) {
    static const uint8_t some[] = { 0x10, 0x08, 0x0a, 0x12, 0x02, 0x80, 0x78, 0x00 };
    int count = many(b), type = take(&b->in), style = take(&b->in);
    int times = 1 + take_below(&b->in, 4);
    int size = RAW >> take_below(&b->in, 6), start;
    hostile_form form = form_of(b, WISP__CODED, 1, count, type, style | 2);
    wisp__writer out = wisp__writer_on(b->raw, 16);
    form.codec = "protobuf";
    form.compressed = true;
    announce(b, some_name(b), &form);
    memset(b->raw, 0, 16);
    wisp__put(&out, 0, 1);
    wisp__put_length(&out, (uint64_t)(size - 16));
    wisp__put_align(&out);
    start = (int)(out.at / 8);
    memset(b->raw + start, some[take_below(&b->in, 8)], (size_t)size - 16);
    send_squeezed(b, start + size - 16, times, style & 1);
}

/* A text of a codec that is one byte over and over, or a pattern of few. */
static void shape_codec(bomb *b) {
    static const char *const codecs[] = { "json", "msgpack", "protobuf" };
    static const char *const texts[] = {
        "[", "[[", "\"", "{\"a\":", "[0,", "\"a", "\x81", "\x91", "\xdd", "\xc7", "\xdb", "\xc0",
        "1", "{\"\":{", "\\u0000", "\xdf\xff\xff\xff\xff",
    };
    const char *text = texts[take_below(&b->in, 16)], *codec = codecs[take_below(&b->in, 3)];
    int size = RAW >> take_below(&b->in, 6), length = (int)strlen(text), head = take(&b->in);
    int start;
    wisp__writer out = wisp__writer_on(b->raw, 32);
    hostile_form form;
    memset(&form, 0, sizeof form);
    form.kind = WISP__CODED;
    form.codec = codec;
    form.compressed = true;
    if (head & 64) form = form_of(b, WISP__CODED, 1, many(b), take(&b->in), 0);
    form.codec = codec;
    form.compressed = true;
    announce(b, some_name(b), &form);
    memset(b->raw, 0, 32);
    wisp__put(&out, head & 1, 1);
    wisp__put_length(&out, (uint64_t)(size - 64));
    wisp__put_align(&out);
    start = (int)(out.at / 8);
    for (int i = 0; i < size - 64; i++) b->raw[start + i] = (uint8_t)text[i % length];
    if (head & 2) memcpy(b->raw + start, head & 4 ? "{\"" : "[[", 2);
    if (head & 8) memcpy(b->raw + start, "\xdd\x00\x00\xff\xff\xc0", 6);
    send_squeezed(b, start + size - 64, 1 + (head >> 4 & 3), false);
}

/* Values that describe themselves, in runs: nils, maps with equal long keys, nests. */
static void shape_values(bomb *b) {
    int style = take(&b->in), size = RAW >> take_below(&b->in, 8), fill = take(&b->in);
    const char *name = some_name(b);
    hostile_form form;
    memset(&form, 0, sizeof form);
    form.compressed = true;
    if (style & 1) form = form_of(b, WISP__VALUES, 1 + take_below(&b->in, 2), many(b), 4, 1);
    form.compressed = true;
    announce(b, name, &form);
    memset(b->raw, style & 2 ? 0 : fill, (size_t)size);
    if (style & 4) {                                  /* an array of very many */
        wisp__writer out = wisp__writer_on(b->raw, 64);
        memset(b->raw, 0, 64);
        wisp__put_small(&out, 1);
        wisp__put(&out, style & 8 ? WISP_ARRAY : WISP_MAP, 4);
        wisp__put_length(&out, (uint64_t)(style & 16 ? 4096 : size / 2));
    }
    send_squeezed(b, size, 1 + (style >> 5), false);
}

/* ANY-valued maps with keys that begin alike: made by the header, as many as a packet holds. */
static void shape_keys(bomb *b) {
    static wisp_pair pairs[4096];
    static char keys[4096][64];
    int count = many(b), prefix = take_below(&b->in, 56), times = 1 + take_below(&b->in, 4);
    wisp__packer *p = &b->h.client->content.packer;
    hostile_form form;
    wisp_value map;
    wisp__writer all = wisp__writer_on(b->raw, RAW);
    memset(&form, 0, sizeof form);
    form.compressed = true;
    form.delta = take(&b->in) > 200;
    if (form.delta) form.compressed = false;
    announce(b, some_name(b), &form);
    for (int i = 0; i < count; i++) {
        memset(keys[i], 'k', 64);
        snprintf(keys[i] + prefix, (size_t)(64 - prefix), "%c%c", 'a' + i / 64 % 64, 'A' + i % 64);
        pairs[i].key = keys[i];
        pairs[i].value = wisp_nil();
    }
    map = wisp_map(pairs, count);
    if (wisp__pack(p, &map, 1) != WISP_OK) return;
    memset(b->raw, 0, (size_t)((p->shape.at + p->data.at) / 8 + 16));
    wisp__put_bits(&all, p->shape.bytes, p->shape.at);
    wisp__put_bits(&all, p->data.bytes, p->data.at);
    if (form.delta) {
        wisp__writer *to = begin_message(b, WISP_UNRELIABLE);
        wisp__put(to, 1, 1);
        wisp__put(to, 0, WISP__SEQUENCE_BITS + 1);
        if (all.at < (BODY - 64) * 8) wisp__put_bits(to, b->raw, all.at);
        send_body(b, true);
    } else {
        send_squeezed(b, (int)((all.at + 7) / 8), times, true);
    }
}

/* Many small differences to one large value. */
static void shape_differences(bomb *b) {
    int style = take(&b->in), type = take(&b->in), count = many(b), times = many(b), size;
    wisp__writer whole = wisp__writer_on(b->raw, RAW), *to;
    hostile_form form;
    memset(&form, 0, sizeof form);
    memset(b->raw, 0, sizeof b->raw);
    if (style & 1) form = form_of(b, WISP__RECORD, 1, count, type, 0);
    if (style & 128) form = form_of_array(b, 2, type);
    form.delta = true;
    form.adaptive = (style & 2) != 0;
    form.sync = (style & 4) != 0;
    announce(b, some_name(b), &form);
    wisp__put(&whole, 8, 4);
    wisp__put_length(&whole, (uint64_t)b->number);
    size = (style & 8 ? 900000 : 30000) >> (style >> 4 & 3);
    wisp__put_length(&whole, (uint64_t)size * 8 + 17);
    wisp__put(&whole, 1, 1);                                                /* told whole */
    if (!form.bits) {
        wisp__put_small(&whole, 1);
        wisp__put(&whole, WISP_BYTES, 4);
        wisp__put_length(&whole, (uint64_t)size - 8);
        wisp__put(&whole, 0, 7);
    } else {
        wisp__put(&whole, style & 64 ? 30000 : 255, 17);
    }
    send_whole(b, b->raw, (int)(whole.at / 8) + size, 0);
    to = begin_message(b, WISP_RELIABLE);
    memset(b->raw, 0, 64);
    put_often(to, b->raw, 3 + (form.adaptive ? 2 : 0), times);
    send_body(b, (style & 32) != 0);
}

/* Announcements in a row: the same, others, of forms that fail late. */
static void shape_announcements(bomb *b) {
    int style = take(&b->in), count = many(b), type = take(&b->in);
    int times = 1 + take_below(&b->in, 30);
    const char *name = some_name(b);
    hostile_form form = form_of(b, style & 1 ? WISP__CODED : WISP__RECORD, 1 + (style >> 1 & 3),
                                count > 64 ? 60 : count, type, style >> 4);
    wisp__writer *to = hostile_body(&b->h);
    form.codec = style & 8 ? "nobody's" : "json";
    form.descriptor = b->bytes;
    for (int i = 0; i < times; i++) {
        wisp__writer before = *to;
        hostile_announce(to, style & 128 ? i : 1, name, &form);
        if (!to->full) continue;
        *to = before;
        break;
    }
    for (int64_t at = (to->at + 7) / 8; at < BODY; at++) b->h.packet[HOSTILE_HEAD + at] = 0;
    if (to->at & 7)
        b->h.packet[HOSTILE_HEAD + to->at / 8] &= (uint8_t)((1u << (to->at & 7)) - 1);
    send_body(b, (style & 64) != 0);
    b->number = 1;
    form = form_of(b, WISP__RECORD, style & 1 ? 0 : 1, count, type, style >> 4);
    for (int i = 0; i < times && i < 6; i++) {
        b->number = style & 128 ? i : 0;
        announce(b, name, &form);
    }
}

/* Control records and messages that only cause errors or answers. */
static void shape_controls(bomb *b) {
    static const wisp__frame kinds[] = { WISP__FRAME_BOUND, WISP__FRAME_UNKNOWN, WISP__FRAME_RESYNC,
                                          WISP__FRAME_PING, WISP__FRAME_INVOKE, WISP__FRAME_SECTION,
                                          WISP__FRAME_EVENT, WISP__FRAME_REPLY };
    wisp__frame kind = kinds[take_below(&b->in, 8)];
    int number = take(&b->in), step = take_below(&b->in, 9), ahead = take(&b->in);
    wisp__writer *to = hostile_body(&b->h);
    hostile_section(to, ahead & 1 ? WISP_RELIABLE : WISP_UNRELIABLE, 0, b->h.sequences[0]);
    for (int i = 0; to->at < (BODY - 24) * 8; i++) {
        if (kind == WISP__FRAME_EVENT) {
            wisp__put(to, 8, 4);
            wisp__put_length(to, (uint64_t)(number + i * step));
            wisp__put_length(to, 0);
            continue;
        }
        wisp__frame_put(to, kind);
        if (kind <= WISP__FRAME_UNKNOWN || kind == WISP__FRAME_RESYNC || kind == WISP__FRAME_INVOKE)
            wisp__put_length(to, (uint64_t)((number + i * step) % 40));
        if (kind == WISP__FRAME_SECTION) wisp__put(to, (uint64_t)(1 | (i & 15) << 2), 30);
        if (kind == WISP__FRAME_REPLY) wisp__put(to, (uint64_t)i, 25), wisp__put_small(to, 0);
        if (kind == WISP__FRAME_INVOKE) {
            wisp__put(to, (uint64_t)(i * ahead), 24);
            wisp__put_small(to, (uint64_t)(ahead * ahead));
            wisp__put(to, 0, 1);
            wisp__put_length(to, 0);
        }
    }
    send_body(b, (step & 1) != 0);
}

/* An array whose size in bytes is a little more than 32 bits can say: elements of a union, of
   nothing and of very many values. */
static void shape_wrap(bomb *b) {
    static union { double align; uint8_t bytes[1 << 22]; } plan;
    int structs = 1 + take_below(&b->in, 16), values = take(&b->in), more = take_below(&b->in, 4);
    const wisp__program *program;
    hostile_form form;
    wisp__writer *to;
    uint64_t count;
    memset(&form, 0, sizeof form);
    form.kind = WISP__RECORD;
    begin_descriptor(b, 1);
    wisp__put_length(&b->to, 1);
    hostile_field(&b->to, 0, 0, 0);
    wisp__put(&b->to, WISP_TYPE_ARRAY, 5);
    wisp__put_length(&b->to, 65536);
    wisp__put(&b->to, 0, 1);
    wisp__put(&b->to, WISP_TYPE_UNION, 5);
    wisp__put_length(&b->to, 2);
    put_small_type(&b->to, 0);
    wisp__put(&b->to, WISP_TYPE_STRUCT, 5);
    begin_struct(&b->to, structs);
    for (int i = 0; i < structs; i++) {
        hostile_field(&b->to, i, 0, 0);
        wisp__put(&b->to, WISP_TYPE_STRUCT, 5);
        begin_struct(&b->to, values + 1);
        for (int k = 0; k <= values; k++) {
            hostile_field(&b->to, k, 0, 0);
            put_small_type(&b->to, 4);
        }
    }
    form.bits = b->to.full ? 0 : (int)b->to.at;
    if (!form.bits) return;
    announce(b, some_name(b), &form);
    program = hostile_program(b->bytes, form.bits, plan.bytes, (int)sizeof plan.bytes);
    if (!program) return;
    to = begin_message(b, WISP_UNRELIABLE);
    count = (UINT64_C(1) << 32) / (uint64_t)program->ops[0].each + (uint64_t)more;
    wisp__put(to, count & 0x1ffff, 17);
    send_body(b, false);
}

/* A packet as runs whose messages are runs again. */
static void shape_nested(bomb *b) {
    int size = RAW >> take_below(&b->in, 6), fill = take(&b->in), times = many(b);
    hostile_form form;
    memset(&form, 0, sizeof form);
    form.compressed = true;
    announce(b, some_name(b), &form);
    memset(b->raw, fill, (size_t)size);
    send_squeezed(b, size, times, true);
}

/* A descriptor and content of any bits. */
static void shape_any(bomb *b) {
    static const char *const codecs[] = { "json", "msgpack", "protobuf", "bitpack" };
    int how = take(&b->in), packets = 1 + take_below(&b->in, PACKETS);
    hostile_form form;
    memset(&form, 0, sizeof form);
    form.bits = hostile_descriptor(b->bytes, &b->in);
    form.kind = how & 1 ? WISP__RECORD : how >> 1 & 1 ? WISP__CODED : WISP__VALUES;
    form.codec = codecs[how >> 2 & 3];
    form.delta = form.kind != WISP__CODED && (how & 48) == 48;
    form.adaptive = form.delta && how & 64;
    form.compressed = !form.delta && how & 128;
    if (!form.bits && form.kind == WISP__RECORD) return;
    announce(b, some_name(b), &form);
    for (int i = 0; i < packets; i++) {
        wisp__writer *to = begin_message(b, how & 32 ? WISP_RELIABLE : WISP_UNRELIABLE);
        int bits = take(&b->in), fill = take_below(&b->in, 4), times = many(b);
        for (int k = 0; k < 32; k++)
            b->raw[k] = fill == 0 ? 0 : fill == 1 ? 255 : fill == 2 ? (uint8_t)k : take(&b->in);
        put_often(to, b->raw, bits, times);
        if (bits & 1) wisp__put(to, 4, 3), wisp__put_small(to, 2047);
        send_body(b, (bits & 2) != 0);
    }
}

static void (*const shapes[])(bomb *b) = {
    shape_records, shape_repeats, shape_protobuf, shape_codec, shape_values, shape_keys,
    shape_differences, shape_announcements, shape_controls, shape_nested, shape_wrap, shape_any
};
enum { SHAPES = (int)(sizeof shapes / sizeof *shapes) };

/* ---- attacks -------------------------------------------------------------------- */

/* Runs one attack; how many bytes of its script it has used. */
static int run_attack(const uint8_t *bytes, int size) {
    bomb *b = &the_bomb;
    memset(&b->h, 0, sizeof b->h);
    memset(b->costs, 0, sizeof b->costs);
    b->number = 0;
    b->assembled = 0;
    b->in.data = bytes;
    b->in.size = (size_t)size;
    b->in.at = 0;
    open_server(b);
    if (hostile_join(&b->h)) {
        int rounds = 1 + (take(&b->in) & 1);
        for (int i = 0; i < rounds; i++) shapes[take_below(&b->in, SHAPES)](b);
    }
    hostile_close(&b->h);
    MUST(b->h.memory.held == 0);
    return (int)b->in.at;
}

/* The bytes of an input that is this attack. */
static void tell_attack(const attack *a) {
    fprintf(stderr, "00");
    for (int i = 0; i < a->size; i++) fprintf(stderr, "%02x", a->script[i]);
    fprintf(stderr, "\n");
}

static bool keep_attack(int measure, double cost, const uint8_t *bytes, int size) {
    attack *list = dearest[measure];
    int at = DEAREST;
    for (int i = 0; i < DEAREST; i++)
        if (list[i].size == size && memcmp(list[i].script, bytes, (size_t)size) == 0) return false;
    while (at > 0 && cost > list[at - 1].cost) at--;
    if (at == DEAREST) return false;
    memmove(&list[at + 1], &list[at], (size_t)(DEAREST - 1 - at) * sizeof *list);
    list[at].cost = cost;
    list[at].size = size;
    memcpy(list[at].script, bytes, (size_t)size);
    return true;
}

/* What went over a bound; NULL: nothing. */
static const char *over_bound(void) {
    if (the_bomb.costs[MEMORY] > MEMORY_MOST) return "memory";
    if (the_bomb.costs[WORK] > hostile_work_most(0)) return "work";
    if (checks_cpu && the_bomb.costs[CPU] > CPU_MOST) return "cpu";
    return NULL;
}

static void try_attack(const uint8_t *bytes, int size) {
    static attack last;
    int used = run_attack(bytes, size);
    const char *what = over_bound();
    last.size = used < size ? used : size;
    memcpy(last.script, bytes, (size_t)last.size);
    for (int again = 0; again < 3 && what && !strcmp(what, "cpu"); again++) {
        run_attack(bytes, size);
        what = over_bound();
    }
    for (int i = 0; i < MEASURES; i++) keep_attack(i, the_bomb.costs[i], last.script, last.size);
    if (!what) return;
    over++;
    if (only_tells) return;
    fprintf(stderr, "over the bound of %s: %.0f bytes, %.4f seconds, %.0f units: -x ", what,
            the_bomb.costs[MEMORY], the_bomb.costs[CPU], the_bomb.costs[WORK]);
    tell_attack(&last);
    abort();
}

/* ---- attacks that are known ----------------------------------------------------- */

/* Each begins with the shape, behind the byte that says that there is one; parameters follow in the
   order in which the shape takes them. */
static const uint8_t known[][16] = {
    { 0, 0, 0, 4, 0, 0, 7, 0, 1 },            /* an old version of literals, often */
    { 0, 0, 0, 5, 0, 0, 7, 0, 0 },
    { 0, 0, 1, 5, 2, 0, 7, 0, 3 },            /* ranges of one number */
    { 0, 0, 0, 4, 0, 64, 0, 2, 0 },           /* arrays of structs of literals */
    { 0, 0, 0, 2, 4, 64, 0, 2, 0 },           /* arrays of structs of values */
    { 0, 0, 0, 0, 0, 64, 7, 2, 0 },           /* arrays of empty structs, often */
    { 0, 0, 0, 4, 6, 0, 7, 1, 0 },            /* arrays of literals */
    { 0, 0, 0, 5, 8, 32, 7, 1, 6 },
    { 0, 1, 0, 4, 0, 6, 0, 1 },               /* repeats of an old version */
    { 0, 1, 1, 5, 5, 6, 0, 10 },              /* repeats of a version without steps */
    { 0, 2, 5, 1, 0, 3, 0, 0, 0 },            /* Protobuf: unknown fields, numbers out of order */
    { 0, 2, 5, 8, 0, 3, 0, 9, 1 },
    { 0, 3, 0, 0, 0, 0, 0 },                  /* JSON: nested, long keys */
    { 0, 3, 3, 0, 0, 0, 7 },
    { 0, 3, 5, 0, 0, 2, 7 },
    { 0, 3, 4, 0, 0, 4, 7 },
    { 0, 3, 11, 1, 0, 8, 8 },                 /* MessagePack: many nils, texts, ext */
    { 0, 3, 9, 1, 0, 0, 8 },
    { 0, 3, 15, 1, 0, 0, 8 },
    { 0, 4, 12, 0, 0, 11 },                   /* very many values in runs */
    { 0, 4, 4, 0, 0, 11 },
    { 0, 4, 2, 0, 0, 0 },
    { 0, 5, 7, 50, 3, 0, 11 },                /* keys that begin alike */
    { 0, 5, 7, 50, 0, 255, 5 },
    { 0, 6, 8, 0, 0, 7, 5 },                  /* differences to a large value */
    { 0, 6, 8 | 32, 0, 0, 7, 5 },
    { 0, 6, 3, 1, 5, 7, 3 },                  /* adaptive models */
    { 0, 6, 139, 1, 5, 7, 3 },
    { 0, 7, 0, 2, 1, 29, 0 },                 /* announcements over and over */
    { 0, 7, 129, 5, 1, 29, 0 },
    { 0, 8, 1, 0, 1, 0 },                     /* answers, and errors */
    { 0, 8, 2, 0, 1, 0 },
    { 0, 8, 6, 60, 0, 0 },
    { 0, 8, 4, 1, 0, 255 },
    { 0, 9, 0, 0, 7, 11 },                    /* runs of runs */
    { 0, 9, 2, 255, 7, 11 },
    { 0, 10, 8, 249, 1, 0 },                  /* a size that wraps in 32 bits */
    { 0, 10, 7, 255, 2, 1 },
};

static void try_known(void) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        try_attack(known[i], (int)sizeof known[i]);
}

/* ---- the search ----------------------------------------------------------------- */

/* A dear attack with a few bytes changed. */
static void climb(script *s) {
    uint8_t bytes[SCRIPT_MOST];
    const attack *from = &dearest[take_below(s, MEASURES)][take_below(s, DEAREST)];
    int changes = 1 + take_below(s, 6), size = from->size + 16;
    if (!from->size || size > SCRIPT_MOST) return;
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, from->script, (size_t)from->size);
    for (int i = 0; i < changes; i++) {
        int at = take16(s) % size, how = take(s), value = take(s);
        bytes[at] = (uint8_t)(how & 1 ? value : how & 2 ? bytes[at] + 1 : bytes[at] - 1);
    }
    try_attack(bytes, size);
}

static void tell_dearest(void) {
    static const char *const measures[] = { "memory (bytes)", "cpu (seconds)", "work (units)" };
    for (int m = 0; m < MEASURES; m++) {
        for (int i = 0; i < DEAREST && dearest[m][i].cost > 0; i++) {
            fprintf(stderr, "dearest %-14s %12.4f  -x ", measures[m], dearest[m][i].cost);
            tell_attack(&dearest[m][i]);
        }
    }
    if (over) fprintf(stderr, "%d attacks over a bound\n", over);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp((*argv)[i], "-cpu") == 0) checks_cpu = true;
        else if (strcmp((*argv)[i], "-report") == 0) only_tells = true;
        else (*argv)[kept++] = (*argv)[i];
    }
    begun = kept == 3 && strcmp((*argv)[1], "-x") == 0;
    *argc = kept;
    (*argv)[kept] = NULL;
    atexit(tell_dearest);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    script s = { NULL, 0, 0 };
    if (!begun) try_known();
    begun = true;
    s.data = data;
    s.size = size > SCRIPT_MOST - 1 ? SCRIPT_MOST - 1 : size;
    if (take_below(&s, 4) == 3) climb(&s);
    else try_attack(data + (s.size > 0), (int)s.size - (s.size > 0));
    return 0;
}
