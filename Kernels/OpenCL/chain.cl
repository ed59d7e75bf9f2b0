// Several element-wise commands in one pass over dense operands of one length: what the host gathered
// between two other commands (ElementwiseChain.swift). The steps run one after another on a block of
// elements. The value that passes from step to step, `v`, stays in registers; it is copied to private
// memory where a later step reads it again, and reaches global memory only where a tensor still holds it:
//
//   fetch x    * y    + 1    tanh    keep
//      '-- v ---- v ---- v ---- v ----'
//
// CPU kinds: a work-item takes a chunk in blocks of VECTORS vectors. GPU kinds: a work-item takes single
// elements, a grid apart. The functions are those of the kernels for single commands, and every result
// is rounded to a float before the next step reads it, so the bits are the same.

#define STEPS 16
#define SLOTS 12
#if APUS_GPU
#define VECTORS 1
#elif APUS_VECTOR_WIDTH >= 16
#define VECTORS 8
#else
#define VECTORS 4
#endif
#define BLOCK (VECTORS * LANES)
#define EACH _Pragma("unroll") for (int j = 0; j < VECTORS; ++j)

// Where an operand comes from: a copy of the value of an earlier step, memory or a repeated element of it
// plus the slot, a number; or it is what the step before left in `v`, or there is none.
enum { MEMORY = STEPS, SPLAT = 32, CONSTANT = 64, PREVIOUS = 65, NONE = 255 };
// The function is one of these plus its code; the last two take their operands in the other order.
enum { UNARY = 0, DERIVATIVE = 32, BINARY = 64, TERNARY = 96, SUBTRACT_FROM = 128, DIVIDE_FROM };

typedef struct {
  // `slot`: where the result is stored, or SLOTS for nowhere. `copies`: whether a later step fetches it.
  uchar function, slot, copies, unused;
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

// Elements of global memory from `first` on, `length` of them or as many as a block holds. The arrays
// of a whole block are registers, which nothing that is called could share.
SEPARATE void fetch_part(V *to, global const float *from, int first, int length) {
  EACH to[j] = (V)(0.0f);
  for (int j = 0; j * LANES < length; ++j)
    to[j] = load_float(from, first, 1, j * LANES, min(LANES, length - j * LANES));
}

INLINED void fetch(V *to, global const float *from, int first, int length) {
  if (length == BLOCK) {
    EACH to[j] = load_float(from, first, 1, j * LANES, LANES);
  } else {
    V part[VECTORS];
    fetch_part(part, from, first, length);
    EACH to[j] = part[j];
  }
}

SEPARATE void keep_part(const V *from, global float *to, int first, int length) {
  for (int j = 0; j * LANES < length; ++j)
    store_float(from[j], to, first, 1, j * LANES, min(LANES, length - j * LANES));
}

INLINED void keep(const V *from, global float *to, int first, int length, int streams) {
  if (length != BLOCK) {
    V part[VECTORS];
    EACH part[j] = from[j];
    keep_part(part, to, first, length);
  } else if (streams) {
    EACH STREAM_V(from[j], to + first + j * LANES);
  } else {
    EACH store_float(from[j], to, first, 1, j * LANES, LANES);
  }
}

// An operand of a step in registers.
#define FETCH(to, source)                                                               \
  {                                                                                     \
    const int source_ = (source);                                                       \
    if (source_ < MEMORY) {                                                             \
      EACH to[j] = copy[source_][j];                                                    \
    } else if (source_ < SPLAT) {                                                       \
      const int slot_ = source_ - MEMORY;                                               \
      fetch(to, memory[slot_], chain->offset[slot_] + first, length);                   \
    } else {                                                                            \
      const int slot_ = source_ - SPLAT;                                                \
      const float x_ = source_ == CONSTANT ? s->a : memory[slot_][chain->offset[slot_]]; \
      EACH to[j] = (V)(x_);                                                             \
    }                                                                                   \
  }

#define CASE(function, expression)           \
  case function:                             \
    EACH {                                   \
      const V x = v[j], y = b[j];            \
      v[j] = (expression);                   \
    }                                        \
    break;

// Functions for which registers would not suffice; all operands are in private memory.
SEPARATE void call(const Step *s, V *x, const V *y, const V *z, int vectors) {
  const int op = s->function & 31;
  const float a = s->a, b = s->b;
  switch (s->function & ~31) {
    case UNARY:
      for (int j = 0; j < vectors; ++j) x[j] = unary_function(op, x[j], a, b);
      break;
    case DERIVATIVE:
      for (int j = 0; j < vectors; ++j) x[j] = unary_derivative(op, x[j], y[j], a, b);
      break;
    case BINARY:
      for (int j = 0; j < vectors; ++j) x[j] = binary_function(op, x[j], y[j]);
      break;
    default:
      for (int j = 0; j < vectors; ++j)
        x[j] = op == 1 ? fma(x[j], y[j], z[j]) : fma(y[j] - x[j], z[j], x[j]);
  }
}

// The steps on one block of elements from `first` on.
static WIDE void chain_block(
    const Chain *chain, global float **memory, V (*copy)[VECTORS], int first, int length) {
  V v[VECTORS];
  EACH v[j] = (V)(0.0f);
  for (int i = 0; i < chain->steps; ++i) {
    const Step *s = &chain->step[i];
    if (s->from[0] != PREVIOUS) FETCH(v, s->from[0])
    V b[VECTORS];
    EACH b[j] = (V)(0.0f);
    if (s->from[1] != NONE) FETCH(b, s->from[1])
    switch (s->function) {
      CASE(BINARY + ADD, x + y)
      CASE(BINARY + SUBTRACT, x - y)
      CASE(SUBTRACT_FROM, y - x)
      CASE(BINARY + MULTIPLY, x * y)
      CASE(BINARY + DIVIDE, x / y)
      CASE(DIVIDE_FROM, y / x)
      CASE(UNARY + SQUARE, x * x)
      CASE(UNARY + RELU, unary_function(RELU, x, 0.0f, 0.0f))
      CASE(UNARY + EXP, unary_function(EXP, x, 0.0f, 0.0f))
      CASE(UNARY + TANH, unary_function(TANH, x, 0.0f, 0.0f))
      CASE(UNARY + SIGMOID, unary_function(SIGMOID, x, 0.0f, 0.0f))
      default: {
        V x[VECTORS], y[VECTORS], z[VECTORS];
        EACH x[j] = v[j];
        EACH y[j] = b[j];
        if (s->from[2] != NONE) FETCH(z, s->from[2])
        call(s, x, y, z, (length + LANES - 1) / LANES);
        EACH v[j] = x[j];
      }
    }
    if (s->copies) EACH copy[i][j] = v[j];
    if (s->slot < SLOTS) {
      const int start = chain->offset[s->slot];
      keep(v, memory[s->slot], start + first, length, chain->streams && start % LANES == 0);
    }
  }
}

kernel void elementwise_chain(
    const Chain chain, global float *m0, global float *m1, global float *m2, global float *m3,
    global float *m4, global float *m5, global float *m6, global float *m7, global float *m8,
    global float *m9, global float *m10, global float *m11) {
  global float *memory[SLOTS] = {m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11};
  V copy[STEPS][VECTORS];
#if APUS_GPU
  for (int first = get_global_id(0); first < chain.count; first += get_global_size(0))
    chain_block(&chain, memory, copy, first, 1);
#else
  const int begin = (int)get_global_id(0) * chain.chunk;
  const int end = min(begin + chain.chunk, chain.count);
  for (int first = begin; first < end; first += BLOCK)
    chain_block(&chain, memory, copy, first, min(BLOCK, end - first));
  if (chain.streams) { STREAM_FENCE }
#endif
}
