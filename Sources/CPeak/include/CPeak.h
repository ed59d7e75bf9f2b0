#pragma once

/// GFLOP/s of independent fused multiply-adds in registers, on `threads` threads.
double apus_fma_peak(int threads);

/// GB/s (read plus write) of copying buffers far larger than the caches, on `threads` threads.
double apus_copy_bandwidth(int threads);
