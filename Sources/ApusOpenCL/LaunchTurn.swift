import ApusDevice
import COpenCL

/// Keeps the kernels of contexts that share programs from being in flight together, on drivers that fail then.
///
/// PoCL holds one list of loaded kernels for the whole process, by the hash of program and options and by the
/// work-group's size. Where two contexts run one program over grids of different widths at one time, they let go
/// of each other's entries, which ends the process (`pocl_release_dlhandle_cache: Assertion 'found->ref_count >
/// 0'`, seen in 3.1) or unloads code that still runs. Whoever launches waits for the other queue to be empty;
/// a process with one context never does. Parts of a device build programs of their own and run side by side.
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
