#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# tl-testserver keeps to HTTP, bears with bad clients and ends cleanly, on each of
# the two IO backends (on that of $TL_IO alone, if it is set), and with threads.

top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/harness/tap.sh"
server=${O:-$top/build}/tools/tl-testserver
export LC_ALL=C

[ -x "$server" ] || tap_skip_all "no $server: make tools"
tmp=$(mktemp -d)
pids=()
trap '[ -z "${pids[*]}" ] || kill -9 "${pids[@]}" 2>/dev/null; rm -rf "$tmp"' EXIT

# --- one server at a time ---------------------------------------------------------

# start_server ARGS...: sets $pid, $port and $url
start_server() {
	local i

	local mode=(--io "$io")

	[ "$io" != threads ] || mode=(--threads 64)
	rm -f "$tmp/port"
	${wrapper:-} "$server" -p 0 --port-file "$tmp/port" -s \
		"${mode[@]}" "$@" >"$tmp/stdout" 2>"$tmp/stderr" &
	pid=$!
	pids=("$pid")
	for ((i = 0; i < 400; i++)); do
		[ ! -e "$tmp/port" ] || break
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.02
	done
	port=$(cat "$tmp/port" 2>/dev/null)
	url=http://127.0.0.1:$port
}

# Its exit code; its statistics are in $tmp/stdout then.
stop_server() {
	kill -TERM "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	status=$?
	pids=()
}

number() { sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" <<<"$1" | tail -n 1; }
last_stats() { tail -n 1 "$tmp/stdout"; }
now_ms() { date +%s%3N; }

# --- clients ------------------------------------------------------------------------

# talk BYTES: sends them (with printf's escapes) and prints all that comes back. Not
# by bash's own hand, which would send line by line.
talk() {
	exec 9<>"/dev/tcp/127.0.0.1/$port" || return
	printf '%b' "$1" | cat >&9 2>/dev/null
	timeout 5 cat <&9
	exec 9>&-
}

# The status, and whether the server kept its promise to close.
status_of() {
	local answer

	answer=$(talk "$1" 2>/dev/null | tr -d '\0\r')
	sed -n '1s/^HTTP\/1.1 \([0-9]*\).*/\1/p' <<<"$answer" | tr -d '\n'
	grep -qi '^Connection: close' <<<"$answer" && printf ' close'
}

repeat() {
	local s

	printf -v s '%*s' "$2" ''
	printf '%s' "${s// /$1}"
}

get() { curl -sS --max-time 5 "$@" 2>&1; }

# --- what is tested -------------------------------------------------------------------

H='Host: x\r\n' C='Host: x\r\nConnection: close\r\n'

test_routes() {
	local head

	tap_is "$(talk "GET /hello HTTP/1.1\r\n$C\r\n" | tail -n 1)" \
		'Hello, world!' "$io: GET /hello"
	tap_like "$(talk "GET / HTTP/1.1\r\n$C\r\n" | tr -d '\r')" \
		$'^HTTP/1.1 200 OK\n.*Date: ...,.*GMT\n.*Content-Length: 13\n' \
		"$io: GET / and its head"
	head=$(talk "HEAD /hello HTTP/1.1\r\n$C\r\n" | tr -d '\r')
	tap_like "$head" $'Content-Length: 13$' "$io: HEAD has no body"
	tap_is "$(talk "GET /bytes?n=100000 HTTP/1.0\r\n\r\n" |
		sed '1,/^\r$/d' | wc -c)" 100000 "$io: /bytes, streamed"
	tap_is "$(talk "GET http://x:80/bytes?n=7 HTTP/1.1\r\n$C\r\n" |
		tail -c 7)" "!\"#\$%&'" "$io: absolute target"
	tap_is "$(status_of "OPTIONS * HTTP/1.1\r\n$C\r\n")" '200 close' \
		"$io: OPTIONS *"
	tap_is "$(status_of "GET /nothing HTTP/1.1\r\n$C\r\n")" '404 close' \
		"$io: 404"
	tap_like "$(talk "DELETE /hello HTTP/1.1\r\n$C\r\n")" \
		'^HTTP/1.1 405 .*Allow: GET, HEAD' "$io: 405 and what is allowed"
	tap_like "$(talk "GET /stats HTTP/1.1\r\n$C\r\n" | tail -n 1)" \
		"^\{\"requests\":[0-9]+,.*\"io\":\"$io\",\"io_reason\":\".*\"\}$" \
		"$io: /stats"
}

test_bodies() {
	local size

	if ! command -v curl >/dev/null; then
		for size in 0 1 9000 1048576; do
			tap_skip "no curl" "$io: /echo of $size bytes"
			tap_skip "no curl" "$io: /echo of $size bytes in chunks"
		done
		tap_skip "no curl" "$io: 100 Continue"
		return
	fi
	for size in 0 1 9000 1048576; do
		head -c $size /dev/urandom >"$tmp/body"
		get --data-binary "@$tmp/body" "$url/echo" >"$tmp/back"
		cmp -s "$tmp/body" "$tmp/back"
		tap_result $? "$io: /echo of $size bytes"
		get -H 'Transfer-Encoding: chunked' --data-binary "@$tmp/body" \
			"$url/echo" >"$tmp/back"
		cmp -s "$tmp/body" "$tmp/back"
		tap_result $? "$io: /echo of $size bytes in chunks"
	done
	# curl would wait for a second before it sends the body unasked.
	tap_like "$(get -v -H 'Expect: 100-continue' -d abc "$url/echo")" \
		'HTTP/1.1 100 Continue' "$io: 100 Continue"
}

# refused WHAT STATUS REQUEST
refused() {
	tap_is "$(status_of "$3")" "$2 close" "$io: $2 $1"
}

test_bad_requests() {
	local post="POST /echo HTTP/1.1\r\n$H"
	local chunks='Transfer-Encoding: chunked\r\n'

	refused "not HTTP" 400 'hello?\r\n\r\n'
	refused "TLS" 400 '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'
	refused "no Host" 400 'GET / HTTP/1.1\r\n\r\n'
	refused "two Hosts" 400 "GET / HTTP/1.1\r\n$H$H\r\n"
	refused "a bad Host" 400 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n'
	refused "a blank before the colon" 400 'GET / HTTP/1.1\r\nHost : x\r\n\r\n'
	refused "a folded line" 400 "GET / HTTP/1.1\r\n${H}X: a\r\n b\r\n\r\n"
	refused "a fragment" 400 "GET /#a HTTP/1.1\r\n$H\r\n"
	refused "a relative target" 400 "GET hello HTTP/1.1\r\n$H\r\n"
	refused "two lengths" 400 \
		"${post}Content-Length: 1\r\nContent-Length: 2\r\n\r\na"
	refused "a length and chunks" 400 \
		"${post}Content-Length: 1\r\n$chunks\r\n0\r\n\r\n"
	refused "a length of -1" 400 "${post}Content-Length: -1\r\n\r\n"
	refused "a chunk of no size" 400 "$post$chunks\r\nxyz\r\n"
	refused "chunks in HTTP/1.0" 400 \
		"POST /echo HTTP/1.0\r\n$chunks\r\n0\r\n\r\n"
	refused "a length that is too large" 413 \
		"${post}Content-Length: 1048577\r\n\r\n"
	refused "chunks that are too large" 413 \
		"$post$chunks\r\n1\r\na\r\n100000\r\n"
	refused "a long target" 414 "GET /$(repeat x 9000) HTTP/1.1\r\n$H\r\n"
	refused "long fields" 431 "GET / HTTP/1.1\r\n${H}X: $(repeat x 9000)\r\n\r\n"
	refused "another expectation" 417 "${post}Expect: a miracle\r\n\r\n"
	refused "an unknown method" 501 "FETCH / HTTP/1.1\r\n$H\r\n"
	refused "CONNECT" 501 "CONNECT x:80 HTTP/1.1\r\n$H\r\n"
	refused "a coding we do not have" 501 \
		"${post}Transfer-Encoding: gzip, chunked\r\n\r\n"
	refused "HTTP/2" 505 'GET / HTTP/2.0\r\nHost: x\r\n\r\n'
	refused "HTTP/0.9" 505 'GET /\r\n'
	tap_is "$(status_of "GET /sleep?ms=1x HTTP/1.1\r\n$C\r\n")" '400 close' \
		"$io: 400 no number"
	tap_is "$(status_of "GET /sleep?ms=60001 HTTP/1.1\r\n$C\r\n")" '400 close' \
		"$io: 400 a number that is too large"
}

# The statuses of the answers that come in; one may begin in the middle of a line.
statuses() { grep -ao 'HTTP/1.1 [0-9]*' | sed 's/.* //' | tr '\n' ' '; }

test_connections() {
	local g='GET /bytes?n=' k='GET / HTTP/1.0\r\n' i all= want= pad
	local p="POST /echo HTTP/1.1\r\n${H}Content-Length: 2\r\n\r\n"
	local bytes=$'POST /echo HTTP/1.1\r\nHost: x\r\n'

	bytes+=$'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'
	bytes+=$'GET /bytes?n=3 HTTP/1.0\r\n\r\n'

	# Together more than the buffer, so that heads begin and end anywhere in it.
	pad="X: $(repeat x 400)\r\n"
	for ((i = 1; i <= 40; i++)); do
		all+="$g$i HTTP/1.1\r\n$H$pad\r\n"
		want+="$i "
	done
	tap_is "$(talk "${all}GET / HTTP/1.1\r\n$C\r\n" | tr -d '\r' |
		sed -n 's/^Content-Length: //p' | tr '\n' ' ')" "${want}13 " \
		"$io: 41 requests at once are answered in order"
	tap_is "$(talk "\r\n\r\nGET / HTTP/1.1\r\n$H\r\n\r\nGET / HTTP/1.1\r\n$C\r\n" |
		statuses)" '200 200 ' "$io: empty lines between requests"
	tap_is "$(talk "GET / HTTP/1.1\r\n$C\r\nGET / HTTP/1.1\r\n$C\r\n" |
		statuses)" '200 ' "$io: Connection: close closes"
	tap_is "$(talk "$k\r\n$k\r\n" |
		statuses)" '200 ' "$io: HTTP/1.0 closes"
	tap_is "$(talk "${k}Connection: keep-alive\r\n\r\n$k\r\n" |
		statuses)" '200 200 ' \
		"$io: HTTP/1.0 with keep-alive does not"
	tap_is "$(talk "GET /nothing HTTP/1.1\r\n$H\r\n${p}okGET / HTTP/1.1\r\n$C\r\n" |
		statuses)" '404 200 200 ' "$io: after a 404 and after a body it goes on"
	tap_is "$(bytewise "$bytes" | tr -d '\r' |
		grep -a -e '^hello' -e '^Content-L' -e '"#$' | tr '\n' ' ')" \
		'hello Content-Length: 3 !"# ' "$io: requests a byte at a time"
	if command -v nc >/dev/null && nc -h 2>&1 | grep -q -e '-N'; then
		all="GET / HTTP/1.1\r\n$H\r\nGET /sleep?ms=50 HTTP/1.1\r\n$H\r\n"
		tap_is "$(printf '%b' "$all" |
			timeout 5 nc -N 127.0.0.1 "$port" | statuses)" '200 200 ' \
			"$io: what was asked before a half-close is answered"
	else
		tap_skip "no nc with -N" \
			"$io: what was asked before a half-close is answered"
	fi
}

# In that many writes, each of which the server sees by itself.
bytewise() {
	local i

	exec 7<>"/dev/tcp/127.0.0.1/$port"
	for ((i = 0; i < ${#1}; i++)); do
		printf '%s' "${1:i:1}" >&7
	done
	timeout 5 cat <&7
	exec 7>&-
}

# drip TEXT: a byte every 50 ms, until the server has had enough; prints its answer
drip() {
	local i line

	exec 8<>"/dev/tcp/127.0.0.1/$port"
	for ((i = 0; i < ${#1} && i < 200; i++)); do
		printf '%s' "${1:i:1}" >&8 || break
		# The time may be over in the middle of the line.
		IFS= read -r -t 0.05 -u 8 line && i=200
		printf '%s' "$line"
	done 2>/dev/null
	exec 8>&-
}

test_slow_clients() {
	local t fd head

	start_server --header-timeout 400ms -t 600ms
	t=$(now_ms)
	drip "GET /hello HTTP/1.1 $(repeat x 300)" >"$tmp/slow1" &
	pids+=($!)
	drip "$(repeat x 300)" >"$tmp/slow2" &
	pids+=($!)
	tap_like "$(talk "GET / HTTP/1.1\r\n$C\r\n" | head -n 1)" \
		'^HTTP/1.1 200' "$io: others are served beside slow ones"
	wait "${pids[1]}" "${pids[2]}"
	pids=("$pid")
	t=$(($(now_ms) - t))
	tap_like "$(cat "$tmp/slow1")" '^HTTP/1.1 408' \
		"$io: 408 for a byte at a time"
	[ $t -ge 400 ] && [ $t -lt 2500 ]
	tap_result $? "$io: ... at the header timeout" "after $t ms"
	exec {fd}<>"/dev/tcp/127.0.0.1/$port"
	head="POST /echo HTTP/1.1\r\n${H}Content-Length: 1000\r\n\r\nabc"
	printf '%b' "$head" >&"$fd"
	IFS= read -r -t 3 -u "$fd" line
	tap_like "$line" '^HTTP/1.1 408' "$io: 408 for a body that stays out"
	exec {fd}>&-
	t=$(now_ms)
	tap_is "$(talk '')" '' "$io: an idle connection is closed without a word"
	t=$(($(now_ms) - t))
	[ $t -ge 600 ] && [ $t -lt 2500 ]
	tap_result $? "$io: ... at the timeout" "after $t ms"
	# Sockets hold a few MB, of which nobody takes any.
	exec {fd}<>"/dev/tcp/127.0.0.1/$port"
	printf 'GET /bytes?n=100000000 HTTP/1.0\r\n\r\n' >&"$fd"
	sleep 1.2
	tap_like "$(talk 'GET /stats HTTP/1.0\r\n\r\n' | tail -n 1)" \
		'"slow_reader":1' "$io: one who does not take his answer is left"
	exec {fd}>&-
	stop_server
	tap_is "$status" 0 "$io: and the server ends"
}

# answered SECONDS DESCRIPTORS...: how many have an answer by then, each
answered() {
	local wait=$1 fd n=0

	shift
	for fd; do
		IFS= read -r -t "$wait" -u "$fd" line && n=$((n + 1))
	done
	echo $n
}

limit_descriptors() {
	ulimit -n 32
	exec "$@"
}

test_few_descriptors() {
	local fds=() fd i n

	wrapper=limit_descriptors start_server
	for ((i = 0; i < 50; i++)); do
		exec {fd}<>"/dev/tcp/127.0.0.1/$port"
		printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&"$fd"
		fds+=("$fd")
	done
	n=$(answered 0.1 "${fds[@]}")
	[ "$n" -ge 10 ] && [ "$n" -lt 32 ]
	tap_result $? "$io: without descriptors some wait, the others are served" \
		"$n of 50 were answered"
	for fd in "${fds[@]:0:40}"; do
		exec {fd}>&-
	done
	tap_is "$(answered 3 "${fds[@]:40}")" 10 "$io: ... and are served when there are some again"
	for fd in "${fds[@]:40}"; do
		exec {fd}>&-
	done
	stop_server
	tap_is "$status $(number "$(last_stats)" open)" '0 0' "$io: ... and it ends"
}

test_limit() {
	local a b fd

	# Of threads each has one.
	if [ "$io" = threads ]; then
		start_server --threads 1
	else
		start_server -c 1
	fi
	exec {a}<>"/dev/tcp/127.0.0.1/$port" {b}<>"/dev/tcp/127.0.0.1/$port"
	for fd in "$a" "$b"; do
		printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&"$fd"
	done
	tap_is "$(answered 0.5 "$a" "$b")" 1 "$io: of -c 1 connections one is served"
	exec {a}>&-
	tap_is "$(answered 3 "$b")" 1 "$io: ... then the other one"
	exec {b}>&-
	stop_server
	tap_is "$status $(number "$(last_stats)" open_max)" '0 1' \
		"$io: ... and never were two open"
}

# open_and_ask N: connections that have asked, in fds
open_and_ask() {
	local fd i

	for ((i = 0; i < $1; i++)); do
		exec {fd}<>"/dev/tcp/127.0.0.1/$port"
		printf 'GET / HTTP/1.0\r\n\r\n' >&"$fd"
		fds+=("$fd")
	done
}

# More connections than threads, and than there is room for in the queue.
test_queue() {
	local fds=() first fd t

	start_server --threads 1
	exec {first}<>"/dev/tcp/127.0.0.1/$port"
	open_and_ask 100
	tap_is "$(answered 0.01 "${fds[@]}")" 0 "threads: 100 wait while one is served"
	exec {first}>&-
	tap_is "$(answered 3 "${fds[@]}")" 100 "... then it is their turn"
	for fd in "${fds[@]}"; do
		exec {fd}>&-
	done
	exec {first}<>"/dev/tcp/127.0.0.1/$port"
	fds=()
	open_and_ask 100
	printf 'GET /sleep?ms=60000 HTTP/1.0\r\n\r\n' >&"$first"
	sleep 0.3
	t=$(now_ms)
	stop_server
	t=$(($(now_ms) - t))
	tap_is "$status $(number "$(last_stats)" open)" '0 0' \
		"... and while they wait, and one sleeps, it can end"
	[ $t -lt 5000 ]
	tap_result $? "... soon" "after $t ms"
	for fd in "${fds[@]}" "$first"; do
		exec {fd}>&-
	done
}

# Each policy, by the locks of another implementation each.
test_gil() {
	local gil failed

	for gil in handoff:pthread priority:emulated interval:birrell ticks:futex; do
		start_server --threads 4 --gil $gil --cpu-threads 2 --work 2000
		if command -v ab >/dev/null; then
			failed=$(ab -q -n 100 -c 10 "$url/hello" 2>&1 |
				grep -cxE 'Complete requests: +100|Failed requests: +0')
			tap_is "$failed" 2 "$gil: ab -c 10"
		else
			tap_skip "no ab" "$gil: ab -c 10"
		fi
		tap_like "$(talk 'GET /stats HTTP/1.0\r\n\r\n' | tail -n 1)" \
			"\"threads\":4,\"cpu_threads\":2,\"cpu_bytecodes\":[1-9][0-9]*,\"gil\":\"$gil\"" \
			"... and who computes is not left out"
		stop_server
		tap_is "$status $(number "$(last_stats)" open)" '0 0' "... the end"
	done
	TL_GIL=fair start_server
	stop_server
	tap_like "$status $(cat "$tmp/stderr")" '^1 tl-testserver: gil: .*fair.*handoff' \
		"what TL_GIL says is looked at"
}

test_end_under_load() {
	local fd i

	start_server
	for ((i = 0; i < 4; i++)); do
		(while talk "GET /bytes?n=50000 HTTP/1.1\r\n$C\r\n"; do :; done) \
			>/dev/null 2>&1 &
		pids+=($!)
	done
	if command -v ab >/dev/null; then
		ab -q -k -c 20 -n 10000000 "$url/hello" >/dev/null 2>&1 &
		pids+=($!)
	fi
	exec {fd}<>"/dev/tcp/127.0.0.1/$port"
	sleep 0.5
	kill -USR1 "$pid"
	sleep 0.2
	tap_like "$(cat "$tmp/stdout")" '^\{"requests":[0-9]+,.*\}$' \
		"$io: SIGUSR1 prints statistics"
	kill -TERM "$pid"
	wait "$pid"
	status=$?
	kill "${pids[@]:1}" 2>/dev/null
	wait "${pids[@]:1}" 2>/dev/null
	pids=()
	tap_is "$status" 0 "$io: SIGTERM under load: exit code 0"
	tap_is "$(cat "$tmp/stderr")" "listening on 127.0.0.1:$port" \
		"$io: ... and no complaints"
	tap_like "$(last_stats)" '"open":0,.*"killed":[1-9]' \
		"$io: ... every connection closed"
	IFS= read -r -t 2 -u "$fd" _
	tap_is $? 1 "$io: ... as the client sees it"
	exec {fd}>&-
}

# Under io_uring it does not know what the kernel has written.
test_valgrind() {
	local fd io=$1 name="$1: nothing leaks, all is initialised"

	if ! command -v valgrind >/dev/null; then
		tap_skip "no valgrind" "$name"
		return
	fi
	if grep -q __asan_init "$server"; then
		tap_skip "the sanitizer looks after that" "$name"
		return
	fi
	wrapper='valgrind -q --leak-check=full --error-exitcode=9
		--errors-for-leak-kinds=definite --show-leak-kinds=definite' \
		start_server
	talk "GET / HTTP/1.1\r\n$H\r\nGET /stats HTTP/1.1\r\n$C\r\n" >/dev/null
	talk "POST /echo HTTP/1.0\r\nContent-Length: 4\r\n\r\nabcd" >/dev/null
	talk 'nonsense' >/dev/null
	exec {fd}<>"/dev/tcp/127.0.0.1/$port"
	printf 'POST /echo HTTP/1.0\r\nContent-Length: 4000\r\n\r\nabcd' >&"$fd"
	stop_server
	exec {fd}>&-
	tap_is "$status" 0 "$name" "$(cat "$tmp/stderr")"
}

# With a limit of so many KiB of memory, in steps.
test_memory() {
	local kib said= name="threads: without memory it says so and ends"

	if grep -q -e __asan_init -e __tsan_init "$server"; then
		tap_skip "a sanitizer takes terabytes" "$name"
		return
	fi
	for kib in 20000 60000 100000 200000 400000; do
		said+=$(
			ulimit -v $kib
			timeout -s KILL 10 "$server" -p 0 --threads 100 2>&1
			echo " $?; "
		)
	done
	[[ $said =~ ^("tl-testserver: "[^;]*" 1; "){5}$ ]]
	tap_result $? "$name" "$said"
}

test_usage() {
	local args

	io=io
	for args in '-p x' '-p 65536' '-p' '-c 0' '-b 1x' '-t 1y' '-t 0' \
		'--header-timeout 1.0000000001' '--io aio' '--frobnicate' 'more' \
		'--threads 0' '--threads 1025' '--threads 2x' '--gil handoff' \
		'--cpu-threads 1' '--work 5' '--threads 2 --cpu-threads -1' \
		'--threads 2 --work 1k' '--threads 2 --io epoll' \
		'--threads 2 -c 5'; do
		"$server" $args >"$tmp/stdout" 2>"$tmp/stderr"
		tap_is "$? $(wc -c <"$tmp/stdout") $(($(wc -c <"$tmp/stderr") > 0))" \
			'2 0 1' "usage: $args"
	done
	"$server" --threads 2 --gil fair >"$tmp/stdout" 2>"$tmp/stderr"
	tap_like "$? $(cat "$tmp/stderr")" '^2 .*fair.*handoff' \
		"usage: an unknown policy, and what there is"
	tap_like "$("$server" --version)" '^tl-testserver .*[0-9]\.[0-9]' --version
	tap_like "$("$server" --help)" 'header-timeout' --help
	"$server" -a 192.0.2.1 -p 0 2>"$tmp/stderr" </dev/null
	tap_is $? 1 "an address that is not ours"
	"$server" -a localhost -p 0 2>"$tmp/stderr" </dev/null
	tap_is $? 1 "an address that is none"
}

# --- all of it ----------------------------------------------------------------------

backends=()
for io in ${TL_IO:-io_uring epoll} threads; do
	start_server
	if [ -n "$port" ]; then
		backends+=("$io")
		stop_server
	else
		echo "# $io is left out: $(tail -n 1 "$tmp/stderr")"
		wait "$pid"
		pids=()
	fi
done
[ ${#backends[@]} -gt 0 ] || tap_skip_all "no backend works here"

tap_plan $((72 * ${#backends[@]} + 46))
for io in "${backends[@]}"; do
	start_server
	test_routes
	test_bodies
	test_bad_requests
	test_connections
	stop_server
	tap_is "$status $(number "$(last_stats)" open)" '0 0' "$io: all is closed"
	test_slow_clients
	test_few_descriptors
	test_limit
	test_end_under_load
done
io=threads
test_queue
test_gil
test_valgrind epoll
test_valgrind threads
test_memory
test_usage
tap_end
