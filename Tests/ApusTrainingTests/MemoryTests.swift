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

  /// 10 000 training steps take no memory that they do not give back. In a process of its own, where
  /// nothing else moves the resident size.
  @Test(.timeLimit(.minutes(15))) func trainingDoesNotGrow() async {
    await #expect(processExitsWith: .success) {
      for device in TestDevices.fast { try LongTraining(on: device).check() }
    }
  }
}

/// A small model whose steps have every kind of memory: drawn batches, dropout, a tape, gradients, moments.
private struct LongTraining {
  private let device: Device
  private let model: Sequential
  private let optimizer: Adam
  private let labels: Tensor
  private let key: RandomKey
  /// Sanitizers keep freed memory aside, and are slow.
  private let isSanitized = ["ASAN_OPTIONS", "TSAN_OPTIONS"].contains {
    ProcessInfo.processInfo.environment[$0] != nil
  }

  init(on device: Device) throws {
    self.device = device
    let keys = RandomKey(3).split(3)
    model = Sequential([
      try Linear(20, 32, key: keys[0], on: device), ReLU(), try Dropout(0.1),
      try Linear(32, 5, key: keys[1], on: device),
    ])
    optimizer = try Adam(model.parameters(), learningRate: 1e-3)
    labels = try Tensor((0..<16).map { Int32($0 % 5) }, on: device)
    key = keys[2]
  }

  func check() throws {
    let (warmUp, steps) = isSanitized ? (100, 1000) : (1000, 10_000)
    try train(0..<warmUp)
    let (before, resident) = (device.counters, residentBytes())
    try train(warmUp..<warmUp + steps)
    let (after, grown) = (device.counters, residentBytes() - resident)
    #expect(after.allocations == before.allocations, "\(device)")
    #expect(after.poolHits > before.poolHits + steps, "\(device): the counters count")
    #expect(after.bytesInUse == before.bytesInUse, "\(device)")
    #expect(after.peakBytesInUse == before.peakBytesInUse, "\(device)")
    #expect(after.bytesCached == before.bytesCached, "\(device)")
    // A leak of one small object a step would be a megabyte or more.
    #expect(isSanitized || grown < 1 << 20, "\(device): \(grown) bytes in \(steps) steps")
  }

  private func train(_ range: Range<Int>) throws {
    let parameters = model.parameters()
    for step in range {
      let x = try Tensor.normal([16, 20], key: key.folded(UInt64(step)), on: device)
      let (loss, gradients) = try valueAndGradients(
        of: parameters, key: RandomKey(UInt64(step))
      ) { context in
        try crossEntropy(model(x, context), labels)
      }
      try optimizer.step(gradients)
      if step % 50 == 0 { #expect(try loss.item().isFinite) }
    }
    try device.synchronize()
  }
}

private func residentBytes() -> Int {
  let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
  return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4096
}
