// Runs several element-wise functions of dense operands of one length in one pass: all of them on a
// block of elements, then on the next block, so that a result passes from step to step in the first
// cache, and reaches memory only where a tensor still holds it.
//
//            step 0: x * y           step 1: _ + 1           step 2: tanh _
//   x --+--> buffer 0 -------------> buffer 0 -------------> memory
//   y --'
#include "level.h"

#include <stdint.h>
#include <string.h>

enum {
  // Three buffers and some repeated values fit in the first cache beside what is read and written.
  BLOCK = 512,
  // Results of this many bytes would only push other things out of the cache.
  STREAM_BYTES = 16 << 20,
  OPERANDS = 3,
};

typedef struct {
  const apus_chain_step *step;
  apus_block block[APUS_CHAIN_STEPS];
  apus_parameters parameters[APUS_CHAIN_STEPS];
  /// The buffer of a result that does not go to memory.
  int buffer[APUS_CHAIN_STEPS];
  /// The repeated value of an operand, -1 for none.
  int8_t splat[APUS_CHAIN_STEPS][OPERANDS];
  float value[APUS_CHAIN_SPLATS];
  int steps, splats;
} chain_job;

static const apus_chain_operand *operand(const apus_chain_step *step, int k) {
  return k == 0 ? &step->a : k == 1 ? &step->b : &step->c;
}

static void run(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const chain_job *job = context;
  float buffer[APUS_CHAIN_STEPS][BLOCK] __attribute__((aligned(64)));
  float repeated[APUS_CHAIN_SPLATS][BLOCK] __attribute__((aligned(64)));
  for (int i = 0; i < job->splats; i++)
    for (int j = 0; j < BLOCK; j++) repeated[i][j] = job->value[i];
  for (ptrdiff_t first = begin; first < end; first += BLOCK) {
    const ptrdiff_t n = end - first < BLOCK ? end - first : BLOCK;
    float *result[APUS_CHAIN_STEPS];
    for (int i = 0; i < job->steps; i++) {
      const apus_chain_step *step = &job->step[i];
      const float *from[OPERANDS] = {0};
      for (int k = 0; k < step->operands; k++) {
        const apus_chain_operand *x = operand(step, k);
        from[k] = x->step >= 0           ? result[x->step]
                  : job->splat[i][k] >= 0 ? repeated[job->splat[i][k]]
                                          : x->memory + first;
      }
      result[i] = step->target ? step->target + first : buffer[job->buffer[i]];
      job->block[i](result[i], from[0], from[1], from[2], n, &job->parameters[i]);
    }
  }
  apus_stream_fence();
}

/// The number of the repeated value, by its bits.
static int splat_of(chain_job *job, float value) {
  for (int i = 0; i < job->splats; i++)
    if (memcmp(&job->value[i], &value, sizeof value) == 0) return i;
  job->value[job->splats] = value;
  return job->splats++;
}

void apus_chain(const apus_chain_step *steps, int count, ptrdiff_t n) {
  chain_job job = {.step = steps, .steps = count};
  int last_use[APUS_CHAIN_STEPS];
  for (int i = 0; i < count; i++) {
    last_use[i] = i;
    for (int k = 0; k < steps[i].operands; k++) {
      const apus_chain_operand *x = operand(&steps[i], k);
      job.splat[i][k] = -1;
      if (x->step >= 0)
        last_use[x->step] = i;
      else if (!x->memory)
        job.splat[i][k] = (int8_t)splat_of(&job, x->value);
    }
  }
  // A buffer is free again for the step that uses its value last.
  bool is_taken[APUS_CHAIN_STEPS] = {false};
  for (int i = 0; i < count; i++) {
    job.block[i] = apus_loops_now()->kernel[steps[i].operation].block;
    job.parameters[i] = steps[i].parameters;
    job.parameters[i].stream =
        steps[i].target && last_use[i] == i && n * (ptrdiff_t)sizeof(float) >= STREAM_BYTES;
    for (int earlier = 0; earlier < i; earlier++)
      if (last_use[earlier] == i && !steps[earlier].target) is_taken[job.buffer[earlier]] = false;
    if (steps[i].target) continue;
    int free = 0;
    while (is_taken[free]) free++;
    job.buffer[i] = free;
    is_taken[free] = last_use[i] > i;
  }
  if (n < 2 * APUS_GRAIN)
    run(&job, 0, n);
  else
    apus_parallel_for(n, APUS_GRAIN, run, &job);
}
