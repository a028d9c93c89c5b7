#!/bin/sh
# Runs a command, such as go build, so that it compiles for arm64 and Debian 12:
#
#	packaging/arm64.sh go build -o build/arm64/ ./cmd/...
#
# First it makes what is missing: the cross compiler (a Debian package of this machine),
# build/arm64/sysroot (arm64 packages, unpacked there and nowhere else) and
# build/arm64/lib/libonnxruntime.so.1. Packages come from where this machine's apt has them, or
# from DEBIAN_MIRROR. Where everything is there, it starts the command at once. To take newer packages, remove build/arm64.
set -eu
cd "$(dirname "$0")/.."
root=$PWD

triplet=aarch64-linux-gnu
out=build/arm64
sysroot=$out/sysroot

[ "$(uname -m)" != aarch64 ] || {
	echo "arm64: this machine is arm64 itself: make build compiles for it" >&2
	exit 1
}
ORT_ARCH=arm64 ORT_DIR=$out/lib packaging/setup.sh g++-$triplet

# The modules that gocv compiles against are listed once, for both architectures. libc's and
# libstdc++'s headers come with the cross compiler, of the same release.
packages="libx264-dev"
for module in $(sed -n 's/^Libs: //p' packaging/pkgconfig/opencv4.pc | tr ' ' '\n' | sed -n 's/^-lopencv_//p'); do
	packages="$packages libopencv-$module-dev"
done

# mirror RELEASE is where this machine's apt has a release of Debian.
mirror() {
	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Release: $1" 'Component: main' | head -n 1)
	[ -n "$uri" ] || {
		echo "arm64: this machine's apt does not have Debian's $1: set DEBIAN_MIRROR to the address of a mirror" >&2
		exit 1
	}
	echo "$uri"
}

# Where arm64 were added to this machine's dpkg, its -dev packages would replace those of this
# machine's architecture. So apt is given a root of its own, in which nothing is installed; of
# this machine's settings it takes how files are fetched, which is where proxies are named.
make_sysroot() {
	tmp=$(mktemp -d "$out/.sysroot.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 1' INT TERM
	mkdir -p "$tmp/apt/lists/partial" "$tmp/apt/cache/archives/partial" "$tmp/sysroot"
	: >"$tmp/apt/status"
	keys=/usr/share/keyrings/debian-archive-keyring.gpg
	main=${DEBIAN_MIRROR:-$(mirror bookworm)}
	security=${DEBIAN_MIRROR:+$DEBIAN_MIRROR-security}
	security=${security:-$(mirror bookworm-security)}
	cat >"$tmp/apt/sources.list" <<-END
		deb [signed-by=$keys] $main bookworm main
		deb [signed-by=$keys] $security bookworm-security main
	END
	{
		apt-config dump | grep '^Acquire::' | grep -v '^Acquire::IndexTargets' || true
		cat <<-END
			Dir::Etc::parts "/dev/null";
			Dir::Etc::main "/dev/null";
			Dir::Etc::preferences "/dev/null";
			Dir::Etc::preferencesparts "/dev/null";
			Dir::Etc::sourceparts "/dev/null";
			Dir::Etc::sourcelist "$root/$tmp/apt/sources.list";
			Dir::State "$root/$tmp/apt";
			Dir::State::status "$root/$tmp/apt/status";
			Dir::Cache "$root/$tmp/apt/cache";
			APT::Architecture "arm64";
			APT::Architectures { "arm64"; };
			APT::Install-Recommends "false";
			APT::Sandbox::User "root";
			APT::Update::Error-Mode "any";
			Acquire::Languages "none";
		END
	} >"$tmp/apt/apt.conf"

	echo "arm64: fetching the packages of $sysroot (190 MB)"
	APT_CONFIG=$tmp/apt/apt.conf apt-get update -qq
	APT_CONFIG=$tmp/apt/apt.conf apt-get install -y -qq --download-only $packages >/dev/null

	echo "arm64: unpacking them"
	for deb in "$tmp"/apt/cache/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tmp/sysroot" --no-same-owner --no-same-permissions \
			--exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale
	done
	# An absolute link would lead out of the sysroot, to this machine's own files.
	find "$tmp/sysroot" -type l -lname '/*' | while read -r link; do
		ln -sfnr "$tmp/sysroot$(readlink "$link")" "$link"
	done
	# These two links are made when the packages are installed, which nothing here is.
	for library in blas/libblas.so.3 lapack/liblapack.so.3; do
		ln -sf "$library" "$tmp/sysroot/usr/lib/$triplet/"
	done
	rm -rf "$sysroot"
	mv "$tmp/sysroot" "$sysroot"
	echo "$packages" >"$out/.sysroot"
	rm -rf "$tmp"
	trap - EXIT INT TERM
}

mkdir -p "$out"
[ -d "$sysroot" ] && [ "$(cat "$out/.sysroot" 2>/dev/null)" = "$packages" ] || make_sysroot

# pkg-config looks into the sysroot and packaging/pkgconfig, not at this machine's packages.
# x264 is linked statically: its SONAME changes with every release of Ubuntu and of JetPack.
mkdir -p "$out/pkgconfig"
cat >"$out/pkgconfig/x264.pc" <<'END'
prefix=/usr
Name: x264
Description: the H.264 encoder, to be linked statically
Version: 0.164
Libs: -l:libx264.a -lpthread -lm -ldl
Cflags: -I${prefix}/include
END
libraries=$root/$sysroot/usr/lib/$triplet
# So is libjpeg, which is .so.62 on Debian and .so.8 on Ubuntu. Its functions stay inside the
# programs: OpenCV's own libjpeg may be of the other interface, which has the same names.
rm -f "$libraries/libjpeg.so"
export GOOS=linux GOARCH=arm64 CGO_ENABLED=1
export CC="$triplet-gcc --sysroot=$root/$sysroot" CXX="$triplet-g++ --sysroot=$root/$sysroot"
export PKG_CONFIG_SYSROOT_DIR="$root/$sysroot"
export PKG_CONFIG_LIBDIR="$root/$out/pkgconfig:$root/packaging/pkgconfig:$libraries/pkgconfig"
export PKG_CONFIG_PATH=
unset CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH LIBRARY_PATH
# The linker follows the libraries of libraries to check them; PulseAudio has a folder of its own.
export CGO_LDFLAGS="-O2 -g -Wl,-rpath-link,$libraries -Wl,-rpath-link,$libraries/pulseaudio -Wl,--exclude-libs,libjpeg.a"
exec "$@"
