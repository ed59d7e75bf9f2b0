import Apus
import Foundation

/// An array of a golden file.
public struct GoldenArray: Decodable, Sendable {
  public let shape: [Int]
  public let values: [Double]

  public func tensor(on device: Device) throws -> Tensor {
    try Tensor(values.map { Float($0) }, shape: shape, on: device)
  }

  public func indices(on device: Device) throws -> Tensor {
    try Tensor(values.map { Int32($0) }, shape: shape, on: device)
  }
}

/// Reads a file of a test target's `Golden` folder.
public func golden<T: Decodable>(_ name: String, in bundle: Bundle, as type: T.Type = T.self) throws
  -> T
{
  guard let url = bundle.url(forResource: "Golden/" + name, withExtension: "json") else {
    throw ApusError(.file, operation: name, "is missing from the test resources")
  }
  return try JSONDecoder().decode(type, from: Data(contentsOf: url))
}

/// The largest `|a − b| / (1 + |b|)`; infinite for different shapes or a NaN on one side only.
public func distance(_ a: [Float], _ b: [Double]) -> Double {
  guard a.count == b.count else { return .infinity }
  return zip(a, b).reduce(0) { worst, pair in
    let (x, y) = (Double(pair.0), pair.1)
    if x.isNaN && y.isNaN || x == y { return worst }
    let error = abs(x - y) / (1 + abs(y))
    return error.isNaN ? .infinity : max(worst, error)
  }
}

public func distance(_ a: Tensor, _ b: GoldenArray) throws -> Double {
  a.shape == b.shape ? distance(try a.scalars(), b.values) : .infinity
}

public func distance(_ a: Tensor, _ b: Tensor) throws -> Double {
  a.shape == b.shape ? distance(try a.scalars(), try b.scalars().map(Double.init)) : .infinity
}
