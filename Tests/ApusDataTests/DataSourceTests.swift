import ApusData
import ApusDevice
import Foundation
import Testing

@Suite struct DataSourceTests {
  @Test func digits() throws {
    let data = try DataSource.load("digits")
    let test = try #require(data.test)
    #expect(data.train.count == 1438)
    #expect(test.count == 359)
    #expect(data.train.featureShape == [1, 8, 8])
    #expect(data.train.classNames == ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"])
    #expect(try data.train.features.max() == 16)
    #expect(data.defaultPreprocessing == .scale(by: 1 / 16))
    // The sum of scikit-learn's `load_digits().data`, and its first row's beginning.
    let sum = try (data.train.features + test.features).reduce(0.0) { $0 + Double($1) }
    #expect(sum == 561718)
    let shares = test.indicesByClass().map(\.count)
    #expect(shares.allSatisfy { (34...38).contains($0) }, "\(shares)")
    let seeded = try DataSource.load("digits", options: DataOptions(seed: 99))
    #expect(try seeded.test?.features == test.features)
    // The held-out part never changes between versions.
    let digest = try MD5.hexadecimal(of: test.features.map { UInt8($0) })
    #expect(digest == "d99fc9796e06bf79edf31c4d26983f2a")
  }

  @Test func iris() throws {
    let data = try DataSource.load("iris")
    #expect(data.train.count == 120)
    #expect(data.test?.indicesByClass().map(\.count) == [10, 10, 10])
    #expect(data.train.classNames == ["setosa", "versicolor", "virginica"])
    #expect(
      data.train.featureNames == ["sepal length", "sepal width", "petal length", "petal width"])
    #expect(data.schema?.targetName == "species")
    #expect(data.defaultPreprocessing == .standardize)
    #expect(DataSource.attribution.contains("CC BY 4.0"))
  }

  @Test func csvFile() throws {
    let scratch = try Scratch()
    let rows = (0..<20).map { "\($0),\($0 % 2 == 0 ? "even" : "odd")" }.joined(separator: "\n")
    let path = try scratch.write("n,parity\n" + rows, "numbers.csv")
    let data = try DataSource.load(path, options: DataOptions(testFraction: 0.2, seed: 3))
    #expect(data.train.count == 16)
    #expect(data.test?.labels.sorted() == [0, 0, 1, 1])
    #expect(try DataSource.load(path, options: DataOptions(testFraction: 0)).test == nil)
    let packed = try Zlib.deflate(try FileContents.read(path), .gzip, name: path)
    let other = try scratch.write(packed, "numbers.csv.gz")
    #expect(try DataSource.load(other).train.count == 16)
    let schema = try #require(data.schema)
    #expect(try schema.dataset(readingFrom: path).count == 20)
  }

  @Test func imageFolders() throws {
    let scratch = try Scratch()
    try writeImages(scratch, "named/fashion_mnist", packed: true)
    let options = DataOptions(dataDirectory: scratch.path + "/named", allowDownload: false)
    let data = try DataSource.load("fashion-mnist", options: options)
    #expect(data.train.featureShape == [1, 2, 3])
    #expect(try data.train.features.prefix(3) == [0, 1, 2])
    #expect(data.train.labels == [0, 9])
    #expect(data.train.classNames[9] == "Ankle boot")
    #expect(data.test?.count == 1)

    try writeImages(scratch, "plain", packed: false)
    let direct = DataOptions(dataDirectory: scratch.path + "/plain", allowDownload: false)
    #expect(try DataSource.load("mnist", options: direct).train.count == 2)
    #expect(try DataSource.load(scratch.path + "/plain").train.classNames.count == 10)
  }

  @Test func saysWhatIsAbsent() throws {
    let scratch = try Scratch()
    expectError(
      "fashion-mnist", "t10k-labels-idx1-ubyte.gz", scratch.path, "APUS_DATA_DIR", "switched off"
    ) {
      try DataSource.load(
        "fashion-mnist",
        options: DataOptions(allowDownload: false, cacheDirectory: scratch.path))
    }
    expectError("neither", "digits, iris, fashion-mnist, mnist") { try DataSource.load("nothing") }
    expectError("lacks train-images-idx3-ubyte") { try DataSource.load(scratch.path) }
    expectError("no known kind") { try DataSource.load(scratch.write("x", "a.xyz")) }
  }

  @Test func refusesInconsistentFolders() throws {
    let scratch = try Scratch()
    try writeImages(scratch, "a", packed: false)
    let labels = scratch.path + "/a/train-labels-idx1-ubyte"
    try IDX.write(HostArray([0, 10] as [UInt8], shape: [2]), to: labels)
    let options = DataOptions(dataDirectory: scratch.path + "/a", allowDownload: false)
    expectError("label 10", "image 1") { try DataSource.load("mnist", options: options) }
    try IDX.write(HostArray([0] as [UInt8], shape: [1]), to: labels)
    expectError("[1]", "2 images") { try DataSource.load("mnist", options: options) }
    try IDX.write(HostArray([0, 0] as [Float], shape: [2]), to: labels)
    #expect(try DataSource.load("mnist", options: options).train.labels == [0, 0])
    try IDX.write(
      HostArray([0, 0] as [Float], shape: [2]),
      to: labels.replacing("label", with: "image").replacing("idx1", with: "idx3"))
    expectError("images must be uint8") { try DataSource.load("mnist", options: options) }
  }

  private func writeImages(_ scratch: Scratch, _ folder: String, packed: Bool) throws {
    let images = try HostArray((0..<12).map { UInt8($0) }, shape: [2, 2, 3])
    let arrays = [
      images, try HostArray([0, 9] as [UInt8], shape: [2]),
      try HostArray((0..<6).map { UInt8($0) }, shape: [1, 2, 3]),
      try HostArray([1] as [UInt8], shape: [1]),
    ]
    for (file, array) in zip(ImageFolder.files, arrays) {
      let bytes = try IDX.encode(array)
      try scratch.write(
        packed ? Zlib.deflate(bytes, .gzip, name: file) : bytes,
        "\(folder)/\(file)\(packed ? ".gz" : "")")
    }
  }
}
