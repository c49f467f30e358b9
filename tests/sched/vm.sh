#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The scheduler in a kernel that has sched_ext: guest/policy, in a virtual machine.

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${O:-$top/build}
. "$top/tests/harness/tap.sh"

[ -x "$build/tools/tl-sched" ] || tap_skip_all "tl-sched was not built (BPF=no)"
run() {
	"$top/tests/vm/run" -k 7.x -t 400 -f "$build/tools/tl-sched" -f "$build/tests/sched/scenes" \
		-f "$top/tests/sched/guest/policy" -- /t/policy
}

# Two emulated processors do not always see it when the kernel changes its own code, as it does when a scheduler comes:
# then it meets a breakpoint that it has taken away by then. No fault of what is tested; again.
said=$(mktemp)
trap 'rm -f "$said"' EXIT
for ((i = 0; i < 4; i++)); do
	run >"$said" 2>&1
	status=$?
	[ $status = 125 ] && grep -q 'Oops: int3' "$said" || break
done
cat "$said"
exit $status
