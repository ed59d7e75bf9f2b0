// Depthwise convolutions, one filter a channel (see images.cl). Weights are [tap][channel].

// Outputs of a row that a work-item of a CPU kind computes at once: they share the loads of weights.
#define RUN 8

inline int tap_of(const Frame *f, int i, int j, int is_reversed) {
  const int tap = i * f->width + j;
  return is_reversed ? f->height * f->width - 1 - tap : tap;
}

#if !APUS_GPU
// RUN outputs of one block of channels whose taps all lie inside the row; `y` is the row of the first
// tap. Steps are those of taps along both axes and of outputs.
SEPARATE void sum_run(
    const Frame *f, global const float *x, int tap_row, int tap_column, int step,
    global const float *weights, int channels, int y, int height, int is_reversed, V *sum) {
  V acc[RUN];
  EACH(r, RUN) acc[r] = (V)(0.0f);
  for (int i = 0; i < f->height; ++i) {
    const int yi = y + i * f->dilation_h;
    if (yi < 0 || yi >= height) continue;
    for (int j = 0; j < f->width; ++j) {
      const V u = LOAD_V(weights + tap_of(f, i, j, is_reversed) * channels);
      global const float *from = x + i * tap_row + j * tap_column;
      EACH(r, RUN) acc[r] = fma(LOAD_V(from + r * step), u, acc[r]);
    }
  }
  EACH(r, RUN) sum[r] = acc[r];
}

// One output, over the taps of a row from `first` to before `last`.
INLINED V sum_one(
    const Frame *f, global const float *x, int tap_row, int tap_column, int first, int last,
    global const float *weights, int channels, int y, int height, int is_reversed) {
  V sum = (V)(0.0f);
  for (int i = 0; i < f->height; ++i) {
    const int yi = y + i * f->dilation_h;
    if (yi < 0 || yi >= height) continue;
    for (int j = first; j < last; ++j)
      sum = fma(
          LOAD_V(x + i * tap_row + j * tap_column),
          LOAD_V(weights + tap_of(f, i, j, is_reversed) * channels), sum);
  }
  return sum;
}
#endif

// out[n, h, w, c] = f(sum over (i, j) of x[n, h * stride - top + i * dilation, ..., c] * w[i, j, c])
// With the taps in reverse also the input gradient of a stride of 1.
kernel WIDE void depthwise(
    const Grid grid, const Place at_x, const Place at_addend, const Place at_out, const Frame f,
    global const float *restrict x, global const float *restrict weights, global const float *restrict bias,
    global const float *restrict addend, global float *restrict out, int height, int width, int has_bias,
    int bias_offset, int has_addend, int is_reversed, int op, float a, float b) {
#if APUS_GPU
  FOR_PIXELS_OF(grid, at_out)
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
  // Columns of the output whose window lies inside the image.
  const int inner = clamp((f.left + f.stride_w - 1) / f.stride_w, 0, grid.width);
  const int room = width - 1 + f.left - (f.width - 1) * f.dilation_w;
  const int outer = room < 0 ? inner : clamp(room / f.stride_w + 1, inner, grid.width);
  for (int row = (int)get_global_id(0) * grid.chunk,
           last = min(row + grid.chunk, grid.images * grid.height);
       row < last; ++row) {
    const int n = row / grid.height, h = row - n * grid.height;
    const int y = h * f.stride_h - f.top;
    const int bottom = y + f.dilation_h * (f.height - 1) + f.stride_h;
    int w = 0;
    while (w < grid.width) {
      const int is_run = w >= inner && w < outer && inner + RUN <= outer && at_x.channel == 1;
      const int run = is_run ? RUN : 1;
      // The last run computes some outputs again rather than one by one.
      if (is_run) w = min(w, outer - RUN);
      // Taps inside the row, for a single output.
      const int z = w * f.stride_w - f.left;
      const int first_tap = z >= 0 ? 0 : min(f.width, (f.dilation_w - 1 - z) / f.dilation_w);
      const int last_tap =
          z >= width ? first_tap : clamp((width - 1 - z) / f.dilation_w + 1, first_tap, f.width);
      for (int c = 0; c < grid.channels; c += LANES) {
        const int lanes = min(LANES, grid.channels - c);
        V sum[RUN];
        // What the next row reads first and writes comes from far away.
        if (is_run)
          for (int r = 0; r < RUN; ++r) {
            PREFETCH(
                x + pixel_at(&at_x, n, clamp(bottom, 0, height - 1), (w + r) * f.stride_w) + c, 0);
            PREFETCH(out + pixel_at(&at_out, n, min(h + 1, grid.height - 1), w + r) + c, 1);
          }
        if (!is_run && lanes == LANES && at_x.channel == 1)
          sum[0] = sum_one(
              &f, x + at_x.offset + n * at_x.image + y * at_x.row + z * at_x.column + c,
              at_x.row * f.dilation_h, at_x.column * f.dilation_w, first_tap, last_tap,
              weights + c, grid.channels, y, height, is_reversed);
        else if (is_run && lanes == LANES)
          sum_run(
              &f, x + pixel_at(&at_x, n, y, w * f.stride_w - f.left) + c, at_x.row * f.dilation_h,
              at_x.column * f.dilation_w, at_x.column * f.stride_w, weights + c, grid.channels, y,
              height, is_reversed, sum);
        else
          for (int r = 0; r < run; ++r) {
            sum[r] = (V)(0.0f);
            for (int i = 0; i < f.height; ++i) {
              const int yi = y + i * f.dilation_h;
              if (yi < 0 || yi >= height) continue;
              // A run of blocks that are not whole has all taps inside, too.
              for (int j = is_run ? 0 : first_tap; j < (is_run ? f.width : last_tap); ++j)
                sum[r] = fma(
                    load_float(
                        x, pixel_at(&at_x, n, yi, z + r * f.stride_w + j * f.dilation_w),
                        at_x.channel, c, lanes),
                    load_float(weights, tap_of(&f, i, j, is_reversed) * grid.channels, 1, c, lanes),
                    sum[r]);
            }
          }
        const V first = has_bias ? load_float(bias, bias_offset, 1, c, lanes) : (V)(0.0f);
        for (int r = 0; r < run; ++r) {
          V v = sum[r] + first;
          if (has_addend)
            v += load_float(
                addend, pixel_at(&at_addend, n, h, w + r), at_addend.channel, c, lanes);
          if (op >= 0) v = unary_function(op, v, a, b);
          store_float(v, out, pixel_at(&at_out, n, h, w + r), at_out.channel, c, lanes);
        }
      }
      w += run;
    }
  }
#endif
}

// dx[n, h, w, c] = sum of dy * w over the windows that hold the pixel; `height` and `width` of dy.
kernel void depthwise_input(
    const Grid grid, const Place at_dy, const Place at_dx, const Frame f, global const float *dy,
    global const float *weights, global float *dx, int height, int width) {
  FOR_PIXELS_OF(grid, at_dx)
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
kernel WIDE void depthwise_weights(
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

kernel WIDE void depthwise_weights(
    const Grid grid, const Place at_x, const Place at_dy, const Frame f, global const float *x,
    global const float *dy, global float *partial, int height, int width, int has_bias) {
  V piece[PIECE];
  const int part = get_global_id(0), taps = f.height * f.width;
  const int end = min((part + 1) * grid.chunk, grid.images * grid.height);
  partial += part * (taps + has_bias) * grid.channels;
  for (int i = 0; i < (taps + has_bias) * grid.channels; ++i) partial[i] = 0.0f;
  for (int row = part * grid.chunk; row < end; ++row) {
    const int n = row / grid.height, h = row - n * grid.height;
    // The row of x that the next row meets first.
    const int bottom = (h + 1) * f.stride_h - f.top + (f.height - 1) * f.dilation_h;
    for (int c = 0; c < grid.channels; c += LANES) {
      const int lanes = min(LANES, grid.channels - c);
      for (int begin = 0; begin < grid.width; begin += PIECE) {
        const int some = min(PIECE, grid.width - begin);
        V total = (V)(0.0f);
        for (int w = 0; w < some; ++w) {
          piece[w] = load_float(dy, pixel_at(&at_dy, n, h, begin + w), at_dy.channel, c, lanes);
          total += piece[w];
          PREFETCH(dy + pixel_at(&at_dy, n, min(h + 1, grid.height - 1), begin + w) + c, 0);
          PREFETCH(
              x + pixel_at(&at_x, n, clamp(bottom, 0, height - 1),
                           min((begin + w) * f.stride_w, width - 1)) + c, 0);
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
                s0 = fma(LOAD_V(from + w * step), piece[w], s0);
                s1 = fma(LOAD_V(from + (w + 1) * step), piece[w + 1], s1);
                s2 = fma(LOAD_V(from + (w + 2) * step), piece[w + 2], s2);
                s3 = fma(LOAD_V(from + (w + 3) * step), piece[w + 3], s3);
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
