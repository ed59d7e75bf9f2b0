// Depthwise convolutions: as convolution.c gathers rows, but all channels at once (loops/depthwise.h).
#include "convolution.h"

#include <string.h>

enum { GATHERED_FLOATS = 96 * 1024, MOST_PARTS = 16 };

typedef struct {
  apus_pass pass;   // as one group whose channels are all gathered
  ptrdiff_t rows, row_blocks, parts;
  const apus_loops *loops;
  float *packed;
  apus_slots slots;
  const float *dy;
  float *sums;  // [part][taps + 1][channels]: the last row is the bias
} depthwise_job;

bool apus_is_depthwise(const apus_pass *p) { return p->groups > 1 && p->depth == 1 && p->filters == 1; }

static apus_pass merged(const apus_pass *p) {
  apus_pass all = *p;
  all.depth = all.filters = p->groups;
  all.groups = 1;
  return all;
}

static ptrdiff_t rows_of_task(const apus_pass *all) {
  const ptrdiff_t row = apus_gathered_shape(all).row;
  ptrdiff_t rows = 1;
  while (rows < all->height && apus_gathered_rows(all, rows + 1) * row <= GATHERED_FLOATS) rows++;
  rows = apus_least(rows, apus_most(4, all->batch * all->height / 32));
  return apus_blocks(all->height, apus_blocks(all->height, rows));
}

static ptrdiff_t gathered_floats(const apus_pass *all) {
  return apus_round(apus_gathered_rows(all, rows_of_task(all)) * apus_gathered_shape(all).row);
}

static ptrdiff_t taps_of(const apus_pass *p) { return p->taps_y * p->taps_x; }

static apus_runs runs_of(const apus_pass *all) {
  const apus_gathered shape = apus_gathered_shape(all);
  return (apus_runs){
      .rows = all->taps_y, .columns = all->taps_x, .row = all->tap_y * shape.row,
      .column = all->tap_x * all->depth, .length = all->depth, .pixel = shape.step_x * all->depth};
}

/// Tasks: blocks of rows of images.
static void run_blocks(void *context, ptrdiff_t begin, ptrdiff_t end) {
  depthwise_job *job = context;
  const apus_pass *p = &job->pass;
  const apus_gathered shape = apus_gathered_shape(p);
  const apus_runs runs = runs_of(p);
  const int slot = apus_slot_take(&job->slots);
  float *gathered = apus_slot_memory(&job->slots, slot);
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t image = task / job->row_blocks, first = task % job->row_blocks * job->rows;
    const ptrdiff_t rows = apus_least(p->height - first, job->rows);
    apus_gather_rows(p, image, 0, first, rows, gathered);
    for (ptrdiff_t y = 0; y < rows; y++) {
      const ptrdiff_t at = image * p->out_image + (first + y) * p->out_row;
      const apus_ending ending = {
          .bias = p->bias, .addend = p->addend ? p->addend + at : NULL,
          .relu = p->activation == APUS_RELU};
      job->loops->depthwise_row(
          &runs, gathered + y * shape.step_y * shape.row, p->width, job->packed, p->depth, &ending,
          p->out + at, p->out_pixel);
      if (p->activation >= 0 && p->activation != APUS_RELU)
        apus_bias_activation(
            (apus_operation)p->activation, p->parameters, p->width, p->depth, p->out + at,
            p->out_pixel, NULL);
    }
  }
  apus_slot_give(&job->slots, slot);
}

ptrdiff_t apus_depthwise_scratch(const apus_pass *p) {
  const apus_pass all = merged(p);
  return apus_round(taps_of(p) * p->groups) + gathered_floats(&all) * apus_pool_size();
}

void apus_run_depthwise(const apus_pass *p, float *scratch) {
  depthwise_job job = {.pass = merged(p), .loops = apus_loops_now(), .packed = scratch};
  const ptrdiff_t channels = p->groups, taps = taps_of(p);
  for (ptrdiff_t t = 0; t < taps; t++) {
    const float *w = p->weight + t / p->taps_x * p->w_y + t % p->taps_x * p->w_x;
    for (ptrdiff_t c = 0; c < channels; c++) scratch[t * channels + c] = w[c * p->w_group];
  }
  apus_slots_init(
      &job.slots, scratch + apus_round(taps * channels), gathered_floats(&job.pass),
      apus_pool_size());
  job.rows = rows_of_task(&job.pass);
  job.row_blocks = apus_blocks(p->height, job.rows);
  const ptrdiff_t work = job.rows * p->width * channels * taps;
  apus_parallel_for(
      p->batch * job.row_blocks, apus_most(1, 4 * APUS_GRAIN / work), run_blocks, &job);
}

// MARK: Gradient of the weights

/// Tasks: parts, which are runs of blocks of rows of images.
static void sum_parts(void *context, ptrdiff_t begin, ptrdiff_t end) {
  depthwise_job *job = context;
  const apus_pass *p = &job->pass;
  const apus_gathered shape = apus_gathered_shape(p);
  const apus_runs runs = runs_of(p);
  const ptrdiff_t channels = p->depth, taps = taps_of(p), units = p->batch * job->row_blocks;
  const int slot = apus_slot_take(&job->slots);
  float *gathered = apus_slot_memory(&job->slots, slot);
  float *unit_sums = gathered + gathered_floats(p);
  for (ptrdiff_t part = begin; part < end; part++) {
    float *sums = job->sums + part * (taps + 1) * channels;
    memset(sums, 0, (size_t)((taps + 1) * channels) * sizeof(float));
    for (ptrdiff_t unit = units * part / job->parts; unit < units * (part + 1) / job->parts; unit++) {
      const ptrdiff_t image = unit / job->row_blocks, first = unit % job->row_blocks * job->rows;
      const ptrdiff_t rows = apus_least(p->height - first, job->rows);
      apus_gather_rows(p, image, 0, first, rows, gathered);
      memset(unit_sums, 0, (size_t)((taps + 1) * channels) * sizeof(float));
      for (ptrdiff_t y = 0; y < rows; y++) {
        const float *dy = job->dy + image * p->out_image + (first + y) * p->out_row;
        const float *x = gathered + y * shape.step_y * shape.row;
        for (ptrdiff_t i = 0; i < p->taps_y; i++)
          job->loops->depthwise_gradient(
              x + i * runs.row, runs.pixel, runs.column, p->taps_x, p->width, dy, channels,
              unit_sums + i * p->taps_x * channels);
        for (ptrdiff_t pixel = 0; pixel < p->width; pixel++)
          job->loops->add_row(unit_sums + taps * channels, dy + pixel * channels, channels);
      }
      job->loops->add_row(sums, unit_sums, (taps + 1) * channels);
    }
  }
  apus_slot_give(&job->slots, slot);
}

static ptrdiff_t parts_of(const apus_pass *all) {
  return apus_least(MOST_PARTS, all->batch * apus_blocks(all->height, rows_of_task(all)));
}

static ptrdiff_t sums_floats(const apus_pass *all) {
  return apus_round((taps_of(all) + 1) * all->depth);
}

ptrdiff_t apus_depthwise_weight_scratch(const apus_pass *p) {
  const apus_pass all = merged(p);
  const ptrdiff_t slot = gathered_floats(&all) + sums_floats(&all);
  return parts_of(&all) * sums_floats(&all) + slot * apus_pool_size();
}

void apus_depthwise_weight_gradient(
    const apus_pass *p, const float *dy, float *dweight, float *dbias, float *scratch) {
  depthwise_job job = {
      .pass = merged(p), .loops = apus_loops_now(), .dy = dy, .sums = scratch};
  job.rows = rows_of_task(&job.pass);
  job.row_blocks = apus_blocks(p->height, job.rows);
  job.parts = parts_of(&job.pass);
  const ptrdiff_t channels = p->groups, taps = taps_of(p), row = sums_floats(&job.pass);
  apus_slots_init(
      &job.slots, scratch + job.parts * row, gathered_floats(&job.pass) + row, apus_pool_size());
  const ptrdiff_t work =
      p->batch * p->height * p->width * channels * taps / job.parts;
  apus_parallel_for(
      job.parts, apus_most(1, 4 * APUS_GRAIN / apus_most(work, 1)), sum_parts, &job);
  const ptrdiff_t step = (taps + 1) * channels;
  for (ptrdiff_t part = 1; part < job.parts; part++)
    job.loops->add_row(scratch, scratch + part * step, step);
  for (ptrdiff_t t = 0; t < taps; t++)
    for (ptrdiff_t c = 0; c < channels; c++) dweight[c * taps + t] = scratch[t * channels + c];
  if (dbias) memcpy(dbias, scratch + taps * channels, (size_t)channels * sizeof(float));
}
