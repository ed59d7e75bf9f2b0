// Vectors of VL floats, and of VL / 2 doubles: a vector of floats widens to two of doubles.
typedef float VF __attribute__((ext_vector_type(VL)));
typedef int32_t VI __attribute__((ext_vector_type(VL)));
typedef uint32_t VU __attribute__((ext_vector_type(VL)));
typedef float HF __attribute__((ext_vector_type(VL / 2)));
typedef int32_t HI __attribute__((ext_vector_type(VL / 2)));
typedef double VD __attribute__((ext_vector_type(VL / 2)));
typedef int64_t VL64 __attribute__((ext_vector_type(VL / 2)));
typedef uint64_t VU64 __attribute__((ext_vector_type(VL / 2)));

static inline VF load(const float *p) {
  VF v;
  memcpy(&v, p, sizeof v);
  return v;
}
static inline void store(float *p, VF v) { memcpy(p, &v, sizeof v); }
// Parts of vectors: `n` is at most VL; lanes from `n` on are `rest`. Of a span, whose lanes have numbers
// from `first` on, only numbers in `0 ..< count` are loaded; the other lanes are zeros.
#if VL == 16
static inline VF load_part(const float *p, ptrdiff_t n, float rest) {
  return (VF)_mm512_mask_loadu_ps(_mm512_set1_ps(rest), (__mmask16)((1u << n) - 1), p);
}
static inline void store_part(float *p, VF v, ptrdiff_t n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
static inline VF load_span(const float *p, int32_t first, int32_t count) {
  const VI lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const __mmask16 mask = _mm512_cmplt_epu32_mask((__m512i)(lane + first), _mm512_set1_epi32(count));
  return (VF)_mm512_maskz_loadu_ps(mask, p);
}
#elif VL == 8
static inline VI first_lanes(ptrdiff_t n) {
  const VI lane = {0, 1, 2, 3, 4, 5, 6, 7};
  return lane < (int32_t)n;
}
static inline VF load_part(const float *p, ptrdiff_t n, float rest) {
  const VI mask = first_lanes(n);
  const VF v = (VF)_mm256_maskload_ps(p, (__m256i)mask);
  return mask ? v : (VF)(rest);
}
static inline void store_part(float *p, VF v, ptrdiff_t n) {
  _mm256_maskstore_ps(p, (__m256i)first_lanes(n), (__m256)v);
}
static inline VF load_span(const float *p, int32_t first, int32_t count) {
  const VI lane = {0, 1, 2, 3, 4, 5, 6, 7};
  const VI mask = (VU)(lane + first) < (VU)(uint32_t)count;
  return (VF)_mm256_maskload_ps(p, (__m256i)mask);
}
#else
static inline VF load_part(const float *p, ptrdiff_t n, float rest) {
  VF v = (VF)(rest);
  memcpy(&v, p, (size_t)n * sizeof(float));
  return v;
}
static inline void store_part(float *p, VF v, ptrdiff_t n) {
  memcpy(p, &v, (size_t)n * sizeof(float));
}
static inline VF load_span(const float *p, int32_t first, int32_t count) {
  VF v = (VF)(0.0f);
  for (int32_t lane = first < 0 ? -first : 0; lane < VL && lane < count - first; lane++) v[lane] = p[lane];
  return v;
}
#endif
static inline VI load_int(const int32_t *p) {
  VI v;
  memcpy(&v, p, sizeof v);
  return v;
}
/// Past the cache; `p` is aligned.
static inline void store_stream(float *p, VF v) { __builtin_nontemporal_store(v, (VF *)p); }
static inline bool is_aligned(const void *p) { return (uintptr_t)p % sizeof(VF) == 0; }
static inline VI bits_of(VF v) { return (VI)v; }
static inline VF from_bits(VI v) { return (VF)v; }

#ifdef HAS_FMA
static inline VF fma_f(VF a, VF b, VF c) { return __builtin_elementwise_fma(a, b, c); }
static inline VD fma_d(VD a, VD b, VD c) { return __builtin_elementwise_fma(a, b, c); }
#else
static inline VF fma_f(VF a, VF b, VF c) { return a * b + c; }
static inline VD fma_d(VD a, VD b, VD c) { return a * b + c; }
#endif

/// Whether a lane of a mask is set.
static inline bool any(VI mask) { return __builtin_reduce_or(mask) != 0; }
static inline VF abs_f(VF x) { return from_bits(bits_of(x) & 0x7FFFFFFF); }
static inline VF with_sign_of(VF x, VF sign) {
  return from_bits((bits_of(x) & 0x7FFFFFFF) | (bits_of(sign) & (int32_t)0x80000000));
}

#ifdef HAS_ROUNDING
static inline VF round_f(VF x) { return __builtin_elementwise_roundeven(x); }
static inline VF floor_f(VF x) { return __builtin_elementwise_floor(x); }
static inline VF ceil_f(VF x) { return __builtin_elementwise_ceil(x); }
#else
/// Adding and taking away 2²³ leaves no room for a fraction; larger numbers have none.
static inline VF round_f(VF x) {
  VF a = abs_f(x);
  VF r = (a + 0x1p23f) - 0x1p23f;
  return with_sign_of(a < 0x1p23f ? r : x, x);
}
static inline VF floor_f(VF x) {
  VF r = round_f(x);
  return with_sign_of(r > x ? r - 1.0f : r, x);
}
static inline VF ceil_f(VF x) {
  VF r = round_f(x);
  return with_sign_of(r < x ? r + 1.0f : r, x);
}
#endif
#ifdef HAS_SCALE
/// `x · 2ⁿ`, rounded once.
static inline VF scale_f(VF x, VF n) { return (VF)_mm512_scalef_ps((__m512)x, (__m512)n); }
#endif
static inline VF sqrt_f(VF x) { return __builtin_elementwise_sqrt(x); }
static inline VD sqrt_d(VD x) { return __builtin_elementwise_sqrt(x); }

/// Sums of a vector's lanes in a fixed tree.
static inline double lane_sum(VF v) {
  float lanes[VL];
  store(lanes, v);
  for (int width = VL / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] += lanes[i + width];
  return lanes[0];
}

static inline VF widen_apply(VF x, VD (*f)(VD)) {
  VF r;
  r.lo = __builtin_convertvector(f(__builtin_convertvector(x.lo, VD)), HF);
  r.hi = __builtin_convertvector(f(__builtin_convertvector(x.hi, VD)), HF);
  return r;
}
static inline VF widen_apply2(VF x, VF y, VD (*f)(VD, VD)) {
  VF r;
  r.lo = __builtin_convertvector(
      f(__builtin_convertvector(x.lo, VD), __builtin_convertvector(y.lo, VD)), HF);
  r.hi = __builtin_convertvector(
      f(__builtin_convertvector(x.hi, VD), __builtin_convertvector(y.hi, VD)), HF);
  return r;
}

// The first and second halves of two vectors, lanes taken in turn.
#if VL == 16
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b) \
  __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define LOW_64(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH_64(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#elif VL == 8
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW_64(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH_64(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#else
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define LOW_64(a, b) __builtin_shufflevector(a, b, 0, 2)
#define HIGH_64(a, b) __builtin_shufflevector(a, b, 1, 3)
#endif

/// Transposes VL vectors: log₂ VL rounds that interleave row i with row i + VL / 2.
static inline void transpose_square(VF v[VL]) {
  VF w[VL];
#define INTERLEAVE(FROM, TO)                                                                     \
  _Pragma("clang loop unroll(full)") for (int i = 0; i < VL / 2; i++) {                          \
    TO[2 * i] = LOW(FROM[i], FROM[i + VL / 2]);                                                  \
    TO[2 * i + 1] = HIGH(FROM[i], FROM[i + VL / 2]);                                             \
  }
  INTERLEAVE(v, w)
  INTERLEAVE(w, v)
#if VL == 16
  INTERLEAVE(v, w)
  INTERLEAVE(w, v)
#elif VL == 8
  INTERLEAVE(v, w)
  for (int i = 0; i < VL; i++) v[i] = w[i];
#endif
}
