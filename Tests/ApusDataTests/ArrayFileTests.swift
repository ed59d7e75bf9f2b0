import ApusData
import ApusDevice
import Foundation
import Testing

/// Files that `Golden/make_arrays.py` wrote.
enum Golden {
  static func path(_ name: String) throws -> String {
    try #require(Bundle.module.url(forResource: "Golden", withExtension: nil))
      .appendingPathComponent(name).path
  }
}

@Suite struct ArrayFileTests {
  private let ramp = (0..<24).map { Float($0) }

  @Test(arguments: ["stored.npz", "deflated.npz"]) func readsWhatNumPyWrites(file: String) throws {
    let arrays = try NPZ.read(Golden.path(file))
    let types: [String: DType] = [
      "f2": .float16, "f4": .float32, "f8": .float64, "i1": .int32, "i2": .int32, "i4": .int32,
      "i8": .int32, "u1": .uint8, "u2": .int32, "u4": .int32, "u8": .int32, "bool": .bool,
      "big_f4": .float32, "big_i8": .int32, "fortran": .float32, "fortran_big": .float64,
    ]
    for (name, dtype) in types {
      let array = try #require(arrays[name])
      #expect(array.dtype == dtype, "\(name)")
      #expect(array.shape == [2, 3, 4])
      let expected: [Float] =
        switch name {
        case "bool": ramp.map { $0 == 0 ? 0 : 1 }
        case "u1", "u2", "u4", "u8": ramp
        default: ramp.map { $0 - 5 }
        }
      #expect(array.floats() == expected, "\(name)")
    }
    #expect(arrays["scalar"]?.shape == [])
    #expect(arrays["scalar"]?.floats() == [1.5])
    #expect(arrays["empty"]?.shape == [0, 3])
    #expect(arrays.count == types.count + 2)
  }

  @Test func readsLaterVersions() throws {
    for version in [2, 3] {
      let array = try NPY.read(Golden.path("version\(version).npy"))
      #expect(array.floats() == ramp.map { $0 - 5 })
    }
  }

  @Test func writesWhatItReads() throws {
    let scratch = try Scratch()
    let arrays = [
      "a": try HostArray(ramp, shape: [2, 3, 4]),
      "b": try HostArray([1, -2] as [Int32], shape: [2]),
      "µ": try HostArray([7] as [UInt8], shape: []),
      "bool": try HostArray(shape: [2], dtype: .bool, bytes: [0, 1]),
      "half": try HostArray(shape: [1], dtype: .float16, bytes: [0, 0x3C]),
      "double": try HostArray(shape: [1, 0], dtype: .float64, bytes: []),
    ]
    for isDeflated in [false, true] {
      let path = scratch.path + "/a.npz"
      try NPZ.write(arrays, to: path, isDeflated: isDeflated)
      #expect(try NPZ.read(path) == arrays)
    }
    let array = try #require(arrays["a"])
    try NPY.write(array, to: scratch.path + "/a.npy")
    #expect(try NPY.read(scratch.path + "/a.npy") == array)
    #expect(try NPY.encode(array).count % 64 == 24 * 4 % 64)
    expectError("bfloat16") {
      try NPY.encode(HostArray(shape: [1], dtype: .bfloat16, bytes: [0, 0]))
    }
    let left = try FileManager.default.contentsOfDirectory(atPath: scratch.path)
    #expect(left.sorted() == ["a.npy", "a.npz"])
  }

  @Test func refusesWhatItCannotHold() throws {
    expectError("x.npy", "'<U2'", "astype") { try NPZ.read(Golden.path("refused_text.npz")) }
    expectError("element 0", "int32") { try NPZ.read(Golden.path("refused_range.npz")) }
    expectError("fields") { try NPZ.read(Golden.path("refused_record.npz")) }
    expectError("not an NPY file") { try NPY.decode(Array("hello world".utf8), name: "x") }
    func npy(_ header: String, _ body: [UInt8] = []) -> [UInt8] {
      [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8) + body
    }
    func header(_ shape: String, _ type: String = "<f4") -> [UInt8] {
      npy("{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape)}", [0, 0, 0, 0])
    }
    #expect(try NPY.decode(header("(1,)"), name: "x").floats() == [0])
    #expect(try NPY.decode(header("(1L,)"), name: "x").floats() == [0])
    expectError("[2]", "4 bytes") { try NPY.decode(header("(2,)"), name: "x") }
    expectError("4 bytes") { try NPY.decode(header("(4611686018427387905,4)"), name: "x") }
    expectError("tuple") { try NPY.decode(header("(99999999999999999999,)"), name: "x") }
    expectError("tuple") { try NPY.decode(header("(-1,)"), name: "x") }
    expectError("'|O'") { try NPY.decode(header("(1,)", "|O"), name: "x") }
    expectError("lacks descr, fortran_order") { try NPY.decode(npy("{'shape': (1,)}"), name: "x") }
    expectError("unexpected field") { try NPY.decode(npy("{'sharp': (1,)}"), name: "x") }
    expectError("dictionary") { try NPY.decode(npy("[]"), name: "x") }
    expectError("truncated") { try NPY.decode(npy("{")[..<9] + [0xFF], name: "x") }
  }

  @Test func refusesDamagedArchives() throws {
    let bytes = try NPZ.encode(["x": HostArray(ramp, shape: [24])])
    for length in stride(from: 0, to: bytes.count, by: 7) {
      expectError("a.npz") { try NPZ.decode(Array(bytes.prefix(length)), name: "a.npz") }
    }
    var flipped = bytes
    flipped[200] ^= 1
    expectError("a.npz/x.npy", "checksum") { try NPZ.decode(flipped, name: "a.npz") }
    let packed = try NPZ.encode(["x": HostArray(ramp, shape: [24])], isDeflated: true)
    var lying = packed
    // The unpacked size in the directory.
    lying[packed.count - 22 - 51 + 24] = 5
    expectError("more than 5 bytes") { try NPZ.decode(lying, name: "a.npz") }
  }

  @Test func loadsDataSets() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/a.npz"
    let x = try HostArray((0..<40).map { UInt8($0) }, shape: [10, 2, 2])
    let y = try HostArray((0..<10).map { Int32($0 % 2) }, shape: [10, 1])
    try NPZ.write(["x": x, "y": y], to: path)
    let data = try DataSource.load(path)
    #expect(data.train.featureShape == [1, 2, 2])
    #expect(data.train.count == 8)
    #expect(data.test?.labels.sorted() == [0, 1])
    #expect(data.defaultPreprocessing == .scale(by: 1 / 255))

    try NPZ.write(["x_train": x, "y_train": y, "x_test": x, "y_test": y], to: path)
    #expect(try DataSource.load(path).test?.count == 10)

    let targets = try HostArray((0..<10).map { Float($0) + 0.5 }, shape: [10])
    try NPZ.write(["data": x, "target": targets], to: path)
    #expect(try DataSource.load(path).train.isRegression)

    try NPZ.write(["a": x, "b": y], to: path)
    expectError("holds a, b") { try DataSource.load(path) }
    try NPZ.write(["x": x, "y": x], to: path)
    expectError("[10, 2, 2]") { try DataSource.load(path) }
    try NPZ.write(
      ["x": HostArray([.nan, 1], shape: [2, 1]), "y": HostArray([0, 1] as [Int32], shape: [2])],
      to: path)
    expectError("element 0 of x", "nan") { try DataSource.load(path) }
  }
}
