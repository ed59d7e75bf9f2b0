#!/usr/bin/env bash
# Runs the OpenCL kernels, those for CPUs and those for GPUs, in the simulator Oclgrind, which reports
# data races and accesses outside a buffer. It interprets every instruction, so operands are small.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v oclgrind >/dev/null || {
  echo "check-kernels: install the simulator first: apt-get install oclgrind" >&2
  exit 1
}
swift build -c release --build-tests
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Nothing built for another device, and nothing left for one.
export APUS_CACHE=$work/cache
export APUS_TEST_DEVICES="opencl:0,opencl:0 gpu kernels"

# The tests compare results too, but Oclgrind 21.10 makes mistakes of its own with them (a vector of
# comparisons widens to 255, not 1), so only its reports and a finished run count here.
check() {
  oclgrind --data-races --max-errors 20 --log "$work/reports" \
    .build/release/ApusPackageTests.xctest --testing-library swift-testing --no-parallel \
    --filter "$1" >"$work/output" 2>&1 || true
  if ! grep -q 'Test run with [1-9]' "$work/output"; then
    echo "check-kernels: the tests did not finish:" >&2
    tail -20 "$work/output" >&2
    exit 1
  fi
  if [ -s "$work/reports" ]; then
    echo "check-kernels: Oclgrind reports:" >&2
    cat "$work/reports" >&2
    exit 1
  fi
}

APUS_TEST_LARGEST=150 check 'ConformanceTests/agrees'
# Kernels that share local memory or cut work in parts need more than one tile.
APUS_TEST_LARGEST=4500 \
  APUS_TEST_CASES="gemm,reduce sum,reduce maximum,softmax,layerNorm,sumOf,batchNorm" \
  check 'ConformanceTests/agrees'
# Winograd's method needs many tiles.
APUS_TEST_LARGEST=17000 \
  APUS_TEST_CASES="convolution of,convolutionInputGradient of,convolutionWeightGradient of" \
  check 'ConformanceTests/agrees'
APUS_TEST_LARGEST=150 check 'IndexErrorTests'
# Kernels for tensor cores, their instructions emulated.
APUS_TEST_DEVICES="opencl:0 gpu kernels tf32,opencl:0 gpu kernels bfloat16" APUS_TEST_LARGEST=4500 \
  APUS_TEST_CASES="gemm,linear" check 'ConformanceTests/agreesBelowFloat32'
echo "check-kernels: clean"
