import ApusDevice

extension Tuner {
  /// Goes on with the search for one choice: compares at least one candidate that is left, or holds the contest
  /// where none is.
  /// - Parameters:
  ///   - seconds: What it may take; more where that would not do for a contest.
  ///   - end: When it should end all the same.
  func search(
    _ trial: TuningTrial, _ entry: TuningSurvey.Entry, seconds: Double, end: Double
  ) throws -> Outcome {
    let (key, choices, start) = (entry.key, entry.choices, now())
    let expected = try trial.result(key, nil)
    guard trial.agreesWithReference(expected) else {
      throw ApusError(
        .device, operation: "tune",
        "the usual kernels compute wrong numbers for \(key) on '\(backend.info.name)'; `apus selftest "
          + "--device \(backend.info.name)` tells more")
    }
    func isRight(_ choice: [Int]) -> Bool {
      guard let result = try? trial.result(key, choice) else { return false }
      return trial.agreesWithReference(result) && trial.agree(result, expected)
    }
    func time(_ choice: [Int]?, _ repeats: Int) throws -> Double {
      try min(trial.time(key, choice, repeats), trial.time(key, choice, repeats))
    }
    let repeats = try trial.repeats(key)
    var usual = try time(nil, repeats)
    // Turns of the usual way, what is kept and three others, and again of three.
    let contestCost = Double(Self.turnCount * (5 + 3) * repeats) * usual
    let deadline = min(end, start + max(seconds, 2 * contestCost))
    // Time to hold a contest among those that were compared, unless it would take more than comparing.
    let cut = deadline - (2 * contestCost <= deadline - start ? contestCost : 0)

    var progress =
      TuningProgress(backend.tuning.choice(key.progress), of: choices) ?? TuningProgress(choices)
    let first = progress.count
    var times: [Double?] = []
    while first + times.count < choices.count, times.isEmpty || now() < cut {
      let choice = choices[first + times.count]
      times.append(isRight(choice) ? try time(choice, repeats) : nil)
    }
    // The machine may have been busier before; candidates of other calls are to be comparable.
    if !times.isEmpty { usual = try min(usual, time(nil, repeats)) }
    for time in times { progress.add(time.map { $0 / usual }) }

    let isRanked = progress.count == choices.count
    let ranking = progress.ranking
    let finalists = Self.finalists(ranking.map(\.time)).map { ranking[$0] }
    let isPromising = finalists.contains { $0.position >= first && $0.time <= Self.margin }
    let fits = now() + contestCost <= deadline
    var held: Contest?
    let stored = backend.tuning.choice(key)
    var choice = stored
    if isRanked ? fits || first == choices.count : fits && isPromising {
      let kept = stored.flatMap { isRight($0) ? $0 : nil }
      let others = finalists.filter { $0.position >= first || isRight(choices[$0.position]) }
        .map { choices[$0.position] }.filter { $0 != kept }
      let contest = try contest(trial, key, kept: kept, finalists: others, repeats: repeats)
      // Only a search at its end forgets a choice.
      choice = ([nil, kept] + others)[contest.winner] ?? (isRanked ? nil : stored)
      held = contest
    }
    let isFinished = isRanked && held != nil
    try backend.tuning.update { all in
      // What another process has kept meanwhile was not in the contest.
      guard all[key] == stored else { return }
      all[key] = choice
      all[key.progress] = isFinished ? nil : progress.numbers
      if isFinished { all[key.search] = [choices.count] }
    }
    let (usualTime, bestTime) =
      held.map { (Self.median($0.times[0]), Self.median($0.times[$0.winner])) } ?? (usual, usual)
    return Outcome(
      operation: key.operation, sizes: key.sizes, usual: usualTime * 1e3, best: bestTime * 1e3,
      choice: choice, tried: progress.count, candidates: choices.count,
      rejected: progress.rejectedCount, isFinished: isFinished)
  }
}
