// Working memory of the threads: a task borrows one of as many slots as there are threads.
#pragma once
#include "CVector.h"

#include <stdatomic.h>

typedef struct {
  float *base;
  ptrdiff_t floats;
  int count;
  atomic_flag taken[256];
} apus_slots;

/// `base` holds `apus_slot_count()` slots of `floats` floats.
static inline void apus_slots_init(apus_slots *slots, float *base, ptrdiff_t floats, int count) {
  slots->base = base;
  slots->floats = floats;
  slots->count = count;
  for (int i = 0; i < count; i++) atomic_flag_clear(&slots->taken[i]);
}

static inline int apus_slot_take(apus_slots *slots) {
  for (;;)
    for (int i = 0; i < slots->count; i++)
      if (!atomic_flag_test_and_set_explicit(&slots->taken[i], memory_order_acquire)) return i;
}

static inline float *apus_slot_memory(const apus_slots *slots, int slot) {
  return slots->base + slot * slots->floats;
}

static inline void apus_slot_give(apus_slots *slots, int slot) {
  atomic_flag_clear_explicit(&slots->taken[slot], memory_order_release);
}
