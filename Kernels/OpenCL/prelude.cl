// What every kernel file shares: the vector types of a device kind, the walk over strided operands,
// and an exponential that vectorises. The host puts this text in front of each file.
//
// CPU kinds: a work-item walks a chunk of the elements in blocks of 16 lanes, along the innermost
// (collapsed) axis. GPU kinds: a work-item takes single elements, a grid apart.
//
//   chunk of work-item 0      chunk of work-item 1
//   |----16----|----16----|7| |----16----| ...         CPU
//   0 1 2 3 4 5 ... (one element per work-item)        GPU
//
// Source of the exponential: argument reduction after Cody and Waite, polynomial of Cephes expf.

#ifndef APUS_GPU
#define APUS_GPU 0
#endif

// Files with many kernels come as two programs, for a driver compiles all of a program at once: part
// 0 has what most networks need, part 1 the rest.
#ifndef APUS_PART
#define APUS_PART 0
#endif

#if APUS_GPU
#define LANES 1
typedef float V;
typedef int VI;
typedef uint VU;
#define AS_V as_float
#define AS_VI as_int
#define TO_V convert_float
#define TO_VI convert_int
#else
#define LANES 16
typedef float16 V;
typedef int16 VI;
typedef uint16 VU;
#define AS_V as_float16
#define AS_VI as_int16
#define TO_V convert_float16
#define TO_VI convert_int16
#endif

// Lanes of the device's vector registers.
#ifndef APUS_VECTOR_WIDTH
#define APUS_VECTOR_WIDTH 16
#endif

// Marks kernels of register tiles: compilers may shun the widest registers unless told that they are
// wanted.
#if !APUS_GPU && defined(__has_attribute)
#if __has_attribute(__min_vector_width__)
#define WIDE __attribute__((__min_vector_width__(APUS_VECTOR_WIDTH >= 16 ? 512 : 256)))
#endif
#endif
#ifndef WIDE
#define WIDE
#endif
// The innermost loops get all registers to themselves; other functions would pass vectors through
// memory.
#define SEPARATE static WIDE __attribute__((noinline))
#define INLINED inline __attribute__((always_inline))
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

// Asks for the line of an address that is read or written soon: what another core has written is far
// away. The address need not be valid.
#ifndef APUS_PREFETCH
#define APUS_PREFETCH 0
#endif
#if APUS_PREFETCH
#define PREFETCH(p, writes) __builtin_prefetch((const void *)(size_t)(p), writes, 2)
#else
#define PREFETCH(p, writes)
#endif

// Up to four operands over one index space; axis 0 is the innermost, axes are collapsed where all
// operands allow. Offsets and strides count elements. `streams`: the output is dense, aligned to
// vectors and too large for the caches.
typedef struct {
  int rank, count, chunk, streams;
  int shape[8];
  int offset[4];
  int stride[32];
} Iteration;

// The stride of an operand along an axis. Mesa's rusticl 22.3 counts an array of arrays in an argument by
// its outer extent alone, so the struct has a flat one.
#define STRIDE(it, operand, axis) ((it).stride[8 * (operand) + (axis)])

// Positions of the operands at row `row` (all axes but the innermost) and column 0.
inline void locate(const Iteration *it, int operands, int row, int *position) {
  for (int k = 0; k < operands; ++k) position[k] = it->offset[k];
  for (int d = 1; d < it->rank; ++d) {
    int rest = row / it->shape[d];
    int at = row - rest * it->shape[d];
    row = rest;
    for (int k = 0; k < operands; ++k) position[k] += at * STRIDE(*it, k, d);
  }
}

// Runs its body for blocks of `n` elements (at most LANES) from `column` on of the row whose
// operands start at `at[]`.
#if APUS_GPU
#define FOR_BLOCKS(it, operands)                                                         \
  for (int index_ = get_global_id(0); index_ < it.count; index_ += get_global_size(0)) { \
    int at[operands];                                                                    \
    const int n = 1, column = index_ % it.shape[0];                                      \
    locate(&it, operands, index_ / it.shape[0], at);
#define END_BLOCKS }
#else
#define FOR_BLOCKS(it, operands)                                                         \
  const int streams_ = it.streams;                                                       \
  int begin_ = (int)get_global_id(0) * it.chunk;                                         \
  const int end_ = min(begin_ + it.chunk, it.count);                                     \
  while (begin_ < end_) {                                                                \
    int at[operands];                                                                    \
    const int row_ = begin_ / it.shape[0], first_ = begin_ - row_ * it.shape[0];         \
    const int stop_ = min(it.shape[0], first_ + end_ - begin_);                          \
    begin_ += stop_ - first_;                                                            \
    locate(&it, operands, row_, at);                                                     \
    for (int column = first_; column < stop_; column += LANES) {                         \
      const int n = min(LANES, stop_ - column);
#define END_BLOCKS \
  }                \
  }                \
  if (streams_) { STREAM_FENCE }
#endif

// Stores of large results go past the caches where the compiler can say so: memory is not read before
// it is overwritten. The fence orders them before whatever the host enqueues next.
#if !APUS_GPU && defined(__has_builtin)
#if __has_builtin(__builtin_nontemporal_store) && __has_builtin(__sync_synchronize)
#define STREAM_V(v, p) __builtin_nontemporal_store(v, (global V *)(p))
#define STREAM_VI(v, p) __builtin_nontemporal_store(v, (global VI *)(p))
#define STREAM_FENCE __sync_synchronize();
#endif
#endif
#ifndef STREAM_FENCE
#define STREAM_V(v, p) *(global V *)(p) = (v)
#define STREAM_VI(v, p) *(global VI *)(p) = (v)
#define STREAM_FENCE
#endif
// Stores a block of the output, operand 0 of the walk.
#if APUS_GPU
#define STORE_OUT(v, out) store_float(v, out, at[0], STRIDE(it, 0, 0), column, n)
#define STORE_OUT_INT(v, out) store_int(v, out, at[0], STRIDE(it, 0, 0), column, n)
#else
#define STORE_BLOCK(TV, STREAM, STORE, v, out)                 \
  do {                                                         \
    const TV v_ = (v);                                         \
    if (it.streams && n == LANES)                              \
      STREAM(v_, out + at[0] + column);                        \
    else                                                       \
      STORE(v_, out, at[0], STRIDE(it, 0, 0), column, n);      \
  } while (0)
#define STORE_OUT(v, out) STORE_BLOCK(V, STREAM_V, store_float, v, out)
#define STORE_OUT_INT(v, out) STORE_BLOCK(VI, STREAM_VI, store_int, v, out)
#endif

// Loads and stores of a block; missing lanes load 0 and are not stored.
#if APUS_GPU
#define DEFINE_BLOCK(T, T16)                                                             \
  inline T load_##T(global const T *p, int at, int stride, int column, int n) {          \
    return p[at + column * stride];                                                      \
  }                                                                                      \
  inline void store_##T(T v, global T *p, int at, int stride, int column, int n) {       \
    p[at + column * stride] = v;                                                         \
  }
#else
// (Some compilers take `vstore16` apart, but not the member of a packed struct.)
#define DEFINE_BLOCK(T, T16)                                                             \
  typedef struct __attribute__((packed)) { T16 value; } Unaligned_##T;                   \
  inline T16 load_##T(global const T *p, int at, int stride, int column, int n) {        \
    if (stride == 1 && n == LANES) return vload16(0, p + at + column);                   \
    if (stride == 0) return (T16)(p[at]);                                                \
    T lanes[LANES];                                                                      \
    for (int k = 0; k < LANES; ++k) lanes[k] = k < n ? p[at + (column + k) * stride] : (T)0; \
    return vload16(0, lanes);                                                            \
  }                                                                                      \
  inline void store_##T(T16 v, global T *p, int at, int stride, int column, int n) {     \
    if (stride == 1 && n == LANES) {                                                     \
      ((global Unaligned_##T *)(p + at + column))->value = v;                            \
    } else {                                                                             \
      T lanes[LANES];                                                                    \
      vstore16(v, 0, lanes);                                                             \
      for (int k = 0; k < n; ++k) p[at + (column + k) * stride] = lanes[k];              \
    }                                                                                    \
  }
#endif
DEFINE_BLOCK(float, float16)
DEFINE_BLOCK(int, int16)
DEFINE_BLOCK(uchar, uchar16)

// e^x, at most 2 ulp from the true value; NaN stays, overflow gives infinity, underflow is gradual.
inline V apus_exp(V x) {
  x = select(x, (V)(-110.0f), x < (V)(-110.0f));
  x = select(x, (V)(89.5f), x > (V)(89.5f));
  // Adding 1.5 * 2^23 rounds to an integer, which then sits in the low bits.
  V shifted = fma(x, (V)(1.44269504f), (V)(12582912.0f));
  V whole = shifted - (V)(12582912.0f);
  VI n = AS_VI(shifted) - 0x4B400000;
  V r = fma(whole, (V)(-0.693359375f), x);
  r = fma(whole, (V)(2.12194440e-4f), r);
  V p = fma(r, (V)(1.9875691500e-4f), (V)(1.3981999507e-3f));
  p = fma(p, r, (V)(8.3334519073e-3f));
  p = fma(p, r, (V)(4.1665795894e-2f));
  p = fma(p, r, (V)(1.6666665459e-1f));
  p = fma(p, r, (V)(5.0000001201e-1f));
  p = fma(p, r * r, r) + (V)(1.0f);
  // Two factors keep the scale in range for results below 2^-126 and above 2^127.
  VI half_n = n >> 1;
  return p * AS_V((half_n + 127) << 23) * AS_V((n - half_n + 127) << 23);
}

// e^x for x of at most 0, at most 2 ulp from the true value; NaN stays. Results below the smallest normal
// number are 0, so one factor scales and fewer operations are needed than above.
inline V apus_exp_down(V x) {
  const V lowest = (V)(-87.3f);
  const V limited = select(x, lowest, x < lowest);
  const V shifted = fma(limited, (V)(1.44269504f), (V)(12582912.0f));
  const V whole = shifted - (V)(12582912.0f);
  V r = fma(whole, (V)(-0.693359375f), limited);
  r = fma(whole, (V)(2.12194440e-4f), r);
  V p = fma(r, (V)(1.9875691500e-4f), (V)(1.3981999507e-3f));
  p = fma(p, r, (V)(8.3334519073e-3f));
  p = fma(p, r, (V)(4.1665795894e-2f));
  p = fma(p, r, (V)(1.6666665459e-1f));
  p = fma(p, r, (V)(5.0000001201e-1f));
  p = fma(p, r * r, r) + (V)(1.0f);
  // The integer's low bits become the exponent; what lies above them is shifted out.
  p *= AS_V((AS_VI(shifted) << 23) + 0x3F800000);
  return select(p, (V)(0.0f), x < lowest);
}

// Notes the first bad index for the host; see FaultRecord.
inline void note_fault(global int *faults, int operation, int index, int extent) {
  if (atomic_cmpxchg((volatile global int *)faults, 0, operation) == 0) {
    faults[1] = index;
    faults[2] = extent;
  }
}

// Runs its body for single elements ("lines"), with the full positions in `at[]`: used where an
// element of the walk stands for a whole line of work along another axis.
#if APUS_GPU
#define FOR_LINES(it, operands)                                                        \
  for (int line = get_global_id(0); line < it.count; line += get_global_size(0)) {     \
    int at[operands];                                                                  \
    locate(&it, operands, line / it.shape[0], at);                                     \
    for (int k_ = 0; k_ < operands; ++k_) at[k_] += line % it.shape[0] * STRIDE(it, k_, 0);
#else
#define FOR_LINES(it, operands)                                                        \
  for (int line = (int)get_global_id(0) * it.chunk,                                    \
           last_ = min(line + it.chunk, it.count);                                     \
       line < last_; ++line) {                                                         \
    int at[operands];                                                                  \
    locate(&it, operands, line / it.shape[0], at);                                     \
    for (int k_ = 0; k_ < operands; ++k_) at[k_] += line % it.shape[0] * STRIDE(it, k_, 0);
#endif
#define END_LINES }
