import ApusConformance
import Foundation
import Testing

extension OpCase: CustomTestStringConvertible {
  package var testDescription: String { name }

  /// What this run tests: all cases, or those that the environment chooses.
  static let chosen: [OpCase] = {
    let cases = all.filter { opCase in
      selection.isEmpty || selection.contains { opCase.name.hasPrefix($0) }
    }
    guard let largest else { return cases }
    return cases.map { $0.reduced(to: largest) }
  }()

  /// Set `APUS_TEST_CASES` to test only those whose name begins so, separated by commas.
  private static let selection: [String] =
    (ProcessInfo.processInfo.environment["APUS_TEST_CASES"] ?? "")
    .split(separator: ",").map(String.init)

  /// Set `APUS_TEST_LARGEST` to leave out operands of more elements and most placements, for devices
  /// that are simulated.
  private static let largest = ProcessInfo.processInfo.environment["APUS_TEST_LARGEST"]
    .flatMap { Int($0) }
}
