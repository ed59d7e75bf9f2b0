import ApusDevice
import COpenCL

/// A matrix as the kernels address it: element `(batch, row, column)` lies at
/// `offset + batch · batchStep + row · rowStep + column · columnStep`.
struct MatrixView {
  var offset = 0
  var batchStep = 0
  var rowStep = 0
  var columnStep = 0

  var transposed: MatrixView {
    MatrixView(
      offset: offset, batchStep: batchStep, rowStep: columnStep, columnStep: rowStep)
  }
}

/// `out[B, m, n] = activation(s[B, m, k] · v[B, k, n] + bias[B, m, n])`.
struct GemmProblem {
  var batch = 1
  var m: Int
  var n: Int
  var k: Int
  var s = MatrixView()
  var v = MatrixView()
  var out = MatrixView()
  var bias: MatrixView?
  var activation: UnaryOp?

  /// The same product with the operands exchanged: `outᵀ = vᵀ · sᵀ`.
  var transposed: GemmProblem {
    GemmProblem(
      batch: batch, m: n, n: m, k: k, s: v.transposed, v: s.transposed, out: out.transposed,
      bias: bias?.transposed, activation: activation)
  }
}

extension OpenCLBackend {
  /// `.gemm` and `.linear`.
  func enqueueGemm(_ command: Command) throws {
    let (a, b, out) = (command.inputs[0], command.inputs[1], command.outputs[0])
    for operand in command.inputs + [out] {
      try require(.float32, operand, "\(command.operation)")
      _ = try index(operand.layout.end)
    }
    guard out.count > 0 else { return }
    var problem: GemmProblem
    if case .linear(let activation) = command.operation {
      if let activation, activation.resultIsBool { return try compose(command) }
      let (x, w, y) = (a.layout, b.layout, out.layout)
      problem = GemmProblem(m: x.shape[0], n: w.shape[0], k: x.shape[1])
      problem.s = MatrixView(offset: x.offset, rowStep: x.strides[0], columnStep: x.strides[1])
      problem.v = MatrixView(offset: w.offset, rowStep: w.strides[1], columnStep: w.strides[0])
      problem.out = MatrixView(offset: y.offset, rowStep: y.strides[0], columnStep: y.strides[1])
      if command.inputs.count > 2 {
        let bias = command.inputs[2].layout
        problem.bias = MatrixView(offset: bias.offset, columnStep: bias.strides[0])
      }
      problem.activation = activation
    } else {
      let (x, y) = (a.layout, out.layout)
      problem = GemmProblem(batch: y.shape[0], m: y.shape[1], n: y.shape[2], k: x.shape[2])
      problem.s = MatrixView(x)
      problem.v = MatrixView(b.layout)
      problem.out = MatrixView(y)
      problem.mergeBatch()
    }
    let bias = command.inputs.count > 2 ? command.inputs[2] : a
    try multiply(problem, try buffer(a), try buffer(b), try buffer(bias), try buffer(out))
  }

  private func multiply(
    _ problem: GemmProblem, _ a: cl_mem, _ b: cl_mem, _ bias: cl_mem, _ out: cl_mem
  ) throws {
    let precision = matrixPrecision
    let choice = tuned(problem.tuningKey(precision)) {
      GemmPlan.candidates(problem, on: description, precision: precision)
    }
    let plan = GemmPlan(
      problem, on: description, precision: precision, choice: choice.flatMap(GemmChoice.init))
    try multiply(problem, plan, a, b, bias, out)
  }

  /// By a given plan.
  func multiply(
    _ problem: GemmProblem, _ plan: GemmPlan, _ a: cl_mem, _ b: cl_mem, _ bias: cl_mem,
    _ out: cl_mem
  ) throws {
    var plan = plan
    let (s, v) = plan.isTransposed ? (b, a) : (a, b)
    guard plan.arguments.parts > 1 else {
      return try launch(plan, s, v, bias, out)
    }
    // The parts of a cut depth, [B, parts, m, n], are summed in order.
    let view = plan.isTransposed ? problem.transposed : problem
    let parts = Int(plan.arguments.parts)
    let step = view.m * view.n
    _ = try index(view.batch * parts * step)
    let partial = try temporary([view.batch, parts, view.m, view.n])
    let target = try buffer(partial)
    plan.arguments.storeParts(columns: view.n, step: step)
    try launch(plan, s, v, bias, target)
    let shape = [view.batch, view.m, view.n]
    let addend = view.bias ?? MatrixView()
    var it = try Iteration(
      view.out.layout(shape),
      Layout(shape: shape, strides: [parts * step, view.n, 1], offset: 0), addend.layout(shape))
    let size = launchSize(&it)
    let (code, first, second) = view.activation.map { $0.kernelCode } ?? (-1, 0, 0)
    try runtime.launch(.gemm_combine, size) {
      $0.value(it)
      $0.buffer(target)
      $0.buffer(bias)
      $0.buffer(out)
      $0.value(Int32(parts))
      $0.value(Int32(truncatingIfNeeded: step))
      $0.value(Int32(view.bias == nil ? 0 : 1))
      $0.value(code)
      $0.value(first)
      $0.value(second)
    }
  }

  private func launch(
    _ plan: GemmPlan, _ s: cl_mem, _ v: cl_mem, _ bias: cl_mem, _ out: cl_mem
  ) throws {
    try runtime.launch(plan.kernel, plan.size) {
      $0.value(plan.arguments)
      $0.buffer(s)
      $0.buffer(v)
      $0.buffer(bias)
      $0.buffer(out)
      if plan.scratchBytes > 0 { $0.local(bytes: plan.scratchBytes) }
    }
  }
}

extension MatrixView {
  /// Of a layout `[B, rows, columns]`.
  fileprivate init(_ layout: Layout) {
    self.init(
      offset: layout.offset, batchStep: layout.strides[0], rowStep: layout.strides[1],
      columnStep: layout.strides[2])
  }

  fileprivate func layout(_ shape: [Int]) -> Layout {
    Layout(shape: shape, strides: [batchStep, rowStep, columnStep], offset: offset)
  }
}

extension GemmProblem {
  /// Matrices that share a factor and follow one another are one taller (or wider) matrix.
  fileprivate mutating func mergeBatch() {
    if batch == 1 { return }
    if v.batchStep == 0, s.batchStep == m * s.rowStep, out.batchStep == m * out.rowStep {
      m *= batch
      batch = 1
    } else if s.batchStep == 0, v.batchStep == n * v.columnStep,
      out.batchStep == n * out.columnStep
    {
      n *= batch
      batch = 1
    }
  }
}
