import ApusData
import ApusDevice
import Foundation
import Testing

@Suite struct TableTests {
  private func table(_ text: String, hasHeader: Bool? = nil, _ delimiter: Character? = nil) throws
    -> CSVTable
  {
    try CSVTable(bytes: Array(text.utf8), path: "t.csv", delimiter: delimiter, hasHeader: hasHeader)
  }

  private func load(_ text: String, _ options: DataOptions = DataOptions()) throws -> Dataset {
    let table = try CSVTable(
      bytes: Array(text.utf8), path: "t.csv", delimiter: options.delimiter,
      hasHeader: options.hasHeader)
    return try TableSchema(inferringFrom: table, options: options).dataset(table, name: "t.csv")
  }

  @Test func takesQuotingApart() throws {
    let t = try table(
      "\u{FEFF}name,\"no, te\"\r\n\"a \"\"b\"\"\" , \"two\nlines\"\r\n\r\nc,\r\n", hasHeader: true)
    #expect(t.header == ["name", "no, te"])
    #expect(t.rowCount == 2)
    #expect(try t.text(0, 0) == "a \"b\"")
    #expect(try t.text(0, 1) == "two\nlines")
    #expect(try t.text(1, 1) == "")
    #expect(t[1, 0].line == 5)
    #expect(try table("a\rb\rc", hasHeader: false).rowCount == 3)
  }

  @Test func findsDelimitersAndHeaders() throws {
    #expect(try table("a;b\n1,5;2\n").columnCount == 2)
    #expect(try table("a\tb c\n1\t2\n").header == ["a", "b c"])
    #expect(try table("1|2\n3|4\n").header == nil)
    #expect(try table("x,y\nred,big\nblue,big\n").header == ["x", "y"])
    #expect(try table("red,big\nblue,big\n").header == nil)
    #expect(try table("1,2\n3,4\n", hasHeader: true).rowCount == 1)
    #expect(try table("a:b\n1:2\n", ":").columnCount == 2)
  }

  @Test func refusesDamagedText() {
    expectError("t.csv:3", "3 fields", "first has 2") { try table("a,b\n1,2\n1,2,3\n") }
    expectError("t.csv:2:3", "never closed") { try table("a,b\n1,\"2\n3,4\n") }
    expectError("t.csv:1:4", "closing quote") { try table("\"a\"b,c\n") }
    expectError("no records") { try table("\n\n") }
    expectError("no records") { try table("") }
    expectError("zero bytes") { try table("a\0b") }
    expectError("two columns 'a'") { try table("a,a\n1,2\n") }
    expectError("UTF-8", "t.csv:1:3") {
      try CSVTable(
        bytes: [0x61, 0x2C, 0xFF, 0x0A, 0x31, 0x2C, 0x32], path: "t.csv", hasHeader: true)
    }
    expectError("delimiter") { try table("a", "ü") }
  }

  @Test func encodesColumns() throws {
    let data = try load("size,colour,kind\n1.5,red,b\n-2e1,blue,a\n+3,red,b\n")
    #expect(data.featureNames == ["size", "colour=blue", "colour=red"])
    #expect(try data.features == [1.5, 0, 1, -20, 1, 0, 3, 0, 1])
    #expect(data.classNames == ["a", "b"])
    #expect(data.labels == [1, 0, 1])
    let byName = try load("y,x\n10,1\n9,2\n10,3\n", DataOptions(target: "y"))
    #expect(byName.classNames == ["9", "10"])
    #expect(byName.labels == [1, 0, 1])
    #expect(try load("10,1\n9,2\n", DataOptions(target: "1")).features == [1, 2])
    #expect(try load("10,1\n9,2\n", DataOptions(target: "-2")).features == [1, 2])
    let codes = try load("1,5,a\n2,6,b\n", DataOptions(categoricalColumns: ["1"]))
    #expect(try codes.features == [1, 0, 5, 0, 1, 6])
  }

  @Test func choosesTheTask() throws {
    #expect(try load("1,0.5\n2,1.5\n").targets == [0.5, 1.5])
    #expect(try load("1,2\n2,1\n", DataOptions(task: .regression)).targets == [2, 1])
    #expect(try load("1,0.5\n2,1.5\n", DataOptions(task: .classification)).classNames.count == 2)
    let many = (0..<40).map { "1,\($0)" }.joined(separator: "\n")
    expectError("40 different whole numbers", "--categorical 2", "--loss mse") { try load(many) }
    #expect(try load(many, DataOptions(task: .classification)).classNames.count == 40)
    #expect(try load(many, DataOptions(categoricalColumns: ["2"])).classNames.count == 40)
  }

  /// One number is one class, however it is written; codes that differ as numbers stay as they are.
  @Test func equalNumbersAreOneClass() throws {
    let mixed = try load("1,5\n2,5.0\n3,0\n4,-0\n5,1e2\n6,100\n")
    #expect(mixed.classNames == ["0", "5", "100"] && mixed.labels == [1, 1, 0, 0, 2, 2])
    #expect(try load("1,01\n2,02\n3,01\n").classNames == ["01", "02"])
    let schema = try TableSchema(
      inferringFrom: table("x,y\n1,5\n2,0\n"), options: DataOptions())
    #expect(try schema.dataset(table("x,y\n1,0.0\n2,5\n"), name: "later").labels == [0, 1])
    #expect(
      try schema.dataset(table("x,z\n1,0\n2,5\n"), name: "later", target: "z").labels == [0, 1])
  }

  /// Differences that Float would blur are refused, for features and for targets.
  @Test func refusesNumbersFarFromZero() throws {
    expectError("t.csv:2:1", "column 'x'", "around 1e+09", "subtract") {
      try load("x,y\n1000000000,a\n1000000010,b\n1000000020,a\n")
    }
    expectError("column 'y'", "subtract") { try load("x,y\n1,1e9\n2,1000000010.5\n") }
    #expect(try load("x,y\n1600000000,a\n1610000000,b\n").count == 2)
    #expect(try load("x,y\n1000000000,a\n1000000000,b\n").count == 2)
  }

  /// Schemas of damaged files.
  @Test func refusesSchemasNobodyMade() throws {
    func check(
      _ positions: [Int], target: Int = 2, names: [String] = ["a", "b"], features: Int = 2,
      classes: [String] = ["n", "p"], categories: [String]? = nil
    ) throws {
      let kind: TableSchema.Column.Kind = categories.map { .categorical($0) } ?? .numeric
      try TableSchema(
        columns: zip(names, positions).map { .init(name: $0, kind: kind, position: $1) },
        targetName: "y", targetPosition: target, target: .classes(["n", "p"]), hasHeader: true
      ).requireFit(featureCount: features, classNames: classes, path: "m.safetensors")
    }
    try check([0, 1])
    expectError("m.safetensors", "[-1, 1]") { try check([-1, 1]) }
    expectError("[0, 0]") { try check([0, 0]) }
    expectError("target at 99") { try check([0, 1], target: 99) }
    expectError("same name") { try check([0, 1], names: ["a", "a"]) }
    expectError("makes 2 features") { try check([0, 1], features: 3) }
    expectError("not the model's") { try check([0, 1], classes: ["p", "n"]) }
    expectError("not different") { try check([0, 1], features: 4, categories: ["r", "r"]) }
  }

  @Test func refusesUnusableValues() {
    expectError("t.csv:3:3", "'b'", "missing") { try load("a,b,y\n1,2,x\n1,,x\n") }
    expectError("t.csv:2:1", "'a'", "missing") { try load("a,b,y\nNaN,2,x\n1,2,x\n") }
    expectError("t.csv:2:1", "not a finite") { try load("a,b,y\ninf,2,x\n1,2,x\n") }
    expectError("t.csv:2:1", "range") { try load("a,b,y\n1e99,2,x\n1,2,x\n") }
    expectError("t.csv:3:1", "'1.2x'", "1 other fields") { try load("a,y\n1,x\n1.2x,x\n") }
    expectError("t.csv:2:3", "missing") { try load("a,y\n1,\n2,x\n") }
    expectError("t.csv:3:3", "missing") {
      try load("a,y\n1,2.5\n2,\n", DataOptions(task: .regression))
    }
    expectError("t.csv:2:1", "decimal comma") { try load("a;y\n1,5;x\n2,5;x\n") }
    expectError("t.csv:2:1", "'+-5' is no number") { try load("a,y\n+-5,x\n2,x\n") }
    expectError("no column 'z'", "'a'") { try load("a,y\n1,x\n", DataOptions(target: "z")) }
    expectError("no column '3'") { try load("a,y\n1,x\n", DataOptions(target: "3")) }
    expectError("single column") { try load("a\n1\n") }
    let words = (0..<1001).map { "w\($0),\($0 % 2)" }.joined(separator: "\n")
    expectError("identifiers", "t.csv:1001:1") { try load(words) }
  }

  @Test func encodesLaterTablesTheSameWay() throws {
    let training = try table("size,colour,kind\n1,red,a\n2,blue,b\n")
    let made = try TableSchema(inferringFrom: training, options: DataOptions())
    let json = try JSONEncoder().encode(made)
    let schema = try JSONDecoder().decode(TableSchema.self, from: json)
    #expect(schema == made)
    #expect(schema.featureCount == 3)

    let later = try schema.dataset(table("extra,colour,size\nq,blue,7\n"), name: "later")
    #expect(try later.features == [7, 1, 0])
    #expect(later.labels.isEmpty)
    #expect(later.classNames == ["a", "b"])
    let labelled = try schema.dataset(
      table("kind,size,colour\nb,1,red\n", hasHeader: true), name: "later")
    #expect(labelled.labels == [1])
    let bare = try schema.dataset(table("4,red\n", hasHeader: false), name: "later")
    #expect(try bare.features == [4, 0, 1])
    let unwanted = try schema.dataset(
      table("kind,size,colour\n?,1,red\n", hasHeader: true), name: "later", withTarget: false)
    #expect(unwanted.labels.isEmpty)
    expectError("t.csv:3:3", "'colour'", "'green'", "'blue', 'red'") {
      try schema.dataset(table("size,colour\n1,red\n1,green\n"), name: "later")
    }
    expectError("t.csv:1", "'colour'") { try schema.dataset(table("size,x\n1,2\n"), name: "later") }
    expectError("t.csv:2:1", "none of the classes") {
      try schema.dataset(table("kind,size,colour\nc,1,red\n", hasHeader: true), name: "later")
    }
    expectError("4 columns", "needs 2") {
      try schema.dataset(table("1,2,3,4\n", hasHeader: false), name: "later")
    }
  }
}
