// Matrix products for CPU kinds: out[b] = f(S[b] * V[b] + bias), every operand a strided view.
//
// The host calls one operand S (its elements are broadcast) and the other V (its columns lie along
// vector lanes), whichever way costs less: a product may as well be computed transposed. A
// work-group is one work-item, computing a block of `rows` x `columns`:
//
//            columns                     for each slice of `depth`:
//         +----+----+----+                 pack V's slice into panels of PANEL columns
//   depth |  V panels    |                 for each panel (in L1), for each tile of ROWS rows:
//         +----+----+----+                   ROWS x PANEL accumulators stay in registers
//   +---+ +----+----+----+                   the last slice adds the bias, applies f and stores
//   | S | |tile|    |    | ROWS
//   +---+ +----+----+----+
//
// S is read in place where rows are dense along the depth and packed in tiles where they are dense
// along the rows. Packed data and unfinished tiles live in local memory, which on a CPU is a scratch
// area of the thread that stays in its cache. Edges: panels are padded with zeros, rows repeat the
// last one; neither is stored. Blocking after Goto and van de Geijn, "Anatomy of High-Performance
// Matrix Multiplication" (2008).

// Rows of a register tile, and lanes of a vector register.
#ifndef ROWS
#define ROWS 8
#endif
#ifndef APUS_VECTOR_WIDTH
#define APUS_VECTOR_WIDTH 16
#endif

#if APUS_VECTOR_WIDTH >= 16
#define WIDTH 16
#define STAGES 4
typedef float16 W;
#define LOAD_W(p) vload16(0, p)
#define STORE_W(v, p) vstore16(v, 0, p)
#else
#define WIDTH 8
#define STAGES 3
typedef float8 W;
#define LOAD_W(p) vload8(0, p)
#define STORE_W(v, p) vstore8(v, 0, p)
#endif
#define PANEL (2 * WIDTH)

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

// A block of WIDTH x WIDTH: each stage moves one bit of the lane number into the row number.
inline void transpose(W *x) {
#pragma unroll
  for (int bit = 1; bit < WIDTH; bit *= 2) {
#pragma unroll
    for (int i = 0; i < WIDTH; ++i)
      if (!(i & bit)) {
        W even = (W)(x[i].even, x[i | bit].even);
        W odd = (W)(x[i].odd, x[i | bit].odd);
        x[i] = even;
        x[i | bit] = odd;
      }
  }
}

// One panel: `count` columns from `v` on, `depth` rows, into [depth][PANEL].
inline void pack_panel(
    const Gemm *g, global const float *v, int count, int depth, local float *panel) {
  if (g->v_column == 1 && count == PANEL) {
    for (int k = 0; k < depth; ++k, v += g->v_depth, panel += PANEL) {
      STORE_W(LOAD_W(v), panel);
      STORE_W(LOAD_W(v + WIDTH), panel + WIDTH);
    }
    return;
  }
  int k = 0;
  if (g->v_depth == 1) {
    // Columns past the last repeat it and are overwritten by zeros below.
    for (; k + WIDTH <= depth; k += WIDTH) {
      for (int half_ = 0; half_ < PANEL; half_ += WIDTH) {
        W x[WIDTH];
#pragma unroll
        for (int i = 0; i < WIDTH; ++i)
          x[i] = LOAD_W(v + k + min(half_ + i, count - 1) * g->v_column);
        transpose(x);
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) STORE_W(x[i], panel + (k + i) * PANEL + half_);
      }
    }
  }
  for (; k < depth; ++k)
    for (int j = 0; j < count; ++j)
      panel[k * PANEL + j] = v[k * g->v_depth + j * g->v_column];
  if (count < PANEL)
    for (int row = 0; row < depth; ++row)
      for (int j = count; j < PANEL; ++j) panel[row * PANEL + j] = 0.0f;
}

// Tiles of S for `rows` rows, [tile][depth][ROWS].
inline void pack_rows(
    const Gemm *g, global const float *s, int rows, int depth, local float *packed) {
  for (int tile = 0; tile < rows; tile += ROWS) {
    const int last = min(ROWS, rows - tile) - 1;
    for (int k = 0; k < depth; ++k) {
      global const float *from = s + tile * g->s_row + k * g->s_depth;
      if (last == ROWS - 1 && g->s_row == 1) {
#pragma unroll
        for (int r = 0; r < ROWS; ++r) packed[r] = from[r];
      } else {
        for (int r = 0; r < ROWS; ++r) packed[r] = from[min(r, last) * g->s_row];
      }
      packed += ROWS;
    }
  }
}

#define DEFINE_MULTIPLY(NAME, SPACE)                                                        \
  inline void NAME(                                                                         \
      SPACE const float *s, int last, int row, int step, local const float *panel, int depth, \
      local float *tile, int accumulates) {                                                 \
    SPACE const float *from[ROWS];                                                          \
    W left[ROWS], right[ROWS];                                                              \
    _Pragma("unroll") for (int r = 0; r < ROWS; ++r) {                                      \
      from[r] = s + min(r, last) * row;                                                     \
      left[r] = accumulates ? LOAD_W(tile + r * PANEL) : (W)(0.0f);                         \
      right[r] = accumulates ? LOAD_W(tile + r * PANEL + WIDTH) : (W)(0.0f);                \
    }                                                                                       \
    for (int k = 0, at = 0; k < depth; ++k, at += step) {                                   \
      const W u = LOAD_W(panel + k * PANEL), v = LOAD_W(panel + k * PANEL + WIDTH);         \
      _Pragma("unroll") for (int r = 0; r < ROWS; ++r) {                                    \
        const W x = (W)(from[r][at]);                                                       \
        left[r] = fma(x, u, left[r]);                                                       \
        right[r] = fma(x, v, right[r]);                                                     \
      }                                                                                     \
    }                                                                                       \
    _Pragma("unroll") for (int r = 0; r < ROWS; ++r) {                                      \
      STORE_W(left[r], tile + r * PANEL);                                                   \
      STORE_W(right[r], tile + r * PANEL + WIDTH);                                          \
    }                                                                                       \
  }
DEFINE_MULTIPLY(multiply_in_place, global)
DEFINE_MULTIPLY(multiply_packed, local)

// Adds the bias, applies the function and stores a tile of `rows` x `columns` at (i, j).
inline void finish_tile(
    const Gemm *g, local float *tile, int rows, int columns, int i, int j,
    global const float *bias, global float *out) {
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; c += LANES) {
      const int n = min(LANES, columns - c);
      V x = vload16(0, tile + r * PANEL + c);
      if (g->has_bias) {
        const int at = g->bias_offset + (i + r) * g->bias_row;
        x += load_float(bias, at + j * g->bias_column, g->bias_column, c, n);
      }
      if (g->op >= 0) x = unary_function(g->op, x, g->a, g->b);
      if (g->o_column == 1 && n == LANES)
        vstore16(x, 0, out + r * g->o_row + c);
      else
        vstore16(x, 0, tile + r * PANEL + c);
    }
  }
  if (g->o_column == 1) {
    const int done = columns / LANES * LANES;
    for (int r = 0; r < rows; ++r)
      for (int c = done; c < columns; ++c) out[r * g->o_row + c] = tile[r * PANEL + c];
  } else {
    for (int c = 0; c < columns; ++c)
      for (int r = 0; r < rows; ++r)
        out[r * g->o_row + c * g->o_column] = tile[r * PANEL + c];
  }
}

kernel __attribute__((reqd_work_group_size(1, 1, 1))) void PASTE(gemm_tile_, ROWS)(
    const Gemm g, global const float *restrict s, global const float *restrict v,
    global const float *restrict bias, global float *restrict out, local float *restrict scratch) {
  const int first_column = (int)get_group_id(0) * g.columns;
  const int first_row = (int)get_group_id(1) * g.rows;
  const int batch = (int)get_group_id(2) / g.parts, part = (int)get_group_id(2) % g.parts;
  const int columns = min(g.columns, g.n - first_column);
  const int rows = min(g.rows, g.m - first_row);
  // Parts of the depth begin at multiples of the slice, so that only the last slice is short.
  const int slices = (g.k + g.depth - 1) / g.depth;
  const int per_part = (slices + g.parts - 1) / g.parts;
  const int end = min(g.k, (part + 1) * per_part * g.depth);
  int begin = min(g.k, part * per_part * g.depth);

  s += g.s_offset + batch * g.s_batch + first_row * g.s_row;
  v += g.v_offset + batch * g.v_batch + first_column * g.v_column;
  out += g.o_offset + (int)get_group_id(2) * g.o_batch + first_row * g.o_row
      + first_column * g.o_column;
  local float *packed = scratch + g.s_start;

  for (int slice = 0;; ++slice) {
    const int depth = min(g.depth, end - begin);
    const int is_last = begin + depth >= end;
    for (int j = 0; j < columns; j += PANEL)
      pack_panel(
          &g, v + begin * g.v_depth + j * g.v_column, min(PANEL, columns - j), depth,
          scratch + j * g.depth);
    if (g.packs_s) pack_rows(&g, s + begin * g.s_depth, rows, depth, packed);
    local float *tile = scratch + g.tile_start;
    for (int j = 0; j < columns; j += PANEL) {
      for (int i = 0; i < rows; i += ROWS) {
        if (g.packs_s)
          multiply_packed(
              packed + i * depth, ROWS - 1, 1, ROWS, scratch + j * g.depth, depth, tile,
              slice > 0);
        else
          multiply_in_place(
              s + i * g.s_row + begin * g.s_depth, min(ROWS, rows - i) - 1, g.s_row, g.s_depth,
              scratch + j * g.depth, depth, tile, slice > 0);
        if (is_last)
          finish_tile(
              &g, tile, min(ROWS, rows - i), min(PANEL, columns - j), first_row + i,
              first_column + j, bias, out + i * g.o_row + j * g.o_column);
        // A single slice finishes every tile at once and needs room for one only.
        if (slice > 0 || !is_last) tile += ROWS * PANEL;
      }
    }
    begin += depth;
    if (is_last) break;
  }
}
