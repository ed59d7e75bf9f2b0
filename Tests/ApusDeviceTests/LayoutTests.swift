import ApusDevice
import Testing

/// Layouts against the plain definition: the storage position of every logical element.
@Suite struct LayoutTests {
  /// Where every element lies, row-major, by walking coordinates.
  private func positions(_ layout: Layout) -> [Int] {
    var result: [Int] = []
    var at = [Int](repeating: 0, count: layout.rank)
    for _ in 0..<layout.count {
      result.append(zip(at, layout.strides).reduce(layout.offset) { $0 + $1.0 * $1.1 })
      for axis in stride(from: layout.rank - 1, through: 0, by: -1) {
        at[axis] += 1
        if at[axis] < layout.shape[axis] { break }
        at[axis] = 0
      }
    }
    return result
  }

  private func numbers(_ seed: UInt64, _ count: Int, below limit: UInt32) -> [Int] {
    (0..<count).map { Int(Philox.block(key: seed, counter: UInt64($0))[0] % limit) }
  }

  /// A random view: a permuted, sliced, stepped part of a dense tensor, perhaps repeated.
  private func view(_ seed: UInt64) -> Layout {
    let rank = Int(seed % 5)
    let extents = numbers(seed, rank, below: 5).map { $0 == 4 ? 1 : $0 + 1 }
    var layout = Layout(contiguous: extents, offset: Int(seed % 3))
    let choices = numbers(seed &+ 1000, 4 * rank, below: 6)
    for axis in 0..<rank {
      let extent = layout.shape[axis]
      switch choices[axis] {
      case 0 where extent > 1:
        layout = layout.sliced(axis: axis, start: 1, length: extent - 1)
      case 1: layout = layout.sliced(axis: axis, start: 0, length: (extent + 1) / 2, step: 2)
      default: break
      }
    }
    if rank > 1, choices[rank] < 3 {
      layout = layout.permuted((0..<rank).map { ($0 + choices[rank]) % rank })
    }
    if rank > 0, layout.shape[0] == 1, choices[rank + 1] < 2 {
      layout = layout.broadcast(to: [3] + layout.shape.dropFirst())
    }
    return layout
  }

  @Test func contiguousLayoutsCountUp() {
    for seed in UInt64(0)..<200 {
      let shape = numbers(seed, Int(seed % 6), below: 4)
      let layout = Layout(contiguous: shape, offset: 5)
      #expect(layout.isContiguous)
      #expect(layout.count == shape.reduce(1, *))
      #expect(positions(layout) == Array(5..<5 + layout.count))
      #expect(layout.end == (layout.count == 0 ? 0 : 5 + layout.count))
    }
    #expect(Layout(contiguous: []).count == 1)
    #expect(Layout(contiguous: []).end == 1)
  }

  @Test func contiguityAndEndFollowFromThePositions() {
    for seed in UInt64(0)..<500 {
      let layout = view(seed)
      let all = positions(layout)
      #expect(layout.end == (all.max().map { $0 + 1 } ?? 0))
      let isRun = all.isEmpty || all == Array(layout.offset..<layout.offset + all.count)
      #expect(layout.isContiguous == isRun, "\(layout)")
    }
  }

  @Test func permutationsMoveCoordinates() {
    let layout = Layout(shape: [2, 3, 4], strides: [50, 7, 2], offset: 3)
    let turned = layout.permuted([2, 0, 1])
    #expect(turned.shape == [4, 2, 3])
    #expect(turned.strides == [2, 50, 7])
    #expect(turned.permuted([1, 2, 0]) == layout)
    #expect(positions(turned).sorted() == positions(layout).sorted())
  }

  @Test func broadcastsRepeat() {
    let row = Layout(contiguous: [1, 3], offset: 2)
    let table = row.broadcast(to: [4, 2, 3])
    #expect(table.shape == [4, 2, 3])
    #expect(positions(table) == (0..<24).map { 2 + $0 % 3 })
    #expect(Layout(contiguous: []).broadcast(to: [2, 2]).strides == [0, 0])
    #expect(row.broadcast(to: [1, 3]) == row)
    #expect(Layout(contiguous: [0]).broadcast(to: [5, 0]).count == 0)
  }

  @Test func slicesTakeEveryStepth() {
    let layout = Layout(contiguous: [4, 10])
    #expect(
      positions(layout.sliced(axis: 1, start: 2, length: 3, step: 3))
        == (0..<4).flatMap { r in [2, 5, 8].map { 10 * r + $0 } })
    #expect(
      positions(layout.sliced(axis: 0, start: 3, length: 1)) == Array(30..<40))
    let nothing = layout.sliced(axis: 1, start: 10, length: 0)
    #expect(nothing.count == 0)
    #expect(nothing.end == 0)
  }

  /// A reshape either keeps every element in its row-major place, or is impossible without a copy.
  @Test func reshapesKeepTheOrder() {
    var (views, refusals) = (0, 0)
    for seed in UInt64(0)..<2000 {
      let layout = view(seed)
      for target in shapes(of: layout.count, seed) {
        if let reshaped = layout.reshaped(to: target) {
          views += 1
          #expect(reshaped.shape == target)
          #expect(positions(reshaped) == positions(layout), "\(layout) to \(target)")
        } else {
          refusals += 1
          #expect(!isStrided(positions(layout), target), "\(layout) to \(target)")
        }
      }
    }
    #expect(views > 1000 && refusals > 100)
  }

  /// Some shapes with that count.
  private func shapes(of count: Int, _ seed: UInt64) -> [[Int]] {
    if count == 0 { return [[0], [3, 0]] }
    var result = [[count], [1, count], [count, 1]]
    if count == 1 { result.append([]) }
    for factor in 2..<max(count, 2) where count % factor == 0 {
      result.append([factor, count / factor])
      if (count / factor) % 2 == 0 { result.append([factor, 2, count / factor / 2]) }
    }
    return result
  }

  /// Whether the positions can be reached with one stride per axis of the shape.
  private func isStrided(_ positions: [Int], _ shape: [Int]) -> Bool {
    let weights = Layout.rowMajorStrides(of: shape)
    var strides = [Int](repeating: 0, count: shape.count)
    for axis in shape.indices where shape[axis] > 1 {
      strides[axis] = positions[weights[axis]] - positions[0]
    }
    guard strides.allSatisfy({ $0 >= 0 }), let offset = positions.first else { return false }
    let layout = Layout(shape: shape, strides: strides, offset: offset)
    return self.positions(layout) == positions
  }
}
