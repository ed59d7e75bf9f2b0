#include "CPNGReader.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

// What outlives a longjmp lies here, not in registers.
typedef struct {
  png_structp png;
  png_infop info;
  jmp_buf escape;
  char *message;
  const uint8_t *bytes;
  size_t left;
  uint8_t *rows;
} decoder;

static void fail(png_structp png, png_const_charp text) {
  decoder *d = png_get_error_ptr(png);
  snprintf(d->message, APUS_PNG_MESSAGE, "%s", text);
  longjmp(d->escape, 1);
}

// Warnings are about chunks that do not touch the pixels.
static void silent(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

static void take(png_structp png, png_bytep out, size_t count) {
  decoder *d = png_get_io_ptr(png);
  if (count > d->left) png_error(png, "the file ends early");
  memcpy(out, d->bytes, count);
  d->bytes += count;
  d->left -= count;
}

static void end(decoder *d) {
  png_destroy_read_struct(&d->png, &d->info, NULL);
  free(d->rows);
  free(d);
}

static decoder *begin(const uint8_t *bytes, size_t count, char *message) {
  message[0] = 0;
  decoder *d = calloc(1, sizeof *d);
  if (d == NULL) {
    snprintf(message, APUS_PNG_MESSAGE, "out of memory");
    return NULL;
  }
  d->message = message;
  d->bytes = bytes;
  d->left = count;
  return d;
}

// Runs within the caller's setjmp, as all that follows.
static void read_header(decoder *d) {
  d->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, d, fail, silent);
  if (d->png != NULL) d->info = png_create_info_struct(d->png);
  if (d->info == NULL) {
    snprintf(d->message, APUS_PNG_MESSAGE, "out of memory");
    longjmp(d->escape, 1);
  }
  png_set_read_fn(d->png, d, take);
  // Only IHDR, PLTE, tRNS, IDAT and IEND are looked at.
  png_set_keep_unknown_chunks(d->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_read_info(d->png, d->info);
}

int apus_png_read_size(
    const uint8_t *bytes, size_t count, apus_png_size *size, char message[APUS_PNG_MESSAGE]) {
  decoder *d = begin(bytes, count, message);
  if (d == NULL) return 0;
  if (setjmp(d->escape)) {
    end(d);
    return 0;
  }
  read_header(d);
  size->width = (int)png_get_image_width(d->png, d->info);
  size->height = (int)png_get_image_height(d->png, d->info);
  size->channels = png_get_color_type(d->png, d->info) & PNG_COLOR_MASK_COLOR ? 3 : 1;
  end(d);
  return 1;
}

// One row of `stored` channels (gray or RGB, perhaps with alpha) into planes `plane` bytes apart. Gray is
// that of ITU-R BT.601 in 16 bits after the point.
static void store(
    const uint8_t *row, size_t width, int stored, unsigned background, int channels, uint8_t *out,
    size_t plane) {
  const int colors = stored < 3 ? 1 : 3, has_alpha = stored % 2 == 0;
  for (size_t x = 0; x < width; x++) {
    const uint8_t *pixel = row + x * (size_t)stored;
    unsigned value[3] = {0, 0, 0};
    for (int c = 0; c < colors; c++) {
      value[c] = pixel[c];
      if (!has_alpha) continue;
      const unsigned alpha = pixel[colors];
      value[c] = (value[c] * alpha + background * (255 - alpha) + 127) / 255;
    }
    if (colors == 1) {
      for (int c = 0; c < channels; c++) out[(size_t)c * plane + x] = (uint8_t)value[0];
    } else if (channels == 1) {
      out[x] = (uint8_t)((19595 * value[0] + 38470 * value[1] + 7471 * value[2] + 32768) >> 16);
    } else {
      for (int c = 0; c < 3; c++) out[(size_t)c * plane + x] = (uint8_t)value[c];
    }
  }
}

int apus_png_decode(
    const uint8_t *bytes, size_t count, int channels, uint8_t background, uint8_t *pixels,
    size_t capacity, char message[APUS_PNG_MESSAGE]) {
  decoder *d = begin(bytes, count, message);
  if (d == NULL) return 0;
  if (setjmp(d->escape)) {
    end(d);
    return 0;
  }
  read_header(d);
  // Palettes to RGB, fewer bits to eight, tRNS to alpha.
  png_set_expand(d->png);
  png_set_strip_16(d->png);
  const int passes = png_set_interlace_handling(d->png);
  png_read_update_info(d->png, d->info);
  const size_t width = png_get_image_width(d->png, d->info);
  const size_t height = png_get_image_height(d->png, d->info);
  const size_t stride = png_get_rowbytes(d->png, d->info);
  const int stored = png_get_channels(d->png, d->info);
  if (stride != width * (size_t)stored || width * height * (size_t)channels > capacity)
    png_error(d->png, "its rows have an unexpected size");
  // Every pass of an interlaced image fills in some pixels of its rows.
  d->rows = calloc(passes > 1 ? height : 1, stride);
  if (d->rows == NULL) png_error(d->png, "out of memory");
  for (int pass = 1; pass <= passes; pass++) {
    for (size_t y = 0; y < height; y++) {
      uint8_t *row = d->rows + (passes > 1 ? y * stride : 0);
      png_read_row(d->png, row, NULL);
      if (pass == passes)
        store(row, width, stored, background, channels, pixels + y * width, width * height);
    }
  }
  end(d);
  return 1;
}
