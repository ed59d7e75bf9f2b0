import ApusDevice

extension Dataset {
  /// An image changed at random, but for mixing.
  ///
  /// Of a photo of a folder, `resized-crop` takes its part from the file's own pixels, before all other
  /// changes.
  /// - Parameters:
  ///   - key: Gives the changes.
  ///   - background: What lies outside, one value per channel; 0 for nil.
  ///   - maximum: The data's ``pixelMaximum``.
  /// - Throws: ``ApusError`` for an index outside, for examples that are no images, and naming the file
  ///   that cannot be decoded.
  public func augmented(
    _ index: Int, by augmentation: Augmentation, key: RandomKey, background: [Float]? = nil,
    maximum: Float = 255
  ) throws -> RasterImage {
    try check([index])
    let (values, cropped) = try start(index, augmentation, key)
    var image = try RasterImage(
      values, shape: featureShape, background: background, maximum: maximum)
    augmentation.apply(to: &image, key: key, without: cropped)
    return image
  }

  /// The image to begin with, and the step that is done by that.
  private func start(
    _ index: Int, _ augmentation: Augmentation, _ key: RandomKey
  ) throws -> (values: [Float], cropped: Int?) {
    if let position = augmentation.steps.firstIndex(where: { $0 is RandomResizedCrop }),
      let crop = augmentation.steps[position] as? RandomResizedCrop,
      let photo = try original(index)
    {
      let size = ImageSize(height: featureShape[1], width: featureShape[2])
      return (try crop.cut(photo, to: size, key: key.folded(UInt64(position))), position)
    }
    var values: [Float] = []
    values.reserveCapacity(featureCount)
    try append(index, to: &values)
    return (values, nil)
  }
}
