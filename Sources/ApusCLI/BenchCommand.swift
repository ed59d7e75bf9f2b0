import Apus
import ApusBenchmark
import ApusOpenCL
import ArgumentParser
import Foundation

/// `apus bench`.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Time operations and training steps on one or several devices.",
    discussion: """
      The devices take turns, case by case, so that they meet the same weather. The table has the median
      time, the rate, its share of the roofline that the same rounds measured (fused multiply-adds in
      registers, or copying), and how many times as fast as the first device each one is.

        apus bench --device cpu,opencl --filter gemm
        apus bench --device opencl:0 --json > before.json
        apus bench --device opencl:0 --compare before.json
        apus bench --device cpu,opencl --plot bench.svg      bar chart and roofline

      A share above 100 % is a convolution by Winograd's method, which does with fewer operations than
      are counted, or a tensor that the caches held.
      """)

  @Option(help: "Devices, separated by commas; the first is what the others are compared with.")
  var device = "cpu,opencl"

  @OptionGroup var products: PrecisionOptions

  @OptionGroup var memory: MemoryOptions

  @Option(help: "Only cases whose name contains this.")
  var filter = ""

  @Option(help: "Turns of each device.")
  var rounds = 5

  @Option(help: "Seconds of one turn.")
  var seconds = 0.4

  @Option(help: "An earlier --json report; adds a column with the speed-up over it.")
  var compare: String?

  @Option(help: "Draw bar chart and roofline into an SVG file.")
  var plot: String?

  @Flag(help: "Print one JSON object.")
  var json = false

  @Option(help: ArgumentHelp("Folder with the peers' executables.", visibility: .hidden))
  var peers: String?

  @Option(help: ArgumentHelp("Folder for JSON, Markdown and SVG.", visibility: .hidden))
  var output: String?

  @Flag(help: ArgumentHelp("Time the first training step of a process, too.", visibility: .hidden))
  var firstStep = false

  func validate() throws {
    guard rounds > 0, rounds <= 1000 else { throw ValidationError("--rounds is from 1 to 1000") }
    guard seconds >= 0, seconds <= 3600 else {
      throw ValidationError("--seconds is from 0 to 3600")
    }
  }

  func run() throws {
    let earlier = try compare.map { try Report(path: $0) }
    if let plot { try AtomicFile.requireWritable(plot) }
    let names = device.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    guard !names.isEmpty else {
      throw ApusError(
        .value, operation: "bench", "--device names no device; try --device cpu,opencl")
    }
    let devices = try names.map { memory.limited(try products.set(on: Devices.named($0))) }
    if let twice = devices.indices.first(where: { i in
      devices[..<i].contains { $0.name == devices[i].name }
    }) {
      throw ApusError(
        .value, operation: "bench", "--device \(device) names \(devices[twice].name) twice")
    }
    let chosen = BenchCase.cases(
      matching: filter, hasGPU: devices.contains { $0.info.kind == .gpu })
    let timesFirstStep = firstStep && (filter.isEmpty || Bench.firstStep.contains(filter))
    guard !chosen.isEmpty || timesFirstStep else {
      throw ApusError(
        .value, operation: "bench",
        "no case's name contains '\(filter)'; there are \(BenchCase.all.map(\.name).joined(separator: ", "))"
      )
    }
    let others = try peerExecutables().map { try Peer(executable: $0) }
    defer { others.forEach { $0.end() } }
    var bench = Bench()
    bench.rounds = rounds
    bench.seconds = seconds
    if Console.isTerminal || output != nil { bench.note = { Console.note($0) } }
    let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    var report = try bench.run(
      chosen, on: devices, beside: others, firstStepOf: timesFirstStep ? program : nil)
    for device in devices {
      let count = (device.backend as? OpenCLBackend)?.tuningCount ?? 0
      if count > 0 { report.versions[device.name, default: ""] += ", \(count) tuned choices" }
    }
    report.compare(with: earlier)
    try publish(report)
    devices.forEach(memory.report)
  }

  private func publish(_ report: Report) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let data = try encoder.encode(report)
    if json {
      try Console.print(String(decoding: data, as: UTF8.self))
    } else {
      try Console.print(Console.table(report.table(comparedWithEarlier: compare != nil)))
      try Console.print("\n" + report.limits)
    }
    if let plot { try AtomicFile.write(Data(report.svg().utf8), to: plot) }
    guard let output else { return }
    try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
    let name = report.subject.lowercased().split {
      !($0.isLetter || $0.isNumber || $0 == ".")
    }.joined(separator: "-")
    try AtomicFile.write(data, to: "\(output)/\(name).json")
    try AtomicFile.write(
      Data(report.markdown(comparedWithEarlier: compare != nil).utf8), to: "\(output)/\(name).md")
    try AtomicFile.write(Data(report.svg().utf8), to: "\(output)/\(name).svg")
    Console.note("wrote \(output)/\(name).json, .md and .svg")
  }

  private func peerExecutables() throws -> [URL] {
    guard let peers else { return [] }
    return try FileManager.default.contentsOfDirectory(
      at: URL(fileURLWithPath: peers), includingPropertiesForKeys: nil
    ).sorted { $0.path < $1.path }
  }
}
