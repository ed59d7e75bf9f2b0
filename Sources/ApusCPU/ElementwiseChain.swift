import ApusDevice
import CVector
import Synchronization

/// An input of a command that may wait.
enum ChainInput {
  case dense(CPUStorage, UnsafeMutablePointer<Float>)
  /// One element for all.
  case repeated(CPUStorage, UnsafeMutablePointer<Float>)
  case constant(Float)
}

/// Element-wise commands on long dense operands that wait to be run in one pass, in the order in which
/// they came (see chain.c).
///
/// Each pass over a long tensor reads and writes memory anew. So commands on operands of one length are
/// gathered here until anything else touches the device's memory, or the chain is full. Nothing above
/// can tell: the results are the same bits, and everything that could look at them runs the chain first.
///
/// What a chain reads is kept alive until it has run. What it writes is not: a tensor that dies while
/// the chain waits gives its block back, and the chain then writes nothing there (`forget`). The block
/// may come back as the target of a later step; that is why all uses of one block in a chain must be of
/// the same elements, unless none writes.
// @unchecked: `waiting` is touched under `lock` alone.
final class ElementwiseChain: @unchecked Sendable {
  /// Shorter operands stay in the caches from command to command.
  static let shortest = 32_768

  private let lock = DeviceLock()
  private var waiting = WaitingSteps()
  private let isActive = Atomic(false)

  /// Whether commands wait.
  var waits: Bool {
    @inline(__always) get { isActive.load(ordering: .acquiring) }
  }

  /// Adds a command, after running those that it does not fit to. False if it cannot wait at all, which
  /// is so where it reads what it overwrites elsewhere.
  @inline(never)
  func join(
    _ code: apus_operation, _ parameters: apus_parameters, _ inputs: [ChainInput],
    to storage: CPUStorage, _ address: UnsafeMutablePointer<Float>, count: Int
  ) -> Bool {
    var released: [CPUStorage] = []
    let joined = lock.locked {
      defer { isActive.store(!waiting.isEmpty, ordering: .releasing) }
      if waiting.append(code, parameters, inputs, to: storage, address, count: count) {
        return true
      }
      if waiting.isEmpty { return false }
      released = waiting.run()
      return waiting.append(code, parameters, inputs, to: storage, address, count: count)
    }
    // Storages die here, outside of the lock, which they take themselves.
    released.removeAll()
    return joined
  }

  /// Runs what waits.
  // Never inlined: Swift 6.3 on x86-64 may then use the register of thrown errors, and does not restore
  // it where a throwing function ends with a call in C, such as `memmove`.
  @inline(never)
  func run() {
    let released = lock.locked {
      let released = waiting.run()
      isActive.store(false, ordering: .releasing)
      return released
    }
    _ = consume released
  }

  /// The last owner of the block has died: no one will read what the chain would leave there.
  @inline(__always)
  func forget(_ block: UnsafeMutableRawPointer) {
    if waits { drop(block) }
  }

  @inline(never)
  private func drop(_ block: UnsafeMutableRawPointer) {
    lock.locked { waiting.drop(block) }
  }
}

/// The steps of a chain and what they read and write.
private struct WaitingSteps {
  private static let maximumSteps = APUS_CHAIN_STEPS
  private static let maximumSplats = APUS_CHAIN_SPLATS

  /// A piece of memory that a step reads or writes.
  private struct Place {
    let block: UnsafeMutableRawPointer
    let address: UnsafeMutablePointer<Float>
  }

  private var steps: [apus_chain_step] = []
  /// What each step writes, wanted or not.
  private var targets: [Place] = []
  private var length = 0
  private var sources: [(place: Place, storage: CPUStorage)] = []
  private var splats: Set<UInt32> = []

  var isEmpty: Bool { steps.isEmpty }

  mutating func drop(_ block: UnsafeMutableRawPointer) {
    for step in steps.indices where targets[step].block == block { steps[step].target = nil }
  }

  /// Runs all steps; the result is what they kept alive.
  mutating func run() -> [CPUStorage] {
    guard !steps.isEmpty else { return [] }
    apus_chain(steps, Int32(truncatingIfNeeded: steps.count), length)
    let released = sources.map(\.storage)
    steps.removeAll(keepingCapacity: true)
    targets.removeAll(keepingCapacity: true)
    sources.removeAll(keepingCapacity: true)
    splats.removeAll(keepingCapacity: true)
    return released
  }

  /// False, with the chain as it was, if the command does not fit to those that wait.
  mutating func append(
    _ code: apus_operation, _ parameters: apus_parameters, _ inputs: [ChainInput],
    to storage: CPUStorage, _ address: UnsafeMutablePointer<Float>, count: Int
  ) -> Bool {
    let target = Place(block: storage.block, address: address)
    guard steps.count < Self.maximumSteps, steps.isEmpty || count == length, fits(target) else {
      return false
    }
    var operands: [apus_chain_operand] = []
    var read: [(place: Place, storage: CPUStorage)] = []
    var repeated = splats
    for input in inputs {
      switch input {
      case .constant(let value):
        operands.append(apus_chain_operand(step: -1, value: value, memory: nil))
        repeated.insert(value.bitPattern)
      case .repeated(let storage, let address):
        // Nothing that waits writes there, so the element has its value already.
        guard writer(of: storage.block) == nil else { return false }
        operands.append(apus_chain_operand(step: -1, value: address.pointee, memory: nil))
        repeated.insert(address.pointee.bitPattern)
      case .dense(let storage, let address):
        let place = Place(block: storage.block, address: address)
        guard place.block != target.block || address == target.address else { return false }
        if let step = writer(of: place.block) {
          guard targets[step].address == address else { return false }
          let index = Int32(truncatingIfNeeded: step)
          operands.append(apus_chain_operand(step: index, value: 0, memory: nil))
        } else {
          operands.append(apus_chain_operand(step: -1, value: 0, memory: address))
          read.append((place, storage))
        }
      }
    }
    guard repeated.count <= Self.maximumSplats else { return false }
    splats = repeated
    sources += read
    // What an earlier step would leave there is overwritten before anything can read it.
    drop(target.block)
    let none = apus_chain_operand()
    steps.append(
      apus_chain_step(
        operation: code, parameters: parameters,
        operands: Int32(truncatingIfNeeded: operands.count), a: operands[0],
        b: operands.count > 1 ? operands[1] : none, c: operands.count > 2 ? operands[2] : none,
        target: target.address))
    targets.append(target)
    length = count
    return true
  }

  /// The last step that writes to the block.
  private func writer(of block: UnsafeMutableRawPointer) -> Int? {
    targets.lastIndex { $0.block == block }
  }

  /// Whether all that the chain reads and writes in the block of `target` are the same elements.
  private func fits(_ target: Place) -> Bool {
    targets.allSatisfy { $0.block != target.block || $0.address == target.address }
      && sources.allSatisfy {
        $0.place.block != target.block || $0.place.address == target.address
      }
  }
}
