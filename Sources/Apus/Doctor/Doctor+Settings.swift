import ApusDevice
import Foundation

extension Doctor {
  /// Variables of the environment that change how fast or where something computes.
  func settings() -> [Finding] {
    let problems = Self.cripplers.compactMap { name, effect in
      surroundings.value(name).map {
        Finding("setting \(name)", .problem, "is '\($0)': \(effect)", remedy: "unset \(name)")
      }
    }
    let limits = Self.threadLimits.compactMap { name, effect -> Finding? in
      guard let text = surroundings.value(name) else { return nil }
      let usable = surroundings.usableProcessors
      guard let count = Int(text), count > 0 else {
        return Finding(
          "setting \(name)", .problem, "is '\(text)', which is no number of threads",
          remedy: "unset \(name)")
      }
      // As many as there is time for, where a container limits that.
      if count == usable || count == processorTime.map({ max(1, Int($0)) }) { return nil }
      return Finding(
        "setting \(name)", .problem,
        "is \(count) where \(usable) processors are usable: \(effect)", remedy: "unset \(name)")
    }
    let notes = Self.choices.compactMap { name, effect -> Finding? in
      guard let value = surroundings.value(name) else { return nil }
      if name == "APUS_OPENCL_KIND", isKindUnknown {
        return Finding(
          "setting \(name)", .problem, "is '\(value)', which is neither 'cpu' nor 'gpu'",
          remedy: "unset \(name)")
      }
      return Finding("setting \(name)", .note, "is '\(value)': \(effect)")
    }
    let all = problems + limits + notes
    return all.isEmpty
      ? [Finding("settings", .ok, "no variable of the environment slows anything down")] : all
  }

  private static let cripplers: [(String, String)] = [
    (
      "OPENBLAS_CORETYPE",
      "OpenBLAS runs the kernels of that processor instead of this one's, often at half the speed"
    ),
    ("OPENBLAS_L2_SIZE", "OpenBLAS cuts its blocks for a cache that this processor does not have"),
    ("OPENBLAS_VERBOSE", "OpenBLAS writes remarks into the output of programs"),
    ("POCL_DEBUG", "PoCL writes remarks and waits where it need not"),
    ("POCL_LEAVE_KERNEL_COMPILER_TEMP_FILES", "PoCL leaves the files of every build behind"),
    ("LIBGL_ALWAYS_SOFTWARE", "Mesa hides GPUs"),
    ("CUDA_LAUNCH_BLOCKING", "NVIDIA's driver waits after every launch"),
    ("AMD_SERIALIZE_KERNEL", "AMD's driver waits after every launch"),
  ]

  private static let threadLimits: [(String, String)] = [
    ("APUS_NUM_THREADS", "the device 'cpu' computes with that many threads"),
    ("OMP_NUM_THREADS", "other libraries in this process compute with that many threads"),
    ("OPENBLAS_NUM_THREADS", "other programs that use OpenBLAS compute with that many threads"),
    ("POCL_MAX_PTHREAD_COUNT", "PoCL computes with that many threads"),
    ("POCL_CPU_MAX_CU_COUNT", "PoCL computes with that many threads"),
    ("LP_NUM_THREADS", "Mesa's llvmpipe computes with that many threads"),
  ]

  private static let choices: [(String, String)] = [
    ("APUS_OPENCL_KIND", "kernels for this kind of device run, whatever the device is"),
    (
      "APUS_EMULATE_TENSOR_CORES",
      "with 1, kernels for GPUs compute --precision tf32 and bfloat16 without tensor cores, slowly, for tests"
    ),
    ("OCL_ICD_VENDORS", "only these OpenCL drivers are seen"),
    ("OCL_ICD_FILENAMES", "these OpenCL drivers are added"),
    ("POCL_DEVICES", "PoCL offers these devices"),
    ("POCL_AFFINITY", "PoCL ties its threads to processors"),
    ("RUSTICL_ENABLE", "Mesa offers these devices"),
    ("CUDA_VISIBLE_DEVICES", "NVIDIA's driver offers these devices only"),
  ]
}
