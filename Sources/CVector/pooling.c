// Pooling and resizing of dense NHWC images. Gradients are gathered, not scattered: an input pixel adds
// up what the windows that contain it give it, in ascending order, so threads never share an output.
#include "level.h"

#include <math.h>

typedef struct {
  const apus_loops *loops;
  const apus_pooling *shape;
  const float *x;
  const int32_t *indices_in;
  float *out;
  int32_t *indices;
} pool_job;

/// The taps of a window at `first` that lie inside `0 ..< extent`: `from ..< to`.
static void clip_taps(
    ptrdiff_t first, ptrdiff_t kernel, ptrdiff_t dilation, ptrdiff_t extent, ptrdiff_t *from,
    ptrdiff_t *to) {
  *from = first >= 0 ? 0 : (-first + dilation - 1) / dilation;
  *to = extent > first ? (extent - first + dilation - 1) / dilation : 0;
  if (*to > kernel) *to = kernel;
}

/// Tasks: rows of output.
static void max_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const pool_job *job = context;
  const apus_pooling *s = job->shape;
  const ptrdiff_t c = s->channels, line = s->width * c;
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t image = task / s->out_height, y = task % s->out_height;
    const ptrdiff_t top = y * s->stride_height - s->top;
    ptrdiff_t i, i_end;
    clip_taps(top, s->kernel_height, s->dilation_height, s->height, &i, &i_end);
    const ptrdiff_t row = top + i * s->dilation_height;
    const float *from = job->x + (image * s->height + row) * line;
    for (ptrdiff_t x = 0; x < s->out_width; x++) {
      const ptrdiff_t left = x * s->stride_width - s->left;
      ptrdiff_t j, j_end;
      clip_taps(left, s->kernel_width, s->dilation_width, s->width, &j, &j_end);
      const ptrdiff_t column = left + j * s->dilation_width;
      const ptrdiff_t at = (task * s->out_width + x) * c;
      if (i >= i_end || j >= j_end) {
        // A dilated window can miss the image altogether.
        for (ptrdiff_t k = 0; k < c; k++) {
          job->out[at + k] = -INFINITY;
          if (job->indices) job->indices[at + k] = -1;
        }
        continue;
      }
      job->loops->max_pixel(
          from + column * c, i_end - i, j_end - j, s->dilation_height * line, s->dilation_width * c,
          (int32_t)(row * s->width + column), (int32_t)(s->dilation_height * s->width),
          (int32_t)s->dilation_width, c, job->out + at, job->indices ? job->indices + at : NULL);
    }
  }
}

static ptrdiff_t grain_of(ptrdiff_t row) {
  const ptrdiff_t rows = APUS_GRAIN / (row < 1 ? 1 : row);
  return rows < 1 ? 1 : rows;
}

void apus_max_pool(const apus_pooling *shape, const float *x, float *out, int32_t *indices) {
  pool_job job = {
      .loops = apus_loops_now(), .shape = shape, .x = x, .out = out, .indices = indices};
  apus_parallel_for(
      shape->batch * shape->out_height, grain_of(shape->out_width * shape->channels), max_rows, &job);
}

/// The windows that can contain a pixel: those that begin neither after it nor a span before it.
static void windows_around(
    ptrdiff_t at, ptrdiff_t pad, ptrdiff_t kernel, ptrdiff_t dilation, ptrdiff_t stride,
    ptrdiff_t count, ptrdiff_t *from, ptrdiff_t *to) {
  const ptrdiff_t before = at + pad - (kernel - 1) * dilation;
  *from = before <= 0 ? 0 : (before + stride - 1) / stride;
  *to = (at + pad) / stride + 1;
  if (*to > count) *to = count;
  if (*from > *to) *from = *to;
}

/// Tasks: rows of the input.
static void max_backward_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const pool_job *job = context;
  const apus_pooling *s = job->shape;
  const ptrdiff_t c = s->channels, line = s->out_width * c;
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t image = task / s->height, y = task % s->height;
    ptrdiff_t i, i_end;
    windows_around(
        y, s->top, s->kernel_height, s->dilation_height, s->stride_height, s->out_height, &i, &i_end);
    for (ptrdiff_t x = 0; x < s->width; x++) {
      ptrdiff_t j, j_end;
      windows_around(
          x, s->left, s->kernel_width, s->dilation_width, s->stride_width, s->out_width, &j, &j_end);
      const ptrdiff_t from = (image * s->out_height + i) * line + j * c;
      job->loops->max_pixel_backward(
          job->x + from, job->indices_in + from, i_end - i, j_end - j, line, c,
          (int32_t)(y * s->width + x), c, job->out + (task * s->width + x) * c);
    }
  }
}

void apus_max_pool_backward(
    const apus_pooling *shape, const float *dy, const int32_t *indices, float *dx) {
  pool_job job = {
      .loops = apus_loops_now(), .shape = shape, .x = dy, .indices_in = indices, .out = dx};
  apus_parallel_for(
      shape->batch * shape->height, grain_of(shape->width * shape->channels), max_backward_rows,
      &job);
}

typedef struct {
  const apus_loops *loops;
  ptrdiff_t in_height, in_width, channels;
  const apus_taps *rows, *columns;
  const float *x;
  float *out;
} resample_job;

/// Tasks: rows of output.
static void resample_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const resample_job *job = context;
  const apus_taps *rows = job->rows, *columns = job->columns;
  const ptrdiff_t c = job->channels, line = job->in_width * c;
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t image = task / rows->outputs, y = task % rows->outputs;
    const float *from = job->x + (image * job->in_height + rows->first[y]) * line;
    for (ptrdiff_t x = 0; x < columns->outputs; x++)
      job->loops->weighted_pixel(
          from + columns->first[x] * c, rows->start[y + 1] - rows->start[y],
          columns->start[x + 1] - columns->start[x], line, c, rows->weights + rows->start[y],
          columns->weights + columns->start[x], c,
          job->out + (task * columns->outputs + x) * c);
  }
}

void apus_resample(
    ptrdiff_t batch, ptrdiff_t in_height, ptrdiff_t in_width, ptrdiff_t channels,
    const apus_taps *rows, const apus_taps *columns, const float *x, float *out) {
  resample_job job = {apus_loops_now(), in_height, in_width, channels, rows, columns, x, out};
  // Wide windows are more work than what they write.
  const ptrdiff_t taps = rows->start[rows->outputs] * columns->start[columns->outputs] /
                         (rows->outputs * columns->outputs);
  apus_parallel_for(
      batch * rows->outputs, grain_of(columns->outputs * channels * (taps / 4 + 1)), resample_rows,
      &job);
}
