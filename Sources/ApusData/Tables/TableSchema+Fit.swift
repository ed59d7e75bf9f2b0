import ApusDevice

extension TableSchema {
  /// Refuses a schema that no training made, or that belongs to another model; for those read from files.
  ///
  /// - Parameters:
  ///   - featureCount: The numbers of an example that the model takes.
  ///   - classNames: The model's; empty for a model of numbers.
  ///   - path: The model file's, for the message.
  package func requireFit(featureCount: Int, classNames: [String], path: String) throws {
    func refuse(_ reason: String) -> ApusError {
      ApusError(
        .file, operation: path,
        "its table schema does not fit: \(reason); the file is damaged or made by hand, take the one that "
          + "`apus train` wrote")
    }
    guard Set(columns.map(\.position) + [targetPosition]) == Set(0...columns.count) else {
      throw refuse(
        "columns stand at \(columns.map(\.position)) and the target at \(targetPosition), not at each place "
          + "from 0 to \(columns.count) once")
    }
    let names = columns.map(\.name) + [targetName]
    guard !hasHeader || Set(names).count == names.count else {
      throw refuse("two columns have the same name")
    }
    for case (let name, .categorical(let categories)) in columns.map({ ($0.name, $0.kind) })
    where categories.isEmpty || Set(categories).count != categories.count {
      throw refuse("the categories of column '\(name)' are none, or not different")
    }
    guard self.featureCount == featureCount else {
      throw refuse("it makes \(self.featureCount) features, the model takes \(featureCount)")
    }
    guard self.classNames == classNames else {
      throw refuse("its classes are not the model's")
    }
  }
}
