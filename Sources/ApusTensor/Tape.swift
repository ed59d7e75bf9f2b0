import ApusDevice
import Synchronization

/// Records what is computed from watched tensors, so that gradients can be had by walking back.
///
/// The tape is an append-only list of `{inputs, pullback}`. Backward walks it once in reverse and
/// frees each entry as it goes: no recursion, so a recurrence of any length neither overflows the
/// stack nor keeps memory. A tape serves one backward pass; a second use is an error.
public final class Tape: Sendable {
  /// A tensor's place on its tape.
  struct Record: Sendable {
    let tape: Tape
    let node: Int
  }

  /// Maps the gradient of an output to the gradients of the inputs, nil where none is wanted.
  typealias Pullback = @Sendable (Tensor) throws -> [Tensor?]
  /// The same for several outputs of one operation; nil for an output that nothing depended on.
  typealias JointPullback = @Sendable ([Tensor?]) throws -> [Tensor?]

  private enum Rule {
    /// A watched tensor, or a further output of the joint entry before it.
    case none
    case one(Pullback)
    /// For this node and those that follow it.
    case joint(count: Int, JointPullback)
  }

  private struct Entry {
    /// Nodes of the inputs, nil where an input is not watched.
    let inputs: [Int?]
    let rule: Rule
    var detour: Detour?
  }

  /// A cheaper rule that passes `nodes` by; it holds where nobody asks for their gradients.
  private struct Detour {
    let nodes: [Int]
    let inputs: [Int?]
    let pullback: Pullback
  }

  private struct State {
    var entries: [Entry] = []
    var parameters: [ObjectIdentifier: Tensor] = [:]
    var isConsumed = false
  }

  private let state = Mutex(State())

  public init() {}

  /// The same tensor, watched: gradients with respect to it can be asked of this tape.
  /// - Throws: ``ApusError`` where the element type has no gradient or the tape is spent.
  public func watch(_ x: Tensor) throws -> Tensor {
    guard x.dtype == .float32 || x.dtype == .float64 else {
      throw ApusError(
        .dtype, operation: "watch", "\(x.dtype) has no gradient; cast to float32 first")
    }
    return try append([x], inputs: [], .none)[0]
  }

  /// The parameter's value, watched; the same tensor at every call.
  func watch(_ parameter: Parameter) throws -> Tensor {
    let identity = ObjectIdentifier(parameter)
    if let known = state.withLock({ $0.parameters[identity] }) { return known }
    let watched = try watch(parameter.value)
    state.withLock { $0.parameters[identity] = watched }
    return watched
  }

  /// The tape that watches any of `inputs`, nil when none does.
  @inline(__always)
  static func watching(_ inputs: Tensor...) throws -> Tape? {
    var tape: Tape?
    for x in inputs {
      guard let record = x.record else { continue }
      if let tape, tape !== record.tape { throw mixed }
      tape = record.tape
    }
    return tape
  }

  static func watching(_ inputs: [Tensor]) throws -> Tape? {
    var tape: Tape?
    for x in inputs {
      guard let record = x.record else { continue }
      if let tape, tape !== record.tape { throw mixed }
      tape = record.tape
    }
    return tape
  }

  private static var mixed: ApusError {
    ApusError(
      .state, operation: "tape",
      "operands are watched by two tapes; detach one of them with `detached`")
  }

  /// `output` as computed from `inputs`, with the rule for its gradient.
  func record(
    _ output: Tensor, from inputs: [Tensor], pullback: @escaping Pullback
  ) throws -> Tensor {
    try append([output], inputs: inputs.map { $0.record?.node }, .one(pullback))[0]
  }

  /// The same where `inputs[0]` was made from `start` alone, by one operation after another: `detour`
  /// gives the gradients of `start` and of the other inputs. It is used unless the gradient of a tensor
  /// between the two is asked for.
  func record(
    _ output: Tensor, from inputs: [Tensor], pullback: @escaping Pullback, past start: Tensor,
    detour: @escaping Pullback
  ) throws -> Tensor {
    let recorded = try record(output, from: inputs, pullback: pullback)
    guard let first = start.record, let last = inputs[0].record, let node = recorded.record else {
      return recorded
    }
    state.withLock { state in
      // Another thread may have spent the tape meanwhile.
      guard !state.isConsumed else { return }
      var passed = [last.node]
      while let before = state.entries[passed[passed.count - 1]].inputs.first, before != first.node
      {
        guard let before else { return }
        passed.append(before)
      }
      state.entries[node.node].detour = Detour(
        nodes: passed, inputs: [first.node] + inputs.dropFirst().map { $0.record?.node },
        pullback: detour)
    }
    return recorded
  }

  /// All `outputs` of one operation on `inputs`, with the rule for its gradient.
  func record(
    _ outputs: [Tensor], from inputs: [Tensor], pullback: @escaping JointPullback
  ) throws -> [Tensor] {
    try append(
      outputs, inputs: inputs.map { $0.record?.node }, .joint(count: outputs.count, pullback))
  }

  private func append(_ outputs: [Tensor], inputs: [Int?], _ rule: Rule) throws -> [Tensor] {
    let first = try state.withLock { state in
      guard !state.isConsumed else { throw Self.spent }
      state.entries.append(Entry(inputs: inputs, rule: rule))
      for _ in outputs.dropFirst() { state.entries.append(Entry(inputs: [], rule: .none)) }
      return state.entries.count - outputs.count
    }
    return outputs.enumerated().map { index, output in
      Tensor(
        output.operand, on: output.device, record: Record(tape: self, node: first + index))
    }
  }

  private static var spent: ApusError {
    ApusError(
      .state, operation: "tape",
      "this tape has already given its gradients and is freed; record the forward pass anew")
  }

  /// Derivatives of the scalar `output` with respect to watched tensors, zeros where it does not
  /// depend on one. These may be what was watched or anything computed on the way, `output` included. The
  /// tape is spent afterwards.
  /// - Throws: ``ApusError`` where `output` is no scalar, is not watched by this tape, or the tape is
  ///   spent.
  public func gradients(of output: Tensor, for sources: [Tensor]) throws -> [Tensor] {
    guard output.count == 1 else {
      throw ApusError(
        .shape, operation: "gradients",
        "only a scalar has a gradient, this has shape \(output.shape); "
          + "reduce it with `sum()` or `mean()`, or pass `seed`")
    }
    return try gradients(of: output, for: sources, seed: .ones(like: output))
  }

  /// The same for an output of any shape, weighted by `seed` of its shape (a vector-Jacobian
  /// product).
  public func gradients(of output: Tensor, for sources: [Tensor], seed: Tensor) throws -> [Tensor] {
    guard seed.shape == output.shape else {
      throw ApusError(
        .shape, operation: "gradients",
        "the seed has shape \(seed.shape), the output \(output.shape); they must be equal")
    }
    let found = try backward(from: output, seed: seed, for: sources)
    return try zip(sources, found).map { source, gradient in
      try gradient ?? .zeros(like: source)
    }
  }

  /// Gradients of `parameters` in their order, zeros for one that was not used.
  func gradients(of output: Tensor, for parameters: [Parameter]) throws -> [Tensor] {
    let sources = try parameters.map { try watch($0) }
    return try gradients(of: output, for: sources)
  }

  private func backward(
    from output: Tensor, seed: Tensor, for sources: [Tensor]
  ) throws -> [Tensor?] {
    guard let record = output.record, record.tape === self else {
      throw ApusError(
        .state, operation: "gradients",
        "the output is not watched by this tape; compute it from tensors that the tape watches")
    }
    // Entries leave the tape, so their memory goes as the walk passes them.
    var entries = try state.withLock { state in
      guard !state.isConsumed else { throw Self.spent }
      state.isConsumed = true
      state.parameters = [:]
      defer { state.entries = [] }
      return state.entries
    }
    var gradients = [Tensor?](repeating: nil, count: entries.count)
    gradients[record.node] = seed.detached
    let wanted = Set(sources.compactMap { $0.record?.node })
    while let entry = entries.popLast() {
      let node = entries.count
      let parts: [Tensor?]
      var inputs = entry.inputs
      switch entry.rule {
      case .none: continue
      case .one(let pullback):
        guard let gradient = gradients[node] else { continue }
        if !wanted.contains(node) { gradients[node] = nil }
        if let detour = entry.detour, wanted.isDisjoint(with: detour.nodes) {
          inputs = detour.inputs
          parts = try detour.pullback(gradient)
        } else {
          parts = try pullback(gradient)
        }
      case .joint(let count, let pullback):
        let given = Array(gradients[node..<node + count])
        guard given.contains(where: { $0 != nil }) else { continue }
        for index in node..<node + count where !wanted.contains(index) { gradients[index] = nil }
        parts = try pullback(given)
      }
      for (input, part) in zip(inputs, parts) {
        guard let input, let part else { continue }
        if let earlier = gradients[input] {
          gradients[input] = try earlier + part
        } else {
          gradients[input] = part
        }
      }
    }
    return try sources.map { source -> Tensor? in
      guard let record = source.record, record.tape === self else {
        throw ApusError(
          .state, operation: "gradients",
          "a tensor of shape \(source.shape) is not watched by this tape; get it from `watch`")
      }
      return gradients[record.node]
    }
  }
}
