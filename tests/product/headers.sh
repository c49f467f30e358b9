#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Each public header compiles alone, twice over, as pedantic C11 and as C++17;
# no header defines a macro without our prefix; and the symbol map lists exactly
# the functions that the headers declare, of which the library defines all.

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${O:-$top/build}
cc=${CC:-gcc} cxx=${CXX:-g++}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$top/tests/harness/tap.sh"

headers=$(cd "$top/include" && echo tasklet/*.h tasklet/uapi/*.h)
count=$(echo $headers | wc -w)
tap_plan "$((2 * count + 3))"

for header in $headers; do
	printf '#include <%s>\n#include <%s>\n' "$header" "$header" >"$tmp/h.c"
	cp "$tmp/h.c" "$tmp/h.cc"
	check "$header as C11" $cc -std=c11 -pedantic -Wall -Wextra -Werror \
		-I"$top/include" -fsyntax-only "$tmp/h.c"
	check "$header as C++17" $cxx -std=c++17 -pedantic -Wall -Wextra \
		-Werror -I"$top/include" -fsyntax-only "$tmp/h.cc"
done

only_our_macros() {
	! grep -hoE '^# *define +[A-Za-z_0-9]+' "$top"/include/tasklet/*.h "$top"/include/tasklet/uapi/*.h |
		awk '{print $NF}' | grep -vE '^(TL_|TASKLET_|TL__)'
}
check "no macro without the prefix" only_our_macros

declared() {
	cat "$top"/include/tasklet/*.h | tr '\n' ' ' |
		grep -oE 'TL_API [^;]*;' |
		grep -oE '\btl_[a-z0-9_]+ ?\(|\btl__[a-z0-9_]+\s*(;|__attr)' |
		sed -E 's/\s*([(;]|__attr).*//' | sort -u
}
mapped() {
	sed -n 's/^[[:space:]]*\(tl_[a-z0-9_]*\);.*/\1/p' "$top/lib/libtasklet.map" |
		sort -u
}
check "the symbol map lists what the headers declare" \
	diff <(declared) <(mapped)

exported() {
	nm -D --defined-only "$build/libtasklet.so" |
		awk '$2 != "A" {sub(/@.*/, "", $3); print $3}' | sort -u
}
check "the library exports exactly that" diff <(mapped) <(exported)
tap_end
