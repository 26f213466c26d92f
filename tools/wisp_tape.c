/* wisp_tape.c - looks into a tape that wisp_record has written (examples/tape.md)

   Build    cc -std=c99 -O2 -I. tools/wisp_tape.c -o build/wisp_tape -lm
            with -DWISP_WITH_LZ4 and -llz4 it reads tapes that LZ4 has packed, too
   Usage    wisp_tape [-n NAME] [-p PEER] [-f SECONDS] [-t SECONDS] [-F TICK] [-T TICK]
                      [-s SPEED] [--json | --stats | --play | --pcap OUT | --cut OUT] TAPE

   Lists the handlers that ran, the calls that were made (those from outside of handlers begin with
   ">"), and the states of objects, with their values. -n, -p: only of that name, that peer; -f, -t:
   from and to that time of the endpoint; -F, -T: from and to that tick; -s: as fast as it was,
   times SPEED. --json: a line of JSON for each. --stats: counts and bytes for each name. --play:
   draws what goes on, as fast as it was times SPEED (keys: 1 to 5 and tab turn the pages, q ends
   it; what is no terminal gets the last picture alone). --pcap: the datagrams as UDP, for Wireshark
   (tools/wisp.lua takes them apart); those that went out are there if writer.packets was set.
   --cut: a tape that ends at -t or -T. An error names the byte of the tape. The exit code is 1
   then, and 2 for wrong arguments. */
#if defined(__unix__) || defined(__APPLE__)
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#include <time.h>
#define CAN_WAIT
#endif
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#include "wisp.h"
#include "tape_reader.h"
#ifdef CAN_WAIT
#include "terminal.h"
#endif

typedef struct options {
    const char *name, *pcap, *cut, *tape;
    long peer;
    double from, to, speed, from_tick, to_tick;
    bool json, stats, play;
} options;

typedef struct tally { char name[160]; long count; long long bytes; } tally;

typedef struct look {
    options o;
    FILE *out;                /* pcap or cut */
    tally tallies[1024];
    int tally_count;
    double shown;             /* time of the last line */
    double second, begun;     /* --play: of the sample that is being made; of the first */
    wisp_sample sample;
    wisp_snapshot now;
    wisp_remote_profile before[WISP_SNAPSHOT_REMOTES];    /* at the begin of the second */
#ifdef CAN_WAIT
    terminal terminal;
#endif
} look;

/* --- what goes on, as a snapshot --- */

static int by_most_bytes(const void *a, const void *b) {
    const wisp_remote_profile *x = (const wisp_remote_profile *)a;
    const wisp_remote_profile *y = (const wisp_remote_profile *)b;
    uint64_t left = x->in.bytes + x->out.bytes, right = y->in.bytes + y->out.bytes;
    return left < right ? 1 : left > right ? -1 : 0;
}

static void draw(look *l) {
#ifdef CAN_WAIT
    wisp_snapshot sorted = l->now;
    qsort(sorted.remotes, sorted.remote_count, sizeof *sorted.remotes, by_most_bytes);
    terminal_draw(&l->terminal, &sorted);
#endif
    (void)l, (void)by_most_bytes;
}

/* The rates of a second that is over. */
static void rate(wisp_traffic *now, const wisp_traffic *before) {
    now->messages_per_second = (float)(now->messages - before->messages);
    now->bytes_per_second = (float)(now->bytes - before->bytes);
}

static void close_second(look *l) {
    wisp_snapshot *now = &l->now;
    for (uint32_t i = 0; i < now->remote_count; i++) {
        rate(&now->remotes[i].in, &l->before[i].in);
        rate(&now->remotes[i].out, &l->before[i].out);
        l->before[i] = now->remotes[i];
    }
    if (now->sample_count == WISP_HISTORY_SECONDS)
        memmove(now->samples, now->samples + 1, sizeof now->samples - sizeof *now->samples);
    else now->sample_count++;
    now->samples[now->sample_count - 1] = l->sample;
    now->in.messages_per_second = l->sample.messages_in;
    now->out.messages_per_second = l->sample.messages_out;
    now->in.bytes_per_second = l->sample.bytes_in;
    now->out.bytes_per_second = l->sample.bytes_out;
    memset(&l->sample, 0, sizeof l->sample);
    l->second += 1;
}

/* A leap of the clock makes no more samples than there is room for. */
static void play_time(look *l, double time) {
    if (l->begun <= 0) l->begun = l->second = time;
    if (time - l->second > WISP_HISTORY_SECONDS + 1 || time < l->second)
        l->second = time - (time < l->second ? 0 : WISP_HISTORY_SECONDS);
    while (time >= l->second + 1) close_second(l);
    l->now.time = time;
    l->now.seconds = time - l->begun;
}

static void count_traffic(wisp_traffic *t, uint64_t messages, int bytes) {
    t->messages += messages;
    t->bytes += (uint64_t)bytes;
}

static void play_line(look *l, const tape_line *line) {
    wisp_snapshot *now = &l->now;
    bool in = strcmp(line->what, "handler") == 0 || strcmp(line->what, "message") == 0;
    bool class_line = strncmp(line->name, "class ", 6) == 0;
    uint32_t i = 0;
    play_time(l, line->time);
    now->peers_joined += strcmp(line->name, WISP_JOINED) == 0;
    if (strcmp(line->name, WISP_LEFT) == 0 && now->peers_joined) now->peers_joined--;
    if (strcmp(line->name, WISP_ERROR) == 0) now->errors++;
    if (!*line->name || strncmp(line->name, "wisp:", 5) == 0 || strcmp(line->what, "named") == 0)
        return;
    while (i < now->remote_count && strcmp(now->remotes[i].name, line->name) != 0) i++;
    if (i < now->remote_count || i < WISP_SNAPSHOT_REMOTES) {
        wisp_remote_profile *p = &now->remotes[i];
        if (i == now->remote_count) {
            now->remotes_known = ++now->remote_count;
            snprintf(p->name, sizeof p->name, "%.47s", line->name);
            p->is_class = class_line;
        }
        count_traffic(in ? &p->in : &p->out, 1, line->bytes);
        p->calls_sent += strcmp(line->what, "invoke") == 0;
    }
    count_traffic(in ? &now->in : &now->out, 1, 0);
    if (in) l->sample.messages_in++;
    else l->sample.messages_out++;
}

static void play_packet(look *l, const tape_packet *p) {
    play_time(l, p->time);
    count_traffic(p->out ? &l->now.out : &l->now.in, 0, p->bytes);
    if (p->out) l->sample.bytes_out += (float)p->bytes;
    else l->sample.bytes_in += (float)p->bytes;
}

static bool has_ended(const look *l) {
#ifdef CAN_WAIT
    return l->terminal.ended || interrupted;
#else
    return (void)l, false;
#endif
}

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
    bool slow = seconds > 0 && seconds < 3600 && l->shown > 0;
    if (l->terminal.live && l->shown > 0 && seconds < 0.1) return;    /* ten pictures a second */
    if (l->terminal.live) draw(l);
    else fflush(stdout);
    for (double part; slow && seconds > 0 && !has_ended(l); seconds -= part) {
        struct timespec span = { 0, 0 };
        part = seconds < 0.1 ? seconds : 0.1;
        span.tv_nsec = (long)(part * 1e9);
        nanosleep(&span, NULL);
        if (terminal_keys(&l->terminal)) draw(l);
    }
#endif
    l->shown = now;
}

static bool is_wanted(const options *o, double time, int64_t tick) {
    return time >= o->from && time <= o->to && (double)tick >= o->from_tick &&
           (double)tick <= o->to_tick;
}

static void show_line(void *user, const tape_line *line) {
    look *l = (look *)user;
    const options *o = &l->o;
    if (!is_wanted(o, line->time, line->tick)) return;
    if (o->name && strcmp(o->name, line->name) != 0) return;
    if (o->peer >= 0 && line->peer != o->peer) return;
    count_line(l, line);
    if (o->stats || o->pcap || o->cut || has_ended(l)) return;
    if (o->play) play_line(l, line);
    wait_for(l, line->time);
    if (o->play) return;
    if (o->json)
        printf("{\"time\":%.6f,\"tick\":%lld,\"inside\":%s,\"what\":\"%s\",\"name\":\"%s\","
               "\"peer\":%ld,\"args\":[%s]}\n", line->time, (long long)line->tick,
               line->inside ? "true" : "false", line->what, line->name, line->peer, line->args);
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
    if (!is_wanted(&l->o, p->time, p->tick)) return;
    if (l->o.play) play_packet(l, p);
    if (!l->o.pcap) return;
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

static void show_block(void *user, const uint8_t *bytes, int count, double time, int64_t tick) {
    look *l = (look *)user;
    if (l->o.cut && time <= l->o.to && (double)tick <= l->o.to_tick)
        fwrite(bytes, 1, (size_t)count, l->out);
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
    o->from_tick = -1e300;
    o->to = o->to_tick = 1e300;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool takes = a[0] == '-' && strcmp(a, "--json") != 0 && strcmp(a, "--stats") != 0 &&
                     strcmp(a, "--play") != 0;
        if (takes && !value) return false;
        if (strcmp(a, "--json") == 0) o->json = true;
        else if (strcmp(a, "--stats") == 0) o->stats = true;
        else if (strcmp(a, "--play") == 0) o->play = true;
        else if (strcmp(a, "--pcap") == 0) o->pcap = value;
        else if (strcmp(a, "--cut") == 0) o->cut = value;
        else if (strcmp(a, "-n") == 0) o->name = value;
        else if (strcmp(a, "-p") == 0) o->peer = strtol(value, NULL, 10);
        else if (strcmp(a, "-f") == 0) o->from = strtod(value, NULL);
        else if (strcmp(a, "-t") == 0) o->to = strtod(value, NULL);
        else if (strcmp(a, "-F") == 0) o->from_tick = strtod(value, NULL);
        else if (strcmp(a, "-T") == 0) o->to_tick = strtod(value, NULL);
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
                        "[-F TICK] [-T TICK]\n       [-s SPEED] "
                        "[--json | --stats | --play | --pcap OUT | --cut OUT] TAPE\n");
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
    snprintf(l.now.app, sizeof l.now.app, "%.64s", l.o.tape);
#ifdef CAN_WAIT
    l.terminal.filter = l.o.name;
    if (l.o.play && l.o.speed <= 0) l.o.speed = isatty(STDOUT_FILENO) ? 1 : 1e9;
    if (l.o.play) terminal_take(&l.terminal);
#endif
    reader.line = show_line;
    reader.packet = show_packet;
    reader.block = show_block;
    reader.user = &l;
    good = tape_read_all(&reader, bytes, size);
    if (l.o.stats) show_tallies(&l);
#ifdef CAN_WAIT
    if (l.o.play && !has_ended(&l)) draw(&l);
    terminal_give_back(&l.terminal);
#endif
    if (!good) fprintf(stderr, "wisp_tape: %s at byte %d\n", reader.error, reader.error_at);
    if (l.out) fclose(l.out);
    tape_reader_free(&reader);
    free(bytes);
    return good ? 0 : 1;
}
