import ApusDevice

extension Tensor: CustomStringConvertible {
  /// The elements as NumPy prints them, long axes shortened, then type, shape and device. Waits for
  /// the device.
  public var description: String {
    let head = "Tensor(\(dtype)\(shape) on \(device))"
    do {
      let texts = try summary().texts()
      return count == 0 ? head : "\(texts)\n\(head)"
    } catch {
      return "\(head): \(error)"
    }
  }

  /// How many elements an axis shows at each end when the tensor is long.
  private static var edge: Int { 3 }

  private func summary() throws -> TensorText {
    let isShortened = count > 1000
    let kept = shape.map { extent in
      isShortened && extent > 2 * Self.edge
        ? Array(0..<Self.edge) + Array(extent - Self.edge..<extent) : Array(0..<extent)
    }
    var view = detached
    for (axis, positions) in kept.enumerated() where positions.count < shape[axis] {
      let indices = try Tensor(positions.map { Int32($0) }, on: device)
      view = try view.take(indices, axis: axis)
    }
    let numbers: [Double] =
      switch dtype {
      case .float64: try view.scalars(as: Double.self)
      case .float32, .float16, .bfloat16: try view.to(.float32).scalars().map(Double.init)
      case .int32: try view.scalars(as: Int32.self).map(Double.init)
      case .uint8: try view.scalars(as: UInt8.self).map(Double.init)
      case .bool: try view.scalars(as: Bool.self).map { $0 ? 1 : 0 }
      }
    return TensorText(numbers: numbers, shape: view.shape, full: shape, dtype: dtype)
  }
}

/// Lays numbers out in brackets, one row a line, in columns of equal width.
private struct TensorText {
  let numbers: [Double]
  let shape: [Int]
  let full: [Int]
  let dtype: DType

  func texts() -> String {
    let words = words()
    let width = words.map(\.count).max() ?? 0
    let padded = words.map { String(repeating: " ", count: width - $0.count) + $0 }
    var next = 0
    return lines(axis: 0, padded, &next)
  }

  private func words() -> [String] {
    if dtype == .bool { return numbers.map { $0 == 0 ? "false" : "true" } }
    if !dtype.isFloatingPoint { return numbers.map { String(Int($0)) } }
    let sizes = numbers.filter { $0.isFinite && $0 != 0 }.map(\.magnitude)
    let (low, high) = (sizes.min() ?? 1, sizes.max() ?? 1)
    if high >= 1e8 || low < 1e-4 || high / low > 1e3 && high >= 1e5 {
      return numbers.map { $0.isFinite ? scientific($0) : "\($0)" }
    }
    let isWhole = numbers.allSatisfy { !$0.isFinite || $0 == $0.rounded() }
    return numbers.map { number in
      guard number.isFinite else { return "\(number)" }
      return isWhole ? "\(Int(number))." : fixed(number)
    }
  }

  private func fixed(_ number: Double) -> String {
    let scaled = Int((number.magnitude * 10_000).rounded())
    let digits = String(scaled % 10_000)
    let sign = number < 0 ? "-" : ""
    return "\(sign)\(scaled / 10_000)." + String(repeating: "0", count: 4 - digits.count) + digits
  }

  private func scientific(_ number: Double) -> String {
    guard number != 0 else { return "0.0000e+00" }
    var exponent = 0
    var mantissa = number.magnitude
    while mantissa >= 10 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
    while mantissa < 1 { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
    if mantissa >= 9.99995 { (mantissa, exponent) = (1, exponent + 1) }
    let digits = String(exponent.magnitude)
    return (number < 0 ? "-" : "") + fixed(mantissa) + "e" + (exponent < 0 ? "-" : "+")
      + (digits.count < 2 ? "0" : "") + digits
  }

  private func lines(axis: Int, _ words: [String], _ next: inout Int) -> String {
    guard axis < shape.count else {
      defer { next += 1 }
      return words[next]
    }
    let isCut = shape[axis] < full[axis]
    let isLast = axis == shape.count - 1
    var parts: [String] = []
    for position in 0..<shape[axis] {
      if isCut && position == shape[axis] / 2 { parts.append("...") }
      parts.append(lines(axis: axis + 1, words, &next))
    }
    let gap =
      isLast
      ? ", "
      : "," + String(repeating: "\n", count: shape.count - 1 - axis)
        + String(repeating: " ", count: axis + 1)
    return "[" + parts.joined(separator: gap) + "]"
  }
}
