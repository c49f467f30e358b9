# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# by-device.sh: runs test programs once more, with threads that sleep in the kernel
# module's device, which is one in user space here (fake-device.c). To be sourced by bash.
#
# shellcheck shell=bash

# shellcheck source=tests/harness/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

# by_device PROGRAM: passes or skips, and the device has refused nothing
by_device() {
	local said status
	said=$(LD_PRELOAD=$O/tests/harness/fake-device.so "$O/tests/$1" 2>&1)
	status=$?
	grep '^fake device' <<<"$said" >>"$tmp"
	if { [ $status = 0 ] || [ $status = 4 ]; } && ! grep '^fake device' <<<"$said" | grep -qv ' 0 refused'; then
		return 0
	fi
	grep -A 3 '^not ok' <<<"$said"
	tail -n 5 <<<"$said"
	return 1
}

# all_by_device CALLS PROGRAM...: the whole script; there have been such calls
all_by_device() {
	local calls=$1 program
	shift
	tmp=$(mktemp)
	tap_plan $(($# + 1))
	for program; do
		check "$program" by_device "$program"
	done
	tap_like "$(cat "$tmp")" " [1-9][0-9]* $calls" "$calls by the device"
	rm -f "$tmp"
	tap_end
}
