/* test_frame.c - every frame is read as it was written */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"

typedef struct page {
    uint8_t      bytes[2048];
    wisp__writer to;
    wisp__reader from;
} page;

static wisp__writer *page_open(page *p) {
    memset(p, 0, sizeof *p);
    p->to = wisp__writer_on(p->bytes, (int)sizeof p->bytes - WISP__SLACK);
    return &p->to;
}

static wisp__reader *page_turn(page *p) {
    p->from = wisp__reader_on(p->bytes, (int)sizeof p->bytes);
    p->from.end = p->to.at;
    return &p->from;
}

/* All was read, and nothing more. */
static bool page_done(const page *p) {
    return !p->to.full && !p->from.failed && p->from.at == p->from.end;
}

TEST(every_kind_is_read_as_it_was_written) {
    static const int bits[] = { 1, 2, 3, 4 };      /* ALIKE, EVENT, REPEAT, SIZED */
    for (int kind = WISP__FRAME_END; kind <= WISP__FRAME_SIZED; kind++) {
        page p;
        if (kind == WISP__FRAME_MORE || (kind > WISP__FRAME_LIMITED && kind < WISP__FRAME_ALIKE))
            continue;
        wisp__frame_put(page_open(&p), (wisp__frame)kind);
        CHECK_EQ_INT(p.to.at, kind >= WISP__FRAME_ALIKE ? bits[kind - WISP__FRAME_ALIKE]
                              : kind > WISP__FRAME_MORE ? 12 : 8);
        CHECK_EQ_INT(wisp__frame_get(page_turn(&p)), kind);
        CHECK(page_done(&p));
    }
}

TEST(a_packet_ends_with_zeros) {
    for (int left = 0; left < 20; left++)
        for (int bit = 0; bit <= left; bit++) {
            page p;
            wisp__writer *to = page_open(&p);
            for (int i = 0; i < left; i++) wisp__put(to, i == bit, 1);
            CHECK_EQ_INT(wisp__frame_is_end(*page_turn(&p)), bit == left || bit >= 8);
        }
}

/* A message with some bytes, and slack after them. */
typedef union roomy {
    wisp__message m;
    uint8_t       room[sizeof(wisp__message) + sizeof(wisp__message_extra) + 16 + WISP__SLACK];
} roomy;

TEST(sections_and_fragments_are_read_as_they_were_written) {
    static const wisp__section sections[] = {
        { WISP_RELIABLE, 0, 0 }, { WISP_RELIABLE, 15, 0xffffff }, { WISP_UNRELIABLE, 3, 0 },
        { WISP_SEQUENCED, 7, 0 },
    };
    for (int i = 0; i < 4; i++) {
        page p;
        wisp__section read;
        wisp__frame_put_section(page_open(&p), &sections[i]);
        CHECK_EQ_INT(wisp__frame_get(page_turn(&p)), WISP__FRAME_SECTION);
        read = wisp__frame_get_section(&p.from);
        CHECK(page_done(&p) && memcmp(&read, &sections[i], sizeof read) == 0);
    }
    for (int i = 0; i < 4; i++) {
        page p;
        roomy message;
        wisp__item item;
        wisp__fragment read;
        memset(&message, 0, sizeof message);
        memset(&item, 0, sizeof item);
        wisp__message_measure(&message.m, 0, i & 2 ? 40 : 8, 1);
        item.message = &message.m;
        item.offset = i & 1 ? 4 : 0;
        item.size = 1;
        wisp__frame_put_fragment(page_open(&p), &item);
        CHECK_EQ_INT(wisp__frame_get(page_turn(&p)), WISP__FRAME_FRAGMENT);
        read = wisp__frame_get_fragment(&p.from);
        CHECK_EQ_INT(read.first, item.offset == 0);
        CHECK_EQ_INT(read.last, item.offset + 1 == (i & 2 ? 5 : 1));
        CHECK_EQ_INT(read.bytes, 1);
        CHECK_EQ_INT(p.from.end - p.from.at, 8);
    }
}

/* Writes a message of 11 bits of shape and 20 of data, and reads it up to its content. */
static wisp__message_frame turned(page *p, wisp__message *m, bool bound, uint32_t floor) {
    wisp__message_frame frame;
    wisp__entry entry;
    int kind;
    wisp__message_measure(m, 11, 20, 1);
    wisp__message_bytes(m)[0] = 0x5a;
    entry = wisp__message_entry(m, 0);
    wisp__frame_put_message(page_open(p), m, &entry, bound, floor);
    kind = wisp__frame_get(page_turn(p));
    frame = wisp__frame_get_message(&p->from, kind);
    CHECK_EQ_INT(p->from.end - p->from.at, 31);
    CHECK_EQ_INT(wisp__get(&p->from, 8), 0x5a);
    CHECK_EQ_INT(frame.bits, frame.bound ? 0 : 31);
    return frame;
}

TEST(messages_are_read_as_they_were_written) {
    roomy u;
    wisp__message_extra *extra;
    wisp__message_frame read;
    page p;
    for (int bound = 0; bound < 2; bound++)
        for (int type = WISP__EVENT; type <= WISP__REPLY; type++)
            for (uint32_t ahead = 0; ahead < 3000; ahead += 1500) {
                memset(&u, 0, sizeof u);
                u.m.type = (uint8_t)type;
                u.m.encoding = 777;
                u.m.has_extra = type != WISP__EVENT;
                extra = wisp__message_extra_of(&u.m);
                if (extra) extra->number = 0x12000 + ahead;
                if (extra) extra->result = ahead ? -(int)ahead : WISP_OK;
                read = turned(&p, &u.m, bound, 0x12000);
                CHECK_EQ_INT(read.bound, bound || type == WISP__REPLY);
                CHECK_EQ_INT(read.number, type == WISP__REPLY ? 0 : 777 - WISP__RESERVED);
                CHECK_EQ_INT(read.call, type == WISP__EVENT ? 0 : 0x12000 + ahead);
                CHECK_EQ_INT(read.ahead, type == WISP__INVOKE ? ahead : 0);
                CHECK_EQ_INT(read.result, type == WISP__REPLY ? extra->result : (int)WISP_OK);
            }
}

TEST(numbers_and_repeats_are_read_as_they_were_written) {
    static const int numbers[] = { 0, 1, 127, 128, 65535 };
    for (int i = 0; i < 5; i++) {
        page p;
        wisp__frame_put_number(page_open(&p), WISP__FRAME_RESYNC, numbers[i]);
        CHECK_EQ_INT(wisp__frame_get(page_turn(&p)), WISP__FRAME_RESYNC);
        CHECK_EQ_INT(wisp__frame_get_number(&p.from), numbers[i]);
        CHECK(page_done(&p));
        wisp__frame_put_repeat(page_open(&p), numbers[i] + 1);
        CHECK_EQ_INT(wisp__frame_get(page_turn(&p)), WISP__FRAME_REPEAT);
        CHECK_EQ_INT(wisp__frame_get_repeat(&p.from), numbers[i] + 1);
        CHECK(page_done(&p));
    }
}

TEST(goodbyes_are_read_as_they_were_written) {
    char text[256], long_text[301];
    wisp_result code;
    page p;
    wisp__frame_put_leave(page_open(&p), WISP_E_USER - 3, "until tomorrow");
    CHECK_EQ_INT(wisp__frame_get(page_turn(&p)), WISP__FRAME_LEAVE);
    CHECK(!wisp__frame_get_leave(&p.from, &code, text) && page_done(&p));
    CHECK_EQ_INT(code, WISP_E_USER - 3);
    CHECK_EQ_STR(text, "until tomorrow");
    memset(long_text, 'x', sizeof long_text);
    for (int length = 255; length <= 256; length++) {
        long_text[length] = 0;
        wisp__frame_put_leave(page_open(&p), WISP_OK, long_text);
        wisp__frame_get(page_turn(&p));
        CHECK_EQ_INT(wisp__frame_get_leave(&p.from, &code, text) == NULL, length == 255);
        long_text[length] = 'x';
    }
    wisp__frame_put_leave(page_open(&p), WISP_OK, "cut");
    page_turn(&p)->end -= 8;
    wisp__frame_get(&p.from);
    CHECK(wisp__frame_get_leave(&p.from, &code, text) != NULL);
}

static const test_case tests[] = {
    CASE(every_kind_is_read_as_it_was_written),
    CASE(a_packet_ends_with_zeros),
    CASE(sections_and_fragments_are_read_as_they_were_written),
    CASE(messages_are_read_as_they_were_written),
    CASE(numbers_and_repeats_are_read_as_they_were_written),
    CASE(goodbyes_are_read_as_they_were_written),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
