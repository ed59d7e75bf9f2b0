/// How a logical row-major index maps to an element of a storage: shape, strides and offset, all in
/// elements.
///
/// A stride of 0 repeats an element (broadcasting). Strides are never negative. Rank 0 is a scalar.
public struct Layout: Sendable, Hashable {
  /// The largest rank a device must support.
  public static let maximumRank = 8

  public let shape: [Int]
  public let strides: [Int]
  public let offset: Int

  public init(shape: [Int], strides: [Int], offset: Int) {
    self.shape = shape
    self.strides = strides
    self.offset = offset
  }

  /// The row-major layout of `shape` without gaps.
  public init(contiguous shape: [Int], offset: Int = 0) {
    self.init(shape: shape, strides: Layout.rowMajorStrides(of: shape), offset: offset)
  }

  /// `[N, C, H, W]` with the channels of a pixel next to each other, then the pixels of a row.
  public init(channelsLast shape: [Int]) {
    let row = shape[1] * shape[3]
    self.init(shape: shape, strides: [row * shape[2], 1, row, shape[1]], offset: 0)
  }

  public var rank: Int { shape.count }

  /// The number of logical elements; 1 for a scalar, 0 where an extent is 0.
  public var count: Int {
    var product = 1
    for extent in shape { product *= extent }
    return product
  }

  /// Whether the elements lie in row-major order without gaps (axes of extent 1 do not matter).
  public var isContiguous: Bool {
    var expected = 1
    for axis in stride(from: shape.count - 1, through: 0, by: -1) {
      let extent = shape[axis]
      if extent == 0 { return true }
      if extent != 1 {
        if strides[axis] != expected { return false }
        expected *= extent
      }
    }
    return true
  }

  /// Whether the elements of `[N, C, H, W]` lie in `NHWC` order without gaps.
  public var isChannelsLast: Bool {
    guard rank == 4 else { return false }
    let (n, c, h, w) = (shape[0], shape[1], shape[2], shape[3])
    if n == 0 || c == 0 || h == 0 || w == 0 { return true }
    return (c == 1 || strides[1] == 1) && (w == 1 || strides[3] == c)
      && (h == 1 || strides[2] == c * w) && (n == 1 || strides[0] == c * w * h)
  }

  /// Whether the elements of a row of `[N, C, H, W]` lie next to each other, wherever the rows are.
  public var hasDenseRows: Bool { rank == 4 && (strides[3] == 1 || shape[3] == 1) }

  /// Whether the pixels of a plane of `[N, C, H, W]` are all one element, as in the gradient of a sum.
  public var repeatsPixels: Bool {
    rank == 4 && (strides[2] == 0 || shape[2] == 1) && (strides[3] == 0 || shape[3] == 1)
  }

  /// One past the last element reached, counted from the start of the storage; 0 when empty.
  public var end: Int {
    var last = offset
    for (extent, stride) in zip(shape, strides) {
      if extent == 0 { return 0 }
      last += (extent - 1) * stride
    }
    return last + 1
  }

  public static func rowMajorStrides(of shape: [Int]) -> [Int] {
    // An empty array made in place would write to the storage that all empty arrays share.
    if shape.isEmpty { return [] }
    return [Int](unsafeUninitializedCapacity: shape.count) { buffer, count in
      var stride = 1
      for axis in Swift.stride(from: shape.count - 1, through: 0, by: -1) {
        buffer[axis] = stride
        stride *= Swift.max(shape[axis], 1)
      }
      count = shape.count
    }
  }

  /// The same elements with axes in the order `axes` (a permutation of `0..<rank`).
  public func permuted(_ axes: [Int]) -> Layout {
    Layout(shape: axes.map { shape[$0] }, strides: axes.map { strides[$0] }, offset: offset)
  }

  /// The axes from the longest step to the shortest; those that repeat elements come first, for vectors
  /// run along the last.
  public var axesInMemoryOrder: [Int] {
    let axes = shape.indices
    func step(_ axis: Int) -> Int { strides[axis] == 0 ? .max : strides[axis] }
    // Where an axis of extent 1 stands does not matter.
    return axes.filter { shape[$0] == 1 }
      + axes.filter { shape[$0] != 1 }.sorted {
        step($0) != step($1) ? step($0) > step($1) : $0 < $1
      }
  }

  /// The layout repeated to `target` by NumPy's rules; the caller has checked that it fits.
  public func broadcast(to target: [Int]) -> Layout {
    if shape == target { return self }
    let missing = target.count - shape.count
    var result = [Int](repeating: 0, count: target.count)
    for axis in shape.indices where shape[axis] == target[axis + missing] {
      result[axis + missing] = shape[axis] == 1 ? 0 : strides[axis]
    }
    return Layout(shape: target, strides: result, offset: offset)
  }

  /// The part `start..<start + length * step` of `axis`, every `step`-th element; checked by the
  /// caller.
  public func sliced(axis: Int, start: Int, length: Int, step: Int = 1) -> Layout {
    var shape = shape
    var strides = strides
    shape[axis] = length
    let moved = length == 0 ? offset : offset + start * strides[axis]
    strides[axis] *= step
    return Layout(shape: shape, strides: strides, offset: moved)
  }

  /// The same elements seen as `target` without a copy, or nil where the strides forbid it.
  public func reshaped(to target: [Int]) -> Layout? {
    if isContiguous { return Layout(contiguous: target, offset: offset) }
    // NumPy's rule: walk both shapes in groups of equal product; within a group the source axes must
    // be dense in each other, then the group may be cut anew.
    let axes = shape.indices.filter { shape[$0] != 1 }
    let extents = axes.map { shape[$0] }
    let steps = axes.map { strides[$0] }
    var result = [Int](repeating: 0, count: target.count)
    var source = 0
    var next = 0
    while next < target.count && source < extents.count {
      var targetEnd = next + 1
      var sourceEnd = source + 1
      var wanted = target[next]
      var given = extents[source]
      while wanted != given {
        if wanted < given {
          guard targetEnd < target.count else { return nil }
          wanted *= target[targetEnd]
          targetEnd += 1
        } else {
          guard sourceEnd < extents.count else { return nil }
          given *= extents[sourceEnd]
          sourceEnd += 1
        }
      }
      for axis in source..<(sourceEnd - 1)
      where steps[axis] != extents[axis + 1] * steps[axis + 1] {
        return nil
      }
      var step = steps[sourceEnd - 1]
      for axis in Swift.stride(from: targetEnd - 1, through: next, by: -1) {
        result[axis] = step
        step *= target[axis]
      }
      next = targetEnd
      source = sourceEnd
    }
    for axis in Swift.min(next, target.count)..<target.count { result[axis] = 1 }
    return Layout(shape: target, strides: result, offset: offset)
  }
}
