#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Each kernel of the virtual machine boots, has what our tests need of it, takes a
# module that was built here, and runs a program of ours. TL_VM_KERNELS are its names,
# or "all".
#
# shellcheck disable=SC2317 # functions are called through check

# shellcheck source=tests/vm/common
. "$(dirname "$0")/common"
# shellcheck source=tests/harness/tap.sh
. "$top/tests/harness/tap.sh"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
program=${O:?}/tests/vm/guest
kernels=${TL_VM_KERNELS:-6.12 7.x}
[ "$kernels" != all ] || kernels=$(kernel_names)

missing=$(missing_program)
[ -z "$missing" ] || tap_skip_all "no $missing"

names=("boots and is the kernel that was fetched" "has the processors asked for"
	"has the file systems and types that tracers need" "builds and loads a module"
	"has sched_ext where it should" "ends as the command does" "runs a program of ours")
# shellcheck disable=SC2086 # a list of names
set -- $kernels
tap_plan $(($# * ${#names[@]}))

skip_kernel() {	# skip_kernel KERNEL REASON
	local name
	for name in "${names[@]}"; do
		tap_skip "$2" "$1 $name"
	done
}

result() {	# result COMMAND...: the next of the kernel's
	check "$kernel ${names[i]}" "$@"
	i=$((i + 1))
}

said() {	# said LINE: the guest said just that
	grep -qxF -- "$1" "$tmp/said" || { echo "no line '$1' in:"; cat "$tmp/said"; return 1; }
}

said_nothing_like() {
	! grep -- "$1" "$tmp/said"
}

has_types() {
	said_nothing_like 'not mounted' && said /sys/kernel/btf/vmlinux
}

has_sched_ext() {
	case $kernel in
	6.*) said_nothing_like sched_ext ;;
	*) said /sys/kernel/sched_ext ;;
	esac
}

has_module() {
	[ -s "$tmp/module" ] && said /sys/module/vmtest
}

runs_program() {
	said "1..4" && said_nothing_like 'not ok' && said "ok 4 a pipe wakes it"
}

for kernel in $kernels; do
	i=0
	if ! dir=$("$vm/kernel" "$kernel" 2>"$tmp/err") || ! "$vm/headers" "$kernel" >"$tmp/kdir" 2>"$tmp/err"; then
		skip_kernel "$kernel" "$(tail -n 1 "$tmp/err")"
		continue
	fi
	"$vm/build-module" -s "$vm/selftest" "$kernel" "$tmp/$kernel" >"$tmp/module" 2>"$tmp/err" ||
		sed 's/^/# /' "$tmp/err"
	# shellcheck disable=SC2046 # no module, no option
	"$vm/run" -k "$kernel" -c 2 -t 90 $([ ! -s "$tmp/module" ] || echo -M "$(cat "$tmp/module")") \
		-f "$program" -f "$vm/selftest/look" -- sh -c 'look; guest && exit 33' >"$tmp/said" 2>&1
	status=$?
	result said "$(cat "$dir/release")"
	result said 2
	result has_types
	result has_module
	result has_sched_ext
	result test "$status" = 33
	result runs_program
done
tap_end
