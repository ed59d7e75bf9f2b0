// Recurrent layers of few rows on CPU kinds, whose passes over some units of some rows are those of
// recurrent_cpu.cl.
//
// Few rows alone would read all of W for little work. Then the work-items go through the steps together,
// each with blocks of units of its own, whose weights stay in its cache. A work-item takes a block by
// advancing its mark from this phase to the next; blocks that another has not begun after a while are
// taken too, so that one work-item alone finishes as well. `marks`: finished blocks of all phases, then
// the next phase of each block, on lines of the cache of their own; zeros at the start.

#if !APUS_GPU

#define MARK_STEP 16

// The next block of a phase to do, or -1 when all are done.
inline int take_block(
    volatile global int *marks, int blocks, int phase, int first, int last, int *patience) {
  for (int spin = 0;; ++spin) {
    if (marks[0] >= (phase + 1) * blocks) {
      mem_fence(CLK_GLOBAL_MEM_FENCE);
      return -1;
    }
    const int all = spin > *patience;
    for (int block = all ? 0 : first; block < (all ? blocks : last); ++block) {
      volatile global int *mark = marks + (1 + block) * MARK_STEP;
      if (*mark == phase && atomic_cmpxchg(mark, phase, phase + 1) == phase) {
        // Weights of others are far away, but who was late once has no core to itself.
        if (block < first || block >= last) *patience = 100;
        return block;
      }
    }
  }
}
#define FOR_MARKED_BLOCKS(phase)                                                             \
  for (int block; (block = take_block(marks, blocks, phase, first, last, &patience)) >= 0;) { \
    const int from = block * r.block_units, to = min(from + r.block_units, r.width);
#define END_MARKED_BLOCKS                \
    mem_fence(CLK_GLOBAL_MEM_FENCE);     \
    atomic_inc(marks);                   \
  }
#define TEAM_SHARE                                                                           \
  const int blocks = (r.width + r.block_units - 1) / r.block_units;                          \
  const int me = get_global_id(0), team = get_global_size(0);                                \
  const int first = me * blocks / team, last = (me + 1) * blocks / team;                     \
  int patience = 20000;

// The panels of the units `from ..< to`.
inline void pack_units(
    const Recurrent *r, int backward, int from, int to, global const float *weight,
    global float *packed) {
  const int units = panel_units(r, backward);
  for (int panel = from / units; panel * units < to; ++panel)
    pack_panel(r, backward, panel, weight, packed + panel * panel_size(r, backward));
}

// The first phase packs: those that compute with a panel later are mostly those that packed it.
ALONE void recurrent_forward_team(
    const Recurrent r, global const float *gates, global const float *weight, global float *packed,
    global const float *bias, global const float *h0, global const float *c0,
    global const int *lengths, global float *y, global float *c, global float *saved,
    global float *hn, volatile global int *marks) {
  TEAM_SHARE
  FOR_MARKED_BLOCKS(0)
    begin_forward(&r, 0, r.rows, from, to, c0, c);
    pack_units(&r, 0, from, to, weight, packed);
  END_MARKED_BLOCKS
  for (int index = 0; index < r.steps; ++index)
    FOR_MARKED_BLOCKS(1 + index)
      step_forward(
          &r, r.reversed ? r.steps - 1 - index : index, 0, r.rows, from, to, gates, packed, bias, h0,
          lengths, y, c, saved);
    END_MARKED_BLOCKS
  FOR_MARKED_BLOCKS(1 + r.steps)
    end_forward(&r, 0, r.rows, from, to, h0, lengths, y, hn);
  END_MARKED_BLOCKS
}

ALONE void recurrent_backward_team(
    const Recurrent r, global const float *weight, global float *packed, global const float *h0,
    global const float *c0, global const int *lengths, global const float *y,
    global const float *saved, global const float *dy, global const float *dhn,
    global const float *dcn, global float *dh, global float *dc, global float *dgates,
    global float *products, global float *reset, global float *previous, global float *sums,
    volatile global int *marks) {
  TEAM_SHARE
  global const float *gradients = r.cell == GRU ? products : dgates + r.dgates_at;
  FOR_MARKED_BLOCKS(0)
    begin_backward(&r, 0, r.rows, from, to, dhn, dcn, dh, dc, sums);
    pack_units(&r, 1, from, to, weight, packed);
  END_MARKED_BLOCKS
  for (int index = 0; index < r.steps; ++index) {
    const int t = r.reversed ? index : r.steps - 1 - index;
    FOR_MARKED_BLOCKS(1 + 2 * index)
      step_gates(
          &r, t, 0, r.rows, from, to, h0, c0, lengths, y, saved, dy, dh, dc, dgates, products,
          reset, previous, sums);
    END_MARKED_BLOCKS
    FOR_MARKED_BLOCKS(2 + 2 * index)
      step_state(&r, t, 0, r.rows, from, to, packed, lengths, gradients, dh);
    END_MARKED_BLOCKS
  }
}
#endif
