// Included once per level, with VL (floats in a vector), LOOPS (the name of the table) and what the
// level can do; everything here is static but the table.
#include "../level.h"

#include <math.h>
#include <string.h>

#include "vector.h"
#include "math_float.h"
#include "math_double.h"
#include "unary.h"
#include "backward.h"
#include "binary.h"
#include "integer.h"
#include "chain.h"
#include "convert.h"
#include "reduce.h"
#include "rows.h"
#include "normalization.h"
#include "optimizer.h"
#include "random.h"
#include "gemm.h"
#include "convolution.h"
#include "winograd.h"
#include "depthwise.h"
#include "planar.h"
#include "pooling.h"
#include "batchnorm.h"
#include "recurrent.h"
#include "table.h"
