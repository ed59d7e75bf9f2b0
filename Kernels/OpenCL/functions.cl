// The functions of one argument that element-wise kernels and the epilogues of products apply.

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
    case TANH: return tanh(x);
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
