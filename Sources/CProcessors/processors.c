// In C because the mask of a process is an extension of GNU, which Swift's module of the C library leaves out.
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "CProcessors.h"

#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

int apus_usable_processors(void) {
  int count = 0;
#ifdef __linux__
  // One set holds 1024 processors, and the call fails where the machine may have more.
  cpu_set_t sets[8];
  if (sched_getaffinity(0, sizeof sets, sets) == 0) count = CPU_COUNT_S(sizeof sets, sets);
#endif
  if (count < 1) count = (int)sysconf(_SC_NPROCESSORS_ONLN);
  return count < 1 ? 1 : count;
}
