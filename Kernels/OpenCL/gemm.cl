// What the matrix products of both device kinds share: out[b] = f(S[b] * V[b] + bias) over strided
// views, where S is [m, k], V is [k, n] and the host may have exchanged the two, so that `out` is
// seen transposed. Offsets and strides count elements.

typedef struct {
  int m, n, k;
  int s_offset, s_batch, s_row, s_depth;
  int v_offset, v_batch, v_depth, v_column;
  int o_offset, o_batch, o_row, o_column;
  int has_bias, bias_offset, bias_row, bias_column;
  int op;
  float a, b;
  // CPU: extents of a work-item's block, depth of a slice. GPU: depth of a part. How often the depth
  // is cut among work-groups.
  int rows, columns, depth, parts;
  // CPU: whether S is packed, and where tiles begin in the scratch area after the panels of V.
  int packs_s, s_start, tile_start;
  // GPU: which of S (1), V (2) and out (4) consist of aligned quads.
  int quads;
} Gemm;

// Sums the parts that a cut depth left behind, in order, then adds the bias and applies the
// function. The walk is over out, the first part and the bias; parts lie `step` elements apart.
kernel void gemm_combine(
    const Iteration it, global const float *partial, global const float *bias, global float *out,
    int parts, int step, int has_bias, int op, float a, float b) {
  FOR_BLOCKS(it, 3)
    V x = load_float(partial, at[1], STRIDE(it, 1, 0), column, n);
    for (int part = 1; part < parts; ++part)
      x += load_float(partial, at[1] + part * step, STRIDE(it, 1, 0), column, n);
    if (has_bias) x += load_float(bias, at[2], STRIDE(it, 2, 0), column, n);
    if (op >= 0) x = unary_function(op, x, a, b);
    store_float(x, out, at[0], STRIDE(it, 0, 0), column, n);
  END_BLOCKS
}
