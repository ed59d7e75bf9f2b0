import Apus
import ArgumentParser
import Foundation

extension MatrixPrecision: ExpressibleByArgument {}

/// `--device`, the same everywhere.
struct DeviceOptions: ParsableArguments {
  @Option(help: "Where to compute: auto, cpu, opencl, opencl:N or reference.")
  var device = "auto"

  @OptionGroup var products: PrecisionOptions

  @OptionGroup var memory: MemoryOptions

  /// Opens the device; for `auto` says on standard error what was chosen and why.
  func open(quiet: Bool) throws -> Device {
    guard device == "auto" else {
      let named = try products.set(on: Devices.named(device))
      if !quiet && products.precision != .float32 {
        Console.note("precision: \(named) computes products in \(products.precision.rawValue)")
      }
      return memory.limited(named)
    }
    let (chosen, reason) = try Devices.automatic(products.precision)
    if !quiet { Console.note("device: \(chosen) (\(reason))") }
    return memory.limited(chosen)
  }
}

/// `--precision`, the same everywhere.
struct PrecisionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How exactly matrix products are computed.",
      discussion: """
        float32 is true float32, on every device. The others are faster on NVIDIA
        GPUs of compute capability 8.0 or higher: tensor cores take operands that
        are rounded to 10 bits of mantissa (tf32, off by 1/2048 at most) or 7 bits
        (bfloat16, 1/256), and add in float32. That is for dense layers and the
        input products of recurrent layers; convolutions and all else stay float32.
        A device that cannot is an error, never another precision.
        """))
  var precision = MatrixPrecision.float32

  /// The device, computing so.
  func set(on device: Device) throws -> Device {
    try device.setMatrixPrecision(precision)
    return device
  }
}

/// `--memory-limit`, the same everywhere.
struct MemoryOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The most memory of the device to take, such as 2GiB or 800MB. Default: what it has.",
      discussion: """
        Counts tensors and what is kept for reuse; the latter is given back before a request is refused.
        """),
    transform: { text in
      guard let size = ByteSize(text) else {
        throw ValidationError(
          "'\(text)' is no amount of memory; write 2GiB, 800MB or a number of bytes")
      }
      return size
    })
  var memoryLimit: ByteSize?

  func limited(_ device: Device) -> Device {
    if let memoryLimit { device.limitMemory(to: memoryLimit.bytes) }
    return device
  }

  /// Says how close a run came to the limit, where there is one.
  func report(_ device: Device) {
    guard let memoryLimit else { return }
    let counters = device.counters
    Console.note(
      "memory of \(device): at most \(ByteSize(counters.peakBytesInUse)) in use of \(memoryLimit), "
        + "\(ByteSize(counters.bytesCached)) kept for reuse, given back \(counters.returns) times")
  }
}

/// How data is named and read.
struct DataArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A built-in name or a path.",
      discussion: """
        Built in: digits, iris. Looked for in --data-dir or downloaded: mnist, fashion-mnist, cifar10.
        Paths: a .csv or .tsv table, an .npz archive (arrays x and y), a folder of
        IDX files, of CIFAR batches, of .jpg and .png images by class
        (CLASS/*.jpg or train/CLASS/*.jpg), or of .wav recordings, by class or
        named CLASS_SPEAKER_INDEX.wav.
        For models of texts: a table with a column of texts and one of
        classes, or a folder or .tar.gz of texts by class; for language models
        a text file. Each may be packed (.gz).
        """))
  var data: String

  @Option(help: "A folder that holds named data sets such as fashion-mnist.")
  var dataDir: String?

  @Option(
    help: ArgumentHelp(
      "The target column of a table, by name or number (from 1). Default: the last.",
      discussion: "Of a time series also several, by names with commas between."))
  var target: String?

  @Option(
    help: "The column of texts, by name or number. Default: the one with the longest fields.")
  var textColumn: String?

  @Option(help: "How the bytes of texts stand for characters: utf-8 or latin-1.")
  var encoding = TextFile.Encoding.utf8

  @Flag(inversion: .prefixedNo, help: "Whether the first line of a table holds names.")
  var header: Bool?

  @Option(help: "Columns of a table to treat as categories though they hold numbers.")
  var categorical: [String] = []

  @Option(
    help: "Scale images so that the short side has this many pixels, and cut them square.")
  var imageSize: Int?

  @Option(help: "Recordings of this speaker are the test part, and none else.")
  var testSpeaker: String?

  @Flag(help: "Never download.")
  var offline = false

  func validate() throws {
    if let imageSize, !ImageSize.sides.contains(imageSize) {
      throw ValidationError(
        "--image-size must be within \(ImageSize.sides.lowerBound)...\(ImageSize.sides.upperBound)")
    }
  }

  func options(seed: UInt64, testFraction: Double, quiet: Bool) -> DataOptions {
    var options = DataOptions(
      dataDirectory: dataDir, target: target, hasHeader: header, categoricalColumns: categorical,
      testFraction: testFraction, seed: seed, allowDownload: !offline)
    options.imageSize = imageSize.map { ImageSize($0) }
    options.textColumn = textColumn
    options.textEncoding = encoding
    options.audio.testSpeaker = testSpeaker
    if !quiet {
      options.progress = { file, received, total in
        let amount = total.map { "\(received * 100 / max($0, 1)) %" } ?? "\(received) bytes"
        Console.note("download: \(file) \(amount)")
      }
    }
    return options
  }

  /// Notes what was given of options that only some kinds of data have.
  func note(in given: inout GivenOptions) {
    given.add(.textClasses, ["--text-column": textColumn != nil])
    given.add(
      .table,
      ["--target": target != nil, "--header": header == true, "--no-header": header == false])
    given.add(.categories, ["--categorical": !categorical.isEmpty])
    given.add(.images, ["--image-size": imageSize != nil])
    given.add(.recordings, ["--test-speaker": testSpeaker != nil])
  }

  /// Whether the path names a table, which a model file's schema can read.
  var isTable: Bool {
    let plain = data.lowercased().hasSuffix(".gz") ? String(data.dropLast(3)) : data
    return ["csv", "tsv", "txt", "data", "tab"]
      .contains((plain as NSString).pathExtension.lowercased())
  }
}
