import Apus
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15)))
struct SelfTestCommandTests {
  private struct Outcome: Decodable {
    struct Row: Decodable {
      let operation, dtype, verdict: String
      let error: Double?
      let allowed: Double
      let problems: [String]
    }
    let device: DeviceInfo
    let passed: Bool
    let rows: [Row]
  }

  private static let hasOpenCL = TestDevices.all.contains { $0.name.hasPrefix("opencl") }

  @Test(arguments: TestDevices.all.map(\.name))
  func checksADevice(name: String) async throws {
    let folder = try Folder()
    let text = try await succeed(
      "selftest --device \(name) --quick --filter softmax --json", in: folder
    ).output
    let outcome = try JSONDecoder().decode(Outcome.self, from: Data(text.utf8))
    #expect(outcome.device.name == name && outcome.passed)
    #expect(
      Set(outcome.rows.map(\.operation)).isSuperset(of: ["softmax", "logSoftmax"]))
    for row in outcome.rows {
      #expect(row.verdict == "pass" && row.dtype == "float32")
      #expect((row.error ?? .infinity) <= row.allowed)
    }
  }

  /// A driver that computes wrong numbers: the exit code says so, the table whose fault it is.
  @Test(.enabled(if: FaultyDriver.compiler != nil && Self.hasOpenCL), arguments: [true, false])
  func faultsAreTold(onlyOptimizing: Bool) async throws {
    let folder = try Folder()
    let environment = try FaultyDriver(in: folder).environment(onlyOptimizing: onlyOptimizing)
    func run(_ arguments: String) async throws -> ApusProcess.Ended {
      try await apus(
        "selftest --device opencl --quick --filter \(arguments)", in: folder,
        environment: environment)
    }
    let ended = try await run("floor --json")
    #expect(ended.code == 1 && !ended.wasKilled, "\(ended.errors)")
    let outcome = try JSONDecoder().decode(Outcome.self, from: Data(ended.output.utf8))
    let verdict = onlyOptimizing ? "wrong driver" : "wrong kernel"
    let row = try #require(outcome.rows.first { $0.operation == "unary floor" })
    #expect(!outcome.passed && row.verdict == verdict && row.dtype == "float32")
    #expect((row.error ?? .infinity) > row.allowed)
    #expect(row.problems.first?.contains("floor") == true)
    // What does not touch the fault passes.
    #expect(try await run("negate").code == 0)
    let table = try await run("floor")
    #expect(table.code == 1 && table.output.contains(verdict))
  }

  /// Too little memory is nobody's fault, and every row has every key.
  @Test(arguments: TestDevices.all.map(\.name))
  func memoryThatIsShortIsNoWrongResult(name: String) async throws {
    let folder = try Folder()
    let ended = try await apus(
      "selftest --device \(name) --quick --filter softmax --memory-limit 1KiB --json", in: folder)
    #expect(ended.code == 1 && !ended.wasKilled, "\(ended.errors)")
    let object = try JSONSerialization.jsonObject(with: Data(ended.output.utf8)) as? [String: Any]
    let rows = try #require(object?["rows"] as? [[String: Any]])
    let short = rows.filter { $0["verdict"] as? String == "out of memory" }
    #expect(!short.isEmpty && short.allSatisfy { $0["error"] is NSNull })
    #expect(rows.allSatisfy { ["out of memory", "pass"].contains($0["verdict"] as? String ?? "") })
    let problem = try #require((short.first?["problems"] as? [String])?.first)
    #expect(problem.contains("'\(name)' cannot give"), "\(problem)")
  }

  @Test func table() async throws {
    let folder = try Folder()
    let run = try await succeed("selftest --device cpu --quick --filter copy", in: folder)
    #expect(run.output.contains("float32 to int32") && run.output.contains("0 failed"))
    let none = try await apus("selftest --device cpu --filter nothing-like-it", in: folder)
    #expect(none.code == 1 && none.errors.contains("nothing-like-it"))
  }
}
