import Apus
import ArgumentParser
import CPeak
import Foundation

@main
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus-bench",
    abstract: "Times Apus on each device beside its peers, in turns, and writes a table.")

  @Option(help: "Devices, comma-separated.") var device = "cpu,opencl"
  @Option(help: "Only cases whose name contains this.") var filter = ""
  @Option(help: "Turns of each device and peer.") var rounds = 5
  @Option(help: "Seconds of one turn.") var seconds = 0.4
  @Option(help: "Folder with the peers' executables.") var peers: String?
  @Option(help: "Folder for JSON and Markdown; printed only, if absent.") var output: String?
  @Option(help: "The command 'apus', to time its first training step.") var apus: String?

  func run() throws {
    let threads = ProcessInfo.processInfo.activeProcessorCount
    var report = Report(processor: processorName(), threads: threads)
    report.measureLimits(.flops(1))
    report.measureLimits(.bytes(1))
    let devices = try device.split(separator: ",").map { try Devices.named(String($0)) }
    let others = try peerExecutables().map { try Peer(executable: $0) }
    defer { others.forEach { $0.end() } }
    for device in devices { report.versions[device.name] = device.info.driver }
    for peer in others { report.versions[peer.name] = peer.version }
    note("FMA peak \(report.fmaPeak) GFLOP/s, copy \(report.copyBandwidth) GB/s")

    for test in BenchCase.all where filter.isEmpty || test.name.contains(filter) {
      try measure(test, devices, others, into: &report)
    }
    if let apus, filter.isEmpty || "first-step".contains(filter) {
      try measureFirstStep(apus, devices, into: &report)
    }
    print(report.markdown)
    if let output { try write(report, to: output) }
  }

  private func measure(
    _ test: BenchCase, _ devices: [Device], _ others: [Peer], into report: inout Report
  ) throws {
    report.beginCase()
    var ours = [[Double]](repeating: [], count: devices.count)
    var theirs = [[Double]](repeating: [], count: others.count)
    let bodies = try devices.map { try test.prepare($0) }
    for body in bodies { for _ in 0..<3 { try body() } }
    for _ in 0..<rounds {
      // Clocks and neighbours change from second to second: the limits are measured in every round.
      report.measureLimits(test.work)
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
      for (index, peer) in others.enumerated() {
        theirs[index] += try peer.measure(test.name, seconds: seconds)
      }
    }
    let rows =
      zip(devices.map { ($0.name, false) }, ours).map { ($0.0, $0.1, $1) }
      + zip(others.map { ($0.name, true) }, theirs).map { ($0.0, $0.1, $1) }
    for (runner, isPeer, times) in rows where !times.isEmpty {
      let row = row(test, runner: runner, isPeer: isPeer, times, report)
      report.rows.append(row)
      note("\(test.name) \(runner) \(row.medianMilliseconds) ms \(row.rate ?? 0) \(row.unit ?? "")")
    }
  }

  private func row(
    _ test: BenchCase, runner: String, isPeer: Bool, _ times: [Double], _ report: Report
  ) -> Report.Row {
    let milliseconds = median(times)
    var (rate, unit, share): (Double?, String?, Double?) = (nil, nil, nil)
    switch test.work {
    case .flops(let flops):
      rate = flops / milliseconds * 1e-6
      unit = "GFLOP/s"
      share = rate.map { $0 / report.fmaNow }
    case .bytes(let bytes):
      rate = bytes / milliseconds * 1e-6
      unit = "GB/s"
      share = rate.map { $0 / report.copyNow }
    case .operations(let count):
      rate = milliseconds * 1e3 / count
      unit = "µs each"
    case .none: break
    }
    return Report.Row(
      name: test.name, runner: runner, isPeer: isPeer, medianMilliseconds: milliseconds,
      rate: rate, unit: unit, share: share)
  }

  /// Seconds from the start of `apus train` on `digits` to its end after one step of one epoch.
  private func measureFirstStep(
    _ apus: String, _ devices: [Device], into report: inout Report
  ) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for device in devices {
      var times: [Double] = []
      for _ in 0...rounds {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: apus)
        process.arguments = [
          "train", "--data", "digits", "--model", "mlp", "--device", device.name, "--epochs", "1",
          "--batch-size", "4096", "--quiet", "--output", folder.path + "/model.safetensors",
        ]
        let start = DispatchTime.now().uptimeNanoseconds
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw ExitCode.failure }
        times.append(Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-6)
      }
      report.rows.append(
        Report.Row(
          name: "first-step (whole process)", runner: device.name, isPeer: false,
          medianMilliseconds: median(Array(times.dropFirst())), rate: nil, unit: nil, share: nil))
    }
  }

  private func peerExecutables() throws -> [URL] {
    guard let peers else { return [] }
    return try FileManager.default.contentsOfDirectory(
      at: URL(fileURLWithPath: peers), includingPropertiesForKeys: nil
    ).sorted { $0.path < $1.path }
  }

  private func write(_ report: Report, to folder: String) throws {
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true)
    let name = report.processor.lowercased().split {
      !($0.isLetter || $0.isNumber || $0 == ".")
    }.joined(separator: "-")
    let base = URL(fileURLWithPath: folder).appendingPathComponent(name)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(report).write(
      to: URL(fileURLWithPath: base.path + ".json"), options: .atomic)
    try Data(report.markdown.utf8).write(
      to: URL(fileURLWithPath: base.path + ".md"), options: .atomic)
    note("wrote \(base.path).json and .md")
  }

  private func processorName() -> String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    for line in text.split(separator: "\n") where line.hasPrefix("model name") {
      return line.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
    }
    return "unknown processor"
  }

  private func note(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
}
