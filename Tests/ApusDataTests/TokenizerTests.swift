import ApusData
import ApusDevice
import Foundation
import Testing

@Suite struct TokenizerTests {
  /// What Hugging Face's tokenizers make of the same texts; see Golden/make_tokenizers.py.
  struct Golden: Decodable {
    let text: String
    let held: [String]
    let merges, bytePairs, wordTokens: [[Int32]]
    let words: [String]

    static func read() throws -> Golden {
      let url = try #require(
        Bundle.module.url(forResource: "Golden/tokenizers", withExtension: "json"))
      return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url))
    }
  }

  @Test func bytePairsAreThoseOfHuggingFace() throws {
    let golden = try Golden.read()
    let tokenizer = BytePairTokenizer(
      training: [golden.text], maximumSize: 258 + golden.merges.count)
    #expect(tokenizer.merges.map { [$0.first, $0.second] } == golden.merges)
    for (text, tokens) in zip([golden.text] + golden.held, golden.bytePairs) {
      #expect(tokenizer.encode(text) == tokens)
      #expect(tokenizer.decode(tokens) == text)
    }
  }

  @Test func wordsAreThoseOfHuggingFace() throws {
    let golden = try Golden.read()
    let tokenizer = WordTokenizer(training: [golden.text], maximumSize: 40)
    #expect(tokenizer.words == golden.words)
    for (text, tokens) in zip([golden.text] + golden.held, golden.wordTokens) {
      #expect(tokenizer.encode(text) == tokens)
    }
    #expect(tokenizer.decode([2, 1, 0, 3]) == "\(golden.words[0]) \u{FFFD} \(golden.words[1])")
  }

  @Test func vocabulariesAreCut() throws {
    let texts = ["b b a a a c", "B d"]
    #expect(WordTokenizer(training: texts).words == ["a", "b"])
    #expect(WordTokenizer(training: texts, minimumCount: 1).words == ["a", "b", "c", "d"])
    #expect(
      WordTokenizer(training: texts, lowercases: false, minimumCount: 1).words
        == ["a", "b", "B", "c", "d"])
    #expect(WordTokenizer(training: texts, maximumSize: 3).words == ["a"])
    #expect(CharacterTokenizer(training: ["ba", "bc"]).scalars == ["a", "b", "c"])
    // The most frequent, then the first in Unicode.
    #expect(CharacterTokenizer(training: ["ba", "bc"], maximumSize: 4).scalars == ["a", "b"])
    #expect(CharacterTokenizer(training: ["ba", "bc"], minimumCount: 2).scalars == ["b"])
  }

  @Test func charactersAreScalars() throws {
    let tokenizer = CharacterTokenizer(training: ["e\u{301}👍🏽"])
    #expect(tokenizer.vocabularySize == 6)
    #expect(tokenizer.encode("👍🏽e\u{301}") == [5, 4, 2, 3])
    #expect(tokenizer.encode("ex") == [2, 1])
    #expect(tokenizer.decode([2, 1, 0, 99, -5]) == "e\u{FFFD}\u{FFFD}\u{FFFD}")
    #expect(tokenizer.unknownScalars(in: "exyx") == ["x", "y"])
  }

  private static let texts = [
    "", " ", "plain text, twice; plain text.", "e\u{301}e\u{301}\u{302}", "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "\u{0}\u{7F}\u{FFFD}\u{10FFFF}",
    "לֹא עַל הַלֶּחֶם", "a\r\nb\rc\u{2028}d\u{85}", String(repeating: "ab", count: 600), "'s''ll 've",
  ]

  @Test func textsComeBack() throws {
    for kind in [Tokenizer.Kind.character, .bytePair] {
      let tokenizer = try Tokenizer(training: Self.texts, .init(kind, vocabulary: 300))
      for text in Self.texts {
        let tokens = tokenizer.encode(text)
        #expect(tokens.allSatisfy { $0 >= 2 && Int($0) < tokenizer.vocabularySize })
        #expect(Array(tokenizer.decode(tokens).utf8) == Array(text.utf8))
      }
    }
  }

  /// A generator of its own, so that a failure can be repeated.
  private struct Words {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 33
    }
    mutating func bytes(_ count: Int) -> [UInt8] {
      (0..<count).map { _ in
        // Many repeats, beginnings of sequences without an end, and anything else.
        let draw = next()
        return draw % 3 == 0
          ? UInt8(truncatingIfNeeded: draw >> 8)
          : [0x20, 0x61, 0xE2, 0x82, 0xAC, 0x27][Int(draw >> 8) % 6]
      }
    }
  }

  @Test func anyBytesComeBack() throws {
    var words = Words(state: 11)
    let sample = String(decoding: words.bytes(4000), as: UTF8.self)
    let tokenizer = BytePairTokenizer(training: [sample], maximumSize: 600)
    #expect(tokenizer.vocabularySize > 300)
    for size in [0, 1, 2, 3, 17, 300, 5000] {
      let bytes = words.bytes(size)
      let tokens = tokenizer.encode(bytes: bytes)
      #expect(tokenizer.bytes(of: tokens) == bytes)
      // As they come, whole characters are given out, and in the end the same text.
      var assembly = TextAssembly(.bytePair(tokenizer))
      var text = ""
      for token in tokens { text += assembly.append(token) }
      text += assembly.finish()
      #expect(
        text.unicodeScalars.elementsEqual(String(decoding: bytes, as: UTF8.self).unicodeScalars))
    }
  }

  @Test func piecesEndBetweenCharacters() throws {
    let tokenizer = Tokenizer.bytePair(BytePairTokenizer(training: [], maximumSize: 258))
    var assembly = TextAssembly(tokenizer)
    var pieces = tokenizer.encode("a€").map { assembly.append($0) }
    pieces.append(assembly.finish())
    #expect(pieces == ["a", "", "", "€", ""])
    pieces = tokenizer.encode("€").dropLast().map { assembly.append($0) }
    pieces.append(assembly.finish())
    #expect(pieces == ["", "", "\u{FFFD}"])
  }

  @Test func tokenizersAreKept() throws {
    for kind in Tokenizer.Kind.allCases {
      let tokenizer = try Tokenizer(
        training: Self.texts, .init(kind, vocabulary: 290, minimumCount: 1))
      let json = try JSONEncoder().encode(tokenizer)
      let other = try JSONDecoder().decode(Tokenizer.self, from: json)
      #expect(other == tokenizer)
      for text in Self.texts { #expect(other.encode(text) == tokenizer.encode(text)) }
    }
  }

  @Test(arguments: [
    #"{"type":"bpe","merges":[2,3,4]}"#, #"{"type":"bpe","merges":[2,258]}"#,
    #"{"type":"bpe","merges":[0,5]}"#, #"{"type":"bpe","merges":[-7,5]}"#,
    #"{"type":"word","words":["a","a"],"lowercases":true}"#, #"{"type":"other"}"#,
    #"{"type":"character","scalars":"aba"}"#,
  ])
  func damagedTokenizersAreRefused(json: String) {
    #expect(throws: (any Error).self) {
      try JSONDecoder().decode(Tokenizer.self, from: Data(json.utf8))
    }
  }

  /// Merges that double a token each time would make one of 2⁶⁰ bytes.
  @Test func tokensStayShort() throws {
    let doubling = (0..<60).map { index -> String in
      let token = index == 0 ? 2 : 257 + index
      return "\(token),\(token)"
    }.joined(separator: ",")
    #expect(throws: ApusError.self) {
      try JSONDecoder().decode(
        Tokenizer.self, from: Data(#"{"type":"bpe","merges":[\#(doubling)]}"#.utf8))
    }
    let tokenizer = BytePairTokenizer(
      training: [String(repeating: "a", count: 10_000)], maximumSize: 400)
    #expect(tokenizer.bytes(of: [Int32(tokenizer.vocabularySize) - 1]).count <= 1024)
  }

  @Test func optionsAreChecked() {
    for options in [
      Tokenizer.Options(.bytePair, vocabulary: 257), .init(.word, vocabulary: 2),
      .init(.character, minimumCount: 0), .init(.word, vocabulary: 1 << 30),
    ] {
      #expect(throws: ApusError.self) { try Tokenizer(training: ["a a"], options) }
    }
    #expect(throws: ApusError.self) { try Tokenizer(training: ["a b"], .init(.word)) }
    #expect(throws: ApusError.self) { try Tokenizer(training: [], .init(.character)) }
  }

  /// A megabyte and a thousand merges: seconds, not minutes.
  @Test(.timeLimit(.minutes(15))) func aMegabyteIsLearntFast() throws {
    var words = Words(state: 3)
    let letters = Array("etaoinshrdlu")
    let vocabulary = (0..<20_000).map { _ in
      String((0..<(3 + words.next() % 7)).map { _ in letters[Int(words.next() % 12)] })
    }
    var text = ""
    while text.utf8.count < 1 << 20 {
      // Few words are frequent.
      let place = Int(words.next() % 20_000) * Int(words.next() % 20_000) / 20_000
      text += vocabulary[place] + " "
    }
    let start = ContinuousClock.now
    let tokenizer = BytePairTokenizer(training: [text], maximumSize: 1258)
    let tokens = tokenizer.encode(text)
    #expect(tokenizer.merges.count == 1000)
    #expect(tokens.count < text.utf8.count / 2)
    #expect(start.duration(to: .now) < .seconds(20))
  }
}
