#!/usr/bin/env bash
# Runs the tests under AddressSanitizer, then under ThreadSanitizer.
# Suppressions concern system libraries only; each line of scripts/*.supp says why.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD/scripts

ASAN_OPTIONS="detect_leaks=0:suppressions=$here/address.supp" \
  swift test --sanitize=address --scratch-path .build-address "$@"
TSAN_OPTIONS="suppressions=$here/thread.supp:halt_on_error=1" \
  swift test --sanitize=thread --scratch-path .build-thread "$@"
