import ApusDevice

/// What tests ask.
extension Tuner {
  /// The lines of the database that hold the choices for a job, with what there is to choose from.
  package func choices(of job: TuningJob) throws -> [(key: TuningKey, choices: [[Int]])] {
    try TuningTrial.survey(job, on: backend).map { ($0.key, $0.candidates.map(\.numbers)) }
  }

  /// Compares every candidate with the reference, without timing any.
  /// - Returns: All choices, and those that compute wrong numbers.
  package func check(_ job: TuningJob) throws -> (choices: [[Int]], wrong: [[Int]]) {
    var trial = try TuningTrial(job, on: backend)
    try trial.ask(oracle)
    var (all, wrong): ([[Int]], [[Int]]) = ([], [])
    for entry in try TuningTrial.survey(job, on: backend) {
      let usual = try trial.result(entry.key, nil)
      if !trial.agreesWithReference(usual) { wrong.append([]) }
      for choice in entry.candidates.map(\.numbers) {
        all.append(choice)
        let result = try trial.result(entry.key, choice)
        if !trial.agreesWithReference(result) || !trial.agree(result, usual) {
          wrong.append(choice)
        }
      }
    }
    return (all, wrong)
  }

  /// Whether a job, run as everyone runs it, agrees with the reference.
  package func computesRight(_ job: TuningJob) throws -> Bool {
    var trial = try TuningTrial(job, on: backend)
    try trial.ask(oracle)
    return trial.agreesWithReference(try trial.result(TuningKey(operation: "", sizes: []), nil))
  }
}
