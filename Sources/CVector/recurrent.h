// What the passes over a sequence (recurrent.c) and their single steps (recurrent_steps.c) share.
#pragma once

#include "level.h"

enum {
  /// Rows of a slice at most.
  SLICE = 48,
};

typedef struct {
  const apus_loops *loops;
  apus_cell cell;
  bool is_reversed, is_backward, streams;
  ptrdiff_t steps, rows, width;
  ptrdiff_t gates_width, saved_width;
  /// Vectors of a panel, units that it stands for, panels.
  int vectors;
  ptrdiff_t units, panels;
  ptrdiff_t depth;
  const float *weight, *bias;
  float *packed, *start;
  const int32_t *lengths;
  const apus_recurrence *data;
  /// Among how many tasks the rows are divided, and whether each packs the weight for itself.
  ptrdiff_t tasks;
  bool has_copies;
} recurrent_job;

static inline ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

static inline int gate_count(apus_cell cell) {
  return cell == APUS_LSTM ? 4 : cell == APUS_GRU ? 3 : 1;
}

/// The sums over steps that a backward pass adds to, of some rows and units.
void apus_recurrent_clear_sums(
    const recurrent_job *job, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t unit, ptrdiff_t units);
/// Some panels of one step for the rows of a slice.
void apus_recurrent_step_forward(
    const recurrent_job *job, ptrdiff_t t, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t first_panel,
    ptrdiff_t last_panel);
/// The gradients of the gates of some units in one step.
void apus_recurrent_step_gates(
    const recurrent_job *job, ptrdiff_t t, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t unit,
    ptrdiff_t units);
/// `dh` of the step before, from the gradients of all gates.
void apus_recurrent_step_state(
    const recurrent_job *job, ptrdiff_t t, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t first_panel,
    ptrdiff_t last_panel);
/// `hn`: the state after the last step of each row.
void apus_recurrent_final_states(const recurrent_job *job, ptrdiff_t begin, ptrdiff_t end);
