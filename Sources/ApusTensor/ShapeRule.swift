import ApusDevice

/// Pure rules about shapes; each throws an error that names operation, shapes and rule.
enum ShapeRule {
  /// The number of elements of a shape.
  static func count(_ shape: [Int], _ operation: String) throws -> Int {
    guard shape.count <= Layout.maximumRank else {
      throw ApusError(
        .shape, operation: operation,
        "shape \(shape) has \(shape.count) axes; at most \(Layout.maximumRank) are supported")
    }
    var count = 1
    for extent in shape {
      guard extent >= 0 else {
        throw ApusError(.shape, operation: operation, "shape \(shape) has a negative extent")
      }
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow, product < 1 << 40 else {
        throw ApusError(
          .shape, operation: operation, "shape \(shape) has more elements than can be addressed")
      }
      count = product
    }
    return count
  }

  /// The shape both broadcast to by NumPy's rules: aligned at the last axis, extents equal or 1.
  static func broadcast(_ a: [Int], _ b: [Int], _ operation: @autoclosure () -> String) throws
    -> [Int]
  {
    if a == b { return a }
    let (long, short) = a.count >= b.count ? (a, b) : (b, a)
    var result = long
    let missing = long.count - short.count
    for axis in short.indices {
      let (x, y) = (long[axis + missing], short[axis])
      if x == y || y == 1 { continue }
      guard x == 1 else {
        throw ApusError(
          .shape, operation: operation(),
          "shapes \(a) and \(b) do not broadcast: aligned at the last axis, extents must be equal "
            + "or 1, and axis \(axis + missing) has \(x) and \(y)")
      }
      result[axis + missing] = y
    }
    return result
  }

  /// `axis` counted from the front; negative counts from the end.
  static func axis(_ axis: Int, rank: Int, _ operation: @autoclosure () -> String) throws -> Int {
    let index = axis < 0 ? axis + rank : axis
    guard index >= 0, index < rank else {
      throw ApusError(
        .value, operation: operation(),
        rank == 0
          ? "axis \(axis) does not exist: a scalar has no axes"
          : "axis \(axis) is outside \(-rank)...\(rank - 1) of a tensor with \(rank) axes")
    }
    return index
  }

  /// Ascending axes, all of them for nil.
  static func axes(_ axes: [Int]?, rank: Int, _ operation: String) throws -> [Int] {
    guard let axes else { return Array(0..<rank) }
    let result = try axes.map { try axis($0, rank: rank, operation) }.sorted()
    for (a, b) in zip(result, result.dropFirst()) where a == b {
      throw ApusError(.value, operation: operation, "axis \(a) is named twice in \(axes)")
    }
    return result
  }
}
