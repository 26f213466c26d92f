/* test_decimal.c - numbers as text: rounded right when read, as short as can be when written */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"

#define NONE UINT64_MAX     /* the bits of no number that can be read */

/* Takes a text apart that ends where its block ends, so that a sanitizer sees a read beyond it.
   Returns how many bytes of it are a number, or -1. */
static int scan(const char *text, wisp__decimal_text *n, double *number) {
    size_t size = strlen(text);
    uint8_t *copy = (uint8_t *)malloc(size ? size : 1);
    const uint8_t *end;
    int taken = -1;
    if (!CHECK(copy)) return -1;
    if (size) memcpy(copy, text, size);
    end = wisp__decimal_scan(copy, copy + size, n);
    if (end) taken = (int)(end - copy);
    if (end && wisp__decimal_to_double(n, number)) *number = low_nan();
    free(copy);
    return taken;
}

/* The bits of the double that a text says; NONE: it is no number, or not only that. */
static uint64_t read_bits(const char *text) {
    wisp__decimal_text n;
    double number = 0;
    return scan(text, &n, &number) == (int)strlen(text) ? low_bits_of(number) : NONE;
}

static const char *short_double(double number) {
    static char text[WISP__DECIMAL_BYTES + 1];
    text[wisp__decimal_write_bits((uint8_t *)text, wisp__double_bits(number), false)] = 0;
    return text;
}

static const char *short_float(float number) {
    static char text[WISP__DECIMAL_BYTES + 1];
    text[wisp__decimal_write_bits((uint8_t *)text, wisp__float_bits(number), true)] = 0;
    return text;
}

/* --- numbers read --- */

TEST(what_stands_after_a_number_is_left) {
    static const struct { const char *text; int taken; } texts[] = {
        { "0", 1 }, { "-0", 2 }, { "00", -1 }, { "01", -1 }, { "-", -1 }, { "", -1 }, { "+1", -1 },
        { ".5", -1 }, { "1.", -1 }, { "1.e3", -1 }, { "1e", -1 }, { "1e+", -1 }, { "1.5,", 3 },
        { "12x", 2 }, { "1e5e5", 3 }, { "1.5.5", 3 }, { "-1.25E-3]", 8 }, { "123456789012 3", 12 },
    };
    wisp__decimal_text n;
    double number;
    for (int i = 0; i < TEST_COUNT(texts); i++)
        CHECK_EQ_INT(scan(texts[i].text, &n, &number), texts[i].taken);
}

/* Twenty digits that fit 64 bits are all kept; of more, the first 19. */
TEST(digits_are_exact_to_64_bits) {
    wisp__decimal_text n;
    double number = 0;
    scan("18446744073709551615", &n, &number);
    CHECK(n.whole && n.fits && n.digits == UINT64_MAX);
    CHECK(low_bits_of(number) == low_bits_of(18446744073709551616.0));
    scan("-18446744073709551616", &n, &number);
    CHECK(n.whole && n.negative && n.more && !n.fits);
    CHECK(n.digits == UINT64_C(1844674407370955161) && n.power == 1);
    scan("9999999999999999999", &n, &number);
    CHECK(n.whole && !n.more && n.digits == UINT64_C(9999999999999999999));
    scan("5.0", &n, &number);
    CHECK(!n.whole && n.digits == 50 && n.power == -1);
}

typedef struct vector { const char *text; uint64_t bits; } vector;

/* Halves of the smallest number and of the largest, ties to even, powers of two and ten, and those
   that known readers got wrong. */
TEST(numbers_are_rounded_right) {
    static const vector vectors[] = {
        { "0.1", UINT64_C(0x3fb999999999999a) }, { "1e23", UINT64_C(0x44b52d02c7e14af6) },
        { "9007199254740993.0", UINT64_C(0x4340000000000000) },
        { "9007199254740993.00000000000000000000", UINT64_C(0x4340000000000000) },
        { "9007199254740993.00000000000000000001", UINT64_C(0x4340000000000001) },
        { "9007199254740992.99999999999999999999", UINT64_C(0x4340000000000000) },
        { "9007199254740995.0", UINT64_C(0x4340000000000002) },
        { "900719925474099300e-2", UINT64_C(0x4340000000000000) },
        { "5e-324", 1 }, { "4.9406564584124654e-324", 1 }, { "2.5e-324", 1 }, { "2e-324", 0 },
        { "2.4703282292062327e-324", 0 }, { "2.4703282292062328e-324", 1 },
        { "2.47032822920623272088284396434110686182e-324", 0 },
        { "2.47032822920623272088284396434110686183e-324", 1 },
        { "1e-400", 0 }, { "1e-99999999999999999999", 0 }, { "123456789012345678901e-360", 0 },
        { "2.2250738585072011e-308", UINT64_C(0x000fffffffffffff) },
        { "2.2250738585072012e-308", UINT64_C(0x0010000000000000) },
        { "2.2250738585072014e-308", UINT64_C(0x0010000000000000) },
        { "1e308", UINT64_C(0x7fe1ccf385ebc8a0) },
        { "1.7976931348623157e308", UINT64_C(0x7fefffffffffffff) },
        { "1.7976931348623158e308", UINT64_C(0x7fefffffffffffff) },
        { "179769313486231570000000000000000e276", UINT64_C(0x7fefffffffffffff) },
        { "6.631236846766476e-316", 0x8000000 }, { "9.5e-322", 192 },
        { "3.518437208883201171875e13", UINT64_C(0x42c0000000000002) },
        { "62.5364939768271845828", UINT64_C(0x404f44abd5aa7ca4) },
        { "8.10109172351e-10", UINT64_C(0x3e0bd5cbaef0fd0c) },
        { "1.50000000000000011102230246251565", UINT64_C(0x3ff8000000000000) },
        { "1.50000000000000011102230246251566", UINT64_C(0x3ff8000000000001) },
        { "0.000000000000000000000000000000000000001", UINT64_C(0x37d5c72fb1552d83) },
        { "1.00000000000000011102230246251565404236316680908203125",
          UINT64_C(0x3ff0000000000000) },
        { "1.00000000000000011102230246251565404236316680908203126",
          UINT64_C(0x3ff0000000000001) },
        { "1.00000000000000011102230246251565404236316680908203124",
          UINT64_C(0x3ff0000000000000) },
    };
    for (int i = 0; i < (int)(sizeof vectors / sizeof *vectors); i++) {
        if (!CHECK(read_bits(vectors[i].text) == vectors[i].bits))
            printf("  %s\n", vectors[i].text);
    }
}

TEST(what_is_beyond_all_doubles_is_none) {
    static const char *const texts[] = { "1.7976931348623159e308", "1e309", "-1e400",
                                         "1e99999999999999999999" };
    for (int i = 0; i < TEST_COUNT(texts); i++)
        CHECK(read_bits(texts[i]) == low_bits_of(low_nan()));
    CHECK(read_bits("1e-99999999999999999999") == 0);
    CHECK(read_bits("-1e-99999999999999999999") == UINT64_C(1) << 63);
}

/* Zeros without end change nothing: on the left, on the right, after the point, in the exponent. */
TEST(long_texts_of_numbers_are_read_right) {
    static char text[5000];
    for (int zeros = 0; zeros < 2000; zeros += 37) {
        snprintf(text, sizeof text, "0.%0*d123e%d", zeros, 0, (zeros ? zeros : 1) + 3);
        CHECK(read_bits(text) == low_bits_of(123.0));
        snprintf(text, sizeof text, "1%0*de-%d", zeros, 0, zeros ? zeros : 1);
        CHECK(read_bits(text) == low_bits_of(1.0));
        snprintf(text, sizeof text, "1.5%0*d", zeros, 0);
        CHECK(read_bits(text) == low_bits_of(1.5));
        snprintf(text, sizeof text, "1.5e%0*d", zeros, 0);
        CHECK(read_bits(text) == low_bits_of(1.5));
        snprintf(text, sizeof text, "9007199254740993.%0*d1", zeros, 0);
        CHECK(read_bits(text) == low_bits_of(9007199254740994.0));
    }
}

/* An integer of 53 bits and a half, and what is a little more or less. */
TEST(middles_of_doubles_go_to_the_even_one) {
    static const char *const fractions[] = { "5", "50000000000000000001", "49999999999999999999" };
    uint64_t seed = 4;
    for (int i = 0; i < 3000; i++) {
        uint64_t whole = test_random(&seed) >> 12 | UINT64_C(1) << 52;
        uint64_t nearest[3];
        char text[64];
        nearest[0] = whole + (whole & 1);
        nearest[1] = whole + 1;
        nearest[2] = whole;
        for (int k = 0; k < 3; k++) {
            snprintf(text, sizeof text, "%llu.%s", (unsigned long long)whole, fractions[k]);
            CHECK(read_bits(text) == low_bits_of((double)nearest[k]));
        }
    }
}

/* --- floats, rounded once --- */

/* The bits of the float that a text says. */
static uint32_t read_float(const char *text) {
    wisp__decimal_text n;
    double number = 0;
    const uint8_t *bytes = (const uint8_t *)text;
    wisp__decimal_scan(bytes, bytes + strlen(text), &n);
    if (wisp__decimal_to_double(&n, &number)) return UINT32_MAX;
    return wisp__bits_narrow(low_bits_of(number), wisp__decimal_from(&n, low_bits_of(number)));
}

/* Texts whose nearest double lies in the middle of two floats: what is cut off decides. */
TEST(a_float_is_rounded_once) {
    static const struct { const char *text; uint32_t bits; } vectors[] = {
        { "7.038531e-26", 0x15ae43fd }, { "-7.038531e-26", 0x95ae43fd }, { "0.1", 0x3dcccccd },
        { "16777217.0", 0x4b800000 }, { "16777217.00000000000000001", 0x4b800001 },
        { "16777216.99999999999999999", 0x4b800000 }, { "16777219.0", 0x4b800002 },
        { "16777218.99999999999999999", 0x4b800001 }, { "-0.0", 0x80000000 },
        { "1.4e-45", 1 }, { "1e-46", 0 }, { "1e-400", 0 }, { "1.17549435e-38", 0x00800000 },
        { "1.1754942e-38", 0x007fffff },
        { "7.006492321624085354618e-46", 0 }, { "7.006492321624085354619e-46", 1 },
        { "7.00649232162408535461864791644958065640130970938257885878534141944895541342930300743319"
          "094181060791015625e-46", 0 },
        { "7.00649232162408535461864791644958065640130970938257885878534141944895541342930300743319"
          "0941810607910156251e-46", 1 },
        { "2.1019476964872256063856e-45", 2 }, { "2.1019476964872256063855e-45", 1 },
        { "3.4028235e38", 0x7f7fffff }, { "3.40282356779733661637e38", 0x7f7fffff },
        { "340282356779733661637539395458142568447.9", 0x7f7fffff },
        { "340282356779733661637539395458142568448.0", 0x7f800000 },
        { "3.40282356779733661638e38", 0x7f800000 },
    };
    for (int i = 0; i < TEST_COUNT(vectors); i++)
        if (!CHECK_EQ_INT(read_float(vectors[i].text), vectors[i].bits))
            printf("  %s\n", vectors[i].text);
}

TEST(middles_of_floats_go_to_the_even_one) {
    static const char *const fractions[] = { "5", "500000000000000000001", "4999999999999999999" };
    uint64_t seed = 5;
    for (int i = 0; i < 3000; i++) {
        uint32_t whole = (uint32_t)(test_random(&seed) >> 41) | 1u << 23;
        uint32_t bits = whole - (1u << 23) + (150u << 23), nearest[3];
        char text[64];
        nearest[0] = bits + (bits & 1);
        nearest[1] = bits + 1;
        nearest[2] = bits;
        for (int k = 0; k < 3; k++) {
            snprintf(text, sizeof text, "%lu.%s", (unsigned long)whole, fractions[k]);
            CHECK_EQ_INT(read_float(text), nearest[k]);
        }
    }
}

#ifndef _WIN32                     /* whose strtof rounds twice */
static uint32_t library_float(const char *text) {
    float number = strtof(text, NULL);
    uint32_t bits;
    memcpy(&bits, &number, 4);
    return bits;
}

/* Any digits, and those of the double in the middle of two floats with its last digits changed. */
TEST(floats_are_what_the_library_reads) {
    uint64_t seed = 6;
    for (int i = 0; i < 40000; i++) {
        uint32_t bits = (uint32_t)test_random(&seed) & 0x7fffffff;
        uint64_t middle = wisp__bits_widen(bits % 0x7f7fffff) + (UINT64_C(1) << 28);
        char text[80];
        int digits = 1 + test_random_below(&seed, 22);
        if (i % 4 == 0)
            snprintf(text, sizeof text, "%llue%d", (unsigned long long)test_random(&seed),
                     test_random_below(&seed, 84) - 65);
        else if (i % 4 == 1)
            snprintf(text, sizeof text, "%.*e", digits, low_double_of(wisp__bits_widen(bits %
                                                                                      0x7f7fffff)));
        else
            snprintf(text, sizeof text, "%.*e", i % 4 == 2 ? digits : 40 + digits,
                     low_double_of(middle));
        if (!CHECK_EQ_INT(read_float(text), library_float(text))) printf("  %s\n", text);
    }
}
#endif

/* --- powers of ten, by long multiplication --- */

static void big_of(wisp__decimal_big *big, uint64_t high, uint64_t low) {
    uint32_t limbs[4];
    limbs[0] = (uint32_t)low, limbs[1] = (uint32_t)(low >> 32);
    limbs[2] = (uint32_t)high, limbs[3] = (uint32_t)(high >> 32);
    memcpy(big->limbs, limbs, sizeof limbs);
    for (big->count = 4; big->count > 0 && !limbs[big->count - 1];) big->count--;
}

/* Is the significand at least (or, exactly) 10^power? Both sides become integers. */
static int compare_power(int power, wisp__decimal_power ten) {
    wisp__decimal_big said, truth;
    int twos = power - (wisp__decimal_log2(power) - 127);    /* 5^power * 2^twos is the truth */
    big_of(&said, ten.high, ten.low);
    big_of(&truth, 0, 1);
    if (power >= 0) wisp__decimal_big_fives(&truth, power);
    else wisp__decimal_big_fives(&said, -power);
    if (twos >= 0) wisp__decimal_big_twos(&truth, twos);
    else wisp__decimal_big_twos(&said, -twos);
    return wisp__decimal_big_compare(&said, &truth);
}

TEST(powers_of_ten_are_exact_or_rounded_up) {
    for (int power = WISP__DECIMAL_POWER_MIN; power <= WISP__DECIMAL_POWER_MAX; power++) {
        wisp__decimal_power ten = wisp__decimal_power_of(power);
        int order = compare_power(power, ten);
        CHECK(ten.high >> 63);
        if (power >= 0 && power <= WISP__DECIMAL_POWER_EXACT) {
            CHECK_EQ_INT(order, 0);
            continue;
        }
        CHECK_EQ_INT(order, 1);
        CHECK(ten.low != 0);
        ten.low--;
        CHECK_EQ_INT(compare_power(power, ten), -1);
    }
}

/* --- numbers written --- */

TEST(numbers_have_one_short_form) {
    CHECK_EQ_STR(short_double(0), "0");
    CHECK_EQ_STR(short_double(-0.0), "-0.0");
    CHECK_EQ_STR(short_double(5), "5");
    CHECK_EQ_STR(short_double(-100), "-100");
    CHECK_EQ_STR(short_double(0.1), "0.1");
    CHECK_EQ_STR(short_double(-1.5), "-1.5");
    CHECK_EQ_STR(short_double(123.456), "123.456");
    CHECK_EQ_STR(short_double(0.000001), "0.000001");
    CHECK_EQ_STR(short_double(0.00000125), "0.00000125");
    CHECK_EQ_STR(short_double(0.0000001), "1e-7");
    CHECK_EQ_STR(short_double(1.25e-7), "1.25e-7");
    CHECK_EQ_STR(short_double(9007199254740992.0), "9007199254740992");
    CHECK_EQ_STR(short_double(1e15), "1000000000000000");
    CHECK_EQ_STR(short_double(1e16), "1e16");
    CHECK_EQ_STR(short_double(12345678901234568.0), "12345678901234568");
    CHECK_EQ_STR(short_double(1e23), "1e23");
    CHECK_EQ_STR(short_double(9.5e22), "9.5e22");
    CHECK_EQ_STR(short_double(9223372036854775808.0), "9.223372036854776e18");
    CHECK_EQ_STR(short_double(5e-324), "5e-324");
    CHECK_EQ_STR(short_double(2.2250738585072014e-308), "2.2250738585072014e-308");
    CHECK_EQ_STR(short_double(2.225073858507201e-308), "2.225073858507201e-308");
    CHECK_EQ_STR(short_double(-1.7976931348623157e308), "-1.7976931348623157e308");
    CHECK_EQ_STR(short_double(1.0 / 3), "0.3333333333333333");
}

TEST(floats_are_as_short_as_floats_can_be) {
    CHECK_EQ_STR(short_float(0.1f), "0.1");
    CHECK_EQ_STR(short_float(-0.0f), "-0.0");
    CHECK_EQ_STR(short_float(3.4028235e38f), "3.4028235e38");
    CHECK_EQ_STR(short_float(1e-45f), "1e-45");
    CHECK_EQ_STR(short_float(1.1754944e-38f), "1.1754944e-38");
    CHECK_EQ_STR(short_float(16777216.0f), "16777216");
    CHECK_EQ_STR(short_float(1e7f), "10000000");
    CHECK_EQ_STR(short_float(1073741824.0f), "1.0737418e9");
    CHECK_EQ_STR(short_float(0.3f), "0.3");
    CHECK_EQ_STR(short_float(8388608.5f), "8388608");
    CHECK_EQ_STR(short_float(33554432.0f), "33554432");
}

TEST(infinities_and_what_is_no_number_are_not_written) {
    double infinity = low_double_of(UINT64_C(0x7ff) << 52);
    CHECK_EQ_STR(short_double(infinity), "");
    CHECK_EQ_STR(short_double(-infinity), "");
    CHECK_EQ_STR(short_double(low_nan()), "");
    CHECK_EQ_STR(short_float((float)infinity), "");
    CHECK_EQ_STR(short_float((float)low_nan()), "");
}

TEST(what_is_written_is_read_back_to_the_bit) {
    uint64_t seed = 9;
    for (int i = 0; i < 100000; i++) {
        double number = low_double(&seed);
        const char *text = short_double(number);
        CHECK(strlen(text) <= 25);
        CHECK(read_bits(text) == low_bits_of(number));
    }
}

/* One digit less, rounded either way, is another number. */
TEST(no_shorter_text_says_the_same_number) {
    uint64_t seed = 3;
    for (int i = 0; i < 30000; i++) {
        uint64_t bits = low_bits_of(low_double(&seed)) & ~(UINT64_C(1) << 63);
        wisp__decimal d;
        if (bits == 0) continue;
        d = wisp__decimal_of(bits, 52);
        if (d.power == 0 || d.digits < 10) continue;
        for (int up = 0; up < 2; up++) {
            char text[64];
            snprintf(text, sizeof text, "%llue%d",
                     (unsigned long long)(d.digits / 10) + (unsigned)up, d.power + 1);
            CHECK(read_bits(text) != bits);
        }
    }
}

static const test_case tests[] = {
    CASE(what_stands_after_a_number_is_left),
    CASE(digits_are_exact_to_64_bits),
    CASE(numbers_are_rounded_right),
    CASE(what_is_beyond_all_doubles_is_none),
    CASE(long_texts_of_numbers_are_read_right),
    CASE(middles_of_doubles_go_to_the_even_one),
    CASE(a_float_is_rounded_once),
    CASE(middles_of_floats_go_to_the_even_one),
#ifndef _WIN32
    CASE(floats_are_what_the_library_reads),
#endif
    CASE(powers_of_ten_are_exact_or_rounded_up),
    CASE(numbers_have_one_short_form),
    CASE(floats_are_as_short_as_floats_can_be),
    CASE(infinities_and_what_is_no_number_are_not_written),
    CASE(what_is_written_is_read_back_to_the_bit),
    CASE(no_shorter_text_says_the_same_number),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
