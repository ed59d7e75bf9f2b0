import ApusData
import ApusDevice
import Foundation
import Synchronization
import Testing

@Suite struct DownloadTests {
  private let body = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }

  private func fetch(
    _ server: LocalServer, _ mirrors: [String], _ scratch: Scratch, md5: String? = nil
  ) throws {
    var downloader = Downloader()
    downloader.retryDelay = 0.01
    downloader.timeout = 5
    try downloader.fetch(
      "f.gz", from: mirrors.map { server.address + $0 }, to: scratch.path + "/f.gz",
      md5: md5 ?? MD5.hexadecimal(of: body))
  }

  private func result(_ scratch: Scratch) throws -> [UInt8] {
    #expect(!FileManager.default.fileExists(atPath: scratch.path + "/f.gz.part"))
    return try FileContents.read(scratch.path + "/f.gz")
  }

  @Test func fetches() throws {
    let scratch = try Scratch()
    let server = try LocalServer { [body] _ in .init(body: body) }
    defer { server.stop() }
    try fetch(server, ["a/"], scratch)
    #expect(try result(scratch) == body)
    #expect(server.requests.map(\.path) == ["a/f.gz"])
  }

  @Test func resumesAfterCuts() throws {
    let scratch = try Scratch()
    let server = try LocalServer { [body] request in
      .init(body: body, cutAfter: request.number < 4 ? 20_000 : nil)
    }
    defer { server.stop() }
    try fetch(server, ["a/"], scratch)
    #expect(try result(scratch) == body)
    #expect(server.requests.count == 5)
    #expect(server.requests.dropFirst().allSatisfy { ($0.start ?? 0) > 0 })
  }

  @Test func takesUpAnEarlierPart() throws {
    let scratch = try Scratch()
    try scratch.write(Array(body.prefix(70_000)), "f.gz.part")
    let server = try LocalServer { [body] _ in .init(body: body) }
    defer { server.stop() }
    try fetch(server, ["a/"], scratch)
    #expect(try result(scratch) == body)
    #expect(server.requests.map(\.start) == [70_000])
  }

  @Test(arguments: [false, true]) func startsAgain(afterWrongPart ignoresRange: Bool) throws {
    let scratch = try Scratch()
    try scratch.write([UInt8](repeating: 1, count: 500), "f.gz.part")
    let server = try LocalServer { [body] _ in .init(body: body, ignoresRange: ignoresRange) }
    defer { server.stop() }
    try fetch(server, ["a/"], scratch)
    #expect(try result(scratch) == body)
    #expect(server.requests.count == (ignoresRange ? 1 : 2))
  }

  @Test func startsAgainAfterAPartThatIsTooLong() throws {
    let scratch = try Scratch()
    try scratch.write(body + body, "f.gz.part")
    let server = try LocalServer { [body] _ in .init(body: body) }
    defer { server.stop() }
    try fetch(server, ["a/"], scratch)
    #expect(try result(scratch) == body)
  }

  @Test func goesOnToTheNextMirror() throws {
    let scratch = try Scratch()
    let server = try LocalServer { [body] request in
      switch request.path {
      case "a/f.gz": .init(status: 404)
      case "b/f.gz": .init(body: [1, 2, 3])
      case "c/f.gz": .init(status: 503)
      default: .init(body: body)
      }
    }
    defer { server.stop() }
    try fetch(server, ["a/", "b/", "c/", "d/"], scratch)
    #expect(try result(scratch) == body)
    let paths = server.requests.map { String($0.path.prefix(1)) }.joined()
    #expect(paths == "abcccd")
  }

  @Test func saysWhatFailedWhere() throws {
    let scratch = try Scratch()
    let server = try LocalServer { request in
      request.path == "a/f.gz" ? .init(status: 404) : .init(body: [1])
    }
    defer { server.stop() }
    expectError("a/f.gz: HTTP status 404", "b/f.gz: the checksum is") {
      try fetch(server, ["a/", "b/"], scratch)
    }
    #expect(!FileManager.default.fileExists(atPath: scratch.path + "/f.gz"))
    #expect(!FileManager.default.fileExists(atPath: scratch.path + "/f.gz.part"))
    var downloader = Downloader()
    downloader.retryDelay = 0.01
    downloader.byteLimit = 10
    let long = try LocalServer { [body] _ in .init(body: body) }
    defer { long.stop() }
    expectError("100000 bytes") {
      try downloader.fetch("f.gz", from: [long.address], to: scratch.path + "/f.gz", md5: "")
    }
    expectError("f.gz", "127.0.0.1:1/") {
      try downloader.fetch(
        "f.gz", from: ["http://127.0.0.1:1/"], to: scratch.path + "/f.gz", md5: "")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
  }

  @Test func fillsTheCache() throws {
    let scratch = try Scratch()
    let arrays = [
      try HostArray([1, 2, 3, 4] as [UInt8], shape: [1, 2, 2]),
      try HostArray([1] as [UInt8], shape: [1]),
      try HostArray([5, 6, 7, 8] as [UInt8], shape: [1, 2, 2]),
      try HostArray([0] as [UInt8], shape: [1]),
    ]
    let files = try arrays.map { try Zlib.deflate(try IDX.encode($0), .gzip, name: "x") }
    let server = try LocalServer { request in
      guard let index = ImageFolder.files.firstIndex(where: { $0 + ".gz" == request.path }) else {
        return .init(status: 404)
      }
      return .init(body: files[index])
    }
    defer { server.stop() }
    let set = NamedImageSet(
      name: "tiny", folders: ["tiny"], classNames: ["a", "b"],
      checksums: files.map { MD5.hexadecimal(of: $0) }, mirrors: [server.address])
    let seen = Mutex<Set<String>>([])
    var options = DataOptions(cacheDirectory: scratch.path + "/cache")
    let reports: @Sendable (String, Int, Int?) -> Void = { file, received, total in
      #expect(received == total)
      seen.withLock { _ = $0.insert(file) }
    }
    options.progress = reports
    let data = try set.load(options)
    #expect(try data.train.features == [1, 2, 3, 4])
    #expect(data.test?.labels == [0])
    #expect(seen.withLock { $0.count } == 4)
    #expect(try set.load(options).train.count == 1)
    #expect(server.requests.count == 4)

    let broken = NamedImageSet(
      name: "tiny", folders: ["tiny"], classNames: ["a", "b"], checksums: set.checksums,
      mirrors: [server.address + "elsewhere/"])
    let empty = DataOptions(cacheDirectory: scratch.path + "/other")
    expectError("HTTP status 404", "train-images-idx3-ubyte.gz", "/other/tiny", "--data-dir") {
      try broken.load(empty)
    }
  }
}
