// What the files of the convolutions share.
#pragma once
#include "level.h"
#include "slots.h"

/// A correlation of `[batch, in_height, in_width, in_pixel]`, of which a group reads `depth` channels:
///
///     out[y][x][f] = Σ in[y · step_y + first_y + i · tap_y][x · step_x + first_x + j · tap_x][d] · w[i][j][d][f]
///
/// Outside of `in` there are zeros. A forward pass is one of these; a gradient of the input is one for
/// each residue of its coordinates modulo the stride.
typedef struct {
  ptrdiff_t batch, groups, depth, filters;  // depth and filters of one group
  const float *in;
  ptrdiff_t in_height, in_width;
  bool is_planar;               // `in` is [batch, in_pixel, in_height, in_width] instead
  ptrdiff_t height, width;  // of the output
  ptrdiff_t step_y, step_x, first_y, first_x, tap_y, tap_x, taps_y, taps_x;
  float *out;
  ptrdiff_t out_image, out_row, out_pixel;
  // Element of the weights: weight + group · w_group + i · w_y + j · w_x + d · w_depth + f · w_filter.
  const float *weight;
  ptrdiff_t w_group, w_y, w_x, w_depth, w_filter;
  const float *bias, *addend;  // the addend lies like the output
  int activation;              // negative for none
  apus_parameters parameters;
} apus_pass;

static inline ptrdiff_t apus_least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t apus_most(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
/// How many blocks of `width` cover `extent`.
static inline ptrdiff_t apus_blocks(ptrdiff_t extent, ptrdiff_t width) {
  return (extent + width - 1) / width;
}
/// Rounded up so that what follows begins on a cache line.
static inline ptrdiff_t apus_round(ptrdiff_t extent) { return (extent + 31) / 32 * 32; }

/// The shape of the rows that a block of output reads, gathered with their padding.
typedef struct {
  ptrdiff_t step_y, step_x;  // between the windows of neighbours, in gathered rows and columns
  ptrdiff_t columns, row;    // gathered columns, floats of a row
} apus_gathered;

apus_gathered apus_gathered_shape(const apus_pass *pass);
/// Gathered rows behind `rows` rows of output.
ptrdiff_t apus_gathered_rows(const apus_pass *pass, ptrdiff_t rows);
/// Gathers the rows behind output rows `first ..< first + rows` of an image, channels of one group.
void apus_gather_rows(
    const apus_pass *pass, ptrdiff_t image, ptrdiff_t group, ptrdiff_t first, ptrdiff_t rows,
    float *to);
/// The runs of the window in gathered rows.
apus_runs apus_window_runs(const apus_pass *pass, apus_gathered shape);

/// Packs the weights of a pass: `[group][filters / NR][taps][depth][NR]`, zeros beyond the filters.
void apus_pack_weights(const apus_pass *pass, float *to);
ptrdiff_t apus_packed_floats(const apus_pass *pass);

/// Runs a pass by the algorithm that suits it; the scratch in floats.
void apus_run_pass(const apus_pass *pass, float *scratch);
ptrdiff_t apus_pass_scratch(const apus_pass *pass);

/// Whether Winograd's algorithm fits a pass and is worth its transforms, and the pass done by it.
bool apus_suits_winograd(const apus_pass *pass);
void apus_run_winograd(const apus_pass *pass, float *scratch);
ptrdiff_t apus_winograd_scratch(const apus_pass *pass);
/// The gradient of the weights that belongs to a forward pass.
void apus_winograd_weight_gradient(
    const apus_pass *pass, const float *dy, float *dweight, float *dbias, float *scratch);
ptrdiff_t apus_winograd_weight_scratch(const apus_pass *pass);

/// Whether every channel is a group of its own, with one filter; and the pass done by loops over
/// channels.
bool apus_is_depthwise(const apus_pass *pass);
void apus_run_depthwise(const apus_pass *pass, float *scratch);
ptrdiff_t apus_depthwise_scratch(const apus_pass *pass);
void apus_depthwise_weight_gradient(
    const apus_pass *pass, const float *dy, float *dweight, float *dbias, float *scratch);
ptrdiff_t apus_depthwise_weight_scratch(const apus_pass *pass);

/// The forward pass of a convolution; pointers are left to the caller.
apus_pass apus_forward_pass(const apus_convolution *c);
