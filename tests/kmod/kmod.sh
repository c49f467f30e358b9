#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The kernel module: built for a kernel of Debian without a warning, loaded in the virtual
# machine, and tested there by the programs of programs/ and the scripts of guest/.
# TL_VM_KERNELS are the kernels, or "all". The second run of each kernel has its memory
# checked (red zones, poison, KFENCE) and may be preempted everywhere.
#
# shellcheck disable=SC2317 # functions are called through check

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/vm/common
. "$here/../vm/common"
# shellcheck source=tests/harness/tap.sh
. "$top/tests/harness/tap.sh"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
kernels=${TL_VM_KERNELS:-6.12}
[ "$kernels" != all ] || kernels=$(kernel_names)

missing=$(missing_program)
[ -z "$missing" ] || tap_skip_all "no $missing"

tests=(calls signals storm fuzz placement latency unload)
checked_tests=(calls signals storm fuzz)
checks='slub_debug=FZPU kfence.sample_interval=5 preempt=full'

# shellcheck disable=SC2086 # a list of names
set -- $kernels
tap_plan $(($# * (1 + ${#tests[@]} + 1 + ${#checked_tests[@]} + 1)))

files=()
for file in "$O"/tests/kmod/* "$O/tools/tl-hist" "$here"/guest/*; do
	[ ! -x "$file" ] || files+=(-f "$file")
done

# run_guest NAME ARGUMENTS TESTS...: what they say is in NAME.said
run_guest() {
	local name=$1 arguments=$2
	shift 2
	"$vm/run" -k "$kernel" -t 250 -a "$arguments" "${files[@]}" -f "$module" \
		-- "$here/guest/main" "$@" >"$tmp/$name.said" 2>&1
	echo $? >"$tmp/$name.status"
}

# said NAME TEST: its part of what was said; the last line is its status
said() {
	sed -n "/^== $2\$/,/^== $2 [0-9]/p" "$tmp/$1.said"
}

passed() {	# passed NAME TEST
	local said planned
	said=$(said "$1" "$2")
	planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' <<<"$said")
	if [ "$(tail -n 1 <<<"$said")" = "== $2 0" ] && [ "$(grep -c '^ok' <<<"$said")" = "${planned:-0}" ] &&
	   [ "${planned:-0}" -gt 0 ]; then
		return 0
	fi
	grep -A 3 -E '^not ok|^== ' <<<"$said"
	tail -n 5 "$tmp/$1.said"
	return 1
}

whole() {	# whole NAME: the run ended well, and the kernel had nothing to say
	[ "$(cat "$tmp/$1.status")" = 0 ] || { tail -n 12 "$tmp/$1.said"; return 1; }
}

results() {	# results NAME WORDS TESTS...
	local name=$1 words=$2 t
	shift 2
	for t; do
		check "$kernel $words$t" passed "$name" "$t"
	done
	check "$kernel ${words}the kernel is content" whole "$name"
}

skip_kernel() {	# skip_kernel REASON
	local t
	for t in builds "${tests[@]}" "the kernel is content" "${checked_tests[@]/#/checked: }" \
		"checked: the kernel is content"; do
		tap_skip "$1" "$kernel $t"
	done
}

builds() {
	[ "$module" ] || { cat "$tmp/err"; return 1; }
	# pahole is of the host, and the kernel's was another.
	! grep -i warning "$tmp/$kernel/build.log" | grep -v pahole
}

for kernel in $kernels; do
	if ! "$vm/kernel" "$kernel" >"$tmp/kernel" 2>"$tmp/err" || ! "$vm/headers" "$kernel" >"$tmp/kdir" 2>"$tmp/err"; then
		skip_kernel "$(tail -n 1 "$tmp/err")"
		continue
	fi
	module=$("$vm/build-module" "$kernel" "$tmp/$kernel" 2>"$tmp/err")
	check "$kernel builds without a warning" builds
	run_guest plain '' "${tests[@]}"
	results plain '' "${tests[@]}"
	run_guest checked "$checks" "${checked_tests[@]}"
	results checked 'checked: ' "${checked_tests[@]}"
done
tap_end
