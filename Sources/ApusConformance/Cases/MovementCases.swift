import ApusDevice

/// Ties, overflows and everything else that a conversion can meet.
private let convertible: [Double] =
  specials + [
    1.00048828125, 1.00146484375, 65504, 65519.99, 65520, 65536, -65520, 5.9e-8, 2.98e-8, 2.99e-8,
    6.1e-5, 6.09e-5, 1.00390625, 1.01171875, 3.3895e38, 3.3961e38, 2_147_483_647, 2_147_483_648,
    -2_147_483_648, -2_147_483_904, 16_777_217, 254.9, 255.5, 256, -0.9, -1.5, 1.9999, 0.3, 2049,
    2051,
  ]

let movementCases: [OpCase] = [
  OpCase(
    "fill", .exact,
    DType.allCases.flatMap { dtype in
      [0, -1, 3.7, 300, 1e300, 1e-300, .nan, -.infinity, 65520, 1.00390625].flatMap { value in
        [
          Trial(
            operation: .fill(value), inputs: [], outputs: [Output([21], dtype)],
            placements: [.dense, .offset, .stridedOutput])
        ]
      }
        + (denseShapes + stridedShapes).map { shape in
          Trial(
            operation: .fill(2), inputs: [], outputs: [Output(shape, dtype)],
            placements: [.dense, .stridedOutput, .mixed])
        }
    }),
  OpCase(
    "copy", .exact,
    DType.allCases.flatMap { from in
      DType.allCases.flatMap { to -> [Trial] in
        var trials = elementwise(.copy, [(from, convertible)], to)
        if from == to || (from == .float32 || to == .float32) {
          trials += elementwise(.copy, [(from, .integers(0, 200))], to)
        }
        return trials
      }
    } + turned),
]

/// Large enough for squares: images in either memory order, extents beside multiples of 16.
private let turned: [Trial] = [DType.float32, .int32].flatMap { dtype in
  [[2, 35, 9, 23], [3, 3, 17, 31], [1, 64, 16, 16], [47, 130], [16, 5, 40]].map { shape in
    Trial(
      operation: .copy, inputs: [Input(shape, dtype, .uniform(-1000, 1000))],
      outputs: [Output(shape, dtype)],
      placements: shape.count == 4
        ? [.channelsLast, .channelsLastPart, .transposed, .mixed, .stridedOutput]
        : [.transposed, .mixed, .stridedOutput])
  }
}
