#!/bin/sh
# Makes the Debian package for Debian 12 of the programs in build/, or of those in build/arm64/:
#
#	packaging/deb/build.sh amd64|arm64 VERSION
#
# VERSION is git's description of the tree; DEB_VERSION is used as it is instead. Run it through
# `make deb` or `make deb-arm64`, which compile the programs.
set -eu
cd "$(dirname "$0")/../.."

fail() {
	echo "deb: $*" >&2
	exit 1
}

host=$(dpkg --print-architecture)
arch=$1
programs=build
[ "$arch" = "$host" ] || programs=build/$arch
for file in robustnet-edge robustnet-quantize lib/libonnxruntime.so.1; do
	[ -e "$programs/$file" ] || fail "$programs/$file is not here: run make build, or make build-arm64 for arm64"
done

# v1.2.3-4-gabc becomes 1.2.3+4.gabc, a bare commit 0~ and its time, so that later is greater.
debian_version() {
	case $1 in
	v[0-9]*) echo "${1#v}" | sed 's/-/+/; s/-/./g' ;;
	*) echo "0~$(git log -1 --format=%cd --date=format:%Y%m%d%H%M%S 2>/dev/null || echo 0).$1" | tr - . ;;
	esac
}
version=${DEB_VERSION:-$(debian_version "$2")}

stage=build/deb/$arch
rm -rf "$stage"
mkdir -p "$stage/man1" "$stage/bash" "$stage/zsh" "$stage/fish" "$stage/doc/examples" "$stage/shlibs/debian" "$stage/bin"

# Tables for debuggers are most of a program; stack traces of Go do not need them.
strip="strip"
[ "$arch" = "$host" ] || strip=aarch64-linux-gnu-strip
for program in robustnet-edge robustnet-quantize; do
	$strip --strip-unneeded -o "$stage/bin/$program" "$programs/$program"
done

# shared_libraries PROGRAM… prints what the dynamic loader needs for them.
shared_libraries() {
	for file in "$@"; do
		objdump -p "$file" | sed -n 's/^ *NEEDED *//p'
	done | sort -u
}

# depends prints the packages that this machine's programs need, as Debian's own are found.
printf 'Source: robustnet-edge\n\nPackage: robustnet-edge\nArchitecture: any\n' >"$stage/shlibs/debian/control"
depends() {
	root=$PWD
	(cd "$stage/shlibs" && dpkg-shlibdeps -O "$root/build/robustnet-edge" "$root/build/robustnet-quantize" \
		"$root/build/lib/libonnxruntime.so.1" 2>"$root/$stage/shlibs/said") | sed -n 's/^shlibs:Depends=//p'
}

# depends_elsewhere leaves of this machine's packages those that the other architecture's programs
# need: dpkg-shlibdeps knows packages that are installed alone.
depends_elsewhere() {
	owners=""
	for name in $(shared_libraries "$programs/robustnet-edge" "$programs/robustnet-quantize" "$programs/lib/libonnxruntime.so.1"); do
		case $name in ld-linux-*) continue ;; esac # part of libc6
		owner=$(dpkg-query -S "*/$name" 2>/dev/null | sed -n "s/^\([^:,]*\):$host: .*/\1/p" | head -n 1)
		[ -n "$owner" ] || return 1
		owners="$owners $owner"
	done
	depends | tr , '\n' | sed 's/^ *//' | while read -r package rest; do
		case "$owners " in *" $package "*) echo "$package${rest:+ $rest}" ;; esac
	done | paste -sd, | sed 's/,/, /g'
}

if [ "$arch" = "$host" ]; then
	needs=$(depends)
else
	needs=$(depends_elsewhere)
fi
[ -n "$needs" ] || fail "the packages that the programs need were not found: run make setup, and see $stage/shlibs/said"

for program in robustnet-edge robustnet-quantize; do
	"build/$program" completion bash >"$stage/bash/$program"
	"build/$program" completion zsh >"$stage/zsh/_$program"
	"build/$program" completion fish >"$stage/fish/$program.fish"
	"build/$program" manual | gzip -9n >"$stage/man1/$program.1.gz"
done

# licences prints those of what the programs are made of: Go, and the modules that they name.
licences() {
	goroot=$(go env GOROOT)
	printf '==== Go %s\n\n' "$(go env GOVERSION)"
	cat "$goroot/LICENSE"
	for program in robustnet-edge robustnet-quantize; do
		go version -m "$programs/$program"
	done | awk '$1 == "dep" { print $2 }' | sort -u | xargs go list -m -f '{{.Path}} {{.Version}} {{.Dir}}' |
		while read -r module at dir; do
			printf '\n==== %s %s\n\n' "$module" "$at"
			found=$(find "$dir" -maxdepth 1 -type f \( -iname 'licen[sc]e*' -o -iname 'copying*' -o -iname 'notice*' \) | sort)
			[ -n "$found" ] || fail "$module $at has no licence in its folder, $dir"
			printf '%s\n' "$found" | while read -r file; do cat "$file"; done
		done
}
licences >"$stage/licences"
gzip -9n <"$stage/licences" >"$stage/doc/licences.gz"

cp packaging/deb/copyright "$stage/doc/copyright"
cp systemd/no-sandbox.conf "$stage/doc/examples/"
cp models/README.md "$stage/doc/default-model.md"
[ ! -e docs/install.md ] || cp docs/install.md "$stage/doc/"
gzip -9n <CHANGELOG.md >"$stage/doc/CHANGELOG.md.gz"
maintainer="The robustnet-edge authors <robustnet-edge@users.noreply.github.com>"
when=$(git log -1 --format=%cD 2>/dev/null || date -R)
printf 'robustnet-edge (%s) unstable; urgency=medium\n\n  * What is new is in CHANGELOG.md.gz.\n\n -- %s  %s\n' \
	"$version" "$maintainer" "$when" | gzip -9n >"$stage/doc/changelog.gz"

out=build/robustnet-edge_${version}_$arch.deb
export ARCH="$arch" VERSION="$version" DEPENDS="$needs" PROGRAMS="$programs" STAGE="$stage" MAINTAINER="$maintainer"
go build -C packaging/deb/pack -o ../../../build/deb/pack .
rm -f build/robustnet-edge_*_"$arch".deb
build/deb/pack packaging/deb/nfpm.yaml "$out"
echo "deb: $out, $(($(wc -c <"$out") / 1000000)) MB"
