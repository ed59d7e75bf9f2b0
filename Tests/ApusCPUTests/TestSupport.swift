import ApusCPU
import ApusDevice
import Testing

/// All tests of the device, one after the other: the level of the loops and the number of threads are
/// settings of the process, and some tests change them.
@Suite(.serialized) enum CPUTests {}

private let opened = Result { try CPUBackend() }

/// One device for all tests of the process.
func sharedDevice() throws -> CPUBackend { try opened.get() }

func upload<T: BitwiseCopyable>(
  _ values: [T], _ shape: [Int], _ dtype: DType = .float32
) throws -> Operand {
  let device = try sharedDevice()
  let operand = try device.temporary(shape, dtype)
  try values.withUnsafeBytes { try device.upload($0, to: operand.storage, byteOffset: 0) }
  return operand
}

/// All elements of the storage below the end of the layout.
func storageValues<T: BitwiseCopyable & ExpressibleByIntegerLiteral>(
  _ operand: Operand, as type: T.Type = T.self
) throws -> [T] {
  var values = [T](repeating: 0, count: operand.layout.end)
  try values.withUnsafeMutableBytes {
    try sharedDevice().download(operand.storage, byteOffset: 0, into: $0)
  }
  return values
}

/// The elements in row-major order of the shape.
func logicalValues<T: BitwiseCopyable & ExpressibleByIntegerLiteral>(
  _ operand: Operand, as type: T.Type = T.self
) throws -> [T] {
  let values = try storageValues(operand, as: type)
  return operand.layout.positions.map { values[$0] }
}

extension Layout {
  /// The storage position of every element in row-major order.
  var positions: [Int] {
    var result = [offset]
    for axis in shape.indices {
      result = result.flatMap { base in (0..<shape[axis]).map { base + $0 * strides[axis] } }
    }
    return count == 0 ? [] : result
  }
}

/// Numbers without pattern, the same in every run.
struct Numbers {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 2 &+ 1 }

  mutating func next() -> UInt32 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return UInt32(truncatingIfNeeded: state >> 33)
  }

  mutating func float(_ low: Float = -2, _ high: Float = 2) -> Float {
    low + (high - low) * Float(next() >> 7) * 0x1p-24
  }

  mutating func floats(_ count: Int, _ low: Float = -2, _ high: Float = 2) -> [Float] {
    (0..<count).map { _ in float(low, high) }
  }

  /// Numbers of all sizes, and each kind of number that arithmetic treats in a way of its own.
  mutating func floatsAtTheEdges(_ count: Int) -> [Float] {
    let special: [Float] = [
      0, -0.0, 1, -1, .infinity, -.infinity, .nan, -.nan, .leastNonzeroMagnitude,
      -.leastNormalMagnitude / 3, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 88.8, -104,
      0.625, 9.0107, -9.02, 10, 1e10, -3e38,
    ]
    return (0..<count).map { _ in
      switch next() >> 8 & 3 {
      case 0: special[Int(next() >> 8) % special.count]
      case 1: Float(bitPattern: next() << 1 ^ next() >> 7)
      default: float(-12, 12)
      }
    }
  }
}

func expectClose(
  _ actual: [Float], _ expected: [Double], relative: Double = 1e-5, absolute: Double = 1e-5,
  _ name: String = "", sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(actual.count == expected.count, "\(name)", sourceLocation: sourceLocation)
  for (index, (a, e)) in zip(actual, expected).enumerated() {
    let isClose =
      Double(a) == e || (a.isNaN && e.isNaN)
      || abs(Double(a) - e) <= absolute + relative * abs(e)
    if !isClose {
      Issue.record("\(name)[\(index)]: \(a), not \(e)", sourceLocation: sourceLocation)
      return
    }
  }
}
