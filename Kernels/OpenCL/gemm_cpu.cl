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
// S is read in place where rows are dense along the depth and fill a tile, else packed in tiles.
// Packed data and unfinished tiles live in local memory, which on a CPU is a scratch
// area of the thread that stays in its cache. Edges: panels are padded with zeros, rows repeat the
// last one; neither is stored. Blocking after Goto and van de Geijn, "Anatomy of High-Performance
// Matrix Multiplication" (2008).

// Rows of a register tile.
#ifndef ROWS
#define ROWS 12
#endif

#if APUS_VECTOR_WIDTH >= 16
#define WIDTH 16
typedef float16 W;
#define LOAD_W(p) vload16(0, p)
#else
#define WIDTH 8
typedef float8 W;
#define LOAD_W(p) vload8(0, p)
#endif
#define PANEL (2 * WIDTH)
// Scratch areas are aligned to vectors; other addresses are not.
#define SCRATCH(p) (*(local W *)(p))
typedef struct __attribute__((packed)) { W value; } UnalignedW;
#define STORE_W(v, p) (((local UnalignedW *)(p))->value = (v))

// A block of WIDTH x WIDTH: each stage moves one bit of the lane number into the row number.
INLINED void transpose(W *x) {
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

// Rows of `depth` elements that lie `step` apart and are read or written soon.
INLINED void ask_for_rows(global const float *from, int step, int rows, int depth) {
#if APUS_PREFETCH
  for (int i = 0; i < rows; ++i)
    for (int k = 0; k < depth; k += 16) PREFETCH(from + i * step + k, 0);
#endif
}

// WIDTH rows that lie `step` apart become WIDTH columns of a panel.
SEPARATE void transpose_block(global const float *from, int step, local float *to) {
  const long apart = step;
  W x[WIDTH];
#pragma unroll
  for (int i = 0; i < WIDTH; i += 4) {
    x[i] = LOAD_W(from);
    x[i + 1] = LOAD_W(from + apart);
    x[i + 2] = LOAD_W(from + 2 * apart);
    x[i + 3] = LOAD_W(from + 3 * apart);
    from += 4 * apart;
  }
  transpose(x);
#pragma unroll
  for (int i = 0; i < WIDTH; ++i) SCRATCH(to + i * PANEL) = x[i];
}

// Columns `v` on of a slice, in panels of [depth][PANEL] that lie `stride` apart.
INLINED void pack_columns(
    const Gemm *g, global const float *v, int columns, int depth, local float *panels, int stride) {
  int whole = 0;
  if (g->v_column == 1) {
    // Row by row: as long runs of the source as there are.
    whole = columns / PANEL * PANEL;
    for (int k = 0; k < depth; ++k) {
      local float *to = panels + k * PANEL;
      global const float *from = v + k * g->v_depth;
      for (int j = 0; j < whole; j += PANEL, to += stride) {
        PREFETCH(from + 4 * g->v_depth + j, 0);
        if (PANEL > 16) PREFETCH(from + 4 * g->v_depth + j + 16, 0);
        SCRATCH(to) = LOAD_W(from + j);
        SCRATCH(to + WIDTH) = LOAD_W(from + j + WIDTH);
      }
    }
  }
  for (int j = whole; j < columns; j += PANEL) {
    local float *panel = panels + j / PANEL * stride;
    global const float *from = v + j * g->v_column;
    const int count = min(PANEL, columns - j);
    int k = 0;
    if (g->v_depth == 1) {
      if (j == 0) ask_for_rows(from, g->v_column, count, depth);
      ask_for_rows(from + PANEL * g->v_column, g->v_column, min(PANEL, columns - j - PANEL), depth);
      if (count == PANEL) {
        for (; k + WIDTH <= depth; k += WIDTH)
          for (int part = 0; part < PANEL; part += WIDTH)
            transpose_block(
                from + k + part * g->v_column, g->v_column, panel + k * PANEL + part);
      }
      // Columns past the last repeat it and are overwritten by zeros below.
      for (; k + WIDTH <= depth; k += WIDTH) {
        for (int part = 0; part < PANEL; part += WIDTH) {
          W x[WIDTH];
#pragma unroll
          for (int i = 0; i < WIDTH; ++i)
            x[i] = LOAD_W(from + k + min(part + i, count - 1) * g->v_column);
          transpose(x);
#pragma unroll
          for (int i = 0; i < WIDTH; ++i) SCRATCH(panel + (k + i) * PANEL + part) = x[i];
        }
      }
    }
    for (; k < depth; ++k)
      for (int i = 0; i < count; ++i)
        panel[k * PANEL + i] = from[k * g->v_depth + i * g->v_column];
    if (count < PANEL)
      for (int row = 0; row < depth; ++row)
        for (int i = count; i < PANEL; ++i) panel[row * PANEL + i] = 0.0f;
  }
}

// Tiles of S for `rows` rows, [tile][depth][ROWS]; rows past the last repeat it. Stores may reach
// past a row of a tile, over what the next store fills, and WIDTH elements past the end.
INLINED void pack_rows(
    const Gemm *g, global const float *s, int rows, int depth, local float *packed) {
  int first = 0;
  if (g->s_row == 1 && g->s_depth > 0) {
    // A few lines of the source at a time, across all whole tiles. Loads reach past a tile, hence
    // not the last rows of the slice.
    const int safe = max(0, depth - WIDTH);
    first = rows / ROWS * ROWS;
    for (int begin = 0; begin < depth; begin += 8)
      for (int tile = 0; tile < first; tile += ROWS) {
        local float *to = packed + tile * depth;
        global const float *from = s + tile;
        const int end = min(begin + 8, depth);
        int k = begin;
        for (; k < min(end, safe); ++k) {
          PREFETCH(from + (k + 8) * g->s_depth, 0);
          STORE_W(LOAD_W(from + k * g->s_depth), to + k * ROWS);
        }
        for (; k < end; ++k)
          for (int r = 0; r < ROWS; ++r) to[k * ROWS + r] = from[k * g->s_depth + r];
      }
  }
  for (int tile = first; tile < rows; tile += ROWS) {
    const int last = min(ROWS, rows - tile) - 1;
    global const float *from = s + tile * g->s_row;
    local float *to = packed + tile * depth;
    int k = 0;
    if (g->s_depth == 1) {
      for (; k + WIDTH <= depth; k += WIDTH) {
        W x[WIDTH];
#pragma unroll
        for (int i = 0; i < WIDTH; ++i)
          x[i] = i < ROWS ? LOAD_W(from + k + min(i, last) * g->s_row) : (W)(0.0f);
        transpose(x);
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) STORE_W(x[i], to + (k + i) * ROWS);
      }
    }
    for (; k < depth; ++k)
      for (int r = 0; r < ROWS; ++r)
        to[k * ROWS + r] = from[min(r, last) * g->s_row + k * g->s_depth];
  }
}

#define ACCUMULATORS                                                                        \
  W left[ROWS], right[ROWS];                                                                \
  _Pragma("unroll") for (int r = 0; r < ROWS; ++r) left[r] = right[r] = (W)(0.0f);          \
  if (accumulates) {                                                                        \
    _Pragma("unroll") for (int r = 0; r < ROWS; ++r) {                                      \
      left[r] = SCRATCH(tile + r * PANEL);                                                  \
      right[r] = SCRATCH(tile + r * PANEL + WIDTH);                                         \
    }                                                                                       \
  }
#define MULTIPLY(r, value)              \
  {                                     \
    const W x = (W)(value);             \
    left[r] = fma(x, u, left[r]);       \
    right[r] = fma(x, v, right[r]);     \
  }
// A finished tile without an epilogue goes where it belongs, `out_row` apart; others stay in scratch.
#define STORE_ACCUMULATORS                                          \
  if (out) {                                                        \
    _Pragma("unroll") for (int r = 0; r < ROWS; ++r) {              \
      ((global UnalignedW *)out)->value = left[r];                  \
      ((global UnalignedW *)(out + WIDTH))->value = right[r];       \
      out += out_row;                                               \
    }                                                               \
    return;                                                         \
  }                                                                 \
  _Pragma("unroll") for (int r = 0; r < ROWS; ++r) {                \
    SCRATCH(tile + r * PANEL) = left[r];                            \
    SCRATCH(tile + r * PANEL + WIDTH) = right[r];                   \
  }

// ROWS rows of S, dense along the depth and `row` apart.
SEPARATE void multiply_in_place(
    global const float *s, int row, local const float *panel, int depth, local float *tile,
    int accumulates, global float *out, int out_row) {
  ACCUMULATORS
  const long step = row;
#pragma unroll 4
  for (int k = 0; k < depth; ++k) {
    const W u = SCRATCH(panel + k * PANEL), v = SCRATCH(panel + k * PANEL + WIDTH);
    global const float *from = s + k;
    global const float *from3 = from + 3 * step;
    global const float *from6 = from + 6 * step;
    global const float *from9 = from + 9 * step;
    MULTIPLY(0, from[0])
    MULTIPLY(1, from[step])
    MULTIPLY(2, from[2 * step])
    MULTIPLY(3, from3[0])
#if ROWS > 4
    MULTIPLY(4, from3[step])
    MULTIPLY(5, from3[2 * step])
#endif
#if ROWS > 6
    MULTIPLY(6, from6[0])
    MULTIPLY(7, from6[step])
#endif
#if ROWS > 8
    MULTIPLY(8, from6[2 * step])
    MULTIPLY(9, from9[0])
    MULTIPLY(10, from9[step])
    MULTIPLY(11, from9[2 * step])
#endif
  }
  STORE_ACCUMULATORS
}

SEPARATE void multiply_packed(
    local const float *packed, local const float *panel, int depth, local float *tile,
    int accumulates, global float *out, int out_row) {
  ACCUMULATORS
#pragma unroll 4
  for (int k = 0; k < depth; ++k) {
    const W u = SCRATCH(panel + k * PANEL), v = SCRATCH(panel + k * PANEL + WIDTH);
    _Pragma("unroll") for (int r = 0; r < ROWS; ++r) MULTIPLY(r, packed[k * ROWS + r])
  }
  STORE_ACCUMULATORS
}

// Adds the bias, applies the function and stores a tile of `rows` x `columns` at (i, j).
SEPARATE void finish_tile(
    const Gemm *g, local float *tile, int rows, int columns, int i, int j,
    global const float *bias, global float *out) {
  if (columns == PANEL && g->o_column == 1 && g->has_bias && g->bias_row == 0
      && g->bias_column == 1 && g->op == RELU) {
    // The usual hidden layer: whole vectors, one row of the bias for all rows.
    bias += g->bias_offset + j;
    for (int c = 0; c < PANEL; c += LANES) {
      const V addend = vload16(0, bias + c);
      for (int r = 0; r < rows; ++r)
        ((global Unaligned_float *)(out + r * g->o_row + c))->value =
            unary_function(RELU, *(local V *)(tile + r * PANEL + c) + addend, 0.0f, 0.0f);
    }
    return;
  }
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; c += LANES) {
      const int n = min(LANES, columns - c);
      V x = *(local V *)(tile + r * PANEL + c);
      if (g->has_bias) {
        const int at = g->bias_offset + (i + r) * g->bias_row;
        x += load_float(bias, at + j * g->bias_column, g->bias_column, c, n);
      }
      if (g->op >= 0) x = unary_function(g->op, x, g->a, g->b);
      if (g->o_column == 1 && n == LANES)
        ((global Unaligned_float *)(out + r * g->o_row + c))->value = x;
      else
        *(local V *)(tile + r * PANEL + c) = x;
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

kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE void PASTE(gemm_tile_, ROWS)(
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
  const int is_plain = !g.has_bias && g.op < 0 && g.o_column == 1;
  // Rows below that are read where they lie.
  const int in_place = g.packs_s ? 0 : rows / ROWS * ROWS;

  for (int slice = 0;; ++slice) {
    const int depth = min(g.depth, end - begin);
    const int is_last = begin + depth >= end;
    pack_columns(&g, v + begin * g.v_depth, columns, depth, scratch, g.depth * PANEL);
    if (in_place < rows)
      pack_rows(
          &g, s + in_place * g.s_row + begin * g.s_depth, rows - in_place, depth, packed);
    local float *tile = scratch + g.tile_start;
    for (int j = 0; j < columns; j += PANEL) {
      for (int i = 0; i < rows; i += ROWS) {
        local const float *panel = scratch + j * g.depth;
#if APUS_PREFETCH
        if (is_last && g.o_column == 1)
          for (int r = 0; r < min(ROWS, rows - i); ++r)
            for (int c = 0; c < PANEL; c += 16) PREFETCH(out + (i + r) * g.o_row + j + c, 1);
#endif
        if (j == 0 && i + ROWS < in_place)
          ask_for_rows(s + (i + ROWS) * g.s_row + begin * g.s_depth, g.s_row, ROWS, depth);
        const int direct = is_last && is_plain && rows - i >= ROWS && columns - j >= PANEL;
        global float *to = direct ? out + i * g.o_row + j : 0;
        if (i < in_place)
          multiply_in_place(
              s + i * g.s_row + begin * g.s_depth, g.s_row, panel, depth, tile, slice > 0, to,
              g.o_row);
        else
          multiply_packed(
              packed + (i - in_place) * depth, panel, depth, tile, slice > 0, to, g.o_row);
        if (is_last && !direct)
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
