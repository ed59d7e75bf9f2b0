import ApusDevice

/// Runs the conformance cases on one device and says of every operation and element type how it fared.
///
/// Where a device is wrong, the same trials run on a twin of it whose compiler does not optimise: if the
/// twin is right, the driver's optimiser is to blame, else the kernel (or the driver's library).
package struct SelfTest {
  package enum Verdict: String, Encodable, Sendable {
    case pass
    /// The device says that it does not take the element type; only for types that OpenCL makes optional.
    case unsupported
    /// Wrong, and right when the driver compiles without optimisation.
    case wrongDriver = "wrong driver"
    /// Wrong either way.
    case wrongKernel = "wrong kernel"
    /// Wrong, on a device that compiles nothing.
    case fail
    /// Nothing was wrong that could be run; other trials did not fit into memory or its limit.
    case outOfMemory = "out of memory"

    package var isFailure: Bool { self != .pass && self != .unsupported }
  }

  /// A row of the table.
  package struct Row: Encodable, Sendable {
    package let operation: String
    /// Of the first operand; for a conversion both types.
    package let dtype: String
    package let verdict: Verdict
    /// The largest error met, relative to the expected value (see ``Tolerance``); nil (`null` in JSON) where
    /// a result is infinitely wrong, missing or not a number.
    package let error: Double?
    package let allowed: Double
    package let trials: Int
    /// The first things that were wrong, in words.
    package let problems: [String]

    /// Every key, also that of an error which is no number.
    package func encode(to encoder: any Encoder) throws {
      var row = encoder.container(keyedBy: CodingKeys.self)
      try row.encode(operation, forKey: .operation)
      try row.encode(dtype, forKey: .dtype)
      try row.encode(verdict, forKey: .verdict)
      try row.encode(error, forKey: .error)
      try row.encode(allowed, forKey: .allowed)
      try row.encode(trials, forKey: .trials)
      try row.encode(problems, forKey: .problems)
    }

    private enum CodingKeys: CodingKey {
      case operation, dtype, verdict, error, allowed, trials, problems
    }
  }

  private let device: any Backend
  private let openUnoptimized: () throws -> (any Backend)?
  private var unoptimized: (any Backend)??

  /// - Parameter unoptimized: Opens the same device with a compiler that does not optimise; nil where a
  ///   device compiles nothing. Called at the first failure.
  package init(
    _ device: any Backend, unoptimized: @escaping () throws -> (any Backend)? = { nil }
  ) {
    self.device = device
    openUnoptimized = unoptimized
  }

  /// The cases whose names contain the text, in any case, in the order of the coverage table.
  package static func cases(matching filter: String) -> [OpCase] {
    let wanted = filter.lowercased()
    return wanted.isEmpty
      ? OpCase.all : OpCase.all.filter { $0.name.lowercased().contains(wanted) }
  }

  /// One row per element type of the case.
  package mutating func rows(of opCase: OpCase) -> [Row] {
    var types: [String] = []
    for trial in opCase.trials where !types.contains(trial.types) { types.append(trial.types) }
    return types.map { types in
      row(OpCase(opCase.name, opCase.tolerance, opCase.trials.filter { $0.types == types }), types)
    }
  }

  private mutating func row(_ opCase: OpCase, _ types: String) -> Row {
    let result = Self.run(opCase, on: device)
    var verdict = Verdict.pass
    if result.refusals > 0, result.refusals == result.problems.count,
      opCase.trials.allSatisfy(\.hasOptionalType)
    {
      verdict = .unsupported
    } else if result.shortages > 0, result.shortages == result.problems.count {
      verdict = .outOfMemory
    } else if !result.problems.isEmpty {
      verdict = blame(opCase)
    }
    return Row(
      operation: opCase.name, dtype: types, verdict: verdict,
      error: verdict == .unsupported || !result.worst.isFinite ? nil : result.worst,
      allowed: allowed(opCase), trials: opCase.trials.count,
      problems: verdict == .unsupported ? [] : Array(result.problems.prefix(4)))
  }

  private func allowed(_ opCase: OpCase) -> Double {
    opCase.tolerance.fitting(
      device.matrixPrecision,
      where: opCase.trials.contains {
        $0.operation.hasProducts || $0.operation.isComposedOfProducts
      }
    ).limit
  }

  private mutating func blame(_ opCase: OpCase) -> Verdict {
    if unoptimized == nil { unoptimized = .some(try? openUnoptimized()) }
    guard let twin = unoptimized ?? nil else { return .fail }
    return Self.run(opCase, on: twin).problems.isEmpty ? .wrongDriver : .wrongKernel
  }

  private static func run(_ opCase: OpCase, on device: any Backend) -> Conformance {
    var conformance = Conformance(device)
    conformance.check(opCase)
    if opCase.isFused { conformance.checkComposition(opCase) }
    return conformance
  }
}

extension Trial {
  fileprivate var types: String {
    let (from, to) = (inputs.first?.dtype, outputs.first?.dtype)
    guard let first = from ?? to else { return "-" }
    if case .copy = operation, let to, to != first { return "\(first) to \(to)" }
    return "\(first)"
  }

  /// Whether an operand has a type that OpenCL leaves to the device.
  fileprivate var hasOptionalType: Bool {
    inputs.contains { $0.dtype == .float64 } || outputs.contains { $0.dtype == .float64 }
  }
}
