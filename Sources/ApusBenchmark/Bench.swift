import Apus
import Dispatch
import Foundation

/// Times cases on devices beside peers, in turns.
package struct Bench {
  /// Turns of each device and peer.
  package var rounds = 5
  /// Of one turn.
  package var seconds = 0.4
  /// Hears of every figure as soon as it is there.
  package var note: (String) -> Void = { _ in }

  package init() {}

  /// - Parameter apus: The command, to time its first training step; nil to leave that out.
  package func run(
    _ cases: [BenchCase], on devices: [Device], beside peers: [Peer] = [], firstStepOf apus: URL?
  ) throws -> Report {
    var report = Report(
      processor: Self.processorName(), threads: UsableProcessors.count,
      card: devices.first { $0.info.kind == .gpu }?.info.product)
    let meter = Roofline.Meter(devices)
    // Both limits, whatever the cases need: the roofline has two sides.
    try meter.measure(.flops(1))
    try meter.measure(.bytes(1))
    report.note(meter)
    for device in devices {
      let precision = device.matrixPrecision
      report.versions[device.name] =
        device.info.driver
        + (precision == .float32 ? "" : ", matrix products in \(precision.rawValue)")
    }
    for peer in peers { report.versions[peer.name] = peer.version }
    for test in cases { try measure(test, devices, peers, meter, into: &report) }
    if let apus { try measureFirstStep(apus, devices, into: &report) }
    return report
  }

  private func measure(
    _ test: BenchCase, _ devices: [Device], _ peers: [Peer], _ meter: Roofline.Meter,
    into report: inout Report
  ) throws {
    meter.beginCase()
    var ours = [[Double]](repeating: [], count: devices.count)
    var theirs = [[Double]](repeating: [], count: peers.count)
    let bodies = try devices.map { try test.prepare($0) }
    for body in bodies { for _ in 0..<3 { try body() } }
    for _ in 0..<rounds {
      try meter.measure(test.work)
      for (index, body) in bodies.enumerated() {
        let end = Date().addingTimeInterval(seconds)
        var runs = 0
        while Date() < end || runs < 5 {
          let start = DispatchTime.now().uptimeNanoseconds
          try body()
          ours[index].append(Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-6)
          runs += 1
          if test.isHostTime { try devices[index].synchronize() }
        }
      }
      for (index, peer) in peers.enumerated() {
        theirs[index] += try peer.measure(test.name, seconds: seconds)
      }
    }
    report.note(meter)
    let rows =
      zip(devices, ours).map { ($0.name, false, meter.now($0.name), $1) }
      // What limits a peer's card is known only where it is a device of this run: no share.
      + zip(peers, theirs).map { ($0.name, true, $0.card == nil ? meter.now("") : Roofline(), $1) }
    for (runner, isPeer, limits, times) in rows where !times.isEmpty {
      let row = row(test, runner: runner, isPeer: isPeer, median(times), limits)
      report.rows.append(row)
      note("\(test.name) \(runner) \(row.medianMilliseconds) ms \(row.rate ?? 0) \(row.unit ?? "")")
    }
  }

  private func row(
    _ test: BenchCase, runner: String, isPeer: Bool, _ milliseconds: Double, _ limits: Roofline
  ) -> Report.Row {
    var (rate, unit, share): (Double?, String?, Double?) = (nil, nil, nil)
    func part(_ rate: Double, of limit: Double) -> Double? { limit > 0 ? rate / limit : nil }
    switch test.work {
    case .flops(let flops):
      rate = flops / milliseconds * 1e-6
      unit = "GFLOP/s"
      share = part(flops / milliseconds * 1e-6, of: limits.flops)
    case .bytes(let bytes):
      rate = bytes / milliseconds * 1e-6
      unit = "GB/s"
      share = part(bytes / milliseconds * 1e-6, of: limits.bandwidth)
    case .operations(let count):
      rate = milliseconds * 1e3 / count
      unit = "µs each"
    case .none: break
    }
    return Report.Row(
      name: test.name, runner: runner, isPeer: isPeer, medianMilliseconds: milliseconds,
      rate: rate, unit: unit, share: share, intensity: test.intensity)
  }

  /// Seconds from the start of `apus train` on `digits` to its end after one step of one epoch.
  private func measureFirstStep(
    _ apus: URL, _ devices: [Device], into report: inout Report
  ) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for device in devices {
      var times: [Double] = []
      for _ in 0...rounds {
        let process = Process()
        process.executableURL = apus
        process.arguments = [
          "train", "--data", "digits", "--model", "mlp", "--device", device.name, "--epochs", "1",
          "--batch-size", "4096", "--quiet", "--output", folder.path + "/model.safetensors",
          "--precision", device.matrixPrecision.rawValue,
        ]
        let start = DispatchTime.now().uptimeNanoseconds
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
          throw ApusError(
            .state, operation: "bench",
            "'apus train' on \(device.name) ended with code \(process.terminationStatus)")
        }
        times.append(Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-6)
      }
      report.rows.append(
        Report.Row(
          name: Self.firstStep, runner: device.name, isPeer: false,
          medianMilliseconds: median(Array(times.dropFirst())), rate: nil, unit: nil, share: nil,
          intensity: nil))
    }
  }

  /// The name of the case that times the command itself.
  package static let firstStep = "first-step (whole process)"

  private static func processorName() -> String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    for line in text.split(separator: "\n") where line.hasPrefix("model name") {
      return line.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
    }
    return "unknown processor"
  }
}
