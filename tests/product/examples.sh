#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Each program in examples/ compiles as its reader would compile it, ends by
# itself with exit code 0, and those that do IO do so with both backends.

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${O:-$top/build}
examples=${TL_EXAMPLES:-$top/examples}
cc=${CC:-gcc}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$top/tests/harness/tap.sh"

programs=$(cd "$examples" && ls *.c)
does_io() {
	grep -qE '\btl_(open|read|recv|listener_new|offload|poll)[a-z_]*\(' \
		"$examples/$1"
}
count=0
for program in $programs; do
	count=$((count + 2))
	does_io "$program" && count=$((count + 1))
done

run() {	# run PROGRAM [epoll]: it has 20 seconds, and says what it did
	local status
	env ${2:+TL_IO=$2} timeout -k 1 20 "$tmp/${1%.c}" >"$tmp/out"
	status=$?
	cat "$tmp/out"
	[ $status = 0 ] || { echo "exit $status"; return 1; }
	[ -s "$tmp/out" ] || { echo "no output"; return 1; }
}

tap_plan "$count"
unset TL_IO
for program in $programs; do
	check "$program compiles" $cc -Wall -Wextra -Werror -I"$top/include" \
		-o "$tmp/${program%.c}" "$examples/$program" \
		"$build/libtasklet.a" -luring -lpthread -lm
	check "$program runs" run "$program"
	does_io "$program" &&
		check "$program runs with TL_IO=epoll" run "$program" epoll
done
tap_end
