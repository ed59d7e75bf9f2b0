// Functions whose float result needs more than float on the way: widened to doubles, where a short
// polynomial (minimax, own fits) leaves an error of about 10⁻¹¹, so nearly every result is the nearest.

/// `x` within ±700.
static inline VD exp_d(VD x) {
  VD shifted = fma_d(x, (VD)(0x1.71547652B82FEp+0), (VD)(0x1.8p52));
  VD n = shifted - 0x1.8p52;
  VL64 k = (VL64)shifted << 52;
  VD r = fma_d(n, (VD)(-0x1.62E42FEFA3800p-1), x);
  r = fma_d(n, (VD)(-0x1.EF35793C76730p-45), r);
  VD p = fma_d((VD)(2.48761640226259683e-5), r, (VD)(1.99158669267826824e-4));
  p = fma_d(p, r, (VD)(1.38888216776303631e-3));
  p = fma_d(p, r, (VD)(8.33326609794961435e-3));
  p = fma_d(p, r, (VD)(4.16666668909569992e-2));
  p = fma_d(p, r, (VD)(1.66666668910457766e-1));
  p = fma_d(p, r, (VD)(4.99999999997979344e-1));
  p = fma_d(p, r, (VD)(9.99999999979785167e-1));
  p = fma_d(p, r, (VD)(1.0));
  return (VD)((VL64)p + k);
}

/// `x` positive, normal and finite.
static inline VD log_d(VD x) {
  VL64 i = (VL64)x - 0x3FE6A09E667F3BCDLL;
  // The exponent as a double: its bits below those of 2⁵² · 1.5.
  VD e = (VD)(((VL64)((VU64)(i + (0x400LL << 52)) >> 52)) | 0x4330000000000000LL) - 0x1p52 - 1024.0;
  VD m = (VD)((i & 0xFFFFFFFFFFFFFLL) + 0x3FE6A09E667F3BCDLL);
  VD s = (m - 1.0) / (m + 1.0);
  VD z = s * s;
  VD p = fma_d((VD)(0.168391960308929129), z, (VD)(0.181218100957960767));
  p = fma_d(p, z, (VD)(0.222234382899747369));
  p = fma_d(p, z, (VD)(0.285714159697155363));
  p = fma_d(p, z, (VD)(0.40000000062056603));
  p = fma_d(p, z, (VD)(0.666666666665522232));
  p = fma_d(p, z, (VD)(2.0));
  return fma_d(e, (VD)(0x1.62E42FEFA39EFp-1), p * s);
}

static inline VD expm1_d(VD x) {
  VD t = x > 100.0 ? (VD)(100.0) : x;
  t = t < -100.0 ? (VD)(-100.0) : t;
  VD p = fma_d(x, (VD)(1.0 / 120), (VD)(1.0 / 24));
  p = fma_d(p, x, (VD)(1.0 / 6));
  p = fma_d(p, x, (VD)(0.5));
  p = fma_d(p * x, x, x);
  VL64 is_small = (x < 0.01) & (x > -0.01);
  return is_small ? p : exp_d(t) - 1.0;
}

static inline VD log1p_d(VD x) {
  VD p = fma_d(x, (VD)(-0.25), (VD)(1.0 / 3));
  p = fma_d(p, x, (VD)(-0.5));
  p = fma_d(p * x, x, x);
  VL64 is_small = (x < 1e-4) & (x > -1e-4);
  VL64 is_inside = (x > -1.0) & (x < 0x1p200);
  VD r = log_d(is_inside ? x + 1.0 : (VD)(1.0));
  r = is_small ? p : r;
  VD outside = x == -1.0 ? (VD)(-__builtin_inf()) : x > 0.0 ? x : (VD)(__builtin_nan(""));
  return is_inside ? r : outside;
}

/// Sine and cosine of `x` within ±2²⁰.
static inline void sines_d(VD x, VD *sine, VD *cosine) {
  VD shifted = fma_d(x, (VD)(0x1.45F306DC9C883p-1), (VD)(0x1.8p52));
  VD n = shifted - 0x1.8p52;
#ifdef HAS_FMA
  VD r = fma_d(n, (VD)(-0x1.921FB54442D18p+0), x);
  r = fma_d(n, (VD)(-0x1.1A62633145C07p-54), r);
#else
  // Parts of π/2 of 33 bits, so that products with n are exact (fdlibm).
  VD r = x - n * 0x1.921FB544p+0;
  r = r - n * 0x1.0B4611A6p-34;
  r = r - n * 0x1.3198A2E037073p-69;
#endif
  VL64 q = (VL64)shifted;
  VD z = r * r;
  VD s = fma_d((VD)(-2.47562648495596106e-8), z, (VD)(2.75552678116286436e-6));
  s = fma_d(s, z, (VD)(-1.98412632787955473e-4));
  s = fma_d(s, z, (VD)(8.3333333238403535e-3));
  s = fma_d(s, z, (VD)(-1.6666666666616435e-1));
  s = fma_d(s * z, r, r);
  VD c = fma_d((VD)(2.06302094218755022e-9), z, (VD)(-2.75552297272138177e-7));
  c = fma_d(c, z, (VD)(2.48015785123187801e-5));
  c = fma_d(c, z, (VD)(-1.38888888699030671e-3));
  c = fma_d(c, z, (VD)(4.16666666664713338e-2));
  c = fma_d(c, z, (VD)(-0.499999999999992463));
  c = fma_d(c, z, (VD)(1.0));
  VL64 is_odd = (q & 1) != 0;
  *sine = (VD)((VL64)(is_odd ? c : s) ^ ((q & 2) << 62));
  *cosine = (VD)((VL64)(is_odd ? s : c) ^ (((q + 1) & 2) << 62));
}
static inline VD sin_d(VD x) {
  VD s, c;
  sines_d(x, &s, &c);
  return s;
}
static inline VD cos_d(VD x) {
  VD s, c;
  sines_d(x, &s, &c);
  return c;
}

/// Lanes too large for the reduction go through the C library.
static inline VF sin_f(VF x) {
  VF r = widen_apply(x, sin_d);
  r = x == 0.0f ? x : r;
  if (any(~(abs_f(x) < 0x1p20f)))
    for (int i = 0; i < VL; i++)
      if (!(fabsf(x[i]) < 0x1p20f)) r[i] = sinf(x[i]);
  return r;
}
static inline VF cos_f(VF x) {
  VF r = widen_apply(x, cos_d);
  if (any(~(abs_f(x) < 0x1p20f)))
    for (int i = 0; i < VL; i++)
      if (!(fabsf(x[i]) < 0x1p20f)) r[i] = cosf(x[i]);
  return r;
}

static inline VF expm1_f(VF x) { return x == 0.0f ? x : widen_apply(x, expm1_d); }
static inline VF log1p_f(VF x) { return x == 0.0f ? x : widen_apply(x, log1p_d); }

static inline VF elu_f(VF x, float alpha) {
  VI below = x < 0.0f;
  return below ? alpha * expm1_f(below ? x : (VF)(0.0f)) : x;
}

static inline VF softplus_f(VF x, float beta, float threshold) {
  VF t = x * beta;
  // log(1 + eᵗ) = max(t, 0) + log(1 + e^−|t|): no overflow.
  VF r = (t > 0.0f ? t : (VF)(0.0f)) + log1p_f(exp_f(-abs_f(t)));
  return t > threshold ? x : (t != t ? t : r / beta);
}

/// `|x|` to the power `y` for positive finite `x`, the exponent limited to where float ends.
static inline VD power_d(VD x, VD y) {
  VD t = log_d(x) * y;
  t = t > 200.0 ? (VD)(200.0) : t;
  t = t < -200.0 ? (VD)(-200.0) : t;
  return exp_d(t);
}
static inline VF power_f(VF x, VF y) {
  VF a = abs_f(x);
  VI is_small = abs_f(y) < 0x1p22f;
  VI whole = __builtin_convertvector(is_small ? y : (VF)(0.0f), VI);
  VI is_whole = is_small & (__builtin_convertvector(whole, VF) == y);
  VI is_plain = (a > 0.0f) & (a < __builtin_inff()) & (abs_f(y) < __builtin_inff()) &
                ((x > 0.0f) | is_whole);
  VF r = widen_apply2(is_plain ? a : (VF)(1.0f), is_plain ? y : (VF)(0.0f), power_d);
  VI is_negative = is_plain & (x < 0.0f) & ((whole & 1) != 0);
  r = is_negative ? -r : r;
  // Zeros, infinities, NaN and the like have a dozen rules: the C library knows them.
  if (any(~is_plain))
    for (int i = 0; i < VL; i++)
      if (!is_plain[i]) r[i] = powf(x[i], y[i]);
  return r;
}

/// Octant of (x, y) by swaps, then tan(π/8) by a rotation, then an odd polynomial.
static inline VD atan2_d(VD y, VD x) {
  VD ay = (VD)((VL64)y & INT64_MAX), ax = (VD)((VL64)x & INT64_MAX);
  VL64 is_steep = ay > ax;
  VD small = is_steep ? ax : ay, large = is_steep ? ay : ax;
  VL64 is_wide = small > large * 0.41421356237309503;
  VD t = is_wide ? (small - large) / (small + large) : small / large;
  VD z = t * t;
  VD p = fma_d((VD)(-0.0376347887053254338), z, (VD)(0.0697306111496183734));
  p = fma_d(p, z, (VD)(-0.0899230448651733593));
  p = fma_d(p, z, (VD)(0.111034301559724669));
  p = fma_d(p, z, (VD)(-0.142853850858703831));
  p = fma_d(p, z, (VD)(0.199999930155473431));
  p = fma_d(p, z, (VD)(-0.333333332765574532));
  p = fma_d(p * z, t, t) + (is_wide ? (VD)(0.78539816339744831) : (VD)(0.0));
  p = is_steep ? 1.5707963267948966 - p : p;
  p = x < 0.0 ? 3.1415926535897931 - p : p;
  return (VD)(((VL64)p & INT64_MAX) | ((VL64)y & INT64_MIN));
}
static inline VF atan2_f(VF y, VF x) {
  VF ax = abs_f(x), ay = abs_f(y);
  VI is_plain = (ax < __builtin_inff()) & (ay < __builtin_inff()) & (ax > 0.0f) & (ay > 0.0f);
  VF r = widen_apply2(is_plain ? y : (VF)(1.0f), is_plain ? x : (VF)(1.0f), atan2_d);
  if (any(~is_plain))
    for (int i = 0; i < VL; i++)
      if (!is_plain[i]) r[i] = atan2f(y[i], x[i]);
  return r;
}

/// Floored remainder with the sign of the divisor, as `torch.remainder`.
static inline float remainder_1(float a, float b) {
  float r = fmodf(a, b);
  return r != 0.0f && (r < 0.0f) != (b < 0.0f) ? r + b : r;
}
