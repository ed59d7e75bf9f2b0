/// What a device knows when it cannot give memory; the operation is added by whoever asked.
public struct MemoryShortage: Sendable {
  public var device: String
  /// Bytes of the request, and of what is held already.
  public var asked: Int
  public var inUse: Int
  /// What `limitMemory` set; nil without such a limit.
  public var limit: Int?
  /// What the driver or the system said; empty where the limit forbids.
  public var reason: String

  public init(device: String, asked: Int, inUse: Int, limit: Int?, reason: String) {
    self.device = device
    self.asked = asked
    self.inUse = inUse
    self.limit = limit
    self.reason = reason
  }

  /// The error before it is known what the memory was for.
  public var error: ApusError {
    let held = limit.map { "\(ByteSize(inUse)) of the limit of \(ByteSize($0)) are" }
    let why = reason.isEmpty ? "" : " (\(reason))"
    return ApusError(
      .outOfMemory, operation: "allocate",
      """
      '\(device)' cannot give \(ByteSize(asked))\(why): \(held ?? "\(ByteSize(inUse)) are") in use, and \
      nothing is left that was kept for reuse; reduce the batch, the size of the inputs or the model\
      \(limit == nil ? "" : ", or raise the memory limit")
      """)
  }
}

extension ApusError {
  /// The same error, if it is that of a failed request for memory, with what the memory was for.
  public func asking(for operation: String, _ shape: [Int]? = nil, _ dtype: DType? = nil)
    -> ApusError
  {
    guard kind == .outOfMemory, self.operation == "allocate" else { return self }
    let purpose = shape.map { "for \(dtype.map { "\($0) " } ?? "")\($0) " } ?? "for work space "
    return ApusError(.outOfMemory, operation: operation, purpose + message)
  }
}

extension Backend {
  /// A contiguous temporary for the result of an operation, which a failure names.
  @inline(__always)
  public func temporary(_ shape: [Int], _ dtype: DType, for operation: Operation) throws -> Operand
  {
    do { return try temporary(shape, dtype) } catch let error as ApusError {
      throw error.asking(for: operation.name, shape, dtype)
    }
  }
}

extension Operation {
  /// The bare name for messages: `gemm`, `softmax`.
  public var name: String {
    switch self {
    case .unary(let op): "\(op)".prefixName
    case .unaryBackward(let op): "\(op)".prefixName + " (gradient)"
    case .binary(let op): "\(op)"
    case .scalar(let op, _, _): "\(op)"
    case .compare(let op): "\(op)"
    case .ternary(let op): "\(op)"
    case .reduce(let op, _): "\(op)"
    case .argReduce(let op, _): "arg-\(op)"
    default: "\(self)".prefixName
    }
  }
}

extension String {
  /// The part before the first parenthesis.
  fileprivate var prefixName: String { String(prefix { $0 != "(" }) }
}
