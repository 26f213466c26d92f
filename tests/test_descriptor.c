/* test_descriptor.c - schemas on the wire: described, learnt, cut, spoilt, made by hand */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/random_schemas.h"
#include "support/every_type.h"

#include <stdlib.h>

/* --- described and learnt --- */

enum { BITS_BYTES = WISP__DESCRIPTOR_BYTES + 16, PLAN_BYTES = 1 << 20 };

typedef struct bits { uint8_t bytes[BITS_BYTES]; int count; } bits;

static int describe(const wisp_schema *schema, bits *to) {
    memset(to, 0, sizeof *to);
    to->count = wisp__describe(schema, to->bytes, BITS_BYTES);
    return to->count;
}

static bool same_bits(const bits *a, const bits *b) {
    return a->count == b->count && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static const wisp_schema *undescribe(const bits *from, int count, void *memory, size_t size,
                                     wisp_result *why) {
    uint8_t *exact = (uint8_t *)malloc((size_t)(count + 7) / 8 + WISP__SLACK);
    wisp__reader reader;
    wisp__bump bump = wisp__bump_on(memory, (int)size);
    const wisp_schema *schema;
    memset(exact, 0xa5, (size_t)(count + 7) / 8 + WISP__SLACK);
    memcpy(exact, from->bytes, (size_t)(count + 7) / 8);
    reader = wisp__reader_on(exact, (count + 7) / 8);
    reader.end = count;
    schema = wisp__undescribe(&reader, &bump, why);
    if (schema) CHECK_EQ_INT(*why, WISP_OK);
    else CHECK(*why == WISP_E_SCHEMA || *why == WISP_E_MEMORY);
    free(exact);                                   /* nothing points into the bits */
    return schema;
}

/* A schema that is described, learnt, and described again: the bits are the same, and what was
   packed by the one is read by the other. */
static void travel(const wisp_schema *schema, const wisp_value *value, const char *what) {
    static uint8_t memory[PLAN_BYTES], plan[PLAN_BYTES], space[PLAN_BYTES];
    bits *first = (bits *)malloc(sizeof *first), *second = (bits *)malloc(sizeof *second);
    const wisp_schema *learnt, *compiled;
    wisp_result why;
    char text[160] = "";
    if (!CHECK_EQ_INT(wisp_schema_check(schema, text, (int)sizeof text), WISP_OK))
        printf("  %s\n", text);
    if (CHECK(describe(schema, first) > 0)) {
        learnt = undescribe(first, first->count, memory, PLAN_BYTES, &why);
        if (!CHECK(learnt != NULL)) printf("  %s: %d\n", what, why);
        if (learnt) {
            CHECK_EQ_STR(learnt->name, schema->name);
            CHECK_EQ_INT(learnt->version, schema->version);
            CHECK_EQ_INT(learnt->count, schema->count);
        }
        if (learnt && describe(learnt, second) && !CHECK(same_bits(first, second)))
            printf("  %s: described anew %d bits, not %d\n", what, second->count, first->count);
        compiled = learnt ? wisp_schema_compile(learnt, plan, PLAN_BYTES) : NULL;
        CHECK(!learnt || compiled);
        if (compiled && value) {
            const wisp_codec *pack = wisp_bitpack();
            static uint8_t out[1 << 19], again[1 << 19];
            wisp_value got;
            int size = pack->encode(pack, schema, value, out, (int)sizeof out), read, anew = 0;
            if (CHECK(size >= 0)) {
                read = pack->decode(pack, compiled, out, size, &got, space, PLAN_BYTES);
                CHECK_EQ_INT(read, size);
                if (read == size) anew = pack->encode(pack, compiled, &got, again,
                                                      (int)sizeof again);
                if (!CHECK(anew == size && memcmp(out, again, (size_t)size) == 0))
                    printf("  %s: %d bytes, then %d\n", what, size, anew);
            }
        }
    }
    free(first);
    free(second);
}

TEST(random_schemas_travel_and_mean_the_same) {
    static schemas s;
    char what[32];
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        const wisp_schema *schema;
        wisp_value value;
        int before = test_now()->failures;
        schemas_start(&s, seed, seed & 1 ? SCHEMAS_LOSSLESS : 0);
        schema = schemas_random(&s);
        value = schemas_value(&s, schema);
        snprintf(what, sizeof what, "seed %d", (int)seed);
        travel(schema, seed & 1 ? &value : NULL, what);
        if (test_now()->failures > before + 3) break;
    }
}

/* What says everything that a schema can: the C struct, and maps with what only maps have. */
static const wisp_schema *const everything[] = { &all_schema, &map_schema, &row_schema };

TEST(schemas_of_every_type_travel) {
    all z = all_full();
    wisp_value value = wisp_struct(&all_schema, &z);
    travel(&all_schema, &value, "all");
    for (int i = 0; i < TEST_COUNT(everything); i++)
        travel(everything[i], NULL, everything[i]->name);
}

/* One field at a time, so that a failure names its type. */
TEST(a_struct_of_any_one_type_travels) {
    for (int i = 0; i < all_schema.count; i++) {
        wisp_schema one = all_schema;
        one.fields = &all_fields[i];
        one.count = 1;
        travel(&one, NULL, all_fields[i].name);
    }
}

/* What one side packs by its C struct, or its maps, the other reads by the descriptor alone. */
static void reads_by_descriptor(const wisp_schema *schema, const wisp_value *value) {
    static uint8_t bytes[1 << 16], memory[4][PLAN_BYTES], fast_memory[PLAN_BYTES];
    bits b;
    wisp_result result;
    wisp_value own, theirs;
    const wisp_schema *learnt, *fast;
    const wisp_schema *mine = wisp_schema_compile(schema, memory[0], PLAN_BYTES);
    int size = wisp_encode(wisp_bitpack(), mine, value, bytes, (int)sizeof bytes);
    describe(schema, &b);
    learnt = undescribe(&b, b.count, memory[1], PLAN_BYTES, &result);
    if (!CHECK(size >= 0 && learnt != NULL)) return;
    fast = wisp_schema_compile(learnt, fast_memory, PLAN_BYTES);
    if (!CHECK(fast != NULL)) return;
    CHECK_EQ_INT(wisp_decode(wisp_bitpack(), mine, bytes, size, &own, memory[2], PLAN_BYTES),
                 size);
    CHECK_EQ_INT(wisp_decode(wisp_bitpack(), fast, bytes, size, &theirs, memory[3], PLAN_BYTES),
                 size);
    CHECK(wisp_equal(&own, &theirs));
}

TEST(what_is_packed_by_a_schema_is_read_by_its_descriptor) {
    all value = all_full();
    wisp_value of_all = wisp_struct(&all_schema, &value);
    char why[200];
    CHECK_EQ_INT(wisp_validate(&all_schema, &of_all, why, sizeof why), WISP_OK);
    reads_by_descriptor(&all_schema, &of_all);
    value.choice_is = 2;
    memset(&value.choice, 0, sizeof value.choice);
    reads_by_descriptor(&all_schema, &of_all);
    value.choice_is = 3;
    reads_by_descriptor(&all_schema, &of_all);
    for (uint64_t seed = 1; seed <= 200; seed++) {
        static schemas random;
        const wisp_schema *schema;
        wisp_value random_value;
        schemas_start(&random, seed, 0);
        schema = schemas_random(&random);
        random_value = schemas_value(&random, schema);
        if (wisp_schema_bytes(schema)) reads_by_descriptor(schema, &random_value);
    }
}

TEST(rows_flags_numbers_and_versions_travel) {
    static const wisp_field fields[] = {
        WISP_KEY_MAP_FIELD("id", WISP_T_UINT32), WISP_MAYBE_MAP_FIELD("maybe", WISP_T_BOOL),
        WISP_OPTIONAL_MAP_FIELD("o", WISP_T_NUMBER, 0.1),
        WISP_NUMBERED_MAP_FIELD("n", WISP_T_INT8, 77),
        WISP_OPTIONAL_TEXT_MAP_FIELD("t", WISP_T_STRING(30), "the default"),
        WISP_MAP_FIELD("l", WISP_T_LITERAL(-0.5)), WISP_MAP_FIELD("lt", WISP_T_LITERAL_TEXT("lit")),
    };
    static const wisp_schema row = WISP_LIST_SCHEMA("row", 255, fields);
    bits b;
    uint8_t memory[8192];
    wisp_result why;
    const wisp_schema *learnt;
    travel(&row, NULL, "row");
    describe(&row, &b);
    learnt = undescribe(&b, b.count, memory, sizeof memory, &why);
    if (!CHECK(learnt != NULL)) return;
    CHECK_EQ_STR(learnt->name, "row");
    CHECK_EQ_INT(learnt->version, 255);
    CHECK_EQ_INT(learnt->shape, WISP_SHAPE_LIST);
    if (!CHECK_EQ_INT(learnt->count, 7)) return;
    CHECK_EQ_INT(learnt->fields[0].flags, WISP_FLAG_KEY);
    CHECK_EQ_INT(learnt->fields[1].flags, WISP_FLAG_MAYBE);
    CHECK_NEAR(learnt->fields[2].fallback, 0.1, 0);
    CHECK_EQ_INT(learnt->fields[3].number, 77);
    CHECK_EQ_STR(learnt->fields[4].fallback_text, "the default");
    CHECK_NEAR(learnt->fields[5].type.lo, -0.5, 0);
    CHECK_EQ_STR((const char *)learnt->fields[6].type.of, "lit");
}

/* A field without flags about objects has the bits that it always had. */
TEST(flags_about_objects_take_eight_bits_more_and_travel) {
    wisp_field field[1] = { WISP_KEY_MAP_FIELD("f", WISP_T_INT8) };
    wisp_schema schema = WISP_MAP_SCHEMA("s", 1, field);
    uint8_t memory[4096];
    int without;
    bits b;
    without = describe(&schema, &b);
    for (int flags = WISP_FLAG_OWNER_ONLY; flags <= 255; flags++) {
        const wisp_schema *learnt;
        wisp_result why;
        field->flags = flags & ~(WISP_FLAG_OPTIONAL | WISP_FLAG_MAYBE | WISP_FLAG_ANGLE);
        if ((field->flags & 24) == 24) field->flags &= ~8;
        CHECK_EQ_INT(describe(&schema, &b), without + (field->flags > 7 ? 8 : 0));
        learnt = undescribe(&b, b.count, memory, sizeof memory, &why);
        if (CHECK(learnt != NULL)) CHECK_EQ_INT(learnt->fields[0].flags, field->flags);
    }
}

/* name "e", no flags, no number, the kind, one name "n" */
TEST(an_open_enum_is_a_kind_of_its_own_there) {
    static const char *const names[] = { "n" };
    static const wisp_field fields[] = {
        WISP_MAP_FIELD("c", WISP_T_ENUM(names, 1)), WISP_MAP_FIELD("o", WISP_T_ENUM_OPEN(names, 1)),
    };
    static const wisp_schema schema = WISP_MAP_SCHEMA("s", 1, fields);
    uint8_t memory[4096];
    wisp_result why;
    const wisp_schema *learnt;
    bits b;
    wisp__reader from;
    CHECK_EQ_INT(describe(&schema, &b), 8 + 1 + 16 + 8 + 2 * (16 + 3 + 1 + 5 + 8 + 16));
    from = wisp__reader_on(b.bytes, (b.count + 7) / 8);
    wisp__skip(&from, 8 + 1 + 16 + 8 + 16 + 3 + 1);
    CHECK_EQ_INT(wisp__get(&from, 5), WISP_TYPE_ENUM);
    wisp__skip(&from, 8 + 16 + 16 + 3 + 1);
    CHECK_EQ_INT(wisp__get(&from, 5), 24);
    learnt = undescribe(&b, b.count, memory, sizeof memory, &why);
    if (!CHECK(learnt != NULL)) return;
    CHECK(!wisp__enum_is_open(&learnt->fields[0].type));
    CHECK(wisp__enum_is_open(&learnt->fields[1].type));
    travel(&schema, NULL, "open");
}

TEST(a_descriptor_that_has_no_room_says_so) {
    bits b;
    describe(&map_schema, &b);
    for (int room = WISP__SLACK; room < b.count / 8 + WISP__SLACK + 1; room++) {
        uint8_t *block = (uint8_t *)malloc((size_t)room);
        int wrote = wisp__describe(&map_schema, block, room);
        CHECK_EQ_INT(wrote, room < (b.count + 7) / 8 + WISP__SLACK ? WISP_E_TOO_BIG : b.count);
        free(block);
    }
}

TEST(a_descriptor_cut_short_anywhere_is_refused) {
    bits b;
    void *memory = malloc(1 << 16);
    wisp_result why;
    for (int i = 0; i < TEST_COUNT(everything); i++) {
        describe(everything[i], &b);
        for (int count = 0; count < b.count; count++) {
            CHECK(undescribe(&b, count, memory, 1 << 16, &why) == NULL);
            if (!CHECK_EQ_INT(why, WISP_E_SCHEMA)) printf("  %d of %d bits\n", count, b.count);
        }
        CHECK(undescribe(&b, b.count, memory, 1 << 16, &why) != NULL);
    }
    free(memory);
}

/* With too little memory there is no schema, and not a lesser one. */
TEST(a_descriptor_takes_all_the_memory_it_needs_or_none) {
    bits b, again;
    wisp_result why;
    for (int i = 0; i < TEST_COUNT(everything); i++) {
        const wisp_schema *learnt = NULL;
        void *memory = NULL;
        int sizes = 0;
        describe(everything[i], &b);
        for (size_t size = 0; !learnt && size < 1 << 16; size += 8) {
            free(memory);
            memory = malloc(size ? size : 1);
            learnt = undescribe(&b, b.count, memory, size, &why);
            if (learnt) break;
            sizes++;
            CHECK_EQ_INT(why, WISP_E_MEMORY);
        }
        CHECK(sizes > 100 && learnt);
        if (learnt) CHECK_EQ_INT(wisp_schema_check(learnt, NULL, 0), WISP_OK);
        if (learnt) CHECK(describe(learnt, &again) > 0 && same_bits(&b, &again));
        free(memory);
    }
}

TEST(a_text_that_has_no_room_is_not_left_out) {
    static const wisp_field fallback[] = {
        WISP_OPTIONAL_TEXT_MAP_FIELD("t", WISP_T_STRING(60), "a default of thirty bytes or so")
    };
    static const wisp_field literal[] = {
        WISP_MAP_FIELD("t", WISP_T_LITERAL_TEXT("some literal"))
    };
    static const wisp_schema schemas_of_text[] = {
        WISP_MAP_SCHEMA("a", 1, fallback), WISP_MAP_SCHEMA("b", 1, literal)
    };
    uint8_t memory[2048];
    for (int i = 0; i < 2; i++) {
        bits b, again;
        wisp_result why;
        describe(&schemas_of_text[i], &b);
        for (size_t size = 0; size < sizeof memory; size += 8) {
            const wisp_schema *learnt = undescribe(&b, b.count, memory, size, &why);
            if (!learnt) continue;
            describe(learnt, &again);
            if (!CHECK(same_bits(&b, &again))) printf("  with %d bytes\n", (int)size);
            break;
        }
    }
}

/* Whatever comes out of changed bits is a schema in its own right: it compiles, it is described
   by bits that mean the same, and records of it are read from any bytes without harm. */
static void use_learnt(const wisp_schema *learnt, uint64_t *seed) {
    static uint8_t plan[1 << 20], space[1 << 20];
    bits first, second;
    const wisp_codec *pack = wisp_bitpack();
    const wisp_schema *compiled = wisp_schema_compile(learnt, plan, (int)sizeof plan), *again;
    wisp_value value;
    wisp_result why;
    uint8_t noise[100];
    int read;
    CHECK(wisp_schema_bytes(learnt) > 0);
    CHECK(compiled != NULL || wisp_schema_bytes(learnt) > (int)sizeof plan);
    if (!compiled) return;
    for (int i = 0; i < 100; i++) noise[i] = (uint8_t)(test_random(seed) & test_random(seed));
    read = pack->decode(pack, compiled, noise, 100, &value, space, (int)sizeof space);
    CHECK(read <= 100);
    if (read >= 0) CHECK_EQ_INT(wisp_validate(compiled, &value, NULL, 0), WISP_OK);
    if (describe(learnt, &first) < 0) return;
    again = undescribe(&first, first.count, space, sizeof space, &why);
    if (CHECK(again != NULL) && describe(again, &second)) CHECK(same_bits(&first, &second));
}

TEST(a_descriptor_with_any_bit_changed_is_refused_or_a_schema) {
    bits *b = (bits *)malloc(sizeof *b);
    void *memory = malloc(1 << 20);
    uint64_t seed = 11;
    wisp_result why;
    int kept = 0;
    describe(&all_schema, b);
    for (int i = 0; i < b->count; i++) {
        const wisp_schema *learnt;
        b->bytes[i / 8] ^= (uint8_t)(1 << i % 8);
        learnt = undescribe(b, b->count, memory, 1 << 20, &why);
        if (learnt) use_learnt(learnt, &seed);
        kept += learnt != NULL;
        b->bytes[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    CHECK(kept > 100);
    free(memory);
    free(b);
}

/* Bits turned, or all of it noise. */
TEST(a_spoilt_descriptor_is_refused_or_is_a_right_schema) {
    static uint8_t memory[2][PLAN_BYTES];
    static schemas random;
    uint64_t seed = 77;
    int right = 0;
    bits b;
    for (int i = 0; i < 10000; i++) {
        int size;
        wisp_result result;
        const wisp_schema *learnt;
        if (i % 20 == 0) {
            schemas_start(&random, (uint64_t)i, 0);
            describe(i % 40 ? &map_schema : schemas_random(&random), &b);
        } else {
            describe(i % 3 ? &map_schema : &all_schema, &b);
        }
        size = (b.count + 7) / 8;
        for (int k = 0; k < 1 + i % 3; k++)
            b.bytes[test_random_below(&seed, size)] ^= (uint8_t)(1 << test_random_below(&seed, 8));
        for (int k = 0; i % 7 == 0 && k < size; k++) b.bytes[k] = (uint8_t)test_random(&seed);
        learnt = undescribe(&b, 8 * size, memory[0], PLAN_BYTES, &result);
        if (!learnt) continue;
        right++;
        if (wisp_schema_bytes(learnt) <= PLAN_BYTES)
            CHECK(wisp_schema_compile(learnt, memory[1], PLAN_BYTES) != NULL);
    }
    CHECK(right > 100);
}

TEST(random_descriptors_changed_in_several_places_do_no_harm) {
    static schemas s;
    bits *b = (bits *)malloc(sizeof *b);
    void *memory = malloc(1 << 20);
    wisp_result why;
    int kept = 0;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        uint64_t random = seed;
        const wisp_schema *learnt;
        schemas_start(&s, seed, 0);
        if (describe(schemas_random(&s), b) < 0) continue;
        for (int i = 1 + test_random_below(&random, 4); i > 0; i--) {
            int at = test_random_below(&random, b->count);
            b->bytes[at / 8] ^= (uint8_t)(1 << at % 8);
        }
        learnt = undescribe(b, b->count, memory, 1 << 20, &why);
        if (learnt) use_learnt(learnt, &random);
        kept += learnt != NULL;
    }
    CHECK(kept > 50);
    free(memory);
    free(b);
}

/* --- descriptors made by hand --- */

typedef struct descriptor_hand { bits b; wisp__writer to; } descriptor_hand;

static void hand_start(descriptor_hand *h, int version, const char *name, int fields) {
    memset(h, 0, sizeof *h);
    h->to = wisp__writer_on(h->b.bytes, WISP__DESCRIPTOR_BYTES);
    wisp__put(&h->to, (uint64_t)version, 8);
    wisp__put(&h->to, 0, 1);
    wisp__put_text(&h->to, name);
    wisp__put_length(&h->to, (uint64_t)fields);
}

static void hand_field(descriptor_hand *h, const char *name, int flags, int kind) {
    wisp__put_text(&h->to, name);
    wisp__put(&h->to, (uint64_t)flags, 3);
    wisp__put(&h->to, 0, 1);
    wisp__put(&h->to, (uint64_t)kind, 5);
}

static wisp_result hand_result(descriptor_hand *h) {
    void *memory = malloc(1 << 20);
    wisp_result why;
    CHECK(!h->to.full);
    h->b.count = (int)h->to.at;
    undescribe(&h->b, h->b.count, memory, 1 << 20, &why);
    free(memory);
    return why;
}

/* `levels` of a kind around a bool. */
static wisp_result hand_nested(int kind, int levels) {
    descriptor_hand *h = (descriptor_hand *)malloc(sizeof *h);
    wisp_result result;
    hand_start(h, 1, "s", 1);
    hand_field(h, "f", 0, kind);
    for (int i = 0; i < levels; i++) {
        if (kind == WISP_TYPE_STRUCT) {
            wisp__put(&h->to, 1, 9);
            wisp__put_text(&h->to, "s");
            wisp__put_length(&h->to, 1);
            wisp__put_text(&h->to, "f");
            wisp__put(&h->to, 0, 4);
        } else {
            wisp__put_length(&h->to, 1);
            if (kind == WISP_TYPE_ARRAY) wisp__put(&h->to, 0, 1);
        }
        wisp__put(&h->to, (uint64_t)(i < levels - 1 ? kind : WISP_TYPE_BOOL), 5);
    }
    result = hand_result(h);
    free(h);
    return result;
}

TEST(nesting_in_descriptors_is_bounded) {
    CHECK_EQ_INT(hand_nested(WISP_TYPE_STRUCT, 15), WISP_OK);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_STRUCT, 16), WISP_E_SCHEMA);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_STRUCT, 1000), WISP_E_SCHEMA);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_ARRAY, 10), WISP_OK);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_ARRAY, 100), WISP_E_SCHEMA);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_ARRAY, 8000), WISP_E_SCHEMA);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_UNION, 10), WISP_OK);
    CHECK_EQ_INT(hand_nested(WISP_TYPE_UNION, 9000), WISP_E_SCHEMA);
}

/* What is nested as deeply as it may be here can be described, so it must be understood there. */
TEST(what_may_be_used_here_is_understood_there) {
    enum { LEVELS = 24 };
    static wisp_type types[LEVELS + 1];
    static const wisp_type leaf = WISP_T_BOOL;
    for (int kind = WISP_TYPE_ARRAY; kind <= WISP_TYPE_UNION; kind++) {
        types[0] = leaf;
        for (int i = 1; i <= LEVELS; i++) {
            wisp_field field = WISP_MAP_FIELD("f", WISP_T_BOOL);
            wisp_schema schema;
            bits b;
            uint8_t memory[16384];
            wisp_result why, here;
            types[i] = schemas_plain(kind, 2);
            types[i].of = &types[i - 1];
            if (kind == WISP_TYPE_UNION) types[i].max = 1;
            field.type = types[i];
            memset(&schema, 0, sizeof schema);
            schema.name = "deep";
            schema.version = 1;
            schema.fields = &field;
            schema.count = 1;
            schema.shape = WISP_SHAPE_MAP;
            here = wisp_schema_check(&schema, NULL, 0);
            if (here) continue;
            describe(&schema, &b);
            undescribe(&b, b.count, memory, sizeof memory, &why);
            if (!CHECK_EQ_INT(why, WISP_OK)) printf("  %d levels of type %d\n", i, kind);
        }
    }
}

TEST(impossible_descriptors_are_refused) {
    descriptor_hand *h = (descriptor_hand *)malloc(sizeof *h);
    char name[66];
    memset(name, 'n', sizeof name);
    name[65] = 0;
    hand_start(h, 1, "s", 1);
    hand_field(h, "f", 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_OK);
    hand_start(h, 0, "s", 1);
    hand_field(h, "f", 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    hand_start(h, 1, "", 1);
    hand_field(h, "f", 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    hand_start(h, 1, name, 1);
    hand_field(h, "f", 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    hand_start(h, 1, "s", 1);
    hand_field(h, "", 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    hand_start(h, 1, "s", 1);
    hand_field(h, name, 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    hand_start(h, 1, "s", 2);
    hand_field(h, "f", 0, WISP_TYPE_BOOL);
    hand_field(h, "f", 0, WISP_TYPE_BOOL);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    hand_start(h, 1, "s", 0);
    CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    for (int kind = WISP_TYPE_UNION + 1; kind < 33; kind++) {
        hand_start(h, 1, "s", 1);
        hand_field(h, "f", 0, kind & 31);
        wisp__put(&h->to, 0, 56);
        CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    }
    free(h);
}

TEST(huge_counts_in_descriptors_are_refused) {
    static const int kinds[] = {
        WISP_TYPE_STRING, WISP_TYPE_BYTES, WISP_TYPE_ENUM, WISP_TYPE_ARRAY, WISP_TYPE_UNION
    };
    static const uint64_t counts[] = { 0, (1 << 24) + 1, INT32_MAX, UINT32_MAX, UINT64_MAX };
    descriptor_hand *h = (descriptor_hand *)malloc(sizeof *h);
    for (int k = 0; k < 5; k++) {
        for (int i = 0; i < 5; i++) {
            hand_start(h, 1, "s", 1);
            hand_field(h, "f", 0, kinds[k]);
            wisp__put_length(&h->to, counts[i]);
            for (int n = 0; n < 100; n++) wisp__put(&h->to, WISP_TYPE_BOOL << 1, 6);
            CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
        }
    }
    for (int i = 1; i < 5; i++) {
        hand_start(h, 1, "s", 0);
        h->to.at -= 8;
        wisp__put_length(&h->to, counts[i]);
        for (int n = 0; n < 100; n++) hand_field(h, "f", 0, WISP_TYPE_BOOL);
        CHECK_EQ_INT(hand_result(h), WISP_E_SCHEMA);
    }
    free(h);
}

/* The densest there is: memory stays in proportion to the bits, and below a bound. */
TEST(the_memory_of_a_descriptor_is_bounded) {
    descriptor_hand *h = (descriptor_hand *)malloc(sizeof *h);
    void *memory = malloc(1 << 22);
    wisp__reader from;
    wisp__bump bump;
    wisp_result why;
    hand_start(h, 1, "s", 60);
    for (int i = 0; i < 60; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        hand_field(h, name, 0, WISP_TYPE_UNION);
        wisp__put_length(&h->to, 256);
        for (int n = 0; n < 256; n++) wisp__put(&h->to, WISP_TYPE_BOOL, 5);
    }
    CHECK(!h->to.full);
    from = wisp__reader_on(h->b.bytes, (int)(h->to.at / 8));
    bump = wisp__bump_on(memory, 1 << 22);
    CHECK(wisp__undescribe(&from, &bump, &why) == NULL);
    CHECK_EQ_INT(why, WISP_E_SCHEMA);
    CHECK((1 << 22) - bump.left < 512 * 1024);
    free(memory);
    free(h);
}

static const test_case tests[] = {
    CASE(random_schemas_travel_and_mean_the_same),
    CASE(schemas_of_every_type_travel),
    CASE(a_struct_of_any_one_type_travels),
    CASE(what_is_packed_by_a_schema_is_read_by_its_descriptor),
    CASE(rows_flags_numbers_and_versions_travel),
    CASE(flags_about_objects_take_eight_bits_more_and_travel),
    CASE(an_open_enum_is_a_kind_of_its_own_there),
    CASE(a_descriptor_that_has_no_room_says_so),
    CASE(a_descriptor_cut_short_anywhere_is_refused),
    CASE(a_descriptor_takes_all_the_memory_it_needs_or_none),
    CASE(a_text_that_has_no_room_is_not_left_out),
    CASE(a_descriptor_with_any_bit_changed_is_refused_or_a_schema),
    CASE(a_spoilt_descriptor_is_refused_or_is_a_right_schema),
    CASE(random_descriptors_changed_in_several_places_do_no_harm),
    CASE(nesting_in_descriptors_is_bounded),
    CASE(what_may_be_used_here_is_understood_there),
    CASE(impossible_descriptors_are_refused),
    CASE(huge_counts_in_descriptors_are_refused),
    CASE(the_memory_of_a_descriptor_is_bounded),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
