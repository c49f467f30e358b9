#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# A bug is put into a copy of one of the tracers' sources, and the scene that counts what it spoils must say something else
# than it does of the tracer as it is.

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${O:-$top/build}
trace=$build/tools/tl-trace
tmp=$(mktemp -d)
. "$top/tests/harness/tap.sh"
. "$top/tests/trace/scenes"
cd "$top" || exit 1

clean() {
	local pids
	pids=$(jobs -p)
	[ -z "$pids" ] || kill $pids 2>/dev/null
	rm -rf "$tmp"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

skip_all_without_tracer
readelf -n "$holds" | grep -q 'Provider: tasklet' || tap_skip_all "the library was built without probes"

# mutant SCENE SOURCE SED WORDS: the sed script (-z: the file is one line) must change the source.
mutants=()
mutant() {
	mutants+=("$1" "$2" "$3" "$4")
}
. tests/trace/mutants

# Of scenes of a kernel that keeps something back: where what it tells is taken, and a sed script that throws some away.
half='TL_FIELD(next, pid) != TL_FIELD(next, tgid) \&\& bpf_get_prandom_u32() % 2'
declare -A keeps_back=([unseen]="bpf/wakelat.bpf.c
s/if \\(!tl_is_traced\\(TL_FIELD\\(next, tgid\\)\\)\\)/if (!tl_is_traced(TL_FIELD(next, tgid)) || ($half))/")

# A tree and what was built of it, as far as it is needed.
copy_tree() {
	mkdir -p "$tmp/top/build/tools" "$tmp/top/tests" && cp -a Makefile bpf tools include lib "$tmp/top" &&
		cp -a --parents tests/*.mk tests/*/*.mk "$tmp/top" &&
		cp -a "$build/bpf" "$build/libtasklet.a" "$build/libdir.h" "$tmp/top/build" &&
		cp -a "$build"/tools/{trace,plot,output,text,tl-trace.*} "$tmp/top/build/tools"
}

# What the scene does not look at stays as it was built.
build_for() {	# build_for SCENE
	local object old=(-o build/libtasklet.a)
	for object in "$build"/bpf/*.bpf.o; do
		object=${object##*/}
		[[ $object == ${object_of[$1]}.bpf.o || $object == ${object_of[$1]}_usdt.bpf.o ]] || old+=(-o "build/bpf/$object")
	done
	make -s -C "$tmp/top" "${old[@]}" O=build INSTALL_PACKAGES=no build/tools/tl-trace
}

change() {	# change SOURCE SED
	cp "$tmp/top/$1" "$tmp/before" && sed -z -E -i "$2" "$tmp/top/$1" || return 1
	cmp -s "$tmp/before" "$tmp/top/$1" || return 0
	echo "the source has no such place any more: $2"
	return 1
}

tree_for() {	# tree_for SCENE
	local kept=${keeps_back[$1]}
	rm -rf "$tmp/top"
	copy_tree || return 1
	[ -z "$kept" ] || change "${kept%%$'\n'*}" "${kept#*$'\n'}"
}

find_mutant() {	# find_mutant SCENE SOURCE SED
	local said
	tree_for "$1" && change "$2" "$3" && build_for "$1" || return 1
	said=$(trace=$tmp/top/build/tools/tl-trace; $1)
	[ "$said" != "${right[$1]}" ] && return
	echo "it says the same: $said"
	return 1
}

sleeps_on_sem() { woken sem 20 semaphore; }
keeps() { kept 10; }
overtakes() { overtaken 3; }
unseen() { woken sem 20 semaphore | jq add; }
declare -A right object_of=([sleeps_on_sem]=wakelat [unseen]=wakelat [keeps]=gilhandoff [overtakes]=iopri)
says() {	# says SCENE WANTED
	local said
	said=$($1)
	echo "$said"
	[ "$said" = "$2" ]
}
truth() {	# truth SCENE WANTED
	local trace=$trace
	right[$1]=$2
	if [ "${keeps_back[$1]}" ]; then
		tree_for "$1" && build_for "$1" >/dev/null
		trace=$tmp/top/build/tools/tl-trace
	fi
	check "$1: as it is" thrice says "$1" "$2"
}

tap_plan $((${#object_of[@]} + ${#mutants[@]} / 4))
truth sleeps_on_sem "[20,0]"
truth unseen 20
truth keeps $'[2,12,0]\n[21,21,0]'
truth overtakes "[12,13,3]"
for ((i = 0; i < ${#mutants[@]}; i += 4)); do
	check "found: ${mutants[i + 3]}" find_mutant "${mutants[@]:i:3}"
done
tap_end
