#!/bin/sh
# Fetches Debian's kernel by package name into build/vm/kernel, without installing it: to
# install one would change how this machine boots. Does nothing where it is there.
set -eu
folder=build/vm/kernel
[ ! -e "$folder/.complete" ] || exit 0

current() { apt-cache depends --important linux-image-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }'; }
package=$(current)
[ -n "$package" ] || {
	if [ "$(id -u)" = 0 ]; then apt-get update -q; else sudo apt-get update -q; fi
	package=$(current)
}
[ -n "$package" ] || {
	echo "kernel: apt knows no linux-image-amd64 here: the virtual machines need Debian's package lists" >&2
	exit 1
}
echo "kernel: fetching $package (about 70 MB)"
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
apt-get download -q -o APT::Sandbox::User=root "$package"
dpkg-deb -x "$package"_*.deb .
rm -f "$package"_*.deb
touch .complete
