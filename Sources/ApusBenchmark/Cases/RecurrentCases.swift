import Apus

extension BenchCase {
  static let recurrentCases: [BenchCase] = [
    recurrent("lstm", 64, 32, trains: false), recurrent("lstm", 64, 32, trains: true),
    recurrent("gru", 64, 32, trains: false), recurrent("gru", 64, 32, trains: true),
    recurrent("rnn", 64, 32, trains: true), recurrent("lstm", 64, 1, trains: false),
    characterStep,
  ]

  /// A layer of 256 units on 128 features over `steps` steps of `rows` rows: outputs alone, or with all
  /// gradients. Peers call it `lstm-64x32-infer` or `-train`.
  static func recurrent(_ kind: String, _ steps: Int, _ rows: Int, trains: Bool) -> BenchCase {
    let gates = ["rnn": 1, "gru": 3, "lstm": 4][kind] ?? 1
    let products = Double(steps * rows * gates * 256 * (128 + 256))
    return BenchCase(
      name: "\(kind)-\(steps)x\(rows)-\(trains ? "train" : "infer")",
      work: .flops(products * (trains ? 6 : 2))
    ) { device in
      let key = RandomKey(1)
      let layer: any Layer =
        switch kind {
        case "lstm": try LSTM(128, 256, key: key, on: device)
        case "gru": try GRU(128, 256, key: key, on: device)
        default: try RNN(128, 256, key: key, on: device)
        }
      let x = try Tensor.normal([steps, rows, 128], key: RandomKey(2), on: device)
      let seed = try Tensor.normal([steps, rows, 256], key: RandomKey(3), on: device)
      let parameters = layer.parameters()
      return {
        guard trains else {
          _ = try layer(x, .evaluation)
          return try device.synchronize()
        }
        let tape = Tape()
        let context = Context(isTraining: true, tape: tape)
        let watched = try tape.watch(x)
        let weights = try parameters.map { try context[$0] }
        let y = try layer(watched, context)
        _ = try tape.gradients(of: y, for: [watched] + weights, seed: seed)
        try device.synchronize()
      }
    }
  }

  /// A training step of a model of characters: embedding 64, LSTM 256 in two layers, 65 classes; 32 rows
  /// of 64 characters, Adam.
  static let characterStep = BenchCase(name: "char-step", work: .none) { device in
    let keys = RandomKey(1).split(3)
    let embedding = try Embedding(65, 64, key: keys[0], on: device)
    let lstm = try LSTM(64, 256, RecurrentOptions(numLayers: 2), key: keys[1], on: device)
    let head = try Linear(256, 65, key: keys[2], on: device)
    let parameters = embedding.parameters() + lstm.parameters() + head.parameters()
    let optimizer = try Adam(parameters, learningRate: 1e-3)
    let text: [Int32] = (0..<64 * 32).map { (place: Int) -> Int32 in
      Int32((place * 7919 + place / 13) % 65)
    }
    let x = try Tensor(text, shape: [64, 32], on: device)
    let y = try Tensor(text.reversed(), on: device)
    return {
      let (_, gradients) = try valueAndGradients(of: parameters) { context in
        let states = try lstm(embedding(x, context), context)
        return try crossEntropy(head(states.flattened(end: 1), context), y)
      }
      try optimizer.step(gradients)
      try device.synchronize()
    }
  }
}
