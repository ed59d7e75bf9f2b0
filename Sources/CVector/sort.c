// Cumulative sums, sorting and top-k. A value and its position make one 64-bit word whose order is the
// stable order wanted, so any sorting method is stable: insertion for short rows, radix for long ones.
#include "level.h"

#include <string.h>

// MARK: Cumulative sum

typedef struct {
  bool is_integer;
  ptrdiff_t extent, inner;
  const void *x;
  void *out;
} sum_job;

/// Tasks: lines along the axis.
static void sum_lines(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const sum_job *job = context;
  for (ptrdiff_t line = begin; line < end; line++) {
    const ptrdiff_t start = line / job->inner * job->extent * job->inner + line % job->inner;
    if (job->is_integer) {
      uint32_t total = 0;
      for (ptrdiff_t i = 0; i < job->extent; i++)
        ((uint32_t *)job->out)[start + i * job->inner] = total +=
            ((const uint32_t *)job->x)[start + i * job->inner];
    } else {
      double total = 0;
      for (ptrdiff_t i = 0; i < job->extent; i++)
        ((float *)job->out)[start + i * job->inner] =
            (float)(total += ((const float *)job->x)[start + i * job->inner]);
    }
  }
}

void apus_cumulative_sum(
    bool is_integer, ptrdiff_t outer, ptrdiff_t extent, ptrdiff_t inner, const void *x, void *out) {
  sum_job job = {.is_integer = is_integer, .extent = extent, .inner = inner, .x = x, .out = out};
  const ptrdiff_t lines = outer * inner;
  if (lines == 0 || extent == 0) return;
  const ptrdiff_t grain = APUS_GRAIN / extent < 16 ? 16 : APUS_GRAIN / extent;
  apus_parallel_for(lines, lines * extent < APUS_GRAIN ? lines : grain, sum_lines, &job);
}

// MARK: Sorting

typedef struct {
  bool is_integer, descending;
  ptrdiff_t rows, columns, kept, parts;
  const char *x;
  char *values;
  int32_t *indices;
  uint64_t *scratch;
} sort_job;

/// Unsigned words in the order of the values: NaN last, −0 and 0 equal.
static inline uint32_t ordered(const sort_job *job, uint32_t bits) {
  uint32_t key;
  if (job->is_integer) {
    key = bits ^ 0x80000000u;
  } else {
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
      key = UINT32_MAX;
    else if (bits == 0x80000000u)
      key = 0x80000000u;
    else
      key = bits >> 31 ? ~bits : bits | 0x80000000u;
  }
  return job->descending ? ~key : key;
}

static void insertion_sort(uint64_t *words, ptrdiff_t n) {
  for (ptrdiff_t i = 1; i < n; i++) {
    const uint64_t word = words[i];
    ptrdiff_t at = i;
    for (; at > 0 && words[at - 1] > word; at--) words[at] = words[at - 1];
    words[at] = word;
  }
}

/// By bytes of the upper half, from the lowest; the positions below are in order already. Returns where
/// the result lies.
static uint64_t *radix_sort(uint64_t *words, uint64_t *other, ptrdiff_t n) {
  ptrdiff_t counts[4][256];
  memset(counts, 0, sizeof counts);
  for (ptrdiff_t i = 0; i < n; i++)
    for (int digit = 0; digit < 4; digit++) counts[digit][(words[i] >> (32 + 8 * digit)) & 255]++;
  for (int digit = 0; digit < 4; digit++) {
    ptrdiff_t *count = counts[digit];
    const int shift = 32 + 8 * digit;
    if (count[(words[0] >> shift) & 255] == n) continue;
    ptrdiff_t total = 0;
    for (int value = 0; value < 256; value++) {
      const ptrdiff_t here = count[value];
      count[value] = total;
      total += here;
    }
    for (ptrdiff_t i = 0; i < n; i++) other[count[(words[i] >> shift) & 255]++] = words[i];
    uint64_t *swap = words;
    words = other;
    other = swap;
  }
  return words;
}

/// The `kept` smallest words, in order, at the front: a sorted list whose last entry is the threshold.
static void select_smallest(uint64_t *words, ptrdiff_t n, ptrdiff_t kept) {
  insertion_sort(words, kept);
  for (ptrdiff_t i = kept; i < n; i++) {
    const uint64_t word = words[i];
    if (word > words[kept - 1]) continue;
    ptrdiff_t at = kept - 1;
    for (; at > 0 && words[at - 1] > word; at--) words[at] = words[at - 1];
    words[at] = word;
  }
}

/// Tasks: parts of the rows, each with a scratch of its own.
static void sort_parts(void *context, ptrdiff_t begin, ptrdiff_t end) {
  const sort_job *job = context;
  const ptrdiff_t n = job->columns;
  for (ptrdiff_t part = begin; part < end; part++) {
    uint64_t *words = job->scratch + part * 2 * n;
    const ptrdiff_t last = job->rows * (part + 1) / job->parts;
    for (ptrdiff_t row = job->rows * part / job->parts; row < last; row++) {
      const uint32_t *x = (const uint32_t *)job->x + row * n;
      for (ptrdiff_t i = 0; i < n; i++)
        words[i] = (uint64_t)ordered(job, x[i]) << 32 | (uint64_t)(uint32_t)i;
      uint64_t *sorted = words;
      if (n <= 64)
        insertion_sort(words, n);
      else if (job->kept <= 32)
        select_smallest(words, n, job->kept);
      else
        sorted = radix_sort(words, words + n, n);
      for (ptrdiff_t i = 0; i < job->kept; i++) {
        const uint32_t at = (uint32_t)sorted[i];
        ((uint32_t *)job->values)[row * job->kept + i] = x[at];
        job->indices[row * job->kept + i] = (int32_t)at;
      }
    }
  }
}

ptrdiff_t apus_sort_parts(ptrdiff_t rows) { return rows < 16 ? rows : 16; }

void apus_sort(
    bool is_integer, bool descending, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t kept, const void *x,
    void *values, int32_t *indices, uint64_t *scratch) {
  if (rows == 0 || columns == 0 || kept == 0) return;
  sort_job job = {
      .is_integer = is_integer, .descending = descending, .rows = rows, .columns = columns,
      .kept = kept, .parts = apus_sort_parts(rows), .x = x, .values = values, .indices = indices,
      .scratch = scratch};
  apus_parallel_for(job.parts, rows * columns < 4096 ? job.parts : 1, sort_parts, &job);
}
