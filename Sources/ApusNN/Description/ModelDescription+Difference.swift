/// What two descriptions differ in, for people.
extension ModelDescription {
  /// The first layer and attribute that another description has otherwise, with both values; nil where all
  /// is the same.
  package func firstDifference(from now: ModelDescription) -> String? {
    for (index, (old, new)) in zip(layers, now.layers).enumerated() {
      guard old.name == new.name, old.type == new.type else {
        return "layer \(index + 1) was '\(old.name)' (\(old.type)), is '\(new.name)' (\(new.type))"
      }
      if let found = old.firstDifference(from: new) { return found }
    }
    if layers.count != now.layers.count {
      let longer = layers.count > now.layers.count ? self : now
      let extra = longer.layers[min(layers.count, now.layers.count)]
      return "there were \(layers.count) layers, are \(now.layers.count): '\(extra.name)' "
        + "(\(extra.type)) is in one alone"
    }
    func text(_ value: (some Any)?) -> String { value.map { "\($0)" } ?? "not given" }
    let rest = [
      ("outputs", text(outputs), text(now.outputs)),
      ("inputShape", text(inputShape), text(now.inputShape)),
      (
        "inputShapes", text(inputShapes?.sorted { $0.key < $1.key }),
        text(now.inputShapes?.sorted { $0.key < $1.key })
      ),
      ("classCount", text(classCount), text(now.classCount)),
      ("vocabularySize", text(vocabularySize), text(now.vocabularySize)),
      ("variableLength", text(variableLength), text(now.variableLength)),
      ("name", text(name), text(now.name)),
    ]
    return rest.first { $0.1 != $0.2 }.map { "\($0.0) was \($0.1), is \($0.2)" }
  }
}

extension LayerDescription {
  fileprivate func firstDifference(from now: LayerDescription) -> String? {
    let place = "of layer '\(name)' (\(type))"
    guard inputs == now.inputs else {
      func text(_ names: [String]?) -> String {
        names.map { $0.joined(separator: ", ") } ?? "the layer before it"
      }
      return "the input \(place) was \(text(inputs)), is \(text(now.inputs))"
    }
    let keys = Set(attributes.keys).union(now.attributes.keys).sorted()
    guard let key = keys.first(where: { attributes[$0] != now.attributes[$0] }) else { return nil }
    func text(_ value: AttributeValue?) -> String { value?.text ?? "not given" }
    return "\(key) \(place) was \(text(attributes[key])), is \(text(now.attributes[key]))"
  }
}

extension AttributeValue {
  /// As people write it.
  fileprivate var text: String {
    switch self {
    case .bool(let bool): "\(bool)"
    case .number(let number): Int(exactly: number).map { "\($0)" } ?? "\(number)"
    case .text(let text): "'\(text)'"
    case .list(let list): "\(list)"
    case .numbers(let list): "\(list)"
    }
  }
}
