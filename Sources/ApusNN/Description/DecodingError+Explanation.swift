extension DecodingError {
  /// What is wrong, and at which key.
  func explanation(of thing: String) -> String {
    func place(_ context: Context) -> String {
      let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }
        .joined()
      return path.isEmpty ? "" : " at \(path.hasPrefix(".") ? String(path.dropFirst()) : path)"
    }
    switch self {
    case .keyNotFound(let key, let context):
      return "the \(thing) lacks '\(key.stringValue)'\(place(context))"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      return "the \(thing) has a value of the wrong type\(place(context)): "
        + context.debugDescription
    case .dataCorrupted(let context):
      return "the \(thing) is not valid JSON\(place(context)): \(context.debugDescription)"
    @unknown default:
      return "the \(thing) cannot be read: \(self)"
    }
  }
}
