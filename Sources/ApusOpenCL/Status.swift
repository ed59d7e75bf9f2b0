import ApusDevice
import COpenCL

/// The name of an OpenCL status code, as the specification writes it (OpenCL 1.2, appendix A).
func statusName(_ status: cl_int) -> String {
  switch status {
  case 0: "CL_SUCCESS"
  case -1: "CL_DEVICE_NOT_FOUND"
  case -2: "CL_DEVICE_NOT_AVAILABLE"
  case -3: "CL_COMPILER_NOT_AVAILABLE"
  case -4: "CL_MEM_OBJECT_ALLOCATION_FAILURE"
  case -5: "CL_OUT_OF_RESOURCES"
  case -6: "CL_OUT_OF_HOST_MEMORY"
  case -11: "CL_BUILD_PROGRAM_FAILURE"
  case -13: "CL_MISALIGNED_SUB_BUFFER_OFFSET"
  case -14: "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST"
  case -30: "CL_INVALID_VALUE"
  case -33: "CL_INVALID_DEVICE"
  case -34: "CL_INVALID_CONTEXT"
  case -36: "CL_INVALID_COMMAND_QUEUE"
  case -38: "CL_INVALID_MEM_OBJECT"
  case -42: "CL_INVALID_BINARY"
  case -44: "CL_INVALID_PROGRAM"
  case -45: "CL_INVALID_PROGRAM_EXECUTABLE"
  case -46: "CL_INVALID_KERNEL_NAME"
  case -48: "CL_INVALID_KERNEL"
  case -49: "CL_INVALID_ARG_INDEX"
  case -50: "CL_INVALID_ARG_VALUE"
  case -51: "CL_INVALID_ARG_SIZE"
  case -52: "CL_INVALID_KERNEL_ARGS"
  case -54: "CL_INVALID_WORK_GROUP_SIZE"
  case -55: "CL_INVALID_WORK_ITEM_SIZE"
  case -61: "CL_INVALID_BUFFER_SIZE"
  case -63: "CL_INVALID_GLOBAL_WORK_SIZE"
  case -1001: "CL_PLATFORM_NOT_FOUND_KHR"
  default: "OpenCL status \(status)"
  }
}

/// Throws the error of a failed OpenCL call.
@inline(__always)
func check(_ status: cl_int, _ call: @autoclosure () -> String) throws {
  if status != CL_SUCCESS { throw failure(status, call()) }
}

/// The error of the OpenCL call named `call`, which returned `status`.
func failure(_ status: cl_int, _ call: String) -> ApusError {
  let kind: ApusError.Kind =
    status == CL_MEM_OBJECT_ALLOCATION_FAILURE || status == CL_OUT_OF_HOST_MEMORY
    ? .outOfMemory : .device
  return ApusError(kind, operation: "opencl", "\(call) failed with \(statusName(status))")
}

func deviceError(_ message: String) -> ApusError {
  ApusError(.device, operation: "opencl", message)
}
