// A recurrent layer in one direction over whole sequences; see `Recurrence` for the formulas. With `h`
// the state before a step and W the recurrent weight:
//
//   forward   sums = h W^T (+ bias)                  all gates of a unit in one tile
//             y, c, saved = cell(gates, sums)        in the same pass
//   backward  dgates = cell'(saved, dy + dh)         `previous` keeps h for the gradient of W
//             dh = dgates W                          for the step before
//
// What both kinds of devices share; recurrent_cpu.cl, recurrent_team.cl and recurrent_gpu.cl follow.

enum { RNN_TANH, RNN_RELU, LSTM, GRU };

// Offsets in elements; every operand is contiguous.
typedef struct {
  int cell, reversed, steps, rows, width;
  // Blocks of `width` in gates and in saved.
  int gates, saved_blocks;
  int has_lengths, has_bias, has_saved;
  // CPU: vectors of a panel; whether each work-item packs the weight for itself; units of a team's block,
  // whole panels.
  int vectors, has_copies, block_units;
  int gates_at, weight_at, bias_at, h0_at, c0_at, lengths_at, y_at, hn_at, c_at, saved_at;
  int dy_at, dhn_at, dcn_at, dh_at, dc_at, dgates_at;
} Recurrent;

inline int length_of(const Recurrent *r, global const int *lengths, int row) {
  return r->has_lengths ? clamp(lengths[r->lengths_at + row], 0, r->steps) : r->steps;
}

// The row of a table [T, B, n] one step before `t`, or -1 where `t` is the first of `row`.
inline int row_before(const Recurrent *r, int t, int row, int length) {
  const int earlier = r->reversed ? t + 1 : t - 1;
  return earlier < 0 || earlier >= length ? -1 : earlier * r->rows + row;
}

// 2^n and e^r - 1 for x = n ln 2 + r, where e^x = 2^n e^r: the nonlinearities of gates with fewer
// operations than the functions of whole tensors. Reduction and polynomial as in `apus_exp`; `x` is
// limited to where the results are 0 or 1 within rounding. NaN stays.
inline V exp_parts(V x, V *power) {
  x = select(x, (V)(80.0f), x > (V)(80.0f));
  x = select(x, (V)(-80.0f), x < (V)(-80.0f));
  const V shifted = fma(x, (V)(1.44269504f), (V)(12582912.0f));
  const V whole = shifted - (V)(12582912.0f);
  V r = fma(whole, (V)(-0.693359375f), x);
  r = fma(whole, (V)(2.12194440e-4f), r);
  V p = fma(r, (V)(1.9875691500e-4f), (V)(1.3981999507e-3f));
  p = fma(p, r, (V)(8.3334519073e-3f));
  p = fma(p, r, (V)(4.1665795894e-2f));
  p = fma(p, r, (V)(1.6666665459e-1f));
  p = fma(p, r, (V)(5.0000001201e-1f));
  *power = AS_V((AS_VI(shifted) << 23) + 0x3F800000);
  return fma(p, r * r, r);
}
inline V logistic(V x) {
  V power;
  const V p = exp_parts(-x, &power);
  return (V)(1.0f) / (fma(power, p, power) + (V)(1.0f));
}
// (e^2x - 1) / (e^2x + 1), the difference without cancellation.
inline V squash(V x) {
  V power;
  const V p = exp_parts(x + x, &power);
  const V difference = fma(power, p, power - (V)(1.0f));
  return difference / (difference + (V)(2.0f));
}
inline V logistic_slope(V y) { return fma(-y, y, y); }
inline V squash_slope(V y) { return fma(-y, y, (V)(1.0f)); }

// Units `unit ...` of a row: a block of `n` elements.
#define AT(p, at) load_float(p, at, 1, unit, n)
#define PUT(v, p, at) store_float(v, p, at, 1, unit, n)

// The new cell state of an LSTM on a block of units of one row, and the output gate: `g` are the sums of
// the gates, `at` the row of [T, B].
inline V lstm_state(
    const Recurrent *r, const V *g, int at, int row, int unit, int n, global const float *gates,
    global float *c, global float *saved, V *output) {
  const int w = r->width;
  const int x = r->gates_at + at * r->gates * w, s = r->saved_at + at * r->saved_blocks * w;
  const V i = logistic(AT(gates, x) + g[0]), f = logistic(AT(gates, x + w) + g[1]);
  const V m = squash(AT(gates, x + 2 * w) + g[2]), o = logistic(AT(gates, x + 3 * w) + g[3]);
  const V state = fma(i, m, f * AT(c, r->c_at + row * w));
  PUT(state, c, r->c_at + row * w);
  if (r->has_saved) {
    PUT(i, saved, s);
    PUT(f, saved, s + w);
    PUT(m, saved, s + 2 * w);
    PUT(o, saved, s + 3 * w);
    PUT(state, saved, s + 4 * w);
  }
  *output = o;
  return state;
}

// The cell on a block of units of one row.
inline void cell_forward(
    const Recurrent *r, const V *g, int at, int row, int unit, int n, global const float *gates,
    global const float *before, int before_at, global float *c, global float *y,
    global float *saved) {
  const int w = r->width;
  const int x = r->gates_at + at * r->gates * w, s = r->saved_at + at * r->saved_blocks * w;
  V h;
  if (r->cell == LSTM) {
    V output;
    const V state = lstm_state(r, g, at, row, unit, n, gates, c, saved, &output);
    h = output * squash(state);
  } else if (r->cell == GRU) {
    const V q = logistic(AT(gates, x) + g[0]), z = logistic(AT(gates, x + w) + g[1]);
    const V m = squash(fma(q, g[2], AT(gates, x + 2 * w)));
    h = fma(z, AT(before, before_at) - m, m);
    if (r->has_saved) {
      PUT(q, saved, s);
      PUT(z, saved, s + w);
      PUT(m, saved, s + 2 * w);
      PUT(g[2], saved, s + 3 * w);
    }
  } else {
    const V sum = AT(gates, x) + g[0];
    h = r->cell == RNN_TANH ? squash(sum) : select(sum, (V)(0.0f), sum < (V)(0.0f));
  }
  PUT(h, y, r->y_at + at * w);
}

// Stores the gradient of a gate, and adds it to the sum over the steps of its row.
inline void put_gradient(
    const Recurrent *r, V gradient, global float *to, int at, global float *sums, int sum_at, int unit,
    int n) {
  PUT(gradient, to, at);
  if (r->has_bias) PUT(AT(sums, sum_at) + gradient, sums, sum_at);
}

// The gradients of the gates of a block of units; what the product with W adds to `dh` comes later.
inline void cell_backward(
    const Recurrent *r, int at, int before, int row, int unit, int n, global const float *y,
    global const float *saved, global const float *h0, global const float *c0,
    global const float *dy, global float *dh, global float *dc, global float *dgates,
    global float *products, global float *reset, global float *previous, global float *sums) {
  const int w = r->width;
  const int s = r->saved_at + at * r->saved_blocks * w, x = r->dgates_at + at * r->gates * w;
  const int state = r->dh_at + row * w, sum = row * r->gates * w;
  const V total = AT(dy, r->dy_at + at * w) + AT(dh, state);
  const V h = before < 0 ? AT(h0, r->h0_at + row * w) : AT(y, r->y_at + before * w);
  PUT(h, previous, at * w);
  if (r->cell == LSTM) {
    const V i = AT(saved, s), f = AT(saved, s + w), m = AT(saved, s + 2 * w);
    const V o = AT(saved, s + 3 * w), t = squash(AT(saved, s + 4 * w));
    const V c = before < 0 ? AT(c0, r->c0_at + row * w)
                           : AT(saved, r->saved_at + (before * r->saved_blocks + 4) * w);
    const V d = fma(total * o, squash_slope(t), AT(dc, r->dc_at + row * w));
    put_gradient(r, d * m * logistic_slope(i), dgates, x, sums, sum, unit, n);
    put_gradient(r, d * c * logistic_slope(f), dgates, x + w, sums, sum + w, unit, n);
    put_gradient(r, d * i * squash_slope(m), dgates, x + 2 * w, sums, sum + 2 * w, unit, n);
    put_gradient(
        r, total * t * logistic_slope(o), dgates, x + 3 * w, sums, sum + 3 * w, unit, n);
    PUT(d * f, dc, r->dc_at + row * w);
  } else if (r->cell == GRU) {
    // A step's gradients of the product last until it has gone back.
    const int p = row * r->gates * w;
    const V q = AT(saved, s), z = AT(saved, s + w), m = AT(saved, s + 2 * w);
    const V dm = total * ((V)(1.0f) - z) * squash_slope(m);
    const V dz = total * (h - m) * logistic_slope(z);
    const V dq = dm * AT(saved, s + 3 * w) * logistic_slope(q);
    PUT(dq, dgates, x);
    PUT(dz, dgates, x + w);
    PUT(dm, dgates, x + 2 * w);
    put_gradient(r, dq, products, p, sums, sum, unit, n);
    put_gradient(r, dz, products, p + w, sums, sum + w, unit, n);
    put_gradient(r, dm * q, products, p + 2 * w, sums, sum + 2 * w, unit, n);
    PUT(dm * q, reset, at * w);
    PUT(total * z, dh, state);
  } else {
    const V v = AT(y, r->y_at + at * w);
    const V d = r->cell == RNN_TANH ? total * squash_slope(v)
                                    : select((V)(0.0f), total, v > (V)(0.0f));
    put_gradient(r, d, dgates, x, sums, sum, unit, n);
  }
}

// A step beyond the length of a row leaves zeros.
inline void clear_forward(
    const Recurrent *r, int at, int unit, int n, global float *y, global float *saved) {
  PUT((V)(0.0f), y, r->y_at + at * r->width);
  if (r->has_saved)
    for (int b = 0; b < r->saved_blocks; ++b)
      PUT((V)(0.0f), saved, r->saved_at + (at * r->saved_blocks + b) * r->width);
}
inline void clear_backward(
    const Recurrent *r, int at, int unit, int n, global float *dgates, global float *reset,
    global float *previous) {
  PUT((V)(0.0f), previous, at * r->width);
  if (r->cell == GRU) PUT((V)(0.0f), reset, at * r->width);
  for (int b = 0; b < r->gates; ++b)
    PUT((V)(0.0f), dgates, r->dgates_at + (at * r->gates + b) * r->width);
}

// The row of the table of the product's gradients: a GRU has one for a step at a time.
inline int gradient_row(const Recurrent *r, int t, int row) {
  return r->cell == GRU ? row : t * r->rows + row;
}
