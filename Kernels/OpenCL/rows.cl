// Functions of whole rows [R, C] with dense columns: softmax, cross-entropy, layer normalisation.
//
// CPU kinds: a work-item owns a few rows and passes over each in blocks of 16 lanes; a row stays in
// the first-level cache between the passes. GPU kinds: a work-group of 64 owns a row and combines
// through local memory. One text serves both, by the macros below.
//
//   pass 1: maximum      pass 2: exponentials, their sum      pass 3: scale
//
// Two passes for mean and variance are as fast as one (Welford) and more accurate.

// Items of a work-group on a GPU.
#ifndef GROUP
#define GROUP 64
#endif

#if APUS_GPU
#define ROW_SCRATCH local float scratch[GROUP];
#define FOR_ROWS(it, operands)                                                        \
  {                                                                                   \
    const int line = get_group_id(0);                                                 \
    int at[operands];                                                                 \
    locate(&it, operands, line / it.shape[0], at);                                    \
    for (int k_ = 0; k_ < operands; ++k_) at[k_] += line % it.shape[0] * STRIDE(it, k_, 0);
#define END_ROWS }
#define FOR_COLUMNS(C)                                                                \
  for (int column = get_local_id(0); column < (C); column += GROUP) {                 \
    const int n = 1;
#define END_COLUMNS }
#define IS_FIRST (get_local_id(0) == 0)
#define ROW_SUM(v) group_reduce(v, 0, scratch)
#define ROW_MAX(v) group_reduce(v, 1, scratch)
#define KEEP(v, fill, n) (v)
#define COLUMN_NUMBERS(column) (column)

inline float group_reduce(float v, int maximum, local float *scratch) {
  const int me = get_local_id(0);
  scratch[me] = v;
  for (int width = GROUP / 2; width > 0; width /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (me < width) {
      const float a = scratch[me], b = scratch[me + width];
      scratch[me] = maximum ? (b > a || b != b ? b : a) : a + b;
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  const float result = scratch[0];
  barrier(CLK_LOCAL_MEM_FENCE);
  return result;
}
#else
#define ROW_SCRATCH
#define FOR_ROWS(it, operands) FOR_LINES(it, operands)
#define END_ROWS END_LINES
#define FOR_COLUMNS(C)                                    \
  for (int column = 0; column < (C); column += LANES) {   \
    const int n = min(LANES, (C) - column);
#define END_COLUMNS }
#define IS_FIRST 1
#define ROW_SUM(v) lane_sum(v)
#define ROW_MAX(v) lane_max(v)
#define LANE_NUMBERS (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#define KEEP(v, fill, n) ((n) == LANES ? (v) : select((V)(fill), (v), LANE_NUMBERS < (VI)(n)))
#define COLUMN_NUMBERS(column) (LANE_NUMBERS + (VI)(column))

inline float lane_sum(float16 v) {
  const float8 a = v.lo + v.hi;
  const float4 b = a.lo + a.hi;
  const float2 c = b.lo + b.hi;
  return c.x + c.y;
}
inline float lane_max(float16 v) {
  float lanes[LANES];
  vstore16(v, 0, lanes);
  float best = lanes[0];
  for (int k = 1; k < LANES; ++k) best = lanes[k] > best || isnan(lanes[k]) ? lanes[k] : best;
  return best;
}
#endif

#define BLOCK(p, at) load_float(p, at, 1, column, n)

// Sets `peak` to the row's maximum, NaN if it holds one.
#define ROW_PEAK(peak, x, at, C)                                  \
  V peaks_ = (V)(-INFINITY);                                      \
  FOR_COLUMNS(C)                                                  \
    const V v_ = KEEP(BLOCK(x, at), -INFINITY, n);                \
    peaks_ = select(peaks_, v_, (v_ > peaks_) | (v_ != v_));      \
  END_COLUMNS                                                     \
  const float peak = ROW_MAX(peaks_);

#if APUS_PART == 0
#if !APUS_GPU
// Rows up to this long keep their exponentials on the stack, which is in the first-level cache.
#define ROW_BUFFER 4096
#define AT(p) (((global Unaligned_float *)(p))->value)
#define KEPT(p) (((Unaligned_float *)(p))->value)

// The softmax of a row of LANES to ROW_BUFFER columns. Two vectors at a time; the last block of a row that
// does not fill it overlaps the block before. A NaN in the row makes the sum NaN, the maximum ignores it.
inline void softmax_row(global const float *x, global float *out, int columns, int logarithm) {
  float row[ROW_BUFFER] __attribute__((aligned(64)));
  const int last = columns - LANES;
  V even = AT(x + last), odd = even;
  int c = 0;
  for (; c + 2 * LANES <= columns; c += 2 * LANES) {
    const V u = AT(x + c), v = AT(x + c + LANES);
    even = select(even, u, u > even);
    odd = select(odd, v, v > odd);
  }
  if (c <= last) even = select(even, AT(x + c), AT(x + c) > even);
  even = select(even, odd, odd > even);
  const V peak = (V)(lane_max(even));
  V sums = (V)(0.0f), odd_sums = sums;
  for (c = 0; c + 2 * LANES <= columns; c += 2 * LANES) {
    const V u = apus_exp_down(AT(x + c) - peak), v = apus_exp_down(AT(x + c + LANES) - peak);
    *(V *)(row + c) = u;
    *(V *)(row + c + LANES) = v;
    sums += u;
    odd_sums += v;
  }
  for (; c < columns; c += LANES) {
    const int from = min(c, last);
    const V u = apus_exp_down(AT(x + from) - peak);
    KEPT(row + from) = u;
    sums += select((V)(0.0f), u, LANE_NUMBERS >= (VI)(c - from));
  }
  const float sum = lane_sum(sums + odd_sums);
  if (logarithm) {
    const V shift = (V)(log(sum));
    for (c = 0; c <= last; c += LANES) AT(out + c) = AT(x + c) - peak - shift;
    if (c < columns) AT(out + last) = AT(x + last) - peak - shift;
  } else {
    const V scale = (V)(1.0f / sum);
    for (c = 0; c <= last; c += LANES) AT(out + c) = *(V *)(row + c) * scale;
    if (c < columns) AT(out + last) = KEPT(row + last) * scale;
  }
}
#endif

// Operands of the walk over rows: 0 out, 1 x.
kernel void softmax(
    const Iteration it, global const float *x, global float *out, int columns, int logarithm) {
  ROW_SCRATCH
  FOR_ROWS(it, 2)
#if !APUS_GPU
    if (columns >= LANES && columns <= ROW_BUFFER) {
      softmax_row(x + at[1], out + at[0], columns, logarithm);
      continue;
    }
#endif
    ROW_PEAK(peak, x, at[1], columns)
    V sums = (V)(0.0f);
    FOR_COLUMNS(columns)
      const V e = apus_exp_down(BLOCK(x, at[1]) - (V)(peak));
      sums += KEEP(e, 0.0f, n);
      if (!logarithm) store_float(e, out, at[0], 1, column, n);
    END_COLUMNS
    const float sum = ROW_SUM(sums);
    if (logarithm) {
      const float shift = log(sum);
      FOR_COLUMNS(columns)
        store_float((BLOCK(x, at[1]) - (V)(peak)) - (V)(shift), out, at[0], 1, column, n);
      END_COLUMNS
    } else {
      const float scale = 1.0f / sum;
      FOR_COLUMNS(columns)
        store_float(BLOCK(out, at[0]) * (V)(scale), out, at[0], 1, column, n);
      END_COLUMNS
    }
  END_ROWS
}

// 0 dx, 1 y, 2 dy: y * (dy - sum(y * dy)), or dy - exp(y) * sum(dy).
kernel void softmax_backward(
    const Iteration it, global const float *y, global const float *dy, global float *dx, int columns,
    int logarithm) {
  ROW_SCRATCH
  FOR_ROWS(it, 3)
    V sums = (V)(0.0f);
    FOR_COLUMNS(columns)
      const V g = BLOCK(dy, at[2]);
      const V t = logarithm ? g : g * BLOCK(y, at[1]);
      sums += KEEP(t, 0.0f, n);
    END_COLUMNS
    const V sum = (V)(ROW_SUM(sums));
    FOR_COLUMNS(columns)
      const V g = BLOCK(dy, at[2]), v = BLOCK(y, at[1]);
      const V d = logarithm ? g - apus_exp(v) * sum : v * (g - sum);
      store_float(d, dx, at[0], 1, column, n);
    END_COLUMNS
  END_ROWS
}

// 0 gradient, 1 logits, 2 targets, 3 losses (rowWeights lies alike). With q the smoothed, weighted
// target: loss = -sum(q * log p), gradient = p * sum(q) - q.
kernel void cross_entropy(
    const Iteration it, global const float *logits, global const int *targets,
    global const float *weights, global float *losses, global float *row_weights,
    global float *gradient, int columns, float smoothing, int ignored, int has_weights,
    int has_gradient, int weight_offset, int row_weight_offset, global int *faults) {
  ROW_SCRATCH
  FOR_ROWS(it, 4)
    const int target = targets[at[2]];
    const bool in_range = (uint)target < (uint)columns;
    if (target != ignored && !in_range && IS_FIRST) note_fault(faults, 5, target, columns);
    const bool counts = target != ignored && in_range;
    const float on_target = !counts ? 0.0f : has_weights ? weights[weight_offset + target] : 1.0f;
    const float sharp = counts ? (1.0f - smoothing) * on_target : 0.0f;
    const float share = counts ? smoothing / (float)columns : 0.0f;
    ROW_PEAK(peak, logits, at[1], columns)
    V sums = (V)(0.0f);
    FOR_COLUMNS(columns)
      const V e = apus_exp_down(BLOCK(logits, at[1]) - (V)(peak));
      sums += KEEP(e, 0.0f, n);
      if (has_gradient) store_float(e, gradient, at[0], 1, column, n);
    END_COLUMNS
    const float sum = ROW_SUM(sums), log_sum = log(sum);
    float loss = 0.0f, total = sharp;
    if (counts) loss = sharp * (log_sum - (logits[at[1] + target] - peak));
    if (share != 0.0f) {
      V spread = (V)(0.0f), masses = (V)(0.0f);
      FOR_COLUMNS(columns)
        const V w = has_weights ? BLOCK(weights, weight_offset) : (V)(1.0f);
        const V t = w * ((V)(log_sum) - (BLOCK(logits, at[1]) - (V)(peak)));
        spread += KEEP(t, 0.0f, n);
        masses += KEEP(w, 0.0f, n);
      END_COLUMNS
      loss += share * ROW_SUM(spread);
      total += share * ROW_SUM(masses);
    }
    if (has_gradient) {
      const float scale = total / sum;
      FOR_COLUMNS(columns)
        const V w = has_weights ? BLOCK(weights, weight_offset) : (V)(1.0f);
        V q = select((V)(0.0f), (V)(sharp), COLUMN_NUMBERS(column) == (VI)(target));
        q = share != 0.0f ? q + w * (V)(share) : q;
        const V g = BLOCK(gradient, at[0]) * (V)(scale) - q;
        store_float(counts ? g : (V)(0.0f), gradient, at[0], 1, column, n);
      END_COLUMNS
    }
    if (IS_FIRST) {
      losses[at[3]] = loss;
      row_weights[row_weight_offset + line] = on_target;
    }
  END_ROWS
}

#else
// 0 y, 1 x; mean and rstd are dense vectors of the rows.
kernel void layer_norm(
    const Iteration it, global const float *x, global const float *weight, global const float *bias,
    global float *y, global float *mean, global float *rstd, int columns, float epsilon,
    int has_weight, int weight_offset, int bias_offset, int mean_offset, int rstd_offset) {
  ROW_SCRATCH
  FOR_ROWS(it, 2)
    V sums = (V)(0.0f);
    FOR_COLUMNS(columns)
      sums += KEEP(BLOCK(x, at[1]), 0.0f, n);
    END_COLUMNS
    const float centre = ROW_SUM(sums) / (float)columns;
    V squares = (V)(0.0f);
    FOR_COLUMNS(columns)
      const V d = KEEP(BLOCK(x, at[1]) - (V)(centre), 0.0f, n);
      squares = fma(d, d, squares);
    END_COLUMNS
    const float scale = 1.0f / sqrt(ROW_SUM(squares) / (float)columns + epsilon);
    FOR_COLUMNS(columns)
      V v = (BLOCK(x, at[1]) - (V)(centre)) * (V)(scale);
      if (has_weight) v = fma(v, BLOCK(weight, weight_offset), BLOCK(bias, bias_offset));
      store_float(v, y, at[0], 1, column, n);
    END_COLUMNS
    if (IS_FIRST) {
      mean[mean_offset + line] = centre;
      rstd[rstd_offset + line] = scale;
    }
  END_ROWS
}

// 0 dx, 1 x, 2 dy. With g = dy * weight and h the normalised x:
// dx = rstd * (g - mean(g) - h * mean(g * h)).
kernel void layer_norm_backward(
    const Iteration it, global const float *x, global const float *mean, global const float *rstd,
    global const float *dy, global const float *weight, global float *dx, int columns, int has_weight,
    int weight_offset, int mean_offset, int rstd_offset) {
  ROW_SCRATCH
  FOR_ROWS(it, 3)
    const V centre = (V)(mean[mean_offset + line]), scale = (V)(rstd[rstd_offset + line]);
    V sums = (V)(0.0f), dots = (V)(0.0f);
    FOR_COLUMNS(columns)
      const V w = has_weight ? BLOCK(weight, weight_offset) : (V)(1.0f);
      const V g = BLOCK(dy, at[2]) * w;
      const V h = (BLOCK(x, at[1]) - centre) * scale;
      sums += KEEP(g, 0.0f, n);
      dots += KEEP(g * h, 0.0f, n);
    END_COLUMNS
    const V mean_g = (V)(ROW_SUM(sums) / (float)columns);
    const V mean_gh = (V)(ROW_SUM(dots) / (float)columns);
    FOR_COLUMNS(columns)
      const V w = has_weight ? BLOCK(weight, weight_offset) : (V)(1.0f);
      const V g = BLOCK(dy, at[2]) * w;
      const V h = (BLOCK(x, at[1]) - centre) * scale;
      store_float(scale * (g - mean_g - h * mean_gh), dx, at[0], 1, column, n);
    END_COLUMNS
  END_ROWS
}

// Partial sums over rows `part * segment ...`: dweight = sum(dy * h), dbias = sum(dy), each
// [parts, C]. The walk is over the columns (0 partial, 1 x, 2 dy); rows lie a step apart.
kernel void layer_norm_parameters(
    const Iteration it, global const float *x, global const float *mean, global const float *rstd,
    global const float *dy, global float *weight_parts, global float *bias_parts, int rows,
    int segment, int step_x, int step_dy, int mean_offset, int rstd_offset) {
  const int part = get_global_id(1);
  FOR_BLOCKS(it, 3)
    V weights = (V)(0.0f), biases = (V)(0.0f);
    for (int r = part * segment; r < min((part + 1) * segment, rows); ++r) {
      const V g = BLOCK(dy, at[2] + r * step_dy);
      const V h = (BLOCK(x, at[1] + r * step_x) - (V)(mean[mean_offset + r]))
          * (V)(rstd[rstd_offset + r]);
      weights = fma(g, h, weights);
      biases += g;
    }
    store_float(weights, weight_parts, at[0] + part * it.count, 1, column, n);
    store_float(biases, bias_parts, at[0] + part * it.count, 1, column, n);
  END_BLOCKS
}
#endif
