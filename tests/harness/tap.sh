# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# tap.sh: what a test script says, in TAP 13. To be sourced by bash.
#
# Owns the plan and the count. A script says tap_plan N, or tap_skip_all REASON,
# then N results, and ends with tap_end; its exit status is then 0, 1, or 4 for
# skipped, and a count that is not the plan's is seen by the runner.

tap_count=0 tap_failed=0

tap_plan() {
	echo "TAP version 13"
	echo "1..$1"
}

tap_skip_all() {
	echo "TAP version 13"
	echo "1..0 # SKIP $1"
	exit 4
}

# tap_result STATUS NAME [WORDS]: ok if STATUS is 0; else WORDS say what was wrong
tap_result() {
	tap_count=$((tap_count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_count $2"
		return
	fi
	tap_failed=1
	echo "not ok $tap_count $2"
	[ -z "${3:-}" ] || printf '%s\n' "$3" | head -n 12 | sed 's/^/# /'
}

# tap_is GOT WANTED NAME
tap_is() {
	[ "$1" = "$2" ]
	tap_result $? "$3" "got '$1', wanted '$2'"
}

# tap_like GOT PATTERN NAME: GOT matches the extended regular expression
tap_like() {
	[[ $1 =~ $2 ]]
	tap_result $? "$3" "got '$1', wanted something like '$2'"
}

# tap_skip REASON NAME
tap_skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count $2 # SKIP $1"
}

# check NAME COMMAND...: ok if the command succeeds; else shows what it said
check() {
	local name=$1 said
	shift
	said=$("$@" 2>&1)
	tap_result $? "$name" "$said"
}

tap_end() {
	exit $tap_failed
}
