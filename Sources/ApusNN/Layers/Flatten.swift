import ApusDevice
import ApusTensor

/// Merges axes `startAxis...endAxis`; by default all but the batch axis.
public struct Flatten: Layer {
  public let startAxis: Int
  public let endAxis: Int

  public init(startAxis: Int = 1, endAxis: Int = -1) {
    self.startAxis = startAxis
    self.endAxis = endAxis
  }

  public func callAsFunction(_ x: Tensor, _ context: Context) throws -> Tensor {
    x.rank == 1 && startAxis == 1 ? x : try x.flattened(start: startAxis, end: endAxis)
  }
}
