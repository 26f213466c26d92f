/* test_codec.c - codecs used alone, without an endpoint: any schema, any value, any memory */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/random_schemas.h"
#include "support/every_type.h"

enum { BYTES_MAX = 1 << 17, CODEC_MEMORY_MAX = 1 << 20 };

static uint8_t bytes_out[BYTES_MAX], bytes_again[BYTES_MAX];
static union {
    double align;
    uint8_t bytes[CODEC_MEMORY_MAX];
} codec_memory_a, codec_memory_b, codec_memory_c;
static schemas made;
static char codec_why[200];

static int codec_encode(const wisp_schema *schema, const wisp_value *value) {
    return wisp_encode(wisp_bitpack(), schema, value, bytes_out, BYTES_MAX);
}

static int codec_decode(const wisp_schema *schema, int size, wisp_value *out) {
    return wisp_decode(wisp_bitpack(), schema, bytes_out, size, out, codec_memory_a.bytes,
                       CODEC_MEMORY_MAX);
}

static const wisp_schema *compiled(const wisp_schema *schema) {
    return wisp_schema_compile(schema, codec_memory_c.bytes, CODEC_MEMORY_MAX);
}

/* Memory of exactly so many bytes, so that the sanitizer sees a step beyond. */
static void *exactly(int bytes) {
    void *memory = malloc(bytes > 0 ? (size_t)bytes : 1);
    if (!memory) exit(2);
    memset(memory, 0xa5, bytes > 0 ? (size_t)bytes : 1);
    return memory;
}

/* --- without a schema --- */

TEST(what_has_no_schema_describes_itself) {
    static low_values v;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        wisp_value value, out;
        int size;
        low_values_start(&v, seed, 3);
        value = low_value(&v);
        size = codec_encode(NULL, &value);
        if (!CHECK(size > 0)) return;
        if (!CHECK_EQ_INT(codec_decode(NULL, size, &out), size)) return;
        if (!CHECK(low_same(&value, &out))) return;
    }
}

TEST(a_schema_less_value_cut_anywhere_is_refused) {
    static low_values v;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        wisp_value value, out;
        int size;
        low_values_start(&v, seed, 3);
        value = low_value(&v);
        size = codec_encode(NULL, &value);
        for (int cut = 0; cut < size; cut++) {
            void *part = exactly(cut);
            memcpy(part, bytes_out, (size_t)cut);
            if (!CHECK(wisp_decode(wisp_bitpack(), NULL, part, cut, &out, codec_memory_a.bytes,
                                   CODEC_MEMORY_MAX) < 0)) return;
            free(part);
        }
    }
}

/* --- random schemas --- */

/* Encodes and decodes; false: it has failed, and the seed is told. */
static bool round_trip(const wisp_schema *schema, const wisp_value *value, wisp_value *out,
                       uint64_t seed) {
    int size = codec_encode(schema, value);
    int read = size < 0 ? size : codec_decode(schema, size, out);
    bool good = size >= 0 && read == size;
    if (!CHECK(good)) {
        wisp_validate(schema, value, codec_why, sizeof codec_why);
        printf("    seed %llu: %d bytes, read %d: %s\n", (unsigned long long)seed, size, read,
               codec_why);
    }
    return good;
}

TEST(random_schemas_are_fine_and_their_values_fit) {
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        const wisp_schema *schema;
        wisp_value value;
        schemas_start(&made, seed, (int)(seed % 32));
        schema = schemas_random(&made);
        if (!CHECK_EQ_INT(wisp_schema_check(schema, codec_why, sizeof codec_why), WISP_OK))
            printf("    seed %d: %s\n", (int)seed, codec_why);
        value = schemas_value(&made, schema);
        if (!CHECK_EQ_INT(wisp_validate(schema, &value, codec_why, sizeof codec_why), WISP_OK))
            printf("    seed %d: %s\n", (int)seed, codec_why);
    }
}

TEST(what_is_lossless_comes_back_equal) {
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        const wisp_schema *schema;
        wisp_value value, out;
        schemas_start(&made, seed, SCHEMAS_LOSSLESS);
        schema = compiled(schemas_random(&made));
        value = schemas_value(&made, schema);
        if (!round_trip(schema, &value, &out, seed)) continue;
        if (!CHECK(wisp_equal(&value, &out))) printf("    seed %d\n", (int)seed);
        CHECK(wisp_hash(&value) == wisp_hash(&out));
        CHECK(wisp_validate(schema, &out, NULL, 0) == WISP_OK);
    }
}

TEST(what_was_decoded_once_comes_back_equal_and_as_the_same_bytes) {
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        const wisp_schema *schema;
        wisp_value value, once, copy, twice;
        int size, again;
        schemas_start(&made, seed, 0);
        schema = compiled(schemas_random(&made));
        value = schemas_value(&made, schema);
        if (!round_trip(schema, &value, &once, seed)) continue;
        if (!CHECK_EQ_INT(wisp_validate(schema, &once, codec_why, sizeof codec_why), WISP_OK))
            printf("    seed %d: %s\n", (int)seed, codec_why);
        if (wisp_as_map(&once, &copy, codec_memory_b.bytes, CODEC_MEMORY_MAX)) continue;
        size = codec_encode(schema, &once);
        if (!CHECK(size >= 0)) continue;
        memcpy(bytes_again, bytes_out, (size_t)size);
        again = wisp_decode(wisp_bitpack(), schema, bytes_again, size, &twice, codec_memory_b.bytes,
                            CODEC_MEMORY_MAX);
        if (!CHECK_EQ_INT(again, size)) continue;
        if (!CHECK(wisp_equal(&once, &twice))) printf("    seed %d\n", (int)seed);
        CHECK_EQ_INT(codec_encode(schema, &twice), size);
        CHECK_EQ_MEM(bytes_out, bytes_again, size);
    }
}

TEST(a_schema_packs_the_same_whether_compiled_or_not) {
    for (uint64_t seed = 1; seed <= 500; seed++) {
        const wisp_schema *schema, *fast;
        wisp_value value, out;
        int size;
        schemas_start(&made, seed, SCHEMAS_LOSSLESS);
        schema = schemas_random(&made);
        fast = compiled(schema);
        value = schemas_value(&made, schema);
        size = codec_encode(fast, &value);
        if (!CHECK(size >= 0)) continue;
        memcpy(bytes_again, bytes_out, (size_t)size);
        if (!CHECK_EQ_INT(codec_encode(schema, &value), size)) printf("    seed %d\n", (int)seed);
        CHECK_EQ_MEM(bytes_out, bytes_again, size);
        CHECK_EQ_INT(codec_decode(schema, size, &out), size);
        CHECK(wisp_equal(&value, &out));
    }
}

TEST(what_does_not_fit_is_refused_by_validating_and_encoding_alike) {
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        const wisp_schema *schema;
        wisp_value value;
        schemas_start(&made, seed, (int)(seed & 1));
        schema = compiled(schemas_random(&made));
        value = schemas_misfit(&made, schema);
        codec_why[0] = 0;
        if (!CHECK_EQ_INT(wisp_validate(schema, &value, codec_why, sizeof codec_why),
                          WISP_E_INVALID))
            printf("    seed %d\n", (int)seed);
        CHECK(codec_why[0] != 0 && strlen(codec_why) < sizeof codec_why);
        if (!CHECK_EQ_INT(codec_encode(schema, &value), WISP_E_INVALID))
            printf("    seed %d\n", (int)seed);
    }
}

/* --- memory and capacity --- */

TEST(capacity_is_enough_or_refused_and_never_passed) {
    for (uint64_t seed = 1; seed <= 200; seed++) {
        const wisp_schema *schema;
        wisp_value value;
        int size;
        schemas_start(&made, seed, SCHEMAS_NO_ANY);
        schema = compiled(schemas_random(&made));
        value = schemas_value(&made, schema);
        size = codec_encode(schema, &value);
        if (!CHECK(size >= 0)) continue;
        for (int capacity = 0; capacity <= size; capacity++) {
            uint8_t *out = (uint8_t *)exactly(capacity);
            int wrote = wisp_encode(wisp_bitpack(), schema, &value, out, capacity);
            if (!CHECK_EQ_INT(wrote, capacity < size ? WISP_E_TOO_BIG : size))
                printf("    seed %d: capacity %d of %d\n", (int)seed, capacity, size);
            if (wrote == size) CHECK_EQ_MEM(out, bytes_out, size);
            free(out);
        }
    }
}

TEST(capacity_beside_values_that_describe_themselves_is_never_passed) {
    for (uint64_t seed = 1; seed <= 200; seed++) {
        const wisp_schema *schema;
        wisp_value value;
        int size, room;
        schemas_start(&made, seed, 0);
        schema = compiled(schemas_random(&made));
        value = schemas_value(&made, schema);
        size = codec_encode(schema, &value);
        if (!CHECK(size >= 0)) continue;
        for (int capacity = 0; capacity <= size; capacity++) {
            uint8_t *out = (uint8_t *)exactly(capacity);
            int wrote = wisp_encode(wisp_bitpack(), schema, &value, out, capacity);
            if (wrote != size && !CHECK_EQ_INT(wrote, WISP_E_TOO_BIG))
                printf("    seed %d\n", (int)seed);
            if (capacity < size) CHECK_EQ_INT(wrote, WISP_E_TOO_BIG);
            free(out);
        }
        for (room = size; room < BYTES_MAX; room++)
            if (wisp_encode(wisp_bitpack(), schema, &value, bytes_again, room) == size) break;
        CHECK(room <= 40 * size + 1000);
    }
}

TEST(memory_of_any_size_is_enough_or_refused_and_never_passed) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const wisp_schema *schema, *fast;
        wisp_value value, out;
        int size, room, step;
        schemas_start(&made, seed, 0);
        schema = schemas_random(&made);
        fast = compiled(schema);
        value = schemas_value(&made, schema);
        size = codec_encode(fast, &value);
        if (!CHECK(size >= 0)) continue;
        for (int uncompiled = 0; uncompiled < 2; uncompiled++) {
            bool enough = false;
            for (room = 0, step = 1; room < CODEC_MEMORY_MAX && !enough; room += step) {
                uint8_t *memory = (uint8_t *)exactly(room);
                int read = wisp_decode(wisp_bitpack(), uncompiled ? schema : fast, bytes_out, size,
                                       &out, memory, room);
                enough = read == size;
                if (!enough) CHECK_EQ_INT(read, WISP_E_MEMORY);
                else CHECK_EQ_INT(wisp_validate(schema, &out, NULL, 0), WISP_OK);
                free(memory);
                if (room > 64) step = 1 + room / 24;
            }
            CHECK(enough);
        }
    }
}

TEST(memory_may_begin_at_any_byte) {
    for (uint64_t seed = 1; seed <= 100; seed++) {
        const wisp_schema *schema;
        wisp_value value, out;
        int size, turn = (int)(seed % 8);
        schemas_start(&made, seed, SCHEMAS_LOSSLESS);
        schema = schemas_random(&made);
        value = schemas_value(&made, schema);
        schema = wisp_schema_compile(schema, codec_memory_c.bytes + turn, CODEC_MEMORY_MAX - turn);
        size = codec_encode(schema, &value);
        memmove(bytes_out + turn, bytes_out, (size_t)size);
        CHECK_EQ_INT(wisp_decode(wisp_bitpack(), schema, bytes_out + turn, size, &out,
                                 codec_memory_a.bytes + turn, CODEC_MEMORY_MAX - turn), size);
        CHECK(wisp_equal(&value, &out));
    }
}

TEST(bytes_behind_a_record_are_left_alone) {
    for (uint64_t seed = 1; seed <= 200; seed++) {
        const wisp_schema *schema;
        wisp_value value, out;
        int size;
        schemas_start(&made, seed, SCHEMAS_LOSSLESS);
        schema = compiled(schemas_random(&made));
        value = schemas_value(&made, schema);
        size = codec_encode(schema, &value);
        if (!CHECK(size >= 0)) continue;
        memset(bytes_out + size, 0xff, 64);
        CHECK_EQ_INT(codec_decode(schema, size + 64, &out), size);
        CHECK(wisp_equal(&value, &out));
    }
}

TEST(bytes_cut_anywhere_are_refused) {
    for (uint64_t seed = 1; seed <= 300; seed++) {
        const wisp_schema *schema;
        wisp_value value, out;
        int size;
        schemas_start(&made, seed, 0);
        schema = compiled(schemas_random(&made));
        value = schemas_value(&made, schema);
        size = codec_encode(schema, &value);
        for (int cut = 0; cut < size; cut++) {
            void *part = exactly(cut);
            memcpy(part, bytes_out, (size_t)cut);
            CHECK(wisp_decode(wisp_bitpack(), schema, part, cut, &out, codec_memory_a.bytes,
                              CODEC_MEMORY_MAX) < 0);
            free(part);
        }
    }
}

/* What is decoded from spoilt bytes fits, and encodes to bytes that decode to the same. */
static void must_be_sound(const wisp_schema *schema, const wisp_value *out, int seed) {
    wisp_value twice;
    int size;
    if (!CHECK_EQ_INT(wisp_validate(schema, out, codec_why, sizeof codec_why), WISP_OK))
        printf("    seed %d: %s\n", seed, codec_why);
    size = wisp_encode(wisp_bitpack(), schema, out, bytes_again, BYTES_MAX);
    if (!CHECK(size >= 0)) {
        printf("    seed %d: %d\n", seed, size);
        return;
    }
    if (!CHECK_EQ_INT(wisp_decode(wisp_bitpack(), schema, bytes_again, size, &twice,
                                  codec_memory_b.bytes, CODEC_MEMORY_MAX), size)) return;
    size = wisp_encode(wisp_bitpack(), schema, &twice, bytes_again, BYTES_MAX);
    CHECK(size >= 0);
}

TEST(bytes_that_were_changed_never_give_a_value_outside_the_schema) {
    int sound = 0, refused = 0;
    for (uint64_t seed = 1; seed <= 1500; seed++) {
        const wisp_schema *schema;
        wisp_value value, out;
        int size, read;
        uint8_t *copy;
        schemas_start(&made, seed, 0);
        schema = compiled(schemas_random(&made));
        value = schemas_value(&made, schema);
        size = codec_encode(schema, &value);
        if (size <= 0) continue;
        copy = (uint8_t *)exactly(size);
        for (int turn = 0; turn < 8; turn++) {
            memcpy(copy, bytes_out, (size_t)size);
            for (int k = 0; k <= turn; k++)
                copy[test_random_below(&made.seed, size)] ^=
                    (uint8_t)(1 << test_random_below(&made.seed, 8));
            if (turn == 7) low_random_bytes(&made.seed, copy, size);
            read = wisp_decode(wisp_bitpack(), schema, copy, size, &out, codec_memory_a.bytes,
                               CODEC_MEMORY_MAX);
            if (read >= 0) must_be_sound(schema, &out, (int)seed);
            if (read >= 0) sound++;
            else refused++;
            CHECK(read <= size);
            CHECK(read >= 0 || read == WISP_E_INVALID || read == WISP_E_BAD_PACKET ||
                  read == WISP_E_LIMIT || read == WISP_E_DEPTH || read == WISP_E_MEMORY);
        }
        free(copy);
    }
    CHECK(sound > 1000 && refused > 1000);
}

/* --- structs and maps --- */

typedef struct codec_item { uint16_t id; uint8_t count; } codec_item;
typedef struct bag { int32_t gold; char name[13]; uint8_t used; codec_item items[6]; float weight;
                     bool open; } bag;
static const wisp_field codec_item_fields[] = {
    WISP_FIELD(codec_item, id, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(codec_item, count, WISP_T_UINT),
};
static const wisp_schema codec_item_schema = WISP_SCHEMA(codec_item, 1, codec_item_fields);
static const wisp_type codec_item_type = WISP_T_STRUCT(&codec_item_schema);
static const wisp_field bag_fields[] = {
    WISP_FIELD(bag, gold, WISP_T_INTEGER),
    WISP_FIELD(bag, name, WISP_T_STRING(12)),
    WISP_COUNTED_FIELD(bag, items, used, WISP_T_ARRAY(&codec_item_type, 6)),
    WISP_FIELD(bag, weight, WISP_T_NUMBER),
    WISP_OPTIONAL_FIELD(bag, open, WISP_T_BOOL, true),
};
static const wisp_schema bag_schema = WISP_SCHEMA(bag, 3, bag_fields);

static bag random_bag(uint64_t *seed) {
    bag b;
    memset(&b, 0, sizeof b);
    b.gold = (int32_t)(uint32_t)test_random(seed);
    b.used = (uint8_t)test_random_below(seed, 7);
    snprintf(b.name, sizeof b.name, "bag %d", test_random_below(seed, 1000));
    for (int i = 0; i < b.used; i++) b.items[i].id = (uint16_t)test_random_below(seed, 1001);
    for (int i = 0; i < b.used; i++) b.items[i].count = (uint8_t)test_random(seed);
    b.weight = (float)test_random_unit(seed);
    b.open = test_random_below(seed, 2) != 0;
    return b;
}

TEST(a_struct_and_its_map_give_the_same_bytes) {
    uint64_t seed = 5;
    for (int i = 0; i < 200; i++) {
        bag b = random_bag(&seed);
        wisp_value value = wisp_struct(&bag_schema, &b), map;
        int size = codec_encode(&bag_schema, &value);
        if (!CHECK(size > 0)) return;
        memcpy(bytes_again, bytes_out, (size_t)size);
        CHECK_EQ_INT(wisp_as_map(&value, &map, codec_memory_a.bytes, CODEC_MEMORY_MAX), WISP_OK);
        CHECK_EQ_INT(map.kind, WISP_MAP);
        CHECK_EQ_INT(codec_encode(&bag_schema, &map), size);
        CHECK_EQ_MEM(bytes_out, bytes_again, size);
    }
}

/* --- structs written and read straight, and as values --- */

typedef struct straight_bag { wisp_value any; all every; bag bags[3]; } straight_bag;
static const wisp_type straight_bag_type = WISP_T_STRUCT(&bag_schema);
/* Protobuf has no vectors that describe themselves: all but the first three. */
static const wisp_schema straight_some = {
    "some", 1, (int)sizeof(all), all_fields + 3, (int)(sizeof all_fields / sizeof *all_fields) - 3,
    WISP_SHAPE_STRUCT, NULL
};
static const wisp_field straight_fields[] = {
    WISP_FIELD(straight_bag, bags, WISP_T_ARRAY(&straight_bag_type, 3)),
    WISP_FIELD(straight_bag, every, WISP_T_STRUCT(&all_schema)),
};
static const wisp_field straight_some_fields[] = {
    WISP_FIELD(straight_bag, any, WISP_T_ANY),
    WISP_FIELD(straight_bag, bags, WISP_T_ARRAY(&straight_bag_type, 3)),
    WISP_FIELD(straight_bag, every, WISP_T_STRUCT(&straight_some)),
};
static const wisp_schema straight_schemas[] = {
    WISP_SCHEMA(straight_bag, 1, straight_fields),
    WISP_SCHEMA(straight_bag, 1, straight_some_fields)
};

static straight_bag straight_random(uint64_t *seed) {
    straight_bag b;
    memset(&b, 0, sizeof b);
    b.every = all_full();
    b.every.object.id = (uint32_t)test_random_below(seed, 3);
    b.any = test_random_below(seed, 2) ? wisp_number(2) : wisp_string("any");
    for (int i = 0; i < 3; i++) b.bags[i] = random_bag(seed);
    return b;
}

/* Bits of any member change but of those that point. */
static void straight_damage(uint64_t *seed, straight_bag *b) {
    int begin = (int)offsetof(straight_bag, every) + (int)offsetof(all, flag);
    for (int changes = test_random_below(seed, 3); changes > 0; changes--)
        ((uint8_t *)b)[begin + test_random_below(seed, (int)sizeof *b - begin)] ^=
            (uint8_t)(1 << test_random_below(seed, 8));
}

/* Returns whether the message was fine. */
static bool straight_decodes_alike(const wisp_codec *straight, const wisp_codec *slow,
                                   const wisp_schema *schema, int size) {
    wisp_value a, b;
    int read = wisp_decode(straight, schema, bytes_again, size, &a, codec_memory_a.bytes,
                           CODEC_MEMORY_MAX);
    CHECK_EQ_INT(wisp_decode(slow, schema, bytes_again, size, &b, codec_memory_b.bytes,
                             CODEC_MEMORY_MAX), read);
    if (read >= 0) CHECK(wisp__alike(&a, &b, WISP__SAME_BITS));
    return read >= 0;
}

TEST(a_struct_is_written_and_read_alike_straight_and_as_a_value) {
    static uint64_t room[2][8192];
    const wisp_schema *schemas_of[2];
    const wisp_codec *codecs[] = { wisp_msgpack(), wisp_protobuf() };
    int fine[2] = { 0, 0 }, written[2] = { 0, 0 };
    uint64_t seed = 77;
    for (int i = 0; i < 2; i++)
        schemas_of[i] = wisp_schema_compile(&straight_schemas[i], room[i], (int)sizeof room[i]);
    for (int i = 0; i < 4000; i++) {
        straight_bag b = straight_random(&seed);
        const wisp_schema *schema = schemas_of[i & 1];
        wisp_codec slow = *codecs[i & 1];
        wisp_value value = wisp_struct(schema, &b);
        int size, again;
        slow.user = NULL;
        if (i & 2) straight_damage(&seed, &b);
        size = wisp_encode(codecs[i & 1], schema, &value, bytes_out, (int)sizeof bytes_out);
        again = wisp_encode(&slow, schema, &value, bytes_again, (int)sizeof bytes_again);
        if (!CHECK_EQ_INT(size, again) || size < 0) continue;
        written[i & 1]++;
        CHECK_EQ_MEM(bytes_out, bytes_again, size);
        for (int changes = test_random_below(&seed, 3); changes > 0; changes--)
            bytes_again[test_random_below(&seed, size)] ^= (uint8_t)test_random(&seed);
        if (i % 5 == 0) size -= test_random_below(&seed, size);
        fine[i & 1] += straight_decodes_alike(codecs[i & 1], &slow, schema, size);
    }
    for (int i = 0; i < 2; i++) CHECK(written[i] > 1000 && fine[i] > 500 && fine[i] < written[i]);
}

TEST(a_struct_comes_back_as_a_struct_with_the_same_members) {
    uint64_t seed = 6;
    for (int i = 0; i < 200; i++) {
        bag b = random_bag(&seed);
        const bag *got;
        wisp_value value = wisp_struct(&bag_schema, &b), out;
        int size = codec_encode(&bag_schema, &value);
        if (!CHECK_EQ_INT(codec_decode(&bag_schema, size, &out), size)) return;
        if (!CHECK_EQ_INT(out.kind, WISP_STRUCT)) return;
        got = (const bag *)out.as.structure.data;
        CHECK_EQ_INT(got->gold, b.gold);
        CHECK_EQ_STR(got->name, b.name);
        CHECK_EQ_INT(got->used, b.used);
        CHECK_EQ_MEM(got->items, b.items, sizeof b.items);
        CHECK(got->weight >= b.weight && got->weight <= b.weight);
        CHECK_EQ_INT(got->open, b.open);
        CHECK(wisp_equal(&value, &out));
        CHECK(wisp_hash(&value) == wisp_hash(&out));
    }
}

typedef struct other_bag {
    float weight;
    bool open;
    codec_item items[6];
    int n;
    char name[30];
    int64_t gold;
} other_bag;

/* --- the bits of floats --- */

typedef struct sample { float f; double wide; wisp_quat turn; } sample;

typedef struct floats {
    float          f, optional, some[3];
    double         wide;
    wisp_vec2      v2;
    wisp_vec3      v3;
    wisp_vec4      v4;
    wisp_quat      quat;
    wisp_transform transform;
    int            count;
    sample         samples[40];
} floats;

static const wisp_field sample_fields[] = {
    WISP_FIELD(sample, f, WISP_T_NUMBER), WISP_FIELD(sample, wide, WISP_T_NUMBER),
    WISP_FIELD(sample, turn, WISP_T_QUAT(0)),
};
static const wisp_schema sample_schema = WISP_SCHEMA(sample, 1, sample_fields);
static const wisp_type codec_t_float = WISP_T_FLOAT, t_sample = WISP_T_STRUCT(&sample_schema);
static const wisp_field floats_fields[] = {
    WISP_FIELD(floats, f, WISP_T_NUMBER),
    WISP_OPTIONAL_FIELD(floats, optional, WISP_T_NUMBER, 0),
    WISP_FIELD(floats, some, WISP_T_ARRAY(&codec_t_float, 3)),
    WISP_FIELD(floats, wide, WISP_T_NUMBER),
    WISP_FIELD(floats, v2, WISP_T_VEC2), WISP_FIELD(floats, v3, WISP_T_VEC3),
    WISP_FIELD(floats, v4, WISP_T_VEC4), WISP_FIELD(floats, quat, WISP_T_QUAT(0)),
    WISP_FIELD(floats, transform, WISP_T_TRANSFORM),
    WISP_COUNTED_FIELD(floats, samples, count, WISP_T_ARRAY(&t_sample, 40)),
};
static const wisp_schema floats_schema = WISP_SCHEMA(floats, 1, floats_fields);

/* Signalling and other NaNs, infinities, both zeros, the smallest and the largest; `finite`: what
   JSON can say. */
static uint32_t float_bits(uint64_t *seed, bool finite) {
    static const uint32_t edges[] = {
        0x7f800001, 0xff812345, 0x7fbfffff, 0x7fc00000, 0xffc54321, 0x7f800000, 0xff800000,
        0x80000000, 0, 1, 0x80000001, 0x007fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x3f800001
    };
    uint32_t bits = (uint32_t)test_random(seed);
    if (test_random_below(seed, 2)) bits = edges[test_random_below(seed, TEST_COUNT(edges))];
    return finite && (bits & 0x7f800000) == 0x7f800000 ? bits ^ 0x40000000 : bits;
}

static void set_floats(uint64_t *seed, void *to, int count, bool finite) {
    for (int i = 0; i < count; i++) {
        uint32_t bits = float_bits(seed, finite);
        memcpy((uint8_t *)to + 4 * i, &bits, 4);
    }
}

/* Also a float that became a double. */
static void set_double(uint64_t *seed, double *to, bool finite) {
    uint64_t bits = wisp__bits_widen(float_bits(seed, finite));
    if (test_random_below(seed, 2)) bits ^= 1;
    if (bits << 1 == (WISP__INFINITE_BITS | 1) << 1 && finite) bits = 0;
    memcpy(to, &bits, 8);
}

static void set_all(uint64_t *seed, floats *to, bool finite) {
    memset(to, 0, sizeof *to);
    set_floats(seed, &to->f, 5, finite);
    set_double(seed, &to->wide, finite);
    set_floats(seed, &to->v2, 2, finite);
    set_floats(seed, &to->v3, 3, finite);
    set_floats(seed, &to->v4, 4, finite);
    set_floats(seed, &to->quat, 4, finite);
    set_floats(seed, &to->transform, 7, finite);
    to->count = test_random_below(seed, 41);
    for (int i = 0; i < to->count; i++) {
        set_floats(seed, &to->samples[i].f, 1, finite);
        set_double(seed, &to->samples[i].wide, finite);
        set_floats(seed, &to->samples[i].turn, 4, finite);
    }
}

TEST(the_bits_of_floats_survive_every_codec) {
    const wisp_codec *const codecs[] = { wisp_bitpack(), wisp_msgpack(), wisp_protobuf(),
                                         wisp_json() };
    static floats from;
    uint64_t seed = 1;
    for (int i = 0; i < 400; i++) {
        const wisp_codec *codec = codecs[i % 4];
        wisp_value value = wisp_struct(&floats_schema, &from), out = wisp_nil();
        int size;
        set_all(&seed, &from, codec == wisp_json());
        size = wisp_encode(codec, &floats_schema, &value, bytes_out, BYTES_MAX);
        if (!CHECK(size > 0)) return;
        CHECK_EQ_INT(wisp_decode(codec, &floats_schema, bytes_out, size, &out, codec_memory_a.bytes,
                                 CODEC_MEMORY_MAX), size);
        if (!CHECK_EQ_INT(out.kind, WISP_STRUCT)) return;
        if (!CHECK_EQ_MEM(out.as.structure.data, &from, sizeof from)) printf("  %s\n", codec->name);
    }
}

TEST(the_bits_of_floats_survive_every_view) {
    static floats from, to;
    uint64_t seed = 2;
    for (int i = 0; i < 200; i++) {
        wisp_value value = wisp_struct(&floats_schema, &from), map = wisp_nil(), out = wisp_nil();
        int size;
        set_all(&seed, &from, false);
        CHECK_EQ_INT(wisp_as_map(&value, &map, codec_memory_b.bytes, CODEC_MEMORY_MAX), WISP_OK);
        memset(&to, 0, sizeof to);
        CHECK_EQ_INT(wisp_fill_struct(&floats_schema, &map, &to, codec_why, (int)sizeof codec_why),
                     WISP_OK);
        CHECK_EQ_MEM(&to, &from, sizeof from);
        size = codec_encode(NULL, &map);
        if (!CHECK_EQ_INT(codec_decode(NULL, size, &out), size)) return;
        memset(&to, 0, sizeof to);
        CHECK_EQ_INT(wisp_fill_struct(&floats_schema, &out, &to, codec_why, (int)sizeof codec_why),
                     WISP_OK);
        CHECK_EQ_MEM(&to, &from, sizeof from);
        size = wisp_encode(wisp_msgpack(), NULL, &map, bytes_out, BYTES_MAX);
        CHECK_EQ_INT(wisp_decode(wisp_msgpack(), NULL, bytes_out, size, &out, codec_memory_a.bytes,
                                 CODEC_MEMORY_MAX), size);
        memset(&to, 0, sizeof to);
        CHECK_EQ_INT(wisp_fill_struct(&floats_schema, &out, &to, codec_why, (int)sizeof codec_why),
                     WISP_OK);
        CHECK_EQ_MEM(&to, &from, sizeof from);
    }
}

/* There is room in a double for all bits of a float, and the way back finds them. */
TEST(the_bits_of_floats_survive_a_stay_in_doubles) {
    static const wisp_field wide_fields[] = { WISP_MAP_FIELD("f", WISP_T_DOUBLE) };
    static const wisp_field narrow_fields[] = { WISP_MAP_FIELD("f", WISP_T_FLOAT) };
    static const wisp_schema wide = WISP_MAP_SCHEMA("x", 1, wide_fields);
    static const wisp_schema narrow = WISP_MAP_SCHEMA("x", 1, narrow_fields);
    const wisp_codec *const codecs[] = { wisp_bitpack(), wisp_msgpack(), wisp_protobuf() };
    uint64_t seed = 3;
    for (int i = 0; i < 600; i++) {
        const wisp_codec *codec = codecs[i % 3];
        uint32_t bits = float_bits(&seed, false);
        wisp_pair pair = { "f", wisp__value_of_bits(true, bits) };
        wisp_value map = wisp_map(&pair, 1), middle = wisp_nil(), out = wisp_nil();
        int size = wisp_encode(codec, &wide, &map, bytes_out, BYTES_MAX);
        CHECK_EQ_INT(wisp_decode(codec, &wide, bytes_out, size, &middle, codec_memory_a.bytes,
                                 CODEC_MEMORY_MAX), size);
        size = wisp_encode(codec, &narrow, &middle, bytes_again, BYTES_MAX);
        CHECK_EQ_INT(wisp_decode(codec, &narrow, bytes_again, size, &out, codec_memory_b.bytes,
                                 CODEC_MEMORY_MAX), size);
        if (!CHECK_EQ_INT(out.kind, WISP_MAP)) return;
        CHECK_EQ_INT(wisp__load_float_bits(&out.as.map[0].value.as), bits);
    }
}

/* --- text and integers that become floats --- */

static uint32_t float_of_json(const wisp_type *type, const char *number) {
    wisp_field fields[] = { WISP_MAP_FIELD("x", WISP_T_FLOAT) };
    wisp_schema schema = WISP_MAP_SCHEMA("x", 1, fields);
    char text[400];
    wisp_value out = wisp_nil();
    int size;
    fields[0].type = *type;
    size = snprintf(text, sizeof text, type->kind == WISP_TYPE_VEC2 ? "{\"x\":[%s,0]}"
                                                                    : "{\"x\":%s}", number);
    size = wisp_decode(wisp_json(), &schema, text, size, &out, codec_memory_a.bytes,
                       CODEC_MEMORY_MAX);
    return size > 0 ? wisp__load_float_bits(&out.as.map[0].value.as) : (uint32_t)size;
}

TEST(json_is_rounded_to_a_float_once) {
    static const wisp_type options[] = { WISP_T_FLOAT, WISP_T_STRING(3) };
    static const wisp_type types[] = {
        WISP_T_FLOAT, WISP_T_VEC2, WISP_T_UNION(options, 2)
    };
    for (int i = 0; i < TEST_COUNT(types); i++) {
        CHECK_EQ_INT(float_of_json(&types[i], "7.038531e-26"), 0x15ae43fd);
        CHECK_EQ_INT(float_of_json(&types[i], "16777217.0000000000000001"), 0x4b800001);
        CHECK_EQ_INT(float_of_json(&types[i], "-16777218.9999999999999999"), 0xcb800001);
        CHECK_EQ_INT(float_of_json(&types[i], "9007199791611905"), 0x5a000001);
        CHECK_EQ_INT(float_of_json(&types[i], "-9007199791611905"), 0xda000001);
        CHECK_EQ_INT(float_of_json(&types[i], "18446745173221179392"), 0x5f800000);
        CHECK_EQ_INT(float_of_json(&types[i], "18446745173221179393"), 0x5f800001);
    }
    CHECK_EQ_INT(float_of_json(&types[0], "340282356779733661637539395458142568447.9"), 0x7f7fffff);
    CHECK_EQ_INT((int)float_of_json(&types[0], "340282356779733661637539395458142568448.0"),
                 WISP_E_INVALID);
}

TEST(a_value_of_json_fills_a_float_rounded_once) {
    static const char text[] = "{\"f\":7.038531e-26,\"wide\":7.038531e-26,\"turn\":1}";
    static const wisp_field fields[] = {
        WISP_FIELD(sample, f, WISP_T_NUMBER), WISP_FIELD(sample, wide, WISP_T_NUMBER),
    };
    static const wisp_schema schema = WISP_SCHEMA(sample, 1, fields);
    wisp_value value = wisp_nil();
    sample out;
    uint32_t bits;
    memset(&out, 0, sizeof out);
    CHECK(wisp_decode(wisp_json(), NULL, text, (int)sizeof text - 1, &value, codec_memory_a.bytes,
                      CODEC_MEMORY_MAX) > 0);
    CHECK_EQ_INT(wisp_count_of(wisp_field_of(&value, "f")), 0);
    CHECK_EQ_INT(wisp_fill_struct(&schema, &value, &out, codec_why, (int)sizeof codec_why),
                 WISP_OK);
    memcpy(&bits, &out.f, 4);
    CHECK_EQ_INT(bits, 0x15ae43fd);
    CHECK(low_bits_of(out.wide) == low_bits_of(7.038531e-26));
}

TEST(a_struct_of_another_schema_packs_by_the_names_of_its_fields) {
    static const wisp_field fields[] = {
        WISP_FIELD(other_bag, weight, WISP_T_NUMBER),
        WISP_FIELD(other_bag, open, WISP_T_BOOL),
        WISP_COUNTED_FIELD(other_bag, items, n, WISP_T_ARRAY(&codec_item_type, 6)),
        WISP_FIELD(other_bag, name, WISP_T_STRING(29)),
        WISP_FIELD(other_bag, gold, WISP_T_INTEGER),
    };
    static const wisp_schema schema = WISP_SCHEMA(other_bag, 1, fields);
    uint64_t seed = 7;
    bag b = random_bag(&seed);
    other_bag t;
    wisp_value value = wisp_struct(&bag_schema, &b), other = wisp_struct(&schema, &t);
    int size = codec_encode(&bag_schema, &value);
    memcpy(bytes_again, bytes_out, (size_t)size);
    memset(&t, 0, sizeof t);
    CHECK_EQ_INT(wisp_fill_struct(&schema, &value, &t, codec_why, sizeof codec_why), WISP_OK);
    CHECK_EQ_INT(codec_encode(&bag_schema, &other), size);
    CHECK_EQ_MEM(bytes_out, bytes_again, size);
    t.gold = INT64_C(1) << 40;
    CHECK_EQ_INT(codec_encode(&bag_schema, &other), WISP_E_INVALID);
}

TEST(a_struct_that_does_not_fit_is_refused_by_validating_and_encoding_alike) {
    uint64_t seed = 8;
    for (int mistake = 0; mistake < 4; mistake++) {
        bag b = random_bag(&seed);
        wisp_value value = wisp_struct(&bag_schema, &b);
        b.used = 2;
        CHECK_EQ_INT(wisp_validate(&bag_schema, &value, NULL, 0), WISP_OK);
        if (mistake == 0) b.used = 7;
        if (mistake == 1) b.items[1].id = 1001;
        if (mistake == 2) memset(b.name, 'x', sizeof b.name);
        if (mistake == 3) b.used = 255;
        CHECK_EQ_INT(wisp_validate(&bag_schema, &value, codec_why, sizeof codec_why),
                     WISP_E_INVALID);
        CHECK_EQ_INT(codec_encode(&bag_schema, &value), WISP_E_INVALID);
    }
}

TEST(fields_of_a_decoded_struct_need_memory_only_when_they_are_asked_for) {
    uint64_t seed = 9;
    bag b = random_bag(&seed);
    wisp_value value = wisp_struct(&bag_schema, &b), out;
    const wisp_schema *fast = compiled(&bag_schema);
    int size = codec_encode(fast, &value), enough = 0;
    b.used = 6;
    size = codec_encode(fast, &value);
    for (int room = 0; room < 8192; room += 8) {
        uint8_t *memory = (uint8_t *)exactly(room);
        if (wisp_decode(wisp_bitpack(), fast, bytes_out, size, &out, memory, room) == size) {
            const wisp_value *gold = wisp_field_of(&out, "gold");
            const wisp_value *items = wisp_field_of(&out, "items");
            if (CHECK(gold != NULL)) CHECK_EQ_INT(gold->as.integer, b.gold);
            if (items) CHECK_EQ_INT(wisp_count_of(items), 6);
            if (items) enough++;
            if (items) CHECK(wisp_field_of(&out, "items") == items);
        }
        free(memory);
    }
    CHECK(enough > 0);
}

TEST(a_value_of_a_map_outlives_neither_memory_nor_bytes_but_nothing_else) {
    static const wisp_field fields[] = { WISP_MAP_FIELD("text", WISP_T_STRING(20)) };
    static const wisp_schema schema = WISP_MAP_SCHEMA("m", 1, fields);
    wisp_pair pair;
    char text[] = "changed later";
    wisp_value value, out;
    int size;
    pair.key = "text";
    pair.value = wisp_string(text);
    value = wisp_map(&pair, 1);
    size = codec_encode(&schema, &value);
    CHECK_EQ_INT(codec_decode(&schema, size, &out), size);
    memset(text, 'x', strlen(text));
    CHECK_EQ_STR(wisp_string_of(wisp_field_of(&out, "text"), NULL), "changed later");
}

/* --- what is large --- */

TEST(a_thousand_fields_encode_when_they_are_compiled) {
    enum { MANY = 1000 };
    static wisp_field fields[MANY];
    static char names[MANY][16];
    static wisp_pair pairs[MANY];
    wisp_schema many = WISP_MAP_SCHEMA("many", 1, fields);
    const wisp_schema *fast;
    wisp_field model = WISP_MAP_FIELD("x", WISP_T_UINT);
    wisp_value value, out;
    int size;
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "f%d", i);
        fields[i] = model;
        fields[i].name = pairs[i].key = names[i];
        pairs[i].value = wisp_int(i);
    }
    value = wisp_map(pairs, MANY);
    CHECK_EQ_INT(wisp_encode(wisp_bitpack(), &many, &value, bytes_out, 4000), WISP_E_MEMORY);
    fast = compiled(&many);
    if (!CHECK(fast != NULL)) return;
    size = codec_encode(fast, &value);
    if (!CHECK(size > 0)) return;
    CHECK_EQ_INT(codec_decode(fast, size, &out), size);
    CHECK(wisp_equal(&value, &out));
    CHECK_EQ_INT(wisp_decode(wisp_bitpack(), &many, bytes_out, size, &out, codec_memory_a.bytes,
                             CODEC_MEMORY_MAX), size);
    CHECK(wisp_equal(&value, &out));
}

/* A map of 64 KB is laid out in the second half of what it is written to, and not written over. */
TEST(a_large_map_encodes_where_there_is_room_for_it_twice) {
    enum { NUMBERS = 8000, ROOM = 1 << 18 };
    static wisp_value numbers[NUMBERS];
    static const wisp_type number = WISP_T_DOUBLE;
    static const wisp_field fields[] = { WISP_MAP_FIELD("list", WISP_T_ARRAY(&number, NUMBERS)) };
    static const wisp_schema plain = WISP_MAP_SCHEMA("list", 1, fields);
    const wisp_schema *schema = compiled(&plain);
    uint8_t *out_room = (uint8_t *)exactly(ROOM);
    wisp_pair pair = { "list", wisp_array(numbers, NUMBERS) };
    wisp_value value = wisp_map(&pair, 1), out;
    int size, enough = 0;
    for (int i = 0; i < NUMBERS; i++) numbers[i] = wisp_number(i * 0.1);
    size = wisp_encode(wisp_bitpack(), schema, &value, out_room, ROOM);
    if (!CHECK_EQ_INT(size, 2 + NUMBERS * 8)) return;
    for (int room = 0; room < ROOM; room += room < 64 ? 1 : 997) {
        uint8_t *block = (uint8_t *)exactly(room);
        int wrote = wisp_encode(wisp_bitpack(), schema, &value, block, room);
        CHECK(wrote == size || wrote == WISP_E_TOO_BIG || wrote == WISP_E_MEMORY);
        if (wrote == size) CHECK_EQ_MEM(block, out_room, size);
        enough += wrote == size;
        free(block);
    }
    CHECK(enough > 100);
    CHECK_EQ_INT(wisp_decode(wisp_bitpack(), schema, out_room, size, &out, codec_memory_a.bytes,
                             CODEC_MEMORY_MAX), size);
    CHECK(wisp_equal(&value, &out));
    free(out_room);
}

/* --- what callers give wrong --- */

TEST(nothing_is_an_argument_error) {
    wisp_value value = wisp_int(1), out;
    CHECK_EQ_INT(wisp_encode(NULL, NULL, &value, bytes_out, 10), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_encode(wisp_bitpack(), NULL, NULL, bytes_out, 10), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_encode(wisp_bitpack(), NULL, &value, NULL, 10), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_encode(wisp_bitpack(), NULL, &value, bytes_out, -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_encode(wisp_bitpack(), NULL, &value, NULL, 0), WISP_E_TOO_BIG);
    CHECK_EQ_INT(wisp_encode(wisp_bitpack(), &codec_item_schema, &value, NULL, 0), WISP_E_INVALID);
    CHECK_EQ_INT(wisp_decode(NULL, NULL, bytes_out, 1, &out, codec_memory_a.bytes, 100),
                 WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_decode(wisp_bitpack(), NULL, NULL, 1, &out, codec_memory_a.bytes, 100),
                 WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_decode(wisp_bitpack(), NULL, bytes_out, -1, &out, codec_memory_a.bytes, 100),
                 WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_decode(wisp_bitpack(), NULL, bytes_out, 1, NULL, codec_memory_a.bytes, 100),
                 WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_decode(wisp_bitpack(), NULL, bytes_out, 1, &out, codec_memory_a.bytes, -1),
                 WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_decode(wisp_bitpack(), &bag_schema, NULL, 0, &out, NULL, 0), WISP_E_MEMORY);
}

TEST(a_schema_that_makes_no_sense_is_refused_by_encoding_and_decoding) {
    static const wisp_field fields[] = { WISP_MAP_FIELD("a", WISP_T_QUAT(1)) };
    static const wisp_schema schema = WISP_MAP_SCHEMA("m", 1, fields);
    wisp_pair pair;
    wisp_value value, out;
    pair.key = "a";
    pair.value = wisp_quatv(0, 0, 0, 1);
    value = wisp_map(&pair, 1);
    CHECK_EQ_INT(codec_encode(&schema, &value), WISP_E_SCHEMA);
    CHECK_EQ_INT(codec_decode(&schema, 10, &out), WISP_E_SCHEMA);
    CHECK(wisp_schema_compile(&schema, codec_memory_c.bytes, CODEC_MEMORY_MAX) == NULL);
}

typedef struct codec_gauge {
    float level;
    wisp_vec2 at;
    double many[3000];
    uint32_t used;
    union { double level; char text[8]; } choice;
    uint8_t choice_is;
} codec_gauge;

static const wisp_type near_number = WISP_T_QUANTIZED(0, 100, 0.5);
static const wisp_type near_options[] = { WISP_T_STRING(7), WISP_T_QUANTIZED(0, 100, 0.5) };
static const wisp_field near_gauge_fields[] = {
    WISP_FIELD(codec_gauge, level, WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_FIELD(codec_gauge, at, WISP_T_VEC2_QUANTIZED(0, 100, 0.5)),
    WISP_COUNTED_FIELD(codec_gauge, many, used, WISP_T_ARRAY(&near_number, 3000)),
    WISP_UNION_FIELD(codec_gauge, choice, choice_is, WISP_T_UNION(near_options, 2)),
};
static const wisp_schema near_gauge = WISP_SCHEMA(codec_gauge, 1, near_gauge_fields);
static const wisp_type clamped_number = WISP_T_CLAMPED(0, 100, 0.5);
static const wisp_type clamped_options[] = { WISP_T_STRING(7), WISP_T_CLAMPED(0, 100, 0.5) };
static const wisp_field clamped_gauge_fields[] = {
    WISP_FIELD(codec_gauge, level, WISP_T_CLAMPED(0, 100, 0.5)),
    WISP_FIELD(codec_gauge, at, WISP_T_VEC2_CLAMPED(0, 100, 0.5)),
    WISP_COUNTED_FIELD(codec_gauge, many, used, WISP_T_ARRAY(&clamped_number, 3000)),
    WISP_UNION_FIELD(codec_gauge, choice, choice_is, WISP_T_UNION(clamped_options, 2)),
};
static const wisp_schema clamped_gauge = WISP_SCHEMA(codec_gauge, 1, clamped_gauge_fields);

/* What one end writes as edges, the other end reads, whose ranges are strict. */
TEST(numbers_are_moved_to_the_edge_in_every_codec) {
    static const wisp_codec *codecs[4];
    static codec_gauge g, zeros;
    codecs[0] = wisp_bitpack(), codecs[1] = wisp_json(), codecs[2] = wisp_msgpack();
    codecs[3] = wisp_protobuf();
    for (int form = 0; form < 4 * 2 * 2 * 2; form++) {
        const wisp_codec *codec = codecs[form / 8];
        bool clamps = (form & 1) != 0, map = (form & 2) != 0, fast = (form & 4) != 0;
        const wisp_schema *plain = clamps ? &clamped_gauge : &near_gauge, *schema = plain;
        float over = clamps ? 1e9f : 100.25f, under = clamps ? -1e9f : -0.25f;
        wisp_value value = wisp_struct(plain, &g), out;
        int size, read;
        g = zeros;
        g.level = g.at.y = over;
        g.at.x = under;
        g.used = form & 4 ? 3 : 2950;
        for (uint32_t i = 0; i < g.used; i++) g.many[i] = i & 1 ? (double)over : 7.5;
        g.choice_is = 1;
        g.choice.level = (double)over;
        if (map) CHECK_EQ_INT(wisp_as_map(&value, &value, codec_memory_b.bytes, CODEC_MEMORY_MAX),
                              WISP_OK);
        if (fast) schema = compiled(plain);
        size = wisp_encode(codec, schema, &value, bytes_out, BYTES_MAX);
        if (!CHECK(size > 0)) printf("    %s, form %d: %d\n", codec->name, form, size);
        read = wisp_decode(codec, &near_gauge, bytes_out, size, &out, codec_memory_a.bytes,
                           CODEC_MEMORY_MAX);
        if (!CHECK_EQ_INT(read, size)) continue;
        memset(&g, 0, sizeof g);
        CHECK_EQ_INT(wisp_fill_struct(&near_gauge, &out, &g, NULL, 0), WISP_OK);
        CHECK(g.level == 100 && g.at.x == 0 && g.at.y == 100 && g.many[1] == 100);
        CHECK(g.many[0] == 7.5 && g.choice_is == 1 && g.choice.level == 100);
        if (codec != codecs[1]) continue;
        bytes_out[size] = 0;                     /* what others read is in the range, too */
        CHECK(strstr((const char *)bytes_out, clamps ? "1000000" : "100.25") == NULL);
    }
}

TEST(the_codec_has_its_name) { CHECK_EQ_STR(wisp_bitpack()->name, "bitpack"); }

static const test_case tests[] = {
    CASE(what_has_no_schema_describes_itself),
    CASE(a_schema_less_value_cut_anywhere_is_refused),
    CASE(random_schemas_are_fine_and_their_values_fit),
    CASE(what_is_lossless_comes_back_equal),
    CASE(what_was_decoded_once_comes_back_equal_and_as_the_same_bytes),
    CASE(a_schema_packs_the_same_whether_compiled_or_not),
    CASE(what_does_not_fit_is_refused_by_validating_and_encoding_alike),
    CASE(capacity_is_enough_or_refused_and_never_passed),
    CASE(capacity_beside_values_that_describe_themselves_is_never_passed),
    CASE(memory_of_any_size_is_enough_or_refused_and_never_passed),
    CASE(memory_may_begin_at_any_byte),
    CASE(bytes_behind_a_record_are_left_alone),
    CASE(bytes_cut_anywhere_are_refused),
    CASE(bytes_that_were_changed_never_give_a_value_outside_the_schema),
    CASE(a_struct_and_its_map_give_the_same_bytes),
    CASE(a_struct_is_written_and_read_alike_straight_and_as_a_value),
    CASE(a_struct_comes_back_as_a_struct_with_the_same_members),
    CASE(the_bits_of_floats_survive_every_codec),
    CASE(the_bits_of_floats_survive_every_view),
    CASE(the_bits_of_floats_survive_a_stay_in_doubles),
    CASE(json_is_rounded_to_a_float_once),
    CASE(a_value_of_json_fills_a_float_rounded_once),
    CASE(a_struct_of_another_schema_packs_by_the_names_of_its_fields),
    CASE(a_struct_that_does_not_fit_is_refused_by_validating_and_encoding_alike),
    CASE(fields_of_a_decoded_struct_need_memory_only_when_they_are_asked_for),
    CASE(a_value_of_a_map_outlives_neither_memory_nor_bytes_but_nothing_else),
    CASE(a_thousand_fields_encode_when_they_are_compiled),
    CASE(a_large_map_encodes_where_there_is_room_for_it_twice),
    CASE(nothing_is_an_argument_error),
    CASE(a_schema_that_makes_no_sense_is_refused_by_encoding_and_decoding),
    CASE(numbers_are_moved_to_the_edge_in_every_codec),
    CASE(the_codec_has_its_name),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
