import ApusDevice
import CVector

extension CPUBackend {
  private func product(_ extents: ArraySlice<Int>) -> Int { extents.reduce(1, *) }

  /// - Throws: `ApusError` that names the first index outside `0..<extent`.
  private func checkIndices(_ indices: Operand, _ extent: Int, _ axis: Int, _ name: String) throws {
    let pointer = try words(indices)
    let bad = apus_first_outside(indices.count, pointer, extent)
    guard bad < 0 else {
      throw ApusError(
        .value, operation: name,
        """
        index \(pointer[bad]) at position \(bad) is outside 0..<\(extent), the extent of axis \
        \(axis)
        """)
    }
  }

  func take(_ axis: Int, _ x: Operand, _ indices: Operand, _ out: Operand) throws {
    try require(.int32, indices, "take")
    let inner = product(x.shape[(axis + 1)...])
    try reading(indices) { dense in
      try checkIndices(dense[0], x.shape[axis], axis, "take")
      func run(_ x: Operand, rowStride: Int) throws {
        try withContiguous(out) {
          apus_take(
            Int32(x.dtype.byteCount), product(x.shape[..<axis]), x.shape[axis], inner,
            dense[0].count, try pointer(x), x.shape[axis] * inner, rowStride, try words(dense[0]),
            try pointer($0))
        }
      }
      // Rows may lie anywhere as long as each is dense.
      let row = Layout(
        shape: Array(x.shape[(axis + 1)...]), strides: Array(x.layout.strides[(axis + 1)...]),
        offset: 0)
      if axis == 0 && row.isContiguous {
        try run(x, rowStride: x.layout.strides[0])
      } else {
        try reading(x) { try run($0[0], rowStride: inner) }
      }
    }
  }

  func indexAdd(
    _ axis: Int, _ x: Operand, _ indices: Operand, _ source: Operand, _ out: Operand
  ) throws {
    guard x.dtype == .float32 || x.dtype == .int32 else {
      throw unsupported("indexAdd", x.dtype, takes: "float32 and int32")
    }
    try require(.int32, indices, "indexAdd")
    try reading(indices, source) { dense in
      try checkIndices(dense[0], x.shape[axis], axis, "indexAdd")
      try withContiguous(out) {
        try move(x, $0)
        apus_index_add(
          x.dtype == .int32, product(x.shape[..<axis]), x.shape[axis],
          product(x.shape[(axis + 1)...]), dense[0].count, try words(dense[0]),
          try pointer(dense[1]), try pointer($0))
      }
    }
  }

  func gather(_ axis: Int, _ x: Operand, _ indices: Operand, _ out: Operand) throws {
    try require(.int32, indices, "gather")
    try checkRank(x, "gather")
    try reading(indices) { dense in
      try checkIndices(dense[0], x.shape[axis], axis, "gather")
      try withContiguous(out) {
        apus_gather(
          Int32(x.dtype.byteCount), Int32(x.layout.rank), indices.shape, Int32(axis),
          try pointer(x), x.layout.strides, try words(dense[0]), try pointer($0))
      }
    }
  }

  func scatterAdd(
    _ axis: Int, _ x: Operand, _ indices: Operand, _ source: Operand, _ out: Operand
  ) throws {
    guard x.dtype == .float32 || x.dtype == .int32 else {
      throw unsupported("scatterAdd", x.dtype, takes: "float32 and int32")
    }
    try require(.int32, indices, "scatterAdd")
    try checkRank(x, "scatterAdd")
    try reading(indices, source) { dense in
      try checkIndices(dense[0], x.shape[axis], axis, "scatterAdd")
      try move(x, out)
      apus_scatter_add(
        x.dtype == .int32, Int32(x.layout.rank), indices.shape, Int32(axis), try words(dense[0]),
        try pointer(dense[1]), try pointer(out), out.layout.strides)
    }
  }

  // MARK: Order along an axis

  func cumulativeSum(_ axis: Int, _ x: Operand, _ out: Operand) throws {
    guard x.dtype == .float32 || x.dtype == .int32 else {
      throw unsupported("cumulativeSum", x.dtype, takes: "float32 and int32")
    }
    try reading(x) { dense in
      try withContiguous(out) {
        apus_cumulative_sum(
          x.dtype == .int32, product(x.shape[..<axis]), x.shape[axis],
          product(x.shape[(axis + 1)...]), try pointer(dense[0]), try pointer($0))
      }
    }
  }

  /// The first `kept` of every sorted line.
  func sort(
    _ axis: Int, _ descending: Bool, kept: Int, _ x: Operand, _ values: Operand,
    _ positions: Operand
  ) throws {
    guard x.dtype == .float32 || x.dtype == .int32 else {
      throw unsupported("sort", x.dtype, takes: "float32 and int32")
    }
    let columns = x.shape[axis]
    guard columns > 0, kept > 0, x.count > 0 else { return }
    let rows = x.count / columns
    try reading(x.axisLast(axis)) { dense in
      try withContiguous(values.axisLast(axis)) { values in
        try withContiguous(positions.axisLast(axis)) { positions in
          try withScratch(apus_sort_parts(rows) * columns * 16) {
            guard let scratch = $0?.assumingMemoryBound(to: UInt64.self) else { return }
            apus_sort(
              x.dtype == .int32, descending, rows, columns, kept, try pointer(dense[0]),
              try pointer(values), try words(positions), scratch)
          }
        }
      }
    }
  }
}
