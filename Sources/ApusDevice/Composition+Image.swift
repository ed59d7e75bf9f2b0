extension Backend {
  func composeImage(_ command: Command) throws {
    throw ApusError(.device, operation: "\(command.operation)", "not composed yet")
  }
}
