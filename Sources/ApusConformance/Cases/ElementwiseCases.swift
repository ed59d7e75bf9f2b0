import ApusDevice

/// The extremes of `int32` and neighbours of zero.
private let integerSpecials: [Double] = [
  -2_147_483_648, -2_147_483_647, -65_537, -46_341, -2, -1, 0, 1, 2, 46_341, 65_536, 2_147_483_647,
]
private let anyInteger = Values.integers(-2_147_483_648, 2_147_483_647)
/// Without parameters.
private func name(_ op: UnaryOp) -> Substring { "\(op)".prefix { $0 != "(" } }
private let usual = Values.uniform(-6, 6)

/// `x` by domain, and the tolerance with the scale from which it is absolute.
private let unaryTable: [(UnaryOp, Values, Tolerance, scale: Double)] = [
  (.negate, usual, .exact, 0), (.abs, usual, .exact, 0), (.sign, usual, .exact, 0),
  (.square, usual, .exact, 0), (.floor, usual, .exact, 0), (.ceil, usual, .exact, 0),
  (.round, .list([0.5, 1.5, -0.5, -1.5, 2.5, 0.49999997, 8_388_607.5, 3.7, -3.2]), .exact, 0),
  (.relu, usual, .exact, 0), (.leakyReLU(slope: 0.01), usual, .exact, 0),
  (.clamp(min: -1, max: 2.5), usual, .exact, 0),
  (.exp, .uniform(-90, 88), .ulps(3), 0), (.expm1, .uniform(-4, 20), .ulps(3), 0),
  (.log, .uniform(1e-4, 20), .ulps(3), 0), (.log1p, .uniform(-0.9, 10), .ulps(3), 0),
  (.sqrt, .uniform(0, 50), .ulps(3), 0), (.rsqrt, .uniform(1e-3, 50), .ulps(3), 0),
  (.reciprocal, .uniform(0.1, 8), .ulps(2.5), 0), (.sin, .uniform(-50, 50), .ulps(4), 0),
  (.cos, .uniform(-50, 50), .ulps(4), 0), (.tanh, .uniform(-10, 10), .ulps(5), 0),
  (.erf, .uniform(-4, 4), .ulps(16), 0),
  (.sigmoid, .uniform(-20, 20), .rounding(1e-6, "an exponential, a sum and a quotient"), 0),
  (.silu, .uniform(-20, 20), .rounding(1e-6, "an exponential, a sum and two products"), 0),
  (.elu(alpha: 0.7), usual, .rounding(6e-7, "expm1 and a product"), 0),
  (.gelu, usual, .rounding(1e-6, "1 + erf cancels in the left tail"), 1),
  (.geluTanh, usual, .rounding(1e-6, "1 + tanh cancels in the left tail"), 1),
  (
    .softplus(beta: 1.5, threshold: 20), .uniform(-20, 20),
    .rounding(1e-6, "an exponential and a logarithm"), 0.01
  ),
]

let unaryCases: [OpCase] =
  unaryTable.map { op, values, tolerance, scale in
    var trials = elementwise(.unary(op), [(.float32, values)], .float32, scale: scale)
    // Products with a factor that vanishes have no meaning at −∞.
    let isProduct = [.silu, .gelu, .geluTanh].contains(op)
    let points = specials.filter { !isProduct || $0 != -.infinity }
    trials += elementwise(.unary(op), [(.float32, points)], .float32, scale: scale)
    if [.negate, .abs, .sign, .square].contains(op) {
      trials += elementwise(.unary(op), [(.int32, anyInteger)], .int32)
      trials += elementwise(.unary(op), [(.int32, integerSpecials)], .int32)
    }
    return OpCase("unary \(name(op))", tolerance, trials)
  } + [
    OpCase(
      "unary logicalNot", .exact,
      elementwise(.unary(.logicalNot), [(.bool, .integers(0, 1))], .bool))
  ]
  + [UnaryOp.isNaN, .isFinite].map { op in
    OpCase(
      "unary \(op)", .exact,
      [DType.float32, .float16, .bfloat16].flatMap { dtype in
        elementwise(.unary(op), [(dtype, usual)], .bool)
          + elementwise(.unary(op), [(dtype, specials)], .bool)
      })
  }

let unaryBackwardCases: [OpCase] = unaryTable.map { op, values, tolerance, _ in
  let saved: Values =
    switch op {
    case .exp, .sqrt, .rsqrt: .uniform(0.1, 4)
    case .expm1, .elu: .uniform(-0.6, 4)
    case .tanh: .uniform(-0.99, 0.99)
    case .sigmoid: .uniform(0.01, 0.99)
    case .reciprocal: .uniform(-4, 4)
    case .relu: .list([0, 0.5, 2, 0, 1e-20, 7])
    case .log, .log1p: .uniform(0.1, 9)
    case .clamp: .list([-1, 2.5, 0, -1.0001, 2.5001, 9, -9, 1])
    case .abs: .list([0, -0.0, 3, -3, 1e-20, -1e-20])
    case .softplus: .uniform(-8, 16)
    default: .uniform(-15, 15)
    }
  return OpCase(
    "unaryBackward \(name(op))",
    tolerance.limit > 0
      ? .rounding(2e-6, "a few correctly rounded steps and one built-in function") : .exact,
    elementwise(
      .unaryBackward(op), [(.float32, saved), (.float32, .uniform(-2, 2))], .float32, scale: 1))
}

private let binaryTable: [(BinaryOp, Values, Values, Tolerance)] = [
  (.add, usual, usual, .exact), (.subtract, usual, usual, .exact),
  (.multiply, usual, usual, .exact),
  (.divide, usual, .uniform(0.2, 9), .ulps(2.5)),
  (.power, .uniform(0.05, 6), .uniform(-5, 5), .ulps(16)), (.atan2, usual, usual, .ulps(6)),
  (.maximum, usual, usual, .exact), (.minimum, usual, usual, .exact),
  (.remainder, .uniform(-40, 40), .uniform(0.3, 7), .exact),
]

private let integerOps: [BinaryOp] = [.add, .subtract, .multiply, .maximum, .minimum]

let binaryCases: [OpCase] =
  binaryTable.map { op, a, b, tolerance in
    var trials = elementwise(.binary(op), [(.float32, a), (.float32, b)], .float32)
    trials += elementwise(
      .binary(op), [(.float32, specialPairs.0), (.float32, specialPairs.1)], .float32)
    if integerOps.contains(op) {
      trials += elementwise(.binary(op), [(.int32, anyInteger), (.int32, anyInteger)], .int32)
      trials += elementwise(
        .binary(op), [(.int32, integerSpecials), (.int32, integerSpecials.reversed())], .int32)
    }
    return OpCase("binary \(op)", tolerance, trials)
  }
  + [BinaryOp.logicalAnd, .logicalOr, .logicalXor].map { op in
    OpCase(
      "binary \(op)", .exact,
      elementwise(.binary(op), [(.bool, .integers(0, 1)), (.bool, .integers(0, 1))], .bool))
  }

let scalarCases: [OpCase] = binaryTable.map { op, a, b, tolerance in
  var trials = elementwise(.scalar(op, 1.7, reversed: false), [(.float32, a)], .float32)
  trials += elementwise(.scalar(op, 1.7, reversed: true), [(.float32, b)], .float32)
  for value in [0.0, 1, 2, -0.5, 0.5] {
    trials += elementwise(.scalar(op, value, reversed: false), [(.float32, specials)], .float32)
    trials += elementwise(.scalar(op, value, reversed: true), [(.float32, specials)], .float32)
  }
  if integerOps.contains(op) {
    for reversed in [false, true] {
      trials += elementwise(
        .scalar(op, -77_777, reversed: reversed), [(.int32, anyInteger)], .int32)
    }
  }
  return OpCase("scalar \(op)", tolerance, trials)
}

let comparisonCases: [OpCase] = ComparisonOp.allCases.map { op in
  let small = Values.integers(0, 3)
  var trials = [DType.float32, .int32, .uint8, .bool].flatMap { dtype in
    elementwise(.compare(op), [(dtype, small), (dtype, small)], .bool)
  }
  trials += elementwise(
    .compare(op), [(.float32, specialPairs.0), (.float32, specialPairs.1)], .bool)
  trials += elementwise(
    .compare(op), [(.int32, integerSpecials), (.int32, integerSpecials.reversed())], .bool)
  return OpCase("compare \(op)", .exact, trials)
}

let ternaryCases: [OpCase] = TernaryOp.allCases.map { op in
  if op == .select {
    let trials = DType.allCases.flatMap { dtype in
      elementwise(
        .ternary(.select),
        [(.bool, .integers(0, 1)), (dtype, .integers(0, 100)), (dtype, .integers(0, 100))], dtype)
    }
    return OpCase("ternary select", .exact, trials)
  }
  return OpCase(
    "ternary \(op)", .rounding(0x1p-22, "the product may be rounded before the sum"),
    elementwise(
      .ternary(op), [(.float32, usual), (.float32, usual), (.float32, usual)], .float32, scale: 72))
}
