// Softmax and cross entropy of one contiguous row: a pass for the maximum, a pass that keeps the
// exponentials and sums them, a pass that scales; a row stays in the first cache between them.

/// `out = exp(x − shift)`, returns the sum. Asks for the row that follows, which is most often next.
static inline float row_exponentials(const float *x, float shift, float *out, ptrdiff_t n) {
  VF s0 = (VF)(0.0f), s1 = s0;
  ptrdiff_t i = 0;
  for (; i + 2 * VL <= n; i += 2 * VL) {
    const VF e0 = exp_f(load(x + i) - shift), e1 = exp_f(load(x + i + VL) - shift);
    store(out + i, e0);
    store(out + i + VL, e1);
    __builtin_prefetch(x + n + i);
    __builtin_prefetch(x + n + i + VL);
    s0 += e0;
    s1 += e1;
  }
  for (; i < n; i += VL) {
    const ptrdiff_t left = n - i < VL ? n - i : VL;
    const VF e = exp_f(load_part(x + i, left, -__builtin_inff()) - shift);
    store_part(out + i, e, left);
    s0 += e;
  }
  return (float)lane_sum(s0 + s1);
}

/// The sum alone.
static inline float row_exponential_sum(const float *x, float shift, ptrdiff_t n) {
  VF s0 = (VF)(0.0f), s1 = s0;
  ptrdiff_t i = 0;
  for (; i + 2 * VL <= n; i += 2 * VL) {
    s0 += exp_f(load(x + i) - shift);
    s1 += exp_f(load(x + i + VL) - shift);
    __builtin_prefetch(x + n + i);
    __builtin_prefetch(x + n + i + VL);
  }
  for (; i < n; i += VL) {
    const ptrdiff_t left = n - i < VL ? n - i : VL;
    s0 += exp_f(load_part(x + i, left, -__builtin_inff()) - shift);
  }
  return (float)lane_sum(s0 + s1);
}

/// `out = EXPRESSION(v)` of a row `from`; past the cache if asked and possible.
#define ROW_LOOP(FROM, STREAM, EXPRESSION)                                    \
  do {                                                                        \
    ptrdiff_t i = 0;                                                          \
    if ((STREAM) && n >= VL) {                                                \
      const ptrdiff_t lead = (ptrdiff_t)(-(uintptr_t)out / sizeof(float) % VL); \
      if (lead > 0 && lead <= n) {                                            \
        VF v = load_part(FROM, lead, 0.0f);                                   \
        store_part(out, EXPRESSION, lead);                                    \
        i = lead;                                                             \
      }                                                                       \
      for (; i + VL <= n; i += VL) {                                          \
        VF v = load(FROM + i);                                                \
        store_stream(out + i, EXPRESSION);                                    \
      }                                                                       \
    } else {                                                                  \
      for (; i + VL <= n; i += VL) {                                          \
        VF v = load(FROM + i);                                                \
        store(out + i, EXPRESSION);                                           \
      }                                                                       \
    }                                                                         \
    if (i < n) {                                                              \
      VF v = load_part(FROM + i, n - i, 0.0f);                                \
      store_part(out + i, EXPRESSION, n - i);                                 \
    }                                                                         \
  } while (0)

enum { ROW_BUFFER = 4096 };

static void softmax_row(bool logarithm, const float *x, float *out, ptrdiff_t n, bool stream) {
  const float maximum = row_shift(x, n);
  if (logarithm) {
    const float logarithm_of_sum = logf(row_exponential_sum(x, maximum, n));
    ROW_LOOP(x, stream, (v - maximum) - logarithm_of_sum);
    return;
  }
  if (stream && n <= ROW_BUFFER) {
    float exponentials[ROW_BUFFER];
    const float factor = 1.0f / row_exponentials(x, maximum, exponentials, n);
    ROW_LOOP(exponentials, true, v * factor);
    return;
  }
  const float factor = 1.0f / row_exponentials(x, maximum, out, n);
  ROW_LOOP(out, false, v * factor);
}

static void softmax_backward_row(
    bool logarithm, const float *y, const float *dy, float *out, ptrdiff_t n) {
  ptrdiff_t i = 0;
  if (logarithm) {
    const float sum = (float)row_sum(dy, n);
    for (; i + VL <= n; i += VL) store(out + i, fma_f(exp_f(load(y + i)), (VF)(-sum), load(dy + i)));
    if (i < n) {
      const VF e = exp_f(load_part(y + i, n - i, 0.0f));
      store_part(out + i, fma_f(e, (VF)(-sum), load_part(dy + i, n - i, 0.0f)), n - i);
    }
    return;
  }
  VF s0 = (VF)(0.0f), s1 = s0;
  for (; i + 2 * VL <= n; i += 2 * VL) {
    s0 = fma_f(load(y + i), load(dy + i), s0);
    s1 = fma_f(load(y + i + VL), load(dy + i + VL), s1);
  }
  for (; i < n; i += VL) {
    const ptrdiff_t left = n - i < VL ? n - i : VL;
    s0 = fma_f(load_part(y + i, left, 0.0f), load_part(dy + i, left, 0.0f), s0);
  }
  const float dot = (float)lane_sum(s0 + s1);
  for (i = 0; i + VL <= n; i += VL) store(out + i, load(y + i) * (load(dy + i) - dot));
  if (i < n) {
    const VF v = load_part(y + i, n - i, 0.0f) * (load_part(dy + i, n - i, 0.0f) - dot);
    store_part(out + i, v, n - i);
  }
}

/// With `q` the smoothed and weighted target, `Q` its sum and `L` the logarithm of the sum of
/// exponentials: loss `Q · L − Σ q · x`, gradient `Q · p − q`.
static float cross_entropy_row(
    float smoothing, const float *x, int32_t target, const float *weights, ptrdiff_t n, float *out) {
  const float maximum = row_shift(x, n);
  const float sum = out ? row_exponentials(x, maximum, out, n) : row_exponential_sum(x, maximum, n);
  const float weight = weights ? weights[target] : 1.0f;
  const float on_target = (1.0f - smoothing) * weight;
  const float log_sum = logf(sum);
  float loss = on_target * (log_sum - (x[target] - maximum));
  float total = on_target;
  const float share = n > 0 ? smoothing / (float)n : 0.0f;
  if (smoothing != 0.0f) {
    double spread = 0, mass = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
      const float q = weights ? share * weights[i] : share;
      mass += q;
      if (q != 0.0f) spread += (double)q * (log_sum - (x[i] - maximum));
    }
    loss += (float)spread;
    total += (float)mass;
  }
  if (out) {
    const float factor = total / sum;
    if (smoothing == 0.0f) {
      ROW_LOOP(out, false, v * factor);
    } else if (!weights) {
      ROW_LOOP(out, false, v * factor - share);
    } else {
      for (ptrdiff_t i = 0; i < n; i++) out[i] = out[i] * factor - share * weights[i];
    }
    out[target] -= on_target;
  }
  return loss;
}
