import Apus
import Foundation

/// Figures of one run on one machine, as written to JSON and Markdown.
package struct Report: Codable {
  package struct Row: Codable {
    package let name: String
    /// A device name, or a peer's.
    package let runner: String
    package let isPeer: Bool
    package let medianMilliseconds: Double
    /// GFLOP/s, GB/s or µs per operation; see `unit`.
    package let rate: Double?
    package let unit: String?
    /// Of the FMA peak or the copy bandwidth, medians of the same rounds.
    package let share: Double?
    /// Operations for each byte that must move.
    package let intensity: Double?
    /// How many times as fast as on the first device; nil for peers, and in files older than this.
    package var speedup: Double?
    /// How many times as fast as in an earlier report; nil without one that has the case.
    package var speedupOverBefore: Double?

    func speedup(over other: Row?) -> Double? {
      other.map { $0.medianMilliseconds / medianMilliseconds }
    }
  }

  package var processor: String
  package var threads: Int
  /// The first GPU among the devices; nil where there is none.
  package var card: String?
  /// The best medians of a case, of the processor.
  package var fmaPeak = 0.0
  package var copyBandwidth = 0.0
  /// The same of GPUs by their names; nil where a file is older than these.
  package var rooflines: [String: Roofline]? = [:]
  package var versions: [String: String] = [:]
  package var rows: [Row] = []

  init(processor: String, threads: Int, card: String?) {
    self.processor = processor
    self.threads = threads
    self.card = card
  }

  /// What the report is about, for titles and names of files.
  package var subject: String { card ?? processor }

  /// Reads a file that `--json` or `make bench` wrote.
  /// - Throws: `ApusError` naming the path.
  package init(path: String) throws {
    do {
      self = try JSONDecoder().decode(
        Report.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
      if let odd = rows.first(where: { !($0.medianMilliseconds > 0) }) {
        throw ApusError(
          .data, operation: path,
          "is no report of `apus bench --json`: \(odd.name) takes \(odd.medianMilliseconds) ms")
      }
    } catch let error as DecodingError {
      throw ApusError(
        .data, operation: path, "is no report of `apus bench --json`: \(error)")
    } catch let error as ApusError {
      throw error
    } catch {
      throw ApusError(
        .file, operation: path, "cannot be read: \(error.fileReason)")
    }
  }

  /// Fills in how many times as fast as on the first device, and as before, each case is.
  package mutating func compare(with earlier: Report?) {
    let first = runners(peers: false).first
    rows = rows.map { row in
      var row = row
      if !row.isPeer {
        row.speedup = row.speedup(over: first.flatMap { self.row(row.name, $0) })
        row.speedupOverBefore = row.speedup(over: earlier?.row(row.name, row.runner))
      }
      return row
    }
  }

  mutating func note(_ meter: Roofline.Meter) {
    for key in meter.keys {
      let now = meter.now(key)
      if key.isEmpty {
        fmaPeak = max(fmaPeak, now.flops)
        copyBandwidth = max(copyBandwidth, now.bandwidth)
      } else {
        let best = rooflines?[key] ?? Roofline()
        rooflines?[key] = Roofline(
          flops: max(best.flops, now.flops), bandwidth: max(best.bandwidth, now.bandwidth))
      }
    }
  }

  /// The limits that a runner is measured against.
  func roofline(_ runner: String) -> Roofline {
    rooflines?[runner] ?? Roofline(flops: fmaPeak, bandwidth: copyBandwidth)
  }

  /// Runners in the order of their first rows.
  func runners(peers: Bool) -> [String] {
    var seen: [String] = []
    for row in rows where row.isPeer == peers && !seen.contains(row.runner) {
      seen.append(row.runner)
    }
    return seen
  }

  func row(_ name: String, _ runner: String) -> Row? {
    rows.first { $0.name == name && $0.runner == runner }
  }
}

func format(_ value: Double) -> String {
  value >= 100 ? String(format: "%.0f", value) : String(format: "%.3g", value)
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard let last = sorted.last else { return .nan }
  let middle = sorted.count / 2
  return sorted.count % 2 == 1
    ? sorted[middle] : (sorted[middle - 1] + min(sorted[middle], last)) / 2
}
