#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# What tl-trace shows is true: known numbers of wake-ups are counted exactly, by what was waited in; a delay that is made
# is found where it was made; a live CPython has its convoy, and under tl-run has not; another tracer agrees. It comes and
# goes while its target works, and leaves nothing behind. The objects are of use without it.

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${O:-$top/build}
trace=$build/tools/tl-trace
python=/usr/bin/python3
tmp=$(mktemp -d)
pinned=/sys/fs/bpf/tl-test-$$
. "$top/tests/harness/tap.sh"
. "$top/tests/trace/scenes"

clean() {
	local pids
	pids=$(jobs -p)
	[ -z "$pids" ] || kill $pids 2>/dev/null
	rm -rf "$tmp" "$pinned"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

skip_all_without_tracer
kinds="futex:futex sem:semaphore cond:pthread_cond eventfd:eventfd pipe:pipe socket:socket epoll:epoll poll:poll
uring:io_uring"
if readelf -n "$wakes" | grep -q 'Provider: tasklet'; then
	kinds="$kinds tl-cond:tl_cond"
fi
tap_plan $(($(wc -w <<<"$kinds") + 53))

# --- wakelat: what is known is counted ------------------------------------------------------------------------------------

# all_counted KIND COUNT NAME [ARGUMENT...]
all_counted() {
	local kind=$1 count=$2 name=$3
	shift 3
	traced_wakes "$kind" "$count" "$@" && all_told "$name" "$count"
}
none_lost() {
	traced_wakes futex 100 && [ "$(rows '[(map(select(.primitive == "futex").count) | add), (map(.lost) | max)]')" = "[100,0]" ]
}

for pair in $kinds; do
	name=${pair#*:}
	name=${name/_cond/ cond}
	check "wakelat: 100 wake-ups in $name are 100" all_counted "${pair%:*}" 100 "$name"
done
check "wakelat: and none is lost, where the kernel tells of all" thrice none_lost

# Of threads that preempt whoever is on a processor: where a kernel keeps switches back, it is these. The rest must be said to
# be lost, each time.
every_time() {
	local i
	for ((i = 0; i < 40; i++)); do
		all_counted bulk 100 pipe || return 1
	done
}
check "wakelat: 40 times 100 wake-ups of a thread that preempts others" every_time

check "wakelat: a futex is one without probes too" all_counted futex 100 futex --no-probes
check "wakelat: a semaphore is a futex without probes" all_counted sem 100 futex --no-probes
traced_wakes sem 100 --raw
tap_is "$(rows '(map(.count) | add) + (map(.lost) | max) >= 100')" true "wakelat: raw tracepoints see them, too"
check "wakelat: by thread: 50 wake-ups are 50" all_counted pipe 50 pipe -t
tap_is "$(rows 'map(select(.primitive == "pipe") | .tid != .pid) | unique')" "[true]" "wakelat: by thread: the one that is woken"
tap_is "$(rows 'map(.tid) | unique | length > 1')" true "wakelat: by thread: another one is apart"

check "wakelat: 40 wake-ups beside a burner are 40" all_counted burner 40 futex
tap_is "$(rows 'map(select(.primitive == "futex").processor) | unique')" '["same"]' \
	"wakelat: a burner on the processor: all wake-ups are on the same one"
tap_is "$(rows 'map(select(.primitive == "futex" and .preempting == false).queue_p50_ns >= 5000000 * 15 / 16) | length > 0 and all')" true \
	"wakelat: the 5 ms that it keeps it are time in the run queue"
tap_is "$(rows 'map(select(.primitive == "futex").issue_p50_ns < 5000000) | length > 0 and all')" true "wakelat: and not the waker's"

# --- another tracer -----------------------------------------------------------------------------------------------------------

# In one go, on the same wake-ups: how many, and how long they were in a run queue on average. That is so long that what
# the two tracers themselves take does not count.
agrees() {
	start_wakes burner 200 && start_trace wakelat -p $target -j --no-probes || return 1
	bpftrace -e "
		tracepoint:sched:sched_wakeup /args->pid != $target/ { @woken[args->pid] = nsecs; }
		tracepoint:sched:sched_switch {
			if (args->prev_state == 0) { delete(@woken[args->prev_pid]); }
			\$since = @woken[args->next_pid];
			if (\$since) { @ns[args->next_pid] = stats(nsecs - \$since); }
			delete(@woken[args->next_pid]);
		}
		BEGIN { printf(\"attached\\n\"); }
		END { clear(@woken); }" >"$tmp/bt" 2>&1 9>&- &
	local bt=$! sleeper
	until_true grep -q attached "$tmp/bt" || return 1
	sleep 0.2
	echo >&9
	until_true grep -q '^200$' "$tmp/wakes" || return 1
	sleeper=$(sed -n 's/^sleeper //p' "$tmp/wakes")
	kill -INT $bt
	wait $bt
	end_wakes
	wait $tracer
	# With no probes there is one row for each way to be woken.
	theirs=$(sed -n "s/@ns\[$sleeper\]: count \([0-9]*\), average \([0-9]*\),.*/\1 \2/p" "$tmp/bt")
	ours=$(rows 'map(select(.primitive == "futex")) | "\(map(.count) | add) \(map(.count * .queue_mean_ns) | add / 200 | floor)"' |
		tr -d '"')
	echo "ours $ours, theirs $theirs"
	awk -v ours="$ours" -v theirs="$theirs" 'BEGIN {
		split(ours, a, " "); split(theirs, b, " ");
		exit !(b[1] > 0 && a[1] / b[1] > 0.9 && a[1] / b[1] < 1.1 && a[2] / b[2] > 0.9 && a[2] / b[2] < 1.1)
	}'
}
if command -v bpftrace >/dev/null; then
	check "wakelat: count and mean run-queue wait agree within 10 % with bpftrace's" agrees
else
	tap_skip "there is no bpftrace" "wakelat: count and mean run-queue wait agree within 10 % with bpftrace's"
fi

# --- from the waker's call to the other one's return ---------------------------------------------------------------------------

# In a megabyte that is written and read: its copies, in the waker's call and in the other one's, are most of it.
whole_calls() {
	local inside count ns lost
	traced_wakes bulk 100 && all_told pipe 100 || return 1
	inside=$(sed -n 's/^mean //p' "$tmp/wakes")
	read -r count ns < <(calls pipe)
	lost=$(rows 'map(.lost) | max')
	echo "inside $inside ns; $count calls of $ns ns, $lost lost"
	awk -v i="$inside" -v k="$ns" -v n="$((count + lost))" 'BEGIN { exit !(n >= 100 && k > i * 0.9 && k < i * 1.1) }'
}
check "wakelat: from call to return is what the two threads see, within 10 %" thrice whole_calls


# What the threads of tl-wakelat see, of a bare futex: that is so short that the ways into the kernel and out of it, which
# the kernel does not see, are a part of it, each with cold caches. They are no longer than two calls that do nothing.
same_as_inside() {
	local inside count bare ns wakes
	"$trace" wakelat -j -- chrt -f 1 sh -c "$build/tests/trace/bare >$tmp/bare; exec $build/tools/tl-wakelat -p futex -c 1 \
		-b none -w pingpong -d 0.5 -r 1 -j" >"$tmp/out" 2>/dev/null || return 1
	read -r inside count < <(jq -r 'select(.work == "pingpong") | "\(.mean_ns) \(.count)"' "$tmp/out")
	bare=$(cat "$tmp/bare")
	read -r wakes ns < <(calls futex)
	echo "inside: $count ways, $inside ns; $wakes calls, $ns ns; a call that does nothing: $bare ns"
	awk -v i="$inside" -v k="$ns" -v b="$bare" -v n="$count" -v w="$wakes" 'BEGIN {
		exit !(w >= n && w < n * 1.01 + 200 && k < i && k + 2 * b > i * 0.9) }'
}
check "wakelat: the same as tl-wakelat sees of a futex, but for the ways into the kernel and out of it" thrice same_as_inside

# --- our own lock, of which it is known who has it when ------------------------------------------------------------------------

if readelf -n "$holds" | grep -q 'Provider: tasklet'; then
	traced_lock gil 50 "$holds" waited
	tap_is "$(of_class IO .wait_count)" 50 "gil: 50 waits of an IO thread are 50"
	longest=$(sed -n 's/^longest //p' "$tmp/holds")
	tap_is "$(of_class IO ".wait_p50_ns >= 3000000 and .wait_max_ns <= $longest")" true \
		"gil: and 3 ms long, as it was kept, and no longer than the holder has seen"
	tap_is "$(of_class IO '.handoff_count > 40 and .handoff_p50_ns < 3000000')" true \
		"gil: which the handoffs are not, that followed"
	tap_is "$(jq -s '[.[] | select(.holder)][0] | .count == 50 and .held_ns >= 150000000 and (.stack | test("release|block"))' \
		"$tmp/out")" true "gil: who kept it, for how long in all, and where"

	# In each of these calls the lock is only kept in name, for 3 ms or until another thread has had it.
	said=$(kept 50)
	tap_is "${said%$'\n'*}" "[2,52,0]" "gil: a call in which the lock is kept ends a hold, and begins one if nobody took it"
	tap_is "${said#*$'\n'}" "[101,101,0]" "gil: who takes a lock that is kept has it once, and is handed nothing"
	tap_is "$(of_class CPU '.hold_p50_ns < 3000000')" true "gil: the 3 ms of such a call are no part of a hold"

	# The second of two IO threads is overtaken, after the first has gone; and another lock is another lock.
	tap_is "$(overtaken 10)" "[40,34,10]" \
		"iopri: each time that one of several IO threads is overtaken is seen, and no other"
else
	for ((i = 0; i < 8; i++)); do
		tap_skip "the library was built without probes" "gil: our own lock"
	done
fi

# --- the global lock -------------------------------------------------------------------------------------------------------------

# traced_python [RUNNER...]: the rows of two seconds are in $tmp/out
traced_python() {
	"$@" "$python" "$top/tests/trace/programs/server.py" 30 >"$tmp/python" &
	target=$!
	until_true grep -q ready "$tmp/python" || return 1
	start_trace gil -p $target -j -d 2 || return 1
	wait $tracer
	local status=$?
	kill $target
	wait $target 2>/dev/null
	return $status
}

gil() {
	jq -s -c "[.[] | select(.row and .final)] | $1" "$tmp/out"
}

if [ -x "$python" ]; then
	traced_python
	tap_is "$?:$(gil 'map(.class) | sort')" '0:["CPU","IO"]' "gil: a live python3 has IO threads and CPU threads"
	tap_is "$(gil 'map(select(.class == "IO"))[0] | .convoy > 20')" true "gil: its IO waits are a convoy: one interval long"
	without=$(gil 'map(select(.class == "IO"))[0].convoy_score')
	tap_is "$(gil 'map(select(.class == "CPU"))[0] | .forced > 20 and .hold_p50_ns > 4500000')" true \
		"gil: the CPU thread is made to give way, after an interval"
	tap_is "$(gil 'map(select(.class == "IO"))[0].forced')" 0 "gil: and the IO thread is not"
	tap_is "$(gil 'map(select(.class == "IO"))[0] | .handoff_count > 0 and .handoff_p50_ns < .wait_max_ns')" true \
		"gil: handoffs to waiters are told from waits"
	tap_is "$(jq -s '[.[] | select(.holder)][0] | .held_ns > 100000000 and (.stack | test("pthread_cond_signal"))' "$tmp/out")" \
		true "gil: and who held the lock while the IO thread waited, and where"
	if [ -e "$build/libtasklet-preload.so" ]; then
		traced_python "$build/tools/tl-run" --gil priority --
		tap_is "$?:$(gil "map(select(.class == \"IO\"))[0] | .wait_count > 100 and .convoy_score < $without / 4")" 0:true \
			"gil: under tl-run --gil priority the convoy is gone"
	else
		tap_skip "there is no libtasklet-preload.so" "gil: under tl-run --gil priority the convoy is gone"
	fi
	# Others of the same name may have symbols: then these are used.
	named=$(type -ap python3 | while read -r other; do
		other=$("$other" -c 'import sys; print(sys.executable)' </dev/null 2>/dev/null) || continue
		nm $(ldd "$other" | sed -n 's/.*=> \([^ ]*libpython[^ ]*\) .*/\1/p') "$other" 2>/dev/null | grep -q ' t take_gil' &&
			echo "$other" && break; done)
	if [ "$named" ]; then
		stripped=$python python=$named
		traced_python
		tap_is "$?:$(gil 'map(.class) | sort')" '0:["CPU","IO"]' "gil: an interpreter with symbols"
		python=$stripped
	else
		tap_skip "there is no python3 with symbols" "gil: an interpreter with symbols"
	fi
	"$python" "$top/tests/trace/programs/server.py" 600 >"$tmp/python" &
	target=$!
	until_true grep -q ready "$tmp/python"
	"$trace" iopri -p $target -j -d 1 >"$tmp/out" 2>"$tmp/err"
	tap_is "$?:$(jq -s '[.[] | select(.row)][0] | .io_served > 0 and .cpu_served > 0' "$tmp/out")" 0:true \
		"iopri: both kinds of threads are served"
	if command -v gnuplot >/dev/null && command -v xmllint >/dev/null; then
		check "gil: a picture of it" eval '"$trace" gil -p $target -d 500ms -o "$tmp/gil.svg" >/dev/null 2>&1 && xmllint --noout "$tmp/gil.svg"'
	else
		tap_skip "there is no gnuplot, or no xmllint" "gil: a picture of it"
	fi
	"$trace" gil -p $target -d 1 -i 300ms >"$tmp/out" 2>"$tmp/err"
	tap_like "$(grep -c FORCED/s "$tmp/out"):$(awk 'length > 80' "$tmp/out" | wc -l)" "^[34]:0$" \
		"gil: a table each interval and one at the end, of 80 columns"

	# Comes and goes, a hundred times, while it works.
	comes_and_goes() {
		local i
		for ((i = 0; i < 50; i++)); do
			"$trace" wakelat -p $target -d 10ms &
			"$trace" gil -p $target -d 10ms && wait $! || return 1
		done >/dev/null 2>&1
		kill -0 $target
	}
	check "a target is attached to 100 times, and goes on" comes_and_goes
	kill $target
	wait $target 2>/dev/null
else
	for ((i = 0; i < 12; i++)); do
		tap_skip "there is no $python" "gil: of a live CPython"
	done
fi
# The kernel frees programs some time after their last user has gone.
nothing_left() {
	local list
	list=$(/usr/sbin/bpftool prog list) && ! grep -qE 'name (wakelat_|python_|gil_)' <<<"$list"
}
check "nothing stays loaded" until_true nothing_left

# --- how it ends ------------------------------------------------------------------------------------------------------------------

start_wakes futex 10
start_trace wakelat -p $target
kill -INT $tracer
wait $tracer
tap_is "$?:$(grep -c '0 lost' "$tmp/out")" 0:1 "Ctrl-C: it prints what there is, and ends well"
start_trace wakelat -p $target
echo >&9
until_true grep -q '^10$' "$tmp/wakes"
end_wakes
wait $tracer
tap_is "$?:$(grep -c futex "$tmp/out" | grep -c '^[1-9]')" 0:1 "the target's end is its end"
"$trace" wakelat -j -- "$wakes" futex 10 <<<$'\n' >"$tmp/out" 2>"$tmp/err"
tap_is "$?:$(grep '^{' "$tmp/out" | jq -s '[.[] | select(.final and .primitive == "futex").count] | add >= 10')" 0:true \
	"a command is traced from its begin to its end"
"$trace" wakelat -j -- "$wakes" pipe 10 <<<$'\n' >"$tmp/out" 2>"$tmp/err"
tap_is "$(grep '^{' "$tmp/out" | jq -s -c '[.[] | select(.final and .primitive == "pipe")] | [(map(.count) | add), (map(.comm) | unique)]')" \
	'[10,["wakes"]]' "but for what it was before it was the command"
start_trace wakelat -d 200ms -- sleep 100
wait $tracer
tap_is "$?" 0 "a command that still runs is ended"

# --- what can't be done -------------------------------------------------------------------------------------------------------------

# fails STATUS WORDS ARGUMENT...: one line with these words
fails() {
	local status=$1 words=$2 said
	shift 2
	said=$("$@" 2>&1 >/dev/null)
	[ $? = "$status" ] && [[ $said == *"$words"* ]] && return
	echo "$said"
	return 1
}
check "no such tracer" fails 2 "not one of: wakelat, gil, iopri" "$trace" gill
check "no such process" fails 1 "No such process" "$trace" wakelat -p 4194000
check "no number, no time, both" eval 'fails 2 "no process" "$trace" wakelat -p 1x && fails 2 "no time" "$trace" wakelat -d 5parsecs &&
	fails 2 "not both" "$trace" wakelat -p 1 -- true'
check "a process without a global lock" fails 1 "has not got a global lock" "$trace" gil -p $$
check "a command that is not there" fails 1 "No such file" "$trace" wakelat -- "$tmp/nothing"
check "nor for a lock" fails 1 "No such file" "$trace" gil -- "$tmp/nothing"
check "a full disk" fails 1 "No space left" bash -c "$trace wakelat -d 10ms >/dev/full"
if command -v setpriv >/dev/null; then
	check "without rights: one line" fails 1 "needs root" setpriv --reuid 65534 --clear-groups -- "$trace" wakelat -d 10ms
else
	tap_skip "there is no setpriv" "without rights: one line"
fi
check "without BTF: one line" fails 1 "does not describe its types" unshare -m bash -c "mount -t tmpfs none /sys/kernel/btf && $trace wakelat"

# --- without it -------------------------------------------------------------------------------------------------------------------------

mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
loads() {
	local object
	for object in wakelat gilhandoff iopri; do
		rm -rf "$pinned"
		bpftool prog loadall "$build/bpf/$object.bpf.o" "$pinned" || return 1
	done
	rm -rf "$pinned"
}
check "bpftool loads each object as it is" loads

if files=$("$top/tests/harness/apt-fetch" bookworm-backports bpftool libbpf1 2>"$tmp/err"); then
	newer() {
		LD_LIBRARY_PATH=$(dirname "$(find "$files" -name 'libbpf.so.1')") "$files/usr/sbin/bpftool" "$@"
	}
	by_itself() {
		newer prog loadall "$build/bpf/wakelat.bpf.o" "$pinned" pinmaps "$pinned/maps" autoattach || return 1
		start_wakes pipe 100
		echo >&9
		until_true grep -q '^100$' "$tmp/wakes"
		newer map dump pinned "$pinned/maps/wakelat_rows" >"$tmp/dump"
		end_wakes
		rm -rf "$pinned"
		[ "$(jq "[.[] | select(.key.tgid == $target and .key.primitive == 9) | .value.total.slots | add] | add" "$tmp/dump")" = 100 ]
	}
	check "a bpftool that attaches: useful maps with no loader of ours" by_itself
else
	tap_skip "$(head -n 1 "$tmp/err")" "a bpftool that attaches: useful maps with no loader of ours"
fi
check "and where a builder has no BTF: they load" eval 'make -s -C "$top" bpf O="$tmp/minimal" VMLINUX_H=bpf/vmlinux-minimal.h \
	INSTALL_PACKAGES=no && bpftool prog loadall "$tmp/minimal/bpf/wakelat.bpf.o" "$pinned" && rm -rf "$pinned"'
tap_end
