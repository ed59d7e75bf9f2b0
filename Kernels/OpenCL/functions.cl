// The functions that element-wise kernels and the epilogues of products apply.

// The codes of `UnaryOp`, in its order of declaration.
enum {
  NEGATE, ABS, SIGN, SQUARE, EXP, EXPM1, LOG, LOG1P, SQRT, RSQRT, RECIPROCAL, SIN, COS, TANH, ERF,
  FLOOR, CEIL, ROUND, SIGMOID, RELU, SILU, LEAKY_RELU, ELU, GELU, GELU_TANH, SOFTPLUS, CLAMP,
  LOGICAL_NOT, IS_NAN, IS_FINITE
};

// PoCL 3.1 reduces the argument of a whole vector as its largest lane needs, which ruins tiny lanes
// beside a huge one; below this limit the first terms of the series are the rounded results.
inline V sine(V x) { return select(sin(x), x, fabs(x) < (V)(1e-4f)); }
inline V cosine(V x) { return select(cos(x), (V)(1.0f), fabs(x) < (V)(1e-4f)); }
// A polynomial from Cephes' tanhf (Moshier 1992) below 0.625; above, 1 - 2 / (e^2x + 1), whose rounding
// errors cancel well enough for a polynomial of degree 6 (minimax, own fit). At most 1.36 ulp.
inline V apus_tanh(V x) {
  const V a = fabs(x);
  // Where the result is 1 already.
  const V t = select(a, (V)(10.0f), a > (V)(10.0f));
  const V shifted = fma(t, (V)(0x1.715476p+1f), (V)(12582912.0f));
  const V whole = shifted - (V)(12582912.0f);
  V r = fma(whole, (V)(-0x1.62E4p-1f), t + t);
  r = fma(whole, (V)(-0x1.7F7D1Cp-20f), r);
  V e = fma(r, (V)(1.39504841e-3f), (V)(8.36888807e-3f));
  e = fma(e, r, (V)(4.16662059e-2f));
  e = fma(e, r, (V)(1.66665188e-1f));
  e = fma(e, r, (V)(0.5f));
  e = fma(fma(e, r, (V)(1.0f)), r, (V)(1.0f));
  e *= AS_V((AS_VI(shifted) << 23) + 0x3F800000);
  const V large = (V)(1.0f) - (V)(2.0f) / (e + (V)(1.0f));
  const V z = x * x;
  V p = fma(z, (V)(-5.70498872745e-3f), (V)(2.06390887954e-2f));
  p = fma(p, z, (V)(-5.37397155531e-2f));
  p = fma(p, z, (V)(1.33314422036e-1f));
  p = fma(p, z, (V)(-3.33332819422e-1f));
  const V small = fma(p * z, x, x);
  return copysign(select(small, large, a > (V)(0.625f)), x);
}
inline V sigmoid(V x) { return (V)(1.0f) / ((V)(1.0f) + apus_exp(-x)); }
inline V gelu_inner(V x) {
  return (V)(0.7978845608f) * fma((V)(0.044715f) * x * x, x, x);
}
inline V softplus(V x, float beta, float threshold) {
  V t = x * beta;
  return select(log1p(apus_exp(t)) / beta, x, t > (V)(threshold));
}

inline V unary_function(int op, V x, float a, float b) {
  switch (op) {
    case NEGATE: return -x;
    case ABS: return fabs(x);
    case SIGN: return select(select((V)(0.0f), (V)(1.0f), x > (V)(0.0f)), select((V)(-1.0f), x, x != x), (x < (V)(0.0f)) | (x != x));
    case SQUARE: return x * x;
    case EXP: return apus_exp(x);
    case EXPM1: return expm1(x);
    case LOG: return log(x);
    case LOG1P: return log1p(x);
    case SQRT: return sqrt(x);
    case RSQRT: return (V)(1.0f) / sqrt(x);
    case RECIPROCAL: return (V)(1.0f) / x;
    case SIN: return sine(x);
    case COS: return cosine(x);
    case TANH: return apus_tanh(x);
    case ERF: return erf(x);
    case FLOOR: return floor(x);
    case CEIL: return ceil(x);
    case ROUND: return rint(x);
    case SIGMOID: return sigmoid(x);
    case RELU: return select(x, (V)(0.0f), x < (V)(0.0f));
    case SILU: return x * sigmoid(x);
    case LEAKY_RELU: return select(x, x * a, x < (V)(0.0f));
    case ELU: return select(x, expm1(x) * a, x < (V)(0.0f));
    case GELU: return (V)(0.5f) * x * ((V)(1.0f) + erf(x * (V)(0.7071067812f)));
    // (1 + tanh u) / 2 is the logistic function of 2 u, without the cancellation of the left tail.
    case GELU_TANH: return x * sigmoid((V)(2.0f) * gelu_inner(x));
    case SOFTPLUS: return softplus(x, a, b);
    case CLAMP: {
      V low = select(x, (V)(a), x < (V)(a));
      return select(low, (V)(b), low > (V)(b));
    }
  }
  return x;
}

// The codes of `BinaryOp`.
enum {
  ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER, ATAN2, MAXIMUM, MINIMUM, REMAINDER, LOGICAL_AND,
  LOGICAL_OR, LOGICAL_XOR
};

// The derivative times `dy`, from what the forward pass saved, as `UnaryOp.saved` of the seam says: `s` is
// its input or output.
inline V unary_derivative(int op, V s, V dy, float a, float b) {
  const V one = (V)(1.0f), zero = (V)(0.0f);
  switch (op) {
    case NEGATE: return -dy;
    case ABS: return select(select(zero, dy, s > zero), -dy, s < zero);
    case SQUARE: return (V)(2.0f) * s * dy;
    case EXP: return s * dy;
    case EXPM1: return (s + one) * dy;
    case LOG: return dy / s;
    case LOG1P: return dy / (one + s);
    case SQRT: return dy / ((V)(2.0f) * s);
    case RSQRT: return (V)(-0.5f) * s * s * s * dy;
    case RECIPROCAL: return -s * s * dy;
    case SIN: return cosine(s) * dy;
    case COS: return -sine(s) * dy;
    case TANH: return fma(-s, s, one) * dy;
    case ERF: return (V)(1.1283791671f) * apus_exp(-s * s) * dy;
    case SIGMOID: return s * (one - s) * dy;
    case RELU: return select(zero, dy, s > zero);
    case SILU: {
      V t = sigmoid(s);
      return dy * t * fma(s, one - t, one);
    }
    case LEAKY_RELU: return select(dy * a, dy, s > zero);
    case ELU: return select(dy * (s + (V)(a)), dy, s > zero);
    case GELU: {
      V cdf = (V)(0.5f) * (one + erf(s * (V)(0.7071067812f)));
      return dy * fma(s * (V)(0.3989422804f), apus_exp((V)(-0.5f) * s * s), cdf);
    }
    case GELU_TANH: {
      V t = sigmoid((V)(2.0f) * gelu_inner(s));
      V inner = (V)(1.5957691216f) * fma((V)(0.134145f) * s, s, one);
      return dy * fma(s * t * (one - t), inner, t);
    }
    case SOFTPLUS: return select(dy * sigmoid(s * a), dy, s * a > (V)(b));
    case CLAMP: return select(zero, dy, (s > (V)(a)) & (s < (V)(b)));
  }
  return zero;
}

inline V binary_function(int op, V x, V y) {
  switch (op) {
    case ADD: return x + y;
    case SUBTRACT: return x - y;
    case MULTIPLY: return x * y;
    case DIVIDE: return x / y;
    case POWER: return pow(x, y);
    case ATAN2: return atan2(x, y);
    case MAXIMUM: return select(y, x, (x > y) | (x != x));
    case MINIMUM: return select(y, x, (x < y) | (x != x));
    case REMAINDER: {
      V r = fmod(x, y);
      return select(r, r + y, (r != (V)(0.0f)) & ((r < (V)(0.0f)) != (y < (V)(0.0f))));
    }
  }
  return x;
}
