import ApusOpenCL
import Foundation
import Testing

/// Processes that start at once on one cache.
@Suite(.timeLimit(.minutes(15)))
struct SharedCacheTests {
  private static let line =
    "train --data iris --model mlp-small --device opencl --epochs 3 --batch-size 16 --seed 1 --quiet"

  /// The files that so many runs at once write.
  private func trained(_ count: Int, in folder: Folder, _ environment: [String: String])
    async throws -> [Data]
  {
    let runs = try (0..<count).map { i in
      try ApusProcess(
        (Self.line + " --output \(i).safetensors").split(separator: " ").map(String.init),
        in: folder, environment: environment)
    }
    for run in runs {
      let ended = try await run.ended()
      #expect(ended.code == 0 && !ended.wasKilled, "\(ended.code) \(ended.errors)")
    }
    return try (0..<count).map { try folder.bytes("\($0).safetensors") }
  }

  @Test func programsAreShared() async throws {
    let folder = try Folder()
    // The driver's own cache starts empty too, so all compile at once.
    let environment = [
      "APUS_CACHE": folder.path("cache"), "POCL_CACHE_DIR": folder.path("driver"),
    ]
    try FileManager.default.createDirectory(
      atPath: folder.path("driver"), withIntermediateDirectories: true)
    let cache = ProgramCache(environment: environment)
    let first = try await trained(4, in: folder, environment)
    #expect(Set(first).count == 1)
    var census = cache.census()
    #expect(census.count > 0 && census.damaged.isEmpty && census.leftovers == 0)

    // Damage of every kind: cut, changed, emptied, foreign; and what a killed writer leaves.
    let names = try FileManager.default.contentsOfDirectory(atPath: cache.folder).sorted()
    for (i, name) in names.enumerated() {
      var bytes = [UInt8](try folder.bytes("cache/programs/\(name)"))
      switch i % 4 {
      case 0: bytes.removeLast(bytes.count / 2)
      case 1: bytes[bytes.count / 2] ^= 0x40
      case 2: bytes = []
      default: bytes = Array("not a program".utf8)
      }
      try folder.write(Data(bytes), "cache/programs/\(name)")
    }
    try folder.write("half", "cache/programs/\(names[0]).1.2.tmp")
    #expect(cache.census().damaged == names)
    #expect(Set(try await trained(4, in: folder, environment)) == Set(first))
    census = cache.census()
    #expect(census.count == names.count && census.damaged.isEmpty)
  }

  /// Every choice that either process kept has its line.
  @Test func tuningIsShared() async throws {
    struct Listing: Decodable {
      struct Outcome: Decodable {
        let operation: String
        let sizes: [Int]
        let choice: [Int]?
      }
      let database: String
      let outcomes: [Outcome]
    }
    let folder = try Folder()
    let runs = try (0..<2).map { _ in
      try ApusProcess(
        ["tune", "--device", "opencl", "--budget", "2s", "--json"], in: folder,
        environment: ["APUS_CACHE": folder.path("cache")])
    }
    var kept: [TuningKey: Set<[Int]>] = [:]
    var path = ""
    for run in runs {
      let ended = try await run.ended()
      try #require(ended.code == 0, "\(ended.errors)")
      let listing = try JSONDecoder().decode(Listing.self, from: Data(ended.output.utf8))
      #expect(!listing.outcomes.isEmpty)
      path = listing.database
      for outcome in listing.outcomes {
        if let choice = outcome.choice {
          let key = TuningKey(operation: outcome.operation, sizes: outcome.sizes)
          kept[key, default: []].insert(choice)
        }
      }
    }
    let (lines, damaged) = try TuningTable.read(path)
    #expect(damaged == 0)
    for (key, choice) in lines where key.isChoice {
      #expect(kept[key]?.contains(choice) == true, "\(key)")
    }
    // A search at its end may have found that the usual way is best after all.
    for key in kept.keys { #expect(lines[key] != nil || lines[key.search] != nil, "\(key)") }
  }
}
