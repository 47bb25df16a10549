# make demo   installs what is missing, builds, asks the questions in samples/ and checks the answers
# make test   the same set-up, then everything that CI runs: formatting, lints, docs, tests
# make lint   formatting, lints, docs
# make check-cuda  the CUDA kernels and the build with them, on a machine that needs no GPU
# make bench  decoding and answers, measured on this machine

CARGO ?= cargo
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PACKAGES := pkg-config libclang-dev libavcodec-dev libavformat-dev libavutil-dev libavfilter-dev libswscale-dev libswresample-dev
# The tests hold frame times to ffprobe's and make odd files with ffmpeg; without it those tests say that they skip.
TEST_PACKAGES := ffmpeg

.PHONY: demo test lint unit bench build check-cuda setup setup-test

demo: build
	target/release/longsight bench questions samples/questions.json

build: setup
	$(CARGO) build --release

test: setup-test lint unit

unit:
	$(CARGO) test --release --workspace

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --workspace --no-deps

# Without an nvcc on the PATH one is fetched from PyPI, and the program is started with stand-ins for the CUDA libraries, to answer on the CPU.
# The tensor library's own kernels take about ten minutes the first time.
check-cuda: setup
	$(CARGO) fetch --quiet
	kernels/cuda/check.sh --required
	eval "$$(kernels/cuda/toolchain.sh)" && export CUDA_COMPUTE_CAP=$${CUDA_COMPUTE_CAP:-80} && \
	$(CARGO) build --release --features cuda && \
	$(CARGO) clippy --release --workspace --all-targets --features cuda -- -D warnings && \
	if [ -d "$$CUDA_HOME/lib/stand-ins" ]; then \
		export LD_LIBRARY_PATH="$$CUDA_HOME/lib/stand-ins:$$CUDA_HOME/lib" && \
		$${CARGO_TARGET_DIR:-target}/release/longsight bench questions samples/questions.json; \
	fi

bench: build
	target/release/longsight bench decode samples/world-1.mp4
	target/release/longsight bench world --split held-out

setup:
	@$(call install,$(PACKAGES))

setup-test:
	@$(call install,$(PACKAGES) $(TEST_PACKAGES))

# Debian and its relatives; elsewhere the names of what is needed are printed.
define install
missing=; for package in $(1); do dpkg -s $$package >/dev/null 2>&1 || missing="$$missing $$package"; done; \
if [ -n "$$missing" ]; then \
  if command -v apt-get >/dev/null; then \
    echo "installing$$missing"; \
    $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
  else echo "please install FFmpeg's development files, libclang and pkg-config (on Debian:$$missing)" >&2; exit 1; fi; \
fi
endef
