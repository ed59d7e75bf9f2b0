// Winograd's minimal filtering of tiles of 6 × 6 input pixels: F(4, 3) gives 4 × 4 outputs of a 3 × 3
// window, F(2, 5) 2 × 2 outputs of a 5 × 5 window, with 36 products in place of 144 or 100. Vectors run
// over channels; each function turns one tile.
//
// With interpolation points 0, ±a, ±b, ∞ the one-dimensional maps are
//
//     input      Bᵀ   rows: coefficients of Π_{q ≠ p} (x − q)
//     weights    G    rows: (1, p, p², …) / Π_{q ≠ p} (p − q)
//     output     Aᵀ   columns: (1, p, p², …)
//
// and y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A. The points (a, b) = (3/4, 3/2) are as exact in binary as the usual
// (1, 2), and err a third as much: relative to the root mean square of the result by at most 7e-6 (direct
// sums: 5e-6), in gradients of weights by 1.3e-5.
// Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016; on points: Barabasz et al.,
// "Error analysis and improving the accuracy of Winograd convolution", 2020.
#define POINT_A 0.75f
#define POINT_B 1.5f
#define A2 (POINT_A * POINT_A)
#define B2 (POINT_B * POINT_B)
#define NORM_0 (1.0f / (A2 * B2))
#define NORM_A (1.0f / (2.0f * A2 * (A2 - B2)))
#define NORM_B (1.0f / (2.0f * B2 * (B2 - A2)))
enum { SIDE = 6 };
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/// Bᵀ d.
ALWAYS_INLINE void input_points(const VF *d, int step, VF t[SIDE]) {
  const VF d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step];
  const VF d5 = d[5 * step];
  const VF even_a = fma_f((VF)(-B2), d2, d4), odd_a = POINT_A * fma_f((VF)(-B2), d1, d3);
  const VF even_b = fma_f((VF)(-A2), d2, d4), odd_b = POINT_B * fma_f((VF)(-A2), d1, d3);
  t[0] = fma_f((VF)(A2 * B2), d0, fma_f((VF)(-(A2 + B2)), d2, d4));
  t[1] = even_a + odd_a;
  t[2] = even_a - odd_a;
  t[3] = even_b + odd_b;
  t[4] = even_b - odd_b;
  t[5] = fma_f((VF)(A2 * B2), d1, fma_f((VF)(-(A2 + B2)), d3, d5));
}

/// Aᵀ t: `m` outputs.
ALWAYS_INLINE void output_points(const VF *t, int step, int m, VF *y) {
  const VF sum_a = t[step] + t[2 * step], difference_a = t[step] - t[2 * step];
  const VF sum_b = t[3 * step] + t[4 * step], difference_b = t[3 * step] - t[4 * step];
  y[0] = t[0] + (sum_a + sum_b);
  const VF first = fma_f((VF)(POINT_A), difference_a, POINT_B * difference_b);
  if (m == 2) {
    y[1] = first + t[5 * step];
    return;
  }
  y[1] = first;
  y[2] = fma_f((VF)(A2), sum_a, B2 * sum_b);
  y[3] = fma_f((VF)(A2 * POINT_A), difference_a, fma_f((VF)(B2 * POINT_B), difference_b, t[5 * step]));
}

/// G g of `r` weights.
ALWAYS_INLINE void weight_points(const VF *g, int step, int r, VF t[SIDE]) {
  VF even_a = fma_f((VF)(A2), g[2 * step], g[0]), odd_a = POINT_A * g[step];
  VF even_b = fma_f((VF)(B2), g[2 * step], g[0]), odd_b = POINT_B * g[step];
  if (r == 5) {
    even_a = fma_f((VF)(A2 * A2), g[4 * step], even_a);
    even_b = fma_f((VF)(B2 * B2), g[4 * step], even_b);
    odd_a = fma_f((VF)(A2 * POINT_A), g[3 * step], odd_a);
    odd_b = fma_f((VF)(B2 * POINT_B), g[3 * step], odd_b);
  }
  t[0] = NORM_0 * g[0];
  t[1] = NORM_A * (even_a + odd_a);
  t[2] = NORM_A * (even_a - odd_a);
  t[3] = NORM_B * (even_b + odd_b);
  t[4] = NORM_B * (even_b - odd_b);
  t[5] = g[(r - 1) * step];
}

/// A y: the adjoint of `output_points`.
ALWAYS_INLINE void output_adjoint(const VF *y, int step, int m, VF t[SIDE]) {
  VF even_a = y[0], even_b = y[0], odd_a = POINT_A * y[step], odd_b = POINT_B * y[step];
  if (m == 4) {
    even_a = fma_f((VF)(A2), y[2 * step], even_a);
    even_b = fma_f((VF)(B2), y[2 * step], even_b);
    odd_a = fma_f((VF)(A2 * POINT_A), y[3 * step], odd_a);
    odd_b = fma_f((VF)(B2 * POINT_B), y[3 * step], odd_b);
  }
  t[0] = y[0];
  t[1] = even_a + odd_a;
  t[2] = even_a - odd_a;
  t[3] = even_b + odd_b;
  t[4] = even_b - odd_b;
  t[5] = y[(m - 1) * step];
}

/// Gᵀ t: the adjoint of `weight_points`.
ALWAYS_INLINE void weight_adjoint(const VF *t, int step, int r, VF *g) {
  const VF sum_a = NORM_A * (t[step] + t[2 * step]), odd_a = NORM_A * (t[step] - t[2 * step]);
  const VF sum_b = NORM_B * (t[3 * step] + t[4 * step]), odd_b = NORM_B * (t[3 * step] - t[4 * step]);
  g[0] = fma_f((VF)(NORM_0), t[0], sum_a + sum_b);
  g[1] = fma_f((VF)(POINT_A), odd_a, POINT_B * odd_b);
  const VF second = fma_f((VF)(A2), sum_a, B2 * sum_b);
  if (r == 3) {
    g[2] = second + t[5 * step];
    return;
  }
  g[2] = second;
  g[3] = fma_f((VF)(A2 * POINT_A), odd_a, B2 * POINT_B * odd_b);
  g[4] = fma_f((VF)(A2 * A2), sum_a, fma_f((VF)(B2 * B2), sum_b, t[5 * step]));
}

/// `to[position][c]` of a tile whose 36 pixels are given, positions `step` floats apart.
static void winograd_input(
    const float *const *pixels, ptrdiff_t channels, float *to, ptrdiff_t step) {
  for (ptrdiff_t c = 0; c < channels; c += VL) {
    const ptrdiff_t here = channels - c < VL ? channels - c : VL;
    VF half[SIDE * SIDE], t[SIDE];
    for (int j = 0; j < SIDE; j++) {
      VF d[SIDE];
      if (here == VL)
        FULLY_UNROLLED for (int i = 0; i < SIDE; i++) d[i] = load(pixels[i * SIDE + j] + c);
      else
        for (int i = 0; i < SIDE; i++) d[i] = load_part(pixels[i * SIDE + j] + c, here, 0.0f);
      input_points(d, 1, t);
      FULLY_UNROLLED for (int i = 0; i < SIDE; i++) half[i * SIDE + j] = t[i];
    }
    float *out = to + c;
    for (int i = 0; i < SIDE; i++) {
      input_points(half + i * SIDE, 1, t);
      if (here == VL)
        FULLY_UNROLLED for (int j = 0; j < SIDE; j++) store(out + j * step, t[j]);
      else
        for (int j = 0; j < SIDE; j++) store_part(out + j * step, t[j], here);
      out += SIDE * step;
    }
  }
}

ALWAYS_INLINE void output_tile(
    int m, const float *from, ptrdiff_t step, ptrdiff_t channels, const apus_ending *ending,
    float *out, ptrdiff_t row, ptrdiff_t pixel, ptrdiff_t rows, ptrdiff_t columns) {
  for (ptrdiff_t c = 0; c < channels; c += VL) {
    const ptrdiff_t here = channels - c < VL ? channels - c : VL;
    VF half[4 * SIDE], y[4];
    for (int j = 0; j < SIDE; j++) {
      VF t[SIDE];
      if (here == VL)
        FULLY_UNROLLED for (int i = 0; i < SIDE; i++) t[i] = load(from + (i * SIDE + j) * step + c);
      else
        for (int i = 0; i < SIDE; i++) t[i] = load_part(from + (i * SIDE + j) * step + c, here, 0.0f);
      output_points(t, 1, m, y);
      FULLY_UNROLLED for (int i = 0; i < m; i++) half[i * SIDE + j] = y[i];
    }
    VF bias = (VF)(0.0f);
    if (ending->bias) bias = here == VL ? load(ending->bias + c) : load_part(ending->bias + c, here, 0.0f);
    FULLY_UNROLLED for (int i = 0; i < m; i++) {
      if (i >= rows) break;
      output_points(half + i * SIDE, 1, m, y);
      FULLY_UNROLLED for (int j = 0; j < m; j++) {
        if (j >= columns) break;
        const ptrdiff_t at = i * row + j * pixel + c;
        VF v = y[j] + bias;
        if (ending->addend)
          v += here == VL ? load(ending->addend + at) : load_part(ending->addend + at, here, 0.0f);
        if (ending->relu) v = v < 0.0f ? (VF)(0.0f) : v;
        if (here == VL)
          store(out + at, v);
        else
          store_part(out + at, v, here);
      }
    }
  }
}

/// The outputs of a tile, of which `rows × columns` exist.
static void winograd_output(
    int m, const float *from, ptrdiff_t step, ptrdiff_t channels, const apus_ending *ending,
    float *out, ptrdiff_t row, ptrdiff_t pixel, ptrdiff_t rows, ptrdiff_t columns) {
  if (m == 4)
    output_tile(4, from, step, channels, ending, out, row, pixel, rows, columns);
  else
    output_tile(2, from, step, channels, ending, out, row, pixel, rows, columns);
}

ALWAYS_INLINE void weight_tile(int r, const float *from, ptrdiff_t tap, float *to, ptrdiff_t step) {
  for (int c = 0; c < NR; c += VL) {
    VF half[SIDE * 5], t[SIDE];
    for (int j = 0; j < r; j++) {
      VF g[5];
      FULLY_UNROLLED for (int i = 0; i < r; i++) g[i] = load(from + (i * r + j) * tap + c);
      weight_points(g, 1, r, t);
      FULLY_UNROLLED for (int i = 0; i < SIDE; i++) half[i * 5 + j] = t[i];
    }
    for (int i = 0; i < SIDE; i++) {
      weight_points(half + i * 5, 1, r, t);
      FULLY_UNROLLED for (int j = 0; j < SIDE; j++) store(to + (i * SIDE + j) * step + c, t[j]);
    }
  }
}

/// NR filters of one channel; taps `tap` floats apart become positions `step` floats apart.
static void winograd_weight(int r, const float *from, ptrdiff_t tap, float *to, ptrdiff_t step) {
  if (r == 3)
    weight_tile(3, from, tap, to, step);
  else
    weight_tile(5, from, tap, to, step);
}

ALWAYS_INLINE void gradient_tile(
    int m, const float *const *pixels, ptrdiff_t channels, float *to, ptrdiff_t step, float *sum) {
  for (ptrdiff_t c = 0; c < NR; c += VL) {
    const ptrdiff_t left = channels - c, here = left < 0 ? 0 : left < VL ? left : VL;
    VF half[SIDE * 4], t[SIDE], total = (VF)(0.0f);
    if (here == 0) {
      for (int i = 0; i < SIDE * SIDE; i++) store(to + i * step + c, total);
      continue;
    }
    for (int j = 0; j < m; j++) {
      VF y[4];
      FULLY_UNROLLED for (int i = 0; i < m; i++) {
        const float *p = pixels[i * m + j] + c;
        y[i] = here == VL ? load(p) : load_part(p, here, 0.0f);
        total += y[i];
      }
      output_adjoint(y, 1, m, t);
      FULLY_UNROLLED for (int i = 0; i < SIDE; i++) half[i * 4 + j] = t[i];
    }
    for (int i = 0; i < SIDE; i++) {
      output_adjoint(half + i * 4, 1, m, t);
      FULLY_UNROLLED for (int j = 0; j < SIDE; j++) store(to + (i * SIDE + j) * step + c, t[j]);
    }
    if (sum) store_part(sum + c, load_part(sum + c, here, 0.0f) + total, here);
  }
}

/// At most NR channels of a tile of `dy`, its m × m pixels given; their sums are added to `sum`.
static void winograd_gradient(
    int m, const float *const *pixels, ptrdiff_t channels, float *to, ptrdiff_t step, float *sum) {
  if (m == 4)
    gradient_tile(4, pixels, channels, to, step, sum);
  else
    gradient_tile(2, pixels, channels, to, step, sum);
}

ALWAYS_INLINE void weight_adjoint_tile(int r, const float *from, ptrdiff_t step, float *to) {
  for (int c = 0; c < NR; c += VL) {
    VF half[5 * SIDE], g[5];
    for (int j = 0; j < SIDE; j++) {
      VF t[SIDE];
      FULLY_UNROLLED for (int i = 0; i < SIDE; i++) t[i] = load(from + (i * SIDE + j) * step + c);
      weight_adjoint(t, 1, r, g);
      FULLY_UNROLLED for (int i = 0; i < r; i++) half[i * SIDE + j] = g[i];
    }
    for (int i = 0; i < r; i++) {
      weight_adjoint(half + i * SIDE, 1, r, g);
      FULLY_UNROLLED for (int j = 0; j < r; j++) store(to + (i * r + j) * NR + c, g[j]);
    }
  }
}

/// Back from positions to taps `[r · r][NR]`.
static void winograd_weight_gradient(int r, const float *from, ptrdiff_t step, float *to) {
  if (r == 3)
    weight_adjoint_tile(3, from, step, to);
  else
    weight_adjoint_tile(5, from, step, to);
}
