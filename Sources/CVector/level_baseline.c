// The loops for the least processor of the architecture: SSE2, or NEON with its fused products.
#define VL 4
#if defined(__aarch64__)
#define HAS_FMA 1
#define HAS_ROUNDING 1
#endif
#define LOOPS apus_loops_baseline
#include "loops/all.h"
