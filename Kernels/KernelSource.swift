/// The OpenCL C sources of the engine, embedded at build time.
public enum KernelSource {
  /// Types and functions shared by all files; it precedes each of them.
  public static var prelude: [UInt8] { PackageResources.prelude_cl }
  public static var elementwise: [UInt8] { PackageResources.elementwise_cl }
  /// Functions of one argument; precedes the files that apply them.
  public static var functions: [UInt8] { PackageResources.functions_cl }
  public static var chain: [UInt8] { PackageResources.chain_cl }
  public static var cast: [UInt8] { PackageResources.cast_cl }
  /// Copies that exchange the dense axis, for CPU kinds.
  public static var transpose: [UInt8] { PackageResources.transpose_cl }
  public static var reduce: [UInt8] { PackageResources.reduce_cl }
  public static var index: [UInt8] { PackageResources.index_cl }
  public static var rows: [UInt8] { PackageResources.rows_cl }
  public static var optimizer: [UInt8] { PackageResources.optimizer_cl }
  /// Recurrent layers: what both kinds share, then each kind's own.
  public static var recurrent: [UInt8] {
    PackageResources.recurrent_cl + PackageResources.recurrent_panels_cl
      + PackageResources.recurrent_cpu_cl + PackageResources.recurrent_team_cl
      + PackageResources.recurrent_gpu_cl
  }
  public static var random: [UInt8] { PackageResources.random_cl }
  /// What both kinds of matrix products share; precedes them.
  public static var gemm: [UInt8] { PackageResources.gemm_cl }
  public static var gemmCPU: [UInt8] { PackageResources.gemm_cpu_cl }
  public static var gemmVector: [UInt8] { PackageResources.gemm_vector_cl }
  public static var gemmGPU: [UInt8] { PackageResources.gemm_gpu_cl }
  /// Products by tensor cores.
  public static var gemmTensor: [UInt8] { PackageResources.gemm_tensor_cl }
  /// Places in a tile and loads of quads; precedes the files that share tiles in local memory.
  public static var tilesGPU: [UInt8] { PackageResources.tiles_gpu_cl }
  /// What both kinds of convolutions share; precedes them.
  public static var convolution: [UInt8] { PackageResources.convolution_cl }
  /// Register tiles for CPU kinds; precedes the files that use them.
  public static var registers: [UInt8] { PackageResources.registers_cl }
  public static var winogradCPU: [UInt8] { PackageResources.winograd_cpu_cl }
  public static var convolutionCPU: [UInt8] { PackageResources.convolution_cpu_cl }
  public static var convolutionGPU: [UInt8] { PackageResources.convolution_gpu_cl }
  /// The walk over images; precedes the files that use it.
  public static var images: [UInt8] { PackageResources.images_cl }
  public static var depthwise: [UInt8] { PackageResources.depthwise_cl }
  /// Depthwise convolutions of planes, for CPU kinds.
  public static var depthwisePlanes: [UInt8] { PackageResources.depthwise_planes_cl }
  public static var pooling: [UInt8] { PackageResources.pooling_cl }
  /// Complete in itself: no prelude.
  public static var peak: [UInt8] { PackageResources.peak_cl }
  public static var batchNorm: [UInt8] { PackageResources.batchnorm_cl }
}
