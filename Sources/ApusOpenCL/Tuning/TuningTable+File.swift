import ApusDevice
import Foundation

/// How the table lies in its file.
extension TuningTable {
  /// The lines of a file that are whole, and how many are not; none where there is no file.
  /// - Throws: `ApusError` where there is one that cannot be read.
  package static func read(_ path: String) throws -> (entries: [TuningKey: [Int]], damaged: Int) {
    guard let data = try contents(path) else { return ([:], 0) }
    var entries: [TuningKey: [Int]] = [:]
    var damaged = 0
    // Editors may have left lines that end by CR and LF, which are one character.
    for line in String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline)
    where !line.hasPrefix("#") {
      if let (key, choice) = parse(line) { entries[key] = choice } else { damaged += 1 }
    }
    return (entries, damaged)
  }

  /// - Returns: nil where there is no such file.
  private static func contents(_ path: String) throws -> Data? {
    func failure(_ reason: String) -> ApusError {
      ApusError(
        .file, operation: path,
        "cannot be read: \(reason); mend it (`chmod u+r` where rights are missing), or forget what it "
          + "has by `apus tune --reset`")
    }
    let file = open(path, O_RDONLY | O_CLOEXEC)
    if file < 0 {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw failure(String(cString: strerror(errno)))
    }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
      close(file)
      throw failure("it is a directory")
    }
    do {
      return try FileHandle(fileDescriptor: file, closeOnDealloc: true).readToEnd() ?? Data()
    } catch {
      throw failure(error.localizedDescription)
    }
  }

  static func line(_ key: TuningKey, _ choice: [Int]) -> String {
    func words(_ numbers: [Int]) -> String { numbers.map(String.init).joined(separator: " ") }
    let text = "\(key.operation) \(words(key.sizes)) = \(words(choice))"
    return "\(text) #\(String(fnv1a(Array(text.utf8)), radix: 16))"
  }

  private static func parse(_ line: Substring) -> (TuningKey, [Int])? {
    guard let mark = line.lastIndex(of: "#"), mark > line.startIndex else { return nil }
    let text = line[..<line.index(before: mark)]
    guard String(fnv1a(Array(text.utf8)), radix: 16) == line[line.index(after: mark)...] else {
      return nil
    }
    let words = text.split(separator: " ")
    guard let operation = words.first, let equals = words.firstIndex(of: "="),
      equals > 0
    else { return nil }
    let (sizes, choice) = (
      words[1..<equals].map { Int($0) }, words[(equals + 1)...].map { Int($0) }
    )
    guard !sizes.contains(nil), !choice.contains(nil), !choice.isEmpty else { return nil }
    return (
      TuningKey(operation: String(operation), sizes: sizes.compactMap { $0 }),
      choice.compactMap { $0 }
    )
  }
}
