import ApusDevice
import ApusTensor

/// A layer that is one element-wise function, so that it can run fused with the layer before it.
public protocol ActivationLayer: Layer {
  var function: UnaryOp { get }
}

extension ActivationLayer {
  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x.unary(function)
  }
}

/// `1 / (1 + exp(−x))`.
public struct Sigmoid: ActivationLayer {
  public init() {}
  public var function: UnaryOp { .sigmoid }
}

public struct Tanh: ActivationLayer {
  public init() {}
  public var function: UnaryOp { .tanh }
}

/// `max(x, 0)`.
public struct ReLU: ActivationLayer {
  public init() {}
  public var function: UnaryOp { .relu }
}

/// `x` above 0, `negativeSlope · x` below (Maas, Hannun, Ng 2013).
public struct LeakyReLU: ActivationLayer {
  public let negativeSlope: Float
  public init(negativeSlope: Float = 0.01) { self.negativeSlope = negativeSlope }
  public var function: UnaryOp { .leakyReLU(slope: negativeSlope) }
}

/// `x` above 0, `alpha · (exp(x) − 1)` below (Clevert, Unterthiner, Hochreiter 2016).
public struct ELU: ActivationLayer {
  public let alpha: Float
  public init(alpha: Float = 1) { self.alpha = alpha }
  public var function: UnaryOp { .elu(alpha: alpha) }
}

/// `x · Φ(x)` (Hendrycks and Gimpel 2016), by the error function or its tanh approximation.
public struct GELU: ActivationLayer {
  public let approximate: Bool
  public init(approximate: Bool = false) { self.approximate = approximate }
  public var function: UnaryOp { approximate ? .geluTanh : .gelu }
}

/// `x · sigmoid(x)` (Elfwing, Uchibe, Doya 2018).
public struct SiLU: ActivationLayer {
  public init() {}
  public var function: UnaryOp { .silu }
}

/// `log(1 + exp(beta · x)) / beta`, linear above `threshold`.
public struct Softplus: ActivationLayer {
  public let beta: Float
  public let threshold: Float
  public init(beta: Float = 1, threshold: Float = 20) {
    self.beta = beta
    self.threshold = threshold
  }
  public var function: UnaryOp { .softplus(beta: beta, threshold: threshold) }
}

/// `exp(x) / Σ exp(x)` along an axis.
public struct Softmax: Layer {
  public let axis: Int
  public init(axis: Int = -1) { self.axis = axis }
  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x.softmax(axis: axis)
  }
}

/// The logarithm of ``Softmax``.
public struct LogSoftmax: Layer {
  public let axis: Int
  public init(axis: Int = -1) { self.axis = axis }
  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x.logSoftmax(axis: axis)
  }
}

/// Its input.
public struct Identity: Layer {
  public init() {}
  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor { x }
}
