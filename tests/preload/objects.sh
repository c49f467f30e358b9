#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# pthread's objects, with each thing that they can be made of: a conformance program,
# which has to pass with the C library's own too, and programs that know nothing of us.

top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/harness/tap.sh"
build=${O:-$top/build}
run=$build/tools/tl-run
dir=$build/tests/preload
export LC_ALL=C
unset LD_PRELOAD TL_PRELOAD_COND TL_PRELOAD_GIL TL_PRELOAD_CPU_FLOOR TL_PRELOAD_STATS

[ -x "$run" ] || tap_skip_all "no $run: make tools"
[ -x "$dir/conform" ] || tap_skip_all "no $dir/conform"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

conform_tests=38 programs=8
tap_plan $((3 * (conform_tests + 1) + 2 * programs + 14))

# --- conformance -------------------------------------------------------------------------

conform() {	# conform KIND
	local line

	timeout 300 "$run" --cond "$1" -- "$dir/conform" "$1" >"$tmp/out" 2>&1
	while read -r line; do
		case $line in
		"ok "*) tap_result 0 "$1: ${line#ok }" ;;
		"not ok "*) tap_result 1 "$1: ${line#not ok }" "$(cat "$tmp/out")" ;;
		esac
	done <"$tmp/out"
	if [ -x "$dir/cxx" ]; then
		check "$1: what C++ makes of them" \
			timeout 60 "$run" --cond "$1" -- "$dir/cxx" "$1"
	else
		tap_skip "no C++ compiler" "$1: what C++ makes of them"
	fi
}
for kind in pthread futex emulated; do
	conform $kind
done

# --- programs that know nothing of it ---------------------------------------------------

program() {	# program NAME COMMAND [ARGS...]: if there is such a command
	local name=$1

	shift
	if command -v "$1" >/dev/null; then
		check "$kind: $name" timeout 120 "$run" --cond $kind -- "$@"
	else
		tap_skip "no $1" "$kind: $name"
	fi
}

seq 200000 | shuf --random-source=<(yes) >"$tmp/numbers"
sort -n "$tmp/numbers" >"$tmp/sorted"
for i in 1 2 3 4 5 6; do cat "$tmp/numbers"; done >"$tmp/large"

sort_it() {
	"$run" --cond $kind -- sort -n --parallel=4 -S 2M "$tmp/numbers" |
		cmp - "$tmp/sorted"
}
xz_it() {
	"$run" --cond $kind -- xz -T2 --block-size=500000 -1c "$tmp/large" >"$tmp/xz" &&
	"$run" --cond $kind -- xz -T2 -dc "$tmp/xz" | cmp - "$tmp/large"
}
for kind in futex emulated; do
	check "$kind: sort --parallel" sort_it
	if command -v xz >/dev/null; then
		check "$kind: xz -T2" xz_it
	else
		tap_skip "no xz" "$kind: xz -T2"
	fi
	for stressor in pthread mutex sem futex; do
		program "stress-ng --$stressor" stress-ng --$stressor 2 \
			--timeout 1 --temp-path "$tmp"
	done
	program "python's threads and queues" /usr/bin/python3 \
		"$top/tests/preload/programs/threads.py"
	program "... with processes" /usr/bin/python3 \
		"$top/tests/preload/programs/processes.py"
done

# --- what the environment says -----------------------------------------------------------

said() { env LD_PRELOAD="$build/libtasklet-preload.so" "$@" /bin/true 2>&1; }
tap_is "$(said TL_PRELOAD_COND=)" "" "without settings the library is silent"
tap_like "$(said TL_PRELOAD_COND=fast)" \
	"TL_PRELOAD_COND='fast' is not one of: futex, emulated, pthread" \
	"a setting that isn't understood is named, with those that are"
tap_like "$(said TL_PRELOAD_CPU_FLOOR=99)" "CPU_FLOOR='99' is not one of: 0 to 90" \
	"... a number too"
tap_like "$(said TL_PRELOAD_STATS=1)" '^\{"preload":[0-9]+,.*\}$' "statistics at the end"
# --- the checked build ------------------------------------------------------------------

dead() {	# dead KIND WHAT
	env LD_PRELOAD="$build/preload-checked/libtasklet-preload.so" TL_PRELOAD_COND=$1 \
		"$dir/dead" "$2" 2>&1
}
for kind in futex emulated; do
	for what in mutex condition semaphore; do
		tap_like "$(dead $kind $what)" \
			"^libtasklet-preload: a $what is used that was destroyed: 0x.*dead.*end\$" \
			"$kind: a $what that was destroyed is told of"
	done
done
tap_is "$(dead futex none)" end "... and nothing else is"
tap_is "$(dead pthread condition)" end "the C library's conditions are not looked at"
conform_checked() {
	local out

	out=$(env LD_PRELOAD="$build/preload-checked/libtasklet-preload.so" TL_PRELOAD_COND=futex \
		"$dir/conform" futex 2>&1 | grep -v '^ok')
	[ -z "$out" ] || { echo "$out"; return 1; }
}
check "conformance has nothing to tell of" conform_checked

exported() {
	! nm -D --defined-only "$build/libtasklet-preload.so" | awk '{print $3}' |
		grep -vE '^(pthread|sem|mtx|cnd)_[a-z]+(_[a-z]+)?$'
}
check "the library defines nothing else, and no versions" exported
tap_end
