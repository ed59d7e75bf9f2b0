import ApusDevice
import COpenCL

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
  private let turn: LaunchTurn?
  private var kernels: KernelTable
  private var staging = StagingArea()
  private var faults: FaultRecord
  /// Element-wise commands that are not in the queue yet; everything else goes behind them.
  private var chain = ElementwiseChain()
  /// How many buffers the chain's kernel holds from its last launch.
  private var boundSlots = ElementwiseChain.slotCount
  /// Why waiting commands could not be launched; thrown by the next call that waits.
  private var chainFailure: (any Error)?
  /// What the driver is made to answer to everything from now on, in tests of a device that fails.
  private var injectedStatus: cl_int = CL_SUCCESS
  let tensorCores: TensorCores
  private var launchCount = 0
  private var synchronizationCount = 0

  var isGPU: Bool { description.kind == .gpu }

  /// - Parameter name: What messages call the device: `opencl:0`.
  init(
    _ found: DiscoveredDevice, name: String, kind: OpenCLDeviceDescription.Kind? = nil,
    optimizes: Bool = true,
    limits: OpenCLLimits = OpenCLLimits(), cache: ProgramCache = ProgramCache(),
    tensorCores: TensorCores = .own
  ) throws {
    self.tensorCores = tensorCores
    description = try OpenCLDeviceDescription(found, kind: kind, limits: limits)
    device = found.device
    var status: cl_int = 0
    var device: cl_device_id? = found.device
    guard let context = clCreateContext(nil, 1, &device, nil, nil, &status), status == CL_SUCCESS
    else { throw failure(status, "clCreateContext(\(description.name))") }
    self.context = context
    guard let queue = clCreateCommandQueue(context, found.device, 0, &status), status == CL_SUCCESS
    else { throw failure(status, "clCreateCommandQueue(\(description.name))") }
    self.queue = queue
    pool = BufferPool(
      context: context, device: name, largest: description.largestAllocation)
    let builder = ProgramBuilder(
      context: context, device: found.device, description: description, cache: cache,
      optimizes: optimizes, part: found.part)
    kernels = KernelTable(builder, emulatesTensorCores: tensorCores == .emulated)
    turn = builder.turn
    faults = try FaultRecord(context: context, queue: queue)
  }

  deinit {
    clFinish(queue)
    turn?.leave(queue)
    staging.releaseAll()
    faults.release()
    pool.trim()
    kernels.release()
    clReleaseCommandQueue(queue)
    clReleaseContext(context)
  }

  // MARK: Memory

  func allocate(bytes: Int) throws -> cl_mem {
    try lock.locked {
      // A pool that has to ask the driver may return buffers to it, which the chain may still name.
      if !chain.isEmpty && !pool.hasCached(bytes: bytes) { launchChain() }
      do { return try pool.take(bytes: bytes) } catch {
        guard pool.mayRecover(bytes: bytes) else { throw error }
        // Memory of released buffers comes free when the commands that use them have ended.
        launchChain()
        clFinish(queue)
        pool.trim()
        return try pool.take(bytes: bytes)
      }
    }
  }

  func release(_ buffer: cl_mem, bytes: Int) {
    lock.locked {
      if !chain.isEmpty { chain.forget(buffer) }
      pool.give(buffer, bytes: bytes)
    }
  }

  func limitMemory(to byteCount: Int?) {
    lock.locked {
      launchChain()
      pool.setLimit(byteCount)
    }
  }

  /// Returns every cached buffer to the driver.
  func trim() {
    lock.locked {
      launchChain()
      pool.trim()
    }
  }

  // MARK: Transfers

  /// Copies `bytes` before it returns and does not wait for the queue.
  func upload(_ bytes: UnsafeRawBufferPointer, to buffer: cl_mem, at offset: Int) throws {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    try lock.locked {
      launchChain()
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
      launchChain()
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

  /// Waits until the queue is empty, for the clock alone: failures stay for whoever waits next.
  func drain() throws {
    try lock.locked {
      launchChain()
      try check(clFinish(queue), "clFinish")
    }
  }

  /// Waits for everything enqueued so far and reports what failed since the last such call.
  func synchronize() throws {
    try lock.locked {
      synchronizationCount += 1
      launchChain()
      try faults.enqueueRead(queue)
      try settle(clFinish(queue), "waiting for \(description.name)")
    }
  }

  /// Makes the device fail from now on: enqueued work is lost, and each wait reports the status.
  func injectFailure(_ status: cl_int) { lock.locked { injectedStatus = status } }

  /// After a wait: frees the staging copies and throws the first error, once.
  private func settle(_ waited: cl_int, _ what: @autoclosure () -> String) throws {
    staging.releaseAll()
    let status = injectedStatus == CL_SUCCESS ? waited : injectedStatus
    let fault = try faults.take(queue)
    if let failure = chainFailure {
      chainFailure = nil
      throw failure
    }
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
      launchChain()
      launchCount += 1
      try enqueue(id, size, arguments)
    }
  }

  /// Enqueues a kernel that `kernel(source:name:options:)` made.
  func launch(
    _ kernel: Kernel, _ size: LaunchSize, _ arguments: (inout KernelArguments) -> Void
  ) throws {
    try lock.locked {
      launchChain()
      launchCount += 1
      try enqueue(kernel, size, arguments)
    }
  }

  /// Enqueues a kernel whose last parameter is the device's fault record (`global int *faults`).
  func launchChecked(
    _ id: KernelID, _ size: LaunchSize, _ arguments: (inout KernelArguments) -> Void
  ) throws {
    try lock.locked {
      launchChain()
      launchCount += 1
      faults.isDirty = true
      try enqueue(id, size) {
        arguments(&$0)
        $0.buffer(faults.buffer)
      }
    }
  }

  @inline(__always)
  private func enqueue(
    _ id: KernelID, _ size: LaunchSize, _ set: (inout KernelArguments) -> Void
  ) throws {
    try enqueue(try kernels.kernel(id), size, set)
  }

  @inline(__always)
  private func enqueue(
    _ kernel: Kernel, _ size: LaunchSize, _ set: (inout KernelArguments) -> Void
  ) throws {
    var arguments = KernelArguments(kernel)
    set(&arguments)
    var status = arguments.status
    if injectedStatus != CL_SUCCESS { return }
    if status == CL_SUCCESS {
      status = withUnsafeBytes(of: size.global) { global in
        withUnsafeBytes(of: size.local) { local in
          let launch = {
            clEnqueueNDRangeKernel(
              self.queue, kernel.object, size.dimensions, nil,
              global.assumingMemoryBound(to: Int.self).baseAddress,
              local.assumingMemoryBound(to: Int.self).baseAddress, 0, nil, nil)
          }
          return turn.map { $0.take(queue, launch: launch) } ?? launch()
        }
      }
    }
    if status != CL_SUCCESS {
      throw failure(status, "launching the kernel '\(kernelName(kernel.object))'")
    }
  }

  // MARK: Element-wise chains

  /// Adds a command to those that wait to be launched together. False if it cannot wait at all: then
  /// its own kernel has to run it.
  func join(
    _ function: StepFunction, count: Int32, _ x: ChainOperand, _ y: ChainOperand?,
    _ z: ChainOperand?, to out: ChainOperand
  ) -> Bool {
    // All operands of a chain are arguments of one kernel.
    if description.argumentSize < ElementwiseChain.argumentSize { return false }
    return lock.locked {
      if !chain.append(function, count: count, x, y, z, to: out) {
        if chain.isEmpty { return false }
        launchChain()
        if !chain.append(function, count: count, x, y, z, to: out) { return false }
      }
      return true
    }
  }

  /// Enqueues what waits. A failure is kept for the next call that waits for the device: the call that
  /// happens to come now has nothing to do with it.
  @inline(__always)
  private func launchChain() {
    if !chain.isEmpty { launchWaiting() }
  }

  private func launchWaiting() {
    let waiting = chain
    chain.removeAll()
    launchCount += 1
    do {
      if waiting.isSingle { try launch(waiting.single, waiting.count) } else { try launch(waiting) }
    } catch {
      if chainFailure == nil { chainFailure = error }
    }
  }

  private func launch(_ waiting: ElementwiseChain) throws {
    let (size, chunk) = launchSize(count: Int(waiting.count), multiple: ElementwiseChain.block)
    let arguments = waiting.arguments(chunk: chunk, streams: streams(count: Int(waiting.count)))
    // A buffer that the kernel object held on to could be gone at its next launch.
    let bound = max(waiting.slots, boundSlots)
    boundSlots = waiting.slots
    try enqueue(.elementwise_chain, size) {
      $0.value(arguments)
      for slot in 0..<bound { $0.buffer(slot < waiting.slots ? waiting.buffers[slot] : nil) }
    }
  }

  private func launch(_ step: SingleStep, _ count: Int32) throws {
    let (function, operands) = (step.function, step.operands)
    var it = Iteration(operands, count: count)
    let size = launchSize(&it)
    let walk = it
    let kernel: KernelID =
      switch function.family {
      case .unary: .unary
      case .derivative: .unary_backward
      case .binary: function.constant < 0 ? .binary : .scalar_binary
      case .ternary: .ternary
      }
    try enqueue(kernel, size) {
      $0.value(walk)
      for input in operands.dropFirst() { $0.buffer(input.buffer) }
      $0.buffer(operands.first?.buffer)
      $0.value(Int32(function.op))
      switch function.family {
      case .unary, .derivative:
        $0.value(function.a)
        $0.value(function.b)
      case .binary where function.constant >= 0:
        $0.value(function.a)
        $0.value(function.constant == 0 ? Int32(1) : 0)
      case .binary, .ternary: break
      }
    }
  }

  /// Copies on the device without waiting; offsets and count in bytes.
  func copy(from source: cl_mem, at start: Int, to target: cl_mem, at offset: Int, bytes: Int)
    throws
  {
    guard bytes > 0 else { return }
    try lock.locked {
      launchChain()
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
      try kernels.make(source: source, program: name, kernel: kernel, options: options)
    }
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
      counters.bytesCached = pool.bytesCached
      counters.returns = pool.returns
      counters.launches = launchCount
      counters.synchronizations = synchronizationCount
      return counters
    }
  }
}
