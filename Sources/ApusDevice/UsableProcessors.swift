import CProcessors

/// Processors on which this process may run.
package enum UsableProcessors {
  /// How many there are, at least one; asked anew each time.
  ///
  /// `ProcessInfo.activeProcessorCount` counts those of the machine, whatever `taskset`, `numactl` or the
  /// cpuset of a container leave to the process.
  package static var count: Int { Int(apus_usable_processors()) }
}
