// Runs the loops of element-wise functions, which know only contiguous blocks, over strided views. An
// operand without unit stride is gathered block by block into a buffer of the first cache; a repeated
// element fills its buffer once.
#include "level.h"
#include "walk.h"

#include <string.h>

enum {
  BLOCK = 1024,
  SHORT_ROW = 24,
  // Results of this many bytes would only push other things out of the cache.
  STREAM_BYTES = 16 << 20,
};

typedef struct {
  apus_walk walk;
  apus_kernel kernel;
  apus_parameters parameters;
  char *base[WALK_OPERANDS];
} elementwise_job;

static void gather(char *to, const char *from, ptrdiff_t stride, int size, ptrdiff_t n) {
#define GATHER(T)                                                             \
  for (ptrdiff_t i = 0; i < n; i++) memcpy(to + i * sizeof(T), from + i * stride, sizeof(T));
  switch (size) {
    case 1: GATHER(uint8_t) break;
    case 2: GATHER(uint16_t) break;
    case 4: GATHER(uint32_t) break;
    default: GATHER(uint64_t) break;
  }
}

static void scatter(char *to, const char *from, ptrdiff_t stride, int size, ptrdiff_t n) {
#define SCATTER(T)                                                            \
  for (ptrdiff_t i = 0; i < n; i++) memcpy(to + i * stride, from + i * sizeof(T), sizeof(T));
  switch (size) {
    case 1: SCATTER(uint8_t) break;
    case 2: SCATTER(uint16_t) break;
    case 4: SCATTER(uint32_t) break;
    default: SCATTER(uint64_t) break;
  }
}

static void run_block(const elementwise_job *job, char *const pointer[WALK_OPERANDS], ptrdiff_t n) {
  job->kernel.block(pointer[0], pointer[1], pointer[2], pointer[3], n, &job->parameters);
}

static void run_dense(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const elementwise_job *job = context;
  char *pointer[WALK_OPERANDS] = {0};
  for (int k = 0; k < job->walk.operands; k++)
    pointer[k] = job->base[k] + begin * job->kernel.size[k];
  run_block(job, pointer, end - begin);
  if (job->parameters.stream) apus_stream_fence();
}

/// Long rows: the last axis in blocks.
static void run_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const elementwise_job *job = context;
  const apus_walk *w = &job->walk;
  const int inner = w->rank - 1;
  char buffer[WALK_OPERANDS][BLOCK * 8] __attribute__((aligned(64)));
  const char *filled[WALK_OPERANDS] = {0};
  bool dense = true;
  for (int k = 0; k < w->operands; k++) dense &= w->stride[k][inner] == job->kernel.size[k];

  apus_place place;
  const ptrdiff_t width = w->shape[inner];
  apus_place_seek(&place, w, inner, begin / width);
  ptrdiff_t column = begin % width;
  while (begin < end) {
    ptrdiff_t n = width - column < end - begin ? width - column : end - begin;
    if (!dense && n > BLOCK) n = BLOCK;
    char *pointer[WALK_OPERANDS] = {0};
    for (int k = 0; k < w->operands; k++) {
      const ptrdiff_t stride = w->stride[k][inner];
      const int size = job->kernel.size[k];
      char *at = job->base[k] + place.offset[k] + column * stride;
      if (stride == size) {
        pointer[k] = at;
        continue;
      }
      pointer[k] = buffer[k];
      if (k == 0 || (stride == 0 && filled[k] == at)) continue;
      gather(buffer[k], at, stride, size, stride == 0 ? (width < BLOCK ? width : BLOCK) : n);
      filled[k] = at;
    }
    run_block(job, pointer, n);
    if (pointer[0] == buffer[0])
      scatter(
          job->base[0] + place.offset[0] + column * w->stride[0][inner], buffer[0],
          w->stride[0][inner], job->kernel.size[0], n);
    begin += n;
    column += n;
    if (column == width) {
      column = 0;
      apus_place_advance(&place, w, inner);
    }
  }
  if (job->parameters.stream) apus_stream_fence();
}

/// Short rows: blocks that run over several of them.
static void run_packed(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const elementwise_job *job = context;
  const apus_walk *w = &job->walk;
  const int inner = w->rank - 1;
  const ptrdiff_t width = w->shape[inner];
  char buffer[WALK_OPERANDS][BLOCK * 8] __attribute__((aligned(64)));
  bool is_dense[WALK_OPERANDS];
  for (int k = 0; k < w->operands; k++) {
    ptrdiff_t expected = job->kernel.size[k];
    is_dense[k] = true;
    for (int axis = inner; axis >= 0; axis--) {
      is_dense[k] &= w->stride[k][axis] == expected;
      expected *= w->shape[axis];
    }
  }
  apus_place place;
  for (; begin < end; begin += BLOCK) {
    const ptrdiff_t n = end - begin < BLOCK ? end - begin : BLOCK;
    char *pointer[WALK_OPERANDS] = {0};
    for (int k = 0; k < w->operands; k++)
      pointer[k] = is_dense[k] ? job->base[k] + begin * job->kernel.size[k] : buffer[k];
    for (int pass = 0; pass < 2; pass++) {
      // Pass 0 gathers the inputs, pass 1 scatters the result.
      if (pass == 1) run_block(job, pointer, n);
      if (pass == 1 && is_dense[0]) break;
      apus_place_seek(&place, w, inner, begin / width);
      ptrdiff_t column = begin % width;
      for (ptrdiff_t done = 0; done < n;) {
        const ptrdiff_t part = width - column < n - done ? width - column : n - done;
        for (int k = pass == 0 ? 1 : 0; k < (pass == 0 ? w->operands : 1); k++) {
          if (is_dense[k]) continue;
          const int size = job->kernel.size[k];
          const ptrdiff_t stride = w->stride[k][inner];
          char *at = job->base[k] + place.offset[k] + column * stride;
          if (pass == 0)
            gather(buffer[k] + done * size, at, stride, size, part);
          else
            scatter(at, buffer[k] + done * size, stride, size, part);
        }
        done += part;
        column = 0;
        apus_place_advance(&place, w, inner);
      }
    }
  }
  if (job->parameters.stream) apus_stream_fence();
}

void apus_elementwise(
    apus_operation operation, apus_parameters parameters, int rank, const ptrdiff_t *shape, void *out,
    const ptrdiff_t *out_strides, const void *a, const ptrdiff_t *a_strides, const void *b,
    const ptrdiff_t *b_strides, const void *c, const ptrdiff_t *c_strides) {
  elementwise_job job;
  job.kernel = apus_loops_now()->kernel[operation];
  job.parameters = parameters;
  job.base[0] = out;
  job.base[1] = (char *)a;
  job.base[2] = (char *)b;
  job.base[3] = (char *)c;
  const ptrdiff_t *const strides[] = {out_strides, a_strides, b_strides, c_strides};
  const int operands = c ? 4 : b ? 3 : 2;
  apus_walk_init(&job.walk, rank, shape, operands, strides, job.kernel.size);
  const ptrdiff_t count = job.walk.count;
  if (count <= 0) return;

  bool is_dense = job.walk.rank == 1;
  for (int k = 0; k < operands; k++) is_dense &= job.walk.stride[k][0] == job.kernel.size[k];
  const int last = job.walk.rank - 1;
  job.parameters.stream =
      job.walk.stride[0][last] == job.kernel.size[0] && count * job.kernel.size[0] >= STREAM_BYTES;
  const apus_body run = is_dense                              ? run_dense
                        : job.walk.shape[last] < SHORT_ROW ? run_packed
                                                           : run_rows;
  if (count < 2 * APUS_GRAIN)
    run(&job, 0, count);
  else
    apus_parallel_for(count, APUS_GRAIN, run, &job);
}

// MARK: Epilogues of linear layers

void apus_bias_activation(
    apus_operation activation, apus_parameters parameters, ptrdiff_t rows, ptrdiff_t columns, float *z,
    ptrdiff_t row_stride, const float *bias) {
  const apus_loops *loops = apus_loops_now();
  const apus_block block = bias ? loops->biased[activation] : loops->kernel[activation].block;
  parameters.stream = 0;
  for (ptrdiff_t row = 0; row < rows; row++)
    block(z + row * row_stride, z + row * row_stride, bias, NULL, columns, &parameters);
}

typedef struct {
  apus_block block;
  const apus_loops *loops;
  apus_parameters parameters;
  ptrdiff_t rows, columns, y_stride, dy_stride, dz_stride, column_width, row_parts;
  const float *y, *dy;
  float *dz, *sums;
} backward_job;

enum { COLUMN_WIDTH = 256, PART_ROWS = 512 };

ptrdiff_t apus_activation_backward_parts(ptrdiff_t rows, ptrdiff_t columns) {
  (void)columns;
  return (rows + PART_ROWS - 1) / PART_ROWS;
}

/// Tasks: blocks of columns by parts of rows.
static void backward_tasks(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const backward_job *job = context;
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t part = task % job->row_parts;
    const ptrdiff_t from = task / job->row_parts * job->column_width;
    const ptrdiff_t n =
        job->columns - from < job->column_width ? job->columns - from : job->column_width;
    const ptrdiff_t first = part * PART_ROWS;
    const ptrdiff_t last = first + PART_ROWS < job->rows ? first + PART_ROWS : job->rows;
    float *sums = job->sums ? job->sums + part * job->columns + from : NULL;
    if (sums) memset(sums, 0, (size_t)n * sizeof(float));
    for (ptrdiff_t row = first; row < last; row++) {
      float *dz = job->dz + row * job->dz_stride + from;
      job->block(
          dz, job->y + row * job->y_stride + from, job->dy + row * job->dy_stride + from, NULL, n,
          &job->parameters);
      if (sums) job->loops->add_row(sums, dz, n);
    }
  }
}

void apus_activation_backward(
    apus_operation activation, apus_parameters parameters, ptrdiff_t rows, ptrdiff_t columns,
    const float *y, ptrdiff_t y_stride, const float *dy, ptrdiff_t dy_stride, float *dz,
    ptrdiff_t dz_stride, float *dbias, float *partials) {
  const apus_loops *loops = apus_loops_now();
  const ptrdiff_t parts = apus_activation_backward_parts(rows, columns);
  parameters.stream = 0;
  backward_job job = {
      .block = loops->kernel[APUS_BACKWARD + activation].block,
      .loops = loops,
      .parameters = parameters,
      .rows = rows,
      .columns = columns,
      .y_stride = y_stride,
      .dy_stride = dy_stride,
      .dz_stride = dz_stride,
      .column_width = COLUMN_WIDTH,
      .row_parts = parts,
      .y = y,
      .dy = dy,
      .dz = dz,
      .sums = dbias ? (parts == 1 ? dbias : partials) : NULL,
  };
  const ptrdiff_t tasks = parts * ((columns + COLUMN_WIDTH - 1) / COLUMN_WIDTH);
  apus_parallel_for(tasks, rows * columns < 2 * APUS_GRAIN ? tasks : 1, backward_tasks, &job);
  if (!dbias) return;
  if (parts == 0) memset(dbias, 0, (size_t)columns * sizeof(float));
  if (parts > 1) {
    memcpy(dbias, partials, (size_t)columns * sizeof(float));
    for (ptrdiff_t part = 1; part < parts; part++)
      loops->add_row(dbias, partials + part * columns, columns);
  }
}
