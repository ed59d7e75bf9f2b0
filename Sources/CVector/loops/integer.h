// int32 arithmetic, wrapping: computed unsigned, where C defines it.
#define WRAP(NAME, EXPRESSION)                                                \
  static void NAME(ARGUMENTS) {                                               \
    (void)b, (void)c, (void)p;                                                \
    uint32_t *restrict o = out;                                               \
    const uint32_t *restrict xs = a;                                          \
    const uint32_t *restrict ys = b;                                          \
    (void)ys;                                                                 \
    for (ptrdiff_t i = 0; i < n; i++) {                                       \
      const uint32_t x = xs[i];                                               \
      o[i] = (EXPRESSION);                                                    \
    }                                                                         \
  }
WRAP(int_negate, 0u - x)
WRAP(int_abs, (int32_t)x < 0 ? 0u - x : x)
WRAP(int_square, x *x)
WRAP(int_add, x + ys[i])
WRAP(int_subtract, x - ys[i])
WRAP(int_multiply, x *ys[i])
PLAIN(int_sign, int32_t, int32_t, (x > 0) - (x < 0))
PLAIN(int_maximum, int32_t, int32_t, x > ys[i] ? x : ys[i])
PLAIN(int_minimum, int32_t, int32_t, x < ys[i] ? x : ys[i])
