#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# tl-hist: what goes in comes out, merged; bad input is refused as a whole.

top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/harness/tap.sh"
hist=${O:-$top/build}/tools/tl-hist
export LC_ALL=C

[ -x "$hist" ] || tap_skip_all "no $hist: make tools"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

tap_plan 20

printf '10\n20 3\n\n 1000 1\n' | "$hist" -v us -t >"$tmp/a"
tap_is $? 0 "values become a histogram"
tap_is "$("$hist" -j -n x "$tmp/a")" \
	'{"name":"x","unit":"us","count":5,"min_us":10,"p50_us":20,"p90_us":1000,"p99_us":1000,"p999_us":1000,"max_us":1000,"mean_us":214.000}' \
	"... that can be read again, as JSON"
tap_like "$("$hist" -j "$tmp/a" "$tmp/a")" '"name":".*/a",.*"count":10,.*"mean_us":214.000' \
	"two files are merged"
cat "$tmp/a" "$tmp/a" >"$tmp/both"
tap_is "$("$hist" -t "$tmp/both")" "$("$hist" -t "$tmp/a" "$tmp/a")" \
	"... as are two in one file"
tap_is "$("$hist" -t - <"$tmp/a")" "$(cat "$tmp/a")" "standard input"
tap_like "$("$hist" --rows 4 --columns 60 "$tmp/a")" 'range \(us\).*#.*p50 20us' \
	"bars"
tap_is "$("$hist" --columns 60 "$tmp/a" | awk 'length > 60' | wc -l)" 0 \
	"... no wider than asked for"
tap_like "$("$hist" -v ns -j </dev/null)" '"count":0,' "nothing is a histogram too"

# refused WHAT STATUS ARGS...: with bad input on standard input
refused() {
	local what=$1 want=$2

	shift 2
	"$hist" "$@" >"$tmp/out" 2>"$tmp/err"
	tap_is "$? $(wc -c <"$tmp/out") $(($(wc -c <"$tmp/err") > 0))" "$want 0 1" \
		"$what"
}

refused "a value that is none" 1 -v us <<<'10 x'
refused "three numbers in a line" 1 -v us <<<'1 2 3'
refused "a saved one, cut short" 1 < <(head -n 5 "$tmp/a")
refused "another unit" 1 "$tmp/a" - < <("$hist" -v ms -t <<<1)
refused "no such file" 1 "$tmp/nothing"
refused "a bad unit" 2 -v 'm s' </dev/null
refused "too narrow" 2 --columns 10 "$tmp/a"
refused "an unknown option" 2 --frobnicate
for form in -j -t --rows=4; do
	"$hist" $form "$tmp/a" >/dev/full 2>"$tmp/err"
	tap_like "$? $(cat "$tmp/err")" '^1 tl-hist: output: No space' "a disk that is full: $form"
done
tap_like "$("$hist" --version)" '^tl-hist .*[0-9]\.[0-9]' --version
tap_end
