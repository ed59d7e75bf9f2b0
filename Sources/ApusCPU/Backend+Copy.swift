import ApusDevice
import CVector

extension CPUBackend {
  func fill(_ value: Double, _ out: Operand) throws {
    try checkRank(out, "fill")
    let target = try pointer(out)
    let layout = out.layout
    let zeros = CPUBackend.zeroStrides
    withUnsafeTemporaryAllocation(byteCount: 8, alignment: 8) { element in
      guard let element = element.baseAddress else { return }
      withUnsafePointer(to: value) {
        apus_elementwise(
          CPUBackend.castCode(.float64, out.dtype), apus_parameters(), 0, zeros, element, zeros, $0,
          zeros, nil, nil, nil, nil)
      }
      apus_elementwise(
        apus_operation(APUS_MOVE.rawValue + out.dtype.sizeCode), apus_parameters(),
        Int32(layout.rank), layout.shape, target, layout.strides, element, zeros, nil, nil, nil, nil
      )
    }
  }

  func copy(_ x: Operand, _ out: Operand) throws {
    if x.dtype == out.dtype { return try move(x, out) }
    try elementwise(CPUBackend.castCode(x.dtype, out.dtype), x, to: out)
  }

  /// The same bits in another layout.
  func move(_ x: Operand, _ out: Operand) throws {
    try checkRank(out, "copy")
    var (from, to) = (x.layout, out.layout)
    if !to.isContiguous {
      // Along the result: the loops find their tiles where its dense axis comes last.
      let order = to.axesInMemoryOrder
      (from, to) = (from.permuted(order), to.permuted(order))
    }
    apus_copy(
      Int32(out.dtype.byteCount), Int32(to.rank), to.shape, try pointer(out), to.strides,
      try pointer(x), from.strides)
  }

  static func castCode(_ from: DType, _ to: DType) -> apus_operation {
    apus_operation(APUS_CAST.rawValue + 7 * UInt32(from.rawValue) + UInt32(to.rawValue))
  }
}
