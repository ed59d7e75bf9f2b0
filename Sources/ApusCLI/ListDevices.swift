import Apus
import ApusOpenCL
import ArgumentParser
import Foundation

/// `apus devices`.
struct ListDevices: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "devices", abstract: "List the devices of this machine.",
    discussion: """
      With --json, OpenCL devices come with all that their drivers say of them: limits, local memory,
      vector widths, sub-groups, float16 and float64, integer dot products, unified memory, inline PTX,
      compute capability.
      `apus doctor` tells why a device is missing.
      """)

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Listing: Encodable {
    let devices: [Entry]
    let auto: String
    let reason: String
    let problem: String?
  }

  /// A device with what its driver says of it.
  private struct Entry: Encodable {
    let info: DeviceInfo
    let capabilities: OpenCLDeviceDescription?

    private enum Key: String, CodingKey { case capabilities }

    func encode(to encoder: any Encoder) throws {
      try info.encode(to: encoder)
      var container = encoder.container(keyedBy: Key.self)
      try container.encodeIfPresent(capabilities, forKey: .capabilities)
    }
  }

  func run() throws {
    let devices = try Devices.list()
    let (chosen, reason) = try Devices.automatic()
    let problem = Devices.openCLProblem()
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
      let listing = Listing(
        devices: devices.map { Entry(info: $0, capabilities: Devices.capabilities(of: $0.name)) },
        auto: chosen.name, reason: reason, problem: problem?.message)
      try Console.print(String(decoding: try encoder.encode(listing), as: UTF8.self))
      return
    }
    let rows = devices.map { info in
      [
        info.name, info.kind.rawValue, "\(info.computeUnits) units",
        info.memoryByteCount > 0
          ? String(format: "%.1f GiB", Double(info.memoryByteCount) / 0x1p30) : "-",
        info.product, info.driver,
      ]
    }
    try Console.print(
      Console.table([["device", "kind", "compute", "memory", "product", "driver"]] + rows))
    try Console.print("auto is \(chosen): \(reason)")
    if let problem { try Console.print("no OpenCL device: \(problem.message)") }
  }
}
