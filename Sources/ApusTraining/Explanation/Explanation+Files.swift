import ApusData
import ApusDevice
import Foundation

extension Explanation {
  /// Writes `image.png`, `grad-cam.png`, `filters.png`, `maps-NN.png` for every convolution, and
  /// `index.html`, which shows them together.
  /// - Parameter folder: Made where it is missing.
  /// - Returns: The names of the files, the page first.
  @discardableResult
  public func write(to folder: String, title: String) throws -> [String] {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw ApusError(.file, operation: folder, "cannot be made: \(error.fileReason)")
    }
    func path(_ name: String) -> String { (folder as NSString).appendingPathComponent(name) }
    var figures: [Figure] = [
      Figure(file: "image.png", title: "Image", note: "the input, before preprocessing"),
      Figure(
        file: "grad-cam.png", title: "Grad-CAM",
        note: "evidence for \(className(classIndex)) at \(evidence.layer): red much, blue none"),
      Figure(
        file: "filters.png", title: "Filters of \(filters.layer)",
        note: "\(filters.channels / planesPerFilter) filters of \(planesPerFilter) x "
          + "\(filters.height) x \(filters.width); gray is 0"),
    ]
    try PNG.write(try imagePicture(), to: path("image.png"))
    try PNG.write(try evidencePicture(), to: path("grad-cam.png"))
    try PNG.write(try filterPicture(), to: path("filters.png"))
    for (index, maps) in features.enumerated() {
      let name = String(format: "maps-%02d.png", index + 1)
      try PNG.write(try picture(of: maps), to: path(name))
      let isCut = maps.channels > Self.planeLimit
      figures.append(
        Figure(
          file: name, title: "Feature maps of \(maps.layer)",
          note: "\(maps.channels) of \(maps.height) x \(maps.width)"
            + (isCut ? ", the first \(Self.planeLimit) shown" : "")
            + "; each from its least (black) to its greatest value (white)"))
    }
    try AtomicFile.write(Data(page(title, figures).utf8), to: path("index.html"))
    return ["index.html"] + figures.map(\.file)
  }

  private struct Figure {
    let file, title, note: String
  }

  private func className(_ index: Int) -> String {
    classNames.indices.contains(index) ? classNames[index] : "\(index)"
  }

  private func page(_ title: String, _ figures: [Figure]) -> String {
    let best = probabilities.indices.sorted { probabilities[$0] > probabilities[$1] }.prefix(5)
    let rows = best.map {
      "<tr><td>\(escaped(className($0)))</td>"
        + "<td>\(String(format: "%.2f %%", probabilities[$0] * 100))</td></tr>"
    }.joined()
    let shown = figures.map {
      """
      <figure><figcaption><b>\(escaped($0.title))</b><br>\(escaped($0.note))</figcaption>
      <img src="\($0.file)" alt="\(escaped($0.title))"></figure>
      """
    }
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <title>\(escaped(title))</title>
      <style>
      body { font-family: sans-serif; margin: 2em; max-width: 80em; }
      figure { display: inline-block; vertical-align: top; margin: 0 1.5em 1.5em 0; }
      figcaption { margin-bottom: 0.5em; }
      img { image-rendering: pixelated; max-width: 100%; }
      td { padding-right: 1em; }
      </style>
      </head>
      <body>
      <h1>\(escaped(title))</h1>
      <table>\(rows)</table>
      \(shown.joined(separator: "\n"))
      </body>
      </html>

      """
  }

  private func escaped(_ text: String) -> String {
    text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
      .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
  }
}
