// Depthwise convolution with stride 1 on planes (NCHW), read and written where they lie: vectors run
// along the rows of an image, and a channel's weights are broadcast. Vectors at the sides load only the
// lanes that lie inside; rows above and below are a row of zeros.
//
// Square windows of 3 and 5: R rows of output wait in registers while the R + K − 1 rows of input that
// they share go by, so that K loads serve up to K · R products:
//
//     input row t ──K shifted vectors──► out rows t − K + 1 … t         forward, input gradient
//     input row t ──K shifted vectors──► sums[i][j] += in · dy[t − i]   weight gradient
//
// Other windows load once for each product.

/// A vector of input from column `C` on, where all of it exists, and where perhaps not.
#define PLANAR_INNER(LINE, C) load((LINE) + (C))
#define PLANAR_SIDE(LINE, C) \
  load_span((LINE) + (C), (int32_t)(C), (int32_t)apus_fewer(in->width, apus_more((C) + here, 0)))
#define PLANAR_PART_IN(P) load_part(P, here, 0.0f)
#define PLANAR_PART_OUT(P, V) store_part(P, V, here)

static inline ptrdiff_t apus_fewer(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t apus_more(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

/// The row of input `y`, or zeros.
static inline const float *planar_line(const apus_plane *in, ptrdiff_t y) {
  return y >= 0 && y < in->height ? in->start + y * in->row : in->zeros;
}

/// Columns of output from which on whole vectors meet existing columns alone, and up to which.
static inline ptrdiff_t planar_first(const apus_window *taps) {
  return taps->first_x < 0 ? (-taps->first_x + VL - 1) / VL * VL : 0;
}
static inline ptrdiff_t planar_last(const apus_plane *in, const apus_window *taps, ptrdiff_t width) {
  return apus_fewer(width, in->width - taps->first_x - (taps->columns - 1) * taps->column);
}

/// `R` rows of one vector.
#define PLANAR_TILE(K, R, IN, LOAD, STORE_OUT)                                                    \
  {                                                                                               \
    VF acc[R];                                                                                    \
    FULLY_UNROLLED for (int r = 0; r < R; r++) acc[r] = bias;                                     \
    if (addend)                                                                                   \
      FULLY_UNROLLED for (int r = 0; r < R; r++) acc[r] += LOAD(addend + (y + r) * width + x);    \
    FULLY_UNROLLED for (int t = 0; t < R + K - 1; t++) {                                          \
      VF v[K];                                                                                    \
      FULLY_UNROLLED for (int j = 0; j < K; j++) v[j] = IN(lines[t], x + first_x + j);            \
      FULLY_UNROLLED for (int j = 0; j < K; j++)                                                  \
        FULLY_UNROLLED for (int i = 0; i < K; i++)                                                \
          if (t - i >= 0 && t - i < R) acc[t - i] = fma_f(v[j], held[i * K + j], acc[t - i]);     \
    }                                                                                             \
    FULLY_UNROLLED for (int r = 0; r < R; r++)                                                    \
      STORE_OUT(out + (y + r) * width + x, acc[r] < low ? low : acc[r]);                          \
  }

#define PLANAR_BLOCK(K, R)                                                                        \
  {                                                                                               \
    const float *lines[R + K - 1];                                                                \
    FULLY_UNROLLED for (int t = 0; t < R + K - 1; t++)                                            \
      lines[t] = planar_line(in, y + taps->first_y + t);                                          \
    for (ptrdiff_t x = 0; x < width; x += VL) {                                                   \
      const ptrdiff_t here = apus_fewer(width - x, VL);                                           \
      if (x >= begin && x + VL <= end) PLANAR_TILE(K, R, PLANAR_INNER, load, store)               \
      else PLANAR_TILE(K, R, PLANAR_SIDE, PLANAR_PART_IN, PLANAR_PART_OUT)                        \
    }                                                                                             \
  }

#define PLANAR_ROWS(K, R)                                                                         \
  static void planar_rows_##K(                                                                    \
      const apus_plane *in, const apus_window *taps, const float *w, const apus_ending *ending,     \
      float *out, ptrdiff_t rows, ptrdiff_t width) {                                              \
    const VF bias = (VF)(ending->bias ? ending->bias[0] : 0.0f);                                  \
    const float *const addend = ending->addend;                                                   \
    const VF low = (VF)(ending->relu ? 0.0f : -INFINITY);                                         \
    const ptrdiff_t first_x = taps->first_x;                                                      \
    const ptrdiff_t begin = planar_first(taps), end = planar_last(in, taps, width);               \
    VF held[K * K];                                                                               \
    FULLY_UNROLLED for (int i = 0; i < K * K; i++) held[i] = (VF)(w[i]);                          \
    ptrdiff_t y = 0;                                                                              \
    for (; y + R <= rows; y += R) PLANAR_BLOCK(K, R)                                              \
    for (; y < rows; y++) PLANAR_BLOCK(K, 1)                                                      \
  }
PLANAR_ROWS(3, 4)
PLANAR_ROWS(5, 4)

static bool planar_is_square(const apus_window *taps, ptrdiff_t size) {
  return taps->rows == size && taps->columns == size && taps->row == 1 && taps->column == 1;
}

/// `rows × width` of output, dense.
static void planar_rows(
    const apus_plane *in, const apus_window *taps, const float *w, const apus_ending *ending,
    float *out, ptrdiff_t rows, ptrdiff_t width) {
  if (planar_is_square(taps, 3)) return planar_rows_3(in, taps, w, ending, out, rows, width);
  if (planar_is_square(taps, 5)) return planar_rows_5(in, taps, w, ending, out, rows, width);
  for (ptrdiff_t y = 0; y < rows; y++)
    for (ptrdiff_t x = 0; x < width; x += VL) {
      const ptrdiff_t here = apus_fewer(width - x, VL);
      VF v = (VF)(ending->bias ? ending->bias[0] : 0.0f);
      for (ptrdiff_t i = 0; i < taps->rows; i++) {
        const ptrdiff_t at = y + taps->first_y + i * taps->row;
        if (at < 0 || at >= in->height) continue;
        for (ptrdiff_t j = 0; j < taps->columns; j++)
          v = fma_f(
              PLANAR_SIDE(in->start + at * in->row, x + taps->first_x + j * taps->column),
              (VF)(w[i * taps->columns + j]), v);
      }
      if (ending->addend) v += load_part(ending->addend + y * width + x, here, 0.0f);
      if (ending->relu) v = v < 0.0f ? (VF)(0.0f) : v;
      store_part(out + y * width + x, v, here);
    }
}

/// `R` rows of dy of one vector by the rows of input that they meet.
#define PLANAR_SUMS_TILE(K, R, IN, LOAD)                                                          \
  {                                                                                               \
    VF g[R];                                                                                      \
    FULLY_UNROLLED for (int r = 0; r < R; r++) {                                                  \
      g[r] = LOAD(dy + (y + r) * dy_row + x);                                                     \
      total += g[r];                                                                              \
    }                                                                                             \
    FULLY_UNROLLED for (int t = 0; t < R + K - 1; t++)                                            \
      FULLY_UNROLLED for (int j = 0; j < K; j++) {                                                \
        const VF v = IN(lines[t], x + first_x + j);                                               \
        FULLY_UNROLLED for (int i = 0; i < K; i++)                                                \
          if (t - i >= 0 && t - i < R) acc[i * K + j] = fma_f(v, g[t - i], acc[i * K + j]);       \
      }                                                                                           \
  }

#define PLANAR_SUMS_BLOCK(K, R)                                                                   \
  {                                                                                               \
    const float *lines[R + K - 1];                                                                \
    FULLY_UNROLLED for (int t = 0; t < R + K - 1; t++)                                            \
      lines[t] = planar_line(in, y + taps->first_y + t);                                          \
    for (ptrdiff_t x = 0; x < width; x += VL) {                                                   \
      const ptrdiff_t here = apus_fewer(width - x, VL);                                           \
      if (x >= begin && x + VL <= end) PLANAR_SUMS_TILE(K, R, PLANAR_INNER, load)                 \
      else PLANAR_SUMS_TILE(K, R, PLANAR_SIDE, PLANAR_PART_IN)                                    \
    }                                                                                             \
  }

#define PLANAR_SUMS(K, R)                                                                         \
  static void planar_sums_##K(                                                                    \
      const apus_plane *in, const apus_window *taps, const float *dy, ptrdiff_t dy_row,             \
      ptrdiff_t rows, ptrdiff_t width, float *sums) {                                             \
    const ptrdiff_t first_x = taps->first_x;                                                      \
    const ptrdiff_t begin = planar_first(taps), end = planar_last(in, taps, width);               \
    VF acc[K * K], total = (VF)(0.0f);                                                            \
    FULLY_UNROLLED for (int i = 0; i < K * K; i++) acc[i] = (VF)(0.0f);                           \
    ptrdiff_t y = 0;                                                                              \
    for (; y + R <= rows; y += R) PLANAR_SUMS_BLOCK(K, R)                                         \
    for (; y < rows; y++) PLANAR_SUMS_BLOCK(K, 1)                                                 \
    FULLY_UNROLLED for (int i = 0; i < K * K; i++) sums[i] = (float)lane_sum(acc[i]);             \
    sums[K * K] = (float)lane_sum(total);                                                         \
  }
PLANAR_SUMS(3, 4)
#if VL == 16
PLANAR_SUMS(5, 2)
#endif

/// `sums[tap] = Σ in · dy` over rows of dy; the sum of dy itself goes behind the taps.
static void planar_sums(
    const apus_plane *in, const apus_window *taps, const float *dy, ptrdiff_t dy_row,
    ptrdiff_t rows, ptrdiff_t width, float *sums) {
  if (planar_is_square(taps, 3)) return planar_sums_3(in, taps, dy, dy_row, rows, width, sums);
#if VL == 16
  if (planar_is_square(taps, 5)) return planar_sums_5(in, taps, dy, dy_row, rows, width, sums);
#endif
  const ptrdiff_t count = taps->rows * taps->columns;
  for (ptrdiff_t tap = 0; tap <= count; tap++) {
    const ptrdiff_t i = tap / taps->columns, j = tap % taps->columns;
    VF total = (VF)(0.0f);
    for (ptrdiff_t y = 0; y < rows; y++) {
      const float *line = planar_line(in, y + taps->first_y + i * taps->row);
      for (ptrdiff_t x = 0; x < width; x += VL) {
        const ptrdiff_t here = apus_fewer(width - x, VL);
        const VF g = load_part(dy + y * dy_row + x, here, 0.0f);
        if (tap == count)
          total += g;
        else
          total = fma_f(PLANAR_SIDE(line, x + taps->first_x + j * taps->column), g, total);
      }
    }
    sums[tap] = (float)lane_sum(total);
  }
}
