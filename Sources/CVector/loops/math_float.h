// Functions computed in float: what training spends its time in.

/// Reduction to ±½ ln 2 in two steps, a polynomial of degree 7 (minimax, own fit), and 2ⁿ applied in
/// two factors so that results below the normal range are rounded once.
static inline VF exp_f(VF x) {
  VF t = x > 89.0f ? (VF)(89.0f) : x;
  t = t < -105.0f ? (VF)(-105.0f) : t;
  // 1.5 · 2²³ brings the rounded multiple into the low bits; ½ of it goes into each factor.
  VF shifted = fma_f(t, (VF)(0x1.715476p+0f), (VF)(0x1.8p23f));
  VF n = shifted - 0x1.8p23f;
#ifndef HAS_SCALE
  VI k = bits_of(shifted) - 0x4B400000;
#endif
  VF r = fma_f(n, (VF)(-0x1.62E4p-1f), t);
  r = fma_f(n, (VF)(-0x1.7F7D1Cp-20f), r);
  VF p = fma_f((VF)(1.98909808e-4f), r, (VF)(1.39336410e-3f));
  p = fma_f(p, r, (VF)(8.33331093e-3f));
  p = fma_f(p, r, (VF)(4.16664650e-2f));
  p = fma_f(p, r, (VF)(1.66666667e-1f));
  p = fma_f(p, r, (VF)(5.00000001e-1f));
  p = fma_f(p * r, r, r) + 1.0f;
#ifdef HAS_SCALE
  return scale_f(p, n);
#else
  VI half = k >> 1;
  return p * from_bits((half + 127) << 23) * from_bits((k - half + 127) << 23);
#endif
}

/// Mantissa in [√½, √2) and a polynomial from Cephes' logf (Moshier 1992).
static inline VF log_f(VF x) {
  VI is_small = x < 0x1p-126f;
  VF scaled = is_small ? x * 0x1p23f : x;
  VI i = bits_of(scaled) - 0x3F3504F3;
  VI e = (i >> 23) - (is_small & 23);
  VF f = from_bits((i & 0x7FFFFF) + 0x3F3504F3) - 1.0f;
  VF n = __builtin_convertvector(e, VF);
  VF z = f * f;
  VF p = fma_f((VF)(7.0376836292e-2f), f, (VF)(-1.1514610310e-1f));
  p = fma_f(p, f, (VF)(1.1676998740e-1f));
  p = fma_f(p, f, (VF)(-1.2420140846e-1f));
  p = fma_f(p, f, (VF)(1.4249322787e-1f));
  p = fma_f(p, f, (VF)(-1.6668057665e-1f));
  p = fma_f(p, f, (VF)(2.0000714765e-1f));
  p = fma_f(p, f, (VF)(-2.4999993993e-1f));
  p = fma_f(p, f, (VF)(3.3333331174e-1f));
  VF y = p * f * z;
  y = fma_f(n, (VF)(-2.12194440e-4f), y);
  y = fma_f(z, (VF)(-0.5f), y);
  VF r = fma_f(n, (VF)(0.693359375f), f + y);
  r = x == __builtin_inff() ? x : r;
  r = x == 0.0f ? (VF)(-__builtin_inff()) : r;
  return ((x < 0.0f) | (x != x)) ? (VF)(__builtin_nanf("")) : r;
}

/// Cephes' tanhf below 0.625; above, 1 - 2 / (e²ˣ + 1), whose rounding errors cancel well enough for a
/// polynomial of degree 6 (minimax, own fit). At most 1.36 units in the last place from the true value.
static inline VF tanh_f(VF x) {
  const VF a = abs_f(x);
  // Where the result is 1 already.
  const VF t = a > 10.0f ? (VF)(10.0f) : a;
  const VF shifted = fma_f(t, (VF)(0x1.715476p+1f), (VF)(0x1.8p23f));
  const VF n = shifted - 0x1.8p23f;
  VF r = fma_f(n, (VF)(-0x1.62E4p-1f), t + t);
  r = fma_f(n, (VF)(-0x1.7F7D1Cp-20f), r);
  VF e = fma_f((VF)(1.39504841e-3f), r, (VF)(8.36888807e-3f));
  e = fma_f(e, r, (VF)(4.16662059e-2f));
  e = fma_f(e, r, (VF)(1.66665188e-1f));
  e = fma_f(e, r, (VF)(0.5f));
  e = fma_f(fma_f(e, r, (VF)(1.0f)), r, (VF)(1.0f));
#ifdef HAS_SCALE
  e = scale_f(e, n);
#else
  e *= from_bits((bits_of(shifted) << 23) + 0x3F800000);
#endif
  const VF z = x * x;
  VF p = fma_f((VF)(-5.70498872745e-3f), z, (VF)(2.06390887954e-2f));
  p = fma_f(p, z, (VF)(-5.37397155531e-2f));
  p = fma_f(p, z, (VF)(1.33314422036e-1f));
  p = fma_f(p, z, (VF)(-3.33332819422e-1f));
  const VF small = fma_f(p * z, x, x);
  return with_sign_of(a > 0.625f ? 1.0f - 2.0f / (e + 1.0f) : small, x);
}

static inline VF sigmoid_f(VF x) {
  VF e = exp_f(-abs_f(x));
  return (x < 0.0f ? e : (VF)(1.0f)) / (1.0f + e);
}

/// Two polynomials after N. Juffa's erff (public posting, about 1 ulp).
static inline VF erf_f(VF x) {
  VF t = abs_f(x);
  VF s = x * x;
  VF r = fma_f((VF)(-0x1.22p-16f), t, (VF)(0x1.91CFB2p-12f));
  VF u = fma_f((VF)(-0x1.FD1438p-9f), t, (VF)(0x1.8D6342p-6f));
  r = fma_f(r, s, u);
  r = fma_f(r, t, (VF)(-0x1.B55CB8p-4f));
  r = fma_f(r, t, (VF)(-0x1.450AA0p-1f));
  r = fma_f(r, t, (VF)(-0x1.079D0Cp-3f));
  r = fma_f(r, t, -t);
  VF large = with_sign_of(1.0f - exp_f(t > 4.0f ? (VF)(-20.0f) : r), x);
  VF p = fma_f((VF)(-0x1.38Ep-11f), s, (VF)(0x1.471A58p-8f));
  p = fma_f(p, s, (VF)(-0x1.B691B2p-6f));
  p = fma_f(p, s, (VF)(0x1.CE1C44p-4f));
  p = fma_f(p, s, (VF)(-0x1.8127p-2f));
  p = fma_f(p, s, (VF)(0x1.06EBA8p-3f));
  VF small = fma_f(p, x, x);
  return t > 0.927734375f ? large : small;
}

static inline VF gelu_f(VF x) { return 0.5f * x * (1.0f + erf_f(x * 0x1.6A09E6p-1f)); }
static inline VF gelu_inner(VF x) {
  return 0.7978845608f * fma_f(0.044715f * x * x, x, x);
}
static inline VF gelu_tanh_f(VF x) { return 0.5f * x * (1.0f + tanh_f(gelu_inner(x))); }
