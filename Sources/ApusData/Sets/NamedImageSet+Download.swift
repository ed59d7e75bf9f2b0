import ApusDevice

extension NamedImageSet {
  /// Fetches what `folder` lacks.
  func download(to folder: ImageFolder, options: DataOptions) throws {
    throw ApusError(.file, operation: name, "this build cannot download")
  }
}
