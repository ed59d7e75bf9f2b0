import ApusDevice

/// The blocks of a CPU kernel, chosen by an estimate of its cycles.
///
/// The estimate depends on shapes, strides and the device only, so repeats agree bit for bit.
private struct GemmBlocks {
  var height: Int
  var rows: Int
  var columns: Int
  var depth: Int
  var parts: Int
  var packsS: Bool
  /// Elements before the tiles, and bytes in all.
  var tileStart: Int
  var scratch: Int
  var cycles: Double
}

extension GemmPlan {
  init(cpu problem: GemmProblem, on device: OpenCLDeviceDescription) {
    let turned = problem.transposed
    let straightBlocks = GemmBlocks(problem, device)
    let turnedBlocks = GemmBlocks(turned, device)
    if turnedBlocks.cycles < straightBlocks.cycles {
      self.init(turned, turnedBlocks, isTransposed: true, on: device)
    } else {
      self.init(problem, straightBlocks, isTransposed: false, on: device)
    }
  }

  /// The blocks that a tuner chose; nil where they do not suit problem or device.
  init?(cpu problem: GemmProblem, on device: OpenCLDeviceDescription, choice: GemmChoice) {
    let view = choice.isTransposed ? problem.transposed : problem
    guard let blocks = GemmBlocks(view, device, choice) else { return nil }
    self.init(view, blocks, isTransposed: choice.isTransposed, on: device)
  }

  /// What a tuner may choose from, the most promising by the estimate first.
  static func candidates(cpu problem: GemmProblem, on device: OpenCLDeviceDescription)
    -> [GemmChoice]
  {
    var found: [(choice: GemmChoice, cycles: Double)] = []
    for isTransposed in [false, true] {
      let view = isTransposed ? problem.transposed : problem
      for blocks in GemmBlocks.all(view, device) {
        let choice = GemmChoice(
          isTransposed: isTransposed, height: blocks.height, rows: blocks.rows,
          columns: blocks.columns, depth: blocks.depth, parts: blocks.parts)
        if !found.contains(where: { $0.choice == choice }) { found.append((choice, blocks.cycles)) }
      }
    }
    return found.sorted { $0.cycles < $1.cycles }.map(\.choice)
  }

  private init(
    _ view: GemmProblem, _ blocks: GemmBlocks, isTransposed: Bool,
    on device: OpenCLDeviceDescription
  ) {
    self.isTransposed = isTransposed
    let panel = device.panelWidth
    arguments = GemmArguments(view)
    arguments.rows = Int32(truncatingIfNeeded: blocks.rows)
    arguments.columns = Int32(truncatingIfNeeded: blocks.columns)
    arguments.depth = Int32(truncatingIfNeeded: blocks.depth)
    arguments.parts = Int32(truncatingIfNeeded: blocks.parts)
    arguments.packsS = blocks.packsS ? 1 : 0
    let width = (blocks.columns + panel - 1) / panel * panel
    arguments.sStart = Int32(truncatingIfNeeded: width * blocks.depth)
    arguments.tileStart = Int32(truncatingIfNeeded: blocks.tileStart)
    kernel =
      switch blocks.height {
      case 12: .gemm_tile_12
      case 8: .gemm_tile_8
      case 6: .gemm_tile_6
      default: .gemm_tile_4
      }
    size = LaunchSize(
      (view.n + blocks.columns - 1) / blocks.columns, (view.m + blocks.rows - 1) / blocks.rows,
      view.batch * blocks.parts)
    scratchBytes = blocks.scratch
  }
}

extension OpenCLDeviceDescription {
  /// Columns of a panel: two vector registers.
  fileprivate var panelWidth: Int { vectorWidth >= 16 ? 32 : 16 }
}

extension GemmBlocks {
  init(_ problem: GemmProblem, _ device: OpenCLDeviceDescription) {
    let isDense = problem.s.columnStep == 1
    self.init(
      problem, device,
      height: Self.height(
        rows: problem.m, panel: device.panelWidth,
        isLow: !isDense || problem.s.rowStep % 1024 == 0))
    choose(problem, device)
  }

  /// The smallest blocks of a height.
  private init(_ problem: GemmProblem, _ device: OpenCLDeviceDescription, height: Int) {
    let panel = device.panelWidth
    let isDense = problem.s.columnStep == 1
    self.height = height
    // A slice of a panel, two vectors wide, takes at most two thirds of a first-level cache, and the
    // smallest block half of the scratch area.
    let room = device.localMemory / 8 - height * panel - 64
    let deepest = min(208, max(16, room / (panel + height) / 16 * 16))
    let slices = max(1, (problem.k + deepest - 1) / deepest)
    depth = max(1, slices == 1 ? problem.k : (problem.k / slices + 16) / 16 * 16)
    rows = height
    columns = panel
    parts = 1
    packsS = !isDense
    tileStart = 0
    scratch = 0
    cycles = .infinity
  }

  private static func heights(_ panel: Int) -> [Int] { panel == 32 ? [12, 8, 4] : [6, 4] }

  init?(_ problem: GemmProblem, _ device: OpenCLDeviceDescription, _ choice: GemmChoice) {
    let panel = device.panelWidth
    guard Self.heights(panel).contains(choice.height), choice.rows > 0, choice.columns > 0,
      choice.rows % choice.height == 0, choice.columns % panel == 0, choice.depth > 0,
      choice.parts > 0, choice.parts <= 64, choice.rows < problem.m + choice.height,
      choice.columns < problem.n + panel, choice.depth <= max(problem.k, 1),
      choice.depth == problem.k || choice.depth % 16 == 0
    else { return nil }
    self.init(problem, device, height: choice.height)
    (rows, columns, depth, parts) = (choice.rows, choice.columns, choice.depth, choice.parts)
    let slices = max(1, (problem.k + depth - 1) / depth)
    guard parts <= slices else { return nil }
    measure(problem, panel, slices, max(device.computeUnits, 1))
    guard scratch <= device.localMemory / 2 else { return nil }
  }

  /// Every height, width, length and cut, with the usual slices and with half and twice as many.
  static func all(_ problem: GemmProblem, _ device: OpenCLDeviceDescription) -> [GemmBlocks] {
    let panel = device.panelWidth
    var result: [GemmBlocks] = []
    for height in heights(panel) {
      let base = GemmBlocks(problem, device, height: height)
      let usual = max(1, (problem.k + base.depth - 1) / base.depth)
      for slices in Set([usual, max(1, usual / 2), 2 * usual]).sorted() {
        let depth = slices == 1 ? max(problem.k, 1) : (problem.k / slices + 16) / 16 * 16
        for parts in [1, 2, 4, 8] where parts <= slices {
          for wide in [1, 2, 3, 4, 6, 8, 16] where wide == 1 || (wide - 1) * panel < problem.n {
            for tall in [1, 2, 3, 4, 6, 8, 12, 16, 32] {
              let rows = ((problem.m + tall - 1) / tall + height - 1) / height * height
              let choice = GemmChoice(
                isTransposed: false, height: height, rows: rows, columns: wide * panel,
                depth: depth, parts: parts)
              if let blocks = GemmBlocks(problem, device, choice) { result.append(blocks) }
              if rows == height { break }
            }
          }
        }
      }
    }
    return result
  }

  /// Twelve rows keep 24 accumulators busy, fewer waste less on short matrices. Rows that lie a multiple
  /// of 4 KiB apart compete for one set of a first-level cache, which has 8 ways or a few more; and columns
  /// are packed by eights, a register each.
  private static func height(rows: Int, panel: Int, isLow: Bool) -> Int {
    var best = 4
    var lowest = Int.max
    for height in panel == 32 ? (isLow ? [8, 4] : [12, 8, 4]) : [6, 4] {
      let tiles = (rows + height - 1) / height
      // Below five rows the latency of an accumulator shows; loads weigh on low tiles.
      let cost = tiles * (max(height, 5) * 8 + 4)
      if cost < lowest { (best, lowest) = (height, cost) }
    }
    return best
  }

  private mutating func choose(_ problem: GemmProblem, _ device: OpenCLDeviceDescription) {
    let panel = device.panelWidth
    let units = max(device.computeUnits, 1)
    let slices = max(1, (problem.k + depth - 1) / depth)
    let base = self
    var cut = 1
    while cut <= slices && cut <= 64 {
      var wide = 1
      while wide <= 16 && (wide == 1 || (wide / 2) * panel < problem.n) {
        var tall = 1
        while true {
          var candidate = base
          candidate.parts = cut
          candidate.columns = min(wide * panel, (problem.n + panel - 1) / panel * panel)
          let wanted = (problem.m + tall - 1) / tall
          candidate.rows = (wanted + height - 1) / height * height
          candidate.measure(problem, panel, slices, units)
          if candidate.scratch <= device.localMemory / 2 && candidate.cycles < cycles {
            self = candidate
          }
          if candidate.rows == height { break }
          tall *= 2
        }
        wide *= 2
      }
      // Cutting the depth pays only where blocks of the output cannot occupy the device.
      let tiles = ((problem.m + height - 1) / height) * ((problem.n + panel - 1) / panel)
      if tiles * problem.batch >= 4 * units { break }
      cut *= 2
    }
    if cycles == .infinity { measure(problem, panel, slices, units) }
  }

  /// Estimates the cycles until the last unit is done, and the scratch area.
  private mutating func measure(_ problem: GemmProblem, _ panel: Int, _ slices: Int, _ units: Int) {
    let wide = (min(columns, problem.n) + panel - 1) / panel
    let tall = (min(rows, problem.m) + height - 1) / height
    let slicesEach = (slices + parts - 1) / parts
    let k = Double(min(problem.k, slicesEach * depth))
    let tileCycles = Double(max(height, 5)) * 1.06
    var cost = Double(wide * tall) * (k * tileCycles + Double(60 * slicesEach))
    // Reading V in short runs is slow, and so is reading S anew for every block. V is packed anew for
    // every block of rows, from a farther cache.
    let vCost =
      problem.v.columnStep == 1
      ? 0.3 + 0.2 / Double(wide) : problem.v.rowStep == 1 ? 0.6 : 2.0
    cost += k * Double(tall * height) * 0.15
    cost += k * Double(wide * panel) * vCost
    if packsS { cost += k * Double(tall * height) * (problem.s.rowStep == 1 ? 0.7 : 2.0) }
    if !packsS && tall * height != min(rows, problem.m) { cost += k * Double(height) * 0.5 }
    let outputs = Double(min(rows, problem.m) * min(columns, problem.n))
    cost += outputs * (problem.out.columnStep == 1 || parts > 1 ? 0.5 : 4.0)
    cost += 1500
    let tasks =
      (problem.n + columns - 1) / columns * ((problem.m + rows - 1) / rows) * problem.batch * parts
    // A block that starts late delays the end by a part of itself.
    cycles = cost * (Double((tasks + units - 1) / units) + (tasks > 1 ? 0.15 : 0))
    if parts > 1 {
      cycles += 12000 + Double(problem.batch * problem.m * problem.n * parts) * 0.2 / Double(units)
    }
    // A packed tile may be overrun by a vector; tiles begin at a multiple of one.
    let packed = (packsS ? tall * height : height) * depth + panel / 2
    tileStart = wide * panel * depth + (packed + 15) / 16 * 16
    scratch = 4 * (tileStart + (slicesEach > 1 ? wide * panel * tall * height : panel * height))
  }
}
