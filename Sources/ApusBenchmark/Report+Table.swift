import Foundation

extension Report {
  /// A head and a row per case and device: time, rate, share of the roofline, then how many times as
  /// fast as the first device, as each peer, and as in an earlier report the case is.
  package func table(comparedWithEarlier isCompared: Bool) -> [[String]] {
    let peers = runners(peers: true)
    let devices = runners(peers: false)
    var head = ["case", "device", "ms", "rate", "share"]
    if devices.count > 1 { head.append("× \(devices[0])") }
    head += peers.map { "× \($0)" }
    if isCompared { head.append("× before") }
    var table = [head]
    for row in rows where !row.isPeer {
      func times(_ speedup: Double?) -> String { speedup.map(format) ?? "–" }
      var cells = [
        row.name, row.runner, format(row.medianMilliseconds),
        row.rate.map { "\(format($0)) \(row.unit ?? "")" } ?? "–",
        row.share.map { "\(Int(($0 * 100).rounded())) %" } ?? "–",
      ]
      if devices.count > 1 { cells.append(times(row.speedup)) }
      cells += peers.map { times(row.speedup(over: self.row(row.name, $0))) }
      if isCompared { cells.append(times(row.speedupOverBefore)) }
      table.append(cells)
    }
    return table
  }

  /// What the shares are of, in a sentence.
  package var limits: String {
    let cards = (rooflines ?? [:]).sorted { $0.key < $1.key }.map {
      ", \($0.key) \(format($0.value.flops)) GFLOP/s and \(format($0.value.bandwidth)) GB/s"
    }.joined()
    return """
      FMA peak \(format(fmaPeak)) GFLOP/s, copy bandwidth \(format(copyBandwidth)) GB/s\(cards), best \
      medians of this run; shares are of what the same rounds measured.
      """
  }

  package func markdown(comparedWithEarlier isCompared: Bool) -> String {
    let used = versions.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
      .joined(separator: ", ")
    let table = table(comparedWithEarlier: isCompared)
    let lines = table.map { "| " + $0.joined(separator: " | ") + " |" }
    let rule = "|" + String(repeating: "---|", count: table[0].count)
    return """
      # \(card.map { "\($0) beside " } ?? "")\(processor), \(threads) threads

      \(limits) \(used). Medians of interleaved rounds; a ratio above 1 means that this device is
      faster.

      \(([lines[0], rule] + lines.dropFirst()).joined(separator: "\n"))

      """
  }
}
