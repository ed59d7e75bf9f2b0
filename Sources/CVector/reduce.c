// Reductions over any axes. Where the reduced axes hold the unit stride, each result is a sum along
// rows; where a kept axis holds it, blocks of columns are added row by row. Long reductions are cut at
// fixed places and their parts added in order, in double.
#include "level.h"
#include "walk.h"

#include <string.h>

enum { SEGMENT = 32768, ROW_SEGMENT = 4096, COLUMNS = 256, GATHERED = 1024, FLUSH_ROWS = 64 };

typedef union {
  double real;
  int64_t whole;
} partial;

typedef struct {
  const apus_loops *loops;
  apus_reduction operation;
  bool is_integer, by_columns;
  // Operand 0 is x, operand 1 out; strides in elements.
  apus_walk kept, reduced;
  ptrdiff_t kept_count, reduced_count, segment, segments;
  ptrdiff_t column_blocks;
  const char *x;
  char *out;
  partial *partials;
} reduce_job;

/// Splits the axes, sorts each part by falling stride of x, merges what is nested.
static void plan(
    reduce_job *job, int rank, const ptrdiff_t *shape, uint32_t axes, const ptrdiff_t *x_strides,
    const ptrdiff_t *out_strides) {
  static const uint8_t ones[WALK_OPERANDS] = {1, 1, 1, 1};
  for (int part = 0; part < 2; part++) {
    ptrdiff_t extents[APUS_MAX_RANK], xs[APUS_MAX_RANK], os[APUS_MAX_RANK];
    int used = 0;
    for (int axis = 0; axis < rank; axis++) {
      if ((int)((axes >> axis) & 1) != part) continue;
      int at = used++;
      for (; at > 0 && xs[at - 1] < x_strides[axis]; at--) {
        extents[at] = extents[at - 1];
        xs[at] = xs[at - 1];
        os[at] = os[at - 1];
      }
      extents[at] = shape[axis];
      xs[at] = x_strides[axis];
      os[at] = part || !out_strides ? 0 : out_strides[axis];
    }
    const ptrdiff_t *const strides[WALK_OPERANDS] = {xs, os};
    apus_walk_init(part ? &job->reduced : &job->kept, used, extents, 2, strides, ones);
  }
  job->kept_count = job->kept.count;
  job->reduced_count = job->reduced.count;
  const int last = job->kept.rank - 1;
  job->by_columns = job->kept.stride[0][last] == 1 && job->kept.shape[last] >= 8 &&
                    (job->reduced.stride[0][job->reduced.rank - 1] != 1 ||
                     job->reduced.shape[job->reduced.rank - 1] < 8);
  job->segment = job->by_columns ? ROW_SEGMENT : SEGMENT;
  job->segments = (job->reduced_count + job->segment - 1) / job->segment;
  job->column_blocks =
      job->by_columns ? (job->kept.shape[last] + COLUMNS - 1) / COLUMNS : job->kept_count;
}

ptrdiff_t apus_reduce_scratch(
    int rank, const ptrdiff_t *shape, uint32_t axes, const ptrdiff_t *x_strides) {
  reduce_job job;
  plan(&job, rank, shape, axes, x_strides, NULL);
  return job.segments > 1 ? job.kept_count * job.segments * (ptrdiff_t)sizeof(partial) : 0;
}

static partial neutral(const reduce_job *job) {
  partial p;
  if (job->is_integer)
    p.whole = job->operation == APUS_MAX ? INT32_MIN : job->operation == APUS_MIN ? INT32_MAX : 0;
  else
    p.real = job->operation == APUS_MAX   ? -__builtin_inf()
             : job->operation == APUS_MIN ? __builtin_inf()
                                          : 0.0;
  return p;
}

static partial joined(const reduce_job *job, partial a, partial b) {
  switch (job->operation) {
    case APUS_MAX:
      if (job->is_integer)
        return b.whole > a.whole ? b : a;
      return b.real > a.real || b.real != b.real ? b : a;
    case APUS_MIN:
      if (job->is_integer)
        return b.whole < a.whole ? b : a;
      return b.real < a.real || b.real != b.real ? b : a;
    default:
      if (job->is_integer)
        a.whole += b.whole;
      else
        a.real += b.real;
      return a;
  }
}

static void finish(const reduce_job *job, partial value, ptrdiff_t out_offset) {
  if (job->is_integer) {
    ((int32_t *)job->out)[out_offset] = (int32_t)(uint32_t)(uint64_t)value.whole;
    return;
  }
  if (job->operation == APUS_MEAN) value.real /= (double)job->reduced_count;
  ((float *)job->out)[out_offset] = (float)value.real;
}

static partial of_block(const reduce_job *job, const char *x, ptrdiff_t n) {
  partial p = neutral(job);
  if (!job->is_integer) {
    const float *f = (const float *)x;
    p.real = job->operation == APUS_MAX   ? job->loops->maximum(f, n)
             : job->operation == APUS_MIN ? job->loops->minimum(f, n)
                                          : job->loops->sum(f, n);
    return p;
  }
  const int32_t *w = (const int32_t *)x;
  for (ptrdiff_t i = 0; i < n; i++) p = joined(job, p, (partial){.whole = w[i]});
  return p;
}

/// One segment of the reduction for one kept place.
static partial of_segment(const reduce_job *job, const char *x, ptrdiff_t begin, ptrdiff_t end) {
  const apus_walk *w = &job->reduced;
  const int inner = w->rank - 1;
  const ptrdiff_t width = w->shape[inner], stride = w->stride[0][inner];
  const bool is_direct = stride == 1 && width >= 32;
  partial total = neutral(job);
  uint32_t buffer[GATHERED];
  ptrdiff_t held = 0;
  apus_place place;
  apus_place_seek(&place, w, inner, begin / width);
  ptrdiff_t column = begin % width;
  while (begin < end) {
    ptrdiff_t n = width - column < end - begin ? width - column : end - begin;
    const char *at = x + (place.offset[0] + column * stride) * 4;
    if (is_direct) {
      total = joined(job, total, of_block(job, at, n));
    } else {
      if (n > GATHERED - held) n = GATHERED - held;
      for (ptrdiff_t i = 0; i < n; i++) memcpy(buffer + held + i, at + i * stride * 4, 4);
      held += n;
      if (held == GATHERED || begin + n == end) {
        total = joined(job, total, of_block(job, (const char *)buffer, held));
        held = 0;
      }
    }
    begin += n;
    column += n;
    if (column == width) {
      column = 0;
      apus_place_advance(&place, w, inner);
    }
  }
  return total;
}

/// Tasks: kept places by segments.
static void reduce_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const reduce_job *job = context;
  apus_place place;
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t at = task / job->segments, segment = task % job->segments;
    if (task == begin || segment == 0) apus_place_seek(&place, &job->kept, job->kept.rank, at);
    const ptrdiff_t first = segment * job->segment;
    const ptrdiff_t last =
        job->reduced_count - first < job->segment ? job->reduced_count : first + job->segment;
    const partial p = of_segment(job, job->x + place.offset[0] * 4, first, last);
    if (job->segments == 1)
      finish(job, p, place.offset[1]);
    else
      job->partials[task] = p;
  }
}

static void add_columns(
    const reduce_job *job, float *held, partial *total, const char *x, ptrdiff_t n) {
  if (job->is_integer) {
    const int32_t *w = (const int32_t *)x;
    for (ptrdiff_t i = 0; i < n; i++) total[i] = joined(job, total[i], (partial){.whole = w[i]});
    return;
  }
  const float *f = (const float *)x;
  if (job->operation == APUS_MAX) {
    for (ptrdiff_t i = 0; i < n; i++) held[i] = f[i] > held[i] || f[i] != f[i] ? f[i] : held[i];
  } else if (job->operation == APUS_MIN) {
    for (ptrdiff_t i = 0; i < n; i++) held[i] = f[i] < held[i] || f[i] != f[i] ? f[i] : held[i];
  } else {
    job->loops->add_row(held, f, n);
  }
}

/// Tasks: places of the outer kept axes by blocks of columns by segments.
static void reduce_columns(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const reduce_job *job = context;
  const int inner = job->kept.rank - 1;
  const ptrdiff_t width = job->kept.shape[inner];
  apus_place place, row;
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t segment = task % job->segments;
    const ptrdiff_t block = task / job->segments % job->column_blocks;
    const ptrdiff_t outer = task / job->segments / job->column_blocks;
    const ptrdiff_t column = block * COLUMNS;
    const ptrdiff_t n = width - column < COLUMNS ? width - column : COLUMNS;
    apus_place_seek(&place, &job->kept, inner, outer);
    const ptrdiff_t first = segment * job->segment;
    const ptrdiff_t last =
        job->reduced_count - first < job->segment ? job->reduced_count : first + job->segment;
    partial total[COLUMNS];
    float held[COLUMNS];
    const partial start = neutral(job);
    for (ptrdiff_t i = 0; i < n; i++) total[i] = start;
    apus_place_seek(&row, &job->reduced, job->reduced.rank, first);
    for (ptrdiff_t r = first; r < last;) {
      const ptrdiff_t stop = last - r < FLUSH_ROWS ? last : r + FLUSH_ROWS;
      for (ptrdiff_t i = 0; i < n; i++) held[i] = job->is_integer ? 0.0f : (float)start.real;
      for (; r < stop; r++) {
        add_columns(
            job, held, total, job->x + (place.offset[0] + column + row.offset[0]) * 4, n);
        apus_place_advance(&row, &job->reduced, job->reduced.rank);
      }
      if (!job->is_integer)
        for (ptrdiff_t i = 0; i < n; i++) total[i] = joined(job, total[i], (partial){.real = held[i]});
    }
    for (ptrdiff_t i = 0; i < n; i++) {
      if (job->segments == 1)
        finish(job, total[i], place.offset[1] + (column + i) * job->kept.stride[1][inner]);
      else
        job->partials[(outer * width + column + i) * job->segments + segment] = total[i];
    }
  }
}

void apus_reduce(
    apus_reduction operation, bool is_integer, int rank, const ptrdiff_t *shape, uint32_t axes,
    const void *x, const ptrdiff_t *x_strides, void *out, const ptrdiff_t *out_strides,
    void *scratch) {
  reduce_job job = {
      .loops = apus_loops_now(), .operation = operation, .is_integer = is_integer, .x = x,
      .out = out, .partials = scratch};
  plan(&job, rank, shape, axes, x_strides, out_strides);
  if (job.kept_count == 0) return;
  apus_place place;
  if (job.reduced_count == 0) {
    for (ptrdiff_t at = 0; at < job.kept_count; at++) {
      apus_place_seek(&place, &job.kept, job.kept.rank, at);
      finish(&job, neutral(&job), place.offset[1]);
    }
    return;
  }
  const bool is_parallel = job.kept_count * job.reduced_count >= 2 * APUS_GRAIN;
  if (job.by_columns) {
    const ptrdiff_t outer = job.kept_count / job.kept.shape[job.kept.rank - 1];
    const ptrdiff_t tasks = outer * job.column_blocks * job.segments;
    const ptrdiff_t each = COLUMNS * (job.reduced_count < ROW_SEGMENT ? job.reduced_count : ROW_SEGMENT);
    const ptrdiff_t grain = APUS_GRAIN / each < 1 ? 1 : APUS_GRAIN / each;
    apus_parallel_for(tasks, is_parallel ? grain : tasks, reduce_columns, &job);
  } else {
    const ptrdiff_t tasks = job.kept_count * job.segments;
    const ptrdiff_t each = job.reduced_count < SEGMENT ? job.reduced_count : SEGMENT;
    const ptrdiff_t grain = APUS_GRAIN / each < 1 ? 1 : APUS_GRAIN / each;
    apus_parallel_for(tasks, is_parallel ? grain : tasks, reduce_rows, &job);
  }
  if (job.segments == 1) return;
  for (ptrdiff_t at = 0; at < job.kept_count; at++) {
    partial total = job.partials[at * job.segments];
    for (ptrdiff_t s = 1; s < job.segments; s++)
      total = joined(&job, total, job.partials[at * job.segments + s]);
    apus_place_seek(&place, &job.kept, job.kept.rank, at);
    finish(&job, total, place.offset[1]);
  }
}

// MARK: Positions of extremes

typedef struct {
  const apus_loops *loops;
  bool largest, is_integer;
  ptrdiff_t columns, row_stride;
  const char *x;
  int32_t *out;
} arg_job;

static void arg_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const arg_job *job = context;
  for (ptrdiff_t row = begin; row < end; row++) {
    ptrdiff_t found = 0;
    if (job->is_integer) {
      const int32_t *x = (const int32_t *)job->x + row * job->row_stride;
      for (ptrdiff_t i = 1; i < job->columns; i++)
        if (job->largest ? x[i] > x[found] : x[i] < x[found]) found = i;
    } else {
      const float *x = (const float *)job->x + row * job->row_stride;
      const float extreme =
          job->largest ? job->loops->maximum(x, job->columns) : job->loops->minimum(x, job->columns);
      if (extreme != extreme)
        while (found + 1 < job->columns && x[found] == x[found]) found++;
      else
        while (found + 1 < job->columns && x[found] != extreme) found++;
    }
    job->out[row] = (int32_t)found;
  }
}

void apus_arg_reduce(
    bool largest, bool is_integer, ptrdiff_t rows, ptrdiff_t columns, const void *x,
    ptrdiff_t row_stride, int32_t *out) {
  arg_job job = {
      .loops = apus_loops_now(), .largest = largest, .is_integer = is_integer, .columns = columns,
      .row_stride = row_stride, .x = x, .out = out};
  const ptrdiff_t grain = columns >= APUS_GRAIN ? 1 : APUS_GRAIN / (columns < 1 ? 1 : columns);
  apus_parallel_for(rows, rows * columns < 2 * APUS_GRAIN ? rows : grain, arg_rows, &job);
}

// MARK: Sum of squares

enum { SQUARES = 65536 };

typedef struct {
  const apus_loops *loops;
  ptrdiff_t operands;
  const float *const *x;
  const ptrdiff_t *counts;
  double *partials;
} squares_job;

/// Tasks: pieces of SQUARES elements, counted through all operands.
static void squares_pieces(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const squares_job *job = context;
  ptrdiff_t first = 0;
  for (ptrdiff_t k = 0; k < job->operands && first < end; k++) {
    const ptrdiff_t pieces = (job->counts[k] + SQUARES - 1) / SQUARES;
    for (ptrdiff_t p = begin > first ? begin - first : 0; p < pieces && first + p < end; p++) {
      const ptrdiff_t at = p * SQUARES;
      const ptrdiff_t n = job->counts[k] - at < SQUARES ? job->counts[k] - at : SQUARES;
      job->partials[first + p] = job->loops->sum_of_squares(job->x[k] + at, n);
    }
    first += pieces;
  }
}

void apus_sum_of_squares(
    ptrdiff_t operands, const float *const *x, const ptrdiff_t *counts, double *partials,
    float *out) {
  squares_job job = {
      .loops = apus_loops_now(), .operands = operands, .x = x, .counts = counts,
      .partials = partials};
  ptrdiff_t pieces = 0, count = 0;
  for (ptrdiff_t k = 0; k < operands; k++) {
    pieces += (counts[k] + SQUARES - 1) / SQUARES;
    count += counts[k];
  }
  apus_parallel_for(pieces, count < SQUARES ? pieces : 1, squares_pieces, &job);
  double total = 0;
  for (ptrdiff_t p = 0; p < pieces; p++) total += partials[p];
  *out = (float)total;
}
