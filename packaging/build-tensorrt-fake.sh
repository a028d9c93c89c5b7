#!/bin/sh
# Compiles a TensorRT that needs no GPU, and the shim for it, into build/trt-fake/MAJOR.MINOR/;
# does nothing where that is up to date. TENSORRT_INCLUDE names the folder of TensorRT's headers;
# the version is theirs. With SANITIZE=1 all is compiled with the sanitizers of addresses and of
# undefined behaviour, into build/trt-fake/MAJOR.MINOR-sanitized/. The last line printed is the
# folder. See trt/nvinfer/fake/README.md.
set -eu
[ -n "${TENSORRT_INCLUDE:-}" ] || {
	echo "build-tensorrt-fake: set TENSORRT_INCLUDE to the folder of TensorRT's headers" >&2
	exit 1
}
TENSORRT_INCLUDE=$(realpath -m "$TENSORRT_INCLUDE")
export TENSORRT_INCLUDE
cd "$(dirname "$0")/.."

fake=trt/nvinfer/fake
cxx=${CXX:-g++}
[ -e "$TENSORRT_INCLUDE/NvInferImpl.h" ] && [ -e "$TENSORRT_INCLUDE/NvOnnxParser.h" ] || {
	echo "build-tensorrt-fake: TensorRT's headers are not in $TENSORRT_INCLUDE" >&2
	exit 1
}
# shellcheck disable=SC2046 # two numbers
set -- $(printf '#include <NvInferVersion.h>\nversion NV_TENSORRT_MAJOR NV_TENSORRT_MINOR\n' |
	"$cxx" -E -P -x c++ -I "$TENSORRT_INCLUDE" - | sed -n 's/^version //p')
major=$1 minor=$2
out=build/trt-fake/$major.$minor
flags="-g -O1"
if [ "${SANITIZE:-}" = 1 ]; then
	out=$out-sanitized
	flags="$flags -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
fi

# The CUDA that each TensorRT came with.
case $major.$minor in
8.*) cudart=libcudart.so.11.0 cuda=11080 ;;
10.? | 10.1[0-2]) cudart=libcudart.so.12 cuda=12060 ;;
*) cudart=libcudart.so.13 cuda=13000 ;;
esac

# Tests of several packages ask for it at once, and none may lose it while it is used.
mkdir -p build/trt-fake
exec 9>"build/trt-fake/.$(basename "$out").lock"
flock 9

wanted="$TENSORRT_INCLUDE $cxx $flags"
stale=""
for file in "$fake"/*.cpp "$fake"/*.h "$fake"/generate/*.go trt/nvinfer/shim/* trt/nvinfer/shim/cuda/* packaging/build-tensorrt*.sh; do
	[ "$out/.made" -nt "$file" ] || stale=yes
done
if [ -z "$stale" ] && [ "$(cat "$out/.made" 2>/dev/null)" = "$wanted" ]; then
	echo "$out"
	exit 0
fi

echo "build-tensorrt-fake: compiling $out"
new=$out.new.$$
trap 'rm -rf "$new"' EXIT
mkdir -p "$new"
go run "./$fake/generate" "$TENSORRT_INCLUDE" "$new/stubs.h"
onnxruntime=$(go list -m -f '{{.Dir}}' github.com/yalue/onnxruntime_go)

# library NAME ARGUMENTS… compiles one, which finds the others beside it.
library() {
	name=$1
	shift
	# shellcheck disable=SC2016,SC2086 # the loader knows $ORIGIN; flags are a list
	"$cxx" -std=c++17 -Wall -Wextra -Werror -fPIC -shared -pthread $flags -Wl,--no-undefined -Wl,-soname,"$name" -Wl,-rpath,'$ORIGIN' "$@" -o "$new/$name"
}
library libcuda.so.1 "$fake/cuda.cpp" "$fake/device.cpp"
library "$cudart" -DFAKE_CUDA_VERSION=$cuda "$fake/cudart.cpp" "$new/libcuda.so.1"
set -- -isystem trt/nvinfer/shim/cuda -isystem "$TENSORRT_INCLUDE" -isystem "$onnxruntime" -I "$new"
library "libnvinfer.so.$major" "$@" "$fake/plan.cpp" "$fake/builder.cpp" "$fake/runtime.cpp" "$fake/model.cpp" "$new/libcuda.so.1" -ldl
library "libnvonnxparser.so.$major" "$@" "$fake/parser.cpp" "$new/libnvinfer.so.$major" "$new/libcuda.so.1"
# shellcheck disable=SC2016 # the loader knows it
CXXFLAGS="$flags -Wl,-rpath,\$ORIGIN" NVCC='' OUT="$new" packaging/build-tensorrt.sh >/dev/null
echo "FAKE KERNEL" >"$new/robustnet-scale.fatbin"

rm -rf "$out"
mv "$new" "$out"
echo "$wanted" >"$out/.made"
echo "$out"
