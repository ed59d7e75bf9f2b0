import ApusData
import ApusDevice
import Foundation
import Testing

@Suite struct TextDataTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  private func write(_ text: String, _ name: String) throws -> String {
    try scratch.write(Array(text.utf8), name)
  }

  @Test func findsTextAndClass() throws {
    let path = try write(
      "ham\tOk lar... Joking\nspam\tFree entry, \"call\" now\nham\t\"Wen u\" miss\nham\tit's\n",
      "a.tsv")
    let loaded = try DataSource.loadTexts(path, options: DataOptions(testFraction: 0))
    #expect(loaded.train.classNames == ["ham", "spam"])
    #expect(loaded.train.labels == [0, 1, 0, 0])
    #expect(
      loaded.train.texts
        == ["Ok lar... Joking", "Free entry, \"call\" now", "\"Wen u\" miss", "it's"])
    let schema = try #require(loaded.textSchema)
    #expect(schema.textPosition == 1 && schema.targetPosition == 0 && !schema.hasHeader)
  }

  @Test func columnsAreNamed() throws {
    let path = try write(
      "id,category,text,note\n1,x,\"a, b\",long long long\n2,y,c,long long long\n", "b.csv")
    var options = DataOptions(target: "category", testFraction: 0)
    options.textColumn = "text"
    let loaded = try DataSource.loadTexts(path, options: options)
    #expect(loaded.train.texts == ["a, b", "c"] && loaded.train.classNames == ["x", "y"])
    // By default the longest text, and the last of the other columns.
    let guessed = try DataSource.loadTexts(path, options: DataOptions(testFraction: 0))
    #expect(guessed.train.texts == ["long long long", "long long long"])
    #expect(guessed.textSchema?.targetName == "text")
    options.textColumn = "category"
    #expect(throws: ApusError.self) { try DataSource.loadTexts(path, options: options) }
    options.textColumn = "9"
    #expect(throws: ApusError.self) { try DataSource.loadTexts(path, options: options) }

    // A schema finds its columns again, in any order and without the classes.
    let schema = try #require(loaded.textSchema)
    let other = try write("text,more\nsome text,1\n", "c.csv")
    let read = try schema.dataset(readingFrom: other, classNames: ["x", "y"])
    #expect(read.texts == ["some text"] && read.labels.isEmpty)
    let unknown = try write("category,text\nz,some text\n", "d.csv")
    #expect(throws: ApusError.self) {
      try schema.dataset(readingFrom: unknown, classNames: ["x", "y"])
    }
  }

  @Test func looseQuotesStayInTabbedTexts() throws {
    let path = try write(
      "a\t\"one\" two\nb\t\"never closed\na\t\"whole\"\nb\tsay \"hi\"\n", "q.tsv")
    let loaded = try DataSource.loadTexts(path, options: DataOptions(testFraction: 0))
    #expect(loaded.train.texts == ["\"one\" two", "\"never closed", "whole", "say \"hi\""])
    let strict = try write("a,\"one\" two\nb,x\n", "q.csv")
    #expect(throws: ApusError.self) { try DataSource.loadTexts(strict) }
  }

  @Test func wrongBytesAreFound() throws {
    for (bytes, place) in [
      ([0x61, 0xFF, 0x62], 1), ([0x61, 0xC3], 1), ([0xE2, 0x82, 0xAC, 0xED, 0xA0, 0x80], 3),
      ([0xEF, 0xBB, 0xBF, 0x61, 0xC0, 0xAF], 4), ([0xF4, 0x90, 0x80, 0x80], 0),
    ] as [([UInt8], Int)] {
      let path = try scratch.write(bytes, "wrong.txt")
      let error = #expect(throws: ApusError.self) { try TextFile.read(path) }
      #expect(error?.operation == path)
      #expect(error?.message.contains("byte \(place) is") == true, "\(error?.message ?? "")")
    }
    let path = try scratch.write([0x63, 0x61, 0x66, 0xE9], "latin.txt")
    #expect(try TextFile.read(path, encoding: .latin1) == "café")
    #expect(try TextFile.read(write("\u{FEFF}naïve 👍🏽", "fine.txt")) == "naïve 👍🏽")
  }

  @Test func foldersHoldTextsByClass() throws {
    for (part, classes) in [("train", ["a", "b"]), ("test", ["b"])] {
      for name in classes {
        try scratch.write(Array("\(part) \(name)".utf8), "news/x-\(part)/\(name)/1")
        try scratch.write(Array("more".utf8), "news/x-\(part)/\(name)/2.txt")
      }
    }
    try scratch.write([0xFF], "news/x-train/a/.hidden")
    let loaded = try DataSource.loadTexts(scratch.path + "/news")
    #expect(loaded.train.classNames == ["a", "b"] && loaded.train.labels == [0, 0, 1, 1])
    #expect(loaded.train.texts == ["train a", "more", "train b", "more"])
    #expect(loaded.test?.texts == ["test b", "more"] && loaded.test?.labels == [1, 1])

    for name in ["x", "y"] {
      for index in 0..<5 { try scratch.write([0x61], "plain/\(name)/\(index)") }
    }
    let plain = try DataSource.loadTexts(scratch.path + "/plain")
    #expect(plain.train.count == 8 && plain.test?.count == 2)
    #expect(throws: ApusError.self) { try DataSource.loadTexts(scratch.path + "/plain/x") }
  }

  /// Errors name a file by its whole path, the part included.
  @Test func filesOfPartsAreNamed() throws {
    for file in ["train/a/1", "train/b/1", "test/a/1"] { try scratch.write([0x61], "mix/\(file)") }
    try scratch.write([0x61, 0xFF], "mix/test/a/bad.txt")
    expectError("[\(scratch.path)/mix/test/a/bad.txt]", "byte 1") {
      try DataSource.loadTexts(scratch.path + "/mix")
    }
    try FileManager.default.removeItem(atPath: scratch.path + "/mix/test/a/bad.txt")
    try scratch.write([0x61], "mix/test/c/1.txt")
    expectError("[\(scratch.path)/mix/test/c/1.txt]", "has 'a', 'b'") {
      try DataSource.loadTexts(scratch.path + "/mix")
    }
    let archive = try scratch.write(
      tar([("n/train/a/1", "x"), ("n/train/b/1", "y"), ("n/test/c/1", "z")]), "n.tar")
    expectError("[\(archive)/n/test/c/1]") { try DataSource.loadTexts(archive) }
  }

  /// A ustar archive (POSIX 1003.1) of small files.
  private func tar(_ files: [(name: String, text: String)]) -> [UInt8] {
    func field(_ text: String, _ size: Int) -> [UInt8] {
      Array(text.utf8) + [UInt8](repeating: 0, count: size - text.utf8.count)
    }
    func octal(_ number: Int, _ digits: Int) -> String {
      let text = String(number, radix: 8)
      return String(repeating: "0", count: digits - text.count) + text
    }
    var bytes: [UInt8] = []
    for file in files {
      var header =
        field(file.name, 100) + field("", 24) + field(octal(file.text.utf8.count, 11), 12)
      header += field("", 12) + [UInt8](repeating: 0x20, count: 8) + field("0", 1) + field("", 100)
      header += field("ustar", 6) + field("00", 2) + field("", 247)
      let sum = header.reduce(0) { $0 + Int($1) }
      header.replaceSubrange(148..<156, with: field(octal(sum, 6), 8))
      let padding = (512 - file.text.utf8.count % 512) % 512
      bytes += header + Array(file.text.utf8) + [UInt8](repeating: 0, count: padding)
    }
    return bytes + [UInt8](repeating: 0, count: 1024)
  }

  @Test func archivesHoldTextsByClass() throws {
    let files = ["train/a/1", "train/b/1", "test/a/7", "train/b/2"].map {
      (name: "news/\($0)", text: "text of \($0)")
    }
    let path = try scratch.write(tar(files), "news.tar")
    let loaded = try DataSource.loadTexts(path)
    #expect(loaded.train.classNames == ["a", "b"] && loaded.train.labels == [0, 1, 1])
    #expect(loaded.train.texts?.last == "text of train/b/2")
    #expect(loaded.test?.texts == ["text of test/a/7"])
    let wrong = try scratch.write(tar([("a/1", "x"), ("a/2", "y")]), "one.tar")
    #expect(throws: ApusError.self) { try DataSource.loadTexts(wrong) }
  }

  /// A model file can be damaged.
  @Test func impossibleColumnsAreRefused() throws {
    let path = try write("x\tsome text\ny\tmore\n", "s.tsv")
    for (text, target) in [(-1, 0), (0, -7), (5, 0), (0, Int.max)] {
      let json =
        #"{"textName":"t","textPosition":\#(text),"targetName":"c","#
        + #""targetPosition":\#(target),"hasHeader":false,"encoding":"utf-8"}"#
      let schema = try JSONDecoder().decode(TextSchema.self, from: Data(json.utf8))
      #expect(throws: ApusError.self) {
        try schema.dataset(readingFrom: path, classNames: ["x", "y"])
      }
    }
  }

  @Test func linesAreTexts() throws {
    let path = try write("one\ntwo, three\r\n\nlast", "lines.txt")
    let lines = try DataSource.unlabelledTexts(path, schema: nil, classNames: [])
    #expect(lines.texts == ["one", "two, three", "", "last"])
    let table = try write("\"a\nb\"\nc\n", "one.csv")
    let cells = try DataSource.unlabelledTexts(
      table, schema: nil, classNames: [], options: DataOptions(hasHeader: false))
    #expect(cells.texts == ["a\nb", "c"])
    #expect(throws: ApusError.self) {
      try DataSource.unlabelledTexts(try write("", "none.txt"), schema: nil, classNames: [])
    }
  }

  @Test func textsBecomePaddedTokens() throws {
    let encoding = try TextEncoding(
      tokenizer: try Tokenizer(training: ["a b c"], .init(.word, minimumCount: 1)),
      maximumLength: 3)
    let texts = try Dataset(
      name: "t", texts: ["a", "", "c b a b c", "b x"], labels: [0, 1, 0, 1],
      classNames: ["n", "p"])
    let tokens = try texts.tokenized(by: encoding)
    #expect(tokens.lengths == [1, 1, 3, 2] && tokens.featureShape == [3])
    #expect(try tokens.tokenBatch([3, 0]).tokens == [3, 1, 2, 0])
    #expect(try tokens.tokenBatch([2, 1]).tokens == [4, 3, 2, 1, 0, 0])
    #expect(try tokens.features == [2, 0, 0, 1, 0, 0, 4, 3, 2, 3, 1, 0])
    #expect(try tokens.subset([2, 2]).appending(tokens.subset([0])).lengths == [3, 3, 1])
    #expect(try tokens.fingerprint != tokens.subset([1, 0, 2, 3]).fingerprint)
    #expect(throws: ApusError.self) { try tokens.tokenBatch([4]) }
    #expect(throws: ApusError.self) { try texts.features }
    #expect(throws: ApusError.self) { try tokens.tokenized(by: encoding) }
    #expect(throws: ApusError.self) { try Dataset(name: "t", tokens: [[1], []], maximumLength: 4) }
    #expect(throws: ApusError.self) { try Dataset(name: "t", tokens: [[1, 2]], maximumLength: 1) }
  }

  @Test func bucketsHoldSimilarLengths() {
    let lengths = (0..<1000).map { $0 * 37 % 211 + 1 }
    for size in [1, 7, 32, 1000, .max] {
      let (order, ranges) = LengthBuckets.batches(lengths, batchSize: size, key: RandomKey(4))
      #expect(order.sorted() == Array(0..<1000))
      #expect(ranges.reduce(0) { $0 + $1.count } == 1000)
      #expect(ranges.count == (999 / min(size, 1000)) + 1)
      let again = LengthBuckets.batches(lengths, batchSize: size, key: RandomKey(4))
      #expect(again.order == order && again.ranges == ranges)
    }
    let (order, ranges) = LengthBuckets.batches(lengths, batchSize: 32, key: RandomKey(4))
    let padded = ranges.reduce(0) { sum, range in
      sum + range.count * (order[range].map { lengths[$0] }.max() ?? 0)
    }
    // In an order of chance it would be nearly twice as much.
    #expect(Double(padded) < 1.1 * Double(lengths.reduce(0, +)))
    #expect(LengthBuckets.batches(lengths, batchSize: 32, key: RandomKey(5)).order != order)
    let longest = ranges.map { range in order[range].map { lengths[$0] }.max() ?? 0 }
    #expect(longest != longest.sorted())
    #expect(LengthBuckets.batches([], batchSize: 8, key: RandomKey(1)).ranges.isEmpty)
  }
}
