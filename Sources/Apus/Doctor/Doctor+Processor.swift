import Foundation

extension Doctor {
  /// How much of the processor this process gets.
  func processor() -> [Finding] {
    let (all, usable) = (surroundings.processors, surroundings.usableProcessors)
    var findings: [Finding] = []
    if usable < all { findings.append(confinement(to: usable, of: all)) }
    if let time = processorTime, time < Double(threads) - 0.01 {
      findings.append(
        Finding(
          "processor", .problem,
          String(
            format:
              "the container may use the time of %.1f processors, but %d threads will compute",
            time, threads),
          remedy: "export APUS_NUM_THREADS=\(max(1, Int(time)))"))
    }
    if let governor = surroundings.text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
      governor == "powersave",
      surroundings.text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver") == "acpi-cpufreq"
    {
      findings.append(
        Finding(
          "processor", .problem, "the clock is held at its lowest (governor 'powersave')",
          remedy: "sudo cpupower frequency-set -g schedutil"))
    }
    if findings.isEmpty {
      findings = [Finding("processor", .ok, "all \(all) processors may be used")]
    }
    return findings
  }

  /// A mask of this process may be widened from within; the cpuset of its container may not.
  private func confinement(to usable: Int, of all: Int) -> Finding {
    let given = surroundings.text("/sys/fs/cgroup/cpuset.cpus.effective").map(Self.count)
    if given == usable {
      return Finding(
        "processor", .note, "the container gives this process \(usable) of \(all) processors")
    }
    let online = surroundings.text("/sys/devices/system/cpu/online") ?? "0-\(all - 1)"
    return Finding(
      "processor", .problem, "this process is confined to \(usable) of \(all) processors",
      remedy: "taskset -cp \(online) $$  # and start apus without taskset or numactl")
  }

  /// Processors in a list of the kernel's, such as `0-3,7`.
  private static func count(_ list: String) -> Int {
    list.split(separator: ",").reduce(0) { sum, range in
      let ends = range.split(separator: "-").compactMap { Int($0) }
      return sum + ((ends.last ?? -1) - (ends.first ?? 0) + 1)
    }
  }

  /// Processors whose time the container may use (cgroup v2); nil without a limit.
  var processorTime: Double? {
    // Microseconds of processor time in each period, or 'max'.
    guard let limit = surroundings.text("/sys/fs/cgroup/cpu.max")?.split(separator: " "),
      limit.count == 2, let quota = Double(limit[0]), let period = Double(limit[1]), period > 0,
      quota / period < Double(surroundings.usableProcessors) - 0.01
    else { return nil }
    return quota / period
  }

  /// Threads that the device 'cpu' computes with.
  private var threads: Int {
    surroundings.value("APUS_NUM_THREADS").flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
      ?? surroundings.usableProcessors
  }
}
