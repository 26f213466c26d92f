/* test_match.c - patterns: what they find, which are refused and where, and how much work it is */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"

/* glibc is the reference: musl does not find the empty branch of "^($)|" in "bbb". tcc cannot read
   the regex.h of glibc. */
#if defined(__GLIBC__) && !defined(__TINYC__)
#include <regex.h>
#define HAS_REGEX 1
#endif

/* 1: found, 0: not found, -1: no pattern. */
static int found(const char *pattern, const char *text) {
    wisp_pattern p;
    if (wisp_pattern_compile(&p, pattern, NULL)) return -1;
    wisp__match_check(&p);
    return wisp_pattern_matches(&p, text);
}

/* Two lists, each ended by NULL: what is found and what is not. */
typedef struct match_sample {
    const char *pattern;
    const char *yes[8], *no[8];
} match_sample;

static void check_samples(const match_sample *samples, int count) {
    for (int i = 0; i < count; i++) {
        const match_sample *s = &samples[i];
        for (int k = 0; k < 8 && s->yes[k]; k++)
            if (!CHECK_EQ_INT(found(s->pattern, s->yes[k]), 1))
                printf("    \"%s\" does not find \"%s\"\n", s->pattern, s->yes[k]);
        for (int k = 0; k < 8 && s->no[k]; k++)
            if (!CHECK_EQ_INT(found(s->pattern, s->no[k]), 0))
                printf("    \"%s\" finds \"%s\"\n", s->pattern, s->no[k]);
    }
}

/* --- what is found --- */

TEST(names_are_found_by_their_pattern) {
    static const match_sample samples[] = {
        { "Player(HP|MaxHP)Changed",
          { "PlayerHPChanged", "PlayerMaxHPChanged", "OldPlayerHPChanged2", NULL },
          { "PlayerChanged", "PlayerMaxChanged", "playerHPChanged", "PlayerHPMaxHPChanged", "",
            NULL } },
        { "^Player(HP|MaxHP)Changed$",
          { "PlayerHPChanged", "PlayerMaxHPChanged", NULL },
          { "OldPlayerHPChanged", "PlayerHPChanged2", NULL } },
        { "^inventory\\.", { "inventory.add", "inventory.", NULL },
          { "inventory", "inventoryXadd", "my.inventory.add", NULL } },
        { "^(chat|whisper)([.][a-z_]+)*$", { "chat", "whisper.to", "chat.room.join_it", NULL },
          { "chat.", "chats", "chat.Room", "chat..room", NULL } },
        { "^slot[0-9]+$", { "slot0", "slot128", NULL }, { "slot", "slot1a", "Slot1", NULL } },
    };
    check_samples(samples, TEST_COUNT(samples));
}

TEST(a_pattern_is_found_anywhere_but_for_anchors) {
    static const match_sample samples[] = {
        { "", { "", "a", NULL }, { NULL } },
        { "b", { "b", "abc", "bbb", NULL }, { "", "a", "B", NULL } },
        { "^b", { "b", "bc", NULL }, { "ab", "", NULL } },
        { "b$", { "b", "ab", NULL }, { "ba", "", NULL } },
        { "^$", { "", NULL }, { "a", NULL } },
        { "^", { "", "a", NULL }, { NULL } },
        { "$", { "", "a", NULL }, { NULL } },
        { "$^", { "", NULL }, { "a", NULL } },
        { "a^b", { NULL }, { "ab", "a^b", "a\nb", NULL } },
        { "a$b", { NULL }, { "ab", "a$b", "a\nb", NULL } },
        { "^a|b$", { "ax", "xb", NULL }, { "xa", "bx", NULL } },
        { "^(a|b)$", { "a", "b", NULL }, { "ax", "xb", "ab", NULL } },
        { "(^a|b)c", { "ac", "xbc", NULL }, { "xac", NULL } },
        { "a(b|$)", { "ab", "xa", NULL }, { "ac", NULL } },
        { "(^|/)tmp($|/)", { "tmp", "a/tmp", "tmp/b", "a/tmp/b", NULL }, { "tmps", "atmp", NULL } },
        { "(^a)*b", { "b", "ab", "aab", NULL }, { "a", NULL } },
        { "^(^a)+$", { "a", NULL }, { "aa", NULL } },
    };
    check_samples(samples, TEST_COUNT(samples));
}

TEST(repeats_and_groups_mean_what_they_mean_in_posix) {
    static const match_sample samples[] = {
        { "^ab*c$", { "ac", "abc", "abbbc", NULL }, { "ab", "bc", "abbdc", NULL } },
        { "^ab+c$", { "abc", "abbbc", NULL }, { "ac", NULL } },
        { "^ab?c$", { "ac", "abc", NULL }, { "abbc", NULL } },
        { "^(ab)*$", { "", "ab", "abab", NULL }, { "a", "aba", "ba", NULL } },
        { "^(ab)+$", { "ab", "abab", NULL }, { "", "aba", NULL } },
        { "^(ab)?$", { "", "ab", NULL }, { "abab", "a", NULL } },
        { "^(a|bc)*d$", { "d", "aabcad", "bcd", NULL }, { "bd", "acd", "abc", NULL } },
        { "^a|b|c$", { "ax", "xbx", "xc", NULL }, { "xa", "cx", NULL } },
        { "^(a(b(c|d)|e)f|g)$", { "abcf", "abdf", "aef", "g", NULL }, { "abf", "af", "ag", NULL } },
        { "^.$", { "a", ".", "\n", "\xff", NULL }, { "", "ab", "\xc3\xa9", NULL } },
        { "^a.*z$", { "az", "a--z", "azz", NULL }, { "a", "z", "azb", NULL } },
        { "^\xc3\xa9+$", { "\xc3\xa9", "\xc3\xa9\xa9", NULL }, { "\xc3", "\xa9", NULL } },
    };
    check_samples(samples, TEST_COUNT(samples));
}

TEST(nothing_can_be_a_branch_and_be_repeated) {
    static const match_sample samples[] = {
        { "^()$", { "", NULL }, { "a", NULL } },
        { "^a()b$", { "ab", NULL }, { "a", NULL } },
        { "^(|a)$", { "", "a", NULL }, { "aa", NULL } },
        { "^(a|)$", { "", "a", NULL }, { "aa", NULL } },
        { "^(a||b)$", { "", "a", "b", NULL }, { "ab", NULL } },
        { "a|", { "", "b", NULL }, { NULL } },
        { "^(|||||)x$", { "x", NULL }, { "", "|x", NULL } },
        { "^()*x$", { "x", NULL }, { "", NULL } },
        { "^((a*)*)*$", { "", "a", "aaaa", NULL }, { "b", "aab", NULL } },
        { "^((a*)+|b?)*c$", { "c", "aabac", NULL }, { "", "d", NULL } },
        { "^(a?b?)+$", { "", "ab", "ba", "abba", NULL }, { "c", NULL } },
    };
    check_samples(samples, TEST_COUNT(samples));
}

TEST(repeats_of_repeats_add_up) {
    static const match_sample stars[] = {
        { "^a**$", { "", "a", "aaa", NULL }, { "b", NULL } },
        { "^a+*$", { "", "a", "aaa", NULL }, { "b", NULL } },
        { "^a*+$", { "", "a", "aaa", NULL }, { "b", NULL } },
        { "^a?+$", { "", "a", "aaa", NULL }, { "b", NULL } },
        { "^a+?$", { "", "a", "aaa", NULL }, { "b", NULL } },
        { "^a*?$", { "", "a", "aaa", NULL }, { "b", NULL } },
        { "^a++$", { "a", "aaa", NULL }, { "", "b", NULL } },
        { "^a\?\?$", { "", "a", NULL }, { "aa", NULL } },
        { "^(ab)+?*+$", { "", "ab", "ababab", NULL }, { "aba", NULL } },
    };
    check_samples(stars, TEST_COUNT(stars));
}

TEST(classes_hold_bytes_and_ranges) {
    static const match_sample samples[] = {
        { "^[abc]$", { "a", "b", "c", NULL }, { "d", "", "ab", NULL } },
        { "^[a-c]+$", { "abc", NULL }, { "abcd", "-", NULL } },
        { "^[^a-c]$", { "d", "-", "^", "\n", "\xff", NULL }, { "a", "b", "c", "", NULL } },
        { "^[]a]+$", { "]", "a]", NULL }, { "b", NULL } },
        { "^[^]a]$", { "b", "[", NULL }, { "]", "a", NULL } },
        { "^[a^]$", { "a", "^", NULL }, { "b", NULL } },
        { "^[-a]$", { "-", "a", NULL }, { "b", NULL } },
        { "^[a-]$", { "-", "a", NULL }, { "b", NULL } },
        { "^[^-a]$", { "b", NULL }, { "-", "a", NULL } },
        { "^[+--]$", { "+", ",", "-", NULL }, { ".", NULL } },
        { "^[--/]$", { "-", ".", "/", NULL }, { ",", NULL } },
        { "^[]-_]$", { "]", "^", "_", NULL }, { "-", "[", NULL } },
        { "^[\\]$", { "\\", NULL }, { "]", NULL } },
        { "^[\\]]$", { "\\]", NULL }, { "\\", "]", NULL } },
        { "^[(|).*+?{$]+$", { "(|).*+?{$", NULL }, { "a", "}", NULL } },
        { "^[a-a]$", { "a", NULL }, { "b", "-", NULL } },
        { "^[\x80-\xff]$", { "\x80", "\xff", NULL }, { "\x7f", NULL } },
        { "^[[]$", { "[", NULL }, { "]", NULL } },
        { "^[A-Z][a-z]*([0-9]|[A-Z])$", { "Ab1", "AB", NULL }, { "ab1", "A", NULL } },
    };
    check_samples(samples, TEST_COUNT(samples));
}

TEST(a_backslash_takes_the_meaning_away) {
    static const char special[] = ".[](){}*+?|^$\\";
    for (int i = 0; special[i]; i++) {
        char pattern[8], text[2];
        snprintf(pattern, sizeof pattern, "^\\%c$", special[i]);
        for (int byte = 1; byte < 256; byte++) {
            text[0] = (char)byte;
            text[1] = 0;
            CHECK_EQ_INT(found(pattern, text), text[0] == special[i]);
        }
    }
    CHECK_EQ_INT(found("^a\\*b$", "a*b"), 1);
    CHECK_EQ_INT(found("^a\\*b$", "aab"), 0);
    CHECK_EQ_INT(found("^\\(+$", "((("), 1);
    CHECK_EQ_INT(found("^(\\)|\\|)*$", ")|)"), 1);
    CHECK_EQ_INT(found("^\\\\*$", "\\\\\\"), 1);
}

TEST(bytes_that_mean_nothing_special_stand_for_themselves) {
    CHECK_EQ_INT(found("^a}b]c-d,e:/!$", "a}b]c-d,e:/!"), 1);
    for (int byte = 1; byte < 256; byte++) {
        char pattern[4] = { '^', 0, '$', 0 }, text[2] = { 0, 0 };
        pattern[1] = text[0] = (char)byte;
        if (strchr(".[(){*+?|^$\\", byte)) continue;
        CHECK_EQ_INT(found(pattern, text), 1);
        text[0] = (char)(byte ^ 1);
        CHECK_EQ_INT(found(pattern, text), 0);
    }
}

/* --- what is refused --- */

TEST(wrong_patterns_tell_where) {
    static const struct { const char *pattern; int position; } wrong[] = {
        { "(", 0 }, { "ab(c", 2 }, { "((a)", 0 }, { "(a(b)(c", 5 }, { "a|(b|", 2 },
        { ")", 0 }, { "a)", 1 }, { "(a))b", 3 }, { "a|)", 2 },
        { "*", 0 }, { "+a", 0 }, { "?", 0 }, { "a|*b", 2 }, { "(*a)", 1 }, { "(a|+)", 3 },
        { "^*", 1 }, { "a$+", 2 }, { "(^?)", 2 }, { "ab(|*)", 4 },
        { "[", 0 }, { "a[bc", 1 }, { "[]", 0 }, { "[^]", 0 }, { "x[]a", 1 }, { "[a-", 0 },
        { "[^", 0 }, { "[a-b-", 0 }, { "[a-z", 0 },
        { "[z-a]", 1 }, { "ab[c-ez-y]", 6 }, { "[^b-a]", 2 }, { "[a--]", 1 }, { "[\xff-\x80]", 1 },
        { "[a-c-e]", 4 }, { "[ab-d-f]", 5 }, { "[a-c--]", 4 },
        { "[[:alpha:]]", 1 }, { "[a[=b=]]", 2 }, { "[[.a.]]", 1 }, { "[A-[.z.]]", 1 },
        { "{", 0 }, { "a{2}", 1 }, { "(a{,3})", 2 },
        { "\\", 0 }, { "ab\\", 2 }, { "\\d", 0 }, { "a\\-b", 1 }, { "(a)\\1", 3 }, { "\\\n", 0 },
        { "\\\\\\", 2 },
    };
    for (int i = 0; i < TEST_COUNT(wrong); i++) {
        wisp_pattern p, before;
        int position = -5;
        memset(&p, 0x5a, sizeof p);
        before = p;
        if (!CHECK_EQ_INT(wisp_pattern_compile(&p, wrong[i].pattern, &position), WISP_E_PATTERN) ||
            !CHECK_EQ_INT(position, wrong[i].position))
            printf("    \"%s\"\n", wrong[i].pattern);
        CHECK_EQ_MEM(&p, &before, sizeof p);
        CHECK_EQ_INT(wisp_pattern_compile(&p, wrong[i].pattern, NULL), WISP_E_PATTERN);
    }
}

TEST(what_is_missing_is_told_and_nothing_else_touched) {
    wisp_pattern p, before;
    int position = -5;
    memset(&p, 0x5a, sizeof p);
    before = p;
    CHECK_EQ_INT(wisp_pattern_compile(&p, NULL, &position), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_pattern_compile(NULL, "a", &position), WISP_E_ARGUMENT);
    CHECK_EQ_INT(wisp_pattern_compile(NULL, NULL, NULL), WISP_E_ARGUMENT);
    CHECK_EQ_MEM(&p, &before, sizeof p);
    CHECK_EQ_INT(wisp_pattern_compile(&p, "a", &position), WISP_OK);
    CHECK_EQ_INT(position, -5);
    CHECK(!wisp_pattern_matches(NULL, "a"));
    CHECK(!wisp_pattern_matches(&p, NULL));
    CHECK(!wisp_pattern_matches(NULL, NULL));
}

TEST(a_pattern_has_at_most_255_bytes) {
    char text[WISP_PATTERN_BYTES + 2];
    wisp_pattern p, before;
    int position = -5;
    memset(text, 'a', sizeof text);
    text[WISP_PATTERN_BYTES] = 0;
    CHECK_EQ_INT(wisp_pattern_compile(&p, text, &position), WISP_OK);
    wisp__match_check(&p);
    CHECK(wisp_pattern_matches(&p, text));
    CHECK(!wisp_pattern_matches(&p, text + 1));
    before = p;
    text[WISP_PATTERN_BYTES] = 'a';
    text[WISP_PATTERN_BYTES + 1] = 0;
    CHECK_EQ_INT(wisp_pattern_compile(&p, text, &position), WISP_E_TOO_BIG);
    CHECK_EQ_INT(position, -5);
    CHECK_EQ_MEM(&p, &before, sizeof p);
    CHECK(wisp_pattern_matches(&p, text));
    CHECK(sizeof p <= 1200);
}

TEST(a_pattern_is_copied_and_needs_nothing_else) {
    char text[] = "^a[b-d](e|f)$";
    wisp_pattern p, copy, zero;
    CHECK_EQ_INT(wisp_pattern_compile(&p, text, NULL), WISP_OK);
    memset(text, 'x', sizeof text - 1);
    copy = p;
    memset(&p, 0, sizeof p);
    CHECK(wisp_pattern_matches(&copy, "ace") && !wisp_pattern_matches(&copy, "aee"));
    memset(&zero, 0, sizeof zero);
    CHECK(wisp_pattern_matches(&zero, "") && wisp_pattern_matches(&zero, "a"));
    CHECK_EQ_INT(wisp_pattern_compile(&p, "", NULL), WISP_OK);
    CHECK_EQ_MEM(&p, &zero, sizeof p);
}

/* --- how much work it is --- */

/* States followed for the whole text, by the same steps as wisp_pattern_matches, but to its end. */
static long long match_work(const wisp_pattern *p, const char *text, size_t length) {
    wisp__states states[2];
    long long count = 0;
    wisp__states_clear(&states[0]);
    for (size_t i = 0; i <= length; i++) {
        wisp__states *now = &states[i & 1];
        wisp__match_enter(p, now, p->size, 0);
        wisp__match_follow(p, now, i == 0, i == length);
        CHECK(now->count <= p->size + 1);
        count += now->count;
        wisp__match_step(p, now, (uint8_t)text[i], &states[~i & 1]);
    }
    return count;
}

enum { LONG = 1 << 12 };

TEST(no_pattern_takes_more_than_its_length_for_a_byte) {
    static const char *const evil[] = {
        "(a*)*b", "(a+)+b", "((a*)*)*b", "(a|a)*b", "(a|aa)+b", "(.*)*b", "(a?a?a?)*b",
        "(.*.*.*.*.*.*)*b", "a*a*a*a*a*a*a*a*a*a*b", "(((((((a*)*)*)*)*)*)*)*b", "(a|a|a|a|a)*b",
        "(|||||||)*b", "(()()()())*b", "a?a?a?a?a?a?a?a?aaaaaaaab", "([a-z]*[a-z]*)*B",
        "(^a|a$|.*)*b", "(a**+*?)*b", "^(a+)+b", "(.|a)*(.|a)*(.|a)*b$"
    };
    static char text[LONG + 1];
    memset(text, 'a', LONG);
    for (int i = 0; i < TEST_COUNT(evil); i++) {
        wisp_pattern p;
        if (!CHECK_EQ_INT(wisp_pattern_compile(&p, evil[i], NULL), WISP_OK)) continue;
        CHECK(!wisp_pattern_matches(&p, text));
        CHECK(match_work(&p, text, LONG) <= (LONG + 1LL) * (p.size + 1));
    }
}

/* The longest patterns, nested and branched as deep as can be. */
TEST(the_longest_patterns_are_linear_too) {
    static const char *const parts[][3] = {
        { "(", "", ")*" }, { "a|", "", "" }, { "(a|", "", ")*" }, { "a*", "", "" },
        { "(", "a", ")+" }, { "|", "", "" }, { "()", "", "" }, { "(^", "b", "$)?" },
        { "[a-z]*", "", "" }, { "a", "", "" }, { "a", "****", "" }
    };
    static char text[LONG + 1];
    memset(text, 'a', LONG);
    for (int i = 0; i < TEST_COUNT(parts); i++) {
        int each = (int)(strlen(parts[i][0]) + strlen(parts[i][2]));
        int count = (WISP_PATTERN_BYTES - (int)strlen(parts[i][1])) / each;
        char pattern[WISP_PATTERN_BYTES + 1] = "";
        wisp_pattern p;
        for (int k = 0; k < count; k++) strcat(pattern, parts[i][0]);
        strcat(pattern, parts[i][1]);
        for (int k = 0; k < count; k++) strcat(pattern, parts[i][2]);
        if (!CHECK_EQ_INT(wisp_pattern_compile(&p, pattern, NULL), WISP_OK)) continue;
        wisp__match_check(&p);
        CHECK(match_work(&p, text, LONG / 8) <= (LONG / 8 + 1LL) * (p.size + 1));
        CHECK(wisp_pattern_matches(&p, text));
    }
}

/* --- random patterns and texts --- */

/* Bytes that are mostly special, or mostly make sense beside each other. */
static void soup(uint64_t *seed, char *to, int room) {
    static const char *const pieces[] = {
        "a", "b", "c", "a", "b", "(", ")", "|", "*", "+", "?", "^", "$", ".", "[ab]", "[^a]",
        "[a-c]", "[", "]", "-", "\\.", "\\*", "(a|b)", "()", "[]a]", "[b-", "[^"
    };
    int length = 0, count = test_random_below(seed, 14);
    to[0] = 0;
    while (count-- > 0) {
        const char *piece = pieces[test_random_below(seed, TEST_COUNT(pieces))];
        length += (int)strlen(piece);
        if (length >= room) return;
        strcat(to, piece);
    }
}

/* Something that takes a byte or two. */
static void append_piece(uint64_t *seed, char *to) {
    static const char *const pieces[] = {
        "a", "b", "c", "a", "b", ".", "[ab]", "[^a]", "[b-c]", "[^]b]", "\\.", "[.-]", "ab", "ca"
    };
    strcat(to, pieces[test_random_below(seed, TEST_COUNT(pieces))]);
}

/* Anchors in repeats are left out unless asked for: C libraries are known to be wrong there. */
typedef struct style { int bytes, depth; bool anchors_in_repeats; } style;

static bool has_anchor(const char *pattern) {
    for (int i = 0; pattern[i]; i++)
        if (pattern[i] == '$' || (pattern[i] == '^' && (i == 0 || pattern[i - 1] != '[')))
            return true;
    return false;
}

/* A pattern that makes sense; it ends soon after so many bytes. */
static void append_pattern(uint64_t *seed, char *to, style how) {
    int count = test_random_below(seed, 5);
    if (test_random_below(seed, 8) == 0) strcat(to, "^");
    while (count-- > 0 && (int)strlen(to) < how.bytes) {
        size_t begin = strlen(to);
        if (how.depth > 0 && test_random_below(seed, 3) == 0) {
            style inner = how;
            inner.depth--;
            strcat(to, "(");
            append_pattern(seed, to, inner);
            strcat(to, ")");
        } else {
            append_piece(seed, to);
        }
        for (int k = 0; k < 2 && (how.anchors_in_repeats || !has_anchor(to + begin)); k++)
            if (test_random_below(seed, 3) == 0)
                strncat(to, &"*+?"[test_random_below(seed, 3)], 1);
        if (test_random_below(seed, 5) == 0) strcat(to, "|");
    }
    if (test_random_below(seed, 8) == 0) strcat(to, "$");
}

static void match_random_text(uint64_t *seed, char *to, int room) {
    int length = test_random_below(seed, room);
    for (int i = 0; i < length; i++) to[i] = "abcabcab.-]"[test_random_below(seed, 11)];
    to[length] = 0;
}

/* --- the same as by the book: a second matcher, which reads the pattern as it is defined --- */

/* Sets of places in a text of less than 32 bytes: bit i is the place before byte i. Each function
   tells where what it reads can end, when it begins at any place of a set. */
typedef struct match_book {
    const char *pattern, *text;
    int         length;         /* of the text */
} match_book;

static uint32_t book_either(const match_book *b, int *at, uint32_t set);

static bool book_class(const char *text, int *at, uint8_t byte) {
    bool inverse = text[*at] == '^', in = false;
    int first = *at += inverse;
    for (; text[*at] != ']' || *at == first; ++*at) {
        uint8_t low = (uint8_t)text[*at], high = low;
        if (text[*at + 1] == '-' && text[*at + 2] != ']') high = (uint8_t)text[*at += 2];
        if (byte >= low && byte <= high) in = true;
    }
    ++*at;
    return in != inverse;
}

static uint32_t book_byte(const match_book *b, int *at, uint32_t set) {
    uint32_t out = 0;
    int first = *at;
    for (int i = b->length; i >= 0; i--) {
        char c = b->pattern[*at = first];
        bool takes = c == '.' || c == b->text[i];
        ++*at;
        if (c == '[') takes = book_class(b->pattern, at, (uint8_t)b->text[i]);
        if (c == '\\') takes = b->pattern[(*at)++] == b->text[i];
        if (takes && i < b->length && (set >> i & 1)) out |= UINT32_C(2) << i;
    }
    return out;
}

static uint32_t book_atom(const match_book *b, int *at, uint32_t set) {
    char c = b->pattern[*at];
    uint32_t out;
    if (c != '(' && c != '^' && c != '$') return book_byte(b, at, set);
    ++*at;
    if (c == '^') return set & 1;
    if (c == '$') return set & UINT32_C(1) << b->length;
    out = book_either(b, at, set);
    ++*at;
    return out;
}

/* The atom at `first` with the first `count` of the operators behind it. */
static uint32_t book_repeat(const match_book *b, int first, int end, int count, uint32_t set) {
    char c;
    int at = first;
    uint32_t out, before;
    if (count == 0) return book_atom(b, &at, set);
    c = b->pattern[end + count - 1];
    out = book_repeat(b, first, end, count - 1, set);
    if (c != '+') out |= set;
    if (c == '?') return out;
    do {
        before = out;
        out |= book_repeat(b, first, end, count - 1, out);
    } while (out != before);
    return out;
}

static uint32_t book_branch(const match_book *b, int *at, uint32_t set) {
    while (b->pattern[*at] && !strchr("|)", b->pattern[*at])) {
        int first = *at, count;
        book_atom(b, at, 0);
        count = (int)strspn(b->pattern + *at, "*+?");
        set = book_repeat(b, first, *at, count, set);
        *at += count;
    }
    return set;
}

static uint32_t book_either(const match_book *b, int *at, uint32_t set) {
    uint32_t out = book_branch(b, at, set);
    while (b->pattern[*at] == '|') {
        ++*at;
        out |= book_branch(b, at, set);
    }
    return out;
}

static bool book_finds(const char *pattern, const char *text) {
    match_book b;
    int at = 0;
    b.pattern = pattern;
    b.text = text;
    b.length = (int)strlen(text);
    return book_either(&b, &at, (UINT32_C(2) << b.length) - 1) != 0;
}

TEST(random_patterns_find_what_the_book_finds) {
    const style how = { 50, 3, true };
    uint64_t seed = 5;
    int count[2] = { 0, 0 };
    for (int i = 0; i < 8000; i++) {
        char pattern[256] = "", text[16];
        wisp_pattern p;
        append_pattern(&seed, pattern, how);
        if (!CHECK_EQ_INT(wisp_pattern_compile(&p, pattern, NULL), WISP_OK)) continue;
        wisp__match_check(&p);
        for (int k = 0; k < 4; k++) {
            bool finds;
            match_random_text(&seed, text, k ? (int)sizeof text : 3);
            finds = book_finds(pattern, text);
            if (!CHECK_EQ_INT(wisp_pattern_matches(&p, text), finds))
                printf("    \"%s\" in \"%s\"\n", pattern, text);
            count[finds]++;
        }
    }
    CHECK(count[0] > 8000 && count[1] > 8000);
}

/* --- the same as the system's own --- */

#ifdef HAS_REGEX

/* A C library may write x+ as xx*, which doubles the pattern with each + around another. */
static void few_pluses(char *pattern, int count) {
    char *at = strchr(pattern, '+');
    for (; at; at = strchr(at + 1, '+'))
        if (count-- <= 0) *at = '*';
}

typedef struct tally { int both, yes, no, neither; } tally;

/* POSIX leaves it open whether a `)` stands for itself, and whether an empty branch or the repeat
   of a repeat is refused: glibc takes the same patterns as wisp, except for a `)`. */
static void compare(uint64_t *seed, const char *pattern, tally *t) {
    regex_t reference;
    wisp_pattern p;
    int position = -1;
    bool ours = wisp_pattern_compile(&p, pattern, &position) == WISP_OK;
    bool theirs = regcomp(&reference, pattern, REG_EXTENDED | REG_NOSUB) == 0;
    if (ours != theirs && (ours || pattern[position] != ')') && !CHECK(ours == theirs))
        printf("    \"%s\": ours %d, theirs %d, at %d\n", pattern, ours, theirs, position);
    for (int i = 0; i < 3 && ours && theirs; i++) {
        char text[16];
        int found_theirs;
        match_random_text(seed, text, i ? (int)sizeof text : 3);
        found_theirs = regexec(&reference, text, 0, NULL, 0) == 0;
        if (!CHECK_EQ_INT(wisp_pattern_matches(&p, text), found_theirs))
            printf("    \"%s\" in \"%s\"\n", pattern, text);
        if (found_theirs) t->yes++;
        else t->no++;
    }
    if (ours) wisp__match_check(&p);
    if (ours && theirs) t->both++;
    if (!ours && !theirs) t->neither++;
    if (theirs) regfree(&reference);
}

TEST(random_patterns_find_what_posix_finds) {
    const style how = { 30, 3, false };
    uint64_t seed = 1;
    tally t = { 0, 0, 0, 0 };
    for (int i = 0; i < 12000; i++) {
        char pattern[256] = "";
        append_pattern(&seed, pattern, how);
        few_pluses(pattern, 4);
        compare(&seed, pattern, &t);
    }
    CHECK(t.both > 5000 && t.yes > 5000 && t.no > 5000);
}

TEST(random_bytes_make_sense_where_they_do_in_posix) {
    uint64_t seed = 2;
    tally t = { 0, 0, 0, 0 };
    for (int i = 0; i < 12000; i++) {
        char pattern[64];
        soup(&seed, pattern, (int)sizeof pattern);
        compare(&seed, pattern, &t);
    }
    CHECK(t.both > 2000 && t.yes > 1000 && t.no > 1000);
    CHECK(t.neither > 2000);
}

#endif

/* --- whatever stands in it --- */

TEST(random_bytes_are_compiled_or_refused_with_a_place_in_them) {
    uint64_t seed = 3;
    int good = 0;
    for (int i = 0; i < 12000; i++) {
        char pattern[WISP_PATTERN_BYTES + 1], text[40];
        int length = 1 + test_random_below(&seed, i % 2 ? 8 : WISP_PATTERN_BYTES), position = -1;
        wisp_pattern p;
        for (int k = 0; k < length; k++) {
            int byte = 1 + test_random_below(&seed, 255);
            pattern[k] = i % 3 ? ".[]()*+?|^$\\-a{}"[byte % 16] : (char)byte;
        }
        pattern[length] = 0;
        match_random_text(&seed, text, (int)sizeof text);
        if (wisp_pattern_compile(&p, pattern, &position)) {
            CHECK(position >= 0 && position < length);
            continue;
        }
        good++;
        CHECK_EQ_INT(position, -1);
        wisp__match_check(&p);
        wisp_pattern_matches(&p, text);
    }
    CHECK(good > 500);
}

/* All that stands before the place of an error is no error by itself, once groups are closed. */
TEST(the_place_of_an_error_is_the_first_that_is_wrong) {
    uint64_t seed = 4;
    int seen = 0;
    for (int i = 0; i < 12000; i++) {
        char pattern[80];
        wisp_pattern p;
        int position = -1, open = 0;
        soup(&seed, pattern, 64);
        if (wisp_pattern_compile(&p, pattern, &position) != WISP_E_PATTERN) continue;
        if (pattern[position] == '(') continue;
        pattern[position] = 0;
        if (wisp_pattern_compile(&p, pattern, &open) == WISP_OK) {
            seen++;
            continue;
        }
        CHECK(pattern[open] == '(' || pattern[open] == '[');
    }
    CHECK(seen > 2000);
}

static const test_case tests[] = {
    CASE(names_are_found_by_their_pattern),
    CASE(a_pattern_is_found_anywhere_but_for_anchors),
    CASE(repeats_and_groups_mean_what_they_mean_in_posix),
    CASE(nothing_can_be_a_branch_and_be_repeated),
    CASE(repeats_of_repeats_add_up),
    CASE(classes_hold_bytes_and_ranges),
    CASE(a_backslash_takes_the_meaning_away),
    CASE(bytes_that_mean_nothing_special_stand_for_themselves),
    CASE(wrong_patterns_tell_where),
    CASE(what_is_missing_is_told_and_nothing_else_touched),
    CASE(a_pattern_has_at_most_255_bytes),
    CASE(a_pattern_is_copied_and_needs_nothing_else),
    CASE(no_pattern_takes_more_than_its_length_for_a_byte),
    CASE(the_longest_patterns_are_linear_too),
    CASE(random_patterns_find_what_the_book_finds),
#ifdef HAS_REGEX
    CASE(random_patterns_find_what_posix_finds),
    CASE(random_bytes_make_sense_where_they_do_in_posix),
#endif
    CASE(random_bytes_are_compiled_or_refused_with_a_place_in_them),
    CASE(the_place_of_an_error_is_the_first_that_is_wrong),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
