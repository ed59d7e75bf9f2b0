import ApusData
import ApusDevice
import ApusNN
import ApusTensor
import Foundation

/// A model of numbers with all it needs to predict from raw examples or, for a forecast, from a series.
public struct Regressor: StoredModel {
  public let model: GraphModel
  public let preprocessing: Preprocessing
  public let scaling: TargetScaling
  public let loss: RegressionLoss
  /// For tables: how columns become features.
  public let schema: TableSchema?
  /// For forecasts: what is forecast from what.
  public let forecasting: Forecasting?
  public let device: Device
  /// The file it was read from, for messages.
  package private(set) var path: String?

  public init(
    model: GraphModel, preprocessing: Preprocessing, scaling: TargetScaling,
    loss: RegressionLoss = .mse, schema: TableSchema? = nil, forecasting: Forecasting? = nil,
    device: Device
  ) {
    self.model = model
    self.preprocessing = preprocessing
    self.scaling = scaling
    self.loss = loss
    self.schema = schema
    self.forecasting = forecasting
    self.device = device
  }

  private static let scalingKey = "targetScaling"

  /// Whether a file holds a model of numbers.
  public static func isStored(in file: ModelFile) -> Bool { file.extras[scalingKey] != nil }

  /// Reads a model file.
  public init(path: String, on device: Device) throws {
    try self.init(ModelFile(path: path, on: device), path: path, on: device)
  }

  /// - Parameter path: The file's, for messages.
  /// - Throws: ``ApusError`` for a model of another kind, and where parts do not fit together.
  public init(_ file: ModelFile, path: String, on device: Device) throws {
    guard let scaling = try file.decoded(Self.scalingKey, as: TargetScaling.self, path: path) else {
      throw ApusError(
        .file, operation: path, "is no model of numbers: it lacks the scale of its targets")
    }
    self.init(
      model: file.model,
      preprocessing: try file.decoded("preprocessing", as: Preprocessing.self, path: path) ?? .none,
      scaling: scaling,
      loss: try file.decoded("loss", as: [RegressionLoss].self, path: path)?.first ?? .mse,
      schema: try file.decoded("schema", as: TableSchema.self, path: path),
      forecasting: try file.decoded("forecasting", as: Forecasting.self, path: path),
      device: device)
    self.path = path
    try forecasting?.validate()
    try schema?.requireFit(
      featureCount: model.inputs[0].shape.reduce(1, *), classNames: [], path: path)
    let shapes = [model.inputs.first?.shape, model.outputShapes.first]
    guard model.inputs.count == 1, model.outputShapes == [[scaling.mean.count]],
      forecasting.map({
        $0.inputShape == shapes[0] && $0.targetShape.reduce(1, *) == scaling.mean.count
      }) ?? true
    else {
      throw ApusError(
        .file, operation: path,
        "its parts do not fit together: the model gives \(model.outputShapes), the targets are "
          + "\(scaling.mean.count) numbers")
    }
  }

  public func file() throws -> ModelFile {
    var extras = [
      Self.scalingKey: try ModelFile.text(scaling), "loss": try ModelFile.text([loss]),
      "preprocessing": try ModelFile.text(preprocessing),
    ]
    if let schema { extras["schema"] = try ModelFile.text(schema) }
    if let forecasting { extras["forecasting"] = try ModelFile.text(forecasting) }
    return ModelFile(model, extras: extras)
  }

  /// Evaluates raw examples with targets.
  /// - Throws: ``ApusError`` where shapes do not fit, or naming the first example whose numbers are not
  ///   finite.
  public func evaluate(_ data: Dataset) throws -> RegressionEvaluation {
    try requireShape(data)
    let found = try RegressionEvaluation(
      of: try model.folded(),
      source: try BatchSource(
        try scaling.applied(to: data), preprocessing: preprocessing,
        workers: Evaluation.workers, on: device),
      targets: data.targets ?? [], scaling: scaling, loss: loss
    ) { try model.requireFinite($0, examples: data.count, path) }
    guard found.loss.isFinite else { throw model.notFinite(path, "its loss is \(found.loss)") }
    return found
  }

  /// Predictions for raw examples, row-major `[count, targets]`, in the units of the data.
  /// - Throws: ``ApusError`` where shapes do not fit, or naming the first example whose numbers are not
  ///   finite.
  public func predictions(_ data: Dataset) throws -> [Float] {
    scaling.restored(try outputs(data))
  }

  /// What the model gives, in the units of ``scaling``.
  private func outputs(_ data: Dataset) throws -> [Float] {
    try requireShape(data)
    let folded = try model.folded()
    let size = Evaluation.batchSize(for: folded, featureCount: data.featureCount)
    var found: [Float] = []
    for start in stride(from: 0, to: data.count, by: size) {
      let end = min(start + size, data.count)
      var values: [Float] = []
      try preprocessing.fill(&values, with: Array(start..<end), of: data)
      let x = try Tensor(values, shape: [end - start] + data.featureShape, on: device)
      found += try folded(x, .evaluation).scalars()
    }
    try model.requireFinite(found, examples: data.count, path)
    return found
  }

  /// The steps after the end of a series, row-major `[horizon, targets]`, in its units.
  /// - Throws: ``ApusError`` for a series shorter than a window, or of other columns.
  public func forecast(after series: TimeSeries) throws -> [Double] {
    guard let forecasting, series.columns == forecasting.columns else {
      throw ApusError(
        .data, operation: series.path,
        "the model forecasts \(forecasting.map { "\($0.columns)" } ?? "no series"), the series has "
          + "\(series.columns)")
    }
    guard series.count >= forecasting.window else {
      throw ApusError(
        .data, operation: series.path,
        "has \(series.count) rows; the model looks at the last \(forecasting.window)")
    }
    let found = scaling.exactlyRestored(try outputs(try forecasting.lastWindow(of: series)))
    guard forecasting.isRelative else { return found }
    let level = Array(series.values.suffix(forecasting.columns.count))
    let places = forecasting.targetPlaces
    return found.enumerated().map { $1 + level[places[$0 % places.count]] }
  }

  private func requireShape(_ data: Dataset) throws {
    guard data.featureShape == model.inputs.first?.shape else {
      throw ApusError(
        .shape, operation: data.name,
        "examples have shape \(data.featureShape), the model takes "
          + "\(model.inputs.first?.shape ?? [])")
    }
  }
}
