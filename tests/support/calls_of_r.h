/* calls_of_r.h - calls of the name "r", whose replies are noted

   Included after simulated_endpoints.h.
*/
#ifndef CALLS_OF_R_H
#define CALLS_OF_R_H

/* Calls "r"; the reply is noted under that name. */
static inline wisp_call call_from(world *w, wisp *from, wisp_peer to, int64_t number,
                                  double timeout, int tries) {
    wisp_value value = wisp_int(number);
    wisp_call_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.on_reply = world_on;
    desc.user = w;
    desc.timeout = timeout;
    desc.tries = tries;
    return wisp_invoke_values(from, "r", wisp_to_peer(to), &desc, &value, 1);
}

static inline wisp_call call(world_two *t, int64_t number) {
    return call_from(&t->w, t->client, t->to_server, number, 0, 0);
}

/* The client's call has ended once, with this. */
static inline void check_ended(const world_two *t, wisp_result result) {
    CHECK_EQ_INT(world_count(&t->w, t->client, "r"), 1);
    CHECK_EQ_INT(world_last(&t->w, t->client, "r")->result, result);
    CHECK_EQ_INT(world_total(t->client).calls_pending, 0);
}

#endif /* CALLS_OF_R_H */
