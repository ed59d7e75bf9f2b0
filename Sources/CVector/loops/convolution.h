// Convolution in registers, on pixels whose channels lie next to each other (NHWC).
//
// Forward: a tile of up to PIXELS neighbouring output pixels by two vectors of filters stays in
// accumulators while it runs over the window. Nothing is gathered: a row of the window is a run of
// `taps · channels` floats in memory, which starts `pixel` floats later for the next output pixel.
//
//     x        run of pixel p: x[p · pixel + i]  ──broadcast──┐
//     weights  [run][i][NR filters]              ──2 vectors──┴─ fma → acc[p][2], stored once
//
// Weight gradient: the same tile turned over. Up to PIXELS neighbouring floats of a run by two vectors
// of filters are summed over all output pixels of a block:
//
//     acc[i][2] += x[pixel · step + i] · dy[pixel][NR filters]
//
// After Georganas et al., "Anatomy of high-performance deep learning convolutions on SIMD
// architectures", 2018.
#define PIXELS MR

/// Four pointers three pixels apart reach twelve pixels by scaled index registers.
#define AT(P) (q[(P) / 3] + ((P) % 3) * runs->pixel)

#define CONVOLUTION_TILE(P, V)                                                                    \
  static void convolve_##P##_##V(                                                                 \
      const apus_runs *runs, const float *x, const float *restrict w,                             \
      const apus_ending *ending, float *out, ptrdiff_t step, ptrdiff_t columns) {                 \
    VF acc[P][V];                                                                                 \
    FULLY_UNROLLED for (int p = 0; p < P; p++)                                                    \
      FULLY_UNROLLED for (int j = 0; j < V; j++) acc[p][j] = (VF)(0.0f);                          \
    for (ptrdiff_t r = 0; r < runs->rows; r++)                                                    \
      for (ptrdiff_t s = 0; s < runs->columns; s++) {                                             \
        const float *q[(P + 2) / 3];                                                              \
        FULLY_UNROLLED for (int g = 0; g < (P + 2) / 3; g++)                                      \
          q[g] = x + r * runs->row + s * runs->column + 3 * g * runs->pixel;                      \
        for (ptrdiff_t i = 0; i < runs->length; i++) {                                            \
          VF row[V];                                                                              \
          FULLY_UNROLLED for (int j = 0; j < V; j++) row[j] = load(w + j * VL);                   \
          FULLY_UNROLLED for (int p = 0; p < P; p++) {                                            \
            const VF scalar = (VF)(*AT(p));                                                       \
            FULLY_UNROLLED for (int j = 0; j < V; j++)                                            \
              acc[p][j] = fma_f(scalar, row[j], acc[p][j]);                                       \
          }                                                                                       \
          FULLY_UNROLLED for (int g = 0; g < (P + 2) / 3; g++) q[g]++;                            \
          w += NR;                                                                                \
        }                                                                                         \
      }                                                                                           \
    FULLY_UNROLLED for (int j = 0; j < V; j++) {                                                  \
      const ptrdiff_t here = columns - j * VL < VL ? columns - j * VL : VL;                       \
      if (here <= 0) break;                                                                       \
      VF bias = (VF)(0.0f);                                                                       \
      if (ending->bias)                                                                           \
        bias = here == VL ? load(ending->bias + j * VL)                                           \
                          : load_part(ending->bias + j * VL, here, 0.0f);                         \
      FULLY_UNROLLED for (int p = 0; p < P; p++) {                                                \
        VF v = acc[p][j] + bias;                                                                  \
        if (ending->addend) {                                                                     \
          const float *a = ending->addend + p * step + j * VL;                                    \
          v += here == VL ? load(a) : load_part(a, here, 0.0f);                                   \
        }                                                                                         \
        if (ending->relu) v = v < 0.0f ? (VF)(0.0f) : v;                                          \
        if (here == VL)                                                                           \
          store(out + p * step + j * VL, v);                                                      \
        else                                                                                      \
          store_part(out + p * step + j * VL, v, here);                                           \
      }                                                                                           \
    }                                                                                             \
  }

/// `c[P][NR] = held + Σ x · dy` over the pixels of a block; `c` keeps rows of NR floats.
#define GRADIENT_TILE(P, V)                                                                       \
  static void gradient_##P##_##V(                                                                 \
      const apus_pixels *pixels, const float *x, const float *restrict dy, float *c, bool adds) { \
    VF acc[P][V];                                                                                 \
    FULLY_UNROLLED for (int i = 0; i < P; i++)                                                    \
      FULLY_UNROLLED for (int j = 0; j < V; j++) acc[i][j] = (VF)(0.0f);                          \
    for (ptrdiff_t image = 0; image < pixels->images; image++)                                    \
      for (ptrdiff_t r = 0; r < pixels->rows; r++) {                                              \
        const float *q = x + image * pixels->image + r * pixels->row;                             \
        for (ptrdiff_t s = 0; s < pixels->columns; s++) {                                         \
          VF row[V];                                                                              \
          FULLY_UNROLLED for (int j = 0; j < V; j++) row[j] = load(dy + j * VL);                  \
          FULLY_UNROLLED for (int i = 0; i < P; i++) {                                            \
            const VF scalar = (VF)(q[i]);                                                         \
            FULLY_UNROLLED for (int j = 0; j < V; j++)                                            \
              acc[i][j] = fma_f(scalar, row[j], acc[i][j]);                                       \
          }                                                                                       \
          q += pixels->pixel;                                                                     \
          dy += NR;                                                                               \
        }                                                                                         \
      }                                                                                           \
    FULLY_UNROLLED for (int i = 0; i < P; i++)                                                    \
      FULLY_UNROLLED for (int j = 0; j < V; j++) {                                                \
        float *to = c + i * NR + j * VL;                                                          \
        store(to, adds ? load(to) + acc[i][j] : acc[i][j]);                                       \
      }                                                                                           \
  }

#define CONVOLUTION_TILES(P)                                                                      \
  CONVOLUTION_TILE(P, 1) CONVOLUTION_TILE(P, 2) GRADIENT_TILE(P, 1) GRADIENT_TILE(P, 2)
CONVOLUTION_TILES(1)
CONVOLUTION_TILES(2)
CONVOLUTION_TILES(3)
CONVOLUTION_TILES(4)
#if VL >= 8
CONVOLUTION_TILES(5)
CONVOLUTION_TILES(6)
#endif
#if VL == 16
CONVOLUTION_TILES(7)
CONVOLUTION_TILES(8)
CONVOLUTION_TILES(9)
CONVOLUTION_TILES(10)
CONVOLUTION_TILES(11)
CONVOLUTION_TILES(12)
#endif

#if VL == 16
#define ALL_TILES(NAME, V)                                                                        \
  {NAME##_1_##V, NAME##_2_##V, NAME##_3_##V, NAME##_4_##V,  NAME##_5_##V,  NAME##_6_##V,          \
   NAME##_7_##V, NAME##_8_##V, NAME##_9_##V, NAME##_10_##V, NAME##_11_##V, NAME##_12_##V}
#elif VL == 8
#define ALL_TILES(NAME, V)                                                                        \
  {NAME##_1_##V, NAME##_2_##V, NAME##_3_##V, NAME##_4_##V, NAME##_5_##V, NAME##_6_##V}
#else
#define ALL_TILES(NAME, V) {NAME##_1_##V, NAME##_2_##V, NAME##_3_##V, NAME##_4_##V}
#endif

/// `pixels` output pixels in a row by `columns` ≤ NR filters.
static void convolve_row(
    const apus_runs *runs, const float *x, ptrdiff_t pixels, const float *w,
    const apus_ending *ending, float *out, ptrdiff_t step, ptrdiff_t columns) {
  static void (*const tiles[2][PIXELS])(
      const apus_runs *, const float *, const float *, const apus_ending *, float *, ptrdiff_t,
      ptrdiff_t) = {ALL_TILES(convolve, 1), ALL_TILES(convolve, 2)};
  // Tiles as equal as they can be: 14 pixels are two times 7, not 12 and 2.
  ptrdiff_t left = (pixels + PIXELS - 1) / PIXELS;
  apus_ending here = *ending;
  for (ptrdiff_t p = 0; p < pixels; left--) {
    const ptrdiff_t width = (pixels - p + left - 1) / left;
    if (ending->addend) here.addend = ending->addend + p * step;
    tiles[columns > VL][width - 1](
        runs, x + p * runs->pixel, w, &here, out + p * step, step, columns);
    p += width;
  }
}

/// `lines` floats of a run by NR filters, of which only `columns` matter.
static void gradient_rows(
    const apus_pixels *pixels, const float *x, ptrdiff_t lines, const float *dy, float *c,
    ptrdiff_t columns, bool adds) {
  static void (*const tiles[2][PIXELS])(
      const apus_pixels *, const float *, const float *, float *, bool) = {
      ALL_TILES(gradient, 1), ALL_TILES(gradient, 2)};
  ptrdiff_t left = (lines + PIXELS - 1) / PIXELS;
  for (ptrdiff_t i = 0; i < lines; left--) {
    const ptrdiff_t width = (lines - i + left - 1) / left;
    tiles[columns > VL][width - 1](pixels, x + i, dy, c + i * NR, adds);
    i += width;
  }
}
