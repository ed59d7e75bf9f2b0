import COpenCL

/// A kernel object; one exists per program and name, and its arguments are set under the
/// device's lock.
struct Kernel {
  let object: cl_kernel
}

/// Sets a kernel's arguments in order; the first failure is kept and thrown at the launch.
struct KernelArguments {
  private let kernel: cl_kernel
  private var index: cl_uint = 0
  private(set) var status: cl_int = 0

  init(_ kernel: Kernel) { self.kernel = kernel.object }

  @inline(__always)
  mutating func buffer(_ buffer: cl_mem?) {
    var buffer = buffer
    set(MemoryLayout<cl_mem>.size, &buffer)
  }

  /// A value of the same size as the kernel's parameter (`Int32` for `int`, `Float` for `float`,
  /// a struct of such for a struct).
  @inline(__always)
  mutating func value<T: BitwiseCopyable>(_ value: T) {
    var value = value
    set(MemoryLayout<T>.size, &value)
  }

  /// Local memory of that many bytes.
  @inline(__always)
  mutating func local(bytes: Int) { set(bytes, nil) }

  @inline(__always)
  private mutating func set(_ size: Int, _ pointer: UnsafeRawPointer?) {
    let result = clSetKernelArg(kernel, index, size, pointer)
    if result != CL_SUCCESS && status == CL_SUCCESS { status = result }
    index += 1
  }
}
