// Convolutions 3 x 3 and 5 x 5 with stride 1 for CPU kinds by Winograd's F(4 x 4, 3 x 3) and
// F(2 x 2, 5 x 5): 36 products give the 16 or 4 outputs of a tile, which take 144 or 100 directly.
//
//   U = G w G'      once per weight               [panel][point][channel][PANEL]
//   V = B' d B      of 6 x 6 inputs a tile        [point][tile][channel]
//   M = U V         summed over the channels      [point][PIXELS tiles][PANEL]
//   y = A' M A      the outputs of a tile
//
// A work-item transforms the inputs of `pixels` tiles, then goes through the panels; per panel and
// PIXELS tiles it multiplies and transforms back. V and M stay in its caches. The points are 0,
// +-sqrt(1/2), +-sqrt(2) and infinity, with which the rounding error is about twice that of the direct
// sum (with 0, +-1, +-2 it is four times that).
//
// After Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016); points after
// Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural
// Networks" (2020).

#define POINTS 36
#define ROWS PIXELS
// Elements between the points of scratch areas, so that the points of a tile meet different sets of a
// cache.
#define SKEW 16
// a = sqrt(1/2), b = sqrt(2): a * b = 1, a * a = 1/2, b * b = 2.
#define P_A 0.70710678118654752f
#define P_B 1.41421356237309505f

// G along up to five weights that lie `step` apart, `last` the place of the last one; the others are 0.
INLINED void transform_weights(const V *g, int step, int last, V *u, int u_step) {
  const V g0 = g[0], g1 = g[step], g2 = g[2 * step], g3 = g[3 * step], g4 = g[4 * step];
  const V even_a = fma(g4, (V)(0.25f), fma(g2, (V)(0.5f), g0));
  const V odd_a = fma(g3, (V)(0.5f), g1) * P_A;
  const V even_b = fma(g4, (V)(4.0f), fma(g2, (V)(2.0f), g0));
  const V odd_b = fma(g3, (V)(2.0f), g1) * P_B;
  // 1 / (2 a a (a a - b b)) = -2/3 and 1 / (2 b b (b b - a a)) = 1/6.
  u[0] = g0;
  u[u_step] = (even_a + odd_a) * (-2.0f / 3.0f);
  u[2 * u_step] = (even_a - odd_a) * (-2.0f / 3.0f);
  u[3 * u_step] = (even_b + odd_b) * (1.0f / 6.0f);
  u[4 * u_step] = (even_b - odd_b) * (1.0f / 6.0f);
  u[5 * u_step] = g[last * step];
}

// Weights of one panel, a block of outputs at a time; strides may be negative (the input gradient).
kernel void PASTE(winograd_pack_, VECTORS)(const Pack p, global const float *w, global float *packed) {
  const int panel = get_global_id(1), taps = p.height;
  const int begin = (int)get_global_id(0) * p.chunk, end = min(begin + p.chunk, p.inputs);
  const int first = panel * p.panel;
  global float *to = packed + panel * POINTS * p.inputs * p.panel;
  for (int c = begin; c < end; ++c)
    for (int k = 0; k < p.panel; k += LANES) {
      const int n = min(LANES, p.outputs - first - k);
      V g[25], t[30], u[POINTS];
      for (int i = 0; i < 5; ++i)
        for (int j = 0; j < 5; ++j)
          g[i * 5 + j] = i < taps && j < taps && n > 0
              ? load_float(
                  w, p.offset + (first + k) * p.out_step + c * p.in_step + i * p.row_step
                         + j * p.column_step, p.out_step, 0, n)
              : (V)(0.0f);
      for (int j = 0; j < 5; ++j) transform_weights(g + j, 5, taps - 1, t + j, 5);
      for (int i = 0; i < 6; ++i) transform_weights(t + 5 * i, 1, taps - 1, u + 6 * i, 1);
      for (int i = 0; i < POINTS; ++i)
        store_float(u[i], to, (i * p.inputs + c) * p.panel, 1, k, LANES);
    }
}

// B' along six values that lie `step` apart.
INLINED void transform_input(V *d, int step) {
  const V d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step];
  const V d5 = d[5 * step];
  const V even_a = fma(d2, (V)(-2.0f), d4), odd_a = fma(d1, (V)(-2.0f), d3) * P_A;
  const V even_b = fma(d2, (V)(-0.5f), d4), odd_b = fma(d1, (V)(-0.5f), d3) * P_B;
  d[0] = fma(d2, (V)(-2.5f), d0) + d4;
  d[step] = even_a + odd_a;
  d[2 * step] = even_a - odd_a;
  d[3 * step] = even_b + odd_b;
  d[4 * step] = even_b - odd_b;
  d[5 * step] = fma(d3, (V)(-2.5f), d1) + d5;
}

// A' along six values: the first four, or two, become the outputs.
INLINED void transform_output(V *m, int step, int outputs) {
  const V s1 = m[step] + m[2 * step], d1 = m[step] - m[2 * step];
  const V s2 = m[3 * step] + m[4 * step], d2 = m[3 * step] - m[4 * step];
  const V m5 = m[5 * step];
  m[0] = m[0] + s1 + s2;
  m[step] = fma(d1, (V)(P_A), d2 * P_B);
  if (outputs == 2) {
    m[step] += m5;
  } else {
    m[2 * step] = fma(s1, (V)(0.5f), s2 * 2.0f);
    m[3 * step] = fma(d1, (V)(0.5f * P_A), fma(d2, (V)(2.0f * P_B), m5));
  }
}

// The inputs of one tile whose first pixel is (h, w): V, `step` elements between points.
SEPARATE void read_tile(
    const Conv *g, global const float *x, int h, int w, local float *v, int step) {
  const int is_inside = h >= 0 && w >= 0 && h + 6 <= g->height && w + 6 <= g->width;
  for (int c = 0; c < g->channels; c += LANES) {
    const int n = min(LANES, g->channels - c);
    V d[POINTS];
    if (is_inside && n == LANES) {
      global const float *from = x + (h * g->width + w) * g->pitch + c;
      EACH(i, 6) EACH(j, 6) d[i * 6 + j] = LOAD_V(from + (i * g->width + j) * g->pitch);
    } else {
      for (int i = 0; i < 6; ++i)
        for (int j = 0; j < 6; ++j) {
          const int is_pixel =
              ((uint)(h + i) < (uint)g->height) & ((uint)(w + j) < (uint)g->width);
          d[i * 6 + j] = is_pixel
              ? load_float(x, ((h + i) * g->width + w + j) * g->pitch, 1, c, n) : (V)(0.0f);
        }
    }
    EACH(j, 6) transform_input(d + j, 6);
    EACH(i, 6) transform_input(d + 6 * i, 1);
    EACH(p, POINTS) *(local V *)(v + p * step + c) = d[p];
  }
}

// All points of PIXELS tiles: `v` is [point][tile][row], row elements a tile, `step` a point.
SEPARATE void multiply_points(
    const local float *v, int row, int step, int channels, global const float *u, local float *m) {
  for (int p = 0; p < POINTS; ++p) {
    W acc[PIXELS][VECTORS];
    EACH(t, PIXELS) EACH(k, VECTORS) acc[t][k] = (W)(0.0f);
    const local float *from = v + p * (long)step;
#pragma unroll 2
    for (long c = 0; c < channels; ++c) {
      W w[VECTORS];
      EACH(k, VECTORS) w[k] = LOAD_W(u + k * WIDTH);
      u += PANEL;
      EACH(t, PIXELS) {
        const W s = (W)(from[t * (long)row + c]);
        EACH(k, VECTORS) acc[t][k] = fma(s, w[k], acc[t][k]);
      }
    }
    EACH(t, PIXELS) EACH(k, VECTORS) *(local W *)(m + t * PANEL + k * WIDTH) = acc[t][k];
    m += PIXELS * PANEL + SKEW;
  }
}

// One tile of M, `columns` channels of `height` x `width` outputs.
SEPARATE void write_tile(
    const Conv *g, const local float *m, int columns, int edge, int height, int width,
    global const float *bias, global const float *addend, global float *out) {
  for (int k = 0; k < columns; k += LANES) {
    const int n = min(LANES, columns - k);
    V y[POINTS];
    EACH(p, POINTS) y[p] = *(const local V *)(m + p * (PIXELS * PANEL + SKEW) + k);
    if (edge == 4) {
      EACH(j, 6) transform_output(y + j, 6, 4);
      EACH(i, 4) transform_output(y + 6 * i, 1, 4);
    } else {
      EACH(j, 6) transform_output(y + j, 6, 2);
      EACH(i, 2) transform_output(y + 6 * i, 1, 2);
    }
    const V b = g->has_bias ? load_float(bias, 0, 1, k, n) : (V)(0.0f);
    for (int i = 0; i < height; ++i)
      for (int j = 0; j < width; ++j) {
        V v = y[i * 6 + j] + b;
        if (g->has_addend)
          v += load_float(addend, i * g->addend_row + j * g->addend_pixel, 1, k, n);
        if (g->op >= 0) v = unary_function(g->op, v, g->a, g->b);
        const int at = i * g->out_row + j * g->out_pixel;
        if (n == LANES)
          ((global UnalignedV *)(out + at + k))->value = v;
        else
          store_float(v, out, at, 1, k, n);
      }
  }
}

// `pixels` tiles a work-item, a multiple of PIXELS. Scratch: V, then M.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE void PASTE(winograd_, VECTORS)(
    const Conv g, global const float *restrict x, global const float *restrict weights,
    global const float *restrict bias, global const float *restrict addend,
    global float *restrict out, local float *restrict scratch) {
  const int edge = 7 - g.taps_h;
  const int tall = (g.out_height + edge - 1) / edge, wide = (g.out_width + edge - 1) / edge;
  const int total = g.images * tall * wide;
  const int begin = (int)get_group_id(0) * g.pixels, end = min(begin + g.pixels, total);
  const int row = (g.channels + LANES - 1) / LANES * LANES, step = g.pixels * row + SKEW;
  local float *m = scratch + POINTS * step;
  x += g.in_offset;
  for (int tile = begin; tile < end; ++tile) {
    const int n = tile / (tall * wide), p = tile / wide % tall, q = tile % wide;
    read_tile(
        &g, x + n * g.height * g.width * g.pitch, p * edge + g.h_base, q * edge + g.w_base,
        scratch + (tile - begin) * row, step);
  }
  for (int panel = 0; panel < g.panels; ++panel) {
    const int column = panel * PANEL, columns = min(PANEL, g.outputs - column);
    for (int first = begin; first < end; first += PIXELS) {
      multiply_points(
          scratch + (first - begin) * row, row, step, g.channels,
          weights + panel * POINTS * g.channels * PANEL, m);
      for (int tile = first; tile < min(first + PIXELS, end); ++tile) {
        const int n = tile / (tall * wide), p = tile / wide % tall, q = tile % wide;
        write_tile(
            &g, m + (tile - first) * PANEL, columns, edge, min(edge, g.out_height - p * edge),
            min(edge, g.out_width - q * edge), bias + g.bias_offset + column,
            addend + g.addend_offset + column + n * g.addend_image + p * edge * g.addend_row
                + q * edge * g.addend_pixel,
            out + g.out_offset + column + n * g.out_image + p * edge * g.out_row
                + q * edge * g.out_pixel);
      }
    }
  }
}

// Weight gradient, F(taps x taps, edge x edge): the same points, with dy in the place of the weights,
// summed over the tiles before the last transform:
//
//   U = G dy G'     [point][tile][PANEL]        M += V' U     [point][channel][PANEL]
//
// A work-item takes a part of the tiles, `panels_each` at a time, a panel and a block of `panel_size`
// channels. M is one of [part][panel], followed by the sums of dy for the bias.

// G along four or two values of dy that lie `step` apart.
INLINED void transform_gradients(const V *g, int step, int count, V *u, int u_step) {
  const V g0 = g[0], g1 = g[step];
  V even_a = g0, odd_a = g1 * P_A, even_b = g0, odd_b = g1 * P_B, last = g1;
  if (count == 4) {
    const V g2 = g[2 * step];
    last = g[3 * step];
    even_a = fma(g2, (V)(0.5f), g0);
    odd_a = fma(last, (V)(0.5f), g1) * P_A;
    even_b = fma(g2, (V)(2.0f), g0);
    odd_b = fma(last, (V)(2.0f), g1) * P_B;
  }
  u[0] = g0;
  u[u_step] = (even_a + odd_a) * (-2.0f / 3.0f);
  u[2 * u_step] = (even_a - odd_a) * (-2.0f / 3.0f);
  u[3 * u_step] = (even_b + odd_b) * (1.0f / 6.0f);
  u[4 * u_step] = (even_b - odd_b) * (1.0f / 6.0f);
  u[5 * u_step] = last;
}

// dy of one tile, `columns` channels of `height` x `width` pixels: U, and its sums.
SEPARATE void read_gradient(
    const Conv *g, global const float *dy, int columns, int edge, int height, int width,
    local float *u, int step, float *sums) {
  for (int k = 0; k < PANEL; k += LANES) {
    const int n = min(LANES, columns - k);
    V d[16], t[24], v[POINTS];
    V total = *(V *)(sums + k);
    if (n == LANES && height == 4 && width == 4) {
      EACH(i, 4) EACH(j, 4) {
        d[i * 4 + j] = LOAD_V(dy + i * g->out_row + j * g->out_pixel + k);
        total += d[i * 4 + j];
      }
    } else {
      EACH(i, 4) EACH(j, 4) {
        const int is_pixel = i < height && j < width && n > 0;
        d[i * 4 + j] = is_pixel
            ? load_float(dy, i * g->out_row + j * g->out_pixel, 1, k, n) : (V)(0.0f);
        total += d[i * 4 + j];
      }
    }
    *(V *)(sums + k) = total;
    if (edge == 4) {
      EACH(j, 4) transform_gradients(d + j, 4, 4, t + j, 4);
      EACH(i, 6) transform_gradients(t + 4 * i, 1, 4, v + 6 * i, 1);
    } else {
      EACH(j, 2) transform_gradients(d + j, 4, 2, t + j, 4);
      EACH(i, 6) transform_gradients(t + 4 * i, 1, 2, v + 6 * i, 1);
    }
    EACH(p, POINTS) *(local V *)(u + p * step + k) = v[p];
  }
}

SEPARATE void add_products(
    const local float *v, int row, int step, int channels, const local float *u, int u_step,
    int tiles, global float *m, int m_step, int accumulates) {
  for (int p = 0; p < POINTS; ++p, v += step, u += u_step, m += m_step)
    for (int c = 0; c < channels; c += ROWS) {
      W acc[ROWS][VECTORS];
      EACH(r, ROWS) EACH(k, VECTORS) acc[r][k] = (W)(0.0f);
      if (accumulates) {
        EACH(r, ROWS) EACH(k, VECTORS)
          acc[r][k] = ((global UnalignedW *)(m + (c + r) * PANEL + k * WIDTH))->value;
      }
      const local float *from = v + c;
#pragma unroll 2
      for (long t = 0; t < tiles; ++t) {
        W w[VECTORS];
        EACH(k, VECTORS) w[k] = *(const local W *)(u + t * PANEL + k * WIDTH);
        EACH(r, ROWS) {
          const W s = (W)(from[t * row + r]);
          EACH(k, VECTORS) acc[r][k] = fma(s, w[k], acc[r][k]);
        }
      }
      EACH(r, ROWS) EACH(k, VECTORS)
        ((global UnalignedW *)(m + (c + r) * PANEL + k * WIDTH))->value = acc[r][k];
    }
}

// Scratch: V of `panels_each` tiles, then U.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE void PASTE(winograd_weights_, VECTORS)(
    const Conv g, global const float *restrict x, global const float *restrict dy,
    global float *restrict partial, local float *restrict scratch) {
  const int edge = 7 - g.taps_h;
  const int tall = (g.out_height + edge - 1) / edge, wide = (g.out_width + edge - 1) / edge;
  const int total = g.images * tall * wide;
  const int part = get_group_id(0), panel = get_group_id(1);
  const int first_channel = (int)get_group_id(2) * g.panel_size;
  const int begin = min(part * g.pixels, total), end = min(begin + g.pixels, total);
  const int column = panel * PANEL, columns = min(PANEL, g.outputs - column);
  // Rows of M for all channels, a multiple of LANES.
  const int rows = (g.channels + LANES - 1) / LANES * LANES;
  Conv block = g;
  block.channels = min(g.panel_size, g.channels - first_channel);
  const int row = (block.channels + LANES - 1) / LANES * LANES;
  const int step = g.panels_each * row + SKEW;
  local float *u = scratch + POINTS * step;
  const int u_step = g.panels_each * PANEL + SKEW;
  float sums[PANEL] __attribute__((aligned(64)));
  for (int k = 0; k < PANEL; ++k) sums[k] = 0.0f;
  x += g.in_offset + first_channel;
  dy += g.out_offset + column;
  global float *m = partial + (part * g.panels + panel) * (POINTS * rows + 1) * PANEL;

  int at = begin;
  do {
    const int some = min(g.panels_each, end - at);
    for (int i = 0; i < some; ++i) {
      const int n = (at + i) / (tall * wide), p = (at + i) / wide % tall, q = (at + i) % wide;
      read_tile(
          &block, x + n * g.height * g.width * g.pitch, p * edge + g.h_base, q * edge + g.w_base,
          scratch + i * row, step);
      read_gradient(
          &g, dy + n * g.out_image + p * edge * g.out_row + q * edge * g.out_pixel, columns, edge,
          min(edge, g.out_height - p * edge), min(edge, g.out_width - q * edge), u + i * PANEL,
          u_step, sums);
    }
    add_products(
        scratch, row, step, row, u, u_step, some, m + first_channel * PANEL, rows * PANEL,
        at > begin);
    at += some;
  } while (at < end);
  if (first_channel == 0)
    for (int k = 0; k < PANEL; ++k) m[POINTS * rows * PANEL + k] = sums[k];
}

// A' along six values, for three or five outputs.
INLINED void transform_gradient(V *m, int step, int outputs) {
  const V s1 = m[step] + m[2 * step], d1 = m[step] - m[2 * step];
  const V s2 = m[3 * step] + m[4 * step], d2 = m[3 * step] - m[4 * step];
  const V m5 = m[5 * step];
  m[0] = m[0] + s1 + s2;
  m[step] = fma(d1, (V)(P_A), d2 * P_B);
  m[2 * step] = fma(s1, (V)(0.5f), s2 * 2.0f);
  m[3 * step] = fma(d1, (V)(0.5f * P_A), d2 * (2.0f * P_B));
  m[4 * step] = fma(s1, (V)(0.25f), fma(s2, (V)(4.0f), m5));
  if (outputs == 3) m[2 * step] += m5;
}

// Sums the parts of M in order and transforms them to the gradient; a work-item takes channels of a
// panel, and the first one its bias.
kernel void PASTE(winograd_unpack_, VECTORS)(
    const Unpack p, global const float *partial, global float *dw, global float *dbias) {
  const int panel = get_global_id(1), first = panel * p.panel, taps = p.height;
  const int rows = (p.inputs + LANES - 1) / LANES * LANES;
  const int begin = (int)get_global_id(0) * p.chunk, end = min(begin + p.chunk, p.inputs);
  const int size = (POINTS * rows + 1) * p.panel, part_step = p.panels * size;
  partial += panel * size;
  for (int k = 0; k < min(p.panel, p.outputs - first); k += LANES) {
    const int n = min(LANES, p.outputs - first - k);
    for (int c = begin; c < end; ++c) {
      V m[POINTS];
      for (int i = 0; i < POINTS; ++i) {
        global const float *from = partial + (i * rows + c) * p.panel;
        m[i] = load_float(from, 0, 1, k, LANES);
        for (int part = 1; part < p.parts; ++part)
          m[i] += load_float(from + part * part_step, 0, 1, k, LANES);
      }
      for (int j = 0; j < 6; ++j) transform_gradient(m + j, 6, taps);
      for (int i = 0; i < taps; ++i) {
        transform_gradient(m + 6 * i, 1, taps);
        for (int j = 0; j < taps; ++j)
          store_float(
              m[i * 6 + j], dw,
              p.offset + first * p.out_step + c * p.in_step + i * p.row_step + j * p.column_step,
              p.out_step, k, n);
      }
    }
    if (p.has_bias && begin == 0) {
      global const float *from = partial + POINTS * rows * p.panel;
      V total = load_float(from, 0, 1, k, LANES);
      for (int part = 1; part < p.parts; ++part)
        total += load_float(from + part * part_step, 0, 1, k, LANES);
      store_float(total, dbias, p.bias_offset + first * p.bias_step, p.bias_step, k, n);
    }
  }
}
