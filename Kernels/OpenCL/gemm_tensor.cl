// Matrix products by tensor cores, for GPU kinds: out[b] = f(S[b] * V[b] + bias) over strided views, the
// operands rounded to TF32 (10 bits of mantissa) or bfloat16 (7 bits), sums in float32.
//
// A work-group of 16 x 16 items computes TILE x TILE outputs in eight warps of 32 items, two by four of
// them. Rounded operands lie in local memory as words along the depth, a word being one TF32 number or
// two bfloat16 numbers; so both precisions share the indices below, and an instruction of PTX takes
// 16 lines of S and 8 of V over 8 words:
//
//                     8 columns           lane = 4 group + member
//                   +-----------+
//          8 words  |     V     |         words of V   (member, group), (member + 4, group)
//                   +-----------+
//      8 words
//     +-------+     +-----------+         words of S   rows group, group + 8 of word member,
//     |   S   |     |  outputs  | 16 rows              then the same of word member + 4
//     +-------+     +-----------+         outputs      rows group, group + 8 of columns 2 member, + 1
//
// Layouts of fragments: PTX ISA, "Matrix Fragments for mma.m16n8k8" and "... mma.m16n8k16". Slices, ends of
// the matrices, the epilogue and a depth cut into parts are as in gemm_gpu.cl.

// Edge of a work-group's square of outputs: 64 or 128.
#ifndef TILE
#define TILE 64
#endif
// Whether operands are rounded to bfloat16, else to TF32.
#ifndef BFLOAT16
#define BFLOAT16 0
#endif
// Whether the instructions of PTX are replaced by their mathematics, exchanged through local memory: slow, for
// tests on devices without tensor cores.
#ifndef APUS_EMULATE_MMA
#define APUS_EMULATE_MMA 0
#endif
// Numbers of a word, and words of a slice of the depth.
#define NUMBERS (1 + BFLOAT16)
#define WORDS 16
// How often the 256 items move four words each until a slice of an operand is there.
#define ROUNDS (TILE / 64)
// Instructions that a warp needs for its outputs, along rows and columns alike.
#define BLOCKS (TILE / 32)
// Rows of local memory are words of all lines. They lie 8 banks apart, and every four of them exchange
// lines in eights: so neither words of 8 lines nor lines of 16 words meet in a bank.
#define PITCH (TILE + 8)
#define AT(word, line) ((word) * PITCH + ((line) ^ (word) / 4 * 8))
#if BFLOAT16
#define GEMM_TENSOR PASTE(gemm_bfloat16_, TILE)
#else
#define GEMM_TENSOR PASTE(gemm_tf32_, TILE)
#endif

// Loops over instructions and outputs; unrolled, an emulation with its barriers takes long to compile.
#if APUS_EMULATE_MMA
#define UNROLLED
#else
#define UNROLLED _Pragma("unroll")
#endif

#if APUS_EMULATE_MMA
// To the nearest, halves away from zero; what is not finite stays.
inline uint to_tf32(float x) {
  const uint bits = as_uint(x);
  return (bits & 0x7F800000) == 0x7F800000 ? bits : (bits + 0x1000) & 0xFFFFE000;
}

// To the nearest, halves to even; every NaN becomes the same one.
inline uint to_bfloat16(float x) {
  const uint bits = as_uint(x);
  return isnan(x) ? 0x7FFF : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}

inline uint to_word(float first, float second) {
  return BFLOAT16 ? to_bfloat16(first) | to_bfloat16(second) << 16 : to_tf32(first);
}

inline float add_products(uint a, uint b, float sum) {
  if (!BFLOAT16) return fma(as_float(a), as_float(b), sum);
  sum = fma(as_float(a << 16), as_float(b << 16), sum);
  return fma(as_float(a & 0xFFFF0000), as_float(b & 0xFFFF0000), sum);
}

#define EXCHANGE (256 * 6)
INLINED void multiply(
    float *sum, const uint *left, const uint *right, local uint *exchange, int item) {
  local uint *own = exchange + item * 6;
  for (int i = 0; i < 4; ++i) own[i] = left[i];
  for (int i = 0; i < 2; ++i) own[4 + i] = right[i];
  barrier(CLK_LOCAL_MEM_FENCE);
  local const uint *warp = exchange + item / 32 * 32 * 6;
  const int group = item % 32 / 4, member = item % 4;
  for (int i = 0; i < 4; ++i)
    for (int word = 0; word < 8; ++word) {
      const uint a = warp[(group * 4 + word % 4) * 6 + word / 4 * 2 + i / 2];
      const uint b = warp[((member * 2 + i % 2) * 4 + word % 4) * 6 + 4 + word / 4];
      sum[i] = add_products(a, b, sum[i]);
    }
  barrier(CLK_LOCAL_MEM_FENCE);
}
#else
inline uint to_word(float first, float second) {
  uint word;
#if BFLOAT16
  // The first operand goes to the upper half.
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
#else
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(first));
#endif
  return word;
}

#if BFLOAT16
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
#else
#define MMA "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"
#endif
#define EXCHANGE 1
INLINED void multiply(
    float *sum, const uint *left, const uint *right, local uint *exchange, int item) {
  asm volatile(MMA " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
               : "=f"(sum[0]), "=f"(sum[1]), "=f"(sum[2]), "=f"(sum[3])
               : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]),
                 "r"(right[1]), "f"(sum[0]), "f"(sum[1]), "f"(sum[2]), "f"(sum[3]));
}
#endif

// Where an item's four words of a round lie: along the depth of one line, or those of four lines.
inline int line_of(int item, int round, int depth_step) {
  return depth_step == 1 ? item / (WORDS / 4) + round * (1024 / WORDS) : item % (TILE / 4) * 4;
}
inline int word_of(int item, int round, int depth_step) {
  return depth_step == 1 ? item % (WORDS / 4) * 4 : item / (TILE / 4) + round * (1024 / TILE);
}

// The item's numbers of a slice at depth `k` of an operand whose tile begins at `p`: `lines` rows of S
// or columns of V are left.
INLINED void fetch(
    float4 *quads, global const float *p, int line_step, int depth_step, int lines, int k, int end,
    int item, int is_aligned) {
#pragma unroll
  for (int i = 0; i < ROUNDS * NUMBERS; ++i) {
    const int line = line_of(item, i / NUMBERS, depth_step);
    int at = k + word_of(item, i / NUMBERS, depth_step) * NUMBERS;
    if (depth_step == 1) {
      at += i % NUMBERS * 4;
      quads[i] = load_quad(p + line * line_step + at, 1, line < lines ? end - at : 0, is_aligned);
    } else {
      at += i % NUMBERS;
      quads[i] = load_quad(
          p + line * line_step + at * depth_step, line_step, at < end ? lines - line : 0,
          is_aligned);
    }
  }
}

// Rounds them, and puts them into local memory.
INLINED void place(local uint *slice, const float4 *quads, int depth_step, int item) {
#pragma unroll
  for (int round = 0; round < ROUNDS; ++round) {
    const int line = line_of(item, round, depth_step), word = word_of(item, round, depth_step);
    float4 first = quads[round * NUMBERS], second = quads[round * NUMBERS + NUMBERS - 1];
    if (BFLOAT16 && depth_step == 1) {
      const float4 even = (float4)(first.xz, second.xz);
      second = (float4)(first.yw, second.yw);
      first = even;
    }
    const uint4 words = (uint4)(
        to_word(first.x, second.x), to_word(first.y, second.y), to_word(first.z, second.z),
        to_word(first.w, second.w));
    if (depth_step == 1) {
      slice[AT(word, line)] = words.x;
      slice[AT(word + 1, line)] = words.y;
      slice[AT(word + 2, line)] = words.z;
      slice[AT(word + 3, line)] = words.w;
    } else {
      *(local uint4 *)(slice + AT(word, line)) = words;
    }
  }
}

// A call of its own: an item has up to 64 outputs, each of which would get a copy of all functions.
static __attribute__((noinline)) float activated(
    int op, float x, float a, float b) {
  return unary_function(op, x, a, b);
}

kernel __attribute__((reqd_work_group_size(16, 16, 1))) void GEMM_TENSOR(
    const Gemm g, global const float *restrict s, global const float *restrict v,
    global const float *restrict bias, global float *restrict out) {
  local uint slice_s[WORDS * PITCH] __attribute__((aligned(16)));
  local uint slice_v[WORDS * PITCH] __attribute__((aligned(16)));
  local uint exchange[EXCHANGE];
  const int item = (int)get_local_id(1) * 16 + (int)get_local_id(0);
  const int group = item % 32 / 4, member = item % 4, warp = item / 32;
  // The first line of the item's fragments in the tile.
  const int s_line = warp % 2 * (TILE / 2) + group, v_line = warp / 2 * (TILE / 4) + group;
  const int column = (int)get_group_id(0) * TILE, row = (int)get_group_id(1) * TILE;
  const int z = get_group_id(2), batch = z / g.parts, part = z % g.parts;
  const int begin = min(g.k, part * g.depth), end = min(g.k, begin + g.depth);
  s += g.s_offset + batch * g.s_batch + row * g.s_row;
  v += g.v_offset + batch * g.v_batch + column * g.v_column;

  float sum[BLOCKS][BLOCKS][4];
#pragma unroll
  for (int i = 0; i < BLOCKS; ++i)
#pragma unroll
    for (int j = 0; j < BLOCKS; ++j)
#pragma unroll
      for (int q = 0; q < 4; ++q) sum[i][j][q] = 0.0f;

  float4 next_s[ROUNDS * NUMBERS], next_v[ROUNDS * NUMBERS];
  fetch(next_s, s, g.s_row, g.s_depth, g.m - row, begin, end, item, g.quads & 1);
  fetch(next_v, v, g.v_column, g.v_depth, g.n - column, begin, end, item, g.quads & 2);
  for (int k = begin; k < end; k += WORDS * NUMBERS) {
    place(slice_s, next_s, g.s_depth, item);
    place(slice_v, next_v, g.v_depth, item);
    barrier(CLK_LOCAL_MEM_FENCE);
    const int next = k + WORDS * NUMBERS;
    fetch(next_s, s, g.s_row, g.s_depth, g.m - row, next, end, item, g.quads & 1);
    fetch(next_v, v, g.v_column, g.v_depth, g.n - column, next, end, item, g.quads & 2);
UNROLLED
    for (int step = 0; step < WORDS; step += 8) {
      const int word = step + member;
      uint left[BLOCKS][4], right[BLOCKS][2];
#pragma unroll
      for (int i = 0; i < BLOCKS; ++i) {
#pragma unroll
        for (int q = 0; q < 4; ++q)
          left[i][q] = slice_s[AT(word + q / 2 * 4, s_line + i * 16 + q % 2 * 8)];
#pragma unroll
        for (int q = 0; q < 2; ++q) right[i][q] = slice_v[AT(word + q * 4, v_line + i * 8)];
      }
UNROLLED
      for (int i = 0; i < BLOCKS; ++i)
UNROLLED
        for (int j = 0; j < BLOCKS; ++j) multiply(sum[i][j], left[i], right[j], exchange, item);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  out += g.o_offset + z * g.o_batch;
  const int first_column = column + v_line - group + member * 2;
UNROLLED
  for (int i = 0; i < 2 * BLOCKS; ++i) {
    const int at_row = row + s_line + i * 8;
UNROLLED
    for (int j = 0; j < BLOCKS; ++j) {
      const int at_column = first_column + j * 8;
      float result[2];
#pragma unroll
      for (int q = 0; q < 2; ++q) {
        result[q] = sum[i / 2][j][i % 2 * 2 + q];
        if (g.has_bias && at_row < g.m && at_column + q < g.n)
          result[q] += bias[g.bias_offset + at_row * g.bias_row + (at_column + q) * g.bias_column];
        if (g.op >= 0) result[q] = activated(g.op, result[q], g.a, g.b);
      }
      if (at_row < g.m) {
        global float *to = out + at_row * g.o_row + at_column * g.o_column;
        if ((g.quads & 4) && at_column + 2 <= g.n) {
          *(global float2 *)to = (float2)(result[0], result[1]);
        } else {
#pragma unroll
          for (int q = 0; q < 2; ++q)
            if (at_column + q < g.n) to[q * g.o_column] = result[q];
        }
      }
    }
  }
}
