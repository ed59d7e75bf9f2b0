import ApusDevice

/// Random changes of training images, in the order in which they are named:
/// `flip,crop:4,rotate:10,mixup:0.2`.
///
/// What becomes of an image follows from the image and a key alone. Text form, description and coding
/// are the same.
public struct Augmentation: Sendable {
  public let steps: [any ImageTransform]
  public let mixup: Mixup?

  /// Nothing happens.
  public static let none = Augmentation()

  private init() { (steps, mixup) = ([], nil) }

  private static let known: [any ImageTransform.Type] = [
    HorizontalFlip.self, VerticalFlip.self, RandomCrop.self, RandomResizedCrop.self, Rotate.self,
    Translate.self, Scale.self, ColorJitter.self, Cutout.self,
  ]

  /// How each transform is written, for help texts.
  public static var forms: [String] { known.map { $0.form } + [Mixup.form] }

  /// - Parameter text: Transforms separated by commas; empty or `none` for nothing.
  /// - Throws: ``ApusError`` for unknown names, saying which there are, and for bad arguments.
  public init(parsing text: String) throws {
    var steps: [any ImageTransform] = []
    var mixup: Mixup?
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map {
      String($0).trimmed
    }
    for part in parts where parts != [""] && parts != ["none"] {
      let name = String(part.prefix { $0 != ":" })
      let argument = part == name ? nil : String(part.dropFirst(name.count + 1))
      if name == "mixup" {
        guard mixup == nil, let argument, let alpha = Float(argument) else {
          throw ApusError(
            .value, operation: "augment", "'\(part)': the form is \(Mixup.form), at most once")
        }
        mixup = try Mixup(alpha: alpha)
      } else if let transform = Augmentation.known.first(where: { $0.name == name }) {
        steps.append(try transform.init(argument: argument))
      } else {
        throw ApusError(
          .value, operation: "augment",
          "'\(part)' is unknown; known are \(Augmentation.forms.joined(separator: ", "))")
      }
    }
    (self.steps, self.mixup) = (steps, mixup)
  }

  public var isNone: Bool { steps.isEmpty && mixup == nil }

  /// Changes one image by all transforms but mixup, which needs a batch.
  public func apply(to image: inout RasterImage, key: RandomKey) {
    apply(to: &image, key: key, without: nil)
  }

  /// - Parameter done: The place of a step that is left out.
  func apply(to image: inout RasterImage, key: RandomKey, without done: Int?) {
    var map: AffineMap?
    for (position, step) in steps.enumerated() where position != done {
      let key = key.folded(UInt64(position))
      if let affine = step as? any AffineTransform {
        let next = affine.map(height: image.height, width: image.width, key: key)
        map = map?.then(next) ?? next
      } else {
        if let joined = map { image.warp(joined) }
        map = nil
        step.apply(to: &image, key: key)
      }
    }
    if let map { image.warp(map) }
  }
}

extension Augmentation: CustomStringConvertible, Hashable, Codable {
  public var description: String {
    let texts = steps.map(\.description) + (mixup.map { ["mixup:\($0.alpha)"] } ?? [])
    return texts.isEmpty ? "none" : texts.joined(separator: ",")
  }

  public static func == (a: Augmentation, b: Augmentation) -> Bool {
    a.description == b.description
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(description) }

  public init(from decoder: any Decoder) throws {
    try self.init(parsing: decoder.singleValueContainer().decode(String.self))
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

extension String {
  fileprivate var trimmed: String {
    String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
  }
}
