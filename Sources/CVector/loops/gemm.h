// Matrix products in registers: a tile of MR rows by two vectors of columns is held in accumulators
// while it runs over k. Both operands come in panels that the tile reads from start to end:
//
//     A  panels of MR rows,  a[k · MR + i]        B  panels of NR columns,  b[k · NR + j]
//
// After Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008.
#if VL == 16
#define MR 12
#elif VL == 8
#define MR 6
#else
#define MR 4
#endif
#define NR (2 * VL)
#define FULLY_UNROLLED _Pragma("clang loop unroll(full)")

/// A tile of ROWS × (VECTORS · VL): `c = held + a · b`, where `held` may be NULL for zeros, or `c`.
#define TILE_KERNEL(ROWS, VECTORS)                                                               \
  static void tile_##ROWS##_##VECTORS(                                                           \
      ptrdiff_t depth, const float *restrict a, const float *restrict b, const float *held,      \
      ptrdiff_t held_step, float *c, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t columns) {        \
    VF acc[ROWS][VECTORS];                                                                       \
    FULLY_UNROLLED for (int i = 0; i < ROWS; i++) {                                              \
      FULLY_UNROLLED for (int j = 0; j < VECTORS; j++) acc[i][j] = (VF)(0.0f);                   \
      __builtin_prefetch(c + (i < rows ? i : 0) * step, 1);                                      \
    }                                                                                            \
    for (ptrdiff_t k = 0; k < depth; k++) {                                                      \
      VF row[VECTORS];                                                                           \
      FULLY_UNROLLED for (int j = 0; j < VECTORS; j++) row[j] = load(b + j * VL);                \
      FULLY_UNROLLED for (int i = 0; i < ROWS; i++) {                                            \
        const VF scalar = (VF)(a[i]);                                                            \
        FULLY_UNROLLED for (int j = 0; j < VECTORS; j++)                                         \
          acc[i][j] = fma_f(scalar, row[j], acc[i][j]);                                          \
      }                                                                                          \
      a += MR;                                                                                   \
      b += NR;                                                                                   \
    }                                                                                            \
    if (rows == ROWS && columns == VECTORS * VL) {                                               \
      FULLY_UNROLLED for (int i = 0; i < ROWS; i++)                                              \
        FULLY_UNROLLED for (int j = 0; j < VECTORS; j++) {                                       \
          const VF sum = held ? load(held + i * held_step + j * VL) + acc[i][j] : acc[i][j];     \
          store(c + i * step + j * VL, sum);                                                     \
        }                                                                                        \
      return;                                                                                    \
    }                                                                                            \
    float lanes[ROWS][VECTORS * VL];                                                             \
    memcpy(lanes, acc, sizeof lanes);                                                            \
    for (ptrdiff_t i = 0; i < rows; i++)                                                         \
      for (ptrdiff_t j = 0; j < columns; j++)                                                    \
        c[i * step + j] = held ? held[i * held_step + j] + lanes[i][j] : lanes[i][j];            \
  }

#if VL == 16
TILE_KERNEL(12, 2)
TILE_KERNEL(8, 2)
TILE_KERNEL(4, 2)
TILE_KERNEL(12, 1)
TILE_KERNEL(8, 1)
TILE_KERNEL(4, 1)
#elif VL == 8
TILE_KERNEL(6, 2)
TILE_KERNEL(4, 2)
TILE_KERNEL(2, 2)
TILE_KERNEL(6, 1)
TILE_KERNEL(4, 1)
TILE_KERNEL(2, 1)
#else
TILE_KERNEL(4, 2)
TILE_KERNEL(2, 2)
TILE_KERNEL(4, 1)
TILE_KERNEL(2, 1)
#endif

typedef void (*tile_kernel)(
    ptrdiff_t, const float *, const float *, const float *, ptrdiff_t, float *, ptrdiff_t, ptrdiff_t,
    ptrdiff_t);

/// The smallest tile that holds what is left of the matrix.
static inline tile_kernel tile_for(ptrdiff_t rows, ptrdiff_t columns) {
  const bool is_wide = columns > VL;
#if VL == 16
  if (rows > 8) return is_wide ? tile_12_2 : tile_12_1;
  if (rows > 4) return is_wide ? tile_8_2 : tile_8_1;
  return is_wide ? tile_4_2 : tile_4_1;
#elif VL == 8
  if (rows > 4) return is_wide ? tile_6_2 : tile_6_1;
  if (rows > 2) return is_wide ? tile_4_2 : tile_4_1;
  return is_wide ? tile_2_2 : tile_2_1;
#else
  if (rows > 2) return is_wide ? tile_4_2 : tile_4_1;
  return is_wide ? tile_2_2 : tile_2_1;
#endif
}

/// A block of C from packed panels of depth `depth`. It is cut in depth so that a panel of B stays in
/// the first cache while the panels of A pass by; in between the sums are held in a dense block, for
/// rows of C may be far apart.
static void gemm_block(
    ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t depth, const float *a, const float *b, float *c,
    ptrdiff_t step, bool adds) {
  float sums[APUS_BLOCK_ROWS * APUS_BLOCK_COLUMNS] __attribute__((aligned(64)));
  for (ptrdiff_t from = 0; from < depth; from += APUS_BLOCK_DEPTH) {
    const bool is_first = from == 0, is_last = depth - from <= APUS_BLOCK_DEPTH;
    const ptrdiff_t here = is_last ? depth - from : APUS_BLOCK_DEPTH;
    for (ptrdiff_t j = 0; j < columns; j += NR) {
      const ptrdiff_t width = columns - j < NR ? columns - j : NR;
      for (ptrdiff_t i = 0; i < rows; i += MR) {
        const ptrdiff_t height = rows - i < MR ? rows - i : MR;
        float *in_sums = sums + i * APUS_BLOCK_COLUMNS + j, *in_c = c + i * step + j;
        const float *held = is_first ? (adds ? in_c : NULL) : in_sums;
        tile_for(height, width)(
            here, a + i * depth + from * MR, b + j * depth + from * NR, held,
            is_first ? step : APUS_BLOCK_COLUMNS, is_last ? in_c : in_sums,
            is_last ? step : APUS_BLOCK_COLUMNS, height, width);
      }
    }
  }
}

/// `to[k · WIDTH + r] = x[r · step + k]`: lines that are dense along k, through squares in registers.
#define PACK_LINES(NAME, WIDTH)                                                                \
  static void NAME(                                                                            \
      ptrdiff_t lines, ptrdiff_t depth, const float *x, ptrdiff_t step, float *to) {           \
    for (ptrdiff_t r = 0; r < WIDTH; r += VL) {                                                \
      const ptrdiff_t here = lines - r < VL ? lines - r : VL;                                  \
      ptrdiff_t k = 0;                                                                         \
      for (; k + VL <= depth; k += VL) {                                                       \
        VF square[VL];                                                                         \
        for (int i = 0; i < VL; i++)                                                           \
          square[i] = i < here ? load(x + (r + i) * step + k) : (VF)(0.0f);                    \
        transpose_square(square);                                                              \
        for (int i = 0; i < VL; i++)                                                           \
          memcpy(                                                                              \
              to + (k + i) * WIDTH + r, &square[i],                                            \
              (WIDTH % VL == 0 ? VL : WIDTH % VL) * sizeof(float));                            \
      }                                                                                        \
      for (; k < depth; k++)                                                                   \
        for (ptrdiff_t i = 0; i < VL && r + i < WIDTH; i++)                                    \
          to[k * WIDTH + r + i] = i < here ? x[(r + i) * step + k] : 0.0f;                     \
    }                                                                                          \
  }                                                                                            \
  /* `to[k · WIDTH + r] = x[r · line_step + k · depth_step]`, any steps. */                    \
  static void NAME##_strided(                                                                  \
      ptrdiff_t lines, ptrdiff_t depth, const float *x, ptrdiff_t line_step,                   \
      ptrdiff_t depth_step, float *to) {                                                       \
    if (line_step == 1 && lines == WIDTH) {                                                    \
      for (ptrdiff_t k = 0; k < depth; k++)                                                    \
        memcpy(to + k * WIDTH, x + k * depth_step, WIDTH * sizeof(float));                     \
      return;                                                                                  \
    }                                                                                          \
    if (depth_step == 1) {                                                                     \
      NAME(lines, depth, x, line_step, to);                                                    \
      return;                                                                                  \
    }                                                                                          \
    for (ptrdiff_t k = 0; k < depth; k++)                                                      \
      for (ptrdiff_t r = 0; r < WIDTH; r++)                                                    \
        to[k * WIDTH + r] = r < lines ? x[r * line_step + k * depth_step] : 0.0f;              \
  }
PACK_LINES(pack_a, MR)
PACK_LINES(pack_b, NR)

/// `out[i · to + j] = x[i + j · from]` of a VL × VL square of 4-byte elements, steps in bytes.
static void transpose_tile(char *out, ptrdiff_t to, const char *x, ptrdiff_t from) {
  VF square[VL];
  for (int j = 0; j < VL; j++) memcpy(&square[j], x + j * from, sizeof(VF));
  transpose_square(square);
  for (int i = 0; i < VL; i++) memcpy(out + i * to, &square[i], sizeof(VF));
}
