/* wisp_tape.c - looks into a tape that wisp_record has written (examples/tape.md)

   Build    cc -std=c99 -O2 -I. tools/wisp_tape.c -o build/wisp_tape -lm
            with -DWISP_WITH_LZ4 and -llz4 it reads tapes that LZ4 has packed, too
   Usage    wisp_tape [-n NAME] [-p PEER] [-f SECONDS] [-t SECONDS] [-s SPEED]
                      [--json | --stats | --pcap OUT | --cut OUT] TAPE

   Lists the handlers that ran, the calls that were made (those from outside of handlers begin with
   ">"), and the states of objects, with their values. -n, -p: only of that name, that peer; -f, -t:
   from and to that time of the endpoint; -s: as fast as it was, times SPEED. --json: a line of JSON
   for each. --stats: counts and bytes for each name. --pcap: the datagrams, as UDP, for Wireshark
   (tools/wisp.lua takes them apart); those that went out are there if writer.packets was set.
   --cut: a tape that ends at -t. An error names the byte of the tape. The exit code is 1 then, and
   2 for wrong arguments. */
#if defined(__unix__) || defined(__APPLE__)
#define _POSIX_C_SOURCE 200809L
#include <time.h>
#define CAN_WAIT
#endif
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "wisp.h"
#include "tape_reader.h"

typedef struct options {
    const char *name, *pcap, *cut, *tape;
    long peer;
    double from, to, speed;
    bool json, stats;
} options;

typedef struct tally { char name[160]; long count; long long bytes; } tally;

typedef struct look {
    options o;
    FILE *out;                /* pcap or cut */
    tally tallies[1024];
    int tally_count;
    double shown;             /* time of the last line */
} look;

static void count_line(look *l, const tape_line *line) {
    int i = 0;
    char name[160];
    snprintf(name, sizeof name, "%.20s %.120s", line->what, line->name);
    while (i < l->tally_count && strcmp(l->tallies[i].name, name) != 0) i++;
    if (i == 1024) return;
    if (i == l->tally_count) {
        memcpy(l->tallies[i].name, name, sizeof name);
        l->tally_count++;
    }
    l->tallies[i].count++;
    l->tallies[i].bytes += line->bytes;
}

static void wait_for(look *l, double now) {
#ifdef CAN_WAIT
    double seconds = l->o.speed > 0 ? (now - l->shown) / l->o.speed : 0;
    struct timespec span;
    if (seconds > 0 && seconds < 3600 && l->shown > 0) {
        span.tv_sec = (time_t)seconds;
        span.tv_nsec = (long)((seconds - (double)span.tv_sec) * 1e9);
        fflush(stdout);
        nanosleep(&span, NULL);
    }
#endif
    l->shown = now;
}

static void show_line(void *user, const tape_line *line) {
    look *l = (look *)user;
    const options *o = &l->o;
    if (line->time < o->from || line->time > o->to) return;
    if (o->name && strcmp(o->name, line->name) != 0) return;
    if (o->peer >= 0 && line->peer != o->peer) return;
    count_line(l, line);
    if (o->stats || o->pcap || o->cut) return;
    wait_for(l, line->time);
    if (o->json)
        printf("{\"time\":%.6f,\"inside\":%s,\"what\":\"%s\",\"name\":\"%s\",\"peer\":%ld,"
               "\"args\":[%s]}\n", line->time, line->inside ? "true" : "false", line->what,
               line->name, line->peer, line->args);
    else
        printf("%12.6f %c %-10s %-20s %6ld  %s\n", line->time, line->inside ? ' ' : '>', line->what,
               line->name, line->peer, line->args);
}

static void put_little(FILE *out, unsigned long number, int bytes) {
    for (int i = 0; i < bytes; i++, number >>= 8) fputc((int)(number & 255), out);
}

static void put_big(FILE *out, unsigned long number, int bytes) {
    for (int i = bytes - 1; i >= 0; i--) fputc((int)(number >> 8 * i & 255), out);
}

/* An IPv4 packet with UDP: the endpoint is 10.0.0.1:7777, others have a port by their address. */
static void show_packet(void *user, const tape_packet *p) {
    look *l = (look *)user;
    unsigned long other = wisp__hash_bytes(&p->addr, (int)sizeof p->addr) & 0x3fff, sum = 0;
    unsigned long ips[2] = { 0x0a000001, 0x0a000100 + (other >> 6) }, ports[2] = { 7777, 0 };
    unsigned long words[10];
    int from = p->out ? 0 : 1, size = p->bytes + 28;
    ports[1] = 10000 + other;
    if (!l->o.pcap || p->time < l->o.from || p->time > l->o.to) return;
    put_little(l->out, (unsigned long)p->time, 4);
    put_little(l->out, (unsigned long)((p->time - (double)(unsigned long)p->time) * 1e6), 4);
    put_little(l->out, (unsigned long)size, 4);
    put_little(l->out, (unsigned long)size, 4);
    words[0] = 0x4500, words[1] = (unsigned long)size, words[2] = 0, words[3] = 0x4000;
    words[4] = 0x4011, words[5] = 0;
    for (int i = 0; i < 2; i++) {
        words[6 + 2 * i] = ips[i ? !from : from] >> 16;
        words[7 + 2 * i] = ips[i ? !from : from] & 0xffff;
    }
    for (int i = 0; i < 10; i++) sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    words[5] = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
    for (int i = 0; i < 10; i++) put_big(l->out, words[i], 2);
    put_big(l->out, ports[from], 2);
    put_big(l->out, ports[!from], 2);
    put_big(l->out, (unsigned long)p->bytes + 8, 2);
    put_big(l->out, 0, 2);
    fwrite(p->data, 1, (size_t)p->bytes, l->out);
}

static void show_block(void *user, const uint8_t *bytes, int count, double time) {
    look *l = (look *)user;
    if (l->o.cut && time <= l->o.to) fwrite(bytes, 1, (size_t)count, l->out);
}

static int by_bytes(const void *a, const void *b) {
    const tally *x = (const tally *)a, *y = (const tally *)b;
    return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : 0;
}

static void show_tallies(look *l) {
    qsort(l->tallies, (size_t)l->tally_count, sizeof *l->tallies, by_bytes);
    printf("%10s %12s  %s\n", "count", "bytes", "what");
    for (int i = 0; i < l->tally_count; i++)
        printf("%10ld %12lld  %s\n", l->tallies[i].count, l->tallies[i].bytes, l->tallies[i].name);
}

static bool take_options(options *o, int argc, char **argv) {
    memset(o, 0, sizeof *o);
    o->peer = -1;
    o->from = -1e300;
    o->to = 1e300;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool takes = a[0] == '-' && strcmp(a, "--json") != 0 && strcmp(a, "--stats") != 0;
        if (takes && !value) return false;
        if (strcmp(a, "--json") == 0) o->json = true;
        else if (strcmp(a, "--stats") == 0) o->stats = true;
        else if (strcmp(a, "--pcap") == 0) o->pcap = value;
        else if (strcmp(a, "--cut") == 0) o->cut = value;
        else if (strcmp(a, "-n") == 0) o->name = value;
        else if (strcmp(a, "-p") == 0) o->peer = strtol(value, NULL, 10);
        else if (strcmp(a, "-f") == 0) o->from = strtod(value, NULL);
        else if (strcmp(a, "-t") == 0) o->to = strtod(value, NULL);
        else if (strcmp(a, "-s") == 0) o->speed = strtod(value, NULL);
        else if (a[0] == '-' || o->tape) return false;
        else o->tape = a;
        i += takes;
    }
    return o->tape && !(o->pcap && o->cut);
}

static uint8_t *read_file(const char *path, int *size) {
    FILE *in = fopen(path, "rb");
    uint8_t *bytes = NULL;
    long length = -1;
    if (!in) return NULL;
    if (fseek(in, 0, SEEK_END) == 0) length = ftell(in);
    rewind(in);
    if (length >= 0 && length < INT32_MAX) bytes = (uint8_t *)malloc((size_t)length + 1);
    *size = bytes ? (int)fread(bytes, 1, (size_t)length, in) : 0;
    fclose(in);
    return bytes;
}

int main(int argc, char **argv) {
    static look l;
    static tape_reader reader;
    int size = 0;
    uint8_t *bytes;
    bool good;
    if (!take_options(&l.o, argc, argv)) {
        fprintf(stderr, "usage: wisp_tape [-n NAME] [-p PEER] [-f SECONDS] [-t SECONDS] "
                        "[-s SPEED]\n"
                        "       [--json | --stats | --pcap OUT | --cut OUT] TAPE\n");
        return 2;
    }
    bytes = read_file(l.o.tape, &size);
    if (l.o.pcap || l.o.cut) l.out = fopen(l.o.pcap ? l.o.pcap : l.o.cut, "wb");
    if (!bytes || ((l.o.pcap || l.o.cut) && !l.out)) {
        fprintf(stderr, "wisp_tape: a file cannot be opened\n");
        free(bytes);
        return 2;
    }
    if (l.o.pcap) {
        put_little(l.out, 0xa1b2c3d4, 4);
        put_little(l.out, 0x00040002, 4);
        put_little(l.out, 0, 8);
        put_little(l.out, 65535, 4);
        put_little(l.out, 101, 4);
    }
    reader.line = show_line;
    reader.packet = show_packet;
    reader.block = show_block;
    reader.user = &l;
    good = tape_read_all(&reader, bytes, size);
    if (l.o.stats) show_tallies(&l);
    if (!good) fprintf(stderr, "wisp_tape: %s at byte %d\n", reader.error, reader.error_at);
    if (l.out) fclose(l.out);
    tape_reader_free(&reader);
    free(bytes);
    return good ? 0 : 1;
}
