#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# gdb sees tasklets: a backtrace inside one shows the calls down to its entry and ends there, and one that is parked can
# be unwound from the stack pointer that it has saved, as the layout in lib/core/switch.h says. Each switch being exact
# in its CFI, the same works at each instruction of the switch itself.

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../harness/tap.sh"

prog=${O:?}/tests/core/unwind
command -v gdb >/dev/null || tap_skip_all "no gdb"
[ -x "$prog" ] || tap_skip_all "tests/core/unwind was not built"
case $(uname -m)$(file -b -L "$prog" 2>/dev/null) in
x86_64*aarch64* | aarch64*x86-64*) tap_skip_all "built for another processor" ;;
x86_64*)
	# The words that a switch pushes, lowest first, and the return address above them.
	registers="r15 r14 r13 r12 rbx rbp"
	resume='set $saved = *(unsigned long *)parked_task'
	i=0
	for r in $registers; do
		resume="$resume
set \$$r = *(unsigned long *)(\$saved + $((8 * i)))"
		i=$((i + 1))
	done
	resume="$resume
set \$pc = *(unsigned long *)(\$saved + 48)
set \$sp = \$saved + 56" ;;
aarch64*)
	resume='set $saved = *(unsigned long *)parked_task'
	for i in 0 1 2 3 4 5 6 7 8 9 10; do
		resume="$resume
set \$x$((19 + i)) = *(unsigned long *)(\$saved + $((8 * i)))"
	done
	resume="$resume
set \$pc = *(unsigned long *)(\$saved + 88)
set \$sp = \$saved + 160" ;;
*) tap_skip_all "the layout for $(uname -m) is not known here" ;;
esac

# Sanitizers mind being traced for leaks.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

script=$(mktemp)
trap 'rm -f "$script"' EXIT

run_gdb() {	# commands on stdin
	cat >"$script"
	timeout 120 gdb -nx -batch -ex 'set width 0' -ex 'set confirm off' -ex 'set debuginfod enabled off' \
		-x "$script" --args "$prog" stop 2>&1
}

# The names of a backtrace's functions, in one line.
functions() {
	sed -n 's/^#[0-9]* *\(0x[0-9a-f]* in \)\{0,1\}\([A-Za-z_][A-Za-z_0-9]*\) .*/\2/p' | tr '\n' ' '
}

out=$(run_gdb <<'END'
break stop_here
run
echo == stopped\n
backtrace
END
)
if ! grep -q '^== stopped' <<<"$out" || ! grep -q 'hit Breakpoint\|Breakpoint 1, ' <<<"$out"; then
	tap_skip_all "gdb can't run a program here: $(tail -n 1 <<<"$out")"
fi

tap_plan 6
names=$(sed '1,/^== stopped/d' <<<"$out" | functions)
tap_is "$names" "stop_here stop_last stop_three stop_two stop_one fn_stopped tl__task_main tl__switch_entry " \
	"a backtrace in a tasklet shows its calls and ends at its entry"
tap_is "$(grep -c 'corrupt stack\|previous frame' <<<"$out")" 0 "without a word about a corrupt stack"

out=$(run_gdb <<END
break stop_here
run
$resume
echo == parked\n
backtrace
END
)
names=$(sed '1,/^== parked/d' <<<"$out" | functions)
# Whatever the library was in the middle of comes first; it may be nothing, for calls of the library end in jumps.
tap_like "$names" "^(tl_[a-z_]* )*park_last park_three park_two park_one fn_parked tl__task_main tl__switch_entry \$" \
	"a parked tasklet's stack is unwound from its saved stack pointer"
own=$(run_gdb <<END
break stop_here
run
$resume
frame function park_two
print n
END
)
tap_like "$own" "\\\$[0-9]+ = 21" "and the variables in its frames are there"

# Step through a whole switch: at each instruction the unwinder finds the caller.
out=$(run_gdb <<'END'
break tl__switch
run
set $i = 0
while $i < 16
  stepi
  printf "pc %p\n", $pc
  backtrace 3
  set $i = $i + 1
end
END
)
steps=$(grep -c '^pc ' <<<"$out")
inside=$(grep -c '^#0 .*tl__switch ' <<<"$out")
lost=$(grep -c '^#1 .*?? ()\|Cannot access memory\|corrupt stack' <<<"$out")
tap_result "$([ "$steps" = 16 ] && [ "$inside" -ge 8 ]; echo $?)" "a switch can be stepped through" "$steps steps, $inside inside"
tap_is "$lost" 0 "and unwound at each instruction"
tap_end
