import ApusDevice
import COpenCL

/// Keeps kernels of contexts that share programs from meeting in drivers that fail then.
///
/// PoCL 3.1 holds one list of loaded kernels for the whole process. A command that ends lets go of the first
/// entry of its kernel and work-group, whoever made it. Entries that are made meanwhile end the process
/// (`pocl_release_dlhandle_cache: Assertion 'found->ref_count > 0'`) or unload code that still runs:
/// - a grid wider than those before, launched by another context that runs the same program;
/// - the binary of the same program, taken by another context: each of its kernels is loaded for it.
///
/// So whoever launches waits for the other queue to be empty, which a process with one context never does,
/// and binaries are taken while all queues are. Parts of a device build programs of their own and run side
/// by side.
///
/// `@unchecked Sendable`: the owner is read and written under `lock` only.
final class LaunchTurn: @unchecked Sendable {
  private let lock = DeviceLock()
  private var owner: cl_command_queue?

  /// Runs `launch`, which puts a kernel into `queue`, when no other queue's kernel can be running.
  @inline(__always)
  func take(_ queue: cl_command_queue, launch: () -> cl_int) -> cl_int {
    lock.locked {
      if owner != queue {
        // Its failures are for those who wait for it.
        if let owner { clFinish(owner) }
        owner = queue
      }
      return launch()
    }
  }

  /// Runs `body` when no kernel is running, and lets none start before it is done.
  func whileNothingRuns<T>(_ body: () throws -> T) rethrows -> T {
    try lock.locked {
      if let owner { clFinish(owner) }
      return try body()
    }
  }

  /// To be called before an empty `queue` is released.
  func leave(_ queue: cl_command_queue) {
    lock.locked { if owner == queue { owner = nil } }
  }

  /// The turn of all contexts whose programs are built with `options`; nil where the driver needs none.
  static func shared(platform: String, options: String) -> LaunchTurn? {
    platform == pocl ? turns.turn(of: options) : nil
  }

  private static let turns = Turns()

  /// `@unchecked Sendable`: the dictionary is read and written under `lock` only.
  private final class Turns: @unchecked Sendable {
    private let lock = DeviceLock()
    private var all: [String: LaunchTurn] = [:]

    func turn(of options: String) -> LaunchTurn {
      lock.locked {
        if let known = all[options] { return known }
        let turn = LaunchTurn()
        all[options] = turn
        return turn
      }
    }
  }
}

/// What PoCL's platform is called.
let pocl = "Portable Computing Language"
