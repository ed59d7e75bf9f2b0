// What the convolutions of both device kinds share: images are NHWC, `pitch` elements a pixel.
//
// Forward pass and input gradient are one sum over taps (i, j) of a window and channels c,
//
//   out[n, p, q, k] = f(sum in[n, p * h_scale + h_base + i * h_step, q * ..., c] * w[tap, c, k] + ...)
//
// where the gradient reads dy through the transposed weights: the pixels of dx that lie a stride
// apart meet the same taps of the window, so each such phase is a launch of its own. Inputs outside
// the image are zeros. The weight gradient sums over the pixels (n, p, q) instead.
//
// Weights are packed for either pass as [group][panel][tap][channel][PANEL outputs], after a front of
// zeros that stands for the pixels outside the image.

typedef struct {
  // Of the input: channels of a group, elements between pixels.
  int images, height, width, channels, pitch, in_offset;
  // Of the grid of outputs: channels of a group, and where its pixels lie.
  int out_height, out_width, outputs, out_offset, out_image, out_row, out_pixel;
  int addend_offset, addend_image, addend_row, addend_pixel;
  int has_addend, has_bias, bias_offset;
  // Taps, their places in the input and among the weights.
  int taps_h, h_scale, h_base, h_step, taps_w, w_scale, w_base, w_step;
  int first_tap, tap_row, tap_column;
  // Elements of a panel of weights, panels of a group, elements before the first.
  int panel_size, panels, front;
  // The work of a work-item: pixels, panels. Weight gradient: how often the pixels are cut.
  int pixels, panels_each, parts;
  int op;
  float a, b;
} Conv;

// Weights to panels. A work-item packs the channels from `begin` on of one panel; `out_step` and
// `in_step` are the strides of the channels that are outputs and inputs of the pass.
typedef struct {
  int groups, outputs, inputs, height, width, panel, panels, front;
  int offset, group_step, out_step, in_step, row_step, column_step, chunk;
} Pack;

kernel void conv_pack(const Pack p, global const float *w, global float *packed) {
  const int block = get_global_id(1), group = block / p.panels, panel = block % p.panels;
  const int begin = (int)get_global_id(0) * p.chunk, end = min(begin + p.chunk, p.inputs);
  if (begin >= end) return;
  if (block == 0)
    for (int c = begin; c < (end == p.inputs ? p.front : end); ++c) packed[c] = 0.0f;
  const int first = panel * p.panel, count = min(p.panel, p.outputs - first);
  const int taps = p.height * p.width;
  global float *to = packed + p.front + block * taps * p.inputs * p.panel;
  w += p.offset + group * p.group_step + first * p.out_step;
  for (int c = begin; c < end; ++c)
    for (int k = 0; k < p.panel; ++k)
      for (int i = 0; i < p.height; ++i)
        for (int j = 0; j < p.width; ++j)
          to[((i * p.width + j) * p.inputs + c) * p.panel + k] = k < count
              ? w[k * p.out_step + c * p.in_step + i * p.row_step + j * p.column_step] : 0.0f;
}

// A copy of an image with its padding, NHWC, for images of so few channels that a row of the window
// is better read as one run. A work-item copies rows.
typedef struct {
  int images, height, width, channels, padded_height, padded_width, top, left;
  int offset, image_step, channel_step, row_step, column_step, chunk, slack;
} Padding;

kernel void conv_pad(const Padding p, global const float *x, global float *out) {
  const int rows = p.images * p.padded_height;
  const int begin = (int)get_global_id(0) * p.chunk, end = min(begin + p.chunk, rows);
  if (begin >= end) return;
  for (int row = begin; row < end; ++row) {
    const int n = row / p.padded_height, h = row % p.padded_height - p.top;
    global float *to = out + row * p.padded_width * p.channels;
    const int is_inside = h >= 0 && h < p.height;
    const int first = is_inside ? p.left : p.padded_width;
    const int last = is_inside ? min(p.left + p.width, p.padded_width) : p.padded_width;
    for (int i = 0; i < first * p.channels; ++i) to[i] = 0.0f;
    global const float *from = x + p.offset + n * p.image_step + h * p.row_step;
    if (p.channels == 3) {
      for (int w = first; w < last; ++w)
        for (int c = 0; c < 3; ++c)
          to[w * 3 + c] = from[(w - p.left) * p.column_step + c * p.channel_step];
    } else {
      for (int w = first; w < last; ++w)
        for (int c = 0; c < p.channels; ++c)
          to[w * p.channels + c] = from[(w - p.left) * p.column_step + c * p.channel_step];
    }
    for (int i = last * p.channels; i < p.padded_width * p.channels; ++i) to[i] = 0.0f;
  }
  if (end == rows)
    for (int i = 0; i < p.slack; ++i) out[rows * p.padded_width * p.channels + i] = 0.0f;
}

// Sums the parts of a weight gradient, [part][group][panel][row][PANEL] with `rows` of taps and
// channels and one of the bias, in order, and puts them where the weights lie.
typedef struct {
  int groups, outputs, inputs, height, width, panel, panels, parts;
  int offset, group_step, out_step, in_step, row_step, column_step;
  int has_bias, bias_offset, bias_step, chunk;
} Unpack;

kernel void conv_unpack(
    const Unpack p, global const float *partial, global float *dw, global float *dbias) {
  const int block = get_global_id(1), group = block / p.panels, panel = block % p.panels;
  const int rows = p.height * p.width * p.inputs + p.has_bias;
  const int begin = (int)get_global_id(0) * p.chunk, end = min(begin + p.chunk, rows);
  const int first = panel * p.panel, count = min(p.panel, p.outputs - first);
  const int part_step = p.groups * p.panels * rows * p.panel;
  for (int row = begin; row < end; ++row) {
    global const float *from = partial + (block * rows + row) * p.panel;
    const int is_bias = row == p.height * p.width * p.inputs;
    const int tap = row / p.inputs, c = row % p.inputs;
    global float *to = is_bias
        ? dbias + p.bias_offset + (group * p.outputs + first) * p.bias_step
        : dw + p.offset + group * p.group_step + first * p.out_step + c * p.in_step
            + tap / p.width * p.row_step + tap % p.width * p.column_step;
    const int step = is_bias ? p.bias_step : p.out_step;
    for (int k = 0; k < count; k += LANES) {
      const int n = min(LANES, count - k);
      V total = load_float(from, 0, 1, k, LANES);
      for (int part = 1; part < p.parts; ++part)
        total += load_float(from + part * part_step, 0, 1, k, LANES);
      store_float(total, to, 0, step, k, n);
    }
  }
}

// The gradient of an image of few channels is computed for all columns of the window at once, as
// [n, h, q, (j, c)] with q a column of dy; this sums what falls on the same pixel:
// dx[n, h, w, c] = sum over j of wide[n, h, (w + left - j) / stride, (j, c)].
typedef struct {
  int rows, width, channels, wide_width, taps, stride, left, height;
  int offset, image_step, channel_step, row_step, column_step, chunk;
} Overlap;

kernel void conv_overlap(const Overlap o, global const float *wide, global float *dx) {
  const int begin = (int)get_global_id(0) * o.chunk, end = min(begin + o.chunk, o.rows);
  const int run = o.taps * o.channels;
  for (int row = begin; row < end; ++row) {
    global const float *from = wide + row * o.wide_width * run;
    global float *to = dx + o.offset + row / o.height * o.image_step
        + row % o.height * o.row_step;
    for (int w = 0; w < o.width; ++w) {
      // The first column of dy whose window reaches the pixel, and its tap.
      const int at = w + o.left;
      const int last = min(at / o.stride, o.wide_width - 1);
      for (int c = 0; c < o.channels; ++c) {
        float sum = 0.0f;
        for (int q = last; q >= 0 && at - q * o.stride < o.taps; --q)
          sum += from[q * run + (at - q * o.stride) * o.channels + c];
        to[w * o.column_step + c * o.channel_step] = sum;
      }
    }
  }
}
