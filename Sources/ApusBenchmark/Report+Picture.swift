import Foundation

extension Report {
  /// Bars of the share of the roofline that each case reaches on each device, and the roofline itself:
  /// rate over operations per byte (Williams, Waterman, Patterson 2009).
  package func svg() -> String {
    let bars = Bars(self)
    let roof = RooflineChart(self)
    let height = max(bars.height, roof.isEmpty ? 0 : roof.height) + 20
    let width = bars.width + (roof.isEmpty ? 0 : roof.width)
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" \
      height="\(height)" font-family="system-ui, sans-serif" font-size="11">
      <rect width="100%" height="100%" fill="#fff"/>
      \(bars.draw())
      \(roof.isEmpty ? "" : roof.draw(left: bars.width))
      </svg>

      """
  }
}

private let colours = ["#1f6fb4", "#e0701b", "#2f9e58", "#a43fb0", "#c03a3a", "#6b6b6b"]

private func text(
  _ x: Double, _ y: Double, _ content: String, anchor: String = "start", size: Int = 11
) -> String {
  let safe = content.replacingOccurrences(of: "&", with: "&amp;")
    .replacingOccurrences(of: "<", with: "&lt;")
  return String(format: "<text x=\"%.1f\" y=\"%.1f\" ", x, y)
    + "text-anchor=\"\(anchor)\" font-size=\"\(size)\" fill=\"#222\">\(safe)</text>"
}

/// One group of bars per case, one bar per device: how many times as fast as the slowest of them where
/// there is no share, else the share.
private struct Bars {
  private let report: Report
  private let names: [String]
  private let devices: [String]
  let width = 640.0
  private let left = 230.0
  private let bar = 12.0
  private let gap = 8.0

  init(_ report: Report) {
    self.report = report
    devices = report.runners(peers: false)
    var names: [String] = []
    for row in report.rows where !row.isPeer && row.share != nil && !names.contains(row.name) {
      names.append(row.name)
    }
    self.names = names
  }

  var height: Double { 70 + Double(names.count) * (bar * Double(max(devices.count, 1)) + gap) }

  func draw() -> String {
    let room = width - left - 60
    let largest = max(1, report.rows.compactMap { $0.isPeer ? nil : $0.share }.max() ?? 1)
    var parts = [text(20, 24, "Share of the measured roofline", size: 15)]
    for (index, device) in devices.enumerated() {
      let x = 20 + 110 * Double(index)
      parts.append(
        "<rect x=\"\(x)\" y=\"36\" width=\"10\" height=\"10\" fill=\"\(colours[index % 6])\"/>")
      parts.append(text(x + 14, 45, device))
    }
    var y = 60.0
    for name in names {
      parts.append(
        text(left - 8, y + bar * Double(devices.count) / 2 + 4, name, anchor: "end"))
      for (index, device) in devices.enumerated() {
        guard let share = report.row(name, device)?.share else { continue }
        let length = room * share / largest
        parts.append(
          String(
            format: "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%@\"/>",
            left,
            y + bar * Double(index), length, bar - 1, colours[index % 6]))
        parts.append(
          text(
            left + length + 4, y + bar * Double(index) + 9,
            "\(Int((share * 100).rounded())) %"))
      }
      y += bar * Double(devices.count) + gap
    }
    let full = left + room / largest
    parts.append(
      String(
        format: "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"54\" y2=\"%.1f\" stroke=\"#999\"/>", full, full,
        y))
    return parts.joined(separator: "\n")
  }
}

/// Rate over intensity, both logarithmic, under each device's roof.
private struct RooflineChart {
  private struct Point {
    let x, y: Double
    let name: String
    let colour: String
  }

  private let points: [Point]
  private let roofs: [(limits: Roofline, colour: String)]
  let width = 560.0
  let height = 440.0
  private let top = 50.0
  private let room = 470.0
  private let tall = 330.0
  private let from: Double
  private let to: Double
  private let low: Double
  private let high: Double

  init(_ report: Report) {
    var points: [Point] = []
    var roofs: [(limits: Roofline, colour: String)] = []
    for (index, device) in report.runners(peers: false).enumerated() {
      let colour = colours[index % 6]
      let limits = report.roofline(device)
      if limits.flops > 0, limits.bandwidth > 0,
        !roofs.contains(where: { $0.limits.flops == limits.flops })
      {
        roofs.append((limits, colour))
      }
      for row in report.rows where row.runner == device {
        guard let intensity = row.intensity, let rate = row.rate, intensity > 0, rate > 0 else {
          continue
        }
        let flops = row.unit == "GB/s" ? rate * intensity : rate
        points.append(Point(x: intensity, y: flops, name: row.name, colour: colour))
      }
    }
    self.points = points
    self.roofs = roofs
    let xs = points.map(\.x) + roofs.map { $0.limits.flops / $0.limits.bandwidth }
    let ys = points.map(\.y) + roofs.map(\.limits.flops)
    (from, to) = (log10((xs.min() ?? 1) / 3), log10((xs.max() ?? 1) * 3))
    (low, high) = (log10((ys.min() ?? 1) / 3), log10((ys.max() ?? 1) * 3))
  }

  /// Without roofs, or with nothing under them, there is no chart.
  var isEmpty: Bool { points.isEmpty || roofs.isEmpty }

  private func place(_ x: Double, _ y: Double, _ left: Double) -> (Double, Double) {
    (
      left + 60 + room * (log10(x) - from) / (to - from),
      top + tall * (1 - (log10(y) - low) / (high - low))
    )
  }

  func draw(left: Double) -> String {
    var parts = [text(left + 60, 24, "Roofline: GFLOP/s over operations per byte", size: 15)]
    for decade in Int(from.rounded(.up))...max(Int(from.rounded(.up)), Int(to.rounded(.down))) {
      let (x, _) = place(pow(10, Double(decade)), 1, left)
      parts.append(line(x, top, x, top + tall, "#e4e4e4"))
      parts.append(
        text(x, top + tall + 16, String(format: "%g", pow(10, Double(decade))), anchor: "middle"))
    }
    for decade in Int(low.rounded(.up))...max(Int(low.rounded(.up)), Int(high.rounded(.down))) {
      let (_, y) = place(1, pow(10, Double(decade)), left)
      parts.append(line(left + 60, y, left + 60 + room, y, "#e4e4e4"))
      parts.append(
        text(left + 54, y + 4, String(format: "%g", pow(10, Double(decade))), anchor: "end"))
    }
    for (limits, colour) in roofs {
      let ridge = limits.flops / limits.bandwidth
      let (start, end) = (pow(10, from), pow(10, to))
      let a = place(start, max(start * limits.bandwidth, pow(10, low)), left)
      let b = place(ridge, limits.flops, left)
      let c = place(end, limits.flops, left)
      parts.append(line(a.0, a.1, b.0, b.1, colour))
      parts.append(line(b.0, b.1, c.0, c.1, colour))
    }
    for point in points {
      let (x, y) = place(point.x, point.y, left)
      parts.append(
        String(format: "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" ", x, y)
          + "fill=\"\(point.colour)\" fill-opacity=\"0.8\"><title>\(point.name)</title></circle>")
    }
    return parts.joined(separator: "\n")
  }

  private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ colour: String)
    -> String
  {
    String(
      format: "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" ", x1, y1, x2, y2)
      + "stroke=\"\(colour)\"/>"
  }
}
