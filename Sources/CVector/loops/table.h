// The table of this level; entries follow `apus_operation`.
#define UNARY_ENTRY(NAME) {unary_##NAME, {4, 4}}
#define BACKWARD_ENTRY(NAME) {backward_##NAME, {4, 4, 4}}
#define BINARY_ENTRY(NAME) {NAME, {4, 4, 4}}
#define COMPARISON_ENTRIES(PREFIX, SIZE)                                       \
  {PREFIX##_equal, {1, SIZE, SIZE}}, {PREFIX##_not_equal, {1, SIZE, SIZE}},    \
      {PREFIX##_less, {1, SIZE, SIZE}}, {PREFIX##_less_or_equal, {1, SIZE, SIZE}}, \
      {PREFIX##_greater, {1, SIZE, SIZE}}, {PREFIX##_greater_or_equal, {1, SIZE, SIZE}}

const apus_loops LOOPS = {
    .kernel = {
        UNARY_ENTRY(negate), UNARY_ENTRY(abs), UNARY_ENTRY(sign), UNARY_ENTRY(square),
        UNARY_ENTRY(exp), UNARY_ENTRY(expm1), UNARY_ENTRY(log), UNARY_ENTRY(log1p),
        UNARY_ENTRY(sqrt), UNARY_ENTRY(rsqrt), UNARY_ENTRY(reciprocal), UNARY_ENTRY(sin),
        UNARY_ENTRY(cos), UNARY_ENTRY(tanh), UNARY_ENTRY(erf), UNARY_ENTRY(floor),
        UNARY_ENTRY(ceil), UNARY_ENTRY(round), UNARY_ENTRY(sigmoid), UNARY_ENTRY(relu),
        UNARY_ENTRY(silu), UNARY_ENTRY(leaky_relu), UNARY_ENTRY(elu), UNARY_ENTRY(gelu),
        UNARY_ENTRY(gelu_tanh), UNARY_ENTRY(softplus), UNARY_ENTRY(clamp), UNARY_ENTRY(identity),
        BACKWARD_ENTRY(negate), BACKWARD_ENTRY(abs), BACKWARD_ENTRY(sign),
        BACKWARD_ENTRY(square), BACKWARD_ENTRY(exp), BACKWARD_ENTRY(expm1), BACKWARD_ENTRY(log),
        BACKWARD_ENTRY(log1p), BACKWARD_ENTRY(sqrt), BACKWARD_ENTRY(rsqrt),
        BACKWARD_ENTRY(reciprocal), BACKWARD_ENTRY(sin), BACKWARD_ENTRY(cos),
        BACKWARD_ENTRY(tanh), BACKWARD_ENTRY(erf), BACKWARD_ENTRY(floor), BACKWARD_ENTRY(ceil),
        BACKWARD_ENTRY(round), BACKWARD_ENTRY(sigmoid), BACKWARD_ENTRY(relu),
        BACKWARD_ENTRY(silu), BACKWARD_ENTRY(leaky_relu), BACKWARD_ENTRY(elu),
        BACKWARD_ENTRY(gelu), BACKWARD_ENTRY(gelu_tanh), BACKWARD_ENTRY(softplus),
        BACKWARD_ENTRY(clamp), BACKWARD_ENTRY(identity),
        {logical_not, {1, 1}}, {is_nan, {1, 4}}, {is_finite, {1, 4}}, {is_nan_64, {1, 8}}, {is_finite_64, {1, 8}}, {int_negate, {4, 4}},
        {int_abs, {4, 4}}, {int_sign, {4, 4}}, {int_square, {4, 4}},
        BINARY_ENTRY(binary_add), BINARY_ENTRY(binary_subtract), BINARY_ENTRY(binary_multiply),
        BINARY_ENTRY(binary_divide), BINARY_ENTRY(binary_power), BINARY_ENTRY(binary_atan2),
        BINARY_ENTRY(binary_maximum), BINARY_ENTRY(binary_minimum),
        BINARY_ENTRY(binary_remainder),
        {logical_and, {1, 1, 1}}, {logical_or, {1, 1, 1}}, {logical_xor, {1, 1, 1}},
        BINARY_ENTRY(int_add), BINARY_ENTRY(int_subtract), BINARY_ENTRY(int_multiply),
        BINARY_ENTRY(int_maximum), BINARY_ENTRY(int_minimum),
        COMPARISON_ENTRIES(float, 4), COMPARISON_ENTRIES(int, 4), COMPARISON_ENTRIES(byte, 1),
        {select_1, {1, 1, 1, 1}}, {select_2, {2, 1, 2, 2}}, {select_4, {4, 1, 4, 4}},
        {select_8, {8, 1, 8, 8}},
        {ternary_multiply_add, {4, 4, 4, 4}}, {ternary_lerp, {4, 4, 4, 4}},
        {move_1, {1, 1}}, {move_2, {2, 2}}, {move_4, {4, 4}}, {move_8, {8, 8}},
        CAST_ROW(FLOAT, 4), CAST_ROW(DOUBLE, 8), CAST_ROW(HALF, 2), CAST_ROW(BFLOAT, 2),
        CAST_ROW(INT, 4), CAST_ROW(BYTE, 1), CAST_ROW(BYTE, 1),
    },
    .biased = {
        biased_negate, biased_abs, biased_sign, biased_square, biased_exp, biased_expm1,
        biased_log, biased_log1p, biased_sqrt, biased_rsqrt, biased_reciprocal, biased_sin,
        biased_cos, biased_tanh, biased_erf, biased_floor, biased_ceil, biased_round,
        biased_sigmoid, biased_relu, biased_silu, biased_leaky_relu, biased_elu, biased_gelu,
        biased_gelu_tanh, biased_softplus, biased_clamp, biased_identity,
    },
    .sum = row_sum,
    .sum_of_squares = row_sum_of_squares,
    .maximum = row_maximum,
    .minimum = row_minimum,
    .add_row = add_row,
    .softmax = softmax_row,
    .softmax_backward = softmax_backward_row,
    .cross_entropy = cross_entropy_row,
    .layer_norm = layer_norm_row,
    .layer_norm_backward = layer_norm_backward_row,
    .step = optimizer_step,
    .random = random_floats,
    .dropout = dropout_floats,
};
