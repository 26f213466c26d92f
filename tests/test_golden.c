/* test_golden.c - the packed form and the hash of a table of values, and whole datagrams

   The same on every machine. A change here is a change of the wire: programs of different versions
   no longer understand each other, so WISP_WIRE_VERSION changes with it. The table of values was
   computed by another program, from the drawing at the pack room. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/packed_values.h"
#include "support/simulated_endpoints.h"

enum { TEXT = 1000 };

/* "12:ab05": as many bits, in bytes. */
static void to_text(char out[TEXT], const uint8_t *bytes, int64_t bits) {
    static const char digits[] = "0123456789abcdef";
    int at = snprintf(out, TEXT, "%d:", (int)bits);
    for (int64_t i = 0; i * 8 < bits && at < TEXT - 2; i++) {
        out[at++] = digits[bytes[i] >> 4];
        out[at++] = digits[bytes[i] & 15];
    }
    out[at] = 0;
}

static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/* The other way; into memory of exactly that size. */
static uint8_t *from_text(const char *text, int64_t *bits) {
    const char *hex = strchr(text, ':') + 1;
    int size = (int)strlen(hex) / 2;
    uint8_t *bytes = (uint8_t *)malloc((size_t)size + 1);
    *bits = strtol(text, NULL, 10);
    CHECK_EQ_INT(size, (*bits + 7) / 8);
    for (int i = 0; bytes && i < size; i++)
        bytes[i] = (uint8_t)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    return bytes;
}

/* Values pack to these bits, and these bits unpack to the values. */
static void packs_to(const wisp_value *values, int count, const char *shape, const char *data,
                     int line) {
    char text[TEXT];
    bench b;
    bench_start(&b);
    if (!CHECK_EQ_INT(bench_pack(&b, values, count), WISP_OK)) return;
    to_text(text, b.shape, b.shape_bits);
    test_eq_str(text, shape, "shape", __FILE__, line);
    to_text(text, b.data, b.data_bits);
    test_eq_str(text, data, "data", __FILE__, line);
    bench_forget(&b);
    b.shape = from_text(shape, &b.shape_bits);
    b.data = from_text(data, &b.data_bits);
    b.shape_bytes = (int)((b.shape_bits + 7) / 8);
    b.data_bytes = (int)((b.data_bits + 7) / 8);
    test_eq_int(bench_unpack(&b), WISP_OK, "unpacks", __FILE__, line);
    test_eq_int(b.count, count, "count", __FILE__, line);
    for (int i = 0; i < b.count; i++)
        test_check(low_same(&values[i], &b.values[i]), "comes back", __FILE__, line);
    bench_end(&b);
}

static void golden(wisp_value value, const char *shape, const char *data, uint64_t hash, int line) {
    packs_to(&value, 1, shape, data, line);
    test_check(wisp_hash(&value) == hash, "hash", __FILE__, line);
}

#define GOLDEN(value, shape, data, hash) golden(value, shape, data, UINT64_C(hash), __LINE__)
#define MESSAGE(values, count, shape, data) packs_to(values, count, shape, data, __LINE__)

TEST(integers) {
    GOLDEN(wisp_nil(), "8:01", "0:", 0x8482929c05a92b0e);
    GOLDEN(wisp_bool(false), "8:11", "1:00", 0xe0b2a0295c7d618e);
    GOLDEN(wisp_bool(true), "8:11", "1:01", 0x12daa5c2855da255);
    GOLDEN(wisp_int(0), "8:21", "7:00", 0x1cc140088f3b6bec);
    GOLDEN(wisp_int(1), "8:21", "7:10", 0xe85c268617ac9296);
    GOLDEN(wisp_int(-1), "8:21", "7:08", 0x46b5a8876a4d0ed2);
    GOLDEN(wisp_int(7), "8:21", "7:70", 0xb0007b48568a03ed);
    GOLDEN(wisp_int(-8), "8:21", "7:78", 0xa0b77465851bcf7b);
    GOLDEN(wisp_int(8), "8:21", "11:8100", 0xfbdc7c7df4e40c76);
    GOLDEN(wisp_int(127), "8:21", "11:f107", 0x907fda56b4b10b84);
    GOLDEN(wisp_int(-128), "8:21", "11:f907", 0x9f423c18db81cfc6);
    GOLDEN(wisp_int(128), "8:21", "15:0208", 0xc70e43418b79c631);
    GOLDEN(wisp_int(2047), "8:21", "15:f27f", 0x8c3dd0289d045b12);
    GOLDEN(wisp_int(2048), "8:21", "19:038000", 0xd5630c03759330b5);
    GOLDEN(wisp_int(-32768), "8:21", "19:fbff07", 0x6e84fb2a72c88567);
    GOLDEN(wisp_int(32767), "8:21", "19:f3ff07", 0xb9372a6d2625a725);
    GOLDEN(wisp_int(32768), "8:21", "27:04000800", 0x42ca4f614b136bb9);
    GOLDEN(wisp_int(8388607), "8:21", "27:f4ffff07", 0xe7bc8238bf1137df);
    GOLDEN(wisp_int(8388608), "8:21", "35:0500000800", 0x5d59236e66b56f15);
    GOLDEN(wisp_int(2147483647), "8:21", "35:f5ffffff07", 0x4f1ab9e9fe9cd4d2);
    GOLDEN(wisp_int(INT64_C(-140737488355328)), "8:21", "51:feffffffffff07", 0x822c49b6987c5d13);
    GOLDEN(wisp_int(INT64_MAX), "8:21", "67:f7ffffffffffffff07", 0xfab662a6053b91d9);
    GOLDEN(wisp_int(INT64_MIN), "8:21", "67:ffffffffffffffff07", 0xe169b1275296c66d);
    GOLDEN(wisp_uint(0), "8:31", "7:00", 0x1cc140088f3b6bec);
    GOLDEN(wisp_uint(15), "8:31", "7:78", 0xa19e5733ddc39b61);
    GOLDEN(wisp_uint(16), "8:31", "11:8100", 0x12fe36adcc604afb);
    GOLDEN(wisp_uint(255), "8:31", "11:f907", 0xbaa5b719f33814bd);
    GOLDEN(wisp_uint(256), "8:31", "15:0208", 0xe0b2a0295c7d618e);
    GOLDEN(wisp_uint(4095), "8:31", "15:fa7f", 0x20c1860ab3915c89);
    GOLDEN(wisp_uint(4096), "8:31", "19:038000", 0x3c2ce82ba40369db);
    GOLDEN(wisp_uint(65535), "8:31", "19:fbff07", 0xb2d67e7a398fdde4);
    GOLDEN(wisp_uint(65536), "8:31", "27:04000800", 0x5a6dd18560d503d8);
    GOLDEN(wisp_uint(16777215), "8:31", "27:fcffff07", 0x09f42ee05b8b831d);
    GOLDEN(wisp_uint(16777216), "8:31", "35:0500000800", 0x6af74cefc10a2374);
    GOLDEN(wisp_uint(UINT32_MAX), "8:31", "35:fdffffff07", 0xaa36b96e99779f34);
    GOLDEN(wisp_uint(UINT64_C(0x100000000)), "8:31", "51:06000000080000", 0x4b7ec9fd2d670987);
    GOLDEN(wisp_uint(UINT64_C(0xffffffffffff)), "8:31", "51:feffffffffff07", 0x598ec8462408fda2);
    GOLDEN(wisp_uint(UINT64_C(0x123456789abcdef0)),
           "8:31",
           "67:87f7e6d5c4b3a29100",
           0x766450aeaa489c66);
    GOLDEN(wisp_uint(UINT64_MAX), "8:31", "67:ffffffffffffffff07", 0x0000000000000000);
}

TEST(floats_and_numbers) {
    GOLDEN(wisp_float(0.0f), "8:41", "8:01", 0x1cc140088f3b6bec);
    GOLDEN(wisp_float(-0.0f), "8:41", "33:0000000001", 0x1cc140088f3b6bec);
    GOLDEN(wisp_float(1.0f), "8:41", "8:21", 0xe85c268617ac9296);
    GOLDEN(wisp_float(-2.5f), "8:41", "33:0000408001", 0xdee418297c613916);
    GOLDEN(wisp_float(0.1f), "8:41", "33:9a99997b00", 0xa99762f4dfd2c3c4);
    GOLDEN(wisp_float(16777216.0f), "8:41", "36:0b00002000", 0x6af74cefc10a2374);
    GOLDEN(wisp_float(33554432.0f), "8:41", "33:0000009800", 0x07aef049f63b1033);
    GOLDEN(wisp_float(1e-40f), "8:41", "33:842d020000", 0xd560d775a4c4afa1);
    GOLDEN(wisp_float(3.4e38f), "8:41", "33:3c93fffe00", 0xf10e120d34d9e7ce);
    GOLDEN(wisp_float((float)low_nan()), "8:41", "33:000080ff00", 0x8af1bef6614833ee);
    GOLDEN(wisp_number(0.0), "8:51", "9:0000", 0x1cc140088f3b6bec);
    GOLDEN(wisp_number(-0.0), "8:51", "34:0100000002", 0x1cc140088f3b6bec);
    GOLDEN(wisp_number(100.0), "8:51", "13:0419", 0x4dcdaa42a81df28e);
    GOLDEN(wisp_number(-1.0), "8:51", "9:2000", 0x46b5a8876a4d0ed2);
    GOLDEN(wisp_number(0.5), "8:51", "34:010000fc00", 0xfa6da4d0d396fe8c);
    GOLDEN(wisp_number(0.1), "8:51", "66:6a6666666666e6fe00", 0xe3f0eb8b5c2d5732);
    GOLDEN(wisp_number(1e300), "8:51", "66:72d60120f290dff801", 0x5131990b473aae27);
    GOLDEN(wisp_number(140737488355328.0), "8:51", "69:1c0000000000200000", 0x2c9c10137197ba2d);
    GOLDEN(wisp_number(281474976710656.0), "8:51", "34:0100005e01", 0x13a6f03177945c84);
    GOLDEN(wisp_number(9007199254740993.0), "8:51", "34:0100006801", 0x90c0f62cc29eca9e);
    GOLDEN(wisp_number(18446744073709551616.0), "8:51", "34:0100007e01", 0x6a4de927195c4c59);
    GOLDEN(wisp_number(-18446744073709551615.0), "8:51", "34:0100007e03", 0xdf23ca8dfa165d64);
    GOLDEN(wisp_number(5e-324), "8:51", "66:060000000000000000", 0xb0f56261282646dd);
    GOLDEN(wisp_number(low_nan()), "8:51", "66:020000000000e0ff01", 0x8af1bef6614833ee);
}

TEST(text) {
    GOLDEN(wisp_string(""), "8:61", "8:00", 0xf58d4e6aa6def821);
    GOLDEN(wisp_string("a"), "8:61", "16:0161", 0x5bd0079ab631e1b7);
    GOLDEN(wisp_string("hello, world"),
           "8:61",
           "104:0c68656c6c6f2c20776f726c64",
           0x64a22f4986f99276);
    GOLDEN(wisp_string("\xc3\xa9t\xc3\xa9"), "8:61", "48:05c3a974c3a9", 0xa7a7e35d7f2a6659);
    GOLDEN(wisp_string_n("a\0b", 3), "8:61", "32:03610062", 0xcfa65471d1dfce3a);
    GOLDEN(wisp_bytes("", 0), "16:7100", "0:", 0x2c6c433db7d2562f);
    GOLDEN(wisp_bytes("\1\2\377", 3), "16:7103", "24:0102ff", 0xee8f6bca895ca39d);
}

TEST(vectors_and_colors) {
    static const wisp_vec3 position = { 1, 2, 3 };
    static const wisp_quat rotation = { 0.5f, 0.5f, -0.5f, 0.5f };
    GOLDEN(wisp_vec2v(1.0f, -2.5f), "8:81", "64:0000803f000020c0", 0x98ff5892b25d1ff4);
    GOLDEN(wisp_vec3v(0.1f, 2.0f, -3.0f),
           "8:91",
           "96:cdcccc3d00000040000040c0",
           0xfb59fb11504c1ab6);
    GOLDEN(wisp_vec4v(1.0f, 2.0f, 3.0f, -0.0f),
           "8:a1",
           "128:0000803f000000400000404000000080",
           0xaec7fe95ecc751ae);
    GOLDEN(wisp_quatv(0.0f, 0.0f, 0.0f, 1.0f),
           "8:b1",
           "128:0000000000000000000000000000803f",
           0xac90d4253cccc621);
    GOLDEN(wisp_transformv(position, rotation),
           "8:c1",
           "224:0000803f00000040000040400000003f0000003f000000bf0000003f",
           0xb3da490fd0259ca5);
    GOLDEN(wisp_color3(1.0f, 0.0f, 0.2f), "8:d1", "33:ff0166fe01", 0xd7c5921376b4a5d1);
    GOLDEN(wisp_color4(0.5f, 0.25f, 2.0f, 1.0f),
           "8:d1",
           "129:0000007e0000007d000000800000007f00",
           0xe500fadc1a3b873a);
}

static wisp_pair golden_pair(const char *key, wisp_value value) {
    wisp_pair made;
    made.key = key;
    made.value = value;
    return made;
}

TEST(arrays) {
    wisp_value items[3], more[3], mixed[5], nils[9], flags[10], grid[2], blobs[2];
    for (int i = 0; i < 3; i++) items[i] = wisp_int(i < 2 ? i + 1 : -300);
    for (int i = 0; i < 3; i++) more[i] = wisp_int(i + 4);
    for (int i = 0; i < 9; i++) nils[i] = wisp_nil();
    for (int i = 0; i < 10; i++) flags[i] = wisp_bool(i % 3 == 0);
    mixed[0] = wisp_nil();
    mixed[1] = wisp_bool(true);
    mixed[2] = wisp_string("x");
    mixed[3] = wisp_array(items, 3);
    mixed[4] = wisp_map(NULL, 0);
    grid[0] = wisp_array(items, 3);
    grid[1] = wisp_array(more, 3);
    blobs[0] = wisp_bytes("ab", 2);
    blobs[1] = wisp_bytes("cd", 2);
    GOLDEN(wisp_array(NULL, 0), "14:e120", "0:", 0x74ff6e0040810ce3);
    GOLDEN(wisp_array(items, 3), "18:e1a600", "29:1090ae04", 0xac3c91e0de3f42c5);
    GOLDEN(wisp_array(mixed, 5), "49:e10a84b9291e00", "54:0600781090ae04", 0xc220de617f52fe84);
    GOLDEN(wisp_array(nils, 9), "22:e13202", "9:0000", 0xb84f5305082ed755);
    GOLDEN(wisp_array(flags, 10), "22:e13406", "10:4902", 0xc47702bae64c5e9d);
    GOLDEN(wisp_array(grid, 2), "28:e1a49b02", "50:1090ae04080503", 0x38d93daff8988103);
    GOLDEN(wisp_array(blobs, 2), "26:e1e40900", "32:61626364", 0xd468afb4959d67bf);
}

TEST(maps) {
    wisp_value items[3], more[3], grid[2], records[3];
    wisp_pair pairs[3], empties[3], outer[2], fields[3][3];
    for (int i = 0; i < 3; i++) items[i] = wisp_int(i < 2 ? i + 1 : -300);
    for (int i = 0; i < 3; i++) more[i] = wisp_int(i + 4);
    grid[0] = wisp_array(items, 3);
    grid[1] = wisp_array(more, 3);
    pairs[0] = golden_pair("hp", wisp_int(100));
    pairs[1] = golden_pair("name", wisp_string("Ann"));
    pairs[2] = golden_pair("at", wisp_vec2v(1, 2));
    empties[0] = golden_pair("", wisp_nil());
    empties[1] = golden_pair("none", wisp_array(NULL, 0));
    empties[2] = golden_pair("k", wisp_nil());
    outer[0] = golden_pair("stats", wisp_map(pairs, 3));
    outer[1] = golden_pair("grid", wisp_array(grid, 2));
    for (int i = 0; i < 3; i++) {
        fields[i][0] = golden_pair("id", wisp_uint((uint64_t)i * 100));
        fields[i][1] = golden_pair("on", wisp_bool(i & 1));
        fields[i][2] = golden_pair("is", wisp_nil());
        records[i] = wisp_map(fields[i], 3);
    }
    GOLDEN(wisp_map(NULL, 0), "13:e101", "0:", 0x84b0de8cde3d2987);
    GOLDEN(wisp_map(pairs, 3),
           "113:e147000d4e08dcc2daca4c208c0e01",
           "112:411e00416e6e0000803f00000040",
           0x532374d0f1d8b1cc);
    GOLDEN(wisp_map(empties, 3), "95:e1070008dcdedcca1c0c5803", "3:00", 0x940a1fe3a677387b);
    GOLDEN(wisp_map(outer, 2),
           "234:e1a5608e2e8c6ece8f001a9c10b885b5959940181d129cc9a59139e9a600",
           "162:411e00416e6e0000803f000000401090ae04080503",
           0x4359080bc5856c0f);
    GOLDEN(wisp_array(records, 3),
           "107:e1a61f8134b21178730b81b43900",
           "35:0042569001",
           0xd6e15435c002d1ae);
}

TEST(messages) {
    wisp_value two[2], sixteen[16], unaligned[5];
    two[0] = wisp_string("hello");
    two[1] = wisp_int(42);
    for (int i = 0; i < 16; i++) sixteen[i] = wisp_int(i * i);
    unaligned[0] = wisp_bool(true);
    unaligned[1] = wisp_string("text");
    unaligned[2] = wisp_bool(false);
    unaligned[3] = wisp_bytes("xyz", 3);
    unaligned[4] = wisp_float(0.5f);
    MESSAGE(NULL, 0, "4:00", "0:");
    MESSAGE(two, 2, "12:6202", "59:0568656c6c6fa102");
    MESSAGE(sixteen, 16,
            "72:282222222222222222",
            "180:0008301201894c902216c0880639f2020949851043c201");
    MESSAGE(unaligned, 5, "32:15163740", "113:0900746578740078797a0000007e00");
}

/* --- whole datagrams --- */

enum { DATAGRAMS = 400 };

typedef struct golden_record {
    int      count;
    int      size[DATAGRAMS];
    uint64_t hash[DATAGRAMS];
    char     first[9][TEXT];
} golden_record;

static int keep(world *w, int n, wisp_packet *packet) {
    golden_record *r = (golden_record *)w->user;
    (void)n;
    if (r->count >= DATAGRAMS) return 1;
    r->size[r->count] = packet->size;
    r->hash[r->count] = wisp__hash_bytes(packet->data, packet->size);
    if (r->count < 9 && packet->size < TEXT / 2 - 8)
        to_text(r->first[r->count], (const uint8_t *)packet->data, packet->size * 8);
    r->count++;
    return 1;
}

static void golden_answer(wisp_event *event) {
    if (event->count) wisp_fail(event, WISP_E_USER - 1, "no");
    else wisp_reply(event, wisp_string("yes"));
}

/* Everything that can be in a packet, once, from fixed seeds. */
static void scenario(golden_record *r, bool reliable) {
    static uint8_t large[5000];
    world_two t;
    memset(r, 0, sizeof *r);
    for (int i = 0; i < 5000; i++) large[i] = (uint8_t)(i * 7);
    world_open(&t.w);
    t.w.tap = keep;
    t.w.user = r;
    t.w.pipe.reliable = reliable;
    world_two_join(&t);
    world_watch(&t.w, t.server, "hp");
    world_watch(&t.w, t.server, "pos");
    wisp_on_invoke(t.server, "ask", golden_answer, NULL);
    wisp_set_unreliable(t.client, "pos", true);
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < 3; k++) wisp_fire(t.client, "hp", t.to_server, wisp_int(100 + i * k));
        wisp_fire(t.client, "pos", t.to_server, wisp_vec3v(1, 2, (float)i), wisp_bool(true));
        wisp_fire(t.client, "unheard", t.to_server, wisp_nil());
        wisp_invoke(t.client, "ask", t.to_server, NULL, NULL);
        wisp_invoke(t.client, "ask", t.to_server, NULL, NULL, wisp_int(1));
        world_run(&t.w, 0.1);
    }
    wisp_fire(t.client, "hp", t.to_server, wisp_bytes(large, 5000));
    world_run(&t.w, 4.0);
    wisp_leave(t.server, t.to_client, "enough");
    world_run(&t.w, 2.0);
    world_close(&t.w);
}

static uint64_t whole_hash(const golden_record *r) {
    uint64_t hash = 0;
    for (int i = 0; i < r->count; i++)
        hash = wisp__mix(hash + r->hash[i]) + (uint64_t)r->size[i];
    return hash;
}

TEST(datagrams) {
    static golden_record r;
    static const char *const first[] = {
        "512:01776973700287847513b02c2c04000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000099fde45e",
        "216:02776973700287847513b02c2c0400f0d08b5c424a4a261338b586",
        "512:03776973700287847513b02c2c0400f0d08b5c424a4a2680001a00004000000000000474657374"
        "0000000000000000000000000000000000000000003e032b5a",
        "264:04776973700287847513b02c2c04cfc898848cc2fd1280001a00004000f322fe15",
        "112:808000694fab8245aa297a010080",
        "152:8180006657a541b8594a6b0100010000000008",
        "312:8080008315bbbf16c70d3e02005000026870000000500103706f7300000050020361736b000000",
        "992:818000fd59bd839fc40e1a02000200001000060016002600053000f736070000001520800607000"
        "000257050e786561626470600000035301036b7060000001104000060c044489031602224c818301112"
        "64080101da24030000f00700000008000000204440000080020801300301000080006006040000c2430"
        "804",
        "400:81800022a73b3abf25ca2003000200001000060016002700360011040000000500000c1bc82b9b0"
        "312000070c11f26e0f606"
    };
    scenario(&r, false);
    for (int i = 0; i < 9; i++) CHECK_EQ_STR(r.first[i], first[i]);
    CHECK_EQ_INT(r.count, 36);
    CHECK(whole_hash(&r) == UINT64_C(0x7d897f3c05b8851c));
}

TEST(datagrams_of_a_reliable_link) {
    static golden_record r;
    static const char *const first[] = {
        "512:01776973700287847513b02c2c04000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000099fde45e",
        "216:02776973700287847513b02c2c0400f0d08b5c424a4a261338b586",
        "512:03776973700287847513b02c2c0400f0d08b5c424a4a2680001b00004000000000000474657374"
        "00000000000000000000000000000000000000000090320d50",
        "264:04776973700287847513b02c2c04cfc898848cc2fd1280001b00004000d32b0a72",
        "80:80b158540ae538fc3f80",
        "80:805b00d49c7599b95e80",
        "280:80e2404057e3997bbe5000026870000000500103706f7300000050020361736b000000",
        "928:80407395e3eca43bd0600060016002500003706f730000005001026870000000500207756e68656"
        "1726400000050030361736b0000001041000000064c840419032642828c01132141861010a04d320000"
        "007f00000080000000004204040000288010003310000000080066400000203c844000",
        "328:8089a48cab8de1457f60006001700260031041000000500000c0b081bcb2392001000017fc61026"
        "e6f"
    };
    scenario(&r, true);
    for (int i = 0; i < 9; i++) CHECK_EQ_STR(r.first[i], first[i]);
    CHECK_EQ_INT(r.count, 27);
    CHECK(whole_hash(&r) == UINT64_C(0xfd43d2b9f985118));
}

/* What an endpoint answers to one datagram of a stranger, as text. */
static void golden_answer_to(golden_record *r, uint8_t *bytes, int size) {
    world w;
    wisp_packet packet = { wisp_loopback_addr(0), bytes, size, 0 };
    wisp_link stranger;
    memset(r, 0, sizeof *r);
    world_open(&w);
    w.tap = keep;
    w.user = r;
    w.desc.info = "map=1";
    w.desc.info_bytes = 5;
    world_add(&w);
    stranger = wisp_loopback(&w.pipe, 1);
    CHECK_EQ_INT(stranger.send(stranger.user, &packet, 1), 1);
    world_step(&w);
    CHECK_EQ_INT(r->count, 1);
    world_close(&w);
}

/* A packet of a session that is not there, and its answer: type, connection, tag and number. */
TEST(goodbye) {
    static golden_record r;
    static uint8_t packet[] = { 0x80, 0x34, 0x12, 1, 2, 3, 4, 5, 6, 7, 8, 0x78, 0x56, 0x80 };
    golden_answer_to(&r, packet, (int)sizeof packet);
    CHECK_EQ_STR(r.first[0], "104:06341201020304050607087856");
}

static void golden_heard(wisp_event *event) { (void)event; }

/* A question, of which only the first bytes are not padding, and its answer. */
TEST(query_and_info) {
    static golden_record r, asked;
    static uint8_t question[540];
    char text[TEXT];
    world w;
    wisp_addr to = wisp_loopback_addr(1);
    memset(&asked, 0, sizeof asked);
    world_open(&w);
    w.tap = keep;
    w.user = &asked;
    world_add(&w);
    world_add(&w);
    CHECK_EQ_INT(wisp_query(w.ends[0], &to, golden_heard, NULL), WISP_OK);
    CHECK_EQ_INT(asked.count, 1);
    CHECK_EQ_INT(asked.size[0], 532);
    {
        wisp_link other = wisp_loopback(&w.pipe, 1);
        wisp_packet packet = { wisp_loopback_addr(0), question, (int)sizeof question, 0 };
        CHECK_EQ_INT(other.recv(other.user, &packet, 1), 1);
    }
    world_close(&w);
    to_text(text, question, 20 * 8);
    CHECK_EQ_STR(text, "160:0777697370020000cfc898848cc2047465737400");
    to_text(text, question + 528, 32);
    CHECK_EQ_STR(text, "32:890127b1");
    golden_answer_to(&r, question, 532);
    CHECK_EQ_STR(r.first[0], "200:0877697370020000cfc898848cc205006d61703d31158b38cd");
}

/* PATH_CHALLENGE, PATH_RESPONSE, two PARTs of a message with what answers them, LIMITED. */
TEST(paths_and_parts) {
    static uint8_t bytes[64], room[128];
    char text[TEXT];
    wisp__writer to = wisp__writer_on(bytes, (int)sizeof bytes - WISP__SLACK);
    wisp__message *m = (wisp__message *)(void *)room;
    wisp__frame_put_path(&to, WISP__FRAME_PATH_CHALLENGE, UINT64_C(0x0123456789abcdef));
    to_text(text, bytes, (int)to.at);
    CHECK_EQ_STR(text, "76:f0f0debc9a7856341200");
    to = wisp__writer_on(bytes, (int)sizeof bytes - WISP__SLACK);
    memset(bytes, 0, sizeof bytes);
    wisp__frame_put_path(&to, WISP__FRAME_PATH_RESPONSE, UINT64_C(0x0123456789abcdef));
    to_text(text, bytes, (int)to.at);
    CHECK_EQ_STR(text, "76:f0f1debc9a7856341200");
    to = wisp__writer_on(bytes, (int)sizeof bytes - WISP__SLACK);
    memset(bytes, 0, sizeof bytes);
    m->data_bits = 6 * 8;
    memcpy(wisp__message_bytes(m), "abcdef", 6);
    wisp__frame_put_part(&to, 3, m, 0, 4);
    wisp__frame_put_part(&to, 3, m, 4, 2);
    wisp__frame_put_number(&to, WISP__FRAME_ASSEMBLED, 3);
    to_text(text, bytes, (int)to.at);
    CHECK_EQ_STR(text, "220:f035006000000000014098d818197c0d001800200020005066063e00");
    to = wisp__writer_on(bytes, (int)sizeof bytes - WISP__SLACK);
    memset(bytes, 0, sizeof bytes);
    wisp__frame_put_limited(&to, 5, 12);
    to_text(text, bytes, (int)to.at);
    CHECK_EQ_STR(text, "28:f056b001");
}

typedef struct golden_input { uint16_t keys; int8_t x; } golden_input;

static const wisp_field golden_input_fields[] = {
    WISP_FIELD(golden_input, keys, WISP_T_UINT), WISP_FIELD(golden_input, x, WISP_T_INTEGER),
};
static const wisp_schema golden_input_schema = WISP_SCHEMA(golden_input, 1, golden_input_fields);

static void golden_step(void *user, const void *const *inputs, int64_t tick) {
    (void)user, (void)inputs, (void)tick;
}
static void golden_save(void *user, void *out) { (void)user, memset(out, 7, 8); }
static void golden_load(void *user, const void *state) { (void)user, (void)state; }

/* INPUT: of an end that has heard the other one, with a hash, and inputs of which two are alike. */
TEST(inputs) {
    static uint8_t bytes[300];
    char text[TEXT];
    wisp__writer to = wisp__writer_on(bytes, 280);
    world_two t;
    wisp *ends[2];
    wisp_rollback_desc d;
    memset(&t, 0, sizeof t);
    world_open(&t.w);
    for (int i = 0; i < 2; i++) ends[i] = world_add(&t.w);
    world_join(&t.w, ends[1], ends[0]);
    memset(&d, 0, sizeof d);
    d.players = 2;
    d.first_tick = 70000;
    d.hash_every = 2;
    d.input = &golden_input_schema;
    d.state_bytes = 8;
    d.step = golden_step;
    d.save = golden_save;
    d.load = golden_load;
    for (int i = 0; i < 2; i++) {
        wisp_peer players[2] = { { 0 }, { 0 } };
        players[!i] = world_peer(ends[i], 0);
        CHECK_EQ_INT(wisp_rollback_begin(ends[i], &d, players, NULL, 0), WISP_OK);
    }
    world_run(&t.w, 0.2);
    for (int n = 0; n < 4; n++) {
        golden_input in = { (uint16_t)(n > 1 ? 300 : 5), (int8_t)-n };
        if (n == 1) in.x = 0;
        wisp_rollback_step(ends[0], &in);
        if (n < 3) wisp_rollback_step(ends[1], &in);
        if (n < 3) world_run(&t.w, 0.03);
    }
    memset(bytes, 0, sizeof bytes);
    CHECK(wisp__rollback_put(ends[0], wisp__session_of(ends[0], world_peer(ends[0], 0)), &to));
    to_text(text, bytes, to.at);
    CHECK_EQ_STR(text, "164:f01b11013d4817012012924b509db1cb296a488501");
    world_close(&t.w);
}

/* INPUTS: four inputs of a client from tick 70,001 on, told from the one before them, and then from
   zeros; the second is as the first. */
TEST(inputs_of_a_client) {
    static uint8_t bytes[100];
    char text[TEXT];
    world w;
    wisp *end;
    wisp__line *l;
    world_open(&w);
    end = world_add(&w);
    CHECK_EQ_INT(wisp_use_input(end, &golden_input_schema), WISP_OK);
    l = wisp__inputs_take_line(end, 0, 70000);
    for (int n = 0; n < 5; n++) {
        golden_input in = { (uint16_t)(n > 2 ? 300 : 5), (int8_t)(n > 3) };
        wisp_result why;
        wisp__encoded *row = wisp__input_row(end, &end->inputs->form, &in,
                                             wisp__input_at(l, 69999 + n), &why);
        wisp__input_push(end, l, 70000 + n, row);
        l->behind[(70000 + n) & (l->room - 1)] = (int16_t)(n > 2 ? 163 : 161);
        wisp__encoded_release(end, row);
    }
    for (int whole = 0; whole < 2; whole++) {
        wisp__writer to = wisp__writer_on(bytes, 80);
        memset(bytes, 0, sizeof bytes);
        CHECK(wisp__inputs_put_run(end, l, whole ? 0 : 70000, true, &to));
        to_text(text, bytes, to.at);
        CHECK_EQ_STR(text, whole ? "82:a1e0027412ddc316a91503" : "66:a1e222ddc316a91503");
    }
    world_close(&w);
}

static const test_case tests[] = {
    CASE(datagrams),
    CASE(inputs),
    CASE(inputs_of_a_client),
    CASE(goodbye),
    CASE(query_and_info),
    CASE(paths_and_parts),
    CASE(datagrams_of_a_reliable_link),
    CASE(integers),
    CASE(floats_and_numbers),
    CASE(text),
    CASE(vectors_and_colors),
    CASE(arrays),
    CASE(maps),
    CASE(messages),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
