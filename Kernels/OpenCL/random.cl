// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011): element i is lane i % 4 of block i / 4, the
// bits of the host's generator. A work-item makes whole blocks of four.

// The host rounds product and sum apart; a fused product would give other bits.
#pragma OPENCL FP_CONTRACT OFF

enum { UNIFORM, NORMAL, BERNOULLI };

inline uint4 philox(uint k0, uint k1, uint counter) {
  uint4 x = (uint4)(counter, 0, 0, 0);
  for (int round = 0; round < 10; ++round) {
    const uint high0 = mul_hi(x.x, 0xD2511F53u), low0 = x.x * 0xD2511F53u;
    const uint high1 = mul_hi(x.z, 0xCD9E8D57u), low1 = x.z * 0xCD9E8D57u;
    x = (uint4)(high1 ^ x.y ^ k0, low1, high0 ^ x.w ^ k1, low0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return x;
}

#if !APUS_GPU
// Sixteen blocks at once; word w of block b lands in lane b of x[w].
inline void philox_blocks(uint k0, uint k1, uint first, VU x[4]) {
  x[0] = (VU)(first) + (VU)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  x[1] = x[2] = x[3] = (VU)(0);
  for (int round = 0; round < 10; ++round) {
    const ulong16 a = convert_ulong16(x[0]) * 0xD2511F53ul;
    const ulong16 b = convert_ulong16(x[2]) * 0xCD9E8D57ul;
    x[0] = convert_uint16(b >> 32) ^ x[1] ^ k0;
    x[2] = convert_uint16(a >> 32) ^ x[3] ^ k1;
    x[1] = convert_uint16(b);
    x[3] = convert_uint16(a);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

// The words of four blocks in the order of their elements.
#define ORDERED(x, a, b, c, d)                                                                   \
  (VU)(x[0].s##a, x[1].s##a, x[2].s##a, x[3].s##a, x[0].s##b, x[1].s##b, x[2].s##b, x[3].s##b,   \
       x[0].s##c, x[1].s##c, x[2].s##c, x[3].s##c, x[0].s##d, x[1].s##d, x[2].s##d, x[3].s##d)

// Uniform numbers of sixteen blocks, element by element.
inline void unit_blocks(uint k0, uint k1, uint first, V u[4]) {
  VU x[4];
  philox_blocks(k0, k1, first, x);
  u[0] = TO_V(ORDERED(x, 0, 1, 2, 3) >> 8) * 0x1p-24f;
  u[1] = TO_V(ORDERED(x, 4, 5, 6, 7) >> 8) * 0x1p-24f;
  u[2] = TO_V(ORDERED(x, 8, 9, a, b) >> 8) * 0x1p-24f;
  u[3] = TO_V(ORDERED(x, c, d, e, f) >> 8) * 0x1p-24f;
}
#endif

inline float4 unit(uint4 words) { return convert_float4(words >> 8) * 0x1p-24f; }

// Box and Muller; the angle in half turns keeps sine and cosine exact.
inline float4 normals(uint4 words) {
  const float2 u = convert_float2((words.xz >> 8) + 1) * 0x1p-24f;
  const float2 v = convert_float2(words.yw >> 8) * 0x1p-23f;
  const float2 radius = sqrt(-2.0f * log(u));
  const float2 c = radius * cospi(v), s = radius * sinpi(v);
  return (float4)(c.x, s.x, c.y, s.y);
}

// `out` is dense. a, b: low and high, mean and standard deviation, or the probability.
kernel void random(
    global float *out, int offset, int count, int chunk, uint k0, uint k1, int distribution, float a,
    float b) {
  const int blocks = (count + 3) / 4, first = (int)get_global_id(0) * chunk;
  int block = first;
#if !APUS_GPU
  for (; distribution != NORMAL && block + 16 <= min(first + chunk, count / 4); block += 16) {
    V u[4];
    unit_blocks(k0, k1, (uint)block, u);
    for (int part = 0; part < 4; ++part) {
      V r;
      if (distribution == UNIFORM) {
        r = a + (b - a) * u[part];
        r = select(r, (V)(nextafter(b, a)), (r >= (V)(b)) & (VI)(b > a ? -1 : 0));
      } else {
        r = select((V)(0.0f), (V)(1.0f), u[part] < (V)(a));
      }
      vstore16(r, 0, out + offset + 4 * block + LANES * part);
    }
  }
#endif
  for (; block < min(first + chunk, blocks); ++block) {
    const uint4 words = philox(k0, k1, (uint)block);
    float4 r;
    if (distribution == UNIFORM) {
      r = a + (b - a) * unit(words);
      // Rounding may reach the excluded end.
      r = select(r, (float4)(nextafter(b, a)), (r >= (float4)(b)) & (int4)(b > a ? -1 : 0));
    } else if (distribution == NORMAL) {
      r = a + b * normals(words);
    } else {
      r = select((float4)(0.0f), (float4)(1.0f), unit(words) < (float4)(a));
    }
    global float *to = out + offset + 4 * block;
    if (4 * block + 4 <= count) {
      vstore4(r, 0, to);
    } else {
      float lanes[4];
      vstore4(r, 0, lanes);
      for (int k = 0; 4 * block + k < count; ++k) to[k] = lanes[k];
    }
  }
}

// Keeps an element with probability 1 - p and scales it; both operands dense.
kernel void dropout(
    global const float *x, global float *out, int offset_x, int offset, int count, int chunk, uint k0,
    uint k1, float p, float scale) {
  const int blocks = (count + 3) / 4, first = (int)get_global_id(0) * chunk;
  int block = first;
#if !APUS_GPU
  for (; block + 16 <= min(first + chunk, count / 4); block += 16) {
    V u[4];
    unit_blocks(k0, k1, (uint)block, u);
    for (int part = 0; part < 4; ++part) {
      const V value = vload16(0, x + offset_x + 4 * block + LANES * part) * scale;
      vstore16(
          select((V)(0.0f), value, u[part] >= (V)(p)), 0, out + offset + 4 * block + LANES * part);
    }
  }
#endif
  for (; block < min(first + chunk, blocks); ++block) {
    const float4 u = unit(philox(k0, k1, (uint)block));
    global const float *from = x + offset_x + 4 * block;
    global float *to = out + offset + 4 * block;
    if (4 * block + 4 <= count) {
      vstore4(select((float4)(0.0f), vload4(0, from) * scale, u >= (float4)(p)), 0, to);
    } else {
      float lanes[4];
      vstore4(u, 0, lanes);
      for (int k = 0; 4 * block + k < count; ++k) to[k] = lanes[k] >= p ? from[k] * scale : 0.0f;
    }
  }
}
