/* wisp_key - keys of sealed sessions and connect tokens, made and shown

       wisp_key new                                   a key pair: secret, then public
       wisp_key secret                                one secret: for reset_secret, or for tokens
       wisp_key token KEY SECONDS CLIENT DATA SERVER...
                                                      a token by the secret KEY, good for SECONDS,
                                                      for up to four public keys of servers; CLIENT
                                                      is 64 digits, or - for zeros; DATA is a text
       wisp_key show KEY TOKEN                        what is in a token

   Keys and tokens are hexadecimal. Needs libsodium. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wisp.h"
#include "examples/wisp_sodium.h"
#include "examples/wisp_token.h"

static void print_bytes(const void *bytes, int count) {
    for (int i = 0; i < count; i++) printf("%02x", ((const uint8_t *)bytes)[i]);
    puts("");
}

/* Returns the bytes read, or -1. */
static int read_bytes(const char *text, void *out, int room) {
    size_t count = 0;
    int wrong = sodium_hex2bin(out, (size_t)room, text, strlen(text), NULL, &count, NULL);
    return wrong || count * 2 != strlen(text) ? -1 : (int)count;
}

static bool read_key(const char *text, uint8_t key[WISP_KEY_BYTES]) {
    if (strcmp(text, "-") == 0) memset(key, 0, WISP_KEY_BYTES);
    else if (read_bytes(text, key, WISP_KEY_BYTES) != WISP_KEY_BYTES) return false;
    return true;
}

static int fail(const char *text) {
    fprintf(stderr, "wisp_key: %s\n", text);
    return 1;
}

static int make(const wisp_cipher *cipher, int argc, char **argv) {
    uint8_t key[WISP_KEY_BYTES], bytes[WISP_TOKEN_BYTES];
    wisp_token token;
    int size;
    memset(&token, 0, sizeof token);
    token.expires = (int64_t)time(NULL) + atoll(argv[3]);
    token.bytes = (int)strlen(argv[5]);
    if (!read_key(argv[2], key)) return fail("KEY is no key");
    if (!read_key(argv[4], token.client)) return fail("CLIENT is no key");
    if (token.bytes > WISP_TOKEN_DATA) return fail("DATA is too long");
    memcpy(token.data, argv[5], (size_t)token.bytes);
    for (int i = 6; i < argc; i++)
        if (i - 6 >= WISP_TOKEN_SERVERS || !read_key(argv[i], token.servers[i - 6]))
            return fail("SERVER is no key, or there are more than four");
    size = wisp_token_seal(cipher, key, &token, bytes, sizeof bytes);
    if (!size) return fail("the cipher failed");
    print_bytes(bytes, size);
    return 0;
}

static int show(const wisp_cipher *cipher, char **argv) {
    static const uint8_t none[WISP_KEY_BYTES];
    uint8_t key[WISP_KEY_BYTES], bytes[WISP_TOKEN_BYTES];
    wisp_token token;
    int size = read_bytes(argv[3], bytes, sizeof bytes);
    double left;
    if (!read_key(argv[2], key)) return fail("KEY is no key");
    if (size < 0 || !wisp_token_open(cipher, key, bytes, size, &token))
        return fail("no token of this key, or changed");
    left = (double)token.expires - (double)time(NULL);
    printf("expires  %lld, %s\n", (long long)token.expires, left > 0 ? "still good" : "too old");
    printf("client   ");
    print_bytes(token.client, WISP_KEY_BYTES);
    for (int i = 0; i < WISP_TOKEN_SERVERS; i++) {
        if (memcmp(token.servers[i], none, sizeof none) == 0) continue;
        printf("server   ");
        print_bytes(token.servers[i], WISP_KEY_BYTES);
    }
    printf("data     %.*s\n", token.bytes, (const char *)token.data);
    return 0;
}

int main(int argc, char **argv) {
    const wisp_cipher *cipher = wisp_sodium();
    uint8_t secret[WISP_KEY_BYTES], key[WISP_KEY_BYTES];
    if (!cipher) return fail("libsodium does not work here");
    if (argc == 2 && strcmp(argv[1], "new") == 0) {
        if (!cipher->keypair(cipher->user, secret, key)) return fail("the cipher failed");
        printf("secret ");
        print_bytes(secret, sizeof secret);
        printf("public ");
        print_bytes(key, sizeof key);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "secret") == 0) {
        if (!cipher->random(cipher->user, secret, sizeof secret)) return fail("the cipher failed");
        print_bytes(secret, sizeof secret);
        return 0;
    }
    if (argc > 6 && strcmp(argv[1], "token") == 0) return make(cipher, argc, argv);
    if (argc == 4 && strcmp(argv[1], "show") == 0) return show(cipher, argv);
    fprintf(stderr, "usage: wisp_key new | secret | token KEY SECONDS CLIENT DATA SERVER... | "
                    "show KEY TOKEN\n");
    return 2;
}
