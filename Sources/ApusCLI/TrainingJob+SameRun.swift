import Apus

extension TrainingJob {
  /// Whether a checkpoint belongs to this run, as far as seed, tokens and model tell. Data and further
  /// options are the trainer's to compare.
  ///
  /// Other data and other tokens change the model too, so what may be the cause of a difference is looked at
  /// before what may be its effect.
  /// - Throws: ``ApusError`` naming the first thing that differs.
  func requireSameRun(
    _ checkpoint: Checkpoint, _ graph: GraphModel, _ task: any LearningTask
  ) throws {
    func refused(_ message: String) -> ApusError {
      ApusError(
        .value, operation: checkpoint.path ?? "checkpoint",
        message + ". Give the same, or start anew in another folder")
    }
    guard let saved = checkpoint.description, saved != graph.description else { return }
    let now = graph.description
    let seed = checkpoint.progress.options.seed
    guard seed == options.seed else {
      throw refused("is of a run with other options: seed was \(seed), is \(options.seed)")
    }
    let (length, shape) = (saved.inputShape ?? [], now.inputShape ?? [])
    if saved.takesTokens, now.takesTokens, saved.isLanguageModel == now.isLanguageModel,
      length != shape
    {
      let option = now.isLanguageModel ? "--sequence-length" : "--max-length"
      throw refused(
        "is of a run with other options: \(option) was \(length.first ?? 0), is "
          + "\(shape.first ?? 0)")
    }
    if let was = checkpoint.tokenizer, let now = task.tokenizer { try compare(was, now, refused) }
    if saved.inputShapes == nil, now.inputShapes == nil, length != shape,
      saved.takesTokens == now.takesTokens
    {
      throw refused(
        "belongs to other data, or to other options that shape it: its examples have shape \(length), "
          + "here \(shape)")
    }
    guard saved.classCount == now.classCount || saved.isLanguageModel || now.isLanguageModel else {
      throw refused(
        "belongs to other data: it has \(saved.classCount ?? 0) classes or numbers to tell, here are "
          + "\(now.classCount ?? 0)")
    }
    throw refused(
      "is of another model than \(model): \(saved.firstDifference(from: now) ?? "the descriptions differ")"
    )
  }

  private func compare(
    _ was: Tokenizer, _ now: Tokenizer, _ refused: (String) -> ApusError
  ) throws {
    guard was.kind == now.kind else {
      throw refused(
        "is of a run with other options: --tokenizer was \(was.kind.rawValue), is "
          + now.kind.rawValue)
    }
    guard was != now else { return }
    throw refused(
      "belongs to other data, or to other options of its tokenizer (--vocabulary, --min-count, "
        + "--no-lowercase): "
        + (was.vocabularySize == now.vocabularySize
          ? "both vocabularies have \(now.vocabularySize) tokens, but not the same ones"
          : "its vocabulary has \(was.vocabularySize) tokens, that of this data "
            + "\(now.vocabularySize)"))
  }
}
