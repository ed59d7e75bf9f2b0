import ApusDevice
import Synchronization

/// A value that training changes: a cell with a tensor, shared by a model and its optimizer.
///
/// A forward pass reads it through ``Context``, which lets a tape watch it.
public final class Parameter: Sendable {
  private struct State {
    var operand: Operand
    var device: Device
    var isTrainable: Bool
    var isStatistic = false
  }

  private let state: Mutex<State>

  /// - Parameter isTrainable: Whether optimizers change it and gradients flow to it.
  public init(_ value: Tensor, isTrainable: Bool = true) {
    state = Mutex(State(operand: value.operand, device: value.device, isTrainable: isTrainable))
  }

  /// The current value, watched by no tape.
  public var value: Tensor { state.withLock { Tensor($0.operand, on: $0.device) } }
  public var shape: [Int] { state.withLock { $0.operand.shape } }
  public var dtype: DType { state.withLock { $0.operand.dtype } }
  public var device: Device { state.withLock { $0.device } }
  public var count: Int { state.withLock { $0.operand.count } }

  /// Frozen parameters get no gradient and are not changed by optimizers. A statistic stays frozen.
  public var isTrainable: Bool {
    get { state.withLock { $0.isTrainable } }
    set { state.withLock { $0.isTrainable = newValue && !$0.isStatistic } }
  }

  /// Whether it is a record of what training saw, such as a running mean: part of a model's state, as a
  /// buffer of `torch.nn.Module`, but none of its parameters when these are counted.
  public var isStatistic: Bool { state.withLock { $0.isStatistic } }

  /// Makes it a statistic, for good.
  public func becomeStatistic() {
    state.withLock { ($0.isStatistic, $0.isTrainable) = (true, false) }
  }

  /// Replaces the value.
  /// - Throws: ``ApusError`` where shape or element type differ.
  public func assign(_ value: Tensor) throws {
    try state.withLock { state in
      guard state.operand.shape == value.shape, state.operand.dtype == value.dtype else {
        throw ApusError(
          .shape, operation: "assign",
          "the parameter is \(state.operand.dtype)\(state.operand.shape), the new value "
            + "\(value.dtype)\(value.shape); they must agree")
      }
      state.operand = value.operand
      state.device = value.device
    }
  }

  /// Moves the value to another device.
  public func move(to device: Device) throws {
    let moved = try value.to(device)
    state.withLock { state in
      state.operand = moved.operand
      state.device = device
    }
  }

  /// The memory for an update: `next` is `current` itself where nobody else holds the value, and new
  /// memory otherwise, so tensors taken earlier keep their contents. Enqueue the command that fills
  /// `next`, then hand it to ``commit(_:)``.
  ///
  /// Updating and reading one parameter from two threads at once needs the caller's own order.
  public func prepareUpdate() throws -> (current: Operand, next: Operand) {
    try state.withLock { state in
      if state.operand.layout.isContiguous, state.operand.layout.offset == 0,
        isKnownUniquelyReferenced(&state.operand.storage)
      {
        return (state.operand, state.operand)
      }
      let value = try Tensor(state.operand, on: state.device).contiguous().operand
      return (value, try Tensor.allocated(value.shape, value.dtype, on: state.device).operand)
    }
  }

  /// Makes memory from ``prepareUpdate()`` the value.
  public func commit(_ next: Operand) {
    state.withLock { $0.operand = next }
  }
}
