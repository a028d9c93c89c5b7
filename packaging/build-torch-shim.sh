#!/bin/sh
# Compiles the library between Go and libtorch into build/lib/; does nothing where that is
# up to date. LIBTORCH names the folder of a libtorch other than Debian's, with include/ and
# lib/ inside: a GPU machine's own, or the folder torch of a Python package.
set -eu
[ -z "${LIBTORCH:-}" ] || LIBTORCH=$(realpath -m "$LIBTORCH")
cd "$(dirname "$0")/.."

sources="train/torch/shim/shim.cpp train/torch/shim/group.cpp"
headers="train/torch/shim/shim.h train/torch/shim/handles.h"
library=build/lib/librobustnet-torch.so
stamp=build/lib/.librobustnet-torch
cxx=${CXX:-g++}

if [ -n "${LIBTORCH:-}" ]; then
	include=$LIBTORCH/include
	lib=$LIBTORCH/lib
else
	include=/usr/include
	lib=$(dirname "$("$cxx" -print-file-name=libtorch_cpu.so)")
fi
api=$include/torch/csrc/api/include
[ -e "$api/torch/version.h" ] && [ -e "$lib/libtorch_cpu.so" ] || {
	echo "build-torch-shim: libtorch is not in ${LIBTORCH:-the system}: install libtorch-dev, or set LIBTORCH to a folder with its include/ and lib/" >&2
	exit 1
}
version=$(sed -n 's/^#define TORCH_VERSION_[MP][A-Z]* \([0-9]*\)$/\1/p' "$api/torch/version.h" | paste -sd .)
# Processes that train together need c10d, and the headers of what it exchanges tensors with,
# which not every libtorch brings along: Gloo's, and for GPUs NCCL's and CUDA's.
cuda=${CUDA_HOME:-/usr/local/cuda}/include
has() {
	[ -e "$include/$1" ] || [ -e "/usr/include/$1" ] || [ -e "$cuda/$1" ]
}
distributed=""
if has gloo/context.h && grep -q _ZN4c10d16ProcessGroupGlooC1 "$lib/libtorch_cpu.so"; then
	distributed="-DUSE_C10D_GLOO"
	if has nccl.h && has cuda_runtime_api.h && grep -q _ZN4c10d16ProcessGroupNCCLC1 "$lib/libtorch_cuda.so" 2>/dev/null; then
		distributed="$distributed -DUSE_C10D_NCCL"
		[ ! -e "$cuda" ] || distributed="$distributed -isystem $cuda"
	fi
fi
wanted="${LIBTORCH:-system} $version $distributed"

stale=""
for file in $sources $headers packaging/build-torch-shim.sh; do
	[ "$library" -nt "$file" ] || stale=yes
done
if [ -z "$stale" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
	exit 0
fi

# As system headers, so that only the shim itself has to be free of warnings. /usr/include is
# one already, and naming it again breaks the order of the compiler's own.
set -- -isystem "$api"
[ "$include" = /usr/include ] || set -- "$@" -isystem "$include"
case $version in
1.*) set -- "$@" -std=c++17 ;;
*) set -- "$@" -std=c++20 ;;
esac
# Builds of libtorch differ in std::string's ABI; this constructor's name tells.
if grep -q _ZN3c105ErrorC1ENS_14SourceLocationESs "$lib/libc10.so"; then
	set -- "$@" -D_GLIBCXX_USE_CXX11_ABI=0
fi
set -- "$@" $distributed $sources -L"$lib"
# CUDA's kernels register themselves when their library is loaded; nothing refers to it.
if [ -e "$lib/libtorch_cuda.so" ]; then
	set -- "$@" -Wl,--no-as-needed -ltorch_cuda -lc10_cuda
fi
set -- "$@" -ltorch_cpu -lc10
[ -z "${LIBTORCH:-}" ] || set -- "$@" -Wl,-rpath,"$lib"

echo "build-torch-shim: compiling $library against libtorch $version"
mkdir -p build/lib
new=$library.$$
trap 'rm -f "$new"' EXIT
"$cxx" -O2 -fPIC -shared -Wall -Werror -Wl,--no-undefined "$@" -o "$new"
mv "$new" "$library"
echo "$wanted" >"$stamp"
