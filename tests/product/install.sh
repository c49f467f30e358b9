#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# An installed copy works: `make install` into an empty root, then the README's
# program compiled through pkg-config, linked shared and static, and run;
# afterwards `make uninstall` leaves no file behind.

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${O:-$top/build}
cc=${CC:-gcc}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$top/tests/harness/tap.sh"

if ! command -v pkg-config >/dev/null; then
	tap_skip_all "no pkg-config"
fi
tap_plan "9"

root=$tmp/root
lib=/opt/tasklet/lib/here
make_into() {
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -C "$top" O="$build" \
		DESTDIR="$root" prefix=/opt/tasklet libdir=$lib "$1"
}
check "make install" make_into install

# The .pc file names the final place; PKG_CONFIG_SYSROOT_DIR moves it to ours.
export PKG_CONFIG_PATH=$root$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
sed -n '/^```c$/,/^```$/p' "$top/README.md" | sed '1d;$d' >"$tmp/squares.c"
check "pkg-config knows the version" pkg-config --exact-version="$(
	sed -n 's/^#define TL_VERSION_[A-Z]* //p' "$top/include/tasklet/base.h" |
	paste -sd.)" tasklet

printf '%s\n' 1 4 9 16 25 >"$tmp/want"
check "the README's program compiles, shared" $cc -Wall -Wextra -Werror \
	"$tmp/squares.c" $(pkg-config --cflags --libs tasklet) -o "$tmp/shared"
run_shared() {
	LD_LIBRARY_PATH=$root$lib "$tmp/shared" | diff "$tmp/want" -
}
check "... and runs" run_shared
uses_our_soname() {
	readelf -d "$tmp/shared" | grep -q 'NEEDED.*libtasklet\.so\.[0-9]'
}
check "... by its soname" uses_our_soname

check "the README's program compiles, static" $cc -Wall -Wextra -Werror \
	"$tmp/squares.c" $(pkg-config --cflags tasklet) \
	"$root$lib/libtasklet.a" $(pkg-config --libs-only-l --static tasklet |
	sed 's/-ltasklet//') -o "$tmp/static"
run_static() {
	"$tmp/static" | diff "$tmp/want" -
}
check "... and runs" run_static

check "make uninstall" make_into uninstall
nothing_left() {
	! find "$root" ! -type d | grep .
}
check "... leaves no file" nothing_left
tap_end
