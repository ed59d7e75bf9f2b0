import Apus
import ApusBenchmark
import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15)))
struct BenchTests {
  /// Each device has a row per case; the second one is compared with the first.
  @Test func severalDevices() async throws {
    let folder = try Folder()
    let names = TestDevices.fast.map(\.name)
    let run = try await succeed(
      "bench --device \(names.joined(separator: ",")) --filter gemm-256 --rounds 1 --seconds 0 --json",
      in: folder)
    try folder.write(run.output, "before.json")
    #expect(!run.output.contains("speedupOverBefore"))
    let report = try Report(path: folder.path("before.json"))
    #expect(report.rows.map(\.runner) == names && report.fmaPeak > 0)
    for row in report.rows {
      #expect(row.name == "gemm-256x256x256" && row.medianMilliseconds > 0)
      // 2 n³ operations over 3 n² numbers of 4 bytes.
      #expect(abs((row.intensity ?? 0) - 256 / 6) < 1e-9)
      let rate = 2 * pow(256, 3) / row.medianMilliseconds * 1e-6
      #expect(row.unit == "GFLOP/s" && abs((row.rate ?? 0) / rate - 1) < 1e-6)
    }

    let table = try await succeed(
      "bench --device \(names.joined(separator: ",")) --filter gemm-256 --rounds 1 --seconds 0 "
        + "--compare before.json --plot bench.svg", in: folder
    ).output
    #expect(table.contains("× before") && (names.count < 2 || table.contains("× \(names[0])")))
    let picture = try folder.text("bench.svg")
    #expect(
      picture.contains("Roofline") && picture.contains("<circle") && picture.contains("</svg>"))
    #expect(isWellFormed(picture))

    let compared = try await succeed(
      "bench --device \(names.joined(separator: ",")) --filter gemm-256 --rounds 1 --seconds 0 --json "
        + "--compare before.json", in: folder)
    try folder.write(compared.output, "after.json")
    let after = try Report(path: folder.path("after.json"))
    for (before, row) in zip(report.rows, after.rows) {
      let (first, now) = (after.rows[0].medianMilliseconds, row.medianMilliseconds)
      #expect(row.speedup == first / now)
      #expect(row.speedupOverBefore == before.medianMilliseconds / now)
    }
  }

  @Test func badInput() async throws {
    let folder = try Folder()
    try folder.write("{}", "empty.json")
    try folder.write(
      """
      {"processor": "p", "threads": 1, "fmaPeak": 1, "copyBandwidth": 1, "versions": {},
       "rows": [{"name": "gemm", "runner": "cpu", "isPeer": false, "medianMilliseconds": 0}]}
      """, "zero.json")
    for (arguments, sign) in [
      ("--filter no-such-case", "gemm-256x256x256"), ("--compare nowhere.json", "nowhere.json"),
      ("--compare empty.json", "is no report"), ("--compare zero.json", "gemm takes 0.0 ms"),
      ("--device cpu,cpu", "cpu twice"), ("--device quantum", "quantum"),
    ] {
      let run = try await apus("bench --filter gemm-256 \(arguments)", in: folder)
      #expect(run.code == 1 && run.errors.contains(sign), "\(arguments): \(run.errors)")
    }
  }

  /// What takes a processor minutes runs on GPUs, or where it is asked for by name.
  @Test func casesSuitTheDevices() {
    let large = "gemm-4096x4096x4096"
    func names(_ filter: String, hasGPU: Bool) -> [String] {
      BenchCase.cases(matching: filter, hasGPU: hasGPU).map(\.name)
    }
    for filter in ["", "gemm"] {
      let all = names(filter, hasGPU: true)
      #expect(all.contains(large) && names(filter, hasGPU: false) == all.filter { $0 != large })
    }
    #expect(names(large, hasGPU: false) == [large])
  }

  /// Names are unique, for reports find rows by them.
  @Test func namesAreUnique() {
    let names = BenchCase.all.map(\.name)
    #expect(Set(names).count == names.count && names.count > 20)
  }
}

/// Whether every element is closed in order.
private func isWellFormed(_ text: String) -> Bool {
  var open: [Substring] = []
  for piece in text.split(separator: "<").dropFirst(text.hasPrefix("<") ? 0 : 1) {
    guard let end = piece.firstIndex(of: ">") else { return false }
    let tag = piece[..<end]
    if tag.hasSuffix("/") { continue }
    if tag.hasPrefix("/") {
      guard open.popLast() == tag.dropFirst() else { return false }
    } else if let name = tag.split(separator: " ").first {
      open.append(name)
    }
  }
  return open.isEmpty
}
