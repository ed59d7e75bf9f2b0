import ApusData
import ApusDevice
import Foundation
import Testing

/// Damaged inputs, the same in every run. `APUS_FUZZ_ITERATIONS` sets how many per reader.
@Suite struct FuzzTests {
  private static let iterations =
    ProcessInfo.processInfo.environment["APUS_FUZZ_ITERATIONS"].flatMap { Int($0) } ?? 500

  /// A reader may refuse with an `ApusError`, or accept; it must not do anything else.
  private func fuzz(
    _ seeds: [[UInt8]], _ name: String, sourceLocation: SourceLocation = #_sourceLocation,
    _ read: ([UInt8]) throws -> Void
  ) {
    var (accepted, refused) = (0, 0)
    for iteration in 0..<FuzzTests.iterations {
      var mutator = Mutator(key: RandomKey(UInt64(iteration)))
      let input = mutator.mutated(seeds[iteration % seeds.count])
      do {
        try read(input)
        accepted += 1
      } catch is ApusError {
        refused += 1
      } catch {
        Issue.record("\(name) \(iteration): \(error)", sourceLocation: sourceLocation)
      }
    }
    #expect(accepted + refused == FuzzTests.iterations, sourceLocation: sourceLocation)
    #expect(refused > 0, "\(name): nothing was damaged", sourceLocation: sourceLocation)
  }

  private func files(_ names: String...) throws -> [[UInt8]] {
    try names.map { try FileContents.read(Golden.path($0)) }
  }

  @Test func npz() throws {
    fuzz(try files("stored.npz", "deflated.npz"), "npz") { _ = try NPZ.decode($0, name: "x") }
  }

  @Test func npy() throws {
    let small = try NPY.encode(HostArray([1, 2, 3] as [Int32], shape: [3, 1]))
    fuzz(try files("version2.npy", "version3.npy") + [small], "npy") {
      _ = try NPY.decode($0, name: "x").floats()
    }
  }

  @Test func idx() throws {
    let bytes = try HostArray((0..<30).map { UInt8($0) }, shape: [5, 2, 3])
    let seeds = [
      try IDX.encode(bytes), try IDX.encode(HostArray([1, 2] as [Float], shape: [2])),
      [0, 0, 11, 1, 0, 0, 0, 2, 1, 2, 3, 4], [0, 0, 14, 0, 1, 2, 3, 4, 5, 6, 7, 8],
    ]
    fuzz(seeds, "idx") { _ = try IDX.decode($0, name: "x").floats() }
  }

  @Test func gzip() throws {
    let text = Array(String(repeating: "some text, ", count: 200).utf8)
    let seeds = [text, [UInt8](repeating: 0, count: 1 << 16)]
    let packed = try seeds.map { try Zlib.deflate($0, .gzip, name: "x") }
    fuzz(packed, "gzip") { _ = try Zlib.gunzip($0, name: "x", limit: 1 << 20) }
  }

  @Test func csv() throws {
    let texts = [
      "size,colour,kind\n1.5,red,b\n-2e1,blue,a\n+3,red,b\n",
      "\"a \"\"b\"\"\",\"two\nlines\"\r\n1,2\r\n3,4\r\n", "1;2;3\n4;5;6\n",
      "x\ty\n1\t0.5\n2\t1.5\n",
    ]
    let training = try CSVTable(bytes: Array(texts[0].utf8), path: "t.csv")
    let schema = try TableSchema(inferringFrom: training, options: DataOptions())
    fuzz(texts.map { Array($0.utf8) }, "csv") {
      let table = try CSVTable(bytes: $0, path: "x.csv")
      if let known = try? schema.dataset(table, name: "x.csv") { try known.validate() }
      try TableSchema(inferringFrom: table, options: DataOptions())
        .dataset(table, name: "x.csv").validate()
    }
  }

  @Test func series() throws {
    let texts = [
      "date,x,y\n2024-01-01,1,2\n2024-01-02,3,4\n2024-01-03,5,6\n2024-01-04,7,8\n",
      "t;x\n1;0.5\n2;1e3\n3;-1\n", "x,\"when\"\n1,2024-02-28 23:00Z\n2,2024-02-29 00:00Z\n",
      "Month,n\n1949-11,1\n1949-12,2\n1950-01,3\n",
    ]
    fuzz(texts.map { Array($0.utf8) }, "series") {
      let table = try CSVTable(bytes: $0, path: "x.csv")
      let series = try TimeSeries(table, timeColumn: nil, columns: nil)
      _ = series.nextTimes(3)
      let forecasting = try Forecasting(
        timeColumn: series.timeColumn, columns: series.columns,
        targets: Array(series.columns.suffix(1)), window: 2, horizon: 1)
      _ = try ForecastWindows(series, forecasting, rows: 0..<series.count, seesOnlyRows: true)
        .dataset().features
    }
  }

  @Test func wav() throws {
    let extractor = try AudioFeatureExtractor(AudioFeatures(sampleRate: 8000, seconds: 0.05))
    fuzz(try AudioGolden.read().files.map(\.bytes), "wav") {
      _ = try extractor(try WAV.decode($0, name: "x"))
    }
  }

  @Test func jpeg() throws {
    let seeds = try files(
      "baseline.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg", "turned6.jpg")
    fuzz(seeds, "jpeg") { _ = try JPEG.decode($0, name: "x", pixelLimit: 1 << 20) }
  }

  @Test func cifar() throws {
    let records = (0..<2).flatMap { label in [UInt8(label)] + [UInt8](repeating: 9, count: 3072) }
    fuzz([records, Array(records.prefix(3073))], "cifar") { bytes in
      let scratch = try Scratch()
      try scratch.write(bytes, "data_batch_1.bin")
      _ = try DataSource.load(scratch.path, options: DataOptions(testFraction: 0))
    }
  }

  @Test func tar() throws {
    var header = [UInt8](repeating: 0, count: 1024)
    header[0] = 97
    for offset in 124..<135 { header[offset] = 48 }
    header[134] = 51
    header.replaceSubrange(257..<262, with: Array("ustar".utf8))
    let sum = header.prefix(512).reduce(8 * 32) { $0 + Int($1) }
    header.replaceSubrange(148..<154, with: Array(String(format: "%06o", sum).utf8))
    _ = try TarArchive(header, name: "x")
    fuzz([header], "tar") { _ = try TarArchive($0, name: "x").contents(of: "a") }
  }

  @Test func png() throws {
    let seeds = try files(
      "gray.png", "rgb.png", "bits.png", "palette.png", "alpha.png", "claim.png")
    fuzz(seeds, "png") { _ = try PNG.decode($0, name: "x", pixelLimit: 1 << 20) }
    // With checksums put right, damage gets past the first line of defence.
    fuzz(seeds, "png") {
      _ = try PNG.decode(PNGRepair.repaired($0), name: "x", pixelLimit: 1 << 20)
    }
  }
}

/// Damage of the usual kinds: bits, bytes, great numbers, cuts, repetitions, losses.
private struct Mutator {
  private static let marks = Array("0,;\"'\n-e9(){}[]:".utf8)

  private let key: UInt64
  private var counter: UInt64 = 0

  init(key: RandomKey) { self.key = key.value }

  private mutating func below(_ bound: Int) -> Int {
    counter += 1
    return Int(Philox.block(key: key, counter: counter)[0]) % max(bound, 1)
  }

  mutating func mutated(_ seed: [UInt8]) -> [UInt8] {
    var bytes = seed
    for _ in 0...below(4) where !bytes.isEmpty {
      // Half of the damage goes to the headers at both ends.
      let place =
        switch below(4) {
        case 0: below(min(bytes.count, 80))
        case 1: bytes.count - 1 - below(min(bytes.count, 80))
        default: below(bytes.count)
        }
      let end = min(bytes.count, place + 1 + below(16))
      switch below(8) {
      case 0: bytes[place] ^= 1 << UInt8(below(8))
      case 1: bytes[place] = UInt8(below(256))
      case 2: for index in place..<min(end, place + 8) { bytes[index] = 0xFF }
      case 3: for index in place..<min(end, place + 8) { bytes[index] = 0 }
      case 4: bytes.removeSubrange(place..<end)
      case 5: bytes.insert(contentsOf: bytes[place..<end], at: place)
      case 6: bytes.removeSubrange(place...)
      default: bytes[place] = Mutator.marks[below(Mutator.marks.count)]
      }
    }
    return bytes
  }
}
