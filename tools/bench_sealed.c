/* bench_sealed.c - what a seal costs, against libsodium's own AEAD on the same packets

   Build    cc -std=c99 -O2 -DNDEBUG -I. tools/bench_sealed.c -o build/bench_sealed -lsodium -lm
   Run      build/bench_sealed [quick] [packets] [join]

   packets   a packet sealed as it is sent and opened as it is received, by size: .wisp, .sodium
             for the same bytes by libsodium alone, and .share of the second (goal: 1.10).
             bytes.head is that of a sealed packet, bytes.seal the tag in it.
   join      CPU time that the handshake of one join costs the server, and of what the curve does
             in it alone */
#include "bench.h"
#include "examples/wisp_sodium.h"

enum { SEAL_ROUNDS = 31, SEAL_PACKETS = 4000, SEAL_SIZES = 3 };

static const int seal_sizes[SEAL_SIZES] = { 100, 400, 1200 };
static const char *const seal_names[SEAL_SIZES] = { "packets_of_100", "packets_of_400",
                                                    "packets_of_1200" };

typedef struct sealing {
    wisp       *w;
    wisp__peer  from, to;                     /* two ends of a session */
    wisp__keys  keys[2];
    uint64_t    number;
    uint8_t     packet[1300], opened[1300];
} sealing;

static int no_packets(void *user, wisp_packet *packets, int count) {
    (void)user, (void)packets, (void)count;
    return 0;
}

static bool sealing_open(sealing *s) {
    static const uint8_t secret[WISP_KEY_BYTES] = { 7 };
    wisp_desc desc = { 0 };
    memset(s, 0, sizeof *s);
    desc.link.send = desc.link.recv = no_packets;
    desc.cipher = wisp_sodium();
    desc.secret_key = secret;
    s->w = wisp_create(&desc, NULL);
    if (!s->w) return false;
    for (int i = 0; i < 2; i++) {
        s->keys[i].cipher = &s->w->sealer->cipher;
        memset(s->keys[i].out, 5, WISP_KEY_BYTES);
        memset(s->keys[i].in, 5, WISP_KEY_BYTES);
        s->keys[i].in_first = UINT64_MAX;
        s->keys[i].out_first = 1;
    }
    s->from.keys = &s->keys[0];
    s->to.keys = &s->keys[1];
    s->number = 1;
    for (int i = 0; i < 1300; i++) s->packet[i] = (uint8_t)(i * 7);
    return true;
}

/* Nanoseconds for a packet, sealed and opened by wisp. */
static double seal_by_wisp(sealing *s, int size) {
    double begin = cpu_seconds();
    for (int i = 0; i < SEAL_PACKETS; i++, s->number++) {
        wisp_packet packet = { .data = s->packet, .size = size };
        uint64_t number;
        s->packet[0] = WISP__FLAG_SESSION;
        wisp__packet_close(&s->w->base, &s->from, s->number, s->packet, size);
        if (!wisp__is_tagged(s->w, &s->to, &packet, &number) || number != s->number)
            complain("a packet of %d bytes does not open", size);
        wisp__flow_note(&s->to.flow, number, 0);
    }
    return (cpu_seconds() - begin) / SEAL_PACKETS * 1e9;
}

/* The same by libsodium alone. */
static double seal_by_sodium(sealing *s, int size) {
    double begin = cpu_seconds();
    int head = WISP__PACKET_HEAD + WISP__SEALED_MORE;
    unsigned char nonce[12] = { 0 };
    for (int i = 0; i < SEAL_PACKETS; i++, s->number++) {
        memcpy(nonce + 4, &s->number, 8);
        crypto_aead_chacha20poly1305_ietf_encrypt_detached(
            s->packet + head, s->packet + 3, NULL, s->packet + head, (unsigned)(size - head),
            s->packet, 3, NULL, nonce, s->keys[0].out);
        if (crypto_aead_chacha20poly1305_ietf_decrypt_detached(
                s->opened + head, NULL, s->packet + head, (unsigned)(size - head), s->packet + 3,
                s->packet, 3, nonce, s->keys[0].out) != 0)
            complain("libsodium does not open a packet of %d bytes", size);
    }
    return (cpu_seconds() - begin) / SEAL_PACKETS * 1e9;
}

static void run_packets(bool quick) {
    static sealing s;
    if (!sealing_open(&s)) {
        complain("no libsodium");
        return;
    }
    for (int round = 0; round < (quick ? 5 : SEAL_ROUNDS); round++) {
        for (int i = 0; i < SEAL_SIZES; i++) {
            double ours = seal_by_wisp(&s, seal_sizes[i]), theirs;
            s.number = s.to.flow.top + 1;
            theirs = seal_by_sodium(&s, seal_sizes[i]);
            s.number = s.to.flow.top + 1;
            record(seal_names[i], "wisp", "ns", 0, ours);
            record(seal_names[i], "sodium", "ns", 0, theirs);
            record(seal_names[i], "share", "", 1.10, ours / theirs);
        }
    }
    record("bytes", "head", "B", 0, wisp__packet_head(&s.w->base, true));
    record("bytes", "head_plain", "B", 0, wisp__packet_head(&s.w->base, false));
    record("bytes", "seal", "B", 16, WISP_SEAL_BYTES);
    wisp_destroy(s.w);
}

/* What the server does in the handshake of one join: reads the first message, writes the second. */
static void run_join(bool quick) {
    const wisp_cipher *c = wisp_sodium();
    uint8_t secret[WISP_KEY_BYTES], key[WISP_KEY_BYTES], message[256], content[256];
    if (!c || !c->keypair(c->user, secret, key)) return;
    for (int round = 0; round < (quick ? 5 : SEAL_ROUNDS); round++) {
        double all = 0, begin;
        for (int i = 0; i < 20; i++) {
            wisp__noise client, server;
            wisp__keys keys = { 0 };
            bool good = wisp__noise_begin(&client, c, key, wisp__text("bench", 5)) &&
                        wisp__noise_write(&client, message, WISP__ASK_LEAST);
            keys.cipher = c;
            begin = cpu_seconds();
            good = good && wisp__noise_begin(&server, c, key, wisp__text("bench", 5)) &&
                   wisp__noise_read(&server, secret,
                                    wisp__text(message, WISP__ASK_LEAST + WISP__NOISE_REST),
                                    content) &&
                   wisp__noise_write(&server, message, WISP__ASK_LEAST) &&
                   wisp__keys_split(&keys, &server, false, 0);
            all += cpu_seconds() - begin;
            if (!good) complain("a handshake failed");
        }
        record("join", "server", "us", 0, all / 20 * 1e6);
        begin = cpu_seconds();
        for (int i = 0; i < 20; i++) {
            c->agree(c->user, content, secret, key);
            c->agree(c->user, content, secret, key);
            c->keypair(c->user, message, message + WISP_KEY_BYTES);
        }
        record("join", "two_agreements_and_a_pair", "us", 0, (cpu_seconds() - begin) / 20 * 1e6);
    }
}

static const section sections[] = { { "packets", run_packets }, { "join", run_join } };

int main(int count, char **words) {
    return bench_main("bench_sealed", count, words, sections, 2);
}
