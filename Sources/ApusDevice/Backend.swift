/// The seam: what a device must offer. Everything above it works on any implementation.
///
/// Execution is asynchronous and in order: `enqueue` may return before the work is done, commands
/// take effect in the order of their enqueueing, and a failure of enqueued work is thrown by the next
/// synchronising call (`download`, `synchronize`). All methods may be called from any thread.
public protocol Backend: AnyObject, Sendable {
  var info: DeviceInfo { get }
  var counters: DeviceCounters { get }
  /// Whether convolutions run best when channels lie next to each other in memory (`NHWC`). Layers
  /// see `[N, C, H, W]` either way; the strides say the rest.
  var prefersChannelsLast: Bool { get }
  /// How exactly products of matrices are computed.
  var matrixPrecision: MatrixPrecision { get }
  /// Computes the products of commands enqueued from now on in a precision.
  /// - Throws: `ApusError` where the device cannot, or was found to compute wrongly in it; the precision
  ///   is then as before. There is never a silent fallback.
  func setMatrixPrecision(_ precision: MatrixPrecision) throws

  /// The most memory that storages, and what the pool keeps for reuse, may take together; nil for what
  /// the device has. What is kept is given back before a request is refused.
  func limitMemory(to byteCount: Int?)
  /// Memory of at least `byteCount` bytes, contents undefined, from the device's pool.
  func allocate(byteCount: Int) throws -> Storage
  /// Copies host bytes into `storage` in queue order; `bytes` may be freed on return.
  func upload(_ bytes: UnsafeRawBufferPointer, to storage: Storage, byteOffset: Int) throws
  /// Waits for all earlier commands, then copies to the host.
  func download(
    _ storage: Storage, byteOffset: Int, into bytes: UnsafeMutableRawBufferPointer) throws
  /// Waits for all earlier commands and reports the first failure among them.
  func synchronize() throws
  /// Runs a primitive, or a fused operation by a kernel of its own or through `compose`.
  func enqueue(_ command: Command) throws
}

/// What a device says of itself.
public struct DeviceInfo: Sendable, Hashable, Codable {
  public enum Kind: String, Sendable, Hashable, Codable { case cpu, gpu, accelerator, reference }

  /// The name a user selects it by: `cpu`, `opencl:0`, `reference`.
  public let name: String
  /// The product, such as the processor's name.
  public let product: String
  public let vendor: String
  public let driver: String
  public let kind: Kind
  public let computeUnits: Int
  /// Bytes of device memory, 0 where unknown.
  public let memoryByteCount: Int

  public init(
    name: String, product: String, vendor: String, driver: String, kind: Kind, computeUnits: Int,
    memoryByteCount: Int
  ) {
    self.name = name
    self.product = product
    self.vendor = vendor
    self.driver = driver
    self.kind = kind
    self.computeUnits = computeUnits
    self.memoryByteCount = memoryByteCount
  }
}

/// What a device has done since it was opened; differences of two readings prove claims such as "no
/// allocation in steady state".
public struct DeviceCounters: Sendable, Hashable {
  /// Memory asked of the system or driver.
  public var allocations = 0
  /// Requests the pool could serve.
  public var poolHits = 0
  public var bytesInUse = 0
  public var peakBytesInUse = 0
  /// Bytes that the pool keeps for reuse.
  public var bytesCached = 0
  /// Times the pool gave what it kept back to system or driver, because memory was short.
  public var returns = 0
  /// Commands or kernels started.
  public var launches = 0
  /// Times the host waited for the device.
  public var synchronizations = 0

  public init() {}
}

extension Backend {
  public var prefersChannelsLast: Bool { false }
  public var matrixPrecision: MatrixPrecision { .float32 }

  public func setMatrixPrecision(_ precision: MatrixPrecision) throws {
    guard precision != .float32 else { return }
    throw ApusError.missing(
      precision, on: info.name,
      "that takes inline PTX on an NVIDIA GPU of compute capability 8.0 or higher, which this is not"
    )
  }

  /// A temporary `[N, C, H, W]` in the memory order that convolutions of this device prefer.
  public func featureMap(_ shape: [Int], _ dtype: DType = .float32) throws -> Operand {
    guard prefersChannelsLast, shape.count == 4 else { return try temporary(shape, dtype) }
    let layout = Layout(channelsLast: shape)
    return Operand(
      storage: try allocate(byteCount: layout.count * dtype.byteCount), dtype: dtype, layout: layout
    )
  }

  /// A contiguous temporary of this device.
  public func temporary(_ shape: [Int], _ dtype: DType = .float32) throws -> Operand {
    let layout = Layout(contiguous: shape)
    return Operand(
      storage: try allocate(byteCount: layout.count * dtype.byteCount), dtype: dtype, layout: layout
    )
  }

  public func enqueue(_ operation: Operation, _ inputs: [Operand], _ outputs: [Operand]) throws {
    try enqueue(Command(operation, inputs: inputs, outputs: outputs))
  }
}
