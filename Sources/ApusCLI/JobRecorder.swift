import Apus
import ApusOpenCL
import Synchronization

/// A device that computes on another one and notes what it is asked for that can be tuned.
final class JobRecorder: Backend {
  private let target: any Backend
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

  var info: DeviceInfo { target.info }
  var counters: DeviceCounters { target.counters }
  var prefersChannelsLast: Bool { target.prefersChannelsLast }
  func limitMemory(to byteCount: Int?) { target.limitMemory(to: byteCount) }
  func allocate(byteCount: Int) throws -> Storage { try target.allocate(byteCount: byteCount) }
  func upload(_ bytes: UnsafeRawBufferPointer, to storage: Storage, byteOffset: Int) throws {
    try target.upload(bytes, to: storage, byteOffset: byteOffset)
  }
  func download(
    _ storage: Storage, byteOffset: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws { try target.download(storage, byteOffset: byteOffset, into: bytes) }
  func synchronize() throws { try target.synchronize() }

  func enqueue(_ command: Command) throws {
    if let job = TuningJob(command) { noted.withLock { $0.append(job) } }
    try target.enqueue(command)
  }
}
