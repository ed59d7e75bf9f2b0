// Random numbers in parallel: a task starts at a block of its own.
#include "level.h"

typedef struct {
  const apus_loops *loops;
  apus_distribution distribution;
  float a, b;
  uint64_t key;
  const float *x;
  float *out;
} random_job;

static void random_range(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const random_job *job = context;
  job->loops->random(
      job->distribution, job->a, job->b, job->key, (uint64_t)(begin / 4), end - begin,
      job->out + begin);
}

static ptrdiff_t random_grain(ptrdiff_t count) { return count < 8192 ? count : 4096; }

void apus_random(
    apus_distribution distribution, float a, float b, uint64_t key, ptrdiff_t count, float *out) {
  random_job job = {
      .loops = apus_loops_now(), .distribution = distribution, .a = a, .b = b, .key = key,
      .out = out};
  apus_parallel_for(count, random_grain(count), random_range, &job);
}

static void dropout_range(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const random_job *job = context;
  job->loops->dropout(
      job->a, job->key, (uint64_t)(begin / 4), end - begin, job->x + begin, job->out + begin);
}

void apus_dropout(float probability, uint64_t key, ptrdiff_t count, const float *x, float *out) {
  random_job job = {
      .loops = apus_loops_now(), .a = probability, .key = key, .x = x, .out = out};
  apus_parallel_for(count, random_grain(count), dropout_range, &job);
}
