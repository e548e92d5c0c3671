# Shortcuts; the work is in scripts/ and CMake. `make help` lists the targets.
PREFIX ?= /usr/local
DATA ?= ./data
LISTEN ?= 127.0.0.1:8080
FUZZ_SECONDS ?= 60
export FUZZ_SECONDS

.PHONY: help setup build run test bench fuzz asan tsan fmt install clean

help: ## print the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/\1         \2/p' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^(.{9}) */  make \1 /'

setup: ## install what is missing: Debian packages, pinned npm packages
	@scripts/setup.sh

build: setup ## build/release/kalamdb-server and build/release/kalam
	@scripts/build.sh release

run: build ## build, then serve on LISTEN (127.0.0.1:8080) with the data in DATA (./data)
	@exec build/release/kalamdb-server --data $(DATA) --listen $(LISTEN)

test: build ## build, then all tests; ends with "N passed, N failed"
	@scripts/setup.sh test
	@scripts/test.sh

bench: build ## build, then the benchmarks, with their peers in the same run
	@scripts/bench-setup.sh
	@scripts/bench.sh

fuzz: ## each fuzz target for FUZZ_SECONDS (60); FUZZ=name runs one
	@scripts/setup.sh check
	@scripts/fuzz.sh

asan: setup ## all tests under the address and undefined-behaviour sanitizers
	@scripts/build.sh asan
	@KALAMDB_BUILD=build/asan scripts/test-sanitized.sh

tsan: setup ## all tests under the thread sanitizer
	@scripts/build.sh tsan
	@KALAMDB_BUILD=build/tsan scripts/test-sanitized.sh

fmt: ## clang-format all C files
	@scripts/setup.sh check
	@scripts/fmt.sh

install: build ## into PREFIX (/usr/local), below DESTDIR when that is set
	@DESTDIR=$(DESTDIR) cmake --install build/release --prefix $(PREFIX)

clean: ## remove what was built; build/deps and data stay
	@rm -rf build/release build/debug build/asan build/tsan build/fuzz
