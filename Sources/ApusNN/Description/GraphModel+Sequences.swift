import ApusDevice
import ApusTensor

/// A model of sequences that goes on from state to state, as through the pieces of a long text.
public protocol RecurrentModel: Layer {
  /// A piece of longer sequences.
  /// - Parameters:
  ///   - x: `[B, T, …]`.
  ///   - states: Before the first step, by names of the model's choice, zeros where missing; after the
  ///     last step when the call is over. They carry gradients: see ``RecurrentState/detached``.
  func callAsFunction(
    _ x: Tensor, states: inout [String: RecurrentState], _ context: Context
  ) throws -> Tensor
}

/// What layers on sequences know beside their input.
struct SequencePass {
  /// How many steps of each row count; all for nil.
  var lengths: [Int]?
  /// The states before the first step by the name of the layer, those after the last one when the pass is
  /// over; nil where states begin at zero and are not wanted.
  var states: [String: RecurrentState]?
}

extension GraphModel {
  /// Whether rows of a batch may have different numbers of steps.
  public var isVariableLength: Bool { description.variableLength == true }

  /// Whether each step depends on the steps before alone, as where the next one is foretold.
  public var isCausal: Bool {
    nodes.allSatisfy { node in
      guard case .layer(let layer) = node.built.kind else { return true }
      return !((layer as? RecurrentLayer)?.stack.options.bidirectional ?? false)
        && !(layer is AttentionPooling)
    }
  }

  /// - Parameters:
  ///   - x: The single input, `[B, T, …]`.
  ///   - lengths: How many steps of each row count; all for nil.
  public func callAsFunction(
    _ x: Tensor, lengths: [Int]?, _ context: Context
  ) throws -> Tensor {
    var pass = SequencePass(lengths: lengths)
    return try single(try run([x], &pass, context))
  }

  /// A piece of longer sequences; states go by the names of the recurrent layers.
  public func callAsFunction(
    _ x: Tensor, states: inout [String: RecurrentState], _ context: Context
  ) throws -> Tensor {
    var pass = SequencePass(states: states)
    let result = try single(try run([x], &pass, context))
    states = pass.states ?? [:]
    return result
  }

  func single(_ results: [Tensor]) throws -> Tensor {
    guard results.count == 1 else {
      throw ApusError(
        .value, operation: description.name ?? "model",
        "the model has \(results.count) outputs; call it with a list of inputs")
    }
    return results[0]
  }
}

extension GraphModel.Node {
  /// Runs the layer with what sequences need.
  func run(
    _ inputs: [Tensor], addend: Tensor? = nil, activation: UnaryOp? = nil,
    _ pass: inout SequencePass, _ context: Context
  ) throws -> Tensor {
    guard case .layer(let layer) = built.kind, let sequences = layer as? any SequenceLayer else {
      return try built.run(inputs, addend: addend, activation: activation, context)
    }
    guard let recurrent = layer as? RecurrentLayer, let states = pass.states else {
      return try sequences(inputs[0], lengths: pass.lengths, context)
    }
    let (output, state) = try recurrent(
      inputs[0], state: states[name], lengths: pass.lengths, context)
    pass.states?[name] = state
    return output
  }
}

extension BuiltLayer {
  /// Whether the result has steps, where inputs may have a variable number of them.
  /// - Parameters:
  ///   - inputs: Whether each input has steps.
  ///   - shapes: Those of the inputs, without the batch axis.
  /// - Throws: ``ApusError`` for a layer that needs a fixed number of steps.
  func keepsSteps(
    _ inputs: [Bool], _ shapes: [[Int]], of layer: LayerDescription
  ) throws -> Bool {
    guard inputs.contains(true) else { return false }
    func refused(_ message: String) -> ApusError {
      ApusError(.data, operation: "layer '\(layer.name)' (\(layer.type))", message)
    }
    let needsFixed = refused(
      "needs a fixed number of steps, but \"variableLength\" says that it varies; recurrent layers with "
        + "\"output\": \"last\" and AttentionPooling make one vector of all steps")
    switch kind {
    case .add, .multiply, .concatenate:
      guard !inputs.contains(false) else {
        throw refused("joins a sequence of variable length with something that has no steps")
      }
      if case .concatenate(axis: 1) = kind { throw needsFixed }
      return true
    case .epilogue(let layer, _):
      guard layer is Linear, shapes[0].count > 1 else { throw needsFixed }
      return true
    case .layer(let layer):
      switch layer {
      case let recurrent as RecurrentLayer: return !recurrent.givesLast
      case is AttentionPooling: return false
      case is Embedding, is Dropout, is Identity, is any ActivationLayer: return true
      case let norm as LayerNorm where norm.normalizedShape.count < shapes[0].count: return true
      default: throw needsFixed
      }
    }
  }
}
