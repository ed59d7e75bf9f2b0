import ApusDevice

/// What an NPY file says of its array: the text of a Python dictionary.
struct NPYHeader {
  /// Such as `<f4`.
  private(set) var descriptor = ""
  private(set) var isFortranOrder = false
  private(set) var shape: [Int] = []

  private var rest: Substring.UnicodeScalarView
  private let name: String

  init(text: String, name: String) throws {
    self.rest = Substring(text).unicodeScalars
    self.name = name
    var missing: Set = ["descr", "fortran_order", "shape"]
    try expect("{")
    while !accept("}") {
      let key = try string()
      guard missing.remove(key) != nil else { throw failure("has an unexpected field '\(key)'") }
      try expect(":")
      switch key {
      case "descr":
        guard peek != "[" else {
          throw failure("holds records with fields; store each field as an array of its own")
        }
        descriptor = try string()
      case "fortran_order": isFortranOrder = try boolean()
      default: shape = try tuple()
      }
      guard accept(",") else {
        try expect("}")
        break
      }
    }
    guard missing.isEmpty else {
      throw failure("lacks \(missing.sorted().joined(separator: ", "))")
    }
  }

  private var peek: Unicode.Scalar? { rest.first }

  private mutating func skipSpace() {
    while let first = rest.first, first == " " || first == "\n" { rest.removeFirst() }
  }

  private mutating func accept(_ scalar: Unicode.Scalar) -> Bool {
    skipSpace()
    guard rest.first == scalar else { return false }
    rest.removeFirst()
    skipSpace()
    return true
  }

  private mutating func expect(_ scalar: Unicode.Scalar) throws {
    guard accept(scalar) else {
      throw failure("is no dictionary of descr, fortran_order and shape ('\(scalar)' expected)")
    }
  }

  private mutating func string() throws -> String {
    skipSpace()
    guard let quote = rest.first, quote == "'" || quote == "\"" else {
      throw failure("lacks a quoted text")
    }
    rest.removeFirst()
    let text = rest.prefix { $0 != quote }
    rest = rest.dropFirst(text.count)
    guard rest.popFirst() != nil else { throw failure("has an open quote") }
    return String(String.UnicodeScalarView(text))
  }

  private mutating func word() -> String {
    let text = rest.prefix { $0.properties.isAlphabetic || ("0"..."9").contains($0) }
    rest = rest.dropFirst(text.count)
    return String(String.UnicodeScalarView(text))
  }

  private mutating func boolean() throws -> Bool {
    switch word() {
    case "True": return true
    case "False": return false
    default: throw failure("has a fortran_order that is neither True nor False")
    }
  }

  private mutating func tuple() throws -> [Int] {
    try expect("(")
    var extents: [Int] = []
    while !accept(")") {
      var digits = word()
      if digits.last == "L" { digits.removeLast() }
      guard let extent = Int(digits), extents.count < 64 else {
        throw failure("has a shape that is no tuple of at most 64 extents")
      }
      extents.append(extent)
      guard accept(",") else {
        try expect(")")
        break
      }
    }
    return extents
  }

  private func failure(_ what: String) -> ApusError {
    ApusError(.file, operation: name, "is not a usable NPY file: its header \(what)")
  }
}
