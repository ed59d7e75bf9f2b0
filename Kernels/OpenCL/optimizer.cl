// Optimizer steps and the sum of squares for clipping by norm, over dense parameters: every element
// is read and written once. Formulas are those of torch.optim. A launch takes several parameters, for a
// model has many small ones: work-items `first ..< first + items` belong to one of them.

enum { SGD, ADAM, RMSPROP, ADAGRAD };

#define SLOTS 6
typedef struct {
  int count, first, items;
  // Offsets: gradient, parameter and up to three states; then the outputs.
  int from[5], to[4];
} Slot;

typedef struct {
  // `chunk`: elements of a work-item on a CPU.
  int rule, chunk, has_scale, scale_offset;
  // SGD: is_first, nesterov. Adam: decoupled. RMSprop: centered.
  int flag, flag2;
  float rate, decay;
  // SGD: momentum, 1 - dampening. Adam: beta1, beta2, epsilon, correction1, sqrt(correction2).
  // RMSprop: alpha, epsilon, momentum. Adagrad: epsilon.
  float a, b, c, d, e;
  // Slots that a launch does not need have no items. More would exceed the 1024 bytes of parameters that
  // every device takes.
  Slot slot[SLOTS];
} Step;

inline V block(global const float *p, int offset, int column, int n) {
  return load_float(p, offset, 1, column, n);
}

inline V adam(const Step *s, V g, V *m, V *v, V p) {
  *m = fma((V)(s->a), *m, g * (1.0f - s->a));
  *v = fma((V)(s->b), *v, g * g * (1.0f - s->b));
  return fma((V)(-s->rate / s->d), *m / fma(sqrt(*v), (V)(1.0f / s->e), (V)(s->c)), p);
}

#if !APUS_GPU
// Adam without weight decay on whole vectors from `begin` on; returns where they end. The common case is
// bound by memory, and a short loop has more loads under way than the general one.
inline int adam_vectors(
    const Step *s, float scale, global const float *gradient, global const float *parameter,
    global const float *state0, global const float *state1, global float *out, global float *new0,
    global float *new1, int begin, int end) {
  int column = begin;
  for (; column + LANES <= end; column += LANES) {
    V m = vload16(0, state0 + column), v = vload16(0, state1 + column);
    const V p = adam(
        s, vload16(0, gradient + column) * scale, &m, &v, vload16(0, parameter + column));
    ((global Unaligned_float *)(new0 + column))->value = m;
    ((global Unaligned_float *)(new1 + column))->value = v;
    ((global Unaligned_float *)(out + column))->value = p;
  }
  return column;
}
#endif

#define TABLES(n)                                                                              \
  global const float *gradient##n, global const float *parameter##n, global const float *p##n, \
      global const float *q##n, global const float *r##n, global float *out##n,                \
      global float *new_p##n, global float *new_q##n, global float *new_r##n
#define TAKE(n)                       \
  case n:                             \
    gradient = gradient##n;           \
    parameter = parameter##n;         \
    state0 = p##n;                    \
    state1 = q##n;                    \
    state2 = r##n;                    \
    out = out##n;                     \
    new0 = new_p##n;                  \
    new1 = new_q##n;                  \
    new2 = new_r##n;                  \
    break;

kernel void optimizer_step(
    const Step s, global const float *scale, TABLES(0), TABLES(1), TABLES(2), TABLES(3), TABLES(4),
    TABLES(5)) {
  const int item = get_global_id(0);
  int k = 0;
  while (k < SLOTS && item >= s.slot[k].first + s.slot[k].items) ++k;
  if (k == SLOTS) return;
  const int count = s.slot[k].count, index = item - s.slot[k].first;
  global const float *gradient, *parameter, *state0, *state1, *state2;
  global float *out, *new0, *new1, *new2;
  switch (k) {
    TAKE(0)
    TAKE(1)
    TAKE(2)
    TAKE(3)
    TAKE(4)
    default:
    TAKE(5)
  }
  gradient += s.slot[k].from[0];
  parameter += s.slot[k].from[1];
  state0 += s.slot[k].from[2];
  state1 += s.slot[k].from[3];
  state2 += s.slot[k].from[4];
  out += s.slot[k].to[0];
  new0 += s.slot[k].to[1];
  new1 += s.slot[k].to[2];
  new2 += s.slot[k].to[3];
#if APUS_GPU
  for (int column = index; column < count; column += s.slot[k].items) {
    const int n = 1;
#else
  const int begin = index * s.chunk, end = min(begin + s.chunk, count);
  int rest = begin;
  if (s.rule == ADAM && s.decay == 0.0f)
    rest = adam_vectors(
        &s, s.has_scale ? scale[s.scale_offset] : 1.0f, gradient, parameter, state0, state1, out, new0,
        new1, begin, end);
  for (int column = rest; column < end; column += LANES) {
    const int n = min(LANES, end - column);
#endif
    V g = block(gradient, 0, column, n);
    V p = block(parameter, 0, column, n);
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
          if (!s.flag) velocity = fma((V)(s.a), block(state0, 0, column, n), g * s.b);
          store_float(velocity, new0, 0, 1, column, n);
          g = s.flag2 ? fma((V)(s.a), velocity, g) : velocity;
        }
        p = fma((V)(-s.rate), g, p);
        break;
      case ADAM: {
        V m = block(state0, 0, column, n), v = block(state1, 0, column, n);
        p = adam(&s, g, &m, &v, p);
        store_float(m, new0, 0, 1, column, n);
        store_float(v, new1, 0, 1, column, n);
        break;
      }
      case RMSPROP: {
        const V square = fma((V)(s.a), block(state0, 0, column, n), g * g * (1.0f - s.a));
        store_float(square, new0, 0, 1, column, n);
        V variance = square;
        if (s.flag) {
          const V average = fma((V)(s.a), block(state1, 0, column, n), g * (1.0f - s.a));
          store_float(average, new1, 0, 1, column, n);
          variance = fma(-average, average, square);
        }
        V direction = g / (sqrt(variance) + s.b);
        if (s.c != 0.0f) {
          if (s.flag) {
            direction = fma((V)(s.c), block(state2, 0, column, n), direction);
            store_float(direction, new2, 0, 1, column, n);
          } else {
            direction = fma((V)(s.c), block(state1, 0, column, n), direction);
            store_float(direction, new1, 0, 1, column, n);
          }
        }
        p = fma((V)(-s.rate), direction, p);
        break;
      }
      default: {
        const V sum = fma(g, g, block(state0, 0, column, n));
        store_float(sum, new0, 0, 1, column, n);
        p = fma((V)(-s.rate), g / (sqrt(sum) + s.a), p);
        break;
      }
    }
    store_float(p, out, 0, 1, column, n);
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
