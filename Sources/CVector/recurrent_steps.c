// Single steps of a recurrent layer: products with the weight in tiles, then the cells while they are near.
#include "recurrent.h"

#include <string.h>

enum {
  /// Floats of a tile at most: six rows of four vectors of 16.
  TILE = 6 * 64,
};

static ptrdiff_t length_of(const recurrent_job *job, ptrdiff_t row) {
  if (!job->lengths) return job->steps;
  const ptrdiff_t length = job->lengths[row];
  return length < 0 ? 0 : least(length, job->steps);
}

/// `table[t][row]` of the step before `t`, or `initial[row]` where `t` is the row's first.
static const float *state_before(
    const recurrent_job *job, ptrdiff_t t, ptrdiff_t row, const float *table, ptrdiff_t table_width,
    const float *initial) {
  const ptrdiff_t earlier = job->is_reversed ? t + 1 : t - 1;
  if (earlier < 0 || earlier >= length_of(job, row)) return initial + row * job->width;
  return table + (earlier * job->rows + row) * table_width;
}

/// Asks for what a cell reads and writes before the product that takes a while.
static inline void ask_for_cell(
    const recurrent_job *job, const apus_recurrent_row *row, ptrdiff_t unit) {
  const ptrdiff_t vl = job->loops->transpose_size;
  const ptrdiff_t step = job->cell >= APUS_LSTM ? job->width : vl;
  for (int v = 0; v < job->vectors; v++) __builtin_prefetch(row->gates + unit + v * step);
  for (ptrdiff_t i = 0; i < job->units; i += vl) __builtin_prefetch(row->y + unit + i, 1);
  if (row->c) __builtin_prefetch(row->c + unit, 1);
  if (row->saved && !job->streams)
    for (ptrdiff_t b = 0; b < job->saved_width; b += job->width)
      __builtin_prefetch(row->saved + unit + b, 1);
}

static void clear(float *p, ptrdiff_t n) { memset(p, 0, (size_t)n * sizeof(float)); }

/// Clears `n` units of `blocks` gates, `width` apart.
static void clear_units(float *p, int blocks, ptrdiff_t width, ptrdiff_t n) {
  for (int g = 0; g < blocks; g++) clear(p + g * width, n);
}

void apus_recurrent_clear_sums(
    const recurrent_job *job, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t unit, ptrdiff_t units) {
  if (!job->is_backward || !job->data->dbias_rows) return;
  for (ptrdiff_t row = begin; row < end; row++)
    clear_units(
        job->data->dbias_rows + row * job->gates_width + unit, gate_count(job->cell), job->width,
        units);
}

void apus_recurrent_step_forward(
    const recurrent_job *job, ptrdiff_t t, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t first_panel,
    ptrdiff_t last_panel) {
  const apus_recurrence *data = job->data;
  const ptrdiff_t width = job->width;
  apus_recurrent_row active[SLICE];
  const float *before[SLICE];
  const int saved_blocks = (int)(job->saved_width / width);
  const ptrdiff_t unit = first_panel * job->units;
  const ptrdiff_t units = least(last_panel * job->units, width) - unit;
  int count = 0;
  for (ptrdiff_t row = begin; row < end; row++) {
    const ptrdiff_t at = t * job->rows + row;
    float *y = data->y + at * width;
    float *saved = data->saved ? data->saved + at * job->saved_width : NULL;
    if (t >= length_of(job, row)) {
      clear(y + unit, units);
      if (saved) clear_units(saved + unit, saved_blocks, width, units);
      continue;
    }
    const float *from = state_before(job, t, row, data->y, width, data->h0);
    before[count] = from;
    active[count++] = (apus_recurrent_row){
        .gates = data->gates + at * job->gates_width, .before = from,
        .c = data->c ? data->c + row * width : NULL, .y = y, .saved = saved, .streams = job->streams};
  }
  if (count == 0) return;
  float sums[TILE] __attribute__((aligned(64)));
  const int most = job->loops->recurrent_rows, tiles = (count + most - 1) / most;
  const ptrdiff_t panel_size = job->depth * job->vectors * job->loops->transpose_size;
  for (ptrdiff_t panel = first_panel; panel < last_panel; panel++) {
    const ptrdiff_t at = panel * job->units, n = least(job->units, width - at);
    const float *start =
        job->start ? job->start + panel * job->vectors * job->loops->transpose_size : NULL;
    for (int tile = 0, row = 0; tile < tiles; tile++) {
      const int here = (count - row + tiles - tile - 1) / (tiles - tile);
      for (int i = 0; i < here; i++) ask_for_cell(job, &active[row + i], at);
      job->loops->recurrent_product(
          here, job->vectors, job->depth, before + row, job->packed + panel * panel_size, start,
          sums);
      job->loops->recurrent_cells(job->cell, &active[row], here, width, at, n, sums);
      row += here;
    }
  }
}

void apus_recurrent_step_gates(
    const recurrent_job *job, ptrdiff_t t, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t unit,
    ptrdiff_t units) {
  const apus_recurrence *data = job->data;
  const ptrdiff_t width = job->width;
  const int gates = gate_count(job->cell);
  for (ptrdiff_t row = begin; row < end; row++) {
    const ptrdiff_t at = t * job->rows + row;
    float *dgates = data->dgates + at * job->gates_width;
    float *products = data->products ? data->products + row * job->gates_width : NULL;
    float *reset = data->reset ? data->reset + at * width : NULL;
    float *previous = data->previous + at * width;
    if (t >= length_of(job, row)) {
      clear_units(dgates + unit, gates, width, units);
      if (reset) clear(reset + unit, units);
      clear(previous + unit, units);
      continue;
    }
    const float *saved = data->saved ? data->saved + at * job->saved_width : NULL;
    const apus_recurrent_gradient_row item = {
        .y = data->y + at * width, .saved = saved,
        .before = state_before(job, t, row, data->y, width, data->h0),
        .c_before = data->c0 ? state_before(
                                   job, t, row, data->saved + 4 * width, job->saved_width, data->c0)
                             : NULL,
        .dy = data->dy + at * width, .dh = data->dh + row * width,
        .dc = data->dc ? data->dc + row * width : NULL, .dgates = dgates, .products = products,
        .reset = reset, .previous = previous,
        .dbias = data->dbias_rows ? data->dbias_rows + row * job->gates_width : NULL};
    job->loops->recurrent_cell_backward(job->cell, &item, width, unit, units);
  }
}

void apus_recurrent_step_state(
    const recurrent_job *job, ptrdiff_t t, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t first_panel,
    ptrdiff_t last_panel) {
  const apus_recurrence *data = job->data;
  const ptrdiff_t width = job->width;
  const float *x[SLICE];
  float *dh[SLICE];
  int count = 0;
  for (ptrdiff_t row = begin; row < end; row++) {
    if (t >= length_of(job, row)) continue;
    x[count] = data->products ? data->products + row * job->gates_width
                              : data->dgates + (t * job->rows + row) * job->gates_width;
    dh[count++] = data->dh + row * width;
  }
  if (count == 0) return;
  float sums[TILE] __attribute__((aligned(64)));
  const int most = job->loops->recurrent_rows, tiles = (count + most - 1) / most;
  const ptrdiff_t columns = job->vectors * job->loops->transpose_size;
  for (ptrdiff_t panel = first_panel; panel < last_panel; panel++) {
    const ptrdiff_t at = panel * job->units, n = least(job->units, width - at);
    for (int tile = 0, row = 0; tile < tiles; tile++) {
      const int here = (count - row + tiles - tile - 1) / (tiles - tile);
      job->loops->recurrent_product(
          here, job->vectors, job->depth, x + row, job->packed + panel * job->depth * columns, NULL,
          sums);
      for (int i = 0; i < here; i++, row++) {
        if (job->cell == APUS_GRU)
          job->loops->add_row(dh[row] + at, sums + i * columns, n);
        else
          memcpy(dh[row] + at, sums + i * columns, (size_t)n * sizeof(float));
      }
    }
  }
}

void apus_recurrent_final_states(const recurrent_job *job, ptrdiff_t begin, ptrdiff_t end) {
  const apus_recurrence *data = job->data;
  const ptrdiff_t width = job->width;
  for (ptrdiff_t row = begin; row < end; row++) {
    const ptrdiff_t length = length_of(job, row);
    const ptrdiff_t last = job->is_reversed ? 0 : length - 1;
    const float *from = length == 0 ? data->h0 + row * width
                                    : data->y + (last * job->rows + row) * width;
    memcpy(data->hn + row * width, from, (size_t)width * sizeof(float));
  }
}
