import Apus
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct SelfTestCommandTests {
  private struct Outcome: Decodable {
    struct Row: Decodable {
      let operation, dtype, verdict: String
      let error: Double?
      let allowed: Double
    }
    let device: DeviceInfo
    let passed: Bool
    let rows: [Row]
  }

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

  @Test func table() async throws {
    let folder = try Folder()
    let run = try await succeed("selftest --device cpu --quick --filter copy", in: folder)
    #expect(run.output.contains("float32 to int32") && run.output.contains("0 failed"))
    let none = try await apus("selftest --device cpu --filter nothing-like-it", in: folder)
    #expect(none.code == 1 && none.errors.contains("nothing-like-it"))
  }
}
