// Loops and threads of the CPU backend, in C because the instruction set is chosen at run time: every
// loop is compiled for the baseline of the architecture and, on x86-64, for AVX2 with FMA and for
// AVX-512 too.
//
// Strides are in elements unless a name says otherwise. Functions that may run on several threads cut
// their work at places that depend on its size alone, so results do not vary from run to run, nor with
// the number of threads.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "CVectorFunctions.h"
#include "CVectorImages.h"

// MARK: Instruction set (level.c)

/// 0 baseline (SSE2 or NEON), 1 AVX2 with FMA, 2 AVX-512.
int apus_level(void);
/// The best level of this machine.
int apus_best_level(void);
/// For tests: selects a level no better than the best; returns the level in force.
int apus_force_level(int level);

// MARK: Threads (pool.c)

typedef void (*apus_body)(void *_Nullable context, ptrdiff_t begin, ptrdiff_t end);

/// Calls `body` for `[0, count)` in pieces of `grain`, on all threads; returns when all are done. A call
/// from within a body, or while another thread has the pool, runs on the calling thread.
void apus_parallel_for(
    ptrdiff_t count, ptrdiff_t grain, apus_body _Nonnull body, void *_Nullable context);
/// The number of threads, the calling one included: the available cores, or `APUS_NUM_THREADS`.
int apus_thread_count(void);
/// The number of threads before any limit.
int apus_pool_size(void);
/// For tests and measurements: limits the threads used; 0 restores all.
void apus_limit_threads(int threads);

// MARK: Memory (memory.c)

typedef struct apus_memory apus_memory;

typedef struct {
  ptrdiff_t allocations, pool_hits, bytes_in_use, peak_bytes_in_use, bytes_cached, returns;
} apus_memory_counters;

/// A pool whose blocks, handed out and kept for reuse, are no more than `limit` bytes together.
apus_memory *_Nullable apus_memory_create(ptrdiff_t limit);
void apus_memory_destroy(apus_memory *_Nonnull memory);
/// Sets another limit, and returns what is kept to the system if both together are more.
void apus_memory_set_limit(apus_memory *_Nonnull memory, ptrdiff_t limit);
/// At least `bytes` bytes aligned to 128, or NULL.
void *_Nullable apus_memory_take(apus_memory *_Nonnull memory, ptrdiff_t bytes);
void apus_memory_give(apus_memory *_Nonnull memory, void *_Nonnull block, ptrdiff_t bytes);
apus_memory_counters apus_memory_read(apus_memory *_Nonnull memory);

// MARK: Element-wise functions (elementwise.c)

enum { APUS_MAX_RANK = 8 };

/// `out = f(a, b, c)` over strided views of one shape; unused operands are NULL. `rank` is at most 8.
void apus_elementwise(
    apus_operation operation, apus_parameters parameters, int rank,
    const ptrdiff_t *_Nonnull shape, void *_Nonnull out, const ptrdiff_t *_Nonnull out_strides,
    const void *_Nullable a, const ptrdiff_t *_Nullable a_strides, const void *_Nullable b,
    const ptrdiff_t *_Nullable b_strides, const void *_Nullable c,
    const ptrdiff_t *_Nullable c_strides);

// MARK: Chains of element-wise functions (chain.c)

enum { APUS_CHAIN_STEPS = 16, APUS_CHAIN_SPLATS = 8 };

/// An operand of a step: the result of an earlier step where `step` is not negative, else the floats at
/// `memory` or, where that is NULL, `value` for every element.
typedef struct {
  int step;
  float value;
  const float *_Nullable memory;
} apus_chain_operand;

/// `f(a, b, c)` on dense floats; `operands` says how many there are.
typedef struct {
  apus_operation operation;
  apus_parameters parameters;
  int operands;
  apus_chain_operand a, b, c;
  /// Where the result goes, NULL if nobody wants it but the steps that follow.
  float *_Nullable target;
} apus_chain_step;

/// Runs `count` steps, at most APUS_CHAIN_STEPS with APUS_CHAIN_SPLATS distinct repeated values, on `n`
/// elements. The bits are those of the steps run one by one.
void apus_chain(const apus_chain_step *_Nonnull steps, int count, ptrdiff_t n);

/// Moves elements of `size` bytes between strided views, by tiles where axes are exchanged.
void apus_copy(
    int size, int rank, const ptrdiff_t *_Nonnull shape, void *_Nonnull out,
    const ptrdiff_t *_Nonnull out_strides, const void *_Nonnull x,
    const ptrdiff_t *_Nonnull x_strides);

/// `z = f(z + bias)` in place on `rows × columns`; the bias may be NULL. On the calling thread.
void apus_bias_activation(
    apus_operation activation, apus_parameters parameters, ptrdiff_t rows, ptrdiff_t columns,
    float *_Nonnull z, ptrdiff_t row_stride, const float *_Nullable bias);

/// `dz = dy · f′(y)` on `rows × columns` and, unless NULL, `dbias`, the sums of its columns.
void apus_activation_backward(
    apus_operation activation, apus_parameters parameters, ptrdiff_t rows, ptrdiff_t columns,
    const float *_Nonnull y, ptrdiff_t y_stride, const float *_Nonnull dy, ptrdiff_t dy_stride,
    float *_Nonnull dz, ptrdiff_t dz_stride, float *_Nullable dbias, float *_Nullable partials);
/// How many rows of `columns` floats `apus_activation_backward` wants as `partials`.
ptrdiff_t apus_activation_backward_parts(ptrdiff_t rows, ptrdiff_t columns);

// MARK: Matrix products (gemm.c)

/// `c[m, n] = f(a[m, k] · b[k, n] + bias[n])` with any strides of a and b and rows of c `step` apart;
/// no `f` when `activation` is negative. `k` is at least 1.
void apus_gemm(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *_Nonnull a, ptrdiff_t a_row,
    ptrdiff_t a_column, const float *_Nonnull b, ptrdiff_t b_row, ptrdiff_t b_column,
    float *_Nonnull c, ptrdiff_t step, int activation, apus_parameters parameters,
    const float *_Nullable bias, float *_Nonnull scratch);
/// Bytes of `scratch`, aligned to 128.
ptrdiff_t apus_gemm_scratch(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k);


// MARK: Recurrent layers (recurrent.c)

typedef enum { APUS_RNN_TANH, APUS_RNN_RELU, APUS_LSTM, APUS_GRU } apus_cell;

/// The operands of a pass, all contiguous; widths are those of the seam's `Recurrence`. `c` holds the
/// cell state and `dh`, `dc` the gradients of the states: what they are at the start on entry, at the
/// end on return. NULL where a cell has none; `saved` may be NULL in a forward pass.
typedef struct {
  const float *_Nullable h0, *_Nullable c0;
  float *_Nonnull y;
  float *_Nullable saved;
  const float *_Nullable gates;
  float *_Nullable hn, *_Nullable c;
  const float *_Nullable dy;
  float *_Nullable dh, *_Nullable dc, *_Nullable dgates;
  /// Of a GRU, whose candidate resets its product: the gradients of one step's product of each row, and
  /// those of the candidate's product in all steps, 0 beyond a row's length.
  float *_Nullable products, *_Nullable reset;
  /// The state before each step, 0 in steps beyond a row's length.
  float *_Nullable previous;
  /// The gradients of the recurrent product summed over the steps of each row, where wanted: their sum
  /// over rows is the gradient of the bias.
  float *_Nullable dbias_rows;
} apus_recurrence;

/// `y`, `hn`, `c` and `saved` from `gates`, `h0` and `c`. `lengths` may be NULL.
void apus_recurrence_forward(
    apus_cell cell, bool is_reversed, ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t width,
    const float *_Nonnull weight, const float *_Nullable bias, const int32_t *_Nullable lengths,
    const apus_recurrence *_Nonnull data, float *_Nonnull scratch);
/// `dgates`, `reset`, `previous`, `dh` and `dc`; the gradient of the weight is the product of `previous`
/// with `dgates`, in a GRU with `reset` for the candidate.
void apus_recurrence_backward(
    apus_cell cell, bool is_reversed, ptrdiff_t steps, ptrdiff_t rows, ptrdiff_t width,
    const float *_Nonnull weight, const int32_t *_Nullable lengths,
    const apus_recurrence *_Nonnull data, float *_Nonnull scratch);
/// Bytes of `scratch`, aligned to 128.
ptrdiff_t apus_recurrence_scratch(apus_cell cell, bool is_backward, ptrdiff_t width);

// MARK: Reductions (reduce.c)

typedef enum { APUS_SUM, APUS_MEAN, APUS_MAX, APUS_MIN } apus_reduction;

/// Reduces the axes whose bit is set in `axes`; `out_strides` of those axes are not read. Needs a
/// scratch of `apus_reduce_scratch` bytes.
void apus_reduce(
    apus_reduction operation, bool is_integer, int rank, const ptrdiff_t *_Nonnull shape,
    uint32_t axes, const void *_Nonnull x, const ptrdiff_t *_Nonnull x_strides, void *_Nonnull out,
    const ptrdiff_t *_Nonnull out_strides, void *_Nullable scratch);
ptrdiff_t apus_reduce_scratch(
    int rank, const ptrdiff_t *_Nonnull shape, uint32_t axes, const ptrdiff_t *_Nonnull x_strides);

/// Position of the first extreme of every row `[rows, columns]` with unit column stride.
void apus_arg_reduce(
    bool largest, bool is_integer, ptrdiff_t rows, ptrdiff_t columns, const void *_Nonnull x,
    ptrdiff_t row_stride, int32_t *_Nonnull out);

/// The sum of squares of several contiguous operands. `partials` holds one double for each begun
/// 65536 elements of each operand.
void apus_sum_of_squares(
    ptrdiff_t operands, const float *_Nonnull const *_Nonnull x, const ptrdiff_t *_Nonnull counts,
    double *_Nonnull partials, float *_Nonnull out);

// MARK: Rows (rows.c). Rows have unit column stride; the row strides are arguments.

void apus_softmax(
    bool logarithm, ptrdiff_t rows, ptrdiff_t columns, const float *_Nonnull x, ptrdiff_t x_stride,
    float *_Nonnull out, ptrdiff_t out_stride);
void apus_softmax_backward(
    bool logarithm, ptrdiff_t rows, ptrdiff_t columns, const float *_Nonnull y, ptrdiff_t y_stride,
    const float *_Nonnull dy, ptrdiff_t dy_stride, float *_Nonnull dx, ptrdiff_t dx_stride);
/// Contiguous operands. Returns the first row whose target is out of range, or −1.
ptrdiff_t apus_cross_entropy(
    float smoothing, int32_t ignored, ptrdiff_t rows, ptrdiff_t columns, const float *_Nonnull logits,
    const int32_t *_Nonnull targets, const float *_Nullable weights, float *_Nonnull losses,
    float *_Nonnull row_weights, float *_Nullable gradient);
void apus_layer_norm(
    float epsilon, ptrdiff_t rows, ptrdiff_t columns, const float *_Nonnull x,
    const float *_Nullable weight, const float *_Nullable bias, float *_Nonnull y,
    float *_Nonnull mean, float *_Nonnull rstd);
/// `partials`: `2 · columns` floats for each of `apus_layer_norm_parts`; NULL without gradients of
/// weight and bias.
void apus_layer_norm_backward(
    ptrdiff_t rows, ptrdiff_t columns, const float *_Nonnull x, const float *_Nonnull mean,
    const float *_Nonnull rstd, const float *_Nonnull dy, const float *_Nullable weight,
    float *_Nonnull dx, float *_Nullable dweight, float *_Nullable dbias, float *_Nullable partials);
ptrdiff_t apus_layer_norm_parts(ptrdiff_t rows);

// MARK: Optimizers (optimizer.c)

typedef enum { APUS_SGD, APUS_ADAM, APUS_RMSPROP, APUS_ADAGRAD } apus_rule;

/// Constants of a step; each rule reads its own.
typedef struct {
  apus_rule rule;
  float rate, decay;
  float momentum, dampening_complement;
  bool nesterov, is_first, decoupled, centered;
  float beta1, beta2, beta1_complement, beta2_complement, epsilon, step_size, root_correction;
} apus_step;

/// One parameter: inputs, then outputs, which may be the same memory.
typedef struct {
  ptrdiff_t count;
  const float *_Nonnull gradient;
  const float *_Nonnull parameter;
  const float *_Nullable state[3];
  float *_Nonnull new_parameter;
  float *_Nullable new_state[3];
} apus_slot;

void apus_optimizer_step(
    const apus_step *_Nonnull step, ptrdiff_t slots, const apus_slot *_Nonnull slot,
    const float *_Nullable gradient_scale);

// MARK: Random numbers (random.c), Philox4x32-10; element i takes lane i % 4 of block i / 4.

typedef enum { APUS_UNIFORM, APUS_NORMAL, APUS_BERNOULLI } apus_distribution;

void apus_random(
    apus_distribution distribution, float a, float b, uint64_t key, ptrdiff_t count,
    float *_Nonnull out);
void apus_dropout(
    float probability, uint64_t key, ptrdiff_t count, const float *_Nonnull x, float *_Nonnull out);

// MARK: Indices (index.c). Operands are contiguous `[outer, extent, inner]`, elements of `size` bytes.

/// The position of the first index outside `0..<extent`, or −1.
ptrdiff_t apus_first_outside(ptrdiff_t count, const int32_t *_Nonnull indices, ptrdiff_t extent);
void apus_take(
    int size, ptrdiff_t outer, ptrdiff_t extent, ptrdiff_t inner, ptrdiff_t count,
    const void *_Nonnull x, ptrdiff_t outer_stride, ptrdiff_t row_stride,
    const int32_t *_Nonnull indices, void *_Nonnull out);
/// `out[… indices[i] …] += source[… i …]`, in ascending `i`.
void apus_index_add(
    bool is_integer, ptrdiff_t outer, ptrdiff_t extent, ptrdiff_t inner, ptrdiff_t count,
    const int32_t *_Nonnull indices, const void *_Nonnull source, void *_Nonnull out);
/// The shape is that of the contiguous `indices` and `out`; strides are those of `x`.
void apus_gather(
    int size, int rank, const ptrdiff_t *_Nonnull shape, int axis, const void *_Nonnull x,
    const ptrdiff_t *_Nonnull x_strides, const int32_t *_Nonnull indices, void *_Nonnull out);
/// The shape is that of the contiguous `indices` and `source`; strides are those of `out`.
void apus_scatter_add(
    bool is_integer, int rank, const ptrdiff_t *_Nonnull shape, int axis,
    const int32_t *_Nonnull indices, const void *_Nonnull source, void *_Nonnull out,
    const ptrdiff_t *_Nonnull out_strides);

// MARK: Order along the last axis (sort.c): contiguous rows.

void apus_cumulative_sum(
    bool is_integer, ptrdiff_t outer, ptrdiff_t extent, ptrdiff_t inner, const void *_Nonnull x,
    void *_Nonnull out);
/// The first `kept` of each sorted row. `scratch`: `2 · columns` words for each of
/// `apus_sort_parts`.
void apus_sort(
    bool is_integer, bool descending, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t kept,
    const void *_Nonnull x, void *_Nonnull values, int32_t *_Nonnull indices,
    uint64_t *_Nonnull scratch);
ptrdiff_t apus_sort_parts(ptrdiff_t rows);
