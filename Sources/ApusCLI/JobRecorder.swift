import Apus
import ApusOpenCL
import Synchronization

/// A device that computes on another one and notes what it is asked for that can be tuned.
final class JobRecorder: ForwardingBackend {
  let target: any Backend
  private let noted = Mutex<[TuningJob]>([])

  init(_ target: any Backend) { self.target = target }

  /// Each once.
  var jobs: [TuningJob] {
    noted.withLock { all in
      var seen: Set<TuningJob> = []
      return all.filter { seen.insert($0).inserted }
    }
  }

  func begin() { noted.withLock { $0 = [] } }

  func enqueue(_ command: Command) throws {
    if let job = TuningJob(command) { noted.withLock { $0.append(job) } }
    try target.enqueue(command)
  }
}
