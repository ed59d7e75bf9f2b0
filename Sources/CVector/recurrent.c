// A recurrent layer over whole sequences. Rows do not depend on each other: a thread carries a slice of
// them through all steps without meeting another, with panels of the weight that it packed for itself,
// for what another core has written is far away. A few rows alone would read the whole weight for
// little work each; then all threads go through the steps together, each with units of the state of
// its own, whose weights stay in its cache.
#include "level.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sched.h>
#endif

enum {
  /// Rows of a slice at most.
  SLICE = 48,
  /// Floats of a tile at most: six rows of four vectors of 16.
  TILE = 6 * 64,
  /// Floats of saved gates that are more than the caches keep until the backward pass.
  STREAMED = 1 << 20,
  /// Chunks of units that the threads of a team take.
  CHUNKS = 64,
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

typedef struct {
  recurrent_job job;
  ptrdiff_t chunks, panels_each;
  int members;
  // On lines of the cache of their own: a line that another core has written is far away.
  struct {
    char pad[64];
    _Atomic int phase;
  } claimed[CHUNKS];
  char pad[64];
  _Atomic int finished;
} recurrent_team;

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

static int gate_count(apus_cell cell) {
  return cell == APUS_LSTM ? 4 : cell == APUS_GRU ? 3 : 1;
}

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

/// The sums over steps that a backward pass adds to, of some rows and units.
static void clear_sums(
    const recurrent_job *job, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t unit, ptrdiff_t units) {
  if (!job->is_backward || !job->data->dbias_rows) return;
  for (ptrdiff_t row = begin; row < end; row++)
    clear_units(
        job->data->dbias_rows + row * job->gates_width + unit, gate_count(job->cell), job->width,
        units);
}

/// One panel of one step for the rows of a slice.
static void step_forward(
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

/// The gradients of the gates of some units in one step.
static void step_gates(
    const recurrent_job *job, ptrdiff_t t, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t unit,
    ptrdiff_t units) {
  const apus_recurrence *data = job->data;
  const ptrdiff_t width = job->width;
  const int gates = gate_count(job->cell);
  for (ptrdiff_t row = begin; row < end; row++) {
    const ptrdiff_t at = t * job->rows + row;
    float *dgates = data->dgates + at * job->gates_width;
    float *products = data->products ? data->products + at * job->gates_width : NULL;
    float *previous = data->previous + at * width;
    if (t >= length_of(job, row)) {
      clear_units(dgates + unit, gates, width, units);
      if (products) clear_units(products + unit, gates, width, units);
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
        .previous = previous,
        .dbias = data->dbias_rows ? data->dbias_rows + row * job->gates_width : NULL};
    job->loops->recurrent_cell_backward(job->cell, &item, width, unit, units);
  }
}

/// `dh` of the step before, from the gradients of all gates.
static void step_state(
    const recurrent_job *job, ptrdiff_t t, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t first_panel,
    ptrdiff_t last_panel) {
  const apus_recurrence *data = job->data;
  const ptrdiff_t width = job->width;
  const float *gradients = data->products ? data->products : data->dgates;
  const float *x[SLICE];
  float *dh[SLICE];
  int count = 0;
  for (ptrdiff_t row = begin; row < end; row++) {
    if (t >= length_of(job, row)) continue;
    x[count] = gradients + (t * job->rows + row) * job->gates_width;
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

/// The step that a pass takes as number `index`.
static ptrdiff_t step_at(const recurrent_job *job, ptrdiff_t index) {
  return job->is_reversed != job->is_backward ? job->steps - 1 - index : index;
}

/// `hn`: the state after the last step of each row.
static void final_states(const recurrent_job *job, ptrdiff_t begin, ptrdiff_t end) {
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

/// Tasks: panels of the weight.
static void pack_panels(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const recurrent_job *job = context;
  const ptrdiff_t vl = job->loops->transpose_size, width = job->width;
  const bool by_gates = !job->is_backward && job->cell >= APUS_LSTM;
  for (ptrdiff_t panel = begin; panel < end; panel++) {
    const ptrdiff_t unit = panel * job->units;
    ptrdiff_t lanes[4];
    for (int v = 0; v < job->vectors; v++) {
      const ptrdiff_t left = width - unit - (by_gates ? 0 : v * vl);
      lanes[v] = left < 0 ? 0 : least(left, vl);
    }
    const ptrdiff_t line = job->is_backward ? 1 : width, depth_step = job->is_backward ? width : 1;
    job->loops->recurrent_pack(
        job->vectors, lanes, by_gates ? width : vl, job->depth, job->weight + unit * line, line,
        depth_step, job->packed + panel * job->depth * job->vectors * vl);
    if (!job->start) continue;
    float *start = job->start + panel * job->vectors * vl;
    for (int v = 0; v < job->vectors; v++)
      for (ptrdiff_t i = 0; i < vl; i++)
        start[v * vl + i] =
            i < lanes[v] ? job->bias[unit + v * (by_gates ? width : vl) + i] : 0.0f;
  }
}

/// Floats of the panels of a job, and of the sums they start from.
static ptrdiff_t panels_size(const recurrent_job *job) {
  return job->panels * job->vectors * job->loops->transpose_size * (job->depth + 1);
}

static void place_panels(recurrent_job *job, float *memory) {
  job->packed = memory;
  job->start = job->bias ? memory + panels_size(job) / (job->depth + 1) * job->depth : NULL;
}

/// Tasks: parts of the rows, in slices.
static void run_slices(void *context, ptrdiff_t begin, ptrdiff_t end) {
  for (ptrdiff_t task = begin; task < end; task++) {
    recurrent_job job = *(const recurrent_job *)context;
    if (job.has_copies && job.steps > 0) {
      place_panels(&job, job.packed + task * panels_size(&job));
      pack_panels(&job, 0, job.panels);
    }
    const ptrdiff_t from = task * job.rows / job.tasks, to = (task + 1) * job.rows / job.tasks;
    const ptrdiff_t slices = (to - from + SLICE - 1) / SLICE;
    for (ptrdiff_t slice = 0; slice < slices; slice++) {
      const ptrdiff_t first = from + slice * (to - from) / slices;
      const ptrdiff_t last = from + (slice + 1) * (to - from) / slices;
      clear_sums(&job, first, last, 0, job.width);
      for (ptrdiff_t index = 0; index < job.steps; index++) {
        const ptrdiff_t t = step_at(&job, index);
        if (job.is_backward) {
          step_gates(&job, t, first, last, 0, job.width);
          step_state(&job, t, first, last, 0, job.panels);
        } else {
          step_forward(&job, t, first, last, 0, job.panels);
        }
      }
      if (!job.is_backward) final_states(&job, first, last);
    }
    if (job.streams) apus_stream_fence();
  }
}

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// The first phase packs, for those that compute with a panel later are mostly those that packed it.
static void run_chunk(recurrent_team *team, ptrdiff_t phase, ptrdiff_t chunk) {
  const recurrent_job *job = &team->job;
  const ptrdiff_t first = chunk * team->panels_each;
  const ptrdiff_t last = least(first + team->panels_each, job->panels);
  const ptrdiff_t unit = first * job->units, units = least(last * job->units, job->width) - unit;
  if (phase-- == 0) {
    clear_sums(job, 0, job->rows, unit, units);
    return pack_panels(&team->job, first, last);
  }
  if (!job->is_backward) {
    step_forward(job, step_at(job, phase), 0, job->rows, first, last);
    if (job->streams) apus_stream_fence();
    return;
  }
  const ptrdiff_t t = step_at(job, phase / 2);
  if (phase % 2)
    return step_state(job, t, 0, job->rows, first, last);
  step_gates(job, t, 0, job->rows, unit, units);
}

/// A member of the team: takes its own share of the chunks of each phase, and those that others have
/// left untouched for a while, so that a thread which the system does not schedule delays nothing. A
/// chunk is taken by advancing its entry from this phase to the next.
static void run_team(void *context, ptrdiff_t begin, ptrdiff_t end) {
  recurrent_team *team = context;
  const int phases = (int)(1 + (team->job.is_backward ? 2 : 1) * team->job.steps);
  const int chunks = (int)team->chunks;
  for (ptrdiff_t member = begin; member < end; member++) {
    const int own_first = (int)(member * chunks / team->members);
    const int own_last = (int)((member + 1) * chunks / team->members);
    int patience = 2000;
    for (int phase = atomic_load(&team->finished) / chunks; phase < phases; phase++) {
      const int target = (phase + 1) * chunks;
      for (int spin = 0; atomic_load_explicit(&team->finished, memory_order_acquire) < target; spin++) {
        const bool takes_all = spin > patience;
        for (int chunk = takes_all ? 0 : own_first; chunk < (takes_all ? chunks : own_last); chunk++) {
          int expected = phase;
          if (atomic_load_explicit(&team->claimed[chunk].phase, memory_order_relaxed) == phase &&
              atomic_compare_exchange_strong(&team->claimed[chunk].phase, &expected, phase + 1)) {
            // Weights of others are far away, but who was late once has no core to itself.
            if (takes_all && (chunk < own_first || chunk >= own_last)) patience = 64;
            run_chunk(team, phase, chunk);
            atomic_fetch_add_explicit(&team->finished, 1, memory_order_acq_rel);
          }
        }
        relax();
#ifdef __linux__
        if (spin > 20000) sched_yield();
#endif
      }
    }
  }
}

/// Panels as a pass wants them.
static void shape_panels(recurrent_job *job) {
  const ptrdiff_t vl = job->loops->transpose_size;
  const bool by_gates = !job->is_backward && job->cell >= APUS_LSTM;
  job->vectors = by_gates ? gate_count(job->cell) : 4;
  job->units = by_gates ? vl : 4 * vl;
  job->panels = (job->width + job->units - 1) / job->units;
  job->depth = job->is_backward ? job->gates_width : job->width;
}

/// How many copies of the panels the scratch has: one for each thread, unless that were too much.
static ptrdiff_t copy_count(const recurrent_job *job) {
  enum { MOST_FLOATS = 1 << 24 };
  const ptrdiff_t threads = apus_pool_size();
  return threads * panels_size(job) <= MOST_FLOATS ? threads : 1;
}

static void run(
    apus_cell cell, bool is_reversed, bool is_backward, ptrdiff_t steps, ptrdiff_t rows,
    ptrdiff_t width, const float *weight, const float *bias, const int32_t *lengths,
    const apus_recurrence *data, float *scratch) {
  const int saved = cell == APUS_LSTM ? 5 : cell == APUS_GRU ? 4 : 0;
  recurrent_job job = {
      .loops = apus_loops_now(), .cell = cell, .is_reversed = is_reversed,
      .is_backward = is_backward, .steps = steps, .rows = rows, .width = width,
      .gates_width = gate_count(cell) * width, .saved_width = saved * width, .weight = weight,
      .bias = bias, .lengths = lengths, .data = data};
  job.streams = !is_backward && data->saved && steps * rows * job.saved_width >= STREAMED;
  if (rows == 0 || width == 0) return;
  shape_panels(&job);
  place_panels(&job, scratch);
  const int threads = apus_thread_count();
  const bool is_small = rows * panels_size(&job) < 1 << 15;
  if (rows >= 8 * threads || rows > SLICE || threads == 1 || is_small) {
    job.tasks = is_small ? 1 : least(threads, rows);
    job.has_copies = copy_count(&job) >= job.tasks;
    if (!job.has_copies && steps > 0) apus_parallel_for(job.panels, 1, pack_panels, &job);
    apus_parallel_for(job.tasks, 1, run_slices, &job);
    return;
  }
  recurrent_team team = {.job = job};
  // Two for each thread: one may be left to another that is late, and few are counted.
  const ptrdiff_t wanted = least(2 * threads, CHUNKS);
  team.panels_each = (job.panels + wanted - 1) / wanted;
  team.chunks = (job.panels + team.panels_each - 1) / team.panels_each;
  team.members = (int)least(threads, team.chunks);
  apus_parallel_for(team.members, 1, run_team, &team);
  if (!is_backward) final_states(&job, 0, rows);
}

ptrdiff_t apus_recurrence_scratch(apus_cell cell, bool is_backward, ptrdiff_t width) {
  recurrent_job job = {
      .loops = apus_loops_now(), .cell = cell, .is_backward = is_backward, .width = width,
      .gates_width = gate_count(cell) * width};
  shape_panels(&job);
  return copy_count(&job) * panels_size(&job) * (ptrdiff_t)sizeof(float);
}

void apus_recurrence_forward(
    apus_cell cell, bool is_reversed, ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t width,
    const float *weight, const float *bias, const int32_t *lengths, const apus_recurrence *data,
    float *scratch) {
  run(cell, is_reversed, false, steps, rows, width, weight, bias, lengths, data, scratch);
}

void apus_recurrence_backward(
    apus_cell cell, bool is_reversed, ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t width,
    const float *weight, const int32_t *lengths, const apus_recurrence *data, float *scratch) {
  run(cell, is_reversed, true, steps, rows, width, weight, NULL, lengths, data, scratch);
}
