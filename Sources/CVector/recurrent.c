// A recurrent layer over whole sequences. Rows do not depend on each other: a thread carries a slice of
// them through all steps without meeting another, with panels of the weight that it packed for itself,
// for what another core has written is far away. A few rows alone would read the whole weight for
// little work each; then all threads go through the steps together, each with units of the state of
// its own, whose weights stay in its cache.
#include "recurrent.h"

#include <stdatomic.h>
#include <stdlib.h>
#ifdef __linux__
#include <sched.h>
#endif

enum {
  /// Floats of saved gates that are more than the caches keep until the backward pass.
  STREAMED = 1 << 20,
  /// Chunks of units that the threads of a team take.
  CHUNKS = 64,
};

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

/// The step that a pass takes as number `index`.
static ptrdiff_t step_at(const recurrent_job *job, ptrdiff_t index) {
  return job->is_reversed != job->is_backward ? job->steps - 1 - index : index;
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
      apus_recurrent_clear_sums(&job, first, last, 0, job.width);
      for (ptrdiff_t index = 0; index < job.steps; index++) {
        const ptrdiff_t t = step_at(&job, index);
        if (job.is_backward) {
          apus_recurrent_step_gates(&job, t, first, last, 0, job.width);
          apus_recurrent_step_state(&job, t, first, last, 0, job.panels);
        } else {
          apus_recurrent_step_forward(&job, t, first, last, 0, job.panels);
        }
      }
      if (!job.is_backward) apus_recurrent_final_states(&job, first, last);
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
    apus_recurrent_clear_sums(job, 0, job->rows, unit, units);
    return pack_panels(&team->job, first, last);
  }
  if (!job->is_backward) {
    apus_recurrent_step_forward(job, step_at(job, phase), 0, job->rows, first, last);
    if (job->streams) apus_stream_fence();
    return;
  }
  const ptrdiff_t t = step_at(job, phase / 2);
  if (phase % 2)
    return apus_recurrent_step_state(job, t, 0, job->rows, first, last);
  apus_recurrent_step_gates(job, t, 0, job->rows, unit, units);
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
  if (!is_backward) apus_recurrent_final_states(&job, 0, rows);
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
