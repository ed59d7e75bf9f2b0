import ApusDevice
import COpenCL

/// How many work-items run, per dimension, and in which groups.
struct LaunchSize {
  var dimensions: cl_uint
  var global: (Int, Int, Int)
  var local: (Int, Int, Int)

  /// One dimension; `global` is rounded up to a multiple of `local`, so kernels check bounds.
  init(_ global: Int, local: Int = 1) {
    dimensions = 1
    self.global = ((global + local - 1) / local * local, 1, 1)
    self.local = (local, 1, 1)
  }

  init(_ x: Int, _ y: Int, local: (Int, Int) = (1, 1)) {
    dimensions = 2
    global = ((x + local.0 - 1) / local.0 * local.0, (y + local.1 - 1) / local.1 * local.1, 1)
    self.local = (local.0, local.1, 1)
  }

  init(_ x: Int, _ y: Int, _ z: Int, local: (Int, Int, Int) = (1, 1, 1)) {
    dimensions = 3
    global = (
      (x + local.0 - 1) / local.0 * local.0, (y + local.1 - 1) / local.1 * local.1,
      (z + local.2 - 1) / local.2 * local.2
    )
    self.local = local
  }
}

/// One device's context, in-order queue, kernels and pool.
///
/// `@unchecked Sendable`: every mutable property is read and written under `lock` only.
final class Runtime: @unchecked Sendable {
  let description: OpenCLDeviceDescription
  let device: cl_device_id
  let context: cl_context
  private let queue: cl_command_queue
  private let lock = DeviceLock()
  private var pool: BufferPool
  private let builder: ProgramBuilder
  private var programs = [cl_program?](repeating: nil, count: KernelProgram.allCases.count)
  private var kernels = [cl_kernel?](repeating: nil, count: KernelID.allCases.count)
  private var staging = StagingArea()
  private var faults: FaultRecord
  private var launchCount = 0
  private var synchronizationCount = 0

  var isGPU: Bool { description.kind == .gpu }

  init(_ found: DiscoveredDevice, kind: OpenCLDeviceDescription.Kind? = nil) throws {
    description = try OpenCLDeviceDescription(found, kind: kind)
    device = found.device
    var status: cl_int = 0
    var device: cl_device_id? = found.device
    guard let context = clCreateContext(nil, 1, &device, nil, nil, &status), status == CL_SUCCESS
    else { throw failure(status, "clCreateContext(\(description.name))") }
    self.context = context
    guard let queue = clCreateCommandQueue(context, found.device, 0, &status), status == CL_SUCCESS
    else { throw failure(status, "clCreateCommandQueue(\(description.name))") }
    self.queue = queue
    pool = BufferPool(context: context)
    builder = ProgramBuilder(
      context: context, device: found.device, description: description, cache: ProgramCache())
    faults = try FaultRecord(context: context, queue: queue)
  }

  deinit {
    clFinish(queue)
    staging.releaseAll()
    faults.release()
    pool.trim()
    for kernel in kernels { if let kernel { clReleaseKernel(kernel) } }
    for program in programs { if let program { clReleaseProgram(program) } }
    clReleaseCommandQueue(queue)
    clReleaseContext(context)
  }

  // MARK: Memory

  func allocate(bytes: Int) throws -> cl_mem { try lock.locked { try pool.take(bytes: bytes) } }

  func release(_ buffer: cl_mem, bytes: Int) { lock.locked { pool.give(buffer, bytes: bytes) } }

  /// Returns every cached buffer to the driver.
  func trim() { lock.locked { pool.trim() } }

  // MARK: Transfers

  /// Copies `bytes` before it returns and does not wait for the queue.
  func upload(_ bytes: UnsafeRawBufferPointer, to buffer: cl_mem, at offset: Int) throws {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    try lock.locked {
      try staging.write(
        UnsafeRawBufferPointer(start: source, count: bytes.count), to: buffer, at: offset,
        in: queue)
    }
  }

  /// Waits for everything enqueued so far, reports what failed and fills `target`.
  func download(_ buffer: cl_mem, at offset: Int, into target: UnsafeMutableRawBufferPointer)
    throws
  {
    try lock.locked {
      synchronizationCount += 1
      var status: cl_int = 0
      try faults.enqueueRead(queue)
      if let pointer = target.baseAddress, target.count > 0 {
        status = clEnqueueReadBuffer(
          queue, buffer, cl_bool(CL_TRUE), offset, target.count, pointer, 0, nil, nil)
      } else {
        status = clFinish(queue)
      }
      try settle(status, "reading a buffer of \(description.name)")
    }
  }

  /// Waits for everything enqueued so far and reports what failed since the last such call.
  func synchronize() throws {
    try lock.locked {
      synchronizationCount += 1
      try faults.enqueueRead(queue)
      try settle(clFinish(queue), "waiting for \(description.name)")
    }
  }

  /// After a wait: frees the staging copies and throws the first error, once.
  private func settle(_ status: cl_int, _ what: @autoclosure () -> String) throws {
    staging.releaseAll()
    let fault = try faults.take(queue)
    if status != CL_SUCCESS { throw failure(status, what()) }
    if let fault { throw fault }
  }

  // MARK: Kernels

  /// Enqueues the kernel; `arguments` sets its parameters in order.
  @inline(__always)
  func launch(
    _ id: KernelID, _ size: LaunchSize, _ arguments: (inout KernelArguments) -> Void
  ) throws {
    try lock.locked {
      let object = try kernels[id.rawValue] ?? create(id)
      try enqueue(Kernel(object: object), size, arguments)
    }
  }

  /// Enqueues a kernel that `kernel(source:name:options:)` made.
  func launch(
    _ kernel: Kernel, _ size: LaunchSize, _ arguments: (inout KernelArguments) -> Void
  ) throws {
    try lock.locked { try enqueue(kernel, size, arguments) }
  }

  /// Enqueues a kernel whose last parameter is the device's fault record (`global int *faults`).
  func launchChecked(
    _ id: KernelID, _ size: LaunchSize, _ arguments: (inout KernelArguments) -> Void
  ) throws {
    try lock.locked {
      let object = try kernels[id.rawValue] ?? create(id)
      faults.isDirty = true
      try enqueue(Kernel(object: object), size) {
        arguments(&$0)
        $0.buffer(faults.buffer)
      }
    }
  }

  @inline(__always)
  private func enqueue(
    _ kernel: Kernel, _ size: LaunchSize, _ set: (inout KernelArguments) -> Void
  ) throws {
    var arguments = KernelArguments(kernel)
    set(&arguments)
    var size = size
    var status = arguments.status
    if status == CL_SUCCESS {
      status = withUnsafeBytes(of: &size.global) { global in
        withUnsafeBytes(of: &size.local) { local in
          clEnqueueNDRangeKernel(
            queue, kernel.object, size.dimensions, nil,
            global.assumingMemoryBound(to: Int.self).baseAddress,
            local.assumingMemoryBound(to: Int.self).baseAddress, 0, nil, nil)
        }
      }
    }
    launchCount += 1
    if status != CL_SUCCESS {
      throw failure(status, "launching the kernel '\(kernelName(kernel.object))'")
    }
  }

  /// Copies on the device without waiting; offsets and count in bytes.
  func copy(from source: cl_mem, at start: Int, to target: cl_mem, at offset: Int, bytes: Int)
    throws
  {
    guard bytes > 0 else { return }
    try lock.locked {
      launchCount += 1
      try check(
        clEnqueueCopyBuffer(queue, source, target, start, offset, bytes, 0, nil, nil),
        "clEnqueueCopyBuffer")
    }
  }

  /// Builds a program with its own options and takes one kernel from it. The caller keeps the
  /// kernel: this is not for the hot path, and the device never frees it.
  func kernel(source: [UInt8], program name: String, kernel: String, options: String) throws
    -> Kernel
  {
    try lock.locked {
      let program = try builder.build(name: name, source: source, options: options)
      return Kernel(object: try makeKernel(program, kernel))
    }
  }

  private func create(_ id: KernelID) throws -> cl_kernel {
    let owner = id.program
    let program: cl_program
    if let built = programs[owner.rawValue] {
      program = built
    } else {
      program = try builder.build(name: owner.name, source: owner.source, options: "")
      programs[owner.rawValue] = program
    }
    let object = try makeKernel(program, id.name)
    kernels[id.rawValue] = object
    return object
  }

  private func makeKernel(_ program: cl_program, _ name: String) throws -> cl_kernel {
    var status: cl_int = 0
    guard let object = clCreateKernel(program, name, &status), status == CL_SUCCESS else {
      throw failure(status, "clCreateKernel(\(name))")
    }
    return object
  }

  private func kernelName(_ kernel: cl_kernel) -> String {
    var bytes = [UInt8](repeating: 0, count: 128)
    let status = clGetKernelInfo(kernel, cl_kernel_info(CL_KERNEL_FUNCTION_NAME), 128, &bytes, nil)
    return status == CL_SUCCESS ? String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) : "?"
  }

  // MARK: Counters

  var counters: DeviceCounters {
    lock.locked {
      var counters = DeviceCounters()
      counters.allocations = pool.allocations
      counters.poolHits = pool.hits
      counters.bytesInUse = pool.bytesInUse
      counters.peakBytesInUse = pool.peakBytesInUse
      counters.launches = launchCount
      counters.synchronizations = synchronizationCount
      return counters
    }
  }
}
