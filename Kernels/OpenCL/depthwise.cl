// Depthwise convolutions, one filter a channel (see images.cl). Weights are [tap][channel].

// Outputs that a work-item of a CPU kind computes at once: they share the loads of weights.
#define RUN 4

inline int tap_of(const Frame *f, int i, int j, int is_reversed) {
  const int tap = i * f->width + j;
  return is_reversed ? f->height * f->width - 1 - tap : tap;
}

// out[n, h, w, c] = f(sum over (i, j) of x[n, h * stride - top + i * dilation, ..., c] * w[i, j, c])
// With the taps in reverse also the input gradient of a stride of 1.
kernel void depthwise(
    const Grid grid, const Place at_x, const Place at_addend, const Place at_out, const Frame f,
    global const float *x, global const float *weights, global const float *bias,
    global const float *addend, global float *out, int height, int width, int has_bias,
    int bias_offset, int has_addend, int is_reversed, int op, float a, float b) {
#if APUS_GPU
  FOR_PIXELS(grid)
    float sum = has_bias ? bias[bias_offset + c] : 0.0f;
    for (int i = 0; i < f.height; ++i) {
      const int y = h * f.stride_h - f.top + i * f.dilation_h;
      if (y < 0 || y >= height) continue;
      for (int j = 0; j < f.width; ++j) {
        const int z = w * f.stride_w - f.left + j * f.dilation_w;
        if (z < 0 || z >= width) continue;
        sum = fma(x[pixel_at(&at_x, n, y, z) + c * at_x.channel],
                  weights[tap_of(&f, i, j, is_reversed) * grid.channels + c], sum);
      }
    }
    if (has_addend) sum += addend[pixel_at(&at_addend, n, h, w) + c * at_addend.channel];
    if (op >= 0) sum = unary_function(op, sum, a, b);
    out[pixel_at(&at_out, n, h, w) + c * at_out.channel] = sum;
  END_PIXELS
#else
  for (int row = (int)get_global_id(0) * grid.chunk,
           last = min(row + grid.chunk, grid.images * grid.height);
       row < last; ++row) {
    const int n = row / grid.height, h = row - n * grid.height;
    for (int w = 0; w < grid.width; w += RUN)
      for (int c = 0; c < grid.channels; c += LANES) {
        const int lanes = min(LANES, grid.channels - c);
        V sum[RUN];
        const V first = has_bias ? load_float(bias, bias_offset, 1, c, lanes) : (V)(0.0f);
        for (int r = 0; r < RUN; ++r) sum[r] = first;
        for (int i = 0; i < f.height; ++i) {
          const int y = h * f.stride_h - f.top + i * f.dilation_h;
          if (y < 0 || y >= height) continue;
          for (int j = 0; j < f.width; ++j) {
            const V u = load_float(
                weights, tap_of(&f, i, j, is_reversed) * grid.channels, 1, c, lanes);
            const int z = w * f.stride_w - f.left + j * f.dilation_w;
            if (z >= 0 && z + (RUN - 1) * f.stride_w < width && lanes == LANES
                && at_x.channel == 1) {
              global const float *from = x + pixel_at(&at_x, n, y, z) + c;
              const int step = f.stride_w * at_x.column;
#pragma unroll
              for (int r = 0; r < RUN; ++r) sum[r] = fma(vload16(0, from + r * step), u, sum[r]);
            } else {
#pragma unroll
              for (int r = 0; r < RUN; ++r) {
                const int zr = z + r * f.stride_w;
                if (zr >= 0 && zr < width)
                  sum[r] = fma(
                      load_float(x, pixel_at(&at_x, n, y, zr), at_x.channel, c, lanes), u, sum[r]);
              }
            }
          }
        }
        for (int r = 0; r < RUN && w + r < grid.width; ++r) {
          V v = sum[r];
          if (has_addend)
            v += load_float(
                addend, pixel_at(&at_addend, n, h, w + r), at_addend.channel, c, lanes);
          if (op >= 0) v = unary_function(op, v, a, b);
          store_float(v, out, pixel_at(&at_out, n, h, w + r), at_out.channel, c, lanes);
        }
      }
  }
#endif
}

// dx[n, h, w, c] = sum of dy * w over the windows that hold the pixel; `height` and `width` of dy.
kernel void depthwise_input(
    const Grid grid, const Place at_dy, const Place at_dx, const Frame f, global const float *dy,
    global const float *weights, global float *dx, int height, int width) {
  FOR_PIXELS(grid)
    V sum = (V)(0.0f);
    for (int i = 0; i < f.height; ++i) {
      const int y_ = h + f.top - i * f.dilation_h, y = y_ / f.stride_h;
      if (y_ < 0 || y * f.stride_h != y_ || y >= height) continue;
      for (int j = 0; j < f.width; ++j) {
        const int z_ = w + f.left - j * f.dilation_w, z = z_ / f.stride_w;
        if (z_ < 0 || z * f.stride_w != z_ || z >= width) continue;
        sum = fma(load_float(dy, pixel_at(&at_dy, n, y, z), at_dy.channel, c, lanes),
                  load_float(weights, (i * f.width + j) * grid.channels, 1, c, lanes), sum);
      }
    }
    store_float(sum, dx, pixel_at(&at_dx, n, h, w), at_dx.channel, c, lanes);
  END_PIXELS
}

// Parts of the weight gradient, [part][tap][channel], then of the bias as one more tap, over the rows
// of dy from part * chunk on. `grid` is that of dy.
#if APUS_GPU
// A work-item sums one tap (second dimension) of one channel (first).
kernel void depthwise_weights(
    const Grid grid, const Place at_x, const Place at_dy, const Frame f, global const float *x,
    global const float *dy, global float *partial, int height, int width, int has_bias) {
  const int c = get_global_id(0), tap = get_global_id(1), part = get_global_id(2);
  const int taps = f.height * f.width;
  if (c >= grid.channels) return;
  const int end = min((part + 1) * grid.chunk, grid.images * grid.height);
  const int i = tap / f.width, j = tap % f.width;
  float sum = 0.0f;
  for (int row = part * grid.chunk; row < end; ++row) {
    const int n = row / grid.height, h = row - n * grid.height;
    const int y = h * f.stride_h - f.top + i * f.dilation_h;
    if (tap < taps && (y < 0 || y >= height)) continue;
    for (int w = 0; w < grid.width; ++w) {
      const float g = dy[pixel_at(&at_dy, n, h, w) + c * at_dy.channel];
      const int z = w * f.stride_w - f.left + j * f.dilation_w;
      if (tap == taps) sum += g;
      else if (z >= 0 && z < width) sum = fma(x[pixel_at(&at_x, n, y, z) + c * at_x.channel], g, sum);
    }
  }
  partial[(part * (taps + has_bias) + tap) * grid.channels + c] = sum;
}
#else
// A work-item takes a part; pieces of a row of dy wait in private memory for all taps.
#define PIECE 64

kernel void depthwise_weights(
    const Grid grid, const Place at_x, const Place at_dy, const Frame f, global const float *x,
    global const float *dy, global float *partial, int height, int width, int has_bias) {
  V piece[PIECE];
  const int part = get_global_id(0), taps = f.height * f.width;
  const int end = min((part + 1) * grid.chunk, grid.images * grid.height);
  partial += part * (taps + has_bias) * grid.channels;
  for (int i = 0; i < (taps + has_bias) * grid.channels; ++i) partial[i] = 0.0f;
  for (int row = part * grid.chunk; row < end; ++row) {
    const int n = row / grid.height, h = row - n * grid.height;
    for (int c = 0; c < grid.channels; c += LANES) {
      const int lanes = min(LANES, grid.channels - c);
      for (int begin = 0; begin < grid.width; begin += PIECE) {
        const int some = min(PIECE, grid.width - begin);
        V total = (V)(0.0f);
        for (int w = 0; w < some; ++w) {
          piece[w] = load_float(dy, pixel_at(&at_dy, n, h, begin + w), at_dy.channel, c, lanes);
          total += piece[w];
        }
        if (has_bias) {
          const int at = taps * grid.channels;
          store_float(load_float(partial, at, 1, c, lanes) + total, partial, at, 1, c, lanes);
        }
        for (int i = 0; i < f.height; ++i) {
          const int y = h * f.stride_h - f.top + i * f.dilation_h;
          if (y < 0 || y >= height) continue;
          for (int j = 0; j < f.width; ++j) {
            // Columns w of the piece with 0 <= w * stride + first < width.
            const int first = begin * f.stride_w - f.left + j * f.dilation_w;
            int w = first >= 0 ? 0 : (f.stride_w - 1 - first) / f.stride_w;
            const int limit =
                first >= width ? 0 : min(some, (width - 1 - first) / f.stride_w + 1);
            const int at = (i * f.width + j) * grid.channels;
            const int step = f.stride_w * at_x.column;
            V s0 = load_float(partial, at, 1, c, lanes), s1 = (V)(0.0f), s2 = s1, s3 = s1;
            if (lanes == LANES && at_x.channel == 1) {
              global const float *from = x + pixel_at(&at_x, n, y, 0) + first * at_x.column + c;
              for (; w + 4 <= limit; w += 4) {
                s0 = fma(vload16(0, from + w * step), piece[w], s0);
                s1 = fma(vload16(0, from + (w + 1) * step), piece[w + 1], s1);
                s2 = fma(vload16(0, from + (w + 2) * step), piece[w + 2], s2);
                s3 = fma(vload16(0, from + (w + 3) * step), piece[w + 3], s3);
              }
            }
            for (; w < limit; ++w)
              s0 = fma(
                  load_float(x, pixel_at(&at_x, n, y, w * f.stride_w + first), at_x.channel, c, lanes),
                  piece[w], s0);
            store_float((s0 + s1) + (s2 + s3), partial, at, 1, c, lanes);
          }
        }
      }
    }
  }
}
#endif
