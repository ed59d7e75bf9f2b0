// Conversions between the seven element types: to nearest even, to integers toward zero and saturating
// with 0 for NaN. Every type widens exactly to float, double or int32; each of these narrows to every
// type with one rounding.
typedef uint16_t half_bits;
typedef uint16_t bfloat_bits;

/// A double as a float rounded to odd, so that a second rounding to fewer bits is the only one.
static inline float rounded_to_odd(double x) {
  float f = (float)x;
  uint32_t bits;
  memcpy(&bits, &f, 4);
  const double back = f;
  if (back == x || x != x || f == 0.0f) return f;
  if (fabs(back) > fabs(x)) bits--;
  bits |= 1;
  memcpy(&f, &bits, 4);
  return f;
}

static inline bfloat_bits bfloat_from(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  const uint32_t rounded = bits + 0x7FFF + ((bits >> 16) & 1);
  return (bfloat_bits)((x != x ? bits | 0x400000 : rounded) >> 16);
}
static inline float float_from_bfloat(bfloat_bits x) {
  const uint32_t bits = (uint32_t)x << 16;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

#ifdef HAS_HALF
static inline half_bits half_from(float x) {
  const _Float16 h = (_Float16)x;
  half_bits bits;
  memcpy(&bits, &h, 2);
  return bits;
}
static inline float float_from_half(half_bits x) {
  _Float16 h;
  memcpy(&h, &x, 2);
  return (float)h;
}
#else
static inline half_bits half_from(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  const uint32_t sign = (bits >> 16) & 0x8000;
  bits &= 0x7FFFFFFF;
  if (bits > 0x7F800000) return (half_bits)(sign | 0x7E00 | ((bits >> 13) & 0x3FF));
  if (bits >= 0x477FF000) return (half_bits)(sign | 0x7C00);
  if (bits < 0x38800000) {
    // Below the normal range: adding ½ leaves the multiple of 2⁻²⁴ in the low bits, rounded.
    float f;
    memcpy(&f, &bits, 4);
    f += 0.5f;
    memcpy(&bits, &f, 4);
    return (half_bits)(sign | (bits - 0x3F000000));
  }
  return (half_bits)(sign | ((bits - 0x38000000 + 0xFFF + ((bits >> 13) & 1)) >> 13));
}
static inline float float_from_half(half_bits x) {
  const uint32_t sign = (uint32_t)(x & 0x8000) << 16;
  uint32_t bits = (uint32_t)(x & 0x7FFF) << 13;
  float f;
  if (bits >= 0x0F800000) {
    bits += 0x70000000;
    memcpy(&f, &bits, 4);
  } else {
    memcpy(&f, &bits, 4);
    f *= 0x1p112f;
    memcpy(&bits, &f, 4);
  }
  bits |= sign;
  memcpy(&f, &bits, 4);
  return f;
}
#endif

static inline int32_t int_from(double x) {
  if (x != x) return 0;
  return x >= 2147483647.0 ? INT32_MAX : x <= -2147483648.0 ? INT32_MIN : (int32_t)x;
}
static inline uint8_t byte_from(double x) {
  return !(x > 0.0) ? 0 : x >= 255.0 ? 255 : (uint8_t)x;
}

#define FROM_FLOAT(x) (x)
#define FROM_DOUBLE(x) (x)
#define FROM_HALF(x) float_from_half(x)
#define FROM_BFLOAT(x) float_from_bfloat(x)
#define FROM_INT(x) (x)
#define FROM_BYTE(x) ((int32_t)(x))

// `w` is float, int32_t or double: the last two may hold more bits than a float.
#define TO_FLOAT(w) ((float)(w))
#define TO_DOUBLE(w) ((double)(w))
#define TO_HALF(w) half_from(sizeof(w) == 8 || IS_INT(w) ? rounded_to_odd((double)(w)) : (float)(w))
#define TO_BFLOAT(w) bfloat_from(sizeof(w) == 8 || IS_INT(w) ? rounded_to_odd((double)(w)) : (float)(w))
#define IS_INT(w) _Generic((w), int32_t: 1, default: 0)
#define TO_INT(w) int_from((double)(w))
#define TO_BYTE(w) byte_from((double)(w))
#define TO_BOOL(w) ((uint8_t)((w) != 0))

#define CONVERSION(FN, TN, F, T)                                              \
  static void cast_##FN##_##TN(ARGUMENTS) {                                   \
    (void)b, (void)c, (void)p;                                                \
    T *restrict o = out;                                                      \
    const F *restrict xs = a;                                                 \
    for (ptrdiff_t i = 0; i < n; i++) o[i] = (T)TO_##TN(FROM_##FN(xs[i]));    \
  }
#define CONVERSIONS_FROM(FN, F)                                               \
  CONVERSION(FN, FLOAT, F, float)                                             \
  CONVERSION(FN, DOUBLE, F, double)                                           \
  CONVERSION(FN, HALF, F, half_bits)                                          \
  CONVERSION(FN, BFLOAT, F, bfloat_bits)                                      \
  CONVERSION(FN, INT, F, int32_t)                                             \
  CONVERSION(FN, BYTE, F, uint8_t)                                            \
  CONVERSION(FN, BOOL, F, uint8_t)
CONVERSIONS_FROM(FLOAT, float)
CONVERSIONS_FROM(DOUBLE, double)
CONVERSIONS_FROM(HALF, half_bits)
CONVERSIONS_FROM(BFLOAT, bfloat_bits)
CONVERSIONS_FROM(INT, int32_t)
CONVERSIONS_FROM(BYTE, uint8_t)

#define CAST_ROW(FN, FROM_SIZE)                                               \
  {cast_##FN##_FLOAT, {4, FROM_SIZE}}, {cast_##FN##_DOUBLE, {8, FROM_SIZE}},  \
      {cast_##FN##_HALF, {2, FROM_SIZE}}, {cast_##FN##_BFLOAT, {2, FROM_SIZE}}, \
      {cast_##FN##_INT, {4, FROM_SIZE}}, {cast_##FN##_BYTE, {1, FROM_SIZE}},  \
      {cast_##FN##_BOOL, {1, FROM_SIZE}}
