// Fill, copy and conversion over strided views (see prelude.cl). Copies and fills move bits and are
// told apart by element size only; conversions pass through float, int or double, whichever of these
// holds both types exactly where one can.

enum { FLOAT32, FLOAT64, FLOAT16, BFLOAT16, INT32, UINT8, BOOL };

#define DEFINE_COPY(SIZE, T, TN, STORE)                                               \
  kernel void copy_##SIZE(const Iteration it, global const T *x, global T *out) {     \
    FOR_BLOCKS(it, 2)                                                                 \
      STORE(load_##T(x, at[1], STRIDE(it, 1, 0), column, n), out);                    \
    END_BLOCKS                                                                        \
  }                                                                                   \
  kernel void fill_##SIZE(const Iteration it, global T *out, T value) {               \
    FOR_BLOCKS(it, 1)                                                                 \
      STORE((TN)(value), out);                                                        \
    END_BLOCKS                                                                        \
  }
#define STORE_UCHAR(v, out) store_uchar(v, out, at[0], STRIDE(it, 0, 0), column, n)
#define STORE_USHORT(v, out) store_ushort(v, out, at[0], STRIDE(it, 0, 0), column, n)
#define STORE_ULONG(v, out) store_ulong(v, out, at[0], STRIDE(it, 0, 0), column, n)
#if APUS_GPU
#define BLOCK(T) T
#else
#define BLOCK(T) T##16
#endif
DEFINE_BLOCK(ushort, ushort16)
DEFINE_BLOCK(ulong, ulong16)
#if APUS_PART == 0
DEFINE_COPY(4, int, BLOCK(int), STORE_OUT_INT)
#else
DEFINE_COPY(1, uchar, BLOCK(uchar), STORE_UCHAR)
DEFINE_COPY(2, ushort, BLOCK(ushort), STORE_USHORT)
DEFINE_COPY(8, ulong, BLOCK(ulong), STORE_ULONG)

#if APUS_GPU
#define FROM_BYTE(v) v
#define LOAD_HALF(p) vload_half(0, p)
#define STORE_HALF(v, p) vstore_half_rte(v, 0, p)
#define TO_BOOL(c) (uchar)((c) ? 1 : 0)
#define TO_BYTE_SAT convert_uchar_sat
#define TO_INT_SAT convert_int_sat_rtz
#define TO_BYTE convert_uchar
#define TO_USHORT convert_ushort
#define TO_VU convert_uint
#else
#define TO_BOOL(c) (convert_uchar16((c) & (VI)(1)))
#define TO_BYTE_SAT convert_uchar16_sat
#define TO_INT_SAT convert_int16_sat_rtz
#define TO_BYTE convert_uchar16
#define TO_USHORT convert_ushort16
#define TO_VU convert_uint16
#endif

// Half floats through vload_half on single elements: contiguity does not matter here.
inline V load_half_block(global const ushort *p, int at, int stride, int column, int n) {
#if APUS_GPU
  return vload_half(at + column * stride, (global const half *)p);
#else
  float lanes[LANES];
  for (int k = 0; k < LANES; ++k)
    lanes[k] = k < n ? vload_half(at + (column + k) * stride, (global const half *)p) : 0.0f;
  return vload16(0, lanes);
#endif
}

inline void store_half_block(V v, global ushort *p, int at, int stride, int column, int n) {
#if APUS_GPU
  vstore_half_rte(v, at + column * stride, (global half *)p);
#else
  float lanes[LANES];
  vstore16(v, 0, lanes);
  for (int k = 0; k < n; ++k)
    vstore_half_rte(lanes[k], at + (column + k) * stride, (global half *)p);
#endif
}

// Upper half of a float32, rounded to nearest even; a NaN keeps a set mantissa bit.
inline VU bfloat_bits(V v) {
  VI bits = AS_VI(v);
  VI rounded = bits + 0x7FFF + ((bits >> 16) & 1);
  rounded = select(rounded, bits | 0x400000, v != v);
#if APUS_GPU
  return as_uint(rounded) >> 16;
#else
  return as_uint16(rounded) >> 16;
#endif
}

inline VI saturated(V v) { return select(TO_INT_SAT(v), (VI)(0), v != v); }

// Pairs with at least one of float32, float16, bfloat16 and no float64.
kernel void cast_float(
    const Iteration it, global const void *x, global void *out, int from, int to) {
  FOR_BLOCKS(it, 2)
    const int sx = STRIDE(it, 1, 0), so = STRIDE(it, 0, 0);
    V v;
    switch (from) {
      case FLOAT32: v = load_float(x, at[1], sx, column, n); break;
      case FLOAT16: v = load_half_block(x, at[1], sx, column, n); break;
      case BFLOAT16:
        v = AS_V(TO_VU(load_ushort(x, at[1], sx, column, n)) << 16);
        break;
      case INT32: v = TO_V(load_int(x, at[1], sx, column, n)); break;
      default: v = TO_V(load_uchar(x, at[1], sx, column, n)); break;
    }
    switch (to) {
      case FLOAT32: store_float(v, out, at[0], so, column, n); break;
      case FLOAT16: store_half_block(v, out, at[0], so, column, n); break;
      case BFLOAT16: store_ushort(TO_USHORT(bfloat_bits(v)), out, at[0], so, column, n); break;
      case INT32: store_int(saturated(v), out, at[0], so, column, n); break;
      case UINT8: store_uchar(TO_BYTE_SAT(saturated(v)), out, at[0], so, column, n); break;
      default: store_uchar(TO_BOOL(v != (V)(0.0f)), out, at[0], so, column, n); break;
    }
  END_BLOCKS
}

// Pairs of int32, uint8 and bool.
kernel void cast_int(const Iteration it, global const void *x, global void *out, int from, int to) {
  FOR_BLOCKS(it, 2)
    const int sx = STRIDE(it, 1, 0), so = STRIDE(it, 0, 0);
    VI v = from == INT32 ? load_int(x, at[1], sx, column, n)
                         : TO_VI(load_uchar(x, at[1], sx, column, n));
    switch (to) {
      case INT32: store_int(v, out, at[0], so, column, n); break;
      case UINT8: store_uchar(TO_BYTE_SAT(v), out, at[0], so, column, n); break;
      default: store_uchar(TO_BOOL(v != (VI)(0)), out, at[0], so, column, n); break;
    }
  END_BLOCKS
}

#ifdef APUS_FLOAT64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
// Pairs with float64: element by element, for this is no arithmetic type here.
kernel void cast_double(
    const Iteration it, global const void *x, global void *out, int from, int to) {
  FOR_BLOCKS(it, 2)
    for (int k = column; k < column + n; ++k) {
      const int i = at[1] + k * STRIDE(it, 1, 0), o = at[0] + k * STRIDE(it, 0, 0);
      double v;
      switch (from) {
        case FLOAT32: v = ((global const float *)x)[i]; break;
        case FLOAT64: v = ((global const double *)x)[i]; break;
        case FLOAT16: v = vload_half(i, (global const half *)x); break;
        case BFLOAT16: v = as_float((uint)((global const ushort *)x)[i] << 16); break;
        case INT32: v = ((global const int *)x)[i]; break;
        default: v = ((global const uchar *)x)[i]; break;
      }
      switch (to) {
        case FLOAT32: ((global float *)out)[o] = (float)v; break;
        case FLOAT64: ((global double *)out)[o] = v; break;
        case FLOAT16: vstore_half_rte(v, o, (global half *)out); break;
        case BFLOAT16: {
          uint bits = as_uint((float)v);
          bits = isnan(v) ? bits | 0x400000 : bits + 0x7FFF + ((bits >> 16) & 1);
          ((global ushort *)out)[o] = bits >> 16;
          break;
        }
        case INT32: ((global int *)out)[o] = isnan(v) ? 0 : convert_int_sat_rtz(v); break;
        case UINT8: ((global uchar *)out)[o] = isnan(v) ? 0 : convert_uchar_sat_rtz(v); break;
        default: ((global uchar *)out)[o] = v != 0.0; break;
      }
    }
  END_BLOCKS
}
#endif
#endif
