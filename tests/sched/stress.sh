#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The scheduler comes and goes 50 times under stress-ng: guest/stress, in a virtual machine with Linux 7.x. That takes
# long, and so it is for `make check-vm`. On one processor, where the emulator makes no mistakes about code that changes
# (vm.sh).

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${O:-$top/build}
. "$top/tests/harness/tap.sh"

[ -x "$build/tools/tl-sched" ] || tap_skip_all "tl-sched was not built (BPF=no)"
stress=$(command -v stress-ng) || tap_skip_all "there is no stress-ng"
[ "${TL_VM_KERNELS:-}" = all ] || tap_skip_all "only in make check-vm: it takes long"
exec "$top/tests/vm/run" -k 7.x -c 1 -t 2400 -f "$build/tools/tl-sched" -f "$build/tests/sched/loads" -f "$stress" \
	-f "$top/tests/sched/guest/stress" -- /t/stress 50
