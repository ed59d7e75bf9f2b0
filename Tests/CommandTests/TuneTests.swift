import Apus
import Foundation
import Testing

/// `apus tune` as scripts see it.
@Suite(.timeLimit(.minutes(15)))
struct TuneTests {
  private struct Listing: Decodable {
    struct Named: Decodable { let name: String }
    struct Outcome: Decodable {
      let operation: String
      let sizes: [Int]
      let usual: Double
      let best: Double
      let choice: [Int]?
      let tried: Int
      let candidates: Int
      let rejected: Int
      let isFinished: Bool
    }
    let device: Named
    let database: String
    let entries: Int
    let outcomes: [Outcome]
  }

  private static let short = "tune --filter softmax --budget 1ms"

  private func listing(_ run: ApusProcess.Ended) throws -> Listing {
    try JSONDecoder().decode(Listing.self, from: Data(run.output.utf8))
  }

  /// One object, after a search and after all was forgotten.
  @Test func listings() async throws {
    let folder = try Folder()
    let environment = ["APUS_CACHE": folder.path("cache")]
    let searched = try listing(
      try await succeed(Self.short + " --json", in: folder, environment: environment))
    #expect(searched.outcomes.count == 1 && searched.database.hasPrefix(folder.path("cache")))
    #expect(FileManager.default.fileExists(atPath: searched.database))
    let reset = try listing(
      try await succeed("tune --reset --json", in: folder, environment: environment))
    #expect(reset.device.name == searched.device.name && reset.database == searched.database)
    #expect(reset.entries == 0 && reset.outcomes.isEmpty)
    #expect(!FileManager.default.fileExists(atPath: searched.database))
  }

  /// Told before the search: nothing that it found could be kept.
  @Test func foldersThatTakeNoFile() async throws {
    let folder = try Folder()
    try folder.write("in the way", "cache/tuning")
    let run = try await apus(
      "tune --budget 10m", in: folder, environment: ["APUS_CACHE": folder.path("cache")])
    #expect(run.code == 1 && !run.wasKilled)
    #expect(run.errors.contains("Error: [\(folder.path("cache/tuning"))]"), "\(run.errors)")
    #expect(try folder.text("cache/tuning") == "in the way")
  }

  @Test func filesThatCannotBeRead() async throws {
    let folder = try Folder()
    let environment = ["APUS_CACHE": folder.path("cache")]
    let path = try listing(
      try await succeed(Self.short + " --json", in: folder, environment: environment)
    ).database
    try FileManager.default.removeItem(atPath: path)
    try #require(symlink(path, path) == 0)
    let run = try await apus(Self.short, in: folder, environment: environment)
    #expect(run.code == 1 && !run.wasKilled)
    #expect(run.errors.contains("Error: [\(path)]"), "\(run.errors)")
    #expect(run.errors.contains("apus tune --reset"))
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path) == path)
    try await succeed("tune --reset", in: folder, environment: environment)
    try await succeed(Self.short, in: folder, environment: environment)
  }
}
