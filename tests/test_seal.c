/* test_seal.c - SipHash against its published vectors, the tag on packets, entropy */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "support/test_runner.h"
#include "support/values_and_memory.h"

static const uint64_t key_of_paper[2] = { UINT64_C(0x0706050403020100),
                                          UINT64_C(0x0f0e0d0c0b0a0908) };

/* --- SipHash-2-4 --- */

/* Of 00, 00 01, 00 01 02 ...: the vectors of the reference implementation. */
static const uint64_t siphash_vectors[64] = {
    UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd), UINT64_C(0x0d6c8009d9a94f5a),
    UINT64_C(0x85676696d7fb7e2d), UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
    UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137), UINT64_C(0x93f5f5799a932462),
    UINT64_C(0x9e0082df0ba9e4b0), UINT64_C(0x7a5dbbc594ddb9f3), UINT64_C(0xf4b32f46226bada7),
    UINT64_C(0x751e8fbc860ee5fb), UINT64_C(0x14ea5627c0843d90), UINT64_C(0xf723ca908e7af2ee),
    UINT64_C(0xa129ca6149be45e5), UINT64_C(0x3f2acc7f57c29bdb), UINT64_C(0x699ae9f52cbe4794),
    UINT64_C(0x4bc1b3f0968dd39c), UINT64_C(0xbb6dc91da77961bd), UINT64_C(0xbed65cf21aa2ee98),
    UINT64_C(0xd0f2cbb02e3b67c7), UINT64_C(0x93536795e3a33e88), UINT64_C(0xa80c038ccd5ccec8),
    UINT64_C(0xb8ad50c6f649af94), UINT64_C(0xbce192de8a85b8ea), UINT64_C(0x17d835b85bbb15f3),
    UINT64_C(0x2f2e6163076bcfad), UINT64_C(0xde4daaaca71dc9a5), UINT64_C(0xa6a2506687956571),
    UINT64_C(0xad87a3535c49ef28), UINT64_C(0x32d892fad841c342), UINT64_C(0x7127512f72f27cce),
    UINT64_C(0xa7f32346f95978e3), UINT64_C(0x12e0b01abb051238), UINT64_C(0x15e034d40fa197ae),
    UINT64_C(0x314dffbe0815a3b4), UINT64_C(0x027990f029623981), UINT64_C(0xcadcd4e59ef40c4d),
    UINT64_C(0x9abfd8766a33735c), UINT64_C(0x0e3ea96b5304a7d0), UINT64_C(0xad0c42d6fc585992),
    UINT64_C(0x187306c89bc215a9), UINT64_C(0xd4a60abcf3792b95), UINT64_C(0xf935451de4f21df2),
    UINT64_C(0xa9538f0419755787), UINT64_C(0xdb9acddff56ca510), UINT64_C(0xd06c98cd5c0975eb),
    UINT64_C(0xe612a3cb9ecba951), UINT64_C(0xc766e62cfcadaf96), UINT64_C(0xee64435a9752fe72),
    UINT64_C(0xa192d576b245165a), UINT64_C(0x0a8787bf8ecb74b2), UINT64_C(0x81b3e73d20b49b6f),
    UINT64_C(0x7fa8220ba3b2ecea), UINT64_C(0x245731c13ca42499), UINT64_C(0xb78dbfaf3a8d83bd),
    UINT64_C(0xea1ad565322a1a0b), UINT64_C(0x60e61c23a3795013), UINT64_C(0x6606d7e446282b93),
    UINT64_C(0x6ca4ecb15c5f91e1), UINT64_C(0x9f626da15c9625f3), UINT64_C(0xe51b38608ef25f57),
    UINT64_C(0x958a324ceb064572),
};

TEST(siphash_agrees_with_the_published_vectors) {
    uint8_t message[64];
    for (int i = 0; i < 64; i++) message[i] = (uint8_t)i;
    for (int i = 0; i < 64; i++)
        CHECK(wisp__siphash(key_of_paper, message, i) == siphash_vectors[i]);
}

TEST(siphash_reads_its_message_only) {
    for (int size = 0; size < 64; size++) {
        uint8_t *exact = (uint8_t *)malloc((size_t)size + 1) + 1;
        for (int i = 0; i < size; i++) exact[i] = (uint8_t)i;
        CHECK(wisp__siphash(key_of_paper, exact, size) == siphash_vectors[size]);
        free(exact - 1);
    }
}

TEST(siphash_depends_on_every_bit_of_key_and_message) {
    uint8_t message[20] = { 0 };
    uint64_t key[2] = { 0, 0 }, plain = wisp__siphash(key, message, 20);
    for (int bit = 0; bit < 128; bit++) {
        key[bit / 64] ^= UINT64_C(1) << bit % 64;
        CHECK(wisp__siphash(key, message, 20) != plain);
        key[bit / 64] ^= UINT64_C(1) << bit % 64;
    }
    for (int bit = 0; bit < 160; bit++) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(wisp__siphash(key, message, 20) != plain);
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (int size = 0; size < 20; size++) CHECK(wisp__siphash(key, message, size) != plain);
}

TEST(random_numbers_are_siphash_of_a_counter) {
    wisp__secret secret = { { 0, 0 }, 0 };
    uint64_t seen[1000];
    memcpy(secret.key, key_of_paper, sizeof secret.key);
    for (int i = 0; i < 1000; i++) {
        seen[i] = wisp__random(&secret);
        for (int k = 0; k < i; k++) CHECK(seen[i] != seen[k]);
    }
    CHECK(secret.counter == 1000);
    CHECK(seen[0] == UINT64_C(0x39d3851ca07681a7));
    CHECK(seen[1] == UINT64_C(0x2b91b2b085e6d1f6));
    CHECK(seen[255] == UINT64_C(0xdfff4e5b4b5092ae));
    CHECK(seen[256] == UINT64_C(0xb7509dad048f9b95));
}

/* --- arithmetic: the product by adding and shifting, one bit of b at a time --- */

static uint64_t slow_multiply(uint64_t a, uint64_t b, uint64_t *high) {
    uint64_t low = 0, top = 0;
    for (int bit = 63; bit >= 0; bit--) {
        top = top << 1 | low >> 63;
        low <<= 1;
        if (b >> bit & 1) {
            low += a;
            top += low < a;
        }
    }
    *high = top;
    return low;
}

static uint64_t slow_multiply_p61(uint64_t a, uint64_t b) {
    uint64_t sum = 0;
    a %= WISP__P61;
    for (int bit = 63; bit >= 0; bit--) {
        sum = sum * 2 % WISP__P61;
        if (b >> bit & 1) sum = (sum + a) % WISP__P61;
    }
    return sum;
}

static const uint64_t seal_edges[] = { 0, 1, 2, 3, 0xffffffff, UINT64_C(0x100000000),
                                       UINT64_C(0x100000001), UINT64_C(0x7fffffffffffffff),
                                       UINT64_C(0x8000000000000000), UINT64_MAX - 1, UINT64_MAX,
                                       (UINT64_C(1) << 61) - 2, (UINT64_C(1) << 61) - 1,
                                       UINT64_C(1) << 61, UINT64_C(1) << 60 };
enum { SEAL_EDGES = (int)(sizeof seal_edges / sizeof *seal_edges) };

static uint64_t edge_or_random(uint64_t *seed) {
    if (test_random(seed) & 1) return seal_edges[test_random_below(seed, SEAL_EDGES)];
    return test_random(seed) >> test_random_below(seed, 64);
}

TEST(products_have_128_bits) {
    uint64_t seed = 21;
    for (int i = 0; i < 5000; i++) {
        uint64_t a = edge_or_random(&seed), b = edge_or_random(&seed), high, slow_high;
        uint64_t low = wisp__multiply(a, b, &high);
        CHECK(low == slow_multiply(a, b, &slow_high));
        CHECK(high == slow_high);
    }
}

/* States are below 2^62, the multiplier below 2^60 and shifted by 3: what the hash hands over. */
TEST(products_modulo_the_prime) {
    uint64_t seed = 22;
    for (int i = 0; i < 5000; i++) {
        uint64_t a = edge_or_random(&seed) >> 2, b = edge_or_random(&seed) >> 4;
        uint64_t product = wisp__multiply_p61(a, b << 3);
        CHECK(product % WISP__P61 == slow_multiply_p61(a, b));
        CHECK(product <= WISP__P61 + 1);
    }
}

TEST(the_state_of_the_tag_stays_in_its_bounds) {
    uint64_t seed = 23;
    wisp__digest digest = { { UINT64_MAX >> 3, UINT64_MAX >> 3 } };
    wisp__seal seal;
    for (int i = 0; i < 2000; i++) {
        uint64_t secret[2];
        secret[0] = test_random(&seed);
        secret[1] = test_random(&seed);
        wisp__seal_init(&seal, secret);
        wisp__seal_absorb(&seal, &digest, edge_or_random(&seed));
        for (int k = 0; k < 2; k++) {
            CHECK(seal.poly[k] < UINT64_C(1) << 63 && seal.poly[k] > 0 && seal.poly[k] % 8 == 0);
            CHECK(digest.state[k] <= WISP__P61 + 1);
        }
    }
}

/* Words that are equal modulo the prime are not equal for both polynomials. */
TEST(every_bit_of_a_word_counts) {
    static const uint64_t words[] = { 0, 1, 5, WISP__P61, WISP__P61 - 1, UINT64_C(1) << 61,
                                      UINT64_MAX, UINT64_C(1) << 60, UINT64_C(15) << 60 };
    wisp__seal seal;
    wisp__seal_init(&seal, key_of_paper);
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++)
        for (int k = 1; k < 16; k++) {
            wisp__digest a = { { 3, 4 } }, b = { { 3, 4 } };
            wisp__seal_absorb(&seal, &a, words[i]);
            wisp__seal_absorb(&seal, &b, words[i] + (uint64_t)k * WISP__P61);
            CHECK(memcmp(&a, &b, sizeof a) != 0);
        }
}

/* --- the tag --- */

typedef struct tag_vector { int size, direction; uint64_t number, tag; } tag_vector;

/* Of bytes 3, 10, 17 ..., computed apart from this code, with integers of any size. */
static const tag_vector tag_vectors[] = {
    { 0, 0, UINT64_C(0x1), UINT64_C(0x2be0c325db6e94a3) },
    { 1, 1, UINT64_C(0x1), UINT64_C(0xda8bf1370ec87f58) },
    { 7, 0, UINT64_C(0xffff), UINT64_C(0xc1ac90d9c0e4443a) },
    { 8, 1, UINT64_C(0x10000), UINT64_C(0xa2dcb568674a52cb) },
    { 9, 0, UINT64_C(0xffffffff), UINT64_C(0x9440ead527da4fd1) },
    { 15, 1, UINT64_C(0x100000000), UINT64_C(0x29cf110597d52f21) },
    { 16, 0, UINT64_C(0x7fffffffffffffff), UINT64_C(0x5e72c4b546eeec38) },
    { 17, 1, UINT64_C(0xffffffffffffffff), UINT64_C(0xe28f0faa9404f87a) },
    { 31, 0, UINT64_C(0x8000000000000001), UINT64_C(0xe1dee0b330067a08) },
    { 63, 1, UINT64_C(0x1), UINT64_C(0x7ae787a0812fe555) },
    { 64, 0, UINT64_C(0x1), UINT64_C(0x290628a90f3f7f1e) },
    { 65, 1, UINT64_C(0xffff), UINT64_C(0xe5c3771b4329b99f) },
    { 127, 0, UINT64_C(0x10000), UINT64_C(0x377729410fd3a97f) },
    { 128, 1, UINT64_C(0xffffffff), UINT64_C(0x0063044fbb94dd9d) },
    { 129, 0, UINT64_C(0x100000000), UINT64_C(0x4325d27d1e6aebe2) },
    { 143, 1, UINT64_C(0x7fffffffffffffff), UINT64_C(0x831b571d404a3164) },
    { 144, 0, UINT64_C(0xffffffffffffffff), UINT64_C(0x1b58ee088b5d8f2d) },
    { 255, 1, UINT64_C(0x8000000000000001), UINT64_C(0x75d143da55ab3033) },
    { 256, 0, UINT64_C(0x1), UINT64_C(0x483af610f588ebfa) },
    { 257, 1, UINT64_C(0x1), UINT64_C(0xbf3d7fa82542aaad) },
    { 1195, 0, UINT64_C(0xffff), UINT64_C(0xf98df0c3be1eddc6) },
    { 1200, 1, UINT64_C(0x10000), UINT64_C(0x1f73a514c074ee28) },
    { 4096, 0, UINT64_C(0xffffffff), UINT64_C(0x87bb71aba84175ed) },
};

static void fill(uint8_t *bytes, int size) {
    for (int i = 0; i < size; i++) bytes[i] = (uint8_t)(i * 7 + 3);
}

TEST(tags_are_the_same_on_every_machine) {
    uint8_t bytes[4096];
    wisp__seal seal;
    fill(bytes, sizeof bytes);
    wisp__seal_init(&seal, key_of_paper);
    for (int i = 0; i < (int)(sizeof tag_vectors / sizeof *tag_vectors); i++) {
        const tag_vector *v = &tag_vectors[i];
        CHECK(wisp__seal_tag(&seal, v->direction, v->number, bytes, v->size) == v->tag);
    }
}

TEST(a_tag_reads_its_bytes_only_and_at_any_address) {
    wisp__seal seal;
    wisp__seal_init(&seal, key_of_paper);
    for (int size = 0; size < 300; size++) {
        uint8_t *a = (uint8_t *)malloc((size_t)size + 1), *b = (uint8_t *)malloc((size_t)size + 3);
        fill(a, size);
        fill(b + 3, size);
        CHECK(wisp__seal_tag(&seal, 1, 9, a, size) == wisp__seal_tag(&seal, 1, 9, b + 3, size));
        free(a);
        free(b);
    }
}

TEST(every_flipped_bit_changes_the_tag) {
    static const int sizes[] = { 1, 7, 8, 9, 16, 17, 100, 127, 128, 129, 200, 256, 257 };
    uint8_t bytes[300];
    wisp__seal seal;
    wisp__seal_init(&seal, key_of_paper);
    fill(bytes, sizeof bytes);
    for (int i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++) {
        uint64_t tag = wisp__seal_tag(&seal, 0, 5, bytes, sizes[i]);
        for (int bit = 0; bit < sizes[i] * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            CHECK(wisp__seal_tag(&seal, 0, 5, bytes, sizes[i]) != tag);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

TEST(every_length_has_its_tag_also_of_zeros) {
    static const uint8_t zeros[600] = { 0 };
    uint64_t tags[601];
    wisp__seal seal;
    wisp__seal_init(&seal, key_of_paper);
    for (int size = 0; size <= 600; size++) {
        tags[size] = wisp__seal_tag(&seal, 0, 5, zeros, size);
        for (int k = 0; k < size; k++) CHECK(tags[size] != tags[k]);
    }
}

TEST(number_and_direction_change_the_tag) {
    uint8_t bytes[50];
    wisp__seal seal;
    wisp__seal_init(&seal, key_of_paper);
    fill(bytes, sizeof bytes);
    for (int bit = 0; bit < 64; bit++) {
        uint64_t number = UINT64_C(0x123456789), other = number ^ UINT64_C(1) << bit;
        uint64_t tag = wisp__seal_tag(&seal, 0, number, bytes, 50);
        CHECK(wisp__seal_tag(&seal, 0, other, bytes, 50) != tag);
        CHECK(wisp__seal_tag(&seal, 1, other, bytes, 50) != tag);
        CHECK(wisp__seal_tag(&seal, 1, number, bytes, 50) != tag);
    }
}

TEST(numbers_of_both_directions_do_not_meet) {
    enum { MOST = 512 };
    uint64_t tags[2 * MOST];
    uint8_t bytes[20];
    wisp__seal seal;
    wisp__seal_init(&seal, key_of_paper);
    fill(bytes, sizeof bytes);
    for (int i = 0; i < 2 * MOST; i++) {
        tags[i] = wisp__seal_tag(&seal, i & 1, (uint64_t)i / 2, bytes, 20);
        for (int k = 0; k < i; k++) CHECK(tags[i] != tags[k]);
    }
}

/* Of equal packets, one for each number, no two have one tag, nor half of it often. */
TEST(no_tag_repeats_for_another_number) {
    enum { MANY = 20000, BUCKETS = 4096 };
    static int high[BUCKETS], low[BUCKETS];
    uint8_t bytes[20];
    wisp__seal seal;
    memset(high, 0, sizeof high);
    memset(low, 0, sizeof low);
    wisp__seal_init(&seal, key_of_paper);
    fill(bytes, sizeof bytes);
    for (int i = 0; i < MANY; i++) {
        uint64_t tag = wisp__seal_tag(&seal, 0, (uint64_t)i, bytes, 20);
        uint64_t again = wisp__seal_tag(&seal, 0, (uint64_t)i + (UINT64_C(1) << (i % 44 + 20)),
                                        bytes, 20);
        CHECK(tag != again);
        high[tag >> 52]++;
        low[tag % BUCKETS]++;
    }
    for (int i = 0; i < BUCKETS; i++) CHECK(high[i] < 25 && low[i] < 25);
}

TEST(blocks_and_words_cannot_be_swapped) {
    uint8_t bytes[512], swapped[512];
    static const int units[] = { 8, 16, 64, 128 };
    wisp__seal seal;
    wisp__seal_init(&seal, key_of_paper);
    fill(bytes, sizeof bytes);
    for (int i = 0; i < 4; i++)
        for (int at = 0; at + 2 * units[i] <= 512; at += units[i]) {
            size_t unit = (size_t)units[i];
            memcpy(swapped, bytes, 512);
            memcpy(swapped + at, bytes + at + unit, unit);
            memcpy(swapped + at + unit, bytes + at, unit);
            if (memcmp(swapped, bytes, 512) == 0) continue;
            CHECK(wisp__seal_tag(&seal, 0, 1, swapped, 512) !=
                  wisp__seal_tag(&seal, 0, 1, bytes, 512));
        }
}

TEST(every_bit_of_the_secret_changes_the_tag) {
    uint8_t bytes[40];
    uint64_t secret[2] = { 1, 2 };
    uint64_t tags[129];
    wisp__seal seal;
    fill(bytes, sizeof bytes);
    wisp__seal_init(&seal, secret);
    tags[128] = wisp__seal_tag(&seal, 0, 1, bytes, 40);
    for (int bit = 0; bit < 128; bit++) {
        secret[bit / 64] ^= UINT64_C(1) << bit % 64;
        wisp__seal_init(&seal, secret);
        tags[bit] = wisp__seal_tag(&seal, 0, 1, bytes, 40);
        CHECK(tags[bit] != tags[128]);
        for (int k = 0; k < bit; k++) CHECK(tags[bit] != tags[k]);
        secret[bit / 64] ^= UINT64_C(1) << bit % 64;
    }
}

TEST(tags_of_counting_messages_look_random) {
    enum { MANY = 4000 };
    int ones[64] = { 0 };
    wisp__seal seal;
    wisp__seal_init(&seal, key_of_paper);
    for (int i = 0; i < MANY; i++) {
        uint8_t bytes[8];
        uint64_t tag;
        wisp__store64(bytes, (uint64_t)i);
        tag = wisp__seal_tag(&seal, 0, 1, bytes, 8);
        for (int bit = 0; bit < 64; bit++) ones[bit] += (int)(tag >> bit & 1);
    }
    for (int bit = 0; bit < 64; bit++) CHECK_NEAR(ones[bit], MANY / 2, 200);
}

/* --- entropy --- */

TEST(the_systems_entropy_fills_exactly_what_is_asked) {
    uint8_t *a = (uint8_t *)calloc(1, 64), *b = (uint8_t *)calloc(1, 64);
    uint8_t some[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    int changed = 0;
    CHECK(wisp__system_entropy(NULL, a, 64));
    CHECK(wisp__system_entropy(NULL, b, 64));
    CHECK(memcmp(a, b, 64) != 0);
    for (int i = 0; i < 64; i++) changed += a[i] != 0;
    CHECK(changed > 40);
    CHECK(wisp__system_entropy(NULL, some, 0));
    CHECK_EQ_MEM(some, "\1\2\3\4\5\6\7\10", 8);
    free(a);
    free(b);
}

static const test_case tests[] = {
    CASE(siphash_agrees_with_the_published_vectors),
    CASE(siphash_reads_its_message_only),
    CASE(siphash_depends_on_every_bit_of_key_and_message),
    CASE(random_numbers_are_siphash_of_a_counter),
    CASE(products_have_128_bits),
    CASE(products_modulo_the_prime),
    CASE(the_state_of_the_tag_stays_in_its_bounds),
    CASE(every_bit_of_a_word_counts),
    CASE(tags_are_the_same_on_every_machine),
    CASE(a_tag_reads_its_bytes_only_and_at_any_address),
    CASE(every_flipped_bit_changes_the_tag),
    CASE(every_length_has_its_tag_also_of_zeros),
    CASE(number_and_direction_change_the_tag),
    CASE(numbers_of_both_directions_do_not_meet),
    CASE(no_tag_repeats_for_another_number),
    CASE(blocks_and_words_cannot_be_swapped),
    CASE(every_bit_of_the_secret_changes_the_tag),
    CASE(tags_of_counting_messages_look_random),
    CASE(the_systems_entropy_fills_exactly_what_is_asked),
};

int main(int argc, char **argv) {
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
