/* fuzz_match.c - any bytes as a pattern, any bytes as a text to be searched

   What is refused is refused at a byte of it, and up to there made sense. What is compiled stays
   the same in a group, beside itself and behind anything; it finds in a longer text what it found,
   unless it speaks of begin or end; and it follows no state twice for a byte.
*/
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../../wisp.h"
#include "../support/fuzz_script.h"

enum { TEXT_BYTES = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Up to `count` bytes and a NUL; of few kinds, so that patterns and what they find come about. */
static void take_text(script *s, char *to, int count, bool pattern) {
    static const char few[] = "aaabbbcc", special[] = "aabbc().|*+?[]^$-\\.()|*";
    int style = take(s), i = 0;
    for (; i < count && !script_ended(s); i++) {
        uint8_t byte = take(s);
        if (style & 1) to[i] = (char)byte;
        else if (pattern) to[i] = special[byte % (sizeof special - 1)];
        else to[i] = few[byte % (sizeof few - 1)];
        if (!to[i]) break;
    }
    to[i] = 0;
}

/* Compiled as `before` text `after`; false: that is too long. */
static bool compile(wisp_pattern *p, const char *before, const char *text, const char *after) {
    char all[3 * WISP_PATTERN_BYTES + 8];
    wisp_result result;
    snprintf(all, sizeof all, "%s%s%s", before, text, after);
    result = wisp_pattern_compile(p, all, NULL);
    MUST(result == WISP_OK || (result == WISP_E_TOO_BIG && strlen(all) > WISP_PATTERN_BYTES));
    return result == WISP_OK;
}

/* What is before the place of an error lacks nothing but the ends of its groups. */
static void see_refused(char *pattern, int position) {
    wisp_pattern p;
    int again = -1;
    MUST(position >= 0 && position < (int)strlen(pattern));
    if (pattern[position] == '(') return;
    pattern[position] = 0;
    if (wisp_pattern_compile(&p, pattern, &again)) MUST(strchr("([", pattern[again]));
}

static void see_same(const wisp_pattern *p, const char *pattern, const char *text) {
    bool found = wisp_pattern_matches(p, text);
    char longer[TEXT_BYTES + 8], second[WISP_PATTERN_BYTES + 8];
    wisp_pattern other;
    snprintf(second, sizeof second, ")|(%s)", pattern);
    snprintf(longer, sizeof longer, "x%sx", text);
    if (compile(&other, "(", pattern, ")")) MUST(wisp_pattern_matches(&other, text) == found);
    if (compile(&other, "(", pattern, second)) MUST(wisp_pattern_matches(&other, text) == found);
    if (compile(&other, ".*((", pattern, ")+)")) MUST(wisp_pattern_matches(&other, text) == found);
    if (compile(&other, "(", pattern, ")*?")) MUST(wisp_pattern_matches(&other, text));
    if (found && !strpbrk(pattern, "^$")) MUST(wisp_pattern_matches(p, longer));
}

static void see_work(const wisp_pattern *p, const char *text) {
    wisp__states states[2];
    wisp__states_clear(&states[0]);
    for (size_t i = 0; text[i]; i++) {
        wisp__states *now = &states[i & 1];
        wisp__match_enter(p, now, p->size, 0);
        wisp__match_follow(p, now, i == 0, false);
        MUST(now->count <= p->size + 1);
        for (int k = 0; k < now->count; k++) MUST(now->list[k] <= p->size);
        wisp__match_step(p, now, (uint8_t)text[i], &states[~i & 1]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    script s = { 0, 0, 0 };
    char pattern[WISP_PATTERN_BYTES + 2], text[TEXT_BYTES + 1];
    int position = -1, length = 0;
    wisp_result result;
    wisp_pattern p;
    s.data = data;
    s.size = size;
    length = take(&s) + 1;
    take_text(&s, pattern, length, true);
    take_text(&s, text, TEXT_BYTES, false);
    result = wisp_pattern_compile(&p, pattern, &position);
    if (result == WISP_E_PATTERN) see_refused(pattern, position);
    else MUST(position == -1);
    if (result == WISP_E_TOO_BIG) MUST(strlen(pattern) > WISP_PATTERN_BYTES);
    if (result) return 0;
    wisp__match_check(&p);
    see_same(&p, pattern, text);
    see_work(&p, text);
    return 0;
}
