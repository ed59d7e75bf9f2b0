// Batch normalisation over the rows of [rows, channels] (NHWC images are that), lanes along the
// channels. The rows are cut in parts of `segment`; a part is short enough to stay in the cache, so
// its mean and then its squared deviations take two passes; parts are merged in order after Chan,
// Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances"
// (1979). Coefficients lie in [4][channels].

// A block of channels from `c` on in each work-item.
#define CHANNELS                                  \
  const int c = (int)get_global_id(0) * LANES;    \
  if (c >= channels) return;                      \
  const int lanes = min(LANES, channels - c);

#define ROW(p, offset, step, r) load_float(p, (offset) + (r) * (step), 1, c, lanes)

// Mean and squared deviations of a part: [2][parts][channels].
kernel void batch_norm_parts(
    global const float *x, global float *partial, int rows, int channels, int offset, int step,
    int segment) {
  CHANNELS
  const int part = get_global_id(1), parts = get_global_size(1);
  const int begin = part * segment, end = min(begin + segment, rows);
  V s0 = (V)(0.0f), s1 = s0, s2 = s0, s3 = s0;
  int r = begin;
  for (; r + 4 <= end; r += 4) {
    s0 += ROW(x, offset, step, r);
    s1 += ROW(x, offset, step, r + 1);
    s2 += ROW(x, offset, step, r + 2);
    s3 += ROW(x, offset, step, r + 3);
  }
  for (; r < end; ++r) s0 += ROW(x, offset, step, r);
  const V mean = ((s0 + s1) + (s2 + s3)) / (float)(end - begin);
  s0 = s1 = s2 = s3 = (V)(0.0f);
  r = begin;
#define DEVIATE(s, k)                                  \
  {                                                    \
    const V d = ROW(x, offset, step, r + k) - mean;    \
    s = fma(d, d, s);                                  \
  }
  for (; r + 4 <= end; r += 4) {
    DEVIATE(s0, 0)
    DEVIATE(s1, 1)
    DEVIATE(s2, 2)
    DEVIATE(s3, 3)
  }
  for (; r < end; ++r) DEVIATE(s0, 0)
  store_float(mean, partial, part * channels, 1, c, lanes);
  store_float((s0 + s1) + (s2 + s3), partial, (parts + part) * channels, 1, c, lanes);
}

// Coefficients of the training pass: mean, weight * rstd, bias.
kernel void batch_norm_statistics(
    global const float *partial, global const float *weight, global const float *bias,
    global const float *running_mean, global const float *running_variance, global float *mean,
    global float *rstd, global float *new_mean, global float *new_variance,
    global float *coefficients, int rows, int channels, int segment, int parts, float epsilon,
    float momentum, int is_affine, int tracks, const int8 offsets) {
  CHANNELS
  V m = (V)(0.0f), deviations = (V)(0.0f);
  float count = 0.0f;
  for (int part = 0; part < parts; ++part) {
    const float more = (float)min(segment, rows - part * segment);
    const V d = load_float(partial, part * channels, 1, c, lanes) - m;
    const V square = load_float(partial, (parts + part) * channels, 1, c, lanes);
    const float total = count + more;
    m += d * (more / total);
    deviations += square + d * d * (count * more / total);
    count = total;
  }
  const V variance = deviations / (float)rows;
  const V r = (V)(1.0f) / sqrt(variance + epsilon);
  store_float(m, mean, offsets.s0, 1, c, lanes);
  store_float(r, rstd, offsets.s1, 1, c, lanes);
  store_float(m, coefficients, 0, 1, c, lanes);
  const V scale = is_affine ? load_float(weight, offsets.s2, 1, c, lanes) * r : r;
  store_float(scale, coefficients, channels, 1, c, lanes);
  store_float(
      is_affine ? load_float(bias, offsets.s3, 1, c, lanes) : (V)(0.0f), coefficients,
      2 * channels, 1, c, lanes);
  if (tracks) {
    const V old_mean = load_float(running_mean, offsets.s4, 1, c, lanes);
    const V old_variance = load_float(running_variance, offsets.s5, 1, c, lanes);
    const V unbiased = variance * ((float)rows / (float)(rows - 1));
    store_float(
        old_mean * (1.0f - momentum) + m * momentum, new_mean, offsets.s6, 1, c, lanes);
    store_float(
        old_variance * (1.0f - momentum) + unbiased * momentum, new_variance, offsets.s7, 1, c,
        lanes);
  }
}

// Coefficients of inference, from given statistics.
kernel void batch_norm_given(
    global const float *mean, global const float *variance, global const float *weight,
    global const float *bias, global float *coefficients, int channels, float epsilon,
    int is_affine, const int4 offsets) {
  CHANNELS
  const V r = (V)(1.0f) / sqrt(load_float(variance, offsets.y, 1, c, lanes) + epsilon);
  store_float(load_float(mean, offsets.x, 1, c, lanes), coefficients, 0, 1, c, lanes);
  store_float(
      is_affine ? load_float(weight, offsets.z, 1, c, lanes) * r : r, coefficients, channels, 1, c,
      lanes);
  store_float(
      is_affine ? load_float(bias, offsets.w, 1, c, lanes) : (V)(0.0f), coefficients,
      2 * channels, 1, c, lanes);
}

// Runs its body for all elements of [rows, channels]: on a CPU rows from a work-item's first on.
#if APUS_GPU
#define FOR_ROWS                                                                    \
  for (int i_ = get_global_id(0); i_ < rows * channels; i_ += get_global_size(0)) { \
    const int lanes = 1, c = i_ % channels, r = i_ / channels;
#define END_ROWS }
#else
#define FOR_ROWS                                                                    \
  for (int r = (int)get_global_id(0) * chunk, last_ = min(r + chunk, rows); r < last_; ++r) \
    for (int c = 0; c < channels; c += LANES) {                                     \
      const int lanes = min(LANES, channels - c);
#define END_ROWS }
#endif

// y = f((x - mean) * scale + bias + addend)
kernel void batch_norm_apply(
    global const float *x, global const float *coefficients, global const float *addend,
    global float *y, int rows, int channels, int chunk, int x_offset, int x_step,
    int addend_offset, int addend_step, int y_offset, int y_step, int has_addend, int op, float a,
    float b) {
  FOR_ROWS
    const V mean = load_float(coefficients, 0, 1, c, lanes);
    const V scale = load_float(coefficients, channels, 1, c, lanes);
    V v = fma(
        ROW(x, x_offset, x_step, r) - mean, scale,
        load_float(coefficients, 2 * channels, 1, c, lanes));
    if (has_addend) v += ROW(addend, addend_offset, addend_step, r);
    if (op >= 0) v = unary_function(op, v, a, b);
    store_float(v, y, y_offset + r * y_step, 1, c, lanes);
  END_ROWS
}

// Sums of g and g * normalised, where g is dy through the activation: [2][parts][channels].
kernel void batch_norm_gradient_parts(
    global const float *x, global const float *y, global const float *mean,
    global const float *rstd, global const float *dy, global float *partial, int rows,
    int channels, int segment, int x_offset, int x_step, int y_offset, int y_step, int dy_offset,
    int dy_step, int mean_offset, int rstd_offset, int op, float a, float b) {
  CHANNELS
  const int part = get_global_id(1), parts = get_global_size(1);
  const int begin = part * segment, end = min(begin + segment, rows);
  const V m = load_float(mean, mean_offset, 1, c, lanes);
  const V s = load_float(rstd, rstd_offset, 1, c, lanes);
  V sum0 = (V)(0.0f), sum1 = sum0, product0 = sum0, product1 = sum0;
#define ADD_ROW(k, sum, product)                                                          \
  {                                                                                       \
    V g = ROW(dy, dy_offset, dy_step, r + k);                                             \
    if (op >= 0) g = unary_derivative(op, ROW(y, y_offset, y_step, r + k), g, a, b);      \
    sum += g;                                                                             \
    product = fma(g, ROW(x, x_offset, x_step, r + k) - m, product);                       \
  }
  int r = begin;
  for (; r + 2 <= end; r += 2) {
    ADD_ROW(0, sum0, product0)
    ADD_ROW(1, sum1, product1)
  }
  for (; r < end; ++r) ADD_ROW(0, sum0, product0)
  store_float(sum0 + sum1, partial, part * channels, 1, c, lanes);
  store_float((product0 + product1) * s, partial, (parts + part) * channels, 1, c, lanes);
}

// dweight, dbias and the coefficients of dx: mean, weight * rstd, mean of g, rstd * mean of
// g * normalised.
kernel void batch_norm_gradient_sums(
    global const float *partial, global const float *weight, global const float *mean,
    global const float *rstd, global float *dweight, global float *dbias,
    global float *coefficients, int rows, int channels, int parts, int is_affine, int weight_offset,
    int mean_offset, int rstd_offset, int dweight_offset, int dbias_offset) {
  CHANNELS
  V sum = (V)(0.0f), product = sum;
  for (int part = 0; part < parts; ++part) {
    sum += load_float(partial, part * channels, 1, c, lanes);
    product += load_float(partial, (parts + part) * channels, 1, c, lanes);
  }
  const V s = load_float(rstd, rstd_offset, 1, c, lanes);
  store_float(load_float(mean, mean_offset, 1, c, lanes), coefficients, 0, 1, c, lanes);
  store_float(
      is_affine ? s * load_float(weight, weight_offset, 1, c, lanes) : s, coefficients, channels,
      1, c, lanes);
  store_float(sum / (float)rows, coefficients, 2 * channels, 1, c, lanes);
  store_float(product / (float)rows * s, coefficients, 3 * channels, 1, c, lanes);
  if (is_affine) {
    store_float(product, dweight, dweight_offset, 1, c, lanes);
    store_float(sum, dbias, dbias_offset, 1, c, lanes);
  }
}

// dx = weight * rstd * (g - mean(g) - normalised * mean(g * normalised)), and g for the addend.
kernel void batch_norm_gradient_apply(
    global const float *x, global const float *y, global const float *dy,
    global const float *coefficients, global float *dx, global float *daddend, int rows,
    int channels, int chunk, int x_offset, int x_step, int y_offset, int y_step, int dy_offset,
    int dy_step, int dx_offset, int dx_step, int daddend_offset, int daddend_step, int has_addend,
    int op, float a, float b) {
  FOR_ROWS
    V g = ROW(dy, dy_offset, dy_step, r);
    if (op >= 0) g = unary_derivative(op, ROW(y, y_offset, y_step, r), g, a, b);
    if (has_addend) store_float(g, daddend, daddend_offset + r * daddend_step, 1, c, lanes);
    const V centered = ROW(x, x_offset, x_step, r) - load_float(coefficients, 0, 1, c, lanes);
    const V inner = g - load_float(coefficients, 2 * channels, 1, c, lanes)
        - centered * load_float(coefficients, 3 * channels, 1, c, lanes);
    store_float(
        inner * load_float(coefficients, channels, 1, c, lanes), dx, dx_offset + r * dx_step, 1, c,
        lanes);
  END_ROWS
}
