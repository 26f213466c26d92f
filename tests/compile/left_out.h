/* left_out.h - the program of no_json.c and the like, each of which leaves out what its name says:
   endpoints work, and so does what is not left out; a codec that is left out is as unknown as one
   that nobody has heard of */
#define WISP_IMPLEMENTATION
#include "pair.h"
#include "with_state.h"

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

#ifdef WISP_NO_STATE
static void on_tick(wisp_event *event) {
    tally *seen = event->user;
    if (event->tick > 0) seen->good++;
}

/* Updates a server with objects and a client without, until either the client has left or `most`
   updates are over. */
static bool beside_objects(wisp *client, double *now, int most) {
    for (int i = 0; i < most && (i < 50 || with_state_peers() == 1); i++) {
        *now += 0.01;
        with_state_update(*now);
        wisp_update(client, *now);
    }
    return with_state_peers() == 1;
}

/* A server with objects has a client without: they talk and have the same ticks, and the client is
   sent no object, also when it takes all names: it is told once of the class that it lacks. When it
   is sent one all the same, that is an error. */
static bool without_objects(void (*wrong)(void)) {
    static wisp_pipe empty;
    wisp_pipe pipe = empty;
    wisp_addr address = wisp_loopback_addr(0);
    wisp_desc desc = { 0 };
    tally ticks = { 0, 0 }, beats = { 0, 0 };
    double now = 0;
    bool good = with_state_open(wisp_loopback(&pipe, 0));
    desc.link = wisp_loopback(&pipe, 1);
    wisp *client = wisp_create(&desc, NULL);
    good = good && wisp_join(client, &address, NULL, 0).id;
    wisp_connect_match(client, ".*", on_value, &beats);
    wisp_on_tick(client, on_tick, &ticks);
    good = good && beside_objects(client, &now, 300) && beats.good > 200 && beats.bad == 0
        && ticks.good > 200 && client->base.stats.errors == 1 && with_state_indices() < 40;
    wrong();
    good = good && !beside_objects(client, &now, 300);
    wisp_destroy(client);
    with_state_close();
    wisp_pipe_free(&pipe);
    return good;
}
#endif

#ifdef WISP_NO_SEALED
/* A cipher is refused, and plain sessions are as they were. */
static bool without_seals(void) {
    static const wisp_cipher cipher = { 0 };
    static const char key[WISP_KEY_BYTES];
    wisp_cipher full = cipher;
    wisp_pipe pipe = { 0 };
    wisp_desc desc = { 0 };
    wisp_result why = WISP_OK;
    desc.link = wisp_loopback(&pipe, 0);
    desc.cipher = &cipher;
    if (wisp_create(&desc, &why) || why != WISP_E_ARGUMENT) return false;
    memset(&full, 1, sizeof full);                 /* functions that nobody calls */
    desc.cipher = &full;
    desc.secret_key = key;
    return !wisp_create(&desc, &why) && why == WISP_E_UNSUPPORTED;
}
#endif

#ifdef WISP_NO_TAPE
static int take_nothing(void *user, const void *bytes, int size) {
    (void)user, (void)bytes;
    return size;
}

static int give_nothing(void *user, void *out, int size) {
    (void)user, (void)out, (void)size;
    return 0;
}

static bool without_tapes(void) {
    wisp_writer writer = { take_nothing, NULL, WISP_COMPRESSION_NONE, false, NULL, 0 };
    wisp_reader reader = { give_nothing, NULL, NULL };
    static pair empty;
    pair p = empty;
    wisp_desc desc = { 0 };
    wisp_result why = WISP_OK;
    bool good = pair_open(&p, &desc) && wisp_record(p.server, &writer) == WISP_E_UNSUPPORTED;
    pair_close(&p);
    return good && !wisp_replay(&reader, &desc, &why) && why == WISP_E_UNSUPPORTED;
}
#endif

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
#ifdef WISP_NO_STATE
    good = good && without_objects(with_state_insist) && without_objects(with_state_ask);
#endif
#ifdef WISP_NO_SEALED
    good = good && without_seals();
#endif
#ifdef WISP_NO_TAPE
    good = good && without_tapes();
#endif
    free(snapshot);
    return good && is_unknown("another") && is_there(wisp_bitpack());
}

int main(void) { return pair_verdict("left out", rooms()); }
