import Apus
import ArgumentParser

/// `apus generate`.
struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Go on with a text by a language model.",
    discussion: """
      Prints the prompt and, as it is drawn, what follows it. One seed gives one
      text on one device.

        apus train --data input.txt --model char-lstm --output lm.safetensors
        apus generate --model lm.safetensors --prompt "ROMEO:" --length 500 \\
          --temperature 0.8

      Every token is drawn by the probabilities that the model gives. A
      temperature below 1 makes likely tokens likelier, 0 always takes the
      likeliest; --top-k and --top-p leave unlikely ones out. The order is:
      temperature, top-k, top-p.
      """)

  @Option(help: "A language model that `apus train` wrote.")
  var model: String

  @Option(
    help: ArgumentHelp(
      "The text to go on from. Default: a line break.",
      discussion: "Where the model has never seen one: the first character that it knows."))
  var prompt: String?

  @Option(help: "How many tokens to draw: characters, or byte pairs.")
  var length = 200

  @Option(help: "How adventurous: 0 takes the likeliest token, 1 follows the model.")
  var temperature = 1.0

  @Option(help: "Draw from so many of the likeliest tokens. Default: all.")
  var topK: Int?

  @Option(help: "Draw from the likeliest tokens that together have this probability. Default: all.")
  var topP: Double?

  @Option(help: "Gives the draws.")
  var seed: UInt64 = 0

  @OptionGroup var device: DeviceOptions

  private var options: GenerationOptions {
    GenerationOptions(
      length: length, temperature: temperature, topK: topK, topP: topP, seed: seed)
  }

  func validate() throws {
    do {
      try options.validate()
    } catch let error as ApusError {
      throw ValidationError(error.message)
    }
    guard prompt?.isEmpty != true else {
      throw ValidationError("--prompt is empty; give at least one character to go on from")
    }
  }

  func run() throws {
    let language = try LanguageModel(path: model, on: try device.open(quiet: true))
    let prompt = prompt ?? language.defaultPrompt
    var generator = try TextGenerator(language, prompt: prompt, options)
    // Written at once, piece by piece: there is no buffer between.
    try Console.write(prompt)
    while let piece = try generator.next() { try Console.write(piece) }
    try Console.write("\n")
  }
}
