#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# --gil priority: CPython's GIL is recognised, whatever else waits with a time-out is
# not; IO threads ask early, the floor comes in. All by what the library counted.

top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/harness/tap.sh"
build=${O:-$top/build}
run=$build/tools/tl-run
programs=$top/tests/preload/programs
export LC_ALL=C
unset LD_PRELOAD TL_PRELOAD_COND TL_PRELOAD_GIL TL_PRELOAD_CPU_FLOOR TL_PRELOAD_STATS

[ -x "$run" ] || tap_skip_all "no $run: make tools"
python=${TL_PYTHON:-/usr/bin/python3}
[ -x "$python" ] || tap_skip_all "no $python"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Other interpreters, where there are some: one a line.
others=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python 2>/dev/null)
tap_plan $((31 + 2 * $(echo "$others" | grep -c .)))

# go ARGS...: runs it with statistics; sets $status, $out and the last line of them
go() {
	out=$(timeout 120 "$run" --stats "$@" 2>"$tmp/err")
	status=$?
	stats=$(grep '^{"preload"' "$tmp/err" | tail -n 1)
}
count() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" <<<"$stats"; }
# is_over NAME MIN WORDS
is_over() {
	[ "$(count "$1")" -gt "$2" ] 2>/dev/null
	tap_result $? "$3" "$1 is not over $2: $stats"
}

# --- recognised ------------------------------------------------------------------------

go --gil priority -- "$python" "$programs/gil-io.py" sleep 100
tap_is "$status $out" "0 done" "a thread that sleeps beside two that compute"
tap_is "$(count take_gil_sites) $(count gils_learnt)" "1 1" "one GIL is recognised"
is_over early 60 "the thread that comes back asks at once"
is_over forced 60 "... and gets the GIL"
[ "$(count stacks)" -lt 50 ]
tap_result $? "the stack was looked at a few times only" "$stats"

for kind in futex emulated; do
	go --gil priority --cond $kind -- "$python" "$programs/gil-io.py" sleep 100
	tap_is "$status $out $(count gils_learnt)" "0 done 1" "with conditions of $kind too"
	is_over early 60 "... the thread asks at once"
done

go --gil priority --cpu-floor 90 -- "$python" "$programs/gil-io.py" talk 6000
tap_is "$status $out" "0 done" "a thread that never lets go for long"
is_over phases 0 "the floor comes in"
[ $(($(count put_off) + $(count held_off))) -gt 0 ]
tap_result $? "... and the IO thread has to wait" "$stats"
go --gil priority --cpu-floor 0 -- "$python" "$programs/gil-io.py" sleep 50
tap_is "$(count phases) $(count put_off)" "0 0" "without a floor nobody has to"

go --gil priority -- "$python" "$programs/threads.py"
tap_is $status 0 "python's threads and queues"
go --gil priority -- "$python" "$programs/processes.py"
tap_is $status 0 "... and processes"
go --gil priority --cond futex -- "$python" "$programs/processes.py"
tap_is $status 0 "... with futexes"
# Known before the fork, and somebody waits for it: what the child has of that is gone.
go --gil priority -- "$python" -c 'import os, runpy, sys, threading
sys.argv = ["x", "sleep", "30"]
runpy.run_path("'"$programs"'/gil-io.py")
def burn():
    while True: pass
threading.Thread(target=burn, daemon=True).start()
if os.fork() == 0:
    runpy.run_path("'"$programs"'/gil-io.py")
else:
    os._exit(os.wait()[1] != 0)'
tap_is "$status $(grep -c '"gils_learnt":2,' "$tmp/err")" "0 1" \
	"a child learns the GIL anew"
# CPython makes it anew. Of one that goes on as it is, the threads that are not there are
# forgotten all the same: nobody stands back for them, nobody is woken in their stead.
for kind in pthread futex emulated; do
	go --gil priority --cond $kind -- "$build/tests/preload/gil-like" fork
	tap_is "$status $(echo $out) $(grep -c '"gils_learnt":2,' "$tmp/err")" \
		"0 child parent 1" "$kind: a child goes on with a GIL as it is"
done
go --gil priority -- "$build/tests/preload/gil-like" looked-at
tap_is "$status" 0 "... with a wait, while another thread's was looked at for the first time"
go --gil priority -- "$build/tests/preload/gil-like" destroy
tap_is "$status $(count gils_forgotten)" "0 1" \
	"one that is woken comes back from a condition that was destroyed with the mutex"

# Born by a thread with a short slice, and computes: Linux 6.12 shows what slice it has.
go --gil priority -- "$python" -c 'import threading, time
stop, turns = False, [0, 0]
def burn(i):
    while not stop: turns[i] += 1
def slice_of(t):
    with open("/proc/self/task/%d/sched" % t.native_id) as f:
        return [int(l.split()[-1]) for l in f if l.startswith("se.slice")]
usual = slice_of(threading.main_thread())
threads = [threading.Thread(target=burn, args=(i,)) for i in range(2)]
threads[0].start()
for _ in range(100): time.sleep(0.001)
short = slice_of(threading.main_thread())
threads[1].start()
seen = turns[1]
while turns[1] < seen + 3000000: time.sleep(0.01)
# Where it has just waited it has a short one again for a moment.
tries = 0
while usual != short and slice_of(threads[1]) != usual and tries < 500:
    time.sleep(0.013)
    tries += 1
print(tries < 500)
stop = True'
tap_is "$status $out" "0 True" "a thread that computes has its usual slice, whoever made it"

while read -r other; do
	[ -n "$other" ] || continue
	version=$("$other" -c 'import sys; print("%d%02d" % sys.version_info[:2])')
	name=$("$other" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
	go --gil priority -- "$other" "$programs/gil-io.py" sleep 100
	tap_is "$status $out" "0 done" "Python $name"
	if [ "$version" -ge 302 ]; then
		[ "$(count gils_learnt)" = 1 ] && [ "$(count early)" -gt 60 ]
		tap_result $? "... is helped" "$stats"
	else
		tap_is "$(count take_gil_sites) $(count takes)" "0 0" "... is left alone"
	fi
done <<<"$others"

interpreters=
while read -r other; do
	[ -x "$other" ] && "$other" -c 'import sys; sys.exit(sys.version_info < (3, 12))' &&
		interpreters=$other
done <<<"$others"
if [ -n "$interpreters" ]; then
	go --gil priority -- "$interpreters" "$programs/gil-sub.py"
	tap_like "$status $out" "^0 done" "two interpreters with a GIL each"
	tap_is "$(count gils_learnt)" 2 "... are two GILs"
else
	tap_skip "no Python 3.12 or later" "two interpreters with a GIL each"
	tap_skip "no Python 3.12 or later" "... are two GILs"
fi

# --- left alone ----------------------------------------------------------------------------

left_alone() {	# left_alone WORDS ARGS...
	local words=$1

	shift
	go "$@"
	tap_is "$status $(count take_gil_sites) $(count takes)" "0 0 0" "$words"
}
left_alone "one thread that never waits for a GIL" --gil priority -- "$python" -c 'print(1)'
left_alone "no Python" --gil priority -- /bin/true
if [ -x "$build/tests/preload/conform" ]; then
	left_alone "... with timed waits of its own" \
		--gil priority -- "$build/tests/preload/conform" pthread
else
	tap_skip "not built" "... with timed waits of its own"
fi
left_alone "Python, when it is not asked for" --gil off -- "$python" \
	"$programs/gil-io.py" sleep 20
# A condition of a C library's caller, through Python's own image: ctypes.
cat >"$tmp/own.py" <<'EOT'
import ctypes, threading, time
libc = ctypes.CDLL(None)
cond, mutex = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
past = (ctypes.c_long * 2)(1, 0)
libc.pthread_mutex_lock(mutex)
for _ in range(20):
    assert libc.pthread_cond_timedwait(cond, mutex, past) == 110
libc.pthread_mutex_unlock(mutex)
EOT
left_alone "a condition that a Python program made itself" --gil priority -- \
	"$python" "$tmp/own.py"
go --gil priority -- "$python" "$programs/gil-io.py" sleep 20
tap_is "$(grep -cv '^{"preload"' "$tmp/err")" 0 "nothing else is said"
tap_end
