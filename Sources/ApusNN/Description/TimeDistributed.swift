import ApusDevice
import ApusTensor

/// A layer of a description that sees every step of `[B, T, …]` as an example of its own, with the same
/// parameters: what lets convolutions read the frames of a video.
struct TimeDistributed: Layer {
  let step: BuiltLayer

  func namedParameters() -> [NamedParameter] { step.parameters }

  func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    let (rows, steps) = (x.shape[0], x.shape[1])
    let merged = try x.reshaped([rows * steps] + x.shape.dropFirst(2))
    let y = try step.run([merged], addend: nil, activation: nil, context)
    return try y.reshaped([rows, steps] + y.shape.dropFirst())
  }
}
