// The gradient of a convolution's weights: a product of the windows with `dy`, summed over all pixels.
// The pixels are cut into parts that follow from the sizes alone; each part sums into weights of its
// own, which are then added up in order. Within a part, a unit of some 256 pixels is gathered once and
// summed in registers (loops/convolution.h), so sums are blocked and their rounding stays small.
#include "convolution.h"

#include <string.h>

enum {
  UNIT_PIXELS = 256,
  GATHERED_FLOATS = 64 * 1024,
  // Sums of all parts, and how many parts and tasks are worth having.
  PARTIAL_FLOATS = 4 << 20, MOST_PARTS = 16, TASKS = 8,
};

/// How the work is cut.
typedef struct {
  ptrdiff_t images, rows;              // of a unit: whole images, or rows of one
  ptrdiff_t row_blocks, units, parts;  // units per group of images, in all; parts
  ptrdiff_t blocks, splits, each;      // blocks of filters; tasks among them; blocks of a task
  ptrdiff_t sums;                      // floats of a group's weights, packed
  ptrdiff_t gathered, panels;          // floats of a slot
} weight_plan;

static weight_plan plan_for(const apus_pass *p) {
  // For the widest level; the others fit into what it needs.
  const ptrdiff_t lanes = apus_loops_now()->tile_columns;
  weight_plan plan = {.images = 1, .rows = p->height};
  const ptrdiff_t area = p->height * p->width, row = apus_gathered_shape(p).row;
  if (area * 2 <= UNIT_PIXELS) {
    const ptrdiff_t image = apus_gathered_rows(p, p->height) * row;
    plan.images = apus_least(
        p->batch, apus_most(1, apus_least(UNIT_PIXELS / area, GATHERED_FLOATS / image)));
  } else {
    plan.rows = apus_least(p->height, apus_most(1, UNIT_PIXELS / p->width));
    while (plan.rows > 1 && apus_gathered_rows(p, plan.rows) * row > GATHERED_FLOATS) plan.rows--;
    plan.rows = apus_blocks(p->height, apus_blocks(p->height, plan.rows));
  }
  plan.row_blocks = apus_blocks(p->height, plan.rows);
  plan.units = apus_blocks(p->batch, plan.images) * plan.row_blocks;
  plan.blocks = apus_blocks(p->filters, lanes);
  plan.sums = plan.blocks * p->taps_y * p->taps_x * p->depth * lanes;
  plan.parts = apus_least(PARTIAL_FLOATS / (plan.sums * p->groups), MOST_PARTS);
  plan.parts = apus_most(1, apus_least(plan.parts, plan.units));
  plan.splits = apus_least(plan.blocks, apus_blocks(TASKS, plan.parts * p->groups));
  plan.each = apus_blocks(plan.blocks, plan.splits);
  plan.splits = apus_blocks(plan.blocks, plan.each);
  plan.gathered = apus_round(plan.images * apus_gathered_rows(p, plan.rows) * row);
  plan.panels = plan.each * lanes * plan.images * plan.rows * p->width;
  return plan;
}

typedef struct {
  const apus_pass *pass;
  const apus_loops *loops;
  weight_plan plan;
  const float *dy;
  float *sums, *bias_sums;  // [part][group][…]; [part][group][padded filters]
  bool has_bias;
  apus_slots slots;
  float *dweight, *dbias;
} weight_job;

/// Panels `[block][pixel][lanes]` of the rows of a unit; adds their sums to `bias` unless it is NULL.
static void gather_panels(
    const weight_job *job, ptrdiff_t image, ptrdiff_t images, ptrdiff_t first, ptrdiff_t rows,
    ptrdiff_t filter, ptrdiff_t filters, float *to, float *bias, float *unit_bias) {
  const apus_pass *p = job->pass;
  const ptrdiff_t lanes = job->loops->tile_columns, pixels = images * rows * p->width;
  if (bias) memset(unit_bias, 0, (size_t)filters * sizeof(float));
  ptrdiff_t pixel = 0;
  for (ptrdiff_t n = image; n < image + images; n++) {
    const float *from = job->dy + n * p->out_image + first * p->out_row + filter;
    for (ptrdiff_t i = 0; i < rows * p->width; i++, from += p->out_pixel, pixel++) {
      for (ptrdiff_t f = 0; f < filters; f += lanes) {
        float *panel = to + f * pixels + pixel * lanes;
        const ptrdiff_t here = apus_least(filters - f, lanes);
        memcpy(panel, from + f, (size_t)here * sizeof(float));
        for (ptrdiff_t l = here; l < lanes; l++) panel[l] = 0.0f;
      }
      if (bias) job->loops->add_row(unit_bias, from, filters);
    }
  }
  if (bias) job->loops->add_row(bias, unit_bias, filters);
}

/// Tasks: splits of groups of parts.
static void sum_parts(void *context, ptrdiff_t begin, ptrdiff_t end) {
  weight_job *job = context;
  const apus_pass *p = job->pass;
  const weight_plan *plan = &job->plan;
  const apus_gathered shape = apus_gathered_shape(p);
  const apus_runs runs = apus_window_runs(p, shape);
  const ptrdiff_t lanes = job->loops->tile_columns, padded = plan->blocks * lanes;
  const ptrdiff_t window = p->taps_y * p->taps_x * p->depth;
  const int slot = apus_slot_take(&job->slots);
  float *gathered = apus_slot_memory(&job->slots, slot), *panels = gathered + plan->gathered;
  float *unit_bias = panels + plan->panels;
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t split = task % plan->splits, group = task / plan->splits % p->groups;
    const ptrdiff_t part = task / plan->splits / p->groups;
    const ptrdiff_t block = split * plan->each;
    const ptrdiff_t blocks = apus_least(plan->blocks - block, plan->each);
    const ptrdiff_t filters = apus_least(p->filters - block * lanes, blocks * lanes);
    float *sums = job->sums + (part * p->groups + group) * plan->sums;
    float *bias = NULL;
    if (job->has_bias) {
      bias = job->bias_sums + (part * p->groups + group) * padded + block * lanes;
      memset(bias, 0, (size_t)filters * sizeof(float));
    }
    const ptrdiff_t from = plan->units * part / plan->parts;
    const ptrdiff_t to = plan->units * (part + 1) / plan->parts;
    for (ptrdiff_t unit = from; unit < to; unit++) {
      const ptrdiff_t image = unit / plan->row_blocks * plan->images;
      const ptrdiff_t images = apus_least(p->batch - image, plan->images);
      const ptrdiff_t first = unit % plan->row_blocks * plan->rows;
      const ptrdiff_t rows = apus_least(p->height - first, plan->rows);
      const ptrdiff_t image_step = apus_gathered_rows(p, rows) * shape.row;
      for (ptrdiff_t n = 0; n < images; n++)
        apus_gather_rows(p, image + n, group, first, rows, gathered + n * image_step);
      gather_panels(
          job, image, images, first, rows, group * p->filters + block * lanes, filters, panels, bias,
          unit_bias);
      const apus_pixels pixels = {
          .images = images, .rows = rows, .columns = p->width, .image = image_step,
          .row = shape.step_y * shape.row, .pixel = runs.pixel};
      for (ptrdiff_t b = 0; b < blocks; b++) {
        const float *panel = panels + b * lanes * images * rows * p->width;
        float *c = sums + (block + b) * window * lanes;
        const ptrdiff_t columns = apus_least(p->filters - (block + b) * lanes, lanes);
        for (ptrdiff_t i = 0; i < runs.rows; i++)
          for (ptrdiff_t j = 0; j < runs.columns; j++, c += runs.length * lanes)
            job->loops->gradient_rows(
                &pixels, gathered + i * runs.row + j * runs.column, runs.length, panel, c, columns,
                unit > from);
      }
    }
  }
  apus_slot_give(&job->slots, slot);
}

/// Tasks: channels of blocks of filters of groups; adds the parts up.
static void add_parts(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const weight_job *job = context;
  const apus_pass *p = job->pass;
  const weight_plan *plan = &job->plan;
  const ptrdiff_t lanes = job->loops->tile_columns, taps = p->taps_y * p->taps_x;
  float total[64];
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t d = task % p->depth, block = task / p->depth % plan->blocks;
    const ptrdiff_t group = task / p->depth / plan->blocks;
    const ptrdiff_t here = apus_least(p->filters - block * lanes, lanes);
    float *to = job->dweight + ((group * p->filters + block * lanes) * p->depth + d) * taps;
    for (ptrdiff_t t = 0; t < taps; t++) {
      const float *from =
          job->sums + group * plan->sums + ((block * taps + t) * p->depth + d) * lanes;
      for (ptrdiff_t l = 0; l < lanes; l++) total[l] = from[l];
      for (ptrdiff_t part = 1; part < plan->parts; part++) {
        const float *more = from + part * p->groups * plan->sums;
        for (ptrdiff_t l = 0; l < lanes; l++) total[l] += more[l];
      }
      for (ptrdiff_t l = 0; l < here; l++) to[l * p->depth * taps + t] = total[l];
    }
  }
}

static ptrdiff_t plan_floats(const apus_pass *p, const weight_plan *plan, bool of_slots) {
  const ptrdiff_t padded = apus_round(plan->blocks * 32);
  if (of_slots) return plan->gathered + plan->panels + padded;
  return apus_round(plan->parts * p->groups * (plan->sums + padded));
}

ptrdiff_t apus_convolve_weight_scratch(const apus_convolution *c) {
  const apus_pass pass = apus_forward_pass(c);
  if (apus_is_depthwise(&pass))
    return apus_depthwise_weight_scratch(&pass) * (ptrdiff_t)sizeof(float);
  if (apus_suits_winograd(&pass))
    return apus_winograd_weight_scratch(&pass) * (ptrdiff_t)sizeof(float);
  const weight_plan plan = plan_for(&pass);
  const ptrdiff_t floats =
      plan_floats(&pass, &plan, false) + apus_pool_size() * plan_floats(&pass, &plan, true);
  return floats * (ptrdiff_t)sizeof(float);
}

void apus_convolve_weight_gradient(
    const apus_convolution *c, const float *x, const float *dy, float *dweight, float *dbias,
    float *scratch) {
  apus_pass pass = apus_forward_pass(c);
  pass.in = x;
  if (apus_is_depthwise(&pass))
    return apus_depthwise_weight_gradient(&pass, dy, dweight, dbias, scratch);
  if (c->repeats_dy) {
    pass.out_image = c->filters;
    pass.out_row = pass.out_pixel = 0;
  }
  if (apus_suits_winograd(&pass))
    return apus_winograd_weight_gradient(&pass, dy, dweight, dbias, scratch);
  weight_job job = {
      .pass = &pass, .loops = apus_loops_now(), .plan = plan_for(&pass), .dy = dy, .sums = scratch,
      .has_bias = dbias != NULL, .dweight = dweight, .dbias = dbias};
  const weight_plan *plan = &job.plan;
  const ptrdiff_t padded = plan->blocks * job.loops->tile_columns;
  job.bias_sums = scratch + plan->parts * pass.groups * plan->sums;
  apus_slots_init(
      &job.slots, scratch + plan_floats(&pass, plan, false), plan_floats(&pass, plan, true),
      apus_pool_size());
  const ptrdiff_t tasks = plan->parts * pass.groups * plan->splits;
  const ptrdiff_t work = plan->units / plan->parts * plan->images * plan->rows * pass.width *
                         plan->sums / plan->splits;
  apus_parallel_for(tasks, apus_most(1, (1 << 17) / apus_most(work, 1)), sum_parts, &job);
  const ptrdiff_t each =
      pass.taps_y * pass.taps_x * job.loops->tile_columns * plan->parts;
  apus_parallel_for(
      pass.groups * plan->blocks * pass.depth, apus_most(1, APUS_GRAIN / each), add_parts, &job);
  if (!dbias) return;
  for (ptrdiff_t group = 0; group < pass.groups; group++) {
    float *to = dbias + group * pass.filters;
    memcpy(to, job.bias_sums + group * padded, (size_t)pass.filters * sizeof(float));
    for (ptrdiff_t part = 1; part < plan->parts; part++)
      job.loops->add_row(
          to, job.bias_sums + (part * pass.groups + group) * padded, pass.filters);
  }
}
