import ApusDevice
import ApusOpenCL
import Dispatch
import Foundation

/// Where `auto` computes, from measured times.
///
/// A GPU beats the processor on large work and loses on small work, where handing it over costs more than
/// computing. So both multiply matrices of several sizes, once per machine; the figures are kept beside the
/// cache of kernels.
package struct Placement: Codable, Sendable, Equatable {
  /// Seconds of a product of two matrices `n × n`, the result awaited.
  package struct Figure: Codable, Sendable, Equatable {
    package let n: Int
    package let processor: Double
    package let other: Double

    package init(n: Int, processor: Double, other: Double) {
      self.n = n
      self.processor = processor
      self.other = other
    }
  }

  /// The device that was compared with the processor.
  package let device: String
  package let product: String
  package let figures: [Figure]

  package init(device: String, product: String, figures: [Figure]) {
    self.device = device
    self.product = product
    self.figures = figures.sorted { $0.n < $1.n }
  }

  package static let sizes = [64, 256, 1024]

  /// From which size on the device is faster than the processor, at all measured sizes.
  package var crossover: Int? {
    var first: Int?
    for figure in figures.reversed() {
      if figure.other >= figure.processor { break }
      first = figure.n
    }
    return first
  }

  /// The device's name if it is ahead where there is work, else `cpu`.
  package var choice: String { crossover == nil ? "cpu" : device }

  package var reason: String {
    guard let largest = figures.last else { return "nothing was measured" }
    let ratio = largest.processor / largest.other
    let measured = "products of \(largest.n) x \(largest.n) matrices"
    if let crossover {
      return String(
        format: "%@ does %@ %.2g times as fast as the processor, and is ahead from %d x %d on",
        product, measured, ratio, crossover, crossover)
    }
    return String(
      format: "%@ does %@ %.2g times as fast as the processor, so the processor computes", product,
      measured, ratio)
  }

  /// Measures a device beside the processor.
  static func measured(_ info: DeviceInfo, _ device: Device, beside processor: Device) throws
    -> Placement
  {
    let figures = try sizes.map { n in
      Figure(n: n, processor: try time(n, processor), other: try time(n, device))
    }
    return Placement(device: info.name, product: info.product, figures: figures)
  }

  /// The best of a few products; the first one builds kernels.
  private static func time(_ n: Int, _ device: Device) throws -> Double {
    let backend = device.backend
    let (a, b, out) = (
      try backend.temporary([1, n, n]), try backend.temporary([1, n, n]),
      try backend.temporary([1, n, n])
    )
    try backend.enqueue(.fill(0.5), [], [a])
    try backend.enqueue(.fill(0.25), [], [b])
    var best = Double.infinity
    for _ in 0..<6 {
      let start = DispatchTime.now().uptimeNanoseconds
      try backend.enqueue(.gemm, [a, b], [out])
      try backend.synchronize()
      best = min(best, Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9)
    }
    return best
  }
}

extension Placement {
  /// Whether a file holds what can have been measured.
  private var isSensible: Bool {
    !figures.isEmpty
      && figures.allSatisfy {
        $0.n > 0 && $0.processor > 0 && $0.processor < .infinity && $0.other > 0
          && $0.other < .infinity
      }
  }

  /// What was measured before on these devices, or is measured now and kept.
  static func kept(_ info: DeviceInfo, _ device: Device, beside processor: Device) throws
    -> Placement
  {
    let folder = (ProgramCache().folder as NSString).deletingLastPathComponent + "/placement"
    var identity = Fingerprint()
    for text in [
      info.name, info.product, info.driver, processor.info.product,
      "\(processor.info.computeUnits)",
    ] { identity.add(text) }
    let path = "\(folder)/\(identity.text).json"
    if let data = FileManager.default.contents(atPath: path),
      let found = try? JSONDecoder().decode(Placement.self, from: data), found.device == info.name,
      found.isSensible
    {
      return found
    }
    let placement = try measured(info, device, beside: processor)
    // Where nothing can be kept, the next start measures again.
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    if let data = try? JSONEncoder().encode(placement) { try? AtomicFile.write(data, to: path) }
    return placement
  }
}
