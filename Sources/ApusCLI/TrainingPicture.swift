import Apus
import Foundation

/// A picture of a run: loss curves to the left, confusion matrix to the right.
struct TrainingPicture {
  let history: History
  /// Rows are the truth; empty without a test part.
  let confusionMatrix: [[Int]]
  let classNames: [String]
  let accuracy: Double?

  func svg() -> String {
    let width = confusionMatrix.isEmpty ? 520 : 1000
    var parts = [
      """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) 460" width="\(width)" \
      height="460" font-family="system-ui, sans-serif" font-size="12">
      <rect width="100%" height="100%" fill="#fff"/>
      """
    ]
    parts.append(curves())
    if !confusionMatrix.isEmpty { parts.append(matrix()) }
    parts.append("</svg>\n")
    return parts.joined(separator: "\n")
  }

  // MARK: Curves

  private func curves() -> String {
    let frame = (left: 60.0, top: 50.0, width: 420.0, height: 350.0)
    let train = history.epochs.map(\.trainLoss)
    let validation = history.epochs.compactMap(\.validationLoss)
    let top = max((train + validation).max() ?? 1, 1e-9)
    func place(_ index: Int, _ loss: Double, of count: Int) -> String {
      let x = frame.left + frame.width * Double(index) / Double(max(count - 1, 1))
      return String(format: "%.1f,%.1f", x, frame.top + frame.height * (1 - loss / top))
    }
    func line(_ losses: [Double], _ colour: String) -> String {
      let points = losses.enumerated().map { place($0, $1, of: losses.count) }
        .joined(separator: " ")
      return
        "<polyline points=\"\(points)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\"/>"
    }
    var parts = [text(frame.left, 30, "Loss by epoch", size: 16)]
    for tick in 0...4 {
      let y = frame.top + frame.height * Double(tick) / 4
      parts.append(
        "<line x1=\"\(frame.left)\" x2=\"\(frame.left + frame.width)\" y1=\"\(y)\" y2=\"\(y)\" "
          + "stroke=\"#e4e4e4\"/>")
      parts.append(
        text(
          frame.left - 8, y + 4, String(format: "%.3g", top * Double(4 - tick) / 4), anchor: "end"))
    }
    let epochs = history.epochs.count
    for mark in Set([1, (epochs + 1) / 2, epochs]).sorted() where mark >= 1 {
      let x = frame.left + frame.width * Double(mark - 1) / Double(max(epochs - 1, 1))
      parts.append(text(x, frame.top + frame.height + 20, "\(mark)", anchor: "middle"))
    }
    parts.append(line(train, "#1f6fb4"))
    parts.append(
      text(frame.left + frame.width - 6, 66, "training", anchor: "end", colour: "#1f6fb4"))
    if !validation.isEmpty {
      parts.append(line(validation, "#d1602b"))
      parts.append(
        text(frame.left + frame.width - 6, 84, "validation", anchor: "end", colour: "#d1602b"))
    }
    return parts.joined(separator: "\n")
  }

  // MARK: Matrix

  private func matrix() -> String {
    let count = confusionMatrix.count
    let (left, top, side) = (590.0, 70.0, 340.0)
    let cell = side / Double(max(count, 1))
    let title = "Confusion matrix" + (accuracy.map { ", accuracy \(Console.percent($0))" } ?? "")
    var parts = [
      text(left, 30, title, size: 16),
      text(left + side / 2, 58, "prediction", anchor: "middle", colour: "#666"),
    ]
    for (row, counts) in confusionMatrix.enumerated() {
      let total = Double(max(counts.reduce(0, +), 1))
      parts.append(
        text(
          left - 6, top + cell * (Double(row) + 0.5) + 4, shortName(row), anchor: "end",
          size: labelSize))
      for (column, value) in counts.enumerated() {
        let share = Double(value) / total
        let (x, y) = (left + cell * Double(column), top + cell * Double(row))
        parts.append(
          String(
            format: "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%@\"/>", x,
            y,
            cell - 1, cell - 1, colour(share, isDiagonal: row == column)))
        if value > 0 && count <= 20 {
          parts.append(
            text(
              x + cell / 2, y + cell / 2 + 4, "\(value)", anchor: "middle",
              colour: share > 0.5 ? "#fff" : "#333", size: min(12, cell / 2.5)))
        }
      }
      parts.append(
        text(
          left + cell * (Double(row) + 0.5), top + side + 16, shortName(row), anchor: "middle",
          size: labelSize))
    }
    return parts.joined(separator: "\n")
  }

  private var labelSize: Double { classNames.count > 12 ? 8 : 11 }

  private func shortName(_ index: Int) -> String {
    let name = index < classNames.count ? classNames[index] : "\(index)"
    let limit = classNames.count > 6 ? 6 : 12
    return name.count > limit ? name.prefix(limit - 1) + "…" : name
  }

  private func colour(_ share: Double, isDiagonal: Bool) -> String {
    let end = isDiagonal ? (31.0, 111.0, 180.0) : (209.0, 96.0, 43.0)
    func mix(_ target: Double) -> Int { Int(245 + (target - 245) * share.squareRoot()) }
    return String(format: "#%02x%02x%02x", mix(end.0), mix(end.1), mix(end.2))
  }

  private func text(
    _ x: Double, _ y: Double, _ content: String, anchor: String = "start", colour: String = "#333",
    size: Double = 12
  ) -> String {
    let escaped = content.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
    return String(format: "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.1f\" ", x, y, size)
      + "fill=\"\(colour)\" text-anchor=\"\(anchor)\">\(escaped)</text>"
  }
}
