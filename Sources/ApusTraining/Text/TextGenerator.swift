import ApusData
import ApusDevice
import ApusNN
import ApusTensor

/// Goes on with a text, piece by piece as tokens are drawn.
///
/// ```swift
/// var generator = try TextGenerator(model, prompt: "ROMEO:", GenerationOptions(length: 500))
/// while let piece = try generator.next() { print(piece, terminator: "") }
/// ```
/// or `for try await piece in generator`. One seed gives one text on one device. The prompt goes through
/// the model once; after that every token costs one step, whatever came before it.
public struct TextGenerator: AsyncSequence, AsyncIteratorProtocol {
  private let language: LanguageModel
  private let options: GenerationOptions
  private var states: [String: RecurrentState] = [:]
  private var assembly: TextAssembly
  /// What the model has not read yet.
  private var pending: [Int32]
  private var count = 0
  private var isOver = false

  /// - Parameter prompt: At least one character, all of them known to the model.
  /// - Throws: ``ApusError`` for options out of range, and naming unknown characters of the prompt.
  public init(
    _ language: LanguageModel, prompt: String, _ options: GenerationOptions = GenerationOptions()
  ) throws {
    try options.validate()
    if case .character(let tokenizer) = language.tokenizer {
      let unknown = tokenizer.unknownScalars(in: prompt)
      guard unknown.isEmpty else {
        let names = unknown.prefix(12).map { scalar in
          let code = String(scalar.value, radix: 16, uppercase: true)
          let zeros = String(repeating: "0", count: code.count < 4 ? 4 - code.count : 0)
          return "'\(scalar)' (U+\(zeros)\(code))"
        }
        throw ApusError(
          .value, operation: "prompt",
          "has characters that the model has never seen: \(names.joined(separator: ", "))"
            + (unknown.count > 12 ? " and \(unknown.count - 12) more" : ""))
      }
    }
    pending = language.tokenizer.encode(prompt)
    guard !pending.isEmpty else {
      throw ApusError(
        .value, operation: "prompt",
        "is empty; the model needs at least one character to go on from")
    }
    self.language = language
    self.options = options
    assembly = TextAssembly(language.tokenizer)
  }

  public func makeAsyncIterator() -> TextGenerator { self }

  /// The next piece of text: whole characters; nil at the end.
  /// - Throws: ``ApusError`` where the device fails, or the model gives no finite number.
  public mutating func next() throws -> String? {
    while count < options.length {
      let x = try Tensor(pending, shape: [1, pending.count], on: language.device)
      let logits = try language.model(x, states: &states, .evaluation)
      let last = try logits.slice(axis: 1, start: pending.count - 1, end: pending.count).scalars()
      guard last.allSatisfy(\.isFinite),
        let token = options.draw(last, specialCount: Tokenizer.specialCount, step: count)
      else {
        throw language.model.notFinite(
          language.path, "its outputs are not finite at token \(count + 1)")
      }
      pending = [token]
      count += 1
      let piece = assembly.append(token)
      if !piece.isEmpty { return piece }
    }
    guard !isOver else { return nil }
    isOver = true
    let rest = assembly.finish()
    return rest.isEmpty ? nil : rest
  }
}
