// Depthwise convolutions with stride 1 on planes (NCHW), for CPU kinds: vectors run along the rows of an
// image, windows are SIZE x SIZE. A work-item takes planes.
//
//     row t of the input ──SIZE shifted vectors──► rows t - SIZE + 1 … t of the output, in registers
//     row t of the input ──SIZE shifted vectors──► sums[i][j] += in · dy[t - i], for dy of ROWS rows
//
// so SIZE loads serve up to SIZE * ROWS products. Blocks of ROWS x WIDTH that would hang over the end
// begin earlier. Vectors at the sides are neighbours shifted in a register, rows above and below are
// left out. The host asks for planes of at least ROWS x WIDTH and padding of less than SIZE.

#define ROWS 4
#define TAPS (SIZE * SIZE)
typedef PASTE(int, WIDTH) WI;

// Lanes move up (UP) or down and zeros follow.
#if WIDTH == 16
#define UP_1(v) (W)(0.0f, v.s0, v.s12, v.s3456, v.s789abcde)
#define UP_2(v) (W)(0.0f, 0.0f, v.s01, v.s2345, v.s6789abcd)
#define UP_3(v) (W)(0.0f, 0.0f, 0.0f, v.s0, v.s1234, v.s56789abc)
#define UP_4(v) (W)((float4)(0.0f), v.s0123, v.s456789ab)
#define DOWN_1(v) (W)(v.s12345678, v.s9abc, v.sde, v.sf, 0.0f)
#define DOWN_2(v) (W)(v.s23456789, v.sabcd, v.sef, 0.0f, 0.0f)
#define DOWN_3(v) (W)(v.s3456789a, v.sbcde, v.sf, 0.0f, 0.0f, 0.0f)
#define DOWN_4(v) (W)(v.s456789ab, v.scdef, (float4)(0.0f))
#else
#define UP_1(v) (W)(0.0f, v.s0, v.s12, v.s3456)
#define UP_2(v) (W)(0.0f, 0.0f, v.s01, v.s2345)
#define UP_3(v) (W)(0.0f, 0.0f, 0.0f, v.s0, v.s1234)
#define UP_4(v) (W)((float4)(0.0f), v.s0123)
#define DOWN_1(v) (W)(v.s1234, v.s56, v.s7, 0.0f)
#define DOWN_2(v) (W)(v.s2345, v.s67, 0.0f, 0.0f)
#define DOWN_3(v) (W)(v.s3456, v.s7, 0.0f, 0.0f, 0.0f)
#define DOWN_4(v) (W)(v.s4567, (float4)(0.0f))
#endif

// A plane of input; where `is_repeated` below, it is one value.
typedef struct {
  global const float *start;
  int row, height, width;
} Plane;

INLINED W vector_at(global const float *p, int is_repeated) {
  return is_repeated ? (W)(*p) : LOAD_W(p);
}

// The vector of a row from column `c` on; `is_inner`: all of it exists.
INLINED W columns_at(
    global const float *line, int c, int width, int is_inner, int is_repeated) {
  if (is_inner || (c >= 0 && c + WIDTH <= width))
    return vector_at(is_repeated ? line : line + c, is_repeated);
  if (c < 0) {
    const W v = vector_at(line, is_repeated);
    return c == -1 ? UP_1(v) : c == -2 ? UP_2(v) : c == -3 ? UP_3(v) : UP_4(v);
  }
  const W v = vector_at(is_repeated ? line : line + width - WIDTH, is_repeated);
  const int over = c + WIDTH - width;
  return over == 1 ? DOWN_1(v) : over == 2 ? DOWN_2(v) : over == 3 ? DOWN_3(v) : DOWN_4(v);
}

INLINED void rows_tile(
    const Plane *in, int y, int c, const W *held, W *acc, int is_inner, int is_repeated) {
  EACH(t, ROWS + SIZE - 1) {
    const int at = y + t;
    if ((uint)at < (uint)in->height) {
      global const float *line = in->start + at * in->row;
      W v[SIZE];
      EACH(j, SIZE) v[j] = columns_at(line, c + j, in->width, is_inner, is_repeated);
      EACH(j, SIZE) EACH(i, SIZE)
        if (t - i >= 0 && t - i < ROWS) acc[t - i] = fma(v[j], held[i * SIZE + j], acc[t - i]);
    }
  }
}

// A plane of output from one of input whose pixel (first_y, first_x) meets the first tap at (0, 0).
INLINED void rows_of_plane(
    const Plane *in, int first_y, int first_x, const float *taps, float bias, int has_addend,
    global const float *addend, int is_repeated, global float *out, int height, int width) {
  W held[TAPS];
  EACH(i, TAPS) held[i] = (W)(taps[i]);
  for (int row = 0; row < height; row += ROWS) {
    const int y = min(row, height - ROWS);
    for (int column = 0; column < width; column += WIDTH) {
      const int x = min(column, width - WIDTH), c = x + first_x;
      const int at = y * width + x;
      W acc[ROWS];
      EACH(r, ROWS) acc[r] = (W)(bias);
      if (has_addend) {
        EACH(r, ROWS) acc[r] += LOAD_W(addend + at + r * width);
      }
      if (c >= 0 && c + SIZE - 1 + WIDTH <= in->width)
        rows_tile(in, y + first_y, c, held, acc, 1, is_repeated);
      else
        rows_tile(in, y + first_y, c, held, acc, 0, is_repeated);
      EACH(r, ROWS) ((global UnalignedW *)(out + at + r * width))->value = acc[r];
    }
  }
}

SEPARATE void convolve_plane(
    const Plane *in, int first_y, int first_x, const float *taps, float bias, int has_addend,
    global const float *addend, global float *out, int height, int width) {
  rows_of_plane(
      in, first_y, first_x, taps, bias, has_addend, addend, 0, out, height, width);
}
SEPARATE void convolve_repeated(
    const Plane *in, int first_y, int first_x, const float *taps, global float *out, int height,
    int width) {
  rows_of_plane(in, first_y, first_x, taps, 0.0f, 0, out, 1, out, height, width);
}

INLINED void sums_tile(
    const Plane *in, int y, int c, const W *g, W *acc, int is_inner) {
  EACH(t, ROWS + SIZE - 1) {
    const int at = y + t;
    if ((uint)at < (uint)in->height) {
      global const float *line = in->start + at * in->row;
      EACH(j, SIZE) {
        const W v = columns_at(line, c + j, in->width, is_inner, 0);
        EACH(i, SIZE)
          if (t - i >= 0 && t - i < ROWS) acc[i * SIZE + j] = fma(v, g[t - i], acc[i * SIZE + j]);
      }
    }
  }
}

INLINED float lanes_sum(W v) {
#if WIDTH == 16
  const float8 a = v.lo + v.hi;
#else
  const float8 a = v;
#endif
  const float4 b = a.lo + a.hi;
  const float2 c = b.lo + b.hi;
  return c.x + c.y;
}

// sums[tap] of in · dy over a plane of dy, then the sum of dy.
INLINED void sums_of_plane(
    const Plane *in, int first_y, int first_x, const Plane *dy, int is_repeated,
    global float *sums) {
  W acc[TAPS], total = (W)(0.0f);
  EACH(i, TAPS) acc[i] = (W)(0.0f);
  const int height = dy->height, width = dy->width;
  // Lanes of the last vector of a row that the vector before it lacks.
  int lanes[WIDTH];
  for (int k = 0; k < WIDTH; ++k) lanes[k] = k >= (WIDTH - width % WIDTH) % WIDTH ? -1 : 0;
  const WI fresh = PASTE(vload, WIDTH)(0, lanes);
  for (int row = 0; row < height; row += ROWS) {
    const int y = min(row, height - ROWS);
    for (int column = 0; column < width; column += WIDTH) {
      const int x = min(column, width - WIDTH), c = x + first_x;
      W g[ROWS];
      EACH(r, ROWS) {
        g[r] = (W)(0.0f);
        if (y + r >= row) {
          g[r] = vector_at(is_repeated ? dy->start : dy->start + (y + r) * dy->row + x, is_repeated);
          if (x < column) g[r] = PASTE(as_float, WIDTH)(PASTE(as_int, WIDTH)(g[r]) & fresh);
        }
        total += g[r];
      }
      if (c >= 0 && c + SIZE - 1 + WIDTH <= in->width)
        sums_tile(in, y + first_y, c, g, acc, 1);
      else
        sums_tile(in, y + first_y, c, g, acc, 0);
    }
  }
  EACH(i, TAPS) sums[i] = lanes_sum(acc[i]);
  sums[TAPS] = lanes_sum(total);
}

SEPARATE void sum_plane(
    const Plane *in, int first_y, int first_x, const Plane *dy, global float *sums) {
  sums_of_plane(in, first_y, first_x, dy, 0, sums);
}
SEPARATE void sum_repeated(
    const Plane *in, int first_y, int first_x, const Plane *dy, global float *sums) {
  sums_of_plane(in, first_y, first_x, dy, 1, sums);
}

typedef struct {
  int planes, channels, chunk;
  // Of x, and of the output of the forward pass.
  int height, width, out_height, out_width, top, left;
  int weight_offset, bias_offset, addend_offset, out_offset;
} Planes;

// out = f(x * weights + bias + addend); weights [channel][tap], addend and out dense.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE void PASTE(depthwise_planes_, SIZE)(
    const Planes p, const Place at_x, global const float *restrict x,
    global const float *restrict weights, global const float *restrict bias,
    global const float *restrict addend, global float *restrict out, int has_bias, int has_addend,
    int op, float a, float b) {
  const int area = p.out_height * p.out_width, begin = (int)get_global_id(0) * p.chunk;
  const int end = min(begin + p.chunk, p.planes);
  for (int plane = begin; plane < end; ++plane) {
    const int n = plane / p.channels, c = plane - n * p.channels;
    Plane in = {
      x + at_x.offset + n * at_x.image + c * at_x.channel, at_x.row, p.height, p.width
    };
    float taps[TAPS];
    for (int i = 0; i < TAPS; ++i) taps[i] = weights[p.weight_offset + c * TAPS + i];
    global float *to = out + p.out_offset + plane * area;
    convolve_plane(
        &in, -p.top, -p.left, taps, has_bias ? bias[p.bias_offset + c] : 0.0f, has_addend,
        addend + p.addend_offset + plane * area, to, p.out_height, p.out_width);
    if (op >= 0)
      for (int i = 0; i < area; i += LANES) {
        const int n_lanes = min(LANES, area - i);
        store_float(unary_function(op, load_float(to, 0, 1, i, n_lanes), a, b), to, 0, 1, i, n_lanes);
      }
  }
}

// Of a plane dx = dy * reversed weights, dense, and its sums[plane][tap], with that of dy last, while
// dy is in the cache. A dy with steps of 0 is one value a plane.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE void
PASTE(depthwise_planes_backward_, SIZE)(
    const Planes p, const Place at_x, const Place at_dy, global const float *restrict x,
    global const float *restrict dy, global const float *restrict weights,
    global float *restrict dx, global float *restrict sums, int has_dx, int has_sums) {
  const int begin = (int)get_global_id(0) * p.chunk, end = min(begin + p.chunk, p.planes);
  const int is_repeated = at_dy.column == 0;
  for (int plane = begin; plane < end; ++plane) {
    const int n = plane / p.channels, c = plane - n * p.channels;
    Plane gradient = {
      dy + at_dy.offset + n * at_dy.image + c * at_dy.channel, at_dy.row, p.out_height, p.out_width
    };
    if (has_dx) {
      float taps[TAPS];
      for (int i = 0; i < TAPS; ++i) taps[i] = weights[p.weight_offset + c * TAPS + TAPS - 1 - i];
      global float *to = dx + p.out_offset + plane * p.height * p.width;
      const int y = p.top - (SIZE - 1), z = p.left - (SIZE - 1);
      if (is_repeated)
        convolve_repeated(&gradient, y, z, taps, to, p.height, p.width);
      else
        convolve_plane(&gradient, y, z, taps, 0.0f, 0, to, to, p.height, p.width);
    }
    if (has_sums) {
      Plane in = {x + at_x.offset + n * at_x.image + c * at_x.channel, at_x.row, p.height, p.width};
      global float *to = sums + plane * (TAPS + 1);
      if (is_repeated)
        sum_repeated(&in, -p.top, -p.left, &gradient, to);
      else
        sum_plane(&in, -p.top, -p.left, &gradient, to);
    }
  }
}
