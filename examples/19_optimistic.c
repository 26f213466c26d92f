/* 19_optimistic.c - acting before the answer: a door that opens at once, and one that does not stay

   Bob opens doors at a server that is 200 ms away. The same handler runs here at once and then over
   there, where locked doors are refused: those close again. What is called later is kept.

   Build    cc -I.. 19_optimistic.c -o optimistic        (Windows: add -lws2_32)
   Run      ./optimistic                                 exits 0 when all was as it should be
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdio.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { LOCKED = WISP_E_USER - 1, DOORS = 3 };

typedef struct door { bool open; int number; } door;

static const wisp_field door_fields[] = {
    WISP_FIELD(door, open, WISP_T_BOOL),
    WISP_FIELD(door, number, WISP_T_RANGE(0, DOORS)),
};
static const wisp_schema door_schema = WISP_SCHEMA(door, 1, door_fields);

typedef struct end { udp_socket socket; wisp_simulator far; wisp *w; wisp_class doors; } end;

static wisp_object door_of(const end *e, int number) {
    for (wisp_object o = wisp_first(e->w, e->doors); o.id; o = wisp_next(e->w, o)) {
        door d;
        if (wisp_view(e->w, o, WISP_NOW, &d) && d.number == number) return o;
    }
    return (wisp_object){ 0 };
}

/* On both ends. `user` is the end. */
static void open_door(wisp_event *event) {
    end *e = event->user;
    int number = (int)wisp_arg_int(event, 0);
    door *d = wisp_object_edit(e->w, door_of(e, number));
    if (d) d->open = true;
    if (number == 1 && wisp_decides(e->w, door_of(e, number)))   /* the server knows better */
        wisp_refuse(event, LOCKED, "door %d is locked", number);
}

static void on_answer(wisp_event *event) {
    printf("answer: %s\n", event->result ? event->text : "yes");
}

static int is_open(const end *e) {
    int bits = 0;
    for (wisp_object o = wisp_first(e->w, e->doors); o.id; o = wisp_next(e->w, o)) {
        door d;
        if (wisp_view(e->w, o, WISP_NOW, &d) && d.open) bits |= 1 << d.number;
    }
    return bits;
}

static bool open_end(end *e, bool server) {
    wisp_desc desc = { .link = udp_link(&e->socket), .app = "doors" };
    wisp_class_desc class_of_doors = { .schema = &door_schema };
    if (!udp_open(&e->socket, "127.0.0.1", 0)) return false;
    e->far.latency = 0.1;
    desc.link = wisp_simulate(&e->far, desc.link);
    if (server) desc.tick_rate = 60;
    e->w = wisp_create(&desc, NULL);
    e->doors = wisp_define(e->w, "door", &class_of_doors);
    return e->doors.id != 0;
}

static void run(end *ends, double seconds) {
    for (double last = udp_seconds() + seconds; udp_seconds() < last;) {
        for (int i = 0; i < 2; i++) {
            ends[i].far.now = udp_seconds();
            wisp_update(ends[i].w, udp_clock(NULL));
        }
    }
}

int main(void) {
    static end ends[2];
    end *server = &ends[0], *bob = &ends[1];
    wisp_call_desc how = { .on_reply = on_answer, .user = bob, .predict = open_door };
    wisp_addr address;
    bool good = open_end(server, true) && open_end(bob, false) &&
                udp_resolve("127.0.0.1", udp_port(&server->socket), &address);
    if (!good) return 1;
    wisp_on_invoke(server->w, "open", open_door, server);
    for (int i = 0; i < DOORS; i++) {
        door d = { false, i };
        wisp_spawn(server->w, server->doors, (wisp_player){ 0 }, &d);
    }
    wisp_join(bob->w, &address, NULL, 0);
    run(ends, 2);
    for (int i = 1; i < DOORS; i++) {
        wisp_value number = wisp_int(i);
        wisp_invoke_values(bob->w, "open", wisp_to_peer(WISP_SERVER), &how, &number, 1);
    }
    run(ends, 0.06);
    printf("after 60 ms Bob sees doors 1 and 2 %s\n", is_open(bob) == 6 ? "open" : "WRONG");
    good = is_open(bob) == 6 && is_open(server) == 0;
    run(ends, 1);
    printf("then the server's answers come: door 1 is %s, door 2 is %s\n",
           is_open(bob) & 2 ? "open" : "closed", is_open(bob) & 4 ? "open" : "closed");
    good = is_open(bob) == 4 && is_open(server) == 4 && good;
    for (int i = 1; i >= 0; i--) wisp_destroy(ends[i].w);
    for (int i = 0; i < 2; i++) wisp_simulator_free(&ends[i].far);
    for (int i = 0; i < 2; i++) udp_close(&ends[i].socket);
    printf("%s\n", good ? "as it should be" : "WRONG");
    return good ? 0 : 1;
}
