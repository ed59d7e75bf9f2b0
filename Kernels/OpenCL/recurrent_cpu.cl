// Recurrent layers on CPU kinds. Rows do not depend on each other, so a work-item carries a slice of
// them through all steps; nothing waits for anything (few rows: see the end of the file). W lies packed
// in panels that a tile reads from start to end:
//
//              VECTORS x WIDTH columns               forward: vector g holds gate g of the same units
//             +----+----+----+----+                  backward: neighbouring units
//       depth | panel             |
//             +----+----+----+----+
//   +-------+ +----+----+----+----+                  rows are read where they lie
//   | rows  | | tile in registers |
//   +-------+ +----+----+----+----+

#if !APUS_GPU

// Lanes of a vector register, rows of a tile at most, vectors of a panel at most, rows of a slice at
// most. A block has 16 units; where registers are shorter its panel comes in two halves.
#ifndef APUS_VECTOR_WIDTH
#define APUS_VECTOR_WIDTH 16
#endif
#if APUS_VECTOR_WIDTH >= 16
#define WIDTH 16
typedef float16 W;
#define LOAD_W(p) vload16(0, p)
#define STORE_W(v, p) vstore16(v, 0, p)
#define TALL 6
#else
#define WIDTH 8
typedef float8 W;
#define LOAD_W(p) vload8(0, p)
#define STORE_W(v, p) vstore8(v, 0, p)
#define TALL 3
#endif
#define HALVES (16 / WIDTH)
#define SLICE 48

#if defined(__has_attribute)
#if __has_attribute(__min_vector_width__)
#define WIDE __attribute__((__min_vector_width__(32 * WIDTH)))
#endif
#endif
#ifndef WIDE
#define WIDE
#endif
// The innermost loops get all registers to themselves.
#define SEPARATE static WIDE __attribute__((noinline))

// Panels `[panel][part][depth][vectors][WIDTH]` of W. Forward, vector v is gate v (`by_gates`), and a
// line along the depth is a row of W; else vector v holds units `16 v ...`, and a line is a column.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE void recurrent_pack(
    const Recurrent r, global const float *weight, global float *packed, int by_gates,
    int line_step, int depth_step, int depth) {
  const int panel = get_global_id(0), vectors = r.vectors, units = by_gates ? 16 : 16 * vectors;
  for (int part = 0; part < HALVES; ++part) {
    global float *to = packed + (panel * HALVES + part) * depth * vectors * WIDTH;
    for (int v = 0; v < vectors; ++v) {
      const int first = panel * units + (by_gates ? 0 : 16 * v) + part * WIDTH;
      const int count = clamp(r.width - first, 0, WIDTH);
      global const float *from =
          weight + r.weight_at + (first + (by_gates ? v * r.width : 0)) * line_step;
      int k = 0;
      if (depth_step == 1 && count > 0)
        for (; k + WIDTH <= depth; k += WIDTH) {
          // A block of WIDTH x WIDTH: each stage moves one bit of the lane number into the row number.
          W x[WIDTH];
#pragma unroll
          for (int i = 0; i < WIDTH; ++i) x[i] = LOAD_W(from + min(i, count - 1) * line_step + k);
#pragma unroll
          for (int bit = 1; bit < WIDTH; bit *= 2) {
#pragma unroll
            for (int i = 0; i < WIDTH; ++i)
              if (!(i & bit)) {
                const W even = (W)(x[i].even, x[i | bit].even);
                const W odd = (W)(x[i].odd, x[i | bit].odd);
                x[i] = even;
                x[i | bit] = odd;
              }
          }
#pragma unroll
          for (int i = 0; i < WIDTH; ++i) STORE_W(x[i], to + ((k + i) * vectors + v) * WIDTH);
        }
      for (; k < depth; ++k) {
        global float *line = to + (k * vectors + v) * WIDTH;
        if (line_step == 1 && count == WIDTH)
          STORE_W(LOAD_W(from + k * depth_step), line);
        else
          for (int i = 0; i < WIDTH; ++i)
            line[i] = i < count ? from[i * line_step + k * depth_step] : 0.0f;
      }
    }
  }
}

// `sums[row][vector][16] += x[row] * panel`, into one half of the 16 lanes.
#define DEFINE_TILE(ROWS, VECTORS)                                                                \
  SEPARATE void tile_##ROWS##_##VECTORS(                                                          \
      global const float *const *x, global const float *panel, int depth, float *sums) {          \
    W a[ROWS][VECTORS];                                                                           \
    global const float *row[ROWS];                                                                \
    _Pragma("unroll") for (int i = 0; i < ROWS; ++i) {                                            \
      row[i] = x[i];                                                                              \
      _Pragma("unroll") for (int v = 0; v < VECTORS; ++v) a[i][v] = LOAD_W(sums + (i * VECTORS + v) * 16); \
    }                                                                                             \
    for (long k = 0; k < depth; ++k) {                                                            \
      W u[VECTORS];                                                                               \
      _Pragma("unroll") for (int v = 0; v < VECTORS; ++v)                                         \
        u[v] = *(global const W *)(panel + (k * VECTORS + v) * WIDTH);                            \
      _Pragma("unroll") for (int i = 0; i < ROWS; ++i) {                                          \
        const W value = (W)(row[i][k]);                                                           \
        _Pragma("unroll") for (int v = 0; v < VECTORS; ++v) a[i][v] = fma(value, u[v], a[i][v]);  \
      }                                                                                           \
    }                                                                                             \
    _Pragma("unroll") for (int i = 0; i < ROWS; ++i)                                              \
      _Pragma("unroll") for (int v = 0; v < VECTORS; ++v)                                         \
        STORE_W(a[i][v], sums + (i * VECTORS + v) * 16);                                          \
  }
#define DEFINE_TILES(ROWS) DEFINE_TILE(ROWS, 3) DEFINE_TILE(ROWS, 4)
DEFINE_TILES(1)
DEFINE_TILES(2)
#if TALL == 6
DEFINE_TILES(4)
DEFINE_TILES(6)
#else
DEFINE_TILES(3)
#endif

// Rows of the next tile when `left` rows are left.
inline int tile_rows(int left) {
#if TALL == 6
  return left >= 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
#else
  return left >= 3 ? 3 : left;
#endif
}

// Both halves of a panel. `sums` holds what to begin with.
inline void multiply_tile(
    int rows, int vectors, global const float *const *x, global const float *panel, int depth,
    float *sums) {
#define TILE_CASE(ROWS)                                          \
  if (rows == ROWS) {                                            \
    if (vectors == 3)                                            \
      tile_##ROWS##_3(x, at, depth, sums + part * WIDTH);        \
    else                                                         \
      tile_##ROWS##_4(x, at, depth, sums + part * WIDTH);        \
  }
  for (int part = 0; part < HALVES; ++part) {
    global const float *at = panel + part * depth * vectors * WIDTH;
    TILE_CASE(1)
    TILE_CASE(2)
#if TALL == 6
    TILE_CASE(4)
    TILE_CASE(6)
#else
    TILE_CASE(3)
#endif
  }
}

// Runs its body for blocks of at most 16 units.
#define FOR_UNITS(first, last)                               \
  for (int unit = (first); unit < (last); unit += 16) {      \
    const int n = min(16, (last) - unit);
#define END_UNITS }

// One step forward for some rows and the units `from ..< to`.
inline void step_forward(
    const Recurrent *r, int t, int begin, int end, int from, int to, global const float *gates,
    global const float *packed, global const float *bias, global const float *h0,
    global const int *lengths, global float *y, global float *c, global float *saved) {
  const int w = r->width, vectors = r->vectors;
  const int by_gates = r->cell >= LSTM, units = by_gates ? 16 : 64;
  global const float *before[SLICE];
  int rows[SLICE];
  int count = 0;
  for (int row = begin; row < end; ++row) {
    const int length = length_of(r, lengths, row);
    if (t >= length) {
      FOR_UNITS(from, to)
        clear_forward(r, t * r->rows + row, unit, n, y, saved);
      END_UNITS
      continue;
    }
    const int earlier = row_before(r, t, row, length);
    before[count] = earlier < 0 ? h0 + r->h0_at + row * w : y + r->y_at + earlier * w;
    rows[count++] = row;
  }
  float sums[TALL * 64] __attribute__((aligned(64)));
  for (int first = from; first < to; first += units) {
    global const float *panel = packed + first / units * w * vectors * 16;
    for (int tile = 0, here; tile < count; tile += here) {
      here = tile_rows(count - tile);
      for (int v = 0; v < vectors; ++v) {
        const int unit = first + (by_gates ? 0 : 16 * v), n = clamp(w - unit, 0, 16);
        V start = (V)(0.0f);
        if (r->has_bias && n > 0) start = AT(bias, r->bias_at + (by_gates ? v * w : 0));
        for (int i = 0; i < here; ++i) vstore16(start, i * vectors + v, sums);
      }
      multiply_tile(here, vectors, before + tile, panel, w, sums);
      for (int i = 0; i < here; ++i) {
        const int row = rows[tile + i];
        FOR_UNITS(first, min(first + units, w))
          V g[4];
          for (int v = 0; v < r->gates; ++v)
            g[v] = vload16(i * vectors + (by_gates ? v : (unit - first) / 16), sums);
          cell_forward(
              r, g, t * r->rows + row, row, unit, n, gates, before[tile + i], 0, c, y, saved);
        END_UNITS
      }
    }
  }
}

// The gradients of the gates of one step, for some rows and the units `from ..< to`.
inline void step_gates(
    const Recurrent *r, int t, int begin, int end, int from, int to, global const float *h0,
    global const float *c0, global const int *lengths, global const float *y,
    global const float *saved, global const float *dy, global float *dh, global float *dc,
    global float *dgates, global float *products, global float *previous) {
  for (int row = begin; row < end; ++row) {
    const int length = length_of(r, lengths, row), at = t * r->rows + row;
    const int before = row_before(r, t, row, length);
    FOR_UNITS(from, to)
      if (t >= length)
        clear_backward(r, at, unit, n, dgates, products, previous);
      else
        cell_backward(
            r, at, before, row, unit, n, y, saved, h0, c0, dy, dh, dc, dgates, products, previous);
    END_UNITS
  }
}

// `dh = gradients W` of one step (plus what a GRU passes on itself), rows and units alike; `from` is a
// multiple of 64.
inline void step_state(
    const Recurrent *r, int t, int begin, int end, int from, int to, global const float *packed,
    global const int *lengths, global const float *gradients, global float *dh) {
  const int w = r->width, depth = r->gates * w;
  global const float *x[SLICE];
  int rows[SLICE];
  int count = 0;
  for (int row = begin; row < end; ++row)
    if (t < length_of(r, lengths, row)) {
      x[count] = gradients + (t * r->rows + row) * depth;
      rows[count++] = row;
    }
  float sums[TALL * 64] __attribute__((aligned(64)));
  for (int first = from; first < to; first += 64) {
    global const float *panel = packed + first * depth;
    for (int tile = 0, here; tile < count; tile += here) {
      here = tile_rows(count - tile);
      for (int i = 0; i < here * 4; ++i) vstore16((float16)(0.0f), i, sums);
      multiply_tile(here, 4, x + tile, panel, depth, sums);
      for (int i = 0; i < here; ++i) {
        const int at = r->dh_at + rows[tile + i] * w;
        FOR_UNITS(first, min(first + 64, w))
          V sum = vload16(i * 4 + (unit - first) / 16, sums);
          if (r->cell == GRU) sum += AT(dh, at);
          PUT(sum, dh, at);
        END_UNITS
      }
    }
  }
}

#define ALONE kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE

ALONE void recurrent_forward(
    const Recurrent r, global const float *gates, global const float *packed,
    global const float *bias, global const float *h0, global const int *lengths, global float *y,
    global float *c, global float *saved) {
  const int begin = get_global_id(0) * r.slice, end = min(begin + r.slice, r.rows);
  for (int index = 0; index < r.steps; ++index)
    step_forward(
        &r, r.reversed ? r.steps - 1 - index : index, begin, end, 0, r.width, gates, packed, bias,
        h0, lengths, y, c, saved);
}

ALONE void recurrent_backward(
    const Recurrent r, global const float *packed, global const float *h0, global const float *c0,
    global const int *lengths, global const float *y, global const float *saved,
    global const float *dy, global float *dh, global float *dc, global float *dgates,
    global float *products, global float *previous) {
  const int begin = get_global_id(0) * r.slice, end = min(begin + r.slice, r.rows);
  global const float *gradients = r.cell == GRU ? products : dgates + r.dgates_at;
  for (int index = 0; index < r.steps; ++index) {
    const int t = r.reversed ? index : r.steps - 1 - index;
    step_gates(
        &r, t, begin, end, 0, r.width, h0, c0, lengths, y, saved, dy, dh, dc, dgates, products,
        previous);
    step_state(&r, t, begin, end, 0, r.width, packed, lengths, gradients, dh);
  }
}

// Few rows alone would read all of W for little work. Then the work-items go through the steps together,
// each with blocks of units of its own, whose weights stay in its cache. A work-item takes a block by
// advancing its mark from this phase to the next; blocks that another has not begun after a while are
// taken too, so that one work-item alone finishes as well. `marks`: finished blocks of all phases, then
// the next phase of each block; zeros at the start.

// The next block of a phase to do, or -1 when all are done.
inline int take_block(volatile global int *marks, int blocks, int phase, int first, int last) {
  for (int spin = 0;; ++spin) {
    if (marks[0] >= (phase + 1) * blocks) {
      mem_fence(CLK_GLOBAL_MEM_FENCE);
      return -1;
    }
    const int all = spin > 100;
    for (int block = all ? 0 : first; block < (all ? blocks : last); ++block)
      if (marks[1 + block] == phase && atomic_cmpxchg(marks + 1 + block, phase, phase + 1) == phase)
        return block;
  }
}
#define FOR_MARKED_BLOCKS(phase)                                                             \
  for (int block; (block = take_block(marks, blocks, phase, first, last)) >= 0;) {            \
    const int from = block * units, to = min(from + units, r.width);
#define END_MARKED_BLOCKS                \
    mem_fence(CLK_GLOBAL_MEM_FENCE);     \
    atomic_inc(marks);                   \
  }
#define TEAM_SHARE                                                                           \
  const int blocks = (r.width + units - 1) / units;                                          \
  const int me = get_global_id(0), team = get_global_size(0);                                \
  const int first = me * blocks / team, last = (me + 1) * blocks / team;

ALONE void recurrent_forward_team(
    const Recurrent r, global const float *gates, global const float *packed,
    global const float *bias, global const float *h0, global const int *lengths, global float *y,
    global float *c, global float *saved, volatile global int *marks) {
  const int units = r.cell >= LSTM ? 16 : 64;
  TEAM_SHARE
  for (int index = 0; index < r.steps; ++index)
    FOR_MARKED_BLOCKS(index)
      step_forward(
          &r, r.reversed ? r.steps - 1 - index : index, 0, r.rows, from, to, gates, packed, bias, h0,
          lengths, y, c, saved);
    END_MARKED_BLOCKS
}

ALONE void recurrent_backward_team(
    const Recurrent r, global const float *packed, global const float *h0, global const float *c0,
    global const int *lengths, global const float *y, global const float *saved,
    global const float *dy, global float *dh, global float *dc, global float *dgates,
    global float *products, global float *previous, volatile global int *marks) {
  const int units = 64;
  TEAM_SHARE
  global const float *gradients = r.cell == GRU ? products : dgates + r.dgates_at;
  for (int index = 0; index < r.steps; ++index) {
    const int t = r.reversed ? index : r.steps - 1 - index;
    FOR_MARKED_BLOCKS(2 * index)
      step_gates(
          &r, t, 0, r.rows, from, to, h0, c0, lengths, y, saved, dy, dh, dc, dgates, products,
          previous);
    END_MARKED_BLOCKS
    FOR_MARKED_BLOCKS(2 * index + 1)
      step_state(&r, t, 0, r.rows, from, to, packed, lengths, gradients, dh);
    END_MARKED_BLOCKS
  }
}
#endif
