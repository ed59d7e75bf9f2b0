import ApusDevice
import ApusTensor

/// Batch normalisation over axis 1 of inputs with any number of further axes (Ioffe and Szegedy
/// 2015); ``BatchNorm1d`` and ``BatchNorm2d`` are the same with a check of the axes.
///
/// In training each channel is brought to mean 0 and variance 1 by the batch's statistics (the biased
/// variance), and running statistics follow them: `running = (1 − momentum) · running + momentum ·
/// batch`, with the unbiased variance. In evaluation the running statistics are used. Then
/// `weight` scales and `bias` shifts.
///
/// Names and defaults are those of `torch.nn.BatchNorm2d`: `weight`, `bias`, `running_mean`,
/// `running_var`. PyTorch's `num_batches_tracked` is not kept; loading ignores it.
public struct BatchNorm: EpilogueLayer {
  /// `[channels]`, nil without `affine`.
  public let weight: Parameter?
  public let bias: Parameter?
  /// `[channels]`, never trainable; nil without `trackRunningStats`.
  public let runningMean: Parameter?
  public let runningVariance: Parameter?
  public let channels: Int
  public let epsilon: Float
  /// Share of the batch in the running statistics.
  public let momentum: Float

  /// - Throws: ``ApusError`` where a number is out of range.
  public init(
    _ channels: Int, epsilon: Float = 1e-5, momentum: Float = 0.1, affine: Bool = true,
    trackRunningStats: Bool = true, on device: Device
  ) throws {
    guard (1...WindowRule.largest).contains(channels) else {
      throw ApusError(
        .value, operation: "BatchNorm",
        "the number of channels is \(channels); it must be within 1...\(WindowRule.largest)")
    }
    func parameter(_ value: Double) throws -> Parameter {
      Parameter(try .full([channels], value, on: device))
    }
    try self.init(
      channels, epsilon: epsilon, momentum: momentum,
      weight: affine ? try parameter(1) : nil, bias: affine ? try parameter(0) : nil,
      runningMean: trackRunningStats ? try parameter(0) : nil,
      runningVariance: trackRunningStats ? try parameter(1) : nil)
  }

  /// A layer of given parameters; statistics among them become not trainable.
  /// - Throws: ``ApusError`` where they do not fit together.
  public init(
    _ channels: Int, epsilon: Float = 1e-5, momentum: Float = 0.1, weight: Parameter?,
    bias: Parameter?, runningMean: Parameter?, runningVariance: Parameter?
  ) throws {
    guard epsilon >= 0, epsilon.isFinite, momentum >= 0, momentum <= 1 else {
      throw ApusError(
        .value, operation: "BatchNorm",
        "epsilon \(epsilon) must be finite and not negative, momentum \(momentum) within 0...1")
    }
    for parameter in [weight, bias, runningMean, runningVariance].compactMap({ $0 })
    where parameter.shape != [channels] {
      throw ApusError(
        .shape, operation: "BatchNorm",
        "a parameter has shape \(parameter.shape), expected [\(channels)]")
    }
    guard (weight == nil) == (bias == nil), (runningMean == nil) == (runningVariance == nil) else {
      throw ApusError(
        .value, operation: "BatchNorm",
        "weight and bias come together, running mean and variance too")
    }
    self.channels = channels
    self.epsilon = epsilon
    self.momentum = momentum
    self.weight = weight
    self.bias = bias
    self.runningMean = runningMean
    self.runningVariance = runningVariance
    runningMean?.becomeStatistic()
    runningVariance?.becomeStatistic()
  }

  public func namedParameters() -> [NamedParameter] {
    [
      ("weight", weight), ("bias", bias), ("running_mean", runningMean),
      ("running_var", runningVariance),
    ].compactMap { name, parameter in
      parameter.map { NamedParameter(name: name, parameter: $0) }
    }
  }

  public func callAsFunction(
    _ x: Tensor, addend: Tensor?, activation: UnaryOp?, _ context: Context
  ) throws -> Tensor {
    try x.batchNorm(
      weight: try weight.map { try context[$0] }, bias: try bias.map { try context[$0] },
      runningMean: runningMean, runningVariance: runningVariance,
      isTraining: context.isTraining || runningMean == nil, momentum: momentum, epsilon: epsilon,
      activation: activation, addend: addend)
  }
}

extension BatchNorm: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard let first = input.first, first == channels else {
      throw ApusError.channels("BatchNorm", channels, input)
    }
    return input
  }
}

/// ``BatchNorm`` of `[N, C]` or `[N, C, L]`, as `torch.nn.BatchNorm1d`.
public struct BatchNorm1d: EpilogueLayer {
  public let norm: BatchNorm

  public init(_ norm: BatchNorm) { self.norm = norm }

  /// - Throws: ``ApusError`` where a number is out of range.
  public init(
    _ channels: Int, epsilon: Float = 1e-5, momentum: Float = 0.1, affine: Bool = true,
    trackRunningStats: Bool = true, on device: Device
  ) throws {
    norm = try BatchNorm(
      channels, epsilon: epsilon, momentum: momentum, affine: affine,
      trackRunningStats: trackRunningStats, on: device)
  }

  public func namedParameters() -> [NamedParameter] { norm.namedParameters() }

  public func callAsFunction(
    _ x: Tensor, addend: Tensor?, activation: UnaryOp?, _ context: Context
  ) throws -> Tensor {
    guard (2...3).contains(x.rank) else {
      throw ApusError.axes("BatchNorm1d", "[batch, channels] or [batch, channels, length]", x.shape)
    }
    return try norm(x, addend: addend, activation: activation, context)
  }
}

extension BatchNorm1d: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard (1...2).contains(input.count) else {
      throw ApusError.axes("BatchNorm1d", "[channels] or [channels, length]", input)
    }
    return try norm.outputShape(of: input)
  }
}

/// ``BatchNorm`` of `[N, C, H, W]`, as `torch.nn.BatchNorm2d`.
public struct BatchNorm2d: EpilogueLayer {
  public let norm: BatchNorm

  public init(_ norm: BatchNorm) { self.norm = norm }

  /// - Throws: ``ApusError`` where a number is out of range.
  public init(
    _ channels: Int, epsilon: Float = 1e-5, momentum: Float = 0.1, affine: Bool = true,
    trackRunningStats: Bool = true, on device: Device
  ) throws {
    norm = try BatchNorm(
      channels, epsilon: epsilon, momentum: momentum, affine: affine,
      trackRunningStats: trackRunningStats, on: device)
  }

  public func namedParameters() -> [NamedParameter] { norm.namedParameters() }

  public func callAsFunction(
    _ x: Tensor, addend: Tensor?, activation: UnaryOp?, _ context: Context
  ) throws -> Tensor {
    guard x.rank == 4 else {
      throw ApusError.axes("BatchNorm2d", "[batch, channels, height, width]", x.shape)
    }
    return try norm(x, addend: addend, activation: activation, context)
  }
}

extension BatchNorm2d: ShapedLayer {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count == 3 else {
      throw ApusError.axes("BatchNorm2d", "[channels, height, width]", input)
    }
    return try norm.outputShape(of: input)
  }
}
