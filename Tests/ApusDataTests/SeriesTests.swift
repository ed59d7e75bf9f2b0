import ApusData
import ApusDevice
import Foundation
import Testing

@Suite struct SeriesTests {
  /// `rows` hours with two columns: the row's number, and its hundredfold.
  private static func table(_ rows: Int) -> String {
    "date,x,y\n"
      + (0..<rows).map {
        "2024-01-\(String(format: "%02d", 1 + $0 / 24)) \(String(format: "%02d", $0 % 24)):00,"
          + "\($0),\($0 * 100)\n"
      }.joined()
  }

  private func series(
    _ text: String, timeColumn: String? = nil, columns: [String]? = nil
  ) throws -> TimeSeries {
    let scratch = try Scratch()
    return try TimeSeries(
      path: try scratch.write(text, "s.csv"), timeColumn: timeColumn, columns: columns)
  }

  @Test(arguments: [
    ["2024-01-31", "2024-02-01", "2024-02-02"], ["2023-12-30", "2024-01-30", "2024-02-29"],
    ["2024-02-28 23:00:00", "2024-02-29 00:00:00", "2024-02-29 01:00:00"],
    ["2023-02-28T18:00Z", "2023-03-01T00:00Z", "2023-03-01T06:00Z"],
    ["1949-11", "1949-12", "1950-01"], ["1-11", "1-12", "2-01"],
    ["1900/02/28", "1900/03/01", "1900/03/02"],
    ["2000-12-31 23:59:59", "2001-01-01 00:00:00", "2001-01-01 00:00:01"],
    ["9-12", "10-01", "10-02"],
    ["2024-01-01 23:00+02:00", "2024-01-02 00:00+02:00", "2024-01-02 01:00+02:00"],
    ["5", "7.5", "10"], ["1969-12-30", "1969-12-31", "1970-01-01"],
    ["2024-01-01 00:00:00.250", "2024-01-01 00:00:00.750", "2024-01-01 00:00:01.250"],
    ["2022-06-01 12:00", "2023-06-01 12:00", "2024-06-01 12:00"],
  ])
  func timesGoOn(_ times: [String]) throws {
    let stamps = try times.map { try #require(TimeStamp($0)) }
    // Months of different lengths are one step too; their third is not held against the second.
    #expect(TimeStamp.continuing(Array(stamps.prefix(2)), count: 1) == [times[2]])
    #expect(stamps[0].value < stamps[1].value && stamps[1].value < stamps[2].value)
  }

  @Test(arguments: [
    "", "x", "2024", "2024-13-01", "2024-02-30", "2023-02-29", "24-01-01", "2024-01-01 24:00",
    "2024-01-01 1:2", "2024-01-01T", "2024-01-01 10:00+25:00", "2024-01/01", "nan", "1e999",
    "2024-01-01 10:00:0a", "-5-01",
  ])
  func noTimes(_ text: String) {
    // A number is a time of its own kind.
    #expect(TimeStamp(text) == nil || text == "2024")
  }

  /// Months go on by what the whole column says of their days.
  @Test(arguments: [
    (["2019-05-31", "2019-06-30", "2019-07-31"], "2019-08-31 2019-09-30 2019-10-31 2019-11-30"),
    (["2019-11-30", "2019-12-31"], "2020-01-31 2020-02-29 2020-03-31 2020-04-30"),
    (["2023-01-31", "2023-02-28"], "2023-03-31 2023-04-30 2023-05-31 2023-06-30"),
    (["2023-06-30", "2023-09-30"], "2023-12-31 2024-03-31 2024-06-30 2024-09-30"),
    (["2022-02-28", "2023-02-28"], "2024-02-29 2025-02-28 2026-02-28 2027-02-28"),
    (["2019-04-30", "2019-05-30", "2019-06-30"], "2019-07-30 2019-08-30 2019-09-30 2019-10-30"),
    (["2023-12-30", "2024-01-30", "2024-02-29"], "2024-03-30 2024-04-30 2024-05-30 2024-06-30"),
    (["2023-01-28", "2023-02-28"], "2023-03-28 2023-04-28 2023-05-28 2023-06-28"),
    // 28 days, not months.
    (["2023-01-03", "2023-01-31", "2023-02-28"], "2023-03-28 2023-04-25 2023-05-23 2023-06-20"),
    (["2024-01-30", "2024-01-31"], "2024-02-01 2024-02-02 2024-02-03 2024-02-04"),
    (
      ["2019-05-31 18:00", "2019-06-30 18:00"],
      "2019-07-31 18:00/2019-08-31 18:00/2019-09-30 18:00/2019-10-31 18:00"
    ),
    (
      ["2019-05-31 18:00", "2019-06-30 06:00"],
      "2019-07-29 18:00/2019-08-28 06:00/2019-09-26 18:00/2019-10-26 06:00"
    ),
  ])
  func monthsGoOn(_ times: [String], _ wanted: String) throws {
    let stamps = try times.map { try #require(TimeStamp($0)) }
    let separator: Character = wanted.contains("/") ? "/" : " "
    #expect(
      TimeStamp.continuing(stamps, count: 4)
        == wanted.split(separator: separator).map { String($0) })
  }

  @Test func seenRowsAreTold() throws {
    let found = try series("date,x\n2024-01-01,1\n2024-01-02,2\n2024-01-04,3\n")
    func seen(last: String?, first: String?) throws -> Int {
      try found.seenCount(
        by: Forecasting(
          timeColumn: "date", columns: ["x"], targets: ["x"], window: 1, horizon: 1,
          firstUnseen: first, lastSeen: last))
    }
    #expect(try seen(last: "2024-01-02", first: "2024-01-03") == 2)
    #expect(try seen(last: "2024-01-04", first: nil) == 3)
    #expect(try seen(last: "2023-12-31", first: "2024-01-01") == 0)
    // Older files know the first time not seen alone.
    #expect(try seen(last: nil, first: "2024-01-03") == 2)
    #expect(try seen(last: nil, first: "2025-01-03") == 3)
    #expect(try seen(last: nil, first: nil) == 0)
    expectError("cannot be told", "'17'", "s.csv") { try seen(last: "17", first: nil) }
  }

  @Test func offsetsCount() throws {
    let (a, b) = (TimeStamp("2024-01-01 12:00+02:00"), TimeStamp("2024-01-01 10:00Z"))
    #expect(try #require(a).value == #require(b).value)
  }

  @Test func readsColumns() throws {
    let found = try series("n,when,x\n3,2024-01-01,1.5\n2,2024-01-02,2.5\n1,2024-01-03,3.5\n")
    #expect(found.timeColumn == "when" && found.columns == ["n", "x"])
    #expect(found.values == [3, 1.5, 2, 2.5, 1, 3.5] && found.notes.isEmpty)
    #expect(found.nextTimes(2) == ["2024-01-04", "2024-01-05"])
    #expect(found.row(atOrAfter: "2024-01-02") == 1 && found.row(atOrAfter: "2025-01-01") == nil)
    let chosen = try series(
      "t,name,x\n1,a,5\n2,b,6\n9,c,7\n10,d,8\n", timeColumn: "t")
    #expect(chosen.columns == ["x"] && chosen.nextTimes(1) == ["11"])
    #expect(chosen.notes.contains { $0.contains("'name'") })
    #expect(chosen.notes.contains { $0.contains("2, then 9") })
    #expect(
      try series("a,t,b\n1,1,2\n3,2,4\n", timeColumn: "2", columns: ["b", "a"]).values == [
        2, 1, 4, 3,
      ])
  }

  @Test func oddRowsAreNamed() {
    let head = "date,x\n2024-01-01,1\n2024-01-02,2\n"
    func refused(_ rest: String, _ fragments: String...) {
      let error = #expect(throws: ApusError.self) { try series(head + rest) }
      for part in fragments + ["s.csv:4"] {
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
      }
    }
    refused("2024-01-02,3\n", "the row before")
    refused("2023-12-31,3\n", "earlier than '2024-01-02'", "sort")
    refused("2024-01-0x,3\n", "is no time")
    refused("2024-01,3\n", "of the kind of")
    refused("2024-01-03,nan\n", "'x'")
    refused("2024-01-03,\n", "'x'", "missing")
    refused("2024-01-03,inf\n", "'x'")
    refused("2024-01-03,3,4\n", "3 fields")
    refused("2024-01-03\n", "1 fields")
    expectError("--time-column") { try series("x,y\n1,2\n3,4\n") }
    expectError("'z'") { try series(head, timeColumn: "z") }
  }

  private func load(
    _ rows: Int, validation: Double = 0.25, test: Double = 0.2,
    _ change: (inout SeriesOptions) -> Void = { _ in }
  ) throws -> LoadedData {
    let scratch = try Scratch()
    var wanted = SeriesOptions()
    (wanted.window, wanted.horizon, wanted.isRelative) = (4, 3, false)
    change(&wanted)
    var options = DataOptions()
    options.testFraction = test
    options.target = "x"
    return try DataSource.loadSeries(
      try scratch.write(Self.table(rows), "s.csv"), wanted, validationFraction: validation,
      options: options)
  }

  /// Of 100 rows 0–59 are for training, 60–79 for validation, 80–99 for the test.
  @Test func partsFollowInTimeAndNothingLeaks() throws {
    let data = try load(100)
    let (validation, test) = (try #require(data.validation), try #require(data.test))
    let forecast = try #require(data.forecast)
    #expect(data.train.featureShape == [4, 2] && data.train.targetShape == [3, 1])
    #expect(data.train.count == 60 - 6 && validation.count == 18 && test.count == 18)
    #expect(forecast.forecasting.firstUnseen == "2024-01-04 08:00")
    // Column x is the row's number.
    func rows(_ part: Dataset) throws -> (seen: [Float], targets: [Float]) {
      let features = try part.features
      return (
        stride(from: 0, to: features.count, by: 2).map { features[$0] }, part.targets ?? []
      )
    }
    let (trained, watched, tested) = (try rows(data.train), try rows(validation), try rows(test))
    #expect(trained.seen.max() == 56 && trained.targets.max() == 59)
    #expect(watched.targets.min() == 60 && watched.targets.max() == 79 && watched.seen.min() == 56)
    #expect(tested.targets.min() == 80 && tested.targets.max() == 99 && tested.seen.min() == 76)
    // Every target follows its window.
    #expect(try data.train.example(5).features.prefix(3) == [5, 500, 6])
    #expect(try data.train.batchTargets([5]) == [9, 10, 11])
    // The scale is that of rows 0 to 59, each counted once.
    let deviation = Float((59 * 61 / 12.0).squareRoot())
    guard case .standardize(let mean, let spread) = forecast.preprocessing else {
      Issue.record("\(forecast.preprocessing)")
      return
    }
    #expect(mean == [29.5, 2950, 29.5, 2950, 29.5, 2950, 29.5, 2950])
    #expect(
      zip(spread, [deviation, 100 * deviation, deviation]).allSatisfy { abs($0 - $1) < 1e-3 })
    #expect(forecast.scaling.mean == [29.5, 29.5, 29.5])

    #expect(try load(100) { $0.stride = 10 }.train.count == 6)
    #expect(try load(100, validation: 0, test: 0).train.count == 94)
    expectError("too short", "--window") { try load(12) }
    expectError("stride") { try load(100) { $0.stride = 0 } }
    expectError("positive") { try load(100) { $0.horizon = 0 } }
  }

  /// Differences to the last row of each window, in steps and targets; what a model gives is put back.
  @Test func relativeWindows() throws {
    let data = try load(100) { $0.isRelative = true }
    #expect(try data.train.example(5).features == [-3, -300, -2, -200, -1, -100, 0, 0])
    #expect(try data.train.batchTargets([5]) == [1, 2, 3])
    guard case .standardize(let mean, _) = data.forecast?.preprocessing else {
      Issue.record("no scale")
      return
    }
    #expect(mean.allSatisfy { $0 == 0 } && data.forecast?.scaling.mean == [0, 0, 0])
    let windows = try #require(data.forecast?.test)
    #expect(windows.truths.prefix(4) == [80, 81, 82, 81])
    #expect(windows.restored([1, 2, 3, 1]) == [80, 81, 82, 81])
    #expect(try windows.dataset().fingerprint != load(100).test?.fingerprint)
  }

  @Test func chosenInputs() throws {
    let data = try load(100) { $0.inputs = ["y"] }
    #expect(data.forecast?.forecasting.columns == ["x", "y"])
    #expect(try load(100) { $0.inputs = [] }.train.featureShape == [4, 1])
    expectError("'z'", "'x', 'y'") { try load(100) { $0.inputs = ["z"] } }
  }

  /// The last column of the file is forecast, whatever the model sees beside it.
  @Test func inputsLeaveTheTarget() throws {
    let scratch = try Scratch()
    let path = try scratch.write(Self.table(100), "s.csv")
    var wanted = SeriesOptions()
    (wanted.window, wanted.horizon, wanted.inputs) = (4, 3, ["x"])
    let data = try DataSource.loadSeries(
      path, wanted, validationFraction: 0.1, options: DataOptions())
    #expect(data.forecast?.forecasting.targets == ["y"])
    #expect(data.forecast?.forecasting.columns == ["y", "x"])
    #expect(data.forecast?.forecasting.lastSeen == "2024-01-04 07:00")
  }

  /// A level of ten millions takes nothing from changes of hundredths.
  @Test(arguments: [true, false])
  func levelsLoseNothing(isRelative: Bool) throws {
    func load(level: Double) throws -> LoadedData {
      let scratch = try Scratch()
      let rows = (0..<100).map {
        "\($0),\(String(format: "%.4f", level + sin(Double($0) * 0.7)))\n"
      }
      var wanted = SeriesOptions()
      (wanted.window, wanted.horizon, wanted.season) = (4, 3, 9)
      wanted.isRelative = isRelative
      return try DataSource.loadSeries(
        try scratch.write("time,y\n" + rows.joined(), "s.csv"), wanted, validationFraction: 0.1,
        options: DataOptions())
    }
    let (low, high) = (try load(level: 0), try load(level: 1e7))
    func compare(_ name: String, _ values: (LoadedData) throws -> [Double]?) throws {
      let found = (low: try values(low), high: try values(high))
      let (a, b) = (try #require(found.low), try #require(found.high))
      #expect(a.count == b.count && !a.isEmpty)
      // Single precision has steps of 1 there.
      #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-5 }, "\(name)")
    }
    // The mean itself is rounded; that moves all scaled values alike.
    func centred(_ values: [Float]) -> [Double] {
      let mean = values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
      return values.map { Double($0) - mean }
    }
    try compare("inputs") { data in
      let preprocessing = try #require(data.forecast?.preprocessing)
      return centred(try preprocessing.applied(to: data.train).features)
    }
    try compare("batches") { data in
      var values: [Float] = []
      try data.forecast?.preprocessing.fill(&values, with: [5, 1, 7], of: data.train)
      return centred(values)
    }
    try compare("targets") { data in
      let scaled = try data.forecast?.scaling.applied(to: data.train.subset([3, 4, 9, 11, 20]))
      return scaled?.targets.map(centred)
    }
    try compare("unit") { $0.forecast?.test?.unit(season: 9) }
    for season in [1, 9] {
      try compare("naive errors") { data in
        let windows = try #require(data.forecast?.test)
        return windows.naive(season: season).map { zip($0, windows.truths).map { $0 - $1 } }
      }
    }
  }

  @Test func naiveForecasts() throws {
    let data = try load(100)
    let windows = try #require(data.forecast?.test)
    #expect(windows.naive()?.prefix(6) == [79, 79, 79, 80, 80, 80])
    #expect(windows.naive(season: 2)?.prefix(6) == [78, 79, 78, 79, 80, 79])
    #expect(windows.naive(season: 81) == nil && windows.naive(season: 80) != nil)
    // x rises by 1 a step, so over a season of m by m.
    #expect(windows.unit(season: 1) == [1] && windows.unit(season: 24) == [24])
    #expect(windows.unit(season: 80) == nil)
  }

  @Test func slicesAreADataset() throws {
    let data = try load(100).train
    let part = try data.subset([3, 0])
    #expect(try part.features == (try data.example(3).features + data.example(0).features))
    #expect(part.fingerprint != data.fingerprint && part.targets == [7, 8, 9, 4, 5, 6])
    #expect(try part.appending(data).count == data.count + 2)
    #expect(data.pixelMaximum == 9900 && !data.holdsBytes)
  }

  @Test func targetScaling() throws {
    let data = try Dataset(
      name: "t", features: [0, 0, 0, 0], featureShape: [1], targets: [1, 7, 3, 7, 5, 7, 7, 7],
      targetShape: [2])
    let scaling = try TargetScaling.fit(on: data)
    #expect(scaling.mean == [4, 7] && scaling.deviation == [Float(5).squareRoot(), 1])
    let scaled = try #require(scaling.applied(to: data).targets)
    #expect(zip(scaling.restored(scaled), data.targets ?? []).allSatisfy { abs($0 - $1) < 1e-6 })
    #expect(throws: ApusError.self) { try TargetScaling(mean: [0], deviation: [0]) }
    #expect(throws: (any Error).self) {
      try JSONDecoder().decode(
        TargetScaling.self, from: Data(#"{"mean":[0],"deviation":[-1]}"#.utf8))
    }
    let plain = try Dataset(name: "p", features: [0], featureShape: [1], targets: [1])
    #expect(throws: ApusError.self) { try scaling.applied(to: plain) }
    #expect(throws: ApusError.self) {
      try Dataset(
        name: "t", features: [0, 0], featureShape: [1], targets: [1, 2, 3], targetShape: [2])
    }
  }
}
