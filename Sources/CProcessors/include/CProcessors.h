#pragma once

/// Processors on which the calling thread may run: what `taskset`, `numactl` or the cpuset of a container
/// leave of the machine's. At least 1.
int apus_usable_processors(void);
