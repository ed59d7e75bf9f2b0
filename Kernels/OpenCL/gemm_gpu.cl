// Matrix products for GPU kinds.
kernel void gemm_shared(
    const Gemm g, global const float *restrict s, global const float *restrict v,
    global const float *restrict bias, global float *restrict out) {
  const int j = get_global_id(0), i = get_global_id(1), z = get_global_id(2);
  const int batch = z / g.parts, part = z % g.parts;
  if (i >= g.m || j >= g.n) return;
  const int per_part = (g.k + g.parts - 1) / g.parts;
  float x = 0.0f;
  for (int k = part * per_part; k < min(g.k, (part + 1) * per_part); ++k)
    x = fma(s[g.s_offset + batch * g.s_batch + i * g.s_row + k * g.s_depth],
            v[g.v_offset + batch * g.v_batch + k * g.v_depth + j * g.v_column], x);
  if (g.has_bias) x += bias[g.bias_offset + i * g.bias_row + j * g.bias_column];
  if (g.op >= 0) x = unary_function(g.op, x, g.a, g.b);
  out[g.o_offset + z * g.o_batch + i * g.o_row + j * g.o_column] = x;
}
