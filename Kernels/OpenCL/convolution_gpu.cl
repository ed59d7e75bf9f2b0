// Convolutions for GPU kinds, as products of matrices that are gathered on the way to local memory
// (see convolution.cl). A work-group of 16 x 16 items computes TILE x TILE results, an item 4 x 4:
//
//                     rows            columns             depth
//   conv_shared     pixels of out   channels of out     taps x channels
//   weights_shared  taps x channels  channels of dy     pixels of a part
//
//               TILE columns          for each slice of SLICE along the depth:
//            +---------------+          every item brings 4 elements of each operand to local
//      SLICE |  weights, dy  |          memory, then multiplies 4 x 4 elements a step
//            +---------------+
//   +-----+  +---------------+
//   |  x  |  |    4 x 4      |        pixels outside the image are zeros
//   +-----+  +---------------+

#define TILE 64
#define PANEL TILE
#define SLICE 16
#define PITCH (TILE + 4)

inline void multiply_slice(
    local const float *left, local const float *right, float4 *sum, int x, int y) {
#pragma unroll
  for (int d = 0; d < SLICE; ++d) {
    const float4 s = *(local const float4 *)(left + d * PITCH + y * 4);
    const float4 v = *(local const float4 *)(right + d * PITCH + x * 4);
    sum[0] = fma((float4)(s.x), v, sum[0]);
    sum[1] = fma((float4)(s.y), v, sum[1]);
    sum[2] = fma((float4)(s.z), v, sum[2]);
    sum[3] = fma((float4)(s.w), v, sum[3]);
  }
}

// A pixel of the grid of outputs: its image, and the first tap's place in the input.
typedef struct {
  int n, p, q, h, w;
} Pixel;

inline Pixel pixel_of(const Conv *g, int at) {
  Pixel r;
  r.q = at % g->out_width;
  const int rest = at / g->out_width;
  r.p = rest % g->out_height;
  r.n = rest / g->out_height;
  r.h = r.p * g->h_scale + g->h_base;
  r.w = r.q * g->w_scale + g->w_base;
  return r;
}

// The input under tap `t` of a pixel, or 0.
inline float input(const Conv *g, global const float *x, const Pixel *at, int t, int c) {
  const int h = at->h + t / g->taps_w * g->h_step, w = at->w + t % g->taps_w * g->w_step;
  if (h < 0 || h >= g->height || w < 0 || w >= g->width) return 0.0f;
  return x[((at->n * g->height + h) * g->width + w) * g->pitch + c];
}

kernel __attribute__((reqd_work_group_size(16, 16, 1))) void conv_shared(
    const Conv g, global const float *restrict x, global const float *restrict weights,
    global const float *restrict bias, global const float *restrict addend,
    global float *restrict out) {
  local float left[SLICE * PITCH] __attribute__((aligned(16)));
  local float right[SLICE * PITCH] __attribute__((aligned(16)));
  const int item = (int)get_local_id(1) * 16 + (int)get_local_id(0);
  const int ix = TILE_COLUMN(item), iy = TILE_ROW(item);
  const int panel = get_group_id(0), group = get_group_id(2);
  const int row = (int)get_group_id(1) * TILE, column = panel * PANEL;
  const int total = g.images * g.out_height * g.out_width;
  const int depth = g.taps_h * g.taps_w * g.channels;
  x += g.in_offset + group * g.channels;
  weights += g.front + (group * g.panels + panel) * g.panel_size;
  const int first_output = group * g.outputs + column;

  // The item's pixel and quad of the depth in `left`; its row and quad of columns in `right`.
  const int line = item / 4, quad = item % 4 * 4;
  const Pixel at = pixel_of(&g, min(row + line, total - 1));
  const int step = item / 16, lane = item % 16 * 4;
  float4 sum[4];
  for (int i = 0; i < 4; ++i) sum[i] = (float4)(0.0f);
  for (int k = 0; k < depth; k += SLICE) {
    for (int i = 0; i < 4; ++i) {
      const int d = k + quad + i;
      left[(quad + i) * PITCH + line] =
          d < depth ? input(&g, x, &at, d / g.channels, d % g.channels) : 0.0f;
    }
    const int d = k + step, t = d / g.channels;
    float4 w = (float4)(0.0f);
    if (d < depth)
      w = vload4(0, weights + g.first_tap + t / g.taps_w * g.tap_row
                        + t % g.taps_w * g.tap_column + d % g.channels * PANEL + lane);
    *(local float4 *)(right + step * PITCH + lane) = w;
    barrier(CLK_LOCAL_MEM_FENCE);
    multiply_slice(left, right, sum, ix, iy);
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  for (int i = 0; i < 4; ++i) {
    const int pixel = row + iy * 4 + i;
    if (pixel >= total) break;
    const Pixel to = pixel_of(&g, pixel);
    global float *target = out + g.out_offset + first_output + to.n * g.out_image
        + to.p * g.out_row + to.q * g.out_pixel;
    global const float *more = addend + g.addend_offset + first_output + to.n * g.addend_image
        + to.p * g.addend_row + to.q * g.addend_pixel;
    float result[4];
    vstore4(sum[i], 0, result);
    for (int j = 0; j < 4; ++j) {
      const int k = ix * 4 + j;
      if (column + k >= g.outputs) break;
      float v = result[j];
      if (g.has_bias) v += bias[g.bias_offset + first_output + k];
      if (g.has_addend) v += more[k];
      if (g.op >= 0) v = unary_function(g.op, v, g.a, g.b);
      target[k] = v;
    }
  }
}

// Parts of the weight gradient, [part][group][panel][tap * channel (+ 1 of the bias)][PANEL]; the row
// of the bias multiplies dy by ones. The third dimension counts parts and groups.
kernel __attribute__((reqd_work_group_size(16, 16, 1))) void weights_shared(
    const Conv g, global const float *restrict x, global const float *restrict dy,
    global float *restrict partial) {
  local float left[SLICE * PITCH] __attribute__((aligned(16)));
  local float right[SLICE * PITCH] __attribute__((aligned(16)));
  const int item = (int)get_local_id(1) * 16 + (int)get_local_id(0);
  const int ix = TILE_COLUMN(item), iy = TILE_ROW(item);
  const int panel = get_group_id(0), row = (int)get_group_id(1) * TILE;
  const int part = (int)get_group_id(2) % g.parts, group = (int)get_group_id(2) / g.parts;
  const int groups = (int)get_num_groups(2) / g.parts;
  const int total = g.images * g.out_height * g.out_width;
  const int begin = min(part * g.pixels, total), end = min(begin + g.pixels, total);
  const int products = g.taps_h * g.taps_w * g.channels, rows = products + g.has_bias;
  const int column = panel * PANEL;
  x += g.in_offset + group * g.channels;
  dy += g.out_offset + group * g.outputs + column;

  // The item's step of the depth, and its quad of rows and columns.
  const int step = item / 16, lane = item % 16 * 4;
  float4 sum[4];
  for (int i = 0; i < 4; ++i) sum[i] = (float4)(0.0f);
  for (int k = begin; k < end; k += SLICE) {
    const int pixel = k + step;
    const Pixel at = pixel_of(&g, min(pixel, total - 1));
    global const float *from = dy + at.n * g.out_image + at.p * g.out_row + at.q * g.out_pixel;
    for (int i = 0; i < 4; ++i) {
      const int r = row + lane + i;
      float v = 0.0f;
      if (pixel < end && r < products) v = input(&g, x, &at, r / g.channels, r % g.channels);
      if (pixel < end && r == products) v = 1.0f;
      left[step * PITCH + lane + i] = v;
      right[step * PITCH + lane + i] =
          pixel < end && column + lane + i < g.outputs ? from[lane + i] : 0.0f;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    multiply_slice(left, right, sum, ix, iy);
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  partial += ((part * groups + group) * g.panels + panel) * rows * PANEL;
  for (int i = 0; i < 4; ++i) {
    const int r = row + iy * 4 + i;
    if (r < rows) vstore4(sum[i], 0, partial + r * PANEL + ix * 4);
  }
}
