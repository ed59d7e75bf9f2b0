// Winograd's convolution (loops/winograd.h). Forward, a task is a block of tiles that stays in the second
// cache: it transforms their pixels, multiplies the 36 positions by the transformed weights, and
// transforms back:
//
//     V[position][tile][channel] · U[position][channel][filter] = M[position][tile][filter]
//
// The gradient of the weights sums over all tiles instead, a chunk of them at a time that stays in the
// last cache: S[position][channel][filter] += Vᵀ · (A dy Aᵀ), and goes back to taps at the end.
#include "convolution.h"

#include <string.h>

enum {
  POSITIONS = 36, SIDE = 6, MOST_TILES = 96, LEAST_TILES = 24, PARTS = 16,
  BLOCK_FLOATS = 128 * 1024,
  CHUNK_FLOATS = 2 << 20,
};

typedef struct {
  int m, r;
  ptrdiff_t down, across, tiles;  // of an image; in all
} tiling;

static tiling tiling_of(const apus_pass *p) {
  tiling t = {.r = (int)p->taps_y};
  t.m = SIDE + 1 - t.r;
  t.down = apus_blocks(p->height, t.m);
  t.across = apus_blocks(p->width, t.m);
  t.tiles = p->batch * t.down * t.across;
  return t;
}

bool apus_suits_winograd(const apus_pass *p) {
  if (p->groups != 1 || p->step_y != 1 || p->step_x != 1 || p->tap_y != 1 || p->tap_x != 1 ||
      p->taps_y != p->taps_x || (p->taps_y != 3 && p->taps_y != 5) || p->depth < 12 ||
      p->filters < 12)
    return false;
  const tiling t = tiling_of(p);
  if (t.tiles < LEAST_TILES) return false;
  // Vector operations: products of both ways, some 250 for a tile's pixels, 200 for its outputs, and
  // 150 for the weights of a channel.
  const double products = (double)p->depth * (double)p->filters;
  const double direct =
      (double)(p->batch * p->height * p->width * p->taps_y * p->taps_x) * products;
  const double transformed =
      (double)t.tiles * (1.1 * POSITIONS * products + 250 * (double)p->depth + 200 * (double)p->filters) +
      150 * products;
  return transformed < 0.9 * direct;
}

typedef struct {
  const apus_pass *pass;
  const apus_loops *loops;
  tiling tiling;
  ptrdiff_t block;  // tiles of a task
  const float *packed;
  float *weights;  // U, or S
  float *zeros;
  apus_slots slots;
  // For the gradient of the weights.
  const float *dy;
  float *inputs, *outputs, *bias;
  ptrdiff_t first, here, chunk;
  float *dweight;
} winograd_job;

/// The 36 input pixels of a tile; those outside are zeros.
static void input_pixels(const winograd_job *job, ptrdiff_t tile, const float **pixels) {
  const apus_pass *p = job->pass;
  const tiling *t = &job->tiling;
  const ptrdiff_t x = tile % t->across * t->m + p->first_x;
  const ptrdiff_t y = tile / t->across % t->down * t->m + p->first_y;
  const float *image = p->in + tile / t->across / t->down * p->in_height * p->in_width * p->depth;
  for (ptrdiff_t i = 0; i < SIDE; i++)
    for (ptrdiff_t j = 0; j < SIDE; j++) {
      const bool is_inside =
          y + i >= 0 && y + i < p->in_height && x + j >= 0 && x + j < p->in_width;
      pixels[i * SIDE + j] =
          is_inside ? image + ((y + i) * p->in_width + x + j) * p->depth : job->zeros;
    }
}

/// Tasks: channels of blocks of filters.
static void transform_weights(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const winograd_job *job = context;
  const apus_pass *p = job->pass;
  const ptrdiff_t lanes = job->loops->tile_columns, tap = p->depth * lanes;
  const ptrdiff_t step = apus_blocks(p->filters, lanes) * tap, taps = p->taps_y * p->taps_x;
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t block = task / p->depth, d = task % p->depth;
    job->loops->winograd_weight(
        job->tiling.r, job->packed + block * taps * tap + d * lanes, tap,
        job->weights + block * tap + d * lanes, step);
  }
}

/// Floats between positions: not a power of two, for the 36 of a tile are written together.
static ptrdiff_t position_step(ptrdiff_t tiles, ptrdiff_t channels) {
  return apus_round(tiles * channels) + 32;
}

/// Tasks: tiles.
static void run_tiles(void *context, ptrdiff_t begin, ptrdiff_t end) {
  winograd_job *job = context;
  const apus_pass *p = job->pass;
  const tiling *t = &job->tiling;
  const ptrdiff_t lanes = job->loops->tile_columns, blocks = apus_blocks(p->filters, lanes);
  const ptrdiff_t in_step = position_step(job->block, p->depth);
  const ptrdiff_t out_step = position_step(job->block, p->filters);
  const int slot = apus_slot_take(&job->slots);
  float *inputs = apus_slot_memory(&job->slots, slot), *outputs = inputs + POSITIONS * in_step;
  const float *pixels[POSITIONS];
  for (ptrdiff_t tile = begin; tile < end; tile++) {
    input_pixels(job, tile, pixels);
    job->loops->winograd_input(pixels, p->depth, inputs + (tile - begin) * p->depth, in_step);
  }
  const apus_runs runs = {.rows = 1, .columns = 1, .length = p->depth, .pixel = p->depth};
  const apus_ending none = {0};
  for (ptrdiff_t position = 0; position < POSITIONS; position++)
    for (ptrdiff_t b = 0; b < blocks; b++)
      job->loops->convolve_row(
          &runs, inputs + position * in_step, end - begin,
          job->weights + (position * blocks + b) * p->depth * lanes, &none,
          outputs + position * out_step + b * lanes, p->filters,
          apus_least(p->filters - b * lanes, lanes));
  for (ptrdiff_t tile = begin; tile < end; tile++) {
    const ptrdiff_t x = tile % t->across * t->m, y = tile / t->across % t->down * t->m;
    const ptrdiff_t at =
        tile / t->across / t->down * p->out_image + y * p->out_row + x * p->out_pixel;
    const ptrdiff_t rows = apus_least(p->height - y, t->m), columns = apus_least(p->width - x, t->m);
    const apus_ending ending = {
        .bias = p->bias, .addend = p->addend ? p->addend + at : NULL,
        .relu = p->activation == APUS_RELU};
    job->loops->winograd_output(
        t->m, outputs + (tile - begin) * p->filters, out_step, p->filters, &ending, p->out + at,
        p->out_row, p->out_pixel, rows, columns);
    if (p->activation >= 0 && p->activation != APUS_RELU)
      for (ptrdiff_t i = 0; i < rows; i++)
        apus_bias_activation(
            (apus_operation)p->activation, p->parameters, columns, p->filters,
            p->out + at + i * p->out_row, p->out_pixel, NULL);
  }
  apus_slot_give(&job->slots, slot);
}

/// Tiles of a task: as many as the cache holds, in tasks that two, three or four threads share evenly.
static ptrdiff_t tiles_of_task(const apus_pass *p, const tiling *t) {
  ptrdiff_t tiles = BLOCK_FLOATS / (POSITIONS * (p->depth + p->filters)) / 12 * 12;
  tiles = apus_most(LEAST_TILES, apus_least(tiles, MOST_TILES));
  const ptrdiff_t tasks = apus_blocks(apus_blocks(t->tiles, tiles), 12) * 12;
  return apus_most(12, apus_blocks(t->tiles, tasks));
}

static ptrdiff_t transformed_floats(const apus_pass *p) {
  return apus_round(POSITIONS * p->depth * apus_blocks(p->filters, 32) * 32);
}

ptrdiff_t apus_winograd_scratch(const apus_pass *p) {
  const tiling t = tiling_of(p);
  const ptrdiff_t tiles = tiles_of_task(p, &t);
  const ptrdiff_t slot =
      POSITIONS * (position_step(tiles, p->depth) + position_step(tiles, p->filters));
  return apus_round(p->depth) + transformed_floats(p) +
         apus_most(apus_packed_floats(p), slot * apus_pool_size());
}

void apus_run_winograd(const apus_pass *p, float *scratch) {
  winograd_job job = {
      .pass = p, .loops = apus_loops_now(), .tiling = tiling_of(p), .zeros = scratch,
      .weights = scratch + apus_round(p->depth)};
  memset(job.zeros, 0, (size_t)p->depth * sizeof(float));
  // The packed weights are read before the slots are written.
  float *rest = job.weights + transformed_floats(p);
  apus_pack_weights(p, rest);
  job.packed = rest;
  const ptrdiff_t lanes = job.loops->tile_columns;
  apus_parallel_for(
      apus_blocks(p->filters, lanes) * p->depth, apus_most(1, APUS_GRAIN / (POSITIONS * lanes)),
      transform_weights, &job);
  job.block = tiles_of_task(p, &job.tiling);
  const ptrdiff_t slot =
      POSITIONS * (position_step(job.block, p->depth) + position_step(job.block, p->filters));
  apus_slots_init(&job.slots, rest, slot, apus_pool_size());
  apus_parallel_for(job.tiling.tiles, job.block, run_tiles, &job);
}

// MARK: Gradient of the weights

/// Tasks: parts of the chunk's tiles.
static void transform_tiles(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const winograd_job *job = context;
  const apus_pass *p = job->pass;
  const tiling *t = &job->tiling;
  const int m = t->m;
  const ptrdiff_t lanes = job->loops->tile_columns, blocks = apus_blocks(p->filters, lanes);
  const ptrdiff_t in_step = position_step(job->chunk, p->depth);
  const ptrdiff_t out_step = position_step(job->chunk, blocks * lanes);
  const float *pixels[POSITIONS], *block_pixels[16];
  for (ptrdiff_t part = begin; part < end; part++)
    for (ptrdiff_t i = job->here * part / PARTS; i < job->here * (part + 1) / PARTS; i++) {
      const ptrdiff_t tile = job->first + i;
      input_pixels(job, tile, pixels);
      job->loops->winograd_input(pixels, p->depth, job->inputs + i * p->depth, in_step);
      const ptrdiff_t x = tile % t->across * m, y = tile / t->across % t->down * m;
      const float *image = job->dy + tile / t->across / t->down * p->out_image;
      for (ptrdiff_t v = 0; v < m; v++)
        for (ptrdiff_t h = 0; h < m; h++)
          pixels[v * m + h] = y + v < p->height && x + h < p->width
                                  ? image + (y + v) * p->out_row + (x + h) * p->out_pixel
                                  : NULL;
      for (ptrdiff_t b = 0; b < blocks; b++) {
        for (int k = 0; k < m * m; k++)
          block_pixels[k] = pixels[k] ? pixels[k] + b * lanes : job->zeros;
        job->loops->winograd_gradient(
            m, block_pixels, apus_least(p->filters - b * lanes, lanes),
            job->outputs + (b * job->chunk + i) * lanes, out_step,
            job->bias ? job->bias + part * blocks * lanes + b * lanes : NULL);
      }
    }
}

/// Tasks: blocks of filters at each position.
static void multiply_positions(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const winograd_job *job = context;
  const apus_pass *p = job->pass;
  const ptrdiff_t lanes = job->loops->tile_columns, blocks = apus_blocks(p->filters, lanes);
  const ptrdiff_t in_step = position_step(job->chunk, p->depth);
  const ptrdiff_t out_step = position_step(job->chunk, blocks * lanes);
  const apus_pixels pixels = {.images = 1, .rows = 1, .columns = job->here, .pixel = p->depth};
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t position = task / blocks, b = task % blocks;
    job->loops->gradient_rows(
        &pixels, job->inputs + position * in_step, p->depth,
        job->outputs + position * out_step + b * job->chunk * lanes,
        job->weights + task * p->depth * lanes, apus_least(p->filters - b * lanes, lanes),
        job->first > 0);
  }
}

/// Tasks: channels of blocks of filters.
static void gather_weights(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const winograd_job *job = context;
  const apus_pass *p = job->pass;
  const ptrdiff_t lanes = job->loops->tile_columns, taps = p->taps_y * p->taps_x;
  const ptrdiff_t step = apus_blocks(p->filters, lanes) * p->depth * lanes;
  float window[25 * 32];
  for (ptrdiff_t task = begin; task < end; task++) {
    const ptrdiff_t block = task / p->depth, d = task % p->depth;
    job->loops->winograd_weight_gradient(
        job->tiling.r, job->weights + (block * p->depth + d) * lanes, step, window);
    const ptrdiff_t here = apus_least(p->filters - block * lanes, lanes);
    for (ptrdiff_t f = 0; f < here; f++) {
      float *to = job->dweight + ((block * lanes + f) * p->depth + d) * taps;
      for (ptrdiff_t tap = 0; tap < taps; tap++) to[tap] = window[tap * lanes + f];
    }
  }
}

static ptrdiff_t chunk_of(const apus_pass *p, const tiling *t) {
  const ptrdiff_t padded = apus_blocks(p->filters, 32) * 32;
  const ptrdiff_t most = apus_most(CHUNK_FLOATS / (POSITIONS * (p->depth + padded)), 96);
  return apus_blocks(t->tiles, apus_blocks(t->tiles, most));
}

ptrdiff_t apus_winograd_weight_scratch(const apus_pass *p) {
  const tiling t = tiling_of(p);
  const ptrdiff_t chunk = chunk_of(p, &t), padded = apus_blocks(p->filters, 32) * 32;
  return apus_round(apus_most(p->depth, padded)) + PARTS * padded + transformed_floats(p) +
         POSITIONS * (position_step(chunk, p->depth) + position_step(chunk, padded));
}

void apus_winograd_weight_gradient(
    const apus_pass *p, const float *dy, float *dweight, float *dbias, float *scratch) {
  winograd_job job = {
      .pass = p, .loops = apus_loops_now(), .tiling = tiling_of(p), .zeros = scratch, .dy = dy,
      .dweight = dweight};
  const ptrdiff_t lanes = job.loops->tile_columns, blocks = apus_blocks(p->filters, lanes);
  const ptrdiff_t zeros = apus_round(apus_most(p->depth, blocks * lanes));
  memset(job.zeros, 0, (size_t)zeros * sizeof(float));
  float *bias = scratch + zeros;
  memset(bias, 0, (size_t)(PARTS * blocks * lanes) * sizeof(float));
  job.bias = dbias ? bias : NULL;
  job.chunk = chunk_of(p, &job.tiling);
  job.weights = bias + PARTS * blocks * lanes;
  job.inputs = job.weights + transformed_floats(p);
  job.outputs = job.inputs + POSITIONS * position_step(job.chunk, p->depth);
  for (; job.first < job.tiling.tiles; job.first += job.chunk) {
    job.here = apus_least(job.chunk, job.tiling.tiles - job.first);
    apus_parallel_for(PARTS, 1, transform_tiles, &job);
    apus_parallel_for(POSITIONS * blocks, 1, multiply_positions, &job);
  }
  apus_parallel_for(
      blocks * p->depth, apus_most(1, APUS_GRAIN / (POSITIONS * lanes)), gather_weights, &job);
  if (!dbias) return;
  for (ptrdiff_t part = 1; part < PARTS; part++)
    job.loops->add_row(bias, bias + part * blocks * lanes, p->filters);
  memcpy(dbias, bias, (size_t)p->filters * sizeof(float));
}
