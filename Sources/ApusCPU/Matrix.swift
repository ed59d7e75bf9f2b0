import ApusDevice
import CBLAS
import CVector

/// A matrix in memory; steps in elements.
struct Matrix {
  let pointer: UnsafePointer<Float>
  let rowStep: Int
  let columnStep: Int
}

/// A matrix as BLAS sees it: rows of a step apart, or columns when transposed.
struct BLASMatrix {
  var pointer: UnsafePointer<Float>
  let isTransposed: Bool
  let step: Int

  /// Nil where neither axis has unit stride, or where rows overlap.
  init?(_ matrix: Matrix, rows: Int, columns: Int) {
    pointer = matrix.pointer
    let (rowStep, columnStep) = (matrix.rowStep, matrix.columnStep)
    if (columnStep == 1 || columns == 1) && (rowStep >= columns || rows == 1) {
      isTransposed = false
      step = max(rows == 1 ? columns : rowStep, 1)
    } else if (rowStep == 1 || rows == 1) && (columnStep >= rows || columns == 1) {
      isTransposed = true
      step = max(columns == 1 ? rows : columnStep, 1)
    } else {
      return nil
    }
  }

  /// The address of element (row, column).
  func at(_ row: Int, _ column: Int) -> UnsafePointer<Float> {
    pointer + (isTransposed ? column * step + row : row * step + column)
  }
}

/// `C[m, n] = A[m, k] · B[k, n]`, then an activation of C plus a bias. `k` is at least 1.
///
/// Three ways, chosen by the sizes alone: our own register tiles where AVX-512 is at hand and the
/// product is neither small nor narrow; else BLAS with one thread, called on blocks of C by the
/// threads of the pool; its matrix-vector product where C is a single row.
struct Product {
  let m: Int, n: Int, k: Int
  let a: Matrix, b: Matrix
  var c: UnsafeMutablePointer<Float>
  let cStep: Int
  var bias: UnsafePointer<Float>?
  var epilogue: (apus_operation, apus_parameters)?

  /// BLAS has kernels for products up to 100³ that need no packing.
  private var suitsTiles: Bool {
    m >= 24 && n >= 24 && m * n * k > 1_000_000 && apus_level() == 2
  }

  func run(on device: CPUBackend) throws {
    if !suitsTiles, let left = BLASMatrix(a, rows: m, columns: k),
      let right = BLASMatrix(b, rows: k, columns: n)
    {
      return BlockedProduct(self, left, right).run()
    }
    try device.withScratch(apus_gemm_scratch(m, n, k)) { scratch in
      guard let scratch = scratch?.assumingMemoryBound(to: Float.self) else { return }
      let (activation, parameters) = epilogue ?? (APUS_NEGATE, apus_parameters())
      apus_gemm(
        m, n, k, a.pointer, a.rowStep, a.columnStep, b.pointer, b.rowStep, b.columnStep, c, cStep,
        epilogue == nil ? -1 : Int32(activation.rawValue), parameters, bias, scratch)
    }
  }
}

/// A product in blocks of C, each one call of BLAS on one thread.
private struct BlockedProduct {
  var product: Product
  var a: BLASMatrix, b: BLASMatrix
  let blockRows: Int
  let blockColumns: Int

  init(_ product: Product, _ a: BLASMatrix, _ b: BLASMatrix) {
    self.product = product
    self.a = a
    self.b = b
    let (m, n) = (product.m, product.n)
    // Below about 10 µs of work the pool costs more than it gives.
    let work = m * n * product.k
    let parts = work < 1 << 19 ? 1 : min(16, max(2, work >> 22))
    func cut(_ extent: Int) -> Int {
      let each = (extent + parts - 1) / parts
      return min(extent, (each + 31) / 32 * 32)
    }
    // The longer side is cut, so that both operands of a block stay as square as they can.
    (blockRows, blockColumns) = m >= n ? (cut(m), n) : (m, cut(n))
  }

  /// The same product elsewhere in memory, by steps in elements.
  func moved(_ aStep: Int, _ bStep: Int, _ cStep: Int) -> BlockedProduct {
    var result = self
    result.a.pointer += aStep
    result.b.pointer += bStep
    result.product.c += cStep
    return result
  }

  func run() {
    let down = (product.m + blockRows - 1) / blockRows
    let across = (product.n + blockColumns - 1) / blockColumns
    if down * across == 1 { return block(0, 0) }
    withUnsafePointer(to: self) {
      apus_parallel_for(
        down * across, 1,
        { context, begin, end in
          guard let blocks = context?.assumingMemoryBound(to: BlockedProduct.self).pointee else {
            return
          }
          let across = (blocks.product.n + blocks.blockColumns - 1) / blocks.blockColumns
          for task in begin..<end { blocks.block(task / across, task % across) }
        }, UnsafeMutableRawPointer(mutating: $0))
    }
  }

  private func block(_ down: Int, _ right: Int) {
    let (row, column) = (down * blockRows, right * blockColumns)
    let (rows, columns) = (min(blockRows, product.m - row), min(blockColumns, product.n - column))
    let target = product.c + row * product.cStep + column
    if rows == 1 {
      let transposes = b.isTransposed ? CblasNoTrans : CblasTrans
      let (down, across) = b.isTransposed ? (columns, product.k) : (product.k, columns)
      cblas_sgemv(
        CblasRowMajor, transposes, Int32(down), Int32(across), 1, b.at(0, column), Int32(b.step),
        a.at(row, 0), a.isTransposed ? Int32(a.step) : 1, 0, target, 1)
    } else {
      cblas_sgemm(
        CblasRowMajor, a.isTransposed ? CblasTrans : CblasNoTrans,
        b.isTransposed ? CblasTrans : CblasNoTrans, Int32(rows), Int32(columns), Int32(product.k),
        1, a.at(row, 0), Int32(a.step), b.at(0, column), Int32(b.step), 0, target,
        Int32(product.cStep))
    }
    if let (activation, parameters) = product.epilogue {
      apus_bias_activation(
        activation, parameters, rows, columns, target, product.cStep,
        product.bias.map { $0 + column })
    }
  }
}

/// Many products of one small shape: the threads take whole products.
struct SmallProducts {
  private let first: BlockedProduct
  private let count: Int
  private let steps: (Int, Int, Int)

  /// Nil where one product is enough work for all threads, or BLAS cannot read the operands.
  init?(_ first: Product, count: Int, steps: (Int, Int, Int)) {
    guard first.m * first.n * first.k < 1 << 21,
      let a = BLASMatrix(first.a, rows: first.m, columns: first.k),
      let b = BLASMatrix(first.b, rows: first.k, columns: first.n)
    else { return nil }
    self.first = BlockedProduct(first, a, b)
    self.count = count
    self.steps = steps
  }

  func run() {
    let work = first.product.m * first.product.n * first.product.k
    withUnsafePointer(to: self) {
      apus_parallel_for(
        count, max(1, (1 << 18) / max(work, 1)),
        { context, begin, end in
          guard let products = context?.assumingMemoryBound(to: SmallProducts.self).pointee else {
            return
          }
          for index in begin..<end {
            products.first.moved(
              products.steps.0 * index, products.steps.1 * index, products.steps.2 * index
            ).run()
          }
        }, UnsafeMutableRawPointer(mutating: $0))
    }
  }
}
