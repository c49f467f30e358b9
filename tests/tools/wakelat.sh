#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# tl-wakelat: each option, what it refuses, what it writes, and how it ends. What it
# measures is not judged here: only that all of it is there and nothing got lost.

top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/harness/tap.sh"
wakelat=${O:-$top/build}/tools/tl-wakelat
export LC_ALL=C

[ -x "$wakelat" ] || tap_skip_all "no $wakelat: make tools"
command -v python3 >/dev/null || tap_skip_all "no python3 to check JSON and XML with"
tmp=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
cpus=$(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0)))')
set -- $cpus
first_cpu=$1 second_cpu=${2:-}
quick='-d 1ms -r 1'

tap_plan 101

# --- words -----------------------------------------------------------------------------

tap_like "$("$wakelat" --version)" '^tl-wakelat .*[0-9]\.[0-9]' --version
tap_like "$("$wakelat" --help)" '--primitives=LIST' --help
names='futex sem pthread pthread-after cond cond-after emulated emulated-after
birrell eventfd pipe channel channel-local'
names=$(echo $names)
tap_is "$("$wakelat" --list | sed -n '/^Prim/,/^Works/s/^  \([^ ]*\) .*/\1/p' | xargs)" \
	"$names" "--list has the primitives"

# refused STATUS WHAT ARGS...: nothing on standard output, something on the other
refused() {
	local want=$1 what=$2

	shift 2
	timeout 60 "$wakelat" "$@" >"$tmp/out" 2>"$tmp/err"
	tap_is "$? $(wc -c <"$tmp/out") $(($(wc -c <"$tmp/err") > 0))" "$want 0 1" \
		"$what"
}

refused 2 "an unknown option" --frobnicate
refused 2 "an unknown primitive" -p futex,cand
tap_like "$(tr -s ' \n' ' ' <"$tmp/err")" "no 'cand'; there are: ${names// /, }, or all" \
	"... lists the ones that there are"
refused 2 "an unknown work" -w pong
tap_like "$(cat "$tmp/err")" 'pingpong, queue1, queue64, or all' "... likewise"
refused 2 "an unknown pin" -c 3
tap_like "$(cat "$tmp/err")" "no '3'; there are: 1, 2, or all" "... likewise"
refused 2 "an unknown burner" -b third
tap_like "$(cat "$tmp/err")" 'none, first, second, or all' "... likewise"
refused 2 "an empty list" -p ''
refused 2 "a list with an end that is missing" -p futex,
for bad in 0 x 1e3 -1 1.5.5 0.0001 3601 '1 s' 99999999999999999999; do
	refused 2 "-d '$bad'" -d "$bad"
done
for bad in 0 x 1.5 10001 99999999999999999999; do
	refused 2 "-r '$bad'" -r "$bad"
done
refused 2 "a file, without --merge" some-file
refused 2 "--merge without a file" --merge
refused 2 "--diff with one file" --diff a
refused 2 "--diff and --merge" --diff --merge a b
refused 2 "--merge and a duration" --merge -d 1 a
refused 2 "--diff that saves" --diff --save=x a b

# --- what is measured --------------------------------------------------------------------

# check_json FILE ROWS: valid lines, so many, with all keys; nothing lost
cat >"$tmp/check.py" <<'END'
import json, sys
keys = ("primitive work pin burner count lost backwards min_ns p50_ns p90_ns p99_ns "
        "p999_ns max_ns mean_ns p50_there_ns p50_back_ns p50_half_trip_ns rounds "
        "elapsed_ns values_per_s burner_cpu_share ratio_p50 ratio_time").split()
rows = [json.loads(line) for line in open(sys.argv[1])]
assert len(rows) == int(sys.argv[2]), "%d rows" % len(rows)
seen = set()
for r in rows:
    for k in keys:
        assert k in r, "no " + k
    assert r["count"] > 0 and r["lost"] == 0, r
    assert 0 <= r["min_ns"] <= r["p50_ns"] <= r["p90_ns"], r
    assert r["p90_ns"] <= r["p99_ns"] <= r["p999_ns"] <= r["max_ns"], r
    assert r["p50_ns"] > 0 and r["elapsed_ns"] > 0 and r["values_per_s"] > 0, r
    assert (r["burner_cpu_share"] is None) == (r["burner"] == "none"), r
    assert (r["p50_back_ns"] is None) == (r["work"] != "pingpong"), r
    assert (r["p50_half_trip_ns"] is None) == (r["work"] != "pingpong"), r
    assert r["primitive"] != "futex" or r["ratio_p50"] == r["ratio_time"] == 1, r
    seen.add((r["primitive"], r["work"], r["pin"], r["burner"]))
assert len(seen) == len(rows), "a row comes twice"
END
check_json() { python3 "$tmp/check.py" "$@"; }

if [ -n "$second_cpu" ]; then
	"$wakelat" $quick -j >"$tmp/all" 2>"$tmp/err"
	tap_is "$? $(cat "$tmp/err")" '0 ' "all of it, and no word beside"
	check "... is 75 good lines of JSON" check_json "$tmp/all" 75
	"$wakelat" $quick -j -b first,second -p futex,cond,channel >"$tmp/burner" 2>"$tmp/err"
	tap_is "$? $(cat "$tmp/err")" '0 ' "beside burners"
	check "... is 36 good lines of JSON" check_json "$tmp/burner" 36
else
	for i in 1 2 3 4; do
		tap_skip "one processor only" "two processors"
	done
fi

"$wakelat" -d 2ms -r 3 -p futex,cond,channel-local -c 1 -w pingpong,queue64 \
	--save="$tmp/a" >"$tmp/table" 2>"$tmp/err"
tap_is "$? $(cat "$tmp/err")" '0 ' "a table"
tap_like "$(cat "$tmp/table")" $'\nping-pong, one processor, no burner\nprimitive .*p99.9.*\nfutex .*\ncond .*\nchannel-local .*\n\nfutex +\\|#' \
	"... has heads, rows and bars"
tap_like "$(head -n 2 "$tmp/table" | tr '\n' ' ')" "pinned.*cpu $first_cpu.*3 rounds of 2.00ms.*clock [0-9]+ns" \
	"... and says how it was measured"
tap_is "$(awk 'length > 80' "$tmp/table" | wc -l)" 0 "... in 80 columns"
tap_is "$(grep -c '^futex .* 1.00 1.00$' "$tmp/table")" 2 "... with ratios to futex"

# --- saved results ------------------------------------------------------------------------

"$wakelat" --merge "$tmp/a" >"$tmp/table2"
check "--merge of one shows what was measured" diff "$tmp/table" "$tmp/table2"
"$wakelat" --merge "$tmp/a" "$tmp/a" -j --save="$tmp/twice" >"$tmp/json"
check "--merge of two is good JSON" check_json "$tmp/json" 6
sum='sum(json.loads(l)["rounds"] for l in sys.stdin)'
tap_is "$(python3 -c "import json, sys; print($sum)" <"$tmp/json")" 36 \
	"... with the rounds of both"
tap_is "$("$wakelat" --merge "$tmp/twice" -j)" "$(cat "$tmp/json")" "... and can be saved"
tap_is "$("$wakelat" --merge "$tmp/a" -j -p cond -w queue64 | wc -l)" 1 \
	"--merge of a part"
refused 1 "--merge of a part that is not there" --merge -p pipe "$tmp/a"
"$wakelat" --diff "$tmp/twice" "$tmp/twice" -j >"$tmp/diff"
tap_is "$? $(grep -c '"ratio":1.0000,.*"verdict":"can'"'"'t tell"}$' "$tmp/diff")" '0 6' \
	"--diff of equals"
python3 -c 'import json, sys; [json.loads(l) for l in sys.stdin]' <"$tmp/diff"
tap_result $? "... is good JSON"
tap_like "$("$wakelat" --diff "$tmp/a" "$tmp/a")" "cond .* 1.000 +1.000 xf .*too few rounds" \
	"--diff of too few rounds"
tap_is "$("$wakelat" --diff "$tmp/a" "$tmp/twice" | awk 'length > 80' | wc -l)" 0 \
	"... in 80 columns"
refused 1 "--diff of what has nothing in common" --diff "$tmp/a" "$tmp/a" -p pipe

rubbish() {
	refused 1 "--merge of $1" --merge "$tmp/a" "$2"
	refused 1 "--diff of $1" --diff "$tmp/a" "$2"
}
: >"$tmp/empty"
head -c 3000 /dev/urandom >"$tmp/random"
head -n -1 "$tmp/a" >"$tmp/short"
sed '/wakelat round/s/[0-9]$/x/' "$tmp/a" >"$tmp/altered"
rubbish "an empty file" "$tmp/empty"
rubbish "random bytes" "$tmp/random"
rubbish "a file that lacks its last line" "$tmp/short"
rubbish "a file with letters for numbers" "$tmp/altered"
rubbish "a directory" "$tmp"
rubbish "no file" "$tmp/nothing"

# --- the picture ----------------------------------------------------------------------------

cat >"$tmp/svg.py" <<'END'
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
assert root.tag.endswith("}svg"), root.tag
text = "\n".join("".join(t.itertext()).strip() for t in root.iter() if t.tag.endswith("}text"))
for word in sys.argv[2:]:
    assert word in text, "no word '%s' in: %s" % (word, text)
END
if command -v gnuplot >/dev/null; then
	"$wakelat" --merge "$tmp/a" --svg="$tmp/a.svg" >"$tmp/out" 2>"$tmp/err"
	tap_is "$? $(cat "$tmp/err")" '0 ' "a picture"
	check "... is XML, with panels and a legend" python3 "$tmp/svg.py" "$tmp/a.svg" \
		'futex, bare' 'cond (libtasklet)' 'channel in a thread' percentile 99.99 \
		'ping-pong, one processor, no burner' 'queue of 64, one processor, no burner'
	check "... and the table is there too" diff "$tmp/table" "$tmp/out"
	"$wakelat" --merge "$tmp/a" --svg=/dev/full >/dev/null 2>"$tmp/err"
	tap_like "$? $(cat "$tmp/err")" '^1 .*No space' "a picture on a full disk"
else
	for i in 1 2 3 4; do
		tap_skip "no gnuplot" "a picture"
	done
fi
mkdir "$tmp/bin"
echo keep >"$tmp/kept.svg"
env PATH="$tmp/bin" "$wakelat" --svg="$tmp/kept.svg" >"$tmp/out" 2>"$tmp/err"
tap_like "$? $(cat "$tmp/out" "$tmp/err")" '^1 tl-wakelat: .*no.* gnuplot-nox' \
	"no gnuplot is said before anything is measured"
tap_is "$(cat "$tmp/kept.svg")" keep "... and the old picture stays"
# fake_gnuplot COMMAND: it has a version, and then does that
fake_gnuplot() {
	printf '#!/bin/sh\n[ "$1" = --version ] || { %s; }\n' "$1" >"$tmp/bin/gnuplot"
	chmod +x "$tmp/bin/gnuplot"
	PATH=$tmp/bin:$PATH "$wakelat" --merge "$tmp/a" --svg="$tmp/b.svg" >/dev/null 2>"$tmp/err"
	tap_like "$? $(cat "$tmp/err")" '^1 .*gnuplot failed' "$2"
}
fake_gnuplot 'cat >/dev/null; exit 3' "a gnuplot that fails"
fake_gnuplot 'cat >/dev/null; echo "<svg>"' "a gnuplot that draws half a picture"

# --- where it can't write --------------------------------------------------------------------

refused 1 "--save where there is no directory" $quick --save="$tmp/no/such"
"$wakelat" --merge "$tmp/a" --save=/dev/full >/dev/null 2>"$tmp/err"
tap_like "$? $(cat "$tmp/err")" '^1 .*/dev/full: No space' "--save on a full disk"
for args in "--merge $tmp/a" "--merge -j $tmp/a" "--diff $tmp/a $tmp/a" --list; do
	"$wakelat" $args >/dev/full 2>"$tmp/err"
	tap_like "$? $(cat "$tmp/err")" '^1 .*output: No space' \
		"standard output on a full disk: ${args%% *}"
done
"$wakelat" --merge "$tmp/a" --save="$tmp/c" >&- 2>"$tmp/err"
tap_like "$? $(cat "$tmp/err")" '^1 .*standard output: ' "no standard output"
"$wakelat" $quick -c 1 -p eventfd,pipe --save="$tmp/c" <&- >"$tmp/out" 2>&-
tap_is "$?" 0 "no standard input, no standard error"
"$wakelat" --merge "$tmp/c" >"$tmp/out2"
check "... and the file has the results, nothing else" diff "$tmp/out" "$tmp/out2"

# --- what is not to be had --------------------------------------------------------------------

if command -v taskset >/dev/null; then
	taskset -c "$first_cpu" "$wakelat" $quick -j -p futex,pipe >"$tmp/json" 2>"$tmp/err"
	tap_like "$? $(cat "$tmp/err")" "^0 .*one processor only \(cpu $first_cpu\)" \
		"on one processor it says what it leaves out"
	check "... and measures the rest" check_json "$tmp/json" 6
	for args in '-c 2' '-b second' '-c 1,2'; do
		taskset -c "$first_cpu" "$wakelat" $quick $args >"$tmp/out" 2>"$tmp/err"
		tap_like "$? $(cat "$tmp/out" "$tmp/err")" '^1 .*may use one processor only' \
			"... but not if it was asked for: $args"
	done
else
	for i in 1 2 3 4 5; do
		tap_skip "no taskset" "on one processor"
	done
fi
refused 1 "two tasklets of one thread on two processors" $quick -c 2 -p channel-local
(ulimit -n 5 && exec "$wakelat" $quick -j -c 1 -w queue1 -p futex,eventfd,pipe) \
	>"$tmp/json" 2>"$tmp/err"
tap_like "$? $(cat "$tmp/err")" '^1 .*eventfd, queue of 1.*open files.*pipe, ' \
	"without descriptors it says what can't be made"
check "... and measures the rest" check_json "$tmp/json" 1
if grep -q -e __asan_init -e __tsan_init "$wakelat"; then
	tap_skip "the sanitizer needs its memory" "without memory for a thread it says so"
else
	(ulimit -s unlimited; ulimit -s 4000000; ulimit -v 1000000
	 exec "$wakelat" $quick -c 1 -w pingpong -p futex) >"$tmp/out" 2>"$tmp/err"
	tap_like "$? $(cat "$tmp/out" "$tmp/err")" '^1 .*futex, ping-pong.*thread: ' \
		"without memory for a thread it says so"
fi

# --- signals ------------------------------------------------------------------------------------

# A long run, ended when it may have measured something; a shell has jobs ignore SIGINT.
# ended SIGNAL SECONDS ARGS...
ended() {
	local sig=$1 seconds=$2

	shift 2
	env --default-signal=INT "$wakelat" -d 5ms -r 10000 -c 1 -w pingpong -p futex,sem \
		"$@" >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	sleep "$seconds"
	kill "-$sig" $pid
	wait $pid
	status=$?
	pid=
}
for seconds in 0.5 2 8; do
	ended INT $seconds -j --save="$tmp/d"
	[ ! -s "$tmp/out" ] || break
done
tap_is "$status" 130 "SIGINT ends it with 130"
check "... and what there is is shown" check_json "$tmp/out" 2
tap_is "$("$wakelat" --merge -j "$tmp/d")" "$(cat "$tmp/out")" "... and saved"
tap_like "$(cat "$tmp/err")" 'signal 2' "... and the signal is named"
ended TERM 0.5
tap_is "$status" 143 "SIGTERM ends it with 143"
(trap '' INT; exec "$wakelat" -d 5ms -r 60 -c 1 -w pingpong -p futex -j) >"$tmp/out" 2>&1 &
pid=$!
sleep 0.1
kill -INT $pid
wait $pid
status=$?
pid=
tap_is "$status" 0 "SIGINT that is ignored stays so"
check "... and all is measured" check_json "$tmp/out" 1

# --- the terminal -------------------------------------------------------------------------------

if command -v script >/dev/null; then
	script -qec "$wakelat -d 2ms -r 2 -c 1 -w pingpong -p futex,sem >$tmp/out" \
		/dev/null >"$tmp/terminal" </dev/null
	tap_like "$(cat "$tmp/terminal")" '0 of 4, [0-9]+ s left: round 1, ping-pong.*3 of 4' \
		"a terminal sees how far it is"
	tap_is "$(grep -c 'left: round' "$tmp/out")" 0 "... and not the table"
else
	tap_skip "no script" "a terminal sees how far it is"
	tap_skip "no script" "... and not the table"
fi
tap_end
