/* test_text.c - UTF-8 in its shortest form and no other, base64 both ways */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"

/* --- UTF-8 --- */

static int write_letter(uint32_t letter, int size, uint8_t *out) {
    static const uint8_t firsts[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    if (size == 1) out[0] = (uint8_t)letter;
    for (int i = size - 1; size > 1 && i >= 0; i--, letter >>= 6)
        out[i] = (uint8_t)(i ? 0x80 | (letter & 0x3f) : firsts[size] | letter);
    return size;
}

static int size_of_letter(uint32_t letter) {
    return letter < 0x80 ? 1 : letter < 0x800 ? 2 : letter < 0x10000 ? 3 : 4;
}

TEST(every_letter_is_text_in_its_shortest_form_only) {
    for (uint32_t letter = 0; letter < 0x1fffff; letter += letter < 0x11100 ? 1 : 0x3b) {
        uint8_t bytes[4];
        int shortest = size_of_letter(letter);
        bool good = letter <= 0x10ffff && (letter < 0xd800 || letter > 0xdfff);
        write_letter(letter, shortest, bytes);
        if (wisp__text_is_utf8(bytes, (size_t)shortest) != good) CHECK_EQ_INT(letter, -1);
        if (wisp__text_is_utf8(bytes, (size_t)shortest - 1) && shortest > 1)
            CHECK_EQ_INT(letter, -2);
        for (int size = shortest + 1; size <= 4; size++) {
            write_letter(letter, size, bytes);
            if (wisp__text_is_utf8(bytes, (size_t)size)) CHECK_EQ_INT(letter, -3);
        }
    }
}

/* At every distance from the words that the check takes in one step. */
TEST(torn_letters_are_found_wherever_they_stand) {
    char text[48];
    for (int i = 0; low_torn(i); i++)
        for (int before = 0; before < 18; before++)
            for (int after = 0; after < 10; after++) {
                int size = (int)strlen(low_torn(i));
                memset(text, 'x', sizeof text);
                memcpy(text + before, low_torn(i), (size_t)size);
                CHECK(!wisp__text_is_utf8(text, (size_t)(before + size + after)));
                CHECK(wisp__text_is_utf8(text, (size_t)before));
            }
}

/* Only in the size that a code point needs; any number makes some bytes. */
TEST(code_points_are_written_in_their_shortest_form) {
    for (uint32_t letter = 0; letter <= 0x10ffff; letter += letter < 0x11100 ? 1 : 0x3b) {
        uint8_t bytes[4], wanted[4];
        int size = wisp__text_write(bytes, (int32_t)letter);
        write_letter(letter, size_of_letter(letter), wanted);
        if (size != size_of_letter(letter)) CHECK_EQ_INT(letter, -1);
        else if (memcmp(bytes, wanted, (size_t)size) != 0) CHECK_EQ_INT(letter, -2);
        if (letter < 0xd800 || letter > 0xdfff)
            if (wisp__text_character(bytes, 4) != (size_t)size) CHECK_EQ_INT(letter, -3);
    }
}

/* --- text that is shown --- */

static const char *cleaned(const char *from, size_t size) {
    static char to[64];
    size_t used = wisp__text_clean(to, sizeof to, from, size);
    CHECK_EQ_INT(strlen(to), used);
    CHECK_EQ_INT(wisp__text_is_clean(from, size), used == size && memcmp(to, from, size) == 0);
    return to;
}

TEST(what_a_terminal_obeys_or_is_no_text_is_shown_as_question_marks) {
    static const struct { const char *from, *to; } cases[] = {
        { "", "" }, { "plain", "plain" },
        { "Gr\xc3\xbc\xc3\x9f""e \xe2\x82\xac \xf0\x9f\x98\x80",
          "Gr\xc3\xbc\xc3\x9f""e \xe2\x82\xac \xf0\x9f\x98\x80" },
        { "a\nb\r\tc", "a?b??c" }, { "\x1b[2J", "?[2J" },
        { "\x7f\xc2\x80\xc2\x9f\xc2\xa0", "???\xc2\xa0" },
        { "\xff\xfe", "??" }, { "\xc3", "?" }, { "\xe2\x82", "??" }, { "\xc0\xaf", "??" },
        { "\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\xe2\x80\xae\xe2\x80\xaf",
          "\xe2\x80\xa7????\xe2\x80\xaf" },
        { "\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa", "\xe2\x81\xa5??\xe2\x81\xaa" },
        { "\xed\xa0\x80", "???" }, { "x\xf4\x90\x80\x80y", "x????y" }
    };
    for (int i = 0; i < TEST_COUNT(cases); i++)
        CHECK_EQ_STR(cleaned(cases[i].from, strlen(cases[i].from)), cases[i].to);
    CHECK_EQ_STR(cleaned("a\0b", 3), "a?b");
}

/* Whatever the bytes are and wherever the room ends, what comes out is text without controls. */
TEST(whatever_is_cleaned_is_text_and_stays_within_its_room) {
    uint64_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        char from[24], to[25], again[25];
        size_t size = (size_t)(wisp__mix(++seed) % sizeof from);
        size_t room = 1 + (size_t)(wisp__mix(++seed) % sizeof from), used;
        for (size_t i = 0; i < size; i++) {
            static const char likely[] = "a\x00\x1f\x7f\xc2\x9f\xe2\x80\x81\xa8\xa6\xaf\xf0\x9f";
            from[i] = likely[wisp__mix(++seed) % (sizeof likely - 1)];
        }
        memset(to, 'x', sizeof to);
        used = wisp__text_clean(to, room, from, size);
        CHECK(used < room && to[used] == 0 && (room == sizeof to || to[room] == 'x'));
        CHECK(wisp__text_is_utf8(to, used) && wisp__text_is_clean(to, used));
        CHECK_EQ_INT(wisp__text_clean(again, sizeof again, to, used), used);
        CHECK_EQ_MEM(again, to, used + 1);
        used = wisp__text_clean(from, sizeof from, from, size);
        CHECK(used <= size && used == strlen(from) && wisp__text_is_clean(from, used));
    }
}

/* --- base64 --- */

static const char *base64_of(const void *bytes, size_t size) {
    static char text[32];
    memset(text, 0, sizeof text);
    wisp__text_to_base64((const uint8_t *)bytes, size, (uint8_t *)text);
    return text;
}

static int from_base64(const char *text, uint8_t *out) {
    return wisp__text_from_base64(text, (int)strlen(text), out);
}

TEST(base64_is_that_of_the_standard) {
    static const char *const texts[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=",
                                         "Zm9vYmFy" };
    uint8_t bytes[16];
    for (int size = 0; size <= 6; size++) {
        CHECK_EQ_STR(base64_of("foobar", (size_t)size), texts[size]);
        CHECK_EQ_INT(from_base64(texts[size], bytes), size);
        CHECK_EQ_MEM(bytes, "foobar", size);
    }
    CHECK_EQ_STR(base64_of("\xff\xef\xbe\xfb\xff\xfe", 6), "/++++//+");
}

TEST(every_byte_comes_back_from_base64_at_every_place) {
    for (int byte = 0; byte < 256; byte++)
        for (int at = 0; at < 4; at++) {
            uint8_t bytes[4] = { 0x5a, 0xa5, 0x3c, 0xc3 }, back[8];
            const char *text;
            bytes[at] = (uint8_t)byte;
            text = base64_of(bytes, 4);
            CHECK_EQ_INT(from_base64(text, back), 4);
            CHECK_EQ_MEM(back, bytes, 4);
        }
}

TEST(what_is_no_base64_is_refused) {
    static const char *const texts[] = { "Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "=Zg=",
                                         "Z=g=", "Zm9v=", "Zm 9", "Zm-_", "Zm\xc3\xa9" };
    uint8_t bytes[16];
    for (int i = 0; i < TEST_COUNT(texts); i++) CHECK_EQ_INT(from_base64(texts[i], bytes), -1);
}

static const test_case tests[] = {
    CASE(what_a_terminal_obeys_or_is_no_text_is_shown_as_question_marks),
    CASE(whatever_is_cleaned_is_text_and_stays_within_its_room),
    CASE(every_letter_is_text_in_its_shortest_form_only),
    CASE(torn_letters_are_found_wherever_they_stand),
    CASE(code_points_are_written_in_their_shortest_form),
    CASE(base64_is_that_of_the_standard),
    CASE(every_byte_comes_back_from_base64_at_every_place),
    CASE(what_is_no_base64_is_refused),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
