import ApusDevice

/// The value of `loss` and its gradients with respect to `parameters`, in their order.
///
/// ```swift
/// let (loss, gradients) = try valueAndGradients(of: model.parameters(), key: key) { context in
///   try crossEntropy(model(x, context), labels)
/// }
/// try optimizer.step(gradients)
/// ```
/// - Parameters:
///   - parameters: Frozen ones get a gradient of zeros.
///   - key: For random layers such as dropout.
///   - loss: Gives a scalar.
/// - Throws: What `loss` throws, and ``ApusError`` where its result is no scalar or depends on no
///   parameter.
public func valueAndGradients(
  of parameters: [Parameter], key: RandomKey? = nil, _ loss: (Context) throws -> Tensor
) throws -> (value: Tensor, gradients: [Tensor]) {
  let tape = Tape()
  let value = try loss(Context(isTraining: true, key: key, tape: tape))
  let gradients = try tape.gradients(of: value, for: parameters)
  return (value.detached, gradients)
}

/// The value of `function` and its gradients with respect to `inputs`.
public func valueAndGradients(
  at inputs: [Tensor], _ function: ([Tensor]) throws -> Tensor
) throws -> (value: Tensor, gradients: [Tensor]) {
  let tape = Tape()
  let watched = try inputs.map { try tape.watch($0.detached) }
  let value = try function(watched)
  let gradients = try tape.gradients(of: value, for: watched)
  return (value.detached, gradients)
}

/// The gradient of a scalar function of one tensor.
public func gradient(
  at input: Tensor, _ function: (Tensor) throws -> Tensor
) throws -> Tensor {
  try valueAndGradients(at: [input]) { try function($0[0]) }.gradients[0]
}
