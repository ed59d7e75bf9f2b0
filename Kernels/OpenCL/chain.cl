// Several element-wise commands in one pass over dense operands of one length: what the host gathered
// between two other commands (ElementwiseChain.swift). The steps run one after another on a block of
// elements, so that a result passes from step to step in the first-level cache, and reaches memory only
// where a tensor still holds it:
//
//            step 0: x * y           step 1: _ + 1           step 2: tanh _
//   x --+--> value[0] -------------> value[1] -------------> value[2] -----> memory
//   y --'
//
// CPU kinds: a work-item takes a chunk in blocks of VECTORS vectors. GPU kinds: a work-item takes single
// elements, a grid apart. The functions are those of the kernels for single commands, and every result
// is rounded to a float before the next step reads it, so the bits are the same.

#define STEPS 16
#define SLOTS 12
#if APUS_GPU
#define VECTORS 1
#else
#define VECTORS 16
#endif
#define BLOCK (VECTORS * LANES)

// Where an operand comes from: the value of an earlier step, else one of these plus the slot.
enum { MEMORY = STEPS, SPLAT = 32, CONSTANT = 64 };
enum { UNARY, DERIVATIVE, BINARY, TERNARY };

typedef struct {
  // The slot that the result is stored to, or SLOTS for none.
  uchar family, op, operands, slot;
  uchar from[4];
  // Parameters of the function; a constant operand is `a`.
  float a, b;
} Step;

typedef struct {
  int count, chunk, steps, streams;
  // Where each slot begins in its buffer.
  int offset[SLOTS];
  Step step[STEPS];
} Chain;

#define EACH(expression) \
  for (int j = 0; j < vectors; ++j) out[j] = (expression); \
  break;

inline void apply(const Step *s, const V *x, const V *y, const V *z, V *out, int vectors) {
  const int op = s->op;
  const float a = s->a, b = s->b;
  switch (s->family) {
    case UNARY: EACH(unary_function(op, x[j], a, b))
    case DERIVATIVE: EACH(unary_derivative(op, x[j], y[j], a, b))
    case BINARY:
      switch (op) {
        case ADD: EACH(x[j] + y[j])
        case SUBTRACT: EACH(x[j] - y[j])
        case MULTIPLY: EACH(x[j] * y[j])
        default: EACH(binary_function(op, x[j], y[j]))
      }
      break;
    case TERNARY:
      if (op == 1) {
        EACH(fma(x[j], y[j], z[j]))
      } else {
        EACH(fma(y[j] - x[j], z[j], x[j]))
      }
  }
}

// Elements from `first` on; `length` of them, or as many as a block holds.
inline void fetch(V *to, global const float *from, int first, int length) {
  if (length == BLOCK) {
#pragma unroll
    for (int j = 0; j < VECTORS; ++j) to[j] = load_float(from, first, 1, j * LANES, LANES);
  } else {
    for (int j = 0; j * LANES < length; ++j)
      to[j] = load_float(from, first, 1, j * LANES, min(LANES, length - j * LANES));
  }
}

inline void keep(const V *from, global float *to, int first, int length, int streams) {
#if !APUS_GPU
  if (streams && length == BLOCK) {
    for (int j = 0; j < VECTORS; ++j) STREAM_V(from[j], to + first + j * LANES);
    return;
  }
#endif
  for (int j = 0; j * LANES < length; ++j)
    store_float(from[j], to, first, 1, j * LANES, min(LANES, length - j * LANES));
}

kernel void elementwise_chain(
    const Chain chain, global float *m0, global float *m1, global float *m2, global float *m3,
    global float *m4, global float *m5, global float *m6, global float *m7, global float *m8,
    global float *m9, global float *m10, global float *m11) {
  global float *memory[SLOTS] = {m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11};
  // Operands that are no value of a step are brought to the last three.
  V value[STEPS + 3][VECTORS];
#if APUS_GPU
  for (int first = get_global_id(0); first < chain.count; first += get_global_size(0)) {
    const int length = 1;
#else
  const int begin = (int)get_global_id(0) * chain.chunk;
  const int end = min(begin + chain.chunk, chain.count);
  for (int first = begin; first < end; first += BLOCK) {
    const int length = min(BLOCK, end - first);
#endif
    const int vectors = (length + LANES - 1) / LANES;
    for (int i = 0; i < chain.steps; ++i) {
      const Step s = chain.step[i];
      int from[3] = {0, 0, 0};
      for (int k = 0; k < s.operands; ++k) {
        const int source = s.from[k];
        from[k] = source;
        if (source < MEMORY) continue;
        from[k] = STEPS + k;
        if (source < SPLAT) {
          const int slot = source - MEMORY;
          fetch(value[STEPS + k], memory[slot], chain.offset[slot] + first, length);
        } else {
          const int slot = source - SPLAT;
          const float x = source == CONSTANT ? s.a : memory[slot][chain.offset[slot]];
          for (int j = 0; j < vectors; ++j) value[STEPS + k][j] = (V)(x);
        }
      }
      apply(&s, value[from[0]], value[from[1]], value[from[2]], value[i], vectors);
      if (s.slot < SLOTS) {
        const int start = chain.offset[s.slot];
        keep(
            value[i], memory[s.slot], start + first, length,
            chain.streams && start % LANES == 0);
      }
    }
  }
#if !APUS_GPU
  if (chain.streams) { STREAM_FENCE }
#endif
}
