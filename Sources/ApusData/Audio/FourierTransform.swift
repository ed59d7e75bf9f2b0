import ApusDevice
import Foundation

/// The discrete Fourier transform of any size: powers of two by halving (Cooley and Tukey 1965), others
/// as a convolution of such a size (Bluestein 1970). In Double.
struct FourierTransform: Sendable {
  let size: Int
  /// `e^(−2πi k/n)` for `k < n/2`, of the power of two at work.
  private let cosines: [Double]
  private let sines: [Double]
  /// Where each input goes before the first pass.
  private let order: [Int]
  /// For other sizes than powers of two: `e^(−πi k²/n)`, and the transform of its conjugate.
  private let chirp: (re: [Double], im: [Double])?
  private let filter: (re: [Double], im: [Double])

  /// - Parameter size: At least 1.
  init(size: Int) {
    self.size = max(size, 1)
    var length = 1
    let isPower = self.size & (self.size - 1) == 0
    while length < (isPower ? self.size : 2 * self.size) { length *= 2 }
    cosines = (0..<length / 2).map { cos(2 * .pi * Double($0) / Double(length)) }
    sines = (0..<length / 2).map { -sin(2 * .pi * Double($0) / Double(length)) }
    let bits = length.trailingZeroBitCount
    order = (0..<length).map { index in
      (0..<bits).reduce(0) { $0 | (index >> $1 & 1) << (bits - 1 - $1) }
    }
    guard !isPower else {
      (chirp, filter) = (nil, ([], []))
      return
    }
    let n = self.size
    // The square counts modulo 2n, where it stays exact.
    let angles = (0..<n).map { Double($0 * $0 % (2 * n)) * .pi / Double(n) }
    let made = (re: angles.map { cos($0) }, im: angles.map { -sin($0) })
    var re = [Double](repeating: 0, count: length)
    var im = re
    for k in 0..<n {
      (re[k], im[k]) = (made.re[k], -made.im[k])
      if k > 0 { (re[length - k], im[length - k]) = (made.re[k], -made.im[k]) }
    }
    chirp = made
    Self.transform(&re, &im, cosines, sines, order)
    filter = (re, im)
  }

  /// Transforms in place; both parts have ``size`` elements.
  func callAsFunction(_ re: inout [Double], _ im: inout [Double]) {
    guard let chirp else { return Self.transform(&re, &im, cosines, sines, order) }
    let length = order.count
    var a = [Double](repeating: 0, count: length)
    var b = a
    for k in 0..<size {
      a[k] = re[k] * chirp.re[k] - im[k] * chirp.im[k]
      b[k] = re[k] * chirp.im[k] + im[k] * chirp.re[k]
    }
    Self.transform(&a, &b, cosines, sines, order)
    // The product, conjugated, so that the same transform leads back.
    for k in 0..<length {
      let (x, y) = (a[k], b[k])
      a[k] = x * filter.re[k] - y * filter.im[k]
      b[k] = -(x * filter.im[k] + y * filter.re[k])
    }
    Self.transform(&a, &b, cosines, sines, order)
    for k in 0..<size {
      let (x, y) = (a[k] / Double(length), -b[k] / Double(length))
      re[k] = x * chirp.re[k] - y * chirp.im[k]
      im[k] = x * chirp.im[k] + y * chirp.re[k]
    }
  }

  private static func transform(
    _ re: inout [Double], _ im: inout [Double], _ cosines: [Double], _ sines: [Double],
    _ order: [Int]
  ) {
    let length = order.count
    for index in 0..<length where index < order[index] {
      re.swapAt(index, order[index])
      im.swapAt(index, order[index])
    }
    var half = 1
    while half < length {
      let step = length / (2 * half)
      for start in stride(from: 0, to: length, by: 2 * half) {
        for k in 0..<half {
          let (c, s) = (cosines[k * step], sines[k * step])
          let (low, high) = (start + k, start + k + half)
          let x = re[high] * c - im[high] * s
          let y = re[high] * s + im[high] * c
          (re[high], im[high]) = (re[low] - x, im[low] - y)
          (re[low], im[low]) = (re[low] + x, im[low] + y)
        }
      }
      half *= 2
    }
  }
}
