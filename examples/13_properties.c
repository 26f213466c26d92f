/* 13_properties.c - a score board that all see: named values, set by the server

   The server has the round, and a table of the players. Ada joins at the beginning, Bob when half
   of it has been played, and both watch: each prints what it is told.

   Build    cc -I.. 13_properties.c -o properties        (Windows: add -lws2_32)
   Run      ./properties                                 exits 0 when all saw the same
*/
#include "udp.h"        /* first: it asks the system headers for more than C99 offers */
#include <stdio.h>
#define WISP_IMPLEMENTATION
#include "wisp.h"

enum { ENDS = 3 };

/* The server or a player: the user pointer of its watchers. */
typedef struct end { const char *name; udp_socket socket; wisp *w; } end;

/* Of the board the line of Ada, and of the round its number. */
static int64_t number_of(const wisp_value *value) {
    const wisp_value *ada = wisp_field_of(value, "Ada");
    return wisp_int_of(ada ? wisp_field_of(ada, "score") : value);
}

static void on_change(wisp_event *event) {
    const end *e = event->user;
    printf("%-6s %s: %d\n", e->name, event->name, (int)number_of(&event->args[0]));
}

static bool open_end(end *e) {
    wisp_desc desc = { .link = udp_link(&e->socket), .app = "board" };
    wisp_property_desc plain = { .schema = NULL };               /* a value of any kind */
    e->w = udp_open(&e->socket, "127.0.0.1", 0) ? wisp_create(&desc, NULL) : NULL;
    if (wisp_property(e->w, "round", &plain) || wisp_property(e->w, "board", &plain)) return false;
    return wisp_watch(e->w, "round|board", on_change, e).id != 0;       /* a pattern: both */
}

/* Updates until all have the server's values. */
static bool agree(end *ends, int count) {
    const char *const names[] = { "round", "board" };
    for (double last = udp_seconds() + 10; udp_seconds() < last;) {
        int same = 0;
        for (int i = 0; i < count; i++) wisp_update(ends[i].w, udp_clock(NULL));
        for (int i = 0; i < count; i++)
            for (int k = 0; k < 2; k++) {
                const wisp_value *there = wisp_get(ends[0].w, names[k]);
                const wisp_value *here = wisp_get(ends[i].w, names[k]);
                same += there && here && wisp_equal(there, here);
            }
        if (same == 2 * count) return true;
    }
    return false;
}

int main(void) {
    static end ends[ENDS] = { { .name = "server" }, { .name = "Ada" }, { .name = "Bob" } };
    wisp_value zero = wisp_int(0);
    wisp_pair line = { "score", zero };
    wisp_pair lines[2] = { { "Ada", wisp_map(&line, 1) }, { "Bob", wisp_map(&line, 1) } };
    wisp_addr address;
    bool good = open_end(&ends[0]) && open_end(&ends[1]) && open_end(&ends[2]);
    wisp *server = ends[0].w;
    if (!good || !udp_resolve("127.0.0.1", udp_port(&ends[0].socket), &address)) return 1;
    wisp_set(server, "round", wisp_int(1));                      /* C11 and C++ take a plain 1 */
    wisp_set(server, "board", wisp_map(lines, 2));
    wisp_join(ends[1].w, &address, NULL, 0);
    good = agree(ends, 2);
    for (int i = 1; good && i <= 4; i++) {
        good = wisp_set_in(server, "board", "Ada.score", wisp_int(10 * i)) == WISP_OK;
        if (i == 2) wisp_join(ends[2].w, &address, NULL, 0);
        good = good && agree(ends, i < 2 ? 2 : 3);
    }
    if (wisp_set(ends[2].w, "round", wisp_int(9)) == WISP_OK) good = false;
    printf("%-6s %s\n", ends[2].name, wisp_why_text(ends[2].w));
    good = good && agree(ends, ENDS);
    for (int i = ENDS; i-- > 0;) wisp_destroy(ends[i].w);
    return good ? 0 : 1;
}
