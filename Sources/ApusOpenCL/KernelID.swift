import ApusKernels

/// A kernel file, built as one program on first use.
enum KernelProgram: Int, CaseIterable {
  case elementwise, cast, reduce, index, rows, optimizer, random

  var name: String { "\(self)" }

  /// The prelude, then the file.
  var source: [UInt8] {
    let file =
      switch self {
      case .elementwise: KernelSource.elementwise
      case .cast: KernelSource.cast
      case .reduce: KernelSource.reduce
      case .index: KernelSource.index
      case .rows: KernelSource.rows
      case .optimizer: KernelSource.optimizer
      case .random: KernelSource.random
      }
    return KernelSource.prelude + file
  }
}

/// Every kernel that is launched by its identity; the case name is the kernel's name.
enum KernelID: Int, CaseIterable {
  // elementwise.cl
  case unary, unary_int, classify, unary_backward, binary, binary_int, logical, scalar_binary
  case scalar_binary_int, compare, compare_int, compare_byte, ternary
  case select_1, select_2, select_4, select_8
  // cast.cl
  case copy_1, copy_2, copy_4, copy_8, fill_1, fill_2, fill_4, fill_8
  case cast_float, cast_int, cast_double

  var name: String { "\(self)" }

  var program: KernelProgram {
    if rawValue <= Self.select_8.rawValue { return .elementwise }
    return .cast
  }
}
