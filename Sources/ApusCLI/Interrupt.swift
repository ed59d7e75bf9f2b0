import Dispatch
import Foundation
import Synchronization

/// Notices Ctrl-C, so that a run can end between two steps. A second Ctrl-C ends the program at once.
final class Interrupt {
  private let flag = Flag()
  private let source: any DispatchSourceSignal

  init() {
    signal(SIGINT, SIG_IGN)
    source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    source.setEventHandler { [flag] in
      signal(SIGINT, SIG_DFL)
      flag.isSet.store(true, ordering: .relaxed)
    }
    source.resume()
  }

  var isRequested: Bool { flag.isSet.load(ordering: .relaxed) }

  deinit {
    source.cancel()
    signal(SIGINT, SIG_DFL)
  }

  private final class Flag: Sendable {
    let isSet = Atomic(false)
  }
}
