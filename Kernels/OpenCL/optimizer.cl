// Optimizer steps and the sum of squares for clipping by norm, over dense parameters: every element
// is read and written once. Formulas are those of torch.optim.

enum { SGD, ADAM, RMSPROP, ADAGRAD };

typedef struct {
  int rule, count, chunk, has_scale, scale_offset;
  // SGD: is_first, nesterov. Adam: decoupled. RMSprop: centered.
  int flag, flag2;
  float rate, decay;
  // SGD: momentum, 1 - dampening. Adam: beta1, beta2, epsilon, correction1, sqrt(correction2).
  // RMSprop: alpha, epsilon, momentum. Adagrad: epsilon.
  float a, b, c, d, e;
  // Offsets: gradient, parameter and up to three states; then the outputs.
  int from[5], to[4];
} Step;

inline V block(global const float *p, int offset, int column, int n) {
  return load_float(p, offset, 1, column, n);
}

kernel void optimizer_step(
    const Step s, global const float *gradient, global const float *parameter,
    global const float *state0, global const float *state1, global const float *state2,
    global const float *scale, global float *out, global float *new0, global float *new1,
    global float *new2) {
#if APUS_GPU
  for (int column = get_global_id(0); column < s.count; column += get_global_size(0)) {
    const int n = 1;
#else
  const int begin = (int)get_global_id(0) * s.chunk, end = min(begin + s.chunk, s.count);
  for (int column = begin; column < end; column += LANES) {
    const int n = min(LANES, end - column);
#endif
    V g = block(gradient, s.from[0], column, n);
    V p = block(parameter, s.from[1], column, n);
    if (s.has_scale) g *= (V)(scale[s.scale_offset]);
    if (s.decay != 0.0f) {
      if (s.rule == ADAM && s.flag)
        p *= (V)(1.0f - s.rate * s.decay);
      else
        g = fma((V)(s.decay), p, g);
    }
    switch (s.rule) {
      case SGD:
        if (s.a != 0.0f) {
          V velocity = g;
          if (!s.flag) velocity = fma((V)(s.a), block(state0, s.from[2], column, n), g * s.b);
          store_float(velocity, new0, s.to[1], 1, column, n);
          g = s.flag2 ? fma((V)(s.a), velocity, g) : velocity;
        }
        p = fma((V)(-s.rate), g, p);
        break;
      case ADAM: {
        const V m = fma((V)(s.a), block(state0, s.from[2], column, n), g * (1.0f - s.a));
        const V v = fma((V)(s.b), block(state1, s.from[3], column, n), g * g * (1.0f - s.b));
        store_float(m, new0, s.to[1], 1, column, n);
        store_float(v, new1, s.to[2], 1, column, n);
        p -= (V)(s.rate / s.d) * m / (sqrt(v) / s.e + s.c);
        break;
      }
      case RMSPROP: {
        const V square = fma((V)(s.a), block(state0, s.from[2], column, n), g * g * (1.0f - s.a));
        store_float(square, new0, s.to[1], 1, column, n);
        V variance = square;
        if (s.flag) {
          const V average = fma((V)(s.a), block(state1, s.from[3], column, n), g * (1.0f - s.a));
          store_float(average, new1, s.to[2], 1, column, n);
          variance = fma(-average, average, square);
        }
        V direction = g / (sqrt(variance) + s.b);
        if (s.c != 0.0f) {
          if (s.flag) {
            direction = fma((V)(s.c), block(state2, s.from[4], column, n), direction);
            store_float(direction, new2, s.to[3], 1, column, n);
          } else {
            direction = fma((V)(s.c), block(state1, s.from[3], column, n), direction);
            store_float(direction, new1, s.to[2], 1, column, n);
          }
        }
        p = fma((V)(-s.rate), direction, p);
        break;
      }
      default: {
        const V sum = fma(g, g, block(state0, s.from[2], column, n));
        store_float(sum, new0, s.to[1], 1, column, n);
        p = fma((V)(-s.rate), g / (sqrt(sum) + s.a), p);
        break;
      }
    }
    store_float(p, out, s.to[0], 1, column, n);
  }
}

// Partial sums of squares of `chunk` dense elements each.
kernel void sum_of_squares(
    global const float *x, global float *parts, int offset, int count, int chunk, int first_part) {
  const int part = get_global_id(0);
  const int begin = part * chunk, end = min(begin + chunk, count);
  if (begin >= count) return;
#if APUS_GPU
  float total = 0.0f;
  for (int i = begin; i < end; ++i) total = fma(x[offset + i], x[offset + i], total);
#else
  V acc = (V)(0.0f);
  for (int column = begin; column < end; column += LANES) {
    const V v = load_float(x, offset, 1, column, min(LANES, end - column));
    acc = fma(v, v, acc);
  }
  float lanes[LANES], total = 0.0f;
  vstore16(acc, 0, lanes);
  for (int k = 0; k < LANES; ++k) total += lanes[k];
#endif
  parts[first_part + part] = total;
}
