import ApusDevice
import ApusOpenCL
import Testing

private let opened = Result { try OpenCLBackend() }

/// One device for all tests of the process.
func sharedDevice() throws -> OpenCLBackend { try opened.get() }

func upload<T: BitwiseCopyable>(
  _ device: OpenCLBackend, _ values: [T], _ shape: [Int], _ dtype: DType
) throws -> Operand {
  let operand = try device.temporary(shape, dtype)
  try values.withUnsafeBytes { try device.upload($0, to: operand.storage, byteOffset: 0) }
  return operand
}

func download<T: BitwiseCopyable & ExpressibleByIntegerLiteral>(
  _ device: OpenCLBackend, _ operand: Operand, as type: T.Type
) throws -> [T] {
  var values = [T](repeating: 0, count: operand.layout.end)
  try values.withUnsafeMutableBytes {
    try device.download(operand.storage, byteOffset: 0, into: $0)
  }
  return values
}

@Suite(.serialized) struct SmokeTests {
  @Test func addsAndCopies() throws {
    let device = try sharedDevice()
    let n = 1003
    let x = try upload(device, (0..<n).map { Float($0) }, [n], .float32)
    let y = try device.temporary([n])
    try device.enqueue(.binary(.add), [x, x], [y])
    #expect(try download(device, y, as: Float.self) == (0..<n).map { Float(2 * $0) })
    let z = try device.temporary([n], .int32)
    try device.enqueue(.copy, [y], [z])
    #expect(try download(device, z, as: Int32.self) == (0..<n).map { Int32(2 * $0) })
    let t = try device.temporary([17, 59])
    try device.enqueue(
      .copy, [x.with(Layout(shape: [17, 59], strides: [1, 17], offset: 0))], [t])
    let back = try download(device, t, as: Float.self)
    #expect(back[1] == 17 && back[59] == 1)
  }
}
