import ApusDevice

extension Tensor {
  /// A one-dimensional tensor of these elements.
  public init<T: TensorScalar>(_ elements: [T], on device: Device) throws {
    try self.init(elements, shape: [elements.count], on: device)
  }

  /// A scalar.
  public init<T: TensorScalar>(_ element: T, on device: Device) throws {
    try self.init([element], shape: [], on: device)
  }

  /// Elements in row-major order.
  /// - Throws: ``ApusError`` where their number is not that of `shape`.
  public init<T: TensorScalar>(_ elements: [T], shape: [Int], on device: Device) throws {
    let count = try ShapeRule.count(shape, "init")
    guard count == elements.count else {
      throw ApusError(
        .shape, operation: "init",
        "\(elements.count) elements do not fill shape \(shape), which holds \(count)")
    }
    let storage = try elements.withUnsafeBytes {
      try Self.uploaded($0, to: device)
    }
    self.init(
      Operand(storage: storage, dtype: T.dtype, layout: Layout(contiguous: shape)), on: device)
  }

  /// Rows of equal length.
  /// - Throws: ``ApusError`` where a row has another length than the first.
  public init<T: TensorScalar>(rows: [[T]], on device: Device) throws {
    let width = rows.first?.count ?? 0
    if let row = rows.firstIndex(where: { $0.count != width }) {
      throw ApusError(
        .shape, operation: "init",
        "row \(row) has \(rows[row].count) elements, row 0 has \(width); all must be equal")
    }
    try self.init(rows.flatMap { $0 }, shape: [rows.count, width], on: device)
  }

  /// Raw row-major bytes of any element type, as a file gives them.
  /// - Throws: ``ApusError`` where their number does not fit.
  public init(
    bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType, on device: Device
  ) throws {
    let count = try ShapeRule.count(shape, "init")
    guard count * dtype.byteCount == bytes.count else {
      throw ApusError(
        .shape, operation: "init",
        "\(bytes.count) bytes do not fill \(dtype)\(shape), which takes \(count * dtype.byteCount)")
    }
    let storage = try Self.uploaded(bytes, to: device)
    self.init(
      Operand(storage: storage, dtype: dtype, layout: Layout(contiguous: shape)), on: device)
  }

  private static func uploaded(_ bytes: UnsafeRawBufferPointer, to device: Device) throws -> Storage
  {
    let storage: Storage
    do { storage = try device.backend.allocate(byteCount: bytes.count) } catch let error
      as ApusError
    { throw error.asking(for: "upload", [bytes.count], .uint8) }
    if !bytes.isEmpty { try device.backend.upload(bytes, to: storage, byteOffset: 0) }
    return storage
  }

  // MARK: Constants

  public static func full(
    _ shape: [Int], _ value: Double, dtype: DType = .float32, on device: Device
  ) throws -> Tensor {
    _ = try ShapeRule.count(shape, "full")
    let out = try device.backend.temporary(shape, dtype, for: .fill(value))
    try device.backend.enqueue(Command(.fill(value), inputs: [], outputs: [out]))
    return Tensor(out, on: device)
  }

  public static func zeros(
    _ shape: [Int], dtype: DType = .float32, on device: Device
  ) throws -> Tensor {
    try full(shape, 0, dtype: dtype, on: device)
  }

  public static func ones(
    _ shape: [Int], dtype: DType = .float32, on device: Device
  ) throws -> Tensor {
    try full(shape, 1, dtype: dtype, on: device)
  }

  public static func zeros(like x: Tensor) throws -> Tensor {
    try zeros(x.shape, dtype: x.dtype, on: x.device)
  }

  public static func ones(like x: Tensor) throws -> Tensor {
    try ones(x.shape, dtype: x.dtype, on: x.device)
  }

  /// The identity matrix.
  public static func eye(_ size: Int, on device: Device) throws -> Tensor {
    let count = try ShapeRule.count([size, size], "eye")
    var elements = [Float](repeating: 0, count: count)
    for row in 0..<size { elements[row * size + row] = 1 }
    return try Tensor(elements, shape: [size, size], on: device)
  }

  /// `start, start + step, …` below `end` (above, for a negative step), as `torch.arange`.
  public static func arange(
    _ start: Double = 0, _ end: Double, step: Double = 1, dtype: DType = .float32,
    on device: Device
  ) throws -> Tensor {
    let length = ((end - start) / step).rounded(.up)
    guard step != 0, length.isFinite, length < Double(Int32.max) else {
      throw ApusError(
        .value, operation: "arange",
        "start \(start), end \(end), step \(step) give no finite sequence of sensible length")
    }
    let count = Swift.max(Int(length), 0)
    let elements = (0..<count).map { start + Double($0) * step }
    return try sequence(elements, dtype, on: device)
  }

  /// `count` numbers from `start` to `end`, both included.
  public static func linspace(
    _ start: Double, _ end: Double, count: Int, on device: Device
  ) throws -> Tensor {
    guard count >= 0 else {
      throw ApusError(.value, operation: "linspace", "count is \(count); it must not be negative")
    }
    let step = count > 1 ? (end - start) / Double(count - 1) : 0
    return try sequence(
      (0..<count).map { $0 == count - 1 && count > 1 ? end : start + Double($0) * step },
      .float32, on: device)
  }

  private static func sequence(
    _ elements: [Double], _ dtype: DType, on device: Device
  ) throws -> Tensor {
    if dtype == .int32 {
      let whole = try elements.map { element in
        guard let value = Int32(exactly: element.rounded(.towardZero)) else {
          throw ApusError(.value, operation: "arange", "\(element) does not fit int32")
        }
        return value
      }
      return try Tensor(whole, on: device)
    }
    return try Tensor(elements.map { Float($0) }, on: device).to(dtype)
  }

  // MARK: Random

  /// Numbers of `[low, high)`.
  public static func uniform(
    _ shape: [Int], low: Float = 0, high: Float = 1, key: RandomKey, on device: Device
  ) throws -> Tensor {
    guard low.isFinite, high.isFinite, low <= high else {
      throw ApusError(
        .value, operation: "uniform", "low \(low) and high \(high) must be finite and in order")
    }
    return try random(.uniform(low: low, high: high), shape, key, "uniform", on: device)
  }

  public static func normal(
    _ shape: [Int], mean: Float = 0, standardDeviation: Float = 1, key: RandomKey,
    on device: Device
  ) throws -> Tensor {
    guard mean.isFinite, standardDeviation.isFinite, standardDeviation >= 0 else {
      throw ApusError(
        .value, operation: "normal",
        "mean \(mean) and standard deviation \(standardDeviation) must be finite, "
          + "the latter not negative")
    }
    return try random(
      .normal(mean: mean, standardDeviation: standardDeviation), shape, key, "normal", on: device)
  }

  /// 1 with `probability`, else 0.
  public static func bernoulli(
    _ shape: [Int], probability: Float, key: RandomKey, on device: Device
  ) throws -> Tensor {
    guard probability >= 0, probability <= 1 else {
      throw ApusError(
        .value, operation: "bernoulli", "probability \(probability) is not within 0...1")
    }
    return try random(
      .bernoulli(probability: probability), shape, key, "bernoulli", on: device)
  }

  private static func random(
    _ distribution: RandomDistribution, _ shape: [Int], _ key: RandomKey, _ name: String,
    on device: Device
  ) throws -> Tensor {
    _ = try ShapeRule.count(shape, name)
    let operation = Operation.random(distribution, key)
    let out = try device.backend.temporary(shape, .float32, for: operation)
    try device.backend.enqueue(Command(operation, inputs: [], outputs: [out]))
    return Tensor(out, on: device)
  }
}
