// One parallel pass over the elements of all parameters.
#include "level.h"

typedef struct {
  const apus_loops *loops;
  const apus_step *step;
  ptrdiff_t slots;
  const apus_slot *slot;
  float scale;
} step_job;

/// The range counts through all parameters.
static void step_range(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const step_job *job = context;
  ptrdiff_t first = 0;
  for (ptrdiff_t k = 0; k < job->slots && first < end; k++) {
    const ptrdiff_t count = job->slot[k].count;
    const ptrdiff_t from = begin > first ? begin - first : 0;
    const ptrdiff_t to = end - first < count ? end - first : count;
    if (from < to) job->loops->step(job->step, &job->slot[k], from, to, job->scale);
    first += count;
  }
}

void apus_optimizer_step(
    const apus_step *step, ptrdiff_t slots, const apus_slot *slot, const float *gradient_scale) {
  step_job job = {
      .loops = apus_loops_now(), .step = step, .slots = slots, .slot = slot,
      .scale = gradient_scale ? *gradient_scale : 1.0f};
  ptrdiff_t count = 0;
  for (ptrdiff_t k = 0; k < slots; k++) count += slot[k].count;
  apus_parallel_for(count, count < APUS_GRAIN ? count : APUS_GRAIN, step_range, &job);
}
