import Apus

/// One thing to time, the same on every device and for every peer that knows its name.
package struct BenchCase: Sendable {
  /// What the figure is compared with.
  package enum Work: Sendable {
    /// Floating-point operations of one run; the share is of the measured FMA peak.
    case flops(Double)
    /// Bytes that must move in one run; the share is of the measured copy bandwidth.
    case bytes(Double)
    /// Repetitions inside one run, such as a thousand small operations.
    case operations(Double)
    case none
  }

  package let name: String
  let work: Work
  /// What decides where a case stands under the roofline: bytes that must move in a run whose work is
  /// counted in operations, operations of one counted in bytes. Nil where it is many kernels.
  var counterpart: Double?
  /// Whether only the host's time counts: the run does not wait, and what is left in the queue is
  /// worked off unmeasured.
  var isHostTime = false
  /// Whether it takes a processor too long; it runs where a GPU is among the devices, or by its full name.
  var isForGPUs = false
  /// Sets up on a device and returns what one run does; a run ends when the device has finished.
  package let prepare: @Sendable (Device) throws -> () throws -> Void

  /// Operations for each byte that must move.
  var intensity: Double? {
    switch (work, counterpart) {
    case (.flops(let flops), let bytes?) where bytes > 0: flops / bytes
    case (.bytes(let bytes), let flops?) where bytes > 0: flops / bytes
    default: nil
    }
  }

  /// The cases whose names contain the text, for a run with or without a GPU.
  package static func cases(matching filter: String, hasGPU: Bool) -> [BenchCase] {
    all.filter {
      (filter.isEmpty || $0.name.contains(filter))
        && (!$0.isForGPUs || hasGPU || $0.name == filter)
    }
  }

  package static let all: [BenchCase] =
    gemmCases + elementwiseCases + stepCases + convolutionCases + resNetCases + recurrentCases + [
      .mlpStep, .cnnStep, .smallOperations, .smallOperationsHost,
    ]
}
