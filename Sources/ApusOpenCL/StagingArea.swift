import ApusDevice
import COpenCL

/// Host copies of uploads that the device has not read yet, oldest first.
struct StagingArea {
  private struct Block {
    let memory: UnsafeMutableRawPointer
    let event: cl_event
  }

  private var blocks: [Block] = []
  private var first = 0

  /// Copies the bytes and enqueues their transfer; the copy lives until the transfer is done.
  mutating func write(
    _ bytes: UnsafeRawBufferPointer, to buffer: cl_mem, at offset: Int, in queue: cl_command_queue
  ) throws {
    reclaim()
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 64)
    memory.copyMemory(from: bytes.baseAddress ?? UnsafeRawPointer(memory), byteCount: bytes.count)
    var event: cl_event?
    let status = clEnqueueWriteBuffer(
      queue, buffer, cl_bool(CL_FALSE), offset, bytes.count, memory, 0, nil, &event)
    guard status == CL_SUCCESS, let event else {
      memory.deallocate()
      throw failure(status, "clEnqueueWriteBuffer")
    }
    blocks.append(Block(memory: memory, event: event))
  }

  /// Frees the copies whose transfer is complete; the queue is in order, so these come first.
  private mutating func reclaim() {
    while first < blocks.count {
      var state: cl_int = cl_int(CL_QUEUED)
      let status = clGetEventInfo(
        blocks[first].event, cl_event_info(CL_EVENT_COMMAND_EXECUTION_STATUS),
        MemoryLayout<cl_int>.size, &state, nil)
      // A negative state is a failed command, which is over as well.
      guard status == CL_SUCCESS, state <= cl_int(CL_COMPLETE) else { break }
      free(blocks[first])
      first += 1
    }
    if first == blocks.count {
      blocks.removeAll(keepingCapacity: true)
      first = 0
    } else if first > 64 {
      blocks.removeFirst(first)
      first = 0
    }
  }

  /// Frees all copies; only after the queue was waited for.
  mutating func releaseAll() {
    for block in blocks[first...] { free(block) }
    blocks.removeAll(keepingCapacity: true)
    first = 0
  }

  private func free(_ block: Block) {
    clReleaseEvent(block.event)
    block.memory.deallocate()
  }
}
