#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# What comes of a run in the virtual machine: its command's own status, and each way in
# which a guest can go wrong is told apart from the others and from that. TL_VM_KERNELS
# are the kernels, or "all".

# shellcheck source=tests/vm/common
. "$(dirname "$0")/common"
# shellcheck source=tests/harness/tap.sh
. "$top/tests/harness/tap.sh"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
kernels=${TL_VM_KERNELS:-6.12}
[ "$kernels" != all ] || kernels=$(kernel_names)

missing=$(missing_program)
[ -z "$missing" ] || tap_skip_all "no $missing"

# run NAME OPTION... -- COMMAND...: in the background, at most three at a time, one of
# which only waits for its end. What it says is in NAME.said, and its status in NAME.status.
running=0
run() {
	local name=$1
	shift
	[ $running -lt 3 ] || { wait -n; running=$((running - 1)); }
	running=$((running + 1))
	(
		"$vm/run" -k "$kernel" -c 1 "$@" >"$tmp/$name.said" 2>"$tmp/$name.err"
		echo $? >"$tmp/$name.status"
	) &
}

# verdict NAME STATUS PATTERN WORDS: how the run ended, and what is in its output
verdict() {
	local status said
	status=$(cat "$tmp/$1.status") said=$(cat "$tmp/$1.said" "$tmp/$1.err")
	[ "$status" = "$2" ] && grep -qE -- "$3" <<<"$said"
	tap_result $? "$kernel $4" "status $status, wanted $2 and '$3' in:
$said"
}

run_all() {
	local do='/sys/module/vmtest/parameters/do'
	run hang -t 40 -- sh -c 'echo before; sleep 1000'
	run words -o "$tmp/copy" -f "$tmp/words:here/words" -M "$module" -l "$tmp/log" -- sh -c "
		echo say >$do; cat here/words; [ \"\$1\" = 'a  b' ] && exit 4" sh 'a  b'
	run status -- sh -c 'exit 3'
	run killed -- sh -c 'kill -9 $$'
	run panic -- sh -c 'echo before; echo c >/proc/sysrq-trigger'
	run warn -M "$module" -- sh -c "echo warn >$do; echo after"
	run oops -M "$module" -- sh -c "echo oops >$do; echo after"
	run quiet -M "$module" -- sh -c "echo 1 >/proc/sys/kernel/printk; echo warn >$do"
	run pinned -M "$module" -- sh -c "echo pin >$do"
	run gone -- reboot -f
	run no-module -M "$tmp/words.ko" -- echo after
	wait
	running=0
	run no-file -f "$tmp/nowhere" -- true
	run no-program -- ./nowhere
	run no-kernel -k 0.0 -- true
	wait
	running=0
}

judge_all() {
	verdict words 4 "BUG: none of the kernel's" "a command ends as it does, with its own words"
	cmp -s "$tmp/words.said" "$tmp/words"
	tap_result $? "$kernel and they arrive as they are" "$(od -c "$tmp/words.said")"
	check "$kernel in the copy, too" cmp "$tmp/copy" "$tmp/words"
	check "$kernel the kernel's messages are apart" grep -q 'vmtest: said' "$tmp/log"
	verdict status 3 '^$' "a status is passed on"
	verdict killed 137 'Killed' "a command that is killed"
	verdict panic 125 '^# kernel: .*Kernel panic.*sysrq' "a panic"
	verdict warn 125 '^# kernel: .*WARNING: ' "a warning, although the command goes on"
	verdict oops 125 '^# kernel: .*(BUG|Oops): ' "an oops"
	verdict quiet 125 '^# vm: tainted' "a warning that was not seen"
	verdict hang 124 'timed out after 40 s, the command ran' "a command that does not end"
	verdict gone 126 'without a word' "a guest that is gone"
	verdict no-module 126 "can't load words.ko" "a module that is none"
	verdict pinned 126 "can't unload vmtest" "a module that can't be unloaded any more"
	verdict no-file 126 "can't make" "a file that is not there"
	verdict no-program 127 'not found' "a command that is not there"
	verdict no-kernel 4 '^1\.\.0 # SKIP' "a kernel that is not there is skipped"
}

# shellcheck disable=SC2086 # a list of names
set -- $kernels
tap_plan $(($# * 18 + 1))
printf 'tab\there\nBUG: none of the kernel'"'"'s\n\001\377\nno newline' >"$tmp/words"
cp "$tmp/words" "$tmp/words.ko"

for kernel in $kernels; do
	if ! "$vm/headers" "$kernel" >/dev/null 2>"$tmp/err"; then
		for _ in $(seq 18); do
			tap_skip "$(tail -n 1 "$tmp/err")" "$kernel"
		done
		continue
	fi
	module=$("$vm/build-module" -s "$vm/selftest" "$kernel" "$tmp/$kernel" 2>"$tmp/err")
	tap_result $? "$kernel the module is built" "$(tail "$tmp/err")"
	run_all
	judge_all
done
mkdir "$tmp/bin"
ln -s "$(command -v bash)" "$(command -v dirname)" "$(command -v sed)" "$(command -v paste)" "$tmp/bin"
said=$(PATH=$tmp/bin "$vm/run" -- true)
tap_is "$?: $said" "4: 1..0 # SKIP no qemu-system-x86_64" "without QEMU it is skipped"
tap_end
