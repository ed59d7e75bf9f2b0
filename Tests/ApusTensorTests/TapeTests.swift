import Apus
import TestSupport
import Testing

struct TapeTests {
  private let device = TestDevices.reference

  @Test func secondUseIsAnError() throws {
    let tape = Tape()
    let x = try tape.watch(try Tensor([Float(2)], on: device))
    let y = try x * x
    #expect(try tape.gradients(of: y, for: [x])[0].scalars() == [4])
    let again = #expect(throws: ApusError.self) { try tape.gradients(of: y, for: [x]) }
    #expect(again?.kind == .state && again?.message.contains("anew") == true)
    #expect(throws: ApusError.self) { try x + x }
  }

  @Test func valuesOnTheWayHaveGradients() throws {
    let tape = Tape()
    let x = try tape.watch(try Tensor([2, 5] as [Float], on: device))
    let squares = try x * x
    let (values, _) = try squares.sorted(descending: true)
    let y = try (values * (try Tensor([3, 4] as [Float], on: device))).sum()
    let found = try tape.gradients(of: y, for: [x, squares, values, y])
    #expect(try found[0].scalars() == [16, 30])
    #expect(try found[1].scalars() == [4, 3])
    #expect(try found[2].scalars() == [3, 4])
    #expect(try found[3].scalars() == [1])
  }

  @Test func onlyScalarsHaveGradients() throws {
    let tape = Tape()
    let x = try tape.watch(try Tensor.ones([3], on: device))
    let error = #expect(throws: ApusError.self) { try tape.gradients(of: x, for: [x]) }
    #expect(error?.message.contains("[3]") == true)
  }

  @Test func strangersAreRefused() throws {
    let tape = Tape()
    let other = Tape()
    let x = try tape.watch(try Tensor([Float(1)], on: device))
    let y = try other.watch(try Tensor([Float(1)], on: device))
    #expect(throws: ApusError.self) { try x + y }
    #expect(throws: ApusError.self) { try tape.gradients(of: y, for: [x]) }
    #expect(throws: ApusError.self) { try tape.gradients(of: x, for: [y]) }
    #expect(throws: ApusError.self) { try tape.watch(try Tensor([Int32(1)], on: device)) }
  }

  @Test func unusedInputsGetZeros() throws {
    let inputs = [try Tensor([Float(3)], on: device), try Tensor.ones([2, 2], on: device)]
    let (value, gradients) = try valueAndGradients(at: inputs) { try $0[0] * 2 }
    #expect(try value.item() == 6)
    #expect(try gradients[1].scalars() == [0, 0, 0, 0])
  }

  @Test func detachedStopsTheGradient() throws {
    let x = try Tensor([Float(3)], on: device)
    #expect(try gradient(at: x) { try $0 * $0.detached }.item() == 3)
  }

  @Test func tiesShareTheGradient() throws {
    let x = try Tensor([Float(2), 2, 1, 2], on: device)
    let slope = try gradient(at: x) { try $0.max() }.scalars()
    #expect(distance(slope, [1 / 3.0, 1 / 3.0, 0, 1 / 3.0]) < 1e-6)
  }

  /// A chain that would overflow the stack if it were freed recursively.
  @Test func longChainsNeitherRecurseNorLeak() throws {
    let tape = Tape()
    let start = try tape.watch(try Tensor([Float(1)], on: device))
    var x = start
    for _ in 0..<100_000 { x = try x * 1.00001 }
    let slope = try tape.gradients(of: x, for: [start])[0].item()
    #expect(abs(slope - 2.71826) < 1e-2)
  }

  @Test func parametersAreWatchedOnce() throws {
    let p = Parameter(try Tensor([Float(3)], on: device))
    let (_, gradients) = try valueAndGradients(of: [p]) { try $0[p] * $0[p] }
    #expect(try gradients[0].item() == 6)
  }
}
