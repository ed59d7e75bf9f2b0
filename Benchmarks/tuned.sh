#!/usr/bin/env bash
# The benchmark with tuning: searches for every case's operations on the OpenCL device, in a cache of its
# own, then runs all cases beside the peers like run.sh and writes Benchmarks/results/tuned. A second search
# follows that must leave the file of choices as it is. Arguments go to `apus bench`.
#
# APUS_TUNE_BUDGET is the time of a search (600s).
set -euo pipefail
cd "$(dirname "$0")"
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
budget=${APUS_TUNE_BUDGET:-600s}
(cd .. && swift build -c release --product apus)
export XDG_CACHE_HOME=$PWD/.build/tuned
rm -rf "$XDG_CACHE_HOME"
mkdir -p "$XDG_CACHE_HOME"
../.build/release/apus tune --device opencl --budget "$budget" --benchmark ''
cp "$XDG_CACHE_HOME"/apus/tuning/*.txt .build/tuned/first.txt
./run.sh --output results/tuned "$@"
../.build/release/apus tune --device opencl --budget "$budget" --benchmark ''
diff .build/tuned/first.txt "$XDG_CACHE_HOME"/apus/tuning/*.txt
echo "tuned.sh: the second search left the choices as they are"
