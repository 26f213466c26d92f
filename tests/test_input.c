/* test_input.c - inputs of players as rows by tick, and their record in packets */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include <stdlib.h>
#include "support/test_runner.h"
#include "support/bottleneck.h"
#include "support/rollback_band.h"

/* Lines of two players: what one end has, and what another one makes of its packets. */
typedef struct input_pair {
    band t;
    wisp *w;
    wisp__input_form form;
    wisp__line *here[2], *there[2];
} input_pair;

static void input_open(input_pair *p) {
    memset(p, 0, sizeof *p);
    band_open(&p->t, 1, 1);
    p->w = p->t.ends[0].w;
    CHECK_EQ_INT(wisp__input_form_make(p->w, &p->form, &band_schema), WISP_OK);
    for (int i = 0; i < 2; i++) {
        p->here[i] = wisp__line_make(p->w, &p->form, 5, WISP__INPUT_KEPT);
        p->there[i] = wisp__line_make(p->w, &p->form, 5, WISP__INPUT_KEPT);
    }
}

static void input_close(input_pair *p) {
    for (int i = 0; i < 2; i++) {
        wisp__line_free(p->w, p->here[i]);
        wisp__line_free(p->w, p->there[i]);
    }
    wisp__input_form_free(p->w, &p->form);
    band_close(&p->t);
}

static void input_add(input_pair *p, int player, int buttons, int x) {
    band_input in;
    wisp_result why;
    wisp__encoded *before, *row;
    memset(&in, 0, sizeof in);
    in.buttons = (uint16_t)buttons;
    in.x = (int8_t)x;
    before = wisp__input_before(&p->form, p->here[player], p->here[player]->next);
    row = wisp__input_row(p->w, &p->form, &in, before, &why);
    CHECK_EQ_INT(why, WISP_OK);
    wisp__input_push(p->w, p->here[player], p->here[player]->next, row);
    wisp__encoded_release(p->w, row);
}

/* Writes a run and reads it; returns how many rows came. */
static int input_pass(input_pair *p, int player, int64_t from, int bytes, int64_t *bits) {
    uint8_t packet[400];
    wisp__writer to = wisp__writer_on(packet, bytes);
    wisp__reader back;
    wisp__encoded *before = NULL, *row;
    bool more;
    int count = 0;
    memset(packet, 0, sizeof packet);
    wisp__input_put(p->w, &p->form, p->here[player], from, p->here[player]->next, &to);
    CHECK(!to.full);
    *bits = to.at;
    back = wisp__reader_on(packet, (int)(to.at + 7) / 8);
    p->w->content.credit.work = 1 << 20;
    p->w->content.credit.room = 1 << 20;
    wisp__row_replace(p->w, &before, wisp__input_before(&p->form, p->there[player], from));
    while ((row = wisp__input_get(p->w, &p->form, before, &back, &more)) != NULL) {
        wisp__encoded_release(p->w, before);
        before = row;
        if (from + count++ == p->there[player]->next)
            wisp__input_push(p->w, p->there[player], from + count - 1, row);
    }
    CHECK(!back.failed && !more);
    wisp__encoded_release(p->w, before);
    return count;
}

static void input_same(const input_pair *p, int player) {
    int64_t next = p->there[player]->next;
    CHECK_EQ_INT(next, p->here[player]->next);
    for (int64_t tick = next - 50; tick < next; tick++) {
        wisp__encoded *a = wisp__input_at(p->here[player], tick);
        wisp__encoded *b = wisp__input_at(p->there[player], tick);
        if (tick >= 5) CHECK(a && b && wisp__encoded_same(a, b));
        else CHECK(!a && !b);
    }
}

TEST(inputs_pass_as_differences_to_the_tick_before) {
    static input_pair p;
    int64_t bits;
    input_open(&p);
    for (int i = 0; i < 20; i++) input_add(&p, 0, i / 10, 0);
    CHECK_EQ_INT(input_pass(&p, 0, 5, 200, &bits), 20);
    input_same(&p, 0);
    CHECK(bits < 19 + 2 + 40);                 /* a bit for one that has not changed */
    CHECK_EQ_INT(input_pass(&p, 0, 20, 200, &bits), 5);
    input_same(&p, 0);
    input_close(&p);
}

TEST(a_run_takes_as_many_as_fit_and_64_at_most) {
    static input_pair p;
    int64_t bits;
    int count;
    input_open(&p);
    for (int i = 0; i < 100; i++) input_add(&p, 1, i * 77, i);
    CHECK_EQ_INT(input_pass(&p, 1, 5, 390, &bits), WISP__INPUT_SENT);
    count = input_pass(&p, 1, 5 + 64, 40, &bits);
    CHECK(count > 4 && count < 36 && bits <= 40 * 8);
    while (count && p.there[1]->next < p.here[1]->next)
        count = input_pass(&p, 1, p.there[1]->next, 40, &bits);
    input_same(&p, 1);
    CHECK_EQ_INT(input_pass(&p, 1, 105, 40, &bits), 0);
    CHECK_EQ_INT(bits, 2);
    input_close(&p);
}

TEST(equal_inputs_are_one_row_and_the_ring_lets_go) {
    static input_pair p;
    int64_t bits;
    uint64_t allocations = 0;
    input_open(&p);
    for (int i = 0; i < 1000; i++) {
        input_add(&p, 0, i / 7, i % 3);
        CHECK(input_pass(&p, 0, p.there[0]->next - (i > 2 ? 2 : 0), 200, &bits) > 0);
        if (i == 300) allocations = p.w->base.stats.allocations;
    }
    input_same(&p, 0);
    CHECK_EQ_INT(p.w->base.stats.allocations, allocations);
    CHECK(wisp__input_at(p.here[0], p.here[0]->next - WISP__INPUT_KEPT) != NULL);
    CHECK(wisp__input_at(p.here[0], p.here[0]->next - WISP__INPUT_KEPT - 1) == NULL);
    CHECK(wisp__input_at(p.here[0], p.here[0]->next) == NULL);
    input_close(&p);
}

typedef struct input_wide { uint8_t bytes[65]; } input_wide;
typedef struct input_one { uint8_t number; } input_one;

static const wisp_field input_wide_fields[] = { WISP_FIELD(input_wide, bytes, WISP_T_BYTES(65)) };
static const wisp_schema input_wide_schema = WISP_SCHEMA(input_wide, 1, input_wide_fields);
static const wisp_field input_one_fields[] = { WISP_FIELD(input_one, number, WISP_T_RANGE(1, 9)) };
static const wisp_schema input_one_schema = WISP_SCHEMA(input_one, 1, input_one_fields);

TEST(an_input_is_small_and_zeros_are_one) {
    static input_pair p;
    wisp__input_form form;
    input_open(&p);
    memset(&form, 0, sizeof form);
    CHECK_EQ_INT(wisp__input_form_make(p.w, &form, &input_wide_schema), WISP_E_TOO_BIG);
    wisp__input_form_free(p.w, &form);
    memset(&form, 0, sizeof form);
    CHECK_EQ_INT(wisp__input_form_make(p.w, &form, &input_one_schema), WISP_E_INVALID);
    wisp__input_form_free(p.w, &form);
    input_close(&p);
}

TEST(a_number_near_another_takes_few_bits) {
    static const int64_t distances[] = { 0, 1, -1, 3, -4, 31, -32, 1000, -1000 };
    uint8_t bytes[64];
    for (int i = 0; i < 9; i++) {
        wisp__writer to = wisp__writer_on(bytes, 40);
        wisp__reader from;
        memset(bytes, 0, sizeof bytes);
        wisp__put_near(&to, 70000, 70000 - distances[i]);
        CHECK(to.at <= (i < 5 ? 4 : i < 7 ? 8 : 16));
        from = wisp__reader_on(bytes, 40);
        CHECK_EQ_INT(wisp__get_near(&from, 70000), 70000 - distances[i]);
        CHECK_EQ_INT(from.at, to.at);
    }
}

static const test_case tests[] = {
    CASE(inputs_pass_as_differences_to_the_tick_before),
    CASE(a_run_takes_as_many_as_fit_and_64_at_most),
    CASE(equal_inputs_are_one_row_and_the_ring_lets_go),
    CASE(an_input_is_small_and_zeros_are_one),
    CASE(a_number_near_another_takes_few_bits),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
