// Copies for CPU kinds that exchange the dense axis: out[b * out_b + a] = x[a * in_a + b], for each
// matrix of a batch. Images turn from NCHW to NHWC and back this way.
//
//            b, dense in x                a work-item takes 16 rows and a chunk of columns; it loads
//        +----+----+----+----+            a square of 16 x 16 by rows, exchanges bits of row and
//   a 16 | sq | sq |    |    |  chunk     column numbers stage by stage in registers, and stores
//        +----+----+----+----+            16 rows of `out`, each dense along a
//
// Elements are moved as bits. Squares that hang over an edge load the last row again and store what
// there is. Source of the stages: Eklundh, "A Fast Computer Method for Matrix Transposing" (1972).

typedef struct {
  int rows, columns;        // extents of a and b
  int in_row, out_column;   // steps of a in x and of b in out
  int in_batch, out_batch, in_offset, out_offset;
  int chunk;                // columns of a work-item, a multiple of 16
} Transposition;

typedef struct __attribute__((packed)) { int16 value; } Unaligned;

kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE void transpose_4(
    const Transposition t, global const int *restrict x, global int *restrict out) {
  const int row = (int)get_global_id(1) * 16, rows = min(16, t.rows - row);
  const int batch = get_global_id(2);
  int column = (int)get_global_id(0) * t.chunk;
  const int last = min(column + t.chunk, t.columns);
  x += t.in_offset + batch * t.in_batch + row * t.in_row;
  out += t.out_offset + batch * t.out_batch + row;
  for (; column + 16 <= last; column += 16) {
    int16 square[16];
#pragma unroll
    for (int i = 0; i < 16; ++i)
      square[i] = ((global const Unaligned *)(x + min(i, rows - 1) * t.in_row + column))->value;
#pragma unroll
    for (int bit = 1; bit < 16; bit *= 2) {
#pragma unroll
      for (int i = 0; i < 16; ++i)
        if (!(i & bit)) {
          const int16 even = (int16)(square[i].even, square[i | bit].even);
          const int16 odd = (int16)(square[i].odd, square[i | bit].odd);
          square[i] = even;
          square[i | bit] = odd;
        }
    }
    global int *to = out + column * t.out_column;
    if (rows == 16) {
#pragma unroll
      for (int i = 0; i < 16; ++i) ((global Unaligned *)(to + i * t.out_column))->value = square[i];
    } else {
      int lanes[16 * 16];
#pragma unroll
      for (int i = 0; i < 16; ++i) vstore16(square[i], i, lanes);
      for (int i = 0; i < 16; ++i)
        for (int k = 0; k < rows; ++k) to[i * t.out_column + k] = lanes[16 * i + k];
    }
  }
  for (; column < last; ++column)
    for (int k = 0; k < rows; ++k) out[column * t.out_column + k] = x[k * t.in_row + column];
}
