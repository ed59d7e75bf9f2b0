// Reading and adding at indices. Indices were checked before; adding keeps the order of the indices for
// every destination, since tasks divide the destinations.
#include "level.h"
#include "walk.h"

#include <string.h>

ptrdiff_t apus_first_outside(ptrdiff_t count, const int32_t *indices, ptrdiff_t extent) {
  // A block at a time without a branch, so that the compiler makes vectors of it.
  for (ptrdiff_t start = 0; start < count; start += 4096) {
    const ptrdiff_t end = count - start < 4096 ? count : start + 4096;
    const uint32_t limit = extent > INT32_MAX ? (uint32_t)INT32_MAX + 1 : (uint32_t)extent;
    int bad = 0;
    for (ptrdiff_t i = start; i < end; i++) bad |= (uint32_t)indices[i] >= limit;
    if (!bad) continue;
    for (ptrdiff_t i = start; i < end; i++)
      if ((uint32_t)indices[i] >= limit) return i;
  }
  return -1;
}

typedef struct {
  int size;
  bool is_integer, adds;
  ptrdiff_t outer, extent, inner, count, outer_stride, row_stride, parts;
  const char *x;
  const int32_t *indices;
  char *out;
  apus_walk walk;
} index_job;

static void take_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const index_job *job = context;
  const ptrdiff_t bytes = job->inner * job->size;
  for (ptrdiff_t row = begin; row < end; row++) {
    const ptrdiff_t outer = row / job->count, i = row % job->count;
    const char *from =
        job->x + (outer * job->outer_stride + job->indices[i] * job->row_stride) * job->size;
    char *to = job->out + row * bytes;
    if (bytes == 4)
      memcpy(to, from, 4);
    else
      memcpy(to, from, (size_t)bytes);
  }
}

void apus_take(
    int size, ptrdiff_t outer, ptrdiff_t extent, ptrdiff_t inner, ptrdiff_t count, const void *x,
    ptrdiff_t outer_stride, ptrdiff_t row_stride, const int32_t *indices, void *out) {
  index_job job = {
      .size = size, .outer = outer, .extent = extent, .inner = inner, .count = count,
      .outer_stride = outer_stride, .row_stride = row_stride, .x = x, .indices = indices, .out = out};
  const ptrdiff_t rows = outer * count;
  if (rows == 0 || inner == 0) return;
  const ptrdiff_t grain = APUS_GRAIN / inner < 1 ? 1 : APUS_GRAIN / inner;
  apus_parallel_for(rows, rows * inner < 2 * APUS_GRAIN ? rows : grain, take_rows, &job);
}

/// Tasks: one of `parts` ranges of destinations of one outer position.
static void index_add_parts(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const index_job *job = context;
  const apus_loops *loops = apus_loops_now();
  const ptrdiff_t n = job->inner;
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t outer = task / job->parts, part = task % job->parts;
    const ptrdiff_t first = job->extent * part / job->parts;
    const ptrdiff_t last = job->extent * (part + 1) / job->parts;
    const char *source = job->x + outer * job->count * n * 4;
    char *out = job->out + outer * job->extent * n * 4;
    for (ptrdiff_t i = 0; i < job->count; i++) {
      const ptrdiff_t to = job->indices[i];
      if (to < first || to >= last) continue;
      if (!job->is_integer) {
        loops->add_row((float *)out + to * n, (const float *)source + i * n, n);
      } else {
        for (ptrdiff_t k = 0; k < n; k++)
          ((uint32_t *)out)[to * n + k] += ((const uint32_t *)source)[i * n + k];
      }
    }
  }
}

void apus_index_add(
    bool is_integer, ptrdiff_t outer, ptrdiff_t extent, ptrdiff_t inner, ptrdiff_t count,
    const int32_t *indices, const void *source, void *out) {
  const ptrdiff_t work = outer * count * inner;
  if (work == 0) return;
  index_job job = {
      .size = 4, .is_integer = is_integer, .outer = outer, .extent = extent, .inner = inner,
      .count = count, .x = source, .indices = indices, .out = out, .parts = 1};
  const bool is_parallel = work >= 2 * APUS_GRAIN;
  // Every part reads all indices, so parts pay only where rows are long.
  if (is_parallel && outer < 8 && inner >= 8) job.parts = extent < 8 ? extent : 8;
  const ptrdiff_t tasks = outer * job.parts;
  apus_parallel_for(tasks, is_parallel ? 1 : tasks, index_add_parts, &job);
}

/// Tasks: positions of the axes other than `axis`; operand 0 is dense, operand 1 the strided one.
static void along_axis(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const index_job *job = context;
  const apus_walk *w = &job->walk;
  const int last = w->rank - 1;
  apus_place place;
  apus_place_seek(&place, w, last, begin);
  for (ptrdiff_t line = begin; line < end; line++) {
    const int32_t *index = job->indices + place.offset[0];
    ptrdiff_t at = place.offset[0];
    for (ptrdiff_t i = 0; i < w->shape[last]; i++) {
      const ptrdiff_t other = place.offset[1] + *index * w->stride[1][last];
      if (!job->adds) {
        memcpy(job->out + at * job->size, job->x + other * job->size, (size_t)job->size);
      } else if (job->is_integer) {
        ((uint32_t *)job->out)[other] += ((const uint32_t *)job->x)[at];
      } else {
        ((float *)job->out)[other] += ((const float *)job->x)[at];
      }
      at += w->stride[0][last];
      index += w->stride[0][last];
    }
    apus_place_advance(&place, w, last);
  }
}

/// A walk in elements with `axis` moved last.
static void lines_along(
    index_job *job, int rank, const ptrdiff_t *shape, int axis, const ptrdiff_t *strides) {
  apus_walk *w = &job->walk;
  w->rank = rank;
  w->operands = 2;
  w->count = 1;
  ptrdiff_t step = 1;
  for (int from = rank - 1; from >= 0; from--) {
    const int to = from == axis ? rank - 1 : from > axis ? from - 1 : from;
    w->shape[to] = shape[from];
    w->stride[0][to] = step;
    w->stride[1][to] = strides[from];
    w->count *= shape[from];
    step *= shape[from];
  }
  if (w->count == 0) return;
  const ptrdiff_t lines = w->count / w->shape[rank - 1];
  const ptrdiff_t grain = 4096 / w->shape[rank - 1];
  apus_parallel_for(
      lines, w->count < 8192 ? lines : grain < 1 ? 1 : grain, along_axis, job);
}

void apus_gather(
    int size, int rank, const ptrdiff_t *shape, int axis, const void *x, const ptrdiff_t *x_strides,
    const int32_t *indices, void *out) {
  index_job job = {.size = size, .x = x, .indices = indices, .out = out};
  lines_along(&job, rank, shape, axis, x_strides);
}

void apus_scatter_add(
    bool is_integer, int rank, const ptrdiff_t *shape, int axis, const int32_t *indices,
    const void *source, void *out, const ptrdiff_t *out_strides) {
  index_job job = {
      .size = 4, .adds = true, .is_integer = is_integer, .x = source, .indices = indices, .out = out};
  lines_along(&job, rank, shape, axis, out_strides);
}
