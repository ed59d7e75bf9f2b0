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
  case activation_backward
  case select_1, select_2, select_4, select_8
  // cast.cl
  case copy_1, copy_2, copy_4, copy_8, fill_1, fill_2, fill_4, fill_8
  case cast_float, cast_int, cast_double
  // reduce.cl
  case reduce_rows_float, reduce_rows_int, reduce_columns_float, reduce_columns_int
  case arg_reduce_float, arg_reduce_int, cumulative_sum_float, cumulative_sum_int
  // index.cl
  case gather_1, gather_2, gather_4, gather_8, scatter_add_float, scatter_add_int
  case sort_float, sort_int
  // rows.cl
  case softmax, softmax_backward, cross_entropy, layer_norm, layer_norm_backward
  case layer_norm_parameters
  // optimizer.cl
  case optimizer_step, sum_of_squares
  // random.cl
  case random, dropout

  var name: String { "\(self)" }

  var program: KernelProgram {
    let position = rawValue
    if position <= Self.select_8.rawValue { return .elementwise }
    if position <= Self.cast_double.rawValue { return .cast }
    if position <= Self.cumulative_sum_int.rawValue { return .reduce }
    if position <= Self.sort_int.rawValue { return .index }
    if position <= Self.layer_norm_parameters.rawValue { return .rows }
    if position <= Self.sum_of_squares.rawValue { return .optimizer }
    return .random
  }
}
