import ApusDevice

extension Dataset {
  /// Parts off `fraction` of the examples, drawn by `key`; both parts keep the order of the data.
  ///
  /// Stratified, every class gives its share (largest remainders make up the total); without labels
  /// the draw is plain. Throws unless both parts get an example.
  public func split(
    fraction: Double, key: RandomKey, stratified: Bool = true
  ) throws -> (rest: Dataset, part: Dataset) {
    let taken = try splitIndices(fraction: fraction, key: key, stratified: stratified)
    return (try subset(taken.rest), try subset(taken.part))
  }

  /// The indices that ``split(fraction:key:stratified:)`` takes, ascending.
  public func splitIndices(
    fraction: Double, key: RandomKey, stratified: Bool = true
  ) throws -> (rest: [Int], part: [Int]) {
    try validate()
    guard fraction > 0, fraction < 1 else {
      throw ApusError(
        .value, operation: "Dataset.split",
        "the fraction is \(fraction); it must lie between 0 and 1"
      )
    }
    let total = Int((Double(count) * fraction).rounded())
    guard total > 0, total < count else {
      throw ApusError(
        .data, operation: name,
        "a fraction of \(fraction) of \(count) examples leaves one part empty; give more examples or "
          + "another fraction")
    }
    var isTaken = [Bool](repeating: false, count: count)
    let groups = stratified && !labels.isEmpty ? indicesByClass() : [Array(0..<count)]
    let quotas = Dataset.quotas(groups.map(\.count), fraction: fraction, total: total)
    for (number, (group, quota)) in zip(groups, quotas).enumerated() {
      let order = Shuffle.permutation(count: group.count, key: key.folded(UInt64(number)))
      for position in order.prefix(quota) { isTaken[group[position]] = true }
    }
    return (isTaken.indices.filter { !isTaken[$0] }, isTaken.indices.filter { isTaken[$0] })
  }

  /// The examples of each class, ascending.
  public func indicesByClass() -> [[Int]] {
    var groups = [[Int]](repeating: [], count: classNames.count)
    for (index, label) in labels.enumerated() where groups.indices.contains(Int(label)) {
      groups[Int(label)].append(index)
    }
    return groups
  }

  /// Whole numbers near `counts × fraction` that sum to `total`.
  private static func quotas(_ counts: [Int], fraction: Double, total: Int) -> [Int] {
    let exact = counts.map { Double($0) * fraction }
    var quotas = exact.map { Int($0) }
    let byRemainder = counts.indices.sorted { a, b in
      let (ra, rb) = (exact[a] - Double(quotas[a]), exact[b] - Double(quotas[b]))
      return ra == rb ? a < b : ra > rb
    }
    var missing = total - quotas.reduce(0, +)
    for group in byRemainder where missing > 0 && quotas[group] < counts[group] {
      quotas[group] += 1
      missing -= 1
    }
    return quotas
  }
}
