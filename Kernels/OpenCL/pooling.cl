// Pooling and its gradients, and resizing of images (see images.cl). Every kernel gathers: a gradient
// asks which windows hold its pixel, so that nothing is added to shared memory and sums keep their
// order.

// The largest of each window and, where wanted, its place h * width + w. NaN counts as largest.
kernel void max_pool(
    const Grid grid, const Place at_x, const Place at_out, const Place at_indices, const Frame f,
    global const float *x, global float *out, global int *indices, int height, int width,
    int has_indices) {
  FOR_PIXELS(grid)
    V best = (V)(0.0f);
    VI where = (VI)(0);
    int is_first = 1;
    for (int i = 0; i < f.height; ++i) {
      const int y = h * f.stride_h - f.top + i * f.dilation_h;
      if (y < 0 || y >= height) continue;
      for (int j = 0; j < f.width; ++j) {
        const int z = w * f.stride_w - f.left + j * f.dilation_w;
        if (z < 0 || z >= width) continue;
        const V v = load_float(x, pixel_at(&at_x, n, y, z), at_x.channel, c, lanes);
        const VI is_larger = is_first ? (VI)(-1) : (v > best) | ((v != v) & (best == best));
        best = select(best, v, TRUTH(is_larger));
        where = select(where, (VI)(y * width + z), TRUTH(is_larger));
        is_first = 0;
      }
    }
    store_float(best, out, pixel_at(&at_out, n, h, w), at_out.channel, c, lanes);
    if (has_indices)
      store_int(
          where, indices, pixel_at(&at_indices, n, h, w), at_indices.channel, c, lanes);
  END_PIXELS
}

// The windows of `height` x `width` outputs that hold the pixel; the walk is over dx.
#define FOR_WINDOWS(height, width)                                      \
  for (int i = 0; i < f.height; ++i) {                                  \
    const int y_ = h + f.top - i * f.dilation_h, y = y_ / f.stride_h;   \
    if (y_ < 0 || y * f.stride_h != y_ || y >= height) continue;        \
    for (int j = 0; j < f.width; ++j) {                                 \
      const int z_ = w + f.left - j * f.dilation_w, z = z_ / f.stride_w; \
      if (z_ < 0 || z * f.stride_w != z_ || z >= width) continue;
#define END_WINDOWS }}

kernel void max_pool_backward(
    const Grid grid, const Place at_dy, const Place at_indices, const Place at_dx, const Frame f,
    global const float *dy, global const int *indices, global float *dx, int height, int width) {
  FOR_PIXELS(grid)
    V sum = (V)(0.0f);
    const VI here = (VI)(h * grid.width + w);
    FOR_WINDOWS(height, width)
      const V g = load_float(dy, pixel_at(&at_dy, n, y, z), at_dy.channel, c, lanes);
      const VI k = load_int(
          indices, pixel_at(&at_indices, n, y, z), at_indices.channel, c, lanes);
      sum += select((V)(0.0f), g, TRUTH(k == here));
    END_WINDOWS
    store_float(sum, dx, pixel_at(&at_dx, n, h, w), at_dx.channel, c, lanes);
  END_PIXELS
}

// Taps of the window at output `o` that count, along one axis.
inline int counted(int o, int taps, int stride, int dilation, int before, int low, int high) {
  int count = 0;
  for (int i = 0; i < taps; ++i) {
    const int at = o * stride - before + i * dilation;
    count += at >= low && at < high;
  }
  return count;
}

// `after_*` widen the image by the padding that counts (or by none, then `before_*` is 0 too).
typedef struct {
  int height, width, before_h, before_w, after_h, after_w;
} Extent;

inline float divisor(const Frame *f, const Extent *e, int h, int w) {
  return (float)(counted(h, f->height, f->stride_h, f->dilation_h, f->top, -e->before_h,
                         e->height + e->after_h)
                 * counted(w, f->width, f->stride_w, f->dilation_w, f->left, -e->before_w,
                           e->width + e->after_w));
}

kernel void average_pool(
    const Grid grid, const Place at_x, const Place at_out, const Frame f, const Extent e,
    global const float *x, global float *out) {
  FOR_PIXELS(grid)
    V sum = (V)(0.0f);
    for (int i = 0; i < f.height; ++i) {
      const int y = h * f.stride_h - f.top + i * f.dilation_h;
      if (y < 0 || y >= e.height) continue;
      for (int j = 0; j < f.width; ++j) {
        const int z = w * f.stride_w - f.left + j * f.dilation_w;
        if (z < 0 || z >= e.width) continue;
        sum += load_float(x, pixel_at(&at_x, n, y, z), at_x.channel, c, lanes);
      }
    }
    store_float(
        sum / divisor(&f, &e, h, w), out, pixel_at(&at_out, n, h, w), at_out.channel, c, lanes);
  END_PIXELS
}

kernel void average_pool_backward(
    const Grid grid, const Place at_dy, const Place at_dx, const Frame f, const Extent e,
    global const float *dy, global float *dx, int height, int width) {
  FOR_PIXELS(grid)
    V sum = (V)(0.0f);
    FOR_WINDOWS(height, width)
      sum += load_float(dy, pixel_at(&at_dy, n, y, z), at_dy.channel, c, lanes)
          / divisor(&f, &e, y, z);
    END_WINDOWS
    store_float(sum, dx, pixel_at(&at_dx, n, h, w), at_dx.channel, c, lanes);
  END_PIXELS
}

// The part of an axis of `from` that position `o` of `to` averages: begin and end.
inline int part_begin(int o, int from, int to) { return (int)((long)o * from / to); }
inline int part_end(int o, int from, int to) {
  return (int)(((long)(o + 1) * from + to - 1) / to);
}

kernel void adaptive_pool(
    const Grid grid, const Place at_x, const Place at_out, global const float *x,
    global float *out, int height, int width) {
  FOR_PIXELS(grid)
    const int top = part_begin(h, height, grid.height), bottom = part_end(h, height, grid.height);
    const int left = part_begin(w, width, grid.width), right = part_end(w, width, grid.width);
    V sum = (V)(0.0f);
    for (int y = top; y < bottom; ++y)
      for (int z = left; z < right; ++z)
        sum += load_float(x, pixel_at(&at_x, n, y, z), at_x.channel, c, lanes);
    store_float(
        sum / (float)((bottom - top) * (right - left)), out, pixel_at(&at_out, n, h, w),
        at_out.channel, c, lanes);
  END_PIXELS
}

kernel void adaptive_pool_backward(
    const Grid grid, const Place at_dy, const Place at_dx, global const float *dy,
    global float *dx, int height, int width) {
  FOR_PIXELS(grid)
    // The outputs whose part holds this pixel are again a part, seen from the other side.
    const int top = part_begin(h, height, grid.height), bottom = part_end(h, height, grid.height);
    const int left = part_begin(w, width, grid.width), right = part_end(w, width, grid.width);
    V sum = (V)(0.0f);
    for (int y = top; y < bottom; ++y)
      for (int z = left; z < right; ++z)
        sum += load_float(dy, pixel_at(&at_dy, n, y, z), at_dy.channel, c, lanes)
            / (float)((part_end(y, grid.height, height) - part_begin(y, grid.height, height))
                      * (part_end(z, grid.width, width) - part_begin(z, grid.width, width)));
    store_float(sum, dx, pixel_at(&at_dx, n, h, w), at_dx.channel, c, lanes);
  END_PIXELS
}

// Resizing by a table for each output position of an axis: rows first, then columns, as
// { first neighbour, second neighbour } and the share of the second.
kernel void resize(
    const Grid grid, const Place at_x, const Place at_out, global const float *x,
    global float *out, global const int *neighbours, global const float *shares) {
  FOR_PIXELS(grid)
    const int k = grid.height + w;
    const int y0 = neighbours[2 * h], y1 = neighbours[2 * h + 1];
    const int z0 = neighbours[2 * k], z1 = neighbours[2 * k + 1];
    const float u = shares[h], v = shares[k];
    V top = load_float(x, pixel_at(&at_x, n, y0, z0), at_x.channel, c, lanes);
    if (u != 0.0f || v != 0.0f) {
      V bottom = load_float(x, pixel_at(&at_x, n, y1, z0), at_x.channel, c, lanes);
      V top_right = load_float(x, pixel_at(&at_x, n, y0, z1), at_x.channel, c, lanes);
      V bottom_right = load_float(x, pixel_at(&at_x, n, y1, z1), at_x.channel, c, lanes);
      top = top * (1.0f - u) + bottom * u;
      bottom = top_right * (1.0f - u) + bottom_right * u;
      top = top * (1.0f - v) + bottom * v;
    }
    store_float(top, out, pixel_at(&at_out, n, h, w), at_out.channel, c, lanes);
  END_PIXELS
}

// `ranges` names, for each row and then each column of dx, the first of the outputs that may look at
// it and the one after the last.
kernel void resize_backward(
    const Grid grid, const Place at_dy, const Place at_dx, global const float *dy,
    global float *dx, global const int *neighbours, global const float *shares,
    global const int *ranges, int height) {
  FOR_PIXELS(grid)
    const int k = grid.height + w;
    V sum = (V)(0.0f);
    for (int y = ranges[2 * h]; y < ranges[2 * h + 1]; ++y) {
      const float u = (neighbours[2 * y] == h ? 1.0f - shares[y] : 0.0f)
          + (neighbours[2 * y + 1] == h ? shares[y] : 0.0f);
      V line = (V)(0.0f);
      for (int z = ranges[2 * k]; z < ranges[2 * k + 1]; ++z) {
        const int at = height + z;
        const float v = (neighbours[2 * at] == w ? 1.0f - shares[at] : 0.0f)
            + (neighbours[2 * at + 1] == w ? shares[at] : 0.0f);
        if (v != 0.0f)
          line += load_float(dy, pixel_at(&at_dy, n, y, z), at_dy.channel, c, lanes) * v;
      }
      sum += line * u;
    }
    store_float(sum, dx, pixel_at(&at_dx, n, h, w), at_dx.channel, c, lanes);
  END_PIXELS
}
