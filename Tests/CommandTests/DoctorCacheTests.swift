import Apus
import ApusOpenCL
import Foundation
import Testing

/// What the doctor says of the cache.
@Suite struct DoctorCacheTests {
  @Test func cache() throws {
    let folder = try Folder()
    let surroundings = try healthy(in: folder)
    let cache = ProgramCache(environment: surroundings.environment)
    cache.store(key: "aa", binary: [1, 2, 3])
    cache.store(key: "bb", binary: [4, 5, 6])
    #expect(problems(surroundings).isEmpty)
    var bytes = [UInt8](try folder.bytes("cache/programs/bb.bin"))
    bytes[bytes.count - 1] ^= 1
    try folder.write(Data(bytes), "cache/programs/bb.bin")
    let damaged = problems(surroundings)
    #expect(damaged.count == 1 && damaged[0].message.contains("1 of 2"))
    #expect(damaged[0].message.contains("bb.bin") && damaged[0].remedy?.hasPrefix("rm -r") == true)
  }

  @Test func cacheThatCannotBeWritten() throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
    try folder.write("no folder", "file")
    surroundings.environment["APUS_CACHE"] = folder.path("file")
    #expect(problems(surroundings).map(\.subject) == ["cache"])
  }

  @Test func fullFileSystem() throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
    #expect(surroundings.writeFailure(folder.path("cache/programs")) == nil)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path("cache/programs")) == [])
    #expect(surroundings.writeFailure("/dev/null/programs") == ENOTDIR)
    surroundings.writeFailure = { $0.hasSuffix("programs") ? ENOSPC : nil }
    let full = problems(surroundings)
    #expect(full.count == 1 && full[0].message.contains("No space left"))
    #expect(full[0].remedy?.contains("APUS_CACHE=") == true)
    surroundings.writeFailure = { _ in nil }
    surroundings.freeBytes = { _ in 4096 }
    let scarce = problems(surroundings)
    #expect(scarce.count == 1 && scarce[0].message.contains("4 KiB"))
    surroundings.writeFailure = { $0.hasSuffix("tuning") ? EACCES : nil }
    #expect(
      problems(surroundings).map { $0.message.contains("/tuning cannot be written") } == [true])
  }

  @Test func filesInPlaceOfFolders() throws {
    let folder = try Folder()
    let surroundings = try healthy(in: folder)
    try folder.write("", "cache/tuning")
    let found = problems(surroundings)
    #expect(found.map(\.remedy) == ["rm '\(folder.path("cache/tuning"))'"])
  }

  @Test func foldersInPlaceOfFiles() throws {
    let folder = try Folder()
    let surroundings = try healthy(in: folder)
    for name in ["a.txt", "b.txt.lock"] {
      try FileManager.default.createDirectory(
        atPath: folder.path("cache/tuning/\(name)"), withIntermediateDirectories: true)
    }
    #expect(
      problems(surroundings).map(\.remedy) == [
        "rm -r '\(folder.path("cache/tuning/a.txt"))'",
        "rm -r '\(folder.path("cache/tuning/b.txt.lock"))'",
      ])
  }

  @Test func carriageReturns() throws {
    let folder = try Folder()
    let surroundings = try healthy(in: folder)
    try folder.write("# a device\r\n\r\n", "cache/tuning/a.txt")
    #expect(problems(surroundings).isEmpty)
    try folder.write(
      "# a device\r\ngemm 1 2 = 3 #0\r\ngemm 1 3 = 3 #0\r\n", "cache/tuning/a.txt")
    let found = problems(surroundings)
    #expect(found.count == 1 && found[0].message.hasPrefix("2 lines of "))
    #expect(found[0].remedy?.hasPrefix("rm '") == true)
  }

  @Test func unreadable() throws {
    let folder = try Folder()
    var surroundings = try healthy(in: folder)
    let cache = ProgramCache(environment: surroundings.environment)
    cache.store(key: "aa", binary: [1])
    // Root reads whatever its rights: an entry that cannot be loaded stands for one.
    try folder.write("", "cache/programs/bb.bin")
    try folder.write("# a device\n", "cache/tuning/a.txt")
    try folder.write("", "cache/tuning/a.txt.lock")
    surroundings.isReadable = { !$0.hasSuffix("bb.bin") && !$0.hasSuffix("a.txt") }
    surroundings.isAccessible = { !$0.hasSuffix(".lock") }
    let found = problems(surroundings)
    #expect(found.count == 3 && found.allSatisfy { $0.message.contains("may not be read") })
    #expect(
      found.allSatisfy {
        $0.remedy?.hasPrefix("sudo chown -R $USER '\(folder.path("cache"))'") == true
      })
  }
}
