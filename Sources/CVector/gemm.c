// The drive of a matrix product, two ways. A small product is cut into one piece for each thread, which
// packs for itself what it reads: memory that one core has written and another reads or overwrites costs
// more than the packing. For a large product all threads pack panels of both operands, then take blocks
// of C one by one. Either way an element of C is summed in an order that follows from the sizes alone.
#include "level.h"

enum {
  // What is packed at a time; bounds the scratch.
  CHUNK_ROWS = 4096, CHUNK_COLUMNS = 4096, CHUNK_DEPTH = 2048,
  // How many lines of an A that is dense along its columns are read side by side: lines are often a
  // multiple of a page apart, where a cache has room for eight.
  LINES = 8,
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

/// Panels of an A whose lines lie along the depth: all panels take their parts of a few lines before the
/// next lines are read, for a panel alone would touch a page for each dozen of elements.
static void pack_lines(const gemm_job *job, ptrdiff_t begin, ptrdiff_t end) {
  const ptrdiff_t mr = job->loops->tile_rows;
  for (ptrdiff_t line = 0; line < job->k; line += LINES)
    for (ptrdiff_t row = begin * mr; row < end * mr; row += mr)
      job->loops->pack_a(
          least(job->m - row, mr), least(job->k - line, LINES),
          job->a + row + line * job->a_column, 1, job->a_column,
          job->packed_a + row * job->k + line * mr);
}

/// Tasks: panels of A, then panels of B.
static void pack_panels(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const gemm_job *job = context;
  const ptrdiff_t mr = job->loops->tile_rows, nr = job->loops->tile_columns;
  if (job->a_row == 1 && job->a_column != 1 && begin < job->a_panels) {
    const ptrdiff_t stop = least(end, job->a_panels);
    pack_lines(job, begin, stop);
    begin = stop;
  }
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

// Products of a product whose pieces pack for themselves. Larger ones are bound by arithmetic, and many
// even blocks let a late thread matter less.
static const ptrdiff_t MOST_PRODUCTS = (ptrdiff_t)1 << 30;

static ptrdiff_t round_up(ptrdiff_t extent, ptrdiff_t step) { return panels(extent, step) * step; }

/// How a product is cut into pieces that pack for themselves; `pieces` is 0 where it is not.
typedef struct {
  ptrdiff_t rows, columns, across, pieces;
  /// Of a slice, as even as the depth allows.
  ptrdiff_t depth;
} gemm_pieces;

/// The cut with the least work of the largest piece: products, and packing, an element of which costs
/// about as much as the given number of products.
static gemm_pieces cut_pieces(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {
  enum { PACK_A = 9, PACK_B = 5 };
  gemm_pieces best = {0};
  if (m > CHUNK_ROWS || n > CHUNK_COLUMNS || m * n > MOST_PRODUCTS / k) return best;
  const ptrdiff_t wanted = least(apus_pool_size(), 64);
  // Below about 10 µs of work another thread costs more than it gives.
  const ptrdiff_t most = m * n * k < 1 << 18 ? 1 : wanted;
  ptrdiff_t lowest = PTRDIFF_MAX;
  for (ptrdiff_t down = 1; down <= most; down++) {
    const ptrdiff_t across = most / down;
    const ptrdiff_t rows = round_up(panels(m, down), WIDEST_ROWS);
    const ptrdiff_t columns = round_up(panels(n, across), WIDEST_COLUMNS);
    const ptrdiff_t cost = rows * columns + PACK_A * rows + PACK_B * columns;
    if (cost >= lowest) continue;
    lowest = cost;
    best.rows = rows;
    best.columns = columns;
    best.across = panels(n, columns);
    best.pieces = panels(m, rows) * best.across;
  }
  best.depth = panels(k, panels(k, APUS_BLOCK_DEPTH));
  return best;
}

typedef struct {
  gemm_job job;
  gemm_pieces cut;
} piece_job;

/// Tasks: pieces of C, each with a part of the scratch.
static void multiply_pieces(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const piece_job *pieces = context;
  const gemm_pieces cut = pieces->cut;
  for (ptrdiff_t task = begin; task < end; task++) {
    gemm_job job = pieces->job;
    const ptrdiff_t row = task / cut.across * cut.rows, column = task % cut.across * cut.columns;
    job.m = least(job.m - row, cut.rows);
    job.n = least(job.n - column, cut.columns);
    job.a += row * job.a_row;
    job.b += column * job.b_column;
    job.c += row * job.step + column;
    if (job.bias) job.bias += column;
    job.packed_b += task * (cut.columns + APUS_BLOCK_ROWS) * cut.depth;
    job.packed_a = job.packed_b + cut.columns * cut.depth;
    const float *a = job.a;
    float *c = job.c;
    const ptrdiff_t height = job.m, across = panels(job.n, APUS_BLOCK_COLUMNS);
    for (ptrdiff_t depth = 0; depth < pieces->job.k; depth += cut.depth) {
      job.k = least(pieces->job.k - depth, cut.depth);
      job.adds = depth > 0;
      job.is_last = depth + job.k == pieces->job.k;
      job.a_panels = 0;
      pack_panels(&job, 0, panels(job.n, job.loops->tile_columns));
      for (ptrdiff_t top = 0; top < height; top += APUS_BLOCK_ROWS) {
        job.m = least(height - top, APUS_BLOCK_ROWS);
        job.a = a + top * job.a_row;
        job.c = c + top * job.step;
        job.a_panels = panels(job.m, job.loops->tile_rows);
        pack_panels(&job, 0, job.a_panels);
        multiply_blocks(&job, 0, across);
      }
      a += job.k * job.a_column;
      job.b += job.k * job.b_row;
    }
  }
}

ptrdiff_t apus_gemm_scratch(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {
  const gemm_pieces cut = cut_pieces(m, n, k);
  if (cut.pieces > 0)
    return cut.pieces * (cut.columns + APUS_BLOCK_ROWS) * cut.depth * (ptrdiff_t)sizeof(float);
  const ptrdiff_t rows = round_up(least(m, CHUNK_ROWS), WIDEST_ROWS);
  const ptrdiff_t columns = round_up(least(n, CHUNK_COLUMNS), WIDEST_COLUMNS);
  return (rows + columns) * least(k, CHUNK_DEPTH) * (ptrdiff_t)sizeof(float);
}

void apus_gemm(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_column,
    const float *b, ptrdiff_t b_row, ptrdiff_t b_column, float *c, ptrdiff_t step, int activation,
    apus_parameters parameters, const float *bias, float *scratch) {
  gemm_job job = {
      .loops = apus_loops_now(), .a_row = a_row, .a_column = a_column, .b_row = b_row,
      .b_column = b_column, .step = step, .activation = activation, .parameters = parameters};
  const gemm_pieces cut = cut_pieces(m, n, k);
  if (cut.pieces > 0) {
    job.m = m, job.n = n, job.k = k;
    job.a = a, job.b = b, job.c = c, job.bias = bias;
    job.packed_b = scratch;
    piece_job pieces = {job, cut};
    return apus_parallel_for(cut.pieces, 1, multiply_pieces, &pieces);
  }
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
        apus_parallel_for(blocks, 1, multiply_blocks, &job);
      }
    }
  }
}
