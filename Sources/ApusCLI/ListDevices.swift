import Apus
import ArgumentParser
import Foundation

/// `apus devices`.
struct ListDevices: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "devices", abstract: "List the devices of this machine.")

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Listing: Encodable {
    let devices: [DeviceInfo]
    let auto: String
    let reason: String
    let problem: String?
  }

  func run() throws {
    let devices = try Devices.list()
    let (chosen, reason) = try Devices.automatic()
    let problem = Devices.openCLProblem()
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
      let listing = Listing(
        devices: devices, auto: chosen.name, reason: reason, problem: problem?.message)
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
