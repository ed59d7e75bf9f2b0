import ApusDevice
import CVector
import Synchronization

/// The caching pool behind a backend; it lives as long as a storage does.
// @unchecked: the pool takes its own lock in every call.
final class MemoryPool: @unchecked Sendable {
  private let pool: OpaquePointer
  /// Commands that have yet to write to blocks of the pool.
  let chain = ElementwiseChain()
  /// What the machine has, and the limit below it that a user set.
  private let largest: Int
  private let userLimit = Mutex<Int?>(nil)

  init(limit: Int) throws {
    guard let pool = apus_memory_create(limit) else {
      throw ApusError(.outOfMemory, operation: "cpu", "no memory for the bookkeeping of the pool")
    }
    self.pool = pool
    largest = limit
  }

  func limit(to byteCount: Int?) {
    userLimit.withLock { $0 = byteCount }
    apus_memory_set_limit(pool, min(byteCount ?? largest, largest))
  }

  deinit { apus_memory_destroy(pool) }

  var counters: apus_memory_counters { apus_memory_read(pool) }

  func take(_ byteCount: Int) throws -> UnsafeMutableRawPointer {
    if let block = apus_memory_take(pool, byteCount) { return block }
    // What waits may hold on to memory that nobody else needs.
    chain.run()
    guard let block = apus_memory_take(pool, byteCount) else {
      if byteCount < 0 {
        throw ApusError(.value, operation: "allocate", "\(byteCount) bytes cannot be allocated")
      }
      throw MemoryShortage(
        device: "cpu", asked: byteCount, inUse: counters.bytes_in_use,
        limit: userLimit.withLock { $0 }, reason: "the machine has \(ByteSize(largest))"
      ).error
    }
    return block
  }

  func give(_ block: UnsafeMutableRawPointer, _ byteCount: Int) {
    apus_memory_give(pool, block, byteCount)
  }
}

/// A block of the pool, given back when its last owner dies.
// @unchecked: both properties are immutable; contents follow the rule of `Storage`.
final class CPUStorage: Storage, @unchecked Sendable {
  let block: UnsafeMutableRawPointer
  private let memory: MemoryPool

  init(block: UnsafeMutableRawPointer, byteCount: Int, memory: MemoryPool) {
    self.block = block
    self.memory = memory
    super.init(byteCount: byteCount)
  }

  deinit {
    memory.chain.forget(block)
    memory.give(block, byteCount)
  }
}

extension CPUBackend {
  /// The memory behind a storage, with all that was to be written to it.
  /// - Throws: `ApusError` when the storage belongs to another device.
  @inline(__always)
  func block(_ storage: Storage) throws -> UnsafeMutableRawPointer {
    let storage = try own(storage)
    if memory.chain.waits { memory.chain.run() }
    return storage.block
  }

  @inline(__always)
  func own(_ storage: Storage) throws -> CPUStorage {
    guard type(of: storage) == CPUStorage.self else {
      throw ApusError(
        .device, operation: "cpu",
        "a tensor of another device reached 'cpu'; move it with `to(device)` first")
    }
    return unsafeDowncast(storage, to: CPUStorage.self)
  }

  /// The first element of an operand.
  @inline(__always)
  func pointer(_ operand: Operand) throws -> UnsafeMutableRawPointer {
    try block(operand.storage) + operand.layout.offset * operand.dtype.byteCount
  }

  @inline(__always)
  func floats(_ operand: Operand) throws -> UnsafeMutablePointer<Float> {
    try pointer(operand).assumingMemoryBound(to: Float.self)
  }

  @inline(__always)
  func words(_ operand: Operand) throws -> UnsafeMutablePointer<Int32> {
    try pointer(operand).assumingMemoryBound(to: Int32.self)
  }

  /// Calls `body` with a scratch of the pool, aligned to 128 bytes; no scratch for 0 bytes.
  func withScratch<R>(
    _ byteCount: Int, _ body: (UnsafeMutableRawPointer?) throws -> R
  ) throws -> R {
    guard byteCount > 0 else { return try body(nil) }
    let block = try memory.take(byteCount)
    defer { memory.give(block, byteCount) }
    return try body(block)
  }

  /// The operand itself where it is contiguous, else a contiguous copy.
  func contiguous(_ operand: Operand) throws -> Operand {
    if operand.layout.isContiguous { return operand }
    let copy = try temporary(operand.shape, operand.dtype)
    try move(operand, copy)
    return copy
  }

  /// Runs `body` on contiguous forms of `operands`, which live until it returns: a pointer alone does
  /// not keep a temporary alive.
  func reading<R>(_ operands: Operand..., body: ([Operand]) throws -> R) throws -> R {
    try reading(operands, body: body)
  }

  func reading<R>(_ operands: [Operand], body: ([Operand]) throws -> R) throws -> R {
    let dense = try operands.map { try contiguous($0) }
    return try withExtendedLifetime(dense) { try body(dense) }
  }

  /// Runs `body` on `out` or, where that is not contiguous, on a temporary that is then copied.
  func withContiguous(_ out: Operand, _ body: (Operand) throws -> Void) throws {
    if out.layout.isContiguous { return try body(out) }
    let copy = try temporary(out.shape, out.dtype)
    try body(copy)
    try move(copy, out)
  }

  func require(_ dtype: DType, _ operand: Operand, _ name: @autoclosure () -> String) throws {
    guard operand.dtype == dtype else {
      throw unsupported(name(), operand.dtype, takes: dtype.description)
    }
  }

  func unsupported(_ name: String, _ dtype: DType, takes: String) -> ApusError {
    ApusError(
      .dtype, operation: name,
      "device 'cpu' takes \(takes) here, not \(dtype); cast the operand first")
  }

  func checkRank(_ operand: Operand, _ name: @autoclosure () -> String) throws {
    guard operand.layout.rank <= Layout.maximumRank else {
      throw ApusError(
        .shape, operation: name(),
        "shape \(operand.shape) has more than \(Layout.maximumRank) axes; merge some with reshape")
    }
  }
}
