// Depthwise convolution: every channel has a window of its own, so vectors run over channels and
// nothing is broadcast. A tile is 8 neighbouring pixels of one vector of channels; a tap costs one load
// of weights and a fused product for each pixel straight from memory.
enum { DEPTHWISE_PIXELS = 8 };

#define DEPTHWISE_TILE(P, LOAD_X, LOAD_W, STORE_OUT)                                              \
  {                                                                                               \
    VF acc[P];                                                                                    \
    const VF start = ending->bias ? LOAD_W(ending->bias + c) : (VF)(0.0f);                        \
    FULLY_UNROLLED for (int p = 0; p < P; p++) acc[p] = start;                                    \
    const float *tap = w + c;                                                                     \
    for (ptrdiff_t r = 0; r < runs->rows; r++)                                                    \
      for (ptrdiff_t s = 0; s < runs->columns; s++, tap += channels) {                            \
        const VF weight = LOAD_W(tap);                                                            \
        const float *from = x + r * runs->row + s * runs->column + first * runs->pixel + c;       \
        FULLY_UNROLLED for (int p = 0; p < P; p++)                                                \
          acc[p] = fma_f(LOAD_X(from + p * runs->pixel), weight, acc[p]);                         \
      }                                                                                           \
    FULLY_UNROLLED for (int p = 0; p < P; p++) {                                                  \
      VF v = acc[p];                                                                              \
      if (ending->addend) v += LOAD_X(ending->addend + (first + p) * step + c);                   \
      if (ending->relu) v = v < 0.0f ? (VF)(0.0f) : v;                                            \
      STORE_OUT(out + (first + p) * step + c, v);                                                 \
    }                                                                                             \
  }

/// A row of output pixels, all channels; weights `[taps][channels]`.
static void depthwise_row(
    const apus_runs *runs, const float *x, ptrdiff_t pixels, const float *w, ptrdiff_t channels,
    const apus_ending *ending, float *out, ptrdiff_t step) {
#define PART_IN(P) load_part(P, here, 0.0f)
#define PART_OUT(P, V) store_part(P, V, here)
  ptrdiff_t first = 0;
  for (; first + DEPTHWISE_PIXELS <= pixels; first += DEPTHWISE_PIXELS) {
    ptrdiff_t c = 0;
    for (; c + VL <= channels; c += VL) DEPTHWISE_TILE(DEPTHWISE_PIXELS, load, load, store)
    const ptrdiff_t here = channels - c;
    if (here > 0) DEPTHWISE_TILE(DEPTHWISE_PIXELS, PART_IN, PART_IN, PART_OUT)
  }
  for (; first < pixels; first++) {
    ptrdiff_t c = 0;
    for (; c + VL <= channels; c += VL) DEPTHWISE_TILE(1, load, load, store)
    const ptrdiff_t here = channels - c;
    if (here > 0) DEPTHWISE_TILE(1, PART_IN, PART_IN, PART_OUT)
  }
#undef PART_IN
#undef PART_OUT
}

/// `sums[s][c] += Σ_pixels x[pixel · pixel_step + s · column + c] · dy[pixel][c]`, TAPS taps of one row.
#define DEPTHWISE_GRADIENT(TAPS)                                                                  \
  static void depthwise_gradient_##TAPS(                                                          \
      const float *x, ptrdiff_t pixel, ptrdiff_t column, ptrdiff_t pixels, const float *dy,       \
      ptrdiff_t channels, float *sums) {                                                          \
    for (ptrdiff_t c = 0; c < channels; c += VL) {                                                \
      const ptrdiff_t here = channels - c < VL ? channels - c : VL;                               \
      VF acc[TAPS];                                                                               \
      FULLY_UNROLLED for (int s = 0; s < TAPS; s++) acc[s] = (VF)(0.0f);                          \
      if (here == VL) {                                                                           \
        for (ptrdiff_t p = 0; p < pixels; p++) {                                                  \
          const VF g = load(dy + p * channels + c);                                               \
          FULLY_UNROLLED for (int s = 0; s < TAPS; s++)                                           \
            acc[s] = fma_f(load(x + p * pixel + s * column + c), g, acc[s]);                      \
        }                                                                                         \
        FULLY_UNROLLED for (int s = 0; s < TAPS; s++)                                             \
          store(sums + s * channels + c, load(sums + s * channels + c) + acc[s]);                 \
      } else {                                                                                    \
        for (ptrdiff_t p = 0; p < pixels; p++) {                                                  \
          const VF g = load_part(dy + p * channels + c, here, 0.0f);                              \
          FULLY_UNROLLED for (int s = 0; s < TAPS; s++)                                           \
            acc[s] = fma_f(load_part(x + p * pixel + s * column + c, here, 0.0f), g, acc[s]);     \
        }                                                                                         \
        FULLY_UNROLLED for (int s = 0; s < TAPS; s++) {                                           \
          float *to = sums + s * channels + c;                                                    \
          store_part(to, load_part(to, here, 0.0f) + acc[s], here);                               \
        }                                                                                         \
      }                                                                                           \
    }                                                                                             \
  }
DEPTHWISE_GRADIENT(1)
DEPTHWISE_GRADIENT(2)
DEPTHWISE_GRADIENT(3)
DEPTHWISE_GRADIENT(4)
DEPTHWISE_GRADIENT(5)

/// All `taps` of one row of windows.
static void depthwise_gradient(
    const float *x, ptrdiff_t pixel, ptrdiff_t column, ptrdiff_t taps, ptrdiff_t pixels,
    const float *dy, ptrdiff_t channels, float *sums) {
  static void (*const loops[])(
      const float *, ptrdiff_t, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, float *) = {
      depthwise_gradient_1, depthwise_gradient_2, depthwise_gradient_3, depthwise_gradient_4,
      depthwise_gradient_5};
  for (ptrdiff_t s = 0; s < taps; s += 5)
    loops[(taps - s < 5 ? taps - s : 5) - 1](
        x + s * column, pixel, column, pixels, dy, channels, sums + s * channels);
}
