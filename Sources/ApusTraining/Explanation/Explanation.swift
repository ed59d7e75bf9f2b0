import ApusData
import ApusDevice
import ApusNN
import ApusTensor

/// What a model of images saw in one of them: the filters of its first convolution, the feature maps
/// of all, and where the evidence for a class lies.
///
/// The last is Grad-CAM (Selvaraju et al. 2017): with `A` the last feature map that still has an
/// extent, and `α_k` the mean over the plane of the class logit's gradient with respect to channel `k`,
/// the map is `max(Σ_k α_k · A_k, 0)`.
public struct Explanation: Sendable {
  /// Planes of one layer.
  public struct Maps: Sendable {
    public let layer: String
    public let channels: Int
    public let height: Int
    public let width: Int
    /// Row-major `[channels, height, width]`.
    public let values: [Float]
  }

  /// The image as the data holds it, before preprocessing.
  public let image: Maps
  /// The first convolution's filters; `channels` counts outputs times inputs per group.
  public let filters: Maps
  /// How many of the filters' planes belong to one output.
  public let planesPerFilter: Int
  public let features: [Maps]
  /// One plane, its values in 0…1; all 0 where nothing speaks for the class.
  public let evidence: Maps
  public let probabilities: [Float]
  /// The class that `evidence` is about.
  public let classIndex: Int
  public let classNames: [String]
  /// The value that shows as white.
  public let pixelMaximum: Float

  /// Looks at one example.
  /// - Parameters:
  ///   - index: Which one.
  ///   - classIndex: The most probable class for nil.
  /// - Throws: ``ApusError`` where the model has no convolution over images, there is no such example or
  ///   class, or what the model gives is not finite.
  public init(
    of classifier: Classifier, _ examples: Dataset, index: Int = 0, classIndex: Int? = nil
  ) throws {
    let model = classifier.model
    let layers = model.featureLayers
    guard let first = layers.first, model.inputs.count == 1, model.inputs[0].shape.count == 3,
      let target = layers.last(where: { $0.shape[1] * $0.shape[2] > 1 }) ?? layers.last
    else {
      throw ApusError(
        .shape, operation: model.description.name ?? "model",
        "has no Conv2d over images, so there are neither filters nor feature maps to show")
    }
    if let classIndex, !classifier.classNames.indices.contains(classIndex) {
      throw ApusError(
        .value, operation: "explain",
        "there is no class \(classIndex); the model has \(classifier.classNames.count)")
    }
    let shape = model.inputs[0].shape
    guard examples.count > 0, examples.featureShape == shape else {
      throw ApusError(
        .shape, operation: examples.name,
        "examples have shape \(examples.featureShape), the model takes \(shape)")
    }
    guard (0..<examples.count).contains(index) else {
      throw ApusError(
        .value, operation: examples.name,
        "there is no example \(index); it holds \(examples.count), numbered from 0")
    }
    let example = try examples.subset([index])
    let prepared = try classifier.preprocessing.applied(to: example)
    let x = try Tensor(prepared.features, shape: [1] + shape, on: classifier.device)

    let tape = Tape()
    let ends = Set(layers.map(\.result))
    var seen: [String: Tensor] = [:]
    var watched: Tensor?
    let outputs = try model.observed([x], .evaluation) { node, result in
      guard ends.contains(node.name) else { return result }
      seen[node.name] = result.detached
      guard node.name == target.result else { return result }
      let map = try tape.watch(result.detached)
      watched = map
      return map
    }
    guard let logits = outputs.first, outputs.count == 1, logits.rank == 2, let watched else {
      throw ApusError(
        .shape, operation: "explain", "the model's outputs \(model.outputShapes) are no logits")
    }
    let shares = try logits.detached.softmax(axis: 1).scalars()
    guard shares.allSatisfy(\.isFinite) else {
      throw model.notFinite(classifier.path, example: index)
    }
    let chosen = classIndex ?? (shares.indices.max { shares[$0] < shares[$1] } ?? 0)
    let score = try logits.select(axis: 1, index: chosen).sum()
    let gradient = try tape.gradients(of: score, for: [watched])[0]
    let weights = try gradient.mean(axes: [2, 3], keepDims: true)
    let cam = try (weights * watched.detached).sum(axes: [1]).relu()

    probabilities = shares
    self.classIndex = chosen
    classNames = classifier.classNames
    let pixels = try example.features
    pixelMaximum = classifier.pixelMaximum ?? max(pixels.max() ?? 1, 1e-6)
    image = Maps(
      layer: model.inputs[0].name, channels: shape[0], height: shape[1], width: shape[2],
      values: pixels)
    evidence = try Self.evidence(cam, layer: target.result)
    let kernel = try Self.kernel(of: first, in: model)
    filters = kernel.maps
    planesPerFilter = kernel.planes
    features = try Self.features(layers, seen)
    for maps in [filters, evidence] + features where !maps.values.allSatisfy(\.isFinite) {
      throw model.notFinite(
        classifier.path, example: index, "what '\(maps.layer)' gives is not finite")
    }
  }

  private static func features(
    _ layers: [GraphModel.FeatureLayer], _ seen: [String: Tensor]
  ) throws -> [Maps] {
    try layers.compactMap { layer in
      try seen[layer.result].map { map in
        Maps(
          layer: layer.convolution, channels: layer.shape[0], height: layer.shape[1],
          width: layer.shape[2], values: try map.scalars())
      }
    }
  }

  private static func kernel(
    of layer: GraphModel.FeatureLayer, in model: GraphModel
  ) throws -> (maps: Maps, planes: Int) {
    guard let weight = model.state()[layer.convolution + ".weight"], weight.rank == 4 else {
      throw ApusError(.state, operation: layer.convolution, "has no weight of four axes")
    }
    let shape = weight.shape
    let maps = Maps(
      layer: layer.convolution, channels: shape[0] * shape[1], height: shape[2], width: shape[3],
      values: try weight.scalars())
    return (maps, shape[1])
  }

  private static func evidence(_ cam: Tensor, layer: String) throws -> Maps {
    let values = try cam.scalars()
    let largest = values.max() ?? 0
    return Maps(
      layer: layer, channels: 1, height: cam.shape[1], width: cam.shape[2],
      values: values.map { largest > 0 ? $0 / largest : 0 })
  }
}
