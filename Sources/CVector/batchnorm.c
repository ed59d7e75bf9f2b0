// Batch normalisation of dense `[rows, channels]`, where a row is a pixel. The input is read twice: once
// for the moments, in blocks that stay in the cache between the mean and the squares about it, and once
// for the result. Blocks are combined in Double (Chan, Golub, LeVeque, "Updating formulae and a pairwise
// algorithm for computing sample variances", 1979). Parts follow from the sizes alone.
#include "level.h"

#include <math.h>
#include <string.h>

enum { BLOCK_FLOATS = 16 * 1024, MOST_PARTS = 32 };

typedef struct {
  const apus_loops *loops;
  const apus_norm *norm;
  ptrdiff_t block, blocks, parts;  // rows of a block, blocks, parts
  const float *x, *y, *dy, *mean;
  double *partial;        // [part][2][channels]
  const float *scale, *shift, *addend, *mean_dz, *slope;
  float *out, *dz;
} norm_job;

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

static void cut(norm_job *job) {
  const apus_norm *n = job->norm;
  job->block = BLOCK_FLOATS / n->channels;
  if (job->block < 1) job->block = 1;
  job->blocks = (n->rows + job->block - 1) / job->block;
  job->parts = least(job->blocks, MOST_PARTS);
}

// A block's vectors: two rows of channels, and a block of gradients before the activation.
static ptrdiff_t block_floats(ptrdiff_t channels) {
  return channels > BLOCK_FLOATS ? channels : BLOCK_FLOATS;
}

ptrdiff_t apus_norm_scratch(const apus_norm *norm) {
  const ptrdiff_t parts = MOST_PARTS, channels = norm->channels;
  return parts * (2 * channels * (ptrdiff_t)sizeof(double) +
                  (2 * channels + block_floats(channels)) * (ptrdiff_t)sizeof(float)) +
         4 * channels * (ptrdiff_t)sizeof(float);
}

static float *part_floats(const norm_job *job, ptrdiff_t part) {
  const ptrdiff_t channels = job->norm->channels;
  float *base = (float *)(job->partial + MOST_PARTS * 2 * channels);
  return base + part * (2 * channels + block_floats(channels));
}

static float *channel_floats(const norm_job *job) { return part_floats(job, MOST_PARTS); }

/// Tasks: parts. Leaves mean and squares of each.
static void part_moments(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const norm_job *job = context;
  const ptrdiff_t channels = job->norm->channels, rows = job->norm->rows;
  for (ptrdiff_t part = begin; part < end; part++) {
    double *mean = job->partial + part * 2 * channels, *squares = mean + channels;
    float *block_mean = part_floats(job, part), *block_squares = block_mean + channels;
    memset(mean, 0, (size_t)(2 * channels) * sizeof(double));
    double count = 0;
    const ptrdiff_t last = job->blocks * (part + 1) / job->parts;
    for (ptrdiff_t block = job->blocks * part / job->parts; block < last; block++) {
      const ptrdiff_t first = block * job->block, here = least(rows - first, job->block);
      job->loops->channel_moments(
          job->x + first * channels, here, channels, block_mean, block_squares);
      const double share = (double)here / (count + (double)here);
      for (ptrdiff_t c = 0; c < channels; c++) {
        const double d = (double)block_mean[c] - mean[c];
        mean[c] += d * share;
        squares[c] += (double)block_squares[c] + d * d * count * share;
      }
      count += (double)here;
    }
  }
}

static ptrdiff_t rows_of_part(const norm_job *job, ptrdiff_t part) {
  const ptrdiff_t first = job->blocks * part / job->parts * job->block;
  return least(job->norm->rows, job->blocks * (part + 1) / job->parts * job->block) - first;
}

/// Tasks: blocks.
static void affine_blocks(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const norm_job *job = context;
  const apus_norm *n = job->norm;
  const ptrdiff_t first = begin * job->block, rows = least(n->rows, end * job->block) - first;
  const ptrdiff_t at = first * n->channels;
  job->loops->channel_affine(
      job->x + at, rows, n->channels, job->mean, job->scale, job->shift,
      job->addend ? job->addend + at : NULL, n->activation == APUS_RELU, job->out + at);
  if (n->activation >= 0 && n->activation != APUS_RELU)
    apus_bias_activation(
        (apus_operation)n->activation, n->parameters, rows, n->channels, job->out + at, n->channels,
        NULL);
}

static void run_affine(norm_job *job, const float *rstd, const float *weight) {
  const ptrdiff_t channels = job->norm->channels;
  float *scale = channel_floats(job);
  for (ptrdiff_t c = 0; c < channels; c++) scale[c] = weight ? rstd[c] * weight[c] : rstd[c];
  job->scale = scale;
  apus_parallel_for(job->blocks, 1, affine_blocks, job);
}

void apus_batch_norm(
    const apus_norm *norm, const float *x, const float *weight, const float *bias,
    const float *running_mean, const float *running_variance, const float *addend, float *y,
    float *mean, float *rstd, float *new_mean, float *new_variance, double *scratch) {
  norm_job job = {
      .loops = apus_loops_now(), .norm = norm, .x = x, .mean = mean, .shift = bias,
      .addend = addend, .out = y, .partial = scratch};
  cut(&job);
  apus_parallel_for(job.parts, 1, part_moments, &job);
  const ptrdiff_t channels = norm->channels;
  double *total = scratch, *squares = scratch + channels;
  double count = (double)rows_of_part(&job, 0);
  for (ptrdiff_t part = 1; part < job.parts; part++) {
    const double *more = scratch + part * 2 * channels, here = (double)rows_of_part(&job, part);
    const double share = here / (count + here);
    for (ptrdiff_t c = 0; c < channels; c++) {
      const double d = more[c] - total[c];
      total[c] += d * share;
      squares[c] += more[channels + c] + d * d * count * share;
    }
    count += here;
  }
  for (ptrdiff_t c = 0; c < channels; c++) {
    const double variance = squares[c] / count;
    mean[c] = (float)total[c];
    rstd[c] = (float)(1.0 / sqrt(variance + (double)norm->epsilon));
    if (!running_mean) continue;
    const double momentum = (double)norm->momentum, unbiased = squares[c] / (count - 1);
    new_mean[c] = (float)((1 - momentum) * (double)running_mean[c] + momentum * total[c]);
    new_variance[c] = (float)((1 - momentum) * (double)running_variance[c] + momentum * unbiased);
  }
  run_affine(&job, rstd, weight);
}

void apus_batch_norm_inference(
    const apus_norm *norm, const float *x, const float *mean, const float *variance,
    const float *weight, const float *bias, const float *addend, float *y, double *scratch) {
  norm_job job = {
      .loops = apus_loops_now(), .norm = norm, .x = x, .mean = mean, .shift = bias,
      .addend = addend, .out = y, .partial = scratch};
  cut(&job);
  float *rstd = channel_floats(&job) + norm->channels;
  for (ptrdiff_t c = 0; c < norm->channels; c++)
    rstd[c] = (float)(1.0 / sqrt((double)variance[c] + (double)norm->epsilon));
  run_affine(&job, rstd, weight);
}

/// What of a block of `dy` comes through the activation: itself, or with `*y` its positive part, or a
/// block made in `memory`.
static const float *through(
    const norm_job *job, ptrdiff_t at, ptrdiff_t count, float *memory, const float **y) {
  const apus_norm *n = job->norm;
  *y = NULL;
  if (n->activation < 0) return job->dy + at;
  if (n->activation == APUS_RELU) {
    *y = job->y + at;
    return job->dy + at;
  }
  apus_parameters parameters = n->parameters;
  parameters.stream = 0;
  job->loops->kernel[APUS_BACKWARD + n->activation].block(
      memory, job->y + at, job->dy + at, NULL, count, &parameters);
  return memory;
}

/// Tasks: parts. Leaves the sums of dz and dz · (x − mean) of each.
static void part_gradient_sums(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const norm_job *job = context;
  const ptrdiff_t channels = job->norm->channels, rows = job->norm->rows;
  for (ptrdiff_t part = begin; part < end; part++) {
    double *sums = job->partial + part * 2 * channels;
    float *block_sums = part_floats(job, part), *memory = block_sums + 2 * channels;
    memset(sums, 0, (size_t)(2 * channels) * sizeof(double));
    const ptrdiff_t last = job->blocks * (part + 1) / job->parts;
    for (ptrdiff_t block = job->blocks * part / job->parts; block < last; block++) {
      const ptrdiff_t first = block * job->block, here = least(rows - first, job->block);
      const ptrdiff_t at = first * channels;
      const float *y;
      const float *dz = through(job, at, here * channels, memory, &y);
      job->loops->channel_gradient_sums(
          job->x + at, y, dz, here, channels, job->mean, block_sums, block_sums + channels);
      for (ptrdiff_t c = 0; c < 2 * channels; c++) sums[c] += (double)block_sums[c];
    }
  }
}

/// Tasks: parts, for each has a block of memory.
static void part_gradients(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const norm_job *job = context;
  const ptrdiff_t channels = job->norm->channels, rows = job->norm->rows;
  for (ptrdiff_t part = begin; part < end; part++) {
    float *memory = part_floats(job, part) + 2 * channels;
    const ptrdiff_t last = job->blocks * (part + 1) / job->parts;
    for (ptrdiff_t block = job->blocks * part / job->parts; block < last; block++) {
      const ptrdiff_t first = block * job->block, here = least(rows - first, job->block);
      const ptrdiff_t at = first * channels;
      const float *y;
      const float *dz = through(job, at, here * channels, memory, &y);
      job->loops->channel_gradient(
          job->x + at, y, dz, here, channels, job->mean, job->scale, job->mean_dz, job->slope,
          job->out + at, job->dz ? job->dz + at : NULL);
    }
  }
}

void apus_batch_norm_backward(
    const apus_norm *norm, const float *x, const float *y, const float *mean, const float *rstd,
    const float *dy, const float *weight, float *dx, float *dweight, float *dbias, float *daddend,
    double *scratch) {
  norm_job job = {
      .loops = apus_loops_now(), .norm = norm, .x = x, .y = y, .dy = dy, .mean = mean, .out = dx,
      .dz = daddend, .partial = scratch};
  cut(&job);
  apus_parallel_for(job.parts, 1, part_gradient_sums, &job);
  const ptrdiff_t channels = norm->channels;
  for (ptrdiff_t part = 1; part < job.parts; part++)
    for (ptrdiff_t c = 0; c < 2 * channels; c++) scratch[c] += scratch[part * 2 * channels + c];
  float *scale = channel_floats(&job), *mean_dz = scale + channels, *slope = mean_dz + channels;
  const double count = (double)norm->rows;
  for (ptrdiff_t c = 0; c < channels; c++) {
    const double sum = scratch[c], product = scratch[channels + c] * (double)rstd[c];
    scale[c] = weight ? rstd[c] * weight[c] : rstd[c];
    mean_dz[c] = (float)(sum / count);
    slope[c] = (float)(product / count * (double)rstd[c]);
    if (dweight) dweight[c] = (float)product;
    if (dbias) dbias[c] = (float)sum;
  }
  job.scale = scale;
  job.mean_dz = mean_dz;
  job.slope = slope;
  apus_parallel_for(job.parts, 1, part_gradients, &job);
}
