#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# tl-sched where it can do nothing, and what it says then; and a lock that asks for a scheduler that is not there.

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${O:-$top/build}
sched=$build/tools/tl-sched
scenes=$build/tests/sched/scenes
. "$top/tests/harness/tap.sh"

[ -x "$sched" ] || tap_skip_all "tl-sched was not built (BPF=no)"
tap_plan 17

# says STATUS LINE COMMAND...: that status, and a first line on stderr with these words
says() {
	local status=$1 words=$2 said got
	shift 2
	said=$("$@" 2>&1 >/dev/null)
	got=$?
	[ $got = "$status" ] && [[ ${said%%$'\n'*} == *"$words"* ]] && return
	echo "status $got: $said"
	return 1
}
one_line() {
	[ "$("$@" 2>&1 | wc -l)" = 1 ]
}

has_it() {
	[ -e /sys/kernel/sched_ext ]
}
none="this kernel has no sched_ext"
if has_it; then
	for name in "load" "load: in one line" "run"; do
		tap_skip "this kernel has sched_ext" "$name, where there is no sched_ext"
	done
elif [ "$(id -u)" != 0 ]; then
	tap_skip "only root may look" "load, where there is no sched_ext"
	tap_skip "only root may look" "load: in one line, where there is no sched_ext"
	check "run, where there is no sched_ext" says 125 "$none" "$sched" run -- true
else
	check "load, where there is no sched_ext" says 1 "$none" "$sched" load
	check "load: in one line, where there is no sched_ext" one_line "$sched" load -- true
	check "run, where there is no sched_ext" says 125 "$none" "$sched" run -- true
fi
check "no command was run for it" eval '[ -z "$("$sched" run -- echo ran 2>/dev/null)" ] || has_it'
check "mark, where nothing is loaded" eval 'has_it || says 1 "the scheduler is not loaded" "$sched" mark io $$'
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	check "without rights" says 1 "this needs root" setpriv --reuid 65534 --clear-groups -- "$sched" load
else
	tap_skip "needs root and setpriv" "without rights"
fi
check "no word" says 2 "what? load, run or mark" "$sched"
check "another word" says 2 "'stop' is not one of: load, run, mark" "$sched" stop
check "run what?" says 2 "run: what?" "$sched" run
check "mark whom?" eval 'says 2 "mark: io, cpu or none" "$sched" mark && says 2 "mark: io, cpu or none" "$sched" mark io &&
	says 2 "not one of: io, cpu, none" "$sched" mark gil 1'
check "times" eval 'says 2 "is no time" "$sched" load --slice 5parsecs && says 2 "is no time" "$sched" load --starve 3s &&
	says 2 "is no time" "$sched" load -d 0'
check "numbers" says 2 "is no process" "$sched" load -p 0
check "options where they mean nothing" says 2 "options are for load alone" "$sched" run -j -- true
check "--help and --version" eval '"$sched" --help | grep -q starve && "$sched" --version | grep -q libtasklet'

# Of a compiler, or a libbpf, that is too old. Nothing is made: make says what it would do.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
printf '#!/bin/sh\necho 13.0.1\n' >"$tmp/clang"
echo '#define LIBBPF_MAJOR_VERSION 0' >"$tmp/version.h"
chmod +x "$tmp/clang"
left_out() {	# left_out WORDS VARIABLE
	local said
	said=$(MAKELEVEL= MAKEFLAGS= make -C "$top" -n tools O="$tmp/build" INSTALL_PACKAGES=no "$2" 2>&1)
	[ "$(grep -c "^tl-sched is left out: $1" <<<"$said")" = 1 ] && grep -q tools/tl-trace <<<"$said" &&
		! grep -q tools/tl-sched <<<"$said"
}
check "an old clang: tl-sched is left out, in one line" left_out "clang 13 is too old" BPF_CLANG="$tmp/clang"
check "an old libbpf: the same" left_out "libbpf is too old" BPF_LIBBPF="$tmp/version.h"

# What a lock asks for that can't be had is no error.
policy=0
has_it && policy=7
check "sched=ext without a scheduler: threads are as any" \
	eval '[ "$(TL_GIL=handoff,sched=ext "$scenes" attached)" = "policy $policy 0" ]'
tap_end
