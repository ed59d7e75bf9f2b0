// The element-wise functions, alone and fused with other operations. See CVector.h.
#pragma once

typedef enum {
  // float → float; also fused with a bias.
  APUS_NEGATE, APUS_ABS, APUS_SIGN, APUS_SQUARE, APUS_EXP, APUS_EXPM1, APUS_LOG, APUS_LOG1P, APUS_SQRT,
  APUS_RSQRT, APUS_RECIPROCAL, APUS_SIN, APUS_COS, APUS_TANH, APUS_ERF, APUS_FLOOR, APUS_CEIL,
  APUS_ROUND, APUS_SIGMOID, APUS_RELU, APUS_SILU, APUS_LEAKY_RELU, APUS_ELU, APUS_GELU, APUS_GELU_TANH,
  APUS_SOFTPLUS, APUS_CLAMP, APUS_IDENTITY,
  // saved, dy → dx in the order above.
  APUS_BACKWARD,
  // float or bool predicates of one operand, then int32 functions.
  APUS_NOT = APUS_BACKWARD + APUS_IDENTITY + 1, APUS_IS_NAN, APUS_IS_FINITE,
  APUS_IS_NAN_64, APUS_IS_FINITE_64, APUS_INT_NEGATE, APUS_INT_ABS, APUS_INT_SIGN, APUS_INT_SQUARE,
  // a, b → out.
  APUS_ADD, APUS_SUBTRACT, APUS_MULTIPLY, APUS_DIVIDE, APUS_POWER, APUS_ATAN2, APUS_MAXIMUM, APUS_MINIMUM,
  APUS_REMAINDER, APUS_AND, APUS_OR, APUS_XOR, APUS_INT_ADD, APUS_INT_SUBTRACT, APUS_INT_MULTIPLY,
  APUS_INT_MAXIMUM, APUS_INT_MINIMUM,
  // a, b → bool: six comparisons of float32, six of int32, six of bytes.
  APUS_EQUAL, APUS_INT_EQUAL = APUS_EQUAL + 6, APUS_BYTE_EQUAL = APUS_INT_EQUAL + 6,
  // condition, a, b → out by size 1, 2, 4, 8; then a · b + c and a + (b − a) · c.
  APUS_SELECT = APUS_BYTE_EQUAL + 6, APUS_MULTIPLY_ADD = APUS_SELECT + 4, APUS_LERP,
  // The same bits, by size 1, 2, 4, 8.
  APUS_MOVE,
  // Conversions: APUS_CAST + 7 · from + to in the order float32, float64, float16, bfloat16, int32,
  // uint8, bool.
  APUS_CAST = APUS_MOVE + 4,
  APUS_OPERATION_COUNT = APUS_CAST + 49,
} apus_operation;

/// Parameters of a function, such as a slope or limits.
typedef struct {
  float a, b;
  /// Set by the engine: the result does not fit in the cache and may go straight to memory.
  int stream;
} apus_parameters;
