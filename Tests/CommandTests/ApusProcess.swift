import Apus
import Foundation
import Testing

/// A run of the built `apus`, from outside as scripts see it.
struct ApusProcess {
  struct Ended: Sendable {
    /// The exit code; of a run that a signal ended, the signal's number.
    let code: Int32
    let wasKilled: Bool
    let output: String
    let errors: String
  }

  private let process: Process
  private let captured: (output: URL, errors: URL)
  private let ending: AsyncStream<Void>

  /// The program lies beside the test bundle.
  static var program: URL {
    URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent("apus")
  }

  /// Starts a run in a folder; another program may start `apus`.
  /// - Parameter input: A file of the folder that the run has as standard input.
  init(
    _ arguments: [String], in folder: Folder, environment: [String: String] = [:],
    input: String? = nil, program: String? = nil
  ) throws {
    let logs = FileManager.default.temporaryDirectory
    let name = "apus-\(UUID().uuidString)"
    captured = (
      logs.appendingPathComponent(name + ".out"), logs.appendingPathComponent(name + ".err")
    )
    process = Process()
    process.executableURL = program.map { URL(fileURLWithPath: $0) } ?? Self.program
    process.arguments = arguments
    process.currentDirectoryURL = folder.url
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    // Files, not pipes: nobody has to read while the program runs.
    process.standardInput =
      try input.map { try FileHandle(forReadingFrom: folder.url.appendingPathComponent($0)) }
      ?? FileHandle.nullDevice
    process.standardOutput = try Self.emptyFile(captured.output)
    process.standardError = try Self.emptyFile(captured.errors)
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    ending = stream
    process.terminationHandler = { _ in continuation.finish() }
    try process.run()
  }

  private static func emptyFile(_ url: URL) throws -> FileHandle {
    try Data().write(to: url)
    return try FileHandle(forWritingTo: url)
  }

  /// As Ctrl-C does.
  func interrupt() { kill(process.processIdentifier, SIGINT) }

  /// As the kernel does when memory runs out: the program cannot tidy up.
  func killHard() { kill(process.processIdentifier, SIGKILL) }

  var isRunning: Bool { process.isRunning }

  /// Waits for the end.
  func ended() async throws -> Ended {
    for await _ in ending {}
    process.waitUntilExit()
    defer {
      try? FileManager.default.removeItem(at: captured.output)
      try? FileManager.default.removeItem(at: captured.errors)
    }
    return Ended(
      code: process.terminationStatus, wasKilled: process.terminationReason == .uncaughtSignal,
      output: try String(contentsOf: captured.output, encoding: .utf8),
      errors: try String(contentsOf: captured.errors, encoding: .utf8))
  }
}

/// Runs `apus` to its end; arguments are separated by spaces.
func apus(
  _ arguments: String, in folder: Folder, environment: [String: String] = [:],
  input: String? = nil
) async throws -> ApusProcess.Ended {
  try await ApusProcess(
    arguments.split(separator: " ").map(String.init), in: folder, environment: environment,
    input: input
  ).ended()
}

/// The same, expecting success.
@discardableResult
func succeed(
  _ arguments: String, in folder: Folder, environment: [String: String] = [:],
  sourceLocation: SourceLocation = #_sourceLocation
) async throws -> ApusProcess.Ended {
  let ended = try await apus(arguments, in: folder, environment: environment)
  try #require(
    ended.code == 0 && !ended.wasKilled, "apus \(arguments): \(ended.code) \(ended.errors)",
    sourceLocation: sourceLocation)
  return ended
}

/// A folder of its own for one test, removed with it.
final class Folder: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent(
      "apus-command-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appendingPathComponent(name).path }

  func write(_ text: String, _ name: String) throws { try write(Data(text.utf8), name) }

  func write(_ data: Data, _ name: String) throws {
    let file = url.appendingPathComponent(name)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try data.write(to: file)
  }

  func bytes(_ name: String) throws -> Data {
    try Data(contentsOf: url.appendingPathComponent(name))
  }
  func text(_ name: String) throws -> String { String(decoding: try bytes(name), as: UTF8.self) }
  func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }
  var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? [] }
}
