// Products of a recurrent layer on CPU kinds: rows of states or gradients times a weight that is packed in
// panels, which a tile reads from start to end.
//
//              VECTORS x WIDTH columns               forward: vector g holds gate g of the same units
//             +----+----+----+----+                  backward: neighbouring units
//       depth | panel             |
//             +----+----+----+----+
//   +-------+ +----+----+----+----+                  rows are read where they lie
//   | rows  | | tile in registers |
//   +-------+ +----+----+----+----+

#if !APUS_GPU

// Lanes of a vector register, rows of a tile at most, vectors of a panel at most, rows of a slice at
// most. A block has 16 units; where registers are shorter its panel comes in two halves.
#if APUS_VECTOR_WIDTH >= 16
#define WIDTH 16
typedef float16 W;
#define LOAD_W(p) vload16(0, p)
#define STORE_W(v, p) vstore16(v, 0, p)
#define TALL 6
#else
#define WIDTH 8
typedef float8 W;
#define LOAD_W(p) vload8(0, p)
#define STORE_W(v, p) vstore8(v, 0, p)
#define TALL 3
#endif
#define HALVES (16 / WIDTH)
#define SLICE 48

// Units that a panel stands for, and floats of a panel.
inline int panel_units(const Recurrent *r, int backward) { return backward || r->cell < LSTM ? 64 : 16; }
inline int panel_size(const Recurrent *r, int backward) {
  return (backward ? r->gates : 1) * r->width * r->vectors * 16;
}

// A panel `[part][depth][vectors][WIDTH]` of W. Forward, vector v is gate v where there are several, and a
// line along the depth is a row of W; else vector v holds units `16 v ...`. Backward a line is a column.
inline void pack_panel(
    const Recurrent *r, int backward, int panel, global const float *weight, global float *packed) {
  const int vectors = r->vectors, units = panel_units(r, backward), by_gates = units == 16;
  const int depth = backward ? r->gates * r->width : r->width;
  const int line_step = backward ? 1 : r->width, depth_step = backward ? r->width : 1;
  for (int part = 0; part < HALVES; ++part) {
    global float *to = packed + part * depth * vectors * WIDTH;
    for (int v = 0; v < vectors; ++v) {
      const int first = panel * units + (by_gates ? 0 : 16 * v) + part * WIDTH;
      const int count = clamp(r->width - first, 0, WIDTH);
      global const float *from =
          weight + r->weight_at + (first + (by_gates ? v * r->width : 0)) * line_step;
      int k = 0;
      if (depth_step == 1 && count > 0)
        for (; k + WIDTH <= depth; k += WIDTH) {
          // A block of WIDTH x WIDTH: each stage moves one bit of the lane number into the row number.
          W x[WIDTH];
#pragma unroll
          for (int i = 0; i < WIDTH; ++i) x[i] = LOAD_W(from + min(i, count - 1) * line_step + k);
#pragma unroll
          for (int bit = 1; bit < WIDTH; bit *= 2) {
#pragma unroll
            for (int i = 0; i < WIDTH; ++i)
              if (!(i & bit)) {
                const W even = (W)(x[i].even, x[i | bit].even);
                const W odd = (W)(x[i].odd, x[i | bit].odd);
                x[i] = even;
                x[i | bit] = odd;
              }
          }
#pragma unroll
          for (int i = 0; i < WIDTH; ++i) STORE_W(x[i], to + ((k + i) * vectors + v) * WIDTH);
        }
      for (; k < depth; ++k) {
        global float *line = to + (k * vectors + v) * WIDTH;
        if (line_step == 1 && count == WIDTH)
          STORE_W(LOAD_W(from + k * depth_step), line);
        else
          for (int i = 0; i < WIDTH; ++i)
            line[i] = i < count ? from[i * line_step + k * depth_step] : 0.0f;
      }
    }
  }
}

// `sums[row][vector][16] += x[row] * panel`, into one half of the 16 lanes.
#define DEFINE_TILE(ROWS, VECTORS)                                                                \
  SEPARATE void tile_##ROWS##_##VECTORS(                                                          \
      global const float *const *x, global const float *panel, int depth, float *sums) {          \
    W a[ROWS][VECTORS];                                                                           \
    global const float *row[ROWS];                                                                \
    _Pragma("unroll") for (int i = 0; i < ROWS; ++i) {                                            \
      row[i] = x[i];                                                                              \
      _Pragma("unroll") for (int v = 0; v < VECTORS; ++v) a[i][v] = LOAD_W(sums + (i * VECTORS + v) * 16); \
    }                                                                                             \
    for (long k = 0; k < depth; ++k) {                                                            \
      W u[VECTORS];                                                                               \
      _Pragma("unroll") for (int v = 0; v < VECTORS; ++v)                                         \
        u[v] = *(global const W *)(panel + (k * VECTORS + v) * WIDTH);                            \
      _Pragma("unroll") for (int i = 0; i < ROWS; ++i) {                                          \
        const W value = (W)(row[i][k]);                                                           \
        _Pragma("unroll") for (int v = 0; v < VECTORS; ++v) a[i][v] = fma(value, u[v], a[i][v]);  \
      }                                                                                           \
    }                                                                                             \
    _Pragma("unroll") for (int i = 0; i < ROWS; ++i)                                              \
      _Pragma("unroll") for (int v = 0; v < VECTORS; ++v)                                         \
        STORE_W(a[i][v], sums + (i * VECTORS + v) * 16);                                          \
  }
#define DEFINE_TILES(ROWS) DEFINE_TILE(ROWS, 3) DEFINE_TILE(ROWS, 4)
DEFINE_TILES(1)
DEFINE_TILES(2)
#if TALL == 6
DEFINE_TILES(4)
DEFINE_TILES(6)
#else
DEFINE_TILES(3)
#endif

// Rows of the next tile when `left` rows are left.
inline int tile_rows(int left) {
#if TALL == 6
  return left >= 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
#else
  return left >= 3 ? 3 : left;
#endif
}

// Both halves of a panel. `sums` holds what to begin with.
inline void multiply_tile(
    int rows, int vectors, global const float *const *x, global const float *panel, int depth,
    float *sums) {
#define TILE_CASE(ROWS)                                          \
  if (rows == ROWS) {                                            \
    if (vectors == 3)                                            \
      tile_##ROWS##_3(x, at, depth, sums + part * WIDTH);        \
    else                                                         \
      tile_##ROWS##_4(x, at, depth, sums + part * WIDTH);        \
  }
  for (int part = 0; part < HALVES; ++part) {
    global const float *at = panel + part * depth * vectors * WIDTH;
    TILE_CASE(1)
    TILE_CASE(2)
#if TALL == 6
    TILE_CASE(4)
    TILE_CASE(6)
#else
    TILE_CASE(3)
#endif
  }
}
#endif
