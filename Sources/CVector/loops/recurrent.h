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

/// The cell on the units `unit ..< unit + n` of a row, at most a vector of each gate.
static inline void lstm_row(
    const apus_recurrent_row *row, ptrdiff_t width, ptrdiff_t unit, ptrdiff_t n, const float *sums) {
  const float *gates = row->gates + unit;
  const VF i = sigmoid_f(load_lanes(gates, n) + load(sums));
  const VF f = sigmoid_f(load_lanes(gates + width, n) + load(sums + VL));
  const VF g = tanh_f(load_lanes(gates + 2 * width, n) + load(sums + 2 * VL));
  const VF o = sigmoid_f(load_lanes(gates + 3 * width, n) + load(sums + 3 * VL));
  const VF c = fma_f(i, g, f * load_lanes(row->c + unit, n));
  store_lanes(row->c + unit, c, n);
  store_lanes(row->y + unit, o * tanh_f(c), n);
  if (row->saved) {
    float *saved = row->saved + unit;
    store_lanes(saved, i, n);
    store_lanes(saved + width, f, n);
    store_lanes(saved + 2 * width, g, n);
    store_lanes(saved + 3 * width, o, n);
    store_lanes(saved + 4 * width, c, n);
  }
}

static inline void gru_row(
    const apus_recurrent_row *row, ptrdiff_t width, ptrdiff_t unit, ptrdiff_t n, const float *sums) {
  const float *gates = row->gates + unit;
  const VF r = sigmoid_f(load_lanes(gates, n) + load(sums));
  const VF z = sigmoid_f(load_lanes(gates + width, n) + load(sums + VL));
  const VF product = load(sums + 2 * VL);
  const VF m = tanh_f(fma_f(r, product, load_lanes(gates + 2 * width, n)));
  store_lanes(row->y + unit, fma_f(z, load_lanes(row->before + unit, n) - m, m), n);
  if (row->saved) {
    float *saved = row->saved + unit;
    store_lanes(saved, r, n);
    store_lanes(saved + width, z, n);
    store_lanes(saved + 2 * width, m, n);
    store_lanes(saved + 3 * width, product, n);
  }
}

static void recurrent_cell(
    apus_cell cell, const apus_recurrent_row *row, ptrdiff_t width, ptrdiff_t unit, ptrdiff_t n,
    const float *sums) {
  switch (cell) {
    case APUS_LSTM: lstm_row(row, width, unit, n, sums); break;
    case APUS_GRU: gru_row(row, width, unit, n, sums); break;
    default:
      for (ptrdiff_t i = 0; i < n; i += VL) {
        const ptrdiff_t here = n - i < VL ? n - i : VL;
        const VF x = load_lanes(row->gates + unit + i, here) + load(sums + i);
        const VF y = cell == APUS_RNN_TANH ? tanh_f(x) : (x < 0.0f ? (VF)(0.0f) : x);
        store_lanes(row->y + unit + i, y, here);
      }
  }
}

static inline VF sigmoid_slope(VF y) { return fma_f(-y, y, y); }
static inline VF tanh_slope(VF y) { return fma_f(-y, y, (VF)(1.0f)); }

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
    store_lanes(row->previous + unit, before, n);
    if (cell == APUS_LSTM) {
      const VF i = load_lanes(saved, n), f = load_lanes(saved + width, n);
      const VF g = load_lanes(saved + 2 * width, n), o = load_lanes(saved + 3 * width, n);
      const VF t = tanh_f(load_lanes(saved + 4 * width, n));
      const VF c = fma_f(total * o, tanh_slope(t), load_lanes(row->dc + unit, n));
      store_lanes(dgates, c * g * sigmoid_slope(i), n);
      store_lanes(
          dgates + width, c * load_lanes(row->c_before + unit, n) * sigmoid_slope(f), n);
      store_lanes(dgates + 2 * width, c * i * tanh_slope(g), n);
      store_lanes(dgates + 3 * width, total * t * sigmoid_slope(o), n);
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
      store_lanes(products, dr, n);
      store_lanes(products + width, dz, n);
      store_lanes(products + 2 * width, dm * r, n);
      store_lanes(row->dh + unit, total * z, n);
    } else {
      const VF y = load_lanes(row->y + unit, n);
      const VF d = cell == APUS_RNN_TANH ? total * tanh_slope(y) : (y > 0.0f ? total : (VF)(0.0f));
      store_lanes(dgates, d, n);
    }
  }
}
