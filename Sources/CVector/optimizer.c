// One parallel pass over the elements of all parameters. A thread takes the same part of each of them in
// every step, so that moments and parameters stay in its cache.
#include "level.h"

typedef struct {
  const apus_loops *loops;
  const apus_step *step;
  ptrdiff_t slots, parts;
  const apus_slot *slot;
  float scale;
} step_job;

/// Tasks: parts of every parameter.
static void step_parts(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const step_job *job = context;
  for (ptrdiff_t part = begin; part < end; part++)
    for (ptrdiff_t k = 0; k < job->slots; k++) {
      const ptrdiff_t count = job->slot[k].count;
      // Whole lines of the cache; a short parameter belongs to the first part.
      const ptrdiff_t each = count / job->parts / 64 * 64;
      const ptrdiff_t from = each == 0 ? (part == 0 ? 0 : count) : part * each;
      const ptrdiff_t to = each == 0 || part == job->parts - 1 ? count : from + each;
      if (from < to) job->loops->step(job->step, &job->slot[k], from, to, job->scale);
    }
}

void apus_optimizer_step(
    const apus_step *step, ptrdiff_t slots, const apus_slot *slot, const float *gradient_scale) {
  step_job job = {
      .loops = apus_loops_now(), .step = step, .slots = slots, .slot = slot,
      .scale = gradient_scale ? *gradient_scale : 1.0f};
  ptrdiff_t count = 0;
  for (ptrdiff_t k = 0; k < slots; k++) count += slot[k].count;
  job.parts = count < 2 * APUS_GRAIN ? 1 : apus_thread_count();
  apus_parallel_for(job.parts, 1, step_parts, &job);
}
