import Apus
import Foundation
import TestSupport
import Testing

/// Language models: steps that go on from state to state, and drawing of tokens.
struct LanguageModelTests {
  static let text = String(repeating: "abcab cab.", count: 80)

  static func language(on device: Device, seed: UInt64 = 1) throws -> LanguageModel {
    let tokenizer = try Tokenizer(training: [text], .init(.character))
    let description = try Preset.named("char-lstm").description(inputShape: [8], classCount: 0)
      .resolved(inputShape: [8], classCount: nil, vocabularySize: tokenizer.vocabularySize)
      .with(RecurrentSizes(embeddingSize: 6, hiddenSize: 10, dropout: 0.1))
    return try LanguageModel(
      model: try GraphModel(description, key: RandomKey(seed), on: device), tokenizer: tokenizer,
      device: device)
  }

  /// The steps of an epoch give the loss of one pass over whole rows: states are carried.
  @Test(arguments: TestDevices.all) func statesAreCarried(on device: Device) throws {
    let language = try Self.language(on: device)
    let tokens = language.tokenizer.encode(String(Self.text.prefix(101)))
    var options = TrainingOptions()
    options.batchSize = 4
    func losses(_ length: Int) throws -> [(Double, Int)] {
      let objective = try LanguageObjective(
        training: tokens, validation: nil, sequenceLength: length, options: options, device: device)
      let pass = try objective.pass(over: language.model, key: RandomKey(0))
      var found: [(Double, Int)] = []
      while let step = try pass.next() {
        found.append((try step.loss(.evaluation).item(), step.weight))
      }
      #expect(found.count == objective.stepsPerEpoch)
      return found
    }
    let whole = try losses(25)
    #expect(whole.count == 1 && whole[0].1 == 100)
    let pieces = try losses(7)
    #expect(pieces.map(\.1) == [28, 28, 28, 16])
    let mean = pieces.reduce(0.0) { $0 + $1.0 * Double($1.1) } / 100
    #expect(abs(mean - whole[0].0) < 1e-5)
  }

  @Test(arguments: TestDevices.fast) func resumesWithTheSameBits(on device: Device) throws {
    let tokens = try Self.language(on: device).tokenizer.encode(Self.text)
    func run(from checkpoint: Checkpoint?) throws -> (LanguageModel, [Checkpoint]) {
      let language = try Self.language(on: device, seed: checkpoint == nil ? 1 : 2)
      var options = TrainingOptions()
      (options.epochs, options.batchSize, options.learningRate) = (4, 8, 1e-2)
      let objective = try LanguageObjective(
        training: Array(tokens.dropLast(100)), validation: Array(tokens.suffix(100)),
        sequenceLength: 10, options: options, device: device)
      let trainer = try Trainer(
        model: language.model, objective: objective, options: options, device: device)
      var checkpoints: [Checkpoint] = []
      try trainer.run(from: checkpoint, onEpoch: { checkpoints.append($0) })
      return (language, checkpoints)
    }
    let (whole, checkpoints) = try run(from: nil)
    let (part, _) = try run(from: checkpoints[1])
    for (name, value) in whole.model.state() {
      #expect(try part.model.state()[name]?.scalars() == value.scalars(), "\(name)")
    }
    let untrained = try Self.language(on: device).evaluate(Self.text).loss
    #expect(try whole.evaluate(Self.text).loss < 0.9 * untrained)
  }

  @Test(arguments: TestDevices.all) func evaluationIsTheMeanOverTokens(on device: Device) throws {
    let language = try Self.language(on: device)
    let text = "abc.ba"
    let tokens = language.tokenizer.encode(text)
    let found = try language.evaluate(text)
    // Five rows of one token each: every token from a state of zero.
    var sum = 0.0
    for (token, next) in zip(tokens, tokens.dropFirst()) {
      let logits = try language.model(Tensor([token], shape: [1, 1], on: device), .evaluation)
        .scalars().map(Double.init)
      sum += log(logits.reduce(0) { $0 + exp($1) }) - logits[Int(next)]
    }
    #expect(found.count == 5 && abs(found.loss - sum / 5) < 1e-5)
    #expect(abs((found.bitsPerCharacter ?? 0) - found.loss / log(2)) < 1e-9)
    #expect(throws: ApusError.self) { try language.evaluate("a") }
  }

  /// A step for each token gives what the model gives for the whole text.
  @Test(arguments: TestDevices.all) func generationIsTheModels(on device: Device) throws {
    let language = try Self.language(on: device)
    var generator = try TextGenerator(
      language, prompt: "ab", GenerationOptions(length: 12, temperature: 0))
    var text = "ab"
    while let piece = try generator.next() {
      let x = language.tokenizer.encode(text)
      let logits = try language.model(
        Tensor(x, shape: [1, x.count], on: device), .evaluation
      ).scalars().suffix(language.tokenizer.vocabularySize)
      let best = logits.indices.dropFirst(2).max { logits[$0] < logits[$1] } ?? 0
      #expect(piece == language.tokenizer.decode([Int32(best - logits.startIndex)]))
      text += piece
    }
    #expect(text.count == 14)
  }

  @Test func generatorIsASequence() async throws {
    let language = try Self.language(on: TestDevices.reference)
    func text(_ seed: UInt64) async throws -> String {
      var text = ""
      for try await piece in try TextGenerator(
        language, prompt: "a", GenerationOptions(length: 20, seed: seed))
      {
        text += piece
      }
      return text
    }
    let first = try await text(4)
    #expect(first.count == 20)
    #expect(try await text(4) == first)
    #expect(try await text(5) != first)
  }

  @Test func drawsFollowTheProbabilities() throws {
    // The special tokens are the likeliest, and never drawn.
    let logits: [Float] = [9, 9, log(0.5), log(0.3), log(0.15), log(0.05), -.infinity]
    func expect(_ options: GenerationOptions, _ shares: [Double]) throws {
      var found = [Double](repeating: 0, count: logits.count)
      for step in 0..<4000 {
        let token = try #require(options.draw(logits, specialCount: 2, step: step))
        found[Int(token)] += 1.0 / 4000
      }
      // Four standard deviations of a share of 4 000 draws are at most 0.032.
      for (a, b) in zip(found, shares) { #expect(abs(a - b) < 0.032, "\(options)") }
    }
    try expect(.init(), [0, 0, 0.5, 0.3, 0.15, 0.05, 0])
    try expect(.init(topK: 2), [0, 0, 0.625, 0.375, 0, 0, 0])
    try expect(.init(topP: 0.79), [0, 0, 0.625, 0.375, 0, 0, 0])
    try expect(.init(topK: 3, topP: 0.9), [0, 0, 0.526, 0.316, 0.158, 0, 0])
    try expect(.init(temperature: 0.5), [0, 0, 0.685, 0.247, 0.062, 0.007, 0])
    try expect(.init(temperature: 0), [0, 0, 1, 0, 0, 0, 0])
    #expect(GenerationOptions().draw([1, 1, .nan], specialCount: 2, step: 0) == nil)
  }

  @Test func otherModelsAreRefused() throws {
    let device = TestDevices.reference
    let tokenizer = try Tokenizer(training: [Self.text], .init(.character))
    let classifier = try GraphModel(
      Preset.named("text-gru").description(inputShape: [8], classCount: 3).resolved(
        inputShape: [8], classCount: 3, vocabularySize: tokenizer.vocabularySize),
      key: RandomKey(1), on: device)
    #expect(throws: ApusError.self) {
      try LanguageModel(model: classifier, tokenizer: tokenizer, device: device)
    }
    let language = try Self.language(on: device)
    for prompt in ["", "xyz"] {
      #expect(throws: ApusError.self) { try TextGenerator(language, prompt: prompt) }
    }
  }
}
