import Apus

/// One thing to time, the same on every device and for every peer that knows its name.
struct BenchCase: Sendable {
  /// What the figure is compared with.
  enum Work: Sendable {
    /// Floating-point operations of one run; the share is of the measured FMA peak.
    case flops(Double)
    /// Bytes that must move in one run; the share is of the measured copy bandwidth.
    case bytes(Double)
    /// Repetitions inside one run, such as a thousand small operations.
    case operations(Double)
    case none
  }

  let name: String
  let work: Work
  /// Whether only the host's time counts: the run does not wait, and what is left in the queue is
  /// worked off unmeasured.
  var isHostTime = false
  /// Sets up on a device and returns what one run does; a run ends when the device has finished.
  let prepare: @Sendable (Device) throws -> () throws -> Void

  static let all: [BenchCase] =
    gemmCases + elementwiseCases + convolutionCases + resNetCases + recurrentCases + [
      .mlpStep, .cnnStep, .smallOperations, .smallOperationsHost,
    ]
}
