#pragma once
#include <stddef.h>
#include <stdint.h>

// Decoding of PNG images in memory through libpng, whose errors leave by longjmp: they are caught here,
// so that a caller only sees a result and a message.

#define APUS_PNG_MESSAGE 256

typedef struct {
  int width;
  int height;
  // 1 for gray files (with transparency or without), 3 for others.
  int channels;
} apus_png_size;

// Reads what stands before the pixels. Returns 1, or 0 with `message` filled.
int apus_png_read_size(
    const uint8_t *bytes, size_t count, apus_png_size *size, char message[APUS_PNG_MESSAGE]);

// Decodes into `pixels`, `channels` planes of `height` rows of `width` bytes; `channels` is 1 (gray) or
// 3 (RGB) and need not be the file's. `capacity` is the room in `pixels`. Stored values are taken as they
// are, whatever gamma or colour profile the file names; of 16 bits the high eight. Transparency is laid
// over gray `background`. Returns 1, or 0 with `message` filled.
int apus_png_decode(
    const uint8_t *bytes, size_t count, int channels, uint8_t background, uint8_t *pixels,
    size_t capacity, char message[APUS_PNG_MESSAGE]);
