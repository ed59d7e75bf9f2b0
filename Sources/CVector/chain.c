// Runs several element-wise functions of dense operands of one length in one pass: all of them on a
// block of elements, then on the next block. The steps become instructions for the loops of each level
// (loops/chain.h), which pass the result of a step to the next one in registers. A result that is read
// again later goes to a buffer in the first cache, and to memory only where a tensor still holds it.
//
//   x · y            LOAD x, MULTIPLY y
//   _ + 1            ADD 1
//   tanh _           TANH, STORE
#include "level.h"

#include <math.h>
#include <string.h>

enum {
  // Results of this many bytes would only push other things out of the cache.
  STREAM_BYTES = 16 << 20,
  OPERANDS = 3,
};

static const apus_chain_operand *operand(const apus_chain_step *step, int k) {
  return k == 0 ? &step->a : k == 1 ? &step->b : &step->c;
}

/// Whether the function is an instruction; others are called on blocks in buffers.
static bool is_instruction(apus_operation operation) {
  switch (operation) {
    case APUS_NEGATE: case APUS_ABS: case APUS_SQUARE: case APUS_EXP: case APUS_SQRT:
    case APUS_RECIPROCAL: case APUS_TANH: case APUS_SIGMOID: case APUS_RELU: case APUS_LEAKY_RELU:
    case APUS_CLAMP: case APUS_ADD: case APUS_SUBTRACT: case APUS_MULTIPLY: case APUS_DIVIDE:
    case APUS_MAXIMUM: case APUS_MINIMUM: case APUS_MULTIPLY_ADD: return true;
    default: return false;
  }
}

/// An instruction for a step, and which operand it takes besides the value in registers.
typedef struct {
  int code, other;
} chain_choice;

/// How to compute `step` of the result of the step before, which is in registers; a negative code if the
/// function has to find it elsewhere.
static chain_choice choose(const apus_chain_step *step, int previous) {
  const chain_choice none = {-1, 0};
  if (!is_instruction(step->operation)) return none;
  bool is_previous[OPERANDS] = {false};
  for (int k = 0; k < step->operands; k++)
    is_previous[k] = previous >= 0 && operand(step, k)->step == previous;
  if (is_previous[2]) return none;
  if (is_previous[0] && is_previous[1])
    return step->operation == APUS_MULTIPLY ? (chain_choice){APUS_SQUARE, 0} : none;
  if (is_previous[0]) return (chain_choice){(int)step->operation, 1};
  if (!is_previous[1]) return none;
  switch (step->operation) {
    case APUS_SUBTRACT: return (chain_choice){APUS_CHAIN_SUBTRACT_FROM, 0};
    case APUS_DIVIDE: return (chain_choice){APUS_CHAIN_DIVIDE_FROM, 0};
    case APUS_ADD:
    case APUS_MULTIPLY:
      // Of two NaNs the first one is the result, so only a number may change places.
      if (step->a.step < 0 && !step->a.memory && !isnan(step->a.value))
        return (chain_choice){(int)step->operation, 0};
      return none;
    default: return none;
  }
}

typedef struct {
  const apus_chain_step *step;
  apus_chain_program program;
  /// The local that holds a step's result, 0 for none.
  int buffer[APUS_CHAIN_STEPS];
  /// Whether no later step wants the result.
  bool is_last_use[APUS_CHAIN_STEPS];
  apus_parameters parameters[APUS_CHAIN_STEPS];
} chain_plan;

static apus_chain_instruction *add(chain_plan *plan, int code) {
  apus_chain_instruction *added = &plan->program.instruction[plan->program.count++];
  memset(added, 0, sizeof *added);
  added->code = code;
  return added;
}

/// The number of the repeated value, by its bits.
static int splat_of(chain_plan *plan, float value) {
  apus_chain_program *program = &plan->program;
  for (int i = 0; i < program->splats; i++)
    if (memcmp(&program->splat[i], &value, sizeof value) == 0) return i + 1;
  program->splat[program->splats] = value;
  return ++program->splats;
}

static apus_chain_place place_of(chain_plan *plan, const apus_chain_operand *x) {
  if (x->step >= 0) return (apus_chain_place){NULL, plan->buffer[x->step]};
  if (!x->memory) return (apus_chain_place){NULL, splat_of(plan, x->value)};
  apus_chain_program *program = &plan->program;
  bool is_known = false;
  for (int i = 0; i < program->sources; i++) is_known |= program->source[i] == x->memory;
  if (!is_known) program->source[program->sources++] = x->memory;
  return (apus_chain_place){x->memory, 0};
}

static void add_step(chain_plan *plan, int i) {
  const apus_chain_step *step = &plan->step[i];
  chain_choice choice = choose(step, i - 1);
  if (choice.code < 0 && is_instruction(step->operation)) {
    add(plan, APUS_CHAIN_LOAD)->a = place_of(plan, &step->a);
    choice = (chain_choice){(int)step->operation, 1};
  }
  const bool is_call = choice.code < 0;
  apus_chain_instruction *function = add(plan, is_call ? APUS_CHAIN_CALL : choice.code);
  function->parameters = &plan->parameters[i];
  if (is_call) {
    function->block = apus_loops_now()->kernel[step->operation].block;
    function->a = place_of(plan, &step->a);
    function->to.local = plan->buffer[i];
    if (step->target && plan->is_last_use[i]) {
      function->code = APUS_CHAIN_CALL_STORE;
      function->to.memory = step->target;
      plan->parameters[i].stream = plan->program.streams;
    }
  }
  if (step->operands > 1 && choice.code != APUS_SQUARE)
    function->b = place_of(plan, operand(step, is_call ? 1 : choice.other));
  if (step->operands > 2) function->c = place_of(plan, &step->c);
  if (plan->buffer[i] && !is_call) add(plan, APUS_CHAIN_STORE)->to.local = plan->buffer[i];
  if (step->target && function->code != APUS_CHAIN_CALL_STORE)
    add(plan, plan->program.streams ? APUS_CHAIN_STREAM : APUS_CHAIN_STORE)->to.memory =
        step->target;
}

static void run(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const chain_plan *plan = context;
  apus_loops_now()->chain(&plan->program, begin, end);
  if (plan->program.streams) apus_stream_fence();
}

void apus_chain(const apus_chain_step *steps, int count, ptrdiff_t n) {
  chain_plan plan;
  plan.step = steps;
  plan.program.count = plan.program.splats = plan.program.sources = 0;
  plan.program.streams = n * (ptrdiff_t)sizeof(float) >= STREAM_BYTES;
  bool is_read[APUS_CHAIN_STEPS] = {false};
  for (int i = 0; i < count; i++) {
    plan.is_last_use[i] = true;
    const bool takes_registers = choose(&steps[i], i - 1).code >= 0;
    for (int k = 0; k < steps[i].operands; k++) {
      const int from = operand(&steps[i], k)->step;
      if (from < 0) continue;
      plan.is_last_use[from] = false;
      if (!takes_registers || from != i - 1) is_read[from] = true;
    }
  }
  int buffers = APUS_CHAIN_SPLATS;
  for (int i = 0; i < count; i++) {
    plan.buffer[i] = is_read[i] || !is_instruction(steps[i].operation) ? ++buffers : 0;
    plan.parameters[i] = steps[i].parameters;
    plan.parameters[i].stream = 0;
  }
  for (int i = 0; i < count; i++) add_step(&plan, i);
  if (n < 2 * APUS_GRAIN)
    run(&plan, 0, n);
  else
    apus_parallel_for(n, APUS_GRAIN, run, &plan);
}
