// saved, dy → dx: `x` is the input or output that `UnaryOp.saved` names, `g` is dy.
#define BACKWARD(NAME, EXPRESSION)                                                           \
  FLOAT_LOOP(                                                                                \
      backward_##NAME, VF x = LOAD(a); VF g = LOAD(b); (void)x; (void)g, VF x = PART(a);     \
      VF g = PART(b); (void)x; (void)g, EXPRESSION)

static inline VF silu_slope(VF x) {
  VF s = sigmoid_f(x);
  return s * fma_f(x, 1.0f - s, (VF)(1.0f));
}
static inline VF gelu_slope(VF x) {
  VF cdf = 0.5f * (1.0f + erf_f(x * 0x1.6A09E6p-1f));
  // No NaN from an infinite x: there the density is 0.
  VF density = 0.3989422804f * exp_f(-0.5f * x * x);
  VF limited = abs_f(x) > 100.0f ? (VF)(0.0f) : x;
  return (x != x) ? x : fma_f(limited, density, cdf);
}
static inline VF gelu_tanh_slope(VF x) {
  VF t = tanh_f(gelu_inner(x));
  VF limited = abs_f(x) > 100.0f ? (VF)(0.0f) : x;
  VF inner = 0.7978845608f * fma_f(0.134145f * limited, limited, (VF)(1.0f));
  return 0.5f * ((1.0f + t) + limited * fma_f(-t, t, (VF)(1.0f)) * inner);
}

BACKWARD(negate, -g)
BACKWARD(abs, x > 0.0f ? g : (x < 0.0f ? -g : (VF)(0.0f)))
BACKWARD(sign, (VF)(0.0f))
BACKWARD(square, 2.0f * x * g)
BACKWARD(exp, x * g)
BACKWARD(expm1, (x + 1.0f) * g)
BACKWARD(log, g / x)
BACKWARD(log1p, g / (1.0f + x))
BACKWARD(sqrt, g / (2.0f * x))
BACKWARD(rsqrt, -0.5f * x * x * x * g)
BACKWARD(reciprocal, -x * x * g)
BACKWARD(sin, cos_f(x) * g)
BACKWARD(cos, -sin_f(x) * g)
BACKWARD(tanh, fma_f(-x, x, (VF)(1.0f)) * g)
BACKWARD(erf, 1.1283791671f * exp_f(-x * x) * g)
BACKWARD(floor, (VF)(0.0f))
BACKWARD(ceil, (VF)(0.0f))
BACKWARD(round, (VF)(0.0f))
BACKWARD(sigmoid, x * (1.0f - x) * g)
BACKWARD(relu, x > 0.0f ? g : (VF)(0.0f))
BACKWARD(silu, silu_slope(x) * g)
BACKWARD(leaky_relu, x > 0.0f ? g : p->a * g)
BACKWARD(elu, x > 0.0f ? g : (x + p->a) * g)
BACKWARD(gelu, gelu_slope(x) * g)
BACKWARD(gelu_tanh, gelu_tanh_slope(x) * g)
BACKWARD(softplus, x * p->a > p->b ? g : sigmoid_f(x * p->a) * g)
BACKWARD(clamp, ((x > p->a) & (x < p->b)) ? g : (VF)(0.0f))
BACKWARD(identity, g)
