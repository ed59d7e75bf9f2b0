// float → float. Each function becomes a loop, and a loop with a bias in front for the epilogue of a
// linear layer.
typedef apus_parameters parameters;

/// How many floats ahead of use operands that come from memory are asked for.
enum { AHEAD = 512 };

/// `EXPRESSION` of vectors `x` (and `y`, `z`) and parameters `p` over contiguous floats; results that
/// do not fit in the cache bypass it.
#define FLOAT_LOOP(NAME, LOADS, PARTS, EXPRESSION)                                       \
  static void NAME(                                                                      \
      void *out, const void *a, const void *b, const void *c, ptrdiff_t n,               \
      const parameters *p) {                                                             \
    (void)b, (void)c, (void)p;                                                           \
    float *o = out;                                                                      \
    const float *first = a, *second = b ? b : a;                                         \
    ptrdiff_t i = 0;                                                                     \
    if (p->stream && is_aligned(o)) {                                                    \
      for (; i + VL <= n; i += VL) {                                                     \
        LOADS;                                                                           \
        store_stream(o + i, EXPRESSION);                                                 \
        __builtin_prefetch(first + i + AHEAD);                                           \
        __builtin_prefetch(second + i + AHEAD);                                          \
      }                                                                                  \
    } else {                                                                             \
      for (; i + VL <= n; i += VL) {                                                     \
        LOADS;                                                                           \
        store(o + i, EXPRESSION);                                                        \
      }                                                                                  \
    }                                                                                    \
    if (i < n) {                                                                         \
      PARTS;                                                                             \
      store_part(o + i, EXPRESSION, n - i);                                              \
    }                                                                                    \
  }

#define LOAD(P) load((const float *)(P) + i)
#define PART(P) load_part((const float *)(P) + i, n - i, 1.0f)

#define UNARY(NAME, EXPRESSION)                                                          \
  FLOAT_LOOP(unary_##NAME, VF x = LOAD(a), VF x = PART(a), EXPRESSION)                   \
  FLOAT_LOOP(biased_##NAME, VF x = LOAD(a) + LOAD(b), VF x = PART(a) + PART(b), EXPRESSION)

static inline VF sign_f(VF x) {
  VF r = x > 0.0f ? (VF)(1.0f) : (VF)(0.0f);
  return x < 0.0f ? (VF)(-1.0f) : (x != x ? x : r);
}
static inline VF clamp_f(VF x, float low, float high) {
  VF r = x < low ? (VF)(low) : x;
  return r > high ? (VF)(high) : r;
}

static inline VF relu_f(VF x) { return x < 0.0f ? (VF)(0.0f) : x; }
static inline VF leaky_relu_f(VF x, float slope) { return x < 0.0f ? slope * x : x; }

UNARY(negate, -x)
UNARY(abs, abs_f(x))
UNARY(sign, sign_f(x))
UNARY(square, x * x)
UNARY(exp, exp_f(x))
UNARY(expm1, expm1_f(x))
UNARY(log, log_f(x))
UNARY(log1p, log1p_f(x))
UNARY(sqrt, sqrt_f(x))
UNARY(rsqrt, 1.0f / sqrt_f(x))
UNARY(reciprocal, 1.0f / x)
UNARY(sin, sin_f(x))
UNARY(cos, cos_f(x))
UNARY(tanh, tanh_f(x))
UNARY(erf, erf_f(x))
UNARY(floor, floor_f(x))
UNARY(ceil, ceil_f(x))
UNARY(round, round_f(x))
UNARY(sigmoid, sigmoid_f(x))
UNARY(relu, relu_f(x))
UNARY(silu, x * sigmoid_f(x))
UNARY(leaky_relu, leaky_relu_f(x, p->a))
UNARY(elu, elu_f(x, p->a))
UNARY(gelu, gelu_f(x))
UNARY(gelu_tanh, gelu_tanh_f(x))
UNARY(softplus, softplus_f(x, p->a, p->b))
UNARY(clamp, clamp_f(x, p->a, p->b))
UNARY(identity, x)
