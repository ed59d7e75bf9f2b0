import Apus

extension Evaluate {
  /// Judges a language model on a text.
  func judge(_ language: LanguageModel) throws {
    let text = try TextFile.read(data.data, encoding: data.encoding)
    let found = try language.evaluate(text, name: data.data)
    guard json else { return try Console.print(found.line) }
    struct Result: Encodable {
      let loss, perplexity: Double
      let bitsPerCharacter: Double?
      let count: Int
    }
    try print(
      Result(
        loss: found.loss, perplexity: found.perplexity, bitsPerCharacter: found.bitsPerCharacter,
        count: found.count))
  }
}
