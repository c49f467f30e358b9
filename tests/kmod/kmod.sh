#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The kernel module: built for a kernel of Debian without a warning, loaded in the virtual
# machine, and tested there by the programs of programs/ and the scripts of guest/.
# TL_VM_KERNELS are the kernels, or "all". The second run of each kernel has its memory
# checked (red zones, poison, KFENCE) and may be preempted everywhere.
#
# shellcheck disable=SC2317 # functions are called through check

# shellcheck source=tests/kmod/common
. "$(dirname "$0")/common"
kernels=${TL_VM_KERNELS:-6.12}
[ "$kernels" != all ] || kernels=$(kernel_names)

tests=(calls signals storm fuzz placement leaks latency unload)
checked_tests=(calls signals storm fuzz)

# shellcheck disable=SC2086 # a list of names
set -- $kernels
tap_plan $(($# * (1 + ${#tests[@]} + 1 + ${#checked_tests[@]} + 1)))

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
	if ! has_kernel; then
		skip_kernel "$(tail -n 1 "$tmp/err")"
		continue
	fi
	module=$("$vm/build-module" "$kernel" "$tmp/$kernel" 2>"$tmp/err")
	check "$kernel builds without a warning" builds
	run_guest plain '' 250 "${tests[@]}"
	results plain '' "${tests[@]}"
	run_guest checked "$checks" 250 "${checked_tests[@]}"
	results checked 'checked: ' "${checked_tests[@]}"
done
tap_end
