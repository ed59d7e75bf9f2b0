// A caching pool of blocks: a block given back is kept for the next request of its size class, so that
// nothing is asked of the system in steady state. What is kept goes back when the limit is near. There are four classes to an octave. The list of free
// blocks runs through the blocks themselves.
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "CVector.h"

#include <pthread.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

enum { ALIGNMENT = 128, CLASSES = 4 * 64, HUGE_BYTES = 4 << 20, HUGE_ALIGNMENT = 2 << 20 };

typedef struct node {
  struct node *next;
} node;

struct apus_memory {
  pthread_mutex_t lock;
  node *free[CLASSES];
  ptrdiff_t limit;
  apus_memory_counters counters;
};

// The class of a request, and the bytes that a block of the class has.
static int size_class(ptrdiff_t bytes, size_t *rounded) {
  size_t units = bytes < ALIGNMENT ? 1 : ((size_t)bytes + ALIGNMENT - 1) / ALIGNMENT;
  if (units <= 4) {
    *rounded = units * ALIGNMENT;
    return (int)units;
  }
  const int octave = 63 - __builtin_clzll(units - 1);  // 2^octave ≤ units − 1
  const size_t quarter = (size_t)1 << (octave - 2);
  const size_t quarters = (units + quarter - 1) / quarter;  // 5…8
  *rounded = quarters * quarter * ALIGNMENT;
  return 4 * octave + (int)quarters - 8;
}

apus_memory *apus_memory_create(ptrdiff_t limit) {
  apus_memory *memory = calloc(1, sizeof *memory);
  if (!memory) return NULL;
  memory->limit = limit;
  pthread_mutex_init(&memory->lock, NULL);
  return memory;
}

static void release_cached(apus_memory *memory) {
  if (memory->counters.bytes_cached > 0) memory->counters.returns++;
  memory->counters.bytes_cached = 0;
  for (int class = 0; class < CLASSES; class++)
    while (memory->free[class]) {
      node *block = memory->free[class];
      memory->free[class] = block->next;
      free(block);
    }
}

void apus_memory_set_limit(apus_memory *memory, ptrdiff_t limit) {
  pthread_mutex_lock(&memory->lock);
  memory->limit = limit;
  if (memory->counters.bytes_in_use + memory->counters.bytes_cached > limit) release_cached(memory);
  pthread_mutex_unlock(&memory->lock);
}

void apus_memory_destroy(apus_memory *memory) {
  release_cached(memory);
  pthread_mutex_destroy(&memory->lock);
  free(memory);
}

static void *ask_system(size_t bytes) {
  void *block = NULL;
  const bool is_huge = bytes >= HUGE_BYTES;
  if (posix_memalign(&block, is_huge ? HUGE_ALIGNMENT : ALIGNMENT, bytes) != 0) return NULL;
#ifdef __linux__
  if (is_huge) madvise(block, bytes, MADV_HUGEPAGE);
#endif
  return block;
}

void *apus_memory_take(apus_memory *memory, ptrdiff_t bytes) {
  if (bytes < 0 || bytes > (PTRDIFF_MAX >> 1)) return NULL;
  size_t rounded;
  const int class = size_class(bytes, &rounded);
  pthread_mutex_lock(&memory->lock);
  // The system would promise more than there is, and end the process when it is touched.
  if ((ptrdiff_t)rounded > memory->limit - memory->counters.bytes_in_use) {
    pthread_mutex_unlock(&memory->lock);
    return NULL;
  }
  node *block = memory->free[class];
  if (block) {
    memory->free[class] = block->next;
    memory->counters.pool_hits++;
    memory->counters.bytes_cached -= (ptrdiff_t)rounded;
  } else {
    const ptrdiff_t held = memory->counters.bytes_in_use + memory->counters.bytes_cached;
    if ((ptrdiff_t)rounded > memory->limit - held) release_cached(memory);
    block = ask_system(rounded);
    if (!block) {
      release_cached(memory);
      block = ask_system(rounded);
    }
    memory->counters.allocations++;
  }
  if (block) {
    memory->counters.bytes_in_use += (ptrdiff_t)rounded;
    if (memory->counters.bytes_in_use > memory->counters.peak_bytes_in_use)
      memory->counters.peak_bytes_in_use = memory->counters.bytes_in_use;
  }
  pthread_mutex_unlock(&memory->lock);
  return block;
}

void apus_memory_give(apus_memory *memory, void *block, ptrdiff_t bytes) {
  size_t rounded;
  const int class = size_class(bytes, &rounded);
  pthread_mutex_lock(&memory->lock);
  ((node *)block)->next = memory->free[class];
  memory->free[class] = block;
  memory->counters.bytes_in_use -= (ptrdiff_t)rounded;
  memory->counters.bytes_cached += (ptrdiff_t)rounded;
  pthread_mutex_unlock(&memory->lock);
}

apus_memory_counters apus_memory_read(apus_memory *memory) {
  pthread_mutex_lock(&memory->lock);
  const apus_memory_counters counters = memory->counters;
  pthread_mutex_unlock(&memory->lock);
  return counters;
}
