import ApusData
import ApusDevice
import Foundation
import Testing

@Suite struct PreprocessingTests {
  private let data: Dataset

  init() throws {
    data = try Dataset(
      name: "sample", features: [1, 5, -2, 2, 5, 0, 6, 5, 8], featureShape: [3])
  }

  private func transformed(_ kind: Preprocessing.Kind) throws -> [Float] {
    try Preprocessing.fit(kind, on: data).applied(to: data).features
  }

  /// Expected figures: scikit-learn 1.9 `StandardScaler`, `MinMaxScaler`, `Normalizer`.
  @Test func agreesWithScikitLearn() throws {
    func expect(_ values: [Float], _ expected: [Float]) {
      for (a, b) in zip(values, expected) { #expect(abs(a - b) < 1e-6, "\(values)") }
    }
    expect(
      try transformed(.standardize),
      [-0.9258201, 0, -0.9258201, -0.46291006, 0, -0.46291006, 1.38873015, 0, 1.38873015])
    expect(try transformed(.minMax), [0, 0, 0, 0.2, 0, 0.2, 1, 0, 1])
    expect(
      try transformed(.normalizeSample(.l2)),
      [
        0.18257419, 0.91287093, -0.36514837, 0.37139068, 0.92847669, 0, 0.53665631, 0.4472136,
        0.71554175,
      ])
    expect(
      try transformed(.normalizeSample(.l1)),
      [0.125, 0.625, -0.25, 0.28571429, 0.71428571, 0, 0.31578947, 0.26315789, 0.42105263])
    expect(
      try transformed(.normalizeSample(.maximum)),
      [0.2, 1, -0.4, 0.4, 1, 0, 0.75, 0.625, 1])
    expect(try transformed(.scale(by: 0.5)), [0.5, 2.5, -1, 1, 2.5, 0, 3, 2.5, 4])
    #expect(try transformed(.none) == data.features)
  }

  @Test func survivesJSON() throws {
    for kind in [
      Preprocessing.Kind.none, .standardize, .minMax, .scale(by: 0.0625), .normalizeSample(.l2),
    ] {
      let fitted = try Preprocessing.fit(kind, on: data)
      let json = try JSONEncoder().encode(fitted)
      #expect(try JSONDecoder().decode(Preprocessing.self, from: json) == fitted)
    }
  }

  @Test func knowsNames() throws {
    #expect(try Preprocessing.Kind(named: "min-max") == .minMax)
    #expect(try Preprocessing.Kind(named: "scale=0.5") == .scale(by: 0.5))
    #expect(try Preprocessing.Kind(named: "scale=1/255") == .scale(by: 1 / 255))
    #expect(try Preprocessing.Kind(named: "normalize-standard") == .normalizeSample(.standard))
    for name in ["", "scale=", "scale=0", "scale=1/0", "scale=a", "normalize-l3", "scale=1/2/3"] {
      expectError("'\(name)' is unknown", "standardize") { try Preprocessing.Kind(named: name) }
    }
  }

  @Test func refusesMisuse() throws {
    let fitted = try Preprocessing.fit(.standardize, on: data)
    expectError("3 features", "has 2") {
      var values: [Float] = [1, 2]
      try fitted.apply(&values, featureCount: 2)
    }
    expectError("no whole number") {
      var values: [Float] = [1, 2]
      try fitted.apply(&values, featureCount: 3)
    }
    expectError("damaged") {
      var values: [Float] = [1]
      try Preprocessing.minMax(minimum: [0], range: [0]).apply(&values, featureCount: 1)
    }
    expectError("feature 1 (b)", "example 1", "nan") {
      try Preprocessing.fit(
        .standardize,
        on: Dataset(
          name: "x", features: [1, 2, 3, .nan], featureShape: [2], featureNames: ["a", "b"]))
    }
    expectError("no examples") {
      try Preprocessing.fit(.minMax, on: Dataset(name: "x", features: [], featureShape: [2]))
    }
  }
}
