import ApusDevice
import ApusNN
import ApusTensor
import Foundation

/// How the gradients of a step are doing, parameter by parameter: what to look at when a loss does not
/// fall, or a recurrent network forgets.
///
/// ```swift
/// let (_, gradients) = try valueAndGradients(of: model.parameters()) { … }
/// let report = try GradientReport(model.namedParameters(), gradients)
/// for entry in report.findings { print(entry) }
/// ```
/// The norm of a gradient is compared with that of its parameter: their ratio is what a step of size 1
/// would change, whatever the size of the layer. All norms come to the host in one transfer.
public struct GradientReport: Sendable, Hashable {
  /// Where ratios begin to look unhealthy.
  public struct Limits: Sendable, Hashable {
    /// Below this ratio a gradient counts as vanishing.
    public var smallest: Float
    /// Above this ratio it counts as exploding.
    public var largest: Float

    public init(smallest: Float = 1e-7, largest: Float = 100) {
      self.smallest = smallest
      self.largest = largest
    }
  }

  public enum Finding: String, Sendable, Hashable, Codable {
    case healthy, vanishing, exploding, notFinite

    /// What usually helps.
    public var suggestion: String? {
      switch self {
      case .healthy: nil
      case .vanishing:
        "check that the loss depends on it; try normalisation, residual connections, another "
          + "initialisation (orthogonal recurrent weights, a forget bias of 1), or shorter sequences"
      case .exploding: "clip gradients by their norm, lower the learning rate, or scale the inputs"
      case .notFinite:
        "look for NaN in the data, logarithms or quotients of 0, or a learning rate that is too high"
      }
    }
  }

  public struct Entry: Sendable, Hashable, CustomStringConvertible {
    public let name: String
    /// 2-norms.
    public let gradientNorm: Float
    public let parameterNorm: Float
    public let finding: Finding

    /// Gradient norm over parameter norm; over 1 for a parameter of zeros, such as a fresh bias.
    public var ratio: Float { gradientNorm / (parameterNorm > 0 ? parameterNorm : 1) }

    public var description: String {
      let figures = String(
        format: "gradient norm %.3g, parameter norm %.3g", gradientNorm, parameterNorm)
      return "\(name): \(finding.rawValue) (\(figures))"
        + (finding.suggestion.map { "; \($0)" } ?? "")
    }
  }

  /// One entry for each parameter, in their order.
  public let entries: [Entry]

  /// - Parameters:
  ///   - parameters: Of a model, with their names.
  ///   - gradients: In the same order.
  /// - Throws: ``ApusError`` where their numbers differ, and what reading from the device throws.
  public init(
    _ parameters: [NamedParameter], _ gradients: [Tensor], limits: Limits = Limits()
  ) throws {
    guard parameters.count == gradients.count else {
      throw ApusError(
        .value, operation: "GradientReport",
        "\(gradients.count) gradients for \(parameters.count) parameters")
    }
    guard !parameters.isEmpty else {
      entries = []
      return
    }
    let squares = try zip(parameters, gradients).flatMap { named, gradient in
      try [Tensor.sumOfSquares([gradient]), Tensor.sumOfSquares([named.parameter.value])]
    }
    let norms = try Tensor.stacked(squares.map { try $0.reshaped([]) }).sqrt().scalars()
    entries = parameters.enumerated().map { index, named in
      let (gradient, parameter) = (norms[2 * index], norms[2 * index + 1])
      let ratio = gradient / (parameter > 0 ? parameter : 1)
      let finding: Finding =
        !gradient.isFinite || !parameter.isFinite
        ? .notFinite
        : ratio > limits.largest ? .exploding : ratio < limits.smallest ? .vanishing : .healthy
      return Entry(
        name: named.name, gradientNorm: gradient, parameterNorm: parameter, finding: finding)
    }
  }

  /// The entries that are not healthy.
  public var findings: [Entry] { entries.filter { $0.finding != .healthy } }
}
