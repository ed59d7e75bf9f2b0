#!/usr/bin/env bash
# Checks that a compiler does not make: format, and the rules of the architecture.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0

complain() {
  [ -n "$2" ] || return 0
  echo "lint: $1" >&2
  echo "$2" | sed 's/^/  /' >&2
  failed=1
}

swift format lint --strict --parallel --recursive \
  Package.swift Kernels Sources Tests Examples || failed=1

above_seam=(Sources/ApusTensor Sources/ApusNN Sources/ApusOptimizers Sources/ApusData
  Sources/ApusMetrics Sources/ApusTraining)
complain "device names above the seam" "$(grep -rnE \
  'OpenCL|cl_mem|cblas|PoCL|import (CBLAS|CVector|COpenCL|ApusCPU|ApusOpenCL|ApusReference)' \
  --include='*.swift' "${above_seam[@]}" | grep -vE '^[^:]+:[0-9]+: *//')"

complain "traps that a caller could reach" "$(grep -rnE \
  'fatalError\(|preconditionFailure\(|try!|as!' --include='*.swift' Sources \
  | grep -vE '^[^:]+:[0-9]+: *//')"

complain "files whose names explain nothing" "$(git ls-files \
  | grep -iE '(utils?|helpers?|common|misc|manager)[^/]*\.(swift|c|h|cl)$')"

complain "files longer than 600 lines" "$(git ls-files '*.swift' '*.c' '*.h' '*.cl' \
  | xargs -r wc -l | awk '$2 != "total" && $1 > 600 { print $2, $1 }')"

complain "build products under version control" "$(git ls-files \
  | grep -E '(^|/)(\.build/|Package\.resolved$|.*\.o$)')"

[ "$failed" -eq 0 ] && echo "lint: clean"
exit "$failed"
