// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011), VL / 2 blocks of four words at a time. A word
// lives in a 64-bit lane, so that its product with a constant is one instruction.
enum { PHILOX_WIDTH = 2 * VL };

/// `words[4 · k + lane]` of blocks `first + k`.
static inline void philox(uint64_t key, uint64_t first, uint32_t words[PHILOX_WIDTH]) {
  const VU64 low = (VU64)(0xFFFFFFFFull);
  VU64 counter;
  for (int k = 0; k < VL / 2; k++) counter[k] = first + (uint64_t)k;
  VU64 x0 = counter & low, x1 = counter >> 32, x2 = (VU64)(0), x3 = (VU64)(0);
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int round = 0; round < 10; round++) {
    // Only low halves count; the masks tell the compiler that a 32-bit product is enough.
    const VU64 p0 = (x0 & low) * 0xD2511F53ull, p1 = (x2 & low) * 0xCD9E8D57ull;
    x0 = (p1 >> 32) ^ x1 ^ (uint64_t)k0;
    x1 = p1;
    x2 = (p0 >> 32) ^ x3 ^ (uint64_t)k1;
    x3 = p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const VU64 front = (x0 & low) | (x1 << 32), back = (x2 & low) | (x3 << 32);
  const VU64 first_half = LOW_64(front, back), second_half = HIGH_64(front, back);
  memcpy(words, &first_half, sizeof first_half);
  memcpy(words + VL, &second_half, sizeof second_half);
}

static inline VF unit(const uint32_t *words) {
  VI w = load_int((const int32_t *)words);
  return __builtin_convertvector((VI)((VU)w >> 8), VF) * 0x1p-24f;
}

/// Box and Muller (1958) in double, so that results agree with a device of any precision: a block of
/// four words gives cosine and sine of its first pair, then of its second.
static inline void normals(const uint32_t words[PHILOX_WIDTH], float a, float b, float *out) {
  VD u[2], v[2];
  for (int half = 0; half < 2; half++)
    for (int k = 0; k < VL / 2; k++) {
      const int pair = half * (VL / 2) + k;
      u[half][k] = (double)((words[2 * pair] >> 8) + 1) * 0x1p-24;
      v[half][k] = (double)(words[2 * pair + 1] >> 8) * 0x1p-24;
    }
  for (int half = 0; half < 2; half++) {
    const VD radius = sqrt_d(-2.0 * log_d(u[half]));
    const VD angle = 6.283185307179586 * v[half];
    VD s, c;
    sines_d(angle, &s, &c);
    const VD cs = radius * c * (double)b + (double)a, sn = radius * s * (double)b + (double)a;
    for (int k = 0; k < VL / 2; k++) {
      out[half * VL + 2 * k] = (float)cs[k];
      out[half * VL + 2 * k + 1] = (float)sn[k];
    }
  }
}

static void random_floats(
    apus_distribution distribution, float a, float b, uint64_t key, uint64_t first_block,
    ptrdiff_t n, float *out) {
#pragma clang fp contract(off)
  const float width = b - a, last = nextafterf(b, a);
  for (ptrdiff_t i = 0; i < n; i += PHILOX_WIDTH) {
    uint32_t words[PHILOX_WIDTH];
    float values[PHILOX_WIDTH];
    philox(key, first_block + (uint64_t)(i / 4), words);
    if (distribution == APUS_NORMAL) {
      normals(words, a, b, values);
    } else {
      for (int k = 0; k < PHILOX_WIDTH; k += VL) {
        const VF u = unit(words + k);
        VF r;
        if (distribution == APUS_BERNOULLI) {
          r = u < a ? (VF)(1.0f) : (VF)(0.0f);
        } else {
          r = a + width * u;
          // Rounding may reach the excluded end.
          if (b > a) r = r >= b ? (VF)(last) : r;
        }
        store(values + k, r);
      }
    }
    const ptrdiff_t left = n - i < PHILOX_WIDTH ? n - i : PHILOX_WIDTH;
    memcpy(out + i, values, (size_t)left * sizeof(float));
  }
}

static void dropout_floats(
    float probability, uint64_t key, uint64_t first_block, ptrdiff_t n, const float *x, float *out) {
  const float scale = 1.0f / (1.0f - probability);
  for (ptrdiff_t i = 0; i < n; i += PHILOX_WIDTH) {
    uint32_t words[PHILOX_WIDTH];
    philox(key, first_block + (uint64_t)(i / 4), words);
    for (int k = 0; k < PHILOX_WIDTH && i + k < n; k += VL) {
      const ptrdiff_t left = n - i - k < VL ? n - i - k : VL;
      const VF v = left == VL ? load(x + i + k) : load_part(x + i + k, left, 0.0f);
      const VF r = unit(words + k) < probability ? (VF)(0.0f) : v * scale;
      if (left == VL)
        store(out + i + k, r);
      else
        store_part(out + i + k, r, left);
    }
  }
}
