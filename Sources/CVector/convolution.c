// Convolutions as passes of register tiles over rows gathered with their padding (loops/convolution.h).
// A task is a block of output rows of one image and group: it gathers the input rows once into memory
// that stays in the second cache, then runs all filters over them. An output is always summed in the
// same order: window, then channels.
#include "convolution.h"

#include <string.h>

enum {
  // Floats of gathered input that leave room for weights in a second cache of 512 KiB.
  GATHERED_FLOATS = 48 * 1024,
  // Pixels of a task where nothing is gathered; a multiple of every level's tile.
  FLAT_PIXELS = 192,
};

// MARK: Weights

typedef struct {
  const apus_pass *pass;
  float *to;
  ptrdiff_t lanes, blocks;
} pack_job;

static void pack_filters(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const pack_job *job = context;
  const apus_pass *p = job->pass;
  const ptrdiff_t lanes = job->lanes, tap = p->depth * lanes;
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t first = task % job->blocks * lanes;
    const ptrdiff_t here = apus_least(p->filters - first, lanes);
    const float *from = p->weight + task / job->blocks * p->w_group + first * p->w_filter;
    float *to = job->to + task * p->taps_y * p->taps_x * tap;
    for (ptrdiff_t d = 0; d < p->depth; d++)
      for (ptrdiff_t i = 0; i < p->taps_y; i++)
        for (ptrdiff_t j = 0; j < p->taps_x; j++) {
          const float *w = from + d * p->w_depth + i * p->w_y + j * p->w_x;
          float *row = to + (i * p->taps_x + j) * tap + d * lanes;
          for (ptrdiff_t f = 0; f < here; f++) row[f] = w[f * p->w_filter];
          for (ptrdiff_t f = here; f < lanes; f++) row[f] = 0.0f;
        }
  }
}

void apus_pack_weights(const apus_pass *p, float *to) {
  const ptrdiff_t lanes = apus_loops_now()->tile_columns;
  pack_job job = {p, to, lanes, apus_blocks(p->filters, lanes)};
  const ptrdiff_t tasks = p->groups * job.blocks;
  const ptrdiff_t each = p->taps_y * p->taps_x * p->depth * lanes;
  apus_parallel_for(tasks, apus_most(1, APUS_GRAIN / each), pack_filters, &job);
}

ptrdiff_t apus_packed_floats(const apus_pass *p) {
  // Enough for any level: the widest has 32 lanes.
  return p->groups * apus_blocks(p->filters, 32) * 32 * p->taps_y * p->taps_x * p->depth;
}

// MARK: A pass

typedef struct {
  const apus_pass *pass;
  const apus_loops *loops;
  const float *packed;
  apus_slots slots;
  ptrdiff_t rows, row_blocks;  // output rows of a task
} pass_job;

/// All filters of a group over some rows of pixels; `x` is the first window.
static void run_filters(
    const pass_job *job, ptrdiff_t group, const apus_runs *runs, const float *x, ptrdiff_t x_row,
    ptrdiff_t rows, ptrdiff_t width, ptrdiff_t offset) {
  const apus_pass *p = job->pass;
  const ptrdiff_t lanes = job->loops->tile_columns;
  const ptrdiff_t blocks = apus_blocks(p->filters, lanes);
  const ptrdiff_t block = p->taps_y * p->taps_x * p->depth * lanes;
  for (ptrdiff_t b = 0; b < blocks; b++) {
    const ptrdiff_t first = group * p->filters + b * lanes;
    const ptrdiff_t columns = apus_least(p->filters - b * lanes, lanes);
    apus_ending ending = {
        .bias = p->bias ? p->bias + first : NULL, .relu = p->activation == APUS_RELU};
    for (ptrdiff_t y = 0; y < rows; y++) {
      const ptrdiff_t at = offset + y * p->out_row + first;
      if (p->addend) ending.addend = p->addend + at;
      job->loops->convolve_row(
          runs, x + y * x_row, width, job->packed + (group * blocks + b) * block, &ending, p->out + at,
          p->out_pixel, columns);
    }
  }
  if (p->activation >= 0 && p->activation != APUS_RELU)
    for (ptrdiff_t y = 0; y < rows; y++)
      apus_bias_activation(
          (apus_operation)p->activation, p->parameters, width, p->filters,
          p->out + offset + y * p->out_row + group * p->filters, p->out_pixel, NULL);
}

/// Tasks: groups of blocks of rows of images.
static void run_blocks(void *context, ptrdiff_t begin, ptrdiff_t end) {
  pass_job *job = context;
  const apus_pass *p = job->pass;
  const apus_gathered shape = apus_gathered_shape(p);
  const apus_runs runs = apus_window_runs(p, shape);
  const int slot = apus_slot_take(&job->slots);
  float *gathered = apus_slot_memory(&job->slots, slot);
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t group = task % p->groups, block = task / p->groups % job->row_blocks;
    const ptrdiff_t image = task / p->groups / job->row_blocks, first = block * job->rows;
    const ptrdiff_t rows = apus_least(p->height - first, job->rows);
    apus_gather_rows(p, image, group, first, rows, gathered);
    run_filters(
        job, group, &runs, gathered, shape.step_y * shape.row, rows, p->width,
        image * p->out_image + first * p->out_row);
  }
  apus_slot_give(&job->slots, slot);
}

/// Windows of one pixel on dense images: a product of matrices whose left operand needs no copy.
static bool is_flat(const apus_pass *p) {
  return !p->is_planar && p->taps_y == 1 && p->taps_x == 1 && p->step_y == 1 && p->step_x == 1 &&
         p->first_y == 0 && p->first_x == 0 && p->groups == 1 &&
         p->height == p->in_height && p->width == p->in_width &&
         p->out_row == p->width * p->out_pixel && p->out_image == p->height * p->out_row;
}

/// Tasks: pixels of all images.
static void run_pixels(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const pass_job *job = context;
  const apus_pass *p = job->pass;
  const apus_runs runs = {.rows = 1, .columns = 1, .length = p->depth, .pixel = p->depth};
  run_filters(
      job, 0, &runs, p->in + begin * p->depth, 0, 1, end - begin, begin * p->out_pixel);
}

/// Output rows of a task: as many as the cache holds, but enough tasks to share.
static ptrdiff_t rows_of_task(const apus_pass *p) {
  const apus_gathered shape = apus_gathered_shape(p);
  ptrdiff_t rows = 1;
  while (rows < p->height && apus_gathered_rows(p, rows + 1) * shape.row <= GATHERED_FLOATS) rows++;
  const ptrdiff_t shared = apus_most(4, p->batch * p->groups * p->height / 32);
  rows = apus_least(rows, shared);
  return apus_blocks(p->height, apus_blocks(p->height, rows));
}

static ptrdiff_t slot_floats(const apus_pass *p) {
  if (is_flat(p)) return 0;
  return apus_round(apus_gathered_rows(p, rows_of_task(p)) * apus_gathered_shape(p).row);
}

ptrdiff_t apus_pass_scratch(const apus_pass *p) {
  if (apus_is_depthwise(p)) return apus_depthwise_scratch(p);
  if (apus_suits_winograd(p)) return apus_winograd_scratch(p);
  return apus_packed_floats(p) + slot_floats(p) * apus_pool_size();
}

void apus_run_pass(const apus_pass *p, float *scratch) {
  if (apus_is_depthwise(p)) return apus_run_depthwise(p, scratch);
  if (apus_suits_winograd(p)) return apus_run_winograd(p, scratch);
  pass_job job = {.pass = p, .loops = apus_loops_now(), .packed = scratch};
  apus_pack_weights(p, scratch);
  if (is_flat(p)) {
    apus_parallel_for(p->batch * p->height * p->width, FLAT_PIXELS, run_pixels, &job);
    return;
  }
  apus_slots_init(&job.slots, scratch + apus_packed_floats(p), slot_floats(p), apus_pool_size());
  job.rows = rows_of_task(p);
  job.row_blocks = apus_blocks(p->height, job.rows);
  const ptrdiff_t tasks = p->batch * job.row_blocks * p->groups;
  // Below about 10 µs of work another thread costs more than it gives.
  const ptrdiff_t work =
      job.rows * p->width * p->filters * p->depth * p->taps_y * p->taps_x;
  apus_parallel_for(tasks, apus_most(1, (1 << 17) / apus_most(work, 1)), run_blocks, &job);
}

// MARK: Forward, and the gradient of the input

apus_pass apus_forward_pass(const apus_convolution *c) {
  const ptrdiff_t taps = c->kernel_height * c->kernel_width, depth = c->channels / c->groups;
  const ptrdiff_t pixel = c->filters;
  return (apus_pass){
      .batch = c->batch, .groups = c->groups, .depth = depth, .filters = c->filters / c->groups,
      .in_height = c->height, .in_width = c->width, .is_planar = c->is_planar,
      .height = c->out_height, .width = c->out_width,
      .step_y = c->stride_height, .step_x = c->stride_width, .first_y = -c->top, .first_x = -c->left,
      .tap_y = c->dilation_height, .tap_x = c->dilation_width, .taps_y = c->kernel_height,
      .taps_x = c->kernel_width, .out_image = c->out_height * c->out_width * pixel,
      .out_row = c->out_width * pixel, .out_pixel = pixel,
      .w_group = c->filters / c->groups * depth * taps, .w_y = c->kernel_width, .w_x = 1,
      .w_depth = taps, .w_filter = depth * taps, .activation = -1};
}

ptrdiff_t apus_convolve_scratch(const apus_convolution *c) {
  const apus_pass pass = apus_forward_pass(c);
  return apus_pass_scratch(&pass) * (ptrdiff_t)sizeof(float);
}

void apus_convolve(
    const apus_convolution *c, const float *x, const float *weight, const float *bias,
    const float *addend, int activation, apus_parameters parameters, float *out, float *scratch) {
  apus_pass pass = apus_forward_pass(c);
  pass.in = x;
  pass.weight = weight;
  pass.bias = bias;
  pass.addend = addend;
  pass.activation = activation;
  pass.parameters = parameters;
  pass.out = out;
  apus_run_pass(&pass, scratch);
}

static ptrdiff_t gcd(ptrdiff_t a, ptrdiff_t b) { return b == 0 ? a : gcd(b, a % b); }

/// The taps of one axis that reach input coordinates `phase + i · stride`, and where they read.
typedef struct {
  ptrdiff_t extent;       // coordinates of the phase
  ptrdiff_t taps, first;  // count; coordinate of dy for i = 0 and tap 0 of the pass
  ptrdiff_t tap;          // between taps, in dy
  ptrdiff_t kernel_first, kernel_step;
} phase;

/// An output `o` meets input `h` through tap `r` where `o · stride = h + pad − r · dilation`.
static phase phase_of(
    ptrdiff_t at, ptrdiff_t extent, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t dilation,
    ptrdiff_t pad) {
  phase result = {.extent = extent > at ? apus_blocks(extent - at, stride) : 0, .tap = 1};
  const ptrdiff_t common = gcd(dilation, stride);
  ptrdiff_t r = 0;
  while (r < kernel && (at + pad - r * dilation) % stride != 0) r++;
  if (r >= kernel) return result;
  const ptrdiff_t step = stride / common;
  result.taps = (kernel - 1 - r) / step + 1;
  // The last tap reads the smallest coordinate: taps are taken from the end.
  const ptrdiff_t last = r + (result.taps - 1) * step;
  result.kernel_first = last;
  result.kernel_step = -step;
  result.first = (at + pad - last * dilation) / stride;
  result.tap = dilation / common;
  return result;
}

static apus_pass input_pass(const apus_convolution *c, ptrdiff_t y, ptrdiff_t x) {
  const phase v = phase_of(
      y, c->height, c->kernel_height, c->stride_height, c->dilation_height, c->top);
  const phase h = phase_of(x, c->width, c->kernel_width, c->stride_width, c->dilation_width, c->left);
  const ptrdiff_t taps = c->kernel_height * c->kernel_width, channels = c->channels / c->groups;
  const ptrdiff_t pixel = c->channels, row = c->width * pixel;
  return (apus_pass){
      .batch = c->batch, .groups = c->groups, .depth = c->filters / c->groups, .filters = channels,
      .in_height = c->out_height, .in_width = c->out_width, .height = v.extent, .width = h.extent,
      .step_y = 1, .step_x = 1, .first_y = v.first, .first_x = h.first, .tap_y = v.tap,
      .tap_x = h.tap, .taps_y = v.taps, .taps_x = h.taps, .out_image = c->height * row,
      .out_row = c->stride_height * row, .out_pixel = c->stride_width * pixel,
      .w_group = c->filters / c->groups * channels * taps, .w_y = v.kernel_step * c->kernel_width,
      .w_x = h.kernel_step, .w_depth = channels * taps, .w_filter = taps, .activation = -1,
      // Offsets of the phase, resolved by the caller.
      .weight = NULL, .out = NULL};
}

/// Offsets of a phase in the weights and in the gradient.
static ptrdiff_t weight_offset(const apus_convolution *c, ptrdiff_t y, ptrdiff_t x) {
  const phase v = phase_of(
      y, c->height, c->kernel_height, c->stride_height, c->dilation_height, c->top);
  const phase h = phase_of(x, c->width, c->kernel_width, c->stride_width, c->dilation_width, c->left);
  return v.kernel_first * c->kernel_width + h.kernel_first;
}

static bool is_empty(const apus_pass *p) { return p->height == 0 || p->width == 0; }

ptrdiff_t apus_convolve_input_scratch(const apus_convolution *c) {
  ptrdiff_t floats = 0;
  for (ptrdiff_t y = 0; y < apus_least(c->stride_height, c->height); y++)
    for (ptrdiff_t x = 0; x < apus_least(c->stride_width, c->width); x++) {
      const apus_pass pass = input_pass(c, y, x);
      if (is_empty(&pass) || pass.taps_y == 0 || pass.taps_x == 0) continue;
      floats = apus_most(floats, apus_pass_scratch(&pass));
    }
  return floats * (ptrdiff_t)sizeof(float);
}

typedef struct {
  const apus_pass *pass;
} clear_job;

static void clear_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const apus_pass *p = ((const clear_job *)context)->pass;
  const size_t bytes = (size_t)(p->groups * p->filters) * sizeof(float);
  for (ptrdiff_t row = begin; row < end; row++) {
    float *to = p->out + row / p->height * p->out_image + row % p->height * p->out_row;
    for (ptrdiff_t x = 0; x < p->width; x++) memset(to + x * p->out_pixel, 0, bytes);
  }
}

void apus_convolve_input_gradient(
    const apus_convolution *c, const float *dy, const float *weight, float *dx, float *scratch) {
  for (ptrdiff_t y = 0; y < apus_least(c->stride_height, c->height); y++)
    for (ptrdiff_t x = 0; x < apus_least(c->stride_width, c->width); x++) {
      apus_pass pass = input_pass(c, y, x);
      if (is_empty(&pass)) continue;
      pass.in = dy;
      pass.out = dx + (y * c->width + x) * c->channels;
      if (pass.taps_y == 0 || pass.taps_x == 0) {
        // No window reaches this phase.
        clear_job job = {&pass};
        const ptrdiff_t row = pass.width * c->channels;
        apus_parallel_for(
            pass.batch * pass.height, apus_most(1, 4 * APUS_GRAIN / row), clear_rows, &job);
        continue;
      }
      pass.weight = weight + weight_offset(c, y, x);
      apus_run_pass(&pass, scratch);
    }
}
