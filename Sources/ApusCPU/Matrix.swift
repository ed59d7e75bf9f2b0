import ApusDevice
import CBLAS
import CVector

/// A matrix as BLAS sees it: rows of a step apart, or columns when transposed.
struct Matrix {
  let pointer: UnsafePointer<Float>
  let isTransposed: Bool
  let step: Int

  /// Nil where neither axis has unit stride, or where rows overlap.
  init?(_ pointer: UnsafePointer<Float>, rows: Int, columns: Int, rowStride: Int, columnStride: Int)
  {
    self.pointer = pointer
    if (columnStride == 1 || columns == 1) && (rowStride >= columns || rows == 1) {
      isTransposed = false
      step = max(rows == 1 ? columns : rowStride, 1)
    } else if (rowStride == 1 || rows == 1) && (columnStride >= rows || columns == 1) {
      isTransposed = true
      step = max(columns == 1 ? rows : columnStride, 1)
    } else {
      return nil
    }
  }

  /// The address of element (row, column).
  func at(_ row: Int, _ column: Int) -> UnsafePointer<Float> {
    pointer + (isTransposed ? column * step + row : row * step + column)
  }
}

/// `C[m, n] = A[m, k] · B[k, n]`, then an activation of C plus a bias; cut into blocks of C that the
/// threads of the pool compute one by one with single-threaded BLAS.
struct Product {
  let m: Int, n: Int, k: Int
  let a: Matrix, b: Matrix
  let c: UnsafeMutablePointer<Float>
  let cStep: Int
  var bias: UnsafePointer<Float>?
  var epilogue: (apus_operation, apus_parameters)?

  /// Rows and columns of a block: a matter of the sizes alone.
  var blockRows: Int
  var blockColumns: Int

  init(
    m: Int, n: Int, k: Int, a: Matrix, b: Matrix, c: UnsafeMutablePointer<Float>, cStep: Int
  ) {
    (self.m, self.n, self.k) = (m, n, k)
    (self.a, self.b, self.c) = (a, b, c)
    self.cStep = cStep
    (blockRows, blockColumns) = Product.blocks(m: m, n: n, k: k)
  }

  static func blocks(m: Int, n: Int, k: Int) -> (Int, Int) {
    // Below about 10 µs of work the pool costs more than it gives.
    if m * n * k < 1 << 18 { return (m, n) }
    let parts = Int(apus_thread_count())
    func cut(_ extent: Int, _ parts: Int, unit: Int) -> Int {
      let each = (extent + parts - 1) / parts
      return min(extent, (each + unit - 1) / unit * unit)
    }
    // The longer side is cut, so that both operands of a block stay as square as they can.
    return m >= n ? (cut(m, parts, unit: 16), n) : (m, cut(n, parts, unit: 16))
  }

  /// Runs all blocks.
  func run() {
    let tasks =
      ((m + blockRows - 1) / max(blockRows, 1)) * ((n + blockColumns - 1) / max(blockColumns, 1))
    if tasks == 1 { return block(0, 0) }
    withUnsafePointer(to: self) { product in
      apus_parallel_for(
        tasks, 1,
        { context, begin, end in
          guard let product = context?.assumingMemoryBound(to: Product.self).pointee else { return }
          let across = (product.n + product.blockColumns - 1) / product.blockColumns
          for task in begin..<end { product.block(task / across, task % across) }
        }, UnsafeMutableRawPointer(mutating: product))
    }
  }

  private func block(_ down: Int, _ right: Int) {
    let (row, column) = (down * blockRows, right * blockColumns)
    let (rows, columns) = (min(blockRows, m - row), min(blockColumns, n - column))
    let target = c + row * cStep + column
    if rows > 0 && columns > 0 {
      cblas_sgemm(
        CblasRowMajor, a.isTransposed ? CblasTrans : CblasNoTrans,
        b.isTransposed ? CblasTrans : CblasNoTrans, Int32(rows), Int32(columns), Int32(k), 1,
        a.at(row, 0), Int32(a.step), b.at(0, column), Int32(b.step), 0, target, Int32(cStep))
    }
    if let (activation, parameters) = epilogue {
      apus_bias_activation(
        activation, parameters, rows, columns, target, cStep, bias.map { $0 + column })
    }
  }
}
