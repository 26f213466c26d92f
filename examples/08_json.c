/* 08_json.c - messages that a browser reads: JSON instead of packed bits

   A remote whose codec is JSON carries texts that JSON.parse takes as they are, for a page at the
   other end, or to look at. With a schema they are checked on both ends, and enums go by name.
   The client's codec here is JSON with a window in it: it prints each text that leaves. To the
   server it is JSON, which it must have set as well; a codec is found by its name.

   Build    cc -I.. 08_json.c -o json -lm        (Windows: add -lws2_32)
   Run      ./json                               exits 0 when both messages have come as JSON
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */

#include <stdio.h>
#include <string.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"

/* ---- a struct, and the text that it is --------------------------------- */

typedef int weather;
enum { SUN, RAIN, SNOW };
static const char *const weather_names[] = { "sun", "rain", "snow" };

typedef struct report {
    char      city[21];
    weather   sky;
    double    celsius;
    wisp_vec2 wind;
} report;

static const wisp_field report_fields[] = {
    WISP_FIELD(report, city,    WISP_T_STRING(20)),
    WISP_FIELD(report, sky,     WISP_T_ENUM(weather_names, 3)),
    WISP_FIELD(report, celsius, WISP_T_NUMBER_RANGE(-90, 60)),
    WISP_FIELD(report, wind,    WISP_T_VEC2),
};
static const wisp_schema report_schema = WISP_SCHEMA(report, 1, report_fields);

static const report oslo = { "Oslo", SNOW, -7.5, { 0.5f, -3 } };

/* A codec needs no endpoint: any program makes and reads these texts. */
static bool read_back(const char *text) {
    uint64_t memory[1024];
    wisp_value value;
    const report *r;
    int size = (int)strlen(text);
    if (wisp_decode(wisp_json(), &report_schema, text, size, &value, memory,
                    (int)sizeof memory) != size) return false;
    r = (const report *)value.as.structure.data;
    printf("alone:  %s has %s\n", r->city, weather_names[r->sky]);
    return r->sky == SUN;
}

/* ---- the codec with a window ------------------------------------------- */

static int print_json(const wisp_codec *codec, const wisp_schema *schema, const wisp_value *value,
                      void *out, int capacity) {
    int size = wisp_encode(wisp_json(), schema, value, out, capacity);
    (void)codec;
    if (size > 0) printf("wire:   %.*s\n", size, (const char *)out);
    return size;
}

/* ---- the server: values as always -------------------------------------- */

static void on_report(wisp_event *event) {
    const report *r = (const report *)wisp_arg_struct(event, 0, &report_schema);
    if (!r) return;
    printf("server: %s, %s, %g degrees\n", r->city, weather_names[r->sky], r->celsius);
    ++*(int *)event->user;
}

static void on_chat(wisp_event *event) {
    const wisp_value *text = wisp_field_of(wisp_arg_map(event, 0), "text");
    printf("server: %s\n", text ? wisp_string_of(text, NULL) : "no text");
    ++*(int *)event->user;
}

static void fire_both(wisp *client) {
    wisp_pair words[2];
    words[0].key = "from";
    words[0].value = wisp_string("Zo\xc3\xab");
    words[1].key = "text";
    words[1].value = wisp_string("she said \"hi\"\tto all");
    wisp_fire(client, "report", WISP_SERVER, wisp_struct(&report_schema, &oslo));
    wisp_fire(client, "chat", WISP_SERVER, wisp_map(words, 2));
}

static bool converse(wisp *server, wisp *client, const wisp_addr *address) {
    const wisp_schema_entry entry = { "report", &report_schema, NULL, 0 };
    static wisp_codec window;                       /* lives as long as the endpoint */
    wisp_config config = { 0 };
    int came = 0;
    double end = udp_seconds() + 5;
    window = *wisp_json();
    window.encode = print_json;
    config.encode.codec = wisp_json();
    wisp_use_config(server, &config, NULL);         /* every remote */
    config.encode.codec = &window;
    wisp_use_config(client, &config, NULL);
    wisp_use_schemas(client, &entry, 1);
    wisp_use_schemas(server, &entry, 1);
    wisp_on(server, "report", on_report, &came);
    wisp_on(server, "chat", on_chat, &came);
    wisp_join(client, address, NULL, 0);
    fire_both(client);
    while (came < 2 && udp_seconds() < end) {
        double now = udp_clock(NULL);
        wisp_update(server, now);
        wisp_update(client, now);
    }
    return came == 2;
}

int main(void) {
    udp_socket sockets[2];
    wisp *ends[2] = { NULL, NULL };                 /* server, client */
    wisp_addr address;
    bool good = false;
    int i;
    for (i = 0; i < 2; i++) {
        wisp_desc desc = { 0 };
        desc.link = udp_link(&sockets[i]);
        if (udp_open(&sockets[i], "127.0.0.1", 0)) ends[i] = wisp_create(&desc, NULL);
    }
    if (ends[0] && ends[1] && udp_resolve("127.0.0.1", udp_port(&sockets[0]), &address)) {
        good = converse(ends[0], ends[1], &address);
    }
    if (!read_back("{ \"city\": \"Rome\", \"sky\": \"sun\", \"celsius\": 24, \"wind\": [1, 2] }"))
        good = false;
    for (i = 0; i < 2; i++) wisp_destroy(ends[i]);
    for (i = 0; i < 2; i++) udp_close(&sockets[i]);
    printf(good ? "done\n" : "something is missing\n");
    return good ? 0 : 1;
}
