import ApusDevice
import ApusOpenCL
import ApusReference
import Foundation
import Testing

@Suite struct TunerTests {
  /// A device with a cache of its own, removed with it.
  final class Fresh {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "apus-tuning-\(UUID().uuidString)"
    ).path
    func open(_ kind: OpenCLDeviceDescription.Kind? = nil) throws -> OpenCLBackend {
      try OpenCLBackend(kind: kind, cacheFolder: folder)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }
  }

  @Test func onlyClearWinnersAreKept() {
    let usual = [1.0, 1.1, 1.0, 1.2, 1.0, 1.0, 1.1, 1.0, 1.0]
    func scaled(_ factor: Double) -> [Double] { usual.map { $0 * factor } }
    func winner(_ kept: [Double]? = nil, _ others: [Double]...) -> Int {
      Tuner.winner(usual: usual, kept: kept, others: others)
    }
    #expect(winner() == 0)
    #expect(winner(nil, scaled(0.97), scaled(1), scaled(1.5)) == 0)
    #expect(winner(nil, scaled(0.9), scaled(0.8), scaled(1)) == 3)
    // Fast by the median, slower in every third turn.
    let uneven = usual.enumerated().map { $0 % 3 == 0 ? $1 * 1.2 : $1 * 0.8 }
    #expect(winner(nil, uneven) == 0)
    // About as fast: the first by the estimate. Kept before: only a clear win replaces it, and only
    // where it is no slower than the usual way.
    #expect(winner(nil, scaled(0.81), scaled(0.8)) == 2)
    #expect(winner(scaled(0.8), scaled(0.79)) == 1)
    #expect(winner(scaled(0.8), scaled(0.7)) == 2)
    #expect(winner(scaled(1.1), scaled(0.99)) == 0)
    #expect(winner(scaled(1.1)) == 0)
  }

  @Test func finalistsAreTheFirstOfEquals() {
    #expect(Tuner.finalists([]) == [])
    #expect(Tuner.finalists([3, 2.5]) == [1])
    #expect(Tuner.finalists([1.2, 1.02, 1.03, 1, 1.01]) == [1, 2, 3])
  }

  @Test func tableSurvivesDamage() throws {
    let fresh = Fresh()
    let table = try fresh.open().tuning
    #expect(table.isEmpty && table.count == 0)
    let keys = [1, 2, 3].map { TuningKey(operation: "gemm", sizes: [$0, 5, 7]) }
    for (i, key) in keys.enumerated() { try table.record(key, [i, 10, -3]) }
    #expect(try fresh.open().tuning.choice(keys[2]) == [2, 10, -3])

    var text = try String(contentsOfFile: table.path, encoding: .utf8)
    text = text.replacingOccurrences(of: "gemm 2 5 7 = 1", with: "gemm 2 5 7 = 9")
    text += "rubbish\ngemm 1 = #\ngemm 9 9 9 = 1 2 #abc\n#\n"
    try text.write(toFile: table.path, atomically: true, encoding: .utf8)
    let read = try fresh.open().tuning
    #expect(read.choice(keys[0]) == [0, 10, -3] && read.choice(keys[1]) == nil && read.count == 2)
    #expect(try TuningTable.read(table.path).damaged == 4)

    try read.record(keys[0], nil)
    #expect(try TuningTable.read(table.path).entries.count == 1)
    #expect(try TuningTable.read(table.path).damaged == 0)
    try read.removeAll()
    #expect(read.isEmpty && !FileManager.default.fileExists(atPath: table.path))
  }

  /// Writers at once, each with a table of its own as processes have: no line is lost.
  @Test func writersTakeTurns() async throws {
    let fresh = Fresh()
    let tables = try (0..<4).map { _ in try fresh.open().tuning }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (i, table) in tables.enumerated() {
        group.addTask {
          for j in 0..<25 {
            try table.record(TuningKey(operation: "gemm", sizes: [i, j]), [i + j])
          }
        }
      }
      try await group.waitForAll()
    }
    let (entries, damaged) = try TuningTable.read(tables[0].path)
    #expect(entries.count == 100 && damaged == 0)
    #expect(entries.allSatisfy { $1 == [$0.sizes.reduce(0, +)] })
  }

  /// A writer that never ends makes an error of those that wait, not a hang, and no half of a change.
  @Test func waitingForAWriterIsLimited() throws {
    let fresh = Fresh()
    let table = try fresh.open().tuning
    let keys = [1, 2].map { TuningKey(operation: "gemm", sizes: [$0]) }
    try table.record(keys[0], [1])
    try FileLock.holding(table.path) {
      let error = #expect(throws: ApusError.self) {
        try table.record(keys[1], [2], patience: 0.05)
      }
      #expect(error?.kind == .file && error?.message.contains("another process") == true)
      #expect(error?.operation.hasPrefix(table.path) == true)
      #expect(table.choice(keys[1]) == [2])
      let lines = try TuningTable.read(table.path).entries
      #expect(lines.count == 1)
    }
    try table.record(keys[1], [2])
    #expect(try TuningTable.read(table.path).entries.count == 2)
  }

  /// Every candidate, for odd and even extents and all orders of the operands.
  @Test(arguments: [OpenCLDeviceDescription.Kind.cpu, .gpu])
  func candidatesComputeRight(kind: OpenCLDeviceDescription.Kind) throws {
    let fresh = Fresh()
    let device = try fresh.open(kind)
    let tuner = Tuner(device, oracle: ReferenceBackend())
    for job in [
      TuningJob.product(37, 51, 300), .layer(rows: 64, outputs: 96, inputs: 128),
      .gradient(rows: 517, outputs: 19, inputs: 130), .product(5, 3, 2),
    ] {
      let (choices, wrong) = try tuner.check(job)
      #expect(!choices.isEmpty && Set(choices).count == choices.count && wrong == [], "\(job)")
    }
  }

  /// The same for what is no product: every way computes right, and a CPU kind has several of each.
  @Test(arguments: [OpenCLDeviceDescription.Kind.cpu, .gpu])
  func otherCandidatesComputeRight(kind: OpenCLDeviceDescription.Kind) throws {
    let fresh = Fresh()
    let device = try fresh.open(kind)
    let tuner = Tuner(device, oracle: ReferenceBackend())
    for job in Self.others(isChannelsLast: device.prefersChannelsLast) {
      let (choices, wrong) = try tuner.check(job)
      #expect(wrong == [], "\(job)")
      #expect(kind == .gpu || choices.count > 1, "\(job)")
    }
  }

  /// Numbers that are no choice of an operation change nothing but, at most, its speed.
  @Test(arguments: [OpenCLDeviceDescription.Kind.cpu, .gpu])
  func nonsenseComputesRight(kind: OpenCLDeviceDescription.Kind) throws {
    let fresh = Fresh()
    let device = try fresh.open(kind)
    let tuner = Tuner(device, oracle: ReferenceBackend())
    for job in Self.others(isChannelsLast: device.prefersChannelsLast) {
      let keys = try tuner.choices(of: job).map(\.key)
      for numbers in [
        [0], [-1], [.max], [.min], [1 << 31], [1, 2, .max, 1, .max], [0, 2, 1 << 20, 1, 64],
        [1, 1, 0, 0, 0], [7, 256], [64, 256], [.max, 256],
      ] {
        for key in keys { device.tuning.adopt(key, numbers) }
        #expect(try tuner.computesRight(job), "\(job) by \(numbers)")
      }
    }
  }

  private static func others(isChannelsLast: Bool) -> [TuningJob] {
    func dense(_ shape: [Int]) -> TuningJob.Shape { .init(Layout(contiguous: shape)) }
    let table = dense([190, 37])
    var jobs = [
      TuningJob(.softmax, [table], [table]),
      TuningJob(.logSoftmaxBackward, [table, table], [table]),
      TuningJob(.reduce(.sum, axes: [0]), [dense([700, 37])], [dense([1, 37])]),
      TuningJob(.reduce(.mean, axes: [0, 1]), [dense([90, 400])], [dense([1, 1])]),
      TuningJob(.copy, [dense([3, 20, 9, 10])], [.init(Layout(channelsLast: [3, 20, 9, 10]))]),
    ]
    for cell in [Recurrence.Cell.lstm, .gru, .tanh] {
      jobs += TuningJob.recurrence(cell, steps: 5, rows: 9, width: 130)
    }
    for (kernel, stride) in [(3, 1), (5, 1), (1, 1), (3, 2)] {
      jobs += TuningJob.convolution(
        images: 3, channels: 18, outputs: 40, size: 19, kernel: kernel, stride: stride,
        isChannelsLast: isChannelsLast)
    }
    return jobs
  }

  /// Each operation that `apus tune` goes through has a choice on a CPU kind, and a part for the oracle.
  @Test func usualJobsAreSound() {
    let jobs = TuningJob.usual(isChannelsLast: true)
    #expect(Set(jobs).count == jobs.count)
    for job in jobs {
      let part = job.thinned()
      #expect(part.inputs.count == job.inputs.count && part.outputs.contains { $0 != nil })
      #expect(TuningJob.canTune(job.operation))
    }
    #expect(
      Set(jobs.map(\.name)).isSuperset(of: [
        "gemm", "convolution", "convolutionInputGradient", "convolutionWeightGradient",
        "recurrence",
        "recurrenceBackward", "softmax", "reduce", "transpose",
      ]))
  }

  /// A device that computes wrong is found out, before anything is timed.
  @Test func wrongDeviceIsRefused() throws {
    let fresh = Fresh()
    let tuner = Tuner(try fresh.open(), oracle: WrongBackend(ReferenceBackend()))
    #expect(throws: ApusError.self) { try tuner.tune(Self.product, seconds: 1) }
  }

  /// Choices that do not suit a problem count as none.
  @Test(arguments: [OpenCLDeviceDescription.Kind.cpu, .gpu])
  func nonsenseIsIgnored(kind: OpenCLDeviceDescription.Kind) throws {
    let fresh = Fresh()
    let device = try fresh.open(kind)
    let key = try key(device)
    for numbers in [
      [1, 2], [0, 0, 0, 0, 0, 0], [0, 12, 13, 32, 16, 1], [0, 12, 12, 31, 16, 1],
      [0, 7, 7, 32, 16, 1], [0, 12, 12, 32, 16, 9999], [1, 12, 12, 32, 1 << 40, 1],
      [0, 12, .max, 32, 16, 1], [0, 12, 1_048_572, 1 << 20, 129, 1], [0, -12, -12, -32, -1, -1],
      [0, 64, 0, 0, 0, .max], [0, 96, 0, 0, 0, 1],
    ] {
      try device.tuning.record(key, numbers)
      #expect(try launches(device) >= 1, "\(numbers)")
    }
  }

  /// A search ends, keeps nothing slower, and what it keeps is used and right.
  @Test func searchIsSafe() throws {
    let fresh = Fresh()
    let device = try fresh.open()
    let jobs =
      [TuningJob.layer(rows: 48, outputs: 80, inputs: 200)]
      + TuningJob.convolution(
        images: 2, channels: 16, outputs: 16, size: 20, kernel: 3, isChannelsLast: true)
    for job in jobs {
      let outcomes = try Tuner(device, oracle: ReferenceBackend()).tune(job, seconds: 1)
      #expect(!outcomes.isEmpty)
      for outcome in outcomes {
        #expect(outcome.tried > 0 && outcome.rejected == 0 && outcome.best <= outcome.usual)
        let key = TuningKey(operation: outcome.operation, sizes: outcome.sizes)
        #expect(device.tuning.choice(key) == outcome.choice)
        #expect(try fresh.open().tuning.choice(key) == outcome.choice)
      }
    }
  }

  /// A search that came to its end is not repeated unless asked, by another process neither; one that was cut
  /// short goes on.
  @Test func endedSearchesAreKept() throws {
    let fresh = Fresh()
    let device = try fresh.open(.cpu)
    let job = TuningJob.layer(rows: 24, outputs: 40, inputs: 72)
    func tune(_ device: OpenCLBackend, _ seconds: Double, again: Bool = false) throws -> Int {
      try Tuner(device, oracle: ReferenceBackend()).tune(job, seconds: seconds, again: again).count
    }
    #expect(try tune(device, 0) == 1)
    #expect(try tune(device, 600) == 1)
    let file = try String(contentsOfFile: device.tuning.path, encoding: .utf8)
    #expect(try tune(device, 600) == 0)
    #expect(try tune(try fresh.open(.cpu), 600) == 0)
    #expect(try String(contentsOfFile: device.tuning.path, encoding: .utf8) == file)
    #expect(device.tuning.count <= 1)
    #expect(try tune(device, 0, again: true) == 1)
  }

  /// A product whose choice is in the database runs by it, through the door that everyone uses.
  @Test func choiceIsUsed() throws {
    let fresh = Fresh()
    let device = try fresh.open(.cpu)
    let tuner = Tuner(device, oracle: ReferenceBackend())
    // Cutting the depth adds a launch, which can be counted.
    let cut = try #require(try tuner.check(Self.product).choices.first { $0.last == 2 })
    #expect(try launches(device) == 1)
    try device.tuning.record(try key(device), cut)
    #expect(try launches(device) == 2)
  }

  /// Tuning while running changes no bit, takes a twentieth of the time, and comes to an end.
  @Test func lightTuningChangesNothing() throws {
    let fresh = Fresh()
    let plain = try OpenCLBackend(cacheFolder: fresh.folder)
    let light = try OpenCLBackend(cacheFolder: fresh.folder, tunesLightly: true)
    let (m, n, k) = (48, 96, 200)
    func operands(_ device: OpenCLBackend) throws -> [Operand] {
      try [[m, k], [n, k], [n]].enumerated().map { i, shape in
        let operand = try device.temporary(shape)
        try device.enqueue(
          .random(.uniform(low: -1, high: 1), RandomKey(UInt64(i))), [], [operand])
        return operand
      }
    }
    func result(_ device: OpenCLBackend, _ operands: [Operand]) throws -> [Float] {
      let out = try device.temporary([m, n])
      try device.enqueue(.linear(activation: .tanh), operands, [out])
      var values = [Float](repeating: 0, count: m * n)
      try values.withUnsafeMutableBytes {
        try device.download(out.storage, byteOffset: 0, into: $0)
      }
      return values
    }
    let expected = try result(plain, try operands(plain))
    let own = try operands(light)
    let start = Date()
    while Date().timeIntervalSince(start) < 20, light.lightTuningCost?.finished == 0 {
      #expect(try result(light, own) == expected)
    }
    let elapsed = Date().timeIntervalSince(start)
    let cost = try #require(light.lightTuningCost)
    #expect(cost.finished >= 1 && cost.total <= elapsed / 20 + cost.longest)
    #expect(try result(light, own) == expected)
    #expect(plain.lightTuningCost == nil)
  }

  private static let product = TuningJob.product(40, 72, 260)

  private func key(_ device: OpenCLBackend) throws -> TuningKey {
    try #require(
      try Tuner(device, oracle: ReferenceBackend()).choices(of: Self.product).first?.key)
  }

  /// Runs the product, expects its result and counts kernels.
  private func launches(_ device: OpenCLBackend) throws -> Int {
    let (a, b) = (try device.temporary([1, 40, 260]), try device.temporary([1, 260, 72]))
    let out = try device.temporary([1, 40, 72])
    try device.enqueue(.fill(0.25), [], [a])
    try device.enqueue(.fill(0.5), [], [b])
    try device.synchronize()
    let before = device.counters.launches
    try device.enqueue(.gemm, [a, b], [out])
    var values = [Float](repeating: 0, count: 40 * 72)
    try values.withUnsafeMutableBytes {
      try device.download(out.storage, byteOffset: 0, into: $0)
    }
    #expect(values.allSatisfy { $0 == 260 * 0.125 })
    return device.counters.launches - before
  }
}

/// An oracle that disagrees with every device.
private final class WrongBackend: ForwardingBackend {
  let target: any Backend
  init(_ target: any Backend) { self.target = target }
  func enqueue(_ command: Command) throws {
    try target.enqueue(command)
    try target.enqueue(.fill(1234), [], command.outputs)
  }
}
