import ApusDevice
import Synchronization

/// What a forward pass must know beside its inputs: whether it trains, which tape watches, and where
/// randomness comes from. It travels explicitly; there is no global mode.
public final class Context: Sendable {
  /// Whether layers such as dropout behave as in training.
  public let isTraining: Bool
  private let tape: Tape?
  private let key: RandomKey?
  private let draws = Mutex<UInt64>(0)

  /// - Parameters:
  ///   - key: Needed by random layers in training.
  ///   - tape: Watches the parameters that are read through the context.
  public init(isTraining: Bool, key: RandomKey? = nil, tape: Tape? = nil) {
    self.isTraining = isTraining
    self.key = key
    self.tape = tape
  }

  /// A context for evaluation: no tape, no randomness.
  public static var evaluation: Context { Context(isTraining: false) }

  /// The parameter's value, watched by the tape if there is one and the parameter is trainable.
  public subscript(parameter: Parameter) -> Tensor {
    get throws {
      guard let tape, parameter.isTrainable else { return parameter.value }
      return try tape.watch(parameter)
    }
  }

  /// A fresh key: the n-th draw of a pass is the same in every repeat.
  /// - Throws: ``ApusError`` when the context has no key.
  public func nextKey() throws -> RandomKey {
    guard let key else {
      throw ApusError(
        .value, operation: "context",
        "a random layer runs in training, but the context has no random key; pass `key:`")
    }
    return key.folded(
      draws.withLock { draws in
        defer { draws += 1 }
        return draws
      })
  }
}
