import ApusNN

/// A model with all it needs to predict from raw examples, which a file of its own holds.
public protocol StoredModel: Sendable {
  /// What the file is to hold.
  func file() throws -> ModelFile
}

extension StoredModel {
  /// Writes the model file, atomically.
  public func write(to path: String) throws { try file().write(to: path) }
}
