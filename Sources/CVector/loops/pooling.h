// Pooling and resizing of one output pixel; vectors run over channels (NHWC).

/// The largest of a window of `rows × columns` pixels, `row` and `column` floats apart, and where it
/// is: pixel `at` is the first, `at_row` and `at_column` number the next ones. A NaN is the largest.
static void max_pixel(
    const float *x, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t row, ptrdiff_t column, int32_t at,
    int32_t at_row, int32_t at_column, ptrdiff_t channels, float *out, int32_t *indices) {
  for (ptrdiff_t c = 0; c < channels; c += VL) {
    const ptrdiff_t here = channels - c < VL ? channels - c : VL;
    VF largest = here == VL ? load(x + c) : load_part(x + c, here, 0.0f);
    VI index = (VI)(at);
    for (ptrdiff_t i = 0; i < rows; i++)
      for (ptrdiff_t j = i == 0 ? 1 : 0; j < columns; j++) {
        const float *from = x + i * row + j * column + c;
        const VF v = here == VL ? load(from) : load_part(from, here, 0.0f);
        const VI is_larger = (v > largest) | ((v != v) & (largest == largest));
        largest = is_larger ? v : largest;
        index = is_larger ? (VI)(at + (int32_t)i * at_row + (int32_t)j * at_column) : index;
      }
    if (here == VL) {
      store(out + c, largest);
      if (indices) memcpy(indices + c, &index, sizeof index);
    } else {
      store_part(out + c, largest, here);
      if (indices) memcpy(indices + c, &index, (size_t)here * sizeof(int32_t));
    }
  }
}

/// The sum of the gradients of those windows among `rows × columns` whose largest was pixel `at`;
/// `dy` and `indices` lie alike.
static void max_pixel_backward(
    const float *dy, const int32_t *indices, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t row,
    ptrdiff_t column, int32_t at, ptrdiff_t channels, float *dx) {
  for (ptrdiff_t c = 0; c < channels; c += VL) {
    const ptrdiff_t here = channels - c < VL ? channels - c : VL;
    VF sum = (VF)(0.0f);
    for (ptrdiff_t i = 0; i < rows; i++)
      for (ptrdiff_t j = 0; j < columns; j++) {
        const ptrdiff_t from = i * row + j * column + c;
        VI index = (VI)(-1);
        VF g;
        if (here == VL) {
          g = load(dy + from);
          index = load_int(indices + from);
        } else {
          g = load_part(dy + from, here, 0.0f);
          memcpy(&index, indices + from, (size_t)here * sizeof(int32_t));
        }
        sum += index == at ? g : (VF)(0.0f);
      }
    if (here == VL)
      store(dx + c, sum);
    else
      store_part(dx + c, sum, here);
  }
}

/// `out = Σ_i Σ_j y_weights[i] · x_weights[j] · x[i][j]`.
static void weighted_pixel(
    const float *x, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t row, ptrdiff_t column,
    const float *y_weights, const float *x_weights, ptrdiff_t channels, float *out) {
  for (ptrdiff_t c = 0; c < channels; c += VL) {
    const ptrdiff_t here = channels - c < VL ? channels - c : VL;
    VF sum = (VF)(0.0f);
    for (ptrdiff_t i = 0; i < rows; i++) {
      VF line = (VF)(0.0f);
      for (ptrdiff_t j = 0; j < columns; j++) {
        const float *from = x + i * row + j * column + c;
        const VF v = here == VL ? load(from) : load_part(from, here, 0.0f);
        line = fma_f((VF)(x_weights[j]), v, line);
      }
      sum = fma_f((VF)(y_weights[i]), line, sum);
    }
    if (here == VL)
      store(out + c, sum);
    else
      store_part(out + c, sum, here);
  }
}
