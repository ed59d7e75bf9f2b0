// Reductions of a contiguous row. Sums run in four float vectors over blocks of 4096 and in double from
// block to block: a fixed tree, with an error that does not grow with the length.
enum { SUM_BLOCK = 4096 };

#define BLOCK_SUM(NAME, TERM)                                                 \
  static double NAME(const float *x, ptrdiff_t n) {                           \
    double total = 0;                                                         \
    for (ptrdiff_t start = 0; start < n; start += SUM_BLOCK) {                \
      const ptrdiff_t end = n - start < SUM_BLOCK ? n : start + SUM_BLOCK;    \
      VF s0 = (VF)(0.0f), s1 = s0, s2 = s0, s3 = s0;                          \
      ptrdiff_t i = start;                                                    \
      for (; i + 4 * VL <= end; i += 4 * VL) {                                \
        VF v = load(x + i);                                                   \
        s0 = TERM(v, s0);                                                     \
        v = load(x + i + VL);                                                 \
        s1 = TERM(v, s1);                                                     \
        v = load(x + i + 2 * VL);                                             \
        s2 = TERM(v, s2);                                                     \
        v = load(x + i + 3 * VL);                                             \
        s3 = TERM(v, s3);                                                     \
      }                                                                       \
      for (; i < end; i += VL) {                                              \
        const VF v =                                                          \
            end - i >= VL ? load(x + i) : load_part(x + i, end - i, 0.0f);    \
        s0 = TERM(v, s0);                                                     \
      }                                                                       \
      total += lane_sum((s0 + s1) + (s2 + s3));                               \
    }                                                                         \
    return total;                                                             \
  }
#define PLAIN_TERM(v, s) ((s) + (v))
#define SQUARE_TERM(v, s) fma_f(v, v, s)
BLOCK_SUM(row_sum, PLAIN_TERM)
BLOCK_SUM(row_sum_of_squares, SQUARE_TERM)

static inline VF larger(VF x, VF m) { return ((x > m) | (x != x)) ? x : m; }
static inline VF smaller(VF x, VF m) { return ((x < m) | (x != x)) ? x : m; }

// A NaN stays once it is seen: nothing compares with it.
#define ROW_EXTREME(NAME, PICK, START, COMPARE)                               \
  static float NAME(const float *x, ptrdiff_t n) {                            \
    VF m0 = (VF)(START), m1 = m0;                                             \
    ptrdiff_t i = 0;                                                          \
    for (; i + 2 * VL <= n; i += 2 * VL) {                                    \
      m0 = PICK(load(x + i), m0);                                             \
      m1 = PICK(load(x + i + VL), m1);                                        \
    }                                                                         \
    for (; i < n; i += VL)                                                    \
      m0 = PICK(n - i >= VL ? load(x + i) : load_part(x + i, n - i, START), m0); \
    m0 = PICK(m1, m0);                                                        \
    float lanes[VL];                                                          \
    store(lanes, m0);                                                         \
    float m = lanes[0];                                                       \
    for (int k = 1; k < VL; k++)                                              \
      if (lanes[k] COMPARE m || lanes[k] != lanes[k]) m = lanes[k];           \
    return m;                                                                 \
  }
ROW_EXTREME(row_maximum, larger, -__builtin_inff(), >)
ROW_EXTREME(row_minimum, smaller, __builtin_inff(), <)

static inline VF plain_larger(VF x, VF m) { return x > m ? x : m; }
/// The largest element where a NaN need not be seen: the exponentials of a softmax show it again.
ROW_EXTREME(row_shift, plain_larger, -__builtin_inff(), >)

static void add_row(float *total, const float *x, ptrdiff_t n) {
  ptrdiff_t i = 0;
  for (; i + VL <= n; i += VL) store(total + i, load(total + i) + load(x + i));
  if (i < n)
    store_part(
        total + i, load_part(total + i, n - i, 0.0f) + load_part(x + i, n - i, 0.0f), n - i);
}
