import ApusDevice
import COpenCL

/// Operands of a job with known numbers, to run it on in several ways.
struct TuningTrial {
  let job: TuningJob
  private let backend: OpenCLBackend
  private let inputs: [Operand]
  private let outputs: [Operand]
  /// What the reference has for the elements of a layout of an output; nil where it was not asked.
  private var expected: [(layout: Layout, values: [Float])?] = []

  init(_ job: TuningJob, on backend: OpenCLBackend) throws {
    self.job = job
    self.backend = backend
    inputs = try Self.inputs(of: job, on: backend)
    outputs = try job.outputs.map { try Self.room($0, on: backend) }
  }

  /// Has a part of the job computed, to compare with.
  /// - Parameter oracle: Slow and right.
  mutating func ask(_ oracle: any Backend) throws {
    let part = job.thinned()
    let asked = try zip(Self.inputs(of: job, on: oracle), part.inputs).map { $0.with($1) }
    // What is not compared is computed all the same where it has the shape of the part.
    let wanted = try zip(job.outputs, part.outputs).map { shape, layout in
      try oracle.temporary((layout ?? shape.layout).shape, shape.dtype)
    }
    try oracle.enqueue(job.operation, asked, wanted)
    expected = try zip(wanted, part.outputs).map { operand, layout in
      guard let layout, operand.dtype == .float32 else { return nil }
      return (layout, try Self.download(operand, from: oracle))
    }
  }

  private static func inputs(of job: TuningJob, on backend: any Backend) throws -> [Operand] {
    try job.inputs.enumerated().map {
      try placed($1, numbers(job, $1, seed: UInt64($0 + 1)), on: backend)
    }
  }

  /// Uniform within ±1; a recurrent layer gets what keeps its states from growing. Whole numbers are the
  /// lengths of a recurrent layer, or classes.
  private static func numbers(_ job: TuningJob, _ shape: TuningJob.Shape, seed: UInt64) -> [UInt8] {
    let count = shape.layout.end
    var scale: Float = 1
    var whole: Int32 = 0
    switch job.operation {
    case .recurrence, .recurrenceBackward:
      let sequence = (job.outputs + job.inputs).first { $0.layout.shape.count == 3 }
      whole = Int32(truncatingIfNeeded: sequence?.layout.shape[0] ?? 1)
      let width = job.inputs.lazy.map(\.layout.shape).first { $0.count == 2 }?[1] ?? 1
      scale = 1 / Float(width).squareRoot()
    default: break
    }
    if shape.dtype == .int32 {
      return [Int32](repeating: whole, count: count).withUnsafeBytes { Array($0) }
    }
    var state = seed
    let values = (0..<count).map { _ in
      // SplitMix64 (Steele, Lea, Flood 2014).
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return (Float((z ^ (z >> 31)) >> 40) * 0x1p-23 - 1) * scale
    }
    return values.withUnsafeBytes { Array($0) }
  }

  private static func placed(
    _ shape: TuningJob.Shape, _ bytes: [UInt8], on backend: any Backend
  ) throws -> Operand {
    let operand = try room(shape, on: backend)
    try bytes.withUnsafeBytes { try backend.upload($0, to: operand.storage, byteOffset: 0) }
    return operand
  }

  private static func room(_ shape: TuningJob.Shape, on backend: any Backend) throws -> Operand {
    let storage = try backend.allocate(byteCount: shape.layout.end * shape.dtype.byteCount)
    return Operand(storage: storage, dtype: shape.dtype, layout: shape.layout)
  }

  private static func download(_ operand: Operand, from backend: any Backend) throws -> [Float] {
    var values = [Float](repeating: 0, count: operand.layout.end)
    try values.withUnsafeMutableBytes {
      try backend.download(operand.storage, byteOffset: 0, into: $0)
    }
    return values
  }

  /// The choices that a job meets; its numbers do not matter, but positions must be within bounds.
  static func survey(_ job: TuningJob, on backend: OpenCLBackend) throws -> [TuningSurvey.Entry] {
    let inputs = try job.inputs.enumerated().map { position, shape in
      if shape.dtype == .int32 {
        return try placed(shape, numbers(job, shape, seed: UInt64(position + 1)), on: backend)
      }
      let operand = try room(shape, on: backend)
      if shape.dtype == .float32 {
        try backend.enqueue(
          .fill(0), [], [operand.with(Layout(contiguous: [shape.layout.end]))])
      }
      return operand
    }
    let outputs = try job.outputs.map { try room($0, on: backend) }
    let survey = TuningSurvey()
    try backend.within(.survey(survey)) { try backend.enqueue(job.operation, inputs, outputs) }
    try backend.synchronize()
    return survey.found
  }

  private func enqueue() throws { try backend.enqueue(job.operation, inputs, outputs) }

  func run(_ key: TuningKey, _ choice: [Int]?) throws {
    try backend.within(.choose(key, choice)) { try enqueue() }
  }

  /// The outputs of one run. They are overwritten before, so that a kernel that writes nothing is found out.
  func result(_ key: TuningKey, _ choice: [Int]?) throws -> [[Float]] {
    for output in outputs where output.dtype == .float32 {
      let all = output.with(Layout(contiguous: [output.layout.end]))
      try backend.enqueue(.fill(.nan), [], [all])
    }
    try run(key, choice)
    return try outputs.filter { $0.dtype == .float32 }.map { try Self.download($0, from: backend) }
  }

  /// Roundings grow with the sums that they are part of, and those of a naive sum of `n` like terms with
  /// `n`; a wrong term is larger by far. Operands that are rounded err in a sum of `n` products, each within
  /// ±1, like the root of `n`.
  private func limit(_ values: [Float]) -> Float {
    let largest = values.reduce(0) { max($0, abs($1)) }
    let terms = Float(job.work / max(job.outputs[0].layout.count, 1))
    let usual = largest * (2e-5 + 3e-9 * terms) + 1e-7
    guard job.operation.hasProducts, backend.matrixPrecision != .float32 else { return usual }
    return usual + 2 * Float(backend.matrixPrecision.unitRoundoff) * (largest + terms.squareRoot())
  }

  /// Never where the reference was not asked.
  func agreesWithReference(_ results: [[Float]]) -> Bool {
    if expected.isEmpty { return false }
    let floats = zip(outputs, expected).filter { $0.0.dtype == .float32 }.map(\.1)
    return zip(results, floats).allSatisfy { result, expected in
      guard let expected else { return true }
      let limit = limit(expected.values)
      var position = 0
      return expected.layout.offsets.allSatisfy { offset in
        defer { position += 1 }
        return abs(result[offset] - expected.values[position]) <= limit
      }
    }
  }

  func agree(_ results: [[Float]], _ usual: [[Float]]) -> Bool {
    zip(results, usual).allSatisfy { result, usual in
      let limit = 2 * limit(usual.filter(\.isFinite))
      return zip(result, usual).allSatisfy { abs($0 - $1) <= limit || ($0.isNaN && $1.isNaN) }
    }
  }

  /// Seconds of one run, from a number of them at once.
  func time(_ key: TuningKey, _ choice: [Int]?, _ repeats: Int) throws -> Double {
    try backend.synchronize()
    let start = now()
    for _ in 0..<repeats { try run(key, choice) }
    try backend.synchronize()
    return (now() - start) / Double(repeats)
  }

  /// How many runs take a turn of the tuner, so that the wait at the end does not count.
  func repeats(_ key: TuningKey) throws -> Int {
    _ = try time(key, nil, 1)
    return max(1, min(200, Int(Tuner.turn / max(try time(key, nil, 2), 1e-6))))
  }
}

extension Layout {
  /// Where the elements lie, in row-major order.
  fileprivate var offsets: [Int] {
    var all = [offset]
    for (extent, stride) in zip(shape, strides) {
      all = all.flatMap { start in (0..<extent).map { start + $0 * stride } }
    }
    return all
  }
}
