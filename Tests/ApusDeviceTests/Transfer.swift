import ApusDevice
import ApusReference

/// A dense operand of that type holding the values.
func upload(
  _ values: [Double], _ shape: [Int], _ dtype: DType, to device: ReferenceBackend
) throws -> Operand {
  let wide = try device.temporary(shape, .float64)
  try values.withUnsafeBytes { try device.upload($0, to: wide.storage, byteOffset: 0) }
  let operand = try device.temporary(shape, dtype)
  try device.enqueue(.copy, [wide], [operand])
  return operand
}

func download(_ operand: Operand, from device: ReferenceBackend) throws -> [Double] {
  let wide = try device.temporary(operand.shape, .float64)
  try device.enqueue(.copy, [operand], [wide])
  var values = [Double](repeating: 0, count: operand.count)
  try values.withUnsafeMutableBytes {
    try device.download(wide.storage, byteOffset: 0, into: $0)
  }
  return values
}
