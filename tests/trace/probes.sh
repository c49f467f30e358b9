#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The probes are in the library as tasklet_tracing(7) lists them, each with its
# semaphore; and a tracer that is attached to them, the kernel's own, sees each event
# of programs of which it is known what they do.
#
# The tracer is attached to a copy of the library, so that no other program is
# traced; in an instance of the kernel's trace buffers that is ours alone, and with
# events that have our process's number in their names.

top=$(cd "$(dirname "$0")/../.." && pwd)
build=${O:-$top/build}
cc=${CC:-gcc}
tmp=$(mktemp -d)
group=tasklet_test_$$
tracing= instance=
. "$top/tests/harness/tap.sh"

clean() {
	if [ -n "$instance" ]; then
		[ ! -e "$instance/events/$group/enable" ] ||
			echo 0 >"$instance/events/$group/enable"
		rmdir "$instance"
	fi
	if [ -n "$tracing" ]; then
		grep -o "$group/[^ ]*" "$tracing/uprobe_events" |
			sed 's/^/-:/' | while read -r event; do
				echo "$event" >>"$tracing/uprobe_events"
			done
		umount "$tracing"
	fi
	rm -rf "$tmp"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

library=$tmp/libtasklet.so.0
cp -L "$build/libtasklet.so.0" "$library" || exit 1
page=$top/man/tasklet_tracing.7

# --- what is in the file --------------------------------------------------------

# "NAME ADDRESS SEMAPHORE ARGUMENT..." for each place of a probe.
notes() {
	LC_ALL=C readelf -n "$1" | awk '
	/Provider:/ { provider = $2 }
	/Name:/ { name = $2 }
	/Location:/ { location = $2; semaphore = $6; gsub(",", "", location) }
	/Arguments:/ && provider == "tasklet" {
		sub(/.*Arguments: */, "")
		print name, location, semaphore, $0
	}'
}
notes "$library" >"$tmp/notes"
if [ ! -s "$tmp/notes" ]; then
	tap_skip_all "the library was built without probes"
fi
scenes="tasks switches channel buffer gil keep wake"
tap_plan 14

# Names, and how many arguments: the page shows each as .It Fn name "type arg" ...
found() {
	awk '{ print $1, gsub("@", "") }' "$tmp/notes" | sort -u
}
documented() {
	awk '/^\.Sh/ { probes = $2 == "PROBES" }
	probes && /^\.It Fn / { print $3, gsub("\"", "") / 2 }' "$page" | sort
}
check "the probes are those of tasklet_tracing(7), with as many arguments" \
	diff <(documented) <(found)

# readelf tells the sizes: 8 bytes or -8, for one with a sign.
narrow=$(cut -d' ' -f4- "$tmp/notes" | grep -oE '(^| )-?[0-9]+@' | grep -vE '^ ?-?8@')
tap_is "$narrow" "" "each argument has 64 bits"

semaphores() {
	local name address semaphore rest bad=0
	while read -r name address semaphore rest; do
		[ $((semaphore)) != 0 ] || { echo "$name has none"; bad=1; }
	done <"$tmp/notes"
	[ "$(awk '{ print $1, $3 }' "$tmp/notes" | sort -u | wc -l)" = \
	  "$(awk '{ print $3 }' "$tmp/notes" | sort -u | wc -l)" ] ||
		{ echo "two probes share one"; bad=1; }
	return $bad
}
check "each probe has a semaphore of its own" semaphores

kinds_of_page() {
	sed -n 's/^\.It \([0-9]*\) Pq Dv \(TL_PROBE_[A-Z_]*\).*/\2 \1/p' "$page" | sort
}
kinds_of_header() {
	sed -nE 's/^#define (TL_PROBE_[A-Z_]+)\s+([0-9]+).*/\1 \2/p' \
		"$top/lib/base/probe-kinds.h" | grep -v KINDS | sort
}
check "the page has the numbers of probe-kinds.h" \
	diff <(kinds_of_header) <(kinds_of_page)

# --- somebody listens -------------------------------------------------------------

skip_rest() {
	for scene in $scenes; do
		tap_skip "$1" "$scene: each event is seen"
	done
	tap_skip "$1" "a probe is heard without the others"
	tap_skip "$1" "where nobody listens, nothing is seen"
	tap_skip "$1" "the events are gone"
	tap_end
}

[ "$(id -u)" = 0 ] || skip_rest "only root may trace"
[ "$(uname -m)" = x86_64 ] || skip_rest "the registers of x86-64 are what it knows"
mkdir "$tmp/tracing"
mount -t tracefs tracefs "$tmp/tracing" 2>"$tmp/why" ||
	skip_rest "no tracefs: $(head -n 1 "$tmp/why")"
tracing=$tmp/tracing
[ -w "$tracing/uprobe_events" ] || skip_rest "the kernel has no uprobe events"
mkdir "$tracing/instances/$group" 2>"$tmp/why" ||
	skip_rest "no instance of the trace: $(head -n 1 "$tmp/why")"
instance=$tracing/instances/$group

# An address of the file in memory, as an offset in the file.
LC_ALL=C readelf -lW "$library" | awk '$1 == "LOAD" { print $2, $3, $5 }' >"$tmp/loads"
offset() {
	local at start size
	while read -r at start size; do
		if (($1 >= start && $1 < start + size)); then
			printf '0x%x' $(($1 - start + at))
			return
		fi
	done <"$tmp/loads"
}

# The kernel's words for arguments: 8@%rax, -8@16(%rsp), -8@$-125; and its types.
fetch() {	# fetch NAME ARGUMENT...
	local name=$1 n=0 arg type place
	shift
	for arg; do
		n=$((n + 1)) type=x64
		[ "${arg%%@*}" = 8 ] || type=s64
		place=$(sed -E 's/^\$/\\/; s/%r([a-z])/%\1/; s/^([0-9]*)\(/+\1(/; s/^\+\(/+0(/' \
			<<<"${arg#*@}")
		printf ' a%d=%s:%s' $n "$place" $type
		# What strings they point to, last of all.
		case $name$n in
		task_new2|park2) text=" text=+0($place):string" ;;
		esac
	done
}
attach() {	# attach PATTERN: to the probes of such names
	local name address semaphore args n=0 text
	while read -r name address semaphore args; do
		[[ $name =~ ^($1)$ ]] || continue
		n=$((n + 1)) text=
		fetch "$name" $args >"$tmp/fetch"
		echo "p:$group/${name}__$n $library:$(offset "$address")($(
			offset "$semaphore"))$(cat "$tmp/fetch")$text" \
			>>"$tracing/uprobe_events" || return
	done <"$tmp/notes"
	echo 1 >"$instance/events/$group/enable"
}
detach() {
	echo 0 >"$instance/events/$group/enable"
	grep -o "$group/[^ ]*" "$tracing/uprobe_events" | while read -r event; do
		echo "-:$event" >>"$tracing/uprobe_events"
	done
}

$cc -O2 -Wall -Wextra -Werror -I"$top/include" -I"$top/lib" -o "$tmp/probed" \
	"$top/tests/trace/programs/probed.c" "$library" -lpthread -Wl,-rpath,"$tmp" ||
	exit 1

# What a scene's program has said that there is to be seen.
scene() {	# scene NAME [PROBE]: only what that probe has to say
	local count probe pattern got bad=0 seen=0
	echo >"$instance/trace"
	timeout 60 "$tmp/probed" "$1" >"$tmp/want" || return
	sed -nE 's/.*: ([a-z_]+)__[0-9]+: \(0x[^)]*\) ?/\1 /p' "$instance/trace" >"$tmp/got"
	while read -r count probe pattern; do
		[ "$probe" = "${2:-$probe}" ] || continue
		seen=$((seen + 1))
		got=$(grep -cE "^$probe .*$pattern" "$tmp/got")
		[ "$got" = "$count" ] ||
			{ echo "$probe '$pattern': $got, not $count"; bad=1; }
	done <"$tmp/want"
	[ $seen != 0 ] || { echo "nothing was to be seen"; bad=1; }
	[ $bad = 0 ] || grep -oE '^[a-z_]+' "$tmp/got" | sort | uniq -c
	return $bad
}

echo 8192 >"$instance/buffer_size_kb"
if ! attach '.*' 2>"$tmp/why"; then
	skip_rest "the kernel attaches to nothing: $(tail -n 1 "$tmp/why")"
fi
for scene in $scenes; do
	check "$scene: each event is seen" scene "$scene"
done
detach

# The two that a switch looks at in one load.
alone() {
	local probe bad=0
	for probe in task_switch unpark park chan_send chan_recv; do
		attach $probe || return
		scene $([ $probe = task_switch ] && echo switches || echo channel) $probe ||
			{ echo "... with $probe alone"; bad=1; }
		detach
	done
	return $bad
}
check "a probe is heard without the others" alone

silent() {
	local events
	echo >"$instance/trace"
	timeout 60 "$tmp/probed" channel >/dev/null || return
	events=$(grep -vc '^#' "$instance/trace")
	[ "$events" = 0 ] || { echo "$events events"; return 1; }
}
check "where nobody listens, nothing is seen" silent
check "the events are gone" eval '! grep "$group" "$tracing/uprobe_events"'
tap_end
