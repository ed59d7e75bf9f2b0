import Apus
import Foundation
import TestSupport
import Testing

/// Classes of texts: batches of similar lengths, results that padding does not change.
struct TextClassifierTests {
  /// Texts that have a good word among their fillers, or a bad one.
  static func texts(_ count: Int, seed: UInt64 = 1) throws -> Dataset {
    let order = Shuffle.permutation(count: count * 31, key: RandomKey(seed))
    var texts: [String] = []
    for index in 0..<count {
      let draws = order[index * 31..<(index + 1) * 31]
      var words = draws.prefix(1 + order[index] % 30).map { "w\($0 % 17)" }
      words.insert(index % 2 == 0 ? "good" : "bad", at: order[index * 31 + 1] % (words.count + 1))
      texts.append(words.joined(separator: " "))
    }
    return try Dataset(
      name: "opinions", texts: texts, labels: (0..<count).map { Int32($0 % 2) },
      classNames: ["good", "bad"])
  }

  static func prepared(
    _ count: Int, seed: UInt64 = 1
  ) throws -> (texts: Dataset, tokens: Dataset, encoding: TextEncoding) {
    let texts = try texts(count, seed: seed)
    let encoding = try TextEncoding(
      tokenizer: try Tokenizer(training: texts.texts ?? [], .init(.word)), maximumLength: 40)
    return (texts, try texts.tokenized(by: encoding), encoding)
  }

  static func model(_ encoding: TextEncoding, on device: Device) throws -> GraphModel {
    let description = try Preset.named("text-gru").description(inputShape: [40], classCount: 2)
      .resolved(
        inputShape: [40], classCount: 2, vocabularySize: encoding.tokenizer.vocabularySize
      ).with(RecurrentSizes(embeddingSize: 16, hiddenSize: 12))
    return try GraphModel(description, key: RandomKey(1), on: device)
  }

  static var options: TrainingOptions {
    var options = TrainingOptions()
    (options.epochs, options.batchSize, options.learningRate) = (8, 16, 1e-2)
    return options
  }

  @Test(arguments: TestDevices.fast) func learnsAndSaves(on device: Device) throws {
    let data = try Self.prepared(240)
    let model = try Self.model(data.encoding, on: device)
    let trainer = try Trainer(
      model: model, training: data.tokens, options: Self.options, device: device)
    #expect(trainer.stepsPerEpoch == 15)
    try trainer.run()
    let classifier = Classifier(
      model: model, preprocessing: .none, classNames: ["good", "bad"], text: data.encoding,
      device: device)
    let fresh = try Self.texts(60, seed: 9)
    let found = try classifier.evaluate(fresh)
    #expect(found.accuracy > 0.95)

    // The file alone is enough, and gives the same.
    let path = FileManager.default.temporaryDirectory
      .appendingPathComponent("apus-text-\(UUID().uuidString).safetensors").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try classifier.write(to: path)
    let read = try Classifier(path: path, on: device)
    #expect(read.text == data.encoding)
    let probabilities = try read.probabilities(fresh)
    #expect(probabilities == (try classifier.probabilities(fresh)))
    #expect(
      (0..<60).map { probabilities[2 * $0] > 0.5 ? 0 : 1 as Int32 } == found.predictions)
  }

  /// Neither who shares a batch nor how long the others are matters.
  @Test(arguments: TestDevices.all) func companyChangesNoPrediction(on device: Device) throws {
    let data = try Self.prepared(50)
    let model = try Self.model(data.encoding, on: device)
    let classifier = Classifier(
      model: model, preprocessing: .none, classNames: ["good", "bad"], text: data.encoding,
      device: device)
    let together = try classifier.probabilities(data.texts)
    let backwards = try classifier.probabilities(data.texts.subset((0..<50).reversed()))
    for row in 0..<50 {
      let alone = try classifier.probabilities(data.texts.subset([row]))
      #expect(abs(alone[0] - together[2 * row]) < 1e-5)
      #expect(abs(backwards[2 * (49 - row)] - together[2 * row]) < 1e-5)
    }
    // Found in the order of lengths, told in that of the examples.
    let found = try classifier.evaluate(data.texts)
    #expect(found.predictions == (0..<50).map { together[2 * $0] > 0.5 ? 0 : 1 })
  }

  @Test(arguments: [0, 2]) func batchesHaveLengths(workers: Int) throws {
    let device = TestDevices.reference
    let data = try Self.prepared(100).tokens
    let source = try BatchSource(data, workers: workers, on: device)
    var batches = try source.batches(key: RandomKey(2), batchSize: 16)
    var (count, labels) = (0, [Int32]())
    while let batch = try batches.next() {
      let lengths = try #require(batch.lengths)
      #expect(batch.x.dtype == .int32 && batch.x.shape == [batch.count, lengths.max() ?? 0])
      let tokens = try batch.x.scalars(as: Int32.self)
      for (row, length) in lengths.enumerated() {
        let part = tokens[row * batch.x.shape[1]..<(row + 1) * batch.x.shape[1]]
        #expect(part.prefix(length).allSatisfy { $0 > 0 })
        #expect(part.dropFirst(length).allSatisfy { $0 == 0 })
      }
      labels += try batch.y.scalars(as: Int32.self)
      count += batch.count
    }
    #expect(count == 100 && labels.reduce(0, +) == 50)
  }

  @Test func resumesWithTheSameBits() throws {
    let device = TestDevices.fast.first ?? TestDevices.reference
    let data = try Self.prepared(80)
    func trainer() throws -> (Trainer, GraphModel) {
      var options = Self.options
      options.epochs = 4
      let model = try Self.model(data.encoding, on: device)
      return (
        try Trainer(model: model, training: data.tokens, options: options, device: device), model
      )
    }
    let (whole, expected) = try trainer()
    var checkpoints: [Checkpoint] = []
    try whole.run(onEpoch: { checkpoints.append($0) })
    let (part, model) = try trainer()
    try part.run(from: checkpoints[1])
    for (name, value) in expected.state() {
      #expect(try model.state()[name]?.scalars() == value.scalars(), "\(name)")
    }
  }

  @Test func misuseIsRefused() throws {
    let device = TestDevices.reference
    let data = try Self.prepared(10)
    #expect(throws: ApusError.self) {
      try BatchSource(data.tokens, preprocessing: .scale(by: 2), on: device)
    }
    let plain = Sequential([try Linear(40, 2, key: RandomKey(1), on: device)])
    let trainer = try Trainer(
      model: plain, training: data.tokens, options: Self.options, device: device)
    #expect(throws: ApusError.self) { try trainer.run() }
    #expect(throws: ApusError.self) {
      try Trainer(model: plain, training: data.texts, options: Self.options, device: device)
    }
  }
}
