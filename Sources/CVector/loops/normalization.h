// Layer normalization of one contiguous row: mean, then the variance about it (two passes in registers
// are exact enough and faster than Welford's recurrence), then the result.
static void layer_norm_row(
    float epsilon, const float *x, const float *weight, const float *bias, float *out, ptrdiff_t n,
    float *mean_out, float *rstd_out) {
  const float mean = (float)(row_sum(x, n) / (double)n);
  VF s0 = (VF)(0.0f), s1 = s0;
  ptrdiff_t i = 0;
  for (; i + 2 * VL <= n; i += 2 * VL) {
    const VF d0 = load(x + i) - mean, d1 = load(x + i + VL) - mean;
    s0 = fma_f(d0, d0, s0);
    s1 = fma_f(d1, d1, s1);
  }
  for (; i < n; i += VL) {
    const VF d = load_part(x + i, n - i < VL ? n - i : VL, mean) - mean;
    s0 = fma_f(d, d, s0);
  }
  const float variance = (float)(lane_sum(s0 + s1) / (double)n);
  const float rstd = 1.0f / sqrtf(variance + epsilon);
  *mean_out = mean;
  *rstd_out = rstd;
  for (i = 0; i < n; i += VL) {
    const ptrdiff_t left = n - i;
    VF v = ((left >= VL ? load(x + i) : load_part(x + i, left, 0.0f)) - mean) * rstd;
    if (weight) {
      const VF w = left >= VL ? load(weight + i) : load_part(weight + i, left, 0.0f);
      const VF b = left >= VL ? load(bias + i) : load_part(bias + i, left, 0.0f);
      v = fma_f(v, w, b);
    }
    if (left >= VL)
      store(out + i, v);
    else
      store_part(out + i, v, left);
  }
}

/// Adds the row's part to `dweight` and `dbias` unless they are NULL.
static void layer_norm_backward_row(
    const float *x, float mean, float rstd, const float *dy, const float *weight, float *dx,
    float *dweight, float *dbias, ptrdiff_t n) {
  VF sum_g = (VF)(0.0f), sum_gx = sum_g;
  for (ptrdiff_t i = 0; i < n; i += VL) {
    const ptrdiff_t left = n - i;
    const bool whole = left >= VL;
    const VF d = whole ? load(dy + i) : load_part(dy + i, left, 0.0f);
    const VF h = ((whole ? load(x + i) : load_part(x + i, left, mean)) - mean) * rstd;
    VF g = d;
    if (weight) g = d * (whole ? load(weight + i) : load_part(weight + i, left, 0.0f));
    sum_g += g;
    sum_gx = fma_f(g, h, sum_gx);
    if (dweight) {
      const VF dh = d * h;
      if (whole) {
        store(dweight + i, load(dweight + i) + dh);
        store(dbias + i, load(dbias + i) + d);
      } else {
        store_part(dweight + i, load_part(dweight + i, left, 0.0f) + dh, left);
        store_part(dbias + i, load_part(dbias + i, left, 0.0f) + d, left);
      }
    }
  }
  const float mean_g = (float)(lane_sum(sum_g) / (double)n);
  const float mean_gx = (float)(lane_sum(sum_gx) / (double)n);
  for (ptrdiff_t i = 0; i < n; i += VL) {
    const ptrdiff_t left = n - i;
    const bool whole = left >= VL;
    VF g = whole ? load(dy + i) : load_part(dy + i, left, 0.0f);
    const VF h = ((whole ? load(x + i) : load_part(x + i, left, mean)) - mean) * rstd;
    if (weight) g = g * (whole ? load(weight + i) : load_part(weight + i, left, 0.0f));
    const VF v = ((g - mean_g) - h * mean_gx) * rstd;
    if (whole)
      store(dx + i, v);
    else
      store_part(dx + i, v, left);
  }
}
