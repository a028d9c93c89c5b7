#!/bin/sh
# Fetches Debian's kernel by package name into build/vm/kernel, without installing it: to
# install one would change how this machine boots. Does nothing where it is there.
set -eu
folder=build/vm/kernel
[ ! -e "$folder/.complete" ] || exit 0

current() { apt-cache depends --important linux-image-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }'; }
package=$(current)
update() { if [ "$(id -u)" = 0 ]; then apt-get update -q; else sudo apt-get update -q; fi; }
fetch() {
	echo "kernel: fetching $1 (about 70 MB)"
	(cd "$folder" && apt-get download -q -o APT::Sandbox::User=root "$1")
}
rm -rf "$folder"
mkdir -p "$folder"
# Lists that are missing, or older than the kernel that the archive has, are fetched anew.
if [ -z "$package" ] || ! fetch "$package"; then
	update
	package=$(current)
	[ -n "$package" ] || {
		echo "kernel: apt knows no linux-image-amd64 here: the virtual machines need Debian's package lists" >&2
		exit 1
	}
	fetch "$package"
fi
cd "$folder"
dpkg-deb -x "$package"_*.deb .
rm -f "$package"_*.deb
touch .complete
