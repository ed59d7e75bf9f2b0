// The loops for AVX2, FMA and half-float conversions.
#if defined(__x86_64__)
#include <immintrin.h>

#define VL 8
#define HAS_FMA 1
#define HAS_ROUNDING 1
#define HAS_HALF 1
#define LOOPS apus_loops_avx2
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "loops/all.h"
#pragma clang attribute pop
#endif
