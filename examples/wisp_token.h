/* wisp_token.h - connect tokens, by any cipher of wisp (wisp_sodium.h, wisp_openssl.h)

   A backend shares a key with the servers. To a client that it knows it gives a token, by a safe
   way (HTTPS): encrypted, good until it expires, at the servers that it names, once. It is the
   ticket of a sealed join. On a server, wisp_tokens_accept opens it and asks you:

       struct game { wisp_tokens tokens; ... } game;            // first: desc.user is both
       static wisp_result accept(wisp *w, const wisp_addr *from, const wisp_token *token,
                                 void *user) {
           ...                                  // token->client, token->data: who it is
           return WISP_OK;
       }
       wisp_tokens_open(&game.tokens, desc.cipher, backend_key, public_key, used, 1000);
       game.tokens.accept = accept;
       desc.accept = wisp_tokens_accept;
       desc.user = &game;

   Include it after wisp.h. tools/wisp_key.c makes keys and tokens, and shows them.

     token     salt:256, sealed content, seal:128; its key is BLAKE2b of the shared key and the salt
     content   expires:64 client:256, 4 servers of 256, data */
#ifndef WISP_TOKEN_H
#define WISP_TOKEN_H

#include <string.h>
#include <time.h>

enum {
    WISP_TOKEN_SERVERS = 4,
    WISP_TOKEN_DATA    = 512,
    WISP_TOKEN_LEAST   = 8 + WISP_KEY_BYTES * (1 + WISP_TOKEN_SERVERS),
    WISP_TOKEN_REST    = WISP_KEY_BYTES + WISP_SEAL_BYTES,
    WISP_TOKEN_BYTES   = WISP_TOKEN_LEAST + WISP_TOKEN_DATA + WISP_TOKEN_REST    /* at most */
};

typedef struct wisp_token {
    int64_t expires;                            /* seconds since 1970 */
    uint8_t client[WISP_KEY_BYTES];             /* its key or number: not read here */
    uint8_t servers[WISP_TOKEN_SERVERS][WISP_KEY_BYTES];    /* their public keys; the rest is 0 */
    uint8_t data[WISP_TOKEN_DATA];              /* yours */
    int     bytes;                              /* of data */
} wisp_token;

static inline bool wisp_token_key(const wisp_cipher *c, const void *key, const void *salt,
                                  uint8_t *made) {
    wisp_box box = { NULL, 0, key, WISP_KEY_BYTES, salt, made, WISP_KEY_BYTES, NULL };
    return c->hash(c->user, &box);
}

/* Writes a token. Returns its size, or 0: no room, or the cipher failed. */
static inline int wisp_token_seal(const wisp_cipher *c, const void *key, const wisp_token *token,
                                  void *out, int capacity) {
    uint8_t *salt = (uint8_t *)out, *at = salt + WISP_KEY_BYTES, made[WISP_HASH_BYTES];
    int bytes = WISP_TOKEN_LEAST + token->bytes;
    wisp_box box = { made, 0, NULL, 0, at, at, bytes, at + bytes };
    bool done;
    if (token->bytes < 0 || token->bytes > WISP_TOKEN_DATA || capacity < bytes + WISP_TOKEN_REST)
        return 0;
    for (int i = 0; i < 8; i++) at[i] = (uint8_t)((uint64_t)token->expires >> 8 * i);
    memcpy(at + 8, token->client, WISP_KEY_BYTES);
    memcpy(at + 8 + WISP_KEY_BYTES, token->servers, sizeof token->servers);
    memcpy(at + WISP_TOKEN_LEAST, token->data, (size_t)token->bytes);
    done = c->random(c->user, salt, WISP_KEY_BYTES) && wisp_token_key(c, key, salt, made) &&
           c->seal(c->user, &box);
    c->wipe(c->user, made, sizeof made);
    return done ? bytes + WISP_TOKEN_REST : 0;
}

/* Opens a token, whatever the time and the server. false: not of this key, or changed. */
static inline bool wisp_token_open(const wisp_cipher *c, const void *key, const void *token,
                                   int size, wisp_token *out) {
    uint8_t at[WISP_TOKEN_LEAST + WISP_TOKEN_DATA], made[WISP_HASH_BYTES], tag[WISP_SEAL_BYTES];
    const uint8_t *bytes = (const uint8_t *)token, *from = bytes + WISP_KEY_BYTES;
    int content = size - WISP_TOKEN_REST;
    wisp_box box = { made, 0, NULL, 0, from, at, content, tag };
    uint64_t expires = 0;
    bool done;
    if (content < WISP_TOKEN_LEAST || content > (int)sizeof at) return false;
    memcpy(tag, from + content, sizeof tag);
    done = wisp_token_key(c, key, bytes, made) && c->open(c->user, &box);
    c->wipe(c->user, made, sizeof made);
    if (!done) return false;
    memset(out, 0, sizeof *out);
    for (int i = 7; i >= 0; i--) expires = expires << 8 | at[i];
    out->expires = (int64_t)expires;
    memcpy(out->client, at + 8, WISP_KEY_BYTES);
    memcpy(out->servers, at + 8 + WISP_KEY_BYTES, sizeof out->servers);
    out->bytes = content - WISP_TOKEN_LEAST;
    memcpy(out->data, at + WISP_TOKEN_LEAST, (size_t)out->bytes);
    return true;
}

/* --- on a server --- */

typedef struct wisp_token_used { uint8_t salt[16]; int64_t expires; } wisp_token_used;

typedef struct wisp_tokens {
    const wisp_cipher *cipher;
    uint8_t key[WISP_KEY_BYTES], server[WISP_KEY_BYTES];
    wisp_token_used *used;                      /* those that have not expired */
    int room, count;
    /* As `accept` of a desc, for a token that is good; NULL: all of these come in. If it refuses,
       the token may be used again. */
    wisp_result (*accept)(wisp *w, const wisp_addr *from, const wisp_token *token, void *user);
    double (*clock)(void *user);                /* seconds since 1970; NULL: that of the system */
} wisp_tokens;

/* `used`, which is the caller's, has room for all tokens that are used and have not expired. `key`
   is the one that the backend has, `server` the server's public key. What was used is not known
   any more after a restart: let tokens live for a minute, not for a day. */
static inline void wisp_tokens_open(wisp_tokens *t, const wisp_cipher *cipher, const void *key,
                                    const void *server, wisp_token_used *used, int room) {
    memset(t, 0, sizeof *t);
    t->cipher = cipher;
    memcpy(t->key, key, WISP_KEY_BYTES);
    memcpy(t->server, server, WISP_KEY_BYTES);
    t->used = used;
    t->room = room;
}

/* Takes a ticket: opens it into `out`, and remembers that it was used. NULL, or why it is no
   good. */
static inline const char *wisp_tokens_take(wisp_tokens *t, const void *ticket, int size,
                                           double unix_time, wisp_token *out) {
    bool named = false;
    int kept = 0;
    if (!wisp_token_open(t->cipher, t->key, ticket, size, out)) return "the ticket is no token";
    if (!((double)out->expires > unix_time)) return "the token has expired";
    for (int i = 0; i < WISP_TOKEN_SERVERS; i++)
        named = named || memcmp(out->servers[i], t->server, WISP_KEY_BYTES) == 0;
    if (!named) return "the token is for another server";
    for (int i = 0; i < t->count; i++)
        if ((double)t->used[i].expires > unix_time) t->used[kept++] = t->used[i];
    t->count = kept;
    for (int i = 0; i < t->count; i++)
        if (memcmp(t->used[i].salt, ticket, sizeof t->used[i].salt) == 0)
            return "the token was used";
    if (t->count == t->room) return "too many tokens are in use";
    memcpy(t->used[t->count].salt, ticket, sizeof t->used->salt);
    t->used[t->count++].expires = out->expires;
    return NULL;
}

/* desc.accept of a server that takes tokens and nothing else; desc.user begins with its
   wisp_tokens. Joins without a seal get WISP_E_SEALED, those without a good token
   WISP_E_DENIED and the reason. */
static inline wisp_result wisp_tokens_accept(wisp *w, const wisp_addr *from, const void *ticket,
                                             int size, void *user) {
    wisp_tokens *t = (wisp_tokens *)user;
    wisp_join_info *join = wisp_joining(w);
    double now = t->clock ? t->clock(user) : (double)time(NULL);
    wisp_result verdict = WISP_OK;
    wisp_token token;
    if (!join->sealed) return WISP_E_SEALED;
    join->text = wisp_tokens_take(t, ticket, size, now, &token);
    if (join->text) return WISP_E_DENIED;
    if (t->accept) verdict = t->accept(w, from, &token, user);
    if (verdict < 0) t->count--;
    return verdict;
}

#endif
