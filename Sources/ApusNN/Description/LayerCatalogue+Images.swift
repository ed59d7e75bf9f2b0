import ApusDevice
import ApusTensor

/// Layers on images and sequences.
extension LayerCatalogue {
  static let imageTypes = [
    "AdaptiveAvgPool2d", "AvgPool2d", "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d",
    "ConvTranspose1d", "ConvTranspose2d", "GroupNorm", "MaxPool1d", "MaxPool2d", "Shortcut",
    "Upsample",
  ]

  /// The layer, or nil where `type` is none of these.
  static func image(
    _ type: String, _ shape: [Int], _ reader: inout AttributeReader, _ parameters: ParameterSource
  ) throws -> BuiltLayer? {
    let name = reader.layer.name
    switch type {
    case "Conv2d", "Conv1d":
      let layer: any EpilogueLayer & ShapedLayer =
        type == "Conv2d"
        ? try conv2d(shape, &reader, parameters) : try conv1d(shape, &reader, parameters)
      return BuiltLayer(
        kind: .epilogue(layer, try activation(named: try reader.text("activation"), reader)),
        outputShape: try layer.outputShape(of: shape))
    case "ConvTranspose2d": return try shaped(try transpose2d(shape, &reader, parameters), shape)
    case "ConvTranspose1d": return try shaped(try transpose1d(shape, &reader, parameters), shape)
    case "BatchNorm1d", "BatchNorm2d":
      let norm = try parameters.batchNorm(
        name, try channels("numFeatures", shape, &reader),
        epsilon: try reader.float("epsilon", default: 1e-5),
        momentum: try reader.float("momentum", default: 0.1),
        affine: try reader.bool("affine", default: true),
        trackRunningStats: try reader.bool("trackRunningStats", default: true))
      let layer: any EpilogueLayer & ShapedLayer =
        type == "BatchNorm1d" ? BatchNorm1d(norm) : BatchNorm2d(norm)
      return BuiltLayer(
        kind: .epilogue(layer, nil), outputShape: try layer.outputShape(of: shape))
    case "GroupNorm":
      return try shaped(
        try parameters.groupNorm(
          name, try reader.integer("numGroups"), try channels("numChannels", shape, &reader),
          epsilon: try reader.float("epsilon", default: 1e-5),
          affine: try reader.bool("affine", default: true)), shape)
    case "Upsample": return try shaped(try upsample(&reader), shape)
    case "Shortcut":
      return try shaped(
        try Shortcut(
          outChannels: try reader.integer("outChannels", default: shape.first ?? 0),
          stride: try reader.integer("stride", default: 1)), shape)
    default: return try pool(type, shape, &reader)
    }
  }

  private static func pool(
    _ type: String, _ shape: [Int], _ reader: inout AttributeReader
  ) throws -> BuiltLayer? {
    switch type {
    case "MaxPool2d":
      let kernel = try reader.size("kernelSize")
      return try shaped(
        try MaxPool2d(
          kernelSize: kernel, stride: try reader.size("stride", default: kernel),
          padding: try reader.size("padding", default: 0),
          dilation: try reader.size("dilation", default: 1),
          ceilMode: try reader.bool("ceilMode", default: false)), shape)
    case "MaxPool1d":
      let kernel = try reader.integer("kernelSize")
      return try shaped(
        try MaxPool1d(
          kernelSize: kernel, stride: try reader.integer("stride", default: kernel),
          padding: try reader.integer("padding", default: 0),
          dilation: try reader.integer("dilation", default: 1),
          ceilMode: try reader.bool("ceilMode", default: false)), shape)
    case "AvgPool2d":
      let kernel = try reader.size("kernelSize")
      return try shaped(
        try AvgPool2d(
          kernelSize: kernel, stride: try reader.size("stride", default: kernel),
          padding: try reader.size("padding", default: 0),
          ceilMode: try reader.bool("ceilMode", default: false),
          countIncludePad: try reader.bool("countIncludePad", default: true)), shape)
    case "AdaptiveAvgPool2d":
      return try shaped(try AdaptiveAvgPool2d(try reader.size("outputSize")), shape)
    default: return nil
    }
  }

  private static func shaped(_ layer: any ShapedLayer, _ shape: [Int]) throws -> BuiltLayer {
    BuiltLayer(kind: .layer(layer), outputShape: try layer.outputShape(of: shape))
  }

  /// The number of channels of the input, which an attribute may repeat.
  private static func channels(
    _ key: String, _ shape: [Int], _ reader: inout AttributeReader
  ) throws -> Int {
    guard let found = shape.first else { throw reader.error("takes at least one axis") }
    let claimed = try reader.integer(key, default: found)
    guard claimed == found else {
      throw reader.error("\(key) is \(claimed), its input has shape \(shape)")
    }
    return found
  }

  /// The channels and groups that all convolutions have.
  private static func rule(
    _ shape: [Int], _ reader: inout AttributeReader
  ) throws -> ConvolutionRule {
    let rule = ConvolutionRule(
      layer: reader.layer.type, inChannels: try channels("inChannels", shape, &reader),
      outChannels: try reader.integer("outChannels"),
      groups: try reader.integer("groups", default: 1))
    try rule.validate()
    return rule
  }

  private static func conv2d(
    _ shape: [Int], _ reader: inout AttributeReader, _ parameters: ParameterSource
  ) throws -> Conv2d {
    let rule = try rule(shape, &reader)
    let kernel = try reader.size("kernelSize").validated("kernelSize", reader)
    let weights = try parameters.convolution(
      reader.layer.name, rule,
      weight: [rule.outChannels, rule.inChannels / rule.groups, kernel.height, kernel.width],
      bias: try reader.bool("bias", default: true), initializer: try initializer(&reader))
    return try Conv2d(
      weight: weights.weight, bias: weights.bias, stride: try reader.size("stride", default: 1),
      padding: try reader.padding("padding"), dilation: try reader.size("dilation", default: 1),
      groups: rule.groups, paddingMode: try reader.paddingMode("paddingMode"))
  }

  private static func conv1d(
    _ shape: [Int], _ reader: inout AttributeReader, _ parameters: ParameterSource
  ) throws -> Conv1d {
    let rule = try rule(shape, &reader)
    let kernel = try Size2D(1, reader.integer("kernelSize")).validated("kernelSize", reader).width
    let weights = try parameters.convolution(
      reader.layer.name, rule, weight: [rule.outChannels, rule.inChannels / rule.groups, kernel],
      bias: try reader.bool("bias", default: true), initializer: try initializer(&reader))
    return try Conv1d(
      weight: weights.weight, bias: weights.bias, stride: try reader.integer("stride", default: 1),
      padding: try reader.padding("padding", isFlat: true),
      dilation: try reader.integer("dilation", default: 1), groups: rule.groups,
      paddingMode: try reader.paddingMode("paddingMode"))
  }

  private static func transpose2d(
    _ shape: [Int], _ reader: inout AttributeReader, _ parameters: ParameterSource
  ) throws -> ConvTranspose2d {
    let rule = try rule(shape, &reader)
    let kernel = try reader.size("kernelSize").validated("kernelSize", reader)
    let weights = try parameters.convolution(
      reader.layer.name, rule,
      weight: [rule.inChannels, rule.outChannels / rule.groups, kernel.height, kernel.width],
      bias: try reader.bool("bias", default: true), initializer: try initializer(&reader))
    return try ConvTranspose2d(
      weight: weights.weight, bias: weights.bias, stride: try reader.size("stride", default: 1),
      padding: try reader.size("padding", default: 0),
      outputPadding: try reader.size("outputPadding", default: 0), groups: rule.groups,
      dilation: try reader.size("dilation", default: 1))
  }

  private static func transpose1d(
    _ shape: [Int], _ reader: inout AttributeReader, _ parameters: ParameterSource
  ) throws -> ConvTranspose1d {
    let rule = try rule(shape, &reader)
    let kernel = try Size2D(1, reader.integer("kernelSize")).validated("kernelSize", reader).width
    let weights = try parameters.convolution(
      reader.layer.name, rule, weight: [rule.inChannels, rule.outChannels / rule.groups, kernel],
      bias: try reader.bool("bias", default: true), initializer: try initializer(&reader))
    return try ConvTranspose1d(
      weight: weights.weight, bias: weights.bias, stride: try reader.integer("stride", default: 1),
      padding: try reader.integer("padding", default: 0),
      outputPadding: try reader.integer("outputPadding", default: 0), groups: rule.groups,
      dilation: try reader.integer("dilation", default: 1))
  }

  private static func upsample(_ reader: inout AttributeReader) throws -> Upsample {
    // Both are known, whichever is given.
    let size = try reader.size("size", default: 0)
    let factor = try reader.number("scaleFactor")
    let target: Upsample.Target
    if reader.has("size") {
      guard factor == nil else { throw reader.error("takes 'size' or 'scaleFactor', not both") }
      target = .size(size)
    } else {
      guard let factor, factor > 0 else {
        throw reader.error("needs 'size' or a positive 'scaleFactor'")
      }
      target = .scale(height: factor, width: factor)
    }
    let mode: Upsampling.Mode
    switch try reader.text("mode") ?? "nearest" {
    case "nearest": mode = .nearest
    case "bilinear": mode = .bilinear
    case let other: throw reader.error("mode '\(other)' is unknown; known are bilinear, nearest")
    }
    return try Upsample(
      target, mode: mode, alignsCorners: try reader.bool("alignsCorners", default: false))
  }
}

extension Size2D {
  /// Refuses extents that no weight can have, before they are multiplied.
  fileprivate func validated(_ name: String, _ reader: AttributeReader) throws -> Size2D {
    guard (1...WindowRule.largest).contains(height), (1...WindowRule.largest).contains(width) else {
      throw reader.error("\(name) is \(self); it must be within 1...\(WindowRule.largest)")
    }
    return self
  }
}

extension AttributeReader {
  func has(_ key: String) -> Bool { layer.attributes[key] != nil }

  /// A whole number for both axes, or a list of height and width.
  mutating func size(_ key: String, default value: Size2D? = nil) throws -> Size2D {
    if let value, !has(key) {
      _ = try list(key, default: [])  // Known, though left out.
      return value
    }
    guard has(key) else { throw error("needs '\(key)', a whole number or [height, width]") }
    if case .numbers(let numbers) = layer.attributes[key] {
      throw error("'\(key)' must be a whole number or [height, width], not \(numbers)")
    }
    let numbers = try list(key, default: [])
    guard let first = numbers.first, let last = numbers.last, numbers.count <= 2 else {
      throw error("'\(key)' must be a whole number or [height, width], not \(numbers)")
    }
    return Size2D(first, last)
  }

  /// A size, `"same"` or `"valid"`.
  mutating func padding(_ key: String, isFlat: Bool = false) throws -> ConvolutionPadding {
    if case .text(let text) = layer.attributes[key] {
      switch try self.text(key) {
      case "same": return .same
      case "valid": return .valid
      default: throw error("'\(key)' is '\(text)'; it must be numbers, \"same\" or \"valid\"")
      }
    }
    if isFlat { return .zeros(height: 0, width: try integer(key, default: 0)) }
    let size = try size(key, default: 0)
    return .zeros(height: size.height, width: size.width)
  }

  mutating func paddingMode(_ key: String) throws -> PaddingMode {
    switch try text(key) ?? "zeros" {
    case "zeros": return .constant(0)
    case "reflect": return .reflect
    case "replicate": return .replicate
    case "circular": return .circular
    case let other:
      throw error(
        "paddingMode '\(other)' is unknown; known are circular, reflect, replicate, zeros")
    }
  }
}
