#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The library's own tests of threads and of the lock, in the virtual machine: with the
# module, which they use then, and with TL_HANDOFF=off. They take minutes there: where
# TL_VM_KERNELS is "all". Everywhere threads/by-device.sh and gil/by-device.sh do the same
# with a device in user space.
#
# shellcheck disable=SC2317 # functions are called through check

# shellcheck source=tests/kmod/common
. "$(dirname "$0")/common"
kernel=6.12

[ "${TL_VM_KERNELS:-}" = all ] || tap_skip_all "takes minutes: with make check-vm"
has_kernel || tap_skip_all "$(tail -n 1 "$tmp/err")"
module=$("$vm/build-module" "$kernel" "$tmp/built" 2>"$tmp/err") || tap_skip_all "$(tail -n 1 "$tmp/err")"

programs=()
for program in "$O"/tests/threads/* "$O"/tests/gil/*; do
	[ ! -f "$program" ] || [ ! -x "$program" ] || [[ $program = *.* ]] ||
		programs+=(-f "$program:tests/$(basename "$(dirname "$program")")-${program##*/}")
done

# suite on|off: all of them; how often threads were woken by the module is in its line
suite() {
	"$vm/run" -k "$kernel" -m 1500 -t 1500 -M "$module" -f "$O/tests/harness/run-tests" "${programs[@]}" \
		-- sh -c "export TL_HANDOFF=$1; echo 1 >/sys/module/tasklet_handoff/parameters/histogram
			run-tests -T 10 /t/tests/*; status=\$?
			awk '{ n += \$2 } END { print \"woken:\", n + 0 }' /sys/kernel/debug/tasklet/latency
			exit \$status" >"$tmp/$1" 2>&1
	status=$?
	grep -A 8 '^not ok' "$tmp/$1" | head -n 40
	tail -n 3 "$tmp/$1"
	[ $status = 0 ]
}

tap_plan 4
check "with the module: all pass" suite on
tap_like "$(grep woken: "$tmp/on")" 'woken: [1-9][0-9]{3}' "and threads were woken by it"
check "TL_HANDOFF=off: all pass" suite off
tap_is "$(grep woken: "$tmp/off")" "woken: 0" "and none was woken by it"
tap_end
