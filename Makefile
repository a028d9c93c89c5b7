# make demo    build and run on a synthetic street camera, or CAMERA=…, for SECONDS=… or until Ctrl-C
# make test    everything that CI runs
# make build   the programs, into build/
# make lint    formatting, go vet, staticcheck
# make bench   the figures of docs/measurements.md
# make bench-train  training steps against PyTorch's, which it installs (python3-torch)
# make bench-domains  methods on unseen domains, docs/results.md; hours on two cores
# make build-arm64  the programs for arm64, cross-compiled into build/arm64/ (docs/arm64.md), and
#              the library for TensorRT where TENSORRT_INCLUDE names folders of its headers
# make test-arm64   what they need of a system, and their masks under qemu; not part of make test
# make test-vm-light  the program on a kernel with a camera, in a virtual machine (docs/vm-tests.md)
# make test-vm      the package on a Debian in a virtual machine, with cameras that come and go; needs
#              root, minutes, and is not part of make test
# make deb     the Debian package of what make build makes, build/robustnet-edge_VERSION_amd64.deb
# make deb-arm64  that of make build-arm64's, for Debian 12 on arm64 and not for JetPack 6
# make trt-headers-check TENSORRT_INCLUDE=DIR  the shim against TensorRT's headers, in each of
#              these folders, separated by colons
# make cuda-check NVCC=FILE  the GPU's kernel for Orin and for Hopper, compiled
# make lint-docker  Dockerfile.jetson by hadolint, which it fetches through pip; not part of make test
# make setup   install what is missing; every other target does it first

export PKG_CONFIG_PATH := $(CURDIR)/packaging/pkgconfig:$(PKG_CONFIG_PATH)
export ROBUSTNET_MODEL_LIBRARY ?= $(CURDIR)/build/lib/libonnxruntime.so.1
export ROBUSTNET_TORCH_LIBRARY ?= $(CURDIR)/build/lib/librobustnet-torch.so

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)
TAGS    ?=
# Through the environment, because an address may hold any character.
export CAMERA ?= synthetic:
SECONDS ?=
ARGS    ?=

.PHONY: demo test build lint bench bench-train bench-domains trt-headers-check cuda-check setup clean

demo: build
	build/robustnet-edge --camera "$$CAMERA" $(if $(SECONDS),--duration $(SECONDS)s) $(ARGS)

build: setup
	go build -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o build/ ./cmd/...

setup:
	@packaging/setup.sh

# What the tests of cameras and encoders through GStreamer run. plugins-bad has gdppay and
# h264parse and brings -good and -base, plugins-ugly has x264enc.
GSTREAMER = gstreamer1.0-tools gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly

test: lint deb
	@packaging/setup.sh $(GSTREAMER) udev systemd adduser shellcheck mandoc
	go test -tags '$(TAGS)' ./...
	go test -race -short ./camera/... ./edge/... ./internal/gstlaunch ./internal/tail ./internal/telemetry ./onnx ./trt/... ./train/feed ./train/ranks ./train/torch
	$(MAKE) test-vm-light

lint: setup
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not gofmt'ed:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	go vet -C packaging/deb/pack .
	go tool staticcheck ./...
	go vet -tags openh264 ./edge/stream
	go tool staticcheck -tags openh264 ./edge/stream

bench: build
	bench/run.sh

bench-train: build
	packaging/setup.sh python3-torch
	go build -o build/bench-train ./bench/train
	build/bench-train

bench-domains: build
	bench/domains.sh

trt-headers-check:
	@[ -n "$$TENSORRT_INCLUDE" ] || { echo "set TENSORRT_INCLUDE to folders of TensorRT's headers, separated by colons" >&2; exit 1; }
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	IFS=:; for dir in $$TENSORRT_INCLUDE; do \
		rm -rf "$$out"; \
		said=$$(TENSORRT_INCLUDE=$$dir NVCC= OUT=$$out packaging/build-tensorrt.sh) || { echo "$$dir: the shim does not compile" >&2; exit 1; }; \
		echo "$${said##* for }: passed"; \
	done

# NVIDIA publishes nvcc as Python packages: nvidia-cuda-nvcc, nvidia-cuda-crt, nvidia-nvvm and
# nvidia-cuda-runtime, in a folder of their own, have bin/nvcc in nvidia/cu13.
NVCC ?= nvcc
cuda-check:
	@command -v "$(NVCC)" >/dev/null || { echo "cuda-check: no $(NVCC): install nvidia-cuda-toolkit or NVIDIA's Python packages (see the Makefile), and set NVCC to its path" >&2; exit 1; }
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; for sm in 87 90; do \
		"$(NVCC)" -std=c++17 -O3 -arch=sm_$$sm -cubin -o "$$out/scale.cubin" trt/nvinfer/shim/scale.cu || exit 1; \
		echo "the kernel that scales frames, for sm_$$sm: $$(wc -c <"$$out/scale.cubin") bytes"; done

clean:
	rm -rf build

.PHONY: build-arm64 test-arm64

build-arm64:
	packaging/arm64.sh go build -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o build/arm64/ ./cmd/...
	@IFS=:; for dir in $$TENSORRT_INCLUDE; do \
		TENSORRT_INCLUDE=$$dir CXX=aarch64-linux-gnu-g++ OUT=build/arm64/lib packaging/build-tensorrt.sh || exit 1; done

test-arm64: build build-arm64
	@packaging/setup.sh qemu-user-static
	ROBUSTNET_ARM64=$(CURDIR)/build/arm64 go test -v -count=1 ./packaging/arm64test

.PHONY: test-vm-light test-vm

test-vm-light: build
	@packaging/setup.sh qemu-system-x86
	@packaging/vm/kernel.sh
	ROBUSTNET_VM=$(CURDIR)/build/vm go test -v -count=1 -run Light ./packaging/vm

test-vm: deb
	@packaging/setup.sh qemu-system-x86 debootstrap e2fsprogs
	@packaging/vm/kernel.sh
	ROBUSTNET_VM=$(CURDIR)/build/vm ROBUSTNET_VM_FULL=1 go test -v -count=1 -timeout 30m -run Full ./packaging/vm

.PHONY: lint-docker

lint-docker: build/hadolint/bin/hadolint
	$< --config packaging/jetson/hadolint.yaml Dockerfile.jetson

build/hadolint/bin/hadolint: packaging/jetson/hadolint.txt
	@python3 -m pip --version >/dev/null 2>&1 || packaging/setup.sh python3-pip
	rm -rf build/hadolint
	python3 -m pip install --quiet --disable-pip-version-check --target build/hadolint --require-hashes --only-binary :all: -r $<
	@touch $@

.PHONY: deb deb-arm64

deb: build
	@packaging/setup.sh dpkg-dev
	packaging/deb/build.sh "$$(dpkg --print-architecture)" '$(VERSION)'

deb-arm64: build build-arm64
	@packaging/setup.sh dpkg-dev
	packaging/deb/build.sh arm64 '$(VERSION)'
	ROBUSTNET_DEB=arm64 go test -count=1 -run '(Content|Depends)/arm64' ./packaging/deb
