import CVector
import Foundation
import Testing

/// A vectorised function against the C library in double.
struct Accuracy: Sendable, CustomTestStringConvertible {
  let name: String
  let code: apus_operation
  let exact: @Sendable (Double) -> Double
  /// Units in the last place of the result.
  let ulps: Double
  /// Where the result passes through 0, units are measured at this magnitude or above.
  var floor: Double = 0
  var low: Float = -.greatestFiniteMagnitude
  var high: Float = .greatestFiniteMagnitude

  var testDescription: String { name }
}

private func gaussian(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }

private let functions: [Accuracy] = [
  Accuracy(name: "exp", code: APUS_EXP, exact: { exp($0) }, ulps: 2),
  Accuracy(name: "expm1", code: APUS_EXPM1, exact: { expm1($0) }, ulps: 1),
  Accuracy(name: "log", code: APUS_LOG, exact: { log($0) }, ulps: 2),
  Accuracy(name: "log1p", code: APUS_LOG1P, exact: { log1p($0) }, ulps: 1),
  Accuracy(name: "sqrt", code: APUS_SQRT, exact: { $0.squareRoot() }, ulps: 0.5),
  Accuracy(name: "rsqrt", code: APUS_RSQRT, exact: { 1 / $0.squareRoot() }, ulps: 1.5),
  Accuracy(name: "reciprocal", code: APUS_RECIPROCAL, exact: { 1 / $0 }, ulps: 0.5),
  Accuracy(name: "sin", code: APUS_SIN, exact: { sin($0) }, ulps: 1),
  Accuracy(name: "cos", code: APUS_COS, exact: { cos($0) }, ulps: 1),
  Accuracy(name: "tanh", code: APUS_TANH, exact: { tanh($0) }, ulps: 1.36),
  Accuracy(name: "erf", code: APUS_ERF, exact: { erf($0) }, ulps: 3),
  Accuracy(
    name: "sigmoid", code: APUS_SIGMOID, exact: { 1 / (1 + exp(-$0)) }, ulps: 4),
  Accuracy(
    name: "silu", code: APUS_SILU, exact: { $0 / (1 + exp(-$0)) }, ulps: 5, low: -80),
  // As torch computes it, the sum of 1 and an error function near −1 cancels: absolute error only.
  Accuracy(
    name: "gelu", code: APUS_GELU, exact: { $0 * gaussian($0) }, ulps: 6, floor: 0.5, low: -80),
  Accuracy(
    name: "softplus", code: APUS_SOFTPLUS, exact: { max($0, 0) + log1p(exp(-abs($0))) }, ulps: 3),
  Accuracy(
    name: "elu", code: APUS_ELU, exact: { $0 > 0 ? $0 : expm1($0) }, ulps: 1),
  Accuracy(name: "floor", code: APUS_FLOOR, exact: { $0.rounded(.down) }, ulps: 0),
  Accuracy(name: "ceil", code: APUS_CEIL, exact: { $0.rounded(.up) }, ulps: 0),
  Accuracy(
    name: "round", code: APUS_ROUND, exact: { $0.rounded(.toNearestOrEven) }, ulps: 0),
]

private func samples() -> [Float] {
  var values: [Float] = [
    0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, .infinity, -.infinity, .nan, .leastNonzeroMagnitude,
    -.leastNonzeroMagnitude, .leastNormalMagnitude, -.leastNormalMagnitude,
    .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 88.7, 88.73, -87.3, -87.4, -103.9, -104.1,
    0x1p23, 0x1p22 + 0.5, 8_388_607.5, -8_388_607.5, 0.99999994, 1.0000001, 0.625, 0.927734375,
  ]
  // Every exponent, both signs, and denser where the functions bend.
  var numbers = Numbers(7)
  for exponent in stride(from: -149, through: 127, by: 1) {
    for _ in 0..<12 {
      let x = scalbn(1 + numbers.float(0, 1), exponent)
      values.append(x)
      values.append(-x)
    }
  }
  for _ in 0..<20000 {
    values.append(numbers.float(-5, 5))
    values.append(numbers.float(-110, 110))
    values.append(numbers.float(-1, 1))
  }
  return values
}

private func apply(_ code: apus_operation, _ x: [Float], _ y: [Float]? = nil) -> [Float] {
  var out = [Float](repeating: 0, count: x.count)
  let parameters = apus_parameters(a: 1, b: code == APUS_SOFTPLUS ? 1e30 : 20, stream: 0)
  apus_elementwise(
    code, parameters, 1, [x.count], &out, [1], x, [1], y, [1], nil, [1])
  return out
}

extension CPUTests {
  /// The levels are a setting of the process, so these tests run one after the other.
  struct AccuracyTests {
    static let levels = Array(0...Int(apus_best_level()))

    @Test(arguments: functions, levels)
    private func isWithinUlps(_ function: Accuracy, level: Int) {
      #expect(apus_force_level(Int32(level)) == level)
      defer { apus_force_level(2) }
      let x = samples().filter {
        $0.isNaN || ($0 >= function.low && $0 <= function.high)
          || $0.isInfinite && function.low < -1e30
      }
      let results = apply(function.code, x)
      var worst = 0.0
      var where_ = Float(0)
      for (x, r) in zip(x, results) {
        let exact = function.exact(Double(x))
        let rounded = Float(exact)
        if rounded.isNaN || rounded.isInfinite || r.isNaN || r.isInfinite {
          let isEdge =
            rounded.isInfinite != r.isInfinite && abs(exact) > 3.4e38 && abs(exact) < 3.41e38
          #expect(
            (r.isNaN && rounded.isNaN) || r == rounded || isEdge,
            "\(function.name)(\(x)) = \(r), not \(rounded)")
          continue
        }
        let unit = max(Double(rounded.ulp), function.floor * 0x1p-23)
        let error = abs(Double(r) - exact) / unit
        if error > worst {
          worst = error
          where_ = x
        }
        if exact == 0 && function.floor == 0 { #expect(r == 0 && (r.sign == Float(exact).sign)) }
      }
      // Half a unit is the rounding of an exact result.
      #expect(
        worst <= max(function.ulps, 0.5) + 0.01,
        "\(function.name) at level \(level): \(worst) ulp at \(where_)")
      if ProcessInfo.processInfo.environment["APUS_SHOW_ULPS"] != nil {
        print(function.name, "level", level, "worst", worst, "at", where_)
      }
    }

    @Test(arguments: levels)
    func powersAndAngles(level: Int) {
      apus_force_level(Int32(level))
      defer { apus_force_level(2) }
      var numbers = Numbers(11)
      let special: [Float] = [
        0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, .infinity, -.infinity, .nan,
        Float.leastNormalMagnitude / 8,
      ]
      var x: [Float] = [], y: [Float] = []
      for a in special {
        for b in special {
          x.append(a)
          y.append(b)
        }
      }
      for _ in 0..<20000 {
        x.append(scalbn(numbers.float(1, 2), Int(numbers.next() % 60) - 30))
        y.append(numbers.float(-6, 6))
        x.append(numbers.float(-3, 3))
        y.append(numbers.float(-3, 3))
        x.append(numbers.float(-3, 3))
        y.append(Float(Int(numbers.next() % 9) - 4))
      }
      func check(_ name: String, _ results: [Float], _ exact: (Double, Double) -> Double) {
        for ((a, b), r) in zip(zip(x, y), results) {
          let e = exact(Double(a), Double(b))
          let rounded = Float(e)
          let isRight =
            (r.isNaN && e.isNaN) || r == rounded
            || abs(Double(r) - e) <= 1.01 * Double(rounded.isFinite ? rounded.ulp : 1)
          #expect(isRight, "\(name)(\(a), \(b)) = \(r), not \(e)")
        }
      }
      check("power", apply(APUS_POWER, x, y)) { pow($0, $1) }
      check("atan2", apply(APUS_ATAN2, x, y)) { atan2($0, $1) }
      check("remainder", apply(APUS_REMAINDER, x, y)) { a, b in
        let r = fmod(a, b)
        return r != 0 && (r < 0) != (b < 0) ? Double(Float(r) + Float(b)) : r
      }
    }

    @Test(arguments: levels)
    func conversionsRoundToNearestEven(level: Int) {
      apus_force_level(Int32(level))
      defer { apus_force_level(2) }
      let x = samples().filter { !$0.isNaN }
      var halves = [UInt16](repeating: 0, count: x.count)
      var floats = [Float](repeating: 0, count: x.count)
      let cast = APUS_CAST.rawValue
      apus_elementwise(
        apus_operation(cast + 2), apus_parameters(), 1, [x.count], &halves, [1], x, [1], nil, [1],
        nil, [1])
      apus_elementwise(
        apus_operation(cast + 14), apus_parameters(), 1, [x.count], &floats, [1], halves, [1], nil,
        [1], nil, [1])
      for (x, h) in zip(x, floats) {
        // The two neighbours among halves: spacing 2⁻²⁴ below the normal range.
        let spacing = max(scalbn(1, Int(max(abs(x), 0x1p-14).exponent) - 10), 0x1p-24)
        let quotient = Double(x) / Double(spacing)
        let expected = Float(quotient.rounded(.toNearestOrEven) * Double(spacing))
        let limited = abs(expected) >= 65520 ? (x < 0 ? -Float.infinity : .infinity) : expected
        #expect(
          h == limited || abs(x) >= 65520 && h.isInfinite, "half of \(x): \(h), not \(limited)")
      }
      // From double in one rounding: just above the middle of two neighbours.
      let doubles: [Double] = [
        1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-11, 1 + 0x1p-8 + 0x1p-45, 1e300, -1e-300,
      ]
      var h = [UInt16](repeating: 0, count: doubles.count)
      apus_elementwise(
        apus_operation(cast + 7 + 2), apus_parameters(), 1, [doubles.count], &h, [1], doubles, [1],
        nil, [1], nil, [1])
      #expect(h == [0x3C01, 0x3C00, 0x3C04, 0x7C00, 0x8000])
      apus_elementwise(
        apus_operation(cast + 7 + 3), apus_parameters(), 1, [doubles.count], &h, [1], doubles, [1],
        nil, [1], nil, [1])
      #expect(h == [0x3F80, 0x3F80, 0x3F81, 0x7F80, 0x8000])
    }
  }
}
