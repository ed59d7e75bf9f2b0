import ApusDevice

extension Tensor {
  /// Connectionist temporal classification (Graves et al. 2006): for each row the negative logarithm of
  /// the probability of all paths that give its target when repeats are merged and blanks dropped.
  ///
  /// The passes forward and backward in time run in log space; see `torch.nn.CTCLoss`.
  /// - Parameters:
  ///   - targets: The classes of each row, without blanks, any number of them.
  ///   - lengths: How many steps of each row count, `1...T`; all for nil.
  ///   - blank: The class that stands for no output.
  ///   - zeroInfinity: Whether the loss of a row whose target does not fit into its steps is 0 rather
  ///     than infinite. Such a row has no gradient either way.
  /// - Returns: `[N]` for logarithms of probabilities `[T, N, C]`.
  public func ctcLoss(
    targets: [[Int]], lengths: [Int]? = nil, blank: Int = 0, zeroInfinity: Bool = false
  ) throws -> Tensor {
    try checkCTC(targets, lengths, blank)
    let paths = try CTCPaths(
      detached, targets: targets, lengths: lengths, blank: blank, on: device)
    let forward = try paths.forward()
    let isLost = try forward.loss .> CTCPaths.hopeless
    let instead = try Tensor(zeroInfinity ? 0 : Float.infinity, on: device)
    let loss = try Tensor.select(where: isLost, instead, forward.loss)
    guard let tape = try Tape.watching(self) else { return loss }
    let shape = shape
    return try tape.record(loss, from: [self]) { dy in
      let shares = try paths.shares(forward)
      let weights = try Tensor.select(where: isLost, Tensor(Float(0), on: dy.device), -dy)
      let zeros = try Tensor.zeros(shape, on: dy.device)
      return [
        try zeros.scatterAdd(
          paths.places, try shares * weights.reshaped([1, shape[1], 1]), axis: 2)
      ]
    }
  }

  private func checkCTC(_ targets: [[Int]], _ lengths: [Int]?, _ blank: Int) throws {
    func fail(_ kind: ApusError.Kind, _ message: String) -> ApusError {
      ApusError(kind, operation: "ctcLoss", message)
    }
    guard rank == 3, dtype == .float32, shape[0] > 0 else {
      throw fail(
        .shape,
        "takes float32 log probabilities [T, N, C] with at least one step, not \(dtype)\(shape)")
    }
    let (steps, rows, classes) = (shape[0], shape[1], shape[2])
    guard blank >= 0, blank < classes else {
      throw fail(.value, "blank is \(blank), which is no class of \(shape)")
    }
    guard targets.count == rows, lengths.map({ $0.count == rows }) ?? true else {
      throw fail(
        .shape,
        "\(targets.count) targets and \(lengths?.count ?? rows) lengths do not fit \(shape): one of "
          + "each for each of \(rows) rows")
    }
    for (row, target) in targets.enumerated() {
      for label in target where label < 0 || label >= classes || label == blank {
        throw fail(
          .value,
          "the target of row \(row) holds \(label); labels are 0..<\(classes) without the blank "
            + "\(blank)")
      }
    }
    if let row = lengths?.firstIndex(where: { $0 < 1 || $0 > steps }), let lengths {
      throw fail(
        .value, "the length of row \(row) is \(lengths[row]); it must be within 1...\(steps)")
    }
  }
}

/// The states that a path passes: `L` places of each row, blanks at even ones and labels between.
private struct CTCPaths: Sendable {
  /// Stands for the logarithm of 0: sums of it stay finite, so no difference is a NaN.
  static let nothing = -1e30
  /// A loss beyond it comes from no path at all.
  static let hopeless = 1e29

  /// The class of each place, `int32[T, N, L]`.
  let places: Tensor
  /// Log probabilities of the places, `[T, N, L]`.
  private let emissions: Tensor
  /// 0 where a path may begin, may end, may come from two places before; `[N, L]`.
  private let starts, ends, skips: Tensor
  /// Which rows take part in a step, `bool[T, N, 1]`, nil for all.
  private let isActive: Tensor?

  struct Forward: Sendable {
    /// `[N, L]` for each step: paths that are at a place after it.
    let states: [Tensor]
    let loss: Tensor
  }

  init(
    _ x: Tensor, targets: [[Int]], lengths: [Int]?, blank: Int, on device: Device
  ) throws {
    let (steps, rows) = (x.shape[0], x.shape[1])
    let width = 2 * (targets.map(\.count).max() ?? 0) + 1
    _ = try ShapeRule.count([steps, rows, width], "ctcLoss")
    var labels = [Int32](repeating: Int32(clamping: blank), count: rows * width)
    var masks = [[Float]](
      repeating: [Float](repeating: Float(Self.nothing), count: rows * width), count: 3)
    for (row, target) in targets.enumerated() {
      let first = row * width
      let last = first + 2 * target.count
      for (index, label) in target.enumerated() {
        labels[first + 2 * index + 1] = Int32(clamping: label)
        if index > 0, target[index - 1] != label { masks[2][first + 2 * index + 1] = 0 }
      }
      masks[0][first] = 0
      masks[1][last] = 0
      if !target.isEmpty {
        masks[0][first + 1] = 0
        masks[1][last - 1] = 0
      }
    }
    let table = try Tensor(labels, shape: [rows, width], on: device)
    places = try table.broadcast(to: [steps, rows, width])
    emissions = try x.gather(places, axis: 2)
    let tensors = try masks.map { try Tensor($0, shape: [rows, width], on: device) }
    (starts, ends, skips) = (tensors[0], tensors[1], tensors[2])
    isActive = try lengths.map {
      let limits = try Tensor($0.map { Int32(clamping: $0) }, shape: [1, rows, 1], on: device)
      return try Tensor.arange(0, Double(steps), dtype: .int32, on: device)
        .reshaped([steps, 1, 1]) .< limits
    }
  }

  func forward() throws -> Forward {
    var states = [try emissions[0] + starts]
    for step in 1..<max(emissions.shape[0], 1) {
      let before = states[step - 1]
      // Paths that stay, that come from the place before, and from the one before that.
      let wide = try before.padded([(0, 0), (2, 0)], value: Self.nothing)
      let width = before.shape[1]
      let next = try joined(
        before, wide.slice(axis: 1, start: 1, end: width + 1),
        wide.slice(axis: 1, start: 0, end: width) + skips)
      states.append(try kept(step, next + emissions[step], before))
    }
    let last = try states[states.count - 1] + ends
    return Forward(states: states, loss: try -last.logSumExp(axis: 1))
  }

  /// The share of all paths that is at a place in a step, `[T, N, L]`; 0 beyond a row's length.
  func shares(_ forward: Forward) throws -> Tensor {
    let steps = emissions.shape[0]
    let loss = try forward.loss.unsqueezed(axis: 1)
    let zero = try Tensor(Float(0), on: loss.device)
    var shares: [Tensor] = []
    // Paths that lead from a place to the end, without the place itself.
    var ahead = ends
    for step in (0..<steps).reversed() {
      let share = try (forward.states[step] + ahead + loss).exp()
      shares.append(try kept(step, share, zero.broadcast(to: share.shape)))
      guard step > 0 else { break }
      let here = try ahead + emissions[step]
      let width = here.shape[1]
      let wide = try here.padded([(0, 0), (0, 2)], value: Self.nothing)
      let jump = try (here + skips).padded([(0, 0), (0, 2)], value: Self.nothing)
      let before = try joined(
        here, wide.slice(axis: 1, start: 1, end: width + 1),
        jump.slice(axis: 1, start: 2, end: width + 2))
      ahead = try kept(step, before, ahead)
    }
    return try .stacked(shares.reversed())
  }

  /// `log(eᵃ + eᵇ + eᶜ)`.
  private func joined(_ a: Tensor, _ b: Tensor, _ c: Tensor) throws -> Tensor {
    let top = try a.maximum(b).maximum(c)
    let sum = try (a - top).exp() + (b - top).exp() + (c - top).exp()
    return try top + sum.log()
  }

  /// `a` in rows that take part in the step, `b` in others.
  private func kept(_ step: Int, _ a: Tensor, _ b: Tensor) throws -> Tensor {
    guard let isActive else { return a }
    return try .select(where: isActive[step], a, b)
  }
}
