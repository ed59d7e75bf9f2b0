#!/usr/bin/env bash
# Proves and times an NVIDIA GPU: self test, tuning, then the cases beside PyTorch on CUDA, which computes
# in true float32 as we do; last a product in TF32 beside PyTorch's.
#
#   Benchmarks/gpu.sh                     all of it, on a machine with Swift and the GPU
#   Benchmarks/gpu.sh --build-only        build only, with what it needs, into Benchmarks/.build/gpu
#   Benchmarks/gpu.sh --no-build          the rest, on a machine without Swift that got that folder
#
# APUS_GPU_DEVICE names the device (opencl:0), APUS_PYTHON an interpreter with PyTorch, APUS_GPU_BUDGET the
# time to tune for each group of cases (60s), APUS_GPU_OUTPUT where reports go (Benchmarks/results), APUS_PEER_DEVICE what
# PyTorch computes on (cuda). Other arguments go to `apus bench`.
# Exit code 1 where the self test fails or a goal is missed.
set -euo pipefail
cd "$(dirname "$0")"
device=${APUS_GPU_DEVICE:-opencl:0}
python=${APUS_PYTHON:-python3}
output=${APUS_GPU_OUTPUT:-results}
folder=$PWD/.build/gpu
builds=yes runs=yes
case "${1:-}" in
  --build-only) runs=no && shift ;;
  --no-build) builds=no && shift ;;
esac

if [ "$builds" = yes ] && [ "$runs" = yes ]; then
  (cd .. && swift build -c release --product apus)
  apus=$PWD/../.build/release/apus
elif [ "$builds" = yes ]; then
  # Swift's own libraries go into the program. Foundation asks for libcurl, whose headers nobody needs.
  mkdir -p "$folder/lib" "$folder/link"
  ln -sf "$(ldconfig -p | awk '/libcurl\.so/ { print $NF; exit }')" "$folder/link/libcurl.so"
  (cd .. && swift build -c release --product apus --scratch-path .build-static --static-swift-stdlib \
    -Xlinker "-L$folder/link")
  strip -o "$folder/apus" ../.build-static/release/apus
  # Everything but the C library's own, which belongs to the loader of the machine that runs it.
  ldd "$folder/apus" | awk '$3 ~ /^\// { print $3 }' \
    | { grep -vE '/(libc|libm|libdl|librt|libpthread|libresolv|libgcc_s|libstdc\+\+)\.so' || true; } \
    | xargs -r cp -L -t "$folder/lib"
  du -sh "$folder"
  exit
else
  apus=$folder/apus
  [ -x "$apus" ] || { echo "gpu.sh: no $apus; run --build-only where Swift is" >&2; exit 1; }
  # The machine's own libraries come first: its OpenCL loader knows where its drivers are.
  "$apus" --help >/dev/null 2>&1 \
    || export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder/lib"
fi
# A container may have the driver without the file that names it to the loader.
if [ -z "${OCL_ICD_VENDORS:-}" ] && ! grep -qs nvidia /etc/OpenCL/vendors/*.icd \
  && ldconfig -p | grep -q libnvidia-opencl.so.1; then
  mkdir -p "$folder/vendors"
  echo libnvidia-opencl.so.1 > "$folder/vendors/nvidia.icd"
  export OCL_ICD_VENDORS=$folder/vendors
fi

"$apus" doctor || true
"$apus" devices
mkdir -p "$output" .build/peers-gpu
peer=${APUS_PEER_DEVICE:-cuda}
if "$python" -c "import torch; torch.zeros(1, device='$peer')" 2>/dev/null; then
  printf '#!/bin/sh\nexec "%s" "%s/peers/peer_torch.py" "%s"\n' "$python" "$PWD" "$peer" \
    > .build/peers-gpu/torch
  chmod +x .build/peers-gpu/torch
else
  echo "gpu.sh: '$python' has no PyTorch for $peer; going on without" >&2
  rm -f .build/peers-gpu/torch
fi

failed=0
"$apus" selftest --device "$device" --json > "$output/gpu-selftest.json" || failed=1
"$python" - "$output/gpu-selftest.json" <<'PYTHON'
import json, sys
from collections import Counter
outcome = json.load(open(sys.argv[1]))
print("selftest:", dict(Counter(row["verdict"] for row in outcome["rows"])), f"{outcome['seconds']:.0f} s")
for row in outcome["rows"]:
    if row["verdict"] not in ("pass", "unsupported"):
        print(" ", row["verdict"], row["operation"], row["dtype"], *row["problems"][:1])
PYTHON
cases=(gemm conv-16 conv-8 mlp-step resnet20-step)
# First with the defaults, so that the gain of tuning shows.
"$apus" tune --device "$device" --reset
for case in "${cases[@]}"; do
  "$apus" bench --device "$device" --filter "$case" --peers .build/peers-gpu --json "$@" \
    > "$output/gpu-default-$case.json"
done
for case in "${cases[@]}"; do
  "$apus" tune --device "$device" --benchmark "$case" --budget "${APUS_GPU_BUDGET:-60s}"
  "$apus" bench --device "$device" --filter "$case" --peers .build/peers-gpu --json "$@" \
    > "$output/gpu-tuned-$case.json"
done
# Products by tensor cores, beside PyTorch's in TF32, where the device has them.
if "$apus" tune --device "$device" --precision tf32 --filter gemm --budget 30s; then
  "$apus" selftest --device "$device" --precision tf32 --json > "$output/gpu-selftest-tf32.json" || failed=1
  mkdir -p .build/peers-gpu-tf32
  rm -f .build/peers-gpu-tf32/torch
  if [ -x .build/peers-gpu/torch ]; then
    printf '#!/bin/sh\nexec "%s" "%s/peers/peer_torch.py" "%s" tf32\n' "$python" "$PWD" "$peer" \
      > .build/peers-gpu-tf32/torch
    chmod +x .build/peers-gpu-tf32/torch
  fi
  "$apus" bench --device "$device" --precision tf32 --filter gemm-4096 --peers .build/peers-gpu-tf32 --json \
    "$@" > "$output/gpu-tf32-gemm.json"
fi
"$python" peers/goals.py "$output" || failed=1
exit "$failed"
