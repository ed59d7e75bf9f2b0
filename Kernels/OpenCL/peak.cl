// The most fused multiply-adds that a device does: each work-item runs eight independent chains in
// registers, which hide the latency of the units, and writes one number so that nothing is left out.
//
// Source: the method of STREAM-like microbenchmarks (Konstantinidis, Cotronis 2017, mixbench).

#define CHAINS 8

kernel void fma_peak(global float *out, int rounds) {
  float4 a[CHAINS];
  for (int i = 0; i < CHAINS; ++i) a[i] = (float4)(i + (int)get_local_id(0));
  const float4 x = (float4)(0.999f), y = (float4)(1e-3f);
  for (int r = 0; r < rounds; ++r) {
#pragma unroll
    for (int i = 0; i < CHAINS; ++i) a[i] = fma(a[i], x, y);
  }
  float4 sum = a[0];
  for (int i = 1; i < CHAINS; ++i) sum += a[i];
  out[get_global_id(0)] = sum.x + sum.y + sum.z + sum.w;
}
