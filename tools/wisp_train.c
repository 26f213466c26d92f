/* wisp_train.c - makes a dictionary for zstd and LZ4 from recorded payloads

   Build    cc -std=c99 -O2 tools/wisp_train.c -o build/wisp_train -lzstd -lm
   Run      build/wisp_train [-l] [-s bytes] [-o dictionary] files...

   Each file is one payload, as it was before compression; with -l each is a list of payloads: four
   bytes of length, little-endian, then so many bytes, again and again. -s is the most that the
   dictionary may take, 256 to 1048576 bytes; 16384 without it. -o is where it goes; without it
   nothing is written, and only the figures are printed.

   Every tenth payload is kept back from the training and packed by itself, with the dictionary and
   without, the way wisp_compress.h does it: that is what the dictionary saves on what it has not
   seen. It takes some hundred payloads, and a hundred times as many bytes as the dictionary has, to
   learn well. Exit codes: 0 done, 1 it could not be done, 2 the arguments make no sense. */
#define WISP_IMPLEMENTATION
#define WISP_STATIC
#ifndef WISP_WITH_ZSTD
#define WISP_WITH_ZSTD
#endif
#include "../wisp.h"
#include "../wisp_compress.h"

#include <stdlib.h>
#include <zdict.h>

enum { TRAIN_WHY = 256, TRAIN_LEAST = 256, TRAIN_MOST = 1 << 20, TRAIN_USUAL = 16384 };

/* Payloads one after another, as the trainer wants them. */
typedef struct train_set {
    unsigned char *bytes;
    size_t         used, room;
    size_t        *sizes;
    unsigned       count, sizes_room;
} train_set;

typedef struct train {
    train_set      learned, held;
    unsigned       count;               /* payloads of both */
    unsigned char *dictionary;
    size_t         dictionary_bytes;
    size_t         plain_bytes;         /* of what was held back: packed without */
    size_t         with_bytes;          /* and with the dictionary */
} train;

/* Ends the program when there is no memory. */
static void *train_resize(void *pointer, size_t size) {
    void *resized = realloc(pointer, size);
    if (resized) return resized;
    fprintf(stderr, "wisp_train: out of memory\n");
    exit(1);
}

static void train_start(train *t) { memset(t, 0, sizeof *t); }

static void train_end(train *t) {
    free(t->learned.bytes);
    free(t->learned.sizes);
    free(t->held.bytes);
    free(t->held.sizes);
    free(t->dictionary);
}

/* An empty one teaches nothing and is left out. */
static void train_add(train *t, const unsigned char *bytes, size_t size) {
    train_set *set = t->count % 10 == 9 ? &t->held : &t->learned;
    if (size == 0) return;
    if (size > set->room - set->used) {
        set->room = (set->used + size) * 2;
        set->bytes = (unsigned char *)train_resize(set->bytes, set->room);
    }
    if (set->count == set->sizes_room) {
        set->sizes_room = set->sizes_room * 2 + 64;
        set->sizes = (size_t *)train_resize(set->sizes, set->sizes_room * sizeof *set->sizes);
    }
    memcpy(set->bytes + set->used, bytes, size);
    set->used += size;
    set->sizes[set->count++] = size;
    t->count++;
}

static size_t train_length(const unsigned char *bytes) {
    return bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
}

/* How many payloads are in the list, -1: it is cut off, and none is taken. */
static long train_add_list(train *t, const unsigned char *bytes, size_t size) {
    long count = 0;
    size_t at = 0;
    while (at < size) {
        if (size - at < 4 || train_length(bytes + at) > size - at - 4) return -1;
        at += 4 + train_length(bytes + at);
        count++;
    }
    for (at = 0; at < size; at += 4 + train_length(bytes + at))
        train_add(t, bytes + at + 4, train_length(bytes + at));
    return count;
}

static void *train_alloc(void *user, size_t size) {
    (void)user;
    return train_resize(NULL, size);
}

static void train_free(void *user, void *pointer, size_t size) {
    (void)user;
    (void)size;
    free(pointer);
}

/* What was held back in packets of its own: one that does not shrink goes as it is. */
static size_t train_measure(const train *t, const void *dictionary, size_t dictionary_bytes) {
    static const wisp_allocator memory = { train_alloc, train_free, NULL };
    const wisp_compressor *c = &wisp__zstd_compressor;
    void *context = c->open(c, &memory, dictionary, (int)dictionary_bytes);
    unsigned char *packed = (unsigned char *)train_resize(NULL, t->held.used + 1);
    const unsigned char *from = t->held.bytes;
    size_t sum = 0;
    for (unsigned i = 0; i < t->held.count; i++) {
        size_t size = t->held.sizes[i];
        int count = context ? c->compress(context, from, (int)size, packed, (int)size - 1) : 0;
        sum += count > 0 ? (size_t)count : size;
        from += size;
    }
    if (context) c->close(c, context);
    free(packed);
    return sum;
}

/* false: `why` tells. */
static bool train_run(train *t, size_t dictionary_bytes, char why[TRAIN_WHY]) {
    size_t result;
    if (t->held.count == 0) {
        snprintf(why, TRAIN_WHY, "%u payloads are too few: ten are the least, hundreds are better",
                 t->count);
        return false;
    }
    if (t->learned.used + t->held.used > (size_t)1 << 30) {
        snprintf(why, TRAIN_WHY, "over 1 GiB of payloads: leave some out");
        return false;
    }
    t->dictionary = (unsigned char *)train_resize(t->dictionary, dictionary_bytes);
    result = ZDICT_trainFromBuffer(t->dictionary, dictionary_bytes, t->learned.bytes,
                                   t->learned.sizes, t->learned.count);
    if (ZDICT_isError(result)) {
        snprintf(why, TRAIN_WHY, "nothing learned from %u payloads of %lu bytes in all (%s): more "
                 "of them, or a smaller -s, may help", t->learned.count,
                 (unsigned long)t->learned.used, ZDICT_getErrorName(result));
        return false;
    }
    t->dictionary_bytes = result;
    t->plain_bytes = train_measure(t, NULL, 0);
    t->with_bytes = train_measure(t, t->dictionary, t->dictionary_bytes);
    return true;
}

#ifndef WISP_TRAIN_NO_MAIN

static const char train_usage[] =
    "usage: wisp_train [-l] [-s bytes] [-o dictionary] files...\n"
    "  -l  each file is a list of payloads: a 32-bit little-endian length, then the bytes\n"
    "  -s  the most bytes the dictionary may take: 256 to 1048576; 16384\n"
    "  -o  where the dictionary goes; without it only the figures are printed\n";

typedef struct train_options {
    bool        list;
    size_t      bytes;
    const char *output;
    int         files;                  /* the first of them */
} train_options;

static bool train_read_options(train_options *o, int argc, char **argv) {
    int at = 1;
    o->bytes = TRAIN_USUAL;
    for (; at < argc && argv[at][0] == '-' && argv[at][1]; at++) {
        bool follows = at + 1 < argc;
        if (strcmp(argv[at], "--") == 0) { at++; break; }
        if (strcmp(argv[at], "-l") == 0) o->list = true;
        else if (strcmp(argv[at], "-o") == 0 && follows) o->output = argv[++at];
        else if (strcmp(argv[at], "-s") == 0 && follows) {
            char *end;
            long bytes = strtol(argv[++at], &end, 10);
            if (*end || bytes < TRAIN_LEAST || bytes > TRAIN_MOST) return false;
            o->bytes = (size_t)bytes;
        } else return false;
    }
    o->files = at;
    return at < argc;
}

/* The whole file, to be freed; NULL: it cannot be read. */
static unsigned char *train_read(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    size_t used = 0, room = 0, count;
    bool failed;
    if (!file) return NULL;
    do {
        if (used == room) bytes = (unsigned char *)train_resize(bytes, room = room * 2 + 65536);
        count = fread(bytes + used, 1, room - used, file);
        used += count;
    } while (count > 0);
    failed = ferror(file) != 0;
    fclose(file);
    *size = used;
    if (!failed) return bytes;
    free(bytes);
    return NULL;
}

static bool train_take_file(train *t, const char *path, bool list) {
    size_t size;
    unsigned char *bytes = train_read(path, &size);
    bool taken = true;
    if (!bytes) {
        fprintf(stderr, "wisp_train: %s: cannot be read\n", path);
        return false;
    }
    if (!list) train_add(t, bytes, size);
    else taken = train_add_list(t, bytes, size) >= 0;
    if (!taken) fprintf(stderr, "wisp_train: %s: no list of payloads, or cut off\n", path);
    free(bytes);
    return taken;
}

static bool train_write(const train *t, const char *path) {
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(t->dictionary, 1, t->dictionary_bytes, file) ==
                           t->dictionary_bytes;
    if (file && fclose(file)) written = false;
    if (!written) fprintf(stderr, "wisp_train: %s: cannot be written\n", path);
    return written;
}

static void train_print(const train *t) {
    double raw = (double)t->held.used;
    printf("learned    %u payloads, %lu bytes; dictionary %lu bytes\n", t->learned.count,
           (unsigned long)t->learned.used, (unsigned long)t->dictionary_bytes);
    printf("held back  %u payloads, %lu bytes\n", t->held.count, (unsigned long)t->held.used);
    printf("zstd       %lu bytes, saves %.1f%%\n", (unsigned long)t->plain_bytes,
           100.0 * (raw - (double)t->plain_bytes) / raw);
    printf("with it    %lu bytes, saves %.1f%%\n", (unsigned long)t->with_bytes,
           100.0 * (raw - (double)t->with_bytes) / raw);
}

int main(int argc, char **argv) {
    train_options options = { false, 0, NULL, 0 };
    train t;
    char why[TRAIN_WHY];
    bool done = true;
    if (!train_read_options(&options, argc, argv)) {
        fputs(train_usage, stderr);
        return 2;
    }
    train_start(&t);
    for (int i = options.files; i < argc && done; i++)
        done = train_take_file(&t, argv[i], options.list);
    if (done && !train_run(&t, options.bytes, why)) {
        fprintf(stderr, "wisp_train: %s\n", why);
        done = false;
    }
    if (done) train_print(&t);
    if (done && options.output) done = train_write(&t, options.output);
    train_end(&t);
    return done ? 0 : 1;
}

#endif /* WISP_TRAIN_NO_MAIN */
