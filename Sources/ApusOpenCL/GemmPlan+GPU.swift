import ApusDevice

extension GemmPlan {
  /// Squares of 128 outputs where they fill the device, else of 64, and a cut depth where even those
  /// are too few. Depends on shapes, strides and the device only, so repeats agree bit for bit.
  init(
    gpu problem: GemmProblem, on device: OpenCLDeviceDescription, _ precision: MatrixPrecision
  ) {
    self.init(gpu: problem, on: device, precision, edge: nil, cut: nil, byWarps: false)
  }

  /// What a tuner chose; nil where it does not suit the problem.
  init?(
    gpu problem: GemmProblem, on device: OpenCLDeviceDescription, _ precision: MatrixPrecision,
    choice: GemmChoice
  ) {
    guard choice.height == 64 || choice.height == 128, choice.parts > 0, choice.parts <= 32,
      choice.parts == 1 || problem.k / choice.parts >= 16
    else { return nil }
    self.init(
      gpu: problem, on: device, precision, edge: choice.height, cut: choice.parts,
      byWarps: choice.rows == 1)
  }

  /// Both tiles, by rows and by warps (tensor cores: by warps), with the depth cut in several ways.
  static func candidates(gpu problem: GemmProblem, _ precision: MatrixPrecision) -> [GemmChoice] {
    let orders = precision == .float32 ? [1, 0] : [1]
    let cuts = [1, 2, 4, 8, 16, 32].filter { $0 == 1 || problem.k / $0 >= 64 }
    return cuts.flatMap { cut in
      [128, 64].flatMap { edge in
        orders.map { warps in
          GemmChoice(
            isTransposed: false, height: edge, rows: warps, columns: 0, depth: 0, parts: cut)
        }
      }
    }
  }

  private init(
    gpu problem: GemmProblem, on device: OpenCLDeviceDescription, _ precision: MatrixPrecision,
    edge wantedEdge: Int?, cut wantedCut: Int?, byWarps: Bool
  ) {
    isTransposed = problem.out.columnStep != 1 && problem.out.rowStep == 1
    let view = isTransposed ? problem.transposed : problem
    func tiles(_ edge: Int) -> Int {
      (view.m + edge - 1) / edge * ((view.n + edge - 1) / edge) * view.batch
    }
    let units = max(device.computeUnits, 1)
    let edge = wantedEdge ?? (tiles(128) >= 2 * units ? 128 : 64)
    kernel =
      switch precision {
      case .float32 where byWarps: edge == 128 ? .gemm_warps_128 : .gemm_warps_64
      case .float32: edge == 128 ? .gemm_shared_128 : .gemm_shared_64
      case .tf32: edge == 128 ? .gemm_tf32_128 : .gemm_tf32_64
      case .bfloat16: edge == 128 ? .gemm_bfloat16_128 : .gemm_bfloat16_64
      }
    // A part of fewer than 128 products an output is not worth its sum.
    let wanted = (2 * units + tiles(edge) - 1) / max(tiles(edge), 1)
    let cut = wantedCut ?? max(1, min(wanted, view.k / 128, 32))
    let depth = max(16, ((view.k + cut - 1) / cut + 15) / 16 * 16)
    let parts = max(1, (view.k + depth - 1) / depth)
    arguments = GemmArguments(view)
    arguments.depth = Int32(truncatingIfNeeded: depth)
    arguments.parts = Int32(truncatingIfNeeded: parts)
    arguments.quads =
      (view.s.hasAlignedQuads(batch: view.batch, rows: view.m, columns: view.k) ? 1 : 0)
      + (view.v.hasAlignedQuads(batch: view.batch, rows: view.k, columns: view.n) ? 2 : 0)
      + (view.out.columnStep == 1
        && view.out.hasAlignedQuads(batch: view.batch, rows: view.m, columns: view.n) ? 4 : 0)
    size = LaunchSize(
      (view.n + edge - 1) / edge * 16, (view.m + edge - 1) / edge * 16, view.batch * parts,
      local: (16, 16, 1))
    scratchBytes = 0
  }
}

extension MatrixView {
  /// Whether four neighbours along the dense axis lie at a multiple of 16 bytes.
  fileprivate func hasAlignedQuads(batch: Int, rows: Int, columns: Int) -> Bool {
    guard offset % 4 == 0, batch == 1 || batchStep % 4 == 0 else { return false }
    if columnStep == 1 { return rows == 1 || rowStep % 4 == 0 }
    return rowStep == 1 && (columns == 1 || columnStep % 4 == 0)
  }
}
