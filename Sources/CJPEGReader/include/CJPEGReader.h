#pragma once
#include <stddef.h>
#include <stdint.h>

// Decoding of JPEG images in memory through libjpeg, whose errors leave by longjmp: they are caught
// here, so that a caller only sees a result and a message.

#define APUS_JPEG_MESSAGE 256

typedef struct {
  int width;
  int height;
  // 1 for gray files, 3 for others (CMYK becomes RGB).
  int channels;
} apus_jpeg_size;

// Reads the header. Returns 1, or 0 with `message` filled.
int apus_jpeg_read_size(
    const uint8_t *bytes, size_t count, apus_jpeg_size *size, char message[APUS_JPEG_MESSAGE]);

// Decodes into `pixels`, `channels` planes of `height` rows of `width` bytes; `channels` is 1 (gray)
// or 3 (RGB) and need not be the file's. `capacity` is the room in `pixels`. Returns 1, or 0 with
// `message` filled; files that end early or hold undecodable data are refused.
int apus_jpeg_decode(
    const uint8_t *bytes, size_t count, int channels, uint8_t *pixels, size_t capacity,
    char message[APUS_JPEG_MESSAGE]);
