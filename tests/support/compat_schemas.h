/* compat_schemas.h - schemas, a codec and a compressor for the endpoints of compat_script.h

   Included after random_values.h. */
#ifndef COMPAT_SCHEMAS_H
#define COMPAT_SCHEMAS_H

/* --- a record with a key, and one with many rows --- */

static const char *const moods[] = { "calm", "angry", "asleep" };
static const wisp_type tag_type = WISP_T_UINT8;

typedef struct entity {
    int32_t    number;
    uint16_t   id;
    wisp_vec3  place;
    wisp_quat  look;
    wisp_color tint;
    float      hp;
    double     exact;
    char       name[17];
    bool       alive;
    int        mood, tag_count, armour;
    uint8_t    tags[8];
} entity;

static const wisp_field entity_fields[] = {
    WISP_FIELD(entity, number, WISP_T_INT32),
    WISP_KEY_FIELD(entity, id, WISP_T_RANGE(0, 999)),
    WISP_FIELD(entity, place, WISP_T_VEC3_QUANTIZED(-512, 512, 0.125)),
    WISP_FIELD(entity, look, WISP_T_QUAT(9)),
    WISP_FIELD(entity, tint, WISP_T_COLOR),
    WISP_FIELD(entity, hp, WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_FIELD(entity, exact, WISP_T_NUMBER),
    WISP_FIELD(entity, name, WISP_T_STRING(16)),
    WISP_FIELD(entity, alive, WISP_T_BOOL),
    WISP_FIELD(entity, mood, WISP_T_ENUM(moods, 3)),
    WISP_OPTIONAL_FIELD(entity, armour, WISP_T_RANGE(-5, 200), 50),
    WISP_COUNTED_FIELD(entity, tags, tag_count, WISP_T_ARRAY(&tag_type, 8))
};
static const wisp_schema entity_schema = WISP_SCHEMA(entity, 1, entity_fields);

typedef struct cell { int16_t x, y; uint8_t kind; float heat; bool lit; } cell;

static const wisp_field cell_fields[] = {
    WISP_FIELD(cell, x, WISP_T_RANGE(-1000, 1000)),
    WISP_FIELD(cell, y, WISP_T_INTEGER),
    WISP_FIELD(cell, kind, WISP_T_UINT),
    WISP_FIELD(cell, heat, WISP_T_QUANTIZED(-10, 10, 0.25)),
    WISP_FIELD(cell, lit, WISP_T_BOOL)
};
static const wisp_schema cell_schema = WISP_SCHEMA(cell, 1, cell_fields);
static const wisp_type cell_type = WISP_T_STRUCT(&cell_schema);
static const wisp_type level_type = WISP_T_FLOAT;

enum { CELLS = 40, LEVELS = 24 };

typedef struct crowd {
    int32_t number;
    int     count;
    cell    cells[CELLS];
    float   levels[LEVELS];
} crowd;

static const wisp_field crowd_fields[] = {
    WISP_FIELD(crowd, number, WISP_T_INTEGER),
    WISP_COUNTED_FIELD(crowd, cells, count, WISP_T_ARRAY(&cell_type, CELLS)),
    WISP_FIELD(crowd, levels, WISP_T_ARRAY(&level_type, LEVELS))
};
static const wisp_schema crowd_schema = WISP_SCHEMA(crowd, 1, crowd_fields);

/* Rows of every sort that a tile has, each with a text at its end. */
typedef struct actor {
    uint32_t  id;
    int8_t    team;
    int32_t   score;
    float     heat;
    char      name[17];
} actor;

static const wisp_field actor_fields[] = {
    WISP_FIELD(actor, id, WISP_T_RANGE(0, 4294967295)),
    WISP_FIELD(actor, team, WISP_T_RANGE(-125, 125)),
    WISP_FIELD(actor, score, WISP_T_RANGE(-70000, 70000)),
    WISP_FIELD(actor, heat, WISP_T_QUANTIZED(-8, 8, 0.0625)),
    WISP_FIELD(actor, name, WISP_T_STRING(16))
};
static const wisp_schema actor_schema = WISP_SCHEMA(actor, 1, actor_fields);

typedef struct prop {
    int16_t   depth;
    int64_t   wide;
    wisp_vec2 aim;
    double    speed;
    char      name[9];
} prop;

static const wisp_field prop_fields[] = {
    WISP_FIELD(prop, aim, WISP_T_VEC2),
    WISP_FIELD(prop, depth, WISP_T_RANGE(-9000, 9000)),
    WISP_FIELD(prop, wide, WISP_T_RANGE(-4000000000, 4000000000)),
    WISP_FIELD(prop, speed, WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_FIELD(prop, name, WISP_T_STRING(8))
};
static const wisp_schema prop_schema = WISP_SCHEMA(prop, 1, prop_fields);

enum { ACTORS = 20, PROPS = 10 };

static const wisp_type actor_type = WISP_T_STRUCT(&actor_schema);
static const wisp_type prop_type = WISP_T_STRUCT(&prop_schema);

/* Rows of numbers alone, that end with a byte. */
typedef struct beam {
    wisp_vec3 end;
    uint16_t  strength;
} beam;

static const wisp_field beam_fields[] = {
    WISP_FIELD(beam, end, WISP_T_VEC3),
    WISP_FIELD(beam, strength, WISP_T_RANGE(0, 65535))
};
static const wisp_schema beam_schema = WISP_SCHEMA(beam, 1, beam_fields);
static const wisp_type beam_type = WISP_T_STRUCT(&beam_schema);

enum { BEAMS = 6 };

/* All before the rows ends with a byte, so that they are done in tiles. */
typedef struct cast {
    int32_t number;
    beam    beams[BEAMS];
    prop    props[PROPS];
    actor   actors[ACTORS];
} cast;

static const wisp_field cast_fields[] = {
    WISP_FIELD(cast, number, WISP_T_RANGE(0, 65535)),
    WISP_FIELD(cast, beams, WISP_T_ARRAY(&beam_type, BEAMS)),
    WISP_FIELD(cast, props, WISP_T_ARRAY(&prop_type, PROPS)),
    WISP_FIELD(cast, actors, WISP_T_ARRAY(&actor_type, ACTORS))
};
static const wisp_schema cast_schema = WISP_SCHEMA(cast, 1, cast_fields);

/* --- a schema of two versions --- */

typedef struct player1 { int32_t number, hp; char title[13]; } player1;
typedef struct player2 { int32_t number, health, level; char title[21]; } player2;

static const wisp_field player1_fields[] = {
    WISP_FIELD(player1, number, WISP_T_INT32),
    WISP_FIELD(player1, hp, WISP_T_RANGE(0, 100)),
    WISP_FIELD(player1, title, WISP_T_STRING(12))
};
static const wisp_field player2_fields[] = {
    WISP_FIELD(player2, title, WISP_T_STRING(20)),
    WISP_FIELD(player2, number, WISP_T_INT32),
    WISP_FIELD(player2, health, WISP_T_RANGE(0, 1000)),
    WISP_OPTIONAL_FIELD(player2, level, WISP_T_RANGE(1, 99), 1)
};
static const wisp_schema player1_schema = { "player", 1, (int)sizeof(player1), player1_fields, 3,
                                            WISP_SHAPE_STRUCT, NULL };
static const wisp_schema player2_schema = { "player", 2, (int)sizeof(player2), player2_fields, 4,
                                            WISP_SHAPE_STRUCT, NULL };

static inline wisp_result player_step(wisp_edit *edit, void *user) {
    const wisp_value *hp = wisp_edit_get(edit, "hp");
    (void)user;
    if (!hp || hp->kind != WISP_INT) return -1003;
    wisp_edit_set(edit, "hp", wisp_int(hp->as.integer * 10));
    wisp_edit_set(edit, "extra", wisp_string("gone soon"));
    wisp_edit_remove(edit, "extra");
    return wisp_edit_rename(edit, "hp", "health");
}

static const wisp_migration player_migrations[] = { { 1, player_step, NULL } };

/* --- maps and rows of values --- */

static const wisp_range three_ranges[] = { { 0, 10, 0.5 }, { -1, 1, 0.5 }, { 0, 1000, 10 } };
static const wisp_type number_type = WISP_T_QUANTIZED(0, 50, 0.25);
static const wisp_type text_type = WISP_T_STRING(9);
static const wisp_type options[] = { WISP_T_INTEGER, WISP_T_STRING(20), WISP_T_VEC2,
                                     WISP_T_ARRAY(&number_type, 6) };
static const wisp_type pair_of_types = WISP_T_UNION(options, 4);

static const wisp_field mapped_fields[] = {
    WISP_MAP_FIELD("number", WISP_T_INT32),
    WISP_MAP_FIELD("anything", WISP_T_ANY),
    WISP_MAP_FIELD("option", WISP_T_UNION(options, 4)),
    WISP_MAP_FIELD("options", WISP_T_ARRAY(&pair_of_types, 5)),
    WISP_OPTIONAL_MAP_FIELD("weight", WISP_T_NUMBER_RANGE(0, 100), 7),
    WISP_OPTIONAL_TEXT_MAP_FIELD("title", WISP_T_STRING(30), "none"),
    WISP_MAYBE_MAP_FIELD("texts", WISP_T_ARRAY(&text_type, 7)),
    WISP_MAYBE_MAP_FIELD("transform", WISP_T_TRANSFORM),
    WISP_MAP_FIELD("mood", WISP_T_ENUM_OPEN(moods, 3)),
    WISP_MAP_FIELD("colour", WISP_T_COLOR),
    WISP_MAP_FIELD("exact", WISP_T_EXACT(WISP_STRING)),
    WISP_MAP_FIELD("fixed", WISP_T_LITERAL_TEXT("v1")),
    WISP_MAP_FIELD("place", WISP_T_VEC3_EACH(three_ranges)),
    WISP_MAP_FIELD("blob", WISP_T_BYTES(50)),
    WISP_MAP_FIELD("wide", WISP_T_UINT64),
    WISP_MAP_FIELD("object", WISP_T_OBJECT),
    WISP_MAP_FIELD("cell", WISP_T_STRUCT(&cell_schema)),
    WISP_MAP_FIELD("turn", WISP_T_QUAT(0)),
    WISP_MAP_FIELD("zigzag", WISP_T_SINT64),
    WISP_MAP_FIELD("steady", WISP_T_FIXED32)
};
static const wisp_schema mapped_schema = WISP_MAP_SCHEMA("mapped", 3, mapped_fields);

static const wisp_field hit_fields[] = {
    WISP_MAP_FIELD("number", WISP_T_INT32),
    WISP_MAP_FIELD("weapon", WISP_T_STRING(20)),
    WISP_MAYBE_MAP_FIELD("damage", WISP_T_QUANTIZED(0, 500, 0.5)),
    WISP_MAP_FIELD("from", WISP_T_VEC2)
};
static const wisp_schema hit_schema = WISP_LIST_SCHEMA("hit", 1, hit_fields);

/* --- a codec of our own: MessagePack with every byte turned around --- */

enum { OWN_BYTES = 4096 };

static inline int own_encode(const wisp_codec *codec, const wisp_schema *schema,
                             const wisp_value *value, void *out, int capacity) {
    int size = wisp_msgpack()->encode(wisp_msgpack(), schema, value, out, capacity);
    int *broken = (int *)codec->user;
    for (int i = 0; i < size; i++) ((uint8_t *)out)[i] ^= 0x5a;
    if (size > 4 && broken && ++*broken % 7 == 0) return size - 2;
    return size;
}

static inline int own_decode(const wisp_codec *codec, const wisp_schema *schema, const void *bytes,
                             int size, wisp_value *out, void *memory, int memory_size) {
    uint8_t *copy = (uint8_t *)memory;
    (void)codec;
    if (size > OWN_BYTES || memory_size < OWN_BYTES + 64) return WISP_E_MEMORY;
    for (int i = 0; i < size; i++) copy[i] = (uint8_t)(((const uint8_t *)bytes)[i] ^ 0x5a);
    return wisp_msgpack()->decode(wisp_msgpack(), schema, copy, size, out, copy + OWN_BYTES,
                                  memory_size - OWN_BYTES);
}

/* --- a compressor: how often, and which byte; a dictionary is taken from the bytes first --- */

typedef struct runs { wisp_allocator memory; const uint8_t *words; int word_count; } runs;

static inline void *runs_open(const wisp_compressor *c, const wisp_allocator *memory,
                              const void *words, int count) {
    runs *r = (runs *)memory->alloc(memory->user, sizeof *r);
    (void)c;
    if (!r) return NULL;
    r->memory = *memory;
    r->words = (const uint8_t *)words;
    r->word_count = count;
    return r;
}

static inline void runs_close(const wisp_compressor *c, void *context) {
    runs *r = (runs *)context;
    wisp_allocator memory = r->memory;
    (void)c;
    memory.free(memory.user, r, sizeof *r);
}

static inline uint8_t runs_word(const runs *r, int i) {
    return r->word_count ? r->words[i % r->word_count] : 0;
}

static inline int runs_compress(void *context, const void *from, int size, void *to,
                                int capacity) {
    const runs *r = (const runs *)context;
    const uint8_t *in = (const uint8_t *)from;
    uint8_t *out = (uint8_t *)to;
    int at = 0;
    for (int i = 0; i < size;) {
        int first = i;
        uint8_t byte = (uint8_t)(in[i] ^ runs_word(r, i));
        while (i < size && i - first < 255 && (in[i] ^ runs_word(r, i)) == byte) i++;
        if (at + 2 > capacity) return 0;
        out[at++] = (uint8_t)(i - first);
        out[at++] = byte;
    }
    return at;
}

static inline int runs_decompress(void *context, const void *from, int size, void *to,
                                  int capacity) {
    const runs *r = (const runs *)context;
    const uint8_t *in = (const uint8_t *)from;
    uint8_t *out = (uint8_t *)to;
    int at = 0;
    for (int i = 0; i + 1 < size; i += 2)
        for (int n = in[i]; n; n--, at++) {
            if (at == capacity) return -1;
            out[at] = (uint8_t)(in[i + 1] ^ runs_word(r, at));
        }
    return size % 2 ? -1 : at;
}

static inline wisp_compressor runs_for(wisp_compression mode) {
    wisp_compressor c;
    memset(&c, 0, sizeof c);
    c.mode = mode;
    c.name = "runs of the test";
    c.open = runs_open;
    c.close = runs_close;
    c.compress = runs_compress;
    c.decompress = runs_decompress;
    return c;
}

#endif /* COMPAT_SCHEMAS_H */
