// Element-wise functions of one, two and three operands over strided views (see prelude.cl and functions.cl).
// The function is an argument of the kernel: the branch is the same for all blocks, and one kernel
// per operand count keeps builds and starts short.

enum { EQUAL, NOT_EQUAL, LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL };

inline VI binary_function_int(int op, VI x, VI y) {
  switch (op) {
    case ADD: return x + y;
    case SUBTRACT: return x - y;
    case MULTIPLY: return x * y;
    case MAXIMUM: return max(x, y);
    case MINIMUM: return min(x, y);
  }
  return x;
}

#if APUS_PART == 0
kernel void unary(const Iteration it, global const float *x, global float *out, int op, float a, float b) {
  FOR_BLOCKS(it, 2)
    V v = load_float(x, at[1], STRIDE(it, 1, 0), column, n);
    STORE_OUT(unary_function(op, v, a, b), out);
  END_BLOCKS
}
#endif

#if APUS_PART == 1
kernel void unary_int(const Iteration it, global const int *x, global int *out, int op) {
  FOR_BLOCKS(it, 2)
    VI v = load_int(x, at[1], STRIDE(it, 1, 0), column, n);
    VI r = v;
    switch (op) {
      case NEGATE: r = -v; break;
      case ABS: r = select(v, -v, v < (VI)(0)); break;
      case SIGN: r = clamp(v, (VI)(-1), (VI)(1)); break;
      case SQUARE: r = v * v; break;
    }
    STORE_OUT_INT(r, out);
  END_BLOCKS
}
#endif

#if APUS_GPU
#define TO_BOOL(c) (uchar)((c) ? 1 : 0)
#else
#define TO_BOOL(c) (convert_uchar16((c) & (VI)(1)))
#endif

#if APUS_PART == 1
// Float to bool: IS_NAN, IS_FINITE.
kernel void classify(const Iteration it, global const float *x, global uchar *out, int op) {
  FOR_BLOCKS(it, 2)
    V v = load_float(x, at[1], STRIDE(it, 1, 0), column, n);
    VI bits = AS_VI(v) & 0x7FFFFFFF;
    VI c = op == IS_NAN ? bits > (VI)(0x7F800000) : bits < (VI)(0x7F800000);
    store_uchar(TO_BOOL(c), out, at[0], STRIDE(it, 0, 0), column, n);
  END_BLOCKS
}
#endif

#if APUS_PART == 0
kernel void unary_backward(
    const Iteration it, global const float *saved, global const float *dy, global float *dx, int op,
    float a, float b) {
  FOR_BLOCKS(it, 3)
    V s = load_float(saved, at[1], STRIDE(it, 1, 0), column, n);
    V g = load_float(dy, at[2], STRIDE(it, 2, 0), column, n);
    STORE_OUT(unary_derivative(op, s, g, a, b), dx);
  END_BLOCKS
}

kernel void binary(
    const Iteration it, global const float *x, global const float *y, global float *out, int op) {
  FOR_BLOCKS(it, 3)
    V u = load_float(x, at[1], STRIDE(it, 1, 0), column, n);
    V v = load_float(y, at[2], STRIDE(it, 2, 0), column, n);
    STORE_OUT(binary_function(op, u, v), out);
  END_BLOCKS
}
#endif

#if APUS_PART == 1
kernel void binary_int(
    const Iteration it, global const int *x, global const int *y, global int *out, int op) {
  FOR_BLOCKS(it, 3)
    VI u = load_int(x, at[1], STRIDE(it, 1, 0), column, n);
    VI v = load_int(y, at[2], STRIDE(it, 2, 0), column, n);
    STORE_OUT_INT(binary_function_int(op, u, v), out);
  END_BLOCKS
}

// LOGICAL_AND, LOGICAL_OR, LOGICAL_XOR of 0 and 1; LOGICAL_NOT comes as XOR with 1.
kernel void logical(
    const Iteration it, global const uchar *x, global const uchar *y, global uchar *out, int op,
    int invert) {
  FOR_BLOCKS(it, 3)
#if APUS_GPU
    uchar u = load_uchar(x, at[1], STRIDE(it, 1, 0), column, n);
    uchar v = invert ? 1 : load_uchar(y, at[2], STRIDE(it, 2, 0), column, n);
    uchar r;
#else
    uchar16 u = load_uchar(x, at[1], STRIDE(it, 1, 0), column, n);
    uchar16 v = invert ? (uchar16)(1) : load_uchar(y, at[2], STRIDE(it, 2, 0), column, n);
    uchar16 r;
#endif
    switch (op) {
      case LOGICAL_AND: r = u & v; break;
      case LOGICAL_OR: r = u | v; break;
      default: r = u ^ v; break;
    }
    store_uchar(r, out, at[0], STRIDE(it, 0, 0), column, n);
  END_BLOCKS
}
#endif

#if APUS_PART == 0
kernel void scalar_binary(
    const Iteration it, global const float *x, global float *out, int op, float s, int reversed) {
  FOR_BLOCKS(it, 2)
    V v = load_float(x, at[1], STRIDE(it, 1, 0), column, n);
    V u = reversed ? (V)(s) : v;
    v = reversed ? v : (V)(s);
    STORE_OUT(binary_function(op, u, v), out);
  END_BLOCKS
}
#endif

#if APUS_PART == 1
kernel void scalar_binary_int(
    const Iteration it, global const int *x, global int *out, int op, int s, int reversed) {
  FOR_BLOCKS(it, 2)
    VI v = load_int(x, at[1], STRIDE(it, 1, 0), column, n);
    VI u = reversed ? (VI)(s) : v;
    v = reversed ? v : (VI)(s);
    STORE_OUT_INT(binary_function_int(op, u, v), out);
  END_BLOCKS
}
#endif

#define COMPARE(op, u, v)                  \
  ((op) == EQUAL           ? (u) == (v)    \
   : (op) == NOT_EQUAL     ? (u) != (v)    \
   : (op) == LESS          ? (u) < (v)     \
   : (op) == LESS_OR_EQUAL ? (u) <= (v)    \
   : (op) == GREATER       ? (u) > (v)     \
                           : (u) >= (v))

#if APUS_PART == 1
kernel void compare(
    const Iteration it, global const float *x, global const float *y, global uchar *out, int op) {
  FOR_BLOCKS(it, 3)
    V u = load_float(x, at[1], STRIDE(it, 1, 0), column, n);
    V v = load_float(y, at[2], STRIDE(it, 2, 0), column, n);
    VI c = COMPARE(op, u, v);
    store_uchar(TO_BOOL(c), out, at[0], STRIDE(it, 0, 0), column, n);
  END_BLOCKS
}

kernel void compare_int(
    const Iteration it, global const int *x, global const int *y, global uchar *out, int op) {
  FOR_BLOCKS(it, 3)
    VI u = load_int(x, at[1], STRIDE(it, 1, 0), column, n);
    VI v = load_int(y, at[2], STRIDE(it, 2, 0), column, n);
    VI c = COMPARE(op, u, v);
    store_uchar(TO_BOOL(c), out, at[0], STRIDE(it, 0, 0), column, n);
  END_BLOCKS
}

kernel void compare_byte(
    const Iteration it, global const uchar *x, global const uchar *y, global uchar *out, int op) {
  FOR_BLOCKS(it, 3)
    VI u = TO_VI(load_uchar(x, at[1], STRIDE(it, 1, 0), column, n));
    VI v = TO_VI(load_uchar(y, at[2], STRIDE(it, 2, 0), column, n));
    VI c = COMPARE(op, u, v);
    store_uchar(TO_BOOL(c), out, at[0], STRIDE(it, 0, 0), column, n);
  END_BLOCKS
}

// MULTIPLY_ADD (1) and LERP (2) of the seam's `TernaryOp`.
kernel void ternary(
    const Iteration it, global const float *x, global const float *y, global const float *z,
    global float *out, int op) {
  FOR_BLOCKS(it, 4)
    V u = load_float(x, at[1], STRIDE(it, 1, 0), column, n);
    V v = load_float(y, at[2], STRIDE(it, 2, 0), column, n);
    V w = load_float(z, at[3], STRIDE(it, 3, 0), column, n);
    V r = op == 1 ? fma(u, v, w) : fma(v - u, w, u);
    STORE_OUT(r, out);
  END_BLOCKS
}

// A choice moves bits, so one kernel serves all four-byte types.
kernel void select_4(
    const Iteration it, global const uchar *condition, global const int *x, global const int *y,
    global int *out) {
  FOR_BLOCKS(it, 4)
    VI c = TO_VI(load_uchar(condition, at[1], STRIDE(it, 1, 0), column, n));
    VI u = load_int(x, at[2], STRIDE(it, 2, 0), column, n);
    VI v = load_int(y, at[3], STRIDE(it, 3, 0), column, n);
    STORE_OUT_INT(select(v, u, c != (VI)(0)), out);
  END_BLOCKS
}

#define DEFINE_SELECT(SIZE, T)                                                               \
  kernel void select_##SIZE(                                                                 \
      const Iteration it, global const uchar *condition, global const T *x, global const T *y, \
      global T *out) {                                                                       \
    FOR_BLOCKS(it, 4)                                                                        \
      for (int k = column; k < column + n; ++k) {                                            \
        uchar c = condition[at[1] + k * STRIDE(it, 1, 0)];                                   \
        out[at[0] + k * STRIDE(it, 0, 0)] =                                                  \
            c ? x[at[2] + k * STRIDE(it, 2, 0)] : y[at[3] + k * STRIDE(it, 3, 0)];           \
      }                                                                                      \
    END_BLOCKS                                                                               \
  }
DEFINE_SELECT(1, uchar)
DEFINE_SELECT(2, ushort)
DEFINE_SELECT(8, ulong)
#endif

#if APUS_PART == 0
#if !APUS_GPU
// dz = dy * f'(y) and the column sums of dz, STRIP vectors wide in rows `first ..< last`, without an activation
// or with ReLU: what lies together in a row is read together.
#define STRIP 8
INLINED void backward_strip(
    global const float *y, global const float *dy, global float *dz, global float *sums,
    int has_relu, int first, int last, int step_y, int step_dy, int step_dz) {
  V total[STRIP];
#pragma unroll
  for (int k = 0; k < STRIP; ++k) total[k] = (V)(0.0f);
  for (int r = first; r < last; ++r) {
    global const float *saved = y + r * step_y, *from = dy + r * step_dy;
    global float *to = dz + r * step_dz;
#pragma unroll
    for (int k = 0; k < STRIP; ++k) {
      PREFETCH(from + 4 * step_dy + k * LANES, 0);
      if (has_relu) PREFETCH(saved + 4 * step_y + k * LANES, 0);
      PREFETCH(to + 4 * step_dz + k * LANES, 1);
    }
#pragma unroll
    for (int k = 0; k < STRIP; ++k) {
      V g = vload16(0, from + k * LANES);
      if (has_relu) g = unary_derivative(RELU, vload16(0, saved + k * LANES), g, 0.0f, 0.0f);
      ((global Unaligned_float *)(to + k * LANES))->value = g;
      total[k] += g;
    }
  }
#pragma unroll
  for (int k = 0; k < STRIP; ++k) ((global Unaligned_float *)(sums + k * LANES))->value = total[k];
}
#endif

// dz = dy * f'(y) and partial column sums of dz for the bias, in one pass: [parts, N] in `sums`.
// `op` below 0: no activation. The walk is over the columns (0 partial sums); rows lie a step apart.
kernel void activation_backward(
    const Iteration it, global const float *y, global const float *dy, global float *dz,
    global float *sums, int op, float a, float b, int rows, int segment, int offset_y, int step_y,
    int offset_dy, int step_dy, int offset_dz, int step_dz) {
  const int part = get_global_id(1);
  const int first = part * segment, last = min(first + segment, rows);
  y += offset_y;
  dy += offset_dy;
  dz += offset_dz;
  sums += it.offset[0] + part * it.count;
#if APUS_GPU
  const int n = 1;
  for (int column = get_global_id(0); column < it.count; column += get_global_size(0)) {
#else
  int column = (int)get_global_id(0) * it.chunk;
  const int end = min(column + it.chunk, it.count);
  if (op < 0 || op == RELU)
    for (; column + STRIP * LANES <= end; column += STRIP * LANES)
      backward_strip(
          y + column, dy + column, dz + column, sums + column, op >= 0, first, last, step_y, step_dy,
          step_dz);
  for (; column < end; column += LANES) {
    const int n = min(LANES, end - column);
#endif
    V total = (V)(0.0f);
    for (int r = first; r < last; ++r) {
      PREFETCH(dy + (r + 8) * step_dy + column, 0);
      if (op >= 0) PREFETCH(y + (r + 8) * step_y + column, 0);
      PREFETCH(dz + (r + 8) * step_dz + column, 1);
      V g = load_float(dy, r * step_dy, 1, column, n);
      if (op >= 0) g = unary_derivative(op, load_float(y, r * step_y, 1, column, n), g, a, b);
      store_float(g, dz, r * step_dz, 1, column, n);
      total += g;
    }
    store_float(total, sums, 0, 1, column, n);
  }
}
#endif
