import ApusDevice
import ApusTensor

/// Finds numbers that are no use: NaN, infinities.
package enum NotFinite {
  /// The first element that is not finite, as "nan at [0, 3]"; nil where there is none, or the elements
  /// are whole numbers.
  package static func first(in tensor: Tensor) throws -> String? {
    switch tensor.dtype {
    case .float64: return first(in: try tensor.scalars(as: Double.self), tensor.shape)
    case .float32: return first(in: try tensor.scalars(as: Float.self), tensor.shape)
    case .float16, .bfloat16:
      return first(in: try tensor.detached.to(.float32).scalars(as: Float.self), tensor.shape)
    case .int32, .uint8, .bool: return nil
    }
  }

  private static func first(in values: [some BinaryFloatingPoint], _ shape: [Int]) -> String? {
    values.firstIndex { !$0.isFinite }.map { "\(values[$0]) at \(place($0, shape))" }
  }

  /// The indices of an element by its place in row-major order.
  package static func place(_ index: Int, _ shape: [Int]) -> [Int] {
    var rest = index
    return shape.reversed().map { extent in
      defer { rest /= max(extent, 1) }
      return rest % max(extent, 1)
    }.reversed()
  }
}

extension GraphModel {
  /// What is said where outputs are not finite.
  /// - Parameters:
  ///   - path: The model file; the model's name for nil.
  ///   - example: Which one; nil where the outputs belong to no example.
  ///   - reason: What is not finite.
  package func notFinite(
    _ path: String?, example: Int? = nil, _ reason: String = "its outputs are not finite"
  ) -> ApusError {
    let ruined = state().sorted { $0.key < $1.key }.lazy.compactMap { name, tensor in
      (try? NotFinite.first(in: tensor)).flatMap { $0 }.map { "'\(name)' has \($0)" }
    }.first
    return ApusError(
      .data, operation: path ?? description.name ?? "model",
      reason + (example.map { " for example \($0)" } ?? "")
        + (ruined.map { "; its weights are ruined: \($0)" }
          ?? "; its weights are finite"))
  }

  /// - Parameter outputs: Row-major, for each example the same number.
  /// - Throws: ``ApusError`` naming the first example with an output that is not finite.
  package func requireFinite(
    _ outputs: [Float], examples: Int, _ path: String?
  ) throws {
    guard let place = outputs.firstIndex(where: { !$0.isFinite }) else { return }
    throw notFinite(path, example: place / max(outputs.count / max(examples, 1), 1))
  }
}
