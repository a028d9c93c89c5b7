#!/bin/sh
# Compiles the library between Go and TensorRT into build/lib/librobustnet-trtMAJOR.so and, where
# nvcc is there, the kernel that scales frames into build/lib/robustnet-scale.fatbin; does
# nothing where they are up to date. TensorRT's headers are all that it needs, neither TensorRT
# nor CUDA. TENSORRT_INCLUDE names the headers' folder where they are not the system's. OUT is
# another folder for what is made, CXXFLAGS are further flags, NVCC is another compiler of
# kernels, or empty for none.
set -eu
[ -z "${TENSORRT_INCLUDE:-}" ] || TENSORRT_INCLUDE=$(realpath -m "$TENSORRT_INCLUDE")
[ -z "${OUT:-}" ] || OUT=$(realpath -m "$OUT")
cd "$(dirname "$0")/.."

shim=trt/nvinfer/shim
sources="$shim/library.cpp $shim/build.cpp $shim/engine.cpp $shim/scaling.cpp"
headers="$shim/shim.h $shim/library.h $shim/engine.h $shim/scale.h $shim/cuda/cuda_runtime_api.h"
out=${OUT:-build/lib}
cxx=${CXX:-g++}

include=${TENSORRT_INCLUDE:-}
system=$("$cxx" -print-multiarch 2>/dev/null || true)
for folder in ${system:+/usr/include/$system} /usr/include/aarch64-linux-gnu /usr/include/x86_64-linux-gnu /usr/include; do
	[ -n "$include" ] || [ ! -e "$folder/NvInfer.h" ] || include=$folder
done
[ -e "$include/NvInfer.h" ] && [ -e "$include/NvOnnxParser.h" ] || {
	echo "build-tensorrt: TensorRT's headers NvInfer.h and NvOnnxParser.h are not in ${TENSORRT_INCLUDE:-the system}: install libnvinfer-headers-dev and libnvonnxparsers-dev from NVIDIA's packages, or set TENSORRT_INCLUDE to their folder" >&2
	exit 1
}
# shellcheck disable=SC2046 # three numbers
set -- $(printf '#include <NvInferVersion.h>\nversion NV_TENSORRT_MAJOR NV_TENSORRT_MINOR NV_TENSORRT_PATCH\n' |
	"$cxx" -E -P -x c++ -I "$include" - | sed -n 's/^version //p')
major=$1 minor=$2 version=$1.$2.$3
if [ "$major" -lt 8 ] || { [ "$major" = 8 ] && [ "$minor" -lt 6 ]; }; then
	echo "build-tensorrt: the headers in $include are of TensorRT $version; 8.6 is the oldest that will do" >&2
	exit 1
fi
library=$out/librobustnet-trt$major.so

# fresh FILE WANTED SOURCES… tells whether a file is newer than its sources and made as wanted.
fresh() {
	[ "$(cat "$(dirname "$1")/.$(basename "$1")" 2>/dev/null)" = "$2" ] || return 1
	made=$1
	shift 2
	for file in "$@" packaging/build-tensorrt.sh; do
		[ "$made" -nt "$file" ] || return 1
	done
}

new=$out/.new.$$
trap 'rm -f "$new"' EXIT
mkdir -p "$out"

wanted="$include $version $cxx ${CXXFLAGS:-}"
if ! fresh "$library" "$wanted" $sources $headers; then
	# As system headers, so that only the shim itself has to be free of warnings. The compiler looks
	# into /usr/include by itself, and naming it again breaks the order of its own.
	set -- -isystem "$shim/cuda"
	case $include in
	/usr/include | /usr/include/*-linux-gnu) ;;
	*) set -- "$@" -isystem "$include" ;;
	esac
	echo "build-tensorrt: compiling $library for TensorRT $version"
	# shellcheck disable=SC2086 # lists
	"$cxx" -std=c++17 -O2 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -Wl,--no-undefined ${CXXFLAGS:-} "$@" $sources -ldl -o "$new"
	mv "$new" "$library"
	echo "$wanted" >"$out/.$(basename "$library")"
fi

nvcc=${NVCC-$(PATH="$PATH:${CUDA_HOME:-/usr/local/cuda}/bin" command -v nvcc || true)}
[ -n "$nvcc" ] || exit 0
kernel=$out/robustnet-scale.fatbin
# Machine code for Orin, and for all other GPUs from Ampere on what their driver compiles.
architectures="-gencode arch=compute_87,code=sm_87 -gencode arch=compute_80,code=compute_80"
wanted="$nvcc $architectures"
if ! fresh "$kernel" "$wanted" "$shim/scale.cu" "$shim/scale.h"; then
	echo "build-tensorrt: compiling $kernel"
	# shellcheck disable=SC2086 # a list
	"$nvcc" -std=c++17 -O3 -fatbin $architectures "$shim/scale.cu" -o "$new" || {
		echo "build-tensorrt: $nvcc cannot compile the kernel; $library works without, frames are scaled by the CPU" >&2
		exit 1
	}
	mv "$new" "$kernel"
	echo "$wanted" >"$out/.$(basename "$kernel")"
fi
