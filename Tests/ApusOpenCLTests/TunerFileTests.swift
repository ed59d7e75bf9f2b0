import ApusDevice
import ApusOpenCL
import ApusReference
import Foundation
import Testing

/// Tuning files that are in the way or look otherwise than usual.
@Suite struct TunerFileTests {
  private static let key = TuningKey(operation: "gemm", sizes: [3, 5, 7])

  /// Operations run as if never tuned; nothing is written over what may be worth mending.
  @Test func unreadableFilesAreNotEmpty() throws {
    let fresh = TunerTests.Fresh()
    let path = try fresh.open().tuning.path
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    // Cannot be opened, by nobody, but replaced.
    try #require(symlink(path, path) == 0)
    let device = try fresh.open()
    #expect(device.tuning.isEmpty)
    let attempts: [() throws -> Void] = [
      { try device.tuning.record(Self.key, [1]) }, { try device.requireTuningFile() },
      {
        _ = try Tuner(device, oracle: ReferenceBackend()).tune(.product(4, 5, 6), seconds: 0)
      },
    ]
    for attempt in attempts {
      let error = #expect(throws: ApusError.self) { try attempt() }
      #expect(error?.kind == .file && error?.operation == path)
      #expect(error?.message.contains("--reset") == true)
    }
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path) == path)
    try device.forgetTuning()
    try device.tuning.record(Self.key, [1])
    #expect(try TuningTable.read(path).entries == [Self.key: [1]])
  }

  @Test func directoriesAreNoFiles() throws {
    let fresh = TunerTests.Fresh()
    let path = try fresh.open().tuning.path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    let error = #expect(throws: ApusError.self) { try TuningTable.read(path) }
    #expect(error?.operation == path && error?.message.contains("directory") == true)
  }

  /// Lines that end by CR and LF are read, and kept by the next writer.
  @Test func lineEndsOfWindowsAreRead() throws {
    let fresh = TunerTests.Fresh()
    let table = try fresh.open().tuning
    let other = TuningKey(operation: "softmax", sizes: [9])
    try table.record(Self.key, [1, 2])
    try table.record(Self.key.search, [4])
    let text = try String(contentsOfFile: table.path, encoding: .utf8)
    try text.replacingOccurrences(of: "\n", with: "\r\n")
      .write(toFile: table.path, atomically: true, encoding: .utf8)
    let read = try fresh.open().tuning
    #expect(read.choice(Self.key) == [1, 2] && read.choice(Self.key.search) == [4])
    #expect(try TuningTable.read(table.path).damaged == 0)
    try read.record(other, [6])
    #expect(
      try TuningTable.read(table.path).entries
        == [Self.key: [1, 2], Self.key.search: [4], other: [6]])
  }
}
