import ApusDevice
import COpenCL

/// Four integers on the device in which kernels note the first bad index they meet.
///
/// A kernel that meets an index outside its axis writes {operation, index, extent} here and does
/// not touch memory through that index. The host reads the record when it waits anyway, and only
/// if such a kernel ran since the last time.
struct FaultRecord {
  let buffer: cl_mem
  var isDirty = false
  private let host: UnsafeMutablePointer<Int32>

  init(context: cl_context, queue: cl_command_queue) throws {
    var status: cl_int = 0
    host = .allocate(capacity: 4)
    host.initialize(repeating: 0, count: 4)
    let flags = cl_mem_flags(CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR)
    guard let buffer = clCreateBuffer(context, flags, 16, host, &status), status == CL_SUCCESS
    else { throw failure(status, "clCreateBuffer(faults)") }
    self.buffer = buffer
  }

  func release() {
    clReleaseMemObject(buffer)
    host.deallocate()
  }

  func enqueueRead(_ queue: cl_command_queue) throws {
    guard isDirty else { return }
    try check(
      clEnqueueReadBuffer(queue, buffer, cl_bool(CL_FALSE), 0, 16, host, 0, nil, nil),
      "clEnqueueReadBuffer(faults)")
  }

  /// The noted fault, if any, and clears it; only after a wait that followed `enqueueRead`.
  mutating func take(_ queue: cl_command_queue) throws -> ApusError? {
    guard isDirty else { return nil }
    isDirty = false
    guard host[0] != 0 else { return nil }
    let (code, index, extent) = (host[0], host[1], host[2])
    host.update(repeating: 0, count: 4)
    try check(
      clEnqueueWriteBuffer(queue, buffer, cl_bool(CL_TRUE), 0, 16, host, 0, nil, nil),
      "clEnqueueWriteBuffer(faults)")
    return indexFault(code: code, index: index, extent: extent)
  }
}

private func indexFault(code: Int32, index: Int32, extent: Int32) -> ApusError {
  let operation = FaultingOperation(rawValue: code)?.name ?? "opencl"
  return ApusError(
    .value, operation: operation,
    """
    index \(index) is out of range for an axis of \(extent) elements; indices run from 0 to \
    \(extent - 1)
    """)
}

/// The operations that check indices on the device; kernels note the raw value.
enum FaultingOperation: Int32 {
  case take = 1
  case gather = 2
  case scatterAdd = 3
  case indexAdd = 4
  case crossEntropy = 5

  var name: String { "\(self)" }
}
