// Depthwise convolutions with stride 1 on planes (NCHW), which are read and written where they lie
// (loops/planar.h). Tasks are planes. Backward, a task makes the gradient of a plane and the sums of
// its weights while the plane is in the cache; the sums of the planes of a channel are then added in
// order.
#include "convolution.h"

#include <string.h>

typedef struct {
  const apus_convolution *c;
  const apus_loops *loops;
  apus_planes x, dy;
  const float *weight, *bias, *addend;
  int activation;
  apus_parameters parameters;
  float *out;   // forward: y, backward: dx or NULL
  float *sums;  // [plane][taps + 1], or NULL
  apus_slots slots;
} planes_job;

static ptrdiff_t taps_of(const apus_convolution *c) { return c->kernel_height * c->kernel_width; }

static apus_window forward_taps(const apus_convolution *c) {
  return (apus_window){
      .rows = c->kernel_height, .columns = c->kernel_width, .row = c->dilation_height,
      .column = c->dilation_width, .first_y = -c->top, .first_x = -c->left};
}

/// Those of the input gradient, which is a pass over dy with the taps in reverse.
static apus_window input_taps(const apus_convolution *c) {
  apus_window taps = forward_taps(c);
  taps.first_y = c->top - (c->kernel_height - 1) * c->dilation_height;
  taps.first_x = c->left - (c->kernel_width - 1) * c->dilation_width;
  return taps;
}

/// Memory of a thread: zeros, a row of dy, reversed weights.
static ptrdiff_t row_floats(const apus_convolution *c) {
  return apus_round(apus_most(c->width, c->out_width) + 16);
}
static ptrdiff_t slot_floats(const apus_convolution *c) {
  return 2 * row_floats(c) + apus_round(taps_of(c));
}

/// A plane of x or dy; one that repeats a value is written out as a row, which then is repeated.
static apus_plane plane_of(
    apus_planes in, ptrdiff_t image, ptrdiff_t channel, ptrdiff_t height, ptrdiff_t width,
    const float *zeros, float *repeated) {
  apus_plane plane = {
      .start = in.start + image * in.image + channel * in.channel, .zeros = zeros, .row = in.row,
      .height = height, .width = width};
  if (in.column == 0) {
    const float value = plane.start[0];
    for (ptrdiff_t x = 0; x < width; x++) repeated[x] = value;
    plane.start = repeated;
  }
  return plane;
}

/// Tasks: planes.
static void run_planes(void *context, ptrdiff_t begin, ptrdiff_t end) {
  planes_job *job = context;
  const apus_convolution *c = job->c;
  const apus_window taps = forward_taps(c);
  const ptrdiff_t area = c->out_height * c->out_width;
  const int slot = apus_slot_take(&job->slots);
  float *zeros = apus_slot_memory(&job->slots, slot);
  memset(zeros, 0, (size_t)row_floats(c) * sizeof(float));
  for (ptrdiff_t plane = begin; plane < end; plane++) {
    const ptrdiff_t image = plane / c->channels, channel = plane % c->channels;
    const apus_plane x = plane_of(
        job->x, image, channel, c->height, c->width, zeros, zeros + row_floats(c));
    const apus_ending ending = {
        .bias = job->bias ? job->bias + channel : NULL,
        .addend = job->addend ? job->addend + plane * area : NULL,
        .relu = job->activation == APUS_RELU};
    float *out = job->out + plane * area;
    job->loops->planar_rows(
        &x, &taps, job->weight + channel * taps_of(c), &ending, out, c->out_height, c->out_width);
    if (job->activation >= 0 && job->activation != APUS_RELU)
      apus_bias_activation(
          (apus_operation)job->activation, job->parameters, 1, area, out, area, NULL);
  }
  apus_slot_give(&job->slots, slot);
}

/// Tasks: planes.
static void run_backward(void *context, ptrdiff_t begin, ptrdiff_t end) {
  planes_job *job = context;
  const apus_convolution *c = job->c;
  const apus_window forward = forward_taps(c), input = input_taps(c);
  const ptrdiff_t taps = taps_of(c), area = c->height * c->width;
  const int slot = apus_slot_take(&job->slots);
  float *zeros = apus_slot_memory(&job->slots, slot), *repeated = zeros + row_floats(c);
  float *reversed = repeated + row_floats(c);
  memset(zeros, 0, (size_t)row_floats(c) * sizeof(float));
  for (ptrdiff_t plane = begin; plane < end; plane++) {
    const ptrdiff_t image = plane / c->channels, channel = plane % c->channels;
    const apus_plane dy = plane_of(
        job->dy, image, channel, c->out_height, c->out_width, zeros, repeated);
    if (job->out) {
      for (ptrdiff_t t = 0; t < taps; t++)
        reversed[t] = job->weight[channel * taps + taps - 1 - t];
      job->loops->planar_rows(
          &dy, &input, reversed, &(apus_ending){0}, job->out + plane * area, c->height, c->width);
    }
    if (job->sums) {
      const apus_plane x =
          plane_of(job->x, image, channel, c->height, c->width, zeros, NULL);
      job->loops->planar_sums(
          &x, &forward, dy.start, dy.row, c->out_height, c->out_width,
          job->sums + plane * (taps + 1));
    }
  }
  apus_slot_give(&job->slots, slot);
}

static ptrdiff_t sums_floats(const apus_convolution *c) {
  return apus_round(c->batch * c->channels * (taps_of(c) + 1));
}

ptrdiff_t apus_depthwise_planes_scratch(const apus_convolution *c) {
  return (sums_floats(c) + slot_floats(c) * apus_pool_size()) * (ptrdiff_t)sizeof(float);
}

/// Planes worth a thread's while.
static ptrdiff_t planes_of_task(const apus_convolution *c) {
  const ptrdiff_t area = apus_most(c->height * c->width, c->out_height * c->out_width);
  return apus_most(1, 4 * APUS_GRAIN / (taps_of(c) * area));
}

void apus_depthwise_planes(
    const apus_convolution *c, apus_planes x, const float *weight, const float *bias,
    const float *addend, int activation, apus_parameters parameters, float *out, float *scratch) {
  planes_job job = {
      .c = c, .loops = apus_loops_now(), .x = x, .weight = weight, .bias = bias, .addend = addend,
      .activation = activation, .parameters = parameters, .out = out};
  apus_slots_init(&job.slots, scratch, slot_floats(c), apus_pool_size());
  apus_parallel_for(c->batch * c->channels, planes_of_task(c), run_planes, &job);
}

void apus_depthwise_planes_backward(
    const apus_convolution *c, apus_planes x, apus_planes dy, const float *weight, float *dx,
    float *dweight, float *dbias, float *scratch) {
  planes_job job = {
      .c = c, .loops = apus_loops_now(), .x = x, .dy = dy, .weight = weight, .out = dx,
      .sums = dweight ? scratch : NULL};
  apus_slots_init(&job.slots, scratch + sums_floats(c), slot_floats(c), apus_pool_size());
  apus_parallel_for(c->batch * c->channels, planes_of_task(c), run_backward, &job);
  if (!dweight) return;
  const ptrdiff_t taps = taps_of(c);
  for (ptrdiff_t channel = 0; channel < c->channels; channel++)
    for (ptrdiff_t t = 0; t <= taps; t++) {
      double total = 0;
      for (ptrdiff_t image = 0; image < c->batch; image++)
        total += scratch[(image * c->channels + channel) * (taps + 1) + t];
      if (t < taps)
        dweight[channel * taps + t] = (float)total;
      else if (dbias)
        dbias[channel] = (float)total;
    }
}
