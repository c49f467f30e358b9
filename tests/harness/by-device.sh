# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# by-device.sh: runs test programs once more, with threads that sleep in the kernel
# module's device, which is one in user space here (fake-device.c). To be sourced by bash.
#
# shellcheck shell=bash

# shellcheck source=tests/harness/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

# by_device CALLS PROGRAM: passes or skips, and the device has had such calls, and
# refused none
by_device() {
	local said status
	said=$(LD_PRELOAD=$O/tests/harness/fake-device.so "$O/tests/$2" 2>&1)
	status=$?
	if { [ $status = 0 ] || [ $status = 4 ]; } && grep -qE " [1-9][0-9]* $1" <<<"$said" &&
	   ! grep '^fake device' <<<"$said" | grep -qv ' 0 refused'; then
		return 0
	fi
	grep -A 3 '^not ok' <<<"$said"
	tail -n 5 <<<"$said"
	return 1
}

# all_by_device CALLS PROGRAM...: the whole script
all_by_device() {
	local calls=$1 program
	shift
	tap_plan $#
	for program; do
		check "$program: $calls" by_device "$calls" "$program"
	done
	tap_end
}
