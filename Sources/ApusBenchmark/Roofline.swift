import Apus
import ApusOpenCL
import CPeak
import Foundation

/// What a machine or device can do at best, measured: the denominators of every share.
package struct Roofline: Codable, Sendable {
  /// GFLOP/s of fused multiply-adds in registers.
  package var flops = 0.0
  /// GB/s of copying, read and written bytes together.
  package var bandwidth = 0.0

  /// Clocks and neighbours change from second to second, so limits are measured in every round; the
  /// figures of a case are medians of its rounds.
  final class Meter {
    private let threads = Int32(clamping: UsableProcessors.count)
    private let cards: [(device: Device, backend: OpenCLBackend)]
    private var flopRounds: [String: [Double]] = [:]
    private var byteRounds: [String: [Double]] = [:]

    /// A GPU has limits of its own; everything else, peers too, shares those of the processor.
    init(_ devices: [Device]) {
      cards = devices.compactMap { device in
        guard device.info.kind == .gpu, let backend = device.backend as? OpenCLBackend else {
          return nil
        }
        return (device, backend)
      }
    }

    func beginCase() {
      flopRounds = [:]
      byteRounds = [:]
    }

    /// Measures as far as the case needs it.
    func measure(_ work: BenchCase.Work) throws {
      switch work {
      case .flops:
        flopRounds["", default: []].append(apus_fma_peak(threads))
        for (device, backend) in cards {
          flopRounds[device.name, default: []].append(try backend.measuredPeak() * 1e-9)
        }
      case .bytes:
        byteRounds["", default: []].append(apus_copy_bandwidth(threads))
        for (device, backend) in cards {
          byteRounds[device.name, default: []].append(try backend.measuredBandwidth() * 1e-9)
        }
      case .operations, .none: break
      }
    }

    /// Medians of the rounds since the case began, of a device or peer.
    func now(_ runner: String) -> Roofline {
      let key = cards.contains { $0.device.name == runner } ? runner : ""
      return Roofline(
        flops: flopRounds[key].map(median) ?? 0, bandwidth: byteRounds[key].map(median) ?? 0)
    }

    /// Runners with limits of their own, the processor as "".
    var keys: [String] { [""] + cards.map(\.device.name) }
  }
}
