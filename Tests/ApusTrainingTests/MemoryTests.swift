import Apus
import Foundation
import TestSupport
import Testing

@Suite struct MemoryTests {
  @Test func sizesAreRead() {
    for (text, bytes) in [
      ("2GiB", 2 << 30), ("1.5 MiB", 3 << 19), ("800MB", 800_000_000), ("4k", 4096), ("123", 123),
      ("7B", 7), ("1tib", 1 << 40),
    ] { #expect(ByteSize(text)?.bytes == bytes, "\(text)") }
    for text in ["", "GiB", "-1", "0", "1XB", "1..2", "9e99", "1e3", "99999999TiB", "1 GiB x", "½"]
    {
      #expect(ByteSize(text) == nil, "\(text)")
    }
    #expect("\(ByteSize(3 << 19))" == "1.5 MiB" && "\(ByteSize(12))" == "12 B")
  }

  /// Devices of its own: limits and counters are a device's.
  private func devices() throws -> [Device] {
    try TestDevices.all.map { try Devices.named($0.name) }
  }

  /// Memory kept for reuse goes back before a request is refused; the refusal names everything.
  @Test func limitHolds() throws {
    for device in try devices() {
      device.limitMemory(to: 6 << 20)
      for count in [1 << 20, 1 << 19, 1 << 18] {
        // At most 4 MiB each and one at a time, but of three sizes: together they pass the limit.
        _ = try Tensor.zeros([count], on: device)
      }
      var held = [try Tensor.zeros([1 << 20], on: device)]
      #expect(device.counters.returns > 0, "\(device)")
      let error = #expect(throws: ApusError.self) {
        for _ in 0..<2 { held.append(try held[0] + 1) }
      }
      #expect(error?.kind == .outOfMemory && error?.operation == "add", "\(device)")
      let message = error?.message ?? ""
      for sign in ["float32", "[1048576]", "4 MiB", "limit of 6 MiB", "reduce the batch"] {
        #expect(message.contains(sign), "\(device): \(message) lacks \(sign)")
      }
      let counters = device.counters
      #expect(counters.bytesInUse + counters.bytesCached <= 6 << 20)
      // The device goes on, and without a limit it has room.
      device.limitMemory(to: nil)
      #expect(try (held[0] + 1).sum().item() == Double(1 << 20), "\(device)")
    }
  }

  /// A training step in steady state takes no memory that it does not give back.
  @Test func trainingDoesNotGrow() throws {
    for device in try devices() where device.name != "reference" {
      let keys = RandomKey(3).split(4)
      let model = Sequential([
        try Linear(20, 32, key: keys[0], on: device), ReLU(), try Dropout(0.1),
        try Linear(32, 5, key: keys[1], on: device),
      ])
      let parameters = model.parameters()
      let optimizer = try Adam(parameters, learningRate: 1e-3)
      let y = try Tensor((0..<16).map { Int32($0 % 5) }, on: device)
      func steps(_ range: Range<Int>) throws {
        for step in range {
          let x = try Tensor.normal([16, 20], key: keys[2].folded(UInt64(step)), on: device)
          let (loss, gradients) = try valueAndGradients(
            of: parameters, key: RandomKey(UInt64(step))
          ) { context in
            try crossEntropy(model(x, context), y)
          }
          try optimizer.step(gradients)
          if step % 50 == 0 { #expect(try loss.item().isFinite) }
        }
        try device.synchronize()
      }
      try steps(0..<200)
      let (before, resident) = (device.counters, residentBytes())
      try steps(200..<2200)
      let after = device.counters
      #expect(after.allocations == before.allocations, "\(device)")
      #expect(after.bytesInUse == before.bytesInUse, "\(device)")
      #expect(after.peakBytesInUse == before.peakBytesInUse, "\(device)")
      // Other tests run in this process, so the whole of it is only a coarse check.
      #expect(residentBytes() - resident < 512 << 20, "\(device)")
    }
  }

  private func residentBytes() -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4096
  }
}
