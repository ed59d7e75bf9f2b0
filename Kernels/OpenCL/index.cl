// Access through index tensors, and sorting. An index outside its axis is noted for the host and
// not followed. Sums run in ascending order by one work-item per line: no atomics on floats, so
// results repeat bit for bit.

#define TAKE 1
#define GATHER 2
#define SCATTER_ADD 3
#define INDEX_ADD 4

// Whether all lanes of a block follow one index and lie side by side, here and there.
#if APUS_GPU
#define ARE_ROWS(it) 0
#else
#define ARE_ROWS(it) \
  (STRIDE(it, 0, 0) == 1 && STRIDE(it, 1, 0) == 1 && STRIDE(it, 2, 0) == 0)
#endif

// Operands of the walk: 0 out, 1 x without its step along the axis, 2 indices.
#define DEFINE_GATHER(SIZE, T)                                                              \
  kernel void gather_##SIZE(                                                                \
      const Iteration it, global const T *x, global const int *indices, global T *out,      \
      int extent, int step, int operation, global int *faults) {                            \
    FOR_BLOCKS(it, 3)                                                                       \
      if (ARE_ROWS(it) && n == 16) {                                                        \
        const int i = indices[at[2]];                                                       \
        if ((uint)i < (uint)extent) {                                                       \
          vstore16(vload16(0, x + at[1] + i * step + column), 0, out + at[0] + column);     \
          continue;                                                                         \
        }                                                                                   \
      }                                                                                     \
      for (int k = column; k < column + n; ++k) {                                           \
        const int i = indices[at[2] + k * STRIDE(it, 2, 0)];                                \
        T v = 0;                                                                            \
        if ((uint)i < (uint)extent)                                                         \
          v = x[at[1] + k * STRIDE(it, 1, 0) + i * step];                                   \
        else                                                                                \
          note_fault(faults, operation, i, extent);                                         \
        out[at[0] + k * STRIDE(it, 0, 0)] = v;                                              \
      }                                                                                     \
    END_BLOCKS                                                                              \
  }
#if APUS_PART == 0
DEFINE_GATHER(4, uint)
#else
DEFINE_GATHER(1, uchar)
DEFINE_GATHER(2, ushort)
DEFINE_GATHER(8, ulong)
#endif

// Adds whole rows: a work-item keeps to its columns, and passes all rows of the source once.
#if APUS_GPU
#define SCATTER_ROWS(T)
#else
#define SCATTER_ROWS(T)                                                                     \
  if (ARE_ROWS(it)) {                                                                       \
    int begin = (int)get_global_id(0) * it.chunk;                                           \
    const int end = min(begin + it.chunk, it.count);                                        \
    while (begin < end) {                                                                   \
      int at[3];                                                                            \
      const int row = begin / it.shape[0], first = begin - row * it.shape[0];               \
      const int stop = min(it.shape[0], first + end - begin);                               \
      begin += stop - first;                                                                \
      locate(&it, 3, row, at);                                                              \
      for (int j = 0; j < length; ++j) {                                                    \
        const int i = indices[at[2] + j * step_index];                                      \
        if ((uint)i >= (uint)extent) {                                                      \
          note_fault(faults, operation, i, extent);                                         \
          continue;                                                                         \
        }                                                                                   \
        const int to = at[0] + i * step_out, from = at[1] + j * step_source;                \
        for (int column = first; column < stop; column += LANES) {                          \
          const int n = min(LANES, stop - column);                                          \
          store_##T(                                                                        \
              load_##T(out, to, 1, column, n) + load_##T(source, from, 1, column, n), out,  \
              to, 1, column, n);                                                            \
        }                                                                                   \
      }                                                                                     \
    }                                                                                       \
    return;                                                                                 \
  }
#endif

// The walk is over all lines along the axis: 0 out, 1 source, 2 indices. Lanes share a line's
// indices when these do not vary along the innermost axis, else every lane follows its own.
#define DEFINE_SCATTER(T)                                                                   \
  kernel void scatter_add_##T(                                                              \
      const Iteration it, global const T *source, global const int *indices, global T *out, \
      int length, int extent, int step_out, int step_source, int step_index, int operation, \
      global int *faults) {                                                                 \
    SCATTER_ROWS(T)                                                                         \
    FOR_BLOCKS(it, 3)                                                                       \
      for (int j = 0; j < length; ++j) {                                                    \
        const int q = at[2] + j * step_index;                                               \
        if (STRIDE(it, 2, 0) == 0) {                                                        \
          const int i = indices[q];                                                         \
          if ((uint)i < (uint)extent) {                                                     \
            const int to = at[0] + i * step_out, from = at[1] + j * step_source;            \
            store_##T(                                                                      \
                load_##T(out, to, STRIDE(it, 0, 0), column, n)                              \
                    + load_##T(source, from, STRIDE(it, 1, 0), column, n),                  \
                out, to, STRIDE(it, 0, 0), column, n);                                      \
          } else {                                                                          \
            note_fault(faults, operation, i, extent);                                       \
          }                                                                                 \
        } else {                                                                            \
          for (int k = column; k < column + n; ++k) {                                       \
            const int i = indices[q + k * STRIDE(it, 2, 0)];                                \
            if ((uint)i < (uint)extent)                                                     \
              out[at[0] + k * STRIDE(it, 0, 0) + i * step_out] +=                           \
                  source[at[1] + k * STRIDE(it, 1, 0) + j * step_source];                   \
            else                                                                            \
              note_fault(faults, operation, i, extent);                                     \
          }                                                                                 \
        }                                                                                   \
      }                                                                                     \
    END_BLOCKS                                                                              \
  }
#if APUS_PART == 1
DEFINE_SCATTER(float)
DEFINE_SCATTER(int)
#endif

// Keys that compare as integers in the order of the floats, NaN above all.
inline int key_float(float v) {
  if (isnan(v)) return INT_MAX;
  const int bits = as_int(v == 0.0f ? 0.0f : v);
  return bits >= 0 ? bits : (int)(0x80000000u - (uint)bits);
}
inline int key_int(int v) { return v; }

// Stable bottom-up merge sort of line positions; `scratch` holds two arrays of `extent` positions per
// line. Writes the first `take` values and positions.
#define DEFINE_SORT(T)                                                                      \
  kernel void sort_##T(                                                                     \
      const Iteration it, global const T *x, global T *values, global int *positions,       \
      global int *scratch, int extent, int take, int step_x, int step_values,               \
      int step_positions, int descending) {                                                 \
    FOR_LINES(it, 3)                                                                        \
      global int *a = scratch + (long)line * 2 * extent, *b = a + extent;                   \
      for (int i = 0; i < extent; ++i) a[i] = i;                                            \
      for (int width = 1; width < extent; width *= 2) {                                     \
        for (int begin = 0; begin < extent; begin += 2 * width) {                           \
          int i = begin, j = min(begin + width, extent);                                    \
          const int middle = j, end = min(begin + 2 * width, extent);                       \
          for (int k = begin; k < end; ++k) {                                               \
            bool right = i >= middle;                                                       \
            if (!right && j < end) {                                                        \
              const int p = key_##T(x[at[2] + a[i] * step_x]);                              \
              const int q = key_##T(x[at[2] + a[j] * step_x]);                              \
              right = descending ? q > p : q < p;                                           \
            }                                                                               \
            b[k] = right ? a[j++] : a[i++];                                                 \
          }                                                                                 \
        }                                                                                   \
        global int *other = a;                                                              \
        a = b;                                                                              \
        b = other;                                                                          \
      }                                                                                     \
      for (int i = 0; i < take; ++i) {                                                      \
        values[at[0] + i * step_values] = x[at[2] + a[i] * step_x];                         \
        positions[at[1] + i * step_positions] = a[i];                                       \
      }                                                                                     \
    END_LINES                                                                               \
  }
#if APUS_PART == 1
DEFINE_SORT(float)
DEFINE_SORT(int)
#endif
