/* fuzz_tape.c - tapes that say anything

   The first byte chooses: the input is a whole tape, or entries, of which blocks with the right
   checks are made. It is played by an endpoint with handlers and read by the tool's reader. Nothing
   may crash, and a tape ends. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"
#include "../../tools/tape_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct source { const uint8_t *bytes; int size, at; } source;

static int give(void *user, void *out, int size) {
    source *s = (source *)user;
    if (size > s->size - s->at) size = s->size - s->at;
    memcpy(out, s->bytes + s->at, (size_t)size);
    s->at += size;
    return size;
}

static int no_packets(void *user, wisp_packet *packets, int count) {
    return (void)user, (void)packets, (void)count, 0;
}

static void on_anything(wisp_event *event) {
    wisp_value value = wisp_int(1);
    wisp_fire_values(event->w, "echo", wisp_to_all(), &value, 1);
}

typedef struct ball { wisp_vec3 at; int32_t hits; } ball;
static const wisp_field ball_fields[] = {
    WISP_FIELD(ball, at, WISP_T_VEC3),
    WISP_FIELD(ball, hits, WISP_T_INTEGER),
};
static const wisp_schema ball_schema = WISP_SCHEMA(ball, 1, ball_fields);

static void play(const uint8_t *bytes, int size) {
    source from = { bytes, size, 0 };
    wisp_reader reader = { give, &from, NULL };
    wisp_class_desc of;
    wisp_desc desc;
    wisp *w;
    memset(&desc, 0, sizeof desc);
    memset(&of, 0, sizeof of);
    desc.link.send = desc.link.recv = no_packets;
    desc.tick_rate = 20;
    w = wisp_replay(&reader, &desc, NULL);
    if (!w) return;
    of.schema = &ball_schema;
    wisp_define(w, "ball", &of);
    wisp_connect_target(w, wisp_by_name("echo"), on_anything, NULL, false);
    wisp_connect_target(w, wisp_by_name(WISP_JOINED), on_anything, NULL, false);
    for (int i = 0; i < 3000 && wisp_update(w, 0) != WISP_E_CLOSED; i++) continue;
    wisp_destroy(w);
}

static void read_by_itself(const uint8_t *bytes, int size) {
    tape_reader *r = (tape_reader *)calloc(1, sizeof *r);
    if (!r) return;
    if (!tape_read_all(r, bytes, size)) MUST(r->error && r->error_at >= 0 && r->error_at <= size);
    tape_reader_free(r);
    free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { BEGIN = 56, MOST = 60000 };
    static uint8_t tape[MOST + BEGIN + 16];
    int count = (int)size - 1;
    if (size < 2 || size > MOST) return 0;
    memcpy(tape, "wisptape", 8);
    wisp__store_part(tape + 8, WISP__TAPE_VERSION, 4);
    wisp__store_part(tape + 12, wisp__tape_traits(), 4);
    memset(tape + 16, data[0], BEGIN - 16);
    if (data[0] & 1) {
        memcpy(tape + BEGIN, data + 1, (size_t)count);
        count += BEGIN;
    } else {
        wisp__store_part(tape + BEGIN, (uint64_t)count, 4);
        wisp__store_part(tape + BEGIN + 4, (uint64_t)count, 4);
        wisp__store_part(tape + BEGIN + 8, 0, 4);
        memcpy(tape + BEGIN + 16, data + 1, (size_t)count);
        wisp__store_part(tape + BEGIN + 12, wisp__tape_sum(tape + BEGIN, count), 4);
        count += BEGIN + 16;
    }
    play(tape, count);
    read_by_itself(tape, count);
    return 0;
}
