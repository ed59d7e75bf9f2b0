#include "CJPEGReader.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

// A progressive file of a few bytes per scan can ask for hours of work; real ones have about ten.
enum { SCAN_LIMIT = 200 };

typedef struct {
  struct jpeg_error_mgr base;
  jmp_buf escape;
  char *message;
} error_manager;

static void fail(j_common_ptr info) {
  error_manager *manager = (error_manager *)info->err;
  char text[JMSG_LENGTH_MAX];
  info->err->format_message(info, text);
  snprintf(manager->message, APUS_JPEG_MESSAGE, "%s", text);
  longjmp(manager->escape, 1);
}

// Warnings that mean lost pixels end the reading; harmless ones (trailing bytes, odd versions) do not.
static void warn(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_ARITH_BAD_CODE:
      fail(info);
      break;
    default:
      info->err->num_warnings++;
  }
}

static void silent(j_common_ptr info) { (void)info; }

static void count_scans(j_common_ptr info) {
  j_decompress_ptr decoder = (j_decompress_ptr)info;
  if (decoder->input_scan_number > SCAN_LIMIT) {
    error_manager *manager = (error_manager *)info->err;
    snprintf(manager->message, APUS_JPEG_MESSAGE, "more than %d scans", (int)SCAN_LIMIT);
    longjmp(manager->escape, 1);
  }
}

// What outlives a longjmp lies here, not in registers.
typedef struct {
  struct jpeg_decompress_struct info;
  struct jpeg_progress_mgr progress;
  error_manager errors;
  uint8_t *row;
} decoder;

static decoder *begin(char *message) {
  message[0] = 0;
  decoder *d = calloc(1, sizeof *d);
  if (d == NULL) {
    snprintf(message, APUS_JPEG_MESSAGE, "out of memory");
    return NULL;
  }
  d->info.err = jpeg_std_error(&d->errors.base);
  d->errors.base.error_exit = fail;
  d->errors.base.emit_message = warn;
  d->errors.base.output_message = silent;
  d->errors.message = message;
  return d;
}

static void end(decoder *d) {
  jpeg_destroy_decompress(&d->info);
  free(d->row);
  free(d);
}

static void read_header(decoder *d, const uint8_t *bytes, size_t count) {
  jpeg_create_decompress(&d->info);
  d->progress.progress_monitor = count_scans;
  d->info.progress = &d->progress;
  jpeg_mem_src(&d->info, bytes, (unsigned long)count);
  jpeg_read_header(&d->info, TRUE);
}

int apus_jpeg_read_size(
    const uint8_t *bytes, size_t count, apus_jpeg_size *size, char message[APUS_JPEG_MESSAGE]) {
  decoder *d = begin(message);
  if (d == NULL) return 0;
  if (setjmp(d->errors.escape)) {
    end(d);
    return 0;
  }
  read_header(d, bytes, count);
  size->width = (int)d->info.image_width;
  size->height = (int)d->info.image_height;
  size->channels = d->info.jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
  end(d);
  return 1;
}

// Adobe's programs store CMYK inverted: 255 is no ink.
static void store_cmyk(
    const uint8_t *row, size_t width, int inverted, int channels, uint8_t *out, size_t plane) {
  for (size_t x = 0; x < width; x++) {
    unsigned rgb[3];
    for (int c = 0; c < 3; c++) {
      unsigned ink = row[4 * x + (size_t)c], black = row[4 * x + 3];
      if (!inverted) {
        ink = 255 - ink;
        black = 255 - black;
      }
      rgb[c] = (ink * black + 127) / 255;
    }
    if (channels == 1) {
      out[x] = (uint8_t)((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
    } else {
      for (int c = 0; c < 3; c++) out[(size_t)c * plane + x] = (uint8_t)rgb[c];
    }
  }
}

int apus_jpeg_decode(
    const uint8_t *bytes, size_t count, int channels, uint8_t *pixels, size_t capacity,
    char message[APUS_JPEG_MESSAGE]) {
  decoder *d = begin(message);
  if (d == NULL) return 0;
  if (setjmp(d->errors.escape)) {
    end(d);
    return 0;
  }
  read_header(d, bytes, count);
  J_COLOR_SPACE stored = d->info.jpeg_color_space;
  int is_cmyk = stored == JCS_CMYK || stored == JCS_YCCK;
  d->info.out_color_space = is_cmyk ? JCS_CMYK : channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  // libjpeg makes gray from Y alone, which RGB files do not have.
  int is_rgb = channels == 1 && stored == JCS_RGB;
  if (is_rgb) d->info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&d->info);
  size_t width = d->info.output_width, height = d->info.output_height;
  size_t plane = width * height, stored_channels = (size_t)d->info.output_components;
  d->row = malloc(width * stored_channels);
  if (d->row == NULL || plane * (size_t)channels > capacity) {
    snprintf(message, APUS_JPEG_MESSAGE, "out of memory");
    end(d);
    return 0;
  }
  while (d->info.output_scanline < d->info.output_height) {
    uint8_t *out = pixels + (size_t)d->info.output_scanline * width;
    JSAMPROW rows[1] = {d->row};
    jpeg_read_scanlines(&d->info, rows, 1);
    if (is_cmyk) {
      store_cmyk(d->row, width, d->info.saw_Adobe_marker, channels, out, plane);
    } else if (is_rgb) {
      for (size_t x = 0; x < width; x++) {
        const uint8_t *p = d->row + 3 * x;
        out[x] = (uint8_t)((299u * p[0] + 587u * p[1] + 114u * p[2] + 500u) / 1000u);
      }
    } else if (channels == 1) {
      memcpy(out, d->row, width);
    } else {
      for (size_t x = 0; x < width; x++) {
        for (size_t c = 0; c < 3; c++) out[c * plane + x] = d->row[3 * x + c];
      }
    }
  }
  jpeg_finish_decompress(&d->info);
  end(d);
  return 1;
}
