#!/usr/bin/env bash
# Runs the tests under AddressSanitizer, then under ThreadSanitizer; optimised as in use, since the
# naive oracle would take hours otherwise.
# Suppressions concern system libraries only; each line of scripts/*.supp says why.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD/scripts
# Sizes above this add time under a sanitizer, not paths.
export APUS_TEST_LARGEST=${APUS_TEST_LARGEST:-2000}

# Absurd requests must be refused by us, not end the program. Compilers inside OpenCL drivers (LLVM) give
# their threads a stack for signals, which AddressSanitizer would take for its own and unmap.
ASAN_OPTIONS="detect_leaks=0:use_sigaltstack=0:allocator_may_return_null=1:suppressions=$here/address.supp" \
  swift test -c release --sanitize=address --scratch-path .build-address "$@"
TSAN_OPTIONS="allocator_may_return_null=1:suppressions=$here/thread.supp:halt_on_error=1" \
  swift test -c release --sanitize=thread --scratch-path .build-thread "$@"
