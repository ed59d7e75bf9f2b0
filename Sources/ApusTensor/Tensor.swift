import ApusDevice

/// An immutable array of numbers on a device.
///
/// Shape, element type and device are run-time values. Operations give new tensors; views
/// (`transposed`, `slice`, `reshaped` where strides allow) share memory. Everything that can be
/// misused throws ``ApusError``, operators included: `try (a + b) * c`.
public struct Tensor: Sendable {
  /// Where the elements live and where operations on them run.
  public let device: Device
  let operand: Operand
  /// The tape that watches this tensor, nil where no gradient will be asked.
  let record: Tape.Record?
  /// Set where the last axis holds rows that were taken from a matrix.
  var chosenRows: ChosenRows?

  init(_ operand: Operand, on device: Device, record: Tape.Record? = nil) {
    self.operand = operand
    self.device = device
    self.record = record
  }

  public var shape: [Int] { operand.layout.shape }
  public var dtype: DType { operand.dtype }
  /// The number of axes; 0 for a scalar.
  public var rank: Int { operand.layout.shape.count }
  /// The number of elements.
  public var count: Int { operand.layout.count }
  /// Steps in elements between neighbours along each axis; 0 where an element is repeated.
  public var strides: [Int] { operand.layout.strides }
  public var isContiguous: Bool { operand.layout.isContiguous }
  /// Whether a tape watches this tensor.
  public var isWatched: Bool { record != nil }

  /// The same tensor, seen by no tape: no gradient flows through it.
  public var detached: Tensor { Tensor(operand, on: device) }

  /// The memory and layout for those who speak to the device's backend directly.
  ///
  /// Commands must treat it as read-only.
  public var deviceOperand: Operand { operand }

  /// Wraps memory that commands of this device's backend have filled.
  public init(deviceOperand operand: Operand, on device: Device) {
    self.init(operand, on: device)
  }

  /// The same memory with another layout, not recorded.
  func viewed(_ layout: Layout) -> Tensor { Tensor(operand.with(layout), on: device) }
}

extension Tensor {
  /// A new contiguous tensor, contents undefined until a command fills it.
  ///
  /// - Parameter file: That of the operation which will fill it, named where memory is short.
  static func allocated(
    _ shape: [Int], _ dtype: DType, on device: Device, file: StaticString = #fileID
  ) throws -> Tensor {
    do {
      return Tensor(try device.backend.temporary(shape, dtype), on: device)
    } catch let error as ApusError { throw error.asking(for: operation(in: file), shape, dtype) }
  }

  /// Runs one command with one output.
  @inline(__always)
  static func run(
    _ operation: Operation, _ x: Tensor, shape: [Int], dtype: DType
  ) throws -> Tensor {
    let out = try x.device.backend.temporary(shape, dtype, for: operation)
    try x.device.backend.enqueue(Command(operation, inputs: [x.operand], outputs: [out]))
    return Tensor(out, on: x.device)
  }

  static func run(
    _ operation: Operation, _ inputs: [Tensor], shape: [Int], dtype: DType
  ) throws -> Tensor {
    let device = try commonDevice(inputs, operation)
    let out = try device.backend.temporary(shape, dtype, for: operation)
    try device.backend.enqueue(
      Command(operation, inputs: inputs.map(\.operand), outputs: [out]))
    return Tensor(out, on: device)
  }

  /// The one device of all inputs.
  static func commonDevice(_ inputs: [Tensor], _ operation: Operation) throws -> Device {
    let device = inputs[0].device
    for x in inputs.dropFirst() where x.device !== device {
      throw ApusError(
        .device, operation: operation.name,
        "operands live on '\(device)' and '\(x.device)'; move one with `to(device)` first")
    }
    return device
  }
}
