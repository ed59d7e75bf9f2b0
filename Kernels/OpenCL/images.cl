// The walk over images that pooling, resizing, depthwise convolutions and normalisations share.
// Lanes lie along the channels, whose stride is 1 where images are NHWC; other orders work and are
// slower.
//
// CPU kinds: a work-item takes rows of the image, pixel after pixel, in blocks of 16 channels.
// GPU kinds: a work-item takes single elements, neighbours next to each other.

// What is walked.
typedef struct {
  int images, height, width, channels, chunk;
} Grid;

// Where an image lies, in elements.
typedef struct {
  int offset, image, channel, row, column;
} Place;

// The element of channel 0.
inline int pixel_at(const Place *p, int n, int h, int w) {
  return p->offset + n * p->image + h * p->row + w * p->column;
}

// Runs its body for the pixels (n, h, w) of a grid, `lanes` channels from `c` on at a time.
#if APUS_GPU
#define FOR_PIXELS(grid)                                                                  \
  for (int i_ = get_global_id(0), count_ = grid.images * grid.height * grid.width * grid.channels; \
       i_ < count_; i_ += get_global_size(0)) {                                           \
    const int lanes = 1, c = i_ % grid.channels, w = i_ / grid.channels % grid.width;     \
    const int h = i_ / grid.channels / grid.width % grid.height;                          \
    const int n = i_ / grid.channels / grid.width / grid.height;
#define END_PIXELS }
// The same in the order in which `place` lies: neighbours write next to each other.
#define FOR_PIXELS_OF(grid, place)                                                        \
  for (int i_ = get_global_id(0), area_ = grid.height * grid.width,                       \
           count_ = grid.images * area_ * grid.channels;                                  \
       i_ < count_; i_ += get_global_size(0)) {                                           \
    const int is_planar_ = place.column == 1 && place.channel != 1;                       \
    const int lanes = 1, n = i_ / area_ / grid.channels;                                  \
    const int c = (is_planar_ ? i_ / area_ : i_) % grid.channels;                         \
    const int pixel_ = (is_planar_ ? i_ : i_ / grid.channels) % area_;                    \
    const int h = pixel_ / grid.width, w = pixel_ - h * grid.width;
#else
#define FOR_PIXELS(grid)                                                                  \
  for (int row_ = (int)get_global_id(0) * grid.chunk,                                     \
           last_ = min(row_ + grid.chunk, grid.images * grid.height);                     \
       row_ < last_; ++row_) {                                                            \
    const int n = row_ / grid.height, h = row_ - n * grid.height;                         \
    for (int w = 0; w < grid.width; ++w)                                                  \
      for (int c = 0; c < grid.channels; c += LANES) {                                    \
        const int lanes = min(LANES, grid.channels - c);
#define END_PIXELS }}
#define FOR_PIXELS_OF(grid, place) FOR_PIXELS(grid)
#endif

// The window of a convolution or pooling.
typedef struct {
  int height, width, stride_h, stride_w, dilation_h, dilation_w, top, left;
} Frame;

// Comparisons are -1 in vectors and 1 in scalars; `select` of scalars takes any.
#if APUS_GPU
#define TRUTH(c) ((c) != 0)
#else
#define TRUTH(c) (c)
#endif
