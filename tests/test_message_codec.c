/* test_message_codec.c - values over the wire in every encoding, checked, migrated */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/watched_memory_and_link.h"

/* --- what is sent --- */

typedef struct stats { float hp; char name[21]; int32_t old; } stats;
static const wisp_field message_stats_fields[] = {
    WISP_FIELD(stats, hp, WISP_T_QUANTIZED(0, 100, 0.5)),
    WISP_FIELD(stats, name, WISP_T_STRING(20)),
    WISP_FIELD(stats, old, WISP_T_RANGE(0, 10)),
};
static const wisp_schema message_stats_schema = WISP_SCHEMA(stats, 1,
                                                                  message_stats_fields);

static const wisp_type tag_type = WISP_T_STRING(8);
static const wisp_field info_fields[] = {
    WISP_MAP_FIELD("hp", WISP_T_NUMBER_RANGE(0, 100)),
    WISP_MAP_FIELD("tags", WISP_T_ARRAY(&tag_type, 4)),
    WISP_MAP_FIELD("pos", WISP_T_VEC3),
};
static const wisp_schema info_schema = WISP_MAP_SCHEMA("info", 1, info_fields);

static const wisp_field hit_fields[] = {
    WISP_MAP_FIELD("hp", WISP_T_NUMBER_RANGE(0, 100)),
    WISP_MAP_FIELD("who", WISP_T_STRING(10)),
};
static const wisp_schema hit_schema = WISP_LIST_SCHEMA("hit", 1, hit_fields);

enum { STRUCT, MAP, ROW, SHAPE_COUNT };

static const wisp_schema *shape_schema(int shape) {
    return shape == STRUCT ? &message_stats_schema : shape == MAP ? &info_schema : &hit_schema;
}

/* The values of a message, in memory that stays. */
typedef struct subject {
    stats      s;
    wisp_value tags[2], row[2];
    wisp_pair  pairs[3];
    wisp_value values[2];
    int        count;
} subject;

static void subject_make(subject *m, int shape, double hp) {
    memset(m, 0, sizeof *m);
    m->count = shape == ROW ? 2 : 1;
    m->s.hp = (float)hp;
    m->s.old = 3;
    memcpy(m->s.name, "alice", 6);
    m->tags[0] = wisp_string("red");
    m->tags[1] = wisp_string("blue");
    m->pairs[0].key = "hp";
    m->pairs[0].value = wisp_number(hp);
    m->pairs[1].key = "tags";
    m->pairs[1].value = wisp_array(m->tags, 2);
    m->pairs[2].key = "pos";
    m->pairs[2].value = wisp_vec3v(1, 2, 3);
    if (shape == STRUCT) m->values[0] = wisp_struct(&message_stats_schema, &m->s);
    else if (shape == MAP) m->values[0] = wisp_map(m->pairs, 3);
    else m->values[0] = wisp_number(hp);
    m->values[1] = wisp_string("bob");
}

static wisp_result message_fire(wisp *from, const char *name, const subject *m) {
    return wisp_fire_values(from, name, wisp_to_all(), m->values, m->count);
}

static wisp_result fire_one(wisp *from, const char *name, wisp_value value) {
    return wisp_fire_values(from, name, wisp_to_all(), &value, 1);
}

/* --- what comes --- */

typedef struct seen { int count; double hp; char text[40]; bool fields, filled; } seen;

static double number_of(const wisp_value *value) {
    if (!value) return -1;
    if (value->kind == WISP_INT) return (double)value->as.integer;
    if (value->kind == WISP_UINT) return (double)value->as.uinteger;
    if (value->kind == WISP_FLOAT) return (double)value->as.float32;
    return value->kind == WISP_NUMBER ? value->as.number : -1;
}

static void on_subject(wisp_event *event) {
    seen *s = (seen *)event->user;
    const wisp_value *name, *first = event->args;
    const stats *filled;
    s->count++;
    s->fields = s->filled = false;
    s->text[0] = 0;
    if (event->count == 2) {                                     /* a row */
        s->hp = number_of(first);
        snprintf(s->text, sizeof s->text, "%s", wisp_arg_string(event, 1));
        return;
    }
    if (event->count != 1) return;
    s->hp = number_of(wisp_field_of(first, "hp"));
    name = wisp_field_of(first, "name");
    if (name && name->kind == WISP_STRING)
        snprintf(s->text, sizeof s->text, "%.*s", name->count, name->as.string);
    s->fields = !name && wisp_count_of(wisp_field_of(first, "tags")) == 2 &&
                wisp_field_of(first, "pos") != NULL;
    if (!name) return;
    filled = (const stats *)wisp_arg_struct(event, 0, &message_stats_schema);
    s->filled = filled && filled->old == 3 && (double)filled->hp >= s->hp &&
                (double)filled->hp <= s->hp && strcmp(filled->name, "alice") == 0;
}

static void watch(wisp *end, const char *name, seen *s) {
    memset(s, 0, sizeof *s);
    CHECK(wisp_connect_target(end, wisp_by_name(name), on_subject, s, false).id != 0);
}

static bool seen_well(const seen *s, int shape, double hp) {
    if (s->hp < hp || s->hp > hp) return false;
    if (shape == STRUCT) return s->filled && strcmp(s->text, "alice") == 0;
    return shape == MAP ? s->fields : strcmp(s->text, "bob") == 0;
}

typedef const wisp_codec *(*codec_fn)(void);
static const codec_fn codec_fns[] = { NULL, wisp_json, wisp_msgpack, wisp_protobuf };

static const wisp_codec *codec_at(int i) { return codec_fns[i] ? codec_fns[i]() : NULL; }

/* --- every encoding --- */

/* Who has the schema: both, or the sender alone. */
static void every_encoding(bool both) {
    for (int form = 0; form < 5 * 4 * SHAPE_COUNT; form++) {
        int shape = form % SHAPE_COUNT, mode = form / SHAPE_COUNT % 5;
        int codec = form / SHAPE_COUNT / 5;
        world_two t;
        seen s;
        subject m;
        world_open(&t.w);
        t.w.foreign = !both;
        world_two_join(&t);
        watch(t.server, "n", &s);
        world_watch(&t.w, t.server, WISP_ERROR);
        if (both) CHECK_EQ_INT(use_schema(t.server, "n", shape_schema(shape)), WISP_OK);
        if (both) CHECK_EQ_INT(use_encoding(t.server, "n", mode, codec_at(codec), 0), WISP_OK);
        CHECK_EQ_INT(use_schema(t.client, "n", shape_schema(shape)), WISP_OK);
        CHECK_EQ_INT(use_encoding(t.client, "n", mode, codec_at(codec), 0), WISP_OK);
        for (int i = 0; i < 4; i++) {
            subject_make(&m, shape, 10 * i);
            CHECK_EQ_INT(message_fire(t.client, "n", &m), WISP_OK);
            world_run(&t.w, 0.1);
            if (!CHECK(s.count == i + 1 && seen_well(&s, shape, 10 * i)))
                printf("  shape %d, mode %d, codec %d: %d came, hp %g, '%s' %s\n", shape, mode,
                       codec, s.count, s.hp, s.text, world_last(&t.w, t.server, WISP_ERROR)->text);
        }
        CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), 0);
        world_close(&t.w);
    }
}

TEST(each_shape_goes_in_each_mode_and_codec) { every_encoding(true); }
TEST(who_has_no_schema_understands_the_senders) { every_encoding(false); }

TEST(a_schema_without_a_config_is_in_force) {
    world_two t;
    seen s;
    subject m;
    uint64_t plain, packed;
    world_two_open_foreign(&t);
    watch(t.server, "plain", &s);
    watch(t.server, "packed", &s);
    use_schema(t.client, "packed", &message_stats_schema);
    subject_make(&m, STRUCT, 50);
    for (int i = 0; i < 10; i++) message_fire(t.client, "plain", &m);
    for (int i = 0; i < 10; i++) message_fire(t.client, "packed", &m);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(s.count, 20);
    plain = world_remote_stats(t.client, "plain").bits_sent;
    packed = world_remote_stats(t.client, "packed").bits_sent;
    CHECK(packed > 0 && packed * 3 < plain * 2);
    m.s.hp = 101;
    CHECK_EQ_INT(message_fire(t.client, "packed", &m), WISP_E_INVALID);
    world_close(&t.w);
}

/* --- the sender's own mistakes --- */

TEST(what_is_outside_the_schema_is_not_sent) {
    static const int modes[] = { 0, WISP_ENCODE_SCHEMA, WISP_ENCODE_COMPRESSED, WISP_ENCODE_SAFE };
    for (int form = 0; form < 4 * 4 * SHAPE_COUNT; form++) {
        int shape = form % SHAPE_COUNT, mode = modes[form / SHAPE_COUNT % 4];
        int codec = form / SHAPE_COUNT / 4;
        world_two t;
        seen s;
        subject m;
        world_two_open_foreign(&t);
        watch(t.server, "n", &s);
        use_schema(t.client, "n", shape_schema(shape));
        use_encoding(t.client, "n", mode, codec_at(codec), 0);
        subject_make(&m, shape, 101);
        CHECK_EQ_INT(message_fire(t.client, "n", &m), WISP_E_INVALID);
        if (!CHECK(strncmp(wisp_why_text(t.client), "hp: 101 is not in 0 .. 100", 12) == 0))
            printf("  '%s': shape %d, mode %d, codec %d\n", wisp_why_text(t.client), shape, mode,
                   codec);
        subject_make(&m, shape, 100);
        CHECK_EQ_INT(wisp_fire_values(t.client, "n", wisp_to_all(), m.values, 0), WISP_E_INVALID);
        CHECK(wisp_why_text(t.client)[0] != 0);
        CHECK_EQ_INT(fire_one(t.client, "n", wisp_string("hacked")), WISP_E_INVALID);
        CHECK_EQ_INT(message_fire(t.client, "n", &m), WISP_OK);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(s.count, 1);
        world_close(&t.w);
    }
}

TEST(the_path_of_a_wrong_value_is_reported) {
    world_two t;
    subject m;
    world_two_open(&t);
    use_schema(t.client, "n", &info_schema);
    subject_make(&m, MAP, 5);
    m.tags[1] = wisp_string("longer than eight");
    CHECK_EQ_INT(message_fire(t.client, "n", &m), WISP_E_INVALID);
    CHECK(strncmp(wisp_why_text(t.client), "tags[1]: ", 9) == 0);
    subject_make(&m, MAP, 5);
    m.pairs[2].key = "place";
    CHECK_EQ_INT(message_fire(t.client, "n", &m), WISP_E_INVALID);
    CHECK(strstr(wisp_why_text(t.client), "pos") || strstr(wisp_why_text(t.client), "place"));
    world_close(&t.w);
}

TEST(why_text_is_never_null) {
    world_two t;
    static const wisp_field bad_fields[] = { WISP_MAP_FIELD("wrong", WISP_T_RANGE(3, 1)) };
    static const wisp_schema bad = WISP_MAP_SCHEMA("bad", 1, bad_fields);
    world_two_open(&t);
    CHECK_EQ_STR(wisp_why_text(NULL), "");
    CHECK_EQ_STR(wisp_why_text(t.client), "");
    CHECK_EQ_INT(use_schema(t.client, "n", &bad), WISP_E_SCHEMA);
    CHECK(strstr(wisp_why_text(t.client), "wrong") != NULL);
    world_close(&t.w);
}

/* A C struct's float may be exactly the bound, which as a double it is not. */
typedef struct tiny { float a, b; wisp_vec2 v; } tiny;
static const wisp_field tiny_fields[] = {
    WISP_FIELD(tiny, a, WISP_T_QUANTIZED(0, 0.1, 0.01)),
    WISP_FIELD(tiny, b, WISP_T_NUMBER_RANGE(-0.3, 0.3)),
    WISP_FIELD(tiny, v, WISP_T_VEC2_QUANTIZED(-0.1, 0.1, 0.001)),
};
static const wisp_schema tiny_schema = WISP_SCHEMA(tiny, 1, tiny_fields);

TEST(a_float_may_be_the_bound_of_its_range) {
    tiny v = { 0.1f, 0.3f, { -0.1f, 0.1f } };
    wisp_value value = wisp_struct(&tiny_schema, &v), got;
    char text[160] = "";
    uint8_t bytes[64], memory[4096];
    const wisp_codec *pack = wisp_bitpack();
    int size;
    if (!CHECK_EQ_INT(wisp_validate(&tiny_schema, &value, text, (int)sizeof text), WISP_OK))
        printf("  %s\n", text);
    size = pack->encode(pack, &tiny_schema, &value, bytes, (int)sizeof bytes);
    if (!CHECK(size > 0)) return;
    size -= pack->decode(pack, &tiny_schema, bytes, size, &got, memory, (int)sizeof memory);
    CHECK_EQ_INT(size, 0);
    CHECK_EQ_INT(wisp_validate(&tiny_schema, &got, NULL, 0), WISP_OK);
    CHECK(pack->encode(pack, &tiny_schema, &got, bytes, (int)sizeof bytes) > 0);
}

/* --- the other side's mistakes, or malice --- */

static const wisp_field lax_fields[] = {
    WISP_MAP_FIELD("hp", WISP_T_ANY), WISP_MAP_FIELD("who", WISP_T_ANY),
};
static const wisp_schema lax_schema = WISP_LIST_SCHEMA("hit", 1, lax_fields);

/* A client that keeps to no schema, in every encoding that it may choose. */
TEST(a_hacked_value_never_reaches_the_handler) {
    for (int form = 0; form < 2 * 3 * 4; form++) {
        bool lax = form & 1;
        int mode = form / 2 % 3, codec = form / 6;
        world_two t;
        wisp_value row[3];
        seen s;
        world_two_open_foreign(&t);
        watch(t.server, "hit", &s);
        world_watch(&t.w, t.server, WISP_ERROR);
        use_schema(t.server, "hit", &hit_schema);
        if (lax) use_schema(t.client, "hit", &lax_schema);
        use_encoding(t.client, "hit", mode == 2 ? WISP_ENCODE_COMPRESSED : mode, codec_at(codec),
                     0);
        row[0] = wisp_string("hacked");
        row[1] = wisp_string("bob");
        row[2] = wisp_string("more");
        CHECK_EQ_INT(wisp_fire_values(t.client, "hit", wisp_to_all(), row, 2), WISP_OK);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(s.count, 0);
        CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_INVALID), 1);
        if (!CHECK(strstr(world_last(&t.w, t.server, WISP_ERROR)->text, "hp: ") != NULL))
            printf("  '%s': lax %d, mode %d, codec %d\n",
                   world_last(&t.w, t.server, WISP_ERROR)->text, lax, mode, codec);
        CHECK_EQ_INT(world_last(&t.w, t.server, WISP_ERROR)->remote.id,
                     wisp_remote_named(t.server, "hit").id);
        row[0] = wisp_number(100.5);
        wisp_fire_values(t.client, "hit", wisp_to_all(), row, 2);
        row[0] = wisp_number(5);
        row[1] = wisp_string("eleven bytes");
        wisp_fire_values(t.client, "hit", wisp_to_all(), row, 2);
        wisp_fire_values(t.client, "hit", wisp_to_all(), row, 1);
        wisp_fire_values(t.client, "hit", wisp_to_all(), row, 0);
        wisp_fire_values(t.client, "hit", wisp_to_all(), row, 3);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(s.count, 0);
        CHECK(world_results(&t.w, t.server, WISP_ERROR, WISP_E_INVALID) >= 3);
        CHECK_EQ_INT(world_remote_stats(t.server, "hit").invalid,
                     world_results(&t.w, t.server, WISP_ERROR, WISP_E_INVALID));
        row[1] = wisp_string("bob");
        CHECK_EQ_INT(wisp_fire_values(t.client, "hit", wisp_to_all(), row, 2), WISP_OK);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(s.count, 1);
        CHECK(seen_well(&s, ROW, 5));
        CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
        world_close(&t.w);
    }
}

/* The same description, but a writer that does not look. */
TEST(a_record_outside_its_own_schema_never_reaches_the_handler) {
    world_two t;
    wisp_value row[2];
    seen s;
    wisp_schema *copy = (wisp_schema *)malloc(sizeof *copy);
    wisp_field fields[2];
    const wisp__described *d;
    memcpy(fields, hit_fields, sizeof fields);
    fields[0].type.hi = 1000;
    *copy = hit_schema;
    copy->fields = fields;
    world_two_open(&t);
    watch(t.server, "hit", &s);
    world_watch(&t.w, t.server, WISP_ERROR);
    use_schema(t.server, "hit", &hit_schema);
    use_schema(t.client, "other", &hit_schema);       /* its description, for the other program */
    use_schema(t.client, "hit", copy);
    for (d = t.client->registry.schemas.first; d->program->source != copy;) d = d->next;
    for (const wisp__described *o = t.client->registry.schemas.first; o; o = o->next)
        if (o != d) memcpy(d->descriptor, o->descriptor, (size_t)(o->bits + 7) / 8);
    row[0] = wisp_number(500);
    row[1] = wisp_string("bob");
    CHECK_EQ_INT(wisp_fire_values(t.client, "hit", wisp_to_all(), row, 2), WISP_OK);
    world_run(&t.w, 0.1);
    CHECK_EQ_INT(s.count, 0);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_INVALID), 1);
    row[0] = wisp_number(50);
    wisp_fire_values(t.client, "hit", wisp_to_all(), row, 2);
    row[0] = wisp_number(500);
    wisp_fire_values(t.client, "hit", wisp_to_all(), row, 2);
    row[0] = wisp_number(60);
    wisp_fire_values(t.client, "hit", wisp_to_all(), row, 2);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(s.count, 2);
    CHECK(seen_well(&s, ROW, 60));
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
    free(copy);
}

static int bad_json(const wisp_codec *codec, const wisp_schema *schema, const wisp_value *value,
                    void *out, int capacity) {
    (void)codec;
    (void)schema;
    (void)value;
    if (capacity < 9) return WISP_E_TOO_BIG;
    memcpy(out, "[1,{\"a\":]", 9);
    return 9;
}

TEST(bytes_that_a_codec_cannot_read_cost_one_message) {
    world_two t;
    wisp_codec bad = *wisp_json();
    bad.encode = bad_json;
    world_two_open_foreign(&t);
    world_watch(&t.w, t.server, "j");
    world_watch(&t.w, t.server, "k");
    world_watch(&t.w, t.server, WISP_ERROR);
    use_encoding(t.client, "j", 0, &bad, 0);
    for (int i = 0; i < 5; i++) {
        world_fire(t.client, "j", t.to_server, i);
        world_fire(t.client, "k", t.to_server, i);
        world_run(&t.w, 0.05);
    }
    CHECK_EQ_INT(world_count(&t.w, t.server, "j"), 0);
    CHECK_EQ_INT(world_count(&t.w, t.server, "k"), 5);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_SYNTAX), 5);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

/* --- invokes --- */

static void on_double(wisp_event *event) {
    wisp_value twice = wisp_number(2 * number_of(event->args));
    (*(int *)event->user)++;
    wisp_reply_values(event, &twice, 1);
}

typedef struct answer { int count; wisp_result result; char text[160]; double number; } answer;

static void on_answer(wisp_event *event) {
    answer *a = (answer *)event->user;
    a->count++;
    a->result = event->result;
    a->number = event->count ? number_of(event->args) : 0;
    snprintf(a->text, sizeof a->text, "%s", event->text);
}

static wisp_call message_ask(wisp *from, answer *a, const wisp_value *values, int count) {
    wisp_call_desc desc;
    memset(&desc, 0, sizeof desc);
    memset(a, 0, sizeof *a);
    desc.on_reply = on_answer;
    desc.user = a;
    return wisp_invoke_values(from, "hit", wisp_to_peer(wisp_server()), &desc, values, count);
}

TEST(a_call_outside_the_schema_is_answered_with_the_reason) {
    for (int codec = 0; codec < 4; codec++) {
        world_two t;
        wisp_value row[2];
        answer a;
        int calls = 0;
        world_two_open_foreign(&t);
        use_schema(t.server, "hit", &hit_schema);
        wisp_on_invoke_target(t.server, wisp_by_name("hit"), on_double, &calls);
        use_encoding(t.client, "hit", 0, codec_at(codec), 0);
        row[0] = wisp_number(21);
        row[1] = wisp_string("bob");
        CHECK(message_ask(t.client, &a, row, 2).id != 0);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(a.count, 1);
        CHECK_EQ_INT(a.result, WISP_OK);
        CHECK_NEAR(a.number, 42, 0);
        row[0] = wisp_string("hacked");
        CHECK(message_ask(t.client, &a, row, 2).id != 0);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(a.count, 1);
        CHECK_EQ_INT(a.result, WISP_E_INVALID);
        if (!CHECK(strncmp(a.text, "hp: ", 4) == 0)) printf("  '%s'\n", a.text);
        CHECK_EQ_INT(calls, 1);
        world_close(&t.w);
    }
}

TEST(a_call_that_is_wrong_here_is_not_made) {
    world_two t;
    wisp_value row[2];
    answer a;
    int calls = 0;
    world_two_open(&t);
    use_schema(t.server, "hit", &hit_schema);
    use_schema(t.client, "hit", &hit_schema);
    wisp_on_invoke_target(t.server, wisp_by_name("hit"), on_double, &calls);
    row[0] = wisp_number(101);
    row[1] = wisp_string("bob");
    CHECK(message_ask(t.client, &a, row, 2).id == 0);
    CHECK_EQ_INT(wisp_why(t.client), WISP_E_INVALID);
    CHECK(strncmp(wisp_why_text(t.client), "hp: ", 4) == 0);
    row[0] = wisp_number(100);
    CHECK(message_ask(t.client, &a, row, 2).id != 0);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(a.result, WISP_OK);
    CHECK_NEAR(a.number, 200, 0);                        /* the answer is no call: no schema */
    CHECK_EQ_INT(calls, 1);
    world_close(&t.w);
}

/* --- migration --- */

static const wisp_type like_type = WISP_T_INT16;

typedef struct v1 { float hp; char name[21]; int32_t old; char level[8]; int16_t likes[3]; } v1;
static const wisp_field v1_fields[] = {
    WISP_FIELD(v1, hp, WISP_T_QUANTIZED(0, 100, 0.5)), WISP_FIELD(v1, name, WISP_T_STRING(20)),
    WISP_FIELD(v1, old, WISP_T_RANGE(0, 10)),          WISP_FIELD(v1, level, WISP_T_STRING(7)),
    WISP_FIELD(v1, likes, WISP_T_ARRAY(&like_type, 3)),
};
static const wisp_schema v1_schema = WISP_SCHEMA(v1, 1, v1_fields);

typedef struct v3 { double health; char name[31]; uint32_t extra, level; int16_t likes[3]; } v3;
static const wisp_field v3_fields[] = {
    WISP_FIELD(v3, health, WISP_T_NUMBER_RANGE(0, 1000)), WISP_FIELD(v3, name, WISP_T_STRING(30)),
    WISP_FIELD(v3, extra, WISP_T_UINT),                   WISP_FIELD(v3, level, WISP_T_UINT),
    WISP_FIELD(v3, likes, WISP_T_ARRAY(&like_type, 3)),
};
static const wisp_schema v3_schema = WISP_SCHEMA(v3, 3, v3_fields);

/* hp is health; level was a text and is a number; old is gone, extra is new. */
static wisp_result step_1(wisp_edit *edit, void *user) {
    const wisp_value *level = wisp_edit_get(edit, "level");
    (*(int *)user)++;
    if (!level || level->kind != WISP_STRING) return WISP_E_USER;
    wisp_edit_set(edit, "level", wisp_int(level->as.string[0] - '0'));
    return wisp_edit_rename(edit, "hp", "health");
}

static wisp_result step_2(wisp_edit *edit, void *user) {
    (*(int *)user)++;
    wisp_edit_remove(edit, "old");
    return wisp_edit_set(edit, "extra", wisp_int(7));
}

static wisp_result step_fails(wisp_edit *edit, void *user) {
    (void)user;
    wisp_edit_set(edit, "extra", wisp_int(7));
    return WISP_E_USER - 3;
}

static wisp_result step_forgets(wisp_edit *edit, void *user) {
    (void)edit;
    (void)user;
    return WISP_OK;
}

typedef struct got3 { int count; v3 last; bool whole; } got3;

static void on_v3(wisp_event *event) {
    got3 *g = (got3 *)event->user;
    const v3 *s = (const v3 *)wisp_arg_struct(event, 0, &v3_schema);
    g->count++;
    g->whole = s != NULL && event->count == 1;
    if (s) g->last = *s;
}

static const v1 old_data = { 55.5f, "alice", 3, "5", { 1, -2, 3 } };
static const v3 new_data = { 900.25, "robert the longer named", 8, 9, { 4, 5, 6 } };

static wisp_result use_versions(wisp *end, const wisp_schema *schema, const wisp_migration *steps,
                                int count) {
    wisp_schema_entry entry;
    entry.remote = "stats";
    entry.schema = schema;
    entry.migrations = steps;
    entry.migration_count = count;
    return wisp_use_schemas(end, &entry, 1);
}

/* Two versions, each firing to the other; which side is the newer one is `newer_serves`. */
static void two_versions(bool newer_serves, const wisp_codec *codec, wisp_encode_mode mode) {
    world_two t;
    got3 g;
    wisp *newer, *older;
    wisp_migration steps[2];
    int ran = 0;
    wisp_value value;
    memset(&g, 0, sizeof g);
    world_two_open(&t);
    newer = newer_serves ? t.server : t.client;
    older = newer_serves ? t.client : t.server;
    steps[0].from = 1;
    steps[0].step = step_1;
    steps[1].from = 2;
    steps[1].step = step_2;
    steps[0].user = steps[1].user = &ran;
    CHECK_EQ_INT(use_versions(newer, &v3_schema, steps, 2), WISP_OK);
    CHECK_EQ_INT(use_versions(older, &v1_schema, NULL, 0), WISP_OK);
    use_encoding(newer, "stats", mode, codec, 0);
    use_encoding(older, "stats", mode, codec, 0);
    wisp_connect_target(newer, wisp_by_name("stats"), on_v3, &g, false);
    world_watch(&t.w, newer, WISP_ERROR);
    world_watch(&t.w, older, "stats");
    world_watch(&t.w, older, WISP_ERROR);
    for (int i = 1; i <= 3; i++) {
        value = wisp_struct(&v1_schema, &old_data);
        CHECK_EQ_INT(fire_one(older, "stats", value), WISP_OK);
        value = wisp_struct(&v3_schema, &new_data);
        CHECK_EQ_INT(fire_one(newer, "stats", value), WISP_OK);
        world_run(&t.w, 0.2);
        if (!CHECK_EQ_INT(g.count, i))
            printf("  %d: %s\n", world_last(&t.w, newer, WISP_ERROR)->result,
                   world_last(&t.w, newer, WISP_ERROR)->text);
        CHECK_EQ_INT(ran, 2 * i);
        CHECK_EQ_INT(world_count(&t.w, older, "stats"), 0);
        CHECK_EQ_INT(world_results(&t.w, older, WISP_ERROR, WISP_E_VERSION), i);
    }
    CHECK(g.whole);
    CHECK_NEAR(g.last.health, 55.5, 0);
    CHECK_EQ_STR(g.last.name, "alice");
    CHECK_EQ_INT(g.last.extra, 7);
    CHECK_EQ_INT(g.last.level, 5);
    CHECK_EQ_INT(g.last.likes[1], -2);
    CHECK_EQ_INT(world_count(&t.w, newer, WISP_ERROR), 0);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

TEST(an_older_version_becomes_a_newer_one) {
    two_versions(true, NULL, 0);
    two_versions(false, NULL, 0);
    two_versions(true, NULL, WISP_ENCODE_COMPRESSED);
}

TEST(versions_migrate_in_every_codec) {
    for (int i = 1; i < 4; i++) two_versions(i & 1, codec_at(i), 0);
}

/* --- enums, open on one side --- */

typedef struct door { uint8_t state; } door;

static const char *const door_states[] = { "shut", "open" };
static const wisp_field open_fields[] = {
    WISP_FIELD(door, state, WISP_T_ENUM_OPEN(door_states, 2)),
};
static const wisp_field closed_fields[] = { WISP_FIELD(door, state, WISP_T_ENUM(door_states, 2)) };
static const wisp_schema open_door = WISP_SCHEMA(door, 1, open_fields);
static const wisp_schema closed_door = WISP_SCHEMA(door, 1, closed_fields);

static void door_passes(const wisp_schema *from, const wisp_schema *to, const wisp_codec *codec,
                        uint8_t state, wisp_result result) {
    world_two t;
    door d = { 0 };
    wisp_value value = wisp_struct(from, &d);
    const world_note *note;
    d.state = state;
    world_two_open(&t);
    CHECK_EQ_INT(use_versions(t.client, from, NULL, 0), WISP_OK);
    CHECK_EQ_INT(use_versions(t.server, to, NULL, 0), WISP_OK);
    use_encoding(t.client, "stats", 0, codec, 0);
    use_encoding(t.server, "stats", 0, codec, 0);
    world_watch(&t.w, t.server, "stats");
    world_watch(&t.w, t.server, WISP_ERROR);
    CHECK_EQ_INT(fire_one(t.client, "stats", value), WISP_OK);
    world_run(&t.w, 0.3);
    CHECK_EQ_INT(world_count(&t.w, t.server, "stats"), result == WISP_OK);
    CHECK_EQ_INT(world_count(&t.w, t.server, WISP_ERROR), result != WISP_OK);
    note = world_last(&t.w, t.server, WISP_ERROR);
    if (result) CHECK_EQ_INT(note->result, result);
    if (result) CHECK(strstr(note->text, "200 is none of 2 names") != NULL);
    world_close(&t.w);
}

TEST(an_open_enum_and_a_closed_one_understand_each_other) {
    for (int i = 0; i < 4; i++) {
        const wisp_codec *codec = codec_at(i);
        door_passes(&open_door, &open_door, codec, 200, WISP_OK);
        door_passes(&open_door, &open_door, codec, 1, WISP_OK);
        door_passes(&open_door, &closed_door, codec, 1, WISP_OK);
        door_passes(&closed_door, &open_door, codec, 1, WISP_OK);
        door_passes(&open_door, &closed_door, codec, 200, WISP_E_INVALID);
    }
}

typedef struct gauge { float level; } gauge;

static const wisp_field gauge_near[] = { WISP_FIELD(gauge, level, WISP_T_QUANTIZED(0, 100, 0.5)) };
static const wisp_field gauge_clamps[] = { WISP_FIELD(gauge, level, WISP_T_CLAMPED(0, 100, 0.5)) };
static const wisp_field gauge_wide[] = { WISP_FIELD(gauge, level, WISP_T_QUANTIZED(0, 500, 0.5)) };
static const wisp_schema gauges[] = { WISP_SCHEMA(gauge, 1, gauge_near),
                                      WISP_SCHEMA(gauge, 1, gauge_clamps),
                                      WISP_SCHEMA(gauge, 1, gauge_wide) };

static void on_gauge(wisp_event *event) {
    const gauge *g = (const gauge *)wisp_arg_struct(event, 0, (const wisp_schema *)event->user);
    *(double *)wisp_user(event->w) = g ? (double)g->level : -1;
}

/* A level from one schema to another, in every mode and codec, as a struct and as a map; `as` < 0:
   it does not come. */
static void gauge_goes(int from, int to, float level, double as) {
    for (int form = 0; form < 5 * 4 * 2; form++) {
        world_two t;
        double got = -1;
        gauge g;
        int mode = form % 5;
        wisp_pair pair = { "level", wisp_float(level) };
        wisp_value value = form & 1 ? wisp_map(&pair, 1) : wisp_struct(&gauges[from], &g);
        if (mode == WISP_ENCODE_BASIC && form < 10) continue;      /* the sender checks nothing */
        g.level = level;
        world_open(&t.w);
        t.w.desc.user = &got;
        world_two_join(&t);
        CHECK_EQ_INT(use_schema(t.server, "n", &gauges[to]), WISP_OK);
        CHECK_EQ_INT(use_schema(t.client, "n", &gauges[from]), WISP_OK);
        CHECK_EQ_INT(use_encoding(t.server, "n", mode, codec_at(form / 10), 0), WISP_OK);
        CHECK_EQ_INT(use_encoding(t.client, "n", mode, codec_at(form / 10), 0), WISP_OK);
        wisp_connect_target(t.server, wisp_by_name("n"), on_gauge,
                            (void *)(uintptr_t)&gauges[to], false);
        CHECK_EQ_INT(fire_one(t.client, "n", value), WISP_OK);
        world_run(&t.w, 0.1);
        if (!CHECK_NEAR(got, as, 1e-9)) printf("    mode %d codec %d\n", mode, form / 10);
        world_close(&t.w);
    }
}

TEST(a_number_in_steps_is_moved_to_the_edge_on_either_end) {
    gauge_goes(0, 0, 100.2f, 100);
    gauge_goes(0, 1, -0.2f, 0);
    gauge_goes(1, 0, 1e9f, 100);
    gauge_goes(1, 1, -1e9f, 0);
    gauge_goes(2, 1, 400, 100);
    gauge_goes(2, 0, 400, -1);
    gauge_goes(1, 2, 400, 100);
}

/* Migrations that fail are reported; the handler sees nothing. */
static void no_way(const wisp_migration *steps, int count, wisp_result expected,
                   const char *text) {
    world_two t;
    got3 g;
    memset(&g, 0, sizeof g);
    world_two_open(&t);
    use_versions(t.server, &v3_schema, steps, count);
    use_versions(t.client, &v1_schema, NULL, 0);
    wisp_connect_target(t.server, wisp_by_name("stats"), on_v3, &g, false);
    world_watch(&t.w, t.server, WISP_ERROR);
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ_INT(fire_one(t.client, "stats", wisp_struct(&v1_schema, &old_data)), WISP_OK);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(g.count, 0);
        CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, expected), i);
    }
    if (!CHECK(strstr(world_last(&t.w, t.server, WISP_ERROR)->text, text) != NULL))
        printf("  '%s'\n", world_last(&t.w, t.server, WISP_ERROR)->text);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    world_close(&t.w);
}

TEST(a_missing_step_is_reported) {
    int ran = 0;
    wisp_migration first = { 1, step_1, NULL }, second = { 2, step_2, NULL };
    first.user = second.user = &ran;
    no_way(&first, 1, WISP_E_MIGRATION, "2 to 3");
    no_way(&second, 1, WISP_E_MIGRATION, "1 to 2");
    no_way(NULL, 0, WISP_E_MIGRATION, "1 to 2");
}

TEST(a_failing_step_is_reported_with_its_code) {
    int ran = 0;
    wisp_migration steps[2] = { { 1, step_1, NULL }, { 2, step_fails, NULL } };
    steps[0].user = &ran;
    no_way(steps, 2, WISP_E_USER - 3, "2 to 3");
}

TEST(what_steps_leave_must_fit_the_schema) {
    int ran = 0;
    wisp_migration steps[2] = { { 1, step_1, NULL }, { 2, step_forgets, NULL } };
    steps[0].user = &ran;
    no_way(steps, 2, WISP_E_INVALID, "extra");
}

/* --- values that describe themselves, of a name that has a schema of another version --- */

/* A value of each kind, with a count that would mislead a reader of another kind. */
static wisp_value value_of_kind(int kind, const wisp_value *row, const wisp_pair *pairs) {
    static const uint8_t bytes[64] = { 0x41, 0x41, 0x41, 0x41 };
    wisp_value value;
    memset(&value, 0x41, sizeof value);
    value.kind = (wisp_kind)kind;
    value.count = 40;
    if (kind == WISP_STRING || kind == WISP_BYTES) value = wisp_string_n((const char *)bytes, 64);
    if (kind == WISP_BYTES) value = wisp_bytes(bytes, 64);
    if (kind == WISP_ARRAY) value = wisp_array(row, 2);
    if (kind == WISP_MAP) value = wisp_map(pairs, 2);
    return value;
}

static const wisp_field old_hit_fields[] = {
    WISP_MAP_FIELD("hp", WISP_T_NUMBER_RANGE(0, 100)),
    WISP_MAP_FIELD("who", WISP_T_STRING(10)),
};

/* What becomes of a message of the values, announced as of `theirs`. */
static wisp_result conform(wisp *end, const wisp_schema *ours, const wisp_schema *theirs,
                           const wisp_value *values, int count, wisp__decoded *d) {
    wisp_result why = WISP_OK;
    wisp__remote *remote;
    wisp__encoding form;
    char text[100];
    CHECK_EQ_INT(use_schema(end, "hit", ours), WISP_OK);
    remote = wisp__registry_find(&end->registry, "hit", 3);
    memset(&form, 0, sizeof form);
    form.kind = WISP__VALUES;
    form.described = wisp__described_of(&end->registry.schemas, theirs, text, sizeof text, &why);
    memset(d, 0, sizeof *d);
    d->values = values;
    d->count = count;
    end->registry.text[0] = 0;
    why = wisp__conform_decoded(&end->content, remote, &form, d);
    wisp__described_release(&end->registry.schemas, form.described);
    return why;
}

TEST(a_value_of_any_kind_is_no_version_of_a_schema) {
    static const wisp_schema old_map = WISP_MAP_SCHEMA("hit", 1, old_hit_fields);
    static const wisp_schema new_map = WISP_MAP_SCHEMA("hit", 2, old_hit_fields);
    static const wisp_schema old_row = WISP_LIST_SCHEMA("hit", 1, old_hit_fields);
    static const wisp_schema new_row = WISP_LIST_SCHEMA("hit", 2, old_hit_fields);
    wisp_value row[2];
    wisp_pair pairs[2];
    row[0] = pairs[0].value = wisp_number(50);
    row[1] = pairs[1].value = wisp_string("bob");
    pairs[0].key = "hp";
    pairs[1].key = "who";
    for (int kind = 0; kind < WISP_STRUCT; kind++) {
        world_two t;
        wisp__decoded d;
        wisp_value value = value_of_kind(kind, row, pairs);
        world_two_open(&t);
        /* The older end takes none that is newer, and the newer one none without a step: but only
           what has the shape of the schema comes so far. */
        CHECK_EQ_INT(conform(t.server, &old_map, &new_map, &value, 1, &d),
                     kind == WISP_MAP ? WISP_E_VERSION : WISP_E_INVALID);
        CHECK_EQ_INT(conform(t.server, &new_map, &old_map, &value, 1, &d),
                     kind == WISP_MAP ? WISP_E_MIGRATION : WISP_E_INVALID);
        if (kind != WISP_MAP) CHECK_EQ_STR(t.server->registry.text, "is no map of version 1");
        CHECK_EQ_INT(conform(t.server, &new_map, &new_map, &value, 1, &d),
                     kind == WISP_MAP ? WISP_OK : WISP_E_INVALID);
        CHECK_EQ_INT(conform(t.server, &new_row, &old_row, &value, 1, &d), WISP_E_MIGRATION);
        CHECK_EQ_INT(conform(t.server, &new_row, &old_map, &value, 1, &d),
                     kind == WISP_MAP ? WISP_E_MIGRATION : WISP_E_INVALID);
        CHECK_EQ_INT(conform(t.server, &new_map, &old_map, row, 2, &d), WISP_E_INVALID);
        CHECK_EQ_INT(conform(t.server, &new_row, &new_row, row, 2, &d), WISP_OK);
        world_close(&t.w);
    }
}

TEST(a_call_migrates_as_an_event_does) {
    static const wisp_field new_fields[] = {
        WISP_MAP_FIELD("amount", WISP_T_NUMBER_RANGE(0, 100)),
        WISP_MAP_FIELD("who", WISP_T_STRING(10)), WISP_MAP_FIELD("extra", WISP_T_UINT),
    };
    static const wisp_schema new_schema = WISP_LIST_SCHEMA("hit", 2, new_fields);
    world_two t;
    wisp_value row[2];
    answer a;
    int calls = 0;
    wisp_schema_entry entry;
    wisp_migration step;
    memset(&entry, 0, sizeof entry);
    memset(&step, 0, sizeof step);
    step.from = 1;
    step.step = step_forgets;
    entry.remote = "hit";
    entry.schema = &new_schema;
    entry.migrations = &step;
    entry.migration_count = 1;
    world_two_open(&t);
    CHECK_EQ_INT(wisp_use_schemas(t.server, &entry, 1), WISP_OK);
    use_schema(t.client, "hit", &hit_schema);
    wisp_on_invoke_target(t.server, wisp_by_name("hit"), on_double, &calls);
    row[0] = wisp_number(21);
    row[1] = wisp_string("bob");
    message_ask(t.client, &a, row, 2);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(a.count, 1);
    CHECK_EQ_INT(a.result, WISP_E_INVALID);
    CHECK(strstr(a.text, "amount") != NULL);
    CHECK_EQ_INT(calls, 0);
    world_close(&t.w);
}

/* --- settings --- */

TEST(a_name_inherits_what_it_does_not_set) {
    world_two t;
    seen s;
    subject m;
    wisp_config config;
    world_two_open_foreign(&t);
    watch(t.server, "a", &s);
    watch(t.server, "b", &s);
    memset(&config, 0, sizeof config);
    config.encode.schema = &message_stats_schema;
    CHECK_EQ_INT(wisp_use_config(t.client, &config, NULL), WISP_OK);
    CHECK_EQ_INT(use_encoding(t.client, "a", WISP_ENCODE_SAFE, NULL, 0), WISP_OK);
    subject_make(&m, STRUCT, 101);
    CHECK_EQ_INT(message_fire(t.client, "a", &m),
                 WISP_E_INVALID);       /* SAFE, with the common schema */
    CHECK_EQ_INT(message_fire(t.client, "b", &m), WISP_E_INVALID);
    subject_make(&m, STRUCT, 50);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ_INT(message_fire(t.client, "a", &m), WISP_OK);
        CHECK_EQ_INT(message_fire(t.client, "b", &m), WISP_OK);
    }
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(s.count, 10);
    CHECK(world_remote_stats(t.client, "a").bits_sent >
          world_remote_stats(t.client, "b").bits_sent);
    CHECK_EQ_INT(use_schema(t.client, "b", &hit_schema), WISP_OK);       /* its own wins */
    CHECK_EQ_INT(message_fire(t.client, "b", &m), WISP_E_INVALID);
    CHECK_EQ_INT(wisp_use_config(t.client, NULL, "b"), WISP_OK);         /* and inherits again */
    CHECK_EQ_INT(message_fire(t.client, "b", &m), WISP_OK);
    CHECK_EQ_INT(wisp_use_config(t.client, NULL, NULL), WISP_OK);
    CHECK_EQ_INT(fire_one(t.client, "b", wisp_int(1)), WISP_OK);
    world_close(&t.w);
}

TEST(schemas_are_all_in_force_or_none) {
    static const wisp_field bad_fields[] = { WISP_MAP_FIELD("wrong", WISP_T_RANGE(3, 1)) };
    static const wisp_schema bad = WISP_MAP_SCHEMA("bad", 1, bad_fields);
    world_two t;
    char long_name[140];
    for (int wrong = 0; wrong < 6; wrong++) {
        wisp_schema_entry entries[2];
        wisp_result expected = WISP_E_ARGUMENT;
        memset(entries, 0, sizeof entries);
        memset(long_name, 'x', sizeof long_name);
        long_name[139] = 0;
        entries[0].remote = "a";
        entries[1].remote = "b";
        entries[0].schema = entries[1].schema = &hit_schema;
        switch (wrong) {
        case 0: entries[1].schema = &bad, expected = WISP_E_SCHEMA; break;
        case 1: entries[1].remote = NULL; break;
        case 2: entries[1].schema = NULL; break;
        case 3: entries[1].remote = "wisp:error", expected = WISP_E_NAME; break;
        case 4: entries[1].remote = long_name, expected = WISP_E_NAME; break;
        default: entries[1].migration_count = 3; break;
        }
        world_two_open(&t);
        CHECK_EQ_INT(wisp_use_schemas(t.client, entries, 2), expected);
        if (!CHECK_EQ_INT(fire_one(t.client, "a", wisp_string("anything")), WISP_OK))
            printf("  case %d\n", wrong);
        world_close(&t.w);
    }
    world_two_open(&t);
    CHECK_EQ_INT(wisp_use_schemas(t.client, NULL, 0), WISP_OK);
    CHECK_EQ_INT(wisp_use_schemas(t.client, NULL, 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_use_schemas(NULL, NULL, 0), WISP_E_ARGUMENT);
    world_close(&t.w);
}

/* --- structs that a handler asks for --- */

typedef struct other { char name[31]; double hp; } other;
static const wisp_field other_fields[] = {
    WISP_FIELD(other, name, WISP_T_STRING(30)), WISP_FIELD(other, hp, WISP_T_NUMBER),
};
static const wisp_schema other_schema = WISP_SCHEMA(other, 1, other_fields);
typedef struct narrow { char name[4]; } narrow;
static const wisp_field message_narrow_fields[] = { WISP_FIELD(narrow, name,
                                                                     WISP_T_STRING(3)) };
static const wisp_schema message_narrow_schema = WISP_SCHEMA(narrow, 1,
                                                                   message_narrow_fields);

static void on_structs(wisp_event *event) {
    const stats *same = (const stats *)wisp_arg_struct(event, 0, &message_stats_schema);
    const other *o = (const other *)wisp_arg_struct(event, 0, &other_schema);
    const stats *again = (const stats *)wisp_arg_struct(event, 0, &message_stats_schema);
    (*(int *)event->user)++;
    if (CHECK(same && o && again)) {
        CHECK_EQ_STR(same->name, "alice");
        CHECK_EQ_STR(again->name, "alice");
        CHECK_EQ_STR(o->name, "alice");
        CHECK_NEAR(o->hp, 50, 0);
    }
    CHECK(wisp_arg_struct(event, 0,
                          &message_narrow_schema) == NULL);       /* alice is over 3 bytes */
    CHECK(wisp_arg_struct(event, 0, &info_schema) == NULL);         /* of maps */
    CHECK(wisp_arg_struct(event, 1, &message_stats_schema) == NULL);
    CHECK(wisp_arg_struct(event, 0, NULL) == NULL);
    CHECK(wisp_arg_map(event, 0) != NULL);
    CHECK_NEAR(number_of(wisp_field_of(wisp_arg_map(event, 0), "hp")), 50, 0);
    CHECK(wisp_field_of(&event->args[0], "nothing") == NULL);
    CHECK_EQ_STR(wisp_key_of(&event->args[0], 1), "name");
    CHECK_EQ_INT(wisp_count_of(&event->args[0]), 3);
}

TEST(a_handler_gets_the_struct_it_asks_for) {
    for (int both = 0; both < 2; both++) {
        world_two t;
        subject m;
        int calls = 0;
        world_two_open_foreign(&t);
        wisp_connect_target(t.server, wisp_by_name("n"), on_structs, &calls, false);
        world_watch(&t.w, t.server, WISP_ERROR);
        if (both) use_schema(t.server, "n", &message_stats_schema);
        use_schema(t.client, "n", &message_stats_schema);
        subject_make(&m, STRUCT, 50);
        message_fire(t.client, "n", &m);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(calls, 1);
        CHECK(world_results(&t.w, t.server, WISP_ERROR, WISP_E_TYPE) >= 1);
        world_close(&t.w);
    }
}

static void on_plain_struct(wisp_event *event) {
    const stats *s = (const stats *)wisp_arg_struct(event, 0, &message_stats_schema);
    (*(int *)event->user)++;
    if (CHECK(s != NULL)) CHECK_EQ_STR(s->name, "alice");
}

TEST(a_map_of_no_schema_fills_a_struct) {
    for (int codec = 0; codec < 3; codec++) {
        world_two t;
        subject m;
        int calls = 0;
        world_two_open_foreign(&t);
        wisp_connect_target(t.server, wisp_by_name("n"), on_plain_struct, &calls, false);
        use_encoding(t.client, "n", 0, codec_at(codec), 0);
        subject_make(&m, STRUCT, 50);
        message_fire(t.client, "n", &m);
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(calls, 1);
        world_close(&t.w);
    }
}

/* What an event points to lives until the handler returns, whatever the handler does. */
static void on_upheaval(wisp_event *event) {
    int what = *(int *)event->user;
    const wisp_value *name;
    if (what == 0) wisp_leave(event->w, event->peer, "out");
    if (what == 1) wisp_use_config(event->w, NULL, "n");
    if (what == 2) use_schema(event->w, "n", &message_stats_schema);
    if (what == 3) wisp_destroy(event->w);
    if (what == 4) {
        wisp_use_config(event->w, NULL, "n");
        use_schema(event->w, "n", &info_schema);
        wisp_leave(event->w, event->peer, "out");
        fire_one(event->w, "n", wisp_string("over what was wrong before"));
    }
    name = event->count ? wisp_field_of(&event->args[0], "name") : NULL;
    if (CHECK(name != NULL)) CHECK_EQ_STR(name->as.string, "alice");
    CHECK_EQ_STR(wisp_key_of(&event->args[0], 1), "name");
    *(int *)event->user += 100;
}

TEST(an_event_outlives_its_schema_in_the_handler) {
    for (int what = 0; what < 5; what++) {
        for (int both = 0; both < 2; both++) {
            wisp_schema copy = message_stats_schema;
            world_two t;
            subject m;
            int told = what;
            copy.name = "alike";                       /* so it is not the same description */
            world_two_open_foreign(&t);
            wisp_connect_target(t.server, wisp_by_name("n"), on_upheaval, &told, false);
            if (both) use_schema(t.server, "n", &copy);
            use_schema(t.client, "n", &message_stats_schema);
            subject_make(&m, STRUCT, 50);
            message_fire(t.client, "n", &m);
            message_fire(t.client, "n", &m);
            for (int i = 0; i < 10 && told < 100; i++) world_step(&t.w);
            CHECK(told >= 100);
            world_run(&t.w, 0.1);
            world_close(&t.w);
        }
    }
}

/* --- codecs and compression --- */

static void on_pair(wisp_event *event) {
    const wisp_value *a = event->count ? wisp_field_of(&event->args[0], "a") : NULL;
    CHECK_NEAR(number_of(a), 5, 0);
    (*(int *)event->user) += event->count;
}

TEST(codecs_carry_values_without_a_schema) {
    for (int codec = 1; codec < 4; codec++) {
        world_two t;
        wisp_pair pair;
        wisp_value values[3];
        int count = 0;
        pair.key = "a";
        pair.value = wisp_int(5);
        values[0] = wisp_map(&pair, 1);
        values[1] = wisp_string("x");
        values[2] = wisp_nil();
        world_two_open_foreign(&t);
        wisp_connect_target(t.server, wisp_by_name("n"), on_pair, &count, false);
        CHECK_EQ_INT(use_encoding(t.client, "n", 0, codec_at(codec), 0), WISP_OK);
        for (int n = 1; n <= 3; n++) {
            CHECK_EQ_INT(wisp_fire_values(t.client, "n", wisp_to_all(), values, n), WISP_OK);
            world_run(&t.w, 0.1);
            CHECK_EQ_INT(count, n);
            count = 0;
        }
        world_close(&t.w);
    }
}

static void on_shape(wisp_event *event) {
    int *got = (int *)event->user;
    got[0] = event->count;
    got[1] = event->count ? (int)event->args[0].kind : -1;
    got[2] = event->count ? event->args[0].count : -1;
}

/* One array of two is not two values, and no value is not a nil. */
TEST(codecs_tell_a_row_from_an_array) {
    for (int codec = 0; codec < 4; codec++) {
        world_two t;
        wisp_value items[2], list;
        int got[3] = { -1, -1, -1 };
        items[0] = items[1] = wisp_string("x");
        list = wisp_array(items, 2);
        world_two_open_foreign(&t);
        wisp_connect_target(t.server, wisp_by_name("n"), on_shape, got, false);
        use_encoding(t.client, "n", 0, codec_at(codec), 0);
        wisp_fire_values(t.client, "n", wisp_to_all(), &list, 1);
        world_run(&t.w, 0.1);
        CHECK(got[0] == 1 && got[1] == WISP_ARRAY && got[2] == 2);
        wisp_fire_values(t.client, "n", wisp_to_all(), items, 2);
        world_run(&t.w, 0.1);
        CHECK(got[0] == 2 && got[1] == WISP_STRING);
        wisp_fire_values(t.client, "n", wisp_to_all(), items, 0);
        world_run(&t.w, 0.1);
        CHECK_EQ_INT(got[0], 0);
        items[0] = wisp_nil();
        wisp_fire_values(t.client, "n", wisp_to_all(), items, 1);
        world_run(&t.w, 0.1);
        CHECK(got[0] == 1 && got[1] == WISP_NIL);
        world_close(&t.w);
    }
}

static void on_bytes(wisp_event *event) {
    int size = 0;
    const uint8_t *bytes = (const uint8_t *)wisp_arg_bytes(event, 0, &size);
    uint64_t *sum = (uint64_t *)event->user;
    sum[0]++;
    sum[1] = wisp__hash_bytes(bytes, size);
}

TEST(compression_makes_equal_bytes_few_and_nothing_larger) {
    static const int sizes[] = { 0, 1, 10, 63, 64, 100, 2000, 20000, 200000 };
    world_two t;
    uint8_t *bytes = (uint8_t *)malloc(200000);
    uint64_t seed = 3, sum[2] = { 0, 0 }, before, plain, small;
    int fired = 0;
    world_two_open_foreign(&t);
    wisp_connect_target(t.server, wisp_by_name("c"), on_bytes, sum, false);
    wisp_connect_target(t.server, wisp_by_name("p"), on_bytes, sum, false);
    CHECK_EQ_INT(wisp_use_compression(t.client, WISP_COMPRESSION_AUTO, "c"), WISP_OK);
    for (int i = 0; i < 18; i++) {
        int size = sizes[i / 2];
        wisp_value value = wisp_bytes(bytes, size);
        memset(bytes, 'x', (size_t)size);
        for (int k = 0; i & 1 && k < size; k++) bytes[k] = (uint8_t)test_random(&seed);
        before = world_remote_stats(t.client, "p").bits_sent;
        CHECK_EQ_INT(fire_one(t.client, "p", value), WISP_OK);
        plain = world_remote_stats(t.client, "p").bits_sent - before;
        before = world_remote_stats(t.client, "c").bits_sent;
        CHECK_EQ_INT(fire_one(t.client, "c", value), WISP_OK);
        small = world_remote_stats(t.client, "c").bits_sent - before;
        if (!CHECK(small <= plain + 8))
            printf("  %d bytes: %d bits, not %d\n", size, (int)small, (int)plain);
        if (!(i & 1) && size >= 2000) CHECK(small < 400);
        world_run(&t.w, 0.6);
        fired += 2;
        CHECK_EQ_INT(sum[0], fired);
        CHECK(sum[1] == wisp__hash_bytes(bytes, size));
    }
    world_close(&t.w);
    free(bytes);
}

/* What is compressed, kept as a baseline and hashed has no bits of an earlier message in it. */
TEST(no_stale_bits_stand_behind_packed_ones) {
    world_two t;
    wisp__message_codec *c;
    world_two_open(&t);
    c = &t.client->content;
    CHECK_EQ_INT(world_fire(t.client, "r", t.to_server, 1), WISP_OK);     /* makes the buffers */
    for (int bits = 0; bits < 24; bits++) {
        const uint8_t *packed;
        c->packer.shape.at = 0;
        memset(c->packer.data.bytes, 0xff, 8);
        c->packer.data.at = bits;
        packed = wisp__packed_bits(c);
        for (int i = 0; packed && i < 32; i++)
            CHECK_EQ_INT(packed[i / 8] >> (i & 7) & 1, i < bits);
        wisp__arena_reset(&c->scratch);
    }
    world_close(&t.w);
}

TEST(a_broken_compression_costs_one_message) {
    world_two t;
    char text[2000];
    world_two_open_foreign(&t);
    world_watch(&t.w, t.server, "c");
    world_watch(&t.w, t.server, WISP_ERROR);
    memset(text, 'x', sizeof text);
    use_encoding(t.client, "c", WISP_ENCODE_COMPRESSED, NULL, 0);
    t.server->base.limits.message_bytes = 1000;
    fire_one(t.client, "c", wisp_string_n(text, 1900));
    fire_one(t.client, "c", wisp_string_n(text, 500));
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(world_count(&t.w, t.server, "c"), 1);
    CHECK_EQ_INT(world_results(&t.w, t.server, WISP_ERROR, WISP_E_COMPRESSED), 1);
    CHECK_EQ_INT(wisp_peers(t.server, NULL, 0), 1);
    t.server->base.limits.message_bytes = 1 << 20;
    world_close(&t.w);
}

/* --- memory --- */

TEST(the_steady_state_takes_no_memory) {
    for (int form = 0; form < 3 * 4 * SHAPE_COUNT; form++) {
        int shape = form % SHAPE_COUNT, mode = form / SHAPE_COUNT % 3;
        int codec = form / SHAPE_COUNT / 3;
        world_two t;
        seen s;
        subject m;
        uint64_t server = 0, client = 0;
        world_open(&t.w);
        t.w.foreign = true;
        t.w.unchecked = true;
        world_two_join(&t);
        watch(t.server, "n", &s);
        use_schema(t.server, "n", shape_schema(shape));
        use_schema(t.client, "n", shape_schema(shape));
        if (mode == 1) use_encoding(t.client, "n", WISP_ENCODE_COMPRESSED, codec_at(codec), 0);
        else use_encoding(t.client, "n", mode ? WISP_ENCODE_SAFE : 0, codec_at(codec), 0);
        for (int i = 0; i < 1300; i++) {
            subject_make(&m, shape, i % 100);
            message_fire(t.client, "n", &m);
            if (i % 10 == 0) world_step(&t.w);
            if (i == 300) {
                server = world_total(t.server).allocations;
                client = world_total(t.client).allocations;
            }
        }
        if (!CHECK(world_total(t.server).allocations == server) ||
            !CHECK(world_total(t.client).allocations == client))
            printf("  shape %d, mode %d, codec %d: %d and %d more\n", shape, mode, codec,
                   (int)(world_total(t.server).allocations - server),
                   (int)(world_total(t.client).allocations - client));
        world_run(&t.w, 0.2);
        CHECK_EQ_INT(s.count, 1300);
        world_close(&t.w);
    }
}

TEST(migration_takes_no_memory_in_the_steady_state) {
    world_two t;
    got3 g;
    wisp_migration steps[2] = { { 1, step_1, NULL }, { 2, step_2, NULL } };
    int ran = 0;
    uint64_t server = 0;
    memset(&g, 0, sizeof g);
    steps[0].user = steps[1].user = &ran;
    world_two_open(&t);
    use_versions(t.server, &v3_schema, steps, 2);
    use_versions(t.client, &v1_schema, NULL, 0);
    wisp_connect_target(t.server, wisp_by_name("stats"), on_v3, &g, false);
    for (int i = 0; i < 1300; i++) {
        fire_one(t.client, "stats", wisp_struct(&v1_schema, &old_data));
        if (i % 10 == 0) world_step(&t.w);
        if (i == 300) server = world_total(t.server).allocations;
    }
    CHECK_EQ_INT(world_total(t.server).allocations, server);
    world_run(&t.w, 0.2);
    CHECK_EQ_INT(g.count, 1300);
    world_close(&t.w);
}

/* Each allocation fails once: fired messages arrive, or an error is reported. */
typedef struct lean {
    ledger    memory;
    wisp_pipe pipe;
    wisp     *ends[2];
    double    now;
    int       told, came[4];
} lean;

static void on_lean(wisp_event *event) {
    lean *s = (lean *)event->user;
    int which = event->name[0] - 'a';
    if (which == 1) CHECK(wisp_arg_struct(event, 0, &v3_schema) != NULL || s->memory.fail_at);
    if (which >= 0 && which < 4) s->came[which]++;
}

static void on_lean_error(wisp_event *event) { ((lean *)event->user)->told += event->result < 0; }

static void lean_note(lean *s, wisp_result result) { s->told += result < 0; }

static void lean_run(lean *s, int steps) {
    for (int i = 0; i < steps; i++) {
        s->now += 0.02;
        for (int k = 0; k < 2; k++) {
            lean_note(s, wisp_update(s->ends[k], s->now));
            wisp__host_check(s->ends[k]);
        }
    }
}

static bool lean_open(lean *s, int *ran, wisp_migration steps[2]) {
    static const char *const names[] = { "a", "b", "c", "d" };
    wisp_schema_entry entries[3];
    wisp_config foreign;
    for (int i = 0; i < 2; i++) {
        wisp_desc desc;
        wisp_result why = WISP_OK;
        memset(&desc, 0, sizeof desc);
        desc.link = wisp_loopback(&s->pipe, i);
        desc.memory = ledger_memory(&s->memory);
        desc.seed = (uint64_t)i + 1;
        desc.timeout = desc.join_timeout = 3;
        s->ends[i] = wisp_create(&desc, &why);
        lean_note(s, why);
        if (!s->ends[i]) return false;
        if (!wisp_connect_target(s->ends[i], wisp_by_name(WISP_ERROR), on_lean_error, s, false).id)
            s->told++;
        if (!wisp_connect_target(s->ends[i], wisp_by_name(WISP_LEFT), on_lean_error, s, false).id)
            s->told++;
    }
    memset(entries, 0, sizeof entries);
    steps[0].from = 1;
    steps[0].step = step_1;
    steps[1].from = 2;
    steps[1].step = step_2;
    steps[0].user = steps[1].user = ran;
    for (int i = 0; i < 3; i++) entries[i].remote = names[i];
    entries[0].schema = &info_schema;
    entries[1].schema = &v1_schema;
    entries[2].schema = &hit_schema;
    memset(&foreign, 0, sizeof foreign);
    foreign.encode.foreign = WISP_ON;
    lean_note(s, wisp_use_config(s->ends[0], &foreign, NULL));
    lean_note(s, wisp_use_schemas(s->ends[1], entries, 3));
    entries[1].schema = &v3_schema;
    entries[1].migrations = steps;
    entries[1].migration_count = 2;
    lean_note(s, wisp_use_schemas(s->ends[0], entries, 2));
    lean_note(s, use_encoding(s->ends[1], "c", 0, wisp_json(), 0));
    lean_note(s, use_encoding(s->ends[1], "d", WISP_ENCODE_COMPRESSED, NULL, 0));
    for (int i = 0; i < 4; i++)
        if (!wisp_connect_target(s->ends[0], wisp_by_name(names[i]), on_lean, s, false).id)
            s->told++;
    return true;
}

enum { LEAN = 5 };

static void lean_talk(lean *s) {
    static char text[3000];
    subject m, row;
    wisp_addr addr = wisp_loopback_addr(0);
    memset(text, 'x', sizeof text);
    subject_make(&m, MAP, 5);
    subject_make(&row, ROW, 5);
    if (!wisp_join(s->ends[1], &addr, NULL, 0).id) s->told++;
    lean_run(s, 10);
    for (int i = 0; i < LEAN; i++) {
        wisp_to to = wisp_to_peer(wisp_server());
        wisp_value value = wisp_struct(&v1_schema, &old_data);
        lean_note(s, wisp_fire_values(s->ends[1], "a", to, m.values, 1));
        lean_note(s, wisp_fire_values(s->ends[1], "b", to, &value, 1));
        lean_note(s, wisp_fire_values(s->ends[1], "c", to, row.values, 2));
        value = wisp_bytes(text, (int)sizeof text);
        lean_note(s, wisp_fire_values(s->ends[1], "d", to, &value, 1));
        lean_run(s, 3);
    }
    lean_run(s, 200);
}

static int lean_play(int fail_at, bool fail_on) {
    lean *s = (lean *)calloc(1, sizeof *s);
    wisp_migration steps[2];
    int ran = 0, asked;
    bool whole = true;
    s->memory.fail_at = fail_at;
    s->memory.fail_on = fail_on;
    if (lean_open(s, &ran, steps)) {
        lean_talk(s);
        for (int i = 0; i < 4; i++) whole = whole && s->came[i] == LEAN;
        if (!CHECK(whole || s->told))
            printf("  allocation %d: %d %d %d %d came\n", fail_at, s->came[0], s->came[1],
                   s->came[2], s->came[3]);
        if (!fail_at) CHECK(whole && !s->told);
    } else {
        CHECK(s->told > 0);
    }
    asked = s->memory.asked;
    for (int i = 0; i < 2; i++) wisp_destroy(s->ends[i]);
    CHECK_EQ_INT(s->memory.out, 0);
    wisp_pipe_free(&s->pipe);
    free(s);
    return asked;
}

TEST(any_one_allocation_of_a_session_with_schemas_may_fail) {
    int count = lean_play(0, false);
    CHECK(count > 60);
    for (int n = 1; n <= count + 1; n++) lean_play(n, false);
}

TEST(all_allocations_of_a_session_with_schemas_may_fail_from_any_one_on) {
    int count = lean_play(0, false);
    for (int n = 1; n <= count + 1; n++) lean_play(n, true);
}

static const test_case tests[] = {
    CASE(each_shape_goes_in_each_mode_and_codec),
    CASE(who_has_no_schema_understands_the_senders),
    CASE(a_schema_without_a_config_is_in_force),
    CASE(what_is_outside_the_schema_is_not_sent),
    CASE(the_path_of_a_wrong_value_is_reported),
    CASE(why_text_is_never_null),
    CASE(a_float_may_be_the_bound_of_its_range),
    CASE(a_hacked_value_never_reaches_the_handler),
    CASE(a_record_outside_its_own_schema_never_reaches_the_handler),
    CASE(bytes_that_a_codec_cannot_read_cost_one_message),
    CASE(a_call_outside_the_schema_is_answered_with_the_reason),
    CASE(a_call_that_is_wrong_here_is_not_made),
    CASE(an_older_version_becomes_a_newer_one),
    CASE(versions_migrate_in_every_codec),
    CASE(an_open_enum_and_a_closed_one_understand_each_other),
    CASE(a_number_in_steps_is_moved_to_the_edge_on_either_end),
    CASE(a_missing_step_is_reported),
    CASE(a_failing_step_is_reported_with_its_code),
    CASE(what_steps_leave_must_fit_the_schema),
    CASE(a_value_of_any_kind_is_no_version_of_a_schema),
    CASE(a_call_migrates_as_an_event_does),
    CASE(a_name_inherits_what_it_does_not_set),
    CASE(schemas_are_all_in_force_or_none),
    CASE(a_handler_gets_the_struct_it_asks_for),
    CASE(a_map_of_no_schema_fills_a_struct),
    CASE(an_event_outlives_its_schema_in_the_handler),
    CASE(codecs_carry_values_without_a_schema),
    CASE(codecs_tell_a_row_from_an_array),
    CASE(compression_makes_equal_bytes_few_and_nothing_larger),
    CASE(no_stale_bits_stand_behind_packed_ones),
    CASE(a_broken_compression_costs_one_message),
    CASE(the_steady_state_takes_no_memory),
    CASE(migration_takes_no_memory_in_the_steady_state),
    CASE(any_one_allocation_of_a_session_with_schemas_may_fail),
    CASE(all_allocations_of_a_session_with_schemas_may_fail_from_any_one_on),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
