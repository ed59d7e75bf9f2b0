// The rows of images that a convolution reads, with their padding, in memory that stays in a cache: the
// channels of a pixel lie next to each other there, whatever the order of the images.
#include "convolution.h"

#include <string.h>

apus_gathered apus_gathered_shape(const apus_pass *p) {
  // Where a window has one row (column), only the rows (columns) it touches are gathered.
  apus_gathered shape;
  shape.step_y = p->taps_y == 1 ? 1 : p->step_y;
  shape.step_x = p->taps_x == 1 ? 1 : p->step_x;
  shape.columns = (p->width - 1) * shape.step_x + (p->taps_x - 1) * p->tap_x + 1;
  shape.row = shape.columns * p->depth;
  return shape;
}

ptrdiff_t apus_gathered_rows(const apus_pass *p, ptrdiff_t rows) {
  return (rows - 1) * (p->taps_y == 1 ? 1 : p->step_y) + (p->taps_y - 1) * p->tap_y + 1;
}

/// A block of at most `transpose_size` channels of a row of pixels, from planes to next to each other.
static void turn_row(
    const apus_loops *loops, float *to, ptrdiff_t depth, const float *from, ptrdiff_t plane,
    ptrdiff_t channels, ptrdiff_t pixels, ptrdiff_t x_step) {
  const ptrdiff_t side = loops->transpose_size;
  if (channels == side && pixels >= side && x_step == 1) {
    // The last square overlaps the one before.
    for (ptrdiff_t j = 0; j < pixels; j += side) {
      if (j > pixels - side) j = pixels - side;
      loops->transpose(
          (char *)(to + j * depth), depth * (ptrdiff_t)sizeof(float), (const char *)(from + j),
          plane * (ptrdiff_t)sizeof(float));
    }
    return;
  }
  for (ptrdiff_t d = 0; d < channels; d++)
    for (ptrdiff_t j = 0; j < pixels; j++) to[j * depth + d] = from[d * plane + j * x_step];
}

void apus_gather_rows(
    const apus_pass *p, ptrdiff_t image, ptrdiff_t group, ptrdiff_t first, ptrdiff_t rows, float *to) {
  const apus_gathered shape = apus_gathered_shape(p);
  const ptrdiff_t pixel = p->groups * p->depth, depth = p->depth;
  const ptrdiff_t y_step = p->taps_y == 1 ? p->step_y : 1, x_step = p->taps_x == 1 ? p->step_x : 1;
  const ptrdiff_t count = apus_gathered_rows(p, rows);
  // Gathered column j is input column first_x + j · x_step; those from `begin` to `end` exist.
  ptrdiff_t begin = p->first_x >= 0 ? 0 : apus_blocks(-p->first_x, x_step);
  ptrdiff_t end = p->in_width > p->first_x ? apus_blocks(p->in_width - p->first_x, x_step) : 0;
  if (begin > shape.columns) begin = shape.columns;
  if (end > shape.columns) end = shape.columns;
  if (end < begin) end = begin;
  const float *planes = NULL;
  if (p->is_planar && end > begin)
    planes = p->in + (image * pixel + group * depth) * p->in_height * p->in_width + p->first_x +
             begin * x_step;
  float *const start = to;
  for (ptrdiff_t i = 0; i < count; i++, to += shape.row) {
    const ptrdiff_t y = first * p->step_y + p->first_y + i * y_step;
    if (y < 0 || y >= p->in_height) {
      memset(to, 0, (size_t)shape.row * sizeof(float));
      continue;
    }
    memset(to, 0, (size_t)(begin * depth) * sizeof(float));
    memset(to + end * depth, 0, (size_t)((shape.columns - end) * depth) * sizeof(float));
    if (p->is_planar) continue;
    const float *from =
        p->in + ((image * p->in_height + y) * p->in_width + p->first_x + begin * x_step) * pixel +
        group * depth;
    if (x_step == 1 && pixel == depth)
      memcpy(to + begin * depth, from, (size_t)((end - begin) * depth) * sizeof(float));
    else
      for (ptrdiff_t j = begin; j < end; j++, from += x_step * pixel)
        memcpy(to + j * depth, from, (size_t)depth * sizeof(float));
  }
  if (!planes) return;
  // Few planes at a time, so that each is read in long runs. The last block overlaps the one before.
  const apus_loops *loops = apus_loops_now();
  const ptrdiff_t block = apus_least(depth, loops->transpose_size);
  const ptrdiff_t plane = p->in_height * p->in_width;
  for (ptrdiff_t d = 0; d < depth; d += block) {
    if (d > depth - block) d = depth - block;
    for (ptrdiff_t i = 0; i < count; i++) {
      const ptrdiff_t y = first * p->step_y + p->first_y + i * y_step;
      if (y >= 0 && y < p->in_height)
        turn_row(
            loops, start + i * shape.row + begin * depth + d, depth,
            planes + d * plane + y * p->in_width, plane, block, end - begin, x_step);
    }
  }
}

apus_runs apus_window_runs(const apus_pass *p, apus_gathered shape) {
  // Columns next to each other are one run.
  const bool is_dense = p->tap_x == 1 || p->taps_x == 1;
  return (apus_runs){
      .rows = p->taps_y, .columns = is_dense ? 1 : p->taps_x, .row = p->tap_y * shape.row,
      .column = p->tap_x * p->depth, .length = is_dense ? p->taps_x * p->depth : p->depth,
      .pixel = shape.step_x * p->depth};
}
