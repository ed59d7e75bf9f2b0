// Batch normalisation over rows of channels (NHWC): a vector of channels at a time runs down a block of
// rows that stays in the cache.

/// Runs BODY for each vector of channels, with `here` lanes and loads and stores of that many.
#define EACH_CHANNELS(BODY)                                     \
  for (ptrdiff_t c = 0; c < channels; c += VL) {                \
    const ptrdiff_t here = channels - c < VL ? channels - c : VL; \
    if (here == VL)                                             \
      BODY(load, store)                                         \
    else                                                        \
      BODY(LOAD_HERE, STORE_HERE)                               \
  }
#define LOAD_HERE(P) load_part(P, here, 0.0f)
#define STORE_HERE(P, V) store_part(P, V, here)

/// Mean of the rows, and the sum of squares about it.
static void channel_moments(
    const float *x, ptrdiff_t rows, ptrdiff_t channels, float *mean, float *squares) {
#define BODY(LOAD, STORE)                                       \
  {                                                             \
    const float *from = x + c;                                  \
    VF s0 = (VF)(0.0f), s1 = s0, s2 = s0, s3 = s0;              \
    ptrdiff_t r = 0;                                            \
    for (; r + 4 <= rows; r += 4) {                             \
      s0 += LOAD(from + r * channels);                          \
      s1 += LOAD(from + (r + 1) * channels);                    \
      s2 += LOAD(from + (r + 2) * channels);                    \
      s3 += LOAD(from + (r + 3) * channels);                    \
    }                                                           \
    for (; r < rows; r++) s0 += LOAD(from + r * channels);      \
    const VF m = ((s0 + s1) + (s2 + s3)) / (float)rows;         \
    s0 = s1 = s2 = s3 = (VF)(0.0f);                             \
    for (r = 0; r + 4 <= rows; r += 4) {                        \
      const VF d0 = LOAD(from + r * channels) - m;              \
      const VF d1 = LOAD(from + (r + 1) * channels) - m;        \
      const VF d2 = LOAD(from + (r + 2) * channels) - m;        \
      const VF d3 = LOAD(from + (r + 3) * channels) - m;        \
      s0 = fma_f(d0, d0, s0);                                   \
      s1 = fma_f(d1, d1, s1);                                   \
      s2 = fma_f(d2, d2, s2);                                   \
      s3 = fma_f(d3, d3, s3);                                   \
    }                                                           \
    for (; r < rows; r++) {                                     \
      const VF d = LOAD(from + r * channels) - m;               \
      s0 = fma_f(d, d, s0);                                     \
    }                                                           \
    STORE(mean + c, m);                                         \
    STORE(squares + c, (s0 + s1) + (s2 + s3));                  \
  }
  EACH_CHANNELS(BODY)
#undef BODY
}

/// `y = (x − mean) · scale + shift + addend`, ReLU where asked for; `shift` and `addend` may be NULL.
static void channel_affine(
    const float *x, ptrdiff_t rows, ptrdiff_t channels, const float *mean, const float *scale,
    const float *shift, const float *addend, bool relu, float *y) {
#define BODY(LOAD, STORE)                                       \
  {                                                             \
    const VF m = LOAD(mean + c), s = LOAD(scale + c);           \
    const VF b = shift ? LOAD(shift + c) : (VF)(0.0f);          \
    for (ptrdiff_t r = 0; r < rows; r++) {                      \
      const ptrdiff_t at = r * channels + c;                    \
      VF v = fma_f(LOAD(x + at) - m, s, b);                     \
      if (addend) v += LOAD(addend + at);                       \
      if (relu) v = v < 0.0f ? (VF)(0.0f) : v;                  \
      STORE(y + at, v);                                         \
    }                                                           \
  }
  EACH_CHANNELS(BODY)
#undef BODY
}

/// Sums of `dz` and of `dz · (x − mean)`, where `dz` is `dy` or, with `y`, what of it passes a ReLU.
static void channel_gradient_sums(
    const float *x, const float *y, const float *dy, ptrdiff_t rows, ptrdiff_t channels,
    const float *mean, float *sums, float *products) {
#define BODY(LOAD, STORE)                                       \
  {                                                             \
    const VF m = LOAD(mean + c);                                \
    VF s0 = (VF)(0.0f), s1 = s0, p0 = s0, p1 = s0;              \
    ptrdiff_t r = 0;                                            \
    for (; r + 2 <= rows; r += 2) {                             \
      const ptrdiff_t at = r * channels + c, next = at + channels; \
      VF g0 = LOAD(dy + at), g1 = LOAD(dy + next);              \
      if (y) {                                                  \
        g0 = LOAD(y + at) > 0.0f ? g0 : (VF)(0.0f);             \
        g1 = LOAD(y + next) > 0.0f ? g1 : (VF)(0.0f);           \
      }                                                         \
      s0 += g0;                                                 \
      s1 += g1;                                                 \
      p0 = fma_f(g0, LOAD(x + at) - m, p0);                     \
      p1 = fma_f(g1, LOAD(x + next) - m, p1);                   \
    }                                                           \
    if (r < rows) {                                             \
      const ptrdiff_t at = r * channels + c;                    \
      VF g = LOAD(dy + at);                                     \
      if (y) g = LOAD(y + at) > 0.0f ? g : (VF)(0.0f);          \
      s0 += g;                                                  \
      p0 = fma_f(g, LOAD(x + at) - m, p0);                      \
    }                                                           \
    STORE(sums + c, s0 + s1);                                   \
    STORE(products + c, p0 + p1);                               \
  }
  EACH_CHANNELS(BODY)
#undef BODY
}

/// `dx = (dz − mean_dz − (x − mean) · slope) · scale`, and `dz` itself where wanted.
static void channel_gradient(
    const float *x, const float *y, const float *dy, ptrdiff_t rows, ptrdiff_t channels,
    const float *mean, const float *scale, const float *mean_dz, const float *slope, float *dx,
    float *dz) {
#define BODY(LOAD, STORE)                                       \
  {                                                             \
    const VF m = LOAD(mean + c), s = LOAD(scale + c);           \
    const VF g_mean = LOAD(mean_dz + c), k = LOAD(slope + c);   \
    for (ptrdiff_t r = 0; r < rows; r++) {                      \
      const ptrdiff_t at = r * channels + c;                    \
      VF g = LOAD(dy + at);                                     \
      if (y) g = LOAD(y + at) > 0.0f ? g : (VF)(0.0f);          \
      if (dz) STORE(dz + at, g);                                \
      STORE(dx + at, fma_f(m - LOAD(x + at), k, g - g_mean) * s); \
    }                                                           \
  }
  EACH_CHANNELS(BODY)
#undef BODY
}
#undef EACH_CHANNELS
#undef LOAD_HERE
#undef STORE_HERE
