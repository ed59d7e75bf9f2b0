// Moving elements between strided views: whole rows where both sides have them, square tiles where an
// axis that is dense on one side is not on the other, so that every cache line fetched is used up.
#include "level.h"
#include "walk.h"

#include <string.h>

enum { TILE = 32 };

typedef struct {
  apus_walk walk;
  char *out;
  const char *x;
  int size;
  // For tiles: the axes exchanged and the others.
  int row_axis, column_axis, outer_rank;
  apus_walk outer;
  ptrdiff_t row_tiles;
} copy_job;

static void copy_dense(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const copy_job *job = context;
  memcpy(
      job->out + begin * job->size, job->x + begin * job->size, (size_t)((end - begin) * job->size));
}

static void copy_rows(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const copy_job *job = context;
  const apus_walk *w = &job->walk;
  apus_place place;
  apus_place_seek(&place, w, w->rank - 1, begin);
  const size_t bytes = (size_t)(w->shape[w->rank - 1] * job->size);
  for (ptrdiff_t row = begin; row < end; row++) {
    memcpy(job->out + place.offset[0], job->x + place.offset[1], bytes);
    apus_place_advance(&place, w, w->rank - 1);
  }
}

/// `out[i · to + j] = x[i + j · from]` for a tile; `to` and `from` in bytes.
#define TRANSPOSE(T)                                                          \
  for (ptrdiff_t i = 0; i < rows; i++)                                        \
    for (ptrdiff_t j = 0; j < columns; j++)                                   \
      memcpy(out + i * to + j * sizeof(T), x + i * sizeof(T) + j * from, sizeof(T));

static void transpose_tile(
    int size, char *out, ptrdiff_t to, const char *x, ptrdiff_t from, ptrdiff_t rows,
    ptrdiff_t columns) {
  const apus_loops *loops = apus_loops_now();
  if (size == 4 && rows == TILE && columns == TILE) {
    const int side = loops->transpose_size;
    for (ptrdiff_t i = 0; i < TILE; i += side)
      for (ptrdiff_t j = 0; j < TILE; j += side)
        loops->transpose(out + i * to + j * 4, to, x + i * 4 + j * from, from);
    return;
  }
  switch (size) {
    case 1: TRANSPOSE(uint8_t) break;
    case 2: TRANSPOSE(uint16_t) break;
    case 4: TRANSPOSE(uint32_t) break;
    default: TRANSPOSE(uint64_t) break;
  }
}

/// Tasks: bands of TILE rows of the exchanged pair, for every place of the other axes.
static void copy_tiles(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const copy_job *job = context;
  const apus_walk *w = &job->walk;
  const ptrdiff_t rows = w->shape[job->row_axis], columns = w->shape[job->column_axis];
  const ptrdiff_t to = w->stride[0][job->row_axis], from = w->stride[1][job->column_axis];
  apus_place place;
  for (ptrdiff_t task = begin; task < end; task++) {
    apus_place_seek(&place, &job->outer, job->outer_rank, task / job->row_tiles);
    const ptrdiff_t i = task % job->row_tiles * TILE;
    const ptrdiff_t height = rows - i < TILE ? rows - i : TILE;
    for (ptrdiff_t j = 0; j < columns; j += TILE)
      transpose_tile(
          job->size, job->out + place.offset[0] + i * to + j * job->size, to,
          job->x + place.offset[1] + i * job->size + j * from, from, height,
          columns - j < TILE ? columns - j : TILE);
  }
}

void apus_copy(
    int size, int rank, const ptrdiff_t *shape, void *out, const ptrdiff_t *out_strides, const void *x,
    const ptrdiff_t *x_strides) {
  copy_job job = {.out = out, .x = x, .size = size};
  apus_walk *w = &job.walk;
  const ptrdiff_t *const strides[WALK_OPERANDS] = {out_strides, x_strides};
  const uint8_t sizes[WALK_OPERANDS] = {(uint8_t)size, (uint8_t)size};
  apus_walk_init(w, rank, shape, 2, strides, sizes);
  if (w->count <= 0) return;
  const int last = w->rank - 1;
  const ptrdiff_t bytes = w->count * size;
  if (w->stride[0][last] == size && w->stride[1][last] == size) {
    if (w->rank == 1) {
      apus_parallel_for(w->count, bytes < 4 * 32768 ? w->count : 1 << 20, copy_dense, &job);
      return;
    }
    const ptrdiff_t width = w->shape[last] * size;
    if (width >= 64) {
      const ptrdiff_t rows = w->count / w->shape[last];
      const ptrdiff_t grain = 65536 / width < 1 ? 1 : 65536 / width;
      apus_parallel_for(rows, bytes < 4 * 32768 ? rows : grain, copy_rows, &job);
      return;
    }
  }
  int row_axis = -1;
  for (int axis = 0; axis < w->rank; axis++)
    if (w->stride[1][axis] == size && w->shape[axis] >= 4) row_axis = axis;
  if (w->stride[0][last] == size && row_axis >= 0 && row_axis != last && w->shape[last] >= 4) {
    job.row_axis = row_axis;
    job.column_axis = last;
    job.outer = *w;
    job.outer.count = 1;
    int used = 0;
    for (int axis = 0; axis < w->rank; axis++) {
      if (axis == row_axis || axis == last) continue;
      job.outer.shape[used] = w->shape[axis];
      job.outer.stride[0][used] = w->stride[0][axis];
      job.outer.stride[1][used] = w->stride[1][axis];
      job.outer.count *= w->shape[axis];
      used++;
    }
    job.outer_rank = used;
    job.row_tiles = (w->shape[row_axis] + TILE - 1) / TILE;
    const ptrdiff_t tasks = job.outer.count * job.row_tiles;
    const ptrdiff_t each = TILE * w->shape[last];
    const ptrdiff_t grain = APUS_GRAIN / each < 1 ? 1 : APUS_GRAIN / each;
    apus_parallel_for(tasks, w->count < 2 * APUS_GRAIN ? tasks : grain, copy_tiles, &job);
    return;
  }
  const apus_operation move = APUS_MOVE + (size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3);
  apus_elementwise(
      move, (apus_parameters){0}, rank, shape, out, out_strides, x, x_strides, NULL, NULL, NULL, NULL);
}
