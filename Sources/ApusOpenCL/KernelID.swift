import ApusKernels

/// A kernel file, built as one program on first use.
enum KernelProgram: Int, CaseIterable {
  // Files of many kernels are two programs, the second with what few networks need; see prelude.cl.
  case elementwise, elementwiseRest, copy, cast, reduce, reduceRest, index, indexRest, rows,
    rowsRest
  case optimizer, random, chain, recurrent, transpose
  // One program per height of the register tile or edge of the local tile; `gemm` combines the parts
  // of a cut depth.
  case gemm, gemm4, gemm6, gemm8, gemm12, gemmVector, gemm64, gemm128
  // One program per width of a panel.
  case convolution, convolution1, convolution2, winograd1, winograd2, convolutionShared
  case depthwise, pooling, batchNorm
  // One program per side of the window.
  case depthwisePlanes3, depthwisePlanes5
  // Other ways for GPU kinds, which a tuner may choose: tiles by warps, work-groups of 256.
  case gemmWarps64, gemmWarps128, convolutionWarps, rowsWide, rowsRestWide, reduceWide
  // Products by tensor cores, for GPU kinds.
  case gemmTF32x64, gemmTF32x128, gemmBFloat16x64, gemmBFloat16x128

  var name: String { "\(self)" }

  /// The prelude, then the file.
  var source: [UInt8] {
    let part =
      switch self {
      case .elementwiseRest, .cast, .reduceRest, .indexRest, .rowsRest, .rowsRestWide:
        "#define APUS_PART 1\n"
      default: ""
      }
    return Array(part.utf8) + KernelSource.prelude + file
  }

  private var file: [UInt8] {
    switch self {
    case .elementwise, .elementwiseRest: KernelSource.functions + KernelSource.elementwise
    case .chain: KernelSource.functions + KernelSource.chain
    case .copy, .cast: KernelSource.cast
    case .transpose: KernelSource.transpose
    case .reduce, .reduceRest: KernelSource.reduce
    case .index, .indexRest: KernelSource.index
    case .rows, .rowsRest: KernelSource.rows
    case .optimizer: KernelSource.optimizer
    case .random: KernelSource.random
    case .recurrent: KernelSource.recurrent
    case .gemm: KernelSource.functions + KernelSource.gemm
    case .gemm4: Self.gemmCPU(rows: 4)
    case .gemm6: Self.gemmCPU(rows: 6)
    case .gemm8: Self.gemmCPU(rows: 8)
    case .gemm12: Self.gemmCPU(rows: 12)
    case .gemmVector: KernelSource.functions + KernelSource.gemm + KernelSource.gemmVector
    case .gemm64: Self.gemmGPU(tile: 64)
    case .gemm128: Self.gemmGPU(tile: 128)
    case .convolution: KernelSource.convolution
    case .convolution1: Self.convolutionCPU(vectors: 1, KernelSource.convolutionCPU)
    case .convolution2: Self.convolutionCPU(vectors: 2, KernelSource.convolutionCPU)
    case .winograd1: Self.convolutionCPU(vectors: 1, KernelSource.winogradCPU)
    case .winograd2: Self.convolutionCPU(vectors: 2, KernelSource.winogradCPU)
    case .convolutionShared:
      KernelSource.functions + KernelSource.convolution + KernelSource.tilesGPU
        + KernelSource.convolutionGPU
    case .depthwise:
      KernelSource.functions + KernelSource.registers + KernelSource.images
        + KernelSource.depthwise
    case .depthwisePlanes3: Self.depthwisePlanes(side: 3)
    case .depthwisePlanes5: Self.depthwisePlanes(side: 5)
    case .pooling: KernelSource.images + KernelSource.pooling
    case .batchNorm: KernelSource.functions + KernelSource.batchNorm
    case .gemmWarps64: Self.gemmGPU(tile: 64, byWarps: true)
    case .gemmWarps128: Self.gemmGPU(tile: 128, byWarps: true)
    case .convolutionWarps:
      Array("#define WARPS 1\n#define conv_shared conv_warps\n".utf8)
        + KernelProgram.convolutionShared.file
    case .rowsWide, .rowsRestWide:
      Self.wide([
        .softmax_wide, .softmax_backward_wide, .cross_entropy_wide, .layer_norm_wide,
        .layer_norm_backward_wide,
      ]) + KernelSource.rows
    case .reduceWide: Self.wide([.reduce_rows_float_wide]) + KernelSource.reduce
    case .gemmTF32x64: Self.gemmTensor(tile: 64, isBFloat16: false)
    case .gemmTF32x128: Self.gemmTensor(tile: 128, isBFloat16: false)
    case .gemmBFloat16x64: Self.gemmTensor(tile: 64, isBFloat16: true)
    case .gemmBFloat16x128: Self.gemmTensor(tile: 128, isBFloat16: true)
    }
  }

  /// Whether its kernels multiply by tensor cores.
  var usesTensorCores: Bool {
    switch self {
    case .gemmTF32x64, .gemmTF32x128, .gemmBFloat16x64, .gemmBFloat16x128: true
    default: false
    }
  }

  private static func gemmCPU(rows: Int) -> [UInt8] {
    Array("#define ROWS \(rows)\n".utf8) + KernelSource.functions + KernelSource.gemm
      + KernelSource.gemmCPU
  }

  private static func convolutionCPU(vectors: Int, _ file: [UInt8]) -> [UInt8] {
    Array("#define VECTORS \(vectors)\n".utf8) + KernelSource.functions + KernelSource.convolution
      + KernelSource.registers + file
  }

  private static func depthwisePlanes(side: Int) -> [UInt8] {
    Array("#define SIZE \(side)\n".utf8) + KernelSource.functions + KernelSource.registers
      + KernelSource.images + KernelSource.depthwisePlanes
  }

  private static func gemmGPU(tile: Int, byWarps: Bool = false) -> [UInt8] {
    let warps =
      byWarps ? "#define WARPS 1\n#define gemm_shared_\(tile) gemm_warps_\(tile)\n" : ""
    return Array("#define TILE \(tile)\n\(warps)".utf8) + KernelSource.functions
      + KernelSource.gemm + KernelSource.tilesGPU + KernelSource.gemmGPU
  }

  private static func gemmTensor(tile: Int, isBFloat16: Bool) -> [UInt8] {
    Array("#define TILE \(tile)\n#define BFLOAT16 \(isBFloat16 ? 1 : 0)\n".utf8)
      + KernelSource.functions + KernelSource.gemm + KernelSource.tilesGPU + KernelSource.gemmTensor
  }

  /// Work-groups of 256, under the kernels' other names.
  private static func wide(_ kernels: [KernelID]) -> [UInt8] {
    let names = kernels.map { "#define \($0.name.dropLast(5)) \($0.name)\n" }
    return Array(("#define GROUP 256\n" + names.joined()).utf8)
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
  // recurrent.cl
  case recurrent_final, recurrent_pack, recurrent_forward, recurrent_backward, recurrent_step
  case recurrent_forward_team, recurrent_backward_team, recurrent_gradient, recurrent_state
  // gemm.cl, gemm_cpu.cl, gemm_vector.cl, gemm_gpu.cl
  case gemm_combine, gemm_tile_4, gemm_tile_6, gemm_tile_8, gemm_tile_12
  case gemm_vector, gemm_shared_64, gemm_shared_128
  // chain.cl
  case elementwise_chain
  // transpose.cl
  case transpose_4
  // convolution.cl, convolution_cpu.cl, convolution_gpu.cl
  case conv_pack, conv_pad, conv_unpack, conv_overlap
  case conv_tile_1, conv_weights_1, conv_tile_2, conv_weights_2, conv_shared, weights_shared
  // winograd_cpu.cl
  case winograd_pack_1, winograd_1, winograd_weights_1, winograd_unpack_1
  case winograd_pack_2, winograd_2, winograd_weights_2, winograd_unpack_2
  // depthwise.cl
  case depthwise, depthwise_input, depthwise_weights
  // depthwise_planes.cl
  case depthwise_planes_3, depthwise_planes_backward_3
  case depthwise_planes_5, depthwise_planes_backward_5
  // pooling.cl
  case max_pool, max_pool_backward, average_pool, average_pool_backward
  case adaptive_pool, adaptive_pool_backward, resize, resize_backward
  // batchnorm.cl
  case batch_norm_parts, batch_norm_statistics, batch_norm_given, batch_norm_apply
  case batch_norm_gradient_parts, batch_norm_gradient_sums, batch_norm_gradient_apply
  // The other ways of a GPU.
  case gemm_warps_64, gemm_warps_128, conv_warps
  case softmax_wide, softmax_backward_wide, cross_entropy_wide, layer_norm_wide
  case layer_norm_backward_wide, reduce_rows_float_wide
  // gemm_tensor.cl
  case gemm_tf32_64, gemm_tf32_128, gemm_bfloat16_64, gemm_bfloat16_128

  var name: String { "\(self)" }

  var program: KernelProgram {
    let position = rawValue
    switch self {
    case .unary, .unary_backward, .binary, .scalar_binary, .activation_backward:
      return .elementwise
    case .copy_4, .fill_4: return .copy
    case .reduce_rows_float, .reduce_columns_float, .arg_reduce_float: return .reduce
    case .gather_4: return .index
    case .softmax, .softmax_backward, .cross_entropy: return .rows
    case .depthwise_planes_3, .depthwise_planes_backward_3: return .depthwisePlanes3
    case .depthwise_planes_5, .depthwise_planes_backward_5: return .depthwisePlanes5
    case .gemm_warps_64: return .gemmWarps64
    case .gemm_warps_128: return .gemmWarps128
    case .conv_warps: return .convolutionWarps
    case .softmax_wide, .softmax_backward_wide, .cross_entropy_wide: return .rowsWide
    case .layer_norm_wide, .layer_norm_backward_wide: return .rowsRestWide
    case .reduce_rows_float_wide: return .reduceWide
    case .gemm_tf32_64: return .gemmTF32x64
    case .gemm_tf32_128: return .gemmTF32x128
    case .gemm_bfloat16_64: return .gemmBFloat16x64
    case .gemm_bfloat16_128: return .gemmBFloat16x128
    default: break
    }
    if position <= Self.select_8.rawValue { return .elementwiseRest }
    if position <= Self.cast_double.rawValue { return .cast }
    if position <= Self.cumulative_sum_int.rawValue { return .reduceRest }
    if position <= Self.sort_int.rawValue { return .indexRest }
    if position <= Self.layer_norm_parameters.rawValue { return .rowsRest }
    if position <= Self.sum_of_squares.rawValue { return .optimizer }
    if position <= Self.dropout.rawValue { return .random }
    if position >= Self.batch_norm_parts.rawValue { return .batchNorm }
    if position >= Self.max_pool.rawValue { return .pooling }
    if position >= Self.depthwise.rawValue { return .depthwise }
    if position <= Self.recurrent_state.rawValue { return .recurrent }
    switch self {
    case .gemm_tile_4: return .gemm4
    case .gemm_tile_6: return .gemm6
    case .gemm_tile_8: return .gemm8
    case .gemm_tile_12: return .gemm12
    case .gemm_vector: return .gemmVector
    case .gemm_shared_64: return .gemm64
    case .gemm_shared_128: return .gemm128
    case .elementwise_chain: return .chain
    case .transpose_4: return .transpose
    case .conv_pack, .conv_pad, .conv_unpack, .conv_overlap: return .convolution
    case .conv_tile_1, .conv_weights_1: return .convolution1
    case .conv_tile_2, .conv_weights_2: return .convolution2
    case .conv_shared, .weights_shared: return .convolutionShared
    case .winograd_pack_1, .winograd_1, .winograd_weights_1, .winograd_unpack_1: return .winograd1
    case .winograd_pack_2, .winograd_2, .winograd_weights_2, .winograd_unpack_2: return .winograd2
    default: return .gemm
    }
  }
}
