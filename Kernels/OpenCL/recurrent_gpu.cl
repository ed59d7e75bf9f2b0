// Recurrent layers on GPU kinds: a launch per step; a work-group of 16 x 16 computes as many rows x
// units from tiles in local memory.

#if APUS_GPU

#define SIDE 16
// A work-group of SIDE x SIDE: rows by units.
#define GROUP_PLACE                                                        \
  const int lx = get_local_id(0), ly = get_local_id(1);                    \
  const int unit = get_group_id(0) * SIDE + lx, n = 1;                     \
  const int row = get_group_id(1) * SIDE + ly;                             \
  const int is_inside = unit < r.width && row < r.rows;                    \
  (void)n;

// One step forward.
kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void recurrent_step(
    const Recurrent r, int t, global const float *gates, global const float *weight,
    global const float *bias, global const float *h0, global const int *lengths, global float *y,
    global float *c, global float *saved) {
  local float states[SIDE][SIDE + 1], weights[4][SIDE][SIDE + 1];
  GROUP_PLACE
  const int w = r.width, column = get_group_id(0) * SIDE + ly;
  const int length = row < r.rows ? length_of(&r, lengths, row) : 0;
  const int before = row_before(&r, t, row, length);
  float g[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  if (r.has_bias && is_inside)
    for (int b = 0; b < r.gates; ++b) g[b] = bias[r.bias_at + b * w + unit];
  for (int k = 0; k < w; k += SIDE) {
    float state = 0.0f;
    if (t < length && k + lx < w)
      state = before < 0 ? h0[r.h0_at + row * w + k + lx] : y[r.y_at + before * w + k + lx];
    states[ly][lx] = state;
    for (int b = 0; b < r.gates; ++b)
      weights[b][ly][lx] =
          column < w && k + lx < w ? weight[r.weight_at + (b * w + column) * w + k + lx] : 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < SIDE; ++i)
      for (int b = 0; b < r.gates; ++b) g[b] = fma(states[ly][i], weights[b][lx][i], g[b]);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (!is_inside) return;
  const int at = t * r.rows + row;
  if (t >= length)
    clear_forward(&r, at, unit, n, y, saved);
  else if (before < 0)
    cell_forward(&r, g, at, row, unit, n, gates, h0, r.h0_at + row * w, c, y, saved);
  else
    cell_forward(&r, g, at, row, unit, n, gates, y, r.y_at + before * w, c, y, saved);
}

// The gradients of the gates of one step.
kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void recurrent_gradient(
    const Recurrent r, int t, global const float *h0, global const float *c0,
    global const int *lengths, global const float *y, global const float *saved,
    global const float *dy, global float *dh, global float *dc, global float *dgates,
    global float *products, global float *reset, global float *previous, global float *sums) {
  GROUP_PLACE
  if (!is_inside) return;
  const int length = length_of(&r, lengths, row), at = t * r.rows + row;
  if (t >= length)
    clear_backward(&r, at, unit, n, dgates, reset, previous);
  else
    cell_backward(
        &r, at, row_before(&r, t, row, length), row, unit, n, y, saved, h0, c0, dy, dh, dc, dgates,
        products, reset, previous, sums);
}

// `dh = gradients W` (plus what a GRU passes on itself).
kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void recurrent_state(
    const Recurrent r, int t, global const float *weight, global const int *lengths,
    global const float *gradients, int gradients_at, global float *dh) {
  local float left[SIDE][SIDE + 1], right[SIDE][SIDE + 1];
  GROUP_PLACE
  const int depth = r.gates * r.width;
  const int length = row < r.rows ? length_of(&r, lengths, row) : 0;
  float sum = 0.0f;
  for (int k = 0; k < depth; k += SIDE) {
    left[ly][lx] = row < r.rows && k + lx < depth
        ? gradients[gradients_at + gradient_row(&r, t, row) * depth + k + lx] : 0.0f;
    right[ly][lx] = unit < r.width && k + ly < depth
        ? weight[r.weight_at + (k + ly) * r.width + unit] : 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < SIDE; ++i) sum = fma(left[ly][i], right[i][lx], sum);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  if (!is_inside || t >= length) return;
  global float *to = dh + r.dh_at + row * r.width + unit;
  *to = r.cell == GRU ? *to + sum : sum;
}

// `hn`: the state after the last step of each row. The walk is over [B, H].
kernel void recurrent_final(
    const Recurrent r, global const float *h0, global const int *lengths, global const float *y,
    global float *hn) {
  const int count = r.rows * r.width;
  for (int index = get_global_id(0); index < count; index += get_global_size(0)) {
    const int row = index / r.width, unit = index % r.width;
    const int length = length_of(&r, lengths, row);
    const int at = (r.reversed ? 0 : length - 1) * r.rows + row;
    hn[r.hn_at + index] = length == 0 ? h0[r.h0_at + index] : y[r.y_at + at * r.width + unit];
  }
}
#endif
