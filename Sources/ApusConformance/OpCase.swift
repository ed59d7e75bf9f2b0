import ApusDevice
import Foundation

/// An operation declared once: what it reads and writes at several sizes, and how far a device may
/// be from the reference. Every check of conformance is derived from it.
package struct OpCase: Sendable {
  /// The row of the coverage table.
  package let name: String
  package let tolerance: Tolerance
  package var trials: [Trial]

  init(_ name: String, _ tolerance: Tolerance, _ trials: [Trial]) {
    self.name = name
    self.tolerance = tolerance
    self.trials = trials
  }

  /// Whether the device's precision of products concerns it, or its composed body.
  package var hasProducts: Bool { trials.contains { $0.operation.isComposedOfProducts } }

  package var isFused: Bool { trials.contains { $0.operation.isFused } }

  package static let all: [OpCase] =
    unaryCases + unaryBackwardCases + binaryCases + scalarCases + comparisonCases + ternaryCases
    + movementCases + reductionCases + gemmCases + indexCases + orderCases + randomCases
    + fusedCases + optimizerCases + convolutionCases + poolingCases + upsamplingCases
    + batchNormCases + recurrentCases

  /// Without operands of more elements and without most placements.
  package func reduced(to largest: Int) -> OpCase {
    func count(_ shape: [Int]) -> Int { shape.reduce(1, *) }
    let kept = trials.filter { trial in
      trial.inputs.allSatisfy { count($0.shape) <= largest }
        && trial.outputs.allSatisfy { count($0.shape) <= largest }
    }
    return OpCase(
      name, tolerance,
      kept.map { trial in
        var trial = trial
        let placements = trial.placements.filter {
          $0 == .dense || $0 == .mixed || $0 == .channelsLast
        }
        trial.placements = trial.outputs.contains { count($0.shape) > 300 } ? [.dense] : placements
        return trial
      })
  }
}

/// `|got − want| ≤ limit · (scale + |want|)`, with the reason for the limit; the trial has the
/// scale. Below the smallest normal number every difference is allowed: devices may flush there.
package struct Tolerance: Sendable {
  package let limit: Double
  package let reason: String

  package static let exact = Tolerance(limit: 0, reason: "moves or chooses values, or rounds once")

  /// Units in the last place that OpenCL 1.2 (section 7.4) allows the built-in function.
  static func ulps(_ count: Double) -> Tolerance {
    Tolerance(
      limit: count * 0x1p-23,
      reason: "\(count) units in the last place, as in OpenCL 1.2, section 7.4")
  }

  static func rounding(_ limit: Double, _ reason: String) -> Tolerance {
    Tolerance(limit: limit, reason: reason)
  }

  /// For a device whose products round their operands. Each product errs by twice the unit roundoff; the sum
  /// of many errs like its root, which the scale of a trial has, and by more where activations are steep.
  package func fitting(_ precision: MatrixPrecision, where hasProducts: Bool) -> Tolerance {
    guard precision != .float32, hasProducts else { return self }
    return Tolerance(
      limit: limit + 8 * precision.unitRoundoff,
      reason: reason + "; operands of products rounded to \(precision.rawValue)")
  }

  static let smallestNormal = Double(Float.leastNormalMagnitude)

  /// The error in units of `scale + |want|`; 0 where both agree, infinite where only one is NaN.
  static func error(_ got: Double, _ want: Double, scale: Double) -> Double {
    if got == want || (got.isNaN && want.isNaN) { return 0 }
    guard got.isFinite, want.isFinite else { return .infinity }
    let difference = abs(got - want)
    if difference <= smallestNormal { return 0 }
    return difference / max(scale + abs(want), smallestNormal)
  }
}

/// One call: operation, operands, and how the operands may lie in memory.
package struct Trial: Sendable {
  package var operation: ApusDevice.Operation
  package var inputs: [Input]
  package var outputs: [Output]
  /// Where the tolerance turns from relative to absolute.
  var scale = 0.0
  /// The number of terms of the longest sum in it: independent rounding errors grow like its root,
  /// those of equal terms all have one sign and may grow like its square; 3/2 is enough here.
  var terms = 1
  var placements: [Placement] = [.dense]
}

package struct Input: Sendable {
  package let shape: [Int]
  package let dtype: DType
  package let values: Values

  package init(_ shape: [Int], _ dtype: DType, _ values: Values) {
    self.shape = shape
    self.dtype = dtype
    self.values = values
  }

  package init(_ shape: [Int], _ values: Values) { self.init(shape, .float32, values) }
}

package struct Output: Sendable {
  package let shape: [Int]
  package let dtype: DType

  package init(_ shape: [Int], _ dtype: DType = .float32) {
    self.shape = shape
    self.dtype = dtype
  }
}

package enum Values: Sendable {
  case uniform(Double, Double)
  /// Whole numbers, both ends included.
  case integers(Int, Int)
  /// Repeated from the start when there are more elements.
  case list([Double])

  /// Element `i` of the operand numbered `seed` is always the same.
  func made(count: Int, seed: Int) -> [Double] {
    var state = UInt64(seed)
    return (0..<count).map { i in
      // SplitMix64 (Steele, Lea, Flood 2014).
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      let word = UInt32(truncatingIfNeeded: (z ^ (z >> 31)) >> 32)
      switch self {
      case .uniform(let low, let high): return low + (high - low) * Double(word) * 0x1p-32
      case .integers(let low, let high): return Double(low + Int(word) % (high - low + 1))
      case .list(let values): return values[i % values.count]
      }
    }
  }
}

/// How the operands of a trial lie in memory.
package enum Placement: Sendable, Hashable {
  case dense
  /// Dense, from an odd element on.
  case offset
  /// Axes in reversed order in memory.
  case transposed
  /// Every second element of a wider tensor.
  case stepped
  /// Inputs of stride 0 along the first or the last axis.
  case repeatedFirst, repeatedLast
  /// The second input of stride 0 along its last two axes, as the gradient of a mean over pixels.
  case repeatedPixels
  /// Dense inputs, results to every second element of a transposed tensor.
  case stridedOutput
  /// Each operand in another way.
  case mixed
  /// Operands of four axes dense in the order `NHWC`.
  case channelsLast
  /// In that order, as some channels of more.
  case channelsLastPart

  func scale(of trial: Trial) -> Double {
    let terms = Double(max(trial.terms, 1))
    return trial.scale * (isRepeated ? pow(terms, 1.5) : terms.squareRoot())
  }

  var isRepeated: Bool {
    self == .repeatedFirst || self == .repeatedLast || self == .repeatedPixels
  }

  static let inputs: [Placement] = [.offset, .transposed, .stepped, .repeatedFirst]
  static let outputs: [Placement] = [.stridedOutput, .mixed]
  static let strided: [Placement] = inputs + [.repeatedLast] + outputs

  /// Input `i`.
  func input(_ i: Int) -> Arrangement {
    switch self {
    case .dense, .stridedOutput: .dense
    case .offset: .offset
    case .transposed: .transposed
    case .stepped: .stepped
    case .repeatedFirst: .repeatedFirst
    case .repeatedLast: .repeatedLast
    case .repeatedPixels: i == 1 ? .repeatedPixels : .dense
    case .mixed: [.transposed, .dense, .stepped, .offset][i % 4]
    case .channelsLast: .channelsLast
    case .channelsLastPart: .channelsLastPart
    }
  }

  /// Output `i`.
  func output(_ i: Int) -> Arrangement {
    switch self {
    case .offset: .offset
    case .stridedOutput: .steppedTransposed
    case .mixed: [.stepped, .offset, .transposed][i % 3]
    case .channelsLast: .channelsLast
    case .channelsLastPart: .channelsLastPart
    default: .dense
    }
  }
}

/// How one operand lies in memory.
package enum Arrangement: Sendable {
  case dense, offset, transposed, stepped, repeatedFirst, repeatedLast, repeatedPixels,
    steppedTransposed
  case channelsLast, channelsLastPart

  /// The axes of stride 0.
  func repeatedAxes(_ shape: [Int]) -> [Int] {
    switch self {
    case .repeatedFirst where !shape.isEmpty: [0]
    case .repeatedLast where !shape.isEmpty: [shape.count - 1]
    case .repeatedPixels where shape.count > 1: [shape.count - 2, shape.count - 1]
    default: []
    }
  }

  func layout(_ shape: [Int]) -> Layout {
    guard !shape.isEmpty else {
      return Layout(shape: [], strides: [], offset: isDense ? 0 : 3)
    }
    switch self {
    case .dense: return Layout(contiguous: shape)
    case .offset: return Layout(contiguous: shape, offset: 3)
    case .transposed: return transposed(shape, step: 1)
    case .steppedTransposed: return transposed(shape, step: 2)
    case .channelsLast, .channelsLastPart:
      guard shape.count == 4 else { return Layout(contiguous: shape) }
      guard self == .channelsLastPart else { return Layout(channelsLast: shape) }
      var wide = shape
      wide[1] += 3
      return Layout(shape: shape, strides: Layout(channelsLast: wide).strides, offset: 2)
    case .stepped:
      var wide = shape
      wide[wide.count - 1] = 2 * wide[wide.count - 1] + 1
      var strides = Layout.rowMajorStrides(of: wide)
      strides[strides.count - 1] = 2
      return Layout(shape: shape, strides: strides, offset: 5)
    case .repeatedFirst, .repeatedLast, .repeatedPixels:
      let axes = repeatedAxes(shape)
      var single = shape
      for axis in axes { single[axis] = 1 }
      var strides = Layout.rowMajorStrides(of: single)
      for axis in axes { strides[axis] = 0 }
      return Layout(shape: shape, strides: strides, offset: 1)
    }
  }

  private var isDense: Bool { if case .dense = self { true } else { false } }

  private func transposed(_ shape: [Int], step: Int) -> Layout {
    let strides = Layout.rowMajorStrides(of: shape.reversed()).reversed().map { $0 * step }
    return Layout(shape: shape, strides: strides, offset: 7)
  }
}
