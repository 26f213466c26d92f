/* test_row.c - rows that are kept: of a struct, back into it, equal, and the deltas between them */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"
#include "support/record_deltas.h"

typedef struct row_thing {
    float    x, y;
    uint32_t coins;
    char     name[17];
    uint8_t  note[9], note_bytes;
} row_thing;

static const wisp_field row_thing_fields[] = {
    WISP_FIELD(row_thing, x, WISP_T_QUANTIZED(-100, 100, 0.25)),
    WISP_FIELD(row_thing, y, WISP_T_FLOAT),
    WISP_FIELD(row_thing, coins, WISP_T_RANGE(0, 1000)),
    WISP_FIELD(row_thing, name, WISP_T_STRING(16)),
    WISP_COUNTED_FIELD(row_thing, note, note_bytes, WISP_T_BYTES(9)),
};
static const wisp_schema row_thing_schema = WISP_SCHEMA(row_thing, 1, row_thing_fields);

/* A schema, memory that counts, and what the functions of rows ask for. */
typedef struct row_shelf {
    wisp           w;
    rig            low;
    wisp__reader   none;
    wisp__unpacker u;
} row_shelf;

static row_shelf the_shelf;

static row_shelf *shelf_open(void) {
    row_shelf *s = &the_shelf;
    memset(s, 0, sizeof *s);
    rig_open(&s->low, &row_thing_schema);
    s->w.base = s->low.base;
    s->w.chunks.base = &s->w.base;
    s->u = rig_unpacker(&s->low, &s->none);
    return s;
}

static void shelf_close(row_shelf *s) {
    wisp__chunks_free(&s->w.chunks);
    rig_close(&s->low);
}

static wisp__encoded *shelf_row(row_shelf *s, const row_thing *thing) {
    wisp__row row;
    memset(&row, 0, sizeof row);
    if (!CHECK_EQ_INT(wisp__row_load(&s->u, s->low.program, thing, &row), WISP_OK)) return NULL;
    return wisp__encoded_row(&s->w, &row);
}

static row_thing shelf_thing(const char *name, int note) {
    row_thing thing;
    memset(&thing, 0, sizeof thing);
    thing.x = 1.3f;
    thing.y = -0.7f;
    thing.coins = 42;
    snprintf(thing.name, sizeof thing.name, "%s", name);
    thing.note_bytes = (uint8_t)note;
    for (int i = 0; i < note; i++) thing.note[i] = (uint8_t)(i * 40);
    return thing;
}

/* The bits of the delta, or -1. */
static int64_t shelf_put(row_shelf *s, const wisp__encoded *base, const wisp__encoded *now,
                         uint8_t bytes[256]) {
    wisp__writer to = wisp__writer_on(bytes, 256 - WISP__SLACK);
    wisp__bases from;
    memset(&from, 0, sizeof from);
    from.base = base;
    return wisp__row_delta_put(&s->u, s->low.program, &from, now, &to) < 0 ? -1 : to.at;
}

static wisp__encoded *shelf_get(row_shelf *s, const wisp__encoded *base, const uint8_t *bytes,
                                int64_t bits) {
    wisp__reader reader = wisp__reader_on(bytes, (int)((bits + 7) / 8));
    wisp__bases from;
    wisp__encoded *e;
    memset(&from, 0, sizeof from);
    from.base = base;
    reader.end = bits;
    s->none = wisp__reader_on(NULL, 0);
    s->u.result = WISP_OK;
    e = wisp__row_delta_get(&s->w, &s->u, s->low.program, &from, &reader);
    if (e) CHECK_EQ_INT(reader.at, bits);
    return e;
}

TEST(a_struct_gets_its_own_steps_back_from_its_row) {
    row_shelf *s = shelf_open();
    row_thing thing = shelf_thing("anna", 3), back;
    wisp__encoded *row = shelf_row(s, &thing), *again;
    wisp__row view = wisp__encoded_as_row(row);
    memset(&back, 0, sizeof back);
    CHECK_EQ_INT(wisp__row_store(&s->u, s->low.program, view, &back), WISP_OK);
    CHECK_EQ_INT((int)(back.x * 100), 125);
    CHECK_EQ_MEM(&back.y, &thing.y, 4);
    CHECK_EQ_STR(back.name, "anna");
    CHECK_EQ_INT(back.note_bytes, 3);
    CHECK_EQ_MEM(back.note, thing.note, 9);
    again = shelf_row(s, &back);                /* what was written back makes the same row */
    CHECK(again != row && wisp__encoded_same(row, again));
    wisp__encoded_release(&s->w, again);
    back.coins++;
    again = shelf_row(s, &back);
    CHECK(!wisp__encoded_same(row, again));
    wisp__encoded_release(&s->w, again);
    wisp__encoded_release(&s->w, row);
    shelf_close(s);
}

TEST(a_delta_makes_the_row_whether_its_slots_stay_grow_or_shrink) {
    static const char *const names[] = { "", "a", "abcd", "abcde", "abcdefghijklmnop" };
    static const int notes[] = { 0, 1, 4, 9 };
    row_shelf *s = shelf_open();
    uint8_t bytes[256];
    for (int i = 0; i < 20; i++)
        for (int k = 0; k < 20; k++) {
            row_thing one = shelf_thing(names[i % 5], notes[i / 5]);
            row_thing two = shelf_thing(names[k % 5], notes[k / 5]);
            wisp__encoded *a, *b, *made;
            int64_t bits;
            two.y = (float)k;
            a = shelf_row(s, &one);
            b = shelf_row(s, &two);
            bits = shelf_put(s, a, b, bytes);
            made = shelf_get(s, a, bytes, bits);
            CHECK(made && wisp__encoded_same(made, b));
            CHECK(i != k || bits < 60);         /* one number has changed, and no slot */
            wisp__encoded_release(&s->w, made);
            wisp__encoded_release(&s->w, b);
            wisp__encoded_release(&s->w, a);
            wisp__arena_reset(&s->low.arena);
        }
    shelf_close(s);
}

TEST(a_delta_that_is_cut_off_or_damaged_makes_no_row_or_a_sound_one) {
    row_shelf *s = shelf_open();
    row_thing one = shelf_thing("anna", 3), two = shelf_thing("berta", 8), back;
    wisp__encoded *a = shelf_row(s, &one), *b = shelf_row(s, &two), *made;
    uint8_t bytes[256], damaged[256];
    int64_t bits = shelf_put(s, a, b, bytes);
    for (int64_t cut = 0; cut < bits; cut++)
        CHECK(!shelf_get(s, a, bytes, cut));
    for (int i = 0; i < (int)bits; i++) {
        wisp__reader reader = wisp__reader_on(damaged, (int)((bits + 7) / 8));
        wisp__bases from;
        memcpy(damaged, bytes, sizeof damaged);
        damaged[i / 8] ^= (uint8_t)(1 << (i & 7));
        memset(&from, 0, sizeof from);
        from.base = a;
        s->none = wisp__reader_on(NULL, 0);
        s->u.result = WISP_OK;
        made = wisp__row_delta_get(&s->w, &s->u, s->low.program, &from, &reader);
        memset(&back, 0, sizeof back);
        s->none = wisp__reader_on(NULL, 0);
        if (made) wisp__row_store(&s->u, s->low.program, wisp__encoded_as_row(made), &back);
        CHECK(back.note_bytes <= 9 && back.name[16] == 0);
        wisp__encoded_release(&s->w, made);
        wisp__arena_reset(&s->low.arena);
    }
    wisp__encoded_release(&s->w, b);
    wisp__encoded_release(&s->w, a);
    shelf_close(s);
}

TEST(what_a_row_makes_is_the_readers_to_pay) {
    row_shelf *s = shelf_open();
    row_thing one = shelf_thing("anna", 3), two = shelf_thing("berta", 8);
    wisp__encoded *a = shelf_row(s, &one), *b = shelf_row(s, &two), *made;
    wisp__credit credit = { 1000000, 1000000, 1000000, 0, 0, false };
    uint8_t bytes[256];
    int64_t bits = shelf_put(s, a, b, bytes), work = 0;
    s->u.credit = &credit;
    made = shelf_get(s, a, bytes, bits);
    work = 1000000 - credit.work;
    CHECK(made && work > 0);
    wisp__encoded_release(&s->w, made);
    for (int64_t less = 0; less < work; less += 7) {
        credit.work = less;
        CHECK(!shelf_get(s, a, bytes, bits) && s->u.result != WISP_E_MEMORY);
    }
    CHECK(credit.over);
    CHECK_EQ_INT(a->memory, wisp__chunk_memory((size_t)a->chunk_bytes));
    wisp__encoded_release(&s->w, b);
    wisp__encoded_release(&s->w, a);
    shelf_close(s);
}

/* A row whose blobs stay is written without a walk of its slots: the bits are the same. */
TEST(the_short_way_to_write_a_delta_gives_the_bits_of_the_long_one) {
    row_shelf *s = shelf_open();
    row_thing thing = shelf_thing("anna", 3);
    wisp__encoded *a = shelf_row(s, &thing), *b, *back;
    for (int i = 0; i < 8; i++) {
        uint8_t shortly[256] = { 0 }, longly[256] = { 0 };
        wisp__writer to = wisp__writer_on(longly, 256 - WISP__SLACK);
        wisp__bases from;
        wisp__delta d;
        int64_t bits;
        if (i & 1) thing.x += 2.5f;
        if (i & 2) thing.y += 0.125f;
        if (i & 4) thing.coins = 1000;
        b = shelf_row(s, &thing);
        bits = shelf_put(s, a, b, shortly);
        memset(&from, 0, sizeof from);
        from.base = a;
        wisp__row_delta_on(&d, &s->u, s->low.program, &from);
        d.row = wisp__encoded_as_row(b);
        d.to = &to;
        CHECK(wisp__row_is_plain(s->low.program, &from) && wisp__record_delta_code(&d));
        CHECK_EQ_INT(bits, to.at);
        CHECK_EQ_MEM(shortly, longly, (size_t)(bits + 7) / 8);
        back = shelf_get(s, a, shortly, bits);
        if (CHECK(back != NULL)) CHECK(wisp__encoded_same(back, b));
        wisp__encoded_release(&s->w, back);
        wisp__encoded_release(&s->w, a);
        a = b;
    }
    wisp__encoded_release(&s->w, a);
    shelf_close(s);
}

static const test_case tests[] = {
    CASE(a_struct_gets_its_own_steps_back_from_its_row),
    CASE(a_delta_makes_the_row_whether_its_slots_stay_grow_or_shrink),
    CASE(a_delta_that_is_cut_off_or_damaged_makes_no_row_or_a_sound_one),
    CASE(what_a_row_makes_is_the_readers_to_pay),
    CASE(the_short_way_to_write_a_delta_gives_the_bits_of_the_long_one),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
