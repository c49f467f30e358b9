#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# tl-giltest: what can be chosen, what it prints, how it ends; and that policies do
# what they are named after, by counts that slowness can't turn around.

top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/harness/tap.sh"
tool=${O:-$top/build}/tools/tl-giltest
export LC_ALL=C

[ -x "$tool" ] || tap_skip_all "no $tool: make tools"
tmp=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT

# Skipped with its reason where the program that checks isn't there.
needs() {	# needs PROGRAM NAME
	command -v "$1" >/dev/null && return
	tap_skip "no $1" "$2"
	return 1
}

# run ARGS...: sets $status; what it says is in $tmp/out and $tmp/err
run() {
	timeout 60 "$tool" "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
}

# --- usage --------------------------------------------------------------------------

# refused NAME WORDS ARGS...: a usage error that says so, and nothing on stdout
refused() {
	local name=$1 words=$2

	shift 2
	run "$@"
	tap_like "$status $(wc -c <"$tmp/out") $(cat "$tmp/err")" \
		"^2 0 .*$words" "$name"
}

test_usage() {
	local arg

	tap_like "$("$tool" --version)" '^tl-giltest .*[0-9]\.[0-9]' --version
	tap_like "$("$tool" --help)" 'columns' --help
	refused "an unknown policy" \
		"'fair' is none; there are .*handoff.* and " -p handoff,fair
	refused "an unknown lock" "'spin' is none; there are .*futex.* and " -l spin
	refused "an unknown column" \
		"'latency' is none; there are e, pairs, cond, echo and paced" \
		-c latency
	refused "an empty list" "'' is none" -p ''
	refused "a comma too many" "'' is none" -c e,
	refused "an unknown setting" bogus -p handoff --settings bogus=1
	refused "one of several" bogus -p handoff --settings= --settings bogus=1
	refused "too many of them" 'more than 16 times' $(printf ' --settings=%.0s' {1..17})
	refused "a picture of several" 'of one --settings, not of 2' --settings= --settings=ticks=5 --svg=x.svg
	for arg in '-d 0' '-d 1x' '-d 2h' '-d' '-r 0' '-r 1.5' '-r 1001' \
		'--pins 0' '--pins 1,x' '--think 2s' '--think x' '--rate 0' '--rate 1000001' \
		'--frobnicate' 'more'; do
		refused "usage: $arg" . $arg
	done
}

test_failures() {
	local arg

	run -q --pins 1024
	tap_like "$status $(wc -c <"$tmp/out") $(cat "$tmp/err")" \
		'^1 0 tl-giltest: pins: there (is|are) [0-9]+ processor' \
		"more processors than there are"
	run -q --svg "$tmp/nowhere/x.svg"
	tap_like "$status $(wc -c <"$tmp/out") $(cat "$tmp/err")" \
		'^1 0 .*No such file' "a picture that can't be written, at once"
	for arg in --json --rounds=1; do
		timeout 60 "$tool" -q -p ticks -l futex -c e --pins 1 $arg \
			>/dev/full 2>"$tmp/err"
		tap_like "$? $(cat "$tmp/err")" '^1 .*output: No space left' \
			"a disk that is full, with $arg"
	done
	echo old >"$tmp/x.svg"
	PATH=$tmp run_quick --svg "$tmp/x.svg"
	tap_like "$status $(cat "$tmp/out" "$tmp/err" "$tmp/x.svg")" '^1 .*needs gnuplot.*old$' \
		"no gnuplot: said before anything is measured, and the old picture stays"
	if needs gnuplot "a disk that is full for the picture"; then
		run_quick --svg /dev/full
		tap_like "$status $(cat "$tmp/err")" '^1 .*/dev/full: No space' \
			"a disk that is full for the picture"
	fi
}

# With a limit of so many KiB of memory, in steps.
test_memory() {
	local kib bad= failed=0

	for ((kib = 8000; kib < 60000; kib += 4000)); do
		(
			ulimit -v $kib
			timeout -s KILL 20 "$tool" -q -p handoff -l futex \
				--pins 1 >/dev/null 2>"$tmp/err"
		) 2>/dev/null
		case $?:$(tail -n 1 "$tmp/err") in
		0:) ;;
		1:tl-giltest:*) failed=$((failed + 1)) ;;
		*) bad+="$kib KiB: $(cat "$tmp/err"); " ;;
		esac
	done
	[ -z "$bad" ] && [ $failed -gt 0 ]
	tap_result $? "without memory it says so and ends" \
		"failed $failed times; $bad"
}

# With a path on which there is nothing.
run_quick() {
	"$tool" -q -p ticks -l futex -c e --pins 1 "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
}

# --- output -------------------------------------------------------------------------

test_tables() {
	local time

	# Where others have all the processors a figure may have to be left out.
	for time in 10ms 40ms 160ms; do
		run -r 1 -d $time --pins 1
		grep -q -- ' - ' "$tmp/out" || break
	done
	tap_is "$status $(cat "$tmp/err")" '0 ' "all policies on all locks"
	tap_is "$(awk 'length > 80' "$tmp/out")" '' "... in 80 columns"
	tap_is "$(grep -cE '^(handoff|priority|interval|ticks) ' "$tmp/out")" 48 \
		"... 16 of them, in 3 tables"
	tap_is "$(grep -E '^(handoff|priority|interval|ticks) ' "$tmp/out" |
		grep -c -- ' - ')" 0 "... and each figure is there"
	run -q --pins 1 -c e -p ticks -l futex
	tap_is "$(grep -c ' -  *-  *-' "$tmp/out") $(grep -c Latency "$tmp/out")" '1 0' \
		"what was not asked for is not there"
	run -q --pins 1 -c e -p ticks,handoff -l futex --settings=ticks=7 --settings=
	tap_is "$(sed -n '/^with/p; s/ *futex .*//p' "$tmp/out" | tr '\n' ' ')" \
		'with ticks=7: handoff ticks with nothing else: handoff ticks ' \
		"several settings are told apart"
}

keys='["bytecode_ns","cell_ns","cond","cond_cpu1","cond_cpu2","cond_cpu_share",'
keys+='"cpu_share","cpu_threads","e","echo_lost","echo_max_ns","echo_p50_ns",'
keys+='"echo_p99_ns","echo_per_s","gil","lock","others_share","paced_cpu_share","paced_lost",'
keys+='"paced_max_ns","paced_p50_ns","paced_p99_ns","paced_per_s","pairs",'
keys+='"pairs_cpu1","pairs_cpu2","pairs_cpu_share","pin","policy","rate",'
keys+='"rounds","spec","stolen_share","think_ns"]'

test_json() {
	local name="lines of JSON" time all

	needs jq "$name" || {
		tap_skip "no jq" "... with all keys"
		tap_skip "no jq" "... in which nothing is missing"
		tap_skip "no jq" "... for each of several settings"
		tap_skip "no jq" "... or null, where it was not measured"
		return
	}
	run -q -j -p handoff,ticks -l futex,pthread --pins 1 -r 2
	tap_is "$status $(jq -r '[.policy, .lock, .pin] | join(":")' "$tmp/out" |
		sort | tr '\n' ' ')" \
		'0 handoff:futex:1 handoff:pthread:1 ticks:futex:1 ticks:pthread:1 ' \
		"$name"
	tap_is "$(jq -c keys "$tmp/out" | sort -u)" "$keys" "... with all keys"
	# Alone there is no share; nor any e or count with no thread at all.
	for time in 10ms 40ms 160ms 640ms; do
		run -d $time -r 1 -j -p ticks -l futex --pins 1
		all=$(jq -c '[.e, .pairs, .pairs_cpu2, .cond_cpu1, .echo_p50_ns[],
			.echo_p99_ns[2], .echo_max_ns[0], .paced_p50_ns[],
			.cpu_share[1], .cpu_share[2], .pairs_cpu_share[1],
			.gil.echo.io_waits[2], .gil.cpu.forced[2]] |
			all(. != null and . >= 0)' "$tmp/out")
		[ "$all" != true ] || break
	done
	tap_is "$all" true "... in which nothing is missing"
	run -q -j -p handoff,ticks -l futex --pins 1 -c e --settings= --settings=ticks=7,slice=1ms
	tap_is "$status $(jq -r .spec "$tmp/out" | tr '\n' ' ')" \
		'0 handoff:futex ticks:futex handoff:futex,ticks=7,slice=1ms ticks:futex,ticks=7,slice=1ms ' \
		"... for each of several settings"
	run -q -j -p ticks -l futex --pins 1 -c e
	tap_is "$(jq -c '[.pairs, .echo_p50_ns, .gil.pairs.forced]' \
		"$tmp/out")" '[null,[null,null,null],[null,null,null]]' \
		"... or null, where it was not measured"
}

test_svg() {
	local name="a picture" said

	needs gnuplot "$name" && needs xmllint "$name" || {
		tap_skip "see above" "... with a mark for each"
		tap_skip "see above" "... also if there is nothing to be seen"
		return
	}
	run -q -p handoff,ticks -l futex --pins 1 --svg "$tmp/a'b c.svg"
	said=$(xmllint --noout "$tmp/a'b c.svg" 2>&1)
	tap_is "$status $(cat "$tmp/err")$said" '0 ' "$name"
	tap_is "$(grep -c -e '>handoff<' -e '>ticks<' -e '>futex<' \
		"$tmp/a'b c.svg")" 3 "... with a mark for each"
	run -q -p ticks -l futex --pins 1 -c e,echo --svg "$tmp/b.svg"
	said=$(xmllint --noout "$tmp/b.svg" 2>&1)
	tap_is "$status$said" 0 "... also of one column"
}

# --- ends ---------------------------------------------------------------------------

# begin ARGS...: in the background, and waits until it measures
begin() {
	"$tool" "$@" >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	client=
	for ((i = 0; i < 200 && ! ${#client}; i++)); do
		client=$(pgrep -P "$pid")
		sleep 0.02
	done
}

# The client has ended, whether or not somebody has asked for its status.
children_gone() {
	local i

	for ((i = 0; i < 100; i++)); do
		grep -q '^State:.[^Z]' "/proc/$client/status" 2>/dev/null ||
			return 0
		sleep 0.02
	done
	return 1
}

test_ends() {
	local signal column

	for signal in INT TERM; do
		begin -d 300 -c echo -p handoff,ticks -l futex -j
		sleep 0.3
		kill -"$signal" "$pid"
		wait "$pid"
		tap_is "$? $(grep -c '^{.*}$' "$tmp/out") $(cat "$tmp/err")" \
			"1 $((processors > 1 ? 4 : 2)) tl-giltest: interrupted after 0 of $((processors > 1 ? 48 : 24)) measurements" \
			"SIG$signal in the middle: what there is is printed"
	done
	for column in pairs cond paced; do
		begin -d 1ms -r 1000 -c "$column" -p handoff -l futex
		sleep 0.3
		kill -INT "$pid"
		wait "$pid"
		tap_like "$? $(cat "$tmp/err")" \
			'^1 tl-giltest: interrupted after [1-9][0-9]* of' \
			"$column: many short ones, cut off"
		children_gone
		tap_result $? "... and the client is gone"
	done
	for column in echo pairs; do
		begin -d 300 -c $column -p handoff -l futex
		kill -9 "$client"
		wait "$pid"
		tap_like "$? $(cat "$tmp/err")" \
			'^1 .*client of the echo: Broken pipe' \
			"$column: a client that dies is an error"
	done
	begin -d 300 -c echo -p handoff -l futex
	kill -9 "$pid"
	wait "$pid" 2>/dev/null
	children_gone
	tap_result $? "a client whose server dies ends"
	pid=
}

test_progress() {
	local name="progress on a terminal"

	needs script "$name" || return
	script -qec "$tool -q -p ticks -l futex -c e --pins 1" /dev/null \
		>"$tmp/out" 2>&1 </dev/null
	tap_like "$(tr -d '\r' <"$tmp/out")" \
		'1/2, 0:0[0-9] left: ticks:futex on 1, CPU threads alone, 2 CPU.*On 1 processor' \
		"$name"
}

# --- what the policies are ------------------------------------------------------------

# of KEY: from the last run's JSON
of() { jq -r "$1" "$tmp/out"; }

# In a time T, a policy that lets a waiter ask after 5 ms can't be made to let go
# more often than T / 5 ms; each thread that comes in or ends may add one. Slowness
# makes it less. handoff has no such bound: it is made to for each request.
test_convoy() {
	local name="interval lets go every 5 ms at most" forced most tries

	needs jq "$name" || {
		tap_skip "no jq" "... handoff for each request"
		tap_skip "no jq" "ticks lets go all the time, though nobody waits"
		return
	}
	run -j -d 400ms -r 1 -p interval -l futex -c paced --pins 1
	forced=$(of '.gil.paced.forced[1]')
	# 40 ms more to warm up; all threads together have that bound.
	most=$((440 / 5 + 4))
	[ "$status" = 0 ] && [ "$forced" -ge 1 ] && [ "$forced" -le $most ]
	tap_result $? "$name" "forced $forced times, at most $most expected"
	for ((tries = 0; tries < 5; tries++)); do
		run -j -d 400ms -r 1 -p handoff -l futex -c paced --pins 1
		forced=$(of '.gil.paced.forced[1]')
		[ "$forced" -le $((2 * most)) ] || break
	done
	[ "$forced" -gt $((2 * most)) ]
	tap_result $? "... handoff for each request" \
		"forced $forced times in 440 requests"
	run -j -d 100ms -r 1 -p ticks -l futex -c e --pins 1
	# Some thousand, of which a slow machine makes a few hundred.
	forced=$(of '.gil.cpu.forced[1]')
	[ "$forced" -gt $most ]
	tap_result $? "ticks lets go all the time, though nobody waits" \
		"forced $forced times"
}

processors=$(nproc)
tap_plan 62
test_usage
test_failures
if grep -q -e __asan_init -e __tsan_init "$tool"; then
	tap_skip "a sanitizer takes terabytes" "without memory it says so and ends"
else
	test_memory
fi
test_tables
test_json
test_svg
test_ends
test_progress
test_convoy
tap_end
