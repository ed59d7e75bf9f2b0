import Apus
import TestSupport
import Testing

struct GradientReportTests {
  @Test(arguments: TestDevices.all) func findsWhatIsIll(on device: Device) throws {
    let parameters = try ["fine", "lost", "wild", "broken", "fresh"].map {
      NamedParameter(
        name: $0, parameter: Parameter(try Tensor.full([4], $0 == "fresh" ? 0 : 1, on: device)))
    }
    let gradients = try [0.5, 1e-12, 1e4, .nan, 0.1].map { try Tensor.full([4], $0, on: device) }
    let report = try GradientReport(parameters, gradients)
    #expect(
      report.entries.map(\.finding) == [.healthy, .vanishing, .exploding, .notFinite, .healthy])
    #expect(report.findings.map(\.name) == ["lost", "wild", "broken"])
    #expect(abs(report.entries[0].gradientNorm - 1) < 1e-6)
    #expect(abs(report.entries[0].ratio - 0.5) < 1e-6)
    #expect(abs(report.entries[4].ratio - 0.2) < 1e-6)
    #expect(report.findings[1].description.contains("clip gradients"))
    #expect(throws: ApusError.self) { try GradientReport(parameters, []) }
    #expect(try GradientReport([], []).entries.isEmpty)
  }

  /// A plain network with small recurrent weights forgets its first steps; the report names the layer
  /// that no gradient reaches.
  @Test func recurrentNetworkThatForgets() throws {
    let device = TestDevices.reference
    let embedding = try Linear(2, 3, key: RandomKey(1), on: device)
    let rnn = try RNN(
      3, 4,
      initialization: RecurrentInitialization(recurrent: .uniform(low: -0.005, high: 0.005)),
      key: RandomKey(2), on: device)
    let names =
      embedding.namedParameters().map {
        NamedParameter(name: "first.\($0.name)", parameter: $0.parameter)
      } + rnn.namedParameters()
    let x = try Tensor.normal([6, 2, 2], key: RandomKey(3), on: device)
    let (_, gradients) = try valueAndGradients(of: names.map(\.parameter)) { context in
      // The embedding sees only the first step.
      let head = try embedding(x.slice(axis: 0, end: 1), context)
      let rest = try Tensor.zeros([5, 2, 3], on: device)
      return try rnn(.concatenated([head, rest]), context)[5].sum()
    }
    // The weights of the inputs meet what is not 0 in the first step only.
    let lost = try GradientReport(names, gradients).findings.filter { $0.finding == .vanishing }
    #expect(lost.map(\.name) == ["first.weight", "first.bias", "weight_ih_l0"])
  }
}
