#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# tl-run becomes the program, with the library and its settings; and says why it can't
# help where it can't.

top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/harness/tap.sh"
build=${O:-$top/build}
run=$build/tools/tl-run
export LC_ALL=C
unset LD_PRELOAD TL_PRELOAD_COND TL_PRELOAD_GIL TL_PRELOAD_CPU_FLOOR TL_PRELOAD_STATS

[ -x "$run" ] || tap_skip_all "no $run: make tools"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"

tap_plan 43

# --- the program gets what it should ----------------------------------------------------

settings() { "$run" "$@" -- /usr/bin/env | grep -E '^(LD_PRELOAD|TL_PRELOAD_)' |
	sed "s|$build/||" | sort | tr '\n' ' '; }

tap_is "$(settings)" \
	"LD_PRELOAD=libtasklet-preload.so TL_PRELOAD_COND=futex TL_PRELOAD_GIL=off " \
	"by default: conditions of futexes"
tap_is "$(settings --gil priority)" \
	"LD_PRELOAD=libtasklet-preload.so TL_PRELOAD_COND=pthread TL_PRELOAD_GIL=priority " \
	"with --gil alone nothing else is replaced"
tap_is "$(settings --gil=priority --cond=emulated --cpu-floor=5 --stats 2>/dev/null)" \
	"LD_PRELOAD=libtasklet-preload.so TL_PRELOAD_COND=emulated TL_PRELOAD_CPU_FLOOR=5 TL_PRELOAD_GIL=priority TL_PRELOAD_STATS=1 " \
	"all settings"
libm=$(ldconfig -p 2>/dev/null | sed -n 's/.*libm\.so\.6.*=> //p' | head -n 1)
tap_is "$(LD_PRELOAD=$libm settings --gil priority)" \
	"LD_PRELOAD=$libm:libtasklet-preload.so TL_PRELOAD_COND=pthread TL_PRELOAD_GIL=priority " \
	"what is in LD_PRELOAD stays, in front"
tap_is "$(TL_PRELOAD_COND=emulated settings --cond futex)" \
	"LD_PRELOAD=libtasklet-preload.so TL_PRELOAD_COND=futex TL_PRELOAD_GIL=off " \
	"the command line comes before the environment"
tap_is "$("$run" "$run" --gil priority -- /usr/bin/env | grep -c '^LD_PRELOAD=.*preload.so.*preload.so')" 0 \
	"one inside the other loads the library once"
"$run" -- sh -c 'exit 37'
tap_is $? 37 "the exit status is the program's"
tap_is "$("$run" -- echo --stats -x 'a  b')" '--stats -x a  b' \
	"what follows the program is the program's"
tap_is "$("$run" echo --cond)" '--cond' "... without -- as well"
printf '#!/bin/sh\necho "$1 ${LD_PRELOAD##*/}"\n' >"$tmp/script"
chmod +x "$tmp/script"
tap_is "$("$run" "$tmp/script" x)" "x libtasklet-preload.so" "a script"
tap_is "$(cd "$tmp" && PATH=/nowhere:$tmp:$PATH "$run" script y)" \
	"y libtasklet-preload.so" "... that is in PATH"

# --- it says why not -------------------------------------------------------------------

# refused WHAT STATUS PATTERN ARGS...
refused() {
	local what=$1 want=$2 pattern=$3

	shift 3
	"$run" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	tap_is "$? $(wc -c <"$tmp/out")" "$want 0" "$what"
	tap_like "$(cat "$tmp/err")" "$pattern" "... and says so"
}

refused "no program" 2 'which program'
refused "an unknown kind of conditions" 2 "'foo' is not one of: futex, emulated, pthread" \
	--cond foo true
refused "an unknown policy" 2 "'best' is not one of: priority, off" --gil best true
refused "a floor that is no number" 2 "'3x'" --gil priority --cpu-floor 3x true
refused "a floor that is too high" 2 "0 to 90" --gil priority --cpu-floor 91 true
refused "a floor without a policy" 2 "gil priority" --cpu-floor 20 true
refused "a program that isn't there" 127 'no such program' -- no-such-program-at-all
refused "... by its path" 127 'no such program' -- "$tmp/nothing"
echo data >"$tmp/data"
refused "one that may not be executed" 126 'ermission denied' -- "$tmp/data"
chmod +x "$tmp/data"
refused "one that is no program" 126 'neither an ELF program nor a script' -- "$tmp/data"
refused "a directory" 126 'directory' -- "$tmp"
printf '#!%s/nothing\n' "$tmp" >"$tmp/data"
refused "a script without its interpreter" 126 'the interpreter of' -- "$tmp/data"

echo 'int main(void) { return 0; }' >"$tmp/main.c"
if ${CC:-cc} -static -o "$tmp/static" "$tmp/main.c" 2>/dev/null; then
	refused "a static program" 126 'linked statically' -- "$tmp/static"
	printf '#!%s\n' "$tmp/static" >"$tmp/data"
	refused "a script for a static program" 126 'linked statically' -- "$tmp/data"
else
	for what in 1 2 3 4; do tap_skip "no static C library" "a static program"; done
fi

cp /bin/true "$tmp/setuid"
if [ "$(id -u)" = 0 ] && chown 65534 "$tmp/setuid" && chmod 4755 "$tmp/setuid"; then
	refused "a set-user-ID program" 126 'set-user-ID' -- "$tmp/setuid"
else
	tap_skip "needs root" "a set-user-ID program"
	tap_skip "needs root" "... and says so"
fi

# The machine's number in the ELF header, changed; at offset 18.
cp /bin/true "$tmp/foreign"
printf '\x15\x00' | dd of="$tmp/foreign" bs=1 seek=18 conv=notrunc 2>/dev/null
refused "a program of another architecture" 126 'another architecture' -- "$tmp/foreign"
tap_end
