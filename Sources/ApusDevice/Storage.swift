/// Memory of one device. A backend subclasses it; `deinit` gives the memory back to its pool.
///
/// Contents are only touched by commands in queue order, so a storage may be shared between threads.
// @unchecked: the base class is immutable; a subclass proves the same of what it adds.
open class Storage: @unchecked Sendable {
  public let byteCount: Int

  public init(byteCount: Int) {
    self.byteCount = byteCount
  }
}

/// A storage seen with a type and a layout: what a command reads or writes.
public struct Operand: Sendable {
  public var storage: Storage
  public let dtype: DType
  public let layout: Layout

  public init(storage: Storage, dtype: DType, layout: Layout) {
    self.storage = storage
    self.dtype = dtype
    self.layout = layout
  }

  public var shape: [Int] { layout.shape }
  public var count: Int { layout.count }

  /// The same memory with another layout.
  public func with(_ layout: Layout) -> Operand {
    Operand(storage: storage, dtype: dtype, layout: layout)
  }

  public func broadcast(to shape: [Int]) -> Operand { with(layout.broadcast(to: shape)) }
}
