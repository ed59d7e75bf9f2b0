#!/usr/bin/env bash
# Installs the system packages Apus builds and runs with, where they are missing.
set -euo pipefail

packages=(ocl-icd-opencl-dev opencl-headers libopenblas-dev zlib1g-dev libpng-dev libjpeg-dev)
# A machine that already has an OpenCL driver keeps it; elsewhere PoCL makes the CPU an OpenCL device.
ls /etc/OpenCL/vendors/*.icd >/dev/null 2>&1 || packages+=(pocl-opencl-icd)
# Swift's networking needs libcurl at run time.

by_hand() {
  echo "setup: $1" >&2
  echo "setup: install by hand: apt-get install ${missing[*]}" >&2
  exit 1
}

if ! command -v swift >/dev/null; then
  echo "setup: no 'swift' on PATH; install Swift 6.2 or later from https://swift.org/install" >&2
  exit 1
fi

missing=()
if command -v dpkg-query >/dev/null; then
  for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
  done
else
  for header in CL/opencl.h cblas.h zlib.h png.h jpeglib.h; do
    printf '#include <stdio.h>\n#include <%s>\n' "$header" | cc -E -x c - >/dev/null 2>&1 || missing+=("$header")
  done
  [ ${#missing[@]} -eq 0 ] || {
    echo "setup: this system has no dpkg; install the packages that provide: ${missing[*]}" >&2
    exit 1
  }
fi
[ ${#missing[@]} -eq 0 ] && exit 0

command -v apt-get >/dev/null || by_hand "apt-get is missing"
run=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || by_hand "not root, and there is no sudo"
  run=(sudo)
fi
echo "setup: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${run[@]}" apt-get update -qq || by_hand "'apt-get update' failed"
"${run[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null \
  || by_hand "'apt-get install' failed"
