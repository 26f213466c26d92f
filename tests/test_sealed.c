/* test_sealed.c - sealed sessions over libsodium and OpenSSL: published vectors of all that the
   adapters do, sessions between one and the other, a soak, connect tokens

   Links with -lsodium -lcrypto. The soak sends 100,000 messages; with WISP_SOAK=1000000 in the
   environment so many. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "../wisp.h"
#include "../examples/wisp_sodium.h"
#include "../examples/wisp_openssl.h"
#include "../examples/wisp_token.h"
#include "support/test_runner.h"
#include "support/simulated_endpoints.h"
#include "support/handshake_packets.h"
#include "support/sealed_pair.h"

static const wisp_cipher *sealed_cipher(int i) { return i ? wisp_openssl() : wisp_sodium(); }

static int sealed_hex(const char *text, uint8_t *out) {
    int count = (int)strlen(text) / 2;
    for (int i = 0; i < count; i++) {
        char pair[3];
        memcpy(pair, text + 2 * i, 2);
        pair[2] = 0;
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return count;
}

static bool sealed_is(const uint8_t *bytes, const char *text) {
    uint8_t wanted[512];
    int count = sealed_hex(text, wanted);
    return memcmp(bytes, wanted, (size_t)count) == 0;
}

/* --- the handshake: Noise_NK_25519_ChaChaPoly_BLAKE2b of the public sets of vectors --- */

typedef struct sealed_message { const char *content, *message; } sealed_message;

typedef struct sealed_vector {
    const char *prologue, *ephemeral, *server_key, *server_secret, *server_ephemeral;
    const char *hash;               /* of the handshake; "": not told */
    sealed_message messages[6];     /* two of the handshake, then in turn, each way by a number */
} sealed_vector;

static const sealed_vector sealed_vectors[] = {
    {   /* of cacophony */
        "4a6f686e2047616c74",
        "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
        "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62",
        "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
        "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
        "f87aa4eb6416e5b0d2b6e6f0b7bc41f3c5986a5d32d55c08d67cbd412f3ec2fa04d8e358"
            "ab95b3bbfab054a140a98eccf4284bb6309b600981d451ecac484932",
        {
            { "4c756477696720766f6e204d69736573",
            "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944f3041e39"
            "b0c8ba56008f2d1183fea6ac83564ead0267b0842ec4c521ed1e1407" },
            { "4d757272617920526f746862617264",
            "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088432281dcc1"
            "835131f305dca14525e15e27d1f32294aa835e40fc18be480c1db9" },
            { "462e20412e20486179656b",
            "357e24e9f28ba22080666f7efacc01b2a0a4e358e742aeeff2aaf5" },
            { "4361726c204d656e676572",
            "8b23b34ff3169de06a39551e969ca7876cc5122a4acff74bf2ec29" },
            { "4a65616e2d426170746973746520536179",
            "5c104779b6f36e59fca73ed94b0ae092eae1d76dd109caf5060aaaedba385d7076" },
            { "457567656e2042f6686d20766f6e2042617765726b",
            "34ae0518d0cd3aa641ed372ea94935ceecd87f8c4b422ce21a33d3f6f5493891e3e915d8"
            "3f" }
        }
    },
    {   /* of snow */
        "5468657265206973206e6f20726967687420616e642077726f6e672e2054686572652773"
            "206f6e6c792066756e20616e6420626f72696e672e",
        "151f660015d45eea5f28ee50258f33373c75906fb58e4ab59ed52dab535161cb",
        "7ff2c76e27af9ed6b83e0e8987e9a125c2879a990b200823f56c648f5974d41d",
        "0c0cac2c24c7ac76ab07049932d34f3aac2f791fd99ff957e81f685a7756138a",
        "dafad8e4c6404375195a18b8f7cd7feb985220f2f2ecc307b381207193298c3b",
        "",
        {
            { "a3a6441fd70fea11009bf133cd42402e358ab1024ed36f5199fef05203d6cac6",
            "d956ead53c15c6e114e9ee181ed233e2287ef647b65f1bdf1c455760ac7f2a7ce376799b"
            "d5adb227eb614be9db1d210bbe413a371e18ecfeb45bf4ca5eeb35a9668e8423875e1614"
            "4100af1f849b5986" },
            { "dba779f15f86d73d3c10aacecabd0dd1869308dc7f38f8c7f95274844e34618b",
            "77b149decc3c2339f0794c856db88c7de6ee665b923a43bad41bf5b54d80c51d26cc588e"
            "eb0d1a50a055c305f47bc0dde983039526354548b0abb04c2d3c1e5e7cc8d9cef41d0d4b"
            "7eb4b3cbfdd6a178" },
            { "a40e189598732182bd93f25667217b0897cdf1be327f16236046aae1b1a05d02",
            "6595aea3a643319bb6f139f122d8fa32d7e1165721f5af678f51cf4d104c5b03aee688ef"
            "a0ab2aa0f6e6309565653f4a" },
            { "f825cd333af9f37889ecdcbc2f2f4862c8e117a058420074072f0488a90a6443",
            "9b8d0a0cbad3638d2cbef5bd69d23661e16b0c8692b968190052ac13751f17ac080e01d4"
            "5668e04a365adaee3f9303d6" }
        }
    }};

/* A cipher whose next key pair is given. */
typedef struct sealed_given {
    const wisp_cipher *real;
    uint8_t secret[WISP_KEY_BYTES];
} sealed_given;

static const uint8_t sealed_base[WISP_KEY_BYTES] = { 9 };

static bool sealed_pair_given(void *user, uint8_t *secret, uint8_t *public_key) {
    sealed_given *g = (sealed_given *)user;
    memcpy(secret, g->secret, WISP_KEY_BYTES);
    return g->real->agree(g->real->user, public_key, secret, sealed_base);
}

static void sealed_transport(const wisp_cipher *c, const sealed_vector *v, const wisp__keys *ends) {
    for (int i = 2; i < 6 && v->messages[i].content; i++) {
        uint8_t text[256], opened[256];
        int size = sealed_hex(v->messages[i].content, text);
        bool up = i % 2 == 0;
        wisp_box box = wisp__sealed_box(up ? ends[0].out : ends[1].out, wisp__text(NULL, 0), text,
                                        size);
        box.number = (uint64_t)(i / 2 - 1);
        CHECK(c->seal(c->user, &box));
        CHECK(sealed_is(text, v->messages[i].message));
        box.key = up ? ends[1].in : ends[0].in;
        box.to = opened;
        CHECK(c->open(c->user, &box));
        CHECK(sealed_is(opened, v->messages[i].content));
        text[0] ^= 1;
        CHECK(!c->open(c->user, &box));
    }
}

static void sealed_vector_run(const wisp_cipher *real, const sealed_vector *v) {
    uint8_t key[32], secret[32], prologue[256], message[512], content[512];
    wisp_cipher c = *real;
    sealed_given given;
    wisp__noise client, server;
    wisp__keys ends[2];
    wisp__place begin;
    int size;
    given.real = real;
    c.keypair = sealed_pair_given;
    c.user = &given;
    sealed_hex(v->server_key, key);
    sealed_hex(v->server_secret, secret);
    begin = wisp__text(prologue, sealed_hex(v->prologue, prologue));
    CHECK(wisp__noise_begin(&client, &c, key, begin));
    CHECK(wisp__key_public(&c, secret, content) && memcmp(content, key, sizeof key) == 0);
    CHECK(wisp__noise_begin(&server, &c, content, begin));
    for (int i = 0; i < 2; i++) {
        wisp__noise *from = i ? &server : &client, *to = i ? &client : &server;
        sealed_hex(i ? v->server_ephemeral : v->ephemeral, given.secret);
        size = sealed_hex(v->messages[i].content, message + WISP_KEY_BYTES);
        CHECK(wisp__noise_write(from, message, size));
        CHECK(sealed_is(message, v->messages[i].message));
        CHECK(wisp__noise_read(to, i ? to->own : secret,
                               wisp__text(message, size + WISP__NOISE_REST), content));
        CHECK(sealed_is(content, v->messages[i].content));
    }
    CHECK(sealed_is(client.hash, v->hash) && sealed_is(server.hash, v->hash));
    CHECK_EQ_MEM(client.hash, server.hash, sizeof client.hash);
    for (int i = 0; i < 2; i++) {
        memset(&ends[i], 0, sizeof ends[i]);
        ends[i].cipher = &c;
        CHECK(wisp__keys_split(&ends[i], i ? &server : &client, i == 0, 0));
    }
    sealed_transport(&c, v, ends);
}

TEST(the_handshake_is_that_of_the_public_vectors) {
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < TEST_COUNT(sealed_vectors); k++)
            sealed_vector_run(sealed_cipher(i), &sealed_vectors[k]);
}

/* --- the parts: RFC 8439 A.5, RFC 7693 A, RFC 7748 6.1 --- */

static const char sealed_draft[] =
    "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, "
    "replaced, or obsoleted by other documents at any time. It is inappropriate to use "
    "Internet-Drafts as reference material or to cite them other than as /\xe2\x80\x9cwork in "
    "progress./\xe2\x80\x9d";

TEST(the_seal_is_that_of_rfc_8439) {
    for (int i = 0; i < 2; i++) {
        const wisp_cipher *c = sealed_cipher(i);
        uint8_t key[32], beside[12], text[300], tag[16], opened[300];
        wisp_box box;
        sealed_hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0", key);
        memcpy(text, sealed_draft, sizeof sealed_draft);
        memset(&box, 0, sizeof box);
        box.key = key;
        box.number = UINT64_C(0x0807060504030201);
        box.beside = beside;
        box.beside_bytes = sealed_hex("f33388860000000000004e91", beside);
        box.from = box.to = text;
        box.bytes = (int)sizeof sealed_draft - 1;
        box.tag = tag;
        CHECK(c->seal(c->user, &box));
        CHECK(sealed_is(text, "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2"));
        CHECK(sealed_is(tag, "eead9d67890cbb22392336fea1851f38"));
        box.to = opened;
        CHECK(c->open(c->user, &box));
        CHECK_EQ_MEM(opened, sealed_draft, box.bytes);
        for (int bit = 0; bit < 128; bit++) {
            tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
            CHECK(!c->open(c->user, &box));
            tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        box.number++;
        CHECK(!c->open(c->user, &box));
        box.number--;
        beside[0] ^= 1;
        CHECK(!c->open(c->user, &box));
    }
}

TEST(the_hash_and_the_agreement_are_those_of_their_rfcs) {
    for (int i = 0; i < 2; i++) {
        const wisp_cipher *c = sealed_cipher(i);
        uint8_t out[64], secret[32], shared[32], key[32], zero[32] = { 0 };
        CHECK(wisp__blake(c, out, wisp__text("a", 1), wisp__text("bc", 2)));
        CHECK(sealed_is(out, "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
                             "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"));
        sealed_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", secret);
        sealed_hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", key);
        CHECK(wisp__key_public(c, secret, shared));
        CHECK(sealed_is(shared,
                        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
        CHECK(c->agree(c->user, shared, secret, key));
        CHECK(sealed_is(shared,
                        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"));
        CHECK(!c->agree(c->user, shared, secret, zero));
    }
}

TEST(the_libraries_agree_in_everything_else) {
    const wisp_cipher *a = sealed_cipher(0), *b = sealed_cipher(1);
    uint64_t seed = 1;
    for (int size = 0; size < 200; size += 7) {
        uint8_t key[64], text[256], one[256], two[256];
        wisp_box box;
        for (int i = 0; i < 64; i++) key[i] = (uint8_t)test_random(&seed);
        for (int i = 0; i < 256; i++) text[i] = (uint8_t)test_random(&seed);
        memset(&box, 0, sizeof box);
        box.key = key;
        box.from = text;
        box.bytes = size;
        box.number = test_random(&seed);
        box.to = one;
        CHECK(a->derive(a->user, &box));
        box.to = two;
        CHECK(b->derive(b->user, &box));
        CHECK_EQ_MEM(one, two, 128);
        memset(one, 0, sizeof one);
        memset(two, 0, sizeof two);
        box.to = one;
        box.tag = one + size;
        CHECK(a->seal(a->user, &box));
        box.to = two;
        box.tag = two + size;
        CHECK(b->seal(b->user, &box));
        CHECK_EQ_MEM(one, two, size + 16);
        box.from = one;
        CHECK(b->open(b->user, &box));
        CHECK_EQ_MEM(two, text, size);
    }
}

/* --- sessions --- */

static void sealed_real(sealed_pair *p, int server, int client) {
    sealed_open(p);
    p->server_cipher = sealed_cipher(server);
    p->client_cipher = sealed_cipher(client);
    CHECK(p->server_cipher->keypair(p->server_cipher->user, p->secret, p->key));
}

TEST(an_end_over_one_library_talks_to_one_over_the_other) {
    for (int i = 0; i < 4; i++) {
        sealed_pair p;
        sealed_real(&p, i & 1, i >> 1);
        sealed_join(&p);
        CHECK(wisp_is_sealed(p.c.t.server, p.c.t.to_client));
        CHECK(sealed_talks(&p, 5));
        sealed_close(&p);
    }
}

/* A datagram of each kind, with one bit flipped in each byte. */
static int sealed_flipping(world *w, int n, wisp_packet *packet) {
    int *at = (int *)w->user;
    uint8_t *bytes = (uint8_t *)packet->data;
    (void)n;
    if (spy_kind(packet) != at[0] || at[1] >= packet->size - 4) return 1;
    if (at[2]++ > 0) return 1;
    bytes[at[1]] ^= (uint8_t)(1 << at[1] % 8);
    if (at[1]) {
        uint32_t check = wisp__handshake_check(wisp__load64(bytes + 6), bytes, packet->size - 4);
        wisp__store_part(bytes + packet->size - 4, check, 4);
    }
    return 1;
}

TEST(a_changed_byte_of_a_handshake_is_noticed) {
    int broken = 0;
    for (int kind = WISP__SEALED_RESPONSE; kind <= WISP__SEALED_ANSWER; kind++) {
        for (int byte = 0; byte < 130; byte += 3) {
            sealed_pair p;
            int at[3] = { 0, 0, 0 };
            sealed_real(&p, byte & 1, 0);
            at[0] = kind;
            at[1] = byte;
            p.c.t.w.tap = sealed_flipping;
            p.c.t.w.user = at;
            sealed_ends(&p);
            sealed_ask(&p, "ticket");
            world_run(&p.c.t.w, 1);
            CHECK(sealed_joined(&p));
            CHECK_EQ_MEM(p.ticket, "ticket", 6);
            broken += (int)world_total(p.c.t.server).seals_broken +
                      (int)world_total(p.c.t.client).seals_broken;
            sealed_close(&p);
        }
    }
    CHECK(broken > 60);
}

/* Messages in order at 20% loss, with other keys every 1,000 packets. */
static void sealed_soak(int cipher, int messages) {
    sealed_pair p;
    int sent = 0, turns = 0, last = -1;
    double most;
    wisp__keys *keys;
    sealed_real(&p, cipher, cipher);
    p.c.t.w.tap = NULL;
    p.c.t.w.bad = p.c.t.w.unchecked = true;
    p.c.t.w.net.loss = 0.2;
    p.c.t.w.net.latency = 0.02;
    p.c.t.w.net.jitter = 0.01;
    p.c.t.w.net.seed = 9;
    p.c.t.w.desc.limits.rekey_packets = 1000;
    sealed_ends(&p);
    sealed_ask(&p, "ticket");
    world_run(&p.c.t.w, 4);
    CHECK(sealed_joined(&p));
    world_watch(&p.c.t.w, p.c.t.server, "n");
    keys = wisp__session_of(p.c.t.client, p.c.t.to_server)->peer.keys;
    most = p.c.t.w.now + 60 + messages / 500.0;
    while (p.c.t.w.now < most && last + 1 < messages) {
        for (int i = 0; i < 20 && sent < messages; i++)
            if (world_fire(p.c.t.client, "n", p.c.t.to_server, sent) == WISP_OK) sent++;
        if (keys->out_first > (uint64_t)turns * 1000 + 1) turns++;
        world_step(&p.c.t.w);
        for (int i = 0; i < p.c.t.w.note_count; i++) {
            const world_note *note = &p.c.t.w.notes[i];
            if (note->end != p.c.t.server || strcmp(note->name, "n") != 0) continue;
            if (note->number != last + 1) CHECK_EQ_INT(note->number, last + 1);
            last = (int)note->number;
        }
        world_forget(&p.c.t.w);
    }
    CHECK_EQ_INT(last + 1, messages);
    CHECK_EQ_INT(world_total(p.c.t.server).packets_bad_tag +
                 world_total(p.c.t.client).packets_bad_tag, 0);
    CHECK(turns >= messages / 25000);
    sealed_close(&p);
}

TEST(a_soak_at_20_percent_loss_with_other_keys_every_1000_packets) {
    const char *more = getenv("WISP_SOAK");
    sealed_soak(0, more ? atoi(more) : 100000);
    sealed_soak(1, 25000);
}

/* --- connect tokens --- */

static bool sealed_takes(wisp_tokens *tokens, const uint8_t *bytes, int size, double now,
                         const char *wanted) {
    wisp_token opened;
    const char *why = wisp_tokens_take(tokens, bytes, size, now, &opened);
    return why == wanted || (why && wanted && strcmp(why, wanted) == 0);
}

TEST(a_token_is_good_once_at_its_servers_until_it_expires) {
    for (int i = 0; i < 2; i++) {
        const wisp_cipher *c = sealed_cipher(i);
        uint8_t key[32] = { 1 }, other[32] = { 2 }, server[32] = { 3 }, bytes[WISP_TOKEN_BYTES];
        wisp_token token, opened;
        wisp_token_used used[2];
        wisp_tokens tokens;
        int size;
        memset(&token, 0, sizeof token);
        token.expires = 1000;
        token.client[5] = 5;
        memcpy(token.servers[2], server, 32);
        memcpy(token.data, "user data", 9);
        token.bytes = 9;
        wisp_tokens_open(&tokens, c, key, server, used, 2);
        size = wisp_token_seal(c, key, &token, bytes, sizeof bytes);
        CHECK_EQ_INT(size, 216 + 9);
        CHECK_EQ_INT(wisp_token_seal(c, key, &token, bytes, size - 1), 0);
        size = wisp_token_seal(c, key, &token, bytes, sizeof bytes);
        CHECK(wisp_token_open(c, key, bytes, size, &opened));
        CHECK_EQ_INT(opened.expires, 1000);
        CHECK_EQ_INT(opened.bytes, 9);
        CHECK_EQ_MEM(opened.data, "user data", 9);
        CHECK_EQ_MEM(opened.client, token.client, 32);
        CHECK(!wisp_token_open(c, other, bytes, size, &opened));
        for (int bit = 0; bit < 8 * size; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            CHECK(!wisp_token_open(c, key, bytes, size, &opened));
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (int cut = 0; cut < size; cut++) CHECK(!wisp_token_open(c, key, bytes, cut, &opened));
        CHECK(sealed_takes(&tokens, bytes, size, 1000, "the token has expired"));
        CHECK(sealed_takes(&tokens, bytes, size, 999, NULL));
        CHECK(sealed_takes(&tokens, bytes, size, 999, "the token was used"));
        memcpy(tokens.server, other, 32);
        CHECK(sealed_takes(&tokens, bytes, size, 999, "the token is for another server"));
        memcpy(tokens.server, server, 32);
        size = wisp_token_seal(c, key, &token, bytes, sizeof bytes);
        CHECK(sealed_takes(&tokens, bytes, size, 999, NULL));
        size = wisp_token_seal(c, key, &token, bytes, sizeof bytes);
        CHECK(sealed_takes(&tokens, bytes, size, 999, "too many tokens are in use"));
        token.expires = 2000;                    /* those before are forgotten */
        size = wisp_token_seal(c, key, &token, bytes, sizeof bytes);
        CHECK(sealed_takes(&tokens, bytes, size, 1500, NULL));
    }
}

typedef struct sealed_gate {
    wisp_tokens tokens;
    char data[64];
    int bytes;
    bool busy;
} sealed_gate;

static wisp_result sealed_judge(wisp *w, const wisp_addr *from, const wisp_token *token,
                                void *user) {
    sealed_gate *gate = (sealed_gate *)user;
    (void)w, (void)from;
    memcpy(gate->data, token->data, (size_t)token->bytes);
    gate->bytes = token->bytes;
    return gate->busy ? WISP_E_USER : WISP_OK;
}

static double sealed_time(void *user) {
    (void)user;
    return 500;
}

TEST(a_server_judges_joins_by_their_tokens) {
    sealed_pair p;
    sealed_gate gate;
    wisp_token_used used[8];
    wisp_token token;
    uint8_t key[32] = { 1 }, bytes[WISP_TOKEN_BYTES];
    wisp_addr addr;
    int size;
    sealed_real(&p, 0, 0);
    memset(&gate, 0, sizeof gate);
    wisp_tokens_open(&gate.tokens, p.server_cipher, key, p.key, used, 8);
    gate.tokens.accept = sealed_judge;
    gate.tokens.clock = sealed_time;
    gate.busy = true;
    sealed_ends(&p);
    p.c.t.server->accept = wisp_tokens_accept;
    p.c.t.server->base.user = &gate;
    addr = world_addr(&p.c.t.w, p.c.t.server);
    memset(&token, 0, sizeof token);
    token.expires = 501;
    memcpy(token.servers[0], p.key, 32);
    memcpy(token.data, "ada", 3);
    token.bytes = 3;
    size = wisp_token_seal(p.client_cipher, key, &token, bytes, sizeof bytes);
    wisp_join(p.c.t.client, &addr, bytes, size);
    world_run(&p.c.t.w, 1);
    CHECK_EQ_INT(world_results(&p.c.t.w, p.c.t.client, WISP_LEFT, WISP_E_SEALED), 1);
    wisp_join_sealed(p.c.t.client, &addr, p.key, bytes, size);       /* which is not used up */
    world_run(&p.c.t.w, 1);
    CHECK_EQ_INT(world_results(&p.c.t.w, p.c.t.client, WISP_LEFT, WISP_E_USER), 1);
    gate.busy = false;
    p.c.t.to_server = wisp_join_sealed(p.c.t.client, &addr, p.key, bytes, size);
    world_run(&p.c.t.w, 1);
    CHECK(sealed_joined(&p) && gate.bytes == 3 && memcmp(gate.data, "ada", 3) == 0);
    wisp_leave(p.c.t.client, p.c.t.to_server, "again");
    world_run(&p.c.t.w, 3);
    wisp_join_sealed(p.c.t.client, &addr, p.key, bytes, size);
    world_run(&p.c.t.w, 1);
    CHECK_EQ_INT(world_results(&p.c.t.w, p.c.t.client, WISP_LEFT, WISP_E_DENIED), 1);
    CHECK_EQ_STR(world_last(&p.c.t.w, p.c.t.client, WISP_LEFT)->text, "the token was used");
    sealed_close(&p);
}

static const test_case tests[] = {
    CASE(the_handshake_is_that_of_the_public_vectors),
    CASE(the_seal_is_that_of_rfc_8439),
    CASE(the_hash_and_the_agreement_are_those_of_their_rfcs),
    CASE(the_libraries_agree_in_everything_else),
    CASE(an_end_over_one_library_talks_to_one_over_the_other),
    CASE(a_changed_byte_of_a_handshake_is_noticed),
    CASE(a_soak_at_20_percent_loss_with_other_keys_every_1000_packets),
    CASE(a_token_is_good_once_at_its_servers_until_it_expires),
    CASE(a_server_judges_joins_by_their_tokens),
};

int main(int argc, char **argv) { return test_main(argc, argv, tests, TEST_COUNT(tests)); }
