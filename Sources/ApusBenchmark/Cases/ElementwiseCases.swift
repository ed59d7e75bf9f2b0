import Apus

extension BenchCase {
  static let elementwiseCases: [BenchCase] = [
    // A maximum, a difference, an exponential (as one), a sum, a product for each element.
    BenchCase(
      name: "softmax-8192x1000", work: .bytes(2 * 4 * 8192 * 1000), counterpart: 5 * 8192 * 1000
    ) { device in
      let x = try Tensor.normal([8192, 1000], key: RandomKey(1), on: device)
      return {
        let y = try x.softmax(axis: -1)
        try device.synchronize()
        withExtendedLifetime(y) {}
      }
    },
    BenchCase(
      name: "add", work: .bytes(3 * 4 * Double(1 << 24)), counterpart: Double(1 << 24)
    ) { device in
      let x = try Tensor.normal([1 << 24], key: RandomKey(1), on: device)
      let y = try Tensor.normal([1 << 24], key: RandomKey(2), on: device)
      return {
        let z = try x + y
        try device.synchronize()
        withExtendedLifetime(z) {}
      }
    },
    // Four operations that must read two tensors and write one.
    BenchCase(
      name: "chain", work: .bytes(3 * 4 * Double(1 << 22)), counterpart: 4 * Double(1 << 22)
    ) { device in
      let x = try Tensor.normal([1 << 22], key: RandomKey(1), on: device)
      let y = try Tensor.normal([1 << 22], key: RandomKey(2), on: device)
      return {
        let z = try (x * y + 1).tanh() * x
        try device.synchronize()
        withExtendedLifetime(z) {}
      }
    },
    // GELU written out: eight operations that must read one tensor and write one.
    BenchCase(
      name: "gelu-by-hand", work: .bytes(2 * 4 * Double(1 << 24)), counterpart: 8 * Double(1 << 24)
    ) { device in
      let x = try Tensor.normal([1 << 24], key: RandomKey(1), on: device)
      // As a layer would do it: what it names dies when it returns.
      func gelu(_ x: Tensor) throws -> Tensor {
        let cube = try x * x * x
        let inner = try (cube * 0.044715 + x) * 0.7978845608
        return try (inner.tanh() + 1) * x * 0.5
      }
      return {
        let z = try gelu(x)
        try device.synchronize()
        withExtendedLifetime(z) {}
      }
    },
    // The same with a wait after each operation: what running them in one pass saves.
    BenchCase(name: "gelu-by-hand-apart", work: .bytes(2 * 4 * Double(1 << 24))) { device in
      let x = try Tensor.normal([1 << 24], key: RandomKey(1), on: device)
      return {
        func apart(_ tensor: Tensor) throws -> Tensor {
          try device.synchronize()
          return tensor
        }
        let square = try apart(x * x)
        let cube = try apart(square * x)
        let inner = try apart(apart(apart(cube * 0.044715) + x) * 0.7978845608)
        let z = try apart(apart(apart(apart(inner.tanh()) + 1) * x) * 0.5)
        withExtendedLifetime(z) {}
      }
    },
  ]

  /// Products and sums in turn, each of the result before, in one pass and with a wait after each: where
  /// the former saves little, it must not cost more.
  static let stepCases: [BenchCase] = [2, 8].flatMap { steps in
    [16, 1 << 16, 1 << 24].flatMap { count in
      [false, true].map { isApart in cheapSteps(steps, count: count, isApart: isApart) }
    }
  }

  private static func cheapSteps(_ steps: Int, count: Int, isApart: Bool) -> BenchCase {
    let repetitions = max(1, (1 << 22) / (count + (1 << 14)))
    return BenchCase(
      name: "steps-\(steps)-of-\(count)" + (isApart ? "-apart" : ""),
      work: .operations(Double(repetitions * steps))
    ) { device in
      let x = try Tensor.normal([count], key: RandomKey(1), on: device)
      return {
        for _ in 0..<repetitions {
          var z = x
          for step in 0..<steps {
            if isApart && step > 0 { try device.synchronize() }
            z = try step % 2 == 0 ? z * x : z + 1
          }
          try device.synchronize()
          withExtendedLifetime(z) {}
        }
      }
    }
  }

  // Results live until the device has finished: what no one holds need not be written.

  /// A thousand dependent additions of 16 elements: what the host spends on one operation.
  static let smallOperations = BenchCase(name: "small-ops", work: .operations(1000)) { device in
    let x = try Tensor.normal([16], key: RandomKey(1), on: device)
    let y = try Tensor.normal([16], key: RandomKey(2), on: device)
    return {
      var z = x
      for _ in 0..<1000 { z = try z + y }
      try device.synchronize()
      withExtendedLifetime(z) {}
    }
  }

  /// The same, until the last addition is enqueued: what an operation costs the calling thread.
  static let smallOperationsHost = BenchCase(
    name: "small-ops-host", work: .operations(1000), isHostTime: true
  ) { device in
    let x = try Tensor.normal([16], key: RandomKey(1), on: device)
    let y = try Tensor.normal([16], key: RandomKey(2), on: device)
    return {
      var z = x
      for _ in 0..<1000 { z = try z + y }
    }
  }
}
