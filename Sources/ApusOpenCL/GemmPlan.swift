import ApusDevice

/// The arguments of the kernels, field by field as in gemm.cl.
struct GemmArguments: BitwiseCopyable {
  var m, n, k: Int32
  var sOffset, sBatch, sRow, sDepth: Int32
  var vOffset, vBatch, vDepth, vColumn: Int32
  var outOffset, outBatch, outRow, outColumn: Int32
  var hasBias, biasOffset, biasRow, biasColumn: Int32
  var op: Int32
  var a, b: Float
  var rows: Int32 = 0
  var columns: Int32 = 0
  var depth: Int32 = 1
  var parts: Int32 = 1
  var packsS: Int32 = 0
  var sStart: Int32 = 0
  var tileStart: Int32 = 0
  var quads: Int32 = 0

  /// The caller has checked that every operand ends within 32 bits; a step that leaves them belongs
  /// to an axis of extent 1 and is never taken.
  init(_ problem: GemmProblem) {
    func int(_ value: Int) -> Int32 { Int32(truncatingIfNeeded: value) }
    (m, n, k) = (int(problem.m), int(problem.n), int(problem.k))
    let (s, v, out) = (problem.s, problem.v, problem.out)
    (sOffset, sBatch) = (int(s.offset), int(s.batchStep))
    (sRow, sDepth) = (int(s.rowStep), int(s.columnStep))
    (vOffset, vBatch) = (int(v.offset), int(v.batchStep))
    (vDepth, vColumn) = (int(v.rowStep), int(v.columnStep))
    (outOffset, outBatch) = (int(out.offset), int(out.batchStep))
    (outRow, outColumn) = (int(out.rowStep), int(out.columnStep))
    let bias = problem.bias ?? MatrixView()
    (hasBias, biasOffset) = (problem.bias == nil ? 0 : 1, int(bias.offset))
    (biasRow, biasColumn) = (int(bias.rowStep), int(bias.columnStep))
    (op, a, b) = problem.activation.map { $0.kernelCode } ?? (-1, 0, 0)
  }

  /// Directs the output to contiguous partial results, without the epilogue.
  mutating func storeParts(columns: Int, step: Int) {
    (outOffset, outBatch) = (0, Int32(truncatingIfNeeded: step))
    (outRow, outColumn) = (Int32(truncatingIfNeeded: columns), 1)
    (hasBias, op) = (0, -1)
    if columns % 4 != 0 || step % 4 != 0 { quads &= ~4 } else { quads |= 4 }
  }
}

/// Which kernel computes a product, in which blocks.
struct GemmPlan {
  var arguments: GemmArguments
  var isTransposed: Bool
  var kernel: KernelID
  var size: LaunchSize
  /// Local memory per work-group.
  var scratchBytes: Int
}

extension GemmPlan {
  /// - Parameter choice: What a tuner found to be faster than the usual plan; one that does not suit
  ///   counts as none.
  init(
    _ problem: GemmProblem, on device: OpenCLDeviceDescription,
    precision: MatrixPrecision = .float32, choice: GemmChoice? = nil
  ) {
    if let choice, let plan = GemmPlan(tuned: problem, on: device, precision, choice) {
      self = plan
    } else if device.kind == .gpu {
      self.init(gpu: problem, on: device, precision)
    } else if problem.m == 1 || problem.n == 1 {
      self.init(vector: problem, on: device)
    } else {
      self.init(cpu: problem, on: device)
    }
  }

  private init?(
    tuned problem: GemmProblem, on device: OpenCLDeviceDescription, _ precision: MatrixPrecision,
    _ choice: GemmChoice
  ) {
    if device.kind == .gpu {
      self.init(gpu: problem, on: device, precision, choice: choice)
    } else if problem.m > 1 && problem.n > 1 {
      self.init(cpu: problem, on: device, choice: choice)
    } else {
      return nil
    }
  }

  /// What a tuner may choose from, the most promising first.
  static func candidates(
    _ problem: GemmProblem, on device: OpenCLDeviceDescription, precision: MatrixPrecision
  ) -> [TuningCandidate] {
    let choices =
      device.kind == .gpu
      ? candidates(gpu: problem, precision)
      : problem.m > 1 && problem.n > 1 ? candidates(cpu: problem, on: device) : []
    let usual = GemmPlan(problem, on: device, precision: precision)
    return choices.compactMap { choice in
      let plan = GemmPlan(problem, on: device, precision: precision, choice: choice)
      if plan.isSame(as: usual) { return nil }
      return TuningCandidate(
        choice.numbers,
        isAlike: plan.kernel == usual.kernel && plan.arguments.depth == usual.arguments.depth
          && plan.arguments.parts == usual.arguments.parts)
    }
  }

  private func isSame(as other: GemmPlan) -> Bool {
    kernel == other.kernel && isTransposed == other.isTransposed
      && arguments.rows == other.arguments.rows && arguments.columns == other.arguments.columns
      && arguments.depth == other.arguments.depth && arguments.parts == other.arguments.parts
      && arguments.packsS == other.arguments.packsS
  }
}

/// The parameters of a plan: the space that a tuner searches.
struct GemmChoice: Hashable {
  var isTransposed: Bool
  /// Rows of a register tile; on a GPU the edge of a group's tile.
  var height: Int
  /// Of a block and of a slice of the depth. On a GPU `rows` is 1 for tiles by warps, and the rest unused.
  var rows, columns, depth: Int
  /// Pieces of the depth that are computed apart.
  var parts: Int

  /// As the database keeps it.
  var numbers: [Int] { [isTransposed ? 1 : 0, height, rows, columns, depth, parts] }
}

extension GemmChoice {
  init?(_ numbers: [Int]) {
    guard numbers.count == 6 else { return nil }
    self.init(
      isTransposed: numbers[0] == 1, height: numbers[1], rows: numbers[2], columns: numbers[3],
      depth: numbers[4], parts: numbers[5])
  }
}

extension GemmProblem {
  /// What decides which plan is the fastest: extents, how the operands lie, and the precision.
  func tuningKey(_ precision: MatrixPrecision) -> TuningKey {
    func order(_ view: MatrixView) -> Int {
      (view.columnStep == 1 ? 0 : view.rowStep == 1 ? 1 : 2)
        + (max(view.rowStep, view.columnStep) % 1024 == 0 ? 4 : 0)
    }
    return TuningKey(
      operation: precision == .float32 ? "gemm" : "gemm-\(precision.rawValue)",
      sizes: [m, n, k, batch, order(s), order(v), order(out)])
  }
}
