/* left_out.h - the program of no_json.c and the like, each of which leaves out what its name says:
   endpoints work, and so does what is not left out; a codec that is left out is as unknown as one
   that nobody has heard of */
#define WISP_IMPLEMENTATION
#include "pair.h"

/* Writes nothing and reads nil, under the name that is wanted. */
static int write_nothing(const wisp_codec *codec, const wisp_schema *schema,
                         const wisp_value *value, void *out, int capacity) {
    (void)codec, (void)schema, (void)value, (void)out;
    return capacity < 0 ? WISP_E_ARGUMENT : 0;
}

static int read_nil(const wisp_codec *codec, const wisp_schema *schema, const void *bytes, int size,
                    wisp_value *out, void *memory, int memory_size) {
    (void)codec, (void)schema, (void)bytes, (void)memory, (void)memory_size;
    *out = wisp_nil();
    return size;
}

static void on_value(wisp_event *event) {
    tally *seen = event->user;
    if (wisp_arg_int(event, 0) == 7) seen->good++;
    else seen->bad++;
}

static void on_error(wisp_event *event) {
    tally *seen = event->user;
    if (event->result == WISP_E_UNSUPPORTED && strstr(event->text, "codec is not plugged in"))
        seen->good++;
}

/* A server sends in a codec of this name, which its client does not have. */
static bool is_unknown(const char *name) {
    static pair empty;
    pair p = empty;
    tally errors = { 0, 0 }, values = { 0, 0 };
    wisp_desc desc = { 0 };
    wisp_config config = { 0 };
    wisp_codec codec = { 0 };
    bool good = pair_open(&p, &desc);
    codec.name = name;
    codec.encode = write_nothing;
    codec.decode = read_nil;
    config.encode.codec = &codec;
    wisp_connect(p.client, WISP_ERROR, on_error, &errors);
    wisp_connect(p.client, "coded", on_value, &values);
    good = good && wisp_add_codec(p.server, &codec) == WISP_OK
        && wisp_use_config(p.server, &config, "coded") == WISP_OK
        && wisp_fire(p.server, "coded", p.client_peer, wisp_int(7)) == WISP_OK
        && pair_wait(&p, &errors.good, 1) && values.good + values.bad == 0;
    pair_close(&p);
    return good;
}

/* Both ends set a remote's codec, and a value comes through. */
static bool is_there(const wisp_codec *codec) {
    static pair empty;
    pair p = empty;
    tally seen = { 0, 0 };
    wisp_desc desc = { 0 };
    wisp_config config = { 0 };
    wisp_value value = wisp_int(7), out;
    char bytes[64], memory[256];
    int size = wisp_encode(codec, NULL, &value, bytes, (int)sizeof bytes);
    bool good = pair_open(&p, &desc) && size > 0
             && wisp_decode(codec, NULL, bytes, size, &out, memory, (int)sizeof memory) == size;
    config.encode.codec = codec;
    wisp_connect(p.server, "coded", on_value, &seen);
    good = good && wisp_use_config(p.server, &config, "coded") == WISP_OK
        && wisp_use_config(p.client, &config, "coded") == WISP_OK
        && wisp_fire(p.client, "coded", WISP_SERVER, wisp_int(7)) == WISP_OK
        && pair_wait(&p, &seen.good, 1) && seen.bad == 0;
    pair_close(&p);
    return good;
}

static bool rooms(void) {
    wisp_snapshot *snapshot = calloc(1, sizeof *snapshot);
    char text[8];
    bool good = snapshot != NULL;
#ifdef WISP_NO_JSON
    good = good && is_unknown("json")
        && wisp_snapshot_json(snapshot, text, (int)sizeof text) == WISP_E_UNSUPPORTED;
#else
    good = good && is_there(wisp_json())
        && wisp_snapshot_json(snapshot, text, (int)sizeof text) == WISP_E_TOO_BIG;
#endif
#ifdef WISP_NO_MSGPACK
    good = good && is_unknown("msgpack");
#else
    good = good && is_there(wisp_msgpack());
#endif
#ifdef WISP_NO_PROTOBUF
    good = good && is_unknown("protobuf");
#else
    good = good && is_there(wisp_protobuf());
#endif
#ifndef WISP_NO_ENGINE_TYPES
    good = good && wisp_engine_schema("UDim2") && wisp_brick_color_rgb(1004).r > 0.9f;
#endif
#ifndef WISP_NO_OVERLAY
    wisp_overlay_draw(NULL, NULL);
#endif
    free(snapshot);
    return good && is_unknown("another") && is_there(wisp_bitpack());
}

int main(void) { return pair_verdict("left out", rooms()); }
