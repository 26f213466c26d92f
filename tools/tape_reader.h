/* tape_reader.h - reads a tape by itself, without an endpoint

   Included after the implementation of wisp.h. Everything on the tape may be malicious: numbers are
   checked, and what is deeper than 16 types or larger than the tape is refused. */
#ifndef TAPE_READER_H
#define TAPE_READER_H

#ifdef WISP_WITH_LZ4
#include <lz4.h>
#endif

enum { TAPE_NAMES = 1 << 16, TAPE_ARGS = 8192, TAPE_FIELDS = 65536 };

typedef struct tape_line {
    double time;
    int64_t tick;
    bool inside;              /* in a handler */
    const char *what, *name, *args;
    long peer;                /* -1: of none */
    int bytes;                /* on the tape */
} tape_line;

typedef struct tape_packet {
    double time;
    int64_t tick;
    bool out;
    wisp_addr addr;
    const uint8_t *data;
    int bytes;
} tape_packet;

typedef struct tape_name { char *name; const uint8_t *schema; int schema_bytes; } tape_name;

typedef struct tape_reader {
    void (*line)(void *user, const tape_line *line);
    void (*packet)(void *user, const tape_packet *packet);
    void (*block)(void *user, const uint8_t *bytes, int count, double time, int64_t tick);
    void *user;
    const char *error;
    int error_at;
    double time;
    int64_t steps, step, tick;
    tape_name names[TAPE_NAMES];
    uint8_t *blocks[TAPE_NAMES];      /* that names point into */
    int block_count, name_end;
    char args[TAPE_ARGS];
    int at;
} tape_reader;

static inline void tape_say(tape_reader *r, const char *text) {
    int length = (int)strlen(text);
    if (length > TAPE_ARGS - 1 - r->at) length = TAPE_ARGS - 1 - r->at;
    memcpy(r->args + r->at, text, (size_t)length);
    r->at += length;
    r->args[r->at] = 0;
}

/* A text as JSON. */
static inline void tape_say_text(tape_reader *r, const char *text, int length) {
    char one[8];
    tape_say(r, "\"");
    for (int i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = c >= ' ' && c < 127 && c != '"' && c != '\\';
        snprintf(one, sizeof one, plain ? "%c" : "\\u%04x", c);
        tape_say(r, one);
    }
    tape_say(r, "\"");
}

static inline void tape_say_number(tape_reader *r, double number) {
    char text[40];
    snprintf(text, sizeof text, wisp__is_finite(number) ? "%.9g" : "null", number);
    tape_say(r, text);
}

static inline void tape_say_whole(tape_reader *r, long long number) {
    char text[32];
    snprintf(text, sizeof text, "%lld", number);
    tape_say(r, text);
}

static inline void tape_say_floats(tape_reader *r, const uint8_t *at, int count) {
    for (int i = 0; i < count; i++) {
        float f;
        memcpy(&f, at + 4 * i, 4);
        tape_say(r, i ? "," : "[");
        tape_say_number(r, (double)f);
    }
    tape_say(r, "]");
}

/* --- structs: a layout beside the bytes --- */

static inline bool tape_struct(tape_reader *r, wisp__from *layout, wisp__from data, int depth);

/* Bytes at a place of a struct; NULL: outside of it. */
static inline const uint8_t *tape_part(wisp__from data, uint64_t offset, uint64_t bytes) {
    uint64_t all = (uint64_t)(data.end - data.at);
    return offset <= all && bytes <= all - offset ? data.at + offset : NULL;
}

static inline int64_t tape_integer(const uint8_t *at, int bytes, bool is_signed) {
    return at && (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8)
               ? wisp__load_int(at, bytes, is_signed) : 0;
}

/* A member by its type; `bytes` 0: the type is only skipped. */
static inline bool tape_member(tape_reader *r, wisp__from *layout, const uint8_t *at, int bytes,
                               int depth) {
    uint64_t kind = wisp__bytes_number(layout), own = wisp__bytes_number(layout);
    uint64_t max = wisp__bytes_number(layout);
    wisp__from data = { at, at ? at + bytes : at, false };
    int i = 0;
    if (layout->failed || depth > 16 || max > TAPE_FIELDS) return false;
    (void)own;
    if (kind == WISP_TYPE_STRUCT) return tape_struct(r, layout, data, depth + 1);
    if (kind == WISP_TYPE_ARRAY || kind == WISP_TYPE_UNION) {
        for (uint64_t k = 0; k < (kind == WISP_TYPE_ARRAY ? 1 : max); k++)
            if (!tape_member(r, layout, NULL, 0, depth + 1)) return false;
    } else if (kind == WISP_TYPE_ENUM) {
        for (uint64_t k = 0; k < max; k++) wisp__bytes_take(layout, wisp__bytes_number(layout));
    }
    if (layout->failed) return false;
    if (!at) return true;
    if (kind == WISP_TYPE_STRING) {
        while (i < bytes && at[i]) i++;
        tape_say_text(r, (const char *)at, i);
    } else if (kind >= WISP_TYPE_VEC2 && kind <= WISP_TYPE_COLOR && bytes % 4 == 0 && bytes <= 28) {
        tape_say_floats(r, at, bytes / 4);
    } else if ((kind == WISP_TYPE_NUMBER || kind == WISP_TYPE_NUMBER_RANGE ||
                kind == WISP_TYPE_QUANTIZED) && bytes == 4) {
        float f;
        memcpy(&f, at, 4);
        tape_say_number(r, (double)f);
    } else if ((kind == WISP_TYPE_NUMBER || kind == WISP_TYPE_NUMBER_RANGE ||
                kind == WISP_TYPE_QUANTIZED) && bytes == 8) {
        double d;
        memcpy(&d, at, 8);
        tape_say_number(r, d);
    } else if (bytes <= 8 && kind != WISP_TYPE_BYTES) {
        tape_say_whole(r, tape_integer(at, bytes, kind == WISP_TYPE_INTEGER ||
                                                      kind == WISP_TYPE_RANGE));
    } else {
        tape_say_text(r, (const char *)at, bytes);
    }
    return true;
}

static inline bool tape_struct(tape_reader *r, wisp__from *layout, wisp__from data, int depth) {
    uint64_t count;
    const char *name;
    wisp__bytes_take(layout, wisp__bytes_number(layout));
    wisp__bytes_number(layout);
    count = wisp__bytes_number(layout);
    if (layout->failed || count > TAPE_FIELDS) return false;
    if (data.at) tape_say(r, "{");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t length = wisp__bytes_number(layout), offset, bytes;
        name = (const char *)wisp__bytes_take(layout, length);
        offset = wisp__bytes_number(layout);
        bytes = wisp__bytes_number(layout);
        wisp__bytes_number(layout);
        wisp__bytes_number(layout);
        if (layout->failed || bytes > INT32_MAX) return false;
        if (data.at && i) tape_say(r, ",");
        if (data.at) tape_say_text(r, name, (int)(length ? length - 1 : 0));
        if (data.at) tape_say(r, ":");
        if (data.at && !tape_part(data, offset, bytes)) return false;
        if (!tape_member(r, layout, data.at ? tape_part(data, offset, bytes) : NULL, (int)bytes,
                         depth)) return false;
    }
    if (data.at) tape_say(r, "}");
    return true;
}

/* Bytes of the structs of a schema; 0: it is none. */
static inline uint64_t tape_struct_bytes(const tape_name *name) {
    wisp__from layout = { name->schema, name->schema + name->schema_bytes, false };
    if (!name->schema) return 0;
    wisp__bytes_take(&layout, wisp__bytes_number(&layout));
    return wisp__bytes_number(&layout);
}

static inline bool tape_say_struct(tape_reader *r, const tape_name *name, const uint8_t *at,
                                   uint64_t bytes) {
    wisp__from layout = { name->schema, name->schema + name->schema_bytes, false };
    wisp__from data = { at, at + bytes, false };
    return at && bytes && tape_struct(r, &layout, data, 0);
}

/* --- values --- */

static inline bool tape_value(tape_reader *r, wisp__from *from, const tape_name *name) {
    const uint8_t *at = wisp__bytes_take(from, 1);
    wisp_kind kind = at && *at <= WISP_STRUCT ? (wisp_kind)*at : WISP_NIL;
    uint64_t bytes = wisp__member_bytes(kind);
    if (kind == WISP_INT) tape_say_whole(r, wisp__tape_get_sign(from));
    if (kind == WISP_INT) return !from->failed;
    if (wisp__kind_has_bytes(kind)) bytes = wisp__bytes_number(from);
    if (kind == WISP_STRUCT && !name) return false;
    if (kind == WISP_STRUCT) bytes = tape_struct_bytes(name);
    at = wisp__bytes_take(from, bytes);
    if (!at || bytes > INT32_MAX) return false;
    if (kind == WISP_STRUCT) return tape_say_struct(r, name, at, bytes);
    if (kind == WISP_NIL) tape_say(r, "null");
    else if (kind == WISP_BOOL) tape_say(r, *at ? "true" : "false");
    else if (wisp__kind_has_bytes(kind)) tape_say_text(r, (const char *)at, (int)bytes);
    else if (kind == WISP_UINT || kind == WISP_OBJECT)
        tape_say_whole(r, wisp__load_int(at, (int)bytes, false));
    else if (kind == WISP_NUMBER) tape_say_number(r, wisp__bits_double(wisp__load64(at)));
    else if (bytes == 4) tape_say_number(r, (double)wisp__bits_float((uint32_t)wisp__load_part(at,
                                                                                               4)));
    else tape_say_floats(r, at, (int)bytes / 4);
    return true;
}

/* Values of the self-describing form. */
static inline bool tape_packed(tape_reader *r, const uint8_t *at, int bytes) {
    wisp__base base;
    wisp__arena arena = { NULL, NULL, 0 };
    wisp__reader shape, data;
    wisp__unpacker u;
    const wisp_value *values = NULL;
    uint8_t *copy = (uint8_t *)calloc(1, (size_t)bytes + 64);
    int count = 0;
    bool good = copy != NULL;
    memset(&base, 0, sizeof base);
    wisp__allocator_defaults(&base.memory);
    wisp__limits_defaults(&base.limits, 1);
    if (!good) return false;
    memcpy(copy, at, (size_t)bytes);
    shape = data = wisp__reader_on(copy, bytes);
    u = wisp__unpacker_alone(&base);
    u.arena = &arena;
    u.shape = &shape;
    u.data = &data;
    u.values = 65536;
    wisp__skip_shape(&data);
    good = !data.failed && !wisp__unpack(&u, &values, &count);
    for (int i = 0; i < count && good; i++) {
        char *json = (char *)malloc(TAPE_ARGS);
        int length = json ? wisp_encode(wisp_json(), NULL, &values[i], json, TAPE_ARGS - 1) : 0;
        if (length > 0) json[length] = 0;
        tape_say(r, i ? "," : "");
        tape_say(r, length > 0 ? json : "\"..\"");
        free(json);
    }
    wisp__arena_free(&base, &arena);
    free(copy);
    return good;
}

static inline bool tape_values(tape_reader *r, wisp__from *from, const tape_name *name) {
    uint64_t count = wisp__bytes_number(from), bytes = count & 1 ? wisp__bytes_number(from) : 0;
    const uint8_t *at;
    if (count & 1) {
        at = wisp__bytes_take(from, bytes);
        return at && bytes < INT32_MAX && (!bytes || tape_packed(r, at, (int)bytes));
    }
    if (count > 32) return false;
    for (uint64_t i = 0; i < count / 2; i++) {
        if (i) tape_say(r, ",");
        if (!tape_value(r, from, name)) return false;
    }
    return !from->failed;
}

/* --- notes --- */

/* One argument; `line` gets the name and the peer. */
static inline bool tape_argument(tape_reader *r, char letter, wisp__from *from, tape_line *line,
                                 const tape_name **name) {
    uint64_t number = strchr("ru", letter) ? wisp__bytes_number(from) : 0, mode, bytes;
    const uint8_t *at = NULL;
    bool blob = strchr("sbar", letter) != NULL;
    bytes = blob ? wisp__bytes_number(from) : letter == 'd' ? 8 : letter == '3' ? 12 : 0;
    if (bytes) at = wisp__bytes_take(from, bytes);
    if (letter == 't') {
        mode = wisp__bytes_number(from);
        number = wisp__bytes_number(from);
        if (mode >= WISP__TO_NEAR) wisp__bytes_take(from, wisp__bytes_number(from));
        if (mode == WISP__TO_PEER) line->peer = (long)number;
        return !from->failed;
    }
    if (from->failed || bytes > INT32_MAX || (strchr("sr", letter) && at && at[bytes - 1]))
        return false;
    if (letter == 'r') {
        for (int i = 1; at && !number && i < r->name_end; i++)    /* begun in the middle */
            if (r->names[i].name && strcmp(r->names[i].name, (const char *)at) == 0)
                number = (uint64_t)i;
        *name = number > 0 && number < TAPE_NAMES && r->names[number].name ? &r->names[number]
                                                                          : NULL;
        line->name = at ? (const char *)at : *name ? (*name)->name : "?";
        return true;
    }
    if (r->at && letter != 'v') tape_say(r, ",");
    if (letter == 'v') {
        int before = r->at;
        bool good;
        if (before) tape_say(r, ",");
        good = tape_values(r, from, *name);
        if (r->at == before + 1) r->at = before;           /* there are none */
        r->args[r->at] = 0;
        return good;
    }
    if (letter == 'u') tape_say_whole(r, (long long)number);
    else if (letter == 'i') tape_say_whole(r, wisp__tape_get_sign(from));
    else if (letter == 'd') tape_say_number(r, wisp__bits_double(wisp__load64(at)));
    else if (letter == '3') tape_say_floats(r, at, 3);
    else if (letter == 'b' && *name && bytes && bytes == tape_struct_bytes(*name))
        return tape_say_struct(r, *name, at, bytes);
    else tape_say_text(r, at ? (const char *)at : "", (int)(letter == 's' && bytes ? bytes - 1
                                                                                  : bytes));
    return !from->failed;
}

static inline bool tape_learn(tape_reader *r, wisp__from from) {
    uint64_t number = wisp__bytes_number(&from), bytes = wisp__bytes_number(&from);
    const uint8_t *text = wisp__bytes_take(&from, bytes);
    tape_name *name = &r->names[number < TAPE_NAMES ? number : 0];
    if (from.failed || !bytes || number >= TAPE_NAMES || text[bytes - 1]) return false;
    for (int i = 1; !number; i++) {                /* that of the same name, or the next */
        if (i == TAPE_NAMES) return false;
        if (r->names[i].name && strcmp(r->names[i].name, (const char *)text) != 0) continue;
        name = &r->names[i];
        break;
    }
    if (name >= r->names + r->name_end) r->name_end = (int)(name - r->names) + 1;
    free(name->name);
    name->name = (char *)malloc((size_t)bytes);
    if (name->name) memcpy(name->name, text, (size_t)bytes);
    name->schema = from.end - from.at > 1 ? from.at : NULL;
    name->schema_bytes = (int)(from.end - from.at);
    return name->name != NULL;
}

static inline bool tape_note_line(tape_reader *r, const wisp__tape_entry *e) {
    wisp__from from = e->body;
    tape_line line = { r->time, r->tick, (e->kind & WISP__TAPE_INSIDE) != 0, "", "", r->args, -1,
                       e->size };
    const tape_name *name = NULL;
    uint64_t bytes = wisp__bytes_number(&from);
    const char *form = (const char *)wisp__bytes_take(&from, bytes), *letter;
    char what[32];
    if (!form || !bytes || form[bytes - 1] || !(letter = strchr(form, ':')) || letter - form > 30)
        return false;
    if (strncmp(form, "name:", 5) == 0) return tape_learn(r, from);
    memcpy(what, form, (size_t)(letter - form));
    what[letter - form] = 0;
    line.what = what;
    r->at = 0;
    r->args[0] = 0;
    for (int i = 0; *++letter; i++) {
        bool peer = i == 1 && strcmp(what, "handler") == 0;
        wisp__from ahead = from;
        if (peer) line.peer = (long)wisp__bytes_number(&ahead);
        if (!tape_argument(r, *letter, &from, &line, &name)) return false;
    }
    if (r->line) r->line(r->user, &line);
    return true;
}

/* --- packets, updates, blocks --- */

static inline bool tape_packets(tape_reader *r, wisp__from from, bool out) {
    int64_t count = out ? 1 : wisp__tape_get_sign(&from);
    for (int64_t i = 0; i < count && from.at < from.end; i++) {
        tape_packet p = { r->time, r->tick, out, { { 0 } }, NULL, 0 };
        const uint8_t *addr = wisp__bytes_take(&from, sizeof p.addr);
        uint64_t bytes = wisp__bytes_number(&from);
        if (addr) memcpy(&p.addr, addr, sizeof p.addr);
        p.data = wisp__bytes_take(&from, bytes);
        if (!p.data || bytes > 65535 - 28) return false;
        p.bytes = (int)bytes;
        if (r->packet) r->packet(r->user, &p);
    }
    return !from.failed;
}

static inline void tape_update(tape_reader *r, wisp__tape_entry e) {
    bool raw = !(e.kind & 128) && wisp__bytes_number(&e.body) != 0;
    const uint8_t *at = raw ? wisp__bytes_take(&e.body, 8) : NULL;
    if (raw) {
        r->time = at ? wisp__bits_double(wisp__load64(at)) : r->time;
        r->steps = wisp__tape_steps(r->time);
        r->step = 0;
        return;
    }
    r->step += e.kind & 128 ? (e.kind & 63) - (e.kind & 64)
                            : wisp__tape_get_sign(&e.body) % (INT64_C(1) << 50);
    r->step %= INT64_C(1) << 50;
    r->steps = (r->steps + r->step) % (INT64_C(1) << 52);
    r->time = (double)r->steps / 131072;
}

/* The entries of a block; returns the offset of one that is malformed, or -1. */
static inline int tape_entries(tape_reader *r, const uint8_t *bytes, int size) {
    for (int at = 0; at < size;) {
        wisp__tape_entry e = wisp__tape_entry_at(bytes + at, bytes + size);
        bool good = e.size > 0;
        if (good && (e.kind & 128 || wisp__tape_is(&e, WISP__TAPE_UPDATE))) tape_update(r, e);
        else if (wisp__tape_is(&e, WISP__TAPE_TICK))
            r->tick = (r->tick + wisp__tape_get_sign(&e.body) % (INT64_C(1) << 50)) %
                      (INT64_C(1) << 52);
        else if (wisp__tape_is(&e, WISP__TAPE_PACKETS)) good = tape_packets(r, e.body, false);
        else if (wisp__tape_is(&e, WISP__TAPE_OUT)) good = tape_packets(r, e.body, true);
        else if (wisp__tape_is(&e, WISP__TAPE_NOTE)) good = tape_note_line(r, &e);
        if (!good) return at;
        at += e.size;
    }
    return -1;
}

static inline bool tape_fail(tape_reader *r, const char *error, int at) {
    r->error = error;
    r->error_at = at;
    return false;
}

/* Bytes that a block has unpacked to; -1: this program cannot, or it is damaged. */
static inline int tape_unpack(int method, const uint8_t *from, int stored, uint8_t *to, int size) {
    if (method == WISP__RUNS) return wisp__runs_unpack(from, stored, to, size);
#ifdef WISP_WITH_LZ4
    if (method == WISP__LZ4)
        return LZ4_decompress_safe((const char *)from, (char *)to, stored, size);
#endif
    if (method != WISP__STORED || stored != size) return -1;
    memcpy(to, from, (size_t)size);
    return size;
}

static inline bool tape_can_unpack(int method) {
#ifdef WISP_WITH_LZ4
    if (method == WISP__LZ4) return true;
#endif
    return method == WISP__STORED || method == WISP__RUNS;
}

static inline bool tape_one_block(tape_reader *r, const uint8_t *bytes, int left, int at,
                                  int *stored) {
    uint32_t size;
    uint8_t *out;
    int bad;
    if (left < WISP__TAPE_HEAD) return tape_fail(r, "torn", at);
    *stored = (int)(wisp__load_part(bytes, 4) & INT32_MAX);
    size = (uint32_t)wisp__load_part(bytes + 4, 4);
    if (*stored > left - WISP__TAPE_HEAD) return tape_fail(r, "torn", at);
    if (!size || size / 256 > (uint32_t)*stored || size > 1 << 29 || r->block_count == TAPE_NAMES ||
        wisp__tape_sum(bytes, *stored) != (uint32_t)wisp__load_part(bytes + 12, 4))
        return tape_fail(r, "damaged", at);
    if (!tape_can_unpack(bytes[8]))
        return tape_fail(r, "packed by a compressor of the program", at);
    out = (uint8_t *)malloc(size + 64);
    if (!out) return tape_fail(r, "too large", at);
    r->blocks[r->block_count++] = out;
    if (tape_unpack(bytes[8], bytes + WISP__TAPE_HEAD, *stored, out, (int)size) != (int)size)
        return tape_fail(r, "damaged", at);
    bad = tape_entries(r, out, (int)size);
    if (bad >= 0) return tape_fail(r, "malformed", at + WISP__TAPE_HEAD + bad);
    if (r->block) r->block(r->user, bytes, *stored + WISP__TAPE_HEAD, r->time,
                           r->tick);
    return true;
}

/* false: r->error and error_at say why, and where. */
static inline bool tape_read_all(tape_reader *r, const uint8_t *bytes, int size) {
    int at = 16 + 8 * 5, stored = 0;
    if (size < at || memcmp(bytes, "wisptape", 8) != 0) return tape_fail(r, "no tape", 0);
    if (wisp__load_part(bytes + 8, 4) != WISP__TAPE_VERSION ||
        wisp__load_part(bytes + 12, 4) != wisp__tape_traits())
        return tape_fail(r, "of another version or machine", 8);
    if (r->block) r->block(r->user, bytes, at, -1e300, 0);
    for (; at < size; at += stored + WISP__TAPE_HEAD)
        if (!tape_one_block(r, bytes + at, size - at, at, &stored)) return false;
    return true;
}

static inline void tape_reader_free(tape_reader *r) {
    for (int i = 0; i < TAPE_NAMES; i++) free(r->names[i].name);
    for (int i = 0; i < r->block_count; i++) free(r->blocks[i]);
}

#endif
