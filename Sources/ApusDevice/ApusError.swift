/// The one error type of the engine.
///
/// A message names the operation or file, the shapes or the line, the rule that was broken, and how
/// to mend it.
public struct ApusError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What was wrong, for programs that want to react to it.
  public enum Kind: String, Sendable, Hashable {
    /// Shapes that do not fit together.
    case shape
    /// An element type that the operation does not take.
    case dtype
    /// An argument out of its range.
    case value
    /// An unknown, absent or failing device.
    case device
    /// Memory that a device could not give.
    case outOfMemory
    /// A file that cannot be read or written, or is not what it claims to be.
    case file
    /// Data that was read but cannot be used.
    case data
    /// A call at the wrong time, such as a second use of a freed tape.
    case state
  }

  public let kind: Kind
  /// The operation, layer or file at fault.
  public let operation: String
  public let message: String

  public init(_ kind: Kind, operation: String, _ message: String) {
    self.kind = kind
    self.operation = operation
    self.message = message
  }

  public var description: String { "[\(operation)] \(message)" }
}
