/* test_engine.c - the engine's types: their bytes, their limits, and every codec to and fro */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"

#include <float.h>

/* --- values of every type: plain ones with their bytes, and extreme ones --- */

typedef struct engine_sample {
    const char *type;
    const void *data;
    const char *bytes;      /* bit-packed, in hex; NULL: too many to read */
} engine_sample;

static const wisp_axes axes = { true, false, true };
static const wisp_faces faces[] = { { true, false, false, true, false, true },
                                    { true, true, true, true, true, true } };
static const wisp_vector2_int16 vector2_int16[] = { { 1, -1 }, { INT16_MIN, INT16_MAX } };
static const wisp_vector3_int16 vector3_int16[] = { { 1, -1, 256 },
                                                    { INT16_MIN, INT16_MAX, 0 } };
static const wisp_vec2 vector2[] = { { 1, -2 }, { FLT_MAX, -FLT_MIN } };
static const wisp_vec3 vector3[] = { { 1, -2, 0.5f }, { FLT_MAX, 1e-45f, -0.0f } };
static const wisp_cframe cframe[] = {
    { { 1, 2, 3 }, { 0, 0, 0, 1 } },
    { { FLT_MAX, -FLT_MAX, 0.1f }, { 0.5f, -0.5f, 0.5f, -0.5f } },
};
static const wisp_color color3[] = { { 1, 0.5f, 0, 1 }, { 0, 0.1f, 1, 0.25f } };
static const wisp_udim udim[] = { { 0.5f, -20 }, { FLT_MAX, INT32_MIN }, { -0.1f, INT32_MAX } };
static const wisp_udim2 udim2 = { { 1, 2 }, { 3, 4 } };
static const wisp_rect rect = { { 10, 20 }, { 30, 40 } };
static const wisp_ray ray = { { 0, 10, 0 }, { 0, -1, 0 } };
static const wisp_region3 region3 = { { -1, -2, -3 }, { 1, 2, 3 } };
static const wisp_region3_int16 region3_int16 = { { INT16_MIN, 0, -1 }, { INT16_MAX, 0, 1 } };
static const wisp_number_range number_range[] = { { 10, 20 }, { -FLT_MAX, FLT_MAX } };
static const wisp_number_keypoint number_keypoint[] = { { 0.5f, 2, 0 }, { 1, -FLT_MAX, FLT_MAX } };
static const wisp_number_sequence number_sequence[] = {
    { 2, { { 0, 0, 0 }, { 1, 1, 0.5f } } }, { 0, { { 0, 0, 0 } } },
};
static const wisp_color_keypoint color_keypoint = { 0.5f, { 1, 0, 0.2f, 1 } };
static const wisp_color_sequence color_sequence = {
    2, { { 0, { 1, 0, 0, 1 } }, { 1, { 0, 0, 1, 1 } } },
};
static const wisp_brick_color brick_color[] = { { 194 }, { 1 }, { 1032 } };
static const wisp_date_time date_time[] = {
    { INT64_C(1700000000123) }, { INT64_C(-17987443200000) }, { INT64_C(253402300799999) }, { 0 },
};
static const wisp_enum_item enum_item = { "Material", "Neon", 288 };
static const wisp_tween_info tween_info[] = {
    { 1, WISP_EASING_QUAD, WISP_EASING_OUT, 0, false, 0 },
    { 2.5f, WISP_EASING_CUBIC, WISP_EASING_IN_OUT, -1, true, 0.5f },
    { FLT_MAX, WISP_EASING_LINEAR, WISP_EASING_IN, INT32_MAX, true, FLT_MIN },
};
static const wisp_physical_properties physical_properties[] = {
    { 0.7f, 0.3f, 0.5f, 1, 1, 1 }, { 0.0001f, 0, 0, 0, 0, 0 }, { 100, 2, 1, 100, 100, 0.5f },
};
static const wisp_font font[] = {
    { "rbxasset://fonts/families/Arial.json", WISP_FONT_REGULAR, WISP_FONT_NORMAL },
    { "", WISP_FONT_HEAVY, WISP_FONT_ITALIC },
};
static const wisp_content content[] = { { WISP_CONTENT_NONE, { "" } },
                                        { WISP_CONTENT_URI, { "rbxassetid://1" } } };
static const wisp_path_waypoint path_waypoint[] = {
    { { 1, 2, 3 }, WISP_WAYPOINT_WALK, "" }, { { 0, 0, 0 }, WISP_WAYPOINT_CUSTOM, "Jump" },
};
static const wisp_path2d_control_point path2d_control_point = {
    { { 0.5f, 0 }, { 0.5f, 0 } }, { { 0, -10 }, { 0, 0 } }, { { 0, 10 }, { 0, 0 } },
};
static const wisp_raycast_result raycast_result[] = {
    { { 7 }, { 1, 2, 3 }, { 0, 1, 0 }, 12.5f, 256 },
    { { UINT32_MAX }, { 0, 0, 0 }, { 0, 0, -1 }, FLT_MAX, UINT16_MAX },
};
static const wisp_float_curve_key float_curve_key[] = {
    { 0.5f, 1, WISP_CURVE_LINEAR, 0, 0 }, { -1, FLT_MAX, WISP_CURVE_CUBIC, -2, FLT_MAX },
};
static const wisp_rotation_curve_key rotation_curve_key = {
    1, { { 0, 0, 0 }, { 0, 1, 0, 0 } }, WISP_CURVE_CONSTANT, 0, 0,
};

static const engine_sample constant_samples[] = {
    { "Axes", &axes, "05" },
    { "BrickColor", &brick_color[0], "c100" },
    { "BrickColor", &brick_color[1], "0000" },
    { "BrickColor", &brick_color[2], "0704" },
    { "CFrame", &cframe[0], "0000803f00000040000040400000000000000000000000000000803f" },
    { "CFrame", &cframe[1], "ffff7f7fffff7fffcdcccc3d0000003f000000bf0000003f000000bf" },
    { "Color3", &color3[0], "0000803f0000003f0000000000" },
    { "Color3", &color3[1], "00000000cdcccc3d0000803f0100007d00" },
    { "ColorSequence", &color_sequence, "02000000e01f00e01f0000f00700e0ff1f" },
    { "ColorSequenceKeypoint", &color_keypoint, "0000003fff0033ff" },
    { "Content", &content[0], "00" },
    { "Content", &content[1], "3900726278617373657469643a2f2f31" },
    { "DateTime", &date_time[0], "dec377b83e8f00" },
    { "DateTime", &date_time[1], "00" },
    { "DateTime", &date_time[2], "fe5f4bca9eb607" },
    { "DateTime", &date_time[3], "06804c39e08200" },
    { "EnumItem", &enum_item, "084d6174657269616c044e656f6e20010080" },
    { "Faces", &faces[0], "29" },
    { "Faces", &faces[1], "3f" },
    { "FloatCurveKey", &float_curve_key[0], "0000003f0000803f01" },
    { "FloatCurveKey", &float_curve_key[1], "000080bfffff7f7f06000000fefffff707" },
    { "Font", &font[0],
      "2472627861737365743a2f2f666f6e74732f66616d696c6965732f417269616c2e6a736f6e00" },
    { "Font", &font[1], "0071" },
    { "NumberRange", &number_range[0], "000020410000a041" },
    { "NumberRange", &number_range[1], "ffff7fffffff7f7f" },
    { "NumberSequence", &number_sequence[0], "0200000000000000000000e00f0000e04f0000801f" },
    { "NumberSequence", &number_sequence[1], "00" },
    { "NumberSequenceKeypoint", &number_keypoint[0], "0000003f0000004000" },
    { "NumberSequenceKeypoint", &number_keypoint[1], "0000803fffff7ffffffffffe00" },
    { "Path2DControlPoint", &path2d_control_point,
      "0000003f000000800000003f0000008000000000f6ffff7f0000000000000080000000000a00008000000000"
      "00000080" },
    { "PathWaypoint", &path_waypoint[0], "0000803f000000400000404000" },
    { "PathWaypoint", &path_waypoint[1], "0000000000000000000000004d004a756d70" },
    { "PhysicalProperties", &physical_properties[0], "3333333f9a99993e0000003f00" },
    { "PhysicalProperties", &physical_properties[1],
      "17b7d138000000000000000001000000020000000400000000" },
    { "PhysicalProperties", &physical_properties[2],
      "0000c842000000400000803f010090850200200b050000f801" },
    { "Ray", &ray, "00000000000020410000000000000000000080bf00000000" },
    { "RaycastResult", &raycast_result[0],
      "070000000000803f0000004000004040000000000000803f00000000000048410001" },
    { "RaycastResult", &raycast_result[1],
      "ffffffff0000000000000000000000000000000000000000000080bfffff7f7fffff" },
    { "Rect", &rect, "000020410000a0410000f04100002042" },
    { "Region3", &region3, "000080bf000000c0000040c00000803f0000004000004040" },
    { "Region3int16", &region3_int16, "00000080ff7fffff00800180" },
    { "RotationCurveKey", &rotation_curve_key,
      "0000803f000000000000000000000000000000000000803f000000000000000000" },
    { "TweenInfo", &tween_info[0], "00" },
    { "TweenInfo", &tween_info[1], "010040806a030000001c0000e007" },
    { "TweenInfo", &tween_info[2], "fffffffe42020000001e00001000" },
    { "UDim", &udim[0], "0000003fecffff7f" },
    { "UDim", &udim[1], "ffff7f7f00000000" },
    { "UDim", &udim[2], "cdccccbdffffffff" },
    { "UDim2", &udim2, "0000803f020000800000404004000080" },
    { "Vector2", &vector2[0], "0000803f000000c0" },
    { "Vector2", &vector2[1], "ffff7f7f00008080" },
    { "Vector2int16", &vector2_int16[0], "0180ff7f" },
    { "Vector2int16", &vector2_int16[1], "0000ffff" },
    { "Vector3", &vector3[0], "0000803f000000c00000003f" },
    { "Vector3", &vector3[1], "ffff7f7f0100000000000080" },
    { "Vector3int16", &vector3_int16[0], "0180ff7f0081" },
    { "Vector3int16", &vector3_int16[1], "0000ffff0080" },
};

enum { SAMPLES_MAX = 80 };

typedef struct samples {
    engine_sample list[SAMPLES_MAX];
    int    count;
    wisp_content          object;
    wisp_value_curve_key  value_curve_key[3];
    wisp_number_sequence  numbers;
    wisp_color_sequence   colors;
    wisp_content          long_uri;
    wisp_font             long_family;
    wisp_enum_item        long_names;
    wisp_path_waypoint    long_label;
} samples;

static void add(samples *s, const char *type, const void *data, const char *bytes) {
    s->list[s->count].type = type;
    s->list[s->count].data = data;
    s->list[s->count++].bytes = bytes;
}

/* Those that no initialiser can say. */
static void add_made(samples *s) {
    static const wisp_pair pair = { "on", { WISP_BOOL, 0, { true } } };
    s->object.source = WISP_CONTENT_OBJECT;
    s->object.as.object.id = 0xabcdef01u;
    add(s, "Content", &s->object, "06bc37af02");
    for (int i = 0; i < 3; i++) s->value_curve_key[i].interpolation = WISP_CURVE_CUBIC;
    s->value_curve_key[0].value = wisp_number(0.5);
    s->value_curve_key[1].value = wisp_string("up");
    s->value_curve_key[2].value = wisp_map(&pair, 1);
    s->value_curve_key[2].left_tangent = 1;
    add(s, "ValueCurveKey", &s->value_curve_key[0], "000000000651010000fc0002");
    add(s, "ValueCurveKey", &s->value_curve_key[1], "00000000046102757002");
    add(s, "ValueCurveKey", &s->value_curve_key[2], "0000000006e143e0cd2d02060000fc01");
}

/* As long as can be. */
static void add_full(samples *s) {
    s->numbers.count = s->colors.count = WISP_KEYPOINTS_MAX;
    for (int i = 0; i < WISP_KEYPOINTS_MAX; i++) {
        s->numbers.keypoints[i].time = s->colors.keypoints[i].time = (float)i / 19.0f;
        s->numbers.keypoints[i].value = (float)i * 1e30f;
        s->numbers.keypoints[i].envelope = (float)(i % 3) / 3.0f;
        s->colors.keypoints[i].value.r = (float)(i / 255.0);
        s->colors.keypoints[i].value.a = (float)((255 - i) / 255.0);
    }
    s->long_uri.source = WISP_CONTENT_URI;
    memset(s->long_uri.as.uri, 'u', 255);
    memset(s->long_family.family, 'f', 255);
    memset(s->long_names.type, 't', 64);
    memset(s->long_names.name, 'n', 64);
    s->long_names.value = INT32_MIN;
    memset(s->long_label.label, 'l', 64);
    add(s, "NumberSequence", &s->numbers, NULL);
    add(s, "ColorSequence", &s->colors, NULL);
    add(s, "Content", &s->long_uri, NULL);
    add(s, "Font", &s->long_family, NULL);
    add(s, "EnumItem", &s->long_names, NULL);
    add(s, "PathWaypoint", &s->long_label, NULL);
}

static const samples *all_samples(void) {
    static samples s;
    if (s.count) return &s;
    for (int i = 0; i < TEST_COUNT(constant_samples); i++) s.list[s.count++] = constant_samples[i];
    add_made(&s);
    add_full(&s);
    return &s;
}

/* --- bytes --- */

enum { ENGINE_BYTES_MAX = 8192, ENGINE_MEMORY_MAX = 1 << 20 };

static uint8_t *engine_memory(void) {
    static uint64_t block[ENGINE_MEMORY_MAX / 8];
    return (uint8_t *)block;
}

static const char *hex(const uint8_t *bytes, int count) {
    static char text[2 * ENGINE_BYTES_MAX + 1];
    for (int i = 0; i < count; i++) snprintf(text + 2 * i, 3, "%02x", (unsigned)bytes[i]);
    text[count > 0 ? 2 * count : 0] = 0;
    return text;
}

/* The bit-packed bytes of a struct, in hex. */
static const char *packed(const wisp_schema *schema, const void *data) {
    uint8_t bytes[ENGINE_BYTES_MAX];
    wisp_value value = wisp_struct(schema, data);
    return hex(bytes, wisp_encode(wisp_bitpack(), schema, &value, bytes, (int)sizeof bytes));
}

/* A struct through a codec and back, in the memory; NULL: it did not come back whole. */
static const void *engine_there_and_back(const wisp_codec *codec, const wisp_schema *schema,
                                         const void *data) {
    static uint8_t bytes[ENGINE_BYTES_MAX];
    static wisp_value came;
    wisp_value value = wisp_struct(schema, data);
    int size = wisp_encode(codec, schema, &value, bytes, (int)sizeof bytes);
    if (!CHECK(size >= 0)) return NULL;
    if (!CHECK_EQ_INT(wisp_decode(codec, schema, bytes, size, &came, engine_memory(),
                                  ENGINE_MEMORY_MAX),
                      size))
        return NULL;
    if (!CHECK_EQ_INT(came.kind, WISP_STRUCT) || !CHECK(wisp_equal(&came, &value))) return NULL;
    CHECK(wisp_hash(&came) == wisp_hash(&value));
    return came.as.structure.data;
}

/* --- the table --- */

TEST(every_schema_makes_sense_and_compiles) {
    int count = 0;
    const wisp_engine_type *types = wisp_engine_types(&count);
    CHECK_EQ_INT(count, 32);
    for (int i = 0; i < count; i++) {
        char text[200] = "";
        CHECK_EQ_INT(wisp_schema_check(types[i].schema, text, (int)sizeof text), WISP_OK);
        CHECK_EQ_STR(text, "");
        CHECK(wisp_schema_compile(types[i].schema, engine_memory(),
                                  wisp_schema_bytes(types[i].schema)));
        CHECK_EQ_INT(types[i].schema->version, 1);
    }
}

TEST(types_are_found_by_the_names_of_the_engine) {
    int count = 0;
    const wisp_engine_type *types = wisp_engine_types(&count);
    CHECK(wisp_engine_types(NULL) == types);
    for (int i = 0; i < count; i++) {
        CHECK(wisp_engine_schema(types[i].name) == types[i].schema);
        CHECK(i == 0 || strcmp(types[i - 1].name, types[i].name) < 0);
    }
    CHECK(wisp_engine_schema("udim2") == NULL);
    CHECK(wisp_engine_schema("UDim3") == NULL);
    CHECK(wisp_engine_schema("") == NULL);
    CHECK(wisp_engine_schema(NULL) == NULL);
}

TEST(every_type_has_a_sample_with_its_bytes) {
    const samples *s = all_samples();
    int count = 0;
    const wisp_engine_type *types = wisp_engine_types(&count);
    for (int i = 0; i < count; i++) {
        bool found = false;
        for (int k = 0; k < s->count; k++)
            found = found || (strcmp(s->list[k].type, types[i].name) == 0 && s->list[k].bytes);
        if (!CHECK(found)) printf("    %s\n", types[i].name);
    }
}

/* --- bytes and codecs --- */

TEST(bytes_stay_as_they_are) {
    const samples *s = all_samples();
    for (int i = 0; i < s->count; i++) {
        const wisp_schema *schema = wisp_engine_schema(s->list[i].type);
        if (s->list[i].bytes && !CHECK_EQ_STR(packed(schema, s->list[i].data), s->list[i].bytes))
            printf("    %s\n", s->list[i].type);
    }
}

/* Equal bits of what came back are more than equal values: -0.0 is not 0.0. */
static void round_with(const wisp_codec *codec) {
    const samples *s = all_samples();
    for (int i = 0; i < s->count; i++) {
        const wisp_schema *schema = wisp_engine_schema(s->list[i].type);
        const void *came = engine_there_and_back(codec, schema, s->list[i].data);
        char before[2 * ENGINE_BYTES_MAX + 1];
        strcpy(before, packed(schema, s->list[i].data));
        if (!CHECK(came != NULL) || !CHECK_EQ_STR(packed(schema, came), before))
            printf("    %s\n", s->list[i].type);
    }
}

TEST(bitpack_brings_every_type_back) { round_with(wisp_bitpack()); }
TEST(json_brings_every_type_back) { round_with(wisp_json()); }
TEST(msgpack_brings_every_type_back) { round_with(wisp_msgpack()); }
TEST(protobuf_brings_every_type_back) { round_with(wisp_protobuf()); }

/* --- limits --- */

typedef struct refused {
    const char *type;
    const char *json;
    const char *why;        /* how it begins */
} refused;

static const refused refusals[] = {
    { "Axes", "{\"x\":true,\"y\":2,\"z\":true}", "y: " },
    { "Axes", "{\"x\":true,\"y\":true}", "z: is missing" },
    { "Axes", "{\"x\":true,\"y\":true,\"z\":true,\"w\":true}", "w: " },
    { "BrickColor", "{\"number\":0}", "number: 0 is not in 1 .. 1032" },
    { "BrickColor", "{\"number\":1033}", "number: 1033 is not in 1 .. 1032" },
    { "CFrame", "{\"position\":[0,0,0]}", "rotation: is missing" },
    { "CFrame", "{\"position\":[0,0],\"rotation\":[0,0,0,1]}", "position: " },
    { "Color3", "{\"r\":1.01,\"g\":0,\"b\":0}", "r: " },
    { "Color3", "{\"r\":1,\"g\":-0.01,\"b\":0}", "g: " },
    { "ColorSequenceKeypoint", "{\"time\":1.5,\"value\":[0,0,0,1]}", "time: " },
    { "ColorSequenceKeypoint", "{\"time\":1,\"value\":[0,2,0,1]}", "value: " },
    { "ColorSequence", "{\"keypoints\":[{\"time\":2,\"value\":[0,0,0,1]}]}",
      "keypoints[0].time: " },
    { "Content", "{\"as\":true}", "as: is none of 3 options" },
    { "DateTime", "{\"milliseconds\":-17987443200001}", "milliseconds: " },
    { "DateTime", "{\"milliseconds\":253402300800000}", "milliseconds: " },
    { "EnumItem", "{\"type\":5,\"name\":\"Neon\",\"value\":288}", "type: " },
    { "EnumItem", "{\"type\":\"A\",\"name\":\"B\",\"value\":2147483648}", "value: " },
    { "Faces", "{\"right\":true}", "top: is missing" },
    { "FloatCurveKey", "{\"time\":0,\"value\":0,\"interpolation\":\"Quartic\"}",
      "interpolation: " },
    { "FloatCurveKey", "{\"time\":0,\"value\":0,\"interpolation\":3}", "interpolation: " },
    { "Font", "{\"family\":\"x\",\"weight\":\"Heaviest\"}", "weight: " },
    { "Font", "{\"family\":\"x\",\"weight\":9}", "weight: " },
    { "Font", "{\"family\":\"x\",\"style\":\"Oblique\"}", "style: " },
    { "NumberRange", "{\"min\":0,\"max\":1e39}", "max: " },
    { "NumberSequenceKeypoint", "{\"time\":-0.1,\"value\":0}", "time: " },
    { "NumberSequenceKeypoint", "{\"time\":1,\"value\":0,\"envelope\":-1}", "envelope: " },
    { "NumberSequence", "{\"keypoints\":[{\"time\":0}]}", "keypoints[0].value: is missing" },
    { "PathWaypoint", "{\"position\":[0,0,0],\"action\":\"Fly\"}", "action: " },
    { "Path2DControlPoint", "{\"position\":{\"x\":{\"scale\":0}}}", "position.x.offset: " },
    { "PhysicalProperties", "{\"density\":0.00009,\"friction\":0,\"elasticity\":0}", "density: " },
    { "PhysicalProperties", "{\"density\":100.1,\"friction\":0,\"elasticity\":0}", "density: " },
    { "PhysicalProperties", "{\"density\":1,\"friction\":2.1,\"elasticity\":0}", "friction: " },
    { "PhysicalProperties", "{\"density\":1,\"friction\":0,\"elasticity\":1.1}", "elasticity: " },
    { "PhysicalProperties",
      "{\"density\":1,\"friction\":0,\"elasticity\":0,\"friction_weight\":101}",
      "friction_weight: " },
    { "PhysicalProperties",
      "{\"density\":1,\"friction\":0,\"elasticity\":0,\"elasticity_weight\":-1}",
      "elasticity_weight: " },
    { "PhysicalProperties",
      "{\"density\":1,\"friction\":0,\"elasticity\":0,\"acoustic_absorption\":1.5}",
      "acoustic_absorption: " },
    { "Ray", "{\"origin\":[0,0,0],\"direction\":7}", "direction: " },
    { "Rect", "{\"min\":[0,0],\"max\":[0,0,0]}", "max: " },
    { "Region3", "{\"min\":[0,0,0],\"max\":null}", "max: is missing" },
    { "Region3int16", "{\"min\":{\"x\":40000}}", "min.x: " },
    { "TweenInfo", "{\"repeat_count\":-2}", "repeat_count: " },
    { "TweenInfo", "{\"easing_style\":11}", "easing_style: " },
    { "TweenInfo", "{\"easing_style\":\"quad\"}", "easing_style: " },
    { "TweenInfo", "{\"easing_direction\":\"OutIn\"}", "easing_direction: " },
    { "UDim", "{\"scale\":0,\"offset\":0.5}", "offset: " },
    { "UDim", "{\"scale\":0,\"offset\":-2147483649}", "offset: " },
    { "UDim2", "{\"x\":{\"scale\":0,\"offset\":0},\"y\":0}", "y: " },
    { "ValueCurveKey", "{\"time\":\"x\",\"value\":[],\"interpolation\":0}", "time: " },
    { "Vector2int16", "{\"x\":32768,\"y\":0}", "x: " },
    { "Vector2int16", "{\"x\":0,\"y\":-32769}", "y: " },
    { "Vector3int16", "{\"x\":0,\"y\":0,\"z\":1.5}", "z: " },
};

static int decode_json(const wisp_schema *schema, const char *json, wisp_value *out) {
    return wisp_decode(wisp_json(), schema, json, (int)strlen(json), out, engine_memory(),
                       ENGINE_MEMORY_MAX);
}

TEST(what_is_outside_is_refused_with_its_field) {
    for (int i = 0; i < TEST_COUNT(refusals); i++) {
        const refused *r = &refusals[i];
        const wisp_schema *schema = wisp_engine_schema(r->type);
        char text[200];
        wisp__fitting fitting = wisp__fitting_on(text, (int)sizeof text, NULL);
        wisp_value value;
        CHECK_EQ_INT(decode_json(schema, r->json, &value), WISP_E_INVALID);
        CHECK_EQ_INT(decode_json(NULL, r->json, &value), strlen(r->json));
        fitting.lenient = true;
        CHECK_EQ_INT(wisp__fit_schema(&fitting, schema, &value, NULL), WISP_E_INVALID);
        if (!CHECK(strncmp(text, r->why, strlen(r->why)) == 0))
            printf("    %s: %s\n", r->json, text);
    }
}

static void refuse_struct(const char *type, const void *data, const char *field) {
    static const wisp_codec *(*const codecs[])(void) = { wisp_bitpack, wisp_json, wisp_msgpack,
                                                         wisp_protobuf };
    const wisp_schema *schema = wisp_engine_schema(type);
    wisp_value value = wisp_struct(schema, data);
    uint8_t bytes[ENGINE_BYTES_MAX];
    char text[200];
    CHECK_EQ_INT(wisp_validate(schema, &value, text, (int)sizeof text), WISP_E_INVALID);
    if (!CHECK(strncmp(text, field, strlen(field)) == 0)) printf("    %s\n", text);
    for (int i = 0; i < TEST_COUNT(codecs); i++)
        CHECK_EQ_INT(wisp_encode(codecs[i](), schema, &value, bytes, (int)sizeof bytes),
                     WISP_E_INVALID);
}

TEST(structs_outside_are_refused_by_every_codec) {
    static const wisp_brick_color none = { 0 }, over = { 1033 };
    static const wisp_date_time early = { INT64_C(-17987443200001) };
    static const wisp_date_time late = { INT64_C(253402300800000) };
    static const wisp_number_keypoint negative = { 0, 0, -1 }, beyond = { 1.5f, 0, 0 };
    static const wisp_color bright = { 0, 0, 1.5f, 1 };
    static const wisp_color_keypoint dark = { 0, { -1, 0, 0, 1 } };
    static const wisp_tween_info no_style = { 1, 11, 0, 0, false, 0 };
    static const wisp_tween_info no_direction = { 1, 0, -1, 0, false, 0 };
    static const wisp_tween_info before_ever = { 1, 0, 0, -2, false, 0 };
    static const wisp_physical_properties light = { 0.00009f, 0, 0, 1, 1, 1 };
    static const wisp_path_waypoint no_action = { { 0, 0, 0 }, 3, "" };
    static const wisp_float_curve_key no_key = { 0, 0, 3, 0, 0 };
    static const wisp_number_sequence long_sequence = { 21, { { 0, 0, 0 } } };
    static const wisp_content no_source = { 3, { "" } };
    refuse_struct("BrickColor", &none, "number: ");
    refuse_struct("BrickColor", &over, "number: ");
    refuse_struct("DateTime", &early, "milliseconds: ");
    refuse_struct("DateTime", &late, "milliseconds: ");
    refuse_struct("NumberSequenceKeypoint", &negative, "envelope: ");
    refuse_struct("NumberSequenceKeypoint", &beyond, "time: ");
    refuse_struct("Color3", &bright, "b: ");
    refuse_struct("ColorSequenceKeypoint", &dark, "value: ");
    refuse_struct("TweenInfo", &no_style, "easing_style: ");
    refuse_struct("TweenInfo", &no_direction, "easing_direction: ");
    refuse_struct("TweenInfo", &before_ever, "repeat_count: ");
    refuse_struct("PhysicalProperties", &light, "density: ");
    refuse_struct("PathWaypoint", &no_action, "action: ");
    refuse_struct("FloatCurveKey", &no_key, "interpolation: ");
    refuse_struct("NumberSequence", &long_sequence, "keypoints");
    refuse_struct("Content", &no_source, "as");
}

/* Ranges that are no power of two leave bits over: those must not get through. */
TEST(bits_outside_are_refused) {
    static const struct { const char *type; uint8_t bytes[8]; int size; } bits[] = {
        { "BrickColor", { 0x08, 0x04 }, 2 },                     /* number 1033 */
        { "DateTime", { 0x07, 0, 0, 0, 0, 0, 0, 0xff }, 8 },     /* cut short */
        { "NumberSequence", { 21 }, 1 },                         /* 21 keypoints */
        { "Content", { 3 }, 1 },                                 /* option 3 */
        { "Font", { 0, 0x19 }, 2 },                              /* weight 12 */
        { "Vector3", { 0, 0, 0x80, 0x3f }, 4 },
        { "UDim2", { 0 }, 0 },
    };
    for (int i = 0; i < TEST_COUNT(bits); i++) {
        wisp_value value;
        if (!CHECK(wisp_decode(wisp_bitpack(), wisp_engine_schema(bits[i].type), bits[i].bytes,
                               bits[i].size, &value, engine_memory(), ENGINE_MEMORY_MAX) < 0))
            printf("    %s\n", bits[i].type);
    }
}

/* Any bytes give an error, or a value that is inside. */
TEST(random_bytes_never_give_a_value_outside) {
    int count = 0;
    uint64_t seed = 5;
    const wisp_engine_type *types = wisp_engine_types(&count);
    for (int i = 0; i < count * 500; i++) {
        const wisp_schema *schema = types[i % count].schema;
        uint8_t bytes[64];
        wisp_value value;
        int size = test_random_below(&seed, (int)sizeof bytes);
        for (int k = 0; k < size; k++) bytes[k] = (uint8_t)test_random(&seed);
        if (wisp_decode(wisp_bitpack(), schema, bytes, size, &value, engine_memory(),
                        ENGINE_MEMORY_MAX) < 0)
            continue;
        CHECK_EQ_INT(wisp_validate(schema, &value, NULL, 0), WISP_OK);
    }
}

/* --- defaults and names --- */

static const void *from_json(const char *type, const char *json) {
    static wisp_value value;
    if (!CHECK_EQ_INT(decode_json(wisp_engine_schema(type), json, &value), strlen(json)))
        return NULL;
    return value.as.structure.data;
}

TEST(what_a_map_leaves_out_is_as_in_the_engine) {
    const wisp_tween_info *tween = (const wisp_tween_info *)from_json("TweenInfo", "{}");
    const wisp_physical_properties *part;
    const wisp_font *text;
    const wisp_path_waypoint *waypoint;
    const wisp_color *color;
    if (!tween) return;
    CHECK_EQ_STR(packed(wisp_engine_schema("TweenInfo"), tween), "00");
    CHECK(tween->time == 1.0f && tween->easing_style == WISP_EASING_QUAD);
    CHECK(tween->easing_direction == WISP_EASING_OUT && tween->repeat_count == 0);
    part = (const wisp_physical_properties *)
        from_json("PhysicalProperties", "{\"density\":1,\"friction\":1,\"elasticity\":1}");
    CHECK(part && part->friction_weight == 1.0f && part->elasticity_weight == 1.0f);
    CHECK(part && part->acoustic_absorption == 1.0f);
    text = (const wisp_font *)from_json("Font", "{\"family\":\"x\"}");
    CHECK(text && text->weight == WISP_FONT_REGULAR && text->style == WISP_FONT_NORMAL);
    waypoint = (const wisp_path_waypoint *)from_json("PathWaypoint", "{\"position\":[1,2,3]}");
    CHECK(waypoint && waypoint->action == WISP_WAYPOINT_WALK && waypoint->label[0] == 0);
    color = (const wisp_color *)from_json("Color3", "{\"r\":1,\"g\":0,\"b\":0}");
    CHECK(color && color->a == 1.0f);
}

/* The text of a whole struct: its members and the names of its enums. */
static void check_json(const char *type, const void *data, const char *json) {
    char text[512];
    wisp_value value = wisp_struct(wisp_engine_schema(type), data);
    int size = wisp_encode(wisp_json(), wisp_engine_schema(type), &value, text,
                           (int)sizeof text - 1);
    text[size > 0 ? size : 0] = 0;
    CHECK_EQ_STR(text, json);
}

TEST(json_says_the_names_of_the_engine) {
    check_json("TweenInfo", &tween_info[1],
               "{\"time\":2.5,\"easing_style\":\"Cubic\",\"easing_direction\":\"InOut\","
               "\"repeat_count\":-1,\"reverses\":true,\"delay_time\":0.5}");
    check_json("UDim2", &udim2,
               "{\"x\":{\"scale\":1,\"offset\":2},\"y\":{\"scale\":3,\"offset\":4}}");
    check_json("Content", &content[1], "{\"as\":\"rbxassetid://1\"}");
    check_json("Content", &content[0], "{\"as\":\"\"}");
    check_json("NumberSequence", &number_sequence[0],
               "{\"keypoints\":[{\"time\":0,\"value\":0,\"envelope\":0},"
               "{\"time\":1,\"value\":1,\"envelope\":0.5}]}");
    check_json("Font", &font[1], "{\"family\":\"\",\"weight\":\"Heavy\",\"style\":\"Italic\"}");
}

TEST(enums_count_as_the_engine_does) {
    static const char *const styles[] = { "Linear", "Sine", "Back", "Quad", "Quart", "Quint",
                                          "Bounce", "Elastic", "Exponential", "Circular",
                                          "Cubic" };
    for (int i = 0; i < TEST_COUNT(styles); i++) {
        char json[64];
        const wisp_tween_info *tween;
        snprintf(json, sizeof json, "{\"easing_style\":\"%s\"}", styles[i]);
        tween = (const wisp_tween_info *)from_json("TweenInfo", json);
        CHECK(tween && tween->easing_style == i);
    }
    CHECK_EQ_INT(WISP_EASING_CUBIC, 10);
    CHECK_EQ_INT(WISP_FONT_HEAVY, 900 / 100 - 1);
}

/* --- brick colors --- */

static bool rgb_is(int number, int r, int g, int b) {
    wisp_color c = wisp_brick_color_rgb(number);
    return (int)(c.r * 255.0f + 0.5f) == r && (int)(c.g * 255.0f + 0.5f) == g &&
           (int)(c.b * 255.0f + 0.5f) == b && c.a == 1.0f;
}

TEST(brick_colors_have_the_colors_of_the_palette) {
    CHECK(rgb_is(1, 242, 243, 243));          /* White */
    CHECK(rgb_is(21, 196, 40, 28));           /* Bright red */
    CHECK(rgb_is(194, 163, 162, 165));        /* Medium stone grey */
    CHECK(rgb_is(1004, 255, 0, 0));           /* Really red */
    CHECK(rgb_is(1032, 255, 0, 191));         /* Hot pink */
    CHECK(rgb_is(4, 163, 162, 165));          /* a gap */
    CHECK(rgb_is(0, 163, 162, 165));
    CHECK(rgb_is(-1, 163, 162, 165));
    CHECK(rgb_is(INT32_MAX, 163, 162, 165));
}

TEST(numbers_of_the_palette_ascend_within_the_schema) {
    int last = 0, count = 0;
    for (int i = 0; i < WISP__LENGTH(wisp__palette_runs); i++) {
        const uint16_t *run = wisp__palette_runs[i];
        CHECK(run[1] >= 1);
        CHECK(run[0] > last);
        last = run[0] + run[1] - 1;
        count += run[1];
    }
    CHECK_EQ_INT(wisp__palette_runs[0][0], 1);
    CHECK_EQ_INT(last, 1032);
    CHECK_EQ_INT(count, 208);
    CHECK_EQ_INT(strlen(wisp__palette), 208 * 6);
    CHECK_EQ_INT(strspn(wisp__palette, "0123456789abcdef"), 208 * 6);
}

/* --- in use --- */

typedef struct button {
    char       text[21];
    wisp_udim2 size;
    wisp_font  face;
} button;

TEST(types_nest_in_structs_of_others) {
    wisp_field fields[] = {
        WISP_FIELD(button, text, WISP_T_STRING(20)),
        WISP_FIELD(button, size, WISP_T_STRUCT(NULL)),
        WISP_FIELD(button, face, WISP_T_STRUCT(NULL)),
    };
    wisp_schema schema = WISP_SCHEMA(button, 1, fields);
    button ok;
    const button *came;
    CHECK_EQ_INT(wisp_schema_check(&schema, NULL, 0), WISP_E_SCHEMA);
    fields[1].type.of = wisp_engine_schema("UDim2");
    fields[2].type.of = wisp_engine_schema("Font");
    CHECK_EQ_INT(wisp_schema_check(&schema, NULL, 0), WISP_OK);
    memset(&ok, 0, sizeof ok);
    strcpy(ok.text, "OK");
    ok.size = udim2;
    ok.face = font[0];
    came = (const button *)engine_there_and_back(wisp_bitpack(), &schema, &ok);
    CHECK(came && came->size.y.offset == 4 && strcmp(came->face.family, font[0].family) == 0);
}

static void on_resize(wisp_event *event) {
    const wisp_udim2 *size = (const wisp_udim2 *)
        wisp_arg_struct(event, 0, wisp_engine_schema("UDim2"));
    if (size) *(wisp_udim2 *)event->user = *size;
}

/* One end has given the name a schema, and the other takes what it describes. */
TEST(an_engine_type_travels) {
    wisp_pipe pipe;
    wisp_config foreign;
    wisp_desc desc;
    wisp *ends[2];
    wisp_addr to = wisp_loopback_addr(0);
    wisp_schema_entry entry = { "resize", wisp_engine_schema("UDim2"), NULL, 0 };
    wisp_udim2 got = { { 0, 0 }, { 0, 0 } };
    wisp_value value = wisp_struct(entry.schema, &udim2);
    memset(&pipe, 0, sizeof pipe);
    memset(&desc, 0, sizeof desc);
    for (int i = 0; i < 2; i++) {
        desc.link = wisp_loopback(&pipe, i);
        desc.seed = (uint64_t)i + 1;
        ends[i] = wisp_create(&desc, NULL);
    }
    if (!CHECK(ends[0] && ends[1])) return;
    memset(&foreign, 0, sizeof foreign);
    foreign.encode.foreign = WISP_ON;
    CHECK_EQ_INT(wisp_use_config(ends[0], &foreign, "resize"), WISP_OK);
    CHECK_EQ_INT(wisp_use_schemas(ends[1], &entry, 1), WISP_OK);
    wisp_connect(ends[0], "resize", on_resize, &got);
    wisp_join(ends[1], &to, NULL, 0);
    CHECK_EQ_INT(wisp_fire_values(ends[1], "resize", wisp_to_peer(WISP_SERVER), &value, 1),
                 WISP_OK);
    for (int i = 0; i < 20; i++)
        for (int k = 0; k < 2; k++) wisp_update(ends[k], 0.02 * i);
    CHECK(memcmp(&got, &udim2, sizeof got) == 0);
    wisp_destroy(ends[1]);
    wisp_destroy(ends[0]);
    wisp_pipe_free(&pipe);
}

static const test_case tests[] = {
    CASE(every_schema_makes_sense_and_compiles),
    CASE(types_are_found_by_the_names_of_the_engine),
    CASE(every_type_has_a_sample_with_its_bytes),
    CASE(bytes_stay_as_they_are),
    CASE(bitpack_brings_every_type_back),
    CASE(json_brings_every_type_back),
    CASE(msgpack_brings_every_type_back),
    CASE(protobuf_brings_every_type_back),
    CASE(what_is_outside_is_refused_with_its_field),
    CASE(structs_outside_are_refused_by_every_codec),
    CASE(bits_outside_are_refused),
    CASE(random_bytes_never_give_a_value_outside),
    CASE(what_a_map_leaves_out_is_as_in_the_engine),
    CASE(json_says_the_names_of_the_engine),
    CASE(enums_count_as_the_engine_does),
    CASE(brick_colors_have_the_colors_of_the_palette),
    CASE(numbers_of_the_palette_ascend_within_the_schema),
    CASE(types_nest_in_structs_of_others),
    CASE(an_engine_type_travels),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
