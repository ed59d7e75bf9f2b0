import Apus
import ArgumentParser
import Foundation

/// `apus doctor`.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Find out why a device is missing or slow, and how to mend it.",
    discussion: """
      Looks at the OpenCL drivers and whether they load, their platforms and devices and whether these
      compute, the rights to device files, graphics cards without a driver, settings of the environment
      that cripple the processor (OPENBLAS_CORETYPE, POCL_MAX_PTHREAD_COUNT, …), limits of a container,
      and the cache of built kernels. What is wrong comes with the command that mends it.

      Exit code 0 if nothing is wrong, else 1.
      """)

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Report: Encodable {
    let healthy: Bool
    let findings: [Doctor.Finding]
  }

  func run() throws {
    let findings = Doctor().examine()
    let problems = findings.filter { $0.level == .problem }
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
      let report = Report(healthy: problems.isEmpty, findings: findings)
      try Console.print(String(decoding: try encoder.encode(report), as: UTF8.self))
    } else {
      for finding in findings {
        let mark =
          switch finding.level {
          case .ok: "ok      "
          case .note: "note    "
          case .problem: "problem "
          }
        try Console.print("\(mark) \(finding.subject): \(finding.message)")
        if let remedy = finding.remedy { try Console.print("          mend it: \(remedy)") }
      }
      try Console.print(
        problems.isEmpty
          ? "nothing is wrong" : "\(problems.count) problem\(problems.count == 1 ? "" : "s")")
    }
    if !problems.isEmpty { throw ExitCode.failure }
  }
}
