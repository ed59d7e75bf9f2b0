import Apus
import Foundation

/// Trains on its own executor; tensors and models are `Sendable`, so they cross its border freely.
actor Session {
  private let model: TwoTowers
  private let optimizer: AdamW
  private let device: Device

  init(on device: Device) throws {
    self.device = device
    model = try TwoTowers(width: 32, depth: 2, key: RandomKey(1), on: device)
    optimizer = try AdamW(model.parameters(), learningRate: 3e-3)
  }

  /// Takes steps on fresh batches and gives the mean loss of the last 20.
  func train(steps: Int) throws -> Double {
    var losses: [Tensor] = []
    for step in optimizer.stepCount..<optimizer.stepCount + steps {
      let (a, b, target) = try batch(RandomKey(2).folded(UInt64(step)))
      let (loss, gradients) = try valueAndGradients(of: model.parameters()) { context in
        try meanSquaredError(model(a, b, context), target)
      }
      try optimizer.step(gradients)
      losses.append(loss)
    }
    // Steps were only enqueued so far; reading a value waits for the device.
    return try Tensor.stacked(losses.suffix(20)).mean().item()
  }

  /// The task: the product of a sum over one input with an element of the other.
  private func batch(_ key: RandomKey) throws -> (a: Tensor, b: Tensor, target: Tensor) {
    let keys = key.split(2)
    let a = try Tensor.normal([64, 8], key: keys[0], on: device)
    let b = try Tensor.normal([64, 4], key: keys[1], on: device)
    let first = try b.slice(axis: 1, start: 0, end: 1).squeezed(axis: 1)
    return (a, b, try a.mean(axis: 1) * first)
  }
}

@main
struct Embedding {
  static func main() async {
    do {
      // The first argument chooses another device: auto, cpu, opencl, opencl:N, reference.
      let device = try Devices.named(CommandLine.arguments.dropFirst().first ?? "opencl")
      let session = try Session(on: device)
      let before = try await session.train(steps: 20)
      let after = try await session.train(steps: 380)
      let line = "loss \(before) fell to \(after) in 400 steps on \(device.info.product)"
      guard after < before / 3 else { throw ApusError(.data, operation: "training", line) }
      print("embedding: \(line)")
    } catch {
      // Every failure is an error with a message; nothing in the library ends the process.
      FileHandle.standardError.write(Data("embedding: \(error)\n".utf8))
      exit(1)
    }
  }
}
