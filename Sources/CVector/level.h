// What the files of one level share, and the table through which the others call them.
#pragma once
#include "CVector.h"

/// `out = f(a, b, c)` on contiguous blocks.
typedef void (*apus_block)(
    void *out, const void *a, const void *b, const void *c, ptrdiff_t n, const apus_parameters *p);

typedef struct {
  apus_block block;
  /// Bytes of an element of out, a, b, c; 0 where there is none.
  uint8_t size[4];
} apus_kernel;

/// The window of an output pixel in memory: `rows × columns` runs of `length` floats, and how many
/// floats later the window of the next pixel lies.
typedef struct {
  ptrdiff_t rows, columns, row, column, length, pixel;
} apus_runs;

/// What happens to a tile of outputs before it is stored; the pointers are those of its first filter.
typedef struct {
  const float *bias, *addend;
  bool relu;
} apus_ending;

/// Pixels to sum over: dense in `dy`, at these steps in the input.
typedef struct {
  ptrdiff_t images, rows, columns, image, row, pixel;
} apus_pixels;

/// A plane of an image with dense rows, and a row of as many zeros and a vector.
typedef struct {
  const float *start, *zeros;
  ptrdiff_t row, height, width;
} apus_plane;
/// The taps of a window with stride 1: output (y, x) meets the input at
/// `(y + first_y + i · row, x + first_x + j · column)`.
typedef struct {
  ptrdiff_t rows, columns, row, column, first_y, first_x;
} apus_window;

/// Where the vectors of one row lie in one step of a recurrent layer.
typedef struct {
  const float *gates, *before;
  float *c, *y, *saved;
  /// Whether `saved` is more than the caches keep until it is read.
  bool streams;
} apus_recurrent_row;
typedef struct {
  const float *y, *saved, *before, *c_before, *dy;
  float *dh, *dc, *dgates, *products, *reset, *previous, *dbias;
} apus_recurrent_gradient_row;

/// An operand of an instruction: floats in memory, or a local of the interpreter, numbered from 1 on: first
/// APUS_CHAIN_SPLATS repeated values, then results of steps.
typedef struct {
  const float *memory;
  int local;
} apus_chain_place;
/// What an instruction of a chain does with the value in registers; other codes are those of functions.
enum {
  APUS_CHAIN_LOAD = APUS_OPERATION_COUNT, APUS_CHAIN_STORE, APUS_CHAIN_STREAM,
  APUS_CHAIN_SUBTRACT_FROM, APUS_CHAIN_DIVIDE_FROM,
  // A function on operands elsewhere; with its result in registers or not.
  APUS_CHAIN_CALL, APUS_CHAIN_CALL_STORE,
  APUS_CHAIN_LOCALS = APUS_CHAIN_SPLATS + APUS_CHAIN_STEPS,
  // A load, a function and two stores for each step.
  APUS_CHAIN_INSTRUCTIONS = 4 * APUS_CHAIN_STEPS,
};
typedef struct {
  int code;
  apus_chain_place a, b, c, to;
  /// The function that a call calls.
  apus_block block;
  const apus_parameters *parameters;
} apus_chain_instruction;
typedef struct {
  int count, splats, sources;
  /// Whether operands are larger than the caches.
  bool streams;
  float splat[APUS_CHAIN_SPLATS];
  /// What is read from memory.
  const float *source[3 * APUS_CHAIN_STEPS];
  apus_chain_instruction instruction[APUS_CHAIN_INSTRUCTIONS];
} apus_chain_program;

/// The loops of one instruction set.
typedef struct {
  apus_kernel kernel[APUS_OPERATION_COUNT];
  /// `out = f(a + b)` for the functions of one operand.
  apus_block biased[APUS_IDENTITY + 1];
  /// Runs a chain on the elements `begin ..< end`: see loops/chain.h.
  void (*chain)(const apus_chain_program *program, ptrdiff_t begin, ptrdiff_t end);

  double (*sum)(const float *x, ptrdiff_t n);
  double (*sum_of_squares)(const float *x, ptrdiff_t n);
  float (*maximum)(const float *x, ptrdiff_t n);
  float (*minimum)(const float *x, ptrdiff_t n);
  /// `total += x` on n columns.
  void (*add_row)(float *total, const float *x, ptrdiff_t n);

  void (*softmax)(bool logarithm, const float *x, float *out, ptrdiff_t n, bool stream);
  void (*softmax_backward)(
      bool logarithm, const float *y, const float *dy, float *dx, ptrdiff_t n);
  /// The gradient row of a cross entropy; returns its loss. `weights` may be NULL.
  float (*cross_entropy)(
      float smoothing, const float *logits, int32_t target, const float *weights, ptrdiff_t n,
      float *gradient);
  void (*layer_norm)(
      float epsilon, const float *x, const float *weight, const float *bias, float *y, ptrdiff_t n,
      float *mean, float *rstd);
  void (*layer_norm_backward)(
      const float *x, float mean, float rstd, const float *dy, const float *weight, float *dx,
      float *dweight, float *dbias, ptrdiff_t n);

  void (*step)(
      const apus_step *step, const apus_slot *slot, ptrdiff_t begin, ptrdiff_t end, float scale);
  void (*random)(
      apus_distribution distribution, float a, float b, uint64_t key, uint64_t first_block,
      ptrdiff_t n, float *out);
  void (*dropout)(
      float probability, uint64_t key, uint64_t first_block, ptrdiff_t n, const float *x, float *out);
  // Matrix products: see loops/gemm.h. A panel has `tile_rows` rows of A or `tile_columns` of B.
  int tile_rows, tile_columns;
  void (*gemm_block)(
      ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t depth, const float *a, const float *b, float *c,
      ptrdiff_t step, bool adds);
  void (*pack_a)(
      ptrdiff_t lines, ptrdiff_t depth, const float *x, ptrdiff_t line_step, ptrdiff_t depth_step,
      float *to);
  void (*pack_b)(
      ptrdiff_t lines, ptrdiff_t depth, const float *x, ptrdiff_t line_step, ptrdiff_t depth_step,
      float *to);
  // Convolutions: see loops/convolution.h and loops/winograd.h.
  void (*convolve_row)(
      const apus_runs *runs, const float *x, ptrdiff_t pixels, const float *w,
      const apus_ending *ending, float *out, ptrdiff_t step, ptrdiff_t columns);
  void (*gradient_rows)(
      const apus_pixels *pixels, const float *x, ptrdiff_t lines, const float *dy, float *c,
      ptrdiff_t columns, bool adds);
  void (*winograd_input)(
      const float *const *pixels, ptrdiff_t channels, float *to, ptrdiff_t step);
  void (*winograd_output)(
      int m, const float *from, ptrdiff_t step, ptrdiff_t channels, const apus_ending *ending,
      float *out, ptrdiff_t row, ptrdiff_t pixel, ptrdiff_t rows, ptrdiff_t columns);
  void (*winograd_weight)(int r, const float *from, ptrdiff_t tap, float *to, ptrdiff_t step);
  void (*winograd_gradient)(
      int m, const float *const *pixels, ptrdiff_t channels, float *to, ptrdiff_t step, float *sum);
  void (*winograd_weight_gradient)(int r, const float *from, ptrdiff_t step, float *to);
  void (*depthwise_row)(
      const apus_runs *runs, const float *x, ptrdiff_t pixels, const float *w, ptrdiff_t channels,
      const apus_ending *ending, float *out, ptrdiff_t step);
  void (*depthwise_gradient)(
      const float *x, ptrdiff_t pixel, ptrdiff_t column, ptrdiff_t taps, ptrdiff_t pixels,
      const float *dy, ptrdiff_t channels, float *sums);
  // Depthwise on planes: see loops/planar.h.
  void (*planar_rows)(
      const apus_plane *in, const apus_window *taps, const float *w, const apus_ending *ending,
      float *out, ptrdiff_t rows, ptrdiff_t width);
  void (*planar_sums)(
      const apus_plane *in, const apus_window *taps, const float *dy, ptrdiff_t dy_row,
      ptrdiff_t rows, ptrdiff_t width, float *sums);
  // Pooling and batch normalisation: see loops/pooling.h and loops/batchnorm.h.
  void (*max_pixel)(
      const float *x, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t row, ptrdiff_t column, int32_t at,
      int32_t at_row, int32_t at_column, ptrdiff_t channels, float *out, int32_t *indices);
  void (*max_pixel_backward)(
      const float *dy, const int32_t *indices, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t row,
      ptrdiff_t column, int32_t at, ptrdiff_t channels, float *dx);
  void (*weighted_pixel)(
      const float *x, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t row, ptrdiff_t column,
      const float *y_weights, const float *x_weights, ptrdiff_t channels, float *out);
  void (*channel_moments)(
      const float *x, ptrdiff_t rows, ptrdiff_t channels, float *mean, float *squares);
  void (*channel_affine)(
      const float *x, ptrdiff_t rows, ptrdiff_t channels, const float *mean, const float *scale,
      const float *shift, const float *addend, bool relu, float *y);
  void (*channel_gradient_sums)(
      const float *x, const float *y, const float *dy, ptrdiff_t rows, ptrdiff_t channels,
      const float *mean, float *sums, float *products);
  void (*channel_gradient)(
      const float *x, const float *y, const float *dy, ptrdiff_t rows, ptrdiff_t channels,
      const float *mean, const float *scale, const float *mean_dz, const float *slope, float *dx,
      float *dz);
  /// A tile of VL × VL 4-byte elements, steps in bytes; see `tile_size`.
  void (*transpose)(char *out, ptrdiff_t to, const char *x, ptrdiff_t from);
  int transpose_size;

  // Recurrent layers: see loops/recurrent.h. A tile has at most `recurrent_rows` rows and 3 or 4
  // vectors of `transpose_size`.
  int recurrent_rows;
  void (*recurrent_product)(
      int rows, int vectors, ptrdiff_t depth, const float *const *x, const float *panel,
      const float *start, float *sums);
  void (*recurrent_pack)(
      int vectors, const ptrdiff_t *lanes, ptrdiff_t v_step, ptrdiff_t depth, const float *w,
      ptrdiff_t line, ptrdiff_t depth_step, float *panel);
  void (*recurrent_cells)(
      apus_cell cell, const apus_recurrent_row *rows, int count, ptrdiff_t width, ptrdiff_t unit,
      ptrdiff_t n, const float *sums);
  void (*recurrent_cell_backward)(
      apus_cell cell, const apus_recurrent_gradient_row *row, ptrdiff_t width, ptrdiff_t first,
      ptrdiff_t count);
} apus_loops;

extern const apus_loops apus_loops_baseline;
#if defined(__x86_64__)
extern const apus_loops apus_loops_avx2;
extern const apus_loops apus_loops_avx512;
#endif

/// A block of C that one thread computes, and the depth for which a panel of B stays in the first
/// cache. The rows are a multiple of every level's `tile_rows`, the columns of its `tile_columns`.
enum { APUS_BLOCK_ROWS = 384, APUS_BLOCK_COLUMNS = 128, APUS_BLOCK_DEPTH = 256 };

/// The loops in force.
const apus_loops *apus_loops_now(void);

/// Orders stores past the cache before what follows; after a task that may have made some.
static inline void apus_stream_fence(void) {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}

/// Work of fewer elements than this stays on the calling thread.
enum { APUS_GRAIN = 16384 };
