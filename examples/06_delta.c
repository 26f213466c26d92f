/* 06_delta.c - a server tells a client about fifty entities, whole or only what has changed

   Each entity has a key, so each has a baseline of its own: nothing is sent of those that stand
   still, and only the numbers that differ of those that move. Both are done, over two names.

   Build    cc -I.. 06_delta.c -o delta          (Windows: add -lws2_32)
   Run      ./delta                              exits 0 when the client knows all that is so
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */

#include <stdio.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { ENTITIES = 50, TICKS = 60 };

typedef struct entity {
    uint8_t   id;
    wisp_vec3 position;
    wisp_quat rotation;
    int16_t   health;
    char      state[13];
} entity;

static const wisp_field entity_fields[] = {
    WISP_KEY_FIELD(entity, id, WISP_T_RANGE(0, ENTITIES - 1)),
    WISP_FIELD(entity, position, WISP_T_VEC3_QUANTIZED(-512, 512, 0.01)),
    WISP_FIELD(entity, rotation, WISP_T_QUAT(9)),
    WISP_FIELD(entity, health, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(entity, state, WISP_T_STRING(12)),
};
static const wisp_schema entity_schema = WISP_SCHEMA(entity, 1, entity_fields);

static void place_entities(entity *list) {
    memset(list, 0, ENTITIES * sizeof *list);
    for (int i = 0; i < ENTITIES; i++) {
        list[i].id = (uint8_t)i;
        list[i].position.x = (float)(i % 10) * 8.0f;
        list[i].position.z = (float)(i / 10) * 8.0f;
        list[i].rotation.w = 1;
        list[i].health = 100;
        strcpy(list[i].state, "resting");
    }
}

/* Every fifth walks; now and then one is hurt. */
static void move_entities(entity *list, int tick) {
    for (int i = 0; i < ENTITIES; i += 5) {
        list[i].position.x += 0.05f;
        list[i].position.z += 0.02f * (float)(i % 3);
        strcpy(list[i].state, "walking");
    }
    list[tick % ENTITIES].health--;
}

/* ---- the client -------------------------------------------------------- */

static void on_entity(wisp_event *event) {
    entity *known = (entity *)event->user;
    const entity *e = (const entity *)wisp_arg_struct(event, 0, &entity_schema);
    if (e) known[e->id] = *e;
}

static void on_whole(wisp_event *event) { (void)event; }    /* only its bytes are of interest */
static void on_error(wisp_event *event) {
    printf("error: %s (%s)\n", wisp_result_text(event->result), event->text);
}

/* Positions come in steps of 0.01. */
static bool knows_all(const entity *known, const entity *list) {
    for (int i = 0; i < ENTITIES; i++) {
        float off = known[i].position.x - list[i].position.x;
        bool same = known[i].health == list[i].health && !strcmp(known[i].state, list[i].state);
        if (!same || off > 0.006f || off < -0.006f) return false;
    }
    return true;
}

/* ---- both -------------------------------------------------------------- */

static wisp *open_endpoint(udp_socket *socket, bool joins_only) {
    wisp_desc desc = { 0 };
    if (!udp_open(socket, "127.0.0.1", 0)) return NULL;
    desc.link = udp_link(socket);
    desc.app = "delta";
    desc.refuse_joins = joins_only;
    return wisp_create(&desc, NULL);
}

static void update_for(wisp *server, wisp *client, double seconds) {
    double end = udp_seconds() + seconds;
    do {
        double now = udp_clock(NULL);
        wisp_update(server, now);
        wisp_update(client, now);
    } while (udp_seconds() < end);
}

static unsigned bytes_of(const wisp *server, const char *name) {
    wisp_remote_stats stats;
    wisp_stats_remote(server, name, &stats);
    return (unsigned)(stats.bits_sent / 8);
}

static void play(wisp *server, wisp *client, entity *list) {
    unsigned whole = 0, changes = 0;
    for (int tick = 1; tick <= TICKS; tick++) {
        move_entities(list, tick);
        for (int i = 0; i < ENTITIES; i++) {
            wisp_fire_all(server, "whole", wisp_struct(&entity_schema, &list[i]));
            wisp_fire_all(server, "entity", wisp_struct(&entity_schema, &list[i]));
        }
        update_for(server, client, 1.0 / 60);
        if (tick % 10 == 1)
            printf("tick %2d: %4u bytes whole, %4u as differences\n", tick,
                   bytes_of(server, "whole") - whole, bytes_of(server, "entity") - changes);
        whole = bytes_of(server, "whole");
        changes = bytes_of(server, "entity");
    }
    update_for(server, client, 0.3);
}

int main(void) {
    static entity list[ENTITIES], known[ENTITIES];
    udp_socket server_socket, client_socket;
    wisp *server = open_endpoint(&server_socket, false);
    wisp *client = open_endpoint(&client_socket, true);
    wisp_schema_entry whole = { "whole", &entity_schema, NULL, 0 };
    wisp_addr address;
    bool good = server && client && udp_resolve("127.0.0.1", udp_port(&server_socket), &address);
    if (good) {
        place_entities(list);
        wisp_use_schemas(server, &whole, 1);
        wisp_use_delta(server, &entity_schema, "entity");
        wisp_set_unreliable(server, "entity", true);      /* only the newest matters */
        wisp_on(client, "entity", on_entity, known);
        wisp_on(client, "whole", on_whole, NULL);
        wisp_on(client, WISP_ERROR, on_error, NULL);
        wisp_join(client, &address, NULL, 0);
        update_for(server, client, 0.3);
        play(server, client, list);
        good = knows_all(known, list);
    }
    wisp_destroy(client);
    wisp_destroy(server);
    udp_close(&client_socket);
    udp_close(&server_socket);
    printf(good ? "done\n" : "the client does not know all that is so\n");
    return good ? 0 : 1;
}
