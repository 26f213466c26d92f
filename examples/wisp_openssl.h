/* wisp_openssl.h - the cipher of sealed sessions over OpenSSL 1.1.1 or newer (package libssl-dev,
   -lcrypto)

   Include it after wisp.h. desc.cipher = wisp_openssl(). */
#ifndef WISP_OPENSSL_H
#define WISP_OPENSSL_H

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

static inline bool wisp_openssl_public(const uint8_t *secret, uint8_t *public_key) {
    size_t bytes = WISP_KEY_BYTES;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, bytes);
    bool done = key && EVP_PKEY_get_raw_public_key(key, public_key, &bytes) == 1;
    EVP_PKEY_free(key);
    return done;
}

static inline bool wisp_openssl_keypair(void *user, uint8_t *secret, uint8_t *public_key) {
    (void)user;
    return RAND_bytes(secret, WISP_KEY_BYTES) == 1 && wisp_openssl_public(secret, public_key);
}

static inline bool wisp_openssl_agree(void *user, uint8_t *shared, const uint8_t *secret,
                                      const uint8_t *public_key) {
    size_t bytes = WISP_KEY_BYTES;
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, bytes);
    EVP_PKEY *other = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, bytes);
    EVP_PKEY_CTX *context = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    bool done = context && other && EVP_PKEY_derive_init(context) == 1 &&
                EVP_PKEY_derive_set_peer(context, other) == 1 &&
                EVP_PKEY_derive(context, shared, &bytes) == 1;
    (void)user;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(other);
    EVP_PKEY_free(own);
    return done;
}

static inline bool wisp_openssl_hash(void *user, const wisp_box *box) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestInit_ex(context, EVP_blake2b512(), NULL) == 1 &&
                EVP_DigestUpdate(context, box->beside, (size_t)box->beside_bytes) == 1 &&
                EVP_DigestUpdate(context, box->from, (size_t)box->bytes) == 1 &&
                EVP_DigestFinal_ex(context, (unsigned char *)box->to, NULL) == 1;
    (void)user;
    EVP_MD_CTX_free(context);
    return done;
}

static inline bool wisp_openssl_derive(void *user, const wisp_box *box) {
    unsigned char key[WISP_HASH_BYTES], text[WISP_HASH_BYTES + 1] = { 1 };
    unsigned char *first = (unsigned char *)box->to, *second = first + WISP_HASH_BYTES;
    const unsigned char *from = box->bytes ? (const unsigned char *)box->from : text;
    bool done = HMAC(EVP_blake2b512(), box->key, WISP_HASH_BYTES, from, (size_t)box->bytes, key,
                     NULL) &&
                HMAC(EVP_blake2b512(), key, sizeof key, text, 1, first, NULL);
    (void)user;
    memcpy(text, first, WISP_HASH_BYTES);
    text[WISP_HASH_BYTES] = 2;
    done = done && HMAC(EVP_blake2b512(), key, sizeof key, text, sizeof text, second, NULL);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(text, sizeof text);
    return done;
}

/* A context with the key and the nonce; NULL: no memory. `seal`: 1, or 0 to open. */
static inline EVP_CIPHER_CTX *wisp_openssl_begin(const wisp_box *box, int seal) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    unsigned char nonce[12] = { 0 };
    int bytes;
    for (int i = 0; i < 8; i++) nonce[4 + i] = (unsigned char)(box->number >> 8 * i);
    if (context && EVP_CipherInit_ex(context, EVP_chacha20_poly1305(), NULL, box->key, nonce,
                                     seal) == 1 &&
        (!box->beside_bytes ||
         EVP_CipherUpdate(context, NULL, &bytes, (const unsigned char *)box->beside,
                          box->beside_bytes) == 1))
        return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

static inline bool wisp_openssl_text(EVP_CIPHER_CTX *context, const wisp_box *box) {
    unsigned char *to = (unsigned char *)box->to, none[16];
    int bytes = 0;
    return (!box->bytes ||
            EVP_CipherUpdate(context, to, &bytes, (const unsigned char *)box->from,
                             box->bytes) == 1) &&
           EVP_CipherFinal_ex(context, none, &bytes) == 1;
}

static inline bool wisp_openssl_seal(void *user, const wisp_box *box) {
    EVP_CIPHER_CTX *context = wisp_openssl_begin(box, 1);
    bool done = context && wisp_openssl_text(context, box) &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, WISP_SEAL_BYTES,
                                    box->tag) == 1;
    (void)user;
    EVP_CIPHER_CTX_free(context);
    return done;
}

static inline bool wisp_openssl_open(void *user, const wisp_box *box) {
    EVP_CIPHER_CTX *context = wisp_openssl_begin(box, 0);
    bool done = context &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, WISP_SEAL_BYTES,
                                    box->tag) == 1 &&
                wisp_openssl_text(context, box);
    (void)user;
    EVP_CIPHER_CTX_free(context);
    return done;
}

static inline bool wisp_openssl_random(void *user, void *out, int bytes) {
    (void)user;
    return RAND_bytes((unsigned char *)out, bytes) == 1;
}

static inline void wisp_openssl_wipe(void *user, void *secret, int bytes) {
    (void)user;
    OPENSSL_cleanse(secret, (size_t)bytes);
}

static inline const wisp_cipher *wisp_openssl(void) {
    static const wisp_cipher cipher = {
        wisp_openssl_keypair, wisp_openssl_agree, wisp_openssl_hash, wisp_openssl_derive,
        wisp_openssl_seal, wisp_openssl_open, wisp_openssl_random, wisp_openssl_wipe, NULL
    };
    return &cipher;
}

#endif
