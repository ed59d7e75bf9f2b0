import Apus

/// Options that were given and that only some kinds of data have: where the data is of another kind they
/// are refused, since the user expects something of them.
struct GivenOptions {
  enum Kind: CaseIterable {
    case table, categories, images, recordings, series, texts, textClasses, language

    var purpose: String {
      switch self {
      case .table: "is for tables"
      case .categories: "is for tables of examples"
      case .images: "is for images"
      case .recordings: "is for recordings, as speech-crnn takes them"
      case .series: "is for time series, as forecast-gru takes them"
      case .texts: "is for models of texts, such as text-gru and char-lstm"
      case .textClasses: "is for texts with classes, as text-gru takes them"
      case .language: "is for language models, such as char-lstm"
      }
    }
  }

  private var names: [(name: String, kind: Kind)] = []

  var isEmpty: Bool { names.isEmpty }

  /// Notes options of a kind, each with whether it was given.
  mutating func add(_ kind: Kind, _ options: KeyValuePairs<String, Bool>) {
    for (name, isGiven) in options where isGiven { names.append((name, kind)) }
  }

  /// - Parameters:
  ///   - kinds: Those that the data has.
  ///   - other: What the data or the model is instead.
  /// - Throws: ``ApusError`` naming the first option of another kind, and what it is for.
  func requireOnly(_ kinds: Set<Kind>, otherwise other: String) throws {
    guard let odd = names.first(where: { !kinds.contains($0.kind) }) else { return }
    throw ApusError(.value, operation: odd.name, "\(odd.kind.purpose); \(other)")
  }

  /// The same for data that is neither text nor a series, once it is known.
  func requireFit(to data: LoadedData, _ name: String) throws {
    let (kinds, what): (Set<Kind>, String) =
      if data.audio != nil {
        ([.recordings], "recordings")
      } else if data.schema != nil {
        ([.table, .categories], "a table of examples")
      } else {
        ([.images], "arrays or images")
      }
    try requireOnly(kinds, otherwise: "\(name) holds \(what)")
  }
}
