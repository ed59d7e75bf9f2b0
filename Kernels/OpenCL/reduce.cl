// Sums, extremes, their positions and running sums over any axes of a strided operand.
//
// Two walks describe a reduction: `kept` over the outputs (operand 0: out, operand 1: x) and `red`
// over the reduced axes of x (operand 0). Long reductions are cut in parts of `segment` elements,
// whose partial results a second launch combines; the cut depends on shapes only, so results repeat
// bit for bit.
//
//   reduce_rows     lanes lie along the reduced axis       x: [kept, red], red dense
//   reduce_columns  lanes lie along the kept axis          x: [red, kept], kept dense
//
// A GPU gives each output a work-group in reduce_rows, a work-item in reduce_columns.

enum { SUM, MEAN, MAXIMUM, MINIMUM };
// Items of a work-group on a GPU.
#ifndef GROUP
#define GROUP 64
#endif

#define TAKES(op, v, acc) ((op) == MAXIMUM ? (v) > (acc) : (v) < (acc))

inline V combine_float(int op, V acc, V v) {
  if (op <= MEAN) return acc + v;
  return select(acc, v, TAKES(op, v, acc) | (v != v));
}
inline float combine_one_float(int op, float acc, float v) {
  if (op <= MEAN) return acc + v;
  return TAKES(op, v, acc) || v != v ? v : acc;
}
inline VI combine_int(int op, VI acc, VI v) {
  if (op <= MEAN) return acc + v;
  return op == MAXIMUM ? max(acc, v) : min(acc, v);
}
inline int combine_one_int(int op, int acc, int v) {
  if (op <= MEAN) return acc + v;
  return op == MAXIMUM ? max(acc, v) : min(acc, v);
}
inline float start_float(int op) {
  return op <= MEAN ? 0.0f : op == MAXIMUM ? -INFINITY : INFINITY;
}
inline int start_int(int op) { return op <= MEAN ? 0 : op == MAXIMUM ? INT_MIN : INT_MAX; }
inline float finish_float(int op, float acc, int count) {
  return op == MEAN ? acc / (float)count : acc;
}
inline int finish_int(int op, int acc, int count) { return acc; }

#if APUS_GPU
#define DEFINE_ROWS(T, VT, VLOAD)                                                           \
  kernel void reduce_rows_##T(                                                              \
      const Iteration kept, const Iteration red, global const T *x, global T *out, int op,  \
      int segment, int divisor) {                                                           \
    local T lanes[GROUP];                                                                   \
    const int output = get_group_id(0), part = get_group_id(1), me = get_local_id(0);       \
    int at[2];                                                                              \
    locate(&kept, 2, output / kept.shape[0], at);                                           \
    const int column = output % kept.shape[0];                                              \
    const int base = at[1] + column * STRIDE(kept, 1, 0);                                   \
    T acc = start_##T(op);                                                                  \
    const int end = min((part + 1) * segment, red.count);                                   \
    for (int r = part * segment + me; r < end; r += GROUP) {                                \
      int p[1];                                                                             \
      locate(&red, 1, r / red.shape[0], p);                                                 \
      acc = combine_one_##T(op, acc, x[base + p[0] + r % red.shape[0] * STRIDE(red, 0, 0)]); \
    }                                                                                       \
    lanes[me] = acc;                                                                        \
    for (int width = GROUP / 2; width > 0; width /= 2) {                                    \
      barrier(CLK_LOCAL_MEM_FENCE);                                                         \
      if (me < width) lanes[me] = combine_one_##T(op, lanes[me], lanes[me + width]);        \
    }                                                                                       \
    if (me == 0)                                                                            \
      out[at[0] + column * STRIDE(kept, 0, 0) + part * kept.count] =                        \
          finish_##T(op, lanes[0], divisor);                                                \
  }
#else
#define DEFINE_ROWS(T, VT, VLOAD)                                                           \
  kernel void reduce_rows_##T(                                                              \
      const Iteration kept, const Iteration red, global const T *x, global T *out, int op,  \
      int segment, int divisor) {                                                           \
    const int part = get_global_id(1);                                                      \
    FOR_LINES(kept, 2)                                                                      \
      VT a = (VT)(start_##T(op)), b = a;                                                    \
      T acc = start_##T(op);                                                                \
      int begin = part * segment;                                                           \
      const int end = min(begin + segment, red.count), step = STRIDE(red, 0, 0);            \
      while (begin < end) {                                                                 \
        const int row = begin / red.shape[0];                                               \
        int column = begin - row * red.shape[0];                                            \
        const int stop = min(red.shape[0], column + end - begin);                           \
        begin += stop - column;                                                             \
        int p[1];                                                                           \
        locate(&red, 1, row, p);                                                            \
        global const T *from = x + at[1] + p[0];                                            \
        if (step == 1) {                                                                    \
          for (; column + 32 <= stop; column += 32) {                                       \
            a = combine_##T(op, a, vload16(0, from + column));                              \
            b = combine_##T(op, b, vload16(0, from + column + 16));                         \
          }                                                                                 \
        }                                                                                   \
        for (; column < stop; ++column) acc = combine_one_##T(op, acc, from[column * step]); \
      }                                                                                     \
      a = combine_##T(op, a, b);                                                            \
      T lanes[LANES];                                                                       \
      vstore16(a, 0, lanes);                                                                \
      for (int width = LANES / 2; width > 0; width /= 2)                                    \
        for (int k = 0; k < width; ++k)                                                     \
          lanes[k] = combine_one_##T(op, lanes[k], lanes[k + width]);                       \
      acc = combine_one_##T(op, acc, lanes[0]);                                             \
      out[at[0] + part * kept.count] = finish_##T(op, acc, divisor);                        \
    END_LINES                                                                               \
  }
#endif
#if APUS_PART == 0
DEFINE_ROWS(float, V, vload16)
#else
DEFINE_ROWS(int, VI, vload16)
#endif

// Sums are gathered in blocks of 64 rows first, which keeps rounding small on long columns.
#define DEFINE_COLUMNS(T, VT)                                                               \
  kernel void reduce_columns_##T(                                                           \
      const Iteration kept, const Iteration red, global const T *x, global T *out, int op,  \
      int segment, int divisor) {                                                           \
    const int part = get_global_id(1);                                                      \
    FOR_BLOCKS(kept, 2)                                                                     \
      VT total = (VT)(start_##T(op));                                                       \
      const int end = min((part + 1) * segment, red.count);                                 \
      for (int begin = part * segment; begin < end; begin += 64) {                          \
        VT acc = (VT)(start_##T(op));                                                       \
        for (int r = begin; r < min(begin + 64, end); ++r) {                                \
          int p[1];                                                                         \
          locate(&red, 1, r / red.shape[0], p);                                             \
          p[0] += r % red.shape[0] * STRIDE(red, 0, 0);                                     \
          acc = combine_##T(                                                                \
              op, acc, load_##T(x, at[1] + p[0], STRIDE(kept, 1, 0), column, n));           \
        }                                                                                   \
        total = combine_##T(op, total, acc);                                                \
      }                                                                                     \
      if (op == MEAN) total /= (VT)((T)divisor);                                            \
      store_##T(total, out, at[0] + part * kept.count, STRIDE(kept, 0, 0), column, n);      \
    END_BLOCKS                                                                              \
  }
#if APUS_PART == 0
DEFINE_COLUMNS(float, V)
#else
DEFINE_COLUMNS(int, VI)
#endif

// The first position of the extreme; a NaN is one.
#define DEFINE_ARG(T, IS_NAN)                                                               \
  kernel void arg_reduce_##T(                                                               \
      const Iteration kept, global const T *x, global int *out, int op, int extent, int step) { \
    FOR_LINES(kept, 2)                                                                      \
      T best = x[at[1]];                                                                    \
      int where = 0;                                                                        \
      for (int i = 1; i < extent; ++i) {                                                    \
        if (IS_NAN(best)) break;                                                            \
        T v = x[at[1] + i * step];                                                          \
        if (IS_NAN(v) || (op == 0 ? v > best : v < best)) {                                 \
          best = v;                                                                         \
          where = i;                                                                        \
        }                                                                                   \
      }                                                                                     \
      out[at[0]] = where;                                                                   \
    END_LINES                                                                               \
  }
#define NEVER(v) 0
#if APUS_PART == 0
DEFINE_ARG(float, isnan)
#else
DEFINE_ARG(int, NEVER)
#endif

// Running sums: one work-item per line along the axis.
#define DEFINE_CUMULATIVE(T)                                                                \
  kernel void cumulative_sum_##T(                                                           \
      const Iteration kept, global const T *x, global T *out, int extent, int step_out,     \
      int step_x) {                                                                         \
    FOR_LINES(kept, 2)                                                                      \
      T acc = 0;                                                                            \
      for (int i = 0; i < extent; ++i) {                                                    \
        acc += x[at[1] + i * step_x];                                                       \
        out[at[0] + i * step_out] = acc;                                                    \
      }                                                                                     \
    END_LINES                                                                               \
  }
#if APUS_PART == 1
DEFINE_CUMULATIVE(float)
DEFINE_CUMULATIVE(int)
#endif
