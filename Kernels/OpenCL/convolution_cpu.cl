// Convolutions for CPU kinds (see convolution.cl).
//
// conv_tile: a work-item takes tiles of PIXELS outputs, anywhere in the images, x PANEL channels:
//
//                 PANEL channels      for each tap of the window:
//               +----+----+             PIXELS addresses of input pixels, of zeros outside
//    addresses  |  weights |            for each channel: PIXELS broadcasts x VECTORS loads
//   +---+---+   +----+----+           the accumulators stay in registers to the end
//   | pixels |  |   tile  | PIXELS
//   +---+---+   +----+----+
//
// conv_weights: rows are ROWS channels of one tap, columns a panel of outputs, the depth are the
// pixels of a part of the batch, in blocks of BLOCK whose dy is packed beside each other.
//
// The indirect addresses after Dukhan, "The Indirect Convolution Algorithm" (2019).

#define ROWS PIXELS
#define BLOCK 96
// Taps whose addresses are held at once.
#define TAPS 32

// Addresses as integers; OpenCL C 1.2 has no arrays of vectors of pointers.
typedef global const float *Source;
#define SOURCE(address) ((Source)(size_t)(address))

// One tile: `taps` taps of `channels` channels.
SEPARATE void multiply_tile(
    const ulong *table, const int *places, int taps, int channels, global const float *panel,
    float *tile, int accumulates) {
  W acc[PIXELS][VECTORS];
  EACH(p, PIXELS) EACH(v, VECTORS) acc[p][v] = (W)(0.0f);
  if (accumulates) {
    EACH(p, PIXELS) EACH(v, VECTORS) acc[p][v] = *(W *)(tile + p * PANEL + v * WIDTH);
  }
  for (int t = 0; t < taps; ++t) {
    Source x[PIXELS];
    EACH(p, PIXELS) x[p] = SOURCE(table[t * PIXELS + p]);
    global const float *w = panel + places[t];
#pragma unroll 2
    for (long c = 0; c < channels; ++c) {
      W u[VECTORS];
      EACH(v, VECTORS) u[v] = LOAD_W(w + c * PANEL + v * WIDTH);
      EACH(p, PIXELS) {
        const W s = (W)(x[p][c]);
        EACH(v, VECTORS) acc[p][v] = fma(s, u[v], acc[p][v]);
      }
    }
  }
  EACH(p, PIXELS) EACH(v, VECTORS) *(W *)(tile + p * PANEL + v * WIDTH) = acc[p][v];
}

// Adds bias and addend, applies the function and stores `count` pixels x `columns`.
SEPARATE void finish_tile(
    const Conv *g, float *tile, int count, int columns, global const float *bias,
    global const float *addend, const int *addend_at, global float *out, const int *out_at) {
  for (int c = 0; c < columns; c += LANES) {
    const int n = min(LANES, columns - c);
    const V b = g->has_bias ? load_float(bias, 0, 1, c, n) : (V)(0.0f);
    for (int p = 0; p < count; ++p) {
      V x = *(V *)(tile + p * PANEL + c) + b;
      if (g->has_addend) x += load_float(addend, addend_at[p], 1, c, n);
      if (g->op >= 0) x = unary_function(g->op, x, g->a, g->b);
      if (n == LANES)
        ((global UnalignedV *)(out + out_at[p] + c))->value = x;
      else
        store_float(x, out, out_at[p], 1, c, n);
    }
  }
}

// The pixels of a tile: image row and column of the first tap, and where the outputs lie.
typedef struct {
  int image[PIXELS], h[PIXELS], w[PIXELS], out_at[PIXELS], addend_at[PIXELS];
} Tile;

INLINED void locate_tile(const Conv *g, int first, int end, Tile *t) {
  int n = first / (g->out_height * g->out_width);
  int rest = first - n * g->out_height * g->out_width;
  int p = rest / g->out_width, q = rest - p * g->out_width;
  for (int i = 0; i < PIXELS; ++i) {
    // Pixels past the end repeat the last one; they are not stored.
    t->image[i] = n * g->height * g->width * g->pitch;
    t->h[i] = p * g->h_scale + g->h_base;
    t->w[i] = q * g->w_scale + g->w_base;
    t->out_at[i] = n * g->out_image + p * g->out_row + q * g->out_pixel;
    t->addend_at[i] = n * g->addend_image + p * g->addend_row + q * g->addend_pixel;
    if (first + i + 1 < end && ++q == g->out_width) {
      q = 0;
      if (++p == g->out_height) {
        p = 0;
        ++n;
      }
    }
  }
}

INLINED ulong address(
    const Conv *g, global const float *x, global const float *zeros, int image, int h, int w) {
  const int is_inside = ((uint)h < (uint)g->height) & ((uint)w < (uint)g->width);
  const ulong at = (ulong)(size_t)(x + image + (h * g->width + w) * g->pitch);
  return is_inside ? at : (ulong)(size_t)zeros;
}

kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE void PASTE(conv_tile_, VECTORS)(
    const Conv g, global const float *restrict x, global const float *restrict weights,
    global const float *restrict bias, global const float *restrict addend,
    global float *restrict out) {
  float tile[PIXELS * PANEL] __attribute__((aligned(64)));
  ulong table[TAPS * PIXELS] __attribute__((aligned(64)));
  int places[TAPS];
  Tile where;
  const int group = get_group_id(2), first_panel = (int)get_group_id(1) * g.panels_each;
  const int last_panel = min(first_panel + g.panels_each, g.panels);
  const int total = g.images * g.out_height * g.out_width;
  const int begin = (int)get_group_id(0) * g.pixels, end = min(begin + g.pixels, total);
  const int taps = g.taps_h * g.taps_w;
  global const float *source = x + g.in_offset + group * g.channels;
  global const float *packed = weights + g.front + group * g.panels * g.panel_size;
  const int first_output = group * g.outputs;

  for (int pixel = begin; pixel < end; pixel += PIXELS) {
    locate_tile(&g, pixel, end, &where);
    const int count = min(PIXELS, end - pixel);
    for (int panel = first_panel; panel < last_panel; ++panel) {
      const int column = panel * PANEL, columns = min(PANEL, g.outputs - column);
      // The lines that the tile will be written to arrive meanwhile.
      EACH(p, PIXELS) EACH(v, VECTORS)
        PREFETCH(out + g.out_offset + first_output + column + where.out_at[p] + v * WIDTH, 1);
      int tap = 0;
      do {
        const int some = min(TAPS, taps - tap);
        // One set of addresses serves all panels.
        if (panel == first_panel || taps > TAPS) {
          int i = tap / g.taps_w, j = tap - i * g.taps_w;
          for (int t = 0; t < some; ++t) {
            places[t] = g.first_tap + i * g.tap_row + j * g.tap_column;
            EACH(p, PIXELS)
              table[t * PIXELS + p] = address(
                  &g, source, weights, where.image[p], where.h[p] + i * g.h_step,
                  where.w[p] + j * g.w_step);
            if (++j == g.taps_w) {
              j = 0;
              ++i;
            }
          }
        }
        multiply_tile(
            table, places, some, g.channels, packed + panel * g.panel_size, tile, tap > 0);
        tap += some;
      } while (tap < taps);
      finish_tile(
          &g, tile, count, columns, bias + g.bias_offset + first_output + column,
          addend + g.addend_offset + first_output + column, where.addend_at,
          out + g.out_offset + first_output + column, where.out_at);
    }
  }
}

// Products of `many` channels from `c` on with a block of dy, over `pixels` pixels; stores the rows
// from `skip` to `rows`.
INLINED void multiply_many(
    const int many, const ulong *table, int c, const float *dy, int pixels, global float *sums,
    int skip, int rows, int accumulates) {
  W acc[ROWS][VECTORS];
  EACH(r, ROWS) EACH(v, VECTORS) acc[r][v] = (W)(0.0f);
#pragma unroll 2
  for (long q = 0; q < pixels; ++q) {
    Source x = SOURCE(table[q]) + c;
    W u[VECTORS];
    EACH(v, VECTORS) u[v] = *(const W *)(dy + q * PANEL + v * WIDTH);
    EACH(r, ROWS) if (r < many) {
      const W s = (W)(x[r]);
      EACH(v, VECTORS) acc[r][v] = fma(s, u[v], acc[r][v]);
    }
  }
  if (skip == 0 && rows == many) {
    EACH(r, ROWS) if (r < many) EACH(v, VECTORS) {
      global UnalignedW *to = (global UnalignedW *)(sums + r * PANEL + v * WIDTH);
      to->value = accumulates ? to->value + acc[r][v] : acc[r][v];
    }
  } else {
    W copy[ROWS][VECTORS];
    EACH(r, ROWS) EACH(v, VECTORS) copy[r][v] = acc[r][v];
    for (int r = skip; r < rows; ++r)
      for (int v = 0; v < VECTORS; ++v) {
        global UnalignedW *to = (global UnalignedW *)(sums + r * PANEL + v * WIDTH);
        to->value = accumulates ? to->value + copy[r][v] : copy[r][v];
      }
  }
}
SEPARATE void multiply_rows(
    const ulong *table, int c, const float *dy, int pixels, global float *sums, int skip, int rows,
    int accumulates) {
  multiply_many(ROWS, table, c, dy, pixels, sums, skip, rows, accumulates);
}
SEPARATE void multiply_fewer_rows(
    const ulong *table, int c, const float *dy, int pixels, global float *sums, int skip, int rows,
    int accumulates) {
  multiply_many(ROWS - 1, table, c, dy, pixels, sums, skip, rows, accumulates);
}

// Parts of the weight gradient, [part][group][panel][tap * channel (+ 1 of the bias)][PANEL]. The
// input has at least ROWS channels, or as many elements of slack behind it.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE void PASTE(conv_weights_, VECTORS)(
    const Conv g, global const float *restrict x, global const float *restrict dy,
    global const float *restrict zeros, global float *restrict partial) {
  float block[BLOCK * PANEL] __attribute__((aligned(64)));
  ulong table[BLOCK] __attribute__((aligned(64)));
  int image[BLOCK], h[BLOCK], w[BLOCK];
  const int part = get_group_id(0), panel = get_group_id(1), group = get_group_id(2);
  const int total = g.images * g.out_height * g.out_width;
  const int begin = min(part * g.pixels, total), end = min(begin + g.pixels, total);
  const int rows = g.taps_h * g.taps_w * g.channels;
  const int column = panel * PANEL, columns = min(PANEL, g.outputs - column);
  // 21 channels, three times seven columns of a window, fill three tiles of 7 rows.
  const int each = g.channels % ROWS != 0 && g.channels % (ROWS - 1) == 0 ? ROWS - 1 : ROWS;
  global const float *source = x + g.in_offset + group * g.channels;
  global float *sums = partial
      + ((part * (int)get_num_groups(2) + group) * g.panels + panel) * (rows + g.has_bias) * PANEL;
  dy += g.out_offset + group * g.outputs + column;
  W total_bias[VECTORS];
  EACH(v, VECTORS) total_bias[v] = (W)(0.0f);

  int pixel = begin;
  do {
    const int some = min(BLOCK, end - pixel);
    int n = pixel / (g.out_height * g.out_width);
    int rest = pixel - n * g.out_height * g.out_width;
    int p = rest / g.out_width, q = rest - p * g.out_width;
    for (int i = 0; i < some; ++i) {
      image[i] = n * g.height * g.width * g.pitch;
      h[i] = p * g.h_scale + g.h_base;
      w[i] = q * g.w_scale + g.w_base;
      global const float *from = dy + n * g.out_image + p * g.out_row + q * g.out_pixel;
      if (columns == PANEL) {
        // What the next block reads comes from far away.
        EACH(v, VECTORS) PREFETCH(from + BLOCK * g.out_pixel + v * WIDTH, 0);
        EACH(v, VECTORS) {
          const W u = LOAD_W(from + v * WIDTH);
          *(W *)(block + i * PANEL + v * WIDTH) = u;
          total_bias[v] += u;
        }
      } else {
        for (int k = 0; k < PANEL; ++k) block[i * PANEL + k] = k < columns ? from[k] : 0.0f;
        EACH(v, VECTORS) total_bias[v] += *(W *)(block + i * PANEL + v * WIDTH);
      }
      if (++q == g.out_width) {
        q = 0;
        if (++p == g.out_height) {
          p = 0;
          ++n;
        }
      }
    }
    global float *to = sums;
    for (int i = 0; i < g.taps_h; ++i)
      for (int j = 0; j < g.taps_w; ++j, to += g.channels * PANEL) {
        for (int t = 0; t < some; ++t)
          table[t] = address(&g, source, zeros, image[t], h[t] + i * g.h_step, w[t] + j * g.w_step);
        for (int c = 0; c < g.channels; c += each) {
          // The last rows are computed again with those before them rather than read past a pixel.
          const int first = max(0, min(c, g.channels - each));
          global float *sum = to + first * PANEL;
          const int rows = min(each, g.channels - first);
          if (each == ROWS)
            multiply_rows(table, first, block, some, sum, c - first, rows, pixel > begin);
          else
            multiply_fewer_rows(table, first, block, some, sum, c - first, rows, pixel > begin);
        }
      }
    pixel += some;
  } while (pixel < end);
  if (g.has_bias)
    EACH(v, VECTORS)
      ((global UnalignedW *)(sums + rows * PANEL + v * WIDTH))->value = total_bias[v];
}
