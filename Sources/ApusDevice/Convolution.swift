/// The window of a two-dimensional convolution or pooling; a one-dimensional one has height 1.
///
/// How many windows there are is said by the operands: a transposed convolution with output padding has
/// fewer than the input has room for, and a pooling with ceiling has one more.
public struct Window: Sendable, Hashable {
  /// Extents of the kernel.
  public var height: Int, width: Int
  public var strideHeight: Int, strideWidth: Int
  public var dilationHeight: Int, dilationWidth: Int
  /// Added on each side of the input: zeros for a convolution and an average, nothing for a maximum.
  public var top: Int, bottom: Int, left: Int, right: Int

  public init(
    height: Int, width: Int, strideHeight: Int = 1, strideWidth: Int = 1, dilationHeight: Int = 1,
    dilationWidth: Int = 1, top: Int = 0, bottom: Int = 0, left: Int = 0, right: Int = 0
  ) {
    self.height = height
    self.width = width
    self.strideHeight = strideHeight
    self.strideWidth = strideWidth
    self.dilationHeight = dilationHeight
    self.dilationWidth = dilationWidth
    self.top = top
    self.bottom = bottom
    self.left = left
    self.right = right
  }

  /// Rows of input that one placement of the kernel spans.
  public var spanHeight: Int { dilationHeight * (height - 1) + 1 }
  public var spanWidth: Int { dilationWidth * (width - 1) + 1 }
}

/// A convolution as networks mean it (a cross-correlation): `window` slides over the input, and the
/// channels fall into `groups` that do not mix.
public struct Convolution: Sendable, Hashable {
  public var window: Window
  public var groups: Int

  public init(_ window: Window, groups: Int = 1) {
    self.window = window
    self.groups = groups
  }

  /// Whether every channel has one filter of its own, which meets every pixel of it: then planes are
  /// as good a memory order as pixels with dense channels, and a result lies like the input.
  public func keepsPlanes(weight shape: [Int]) -> Bool {
    shape[0] == groups && shape[1] == 1 && window.strideHeight == 1 && window.strideWidth == 1
  }
}

/// Resizing of the two last axes.
///
/// The pixel `i` of the output looks at `⌊i · input / output⌋` (nearest, in exact arithmetic) or, between
/// two neighbours, at `max((i + ½) · input / output − ½, 0)`; with `alignsCorners` at
/// `i · (input − 1) / (output − 1)`. These are the rules of `torch.nn.functional.interpolate`, which
/// rounds `input / output` to a float first, and so takes the pixel before at some exact quotients.
///
/// Where a ``scale`` is given, its inverse stands for `input / output`, in `Float` for the nearest pixel: the
/// same but where `input · scale` is no whole number.
public struct Upsampling: Sendable, Hashable {
  public enum Mode: Sendable, Hashable { case nearest, bilinear }

  /// How many times as large the output is, before it is cut to whole pixels.
  public struct Scale: Sendable, Hashable {
    public var height: Double
    public var width: Double

    public init(height: Double, width: Double) {
      self.height = height
      self.width = width
    }
  }

  public var mode: Mode
  public var alignsCorners: Bool
  /// Nil where the sizes alone tell.
  public var scale: Scale?

  public init(_ mode: Mode, alignsCorners: Bool = false, scale: Scale? = nil) {
    self.mode = mode
    self.alignsCorners = alignsCorners
    self.scale = scale
  }
}

/// A batch normalisation in training, with what follows it in the same pass.
public struct BatchNormalization: Sendable, Hashable {
  public var epsilon: Float
  /// Share of the batch's statistics in the new running ones.
  public var momentum: Float
  /// Whether weight and bias follow the input.
  public var isAffine: Bool
  /// Whether running mean and variance follow, and new ones are written.
  public var tracksStatistics: Bool
  /// Whether a tensor of the input's shape is added before the activation.
  public var hasAddend: Bool
  /// Nil, or a function whose derivative needs its output alone.
  public var activation: UnaryOp?

  public init(
    epsilon: Float = 1e-5, momentum: Float = 0.1, isAffine: Bool = true,
    tracksStatistics: Bool = true, hasAddend: Bool = false, activation: UnaryOp? = nil
  ) {
    self.epsilon = epsilon
    self.momentum = momentum
    self.isAffine = isAffine
    self.tracksStatistics = tracksStatistics
    self.hasAddend = hasAddend
    self.activation = activation
  }
}
