// Chains of element-wise functions: interprets the instructions of chain.c on CHAIN_VECTORS vectors at a
// time. The value that passes from step to step, `v`, stays in registers; buffers in the first cache hold
// repeated values and results that are read again later.
//
//   LOAD x    MULTIPLY x    MULTIPLY x    MULTIPLY 0.04    ADD x    TANH    STORE
//      '-- v ---- v ---------- v ------------ v ------------ v ------ v ------'

enum { CHAIN_VECTORS = 8, CHAIN_FLOATS = CHAIN_VECTORS * VL };

/// An instruction with the addresses of one thread. What moves advances with the elements.
typedef struct {
  int code;
  const float *a, *b, *c;
  float *to;
  /// All bits set where the address moves, else none.
  ptrdiff_t a_moves, b_moves, c_moves, to_moves;
  apus_block block;
  const parameters *p;
} chain_instruction;

#define CHAIN_EACH _Pragma("clang loop unroll(full)") for (int j = 0; j < CHAIN_VECTORS; j++)
/// `v` becomes `EXPRESSION` of itself, called x, and of vectors at a, b and c.
#define CHAIN_CASE(CODE, EXPRESSION)                                                     \
  case CODE:                                                                             \
    CHAIN_EACH {                                                                         \
      const VF x = v[j];                                                                 \
      v[j] = EXPRESSION;                                                                 \
    }                                                                                    \
    break;
#define CHAIN_AT(P) load((P) + j * VL)

static inline float *chain_address(const float *start, ptrdiff_t moves, ptrdiff_t first) {
  return (float *)start + (first & moves);
}

static void chain_blocks(
    const chain_instruction *code, int count, const apus_chain_program *program, ptrdiff_t begin,
    ptrdiff_t end) {
  VF v[CHAIN_VECTORS];
  CHAIN_EACH v[j] = (VF)(0.0f);
  for (ptrdiff_t first = begin; first < end; first += CHAIN_FLOATS) {
    if (program->streams)
      for (int s = 0; s < program->sources; s++)
        for (int line = 0; line < CHAIN_FLOATS; line += 16)
          __builtin_prefetch(program->source[s] + first + AHEAD + line);
    for (const chain_instruction *i = code; i < code + count; i++) {
      const float *a = chain_address(i->a, i->a_moves, first);
      const float *b = chain_address(i->b, i->b_moves, first);
      float *to = chain_address(i->to, i->to_moves, first);
      const parameters *p = i->p;
      switch (i->code) {
        case APUS_CHAIN_LOAD: CHAIN_EACH v[j] = CHAIN_AT(a); break;
        case APUS_CHAIN_STORE: CHAIN_EACH store(to + j * VL, v[j]); break;
        case APUS_CHAIN_STREAM: CHAIN_EACH store_stream(to + j * VL, v[j]); break;
        CHAIN_CASE(APUS_NEGATE, -x)
        CHAIN_CASE(APUS_ABS, abs_f(x))
        CHAIN_CASE(APUS_SQUARE, x * x)
        CHAIN_CASE(APUS_EXP, exp_f(x))
        CHAIN_CASE(APUS_SQRT, sqrt_f(x))
        CHAIN_CASE(APUS_RECIPROCAL, 1.0f / x)
        CHAIN_CASE(APUS_TANH, tanh_f(x))
        CHAIN_CASE(APUS_SIGMOID, sigmoid_f(x))
        CHAIN_CASE(APUS_RELU, relu_f(x))
        CHAIN_CASE(APUS_LEAKY_RELU, leaky_relu_f(x, p->a))
        CHAIN_CASE(APUS_CLAMP, clamp_f(x, p->a, p->b))
        CHAIN_CASE(APUS_ADD, x + CHAIN_AT(b))
        CHAIN_CASE(APUS_SUBTRACT, x - CHAIN_AT(b))
        CHAIN_CASE(APUS_CHAIN_SUBTRACT_FROM, CHAIN_AT(b) - x)
        CHAIN_CASE(APUS_MULTIPLY, x * CHAIN_AT(b))
        CHAIN_CASE(APUS_DIVIDE, x / CHAIN_AT(b))
        CHAIN_CASE(APUS_CHAIN_DIVIDE_FROM, CHAIN_AT(b) / x)
        CHAIN_CASE(APUS_MAXIMUM, maximum_f(x, CHAIN_AT(b)))
        CHAIN_CASE(APUS_MINIMUM, minimum_f(x, CHAIN_AT(b)))
        case APUS_MULTIPLY_ADD: {
          const float *c = chain_address(i->c, i->c_moves, first);
          CHAIN_EACH v[j] = fma_f(v[j], CHAIN_AT(b), CHAIN_AT(c));
          break;
        }
        default:
          i->block(
              to, a, b, i->c ? chain_address(i->c, i->c_moves, first) : NULL, CHAIN_FLOATS, p);
          if (i->code == APUS_CHAIN_CALL) CHAIN_EACH v[j] = CHAIN_AT(to);
      }
    }
  }
}

/// What is left when blocks of CHAIN_FLOATS are done: operands in memory are copied to a whole block.
static __attribute__((noinline)) void chain_rest(
    chain_instruction *code, int count, const apus_chain_program *program, ptrdiff_t first,
    ptrdiff_t n) {
  float rest[APUS_CHAIN_INSTRUCTIONS][3][CHAIN_FLOATS] __attribute__((aligned(64)));
  float *target[APUS_CHAIN_INSTRUCTIONS];
  const size_t size = (size_t)n * sizeof(float);
  for (int i = 0; i < count; i++) {
    const float **operand[3] = {&code[i].a, &code[i].b, &code[i].c};
    ptrdiff_t *moves[3] = {&code[i].a_moves, &code[i].b_moves, &code[i].c_moves};
    for (int k = 0; k < 3; k++) {
      if (!*moves[k]) continue;
      for (ptrdiff_t j = n; j < CHAIN_FLOATS; j++) rest[i][k][j] = 1.0f;
      memcpy(rest[i][k], *operand[k] + first, size);
      *operand[k] = rest[i][k];
      *moves[k] = 0;
    }
    target[i] = NULL;
    if (!code[i].to_moves) continue;
    // The operand is read before its element is overwritten.
    target[i] = code[i].to + first;
    code[i].to = rest[i][0];
    code[i].to_moves = 0;
  }
  apus_chain_program still = *program;
  still.streams = false;
  chain_blocks(code, count, &still, 0, 1);
  for (int i = 0; i < count; i++)
    if (target[i]) memcpy(target[i], rest[i][0], size);
}

static void chain(const apus_chain_program *program, ptrdiff_t begin, ptrdiff_t end) {
  float local[APUS_CHAIN_LOCALS][CHAIN_FLOATS] __attribute__((aligned(64)));
  for (int i = 0; i < program->splats; i++)
    for (int j = 0; j < CHAIN_FLOATS; j++) local[i][j] = program->splat[i];
  chain_instruction code[APUS_CHAIN_INSTRUCTIONS];
  for (int k = 0; k < program->count; k++) {
    const apus_chain_instruction *from = &program->instruction[k];
    chain_instruction *i = &code[k];
    *i = (chain_instruction){.code = from->code, .block = from->block, .p = from->parameters};
#define RESOLVE(FIELD)                                                                   \
  if (from->FIELD.memory) {                                                              \
    i->FIELD = (float *)from->FIELD.memory;                                              \
    i->FIELD##_moves = -1;                                                               \
  } else if (from->FIELD.local > 0) {                                                    \
    i->FIELD = local[from->FIELD.local - 1];                                              \
  }
    RESOLVE(a)
    RESOLVE(b)
    RESOLVE(c)
    RESOLVE(to)
    if (i->code == APUS_CHAIN_STREAM && !is_aligned(i->to + begin)) i->code = APUS_CHAIN_STORE;
  }
  const ptrdiff_t whole = (end - begin) / CHAIN_FLOATS * CHAIN_FLOATS;
  chain_blocks(code, program->count, program, begin, begin + whole);
  if (begin + whole < end)
    chain_rest(code, program->count, program, begin + whole, end - begin - whole);
}
