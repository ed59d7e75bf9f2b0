// The loops for AVX-512 as all its server processors have it.
#if defined(__x86_64__)
#include <immintrin.h>

#define VL 16
#define HAS_FMA 1
#define HAS_ROUNDING 1
#define HAS_HALF 1
#define HAS_SCALE 1
#define LOOPS apus_loops_avx512
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma,f16c"))), apply_to = function)
#include "loops/all.h"
#pragma clang attribute pop
#endif
