/* test_record_delta.c - deltas of records: what they make of their base, what they cost, and what
   is made of bits that are no delta */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/random_schemas.h"
#include "support/record_deltas.h"

static rig the_rig;
static schemas record_delta_made;
static kept_row records[6];
static sent_delta record_delta_sent;

/* The row of a value of the schema, or of a struct of it; its record gives the same row. */
static bool record_of(rig *r, const wisp_value *value, kept_row *out) {
    static record packed;
    wisp__reader none, data, shape = wisp__reader_on(NULL, 0);
    wisp__unpacker u = rig_unpacker(r, &none);
    wisp__supply supply = wisp__supply_of(&u);
    wisp__row row, again;
    wisp__writer to = wisp__writer_on(packed.bytes, RECORD_BYTES);
    wisp_result why = WISP_OK;
    const void *image;
    wisp__arena_reset(&r->arena);
    image = wisp__image_of(r->program, value, &supply, false, &why);
    if (!CHECK(image != NULL)) return false;
    memset(packed.bytes, 0, sizeof packed.bytes);
    memset(&row, 0, sizeof row);
    memset(&again, 0, sizeof again);
    if (!CHECK_EQ_INT(wisp__row_load(&u, r->program, image, &row), WISP_OK)) return false;
    packed.bits = wisp__record_write(&r->base, r->program, image, packed.bytes, RECORD_BYTES);
    if (!CHECK_EQ_INT(packed.bits, row.bits)) return false;
    if (!CHECK(wisp__row_write(&r->base, r->program, row, &to))) return false;
    CHECK_EQ_INT(to.at, packed.bits);
    data = wisp__reader_on(packed.bytes, RECORD_BYTES);
    u.data = &data;
    u.shape = &shape;
    u.values = 1 << 20;
    CHECK_EQ_INT(wisp__row_read(&u, r->program, &again), WISP_OK);
    CHECK_EQ_INT(data.at, packed.bits);
    CHECK_EQ_INT(again.bits, row.bits);
    if (CHECK(again.count == row.count))
        CHECK_EQ_MEM(again.words, row.words, row.count * sizeof *row.words);
    return CHECK(row_keep(&row, out));
}

/* Of the records before: the base of the base, and its own. */
typedef struct older { const kept_row *one, *two; } older;

static void delta_on(wisp__delta *d, rig *r, wisp__unpacker *u, const kept_row *base, older before,
                     uint8_t *models) {
    memset(d, 0, sizeof *d);
    d->u = u;
    d->program = r->program;
    d->base = base->words;
    d->older[0] = before.one ? before.one->words : NULL;
    d->older[1] = before.two ? before.two->words : NULL;
    d->models = models;
}

static bool make_delta(rig *r, const kept_row *base, older before, kept_row *now,
                       uint8_t *models, sent_delta *out) {
    wisp__reader none;
    wisp__unpacker u = rig_unpacker(r, &none);
    wisp__writer to = wisp__writer_on(out->bytes, DELTA_BYTES);
    wisp__delta d;
    wisp__arena_reset(&r->arena);
    memset(out->bytes, 0xa5, sizeof out->bytes);
    delta_on(&d, r, &u, base, before, models);
    d.row.words = now->words;
    d.row.count = now->count;
    d.to = &to;
    if (!wisp__record_delta_code(&d)) return false;
    out->bits = to.at;
    out->start = 0;
    wisp__put(&to, UINT64_MAX >> 7, 57);     /* what follows a delta is no part of it */
    return true;
}

/* The row that the delta makes; `used`: bits of it. */
static bool apply(rig *r, const kept_row *base, older before, const sent_delta *from,
                  uint8_t *models, kept_row *out, int64_t *used) {
    wisp__reader none;
    wisp__unpacker u = rig_unpacker(r, &none);
    wisp__delta d;
    bool good;
    wisp__arena_reset(&r->arena);
    delta_on(&d, r, &u, base, before, models);
    d.delta.from = wisp__reader_on(from->bytes, (int)((from->start + from->bits + 7) / 8));
    d.delta.from.end = from->start + from->bits;
    d.delta.from.at = d.delta.start = from->start;
    d.delta.there = true;
    good = wisp__record_delta_code(&d);
    *used = d.delta.from.at - from->start;
    return good && row_keep(&d.row, out);
}

/* --- records --- */

static const older nothing_older = { NULL, NULL };

/* Tells one record from another and back; -1: it did not come out. */
static int64_t there_and_back(rig *r, const kept_row *base, kept_row *now, int start) {
    static kept_row got;
    int64_t used = 0;
    if (!CHECK(make_delta(r, base, nothing_older, now, NULL, &record_delta_sent))) return -1;
    move_to(&record_delta_sent, start);
    if (!CHECK(apply(r, base, nothing_older, &record_delta_sent, NULL, &got, &used))) return -1;
    if (!CHECK(row_same(&got, now)) || !CHECK_EQ_INT(used, record_delta_sent.bits)) return -1;
    return record_delta_sent.bits;
}

TEST(the_delta_of_any_two_values_of_a_schema_gives_the_bits_of_the_second) {
    rig *r = &the_rig;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        const wisp_schema *schema;
        int count = 0;
        schemas_start(&record_delta_made, seed, 0);
        schema = schemas_random(&record_delta_made);
        rig_open(r, schema);
        while (r->program && count < 3) {
            wisp_value value = schemas_value(&record_delta_made, schema);
            if (!record_of(r, &value, &records[count])) break;
            count++;
        }
        for (int a = 0; a < count; a++)
            for (int b = 0; b < count; b++)
                if (there_and_back(r, &records[a], &records[b], (a * 3 + b) & 7) < 0)
                    printf("seed %d, %d to %d\n", (int)seed, a, b);
        rig_close(r);
    }
}

/* Models to begin with, for the schema of the rig; their bytes, 0: it has no such arrays. */
enum { MODELS_BYTES = 1 << 16 };
typedef union models { double align; uint8_t bytes[MODELS_BYTES]; } models;
static models sender, receiver;

static size_t models_begin(rig *r, models *m) {
    wisp__reader none;
    wisp__unpacker u = rig_unpacker(r, &none);
    size_t bytes = wisp__delta_models(r->program);
    wisp__delta d;
    if (bytes > MODELS_BYTES) return 0;
    memset(&d, 0, sizeof d);
    memset(m->bytes, 0xa5, MODELS_BYTES);
    d.u = &u;
    d.program = r->program;
    d.models = m->bytes;
    wisp__arena_reset(&r->arena);
    if (bytes) wisp__delta_models_init(&d);
    CHECK(!d.failed);
    return bytes;
}

/* The i-th record sent from the one before, with those before that, by both ends' models. */
static bool chain_step(rig *r, int i, size_t bytes) {
    static kept_row got;
    older before = { i > 1 ? &records[i - 2] : NULL, i > 2 ? &records[i - 3] : NULL };
    int64_t used = 0;
    bool beyond = false;
    if (!CHECK(make_delta(r, &records[i - 1], before, &records[i], sender.bytes,
                    &record_delta_sent))) return false;
    move_to(&record_delta_sent, i);
    if (!CHECK(apply(r, &records[i - 1], before, &record_delta_sent, receiver.bytes, &got, &used)))
        return false;
    for (size_t k = bytes; k < bytes + 4096 && k < MODELS_BYTES; k++)
        beyond |= sender.bytes[k] != 0xa5 || receiver.bytes[k] != 0xa5;
    return CHECK(row_same(&got, &records[i])) && CHECK_EQ_INT(used, record_delta_sent.bits) &&
           CHECK_EQ_MEM(sender.bytes, receiver.bytes, bytes) && CHECK(!beyond);
}

TEST(a_delta_with_the_range_coder_gives_the_same_bits_along_a_chain_of_values) {
    rig *r = &the_rig;
    int with_models = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        const wisp_schema *schema;
        size_t bytes;
        schemas_start(&record_delta_made, seed, 0);
        schema = schemas_random(&record_delta_made);
        rig_open(r, schema);
        bytes = models_begin(r, &sender);
        receiver = sender;
        with_models += bytes > 0;
        for (int i = 0; i < 6 && bytes; i++) {
            wisp_value value = schemas_value(&record_delta_made, schema);
            if (!record_of(r, &value, &records[i])) break;
            if (i && !chain_step(r, i, bytes)) printf("seed %d, value %d\n", (int)seed, i);
        }
        rig_close(r);
    }
    CHECK(with_models > 20);
}

/* A chain of maps with one list of numbers, and another that some do not have. */
static void chain_of_lists(const wisp_schema *schema, const int (*counts)[2]) {
    static wisp_value items[2][64];
    rig *r = &the_rig;
    size_t bytes;
    uint64_t seed = 4;
    rig_open(r, schema);
    bytes = models_begin(r, &sender);
    receiver = sender;
    for (int i = 0; i < 6; i++) {
        wisp_pair pairs[2];
        wisp_value value;
        int fields = 0;
        for (int k = 0; k < 2; k++) {
            if (counts[i][k] < 0) continue;
            for (int n = 0; n < counts[i][k]; n++)
                items[k][n] = wisp_int(1000 * n + test_random_below(&seed, 50));
            pairs[fields].key = schema->fields[k].name;
            pairs[fields++].value = wisp_array(items[k], counts[i][k]);
        }
        value = wisp_map(pairs, fields);
        if (!record_of(r, &value, &records[i])) break;
        if (i && !chain_step(r, i, bytes)) break;
    }
    rig_close(r);
}

static const wisp_type record_delta_number_type = WISP_T_RANGE(0, 100000);

TEST(an_empty_array_leaves_the_models_of_the_next_alone) {
    static const wisp_type wide[] = { WISP_T_UINT64 };
    static const wisp_field fields[] = {
        WISP_MAP_FIELD("a", WISP_T_ARRAY(&record_delta_number_type, 64)),
        WISP_MAP_FIELD("b", WISP_T_ARRAY(wide, 64)),
    };
    static const wisp_schema schema = WISP_MAP_SCHEMA("two", 1, fields);
    static const int counts[6][2] = { { 5, 5 }, { 0, 5 }, { 0, 60 }, { 60, 3 }, { 4, 0 },
                                      { 0, 9 } };
    chain_of_lists(&schema, counts);
}

TEST(an_array_that_may_be_missing_has_models_of_its_own_or_none) {
    static const wisp_field fields[] = {
        WISP_MAYBE_MAP_FIELD("a", WISP_T_ARRAY(&record_delta_number_type, 64)),
        WISP_MAP_FIELD("b", WISP_T_ARRAY(&record_delta_number_type, 64)),
    };
    static const wisp_field only[] = { WISP_MAYBE_MAP_FIELD("a",
                                                            WISP_T_ARRAY(&record_delta_number_type,
                                                                         64)),
                                       WISP_MAYBE_MAP_FIELD("b",
                                                            WISP_T_ARRAY(&record_delta_number_type,
                                                                         64)) };
    static const wisp_schema schema = WISP_MAP_SCHEMA("maybe", 1, fields);
    static const wisp_schema other = WISP_MAP_SCHEMA("other", 1, only);
    static const int counts[6][2] = { { 5, 5 }, { -1, 9 }, { 40, 9 }, { 41, 30 }, { -1, 7 },
                                      { 9, 0 } };
    chain_of_lists(&schema, counts);
    chain_of_lists(&other, counts);
}

TEST(what_is_nothing_but_numbers_can_be_passed_without_its_base) {
    rig *r = &the_rig;
    int fixed = 0;
    for (uint64_t seed = 1; seed <= 600; seed++) {
        const wisp_schema *schema;
        schemas_start(&record_delta_made, seed, SCHEMAS_NO_ANY);
        schema = schemas_random(&record_delta_made);
        rig_open(r, schema);
        for (int i = 0; i < 3 && r->program->fixed; i++) {
            wisp_value value = schemas_value(&record_delta_made, schema);
            wisp__reader none, from;
            wisp__unpacker u = rig_unpacker(r, &none);
            if (!record_of(r, &value, &records[i]) || i == 0) continue;
            fixed++;
            if (!CHECK(make_delta(r, &records[i - 1], nothing_older, &records[i], NULL,
                            &record_delta_sent))) break;
            move_to(&record_delta_sent, i + 2);
            from = wisp__reader_on(record_delta_sent.bytes, DELTA_BYTES);
            from.at = record_delta_sent.start;
            CHECK(wisp__record_delta_pass(&u, r->program, false, &from));
            CHECK_EQ_INT(from.at - record_delta_sent.start, record_delta_sent.bits);
        }
        rig_close(r);
    }
    CHECK(fixed > 30);
}

typedef struct record_delta_item { uint16_t id, count; } record_delta_item;
static const wisp_field record_delta_item_fields[] = {
    WISP_FIELD(record_delta_item, id, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(record_delta_item, count, WISP_T_UINT16),
};
static const wisp_schema record_delta_item_schema = WISP_SCHEMA(record_delta_item, 1,
                                                                record_delta_item_fields);
static const wisp_type record_delta_item_type = WISP_T_STRUCT(&record_delta_item_schema);

typedef struct record_delta_bag {
    int  owner, count;
    char name[25];
    record_delta_item items[100];
} record_delta_bag;
static const wisp_field record_delta_bag_fields[] = {
    WISP_FIELD(record_delta_bag, owner, WISP_T_INT32),
    WISP_FIELD(record_delta_bag, name, WISP_T_STRING(24)),
    WISP_COUNTED_FIELD(record_delta_bag, items, count, WISP_T_ARRAY(&record_delta_item_type, 100)),
};
static const wisp_schema record_delta_bag_schema = WISP_SCHEMA(record_delta_bag, 1,
                                                               record_delta_bag_fields);

static bool record_of_bag(rig *r, const record_delta_bag *b, kept_row *out) {
    wisp_value value = wisp_struct(&record_delta_bag_schema, b);
    return record_of(r, &value, out);
}

static record_delta_bag bag_of(int count) {
    record_delta_bag b;
    memset(&b, 0, sizeof b);
    b.owner = 7;
    b.count = count;
    strcpy(b.name, "a name of some length");
    for (int i = 0; i < count; i++) {
        b.items[i].id = (uint16_t)(i * 7);
        b.items[i].count = (uint16_t)(i * 100);
    }
    return b;
}

TEST(what_has_not_changed_costs_a_few_bits) {
    rig *r = &the_rig;
    record_delta_bag b = bag_of(100);
    int64_t bits;
    rig_open(r, &record_delta_bag_schema);
    if (!record_of_bag(r, &b, &records[0])) return;
    CHECK(there_and_back(r, &records[0], &records[0], 0) <= 8);
    b.items[50].count++;
    if (!record_of_bag(r, &b, &records[1])) return;
    bits = there_and_back(r, &records[0], &records[1], 3);
    CHECK(bits > 0 && bits <= 40);
    rig_close(r);
}

TEST(arrays_grow_shrink_and_empty) {
    static const int counts[] = { 0, 1, 100, 99, 3, 0, 0, 50, 51 };
    rig *r = &the_rig;
    rig_open(r, &record_delta_bag_schema);
    for (int i = 0; i < 9; i++)
        for (int k = 0; k < 9; k++) {
            record_delta_bag a = bag_of(counts[i]), b = bag_of(counts[k]);
            if (k & 1 && b.count) b.items[b.count - 1].id = 3;
            if (!record_of_bag(r, &a, &records[0]) || !record_of_bag(r, &b, &records[1])) return;
            there_and_back(r, &records[0], &records[1], 1);
        }
    rig_close(r);
}

typedef struct record_delta_stats { float hp, mp; uint32_t xp; } record_delta_stats;
static const wisp_field stats_plain[] = {
    WISP_FIELD(record_delta_stats, hp, WISP_T_FLOAT), WISP_FIELD(record_delta_stats, mp,
                                                                 WISP_T_FLOAT),
    WISP_FIELD(record_delta_stats, xp, WISP_T_UINT32),
};
static const wisp_field stats_ranged[] = {
    WISP_FIELD(record_delta_stats, hp, WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_FIELD(record_delta_stats, mp, WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_FIELD(record_delta_stats, xp, WISP_T_RANGE(0, 1000000)),
};
static const wisp_field stats_numbers[] = {
    WISP_MAP_FIELD("hp", WISP_T_NUMBER), WISP_MAP_FIELD("mp", WISP_T_NUMBER),
    WISP_MAP_FIELD("xp", WISP_T_NUMBER),
};
static const wisp_field stats_limits[] = {
    WISP_MAP_FIELD("hp", WISP_T_NUMBER_RANGE(0, 100)),
    WISP_MAP_FIELD("mp", WISP_T_NUMBER_RANGE(0, 100)),
    WISP_MAP_FIELD("xp", WISP_T_INTEGER),
};
static const wisp_schema stats_schemas[] = {
    WISP_SCHEMA(record_delta_stats, 1, stats_plain), WISP_SCHEMA(record_delta_stats, 1,
                                                                 stats_ranged),
    WISP_MAP_SCHEMA("numbers", 1, stats_numbers), WISP_MAP_SCHEMA("limits", 1, stats_limits),
};

static wisp_value stats_value(const wisp_schema *schema, const record_delta_stats *s,
                              wisp_pair pairs[3]) {
    if (schema->shape == WISP_SHAPE_STRUCT) return wisp_struct(schema, s);
    pairs[0].key = "hp";
    pairs[0].value = wisp_number((double)s->hp);
    pairs[1].key = "mp";
    pairs[1].value = wisp_number((double)s->mp);
    pairs[2].key = "xp";
    pairs[2].value = wisp_int((int64_t)s->xp);
    return wisp_map(pairs, 3);
}

TEST(one_of_three_numbers_that_changes_costs_three_bytes_or_four_without_ranges) {
    static const double steps[] = { 100, 95, 94, 0, 1, 50, 99.5, 100 };
    rig *r = &the_rig;
    for (int k = 0; k < 4; k++) {
        const wisp_schema *schema = &stats_schemas[k];
        rig_open(r, schema);
        for (int i = 0; i < 8; i++) {
            record_delta_stats s = { (float)steps[i], 80, 12345 };
            wisp_pair pairs[3];
            wisp_value value = stats_value(schema, &s, pairs);
            int64_t bits;
            if (!record_of(r, &value, &records[i & 1]) || i == 0) continue;
            bits = there_and_back(r, &records[~i & 1], &records[i & 1], 0);
            if (!CHECK(bits > 0 && bits <= (k == 1 ? 24 : 32)))    /* without ranges a byte more */
                printf("schema %d, %g to %g: %d bits\n", k, steps[i - 1], steps[i], (int)bits);
        }
        rig_close(r);
    }
}

TEST(what_is_new_again_after_it_was_missing_comes_whole) {
    static const wisp_type text = WISP_T_STRING(30);
    static const wisp_field fields[] = {
        WISP_MAYBE_MAP_FIELD("a", WISP_T_STRING(30)),
        WISP_MAP_FIELD("b", WISP_T_UINT8),
        { "c", WISP_T_ARRAY(&text, 8), -1, 0, 0, 0, WISP_FLAG_MAYBE, 0, NULL, 0 },
    };
    static const wisp_schema schema = WISP_MAP_SCHEMA("maybe", 1, fields);
    wisp_value texts[2] = { wisp_string("left"), wisp_string("right") };
    wisp_pair pairs[3] = { { "b", wisp_int(3) }, { "a", wisp_string("text") },
                           { "c", wisp_array(texts, 2) } };
    wisp_value values[3];
    rig *r = &the_rig;
    for (int i = 0; i < 3; i++) values[i] = wisp_map(pairs, i + 1);
    rig_open(r, &schema);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            if (!record_of(r, &values[a], &records[0]) || !record_of(r, &values[b], &records[1]))
                return;
            there_and_back(r, &records[0], &records[1], 2);
        }
    rig_close(r);
}

/* --- bits that are no delta --- */

/* What comes out of wrong bits fits the record's room, and the memory it took is in proportion. */
static void endure(rig *r, const kept_row *base, const sent_delta *from) {
    static kept_row got;
    int64_t used = 0;
    bool good = apply(r, base, nothing_older, from, NULL, &got, &used);
    CHECK(used >= 0 && used <= from->bits + 64);
    if (!good) return;
    CHECK(used <= from->bits);
}

TEST(a_delta_cut_short_or_changed_is_endured) {
    rig *r = &the_rig;
    uint64_t seed = 99;
    for (uint64_t n = 1; n <= 60; n++) {
        const wisp_schema *schema;
        schemas_start(&record_delta_made, n, 0);
        schema = schemas_random(&record_delta_made);
        rig_open(r, schema);
        for (int i = 0; i < 2; i++) {
            wisp_value value = schemas_value(&record_delta_made, schema);
            if (!record_of(r, &value, &records[i])) return;
        }
        if (!CHECK(make_delta(r, &records[0], nothing_older, &records[1], NULL,
                        &record_delta_sent))) return;
        for (int64_t bits = record_delta_sent.bits, cut = 0; cut < bits; cut += 1 + bits / 200) {
            sent_delta *d = &record_delta_sent;
            d->bits = cut;
            endure(r, &records[0], d);
            d->bits = bits;
        }
        for (int i = 0; i < 150; i++) {
            static sent_delta spoilt;
            int bits = record_delta_sent.bits ? (int)record_delta_sent.bits : 1;
            spoilt = record_delta_sent;
            for (int k = test_random_below(&seed, 4); k >= 0; k--) {
                int at = test_random_below(&seed, bits);
                spoilt.bytes[at / 8] ^= (uint8_t)(1 << (at & 7));
            }
            endure(r, &records[0], &spoilt);
        }
        CHECK(r->memory.largest < 64 << 20);
        rig_close(r);
    }
}

TEST(random_bits_are_endured_plain_and_by_range_coder) {
    static kept_row got;
    rig *r = &the_rig;
    uint64_t seed = 5;
    for (uint64_t n = 1; n <= 100; n++) {
        const wisp_schema *schema;
        wisp_value value;
        int64_t used;
        schemas_start(&record_delta_made, n, 0);
        schema = schemas_random(&record_delta_made);
        rig_open(r, schema);
        value = schemas_value(&record_delta_made, schema);
        if (!record_of(r, &value, &records[0])) return;
        for (int i = 0; i < 30; i++) {
            record_delta_sent.bits = test_random_below(&seed, 2000);
            record_delta_sent.start = test_random_below(&seed, 8);
            low_random_bytes(&seed, record_delta_sent.bytes, 300);
            endure(r, &records[0], &record_delta_sent);
            if (models_begin(r, &receiver))
                apply(r, &records[0], nothing_older, &record_delta_sent, receiver.bytes, &got,
                      &used);
        }
        CHECK(r->memory.largest < 64 << 20);
        rig_close(r);
    }
}

/* A few bits must not ask for more than the bounds of one delta. */
TEST(lists_in_lists_that_a_few_bits_announce_do_not_take_memory_without_bound) {
    static const wisp_type flag = WISP_T_BOOL;
    static const wisp_type row = WISP_T_ARRAY(&flag, 60000);
    static const wisp_type table = WISP_T_ARRAY(&row, 60000);
    static const wisp_field fields[] = { WISP_MAP_FIELD("t", WISP_T_ARRAY(&table, 60000)) };
    static const wisp_schema schema = WISP_MAP_SCHEMA("deep", 1, fields);
    wisp_pair pair = { "t", wisp_array(NULL, 0) };
    wisp_value value = wisp_map(&pair, 1);
    rig *r = &the_rig;
    uint64_t seed = 1;
    rig_open(r, &schema);
    if (!record_of(r, &value, &records[0])) return;
    for (int i = 0; i < 40; i++) {
        record_delta_sent.bits = 400;
        record_delta_sent.start = 0;
        low_random_bytes(&seed, record_delta_sent.bytes, 64);
        if (i & 1) memset(record_delta_sent.bytes + 3, 0xff, 40);
        record_delta_sent.bytes[0] &= 0xfe;
        endure(r, &records[0], &record_delta_sent);
    }
    CHECK(r->memory.largest < 100 << 20);
    rig_close(r);
}

/* Other than blobs are compared as copies; they must not add up. */
TEST(many_unions_in_one_record_take_memory_in_proportion) {
    static const wisp_type options[] = { WISP_T_UINT32, WISP_T_STRING(20) };
    static const wisp_type either = WISP_T_UNION(options, 2);
    static const wisp_field fields[] = { WISP_MAP_FIELD("l", WISP_T_ARRAY(&either, 3000)) };
    static const wisp_schema schema = WISP_MAP_SCHEMA("unions", 1, fields);
    static wisp_value items[3000];
    wisp_pair pair = { "l", wisp_array(items, 3000) };
    wisp_value value = wisp_map(&pair, 1);
    rig *r = &the_rig;
    rig_open(r, &schema);
    for (int i = 0; i < 3000; i++) items[i] = wisp_int(i * 100);
    if (!record_of(r, &value, &records[0])) return;
    items[1500] = wisp_string("other");
    if (!record_of(r, &value, &records[1])) return;
    there_and_back(r, &records[0], &records[1], 0);
    CHECK(r->memory.largest < 8 << 20);
    rig_close(r);
}

/* --- golden: what has once been sent stays readable --- */

TEST(golden_differences_of_records) {
    rig *r = &the_rig;
    record_delta_bag a = bag_of(3), b = bag_of(3);
    rig_open(r, &record_delta_bag_schema);
    if (!record_of_bag(r, &a, &records[0])) return;
    there_and_back(r, &records[0], &records[0], 0);
    check_bits(&record_delta_sent, "04");
    b.items[1].count += 2;
    if (!record_of_bag(r, &b, &records[1])) return;
    there_and_back(r, &records[0], &records[1], 0);
    check_bits(&record_delta_sent, "4c1a00");
    b = bag_of(4);
    strcpy(b.name, "eve");
    b.owner = -1;
    if (!record_of_bag(r, &b, &records[1])) return;
    there_and_back(r, &records[0], &records[1], 0);
    check_bits(&record_delta_sent, "730e65766508abebf304");
    rig_close(r);
}

static const test_case tests[] = {
    CASE(the_delta_of_any_two_values_of_a_schema_gives_the_bits_of_the_second),
    CASE(a_delta_with_the_range_coder_gives_the_same_bits_along_a_chain_of_values),
    CASE(an_empty_array_leaves_the_models_of_the_next_alone),
    CASE(an_array_that_may_be_missing_has_models_of_its_own_or_none),
    CASE(what_is_nothing_but_numbers_can_be_passed_without_its_base),
    CASE(what_has_not_changed_costs_a_few_bits),
    CASE(arrays_grow_shrink_and_empty),
    CASE(one_of_three_numbers_that_changes_costs_three_bytes_or_four_without_ranges),
    CASE(what_is_new_again_after_it_was_missing_comes_whole),
    CASE(a_delta_cut_short_or_changed_is_endured),
    CASE(random_bits_are_endured_plain_and_by_range_coder),
    CASE(lists_in_lists_that_a_few_bits_announce_do_not_take_memory_without_bound),
    CASE(many_unions_in_one_record_take_memory_in_proportion),
    CASE(golden_differences_of_records),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
