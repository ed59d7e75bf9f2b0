// Walking several strided operands of one shape together.
#pragma once
#include "CVector.h"

enum { WALK_OPERANDS = 4 };

/// Axes of extent 1 dropped and axes merged that every operand has densely nested; the last axis runs
/// fastest. Strides in bytes.
typedef struct {
  int rank, operands;
  ptrdiff_t count;
  ptrdiff_t shape[APUS_MAX_RANK];
  ptrdiff_t stride[WALK_OPERANDS][APUS_MAX_RANK];
} apus_walk;

static inline void apus_walk_init(
    apus_walk *w, int rank, const ptrdiff_t *shape, int operands,
    const ptrdiff_t *const strides[WALK_OPERANDS], const uint8_t sizes[WALK_OPERANDS]) {
  w->operands = operands;
  w->count = 1;
  int used = 0;
  for (int axis = 0; axis < rank; axis++) {
    const ptrdiff_t extent = shape[axis];
    w->count *= extent;
    if (extent == 1) continue;
    bool merges = used > 0;
    for (int k = 0; k < operands && merges; k++)
      merges = w->stride[k][used - 1] == extent * strides[k][axis] * sizes[k];
    if (merges) {
      w->shape[used - 1] *= extent;
    } else {
      w->shape[used++] = extent;
    }
    for (int k = 0; k < operands; k++) w->stride[k][used - 1] = strides[k][axis] * sizes[k];
  }
  if (used == 0) {
    w->shape[0] = 1;
    for (int k = 0; k < operands; k++) w->stride[k][0] = sizes[k];
    used = 1;
  }
  w->rank = used;
}

/// A place in the walk: the index of each axis and the byte offset of each operand.
typedef struct {
  ptrdiff_t index[APUS_MAX_RANK];
  ptrdiff_t offset[WALK_OPERANDS];
} apus_place;

/// Moves to logical position `at` of the first `rank` axes.
static inline void apus_place_seek(apus_place *p, const apus_walk *w, int rank, ptrdiff_t at) {
  for (int k = 0; k < w->operands; k++) p->offset[k] = 0;
  for (int axis = rank - 1; axis >= 0; axis--) {
    p->index[axis] = at % w->shape[axis];
    at /= w->shape[axis];
    for (int k = 0; k < w->operands; k++) p->offset[k] += p->index[axis] * w->stride[k][axis];
  }
}

/// Moves to the next position of the first `rank` axes.
static inline void apus_place_advance(apus_place *p, const apus_walk *w, int rank) {
  for (int axis = rank - 1; axis >= 0; axis--) {
    p->index[axis]++;
    for (int k = 0; k < w->operands; k++) p->offset[k] += w->stride[k][axis];
    if (p->index[axis] < w->shape[axis]) return;
    for (int k = 0; k < w->operands; k++)
      p->offset[k] -= p->index[axis] * w->stride[k][axis];
    p->index[axis] = 0;
  }
}
