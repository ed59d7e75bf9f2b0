#!/usr/bin/env bash
# Builds the documentation of the umbrella module as a static site in .build/docs.
set -euo pipefail
cd "$(dirname "$0")/.."
swift package --allow-writing-to-directory .build/docs generate-documentation \
  --target Apus --output-path .build/docs --transform-for-static-hosting \
  --experimental-skip-synthesized-symbols
echo "docs: open .build/docs/documentation/apus/index.html through a web server"
