# One command each; `make demo` and `make test` are enough on a fresh machine with a Swift toolchain.
SWIFT ?= swift
CONFIGURATION ?= release
BUILD = $(SWIFT) build -c $(CONFIGURATION)
APUS = .build/$(CONFIGURATION)/apus

.PHONY: help setup build demo test smoke example lint format docs bench check-kernels sanitize clean

help:
	@echo "make demo           train on handwritten digits, draw the result, predict a few"
	@echo "make test           lint, unit tests, conformance on every device, example, smoke run"
	@echo "make bench          time Apus and its peers, write Benchmarks/results"
	@echo "make lint           format and structure checks"
	@echo "make docs           build the documentation into .build/docs"
	@echo "make check-kernels  run the OpenCL kernels under Oclgrind"
	@echo "make sanitize       run the tests under AddressSanitizer and ThreadSanitizer"
	@echo "make setup          install missing system packages (Debian, Ubuntu)"

setup:
	@scripts/setup.sh

build: setup
	$(BUILD) --product apus

demo: build
	$(APUS) demo --output-dir out

test: setup lint
	$(SWIFT) build -c $(CONFIGURATION) --build-tests --explicit-target-dependency-import-check error
	$(SWIFT) test -c $(CONFIGURATION) --skip-build
	$(MAKE) --no-print-directory smoke example

smoke:
	scripts/smoke.sh $(APUS)

example:
	$(SWIFT) build -c $(CONFIGURATION) --package-path Examples
	$(SWIFT) run -c $(CONFIGURATION) --package-path Examples --skip-build Embedding

lint:
	@scripts/lint.sh

format:
	$(SWIFT) format --in-place --recursive Package.swift Kernels Sources Tests Examples

docs:
	scripts/docs.sh

bench: setup
	Benchmarks/run.sh

check-kernels: setup
	scripts/check-kernels.sh

sanitize: setup
	scripts/sanitize.sh

clean:
	rm -rf .build out Benchmarks/.build Examples/.build
