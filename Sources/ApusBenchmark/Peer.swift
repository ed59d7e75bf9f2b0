import Foundation

/// Another library in a process of its own, spoken to line by line so that its turns can be
/// interleaved with ours.
package final class Peer {
  struct Introduction: Decodable {
    let name: String
    let version: String
    /// The GPU that it computes on, if any.
    let card: String?
  }

  package let name: String
  package let version: String
  let card: String?
  private let process: Process
  private let input: FileHandle
  private let output: FileHandle
  private var pending = Data()

  package init(executable: URL) throws {
    process = Process()
    process.executableURL = executable
    let (toPeer, fromPeer) = (Pipe(), Pipe())
    process.standardInput = toPeer
    process.standardOutput = fromPeer
    try process.run()
    input = toPeer.fileHandleForWriting
    output = fromPeer.fileHandleForReading
    let line = try Peer.line(from: output, pending: &pending)
    let introduction = try JSONDecoder().decode(Introduction.self, from: line)
    name = introduction.name
    version = introduction.version
    card = introduction.card
  }

  /// Milliseconds of each run of the case, empty where the peer does not know it.
  func measure(_ name: String, seconds: Double) throws -> [Double] {
    try input.write(contentsOf: Data("\(name) \(seconds)\n".utf8))
    return try JSONDecoder().decode(
      [Double].self, from: Peer.line(from: output, pending: &pending))
  }

  package func end() {
    try? input.close()
    process.waitUntilExit()
  }

  private static func line(from handle: FileHandle, pending: inout Data) throws -> Data {
    while true {
      if let end = pending.firstIndex(of: 0x0A) {
        let line = Data(pending[..<end])
        pending = Data(pending[(end + 1)...])
        return line
      }
      let more = handle.availableData
      guard !more.isEmpty else { throw CocoaError(.fileReadUnknown) }
      pending.append(more)
    }
  }
}
