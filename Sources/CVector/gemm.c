// The drive of a matrix product: both operands are packed into panels by all threads, then the threads
// take blocks of C one by one. An element of C is always summed in the same order, whatever the threads.
#include "level.h"

enum {
  // What is packed at a time; bounds the scratch.
  CHUNK_ROWS = 4096, CHUNK_COLUMNS = 4096, CHUNK_DEPTH = 2048,
};

typedef struct {
  const apus_loops *loops;
  ptrdiff_t m, n, k;
  const float *a, *b;
  ptrdiff_t a_row, a_column, b_row, b_column;
  float *c;
  ptrdiff_t step;
  const float *bias;
  int activation;
  apus_parameters parameters;
  bool adds, is_last;
  float *packed_a, *packed_b;
  ptrdiff_t a_panels;
} gemm_job;

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static ptrdiff_t panels(ptrdiff_t extent, ptrdiff_t width) { return (extent + width - 1) / width; }

/// Tasks: panels of A, then panels of B.
static void pack_panels(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const gemm_job *job = context;
  const ptrdiff_t mr = job->loops->tile_rows, nr = job->loops->tile_columns;
  for (ptrdiff_t task = begin; task < end; task++) {
    if (task < job->a_panels) {
      const ptrdiff_t row = task * mr;
      job->loops->pack_a(
          least(job->m - row, mr), job->k, job->a + row * job->a_row, job->a_row, job->a_column,
          job->packed_a + row * job->k);
    } else {
      const ptrdiff_t column = (task - job->a_panels) * nr;
      job->loops->pack_b(
          least(job->n - column, nr), job->k, job->b + column * job->b_column, job->b_column,
          job->b_row, job->packed_b + column * job->k);
    }
  }
}

/// Tasks: blocks of C.
static void multiply_blocks(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const gemm_job *job = context;
  const ptrdiff_t height = APUS_BLOCK_ROWS, across = panels(job->n, APUS_BLOCK_COLUMNS);
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t row = task / across * height, column = task % across * APUS_BLOCK_COLUMNS;
    const ptrdiff_t rows = least(job->m - row, height);
    const ptrdiff_t columns = least(job->n - column, APUS_BLOCK_COLUMNS);
    float *c = job->c + row * job->step + column;
    job->loops->gemm_block(
        rows, columns, job->k, job->packed_a + row * job->k, job->packed_b + column * job->k, c,
        job->step, job->adds);
    if (job->is_last && job->activation >= 0)
      apus_bias_activation(
          (apus_operation)job->activation, job->parameters, rows, columns, c, job->step,
          job->bias ? job->bias + column : NULL);
  }
}

// Enough for the panels of any level: their sizes divide these.
enum { WIDEST_ROWS = 12, WIDEST_COLUMNS = 32 };

ptrdiff_t apus_gemm_scratch(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {
  const ptrdiff_t rows = panels(least(m, CHUNK_ROWS), WIDEST_ROWS) * WIDEST_ROWS;
  const ptrdiff_t columns = panels(least(n, CHUNK_COLUMNS), WIDEST_COLUMNS) * WIDEST_COLUMNS;
  return (rows + columns) * least(k, CHUNK_DEPTH) * (ptrdiff_t)sizeof(float);
}

void apus_gemm(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_column,
    const float *b, ptrdiff_t b_row, ptrdiff_t b_column, float *c, ptrdiff_t step, int activation,
    apus_parameters parameters, const float *bias, float *scratch) {
  gemm_job job = {
      .loops = apus_loops_now(), .a_row = a_row, .a_column = a_column, .b_row = b_row,
      .b_column = b_column, .step = step, .activation = activation, .parameters = parameters};
  const ptrdiff_t mr = job.loops->tile_rows, nr = job.loops->tile_columns;
  for (ptrdiff_t column = 0; column < n; column += CHUNK_COLUMNS) {
    job.n = least(n - column, CHUNK_COLUMNS);
    job.bias = bias ? bias + column : NULL;
    for (ptrdiff_t depth = 0; depth < k; depth += CHUNK_DEPTH) {
      job.k = least(k - depth, CHUNK_DEPTH);
      job.adds = depth > 0;
      job.is_last = depth + job.k == k;
      job.b = b + depth * b_row + column * b_column;
      job.packed_b = scratch;
      job.packed_a = scratch + panels(job.n, nr) * nr * job.k;
      for (ptrdiff_t row = 0; row < m; row += CHUNK_ROWS) {
        job.m = least(m - row, CHUNK_ROWS);
        job.a = a + row * a_row + depth * a_column;
        job.c = c + row * step + column;
        job.a_panels = panels(job.m, mr);
        const ptrdiff_t b_panels = row == 0 ? panels(job.n, nr) : 0;
        const ptrdiff_t packs = job.a_panels + b_panels;
        const ptrdiff_t pieces = (job.m + (row == 0 ? job.n : 0)) * job.k / APUS_GRAIN;
        apus_parallel_for(packs, pieces < 2 ? packs : panels(packs, pieces), pack_panels, &job);
        const ptrdiff_t blocks = panels(job.m, APUS_BLOCK_ROWS) * panels(job.n, APUS_BLOCK_COLUMNS);
        // Below about 10 µs of work another thread costs more than it gives.
        const bool is_small = job.m * job.n * job.k < 1 << 18;
        apus_parallel_for(blocks, is_small ? blocks : 1, multiply_blocks, &job);
      }
    }
  }
}
