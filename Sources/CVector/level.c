// Selects the loops for this processor, once.
#include "level.h"

#include <stdatomic.h>

static _Atomic(const apus_loops *) current;
static _Atomic int level = -1;

int apus_best_level(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c")) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
               ? 2
               : 1;
  }
#endif
  return 0;
}

int apus_force_level(int wanted) {
  const int best = apus_best_level();
  const int chosen = wanted < 0 ? 0 : wanted < best ? wanted : best;
  const apus_loops *loops = &apus_loops_baseline;
#if defined(__x86_64__)
  if (chosen == 1) loops = &apus_loops_avx2;
  if (chosen == 2) loops = &apus_loops_avx512;
#endif
  atomic_store(&level, chosen);
  atomic_store(&current, loops);
  return chosen;
}

int apus_level(void) {
  apus_loops_now();
  return atomic_load(&level);
}

const apus_loops *apus_loops_now(void) {
  const apus_loops *loops = atomic_load_explicit(&current, memory_order_acquire);
  if (loops) return loops;
  apus_force_level(2);
  return atomic_load(&current);
}
