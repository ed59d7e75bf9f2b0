import Apus

/// A model is a plain type: its layers are stored properties, and they name the parameters
/// (`left.weight`, `blocks.0.first.bias`, …). Nothing has to be registered.
///
/// Two inputs `[N, 8]` and `[N, 4]` meet in a sum, pass residual blocks, and become one number each.
struct TwoTowers: Module {
  let left, right: Linear
  let blocks: [ResidualBlock]
  let head: Linear

  init(width: Int, depth: Int, key: RandomKey, on device: Device) throws {
    // Randomness is explicit: one key gives the same weights on every device.
    let keys = key.split(depth + 3)
    left = try Linear(8, width, key: keys[0], on: device)
    right = try Linear(4, width, bias: false, key: keys[1], on: device)
    head = try Linear(width, 1, key: keys[2], on: device)
    blocks = try keys.dropFirst(3).map { try ResidualBlock(width, key: $0, on: device) }
  }

  /// - Parameter context: Carries tape, mode and random key of the pass; there is no global state.
  /// - Returns: `[N]`.
  func callAsFunction(_ a: Tensor, _ b: Tensor, _ context: Context) throws -> Tensor {
    var x = try left(a, context) + right(b, context)
    for block in blocks { x = try block(x, context) }
    return try head(x, context).squeezed(axis: 1)
  }
}

/// `x + second(gelu(first(norm(x))))`
struct ResidualBlock: Layer {
  let norm: LayerNorm
  let first, second: Linear

  init(_ width: Int, key: RandomKey, on device: Device) throws {
    let keys = key.split(2)
    norm = try LayerNorm(width, on: device)
    first = try Linear(width, 2 * width, key: keys[0], on: device)
    second = try Linear(2 * width, width, key: keys[1], on: device)
  }

  func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    try x + second(first(norm(x, context), context).gelu(), context)
  }
}
