/* picture.c - photographs of a window: what colours they have, and several of them as one PNG

   Build    cc picture.c -o picture -lpng
   Run      ./picture FILE.bmp               prints each colour that 20 pixels or more have, and how
                                             many: "e05a5a 612"
            ./picture OUT.png FILE.bmp...    the files, of 24 bits and one height, side by side
*/
#include <png.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096, GAP = 8, FEW = 20 };                     /* pixels */

/* Its rows from the bottom, each pixel blue, green, red. */
typedef struct bitmap { int width, height, pitch; unsigned char *rows; } bitmap;

static uint32_t number_at(const unsigned char *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool bitmap_read(bitmap *b, const char *path) {
    unsigned char head[54];
    FILE *file = fopen(path, "rb");
    size_t bytes = 0;
    b->rows = NULL;
    if (file && fread(head, sizeof head, 1, file) == 1 && head[28] == 24) {
        b->width = (int)number_at(head + 18);
        b->height = (int)number_at(head + 22);
        b->pitch = (b->width * 3 + 3) / 4 * 4;
        if (b->width > 0 && b->height > 0 && b->width <= MOST && b->height <= MOST)
            bytes = (size_t)b->pitch * (size_t)b->height;
        b->rows = bytes ? malloc(bytes) : NULL;
        fseek(file, (long)number_at(head + 10), SEEK_SET);
    }
    bytes = b->rows ? fread(b->rows, 1, bytes, file) - bytes : 1;
    if (file) fclose(file);
    if (bytes) fprintf(stderr, "%s: no bitmap of 24 bits\n", path);
    return bytes == 0;
}

static uint32_t pixel_of(const bitmap *b, int x, int y) {
    const unsigned char *at = b->rows + (b->height - 1 - y) * b->pitch + 3 * x;
    return (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool print_colors(const char *path) {
    bitmap b;
    int count = 0, from = 0;
    uint32_t *all;
    if (!bitmap_read(&b, path)) return false;
    all = malloc(sizeof *all * (size_t)b.width * (size_t)b.height);
    if (!all) return false;
    for (int y = 0; y < b.height; y++)
        for (int x = 0; x < b.width; x++) all[count++] = pixel_of(&b, x, y);
    qsort(all, (size_t)count, sizeof *all, by_value);
    for (int i = 1; i <= count; i++) {
        if (i < count && all[i] == all[from]) continue;
        if (i - from >= FEW) printf("%06x %d\n", (unsigned)all[from], i - from);
        from = i;
    }
    free(all);
    free(b.rows);
    return true;
}

static bool join(const char *path, char **files, int count) {
    static bitmap parts[8];
    png_image image = { .version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_BGR };
    unsigned char *rows;
    int width = 0, left = 0, height = 0;
    bool good;
    for (int i = 0; i < count; i++) {
        if (i == 8 || !bitmap_read(&parts[i], files[i])) return false;
        width += parts[i].width + (i ? GAP : 0);
        if (i && parts[i].height != height) return false;
        height = parts[i].height;
    }
    image.width = (png_uint_32)width;
    image.height = (png_uint_32)height;
    rows = malloc((size_t)width * (size_t)height * 3);
    if (!rows) return false;
    memset(rows, 255, (size_t)width * (size_t)height * 3);
    for (int i = 0; i < count; left += parts[i].width + GAP, free(parts[i].rows), i++)
        for (int y = 0; y < height; y++)
            memcpy(rows + (y * width + left) * 3,
                   parts[i].rows + (height - 1 - y) * parts[i].pitch, (size_t)parts[i].width * 3);
    good = png_image_write_to_file(&image, path, 0, rows, 0, NULL) != 0;
    free(rows);
    return good;
}

int main(int argc, char **argv) {
    if (argc == 2) return print_colors(argv[1]) ? 0 : 1;
    if (argc > 2) return join(argv[1], argv + 2, argc - 2) ? 0 : 1;
    fprintf(stderr, "usage: picture [OUT.png] FILE.bmp...\n");
    return 2;
}
