import Foundation

/// What the operating system says of the processor.
struct Processor {
  let name: String
  let vendor: String

  init() {
    var fields: [String: String] = [:]
    if let data = FileManager.default.contents(atPath: "/proc/cpuinfo") {
      for line in String(decoding: data, as: UTF8.self).split(separator: "\n") {
        let parts = line.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { continue }
        let key = parts[0].trimmingCharacters(in: .whitespaces)
        if fields[key] == nil { fields[key] = parts[1].trimmingCharacters(in: .whitespaces) }
      }
    }
    #if arch(x86_64)
      let architecture = "x86-64"
    #elseif arch(arm64)
      let architecture = "arm64"
    #else
      let architecture = "unknown"
    #endif
    name = fields["model name"] ?? fields["Model"] ?? architecture
    vendor = fields["vendor_id"] ?? fields["CPU implementer"] ?? architecture
  }
}
