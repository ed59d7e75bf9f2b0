/// Tells of a tensor `[…, n]` that it is `table[indices]`: the vectors of an embedding.
///
/// A vocabulary is often far smaller than a batch of texts. Then `x · Wᵀ + b` has but as many different
/// rows as the table, and `(table · Wᵀ + b)[indices]` is the same with less arithmetic, forward and back. (But
/// for a row that is not finite and never chosen: it makes the gradient of the weight not a number, too.)
final class ChosenRows: Sendable {
  /// `[m, n]`.
  let table: Tensor
  /// `int32` of the shape without the last axis.
  let indices: Tensor

  init(table: Tensor, indices: Tensor) {
    self.table = table
    self.indices = indices
  }

  /// Whether work on the table is at most half of that on the rows.
  var areRepeated: Bool { 2 * table.shape[0] <= indices.count }
}
