// Products of one row with a matrix for CPU kinds: out[b] = f(s[b] * V[b] + bias), S being [1, k].
// Nothing is packed, since each element of V is used once.
//
// A work-item computes `columns` columns over a part of the depth. Where the columns of V are dense
// it adds multiples of V's rows, four vectors at a time; where its depth is dense it takes four dot
// products at a time and sums their lanes at the end:
//
//        dense columns                dense depth
//   s0 * |----|----|----|----|     |----|----|----|->  * s
//   s1 * |----|----|----|----|     |----|----|----|->  * s
//        +    +    +    +          four columns at once

// Sum of the lanes, in pairs.
inline float sum_lanes(float16 x) {
  const float8 a = x.lo + x.hi;
  const float4 b = a.lo + a.hi;
  const float2 c = b.lo + b.hi;
  return c.x + c.y;
}

inline void finish_columns(
    const Gemm *g, float16 x, global const float *bias, global float *out, int column, int n) {
  if (g->has_bias) x += load_float(bias, g->bias_offset, g->bias_column, column, n);
  if (g->op >= 0) x = unary_function(g->op, x, g->a, g->b);
  store_float(x, out, 0, g->o_column, column, n);
}

kernel __attribute__((reqd_work_group_size(1, 1, 1))) void gemm_vector(
    const Gemm g, global const float *restrict s, global const float *restrict v,
    global const float *restrict bias, global float *restrict out) {
  const int z = get_group_id(1), batch = z / g.parts, part = z % g.parts;
  const int begin = min(g.k, part * g.depth), end = min(g.k, begin + g.depth);
  const int first = (int)get_group_id(0) * g.columns, last = min(g.n, first + g.columns);
  s += g.s_offset + batch * g.s_batch;
  v += g.v_offset + batch * g.v_batch;
  out += g.o_offset + z * g.o_batch;

  if (g.v_depth == 1) {
    for (int column = first; column < last; column += 16) {
      float lanes[16];
      const int n = min(16, last - column);
      for (int quad = 0; quad < 16; quad += 4) {
        // Columns past the last repeat it.
        int at[4];
        for (int q = 0; q < 4; ++q) at[q] = (column + min(quad + q, n - 1)) * g.v_column;
        float16 a = (float16)(0.0f), b = a, c = a, d = a;
        if (quad < n)
          for (int k = begin; k < end; k += 16) {
            const int count = min(16, end - k);
            const float16 x = load_float(s, 0, g.s_depth, k, count);
            a = fma(x, load_float(v, at[0], 1, k, count), a);
            b = fma(x, load_float(v, at[1], 1, k, count), b);
            c = fma(x, load_float(v, at[2], 1, k, count), c);
            d = fma(x, load_float(v, at[3], 1, k, count), d);
          }
        lanes[quad] = sum_lanes(a);
        lanes[quad + 1] = sum_lanes(b);
        lanes[quad + 2] = sum_lanes(c);
        lanes[quad + 3] = sum_lanes(d);
      }
      finish_columns(&g, vload16(0, lanes), bias, out, column, n);
    }
    return;
  }
  int column = first;
  if (g.v_column == 1)
    for (; column + 64 <= last; column += 64) {
      float16 a = (float16)(0.0f), b = a, c = a, d = a;
      global const float *row = v + begin * g.v_depth + column;
      for (int k = begin; k < end; ++k, row += g.v_depth) {
        const float16 x = (float16)(s[k * g.s_depth]);
        a = fma(x, vload16(0, row), a);
        b = fma(x, vload16(1, row), b);
        c = fma(x, vload16(2, row), c);
        d = fma(x, vload16(3, row), d);
      }
      finish_columns(&g, a, bias, out, column, 16);
      finish_columns(&g, b, bias, out, column + 16, 16);
      finish_columns(&g, c, bias, out, column + 32, 16);
      finish_columns(&g, d, bias, out, column + 48, 16);
    }
  for (; column < last; column += 16) {
    const int n = min(16, last - column);
    float16 a = (float16)(0.0f);
    for (int k = begin; k < end; ++k)
      a = fma(
          (float16)(s[k * g.s_depth]), load_float(v, k * g.v_depth, g.v_column, column, n), a);
    finish_columns(&g, a, bias, out, column, n);
  }
}
