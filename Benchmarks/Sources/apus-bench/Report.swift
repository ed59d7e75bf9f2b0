import CPeak
import Foundation

/// Figures of one run on one machine, as written to JSON and Markdown.
struct Report: Codable {
  struct Row: Codable {
    let name: String
    /// A device name, or a peer's.
    let runner: String
    let isPeer: Bool
    let medianMilliseconds: Double
    /// GFLOP/s, GB/s or µs per operation; see `unit`.
    let rate: Double?
    let unit: String?
    /// Of the FMA peak or the copy bandwidth, medians of the same rounds.
    let share: Double?
  }

  var processor: String
  var threads: Int
  /// The best medians of a case.
  var fmaPeak = 0.0
  var copyBandwidth = 0.0
  var versions: [String: String] = [:]
  var rows: [Row] = []

  /// Peak and bandwidth in the rounds of the present case.
  private var fmaRounds: [Double] = []
  private var copyRounds: [Double] = []
  var fmaNow: Double { median(fmaRounds) }
  var copyNow: Double { median(copyRounds) }

  private enum CodingKeys: String, CodingKey {
    case processor, threads, fmaPeak, copyBandwidth, versions, rows
  }

  init(processor: String, threads: Int) {
    self.processor = processor
    self.threads = threads
  }

  mutating func beginCase() {
    fmaRounds = []
    copyRounds = []
  }

  /// Measures what the machine can do at this moment, as far as the case needs it.
  mutating func measureLimits(_ work: BenchCase.Work) {
    switch work {
    case .flops:
      fmaRounds.append(apus_fma_peak(Int32(threads)))
      fmaPeak = max(fmaPeak, fmaNow)
    case .bytes:
      copyRounds.append(apus_copy_bandwidth(Int32(threads)))
      copyBandwidth = max(copyBandwidth, copyNow)
    case .operations, .none: break
    }
  }

  var markdown: String {
    var text = """
      # \(processor), \(threads) threads

      FMA peak \(format(fmaPeak)) GFLOP/s, copy bandwidth \(format(copyBandwidth)) GB/s, best medians \
      of this run; shares are of what the same rounds measured. \(versions.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        .joined(separator: ", ")). Medians of interleaved rounds; a ratio above 1 means that Apus
      is faster than the peer.

      | case | device | ms | rate | share of peak | \(peers.map { "× \($0)" }.joined(separator: " | ")) |
      |---|---|---|---|---|\(String(repeating: "---|", count: peers.count))

      """
    for row in rows where !row.isPeer {
      let ratios = peers.map { peer -> String in
        guard let other = rows.first(where: { $0.name == row.name && $0.runner == peer }) else {
          return "–"
        }
        return format(other.medianMilliseconds / row.medianMilliseconds)
      }
      let rate = row.rate.map { "\(format($0)) \(row.unit ?? "")" } ?? "–"
      let share = row.share.map { "\(Int(($0 * 100).rounded())) %" } ?? "–"
      text += "| \(row.name) | \(row.runner) | \(format(row.medianMilliseconds)) | \(rate) | "
      text += "\(share) | \(ratios.joined(separator: " | ")) |\n"
    }
    return text
  }

  private var peers: [String] {
    var seen: [String] = []
    for row in rows where row.isPeer && !seen.contains(row.runner) { seen.append(row.runner) }
    return seen
  }

  private func format(_ value: Double) -> String {
    value >= 100 ? String(format: "%.0f", value) : String(format: "%.3g", value)
  }
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard let last = sorted.last else { return .nan }
  let middle = sorted.count / 2
  return sorted.count % 2 == 1
    ? sorted[middle] : (sorted[middle - 1] + min(sorted[middle], last)) / 2
}
