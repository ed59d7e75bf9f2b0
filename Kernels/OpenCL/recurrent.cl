// A recurrent layer in one direction over whole sequences; see `Recurrence` for the formulas. With `h`
// the state before a step and W the recurrent weight:
//
//   forward   sums = h W^T (+ bias)                  all gates of a unit in one tile
//             y, c, saved = cell(gates, sums)        in the same pass
//   backward  dgates = cell'(saved, dy + dh)         `previous` keeps h for the gradient of W
//             dh = dgates W                          for the step before
//
// CPU kinds: rows do not depend on each other, so a work-item carries a slice of them through all
// steps; nothing waits for anything. W lies packed in panels that a tile reads from start to end:
//
//              VECTORS x WIDTH columns               forward: vector g holds gate g of the same units
//             +----+----+----+----+                  backward: neighbouring units
//       depth | panel             |
//             +----+----+----+----+
//   +-------+ +----+----+----+----+                  rows are read where they lie
//   | rows  | | tile in registers |
//   +-------+ +----+----+----+----+
//
// GPU kinds: a launch per step; a work-group of 16 x 16 computes as many rows x units from tiles in
// local memory.

enum { RNN_TANH, RNN_RELU, LSTM, GRU };

// Offsets in elements; every operand is contiguous.
typedef struct {
  int cell, reversed, steps, rows, width;
  // Blocks of `width` in gates and in saved.
  int gates, saved_blocks;
  int has_lengths, has_bias, has_saved;
  // CPU: rows of a slice; vectors of a panel.
  int slice, vectors;
  int gates_at, weight_at, bias_at, h0_at, c0_at, lengths_at, y_at, hn_at, c_at, saved_at;
  int dy_at, dh_at, dc_at, dgates_at;
} Recurrent;

inline int length_of(const Recurrent *r, global const int *lengths, int row) {
  return r->has_lengths ? clamp(lengths[r->lengths_at + row], 0, r->steps) : r->steps;
}

// The row of a table [T, B, n] one step before `t`, or -1 where `t` is the first of `row`.
inline int row_before(const Recurrent *r, int t, int row, int length) {
  const int earlier = r->reversed ? t + 1 : t - 1;
  return earlier < 0 || earlier >= length ? -1 : earlier * r->rows + row;
}

inline V logistic(V x) { return (V)(1.0f) / ((V)(1.0f) + apus_exp(-x)); }
// Cephes' tanhf below 0.625; the exponential above.
inline V squash(V x) {
  const V a = fabs(x), z = x * x;
  V p = fma((V)(-5.70498872745e-3f), z, (V)(2.06390887954e-2f));
  p = fma(p, z, (V)(-5.37397155531e-2f));
  p = fma(p, z, (V)(1.33314422036e-1f));
  p = fma(p, z, (V)(-3.33332819422e-1f));
  const V small = fma(p * z, x, x);
  const V large = copysign((V)(1.0f) - (V)(2.0f) / (apus_exp(a + a) + (V)(1.0f)), x);
  return select(small, large, a > (V)(0.625f));
}
inline V logistic_slope(V y) { return fma(-y, y, y); }
inline V squash_slope(V y) { return fma(-y, y, (V)(1.0f)); }

// Units `unit ...` of a row: a block of `n` elements.
#define AT(p, at) load_float(p, at, 1, unit, n)
#define PUT(v, p, at) store_float(v, p, at, 1, unit, n)

// The cell on a block of units of one row: `g` are the sums of the gates, `at` the row of [T, B].
inline void cell_forward(
    const Recurrent *r, const V *g, int at, int row, int unit, int n, global const float *gates,
    global const float *before, int before_at, global float *c, global float *y,
    global float *saved) {
  const int w = r->width;
  const int x = r->gates_at + at * r->gates * w, s = r->saved_at + at * r->saved_blocks * w;
  V h;
  if (r->cell == LSTM) {
    const V i = logistic(AT(gates, x) + g[0]), f = logistic(AT(gates, x + w) + g[1]);
    const V m = squash(AT(gates, x + 2 * w) + g[2]), o = logistic(AT(gates, x + 3 * w) + g[3]);
    const V state = fma(i, m, f * AT(c, r->c_at + row * w));
    PUT(state, c, r->c_at + row * w);
    h = o * squash(state);
    if (r->has_saved) {
      PUT(i, saved, s);
      PUT(f, saved, s + w);
      PUT(m, saved, s + 2 * w);
      PUT(o, saved, s + 3 * w);
      PUT(state, saved, s + 4 * w);
    }
  } else if (r->cell == GRU) {
    const V q = logistic(AT(gates, x) + g[0]), z = logistic(AT(gates, x + w) + g[1]);
    const V m = squash(fma(q, g[2], AT(gates, x + 2 * w)));
    h = fma(z, AT(before, before_at) - m, m);
    if (r->has_saved) {
      PUT(q, saved, s);
      PUT(z, saved, s + w);
      PUT(m, saved, s + 2 * w);
      PUT(g[2], saved, s + 3 * w);
    }
  } else {
    const V sum = AT(gates, x) + g[0];
    h = r->cell == RNN_TANH ? squash(sum) : select(sum, (V)(0.0f), sum < (V)(0.0f));
  }
  PUT(h, y, r->y_at + at * w);
}

// The gradients of the gates of a block of units; what the product with W adds to `dh` comes later.
inline void cell_backward(
    const Recurrent *r, int at, int before, int row, int unit, int n, global const float *y,
    global const float *saved, global const float *h0, global const float *c0,
    global const float *dy, global float *dh, global float *dc, global float *dgates,
    global float *products, global float *previous) {
  const int w = r->width;
  const int s = r->saved_at + at * r->saved_blocks * w, x = r->dgates_at + at * r->gates * w;
  const int state = r->dh_at + row * w;
  const V total = AT(dy, r->dy_at + at * w) + AT(dh, state);
  const V h = before < 0 ? AT(h0, r->h0_at + row * w) : AT(y, r->y_at + before * w);
  PUT(h, previous, at * w);
  if (r->cell == LSTM) {
    const V i = AT(saved, s), f = AT(saved, s + w), m = AT(saved, s + 2 * w);
    const V o = AT(saved, s + 3 * w), t = squash(AT(saved, s + 4 * w));
    const V c = before < 0 ? AT(c0, r->c0_at + row * w)
                           : AT(saved, r->saved_at + (before * r->saved_blocks + 4) * w);
    const V d = fma(total * o, squash_slope(t), AT(dc, r->dc_at + row * w));
    PUT(d * m * logistic_slope(i), dgates, x);
    PUT(d * c * logistic_slope(f), dgates, x + w);
    PUT(d * i * squash_slope(m), dgates, x + 2 * w);
    PUT(total * t * logistic_slope(o), dgates, x + 3 * w);
    PUT(d * f, dc, r->dc_at + row * w);
  } else if (r->cell == GRU) {
    const int p = at * r->gates * w;
    const V q = AT(saved, s), z = AT(saved, s + w), m = AT(saved, s + 2 * w);
    const V dm = total * ((V)(1.0f) - z) * squash_slope(m);
    const V dz = total * (h - m) * logistic_slope(z);
    const V dq = dm * AT(saved, s + 3 * w) * logistic_slope(q);
    PUT(dq, dgates, x);
    PUT(dz, dgates, x + w);
    PUT(dm, dgates, x + 2 * w);
    PUT(dq, products, p);
    PUT(dz, products, p + w);
    PUT(dm * q, products, p + 2 * w);
    PUT(total * z, dh, state);
  } else {
    const V v = AT(y, r->y_at + at * w);
    const V d = r->cell == RNN_TANH ? total * squash_slope(v)
                                    : select((V)(0.0f), total, v > (V)(0.0f));
    PUT(d, dgates, x);
  }
}

// A step beyond the length of a row leaves zeros.
inline void clear_forward(
    const Recurrent *r, int at, int unit, int n, global float *y, global float *saved) {
  PUT((V)(0.0f), y, r->y_at + at * r->width);
  if (r->has_saved)
    for (int b = 0; b < r->saved_blocks; ++b)
      PUT((V)(0.0f), saved, r->saved_at + (at * r->saved_blocks + b) * r->width);
}
inline void clear_backward(
    const Recurrent *r, int at, int unit, int n, global float *dgates, global float *products,
    global float *previous) {
  PUT((V)(0.0f), previous, at * r->width);
  for (int b = 0; b < r->gates; ++b) {
    PUT((V)(0.0f), dgates, r->dgates_at + (at * r->gates + b) * r->width);
    if (r->cell == GRU) PUT((V)(0.0f), products, (at * r->gates + b) * r->width);
  }
}

// `hn`: the state after the last step of each row. The walk is over [B, H].
kernel void recurrent_final(
    const Recurrent r, global const float *h0, global const int *lengths, global const float *y,
    global float *hn) {
  const int count = r.rows * r.width;
  for (int index = get_global_id(0); index < count; index += get_global_size(0)) {
    const int row = index / r.width, unit = index % r.width;
    const int length = length_of(&r, lengths, row);
    const int at = (r.reversed ? 0 : length - 1) * r.rows + row;
    hn[r.hn_at + index] = length == 0 ? h0[r.h0_at + index] : y[r.y_at + at * r.width + unit];
  }
}

#if APUS_GPU

#define SIDE 16
// A work-group of SIDE x SIDE: rows by units.
#define GROUP_PLACE                                                        \
  const int lx = get_local_id(0), ly = get_local_id(1);                    \
  const int unit = get_group_id(0) * SIDE + lx, n = 1;                     \
  const int row = get_group_id(1) * SIDE + ly;                             \
  const int is_inside = unit < r.width && row < r.rows;                    \
  (void)n;

// One step forward.
kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void recurrent_step(
    const Recurrent r, int t, global const float *gates, global const float *weight,
    global const float *bias, global const float *h0, global const int *lengths, global float *y,
    global float *c, global float *saved) {
  local float states[SIDE][SIDE + 1], weights[4][SIDE][SIDE + 1];
  GROUP_PLACE
  const int w = r.width, column = get_group_id(0) * SIDE + ly;
  const int length = row < r.rows ? length_of(&r, lengths, row) : 0;
  const int before = row_before(&r, t, row, length);
  float g[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  if (r.has_bias && is_inside)
    for (int b = 0; b < r.gates; ++b) g[b] = bias[r.bias_at + b * w + unit];
  for (int k = 0; k < w; k += SIDE) {
    float state = 0.0f;
    if (t < length && k + lx < w)
      state = before < 0 ? h0[r.h0_at + row * w + k + lx] : y[r.y_at + before * w + k + lx];
    states[ly][lx] = state;
    for (int b = 0; b < r.gates; ++b)
      weights[b][ly][lx] =
          column < w && k + lx < w ? weight[r.weight_at + (b * w + column) * w + k + lx] : 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < SIDE; ++i)
      for (int b = 0; b < r.gates; ++b) g[b] = fma(states[ly][i], weights[b][lx][i], g[b]);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (!is_inside) return;
  const int at = t * r.rows + row;
  if (t >= length)
    clear_forward(&r, at, unit, n, y, saved);
  else if (before < 0)
    cell_forward(&r, g, at, row, unit, n, gates, h0, r.h0_at + row * w, c, y, saved);
  else
    cell_forward(&r, g, at, row, unit, n, gates, y, r.y_at + before * w, c, y, saved);
}

// The gradients of the gates of one step.
kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void recurrent_gradient(
    const Recurrent r, int t, global const float *h0, global const float *c0,
    global const int *lengths, global const float *y, global const float *saved,
    global const float *dy, global float *dh, global float *dc, global float *dgates,
    global float *products, global float *previous) {
  GROUP_PLACE
  if (!is_inside) return;
  const int length = length_of(&r, lengths, row), at = t * r.rows + row;
  if (t >= length)
    clear_backward(&r, at, unit, n, dgates, products, previous);
  else
    cell_backward(
        &r, at, row_before(&r, t, row, length), row, unit, n, y, saved, h0, c0, dy, dh, dc, dgates,
        products, previous);
}

// `dh = gradients W` (plus what a GRU passes on itself).
kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void recurrent_state(
    const Recurrent r, int t, global const float *weight, global const int *lengths,
    global const float *gradients, int gradients_at, global float *dh) {
  local float left[SIDE][SIDE + 1], right[SIDE][SIDE + 1];
  GROUP_PLACE
  const int depth = r.gates * r.width;
  const int length = row < r.rows ? length_of(&r, lengths, row) : 0;
  float sum = 0.0f;
  for (int k = 0; k < depth; k += SIDE) {
    left[ly][lx] = row < r.rows && k + lx < depth
        ? gradients[gradients_at + (t * r.rows + row) * depth + k + lx] : 0.0f;
    right[ly][lx] = unit < r.width && k + ly < depth
        ? weight[r.weight_at + (k + ly) * r.width + unit] : 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < SIDE; ++i) sum = fma(left[ly][i], right[i][lx], sum);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (!is_inside || t >= length) return;
  global float *to = dh + r.dh_at + row * r.width + unit;
  *to = r.cell == GRU ? *to + sum : sum;
}

#else

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

// One step forward for the rows of a slice.
inline void step_forward(
    const Recurrent *r, int t, int begin, int end, global const float *gates,
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
      FOR_UNITS(0, w)
        clear_forward(r, t * r->rows + row, unit, n, y, saved);
      END_UNITS
      continue;
    }
    const int earlier = row_before(r, t, row, length);
    before[count] = earlier < 0 ? h0 + r->h0_at + row * w : y + r->y_at + earlier * w;
    rows[count++] = row;
  }
  float sums[TALL * 64] __attribute__((aligned(64)));
  for (int first = 0; first < w; first += units) {
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

kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE void recurrent_forward(
    const Recurrent r, global const float *gates, global const float *packed,
    global const float *bias, global const float *h0, global const int *lengths, global float *y,
    global float *c, global float *saved) {
  const int begin = get_global_id(0) * r.slice, end = min(begin + r.slice, r.rows);
  for (int index = 0; index < r.steps; ++index)
    step_forward(
        &r, r.reversed ? r.steps - 1 - index : index, begin, end, gates, packed, bias, h0, lengths,
        y, c, saved);
}

kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE void recurrent_backward(
    const Recurrent r, global const float *packed, global const float *h0, global const float *c0,
    global const int *lengths, global const float *y, global const float *saved,
    global const float *dy, global float *dh, global float *dc, global float *dgates,
    global float *products, global float *previous) {
  const int begin = get_global_id(0) * r.slice, end = min(begin + r.slice, r.rows);
  const int w = r.width, depth = r.gates * w;
  global const float *x[SLICE];
  int rows[SLICE];
  float sums[TALL * 64] __attribute__((aligned(64)));
  for (int index = 0; index < r.steps; ++index) {
    const int t = r.reversed ? index : r.steps - 1 - index;
    int count = 0;
    for (int row = begin; row < end; ++row) {
      const int length = length_of(&r, lengths, row), at = t * r.rows + row;
      if (t >= length) {
        FOR_UNITS(0, w)
          clear_backward(&r, at, unit, n, dgates, products, previous);
        END_UNITS
        continue;
      }
      const int before = row_before(&r, t, row, length);
      FOR_UNITS(0, w)
        cell_backward(
            &r, at, before, row, unit, n, y, saved, h0, c0, dy, dh, dc, dgates, products, previous);
      END_UNITS
      x[count] = r.cell == GRU ? products + at * depth : dgates + r.dgates_at + at * depth;
      rows[count++] = row;
    }
    for (int first = 0; first < w; first += 64) {
      global const float *panel = packed + first * depth;
      for (int tile = 0, here; tile < count; tile += here) {
        here = tile_rows(count - tile);
        for (int i = 0; i < here * 4; ++i) vstore16((float16)(0.0f), i, sums);
        multiply_tile(here, 4, x + tile, panel, depth, sums);
        for (int i = 0; i < here; ++i) {
          const int at = r.dh_at + rows[tile + i] * w;
          FOR_UNITS(first, min(first + 64, w))
            V sum = vload16(i * 4 + (unit - first) / 16, sums);
            if (r.cell == GRU) sum += AT(dh, at);
            PUT(sum, dh, at);
          END_UNITS
        }
      }
    }
  }
}
#endif
