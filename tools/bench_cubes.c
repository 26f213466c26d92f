/* bench_cubes.c - 901 cubes of a recorded physics simulation, 60 frames a second, each frame as its
   difference from the one 6 before it, which is what the receiver has acknowledged by then

   Build    cc -std=c99 -O2 -DNDEBUG -I. tools/bench_cubes.c -o build/bench_cubes -lzstd -lm
   Run      build/bench_cubes [quick] [table] [delta] [objects]   where tests/data/cubes.bin.zst is

   A frame of the file is 901 times 8 int32, little-endian: which component of the rotation is the
   largest, the three others in 9 bits, x and y in 18 bits around 0, z in 14, and whether the cube
   interacts. Every frame is read back and compared. `quick` takes a tenth of the frames.

   table    the coder of tables by itself, plainly and adaptively
   delta    wisp_fire of a struct of 901 structs with wisp_use_delta, unreliable, over a link that
            takes a frame each way and datagrams of 16 KiB (an unreliable message has to fit one).
            An ack waits up to 25 ms, so that the frame known to have arrived is 5 back; with 1.5
            frames each way it is 8. .rate is of the values, the first frame included, .on_the_wire
            of all that the server sends
   objects  each cube is an object, edited 60 times a second, over 50 ms each way and 5% loss.
            .on_the_wire is of all datagrams both ways, with 28 bytes of UDP and IP each */
#include "bench.h"

#include <zstd.h>

enum { CUBES = 901, FIELDS = 8, SYMBOLS = CUBES * FIELDS, DISTANCE = 6, CENTRE = 1 << 17 };
enum { FRAMES_PER_SECOND = 60, SLICES = 15, MTU = 16384 };

static const char *const cubes_path = "tests/data/cubes.bin.zst";

/* What a frame says, as the coder has it: no symbol is below 0. */
typedef struct recording {
    uint32_t *symbols;
    int       frames;
} recording;

static const wisp__column columns[FIELDS] = {
    { 2, 1 }, { 9, 0 }, { 9, 0 }, { 9, 0 }, { 18, 0 }, { 18, 0 }, { 14, 0 }, { 1, 1 },
};
static const wisp__table table = { columns, FIELDS, CUBES, NULL, 0, 0 };

static void *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    long length = -1;
    if (file && fseek(file, 0, SEEK_END) == 0) length = ftell(file);
    if (length > 0) bytes = (char *)malloc((size_t)length);
    if (bytes) rewind(file);
    *size = bytes ? fread(bytes, 1, (size_t)length, file) : 0;
    if (file) fclose(file);
    return bytes;
}

static bool read_frame(uint32_t *symbols, const unsigned char *raw) {
    int i;
    for (i = 0; i < SYMBOLS; i++) {
        const unsigned char *b = raw + 4 * i;
        int column = i % FIELDS;
        symbols[i] = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        if (column == 4 || column == 5) symbols[i] += CENTRE;
        if (symbols[i] >> columns[column].bits) return false;
    }
    return true;
}

static void decode_recording(recording *r, const void *packed, size_t packed_size) {
    unsigned long long size = ZSTD_getFrameContentSize(packed, packed_size);
    unsigned char *raw;
    int i;
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) size = 1 << 30;
    raw = (unsigned char *)malloc((size_t)size);
    size = raw ? ZSTD_decompress(raw, (size_t)size, packed, packed_size) : 0;
    r->frames = ZSTD_isError((size_t)size) ? 0 : (int)(size / (4 * SYMBOLS));
    r->symbols = (uint32_t *)malloc(((size_t)r->frames + 1) * SYMBOLS * sizeof *r->symbols);
    if (!r->symbols) r->frames = 0;
    for (i = 0; i < r->frames; i++)
        if (!read_frame(r->symbols + (size_t)i * SYMBOLS, raw + (size_t)i * 4 * SYMBOLS)) break;
    r->frames = i;
    free(raw);
}

/* Once for all sections. */
static const recording *recorded(bool quick) {
    static recording r;
    static recording part;
    size_t size = 0;
    void *packed = r.symbols ? NULL : read_file(cubes_path, &size);
    if (packed) decode_recording(&r, packed, size);
    free(packed);
    if (r.frames == 0) complain("%s cannot be read", cubes_path);
    part = r;
    if (quick) part.frames = r.frames / 10;
    return &part;
}

/* The frame, or zeros before the first. */
static const uint32_t *frame_of(const recording *r, int i) {
    static const uint32_t zeros[SYMBOLS];
    return i < 0 ? zeros : r->symbols + (size_t)i * SYMBOLS;
}

static double kbps(double bytes, int frames) {
    return bytes / frames * 8 * FRAMES_PER_SECOND / 1000;
}

/* ---------------------------------------------------------------------------
 * The coder by itself
 * ------------------------------------------------------------------------ */

/* What a slice of the frames took. */
typedef struct cost {
    double encode, decode;
    double bytes;                             /* of all frames */
} cost;

static void plain_frame(const recording *r, int i, cost *c) {
    static uint8_t bytes[SYMBOLS * 4 + WISP__SLACK];
    static uint32_t out[SYMBOLS];
    const uint32_t *now = frame_of(r, i), *base = frame_of(r, i - DISTANCE);
    double begin = cpu_seconds(), middle;
    wisp__writer to = wisp__writer_on(bytes, SYMBOLS * 4);
    wisp__reader from;
    wisp__table moving = table;
    int size;
    if (i >= DISTANCE) moving.older = frame_of(r, i - 2 * DISTANCE);
    wisp__delta_bits_write(&to, &moving, base, now);
    size = (int)((to.at + 7) / 8);
    middle = cpu_seconds();
    from = wisp__reader_on(bytes, size);
    if (!wisp__delta_bits_read(&from, &moving, base, out)) size = 0;
    c->decode += cpu_seconds() - middle;
    c->encode += middle - begin;
    c->bytes += size;
    if (memcmp(out, now, sizeof out) != 0) complain("cubes.plain: frame %d is not what it was", i);
}

/* What both ends have learned, after each of the last frames. */
typedef struct learned {
    wisp__models *sender[DISTANCE], *receiver[DISTANCE];
} learned;

static void learned_free(learned *l) {
    int i;
    for (i = 0; i < DISTANCE; i++) {
        free(l->sender[i]);
        free(l->receiver[i]);
    }
}

static bool learned_begin(learned *l) {
    int i;
    for (i = 0; i < DISTANCE; i++) {
        l->sender[i] = (wisp__models *)malloc(wisp__models_size(FIELDS));
        l->receiver[i] = (wisp__models *)malloc(wisp__models_size(FIELDS));
        if (!l->sender[i] || !l->receiver[i]) return false;
        wisp__models_init(l->sender[i], columns, FIELDS);
        wisp__models_init(l->receiver[i], columns, FIELDS);
    }
    return true;
}

static void adaptive_frame(const recording *r, int i, learned *l, cost *c) {
    static uint8_t bytes[SYMBOLS * 4];
    static uint32_t out[SYMBOLS];
    const uint32_t *now = frame_of(r, i);
    wisp__adaptive a;
    double begin, middle;
    int k, size;
    memset(&a, 0, sizeof a);
    a.table = table;
    for (k = 0; k < 3 && i >= k * DISTANCE; k++)
        a.held[k] = frame_of(r, i - k * DISTANCE - DISTANCE);
    begin = cpu_seconds();
    a.models = l->sender[i % DISTANCE];
    size = wisp__range_coder_encode(&a, now, bytes, (int)sizeof bytes);
    middle = cpu_seconds();
    a.models = l->receiver[i % DISTANCE];
    if (!wisp__range_coder_decode(&a, out, bytes, size)) size = 0;
    c->decode += cpu_seconds() - middle;
    c->encode += middle - begin;
    c->bytes += size;
    if (memcmp(out, now, sizeof out) != 0)
        complain("cubes.adaptive: frame %d is not what it was", i);
}

static void record_slice(const char *group, cost *c, int frames) {
    record(group, "encode", "us/frame", 0, c->encode * 1e6 / frames);
    record(group, "decode", "us/frame", 0, c->decode * 1e6 / frames);
    c->encode = c->decode = 0;
}

/* Each slice plainly, then adaptively, so that both see the same machine. */
static void run_table(bool quick) {
    const recording *r = recorded(quick);
    cost plain = { 0, 0, 0 }, adaptive = { 0, 0, 0 };
    learned l;
    int slice, i;
    memset(&l, 0, sizeof l);
    if (r->frames > SLICES && learned_begin(&l)) {
        for (slice = 0; slice < SLICES; slice++) {
            int first = r->frames * slice / SLICES, end = r->frames * (slice + 1) / SLICES;
            for (i = first; i < end; i++) plain_frame(r, i, &plain);
            for (i = first; i < end; i++) adaptive_frame(r, i, &l, &adaptive);
            record_slice("cubes.plain", &plain, end - first);
            record_slice("cubes.adaptive", &adaptive, end - first);
        }
        record("cubes.plain", "rate", "kbps", 284, kbps(plain.bytes, r->frames));
        record("cubes.adaptive", "rate", "kbps", 204, kbps(adaptive.bytes, r->frames));
    }
    learned_free(&l);
}

/* ---------------------------------------------------------------------------
 * The same through two endpoints
 * ------------------------------------------------------------------------ */

typedef struct cube {
    int32_t largest, a, b, c, x, y, z, interacting;
} cube;

typedef struct frame {
    cube cubes[CUBES];
} frame;

static const wisp_field cube_fields[] = {
    WISP_FIELD(cube, largest,     WISP_T_RANGE(0, 3)),
    WISP_FIELD(cube, a,           WISP_T_RANGE(0, 511)),
    WISP_FIELD(cube, b,           WISP_T_RANGE(0, 511)),
    WISP_FIELD(cube, c,           WISP_T_RANGE(0, 511)),
    WISP_FIELD(cube, x,           WISP_T_RANGE(-CENTRE, CENTRE - 1)),
    WISP_FIELD(cube, y,           WISP_T_RANGE(-CENTRE, CENTRE - 1)),
    WISP_FIELD(cube, z,           WISP_T_RANGE(0, 16383)),
    WISP_FIELD(cube, interacting, WISP_T_RANGE(0, 1)),
};
static const wisp_schema cube_schema = WISP_SCHEMA(cube, 1, cube_fields);
static const wisp_type cube_type = WISP_T_STRUCT(&cube_schema);
static const wisp_field frame_fields[] = {
    WISP_FIELD(frame, cubes, WISP_T_ARRAY(&cube_type, CUBES)),
};
static const wisp_schema frame_schema = WISP_SCHEMA(frame, 1, frame_fields);

/* A viewer, who sees frame after frame, some ticks late. */
typedef struct viewer {
    const recording *recording;
    int              seen;                    /* the frame expected next, or before one skipped */
    int              received;
} viewer;

static void frame_values(frame *f, const recording *r, int i) {
    const uint32_t *symbols = frame_of(r, i);
    int32_t *values = &f->cubes[0].largest;
    int k;
    for (k = 0; k < SYMBOLS; k++)
        values[k] = (int32_t)symbols[k] - (k % FIELDS == 4 || k % FIELDS == 5 ? CENTRE : 0);
}

/* Frames that are equal to the one before are not sent, so the one that comes is looked for. */
static void on_frame(wisp_event *event) {
    static frame want;
    viewer *v = (viewer *)event->user;
    const frame *got = (const frame *)wisp_arg_struct(event, 0, &frame_schema);
    v->received++;
    for (; got && v->seen < v->recording->frames; v->seen++) {
        frame_values(&want, v->recording, v->seen);
        if (memcmp(&want, got, sizeof want) == 0) break;
    }
    if (!got || v->seen == v->recording->frames)
        complain("cubes: message %d is no frame that was fired", v->received);
}

static bool stage_open(pair *p, bool adaptive) {
    wisp_config config;
    wisp_limits limits;
    int side;
    memset(p, 0, sizeof *p);
    memset(&limits, 0, sizeof limits);
    memset(&config, 0, sizeof config);
    p->step = 1.0 / FRAMES_PER_SECOND;
    p->simulated = true;
    p->pipe.mtu = MTU;
    for (side = SERVER; side < SIDES; side++) {
        p->simulators[side].latency = 1.0 / FRAMES_PER_SECOND;
        p->simulators[side].seed = (uint64_t)side + 1;
    }
    limits.baseline_bytes = 8 << 20;
    if (!pair_open(p, &limits, 1)) return false;
    config.encode.mode = WISP_ENCODE_DELTA;
    config.encode.schema = &frame_schema;
    config.encode.adaptive = adaptive ? WISP_ON : WISP_OFF;
    config.delivery = WISP_UNRELIABLE;
    for (side = SERVER; side < SIDES; side++)
        if (wisp_use_config(p->ends[side], &config, "cubes") != WISP_OK)
            complain("cubes: wisp_use_config: %s", wisp_why_text(p->ends[side]));
    return true;
}

/* All frames, and some more ticks until the last is there. */
static void delta_rows(const char *group, const recording *r, bool adaptive, double goal) {
    static frame now;
    static pair p;
    viewer v = { NULL, 0, 0 };
    uint64_t before;
    wisp_remote_stats stats;
    wisp_result result;
    double seconds = 0, begin;
    int i;
    v.recording = r;
    if (!stage_open(&p, adaptive)) return;
    wisp_connect(p.ends[CLIENT], "cubes", on_frame, &v);
    before = p.taps[SERVER].bytes;
    for (i = 0; i < r->frames; i++) {
        frame_values(&now, r, i);
        begin = cpu_seconds();
        result = wisp_fire(p.ends[SERVER], "cubes", p.peer, wisp_struct(&frame_schema, &now));
        seconds += cpu_seconds() - begin;
        if (result != WISP_OK)
            complain("%s: frame %d: %s", group, i, wisp_result_text(result));
        pair_tick(&p);
    }
    wisp_stats_remote(p.ends[SERVER], "cubes", &stats);
    record(group, "rate", "kbps", goal, kbps((double)stats.bits_sent / 8, r->frames));
    record(group, "on_the_wire", "kbps", 0,
           kbps((double)(p.taps[SERVER].bytes - before), r->frames));
    record(group, "fire", "us/frame", 0, seconds * 1e6 / r->frames);
    for (i = 0; i < 4 * DISTANCE; i++) pair_tick(&p);
    record(group, "received", "%", 0, 100.0 * v.received / r->frames);
    if (v.seen < r->frames - 1) complain("%s: frame %d was the last to come", group, v.seen);
    pair_close(&p);
}

/* ---------------------------------------------------------------------------
 * The same as 901 objects
 * ------------------------------------------------------------------------ */

static bool objects_open(pair *p, wisp_class of[SIDES], bool adaptive) {
    wisp_class_desc desc;
    int side;
    memset(p, 0, sizeof *p);
    p->step = 1.0 / FRAMES_PER_SECOND;
    p->tick_rate = FRAMES_PER_SECOND;
    p->simulated = true;
    for (side = SERVER; side < SIDES; side++) {
        p->simulators[side].latency = 0.05;
        p->simulators[side].loss = 0.05;
        p->simulators[side].seed = (uint64_t)side + 1;
    }
    if (!pair_open(p, NULL, 1)) return false;
    memset(&desc, 0, sizeof desc);
    desc.schema = &cube_schema;
    desc.adaptive = adaptive;
    for (side = SERVER; side < SIDES; side++) {
        of[side] = wisp_define(p->ends[side], "cube", &desc);
        if (!of[side].id) complain("cubes: wisp_define: %s", wisp_why_text(p->ends[side]));
    }
    return true;
}

/* Every object of the server is to be here as it is there. */
static void objects_compare(const char *group, const pair *p, const wisp_object *objects) {
    cube there, here;
    int i;
    for (i = 0; i < CUBES; i++)
        if (!wisp_view(p->ends[SERVER], objects[i], WISP_NOW, &there) ||
            !wisp_view(p->ends[CLIENT], objects[i], WISP_CONFIRMED, &here) ||
            memcmp(&there, &here, sizeof here) != 0)
            complain("%s: object %d is not what it is at the server", group, i);
}

static void objects_rows(const char *group, const recording *r, bool adaptive, double goal) {
    static frame now;
    static pair p;
    wisp_object objects[CUBES];
    wisp_class of[SIDES];
    wisp_player nobody = { 0 };
    uint64_t bytes, datagrams;
    double begin, seconds = 0;
    int i, k;
    if (!objects_open(&p, of, adaptive)) return;
    frame_values(&now, r, 0);
    for (k = 0; k < CUBES; k++)
        objects[k] = wisp_spawn(p.ends[SERVER], of[SERVER], nobody, &now.cubes[k]);
    for (i = 0; i < FRAMES_PER_SECOND; i++) pair_tick(&p);
    bytes = pair_bytes(&p);
    datagrams = p.taps[SERVER].datagrams + p.taps[CLIENT].datagrams;
    for (i = 0; i < r->frames; i++) {
        frame_values(&now, r, i);
        for (k = 0; k < CUBES; k++) {
            cube *to = (cube *)wisp_object_edit(p.ends[SERVER], objects[k]);
            if (to) *to = now.cubes[k];
        }
        begin = cpu_seconds();
        pair_tick(&p);
        seconds += cpu_seconds() - begin;
    }
    bytes = pair_bytes(&p) - bytes;
    datagrams = p.taps[SERVER].datagrams + p.taps[CLIENT].datagrams - datagrams;
    record(group, "on_the_wire", "kbps", goal, kbps((double)(bytes + 28 * datagrams), r->frames));
    record(group, "both_ends", "us/frame", 0, seconds * 1e6 / r->frames);
    for (i = 0; i < FRAMES_PER_SECOND; i++) pair_tick(&p);
    objects_compare(group, &p, objects);
    pair_close(&p);
}

static void run_objects(bool quick) {
    const recording *r = recorded(quick);
    if (r->frames == 0) return;
    objects_rows("cubes.objects", r, false, 330);
    objects_rows("cubes.objects_adaptive", r, true, 260);
}

static void run_delta(bool quick) {
    const recording *r = recorded(quick);
    if (r->frames == 0) return;
    delta_rows("cubes.delta", r, false, 284);
    delta_rows("cubes.delta_adaptive", r, true, 204);
}

int main(int count, char **words) {
    static const section sections[] = { { "table", run_table }, { "delta", run_delta },
                                        { "objects", run_objects } };
    return bench_main("bench_cubes", count, words, sections, 3);
}
