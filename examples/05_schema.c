/* 05_schema.c - a C struct as a message: packed, checked, and brought up to date on its way

   The server knows version 2 of a struct, and the client is an old one that knows version 1. What
   the client fires arrives as version 2. What is outside the schema is refused where it is fired,
   with the name of the field; and what a client sends past its own schema is refused over there.

   Build    cc -I.. 05_schema.c -o schema -lm    (Windows: add -lws2_32)
   Run      ./schema                             exits 0 when all of it has been seen
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */

#include <stdio.h>

#define WISP_IMPLEMENTATION
#include "wisp.h"

/* ---- the client's version ---------------------------------------------- */

typedef struct hero_1 {
    float    hp;
    uint32_t gold;
    char     name[21];
} hero_1;

static const wisp_field hero_1_fields[] = {
    WISP_FIELD(hero_1, hp,   WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_FIELD(hero_1, gold, WISP_T_RANGE(0, 100000)),
    WISP_FIELD(hero_1, name, WISP_T_STRING(20)),
};
static const wisp_schema hero_1_schema = WISP_SCHEMA(hero_1, 1, hero_1_fields);

/* ---- the server's: hp is called health, and there is mana --------------- */

typedef struct hero_2 {
    float    health, mana;
    uint32_t gold;
    char     name[21];
} hero_2;

static const wisp_field hero_2_fields[] = {
    WISP_FIELD(hero_2, health, WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_FIELD(hero_2, mana,   WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_FIELD(hero_2, gold,   WISP_T_RANGE(0, 100000)),
    WISP_FIELD(hero_2, name,   WISP_T_STRING(20)),
};
static const wisp_schema hero_2_schema = WISP_SCHEMA(hero_2, 2, hero_2_fields);

/* What matches by name comes over by itself; a step does the rest. */
static wisp_result to_version_2(wisp_edit *hero, void *user) {
    wisp_result result = wisp_edit_rename(hero, "hp", "health");
    (void)user;
    return result ? result : wisp_edit_set(hero, "mana", wisp_int(50));
}
static const wisp_migration steps[] = { { 1, to_version_2, NULL } };

/* ---- what happens ------------------------------------------------------ */

typedef struct seen { int heroes, refused_here, refused_there; } seen;

static void on_hero(wisp_event *event) {
    const hero_2 *hero = (const hero_2 *)wisp_arg_struct(event, 0, &hero_2_schema);
    if (!hero) return;
    printf("server: %s has %g health, %g mana, %u gold\n", hero->name, (double)hero->health,
           (double)hero->mana, (unsigned)hero->gold);
    ((seen *)event->user)->heroes++;
}

static void on_error(wisp_event *event) {
    printf("server: %s (%s)\n", wisp_result_text(event->result), event->text);
    if (event->result == WISP_E_INVALID) ((seen *)event->user)->refused_there++;
}

static void fire_heroes(wisp *client, seen *s) {
    hero_1 hero = { 72.5f, 1200, "Ada" };
    wisp_value value = wisp_struct(&hero_1_schema, &hero);
    char bytes[64];
    int packed = wisp_encode(wisp_bitpack(), &hero_1_schema, &value, bytes, (int)sizeof bytes);
    printf("client: a struct of %d bytes is packed into %d\n", (int)sizeof hero, packed);
    wisp_fire(client, "hero", WISP_SERVER, value);

    hero.hp = 1000;
    if (wisp_fire(client, "hero", WISP_SERVER, value) == WISP_E_INVALID) {
        printf("client: not sent: %s\n", wisp_why_text(client));
        s->refused_here++;
    }
}

/* A client that has been tampered with need not ask its own schema: it sends any map. */
static void fire_nonsense(wisp *client) {
    wisp_config plain = { 0 };
    wisp_pair pairs[2];
    plain.encode.mode = WISP_ENCODE_BASIC;
    wisp_use_config(client, &plain, "hero");
    pairs[0].key = "health";
    pairs[0].value = wisp_string("a lot");
    pairs[1].key = "name";
    pairs[1].value = wisp_string("Mallory");
    wisp_fire(client, "hero", WISP_SERVER, wisp_map(pairs, 2));
}

static bool converse(wisp *server, wisp *client, const wisp_addr *address) {
    const wisp_schema_entry here = { "hero", &hero_2_schema, steps, 1 };
    const wisp_schema_entry there = { "hero", &hero_1_schema, NULL, 0 };
    seen s = { 0, 0, 0 };
    bool tampered = false;
    double end = udp_seconds() + 5;
    wisp_use_schemas(server, &here, 1);
    wisp_use_schemas(client, &there, 1);
    wisp_on(server, "hero", on_hero, &s);
    wisp_on(server, WISP_ERROR, on_error, &s);
    wisp_join(client, address, NULL, 0);
    fire_heroes(client, &s);
    while (!s.refused_there && udp_seconds() < end) {
        double now = udp_clock(NULL);
        wisp_update(server, now);
        wisp_update(client, now);
        if (s.heroes && !tampered) fire_nonsense(client);
        tampered = s.heroes > 0;
    }
    return s.heroes == 1 && s.refused_here == 1 && s.refused_there == 1;
}

int main(void) {
    udp_socket sockets[2];
    wisp *ends[2] = { NULL, NULL };                /* server, client */
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
    for (i = 0; i < 2; i++) wisp_destroy(ends[i]);
    for (i = 0; i < 2; i++) udp_close(&sockets[i]);
    printf(good ? "done\n" : "something is missing\n");
    return good ? 0 : 1;
}
