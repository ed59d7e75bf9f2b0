import Apus
import ApusBenchmark
import ApusOpenCL
import ArgumentParser
import Foundation

/// `apus tune`.
struct TuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tune",
    abstract: "Find the fastest kernels of an OpenCL device and keep them.",
    discussion: """
      Tries other ways to compute matrix products, convolutions, recurrent layers, softmax, sums and
      changes of memory order than the estimated ones. Each candidate is first compared with the reference;
      then it is timed. One is kept only if it beats the usual way in turns, so nothing becomes slower. What
      is found is kept per device and driver beside the cache of kernels, and holds for every later run;
      results then differ from untuned ones within rounding. A search that ran out of its budget goes on when
      called again; what has been searched stays as it is.

        apus tune --device opencl:0 --budget 60s
        apus tune --device opencl:0 --model mlp --input-shape 1,28,28 --batch-size 128
        apus tune --device opencl:0 --benchmark lstm --budget 2m
        apus tune --device opencl:0 --reset

      Without --model and --benchmark, operations of common sizes are tuned; with one, those of a training
      step of the model, or of the cases of `apus bench` whose names contain the text.
      --filter takes a part of an operation's name: gemm, convolution, recurrence, softmax, reduce, transpose.
      """)

  @Option(help: "The OpenCL device to tune: opencl or opencl:N.")
  var device = "opencl"

  @OptionGroup var products: PrecisionOptions

  @Option(
    help: "How long to search: 60s, 2m, 500ms.",
    transform: { text in
      guard let seconds = TuneCommand.seconds(text) else {
        throw ValidationError("'\(text)' is no time; write 60s, 2m or 500ms")
      }
      return seconds
    })
  var budget = 60.0

  @Option(help: "Tune for a training step of this preset or JSON description.")
  var model: String?

  @Option(help: "The shape of one example, such as 1,28,28, for --model.")
  var inputShape = "1,28,28"

  @Option(help: "The examples of a step, for --model.")
  var batchSize = 64

  @Option(help: "Classes, for --model.")
  var classes = 10

  @Option(help: "Tune for the cases of `apus bench` whose name contains this; '' for all.")
  var benchmark: String?

  @Option(help: "Tune only operations whose name contains this.")
  var filter: String?

  @Flag(help: "Search also where a search has come to its end before.")
  var again = false

  @Flag(help: "Forget what was found on the device.")
  var reset = false

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Listing: Encodable {
    let device: DeviceInfo
    let database: String
    let entries: Int
    let outcomes: [Tuner.Outcome]
  }

  func run() throws {
    let opened = try products.set(on: Devices.named(device))
    guard let backend = opened.backend as? OpenCLBackend else {
      throw ApusError(
        .device, operation: "tune",
        "'\(opened)' has nothing to tune; choose an OpenCL device (`apus devices` lists them)")
    }
    if reset {
      try backend.forgetTuning()
      if !json { try Console.print("forgotten: \(backend.tuningPath)") }
      return
    }
    let usual = TuningJob.usual(
      isChannelsLast: backend.prefersChannelsLast, isLarge: backend.description.kind == .gpu)
    if model != nil && benchmark != nil {
      throw ApusError(.value, operation: "tune", "give --model or --benchmark, not both")
    }
    let chosen =
      try model.map { try recorded(model: $0, on: backend) }
      ?? benchmark.map { try recorded(benchmark: $0, on: backend) } ?? usual
    let jobs = chosen.filter { job in
      filter.map { job.name.localizedCaseInsensitiveContains($0) } ?? true
    }
    if jobs.isEmpty {
      throw ApusError(
        .value, operation: "tune",
        "nothing to tune is called '\(filter ?? "")'; names are "
          + Set(chosen.map(\.name)).sorted().joined(separator: ", "))
    }
    let (outcomes, done) = try search(backend, jobs)
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
      let listing = Listing(
        device: opened.info, database: backend.tuningPath, entries: backend.tuningCount,
        outcomes: outcomes)
      return try Console.print(String(decoding: try encoder.encode(listing), as: UTF8.self))
    }
    let rows = outcomes.map { outcome in
      [
        outcome.operation, outcome.sizes.map(String.init).joined(separator: "x"),
        String(format: "%.3g ms", outcome.usual), String(format: "%.3g ms", outcome.best),
        outcome.choice == nil ? "usual" : String(format: "%.2f x", outcome.speedUp),
        "\(outcome.tried)", "\(outcome.rejected)",
      ]
    }
    let head = ["operation", "size", "usual", "best", "kept", "tried", "wrong"]
    if !rows.isEmpty { try Console.print(Console.table([head] + rows) + "\n") }
    let kept = outcomes.filter { $0.choice != nil }.count
    try Console.print(
      outcomes.isEmpty && done == jobs.count
        ? "all \(done) operations were searched before; --again searches anew"
        : "\(done) of \(jobs.count) operations tuned, \(kept) of \(outcomes.count) new choices faster"
    )
    try Console.print("\(backend.tuningPath) has \(backend.tuningCount) choices")
  }

  /// Shares what is left of the budget among what is left to do; small operations come first, for what
  /// they leave is what large ones need.
  private func search(_ backend: OpenCLBackend, _ jobs: [TuningJob]) throws
    -> (outcomes: [Tuner.Outcome], done: Int)
  {
    let tuner = Tuner(backend, oracle: try Devices.named("reference").backend)
    let end = Date().addingTimeInterval(budget)
    var outcomes: [Tuner.Outcome] = []
    var done = 0
    for job in jobs.sorted(by: { $0.work < $1.work }) {
      let left = end.timeIntervalSinceNow
      if left <= 0 { break }
      if Console.isTerminal { Console.redraw("\(done + 1)/\(jobs.count) \(job.name)") }
      outcomes += try tuner.tune(
        job, seconds: left / Double(jobs.count - done), again: again)
      done += 1
    }
    if Console.isTerminal { Console.redraw("") }
    return (outcomes, done)
  }

  /// The operations of a training step.
  private func recorded(model: String, on backend: OpenCLBackend) throws -> [TuningJob] {
    let shape = try inputShape.split(separator: ",", omittingEmptySubsequences: false).map { text in
      guard let extent = Int(text.trimmingCharacters(in: .whitespaces)), extent > 0 else {
        throw ApusError(
          .value, operation: "--input-shape", "'\(inputShape)' is no shape; write 1,28,28")
      }
      return extent
    }
    guard batchSize > 0, classes > 0 else {
      throw ApusError(.value, operation: "tune", "--batch-size and --classes are above 0")
    }
    let description = try ModelSource(model).description(inputShape: shape, classCount: classes)
    let recorder = JobRecorder(backend)
    let device = Device(recorder)
    let graph = try GraphModel(description, key: RandomKey(1), on: device)
    let x = try Tensor.zeros([batchSize] + shape, on: device)
    let y = try Tensor([Int32](repeating: 0, count: batchSize), on: device)
    recorder.begin()
    _ = try valueAndGradients(of: graph.parameters(), key: RandomKey(2)) { context in
      try crossEntropy(graph(x, context), y)
    }
    return recorder.jobs
  }

  /// The operations of one run of benchmark cases.
  private func recorded(benchmark: String, on backend: OpenCLBackend) throws -> [TuningJob] {
    let cases = BenchCase.cases(matching: benchmark, hasGPU: backend.description.kind == .gpu)
    if cases.isEmpty {
      throw ApusError(
        .value, operation: "tune",
        "no benchmark case's name contains '\(benchmark)'; there are "
          + BenchCase.all.map(\.name).joined(separator: ", "))
    }
    let recorder = JobRecorder(backend)
    for test in cases { try test.prepare(Device(recorder))() }
    return recorder.jobs
  }

  private static func seconds(_ text: String) -> Double? {
    for (unit, factor) in [("ms", 1e-3), ("s", 1), ("m", 60), ("h", 3600), ("", 1)]
    where text.hasSuffix(unit) {
      guard let number = Double(text.dropLast(unit.count)), number.isFinite, number > 0 else {
        return nil
      }
      return number * factor
    }
    return nil
  }
}
