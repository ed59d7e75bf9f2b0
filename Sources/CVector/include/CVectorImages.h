// Operations on images: convolutions, pooling and resizing, batch normalisation. See CVector.h.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "CVectorFunctions.h"

// MARK: Convolutions (convolution.c, winograd.c, convolution_weight.c, depthwise.c), on dense NHWC
// images and weights `[filters, channels / groups, kernel_height, kernel_width]`.

typedef struct {
  ptrdiff_t batch, channels, height, width;  // of the input
  ptrdiff_t filters, out_height, out_width;
  ptrdiff_t kernel_height, kernel_width, stride_height, stride_width;
  ptrdiff_t dilation_height, dilation_width, top, left, groups;
  /// Whether `x` is dense NCHW instead: turned as it is gathered, in the forward pass and the gradient
  /// of the weights. For data whose groups have few channels.
  bool is_planar;
  /// Gradient of the weights, not depthwise: whether `dy` is [batch, filters], one pixel for all of an
  /// image.
  bool repeats_dy;
} apus_convolution;

/// `out = f(x ∗ weight + bias + addend)`; no `f` when `activation` is negative. Nothing is empty.
void apus_convolve(
    const apus_convolution *_Nonnull c, const float *_Nonnull x, const float *_Nonnull weight,
    const float *_Nullable bias, const float *_Nullable addend, int activation,
    apus_parameters parameters, float *_Nonnull out, float *_Nonnull scratch);
void apus_convolve_input_gradient(
    const apus_convolution *_Nonnull c, const float *_Nonnull dy, const float *_Nonnull weight,
    float *_Nonnull dx, float *_Nonnull scratch);
void apus_convolve_weight_gradient(
    const apus_convolution *_Nonnull c, const float *_Nonnull x, const float *_Nonnull dy,
    float *_Nonnull dweight, float *_Nullable dbias, float *_Nonnull scratch);
/// Bytes of `scratch`, aligned to 128.
ptrdiff_t apus_convolve_scratch(const apus_convolution *_Nonnull c);
ptrdiff_t apus_convolve_input_scratch(const apus_convolution *_Nonnull c);
ptrdiff_t apus_convolve_weight_scratch(const apus_convolution *_Nonnull c);

// MARK: Depthwise convolution on planes (depthwise_planes.c)

/// The planes of `[N, C, H, W]`, wherever they lie; neighbours in a row are `column` elements apart: 1,
/// or 0 where one value is repeated.
typedef struct {
  const float *_Nonnull start;
  ptrdiff_t image, channel, row, column;
} apus_planes;

/// `apus_convolve` with a group for each channel, one filter each, and stride 1. `out` and `addend` are
/// dense NCHW, the weights `[channel][tap]`.
void apus_depthwise_planes(
    const apus_convolution *_Nonnull c, apus_planes x, const float *_Nonnull weight,
    const float *_Nullable bias, const float *_Nullable addend, int activation,
    apus_parameters parameters, float *_Nonnull out, float *_Nonnull scratch);
/// Those of its gradients that are asked for, in one pass; `dbias` comes with `dweight`, and `weight` is
/// read for `dx` alone. Rows of `x` are dense.
void apus_depthwise_planes_backward(
    const apus_convolution *_Nonnull c, apus_planes x, apus_planes dy, const float *_Nullable weight,
    float *_Nullable dx, float *_Nullable dweight, float *_Nullable dbias, float *_Nonnull scratch);
ptrdiff_t apus_depthwise_planes_scratch(const apus_convolution *_Nonnull c);

// MARK: Pooling and resizing (pooling.c), on dense NHWC images

typedef struct {
  ptrdiff_t batch, channels, height, width, out_height, out_width;
  ptrdiff_t kernel_height, kernel_width, stride_height, stride_width;
  ptrdiff_t dilation_height, dilation_width, top, left;
} apus_pooling;

/// An index is `h · width + w`; −1 where the window lies outside the image.
void apus_max_pool(
    const apus_pooling *_Nonnull shape, const float *_Nonnull x, float *_Nonnull out,
    int32_t *_Nullable indices);
void apus_max_pool_backward(
    const apus_pooling *_Nonnull shape, const float *_Nonnull dy, const int32_t *_Nonnull indices,
    float *_Nonnull dx);

/// What each output position of an axis reads: input positions from `first[o]` on, with the weights
/// `start[o] ..< start[o + 1]`.
typedef struct {
  ptrdiff_t outputs;
  const ptrdiff_t *_Nonnull first;
  const ptrdiff_t *_Nonnull start;
  const float *_Nonnull weights;
} apus_taps;

/// A weighted sum of pixels, separable in rows and columns: averages, interpolation, their adjoints.
void apus_resample(
    ptrdiff_t batch, ptrdiff_t in_height, ptrdiff_t in_width, ptrdiff_t channels,
    const apus_taps *_Nonnull rows, const apus_taps *_Nonnull columns, const float *_Nonnull x,
    float *_Nonnull out);

// MARK: Batch normalisation (batchnorm.c), on dense `[rows, channels]`

typedef struct {
  ptrdiff_t rows, channels;
  float epsilon, momentum;
  int activation;  // negative for none
  apus_parameters parameters;
} apus_norm;

/// The new statistics, if any, may be the memory of the running ones.
void apus_batch_norm(
    const apus_norm *_Nonnull norm, const float *_Nonnull x, const float *_Nullable weight,
    const float *_Nullable bias, const float *_Nullable running_mean,
    const float *_Nullable running_variance, const float *_Nullable addend, float *_Nonnull y,
    float *_Nonnull mean, float *_Nonnull rstd, float *_Nullable new_mean,
    float *_Nullable new_variance, double *_Nonnull scratch);
void apus_batch_norm_inference(
    const apus_norm *_Nonnull norm, const float *_Nonnull x, const float *_Nonnull mean,
    const float *_Nonnull variance, const float *_Nullable weight, const float *_Nullable bias,
    const float *_Nullable addend, float *_Nonnull y, double *_Nonnull scratch);
void apus_batch_norm_backward(
    const apus_norm *_Nonnull norm, const float *_Nonnull x, const float *_Nonnull y,
    const float *_Nonnull mean, const float *_Nonnull rstd, const float *_Nonnull dy,
    const float *_Nullable weight, float *_Nonnull dx, float *_Nullable dweight,
    float *_Nullable dbias, float *_Nullable daddend, double *_Nonnull scratch);
/// Bytes of `scratch`.
ptrdiff_t apus_norm_scratch(const apus_norm *_Nonnull norm);
