#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# Each protocol's model (*.pml) is searched as a whole, and then once more for each bug that its first comment names
# ("MUTANT_X: words"): put back, it must be found.

top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/tests/model
cc=${CC:-gcc}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
. "$top/tests/harness/tap.sh"

command -v spin >/dev/null || tap_skip_all "no spin"

mutants_of() {
	sed -n 's|^ \* \(MUTANT_[A-Z_]*\): .*|\1|p' "$1"
}

words_of() {	# words_of FILE MUTANT
	sed -n "s|^ \* $2: \(.*[^.]\)\.*$|\1|p" "$1"
}

# search MODEL [MUTANT]: leaves what the verifier said in $tmp/said
search() {
	local dir=$tmp/${1##*/}.${2:-plain}
	mkdir "$dir" && cd "$dir" || return 1
	# -o3: no merging of steps into one.
	spin ${2:+-D$2} -o3 -a "$1" >said 2>&1 || { cat said; return 1; }
	$cc -O1 -w -DSAFETY -DNOFAIR -DMEMLIM=2048 -o pan pan.c || return 1
	timeout 60 ./pan -m1000000 >"$tmp/said" 2>&1
	cd "$top"
}

holds() {	# holds MODEL: every state was seen, none is wrong
	search "$1" || return 1
	if ! grep -q 'errors: 0' "$tmp/said" ||
	   grep -qE 'Search not completed|max search depth too small|out of memory|aborted' "$tmp/said"; then
		grep -vE '^$|unreached' "$tmp/said"
		return 1
	fi
	# What no execution reaches says nothing: but for the ends of those that go on for ever.
	if grep -E '^	.*, state [0-9]+, ' "$tmp/said" | grep -v '"-end-"' | grep .; then
		return 1
	fi
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$tmp/said")
}

is_found() {	# is_found MODEL MUTANT
	search "$1" "$2" || return 1
	grep -qE 'assertion violated|invalid end state' "$tmp/said" && return
	cat "$tmp/said"
	return 1
}

models=("$here"/*.pml)
count=${#models[@]}
for model in "${models[@]}"; do
	count=$((count + $(mutants_of "$model" | wc -l)))
done
tap_plan "$count"
for model in "${models[@]}"; do
	name=$(basename "$model" .pml)
	holds "$model" >"$tmp/why" 2>&1
	status=$?
	[ $status = 0 ] || states=
	tap_result $status "$name holds in all of its ${states:-} states" "$(cat "$tmp/why")"
	for mutant in $(mutants_of "$model"); do
		check "$name: found: $(words_of "$model" "$mutant")" is_found "$model" "$mutant"
	done
done
tap_end
