/* wisp_sodium.h - the cipher of sealed sessions over libsodium (package libsodium-dev, -lsodium)

   Include it after wisp.h. desc.cipher = wisp_sodium(); NULL: libsodium does not work here. */
#ifndef WISP_SODIUM_H
#define WISP_SODIUM_H

#include <sodium.h>
#include <string.h>

static inline bool wisp_sodium_keypair(void *user, uint8_t *secret, uint8_t *public_key) {
    (void)user;
    randombytes_buf(secret, WISP_KEY_BYTES);
    return crypto_scalarmult_base(public_key, secret) == 0;
}

static inline bool wisp_sodium_agree(void *user, uint8_t *shared, const uint8_t *secret,
                                     const uint8_t *public_key) {
    (void)user;
    return crypto_scalarmult(shared, secret, public_key) == 0;
}

static inline bool wisp_sodium_hash(void *user, const wisp_box *box) {
    crypto_generichash_blake2b_state state;
    bool done;
    const unsigned char *beside = (const unsigned char *)box->beside;
    const unsigned char *from = (const unsigned char *)box->from;
    (void)user;
    crypto_generichash_blake2b_init(&state, NULL, 0, WISP_HASH_BYTES);
    if (box->beside_bytes)
        crypto_generichash_blake2b_update(&state, beside, (unsigned)box->beside_bytes);
    if (box->bytes) crypto_generichash_blake2b_update(&state, from, (unsigned)box->bytes);
    done = crypto_generichash_blake2b_final(&state, (unsigned char *)box->to,
                                            WISP_HASH_BYTES) == 0;
    sodium_memzero(&state, sizeof state);       /* a key may have been in it */
    return done;
}

/* HMAC (RFC 2104) over BLAKE2b, whose blocks are twice as long as the key. */
static inline void wisp_sodium_hmac(const uint8_t *key, const void *text, int bytes, uint8_t *out) {
    uint8_t pad[2 * WISP_HASH_BYTES];
    wisp_box box = { NULL, 0, pad, sizeof pad, text, out, bytes, NULL };
    for (int i = 0; i < (int)sizeof pad; i++)
        pad[i] = (uint8_t)((i < WISP_HASH_BYTES ? key[i] : 0) ^ 0x36);
    wisp_sodium_hash(NULL, &box);
    for (int i = 0; i < (int)sizeof pad; i++) pad[i] ^= 0x36 ^ 0x5c;
    box.from = out;
    box.bytes = WISP_HASH_BYTES;
    wisp_sodium_hash(NULL, &box);
    sodium_memzero(pad, sizeof pad);
}

static inline bool wisp_sodium_derive(void *user, const wisp_box *box) {
    uint8_t key[WISP_HASH_BYTES], text[WISP_HASH_BYTES + 1];
    uint8_t *first = (uint8_t *)box->to, *second = first + WISP_HASH_BYTES;
    (void)user;
    wisp_sodium_hmac(box->key, box->from, box->bytes, key);
    text[0] = 1;
    wisp_sodium_hmac(key, text, 1, first);
    memcpy(text, first, WISP_HASH_BYTES);
    text[WISP_HASH_BYTES] = 2;
    wisp_sodium_hmac(key, text, sizeof text, second);
    sodium_memzero(key, sizeof key);
    sodium_memzero(text, sizeof text);
    return true;
}

static inline void wisp_sodium_nonce(const wisp_box *box, unsigned char nonce[12]) {
    memset(nonce, 0, 4);
    for (int i = 0; i < 8; i++) nonce[4 + i] = (unsigned char)(box->number >> 8 * i);
}

static inline bool wisp_sodium_seal(void *user, const wisp_box *box) {
    unsigned char nonce[12];
    (void)user;
    wisp_sodium_nonce(box, nonce);
    return crypto_aead_chacha20poly1305_ietf_encrypt_detached(
               (unsigned char *)box->to, box->tag, NULL, (const unsigned char *)box->from,
               (unsigned)box->bytes, (const unsigned char *)box->beside,
               (unsigned)box->beside_bytes, NULL, nonce, box->key) == 0;
}

static inline bool wisp_sodium_open(void *user, const wisp_box *box) {
    unsigned char nonce[12];
    (void)user;
    wisp_sodium_nonce(box, nonce);
    return crypto_aead_chacha20poly1305_ietf_decrypt_detached(
               (unsigned char *)box->to, NULL, (const unsigned char *)box->from,
               (unsigned)box->bytes, box->tag, (const unsigned char *)box->beside,
               (unsigned)box->beside_bytes, nonce, box->key) == 0;
}

static inline bool wisp_sodium_random(void *user, void *out, int bytes) {
    (void)user;
    randombytes_buf(out, (size_t)bytes);
    return true;
}

static inline void wisp_sodium_wipe(void *user, void *secret, int bytes) {
    (void)user;
    sodium_memzero(secret, (size_t)bytes);
}

static inline const wisp_cipher *wisp_sodium(void) {
    static const wisp_cipher cipher = {
        wisp_sodium_keypair, wisp_sodium_agree, wisp_sodium_hash, wisp_sodium_derive,
        wisp_sodium_seal, wisp_sodium_open, wisp_sodium_random, wisp_sodium_wipe, NULL
    };
    return sodium_init() < 0 ? NULL : &cipher;
}

#endif
