/* fuzz_rollback.c - two players and a spectator, each of which may lie

   The input is a script. Between the ends' own packets it sends records INPUT in the name of any of
   them, well tagged: made by construction from what the sender has, then bent. Ends step, wait, end
   and begin games, and leave. What is promised is watched: the checks of the room hold, no end has
   inputs beyond 64 ticks of its own, a step sees each tick in order, memory stays within a bound
   and comes back. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/test_runner.h"
#include "../support/fuzz_script.h"
#include "../support/bottleneck.h"
#include "../support/rollback_band.h"

enum { OPERATIONS = 200, ENDS = 3, MEMORY_MOST = 4 << 20 };

typedef struct world { script in; band t; account memory; } world;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t take_near(script *in, int64_t tick) {
    int how = take(in);
    return how < 200 ? tick + how % 16 - 8 : how < 240 ? tick + (int8_t)take(in) : take16(in);
}

/* Sends a record in the name of an end. */
static void forge(world *f) {
    uint8_t body[1200];
    wisp__writer to = wisp__writer_on(body, 1000);
    int from = take_below(&f->in, ENDS), other = take_below(&f->in, ENDS), how = take(&f->in);
    int bent = take(&f->in), runs = take_below(&f->in, 4), bytes;
    const wisp *w = f->t.ends[from].w, *at = f->t.ends[other].w;
    band_head head;
    if (from == other || !w || !at || !w->rollback || !at->rollback) return;
    memset(body, 0, sizeof body);
    head = band_head_of(&f->t, from);
    for (int p = 0; p < 8; p++) {
        if (how & 1) head.acked[p] = take_near(&f->in, head.acked[p]);
        if (how & 2) head.ends[p] = take_near(&f->in, head.ends[p]);
    }
    if (how & 2) head.decided = take(&f->in) & (how & 64 ? 255 : 3);
    if (how & 4) head.gone = take(&f->in);
    if (how & 8) head.tick = take_near(&f->in, head.tick);
    if (how & 16) head.ahead = (int8_t)take(&f->in);
    head.hash = (how & 32) != 0;
    head.hash_tick = take_near(&f->in, head.tick) / 10 * 10;
    if (how > 250) head.agreed = 1;
    band_put_head(&f->t, from, &head, &to);
    for (int i = 0; i < runs; i++) {
        int player = take(&f->in) & 1;
        int64_t tick = take_near(&f->in, at->rollback->lines[player]->next);
        band_put_run(&f->t, from, player, tick < 0 ? 0 : tick, take(&f->in) & 31, head.tick, &to);
    }
    wisp__put(&to, 0, 1);
    bytes = (int)((to.at + 7) / 8);
    for (; bent > 230; bent--)
        body[take16(&f->in) % bytes] ^= (uint8_t)(1 << (take(&f->in) & 7));
    band_forge(&f->t, from, other, body, bytes, bent == 77 ? 2 : 1);
}

static void play(world *f) {
    int end = take_below(&f->in, ENDS), what = take(&f->in);
    band_end *e = &f->t.ends[end];
    if (!e->w) return;
    if (what < 120) {
        int steps = 1 + what % 4;
        while (steps-- > 0 && e->playing) band_tick(&f->t.net, f->t.at[end]);
    } else if (what < 140) {
        wisp_rollback_end(e->w);
        e->playing = false;
    } else if (what < 160) {
        e->desc.delay = take(&f->in) & 7;
        e->desc.window = (take(&f->in) & 15) - 1;
        e->desc.save_every = take(&f->in) & 1 ? 0 : 2;
        if (e->w->rollback || !wisp__session_of(e->w, f->t.peers[end][!end])) return;
        for (int k = 0; k < ENDS; k++)
            if (k != end && !wisp__session_of(e->w, f->t.peers[end][k])) return;
        band_begin_one(&f->t, end);
    } else if (what > 252) {
        wisp_leave(e->w, f->t.peers[end][(end + 1) % ENDS], "enough");
    }
}

static void act(world *f) {
    int what = take(&f->in);
    if (what < 100) forge(f);
    else if (what < 150) play(f);
    else band_run(&f->t, what > 253 ? 1.5 : what > 240 ? 0.2 : 0.017);
    for (int i = 0; i < ENDS; i++) {
        const wisp__rollback *rb = f->t.ends[i].w->rollback;
        wisp__rollback_check(f->t.ends[i].w);
        for (int p = 0; rb && p < 2; p++) MUST(rb->lines[p]->next <= rb->tick + 64);
    }
    MUST(f->memory.held < MEMORY_MOST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static world f;
    wisp_desc desc;
    memset(&f, 0, sizeof f);
    memset(&desc, 0, sizeof desc);
    f.in.data = data;
    f.in.size = size;
    desc.memory = memory_allocator(&f.memory);
    band_open_with(&f.t, 2, ENDS, 1, &desc);
    band_join(&f.t);
    for (int i = 0; i < ENDS; i++) f.t.ends[i].desc.timeout = 1;
    band_begin(&f.t);
    band_run(&f.t, 0.2);
    for (int i = 0; i < OPERATIONS && !script_ended(&f.in); i++) act(&f);
    band_close(&f.t);
    MUST(f.memory.held == 0);
    MUST(test_now()->failures == 0);
    return 0;
}
