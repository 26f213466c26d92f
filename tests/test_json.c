/* test_json.c - JSON read strictly and written exactly, numbers to the bit */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"

enum { MEMORY = 1 << 20 };

/* What was read last; its memory lives until the next reading. */
typedef struct reading {
    wisp_value value;
    int        result;
    union { double align; unsigned char bytes[MEMORY]; } memory;
} reading;

static reading *now(void) {
    static reading state;
    return &state;
}

/* The text ends where its block ends, so that a sanitizer sees a read beyond it. */
static int read_into(const char *text, int size, wisp_value *out, void *memory, int memory_size) {
    char *copy = (char *)malloc(size ? (size_t)size : 1);
    int result = WISP_E_MEMORY;
    if (!copy) return result;
    memcpy(copy, text, (size_t)size);
    result = wisp_json()->decode(wisp_json(), NULL, copy, size, out, memory, memory_size);
    free(copy);
    return result;
}

static const wisp_value *read_n(const char *text, int size) {
    reading *r = now();
    r->value = wisp_nil();
    r->result = read_into(text, size, &r->value, r->memory.bytes, MEMORY);
    return &r->value;
}

static const wisp_value *read_text(const char *text) { return read_n(text, (int)strlen(text)); }

static bool json_reads(const char *text) {
    read_text(text);
    return now()->result == (int)strlen(text);
}

static int refusal(const char *text) {
    read_text(text);
    return now()->result;
}

/* Writes into a block that ends with the text; "" when it is refused, `result` says why. */
static const char *write_value(wisp_value value, int *result) {
    static char text[MEMORY];
    int size = wisp_json()->encode(wisp_json(), NULL, &value, text, MEMORY - 1);
    text[size > 0 ? size : 0] = 0;
    if (result) *result = size;
    return text;
}

static const char *written(wisp_value value) { return write_value(value, NULL); }

static int unwritable(wisp_value value) {
    int result;
    write_value(value, &result);
    return result;
}

/* The double that a JSON number of any kind says. */
static double json_number_of(const wisp_value *value) {
    if (value->kind == WISP_INT) return (double)value->as.integer;
    if (value->kind == WISP_UINT) return (double)value->as.uinteger;
    return value->kind == WISP_NUMBER ? value->as.number : low_double_of(UINT64_C(0x7ff8) << 48);
}

/* --- reading: what the grammar allows, and nothing else --- */

TEST(words_are_read) {
    CHECK(json_reads("null") && now()->value.kind == WISP_NIL);
    CHECK(json_reads("true") && now()->value.kind == WISP_BOOL && now()->value.as.boolean);
    CHECK(json_reads("false") && now()->value.kind == WISP_BOOL && !now()->value.as.boolean);
}

TEST(lists_keep_their_order) {
    const wisp_value *value = read_text("[1,[],{},[2,[3]],{\"b\":4,\"a\":[5,{\"c\":null}]}]");
    if (!CHECK(value->kind == WISP_ARRAY && value->count == 5)) return;
    CHECK_EQ_INT(value->as.array[0].as.integer, 1);
    CHECK(value->as.array[1].kind == WISP_ARRAY && value->as.array[1].count == 0);
    CHECK(value->as.array[2].kind == WISP_MAP && value->as.array[2].count == 0);
    CHECK_EQ_STR(written(*value), "[1,[],{},[2,[3]],{\"b\":4,\"a\":[5,{\"c\":null}]}]");
    CHECK_EQ_STR(wisp_key_of(&value->as.array[4], 0), "b");
    CHECK_EQ_INT(wisp_field_of(&value->as.array[4], "b")->as.integer, 4);
}

TEST(blanks_may_stand_between_all_tokens) {
    const wisp_value *value = read_text(" \t\r\n{ \"a\" :\n[ 1 ,\t2 ] , \"b\" : { } }\r\n ");
    CHECK_EQ_INT(now()->result, 38);
    CHECK_EQ_STR(written(*value), "{\"a\":[1,2],\"b\":{}}");
    CHECK_EQ_INT(refusal("\v1"), WISP_E_SYNTAX);
    CHECK_EQ_INT(refusal("\f1"), WISP_E_SYNTAX);
    CHECK_EQ_INT(refusal("1\xc2\xa0"), WISP_E_SYNTAX);
}

TEST(what_is_not_json_is_refused) {
    static const char *const texts[] = {
        "", " ", "nul", "nulll", "True", "NaN", "Infinity", "-Infinity", "undefined", "'a'",
        "1 2", "1,", ",1", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1}", "[1]]",
        "[1];", "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}",
        "{\"a\"}", "{\"a\" 1}", "{a:1}", "{1:1}", "{\"a\":1]", "{\"a\":}", "{\"a\"::1}",
        "{\"a\":1 \"b\":2}", "{\"a\":1,,\"b\":2}", "{null:1}", "{[]:1}", "[1,/**/2]", "[1]//",
        "\"", "\"a", "\"\\\"", "\"\\", "\xef\xbb\xbf[]", "\xef\xbb\xbf{}", "\xff\xfe", "[\"a\"",
        "tru\xc3\xa9", "{\"a\":tru}", "[nul]", "{\"\\uD800\":1}", "{\"a\n\":1}"
    };
    for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++)
        if (!CHECK_EQ_INT(refusal(texts[i]), WISP_E_SYNTAX)) printf("  %s\n", texts[i]);
}

TEST(a_nul_is_no_end_of_text) {
    read_n("1\0", 2);
    CHECK_EQ_INT(now()->result, WISP_E_SYNTAX);
    read_n("\0" "1", 2);
    CHECK_EQ_INT(now()->result, WISP_E_SYNTAX);
    read_n("[1\0]", 4);
    CHECK_EQ_INT(now()->result, WISP_E_SYNTAX);
    read_n("\"a\0b\"", 5);
    CHECK_EQ_INT(now()->result, WISP_E_SYNTAX);
}

TEST(numbers_that_are_none_are_refused) {
    static const char *const texts[] = {
        "-", "+1", "01", "-01", "00", "1.", ".1", "-.1", "1.e1", "1e", "1e+", "1E-", "1e1.5",
        "1.2.3", "0x10", "1_000", "--1", "1-", "- 1", "1e 5", "1 e5", "0e", "1ee5", "1.5e",
        "12345678901234567890.", "1234567a", "12345678:", "1234567/", "0123456789012",
        "\xef\xbc\x91"
    };
    for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++)
        if (!CHECK_EQ_INT(refusal(texts[i]), WISP_E_SYNTAX)) printf("  %s\n", texts[i]);
}

static char *nested(int depth, const char *begin, const char *inside, const char *end) {
    static char text[4096];
    text[0] = 0;
    for (int i = 0; i < depth; i++) strcat(text, begin);
    strcat(text, inside);
    for (int i = 0; i < depth; i++) strcat(text, end);
    return text;
}

TEST(nesting_ends_at_256_both_ways) {
    static wisp_value chain[300];
    CHECK(json_reads(nested(256, "[", "", "]")));
    CHECK_EQ_STR(written(now()->value), nested(256, "[", "", "]"));
    CHECK(json_reads(nested(256, "{\"\":", "1", "}")));
    CHECK_EQ_STR(written(now()->value), nested(256, "{\"\":", "1", "}"));
    CHECK_EQ_INT(refusal(nested(257, "[", "", "]")), WISP_E_DEPTH);
    CHECK_EQ_INT(refusal(nested(257, "{\"\":", "1", "}")), WISP_E_DEPTH);
    CHECK_EQ_INT(refusal(nested(3000, "[", "", "")), WISP_E_DEPTH);
    for (int i = 1; i < 300; i++) chain[i] = wisp_array(&chain[i - 1], 1);
    CHECK(unwritable(chain[256]) > 0);
    CHECK_EQ_INT(unwritable(chain[257]), WISP_E_DEPTH);
    CHECK_EQ_INT(unwritable(chain[299]), WISP_E_DEPTH);
}

TEST(lists_beside_each_other_are_not_nested) {
    static char text[4096] = "[";
    for (int i = 0; i < 600; i++) strcat(text, i % 2 ? "[]," : "{},");
    strcat(text, "0]");
    CHECK(json_reads(text));
    CHECK_EQ_INT(now()->value.count, 601);
}

/* --- strings --- */

static bool reads_string(const char *text, const char *bytes, int size) {
    const wisp_value *value = read_text(text);
    if (now()->result != (int)strlen(text) || value->kind != WISP_STRING) return false;
    return value->count == size && !memcmp(value->as.string, bytes, (size_t)size) &&
           value->as.string[size] == 0;
}

TEST(strings_are_read_with_their_escapes) {
    CHECK(reads_string("\"\"", "", 0));
    CHECK(reads_string("\"a\"", "a", 1));
    CHECK(reads_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8));
    CHECK(reads_string("\"/\x7f\"", "/\x7f", 2));
    CHECK(reads_string("\"\\u0000a\"", "\0a", 2));
    CHECK(reads_string("\"\\u001F\\u007f\\u0080\"", "\x1f\x7f\xc2\x80", 4));
    CHECK(reads_string("\"\\u07ff\\u0800\\uFFFF\"", "\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 8));
    CHECK(reads_string("\"\\ud7ff\\ue000\"", "\xed\x9f\xbf\xee\x80\x80", 6));
    CHECK(reads_string("\"\\ud800\\udc00\"", "\xf0\x90\x80\x80", 4));
    CHECK(reads_string("\"\\uDBFF\\uDFFF\"", "\xf4\x8f\xbf\xbf", 4));
    CHECK(reads_string("\"x\\ud83d\\ude00y\"", "x\xf0\x9f\x98\x80y", 6));
}

TEST(escapes_that_are_none_are_refused) {
    static const char *const texts[] = {
        "\"\\a\"", "\"\\'\"", "\"\\x41\"", "\"\\0\"", "\"\\U0041\"", "\"\\u\"", "\"\\u0\"",
        "\"\\u00\"", "\"\\u004\"", "\"\\u004g\"", "\"\\u00:0\"", "\"\\u00@0\"", "\"\\u+041\"",
        "\"\\u 041\"", "\"\\ud800\"", "\"\\udbff\"", "\"\\udc00\"", "\"\\udfff\"", "\"\\ud800x\"",
        "\"\\ud800\\n\"", "\"\\ud800\\ud800\"", "\"\\ud800\\u0041\"", "\"\\ud800\\ue000\"",
        "\"\\ud800\\udbff\"", "\"\\udc00\\ud800\"", "\"\\ud800\\udc0\"", "\"\\ud800\\udc0g\"",
        "\"\\ud800\\", "\"\\ud800\\u", "\"\\u12", "\"\\\n\"", "\"\\\xc3\xa9\""
    };
    for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++)
        if (!CHECK_EQ_INT(refusal(texts[i]), WISP_E_SYNTAX)) printf("  %s\n", texts[i]);
    read_n("\"\\\0\"", 4);
    CHECK_EQ_INT(now()->result, WISP_E_SYNTAX);
}

TEST(control_characters_are_refused_at_every_place) {
    char text[32];
    for (int c = 0; c < 0x20; c++)
        for (int at = 1; at < 20; at++) {
            memset(text, 'x', sizeof text);
            text[0] = text[21] = '"';
            text[at] = (char)c;
            read_n(text, 22);
            CHECK_EQ_INT(now()->result, WISP_E_SYNTAX);
        }
}

/* The code point of well-formed UTF-8 that fills exactly `size` bytes, or -1: by the definition,
   decode it and encode it again. */
static int32_t code_point(const unsigned char *at, int size) {
    static const int32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    static const int leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 }, masks[] = { 0, 0, 0xe0, 0xf0, 0xf8 };
    int32_t code = at[0] & ~masks[size] & 0xff;
    if ((at[0] & masks[size]) != leads[size]) return -1;
    for (int i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) return -1;
        code = code << 6 | (at[i] & 0x3f);
    }
    if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return -1;
    return code;
}

/* Alone in a string, and written from one, with the same verdict. */
static bool agrees_on(const unsigned char *bytes, int size, bool good) {
    char text[8];
    wisp_value string = wisp_string_n((const char *)bytes, size);
    int result;
    text[0] = text[size + 1] = '"';
    memcpy(text + 1, bytes, (size_t)size);
    read_n(text, size + 2);
    write_value(string, &result);
    if (!good) return now()->result == WISP_E_SYNTAX && result == WISP_E_TYPE;
    return now()->result == size + 2 && wisp_equal(&now()->value, &string) && result == size + 2;
}

TEST(every_lead_and_second_byte_is_judged_right) {
    for (int lead = 0x80; lead < 0x100; lead++)
        for (int second = 0x80; second < 0x100; second++) {
            unsigned char bytes[4] = { 0, 0, 0x80, 0xbf };
            bytes[0] = (unsigned char)lead;
            bytes[1] = (unsigned char)second;
            for (int size = 2; size <= 4; size++)
                CHECK(agrees_on(bytes, size, code_point(bytes, size) >= 0));
            CHECK(agrees_on(bytes, 1, false));
        }
}

TEST(later_bytes_of_characters_are_judged_too) {
    static const unsigned char bad[] = { 0, 'a', 0x7f, 0xc0, 0xff };
    for (int i = 0; i < (int)sizeof bad; i++) {
        unsigned char three[] = { 0xe2, 0x82, 0xac }, four[] = { 0xf0, 0x9f, 0x98, 0x80 };
        three[2] = bad[i];
        CHECK(agrees_on(three, 3, false));
        four[2] = bad[i];
        CHECK(agrees_on(four, 4, false));
        four[2] = 0x98;
        four[3] = bad[i];
        CHECK(agrees_on(four, 4, false));
    }
}

TEST(characters_stand_right_at_every_place) {
    static const char *const parts[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\\n",
                                         "\\\"" };
    for (int part = 0; part < 5; part++)
        for (int at = 0; at < 20; at++) {
            char text[64];
            memset(text, 'x', sizeof text);
            snprintf(text + at + 1, sizeof text - 40, "%sabcdefghijklm\"", parts[part]);
            text[0] = '"';
            CHECK(json_reads(text));
            CHECK_EQ_STR(written(now()->value), text);
        }
}

TEST(strings_are_escaped_as_little_as_can_be) {
    CHECK_EQ_STR(written(wisp_string("\"\\/\b\f\n\r\t\x7f")), "\"\\\"\\\\/\\b\\f\\n\\r\\t\x7f\"");
    CHECK_EQ_STR(written(wisp_string_n("\0\x1\x7\xb\xe\xf\x10\x1f ", 9)),
                 "\"\\u0000\\u0001\\u0007\\u000b\\u000e\\u000f\\u0010\\u001f \"");
    CHECK_EQ_STR(written(wisp_string("\xe2\x82\xac")), "\"\xe2\x82\xac\"");
    CHECK_EQ_STR(written(wisp_string("")), "\"\"");
    CHECK_EQ_STR(written(wisp_string_n(NULL, 0)), "\"\"");
}

TEST(all_ascii_characters_come_back) {
    char text[128];
    for (int i = 0; i < 128; i++) text[i] = (char)i;
    written(wisp_string_n(text, 128));
    CHECK(json_reads(written(wisp_string_n(text, 128))));
    CHECK_EQ_INT(now()->value.count, 128);
    CHECK_EQ_MEM(now()->value.as.string, text, 128);
}

/* --- keys --- */

TEST(a_nul_in_a_key_does_not_end_it) {
    const wisp_value *value = read_text("{\"a\\u0000b\":1,\"a\":2,\"\\u0000\":3}");
    if (!CHECK(value->kind == WISP_MAP && value->count == 3)) return;
    CHECK_EQ_STR(value->as.map[0].key, "a\xc0\x80" "b");
    CHECK_EQ_STR(value->as.map[2].key, "\xc0\x80");
    CHECK_EQ_STR(written(*value), "{\"a\\u0000b\":1,\"a\":2,\"\\u0000\":3}");
    CHECK_EQ_INT(refusal("{\"\xc0\x80\":1}"), WISP_E_SYNTAX);
    CHECK_EQ_INT(unwritable(wisp_string("\xc0\x80")), WISP_E_TYPE);
}

static wisp_value json_map_of(wisp_pair *pair, const char *key, wisp_value value) {
    pair->key = key;
    pair->value = value;
    return wisp_map(pair, 1);
}

TEST(keys_that_are_not_utf_8_are_not_written) {
    wisp_pair pair;
    CHECK_EQ_INT(unwritable(json_map_of(&pair, "\xc0\x81", wisp_nil())), WISP_E_TYPE);
    CHECK_EQ_INT(unwritable(json_map_of(&pair, "\xc0", wisp_nil())), WISP_E_TYPE);
    CHECK_EQ_INT(unwritable(json_map_of(&pair, "a\xff", wisp_nil())), WISP_E_TYPE);
    CHECK_EQ_INT(unwritable(json_map_of(&pair, "\xed\xa0\x80", wisp_nil())), WISP_E_TYPE);
    CHECK_EQ_STR(written(json_map_of(&pair, "\n\"", wisp_nil())), "{\"\\n\\\"\":null}");
}

TEST(of_equal_keys_the_last_wins) {
    CHECK_EQ_STR(written(*read_text("{\"a\":1,\"b\":2,\"a\":3}")), "{\"b\":2,\"a\":3}");
    CHECK_EQ_STR(written(*read_text("{\"a\":1,\"a\":2,\"a\":3}")), "{\"a\":3}");
    CHECK_EQ_STR(written(*read_text("{\"\":1,\"\":[2]}")), "{\"\":[2]}");
    CHECK_EQ_STR(written(*read_text("{\"a\":1,\"\\u0061\":2}")), "{\"a\":2}");
    CHECK_EQ_STR(written(*read_text("{\"a\":1,\"a\\u0000\":2}")), "{\"a\":1,\"a\\u0000\":2}");
    CHECK_EQ_STR(written(*read_text("[{\"a\":{\"a\":1,\"a\":2},\"b\":0},{\"a\":3}]")),
                 "[{\"a\":{\"a\":2},\"b\":0},{\"a\":3}]");
}

/* From few to many pairs, some keys doubled: each key once, with its last value, in the order of
   the last places. */
TEST(equal_keys_are_found_among_any_number) {
    static char text[65536];
    for (int count = 1; count < 120; count++) {
        int keys = count / 2 + 1, size = 0, found;
        text[size++] = '{';
        for (int i = 0; i < count; i++)
            size += snprintf(text + size, 40, "%s\"key%d\":%d", i ? "," : "", i * 7 % keys, i);
        size += snprintf(text + size, 2, "}");
        read_n(text, size);
        if (!CHECK_EQ_INT(now()->result, size)) return;
        found = now()->value.count;
        CHECK(found <= keys);
        for (int i = 0; i < found; i++) {
            const wisp_pair *pair = &now()->value.as.map[i];
            int last = (int)pair->value.as.integer;
            CHECK_EQ_INT(atoi(pair->key + 3), last * 7 % keys);
            for (int later = last + 1; later < count; later++)
                CHECK(later * 7 % keys != last * 7 % keys);
            if (i) CHECK(pair[-1].value.as.integer < last);
        }
    }
}

/* In quadratic time these would take many minutes. */
TEST(many_equal_keys_take_no_quadratic_time) {
    enum { PAIRS = 150000 };
    int size = 0, memory_size = 200 * PAIRS;
    char *text = (char *)malloc(16 * PAIRS);
    void *memory = malloc((size_t)memory_size);
    wisp_value value = wisp_nil();
    if (!CHECK(text && memory)) return;
    for (int shape = 0; shape < 2; shape++) {
        size = 0;
        text[size++] = '{';
        for (int i = 0; i < PAIRS; i++)
            size += snprintf(text + size, 16, "\"%d\":%d,", shape ? i / 2 : 0, shape);
        text[size - 1] = '}';
        CHECK_EQ_INT(read_into(text, size, &value, memory, memory_size), size);
        CHECK_EQ_INT(value.count, shape ? PAIRS / 2 : 1);
    }
    free(text);
    free(memory);
}

/* --- numbers read --- */

TEST(integers_are_exact_to_64_bits) {
    CHECK(json_reads("0") && now()->value.kind == WISP_INT && now()->value.as.integer == 0);
    CHECK(json_reads("-1") && now()->value.kind == WISP_INT && now()->value.as.integer == -1);
    CHECK(json_reads("9007199254740993") && now()->value.as.integer == INT64_C(9007199254740993));
    CHECK(json_reads("9223372036854775807") && now()->value.kind == WISP_INT);
    CHECK(now()->value.as.integer == INT64_MAX);
    CHECK(json_reads("-9223372036854775808") && now()->value.kind == WISP_INT);
    CHECK(now()->value.as.integer == INT64_MIN);
    CHECK(json_reads("9223372036854775808") && now()->value.kind == WISP_UINT);
    CHECK(now()->value.as.uinteger == UINT64_C(1) << 63);
    CHECK(json_reads("18446744073709551615") && now()->value.kind == WISP_UINT);
    CHECK(now()->value.as.uinteger == UINT64_MAX);
    CHECK(json_reads("10000000000000000000") && now()->value.kind == WISP_UINT);
    CHECK(now()->value.as.uinteger == UINT64_C(10000000000000000000));
}

TEST(integers_beyond_are_numbers) {
    CHECK(json_reads("18446744073709551616") && now()->value.kind == WISP_NUMBER);
    CHECK(low_bits_of(now()->value.as.number) == low_bits_of(18446744073709551616.0));
    CHECK(json_reads("19999999999999999999") && now()->value.kind == WISP_NUMBER);
    CHECK(low_bits_of(now()->value.as.number) == low_bits_of(2e19));
    CHECK(json_reads("-9223372036854775809") && now()->value.kind == WISP_NUMBER);
    CHECK(low_bits_of(now()->value.as.number) == low_bits_of(-9223372036854775808.0));
    CHECK(json_reads("-18446744073709551615") && now()->value.kind == WISP_NUMBER);
    CHECK(low_bits_of(now()->value.as.number) == low_bits_of(-18446744073709551616.0));
    CHECK(json_reads("-10000000000000000000") && now()->value.kind == WISP_NUMBER);
    CHECK(low_bits_of(now()->value.as.number) == low_bits_of(-1e19));
    CHECK(json_reads("28446744073709551616") && now()->value.kind == WISP_NUMBER);
    CHECK(low_bits_of(now()->value.as.number) == low_bits_of(28446744073709551616.0));
}

TEST(fractions_and_exponents_make_numbers) {
    static const char *const texts[] = { "5.0", "5e0", "50e-1", "0.5e1", "5E+0", "5.00000000000" };
    for (int i = 0; i < 6; i++) {
        CHECK(json_reads(texts[i]) && now()->value.kind == WISP_NUMBER);
        CHECK(low_bits_of(now()->value.as.number) == low_bits_of(5.0));
    }
}

TEST(zero_keeps_its_sign) {
    static const char *const texts[] = { "-0", "-0.0", "-0e5", "-0.000e-400",
                                         "-0e999999999999999" };
    for (int i = 0; i < 5; i++) {
        CHECK(json_reads(texts[i]) && now()->value.kind == WISP_NUMBER);
        CHECK(low_bits_of(now()->value.as.number) == UINT64_C(1) << 63);
    }
    CHECK(json_reads("0.0") && low_bits_of(now()->value.as.number) == 0);
    CHECK(json_reads("0e99999") && low_bits_of(now()->value.as.number) == 0);
}

/* The last is the middle between the largest double and 2^1024. */
TEST(numbers_beyond_all_doubles_are_refused) {
    char below[400];
    static const char *const texts[] = {
        "1.7976931348623159e308", "1e309", "-1e309", "1e400", "2e308", "1e99999999999999999999",
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946"
        "649017977587207096330286416692887910946555547851940402630657488671505820681908902000"
        "708383676273854845817711531764475730270069855571366959622842914819860834936475292719"
        "074168444365510704342711559699508093042880177904174497792"
    };
    for (int i = 0; i < 7; i++) CHECK_EQ_INT(refusal(texts[i]), WISP_E_LIMIT);
    snprintf(below, sizeof below, "%s", texts[6]);
    below[strlen(below) - 1]--;
    CHECK(json_reads(below));
    CHECK(low_bits_of(json_number_of(&now()->value)) == UINT64_C(0x7fefffffffffffff));
    CHECK(json_reads("1e-999999999999999999999999"));
}

/* --- numbers written --- */

TEST(numbers_in_json_have_one_short_form) {
    CHECK_EQ_STR(written(wisp_number(-0.0)), "-0.0");
    CHECK_EQ_STR(written(wisp_number(0.1)), "0.1");
    CHECK_EQ_STR(written(wisp_number(1e23)), "1e23");
    CHECK_EQ_STR(written(wisp_number(-2.2250738585072014e-308)), "-2.2250738585072014e-308");
    CHECK_EQ_STR(written(wisp_float(0.1f)), "0.1");
    CHECK_EQ_STR(written(wisp_float(-0.0f)), "-0.0");
    CHECK_EQ_STR(written(wisp_float(1e-45f)), "1e-45");
}

TEST(what_no_number_says_is_refused) {
    double infinity = low_double_of(UINT64_C(0x7ff) << 52);
    double nan = low_double_of(UINT64_C(0x7ff8) << 48);
    CHECK_EQ_INT(unwritable(wisp_number(infinity)), WISP_E_TYPE);
    CHECK_EQ_INT(unwritable(wisp_number(-infinity)), WISP_E_TYPE);
    CHECK_EQ_INT(unwritable(wisp_number(nan)), WISP_E_TYPE);
    CHECK_EQ_INT(unwritable(wisp_float((float)infinity)), WISP_E_TYPE);
    CHECK_EQ_INT(unwritable(wisp_float((float)nan)), WISP_E_TYPE);
    CHECK_EQ_INT(unwritable(wisp_vec3v(0, (float)nan, 0)), WISP_E_TYPE);
    CHECK_EQ_INT(unwritable(wisp_color4(0, 0, 0, (float)infinity)), WISP_E_TYPE);
}

TEST(integers_of_every_length_are_written) {
    char text[32];
    uint64_t n = 1;
    for (int digits = 1; digits <= 20; digits++, n *= 10)
        for (int off = -1; off <= 1; off++) {
            uint64_t near = n + (uint64_t)(int64_t)off;
            snprintf(text, sizeof text, "%llu", (unsigned long long)near);
            CHECK_EQ_STR(written(wisp_uint(near)), text);
            snprintf(text, sizeof text, "%lld", (long long)(int64_t)near);
            CHECK_EQ_STR(written(wisp_int((int64_t)near)), text);
        }
    CHECK_EQ_STR(written(wisp_int(INT64_MIN)), "-9223372036854775808");
    CHECK_EQ_STR(written(wisp_int(INT64_MAX)), "9223372036854775807");
    CHECK_EQ_STR(written(wisp_uint(UINT64_MAX)), "18446744073709551615");
}

TEST(doubles_come_back_to_the_bit) {
    uint64_t seed = 1;
    for (int i = 0; i < 100000; i++) {
        double number = low_double(&seed);
        wisp_value value = wisp_number(number);
        const char *text = written(value);
        bool zero = !(low_bits_of(number) << 1);
        if (!CHECK(json_reads(text))) return;
        CHECK(wisp_equal(&now()->value, &value));
        if (!zero || now()->value.kind == WISP_NUMBER)
            CHECK(low_bits_of(json_number_of(&now()->value)) == low_bits_of(number));
    }
}

/* An integer in the text is the very number; as a float it gives the same bits anyway. */
TEST(floats_come_back_to_the_bit) {
    uint64_t seed = 2;
    for (int i = 0; i < 100000; i++) {
        uint32_t bits = (uint32_t)test_random(&seed), back = 0;
        wisp_value value;
        float number;
        if (i % 3 == 0) bits &= 0x807fffff;
        if (i % 3 == 1) bits &= 0xffffffff << (bits & 31);
        if ((bits >> 23 & 0xff) == 0xff) bits ^= 1u << 30;
        memcpy(&number, &bits, 4);
        value = wisp_float(number);
        if (!CHECK(json_reads(written(value)))) return;
        CHECK(wisp__value_float(&now()->value, &back));
        CHECK(back == bits || (bits << 1 == 0 && back << 1 == 0));
        if (now()->value.kind != WISP_NUMBER) CHECK(wisp_equal(&now()->value, &value));
    }
}

/* --- the other kinds --- */

TEST(bytes_are_written_as_base64) {
    static const char *const texts[] = { "\"\"", "\"Zg==\"", "\"Zm8=\"", "\"Zm9v\"", "\"Zm9vYg==\"",
                                         "\"Zm9vYmE=\"", "\"Zm9vYmFy\"" };
    for (int i = 0; i < 7; i++) CHECK_EQ_STR(written(wisp_bytes("foobar", i)), texts[i]);
    CHECK_EQ_STR(written(wisp_bytes("\xff\xef\xbe\xfb\xff\xfe", 6)), "\"/++++//+\"");
    CHECK_EQ_STR(written(wisp_bytes(NULL, 0)), "\"\"");
}

TEST(vectors_are_arrays_of_numbers) {
    static const wisp_vec3 position = { 1, 2.5f, -3 };
    static const wisp_quat rotation = { 0, 0, 0.1f, 1 };
    CHECK_EQ_STR(written(wisp_vec2v(1, -0.5f)), "[1,-0.5]");
    CHECK_EQ_STR(written(wisp_vec3v(1, 2, 3)), "[1,2,3]");
    CHECK_EQ_STR(written(wisp_vec4v(1, 2, 3, 0.1f)), "[1,2,3,0.1]");
    CHECK_EQ_STR(written(wisp_quatv(0, 0, 0, 1)), "[0,0,0,1]");
    CHECK_EQ_STR(written(wisp_color4(0, 0.5f, 1, 1)), "[0,0.5,1,1]");
    CHECK_EQ_STR(written(wisp_transformv(position, rotation)),
                 "{\"position\":[1,2.5,-3],\"rotation\":[0,0,0.1,1]}");
}

TEST(objects_are_their_ids) {
    wisp_value object = wisp_nil();
    object.kind = WISP_OBJECT;
    object.as.object.id = UINT32_MAX;
    CHECK_EQ_STR(written(object), "4294967295");
}

TEST(words_are_written) {
    CHECK_EQ_STR(written(wisp_nil()), "null");
    CHECK_EQ_STR(written(wisp_bool(true)), "true");
    CHECK_EQ_STR(written(wisp_bool(false)), "false");
    CHECK_EQ_STR(written(wisp_array(NULL, 0)), "[]");
    CHECK_EQ_STR(written(wisp_map(NULL, 0)), "{}");
}

/* --- misuse --- */

TEST(wrong_arguments_are_refused) {
    const wisp_codec *json = wisp_json();
    wisp_value value = wisp_int(1);
    char out[8];
    CHECK_EQ_STR(json->name, "json");
    CHECK_EQ_INT(json->encode(json, NULL, NULL, out, 8), WISP_E_ARGUMENT);
    CHECK_EQ_INT(json->encode(json, NULL, &value, NULL, 8), WISP_E_ARGUMENT);
    CHECK_EQ_INT(json->encode(json, NULL, &value, out, -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(json->encode(json, NULL, &value, NULL, 0), WISP_E_TOO_BIG);
    CHECK_EQ_INT(json->decode(json, NULL, NULL, 1, &value, NULL, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(json->decode(json, NULL, "1", -1, &value, NULL, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(json->decode(json, NULL, "1", 1, NULL, NULL, 0), WISP_E_ARGUMENT);
    CHECK_EQ_INT(json->decode(json, NULL, "1", 1, &value, NULL, 1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(json->decode(json, NULL, "1", 1, &value, out, -1), WISP_E_ARGUMENT);
    CHECK_EQ_INT(json->decode(json, NULL, NULL, 0, &value, NULL, 0), WISP_E_SYNTAX);
    CHECK_EQ_INT(value.as.integer, 1);
    CHECK_EQ_INT(json->decode(json, NULL, "2", 1, &value, NULL, 0), 1);
    CHECK_EQ_INT(value.as.integer, 2);
}

TEST(values_that_make_no_sense_are_refused) {
    wisp_value value = wisp_string_n(NULL, 3);
    wisp_pair pair;
    CHECK_EQ_INT(unwritable(value), WISP_E_ARGUMENT);
    CHECK_EQ_INT(unwritable(wisp_string_n("a", -1)), WISP_E_ARGUMENT);
    CHECK_EQ_INT(unwritable(wisp_bytes(NULL, 1)), WISP_E_ARGUMENT);
    CHECK_EQ_INT(unwritable(wisp_bytes("a", -1)), WISP_E_ARGUMENT);
    CHECK_EQ_INT(unwritable(wisp_array(NULL, 1)), WISP_E_ARGUMENT);
    CHECK_EQ_INT(unwritable(wisp_array(&value, -1)), WISP_E_ARGUMENT);
    CHECK_EQ_INT(unwritable(wisp_map(NULL, 1)), WISP_E_ARGUMENT);
    CHECK_EQ_INT(unwritable(json_map_of(&pair, NULL, wisp_nil())), WISP_E_ARGUMENT);
    CHECK_EQ_INT(unwritable(json_map_of(&pair, "a", value)), WISP_E_ARGUMENT);
}

TEST(a_value_is_unchanged_by_a_failed_reading) {
    wisp_value value = wisp_int(7);
    char memory[64];
    CHECK_EQ_INT(read_into("[1;", 3, &value, memory, 64), WISP_E_SYNTAX);
    CHECK_EQ_INT(read_into("[1,2]", 5, &value, memory, 64), WISP_E_MEMORY);
    CHECK_EQ_INT(read_into("1e999", 5, &value, memory, 64), WISP_E_LIMIT);
    CHECK(value.kind == WISP_INT && value.as.integer == 7);
}

/* --- every size of text, room and memory --- */

static const char *rich_text(void) {
    return "{\"name\":\"J\\u00f6rg \xe2\x82\xac \\ud83d\\ude00\",\"list\":[1,-2,3.25,1e-7,null,"
           "true,[],{},[[\"deep\"]]],\"hp\":100,\"hp\":99,\"\\u0000\":18446744073709551615,"
           "\"long text that takes more than a word\":\"\\\\and another, as long as it\\n\"}";
}

TEST(no_part_of_a_text_is_a_text) {
    const char *text = rich_text();
    int size = (int)strlen(text);
    CHECK(json_reads(text));
    for (int i = 0; i < size; i++) {
        read_n(text, i);
        CHECK_EQ_INT(now()->result, WISP_E_SYNTAX);
    }
}

/* What is read with any byte changed can be written and read again. */
TEST(texts_with_a_wrong_byte_do_no_harm) {
    static char again[MEMORY];
    static union { double align; unsigned char bytes[65536]; } memory;
    char text[512];
    uint64_t seed = 5;
    int size = (int)strlen(rich_text()), taken = 0;
    for (int i = 0; i < size; i++)
        for (int c = 0; c < 256; c += 1 + test_random_below(&seed, 5)) {
            wisp_value value;
            int length;
            memcpy(text, rich_text(), (size_t)size);
            text[i] = (char)c;
            read_n(text, size);
            if (now()->result < 0) continue;
            taken++;
            length = wisp_json()->encode(wisp_json(), NULL, &now()->value, again, MEMORY);
            if (!CHECK(length > 0)) continue;
            CHECK_EQ_INT(read_into(again, length, &value, memory.bytes, 65536), length);
            CHECK(wisp_equal(&now()->value, &value));
        }
    CHECK(taken > 1000);
}

/* Too little memory says so; enough gives the value, whatever the alignment. */
TEST(every_size_of_memory_works_or_says_so) {
    const char *text = rich_text();
    int size = (int)strlen(text), least = -1;
    for (int room = 0; room < 3000; room++) {
        unsigned char *memory = (unsigned char *)malloc((size_t)room + 8);
        wisp_value value = wisp_nil();
        int offset = room % 8, result;
        if (!memory) return;
        result = read_into(text, size, &value, memory + offset, room);
        if (result == size) {
            CHECK(wisp_equal(&value, read_text(text)));
            if (least < 0) least = room;
        } else {
            CHECK_EQ_INT(result, WISP_E_MEMORY);
            CHECK(least < 0 || room < least + 8);
        }
        free(memory);
    }
    CHECK(least > 0 && least < 2600);
}

/* Blocks that end where the memory ends; most characters need care, one by one. */
TEST(strings_stay_within_their_memory) {
    const char *text = "\"\\n\\n\\u00e9\xe2\x82\xac\\ud83d\\ude00 \xf0\x9f\x98\x80 and "
                       "what is plain \\t\\t\\t\"";
    int size = (int)strlen(text), enough = 0;
    for (int room = 0; room < 80; room++) {
        void *memory = malloc(room ? (size_t)room : 1);
        wisp_value value;
        int result;
        if (!memory) return;
        result = read_into(text, size, &value, memory, room);
        CHECK(result == size || result == WISP_E_MEMORY);
        CHECK(result == size || !enough || room % 8);
        enough += result == size;
        free(memory);
    }
    CHECK(enough > 10);
}

/* Texts that need the most memory for their size. */
TEST(the_memory_that_is_always_enough_is_enough) {
    static const char *const begins[] = { "[", "[", "[", "[", "{", "{", "[", "[\"a\",", "" };
    static const char *const items[] = { "0,", "[],", "{},", "\"\",", "\"\":0,", "\"\":{},", "[0],",
                                         "[\"\"],", "" };
    static const char *const ends[] = { "0]", "0]", "0]", "0]", "\"\":0}", "\"\":0}", "0]", "0]",
                                        "\"\"" };
    char text[512];
    for (int kind = 0; kind < 9; kind++)
        for (int count = 0; count < 60; count++)
            for (int offset = 0; offset < 8; offset++) {
                int size, room;
                unsigned char *memory;
                wisp_value value;
                strcpy(text, begins[kind]);
                for (int i = 0; i < count; i++) strcat(text, items[kind]);
                strcat(text, ends[kind]);
                size = (int)strlen(text);
                room = size * (int)sizeof(wisp_value) + 16;
                memory = (unsigned char *)malloc((size_t)room + 8);
                if (!memory) return;
                if (!CHECK_EQ_INT(read_into(text, size, &value, memory + offset, room), size))
                    printf("  %s\n", text);
                free(memory);
            }
    for (int depth = 1; depth <= 256; depth++)
        for (int map = 0; map < 2; map++) {
            const char *deep = map ? nested(depth, "{\"\":", "0", "}")
                                   : nested(depth, "[", "", "]");
            int size = (int)strlen(deep);
            CHECK_EQ_INT(read_into(deep, size, &now()->value, now()->memory.bytes,
                                   size * (int)sizeof(wisp_value) + 16), size);
        }
}

static int json_one_of_each(wisp_value *out, wisp_pair *pair) {
    static const wisp_vec3 position = { 1, 2, 3 };
    static const wisp_quat rotation = { 0, 0, 0, 1 };
    int n = 0;
    out[n++] = wisp_nil();
    out[n++] = wisp_bool(false);
    out[n++] = wisp_int(-1234567);
    out[n++] = wisp_uint(UINT64_MAX);
    out[n++] = wisp_float(0.1f);
    out[n++] = wisp_number(-1.0 / 3);
    out[n++] = wisp_number(-0.0);
    out[n++] = wisp_string("a\"\xe2\x82\xac\x01 and what is longer than a word");
    out[n++] = wisp_bytes("12345", 5);
    out[n++] = wisp_vec3v(1, 0.5f, 1e-20f);
    out[n++] = wisp_transformv(position, rotation);
    out[n++] = wisp_array(out, 3);
    out[n++] = json_map_of(pair, "a\xc0\x80" "b", wisp_int(1));
    return n;
}

TEST(every_capacity_works_or_says_so) {
    wisp_value values[16], all;
    wisp_pair pair;
    char whole[1024] = { 0 };
    int size;
    all = wisp_array(values, json_one_of_each(values, &pair));
    write_value(all, &size);
    if (!CHECK(size > 0 && size < 1000)) return;
    memcpy(whole, written(all), (size_t)size);
    CHECK(json_reads(whole));
    for (int capacity = 0; capacity <= size + 40; capacity++) {
        char *out = (char *)malloc(capacity ? (size_t)capacity : 1);
        int result;
        if (!out) return;
        result = wisp_json()->encode(wisp_json(), NULL, &all, out, capacity);
        CHECK_EQ_INT(result, capacity < size ? WISP_E_TOO_BIG : size);
        if (result == size) CHECK_EQ_MEM(out, whole, size);
        free(out);
    }
}

/* --- random values --- */

typedef struct json_maker {
    uint64_t   seed;
    int        used_values, used_pairs, used_text, depth;
    wisp_value values[2000];
    wisp_pair  pairs[2000];
    char       text[65536];
} json_maker;

static const char *any_text(json_maker *m, int *size) {
    static const char *const parts[] = { "a", "\"", "\\", "\n", "\x1f", "\xc3\xa9", "\xe2\x82\xac",
                                         "\xf0\x9f\x98\x80", "eight ch", "/", "\x7f" };
    char *start = m->text + m->used_text, *to = start;
    int count = test_random_below(&m->seed, test_random_below(&m->seed, 8) ? 6 : 60);
    for (int i = 0; i < count && to - m->text < 65000; i++) {
        const char *part = parts[test_random_below(&m->seed, 11)];
        memcpy(to, part, strlen(part));
        to += strlen(part);
    }
    *to++ = 0;
    m->used_text += (int)(to - start);
    *size = (int)(to - start) - 1;
    return start;
}

/* Lists fill their items from the outside; those of a map have their place in their keys. */
static wisp_value any_value(json_maker *m) {
    int kind = test_random_below(&m->seed, m->depth < 5 ? 8 : 6), size, first;
    uint64_t bits = test_random(&m->seed) >> test_random_below(&m->seed, 64);
    const char *text;
    wisp_value list;
    switch (kind) {
    case 0: return test_random_below(&m->seed, 2) ? wisp_nil() : wisp_bool(bits & 1);
    case 1: return wisp_int((int64_t)bits);
    case 2: return wisp_int(-(int64_t)(bits >> 1));
    case 3: return bits >> 63 ? wisp_uint(bits) : wisp_int((int64_t)bits);
    case 4: return wisp_number(low_double(&m->seed));
    case 5:
        text = any_text(m, &size);
        return wisp_string_n(text, size);
    default: break;
    }
    size = test_random_below(&m->seed, test_random_below(&m->seed, 6) ? 5 : 40);
    if (m->used_values + size > 2000 || m->used_pairs + size > 2000) return wisp_nil();
    m->depth++;
    first = kind == 6 ? m->used_values : m->used_pairs;
    if (kind == 6) m->used_values += size;
    else m->used_pairs += size;
    for (int i = 0; i < size && kind == 6; i++) m->values[first + i] = any_value(m);
    for (int i = 0; i < size && kind == 7; i++) {
        char *key = m->text + m->used_text;
        int rest;
        m->used_text += snprintf(key, 8, "%d", i);
        any_text(m, &rest);
        m->pairs[first + i].key = key;
        m->pairs[first + i].value = any_value(m);
    }
    m->depth--;
    list = kind == 6 ? wisp_array(m->values + first, size) : wisp_map(m->pairs + first, size);
    return list;
}

TEST(random_values_come_back) {
    static json_maker m;
    int lists = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        wisp_value value;
        const char *text;
        memset(&m, 0, offsetof(json_maker, values));
        m.seed = seed;
        value = any_value(&m);
        text = written(value);
        if (!CHECK(json_reads(text))) return;
        CHECK(wisp_equal(&value, &now()->value));
        CHECK(value.count == now()->value.count);
        lists += value.count > 0;
    }
    CHECK(lists > 500);
}

static const test_case tests[] = {
    CASE(words_are_read),
    CASE(lists_keep_their_order),
    CASE(blanks_may_stand_between_all_tokens),
    CASE(what_is_not_json_is_refused),
    CASE(a_nul_is_no_end_of_text),
    CASE(numbers_that_are_none_are_refused),
    CASE(nesting_ends_at_256_both_ways),
    CASE(lists_beside_each_other_are_not_nested),
    CASE(strings_are_read_with_their_escapes),
    CASE(escapes_that_are_none_are_refused),
    CASE(control_characters_are_refused_at_every_place),
    CASE(every_lead_and_second_byte_is_judged_right),
    CASE(later_bytes_of_characters_are_judged_too),
    CASE(characters_stand_right_at_every_place),
    CASE(strings_are_escaped_as_little_as_can_be),
    CASE(all_ascii_characters_come_back),
    CASE(a_nul_in_a_key_does_not_end_it),
    CASE(keys_that_are_not_utf_8_are_not_written),
    CASE(of_equal_keys_the_last_wins),
    CASE(equal_keys_are_found_among_any_number),
    CASE(many_equal_keys_take_no_quadratic_time),
    CASE(integers_are_exact_to_64_bits),
    CASE(integers_beyond_are_numbers),
    CASE(fractions_and_exponents_make_numbers),
    CASE(zero_keeps_its_sign),
    CASE(numbers_beyond_all_doubles_are_refused),
    CASE(numbers_in_json_have_one_short_form),
    CASE(what_no_number_says_is_refused),
    CASE(integers_of_every_length_are_written),
    CASE(doubles_come_back_to_the_bit),
    CASE(floats_come_back_to_the_bit),
    CASE(bytes_are_written_as_base64),
    CASE(vectors_are_arrays_of_numbers),
    CASE(objects_are_their_ids),
    CASE(words_are_written),
    CASE(wrong_arguments_are_refused),
    CASE(values_that_make_no_sense_are_refused),
    CASE(a_value_is_unchanged_by_a_failed_reading),
    CASE(no_part_of_a_text_is_a_text),
    CASE(texts_with_a_wrong_byte_do_no_harm),
    CASE(every_size_of_memory_works_or_says_so),
    CASE(strings_stay_within_their_memory),
    CASE(the_memory_that_is_always_enough_is_enough),
    CASE(every_capacity_works_or_says_so),
    CASE(random_values_come_back),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
