#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Every interleaving with up to three preemptions of the scenarios in this folder, on the library's own sources; then the
# same with a bug put into a copy of one source, which must be found. See explore.h.

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${O:-$top/build}
explore=${TL_EXPLORE:-$build/explore/explore}
cc=${CC:-gcc}
limit_s=120	# a scenario that takes longer is a failure, not a sample
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$top/tests/harness/tap.sh"
cd "$top" || exit 1

# What explore.mk gives, but for warnings: a mutant may leave something unused.
flags="-D_GNU_SOURCE -Iinclude -Ilib -Itests/explore -DTL_NO_URING -DTL__LOCK_SPINS=1 -DTL__WORD_SPINS=0 -std=gnu11 -w -O1
-fsanitize=address -include tests/explore/yield.h"

# mutant SCENARIO SOURCE SED WORDS: the sed script (-z: the file is one line) must change the source, and the scenario
# must then find a bug.
mutants=()
mutant() {
	mutants+=("$1" "$2" "$3" "$4")
}

. tests/explore/mutants

scenarios=$("$explore" -l) || tap_skip_all "no explorer was built"
set -- $scenarios
tap_plan $(($# + ${#mutants[@]} / 4))

for scenario in $scenarios; do
	said=$("$explore" -s $limit_s "$scenario" 2>&1)
	status=$?
	# "name: 1 2 3 4 interleavings with ...": all of it is the test's name.
	[ $status = 0 ] && name=$said || name=$scenario
	tap_result $status "$name" "$said"
done

find_mutant() {	# find_mutant SCENARIO SOURCE SED
	local object=$build/explore/${2%.c}.o said status
	mkdir -p "$tmp/$(dirname "$2")"
	sed -z -E "$3" "$2" >"$tmp/$2"
	if cmp -s "$2" "$tmp/$2"; then
		echo "the source has no such place any more: $3"
		return 1
	fi
	$cc $flags -c -o "$tmp/mutant.o" "$tmp/$2" || return 1
	$cc -fsanitize=address -o "$tmp/mutant" $(find "$build/explore" -name '*.o' ! -path "$object") "$tmp/mutant.o" \
		$(for s in lib/*/*.S; do echo "$build/${s%.S}.o"; done) -lpthread || return 1
	said=$(timeout -k 1 60 "$tmp/mutant" -s 50 "$1" 2>&1)
	status=$?
	[ $status = 1 ] && [[ $said == *"BUG $1:"* ]] && return
	echo "exit $status"
	echo "$said"
	return 1
}

for ((i = 0; i < ${#mutants[@]}; i += 4)); do
	check "found: ${mutants[i + 3]}" find_mutant "${mutants[@]:i:3}"
done
tap_end
