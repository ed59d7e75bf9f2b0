import ApusDevice

extension Tensor {
  /// A view of positions `start..<end` of an axis, every `step`-th. Negative positions count from the
  /// end; positions beyond the end are cut, as in Python.
  public func slice(axis: Int, start: Int = 0, end: Int? = nil, step: Int = 1) throws -> Tensor {
    let index = try ShapeRule.axis(axis, rank: rank, "slice")
    guard step > 0 else {
      throw ApusError(.value, operation: "slice", "step is \(step); it must be positive")
    }
    let extent = shape[index]
    func limited(_ position: Int) -> Int {
      Swift.min(Swift.max(position < 0 ? position + extent : position, 0), extent)
    }
    let first = limited(start)
    let length = Swift.max(limited(end ?? extent) - first, 0)
    return try sliced(index, first, (length + step - 1) / step, step)
  }

  private func sliced(_ axis: Int, _ start: Int, _ length: Int, _ step: Int) throws -> Tensor {
    if length == shape[axis] { return self }
    let out = viewed(
      operand.layout.sliced(axis: axis, start: start, length: length, step: step))
    guard let tape = try Tape.watching(self) else { return out }
    let original = shape
    return try tape.record(out, from: [self]) { dy in
      let dx = try Tensor.zeros(original, dtype: dy.dtype, on: dy.device)
      guard dy.count > 0 else { return [dx] }
      let part = dx.operand.layout.sliced(axis: axis, start: start, length: length, step: step)
      try dy.device.backend.enqueue(
        Command(.copy, inputs: [dy.operand], outputs: [dx.operand.with(part)]))
      return [dx]
    }
  }

  /// The part at one position of an axis, without that axis.
  public func select(axis: Int, index: Int) throws -> Tensor {
    let axis = try ShapeRule.axis(axis, rank: rank, "select")
    let position = index < 0 ? index + shape[axis] : index
    guard position >= 0, position < shape[axis] else {
      throw ApusError(
        .value, operation: "select",
        "index \(index) is outside axis \(axis) with extent \(shape[axis])")
    }
    return try sliced(axis, position, 1, 1).squeezed(axis: axis)
  }

  /// Views by integers and ranges, one per leading axis: `x[0]`, `x[1..<3, 2]`, `x[0..., -1]`. An
  /// integer removes its axis.
  public subscript(_ indices: any TensorIndex...) -> Tensor {
    get throws {
      guard indices.count <= rank else {
        throw ApusError(
          .value, operation: "subscript", "\(indices.count) indices for shape \(shape)")
      }
      var result = self
      var axis = 0
      for index in indices {
        switch index.position(in: result.shape[axis]) {
        case .at(let position): result = try result.select(axis: axis, index: position)
        case .range(let start, let end):
          result = try result.slice(axis: axis, start: start, end: end)
          axis += 1
        }
      }
      return result
    }
  }
}

/// What a tensor can be subscripted with.
public protocol TensorIndex: Sendable {
  func position(in extent: Int) -> TensorPosition
}

/// An index resolved against an axis.
public enum TensorPosition: Sendable {
  case at(Int)
  case range(Int, Int)
}

extension Int: TensorIndex {
  public func position(in extent: Int) -> TensorPosition { .at(self) }
}
extension Range<Int>: TensorIndex {
  public func position(in extent: Int) -> TensorPosition { .range(lowerBound, upperBound) }
}
extension ClosedRange<Int>: TensorIndex {
  public func position(in extent: Int) -> TensorPosition {
    .range(lowerBound, upperBound == -1 || upperBound == .max ? extent : upperBound + 1)
  }
}
extension PartialRangeFrom<Int>: TensorIndex {
  public func position(in extent: Int) -> TensorPosition { .range(lowerBound, extent) }
}
extension PartialRangeUpTo<Int>: TensorIndex {
  public func position(in extent: Int) -> TensorPosition { .range(0, upperBound) }
}
extension PartialRangeThrough<Int>: TensorIndex {
  public func position(in extent: Int) -> TensorPosition {
    .range(0, upperBound == -1 || upperBound == .max ? extent : upperBound + 1)
  }
}
