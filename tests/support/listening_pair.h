/* listening_pair.h - a pair of endpoints that fire the names "a", "b" and "c"

   Included after simulated_endpoints.h.
*/
#ifndef LISTENING_PAIR_H
#define LISTENING_PAIR_H

/* A pair where the server notes these names, all announced and bound before the test begins. */
static inline void two_listening(world_two *t, const char *const *names, int count) {
    if (t->w.step <= 0) world_open(&t->w);
    world_two_join(t);
    for (int i = 0; i < count; i++) {
        world_watch(&t->w, t->server, names[i]);
        world_fire(t->client, names[i], t->to_server, 0);
    }
    world_run(&t->w, 0.5);
    world_forget(&t->w);
}

static const char *const abc[] = { "a", "b", "c" };

static inline void abc_open(world_two *t) {
    memset(t, 0, sizeof *t);
    two_listening(t, abc, 3);
}

/* The names that the server heard, in order. */
static inline const char *abc_heard(const world_two *t) {
    static char text[512];
    int length = 0;
    for (int i = 0; i < t->w.note_count && length < 511; i++)
        if (t->w.notes[i].end == t->server) text[length++] = t->w.notes[i].name[0];
    text[length] = 0;
    return text;
}

static inline void abc_fire(world_two *t, const char *name, int number) {
    CHECK_EQ_INT(world_fire(t->client, name, t->to_server, number), WISP_OK);
}

/* Bytes in the pipe that the server has not taken yet. */
static inline int in_pipe(const world_two *t) { return t->w.pipe.sides[0]->waiting; }

static inline void set_delivery(wisp *w, const char *name, wisp_delivery delivery, int channel) {
    wisp_config config;
    memset(&config, 0, sizeof config);
    config.delivery = delivery;
    config.channel = WISP_CHANNEL(channel);
    CHECK_EQ_INT(wisp_use_config(w, &config, name), WISP_OK);
}

static inline uint64_t sent_bytes(const world_two *t) {
    return world_total(t->client).bytes_sent;
}

static inline uint64_t sent_packets(const world_two *t) {
    return world_total(t->client).packets_sent;
}

#endif
