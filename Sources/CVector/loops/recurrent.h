// One step of a recurrent layer, for a few rows and a few units of the state:
//
//              V vectors of columns
//             +----+----+----+----+      a panel of the recurrent weight, from start to end; with
//       depth | packed panel      |      gates, vector g holds the columns of gate g of the same
//             +----+----+----+----+      units, so a tile ends with all gates of its units
//   +-------+ +----+----+----+----+
//   | rows  | | tile in registers |      rows are read where they lie, by a pointer each
//   +-------+ +----+----+----+----+
//
// then the functions of the cell, a row at a time, on the sums of the tile.
#if VL == 16
#define RECURRENT_ROWS 6
#elif VL == 8
#define RECURRENT_ROWS 3
#else
#define RECURRENT_ROWS 2
#endif

#define RECURRENT_TILE(ROWS, VECTORS)                                                            \
  static void recurrent_tile_##ROWS##_##VECTORS(                                                 \
      ptrdiff_t depth, const float *const *x, const float *panel, const float *start,            \
      float *sums) {                                                                             \
    VF acc[ROWS][VECTORS];                                                                       \
    const float *row[ROWS];                                                                      \
    FULLY_UNROLLED for (int i = 0; i < ROWS; i++) {                                              \
      row[i] = x[i];                                                                             \
      FULLY_UNROLLED for (int v = 0; v < VECTORS; v++)                                           \
        acc[i][v] = start ? load(start + v * VL) : (VF)(0.0f);                                   \
    }                                                                                            \
    for (ptrdiff_t k = 0; k < depth; k++) {                                                      \
      VF column[VECTORS];                                                                        \
      FULLY_UNROLLED for (int v = 0; v < VECTORS; v++) column[v] = load(panel + v * VL);         \
      panel += VECTORS * VL;                                                                     \
      FULLY_UNROLLED for (int i = 0; i < ROWS; i++) {                                            \
        const VF scalar = (VF)(row[i][k]);                                                       \
        FULLY_UNROLLED for (int v = 0; v < VECTORS; v++)                                         \
          acc[i][v] = fma_f(scalar, column[v], acc[i][v]);                                       \
      }                                                                                          \
    }                                                                                            \
    FULLY_UNROLLED for (int i = 0; i < ROWS; i++)                                                \
      FULLY_UNROLLED for (int v = 0; v < VECTORS; v++)                                           \
        store(sums + (i * VECTORS + v) * VL, acc[i][v]);                                         \
  }
#define RECURRENT_TILES(ROWS) RECURRENT_TILE(ROWS, 3) RECURRENT_TILE(ROWS, 4)
RECURRENT_TILES(1)
RECURRENT_TILES(2)
#if RECURRENT_ROWS >= 3
RECURRENT_TILES(3)
#endif
#if RECURRENT_ROWS >= 6
RECURRENT_TILES(4)
RECURRENT_TILES(5)
RECURRENT_TILES(6)
#endif

/// `sums[rows][vectors · VL] = start + x · panel`; at most RECURRENT_ROWS rows, 3 or 4 vectors.
static void recurrent_product(
    int rows, int vectors, ptrdiff_t depth, const float *const *x, const float *panel,
    const float *start, float *sums) {
#define CASE(ROWS)                                                                               \
  case ROWS:                                                                                     \
    (vectors == 3 ? recurrent_tile_##ROWS##_3 : recurrent_tile_##ROWS##_4)(                      \
        depth, x, panel, start, sums);                                                           \
    break;
  switch (rows) {
    CASE(1)
    CASE(2)
#if RECURRENT_ROWS >= 3
    CASE(3)
#endif
#if RECURRENT_ROWS >= 6
    CASE(4)
    CASE(5)
    CASE(6)
#endif
    default: break;
  }
#undef CASE
}

/// `panel[k][v · VL + l] = w[(v · v_step + l) · line + k · depth_step]`, zeros for `l` from `lanes[v]`.
static void recurrent_pack(
    int vectors, const ptrdiff_t *lanes, ptrdiff_t v_step, ptrdiff_t depth, const float *w,
    ptrdiff_t line, ptrdiff_t depth_step, float *panel) {
  for (int v = 0; v < vectors; v++) {
    const float *from = w + v * v_step * line;
    float *to = panel + v * VL;
    const ptrdiff_t n = lanes[v];
    ptrdiff_t k = 0;
    if (depth_step == 1)
      for (; k + VL <= depth; k += VL) {
        VF square[VL];
        for (int i = 0; i < VL; i++) square[i] = i < n ? load(from + i * line + k) : (VF)(0.0f);
        transpose_square(square);
        for (int i = 0; i < VL; i++) store(to + (k + i) * vectors * VL, square[i]);
      }
    for (; k < depth; k++) {
      float *row = to + k * vectors * VL;
      if (line == 1 && n == VL)
        store(row, load(from + k * depth_step));
      else
        for (ptrdiff_t i = 0; i < VL; i++) row[i] = i < n ? from[i * line + k * depth_step] : 0.0f;
    }
  }
}

static inline VF load_lanes(const float *p, ptrdiff_t n) {
  return n == VL ? load(p) : load_part(p, n, 0.0f);
}
static inline void store_lanes(float *p, VF v, ptrdiff_t n) {
  if (n == VL)
    store(p, v);
  else
    store_part(p, v, n);
}

// The nonlinearities of gates, with fewer operations than the functions of whole tensors: there are five
// of them for each unit of an LSTM beside a product of a few hundred elements.

/// 2ⁿ and eʳ - 1 for x = n ln 2 + r, where eˣ = 2ⁿ eʳ; reduction and polynomial as in `exp_f`. `x` is
/// limited to ±80, where the sigmoid is 0 or 1 and tanh ±1 within rounding.
static inline VF exp_parts(VF x, VF *power) {
  x = x > 80.0f ? (VF)(80.0f) : x;
  x = x < -80.0f ? (VF)(-80.0f) : x;
  const VF shifted = fma_f(x, (VF)(0x1.715476p+0f), (VF)(0x1.8p23f));
  const VF n = shifted - 0x1.8p23f;
  VF r = fma_f(n, (VF)(-0x1.62E4p-1f), x);
  r = fma_f(n, (VF)(-0x1.7F7D1Cp-20f), r);
  VF p = fma_f((VF)(1.98909808e-4f), r, (VF)(1.39336410e-3f));
  p = fma_f(p, r, (VF)(8.33331093e-3f));
  p = fma_f(p, r, (VF)(4.16664650e-2f));
  p = fma_f(p, r, (VF)(1.66666667e-1f));
  p = fma_f(p, r, (VF)(5.00000001e-1f));
  // The integer sits in the low bits and becomes an exponent.
  *power = from_bits((bits_of(shifted) << 23) + 0x3F800000);
  return fma_f(p * r, r, r);
}

/// A quotient within 1 ulp; a division would hold up the products around it.
static inline VF gate_quotient(VF a, VF b) {
#if VL == 16
  const VF r = (VF)_mm512_rcp14_ps((__m512)b), q = a * r;
  return fma_f(fma_f(-b, q, a), r, q);
#else
  return a / b;
#endif
}

static inline VF gate_sigmoid(VF x) {
  VF power;
  const VF p = exp_parts(-x, &power);
  return gate_quotient((VF)(1.0f), fma_f(power, p, power) + 1.0f);
}

/// (e²ˣ - 1) / (e²ˣ + 1), the difference without cancellation.
static inline VF gate_tanh(VF x) {
  VF power;
  const VF p = exp_parts(x + x, &power);
  const VF difference = fma_f(power, p, power - 1.0f);
  return gate_quotient(difference, difference + 2.0f);
}

static inline void store_saved(float *p, VF v, ptrdiff_t n, bool streams) {
  if (streams && n == VL && is_aligned(p))
    store_stream(p, v);
  else
    store_lanes(p, v, n);
}

/// The cell on the units `unit ..< unit + n` of the rows of a tile, at most a vector of each gate. The new
/// states wait for a second pass: what depends on one result would hold up the next row.
static inline __attribute__((always_inline)) void lstm_rows(
    const apus_recurrent_row *rows, int count, ptrdiff_t width, ptrdiff_t unit, ptrdiff_t n,
    const float *sums) {
  VF states[RECURRENT_ROWS], outputs[RECURRENT_ROWS];
  for (int row = 0; row < count; row++, sums += 4 * VL) {
    const float *gates = rows[row].gates + unit;
    const VF i = gate_sigmoid(load_lanes(gates, n) + load(sums));
    const VF f = gate_sigmoid(load_lanes(gates + width, n) + load(sums + VL));
    const VF g = gate_tanh(load_lanes(gates + 2 * width, n) + load(sums + 2 * VL));
    const VF o = gate_sigmoid(load_lanes(gates + 3 * width, n) + load(sums + 3 * VL));
    const VF c = fma_f(i, g, f * load_lanes(rows[row].c + unit, n));
    store_lanes(rows[row].c + unit, c, n);
    states[row] = c;
    outputs[row] = o;
    if (rows[row].saved) {
      float *saved = rows[row].saved + unit;
      const bool streams = rows[row].streams;
      store_saved(saved, i, n, streams);
      store_saved(saved + width, f, n, streams);
      store_saved(saved + 2 * width, g, n, streams);
      store_saved(saved + 3 * width, o, n, streams);
      store_saved(saved + 4 * width, c, n, streams);
    }
  }
  for (int row = 0; row < count; row++)
    store_lanes(rows[row].y + unit, outputs[row] * gate_tanh(states[row]), n);
}

static inline __attribute__((always_inline)) void gru_row(
    const apus_recurrent_row *row, ptrdiff_t width, ptrdiff_t unit, ptrdiff_t n, const float *sums) {
  const float *gates = row->gates + unit;
  const VF r = gate_sigmoid(load_lanes(gates, n) + load(sums));
  const VF z = gate_sigmoid(load_lanes(gates + width, n) + load(sums + VL));
  const VF product = load(sums + 2 * VL);
  const VF m = gate_tanh(fma_f(r, product, load_lanes(gates + 2 * width, n)));
  store_lanes(row->y + unit, fma_f(z, load_lanes(row->before + unit, n) - m, m), n);
  if (row->saved) {
    float *saved = row->saved + unit;
    store_saved(saved, r, n, row->streams);
    store_saved(saved + width, z, n, row->streams);
    store_saved(saved + 2 * width, m, n, row->streams);
    store_saved(saved + 3 * width, product, n, row->streams);
  }
}

/// `sums`: of the tile that `rows` are.
static void recurrent_cells(
    apus_cell cell, const apus_recurrent_row *rows, int count, ptrdiff_t width, ptrdiff_t unit,
    ptrdiff_t n, const float *sums) {
  // Whole vectors are worth a loop without a branch at each load.
  if (cell == APUS_LSTM)
    return n == VL ? lstm_rows(rows, count, width, unit, VL, sums)
                   : lstm_rows(rows, count, width, unit, n, sums);
  for (const apus_recurrent_row *row = rows; row < rows + count; row++) {
    if (cell == APUS_GRU) {
      n == VL ? gru_row(row, width, unit, VL, sums) : gru_row(row, width, unit, n, sums);
      sums += 3 * VL;
      continue;
    }
    for (ptrdiff_t i = 0; i < n; i += VL) {
      const ptrdiff_t here = n - i < VL ? n - i : VL;
      const VF x = load_lanes(row->gates + unit + i, here) + load(sums + i);
      const VF y = cell == APUS_RNN_TANH ? gate_tanh(x) : (x < 0.0f ? (VF)(0.0f) : x);
      store_lanes(row->y + unit + i, y, here);
    }
    sums += 4 * VL;
  }
}

static inline VF sigmoid_slope(VF y) { return fma_f(-y, y, y); }
static inline VF tanh_slope(VF y) { return fma_f(-y, y, (VF)(1.0f)); }

/// Stores the gradient of a gate and adds it to the row's sum over the steps.
static inline void store_gradient(
    float *dgates, float *sums, ptrdiff_t at, VF gradient, ptrdiff_t n) {
  store_lanes(dgates + at, gradient, n);
  if (sums) store_lanes(sums + at, load_lanes(sums + at, n) + gradient, n);
}

/// The gradients of the gates of `n` units; what the recurrent product will add to `dh` is left out.
static void recurrent_cell_backward(
    apus_cell cell, const apus_recurrent_gradient_row *row, ptrdiff_t width, ptrdiff_t first,
    ptrdiff_t count) {
  for (ptrdiff_t unit = first; unit < first + count; unit += VL) {
    const ptrdiff_t left = first + count - unit, n = left < VL ? left : VL;
    const VF total = load_lanes(row->dy + unit, n) + load_lanes(row->dh + unit, n);
    const VF before = load_lanes(row->before + unit, n);
    const float *saved = row->saved ? row->saved + unit : NULL;
    float *dgates = row->dgates + unit;
    float *sums = row->dbias ? row->dbias + unit : NULL;
    // The next row lies behind this one.
    const int gates = cell == APUS_LSTM ? 4 : cell == APUS_GRU ? 3 : 1;
    const int blocks = cell == APUS_LSTM ? 5 : cell == APUS_GRU ? 4 : 0;
    for (int b = 0; b < blocks; b++) __builtin_prefetch(saved + (blocks + b) * width);
    for (int b = 0; b < gates; b++) __builtin_prefetch(dgates + (gates + b) * width, 1);
    __builtin_prefetch(row->dy + unit + width);
    __builtin_prefetch(row->previous + unit + width, 1);
    if (cell == APUS_GRU) __builtin_prefetch(row->reset + unit + width, 1);
    store_lanes(row->previous + unit, before, n);
    if (cell == APUS_LSTM) {
      const VF i = load_lanes(saved, n), f = load_lanes(saved + width, n);
      const VF g = load_lanes(saved + 2 * width, n), o = load_lanes(saved + 3 * width, n);
      const VF t = gate_tanh(load_lanes(saved + 4 * width, n));
      const VF c = fma_f(total * o, tanh_slope(t), load_lanes(row->dc + unit, n));
      const VF state = load_lanes(row->c_before + unit, n);
      store_gradient(dgates, sums, 0, c * g * sigmoid_slope(i), n);
      store_gradient(dgates, sums, width, c * state * sigmoid_slope(f), n);
      store_gradient(dgates, sums, 2 * width, c * i * tanh_slope(g), n);
      store_gradient(dgates, sums, 3 * width, total * t * sigmoid_slope(o), n);
      store_lanes(row->dc + unit, c * f, n);
    } else if (cell == APUS_GRU) {
      const VF r = load_lanes(saved, n), z = load_lanes(saved + width, n);
      const VF m = load_lanes(saved + 2 * width, n);
      const VF dm = total * (1.0f - z) * tanh_slope(m);
      const VF dz = total * (before - m) * sigmoid_slope(z);
      const VF dr = dm * load_lanes(saved + 3 * width, n) * sigmoid_slope(r);
      float *products = row->products + unit;
      store_lanes(dgates, dr, n);
      store_lanes(dgates + width, dz, n);
      store_lanes(dgates + 2 * width, dm, n);
      store_gradient(products, sums, 0, dr, n);
      store_gradient(products, sums, width, dz, n);
      store_gradient(products, sums, 2 * width, dm * r, n);
      store_lanes(row->reset + unit, dm * r, n);
      store_lanes(row->dh + unit, total * z, n);
    } else {
      const VF y = load_lanes(row->y + unit, n);
      const VF d = cell == APUS_RNN_TANH ? total * tanh_slope(y) : (y > 0.0f ? total : (VF)(0.0f));
      store_gradient(dgates, sums, 0, d, n);
    }
  }
}
