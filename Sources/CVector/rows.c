// Operations on independent rows, many rows to a task.
#include "level.h"

#include <string.h>

static ptrdiff_t row_grain(ptrdiff_t rows, ptrdiff_t columns) {
  if (rows * columns < 8192) return rows;
  const ptrdiff_t each = columns < 1 ? 1 : columns;
  return APUS_GRAIN / each < 1 ? 1 : APUS_GRAIN / each;
}

typedef struct {
  const apus_loops *loops;
  bool logarithm, stream;
  ptrdiff_t columns, x_stride, y_stride, out_stride;
  const float *x, *y;
  float *out;
} softmax_job;

static void softmax_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const softmax_job *job = context;
  for (ptrdiff_t row = begin; row < end; row++)
    job->loops->softmax(
        job->logarithm, job->x + row * job->x_stride, job->out + row * job->out_stride, job->columns,
        job->stream);
  if (job->stream) apus_stream_fence();
}

void apus_softmax(
    bool logarithm, ptrdiff_t rows, ptrdiff_t columns, const float *x, ptrdiff_t x_stride, float *out,
    ptrdiff_t out_stride) {
  if (columns == 0) return;
  softmax_job job = {
      .loops = apus_loops_now(), .logarithm = logarithm, .stream = rows * columns >= 4 << 20,
      .columns = columns, .x_stride = x_stride, .out_stride = out_stride, .x = x, .out = out};
  apus_parallel_for(rows, row_grain(rows, columns), softmax_rows, &job);
}

static void softmax_backward_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const softmax_job *job = context;
  for (ptrdiff_t row = begin; row < end; row++)
    job->loops->softmax_backward(
        job->logarithm, job->y + row * job->y_stride, job->x + row * job->x_stride,
        job->out + row * job->out_stride, job->columns);
}

void apus_softmax_backward(
    bool logarithm, ptrdiff_t rows, ptrdiff_t columns, const float *y, ptrdiff_t y_stride,
    const float *dy, ptrdiff_t dy_stride, float *dx, ptrdiff_t dx_stride) {
  softmax_job job = {
      .loops = apus_loops_now(), .logarithm = logarithm, .columns = columns, .x_stride = dy_stride,
      .y_stride = y_stride, .out_stride = dx_stride, .x = dy, .y = y, .out = dx};
  apus_parallel_for(rows, row_grain(rows, columns), softmax_backward_rows, &job);
}

typedef struct {
  const apus_loops *loops;
  float smoothing;
  int32_t ignored;
  ptrdiff_t columns;
  const float *logits, *weights;
  const int32_t *targets;
  float *losses, *row_weights, *gradient;
} cross_entropy_job;

static void cross_entropy_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const cross_entropy_job *job = context;
  const ptrdiff_t n = job->columns;
  for (ptrdiff_t row = begin; row < end; row++) {
    float *gradient = job->gradient ? job->gradient + row * n : NULL;
    const int32_t target = job->targets[row];
    if (target == job->ignored) {
      job->losses[row] = 0;
      job->row_weights[row] = 0;
      if (gradient) memset(gradient, 0, (size_t)n * sizeof(float));
      continue;
    }
    job->losses[row] = job->loops->cross_entropy(
        job->smoothing, job->logits + row * n, target, job->weights, n, gradient);
    job->row_weights[row] = job->weights ? job->weights[target] : 1.0f;
  }
}

ptrdiff_t apus_cross_entropy(
    float smoothing, int32_t ignored, ptrdiff_t rows, ptrdiff_t columns, const float *logits,
    const int32_t *targets, const float *weights, float *losses, float *row_weights,
    float *gradient) {
  for (ptrdiff_t row = 0; row < rows; row++)
    if (targets[row] != ignored && (targets[row] < 0 || targets[row] >= columns)) return row;
  cross_entropy_job job = {
      .loops = apus_loops_now(), .smoothing = smoothing, .ignored = ignored, .columns = columns,
      .logits = logits, .weights = weights, .targets = targets, .losses = losses,
      .row_weights = row_weights, .gradient = gradient};
  apus_parallel_for(rows, row_grain(rows, columns), cross_entropy_rows, &job);
  return -1;
}

typedef struct {
  const apus_loops *loops;
  float epsilon;
  ptrdiff_t rows, columns;
  const float *x, *weight, *bias, *dy, *mean, *rstd;
  float *y, *new_mean, *new_rstd, *partials;
} layer_norm_job;

static void layer_norm_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const layer_norm_job *job = context;
  const ptrdiff_t n = job->columns;
  for (ptrdiff_t row = begin; row < end; row++)
    job->loops->layer_norm(
        job->epsilon, job->x + row * n, job->weight, job->bias, job->y + row * n, n,
        job->new_mean + row, job->new_rstd + row);
}

void apus_layer_norm(
    float epsilon, ptrdiff_t rows, ptrdiff_t columns, const float *x, const float *weight,
    const float *bias, float *y, float *mean, float *rstd) {
  layer_norm_job job = {
      .loops = apus_loops_now(), .epsilon = epsilon, .rows = rows, .columns = columns, .x = x,
      .weight = weight, .bias = bias, .y = y, .new_mean = mean, .new_rstd = rstd};
  apus_parallel_for(rows, row_grain(rows, columns), layer_norm_rows, &job);
}

enum { LAYER_NORM_ROWS = 32 };

ptrdiff_t apus_layer_norm_parts(ptrdiff_t rows) {
  return (rows + LAYER_NORM_ROWS - 1) / LAYER_NORM_ROWS;
}

/// Tasks: LAYER_NORM_ROWS rows, with sums of their own.
static void layer_norm_backward_parts(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const layer_norm_job *job = context;
  const ptrdiff_t n = job->columns;
  for (ptrdiff_t part = begin; part < end; part++) {
    float *dweight = job->partials ? job->partials + part * 2 * n : NULL;
    float *dbias = dweight ? dweight + n : NULL;
    if (dweight) memset(dweight, 0, (size_t)n * 2 * sizeof(float));
    const ptrdiff_t first = part * LAYER_NORM_ROWS;
    const ptrdiff_t last = first + LAYER_NORM_ROWS < job->rows ? first + LAYER_NORM_ROWS : job->rows;
    for (ptrdiff_t row = first; row < last; row++)
      job->loops->layer_norm_backward(
          job->x + row * n, job->mean[row], job->rstd[row], job->dy + row * n, job->weight,
          job->y + row * n, dweight, dbias, n);
  }
}

void apus_layer_norm_backward(
    ptrdiff_t rows, ptrdiff_t columns, const float *x, const float *mean, const float *rstd,
    const float *dy, const float *weight, float *dx, float *dweight, float *dbias, float *partials) {
  const apus_loops *loops = apus_loops_now();
  layer_norm_job job = {
      .loops = loops, .rows = rows, .columns = columns, .x = x, .weight = weight, .dy = dy,
      .mean = mean, .rstd = rstd, .y = dx, .partials = dweight ? partials : NULL};
  const ptrdiff_t parts = apus_layer_norm_parts(rows);
  apus_parallel_for(parts, rows * columns < 8192 ? parts : 1, layer_norm_backward_parts, &job);
  if (!dweight) return;
  memset(dweight, 0, (size_t)columns * sizeof(float));
  memset(dbias, 0, (size_t)columns * sizeof(float));
  for (ptrdiff_t part = 0; part < parts; part++) {
    loops->add_row(dweight, partials + part * 2 * columns, columns);
    loops->add_row(dbias, partials + part * 2 * columns + columns, columns);
  }
}
