#!/usr/bin/env bash
# Builds the benchmark and the peers that are installed, runs them side by side, writes
# Benchmarks/results/<cpu>.json and .md. Arguments go to `apus bench` (see its --help).
set -euo pipefail
cd "$(dirname "$0")"
# These settings make OpenBLAS, and so every peer built on it, run kernels of another processor.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

(cd .. && swift build -c release --product apus)
mkdir -p .build/peers
cc -O2 peers/peer_blas.c -o .build/peers/openblas -lopenblas
# CLBlast: Debian's libclblast-dev.
cc -O2 -DCLBLAST peers/peer_blas.c -o .build/peers/clblast -lclblast -lOpenCL 2>/dev/null \
  || echo "bench: no CLBlast (apt-get install libclblast-dev); going on without it" >&2
# PyTorch: any interpreter that can import it; APUS_PYTHON names another one.
python=${APUS_PYTHON:-python3}
if "$python" -c 'import torch' 2>/dev/null; then
  printf '#!/bin/sh\nexec "%s" "%s/peers/peer_torch.py"\n' "$python" "$PWD" > .build/peers/torch
  chmod +x .build/peers/torch
else
  echo "bench: no PyTorch for '$python' (pip install torch, or set APUS_PYTHON); going on without" >&2
  rm -f .build/peers/torch
fi
case " $* " in
  *" --output "*) ;;
  *) set -- --output results "$@" ;;
esac
exec ../.build/release/apus bench --peers .build/peers --first-step "$@"
