#!/bin/sh
# Installs what the build, the demo and the tests need, by package name: Debian packages
# through apt-get, ONNX Runtime's shared library out of its npm package. Compiles the library
# between Go and libtorch. Does nothing where everything is there. Arguments are further
# packages. TRAINING=no leaves out what robustnet-train alone needs, libtorch above all, which
# Ubuntu 22.04 and with it JetPack 6 do not have. ORT_ARCH and ORT_DIR ask for ONNX Runtime of
# another architecture, in another folder. Run it through `make setup`.
set -eu

training=${TRAINING:-yes}
case $training in
yes | no) ;;
*)
	echo "setup: TRAINING is $training; want yes or no" >&2
	exit 1
	;;
esac

# The OpenCV modules that gocv compiles against; libopencv-dev would be twice the download.
opencv=""
for module in core imgproc imgcodecs videoio highgui calib3d features2d objdetect photo video dnn stitching; do
	opencv="$opencv libopencv-$module-dev"
done
# ffmpeg decodes RTSP cameras at run time, and is the independent reader in the tests.
packages="g++ pkg-config libx264-dev ffmpeg $opencv"
# Training's engine, unless LIBTORCH names the folder of another one, such as a GPU machine's.
# Without OpenBLAS, libtorch would multiply matrices with the reference BLAS, which only the
# comparison with published numbers wants.
[ -n "${LIBTORCH:-}" ] || [ "$training" = no ] || packages="$packages libtorch-dev libgloo-dev libopenblas0-pthread libblas3"

ort_package=onnxruntime-node@1.30.0
ort_sha512=b7086cd42d82fc1164cf5c9ce4e634288536194aba0d444eee10f86f1e50d90cb79c0309c115d6f31537355733136f5503d96894b3987a9a03f1f8d318e7c8ab
ort_dir=${ORT_DIR:-build/lib}
ort_lib=$ort_dir/libonnxruntime.so.1
ort_stamp=$ort_dir/.$ort_package

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "setup: installing Debian packages needs root: run as root or install sudo" >&2
		exit 1
	fi
}

missing() {
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || printf '%s ' "$p"
	done
}

apt_install() {
	echo "setup: installing $*"
	as_root apt-get update -q
	# noninteractive travels through env because sudo drops the environment.
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

command -v apt-get >/dev/null || {
	echo "setup: this set-up knows Debian and its relatives only; elsewhere install the equivalents of: $packages, and put libonnxruntime.so.1 into $ort_dir" >&2
	exit 1
}

need=$(missing $packages "$@")
ort_missing() { [ ! -e "$ort_lib" ] || [ ! -e "$ort_stamp" ]; }
if ort_missing && ! command -v npm >/dev/null; then
	need="$need npm"
fi
[ -z "$need" ] || apt_install $need

if ort_missing; then
	case ${ORT_ARCH:-$(uname -m)} in
	x86_64) arch=x64 ;;
	aarch64 | arm64) arch=arm64 ;;
	*) echo "setup: ONNX Runtime is not packaged for ${ORT_ARCH:-$(uname -m)}" >&2; exit 1 ;;
	esac
	echo "setup: fetching $ort_package (113 MB)"
	mkdir -p "$ort_dir"
	tmp=$(mktemp -d "$ort_dir/.fetch.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 1' INT TERM
	tarball=$(cd "$tmp" && npm pack --loglevel error "$ort_package") || {
		echo "setup: could not fetch $ort_package: check the network; npm's message is above" >&2
		exit 1
	}
	echo "$ort_sha512  $tmp/$tarball" | sha512sum --check --quiet || {
		echo "setup: $ort_package is not the file that was reviewed: checksum differs; nothing was installed" >&2
		exit 1
	}
	tar -xzf "$tmp/$tarball" -C "$tmp" "package/bin/napi-v6/linux/$arch/libonnxruntime.so.1"
	mv "$tmp/package/bin/napi-v6/linux/$arch/libonnxruntime.so.1" "$ort_lib"
	touch "$ort_stamp"
fi

[ "$training" = no ] || packaging/build-torch-shim.sh
