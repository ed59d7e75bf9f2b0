// Recurrent layers on CPU kinds. Rows do not depend on each other, so a work-item carries its part of
// them through all steps, in slices; nothing waits for anything (few rows: see recurrent_team.cl). It
// packs W for itself, for what another core has written is far away (see recurrent_panels.cl).

#if !APUS_GPU

// Runs its body for blocks of at most 16 units.
#define FOR_UNITS(first, last)                               \
  for (int unit = (first); unit < (last); unit += 16) {      \
    const int n = min(16, (last) - unit);
#define END_UNITS }

// Asks for what a cell reads and writes before the product that takes a while.
inline void ask_for_cell(
    const Recurrent *r, int at, int row, int unit, global const float *gates, global float *c,
    global float *y, global float *saved) {
#if APUS_PREFETCH
  const int w = r->width, by_gates = r->cell >= LSTM;
  for (int v = 0; v < r->vectors; ++v)
    PREFETCH(gates + r->gates_at + at * r->gates * w + unit + v * (by_gates ? w : 16), 0);
  for (int i = 0; i < (by_gates ? 16 : 64); i += 16) PREFETCH(y + r->y_at + at * w + unit + i, 1);
  if (r->cell == LSTM) PREFETCH(c + r->c_at + row * w + unit, 1);
  if (r->has_saved)
    for (int b = 0; b < r->saved_blocks; ++b)
      PREFETCH(saved + r->saved_at + (at * r->saved_blocks + b) * w + unit, 1);
#endif
}

// The cells of a tile. The new states wait for a second pass: what depends on one result would hold up
// the next row.
inline void lstm_rows(
    const Recurrent *r, int count, int t, const int *rows, int unit, int n, const float *sums,
    global const float *gates, global float *c, global float *y, global float *saved) {
  V states[TALL], outputs[TALL];
  for (int i = 0; i < count; ++i) {
    V g[4];
    for (int v = 0; v < 4; ++v) g[v] = vload16(i * 4 + v, sums);
    states[i] = lstm_state(
        r, g, t * r->rows + rows[i], rows[i], unit, n, gates, c, saved, outputs + i);
  }
  for (int i = 0; i < count; ++i)
    PUT(outputs[i] * squash(states[i]), y, r->y_at + (t * r->rows + rows[i]) * r->width);
}

// One step forward for some rows and the units `from ..< to`.
inline void step_forward(
    const Recurrent *r, int t, int begin, int end, int from, int to, global const float *gates,
    global const float *packed, global const float *bias, global const float *h0,
    global const int *lengths, global float *y, global float *c, global float *saved) {
  const int w = r->width, vectors = r->vectors;
  const int units = panel_units(r, 0), by_gates = units == 16;
  global const float *before[SLICE];
  int rows[SLICE];
  int count = 0;
  for (int row = begin; row < end; ++row) {
    const int length = length_of(r, lengths, row);
    if (t >= length) {
      FOR_UNITS(from, to)
        clear_forward(r, t * r->rows + row, unit, n, y, saved);
      END_UNITS
      continue;
    }
    const int earlier = row_before(r, t, row, length);
    before[count] = earlier < 0 ? h0 + r->h0_at + row * w : y + r->y_at + earlier * w;
    rows[count++] = row;
  }
  float sums[TALL * 64] __attribute__((aligned(64)));
  for (int first = from; first < to; first += units) {
    global const float *panel = packed + first / units * w * vectors * 16;
    for (int tile = 0, here; tile < count; tile += here) {
      here = tile_rows(count - tile);
      for (int v = 0; v < vectors; ++v) {
        const int unit = first + (by_gates ? 0 : 16 * v), n = clamp(w - unit, 0, 16);
        V start = (V)(0.0f);
        if (r->has_bias && n > 0) start = AT(bias, r->bias_at + (by_gates ? v * w : 0));
        for (int i = 0; i < here; ++i) vstore16(start, i * vectors + v, sums);
      }
      for (int i = 0; i < here; ++i)
        ask_for_cell(r, t * r->rows + rows[tile + i], rows[tile + i], first, gates, c, y, saved);
      multiply_tile(here, vectors, before + tile, panel, w, sums);
      if (r->cell == LSTM) {
        lstm_rows(r, here, t, rows + tile, first, min(16, w - first), sums, gates, c, y, saved);
        continue;
      }
      for (int i = 0; i < here; ++i) {
        const int row = rows[tile + i];
        FOR_UNITS(first, min(first + units, w))
          V g[4];
          for (int v = 0; v < r->gates; ++v)
            g[v] = vload16(i * vectors + (by_gates ? v : (unit - first) / 16), sums);
          cell_forward(
              r, g, t * r->rows + row, row, unit, n, gates, before[tile + i], 0, c, y, saved);
        END_UNITS
      }
    }
  }
}

// Asks for what the next row reads and writes.
inline void ask_for_gradients(
    const Recurrent *r, int at, int unit, global const float *saved, global const float *dy,
    global float *dgates, global float *previous) {
#if APUS_PREFETCH
  const int w = r->width;
  for (int b = 0; b < r->saved_blocks; ++b)
    PREFETCH(saved + r->saved_at + (at * r->saved_blocks + b) * w + unit, 0);
  for (int b = 0; b < r->gates; ++b)
    PREFETCH(dgates + r->dgates_at + (at * r->gates + b) * w + unit, 1);
  PREFETCH(dy + r->dy_at + at * w + unit, 0);
  PREFETCH(previous + at * w + unit, 1);
#endif
}

// The gradients of the gates of one step, for some rows and the units `from ..< to`.
inline void step_gates(
    const Recurrent *r, int t, int begin, int end, int from, int to, global const float *h0,
    global const float *c0, global const int *lengths, global const float *y,
    global const float *saved, global const float *dy, global float *dh, global float *dc,
    global float *dgates, global float *products, global float *reset, global float *previous,
    global float *sums) {
  for (int row = begin; row < end; ++row) {
    const int length = length_of(r, lengths, row), at = t * r->rows + row;
    const int before = row_before(r, t, row, length);
    FOR_UNITS(from, to)
      ask_for_gradients(r, at + 1, unit, saved, dy, dgates, previous);
      if (t >= length)
        clear_backward(r, at, unit, n, dgates, reset, previous);
      else
        cell_backward(
            r, at, before, row, unit, n, y, saved, h0, c0, dy, dh, dc, dgates, products, reset,
            previous, sums);
    END_UNITS
  }
}

// `dh = gradients W` of one step (plus what a GRU passes on itself), rows and units alike; `from` is a
// multiple of 64.
inline void step_state(
    const Recurrent *r, int t, int begin, int end, int from, int to, global const float *packed,
    global const int *lengths, global const float *gradients, global float *dh) {
  const int w = r->width, depth = r->gates * w;
  global const float *x[SLICE];
  int rows[SLICE];
  int count = 0;
  for (int row = begin; row < end; ++row)
    if (t < length_of(r, lengths, row)) {
      x[count] = gradients + gradient_row(r, t, row) * depth;
      rows[count++] = row;
    }
  float sums[TALL * 64] __attribute__((aligned(64)));
  for (int first = from; first < to; first += 64) {
    global const float *panel = packed + first * depth;
    for (int tile = 0, here; tile < count; tile += here) {
      here = tile_rows(count - tile);
      for (int i = 0; i < here * 4; ++i) vstore16((float16)(0.0f), i, sums);
      multiply_tile(here, 4, x + tile, panel, depth, sums);
      for (int i = 0; i < here; ++i) {
        const int at = r->dh_at + rows[tile + i] * w;
        FOR_UNITS(first, min(first + 64, w))
          V sum = vload16(i * 4 + (unit - first) / 16, sums);
          if (r->cell == GRU) sum += AT(dh, at);
          PUT(sum, dh, at);
        END_UNITS
      }
    }
  }
}

// What a forward pass begins with, the cell states, and what it ends with, the states after the last step
// of each row.
inline void begin_forward(
    const Recurrent *r, int begin, int end, int from, int to, global const float *c0,
    global float *c) {
  if (r->cell != LSTM) return;
  for (int row = begin; row < end; ++row) {
    FOR_UNITS(from, to)
      PUT(AT(c0, r->c0_at + row * r->width), c, r->c_at + row * r->width);
    END_UNITS
  }
}
inline void end_forward(
    const Recurrent *r, int begin, int end, int from, int to, global const float *h0,
    global const int *lengths, global const float *y, global float *hn) {
  for (int row = begin; row < end; ++row) {
    const int length = length_of(r, lengths, row), w = r->width;
    const int last = (r->reversed ? 0 : length - 1) * r->rows + row;
    FOR_UNITS(from, to)
      const V h = length == 0 ? AT(h0, r->h0_at + row * w) : AT(y, r->y_at + last * w);
      PUT(h, hn, r->hn_at + row * w);
    END_UNITS
  }
}

// What a backward pass begins with: the gradients of the last states, and sums of nothing.
inline void begin_backward(
    const Recurrent *r, int begin, int end, int from, int to, global const float *dhn,
    global const float *dcn, global float *dh, global float *dc, global float *sums) {
  for (int row = begin; row < end; ++row) {
    const int w = r->width;
    FOR_UNITS(from, to)
      PUT(AT(dhn, r->dhn_at + row * w), dh, r->dh_at + row * w);
      if (r->cell == LSTM) PUT(AT(dcn, r->dcn_at + row * w), dc, r->dc_at + row * w);
      if (r->has_bias)
        for (int b = 0; b < r->gates; ++b) PUT((V)(0.0f), sums, (row * r->gates + b) * w);
    END_UNITS
  }
}

#define ALONE kernel __attribute__((reqd_work_group_size(1, 1, 1))) WIDE

// Panels that all work-items share, where copies would take too much memory.
ALONE void recurrent_pack(
    const Recurrent r, int backward, global const float *weight, global float *packed) {
  const int panel = get_global_id(0);
  pack_panel(&r, backward, panel, weight, packed + panel * panel_size(&r, backward));
}

// A work-item's own panels.
inline global float *own_panels(
    const Recurrent *r, int backward, global const float *weight, global float *packed) {
  if (!r->has_copies || r->steps == 0) return packed;
  const int units = panel_units(r, backward), panels = (r->width + units - 1) / units;
  const int size = panel_size(r, backward);
  packed += (long)get_global_id(0) * panels * size;
  for (int panel = 0; panel < panels; ++panel)
    pack_panel(r, backward, panel, weight, packed + panel * size);
  return packed;
}

// Slices of the rows of a work-item, as even as they can be.
#define FOR_SLICES                                                                           \
  const int first_ = (long)get_global_id(0) * r.rows / get_global_size(0);                   \
  const int own_ = (int)((long)(get_global_id(0) + 1) * r.rows / get_global_size(0)) - first_; \
  const int slices_ = (own_ + SLICE - 1) / SLICE;                                            \
  for (int slice_ = 0; slice_ < slices_; ++slice_) {                                         \
    const int begin = first_ + (long)slice_ * own_ / slices_;                                \
    const int end = first_ + (long)(slice_ + 1) * own_ / slices_;
#define END_SLICES }

ALONE void recurrent_forward(
    const Recurrent r, global const float *gates, global const float *weight, global float *packed,
    global const float *bias, global const float *h0, global const float *c0,
    global const int *lengths, global float *y, global float *c, global float *saved,
    global float *hn) {
  global const float *panels = own_panels(&r, 0, weight, packed);
  FOR_SLICES
    begin_forward(&r, begin, end, 0, r.width, c0, c);
    for (int index = 0; index < r.steps; ++index)
      step_forward(
          &r, r.reversed ? r.steps - 1 - index : index, begin, end, 0, r.width, gates, panels, bias,
          h0, lengths, y, c, saved);
    end_forward(&r, begin, end, 0, r.width, h0, lengths, y, hn);
  END_SLICES
}

ALONE void recurrent_backward(
    const Recurrent r, global const float *weight, global float *packed, global const float *h0,
    global const float *c0, global const int *lengths, global const float *y,
    global const float *saved, global const float *dy, global const float *dhn,
    global const float *dcn, global float *dh, global float *dc, global float *dgates,
    global float *products, global float *reset, global float *previous, global float *sums) {
  global const float *panels = own_panels(&r, 1, weight, packed);
  global const float *gradients = r.cell == GRU ? products : dgates + r.dgates_at;
  FOR_SLICES
    begin_backward(&r, begin, end, 0, r.width, dhn, dcn, dh, dc, sums);
    for (int index = 0; index < r.steps; ++index) {
      const int t = r.reversed ? index : r.steps - 1 - index;
      step_gates(
          &r, t, begin, end, 0, r.width, h0, c0, lengths, y, saved, dy, dh, dc, dgates, products,
          reset, previous, sums);
      step_state(&r, t, begin, end, 0, r.width, panels, lengths, gradients, dh);
    }
  END_SLICES
}
#endif
