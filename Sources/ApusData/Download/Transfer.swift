import ApusDevice
import Foundation
import Synchronization

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// One request whose body is appended to a file as it comes.
final class Transfer: NSObject, URLSessionDataDelegate, Sendable {
  enum Outcome: Sendable {
    /// The whole body is in the file.
    case complete
    /// The file's beginning is of no use to this server.
    case cannotResume
    /// Trying again would not help.
    case refused(String)
    /// Trying again might help.
    case broken(String)
  }

  private struct State {
    var outcome: Outcome?
    var received: Int
    var total: Int?
  }

  private let request: URLRequest
  private let offset: Int
  private let limit: Int
  private let descriptor: Int32
  private let state: Mutex<State>
  private let progress: @Sendable (Int, Int?) -> Void
  private let finished = DispatchSemaphore(value: 0)

  /// Opens `partial`, of which `offset` bytes are there. Throws when it cannot be written.
  init(
    address: URL, partial: String, offset: Int, timeout: Double, limit: Int,
    progress: @escaping @Sendable (Int, Int?) -> Void
  ) throws {
    descriptor = open(partial, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw ApusError(
        .file, operation: partial, "cannot be written: \(String(cString: strerror(errno)))")
    }
    var request = URLRequest(url: address, timeoutInterval: timeout)
    request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
    if offset > 0 { request.setValue("bytes=\(offset)-", forHTTPHeaderField: "Range") }
    self.request = request
    self.offset = offset
    self.limit = limit
    self.progress = progress
    state = Mutex(State(received: offset))
  }

  deinit { close(descriptor) }

  /// Waits for the end of the transfer.
  func run() -> Outcome {
    let configuration = URLSessionConfiguration.ephemeral
    configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
    let session = URLSession(configuration: configuration, delegate: self, delegateQueue: nil)
    session.dataTask(with: request).resume()
    finished.wait()
    session.invalidateAndCancel()
    return state.withLock { $0.outcome } ?? .broken("the transfer ended without a word")
  }

  func urlSession(
    _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
    completionHandler: @escaping @Sendable (URLSession.ResponseDisposition) -> Void
  ) {
    let isWanted = state.withLock { state in
      state.outcome = accept(response, &state)
      return state.outcome == nil
    }
    completionHandler(isWanted ? .allow : .cancel)
  }

  /// Nil when the body is wanted; the file then stands where the body begins.
  private func accept(_ response: URLResponse, _ state: inout State) -> Outcome? {
    guard let response = response as? HTTPURLResponse else { return .refused("no HTTP response") }
    let length = response.expectedContentLength
    var start = 0
    switch response.statusCode {
    case 200: break
    case 206:
      let range = response.value(forHTTPHeaderField: "Content-Range") ?? ""
      guard range.hasPrefix("bytes \(offset)-") else { return .cannotResume }
      start = offset
    case 416: return .cannotResume
    case 408, 429, 500...: return .broken("HTTP status \(response.statusCode)")
    default: return .refused("HTTP status \(response.statusCode)")
    }
    guard length <= Int64(limit) else { return .refused("the file has \(length) bytes") }
    guard ftruncate(descriptor, start) == 0, lseek(descriptor, start, SEEK_SET) == start else {
      return .refused("cannot be written: \(String(cString: strerror(errno)))")
    }
    state.received = start
    state.total = length >= 0 ? start + Int(length) : nil
    return nil
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    let (received, total) = state.withLock { state in
      if state.outcome == nil {
        state.received += data.count
        if state.received > limit {
          state.outcome = .refused("more than \(limit) bytes came")
        } else if !append(data) {
          state.outcome = .refused("cannot be written: \(String(cString: strerror(errno)))")
        }
        if state.outcome != nil { dataTask.cancel() }
      }
      return (state.received, state.total)
    }
    progress(received, total)
  }

  private func append(_ data: Data) -> Bool {
    data.withUnsafeBytes { buffer in
      var rest = buffer[...]
      while !rest.isEmpty {
        let bytes = UnsafeRawBufferPointer(rebasing: rest)
        let written = write(descriptor, bytes.baseAddress, bytes.count)
        if written < 0, errno != EINTR { return false }
        rest = rest.dropFirst(max(written, 0))
      }
      return true
    }
  }

  func urlSession(
    _ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?
  ) {
    state.withLock { state in
      if state.outcome == nil { state.outcome = Transfer.outcome(error, state) }
    }
    finished.signal()
  }

  private static func outcome(_ error: (any Error)?, _ state: State) -> Outcome {
    guard let error else {
      if let total = state.total, state.received != total {
        return .broken("\(state.received) of \(total) bytes came")
      }
      return .complete
    }
    switch (error as? URLError)?.code {
    case .cannotFindHost, .cannotConnectToHost, .notConnectedToInternet, .unsupportedURL, .badURL,
      .dnsLookupFailed, .secureConnectionFailed:
      return .refused(error.localizedDescription)
    default: return .broken(error.localizedDescription)
    }
  }
}
