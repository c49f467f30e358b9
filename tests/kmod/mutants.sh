#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The tests of the kernel module find bugs that are put into it (mutants). With a kernel
# for each it takes its time: where TL_VM_KERNELS is "all". TL_MUTANTS are the numbers of
# those that are tried, or "all".
#
# shellcheck disable=SC2317 # functions are called through check

# shellcheck source=tests/kmod/common
. "$(dirname "$0")/common"
kernel=6.12

mutants=()
mutant() {
	mutants+=("$1" "$2" "$3" "$4")
}
# shellcheck source=tests/kmod/mutants
. "$here/mutants"
count=$((${#mutants[@]} / 4))

[ "${TL_VM_KERNELS:-}" = all ] || [ "${TL_MUTANTS:-}" ] ||
	tap_skip_all "$count boots: with make check-vm, or TL_MUTANTS=all"
has_kernel || tap_skip_all "$(tail -n 1 "$tmp/err")"
wanted=${TL_MUTANTS:-all}
[ "$wanted" != all ] || wanted=$(seq "$count")

found() {	# found NUMBER TEST SOURCE SED
	local dir=$tmp/source.$1 name=$1 status
	mkdir "$dir"
	cp -r "$top/Kbuild" "$top/kmod" "$top/include" "$dir"
	sed -E -z -i "$4" "$dir/kmod/$3"
	! cmp -s "$dir/kmod/$3" "$top/kmod/$3" || { echo "the sources are not as they were"; return 1; }
	module=$("$vm/build-module" -s "$dir" "$kernel" "$tmp/built.$1" 2>"$tmp/err") || { cat "$tmp/err"; return 1; }
	run_guest "$name" "$checks" 60 "$2"
	status=$(cat "$tmp/$name.status")
	# It has begun, and failed in a way that is not the machine's.
	grep -qx "== $2" "$tmp/$name.said" || { tail -n 5 "$tmp/$name.said"; return 1; }
	[ "$status" != 124 ] && [ "$status" != 125 ] || return 0
	! grep -qE '^not ok|^== .* [1-9]' <<<"$(said "$name" "$2")" || return 0
	echo "$2 passes: status $status"
	return 1
}

# shellcheck disable=SC2086 # a list of numbers
set -- $wanted
tap_plan $#
for number; do
	i=$(((number - 1) * 4))
	check "found: ${mutants[i + 3]}" found "$number" "${mutants[@]:i:3}"
done
tap_end
