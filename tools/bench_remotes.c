/* bench_remotes.c - bytes of remotes as games use them: lists of small structs, flags, repeats

   Build    cc -std=c99 -O2 -DNDEBUG -I. tools/bench_remotes.c -o build/bench_remotes -llz4 -lm
   Run      build/bench_remotes [quick] [entities] [booleans] [small] [delta] [squeeze]

   Bytes are UDP payload that the server sends, headers of packets included, after the remote has
   been announced and a first value has arrived; 1000 fires in one tick. Datagrams take up to 65000
   bytes, because what is compared is the form of messages: those of the peers are in no datagrams;
   .mtu_1200 is beside it. What arrives is compared with what was fired.

   entities   100 structs of six bytes (id, x, y, z, orientation, animation), new ones in each fire;
              .repeated: 1000 times the same, whole packets compressed, bytes of all of them
   booleans   1000 of them: random, random with compression, all true with compression (what one
              more message takes); .repeated as above
   small      wisp_fire(w, "hp", peer, 100) among others: what one more of them takes
   delta      { hp, mp, xp } of which only hp differs: bytes of the value on the wire
   squeeze    20 messages of 256 bytes a tick that nothing makes smaller, whole packets with
              WISP_COMPRESSION_AUTO and without: bytes, and the time of both ends */
#include "bench.h"

#include "wisp_compress.h"

enum { ENTITIES = 100, BOOLEANS = 1000, FIRES = 1000, SETTLE_TICKS = 300 };
enum { MTU = 1200, MTU_LARGE = 65000 };

typedef struct entity {
    uint8_t id, x, y, z, orientation, animation;
} entity;

typedef struct world {
    entity entities[ENTITIES];
} world;

typedef struct flags {
    bool set[BOOLEANS];
} flags;

typedef struct health {
    uint8_t  hp, mp;
    uint32_t xp;
} health;

static const wisp_field entity_fields[] = {
    WISP_FIELD(entity, id,          WISP_T_UINT),
    WISP_FIELD(entity, x,           WISP_T_UINT),
    WISP_FIELD(entity, y,           WISP_T_UINT),
    WISP_FIELD(entity, z,           WISP_T_UINT),
    WISP_FIELD(entity, orientation, WISP_T_UINT),
    WISP_FIELD(entity, animation,   WISP_T_UINT),
};
static const wisp_schema entity_schema = WISP_SCHEMA(entity, 1, entity_fields);
static const wisp_type entity_type = WISP_T_STRUCT(&entity_schema);
static const wisp_field world_fields[] = {
    WISP_FIELD(world, entities, WISP_T_ARRAY(&entity_type, ENTITIES)),
};
static const wisp_schema world_schema = WISP_SCHEMA(world, 1, world_fields);

static const wisp_type bool_type = WISP_T_BOOL;
static const wisp_field flags_fields[] = {
    WISP_FIELD(flags, set, WISP_T_ARRAY(&bool_type, BOOLEANS)),
};
static const wisp_schema flags_schema = WISP_SCHEMA(flags, 1, flags_fields);

static const wisp_field health_fields[] = {
    WISP_FIELD(health, hp, WISP_T_RANGE(0, 100)),
    WISP_FIELD(health, mp, WISP_T_RANGE(0, 100)),
    WISP_FIELD(health, xp, WISP_T_RANGE(0, 1000000)),
};
static const wisp_schema health_schema = WISP_SCHEMA(health, 1, health_fields);

static const wisp_schema_entry schemas[] = {
    { "entities", &world_schema,  NULL, 0 },
    { "booleans", &flags_schema,  NULL, 0 },
    { "health",   &health_schema, NULL, 0 },
};

/* ---------------------------------------------------------------------------
 * A stage: a server that fires, a client that sums up what comes
 * ------------------------------------------------------------------------ */

typedef struct stage {
    pair     pair;
    uint64_t fired, came;                     /* sums over all messages, in order */
    int      fires, arrivals;
    bool     lasting;                         /* only the last value has to arrive */
} stage;

static uint64_t sum_of(uint64_t sum, const void *bytes, int size) {
    const unsigned char *b = (const unsigned char *)bytes;
    int i;
    for (i = 0; i < size; i++) sum = (sum ^ b[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static uint64_t sum_of_value(const stage *s, uint64_t sum, const wisp_value *value) {
    if (s->lasting) sum = 0;
    if (value->kind == WISP_STRUCT)
        return sum_of(sum, value->as.structure.data, value->as.structure.schema->bytes);
    if (value->kind == WISP_BYTES) return sum_of(sum, value->as.bytes, value->count);
    return sum * 31 + wisp_hash(value);
}

static void on_value(wisp_event *event) {
    stage *s = (stage *)event->user;
    s->arrivals++;
    if (event->count == 1) s->came = sum_of_value(s, s->came, &event->args[0]);
}

static void stage_fire(stage *s, const char *remote, wisp_value value) {
    wisp_result result = wisp_fire(s->pair.ends[SERVER], remote, s->pair.peer, value);
    if (result != WISP_OK)
        complain("%s: %s (%s)", remote, wisp_result_text(result),
                 wisp_why_text(s->pair.ends[SERVER]));
    s->fires++;
    s->fired = sum_of_value(s, s->fired, &value);
}

static bool stage_settled(const stage *s) {
    return s->lasting ? s->came == s->fired : s->arrivals == s->fires;
}

/* Ticks until all has arrived, and a few more for what follows it. */
static void stage_settle(stage *s) {
    int i;
    for (i = 0; i < SETTLE_TICKS && !stage_settled(s); i++) pair_tick(&s->pair);
    if (!stage_settled(s) || s->came != s->fired)
        complain("%d of %d messages arrived, or they differ", s->arrivals, s->fires);
    for (i = 0; i < 30; i++) pair_tick(&s->pair);
}

static bool stage_open(stage *s, const char *remote, int mtu, wisp_compression packets,
                       wisp_compression messages) {
    wisp_limits limits;
    memset(s, 0, sizeof *s);
    memset(&limits, 0, sizeof limits);
    limits.queue_bytes = 16 << 20;
    limits.window_bytes = 1 << 20;       /* 1000 fires of 600 bytes are in flight at once */
    s->pair.step = tick_seconds;
    s->pair.pipe.capacity = 16 << 20;
    s->pair.pipe.mtu = mtu;
    if (!pair_open(&s->pair, &limits, 0)) return false;
    wisp_use_lz4(s->pair.ends[SERVER]);
    wisp_use_lz4(s->pair.ends[CLIENT]);
    wisp_use_schemas(s->pair.ends[SERVER], schemas, (int)(sizeof schemas / sizeof *schemas));
    wisp_use_schemas(s->pair.ends[CLIENT], schemas, (int)(sizeof schemas / sizeof *schemas));
    if (packets) wisp_use_compression(s->pair.ends[SERVER], packets, NULL);
    wisp_set_max_batch_size(s->pair.ends[SERVER], 2 * FIRES);
    if (messages) wisp_use_compression(s->pair.ends[SERVER], messages, remote);
    wisp_connect(s->pair.ends[CLIENT], remote, on_value, s);
    return true;
}

static uint64_t sent_bytes(const stage *s) {
    return s->pair.taps[SERVER].bytes;
}

/* ---------------------------------------------------------------------------
 * Entities and booleans
 * ------------------------------------------------------------------------ */

typedef void (*fill_fn)(void *data, uint64_t *random);

static void fill_entities(void *data, uint64_t *random) {
    unsigned char *bytes = (unsigned char *)data;
    int i;
    for (i = 0; i < (int)sizeof(world); i++) bytes[i] = (unsigned char)(next_random(random) >> 56);
}

static void fill_booleans(void *data, uint64_t *random) {
    flags *f = (flags *)data;
    int i;
    for (i = 0; i < BOOLEANS; i++) f->set[i] = next_random(random) >> 63;
}

typedef struct load {
    const char        *name, *figure;
    const char        *remote;
    const wisp_schema *schema;
    fill_fn            fill;
    wisp_compression   packets, messages;
    int                mtu, fires;
    bool               same;                  /* one value, all the time */
    double             goal;
} load;

static const load entity_loads[] = {
    { "entities", "random", "entities", &world_schema, fill_entities, 0, 0, MTU_LARGE, FIRES,
      false, 602 },
    { "entities", "random_mtu_1200", "entities", &world_schema, fill_entities, 0, 0, MTU, FIRES,
      false, 0 },
    { "entities", "repeated", "entities", &world_schema, fill_entities, WISP_COMPRESSION_AUTO, 0,
      MTU, FIRES, true, 697 },
};

static const load boolean_loads[] = {
    { "booleans", "random", "booleans", &flags_schema, fill_booleans, 0, 0, MTU_LARGE, FIRES,
      false, 128 },
    { "booleans", "random_mtu_1200", "booleans", &flags_schema, fill_booleans, 0, 0, MTU, FIRES,
      false, 128 },
    { "booleans", "random_compressed", "booleans", &flags_schema, fill_booleans, 0,
      WISP_COMPRESSION_AUTO, MTU_LARGE, FIRES, false, 128 },
    { "booleans", "repeated", "booleans", &flags_schema, fill_booleans, WISP_COMPRESSION_AUTO, 0,
      MTU, FIRES, true, 132 },
};

static union { world world; flags flags; } value_data;

/* Bytes of so many fires in one tick, all of them or of each. */
static double load_bytes(stage *s, const load *l) {
    wisp_value value = wisp_struct(l->schema, &value_data);
    uint64_t before, random = 21;
    int i;
    l->fill(&value_data, &random);
    stage_fire(s, l->remote, value);
    stage_settle(s);
    before = sent_bytes(s);
    for (i = 0; i < l->fires; i++) {
        if (!l->same) l->fill(&value_data, &random);
        stage_fire(s, l->remote, value);
    }
    stage_settle(s);
    return (double)(sent_bytes(s) - before) / (l->same ? 1 : l->fires);
}

static void run_loads(const load *loads, int count) {
    static stage s;
    int i;
    for (i = 0; i < count; i++) {
        const load *l = &loads[i];
        if (!stage_open(&s, l->remote, l->mtu, l->packets, l->messages)) return;
        record(l->name, l->figure, l->same ? "B in all" : "B/fire", l->goal, load_bytes(&s, l));
        pair_close(&s.pair);
    }
}

static void run_entities(bool quick) {
    (void)quick;
    run_loads(entity_loads, (int)(sizeof entity_loads / sizeof *entity_loads));
}

/* ---------------------------------------------------------------------------
 * One message more, and differences
 * ------------------------------------------------------------------------ */

enum { SMALL_FIRES = 64 };

static void on_other(wisp_event *event) {
    (void)event;
}

/* Bytes of a tick of two other remotes in turn, each text followed by the value or not: in both
   cases no message is like the one before it. */
static double tick_bytes(stage *s, const char *remote, wisp_value value, bool with) {
    uint64_t before = sent_bytes(s);
    char text[32];
    int i;
    for (i = 0; i < SMALL_FIRES; i++) {
        snprintf(text, sizeof text, "%d for all", i);
        wisp_fire(s->pair.ends[SERVER], i % 2 ? "news" : "weather", s->pair.peer,
                  wisp_string(text));
        if (with) stage_fire(s, remote, value);
    }
    stage_settle(s);
    return (double)(sent_bytes(s) - before);
}

/* What the value takes where the message before it was another. */
static double one_more(const char *remote, wisp_value value, wisp_compression messages) {
    static stage s;
    double with, without;
    if (!stage_open(&s, remote, MTU_LARGE, 0, messages)) return 0;
    wisp_connect(s.pair.ends[CLIENT], "news", on_other, NULL);
    wisp_connect(s.pair.ends[CLIENT], "weather", on_other, NULL);
    tick_bytes(&s, remote, value, true);
    without = tick_bytes(&s, remote, value, false);
    with = tick_bytes(&s, remote, value, true);
    pair_close(&s.pair);
    return (with - without) / SMALL_FIRES;
}

static void run_booleans(bool quick) {
    flags *f = &value_data.flags;
    int i;
    (void)quick;
    run_loads(boolean_loads, (int)(sizeof boolean_loads / sizeof *boolean_loads));
    for (i = 0; i < BOOLEANS; i++) f->set[i] = true;
    record("booleans", "true_compressed", "B/fire", 10,
           one_more("booleans", wisp_struct(&flags_schema, f), WISP_COMPRESSION_AUTO));
}

static void run_small(bool quick) {
    (void)quick;
    record("small", "hp_100", "B/fire", 4, one_more("hp", wisp_int(100), 0));
}

static double sent_bits(const stage *s, const char *remote) {
    wisp_remote_stats stats;
    wisp_stats_remote(s->pair.ends[SERVER], remote, &stats);
    return (double)stats.bits_sent;
}

static void delta_rows(const char *figure, bool reliable) {
    static stage s;
    static health value;                      /* static: what is between its members is 0 too */
    double before;
    int i;
    value.hp = 100;
    value.mp = 50;
    value.xp = 123456;
    if (!stage_open(&s, "health", MTU, 0, 0)) return;
    wisp_use_delta(s.pair.ends[SERVER], &health_schema, "health");
    wisp_set_unreliable(s.pair.ends[SERVER], "health", !reliable);
    s.lasting = true;
    stage_fire(&s, "health", wisp_struct(&health_schema, &value));
    stage_settle(&s);
    for (i = 0; i < SAMPLES_MAX; i++) {
        value.hp = (uint8_t)(value.hp < 50 ? 95 : value.hp - 1 - i % 7);
        before = sent_bits(&s, "health");
        stage_fire(&s, "health", wisp_struct(&health_schema, &value));
        stage_settle(&s);
        record("delta", figure, "B/fire", 3, (sent_bits(&s, "health") - before) / 8);
    }
    pair_close(&s.pair);
}

static void run_delta(bool quick) {
    (void)quick;
    delta_rows("hp_reliable", true);
    delta_rows("hp_unreliable", false);
}

/* ---------------------------------------------------------------------------
 * Compression of what does not shrink
 * ------------------------------------------------------------------------ */

enum { NOISE_BYTES = 256, NOISE_PER_TICK = 20, NOISE_TICKS = 1000, NOISE_TICKS_QUICK = 100 };
enum { NOISE_ROUNDS = 15, NOISE_ROUNDS_QUICK = 5 };

typedef struct noise_cost {
    double ns, bytes;                         /* per message */
} noise_cost;

static noise_cost noise(wisp_compression packets, int ticks) {
    static stage s;
    uint64_t words[NOISE_BYTES / 8], random = 5, before;
    double begin, messages = (double)ticks * NOISE_PER_TICK;
    noise_cost cost = { 0, 0 };
    int i, j, k;
    if (!stage_open(&s, "noise", MTU, packets, 0)) return cost;
    stage_fire(&s, "noise", wisp_bytes(words, 0));
    stage_settle(&s);
    before = sent_bytes(&s);
    begin = cpu_seconds();
    for (i = 0; i < ticks; i++) {
        for (j = 0; j < NOISE_PER_TICK; j++) {
            for (k = 0; k < NOISE_BYTES / 8; k++) words[k] = next_random(&random);
            wisp_fire(s.pair.ends[SERVER], "noise", s.pair.peer, wisp_bytes(words, NOISE_BYTES));
        }
        pair_tick(&s.pair);
    }
    cost.ns = (cpu_seconds() - begin) * 1e9 / messages;
    cost.bytes = (double)(sent_bytes(&s) - before) / messages;
    for (i = 0; i < SETTLE_TICKS && s.arrivals != 1 + (int)messages; i++) pair_tick(&s.pair);
    if (s.arrivals != 1 + (int)messages)
        complain("squeeze: %d of %d messages arrived", s.arrivals - 1, (int)messages);
    pair_close(&s.pair);
    return cost;
}

static void run_squeeze(bool quick) {
    int i, ticks = quick ? NOISE_TICKS_QUICK : NOISE_TICKS;
    for (i = 0; i < (quick ? NOISE_ROUNDS_QUICK : NOISE_ROUNDS); i++) {
        noise_cost without = noise(0, ticks), with = noise(WISP_COMPRESSION_AUTO, ticks);
        record("squeeze.none", "cpu", "ns/msg", 0, without.ns);
        record("squeeze.none", "size", "B/msg", 0, without.bytes);
        record("squeeze.auto", "cpu", "ns/msg", 0, with.ns);
        record("squeeze.auto", "size", "B/msg", 0, with.bytes);
        record("squeeze.auto", "cpu_to_none", "x", 1.05, with.ns / without.ns);
        record("squeeze.auto", "size_to_none", "x", 1, with.bytes / without.bytes);
    }
}

int main(int count, char **words) {
    static const section sections[] = {
        { "entities", run_entities },
        { "booleans", run_booleans },
        { "small",    run_small },
        { "delta",    run_delta },
        { "squeeze",  run_squeeze },
    };
    return bench_main("bench_remotes", count, words, sections,
                      (int)(sizeof sections / sizeof *sections));
}
