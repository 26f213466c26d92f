/* fake_cipher.h - a cipher for tests of the protocol: deterministic, fast, and no secret at all

   It counts what is asked of it, and notices a key that seals two different texts by one number.
   Included after the implementation of wisp.h. */
#ifndef FAKE_CIPHER_H
#define FAKE_CIPHER_H

#include <stdlib.h>

enum { FAKE_SEALS = 1 << 16 };

typedef struct fake_seal { uint64_t place, text; } fake_seal;

typedef struct fake_cipher {
    wisp_cipher cipher;
    uint64_t    random;
    int         pairs, agreements, seals, opens, broken, wiped;
    int         reused;             /* numbers that a key has sealed two texts by */
    bool        fails;              /* cannot seal, nor make keys */
    fake_seal  *seen;               /* NULL: not watched */
    int         seen_count;
} fake_cipher;

static inline uint64_t fake_word(const uint64_t key[2], const void *bytes, int count) {
    return wisp__siphash(key, count ? bytes : "", count);
}

static inline uint64_t fake_times(uint64_t a, uint64_t b) {
    uint64_t high, low = wisp__multiply(a, b, &high), sum;
    sum = (low & WISP__P61) + (low >> 61 | high << 3);
    while (sum >= WISP__P61) sum -= WISP__P61;
    return sum;
}

static inline uint64_t fake_power(uint64_t base, uint64_t exponent) {
    uint64_t result = 1;
    for (; exponent; exponent >>= 1, base = fake_times(base, base))
        if (exponent & 1) result = fake_times(result, base);
    return result;
}

static inline void fake_fill(uint8_t *out, int bytes, uint64_t from) {
    for (int i = 0; i < bytes; i += 8) {
        uint64_t key[2] = { from, (uint64_t)i };
        wisp__store64(out + i, i ? fake_word(key, "fill", 4) : from);
    }
}

static inline bool fake_keypair(void *user, uint8_t *secret, uint8_t *public_key) {
    fake_cipher *f = (fake_cipher *)user;
    uint64_t key[2] = { f->random++, 7 };
    f->pairs++;
    fake_fill(secret, WISP_KEY_BYTES, fake_word(key, "pair", 4) >> 4);
    fake_fill(public_key, WISP_KEY_BYTES, fake_power(9, wisp__load64(secret)));
    return !f->fails;
}

static inline bool fake_agree(void *user, uint8_t *shared, const uint8_t *secret,
                              const uint8_t *public_key) {
    fake_cipher *f = (fake_cipher *)user;
    uint64_t made = fake_power(wisp__load64(public_key), wisp__load64(secret));
    f->agreements++;
    fake_fill(shared, WISP_KEY_BYTES, made);
    return made != 0 && !f->fails;
}

static inline uint64_t fake_digest(const wisp_box *box, uint64_t seed) {
    uint64_t key[2] = { seed, 3 }, words[4];
    words[0] = fake_word(key, box->beside, box->beside_bytes);
    words[1] = fake_word(key, box->from, box->bytes);
    words[2] = box->number;
    words[3] = (uint64_t)box->beside_bytes;
    return fake_word(key, words, (int)sizeof words);
}

static inline bool fake_hash(void *user, const wisp_box *box) {
    uint64_t words[8];
    (void)user;
    for (uint64_t i = 0; i < 8; i++) words[i] = fake_digest(box, i);
    memcpy(box->to, words, sizeof words);
    return true;
}

static inline bool fake_derive(void *user, const wisp_box *box) {
    uint64_t words[16];
    wisp_box both = *box;
    (void)user;
    both.beside = box->key;
    both.beside_bytes = WISP_HASH_BYTES;
    for (uint64_t i = 0; i < 16; i++) words[i] = fake_digest(&both, 100 + i);
    memcpy(box->to, words, sizeof words);
    return true;
}

/* The text with the key's stream on it. */
static inline void fake_stream(const wisp_box *box) {
    uint64_t key[2];
    const uint8_t *from = (const uint8_t *)box->from;
    uint8_t *to = (uint8_t *)box->to;
    key[0] = wisp__load64(box->key) ^ wisp__load64(box->key + 16);
    key[1] = wisp__load64(box->key + 8) ^ wisp__load64(box->key + 24);
    for (int i = 0; i < box->bytes; i += 8) {
        uint64_t words[2], stream;
        words[0] = box->number;
        words[1] = (uint64_t)i;
        stream = fake_word(key, words, (int)sizeof words);
        for (int k = i; k < box->bytes && k < i + 8; k++)
            to[k] = (uint8_t)(from[k] ^ stream >> 8 * (k - i));
    }
}

/* The tag of sealed bytes. */
static inline void fake_tag(const wisp_box *box, const void *sealed, uint8_t *tag) {
    wisp_box all = *box;
    uint64_t seed[2] = { 5, 6 }, key = fake_word(seed, box->key, WISP_KEY_BYTES);
    all.from = sealed;
    wisp__store64(tag, fake_digest(&all, key));
    wisp__store64(tag + 8, fake_digest(&all, ~key));
}

static inline void fake_watch(fake_cipher *f, const wisp_box *box) {
    uint64_t key[2] = { 11, box->number }, text = fake_digest(box, 1) | 1;
    uint64_t place = fake_word(key, box->key, WISP_KEY_BYTES) | 1;
    fake_seal *seen = &f->seen[place >> 8 & (FAKE_SEALS - 1)];
    while (seen->place && seen->place != place)
        if (++seen == f->seen + FAKE_SEALS) seen = f->seen;
    if (seen->place && seen->text != text) f->reused++;
    if (!seen->place && f->seen_count++ > FAKE_SEALS * 3 / 4) abort();
    seen->place = place;
    seen->text = text;
}

static inline bool fake_seal_box(void *user, const wisp_box *box) {
    fake_cipher *f = (fake_cipher *)user;
    f->seals++;
    if (f->seen) fake_watch(f, box);
    fake_stream(box);
    fake_tag(box, box->to, box->tag);
    return !f->fails;
}

static inline bool fake_open_box(void *user, const wisp_box *box) {
    fake_cipher *f = (fake_cipher *)user;
    uint8_t tag[WISP_SEAL_BYTES];
    f->opens++;
    fake_tag(box, box->from, tag);
    fake_stream(box);
    if (memcmp(tag, box->tag, sizeof tag) == 0) return true;
    f->broken++;
    return false;
}

static inline bool fake_random(void *user, void *out, int bytes) {
    fake_cipher *f = (fake_cipher *)user;
    for (int i = 0; i < bytes; i++) {
        uint64_t key[2] = { f->random++, 8 };
        ((uint8_t *)out)[i] = (uint8_t)fake_word(key, "random", 6);
    }
    return !f->fails;
}

static inline void fake_wipe(void *user, void *secret, int bytes) {
    ((fake_cipher *)user)->wiped++;
    memset(secret, 0, (size_t)bytes);
}

/* `seed`: ciphers of another seed make other keys. */
static inline const wisp_cipher *fake_open(fake_cipher *f, uint64_t seed) {
    memset(f, 0, sizeof *f);
    f->random = seed << 32;
    f->cipher.keypair = fake_keypair;
    f->cipher.agree = fake_agree;
    f->cipher.hash = fake_hash;
    f->cipher.derive = fake_derive;
    f->cipher.seal = fake_seal_box;
    f->cipher.open = fake_open_box;
    f->cipher.random = fake_random;
    f->cipher.wipe = fake_wipe;
    f->cipher.user = f;
    return &f->cipher;
}

static inline void fake_watched(fake_cipher *f) {
    f->seen = (fake_seal *)calloc(FAKE_SEALS, sizeof *f->seen);
}

static inline void fake_close(fake_cipher *f) {
    free(f->seen);
    f->seen = NULL;
}

#endif
