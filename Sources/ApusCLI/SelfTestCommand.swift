import Apus
import ApusConformance
import ArgumentParser
import Foundation

/// `apus selftest`.
struct SelfTestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "selftest",
    abstract: "Check every operation of a device against the reference.",
    discussion: """
      Runs each operation in many sizes, element types and memory layouts, and compares the results with
      slow loops in Double. The table gives, for each operation and element type, the largest error met
      beside the one allowed, relative to the expected value; 0 means the very same numbers.

        apus selftest --device opencl:0                  everything, some minutes
        apus selftest --device opencl:0 --quick          small operands only
        apus selftest --device opencl:0 --filter softmax
        apus selftest --device opencl:0 --precision tf32

      Verdicts: 'pass'; 'unsupported' for an element type that the device does not have; 'wrong driver'
      where the results become right when the driver compiles without optimisation (-cl-opt-disable);
      'wrong kernel' where they do not; 'fail' on a device that compiles nothing; 'out of memory' where
      memory, or --memory-limit, did not suffice. Exit code 1 for anything but 'pass' and 'unsupported'.
      """)

  @OptionGroup var device: DeviceOptions

  @Option(help: "Only operations whose name contains this.")
  var filter = ""

  @Flag(help: "Small operands and few memory layouts only.")
  var quick = false

  @Option(
    help: ArgumentHelp(
      "The most elements of an operand, for devices that are simulated.", visibility: .hidden))
  var largest: Int?

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Outcome: Encodable {
    let device: DeviceInfo
    let precision: MatrixPrecision
    let passed: Bool
    let seconds: Double
    let rows: [SelfTest.Row]
  }

  func run() throws {
    let tested = try device.open(quiet: json)
    let chosen = SelfTest.cases(matching: filter)
    guard !chosen.isEmpty else {
      throw ApusError(
        .value, operation: "selftest",
        "no operation's name contains '\(filter)'; leave --filter out to see all names")
    }
    let cases =
      (largest ?? (quick ? 2000 : nil)).map { most in
        chosen.map { $0.reduced(to: most) }
      } ?? chosen
    let start = Date()
    var test = SelfTest(tested.backend) {
      try Devices.unoptimized(tested.name).map {
        device.memory.limited(try device.products.set(on: $0)).backend
      }
    }
    var rows: [SelfTest.Row] = []
    for (position, opCase) in cases.enumerated() {
      // Before the case runs: where a driver takes the program down, the last line says in what.
      if Console.isTerminal {
        Console.redraw("\(position + 1)/\(cases.count) \(opCase.name)")
      }
      rows += test.rows(of: opCase)
    }
    if Console.isTerminal { Console.redraw("") }
    let failures = rows.filter { $0.verdict.isFailure }
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
      let outcome = Outcome(
        device: tested.info, precision: tested.matrixPrecision, passed: failures.isEmpty,
        seconds: Date().timeIntervalSince(start), rows: rows)
      try Console.print(String(decoding: try encoder.encode(outcome), as: UTF8.self))
    } else {
      try printTable(rows, tested.info, Date().timeIntervalSince(start))
    }
    if !failures.isEmpty { throw ExitCode.failure }
  }

  private func printTable(_ rows: [SelfTest.Row], _ info: DeviceInfo, _ seconds: Double) throws {
    try Console.print("\(info.name): \(info.product), \(info.driver)\n")
    func figure(_ value: Double) -> String { value == 0 ? "0" : String(format: "%.1e", value) }
    let table = rows.map { row in
      let error = row.error.map(figure) ?? (row.verdict == .unsupported ? "-" : "infinite")
      return [
        row.operation, row.dtype, "\(row.trials)", error, figure(row.allowed), row.verdict.rawValue,
      ]
    }
    try Console.print(
      Console.table([["operation", "dtype", "trials", "error", "allowed", "verdict"]] + table))
    let failures = rows.filter { $0.verdict.isFailure }
    for row in failures {
      try Console.print("\n\(row.operation), \(row.dtype): \(row.verdict.rawValue)")
      for problem in row.problems { try Console.print("  \(problem)") }
    }
    let passed = rows.filter { $0.verdict == .pass }.count
    try Console.print(
      String(
        format: "\n%d passed, %d failed, %d unsupported in %.1f s", passed, failures.count,
        rows.count - passed - failures.count, seconds))
  }
}
