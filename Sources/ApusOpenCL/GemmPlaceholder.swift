import ApusDevice

extension OpenCLBackend {
  /// `.gemm` and `.linear`.
  func enqueueGemm(_ command: Command) throws {
    if command.operation.isFused { try compose(command) } else { throw unavailable(command) }
  }
}
