// Matrix products for GPU kinds: out[b] = f(S[b] * V[b] + bias), every operand a strided view.
//
// A work-group of 16 x 16 items computes TILE x TILE outputs, an item PER x PER of them, as blocks of
// 4 x 4 that lie 64 apart, so that neighbours read neighbouring quads of local memory:
//
//               TILE columns            for each slice of SLICE along the depth:
//            +---------------+            every item moves one quad of S and one of V from its
//      SLICE |       V       |            registers to local memory, then fetches those of the
//            +---------------+            next slice while it multiplies this one
//   +-----+  +---------------+
//   |  S  |  |4x4 .  |4x4 .  |  TILE    the last part of the depth adds the bias, applies f and
//   |     |  |.   .  |.   .  |  rows    stores; a depth cut into parts is summed by gemm_combine
//   +-----+  +---------------+
//
// Quads lie along whichever axis is dense, so loads coalesce for every transpose; elements outside
// the matrices are zeros, which are multiplied but never stored. Tiling in local memory and
// registers after Volkov and Demmel, "Benchmarking GPUs to Tune Dense Linear Algebra" (2008).

// Edge of a work-group's square of outputs: 64 or 128.
#ifndef TILE
#define TILE 64
#endif
// Outputs of an item along each axis.
#define PER (TILE / 16)
// Depth of a slice: one quad of each operand an item.
#define SLICE (1024 / TILE)
// A padded row of local memory keeps quads aligned and spreads columns over banks.
#define PITCH (TILE + 4)

// The item's quad of a slice at depth `k` of an operand whose tile begins at `p`: `lines` rows of S
// or columns of V are left.
inline float4 fetch(
    global const float *p, int line_step, int depth_step, int lines, int k, int end, int item,
    int is_aligned) {
  if (depth_step == 1) {
    const int line = item / (SLICE / 4);
    k += item % (SLICE / 4) * 4;
    return load_quad(p + line * line_step + k, 1, line < lines ? end - k : 0, is_aligned);
  }
  const int line = item % (TILE / 4) * 4;
  k += item / (TILE / 4);
  return load_quad(
      p + line * line_step + k * depth_step, line_step, k < end ? lines - line : 0, is_aligned);
}

inline void place(local float *slice, float4 quad, int depth_step, int item) {
  if (depth_step == 1) {
    local float *to = slice + item % (SLICE / 4) * 4 * PITCH + item / (SLICE / 4);
    to[0] = quad.x;
    to[PITCH] = quad.y;
    to[2 * PITCH] = quad.z;
    to[3 * PITCH] = quad.w;
  } else {
    *(local float4 *)(slice + item / (TILE / 4) * PITCH + item % (TILE / 4) * 4) = quad;
  }
}

kernel __attribute__((reqd_work_group_size(16, 16, 1))) void PASTE(gemm_shared_, TILE)(
    const Gemm g, global const float *restrict s, global const float *restrict v,
    global const float *restrict bias, global float *restrict out) {
  local float slice_s[SLICE * PITCH] __attribute__((aligned(16)));
  local float slice_v[SLICE * PITCH] __attribute__((aligned(16)));
  const int item = (int)get_local_id(1) * 16 + (int)get_local_id(0);
  const int x = TILE_COLUMN(item), y = TILE_ROW(item);
  const int column = (int)get_group_id(0) * TILE, row = (int)get_group_id(1) * TILE;
  const int z = get_group_id(2), batch = z / g.parts, part = z % g.parts;
  const int begin = min(g.k, part * g.depth), end = min(g.k, begin + g.depth);
  s += g.s_offset + batch * g.s_batch + row * g.s_row;
  v += g.v_offset + batch * g.v_batch + column * g.v_column;

  float sum[PER][PER];
#pragma unroll
  for (int i = 0; i < PER; ++i)
#pragma unroll
    for (int j = 0; j < PER; ++j) sum[i][j] = 0.0f;

  float4 next_s = fetch(s, g.s_row, g.s_depth, g.m - row, begin, end, item, g.quads & 1);
  float4 next_v = fetch(v, g.v_column, g.v_depth, g.n - column, begin, end, item, g.quads & 2);
  for (int k = begin; k < end; k += SLICE) {
    place(slice_s, next_s, g.s_depth, item);
    place(slice_v, next_v, g.v_depth, item);
    barrier(CLK_LOCAL_MEM_FENCE);
    next_s = fetch(s, g.s_row, g.s_depth, g.m - row, k + SLICE, end, item, g.quads & 1);
    next_v = fetch(v, g.v_column, g.v_depth, g.n - column, k + SLICE, end, item, g.quads & 2);
#pragma unroll
    for (int d = 0; d < SLICE; ++d) {
      float left[PER], right[PER];
#pragma unroll
      for (int i = 0; i < PER; i += 4) {
        vstore4(*(local float4 *)(slice_s + d * PITCH + i * 16 + y * 4), 0, left + i);
        vstore4(*(local float4 *)(slice_v + d * PITCH + i * 16 + x * 4), 0, right + i);
      }
#pragma unroll
      for (int i = 0; i < PER; ++i)
#pragma unroll
        for (int j = 0; j < PER; ++j) sum[i][j] = fma(left[i], right[j], sum[i][j]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  out += g.o_offset + z * g.o_batch;
#pragma unroll
  for (int i = 0; i < PER; ++i) {
    const int at_row = row + i / 4 * 64 + y * 4 + i % 4;
#pragma unroll
    for (int j = 0; j < PER; j += 4) {
      const int at_column = column + j * 16 + x * 4;
      float result[4];
#pragma unroll
      for (int q = 0; q < 4; ++q) {
        result[q] = sum[i][j + q];
        if (g.has_bias && at_row < g.m && at_column + q < g.n)
          result[q] += bias[g.bias_offset + at_row * g.bias_row + (at_column + q) * g.bias_column];
      }
      if (g.op >= 0)
        for (int q = 0; q < 4; ++q) result[q] = unary_function(g.op, result[q], g.a, g.b);
      if (at_row < g.m) {
        global float *to = out + at_row * g.o_row + at_column * g.o_column;
        if ((g.quads & 4) && at_column + 4 <= g.n) {
          *(global float4 *)to = vload4(0, result);
        } else {
#pragma unroll
          for (int q = 0; q < 4; ++q)
            if (at_column + q < g.n) to[q * g.o_column] = result[q];
        }
      }
    }
  }
}
