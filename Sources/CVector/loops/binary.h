// Functions of two and three floats, comparisons, and choices between elements of any size.
#define BINARY(NAME, EXPRESSION)                                                              \
  FLOAT_LOOP(                                                                                 \
      binary_##NAME, VF x = LOAD(a); VF y = LOAD(b), VF x = PART(a); VF y = PART(b), EXPRESSION)
#define TERNARY(NAME, EXPRESSION)                                                             \
  FLOAT_LOOP(                                                                                 \
      ternary_##NAME, VF x = LOAD(a); VF y = LOAD(b); VF z = LOAD(c), VF x = PART(a);         \
      VF y = PART(b); VF z = PART(c), EXPRESSION)

static inline VF maximum_f(VF x, VF y) { return ((x > y) | (x != x)) ? x : y; }
static inline VF minimum_f(VF x, VF y) { return ((x < y) | (x != x)) ? x : y; }

BINARY(add, x + y)
BINARY(subtract, x - y)
BINARY(multiply, x * y)
BINARY(divide, x / y)
BINARY(power, power_f(x, y))
BINARY(atan2, atan2_f(x, y))
BINARY(maximum, maximum_f(x, y))
BINARY(minimum, minimum_f(x, y))
TERNARY(multiply_add, fma_f(x, y, z))
TERNARY(lerp, fma_f(y - x, z, x))

#define ARGUMENTS                                                                         \
  void *out, const void *a, const void *b, const void *c, ptrdiff_t n, const parameters *p

static void binary_remainder(ARGUMENTS) {
  (void)c, (void)p;
  float *o = out;
  for (ptrdiff_t i = 0; i < n; i++)
    o[i] = remainder_1(((const float *)a)[i], ((const float *)b)[i]);
}

/// Plain loops, which the compiler turns into vectors.
#define PLAIN(NAME, TO, FROM, EXPRESSION)                                     \
  static void NAME(ARGUMENTS) {                                               \
    (void)b, (void)c, (void)p;                                                \
    TO *restrict o = out;                                                     \
    const FROM *restrict xs = a;                                              \
    const FROM *restrict ys = b;                                              \
    (void)ys;                                                                 \
    for (ptrdiff_t i = 0; i < n; i++) {                                       \
      const FROM x = xs[i];                                                   \
      o[i] = (TO)(EXPRESSION);                                                \
    }                                                                         \
  }

#define COMPARISONS(PREFIX, T)                                                \
  PLAIN(PREFIX##_equal, uint8_t, T, x == ys[i])                               \
  PLAIN(PREFIX##_not_equal, uint8_t, T, x != ys[i])                           \
  PLAIN(PREFIX##_less, uint8_t, T, x < ys[i])                                 \
  PLAIN(PREFIX##_less_or_equal, uint8_t, T, x <= ys[i])                       \
  PLAIN(PREFIX##_greater, uint8_t, T, x > ys[i])                              \
  PLAIN(PREFIX##_greater_or_equal, uint8_t, T, x >= ys[i])
COMPARISONS(float, float)
COMPARISONS(int, int32_t)
COMPARISONS(byte, uint8_t)

PLAIN(is_nan, uint8_t, float, x != x)
PLAIN(is_finite, uint8_t, float, fabsf(x) < __builtin_inff())
PLAIN(is_nan_64, uint8_t, double, x != x)
PLAIN(is_finite_64, uint8_t, double, fabs(x) < __builtin_inf())
PLAIN(logical_not, uint8_t, uint8_t, x == 0)
PLAIN(logical_and, uint8_t, uint8_t, x & ys[i])
PLAIN(logical_or, uint8_t, uint8_t, x | ys[i])
PLAIN(logical_xor, uint8_t, uint8_t, x ^ ys[i])

#define CHOICE(SIZE, T)                                                       \
  static void select_##SIZE(ARGUMENTS) {                                      \
    (void)p;                                                                  \
    T *restrict o = out;                                                      \
    const uint8_t *restrict condition = a;                                    \
    const T *restrict xs = b;                                                 \
    const T *restrict ys = c;                                                 \
    for (ptrdiff_t i = 0; i < n; i++) {                                       \
      const T x = xs[i], y = ys[i];                                           \
      o[i] = condition[i] ? x : y;                                            \
    }                                                                         \
  }                                                                           \
  static void move_##SIZE(ARGUMENTS) {                                        \
    (void)b, (void)c, (void)p;                                                \
    memcpy(out, a, (size_t)n * SIZE);                                         \
  }
CHOICE(1, uint8_t)
CHOICE(2, uint16_t)
CHOICE(4, uint32_t)
CHOICE(8, uint64_t)
